/* unroll.h: what the files that unroll primitives share. */
#ifndef BLI_UNROLL_H
#define BLI_UNROLL_H

#include "emit/verilog/net.h"
#include "program/cmvm.h"

typedef struct bli_unroll {
    bli_net *net;
    const bli_net_options *options;
    bool *later; /* by op: a CLAMP that is done behind the ROUND that is its only reader */
    int *reader; /* by wire: the only op that reads it; -1: none, several, or an output */
} bli_unroll;

/* columns.c: y[place][m] = bias[m] + sum over k of x[place][k] matrix[k][m], for every place at once. */
typedef struct bli_columns_job {
    const bli_prim_op *op;
    const bli_net_ref *x;         /* [places][inputs] */
    const int64_t *matrix, *bias; /* [inputs][outputs]; [outputs] or NULL */
    int64_t places, inputs, outputs;
    int64_t typical; /* the place whose offsets the plan's constants are made for */
    int64_t first;   /* channel of output 0 */
    int64_t stride;  /* from one place's results to the next */
    int64_t (*wanted)(const bli_unroll *u, int wire, int64_t channel, int64_t constant);
} bli_columns_job;
BL_MUST_CHECK bl_status bli_columns(bli_unroll *u, const bli_columns_job *job, bli_net_ref *out);

/* ---- shapes: shared by the files that unroll ------------------------------------------------------------------------
 */
static inline const bli_wire *bli_unroll_in(const bli_unroll *u, const bli_prim_op *op, int i)
{
    return &u->net->program->wires[op->in[i]];
}

static inline const bli_wire *bli_unroll_out(const bli_unroll *u, const bli_prim_op *op)
{
    return &u->net->program->wires[op->out];
}

static inline int64_t bli_unroll_last(const bli_wire *w)
{
    return w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
}

/* An image as rows, columns, channels; a 1-D layer has one column. */
typedef struct bli_image {
    int64_t rows, columns, channels;
} bli_image;
bli_image bli_image_of(const bli_wire *w);
/* The element of x under tap (i, j) of the window at output (row, column), channel c; -1: padding. */
int64_t bli_image_tap(const bli_window *w, bli_image x, int64_t row, int64_t column, int i, int j, int64_t c);

/* How much of the constant of a sum that makes this wire may stay an offset beside the signal: what its reader takes.
 */
int64_t bli_unroll_offset(const bli_unroll *u, int wire, int64_t channel, int64_t constant);
BL_MUST_CHECK bl_status bli_unroll_finish(bli_unroll *u, bli_net_sum *sum, const bli_prim_op *op, int64_t channel,
                                          bli_net_ref *out);

/* One primitive's elements: out has room for the wire. */
typedef bl_status bli_unroll_fn(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out);
bli_unroll_fn bli_unroll_dense, bli_unroll_conv, bli_unroll_dot;                                /* unroll_linear.c */
bli_unroll_fn bli_unroll_pool, bli_unroll_reduce_sum, bli_unroll_reduce_max, bli_unroll_argmax; /* unroll_window.c */

/* clean.c: outputs become plain signals or constants, and what no output needs goes. */
BL_MUST_CHECK bl_status bli_net_finish(bli_net *n);

#endif
