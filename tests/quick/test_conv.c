/* Conv and ConvTranspose: exact on whole numbers against plain loops for random geometry, every instruction set and
 * carrier, forward and all gradients; the same bits however images are sliced. */
#include "support/test.h"

#include "op/conv_attrs.h"
#include "op/kernels/reference.h"
#include "support/op_call.h"

#include <math.h>

extern const bli_op bli_op_conv_last, bli_op_conv_transpose_last, bli_op_conv;

/* A node in a graph of its own, because setup reads shapes from a graph. */
typedef struct net {
    bl_context *ctx;
    bl_graph *graph;
    bli_arena *arena;
    const bl_node *node;
    const bli_op *op;
    const void *state;
    bli_conv_shape shape;
    bl_shape x, w, y;
} net;

typedef struct geometry {
    bool transposed, flat; /* flat: one-dimensional */
    int64_t channels, units, groups, size[2], kernel[2], stride[2], dilation[2], begin[2], end[2], extra[2];
    const char *auto_pad;
} geometry;

static int64_t pick(uint64_t *seed, int64_t least, int64_t greatest)
{
    return least + (int64_t)random_below(seed, (uint64_t)(greatest - least + 1));
}

/* Random, often small; may turn out impossible. */
static geometry random_geometry(uint64_t *seed, bool transposed)
{
    geometry g = {.transposed = transposed, .flat = random_below(seed, 4) == 0};
    g.groups = random_below(seed, 3) ? 1 : pick(seed, 1, 3);
    g.channels = g.groups * pick(seed, 1, random_below(seed, 3) ? 5 : 20);
    g.units = g.groups * pick(seed, 1, random_below(seed, 3) ? 20 : 50);
    if (random_below(seed, 6) == 0)
        g.groups = g.units = g.channels;
    for (int d = 0; d < 2; d++) {
        g.size[d] = pick(seed, 1, 9);
        g.kernel[d] = pick(seed, 1, 4);
        g.stride[d] = random_below(seed, 2) ? 1 : pick(seed, 1, 5);
        g.dilation[d] = random_below(seed, 3) ? 1 : pick(seed, 1, 3);
        g.begin[d] = pick(seed, 0, 2);
        g.end[d] = pick(seed, 0, 2);
        g.extra[d] = transposed && g.stride[d] > 1 ? pick(seed, 0, g.stride[d] - 1) : 0;
    }
    const char *const pads[] = {NULL, NULL, NULL, "SAME_UPPER", "SAME_LOWER", "VALID"};
    g.auto_pad = pads[random_below(seed, 6)];
    return g;
}

static bl_shape picture(const geometry *g, int64_t n, int64_t channels)
{
    return g->flat ? (bl_shape){3, {n, g->size[1], channels}} : (bl_shape){4, {n, g->size[0], g->size[1], channels}};
}

static bl_status add_layer(net *n, const geometry *g, int x, int w)
{
    const size_t dims = g->flat ? 1 : 2, from = 2 - dims;
    const int64_t pads[2][4] = {{g->begin[0], g->begin[1], g->end[0], g->end[1]}, {g->begin[1], g->end[1]}};
    const bl_attr attrs[] = {
        {"strides", BL_ATTR_INTS, dims, {.ints = g->stride + from}},
        {"dilations", BL_ATTR_INTS, dims, {.ints = g->dilation + from}},
        {"group", BL_ATTR_INT, 1, {.i = g->groups}},
        g->auto_pad ? (bl_attr){"auto_pad", BL_ATTR_STRING, 1, {.s = g->auto_pad}}
                    : (bl_attr){"pads", BL_ATTR_INTS, 2 * dims, {.ints = pads[g->flat]}},
        {"output_padding", BL_ATTR_INTS, dims, {.ints = g->extra + from}},
    };
    const int inputs[] = {x, w};
    const bl_node spec = {.name = "layer",
                          .type = g->transposed ? "ConvTranspose" : "Conv",
                          .domain = BLI_DOMAIN_LAST,
                          .num_inputs = 2,
                          .num_outputs = 1,
                          .num_attrs = g->transposed ? 5 : 4,
                          .inputs = inputs,
                          .attrs = attrs};
    int y;
    BLI_TRY(bl_graph_add_node(n->graph, &spec, NULL, &y));
    return bl_graph_set_outputs(n->graph, &y, 1);
}

static void net_close(net *n)
{
    bli_arena_destroy(n->arena);
    bl_graph_destroy(n->graph);
}

/* False when the geometry is impossible (a kernel that does not fit). */
static bool net_open(net *n, bl_context *ctx, const geometry *g)
{
    int x, w;
    *n = (net){.ctx = ctx, .op = g->transposed ? &bli_op_conv_transpose_last : &bli_op_conv_last};
    assert_ok(ctx, bl_graph_create(ctx, "g", &n->graph));
    assert_ok(ctx, bli_arena_create(ctx, &n->arena));
    const bl_shape xs = picture(g, -1, g->channels);
    const int64_t a = g->transposed ? g->channels : g->units, b = (g->transposed ? g->units : g->channels) / g->groups;
    const bl_shape ws =
        g->flat ? (bl_shape){3, {a, b, g->kernel[1]}} : (bl_shape){4, {a, b, g->kernel[0], g->kernel[1]}};
    bl_tensor weight;
    assert_ok(ctx, bl_graph_add_input(n->graph, "x", BL_F32, &xs, &x));
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &ws, &weight));
    assert_ok(ctx, bl_graph_add_tensor(n->graph, "w", BL_ROLE_PARAMETER, "weight", &weight, &w));
    bl_tensor_free(ctx, &weight);
    assert_ok(ctx, add_layer(n, g, x, w));
    n->node = bl_graph_node(n->graph, 0);
    n->x = xs;
    n->w = ws;
    if (bli_conv_parse(ctx, n->node, &xs, &ws, g->transposed, &n->shape, &n->y) != BL_OK) {
        net_close(n);
        return false;
    }
    assert_ok(ctx, n->op->setup(ctx, n->graph, n->node, n->arena, &n->state));
    return true;
}

enum { X, W, BIAS, Y, DY, DX, DW, DBIAS, EXPECT_Y, EXPECT_X, EXPECT_W, TENSORS };

static void tensors_open(const net *n, bl_dtype type, int64_t images, bl_tensor *t)
{
    bl_shape shapes[TENSORS] = {n->x, n->w, {1, {n->y.dim[n->y.rank - 1]}}, n->y};
    shapes[X].dim[0] = shapes[Y].dim[0] = images;
    shapes[DY] = shapes[EXPECT_Y] = shapes[Y];
    shapes[DX] = shapes[EXPECT_X] = shapes[X];
    shapes[DW] = shapes[EXPECT_W] = shapes[W];
    shapes[DBIAS] = shapes[BIAS];
    for (int i = 0; i < TENSORS; i++)
        assert_ok(n->ctx, bl_tensor_create(n->ctx, type, &shapes[i], &t[i]));
}

static void tensors_close(const net *n, bl_tensor *t)
{
    for (int i = 0; i < TENSORS; i++)
        bl_tensor_free(n->ctx, &t[i]);
}

static bli_call call_of(const net *n, bli_isa isa, const bl_tensor *t, bool bias)
{
    bli_call c = {.ctx = n->ctx, .node = n->node, .isa = isa, .state = n->state, .in = {t[X], t[W]}, .out = {t[Y]}};
    c.grad_out[0] = t[DY];
    c.grad_in[0] = t[DX];
    c.grad_in[1] = t[DW];
    if (bias) {
        c.in[2] = t[BIAS];
        c.grad_in[2] = t[DBIAS];
    }
    return c;
}

/* The three sums by their definitions; a transposed convolution reads them the other way round. */
static void reference(const net *n, const bl_tensor *t, bool transposed, bool bias)
{
    bli_reference_conv r = {.type = t[X].type,
                            .shape = &n->shape,
                            .images = t[X].shape.dim[0],
                            .w = t[W].data,
                            .bias = bias ? t[BIAS].data : NULL};
    r.x = t[X].data;
    r.y = transposed ? t[X].data : t[EXPECT_Y].data;
    if (transposed)
        bli_reference_conv_data(&r, t[EXPECT_Y].data);
    else
        bli_reference_conv_run(&r);
    r.bias = NULL;
    r.x = transposed ? t[DY].data : t[X].data;
    r.y = transposed ? t[EXPECT_X].data : t[DY].data;
    if (transposed)
        bli_reference_conv_run(&r);
    else
        bli_reference_conv_data(&r, t[EXPECT_X].data);
    r.y = transposed ? t[X].data : t[DY].data;
    bli_reference_conv_weight(&r, t[EXPECT_W].data);
}

static void check_bias_gradient(const bl_tensor *t)
{
    const int64_t units = t[BIAS].shape.dim[0];
    for (int64_t u = 0; u < units; u++) {
        double sum = 0;
        for (int64_t i = u; i < bl_shape_count(&t[DY].shape); i += units)
            sum += tensor_get(&t[DY], i);
        assert_true(tensor_get(&t[DBIAS], u) == sum);
    }
}

/* Every kernel from `first` on gives what the plain loops give. */
static void check_net(const net *n, bli_isa first, bl_dtype type, int64_t images, uint64_t *seed)
{
    const bool bias = random_below(seed, 2), transposed = n->op == &bli_op_conv_transpose_last;
    bl_tensor t[TENSORS];
    tensors_open(n, type, images, t);
    for (int i = X; i <= DBIAS; i++)
        fill_codes(&t[i], seed, type == BL_F64 ? 1 << 20 : 50, 1);
    reference(n, t, transposed, bias);
    for (bli_isa isa = first; isa <= bli_cpu_isa(); isa++) {
        bli_call c = call_of(n, isa, t, bias);
        call_prepare(n->op, &c);
        assert_ok(n->ctx, n->op->forward(&c));
        assert_ok(n->ctx, n->op->backward(&c));
        assert_tensor_equal(&t[Y], &t[EXPECT_Y], "forward");
        assert_tensor_equal(&t[DX], &t[EXPECT_X], "data gradient");
        assert_tensor_equal(&t[DW], &t[EXPECT_W], "weight gradient");
        if (bias)
            check_bias_gradient(t);
        call_done(&c);
    }
    tensors_close(n, t);
}

static int random_nets(bl_context *ctx, bool transposed, int count)
{
    uint64_t seed = 1;
    int checked = 0;
    for (int i = 0; i < count; i++) {
        net n;
        const geometry g = random_geometry(&seed, transposed);
        if (!net_open(&n, ctx, &g))
            continue;
        check_net(&n, BLI_ISA_GENERIC, i % 3 ? BL_F32 : BL_F64, pick(&seed, i % 20 > 0, i % 20 == 1 ? 17 : 2), &seed);
        net_close(&n);
        checked++;
    }
    return checked;
}

static void convolutions_of_whole_numbers_are_exact(void **state)
{
    assert_true(random_nets(*state, false, 160) > 100);
}

static void transposed_convolutions_of_whole_numbers_are_exact(void **state)
{
    assert_true(random_nets(*state, true, 160) > 80);
}

/* The layers that the networks of the benchmark are made of. */
static const geometry layers[] = {
    {.channels = 1, .units = 16, .groups = 1, .size = {28, 28}, .kernel = {3, 3}},
    {.channels = 16, .units = 16, .groups = 1, .size = {13, 13}, .kernel = {3, 3}},
    {.channels = 16, .units = 24, .groups = 1, .size = {5, 5}, .kernel = {3, 3}},
    {.channels = 16, .units = 32, .groups = 1, .size = {14, 14}, .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}},
    {.channels = 32, .units = 64, .groups = 1, .size = {8, 8}, .kernel = {3, 3}, .stride = {2, 2}, .begin = {1, 1}},
    {.channels = 64, .units = 64, .groups = 1, .size = {4, 4}, .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}},
    {.channels = 24, .units = 24, .groups = 24, .size = {7, 7}, .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}},
};

static geometry layer_at(size_t i)
{
    geometry g = layers[i];
    for (int d = 0; d < 2; d++) {
        g.stride[d] = g.stride[d] ? g.stride[d] : 1;
        g.dilation[d] = 1;
    }
    return g;
}

static void usual_layers_are_exact(void **state)
{
    uint64_t seed = 5;
    for (size_t i = 0; i < BLI_COUNT(layers); i++) {
        net n;
        const geometry g = layer_at(i);
        assert_true(net_open(&n, *state, &g));
        for (int64_t images = 1; images <= 9; images += 8)
            check_net(&n, bli_cpu_isa(), BL_F32, images, &seed);
        net_close(&n);
    }
}

static void check_slices(const net *n, bli_isa isa, uint64_t *seed)
{
    bl_tensor t[TENSORS];
    tensors_open(n, BL_F32, 19, t);
    for (int i = X; i <= DY; i++)
        fill_reals(&t[i], seed);
    bli_call c = call_of(n, isa, t, true);
    call_prepare(n->op, &c);
    c.out[0] = t[EXPECT_Y];
    c.grad_in[0] = t[EXPECT_X];
    assert_ok(n->ctx, n->op->forward(&c));
    assert_ok(n->ctx, n->op->backward(&c));
    for (int64_t step = 1; step < 19; step += 5) {
        fill_reals(&t[Y], seed);
        fill_reals(&t[DX], seed);
        for (int64_t i = 0; i < 19; i += step) {
            const int64_t rows = 19 - i < step ? 19 - i : step;
            c.in[0] = tensor_rows(&t[X], i, rows);
            c.out[0] = tensor_rows(&t[Y], i, rows);
            c.grad_out[0] = tensor_rows(&t[DY], i, rows);
            c.grad_in[0] = tensor_rows(&t[DX], i, rows);
            assert_ok(n->ctx, n->op->forward(&c));
            assert_ok(n->ctx, n->op->backward(&c));
        }
        assert_tensor_equal(&t[Y], &t[EXPECT_Y], "forward in slices");
        assert_tensor_equal(&t[DX], &t[EXPECT_X], "data gradient in slices");
    }
    call_done(&c);
    tensors_close(n, t);
}

static void images_have_the_same_bits_in_any_slices(void **state)
{
    uint64_t seed = 6;
    for (size_t i = 1; i < BLI_COUNT(layers); i++) {
        net n;
        geometry g = layer_at(i);
        g.size[0] = g.size[1] = 5;
        for (g.transposed = false;; g.transposed = true) {
            assert_true(net_open(&n, *state, &g));
            for (bli_isa isa = BLI_ISA_GENERIC; isa <= bli_cpu_isa(); isa++)
                check_slices(&n, isa, &seed);
            net_close(&n);
            if (g.transposed)
                break;
        }
    }
}

/* Steps so fine that only integers hold the sum: 2^40 + 1 - 2^40 in units of 2^-20 2^-20. */
static void sums_beyond_double_are_exact_on_the_wide_path(void **state)
{
    const int steps[BLI_MAX_IN] = {-20, -20, -50};
    for (int transposed = 0; transposed < 2; transposed++) {
        const geometry g = {.transposed = transposed,
                            .flat = true,
                            .channels = transposed ? 3 : 3,
                            .units = 1,
                            .groups = 1,
                            .size = {1, 1},
                            .kernel = {1, 1},
                            .stride = {1, 1},
                            .dilation = {1, 1}};
        net n;
        bl_tensor t[TENSORS];
        assert_true(net_open(&n, *state, &g));
        tensors_open(&n, BL_F64, 1, t);
        const double v[3] = {0x1p15, 0x1p-20, 0x1p15}, w[3] = {0x1p15, 0x1p-20, -0x1p15};
        for (int i = 0; i < 3; i++) {
            tensor_set(&t[X], i, v[i]);
            tensor_set(&t[W], i, w[i]);
        }
        tensor_set(&t[BIAS], 0, 0x1p-50);
        bli_call c = call_of(&n, bli_cpu_isa(), t, true);
        call_prepare(n.op, &c);
        c.wide_steps = steps;
        assert_ok(*state, n.op->forward(&c));
        assert_true(tensor_get(&t[Y], 0) == 0x1p-40 + 0x1p-50);
        call_done(&c);
        tensors_close(&n, t);
        net_close(&n);
    }
}

static void range_includes_the_missing_terms_of_borders(void **state)
{
    float weights[4] = {1, -2, 0.5f, -0.5f}; /* two units of one channel, kernel 2 */
    const bl_value x = {.type = BL_F32, .shape = {3, {-1, 6, 1}}, .role = BL_ROLE_COMPUTED};
    const bl_value w = {.type = BL_F32, .shape = {3, {2, 1, 2}}, .role = BL_ROLE_CONSTANT, .data = weights};
    const bl_node node = {.name = "l", .type = "Conv", .domain = BLI_DOMAIN_LAST};
    bli_range_call r = {.ctx = *state, .node = &node, .in = {&x, &w}};
    r.range_in[0] = (bli_range){true, 0, 1, 4};
    r.range_in[1] = (bli_range){true, -1, -2, 1};
    bli_op_conv_last.range(&r);
    assert_true(r.range_out[0].on_grid && r.range_out[0].step_exp == -1);
    assert_true(r.range_out[0].least == -8 && r.range_out[0].greatest == 4 && r.accumulator == 24);
}

static void impossible_geometry_is_refused_with_its_numbers(void **state)
{
    bl_context *ctx = *state;
    bli_conv_shape s;
    bl_shape y;
    const int64_t pads[] = {0, -1}, strides[] = {0};
    const bl_attr pad = {"pads", BL_ATTR_INTS, 2, {.ints = pads}},
                  stride = {"strides", BL_ATTR_INTS, 1, {.ints = strides}};
    const bl_attr odd = {"auto_pad", BL_ATTR_STRING, 1, {.s = "SAME"}};
    const bl_shape x = {3, {-1, 4, 2}}, w = {3, {3, 2, 5}}, small = {3, {3, 2, 2}}, other = {3, {3, 4, 2}};
    bl_node n = {.type = "Conv", .domain = BLI_DOMAIN_LAST};
    assert_fails(ctx, BL_BAD_MODEL, "extent 5 does not fit into 4", bli_conv_parse(ctx, &n, &x, &w, false, &s, &y));
    assert_fails(ctx, BL_BAD_MODEL, "does not fit 2 channels", bli_conv_parse(ctx, &n, &x, &other, false, &s, &y));
    n.num_attrs = 1;
    n.attrs = &pad;
    assert_fails(ctx, BL_BAD_MODEL, "attribute pads: value -1 at index 1",
                 bli_conv_parse(ctx, &n, &x, &small, false, &s, &y));
    n.attrs = &stride;
    assert_fails(ctx, BL_BAD_MODEL, "attribute strides: value 0 at index 0",
                 bli_conv_parse(ctx, &n, &x, &small, false, &s, &y));
    n.attrs = &odd;
    assert_fails(ctx, BL_BAD_MODEL, "'SAME', expected NOTSET", bli_conv_parse(ctx, &n, &x, &small, false, &s, &y));
    n.num_attrs = 0;
    n.domain = "";
    const bl_shape first = {3, {-1, 2, 4}};
    assert_ok(ctx, bli_conv_parse(ctx, &n, &first, &small, false, &s, &y));
    assert_true(y.rank == 3 && y.dim[0] == -1 && y.dim[1] == 3 && y.dim[2] == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_of_whole_numbers_are_exact),
        cmocka_unit_test(transposed_convolutions_of_whole_numbers_are_exact),
        cmocka_unit_test(usual_layers_are_exact),
        cmocka_unit_test(images_have_the_same_bits_in_any_slices),
        cmocka_unit_test(sums_beyond_double_are_exact_on_the_wide_path),
        cmocka_unit_test(range_includes_the_missing_terms_of_borders),
        cmocka_unit_test(impossible_geometry_is_refused_with_its_numbers),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
