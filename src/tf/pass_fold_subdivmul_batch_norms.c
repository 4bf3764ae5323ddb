/* pass_fold_subdivmul_batch_norms.c: batch normalisation in parts, BiasAdd((Conv2D - mean) / deviation * gamma, beta),
 * into the weights and the bias.
 *
 * Arithmetic is float32, in the original's order.  The original scales weights, and a bias, that others read too, and
 * ends the process where numbers do not fit; where defects are mended, such a convolution stays, scalars will do for
 * vectors, and so do pictures with their channels first stay.
 */
#include <string.h>

#include "tf/fold.h"

enum { GAMMA, DEVIATION, MEAN, BETA, PARTS };

typedef struct norm {
    bli_tg_layer layer;
    const bli_tf_node *part[PARTS];
    bli_tf_tensor value[PARTS];
} norm;

static float at(const bli_tf_tensor *t, size_t i)
{
    return ((const float *)t->data)[t->count == 1 ? 0 : i];
}

static bool fits(const norm *n, int i, bool compat)
{
    const bli_tf_tensor *t = &n->value[i];
    return (t->rank == 1 && t->count == n->layer.columns) || (!compat && t->count == 1 && i != BETA);
}

/* Nodes of the match that others see, by name or by what they read. */
static bool is_shared(const bli_tg_found *f, const norm *n)
{
    const bli_tf_node *const seen[] = {n->layer.node, n->layer.weights, n->part[BETA]};
    for (size_t i = 0; i < BLI_COUNT(seen); i++)
        if (bli_tg_used_outside(f, seen[i]))
            return true;
    for (const bli_tg_match *m = &f->match->inputs[0]; m->count; m = &m->inputs[0])
        if (bli_tg_names_has_node(&f->job->outputs, m->node->name))
            return true;
    return false;
}

static bl_status read_norm(const bli_tg_found *f, norm *n, bool *fold)
{
    const bli_tg_match *mul = &f->match->inputs[0], *div = &mul->inputs[0], *sub = &div->inputs[0];
    const bli_tg_match *const parts[PARTS] = {&mul->inputs[1], &div->inputs[1], &sub->inputs[1], &f->match->inputs[1]};
    const char *format;
    BLI_TRY(bli_tg_layer_of(f, &sub->inputs[0], &n->layer));
    BLI_TRY(bli_tf_string_or(f->job->ctx, n->layer.node, "data_format", "NHWC", &format));
    *fold = true;
    for (int i = 0; i < PARTS; i++) {
        n->part[i] = parts[i]->node;
        BLI_TRY(bli_tg_const_view(f->store, n->part[i], BLI_DT_FLOAT, &n->value[i]));
        if (fits(n, i, f->job->compat))
            continue;
        if (f->job->compat)
            return bli_fail(f->job->ctx, BL_BAD_MODEL,
                            "node '%s' (Const): rank %d and %zu elements; expected %zu in one dimension",
                            n->part[i]->name, n->value[i].rank, n->value[i].count, n->layer.columns);
        *fold = false;
    }
    if (!f->job->compat)
        *fold = *fold && strcmp(format, "NHWC") == 0 && !is_shared(f, n);
    return BL_OK;
}

static bl_status add_weights(const norm *n, bli_tf_graph *out)
{
    const bli_tf_tensor *w = &n->layer.w;
    void *content;
    BLI_TRY(bli_tg_add_const(out, n->layer.weights->name, BLI_DT_FLOAT, w->rank, w->dim, NULL, &content, NULL));
    for (size_t i = 0, c = 0; i < w->count; i++, c = c + 1 == n->layer.columns ? 0 : c + 1)
        ((float *)content)[i] = ((const float *)w->data)[i] * at(&n->value[GAMMA], c) / at(&n->value[DEVIATION], c);
    return BL_OK;
}

static bl_status add_bias(const norm *n, bli_tf_graph *out)
{
    const bli_tf_tensor *beta = &n->value[BETA];
    void *content;
    BLI_TRY(bli_tg_add_const(out, n->part[BETA]->name, BLI_DT_FLOAT, 1, beta->dim, NULL, &content, NULL));
    for (size_t c = 0; c < beta->count; c++)
        ((float *)content)[c] =
            (0 - at(&n->value[MEAN], c)) * at(&n->value[GAMMA], c) / at(&n->value[DEVIATION], c) + at(beta, c);
    return BL_OK;
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    norm n;
    bool fold;
    bli_tf_node *sum;
    BLI_TRY(read_norm(f, &n, &fold));
    if (!fold)
        return bli_tg_match_keep(f, out);
    const bli_tf_node *conv = n.layer.node;
    BLI_TRY(bli_tg_add_copy(out, n.layer.x));
    BLI_TRY(add_weights(&n, out));
    BLI_TRY(bli_tg_add_copy(out, conv));
    BLI_TRY(add_bias(&n, out));
    BLI_TRY(bli_tg_add_node(out, "BiasAdd", f->match->node->name,
                            (const char *[]){conv->name, n.part[BETA]->name, NULL}, &sum));
    BLI_TRY(bli_tf_node_take(f->store, sum, "data_format", conv));
    return bli_tg_copy_attr(f->store, sum, "T", conv);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern any = {"*", 0, NULL}, fixed = {"Const", 0, NULL};
    const bli_tg_pattern conv = BLI_TG_PATTERN("Conv2D", any, fixed), sub = BLI_TG_PATTERN("Sub", conv, fixed);
    const bli_tg_pattern div = BLI_TG_PATTERN("RealDiv", sub, fixed), mul = BLI_TG_PATTERN("Mul", div, fixed);
    const bli_tg_pattern pattern = BLI_TG_PATTERN("BiasAdd", mul, fixed);
    const bli_tg_rule rule = {&pattern, replace, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

const bli_tg_pass bli_tg_fold_subdivmul_batch_norms = {
    .name = "fold_subdivmul_batch_norms",
    .help = "batch normalisation of Sub, RealDiv, Mul and BiasAdd, into weights and bias",
    .ops = "BiasAdd",
    .extension = true,
    .run = run};
