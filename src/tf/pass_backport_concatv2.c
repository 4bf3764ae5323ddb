/* pass_backport_concatv2.c: ConcatV2 in the words of older runtimes: the axis is Concat's first input. */
#include <string.h>

#include "tf/transform.h"

/* The original takes the last input whatever it is, a control edge too. */
static size_t axis_of(const bli_tg_job *job, const bli_tf_node *n)
{
    size_t count = job->compat ? n->num_inputs : bli_tg_data_inputs(n);
    return count ? count - 1 : SIZE_MAX;
}

static bl_status turn(const bli_tg_job *job, bli_tf_node *n)
{
    size_t axis = axis_of(job, n);
    n->op = "Concat";
    bli_tf_node_remove(n, "Tidx");
    if (axis == SIZE_MAX)
        return bli_fail(job->ctx, BL_BAD_MODEL, "node '%s' (ConcatV2): it has no inputs; expected values and an axis",
                        n->name);
    const char *input = n->inputs[axis];
    memmove(n->inputs + 1, n->inputs, axis * sizeof *n->inputs);
    n->inputs[0] = input;
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (strcmp(n->op, "ConcatV2") == 0)
            BLI_TRY(turn(job, n));
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

const bli_tg_pass bli_tg_backport_concatv2 = {
    .name = "backport_concatv2", .help = "ConcatV2 as Concat, for older runtimes", .ops = "ConcatV2", .run = run};
