/* pass_fold_batch_norms.c: a product with one constant a channel, into the weights of the layer before.
 *
 * The original takes Mul(layer, vector) once, and fails on constants of any other shape.  Where defects are mended, the
 * operands may stand in either order, the constant may be a scalar or have leading ones, a layer whose numbers do not
 * fit stays, and the pass repeats until there is nothing to do.
 */
#include <string.h>

#include "tf/fold.h"

typedef struct folds {
    size_t done;
    bool turned; /* the constant comes first */
} folds;

/* One number a column, or NULL in *out when the constant is none. */
static bl_status scale_of(const bli_tg_found *f, const bli_tf_tensor *s, size_t columns, const float **out)
{
    *out = s->data;
    if (s->rank == 1 && s->count == columns)
        return BL_OK;
    *out = NULL;
    if (f->job->compat)
        return bli_fail(f->job->ctx, BL_BAD_MODEL,
                        "node '%s' (Mul): the constant has rank %d and %zu elements; expected %zu in one dimension",
                        f->match->node->name, s->rank, s->count, columns);
    bool fits =
        s->count == 1 || (s->rank > 0 && s->rank <= 4 && s->count == columns && (size_t)s->dim[s->rank - 1] == columns);
    if (!fits)
        return BL_OK;
    float *scale = bli_tf_alloc_array(f->store, columns, sizeof *scale);
    if (!scale)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < columns; i++)
        scale[i] = ((const float *)s->data)[s->count == 1 ? 0 : i];
    *out = scale;
    return BL_OK;
}

/* Whether the columns of the weights are what the product's last dimension runs over. */
static bl_status columns_are_last(const bli_tg_found *f, const bli_tf_node *layer, bool *yes)
{
    const char *format;
    bool transposed;
    BLI_TRY(bli_tf_string_or(f->job->ctx, layer, "data_format", "NHWC", &format));
    BLI_TRY(bli_tf_bool_or(f->job->ctx, layer, "transpose_b", false, &transposed));
    *yes = f->job->compat || (strcmp(format, "NHWC") == 0 && !transposed);
    return BL_OK;
}

static bool has_own_name(const bli_tg_found *f, const bli_tf_node *n)
{
    return bli_tg_names_has_node(&f->job->outputs, n->name) && !f->job->compat;
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    folds *count = f->user;
    const bli_tg_match *conv = &f->match->inputs[count->turned], *s = &f->match->inputs[!count->turned];
    bli_tg_layer layer;
    bli_tf_tensor t;
    const float *scale = NULL;
    bool last;
    if (bli_tg_used_outside(f, conv->node) || bli_tg_used_outside(f, conv->inputs[1].node) ||
        bli_tg_used_outside(f, s->node) || has_own_name(f, conv->node))
        return bli_tg_match_keep(f, out);
    BLI_TRY(columns_are_last(f, conv->node, &last));
    BLI_TRY(bli_tg_const_view(f->store, s->node, 0, &t));
    if (!f->job->compat && (!last || t.dtype != BLI_DT_FLOAT))
        return bli_tg_match_keep(f, out);
    BLI_TRY(bli_tg_layer_of(f, conv, &layer));
    BLI_TRY(bli_tg_const_view(f->store, s->node, BLI_DT_FLOAT, &t));
    BLI_TRY(scale_of(f, &t, layer.columns, &scale));
    if (!scale)
        return bli_tg_match_keep(f, out);
    count->done++;
    return bli_tg_layer_scaled(f, &layer, scale, layer.weights->name, f->match->node->name, out);
}

static const bli_tg_pattern conv_first =
    BLI_TG_PATTERN("Mul", BLI_TG_PATTERN("Conv2D|MatMul|DepthwiseConv2dNative", {"*", 0, NULL}, {"Const", 0, NULL}),
                   {"Const", 0, NULL});
static const bli_tg_pattern conv_second =
    BLI_TG_PATTERN("Mul", {"Const", 0, NULL},
                   BLI_TG_PATTERN("Conv2D|MatMul|DepthwiseConv2dNative", {"*", 0, NULL}, {"Const", 0, NULL}));

static bl_status sweep(const bli_tg_job *job, bool turned, const bli_tf_graph **g, size_t *done)
{
    folds count = {0, turned};
    const bli_tg_rule rule = {turned ? &conv_second : &conv_first, replace, false, &count};
    bli_tf_graph *next = bli_tf_graph_like(*g);
    if (!next)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_replace(job, *g, &rule, next, NULL));
    *g = next;
    *done += count.done;
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tf_graph *g = in;
    for (size_t done = 1; done;) {
        done = 0;
        BLI_TRY(sweep(job, false, &g, &done));
        if (job->compat)
            break;
        BLI_TRY(sweep(job, true, &g, &done));
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    return BL_OK;
}

const bli_tg_pass bli_tg_fold_batch_norms = {.name = "fold_batch_norms",
                                             .help = "multiplies a layer's weights by the constants behind it",
                                             .ops = "Conv2D|MatMul|DepthwiseConv2dNative",
                                             .run = run};
