/* Values of each family that have a definition of their own: NaN, infinities, -0, subnormals, ties, bounds, codes,
 * facts, and published examples. */
#include <float.h>
#include <math.h>

#include "num/num.h"
#include "support/test.h"

static int start(void **s)
{
    return bl_context_create(NULL, (bl_context **)s) != BL_OK;
}
static int stop(void **s)
{
    bl_context_destroy(*s);
    return 0;
}

static bl_format parse(bl_context *ctx, const char *text)
{
    bl_format f;
    assert_ok(ctx, bl_format_parse(ctx, text, &f));
    return f;
}

/* As bits, NaN as NaN. */
static void assert_same(const char *text, double x, double got, double want)
{
    bool same = isnan(want) ? isnan(got) : got == want && !signbit(got) == !signbit(want);
    if (!same)
        fail_msg("%s: %a gives %a, expected %a", text, x, got, want);
}

#define inf       ((double)INFINITY)
#define nan_value ((double)NAN)

static void special_values_are_defined(void **s)
{
    bl_context *ctx = *s;
    const struct {
        const char *text;
        double nan, plus, minus, minus_zero, tiny, minus_tiny;
    } cases[] = {
        {"fixed<8,3,RND,SAT>", 0, 3.96875, -4, 0, 0, 0},
        {"fixed<8,3,TRN,SAT>", 0, 3.96875, -4, 0, 0, -0.03125},
        {"fixed<8,3,TRN,WRAP>", 0, 0, 0, 0, 0, -0.03125},
        {"fixed<8,3,TRN_ZERO,WRAP_SM>", 0, 0, 0, 0, 0, 0},
        {"fixed<8,3,RND_INF,SAT_ZERO>", 0, 0, 0, 0, 0, 0},
        {"fixed<8,3,RND_CONV,SAT_SYM>", 0, 3.96875, -3.96875, 0, 0, 0},
        {"ufixed<8,3,RND,SAT>", 0, 7.96875, 0, 0, 0, 0},
        {"ufixed<4,4,TRN,WRAP>", 0, 0, 0, 0, 0, 15},
        {"int<4>", 0, 7, -8, 0, 0, 0},
        {"uint<4>", 0, 15, 0, 0, 0, 0},
        {"affine<8>", 0, 255, 0, 0, 0, 0},
        {"binary", 1, 1, -1, 1, 1, -1},
        {"ternary", 0, 1, -1, 0, 0, 0},
        {"po2<4>", 0.0625, 8, -8, 0.0625, 0.0625, -0.0625},
        {"upo2<3>", 0.0625, 8, 0.0625, 0.0625, 0.0625, 0.0625},
        {"float<e4m3>", nan_value, 448, -448, -0.0, 0, -0.0},
        {"float<e4m3,RND_CONV,INF>", nan_value, nan_value, nan_value, -0.0, 0, -0.0},
        {"float<e5m2>", nan_value, 57344, -57344, -0.0, 0, -0.0},
        {"float<e5m2,RND_CONV,INF>", nan_value, inf, -inf, -0.0, 0, -0.0},
        {"float<e2m1>", 6, 6, -6, -0.0, 0, -0.0},
        {"float<e3m2>", 28, 28, -28, -0.0, 0, -0.0},
        {"float<e2m3>", 7.5, 7.5, -7.5, -0.0, 0, -0.0},
        {"float<e5m2,TRN,SAT>", nan_value, 57344, -57344, -0.0, 0, -0x1p-16},
        {"bfloat16", nan_value, inf, -inf, -0.0, 0x1p-149, -0x1p-149},
        {"float16", nan_value, inf, -inf, -0.0, 0, -0.0},
        {"float32", nan_value, inf, -inf, -0.0, 0x1p-149, -0x1p-149},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        const double x[6] = {nan_value, inf, -inf, -0.0, 0x1p-149, -0x1p-149};
        double want[6] = {cases[i].nan,        cases[i].plus, cases[i].minus,
                          cases[i].minus_zero, cases[i].tiny, cases[i].minus_tiny};
        if (strcmp(cases[i].text, "bfloat16") == 0) { /* its least subnormal is 2^-133 */
            want[4] = 0;
            want[5] = -0.0;
        }
        float x32[6], y32[6];
        double y[6];
        for (int j = 0; j < 6; j++)
            x32[j] = (float)x[j];
        assert_ok(ctx, bl_quantize(ctx, &f, NULL, NULL, x32, y32, 6));
        assert_ok(ctx, bl_quantize_f64(ctx, &f, NULL, NULL, x, y, 6));
        for (int j = 0; j < 6; j++) {
            assert_same(cases[i].text, x[j], y[j], want[j]);
            assert_same(cases[i].text, x[j], (double)y32[j], want[j]);
        }
    }
}

static void the_last_float_below_a_half_is_not_a_half(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {
        "int<8,RND,SAT>", "int<8,RND_ZERO,SAT>", "int<8,RND_INF,SAT>", "int<8,RND_MIN_INF,SAT>",
        "int<8>",         "int<8,RND,WRAP>"};
    for (size_t i = 0; i < BLI_COUNT(texts); i++) {
        bl_format f = parse(ctx, texts[i]);
        const float below = nextafterf(0.5f, 0);
        const float x[4] = {below, -below, nextafterf(0.5f, 1), nextafterf(-0.5f, -1)};
        float y[4];
        assert_ok(ctx, bl_quantize(ctx, &f, NULL, NULL, x, y, 4));
        assert_true(y[0] == 0 && y[1] == 0 && y[2] == 1 && y[3] == -1);
    }
}

/* Examples of the vendor's manual (UG902, "quantization modes" and "overflow modes"). */
static void the_manuals_examples(void **s)
{
    bl_context *ctx = *s;
    static const struct {
        const char *text;
        double x, y;
    } cases[] = {
        {"fixed<3,2,RND,SAT>", 1.25, 1.5},       {"fixed<3,2,RND,SAT>", -1.25, -1},
        {"fixed<3,2,RND_ZERO,SAT>", 1.25, 1},    {"fixed<3,2,RND_ZERO,SAT>", -1.25, -1},
        {"fixed<3,2,RND_MIN_INF,SAT>", 1.25, 1}, {"fixed<3,2,RND_MIN_INF,SAT>", -1.25, -1.5},
        {"fixed<3,2,RND_INF,SAT>", 1.25, 1.5},   {"fixed<3,2,RND_INF,SAT>", -1.25, -1.5},
        {"fixed<3,2,RND_CONV,SAT>", 0.75, 1},    {"fixed<3,2,RND_CONV,SAT>", -1.25, -1},
        {"fixed<3,2,TRN,SAT>", 1.25, 1},         {"fixed<3,2,TRN,SAT>", -1.25, -1.5},
        {"fixed<3,2,TRN_ZERO,SAT>", 1.25, 1},    {"fixed<3,2,TRN_ZERO,SAT>", -1.25, -1},
        {"fixed<4,4,RND,SAT>", 19, 7},           {"fixed<4,4,RND,SAT>", -19, -8},
        {"ufixed<4,4,RND,SAT>", 19, 15},         {"ufixed<4,4,RND,SAT>", -19, 0},
        {"fixed<4,4,RND,SAT_ZERO>", 19, 0},      {"fixed<4,4,RND,SAT_ZERO>", -19, 0},
        {"fixed<4,4,RND,SAT_SYM>", 19, 7},       {"fixed<4,4,RND,SAT_SYM>", -19, -7},
        {"ufixed<4,4,RND,SAT_SYM>", 19, 15},     {"ufixed<4,4,RND,SAT_SYM>", -19, 0},
        {"fixed<4,4,RND,WRAP>", 31, -1},         {"fixed<4,4,RND,WRAP>", -19, -3},
        {"ufixed<4,4,RND,WRAP>", 19, 3},         {"ufixed<4,4,RND,WRAP>", -19, 13},
        {"fixed<4,4,RND,WRAP_SM>", 19, -4},      {"fixed<4,4,RND,WRAP_SM>", -19, 2},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        double y;
        assert_ok(ctx, bl_quantize_f64(ctx, &f, NULL, NULL, &cases[i].x, &y, 1));
        assert_same(cases[i].text, cases[i].x, y, cases[i].y);
    }
}

static void bounds_and_steps(void **s)
{
    bl_context *ctx = *s;
    static const struct {
        const char *text;
        double least, greatest, step;
    } cases[] = {
        {"fixed<8,3>", -4, 3.96875, 0.03125},
        {"fixed<8,3,RND,SAT_SYM>", -3.96875, 3.96875, 0.03125},
        {"ufixed<8,-3>", 0, 0x1.fep-4, 0x1p-11},
        {"fixed<4,8>", -128, 112, 16},
        {"fixed<1,1>", -1, 0, 1},
        {"fixed<1,1,TRN,SAT_SYM>", 0, 0, 1},
        {"int<64>", -0x1p63, 0x1.fffffffffffffp62, 1},
        {"uint<64>", 0, 0x1.fffffffffffffp63, 1},
        {"affine<8,signed>", -128, 127, 1},
        {"binary", -1, 1, 2},
        {"ternary", -1, 1, 1},
        {"po2<4>", -8, 8, 0},
        {"upo2<3>", 0.0625, 8, 0},
        {"float<e4m3>", -448, 448, 0},
        {"float<e4m3,ieee>", -240, 240, 0},
        {"float<e4m3,finite>", -480, 480, 0},
        {"float<e5m2>", -57344, 57344, 0},
        {"float<e2m1>", -6, 6, 0},
        {"float<e2m3>", -7.5, 7.5, 0},
        {"float<e3m2>", -28, 28, 0},
        {"float16", -65504, 65504, 0},
        {"bfloat16", -0x1.fep127, 0x1.fep127, 0},
        {"mx<e2m1,32>", -6 * 0x1p127, 6 * 0x1p127, 0},
        {"mx<int8,32>", -127.0 / 64 * 0x1p127, 127.0 / 64 * 0x1p127, 0},
        {"float32", -(double)FLT_MAX, (double)FLT_MAX, 0},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        double least, greatest;
        bl_format_bounds(&f, &least, &greatest);
        assert_same(cases[i].text, 0, least, cases[i].least);
        assert_same(cases[i].text, 0, greatest, cases[i].greatest);
        assert_same(cases[i].text, 0, bl_format_step(&f), cases[i].step);
    }
}

/* Every code of a narrow format decodes to a value that is its own rounding and encodes to the code. */
static void codes_and_values_are_one_to_one(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"fixed<7,3,RND,SAT>",
                                        "ufixed<7,-2,TRN,WRAP>",
                                        "fixed<6,2,RND,SAT_SYM>",
                                        "int<8>",
                                        "uint<8>",
                                        "affine<8,signed>",
                                        "binary",
                                        "ternary",
                                        "po2<5>",
                                        "upo2<4>",
                                        "float<e4m3>",
                                        "float<e5m2,RND_CONV,INF>",
                                        "float<e2m1>",
                                        "float<e3m2>",
                                        "float<e2m3>",
                                        "float<e4m0>",
                                        "float<e3m4,finite>",
                                        "mx<e4m3,1>",
                                        "mx<int8,1>"};
    static const bl_grid grids[] = {{1, 0}, {0.25, 0}, {0.3, 0}, {0.3, 7}};
    for (size_t t = 0; t < BLI_COUNT(texts); t++)
        for (size_t g = 0; g < BLI_COUNT(grids); g++) {
            bl_format f = parse(ctx, texts[t]);
            bool zero = f.kind == BL_FORMAT_INT || f.kind == BL_FORMAT_AFFINE;
            int found = 0;
            bool real = grids[g].scale == 0.3; /* there floor(x / scale) may fall one short of its own result */
            if ((grids[g].zero_point != 0 && !zero) || (real && f.rounding == BL_TRN))
                continue;
            int64_t least = f.kind == BL_FORMAT_MX ? (int64_t)120 << f.bits : -600;
            for (int64_t code = least; code < least + 1200; code++) {
                double x, y;
                int64_t back;
                if (bl_decode(ctx, &f, &grids[g], &code, &x, 1) != BL_OK || isnan(x))
                    continue;
                found++;
                assert_ok(ctx, bl_quantize_f64(ctx, &f, &grids[g], NULL, &x, &y, 1));
                if (f.kind == BL_FORMAT_MX) { /* a number has several codes, and a block's greatest may saturate */
                    x = y;
                    assert_ok(ctx, bl_quantize_f64(ctx, &f, &grids[g], NULL, &x, &y, 1));
                    assert_ok(ctx, bl_encode(ctx, &f, &grids[g], &x, &back, 1));
                    assert_same(texts[t], x, y, x);
                    continue;
                }
                assert_same(texts[t], x, y, x);
                assert_ok(ctx, bl_encode(ctx, &f, &grids[g], &x, &back, 1));
                assert_int_equal(back, code);
            }
            assert_true(found >= 2);
        }
}

static void values_off_the_grid_have_no_code(void **s)
{
    bl_context *ctx = *s;
    static const struct {
        const char *text;
        double x;
    } cases[] = {{"fixed<8,3>", 0.01}, {"fixed<8,3>", 4},     {"int<4>", 8},           {"int<4>", (double)NAN},
                 {"binary", 0},        {"ternary", 2},        {"po2<4>", 3},           {"po2<4>", 0},
                 {"float<e4m3>", 449}, {"float<e2m1>", 0.25}, {"float<e4m3>", 0x1p60}, {"mx<e2m1,1>", 5}};
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        const double x[2] = {1, cases[i].x};
        int64_t codes[2];
        assert_fails(ctx, BL_BAD_VALUE, "index", bl_encode(ctx, &f, NULL, x, codes, 2));
    }
    bl_format f = parse(ctx, "float32");
    const double x = 1;
    int64_t code;
    assert_fails(ctx, BL_BAD_VALUE, "no integer codes", bl_encode(ctx, &f, NULL, &x, &code, 1));
    f = parse(ctx, "int<4>");
    double y;
    code = 8;
    assert_fails(ctx, BL_BAD_VALUE, "code 8", bl_decode(ctx, &f, NULL, &code, &y, 1));
}

static void float32_values_of_a_real_scale_have_codes(void **s)
{
    bl_context *ctx = *s;
    bl_format f = parse(ctx, "int<8>");
    const bl_grid grid = {0.1, 0};
    for (int i = -128; i < 128; i++) {
        const float x = (float)i * 0.1f;
        float y;
        int64_t code;
        assert_ok(ctx, bl_quantize(ctx, &f, &grid, NULL, &x, &y, 1));
        assert_true(x == y);
        const double wide = (double)y;
        assert_ok(ctx, bl_encode(ctx, &f, &grid, &wide, &code, 1));
        assert_int_equal(code, i);
    }
}

/* OCP MX v1.0: the block {1, 0.5, 7, -3} with e2m1 (emax 2) has the scale 2^0. */
/* e2m1's greatest is 1.5 * 2^2: 7 takes the scale 2^1, 6 keeps 2^0. */
static void a_covering_scale_saturates_nothing(void **s)
{
    bl_context *ctx = *s;
    bl_format f = parse(ctx, "mx<e2m1,2,RND_CONV,UP>");
    const double x[6] = {7, 0.4, 6, 0.4, -6.0000001, 3}, want[6] = {8, 0, 6, 0.5, -6, 3};
    float narrow[6], nearly[6];
    double y[6];
    assert_ok(ctx, bl_quantize_f64(ctx, &f, NULL, NULL, x, y, 6));
    for (int i = 0; i < 6; i++)
        assert_same("mx<e2m1,2,RND_CONV,UP>", x[i], y[i], want[i]);
    for (int i = 0; i < 6; i++)
        narrow[i] = (float)x[i];
    assert_ok(ctx, bl_quantize(ctx, &f, NULL, NULL, narrow, nearly, 6));
    for (int i = 0; i < 6; i++)
        assert_same("mx<e2m1,2,RND_CONV,UP>", x[i], nearly[i], want[i]);
    const double greatest = 0x1.8p129, block[2] = {0x1.cp129, 1};
    assert_ok(ctx, bl_quantize_f64(ctx, &f, NULL, NULL, block, y, 2)); /* no scale above 2^127 */
    assert_same("mx<e2m1,2,RND_CONV,UP>", block[0], y[0], greatest);
}

/* OCP MX v1.0 again, for the scale that is rounded down. */
static void blocks_share_the_scale_of_their_greatest(void **s)
{
    bl_context *ctx = *s;
    bl_format f = parse(ctx, "mx<e2m1,4>");
    const double x[10] = {1, 0.6, 7, -3.4, 0, 0, 0, 0, 100, -0.9};
    const double want[10] = {1, 0.5, 6, -3, 0, 0, 0, 0, 96, 0};
    double y[10];
    int64_t codes[10];
    assert_ok(ctx, bl_quantize_f64(ctx, &f, NULL, NULL, x, y, 10));
    for (int i = 0; i < 9; i++)
        assert_same("mx<e2m1,4>", x[i], y[i], want[i]);
    assert_same("mx<e2m1,4>", x[9], y[9], -0.0);
    assert_ok(ctx, bl_encode(ctx, &f, NULL, y, codes, 10));
    assert_int_equal(codes[0] >> 4, 127);     /* 2^0 */
    assert_int_equal(codes[0] & 15, 2);       /* 1.0 */
    assert_int_equal(codes[4], 0);            /* a block of zeros has the least scale */
    assert_int_equal(codes[8] >> 4, 127 + 4); /* 2^(6 - 2) */
    double back[10];
    assert_ok(ctx, bl_decode(ctx, &f, NULL, codes, back, 10));
    assert_memory_equal(back, y, sizeof y);
    const int64_t scale_is_nan = 255 << 4 | 2;
    assert_ok(ctx, bl_decode(ctx, &f, NULL, &scale_is_nan, back, 1));
    assert_true(isnan(back[0]));
}

static void facts_tell_grid_and_carrier(void **s)
{
    bl_context *ctx = *s;
    static const struct {
        const char *text;
        double scale;
        int64_t zero;
        bool on_grid;
        int step_exp;
        double least_code, greatest_code;
        int significand;
        bool fits;
    } cases[] = {
        {"fixed<8,3>", 1, 0, true, -5, -128, 127, 7, true},
        {"fixed<8,3,RND,SAT>", 0.25, 0, true, -7, -128, 127, 7, true},
        {"ufixed<8,3>", 1, 0, true, -5, 0, 255, 8, true},
        {"fixed<25,3>", 1, 0, true, -22, -0x1p24, 0x1p24 - 1, 24, true},
        {"fixed<26,3>", 1, 0, true, -23, -0x1p25, 0x1p25 - 1, 25, false},
        {"ufixed<25,3>", 1, 0, true, -22, 0, 0x1p25 - 1, 25, false},
        {"fixed<8,-200>", 1, 0, true, -208, -128, 127, 7, false},
        {"int<8>", 0.1, 0, false, 0, 0, 0, 7, true},
        {"affine<8>", 1, 128, true, 0, -128, 127, 7, true},
        {"affine<8>", 1, -10, true, 0, 10, 265, 9, true},
        {"binary", 0.5, 0, true, -1, -1, 1, 1, true},
        {"ternary", 1, 0, true, 0, -1, 1, 1, true},
        {"po2<4>", 1, 0, true, -4, -128, 128, 1, true},
        {"upo2<3>", 1, 0, true, -4, 1, 128, 1, true},
        {"float<e4m3>", 1, 0, true, -9, -448 * 512.0, 448 * 512.0, 4, true},
        {"bfloat16", 1, 0, false, 0, 0, 0, 8, true},
        {"float<e11m20>", 1, 0, false, 0, 0, 0, 21, false},
        {"mx<e4m3,32>", 1, 0, false, 0, 0, 0, 4, true},
        {"float32", 1, 0, false, 0, 0, 0, 24, true},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        bli_grid_facts facts = bli_format_facts(&f, cases[i].scale, cases[i].zero);
        if (facts.on_grid != cases[i].on_grid || facts.significand_bits != cases[i].significand ||
            facts.fits_f32 != cases[i].fits)
            fail_msg("%s scale %g: grid %d, %d bits, fits %d", cases[i].text, cases[i].scale, facts.on_grid,
                     facts.significand_bits, facts.fits_f32);
        if (!facts.on_grid)
            continue;
        assert_int_equal(facts.step_exp, cases[i].step_exp);
        assert_same(cases[i].text, 0, facts.least_code, cases[i].least_code);
        assert_same(cases[i].text, 0, facts.greatest_code, cases[i].greatest_code);
        assert_true(facts.least == ldexp(facts.least_code, facts.step_exp));
        assert_true(facts.greatest == ldexp(facts.greatest_code, facts.step_exp));
    }
}

static void bad_uses_are_refused(void **s)
{
    bl_context *ctx = *s;
    const float x = 1;
    float y;
    static const struct {
        const char *text;
        bl_grid grid;
        const char *words;
    } cases[] = {
        {"int<4>", {0, 0}, "scale is 0"},
        {"int<4>", {-1, 0}, "scale is -1"},
        {"int<4>", {(double)NAN, 0}, "scale is"},
        {"int<4>", {(double)INFINITY, 0}, "scale is inf"},
        {"int<4>", {1e-60, 0}, "not a normal number of float32"},
        {"fixed<8,-200>", {1, 0}, "not a normal number of float32"},
        {"fixed<8,3>", {1, 1}, "zero point is 1, but fixed has none"},
        {"int<4>", {1, INT64_MAX}, "within +-2^52"},
        {"float<e11m20>", {1, 0}, "use float64"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_format f = parse(ctx, cases[i].text);
        assert_fails(ctx, BL_BAD_VALUE, cases[i].words, bl_quantize(ctx, &f, &cases[i].grid, NULL, &x, &y, 1));
    }
    bl_format f = parse(ctx, "int<4>");
    assert_ok(ctx, bl_quantize(ctx, &f, NULL, NULL, NULL, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_values_are_defined),
        cmocka_unit_test(the_last_float_below_a_half_is_not_a_half),
        cmocka_unit_test(the_manuals_examples),
        cmocka_unit_test(bounds_and_steps),
        cmocka_unit_test(codes_and_values_are_one_to_one),
        cmocka_unit_test(values_off_the_grid_have_no_code),
        cmocka_unit_test(float32_values_of_a_real_scale_have_codes),
        cmocka_unit_test(a_covering_scale_saturates_nothing),
        cmocka_unit_test(blocks_share_the_scale_of_their_greatest),
        cmocka_unit_test(facts_tell_grid_and_carrier),
        cmocka_unit_test(bad_uses_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
