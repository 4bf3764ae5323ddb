/* pass_remove_device.c: nodes that ask for no device any more. */
#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        n->device = "";
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

const bli_tg_pass bli_tg_remove_device = {.name = "remove_device", .help = "drops the devices of nodes", .run = run};
