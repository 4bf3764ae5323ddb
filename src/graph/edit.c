/* edit.c: the changes that passes make, and the lists of uses that make them cheap. */
#include <string.h>

#include "graph/impl.h"

/* ---- uses --------------------------------------------------------------------------------------------------- */

static void append_use(bl_graph *g, int value, int use)
{
    bli_value_slot *v = g->values[value];
    g->uses[use].prev = v->last_use;
    g->uses[use].next = -1;
    if (v->last_use >= 0)
        g->uses[v->last_use].next = use;
    else
        v->first_use = use;
    v->last_use = use;
    v->num_uses++;
}

static void unlink_use(bl_graph *g, int value, int use)
{
    bli_value_slot *v = g->values[value];
    int prev = g->uses[use].prev, next = g->uses[use].next;
    if (prev >= 0)
        g->uses[prev].next = next;
    else
        v->first_use = next;
    if (next >= 0)
        g->uses[next].prev = prev;
    else
        v->last_use = prev;
    v->num_uses--;
}

void bli_use_add(bl_graph *g, int node, int slot, int value)
{
    g->nodes[node]->inputs[slot] = value;
    g->nodes[node]->uses[slot] = -1;
    if (value < 0)
        return;
    int use = g->free_use;
    if (use >= 0)
        g->free_use = g->uses[use].next;
    else
        use = (int)g->num_uses++;
    g->uses[use] = (bli_use){node, slot, -1, -1};
    g->nodes[node]->uses[slot] = use;
    append_use(g, value, use);
}

static void drop_use(bl_graph *g, int node, int slot)
{
    int use = g->nodes[node]->uses[slot];
    if (use < 0)
        return;
    unlink_use(g, g->nodes[node]->inputs[slot], use);
    g->uses[use].next = g->free_use;
    g->free_use = use;
    g->nodes[node]->uses[slot] = -1;
}

int bli_graph_num_uses(const bl_graph *g, int value)
{
    return g->values[value]->num_uses + g->values[value]->num_outputs;
}

int bli_graph_first_user(const bl_graph *g, int value)
{
    int use = g->values[value]->first_use;
    return use < 0 ? -1 : g->uses[use].node;
}

bool bli_graph_is_output(const bl_graph *g, int value)
{
    return g->values[value]->num_outputs > 0;
}

void bli_graph_replace_uses(bl_graph *g, int value, int other)
{
    if (value == other)
        return;
    bli_value_slot *v = g->values[value];
    while (v->first_use >= 0) {
        int use = v->first_use;
        unlink_use(g, value, use);
        g->nodes[g->uses[use].node]->inputs[g->uses[use].slot] = other;
        append_use(g, other, use);
    }
    for (size_t i = 0; v->num_outputs > 0 && i < g->num_outputs; i++) {
        if (g->outputs[i] != value)
            continue;
        g->outputs[i] = other;
        g->values[other]->num_outputs++;
        v->num_outputs--;
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

bl_status bli_graph_set_attrs(bl_graph *g, int node, const bl_attr *attrs, int count)
{
    const bl_attr *copy;
    BLI_TRY(bli_within(g->ctx, bli_attrs_copy(g->arena, attrs, count, &copy), "node '%s'", g->nodes[node]->node.name));
    g->nodes[node]->node.attrs = copy;
    g->nodes[node]->node.num_attrs = count;
    return BL_OK;
}

bl_status bli_graph_set_type(bl_graph *g, int node, const char *type, const char *domain)
{
    const char *owned_type = bli_arena_strdup(g->arena, type);
    const char *owned_domain = bli_arena_strdup(g->arena, domain);
    if (!owned_type || !owned_domain)
        return BL_NO_MEMORY;
    g->nodes[node]->node.type = owned_type;
    g->nodes[node]->node.domain = owned_domain;
    return BL_OK;
}

static bl_status append_slot(bl_graph *g, bli_node_slot *n)
{
    size_t count = (size_t)n->node.num_inputs;
    int *inputs = bli_arena_array(g->arena, count + 1, sizeof *inputs);
    int *uses = bli_arena_array(g->arena, count + 1, sizeof *uses);
    if (!inputs || !uses)
        return BL_NO_MEMORY;
    if (count) {
        memcpy(inputs, n->inputs, count * sizeof *inputs);
        memcpy(uses, n->uses, count * sizeof *uses);
    }
    inputs[count] = uses[count] = -1;
    n->node.inputs = n->inputs = inputs;
    n->uses = uses;
    n->node.num_inputs++;
    return BL_OK;
}

bl_status bli_graph_set_input(bl_graph *g, int node, int slot, int value)
{
    bli_node_slot *n = g->nodes[node];
    if (slot < 0 || slot > n->node.num_inputs || value < -1 || value >= (int)g->num_values)
        return bli_fail(g->ctx, BL_USAGE, "node '%s': input %d cannot become value %d", n->node.name, slot, value);
    BLI_TRY(bli_grow(g->ctx, &g->uses, &g->cap_uses, g->num_uses, 1, sizeof *g->uses));
    if (slot == n->node.num_inputs)
        BLI_TRY(append_slot(g, n));
    drop_use(g, node, slot);
    bli_use_add(g, node, slot, value);
    return BL_OK;
}

void bli_graph_remove_node(bl_graph *g, int node)
{
    bli_node_slot *n = g->nodes[node];
    if (!n->node.type)
        return;
    for (int i = 0; i < n->node.num_inputs; i++)
        drop_use(g, node, i);
    for (int i = 0; i < n->node.num_outputs; i++) {
        bl_value *v = &g->values[n->outputs[i]]->value;
        if (v->producer != node)
            continue;
        v->producer = -1;
        if (bli_graph_num_uses(g, n->outputs[i]) == 0)
            v->name = NULL;
    }
    n->node.type = n->node.name = NULL;
    n->node.num_inputs = n->node.num_outputs = n->node.num_attrs = 0;
}

void bli_graph_trim_inputs(bl_graph *g, int node, int count)
{
    bli_node_slot *n = g->nodes[node];
    for (int i = count; i < n->node.num_inputs; i++)
        drop_use(g, node, i);
    if (count < n->node.num_inputs)
        n->node.num_inputs = count;
}

void bli_graph_trim_outputs(bl_graph *g, int node, int count)
{
    bli_node_slot *n = g->nodes[node];
    for (int i = count; i < n->node.num_outputs; i++) {
        g->values[n->outputs[i]]->value.producer = -1;
        g->values[n->outputs[i]]->value.name = NULL;
    }
    n->node.num_outputs = count;
}

void bli_graph_place_like(bl_graph *g, int node, int other)
{
    g->nodes[node]->order = g->nodes[other]->order;
}

bool bli_graph_node_dead(const bl_graph *g, int node)
{
    return !g->nodes[node]->node.type;
}

/* ---- values ------------------------------------------------------------------------------------------------- */

bl_value *bli_graph_value_mut(bl_graph *g, int id)
{
    return &g->values[id]->value;
}

bl_status bli_graph_rename_value(bl_graph *g, int value, const char *name)
{
    int taken = bl_graph_find_value(g, name);
    if (taken == value)
        return BL_OK;
    if (taken >= 0)
        return bli_fail(g->ctx, BL_BAD_MODEL, "value '%s': the name is taken", name);
    BLI_TRY(bli_index_reserve(g->ctx, &g->value_index, 1));
    const char *owned = bli_arena_strdup(g->arena, name);
    if (!owned)
        return BL_NO_MEMORY;
    g->values[value]->value.name = owned;
    bli_index_put(&g->value_index, owned, value);
    return BL_OK;
}

bl_status bli_graph_rename_node(bl_graph *g, int node, const char *name)
{
    int taken = bl_graph_find_node(g, name);
    if (taken == node)
        return BL_OK;
    if (taken >= 0)
        return bli_fail(g->ctx, BL_BAD_MODEL, "node '%s': the name is taken", name);
    BLI_TRY(bli_index_reserve(g->ctx, &g->node_index, 1));
    const char *owned = bli_arena_strdup(g->arena, name);
    if (!owned)
        return BL_NO_MEMORY;
    g->nodes[node]->node.name = owned;
    bli_index_put(&g->node_index, owned, node);
    return BL_OK;
}

bl_status bli_graph_set_tensor(bl_graph *g, int value, const bl_tensor *tensor)
{
    bl_value *v = &g->values[value]->value;
    return bli_graph_make_tensor(g, value, v->role, v->place, tensor);
}

bl_status bli_graph_make_tensor(bl_graph *g, int value, bl_role role, const char *place, const bl_tensor *tensor)
{
    bl_value *v = &g->values[value]->value;
    if (role == BL_ROLE_INPUT || role == BL_ROLE_COMPUTED || v->role == BL_ROLE_INPUT)
        return bli_fail(g->ctx, BL_USAGE, "value '%s': it cannot hold data", v->name);
    void *data;
    BLI_TRY(bli_within(g->ctx, bli_tensor_copy(g->arena, tensor, &data), "value '%s'", v->name));
    const char *placed = place && place[0] ? bli_arena_strdup(g->arena, place) : "";
    if (!placed)
        return BL_NO_MEMORY;
    v->type = tensor->type;
    v->shape = tensor->shape;
    v->role = role;
    v->place = placed;
    v->data = data;
    v->producer = -1;
    return BL_OK;
}
