/* cmvm_regroup.c: sums taken apart down to what is shared, and added up again.
 *
 * A node with one reader is part of that reader's sum.  What is left are groups: sums of any number of operands that
 * are inputs or other groups, read more than once or by an output; a constant counts as an operand.
 *
 * With three-input adders a group of k operands takes ceil((k - 1) / 2) of them, so that one of an even number has room
 * for one more for nothing.  A group of two can therefore be dissolved where all its readers have an even number: that
 * saves its adder.  A reader takes in one, and one that goes takes nothing in; so a group is at odds with its readers
 * and with their other operands, and what is wanted is an independent set of the greatest total gain.  Greedy by gain,
 * then exchanges: a group goes where it gains more than the ones it is at odds with.
 */
#include <string.h>

#include "program/cmvm_impl.h"
#include "program/csd.h"

typedef struct reader {
    int32_t group;
    int32_t next; /* of the same operand, or -1 */
} reader;

typedef struct regroup {
    const bli_adder_graph *g;
    bli_arena *arena;
    int32_t *uses;    /* terms and outputs that read a node */
    int32_t *owner;   /* the group that a node is part of; itself for a group's last node */
    int32_t *size;    /* operands of a group */
    int32_t *first;   /* a node's readers; -1: none */
    reader *readers;  /* one for each term that reads an input or group */
    int32_t *chain;   /* the next operand of the same reader, by reader number; with heads in operands */
    int32_t *heads;   /* by group: its first entry in readers */
    int32_t *subject; /* by reader number: the node read */
    int32_t *stamp;   /* by group: the operand last seen there */
    int *gain;        /* 0: it stays in any case */
    bool *gone;
    bli_cmvm_row row; /* of the group at hand */
    int64_t *factor;  /* by node, of the group at hand */
    int32_t *touched;
    int32_t num_touched;
} regroup;

/* ---- groups ----------------------------------------------------------------------------------------------------- */
static void count_uses(regroup *r)
{
    const bli_adder_graph *g = r->g;
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++)
        for (int t = 0; t < g->nodes[v].num_terms; t++)
            r->uses[g->nodes[v].term[t].node]++;
    for (int32_t j = 0; j < g->num_outputs; j++)
        if (g->outputs[j].node >= 0)
            r->uses[g->outputs[j].node] += 2; /* an output keeps its node whole */
}

static bool is_part(const regroup *r, int32_t v)
{
    return v >= r->g->num_inputs && r->uses[v] == 1;
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
        if (r->gone[u])
            sum += fn(r, u);
        for (int32_t o = r->heads[u]; o >= 0; o = r->chain[o])
            if (r->subject[o] != v && r->gone[r->subject[o]])
                sum += fn(r, r->subject[o]);
    }
    for (int32_t o = r->heads[v]; o >= 0; o = r->chain[o])
        if (r->gone[r->subject[o]])
            sum += fn(r, r->subject[o]);
    return sum;
}

static int gain_of_rival(regroup *r, int32_t rival)
{
    return r->gain[rival];
}

static int bring_back(regroup *r, int32_t rival)
{
    r->gone[rival] = false;
    return 0;
}

/* A rival met twice counts twice: the exchange is then only more careful. */
static bool try_dissolve(regroup *r, int32_t v)
{
    if (r->gone[v] || r->gain[v] == 0 || each_rival(r, v, gain_of_rival) >= r->gain[v])
        return false;
    (void)each_rival(r, v, bring_back);
    r->gone[v] = true;
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
/* Adds factor x (the node's sum) to the group at hand. */
static void gather(regroup *r, const bli_adder_node *n, int64_t factor)
{
    r->row.constant += factor * n->constant;
    for (int t = 0; t < n->num_terms; t++) {
        const bli_adder_term *x = &n->term[t];
        const int64_t own = factor * ((int64_t)1 << x->shift) * (x->negative ? -1 : 1);
        if (is_part(r, x->node) || r->gone[x->node]) {
            gather(r, &r->g->nodes[x->node], own);
            continue;
        }
        if (r->factor[x->node] == 0)
            r->touched[r->num_touched++] = x->node;
        r->factor[x->node] += own;
    }
}

/* Terms over the new graph's nodes; groups are of any size, so that the row's room is taken anew. */
static bl_status make_row(regroup *r, const bli_adder_term *map)
{
    size_t digits = 0;
    for (int32_t k = 0; k < r->num_touched; k++)
        digits += (size_t)bli_csd_digits(r->factor[r->touched[k]]);
    r->row.terms = bli_arena_array(r->arena, digits, sizeof *r->row.terms);
    if (r->row.terms == NULL)
        return BL_NO_MEMORY;
    for (int32_t k = 0; k < r->num_touched; k++) {
        const int32_t v = r->touched[k];
        const int64_t factor = r->factor[v] * ((int64_t)1 << map[v].shift) * (map[v].negative ? -1 : 1);
        if (factor != 0)
            bli_cmvm_add_digits(&r->row, map[v].node, factor);
        r->factor[v] = 0;
    }
    return BL_OK;
}

static bl_status make_group(regroup *r, int32_t v, bli_adder_graph *to, bli_adder_term *map)
{
    r->row = (bli_cmvm_row){.limit = r->g->nodes[v].depth};
    r->num_touched = 0;
    gather(r, &r->g->nodes[v], 1);
    BLI_TRY(make_row(r, map));
    return bli_cmvm_sum(to, &r->row, to->ternary, &map[v]);
}

static bl_status rebuild(regroup *r, bli_adder_graph *to, bli_adder_term *map)
{
    const bli_adder_graph *g = r->g;
    for (int32_t v = 0; v < g->num_nodes; v++) {
        if (v < g->num_inputs)
            map[v] = (bli_adder_term){v, 0, false};
        else if (!is_part(r, v) && !r->gone[v])
            BLI_TRY(make_group(r, v, to, map));
    }
    for (int32_t j = 0; j < g->num_outputs; j++) {
        bli_adder_output *y = &to->outputs[j];
        *y = g->outputs[j];
        if (y->node < 0)
            continue;
        const bli_adder_term *t = &map[y->node];
        *y = (bli_adder_output){t->node, y->shift + t->shift, y->negative != t->negative, 0};
    }
    return BL_OK;
}

static bl_status take_memory(regroup *r, bli_adder_term **map)
{
    const size_t n = (size_t)r->g->num_nodes, terms = BLI_ADDER_TERMS * n;
    BLI_TRY(bli_arena_create(r->g->ctx, &r->arena));
    r->uses = bli_arena_array(r->arena, n, sizeof *r->uses);
    r->owner = bli_arena_array(r->arena, n, sizeof *r->owner);
    r->size = bli_arena_array(r->arena, n, sizeof *r->size);
    r->first = bli_arena_array(r->arena, n, sizeof *r->first);
    r->readers = bli_arena_array(r->arena, terms, sizeof *r->readers);
    r->chain = bli_arena_array(r->arena, terms, sizeof *r->chain);
    r->subject = bli_arena_array(r->arena, terms, sizeof *r->subject);
    r->heads = bli_arena_array(r->arena, n, sizeof *r->heads);
    r->stamp = bli_arena_array(r->arena, n, sizeof *r->stamp);
    r->gain = bli_arena_array(r->arena, n, sizeof *r->gain);
    r->gone = bli_arena_array(r->arena, n, sizeof *r->gone);
    r->factor = bli_arena_array(r->arena, n, sizeof *r->factor);
    r->touched = bli_arena_array(r->arena, terms, sizeof *r->touched);
    *map = bli_arena_array(r->arena, n, sizeof **map);
    const bool ok = r->uses && r->owner && r->size && r->first && r->readers && r->chain && r->subject && r->heads &&
                    r->stamp && r->gain && r->gone && r->factor && r->touched && *map;
    for (size_t v = 0; ok && v < n; v++)
        r->first[v] = r->heads[v] = -1;
    return ok ? BL_OK : BL_NO_MEMORY;
}

static bl_status run(regroup *r, bli_adder_graph **out)
{
    bli_adder_term *map;
    BLI_TRY(take_memory(r, &map));
    count_uses(r);
    find_groups(r);
    if (r->g->ternary) {
        weigh(r);
        choose(r);
    }
    BLI_TRY(bli_adder_graph_like(r->g, out));
    return rebuild(r, *out, map);
}

bl_status bli_cmvm_regroup(const bli_adder_graph *g, bli_adder_graph **out)
{
    regroup r = {.g = g};
    *out = NULL;
    bl_status s = run(&r, out);
    bli_arena_destroy(r.arena);
    if (s == BL_OK)
        s = bli_adder_graph_clean(out);
    if (s == BL_OK)
        return BL_OK;
    bli_adder_graph_destroy(*out);
    *out = NULL;
    return s;
}
