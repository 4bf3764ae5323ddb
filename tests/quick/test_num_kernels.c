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

static void mx_rows_follow_the_definition(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"mx<e4m3,32>",
                                        "mx<e2m1,16>",
                                        "mx<int8,32>",
                                        "mx<e5m2,32,STOCHASTIC>",
                                        "mx<e3m2,7>",
                                        "mx<e2m3,1>",
                                        "mx<e4m3,1000>",
                                        "mx<e5m2,32,RND_CONV,UP>",
                                        "mx<e2m1,8,STOCHASTIC,UP>",
                                        "mx<int8,32,RND,UP>"};
    static float x[1200], y[1200], dy[1200], dx[1200];
    enum { ROWS = 3, ROW = 400 };
    for (size_t i = 0; i < 1200; i++) {
        dy[i] = (float)i + 1;
        x[i] = i % 97 == 50 ? NAN : i % 91 == 30 ? INFINITY : i / 32 % 5 == 4 ? 0 : (float)tricky(i + 200, 0.01);
    }
    for (size_t t = 0; t < BLI_COUNT(texts); t++)
        for (int isa = 0; isa <= (int)best_isa(); isa++) {
            bl_format f;
            assert_int_equal(bl_format_parse(ctx, texts[t], &f), BL_OK);
            bl_format element = bli_mx_element(&f);
            bli_quantize_rows_f32(&f, 1, 0, &stream, 5, x, y, ROWS, ROW, (bli_isa)isa);
            bli_quantize_grad_rows_f32(&f, 1, 0, &stream, 5, x, dy, dx, ROWS, ROW, (bli_isa)isa);
            for (size_t i = 0; i < ROWS * ROW; i++) {
                size_t row = i / ROW, block = row * ROW + i % ROW / (size_t)f.block * (size_t)f.block;
                size_t end = block + (size_t)f.block < (row + 1) * ROW ? block + (size_t)f.block : (row + 1) * ROW;
                double most = 0;
                for (size_t j = block; j < end; j++)
                    most = isfinite(x[j]) && fabs((double)x[j]) > most ? fabs((double)x[j]) : most;
                double scale = ldexp(1, bli_mx_exponent(&f, most));
                bool clipped;
                float want = bli_quantize_reference_f32(&element, scale, 0, true, bli_stream_u32(&stream, 5 + i), x[i],
                                                        &clipped);
                if (dx[i] != (clipped ? 0 : dy[i]))
                    fail_msg("%s element %zu: gradient %g", texts[t], i, (double)dx[i]);

                if (memcmp(&want, &y[i], sizeof want) != 0)
                    fail_msg("%s element %zu of scale %a: %a is %a, expected %a", texts[t], i, scale, (double)x[i],
                             (double)y[i], (double)want);
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
        cmocka_unit_test(channels_equal_one_call_each), cmocka_unit_test(mx_rows_follow_the_definition),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
