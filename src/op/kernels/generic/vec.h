/* vec.h (generic): 16-byte vectors in the compiler's own vector notation, for any machine.  No fused multiply-add:
 * the product is rounded before the addition, which on-grid values cannot notice. */
#ifndef BLI_VEC_GENERIC_H
#define BLI_VEC_GENERIC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLI_VEC_BYTES  16
#define BLI_ISA_SUFFIX generic
/* Largest row count of a register tile of 1, 2, 3, 4 vectors per row: 16 registers, products need one more. */
#define BLI_TILE_ROWS                                                                                                  \
    {                                                                                                                  \
        8, 4, 3, 2                                                                                                     \
    }
/* Laid out by hand: the formatter changes its mind about this list at every run. */
/* clang-format off */
#define BLI_TILE_LIST(X)                                                                                               \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1)                                                    \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2)                                                                                    \
    X(1, 3) X(2, 3) X(3, 3)                                                                                            \
    X(1, 4) X(2, 4)
/* clang-format on */

typedef float bli_vf32 __attribute__((vector_size(16)));
typedef double bli_vf64 __attribute__((vector_size(16)));

static inline bli_vf32 bli_f32_load(const float *p)
{
    bli_vf32 v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline bli_vf64 bli_f64_load(const double *p)
{
    bli_vf64 v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void bli_f32_store(float *p, bli_vf32 v)
{
    memcpy(p, &v, sizeof v);
}
static inline void bli_f64_store(double *p, bli_vf64 v)
{
    memcpy(p, &v, sizeof v);
}
static inline bli_vf32 bli_f32_splat(float x)
{
    return (bli_vf32){x, x, x, x};
}
static inline bli_vf64 bli_f64_splat(double x)
{
    return (bli_vf64){x, x};
}
static inline bli_vf32 bli_f32_fma(bli_vf32 a, bli_vf32 b, bli_vf32 c)
{
    return a * b + c;
}
static inline bli_vf64 bli_f64_fma(bli_vf64 a, bli_vf64 b, bli_vf64 c)
{
    return a * b + c;
}

/* A mask of the first n lanes (1 <= n <= all); the others load as zero, and memory behind them is not touched. */
typedef int bli_mf32;
typedef int bli_mf64;
static inline bli_mf32 bli_f32_first(int n)
{
    return n;
}
static inline bli_mf64 bli_f64_first(int n)
{
    return n;
}
static inline bli_vf32 bli_f32_load_n(const float *p, bli_mf32 m)
{
    bli_vf32 v = {0};
    memcpy(&v, p, (size_t)m * sizeof *p);
    return v;
}
static inline bli_vf64 bli_f64_load_n(const double *p, bli_mf64 m)
{
    bli_vf64 v = {0};
    memcpy(&v, p, (size_t)m * sizeof *p);
    return v;
}
static inline void bli_f32_store_n(float *p, bli_vf32 v, bli_mf32 m)
{
    memcpy(p, &v, (size_t)m * sizeof *p);
}
static inline void bli_f64_store_n(double *p, bli_vf64 v, bli_mf64 m)
{
    memcpy(p, &v, (size_t)m * sizeof *p);
}

/* See bli_finish.  least is the least number above 0, so that z is itself after both only where it passes. */
typedef int32_t bli_if32 __attribute__((vector_size(16)));
static inline bli_vf32 bli_f32_choose(bli_if32 first, bli_vf32 a, bli_vf32 b)
{
    return (bli_vf32)(((bli_if32)a & first) | ((bli_if32)b & ~first));
}
static inline bli_vf32 bli_f32_clamp(bli_vf32 z, bli_vf32 least, bli_vf32 most)
{
    const bli_vf32 up = bli_f32_choose(z > least, z, least); /* of NaN: least */
    return bli_f32_choose(up < most, up, most);
}
/* pass = where a equals b, n bytes; v where keep is not 0, n bytes. */
static inline void bli_f32_store_equal(uint8_t *pass, bli_vf32 a, bli_vf32 b, int n)
{
    const bli_if32 same = a == b;
    for (int i = 0; i < n; i++)
        pass[i] = (uint8_t)same[i];
}
static inline bli_vf32 bli_f32_kept(bli_vf32 v, const uint8_t *keep, int n)
{
    bli_if32 k = {0};
    for (int i = 0; i < n; i++)
        k[i] = keep[i];
    return (bli_vf32)((bli_if32)v & (k != 0));
}

/* The lower, or upper, halves of a and b, element about element. */
static inline bli_vf32 bli_f32_low(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
static inline bli_vf32 bli_f32_high(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
static inline bli_vf64 bli_f64_low(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 0, 2);
}
static inline bli_vf64 bli_f64_high(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 1, 3);
}

#endif
