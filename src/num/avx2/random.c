/* random.c: bli_stream_fill, eight Philox counters at a time.  The names are those of base/random.c. */
#include <immintrin.h>

#include "num/random_fill.h"

/* High and low halves of the eight products a * m. */
static inline void multiply(__m256i a, __m256i m, __m256i *high, __m256i *low)
{
    __m256i even = _mm256_mul_epu32(a, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), m);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

/* Thirty-two elements from block on, whose low half does not wrap. */
static inline void eight_blocks(const bli_stream *s, uint64_t block, uint32_t *out)
{
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
    /* lane 4 L + j holds block 2 j + L: transposing 4 x 4 inside 128 bits then puts blocks in order */
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    __m256i c0 = _mm256_add_epi32(_mm256_set1_epi32((int)(uint32_t)block), order);
    __m256i c1 = _mm256_set1_epi32((int)(uint32_t)(block >> 32));
    __m256i c2 = _mm256_set1_epi32((int)s->high[0]), c3 = _mm256_set1_epi32((int)s->high[1]);
    uint32_t k0 = s->key[0], k1 = s->key[1];
    for (int round = 0; round < 10; round++) {
        __m256i high0, low0, high1, low1;
        multiply(c0, m0, &high0, &low0);
        multiply(c2, m1, &high1, &low1);
        c0 = _mm256_xor_si256(_mm256_xor_si256(high1, c1), _mm256_set1_epi32((int)k0));
        c2 = _mm256_xor_si256(_mm256_xor_si256(high0, c3), _mm256_set1_epi32((int)k1));
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpackhi_epi32(c0, c1);
    __m256i c = _mm256_unpacklo_epi32(c2, c3), d = _mm256_unpackhi_epi32(c2, c3);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_unpacklo_epi64(a, c));
    _mm256_storeu_si256((__m256i *)(void *)(out + 8), _mm256_unpackhi_epi64(a, c));
    _mm256_storeu_si256((__m256i *)(void *)(out + 16), _mm256_unpacklo_epi64(b, d));
    _mm256_storeu_si256((__m256i *)(void *)(out + 24), _mm256_unpackhi_epi64(b, d));
}

void bli_random_fill_avx2(const bli_stream *s, uint64_t first, uint32_t *out, size_t n)
{
    size_t i = 0, head = (4 - first % 4) % 4 < n ? (size_t)((4 - first % 4) % 4) : n;
    bli_stream_fill(s, first, out, head);
    for (i = head; i + 32 <= n && (uint32_t)((first + i) / 4) <= UINT32_MAX - 8; i += 32)
        eight_blocks(s, (first + i) / 4, out + i);
    bli_stream_fill(s, first + i, out + i, n - i);
}
