/* cmvm_impl.h: what the stages of the adder-graph driver hand each other.  For cmvm*.c only. */
#ifndef BLI_CMVM_IMPL_H
#define BLI_CMVM_IMPL_H

#include "program/cmvm.h"

/* A sum to be built: terms over nodes of a graph, at most one for each (node, shift).  Its depth may reach limit, and
 * can: sum over terms of 2^depth <= 2^limit (Kraft). */
typedef struct bli_cmvm_row {
    bli_adder_term *terms;
    int32_t count;
    int limit;
    int64_t constant; /* one more term of depth 0, for bli_cmvm_sum */
} bli_cmvm_row;

enum { BLI_CMVM_NO_LIMIT = 60 };

/* What a shared pair is worth (docs/adder-graphs.md). */
typedef enum bli_cmvm_score {
    BLI_CMVM_WMC,   /* times used x bits in which the operands meet */
    BLI_CMVM_WIDE,  /* times used x bits of both operands: rather what is composed already */
    BLI_CMVM_MC,    /* times used */
    BLI_CMVM_GAIN,  /* (times used - 1) x cost */
    BLI_CMVM_WMCDC, /* WMC - 256 x difference in depth, while not negative */
    BLI_CMVM_SCORES
} bli_cmvm_score;

typedef struct bli_cmvm_way {
    int dc; /* depth of the spanning tree: -1 none */
    bli_cmvm_score score;
    int least;     /* a pair is shared from so many uses on: 2, more where a third operand is free */
    uint32_t seed; /* ties: 0 the newest first, else by a hash */
    int most;      /* sharing again: groups of up to so many readers are given up ... */
    int share;     /* ... so many of 256 */
} bli_cmvm_way;

/* Shares pairs within and between rows until none is worth it: rows get fewer terms, the graph new nodes. */
BL_MUST_CHECK bl_status bli_cmvm_share(bli_adder_graph *g, bli_cmvm_row *rows, int32_t num_rows,
                                       const bli_cmvm_way *way);

/* Appends the factor's signed digits. */
void bli_cmvm_add_digits(bli_cmvm_row *row, int32_t node, int64_t factor);
/* Adds up what is left of a row, of at least one term unless it is empty; out: ±(node << shift), node < 0 for none. */
BL_MUST_CHECK bl_status bli_cmvm_sum(bli_adder_graph *g, const bli_cmvm_row *row, bool ternary, bli_adder_term *out);

/* The spanning tree over columns, given as columns[j * inputs + i] (Prim from the zero column).  parent[j]: the column
 * whose sum j continues, or -1; y_j = sign_j y_parent + edge_j.  order lists columns, parents first. */
typedef struct bli_cmvm_tree {
    int32_t *parent, *order;
    bool *negative; /* sign_j = -1 */
} bli_cmvm_tree;
BL_MUST_CHECK bl_status bli_cmvm_tree_grow(bl_context *ctx, const int64_t *columns, int32_t inputs, int32_t count,
                                           int dc, bli_cmvm_tree *out);
void bli_cmvm_tree_free(bl_context *ctx, bli_cmvm_tree *t);

/* Adds constant[j] to output j: by a node behind it, or within its sum, for nothing where chains have a free place
 * (plain adders only). */
BL_MUST_CHECK bl_status bli_cmvm_append_constants(bli_adder_graph *g, const int64_t *constant);
BL_MUST_CHECK bl_status bli_cmvm_fold_constants(const bli_adder_graph *g, const int64_t *constant, int limit,
                                                bli_adder_graph **out);
/* Takes sums apart down to what is shared and adds them up again, constants among the terms; in a ternary graph with
 * three operands, where shared pairs are dissolved into readers that have room for one more. */
BL_MUST_CHECK bl_status bli_cmvm_regroup(const bli_adder_graph *g, bli_adder_graph **out);
/* Turns differences around where that saves something. */
BL_MUST_CHECK bl_status bli_cmvm_orient(bli_adder_graph **g);
/* What is made least: quarters of a LUT, a cell whose LUT is a wire or an inverter counting as one. */
static inline int64_t bli_cmvm_weight(int64_t cost, int64_t luts)
{
    return cost + 3 * luts;
}
/* Gives up some shared sums and shares again; for graphs of two-term nodes without constants. */
BL_MUST_CHECK bl_status bli_cmvm_reshare(const bli_adder_graph *g, const bli_cmvm_way *way, bli_adder_graph **out);

#endif
