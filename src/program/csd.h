/* csd.h: canonical signed digits (Reitwiesner 1960): no two neighbours are both set, and no form has fewer digits. */
#ifndef BLI_CSD_H
#define BLI_CSD_H

#include <stdint.h>

/* value = plus - minus, plus & minus = 0; |value| <= 2^62. */
typedef struct bli_csd {
    uint64_t plus, minus;
} bli_csd;

static inline bli_csd bli_csd_of(int64_t value)
{
    const uint64_t x = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    const uint64_t half = x >> 1, three_halves = x + half;
    const uint64_t changed = half ^ three_halves;
    const bli_csd c = {three_halves & changed, half & changed};
    return value < 0 ? (bli_csd){c.minus, c.plus} : c;
}

static inline int bli_csd_digits(int64_t value)
{
    const bli_csd c = bli_csd_of(value);
    return __builtin_popcountll(c.plus | c.minus);
}

#endif
