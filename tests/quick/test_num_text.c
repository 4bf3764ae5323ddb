/* A format's text: what is printed parses to the same format; misspelt words are answered with the nearest. */
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

static void texts_have_a_canonical_print(void **s)
{
    bl_context *ctx = *s;
    static const char *const pairs[][2] = {
        {"fixed<8,3>", "fixed<8,3>"},
        {"fixed<8,3,TRN,WRAP>", "fixed<8,3>"},
        {" fixed < 8 , 3 , RND , SAT > ", "fixed<8,3,RND,SAT>"},
        {"fixed<8,3,RND>", "fixed<8,3,RND,WRAP>"},
        {"ap_fixed<16,6,AP_RND_CONV,AP_SAT_SYM,0>", "fixed<16,6,RND_CONV,SAT_SYM>"},
        {"ap_ufixed<4,-2>", "ufixed<4,-2>"},
        {"ufixed<64,70,STOCHASTIC,SAT>", "ufixed<64,70,STOCHASTIC,SAT>"},
        {"int<4>", "int<4>"},
        {"int<4,RND_CONV,SAT>", "int<4>"},
        {"uint<1,TRN,WRAP>", "uint<1,TRN,WRAP>"},
        {"affine<8>", "affine<8>"},
        {"affine<8,signed>", "affine<8,signed>"},
        {"affine<8,unsigned,RND>", "affine<8,RND>"},
        {"binary", "binary"},
        {"binary<STOCHASTIC>", "binary<STOCHASTIC>"},
        {"ternary<RND_CONV>", "ternary"},
        {"ternary<TRN_ZERO>", "ternary<TRN_ZERO>"},
        {"po2<4>", "po2<4>"},
        {"upo2<3,STOCHASTIC>", "upo2<3,STOCHASTIC>"},
        {"float<e4m3>", "float<e4m3>"},
        {"float<e4m3,nan>", "float<e4m3>"},
        {"float<e4m3,ieee>", "float<e4m3,ieee>"},
        {"float<e5m2,RND_CONV,INF>", "float<e5m2,RND_CONV,INF>"},
        {"float<e5m10,RND_CONV,INF>", "float16"},
        {"bfloat16", "bfloat16"},
        {"bfloat16<STOCHASTIC>", "float<e8m7,STOCHASTIC,INF>"},
        {"float<e8m7,RND_CONV,INF>", "bfloat16"},
        {"float16<RND_CONV,SAT>", "float<e5m10>"},
        {"float<e2m1>", "float<e2m1>"},
        {"float<e2m0>", "float<e2m0>"},
        {"mx<e4m3,32>", "mx<e4m3,32>"},
        {"mx<int8,32,STOCHASTIC>", "mx<int8,32,STOCHASTIC>"},
        {"mx<e5m2,32,RND_CONV,UP>", "mx<e5m2,32,RND_CONV,UP>"},
        {"mx<int8,32,TRN,UP>", "mx<int8,32,TRN,UP>"},
        {"float32", "float32"},
    };
    for (size_t i = 0; i < BLI_COUNT(pairs); i++) {
        bl_format f, g;
        char text[64];
        assert_ok(ctx, bl_format_parse(ctx, pairs[i][0], &f));
        assert_int_equal(bl_format_print(&f, text, sizeof text), strlen(pairs[i][1]));
        assert_string_equal(text, pairs[i][1]);
        assert_ok(ctx, bl_format_parse(ctx, text, &g));
        assert_true(bl_format_equal(&f, &g));
    }
}

/* All formats that pass the check, a grid over every field. */
static void every_format_survives_its_print(void **s)
{
    bl_context *ctx = *s;
    long count = 0;
    static const int mantissas[] = {0, 1, 2, 3, 7, 10, 23};
    for (int kind = 0; kind <= BL_FORMAT_MX; kind++)
        for (int bits = 1; bits <= 64; bits += bits < 12 ? 1 : 13)
            for (int q = 0; q < BL_ROUNDING_COUNT; q++)
                for (int o = 0; o < BL_OVERFLOW_COUNT; o++)
                    for (int sign = 0; sign < 2; sign++)
                        for (int extra = 0; extra < 63; extra++) {
                            bl_format f = {.kind = (bl_format_kind)kind, .is_signed = sign != 0, .bits = bits};
                            f.rounding = (bl_rounding)q;
                            f.overflow = (bl_overflow)o;
                            if (kind == BL_FORMAT_FIXED)
                                f.integer = extra - 31;
                            bool floating = kind == BL_FORMAT_FLOAT || (kind == BL_FORMAT_MX && extra > 0);
                            if (floating) {
                                f.special = (bl_float_special)(extra % 3);
                                f.mantissa_bits = mantissas[extra / 3 % 7];
                                f.exponent_bits = bits;
                                f.bits = 1 + bits + f.mantissa_bits;
                            } else if (kind != BL_FORMAT_FIXED && extra > 0) {
                                continue;
                            }
                            if (kind == BL_FORMAT_FLOAT32) {
                                assert_ok(ctx, bl_format_parse(ctx, "float32", &f));
                            }
                            if (kind == BL_FORMAT_MX)
                                f.block = 1 + extra;
                            /* a block's text has no word for its element's NaN rule */
                            bl_format usual = f;
                            if (bli_format_check(ctx, &f) != BL_OK)
                                continue;
                            char text[64], again[64];
                            assert_true(bl_format_print(&f, text, sizeof text) < sizeof text);
                            assert_ok(ctx, bl_format_parse(ctx, text, &usual));
                            bl_format_print(&usual, again, sizeof again);
                            assert_string_equal(text, again);
                            if (kind != BL_FORMAT_MX && !bl_format_equal(&f, &usual))
                                fail_msg("%s parses to another format", text);
                            count++;
                        }
    assert_true(count > 10000);
}

static void bad_texts_are_answered(void **s)
{
    bl_context *ctx = *s;
    static const char *const bad[][2] = {
        {"", "expected a name"},
        {"fixd<8,3>", "did you mean fixed?"},
        {"ternay", "did you mean ternary?"},
        {"bfloat61", "did you mean bfloat16?"},
        {"zzzzzz", "unknown name 'zzzzzz'"},
        {"fixed", "expected 2 to 5"},
        {"fixed<>", "argument 1 is empty"},
        {"fixed<8>", "expected 2 to 5"},
        {"fixed<8,3", "expected one '>'"},
        {"fixed<8,3>>", "expected one '>'"},
        {"fixed<8,3>x", "expected one '>'"},
        {"fixed<8,,3>", "argument 2 is empty"},
        {"fixed<0,3>", "W (the width) as an integer from 1 to 64"},
        {"fixed<65,3>", "W (the width) as an integer from 1 to 64"},
        {"fixed<8.5,3>", "argument 1 is '8.5'"},
        {"fixed<99999999999999999999,3>", "W (the width)"},
        {"fixed<8,3,RND_CNV>", "did you mean RND_CONV?"},
        {"fixed<8,3,rnd>", "did you mean RND?"},
        {"fixed<8,3,RND,SATT>", "did you mean SAT?"},
        {"fixed<8,3,RND,SAT,1>", "saturation bits"},
        {"fixed<8,3,RND,INF>", "INF is for float kinds"},
        {"ufixed<8,3,RND,WRAP_SM>", "needs a sign"},
        {"int<8,8>", "a word for rounding"},
        {"affine<8,signed,RND,SAT>", "expected 1 to 3"},
        {"affine<8,RND,SAT>", "nothing more"},
        {"binary<TRN>", "expected RND or STOCHASTIC"},
        {"po2<1>", "from 2 to 9"},
        {"po2<4,TRN>", "expected RND, TRN_ZERO or STOCHASTIC"},
        {"float<e4>", "eEmM"},
        {"float<e12m3>", "eEmM"},
        {"float<e4m+3>", "eEmM"},
        {"float<e8m30>", "at most 32 bits"},
        {"float<e2m1,RND,INF>", "neither infinity nor NaN"},
        {"float<e11m0>", "expected ieee"},
        {"float<e4m3,RND,WRAP>", "expected SAT or INF"},
        {"float<e4m0,ieee>", "need a mantissa"},
        {"mx<e4m3>", "expected 2 to 4"},
        {"mx<e4m3,32,RND,DOWN>", "argument 4 is 'DOWN', expected UP"},
        {"mx<e4m3,0>", "from 1 to 65536"},
        {"mx<fp8,32>", "an element"},
        {"mx<int1,32>", "an element"},
        {"mx<e8m3,32>", "at most 7 exponent bits"},
        {"float32<8>", "expected 0 to 0"},
        {"fixed<1,2,3,4,5,6,7,8,9>", "more than 8 arguments"},
    };
    for (size_t i = 0; i < BLI_COUNT(bad); i++) {
        bl_format f;
        assert_fails(ctx, BL_BAD_VALUE, bad[i][1], bl_format_parse(ctx, bad[i][0], &f));
        assert_int_equal(f.bits, 0);
    }
}

static void a_short_buffer_is_terminated(void **s)
{
    bl_context *ctx = *s;
    bl_format f;
    char text[4] = "xxx";
    assert_ok(ctx, bl_format_parse(ctx, "fixed<16,6,RND,SAT>", &f));
    assert_int_equal(bl_format_print(&f, text, sizeof text), strlen("fixed<16,6,RND,SAT>"));
    assert_string_equal(text, "fix");
    assert_int_equal(bl_format_print(&f, NULL, 0), strlen("fixed<16,6,RND,SAT>"));
}

static void hand_made_nonsense_is_refused(void **s)
{
    bl_context *ctx = *s;
    bl_format f = {.kind = (bl_format_kind)99};
    assert_fails(ctx, BL_BAD_VALUE, "unknown kind", bli_format_check(ctx, &f));
    f = (bl_format){.kind = BL_FORMAT_INT, .bits = 8, .rounding = (bl_rounding)77};
    assert_fails(ctx, BL_BAD_VALUE, "rounding 77", bli_format_check(ctx, &f));
    f = (bl_format){.kind = BL_FORMAT_MX, .bits = 8, .block = 8, .is_signed = true, .overflow = BL_WRAP};
    assert_fails(ctx, BL_BAD_VALUE, "saturate", bli_format_check(ctx, &f));
}

static void every_family_is_listed(void **s)
{
    (void)s;
    assert_int_equal(bl_format_family_count(), BL_FORMAT_MX + 1);
    for (int i = 0; i < bl_format_family_count(); i++) {
        const bl_format_family *family = bl_format_family_at(i);
        assert_true(strlen(family->name) > 0 && strlen(family->text) > 0 && strlen(family->help) > 0);
    }
    assert_null(bl_format_family_at(-1));
    assert_null(bl_format_family_at(bl_format_family_count()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_a_canonical_print),  cmocka_unit_test(every_format_survives_its_print),
        cmocka_unit_test(bad_texts_are_answered),        cmocka_unit_test(a_short_buffer_is_terminated),
        cmocka_unit_test(hand_made_nonsense_is_refused), cmocka_unit_test(every_family_is_listed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
