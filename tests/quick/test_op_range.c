/* Ranges: from inputs on a grid every operator that promises a grid stays on it and inside of its bounds; and every
 * operator of the table that runs has a case. */
#include "support/op_cases.h"
#include "support/rig.h"

#include <math.h>

#include "op/infer.h"

enum { ROWS = 5, STEP = -3 };

/* Multiples of 1/8 from -2 to 1.875; every fourth at one of the ends. */
static double grid_value(uint64_t seed, size_t i)
{
    const double u = floor(rig_random(seed, i, -16, 16));
    return ldexp(i % 4 == 0 ? (u < 0 ? -16 : 15) : u, STEP);
}

static bli_range_call range_call(const rig *r)
{
    bli_range_call c = {.ctx = r->ctx, .node = r->node};
    for (int k = 0; k < r->num_in; k++) {
        if (!r->in[k].present)
            continue;
        c.in[k] = bl_graph_value(r->g, r->node->inputs[k]);
        if (r->in[k].role != BL_ROLE_STATE && r->in[k].role != BL_ROLE_CONSTANT)
            c.range_in[k] = (bli_range){true, STEP, -2, 1.875};
    }
    for (int k = 0; k < r->num_out; k++)
        c.out[k] = bl_graph_value(r->g, r->node->outputs[k]);
    return c;
}

static void check_output(const char *text, const bli_range *y, const bl_tensor *t)
{
    for (size_t i = 0; i < bli_count(t); i++) {
        const double v = rig_get(t, i), steps = ldexp(v, -y->step_exp);
        const bool good = steps == floor(steps) && v >= y->least && v <= y->greatest;
        if (!good)
            print_error("%s: element %zu is %.17g, not a multiple of 2^%d in %g .. %g\n", text, i, v, y->step_exp,
                        y->least, y->greatest);
        assert_true(good);
    }
}

static void check_range(bl_context *ctx, const op_case *oc, uint64_t seed, int *promised)
{
    rig r;
    assert_ok(ctx, rig_open(ctx, oc->text, BL_F64, ROWS, 1, &r));
    for (int k = 0; k < r.num_in; k++)
        for (size_t i = 0; r.in[k].grad.data && i < bli_count(&r.in[k].t); i++)
            rig_set(&r.in[k].t, i, grid_value(seed * 16 + (uint64_t)k, i));
    bli_range_call c = range_call(&r);
    if (r.op->range && strcmp(r.node->type, "Quantize") != 0)
        r.op->range(&c);
    if (c.range_out[0].on_grid)
        rig_forward(&r, 1);
    for (int k = 0; k < r.num_out && c.range_out[k].on_grid; k++, (*promised)++)
        check_output(oc->text, &c.range_out[k], &r.out[k]);
    rig_close(&r);
}

static void test_a_promised_grid_is_kept(void **state)
{
    int promised = 0;
    for (size_t i = 0; i < op_case_count(); i++)
        for (uint64_t seed = 0; seed < 20; seed++)
            check_range(*state, op_case_at(i), seed, &promised);
    assert_true(promised > 40 * 20);
}

static bli_range range_of(bl_context *ctx, const char *text, bli_range x, double *accumulator)
{
    rig r;
    assert_ok(ctx, rig_open(ctx, text, BL_F64, ROWS, 1, &r));
    bli_range_call c = range_call(&r);
    for (int k = 0; k < r.num_in; k++)
        if (c.range_in[k].on_grid)
            c.range_in[k] = x;
    if (r.op->range)
        r.op->range(&c);
    rig_close(&r);
    *accumulator = c.accumulator;
    return c.range_out[0];
}

static void assert_range(bl_context *ctx, const char *text, bli_range x, bli_range want, double accumulator)
{
    double got_accumulator;
    const bli_range y = range_of(ctx, text, x, &got_accumulator);
    if (y.on_grid != want.on_grid ||
        (y.on_grid && (y.step_exp != want.step_exp || y.least != want.least || y.greatest != want.greatest)))
        print_error("%s: %d 2^%d %g .. %g, expected %d 2^%d %g .. %g\n", text, y.on_grid, y.step_exp, y.least,
                    y.greatest, want.on_grid, want.step_exp, want.least, want.greatest);
    assert_int_equal(y.on_grid, want.on_grid);
    if (y.on_grid) {
        assert_int_equal(y.step_exp, want.step_exp);
        assert_true(y.least == want.least && y.greatest == want.greatest);
    }
    assert_true(got_accumulator == accumulator);
}

static void test_ranges_are_tight(void **state)
{
    const bli_range x = {true, -4, -3, 2.5}, off = {0};
    assert_range(*state, "Add onnx x[N,3] p[3]", x, (bli_range){true, -4, -6, 5}, 96);
    assert_range(*state, "Sub onnx x[N,3] p[3]", x, (bli_range){true, -4, -5.5, 5.5}, 88);
    assert_range(*state, "Mul onnx x[N,3] p[3]", x, (bli_range){true, -8, -7.5, 9}, 2304);
    assert_range(*state, "Relu onnx x[N,3]", x, (bli_range){true, -4, 0, 2.5}, 0);
    assert_range(*state, "Relu onnx x[N,3]", off, off, 0);
    assert_range(*state, "Clip onnx x[N,3] f{0} f{6}", x, (bli_range){true, -4, 0, 2.5}, 0);
    assert_range(*state, "Clip onnx x[N,3] f{-1} f{1.03125}", x, (bli_range){true, -5, -1, 1.03125}, 0);
    assert_range(*state, "LeakyRelu onnx x[N,3] alpha~0.25", x, (bli_range){true, -6, -0.75, 2.5}, 0);
    assert_range(*state, "LeakyRelu onnx x[N,3] alpha~0.1", x, off, 0);
    assert_range(*state, "AveragePool last x[N,4,4,3] kernel_shape=2,2", x, (bli_range){true, -6, -3, 2.5}, 192);
    assert_range(*state, "AveragePool last x[N,4,4,3] kernel_shape=3,3", x, off, 432);
    assert_range(*state, "GlobalAveragePool last x[N,4,4,3]", x, (bli_range){true, -8, -3, 2.5}, 768);
    assert_range(*state, "MaxPool last x[N,4,4,3] kernel_shape=3,3", x, x, 0);
    assert_range(*state, "Concat onnx x[N,3] x[N,2] axis:1", x, x, 0);
    assert_range(*state, "Pad onnx x[N,3] i{0,1,0,1} f{0.03125}", x, (bli_range){true, -5, -3, 2.5}, 0);
    assert_range(*state, "Pad onnx x[N,3] i{0,1,0,1}", x, x, 0);
    assert_range(*state, "Sigmoid onnx x[N,3]", x, off, 0);
}

static bool has_case(const bli_op *op)
{
    for (size_t i = 0; i < op_case_count(); i++) {
        const char *text = op_case_at(i)->text;
        const size_t n = strlen(op->schema.type);
        const char *domain = op->schema.domain[0] ? "last" : "onnx";
        if (strncmp(text, op->schema.type, n) == 0 && text[n] == ' ' && strncmp(text + n + 1, domain, 4) == 0)
            return true;
    }
    return false;
}

static void test_every_operator_that_runs_has_a_case(void **state)
{
    (void)state;
    for (int i = 0; i < bli_op_count(); i++) {
        const bli_op *op = bli_op_at(i);
        const bool ours = strcmp(op->schema.domain, BLI_DOMAIN_OWN) != 0 && strcmp(op->schema.domain, BLI_DOMAIN_QONNX);
        if (ours && op->forward && !has_case(op))
            print_error("%s (domain '%s') has no line in op_cases.c\n", op->schema.type, op->schema.domain);
        assert_true(!ours || !op->forward || has_case(op));
    }
}

static int open_context(void **state)
{
    return bl_context_create(NULL, (bl_context **)state) == BL_OK ? 0 : -1;
}

static int close_context(void **state)
{
    bl_context_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_promised_grid_is_kept),
        cmocka_unit_test(test_ranges_are_tight),
        cmocka_unit_test(test_every_operator_that_runs_has_a_case),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
