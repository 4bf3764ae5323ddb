/* num/functions.c: functions by basic arithmetic alone.  The values and the hashes are what decimal arithmetic of 80
 * digits finds (tools/make_function_goldens.py), so they hold for every compiler and processor;
 * tests/check/test_cross.sh runs this on 64-bit ARM too.
 */
#include <float.h>

#include "num/functions.h"
#include "support/test.h"

/* clang-format off */
static const struct {
    bli_pair_function *of;
    double x, a;
    bli_pair y;
} values[] = {
    {bli_pair_sigmoid, 0.3125, 0, {0x1.27ad78f621185p-1, -0x1.7dfe659536599p-55}},
    {bli_pair_sigmoid, -7.75, 0, {0x1.c378c9556743ap-12, -0x1.19f31c55b732dp-66}},
    {bli_pair_tanh, 0.015625, 0, {0x1.fff5559997df9p-7, -0x1.b57bb5ea29ef0p-61}},
    {bli_pair_tanh, -1.375, 0, {-0x1.c278a52a4e478p-1, 0x1.33e1519ca472fp-55}},
    {bli_pair_tanh, 12.5, 0, {0x1.ffffffffc2eb9p-1, 0x1.6e883ca81457fp-58}},
    {bli_pair_softplus, 0, 0, {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}},
    {bli_pair_softplus, -6.125, 0, {0x1.1e67dba01afadp-9, -0x1.a142a79b2b805p-64}},
    {bli_pair_softplus, 9.03125, 0, {0x1.2100fad4d66efp+3, 0x1.6028395072bc3p-54}},
    {bli_pair_elu, -0.0078125, 1.25, {-0x1.3ec0d4ead5472p-7, -0x1.0208940060aadp-64}},
    {bli_pair_elu, -8.5, 1, {-0x1.ffe554bc04c6cp-1, 0x1.426e11765588dp-58}},
    {bli_pair_exp, 1, 0, {0x1.5bf0a8b145769p+1, 0x1.4d57ee2b1013ap-53}},
    {bli_pair_exp, -11.0625, 0, {0x1.073b2905bc049p-16, -0x1.bfcf9fc6acb92p-70}},
    {bli_pair_exp, 600, 0, {0x1.88a122d234b39p+865, 0x1.2e21a5ab69fdfp+811}},
    {bli_pair_pow, 10, 0.5, {0x1.94c583ada5b53p+1, -0x1.b7ed750df3ccap-53}},
    {bli_pair_pow, 0.0390625, -1.75, {0x1.235a71c5ee5ccp+8, -0x1.6e187bf82451ap-46}},
    {bli_pair_pow, 1000000, 0.9375, {0x1.9bd020382c843p+18, -0x1.ee977e80102eep-36}},
    {bli_pair_inverse, 3, 0, {0x1.5555555555555p-2, 0x1.5555555555555p-56}},
    {bli_pair_inverse, -1.375, 0, {-0x1.745d1745d1746p-1, 0x1.745d1745d1746p-56}},
};

static const struct {
    bli_pair_function *of;
    double a;
    int first;
    double scale, offset;
    uint64_t hash;
} tables[] = {
    {bli_pair_sigmoid, 0.0, -2048, 0x1.0101010101010p-7, 0x1.47ae147ae147bp-7, 0xba35c2c7dfb88f30u},
    {bli_pair_tanh, 0.0, -2048, 0x1.0000000000000p-10, 0x0.0p+0, 0x660df040e5629984u},
    {bli_pair_softplus, 0.0, -2048, 0x1.b4e81b4e81b4fp-9, -0x1.3333333333333p-2, 0x193bc7df1fad9227u},
    {bli_pair_elu, 0.7, -2048, 0x1.89374bc6a7efap-9, 0x0.0p+0, 0x16e3682f399d0be1u},
    {bli_pair_exp, 0.0, -4095, 0x1.8000000000000p-9, 0x0.0p+0, 0x11e3303b4d3927deu},
    {bli_pair_pow, 0.75, 1, 0x1.47ae147ae147bp-7, 0x0.0p+0, 0x73db69d5dd975bbau},
    {bli_pair_pow, 2.0, 1, 0x1.0000000000000p-10, 0x0.0p+0, 0x6f9b046dd5735d75u},
    {bli_pair_pow, -0.5, 1, 0x1.0000000000000p-7, 0x0.0p+0, 0x4fccff4d07be67f2u},
    {bli_pair_inverse, 0.0, 1, 0x1.0000000000000p-7, 0x0.0p+0, 0xb7692fd72d2d2959u},
    {bli_pair_inverse, 0.0, -4096, 0x1.5555555555555p-2, 0x0.0p+0, 0x6be03c0eafe84d67u},
};
/* clang-format on */
enum { CODES = 4096, FRACTION = 16 };

static void pairs_are_right_to_95_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(values); i++) {
        const bli_pair y = values[i].of((bli_pair){values[i].x, 0}, values[i].a), want = values[i].y;
        const double off = fabs((y.high - want.high) + (y.low - want.low)) / fabs(want.high);
        if (off > 0x1p-95)
            print_error("value %zu at %g: got %a %a, expected %a %a\n", i, values[i].x, y.high, y.low, want.high,
                        want.low);
        assert_true(off <= 0x1p-95);
    }
}

static void every_entry_of_a_table_is_the_nearest(void **state)
{
    (void)state;
    for (size_t t = 0; t < BLI_COUNT(tables); t++) {
        unsigned char bytes[CODES * 8];
        for (int i = 0; i < CODES; i++) {
            const bli_pair x = bli_pair_affine(tables[t].first + i, tables[t].scale, tables[t].offset);
            const int64_t code = (int64_t)ldexp(bli_pair_round(tables[t].of(x, tables[t].a), FRACTION), FRACTION);
            for (int b = 0; b < 8; b++)
                bytes[8 * i + b] = (unsigned char)((uint64_t)code >> 8 * b);
        }
        const uint64_t hash = bli_hash(bytes, sizeof bytes);
        if (hash != tables[t].hash)
            print_error("table %zu: hash %016llx, expected %016llx\n", t, (unsigned long long)hash,
                        (unsigned long long)tables[t].hash);
        assert_true(hash == tables[t].hash);
    }
}

static void ties_go_to_even_and_what_is_beside_them_does_not(void **state)
{
    static const struct {
        bli_pair x;
        double y;
    } cases[] = {
        {{0.5, 0}, 0},          {{1.5, 0}, 2},          {{-0.5, 0}, 0},         {{-2.5, 0}, -2},
        {{0.5, 0x1p-70}, 1},    {{0.5, -0x1p-70}, 0},   {{1.5, -0x1p-70}, 1},   {{1.5, 0x1p-70}, 2},
        {{-0.5, -0x1p-70}, -1}, {{-0.5, 0x1p-70}, 0},   {{-1.5, 0x1p-70}, -1},  {{2.5, 0x1p-90}, 2},
        {{3, 0x1p-54}, 3},      {{0x1p-3, 0x1p-60}, 0}, {{-7.75, 0x1p-60}, -8},
    };
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        const double y = bli_pair_round(cases[i].x, 0);
        if (y != cases[i].y)
            print_error("%g and %g: got %g, expected %g\n", cases[i].x.high, cases[i].x.low, y, cases[i].y);
        assert_true(y == cases[i].y);
    }
}

/* ---- doubles ----------------------------------------------------------------------------------------------------- */
static const struct {
    const char *name;
    double (*of)(double x);
    bli_pair_function *pair;
    double least, greatest;
} doubles[] = {
    {"exp", bli_fn_exp, bli_pair_exp, -690, 690},           {"exp", bli_fn_exp, bli_pair_exp, -2, 2},
    {"tanh", bli_fn_tanh, bli_pair_tanh, -22, 22},          {"tanh", bli_fn_tanh, bli_pair_tanh, -0x1p-9, 0x1p-9},
    {"sigmoid", bli_fn_sigmoid, bli_pair_sigmoid, -40, 40}, {"softplus", bli_fn_softplus, bli_pair_softplus, -40, 40},
    {"expm1", bli_fn_expm1, bli_pair_elu, -60, -0x1p-20},
};

/* The error of y in units in the last place of the true value. */
static double units_off(double y, bli_pair want)
{
    int e;
    (void)frexp(want.high, &e);
    return fabs(ldexp((y - want.high) - want.low, DBL_MANT_DIG - e));
}

static void doubles_are_within_three_units_and_floats_the_nearest(void **state)
{
    enum { POINTS = 5000 };
    (void)state;
    for (size_t k = 0; k < BLI_COUNT(doubles); k++) {
        double worst = 0;
        for (int i = 0; i < POINTS; i++) {
            const double x = doubles[k].least + (doubles[k].greatest - doubles[k].least) * i / POINTS;
            const bli_pair want = doubles[k].pair((bli_pair){x, 0}, 1);
            const double y = doubles[k].of(x);
            worst = fmax(worst, units_off(y, want));
            if (fabs(y) < (double)FLT_MAX && fabs(y) > (double)FLT_MIN)
                assert_true((float)y == (float)want.high);
        }
        if (worst > 3)
            print_error("%s between %g and %g: %g units off\n", doubles[k].name, doubles[k].least, doubles[k].greatest,
                        worst);
        assert_true(worst <= 3);
    }
}

static bool close(double y, double want)
{
    return fabs(y - want) <= 0x1p-51 * fabs(want);
}

static void logarithms_and_powers(void **state)
{
    (void)state;
    assert_true(close(bli_fn_log(10), 0x1.26bb1bbb55516p+1) && bli_fn_log(1) == 0);
    assert_true(close(bli_fn_log(0x1.8p-1060), -0x1.6f2a4f5736e06p+9));
    assert_true(close(bli_fn_log2(10), 0x1.a934f0979a371p+1));
    for (int e = -1074; e < 1024; e++)
        assert_true(bli_fn_log2(ldexp(1, e)) == e && bli_fn_exp2(e) == ldexp(1, e));
    assert_true(close(bli_fn_exp2(-2.5), 0x1.6a09e667f3bcdp-3));
    assert_true(bli_fn_pow(3, 4) == 81 && bli_fn_pow(-3, 3) == -27 && bli_fn_pow(1.5, 2) == 2.25);
    assert_true(bli_fn_pow(2, 0.5) == 0x1.6a09e667f3bcdp+0 && bli_fn_pow(0x1p-1060, -0.5) == 0x1p530);
    assert_true(bli_fn_pow(16, -0.25) == 0.5 && bli_fn_pow(10, 300) == 1e300);
}

static void ends_are_those_of_c(void **state)
{
    const double inf = (double)INFINITY, nan = (double)NAN;
    (void)state;
    assert_true(bli_fn_exp(inf) == inf && bli_fn_exp(-inf) == 0 && isnan(bli_fn_exp(nan)) && bli_fn_exp(0) == 1);
    assert_true(bli_fn_exp(-745) == 0x1p-1074 && bli_fn_exp(-746) == 0 && bli_fn_exp(710) == inf);
    assert_true(bli_fn_tanh(inf) == 1 && bli_fn_tanh(-inf) == -1 && isnan(bli_fn_tanh(nan)) &&
                signbit(bli_fn_tanh(-0.0)));
    assert_true(bli_fn_sigmoid(inf) == 1 && bli_fn_sigmoid(-inf) == 0 && isnan(bli_fn_sigmoid(nan)));
    assert_true(bli_fn_softplus(inf) == inf && bli_fn_softplus(-inf) == 0 && isnan(bli_fn_softplus(nan)));
    assert_true(bli_fn_expm1(-inf) == -1 && bli_fn_expm1(0) == 0 && isnan(bli_fn_expm1(nan)));
    assert_true(bli_fn_log(0) == -inf && bli_fn_log(inf) == inf && isnan(bli_fn_log(-1)) && isnan(bli_fn_log(nan)));
    assert_true(bli_fn_pow(0, -1) == inf && bli_fn_pow(nan, 0) == 1 && bli_fn_pow(1, nan) == 1);
    assert_true(isnan(bli_fn_pow(-2, 0.5)) && bli_fn_pow(-inf, 3) == -inf && bli_fn_pow(10, 400) == inf);
    assert_true(bli_fn_pow(10, -400) == 0 && bli_fn_pow(-10, 401) == -inf && bli_fn_pow(0.5, inf) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_right_to_95_bits),
        cmocka_unit_test(every_entry_of_a_table_is_the_nearest),
        cmocka_unit_test(ties_go_to_even_and_what_is_beside_them_does_not),
        cmocka_unit_test(doubles_are_within_three_units_and_floats_the_nearest),
        cmocka_unit_test(logarithms_and_powers),
        cmocka_unit_test(ends_are_those_of_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
