/* groups.c: which ops become one function, and what it is called. */
#include <stdio.h>
#include <string.h>

#include "emit/body.h"

bool bli_is_elementwise(bli_prim kind)
{
    static const bool is[BLI_PRIM_COUNT] = {
        [BLI_PRIM_AFFINE] = true, [BLI_PRIM_ROUND] = true,     [BLI_PRIM_OVERFLOW] = true, [BLI_PRIM_CLAMP] = true,
        [BLI_PRIM_ABS] = true,    [BLI_PRIM_THRESHOLD] = true, [BLI_PRIM_RESCALE] = true,  [BLI_PRIM_TABLE] = true};
    return is[kind];
}

static bool stands_alone(bli_prim kind)
{
    return kind != BLI_PRIM_INPUT && kind != BLI_PRIM_CONST && kind != BLI_PRIM_RESHAPE;
}

typedef struct maker {
    const bli_program *p;
    int *reader; /* per wire: the one op that reads it; -1: several, or an output does */
    bool *taken; /* per op */
} maker;

static void find_readers(maker *m)
{
    const bli_program *p = m->p;
    for (int i = 0; i < p->num_wires; i++)
        m->reader[i] = -1;
    for (int i = 0; i < p->num_ops; i++)
        for (int k = 0; k < p->ops[i].num_in; k++)
            m->reader[p->ops[i].in[k]] = i;
    for (int i = 0; i < p->num_wires; i++)
        if (p->wires[i].uses != 1)
            m->reader[i] = -1;
    for (int i = 0; i < p->num_outputs; i++)
        m->reader[p->outputs[i].wire] = -1;
}

/* The op that may follow op in its group, or -1. */
static int follower(const maker *m, int op)
{
    const bli_program *p = m->p;
    int next = m->reader[p->ops[op].out];
    if (p->ops[op].kind == BLI_PRIM_CONCAT || next < 0 || !bli_is_elementwise(p->ops[next].kind))
        return -1;
    const char *layer = p->wires[p->ops[op].out].layer, *other = p->wires[p->ops[next].out].layer;
    return strcmp(layer, other) == 0 ? next : -1;
}

static bl_status make_one(maker *m, bli_arena *arena, int op, bli_group *g)
{
    const bli_program *p = m->p;
    int count = 1;
    for (int at = op; (at = follower(m, at)) >= 0;)
        count++;
    *g = (bli_group){.num_ops = count, .num_in = p->ops[op].num_in};
    g->ops = bli_arena_array(arena, (size_t)count, sizeof *g->ops);
    if (g->ops == NULL)
        return BL_NO_MEMORY;
    memcpy(g->in, p->ops[op].in, sizeof g->in);
    for (int i = 0, at = op; i < count; i++, at = follower(m, at)) {
        g->ops[i] = &p->ops[at];
        m->taken[at] = true;
    }
    g->out = &p->wires[g->ops[count - 1]->out];
    return BL_OK;
}

/* The first group of a layer has its name, others that of their result. */
static bl_status name_groups(const bli_groups *all, bli_names *names)
{
    for (int i = 0; i < all->count; i++) {
        bool first = true;
        for (int k = 0; k < i && first; k++)
            first = strcmp(all->at[k].out->layer, all->at[i].out->layer) != 0;
        BLI_TRY(bli_names_take(names, first ? all->at[i].out->layer : all->at[i].out->name, &all->at[i].name));
    }
    return BL_OK;
}

/* Variables of emitted functions: x0 to x15, d0 ... (heads.c), v0, s0 ... (element.c). */
static bl_status take_variables(bli_names *names)
{
    static const struct {
        char letter;
        int count;
    } series[] = {{'x', BLI_PRIM_MAX_IN}, {'d', BL_MAX_RANK}, {'e', BL_MAX_RANK}, {'v', 64}, {'s', 64}};
    const char *given;
    char word[16];
    for (size_t k = 0; k < BLI_COUNT(series); k++)
        for (int i = 0; i < series[k].count; i++) {
            snprintf(word, sizeof word, "%c%d", series[k].letter, i);
            BLI_TRY(bli_names_take(names, word, &given));
        }
    return BL_OK;
}

bl_status bli_groups_make(bli_arena *arena, const bli_program *p, bli_names *names, bli_groups *out)
{
    maker m = {.p = p};
    m.reader = bli_arena_array(arena, (size_t)p->num_wires + 1, sizeof *m.reader);
    m.taken = bli_arena_array(arena, (size_t)p->num_ops + 1, sizeof *m.taken);
    out->at = bli_arena_array(arena, (size_t)p->num_ops + 1, sizeof *out->at);
    out->root = bli_arena_array(arena, (size_t)p->num_wires + 1, sizeof *out->root);
    out->count = 0;
    if (m.reader == NULL || m.taken == NULL || out->at == NULL || out->root == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(take_variables(names));
    find_readers(&m);
    for (int i = 0; i < p->num_ops; i++) {
        const bli_prim_op *op = &p->ops[i];
        out->root[op->out] = op->kind == BLI_PRIM_RESHAPE ? out->root[op->in[0]] : op->out;
        if (stands_alone(op->kind) && !m.taken[i])
            BLI_TRY(make_one(&m, arena, i, &out->at[out->count++]));
    }
    return name_groups(out, names);
}

void bli_group_describe(const bli_program *p, const bli_group *g, char *buf, size_t size)
{
    char layer[64], from[96], to[96];
    size_t used = 0;
    bl_shape_print(&p->wires[g->in[0]].shape, from, sizeof from);
    bl_shape_print(&g->out->shape, to, sizeof to);
    used = (size_t)snprintf(buf, size, "layer %s: ", bli_text_safe(g->out->layer, layer, sizeof layer));
    for (int i = 0; i < g->num_ops && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "", bli_prim_word(g->ops[i]->kind));
    if (used < size)
        used += (size_t)snprintf(buf + used, size - used, "; %s -> %s, codes %lld .. %lld", from, to,
                                 (long long)bli_reach_wire(g->out).low, (long long)bli_reach_wire(g->out).high);
    if (used < size && g->out->exp != 0)
        snprintf(buf + used, size - used, " times 2^%d", g->out->exp);
}
