/* eval.c: one node on constants, through the same kernels as everywhere. */
#include "run/eval.h"

#include <string.h>

#include "op/op.h"

bool bli_eval_possible(const bl_graph *g, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    const bli_op *op = n->type ? bli_op_find(n->type, n->domain) : NULL;
    if (!op || (!op->forward && !(op->flags & BLI_OP_VIEW)) || n->num_inputs < 1 || n->num_inputs > BLI_MAX_IN)
        return false;
    for (int i = 0; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0 && !bl_graph_value(g, n->inputs[i])->data)
            return false;
    const bl_value *y = bl_graph_value(g, n->outputs[0]);
    return n->num_outputs == 1 && n->inputs[0] >= 0 && bl_graph_value(g, n->inputs[0])->type == BL_F32 &&
           y->type == BL_F32 && y->shape.rank >= 0 && bl_shape_count(&y->shape) >= 0;
}

static bl_tensor tensor_of(const bl_graph *g, int value)
{
    if (value < 0)
        return (bl_tensor){.data = NULL};
    const bl_value *v = bl_graph_value(g, value);
    return (bl_tensor){v->type, v->shape, v->data};
}

static bl_status run(const bli_op *op, bli_call *c)
{
    size_t prep_size = op->prep_size ? op->prep_size(c) : 0, scratch_size = op->scratch ? op->scratch(c) : 0;
    void *prep = bli_alloc(c->ctx, prep_size);
    c->scratch = bli_alloc(c->ctx, scratch_size);
    bl_status s = prep && c->scratch ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK && op->prepare)
        s = op->prepare(c, prep);
    c->prep = prep;
    if (s == BL_OK)
        s = op->forward(c);
    bli_free(c->ctx, prep);
    bli_free(c->ctx, c->scratch);
    return s;
}

bl_status bli_eval_tensors(const bl_graph *g, int node, bli_arena *arena, const bl_tensor *in, bl_tensor *out)
{
    const bl_node *n = bl_graph_node(g, node);
    const bli_op *op = bli_op_find(n->type, n->domain);
    const bl_value *y = bl_graph_value(g, n->outputs[0]);
    bli_call c = {.ctx = bl_graph_context(g), .node = n, .isa = bli_cpu_isa()};
    *out = (bl_tensor){.data = NULL};
    for (int i = 0; i < n->num_inputs; i++)
        c.in[i] = in[i];
    BLI_TRY(bl_tensor_create(c.ctx, in[0].type == BL_F64 ? BL_F64 : y->type, &y->shape, &c.out[0]));
    bl_status s = BL_OK;
    if (op->setup)
        s = op->setup(c.ctx, g, n, arena, &c.state);
    if (s == BL_OK && (op->flags & BLI_OP_VIEW))
        memcpy(c.out[0].data, c.in[0].data, (size_t)bl_shape_count(&y->shape) * bl_dtype_size(c.out[0].type));
    else if (s == BL_OK)
        s = run(op, &c);
    if (s != BL_OK) {
        bl_tensor_free(c.ctx, &c.out[0]);
        return s;
    }
    *out = c.out[0];
    return BL_OK;
}

bl_status bli_eval_node(bl_graph *g, int node, bl_tensor *out)
{
    const bl_node *n = bl_graph_node(g, node);
    bl_tensor in[BLI_MAX_IN];
    for (int i = 0; i < n->num_inputs; i++)
        in[i] = tensor_of(g, n->inputs[i]);
    return bli_within(bl_graph_context(g), bli_eval_tensors(g, node, bli_graph_arena(g), in, out), "node '%s'",
                      n->name);
}
