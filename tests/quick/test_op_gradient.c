/* Every operator of the table: its gradient is the derivative of its forward, and slices give the rows of the whole. */
#include "support/op_cases.h"
#include "support/rig.h"

#include <math.h>

enum { ROWS = 6 };

static double dot(const bl_tensor *a, const bl_tensor *b)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)bl_shape_count(&a->shape); i++)
        sum += rig_get(a, i) * rig_get(b, i);
    return sum;
}

static double loss(rig *r)
{
    rig_forward(r, 1);
    double sum = 0;
    for (int k = 0; k < r->num_out; k++)
        sum += dot(&r->out[k], &r->grad_out[k]);
    return sum;
}

/* Moves input k by step along a fixed random direction; returns direction . gradient. */
static double move(rig *r, int k, double step)
{
    double slope = 0;
    rig_input *in = &r->in[k];
    for (size_t i = 0; i < (size_t)bl_shape_count(&in->t.shape); i++) {
        const double d = rig_random(99 + (uint64_t)k, i, -1, 1);
        rig_set(&in->t, i, rig_get(&in->t, i) + step * d);
        slope += d * rig_get(&in->grad, i);
    }
    return slope;
}

/* Central difference with step h: error h^2 of curvature plus 1e-16 / h of rounding; h = 1e-5 leaves about 1e-10. */
static void check_derivative(const op_case *g, rig *r)
{
    const double h = 1e-5;
    rig_forward(r, 1);
    rig_backward(r, 1);
    for (int k = 0; k < r->num_in; k++) {
        if (!r->in[k].grad.data)
            continue;
        const double slope = move(r, k, h), up = loss(r);
        (void)move(r, k, -2 * h);
        const double down = loss(r), numeric = (up - down) / (2 * h);
        (void)move(r, k, h);
        if (!(fabs(numeric - slope) <= 1e-7 * (1 + fabs(slope))))
            print_error("%s: input %d: derivative %.12g, gradient says %.12g\n", g->text, k, numeric, slope);
        assert_true(fabs(numeric - slope) <= 1e-7 * (1 + fabs(slope)));
    }
}

/* With these seeds no element lies within a step of a kink (zero of a relu, a maximum and its runner-up). */
static void test_gradient_is_the_derivative(void **state)
{
    for (size_t i = 0; i < op_case_count(); i++) {
        rig r;
        assert_ok(*state, rig_open(*state, op_case_at(i)->text, BL_F64, ROWS, i + 100, &r));
        r.training = op_case_at(i)->training;
        check_derivative(op_case_at(i), &r);
        rig_close(&r);
    }
}

static void assert_same_bytes(const char *text, const char *what, const bl_tensor *a, const bl_tensor *b)
{
    const size_t n = (size_t)bl_shape_count(&a->shape) * bl_dtype_size(a->type);
    if (memcmp(a->data, b->data, n) != 0)
        print_error("%s: %s differs between slices and the whole\n", text, what);
    assert_memory_equal(a->data, b->data, n);
}

static void assert_close(const char *text, const bl_tensor *a, const bl_tensor *b, double tolerance)
{
    for (size_t i = 0; i < (size_t)bl_shape_count(&a->shape); i++) {
        const double x = rig_get(a, i), y = rig_get(b, i);
        if (!(fabs(x - y) <= tolerance * (1 + fabs(y))))
            print_error("%s: element %zu is %.9g in slices, %.9g in whole\n", text, i, x, y);
        assert_true(fabs(x - y) <= tolerance * (1 + fabs(y)));
    }
}

/* MatMul, Gemm and the convolutions add with fused multiplications where the instruction set has them. */
static bool is_product(const rig *r)
{
    return strncmp(r->node->type, "Conv", 4) == 0 || strcmp(r->node->type, "MatMul") == 0 ||
           strcmp(r->node->type, "Gemm") == 0;
}

/* Whole-batch statistics are sums of slices, so there the last bits may move with the cut. */
static void check_slices(const op_case *g, bl_context *ctx, bl_dtype carrier, bli_isa isa, int slices)
{
    rig whole, cut;
    assert_ok(ctx, rig_open(ctx, g->text, carrier, ROWS, 3, &whole));
    assert_ok(ctx, rig_open(ctx, g->text, carrier, ROWS, 3, &cut));
    whole.training = cut.training = g->training;
    cut.isa = isa;
    rig_forward(&whole, 1);
    rig_forward(&cut, slices);
    rig_backward(&whole, 1);
    rig_backward(&cut, slices);
    const double tolerance = carrier == BL_F64 ? 1e-12 : 1e-5;
    const bool close =
        (g->training && (whole.op->flags & BLI_OP_WHOLE_BATCH)) || (isa != whole.isa && is_product(&whole));
    for (int k = 0; k < whole.num_out; k++)
        close ? assert_close(g->text, &cut.out[k], &whole.out[k], tolerance)
              : assert_same_bytes(g->text, "output", &cut.out[k], &whole.out[k]);
    for (int k = 0; k < whole.num_in; k++)
        if (whole.in[k].grad.data)
            whole.in[k].batched && !close ? assert_same_bytes(g->text, "gradient", &cut.in[k].grad, &whole.in[k].grad)
                                          : assert_close(g->text, &cut.in[k].grad, &whole.in[k].grad, tolerance);
    rig_close(&whole);
    rig_close(&cut);
}

static bool rows_are_sliced(bl_context *ctx, const op_case *g)
{
    rig r;
    assert_ok(ctx, rig_open(ctx, g->text, BL_F64, ROWS, 3, &r));
    const bool yes = r.out_batched;
    rig_close(&r);
    return yes;
}

static void test_slices_give_the_rows_of_the_whole(void **state)
{
    for (size_t i = 0; i < op_case_count(); i++) {
        if (!rows_are_sliced(*state, op_case_at(i)))
            continue;
        for (int carrier = BL_F32; carrier <= BL_F64; carrier++) {
            check_slices(op_case_at(i), *state, (bl_dtype)carrier, bli_cpu_isa(), 4);
            check_slices(op_case_at(i), *state, (bl_dtype)carrier, bli_cpu_isa(), 9);
        }
    }
}

static void test_instruction_sets_agree(void **state)
{
    for (size_t i = 0; i < op_case_count(); i++)
        for (int isa = 0; isa <= (int)bli_cpu_isa() && rows_are_sliced(*state, op_case_at(i)); isa++)
            for (int carrier = BL_F32; carrier <= BL_F64; carrier++)
                check_slices(op_case_at(i), *state, (bl_dtype)carrier, (bli_isa)isa, 1);
}

static void test_an_empty_batch_is_no_rows(void **state)
{
    for (size_t i = 0; i < op_case_count(); i++) {
        rig r;
        assert_ok(*state, rig_open(*state, op_case_at(i)->text, BL_F32, 0, i, &r));
        r.training = op_case_at(i)->training;
        rig_forward(&r, 1);
        rig_backward(&r, 1);
        for (int k = 0; k < r.num_in; k++)
            for (size_t e = 0; r.out_batched && r.in[k].grad.data && e < (size_t)bl_shape_count(&r.in[k].grad.shape);
                 e++)
                assert_true(rig_get(&r.in[k].grad, e) == 0);
        rig_close(&r);
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
        cmocka_unit_test(test_gradient_is_the_derivative),
        cmocka_unit_test(test_slices_give_the_rows_of_the_whole),
        cmocka_unit_test(test_instruction_sets_agree),
        cmocka_unit_test(test_an_empty_batch_is_no_rows),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
