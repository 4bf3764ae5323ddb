/* cmvm_try.h: one way from columns to a graph.  For cmvm*.c only. */
#ifndef BLI_CMVM_TRY_H
#define BLI_CMVM_TRY_H

#include "program/cmvm_columns.h"
#include "program/cmvm_impl.h"

/* What is better: to keep the limit where the other does not; else cost, or adders before cost; else depth. */
typedef struct bli_cmvm_goal {
    int limit;
    bool by_adders;
} bli_cmvm_goal;
bool bli_cmvm_is_better(const bli_adder_graph *g, const bli_adder_graph *than, const bli_cmvm_goal *goal);

/* The graph of one way, without constants, of two-term nodes, with depth at most limit.  *out is NULL, without an
 * error, where the way cannot keep the limit or its sums would not fit. */
BL_MUST_CHECK bl_status bli_cmvm_try(const bli_cmvm_columns *c, const bli_cmvm_tree *tree, const bli_cmvm_way *way,
                                     int limit, bool ternary, bli_adder_graph **out);
/* The graph with constants and, where it is for them, ternary adders; a depth above limit only where constants add it.
 */
BL_MUST_CHECK bl_status bli_cmvm_finish(const bli_cmvm_columns *c, const bli_adder_graph *linear,
                                        const bli_cmvm_goal *goal, bli_adder_graph **out);

#endif
