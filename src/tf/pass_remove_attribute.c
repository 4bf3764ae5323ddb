/* pass_remove_attribute.c: an attribute away, from all nodes or from those of one operator. */
#include <string.h>

#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *attr, *op;
    BLI_TRY(bli_tg_arg_required(job, "attribute_name", &attr));
    BLI_TRY(bli_tg_arg_text(job, "op_name", "*", &op));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (strcmp(op, "*") == 0 || strcmp(op, n->op) == 0)
            bli_tf_node_remove(n, attr);
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {{"attribute_name", BLI_TG_TEXT, false, "of the attribute (required)"},
                                      {"op_name", BLI_TG_TEXT, false, "only nodes of this operator (*: all)"},
                                      {0}};

const bli_tg_pass bli_tg_remove_attribute = {
    .name = "remove_attribute", .help = "drops an attribute", .params = params, .run = run};
