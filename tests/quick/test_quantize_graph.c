/* Quantize nodes in graphs: what inference refuses, ranges, and widths per element through a plan. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/bitlathe.h"
#include "num/num.h"
#include "op/quantizer.h"
#include "support/data_files.h"

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

enum { DEPTH = 6, UNITS = 7 };

static bl_attr text(const char *name, const char *value)
{
    bl_attr a = {.name = name, .kind = BL_ATTR_STRING, .count = 1};
    a.u.s = value;
    return a;
}

/* Input [N, DEPTH] -> MatMul with Quantize(w) [DEPTH, UNITS]; extra inputs of the Quantize node by id, -1 for none. */
typedef struct net {
    bl_graph *g;
    int x, w, q, y;
} net;

static net net_open(const float *weights)
{
    net n = {0};
    const bl_shape in = {2, {-1, DEPTH}};
    bl_tensor w = {BL_F32, {2, {DEPTH, UNITS}}, NULL};
    float zero[DEPTH * UNITS] = {0};
    assert_ok(ctx, bl_graph_create(ctx, "net", &n.g));
    assert_ok(ctx, bl_graph_add_input(n.g, "x", BL_F32, &in, &n.x));
    memcpy(zero, weights, sizeof zero);
    w.data = zero;
    assert_ok(ctx, bl_graph_add_tensor(n.g, "w", BL_ROLE_PARAMETER, "weight", &w, &n.w));
    return n;
}

static bl_status net_close(net *n, const bl_attr *attrs, int count, int of, int scale, int bits)
{
    const int quantize[3] = {of, scale, bits};
    bl_node q = {.name = "q",
                 .type = "Quantize",
                 .domain = BLI_DOMAIN_OWN,
                 .num_inputs = 3,
                 .num_outputs = 1,
                 .inputs = quantize,
                 .num_attrs = count,
                 .attrs = attrs};
    assert_ok(ctx, bl_graph_add_node(n->g, &q, NULL, &n->q));
    const int product[2] = {of == n->x ? n->q : n->x, of == n->x ? n->w : n->q};
    bl_node m = {.name = "m", .type = "MatMul", .domain = "", .num_inputs = 2, .num_outputs = 1, .inputs = product};
    assert_ok(ctx, bl_graph_add_node(n->g, &m, NULL, &n->y));
    assert_ok(ctx, bl_graph_set_outputs(n->g, &n->y, 1));
    return bl_graph_infer(n->g);
}

static int constant(net *n, const char *name, bl_dtype type, bl_shape shape, void *data)
{
    int id;
    bl_tensor t = {type, shape, data};
    assert_ok(ctx, bl_graph_add_tensor(n->g, name, BL_ROLE_CONSTANT, "", &t, &id));
    return id;
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    float weights[DEPTH * UNITS] = {0}, scale[2 * UNITS] = {1, 1, 1, 1, 1, 1, 1};
    const bl_attr learned[] = {text("format", "int<4>"), text("scale", "learned"), text("granularity", "channel")};
    const bl_attr plain[] = {text("format", "int<4>")}, wrong[] = {text("format", "int<99>")};
    const bl_attr none[] = {text("place", "weight")}, unknown[] = {text("quantizer", "lsg")};
    const bl_attr automatic[] = {text("format", "int<4>"), text("scale", "po2")};
    const bl_attr integer[] = {{.name = "format", .kind = BL_ATTR_INT, .count = 1}};
    const bl_attr mx[] = {text("format", "mx<e4m3,4>")};
    const struct {
        const bl_attr *attrs;
        int count;
        bool of_input, has_scale, has_bits;
        bl_shape side;
        const char *words;
    } cases[] = {
        {learned, 3, false, false, false, {0}, "needs its learned scale"},
        {learned, 3, false, true, false, {1, {3}}, "3 scales, expected 1 or 7"},
        {plain, 1, false, true, false, {1, {1}}, "takes no scale input"},
        {plain, 1, false, false, true, {2, {2, UNITS}}, "widths [2, 7] do not broadcast to [6, 7]"},
        {mx, 1, false, false, true, {1, {UNITS}}, "widths are for fixed, int and affine"},
        {wrong, 1, false, false, false, {0}, "99"},
        {none, 1, false, false, false, {0}, "needs attribute format"},
        {unknown, 1, false, false, false, {0}, "did you mean 'lsq'?"},
        {automatic, 2, true, false, false, {0}, "only parameters allow"},
        {integer, 1, false, false, false, {0}, "attribute format: expected text"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        net n = net_open(weights);
        int side = cases[i].has_scale || cases[i].has_bits ? constant(&n, "s", BL_F32, cases[i].side, scale) : -1;
        bl_status s = net_close(&n, cases[i].attrs, cases[i].count, cases[i].of_input ? n.x : n.w,
                                cases[i].has_scale ? side : -1, cases[i].has_bits ? side : -1);
        if (s == BL_OK || !strstr(bl_context_message(ctx), cases[i].words) || !strstr(bl_context_message(ctx), "'q'"))
            fail_msg("case %zu: %s, expected '%s'", i, s == BL_OK ? "accepted" : bl_context_message(ctx),
                     cases[i].words);
        bl_graph_destroy(n.g);
    }
}

/* Widths 1..32 per element: the plan takes float64 by itself, and the sums are those of exact values. */
static void any_width_per_element_runs_exactly(void **state)
{
    (void)state;
    float weights[DEPTH * UNITS], x[4 * DEPTH];
    int64_t widths[DEPTH * UNITS];
    uint32_t seed = 77;
    for (int i = 0; i < DEPTH * UNITS; i++) {
        weights[i] = (float)(next_random(&seed) % 65536) / 32768.0f - 1;
        widths[i] = 1 + i % 32;
    }
    for (int i = 0; i < 4 * DEPTH; i++)
        x[i] = (float)(next_random(&seed) % 16) - 8;
    net n = net_open(weights);
    const bl_attr attrs[] = {text("format", "fixed<8,1,RND,SAT>"), text("granularity", "element")};
    int bits = constant(&n, "widths", BL_I64, (bl_shape){2, {DEPTH, UNITS}}, widths);
    assert_ok(ctx, net_close(&n, attrs, 2, n.w, -1, bits));
    bl_runner *r;
    bl_tensor in = {BL_F32, {2, {4, DEPTH}}, x}, y;
    assert_ok(ctx, bl_runner_create(ctx, n.g, 4, &r));
    assert_ok(ctx, bl_runner_run(r, &in, &y));
    bl_format f;
    assert_ok(ctx, bl_format_parse(ctx, "fixed<8,1,RND,SAT>", &f));
    for (int row = 0; row < 4; row++) {
        for (int u = 0; u < UNITS; u++) {
            double sum = 0; /* exact: 32 bits times 4, 6 terms */
            for (int d = 0; d < DEPTH; d++) {
                bool clipped;
                f.bits = (int)widths[d * UNITS + u];
                sum += (double)x[row * DEPTH + d] *
                       bli_quantize_reference_f64(&f, 1, 0, false, 0, (double)weights[d * UNITS + u], &clipped);
            }
            float got = ((float *)y.data)[row * UNITS + u];
            if (got != (float)sum)
                fail_msg("row %d unit %d: %a, expected %a", row, u, (double)got, sum);
        }
    }
    bl_tensor_free(ctx, &y);
    bl_runner_destroy(r);
    bl_graph_destroy(n.g);
}

static bli_range range_of(const bl_attr *attrs, int count)
{
    static const bl_value x = {.name = "x", .type = BL_F32, .shape = {2, {-1, 4}}};
    bl_node node = {.name = "q", .type = "Quantize", .domain = BLI_DOMAIN_OWN, .num_attrs = count, .attrs = attrs};
    bli_range_call r = {.ctx = ctx, .node = &node};
    r.in[0] = &x;
    bli_op_find("Quantize", BLI_DOMAIN_OWN)->range(&r);
    return r.range_out[0];
}

static void ranges_are_those_of_the_format(void **state)
{
    (void)state;
    bl_attr fixed = text("format", "fixed<6,2,RND,SAT_SYM>"),
            affine[] = {text("format", "int<4>"), text("scale", "0.3")};
    bli_range r = range_of(&fixed, 1);
    assert_true(r.on_grid && r.step_exp == -4 && r.least == -31.0 / 16 && r.greatest == 31.0 / 16);
    assert_false(range_of(affine, 2).on_grid);
    affine[1] = text("scale", "0.5");
    r = range_of(affine, 2);
    assert_true(r.on_grid && r.step_exp == -1 && r.least == -4 && r.greatest == 3.5);
    bl_attr relu[] = {text("quantizer", "quantized_relu"), {.name = "bits", .kind = BL_ATTR_INT, .count = 1}};
    relu[1].u.i = 5;
    r = range_of(relu, 2);
    assert_true(r.on_grid && r.step_exp == -5 && r.least == 0 && r.greatest == 31.0 / 32);
    bl_attr binary[] = {text("quantizer", "binary"), text("alpha", "0.3")};
    assert_true(range_of(binary, 1).on_grid);
    assert_false(range_of(binary, 2).on_grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(any_width_per_element_runs_exactly),
        cmocka_unit_test(ranges_are_those_of_the_format),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
