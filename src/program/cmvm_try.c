/* cmvm_try.c: the two stages.
 *
 * First the edges of a spanning tree are built as sums over inputs, then each column as the ± sum over the edges on its
 * path from the zero column; both stages share what they can.  Without a tree each column is its own edge and the
 * second stage has nothing to do.
 */
#include <string.h>

#include "program/cmvm_try.h"
#include "program/csd.h"

/* Without a limit: paths of up to 2^20 edges still fit below 2^60. */
enum { EDGE_NO_LIMIT = 40 };

typedef struct attempt {
    const bli_cmvm_columns *c;
    const bli_cmvm_tree *tree;
    bli_adder_graph *g;
    bli_arena *arena;
    int limit;
    bli_cmvm_row *rows;   /* of the stage at hand */
    bli_adder_term *edge; /* built */
    int32_t *path;        /* edges on the way from zero to a column, itself included */
    int32_t *longest;     /* path of a column's deepest descendant */
} attempt;

static size_t digits(int64_t x)
{
    return (size_t)bli_csd_digits(x);
}

/* ---- the first stage -------------------------------------------------------------------------------------------- */
static int64_t edge_factor(const attempt *a, int32_t j, int32_t i)
{
    const size_t n = (size_t)a->c->inputs;
    const int32_t p = a->tree->parent[j];
    const int64_t own = a->c->columns[(size_t)j * n + (size_t)i];
    if (p < 0)
        return own;
    const int64_t other = a->c->columns[(size_t)p * n + (size_t)i];
    return a->tree->negative[j] ? own + other : own - other;
}

static void measure_paths(attempt *a)
{
    const int32_t count = a->c->unique;
    for (int32_t k = 0; k < count; k++) {
        const int32_t j = a->tree->order[k], p = a->tree->parent[j];
        a->path[j] = 1 + (p < 0 ? 0 : a->path[p]);
        a->longest[j] = a->path[j];
    }
    for (int32_t k = count - 1; k >= 0; k--) {
        const int32_t j = a->tree->order[k], p = a->tree->parent[j];
        if (p >= 0 && a->longest[j] > a->longest[p])
            a->longest[p] = a->longest[j];
    }
}

/* An edge on paths of P edges may be limit - ceil log2 P deep: then the path's sum keeps the limit. */
static bl_status edge_row(attempt *a, int32_t j, bool *possible)
{
    size_t count = 0;
    bli_cmvm_row *row = &a->rows[j];
    for (int32_t i = 0; i < a->c->inputs; i++)
        count += digits(edge_factor(a, j, i));
    row->terms = bli_arena_array(a->arena, count, sizeof *row->terms);
    if (row->terms == NULL)
        return BL_NO_MEMORY;
    for (int32_t i = 0; i < a->c->inputs; i++)
        bli_cmvm_add_digits(row, i, edge_factor(a, j, i));
    row->limit = a->limit - bli_cmvm_ceil_log2(a->longest[j]);
    if (row->limit > EDGE_NO_LIMIT)
        row->limit = EDGE_NO_LIMIT;
    *possible = *possible && bli_cmvm_ceil_log2((int64_t)count) <= row->limit;
    return BL_OK;
}

static bl_status build_edges(attempt *a, const bli_cmvm_way *way, bool *possible)
{
    for (int32_t j = 0; j < a->c->unique; j++)
        BLI_TRY(edge_row(a, j, possible));
    if (!*possible)
        return BL_OK;
    BLI_TRY(bli_cmvm_share(a->g, a->rows, a->c->unique, way));
    for (int32_t j = 0; j < a->c->unique; j++)
        BLI_TRY(bli_cmvm_sum(a->g, &a->rows[j], false, &a->edge[j]));
    return BL_OK;
}

/* ---- the second stage ------------------------------------------------------------------------------------------- */
typedef struct part {
    int32_t node;
    int64_t factor;
} part;

/* Edges may be one node: factors of equal nodes are added before they become digits. */
static int32_t gather_path(const attempt *a, int32_t j, part *parts)
{
    int32_t count = 0;
    for (bool minus = false; j >= 0; minus = minus != a->tree->negative[j], j = a->tree->parent[j]) {
        const bli_adder_term *e = &a->edge[j];
        const int64_t factor = (minus != e->negative ? -1 : 1) * ((int64_t)1 << e->shift);
        int32_t k = 0;
        while (k < count && parts[k].node != e->node)
            k++;
        if (k == count)
            parts[count++] = (part){e->node, 0};
        parts[k].factor += factor;
    }
    return count;
}

static bl_status path_row(attempt *a, int32_t j, part *parts)
{
    const int32_t count = gather_path(a, j, parts);
    size_t terms = 0;
    for (int32_t k = 0; k < count; k++)
        terms += digits(parts[k].factor);
    bli_cmvm_row *row = &a->rows[j];
    *row = (bli_cmvm_row){bli_arena_array(a->arena, terms, sizeof *row->terms), 0, a->limit, 0};
    if (row->terms == NULL)
        return BL_NO_MEMORY;
    for (int32_t k = 0; k < count; k++)
        bli_cmvm_add_digits(row, parts[k].node, parts[k].factor);
    return BL_OK;
}

static bl_status join_edges(attempt *a, const bli_cmvm_way *way)
{
    part *parts = bli_arena_array(a->arena, (size_t)a->c->unique, sizeof *parts);
    if (parts == NULL)
        return BL_NO_MEMORY;
    for (int32_t j = 0; j < a->c->unique; j++)
        BLI_TRY(path_row(a, j, parts));
    BLI_TRY(bli_cmvm_share(a->g, a->rows, a->c->unique, way));
    for (int32_t j = 0; j < a->c->unique; j++)
        BLI_TRY(bli_cmvm_sum(a->g, &a->rows[j], false, &a->edge[j]));
    return BL_OK;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */
static bl_status take_memory(attempt *a, bool ternary)
{
    const size_t n = (size_t)a->c->unique;
    BLI_TRY(bli_arena_create(a->c->ctx, &a->arena));
    BLI_TRY(bli_adder_graph_create(a->c->ctx, a->c->range, a->c->inputs, a->c->outputs, ternary, &a->g));
    a->rows = bli_arena_array(a->arena, n, sizeof *a->rows);
    a->edge = bli_arena_array(a->arena, n, sizeof *a->edge);
    a->path = bli_arena_array(a->arena, n, sizeof *a->path);
    a->longest = bli_arena_array(a->arena, n, sizeof *a->longest);
    return a->rows && a->edge && a->path && a->longest ? BL_OK : BL_NO_MEMORY;
}

static void set_outputs(attempt *a)
{
    for (int32_t j = 0; j < a->c->outputs; j++) {
        const int32_t u = a->c->of[j];
        if (u < 0)
            continue;
        const bli_adder_term *t = &a->edge[u];
        a->g->outputs[j] = (bli_adder_output){
            .node = t->node, .shift = t->shift + a->c->shift[j], .negative = t->negative != a->c->negative[j]};
    }
}

static bl_status attempt_all(attempt *a, const bli_cmvm_way *way, bool ternary, bool *possible)
{
    BLI_TRY(take_memory(a, ternary));
    measure_paths(a);
    BLI_TRY(build_edges(a, way, possible));
    if (!*possible)
        return BL_OK;
    if (way->dc >= 0)
        BLI_TRY(join_edges(a, way));
    set_outputs(a);
    return bli_adder_graph_clean(&a->g);
}

bl_status bli_cmvm_try(const bli_cmvm_columns *c, const bli_cmvm_tree *tree, const bli_cmvm_way *way, int limit,
                       bool ternary, bli_adder_graph **out)
{
    attempt a = {.c = c, .tree = tree, .limit = limit};
    bool possible = true;
    *out = NULL;
    bl_status s = attempt_all(&a, way, ternary, &possible);
    if (s == BL_OK && possible) {
        *out = a.g;
        a.g = NULL;
    }
    bli_adder_graph_destroy(a.g);
    bli_arena_destroy(a.arena);
    return s == BL_LIMIT ? BL_OK : s;
}

/* ---- finishing -------------------------------------------------------------------------------------------------- */
bool bli_cmvm_is_better(const bli_adder_graph *g, const bli_adder_graph *than, const bli_cmvm_goal *goal)
{
    const bli_adder_summary new = bli_adder_graph_summary(g), old = bli_adder_graph_summary(than);
    if ((new.depth > goal->limit) != (old.depth > goal->limit))
        return old.depth > goal->limit;
    if (goal->by_adders && new.adders != old.adders)
        return new.adders < old.adders;
    const int64_t new_weight = bli_cmvm_weight(new.cost, new.luts), old_weight = bli_cmvm_weight(old.cost, old.luts);
    return new_weight != old_weight ? new_weight < old_weight : new.depth < old.depth;
}

/* Takes by over: it replaces *g, or goes. */
static void keep_better(bli_adder_graph **g, bli_adder_graph *by, const bli_cmvm_goal *goal)
{
    if (bli_cmvm_is_better(by, *g, goal))
        bli_adder_graph_replace(g, by);
    else
        bli_adder_graph_destroy(by);
}

/* g regrouped and oriented, or a copy of it oriented where that is better. */
static bl_status regroup(const bli_adder_graph *g, const bli_cmvm_goal *goal, bli_adder_graph **out)
{
    BLI_TRY(bli_cmvm_regroup(g, out));
    if (!bli_cmvm_is_better(*out, g, goal)) {
        bli_adder_graph_replace(out, NULL);
        BLI_TRY(bli_adder_graph_copy(g, out));
    }
    bl_status s = bli_cmvm_orient(out);
    if (s != BL_OK)
        bli_adder_graph_replace(out, NULL);
    return s;
}

/* Constants among the operands of sums. */
static bl_status finish_as_operands(const bli_cmvm_columns *c, const bli_adder_graph *linear, const bli_cmvm_goal *goal,
                                    bli_adder_graph **out)
{
    bli_adder_graph *whole;
    BLI_TRY(bli_adder_graph_copy(linear, &whole));
    bl_status s = bli_cmvm_append_constants(whole, c->constant);
    if (s == BL_OK)
        s = regroup(whole, goal, out);
    bli_adder_graph_destroy(whole);
    return s;
}

/* Constants in free places of chains. */
static bl_status finish_folded(const bli_cmvm_columns *c, const bli_adder_graph *linear, const bli_cmvm_goal *goal,
                               bli_adder_graph **out)
{
    bli_adder_graph *bare;
    BLI_TRY(regroup(linear, goal, &bare));
    bl_status s = bli_cmvm_fold_constants(bare, c->constant, goal->limit, out);
    bli_adder_graph_destroy(bare);
    return s;
}

bl_status bli_cmvm_finish(const bli_cmvm_columns *c, const bli_adder_graph *linear, const bli_cmvm_goal *goal,
                          bli_adder_graph **out)
{
    bool any = false;
    bli_adder_graph *other;
    *out = NULL;
    for (int32_t j = 0; j < c->outputs; j++)
        any = any || c->constant[j] != 0;
    if (!any)
        return regroup(linear, goal, out);
    BLI_TRY(finish_as_operands(c, linear, goal, out));
    if (linear->ternary)
        return BL_OK;
    bl_status s = finish_folded(c, linear, goal, &other);
    if (s == BL_OK)
        keep_better(out, other, goal);
    else
        bli_adder_graph_replace(out, NULL);
    return s;
}
