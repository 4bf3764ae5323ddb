/* cmvm.c: tries ways and keeps the graph of the lowest counted cost.
 *
 * Every spanning tree is tried with the usual score, the best one then with the other scores and other ties, and then
 * the best graph is shared again in part, over and over; more effort goes on from there.  How many ways depends on how
 * large the problem is: work is counted in pairs of digits, so that large layers end in seconds, and the same call does
 * the same everywhere.
 */
#include <string.h>

#include "program/cmvm_try.h"

/* Pairs of digits that may be looked at; about 20 million a second on one core of 2020. */
#define WORK ((int64_t)32 << 20)
enum {
    TRIES_LEAST = 6,
    TRIES_MORE = 3,
    AGAIN_LEAST = 3,
    AGAIN_FROM = 4096,
    MORE = 8,
    MARGIN = 100,
    UNSHARED_MOST = 1024
};

typedef struct search {
    const bli_cmvm_columns *c;
    const bli_cmvm_options *o;
    bli_cmvm_goal goal;
    bli_adder_graph *linear, *best; /* before and after finishing */
    bli_cmvm_way best_way;
    int left;          /* tries */
    int seeds, shaken; /* tries with other ties so far, and times shared again */
} search;

/* ---- one try ---------------------------------------------------------------------------------------------------- */
static int64_t price_of(const search *s, const bli_adder_graph *g)
{
    const bli_adder_summary sum = bli_adder_graph_summary(g);
    return s->o->by_adders ? sum.adders : bli_cmvm_weight(sum.cost, sum.luts);
}

/* Finishing gains about as much everywhere: what is dearer by 1/MARGIN before it is not cheaper behind it.  But where
 * nothing is shared, threes gain more. */
static bool is_hopeless(const search *s, const bli_adder_graph *linear, const bli_cmvm_way *way)
{
    if (s->best == NULL || way->least == INT32_MAX)
        return false;
    const int64_t known = price_of(s, s->linear);
    return price_of(s, linear) > known + known / MARGIN;
}

/* Takes linear over. */
static bl_status consider(search *s, bli_adder_graph *linear, const bli_cmvm_way *way)
{
    bli_adder_graph *g = NULL;
    const bool hopeless = is_hopeless(s, linear, way);
    bl_status status = hopeless ? BL_OK : bli_cmvm_finish(s->c, linear, &s->goal, &g);
    if (hopeless || status != BL_OK || (s->best != NULL && !bli_cmvm_is_better(g, s->best, &s->goal))) {
        bli_adder_graph_destroy(g);
        bli_adder_graph_destroy(linear);
        return status;
    }
    bli_adder_graph_replace(&s->best, g);
    bli_adder_graph_replace(&s->linear, linear);
    s->best_way = *way;
    return BL_OK;
}

static bl_status try_way(search *s, const bli_cmvm_tree *tree, const bli_cmvm_way *way, int limit)
{
    bli_adder_graph *g;
    s->left--;
    BLI_TRY(bli_cmvm_try(s->c, tree, way, limit, s->o->ternary, &g));
    return g == NULL ? BL_OK : consider(s, g, way);
}

static bl_status grow(const search *s, int dc, bli_cmvm_tree *out)
{
    return bli_cmvm_tree_grow(s->c->ctx, s->c->columns, s->c->inputs, s->c->unique, dc, out);
}

static bl_status try_tree(search *s, const bli_cmvm_way *way, int limit)
{
    bli_cmvm_tree tree;
    BLI_TRY(grow(s, way->dc, &tree));
    bl_status status = try_way(s, &tree, way, limit);
    bli_cmvm_tree_free(s->c->ctx, &tree);
    return status;
}

/* Bits decide what adders cost; where only their number counts, sums of wide operands are rather shared again. */
static bli_cmvm_score usual(const search *s)
{
    return s->o->by_adders ? BLI_CMVM_WIDE : BLI_CMVM_WMC;
}

/* ---- the search ------------------------------------------------------------------------------------------------- */
static bool same_tree(const search *s, const bli_cmvm_tree *a, const bli_cmvm_tree *b)
{
    return memcmp(a->parent, b->parent, (size_t)s->c->unique * sizeof *a->parent) == 0;
}

/* A higher cap may give the same tree. */
static bl_status try_other_trees(search *s)
{
    const int deepest = bli_cmvm_ceil_log2(s->c->inputs);
    bli_cmvm_tree last;
    BLI_TRY(grow(s, -1, &last));
    bl_status status = BL_OK;
    for (int dc = 0; status == BL_OK && dc <= deepest && s->left > 0; dc++) {
        bli_cmvm_tree tree;
        status = grow(s, dc, &tree);
        if (status == BL_OK && !same_tree(s, &tree, &last))
            status = try_way(s, &tree, &(bli_cmvm_way){.dc = dc, .score = usual(s), .least = 2}, s->goal.limit);
        bli_cmvm_tree_free(s->c->ctx, &last);
        last = tree;
    }
    bli_cmvm_tree_free(s->c->ctx, &last);
    return status;
}

static bl_status try_score(search *s, bli_cmvm_score score)
{
    return try_tree(s, &(bli_cmvm_way){.dc = s->best_way.dc, .score = score, .least = 2}, s->goal.limit);
}

/* The last score is for little depth, and rarely the best even there. */
static bl_status try_scores(search *s)
{
    for (bli_cmvm_score score = BLI_CMVM_WMC; score < BLI_CMVM_WMCDC && s->left > 0; score++)
        if (score != usual(s))
            BLI_TRY(try_score(s, score));
    return BL_OK;
}

static uint32_t seed_of(int k)
{
    return (uint32_t)(2 * k + 1) * 0x9e3779b9u;
}

static bl_status try_seeds(search *s)
{
    while (s->left > 0) {
        bli_cmvm_way way = s->best_way;
        way.seed = seed_of(s->seeds++);
        BLI_TRY(try_tree(s, &way, s->goal.limit));
    }
    return BL_OK;
}

static bl_status try_again(search *s, int count)
{
    for (const int end = s->shaken + count; s->shaken < end; s->shaken++) {
        const int k = s->shaken;
        bli_adder_graph *g;
        bli_cmvm_way way = s->best_way;
        way.seed = seed_of(k);
        way.most = 2 + k % 2;
        way.share = 32 << k % 3;
        BLI_TRY(bli_cmvm_reshare(s->linear, &way, &g));
        BLI_TRY(consider(s, g, &way));
    }
    return BL_OK;
}

static int least_of(int64_t a, int64_t b, int64_t c)
{
    const int64_t least = a < b ? a : b;
    return (int)(least < c ? least : c);
}

/* Few for what is tiny, as all ways give the same there; few for what is huge, as each takes long.  Between them the
 * more is shared again the larger it is, as there is more to find. */
static void plan(const search *s, int *tries, int *again)
{
    const int64_t pairs = s->c->pairs, paid = WORK / (pairs + 1);
    const int size = bli_cmvm_ceil_log2(pairs / AGAIN_FROM);
    const int64_t often = AGAIN_LEAST * (2 + size) / 2, most = TRIES_LEAST + (size < TRIES_MORE ? size : TRIES_MORE);
    *tries = least_of(paid, most, 2 + pairs / 8);
    *again = least_of(paid, often, pairs / 16);
}

/* A graph without any sharing always exists; where there is much to share it is not the best. */
static bl_status try_unshared(search *s)
{
    if (s->o->effort > 0 && s->best != NULL && s->c->pairs > UNSHARED_MOST)
        return BL_OK;
    BLI_TRY(try_tree(s, &(bli_cmvm_way){.dc = -1, .least = INT32_MAX}, s->goal.limit));
    if (s->best == NULL)
        return bli_fail(s->c->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    return BL_OK;
}

/* What comes behind the usual effort, so that it never ends with less. */
static bl_status search_more(search *s, int tries, int again)
{
    if (tries > 0)
        BLI_TRY(try_score(s, BLI_CMVM_WMCDC));
    s->left = MORE * tries;
    BLI_TRY(try_seeds(s));
    return try_again(s, MORE * again);
}

static bl_status search_all(search *s)
{
    int tries, again;
    if (s->o->effort > 0)
        BLI_TRY(try_tree(s, &(bli_cmvm_way){.dc = -1, .score = usual(s), .least = 2}, s->goal.limit));
    BLI_TRY(try_unshared(s));
    if (s->o->effort < 2)
        return BL_OK;
    plan(s, &tries, &again);
    s->left = tries;
    BLI_TRY(try_other_trees(s));
    BLI_TRY(try_scores(s));
    BLI_TRY(try_seeds(s));
    BLI_TRY(try_again(s, again));
    return s->o->effort > 2 ? search_more(s, tries, again) : BL_OK;
}

bl_status bli_cmvm_solve(bl_context *ctx, const bli_cmvm_problem *p, const bli_cmvm_options *o, bli_adder_graph **out)
{
    bli_cmvm_columns c;
    *out = NULL;
    BLI_TRY(bli_cmvm_columns_make(ctx, p, &c));
    search s = {.c = &c, .o = o, .goal = {BLI_CMVM_NO_LIMIT, o->by_adders}};
    if (o->extra_depth >= 0 && o->extra_depth < BLI_CMVM_NO_LIMIT - c.depth)
        s.goal.limit = c.depth + o->extra_depth;
    bl_status status = search_all(&s);
    if (status == BL_OK)
        status = bli_adder_graph_verify(s.best, c.matrix, c.constant);
    if (status == BL_OK)
        *out = s.best;
    else
        bli_adder_graph_destroy(s.best);
    bli_adder_graph_destroy(s.linear);
    bli_cmvm_columns_free(&c);
    return status;
}
