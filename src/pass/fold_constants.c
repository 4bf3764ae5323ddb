/* fold_constants.c: nodes whose inputs are all constants become constants.
 *
 * Only constants: what is trained, kept by the engine or quantized in training stays.
 */

#include "pass/pass.h"
#include "run/eval.h"

static bool constants_only(const bl_graph *g, const bl_node *n)
{
    for (int i = 0; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0 && bl_graph_value(g, n->inputs[i])->role != BL_ROLE_CONSTANT)
            return false;
    return n->num_inputs > 0 && n->num_outputs == 1;
}

static bl_status become(bl_graph *g, int node, bl_tensor *t)
{
    int value = bl_graph_node(g, node)->outputs[0];
    bli_graph_remove_node(g, node);
    bl_status s = bl_graph_value(g, value)->name ? bli_graph_make_tensor(g, value, BL_ROLE_CONSTANT, "", t) : BL_OK;
    bl_tensor_free(bl_graph_context(g), t);
    return s;
}

bl_status bli_pass_fold_constants(bl_graph *g)
{
    BLI_TRY(bl_graph_infer(g));
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        bl_tensor t;
        if (bli_graph_node_dead(g, i) || !constants_only(g, bl_graph_node(g, i)) || !bli_eval_possible(g, i))
            continue;
        BLI_TRY(bli_eval_node(g, i, &t));
        BLI_TRY(become(g, i, &t));
    }
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
