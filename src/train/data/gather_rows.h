/* gather_rows.h: rows of float32 copied and checked in one pass; included by each instruction set's data_gather.c and
 * by block.c, whose compiler flags make its vectors.
 */
#ifndef BLI_TRAIN_GATHER_ROWS_H
#define BLI_TRAIN_GATHER_ROWS_H

#include <string.h>

#include "train/data/block.h"

/* The rows after are on their way from memory.  False: an element is NaN or infinite. */
static inline bool gather_rows_f32(const uint8_t *data, size_t width, const uint32_t *rows, size_t n, float *x)
{
    enum { NEXT = 4 };
    const size_t bytes = width * sizeof(float);
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *src = data + rows[i] * bytes;
        for (size_t at = 0; i + NEXT < n && at < bytes; at += BLI_ALIGN)
            __builtin_prefetch(data + rows[i + NEXT] * bytes + at);
        for (size_t k = 0; k < width; k++) {
            uint32_t bits;
            memcpy(&bits, src + k * sizeof bits, sizeof bits);
            seen |= (bits & 0x7f800000u) + 0x00800000u; /* bit 31: all bits of the exponent are set */
            memcpy(x + i * width + k, &bits, sizeof bits);
        }
    }
    return seen < 0x80000000u;
}

#endif
