/* emit.h (internal): what every backend is given, and what backends share.
 *
 * A backend renders the primitives of a program (program/program.h) as the files of a project.  It is one entry of the
 * table in emit.c.  It writes through bli_project, so that either the whole folder is there or nothing is; it makes
 * identifiers with bli_names and text with bli_text.  The same program and options give the same bytes.
 */
#ifndef BLI_EMIT_H
#define BLI_EMIT_H

#include "base/base.h"
#include "bitlathe/emit.h"
#include "program/program.h"

/* ---- identifiers (names.c) ------------------------------------------------------------------------------------- */
/* A set of identifiers that are valid and mean nothing else in C99, C++, Verilog-2001 and SystemVerilog: letters,
 * digits and single underscores, begins with a letter, no reserved word, none like another in a different case (files
 * are named after them).  Whatever a model file calls its layers, nothing but an identifier comes out. */
typedef struct bli_names bli_names;
enum { BLI_NAME_LONGEST = 63 };
BL_MUST_CHECK bl_status bli_names_create(bl_context *ctx, bli_names **out);
void bli_names_destroy(bli_names *names); /* NULL is fine */
/* An identifier like wanted that was not given before: "fc1/bias" -> "fc1_bias", then "fc1_bias_2".  "" and names
 * without a letter become "n", "n_2".  Lives as long as names; the same calls give the same answers. */
BL_MUST_CHECK bl_status bli_names_take(bli_names *names, const char *wanted, const char **out);
/* One identifier for each wire, from its name, in the order of wires; out: num_wires pointers. */
BL_MUST_CHECK bl_status bli_names_wires(bli_names *names, const bli_program *p, const char **out);

/* ---- text (text.c) --------------------------------------------------------------------------------------------- */
/* Text that grows line by line.  Calls cannot fail singly: the first failure is kept, later calls do nothing, and
 * bli_text_status tells it at the end. */
typedef struct bli_text {
    bli_buf buf;
    bl_status status;
    int depth; /* lines begin with four spaces for each */
} bli_text;
void bli_text_init(bli_text *t, bl_context *ctx);
void bli_text_free(bli_text *t);
BL_MUST_CHECK bl_status bli_text_status(const bli_text *t);
void bli_text_put(bli_text *t, const char *fmt, ...) BL_PRINTF(2, 3);  /* as it is */
void bli_text_line(bli_text *t, const char *fmt, ...) BL_PRINTF(2, 3); /* indented, with its newline */
void bli_text_blank(bli_text *t);
void bli_text_open(bli_text *t, const char *fmt, ...) BL_PRINTF(2, 3);  /* a line, then one deeper */
void bli_text_close(bli_text *t, const char *fmt, ...) BL_PRINTF(2, 3); /* one less deep, then the line */
/* A name of the model as it may stand in a comment or a string of any emitted language: what could end a comment,
 * continue a line or hide text is "_".  Into buf (terminated); returns buf. */
const char *bli_text_safe(const char *name, char *buf, size_t size);
/* A template: text in which @KEY@ stands for the value of that key; anything else, also '@', stays as it is. */
typedef struct bli_text_key {
    const char *key, *value;
} bli_text_key;
void bli_text_template(bli_text *t, const char *text, const bli_text_key *keys, size_t count);
/* Numbers between commas, in lines of at most 120 columns, indented. */
void bli_text_numbers(bli_text *t, const int64_t *values, int64_t count);

/* ---- reuse factors (reuse.c) ------------------------------------------------------------------------------------ */
/* The reuse factor nearest to wanted that is valid for a product of so many inputs and outputs; of two equally near the
 * smaller. */
int64_t bli_reuse_nearest(int64_t inputs, int64_t outputs, int64_t wanted);
/* The same, and where it is another the log says so, with the layer. */
int64_t bli_reuse_of_layer(bl_context *ctx, const char *layer, int64_t inputs, int64_t outputs, int wanted);

/* ---- project (project.c) --------------------------------------------------------------------------------------- */
/* A folder that appears as a whole.  Files are written below a temporary folder beside the target; commit renames it.
 * A target that is there must be an empty folder, or one that an earlier commit made (file .bitlathe lists what is in
 * it; its folder "build" may hold anything): it is replaced.  Anything else is refused with the name of what is in the
 * way, before anything is written. */
typedef struct bli_project bli_project;
BL_MUST_CHECK bl_status bli_project_open(bl_context *ctx, const char *folder, bli_project **out);
/* path is relative, of names between slashes; its folders are made. */
BL_MUST_CHECK bl_status bli_project_file(bli_project *p, const char *path, const void *data, size_t size);
BL_MUST_CHECK bl_status bli_project_script(bli_project *p, const char *path, const void *data, size_t size); /* +x */
/* What text holds; its failure is returned here. */
BL_MUST_CHECK bl_status bli_project_text(bli_project *p, const char *path, const bli_text *text);
/* Frees p whether it succeeds or not. */
BL_MUST_CHECK bl_status bli_project_commit(bli_project *p);
void bli_project_abandon(bli_project *p); /* removes what was written; NULL is fine */

/* ---- test vectors (vectors.c) ---------------------------------------------------------------------------------- */
/* Samples of codes for every input, and what the interpreter makes of them.  Corner samples come first: all least, all
 * greatest, zero (or nearest to it), least and greatest in turn both ways; then random ones within each element's
 * span, on its multiples.  The same program, count and seed give the same vectors. */
typedef struct bli_vectors {
    bli_arena *arena;
    int samples;
    int64_t **inputs;  /* [num_inputs]: samples x count codes */
    int64_t **outputs; /* [num_outputs] */
} bli_vectors;
/* The samples of a job: those given to it, or new ones.  Free them as others. */
struct bli_emit_job;
BL_MUST_CHECK bl_status bli_vectors_of_job(const struct bli_emit_job *job, bli_vectors *out);
BL_MUST_CHECK bl_status bli_vectors_create(const bli_program *p, int samples, uint64_t seed, bli_vectors *out);
void bli_vectors_free(bli_vectors *v);

/* ---- backends (emit.c) ----------------------------------------------------------------------------------------- */
typedef struct bli_emit_job {
    bl_context *ctx;
    const bli_program *program;
    const bl_emit_options *options; /* complete: no NULL, no zero that means a default */
    const char *name;               /* of the project: an identifier */
    bli_names *names;               /* name is taken in it */
    bli_project *project;
    const bli_vectors *vectors; /* NULL: the backend makes its own */
} bli_emit_job;

typedef struct bli_emit_backend {
    const char *name, *help;
    bool strategies, io, clock; /* which of the options mean something to it */
    bl_status (*emit)(const bli_emit_job *job);
} bli_emit_backend;

extern const bli_emit_backend bli_emit_c, bli_emit_hls, bli_emit_verilog;

/* vectors: samples for the bench instead of new ones, or NULL. */
BL_MUST_CHECK bl_status bli_emit_with(bl_context *ctx, const bli_program *p, const char *folder,
                                      const bl_emit_options *options, const bli_vectors *vectors);
BL_MUST_CHECK bl_status bli_emit(bl_context *ctx, const bli_program *p, const char *folder,
                                 const bl_emit_options *options);

#endif
