/* bench_quantize.c: how fast values are brought into each format, beside memcpy of the same floats.
 *
 * Blocks of 16384 floats (64 KiB in, 64 KiB out: in the second-level cache, as in training); the best of several
 * rounds.  Nanoseconds per thousand floats, floats per nanosecond and the ratio to memcpy.  BITLATHE_ISA=generic,
 * avx2 or avx512 chooses the loops.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bitlathe/bitlathe.h"

enum { N = 16384, ROUNDS = 9 };

static const char *const formats[] = {
    "float32",
    "fixed<6,1,RND,SAT>",
    "fixed<6,1,RND_CONV,SAT_SYM>",
    "ufixed<6,3,RND,SAT>",
    "fixed<8,3,TRN,WRAP>",
    "fixed<8,3,RND,WRAP>",
    "fixed<16,6,RND,SAT>",
    "fixed<16,6,STOCHASTIC,SAT>",
    "fixed<32,16,RND,SAT>",
    "int<8>",
    "binary",
    "binary<STOCHASTIC>",
    "ternary",
    "po2<4>",
    "float<e4m3>",
    "float<e5m2>",
    "float<e5m2,STOCHASTIC,SAT>",
    "bfloat16",
    "float16",
    "mx<e4m3,32>",
    "mx<int8,32>",
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds for one block; format NULL: memcpy. */
static double best_time(bl_context *ctx, const bl_format *f, const bl_grid *grid, const float *x, float *y)
{
    const bl_random_key key = {1, 2, "bench"};
    double best = 1e300;
    int repeats = 4;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < repeats; i++) {
            if (f == NULL)
                memcpy(y, x, N * sizeof *y);
            else if (bl_quantize(ctx, f, grid, &key, x, y, N) != BL_OK)
                exit((fprintf(stderr, "%s\n", bl_context_message(ctx)), 1));
            __asm__ volatile("" ::"r"(y) : "memory");
        }
        double time = (now() - start) / repeats;
        best = time < best ? time : best;
        repeats = (int)(3e6 / best) + 4;
    }
    return best;
}

static void line(const char *name, double scale, double time, double copy)
{
    printf("%-28s scale %-5g %9.1f ns/1000 %8.2f floats/ns %8.2f x memcpy\n", name, scale, time / N * 1000, N / time,
           time / copy);
}

int main(void)
{
    bl_context *ctx;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    if (x == NULL || y == NULL)
        return 1;
    for (int i = 0; i < N; i++)
        x[i] = (float)((i * 7919) % 4001 - 2000) / 999.0f;
    double copy = best_time(ctx, NULL, NULL, x, y);
    line("memcpy", 1, copy, copy);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bl_format f;
        if (bl_format_parse(ctx, formats[i], &f) != BL_OK)
            return 1;
        const bl_grid one = {1, 0}, real = {0.03, 0};
        line(formats[i], one.scale, best_time(ctx, &f, &one, x, y), copy);
        if (f.kind == BL_FORMAT_INT || f.kind == BL_FORMAT_FLOAT)
            line(formats[i], real.scale, best_time(ctx, &f, &real, x, y), copy);
    }
    free(x);
    free(y);
    bl_context_destroy(ctx);
    return 0;
}
