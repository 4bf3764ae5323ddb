/* pass_rename_node.c: one node by another name, and those that use it told so. */
#include <string.h>

#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *from, *to;
    bli_tg_renames renames;
    bli_tf_graph *named = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, job->store);
    if (!named)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_arg_required(job, "old_node_name", &from));
    BLI_TRY(bli_tg_arg_required(job, "new_node_name", &to));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (strcmp(n->name, to) == 0)
            return bli_fail(job->ctx, BL_BAD_VALUE, "node '%s' (%s) has the name that '%s' shall get", n->name, n->op,
                            from);
        if (strcmp(n->name, from) == 0)
            BLI_TRY(bli_tf_node_rename(job->store, n, to));
        BLI_TRY(bli_tf_graph_add(named, n));
    }
    char *all = bli_tf_text(job->store, "%s:*", from);
    if (!all)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_renames_add(&renames, all, to));
    return bli_tg_rename_inputs(&renames, named, NULL, out);
}

static const bli_tg_param params[] = {{"old_node_name", BLI_TG_TEXT, false, "as it is (required)"},
                                      {"new_node_name", BLI_TG_TEXT, false, "as it shall be (required)"},
                                      {0}};

const bli_tg_pass bli_tg_rename_node = {
    .name = "rename_node", .help = "calls one node otherwise", .params = params, .run = run};
