/* types.c: ranges of what emitted code computes, and the types that hold them. */
#include <stdio.h>

#include "emit/body.h"

bli_reach bli_reach_wire(const bli_wire *w)
{
    bli_span hull = w->count > 0 ? bli_wire_hull(w) : (bli_span){0, 0, 0};
    return (bli_reach){hull.low, hull.high};
}

bli_reach bli_reach_values(const int64_t *values, int64_t count)
{
    bli_reach r = {0, 0};
    for (int64_t i = 0; i < count; i++)
        r = i == 0 ? (bli_reach){values[0], values[0]} : bli_reach_join(r, (bli_reach){values[i], values[i]});
    return r;
}

bli_reach bli_reach_join(bli_reach a, bli_reach b)
{
    return (bli_reach){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

/* Past 2^120 nothing is told apart: no type holds it. */
static bli_big cut(bli_big v)
{
    const bli_big most = (bli_big)1 << 120;
    return v > most ? most : v < -most ? -most : v;
}

bli_reach bli_reach_add(bli_reach a, bli_reach b)
{
    return (bli_reach){cut(a.low + b.low), cut(a.high + b.high)};
}

static bli_big times(bli_big a, bli_big b)
{
    bli_big r;
    if (__builtin_mul_overflow(a, b, &r))
        return (a < 0) == (b < 0) ? (bli_big)1 << 120 : -((bli_big)1 << 120);
    return cut(r);
}

bli_reach bli_reach_mul(bli_reach a, bli_reach b)
{
    bli_big p[4] = {times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)};
    bli_reach r = {p[0], p[0]};
    for (int i = 1; i < 4; i++)
        r = bli_reach_join(r, (bli_reach){p[i], p[i]});
    return r;
}

bli_reach bli_reach_shift(bli_reach a, int64_t shift)
{
    bli_big by = (bli_big)1 << shift;
    return bli_reach_mul(a, (bli_reach){by, by});
}

bli_reach bli_reach_sums(bli_reach x, const int64_t *weight, const int64_t *bias, int64_t rows, int64_t terms,
                         int64_t row_step, int64_t term_step)
{
    bli_reach all = {0, 0};
    for (int64_t m = 0; m < rows; m++) {
        bli_big b = bias != NULL ? bias[m] : 0;
        bli_reach sum = {b, b};
        for (int64_t k = 0; k < terms; k++) {
            bli_big w = weight[m * row_step + k * term_step];
            bli_reach p = bli_reach_join(bli_reach_mul(x, (bli_reach){w, w}), (bli_reach){0, 0});
            sum = bli_reach_add(sum, p);
        }
        all = bli_reach_join(all, sum);
    }
    return all;
}

int bli_reach_bits(bli_reach r)
{
    int bits = 1;
    if (r.low >= 0) {
        while (r.high >> bits != 0)
            bits++;
        return bits;
    }
    while (r.low < -((bli_big)1 << (bits - 1)) || r.high >= (bli_big)1 << (bits - 1))
        bits++;
    return bits;
}

const char *bli_type_stored(bli_reach r)
{
    static const char *const signed_types[] = {"int8_t", "int16_t", "int32_t", "int64_t"};
    static const char *const plain_types[] = {"uint8_t", "uint16_t", "uint32_t", "int64_t"};
    int size = bli_type_size(r), at = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    bool computes = size == 4 && r.high <= INT32_MAX; /* it is loaded into an int32_t: no conversion then */
    return r.low < 0 || computes ? signed_types[at] : plain_types[at];
}

int bli_type_size(bli_reach r)
{
    int bits = bli_reach_bits(r);
    return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

const char *bli_type_computed(bli_reach r)
{
    if (r.low >= INT32_MIN && r.high <= INT32_MAX)
        return "int32_t";
    return r.low >= INT64_MIN && r.high <= INT64_MAX ? "int64_t" : "uint64_t";
}

const char *bli_type_exact(bli_reach r, char buf[BLI_TYPE_ROOM])
{
    snprintf(buf, BLI_TYPE_ROOM, "ap_%sint<%d>", r.low < 0 ? "" : "u", bli_reach_bits(r));
    return buf;
}
