/* pass_add_default_attributes.c: what an operator's definition says of attributes that a node lacks. */
#include "tf/opdef.h"
#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    for (size_t i = 0; i < in->num_nodes; i++) {
        const bli_tf_opdef *def;
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tf_opdef_of(in, n, &def));
        if (def)
            BLI_TRY(bli_tf_opdef_fill(job->store, def, n));
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

const bli_tg_pass bli_tg_add_default_attributes = {
    .name = "add_default_attributes",
    .help = "adds the attributes that nodes of older graphs lack, with their defaults",
    .run = run,
};
