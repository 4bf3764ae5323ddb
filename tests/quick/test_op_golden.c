/* Operators against PyTorch: forward values, gradients and running statistics of tools/make_torch_goldens.py, within
 * the error that float32 arithmetic can make (derived there) and, in float64, within that of the stored values. */
#include "support/rig.h"

#include <math.h>

#include "bitlathe/tensor.h"

typedef struct golden {
    bl_npz *z;
    char name[16], text[256];
    const bl_tensor *error;
} golden;

static const bl_tensor *member(const golden *g, const char *what, int k)
{
    char name[64];
    snprintf(name, sizeof name, k < 0 ? "%s/%s" : "%s/%s%d", g->name, what, k);
    return bl_npz_find(g->z, name);
}

/* False behind the last case. */
static bool golden_at(golden *g, int i)
{
    snprintf(g->name, sizeof g->name, "%03d", i);
    const bl_tensor *t = member(g, "case", -1);
    if (!t)
        return false;
    snprintf(g->text, sizeof g->text, "%.*s", (int)bl_shape_count(&t->shape), (const char *)t->data);
    g->error = member(g, "error", -1);
    return true;
}

static void load(bl_tensor *to, const bl_tensor *from)
{
    assert_non_null(from);
    assert_true(bl_shape_equal(&to->shape, &from->shape));
    for (size_t i = 0; i < (size_t)bl_shape_count(&to->shape); i++)
        rig_set(to, i, rig_get(from, i));
}

/* Largest difference; prints the first element that is too far off. */
static void assert_near(const golden *g, const char *what, const bl_tensor *got, const bl_tensor *want, double error)
{
    assert_non_null(want);
    assert_true(bl_shape_equal(&got->shape, &want->shape));
    for (size_t i = 0; i < (size_t)bl_shape_count(&got->shape); i++) {
        const double x = rig_get(got, i), y = rig_get(want, i);
        if (!(fabs(x - y) <= error))
            print_error("%s: %s[%zu] is %.9g, PyTorch has %.9g (allowed %.3g)\n", g->text, what, i, x, y, error);
        assert_true(fabs(x - y) <= error);
    }
}

/* In float64 what is left is the rounding of the stored value, half a unit of 24 bits. */
static double allowed(const golden *g, bl_dtype carrier, int k, const bl_tensor *want)
{
    double most = 0;
    for (size_t i = 0; i < (size_t)bl_shape_count(&want->shape); i++)
        most = fmax(most, fabs(rig_get(want, i)));
    return carrier == BL_F64 ? most * 0x1p-23 + 1e-12 : rig_get(g->error, (size_t)k);
}

static void check_values(const golden *g, rig *r)
{
    assert_near(g, "output", &r->out[0], member(g, "out", -1), allowed(g, r->carrier, 0, member(g, "out", -1)));
    for (int k = 0; k < r->num_in; k++) {
        const bl_tensor *want = member(g, "grad", k);
        if (want)
            assert_near(g, "gradient", &r->in[k].grad, want, allowed(g, r->carrier, k + 1, want));
    }
    rig_update_state(r);
    for (int k = 0; k < r->num_in; k++) {
        const bl_tensor *want = member(g, "state", k);
        if (want)
            assert_near(g, "state", &r->in[k].t, want, allowed(g, BL_F64, 0, want));
    }
}

static void check_golden(bl_context *ctx, const golden *g, bl_dtype carrier, int slices)
{
    rig r;
    assert_ok(ctx, rig_open(ctx, g->text, carrier, member(g, "out", -1)->shape.dim[0], 1, &r));
    r.training = strstr(g->text, "training_mode:1") != NULL;
    for (int k = 0; k < r.num_in; k++)
        if (r.in[k].present && r.in[k].role != BL_ROLE_CONSTANT)
            load(&r.in[k].t, member(g, "in", k));
    load(&r.grad_out[0], member(g, "grad_out", -1));
    rig_forward(&r, slices);
    rig_backward(&r, slices);
    check_values(g, &r);
    rig_close(&r);
}

static void test_operators_agree_with_pytorch(void **state)
{
    golden g = {0};
    int cases = 0;
    assert_ok(*state, bl_npz_read(*state, "golden/torch_operators.npz", &g.z));
    for (; golden_at(&g, cases); cases++)
        for (int carrier = BL_F32; carrier <= BL_F64; carrier++)
            for (int slices = 1; slices <= 2; slices++)
                check_golden(*state, &g, (bl_dtype)carrier, slices);
    bl_npz_free(g.z);
    assert_true(cases > 50);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operators_agree_with_pytorch)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
