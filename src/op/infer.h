/* infer.h: what the shape inference of many operators shares.
 *
 * The batch is dim[0] < 0 and nowhere else: every helper keeps it first or refuses.  Messages name the attribute or the
 * input and what was expected; the caller puts the node in front.
 */
#ifndef BLI_OP_INFER_H
#define BLI_OP_INFER_H

#include "op/op.h"

/* Output o: type and shape of input 0. */
bl_status bli_infer_same(bli_infer *i);
/* Input k is there and has floating elements. */
bl_status bli_infer_real(const bli_infer *i, int k);
/* The shape of values that stand element by element: NumPy's broadcasting. */
bl_status bli_infer_broadcast(const bli_infer *i, const bl_shape *a, const bl_shape *b, bl_shape *out);
/* -rank <= axis < rank, made non-negative. */
bl_status bli_infer_axis(const bli_infer *i, const char *what, int64_t axis, int rank, int *out);
/* What attr says of an axis that must not be the batch. */
bl_status bli_infer_not_batch(const bli_infer *i, const bl_shape *s, int axis, const char *what);

/* A list of integers that a node gives as a constant input or, before some opset, as an attribute. */
typedef struct bli_ints {
    int count;
    bool given;
    int64_t v[2 * BL_MAX_RANK];
} bli_ints;
bl_status bli_infer_ints_input(const bli_infer *i, int k, const char *what, bli_ints *out);
bl_status bli_infer_ints_attr(const bli_infer *i, const char *name, bli_ints *out);
/* The same from a running call: input k if it has data, else the attribute (name may be NULL). */
bli_ints bli_call_ints(const bli_call *c, int k, const char *name);
/* Likewise for a range. */
bli_ints bli_range_ints(const bli_range_call *r, int k, const char *name);

/* Element e of a tensor of any type. */
double bli_real_at(bl_dtype type, const void *data, size_t e);
/* Element e of input k, or fallback where it is absent. */
double bli_call_real(const bli_call *c, int k, size_t e, double fallback);

/* Elements of a shape whose dimensions are all known; elements of one row (all but dim 0). */
size_t bli_count(const bl_tensor *t);
size_t bli_shape_row(const bl_shape *s);

/* ---- ranges ------------------------------------------------------------------------------------------------- */
/* The largest e with v a multiple of 2^e; 0 for 0.  v finite. */
int bli_step_of(double v);
/* Output 0 is a selection of input 0's elements. */
void bli_range_same(bli_range_call *r);
/* The smallest range that holds both; off the grid if one is. */
bli_range bli_range_join(bli_range a, bli_range b);
bli_range bli_range_of_value(double v);
/* Largest magnitude in units of the step. */
double bli_range_steps(const bli_range *r);

#endif
