/* data_gather.c (avx2): rows of bytes to rows of floats, 8 at a time, the rows after on their way from memory.
 * Bytes are exact in float32, so this equals the generic kernel bit for bit.
 */
#include <immintrin.h>

#include "train/data/block.h"

enum { AHEAD = 4, WIDTH = 8 };

static void convert_row(const uint8_t *src, size_t bytes, float *out)
{
    size_t k = 0;
    for (; k + WIDTH <= bytes; k += WIDTH) {
        __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)(src + k));
        _mm256_storeu_ps(out + k, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)));
    }
    for (; k < bytes; k++)
        out[k] = (float)src[k];
}

void bli_gather_u8_avx2(const uint8_t *data, size_t row_bytes, const uint32_t *rows, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (size_t at = 0; at < row_bytes; at += BLI_ALIGN)
                _mm_prefetch((const char *)(data + rows[i + AHEAD] * row_bytes + at), _MM_HINT_T0);
        convert_row(data + rows[i] * row_bytes, row_bytes, x + i * row_bytes);
    }
}
