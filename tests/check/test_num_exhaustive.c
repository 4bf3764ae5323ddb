/* Every fixed<W,I,Q,O> and ufixed of up to 10 bits, I from -3 to W + 3, on every quarter step from -2.5 to +2.5 ranges,
 * against a rational model in plain integers; widths 11 to 64 on random samples of it.
 *
 * The model is a second wording of the definitions, on purpose not that of src/num/round.c: rounding by integer
 * division of quarters, wrapping by remainders, sign-magnitude wrapping as the reflection it amounts to.
 */
#include <math.h>

#include "num/num.h"
#include "support/test.h"

__extension__ typedef __int128 wide;

static wide floor_div(wide a, wide b)
{
    wide q = a / b;
    return q * b > a ? q - 1 : q;
}
static wide ceil_div(wide a, wide b)
{
    return -floor_div(-a, b);
}

/* j quarters of a step. */
static wide model_round(bl_rounding q, wide j)
{
    wide up = floor_div(j + 2, 4), down = ceil_div(j - 2, 4);
    switch (q) {
    case BL_TRN:
        return floor_div(j, 4);
    case BL_TRN_ZERO:
        return j / 4;
    case BL_RND:
        return up;
    case BL_RND_MIN_INF:
        return down;
    case BL_RND_INF:
        return j < 0 ? down : up;
    case BL_RND_ZERO:
        return j < 0 ? up : down;
    default:
        return up % 2 == 0 ? up : down; /* differ only on ties, and then one of them is even */
    }
}

static wide model_overflow(int bits, bool is_signed, bl_overflow o, wide c)
{
    wide size = (wide)1 << bits, least = is_signed ? -(size / 2) : 0, greatest = least + size - 1;
    wide low = o == BL_SAT_SYM && is_signed ? -greatest : least;
    wide turn = c - least - floor_div(c - least, size) * size;
    wide fold = c - least - floor_div(c - least, 2 * size) * 2 * size;
    switch (o) {
    case BL_WRAP:
        return least + turn;
    case BL_WRAP_SM:
        return least + (fold < size ? fold : 2 * size - 1 - fold);
    case BL_SAT_ZERO:
        return c < least || c > greatest ? 0 : c;
    default:
        return c < low ? low : c > greatest ? greatest : c;
    }
}

enum { MOST = 5 * 1024 * 4 + 8 };
static double want[MOST], x64[MOST], y64[MOST], up64[MOST];
static float x32[MOST], y32[MOST];

static void compare(const bl_format *f, size_t n, double step, wide first)
{
    for (size_t i = 0; i < n; i++) {
        double w = want[i] * step;
        bool other = f->rounding == BL_STOCHASTIC; /* either neighbour may come */
        if (y64[i] == w && (double)y32[i] == w && !signbit(y64[i]) == !(w < 0) && !signbit(y32[i]) == !(w < 0))
            continue;
        if (other && y64[i] == (double)y32[i] && (y64[i] == w || y64[i] == up64[i] * step))
            continue;
        char text[64];
        bl_format_print(f, text, sizeof text);
        fail_msg("%s: %g quarter steps give %g (double), %g (float) steps, expected %g", text,
                 (double)(first + (wide)i), y64[i] / step, (double)y32[i] / step, want[i]);
    }
}

static void one_format(bl_format f, bli_isa isa)
{
    const bli_stream stream = {{1, 2}, {3, 4}};
    wide size = (wide)1 << f.bits, first = -10 * size;
    size_t n = (size_t)(20 * size) + 1;
    bl_rounding low = f.rounding == BL_STOCHASTIC ? BL_TRN : f.rounding;
    for (size_t i = 0; i < n; i++) {
        wide j = first + (wide)i;
        want[i] = (double)model_overflow(f.bits, f.is_signed, f.overflow, model_round(low, j));
        up64[i] = (double)model_overflow(f.bits, f.is_signed, f.overflow, ceil_div(j, 4));
    }
    for (int integer = -3; integer <= f.bits + 3; integer++) {
        f.integer = integer;
        double step = ldexp(1, integer - f.bits);
        for (size_t i = 0; i < n; i++) {
            x64[i] = (double)(first + (wide)i) * step / 4;
            x32[i] = (float)x64[i];
        }
        bli_quantize_f64(&f, 1, 0, &stream, 0, x64, y64, n, isa);
        bli_quantize_f32(&f, 1, 0, &stream, 0, x32, y32, n, isa);
        compare(&f, n, step, first);
    }
}

static void every_format_up_to_ten_bits(void **s)
{
    (void)s;
    for (int bits = 1; bits <= 10; bits++)
        for (int q = 0; q < BL_ROUNDING_COUNT; q++)
            for (int o = 0; o < BL_INF; o++)
                for (int sign = 0; sign < 2; sign++) {
                    if (o == BL_WRAP_SM && sign == 0)
                        continue;
                    bl_format f = {.kind = BL_FORMAT_FIXED, .is_signed = sign != 0, .bits = bits};
                    f.rounding = (bl_rounding)q;
                    f.overflow = (bl_overflow)o;
                    one_format(f, (bli_isa)((unsigned)(bits + q) % ((unsigned)bli_cpu_isa() + 1)));
                }
}

static uint64_t state = 88172645463325252u;
static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Toward zero to 53 bits, as documented. */
static double cut(wide v)
{
    wide a = v < 0 ? -v : v;
    int shift = 0;
    while (a >> shift >> 53 != 0)
        shift++;
    double d = ldexp((double)(int64_t)(a >> shift), shift);
    return v < 0 ? -d : d;
}

static void one_sample(const bl_format *f, bl_context *ctx)
{
    int length = 1 + (int)(next() % 53), shift = (int)(next() % 20);
    wide j = (wide)(int64_t)(next() >> (64 - length)) << shift;
    j = next() % 2 ? -j : j;
    double x = ldexp((double)j, f->integer - f->bits - 2), y;
    double w = ldexp(cut(model_overflow(f->bits, f->is_signed, f->overflow, model_round(f->rounding, j))),
                     f->integer - f->bits);
    assert_ok(ctx, bl_quantize_f64(ctx, f, NULL, NULL, &x, &y, 1));
    if (y != w || !signbit(y) != !(w < 0)) {
        char text[64];
        bl_format_print(f, text, sizeof text);
        fail_msg("%s: %a gives %a, expected %a", text, x, y, w);
    }
    int64_t code;
    double back;
    if (bl_encode(ctx, f, NULL, &y, &code, 1) == BL_OK) {
        assert_ok(ctx, bl_decode(ctx, f, NULL, &code, &back, 1));
        assert_true(back == y);
    } else {
        fail_msg("%s", bl_context_message(ctx));
    }
}

static void samples_up_to_sixty_four_bits(void **s)
{
    bl_context *ctx;
    (void)s;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    for (int bits = 11; bits <= 64; bits++)
        for (int q = 0; q < BL_STOCHASTIC; q++)
            for (int o = 0; o < BL_INF; o++)
                for (int sign = 0; sign < 2; sign++) {
                    if (o == BL_WRAP_SM && sign == 0)
                        continue;
                    bl_format f = {.kind = BL_FORMAT_FIXED, .is_signed = sign != 0, .bits = bits};
                    f.rounding = (bl_rounding)q;
                    f.overflow = (bl_overflow)o;
                    for (int i = 0; i < 200; i++) {
                        f.integer = (int)(next() % (unsigned)(bits + 7)) - 3;
                        one_sample(&f, ctx);
                    }
                }
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_up_to_ten_bits),
        cmocka_unit_test(samples_up_to_sixty_four_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
