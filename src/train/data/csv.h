/* csv.h (internal): tables of text, RFC 4180 with any one-byte separator.
 *
 * One cursor reads them everywhere: when a file is opened (every cell is checked then) and when rows of a file larger
 * than memory are parsed again on demand.
 */
#ifndef BLI_TRAIN_CSV_H
#define BLI_TRAIN_CSV_H

#include <locale.h>

#include "train/data/data.h"
#include "train/data/input.h"

enum {
    BLI_CSV_MAX_CELL = 1024,         /* bytes of one cell, with the terminator */
    BLI_CSV_MAX_ROW = (1 << 22) - 1, /* bytes of one row */
    BLI_CSV_MAX_COLUMNS = 1 << 18,   /* BLI_CSV_MAX_ROW holds no more with sense */
    BLI_CSV_BLOCK = 1024,            /* rows that share one 64-bit offset */
    BLI_CSV_BUFFER = 16384,
};

/* What is known of a table before its rows are read. */
typedef struct bli_csv_format {
    const char *path;
    char separator;
    bool header;
    size_t columns, target;
    const char *const *names; /* of the columns, or NULL */
    locale_t c_locale;
} bli_csv_format;

/* ---- cursor ------------------------------------------------------------------------------------------------- */
typedef enum bli_csv_end { BLI_CSV_SEPARATOR, BLI_CSV_LINE, BLI_CSV_FILE } bli_csv_end;

typedef struct bli_csv_cursor {
    bl_context *ctx;
    const bli_csv_format *format;
    bli_input *in;             /* reading from the beginning; or */
    int fd;                    /* reading bytes offset .. limit-1 of a file */
    uint64_t offset, limit;    /* of what was put into the buffer so far */
    uint64_t line, line_start; /* from 1; offset of its first byte; line 0: not known */
    size_t pos, end;
    bool ended;
    char text[BLI_CSV_MAX_CELL]; /* the cell read last, NUL-terminated */
    size_t length;
    uint64_t cell_line, cell_column;
    char buffer[BLI_CSV_BUFFER];
} bli_csv_cursor;

void bli_csv_start(bli_csv_cursor *c, bl_context *ctx, const bli_csv_format *f, bli_input *in);
void bli_csv_start_at(bli_csv_cursor *c, bl_context *ctx, const bli_csv_format *f, int fd, uint64_t from, uint64_t to);
/* Goes past empty lines; *more says whether a row begins here, *offset where. */
BL_MUST_CHECK bl_status bli_csv_next_row(bli_csv_cursor *c, bool *more, uint64_t *offset);
/* Reads the next cell of the row into text and says what ended it. */
BL_MUST_CHECK bl_status bli_csv_cell(bli_csv_cursor *c, bli_csv_end *end);
/* Puts "path:line:column: " before the message. */
bl_status bli_csv_at_cell(const bli_csv_cursor *c, bl_status s);
/* The cell read last, in column `column`, as a number that float32 holds. */
BL_MUST_CHECK bl_status bli_csv_number(const bli_csv_cursor *c, size_t column, double *out);

/* ---- classes ------------------------------------------------------------------------------------------------ */
/* The texts of a target column, numbered as they come. */
typedef struct bli_csv_classes bli_csv_classes;
/* names: the only ones allowed, in order, `count` of them; NULL: any. */
BL_MUST_CHECK bl_status bli_csv_classes_create(bl_context *ctx, const char *const *names, int count,
                                               bli_csv_classes **out);
void bli_csv_classes_destroy(bli_csv_classes *k); /* NULL is fine */
BL_MUST_CHECK bl_status bli_csv_classes_add(bli_csv_classes *k, const bli_csv_cursor *c, uint32_t *id);
/* Turns the numbers given so far into classes: whole numbers from 0 on are classes themselves, other whole numbers and
 * texts are sorted.  Sets o->classes and o->class_names where the texts are names (they live as long as k). */
BL_MUST_CHECK bl_status bli_csv_classes_settle(bli_csv_classes *k, const char *path, uint32_t *ids, size_t n,
                                               bl_dataset_options *o);

/* ---- table -------------------------------------------------------------------------------------------------- */
/* Reads the whole table once into d: rows in memory if they fit, else an index of where each begins. */
BL_MUST_CHECK bl_status bli_csv_load(bl_dataset *d, const bli_csv_format *f, const bl_dataset_options *o);

#endif
