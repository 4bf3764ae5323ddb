/* onnx_shapes.c: exporters' shape arithmetic, folded.
 *
 * Exporters write "flatten" as Shape, Gather, Unsqueeze, Concat, Reshape.  Lists of dimensions are followed through
 * those operators with two marks: the batch, and a dimension that is not known.  Only a list whose batch stands first
 * can be a Reshape's target.  The arithmetic itself stays in the graph unless nothing reads it any more.
 */
#include <string.h>

#include "model/onnx.h"

enum { MOST = 16 };
#define BATCH   (INT64_MIN)
#define UNKNOWN (INT64_MIN + 1)

typedef struct dims {
    bool known, scalar;
    int count;
    int64_t v[MOST];
} dims;

static bool is(const bl_node *n, const char *type)
{
    return strcmp(n->type, type) == 0 && n->domain[0] == 0;
}

/* The list behind value: what was followed so far, or an integer constant. */
static dims list_of(const bl_graph *g, const dims *lists, int value)
{
    dims d = {0};
    if (value < 0)
        return d;
    const bl_value *v = bl_graph_value(g, value);
    if (!v->data || v->type != BL_I64 || v->shape.rank > 1 || bl_shape_count(&v->shape) > MOST)
        return lists[value];
    d = (dims){.known = true, .scalar = v->shape.rank == 0, .count = (int)bl_shape_count(&v->shape)};
    if (d.count)
        memcpy(d.v, v->data, (size_t)d.count * sizeof *d.v);
    return d;
}

/* Every batched value has the batch as its first dimension; no other dimension is known before inference. */
static dims shape_list(const bl_graph *g, int value)
{
    dims d = {.known = true, .count = BL_MAX_RANK, .v = {BATCH}};
    const bl_value *v = bl_graph_value(g, value);
    for (int i = 1; i < BL_MAX_RANK; i++)
        d.v[i] = UNKNOWN;
    if (v->role == BL_ROLE_INPUT) {
        d.count = v->shape.rank;
        memcpy(d.v + 1, v->shape.dim + 1, (size_t)(d.count - 1) * sizeof *d.v);
    }
    if (v->data)
        d.known = false;
    return d;
}

static dims gather(dims from, dims index)
{
    dims d = {.known = from.known && index.known, .scalar = index.scalar, .count = index.count};
    for (int i = 0; i < d.count && d.known; i++) {
        if (index.v[i] < 0 || index.v[i] >= from.count)
            d.known = false;
        else
            d.v[i] = from.v[index.v[i]];
    }
    return d;
}

static dims join(const bl_graph *g, const dims *lists, const bl_node *n)
{
    dims d = {.known = true};
    for (int i = 0; i < n->num_inputs && d.known; i++) {
        dims part = list_of(g, lists, n->inputs[i]);
        d.known = part.known && !part.scalar && d.count + part.count <= MOST;
        if (!d.known)
            break;
        memcpy(d.v + d.count, part.v, (size_t)part.count * sizeof *d.v);
        d.count += part.count;
    }
    return d;
}

static dims follow(const bl_graph *g, const dims *lists, const bl_node *n)
{
    dims d = {0};
    if (n->num_inputs < 1 || n->inputs[0] < 0)
        return d;
    if (is(n, "Shape") && n->num_attrs == 0)
        return shape_list(g, n->inputs[0]);
    if (is(n, "Concat"))
        return join(g, lists, n);
    d = list_of(g, lists, n->inputs[0]);
    if (is(n, "Gather") && n->num_inputs == 2 && bl_node_int(n, "axis", 0) == 0)
        return gather(d, list_of(g, lists, n->inputs[1]));
    if ((is(n, "Unsqueeze") && d.scalar) || is(n, "Identity") || (is(n, "Cast") && bl_node_int(n, "to", 0) == 7)) {
        d.scalar = d.scalar && !is(n, "Unsqueeze");
        return d;
    }
    return (dims){0};
}

static bl_status set_target(bl_graph *g, int node, const dims *d)
{
    int64_t target[MOST];
    int id;
    for (int i = 0; i < d->count; i++) {
        if (d->v[i] == UNKNOWN || (d->v[i] == BATCH && i > 0))
            return BL_OK; /* stays as it is; inference will say what it lacks */
        target[i] = d->v[i] == BATCH ? 0 : d->v[i];
    }
    bl_tensor t = {BL_I64, {1, {d->count}}, target};
    BLI_TRY(bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &t, &id));
    return bli_graph_set_input(g, node, 1, id);
}

/* Nodes that only made what is now a constant go, from the last to the first. */
static void drop_unread(bl_graph *g, const bool *followed)
{
    for (int i = bl_graph_num_nodes(g) - 1; i >= 0; i--)
        if (followed[i] && bli_graph_num_uses(g, bl_graph_node(g, i)->outputs[0]) == 0)
            bli_graph_remove_node(g, i);
}

static bl_status fold(bl_graph *g, dims *lists, bool *followed)
{
    int nodes = bl_graph_num_nodes(g);
    for (int i = 0; i < nodes; i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (is(n, "Reshape") && n->num_inputs == 2 && n->inputs[1] >= 0 && lists[n->inputs[1]].known)
            BLI_TRY(set_target(g, i, &lists[n->inputs[1]]));
        dims d = follow(g, lists, n);
        followed[i] = d.known;
        lists[n->outputs[0]] = d;
    }
    drop_unread(g, followed);
    return bli_graph_clean(g);
}

bl_status bli_onnx_fold_shapes(bl_graph *g)
{
    int shapes = 0;
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        shapes += is(bl_graph_node(g, i), "Shape");
    if (shapes == 0)
        return BL_OK;
    bl_context *ctx = bl_graph_context(g);
    /* set_target adds one constant a Reshape at most */
    size_t room = (size_t)bl_graph_num_values(g) + (size_t)bl_graph_num_nodes(g);
    dims *lists = bli_alloc_array(ctx, room, sizeof *lists);
    bool *followed = bli_alloc_array(ctx, (size_t)bl_graph_num_nodes(g), sizeof *followed);
    bl_status s = lists && followed ? fold(g, lists, followed) : BL_NO_MEMORY;
    bli_free(ctx, lists);
    bli_free(ctx, followed);
    return s;
}
