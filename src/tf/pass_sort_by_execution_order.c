/* pass_sort_by_execution_order.c: a node behind all whose values it needs. */
#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    (void)job;
    size_t *order, count;
    BLI_TRY(bli_tg_sort(in, false, &order, &count));
    for (size_t i = 0; i < count; i++)
        BLI_TRY(bli_tf_graph_add(out, in->nodes[order[i]]));
    return BL_OK;
}

const bli_tg_pass bli_tg_sort_by_execution_order = {
    .name = "sort_by_execution_order", .help = "orders nodes so that inputs come first", .run = run};
