/* vec.h (AVX-512): vectors of 16 floats or 8 doubles, for the templates of this folder's parent. */
#ifndef BLI_VEC_AVX512_H
#define BLI_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define BLI_VEC_BYTES  64
#define BLI_ISA_SUFFIX avx512
/* Largest row count of a register tile of 1, 2, 3, 4 vectors per row: 32 registers hold the tile, one row of B and a
 * broadcast. */
#define BLI_TILE_ROWS                                                                                                  \
    {                                                                                                                  \
        16, 12, 8, 6                                                                                                   \
    }
/* Laid out by hand: the formatter changes its mind about this list at every run. */
/* clang-format off */
#define BLI_TILE_LIST(X)                                                                                               \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1)                                   \
    X(11, 1) X(12, 1) X(13, 1) X(14, 1) X(15, 1) X(16, 1)                                                              \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2)                                   \
    X(11, 2) X(12, 2)                                                                                                  \
    X(1, 3) X(2, 3) X(3, 3) X(4, 3) X(5, 3) X(6, 3) X(7, 3) X(8, 3)                                                    \
    X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)
/* clang-format on */

typedef __m512 bli_vf32;
typedef __m512d bli_vf64;

static inline bli_vf32 bli_f32_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline bli_vf64 bli_f64_load(const double *p)
{
    return _mm512_loadu_pd(p);
}
static inline void bli_f32_store(float *p, bli_vf32 v)
{
    _mm512_storeu_ps(p, v);
}
static inline void bli_f64_store(double *p, bli_vf64 v)
{
    _mm512_storeu_pd(p, v);
}
static inline bli_vf32 bli_f32_splat(float x)
{
    return _mm512_set1_ps(x);
}
static inline bli_vf64 bli_f64_splat(double x)
{
    return _mm512_set1_pd(x);
}
static inline bli_vf32 bli_f32_fma(bli_vf32 a, bli_vf32 b, bli_vf32 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline bli_vf64 bli_f64_fma(bli_vf64 a, bli_vf64 b, bli_vf64 c)
{
    return _mm512_fmadd_pd(a, b, c);
}

/* A mask of the first n lanes (1 <= n <= all); the others load as zero, and memory behind them is not touched. */
typedef __mmask16 bli_mf32;
typedef __mmask8 bli_mf64;
static inline bli_mf32 bli_f32_first(int n)
{
    return (bli_mf32)(0xffffu >> (16 - n));
}
static inline bli_mf64 bli_f64_first(int n)
{
    return (bli_mf64)(0xffu >> (8 - n));
}
static inline bli_vf32 bli_f32_load_n(const float *p, bli_mf32 m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
static inline bli_vf64 bli_f64_load_n(const double *p, bli_mf64 m)
{
    return _mm512_maskz_loadu_pd(m, p);
}
static inline void bli_f32_store_n(float *p, bli_vf32 v, bli_mf32 m)
{
    _mm512_mask_storeu_ps(p, m, v);
}
static inline void bli_f64_store_n(double *p, bli_vf64 v, bli_mf64 m)
{
    _mm512_mask_storeu_pd(p, m, v);
}

/* See bli_finish.  least is the least number above 0, so that z is itself after both only where it passes. */
static inline bli_vf32 bli_f32_clamp(bli_vf32 z, bli_vf32 least, bli_vf32 most)
{
    return _mm512_min_ps(_mm512_max_ps(z, least), most); /* of NaN: least */
}
/* pass = where a equals b, n bytes; v where keep is not 0, n bytes. */
static inline void bli_f32_store_equal(uint8_t *pass, bli_vf32 a, bli_vf32 b, int n)
{
    const __m128i bytes = _mm_movm_epi8(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ));
    if (n == 16)
        _mm_storeu_si128((__m128i *)(void *)pass, bytes);
    else
        _mm_mask_storeu_epi8(pass, bli_f32_first(n), bytes);
}
static inline bli_vf32 bli_f32_kept(bli_vf32 v, const uint8_t *keep, int n)
{
    const __m128i k =
        n == 16 ? _mm_loadu_si128((const __m128i *)(const void *)keep) : _mm_maskz_loadu_epi8(bli_f32_first(n), keep);
    return _mm512_maskz_mov_ps(_mm_test_epi8_mask(k, k), v);
}

/* The lower, or upper, halves of a and b, element about element. */
static inline bli_vf32 bli_f32_low(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline bli_vf32 bli_f32_high(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
static inline bli_vf64 bli_f64_low(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static inline bli_vf64 bli_f64_high(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

#endif
