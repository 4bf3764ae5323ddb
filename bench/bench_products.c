/* bench_products.c: dense layers and convolutions as training calls them (forward and data gradient slice by slice, the
 * dense weight gradient over the batch), in GFLOP/s and per cent of the processor's multiply-add peak, which a
 * register-only loop measures first.  Beside each, oneDNN's primitives on the same slices where the build found it.
 *
 * Usage: bench_products [generic|avx2|avx512].  This program looks inside the library on purpose: it measures kernels
 * that have no public name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "op/op.h"
#include "products/products.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_seconds(void (*fn)(void *arg), void *arg)
{
    double best = 1e9;
    fn(arg);
    for (int trial = 0; trial < 25; trial++) {
        int runs = 0;
        const double start = now();
        double end;
        do {
            fn(arg);
            runs++;
            end = now();
        } while (end - start < 0.002);
        if ((end - start) / runs < best)
            best = (end - start) / runs;
    }
    return best;
}

/* ---- peak --------------------------------------------------------------------------------------------------- */
#if defined(__x86_64__)
#include <immintrin.h>
enum { CHAINS = 12, ROUNDS = 100000 };
__attribute__((target("avx512f"))) static void peak_avx512(void *sink)
{
    __m512 x[CHAINS], y = _mm512_set1_ps(0.999f), z = _mm512_set1_ps(0.001f);
    for (int j = 0; j < CHAINS; j++)
        x[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < ROUNDS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            x[j] = _mm512_fmadd_ps(x[j], y, z);
    for (int j = 0; j < CHAINS; j++)
        *(float *)sink += _mm512_reduce_add_ps(x[j]);
}
__attribute__((target("avx2,fma"))) static void peak_avx2(void *sink)
{
    __m256 x[CHAINS], y = _mm256_set1_ps(0.999f), z = _mm256_set1_ps(0.001f);
    for (int j = 0; j < CHAINS; j++)
        x[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < ROUNDS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            x[j] = _mm256_fmadd_ps(x[j], y, z);
    for (int j = 0; j < CHAINS; j++) {
        float f[8];
        _mm256_storeu_ps(f, x[j]);
        *(float *)sink += f[0];
    }
}
static double peak(void)
{
    float sink = 0;
    const bool wide = bli_cpu_isa() == BLI_ISA_AVX512;
    const double seconds = bench_seconds(wide ? peak_avx512 : peak_avx2, &sink);
    return 2e-9 * CHAINS * ROUNDS * (wide ? 16 : 8) / seconds;
}
#else
static double peak(void)
{
    return 0;
}
#endif

/* The machine may be shared: the best of what was seen so far. */
static double peak_so_far(double top)
{
    const double again = peak();
    return again > top ? again : top;
}

/* oneDNN's threads are OpenMP's, which reads its environment before main: start again with one thread. */
static void use_one_thread(char **argv)
{
    if (!getenv("OMP_NUM_THREADS") && setenv("OMP_NUM_THREADS", "1", 1) == 0)
        execv("/proc/self/exe", argv);
}

/* ---- our kernels -------------------------------------------------------------------------------------------- */

/* A dense layer's slices are rows of the whole batch, which the weight gradient needs; a convolution's share the memory
 * of one slice, as in the engine, where a slice goes through the whole network before the next begins. */
typedef struct layer {
    const bli_op *op;
    bli_call whole;       /* the whole batch, or for convolutions one slice */
    bli_call slices[128]; /* prepared beforehand */
    int64_t batch, slice, count;
} layer;

static void *floats(const bl_shape *s)
{
    const size_t n = (size_t)bl_shape_count(s);
    float *p = aligned_alloc(64, (n * sizeof *p + 127) / 64 * 64);
    if (!p)
        exit(1);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)((int)(i * 7919 % 31) - 15);
    return p;
}

static bl_tensor tensor(bl_shape s)
{
    return (bl_tensor){BL_F32, s, floats(&s)};
}

static bl_tensor rows(const bl_tensor *t, int64_t first, int64_t n)
{
    bl_tensor part = *t;
    part.shape.dim[0] = n;
    part.data = (float *)t->data + first * (bl_shape_count(&t->shape) / t->shape.dim[0]);
    return part;
}

static bli_call slice_call(const layer *l, int64_t first)
{
    bli_call c = l->whole;
    c.in[0] = rows(&l->whole.in[0], first, l->slice);
    c.out[0] = rows(&l->whole.out[0], first, l->slice);
    c.grad_out[0] = rows(&l->whole.grad_out[0], first, l->slice);
    c.grad_in[0] = rows(&l->whole.grad_in[0], first, l->slice);
    return c;
}

static void must(bl_status s)
{
    if (s != BL_OK) {
        fprintf(stderr, "%s\n", bl_status_name(s));
        exit(1);
    }
}

static void run_prepare(void *arg)
{
    layer *l = arg;
    union {
        const void *in;
        void *out;
    } prep = {l->whole.prep};
    must(l->op->prepare(&l->whole, prep.out));
}

static void run_forward(void *arg)
{
    const layer *l = arg;
    for (int64_t i = 0; i < l->count; i++)
        must(l->op->forward(&l->slices[i]));
}

static void run_backward(void *arg)
{
    const layer *l = arg;
    for (int64_t i = 0; i < l->count; i++)
        must(l->op->backward(&l->slices[i]));
}

static void run_weight_grad(void *arg)
{
    const layer *l = arg;
    must(l->op->weight_grad(&l->whole, 0, 1));
}

static double time_data(layer *l)
{
    for (int64_t i = 0; i < l->count; i++)
        l->slices[i].grad_in[1].data = NULL;
    const double seconds = bench_seconds(run_backward, l);
    for (int64_t i = 0; i < l->count; i++)
        l->slices[i].grad_in[1].data = l->whole.grad_in[1].data;
    return seconds;
}

static double time_weight(layer *l)
{
    if (l->op->weight_grad)
        return bench_seconds(run_weight_grad, l);
    for (int64_t i = 0; i < l->count; i++)
        l->slices[i].grad_in[0].data = NULL;
    return bench_seconds(run_backward, l);
}

/* ---- the table ---------------------------------------------------------------------------------------------- */

static const bench_layer layers[] = {
#define DENSE(net, batch, slice, k, n)                                                                                 \
    {                                                                                                                  \
        net, batch, slice, {0, 0, k}, n, 0, 0, 1                                                                       \
    }
#define CONV(net, batch, slice, size, ci, co, pad, stride)                                                             \
    {                                                                                                                  \
        net, batch, slice, {size, size, ci}, co, 3, pad, stride                                                        \
    }
    DENSE("MLP", 128, 16, 784, 64),
    DENSE("MLP", 128, 16, 64, 32),
    DENSE("MLP", 128, 16, 32, 32),
    DENSE("MLP", 128, 16, 32, 10),
    DENSE("MLP", 1024, 128, 784, 64),
    DENSE("MLP", 1024, 128, 64, 32),
    DENSE("MLP", 1024, 128, 32, 32),
    DENSE("BinaryNet", 128, 16, 784, 512),
    DENSE("BinaryNet", 128, 16, 512, 512),
    DENSE("BinaryNet", 128, 16, 512, 10),
    DENSE("jet", 1024, 128, 16, 64),
    DENSE("jet", 1024, 128, 64, 32),
    DENSE("jet", 1024, 128, 32, 32),
    DENSE("jet", 1024, 128, 32, 5),
    CONV("CNN", 128, 16, 28, 1, 16, 0, 1),
    CONV("CNN", 128, 16, 13, 16, 16, 0, 1),
    CONV("CNN", 128, 16, 5, 16, 24, 0, 1),
    DENSE("CNN", 128, 16, 216, 42),
    DENSE("CNN", 128, 16, 42, 64),
    DENSE("CNN", 128, 16, 64, 10),
    CONV("residual", 128, 8, 28, 1, 16, 1, 1),
    CONV("residual", 128, 8, 28, 16, 16, 1, 1),
    CONV("residual", 128, 8, 28, 16, 32, 1, 2),
    CONV("residual", 128, 8, 14, 32, 32, 1, 1),
    CONV("residual", 128, 8, 14, 32, 64, 1, 2),
    CONV("residual", 128, 8, 7, 64, 64, 1, 1),
};

static int64_t out_size(const bench_layer *b)
{
    return (b->in[0] + 2 * b->pad - b->kernel) / b->stride + 1;
}

double bench_flops(const bench_layer *b)
{
    const double macs = (double)(b->batch * b->in[2] * b->units);
    return 2 * macs * (b->kernel ? (double)(b->kernel * b->kernel * out_size(b) * out_size(b)) : 1);
}

static bl_shape image(int64_t n, int64_t size, int64_t channels)
{
    return size ? (bl_shape){4, {n, size, size, channels}} : (bl_shape){2, {n, channels}};
}

typedef struct setup {
    bl_context *ctx;
    bl_graph *graph;
    bli_arena *arena;
    const bl_node *node;
} setup;

/* The layer as a one-node graph, so that the operator can parse it as it does in a plan. */
static setup node_of(const bench_layer *b)
{
    setup s = {0};
    int x, w, y;
    const bl_shape wshape =
        b->kernel ? (bl_shape){4, {b->units, b->in[2], b->kernel, b->kernel}} : (bl_shape){2, {b->in[2], b->units}};
    const bl_shape xshape = image(-1, b->in[0], b->in[2]);
    must(bl_context_create(NULL, &s.ctx));
    must(bl_graph_create(s.ctx, "bench", &s.graph));
    must(bli_arena_create(s.ctx, &s.arena));
    must(bl_graph_add_input(s.graph, "x", BL_F32, &xshape, &x));
    bl_tensor t = tensor(wshape);
    must(bl_graph_add_tensor(s.graph, "w", BL_ROLE_PARAMETER, "weight", &t, &w));
    free(t.data);
    const int64_t pads[4] = {b->pad, b->pad, b->pad, b->pad}, strides[2] = {b->stride, b->stride};
    const bl_attr attrs[2] = {{"pads", BL_ATTR_INTS, 4, {.ints = pads}},
                              {"strides", BL_ATTR_INTS, 2, {.ints = strides}}};
    const int inputs[2] = {x, w};
    const bl_node spec = {.name = "layer",
                          .type = b->kernel ? "Conv" : "MatMul",
                          .domain = b->kernel ? BLI_DOMAIN_LAST : BLI_DOMAIN_ONNX,
                          .num_inputs = 2,
                          .num_outputs = 1,
                          .num_attrs = b->kernel ? 2 : 0,
                          .inputs = inputs,
                          .attrs = attrs};
    must(bl_graph_add_node(s.graph, &spec, NULL, &y));
    must(bl_graph_set_outputs(s.graph, &y, 1));
    must(bl_graph_infer(s.graph));
    s.node = bl_graph_node(s.graph, 0);
    return s;
}

static layer *layer_of(const bench_layer *b, const setup *s, bli_isa isa)
{
    layer *l = calloc(1, sizeof *l);
    if (!l)
        exit(1);
    const int64_t held = b->kernel ? b->slice : b->batch;
    *l = (layer){.op = bli_op_find(s->node->type, s->node->domain), .slice = b->slice, .count = b->batch / b->slice};
    bli_call *c = &l->whole;
    *c = (bli_call){.ctx = s->ctx, .node = s->node, .training = true, .isa = isa, .rows_total = b->batch};
    c->in[0] = tensor(image(held, b->in[0], b->in[2]));
    c->in[1] = tensor(bl_graph_value(s->graph, s->node->inputs[1])->shape);
    c->out[0] = tensor(image(held, b->kernel ? out_size(b) : 0, b->units));
    c->grad_in[0] = tensor(c->in[0].shape);
    c->grad_in[1] = tensor(c->in[1].shape);
    c->grad_out[0] = tensor(c->out[0].shape);
    if (l->op->setup)
        must(l->op->setup(s->ctx, s->graph, s->node, s->arena, &c->state));
    const bli_call part = slice_call(l, 0);
    c->prep = aligned_alloc(64, (l->op->prep_size(c) + 127) / 64 * 64);
    c->scratch = l->op->scratch ? aligned_alloc(64, (l->op->scratch(&part) + 127) / 64 * 64) : NULL;
    for (int64_t i = 0; i < l->count; i++)
        l->slices[i] = slice_call(l, b->kernel ? 0 : i * b->slice);
    run_prepare(l);
    return l;
}

static void layer_free(layer *l)
{
    union {
        const void *in;
        void *out;
    } prep = {l->whole.prep};
    free(prep.out);
    free(l->whole.scratch);
    free(l->whole.in[0].data);
    free(l->whole.in[1].data);
    free(l->whole.out[0].data);
    free(l->whole.grad_in[0].data);
    free(l->whole.grad_in[1].data);
    free(l->whole.grad_out[0].data);
    free(l);
}

static void bench_one(const bench_layer *b, bli_isa isa, double top)
{
    setup s = node_of(b);
    layer *l = layer_of(b, &s, isa);
    const double flops = 1e-9 * bench_flops(b);
    const double f = bench_seconds(run_forward, l), d = time_data(l), w = time_weight(l);
    const double prep = bench_seconds(run_prepare, l);
    bench_rates other = {0, 0, 0};
    bench_dnnl(b, &other);
    if (b->kernel)
        printf("%-9s %4d/%-3d conv %2dx%2dx%-2d -> %-2d /%d ", b->net, (int)b->batch, (int)b->slice, (int)b->in[0],
               (int)b->in[0], (int)b->in[2], (int)b->units, (int)b->stride);
    else
        printf("%-9s %4d/%-3d dense %4d -> %-4d     ", b->net, (int)b->batch, (int)b->slice, (int)b->in[2],
               (int)b->units);
    printf("| %4.0f %3.0f%% %4.0f %3.0f%% %4.0f %3.0f%% | %5.2f%% | %4.0f %4.0f %4.0f\n", flops / f,
           100 * flops / f / top, flops / d, 100 * flops / d / top, flops / w, 100 * flops / w / top,
           100 * prep / (f + d + w), other.forward, other.data, other.weight);
    fflush(stdout);
    layer_free(l);
    bli_arena_destroy(s.arena);
    bl_graph_destroy(s.graph);
    bl_context_destroy(s.ctx);
}

int main(int argc, char **argv)
{
    use_one_thread(argv);
    bli_isa isa = bli_cpu_isa();
    for (bli_isa i = BLI_ISA_GENERIC; argc > 1 && i < BLI_ISA_COUNT; i++)
        if (strcmp(argv[1], bli_isa_name(i)) == 0)
            isa = i;
    double top = peak_so_far(peak());
    printf("%s kernels; float32 peak of one thread %.0f GFLOP/s\n", bli_isa_name(isa), top);
    printf("network batch/slice layer              | forward   data      weight    | pack   | oneDNN: same, GFLOP/s\n");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (argc < 3 || strstr(argv[2], layers[i].net))
            bench_one(&layers[i], isa, top = peak_so_far(top));
    return 0;
}
