/* clone.c: a copy that shares nothing, with the same ids. */
#include <string.h>

#include "graph/impl.h"

static bl_status copy_value(bl_graph *to, const bli_value_slot *from, bli_value_slot **out)
{
    bli_value_slot *v = bli_arena_alloc(to->arena, sizeof *v);
    if (!v)
        return BL_NO_MEMORY;
    *v = (bli_value_slot){from->value, -1, -1, 0, from->num_outputs};
    if (v->value.name && !(v->value.name = bli_arena_strdup(to->arena, v->value.name)))
        return BL_NO_MEMORY;
    v->value.place = from->value.place[0] ? bli_arena_strdup(to->arena, from->value.place) : "";
    if (!v->value.place)
        return BL_NO_MEMORY;
    v->value.data = NULL;
    if (v->value.name && from->value.data) {
        bl_tensor t = {from->value.type, from->value.shape, from->value.data};
        BLI_TRY(bli_tensor_copy(to->arena, &t, &v->value.data));
    }
    *out = v;
    return BL_OK;
}

static bl_status copy_values(bl_graph *to, const bl_graph *from)
{
    BLI_TRY(bli_grow(to->ctx, &to->values, &to->cap_values, 0, from->num_values, sizeof(void *)));
    BLI_TRY(bli_index_reserve(to->ctx, &to->value_index, from->num_values));
    for (size_t i = 0; i < from->num_values; i++) {
        BLI_TRY(copy_value(to, from->values[i], &to->values[i]));
        to->num_values = i + 1;
        if (to->values[i]->value.name)
            bli_index_put(&to->value_index, to->values[i]->value.name, (int)i);
    }
    return BL_OK;
}

static bl_status copy_node(bl_graph *to, const bli_node_slot *from, bli_node_slot **out)
{
    bli_arena *a = to->arena;
    bli_node_slot *n = bli_arena_alloc(a, sizeof *n);
    if (!n)
        return BL_NO_MEMORY;
    *out = n;
    if (!from->node.type)
        return BL_OK;
    size_t ins = (size_t)from->node.num_inputs, outs = (size_t)from->node.num_outputs;
    n->node = from->node;
    n->order = from->order;
    n->node.name = bli_arena_strdup(a, from->node.name);
    n->node.type = bli_arena_strdup(a, from->node.type);
    n->node.domain = bli_arena_strdup(a, from->node.domain);
    n->node.inputs = n->inputs = bli_arena_array(a, ins, sizeof *n->inputs);
    n->uses = bli_arena_array(a, ins, sizeof *n->uses);
    n->node.outputs = n->outputs = bli_arena_array(a, outs, sizeof *n->outputs);
    if (!n->node.name || !n->node.type || !n->node.domain || !n->inputs || !n->uses || !n->outputs)
        return BL_NO_MEMORY;
    if (outs)
        memcpy(n->outputs, from->outputs, outs * sizeof *n->outputs);
    return bli_attrs_copy(a, from->node.attrs, from->node.num_attrs, &n->node.attrs);
}

static bl_status copy_nodes(bl_graph *to, const bl_graph *from)
{
    BLI_TRY(bli_grow(to->ctx, &to->nodes, &to->cap_nodes, 0, from->num_nodes, sizeof(void *)));
    BLI_TRY(bli_grow(to->ctx, &to->uses, &to->cap_uses, 0, from->num_uses, sizeof *to->uses));
    BLI_TRY(bli_index_reserve(to->ctx, &to->node_index, from->num_nodes));
    for (size_t i = 0; i < from->num_nodes; i++) {
        BLI_TRY(copy_node(to, from->nodes[i], &to->nodes[i]));
        to->num_nodes = i + 1;
        if (to->nodes[i]->node.name)
            bli_index_put(&to->node_index, to->nodes[i]->node.name, (int)i);
        for (int k = 0; k < to->nodes[i]->node.num_inputs; k++)
            bli_use_add(to, (int)i, k, from->nodes[i]->inputs[k]);
    }
    return BL_OK;
}

static bl_status copy_rest(bl_graph *to, const bl_graph *from)
{
    BLI_TRY(bli_grow(to->ctx, &to->inputs, &to->cap_inputs, 0, from->num_inputs, sizeof *to->inputs));
    BLI_TRY(bli_grow(to->ctx, &to->outputs, &to->cap_outputs, 0, from->num_outputs, sizeof *to->outputs));
    if (from->num_inputs)
        memcpy(to->inputs, from->inputs, from->num_inputs * sizeof *to->inputs);
    if (from->num_outputs)
        memcpy(to->outputs, from->outputs, from->num_outputs * sizeof *to->outputs);
    to->num_inputs = from->num_inputs;
    to->num_outputs = from->num_outputs;
    to->fresh = from->fresh;
    for (size_t i = 0; i < from->num_meta; i++)
        BLI_TRY(bl_graph_set_meta(to, from->meta[i].key, from->meta[i].value));
    return BL_OK;
}

bl_status bl_graph_clone(const bl_graph *g, bl_graph **out)
{
    *out = NULL;
    bl_graph *copy;
    BLI_TRY(bl_graph_create(g->ctx, g->name, &copy));
    bl_status s = copy_values(copy, g);
    if (s == BL_OK)
        s = copy_nodes(copy, g);
    if (s == BL_OK)
        s = copy_rest(copy, g);
    if (s != BL_OK) {
        bl_graph_destroy(copy);
        return s;
    }
    *out = copy;
    return BL_OK;
}
