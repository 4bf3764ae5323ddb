/* test_to_graph.c: TensorFlow's operators as ours, against what TensorFlow computed (tools/make_graphdef_goldens.py).
 *
 * Inputs and weights are multiples of 1/8 below 2, so sums and products of layers are exact in any order; the tolerance
 * is for what is rounded: means, curves, roots and softmax, a few operations of float32 each.
 */
#include <math.h>

#include "support/test.h"

#include "bitlathe/bitlathe.h"

static const double tolerance = 16 * 0x1p-24; /* of the larger of 1 and the value */

typedef struct rig {
    bl_context *ctx;
    bl_graphdef *g;
    bl_npz *values;
} rig;

static rig rig_make(void)
{
    rig r;
    char path[4096];
    const char *source = getenv("BITLATHE_SOURCE");
    assert_int_equal(bl_context_create(NULL, &r.ctx), BL_OK);
    snprintf(path, sizeof path, "%s/tests/golden/graphdef/layers.pb", source ? source : "..");
    assert_ok(r.ctx, bl_graphdef_read(r.ctx, path, &r.g));
    snprintf(path, sizeof path, "%s/tests/golden/graphdef/layers.npz", source ? source : "..");
    assert_ok(r.ctx, bl_npz_read(r.ctx, path, &r.values));
    return r;
}

static void rig_free(rig *r)
{
    bl_npz_free(r->values);
    bl_graphdef_destroy(r->g);
    bl_context_destroy(r->ctx);
}

static void compare(const char *name, const bl_tensor *y, const bl_tensor *want)
{
    assert_true(y->type == BL_F32 && want->type == BL_F32);
    if (!bl_shape_equal(&y->shape, &want->shape))
        print_error("%s: the shape differs\n", name);
    assert_true(bl_shape_equal(&y->shape, &want->shape));
    for (int64_t i = 0; i < bl_shape_count(&y->shape); i++) {
        double a = (double)((const float *)y->data)[i], b = (double)((const float *)want->data)[i];
        if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
            print_error("%s: value %lld is %.9g, expected %.9g\n", name, (long long)i, a, b);
        assert_true(fabs(a - b) <= tolerance * fmax(1, fabs(b)));
    }
}

static void each_layer_computes_what_tensorflow_computes(void **state)
{
    (void)state;
    rig r = rig_make();
    const bl_tensor *x = bl_npz_find(r.values, "x");
    int layers = 0;
    for (size_t i = 0; i < bl_npz_count(r.values); i++) {
        const char *name = bl_npz_name(r.values, i);
        const bl_graphdef_cut cut = {"x", NULL, name};
        bl_graph *g;
        bl_runner *runner;
        bl_tensor y = {0};
        if (strcmp(name, "x") == 0)
            continue;
        assert_ok(r.ctx, bl_graphdef_to_graph(r.g, &cut, &g));
        assert_string_equal(bl_graph_value(g, bl_graph_output(g, 0))->name, name);
        assert_ok(r.ctx, bl_runner_create(r.ctx, g, 8, &runner));
        assert_ok(r.ctx, bl_runner_run(runner, x, &y));
        compare(name, &y, bl_npz_tensor(r.values, i));
        bl_tensor_free(r.ctx, &y);
        bl_runner_destroy(runner);
        bl_graph_destroy(g);
        layers++;
    }
    assert_true(layers >= 25);
    rig_free(&r);
}

/* What output `name` of the transformed graph is. */
static void converted(const char *name, const char *transforms, bl_tensor *y, rig *r)
{
    const bl_graphdef_cut cut = {"x", NULL, name};
    const bl_tf_options o = {.inputs = "x", .outputs = name};
    bl_graph *g;
    bl_runner *runner;
    *r = rig_make();
    assert_ok(r->ctx, bl_tf_transform(r->g, transforms, &o));
    assert_ok(r->ctx, bl_graphdef_to_graph(r->g, &cut, &g));
    assert_ok(r->ctx, bl_runner_create(r->ctx, g, 8, &runner));
    assert_ok(r->ctx, bl_runner_run(runner, bl_npz_find(r->values, "x"), y));
    bl_runner_destroy(runner);
    bl_graph_destroy(g);
}

/* Weights of few bits, and Dequantize of bytes, are the constants that fold_constants makes of them. */
static void packed_weights_are_computed(void **state)
{
    static const char *const how[] = {"quantize_weights(minimum_size=4, bits=4, per_channel=true)",
                                      "quantize_weights(minimum_size=4, bits=3)", "quantize_weights(minimum_size=4)"};
    static const char *const layers[] = {"y_same", "y_depthwise", "y_dense"};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(how) * BLI_COUNT(layers); i++) {
        const char *name = layers[i % BLI_COUNT(layers)], *packs = how[i / BLI_COUNT(layers)];
        char folds[128];
        rig a, b;
        bl_tensor got, want;
        snprintf(folds, sizeof folds, "%s fold_constants", packs);
        converted(name, packs, &got, &a);
        converted(name, folds, &want, &b);
        assert_true(bl_shape_equal(&got.shape, &want.shape));
        assert_memory_equal(got.data, want.data, (size_t)bl_shape_count(&want.shape) * sizeof(float));
        bl_tensor_free(a.ctx, &got);
        bl_tensor_free(b.ctx, &want);
        rig_free(&a);
        rig_free(&b);
    }
}

static void check_refusal(const char *text, const bl_graphdef_cut *cut, bl_status status, const char *words)
{
    bl_context *ctx;
    bl_graphdef *from;
    bl_graph *g;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, bl_graphdef_read_memory(ctx, text, strlen(text), &from));
    assert_fails(ctx, status, words, bl_graphdef_to_graph(from, cut, &g));
    assert_null(g);
    bl_graphdef_destroy(from);
    bl_context_destroy(ctx);
}

#define X                                                                                                              \
    "node { name: 'x' op: 'Placeholder' attr { key: 'shape' value { shape { dim { size: 1 } dim { size: 4 } } } } } "

#define NUMBERS(name, dims)                                                                                            \
    "node { name: '" name "' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } attr { key: 'value' value { "  \
    "tensor { dtype: DT_INT32 tensor_shape { " dims " } int_val: 3000 } } } } "

static void what_has_no_counterpart_is_named(void **state)
{
    (void)state;
    const bl_graphdef_cut all = {NULL, NULL, NULL}, wrong_shape = {"x", "1,a", NULL}, no_input = {"z", NULL, NULL},
                          deep = {"x", "1,-1", NULL};
    check_refusal(X "node { name: 'y' op: 'Fft' input: 'x' }", &all, BL_UNSUPPORTED,
                  "node 'y' (Fft): this operator has no");
    check_refusal(X "node { name: 'y' op: 'Relu' input: 'z' }", &all, BL_NOT_FOUND,
                  "node 'y' (Relu): input: 'z' is no node");
    check_refusal(X "node { name: 'y' op: 'Relu' input: 'x:1' }", &all, BL_UNSUPPORTED, "output 1 of Placeholder");
    check_refusal(X "node { name: 'a' op: 'Relu' input: 'b' } node { name: 'b' op: 'Relu' input: 'a' } "
                    "node { name: 'y' op: 'Relu' input: 'a' }",
                  &all, BL_BAD_MODEL, "node 'b' (Relu): it reads itself, by way of 'a'");
    check_refusal(X "node { name: 'a' op: 'Identity' input: 'b' } node { name: 'b' op: 'Identity' input: 'a' } "
                    "node { name: 'y' op: 'Relu' input: 'a' }",
                  &all, BL_BAD_MODEL, "it reads itself");
    check_refusal(X "node { name: 'y' op: 'Relu' input: 'x' }", &wrong_shape, BL_BAD_VALUE, "shape 'a'");
    check_refusal(X "node { name: 'y' op: 'Relu' input: 'x' }", &no_input, BL_NOT_FOUND, "input 'z': 'z' is no node");
    check_refusal(X "node { name: 'y' op: 'Relu' input: 'x' }", &deep, BL_BAD_VALUE, "dimension 1 is not known");
    check_refusal(X "node { name: 'y' op: 'Reshape' input: ['x', 'x'] }", &all, BL_UNSUPPORTED,
                  "input 1: 'x' is no constant");
    check_refusal(
        X NUMBERS("d", "dim { size: 2 }") NUMBERS(
            "v", "") "node { name: 'f' op: 'Fill' input: ['d', 'v'] } node { name: 'y' op: 'Add' input: ['x', 'f'] }",
        &all, BL_LIMIT, "node 'f' (Fill)");
    check_refusal(X "node { name: 'y' op: 'Relu' }", &all, BL_BAD_MODEL, "");
    check_refusal(X, &all, BL_BAD_MODEL, "no node is an output");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_computes_what_tensorflow_computes),
        cmocka_unit_test(packed_weights_are_computed),
        cmocka_unit_test(what_has_no_counterpart_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
