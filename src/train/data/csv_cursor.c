/* csv_cursor.c: cells, one after the other, through a buffer of fixed size.
 *
 * Lines end with \n, \r\n or \r; blanks around an unquoted cell are not part of it; inside quotes everything is, and ""
 * is one quote.  Positions in messages are those of an editor: line, byte in the line, both from 1.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "train/data/csv.h"
#include "train/data/number.h"

enum { END = -1 };

void bli_csv_start(bli_csv_cursor *c, bl_context *ctx, const bli_csv_format *f, bli_input *in)
{
    c->ctx = ctx;
    c->format = f;
    c->in = in;
    c->fd = -1;
    c->offset = c->line_start = c->length = 0;
    c->limit = UINT64_MAX;
    c->line = 1;
    c->pos = c->end = 0;
    c->ended = false;
}

void bli_csv_start_at(bli_csv_cursor *c, bl_context *ctx, const bli_csv_format *f, int fd, uint64_t from, uint64_t to)
{
    bli_csv_start(c, ctx, f, NULL);
    c->fd = fd;
    c->offset = from;
    c->limit = to;
    c->line = 0;
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */
static bl_status read_bytes(bli_csv_cursor *c, size_t *got)
{
    if (c->in)
        return bli_input_read(c->in, c->buffer, BLI_CSV_BUFFER, got);
    size_t want = c->limit - c->offset < BLI_CSV_BUFFER ? (size_t)(c->limit - c->offset) : BLI_CSV_BUFFER;
    ssize_t r;
    do
        r = pread(c->fd, c->buffer, want, (off_t)c->offset);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return bli_fail(c->ctx, BL_IO, "%s: reading at byte %llu: %s", c->format->path, (unsigned long long)c->offset,
                        strerror(errno));
    *got = (size_t)r;
    return BL_OK;
}

static bl_status refill(bli_csv_cursor *c)
{
    size_t got = 0;
    BLI_TRY(read_bytes(c, &got));
    c->offset += got;
    c->pos = 0;
    c->end = got;
    c->ended = got == 0;
    return BL_OK;
}

/* The next byte, not taken; END at the end. */
static inline bl_status peek(bli_csv_cursor *c, int *byte)
{
    if (c->pos == c->end && !c->ended)
        BLI_TRY(refill(c));
    *byte = c->pos < c->end ? (unsigned char)c->buffer[c->pos] : END;
    return BL_OK;
}

static uint64_t here(const bli_csv_cursor *c)
{
    return c->offset - (c->end - c->pos);
}

/* Takes a line's end if one is here. */
static bl_status take_line_end(bli_csv_cursor *c, int byte, bool *taken)
{
    *taken = byte == '\n' || byte == '\r';
    if (!*taken)
        return BL_OK;
    c->pos++;
    if (byte == '\r') {
        BLI_TRY(peek(c, &byte));
        if (byte == '\n')
            c->pos++;
    }
    c->line += c->line > 0;
    c->line_start = here(c);
    return BL_OK;
}

/* ---- cells --------------------------------------------------------------------------------------------------- */
static void mark(bli_csv_cursor *c)
{
    c->cell_line = c->line;
    c->cell_column = here(c) - c->line_start + 1;
    c->length = 0;
}

bl_status bli_csv_at_cell(const bli_csv_cursor *c, bl_status s)
{
    if (c->line == 0)
        return bli_within(c->ctx, s, "%s: changed since it was opened", c->format->path);
    return bli_within(c->ctx, s, "%s:%llu:%llu", c->format->path, (unsigned long long)c->cell_line,
                      (unsigned long long)c->cell_column);
}

static bl_status too_long(const bli_csv_cursor *c)
{
    return bli_csv_at_cell(c, bli_fail(c->ctx, BL_LIMIT, "the cell is longer than %d bytes", BLI_CSV_MAX_CELL - 1));
}

static bl_status append(bli_csv_cursor *c, int byte)
{
    if (byte == 0)
        return bli_csv_at_cell(c, bli_fail(c->ctx, BL_BAD_FILE, "the cell has a zero byte; this is not text"));
    if (c->length == BLI_CSV_MAX_CELL - 1)
        return too_long(c);
    c->text[c->length++] = (char)byte;
    return BL_OK;
}

static bl_status keep(bli_csv_cursor *c, int byte)
{
    c->pos++;
    return append(c, byte);
}

static bool is_blank(const bli_csv_cursor *c, int byte)
{
    return (byte == ' ' || byte == '\t') && byte != c->format->separator;
}

static bl_status skip_blanks(bli_csv_cursor *c, int *byte)
{
    BLI_TRY(peek(c, byte));
    while (is_blank(c, *byte)) {
        c->pos++;
        BLI_TRY(peek(c, byte));
    }
    return BL_OK;
}

/* How many bytes from pos on belong to an unquoted cell, as far as the buffer goes. */
static size_t plain_run(const bli_csv_cursor *c)
{
    const char *p = c->buffer + c->pos, *end = c->buffer + c->end;
    const char separator = c->format->separator;
    while (p < end && *p != separator && *p != '\n' && *p != '\r' && *p != '\0')
        p++;
    return (size_t)(p - c->buffer) - c->pos;
}

static bl_status read_plain(bli_csv_cursor *c)
{
    int byte = 0;
    BLI_TRY(peek(c, &byte));
    while (byte != END && byte != '\n' && byte != '\r' && byte != c->format->separator) {
        size_t n = plain_run(c), room = BLI_CSV_MAX_CELL - 1 - c->length;
        if (n == 0 || n > room)
            BLI_TRY(n == 0 ? keep(c, byte) : too_long(c));
        memcpy(c->text + c->length, c->buffer + c->pos, n);
        c->length += n;
        c->pos += n;
        BLI_TRY(peek(c, &byte));
    }
    while (c->length > 0 && is_blank(c, c->text[c->length - 1]))
        c->length--;
    return BL_OK;
}

/* Kept as one \n, whatever it was. */
static bl_status keep_line_end(bli_csv_cursor *c, int byte)
{
    bool taken = false;
    BLI_TRY(take_line_end(c, byte, &taken));
    return append(c, '\n');
}

static bl_status read_quoted(bli_csv_cursor *c)
{
    c->pos++;
    for (;;) {
        int byte = 0;
        BLI_TRY(peek(c, &byte));
        if (byte == END)
            return bli_csv_at_cell(c, bli_fail(c->ctx, BL_BAD_FILE, "the quote that opens here is never closed"));
        if (byte == '"') {
            c->pos++;
            BLI_TRY(peek(c, &byte));
            if (byte != '"')
                return BL_OK;
            BLI_TRY(keep(c, byte));
        } else if (byte == '\n' || byte == '\r') {
            BLI_TRY(keep_line_end(c, byte));
        } else {
            BLI_TRY(keep(c, byte));
        }
    }
}

static bl_status end_cell(bli_csv_cursor *c, bli_csv_end *end)
{
    int byte = 0;
    bool line = false;
    c->text[c->length] = '\0';
    BLI_TRY(skip_blanks(c, &byte));
    if (byte == c->format->separator) {
        c->pos++;
        *end = BLI_CSV_SEPARATOR;
        return BL_OK;
    }
    BLI_TRY(take_line_end(c, byte, &line));
    if (!line && byte != END)
        return bli_csv_at_cell(c, bli_fail(c->ctx, BL_BAD_FILE,
                                           "text follows the closing quote of this cell; expected a separator '%c' or "
                                           "the end of the line",
                                           c->format->separator));
    *end = line ? BLI_CSV_LINE : BLI_CSV_FILE;
    return BL_OK;
}

bl_status bli_csv_cell(bli_csv_cursor *c, bli_csv_end *end)
{
    int byte = 0;
    BLI_TRY(skip_blanks(c, &byte));
    mark(c);
    BLI_TRY(byte == '"' ? read_quoted(c) : read_plain(c));
    return end_cell(c, end);
}

bl_status bli_csv_next_row(bli_csv_cursor *c, bool *more, uint64_t *offset)
{
    static const char mark_of_utf8[] = "\xef\xbb\xbf";
    int byte = 0;
    bool line = true;
    BLI_TRY(peek(c, &byte));
    if (c->in && here(c) == 0 && c->end >= 3 && memcmp(c->buffer, mark_of_utf8, 3) == 0) {
        c->pos = 3;
        c->line_start = 3;
    }
    while (line) {
        *offset = here(c);
        BLI_TRY(skip_blanks(c, &byte));
        BLI_TRY(take_line_end(c, byte, &line));
    }
    *more = byte != END;
    return BL_OK;
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */
static bl_status not_a_number(const bli_csv_cursor *c, size_t column, const char *why)
{
    const bli_csv_format *f = c->format;
    const char *name = f->names ? f->names[column] : "";
    bl_status s = bli_fail(c->ctx, BL_BAD_FILE, "column %zu%s%.60s%s: '%.60s' %s", column, name[0] ? " '" : "", name,
                           name[0] ? "'" : "", c->text, why);
    return bli_csv_at_cell(c, s);
}

bl_status bli_csv_number(const bli_csv_cursor *c, size_t column, double *out)
{
    static const char *const why[] = {
        [BLI_NUMBER_EMPTY] = "is empty; every value must be given",
        [BLI_NUMBER_TEXT] = "is not a number",
        [BLI_NUMBER_INFINITE] = "is not a finite number",
    };
    bli_number_kind kind = bli_number_parse(c->text, c->length, c->format->c_locale, out);
    if (kind == BLI_NUMBER_TEXT && c->line <= 2 && !c->format->header && c->cell_line == 1)
        return not_a_number(c, column, "is not a number (if the first line has the columns' names, say header)");
    if (kind != BLI_NUMBER)
        return not_a_number(c, column, why[kind]);
    if (!isfinite((float)*out))
        return not_a_number(c, column, "does not fit float32");
    return BL_OK;
}
