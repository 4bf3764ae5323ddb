/* Quantizers against golden files: QKeras 0.9.0's values and gradients, and the papers' formulas in NumPy.
 * tools/make_qkeras_goldens.py makes the files and says what their flags mean. */
#include "support/test.h"

#include "support/quant_call.h"

#include <math.h>

enum { X, SCALE, BITS, Y, DY, DX, DSCALE };

static bl_context *ctx;

static int set_up(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) != BL_OK;
}

static int tear_down(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

typedef struct golden {
    char key[8], place[16], set[16], flags[32], entry[160];
    const bl_tensor *x, *dy, *y, *dx, *s, *ds;
} golden;

static const bl_tensor *member(const bl_npz *z, const char *left, const char *right)
{
    char name[48];
    snprintf(name, sizeof name, "%s_%s", left, right);
    return bl_npz_find(z, name);
}

static golden parse_case(const bl_npz *z, const char *line)
{
    golden g;
    assert_int_equal(
        sscanf(line, "%7[^\t]\t%15[^\t]\t%15[^\t]\t%31[^\t]\t%159[^\n]", g.key, g.place, g.set, g.flags, g.entry), 5);
    g.x = member(z, "x", g.set);
    g.dy = member(z, "dy", g.set);
    g.y = member(z, g.key, "y");
    g.dx = member(z, g.key, "dx");
    g.s = member(z, g.key, "s");
    g.ds = member(z, g.key, "ds");
    assert_true(g.x && g.dy && g.y && g.dx);
    return g;
}

/* Equal as numbers (QKeras writes -0 in places where codes have only one zero), or within relative * |want| with the
 * same zeros, or within of_dy * (|dy| + |want|); both 0: exact. */
typedef struct bound {
    double relative;
    double of_dy; /* times (|dy| + |want|) */
} bound;

static bool within(const golden *g, int64_t i, double got, double want, bound b)
{
    double error = fabs(got - want);
    if (b.of_dy > 0)
        return error <= b.of_dy * (fabs(tensor_get(g->dy, i)) + fabs(want));
    return got == want || (b.relative > 0 && error <= b.relative * fabs(want) && (got != 0) == (want != 0));
}

static int compare(const golden *g, const char *what, const bl_tensor *got, const bl_tensor *want, bound b)
{
    int64_t n = bl_shape_count(&got->shape);
    assert_int_equal(n, bl_shape_count(&want->shape));
    for (int64_t i = 0; i < n; i++) {
        if (within(g, i, tensor_get(got, i), tensor_get(want, i), b))
            continue;
        print_error("case %s, %s %s, %s at %lld, x = %a: %a, expected %a\n", g->key, g->entry, g->set, what,
                    (long long)i, tensor_get(g->x, i), tensor_get(got, i), tensor_get(want, i));
        return 1;
    }
    return 0;
}

static void dims_of(const bl_shape *s, int64_t *dims)
{
    for (int d = 0; d < s->rank; d++)
        dims[d] = s->dim[d];
    dims[s->rank] = -1;
}

static int run_case(const golden *g)
{
    quant_call q;
    int64_t dims[BL_MAX_RANK + 1];
    dims_of(&g->x->shape, dims);
    quant_open(&q, ctx, g->place, g->entry, BL_F32, dims);
    q.call.training = strstr(g->flags, "nograd") == NULL;
    for (int64_t i = 0; i < bl_shape_count(&g->x->shape); i++) {
        tensor_set(&q.t[X], i, tensor_get(g->x, i));
        tensor_set(&q.t[DY], i, tensor_get(g->dy, i));
    }
    if (g->s) {
        dims_of(&g->s->shape, dims);
        quant_scale(&q, dims, 0);
        for (int64_t i = 0; i < bl_shape_count(&g->s->shape); i++)
            tensor_set(&q.t[SCALE], i, tensor_get(g->s, i));
    }
    quant_forward(&q);
    int64_t n = bl_shape_count(&g->x->shape);
    int failures = compare(g, "value", &q.t[Y], g->y, (bound){strstr(g->flags, "scale") ? (double)n * 0x1p-24 : 0, 0});
    if (q.call.training) {
        quant_backward(&q);
        failures += compare(g, "gradient", &q.t[DX], g->dx, (bound){0, strstr(g->flags, "gradtol") ? 0x1p-20 : 0});
        if (g->ds) /* sums in double on both sides, rounded once */
            failures += compare(g, "scale's gradient", &q.t[DSCALE], g->ds, (bound){0x1p-20, 0});
    }
    quant_close(&q);
    return failures;
}

static void run_file(const char *name)
{
    char path[512];
    const char *source = getenv("BITLATHE_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/%s", source ? source : "..", name);
    bl_npz *z;
    assert_ok(ctx, bl_npz_read(ctx, path, &z));
    const bl_tensor *cases = bl_npz_find(z, "cases");
    assert_non_null(cases);
    size_t size = (size_t)bl_shape_count(&cases->shape);
    char *text = calloc(size + 1, 1);
    assert_non_null(text);
    memcpy(text, cases->data, size);
    int failures = 0, count = 0;
    for (char *line = text; line; count++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        golden g = parse_case(z, line);
        failures += run_case(&g);
        line = end ? end + 1 : NULL;
    }
    free(text);
    bl_npz_free(z);
    assert_int_equal(failures, 0);
    assert_true(count > 50);
}

static void qkeras_values_and_gradients(void **state)
{
    (void)state;
    run_file("qkeras_values.npz");
}

static void formulas_of_the_papers(void **state)
{
    (void)state;
    run_file("qkeras_papers.npz");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qkeras_values_and_gradients),
        cmocka_unit_test(formulas_of_the_papers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
