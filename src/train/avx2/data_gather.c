/* data_gather.c (avx2): rows of bytes to rows of what a map makes of them, 8 at a time, the rows after on their way
 * from memory.  Each number is the generic kernel's product and sum, so the bits are the same.
 */
#include <immintrin.h>

#include "train/data/gather_rows.h"

enum { AHEAD = 4, WIDTH = 8 };

static void convert_row(const uint8_t *src, size_t bytes, const bli_byte_map *map, float *out)
{
    const __m256 scale = _mm256_set1_ps(map->scale), offset = _mm256_set1_ps(map->offset);
    size_t k = 0;
    for (; k + WIDTH <= bytes; k += WIDTH) {
        __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)(src + k));
        const __m256 b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v));
        _mm256_storeu_ps(out + k, _mm256_add_ps(_mm256_mul_ps(b, scale), offset));
    }
    for (; k < bytes; k++)
        out[k] = (float)src[k] * map->scale + map->offset;
}

static void look_up_row(const uint8_t *src, size_t bytes, const float *table, float *out)
{
    for (size_t k = 0; k < bytes; k++)
        out[k] = table[src[k]];
}

void bli_gather_u8_avx2(const uint8_t *data, size_t row_bytes, const uint32_t *rows, size_t n, const bli_byte_map *map,
                        float *x)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (size_t at = 0; at < row_bytes; at += BLI_ALIGN)
                _mm_prefetch((const char *)(data + rows[i + AHEAD] * row_bytes + at), _MM_HINT_T0);
        if (map->linear)
            convert_row(data + rows[i] * row_bytes, row_bytes, map, x + i * row_bytes);
        else
            look_up_row(data + rows[i] * row_bytes, row_bytes, map->table, x + i * row_bytes);
    }
}

bool bli_gather_f32_avx2(const uint8_t *data, size_t width, const uint32_t *rows, size_t n, float *x)
{
    return gather_rows_f32(data, width, rows, n, x);
}
