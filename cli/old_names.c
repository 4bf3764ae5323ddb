/* old_names.c: this program called by the name of one of TensorFlow's.
 *
 * Flags are --name=value and nothing else (truth values also --name); what is not understood prints the usage.  Exit
 * status 0, 1 for graphs that differ, or 255 whatever went wrong, as theirs.  --json prints one JSON object instead of
 * text.
 */
#include <string.h>

#include "cli.h"

enum { DIFFERENT = 1, FAILED = 255 };

typedef struct flag {
    const char *name;
    cli_kind kind; /* CLI_TEXT or CLI_FLAG */
    size_t offset; /* in cli_options */
    const char *help;
} flag;

typedef struct program {
    const char *name;
    const flag *flags; /* a name NULL ends them */
    bl_status (*run)(cli *c);
    void (*more)(FILE *to); /* behind the flags in the usage; may be NULL */
    int num_args;           /* words that are no flags */
    const char *args;       /* in the usage, with a blank in front */
} program;

static const flag transform_flags[] = {
    {"in_graph", CLI_TEXT, offsetof(cli_options, in_graph), "input graph file name"},
    {"out_graph", CLI_TEXT, offsetof(cli_options, out_graph), "output graph file name"},
    {"inputs", CLI_TEXT, offsetof(cli_options, inputs), "inputs, with commas between"},
    {"outputs", CLI_TEXT, offsetof(cli_options, outputs), "outputs, with commas between"},
    {"transforms", CLI_TEXT, offsetof(cli_options, transforms), "list of transforms"},
    {"output_as_text", CLI_FLAG, offsetof(cli_options, output_as_text), "whether to write the graph as text"},
    {"compat", CLI_FLAG, offsetof(cli_options, compat), "whether to keep the known defects of the original"},
    {NULL, CLI_FLAG, 0, NULL}};

static const flag summarize_flags[] = {
    {"in_graph", CLI_TEXT, offsetof(cli_options, in_graph), "input graph file name"},
    {"print_structure", CLI_FLAG, offsetof(cli_options, print_structure), "whether to print the network connections"},
    {NULL, CLI_FLAG, 0, NULL}};
static const flag no_flags[] = {{NULL, CLI_FLAG, 0, NULL}};

static const flag label_flags[] = {
    {"image", CLI_TEXT, offsetof(cli_options, image), "image to be processed"},
    {"graph", CLI_TEXT, offsetof(cli_options, graph), "graph to be executed"},
    {"labels", CLI_TEXT, offsetof(cli_options, labels), "name of file containing labels"},
    {"input_width", CLI_TEXT, offsetof(cli_options, input_width), "resize image to this width in pixels"},
    {"input_height", CLI_TEXT, offsetof(cli_options, input_height), "resize image to this height in pixels"},
    {"input_mean", CLI_TEXT, offsetof(cli_options, input_mean), "scale pixel values to this mean"},
    {"input_std", CLI_TEXT, offsetof(cli_options, input_std), "scale pixel values to this std deviation"},
    {"input_layer", CLI_TEXT, offsetof(cli_options, input_layer), "name of input layer"},
    {"output_layer", CLI_TEXT, offsetof(cli_options, output_layer), "name of output layer"},
    {"self_test", CLI_FLAG, offsetof(cli_options, self_test), "run a self test"},
    {"root_dir", CLI_TEXT, offsetof(cli_options, root_dir), "interpret image and graph file names relative to this"},
    {NULL, CLI_FLAG, 0, NULL}};

static const flag benchmark_flags[] = {
    {"graph", CLI_TEXT, offsetof(cli_options, graph), "graph file name"},
    {"input_layer", CLI_TEXT, offsetof(cli_options, input_layer), "input layer names"},
    {"input_layer_shape", CLI_TEXT, offsetof(cli_options, input_layer_shape), "input layer shapes"},
    {"input_layer_type", CLI_TEXT, offsetof(cli_options, input_layer_type), "input layer types"},
    {"input_layer_values", CLI_TEXT, offsetof(cli_options, input_layer_values), "values to initialize the inputs with"},
    {"output_layer", CLI_TEXT, offsetof(cli_options, output_layer), "output layer name"},
    {"max_num_runs", CLI_TEXT, offsetof(cli_options, max_num_runs), "number of runs max"},
    {"max_time", CLI_TEXT, offsetof(cli_options, max_time), "length to run max"},
    {"warmup_runs", CLI_TEXT, offsetof(cli_options, warmup_runs), "how many runs to initialize the model"},
    {"init_ops", CLI_TEXT, offsetof(cli_options, init_ops), "init ops"},
    {"target_layer", CLI_TEXT, offsetof(cli_options, target_layer), "layer to run, in addition to the output layers"},
    {"inference_delay", CLI_TEXT, offsetof(cli_options, inference_delay), "delay between runs in seconds"},
    {"inter_benchmark_delay", CLI_TEXT, offsetof(cli_options, inter_benchmark_delay),
     "delay between benchmarks in seconds"},
    {"num_threads", CLI_TEXT, offsetof(cli_options, num_threads), "number of threads"},
    {"benchmark_name", CLI_TEXT, offsetof(cli_options, benchmark_name), "benchmark name"},
    {"output_prefix", CLI_TEXT, offsetof(cli_options, output_prefix), "benchmark output prefix"},
    {"show_sizes", CLI_TEXT, offsetof(cli_options, show_sizes), "whether to show sizes"},
    {"show_run_order", CLI_TEXT, offsetof(cli_options, show_run_order), "whether to list stats by run order"},
    {"run_order_limit", CLI_TEXT, offsetof(cli_options, run_order_limit), "how many items to show by run order"},
    {"show_time", CLI_TEXT, offsetof(cli_options, show_time), "whether to list stats by time taken"},
    {"time_limit", CLI_TEXT, offsetof(cli_options, time_limit), "how many items to show by time taken"},
    {"show_memory", CLI_TEXT, offsetof(cli_options, show_memory), "whether to list stats by memory used"},
    {"memory_limit", CLI_TEXT, offsetof(cli_options, memory_limit), "how many items to show by memory used"},
    {"show_type", CLI_TEXT, offsetof(cli_options, show_type), "whether to list stats by op type"},
    {"show_summary", CLI_TEXT, offsetof(cli_options, show_summary), "whether to show a summary of the stats"},
    {"show_flops", CLI_TEXT, offsetof(cli_options, show_flops), "whether to estimate the model's FLOPs"},
    {NULL, CLI_FLAG, 0, NULL}};

static void list_transforms(FILE *to)
{
    bl_tf_info info;
    fprintf(to, "\nTransforms are:\n");
    for (size_t i = 0; bl_tf_transform_at(i, &info); i++)
        fprintf(to, "%s\n", info.name);
}

static const program programs[] = {
    {.name = "transform_graph", .flags = transform_flags, .run = cli_transform_file, .more = list_transforms},
    {.name = "summarize_graph", .flags = summarize_flags, .run = cli_summarize_file},
    {.name = "compare_graphs", .flags = no_flags, .run = cli_compare_files, .num_args = 2, .args = " GRAPH GRAPH"},
    {.name = "label_image", .flags = label_flags, .run = cli_label_file},
    {.name = "benchmark_model", .flags = benchmark_flags, .run = cli_benchmark_file}};

static void usage(const program *p, const char *word)
{
    if (word)
        fprintf(stderr, "%s: unknown argument or bad value: %s\n", p->name, word);
    fprintf(stderr, "usage: %s%s\nFlags:\n", p->name, p->args ? p->args : "");
    for (const flag *f = p->flags; f->name; f++)
        fprintf(stderr, "\t--%s=%s\t%s\n", f->name, f->kind == CLI_FLAG ? "false" : "\"\"", f->help);
    if (p->more)
        p->more(stderr);
}

static bool is_one_of(const char *value, const char *a, const char *b)
{
    return strcmp(value, a) == 0 || strcmp(value, b) == 0;
}

static bool store(cli *c, const flag *f, const char *value)
{
    void *at = (char *)&c->o + f->offset;
    if (f->kind == CLI_TEXT) {
        value = value || strncmp(f->name, "show_", 5) != 0 ? value : "true"; /* a truth value with a default of true */
        *(const char **)at = value;
        return value != NULL;
    }
    *(bool *)at = !value || is_one_of(value, "true", "1");
    return !value || is_one_of(value, "true", "1") || is_one_of(value, "false", "0");
}

static bool parse(cli *c, const program *p, const char *word)
{
    if (strcmp(word, "--json") == 0) {
        c->o.json = true;
        return true;
    }
    if (strncmp(word, "--", 2) != 0) {
        c->args[c->num_args < p->num_args ? c->num_args : 0] = word;
        return ++c->num_args <= p->num_args;
    }
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    for (const flag *f = p->flags; f->name; f++)
        if (size == strlen(f->name) + 2 && strncmp(word, "--", 2) == 0 && strncmp(word + 2, f->name, size - 2) == 0)
            return store(c, f, equals ? equals + 1 : NULL);
    return false;
}

static void on_log(void *user, bl_log_level level, const char *line)
{
    (void)level;
    fprintf(stderr, "%s: %s\n", (const char *)user, line);
}

static int run(const program *p, cli *c)
{
    if (bl_context_create(NULL, &c->ctx) != BL_OK)
        return FAILED;
    c->result = json_object();
    bl_context_set_log(c->ctx, on_log, (void *)p->name);
    bl_status s = p->run(c);
    if (s != BL_OK && s != BL_MISMATCH)
        fprintf(stderr, "%s: %s\n", p->name, cli_message(c));
    if (s == BL_USAGE)
        usage(p, NULL);
    if (c->o.json && (s == BL_OK || s == BL_MISMATCH)) {
        json_dumpf(c->result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        putchar('\n');
    }
    json_decref(c->result);
    bl_context_destroy(c->ctx);
    if (fflush(stdout) != 0 || ferror(stdout))
        return FAILED;
    return s == BL_OK ? 0 : s == BL_MISMATCH ? DIFFERENT : FAILED;
}

bool cli_old_name(int argc, char **argv, int *exit_status)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    cli c = {.command = NULL};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        const program *p = &programs[i];
        if (strcmp(p->name, name) != 0)
            continue;
        *exit_status = FAILED;
        for (int k = 1; k < argc; k++)
            if (!parse(&c, p, argv[k])) {
                usage(p, argv[k]);
                return true;
            }
        if (c.num_args < p->num_args) {
            usage(p, NULL);
            return true;
        }
        *exit_status = run(p, &c);
        return true;
    }
    return false;
}
