/* pass_rename_attribute.c: an attribute by another name, on all nodes or on those of one operator. */
#include <string.h>

#include "tf/transform.h"

static bl_status rename(const bli_tg_job *job, bli_tf_node *n, const char *from, const char *to)
{
    const bli_tf_value *v = bli_tf_node_attr(n, from);
    if (!v)
        return BL_OK;
    bli_tf_node_remove(n, from);
    return bli_tf_node_set(job->store, n, to, v);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *from, *to, *op;
    BLI_TRY(bli_tg_arg_required(job, "old_attribute_name", &from));
    BLI_TRY(bli_tg_arg_required(job, "new_attribute_name", &to));
    BLI_TRY(bli_tg_arg_text(job, "op_name", "*", &op));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (strcmp(op, "*") == 0 || strcmp(op, n->op) == 0)
            BLI_TRY(rename(job, n, from, to));
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {{"old_attribute_name", BLI_TG_TEXT, false, "as it is (required)"},
                                      {"new_attribute_name", BLI_TG_TEXT, false, "as it shall be (required)"},
                                      {"op_name", BLI_TG_TEXT, false, "only nodes of this operator (*: all)"},
                                      {0}};

const bli_tg_pass bli_tg_rename_attribute = {
    .name = "rename_attribute", .help = "calls an attribute otherwise", .params = params, .run = run};
