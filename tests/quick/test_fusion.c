/* Operators that a plan runs as one step: the same bits, forward and backward, as one after the other. */
#include "support/test.h"

#include <math.h>

#include "base/random.h"
#include "run/plan.h"

enum { ROWS = 3, MOST = 3 * 13 * 12 * 16 };

static bl_context *ctx;

static int open_context(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) == BL_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

typedef struct chain {
    int64_t height, width, channels, kernel, stride;
    const char *format;
} chain;

static int add(bl_graph *g, const char *name, const char *type, const char *domain, int input, const bl_attr *attrs,
               int num_attrs)
{
    int out;
    const bl_node n = {.name = name,
                       .type = type,
                       .domain = domain,
                       .num_inputs = 1,
                       .inputs = &input,
                       .num_outputs = 1,
                       .num_attrs = num_attrs,
                       .attrs = attrs};
    assert_ok(ctx, bl_graph_add_node(g, &n, NULL, &out));
    return out;
}

/* x -> Relu -> Quantize -> MaxPool */
static bl_graph *chain_graph(const chain *c)
{
    bl_graph *g;
    int x;
    const bl_shape shape = {4, {-1, c->height, c->width, c->channels}};
    const int64_t kernel[2] = {c->kernel, c->kernel}, strides[2] = {c->stride, c->stride};
    const bl_attr format = {"format", BL_ATTR_STRING, strlen(c->format), {.s = c->format}};
    const bl_attr window[2] = {{"kernel_shape", BL_ATTR_INTS, 2, {.ints = kernel}},
                               {"strides", BL_ATTR_INTS, 2, {.ints = strides}}};
    assert_ok(ctx, bl_graph_create(ctx, "chain", &g));
    assert_ok(ctx, bl_graph_add_input(g, "x", BL_F32, &shape, &x));
    const int r = add(g, "relu", "Relu", BLI_DOMAIN_ONNX, x, NULL, 0);
    const int q = add(g, "quant", "Quantize", BLI_DOMAIN_OWN, r, &format, 1);
    const int y = add(g, "pool", "MaxPool", BLI_DOMAIN_LAST, q, window, 2);
    assert_ok(ctx, bl_graph_set_outputs(g, &y, 1));
    return g;
}

typedef struct result {
    float y[MOST], dx[MOST];
    int steps;
} result;

/* Some values lie on ties, beyond the format's ends, are equal to others, or are no numbers. */
static void fill(float *x, size_t n, uint64_t draw, bool odd)
{
    const bli_stream s = bli_stream_make(7, draw, "fusion");
    for (size_t i = 0; i < n; i++)
        x[i] = (float)round(bli_stream_normal(&s, i) * 40) / 16;
    if (odd) {
        x[n / 2] = NAN;
        x[n / 3] = -INFINITY;
        x[n - 1] = INFINITY;
    }
}

/* Backward of all steps in turn; every value's gradient has its own memory. */
static void run(const bl_graph *g, bool apart, result *r)
{
    static float grad[4][MOST];
    bli_plan *p;
    const bli_plan_options o = {.training = true, .rows = ROWS, .slices = 1, .threads = 1, .all_global = apart};
    const bli_place at = {.rows = ROWS, .batch_rows = ROWS, .training = true};
    assert_ok(ctx, bli_plan_create(ctx, g, BL_F32, &o, &p));
    for (int s = 0; s < p->num_storages; s++) /* no byte is shared: the input is read backward too */
        p->storages[s].last = 100;
    assert_ok(ctx, bli_plan_layout(p));
    memset(grad, 0xff, sizeof grad); /* NaN, until something is written */
    const bl_tensor x = bli_plan_tensor(p, bl_graph_input(g, 0), &at);
    const int out = bl_graph_output(g, 0);
    bl_tensor y = bli_plan_tensor(p, out, &at);
    fill(x.data, (size_t)bl_shape_count(&x.shape), 0, true);
    fill(grad[p->num_steps], (size_t)bl_shape_count(&y.shape), 1, false);
    for (int i = 0; i < p->num_steps; i++)
        assert_ok(ctx, bli_plan_forward(p, i, &at, NULL));
    for (int i = p->num_steps - 1; i >= 0; i--) {
        bli_call c;
        bli_plan_call(p, &p->steps[i], &at, &c);
        c.grad_in[0] = c.in[0];
        c.grad_in[0].data = grad[i];
        c.grad_out[0] = c.out[0];
        c.grad_out[0].data = grad[i + 1];
        memset(p->scratch[0], 0xff, p->scratch_bytes);
        assert_ok(ctx, p->steps[i].op->backward(&c));
    }
    y = bli_plan_tensor(p, out, &at);
    memset(r, 0, sizeof *r);
    memcpy(r->y, y.data, (size_t)bl_shape_count(&y.shape) * sizeof(float));
    memcpy(r->dx, grad[0], (size_t)bl_shape_count(&x.shape) * sizeof(float));
    r->steps = p->num_steps;
    bli_plan_destroy(p);
}

static void check(const chain *c, int steps)
{
    static result one, three;
    bl_graph *g = chain_graph(c);
    run(g, false, &one);
    run(g, true, &three);
    if (one.steps != steps)
        print_error("%s, %d x %d: %d steps, expected %d\n", c->format, (int)c->height, (int)c->width, one.steps, steps);
    assert_int_equal(one.steps, steps);
    assert_int_equal(three.steps, 3);
    assert_memory_equal(one.y, three.y, sizeof one.y);
    assert_memory_equal(one.dx, three.dx, sizeof one.dx);
    bl_graph_destroy(g);
}

static void relu_quantizer_and_pool_are_one_step(void **state)
{
    (void)state;
    static const char *const formats[] = {"ufixed<6,2,RND_CONV,SAT>", "fixed<6,3,RND,SAT_SYM>", "ufixed<4,1,TRN,SAT>",
                                          "ufixed<30,3,RND_CONV,SAT>"};
    static const chain sizes[] = {
        {12, 12, 16, 2, 2, NULL}, {13, 11, 16, 2, 2, NULL}, {2, 2, 3, 2, 2, NULL}, {7, 12, 5, 2, 2, NULL}};
    for (size_t f = 0; f < BLI_COUNT(formats); f++)
        for (size_t s = 0; s < BLI_COUNT(sizes); s++) {
            chain c = sizes[s];
            c.format = formats[f];
            check(&c, 1);
        }
}

static void other_pools_and_formats_stay_apart(void **state)
{
    (void)state;
    check(&(chain){9, 9, 4, 3, 2, "ufixed<6,2,RND_CONV,SAT>"}, 2);
    check(&(chain){9, 9, 4, 2, 1, "ufixed<6,2,RND_CONV,SAT>"}, 2);
    check(&(chain){8, 8, 4, 2, 2, "ufixed<6,2,RND_CONV,WRAP>"}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_quantizer_and_pool_are_one_step),
        cmocka_unit_test(other_pools_and_formats_stay_apart),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
