/* exec.c: the executor's loops with AVX2.  Its product of bytes adds pairs in 16 bits, which saturate: plans use it
 * where a pair is shown to fit (pair_limit), and 16-bit codes elsewhere.
 */
#include <immintrin.h>

#include "exec/kernels/loops.inc"

#define TILE
enum { HIGH_1 = 4, HIGH_2 = 4, FIELD_ROWS = 2 };
enum { LANES = 8, WIDE_1 = 4, WIDE_2 = 4, WIDE_3 = 3, WIDE_4 = 2, CHAINS_1 = 4, CHAINS_2 = 3, CHAINS_4 = 2 };

typedef __m256i vec;

static inline vec vec_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vec vec_load(const void *x)
{
    return _mm256_loadu_si256(x);
}
static inline void vec_store(void *x, vec v)
{
    _mm256_storeu_si256(x, v);
}
static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_epi32(a, b);
}
static inline vec vec_scale(vec a, int32_t factor)
{
    return _mm256_mullo_epi32(a, _mm256_set1_epi32(factor));
}
static inline vec broadcast(const void *x)
{
    int32_t v;
    memcpy(&v, x, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Bits of each 32: by nibbles, looked up, then summed. */
static inline vec count_bits(vec v)
{
    const vec nibble = _mm256_set1_epi8(15);
    const vec counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                        3, 2, 3, 3, 4);
    const vec low = _mm256_shuffle_epi8(counts, _mm256_and_si256(v, nibble));
    const vec high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
    const vec pairs = _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

/* 4 bytes: unsigned times signed. */
static inline vec multiply_bytes(vec sum, vec x, vec w)
{
    return vec_add(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
}

static inline __attribute__((always_inline)) vec multiply(int kind, vec sum, vec x, const char *w)
{
    switch (kind) {
    case 0:
        return multiply_bytes(sum, x, vec_load(w));
    case 1: /* 2 of 16 bits */
        return vec_add(sum, _mm256_madd_epi16(x, vec_load(w)));
    case 2:
        return vec_add(sum, _mm256_mullo_epi32(x, vec_load(w)));
    case 3:
        return vec_add(sum, count_bits(_mm256_xor_si256(x, vec_load(w))));
    default:
        sum = vec_add(sum, count_bits(_mm256_and_si256(x, vec_load(w))));
        return _mm256_sub_epi32(sum, count_bits(_mm256_and_si256(x, vec_load(w + sizeof(vec)))));
    }
}

static inline __attribute__((always_inline)) void finish(const bli_product *p, const vec *sum, int panel, char *y,
                                                         const int R, const int P)
{
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int q = 0; q < P; q++)
            vec_store(y + (size_t)r * p->finish.row + (size_t)(panel + q) * sizeof(vec), sum[r * P + q]);
}

#include "exec/kernels/tiles.inc"

#include "exec/kernels/packed.inc"

#define PLAIN_LANES LANES
PLAIN_PRODUCT(product64, int64_t, int64_t, int64_t, uint64_t, 1, (uint64_t)v[k] * (uint64_t)w[l])

const bli_exec_kernels bli_exec_kernels_avx2 = {
    .name = "avx2",
    .isa = BLI_ISA_AVX2,
    .lanes = LANES,
    .pair_limit = INT16_MAX,
    .product8 = product8,
    .packed8 = packed8,
    .unpack = unpack,
    .product16 = product16,
    .product32 = product32,
    .product64 = product64,
    .bits1 = bits1,
    .bits2 = bits2,
    .reach32 = plain_reach,
    COMMON_LOOPS,
};
