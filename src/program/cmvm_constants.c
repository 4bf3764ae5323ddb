/* cmvm_constants.c: the constant of each output. */
#include "program/cmvm_impl.h"

static bl_status add_constant(bli_adder_graph *g, bli_adder_output *y, int64_t constant)
{
    if (y->node < 0) {
        y->constant = constant;
        return BL_OK;
    }
    if (constant == 0)
        return BL_OK;
    const bli_adder_node n = {
        .num_terms = 1, .term = {{y->node, (int16_t)y->shift, y->negative}}, .constant = constant};
    *y = (bli_adder_output){.node = -1};
    return bli_adder_graph_add(g, &n, &y->node);
}

bl_status bli_cmvm_constants(bli_adder_graph *g, const int64_t *constant)
{
    for (int32_t j = 0; j < g->num_outputs; j++)
        BLI_TRY(add_constant(g, &g->outputs[j], constant[j]));
    return BL_OK;
}
