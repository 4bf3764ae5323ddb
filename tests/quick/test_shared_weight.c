/* One weight behind two quantizers: both gradients reach it, in one order, whatever the number of threads.  Run under
 * TSan too. */
#include "support/test.h"

#include "support/nets.h"

enum { ROWS = 400, WIDTH = 48, CLASSES = 3 };

static int node(bl_graph *g, const char *type, const char *domain, int a, int b, const bl_attr *attrs, int count)
{
    const int in[] = {a, b};
    const bl_node n = {.name = "",
                       .type = type,
                       .domain = domain,
                       .inputs = in,
                       .num_inputs = b < 0 ? 1 : 2,
                       .num_outputs = 1,
                       .attrs = attrs,
                       .num_attrs = count};
    int out;
    assert_ok(bl_graph_context(g), bl_graph_add_node(g, &n, NULL, &out));
    return out;
}

static int quantized(bl_graph *g, int x, const char *format)
{
    const bl_attr attrs[] = {{.name = "format", .kind = BL_ATTR_STRING, .count = 1, .u.s = format},
                             {.name = "quantizer", .kind = BL_ATTR_STRING, .count = 1, .u.s = "ste"},
                             {.name = "place", .kind = BL_ATTR_STRING, .count = 1, .u.s = "weight"}};
    return node(g, "Quantize", "bitlathe", x, -1, attrs, 3);
}

static int weight(bl_graph *g, const char *name, int64_t in, int64_t out)
{
    bl_context *ctx = bl_graph_context(g);
    const bl_shape shape = {2, {in, out}};
    bl_tensor t;
    int id;
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &shape, &t));
    for (int64_t i = 0; i < in * out; i++)
        ((float *)t.data)[i] = (float)((i * 37 % 101) - 50) / 200;
    assert_ok(ctx, bl_graph_add_tensor(g, name, BL_ROLE_PARAMETER, "weight", &t, &id));
    bl_tensor_free(ctx, &t);
    return id;
}

/* x -> Q4(w) -> relu -> Q2(w) -> relu -> head, with the one w; apart: an Identity before the first quantizer, which
 * has the steps of weights run one after the other. */
static bl_graph *shared_net(bl_context *ctx, bool apart)
{
    bl_graph *g;
    int x;
    assert_ok(ctx, bl_graph_create(ctx, "shared", &g));
    assert_ok(ctx, bl_graph_add_input(g, "x", BL_F32, &(bl_shape){2, {-1, WIDTH}}, &x));
    const int w = weight(g, "w", WIDTH, WIDTH), head = weight(g, "head", WIDTH, CLASSES);
    const int same = apart ? node(g, "Identity", "", w, -1, NULL, 0) : w;
    const int first = quantized(g, same, "fixed<4,1,RND,SAT>"), second = quantized(g, w, "fixed<2,0,RND,SAT>");
    x = node(g, "Relu", "", node(g, "MatMul", "", x, first, NULL, 0), -1, NULL, 0);
    x = node(g, "Relu", "", node(g, "MatMul", "", x, second, NULL, 0), -1, NULL, 0);
    x = node(g, "MatMul", "", x, head, NULL, 0);
    assert_ok(ctx, bl_graph_set_outputs(g, &x, 1));
    assert_ok(ctx, bl_graph_infer(g));
    return g;
}

static void trained(int threads, bool apart, float w[WIDTH * WIDTH])
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, threads);
    toy_data d = toy_make(ctx, ROWS, WIDTH, CLASSES, 1);
    bl_graph *g = shared_net(ctx, apart), *m;
    bl_train_options o;
    bl_trainer *t;
    bl_train_options_init(&o);
    o.epochs = 6;
    o.batch = 50;
    o.slices = 4;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    memcpy(w, bl_graph_value(m, bl_graph_find_value(m, "w"))->data, WIDTH * WIDTH * sizeof *w);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void two_quantizers_of_one_weight_add_their_gradients_in_order(void **state)
{
    (void)state;
    static float one[WIDTH * WIDTH], more[WIDTH * WIDTH];
    trained(1, true, one);
    for (int threads = 1; threads <= 3; threads++) {
        trained(threads, false, more);
        assert_memory_equal(one, more, sizeof one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_quantizers_of_one_weight_add_their_gradients_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
