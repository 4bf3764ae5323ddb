/* eval.h: one node computed here and now, all of whose inputs hold data. */
#ifndef BLI_PASS_EVAL_H
#define BLI_PASS_EVAL_H

#include "graph/graph.h"

/* Whether every input of node holds data, its output is F32 of a known shape and its operator can run. */
bool bli_eval_possible(const bl_graph *g, int node);
/* Its first output in evaluation mode; out->data is freed with bli_free. */
BL_MUST_CHECK bl_status bli_eval_node(bl_graph *g, int node, bl_tensor *out);

#endif
