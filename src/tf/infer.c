/* infer.c: what is known of a graph's tensors before running, and which operators may be folded.
 *
 * Values of small integer tensors (shapes, axes, sizes) are followed too, as far as Const nodes give them.
 */
#include <string.h>

#include "tf/session.h"

bool bli_tf_evaluable(const char *op)
{
    return bli_tf_op_find(op) != NULL;
}

bool bli_tf_foldable(const char *op)
{
    const bli_tf_op *o = bli_tf_op_find(op);
    return o && !o->stateful;
}

typedef struct work {
    bl_context *ctx;
    const bli_tf_graph *g;
    bli_arena *arena;
    bli_tf_index index;
    bli_tf_arg **out;
    int *num_out;
    size_t *order, *waiting, *first, *next, *edge_to; /* consumers of a node, as lists */
    bli_tf_arg *in;
} work;

/* A loop's Merge does not wait for what comes back. */
static bool comes_back(const bli_tf_node *n, const bli_tf_node *from)
{
    return strstr(n->op, "Merge") && strstr(from->op, "NextIteration");
}

static bl_status make_order(work *w)
{
    const size_t n = w->g->num_nodes;
    size_t edges = 0, at = 0, done = 0;
    for (size_t i = 0; i < n; i++)
        edges += w->g->nodes[i]->num_inputs;
    w->order = bli_arena_array(w->arena, n + 1, sizeof *w->order);
    w->waiting = bli_arena_array(w->arena, n + 1, sizeof *w->waiting);
    w->first = bli_arena_array(w->arena, n + 1, sizeof *w->first);
    w->next = bli_arena_array(w->arena, edges + 1, sizeof *w->next);
    w->edge_to = bli_arena_array(w->arena, edges + 1, sizeof *w->edge_to);
    if (!w->order || !w->waiting || !w->first || !w->next || !w->edge_to)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const bli_tf_node *node = w->g->nodes[i];
        for (size_t k = 0; k < node->num_inputs; k++) {
            const bli_tf_ref r = bli_tf_ref_parse(node->inputs[k]);
            const size_t from = bli_tf_index_find(&w->index, r.name, r.size);
            if (from == SIZE_MAX)
                return bli_fail(w->ctx, BL_BAD_MODEL, "node '%s' (%s): input '%s' names no node of the graph",
                                node->name, node->op, node->inputs[k]);
            if (comes_back(node, w->g->nodes[from]))
                continue;
            w->edge_to[++at] = i;
            w->next[at] = w->first[from];
            w->first[from] = at;
            w->waiting[i]++;
        }
        if (w->waiting[i] == 0)
            w->order[done++] = i;
    }
    for (size_t i = 0; i < done; i++)
        for (size_t e = w->first[w->order[i]]; e; e = w->next[e])
            if (--w->waiting[w->edge_to[e]] == 0)
                w->order[done++] = w->edge_to[e];
    for (size_t i = 0; done < n && i < n; i++)
        if (w->waiting[i] > 0)
            return bli_fail(w->ctx, BL_BAD_MODEL, "node '%s' (%s): it is part of a cycle", w->g->nodes[i]->name,
                            w->g->nodes[i]->op);
    return BL_OK;
}

/* The data inputs of a node; fewer when a producer has fewer outputs than is asked for: then unknown. */
static bl_status gather(work *w, const bli_tf_node *n, int *num_in)
{
    *num_in = 0;
    w->in = bli_alloc_array(w->ctx, n->num_inputs + 1, sizeof *w->in);
    if (!w->in)
        return BL_NO_MEMORY;
    for (size_t k = 0; k < n->num_inputs; k++) {
        const bli_tf_ref r = bli_tf_ref_parse(n->inputs[k]);
        if (r.control)
            continue;
        const size_t from = bli_tf_index_find(&w->index, r.name, r.size);
        bli_tf_arg *a = &w->in[(*num_in)++];
        *a = (bli_tf_arg){.shape = BLI_TF_UNKNOWN_SHAPE};
        if (r.port >= 0 && r.port < w->num_out[from])
            *a = w->out[from][r.port];
        else if (w->num_out[from] > 0)
            return bli_fail(w->ctx, BL_BAD_MODEL, "input '%s': node '%s' has %d outputs", n->inputs[k],
                            w->g->nodes[from]->name, w->num_out[from]);
    }
    return BL_OK;
}

static bl_status infer_node(work *w, size_t i)
{
    const bli_tf_node *n = w->g->nodes[i];
    const bli_tf_op *op = bli_tf_op_find(n->op);
    int num_in = 0;
    if (!op)
        return BL_OK;
    BLI_TRY(gather(w, n, &num_in));
    BLI_TRY(bli_tf_op_outputs(w->ctx, op, n, num_in, &w->num_out[i]));
    w->out[i] = bli_arena_array(w->arena, (size_t)w->num_out[i] + 1, sizeof *w->out[i]);
    if (!w->out[i])
        return BL_NO_MEMORY;
    for (int k = 0; k < w->num_out[i]; k++)
        w->out[i][k].shape = BLI_TF_UNKNOWN_SHAPE;
    bli_tf_call c = {.ctx = w->ctx,
                     .node = n,
                     .store = w->g->store,
                     .in = w->in,
                     .out = w->out[i],
                     .num_in = num_in,
                     .num_out = w->num_out[i]};
    BLI_TRY(bli_tf_op_infer(op, &c));
    if (!op->run && num_in > op->alias && w->num_out[i] > 0 && !w->out[i][0].data)
        w->out[i][0].data = w->in[op->alias].data;
    return BL_OK;
}

bl_status bli_tf_infer_graph(const bli_tf_graph *g, bli_arena *arena, bli_tf_shapes *out)
{
    work w = {.ctx = bli_tf_store_context(g->store), .g = g, .arena = arena};
    *out = (bli_tf_shapes){NULL, NULL};
    BLI_TRY(bli_tf_index_make(g, &w.index));
    w.out = bli_arena_array(arena, g->num_nodes + 1, sizeof *w.out);
    w.num_out = bli_arena_array(arena, g->num_nodes + 1, sizeof *w.num_out);
    bl_status s = w.out && w.num_out ? make_order(&w) : BL_NO_MEMORY;
    for (size_t i = 0; s == BL_OK && i < g->num_nodes; i++) {
        const bli_tf_node *n = g->nodes[w.order[i]];
        s = bli_within(w.ctx, infer_node(&w, w.order[i]), "node '%s' (%s)", n->name, n->op);
        bli_free(w.ctx, w.in);
        w.in = NULL;
    }
    bli_tf_index_free(&w.index);
    if (s == BL_OK)
        *out = (bli_tf_shapes){(const bli_tf_arg *const *)w.out, w.num_out};
    return s;
}
