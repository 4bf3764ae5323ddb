/* weight_channels.c: which dimensions of a constant are the output channels of the layer that reads it, float or made
 * of bytes by quantize_nodes. */
#include <string.h>

#include "tf/weights.h"

enum { HOPS = 8 }; /* nodes in a row that are looked through */

typedef enum where { LAST, LAST_TWO, SECOND_LAST, ROWS_OR_COLUMNS } where;

/* An operator and the input that holds its weights. */
static const struct {
    const char *op, *transpose; /* the attribute that swaps rows and columns */
    size_t input;
    int rank; /* 0: two or more */
    where where;
} layers[] = {
    {"Conv2D", NULL, 1, 4, LAST},
    {"Conv3D", NULL, 1, 5, LAST},
    {"FusedPadConv2D", NULL, 2, 4, LAST},
    {"FusedResizeAndPadConv2D", NULL, 3, 4, LAST},
    {"DepthwiseConv2dNative", NULL, 1, 4, LAST_TWO},
    {"Conv2DBackpropInput", NULL, 1, 4, SECOND_LAST},
    {"MatMul", "transpose_b", 1, 2, ROWS_OR_COLUMNS},
    {"QuantizedConv2D", NULL, 1, 4, LAST},
    {"QuantizedMatMul", "transpose_b", 1, 2, ROWS_OR_COLUMNS},
    {"BatchMatMul", "adj_y", 1, 0, ROWS_OR_COLUMNS},
    {"BatchMatMulV2", "adj_y", 1, 0, ROWS_OR_COLUMNS},
};

/* What lies between a constant and a layer. */
typedef struct path {
    size_t from;            /* the Const; SIZE_MAX: something else */
    bool steps;             /* weights over steps, rounded: quantize_nodes(per_channel=true) */
    const bli_tf_node *one; /* one range for all */
} path;

static bl_status channels_for(bl_context *ctx, const bli_tf_node *n, size_t input, int rank, bli_tg_channels *out)
{
    for (size_t i = 0; i < BLI_COUNT(layers); i++) {
        if (strcmp(layers[i].op, n->op) != 0 || layers[i].input != input)
            continue;
        bool swapped = false;
        if (rank < 2 || (layers[i].rank && layers[i].rank != rank))
            return BL_OK;
        if (layers[i].transpose)
            BLI_TRY(bli_tf_bool_or(ctx, n, layers[i].transpose, false, &swapped));
        const bool second = layers[i].where == SECOND_LAST || swapped;
        out->last = second ? rank - 1 : rank;
        out->first = out->last - (layers[i].where == LAST_TWO ? 2 : 1);
    }
    return BL_OK;
}

/* To the Const behind an input, through Identity nodes and those by which quantize_nodes makes codes of weights. */
static path path_behind(const bli_tf_graph *g, const bli_tf_index *ix, const char *input)
{
    path p = {SIZE_MAX, false, NULL};
    for (int hop = 0; hop < HOPS; hop++) {
        const bli_tf_ref r = bli_tf_ref_parse(input);
        const size_t at = r.control || r.port != 0 ? SIZE_MAX : bli_tf_index_find(ix, r.name, r.size);
        const bli_tf_node *n = at == SIZE_MAX ? NULL : g->nodes[at];
        if (n && strcmp(n->op, "Const") == 0)
            p.from = at;
        if (p.from != SIZE_MAX || !n || n->num_inputs == 0 ||
            !bli_tg_op_is(n->op, "Identity|Cast|AddV2|Round|DivNoNan|QuantizeV2"))
            return p;
        p.steps = p.steps || strcmp(n->op, "DivNoNan") == 0;
        p.one = strcmp(n->op, "QuantizeV2") == 0 ? n : p.one;
        input = n->inputs[0];
    }
    return p;
}

static bl_status visit(const bli_tf_graph *g, const bli_tf_index *ix, const bli_tf_node *n, bli_tg_channels *channels)
{
    for (size_t k = 0; k < n->num_inputs; k++) {
        bli_tf_tensor t;
        const path p = path_behind(g, ix, n->inputs[k]);
        bli_tg_channels *c = p.from == SIZE_MAX ? NULL : &channels[p.from];
        if (!c || c->last || !bli_tf_node_attr(g->nodes[p.from], "value"))
            continue;
        BLI_TRY(bli_tf_get_tensor(g->store, g->nodes[p.from], "value", &t));
        BLI_TRY(channels_for(ix->ctx, n, k, t.rank, c));
        c->symmetric = c->last && p.steps;
        c->one = c->last ? p.one : NULL;
    }
    return BL_OK;
}

static bool has_weights(const bli_tf_node *n)
{
    for (size_t i = 0; i < BLI_COUNT(layers); i++)
        if (strcmp(layers[i].op, n->op) == 0)
            return true;
    return false;
}

bl_status bli_tg_find_channels(const bli_tf_graph *g, bli_tg_channels **out)
{
    bli_tf_index ix;
    *out = bli_tf_alloc_array(g->store, g->num_nodes + 1, sizeof **out);
    if (!*out)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(g, &ix));
    bl_status s = BL_OK;
    for (size_t i = 0; i < g->num_nodes && s == BL_OK; i++)
        if (has_weights(g->nodes[i]))
            s = visit(g, &ix, g->nodes[i], *out);
    bli_tf_index_free(&ix);
    return s;
}
