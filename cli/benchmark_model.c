/* benchmark_model.c: how long a TensorFlow graph takes, node by node. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

enum { MOST_INPUTS = 16, MOST_LAYERS = 16, SHOWN = 10 };

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
    {NULL, CLI_FLAG, NULL, NULL, 0}};

/* One node's share, over all runs. */
typedef struct node_time {
    char *name, *op;
    int64_t runs, nanoseconds;
    size_t bytes;
} node_time;

typedef struct stats {
    node_time *nodes;
    size_t count, room, next; /* next: nodes come in the same order at every run */
    bool failed;
} stats;

typedef struct job {
    cli *c;
    bl_graphdef *g;
    bl_tf_session *session;
    char *text[4]; /* copies of lists, cut */
    bl_npz_entry in[MOST_INPUTS];
    size_t num_in;
    const char *out[MOST_LAYERS];
    size_t num_out;
    stats stats;
} job;

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
    *n = (node_time){strdup(name), strdup(op), 0, 0, 0};
    if (n->name && n->op)
        s->count++;
    return n->name && n->op ? n : NULL;
}

static void on_node(void *user, const char *name, const char *op, int64_t nanoseconds, size_t bytes,
                    const bl_tensor *out)
{
    stats *s = user;
    node_time *n = place(s, name, op);
    (void)out;
    s->failed |= n == NULL;
    if (!n)
        return;
    n->runs++;
    n->nanoseconds += nanoseconds;
    n->bytes = bytes;
}

static bl_status run_once(job *j)
{
    bl_tensor y[MOST_LAYERS];
    bl_status s = bl_tf_session_run(j->session, j->in, j->num_in, j->out, j->num_out, y);
    for (size_t i = 0; i < j->num_out; i++)
        bl_tensor_free(j->c->ctx, &y[i]);
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
        bl_status s = run_once(j);
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
    if (!j->c->o.json)
        printf("%s: %d runs, average %.1f us (processor %.1f us), least %.1f us, most %.1f us\n", what, done, average,
               cpu, (double)least / 1000, (double)most / 1000);
    cli_add(j->c, what,
            json_pack("{s:i, s:f, s:f, s:f, s:f}", "runs", done, "average_us", average, "cpu_us", cpu, "least_us",
                      (double)least / 1000, "most_us", (double)most / 1000));
    return BL_OK;
}

static int by_time(const void *a, const void *b)
{
    const node_time *x = a, *y = b;
    return x->nanoseconds < y->nanoseconds ? 1 : x->nanoseconds > y->nanoseconds ? -1 : strcmp(x->name, y->name);
}

static int by_op(const void *a, const void *b)
{
    return strcmp(((const node_time *)a)->op, ((const node_time *)b)->op);
}

static double total_of(const stats *s)
{
    double total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += (double)s->nodes[i].nanoseconds;
    return total > 0 ? total : 1;
}

static void say_nodes(job *j)
{
    const double total = total_of(&j->stats);
    json_t *rows = json_array();
    qsort(j->stats.nodes, j->stats.count, sizeof *j->stats.nodes, by_time);
    if (!j->c->o.json)
        printf("\nnodes by time:\n%12s %7s  %-24s %s\n", "average us", "%", "op", "name");
    for (size_t i = 0; i < j->stats.count; i++) {
        const node_time *n = &j->stats.nodes[i];
        const double us = (double)n->nanoseconds / (double)n->runs / 1000;
        if (i < SHOWN && !j->c->o.json)
            printf("%12.1f %6.2f%%  %-24s %s\n", us, 100 * (double)n->nanoseconds / total, n->op, n->name);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:f, s:I}", "name", n->name, "op", n->op, "average_us", us,
                                              "bytes", (json_int_t)n->bytes));
    }
    cli_add(j->c, "nodes", rows);
}

static void say_ops(job *j)
{
    const double total = total_of(&j->stats);
    stats *s = &j->stats;
    qsort(s->nodes, s->count, sizeof *s->nodes, by_op);
    if (!j->c->o.json)
        printf("\noperators:\n%12s %7s %7s  %s\n", "average us", "%", "nodes", "op");
    json_t *rows = json_object();
    for (size_t i = 0; i < s->count;) {
        size_t k = i;
        double time = 0;
        for (; k < s->count && strcmp(s->nodes[k].op, s->nodes[i].op) == 0; k++)
            time += (double)s->nodes[k].nanoseconds;
        const double us = time / (double)s->nodes[i].runs / 1000;
        if (!j->c->o.json)
            printf("%12.1f %6.2f%% %7zu  %s\n", us, 100 * time / total, k - i, s->nodes[i].op);
        json_object_set_new(rows, s->nodes[i].op, json_real(us));
        i = k;
    }
    cli_add(j->c, "ops", rows);
    cli_add(j->c, "peak_bytes", json_integer((json_int_t)bl_tf_session_peak(j->session)));
    if (!j->c->o.json)
        printf("\ntensors at once: %zu bytes at most\n", bl_tf_session_peak(j->session));
}

static bl_status work(job *j)
{
    cli *c = j->c;
    double runs, seconds, warmup;
    bl_status s = cli_number_of(c, "max_num_runs", c->o.max_num_runs, 1000, &runs);
    if (s == BL_OK)
        s = cli_number_of(c, "max_time", c->o.max_time, 10, &seconds);
    if (s == BL_OK)
        s = cli_number_of(c, "warmup_runs", c->o.warmup_runs, 1, &warmup);
    if (s == BL_OK && !c->o.graph)
        s = cli_fail(c, BL_USAGE, "--graph is missing");
    if (s == BL_OK)
        s = make_inputs(j);
    if (s == BL_OK)
        s = list(j, 3, c->o.output_layer, "output:0", ',', j->out, &j->num_out);
    if (s == BL_OK)
        s = bl_graphdef_read(c->ctx, c->o.graph, &j->g);
    if (s == BL_OK)
        s = bl_tf_session_create(j->g, &j->session);
    if (s == BL_OK)
        s = repeat(j, "warmup", warmup, seconds);
    if (s == BL_OK)
        s = repeat(j, "without_statistics", runs, seconds);
    if (s != BL_OK)
        return s;
    bl_tf_session_watch(j->session, on_node, &j->stats);
    s = repeat(j, "with_statistics", runs, seconds);
    if (s == BL_OK && j->stats.failed)
        s = cli_fail(c, BL_NO_MEMORY, "out of memory");
    if (s == BL_OK) {
        say_nodes(j);
        say_ops(j);
    }
    return s;
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
    for (int i = 0; i < 4; i++)
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
