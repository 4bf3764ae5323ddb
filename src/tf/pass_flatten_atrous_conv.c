/* pass_flatten_atrous_conv.c: a convolution between SpaceToBatchND and BatchToSpaceND as one with a spread filter.
 *
 * The original looks neither at pads nor at crops and always writes SAME.  Where defects are mended, the three nodes
 * stay unless the convolution is VALID with pads less crops as SAME has them.
 */
#include <string.h>

#include "tf/transform.h"

static bl_status ints_of(const bli_tg_found *f, const bli_tf_node *n, size_t count, int32_t *out)
{
    bli_tf_tensor t;
    BLI_TRY(bli_tg_const_view(f->store, n, 0, &t));
    if ((t.dtype != BLI_DT_INT32 && t.dtype != BLI_DT_INT64) || t.count != count)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s): expected %zu whole numbers", n->name, n->op, count);
    for (size_t i = 0; i < count; i++)
        out[i] = t.dtype == BLI_DT_INT32 ? ((const int32_t *)t.data)[i] : (int32_t)((const int64_t *)t.data)[i];
    return BL_OK;
}

/* Whether SAME on the whole picture is what the three nodes do. */
static bl_status is_same(const bli_tg_found *f, const bli_tf_tensor *filter, const int32_t block[2], bool *yes)
{
    const bli_tg_match *conv = &f->match->inputs[0], *s2b = &conv->inputs[0];
    int32_t pads[4], crops[4], back[2];
    const char *padding;
    *yes = true;
    if (f->job->compat)
        return BL_OK;
    const bli_tf_node *const consts[] = {s2b->inputs[2].node, f->match->inputs[1].node, f->match->inputs[2].node};
    for (size_t i = 0; i < 3; i++)
        *yes = *yes && strcmp(consts[i]->op, "Const") == 0;
    if (!*yes)
        return BL_OK;
    BLI_TRY(ints_of(f, consts[0], 4, pads));
    BLI_TRY(ints_of(f, consts[1], 2, back));
    BLI_TRY(ints_of(f, consts[2], 4, crops));
    BLI_TRY(bli_tf_get_string(f->job->ctx, conv->node, "padding", &padding));
    *yes = strcmp(padding, "VALID") == 0 && back[0] == block[0] && back[1] == block[1];
    for (int a = 0; a < 2; a++) {
        int64_t total = (filter->dim[a] - 1) * block[a];
        *yes =
            *yes && pads[2 * a] - crops[2 * a] == total / 2 && pads[2 * a + 1] - crops[2 * a + 1] == total - total / 2;
    }
    return BL_OK;
}

static bl_status spread(const bli_tf_node *from, const bli_tf_tensor *t, const int32_t block[2], bli_tf_graph *out)
{
    int64_t dim[4] = {(t->dim[0] - 1) * block[0] + 1, (t->dim[1] - 1) * block[1] + 1, t->dim[2], t->dim[3]};
    size_t row = (size_t)(dim[2] * dim[3]) * t->element;
    void *content;
    BLI_TRY(bli_tg_add_const(out, from->name, t->dtype, 4, dim, NULL, &content, NULL));
    for (int64_t h = 0; h < t->dim[0]; h++)
        for (int64_t w = 0; w < t->dim[1]; w++)
            memcpy((char *)content + (size_t)(h * block[0] * dim[1] + w * block[1]) * row,
                   (const char *)t->data + (size_t)(h * t->dim[1] + w) * row, row);
    return BL_OK;
}

static bl_status add_conv(const bli_tg_found *f, const bli_tf_node *conv, const bli_tf_node *s2b, bli_tf_graph *out)
{
    bli_tf_node *made;
    BLI_TRY(bli_tg_add_node(out, conv->op, f->match->node->name,
                            (const char *[]){s2b->inputs[0], conv->inputs[1], NULL}, &made));
    BLI_TRY(bli_tg_copy_attr(f->store, made, "T", conv));
    BLI_TRY(bli_tg_copy_attr(f->store, made, "strides", conv));
    BLI_TRY(bli_tf_node_set(f->store, made, "padding", bli_tf_value_string(f->store, "SAME")));
    if (!f->job->compat) {
        BLI_TRY(bli_tf_node_take(f->store, made, "data_format", conv));
        return bli_tf_node_take(f->store, made, "use_cudnn_on_gpu", conv);
    }
    BLI_TRY(bli_tg_copy_attr(f->store, made, "data_format", conv));
    return strcmp(conv->op, "Conv2D") == 0 ? bli_tg_copy_attr(f->store, made, "use_cudnn_on_gpu", conv) : BL_OK;
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *conv = &f->match->inputs[0], *s2b = &conv->inputs[0];
    const bli_tf_node *filter = conv->inputs[1].node, *blocks = s2b->inputs[1].node;
    bli_tf_tensor t;
    int32_t block[2];
    bool yes;
    if (!f->job->compat && (strcmp(filter->op, "Const") != 0 || strcmp(blocks->op, "Const") != 0))
        return bli_tg_match_keep(f, out);
    BLI_TRY(bli_tg_const_view(f->store, filter, 0, &t));
    BLI_TRY(ints_of(f, blocks, 2, block));
    if (t.rank != 4 || t.element == 0)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (Const): a filter of rank %d; expected 4", filter->name,
                        t.rank);
    if (t.dim[0] < 1 || t.dim[1] < 1 || block[0] < 1 || block[1] < 1 || block[0] > 1 << 16 || block[1] > 1 << 16)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s): blocks %d by %d of a filter %lld by %lld",
                        s2b->node->name, s2b->node->op, block[0], block[1], (long long)t.dim[0], (long long)t.dim[1]);
    BLI_TRY(is_same(f, &t, block, &yes));
    if (!yes || (!f->job->compat && bli_tg_used_outside(f, filter)))
        return bli_tg_match_keep(f, out);
    BLI_TRY(bli_tg_add_copy(out, s2b->inputs[0].node));
    BLI_TRY(spread(filter, &t, block, out));
    return add_conv(f, conv->node, s2b->node, out);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("BatchToSpaceND",
                       BLI_TG_PATTERN("Conv2D|DepthwiseConv2dNative",
                                      BLI_TG_PATTERN("SpaceToBatchND", {"*", 0, NULL}, {"*", 0, NULL}, {"*", 0, NULL}),
                                      {"*", 0, NULL}),
                       {"*", 0, NULL}, {"*", 0, NULL});
    const bli_tg_rule rule = {&pattern, replace, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

const bli_tg_pass bli_tg_flatten_atrous_conv = {
    .name = "flatten_atrous_conv",
    .help = "SpaceToBatchND, convolution, BatchToSpaceND as one convolution with zeros in its filter",
    .ops = "SpaceToBatchND|Conv2D|DepthwiseConv2dNative|BatchToSpaceND",
    .run = run,
};
