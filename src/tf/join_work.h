/* join_work.h: a chain at work: what its stages do to bytes (join_steps.c), for those who bring it the first ones
 * (join_run.c).
 *
 * QuantizedBiasAdd, QuantizedAdd and QuantizedMul with a vector are, for each channel, a function of one byte; so is
 * the Requantize behind them, and a QuantizedRelu behind that.  All of these functions are monotonic.  So the range
 * that a RequantizationRange would find in the 32-bit sums follows from the least and the greatest byte of each
 * channel.
 */
#ifndef BLI_TF_JOIN_WORK_H
#define BLI_TF_JOIN_WORK_H

#include "tf/join.h"
#include "tf/kernels/loops.h"

/* What a byte of a channel becomes: sum, then requantized, then clamped. */
typedef struct bli_join_step {
    bool product;
    int32_t table[256], zero_x; /* sums: a byte's part; products: less zero_x, times the channel's factor */
    bool line;                  /* the table is floor(slope byte + start) */
    double slope, start;
    int32_t *channel; /* `wide` of them: channels, again and again */
    bli_requantizer r;
    uint8_t low, high;
    float range[2];
} bli_join_step;

/* What a join keeps between runs: room for its channels. */
struct bli_join_memory {
    int64_t most;           /* channels that there is room for */
    int64_t channels, wide; /* wide: a multiple of channels, so that vectors are full */
    bli_join_step *steps;
    int32_t *least_sum, *greatest_sum;
    uint8_t *least, *greatest, *first, *last; /* bytes, of each channel: now; before the first stage of bytes */
    uint8_t *table;                           /* [channel][256]; NULL: not needed */
    bool shaped;                              /* the product's shapes are these */
    bl_shape x_shape, w_shape, out_shape;
    bli_eight_conv conv;
};

typedef struct bli_join_work {
    bli_tf_session *s;
    const bli_tf_join *j;
    const bli_tf_loops *loops;
    bli_join_memory *m;
    const bli_tf_array *x;
    bl_shape shape; /* of the result */
    int64_t channels, pixels;
    int bytes_from; /* the first stage that reads bytes */
    uint8_t *y;
} bli_join_work;

/* Room for so many channels. */
BL_MUST_CHECK bl_status bli_join_room(bli_tf_session *s, bli_tf_join *j, int64_t channels, bool tables);
/* Inputs `input` and the next, one float each; false: they are none. */
bool bli_join_numbers(const bli_tf_session *s, const bli_tf_spot *p, int input, float v[2]);
/* The range of stage g's bytes, from that of its sums and their extremes, and how to get there.  false, as below: not
 * for one pass. */
bool bli_join_find_range(const bli_join_work *w, const bli_join_stage *g, const float range[2], int64_t low,
                         int64_t high, bli_join_step *t);
uint8_t bli_join_byte(const bli_join_step *t, int32_t sum);
/* Stages bytes_from and on, from the extremes of their bytes (memory least, greatest) and the bytes' range, which
 * become the result's. */
bool bli_join_plan(const bli_join_work *w, float range[2]);
/* These stages at work; x may be y. */
void bli_join_walk(const bli_join_work *w, const uint8_t *x, int64_t pixels, uint8_t *y);

#endif
