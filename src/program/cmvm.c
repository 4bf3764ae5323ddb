/* cmvm.c: tries ways and keeps the graph of the lowest counted cost.
 *
 * Every spanning tree is tried with the usual score; the best trees then with the other scores and other ties.  How
 * many depends on how large the problem is, counted in pairs of digits, so that large layers end in seconds.
 */
#include <string.h>

#include "program/cmvm_try.h"

typedef struct search {
    const bli_cmvm_columns *c;
    const bli_cmvm_options *o;
    int limit;
    bli_adder_graph *best;
    bli_cmvm_way best_way;
    int64_t best_cost;
} search;

static bool is_better(const search *s, const bli_adder_graph *g)
{
    const bli_adder_summary new = bli_adder_graph_summary(g);
    if (s->best == NULL || new.cost != s->best_cost)
        return s->best == NULL || new.cost < s->best_cost;
    return new.depth < bli_adder_graph_summary(s->best).depth;
}

static bl_status try_way(search *s, const bli_cmvm_tree *tree, const bli_cmvm_way *way)
{
    bli_adder_graph *g;
    BLI_TRY(bli_cmvm_try(s->c, tree, way, s->limit, s->o->ternary, &g));
    if (g == NULL || !is_better(s, g)) {
        bli_adder_graph_destroy(g);
        return BL_OK;
    }
    bli_adder_graph_replace(&s->best, g);
    s->best_cost = bli_adder_graph_summary(g).cost;
    s->best_way = *way;
    return BL_OK;
}

static bl_status try_tree(search *s, const bli_cmvm_way *way)
{
    bli_cmvm_tree tree;
    BLI_TRY(bli_cmvm_tree_grow(s->c->ctx, s->c->columns, s->c->inputs, s->c->unique, way->dc, &tree));
    bl_status status = try_way(s, &tree, way);
    bli_cmvm_tree_free(s->c->ctx, &tree);
    return status;
}

/* A graph without any sharing: what the search starts from, and what always exists. */
static bl_status try_plain(search *s)
{
    return try_tree(s, &(bli_cmvm_way){.dc = -1, .least = INT32_MAX});
}

static bl_status try_trees(search *s)
{
    const int deepest = bli_cmvm_ceil_log2(s->c->inputs);
    for (int dc = -1; dc <= (s->o->effort > 1 ? deepest : -1); dc++)
        BLI_TRY(try_tree(s, &(bli_cmvm_way){.dc = dc, .least = 2}));
    return BL_OK;
}

static bl_status try_scores(search *s)
{
    const int dc = s->best_way.dc;
    for (bli_cmvm_score score = BLI_CMVM_MC; score < BLI_CMVM_SCORES; score++)
        BLI_TRY(try_tree(s, &(bli_cmvm_way){.dc = dc, .score = score, .least = 2}));
    for (int least = 3; s->o->ternary && least <= 4; least++)
        BLI_TRY(try_tree(s, &(bli_cmvm_way){.dc = dc, .score = s->best_way.score, .least = least}));
    return BL_OK;
}

static bl_status try_seeds(search *s, int count)
{
    for (int k = 0; k < count; k++) {
        bli_cmvm_way way = s->best_way;
        way.seed = (uint32_t)(2 * k + 1) * 0x9e3779b9u;
        BLI_TRY(try_tree(s, &way));
    }
    return BL_OK;
}

static bl_status search_all(search *s)
{
    BLI_TRY(try_plain(s));
    if (s->best == NULL)
        return bli_fail(s->c->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    if (s->o->effort < 1)
        return BL_OK;
    BLI_TRY(try_trees(s));
    if (s->o->effort > 1) {
        BLI_TRY(try_scores(s));
        BLI_TRY(try_seeds(s, s->o->effort > 2 ? 16 : 4));
    }
    return BL_OK;
}

bl_status bli_cmvm_solve(bl_context *ctx, const bli_cmvm_problem *p, const bli_cmvm_options *o, bli_adder_graph **out)
{
    bli_cmvm_columns c;
    *out = NULL;
    BLI_TRY(bli_cmvm_columns_make(ctx, p, &c));
    search s = {.c = &c, .o = o, .limit = BLI_CMVM_NO_LIMIT};
    if (o->extra_depth >= 0 && o->extra_depth < BLI_CMVM_NO_LIMIT - c.depth)
        s.limit = c.depth + o->extra_depth;
    bl_status status = search_all(&s);
    if (status == BL_OK)
        status = bli_adder_graph_verify(s.best, c.matrix, c.constant);
    if (status == BL_OK)
        *out = s.best;
    else
        bli_adder_graph_destroy(s.best);
    bli_cmvm_columns_free(&c);
    return status;
}
