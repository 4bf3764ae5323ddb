/* bench_adders.c: adder graphs of random and given matrices: adders, counted cost, depth, milliseconds, one JSON object
 * a line; bench/adders.py sets the peers beside it.
 *
 * Usage: bench_adders [--matrix FILE.npy] [--inputs FILE.npy] [--constants FILE.npy] [--dump FILE] [--ternary]
 * [--by-adders]
 *                     [--effort N] [--extra-depth N] [--input-bits N] [--unsigned] [--large]
 *
 * --matrix: int64, [inputs, outputs]; without it, matrices of our own.  --inputs: int64, [inputs, 2], ranges.
 * --constants: int64, [outputs].  --large: layers of Fashion-MNIST's networks instead.  --dump writes the graph as text
 * for bench/adders.py.
 *
 * This program looks inside the library on purpose: adder graphs have no public name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/random.h"
#include "bitlathe/tensor.h"
#include "program/cmvm.h"

typedef struct arguments {
    const char *matrix, *inputs, *constants, *dump;
    bli_cmvm_options options;
    int input_bits;
    bool is_unsigned, large;
} arguments;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(bl_context *ctx, bl_status s)
{
    if (s == BL_OK)
        return;
    fprintf(stderr, "%s: %s\n", bl_status_name(s), bl_context_message(ctx));
    exit(1);
}

static void *room(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (p == NULL)
        exit(1);
    return p;
}

/* ---- one matrix ------------------------------------------------------------------------------------------------- */
typedef struct task {
    const char *name;
    int32_t n, m;
    const int64_t *matrix;
    const int64_t *ranges, *constants; /* or NULL */
} task;

static bli_adder_graph *solve(bl_context *ctx, const arguments *a, const task *t)
{
    bli_cmvm_input *inputs = room((size_t)t->n, sizeof *inputs);
    const int64_t half = (int64_t)1 << (a->input_bits - 1);
    bli_adder_graph *g;
    for (int32_t i = 0; i < t->n; i++)
        inputs[i] = t->ranges        ? (bli_cmvm_input){t->ranges[2 * i], t->ranges[2 * i + 1], 0}
                    : a->is_unsigned ? (bli_cmvm_input){0, 2 * half - 1, 0}
                                     : (bli_cmvm_input){-half, half - 1, 0};
    const bli_cmvm_problem p = {t->n, t->m, t->matrix, inputs, t->constants};
    must(ctx, bli_cmvm_solve(ctx, &p, &a->options, &g));
    free(inputs);
    return g;
}

/* The most that was ever in memory. */
static long mebibytes(void)
{
    struct rusage r;
    return getrusage(RUSAGE_SELF, &r) == 0 ? r.ru_maxrss / 1024 : 0;
}

static void report(const char *name, const bli_adder_graph *g, double seconds)
{
    const bli_adder_summary s = bli_adder_graph_summary(g);
    printf("{\"matrix\": \"%s\", \"inputs\": %d, \"outputs\": %d, \"adders\": %d, \"cost\": %lld, \"luts\": %lld, "
           "\"depth\": %d, \"ms\": %.2f, \"mib\": %ld}\n",
           name, g->num_inputs, g->num_outputs, s.adders, (long long)s.cost, (long long)s.luts, s.depth, 1e3 * seconds,
           mebibytes());
    fflush(stdout);
}

/* Lines "node lo hi constant {term shift negative}" and "out node shift negative constant". */
static void dump(const char *path, const bli_adder_graph *g)
{
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        perror(path);
        exit(1);
    }
    for (int32_t v = 0; v < g->num_nodes; v++) {
        const bli_adder_node *n = &g->nodes[v];
        fprintf(f, "node %lld %lld %lld", (long long)n->lo, (long long)n->hi, (long long)n->constant);
        for (int t = 0; t < n->num_terms; t++)
            fprintf(f, " %d %d %d", n->term[t].node, n->term[t].shift, n->term[t].negative);
        fprintf(f, "\n");
    }
    for (int32_t j = 0; j < g->num_outputs; j++)
        fprintf(f, "out %d %d %d %lld\n", g->outputs[j].node, g->outputs[j].shift, g->outputs[j].negative,
                (long long)g->outputs[j].constant);
    if (fclose(f) != 0)
        exit(1);
}

/* The least of up to five runs, of fewer where they are long. */
static void bench(bl_context *ctx, const arguments *a, const task *t)
{
    bli_adder_graph *g = NULL;
    double least = 1e9, all = 0;
    for (int k = 0; k < 5 && all < 0.5; k++) {
        bli_adder_graph_destroy(g);
        const double start = now();
        g = solve(ctx, a, t);
        const double seconds = now() - start;
        all += seconds;
        least = seconds < least ? seconds : least;
    }
    report(t->name, g, least);
    if (a->dump != NULL)
        dump(a->dump, g);
    bli_adder_graph_destroy(g);
}

/* ---- our own matrices ------------------------------------------------------------------------------------------- */
static int64_t draw(uint32_t bits, int width)
{
    if (width == 1)
        return bits & 1 ? 1 : -1;
    if (width == 0)
        return (int64_t)(bits % 3) - 1;
    return (int64_t)(bits >> (32 - width)) - ((int64_t)1 << (width - 1));
}

/* width: bits of a weight; 1 for ±1, 0 for -1, 0, 1. */
static void bench_random(bl_context *ctx, const arguments *a, int32_t n, int32_t m, int width)
{
    char name[64];
    int64_t *matrix = room((size_t)n * (size_t)m, sizeof *matrix);
    snprintf(name, sizeof name, "%s%dx%d", width == 1 ? "±1 " : width == 0 ? "ternary " : "", n, m);
    if (width > 1)
        snprintf(name, sizeof name, "%dx%d %d bit", n, m, width);
    const bli_stream s = bli_stream_make(1, 0, name);
    for (size_t k = 0; k < (size_t)n * (size_t)m; k++)
        matrix[k] = draw(bli_stream_u32(&s, k), width);
    bench(ctx, a, &(task){name, n, m, matrix, NULL, NULL});
    free(matrix);
}

/* int64 of rank 1 or 2; shape [1] is 1 for a vector.  NULL path: an empty tensor. */
static bl_tensor read_file(bl_context *ctx, const char *path)
{
    bl_tensor t = {0};
    if (path == NULL)
        return t;
    must(ctx, bl_npy_read(ctx, path, &t));
    if (t.type != BL_I64 || t.shape.rank < 1 || t.shape.rank > 2) {
        fprintf(stderr, "%s: expected a matrix of int64\n", path);
        exit(1);
    }
    return t;
}

static void bench_file(bl_context *ctx, const arguments *a)
{
    bl_tensor w = read_file(ctx, a->matrix), ranges = read_file(ctx, a->inputs), b = read_file(ctx, a->constants);
    if (w.shape.rank != 2 || (ranges.data && bl_shape_count(&ranges.shape) != 2 * w.shape.dim[0]) ||
        (b.data && bl_shape_count(&b.shape) != w.shape.dim[1])) {
        fprintf(stderr, "%s: shapes do not go together\n", a->matrix);
        exit(1);
    }
    bench(ctx, a, &(task){a->matrix, (int32_t)w.shape.dim[0], (int32_t)w.shape.dim[1], w.data, ranges.data, b.data});
    bl_tensor_free(ctx, &w);
    bl_tensor_free(ctx, &ranges);
    bl_tensor_free(ctx, &b);
}

static arguments parse(int argc, char **argv)
{
    arguments a = {.options = {.extra_depth = -1, .effort = 2}, .input_bits = 8};
    for (int k = 1; k < argc; k++) {
        const char *next = k + 1 < argc ? argv[k + 1] : "";
        if (strcmp(argv[k], "--ternary") == 0)
            a.options.ternary = true;
        else if (strcmp(argv[k], "--by-adders") == 0)
            a.options.by_adders = true;
        else if (strcmp(argv[k], "--unsigned") == 0)
            a.is_unsigned = true;
        else if (strcmp(argv[k], "--large") == 0)
            a.large = true;
        else if (strcmp(argv[k], "--matrix") == 0)
            a.matrix = next;
        else if (strcmp(argv[k], "--inputs") == 0)
            a.inputs = next;
        else if (strcmp(argv[k], "--constants") == 0)
            a.constants = next;
        else if (strcmp(argv[k], "--dump") == 0)
            a.dump = next;
        else if (strcmp(argv[k], "--effort") == 0)
            a.options.effort = atoi(next);
        else if (strcmp(argv[k], "--extra-depth") == 0)
            a.options.extra_depth = atoi(next);
        else if (strcmp(argv[k], "--input-bits") == 0)
            a.input_bits = atoi(next);
        k += strcmp(argv[k], "--ternary") != 0 && strcmp(argv[k], "--by-adders") != 0 &&
             strcmp(argv[k], "--unsigned") != 0 && strcmp(argv[k], "--large") != 0;
    }
    return a;
}

int main(int argc, char **argv)
{
    const arguments a = parse(argc, argv);
    bl_context *ctx;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    if (a.matrix != NULL) {
        bench_file(ctx, &a);
    } else if (a.large) { /* the most memory is the largest's, so the largest comes last */
        bench_random(ctx, &a, 144, 24, 6);
        bench_random(ctx, &a, 216, 42, 6);
        bench_random(ctx, &a, 784, 64, 3);
        bench_random(ctx, &a, 784, 64, 6);
        bench_random(ctx, &a, 784, 512, 1);
    } else {
        for (int32_t n = 8; n <= 64; n *= 2)
            bench_random(ctx, &a, n, n, 8);
        for (int32_t n = 16; n <= 64; n *= 2) {
            bench_random(ctx, &a, n, n, 1);
            bench_random(ctx, &a, n, n, 0);
        }
    }
    bl_context_destroy(ctx);
    return 0;
}
