/* weight_channels.c: which dimensions of a constant are the output channels of the layer that reads it. */
#include <string.h>

#include "tf/weights.h"

enum { HOPS = 8 }; /* Identity nodes in a row that are looked through */

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
    {"BatchMatMul", "adj_y", 1, 0, ROWS_OR_COLUMNS},
    {"BatchMatMulV2", "adj_y", 1, 0, ROWS_OR_COLUMNS},
};

static bl_status channels_for(bl_context *ctx, const bli_tf_node *n, size_t input, int rank, bli_tg_channels *out)
{
    *out = (bli_tg_channels){0, 0};
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

/* The Const behind an input, through Identity nodes; SIZE_MAX: something else. */
static size_t constant_behind(const bli_tf_graph *g, const bli_tf_index *ix, const char *input)
{
    for (int hop = 0; hop < HOPS; hop++) {
        const bli_tf_ref r = bli_tf_ref_parse(input);
        const size_t at = r.control || r.port != 0 ? SIZE_MAX : bli_tf_index_find(ix, r.name, r.size);
        if (at == SIZE_MAX || strcmp(g->nodes[at]->op, "Const") == 0)
            return at;
        if (strcmp(g->nodes[at]->op, "Identity") != 0 || g->nodes[at]->num_inputs == 0)
            return SIZE_MAX;
        input = g->nodes[at]->inputs[0];
    }
    return SIZE_MAX;
}

static bl_status visit(const bli_tf_graph *g, const bli_tf_index *ix, const bli_tf_node *n, bli_tg_channels *channels)
{
    for (size_t k = 0; k < n->num_inputs; k++) {
        bli_tf_tensor t;
        const size_t from = constant_behind(g, ix, n->inputs[k]);
        if (from == SIZE_MAX || channels[from].last || !bli_tf_node_attr(g->nodes[from], "value"))
            continue;
        BLI_TRY(bli_tf_get_tensor(g->store, g->nodes[from], "value", &t));
        BLI_TRY(channels_for(ix->ctx, n, k, t.rank, &channels[from]));
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
