/* cmvm_constants.c: the constant of each output, appended, or folded into the sum.
 *
 * Folding: nodes that only this output reads, directly or through each other, form its own tree, and each offers
 * constants for nothing (adder_graph.h): a carry-in, or the bits that a shifted operand leaves empty.  A beam search
 * over the nodes chooses what they add; where something is left, it goes to the operand or output where that is
 * cheapest.
 */
#include <string.h>

#include "program/cmvm_impl.h"

/* ---- appended --------------------------------------------------------------------------------------------------- */
static bl_status append(bli_adder_graph *g, bli_adder_output *y, int64_t constant)
{
    if (y->node < 0) {
        y->constant = constant;
        return BL_OK;
    }
    if (constant == 0)
        return BL_OK;
    const bli_adder_node n = {
        .num_terms = 1, .term = {{y->node, (int16_t)y->shift, y->negative}}, .constant = constant};
    *y = (bli_adder_output){.node = -1};
    return bli_adder_graph_add(g, &n, &y->node);
}

bl_status bli_cmvm_append_constants(bli_adder_graph *g, const int64_t *constant)
{
    for (int32_t j = 0; j < g->num_outputs; j++)
        BLI_TRY(append(g, &g->outputs[j], constant[j]));
    return BL_OK;
}

/* ---- an output's own tree --------------------------------------------------------------------------------------- */
enum { SLOTS = 32, BEAM = 48, CHOICES = 3 };

typedef struct slot {
    int32_t node;
    int64_t factor; /* of the node in the output */
} slot;

typedef struct candidate {
    int64_t rest; /* still to be added */
    int32_t from; /* in the level before */
    int64_t chosen;
} candidate;

typedef struct level {
    candidate at[BEAM];
    int count;
} level;

typedef struct fold {
    const bli_adder_graph *g;
    int limit;
    int32_t *uses;
    int64_t *own;                     /* constant of a node */
    int64_t (*edge)[BLI_ADDER_TERMS]; /* constant of an operand */
    int64_t *last;                    /* constant behind an output */
    slot slots[SLOTS];
    int num_slots;
    level *levels; /* SLOTS + 1 */
} fold;

static int64_t term_factor(const bli_adder_term *t)
{
    return ((int64_t)1 << t->shift) * (t->negative ? -1 : 1);
}

static void find_slots(fold *f, int32_t v, int64_t factor)
{
    const bli_adder_node *n = &f->g->nodes[v];
    if (v < f->g->num_inputs || f->uses[v] != 1 || f->num_slots == SLOTS)
        return;
    f->slots[f->num_slots++] = (slot){v, factor};
    for (int t = 0; t < n->num_terms; t++)
        find_slots(f, n->term[t].node, factor * term_factor(&n->term[t]));
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* The shift of the node's higher term, which scales what it offers. */
static int high_shift(const bli_adder_node *n)
{
    return n->term[0].shift > n->term[1].shift ? n->term[0].shift : n->term[1].shift;
}

static bool low_is_negative(const bli_adder_node *n)
{
    return n->term[0].shift < n->term[1].shift ? n->term[0].negative
                                               : n->term[1].negative && n->term[1].shift < n->term[0].shift;
}

static bool offers(const bli_adder_node *n)
{
    return n->num_terms == 2 && n->cost > 0 && n->constant == 0;
}

/* Largest steps first, so that the small ones can mend what is left. */
static void sort_slots(fold *f)
{
    for (int k = 1; k < f->num_slots; k++)
        for (int i = k; i > 0; i--) {
            slot *a = &f->slots[i - 1], *b = &f->slots[i];
            const bli_adder_node *na = &f->g->nodes[a->node], *nb = &f->g->nodes[b->node];
            const int64_t x = magnitude(a->factor) * (offers(na) ? (int64_t)1 << high_shift(na) : 0);
            const int64_t y = magnitude(b->factor) * (offers(nb) ? (int64_t)1 << high_shift(nb) : 0);
            if (x >= y)
                break;
            const slot swap = *a;
            *a = *b;
            *b = swap;
        }
}

/* Constants that the node takes for nothing, of which the last fills empty bits with what rest wants there. */
static int choices_of(const bli_adder_node *n, int64_t factor, int64_t rest, int64_t choice[CHOICES])
{
    choice[0] = 0;
    if (!offers(n))
        return 1;
    const int64_t step = (int64_t)1 << high_shift(n);
    if (!low_is_negative(n)) {
        choice[1] = n->term[0].negative || n->term[1].negative ? -step : step;
        return 2;
    }
    choice[1] = -1;
    choice[2] = (rest / factor) & (step - 1);
    return 3;
}

/* ---- the beam --------------------------------------------------------------------------------------------------- */
/* About what adding the rest costs: nothing, or a short or a long number. */
static int rest_price(int64_t rest)
{
    if (rest == 0)
        return 0;
    return 8 + bli_adder_bits(0, magnitude(rest)) - __builtin_ctzll((uint64_t)rest);
}

/* Kept sorted by price; one of each rest. */
static void offer_candidate(level *l, candidate c)
{
    const int price = rest_price(c.rest);
    int at = l->count;
    for (int k = 0; k < l->count; k++)
        if (l->at[k].rest == c.rest)
            return;
    while (at > 0 && rest_price(l->at[at - 1].rest) > price)
        at--;
    if (at == BEAM)
        return;
    const int end = l->count < BEAM ? l->count++ : BEAM - 1;
    for (int k = end; k > at; k--)
        l->at[k] = l->at[k - 1];
    l->at[at] = c;
}

/* Chooses constants for the slots; returns what is left of the wanted one. */
static int64_t spend(fold *f, int64_t wanted)
{
    level *l = f->levels;
    l[0] = (level){.at = {{wanted, 0, 0}}, .count = 1};
    for (int k = 0; k < f->num_slots; k++) {
        const slot *s = &f->slots[k];
        l[k + 1].count = 0;
        for (int32_t c = 0; c < l[k].count; c++) {
            int64_t choice[CHOICES];
            const int64_t rest = l[k].at[c].rest;
            const int count = choices_of(&f->g->nodes[s->node], s->factor, rest, choice);
            for (int i = 0; i < count; i++)
                offer_candidate(&l[k + 1], (candidate){rest - choice[i] * s->factor, c, choice[i]});
        }
    }
    int32_t at = 0;
    for (int k = f->num_slots; k > 0; k--) {
        f->own[f->slots[k - 1].node] = l[k].at[at].chosen;
        at = l[k].at[at].from;
    }
    return l[f->num_slots].at[0].rest;
}

/* ---- what is left ----------------------------------------------------------------------------------------------- */
static int constant_cost(const bli_adder_graph *g, int32_t w, int64_t constant)
{
    bli_adder_node n = {.num_terms = 1, .term = {{w, 0, false}}, .constant = constant};
    n.lo = g->nodes[w].lo + constant;
    n.hi = g->nodes[w].hi + constant;
    return bli_adder_cost(g, &n);
}

/* One more level below term t keeps the node's depth, or there is room for it. */
static bool has_room(const fold *f, const bli_adder_node *n, int t, int root_depth)
{
    int others = 0;
    for (int k = 0; k < n->num_terms; k++) {
        const int depth = f->g->nodes[n->term[k].node].depth;
        others = k != t && depth > others ? depth : others;
    }
    return f->g->nodes[n->term[t].node].depth + 1 <= others || root_depth < f->limit;
}

static void place_rest(fold *f, int32_t j, int64_t rest)
{
    const bli_adder_output *y = &f->g->outputs[j];
    const bli_adder_node *root = &f->g->nodes[y->node];
    int64_t *best = &f->last[j], best_value = rest;
    bli_adder_node whole = {.num_terms = 1, .term = {{y->node, (int16_t)y->shift, y->negative}}, .constant = rest};
    const int64_t a = root->lo * ((int64_t)1 << y->shift), b = root->hi * ((int64_t)1 << y->shift);
    whole.lo = (y->negative ? -b : a) + rest;
    whole.hi = (y->negative ? -a : b) + rest;
    int least = bli_adder_cost(f->g, &whole) + (root->depth < f->limit ? 0 : 1000);
    for (int k = 0; rest != 0 && k < f->num_slots; k++) {
        const bli_adder_node *n = &f->g->nodes[f->slots[k].node];
        for (int t = 0; t < n->num_terms; t++) {
            const int64_t factor = f->slots[k].factor * term_factor(&n->term[t]);
            if (rest % factor != 0 || !has_room(f, n, t, root->depth))
                continue;
            const int cost = constant_cost(f->g, n->term[t].node, rest / factor);
            if (cost < least) {
                least = cost;
                best = &f->edge[f->slots[k].node][t];
                best_value = rest / factor;
            }
        }
    }
    *best += best_value;
}

/* Bits below the output's shift are wires behind it. */
static void fold_output(fold *f, int32_t j, int64_t constant)
{
    const bli_adder_output *y = &f->g->outputs[j];
    const int64_t low = constant & (((int64_t)1 << y->shift) - 1);
    f->num_slots = 0;
    if (constant == 0)
        return;
    find_slots(f, y->node, ((int64_t)1 << y->shift) * (y->negative ? -1 : 1));
    sort_slots(f);
    f->last[j] = low;
    place_rest(f, j, spend(f, constant - low));
}

/* ---- the new graph ---------------------------------------------------------------------------------------------- */
static bl_status rebuild(const fold *f, bli_adder_graph *to, int32_t *map)
{
    for (int32_t v = 0; v < f->g->num_nodes; v++) {
        bli_adder_node n = f->g->nodes[v];
        map[v] = v;
        if (v < f->g->num_inputs)
            continue;
        n.constant += f->own[v];
        for (int t = 0; t < n.num_terms; t++) {
            bli_adder_node below = {
                .num_terms = 1, .term = {{map[n.term[t].node], 0, false}}, .constant = f->edge[v][t]};
            n.term[t].node = below.term[0].node;
            if (below.constant != 0)
                BLI_TRY(bli_adder_graph_add(to, &below, &n.term[t].node));
        }
        BLI_TRY(bli_adder_graph_add(to, &n, &map[v]));
    }
    for (int32_t j = 0; j < f->g->num_outputs; j++) {
        to->outputs[j] = f->g->outputs[j];
        if (to->outputs[j].node >= 0)
            to->outputs[j].node = map[to->outputs[j].node];
        BLI_TRY(append(to, &to->outputs[j], f->last[j]));
    }
    return BL_OK;
}

static void count_uses(fold *f)
{
    for (int32_t v = f->g->num_inputs; v < f->g->num_nodes; v++)
        for (int t = 0; t < f->g->nodes[v].num_terms; t++)
            f->uses[f->g->nodes[v].term[t].node]++;
    for (int32_t j = 0; j < f->g->num_outputs; j++)
        if (f->g->outputs[j].node >= 0)
            f->uses[f->g->outputs[j].node]++;
}

static bl_status run(fold *f, bli_arena *arena, const int64_t *constant, bli_adder_graph **out)
{
    const size_t n = (size_t)f->g->num_nodes;
    f->uses = bli_arena_array(arena, n, sizeof *f->uses);
    f->own = bli_arena_array(arena, n, sizeof *f->own);
    f->edge = bli_arena_array(arena, n, sizeof *f->edge);
    f->last = bli_arena_array(arena, (size_t)f->g->num_outputs, sizeof *f->last);
    f->levels = bli_arena_array(arena, SLOTS + 1, sizeof *f->levels);
    if (!f->uses || !f->own || !f->edge || !f->last || !f->levels)
        return BL_NO_MEMORY;
    count_uses(f);
    for (int32_t j = 0; j < f->g->num_outputs; j++) {
        if (f->g->outputs[j].node >= 0)
            fold_output(f, j, constant[j]);
        else
            f->last[j] = constant[j];
    }
    BLI_TRY(bli_adder_graph_like(f->g, out));
    return rebuild(f, *out, f->uses);
}

bl_status bli_cmvm_fold_constants(const bli_adder_graph *g, const int64_t *constant, int limit, bli_adder_graph **out)
{
    fold f = {.g = g, .limit = limit};
    bli_arena *arena;
    *out = NULL;
    BLI_TRY(bli_arena_create(g->ctx, &arena));
    bl_status s = run(&f, arena, constant, out);
    bli_arena_destroy(arena);
    if (s != BL_OK)
        bli_adder_graph_replace(out, NULL);
    return s;
}
