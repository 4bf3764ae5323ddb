/* What the definitions of operators say at their edges: ties, NaN and infinities, empty dimensions, shapes by ONNX,
 * refusals with their words, work in place, dropout's mask, running statistics. */
#include "support/op_cases.h"
#include "support/rig.h"

#include <math.h>

#include "op/infer.h"

enum { ROWS = 4 };

static void open_rig(bl_context *ctx, const char *text, bl_dtype carrier, rig *r)
{
    assert_ok(ctx, rig_open(ctx, text, carrier, ROWS, 1, r));
}

static void fill_with(bl_tensor *t, double v)
{
    for (size_t i = 0; i < bli_count(t); i++)
        rig_set(t, i, v);
}

/* ---- maxima ------------------------------------------------------------------------------------------------- */
static void check_ties(bl_context *ctx, const char *text)
{
    rig r;
    open_rig(ctx, text, BL_F32, &r);
    fill_with(&r.in[0].t, 0.5);
    rig_forward(&r, 1);
    rig_backward(&r, 1);
    const int64_t width = r.in[0].t.shape.dim[2], c = r.in[0].t.shape.dim[3];
    const int64_t out_width = r.out[0].shape.dim[2];
    for (int64_t i = 0; i < (int64_t)bli_count(&r.in[0].t); i++) {
        const int64_t ch = i % c, w = i / c % width, h = i / c / width;
        const bool is_first = h % 2 == 0 && w % 2 == 0;
        const double dy = is_first ? rig_get(&r.grad_out[0], (size_t)((h / 2 * out_width + w / 2) * c + ch)) : 0;
        assert_true(rig_get(&r.in[0].grad, (size_t)i) == dy);
    }
    rig_close(&r);
}

static void test_a_maximum_of_equals_is_the_first(void **state)
{
    check_ties(*state, "MaxPool last x[N,4,6,16] kernel_shape=2,2 strides=2,2");
    check_ties(*state, "MaxPool last x[N,4,6,3] kernel_shape=2,2 strides=2,2");
    check_ties(*state, "MaxPool last x[N,4,6,5] kernel_shape=2,2 strides=2,2 ceil_mode:1 pads=0,0,0,0 dilations=1,1");
    check_ties(*state, "MaxPool last x[N,4,6,70] kernel_shape=2,2 strides=2,2 auto_pad@SAME_UPPER");
}

/* The same windows through the loop for 2 x 2 and through the general one (a stride along an axis that has one window
 * does not matter, but hides the shape). */
static void test_both_loops_for_maxima_agree(void **state)
{
    rig fast, slow;
    open_rig(*state, "MaxPool last x[N,2,2,19] kernel_shape=2,2 strides=2,2", BL_F32, &fast);
    open_rig(*state, "MaxPool last x[N,2,2,19] kernel_shape=2,2 strides=1,3", BL_F32, &slow);
    for (size_t i = 0; i < bli_count(&fast.in[0].t); i++) {
        const double v = floor(rig_random(3, i, -1, 3));
        rig_set(&fast.in[0].t, i, i % 11 == 0 ? (double)NAN : v);
        rig_set(&slow.in[0].t, i, i % 11 == 0 ? (double)NAN : v);
    }
    rig_forward(&fast, 1);
    rig_forward(&slow, 1);
    for (size_t i = 0; i < bli_count(&fast.out[0]); i++) {
        const double a = rig_get(&fast.out[0], i), b = rig_get(&slow.out[0], i);
        assert_true(a == b || (isnan(a) && isnan(b)));
    }
    rig_backward(&fast, 1);
    rig_backward(&slow, 1);
    assert_memory_equal(fast.in[0].grad.data, slow.in[0].grad.data, 4 * bli_count(&fast.in[0].grad));
    rig_close(&fast);
    rig_close(&slow);
}

/* ---- special values ----------------------------------------------------------------------------------------- */
typedef struct special {
    const char *text;
    double x, y; /* NAN: a NaN is expected */
} special;

static void test_special_values(void **state)
{
    static const special cases[] = {
        {"Relu onnx x[N,40]", NAN, NAN},
        {"Relu onnx x[N,40]", INFINITY, INFINITY},
        {"Relu onnx x[N,40]", -INFINITY, 0},
        {"Relu onnx x[N,40]", -0.0, 0},
        {"Clip onnx x[N,40] f{0} f{6}", NAN, NAN},
        {"Clip onnx x[N,40] f{0} f{6}", INFINITY, 6},
        {"Clip onnx x[N,40] f{0} f{6}", -INFINITY, 0},
        {"LeakyRelu onnx x[N,40]", NAN, NAN},
        {"LeakyRelu onnx x[N,40]", INFINITY, INFINITY},
        {"Sigmoid onnx x[N,40]", INFINITY, 1},
        {"Sigmoid onnx x[N,40]", -INFINITY, 0},
        {"Sigmoid onnx x[N,40]", -1000, 0},
        {"Sigmoid onnx x[N,40]", NAN, NAN},
        {"Tanh onnx x[N,40]", -INFINITY, -1},
        {"HardSigmoid onnx x[N,40]", INFINITY, 1},
        {"HardSigmoid onnx x[N,40]", NAN, NAN},
        {"HardSwish onnx x[N,40]", -4, 0},
        {"HardSwish onnx x[N,40]", 5, 5},
        {"Elu onnx x[N,40]", -INFINITY, -1},
        {"Softplus onnx x[N,40]", 1000, 1000},
        {"Softplus onnx x[N,40]", -1000, 0},
        {"Softmax onnx x[N,40]", 1e30, 1.0 / 40},
        {"MaxPool last x[N,4,4,2] kernel_shape=2,2 strides=2,2", -INFINITY, -INFINITY},
        {"AveragePool last x[N,4,4,2] kernel_shape=2,2", NAN, NAN},
        {"GlobalAveragePool last x[N,4,4,2]", INFINITY, INFINITY},
        {"ReduceMean onnx x[N,4] i{1}", NAN, NAN},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        for (int carrier = BL_F32; carrier <= BL_F64; carrier++) {
            rig r;
            open_rig(*state, cases[i].text, (bl_dtype)carrier, &r);
            fill_with(&r.in[0].t, cases[i].x);
            rig_forward(&r, 1);
            for (size_t e = 0; e < bli_count(&r.out[0]); e++) {
                const double y = rig_get(&r.out[0], e), want = cases[i].y;
                const bool good = isnan(want) ? isnan(y) : y == want || fabs(y - want) < 1e-8;
                if (!good)
                    print_error("%s of %g: %g, expected %g\n", cases[i].text, cases[i].x, y, want);
                assert_true(good);
            }
            rig_close(&r);
        }
}

/* ---- shapes ------------------------------------------------------------------------------------------------- */
static void test_shapes_follow_onnx(void **state)
{
    static const char *const cases[][2] = {
        {"Add onnx x[N,4,1,2] x[N,1,3,1]", "[N, 4, 3, 2]"},
        {"Add onnx p[3] x[N,4,3]", "[N, 4, 3]"},
        {"Flatten onnx x[N,3,4]", "[N, 12]"},
        {"Flatten onnx p[2,3,4] axis:2", "[6, 4]"},
        {"Flatten onnx p[2,3,4] axis:0", "[1, 24]"},
        {"Flatten onnx p[2,3,4] axis:-1", "[6, 4]"},
        {"Reshape onnx x[N,3,4] i{0,-1}", "[N, 12]"},
        {"Reshape onnx x[N,3,4] i{-1,3,0}", "[N, 3, 4]"},
        {"Reshape onnx x[N,2,4] i{-1,0,4}", "[N, 2, 4]"},
        {"Reshape onnx p[2,3,4] i{4,-1}", "[4, 6]"},
        {"Reshape onnx p[1] i{}", "[]"},
        {"Reshape onnx x[N,0,4] i{-1,0} allowzero:1", "[N, 0]"},
        {"Squeeze onnx x[N,1,4,1]", "[N, 4]"},
        {"Squeeze onnx x[N,1,4,1] i{-1}", "[N, 1, 4]"},
        {"Unsqueeze onnx x[N,4] i{3,1}", "[N, 1, 4, 1]"},
        {"MaxPool last x[N,5,7,3] kernel_shape=2,2 strides=2,2", "[N, 2, 3, 3]"},
        {"MaxPool last x[N,5,7,3] kernel_shape=2,2 strides=2,2 ceil_mode:1", "[N, 3, 4, 3]"},
        {"MaxPool last x[N,4,4,3] kernel_shape=1,1 strides=3,2 ceil_mode:1", "[N, 2, 2, 3]"},
        {"MaxPool last x[N,5,7,3] kernel_shape=3,3 strides=2,2 auto_pad@SAME_UPPER", "[N, 3, 4, 3]"},
        {"MaxPool last x[N,5,7,3] kernel_shape=3,3 strides=2,2 auto_pad@VALID", "[N, 2, 3, 3]"},
        {"MaxPool onnx x[N,3,5,7] kernel_shape=2,2 strides=2,2", "[N, 3, 2, 3]"},
        {"AveragePool last x[N,9,3] kernel_shape=3 dilations=2", "[N, 5, 3]"},
        {"GlobalAveragePool last x[N,5,7,3]", "[N, 1, 1, 3]"},
        {"GlobalMaxPool onnx x[N,3,5,7]", "[N, 3, 1, 1]"},
        {"BatchNormalization onnx x[N,3,5,7] p[3] p[3] s[3] s[3]", "[N, 3, 5, 7]"},
        {"Transpose onnx x[N,2,3,4] perm=0,3,1,2", "[N, 4, 2, 3]"},
        {"Transpose onnx p[2,3,4]", "[4, 3, 2]"},
        {"Concat onnx x[N,2,3] x[N,4,3] axis:-2", "[N, 6, 3]"},
        {"Split onnx x[N,7] y axis:1", "[N, 4]"},
        {"Slice onnx x[N,9,4] i{8} i{-100} i{1} i{-3}", "[N, 3, 4]"},
        {"Slice onnx x[N,9,4] i{5} i{2} i{1}", "[N, 0, 4]"},
        {"Pad onnx x[N,3,4] i{0,1,2,0,3,-1}", "[N, 7, 5]"},
        {"ReduceSum onnx x[N,5,1,3] i{1,3} keepdims:0", "[N, 1]"},
        {"ReduceMean onnx p[5,3]", "[1, 1]"},
        {"ReduceSum onnx p[5,3] keepdims:0", "[]"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        rig r;
        char got[128];
        open_rig(*state, cases[i][0], BL_F32, &r);
        bl_shape_print(&bl_graph_value(r.g, r.node->outputs[0])->shape, got, sizeof got);
        if (strcmp(got, cases[i][1]) != 0)
            print_error("%s: %s, expected %s\n", cases[i][0], got, cases[i][1]);
        assert_string_equal(got, cases[i][1]);
        rig_close(&r);
    }
}

static void test_refusals_say_what_is_wrong(void **state)
{
    static const char *const cases[][2] = {
        {"Add onnx x[N,4] p[3]", "shapes [N, 4] and [3] do not broadcast"},
        {"Add onnx x[N,4] p[2,1,4]", "with the batch first"},
        {"PRelu onnx x[N,4] p[3,4]", "do not broadcast"},
        {"Clip onnx x[N,4] x[N,1]", "min (input 1) must be a constant"},
        {"Relu onnx i{1,2}", "input 0 is of type"},
        {"Relu onnx x[N,4] alpha~1", "alpha"},
        {"Flatten onnx x[N,3,4] axis:2", "mixes rows of the batch"},
        {"Flatten onnx x[N,3,4] axis:9", "attribute axis: 9 is outside"},
        {"Reshape onnx x[N,3,4] i{3,-1}", "must stay the batch"},
        {"Reshape onnx x[N,3,4] i{-1,5}", "cannot become"},
        {"Reshape onnx p[3,4] i{-1,-1}", "shape: -1 at index 0 and at index 1"},
        {"Reshape onnx x[N,3] p[2]", "shape (input 1) must be a constant"},
        {"Squeeze onnx x[N,3] i{1}", "dimension 1 is 3, expected 1"},
        {"Unsqueeze onnx x[N,3] i{0}", "would move the batch"},
        {"MaxPool last x[N,5,5,3] kernel_shape=2,2 pads=2,0,0,0", "value 2 at index 0 is not below the kernel's 2"},
        {"MaxPool last x[N,5,5,3] kernel_shape=2,2 pads=-1,0,0,0", "attribute pads: value -1 at index 0"},
        {"MaxPool last x[N,5,5,3] kernel_shape=6,2", "window of 6 does not fit into 5"},
        {"MaxPool last x[N,5,5,3] kernel_shape=2", "attribute kernel_shape: 1 values, expected 2"},
        {"MaxPool last x[N,5,5,3]", "kernel_shape"},
        {"MaxPool last x[N,5,5,3] kernel_shape=2,2 strides=0,1", "attribute strides: value 0 at index 0"},
        {"MaxPool last x[N,5,5,3] kernel_shape=2,2 auto_pad@SAME", "attribute auto_pad: 'SAME'"},
        {"MaxPool last x[N,5] kernel_shape=2", "rank 2, expected 3 or 4"},
        {"GlobalAveragePool last x[N,0,5,3]", "has no pixels"},
        {"BatchNormalization last x[N,5,3] p[5] p[3] s[3] s[3]", "input 1 must be a vector of 3"},
        {"BatchNormalization last x[N,3] p[3] p[3] s[3] s[3] epsilon~-1", "attribute epsilon: -1 is negative"},
        {"Transpose onnx x[N,2,3] perm=1,0,2", "take the place of the batch"},
        {"Transpose onnx x[N,2,3] perm=0,1,1", "not a permutation"},
        {"Concat onnx x[N,2] x[N,3] axis:0", "the batch, which must stay"},
        {"Concat onnx x[N,2,2] x[N,3,3] axis:1", "input 1 does not have input 0's type and shape"},
        {"Split onnx x[N,7] i{3,3} y axis:1", "1 are left over"},
        {"Split onnx x[N,7] i{3,5} y axis:1", "does not fit"},
        {"Slice onnx x[N,9] i{0} i{1} i{0}", "the batch, which must stay"},
        {"Slice onnx x[N,9] i{0} i{1} i{1} i{0}", "bad step"},
        {"Slice onnx x[N,9] i{0,1} i{1} i{1}", "different lengths"},
        {"Pad onnx x[N,3] i{1,0,0,0}", "the batch, which must stay"},
        {"Pad onnx x[N,3] i{0,3,0,0} mode@reflect", "too much for mode reflect"},
        {"Pad onnx x[N,3] i{0,-4,0,0}", "for axis 1 of size 3"},
        {"Pad onnx x[N,3] i{0,1,0}", "3 values, expected 4"},
        {"Pad onnx x[N,3] i{0,1,0,0} mode@mirror", "attribute mode: 'mirror'"},
        {"ReduceSum onnx x[N,3] i{0}", "the batch, which must stay"},
        {"ReduceSum onnx x[N,3]", "the batch, which must stay"},
        {"Softmax onnx x[N,3,4] axis:1", "not the last axis"},
        {"Dropout onnx x[N,3] f{1.5}", "1.5 is outside of 0 .. 1"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        rig r;
        const bl_status s = rig_open(*state, cases[i][0], BL_F32, ROWS, 1, &r);
        const char *words = bl_context_message(*state);
        if (s == BL_OK || strstr(words, cases[i][1]) == NULL || strstr(words, "node") == NULL)
            print_error("%s: %s: '%s', expected '%s'\n", cases[i][0], bl_status_name(s), words, cases[i][1]);
        assert_true(s != BL_OK && strstr(words, cases[i][1]) && strstr(words, "node"));
        rig_close(&r);
    }
}

static void test_empty_dimensions_and_single_pixels(void **state)
{
    static const char *const cases[] = {
        "Add onnx x[N,0] p[0]",
        "Add onnx x[N,3,0] p[3,1]",
        "Mul onnx x[N,0] p[1]",
        "Relu onnx x[N,0]",
        "Softmax onnx x[N,0]",
        "Dropout onnx x[N,0]",
        "BatchNormalization last x[N,3,3,0] p[0] p[0] s[0] s[0]",
        "BatchNormalization last x[N,0,3] p[3] p[3] s[3] s[3]",
        "MaxPool last x[N,4,4,0] kernel_shape=2,2 strides=2,2",
        "MaxPool last x[N,4,4,0] kernel_shape=3,3",
        "MaxPool last x[N,1,1,5] kernel_shape=1,1",
        "MaxPool last x[N,1,1,5] kernel_shape=3,3 pads=1,1,1,1",
        "AveragePool last x[N,1,1,5] kernel_shape=3,3 pads=1,1,1,1",
        "AveragePool last x[N,4,4,0] kernel_shape=3,3",
        "GlobalAveragePool last x[N,1,1,5]",
        "GlobalAveragePool last x[N,2,2,0]",
        "Concat onnx x[N,0] x[N,3] axis:1",
        "Slice onnx x[N,5] i{3} i{1} i{1}",
        "Transpose onnx x[N,0,3] perm=0,2,1",
        "Pad onnx x[N,0] i{0,2,0,1}",
        "ReduceSum onnx x[N,0,3] i{1}",
        "Flatten onnx x[N,0,3]",
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        for (int training = 0; training < 2; training++) {
            rig r;
            open_rig(*state, cases[i], BL_F32, &r);
            r.training = training == 1;
            rig_forward(&r, 2);
            rig_backward(&r, 2);
            for (size_t e = 0; e < bli_count(&r.out[0]); e++)
                assert_true(isfinite(rig_get(&r.out[0], e)));
            rig_close(&r);
        }
}

static void test_channels_first_normalisation_does_not_run(void **state)
{
    rig r;
    open_rig(*state, "BatchNormalization onnx x[N,3,2,2] p[3] p[3] s[3] s[3]", BL_F32, &r);
    const bli_call c = {.ctx = *state, .node = r.node, .in = {r.in[0].t, r.in[1].t}, .out = {r.out[0]}};
    assert_fails(*state, BL_UNSUPPORTED, "channels first", r.op->forward(&c));
    rig_close(&r);
}

/* ---- dropout ------------------------------------------------------------------------------------------------ */
/* 120,000 draws of probability 0.3: five standard deviations are 794, a false alarm in 1.7 million. */
static void test_dropout_keeps_its_share(void **state)
{
    rig r;
    open_rig(*state, "Dropout onnx x[N,30000] f{0.3}", BL_F32, &r);
    r.training = true;
    fill_with(&r.in[0].t, 0.7);
    fill_with(&r.grad_out[0], 0.7);
    rig_forward(&r, 3);
    rig_backward(&r, 2);
    assert_memory_equal(r.out[0].data, r.in[0].grad.data, 4 * bli_count(&r.out[0]));
    int zeros = 0;
    for (size_t i = 0; i < bli_count(&r.out[0]); i++) {
        const double y = rig_get(&r.out[0], i);
        zeros += y == 0;
        assert_true(y == 0 || fabs(y - 1) < 1e-6);
    }
    assert_true(abs(zeros - 36000) < 794);
    float *before = malloc(4 * bli_count(&r.out[0]));
    memcpy(before, r.out[0].data, 4 * bli_count(&r.out[0]));
    r.step++;
    rig_forward(&r, 1);
    assert_true(memcmp(before, r.out[0].data, 4 * bli_count(&r.out[0])) != 0);
    r.training = false;
    rig_forward(&r, 1);
    assert_memory_equal(r.out[0].data, r.in[0].t.data, 4 * bli_count(&r.out[0]));
    free(before);
    rig_close(&r);
}

/* ---- batch normalisation ------------------------------------------------------------------------------------ */
static void test_a_constant_channel_normalises_to_beta(void **state)
{
    rig r;
    open_rig(*state, "BatchNormalization last x[N,3,2] p[2] p[2] s[2] s[2]", BL_F32, &r);
    r.training = true;
    fill_with(&r.in[0].t, 1234.5);
    rig_set(&r.in[1].t, 0, -2);
    rig_forward(&r, 2);
    rig_backward(&r, 2);
    for (size_t i = 0; i < bli_count(&r.out[0]); i++) {
        assert_true(fabs(rig_get(&r.out[0], i) - rig_get(&r.in[2].t, i % 2)) < 0.06); /* 1234.5 * 2 / sqrt(eps) ulps */
        assert_true(isfinite(rig_get(&r.in[0].grad, i)));
    }
    rig_close(&r);
}

static void test_one_value_updates_the_running_variance_finitely(void **state)
{
    rig r;
    assert_ok(*state, rig_open(*state, "BatchNormalization onnx x[N,2] p[2] p[2] s[2] s[2]", BL_F32, 1, 1, &r));
    r.training = true;
    const double mean = rig_get(&r.in[3].t, 0), variance = rig_get(&r.in[4].t, 0), x = rig_get(&r.in[0].t, 0);
    rig_forward(&r, 1);
    rig_update_state(&r);
    assert_true(fabs(rig_get(&r.in[3].t, 0) - (0.9 * mean + 0.1 * x)) < 1e-6);
    assert_true(fabs(rig_get(&r.in[4].t, 0) - 0.9 * variance) < 1e-6);
    rig_close(&r);
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
        cmocka_unit_test(test_a_maximum_of_equals_is_the_first),
        cmocka_unit_test(test_both_loops_for_maxima_agree),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_shapes_follow_onnx),
        cmocka_unit_test(test_refusals_say_what_is_wrong),
        cmocka_unit_test(test_empty_dimensions_and_single_pixels),
        cmocka_unit_test(test_channels_first_normalisation_does_not_run),
        cmocka_unit_test(test_dropout_keeps_its_share),
        cmocka_unit_test(test_a_constant_channel_normalises_to_beta),
        cmocka_unit_test(test_one_value_updates_the_running_variance_finitely),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
