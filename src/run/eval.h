/* eval.h: one node computed here and now, all of whose inputs hold data. */
#ifndef BLI_RUN_EVAL_H
#define BLI_RUN_EVAL_H

#include "graph/graph.h"

/* Whether every input of node holds data, its output is F32 of a known shape and its operator can run. */
bool bli_eval_possible(const bl_graph *g, int node);
/* Its first output in evaluation mode; out->data is freed with bli_free. */
BL_MUST_CHECK bl_status bli_eval_node(bl_graph *g, int node, bl_tensor *out);
/* The same on tensors beside the graph, one per input, in the carrier of in[0]; setup's state goes into arena. */
BL_MUST_CHECK bl_status bli_eval_tensors(const bl_graph *g, int node, bli_arena *arena, const bl_tensor *in,
                                         bl_tensor *out);

#endif
