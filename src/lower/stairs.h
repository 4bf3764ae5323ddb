/* stairs.h: a chain as a staircase over the proven range of its wire. */
#ifndef BLI_STAIRS_H
#define BLI_STAIRS_H

#include "lower/impl.h"

/* From x on (up to the next stair of the group) the value is `value`. */
typedef struct bli_stair {
    int64_t group, x, value;
} bli_stair;

typedef struct bli_stairs {
    int64_t groups, exp; /* values are codes on 2^exp */
    const signed char *direction;
    bli_span *span;      /* per group: of x */
    int64_t *first;      /* per group: value at span.low */
    bli_stair *stair;    /* by group, then x; those where the value changes */
    int64_t count, most; /* in all; of the group that has most */
    int64_t *start;      /* per group, and one more: where its stairs begin */
} bli_stairs;

/* Finds every stair by bisection: exact where every group rises or falls.  Arena memory of l. */
BL_MUST_CHECK bl_status bli_stairs_find(bli_lowering *l, bli_probe *p, const bli_wire *w, const bli_chain *chain,
                                        int exp, bli_stairs *s);
/* Values as codes on 2^exp; refuses one that is none. */
BL_MUST_CHECK bl_status bli_value_codes(bli_lowering *l, const double *y, int64_t n, int exp, int64_t *codes);

/* floor((x weight + bias) / 2^shift) between low and high equals the stairs of every group; *found false if no such
 * numbers exist in 62 bits.  Proven at both sides of every stair, in integers. */
typedef struct bli_rescale {
    int64_t *weight, *bias, *shift, *low, *high;
} bli_rescale;
BL_MUST_CHECK bl_status bli_rescale_find(bli_lowering *l, const bli_stairs *s, bli_rescale *r, bool *found);

#endif
