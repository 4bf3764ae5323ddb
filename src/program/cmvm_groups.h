/* cmvm_groups.h: a graph taken apart into what is shared.  For cmvm*.c only.
 *
 * A node with one reader is part of that reader's sum.  What is left are groups: sums of any number of operands that
 * are inputs or other groups, read more than once or by an output; a constant counts as an operand.  A group may also
 * be said to be gone: its operands then stand in its readers' sums.
 */
#ifndef BLI_CMVM_GROUPS_H
#define BLI_CMVM_GROUPS_H

#include "program/cmvm_impl.h"

typedef struct bli_cmvm_groups {
    const bli_adder_graph *g;
    bli_arena *arena;
    int32_t *uses; /* terms that read a node, and 2 for each output */
    bool *gone;    /* the caller's to set, on groups that no output reads */
    /* Of the row that is being gathered: its nodes, listed once, and their factors. */
    int64_t *factor;
    bool *listed;
    int32_t *touched;
    int32_t num_touched;
} bli_cmvm_groups;

BL_MUST_CHECK bl_status bli_cmvm_groups_make(const bli_adder_graph *g, bli_cmvm_groups *out);
void bli_cmvm_groups_free(bli_cmvm_groups *s);

/* Part of its reader's sum, or gone. */
static inline bool bli_cmvm_is_inside(const bli_cmvm_groups *s, int32_t v)
{
    return v >= s->g->num_inputs && (s->uses[v] == 1 || s->gone[v]);
}

/* A group as a row over map[node], by default (NULL) over the graph's own nodes; the terms live in the arena. */
BL_MUST_CHECK bl_status bli_cmvm_groups_row(bli_cmvm_groups *s, int32_t v, const bli_adder_term *map,
                                            bli_cmvm_row *row);
/* Output j of the new graph reads map of what it read. */
void bli_cmvm_groups_outputs(const bli_cmvm_groups *s, const bli_adder_term *map, bli_adder_graph *to);

#endif
