/* test_tf_transforms.c: transforms of TensorFlow graphs: their string, their arguments, and what of the original's
 * defects is mended.  (That the compatible mode is the original's: tests/check/test_tf_transforms.py.) Length: one test
 * a defect. */
#include <math.h>

#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/transform.h"

/* A constant of 0.25, 0.5, 0.75, ... times sign. */
static void add_const(rig *r, const char *name, int rank, const int64_t *dim, float sign)
{
    void *content;
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dim[i];
    assert_ok(r->ctx, bli_tg_add_const(r->g, name, BLI_DT_FLOAT, rank, dim, NULL, &content, NULL));
    for (size_t i = 0; i < count; i++)
        ((float *)content)[i] = sign * 0.25f * (float)(i + 1);
}

static void add_vector(rig *r, const char *name, int64_t count)
{
    add_const(r, name, 1, &count, 1);
}

/* A convolution of two columns. */
static bli_tf_node *add_conv(rig *r, const char *name, const char *x, const char *w)
{
    bli_tf_node *n = rig_add(r, "Conv2D", name, bli_tf_text(r->store, "%s %s", x, w));
    static const int64_t ones[4] = {1, 1, 1, 1};
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "strides", bli_tf_value_ints(r->store, ones, 4)));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "padding", bli_tf_value_string(r->store, "SAME")));
    return n;
}

static void add_weights(rig *r, const char *name)
{
    static const int64_t dim[4] = {1, 1, 3, 2};
    add_const(r, name, 4, dim, 1);
}

static void add_norm(rig *r, const char *name, const char *x, const char *params)
{
    bli_tf_node *n = rig_add(r, "FusedBatchNorm", name, bli_tf_text(r->store, "%s %s", x, params));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "epsilon", bli_tf_value_float(r->store, 0.5f)));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "is_training", bli_tf_value_bool(r->store, false)));
}

static bl_status run(rig *r, const char *transforms, bool compat, const char *inputs, const char *outputs)
{
    const bli_tg_options o = {compat, inputs, outputs};
    return bli_tg_transform(r->store, &r->g, transforms, &o);
}

/* The mode in which defects are mended. */
static void transform(rig *r, const char *transforms)
{
    assert_ok(r->ctx, run(r, transforms, false, "x", "y"));
}

static void assert_node(const rig *r, const char *name, const char *op, const char *inputs)
{
    const bli_tf_node *n = rig_find(r, name);
    char got[512] = "";
    if (!n)
        print_error("no node %s\n", name);
    assert_non_null(n);
    for (size_t i = 0; i < n->num_inputs; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", n->inputs[i]);
    assert_string_equal(n->op, op);
    assert_string_equal(got, inputs);
}

static const float *floats(const rig *r, const char *name, size_t *count)
{
    bli_tf_tensor t;
    assert_non_null(rig_find(r, name));
    assert_ok(r->ctx, bli_tg_const_view(r->store, rig_find(r, name), BLI_DT_FLOAT, &t));
    if (count)
        *count = t.count;
    return t.data;
}

/* ---- the string ---------------------------------------------------------------------------------------------------
 */

/* As "name(param=value/value;param=...) ...". */
static void print_calls(const bli_tg_call *calls, size_t count, char *to, size_t size)
{
    *to = '\0';
#define PRINT(...) snprintf(to + strlen(to), size - strlen(to), __VA_ARGS__)
    for (size_t i = 0; i < count; i++) {
        PRINT("%s%s", i ? " " : "", calls[i].name);
        for (size_t a = 0; a < calls[i].num_args; a++) {
            PRINT("%s%s=", a ? ";" : "(", calls[i].args[a].name);
            for (size_t v = 0; v < calls[i].args[a].num_values; v++)
                PRINT("%s%s", v ? "/" : "", calls[i].args[a].values[v]);
        }
        PRINT("%s", calls[i].num_args ? ")" : "");
    }
#undef PRINT
}

static void transforms_are_parsed(void **state)
{
    rig *r = *state;
    static const char *const cases[][2] = {
        {"", ""},
        {" a\n\tb2_C ", "a b2_C"},
        {"a()b", "a b"},
        {"a(op=Identity, op=NoOp, n=3)", "a(op=Identity/NoOp;n=3)"},
        {"a(op=x op=y)", "a(op=x/y)"},
        {"a(d=\"/gpu:0\", s=\"1,2, 3\")", "a(d=/gpu:0;s=1,2, 3)"},
        {"a(d=\"q\\\"q\")", "a(d=q\\\"q)"},
        {"a(d=x\"')", "a(d=x)"},
        {"a(d=\"x\"\"')", "a(d=x)"},
        {"a(d=-1e-3/b_)", "a(d=-1e-3/b_)"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_tg_call *calls;
        size_t count;
        char text[256];
        assert_ok(r->ctx, bli_tg_parse_calls(r->store, cases[i][0], false, &calls, &count));
        print_calls(calls, count, text, sizeof text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void what_is_no_transform_is_refused(void **state)
{
    rig *r = *state;
    static const char *const cases[][2] = {
        {"a,b", "a transform's name"},   {"a(op=x )", "a parameter's name"}, {"a(op = x)", "'=' behind"},
        {"a(op='x')", "a value (quote"}, {"a(op=\"x)", "a closing quote"},   {"a(op=x , n=1)", "a parameter's name"},
        {"a(op=x", "no closing ')'"},    {"a(", "no closing ')'"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_tg_call *calls;
        size_t count;
        assert_fails(r->ctx, BL_USAGE, cases[i][1], bli_tg_parse_calls(r->store, cases[i][0], false, &calls, &count));
    }
}

static void the_original_drops_what_never_closes(void **state)
{
    rig *r = *state;
    bli_tg_call *calls;
    size_t count;
    assert_ok(r->ctx, bli_tg_parse_calls(r->store, "a b(op=x", true, &calls, &count));
    assert_int_equal(count, 1);
}

static void misspelt_names_get_the_nearest(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    assert_fails(r->ctx, BL_NOT_FOUND, "did you mean 'remove_nodes'", run(r, "remove_node(op=A)", false, "", ""));
    assert_fails(r->ctx, BL_BAD_VALUE, "did you mean 'max_inputs'",
                 run(r, "remove_nodes(op=A, max_input=2)", false, "", ""));
    assert_ok(r->ctx, run(r, "remove_nodes(op=A, max_input=2)", true, "", ""));
    assert_fails(r->ctx, BL_USAGE, "is given 2 times", run(r, "set_device(device=a, device=b)", false, "", ""));
    assert_fails(r->ctx, BL_USAGE, "expected a whole number",
                 run(r, "quantize_weights(minimum_size=x)", false, "", ""));
    assert_fails(r->ctx, BL_USAGE, "expected true, 1", run(r, "set_device(if_default=yes)", false, "", ""));
}

static void errors_are_ignored_on_request(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    assert_ok(r->ctx, run(r, "rename_op(ignore_errors=TRUE) set_device(device=d)", false, "", ""));
    assert_string_equal(rig_find(r, "x")->device, "d");
}

static void a_failure_leaves_the_graph(void **state)
{
    rig *r = *state;
    bli_tf_graph *before = r->g;
    rig_add(r, "Placeholder", "x", "");
    assert_fails(r->ctx, BL_USAGE, "'old_op_name' is missing", run(r, "set_device(device=d) rename_op", false, "", ""));
    assert_ptr_equal(r->g, before);
    assert_string_equal(rig_find(r, "x")->device, "");
}

static void hashes_are_murmurs(void **state)
{
    (void)state;
    assert_int_equal(bli_tg_hash64("", 0), 0x81769421199f9e3b);
    assert_int_equal(bli_tg_hash64("Conv2D", 6), 0xce85a5b1f8de15c5);
    assert_int_equal(bli_tg_hash64("12345678", 8), 0x5d826b62696d2b7);
    assert_int_equal(bli_tg_hash64("Relu|Add and more than eight bytes", 34), 0xf261aa9c9fc14c8f);
}

/* ---- mended -------------------------------------------------------------------------------------------------------
 */

static void versions_are_kept(void **state)
{
    rig *r = *state;
    static BliTf__VersionDef versions = BLI_TF__VERSION_DEF__INIT;
    bli_tf_graph *first = r->g;
    versions.producer = 7;
    r->g->versions = &versions;
    rig_add(r, "Placeholder", "x", "");
    transform(r, "remove_device sort_by_execution_order");
    assert_int_equal(r->g->versions->producer, 7);
    r->g = first;
    assert_ok(r->ctx, run(r, "remove_device", true, "", ""));
    assert_null(r->g->versions);
}

static void negative_weights_get_their_range(void **state)
{
    rig *r = *state;
    const int64_t count = 1024;
    add_const(r, "y", 1, &count, -1);
    bli_tf_graph *first = r->g;
    transform(r, "quantize_weights");
    assert_true(*floats(r, "y_quantized_max", NULL) == 0);
    assert_true(*floats(r, "y_quantized_min", NULL) == -256);
    assert_node(r, "y", "Dequantize", "y_quantized_const y_quantized_min y_quantized_max");
    r->g = first;
    assert_ok(r->ctx, run(r, "quantize_weights", true, "", "y"));
    assert_true(*floats(r, "y_quantized_max", NULL) == 0x1p-126f);
}

static void weights_that_are_no_numbers_are_refused(void **state)
{
    rig *r = *state;
    const int64_t count = 1024;
    add_const(r, "y", 1, &count, NAN);
    assert_fails(r->ctx, BL_BAD_VALUE, "node 'y' (Const): element 0 is", run(r, "quantize_weights", false, "", "y"));
}

static void rounded_weights_stay_in_their_range(void **state)
{
    rig *r = *state;
    size_t count;
    const int64_t n = 17;
    add_const(r, "y", 1, &n, 1);
    transform(r, "round_weights(num_steps=4)");
    const float *v = floats(r, "y", &count);
    assert_true(v[0] == 0.75f && v[16] == 3.75f);
}

static void ports_in_names_of_outputs_protect_them(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Relu", "r", "x");
    rig_add(r, "Relu", "y", "x");
    assert_ok(r->ctx, run(r, "merge_duplicate_nodes obfuscate_names", false, "x:0", "y:0"));
    assert_node(r, "y", "Relu", "x");
    assert_non_null(rig_find(r, "x"));
}

static void control_inputs_outlive_removed_nodes(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "NoOp", "first", "");
    rig_add(r, "CheckNumerics", "check", "x");
    rig_add(r, "Identity", "a", "x ^first ^check");
    rig_add(r, "Relu", "y", "a");
    transform(r, "remove_nodes(op=Identity, op=CheckNumerics)");
    assert_node(r, "y", "Relu", "x ^first");
    assert_null(rig_find(r, "check"));
}

static void nodes_at_the_edge_of_a_loop_stay(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Switch", "s", "x x");
    rig_add(r, "Identity", "i", "s:1");
    rig_add(r, "Relu", "y", "i");
    transform(r, "remove_nodes(op=Identity)");
    assert_node(r, "y", "Relu", "i");
}

static void second_inputs_of_removed_nodes_stay(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Neg", "n", "x");
    rig_add(r, "Maximum", "m", "x n");
    rig_add(r, "Add", "y", "m n");
    transform(r, "remove_nodes(op=Maximum, max_inputs=2)");
    assert_node(r, "y", "Add", "x n");
}

/* ---- batch normalisation -------------------------------------------------------------------------------------------
 */

static void products_of_any_shape_fold(void **state)
{
    rig *r = *state;
    static const int64_t dim[4] = {1, 1, 1, 2};
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    add_const(r, "s", 4, dim, 1);
    add_const(r, "t", 0, NULL, 8);
    add_conv(r, "c", "x", "w");
    rig_add(r, "Mul", "m", "s c");
    rig_add(r, "Mul", "y", "m t");
    transform(r, "fold_batch_norms");
    assert_node(r, "y", "Conv2D", "x w");
    const float *w = floats(r, "w", NULL);
    assert_true(w[0] == 0.25f * 0.25f * 2 && w[1] == 0.5f * 0.5f * 2 && w[5] == 1.5f * 0.5f * 2);
}

static void norms_fold_with_biases_between(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    add_vector(r, "b", 2);
    add_vector(r, "p", 2);
    add_conv(r, "c", "x", "w");
    rig_add(r, "BiasAdd", "ba", "c b");
    add_norm(r, "y", "ba", "p p p p");
    r->g->nodes[r->g->num_nodes - 1]->op = "FusedBatchNormV3";
    transform(r, "fold_old_batch_norms");
    assert_node(r, "y", "BiasAdd", "c c_bn_offset");
    const float scale = 1.0f / sqrtf(0.25f + 0.5f) * 0.25f;
    assert_true(floats(r, "w", NULL)[0] == 0.25f * scale);
    assert_true(floats(r, "c_bn_offset", NULL)[0] == -0.25f * scale + 0.25f + 0.25f * scale);
}

static void shared_weights_are_copied(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    add_vector(r, "p", 2);
    add_conv(r, "c", "x", "w");
    add_conv(r, "d", "x", "w");
    add_norm(r, "n", "c", "p p p p");
    rig_add(r, "Add", "y", "n d");
    transform(r, "fold_old_batch_norms");
    assert_node(r, "d", "Conv2D", "x w");
    assert_node(r, "c", "Conv2D", "x c_bn_weights");
    assert_true(floats(r, "w", NULL)[0] == 0.25f);
}

static void shared_parameters_end_and_stay(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    add_weights(r, "v");
    add_vector(r, "p", 2);
    add_conv(r, "c", "x", "w");
    add_norm(r, "n", "c", "p p p p");
    add_conv(r, "d", "n", "v");
    add_norm(r, "m", "d", "p p p p");
    rig_add(r, "Add", "y", "m p");
    transform(r, "fold_old_batch_norms");
    assert_node(r, "n", "BiasAdd", "c c_bn_offset");
    assert_node(r, "m", "BiasAdd", "d d_bn_offset");
    assert_non_null(rig_find(r, "p"));
}

static void what_others_need_does_not_fold(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    add_vector(r, "p", 2);
    add_conv(r, "y", "x", "w");
    add_norm(r, "n", "y", "p p p p");
    rig_add(r, "Relu", "z", "n:1");
    bli_tf_graph *first = r->g;
    assert_ok(r->ctx, run(r, "fold_old_batch_norms", false, "x", "z"));
    assert_node(r, "n", "FusedBatchNorm", "y p p p p"); /* its mean is read */
    r->g = first;
    r->g->num_nodes--;
    transform(r, "fold_old_batch_norms");
    assert_node(r, "n", "FusedBatchNorm", "y p p p p"); /* the convolution is an output */
}

static void constants_fold_around_what_is_not_known(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_vector(r, "v", 3);
    rig_add(r, "Neg", "n", "v");
    rig_add(r, "Bogus", "b", "n");
    rig_add(r, "Mul", "m", "x n");
    rig_add(r, "Add", "y", "m b");
    transform(r, "fold_constants");
    assert_node(r, "m", "Mul", "x n/_0__cf__0");
    assert_node(r, "b", "Bogus", "n/_0__cf__0");
    assert_true(floats(r, "n/_0__cf__0", NULL)[2] == -0.75f);
    assert_null(rig_find(r, "n"));
    assert_ptr_equal(r->g->nodes[0], rig_find(r, "x"));
}

static void fed_nodes_may_be_computed(void **state)
{
    rig *r = *state;
    add_vector(r, "v", 3);
    rig_add(r, "Neg", "x", "v");
    rig_add(r, "Relu", "y", "x");
    assert_ok(r->ctx, run(r, "fold_constants", false, "x", "y"));
    assert_node(r, "y", "Relu", "x");
    assert_fails(r->ctx, BL_BAD_MODEL, "expected a Placeholder", run(r, "fold_constants", true, "x", "y"));
}

/* ---- eight bits ----------------------------------------------------------------------------------------------------
 */

static void a_tensor_that_comes_twice_is_quantized_once(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Add", "y", "x x");
    assert_fails(r->ctx, BL_BAD_MODEL, "is there twice", run(r, "quantize_nodes", true, "x", "y"));
    transform(r, "quantize_nodes");
    assert_node(r, "y/eightbit", "QuantizedAdd",
                "y_eightbit/x/quantize:0 y_eightbit/x/quantize:0 y_eightbit/x/quantize:1 y_eightbit/x/quantize:2 "
                "y_eightbit/x/quantize:1 y_eightbit/x/quantize:2");
}

static void control_inputs_are_no_data(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "NoOp", "first", "");
    rig_add(r, "Relu", "y", "x ^first");
    transform(r, "quantize_nodes");
    assert_node(r, "y/eightbit", "QuantizedRelu",
                "y_eightbit/x/quantize:0 y_eightbit/x/quantize:1 y_eightbit/x/quantize:2 ^first");
}

static void what_eight_bits_cannot_say_stays_float(void **state)
{
    rig *r = *state;
    static const int64_t two[4] = {1, 2, 2, 1};
    rig_add(r, "Placeholder", "x", "");
    add_weights(r, "w");
    bli_tf_node *c = add_conv(r, "y", "x", "w");
    assert_ok(r->ctx, bli_tf_node_set(r->store, c, "dilations", bli_tf_value_ints(r->store, two, 4)));
    transform(r, "quantize_nodes");
    assert_node(r, "y", "Conv2D", "x w");
}

static void fake_quantization_moves_below_what_keeps_its_order_only(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    add_const(r, "min", 0, NULL, -4);
    add_const(r, "max", 0, NULL, 4);
    rig_add(r, "Sigmoid", "s", "x");
    rig_add(r, "FakeQuantWithMinMaxVars", "q", "s min max");
    rig_add(r, "Relu", "t", "q");
    rig_add(r, "FakeQuantWithMinMaxVars", "y", "t min max");
    transform(r, "quantize_nodes(ignore_op=Relu)");
    assert_node(r, "s", "Sigmoid", "x");
    assert_node(r, "y", "Relu", "y_hoisted");
}

static void newer_sums_and_concatenations_get_eight_bits(void **state)
{
    rig *r = *state;
    static const int32_t one = 1;
    rig_add(r, "Placeholder", "x", "");
    rig_add(r, "Neg", "n", "x");
    rig_add(r, "AddV2", "s", "x n");
    assert_ok(r->ctx, bli_tg_add_const(r->g, "axis", BLI_DT_INT32, 0, NULL, &one, NULL, NULL));
    bli_tf_node *c = rig_add(r, "ConcatV2", "y", "s n axis");
    assert_ok(r->ctx, bli_tf_node_set(r->store, c, "N", bli_tf_value_int(r->store, 2)));
    transform(r, "quantize_nodes");
    assert_string_equal(rig_find(r, "s/eightbit")->op, "QuantizedAdd");
    assert_string_equal(rig_find(r, "y/eightbit")->op, "QuantizedConcat");
    assert_string_equal(rig_find(r, "y/eightbit")->inputs[0], "axis");
    assert_string_equal(rig_find(r, "y/eightbit")->inputs[1], "s/eightbit/requantize:0");
}

static void depthwise_convolutions_get_eight_bits(void **state)
{
    rig *r = *state;
    static const int64_t narrow[4] = {1, 1, 2, 1}, wide[4] = {17, 16, 2, 1};
    rig_add(r, "Placeholder", "x", "");
    add_const(r, "w", 4, narrow, 1);
    add_const(r, "w2", 4, wide, 1);
    bli_tf_node *n = add_conv(r, "d", "x", "w");
    n->op = "DepthwiseConv2dNative";
    n = add_conv(r, "y", "d", "w2");
    n->op = "DepthwiseConv2dNative";
    transform(r, "quantize_nodes");
    assert_node(r, "d/eightbit/sums", "DepthwiseConv2dNative", "d/eightbit/x/centred d/eightbit/w/centred");
    assert_node(r, "d/eightbit/requantize", "Requantize",
                "d/eightbit/codes d/eightbit/min d/eightbit/max d/eightbit/requant_range:0 "
                "d/eightbit/requant_range:1");
    assert_node(r, "y", "DepthwiseConv2dNative", "d w2"); /* more taps than floats can sum exactly */
}

static void sums_of_shapes_that_eight_bits_do_not_know_stay(void **state)
{
    rig *r = *state;
    static const int64_t column[2] = {3, 1}, square[2] = {3, 3};
    add_const(r, "a", 2, column, 1);
    add_const(r, "x", 2, square, 1);
    rig_add(r, "Add", "y", "x a");
    transform(r, "quantize_nodes");
    assert_node(r, "y", "Add", "x a");
}

static void inputs_that_are_no_floats_stay(void **state)
{
    rig *r = *state;
    rig_add(r, "Placeholder", "x", "");
    assert_ok(r->ctx, bli_tg_set_type(r->store, rig_add(r, "Placeholder", "i", ""), "dtype", BLI_DT_INT32));
    rig_add(r, "Relu", "y", "x");
    transform(r, "quantize_nodes(input_min=0, input_max=1)");
    assert_non_null(rig_find(r, "x_eightbit/dequantize"));
    assert_null(rig_find(r, "i_eightbit/dequantize"));
}

/* ---- memory --------------------------------------------------------------------------------------------------------
 */

static bl_status transform_small(bl_context *ctx, void *arg)
{
    rig r = {.ctx = ctx};
    const bli_tg_options o = {false, "x", "y"};
    bli_tf_node *n;
    const int64_t dim[2] = {3, 2};
    void *content;
    (void)arg;
    BLI_TRY(bli_tf_store_create(ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    bl_status s = r.g ? bli_tg_add_node(r.g, "Placeholder", "x", NULL, &n) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = bli_tg_set_type(r.store, n, "dtype", BLI_DT_FLOAT);
    if (s == BL_OK)
        s = bli_tg_add_const(r.g, "w", BLI_DT_FLOAT, 2, dim, NULL, &content, NULL);
    if (s == BL_OK)
        s = bli_tg_add_node(r.g, "MatMul", "c", (const char *[]){"x", "w", NULL}, &n);
    if (s == BL_OK)
        s = bli_tg_set_type(r.store, n, "T", BLI_DT_FLOAT);
    if (s == BL_OK)
        s = bli_tg_add_node(r.g, "Relu", "y", (const char *[]){"c", NULL}, &n);
    if (s == BL_OK)
        s = bli_tg_set_type(r.store, n, "T", BLI_DT_FLOAT);
    if (s == BL_OK)
        s = bli_tg_transform(
            r.store, &r.g,
            "strip_unused_nodes remove_nodes(op=Identity) fold_constants fold_batch_norms add_default_attributes "
            "quantize_weights(minimum_size=2) sort_by_execution_order merge_duplicate_nodes",
            &o);
    bli_tf_store_destroy(r.store);
    return s;
}

static void long_chains_keep_two_copies_of_the_weights(void **state)
{
    (void)state;
    enum { CONTENT = 4 << 18 };
    static const int64_t dim[2] = {1 << 9, 1 << 9};
    counting_allocator counter = {0};
    bl_allocator allocator = counting_allocator_of(&counter);
    rig r = {0};
    assert_int_equal(bl_context_create(&allocator, &r.ctx), BL_OK);
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    add_const(&r, "y", 2, dim, 1);
    transform(&r, "round_weights(num_steps=9) round_weights(num_steps=8) round_weights(num_steps=7) "
                  "round_weights(num_steps=6) round_weights(num_steps=5)");
    size_t count;
    assert_non_null(floats(&r, "y", &count));
    assert_int_equal(count, dim[0] * dim[1]);
    assert_true(counter.live_bytes < 2 * CONTENT + CONTENT / 2);
    assert_true(counter.peak_bytes < 3 * CONTENT + CONTENT / 2);
    bli_tf_store_destroy(r.store);
    bl_context_destroy(r.ctx);
    assert_int_equal(counter.live_blocks, 0);
}

static void chains_in_place_keep_one_copy_and_make_one(void **state)
{
    (void)state;
    enum { CONTENT = 4 << 18 };
    static const int64_t dim[2] = {1 << 9, 1 << 9};
    counting_allocator counter = {0};
    bl_allocator allocator = counting_allocator_of(&counter);
    const bli_tg_options o = {false, "x", "y"};
    rig r = {0};
    assert_int_equal(bl_context_create(&allocator, &r.ctx), BL_OK);
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    add_const(&r, "y", 2, dim, 1);
    assert_ok(r.ctx, bli_tg_transform_in_place(r.store, &r.g,
                                               "round_weights(num_steps=9) round_weights(num_steps=8) "
                                               "round_weights(num_steps=7)",
                                               &o));
    assert_non_null(floats(&r, "y", NULL));
    assert_true(counter.live_bytes < CONTENT + CONTENT / 2);
    assert_true(counter.peak_bytes < 2 * CONTENT + CONTENT / 2);
    assert_fails(r.ctx, BL_USAGE, "'old_op_name' is missing",
                 bli_tg_transform_in_place(r.store, &r.g, "round_weights rename_op", &o));
    assert_int_equal(r.g->num_nodes, 0);
    bli_tf_store_destroy(r.store);
    bl_context_destroy(r.ctx);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fail_each_allocation(transform_small, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(transforms_are_parsed),
        TEST(what_is_no_transform_is_refused),
        TEST(the_original_drops_what_never_closes),
        TEST(misspelt_names_get_the_nearest),
        TEST(errors_are_ignored_on_request),
        TEST(a_failure_leaves_the_graph),
        TEST(hashes_are_murmurs),
        TEST(versions_are_kept),
        TEST(negative_weights_get_their_range),
        TEST(weights_that_are_no_numbers_are_refused),
        TEST(rounded_weights_stay_in_their_range),
        TEST(ports_in_names_of_outputs_protect_them),
        TEST(control_inputs_outlive_removed_nodes),
        TEST(nodes_at_the_edge_of_a_loop_stay),
        TEST(second_inputs_of_removed_nodes_stay),
        TEST(products_of_any_shape_fold),
        TEST(norms_fold_with_biases_between),
        TEST(shared_weights_are_copied),
        TEST(shared_parameters_end_and_stay),
        TEST(what_others_need_does_not_fold),
        TEST(constants_fold_around_what_is_not_known),
        TEST(fed_nodes_may_be_computed),
        TEST(a_tensor_that_comes_twice_is_quantized_once),
        TEST(control_inputs_are_no_data),
        TEST(what_eight_bits_cannot_say_stays_float),
        TEST(fake_quantization_moves_below_what_keeps_its_order_only),
        TEST(newer_sums_and_concatenations_get_eight_bits),
        TEST(depthwise_convolutions_get_eight_bits),
        TEST(sums_of_shapes_that_eight_bits_do_not_know_stay),
        TEST(inputs_that_are_no_floats_stay),
        cmocka_unit_test(long_chains_keep_two_copies_of_the_weights),
        cmocka_unit_test(chains_in_place_keep_one_copy_and_make_one),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
