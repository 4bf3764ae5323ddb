/* remove_identity.c: Identity nodes, and Reshapes, Flattens and Transposes that change nothing. */
#include <string.h>

#include "pass/pass.h"

static bool is(const bl_node *n, const char *type)
{
    return n->type && strcmp(n->type, type) == 0 && n->domain[0] == 0;
}

static bool keeps_places(const bl_graph *g, const bl_node *n)
{
    const bl_attr *a = bl_node_attr(n, "perm");
    int rank = bl_graph_value(g, n->inputs[0])->shape.rank;
    if (!a)
        return rank <= 1;
    for (size_t i = 0; i < a->count; i++)
        if (a->u.ints[i] != (int64_t)i)
            return false;
    return true;
}

static bool changes_nothing(const bl_graph *g, const bl_node *n)
{
    if (is(n, "Identity"))
        return true;
    if (is(n, "Transpose"))
        return keeps_places(g, n);
    if (!is(n, "Reshape") && !is(n, "Flatten"))
        return false;
    const bl_value *x = bl_graph_value(g, n->inputs[0]), *y = bl_graph_value(g, n->outputs[0]);
    return bl_shape_equal(&x->shape, &y->shape);
}

/* An output of the graph needs a node behind its name, unless that name can go to what it repeats. */
static bl_status remove_node(bl_graph *g, int node)
{
    int value = bl_graph_node(g, node)->outputs[0], source = bl_graph_node(g, node)->inputs[0];
    const char *name = bl_graph_value(g, value)->name;
    bool output = bli_graph_is_output(g, value);
    if (output && (bl_graph_value(g, source)->role != BL_ROLE_COMPUTED || bli_graph_is_output(g, source)))
        return BL_OK;
    bli_graph_replace_uses(g, value, source);
    bli_graph_remove_node(g, node);
    return output ? bli_graph_rename_value(g, source, name) : BL_OK;
}

bl_status bli_pass_remove_identity(bl_graph *g)
{
    BLI_TRY(bl_graph_infer(g));
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        if (!bli_graph_node_dead(g, i) && changes_nothing(g, bl_graph_node(g, i)))
            BLI_TRY(remove_node(g, i));
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
