/* low_bits.c: which grid a row of weights gets, and how codes become bytes.
 *
 * Sums of squares go through eight partial sums, so that they are the same on every machine and still fast.
 */
#include "tf/low_bits.h"

#include <math.h>
#include <string.h>

enum { LANES = 8, TRIES = 16, BITS_OF_TRIES = 6 };

/* ---- bfloat16 ------------------------------------------------------------------------------------------------- */
static float widen(uint16_t b)
{
    const uint32_t bits = (uint32_t)b << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint32_t bits_of(float v)
{
    uint32_t bits;
    v = v > 0x1p-126f ? v : 0x1p-126f;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* The least bfloat16 that is not below v, and no subnormal one. */
static uint16_t round_up(float v)
{
    return (uint16_t)((bits_of(v) + 0xffff) >> 16);
}

/* Within 2^-8 of v, which keeps the code of v's 127 steps; no subnormal one. */
static uint16_t round_near(float v)
{
    return (uint16_t)((bits_of(v) + 0x8000) >> 16);
}

/* ---- a row ---------------------------------------------------------------------------------------------------- */
typedef struct range {
    float min, max; /* zero is within */
} range;

static range range_of(const float *row, size_t count)
{
    range r = {0, 0};
    for (size_t i = 0; i < count; i++) {
        r.min = row[i] < r.min ? row[i] : r.min;
        r.max = row[i] > r.max ? row[i] : r.max;
    }
    return r;
}

static bli_tg_grid symmetric_grid(const range *r, float part, int bits)
{
    const float most = -r->min > r->max ? -r->min : r->max;
    return (bli_tg_grid){round_near(most * part / (float)((1 << (bits - 1)) - 1)), (uint8_t)(1 << (bits - 1))};
}

/* The grid of `part` of the range. */
static bli_tg_grid grid_of(const range *r, float part, int bits, bool symmetric)
{
    if (symmetric)
        return symmetric_grid(r, part, bits);
    const float steps = (float)((1 << bits) - 1);
    const uint16_t scale = round_up((r->max * part - r->min * part) / steps);
    const float zero = nearbyintf(-r->min * part / widen(scale));
    return (bli_tg_grid){scale, (uint8_t)(zero < steps ? zero : steps)};
}

bool bli_tg_grid_possible(float min, float max, int bits, bool symmetric)
{
    const range r = {min, max};
    const bli_tg_grid g = symmetric_grid(&r, 1, bits);
    if (symmetric)
        return isfinite(widen(g.scale) * (float)(g.zero - 1));
    const float steps = (float)((1 << bits) - 1);
    const uint16_t scale = round_up((max - min) / steps);
    return isfinite(max - min) && isfinite(steps * widen(scale));
}

typedef struct rounding {
    float inverse, scale, least, most; /* of code - zero */
} rounding;

static rounding rounding_of(bli_tg_grid g, int bits, bool symmetric)
{
    const float scale = widen(g.scale), most = (float)((1 << bits) - 1 - g.zero);
    return (rounding){1 / scale, scale, symmetric ? -most : -(float)g.zero, most};
}

/* code - zero; adding 1.5 * 2^23 rounds to the nearest whole number, ties to even. */
static inline float nearest(const rounding *r, float v)
{
    const float x = v * r->inverse, low = x > r->least ? x : r->least, in = low < r->most ? low : r->most;
    return (in + 0x1.8p23f) - 0x1.8p23f;
}

static float squared_error(const rounding *r, const float *row, size_t count)
{
    float sums[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            const float e = row[i + k] - nearest(r, row[i + k]) * r->scale;
            sums[k] += e * e;
        }
    for (; i < count; i++) {
        const float e = row[i] - nearest(r, row[i]) * r->scale;
        sums[i % LANES] += e * e;
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

bli_tg_grid bli_tg_grid_fit(const float *row, size_t count, int bits, bool symmetric, uint8_t *codes)
{
    const range r = range_of(row, count);
    bli_tg_grid best = grid_of(&r, 1, bits, symmetric);
    rounding how = rounding_of(best, bits, symmetric);
    float least = bits <= BITS_OF_TRIES ? squared_error(&how, row, count) : 0;
    for (int k = 1; k < TRIES && least > 0; k++) {
        const bli_tg_grid g = grid_of(&r, 1 - 0.04f * (float)k, bits, symmetric);
        const rounding other = rounding_of(g, bits, symmetric);
        const float error = squared_error(&other, row, count);
        if (error < least) {
            least = error;
            best = g;
            how = other;
        }
    }
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint8_t)(int)(nearest(&how, row[i]) + (float)best.zero);
    return best;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */
bli_tg_packing bli_tg_packing_of(int bits)
{
    if (8 % bits == 0)
        return (bli_tg_packing){(size_t)(8 / bits), 1};
    return (bli_tg_packing){BLI_TG_GROUP_CODES, (size_t)bits};
}

void bli_tg_pack(const uint8_t *codes, size_t count, int bits, uint8_t *packed)
{
    const bli_tg_packing p = bli_tg_packing_of(bits);
    for (size_t g = 0; g * p.codes < count; g++) {
        uint64_t word = 0;
        for (size_t k = 0; k < p.codes && g * p.codes + k < count; k++)
            word |= (uint64_t)codes[g * p.codes + k] << (k * (size_t)bits);
        for (size_t k = 0; k < p.bytes; k++)
            packed[g * p.bytes + k] = (uint8_t)(word >> (8 * k));
    }
}
