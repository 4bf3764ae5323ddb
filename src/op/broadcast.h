/* broadcast.h: two operands of NumPy broadcasting, walked along the elements of their result.
 *
 * Dimensions of size 1 are dropped and neighbours that move alike are merged, so that "same shape" is one run and a
 * bias is rows of one run.  A run is the innermost dimension; in it each operand advances by 1 or stands still.
 */
#ifndef BLI_OP_BROADCAST_H
#define BLI_OP_BROADCAST_H

#include "op/op.h"

typedef struct bli_walk {
    int rank; /* at least 1 */
    int64_t dim[BL_MAX_RANK];
    int64_t step[2][BL_MAX_RANK]; /* elements that operand a (0) or b (1) moves per index; 0: broadcast */
    int64_t index[BL_MAX_RANK];
    int64_t at[2]; /* offsets of the current run */
    int64_t runs;  /* left, the current one included; 0: done */
} bli_walk;

/* b NULL: only a.  Starts at the first run. */
bli_walk bli_walk_start(const bl_shape *y, const bl_shape *a, const bl_shape *b);
void bli_walk_next(bli_walk *w);
/* Length of a run. */
size_t bli_walk_run(const bli_walk *w);

/* to = the sum of from (of shape y) over the dimensions that target lacks or has as 1, times sign, in double and in
 * the order of from's elements; sums holds an element of double per element of target.  One row's result does not
 * depend on the other rows, unless the batch itself is summed. */
void bli_reduce_to(bli_isa isa, bl_dtype type, const void *from, const bl_shape *y, const bl_shape *target, double sign,
                   double *sums, void *to);
/* Stores sums[i] * factor in the carrier. */
void bli_store(bl_dtype type, const double *sums, size_t n, double factor, void *to);

#endif
