/* The vectorised loops of number formats give the bits of the definition: every instruction set this machine has,
 * every rounding and overflow, lengths 0..67, unaligned starts, in place, cut anywhere. */
#include <math.h>

#include "num/num.h"
#include "support/test.h"

enum { COUNT = 6000 };

typedef struct use {
    bl_format f;
    double scale;
    int64_t zero;
    bool draw;
    char text[64];
} use;

static bli_isa best_isa(void)
{
    return bli_cpu_isa();
}

static uint64_t state = 88172645463325252u;
static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Numbers that rounding trips over, in units of the step. */
static const double nasty[] = {0.0,
                               -0.0,
                               0.5,
                               -0.5,
                               1.5,
                               -1.5,
                               2.5,
                               -2.5,
                               0.49999997,
                               -0.49999997,
                               0x1p-126,
                               -0x1p-126,
                               0x1p-149,
                               -0x1p-149,
                               0x1p-1040,
                               -0x1p-1040,
                               0x1p23,
                               -0x1p23,
                               8388607.5,
                               -8388607.5,
                               8388609.0,
                               -8388609.0,
                               16777215.0,
                               0x1p24,
                               -0x1p24,
                               0x1p31,
                               0x1p52,
                               -0x1p52,
                               4503599627370497.0,
                               0x1p53,
                               0x1p63,
                               -0x1p63,
                               0x1p64,
                               1e30,
                               -1e30,
                               0x1p127,
                               -0x1p127,
                               1e300,
                               -1e300,
                               INFINITY,
                               -INFINITY,
                               NAN,
                               448,
                               464,
                               480,
                               57344,
                               61440};

/* Those and themselves unscaled; then any bits at all. */
static double tricky(size_t i, double step)
{
    const size_t n = sizeof nasty / sizeof *nasty;
    if (i < n)
        return nasty[i] * step;
    if (i < 2 * n)
        return nasty[i - n];
    double v = (double)(int64_t)(next() % 4097) / 8 - 256 + (next() % 3 == 0 ? (double)(next() % 1000) * 1e-7 : 0);
    switch (i % 7) {
    case 0:
        return ldexp(v, (int)(next() % 80) - 40);
    case 1:
        return ldexp(v, (int)(next() % 300) - 180);
    case 2:
        return v * step / 16;
    default:
        return v * step;
    }
}

static void fail_at(const use *u, const char *what, bli_isa isa, size_t i, double x, double got, double want)
{
    fail_msg("%s scale %a zero %lld %s on %s: element %zu, x = %a: %a, the definition gives %a", u->text, u->scale,
             (long long)u->zero, what, bli_isa_name(isa), i, x, got, want);
}

static const bli_stream stream = {{1, 2}, {3, 4}};

static void check_f32(const use *u, const float *x, size_t n, uint64_t first)
{
    static float want[COUNT + 64], want_dx[COUNT + 64], room[COUNT + 64], dy[COUNT + 64], dx[COUNT + 64];
    const bli_stream *rng = u->draw ? &stream : NULL;
    for (size_t i = 0; i < n; i++) {
        bool clipped;
        dy[i] = (float)i + 1;
        want[i] = bli_quantize_reference_f32(&u->f, u->scale, u->zero, u->draw, bli_stream_u32(&stream, first + i),
                                             x[i], &clipped);
        bool all = u->f.overflow == BL_WRAP || u->f.overflow == BL_WRAP_SM;
        want_dx[i] = clipped && !all ? 0 : dy[i];
    }
    for (int isa = 0; isa <= (int)best_isa(); isa++) {
        float *y = room + next() % 16;
        memcpy(y, x, n * sizeof *y);
        bli_quantize_f32(&u->f, u->scale, u->zero, rng, first, y, y, n, (bli_isa)isa);
        bli_quantize_grad_f32(&u->f, u->scale, u->zero, rng, first, x, dy, dx, n, (bli_isa)isa);
        for (size_t i = 0; i < n; i++) {
            if (memcmp(&y[i], &want[i], sizeof *y) != 0)
                fail_at(u, "float", (bli_isa)isa, i, (double)x[i], (double)y[i], (double)want[i]);
            if (dx[i] != want_dx[i])
                fail_at(u, "float gradient", (bli_isa)isa, i, (double)x[i], (double)dx[i], (double)want_dx[i]);
        }
    }
}

static void check_f64(const use *u, const double *x, size_t n, uint64_t first)
{
    static double want[COUNT + 64], want_dx[COUNT + 64], room[COUNT + 64], dy[COUNT + 64], dx[COUNT + 64];
    const bli_stream *rng = u->draw ? &stream : NULL;
    for (size_t i = 0; i < n; i++) {
        bool clipped;
        dy[i] = (double)i + 1;
        want[i] = bli_quantize_reference_f64(&u->f, u->scale, u->zero, u->draw, bli_stream_u32(&stream, first + i),
                                             x[i], &clipped);
        bool all = u->f.overflow == BL_WRAP || u->f.overflow == BL_WRAP_SM;
        want_dx[i] = clipped && !all ? 0 : dy[i];
    }
    for (int isa = 0; isa <= (int)best_isa(); isa++) {
        double *y = room + next() % 16;
        memcpy(y, x, n * sizeof *y);
        bli_quantize_f64(&u->f, u->scale, u->zero, rng, first, y, y, n, (bli_isa)isa);
        bli_quantize_grad_f64(&u->f, u->scale, u->zero, rng, first, x, dy, dx, n, (bli_isa)isa);
        for (size_t i = 0; i < n; i++) {
            if (memcmp(&y[i], &want[i], sizeof *y) != 0)
                fail_at(u, "double", (bli_isa)isa, i, x[i], y[i], want[i]);
            if (dx[i] != want_dx[i])
                fail_at(u, "double gradient", (bli_isa)isa, i, x[i], dx[i], want_dx[i]);
        }
    }
}

static void check_use(bl_context *ctx, use *u, size_t n)
{
    static double x64[COUNT];
    static float x32[COUNT + 64];
    bl_format_print(&u->f, u->text, sizeof u->text);
    if (bli_format_check(ctx, &u->f) != BL_OK)
        return;
    double step = bl_format_step(&u->f) != 0 ? bl_format_step(&u->f) * u->scale : u->scale;
    size_t shift = next() % 16;
    for (size_t i = 0; i < n; i++) {
        x64[i] = tricky(i, step);
        x32[shift + i] = (float)x64[i];
    }
    uint64_t first = next() >> 20;
    if (bli_grid_check(ctx, &u->f, u->scale, u->zero, false) == BL_OK)
        check_f64(u, x64, n, first);
    bli_grid_facts facts = bli_format_facts(&u->f, 1, 0);
    if (u->f.kind == BL_FORMAT_FLOAT && !facts.fits_f32)
        return;
    if (bli_grid_check(ctx, &u->f, u->scale, u->zero, true) == BL_OK)
        check_f32(u, x32 + shift, n, first);
}

static void every_fixed_and_int_mode(void **s)
{
    bl_context *ctx = *s;
    static const int widths[][2] = {{1, 0},   {1, 1},  {3, 1},   {6, -3}, {8, 3},   {8, 12}, {16, 6}, {23, 4}, {24, 8},
                                    {24, 24}, {25, 3}, {32, 16}, {33, 1}, {52, 20}, {53, 3}, {54, 3}, {64, 32}};
    static const double scales[] = {1, 0.25, 0x1p-30, 0x1p20, 0.3, 7.1e-3};
    for (size_t w = 0; w < BLI_COUNT(widths); w++)
        for (int q = 0; q < BL_ROUNDING_COUNT; q++)
            for (int o = 0; o < BL_INF; o++)
                for (int sign = 0; sign < 2; sign++) {
                    use u = {{BL_FORMAT_FIXED, sign != 0, widths[w][0], widths[w][1], (bl_rounding)q, (bl_overflow)o, 0,
                              0, BL_SPECIAL_IEEE, 0, false},
                             scales[next() % 6],
                             0,
                             next() % 4 != 0,
                             ""};
                    check_use(ctx, &u, 300);
                    u.f.kind = BL_FORMAT_INT;
                    u.f.integer = 0;
                    u.zero = next() % 2 ? (int64_t)(next() % 200) - 100 : 0;
                    u.scale = scales[next() % 6];
                    check_use(ctx, &u, 300);
                }
}

static void every_minifloat_and_small_kind(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"binary",           "binary<STOCHASTIC>",
                                        "ternary",          "ternary<STOCHASTIC>",
                                        "po2<4>",           "po2<4,STOCHASTIC>",
                                        "upo2<3,TRN_ZERO>", "affine<8>",
                                        "affine<8,signed>", "affine<4>",
                                        "float32",          "bfloat16",
                                        "float16",          "po2<9>"};
    static const double scales[] = {1, 0.25, 0x1p-30, 0x1p20, 0.3, 7.1e-3};
    for (size_t t = 0; t < BLI_COUNT(texts); t++)
        for (size_t c = 0; c < 6; c++)
            for (int draw = 0; draw < 2; draw++) {
                use u = {.scale = scales[c], .draw = draw != 0};
                assert_int_equal(bl_format_parse(ctx, texts[t], &u.f), BL_OK);
                u.zero = u.f.kind == BL_FORMAT_AFFINE ? 5 : 0;
                check_use(ctx, &u, 1000);
            }
    for (int e = 2; e <= 11; e++)
        for (int m = 0; m <= 23; m++)
            for (int q = 0; q < BL_ROUNDING_COUNT; q++)
                for (int special = 0; special < 6; special++) {
                    use u = {{BL_FORMAT_FLOAT, true, 1 + e + m, 0, (bl_rounding)q, special % 2 ? BL_SAT : BL_INF, e, m,
                              (bl_float_special)(special / 2), 0, false},
                             scales[next() % 6],
                             0,
                             true,
                             ""};
                    check_use(ctx, &u, 130);
                }
}

static void any_length_and_start(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"fixed<6,1,RND,SAT_SYM>",
                                        "fixed<6,1,TRN,WRAP>",
                                        "int<5,STOCHASTIC,SAT>",
                                        "float<e4m3>",
                                        "float<e5m2,STOCHASTIC,SAT>",
                                        "bfloat16",
                                        "binary"};
    for (size_t t = 0; t < BLI_COUNT(texts); t++)
        for (size_t n = 0; n < 68; n++) {
            use u = {.scale = n % 2 ? 1 : 0.7, .draw = true};
            assert_int_equal(bl_format_parse(ctx, texts[t], &u.f), BL_OK);
            check_use(ctx, &u, n);
        }
    use u = {.scale = 1, .draw = true};
    assert_int_equal(bl_format_parse(ctx, "int<5,STOCHASTIC,SAT>", &u.f), BL_OK);
    check_use(ctx, &u, COUNT);
}

static void cut_anywhere_gives_the_same(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"fixed<8,3,STOCHASTIC,SAT>", "float<e4m3,STOCHASTIC,SAT>",
                                        "bfloat16<STOCHASTIC>",      "fixed<30,3,STOCHASTIC,SAT>",
                                        "binary<STOCHASTIC>",        "po2<5,STOCHASTIC>"};
    static float x[2000], whole[2000], parts[2000];
    for (size_t i = 0; i < 2000; i++)
        x[i] = (float)((double)(int64_t)(next() % 100000) / 9000 - 5);
    for (size_t t = 0; t < BLI_COUNT(texts); t++) {
        bl_format f;
        assert_int_equal(bl_format_parse(ctx, texts[t], &f), BL_OK);
        bli_quantize_f32(&f, 1, 0, &stream, 7, x, whole, 2000, best_isa());
        for (size_t i = 0; i < 2000;) {
            size_t n = 1 + next() % 700;
            n = n < 2000 - i ? n : 2000 - i;
            bli_quantize_f32(&f, 1, 0, &stream, 7 + i, x + i, parts + i, n, (bli_isa)(next() % (best_isa() + 1u)));
            i += n;
        }
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

static void channels_equal_one_call_each(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {
        "int<4>",        "int<8,STOCHASTIC,SAT_SYM>",  "affine<8>",          "fixed<5,2,RND,SAT>",
        "float<e4m3>",   "float<e5m2,STOCHASTIC,INF>", "int<6,RND,WRAP_SM>", "po2<4>",
        "bfloat16",      "float<e5m2,TRN,SAT>",        "int<6,TRN,WRAP>",    "binary",
        "int<7,TRN,SAT>"};
    static const size_t shapes[][3] = {{7, 3, 1},    {40, 64, 1}, {2, 5, 9}, {3, 1, 1},
                                       {2, 1500, 1}, {0, 4, 1},   {1, 1, 17}};
    static float x[3000], y[3000], z[3000], dy[3000], dx[3000], dz[3000], scale[1500];
    static int64_t zero[1500];
    for (size_t i = 0; i < 3000; i++) {
        x[i] = (float)tricky(i, 0.1);
        dy[i] = (float)i;
    }
    for (size_t t = 0; t < BLI_COUNT(texts); t++)
        for (size_t h = 0; h < BLI_COUNT(shapes); h++) {
            size_t outer = shapes[h][0], channels = shapes[h][1], inner = shapes[h][2];
            bl_format f;
            assert_int_equal(bl_format_parse(ctx, texts[t], &f), BL_OK);
            bool affine = f.kind == BL_FORMAT_AFFINE;
            for (size_t c = 0; c < channels; c++) {
                scale[c] = c % 3 == 0 ? ldexpf(1, (int)(c % 7) - 4) : 0.01f * (float)(c + 1);
                zero[c] = affine ? (int64_t)c % 9 : 0;
            }
            for (int isa = 0; isa <= (int)best_isa(); isa++) {
                bli_quantize_channels_f32(&f, scale, affine ? zero : NULL, &stream, 9, x, y, outer, channels, inner,
                                          (bli_isa)isa);
                bli_quantize_grad_channels_f32(&f, scale, affine ? zero : NULL, &stream, 9, x, dy, dx, outer, channels,
                                               inner, (bli_isa)isa);
                for (size_t i = 0; i < outer * channels; i++) {
                    size_t c = i % channels;
                    bli_quantize_f32(&f, (double)scale[c], zero[c] * affine, &stream, 9 + i * inner, x + i * inner,
                                     z + i * inner, inner, BLI_ISA_GENERIC);
                    bli_quantize_grad_f32(&f, (double)scale[c], zero[c] * affine, &stream, 9 + i * inner, x + i * inner,
                                          dy + i * inner, dz + i * inner, inner, BLI_ISA_GENERIC);
                }
                assert_memory_equal(y, z, outer * channels * inner * sizeof *y);
                assert_memory_equal(dx, dz, outer * channels * inner * sizeof *y);
            }
        }
}

/* Every element by the definition: x is [outer, length, inner], blocks along length. */
static double mx_definition(const bl_format *f, const double *x, size_t i, size_t length, size_t inner, bool f32,
                            bool *clipped)
{
    const bl_format element = bli_mx_element(f);
    const size_t line = i / (length * inner) * length * inner + i % inner, at = i / inner % length;
    const size_t from = at - at % (size_t)f->block,
                 end = from + (size_t)f->block < length ? from + (size_t)f->block : length;
    const uint32_t random = bli_stream_u32(&stream, 5 + i);
    double most = 0;
    for (size_t j = from; j < end; j++) {
        const double v = fabs(x[line + j * inner]);
        most = isfinite(v) && v > most ? v : most;
    }
    const double scale = ldexp(1, bli_mx_exponent(f, most));
    if (!f32)
        return bli_quantize_reference_f64(&element, scale, 0, true, random, x[i], clipped);
    return (double)bli_quantize_reference_f32(&element, scale, 0, true, random, (float)x[i], clipped);
}

static const char *const mx_texts[] = {"mx<e4m3,32>",
                                       "mx<e2m1,16>",
                                       "mx<int8,32>",
                                       "mx<e5m2,32,STOCHASTIC>",
                                       "mx<e3m2,7>",
                                       "mx<e2m3,1>",
                                       "mx<e4m3,1000>",
                                       "mx<e5m2,32,TRN>",
                                       "mx<int6,20,TRN>",
                                       "mx<int24,16,RND_INF>",
                                       "mx<e7m3,16,RND_ZERO>",
                                       "mx<e5m2,32,RND_CONV,UP>",
                                       "mx<e2m1,8,STOCHASTIC,UP>",
                                       "mx<int8,32,RND,UP>",
                                       "mx<int2,5,RND_MIN_INF>"};

static bool same_real(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

enum { MX_ELEMENTS = 1200 };

/* Zeros, NaNs, infinities, and magnitudes from the least to the greatest of a float, whole blocks of each. */
static void mx_numbers(double *x, int turn)
{
    for (size_t i = 0; i < MX_ELEMENTS; i++) {
        const double v = tricky(i + 200, 0.01);
        const int exponent = turn == 0 ? 0 : (int)(i / 40 * 37 % 270) - 140;
        x[i] = i % 97 == 50 ? (double)NAN : i % 91 == 30 ? (double)-INFINITY : (double)(float)ldexp(v, exponent);
        if (i / 32 % 5 == 4 && turn == 0)
            x[i] = i % 2 == 0 ? 0 : -0.0;
    }
    for (size_t i = 400; i < 432; i++) /* zeros alone but for one that takes no part */
        x[i] = i == 410 ? (turn == 0 ? (double)INFINITY : (double)NAN) : 0;
}

static void mx_check(const char *text, const bl_format *f, const double *x, size_t length, size_t inner, bli_isa isa)
{
    static float in32[MX_ELEMENTS], out32[MX_ELEMENTS];
    static double out64[MX_ELEMENTS];
    for (size_t i = 0; i < MX_ELEMENTS; i++)
        in32[i] = (float)x[i];
    const size_t outer = MX_ELEMENTS / (length * inner);
    bli_quantize_lines_f32(f, 1, &stream, 5, in32, out32, outer, length, inner, isa);
    bli_quantize_lines_f64(f, 1, &stream, 5, x, out64, outer, length, inner, isa);
    bli_quantize_lines_f32(f, 1, &stream, 5, in32, in32, outer, length, inner, isa);
    assert_memory_equal(in32, out32, outer * length * inner * sizeof *in32); /* in place */
    for (size_t i = 0; i < outer * length * inner; i++) {
        bool clipped;
        const double want32 = mx_definition(f, x, i, length, inner, true, &clipped);
        const double want64 = mx_definition(f, x, i, length, inner, false, &clipped);
        if (!same_real(want32, (double)out32[i]) || !same_real(want64, out64[i]))
            fail_msg("%s [%zu, %zu, %zu] element %zu: %a is %a and %a, expected %a and %a", text, outer, length, inner,
                     i, x[i], (double)out32[i], out64[i], want32, want64);
    }
}

static void mx_follows_the_definition(void **s)
{
    bl_context *ctx = *s;
    static const size_t shapes[][2] = {{400, 1},  {16, 1}, {10, 1},  {1, 1},   {1200, 1},
                                       {1, 1200}, {1, 7},  {40, 30}, {3, 200}, {100, 4}};
    static double x[MX_ELEMENTS];
    for (int turn = 0; turn < 2; turn++) {
        mx_numbers(x, turn);
        for (size_t t = 0; t < BLI_COUNT(mx_texts); t++)
            for (size_t h = 0; h < BLI_COUNT(shapes); h++)
                for (int isa = 0; isa <= (int)best_isa(); isa++) {
                    bl_format f;
                    assert_int_equal(bl_format_parse(ctx, mx_texts[t], &f), BL_OK);
                    mx_check(mx_texts[t], &f, x, shapes[h][0], shapes[h][1], (bli_isa)isa);
                }
    }
}

/* Each code of the element times each part of a step between, in a block whose scale a power of two holds. */
static void mx_elements_exhaustively(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"mx<e4m3,1200>", "mx<e5m2,1200>", "mx<e3m2,1200>", "mx<e2m3,1200>",
                                        "mx<e2m1,1200>", "mx<int8,1200>", "mx<int6,1200>"};
    static double x[MX_ELEMENTS];
    for (size_t t = 0; t < BLI_COUNT(texts); t++) {
        bl_format f;
        assert_int_equal(bl_format_parse(ctx, texts[t], &f), BL_OK);
        f.block = 60;
        const bl_format element = bli_mx_element(&f);
        const int parts = 16;
        for (int mode = 0; mode < BL_ROUNDING_COUNT; mode++) {
            f.rounding = (bl_rounding)mode;
            double before = 0;
            for (size_t code = 0, at = 0; code < (size_t)1 << (f.bits - 1); code++) {
                double v;
                const int64_t one = (int64_t)code;
                assert_int_equal(bl_decode(ctx, &element, NULL, &one, &v, 1), BL_OK);
                if (!isfinite(v))
                    continue;
                for (int part = 0; part < parts; part++, at++) {
                    x[at % MX_ELEMENTS] = (before + (v - before) * part / parts) * (at % 3 == 0 ? -1 : 1);
                    if (at % MX_ELEMENTS == MX_ELEMENTS - 1)
                        mx_check(texts[t], &f, x, 60, 1, best_isa());
                }
                before = v;
            }
            mx_check(texts[t], &f, x, 60, 1, best_isa());
        }
    }
}

static void mx_gradient_follows_the_definition(void **s)
{
    bl_context *ctx = *s;
    static double x[MX_ELEMENTS];
    static float in[MX_ELEMENTS], dy[MX_ELEMENTS], dx[MX_ELEMENTS];
    mx_numbers(x, 0);
    for (size_t i = 0; i < MX_ELEMENTS; i++) {
        in[i] = (float)x[i];
        dy[i] = (float)i + 1;
    }
    for (size_t t = 0; t < BLI_COUNT(mx_texts); t++)
        for (int isa = 0; isa <= (int)best_isa(); isa++) {
            bl_format f;
            assert_int_equal(bl_format_parse(ctx, mx_texts[t], &f), BL_OK);
            bli_quantize_grad_rows_f32(&f, 1, 0, &stream, 5, in, dy, dx, 3, 400, (bli_isa)isa);
            for (size_t i = 0; i < MX_ELEMENTS; i++) {
                bool clipped;
                (void)mx_definition(&f, x, i, 400, 1, true, &clipped);
                if (dx[i] != (clipped ? 0 : dy[i]))
                    fail_msg("%s element %zu: gradient %g", mx_texts[t], i, (double)dx[i]);
            }
        }
}

static int start(void **s)
{
    return bl_context_create(NULL, (bl_context **)s) != BL_OK;
}
static int stop(void **s)
{
    bl_context_destroy(*s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fixed_and_int_mode),     cmocka_unit_test(every_minifloat_and_small_kind),
        cmocka_unit_test(any_length_and_start),         cmocka_unit_test(cut_anywhere_gives_the_same),
        cmocka_unit_test(channels_equal_one_call_each), cmocka_unit_test(mx_follows_the_definition),
        cmocka_unit_test(mx_elements_exhaustively),     cmocka_unit_test(mx_gradient_follows_the_definition),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
