/* adder_graph.c: nodes in order, each there once (a table of what exists finds an equal one). */
#include <string.h>

#include "program/adder_forms.h"

enum { FIRST_ROOM = 64 };

/* ---- life ------------------------------------------------------------------------------------------------------- */
void bli_adder_graph_destroy(bli_adder_graph *g)
{
    if (g == NULL)
        return;
    bli_adder_forms_destroy(g->forms);
    bli_free(g->ctx, g->table);
    bli_free(g->ctx, g->nodes);
    bli_free(g->ctx, g->outputs);
    bli_free(g->ctx, g);
}

static uint64_t key_of(const bli_adder_node *n)
{
    uint64_t h = 0x9e3779b97f4a7c15u * (uint64_t)(n->num_terms + 1) ^ (uint64_t)n->constant;
    for (int t = 0; t < n->num_terms; t++) {
        const bli_adder_term *x = &n->term[t];
        h ^= (uint64_t)(uint32_t)x->node << 8 ^ (uint64_t)x->shift << 1 ^ (uint64_t)x->negative;
        h *= 0xff51afd7ed558ccdu;
        h ^= h >> 29;
    }
    return h;
}

static bool same_term(const bli_adder_term *a, const bli_adder_term *b)
{
    return a->node == b->node && a->shift == b->shift && a->negative == b->negative;
}

static bool same_node(const bli_adder_node *a, const bli_adder_node *b)
{
    bool same = a->num_terms == b->num_terms && a->constant == b->constant;
    for (int t = 0; same && t < a->num_terms; t++)
        same = same_term(&a->term[t], &b->term[t]);
    return same;
}

/* The table has twice as many slots as the graph has room; a slot holds node + 1. */
static size_t slot_of(const bli_adder_graph *g, const bli_adder_node *n)
{
    const size_t mask = 2 * (size_t)g->capacity - 1;
    size_t slot = (size_t)(key_of(n) >> 20) & mask;
    while (g->table[slot] != 0 && !same_node(&g->nodes[g->table[slot] - 1], n))
        slot = (slot + 1) & mask;
    return slot;
}

static bl_status make_room(bli_adder_graph *g)
{
    if (g->num_nodes < g->capacity)
        return BL_OK;
    const int32_t room = 2 * g->capacity;
    bli_adder_node *nodes = bli_alloc_array(g->ctx, (size_t)room, sizeof *nodes);
    int32_t *table = bli_alloc_array(g->ctx, 2 * (size_t)room, sizeof *table);
    if (nodes == NULL || table == NULL) {
        bli_free(g->ctx, nodes);
        bli_free(g->ctx, table);
        return BL_NO_MEMORY;
    }
    memcpy(nodes, g->nodes, (size_t)g->num_nodes * sizeof *nodes);
    bli_free(g->ctx, g->nodes);
    bli_free(g->ctx, g->table);
    g->nodes = nodes;
    g->table = table;
    g->capacity = room;
    for (int32_t i = g->num_inputs; i < g->num_nodes; i++)
        table[slot_of(g, &nodes[i])] = i + 1;
    return BL_OK;
}

static bl_status take_memory(bli_adder_graph *g, int32_t capacity)
{
    g->capacity = capacity;
    g->nodes = bli_alloc_array(g->ctx, (size_t)capacity, sizeof *g->nodes);
    g->table = bli_alloc_array(g->ctx, 2 * (size_t)capacity, sizeof *g->table);
    g->outputs = bli_alloc_array(g->ctx, (size_t)g->num_outputs, sizeof *g->outputs);
    return g->nodes && g->table && g->outputs ? BL_OK : BL_NO_MEMORY;
}

static bl_status fill(bli_adder_graph *g, const bli_adder_range *inputs)
{
    int32_t capacity = FIRST_ROOM;
    while (capacity < g->num_inputs + 1)
        capacity *= 2;
    BLI_TRY(take_memory(g, capacity));
    for (int32_t i = 0; i < g->num_inputs; i++)
        g->nodes[i] = (bli_adder_node){.lo = inputs[i].lo, .hi = inputs[i].hi};
    for (int32_t j = 0; j < g->num_outputs; j++)
        g->outputs[j].node = -1;
    return bli_adder_forms_create(g->ctx, inputs, g->num_inputs, &g->forms);
}

bl_status bli_adder_graph_create(bl_context *ctx, const bli_adder_range *inputs, int32_t num_inputs,
                                 int32_t num_outputs, bool ternary, bli_adder_graph **out)
{
    *out = NULL;
    if (num_inputs < 0 || num_outputs < 0 || num_inputs > BLI_ADDER_NODES_MAX)
        return bli_fail(ctx, BL_LIMIT, "adder graph: %d inputs and %d outputs", num_inputs, num_outputs);
    bli_adder_graph *g = bli_alloc(ctx, sizeof *g);
    if (g == NULL)
        return BL_NO_MEMORY;
    *g = (bli_adder_graph){
        .ctx = ctx, .ternary = ternary, .num_inputs = num_inputs, .num_nodes = num_inputs, .num_outputs = num_outputs};
    bl_status s = fill(g, inputs);
    if (s == BL_OK)
        *out = g;
    else
        bli_adder_graph_destroy(g);
    return s;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */
static bool before(const bli_adder_term *a, const bli_adder_term *b)
{
    if (a->shift != b->shift)
        return a->shift < b->shift;
    return a->negative != b->negative ? b->negative : a->node < b->node;
}

/* Terms by shift, so that equal sums look equal. */
static void sort_terms(bli_adder_node *n)
{
    for (int t = 1; t < n->num_terms; t++)
        for (int k = t; k > 0 && before(&n->term[k], &n->term[k - 1]); k--) {
            const bli_adder_term x = n->term[k];
            n->term[k] = n->term[k - 1];
            n->term[k - 1] = x;
        }
}

/* What the node would be: range, depth, cost; nothing is added. */
static bl_status probe_node(bli_adder_graph *g, bli_adder_node *spec)
{
    sort_terms(spec);
    BLI_TRY(bli_adder_forms_probe(g->forms, spec));
    spec->cost = bli_adder_cost(g, spec);
    spec->depth = 0;
    for (int t = 0; t < spec->num_terms; t++) {
        const int below = g->nodes[spec->term[t].node].depth;
        spec->depth = below > spec->depth ? below : spec->depth;
    }
    spec->depth += spec->cost > 0;
    return BL_OK;
}

bl_status bli_adder_graph_add(bli_adder_graph *g, const bli_adder_node *spec, int32_t *out)
{
    bli_adder_node n = *spec;
    *out = -1;
    sort_terms(&n);
    size_t slot = slot_of(g, &n);
    if (g->table[slot] != 0) {
        *out = g->table[slot] - 1;
        return BL_OK;
    }
    if (g->num_nodes >= BLI_ADDER_NODES_MAX)
        return bli_fail(g->ctx, BL_LIMIT, "adder graph: more than %d nodes", BLI_ADDER_NODES_MAX);
    const int32_t room = g->capacity;
    BLI_TRY(make_room(g));
    BLI_TRY(probe_node(g, &n));
    BLI_TRY(bli_adder_forms_keep(g->forms));
    if (g->capacity != room)
        slot = slot_of(g, &n);
    *out = g->num_nodes;
    g->table[slot] = g->num_nodes + 1;
    g->nodes[g->num_nodes++] = n;
    return BL_OK;
}

/* ---- cleaning --------------------------------------------------------------------------------------------------- */
/* map[v] = number of v in the new graph; 0 and more where needed. */
static void mark_needed(const bli_adder_graph *g, int32_t *map)
{
    for (int32_t j = 0; j < g->num_outputs; j++)
        if (g->outputs[j].node >= 0)
            map[g->outputs[j].node] = 1;
    for (int32_t v = g->num_nodes - 1; v >= g->num_inputs; v--)
        for (int t = 0; map[v] && t < g->nodes[v].num_terms; t++)
            map[g->nodes[v].term[t].node] = 1;
}

static bl_status copy_needed(const bli_adder_graph *from, bli_adder_graph *to, int32_t *map)
{
    mark_needed(from, map);
    for (int32_t v = 0; v < from->num_nodes; v++) {
        bli_adder_node n = from->nodes[v];
        if (v < from->num_inputs) {
            map[v] = v;
        } else if (map[v]) {
            for (int t = 0; t < n.num_terms; t++)
                n.term[t].node = map[n.term[t].node];
            BLI_TRY(bli_adder_graph_add(to, &n, &map[v]));
        }
    }
    for (int32_t j = 0; j < from->num_outputs; j++) {
        to->outputs[j] = from->outputs[j];
        if (from->outputs[j].node >= 0)
            to->outputs[j].node = map[from->outputs[j].node];
    }
    return BL_OK;
}

bl_status bli_adder_graph_like(const bli_adder_graph *g, bli_adder_graph **out)
{
    *out = NULL;
    bli_adder_range *ranges = bli_alloc_array(g->ctx, (size_t)g->num_inputs, sizeof *ranges);
    if (ranges == NULL)
        return BL_NO_MEMORY;
    for (int32_t i = 0; i < g->num_inputs; i++)
        ranges[i] = (bli_adder_range){g->nodes[i].lo, g->nodes[i].hi};
    bl_status s = bli_adder_graph_create(g->ctx, ranges, g->num_inputs, g->num_outputs, g->ternary, out);
    bli_free(g->ctx, ranges);
    return s;
}

void bli_adder_graph_replace(bli_adder_graph **g, bli_adder_graph *by)
{
    bli_adder_graph_destroy(*g);
    *g = by;
}

static bl_status copy_some(const bli_adder_graph *g, bli_adder_graph **out)
{
    int32_t *map = bli_alloc_array(g->ctx, (size_t)g->num_nodes, sizeof *map);
    if (map == NULL)
        return BL_NO_MEMORY;
    bl_status s = bli_adder_graph_like(g, out);
    if (s == BL_OK)
        s = copy_needed(g, *out, map);
    bli_free(g->ctx, map);
    return s;
}

static bl_status all_needed(const bli_adder_graph *g, bool *all)
{
    int32_t *map = bli_alloc_array(g->ctx, (size_t)g->num_nodes, sizeof *map);
    if (map == NULL)
        return BL_NO_MEMORY;
    mark_needed(g, map);
    *all = true;
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++)
        *all = *all && map[v];
    bli_free(g->ctx, map);
    return BL_OK;
}

static bl_status copy_all(const bli_adder_graph *g, bli_adder_graph **out)
{
    bli_adder_graph *to = bli_alloc(g->ctx, sizeof *to);
    *out = to;
    if (to == NULL)
        return BL_NO_MEMORY;
    *to = (bli_adder_graph){.ctx = g->ctx, .ternary = g->ternary, .num_inputs = g->num_inputs};
    to->num_nodes = g->num_nodes;
    to->num_outputs = g->num_outputs;
    BLI_TRY(take_memory(to, g->capacity));
    memcpy(to->nodes, g->nodes, (size_t)g->num_nodes * sizeof *g->nodes);
    memcpy(to->table, g->table, 2 * (size_t)g->capacity * sizeof *g->table);
    memcpy(to->outputs, g->outputs, (size_t)g->num_outputs * sizeof *g->outputs);
    return bli_adder_forms_copy(g->forms, &to->forms);
}

bl_status bli_adder_graph_copy(const bli_adder_graph *g, bli_adder_graph **out)
{
    bool all;
    *out = NULL;
    BLI_TRY(all_needed(g, &all));
    bl_status s = all ? copy_all(g, out) : copy_some(g, out);
    if (s != BL_OK)
        bli_adder_graph_replace(out, NULL);
    return s;
}

bl_status bli_adder_graph_clean(bli_adder_graph **g)
{
    bli_adder_graph *clean = NULL;
    bool all;
    BLI_TRY(all_needed(*g, &all));
    if (all)
        return BL_OK;
    bl_status s = copy_some(*g, &clean);
    bli_adder_graph_replace(s == BL_OK ? g : &clean, s == BL_OK ? clean : NULL);
    return s;
}

/* ---- use -------------------------------------------------------------------------------------------------------- */
/* Bits that whoever reads a negated output must spend; 0 otherwise. */
static int output_cost(const bli_adder_graph *g, const bli_adder_output *y)
{
    if (y->node < 0 || !y->negative)
        return 0;
    return bli_adder_bits(-g->nodes[y->node].hi, -g->nodes[y->node].lo);
}

bli_adder_summary bli_adder_graph_summary(const bli_adder_graph *g)
{
    bli_adder_summary s = {0};
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++) {
        s.adders += g->nodes[v].cost > 0;
        s.cost += g->nodes[v].cost;
        s.luts += bli_adder_luts(g, &g->nodes[v]);
        s.depth = g->nodes[v].depth > s.depth ? g->nodes[v].depth : s.depth;
    }
    for (int32_t j = 0; j < g->num_outputs; j++)
        s.cost += output_cost(g, &g->outputs[j]);
    return s;
}

static int64_t shifted(int64_t value, int shift, bool negative)
{
    const int64_t x = value * ((int64_t)1 << shift);
    return negative ? -x : x;
}

void bli_adder_graph_eval(const bli_adder_graph *g, const int64_t *in, int64_t *values, int64_t *out)
{
    for (int32_t v = 0; v < g->num_nodes; v++) {
        const bli_adder_node *n = &g->nodes[v];
        values[v] = v < g->num_inputs ? in[v] : n->constant;
        for (int t = 0; t < n->num_terms; t++)
            values[v] += shifted(values[n->term[t].node], n->term[t].shift, n->term[t].negative);
    }
    for (int32_t j = 0; j < g->num_outputs; j++) {
        const bli_adder_output *y = &g->outputs[j];
        out[j] = y->node < 0 ? y->constant : shifted(values[y->node], y->shift, y->negative);
    }
}
