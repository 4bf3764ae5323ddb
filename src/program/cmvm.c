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
    bli_adder_graph *linear, *best; /* before and after finishing */
    bli_cmvm_way best_way;
} search;

/* Takes linear over, or destroys it. */
static bl_status consider(search *s, bli_adder_graph *linear, const bli_cmvm_way *way)
{
    bli_adder_graph *g;
    bl_status status = bli_cmvm_finish(s->c, linear, s->limit, &g);
    if (status != BL_OK || (s->best != NULL && !bli_cmvm_is_better(g, s->best, s->limit))) {
        bli_adder_graph_destroy(g);
        bli_adder_graph_destroy(linear);
        return status;
    }
    bli_adder_graph_replace(&s->best, g);
    bli_adder_graph_replace(&s->linear, linear);
    s->best_way = *way;
    return BL_OK;
}

static bl_status try_way(search *s, const bli_cmvm_tree *tree, const bli_cmvm_way *way)
{
    bli_adder_graph *g;
    BLI_TRY(bli_cmvm_try(s->c, tree, way, s->limit, s->o->ternary, &g));
    return g == NULL ? BL_OK : consider(s, g, way);
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

static bl_status try_again(search *s, int count)
{
    for (int k = 0; k < count; k++) {
        bli_adder_graph *g;
        bli_cmvm_way way = s->best_way;
        way.seed = (uint32_t)(2 * k + 1) * 0x9e3779b9u;
        way.most = 2 + k % 2;
        way.share = 32 << k % 3;
        BLI_TRY(bli_cmvm_reshare(s->linear, &way, &g));
        BLI_TRY(consider(s, g, &way));
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
        BLI_TRY(try_again(s, s->o->effort > 2 ? 64 : 8));
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
    bli_adder_graph_destroy(s.linear);
    bli_cmvm_columns_free(&c);
    return status;
}
