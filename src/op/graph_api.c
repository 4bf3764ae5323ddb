/* graph_api.c: the public inference and verification, which need the table of operators. */
#include "graph/graph.h"
#include "op/op.h"

bl_status bl_graph_infer(bl_graph *g)
{
    return bli_graph_infer(g, bli_op_schema);
}

bl_status bl_graph_verify(const bl_graph *g)
{
    return bli_graph_verify(g, bli_op_schema);
}
