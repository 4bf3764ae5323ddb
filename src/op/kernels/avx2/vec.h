/* vec.h (AVX2 with FMA): vectors of 8 floats or 4 doubles, for the templates of this folder's parent. */
#ifndef BLI_VEC_AVX2_H
#define BLI_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLI_VEC_BYTES  32
#define BLI_ISA_SUFFIX avx2
/* Largest row count of a register tile of 1, 2, 3, 4 vectors per row: 16 registers. */
#define BLI_TILE_ROWS                                                                                                  \
    {                                                                                                                  \
        12, 6, 4, 2                                                                                                    \
    }
/* Laid out by hand: the formatter changes its mind about this list at every run. */
/* clang-format off */
#define BLI_TILE_LIST(X)                                                                                               \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1)                                   \
    X(11, 1) X(12, 1)                                                                                                  \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)                                                                    \
    X(1, 3) X(2, 3) X(3, 3) X(4, 3)                                                                                    \
    X(1, 4) X(2, 4)
/* clang-format on */

typedef __m256 bli_vf32;
typedef __m256d bli_vf64;

static inline bli_vf32 bli_f32_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline bli_vf64 bli_f64_load(const double *p)
{
    return _mm256_loadu_pd(p);
}
static inline void bli_f32_store(float *p, bli_vf32 v)
{
    _mm256_storeu_ps(p, v);
}
static inline void bli_f64_store(double *p, bli_vf64 v)
{
    _mm256_storeu_pd(p, v);
}
static inline bli_vf32 bli_f32_splat(float x)
{
    return _mm256_set1_ps(x);
}
static inline bli_vf64 bli_f64_splat(double x)
{
    return _mm256_set1_pd(x);
}
static inline bli_vf32 bli_f32_fma(bli_vf32 a, bli_vf32 b, bli_vf32 c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline bli_vf64 bli_f64_fma(bli_vf64 a, bli_vf64 b, bli_vf64 c)
{
    return _mm256_fmadd_pd(a, b, c);
}

/* A mask of the first n lanes (1 <= n <= all); the others load as zero, and memory behind them is not touched. */
typedef __m256i bli_mf32;
typedef __m256i bli_mf64;
static inline bli_mf32 bli_f32_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline bli_mf64 bli_f64_first(int n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline bli_vf32 bli_f32_load_n(const float *p, bli_mf32 m)
{
    return _mm256_maskload_ps(p, m);
}
static inline bli_vf64 bli_f64_load_n(const double *p, bli_mf64 m)
{
    return _mm256_maskload_pd(p, m);
}
static inline void bli_f32_store_n(float *p, bli_vf32 v, bli_mf32 m)
{
    _mm256_maskstore_ps(p, m, v);
}
static inline void bli_f64_store_n(double *p, bli_vf64 v, bli_mf64 m)
{
    _mm256_maskstore_pd(p, m, v);
}

/* See bli_finish.  least is the least number above 0, so that z is itself after both only where it passes. */
static inline bli_vf32 bli_f32_clamp(bli_vf32 z, bli_vf32 least, bli_vf32 most)
{
    return _mm256_min_ps(_mm256_max_ps(z, least), most); /* of NaN: least */
}
/* pass = where a equals b, n bytes; v where keep is not 0, n bytes. */
static inline void bli_f32_store_equal(uint8_t *pass, bli_vf32 a, bli_vf32 b, int n)
{
    const __m256i same = _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ));
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(same), _mm256_extracti128_si256(same, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(half, half));
    memcpy(pass, &bytes, (size_t)n);
}
static inline bli_vf32 bli_f32_kept(bli_vf32 v, const uint8_t *keep, int n)
{
    int64_t all = 0;
    memcpy(&all, keep, (size_t)n);
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(all));
    return _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(wide, _mm256_setzero_si256())), v);
}

/* The lower, or upper, halves of a and b, element about element. */
static inline bli_vf32 bli_f32_low(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static inline bli_vf32 bli_f32_high(bli_vf32 a, bli_vf32 b)
{
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
static inline bli_vf64 bli_f64_low(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
static inline bli_vf64 bli_f64_high(bli_vf64 a, bli_vf64 b)
{
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

#endif
