/* products.h: the operators that are sums of products, and what is known of such sums before running. */
#ifndef BLI_PRODUCTS_H
#define BLI_PRODUCTS_H

#include "op/op.h"

extern const bli_op bli_op_matmul, bli_op_gemm;

/* Output column o is in[2][o] + sum over `terms` of an element of in[0] times a weight.  Term t of output o has weight
 * (o / group) group_step + (o % group) output_step + (t / inner) term_step + t % inner of in[1].  in[2] may be absent.
 */
typedef struct bli_sum_shape {
    int64_t terms, outputs, group, inner;
    int64_t group_step, output_step, term_step;
    bool padded; /* some terms may be missing */
} bli_sum_shape;

/* Fills range_out[0] and accumulator: from the weights themselves when in[1] is a constant, else from its range. */
void bli_range_sum(bli_range_call *r, const bli_sum_shape *s);

#endif
