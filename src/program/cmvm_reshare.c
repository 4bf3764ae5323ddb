/* cmvm_reshare.c: a second look at a graph's sharing.
 *
 * Greedy sharing takes the best pair of the moment.  Here some of the groups that saved least, those with two readers,
 * are given up, and all sums are shared again from there with other ties; the driver keeps what became cheaper.  That
 * is a large neighbourhood search (Shaw 1998).  The other groups are inputs of an auxiliary graph meanwhile, with the
 * ranges and depths that they have; none becomes deeper.
 */
#include "program/cmvm_groups.h"

typedef struct reshare {
    const bli_adder_graph *g;
    bli_cmvm_groups groups;
    bli_adder_graph *work; /* inputs: those of g, then its groups */
    int32_t num_rows;
    bli_cmvm_row *rows;  /* of the groups */
    int32_t *group;      /* row to node of g */
    bli_adder_term *at;  /* node of g to input of work */
    bli_adder_term *map; /* node of work to term of the new graph; node -1: not yet */
    bli_adder_graph *to;
} reshare;

static bool toss(uint32_t seed, int32_t v, int share)
{
    uint32_t x = ((uint32_t)v + 1) * 0x9e3779b9u ^ seed;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return (int)(x >> 16 & 255) < share;
}

/* Groups within groups that go would multiply: a group goes only where none of its operands does. */
static void give_up(reshare *r, const bli_cmvm_way *way, bool *shaken)
{
    const bli_adder_graph *g = r->g;
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++) {
        for (int t = 0; t < g->nodes[v].num_terms; t++) {
            const int32_t w = g->nodes[v].term[t].node;
            shaken[v] = shaken[v] || (bli_cmvm_is_inside(&r->groups, w) && (shaken[w] || r->groups.gone[w]));
        }
        const int uses = r->groups.uses[v];
        if (uses >= 2 && uses <= way->most && !shaken[v])
            r->groups.gone[v] = toss(way->seed, v, way->share);
    }
    for (int32_t j = 0; j < g->num_outputs; j++)
        if (g->outputs[j].node >= 0)
            r->groups.gone[g->outputs[j].node] = false;
}

static bool is_group(const reshare *r, int32_t v)
{
    return v >= r->g->num_inputs && !bli_cmvm_is_inside(&r->groups, v);
}

static bl_status make_work(reshare *r)
{
    const bli_adder_graph *g = r->g;
    bli_adder_range *ranges = bli_arena_array(r->groups.arena, (size_t)g->num_nodes, sizeof *ranges);
    if (ranges == NULL)
        return BL_NO_MEMORY;
    int32_t count = 0;
    for (int32_t v = 0; v < g->num_nodes; v++)
        if (v < g->num_inputs || is_group(r, v)) {
            if (v >= g->num_inputs)
                r->group[r->num_rows++] = v;
            r->at[v] = (bli_adder_term){count, 0, false};
            ranges[count++] = (bli_adder_range){g->nodes[v].lo, g->nodes[v].hi};
        }
    BLI_TRY(bli_adder_graph_create(g->ctx, ranges, count, 0, g->ternary, &r->work));
    for (int32_t k = 0; k < r->num_rows; k++)
        r->work->nodes[g->num_inputs + k].depth = g->nodes[r->group[k]].depth;
    for (int32_t k = 0; k < r->num_rows; k++)
        BLI_TRY(bli_cmvm_groups_row(&r->groups, r->group[k], r->at, &r->rows[k]));
    return BL_OK;
}

/* ---- the new graph ---------------------------------------------------------------------------------------------- */
static bl_status build_row(reshare *r, const bli_cmvm_row *row, bli_adder_term *out);

/* A node that sharing made: a row of its two terms.  Groups are there already, as rows come in order. */
static bl_status build_node(reshare *r, int32_t v)
{
    if (r->map[v].node >= 0)
        return BL_OK;
    bli_adder_term terms[BLI_ADDER_TERMS];
    const bli_adder_node *n = &r->work->nodes[v];
    bli_cmvm_row row = {terms, n->num_terms, n->depth, 0};
    for (int t = 0; t < n->num_terms; t++)
        terms[t] = n->term[t];
    return build_row(r, &row, &r->map[v]);
}

static bl_status build_row(reshare *r, const bli_cmvm_row *row, bli_adder_term *out)
{
    for (int32_t t = 0; t < row->count; t++) {
        bli_adder_term *x = &row->terms[t];
        BLI_TRY(build_node(r, x->node));
        const bli_adder_term m = r->map[x->node];
        *x = (bli_adder_term){m.node, (int16_t)(x->shift + m.shift), x->negative != m.negative};
    }
    return bli_cmvm_sum(r->to, row, false, out);
}

static bl_status rebuild(reshare *r)
{
    const int32_t n = r->g->num_inputs;
    r->map = bli_arena_array(r->groups.arena, (size_t)r->work->num_nodes, sizeof *r->map);
    if (r->map == NULL)
        return BL_NO_MEMORY;
    for (int32_t v = 0; v < r->work->num_nodes; v++)
        r->map[v] = (bli_adder_term){v < n ? v : -1, 0, false};
    for (int32_t k = 0; k < r->num_rows; k++)
        BLI_TRY(build_row(r, &r->rows[k], &r->map[n + k]));
    for (int32_t v = 0; v < r->g->num_nodes; v++)
        if (v < n || is_group(r, v))
            r->at[v] = r->map[r->at[v].node];
    bli_cmvm_groups_outputs(&r->groups, r->at, r->to);
    return bli_adder_graph_clean(&r->to);
}

static bl_status run(reshare *r, const bli_cmvm_way *way)
{
    const size_t n = (size_t)r->g->num_nodes;
    BLI_TRY(bli_cmvm_groups_make(r->g, &r->groups));
    r->rows = bli_arena_array(r->groups.arena, n, sizeof *r->rows);
    r->group = bli_arena_array(r->groups.arena, n, sizeof *r->group);
    r->at = bli_arena_array(r->groups.arena, n, sizeof *r->at);
    bool *shaken = bli_arena_array(r->groups.arena, n, sizeof *shaken);
    if (!r->rows || !r->group || !r->at || !shaken)
        return BL_NO_MEMORY;
    give_up(r, way, shaken);
    BLI_TRY(make_work(r));
    BLI_TRY(bli_cmvm_share(r->work, r->rows, r->num_rows, way));
    BLI_TRY(bli_adder_graph_like(r->g, &r->to));
    return rebuild(r);
}

bl_status bli_cmvm_reshare(const bli_adder_graph *g, const bli_cmvm_way *way, bli_adder_graph **out)
{
    reshare r = {.g = g};
    *out = NULL;
    bl_status s = run(&r, way);
    if (s == BL_OK)
        *out = r.to;
    else
        bli_adder_graph_destroy(r.to);
    bli_adder_graph_destroy(r.work);
    bli_cmvm_groups_free(&r.groups);
    return s;
}
