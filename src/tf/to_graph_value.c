/* to_graph_value.c: what an input string names in the new graph: a value, or a constant that is added when it is first
 * read.  Nodes that hand on their input have no value of their own unless somebody wants them by name.
 */
#include <string.h>

#include "tf/to_graph.h"

static bool hands_on(const char *op)
{
    static const char *const ops[] = {"Identity", "StopGradient", "CheckNumerics", "PreventGradient", "Snapshot"};
    for (size_t i = 0; i < BLI_COUNT(ops); i++)
        if (strcmp(op, ops[i]) == 0)
            return true;
    return false;
}

const char *bli_tf_door_source(const bli_tf_door *d, const char *input)
{
    for (size_t steps = 0; steps < d->ix->g->num_nodes; steps++) {
        bli_tf_ref r = bli_tf_ref_parse(input);
        size_t at = bli_tf_index_find(d->ix, r.name, r.size);
        if (at == SIZE_MAX || d->fed[at] || d->kept[at])
            return input;
        const bli_tf_node *n = d->ix->g->nodes[at];
        if (!hands_on(n->op) || n->num_inputs == 0)
            return input;
        input = n->inputs[0];
    }
    return input;
}

static bool dtype_of(int dtype, bl_dtype *out)
{
    static const struct {
        int tf;
        bl_dtype ours;
    } types[] = {
        {BLI_DT_FLOAT, BL_F32}, {BLI_DT_DOUBLE, BL_F64}, {BLI_DT_INT32, BL_I32}, {BLI_DT_INT64, BL_I64},
        {BLI_DT_UINT8, BL_U8},  {BLI_DT_INT8, BL_I8},    {BLI_DT_BOOL, BL_BOOL},
    };
    for (size_t i = 0; i < BLI_COUNT(types); i++)
        if (types[i].tf == dtype) {
            *out = types[i].ours;
            return true;
        }
    return false;
}

bl_status bli_tf_door_add_tensor(const bli_tf_door *d, const bli_tf_node *n, int dtype, const bl_shape *shape,
                                 const void *data)
{
    bl_tensor t = {.shape = *shape, .data = (void *)data};
    int id;
    if (!dtype_of(dtype, &t.type))
        return bli_fail(d->ctx, BL_UNSUPPORTED, "node '%s' (%s): type %s is not supported", n->name, n->op,
                        bli_tf_dtype_name(dtype));
    return bl_graph_add_tensor(d->out, n->name, BL_ROLE_CONSTANT, "", &t, &id);
}

static bl_status add_constant(const bli_tf_door *d, const bli_tf_node *n)
{
    bli_tf_tensor t;
    bl_shape shape;
    BLI_TRY(bli_tf_get_tensor(d->store, n, "value", &t));
    if (t.rank > BL_MAX_RANK)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "node '%s' (Const): %d dimensions are not supported", n->name, t.rank);
    shape.rank = t.rank;
    for (int i = 0; i < t.rank; i++)
        shape.dim[i] = t.dim[i];
    return bli_tf_door_add_tensor(d, n, t.dtype, &shape, t.data);
}

bl_status bli_tf_door_value(const bli_tf_door *d, const char *input, int *id)
{
    bli_tf_ref r = bli_tf_ref_parse(bli_tf_door_source(d, input));
    size_t at = bli_tf_index_find(d->ix, r.name, r.size);
    if (at == SIZE_MAX)
        return bli_fail(d->ctx, BL_BAD_MODEL, "input '%s' is no node of this graph", input);
    const bli_tf_node *n = d->ix->g->nodes[at];
    if (r.port != 0)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "input '%s': output %d of %s is not supported, only the first is",
                        input, r.port, n->op);
    *id = bl_graph_find_value(d->out, n->name);
    if (*id >= 0)
        return BL_OK;
    if (strcmp(n->op, "Const") == 0) {
        BLI_TRY(add_constant(d, n));
        *id = bl_graph_find_value(d->out, n->name);
        return BL_OK;
    }
    return bli_fail(d->ctx, BL_BAD_MODEL, "input '%s' has no value", input);
}
