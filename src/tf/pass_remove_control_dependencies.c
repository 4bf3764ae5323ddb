/* pass_remove_control_dependencies.c: edges that only say "after". */
#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        for (size_t k = n->num_inputs; k-- > 0;)
            if (bli_tg_is_control(n->inputs[k]))
                bli_tf_node_remove_input(n, k);
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

const bli_tg_pass bli_tg_remove_control_dependencies = {
    .name = "remove_control_dependencies", .help = "drops the inputs that begin with ^", .run = run};
