/* The Quantize operator with straight-through gradients: every format, granularity, width and start. */
#include "support/test.h"

#include "num/num.h"
#include "support/quant_call.h"

#include <math.h>
#include <string.h>

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

enum { X, SCALE, BITS, Y, DY, DX, DSCALE };

/* Ties, ends, far outside, special values, and random ones. */
static void fill(bl_tensor *x, double step, uint64_t *seed)
{
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e30, -1e30, 1e-30};
    int64_t n = bl_shape_count(&x->shape);
    for (int64_t i = 0; i < n; i++) {
        double r = (double)random_below(seed, 1000) / 500 - 1;
        double tie = ((double)random_below(seed, 41) - 20) * step / 2;
        tensor_set(x, i, i < 8 ? special[i] : i % 2 ? tie : r * 40 * step);
    }
}

static const char *const fixed_formats[] = {
    "fixed<6,1,RND,SAT>",
    "fixed<6,1,RND_CONV,SAT_SYM>",
    "ufixed<5,2,RND_CONV,SAT>",
    "fixed<3,3,TRN,SAT>",
    "fixed<4,2,TRN_ZERO,SAT>",
    "fixed<4,2,RND_ZERO,SAT_ZERO>",
    "fixed<4,2,RND_INF,SAT>",
    "fixed<4,2,RND_MIN_INF,SAT>",
    "fixed<5,2,TRN,WRAP>",
    "ufixed<1,1,RND,SAT>",
    "int<4>",
    "uint<3>",
    "binary",
    "ternary",
    "po2<4>",
    "float<e4m3>",
};

/* Property: the output is the reference's value, and gradient passes exactly where the reference did not clip. */
static void check_against_reference(const char *text, bl_dtype type)
{
    quant_call q;
    quant_open(&q, ctx, "activation", text, type, DIMS(17, 13));
    uint64_t seed = 7;
    double step = bl_format_step(&q.spec->format);
    fill(&q.t[X], step > 0 ? step : 0.5, &seed);
    fill_reals(&q.t[DY], &seed);
    quant_forward(&q);
    quant_backward(&q);
    for (int64_t i = 0; i < 17 * 13; i++) {
        double x = tensor_get(&q.t[X], i), dy = tensor_get(&q.t[DY], i);
        bool clipped;
        double want = type == BL_F32
                          ? (double)bli_quantize_reference_f32(&q.spec->format, 1, 0, false, 0, (float)x, &clipped)
                          : bli_quantize_reference_f64(&q.spec->format, 1, 0, false, 0, x, &clipped);
        clipped = clipped && q.spec->format.overflow != BL_WRAP;
        double y = tensor_get(&q.t[Y], i), dx = tensor_get(&q.t[DX], i);
        if (memcmp(&y, &want, sizeof y) != 0)
            fail_msg("%s of %a: %a, expected %a", text, x, y, want);
        if (dx != (clipped ? 0 : dy))
            fail_msg("%s at %a: gradient %a of %a, clipped: %d", text, x, dx, dy, clipped);
    }
    quant_close(&q);
}

static void forward_is_the_format_and_gradient_stops_where_it_clips(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(fixed_formats); i++) {
        check_against_reference(fixed_formats[i], BL_F32);
        check_against_reference(fixed_formats[i], BL_F64);
    }
}

static void no_quantization_before_the_start_while_training(void **state)
{
    (void)state;
    quant_call q;
    quant_open(&q, ctx, "weight", "format: int<2>; start: 10", BL_F32, DIMS(4));
    for (int64_t i = 0; i < 4; i++) {
        tensor_set(&q.t[X], i, 0.3 + 9 * (double)i);
        tensor_set(&q.t[DY], i, 1.5);
    }
    q.call.step = 9;
    quant_forward(&q);
    quant_backward(&q);
    assert_true(tensor_get(&q.t[Y], 3) == (double)(float)27.3 && tensor_get(&q.t[DX], 3) == 1.5);
    q.call.step = 10;
    quant_forward(&q);
    quant_backward(&q);
    assert_true(tensor_get(&q.t[Y], 3) == 1 && tensor_get(&q.t[DX], 3) == 0);
    q.call.step = 0;
    q.call.training = false;
    quant_forward(&q);
    assert_true(tensor_get(&q.t[Y], 3) == 1);
    quant_close(&q);
}

static void stochastic_rounding_does_not_depend_on_slices(void **state)
{
    (void)state;
    quant_call whole, part;
    const char *text = "fixed<8,4,STOCHASTIC,SAT>";
    quant_open(&whole, ctx, "activation", text, BL_F32, DIMS(12, 5));
    uint64_t seed = 3;
    fill_reals(&whole.t[X], &seed);
    whole.call.seed = 11;
    whole.call.step = 4;
    quant_forward(&whole);
    quant_open(&part, ctx, "activation", text, BL_F32, DIMS(5, 5));
    part.call.seed = 11;
    part.call.step = 4;
    part.call.first_row = 7;
    memcpy(part.t[X].data, (float *)whole.t[X].data + 35, 25 * sizeof(float));
    quant_forward(&part);
    assert_memory_equal(part.t[Y].data, (float *)whole.t[Y].data + 35, 25 * sizeof(float));
    part.call.step = 5;
    quant_forward(&part);
    assert_memory_not_equal(part.t[Y].data, (float *)whole.t[Y].data + 35, 25 * sizeof(float));
    quant_close(&part);
    quant_close(&whole);
}

/* Any width from 1 to 32, per element: each is what a node of that width gives. */
static void widths_per_element(void **state)
{
    (void)state;
    static const char *const texts[] = {"fixed<8,3,RND,SAT>", "fixed<8,3,TRN,WRAP>", "int<8>",
                                        "ufixed<8,2,RND_CONV,SAT>"};
    for (size_t k = 0; k < BLI_COUNT(texts); k++) {
        quant_call q;
        quant_open(&q, ctx, "weight", texts[k], BL_F64, DIMS(20, 33));
        quant_bits(&q, DIMS(20, 33), 1);
        uint64_t seed = 5;
        fill(&q.t[X], 0.25, &seed);
        fill_reals(&q.t[DY], &seed);
        for (int64_t i = 0; i < 660; i++)
            ((int64_t *)q.t[BITS].data)[i] = 1 + (int64_t)random_below(&seed, 32);
        quant_forward(&q);
        quant_backward(&q);
        for (int64_t i = 0; i < 660; i++) {
            bl_format f = q.spec->format;
            f.bits = (int)((int64_t *)q.t[BITS].data)[i];
            bool clipped;
            double x = tensor_get(&q.t[X], i);
            double want = bli_quantize_reference_f64(&f, 1, 0, false, 0, x, &clipped);
            if (tensor_get(&q.t[Y], i) != want)
                fail_msg("%s, width %d, of %a: %a, expected %a", texts[k], f.bits, x, tensor_get(&q.t[Y], i), want);
            clipped = clipped && f.overflow != BL_WRAP;
            if (tensor_get(&q.t[DX], i) != (clipped ? 0 : tensor_get(&q.t[DY], i)))
                fail_msg("%s, width %d, at %a: gradient %a, clipped: %d", texts[k], f.bits, x, tensor_get(&q.t[DX], i),
                         clipped);
        }
        quant_close(&q);
    }
}

static void widths_per_channel_broadcast(void **state)
{
    (void)state;
    quant_call q;
    quant_open(&q, ctx, "activation", "fixed<8,1,RND,SAT>", BL_F32, DIMS(2, 3, 4));
    quant_bits(&q, DIMS(3, 1), 2);
    ((int64_t *)q.t[BITS].data)[1] = 24;
    for (int64_t i = 0; i < 24; i++)
        tensor_set(&q.t[X], i, 0.3);
    quant_forward(&q);
    assert_true(tensor_get(&q.t[Y], 0) == 0.5 && tensor_get(&q.t[Y], 23) == 0.5);
    assert_true(tensor_get(&q.t[Y], 4) == (double)(float)0.3 * 1 || fabs(tensor_get(&q.t[Y], 4) - 0.3) < 0x1p-23);
    quant_close(&q);
}

/* A scale per channel gives what one node per channel with that scale gives, wherever the channel axis is. */
static void scales_per_channel(void **state)
{
    (void)state;
    static const char *const texts[] = {"format: int<4>; scale: learned; granularity: channel; axis: 0",
                                        "format: int<4>; scale: learned; granularity: channel; axis: 1",
                                        "format: int<4>; scale: learned; granularity: channel"};
    for (int axis = 0; axis < 3; axis++) {
        quant_call q;
        const int64_t dims[] = {3, 4, 5, -1}, inner[] = {20, 5, 1};
        quant_open(&q, ctx, "weight", texts[axis], BL_F32, dims);
        quant_scale(&q, DIMS(dims[axis]), 0);
        uint64_t seed = 9;
        fill(&q.t[X], 0.3, &seed);
        fill_reals(&q.t[DY], &seed);
        for (int64_t i = 0; i < dims[axis]; i++)
            tensor_set(&q.t[SCALE], i, 0.1 * (double)(i + 1));
        quant_forward(&q);
        quant_backward(&q);
        double ds[5] = {0}, all[5] = {0};
        for (int64_t i = 0; i < 60; i++) {
            int64_t group = i / inner[axis] % dims[axis];
            double s = tensor_get(&q.t[SCALE], group), x = tensor_get(&q.t[X], i), dy = tensor_get(&q.t[DY], i);
            bool clipped;
            double want = (double)bli_quantize_reference_f32(&q.spec->format, s, 0, false, 0, (float)x, &clipped);
            assert_true(tensor_get(&q.t[Y], i) == want);
            assert_true(tensor_get(&q.t[DX], i) == (clipped ? 0 : dy));
            double code = nearbyint(want / s);
            ds[group] += dy * (clipped ? code : code - x / s);
            all[group] += fabs(dy);
        }
        for (int64_t i = 0; i < dims[axis]; i++) { /* codes up to 8 in magnitude, x / scale rounded to float32 */
            double error = fabs(tensor_get(&q.t[DSCALE], i) - ds[i]);
            assert_true(error <= 0x1p-20 * all[i] || (isnan(ds[i]) && isnan(tensor_get(&q.t[DSCALE], i))));
        }
        quant_close(&q);
    }
}

static void scale_from_the_data_covers_it(void **state)
{
    (void)state;
    quant_call q;
    quant_open(&q, ctx, "weight", "format: int<4,RND_CONV,SAT_SYM>; scale: po2; granularity: channel", BL_F32,
               DIMS(2, 3));
    static const double x[] = {0.9, 7, 0, -0.1, -7.5, 0};
    static const double want[] = {1, 8, 0, 0, -8, 0};
    for (int64_t i = 0; i < 6; i++)
        tensor_set(&q.t[X], i, x[i]);
    quant_forward(&q);
    for (int64_t i = 0; i < 6; i++)
        if (tensor_get(&q.t[Y], i) != want[i])
            fail_msg("%g: %g, expected %g", x[i], tensor_get(&q.t[Y], i), want[i]);
    quant_close(&q);
}

static void mx_blocks_run_along_the_axis(void **state)
{
    (void)state;
    quant_call along, across;
    uint64_t seed = 21;
    quant_open(&along, ctx, "weight", "format: mx<e4m3,4>", BL_F32, DIMS(3, 10));
    quant_open(&across, ctx, "weight", "format: mx<e4m3,4>; axis: 0", BL_F32, DIMS(10, 3));
    fill_reals(&along.t[X], &seed);
    for (int64_t i = 0; i < 30; i++)
        tensor_set(&along.t[X], i, ldexp(tensor_get(&along.t[X], i), (int)random_below(&seed, 20)));
    for (int64_t i = 0; i < 30; i++)
        tensor_set(&across.t[X], i % 10 * 3 + i / 10, tensor_get(&along.t[X], i));
    quant_forward(&along);
    quant_forward(&across);
    for (int64_t i = 0; i < 30; i++)
        assert_true(tensor_get(&across.t[Y], i % 10 * 3 + i / 10) == tensor_get(&along.t[Y], i));
    quant_close(&along);
    quant_close(&across);
}

static void relu_and_quantizer_fused(void **state)
{
    (void)state;
    static const char *const texts[] = {"ufixed<6,3,RND,SAT>", "fixed<6,3,RND_CONV,SAT_SYM>", "ufixed<4,1,TRN,SAT>"};
    for (size_t k = 0; k < BLI_COUNT(texts); k++) {
        quant_call q;
        quant_open(&q, ctx, "activation", texts[k], BL_F32, DIMS(40, 31));
        bl_tensor fused = tensor_new(ctx, BL_F32, DIMS(40, 31)), z = tensor_new(ctx, BL_F32, DIMS(40, 31));
        uint64_t seed = 2;
        fill(&z, 0.125, &seed);
        fill_reals(&q.t[DY], &seed);
        for (int64_t i = 0; i < 1240; i++)
            tensor_set(&q.t[X], i, tensor_get(&z, i) > 0 ? tensor_get(&z, i) : 0);
        quant_forward(&q);
        quant_backward(&q);
        bli_relu_quantize r = bli_relu_quantize_init(q.spec, bli_cpu_isa());
        assert_true(r.ok);
        bli_relu_quantize_f32(&r, z.data, fused.data, 1240);
        assert_tensor_equal(&fused, &q.t[Y], texts[k]);
        bli_relu_quantize_backward_f32(&r, z.data, q.t[DY].data, fused.data, 1240);
        for (int64_t i = 0; i < 1240; i++)
            if (!(tensor_get(&z, i) > 0))
                tensor_set(&q.t[DX], i, 0);
        assert_tensor_equal(&fused, &q.t[DX], texts[k]);
        bl_tensor_free(ctx, &fused);
        bl_tensor_free(ctx, &z);
        quant_close(&q);
    }
}

/* The interval's ends and their neighbours, infinities and NaN among other values. */
static void fill_about(bl_tensor *x, float least, float most, uint64_t *seed)
{
    const float special[] = {least,
                             nextafterf(least, -INFINITY),
                             nextafterf(least, 0),
                             most,
                             nextafterf(most, 0),
                             INFINITY,
                             nextafterf(most, INFINITY),
                             -INFINITY,
                             NAN,
                             -0.0f,
                             0x1p-140f,
                             -0x1p-140f};
    fill_reals(x, seed);
    for (size_t i = 0; i < BLI_COUNT(special); i++)
        tensor_set(x, (int64_t)(3 * i), (double)special[i]);
}

static void gradients_pass_in_an_interval(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {{"fixed<6,1,RND_CONV,SAT_SYM>", true},
                 {"fixed<3,1,RND_CONV,SAT>", true},
                 {"ufixed<4,1,TRN,SAT>", true},
                 {"int<4,RND_INF,SAT>", true},
                 {"binary", true},
                 {"format: int<5>; scale: 0.3", true},
                 {"fixed<6,1,RND_CONV,WRAP>", false},
                 {"fixed<6,1,STOCHASTIC,SAT>", false},
                 {"float<e4m3>", false},
                 {"format: int<5>; start: 2", false}};
    for (size_t k = 0; k < BLI_COUNT(cases); k++) {
        float least = 0, most = 0;
        quant_call q;
        uint64_t seed = 3;
        quant_open(&q, ctx, "weight", cases[k].text, BL_F32, DIMS(31, 20));
        assert_int_equal(bli_pass_range(q.spec, &least, &most), cases[k].ok);
        fill_about(&q.t[X], least, most, &seed);
        fill_reals(&q.t[DY], &seed);
        quant_backward(&q);
        for (int64_t i = 0; cases[k].ok && i < 620; i++) {
            const double x = tensor_get(&q.t[X], i), dy = tensor_get(&q.t[DY], i), dx = tensor_get(&q.t[DX], i);
            const double want = x >= (double)least && x <= (double)most ? dy : 0;
            if (dx != want)
                print_error("%s: x %a, dy %a: dx %a, expected %a\n", cases[k].text, x, dy, dx, want);
            assert_true(dx == want);
        }
        quant_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_format_and_gradient_stops_where_it_clips),
        cmocka_unit_test(no_quantization_before_the_start_while_training),
        cmocka_unit_test(stochastic_rounding_does_not_depend_on_slices),
        cmocka_unit_test(widths_per_element),
        cmocka_unit_test(widths_per_channel_broadcast),
        cmocka_unit_test(scales_per_channel),
        cmocka_unit_test(scale_from_the_data_covers_it),
        cmocka_unit_test(mx_blocks_run_along_the_axis),
        cmocka_unit_test(relu_and_quantizer_fused),
        cmocka_unit_test(gradients_pass_in_an_interval),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
