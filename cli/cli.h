/* cli.h: commands and options as tables.
 *
 * A command is one line in main.c's table and one file; its option table makes parsing, --help, the man page and the
 * nearest name of a misspelt option.  Standard output carries results only: with --json exactly one object.
 */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>
#include <stdio.h>

#include "bitlathe/bitlathe.h"

enum { CLI_MAX_SETS = 64, CLI_MAX_ARGS = 8 };

/* Every option of every command; a command's table says which it takes. */
typedef struct cli_options {
    bool json, quiet, help;
    int threads;
    const char *seed;
    bool pack, resume, no_test, no_model, check, as_float, exact, man, recipe, adders;
    const char *out, *data, *split, *target, *shape, *loss, *input, *output, *trace;
    const char *family, *simulator, *strategy;
    bool place;
    int seeds, limit;
    const char *name, *reuse, *io, *clock, *part, *samples;
    const char *in_graph, *out_graph, *inputs, *input_shapes, *outputs, *transforms;
    bool print_structure, output_as_text, compat;
    int ulps;
    const char *image, *graph, *labels, *root_dir, *input_layer, *output_layer; /* label_image, benchmark_model */
    const char *input_width, *input_height, *input_mean, *input_std;
    const char *input_layer_shape, *input_layer_type, *input_layer_values, *max_num_runs, *max_time, *warmup_runs;
    const char *init_ops, *target_layer, *inference_delay, *inter_benchmark_delay, *num_threads, *benchmark_name;
    const char *output_prefix, *show_sizes, *show_run_order, *run_order_limit, *show_time, *time_limit;
    const char *show_memory, *memory_limit, *show_type, *show_summary, *show_flops;
    bool self_test;
    const char *sets[CLI_MAX_SETS];
    int num_sets;
} cli_options;

typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_COUNT, CLI_SET } cli_kind;

typedef struct cli_option {
    const char *name; /* without "--"; NULL ends a table */
    cli_kind kind;
    const char *value; /* "FILE" in help; NULL for flags */
    const char *help;
    size_t offset; /* in cli_options */
} cli_option;

typedef struct cli_command cli_command;
typedef struct cli {
    bl_context *ctx;
    const cli_command *command;
    cli_options o;
    int num_args;
    const char *args[CLI_MAX_ARGS];
    json_t *result; /* what --json prints; commands add to it */
} cli;

struct cli_command {
    const char *name, *synopsis; /* "train RECIPE" */
    const char *help;            /* one line */
    const char *text;            /* paragraphs */
    const cli_option *options;
    int min_args, max_args;
    bl_status (*run)(cli *c);
};

extern const cli_command cli_train, cli_eval, cli_run, cli_inspect, cli_emit, cli_synth, cli_verify, cli_list, cli_help,
    cli_summarize_graph, cli_compare_graphs, cli_to_qonnx, cli_transform_graph;
extern const cli_command cli_label_image, cli_benchmark_model;
extern const cli_option cli_common[];
int cli_command_count(void);
const cli_command *cli_command_at(int i);
const cli_command *cli_command_find(const char *name);
const char *cli_command_nearest(const char *name); /* NULL: none is near */

bl_status cli_label_file(cli *c);     /* label_image.c; also under the old name */
bl_status cli_benchmark_file(cli *c); /* benchmark_model.c */

/* Numbers that an option holds as text; the default, or 0, where it was not given. */
bl_status cli_number_of(cli *c, const char *option, const char *text, double fallback, double *out);
bl_status cli_whole_of(cli *c, const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out);
/* A name that `bitlathe list KIND` shows, or that was not given. */
bl_status cli_listed(cli *c, const char *option, const char *text, const char *kind);

/* options.c.  Messages go to standard error; false: wrong usage. */
bool cli_parse(cli *c, int argc, char **argv);
void cli_print_usage(FILE *to);
void cli_print_help(FILE *to, const cli_command *command);
void cli_print_man(FILE *to);

/* report.c.  cli_fail prints nothing: it keeps the words for main to print. */
bl_status cli_fail(cli *c, bl_status s, const char *fmt, ...) BL_PRINTF(3, 4);
const char *cli_message(const cli *c);
void cli_note(const cli *c, const char *fmt, ...) BL_PRINTF(2, 3); /* to standard error unless --quiet */
void cli_add(cli *c, const char *key, json_t *value);              /* into the JSON result; steals value */
json_t *cli_number(double v);                                      /* null for NaN and infinities */
void cli_size_text(double bits, char *buf, size_t size);

/* exact.c.  *program NULL: the float graph it is (asked for, or the model does not lower: a note says why; with --exact
 * that fails).  A command checks its options first. */
#define CLI_EXACT_OPTIONS                                                                                              \
    {"exact", CLI_FLAG, NULL, "through the exact program or not at all", offsetof(cli_options, exact)},                \
    {                                                                                                                  \
        "float", CLI_FLAG, NULL, "through the float graph", offsetof(cli_options, as_float)                            \
    }
bl_status cli_exact_check(cli *c);
bl_status cli_exact(cli *c, const bl_graph *g, bl_program **program);
const char *cli_through(const bl_program *program);       /* "exact", "float" */
const char *cli_through_words(const bl_program *program); /* "exact program", "float graph" */
void cli_say_cut(cli *c, const bl_program *program);

/* emit.c.  What the options say; the model of the first argument as a project. */
bl_status cli_emit_options(cli *c, bl_emit_options *o);
bl_status cli_emit_model(cli *c, const char *folder, const bl_emit_options *o);

/* progress.c: a bar on a terminal, one line an epoch elsewhere. */
typedef struct cli_progress {
    bool quiet, terminal, drawn;
    bool classes; /* false: regression, which has no accuracy */
    double last_drawn;
    bl_train_progress last;
} cli_progress;
void cli_progress_init(cli_progress *p, const cli *c);
void cli_progress_show(void *user, const bl_train_progress *now); /* a bl_train_progress_fn */
void cli_progress_end(cli_progress *p);

/* old_names.c: TensorFlow's programs, found by the name that this one is called by: --flag=value, exit status 0 or 255.
 * false: it is called by its own name. */
bool cli_old_name(int argc, char **argv, int *exit_status);
bl_status cli_transform_file(cli *c);
bl_status cli_summarize_file(cli *c);
bl_status cli_compare_files(cli *c);

/* interrupt.c: Ctrl-C asks the context to stop; a second one ends the program. */
void cli_interrupt_install(bl_context *ctx);

#endif
