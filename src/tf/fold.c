/* fold.c: a layer's weights, scaled by its output channels.  Arithmetic is float32, as in the original. */
#include "tf/fold.h"

#include <string.h>

bl_status bli_tg_layer_of(const bli_tg_found *f, const bli_tg_match *m, bli_tg_layer *out)
{
    *out = (bli_tg_layer){.node = m->node, .x = m->inputs[0].node, .weights = m->inputs[1].node};
    BLI_TRY(bli_tg_const_view(f->store, out->weights, BLI_DT_FLOAT, &out->w));
    int rank = strcmp(out->node->op, "MatMul") == 0 ? 2 : 4;
    if (out->w.rank != rank)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s): weights of rank %d; expected %d", out->node->name,
                        out->node->op, out->w.rank, rank);
    out->columns = (size_t)out->w.dim[rank - 1];
    if (strcmp(out->node->op, "DepthwiseConv2dNative") == 0)
        out->columns *= (size_t)out->w.dim[2];
    return BL_OK;
}

/* A node that stands in this match's place already is not added again: two layers may read one node. */
static bl_status add_once(const bli_tf_node *n, bli_tf_graph *out)
{
    for (size_t i = out->num_nodes; i > 0 && out->num_nodes - i < 16; i--)
        if (strcmp(out->nodes[i - 1]->name, n->name) == 0)
            return BL_OK;
    return bli_tg_add_copy(out, n);
}

bl_status bli_tg_layer_scaled(const bli_tg_found *f, const bli_tg_layer *l, const float *scale,
                              const char *weights_name, const char *name, bli_tf_graph *out)
{
    void *content;
    BLI_TRY(bli_tg_add_const(out, weights_name, BLI_DT_FLOAT, l->w.rank, l->w.dim, NULL, &content, NULL));
    const float *from = l->w.data;
    float *to = content;
    for (size_t i = 0, c = 0; i < l->w.count; i++, c = c + 1 == l->columns ? 0 : c + 1)
        to[i] = from[i] * scale[c];
    BLI_TRY(add_once(l->x, out));
    bli_tf_node *conv = bli_tf_node_copy(f->store, l->node);
    if (!conv)
        return BL_NO_MEMORY;
    if (strcmp(weights_name, l->weights->name) != 0)
        BLI_TRY(bli_tf_node_set_input(f->store, conv, 1, weights_name));
    BLI_TRY(bli_tf_node_rename(f->store, conv, name));
    return bli_tf_graph_add(out, conv);
}
