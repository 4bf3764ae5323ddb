/* low_bits.h: weights as codes of 2 to 8 bits: (code - zero) * scale, a zero and a scale for all or for each channel.
 *
 * A scale is a bfloat16 and code - zero a whole number below 2^8, so their product is exact in a float: whoever
 * computes it gets the same bits.
 */
#ifndef BLI_TF_LOW_BITS_H
#define BLI_TF_LOW_BITS_H

#include "base/base.h"

enum { BLI_TG_LEAST_BITS = 2, BLI_TG_MOST_BITS = 8, BLI_TG_GROUP_CODES = 8 };

typedef struct bli_tg_grid {
    uint16_t scale; /* bfloat16, positive */
    uint8_t zero;   /* the code of 0 */
} bli_tg_grid;

/* The grid for a row of finite weights whose range, with zero in it, is a float, and their codes.  Below seven bits the
 * range is the one among some smaller ones, too, whose squared error is least.  symmetric: as many codes below zero as
 * above, zero's in the middle, and the last of them, 2^(bits - 1) - 1, is that of the greatest weight. */
bli_tg_grid bli_tg_grid_fit(const float *row, size_t count, int bits, bool symmetric, uint8_t *codes);
/* False: the range is too wide for a grid of floats. */
bool bli_tg_grid_possible(float min, float max, int bits, bool symmetric);

/* Codes as a string of bits, the first code's lowest bit first: group g is `bytes` bytes of `codes` codes, and the last
 * group is filled up with zeros. */
typedef struct bli_tg_packing {
    size_t codes, bytes;
} bli_tg_packing;
bli_tg_packing bli_tg_packing_of(int bits);
void bli_tg_pack(const uint8_t *codes, size_t count, int bits, uint8_t *packed);

#endif
