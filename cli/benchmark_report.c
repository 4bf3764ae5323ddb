/* benchmark_report.c: what benchmark-model found, in tables: nodes in the order of running, by time, by memory;
 * operators; operations of products. */
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

static int by_time(const void *a, const void *b)
{
    const node_time *x = a, *y = b;
    return x->nanoseconds < y->nanoseconds ? 1 : x->nanoseconds > y->nanoseconds ? -1 : strcmp(x->name, y->name);
}

static int by_memory(const void *a, const void *b)
{
    const node_time *x = a, *y = b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : strcmp(x->name, y->name);
}

static int by_place(const void *a, const void *b)
{
    const node_time *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

static int by_op(const void *a, const void *b)
{
    const int order = strcmp(((const node_time *)a)->op, ((const node_time *)b)->op);
    return order ? order : by_place(a, b);
}

static double total_of(const stats *s)
{
    double total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += (double)s->nodes[i].nanoseconds;
    return total > 0 ? total : 1;
}

static double micros(const node_time *n)
{
    return (double)n->nanoseconds / (double)n->runs / 1000;
}

typedef struct nodes_table {
    const char *title;
    int (*order)(const void *, const void *);
    bool wanted;
    long limit;
} nodes_table;

static void print_table(job *j, const nodes_table *t)
{
    const double total = total_of(&j->stats);
    char shape[BL_MAX_RANK * 24 + 3];
    if (!t->wanted || j->c->o.json)
        return;
    qsort(j->stats.nodes, j->stats.count, sizeof *j->stats.nodes, t->order);
    printf("\nnodes by %s:\n%12s %7s %12s  %-24s %s\n", t->title, "average us", "%", "bytes", "op", "name");
    for (size_t i = 0; i < j->stats.count && (t->limit <= 0 || i < (size_t)t->limit); i++) {
        const node_time *n = &j->stats.nodes[i];
        bl_shape_print(&n->shape, shape, sizeof shape);
        printf("%12.1f %6.2f%% %12zu  %-24s %s%s%s\n", micros(n), 100 * (double)n->nanoseconds / total, n->bytes, n->op,
               n->name, j->show.sizes ? " " : "", j->show.sizes ? shape : "");
    }
}

static void add_nodes(job *j)
{
    json_t *rows = json_array();
    qsort(j->stats.nodes, j->stats.count, sizeof *j->stats.nodes, by_time);
    for (size_t i = 0; i < j->stats.count; i++) {
        const node_time *n = &j->stats.nodes[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:f, s:I}", "name", n->name, "op", n->op, "average_us",
                                              micros(n), "bytes", (json_int_t)n->bytes));
    }
    cli_add(j->c, "nodes", rows);
}

static void say_ops(job *j)
{
    const double total = total_of(&j->stats);
    const bool prints = j->show.type && !j->c->o.json;
    stats *s = &j->stats;
    qsort(s->nodes, s->count, sizeof *s->nodes, by_op);
    if (prints)
        printf("\noperators:\n%12s %7s %7s  %s\n", "average us", "%", "nodes", "op");
    json_t *rows = json_object();
    for (size_t i = 0; i < s->count;) {
        size_t k = i;
        double time = 0;
        for (; k < s->count && strcmp(s->nodes[k].op, s->nodes[i].op) == 0; k++)
            time += (double)s->nodes[k].nanoseconds;
        const double us = time / (double)s->nodes[i].runs / 1000;
        if (prints)
            printf("%12.1f %6.2f%% %7zu  %s\n", us, 100 * time / total, k - i, s->nodes[i].op);
        json_object_set_new(rows, s->nodes[i].op, json_real(us));
        i = k;
    }
    cli_add(j->c, "ops", rows);
}

/* ---- operations ------------------------------------------------------------------------------------------------- */
/* The second input's elements, of which each unit of the result uses its share. */
static bl_status filter_of(job *j, const char *node, int64_t *elements)
{
    bl_graphdef_node n;
    bl_tensor y;
    *elements = 0;
    for (size_t i = 0; bl_graphdef_node_at(j->g, i, &n); i++)
        if (strcmp(n.name, node) == 0 && n.num_inputs > 1) {
            bl_status s = bl_tf_session_run(j->session, j->in, j->num_in, &n.inputs[1], 1, &y);
            if (s == BL_OK)
                *elements = bl_shape_count(&y.shape);
            bl_tensor_free(j->c->ctx, &y);
            return s;
        }
    return BL_OK;
}

static bl_status say_flops(job *j)
{
    static const char *const ops[] = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "QuantizedConv2D",
                                      "QuantizedMatMul"};
    double flops = 0;
    for (size_t i = 0; i < j->stats.count; i++) {
        const node_time *n = &j->stats.nodes[i];
        bool counts = false;
        for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++)
            counts |= strcmp(ops[k], n->op) == 0;
        int64_t elements = 0;
        if (!counts || n->shape.rank < 1 || n->shape.dim[n->shape.rank - 1] < 1)
            continue;
        bl_status s = filter_of(j, n->name, &elements);
        if (s != BL_OK)
            return s;
        const double units = (double)n->shape.dim[n->shape.rank - 1];
        flops += 2 * (double)bl_shape_count(&n->shape) * ((double)elements / units);
    }
    if (!j->c->o.json)
        printf("\nFLOPs: %.0f\n", flops);
    cli_add(j->c, "flops", json_real(flops));
    return BL_OK;
}

static bl_status write_results(job *j)
{
    const char *prefix = j->c->o.output_prefix, *name = j->c->o.benchmark_name;
    char path[4096];
    if (!prefix || !*prefix || !name || !*name)
        return BL_OK;
    const int n = snprintf(path, sizeof path, "%s%s", prefix, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return cli_fail(j->c, BL_LIMIT, "%s%s: the path is too long", prefix, name);
    if (json_dump_file(j->c->result, path, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) != 0)
        return cli_fail(j->c, BL_IO, "%s: cannot be written", path);
    return BL_OK;
}

bl_status cli_benchmark_say(job *j)
{
    const nodes_table tables[] = {
        {"run order", by_place, j->show.order || j->show.sizes, j->show.order_limit},
        {"time", by_time, j->show.time, j->show.time_limit},
        {"memory", by_memory, j->show.memory, j->show.memory_limit},
    };
    const size_t peak = bl_tf_session_peak(j->session);
    bl_status s = BL_OK;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        print_table(j, &tables[i]);
    add_nodes(j);
    say_ops(j);
    cli_add(j->c, "peak_bytes", json_integer((json_int_t)peak));
    if (!j->c->o.json && j->show.summary)
        printf("\ntensors at once: %zu bytes at most\n", peak);
    if (j->show.flops)
        s = say_flops(j);
    return s == BL_OK ? write_results(j) : s;
}
