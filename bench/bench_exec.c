/* bench_exec.c: the executor on programs of the shapes that its peers are measured on, random constants, one JSON line
 * a net and batch:  bench_exec [--threads N] [--isa NAME] [--seconds S] [--batch N] [--pack fast|always|never]
 * [--clock wall|cpu] [NET...].  cpu: of the calling thread, for machines that others use.  Programs are built here, not
 * trained, so this one looks inside the library on purpose.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bitlathe/bitlathe.h"
#include "program/program.h"

static bl_context *ctx;

static void must(bl_status s)
{
    if (s == BL_OK)
        return;
    fprintf(stderr, "bench_exec: %s: %s\n", bl_status_name(s), bl_context_message(ctx));
    exit(1);
}

static uint64_t seed = 1;

static int64_t between(int64_t low, int64_t high)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return low + (int64_t)((seed >> 33) % (uint64_t)(high - low + 1));
}

static int64_t *numbers(int64_t n, int64_t low, int64_t high)
{
    int64_t *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
    if (v == NULL)
        exit(1);
    for (int64_t i = 0; i < n; i++)
        do
            v[i] = between(low, high);
        while (low == -1 && high == 1 && v[i] == 0); /* binary */
    return v;
}

/* ---- layers ---------------------------------------------------------------------------------------------------------
 */

typedef struct net {
    bli_builder *b;
    int wire;
    int64_t weight_low, weight_high;
    int activation_bits; /* 1: signs */
    bool real_scales;    /* a scale per channel that is no power of two: rescale; otherwise round and saturate */
} net;

static void input(net *n, const char *format, int rank, int64_t d0, int64_t d1, int64_t d2)
{
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const bl_shape shape = {rank, {d0, d1, d2}};
    must(bl_format_parse(ctx, format, &in.format));
    must(bli_builder_input(n->b, &in, "x", &shape, &n->wire));
}

static void add(net *n, bli_prim_op op, const bl_shape *shape)
{
    op.num_in = 1;
    op.in[0] = n->wire;
    must(bli_builder_add(n->b, &op, "layer", "layer", shape, 0, &n->wire));
}

static int64_t channels(const net *n)
{
    const bl_shape *s = &bli_builder_wire(n->b, n->wire)->shape;
    return s->dim[s->rank - 1];
}

static void dense(net *n, int64_t m)
{
    add(n,
        (bli_prim_op){.kind = BLI_PRIM_DENSE,
                      .channels = m,
                      .weight = numbers(channels(n) * m, n->weight_low, n->weight_high),
                      .bias = numbers(m, -99, 99)},
        NULL);
}

static void conv(net *n, int64_t m, int kernel)
{
    add(n,
        (bli_prim_op){.kind = BLI_PRIM_CONV,
                      .channels = m,
                      .window = {{kernel, kernel}, {1, 1}, {1, 1}, {0}, 1},
                      .weight = numbers(channels(n) * m * kernel * kernel, n->weight_low, n->weight_high),
                      .bias = numbers(m, -99, 99)},
        NULL);
}

static void pool(net *n)
{
    add(n, (bli_prim_op){.kind = BLI_PRIM_MAXPOOL, .window = {{2, 2}, {2, 2}, {1, 1}, {0}, 1}}, NULL);
}

static void flatten(net *n)
{
    const bl_shape shape = {1, {bli_builder_wire(n->b, n->wire)->count}};
    add(n, (bli_prim_op){.kind = BLI_PRIM_RESHAPE}, &shape);
}

static void sign(net *n)
{
    const int64_t m = channels(n), base[1] = {-1};
    int64_t *step = numbers(m, 2, 2);
    bli_prim_op op = {.kind = BLI_PRIM_THRESHOLD,
                      .channels = m,
                      .length = 1,
                      .threshold = numbers(m, -50, 50),
                      .step = step,
                      .base = numbers(m, base[0], base[0])};
    add(n, op, NULL);
}

/* Brings the sums into the activation's bits: real scales as multiplier and shift, else a rounding and saturation. */
static void activation(net *n)
{
    if (n->activation_bits == 1) {
        sign(n);
        return;
    }
    const bli_span hull = bli_wire_hull(bli_builder_wire(n->b, n->wire));
    int64_t shift = 0;
    while (hull.high >> shift >= (int64_t)1 << (n->activation_bits + 2))
        shift++;
    const int64_t m = channels(n), top = ((int64_t)1 << n->activation_bits) - 1;
    if (n->real_scales) {
        add(n,
            (bli_prim_op){.kind = BLI_PRIM_RESCALE,
                          .channels = m,
                          .weight = numbers(m, 1 << 19, 1 << 20),
                          .bias = numbers(m, 1 << (19 + shift), 1 << (19 + shift)),
                          .low = numbers(m, 0, 0),
                          .high = numbers(m, top, top),
                          .shift = numbers(m, 20 + shift, 20 + shift)},
            NULL);
        return;
    }
    add(n, (bli_prim_op){.kind = BLI_PRIM_ROUND, .channels = 1, .rounding = BL_RND, .shift = &shift}, NULL);
    const int64_t bits = n->activation_bits;
    add(n, (bli_prim_op){.kind = BLI_PRIM_OVERFLOW, .channels = 1, .overflow = BL_SAT, .bits = &bits}, NULL);
}

/* ---- nets -----------------------------------------------------------------------------------------------------------
 */

static void mlp(net *n)
{
    static const int64_t units[] = {64, 32, 32};
    input(n, "ufixed<8,0,RND,SAT>", 1, 784, 0, 0);
    for (int i = 0; i < 3; i++) {
        dense(n, units[i]);
        activation(n);
    }
    dense(n, 10);
}

static void cnn(net *n)
{
    input(n, "ufixed<8,0,RND,SAT>", 3, 28, 28, 1);
    conv(n, 16, 3);
    activation(n);
    pool(n);
    conv(n, 16, 3);
    activation(n);
    pool(n);
    conv(n, 24, 3);
    activation(n);
    flatten(n);
    dense(n, 42);
    activation(n);
    dense(n, 64);
    activation(n);
    dense(n, 10);
}

static void jet(net *n)
{
    static const int64_t units[] = {64, 32, 32};
    input(n, "fixed<8,4,RND,SAT>", 1, 16, 0, 0);
    for (int i = 0; i < 3; i++) {
        dense(n, units[i]);
        activation(n);
    }
    dense(n, 5);
}

static void binary(net *n)
{
    input(n, "ufixed<8,0,RND,SAT>", 1, 784, 0, 0);
    dense(n, 512);
    activation(n);
    dense(n, 512);
    activation(n);
    dense(n, 10);
}

static void wide(net *n)
{
    input(n, "ufixed<8,0,RND,SAT>", 1, 784, 0, 0);
    for (int i = 0; i < 2; i++) {
        dense(n, 2048);
        activation(n);
    }
    dense(n, 10);
}

static const struct {
    const char *name;
    void (*make)(net *n);
    int64_t low, high;
    int bits;
    bool real_scales;
} nets[] = {
    {"mlp6", mlp, -31, 31, 6, false},   {"mlp6_scales", mlp, -31, 31, 6, true},
    {"cnn6", cnn, -31, 31, 6, false},   {"cnn6_scales", cnn, -31, 31, 6, true},
    {"jet6", jet, -31, 31, 6, false},   {"binary_mlp", binary, -1, 1, 1, false},
    {"wide1", wide, 0, 1, 4, false},    {"wide2", wide, -2, 1, 4, false},
    {"wide3", wide, -4, 3, 4, false},   {"wide4", wide, -8, 7, 4, false},
    {"wide5", wide, -15, 15, 4, false}, {"wide6", wide, -31, 31, 4, false},
    {"wide7", wide, -63, 63, 4, false},
};

static bli_program *build(size_t i)
{
    net n = {.weight_low = nets[i].low,
             .weight_high = nets[i].high,
             .activation_bits = nets[i].bits,
             .real_scales = nets[i].real_scales};
    bli_program *p;
    must(bli_builder_create(ctx, nets[i].name, &n.b));
    nets[i].make(&n);
    const bli_output o = {.wire = n.wire, .name = "y"};
    must(bli_builder_output(n.b, &o));
    must(bli_builder_finish(n.b, &p));
    bli_builder_destroy(n.b);
    return p;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------
 */

static clockid_t clock_of = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_of, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of several stretches: what the machine does when nobody disturbs it. */
static double rate(bl_executor *e, const float *x, float *y, int64_t rows, double seconds)
{
    const float *in[1] = {x};
    void *out[1] = {y};
    double best = 0;
    const double end = now() + seconds;
    int64_t repeat = 1;
    while (now() < end) {
        const double start = now();
        for (int64_t k = 0; k < repeat; k++)
            must(bl_executor_run(e, in, rows, out));
        const double took = now() - start;
        best = (double)(rows * repeat) / took > best ? (double)(rows * repeat) / took : best;
        if (took < 0.002)
            repeat *= 2;
    }
    return best;
}

enum { MOST_ROWS = 4096 };

static void measure(const char *name, const bl_program *p, const bl_executor_options *o, double seconds, int64_t batch)
{
    const int64_t batches[] = {1, 16, 256, MOST_ROWS};
    bl_executor *e;
    bl_port_info in, out;
    bl_wire_info x_wire, y_wire;
    must(bl_executor_create(ctx, p, o, &e));
    bl_program_input(p, 0, &in);
    bl_program_output(p, 0, &out);
    bl_program_wire(p, in.wire, &x_wire);
    bl_program_wire(p, out.wire, &y_wire);
    const int64_t count = bl_shape_count(&x_wire.shape), results = bl_shape_count(&y_wire.shape);
    float *x = malloc((size_t)(MOST_ROWS * count) * sizeof *x);
    float *y = malloc((size_t)(MOST_ROWS * results) * sizeof *y);
    if (x == NULL || y == NULL)
        exit(1);
    for (int64_t i = 0; i < MOST_ROWS * count; i++)
        x[i] = (float)between(0, 255) / 256.0f;
    for (size_t k = 0; k < sizeof batches / sizeof batches[0]; k++) {
        if (batch != 0 && batch != batches[k])
            continue;
        const double r = rate(e, x, y, batches[k], seconds);
        printf("{\"net\": \"%s\", \"isa\": \"%s\", \"threads\": %d, \"batch\": %lld, \"samples_per_second\": %.0f, "
               "\"microseconds\": %.3f, \"plain_ops\": %d}\n",
               name, bl_executor_isa(e), o->threads, (long long)batches[k], r, 1e6 * (double)batches[k] / r,
               bl_executor_plain_ops(e));
        fflush(stdout);
    }
    free(x);
    free(y);
    bl_executor_destroy(e);
}

static bool wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0;
}

int main(int argc, char **argv)
{
    bl_executor_options o = {.threads = 1};
    double seconds = 0.5;
    int64_t batch = 0;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2)
        if (strcmp(argv[at], "--threads") == 0)
            o.threads = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--isa") == 0)
            o.isa = argv[at + 1];
        else if (strcmp(argv[at], "--pack") == 0)
            o.pack = strcmp(argv[at + 1], "always") == 0  ? BL_PACK_ALWAYS
                     : strcmp(argv[at + 1], "never") == 0 ? BL_PACK_NEVER
                                                          : BL_PACK_FAST;
        else if (strcmp(argv[at], "--clock") == 0)
            clock_of = strcmp(argv[at + 1], "cpu") == 0 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
        else if (strcmp(argv[at], "--batch") == 0)
            batch = atoll(argv[at + 1]);
        else
            seconds = atof(argv[at + 1]);
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        if (!wanted(nets[i].name, argv + at, argc - at))
            continue;
        bli_program *p = build(i);
        measure(nets[i].name, p, &o, seconds, batch);
        bl_program_destroy(p);
    }
    bl_context_destroy(ctx);
    return 0;
}
