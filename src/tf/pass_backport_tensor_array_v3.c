/* pass_backport_tensor_array_v3.c: tensor arrays in the words of older runtimes.
 *
 * The second output of TensorArrayV3, its flow, does not exist in V2; a constant stands for it.
 */
#include <string.h>

#include "tf/transform.h"

static const char with_flow[] = "TensorArrayV3|TensorArrayGradV3";
static const char plain[] = "TensorArrayWriteV3|TensorArrayReadV3|TensorArrayGatherV3|TensorArrayScatterV3|"
                            "TensorArrayConcatV3|TensorArraySplitV3|TensorArraySizeV3|TensorArrayCloseV3";

static bl_status add_flow(const bli_tg_job *job, const bli_tf_node *n, bli_tg_renames *renames, bli_tf_graph *out)
{
    char *flow = bli_tf_text(job->store, "%s/replacement_flow_node", n->name);
    char *port = bli_tf_text(job->store, "%s:1", n->name);
    if (!flow || !port)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_renames_add(renames, port, flow));
    return bli_tg_add_float(out, flow, 1);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tf_graph *turned = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, job->store);
    if (!turned)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        bool flow = bli_tg_op_is(n->op, with_flow);
        if (flow || bli_tg_op_is(n->op, plain)) {
            n->op = bli_tf_text(job->store, "%.*s2", (int)strlen(n->op) - 1, n->op);
            if (!n->op)
                return BL_NO_MEMORY;
        }
        BLI_TRY(bli_tf_graph_add(turned, n));
        if (flow)
            BLI_TRY(add_flow(job, n, &renames, turned));
    }
    return bli_tg_rename_inputs(&renames, turned, NULL, out);
}

const bli_tg_pass bli_tg_backport_tensor_array_v3 = {
    .name = "backport_tensor_array_v3",
    .help = "TensorArray...V3 as V2, for older runtimes",
    .ops = "TensorArrayV3|TensorArrayGradV3|TensorArrayWriteV3|TensorArrayReadV3|TensorArrayGatherV3|"
           "TensorArrayScatterV3|TensorArrayConcatV3|TensorArraySplitV3|TensorArraySizeV3|TensorArrayCloseV3",
    .run = run,
};
