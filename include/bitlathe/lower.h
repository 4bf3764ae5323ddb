/* lower.h: from a GRAPH to the exact integer PROGRAM, and rows through it.
 *
 * A program computes on integers what the graph computes in evaluation: the same bits.  A graph that cannot become
 * integers is refused with BL_UNSUPPORTED or BL_LIMIT; the message names the node, the reason, and what to change.
 */
#ifndef BITLATHE_LOWER_H
#define BITLATHE_LOWER_H

#include "bitlathe/graph.h"
#include "bitlathe/program.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* g is not changed.  A Softmax that ends the graph is left out: bl_port_info's cut of the output says so. */
BL_MUST_CHECK bl_status bl_lower(bl_context *ctx, const bl_graph *g, bl_program **out);

/* Rows through an executor (exec.h, which repeated calls should use by itself): x in the graph's input shape, any rows
 * >= 0; y gets a fresh tensor of float32 (free with bl_tensor_free), the bits that bl_runner_run gives.  Rows are
 * spread over the context's threads.
 */
BL_MUST_CHECK bl_status bl_program_run(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_tensor *y);
/* The same; fn also gets every wire's values (code * 2^exp, float64, all rows) by its name, in order. */
typedef bl_status (*bl_wire_fn)(void *user, const char *name, const bl_tensor *t);
BL_MUST_CHECK bl_status bl_program_trace(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_wire_fn fn,
                                         void *user, bl_tensor *y);

/* What wire i costs: products with weights that are not 0 (all of them, of two values), at all places of a convolution;
 * and their effective bit operations, the sum over these products of the bits of the weight (of its magnitude, trailing
 * zeros dropped) times the bits of the other factor.  Both 0 for primitives without products. */
typedef struct bl_wire_cost {
    int64_t multiplications;
    double ebops;
} bl_wire_cost;
bool bl_program_wire_cost(const bl_program *p, int i, bl_wire_cost *out); /* false: no such wire */

/* What the products of wire i with constants cost without multipliers, as the adder graph that the strategy da
 * (ternary: da3) of emit makes of them: adders; cells of carry chains, and of these the ones whose LUT joins two
 * operands; levels of adders.  An unrolled convolution has the graph once for each of `places`.  All 0 for other wires.
 * A search, seconds for large layers. */
typedef struct bl_wire_adders {
    int64_t places;
    int adders, depth;
    int64_t cells, luts;
} bl_wire_adders;
BL_MUST_CHECK bl_status bl_program_wire_adders(const bl_program *p, int i, bool ternary, bl_wire_adders *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
