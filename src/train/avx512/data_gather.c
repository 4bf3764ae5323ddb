/* data_gather.c (avx512): rows of bytes to rows of floats, 16 at a time, the rows after on their way from memory.
 * Bytes are exact in float32, so this equals the generic kernel bit for bit.
 */
#include <immintrin.h>

#include "train/data/block.h"

enum { AHEAD = 4, WIDTH = 16 };

static void convert_row(const uint8_t *src, size_t bytes, float *out)
{
    size_t k = 0;
    for (; k + WIDTH <= bytes; k += WIDTH) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(src + k));
        _mm512_storeu_ps(out + k, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)));
    }
    if (k < bytes) {
        __mmask16 rest = (__mmask16)((1u << (bytes - k)) - 1);
        __m128i v = _mm_maskz_loadu_epi8(rest, src + k);
        _mm512_mask_storeu_ps(out + k, rest, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)));
    }
}

void bli_gather_u8_avx512(const uint8_t *data, size_t row_bytes, const uint32_t *rows, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (size_t at = 0; at < row_bytes; at += BLI_ALIGN)
                _mm_prefetch((const char *)(data + rows[i + AHEAD] * row_bytes + at), _MM_HINT_T0);
        convert_row(data + rows[i] * row_bytes, row_bytes, x + i * row_bytes);
    }
}
