/* pass_fold_batch_norms_algebraic.c: batch normalisation in parts, x * s + (beta - mean * s) where s is
 * Rsqrt(variance + epsilon) * gamma, as one FusedBatchNorm, which fold_old_batch_norms takes further.
 *
 * What the original makes cannot be followed: one version wrote a node BatchNorm without x, another a node
 * InstanceNorm, and no TensorFlow has either operator.  So the compatible mode refuses.  Only layers of pictures with
 * constants for all four vectors are folded.
 */
#include <string.h>

#include "tf/fold.h"

enum { GAMMA, BETA, MEAN, VARIANCE, PARTS };

/* The vectors, and epsilon; *fold false: something is no vector of that length. */
static bl_status read_parts(const bli_tg_found *f, const bli_tg_match *const parts[PARTS], const bli_tg_match *epsilon,
                            float *e, bool *fold)
{
    bli_tg_layer layer;
    bli_tf_tensor t;
    const char *format;
    BLI_TRY(bli_tg_layer_of(f, &f->match->inputs[0].inputs[0], &layer));
    BLI_TRY(bli_tf_string_or(f->job->ctx, layer.node, "data_format", "NHWC", &format));
    *fold = strcmp(format, "NHWC") == 0;
    for (int i = 0; i < PARTS; i++) {
        BLI_TRY(bli_tg_const_view(f->store, parts[i]->node, 0, &t));
        *fold = *fold && t.dtype == BLI_DT_FLOAT && t.rank == 1 && t.count == layer.columns;
    }
    BLI_TRY(bli_tg_const_view(f->store, epsilon->node, 0, &t));
    *fold = *fold && t.dtype == BLI_DT_FLOAT && t.count == 1;
    if (*fold)
        *e = *(const float *)t.data;
    return BL_OK;
}

/* A node stands in a match as often as something of it reads it. */
static bl_status add_once(const bli_tf_node *n, size_t before, bli_tf_graph *out)
{
    for (size_t i = before; i < out->num_nodes; i++)
        if (strcmp(out->nodes[i]->name, n->name) == 0)
            return BL_OK;
    return bli_tg_add_copy(out, n);
}

static bool is_output_inside(const bli_tg_found *f, const bli_tg_match *const inner[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bli_tg_names_has_node(&f->job->outputs, inner[i]->node->name))
            return true;
    return false;
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *product = &f->match->inputs[0], *offset = &f->match->inputs[1], *x = &product->inputs[0];
    const bli_tg_match *scale = &product->inputs[1], *root = &scale->inputs[0], *sum = &root->inputs[0];
    const bli_tg_match *shift = &offset->inputs[1];
    const bli_tg_match *const parts[PARTS] = {&scale->inputs[1], &offset->inputs[0], &shift->inputs[0],
                                              &sum->inputs[0]};
    const bli_tg_match *const inner[] = {product, offset, scale, root, sum, shift};
    const size_t before = out->num_nodes;
    float epsilon = 0;
    bool fold;
    bli_tf_node *n;
    BLI_TRY(read_parts(f, parts, &sum->inputs[1], &epsilon, &fold));
    if (!fold || shift->inputs[1].node != scale->node || is_output_inside(f, inner, BLI_COUNT(inner)))
        return bli_tg_match_keep(f, out);
    for (size_t i = 0; i < PARTS; i++)
        BLI_TRY(add_once(parts[i]->node, before, out));
    BLI_TRY(add_once(x->inputs[0].node, before, out));
    BLI_TRY(add_once(x->inputs[1].node, before, out));
    BLI_TRY(add_once(x->node, before, out));
    const char *const inputs[] = {x->node->name,           parts[GAMMA]->node->name,    parts[BETA]->node->name,
                                  parts[MEAN]->node->name, parts[VARIANCE]->node->name, NULL};
    BLI_TRY(bli_tg_add_node(out, "FusedBatchNorm", f->match->node->name, inputs, &n));
    BLI_TRY(bli_tg_set_type(f->store, n, "T", BLI_DT_FLOAT));
    BLI_TRY(bli_tf_node_set(f->store, n, "epsilon", bli_tf_value_float(f->store, epsilon)));
    return bli_tf_node_set(f->store, n, "is_training", bli_tf_value_bool(f->store, false));
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern any = {"*", 0, NULL}, fixed = {"Const", 0, NULL};
    const bli_tg_pattern layer = BLI_TG_PATTERN("Conv2D|DepthwiseConv2dNative", any, fixed);
    const bli_tg_pattern sum = BLI_TG_PATTERN("Add|AddV2", fixed, fixed), root = BLI_TG_PATTERN("Rsqrt", sum);
    const bli_tg_pattern scale = BLI_TG_PATTERN("Mul", root, fixed),
                         shift = BLI_TG_PATTERN("Mul", fixed, {"Mul", 0, NULL});
    const bli_tg_pattern product = BLI_TG_PATTERN("Mul", layer, scale), offset = BLI_TG_PATTERN("Sub", fixed, shift);
    const bli_tg_pattern pattern = BLI_TG_PATTERN("Add|AddV2", product, offset);
    const bli_tg_rule rule = {&pattern, replace, false, NULL};
    if (job->compat)
        return bli_fail(job->ctx, BL_UNSUPPORTED,
                        "TensorFlow's versions of this transform made different operators, BatchNorm and InstanceNorm, "
                        "which no TensorFlow has; without --compat it makes FusedBatchNorm");
    return bli_tg_replace(job, in, &rule, out, NULL);
}

const bli_tg_pass bli_tg_fold_batch_norms_algebraic = {
    .name = "fold_batch_norms_algebraic",
    .help = "batch normalisation of Rsqrt, Mul, Sub and Add, as one FusedBatchNorm",
    .ops = "Add|AddV2",
    .extension = true,
    .run = run};
