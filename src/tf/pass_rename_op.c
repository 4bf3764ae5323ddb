/* pass_rename_op.c: nodes of one operator as nodes of another. */
#include <string.h>

#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *from, *to;
    BLI_TRY(bli_tg_arg_required(job, "old_op_name", &from));
    BLI_TRY(bli_tg_arg_required(job, "new_op_name", &to));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (strcmp(n->op, from) == 0)
            n->op = to;
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {{"old_op_name", BLI_TG_TEXT, false, "as it is (required)"},
                                      {"new_op_name", BLI_TG_TEXT, false, "as it shall be (required)"},
                                      {0}};

const bli_tg_pass bli_tg_rename_op = {
    .name = "rename_op", .help = "calls an operator otherwise", .params = params, .run = run};
