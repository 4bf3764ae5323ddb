/* adder_graph.h: sums, differences and shifts: a constant matrix times a vector without multipliers.
 *
 * A graph is a list of nodes in order of definition; the first num_inputs nodes are the inputs.  Every other node is
 *
 *     value = sum over its 1 to 3 terms of ±(node << shift)  +  constant
 *
 * as plain integers that never overflow: [lo, hi] is exact for independent inputs (both ends are reached).  At least
 * one term is not negated, except in a node of one term.  Two-term nodes have shift 0 on one side, three-term nodes on
 * at least one.
 *
 * The constant of a two-term node is one that its carry chain takes for nothing or nearly so, in a graph for plain
 * adders; with `a` the term at shift 0, `b` the one at shift s, and low in [0, 2^s) the bits that b leaves empty:
 *
 *     a + (b << s) + constant:   constant = low, or low = 0 and 2^s (a - ~b, from bit s on)
 *     a - (b << s) + constant:   constant = low - 2^s (a + {~b, low}), or 0
 *     (b << s) - a + constant:   constant = low ({b, low} - a), or -1 ({b, 0} + ~a)
 *
 * bli_adder_cost says what a node costs; in a graph for ternary adders any constant may stand beside two terms (it is
 * the third operand), and none beside three.
 */
#ifndef BLI_ADDER_GRAPH_H
#define BLI_ADDER_GRAPH_H

#include "base/base.h"

typedef struct bli_adder_term {
    int32_t node;
    int16_t shift; /* 0..62 */
    bool negative;
} bli_adder_term;

enum { BLI_ADDER_TERMS = 3, BLI_ADDER_NODES_MAX = 1 << 24 };

typedef struct bli_adder_node {
    int num_terms; /* 0: an input */
    bli_adder_term term[BLI_ADDER_TERMS];
    int64_t constant;
    int64_t lo, hi;
    int depth; /* adders on the longest way from an input */
    int cost;  /* bli_adder_cost */
} bli_adder_node;

/* y = ±(node << shift), or the constant where node < 0. */
typedef struct bli_adder_output {
    int32_t node;
    int shift;
    bool negative;
    int64_t constant; /* node < 0 */
} bli_adder_output;

typedef struct bli_adder_graph {
    bl_context *ctx;
    bool ternary; /* cost model and legal constants */
    int32_t num_inputs, num_nodes, num_outputs, capacity;
    bli_adder_node *nodes;
    bli_adder_output *outputs;
    int32_t *table;                /* finds equal nodes */
    struct bli_adder_forms *forms; /* exact linear forms, for ranges (adder_forms.c) */
} bli_adder_graph;

typedef struct bli_adder_range {
    int64_t lo, hi;
} bli_adder_range;

/* A graph of inputs only; outputs are the constant 0. */
BL_MUST_CHECK bl_status bli_adder_graph_create(bl_context *ctx, const bli_adder_range *inputs, int32_t num_inputs,
                                               int32_t num_outputs, bool ternary, bli_adder_graph **out);
void bli_adder_graph_destroy(bli_adder_graph *g); /* NULL is fine */

/* Appends a node, of which terms and constant are read; the rest is computed.  A node that is there already is found
 * again.  BL_LIMIT when a value does not fit; the graph is then as it was. */
BL_MUST_CHECK bl_status bli_adder_graph_add(bli_adder_graph *g, const bli_adder_node *spec, int32_t *out);
/* An empty graph with g's inputs and number of outputs; by instead of *g, which is destroyed. */
BL_MUST_CHECK bl_status bli_adder_graph_like(const bli_adder_graph *g, bli_adder_graph **out);
void bli_adder_graph_replace(bli_adder_graph **g, bli_adder_graph *by);
/* Without what no output needs, renumbered; clean does that in place. */
BL_MUST_CHECK bl_status bli_adder_graph_copy(const bli_adder_graph *g, bli_adder_graph **out);
BL_MUST_CHECK bl_status bli_adder_graph_clean(bli_adder_graph **g);

/* Cells of the carry chain: the bits of the result from where two operands meet, to its end.  Ternary: one LUT6_2 a
 * bit at most.  A node whose operands never meet (or of one term without constant or sign) costs nothing. */
int bli_adder_cost(const bli_adder_graph *g, const bli_adder_node *node);
/* Of those cells the ones whose LUT has two bits or more to join; in the others all but one are constants (a number's
 * zeros above its top, the graph's constant), and the LUT is a wire or an inverter, which Yosys does not count.
 * node->cost is set. */
int bli_adder_luts(const bli_adder_graph *g, const bli_adder_node *node);
/* The rules above, but for the terms' nodes. */
bool bli_adder_is_legal(const bli_adder_graph *g, const bli_adder_node *node);
static inline int bli_adder_bit_length(uint64_t x)
{
    return x == 0 ? 0 : 64 - __builtin_clzll(x);
}
/* Bits of two's complement, or of a plain number where lo >= 0. */
static inline int bli_adder_bits(int64_t lo, int64_t hi)
{
    if (lo >= 0)
        return bli_adder_bit_length((uint64_t)hi);
    return 1 + bli_adder_bit_length(~(uint64_t)lo | (uint64_t)(hi < 0 ? ~hi : hi));
}

typedef struct bli_adder_summary {
    int adders;   /* nodes that cost something */
    int64_t cost; /* sum of the nodes' cost, and bits of negated outputs */
    int64_t luts; /* sum of the nodes' LUTs */
    int depth;
} bli_adder_summary;
bli_adder_summary bli_adder_graph_summary(const bli_adder_graph *g);

/* values: room for num_nodes; in: num_inputs; out: num_outputs.  Inputs must lie in their ranges. */
void bli_adder_graph_eval(const bli_adder_graph *g, const int64_t *in, int64_t *values, int64_t *out);

/* Proves that output j is sum over i of matrix[i * num_outputs + j] x_i + constant[j] (NULL: 0), by pulling each output
 * back through the graph, and that every node is legal.  BL_MISMATCH names the output. */
BL_MUST_CHECK bl_status bli_adder_graph_verify(const bli_adder_graph *g, const int64_t *matrix,
                                               const int64_t *constant);

#endif
