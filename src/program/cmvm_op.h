/* cmvm_op.h: the constant matrix of a DENSE or CONV op, and the adder graph of its products. */
#ifndef BLI_CMVM_OP_H
#define BLI_CMVM_OP_H

#include "program/cmvm.h"
#include "program/program.h"

/* One row for each tap: an element of the input for DENSE, a place of the window and a channel for CONV, where weights
 * of other groups are 0.  Ranges are each element's own where a row is the whole wire; else every tap may be any
 * element, or padding.  The constants are the op's biases.  Arrays lie in the arena. */
BL_MUST_CHECK bl_status bli_cmvm_op_problem(const bli_program *p, const bli_prim_op *op, bli_arena *arena,
                                            bli_cmvm_problem *out);

#endif
