/* test_tf_old_transforms.c: the five transforms that only some versions of TensorFlow had. */
#include <math.h>

#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/session.h"
#include "tf/transform.h"

static void add_vector(rig *r, const char *name, int64_t count, float first, float step)
{
    void *to;
    assert_ok(r->ctx, bli_tg_add_const(r->g, name, BLI_DT_FLOAT, 1, &count, NULL, &to, NULL));
    for (int64_t i = 0; i < count; i++)
        ((float *)to)[i] = first + step * (float)i;
}

static bli_tf_node *add_conv(rig *r, const char *name, const char *inputs)
{
    static const int64_t ones[4] = {1, 1, 1, 1};
    bli_tf_node *n = rig_add(r, "Conv2D", name, inputs);
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "strides", bli_tf_value_ints(r->store, ones, 4)));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "padding", bli_tf_value_string(r->store, "SAME")));
    return n;
}

/* x through a convolution of 3 columns. */
static void add_layer(rig *r)
{
    static const int64_t dim[4] = {1, 1, 2, 3};
    static const float w[6] = {1, -2, 0.5f, 3, 0.25f, -1};
    rig_add(r, "Placeholder", "x", "");
    assert_ok(r->ctx, bli_tg_add_const(r->g, "w", BLI_DT_FLOAT, 4, dim, w, NULL, NULL));
    add_conv(r, "conv", "x w");
}

static bl_status run(rig *r, const char *transforms, bool compat)
{
    const bli_tg_options o = {compat, "x", "y"};
    return bli_tg_transform(r->store, &r->g, transforms, &o);
}

static void assert_node(const rig *r, const char *name, const char *op, const char *inputs)
{
    const bli_tf_node *n = rig_find(r, name);
    char got[512] = "";
    if (!n)
        fail_msg("no node %s", name);
    for (size_t i = 0; n && i < n->num_inputs; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", n->inputs[i]);
    assert_string_equal(n ? n->op : "", op);
    assert_string_equal(got, inputs);
}

static const float *floats(const rig *r, const char *name)
{
    bli_tf_tensor t = {.data = NULL};
    assert_non_null(rig_find(r, name));
    assert_ok(r->ctx, bli_tg_const_view(r->store, rig_find(r, name), BLI_DT_FLOAT, &t));
    return t.data;
}

/* y for an x of two pixels. */
static void evaluate(rig *r, float y[6])
{
    static float x[4] = {1, 2, -3, 0.5f};
    const bli_tf_feed feed = {"x", {BLI_DT_FLOAT, {4, {1, 1, 2, 2}}, x, NULL}};
    const char *fetch = "y";
    bli_tf_session *s;
    bli_tf_array out;
    assert_ok(r->ctx, bli_tf_session_create(r->g, NULL, &s));
    assert_ok(r->ctx, bli_tf_session_run(s, &feed, 1, &fetch, 1, &out));
    memcpy(y, out.data, 6 * sizeof *y);
    bli_tf_array_release(&out);
    bli_tf_session_destroy(s);
}

static void assert_near(const float a[6], const float b[6])
{
    for (int i = 0; i < 6; i++)
        if (!(fabsf(a[i] - b[i]) <= 8 * 0x1p-24f * 32)) /* eight roundings of numbers below 32 */
            fail_msg("element %d: %.9g and %.9g", i, (double)a[i], (double)b[i]);
}

/* ---- fold_subdivmul_batch_norms ------------------------------------------------------------------------------- */
static void add_parts(rig *r)
{
    add_layer(r);
    add_vector(r, "mean", 3, 0.5f, 1);
    add_vector(r, "deviation", 3, 1.5f, 2);
    add_vector(r, "gamma", 3, 3, -1);
    add_vector(r, "beta", 3, -1, 0.25f);
    rig_add(r, "Sub", "sub", "conv mean");
    rig_add(r, "RealDiv", "div", "sub deviation");
    rig_add(r, "Mul", "mul", "div gamma");
    rig_add(r, "BiasAdd", "y", "mul beta");
}

static void normalisation_in_parts_becomes_weights_and_a_bias(void **state)
{
    for (int compat = 0; compat < 2; compat++) {
        float before[6], after[6];
        rig *r = *state;
        r->g = bli_tf_graph_make(r->store);
        add_parts(r);
        evaluate(r, before);
        assert_ok(r->ctx, run(r, "fold_subdivmul_batch_norms", compat));
        assert_int_equal(r->g->num_nodes, 5);
        assert_node(r, "y", "BiasAdd", "conv beta");
        assert_true(floats(r, "w")[4] == 0.25f * 2 / 3.5f);
        assert_true(floats(r, "beta")[1] == (0 - 1.5f) * 2 / 3.5f + -0.75f);
        evaluate(r, after);
        assert_near(before, after);
    }
}

static void what_others_read_is_not_scaled(void **state)
{
    rig *r = *state;
    static const char *const readers[] = {"conv", "w", "beta"};
    for (size_t i = 0; i < BLI_COUNT(readers); i++) {
        r->g = bli_tf_graph_make(r->store);
        add_parts(r);
        rig_add(r, "Identity", "other", readers[i]);
        assert_ok(r->ctx, run(r, "fold_subdivmul_batch_norms", false));
        assert_non_null(rig_find(r, "sub"));
        assert_true(floats(r, "w")[4] == 0.25f);
    }
}

static void vectors_that_do_not_fit_stay_or_are_errors(void **state)
{
    rig *r = *state;
    add_parts(r);
    rig_find(r, "mul")->inputs[1] = "two";
    add_vector(r, "two", 2, 1, 1);
    assert_fails(r->ctx, BL_BAD_MODEL, "node 'two' (Const): rank 1 and 2 elements; expected 3",
                 run(r, "fold_subdivmul_batch_norms", true));
    assert_ok(r->ctx, run(r, "fold_subdivmul_batch_norms", false));
    assert_non_null(rig_find(r, "sub"));
}

/* ---- fold_batch_norms_algebraic ------------------------------------------------------------------------------- */
static void add_algebra(rig *r)
{
    add_layer(r);
    add_vector(r, "mean", 3, 0.5f, 1);
    add_vector(r, "variance", 3, 1.5f, 2);
    add_vector(r, "gamma", 3, 3, -1);
    add_vector(r, "beta", 3, -1, 0.25f);
    add_vector(r, "epsilon", 1, 0.5f, 0);
    rig_add(r, "Add", "sum", "variance epsilon");
    rig_add(r, "Rsqrt", "root", "sum");
    rig_add(r, "Mul", "scale", "root gamma");
    rig_add(r, "Mul", "product", "conv scale");
    rig_add(r, "Mul", "shift", "mean scale");
    rig_add(r, "Sub", "offset", "beta shift");
    rig_add(r, "Add", "y", "product offset");
}

static void algebra_becomes_one_node_and_folds(void **state)
{
    rig *r = *state;
    float before[6], after[6];
    add_algebra(r);
    evaluate(r, before);
    assert_ok(r->ctx, run(r, "fold_batch_norms_algebraic", false));
    assert_node(r, "y", "FusedBatchNorm", "conv gamma beta mean variance");
    assert_null(rig_find(r, "scale"));
    evaluate(r, after);
    assert_near(before, after);
    assert_ok(r->ctx, run(r, "fold_old_batch_norms", false));
    assert_node(r, "y", "BiasAdd", "conv conv_bn_offset");
    evaluate(r, after);
    assert_near(before, after);
}

static void algebra_of_other_scales_stays(void **state)
{
    rig *r = *state;
    add_algebra(r);
    rig_add(r, "Mul", "another", "root gamma");
    rig_find(r, "shift")->inputs[1] = "another";
    assert_ok(r->ctx, run(r, "fold_batch_norms_algebraic", false));
    assert_node(r, "y", "Add", "product offset");
}

static void an_original_that_cannot_be_followed_is_named(void **state)
{
    rig *r = *state;
    add_algebra(r);
    assert_fails(r->ctx, BL_UNSUPPORTED, "fold_batch_norms_algebraic: TensorFlow's versions",
                 run(r, "fold_batch_norms_algebraic", true));
}

/* ---- fold_moments --------------------------------------------------------------------------------------------- */
static void add_moments(rig *r)
{
    static const int64_t two = 2;
    static const int32_t axes[2] = {0, 1};
    static const char *const means[] = {"mean", "variance"};
    rig_add(r, "Placeholder", "x", "");
    assert_ok(r->ctx, bli_tg_add_const(r->g, "axes", BLI_DT_INT32, 1, &two, axes, NULL, NULL));
    assert_ok(r->ctx, bli_tg_add_const(r->g, "axes2", BLI_DT_INT32, 1, &two, axes, NULL, NULL));
    rig_add(r, "Mean", "mean", "x axes");
    rig_add(r, "Sub", "sub", "x mean");
    rig_add(r, "Mul", "square", "sub sub");
    rig_add(r, "Mean", "variance", "square axes2");
    for (int i = 0; i < 2; i++) {
        assert_ok(r->ctx,
                  bli_tf_node_set(r->store, rig_find(r, means[i]), "keep_dims", bli_tf_value_bool(r->store, true)));
        assert_ok(r->ctx, bli_tg_set_type(r->store, rig_find(r, means[i]), "Tidx", BLI_DT_INT32));
    }
    rig_add(r, "Add", "y", "variance mean");
}

static void moments_are_made_where_they_were(void **state)
{
    rig *r = *state;
    add_moments(r);
    assert_ok(r->ctx, run(r, "fold_moments", false));
    assert_node(r, "y", "Add", "variance mean");
    assert_ok(r->ctx, run(r, "fold_moments", true));
    assert_node(r, "mean__moments", "Moments", "x mean_axes");
    assert_node(r, "y", "Add", "mean__moments:1 mean__moments:0");
    assert_null(rig_find(r, "square"));
    r->g = bli_tf_graph_make(r->store);
    add_moments(r);
    rig_add(r, "Identity", "z", "x");
    rig_find(r, "sub")->inputs[0] = "z";
    assert_fails(r->ctx, BL_BAD_MODEL, "node 'sub' (Sub): input 'z'; expected 'x'", run(r, "fold_moments", true));
}

/* ---- fake_quantize_training, remove_ema ----------------------------------------------------------------------- */
static void read_golden(rig *r, const char *path)
{
    assert_ok(r->ctx, bli_tf_graph_read(r->store, path, &r->g));
}

static void training_is_what_tensorflow_makes(void **state)
{
    rig *r = *state;
    bl_graphdef *want;
    char *difference;
    read_golden(r, "golden/tf_training_in.pb");
    assert_ok(r->ctx, run(r, "fake_quantize_training", true));
    assert_ok(r->ctx, bl_graphdef_read(r->ctx, "golden/tf_training_out.pb", &want));
    const bl_graphdef got = {r->store, r->g};
    assert_ok(r->ctx, bl_graphdef_compare(&got, want, 0, &difference));
    if (difference)
        fail_msg("%s", difference);
    bl_graphdef_destroy(want);
}

static void training_keeps_outputs_and_types_apart(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Split", "s", "x x");
    rig_add(r, "MatMul", "y", "s s:1 ^x");
    assert_ok(r->ctx, bli_tg_set_type(r->store, rig_add(r, "MatMul", "double", "x x"), "T", BLI_DT_DOUBLE));
    assert_ok(r->ctx, run(r, "fake_quantize_training", false));
    assert_node(r, "y", "MatMul", "s/FakeQuantWithMinMaxVars s__port__1/FakeQuantWithMinMaxVars ^x");
    assert_node(r, "s__port__1/Min", "Min", "s:1 s__port__1/ReductionAxes/ReductionAxes");
    assert_node(r, "double", "MatMul", "x x");
}

static void training_refuses_what_it_does_not_know(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Neg", "a", "x");
    rig_add(r, "Neg", "b", "x");
    rig_add(r, "MatMul", "m", "a b");
    rig_add(r, "Neg", "c", "x");
    rig_add(r, "MatMul", "y", "m c");
    assert_fails(r->ctx, BL_UNSUPPORTED, "node 'm' (MatMul) is read by 'y': more than 2",
                 run(r, "fake_quantize_training", false));
    rig_add(r, "SaveV2", "save", "x");
    assert_fails(r->ctx, BL_UNSUPPORTED, "node 'save' (SaveV2)", run(r, "fake_quantize_training", true));
}

/* Every variable as a constant, as freezing does. */
static void freeze(rig *r)
{
    const float half = 0.5f;
    for (size_t i = 0; i < r->g->num_nodes; i++) {
        bli_tf_node *n = r->g->nodes[i], *made;
        if (strcmp(n->op, "VariableV2") != 0)
            continue;
        made = bli_tf_node_make(r->store, n->name, "Const");
        assert_non_null(made);
        assert_ok(r->ctx, bli_tg_set_type(r->store, made, "dtype", BLI_DT_FLOAT));
        assert_ok(r->ctx, bli_tf_node_set(r->store, made, "value",
                                          bli_tf_value_tensor(r->store, BLI_DT_FLOAT, 0, NULL, &half, NULL)));
        r->g->nodes[i] = made;
    }
}

static void averages_become_constants(void **state)
{
    rig *r = *state;
    for (int compat = 0; compat < 2; compat++) {
        read_golden(r, "golden/tf_training_out.pb");
        freeze(r);
        assert_node(r, "x/FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVars", "x x/Min/AssignValue x/Max/AssignValue");
        const bli_tg_options o = {compat, "x", "both"};
        assert_ok(r->ctx, bli_tg_transform(r->store, &r->g, "remove_ema strip_unused_nodes", &o));
        assert_node(r, "x/FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVars", "x x/Min/Variable x/Max/Variable");
        assert_node(r, "six/FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVars", "six six/InputMin six/InputMax");
        for (size_t i = 0; i < r->g->num_nodes; i++)
            assert_string_not_equal(r->g->nodes[i]->op, "Assign");
    }
}

static void averages_of_second_outputs_keep_their_port(void **state)
{
    rig *r = *state;
    for (int compat = 0; compat < 2; compat++) {
        r->g = bli_tf_graph_make(r->store);
        rig_add(r, "Placeholder", "x", "");
        rig_add(r, "Split", "s", "x x");
        rig_add(r, "MatMul", "y", "s:1 s:1");
        assert_ok(r->ctx, run(r, "fake_quantize_training", false));
        freeze(r);
        assert_ok(r->ctx, run(r, "remove_ema", compat));
        assert_node(r, "s__port__1/FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVars",
                    compat ? "s s__port__1/Min/Variable s__port__1/Max/Variable"
                           : "s:1 s__port__1/Min/Variable s__port__1/Max/Variable");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(normalisation_in_parts_becomes_weights_and_a_bias),
        TEST(what_others_read_is_not_scaled),
        TEST(vectors_that_do_not_fit_stay_or_are_errors),
        TEST(algebra_becomes_one_node_and_folds),
        TEST(algebra_of_other_scales_stays),
        TEST(an_original_that_cannot_be_followed_is_named),
        TEST(moments_are_made_where_they_were),
        TEST(training_is_what_tensorflow_makes),
        TEST(training_keeps_outputs_and_types_apart),
        TEST(training_refuses_what_it_does_not_know),
        TEST(averages_become_constants),
        TEST(averages_of_second_outputs_keep_their_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
