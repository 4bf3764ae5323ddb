/* lower.h: how an operator becomes primitives of the integer program.
 *
 * Lowering walks a graph in evaluation form (run/form.h).  A value of it is
 *   - exact: a wire, value = code * 2^exp; or
 *   - pending: a chain of element-by-element float operators over one exact wire, which the next quantizer turns into
 *     thresholds, a multiplier or a table, by running the operators' own kernels (lower/realise.c).
 * An operator with a `lower` is asked to make primitives of exact inputs; it says *declined when it cannot (a constant
 * on no usable grid), and is pending then if it works element by element (BLI_OP_ELEMENTWISE).  Operators that only
 * move elements (BLI_OP_MOVES) are asked with pending inputs too.
 */
#ifndef BLI_OP_LOWER_H
#define BLI_OP_LOWER_H

#include "op/op.h"
#include "program/program.h"

/* One link: node reads the chain at input `slot`, constants at the others. */
typedef struct bli_link {
    const bl_node *node;
    int slot;
    bl_tensor in[BLI_MAX_IN]; /* data NULL: absent, or the chain */
} bli_link;

enum { BLI_CHAIN_MOST = 24 };

typedef struct bli_chain {
    int count;
    bli_link links[BLI_CHAIN_MOST];
    int64_t groups;         /* functions: 1, one per channel (the last dimension), or one per element */
    signed char *direction; /* per group: 1 rises, -1 falls (both weakly), 0 not known */
} bli_chain;

typedef struct bli_lowered {
    int wire;         /* -1: a constant */
    bli_chain *chain; /* NULL: exact */
} bli_lowered;

typedef struct bli_lower_call bli_lower_call;
struct bli_lower_call {
    bl_context *ctx;
    bli_arena *arena;
    bli_builder *b;
    const bl_graph *graph;
    const bl_node *node;
    const char *name, *layer; /* of the result: the first output's name, and that up to the first '/' */
    const bl_value *in[BLI_MAX_IN], *out[BLI_MAX_OUT];
    bl_tensor known[BLI_MAX_IN]; /* constants; data NULL otherwise */
    bl_tensor bias;              /* of an addition behind a product that is lowered with it; data NULL: none */
    bli_lowered x[BLI_MAX_IN], y[BLI_MAX_OUT];
    bool declined;
};

/* A value's shape without the batch. */
bl_shape bli_lower_row(const bl_value *v);
/* Adds a primitive; in[0 .. num_in - 1] of spec are set.  tail NULL: the result itself, else a step on the way. */
BL_MUST_CHECK bl_status bli_lower_add(bli_lower_call *c, const bli_prim_op *spec, const char *tail,
                                      const bl_shape *shape, int exp, int *wire);
static inline const bli_wire *bli_lower_wire(const bli_lower_call *c, int input)
{
    return bli_builder_wire(c->b, c->x[input].wire);
}
/* A refusal: "node 'conv1' (Conv): why". */
bl_status bli_lower_refuse(bli_lower_call *c, const char *fmt, ...) BL_PRINTF(2, 3);

/* Numbers as codes * 2^*exp with the greatest exp; false (no message) when some number is not finite or a code would
 * pass 62 bits.  codes: arena memory. */
BL_MUST_CHECK bl_status bli_lower_codes(bli_lower_call *c, const bl_tensor *t, int64_t **codes, int *exp, bool *ok);
/* codes <<= shift; false when one overflows. */
bool bli_lower_shift(int64_t *codes, int64_t n, int shift);
int64_t *bli_lower_numbers(bli_lower_call *c, int64_t n, int64_t fill);

/* The wire with its codes on the finer grid 2^exp (exp <= the wire's). */
BL_MUST_CHECK bl_status bli_lower_align(bli_lower_call *c, int wire, int exp, int *out);
/* The wire as y[0] under another exponent: times 2^by. */
BL_MUST_CHECK bl_status bli_lower_scaled(bli_lower_call *c, int wire, int by);
/* y[0] = wire divided by counts (one, or one per element of the row's shape): pending, or exact for a power of two. */
BL_MUST_CHECK bl_status bli_lower_quotient(bli_lower_call *c, int wire, const double *counts, int64_t n);
/* Whether x[0]'s chain may pass an operator that moves elements; y[output] takes it along. */
BL_MUST_CHECK bl_status bli_lower_pass_chain(bli_lower_call *c, bool keeps_channels, int output);

/* Weight and bias of a sum of products on the grid of x times weight, or the bias' finer one. */
typedef struct bli_lower_sum {
    int64_t *weight, *bias; /* bias NULL: none */
    int exp;
} bli_lower_sum;
BL_MUST_CHECK bl_status bli_lower_products(bli_lower_call *c, const bl_tensor *weight, const bl_tensor *bias,
                                           int64_t units, bli_lower_sum *s);

/* lower of operators that move elements: their own kernel runs over the numbers of the elements. */
BL_MUST_CHECK bl_status bli_lower_by_index(bli_lower_call *c);
/* lower of views. */
BL_MUST_CHECK bl_status bli_lower_view(bli_lower_call *c);

#endif
