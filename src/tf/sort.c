/* sort.c: nodes in an order in which they can run.
 *
 * The order is the original's: nodes that wait for nothing lie on a stack in the file's order, the last one runs first,
 * and whoever waits for it no longer is pushed.  A Merge waits for one of its data inputs.
 */
#include <string.h>

#include "tf/transform.h"

typedef struct sorter {
    const bli_tf_graph *g;
    size_t *waits;          /* inputs that have not run */
    size_t *first, *target; /* consumers: target[first[i] .. first[i + 1]), once an edge, in the file's order */
    size_t *stack, depth;
    bool bad;
} sorter;

static bool is_merge(const bli_tf_node *n)
{
    return bli_tg_op_is(n->op, "Merge|RefMerge|_XlaMerge");
}

/* Calls what for each edge of the graph; fails at the first unknown input unless partial. */
static bl_status each_edge(sorter *s, const bli_tf_index *ix, bool partial, void (*what)(sorter *, size_t, size_t))
{
    for (size_t i = 0; i < s->g->num_nodes; i++)
        for (size_t k = 0; k < s->g->nodes[i]->num_inputs; k++) {
            const char *input = s->g->nodes[i]->inputs[k];
            bli_tf_ref r = bli_tf_ref_parse(input);
            size_t from = bli_tf_index_find(ix, r.name, r.size);
            if (from != SIZE_MAX) {
                what(s, from, i);
                continue;
            }
            s->bad = true;
            if (!partial)
                return bli_fail(bli_tf_store_context(s->g->store), BL_BAD_MODEL,
                                "node '%s' (%s): input '%s' names no node of the graph", s->g->nodes[i]->name,
                                s->g->nodes[i]->op, input);
            return BL_OK;
        }
    return BL_OK;
}

static void count(sorter *s, size_t from, size_t to)
{
    (void)to;
    s->first[from + 1]++;
}

static void place(sorter *s, size_t from, size_t to)
{
    s->target[s->first[from]++] = to;
}

static bl_status find_consumers(sorter *s, bool partial)
{
    size_t n = s->g->num_nodes, edges = 0;
    bli_tf_index ix;
    for (size_t i = 0; i < n; i++)
        edges += s->g->nodes[i]->num_inputs;
    s->first = bli_tf_alloc_array(s->g->store, n + 2, sizeof *s->first);
    s->target = bli_tf_alloc_array(s->g->store, edges + 1, sizeof *s->target);
    if (!s->first || !s->target)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(s->g, &ix));
    bl_status status = each_edge(s, &ix, partial, count);
    for (size_t i = 1; i <= n; i++)
        s->first[i] += s->first[i - 1];
    if (status == BL_OK)
        status = each_edge(s, &ix, partial, place);
    memmove(s->first + 1, s->first, n * sizeof *s->first);
    s->first[0] = 0;
    bli_tf_index_free(&ix);
    return status;
}

static bl_status prepare(sorter *s, bool partial)
{
    size_t n = s->g->num_nodes;
    s->waits = bli_tf_alloc_array(s->g->store, n + 1, sizeof *s->waits);
    s->stack = bli_tf_alloc_array(s->g->store, n + 1, sizeof *s->stack);
    if (!s->waits || !s->stack)
        return BL_NO_MEMORY;
    BLI_TRY(find_consumers(s, partial));
    for (size_t i = 0; i < n; i++) {
        const bli_tf_node *node = s->g->nodes[i];
        size_t data = bli_tg_data_inputs(node);
        s->waits[i] = is_merge(node) && data ? node->num_inputs - data + 1 : node->num_inputs;
        if (s->waits[i] == 0)
            s->stack[s->depth++] = i;
    }
    return BL_OK;
}

static bl_status cycle(const sorter *s)
{
    size_t i = 0, stuck = 0;
    for (size_t k = s->g->num_nodes; k-- > 0;)
        if (s->waits[k] > 0 && s->waits[k] != SIZE_MAX) {
            stuck++;
            i = k;
        }
    return bli_fail(bli_tf_store_context(s->g->store), BL_BAD_MODEL,
                    "node '%s' (%s): one of %zu nodes that wait for each other in a cycle", s->g->nodes[i]->name,
                    s->g->nodes[i]->op, stuck);
}

bl_status bli_tg_sort(const bli_tf_graph *g, bool partial, size_t **order, size_t *out)
{
    sorter s = {.g = g};
    *out = 0;
    *order = bli_tf_alloc_array(g->store, g->num_nodes + 1, sizeof **order);
    if (!*order)
        return BL_NO_MEMORY;
    BLI_TRY(prepare(&s, partial));
    if (s.bad)
        return BL_OK;
    while (s.depth) {
        size_t i = s.stack[--s.depth];
        (*order)[(*out)++] = i;
        for (size_t k = s.first[i]; k < s.first[i + 1]; k++) {
            size_t to = s.target[k];
            if (s.waits[to] > 0 && --s.waits[to] == 0)
                s.stack[s.depth++] = to;
        }
    }
    return *out < g->num_nodes && !partial ? cycle(&s) : BL_OK;
}
