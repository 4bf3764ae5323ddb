/* loops.h: the loops of the eight-bit operators, one table per instruction set; all give the same bits. */
#ifndef BLI_TF_LOOPS_H
#define BLI_TF_LOOPS_H

#include "base/cpu.h"
#include "tf/eight.h"

/* What a byte becomes by one stage of a chain (join.c): its sum with a number of the channel, or its product, brought
 * to a byte again and clamped.  Sums are such that nothing wraps (bli_requantizer_narrow). */
typedef struct bli_tf_stage {
    const int32_t *table; /* of 256; NULL: products of x - zero_x */
    int32_t zero_x, offset;
    int64_t factor;
    uint8_t low, high;
    bool line; /* the table is the floor of slope x + start, in double */
    double slope, start;
} bli_tf_stage;

typedef struct bli_tf_loops {
    /* y[i] of x[i] and channel[i]; and all of one channel.  x may be y. */
    void (*stage_row)(const bli_tf_stage *t, const uint8_t *x, const int32_t *channel, int64_t n, uint8_t *y);
    void (*stage_one)(const bli_tf_stage *t, const uint8_t *x, int32_t channel, int64_t n, uint8_t *y);
    /* Rows of n channels, where that is faster than tables (bli_tf_stage.line, or products); may be NULL. */
    void (*stage_rows)(const bli_tf_stage *t, const uint8_t *x, const int32_t *channel, int64_t rows, int64_t n,
                       uint8_t *y);
    /* What 32-bit sums become where nothing wraps, clamped. */
    void (*narrow)(const bli_requantizer *r, const int32_t *sums, int64_t n, uint8_t low, uint8_t high, uint8_t *y);
    /* sums[row][k] += add[row] + channel[k], either may be NULL; least and greatest keep the extremes of each k < n. */
    void (*lift)(int32_t *sums, const uint32_t *add, const int32_t *channel, int64_t rows, int64_t n, int32_t *least,
                 int32_t *greatest);
    /* sums[row][k] = (sums[row][k] + add[row]) factors[k] in float, rounded to the nearest; add may be NULL.  Whole
     * numbers below 2^31 come out. */
    void (*multiply)(int32_t *sums, const uint32_t *add, const float *factors, int64_t rows, int64_t n);
    /* y[i][k] = start[k] + the sum over t of x[i step + offset[t] + k] w[t][k], k < n; whole numbers below 2^24. */
    void (*depth_row)(const uint8_t *x, const ptrdiff_t *offset, int64_t taps, int64_t step, int64_t pixels,
                      const float *w, const float *start, int64_t n, int32_t *y);
    /* Likewise of bytes. */
    void (*extremes8)(const uint8_t *x, int64_t rows, int64_t n, uint8_t *least, uint8_t *greatest);
    /* For each of n windows, `step` bytes apart: factor times the sum of its rows of `span` bytes. */
    void (*window_sums)(const uint8_t *x, int64_t rows, int64_t row_bytes, int64_t span, int64_t step, int64_t n,
                        uint32_t factor, uint32_t *sums);
    void (*requantize)(const bli_requantizer *r, const int32_t *codes, int64_t n, uint8_t *out);
    void (*extremes)(const int32_t *codes, int64_t n, int32_t *least, int32_t *greatest);
    void (*encode)(const bli_encoder *e, const float *x, int64_t n, uint8_t *codes);
    void (*decode)(const bli_decoder *d, const uint8_t *codes, int64_t n, float *x);
    void (*look_up)(const uint8_t table[256], const uint8_t *x, int64_t n, uint8_t *y); /* y = table[x] */
    void (*clamp)(const uint8_t *x, int64_t n, uint8_t low, uint8_t high, uint8_t *y);
    void (*most)(const uint8_t *x, int64_t n, uint8_t *y);    /* y = max(x, y) */
    void (*least)(const uint8_t *x, int64_t n, uint8_t *y);   /* y = min(x, y) */
    void (*add)(const uint8_t *x, int64_t n, uint32_t *sums); /* sums += x */
    /* The least and the greatest of x and what *least and *greatest hold; NaNs are passed over. */
    void (*range)(const float *x, int64_t n, float *least, float *greatest);
    /* y = x scale + offset, each its own of n */
    void (*scale)(const float *x, const float *scale, const float *offset, int64_t n, float *y);
} bli_tf_loops;

const bli_tf_loops *bli_tf_loops_get(bli_isa isa);

#endif
