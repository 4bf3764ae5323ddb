/* op.h: an operator is one place that answers shape, forward and backward.
 *
 * One file per operator family fills bli_op entries; op/ops.c lists them.  The engine calls kernels on *slices*: rows
 * first_row .. first_row + dim[0] - 1 of the batch, in any order and on any thread, so a kernel is a pure function of
 * its call.  Parameters (weights) come whole.  Tensors are contiguous, row-major, BLI_ALIGN-aligned at their start only
 * if the engine allocated them whole (a slice may start anywhere: use unaligned loads).
 *
 * Carrier: all floating tensors of a call have one type, F32 or F64 (formats wider than 24 bits, or sums that float32
 * cannot hold exactly).  Kernels are written once for both (op/real.h).
 */
#ifndef BLI_OP_H
#define BLI_OP_H

#include "base/cpu.h"
#include "base/random.h"
#include "graph/graph.h"

enum { BLI_MAX_IN = 8, BLI_MAX_OUT = 4 };

typedef struct bli_call {
    bl_context *ctx;
    const bl_node *node;
    bool training; /* dropout drops, batch normalisation takes batch statistics, stochastic rounding draws */
    uint64_t seed, step;
    int64_t first_row; /* of this slice in the global batch: element i of a batched tensor has random index
                          first_row * row_elements + i */
    bli_isa isa;
    bl_tensor in[BLI_MAX_IN], out[BLI_MAX_OUT];           /* data NULL where absent */
    bl_tensor grad_in[BLI_MAX_IN], grad_out[BLI_MAX_OUT]; /* backward only; grad_in[i].data NULL: not wanted.
                                                             backward overwrites grad_in, it does not add.  A
                                                             parameter's gradient is that of this slice alone */
    void *saved;                                          /* what forward leaves for backward: op->saved bytes a row;
                                                             NULL outside of training */
    void *scratch;                                        /* op->scratch bytes, this thread's own, undefined content */
    const void *prep;                                     /* what op->prepare made of the parameters for this step */
    const void *state;                                    /* what op->setup made of the node when planning */
    /* NULL, or the step exponents of in[] (those of batched inputs, weights and bias): the sum may pass 2^53 steps, so
     * products are added as integers (128 bits) and the total is rounded to the carrier once.  Forward only. */
    const int *wide_steps;
    const double *reduced; /* op->reduce summed over the whole batch, with rows_total rows */
    int64_t rows_total;
    /* Backward, between a step with BLI_OP_SAVES_PASS and the only one that takes its output, with BLI_OP_HEEDS_PASS:
     * the latter finds in pass what the former saved, and gives grad_in[0] as 0 where that is 0; the former finds
     * passed true, and so does not look at it again. */
    const uint8_t *pass;
    bool passed;
} bli_call;

/* What is known of a value without running: it is a multiple of 2^step_exp and lies in [least, greatest] (reals).
 * on_grid false: nothing is known.  This decides the carrier (design section 2) and later the wires of the program. */
typedef struct bli_range {
    bool on_grid;
    int step_exp;
    double least, greatest;
} bli_range;
typedef struct bli_range_call {
    bl_context *ctx;
    const bl_node *node;
    const bl_value *in[BLI_MAX_IN]; /* NULL where absent; constants have data */
    const bl_value *out[BLI_MAX_OUT];
    bli_range range_in[BLI_MAX_IN];
    bli_range range_out[BLI_MAX_OUT]; /* to fill; starts as not on_grid */
    /* largest |partial sum| / 2^step_exp inside the operator, 0 if it has none; to fill when outputs are on a grid */
    double accumulator;
    bl_status status; /* BL_OK; out of memory is to be said, not taken for "nothing is known" */
} bli_range_call;

enum {
    BLI_OP_VIEW = 1,         /* output is the input's bytes under another shape; no kernels */
    BLI_OP_NEEDS_IN = 2,     /* backward reads in[] of batched inputs */
    BLI_OP_NEEDS_OUT = 4,    /* backward reads out[] */
    BLI_OP_WHOLE_BATCH = 8,  /* in training needs reduce / reduce_backward before forward / backward */
    BLI_OP_ELEMENTWISE = 16, /* an element of out[0] depends on that element of one batched input, and constants */
    BLI_OP_MOVES = 32,       /* lowers pending inputs too (op/lower.h) */
    BLI_OP_SAVES_PASS = 64,  /* saved is a byte an element of out[0]: 0 where backward takes its gradient as 0 */
    BLI_OP_HEEDS_PASS = 128  /* see bli_call.pass */
};

struct bli_lower_call;
typedef struct bli_op {
    bli_schema schema;
    unsigned flags;
    bl_status (*forward)(const bli_call *c);  /* NULL for views */
    bl_status (*backward)(const bli_call *c); /* NULL: gradient stops here (integer or constant operators) */
    void (*range)(bli_range_call *r);         /* NULL: output is off every grid */

    /* Once, when planning, shapes known: parses the node's attributes into *state (arena memory, read-only after),
     * which every later call finds in c->state.  NULL: no state. */
    bl_status (*setup)(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state);

    /* Whether forward does the same to every element of in[0]: out[0][i] is a function of in[0][i] alone, one function
     * for all i, all steps and all draws, while the other inputs do not change; in[] may have shapes only.  NULL: no.
     */
    bool (*same_for_all)(const bli_call *c);

    /* In prep_size and prepare, grad_in[i].data is not NULL where a backward call will want that gradient (it is not to
     * be touched then).  Scratch may depend on it too. */
    /* Bytes a row that forward writes into c->saved when training and backward reads, for an operator that then needs
     * neither in[] nor out[] (or less of them).  NULL: none. */
    size_t (*saved)(const bli_call *c);
    size_t (*scratch)(const bli_call *c);   /* bytes per thread for forward or backward of this slice; NULL: 0 */
    size_t (*prep_size)(const bli_call *c); /* bytes of prep; NULL: none.  in[] of batched inputs has shapes only */
    bl_status (*prepare)(const bli_call *c, void *prep); /* once a step, after the parameters were quantized */

    /* Weight gradient over the whole batch in output tiles that need no sum across slices: in[], grad_out[] hold all
     * rows.  grad_in[i] of the one weight input is written for tiles part of parts.  When present, backward is called
     * with that weight's grad_in absent. */
    int weight_input; /* which input that is */
    bl_status (*weight_grad)(const bli_call *c, int part, int parts);

    /* Whole-batch statistics: reduce adds this slice's sums into partial[0..reduce_count-1] (zeroed before); the engine
     * adds slices in a fixed tree.  update_state runs once a step after forward, single-threaded, in[] states writable.
     */
    size_t (*reduce_count)(const bli_call *c);
    bl_status (*reduce)(const bli_call *c, double *partial);
    /* In reduce_backward c->reduced is forward's; in backward it is forward's followed by backward's (2 * count). */
    bl_status (*reduce_backward)(const bli_call *c, double *partial);
    bl_status (*update_state)(const bli_call *c);

    /* Primitives of the integer program for exact inputs (op/lower.h).  NULL: none. */
    bl_status (*lower)(struct bli_lower_call *c);
} bli_op;

const bli_op *bli_op_find(const char *type, const char *domain);       /* NULL if unknown */
const bli_schema *bli_op_schema(const char *type, const char *domain); /* a bli_schema_fn */
int bli_op_count(void);
const bli_op *bli_op_at(int i);

#endif
