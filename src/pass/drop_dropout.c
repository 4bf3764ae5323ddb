/* drop_dropout.c: Dropout nodes, for graphs that will not be trained any more. */
#include <string.h>

#include "pass/pass.h"

bl_status bli_pass_drop_dropout(bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        if (bli_graph_node_dead(g, i) || strcmp(bl_graph_node(g, i)->type, "Dropout") != 0)
            continue;
        const bl_node *n = bl_graph_node(g, i);
        int value = n->outputs[0], source = n->inputs[0];
        if (bli_graph_is_output(g, value)) { /* its name is the graph's: the node stays, as one that does nothing */
            BLI_TRY(bli_graph_set_attrs(g, i, NULL, 0));
            BLI_TRY(bli_graph_set_type(g, i, "Identity", BLI_DOMAIN_ONNX));
            for (int k = 1; k < bl_graph_node(g, i)->num_inputs; k++)
                BLI_TRY(bli_graph_set_input(g, i, k, -1));
            bli_graph_trim_inputs(g, i, 1);
            continue;
        }
        bli_graph_replace_uses(g, value, source);
        bli_graph_remove_node(g, i);
    }
    return bli_graph_clean(g);
}
