/* Stochastic rounding: exact values stay, the mean is the number itself, neighbours are independent, and nothing of it
 * depends on threads, instruction set or where a tensor is cut.
 *
 * False alarms: each mean of N = 2^18 draws is compared at 6 standard deviations; were the seed drawn anew for every
 * run, one of the 90 comparisons would fail by chance in one run of 5 million (90 * 2e-9).  The seed is fixed, so the
 * test gives the same result each time.
 */
#include <math.h>

#include "base/team.h"
#include "num/num.h"
#include "support/test.h"

enum { N = 1 << 18 };
static float x[N], y[N], z[N];

static int start(void **s)
{
    return bl_context_create(NULL, (bl_context **)s) != BL_OK;
}
static int stop(void **s)
{
    bl_context_destroy(*s);
    return 0;
}

/* Mean of N roundings of v between its neighbours low and high. */
static void check_mean(bl_context *ctx, const char *text, const bl_grid *grid, float v, double low, double high)
{
    bl_format f;
    const bl_random_key key = {42, (uint64_t)(int64_t)(v * 1e6f) & 0xffff, text};
    assert_ok(ctx, bl_format_parse(ctx, text, &f));
    for (size_t i = 0; i < N; i++)
        x[i] = v;
    assert_ok(ctx, bl_quantize(ctx, &f, grid, &key, x, y, N));
    double ups = 0, pairs = 0, p = ((double)v - low) / (high - low);
    for (size_t i = 0; i < N; i++) {
        assert_true((double)y[i] == low || (double)y[i] == high);
        ups += (double)y[i] == high;
        pairs += i > 0 && (double)y[i] == high && (double)y[i - 1] == high;
    }
    double deviation = sqrt(N * p * (1 - p));
    if (fabs(ups - N * p) > 6 * deviation)
        fail_msg("%s: %g goes up %g times of %d, expected %g +- %g", text, (double)v, ups, N, N * p, deviation);
    double pair_deviation = sqrt(N * p * p * (1 - p * p)) * 2; /* neighbouring pairs share an element: at most twice */
    if (fabs(pairs - (N - 1) * p * p) > 6 * pair_deviation)
        fail_msg("%s: %g: %g neighbouring pairs go up, expected %g", text, (double)v, pairs, N * p * p);
}

static void the_mean_is_the_number(void **s)
{
    bl_context *ctx = *s;
    static const float fractions[] = {0.5f, 0.25f, 0.75f, 0.1f, 0.9f, 0.003f, 0.997f};
    const bl_grid one = {1, 0}, real = {0.1f, 0};
    for (size_t i = 0; i < BLI_COUNT(fractions); i++)
        for (int whole = -3; whole < 3; whole++) {
            double v = whole + (double)fractions[i];
            check_mean(ctx, "int<8,STOCHASTIC,SAT>", &one, (float)v, whole, whole + 1);
        }
    check_mean(ctx, "fixed<8,3,STOCHASTIC,WRAP>", &one, 0.04f, 0.03125, 0.0625);
    check_mean(ctx, "int<8,STOCHASTIC,SAT>", &real, 0.125f, (double)(1 * 0.1f), (double)(2 * 0.1f));
    check_mean(ctx, "float<e5m2,STOCHASTIC,SAT>", &one, 1.1f, 1, 1.25);
    check_mean(ctx, "float<e5m2,STOCHASTIC,SAT>", &one, -1.1f, -1.25, -1);
    check_mean(ctx, "float<e5m2,STOCHASTIC,SAT>", &one, 0x1.3p-16f, 0x1p-16, 0x1p-15);
    check_mean(ctx, "bfloat16<STOCHASTIC>", &one, 1.001f, 1, 1.0078125);
    check_mean(ctx, "po2<6,STOCHASTIC>", &one, 2.5f, 2, 4);
    check_mean(ctx, "po2<6,STOCHASTIC>", &one, -3.5f, -4, -2);
    check_mean(ctx, "binary<STOCHASTIC>", &one, 0.25f, -1, 1);
    check_mean(ctx, "binary<STOCHASTIC>", &one, -0.5f, -1, 1);
    check_mean(ctx, "ternary<STOCHASTIC>", &one, -0.3f, -1, 0);
    check_mean(ctx, "mx<e2m1,32,STOCHASTIC>", &one, 1.4f, 1, 1.5);
}

static void exact_values_never_move(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"int<12,STOCHASTIC,SAT>", "float<e5m10,STOCHASTIC,SAT>", "bfloat16<STOCHASTIC>",
                                        "fixed<30,20,STOCHASTIC,SAT>", "mx<int12,64,STOCHASTIC>"};
    const bl_random_key key = {1, 1, "exact"};
    for (size_t t = 0; t < BLI_COUNT(texts); t++) {
        bl_format f;
        assert_ok(ctx, bl_format_parse(ctx, texts[t], &f));
        for (size_t i = 0; i < N; i++)
            x[i] = (float)((int)(i % 255) - 127);
        assert_ok(ctx, bl_quantize(ctx, &f, NULL, &key, x, y, N));
        assert_memory_equal(x, y, sizeof x);
    }
}

static void without_a_key_it_is_nearest(void **s)
{
    bl_context *ctx = *s;
    bl_format draw, plain;
    assert_ok(ctx, bl_format_parse(ctx, "int<6,STOCHASTIC,SAT>", &draw));
    assert_ok(ctx, bl_format_parse(ctx, "int<6,RND_CONV,SAT>", &plain));
    for (size_t i = 0; i < N; i++)
        x[i] = (float)((int)(i % 1000) - 500) / 16;
    assert_ok(ctx, bl_quantize(ctx, &draw, NULL, NULL, x, y, N));
    assert_ok(ctx, bl_quantize(ctx, &plain, NULL, NULL, x, z, N));
    assert_memory_equal(y, z, sizeof y);
}

typedef struct job {
    const bl_format *f;
    const bli_stream *stream;
} job;

/* Every member takes every members-th piece of 1000, with the instruction set of its number. */
static void work(void *arg, int member, int members)
{
    const job *j = arg;
    for (size_t at = (size_t)member * 1000; at < N; at += (size_t)members * 1000) {
        size_t n = N - at < 1000 ? N - at : 1000;
        bli_isa isa = (bli_isa)((unsigned)member % ((unsigned)bli_cpu_isa() + 1));
        bli_quantize_f32(j->f, 1, 0, j->stream, at, x + at, y + at, n, isa);
    }
}

static void threads_and_vectors_do_not_matter(void **s)
{
    bl_context *ctx = *s;
    static const char *const texts[] = {"fixed<8,3,STOCHASTIC,SAT>", "float<e4m3,STOCHASTIC,SAT>",
                                        "bfloat16<STOCHASTIC>", "po2<5,STOCHASTIC>", "binary<STOCHASTIC>"};
    const bli_stream stream = bli_stream_make(7, 8, "fc1.weight");
    for (size_t t = 0; t < BLI_COUNT(texts); t++) {
        bl_format f;
        assert_ok(ctx, bl_format_parse(ctx, texts[t], &f));
        for (size_t i = 0; i < N; i++)
            x[i] = (float)((int)(i * 7919 % 8000) - 4000) / 777;
        bli_quantize_f32(&f, 1, 0, &stream, 0, x, z, N, BLI_ISA_GENERIC);
        for (int threads = 1; threads <= 4; threads++) {
            bli_team *team;
            job j = {&f, &stream};
            memset(y, 0xff, sizeof y);
            assert_ok(ctx, bli_team_create(ctx, threads, &team));
            bli_team_run(team, work, &j);
            bli_team_destroy(team);
            assert_memory_equal(y, z, sizeof y);
        }
    }
}

/* The counter's low half wraps in the middle: vector and scalar generators agree there too. */
static void the_counter_may_carry(void **s)
{
    bl_context *ctx = *s;
    bl_format f;
    const bli_stream stream = bli_stream_make(7, 8, "carry");
    const uint64_t first = (uint64_t)UINT32_MAX * 4 - 1001;
    assert_ok(ctx, bl_format_parse(ctx, "int<8,STOCHASTIC,SAT>", &f));
    for (size_t i = 0; i < 4096; i++)
        x[i] = 0.5f;
    for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
        bli_quantize_f32(&f, 1, 0, &stream, first, x, y, 4096, (bli_isa)isa);
        for (size_t i = 0; i < 4096; i++)
            assert_true(y[i] == (float)(bli_stream_u32(&stream, first + i) >> 31 == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_is_the_number),      cmocka_unit_test(exact_values_never_move),
        cmocka_unit_test(without_a_key_it_is_nearest), cmocka_unit_test(threads_and_vectors_do_not_matter),
        cmocka_unit_test(the_counter_may_carry),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
