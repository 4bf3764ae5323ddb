/* build.c: adding inputs, tensors and nodes.
 *
 * Everything that can fail (room, copies) is done before anything is linked, so a failed call leaves the graph as it
 * was.
 */
#include <stdio.h>
#include <string.h>

#include "graph/impl.h"

static bool named(const char *name)
{
    return name && name[0];
}

/* "base" itself when it is free and asked for, else "base_<n>". */
static const char *fresh_name(bl_graph *g, const bli_index *ix, bli_name_fn name_of, const char *base, bool plain)
{
    if (plain && bli_index_find(ix, g, name_of, base) < 0)
        return bli_arena_strdup(g->arena, base);
    size_t size = strlen(base) + 16;
    char *name = bli_arena_alloc(g->arena, size);
    if (!name)
        return NULL;
    do
        snprintf(name, size, "%s_%d", base, g->fresh++);
    while (bli_index_find(ix, g, name_of, name) >= 0);
    return name;
}

static bl_status value_name(bl_graph *g, const char *name, const char *base, const char **out)
{
    *out = NULL;
    if (named(name) && bl_graph_find_value(g, name) >= 0)
        return bli_fail(g->ctx, BL_BAD_MODEL, "value '%s': the name is taken", name);
    *out = named(name) ? bli_arena_strdup(g->arena, name) : fresh_name(g, &g->value_index, bli_value_name, base, true);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status reserve_values(bl_graph *g, size_t extra)
{
    BLI_TRY(bli_grow(g->ctx, &g->values, &g->cap_values, g->num_values, extra, sizeof(void *)));
    return bli_index_reserve(g->ctx, &g->value_index, extra);
}

static bli_value_slot *new_value(bl_graph *g, const char *name)
{
    bli_value_slot *v = bli_arena_alloc(g->arena, sizeof *v);
    if (v)
        *v = (bli_value_slot){{name, BL_F32, {.rank = -1}, BL_ROLE_COMPUTED, "", NULL, -1}, -1, -1, 0, 0};
    return v;
}

static int link_value(bl_graph *g, bli_value_slot *v)
{
    int id = (int)g->num_values++;
    g->values[id] = v;
    bli_index_put(&g->value_index, v->value.name, id);
    return id;
}

static bl_status check_shape(bl_graph *g, const char *name, const bl_shape *shape)
{
    if (shape->rank < 0 || shape->rank > BL_MAX_RANK)
        return bli_fail(g->ctx, BL_BAD_MODEL, "value '%s': rank %d is not in 0..%d", name, shape->rank, BL_MAX_RANK);
    return BL_OK;
}

bl_status bl_graph_add_input(bl_graph *g, const char *name, bl_dtype type, const bl_shape *shape, int *id)
{
    if (id)
        *id = -1;
    const char *owned;
    BLI_TRY(value_name(g, name, "input", &owned));
    BLI_TRY(check_shape(g, owned, shape));
    BLI_TRY(reserve_values(g, 1));
    BLI_TRY(bli_grow(g->ctx, &g->inputs, &g->cap_inputs, g->num_inputs, 1, sizeof *g->inputs));
    bli_value_slot *v = new_value(g, owned);
    if (!v)
        return BL_NO_MEMORY;
    v->value.type = type;
    v->value.shape = *shape;
    v->value.role = BL_ROLE_INPUT;
    int made = link_value(g, v);
    g->inputs[g->num_inputs++] = made;
    if (id)
        *id = made;
    return BL_OK;
}

bl_status bl_graph_add_tensor(bl_graph *g, const char *name, bl_role role, const char *place, const bl_tensor *tensor,
                              int *id)
{
    if (id)
        *id = -1;
    if (role != BL_ROLE_CONSTANT && role != BL_ROLE_PARAMETER && role != BL_ROLE_STATE)
        return bli_fail(g->ctx, BL_USAGE, "value '%s': a tensor is a constant, a parameter or a state",
                        name ? name : "");
    const char *owned, *placed = "";
    BLI_TRY(value_name(g, name, "tensor", &owned));
    BLI_TRY(check_shape(g, owned, &tensor->shape));
    BLI_TRY(reserve_values(g, 1));
    if (named(place) && !(placed = bli_arena_strdup(g->arena, place)))
        return BL_NO_MEMORY;
    bli_value_slot *v = new_value(g, owned);
    if (!v)
        return BL_NO_MEMORY;
    BLI_TRY(bli_within(g->ctx, bli_tensor_copy(g->arena, tensor, &v->value.data), "value '%s'", owned));
    v->value.type = tensor->type;
    v->value.shape = tensor->shape;
    v->value.role = role;
    v->value.place = placed;
    int made = link_value(g, v);
    if (id)
        *id = made;
    return BL_OK;
}

bl_status bli_graph_declare(bl_graph *g, const char *name, int *id)
{
    *id = -1;
    const char *owned;
    BLI_TRY(value_name(g, name, "value", &owned));
    BLI_TRY(reserve_values(g, 1));
    bli_value_slot *v = new_value(g, owned);
    if (!v)
        return BL_NO_MEMORY;
    *id = link_value(g, v);
    return BL_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static bl_status check_node(bl_graph *g, const bl_node *spec)
{
    const char *name = named(spec->name) ? spec->name : "";
    if (!named(spec->type))
        return bli_fail(g->ctx, BL_USAGE, "node '%s': it has no operator type", name);
    if (named(name) && bl_graph_find_node(g, name) >= 0)
        return bli_fail(g->ctx, BL_BAD_MODEL, "node '%s': the name is taken", name);
    if (spec->num_inputs < 0 || spec->num_attrs < 0)
        return bli_fail(g->ctx, BL_USAGE, "node '%s': a count is negative", name);
    for (int i = 0; i < spec->num_inputs; i++)
        if (spec->inputs[i] < -1 || spec->inputs[i] >= (int)g->num_values)
            return bli_fail(g->ctx, BL_USAGE, "node '%s': input %d is value %d, of %zu", name, i, spec->inputs[i],
                            g->num_values);
    return BL_OK;
}

/* A node that owns copies of everything spec points to; outputs are still to be filled. */
static bl_status copy_node(bl_graph *g, const bl_node *spec, int num_outputs, bli_node_slot **out)
{
    bli_arena *a = g->arena;
    bli_node_slot *n = bli_arena_alloc(a, sizeof *n);
    if (!n)
        return BL_NO_MEMORY;
    n->node = *spec;
    n->node.num_outputs = num_outputs;
    n->node.name = named(spec->name) ? bli_arena_strdup(a, spec->name)
                                     : fresh_name(g, &g->node_index, bli_node_name, spec->type, false);
    n->node.type = bli_arena_strdup(a, spec->type);
    n->node.domain = bli_arena_strdup(a, spec->domain ? spec->domain : "");
    n->node.inputs = n->inputs = bli_arena_array(a, (size_t)spec->num_inputs, sizeof *n->inputs);
    n->uses = bli_arena_array(a, (size_t)spec->num_inputs, sizeof *n->uses);
    n->node.outputs = n->outputs = bli_arena_array(a, (size_t)num_outputs, sizeof *n->outputs);
    if (!n->node.name || !n->node.type || !n->node.domain || !n->inputs || !n->uses || !n->outputs)
        return BL_NO_MEMORY;
    if (spec->num_inputs)
        memcpy(n->inputs, spec->inputs, (size_t)spec->num_inputs * sizeof *n->inputs);
    BLI_TRY(
        bli_within(g->ctx, bli_attrs_copy(a, spec->attrs, spec->num_attrs, &n->node.attrs), "node '%s'", n->node.name));
    *out = n;
    return BL_OK;
}

static void link_node(bl_graph *g, bli_node_slot *n)
{
    int id = (int)g->num_nodes++;
    g->nodes[id] = n;
    n->order = id;
    bli_index_put(&g->node_index, n->node.name, id);
    for (int i = 0; i < n->node.num_inputs; i++)
        bli_use_add(g, id, i, n->inputs[i]);
    for (int i = 0; i < n->node.num_outputs; i++)
        g->values[n->outputs[i]]->value.producer = id;
}

static bl_status reserve_node(bl_graph *g, const bl_node *spec)
{
    BLI_TRY(bli_grow(g->ctx, &g->nodes, &g->cap_nodes, g->num_nodes, 1, sizeof(void *)));
    BLI_TRY(bli_index_reserve(g->ctx, &g->node_index, 1));
    return bli_grow(g->ctx, &g->uses, &g->cap_uses, g->num_uses, (size_t)spec->num_inputs, sizeof *g->uses);
}

static bl_status make_outputs(bl_graph *g, bli_node_slot *n, const char *const *names)
{
    size_t before = g->num_values;
    bl_status s = BL_OK;
    for (int i = 0; i < n->node.num_outputs && s == BL_OK; i++) {
        const char *owned = NULL;
        bli_value_slot *v = NULL;
        s = value_name(g, names ? names[i] : NULL, n->node.name, &owned);
        if (s == BL_OK && !(v = new_value(g, owned)))
            s = BL_NO_MEMORY;
        if (s == BL_OK)
            n->outputs[i] = link_value(g, v);
    }
    if (s != BL_OK) /* the stale index entries stop matching: their ids are unnamed or belong to others */
        while (g->num_values > before)
            g->values[--g->num_values]->value.name = NULL;
    return s;
}

bl_status bl_graph_add_node(bl_graph *g, const bl_node *spec, const char *const *output_names, int *outputs)
{
    BLI_TRY(check_node(g, spec));
    if (spec->num_outputs < 0)
        return bli_fail(g->ctx, BL_USAGE, "node '%s': a count is negative", spec->name ? spec->name : "");
    BLI_TRY(reserve_node(g, spec));
    BLI_TRY(reserve_values(g, (size_t)spec->num_outputs));
    bli_node_slot *n;
    BLI_TRY(copy_node(g, spec, spec->num_outputs, &n));
    BLI_TRY(bli_within(g->ctx, make_outputs(g, n, output_names), "node '%s'", n->node.name));
    link_node(g, n);
    if (outputs && spec->num_outputs)
        memcpy(outputs, n->outputs, (size_t)spec->num_outputs * sizeof *outputs);
    return BL_OK;
}

bl_status bli_graph_add_node_at(bl_graph *g, const bl_node *spec, const int *outputs)
{
    BLI_TRY(check_node(g, spec));
    for (int i = 0; i < spec->num_outputs; i++) {
        const bl_value *v = bl_graph_value(g, outputs[i]);
        if (!v || v->role != BL_ROLE_COMPUTED || v->producer >= 0)
            return bli_fail(g->ctx, BL_BAD_MODEL, "node '%s': output '%s' already has a value",
                            spec->name ? spec->name : "", v && v->name ? v->name : "");
    }
    BLI_TRY(reserve_node(g, spec));
    bli_node_slot *n;
    BLI_TRY(copy_node(g, spec, spec->num_outputs, &n));
    if (spec->num_outputs)
        memcpy(n->outputs, outputs, (size_t)spec->num_outputs * sizeof *outputs);
    link_node(g, n);
    return BL_OK;
}

bl_status bl_graph_set_outputs(bl_graph *g, const int *ids, int count)
{
    size_t n = (size_t)(count < 0 ? 0 : count), more = n > g->num_outputs ? n - g->num_outputs : 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= g->num_values)
            return bli_fail(g->ctx, BL_USAGE, "output %zu is value %d, of %zu", i, ids[i], g->num_values);
    BLI_TRY(bli_grow(g->ctx, &g->outputs, &g->cap_outputs, g->num_outputs, more, sizeof *g->outputs));
    for (size_t i = 0; i < g->num_outputs; i++)
        g->values[g->outputs[i]]->num_outputs--;
    for (size_t i = 0; i < n; i++) {
        g->outputs[i] = ids[i];
        g->values[ids[i]]->num_outputs++;
    }
    g->num_outputs = n;
    return BL_OK;
}
