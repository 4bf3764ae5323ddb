/* random.c: bli_stream_fill, sixteen Philox counters at a time.  The names are those of base/random.c. */
#include <immintrin.h>

#include "num/random_fill.h"

/* High and low halves of the sixteen products a * m. */
static inline void multiply(__m512i a, __m512i m, __m512i *high, __m512i *low)
{
    __m512i even = _mm512_mul_epu32(a, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);
    *low = _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
    *high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}

/* Sixty-four elements from block on, whose low half does not wrap. */
static inline void sixteen_blocks(const bli_stream *s, uint64_t block, uint32_t *out)
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
    /* lane 4 L + j holds block 4 j + L: transposing 4 x 4 inside 128 bits then puts blocks in order */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i c0 = _mm512_add_epi32(_mm512_set1_epi32((int)(uint32_t)block), order);
    __m512i c1 = _mm512_set1_epi32((int)(uint32_t)(block >> 32));
    __m512i c2 = _mm512_set1_epi32((int)s->high[0]), c3 = _mm512_set1_epi32((int)s->high[1]);
    uint32_t k0 = s->key[0], k1 = s->key[1];
    for (int round = 0; round < 10; round++) {
        __m512i high0, low0, high1, low1;
        multiply(c0, m0, &high0, &low0);
        multiply(c2, m1, &high1, &low1);
        c0 = _mm512_xor_si512(_mm512_xor_si512(high1, c1), _mm512_set1_epi32((int)k0));
        c2 = _mm512_xor_si512(_mm512_xor_si512(high0, c3), _mm512_set1_epi32((int)k1));
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    __m512i a = _mm512_unpacklo_epi32(c0, c1), b = _mm512_unpackhi_epi32(c0, c1);
    __m512i c = _mm512_unpacklo_epi32(c2, c3), d = _mm512_unpackhi_epi32(c2, c3);
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(a, c));
    _mm512_storeu_si512(out + 16, _mm512_unpackhi_epi64(a, c));
    _mm512_storeu_si512(out + 32, _mm512_unpacklo_epi64(b, d));
    _mm512_storeu_si512(out + 48, _mm512_unpackhi_epi64(b, d));
}

void bli_random_fill_avx512(const bli_stream *s, uint64_t first, uint32_t *out, size_t n)
{
    size_t i = 0, head = (4 - first % 4) % 4 < n ? (size_t)((4 - first % 4) % 4) : n;
    bli_stream_fill(s, first, out, head);
    for (i = head; i + 64 <= n && (uint32_t)((first + i) / 4) <= UINT32_MAX - 16; i += 64)
        sixteen_blocks(s, (first + i) / 4, out + i);
    bli_stream_fill(s, first + i, out + i, n - i);
}
