/* edit.c: names of inputs, and nodes that transforms make. */
#include <stdlib.h>
#include <string.h>

#include "tf/transform.h"

bool bli_tg_names_has(const bli_tg_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i], name) == 0)
            return true;
    return false;
}

bool bli_tg_names_has_node(const bli_tg_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        bli_tf_ref r = bli_tf_ref_parse(names->at[i]);
        if (bli_tf_ref_is(&r, name))
            return true;
    }
    return false;
}

bool bli_tg_is_control(const char *input)
{
    return input[0] == '^';
}

size_t bli_tg_data_inputs(const bli_tf_node *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->num_inputs; i++)
        count += !bli_tg_is_control(n->inputs[i]);
    return count;
}

bl_status bli_tg_check_inputs(const bli_tf_graph *g)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_tf_index ix;
    BLI_TRY(bli_tf_index_make(g, &ix));
    bl_status s = BL_OK;
    for (size_t i = 0; i < g->num_nodes && s == BL_OK; i++)
        for (size_t k = 0; k < g->nodes[i]->num_inputs && s == BL_OK; k++)
            if (!bli_tf_index_input(&ix, g->nodes[i]->inputs[k]))
                s = bli_fail(ctx, BL_BAD_MODEL, "node '%s' (%s): input '%s' names no node of the graph",
                             g->nodes[i]->name, g->nodes[i]->op, g->nodes[i]->inputs[k]);
    bli_tf_index_free(&ix);
    return s;
}

/* ---- making nodes -------------------------------------------------------------------------------------------------
 */

bl_status bli_tg_add_node(bli_tf_graph *out, const char *op, const char *name, const char *const *inputs,
                          bli_tf_node **n)
{
    *n = bli_tf_node_make(out->store, name, op);
    if (!*n)
        return BL_NO_MEMORY;
    for (size_t i = 0; inputs && inputs[i]; i++)
        BLI_TRY(bli_tf_node_add_input(out->store, *n, inputs[i]));
    return bli_tf_graph_add(out, *n);
}

bl_status bli_tg_add_const(bli_tf_graph *out, const char *name, int dtype, int rank, const int64_t *dim,
                           const void *data, void **content, bli_tf_node **n)
{
    bli_tf_node *made;
    BLI_TRY(bli_tg_add_node(out, "Const", name, NULL, &made));
    BLI_TRY(bli_tg_set_type(out->store, made, "dtype", dtype));
    BLI_TRY(
        bli_tf_node_set(out->store, made, "value", bli_tf_value_tensor(out->store, dtype, rank, dim, data, content)));
    if (n)
        *n = made;
    return BL_OK;
}

bl_status bli_tg_add_float(bli_tf_graph *out, const char *name, float v)
{
    return bli_tg_add_const(out, name, BLI_DT_FLOAT, 0, NULL, &v, NULL, NULL);
}

bl_status bli_tg_add_copy(bli_tf_graph *out, const bli_tf_node *n)
{
    bli_tf_node *copy = bli_tf_node_copy(out->store, n);
    return copy ? bli_tf_graph_add(out, copy) : BL_NO_MEMORY;
}

bl_status bli_tg_set_type(bli_tf_store *s, bli_tf_node *n, const char *attr, int dtype)
{
    return bli_tf_node_set(s, n, attr, bli_tf_value_type(s, dtype));
}

bl_status bli_tg_copy_attr(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_node *from)
{
    if (!bli_tf_node_attr(from, attr))
        return bli_fail(bli_tf_store_context(s), BL_BAD_MODEL, "node '%s' (%s): attribute '%s' is missing", from->name,
                        from->op, attr);
    return bli_tf_node_take(s, n, attr, from);
}

bl_status bli_tg_const_view(bli_tf_store *s, const bli_tf_node *n, int dtype, bli_tf_tensor *out)
{
    BLI_TRY(bli_tf_get_tensor(s, n, "value", out));
    if (dtype && out->dtype != dtype)
        return bli_fail(bli_tf_store_context(s), BL_BAD_MODEL, "node '%s' (%s): a tensor of %s; expected %s", n->name,
                        n->op, bli_tf_dtype_name(out->dtype), bli_tf_dtype_name(dtype));
    return BL_OK;
}
