/* spell_chain.c: building the nodes that stand for a quantizer, and the hash by which they are known again. */
#include <stdio.h>
#include <string.h>

#include "pass/spell.h"

static const char *word_name(bli_chain *c, const char *word)
{
    size_t size = strlen(c->base) + strlen(word) + 2;
    char *name = bli_arena_alloc(bli_graph_arena(c->g), size);
    if (name)
        snprintf(name, size, "%s/%s", c->base, word);
    else
        c->status = BL_NO_MEMORY;
    return name;
}

int bli_chain_tensor(bli_chain *c, const char *word, const bl_shape *shape, const float *data)
{
    int id = -1;
    const char *name = c->status == BL_OK ? word_name(c, word) : NULL;
    if (!name)
        return -1;
    if (bl_graph_find_value(c->g, name) >= 0)
        name = NULL;
    bl_tensor t = {BL_F32, *shape, (void *)data};
    c->status = bl_graph_add_tensor(c->g, name, BL_ROLE_CONSTANT, "", &t, &id);
    return id;
}

/* The constant that this node's words have under this name already, if it is this number. */
static int same_number(bli_chain *c, const char *word, float f)
{
    const char *name = c->status == BL_OK ? word_name(c, word) : NULL;
    int id = name ? bl_graph_find_value(c->g, name) : -1;
    if (id < 0)
        return -1;
    const bl_value *v = bl_graph_value(c->g, id);
    bool same = v->role == BL_ROLE_CONSTANT && v->data && v->type == BL_F32 && v->shape.rank == 0;
    return same && memcmp(v->data, &f, sizeof f) == 0 ? id : -1;
}

int bli_chain_number(bli_chain *c, const char *word, double value)
{
    float f = (float)value;
    int there = same_number(c, word, f);
    if (there >= 0)
        return there;
    return bli_chain_tensor(c, word, &(bl_shape){.rank = 0}, &f);
}

int bli_chain_ints(bli_chain *c, const char *word, const int64_t *list, int count)
{
    int id = -1;
    const char *name = c->status == BL_OK ? word_name(c, word) : NULL;
    if (!name)
        return -1;
    if (bl_graph_find_value(c->g, name) >= 0)
        name = NULL;
    bl_tensor t = {BL_I64, {1, {count}}, (void *)list};
    c->status = bl_graph_add_tensor(c->g, name, BL_ROLE_CONSTANT, "", &t, &id);
    return id;
}

int bli_chain_add(bli_chain *c, const bl_node *spec, const char *word)
{
    int out = -1;
    const char *name = c->status == BL_OK ? word_name(c, word) : NULL;
    if (!name)
        return -1;
    bl_node n = *spec;
    n.name = bl_graph_find_node(c->g, name) < 0 ? name : NULL;
    const char *names[1] = {bl_graph_find_value(c->g, name) < 0 ? name : NULL};
    c->status = bl_graph_add_node(c->g, &n, names, &out);
    if (c->status != BL_OK)
        return -1;
    bli_graph_value_mut(c->g, out)->shape = c->shape;
    bli_graph_value_mut(c->g, out)->type = BL_F32;
    if (c->anchor >= 0)
        bli_graph_place_like(c->g, bl_graph_value(c->g, out)->producer, c->anchor);
    return out;
}

int bli_chain_node(bli_chain *c, const char *word, const char *type, int a, int b, int d)
{
    int inputs[3] = {a, b, d};
    if (a < 0)
        return -1;
    bl_node n = {.type = type, .num_inputs = d >= 0 ? 3 : b >= 0 ? 2 : 1, .num_outputs = 1, .inputs = inputs};
    return bli_chain_add(c, &n, word);
}

int bli_chain_quant(bli_chain *c, const char *type, const int *inputs, int count, const bl_attr *attrs, int num_attrs)
{
    for (int i = 0; i < count; i++)
        if (inputs[i] < 0)
            return -1;
    bl_node n = {.type = type,
                 .domain = BLI_DOMAIN_QONNX,
                 .num_inputs = count,
                 .num_outputs = 1,
                 .num_attrs = num_attrs,
                 .inputs = inputs,
                 .attrs = attrs};
    return bli_chain_add(c, &n, "quant");
}

/* ---- hash --------------------------------------------------------------------------------------------------- */

/* The longest spelling, that of blocks, has about 50 nodes on about 600 paths; a file may not make us walk more. */
enum { DEEP = 64, MOST_VISITS = 2000 };

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
    uint64_t both[2] = {h, bli_hash(data, size)};
    return bli_hash(both, sizeof both);
}

static uint64_t mix_attr(uint64_t h, const bl_attr *a)
{
    h = mix(h, a->name, strlen(a->name));
    if (a->kind == BL_ATTR_INT)
        return mix(h, &a->u.i, sizeof a->u.i);
    if (a->kind == BL_ATTR_STRING)
        return mix(h, a->u.s, strlen(a->u.s));
    if (a->kind == BL_ATTR_INTS)
        return mix(h, a->u.ints, a->count * sizeof *a->u.ints);
    float f = a->kind == BL_ATTR_FLOAT ? (float)a->u.f : 0; /* what a file keeps of it */
    return mix(h, &f, sizeof f);
}

static uint64_t hash_value(const bl_graph *g, int x, int y, int depth, int *visits)
{
    if (y < 0 || y == x || depth > DEEP || ++*visits > MOST_VISITS)
        return y == x ? 1 : 0;
    const bl_value *v = bl_graph_value(g, y);
    if (v->data) {
        uint64_t h = mix(2, v->shape.dim, (size_t)v->shape.rank * sizeof *v->shape.dim);
        return mix(h, v->data, (size_t)bl_shape_count(&v->shape) * bl_dtype_size(v->type));
    }
    if (v->producer < 0)
        return 3;
    const bl_node *n = bl_graph_node(g, v->producer);
    uint64_t h = mix(mix(4, n->type, strlen(n->type)), n->domain, strlen(n->domain));
    for (int i = 0; i < n->num_attrs; i++)
        h = mix_attr(h, &n->attrs[i]);
    for (int i = 0; i < n->num_inputs; i++) {
        uint64_t part = hash_value(g, x, n->inputs[i], depth + 1, visits);
        h = mix(h, &part, sizeof part);
    }
    return h;
}

uint64_t bli_spell_hash(const bl_graph *g, int x, int y)
{
    int visits = 0;
    return hash_value(g, x, y, 0, &visits);
}
