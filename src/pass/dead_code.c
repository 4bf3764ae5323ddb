/* dead_code.c: nodes that no output of the graph needs, from the last to the first. */
#include "pass/pass.h"

bl_status bli_pass_dead_code(bl_graph *g)
{
    for (int i = bl_graph_num_nodes(g) - 1; i >= 0; i--) {
        if (bli_graph_node_dead(g, i))
            continue;
        const bl_node *n = bl_graph_node(g, i);
        int uses = 0;
        for (int k = 0; k < n->num_outputs; k++)
            uses += bli_graph_num_uses(g, n->outputs[k]);
        if (uses == 0)
            bli_graph_remove_node(g, i);
    }
    return bli_graph_clean(g);
}
