/* pass_fold_old_batch_norms.c: a batch normalisation into the convolution before, as weights and a BiasAdd.
 *
 * Between the two may stand a BatchToSpaceND, or a ConcatV2 of two convolutions.  The original scales the weights of
 * who else uses them, folds what is in training, and never ends on parameters that two share; where defects are mended,
 * shared weights get a copy, shared parameters stay, a convolution that others read is left alone, FusedBatchNormV2 and
 * V3 fold too, and so does a BiasAdd between.
 */
#include <math.h>
#include <string.h>

#include "tf/fold.h"

typedef enum shape_of_match { DIRECT, BIASED, BATCH_TO_SPACE, CONCAT } shape_of_match;

typedef struct folding {
    shape_of_match shape;
    const bli_tf_graph *g;
} folding;

/* What the normalisation does to a column: y = x * scale + offset. */
typedef struct affine {
    size_t count;
    float *scale, *offset;
} affine;

static bl_status param(const bli_tg_found *f, size_t input, size_t count, const float **out)
{
    const bli_tf_node *n = f->match->inputs[input].node;
    bli_tf_tensor t;
    BLI_TRY(bli_tg_const_view(f->store, n, BLI_DT_FLOAT, &t));
    if (t.rank != 1 || (count && t.count != count))
        return bli_fail(f->job->ctx, BL_BAD_MODEL,
                        "node '%s' (Const): rank %d and %zu elements; expected %zu in one "
                        "dimension",
                        n->name, t.rank, t.count, count);
    *out = t.data;
    return BL_OK;
}

static bl_status affine_of(const bli_tg_found *f, size_t columns, affine *a)
{
    bl_context *ctx = f->job->ctx;
    const bli_tf_node *bn = f->match->node;
    bool old = strcmp(bn->op, "BatchNormWithGlobalNormalization") == 0, scaled = true;
    const float *mean = NULL, *var = NULL, *beta = NULL, *gamma = NULL;
    float eps;
    BLI_TRY(param(f, old ? 1 : 3, columns, &mean));
    BLI_TRY(param(f, old ? 2 : 4, columns, &var));
    BLI_TRY(param(f, old ? 3 : 2, columns, &beta));
    BLI_TRY(param(f, old ? 4 : 1, columns, &gamma));
    if (f->job->compat)
        BLI_TRY(bli_tf_get_float(ctx, bn, old ? "variance_epsilon" : "epsilon", &eps));
    else
        BLI_TRY(bli_tf_float_or(ctx, bn, old ? "variance_epsilon" : "epsilon", 1e-4f, &eps));
    if (old)
        BLI_TRY(bli_tf_get_bool(ctx, bn, "scale_after_normalization", &scaled));
    *a = (affine){columns, bli_tf_alloc_array(f->store, columns, sizeof(float)),
                  bli_tf_alloc_array(f->store, columns, sizeof(float))};
    if (!a->scale || !a->offset)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < columns; i++) {
        a->scale[i] = 1.0f / sqrtf(var[i] + eps);
        if (scaled)
            a->scale[i] *= gamma[i];
        a->offset[i] = -mean[i] * a->scale[i] + beta[i];
    }
    return BL_OK;
}

/* The weights' own name, or one for a copy when others use them. */
static bl_status weights_name(const bli_tg_found *f, const bli_tg_layer *l, const char **out, bli_tf_graph *g)
{
    *out = l->weights->name;
    if (f->job->compat || !bli_tg_used_outside(f, l->weights))
        return BL_OK;
    *out = bli_tf_text(f->store, "%s_bn_weights", l->node->name);
    return *out ? bli_tg_add_copy(g, l->weights) : BL_NO_MEMORY;
}

/* Weights, input, convolution, offset, BiasAdd. */
static bl_status add_layer(const bli_tg_found *f, const bli_tg_layer *l, const affine *a, const char *bias_name,
                           bli_tf_graph *out)
{
    const char *weights, *offset = bli_tf_text(f->store, "%s_bn_offset", l->node->name);
    bli_tf_node *bias;
    int64_t count = (int64_t)a->count;
    if (!offset)
        return BL_NO_MEMORY;
    BLI_TRY(weights_name(f, l, &weights, out));
    BLI_TRY(bli_tg_layer_scaled(f, l, a->scale, weights, l->node->name, out));
    BLI_TRY(bli_tg_add_const(out, offset, BLI_DT_FLOAT, 1, &count, a->offset, NULL, NULL));
    BLI_TRY(bli_tg_add_node(out, "BiasAdd", bias_name, (const char *[]){l->node->name, offset, NULL}, &bias));
    BLI_TRY(bli_tg_copy_attr(f->store, bias, "T", l->node));
    return bli_tf_node_take(f->store, bias, "data_format", l->node);
}

/* Parameters that others use, too. */
static bl_status keep_shared(const bli_tg_found *f, bli_tf_graph *out)
{
    for (size_t i = 1; i < f->match->count && !f->job->compat; i++) {
        const bli_tf_node *n = f->match->inputs[i].node;
        bool twice = false;
        for (size_t k = 1; k < i; k++)
            twice = twice || f->match->inputs[k].node == n;
        if (!twice && bli_tg_used_outside(f, n))
            BLI_TRY(bli_tg_add_copy(out, n));
    }
    return BL_OK;
}

/* ---- may it be folded? --------------------------------------------------------------------------------------------
 */

/* Mean and variance, the other outputs, are read by somebody. */
static bool reads_statistics(const bli_tf_graph *g, const bli_tf_node *bn)
{
    for (size_t i = 0; i < g->num_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->num_inputs; k++) {
            bli_tf_ref r = bli_tf_ref_parse(g->nodes[i]->inputs[k]);
            if (r.port > 0 && bli_tf_ref_is(&r, bn->name))
                return true;
        }
    return false;
}

static bool inner_is_used(const bli_tg_found *f, const bli_tg_match *m)
{
    if (m->count == 0)
        return false;
    if (bli_tg_used_outside(f, m->node))
        return true;
    for (size_t i = 0; i < m->count; i++)
        if (inner_is_used(f, &m->inputs[i]))
            return true;
    return false;
}

static bl_status may_fold(const bli_tg_found *f, bool *yes)
{
    bool training = false;
    const bli_tf_node *bn = f->match->node;
    *yes = true;
    if (f->job->compat)
        return BL_OK;
    if (strcmp(bn->op, "BatchNormWithGlobalNormalization") != 0)
        BLI_TRY(bli_tf_bool_or(f->job->ctx, bn, "is_training", true, &training));
    *yes = !training && !inner_is_used(f, &f->match->inputs[0]) && !reads_statistics(((folding *)f->user)->g, bn);
    return BL_OK;
}

/* ---- the four shapes ----------------------------------------------------------------------------------------------
 */

static bl_status fold_direct(const bli_tg_found *f, bli_tf_graph *out)
{
    bli_tg_layer l;
    affine a;
    BLI_TRY(bli_tg_layer_of(f, &f->match->inputs[0], &l));
    BLI_TRY(affine_of(f, l.columns, &a));
    return add_layer(f, &l, &a, f->match->node->name, out);
}

static bl_status fold_biased(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *bias = &f->match->inputs[0];
    bli_tg_layer l;
    bli_tf_tensor b;
    affine a;
    BLI_TRY(bli_tg_layer_of(f, &bias->inputs[0], &l));
    BLI_TRY(bli_tg_const_view(f->store, bias->inputs[1].node, BLI_DT_FLOAT, &b));
    if (b.rank != 1 || b.count != l.columns)
        return bli_tg_match_keep(f, out);
    BLI_TRY(affine_of(f, l.columns, &a));
    for (size_t i = 0; i < a.count; i++)
        a.offset[i] += ((const float *)b.data)[i] * a.scale[i];
    if (bli_tg_used_outside(f, bias->inputs[1].node))
        BLI_TRY(bli_tg_add_copy(out, bias->inputs[1].node));
    return add_layer(f, &l, &a, f->match->node->name, out);
}

static bl_status fold_batch_to_space(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *b2s = &f->match->inputs[0];
    bli_tg_layer l;
    affine a;
    BLI_TRY(bli_tg_layer_of(f, &b2s->inputs[0], &l));
    BLI_TRY(affine_of(f, l.columns, &a));
    char *bias = bli_tf_text(f->store, "%s/biasadd", l.node->name);
    bli_tf_node *moved = bli_tf_node_copy(f->store, b2s->node);
    if (!bias || !moved)
        return BL_NO_MEMORY;
    BLI_TRY(add_layer(f, &l, &a, bias, out));
    BLI_TRY(bli_tg_add_copy(out, b2s->inputs[1].node));
    BLI_TRY(bli_tg_add_copy(out, b2s->inputs[2].node));
    BLI_TRY(bli_tf_node_rename(f->store, moved, f->match->node->name));
    BLI_TRY(bli_tf_node_set_input(f->store, moved, 0, bias));
    return bli_tf_graph_add(out, moved);
}

static bl_status is_channel_axis(const bli_tg_found *f, const bli_tf_node *conv, const bli_tf_node *axis, bool *yes)
{
    bli_tf_tensor t;
    const char *format;
    BLI_TRY(bli_tg_const_view(f->store, axis, BLI_DT_INT32, &t));
    if (t.count != 1)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (Const): %zu elements; expected one axis", axis->name,
                        t.count);
    int32_t at = *(const int32_t *)t.data;
    BLI_TRY(bli_tf_string_or(f->job->ctx, conv, "data_format", "NHWC", &format));
    int32_t channels = f->job->compat || strcmp(format, "NHWC") == 0 ? 3 : 1;
    *yes = at == channels || (!f->job->compat && at + 4 == channels);
    return BL_OK;
}

static bl_status fold_concat(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *cat = &f->match->inputs[0];
    bli_tg_layer l[2];
    affine a, part[2];
    bool channels = false;
    if (strcmp(cat->node->op, "ConcatV2") != 0)
        return bli_tg_match_keep(f, out);
    BLI_TRY(bli_tg_layer_of(f, &cat->inputs[0], &l[0]));
    BLI_TRY(bli_tg_layer_of(f, &cat->inputs[1], &l[1]));
    BLI_TRY(is_channel_axis(f, l[0].node, cat->inputs[2].node, &channels));
    if (!channels && l[0].columns != l[1].columns)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s): %zu and %zu channels side by side", cat->node->name,
                        cat->node->op, l[0].columns, l[1].columns);
    BLI_TRY(affine_of(f, channels ? l[0].columns + l[1].columns : l[0].columns, &a));
    size_t skip = channels ? l[0].columns : 0;
    part[0] = (affine){l[0].columns, a.scale, a.offset};
    part[1] = (affine){l[1].columns, a.scale + skip, a.offset + skip};
    bli_tf_node *moved = bli_tf_node_copy(f->store, cat->node);
    if (!moved)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < 2; i++) {
        char *bias = bli_tf_text(f->store, "%s_bn_in%zu", cat->node->name, i);
        if (!bias)
            return BL_NO_MEMORY;
        BLI_TRY(add_layer(f, &l[i], &part[i], bias, out));
        BLI_TRY(bli_tf_node_set_input(f->store, moved, i, bias));
    }
    BLI_TRY(bli_tg_add_copy(out, cat->inputs[2].node));
    BLI_TRY(bli_tf_node_rename(f->store, moved, f->match->node->name));
    return bli_tf_graph_add(out, moved);
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    static bl_status (*const fold[])(const bli_tg_found *, bli_tf_graph *) = {fold_direct, fold_biased,
                                                                              fold_batch_to_space, fold_concat};
    folding *state = f->user;
    bool yes = false;
    BLI_TRY(may_fold(f, &yes));
    if (!yes)
        return bli_tg_match_keep(f, out);
    BLI_TRY(fold[state->shape](f, out));
    return keep_shared(f, out);
}

static size_t count_of(const bli_tf_graph *g, const char *ops)
{
    size_t count = 0;
    for (size_t i = 0; i < g->num_nodes; i++)
        count += bli_tg_op_is(g->nodes[i]->op, ops);
    return count;
}

/* Rounds until one folds nothing.  The original goes on as long as something matches. */
static bl_status fold_shape(const bli_tg_job *job, shape_of_match shape, const bli_tg_pattern *pattern,
                            const bli_tf_graph **g)
{
    for (size_t before = SIZE_MAX, now; (now = count_of(*g, pattern->op)) < before; before = now) {
        folding state = {shape, *g};
        const bli_tg_rule rule = {pattern, replace, false, &state};
        bli_tf_graph *next = bli_tf_graph_like(*g);
        if (!next)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_replace(job, *g, &rule, next, NULL));
        *g = next;
    }
    return BL_OK;
}

#define ANY                                                                                                            \
    {                                                                                                                  \
        "*", 0, NULL                                                                                                   \
    }
#define CONST                                                                                                          \
    {                                                                                                                  \
        "Const", 0, NULL                                                                                               \
    }
#define CONV        BLI_TG_PATTERN(BLI_TG_CONVS, ANY, CONST)
#define NORM(op, x) BLI_TG_PATTERN(op, x, CONST, CONST, CONST, CONST)

static const char known[] = "BatchNormWithGlobalNormalization|FusedBatchNorm";
static const char mended[] = "BatchNormWithGlobalNormalization|FusedBatchNorm|FusedBatchNormV2|FusedBatchNormV3";

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *ops = job->compat ? known : mended;
    const bli_tg_pattern direct = NORM(ops, CONV), biased = NORM(ops, BLI_TG_PATTERN("BiasAdd", CONV, CONST));
    const bli_tg_pattern batch = NORM(ops, BLI_TG_PATTERN("BatchToSpaceND", CONV, CONST, CONST));
    const bli_tg_pattern concat = NORM(ops, BLI_TG_PATTERN("ConcatV2|Concat", CONV, CONV, CONST));
    const bli_tf_graph *g = in;
    BLI_TRY(fold_shape(job, DIRECT, &direct, &g));
    if (!job->compat)
        BLI_TRY(fold_shape(job, BIASED, &biased, &g));
    BLI_TRY(fold_shape(job, BATCH_TO_SPACE, &batch, &g));
    BLI_TRY(fold_shape(job, CONCAT, &concat, &g));
    for (size_t i = 0; i < g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    return BL_OK;
}

const bli_tg_pass bli_tg_fold_old_batch_norms = {
    .name = "fold_old_batch_norms",
    .help = "folds batch normalisation into the convolution before",
    .ops = "BatchNormWithGlobalNormalization|FusedBatchNorm|Conv2D|DepthwiseConv2dNative|BatchToSpaceND|ConcatV2",
    .run = run,
};
