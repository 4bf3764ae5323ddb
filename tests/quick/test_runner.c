/* Running a graph: any number of rows, threads and pieces give the same bits; traces; exact sums on a grid.
 * Run under TSan too. */
#include "support/test.h"

#include "base/random.h"
#include "support/memory.h"
#include "support/nets.h"

enum { INPUTS = 20, CLASSES = 5 };

static bl_context *new_context(int threads)
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, threads);
    return ctx;
}

static bl_graph *quantized_net(bl_context *ctx, const char *weight)
{
    static const int widths[] = {33, CLASSES};
    return net_build(ctx, &(net_spec){.inputs = INPUTS,
                                      .layers = 2,
                                      .widths = widths,
                                      .seed = 5,
                                      .input = "fixed<8,2,RND,SAT>",
                                      .weight = weight,
                                      .bias = weight,
                                      .activation = "ufixed<6,3,RND,SAT>"});
}

static bl_tensor random_rows(bl_context *ctx, int64_t rows)
{
    bl_tensor x;
    const bl_shape shape = {2, {rows, INPUTS}};
    const bli_stream s = bli_stream_make(11, 0, "x");
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &shape, &x));
    for (int64_t i = 0; i < rows * INPUTS; i++)
        ((float *)x.data)[i] = (float)bli_stream_normal(&s, (uint64_t)i);
    return x;
}

static void rows_pieces_and_threads_change_no_bit(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 2, 63, 64, 65, 500};
    bl_context *one = new_context(1);
    bl_graph *g = quantized_net(one, "fixed<6,1,RND,SAT>");
    bl_tensor x = random_rows(one, 500), all;
    bl_runner *r;
    assert_ok(one, bl_runner_create(one, g, 500, &r));
    assert_ok(one, bl_runner_run(r, &x, &all));
    bl_runner_destroy(r);
    for (int threads = 1; threads <= 3; threads++) {
        bl_context *ctx = new_context(threads);
        bl_graph *h = quantized_net(ctx, "fixed<6,1,RND,SAT>");
        for (size_t i = 0; i < BLI_COUNT(sizes); i++) {
            bl_tensor part = x, y;
            part.shape.dim[0] = sizes[i];
            assert_ok(ctx, bl_runner_create(ctx, h, 100, &r));
            assert_ok(ctx, bl_runner_run(r, &part, &y));
            assert_int_equal(y.shape.dim[0], sizes[i]);
            if (sizes[i])
                assert_memory_equal(y.data, all.data, (size_t)sizes[i] * CLASSES * sizeof(float));
            bl_tensor_free(ctx, &y);
            bl_runner_destroy(r);
        }
        bl_graph_destroy(h);
        bl_context_destroy(ctx);
    }
    bl_tensor_free(one, &x);
    bl_tensor_free(one, &all);
    bl_graph_destroy(g);
    bl_context_destroy(one);
}

typedef struct seen {
    int count;
    bool output;
    const bl_tensor *y;
} seen;

static bl_status see(void *user, const char *name, const bl_tensor *t)
{
    seen *s = user;
    s->count++;
    if (strcmp(name, "relu1/activation_quant") == 0 || t->shape.dim[1] == 33)
        for (int64_t i = 0; i < bl_shape_count(&t->shape) && strstr(name, "activation"); i++) {
            const float v = ((const float *)t->data)[i] * 8; /* ufixed<6,3>: steps of 1/8 */
            assert_true(v == (float)(int)v && v >= 0 && v <= 63);
        }
    return BL_OK;
}

static void a_trace_names_every_value_on_its_grid(void **state)
{
    (void)state;
    bl_context *ctx = new_context(2);
    bl_graph *g = quantized_net(ctx, "fixed<6,1,RND,SAT>");
    bl_tensor x = random_rows(ctx, 130), y, again;
    bl_runner *r;
    seen s = {0};
    assert_ok(ctx, bl_runner_create(ctx, g, 64, &r));
    assert_ok(ctx, bl_runner_run(r, &x, &y));
    bl_runner_trace(r, see, &s);
    assert_ok(ctx, bl_runner_run(r, &x, &again));
    assert_true(s.count >= 7);
    assert_memory_equal(y.data, again.data, 130 * CLASSES * sizeof(float));
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_tensor_free(ctx, &again);
    bl_runner_destroy(r);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* 20 inputs of 8 bits times weights of 24 bits pass 2^24 steps: the runner must take float64 by itself.  Compared with
 * integers. */
static void sums_beyond_float_are_exact(void **state)
{
    (void)state;
    static const int widths[] = {7};
    bl_context *ctx = new_context(1);
    bl_graph *g = net_build(ctx, &(net_spec){.inputs = INPUTS,
                                             .layers = 1,
                                             .widths = widths,
                                             .seed = 5,
                                             .input = "fixed<16,2,RND,SAT>",
                                             .weight = "fixed<20,1,RND,SAT>"});
    bl_tensor x = random_rows(ctx, 40);
    bl_runner *r;
    bl_tensor y;
    assert_ok(ctx, bl_runner_create(ctx, g, 64, &r));
    assert_ok(ctx, bl_runner_run(r, &x, &y));
    const bl_value *w = bl_graph_value(g, bl_graph_find_value(g, "fc1.weight"));
    bl_format fx, fw;
    assert_ok(ctx, bl_format_parse(ctx, "fixed<16,2,RND,SAT>", &fx));
    assert_ok(ctx, bl_format_parse(ctx, "fixed<20,1,RND,SAT>", &fw));
    float xq[40 * INPUTS], wq[INPUTS * 7];
    assert_ok(ctx, bl_quantize(ctx, &fx, NULL, NULL, x.data, xq, 40 * INPUTS));
    assert_ok(ctx, bl_quantize(ctx, &fw, NULL, NULL, w->data, wq, INPUTS * 7));
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 7; j++) {
            int64_t sum = 0;
            for (int k = 0; k < INPUTS; k++)
                sum += (int64_t)(xq[i * INPUTS + k] * 0x1p14f) * (int64_t)(wq[k * 7 + j] * 0x1p19f);
            assert_true((float)((double)sum * 0x1p-33) == ((const float *)y.data)[i * 7 + j]);
        }
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_runner_destroy(r);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

static void a_wrong_shape_is_named(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    bl_graph *g = quantized_net(ctx, NULL);
    bl_runner *r;
    bl_tensor x, y;
    const bl_shape shape = {2, {3, INPUTS + 1}};
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &shape, &x));
    assert_ok(ctx, bl_runner_create(ctx, g, 8, &r));
    assert_fails(ctx, BL_BAD_VALUE, "[3, 21]", bl_runner_run(r, &x, &y));
    assert_null(y.data);
    bl_tensor_free(ctx, &x);
    bl_runner_destroy(r);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

static bl_status run_once(bl_context *ctx, void *arg)
{
    bl_runner *r;
    bl_tensor y = {0};
    float data[4 * INPUTS] = {0};
    const bl_tensor x = {BL_F32, {2, {4, INPUTS}}, data};
    bl_status s = bl_runner_create(ctx, arg, 3, &r);
    if (s == BL_OK)
        s = bl_runner_run(r, &x, &y);
    bl_tensor_free(ctx, &y);
    bl_runner_destroy(r);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    bl_graph *g = quantized_net(ctx, "fixed<6,1,RND,SAT>");
    assert_true(fail_each_allocation(run_once, g) > 10);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_pieces_and_threads_change_no_bit),
        cmocka_unit_test(a_trace_names_every_value_on_its_grid),
        cmocka_unit_test(sums_beyond_float_are_exact),
        cmocka_unit_test(a_wrong_shape_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
