/* cmvm_regroup.c: groups added up again, with three operands where the graph is for ternary adders.
 *
 * A group of k operands takes ceil((k - 1) / 2) three-input adders, so that one of an even number has room for one more
 * for nothing.  A group of two can therefore be dissolved where all its readers have an even number: that saves its
 * adder.  A reader takes in one, and one that goes takes nothing in; so a group is at odds with its readers and with
 * their other operands, and what is wanted is an independent set of the greatest total gain.  Greedy by gain, then
 * exchanges: a group goes where it gains more than the ones it is at odds with.
 */
#include "program/cmvm_groups.h"

typedef struct reader {
    int32_t group;
    int32_t next; /* of the same operand, or -1 */
} reader;

typedef struct regroup {
    bli_cmvm_groups groups;
    const bli_adder_graph *g;
    int32_t *owner;   /* the group that a node is part of; itself for a group's last node */
    int32_t *size;    /* operands of a group */
    int32_t *first;   /* a node's readers; -1: none */
    reader *readers;  /* one for each term that reads an input or group */
    int32_t *chain;   /* the next operand of the same group, by reader number */
    int32_t *heads;   /* by group: its first entry in readers */
    int32_t *subject; /* by reader number: the node read */
    int32_t *stamp;   /* by group: the operand last seen there */
    int *gain;        /* 0: it stays in any case */
} regroup;

/* ---- groups ----------------------------------------------------------------------------------------------------- */
static bool is_part(const regroup *r, int32_t v)
{
    return v >= r->g->num_inputs && r->groups.uses[v] == 1;
}

/* Readers come later than what they read, so owners are known from the end on. */
static void find_groups(regroup *r)
{
    const bli_adder_graph *g = r->g;
    int32_t count = 0;
    for (int32_t v = g->num_nodes - 1; v >= g->num_inputs; v--) {
        const bli_adder_node *n = &g->nodes[v];
        if (!is_part(r, v))
            r->owner[v] = v;
        r->size[r->owner[v]] += n->constant != 0;
        for (int t = 0; t < n->num_terms; t++) {
            const int32_t w = n->term[t].node;
            if (is_part(r, w)) {
                r->owner[w] = r->owner[v];
                continue;
            }
            const int32_t u = r->owner[v];
            r->size[u]++;
            r->readers[count] = (reader){u, r->first[w]};
            r->subject[count] = w;
            r->chain[count] = r->heads[u];
            r->heads[u] = count;
            r->first[w] = count++;
        }
    }
}

/* ---- which go --------------------------------------------------------------------------------------------------- */
static int gain_of(regroup *r, int32_t v)
{
    if (v < r->g->num_inputs || r->owner[v] != v || r->size[v] != 2 || r->first[v] < 0)
        return 0;
    for (int32_t k = r->first[v]; k >= 0; k = r->readers[k].next) {
        const int32_t u = r->readers[k].group;
        if (r->size[u] % 2 != 0 || r->stamp[u] == v)
            return 0;
        r->stamp[u] = v;
    }
    return r->g->nodes[v].cost;
}

static void weigh(regroup *r)
{
    for (int32_t v = 0; v < r->g->num_nodes; v++)
        r->gain[v] = gain_of(r, v);
    for (int32_t j = 0; j < r->g->num_outputs; j++)
        if (r->g->outputs[j].node >= 0)
            r->gain[r->g->outputs[j].node] = 0;
}

typedef int (*rival_fn)(regroup *r, int32_t rival);

/* Calls back for each gone group that v is at odds with, and adds up what it says. */
static int each_rival(regroup *r, int32_t v, rival_fn fn)
{
    int sum = 0;
    for (int32_t k = r->first[v]; k >= 0; k = r->readers[k].next) {
        const int32_t u = r->readers[k].group;
        if (r->groups.gone[u])
            sum += fn(r, u);
        for (int32_t o = r->heads[u]; o >= 0; o = r->chain[o])
            if (r->subject[o] != v && r->groups.gone[r->subject[o]])
                sum += fn(r, r->subject[o]);
    }
    for (int32_t o = r->heads[v]; o >= 0; o = r->chain[o])
        if (r->groups.gone[r->subject[o]])
            sum += fn(r, r->subject[o]);
    return sum;
}

static int gain_of_rival(regroup *r, int32_t rival)
{
    return r->gain[rival];
}

static int bring_back(regroup *r, int32_t rival)
{
    r->groups.gone[rival] = false;
    return 0;
}

/* A rival met twice counts twice: the exchange is then only more careful. */
static bool try_dissolve(regroup *r, int32_t v)
{
    if (r->groups.gone[v] || r->gain[v] == 0 || each_rival(r, v, gain_of_rival) >= r->gain[v])
        return false;
    (void)each_rival(r, v, bring_back);
    r->groups.gone[v] = true;
    return true;
}

enum { ROUNDS = 50, GAIN_MOST = 64 };

/* By falling gain, the earlier first, until no exchange helps. */
static void choose(regroup *r)
{
    bool changed = true;
    for (int round = 0; changed && round < ROUNDS; round++) {
        changed = false;
        for (int gain = GAIN_MOST; gain > 0; gain--)
            for (int32_t v = r->g->num_inputs; v < r->g->num_nodes; v++)
                if (r->gain[v] == gain)
                    changed = try_dissolve(r, v) || changed;
    }
}

/* ---- the new graph ---------------------------------------------------------------------------------------------- */
static bl_status rebuild(regroup *r, bli_adder_graph *to, bli_adder_term *map)
{
    for (int32_t v = 0; v < r->g->num_nodes; v++) {
        bli_cmvm_row row;
        if (v < r->g->num_inputs)
            map[v] = (bli_adder_term){v, 0, false};
        if (v < r->g->num_inputs || bli_cmvm_is_inside(&r->groups, v))
            continue;
        BLI_TRY(bli_cmvm_groups_row(&r->groups, v, map, &row));
        BLI_TRY(bli_cmvm_sum(to, &row, to->ternary, &map[v]));
    }
    bli_cmvm_groups_outputs(&r->groups, map, to);
    return BL_OK;
}

static bl_status choose_gone(regroup *r)
{
    bli_arena *arena = r->groups.arena;
    const size_t n = (size_t)r->g->num_nodes, terms = BLI_ADDER_TERMS * n;
    r->owner = bli_arena_array(arena, n, sizeof *r->owner);
    r->size = bli_arena_array(arena, n, sizeof *r->size);
    r->first = bli_arena_array(arena, n, sizeof *r->first);
    r->readers = bli_arena_array(arena, terms, sizeof *r->readers);
    r->chain = bli_arena_array(arena, terms, sizeof *r->chain);
    r->subject = bli_arena_array(arena, terms, sizeof *r->subject);
    r->heads = bli_arena_array(arena, n, sizeof *r->heads);
    r->stamp = bli_arena_array(arena, n, sizeof *r->stamp);
    r->gain = bli_arena_array(arena, n, sizeof *r->gain);
    if (!r->owner || !r->size || !r->first || !r->readers || !r->chain || !r->subject || !r->heads || !r->stamp ||
        !r->gain)
        return BL_NO_MEMORY;
    for (size_t v = 0; v < n; v++)
        r->first[v] = r->heads[v] = -1;
    find_groups(r);
    weigh(r);
    choose(r);
    return BL_OK;
}

static bl_status run(regroup *r, bli_adder_graph **out)
{
    BLI_TRY(bli_cmvm_groups_make(r->g, &r->groups));
    bli_adder_term *map = bli_arena_array(r->groups.arena, (size_t)r->g->num_nodes, sizeof *map);
    if (map == NULL)
        return BL_NO_MEMORY;
    if (r->g->ternary)
        BLI_TRY(choose_gone(r));
    BLI_TRY(bli_adder_graph_like(r->g, out));
    BLI_TRY(rebuild(r, *out, map));
    return bli_adder_graph_clean(out);
}

bl_status bli_cmvm_regroup(const bli_adder_graph *g, bli_adder_graph **out)
{
    regroup r = {.g = g};
    *out = NULL;
    bl_status s = run(&r, out);
    bli_cmvm_groups_free(&r.groups);
    if (s != BL_OK) {
        bli_adder_graph_destroy(*out);
        *out = NULL;
    }
    return s;
}
