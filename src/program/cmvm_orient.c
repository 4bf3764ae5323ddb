/* cmvm_orient.c: which way round differences are taken.
 *
 * A node may stand for minus its sum where a term of it is then not negated; its readers turn that term's sign.  Some
 * ways are cheaper: a negated output must be negated by whoever reads it, and a node whose lowest term is negated has a
 * longer chain.  Nodes are turned, alone or together with some below them, as long as that saves something.  What each
 * node costs as things are is kept; a trial ends as soon as it costs as much.
 */
#include <string.h>

#include "program/cmvm_impl.h"

enum { NEGATION = 4, ILLEGAL = 1 << 20, ROUNDS = 8, SHORT_PATH = 2, LONG_PATH = 6 };

typedef struct orient {
    const bli_adder_graph *g;
    bool *turned;
    int32_t *first, *readers; /* readers of v: readers[first[v] .. first[v + 1]) */
    int32_t *outputs;         /* how many outputs read v as it is, and ... */
    int32_t *negated;         /* ... negated */
    int32_t *stamp, now;      /* nodes around the trial at hand */
    int *known;               /* what each node costs with the turns as they are */
    int32_t *around;          /* the trial's nodes and their readers ... */
    int *fresh;               /* ... and what they would cost */
    bool any;                 /* something was turned */
} orient;

/* ---- cost ------------------------------------------------------------------------------------------------------- */
/* The node as the turns have it. */
static bli_adder_node as_turned(const orient *o, int32_t v)
{
    bli_adder_node n = o->g->nodes[v];
    for (int t = 0; t < n.num_terms; t++)
        n.term[t].negative = n.term[t].negative != (o->turned[v] != o->turned[n.term[t].node]);
    if (o->turned[v]) {
        n.constant = -n.constant;
        n.lo = -o->g->nodes[v].hi;
        n.hi = -o->g->nodes[v].lo;
    }
    return n;
}

static int cost_of(const orient *o, int32_t v)
{
    bli_adder_node n = as_turned(o, v);
    const bli_adder_node *m = &o->g->nodes[v];
    const int negated = o->turned[v] ? o->outputs[v] : o->negated[v];
    const int weight = negated > 0 ? NEGATION * negated * bli_adder_bits(-m->hi, -m->lo) : 0;
    if (v < o->g->num_inputs)
        return weight;
    if (!bli_adder_is_legal(o->g, &n))
        return ILLEGAL;
    n.cost = bli_adder_cost(o->g, &n);
    return weight + (int)bli_cmvm_weight(n.cost, bli_adder_luts(o->g, &n));
}

static void list_once(orient *o, int32_t v, int32_t *count)
{
    if (o->stamp[v] != o->now)
        o->around[(*count)++] = v;
    o->stamp[v] = o->now;
}

/* The path first: it is what may become illegal. */
static int32_t list_around(orient *o, const int32_t *path, int count)
{
    int32_t num = 0;
    o->now++;
    for (int k = 0; k < count; k++)
        list_once(o, path[k], &num);
    for (int k = 0; k < count; k++)
        for (int32_t r = o->first[path[k]]; r < o->first[path[k] + 1]; r++)
            list_once(o, o->readers[r], &num);
    return num;
}

static bool is_cheaper(orient *o, int32_t num)
{
    int before = 0, after = 0;
    for (int32_t k = 0; k < num; k++)
        before += o->known[o->around[k]];
    for (int32_t k = 0; k < num && after < before; k++) {
        o->fresh[k] = cost_of(o, o->around[k]);
        after += o->fresh[k];
    }
    return after < before;
}

static void turn(orient *o, const int32_t *path, int count)
{
    for (int k = 0; k < count; k++)
        o->turned[path[k]] = !o->turned[path[k]];
}

/* Without a term that is added no node is legal, which most trials end at. */
static bool has_plus(const orient *o, const int32_t *path, int count)
{
    bool all = true;
    for (int k = 0; all && k < count; k++) {
        const bli_adder_node *n = &o->g->nodes[path[k]];
        const bool turned = o->turned[path[k]];
        bool plus = n->num_terms == 1;
        for (int t = 0; !plus && t < n->num_terms; t++)
            plus = n->term[t].negative == (turned != o->turned[n->term[t].node]);
        all = plus;
    }
    return all;
}

static bool try_turn(orient *o, const int32_t *path, int count)
{
    turn(o, path, count);
    const int32_t num = has_plus(o, path, count) ? list_around(o, path, count) : 0;
    if (num == 0 || !is_cheaper(o, num)) {
        turn(o, path, count);
        return false;
    }
    for (int32_t k = 0; k < num; k++)
        o->known[o->around[k]] = o->fresh[k];
    o->any = true;
    return true;
}

/* The path, or the path and one more operand, and so on down to most. */
static bool try_paths(orient *o, int32_t *path, int count, int most)
{
    const bli_adder_node *n = &o->g->nodes[path[count - 1]];
    if (try_turn(o, path, count))
        return true;
    for (int t = 0; count < most && t < n->num_terms; t++) {
        path[count] = n->term[t].node;
        if (path[count] >= o->g->num_inputs && try_paths(o, path, count + 1, most))
            return true;
    }
    return false;
}

/* A negated output is worth a longer way down to a difference. */
static bool try_all(orient *o)
{
    bool changed = false;
    for (int32_t v = o->g->num_nodes - 1; v >= o->g->num_inputs; v--) {
        int32_t path[LONG_PATH] = {v};
        const bool wants = (o->turned[v] ? o->outputs[v] : o->negated[v]) > 0;
        changed = try_paths(o, path, 1, wants ? LONG_PATH : SHORT_PATH) || changed;
    }
    return changed;
}

/* ---- before and after ------------------------------------------------------------------------------------------- */
static void list_readers(orient *o)
{
    const bli_adder_graph *g = o->g;
    for (int32_t u = g->num_inputs; u < g->num_nodes; u++)
        for (int t = 0; t < g->nodes[u].num_terms; t++)
            o->first[g->nodes[u].term[t].node]++;
    for (int32_t v = 0, end = 0; v <= g->num_nodes; v++) {
        end += o->first[v];
        o->first[v] = end;
    }
    for (int32_t u = g->num_inputs; u < g->num_nodes; u++)
        for (int t = 0; t < g->nodes[u].num_terms; t++)
            o->readers[--o->first[g->nodes[u].term[t].node]] = u;
    for (int32_t j = 0; j < g->num_outputs; j++)
        if (g->outputs[j].node >= 0)
            (g->outputs[j].negative ? o->negated : o->outputs)[g->outputs[j].node]++;
}

static bl_status rebuild(const orient *o, bli_adder_graph *to, int32_t *map)
{
    const bli_adder_graph *g = o->g;
    for (int32_t v = 0; v < g->num_nodes; v++) {
        bli_adder_node n = as_turned(o, v);
        map[v] = v;
        if (v < g->num_inputs)
            continue;
        for (int t = 0; t < n.num_terms; t++)
            n.term[t].node = map[n.term[t].node];
        BLI_TRY(bli_adder_graph_add(to, &n, &map[v]));
    }
    for (int32_t j = 0; j < g->num_outputs; j++) {
        bli_adder_output *y = &to->outputs[j];
        *y = g->outputs[j];
        if (y->node < 0)
            continue;
        y->negative = y->negative != o->turned[y->node];
        y->node = map[y->node];
    }
    return BL_OK;
}

static bl_status run(orient *o, bli_arena *arena, bli_adder_graph **out)
{
    const size_t n = (size_t)o->g->num_nodes;
    o->turned = bli_arena_array(arena, n, sizeof *o->turned);
    o->first = bli_arena_array(arena, n + 1, sizeof *o->first);
    o->readers = bli_arena_array(arena, BLI_ADDER_TERMS * n, sizeof *o->readers);
    o->outputs = bli_arena_array(arena, n, sizeof *o->outputs);
    o->negated = bli_arena_array(arena, n, sizeof *o->negated);
    o->stamp = bli_arena_array(arena, n, sizeof *o->stamp);
    o->known = bli_arena_array(arena, n, sizeof *o->known);
    o->around = bli_arena_array(arena, n, sizeof *o->around);
    o->fresh = bli_arena_array(arena, n, sizeof *o->fresh);
    if (!o->turned || !o->first || !o->readers || !o->outputs || !o->negated || !o->stamp || !o->known || !o->around ||
        !o->fresh)
        return BL_NO_MEMORY;
    list_readers(o);
    for (int32_t v = 0; v < o->g->num_nodes; v++)
        o->known[v] = cost_of(o, v);
    for (int round = 0; round < ROUNDS && try_all(o); round++)
        ;
    if (!o->any)
        return BL_OK;
    BLI_TRY(bli_adder_graph_like(o->g, out));
    return rebuild(o, *out, o->stamp);
}

bl_status bli_cmvm_orient(bli_adder_graph **g)
{
    orient o = {.g = *g};
    bli_arena *arena;
    bli_adder_graph *made = NULL;
    BLI_TRY(bli_arena_create((*g)->ctx, &arena));
    bl_status s = run(&o, arena, &made);
    bli_arena_destroy(arena);
    if (s == BL_OK && made != NULL)
        bli_adder_graph_replace(g, made);
    else
        bli_adder_graph_destroy(made);
    return s;
}
