/* benchmark_model.c: how long a TensorFlow graph takes, node by node. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmark.h"

static const cli_option options[] = {
    {"graph", CLI_TEXT, "FILE", "frozen graph", offsetof(cli_options, graph)},
    {"input_layer", CLI_TEXT, "NAMES", "inputs, with commas between; default input:0",
     offsetof(cli_options, input_layer)},
    {"input_layer_shape", CLI_TEXT, "SHAPES", "their shapes, with colons between; default 1,224,224,3",
     offsetof(cli_options, input_layer_shape)},
    {"input_layer_type", CLI_TEXT, "TYPES", "their types, with commas between (float, uint8, int32, int64, bool)",
     offsetof(cli_options, input_layer_type)},
    {"input_layer_values", CLI_TEXT, "VALUES",
     "what they hold, with colons between inputs: numbers that repeat, or nothing for noise",
     offsetof(cli_options, input_layer_values)},
    {"output_layer", CLI_TEXT, "NAMES", "outputs, with commas between; default output:0",
     offsetof(cli_options, output_layer)},
    {"max_num_runs", CLI_TEXT, "N", "runs at most; default 1000", offsetof(cli_options, max_num_runs)},
    {"max_time", CLI_TEXT, "S", "seconds at most; default 10", offsetof(cli_options, max_time)},
    {"warmup_runs", CLI_TEXT, "N", "runs before; default 1", offsetof(cli_options, warmup_runs)},
    {"init_ops", CLI_TEXT, "NAMES", "nodes that are run once before, with commas between",
     offsetof(cli_options, init_ops)},
    {"target_layer", CLI_TEXT, "NAMES", "nodes that are run without being asked for their outputs",
     offsetof(cli_options, target_layer)},
    {"inference_delay", CLI_TEXT, "S", "seconds between runs; default -1, none",
     offsetof(cli_options, inference_delay)},
    {"inter_benchmark_delay", CLI_TEXT, "S", "seconds between the two series of runs; default -1, none",
     offsetof(cli_options, inter_benchmark_delay)},
    {"num_threads", CLI_TEXT, "N", "for the original's sake: there is one thread", offsetof(cli_options, num_threads)},
    {"benchmark_name", CLI_TEXT, "NAME", "the name that results are written by", offsetof(cli_options, benchmark_name)},
    {"output_prefix", CLI_TEXT, "PREFIX", "results go to the file PREFIX with the benchmark's name behind, as JSON",
     offsetof(cli_options, output_prefix)},
    {"show_sizes", CLI_TEXT, "BOOL", "shapes and bytes of what nodes give; default false",
     offsetof(cli_options, show_sizes)},
    {"show_run_order", CLI_TEXT, "BOOL", "nodes in the order in which they run; default true",
     offsetof(cli_options, show_run_order)},
    {"run_order_limit", CLI_TEXT, "N", "so many of them; default 0, all", offsetof(cli_options, run_order_limit)},
    {"show_time", CLI_TEXT, "BOOL", "nodes that take longest; default true", offsetof(cli_options, show_time)},
    {"time_limit", CLI_TEXT, "N", "so many of them; default 10", offsetof(cli_options, time_limit)},
    {"show_memory", CLI_TEXT, "BOOL", "nodes that give most bytes; default true", offsetof(cli_options, show_memory)},
    {"memory_limit", CLI_TEXT, "N", "so many of them; default 10", offsetof(cli_options, memory_limit)},
    {"show_type", CLI_TEXT, "BOOL", "the share of each operator; default true", offsetof(cli_options, show_type)},
    {"show_summary", CLI_TEXT, "BOOL", "averages and memory; default true", offsetof(cli_options, show_summary)},
    {"show_flops", CLI_TEXT, "BOOL", "operations of products, two for each multiply-add; default false",
     offsetof(cli_options, show_flops)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

/* ---- arguments ----------------------------------------------------------------------------------------------- */
/* Cuts text at a character; the parts, at most `most`; SIZE_MAX: more. */
static size_t cut(char *text, char at, const char **parts, size_t most)
{
    size_t n = 0;
    for (char *p = text; p;) {
        if (n == most)
            return SIZE_MAX;
        parts[n++] = p;
        p = strchr(p, at);
        if (p)
            *p++ = 0;
    }
    return n;
}

static bl_status list(job *j, int slot, const char *given, const char *fallback, char at, const char **parts,
                      size_t *count)
{
    j->text[slot] = strdup(given ? given : fallback);
    if (!j->text[slot])
        return cli_fail(j->c, BL_NO_MEMORY, "out of memory");
    *count = cut(j->text[slot], at, parts, MOST_INPUTS);
    return *count == SIZE_MAX ? cli_fail(j->c, BL_LIMIT, "more than %d names in '%s'", MOST_INPUTS, given) : BL_OK;
}

static bl_status read_shape(cli *c, const char *text, bl_shape *s)
{
    s->rank = 0;
    for (const char *p = text; *p;) {
        char *end;
        const long long n = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || n < 1 || s->rank == BL_MAX_RANK)
            return cli_fail(c, BL_USAGE, "--input_layer_shape '%s' (expected numbers with commas between)", text);
        s->dim[s->rank++] = n;
        p = *end ? end + 1 : end;
    }
    return BL_OK;
}

static bl_status read_type(cli *c, const char *text, bl_dtype *type)
{
    static const struct {
        const char *name;
        bl_dtype type;
    } types[] = {{"float", BL_F32}, {"uint8", BL_U8}, {"int32", BL_I32}, {"int64", BL_I64}, {"bool", BL_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, text) == 0) {
            *type = types[i].type;
            return BL_OK;
        }
    return cli_fail(c, BL_USAGE, "--input_layer_type '%s' (expected float, uint8, int32, int64 or bool)", text);
}

static void put(bl_tensor *t, int64_t i, double v)
{
    switch (t->type) {
    case BL_F32:
        ((float *)t->data)[i] = (float)v;
        break;
    case BL_I32:
        ((int32_t *)t->data)[i] = (int32_t)v;
        break;
    case BL_I64:
        ((int64_t *)t->data)[i] = (int64_t)v;
        break;
    default:
        ((uint8_t *)t->data)[i] = t->type == BL_BOOL ? v >= 0.5 : (uint8_t)(v * (v < 1 ? 255 : 1));
    }
}

/* Numbers that repeat, the last one over what is left; none: noise between 0 and 1, the same every time. */
static bl_status fill(cli *c, const char *values, bl_tensor *t)
{
    const int64_t n = bl_shape_count(&t->shape);
    uint32_t noise = 1;
    double last = 0;
    const char *p = values ? values : "";
    for (int64_t i = 0; i < n; i++) {
        if (!values || !*values) {
            noise = noise * 1664525u + 1013904223u;
            put(t, i, (double)(noise >> 8) / 16777216.0);
            continue;
        }
        if (*p) {
            char *end;
            last = strtod(p, &end);
            if (end == p || (*end && *end != ',') || !(fabs(last) < 1e9))
                return cli_fail(c, BL_USAGE, "--input_layer_values '%s' (expected numbers)", values);
            p = *end ? end + 1 : end;
        }
        put(t, i, last);
    }
    return BL_OK;
}

static bl_status make_inputs(job *j)
{
    cli *c = j->c;
    const char *names[MOST_INPUTS], *shapes[MOST_INPUTS], *types[MOST_INPUTS], *values[MOST_INPUTS] = {NULL};
    size_t n, num_shapes, num_types, num_values = 0;
    char *text = c->o.input_layer_values ? strdup(c->o.input_layer_values) : NULL;
    bl_status s = list(j, 0, c->o.input_layer, "input:0", ',', names, &n);
    if (s == BL_OK)
        s = list(j, 1, c->o.input_layer_shape, "1,224,224,3", ':', shapes, &num_shapes);
    if (s == BL_OK)
        s = list(j, 2, c->o.input_layer_type, "float", ',', types, &num_types);
    if (s == BL_OK && text)
        num_values = cut(text, ':', values, MOST_INPUTS);
    if (s == BL_OK && (num_shapes != n || (num_types != n && c->o.input_layer_type)))
        s = cli_fail(c, BL_USAGE, "%zu inputs, %zu shapes and %zu types", n, num_shapes, num_types);
    for (size_t i = 0; s == BL_OK && i < n; i++) {
        bl_shape shape;
        bl_dtype type = BL_F32;
        s = read_shape(c, shapes[i], &shape);
        if (s == BL_OK)
            s = read_type(c, types[i < num_types ? i : 0], &type);
        if (s == BL_OK)
            s = bl_tensor_create(c->ctx, type, &shape, &j->in[i].tensor);
        if (s != BL_OK)
            break;
        j->in[i].name = names[i];
        j->num_in = i + 1;
        s = fill(c, num_values != SIZE_MAX && i < num_values ? values[i] : NULL, &j->in[i].tensor);
    }
    free(text);
    return s;
}

/* ---- running ------------------------------------------------------------------------------------------------- */
static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static node_time *place(stats *s, const char *name, const char *op)
{
    for (size_t i = 0; i < s->count; i++) {
        node_time *n = &s->nodes[(s->next + i) % s->count];
        if (strcmp(n->name, name) == 0) {
            s->next = ((size_t)(n - s->nodes) + 1) % s->count;
            return n;
        }
    }
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 256;
        node_time *grown = realloc(s->nodes, room * sizeof *grown);
        if (!grown)
            return NULL;
        s->nodes = grown;
        s->room = room;
    }
    node_time *n = &s->nodes[s->count];
    *n = (node_time){.name = strdup(name), .op = strdup(op), .place = s->count};
    if (n->name && n->op)
        s->count++;
    return n->name && n->op ? n : NULL;
}

static void on_node(void *user, const char *name, const char *op, int64_t nanoseconds, size_t bytes,
                    const bl_tensor *out)
{
    stats *s = user;
    node_time *n = place(s, name, op);
    s->failed |= n == NULL;
    if (!n)
        return;
    n->runs++;
    n->nanoseconds += nanoseconds;
    n->bytes = bytes;
    if (out)
        n->shape = out->shape;
}

static bl_status run_names(job *j, size_t num_in, const char *const *names, size_t count)
{
    bl_tensor y[2 * MOST_LAYERS];
    bl_status s = bl_tf_session_run(j->session, j->in, num_in, names, count, y);
    for (size_t i = 0; i < count; i++)
        bl_tensor_free(j->c->ctx, &y[i]);
    return s;
}

static void wait(double seconds)
{
    if (!(seconds > 0))
        return;
    const time_t whole = (time_t)seconds;
    nanosleep(&(struct timespec){whole, (long)((seconds - (double)whole) * 1e9)}, NULL);
}

/* The names of a list as "^name": run, not fetched. */
static bl_status targets(job *j, int slot, const char *given, const char **out, size_t *count)
{
    const char *names[MOST_LAYERS];
    size_t n = 0;
    *count = 0;
    if (!given || !*given)
        return BL_OK;
    bl_status s = list(j, slot, given, "", ',', names, &n);
    for (size_t i = 0; s == BL_OK && i < n; i++) {
        char *text = malloc(strlen(names[i]) + 2);
        if (!text)
            return cli_fail(j->c, BL_NO_MEMORY, "out of memory");
        sprintf(text, "^%s", names[i]);
        j->owned[j->num_owned++] = text;
        out[(*count)++] = text;
    }
    return s;
}

/* At most `runs` runs within `seconds`; the first always happens. */
static bl_status repeat(job *j, const char *what, double runs, double seconds)
{
    const int64_t start = now(CLOCK_MONOTONIC), start_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    int64_t least = INT64_MAX, most = 0, total = 0;
    int done = 0;
    while (done < runs && (done == 0 || (double)(now(CLOCK_MONOTONIC) - start) < seconds * 1e9)) {
        const int64_t from = now(CLOCK_MONOTONIC);
        if (done > 0)
            wait(j->inference_delay);
        bl_status s = run_names(j, j->num_in, j->out, j->num_out);
        if (s != BL_OK)
            return s;
        const int64_t took = now(CLOCK_MONOTONIC) - from;
        least = took < least ? took : least;
        most = took > most ? took : most;
        total += took;
        done++;
    }
    if (done == 0)
        return BL_OK;
    const double average = (double)total / done / 1000;
    const double cpu = (double)(now(CLOCK_PROCESS_CPUTIME_ID) - start_cpu) / done / 1000;
    if (!j->c->o.json && j->show.summary)
        printf("%s: %d runs, average %.1f us (processor %.1f us), least %.1f us, most %.1f us\n", what, done, average,
               cpu, (double)least / 1000, (double)most / 1000);
    cli_add(j->c, what,
            json_pack("{s:i, s:f, s:f, s:f, s:f}", "runs", done, "average_us", average, "cpu_us", cpu, "least_us",
                      (double)least / 1000, "most_us", (double)most / 1000));
    return BL_OK;
}

typedef struct number {
    const char *name, *text;
    double fallback, *out;
} number;

static bl_status read_numbers(job *j, double *runs, double *seconds, double *warmup, double *pause)
{
    const cli_options *o = &j->c->o;
    double threads, order, time, memory;
    const number numbers[] = {
        {"max_num_runs", o->max_num_runs, 1000, runs},
        {"max_time", o->max_time, 10, seconds},
        {"warmup_runs", o->warmup_runs, 1, warmup},
        {"inference_delay", o->inference_delay, -1, &j->inference_delay},
        {"inter_benchmark_delay", o->inter_benchmark_delay, -1, pause},
        {"num_threads", o->num_threads, -1, &threads},
        {"run_order_limit", o->run_order_limit, 0, &order},
        {"time_limit", o->time_limit, 10, &time},
        {"memory_limit", o->memory_limit, 10, &memory},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        bl_status s = cli_number_of(j->c, numbers[i].name, numbers[i].text, numbers[i].fallback, numbers[i].out);
        if (s != BL_OK)
            return s;
        if (!(fabs(*numbers[i].out) < 1e9))
            return cli_fail(j->c, BL_BAD_VALUE, "--%s '%s' (expected a number)", numbers[i].name, numbers[i].text);
    }
    j->show.order_limit = (long)order;
    j->show.time_limit = (long)time;
    j->show.memory_limit = (long)memory;
    return BL_OK;
}

static bl_status read_truth(cli *c, const char *name, const char *text, bool fallback, bool *out)
{
    *out = text ? strcmp(text, "true") == 0 || strcmp(text, "1") == 0 : fallback;
    if (!text || *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return BL_OK;
    return cli_fail(c, BL_USAGE, "--%s '%s' (expected true or false)", name, text);
}

static bl_status read_truths(job *j)
{
    const cli_options *o = &j->c->o;
    const struct {
        const char *name, *text;
        bool fallback, *out;
    } truths[] = {
        {"show_sizes", o->show_sizes, false, &j->show.sizes},
        {"show_run_order", o->show_run_order, true, &j->show.order},
        {"show_time", o->show_time, true, &j->show.time},
        {"show_memory", o->show_memory, true, &j->show.memory},
        {"show_type", o->show_type, true, &j->show.type},
        {"show_summary", o->show_summary, true, &j->show.summary},
        {"show_flops", o->show_flops, false, &j->show.flops},
    };
    bl_status s = BL_OK;
    for (size_t i = 0; s == BL_OK && i < sizeof truths / sizeof truths[0]; i++)
        s = read_truth(j->c, truths[i].name, truths[i].text, truths[i].fallback, truths[i].out);
    return s;
}

static bl_status open_graph(job *j)
{
    cli *c = j->c;
    const char *first[MOST_LAYERS];
    size_t num_first = 0, more = 0;
    bl_status s = c->o.graph ? make_inputs(j) : cli_fail(c, BL_USAGE, "--graph is missing");
    if (s == BL_OK)
        s = list(j, 3, c->o.output_layer, "output:0", ',', j->out, &j->num_out);
    if (s == BL_OK)
        s = targets(j, 4, c->o.target_layer, j->out + j->num_out, &more);
    j->num_out += more;
    if (s == BL_OK)
        s = targets(j, 5, c->o.init_ops, first, &num_first);
    if (s == BL_OK)
        s = bl_graphdef_read(c->ctx, c->o.graph, &j->g);
    if (s == BL_OK)
        s = bl_tf_session_create(j->g, &j->session);
    if (s == BL_OK && num_first > 0)
        s = run_names(j, 0, first, num_first);
    return s;
}

static bl_status work(job *j)
{
    double runs, seconds, warmup, pause;
    bl_status s = read_numbers(j, &runs, &seconds, &warmup, &pause);
    if (s == BL_OK)
        s = read_truths(j);
    if (s == BL_OK)
        s = open_graph(j);
    if (s == BL_OK)
        s = repeat(j, "warmup", warmup, seconds);
    if (s == BL_OK)
        s = repeat(j, "without_statistics", runs, seconds);
    if (s != BL_OK)
        return s;
    wait(pause);
    bl_tf_session_watch(j->session, on_node, &j->stats);
    s = repeat(j, "with_statistics", runs, seconds);
    if (s == BL_OK && j->stats.failed)
        s = cli_fail(j->c, BL_NO_MEMORY, "out of memory");
    bl_tf_session_watch(j->session, NULL, NULL);
    return s == BL_OK ? cli_benchmark_say(j) : s;
}

bl_status cli_benchmark_file(cli *c)
{
    job j = {.c = c};
    bl_status s = work(&j);
    for (size_t i = 0; i < j.num_in; i++)
        bl_tensor_free(c->ctx, &j.in[i].tensor);
    for (size_t i = 0; i < j.stats.count; i++) {
        free(j.stats.nodes[i].name);
        free(j.stats.nodes[i].op);
    }
    free(j.stats.nodes);
    for (size_t i = 0; i < j.num_owned; i++)
        free(j.owned[i]);
    for (int i = 0; i < MOST_LISTS; i++)
        free(j.text[i]);
    bl_tf_session_destroy(j.session);
    bl_graphdef_destroy(j.g);
    return s;
}

const cli_command cli_benchmark_model = {
    .name = "benchmark-model",
    .synopsis = "benchmark-model --graph FILE --input_layer NAMES --input_layer_shape SHAPES --output_layer NAMES",
    .help = "how long a TensorFlow graph takes, node by node",
    .text = "Runs a frozen graph again and again, first as it is, then watching every node, and prints averages, the\n"
            "nodes that take longest, and the time of each operator.",
    .options = options,
    .run = cli_benchmark_file};
