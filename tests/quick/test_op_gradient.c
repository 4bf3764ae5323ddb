/* Every operator of the table: its gradient is the derivative of its forward, and slices give the rows of the whole. */
#include "support/rig.h"

#include <math.h>

typedef struct gradient_case {
    const char *text;
    bool training;
} gradient_case;

static const gradient_case cases[] = {
    {"Add onnx x[N,5,6] x[N,5,6]", false},
    {"Add onnx x[N,5,6] p[6]", false},
    {"Add onnx x[N,5,6] p[5,6]", false},
    {"Add onnx p[3] x[N,4,3]", false},
    {"Add onnx x[N,5,1] p[6]", false},
    {"Add onnx x[N,4,1,2] x[N,1,3,1]", false},
    {"Add onnx x[N,300] p[300]", false},
    {"Add onnx x[N,5,6] p[1]", false},
    {"Add onnx x[N,2] p[1,2]", false},
    {"Add onnx p[4,3] p[3]", false},
    {"Sub onnx x[N,5,6] p[6]", false},
    {"Sub onnx p[6] x[N,5,6]", false},
    {"Sub onnx x[N,5] x[N,5]", false},
    {"Mul onnx x[N,5,6] x[N,5,6]", false},
    {"Mul onnx x[N,5,6] p[6]", false},
    {"Mul onnx p[1] x[N,3]", false},
    {"Mul onnx x[N,4,1,2] x[N,1,3,1]", false},
    {"Mul onnx p[4,3] p[3]", false},
    {"Div onnx x[N,5,6] u[N,5,6]", false},
    {"Div onnx x[N,5,6] q[6]", false},
    {"Div onnx q[5,1] u[N,1,6]", false},
    {"PRelu onnx x[N,5,6] p[6]", false},
    {"PRelu onnx x[N,5,6] p[1]", false},
    {"PRelu onnx x[N,5,6] p[5,1]", false},
    {"Relu onnx x[N,37]", false},
    {"Clip onnx x[N,37] f{-0.4} f{0.5}", false},
    {"Clip onnx x[N,37] - f{0.25}", false},
    {"Clip onnx x[N,7] f{0}", false},
    {"LeakyRelu onnx x[N,9]", false},
    {"LeakyRelu onnx x[N,9] alpha~0.125", false},
    {"Sigmoid onnx x[N,9]", false},
    {"Tanh onnx x[N,9]", false},
    {"HardSigmoid onnx x[N,9] alpha~0.8", false},
    {"HardSwish onnx x[N,9]", false},
    {"Elu onnx x[N,9] alpha~0.7", false},
    {"Softplus onnx x[N,9]", false},
    {"Identity onnx x[N,9]", false},
    {"Flatten onnx x[N,3,4]", false},
    {"Reshape onnx x[N,3,4] i{-1,2,6}", false},
    {"Reshape onnx x[N,3,4] i{0,-1}", false},
    {"Reshape onnx p[3,4] i{2,-1}", false},
    {"Squeeze onnx x[N,1,4] i{1}", false},
    {"Unsqueeze onnx x[N,4] i{1,-1}", false},
    {"BatchNormalization onnx x[N,7] p[7] p[7] s[7] s[7]", true},
    {"BatchNormalization onnx x[N,7] p[7] p[7] s[7] s[7] epsilon~0.01", false},
    {"BatchNormalization last x[N,3,5,4] p[4] p[4] s[4] s[4]", true},
    {"BatchNormalization last x[N,5,300] p[300] p[300] s[300] s[300]", true},
    {"MaxPool last x[N,6,8,16] kernel_shape=2,2 strides=2,2", false},
    {"MaxPool last x[N,5,7,3] kernel_shape=2,2 strides=2,2", false},
    {"MaxPool last x[N,7,6,5] kernel_shape=3,2 strides=2,1 pads=1,0,2,1", false},
    {"MaxPool last x[N,7,6,70] kernel_shape=3,3 strides=2,2 ceil_mode:1", false},
    {"MaxPool last x[N,9,8,2] kernel_shape=2,3 dilations=3,2 auto_pad@SAME_UPPER", false},
    {"MaxPool last x[N,11,3] kernel_shape=4 strides=3 auto_pad@SAME_LOWER", false},
    {"AveragePool last x[N,6,8,5] kernel_shape=2,2 strides=2,2", false},
    {"AveragePool last x[N,7,6,5] kernel_shape=3,2 strides=2,1 pads=1,0,2,1", false},
    {"AveragePool last x[N,7,6,5] kernel_shape=3,2 strides=2,2 pads=1,0,1,1 count_include_pad:1 ceil_mode:1", false},
    {"AveragePool last x[N,11,3] kernel_shape=4 strides=3 dilations=2", false},
    {"GlobalMaxPool last x[N,5,3,7]", false},
    {"GlobalAveragePool last x[N,5,3,7]", false},
    {"GlobalAveragePool last x[N,11,2]", false},
    {"Transpose onnx x[N,2,3,4] perm=0,3,1,2", false},
    {"Transpose onnx p[3,4]", false},
    {"Transpose onnx x[N,2,1,4] perm=0,2,3,1", false},
    {"Concat onnx x[N,2,3] x[N,4,3] axis:1", false},
    {"Concat onnx x[N,2] x[N,1] x[N,3] axis:-1", false},
    {"Split onnx x[N,7,2] i{2,4,1} y y axis:1", false},
    {"Split onnx x[N,7] y axis:-1", false},
    {"Slice onnx x[N,9,4] i{1,-1} i{8,-9} i{1,2} i{3,-2}", false},
    {"Slice onnx x[N,9,4] i{-3} i{100} i{1}", false},
    {"Slice onnx p[5,6] i{4,0} i{-100,3} - i{-2,1}", false},
    {"Pad onnx x[N,3,4,2] i{0,1,2,0,0,1,0,0} f{0.5}", false},
    {"Pad onnx x[N,3,4,2] i{0,1,2,1,0,1,3,0} mode@edge", false},
    {"Pad onnx x[N,3,4,2] i{0,2,2,1,0,1,3,0} mode@reflect", false},
    {"Pad onnx x[N,5,3] i{-1,-2} - i{1} mode@reflect", false},
    {"Pad onnx x[N,5,3] i{3,-1} - i{1} mode@wrap", false},
    {"Pad onnx x[N,5,3] i{0,-1,1,0,2,-1} f{2}", false},
    {"ReduceSum onnx x[N,5,3] i{1}", false},
    {"ReduceSum onnx x[N,5,3] i{-1} keepdims:0", false},
    {"ReduceMean onnx x[N,5,3,2] axes=1,2 keepdims:0", false},
    {"ReduceMean onnx x[N,5,3,2] axes=1,3", false},
    {"ReduceSum onnx p[5,3]", false},
    {"ReduceSum onnx x[N,5,3] noop_with_empty_axes:1", false},
    {"Softmax onnx x[N,10]", false},
    {"Softmax onnx x[N,3,7] axis:2", false},
    {"Dropout onnx x[N,3,100] f{0.3}", true},
    {"Dropout onnx x[N,301]", true},
    {"Dropout onnx x[N,3,10] f{0.3}", false},
    {"Dropout onnx x[N,7] f{1}", true},
    {"MatMul onnx x[N,19] p[19,10]", false},
    {"MatMul onnx x[N,3,5] p[5,33]", false},
    {"Gemm onnx x[N,19] p[10,19] p[10] transB:1", false},
    {"Conv last x[N,7,6,3] p[5,3,3,3] p[5] pads=1,0,1,2 strides=2,1", false},
    {"Conv last x[N,9,8,4] p[6,2,3,2] p[6] dilations=2,3 group:2", false},
    {"Conv last x[N,7,7,6] p[6,1,3,3] group:6 auto_pad@SAME_UPPER", false},
    {"Conv last x[N,15,4] p[6,4,3] p[6] strides=2", false},
    {"ConvTranspose last x[N,4,5,4] p[4,6,3,3] p[6] strides=2,2 pads=1,1,1,1 output_padding=1,1", false},
    {"ConvTranspose last x[N,7,4] p[4,5,4] strides=2 group:1", false},
};

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
static void check_derivative(const gradient_case *g, rig *r)
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
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        rig r;
        assert_ok(*state, rig_open(*state, cases[i].text, BL_F64, ROWS, i + 100, &r));
        r.training = cases[i].training;
        check_derivative(&cases[i], &r);
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
static void check_slices(const gradient_case *g, bl_context *ctx, bl_dtype carrier, bli_isa isa, int slices)
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

static bool rows_are_sliced(bl_context *ctx, const gradient_case *g)
{
    rig r;
    assert_ok(ctx, rig_open(ctx, g->text, BL_F64, ROWS, 3, &r));
    const bool yes = r.out_batched;
    rig_close(&r);
    return yes;
}

static void test_slices_give_the_rows_of_the_whole(void **state)
{
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        if (!rows_are_sliced(*state, &cases[i]))
            continue;
        for (int carrier = BL_F32; carrier <= BL_F64; carrier++) {
            check_slices(&cases[i], *state, (bl_dtype)carrier, bli_cpu_isa(), 4);
            check_slices(&cases[i], *state, (bl_dtype)carrier, bli_cpu_isa(), 9);
        }
    }
}

static void test_instruction_sets_agree(void **state)
{
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        for (int isa = 0; isa <= (int)bli_cpu_isa() && rows_are_sliced(*state, &cases[i]); isa++)
            for (int carrier = BL_F32; carrier <= BL_F64; carrier++)
                check_slices(&cases[i], *state, (bl_dtype)carrier, (bli_isa)isa, 1);
}

static void test_an_empty_batch_is_no_rows(void **state)
{
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        rig r;
        assert_ok(*state, rig_open(*state, cases[i].text, BL_F32, 0, i, &r));
        r.training = cases[i].training;
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
