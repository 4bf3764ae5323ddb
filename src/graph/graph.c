/* graph.c: a graph's life, its accessors, its metadata, and the attributes of nodes. */
#include <string.h>

#include "graph/impl.h"

bl_status bl_graph_create(bl_context *ctx, const char *name, bl_graph **out)
{
    *out = NULL;
    bl_graph *g = bli_alloc(ctx, sizeof *g);
    if (!g)
        return BL_NO_MEMORY;
    g->ctx = ctx;
    g->free_use = -1;
    bl_status s = bli_arena_create(ctx, &g->arena);
    if (s == BL_OK) {
        g->name = bli_arena_strdup(g->arena, name ? name : "");
        s = g->name ? BL_OK : BL_NO_MEMORY;
    }
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}

void bl_graph_destroy(bl_graph *g)
{
    if (!g)
        return;
    void *const tables[] = {
        g->values,           g->nodes,           g->uses, g->meta, g->inputs, g->outputs, g->value_index.slots,
        g->node_index.slots, g->meta_index.slots};
    for (size_t i = 0; i < BLI_COUNT(tables); i++)
        bli_free(g->ctx, tables[i]);
    bli_arena_destroy(g->arena);
    bli_free(g->ctx, g);
}

bl_context *bl_graph_context(const bl_graph *g)
{
    return g->ctx;
}

const char *bl_graph_name(const bl_graph *g)
{
    return g->name;
}

bli_arena *bli_graph_arena(bl_graph *g)
{
    return g->arena;
}

int bl_graph_num_values(const bl_graph *g)
{
    return (int)g->num_values;
}

int bl_graph_num_nodes(const bl_graph *g)
{
    return (int)g->num_nodes;
}

const bl_value *bl_graph_value(const bl_graph *g, int id)
{
    return id >= 0 && (size_t)id < g->num_values ? &g->values[id]->value : NULL;
}

const bl_node *bl_graph_node(const bl_graph *g, int id)
{
    return id >= 0 && (size_t)id < g->num_nodes ? &g->nodes[id]->node : NULL;
}

const char *bli_value_name(const bl_graph *g, int id)
{
    return (size_t)id < g->num_values ? g->values[id]->value.name : NULL;
}

const char *bli_node_name(const bl_graph *g, int id)
{
    return (size_t)id < g->num_nodes ? g->nodes[id]->node.name : NULL;
}

int bl_graph_find_value(const bl_graph *g, const char *name)
{
    return bli_index_find(&g->value_index, g, bli_value_name, name);
}

int bl_graph_find_node(const bl_graph *g, const char *name)
{
    return bli_index_find(&g->node_index, g, bli_node_name, name);
}

int bl_graph_num_inputs(const bl_graph *g)
{
    return (int)g->num_inputs;
}

int bl_graph_num_outputs(const bl_graph *g)
{
    return (int)g->num_outputs;
}

int bl_graph_input(const bl_graph *g, int i)
{
    return i >= 0 && (size_t)i < g->num_inputs ? g->inputs[i] : -1;
}

int bl_graph_output(const bl_graph *g, int i)
{
    return i >= 0 && (size_t)i < g->num_outputs ? g->outputs[i] : -1;
}

/* ---- metadata ----------------------------------------------------------------------------------------------- */

static const char *meta_key(const bl_graph *g, int id)
{
    return (size_t)id < g->num_meta ? g->meta[id].key : NULL;
}

static void remove_meta(bl_graph *g, int at)
{
    memmove(&g->meta[at], &g->meta[at + 1], (g->num_meta - (size_t)at - 1) * sizeof *g->meta);
    g->num_meta--;
    if ((size_t)at == g->num_meta) /* the last one: its entry is stale, the others' stand */
        return;
    bli_index_clear(&g->meta_index);
    for (size_t i = 0; i < g->num_meta; i++)
        bli_index_put(&g->meta_index, g->meta[i].key, (int)i);
}

bl_status bl_graph_set_meta(bl_graph *g, const char *key, const char *value)
{
    int at = bli_index_find(&g->meta_index, g, meta_key, key);
    if (!value) {
        if (at >= 0)
            remove_meta(g, at);
        return BL_OK;
    }
    const char *copy = bli_arena_strdup(g->arena, value);
    if (!copy)
        return BL_NO_MEMORY;
    if (at >= 0) {
        g->meta[at].value = copy;
        return BL_OK;
    }
    BLI_TRY(bli_grow(g->ctx, &g->meta, &g->cap_meta, g->num_meta, 1, sizeof *g->meta));
    BLI_TRY(bli_index_reserve(g->ctx, &g->meta_index, 1));
    const char *owned = bli_arena_strdup(g->arena, key);
    if (!owned)
        return BL_NO_MEMORY;
    g->meta[g->num_meta] = (bli_meta){owned, copy};
    bli_index_put(&g->meta_index, owned, (int)g->num_meta++);
    return BL_OK;
}

const char *bl_graph_meta(const bl_graph *g, const char *key)
{
    int at = bli_index_find(&g->meta_index, g, meta_key, key);
    return at < 0 ? NULL : g->meta[at].value;
}

int bl_graph_num_meta(const bl_graph *g)
{
    return (int)g->num_meta;
}

void bl_graph_meta_at(const bl_graph *g, int i, const char **key, const char **value)
{
    bool there = i >= 0 && (size_t)i < g->num_meta;
    *key = there ? g->meta[i].key : NULL;
    *value = there ? g->meta[i].value : NULL;
}

/* ---- attributes --------------------------------------------------------------------------------------------- */

const bl_attr *bl_node_attr(const bl_node *n, const char *name)
{
    for (int i = 0; i < n->num_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

int64_t bl_node_int(const bl_node *n, const char *name, int64_t fallback)
{
    const bl_attr *a = bl_node_attr(n, name);
    return a && a->kind == BL_ATTR_INT ? a->u.i : fallback;
}

double bl_node_float(const bl_node *n, const char *name, double fallback)
{
    const bl_attr *a = bl_node_attr(n, name);
    return a && a->kind == BL_ATTR_FLOAT ? a->u.f : fallback;
}

const char *bl_node_string(const bl_node *n, const char *name, const char *fallback)
{
    const bl_attr *a = bl_node_attr(n, name);
    return a && a->kind == BL_ATTR_STRING ? a->u.s : fallback;
}

bl_status bli_tensor_copy(bli_arena *arena, const bl_tensor *t, void **data)
{
    bl_context *ctx = bli_arena_context(arena);
    int64_t count = bl_shape_count(&t->shape);
    size_t bytes;
    if ((unsigned)t->type >= BL_DTYPE_COUNT)
        return bli_fail(ctx, BL_USAGE, "%d is no element type", (int)t->type);
    if (count < 0 || !bli_mul_size((size_t)count, bl_dtype_size(t->type), &bytes))
        return bli_fail(ctx, BL_BAD_VALUE, "a tensor with data needs a shape whose size is known and fits memory");
    if (count > 0 && !t->data)
        return bli_fail(ctx, BL_USAGE, "a tensor of %lld elements has no data", (long long)count);
    void *copy = bli_arena_alloc(arena, bytes);
    if (!copy)
        return BL_NO_MEMORY;
    if (bytes)
        memcpy(copy, t->data, bytes);
    *data = copy; /* data may be where t keeps its own */
    return BL_OK;
}

static bl_status copy_strings(bli_arena *arena, bl_attr *a)
{
    const char **list = bli_arena_array(arena, a->count, sizeof *list);
    if (!list)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < a->count; i++)
        if (!(list[i] = bli_arena_strdup(arena, a->u.strings[i])))
            return BL_NO_MEMORY;
    a->u.strings = list;
    return BL_OK;
}

static bl_status copy_numbers(bli_arena *arena, bl_attr *a, const void *from, size_t size)
{
    void *list = bli_arena_array(arena, a->count, size);
    if (!list)
        return BL_NO_MEMORY;
    if (a->count)
        memcpy(list, from, a->count * size);
    if (a->kind == BL_ATTR_INTS)
        a->u.ints = list;
    else
        a->u.floats = list;
    return BL_OK;
}

static bl_status copy_attr(bli_arena *arena, bl_attr *a)
{
    a->name = bli_arena_strdup(arena, a->name);
    if (!a->name)
        return BL_NO_MEMORY;
    switch (a->kind) {
    case BL_ATTR_STRING:
        a->u.s = bli_arena_strdup(arena, a->u.s);
        return a->u.s ? BL_OK : BL_NO_MEMORY;
    case BL_ATTR_INTS:
        return copy_numbers(arena, a, a->u.ints, sizeof *a->u.ints);
    case BL_ATTR_FLOATS:
        return copy_numbers(arena, a, a->u.floats, sizeof *a->u.floats);
    case BL_ATTR_STRINGS:
        return copy_strings(arena, a);
    case BL_ATTR_TENSOR:
        return bli_tensor_copy(arena, &a->u.tensor, &a->u.tensor.data);
    case BL_ATTR_INT:
    case BL_ATTR_FLOAT:
        return BL_OK;
    }
    return bli_fail(bli_arena_context(arena), BL_USAGE, "attribute %s: %d is no kind", a->name, (int)a->kind);
}

bl_status bli_attrs_copy(bli_arena *arena, const bl_attr *attrs, int count, const bl_attr **out)
{
    bl_attr *copy = bli_arena_array(arena, (size_t)count, sizeof *copy);
    if (!copy)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        copy[i] = attrs[i];
        BLI_TRY(copy_attr(arena, &copy[i]));
    }
    *out = copy;
    return BL_OK;
}
