/* quantize_conv.c: convolutions that QuantizedConv2D does not know, by way of one that it does.
 *
 * It has one stride for both sides, SAME or VALID, and no dilations.  Zeros that it cannot add are zero's codes around
 * the bytes.  Of unequal strides it takes what divides both, and the sums that were not asked for go.  Dilated taps are
 * neighbours once pixels that lie so far apart have become a picture of their own: SpaceToBatchND of the bytes,
 * BatchToSpaceND of the sums.  All of these move whole numbers, so every TensorFlow gives the same bits.  What depends
 * on the picture's size needs it known.
 */
#include <string.h>

#include "tf/quantize_parts.h"

static bl_status pair_of(bl_context *ctx, const bli_tf_node *n, const char *attr, int64_t out[2], bool *yes)
{
    const int64_t *v;
    size_t count = 0;
    out[0] = out[1] = 1;
    if (bli_tf_node_attr(n, attr))
        BLI_TRY(bli_tf_get_ints(ctx, n, attr, &v, &count));
    if (count == 0)
        return BL_OK;
    *yes = *yes && count == 4 && v[0] == 1 && v[3] == 1;
    for (int d = 1; d <= 2; d++)
        *yes = *yes && v[d] >= 1 && v[d] <= INT32_MAX;
    memcpy(out, v + 1, *yes ? 2 * sizeof *out : 0);
    return BL_OK;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : common_divisor(b, a % b);
}

typedef struct geometry {
    int64_t stride[2], dilation[2], kernel[2], size[2]; /* -1: not known */
    const char *padding;
} geometry;

/* A side that no picture has counts as unknown. */
static int64_t side(const bl_shape *s, int d)
{
    return s && s->rank == 4 && s->dim[d] <= INT32_MAX ? s->dim[d] : -1;
}

static bl_status read_geometry(const bli_tg_quantizer *q, const bli_tf_node *n, geometry *g, bool *yes)
{
    bl_context *ctx = q->job->ctx;
    const char *format;
    *yes = bli_tg_data_inputs(n) == 2;
    if (!*yes)
        return BL_OK;
    const bl_shape *x = bli_tg_some_shape_of(q, n->inputs[0]), *w = bli_tg_shape_of(q, n->inputs[1]);
    BLI_TRY(bli_tf_string_or(ctx, n, "data_format", "NHWC", &format));
    BLI_TRY(bli_tf_string_or(ctx, n, "padding", "VALID", &g->padding));
    BLI_TRY(pair_of(ctx, n, "strides", g->stride, yes));
    BLI_TRY(pair_of(ctx, n, "dilations", g->dilation, yes));
    *yes = *yes && strcmp(format, "NHWC") == 0;
    for (int d = 0; d < 2; d++) {
        g->kernel[d] = side(w, d);
        g->size[d] = side(x, 1 + d);
    }
    return BL_OK;
}

static bl_status explicit_pads(const bli_tg_quantizer *q, const bli_tf_node *n, int64_t pads[2][2], bool *yes)
{
    const int64_t *v;
    size_t count;
    BLI_TRY(bli_tf_get_ints(q->job->ctx, n, "explicit_paddings", &v, &count));
    *yes = *yes && count == 8 && v[0] == 0 && v[1] == 0 && v[6] == 0 && v[7] == 0;
    for (int i = 0; i < 4 && *yes; i++) {
        *yes = v[2 + i] >= 0 && v[2 + i] <= INT32_MAX;
        pads[i / 2][i % 2] = v[2 + i];
    }
    return BL_OK;
}

/* As SAME adds them, a smaller half first. */
static void same_pads(const geometry *g, int64_t pads[2][2])
{
    for (int d = 0; d < 2; d++) {
        const int64_t out = (g->size[d] + g->stride[d] - 1) / g->stride[d];
        const int64_t all = (out - 1) * g->stride[d] + (g->kernel[d] - 1) * g->dilation[d] + 1 - g->size[d];
        pads[d][0] = all > 0 ? all / 2 : 0;
        pads[d][1] = all > 0 ? all - all / 2 : 0;
    }
}

/* Pads that make the padded picture whole blocks, which the sums lose again. */
static bool plan_blocks(const geometry *g, bli_tg_conv_way *way)
{
    bool yes = g->stride[0] == 1 && g->stride[1] == 1;
    for (int d = 0; d < 2; d++) {
        const int64_t padded = g->size[d] + way->pads[d][0] + way->pads[d][1], b = g->dilation[d];
        yes = yes && b <= INT32_MAX && padded >= (g->kernel[d] - 1) * b + 1;
        way->block[d] = b;
        way->crop[d] = (b - padded % b) % b;
        way->pads[d][1] += way->crop[d];
    }
    return yes;
}

bl_status bli_tg_conv_find(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tg_conv_way *way, bool *yes)
{
    geometry g;
    *way = (bli_tg_conv_way){.block = {1, 1}, .step = {1, 1}};
    BLI_TRY(read_geometry(q, n, &g, yes));
    if (!*yes)
        return BL_OK;
    const bool dilated = g.dilation[0] > 1 || g.dilation[1] > 1, same = strcmp(g.padding, "SAME") == 0,
               given = strcmp(g.padding, "EXPLICIT") == 0,
               sized = g.size[0] > 0 && g.size[1] > 0 && g.kernel[0] > 0 && g.kernel[1] > 0;
    way->stride = common_divisor(g.stride[0], g.stride[1]);
    way->plain = !dilated && !given && g.stride[0] == g.stride[1];
    if (way->plain)
        return BL_OK;
    *yes = sized || (!dilated && !same);
    if (*yes && given)
        BLI_TRY(explicit_pads(q, n, way->pads, yes));
    if (*yes && same)
        same_pads(&g, way->pads);
    if (*yes && dilated)
        *yes = plan_blocks(&g, way);
    for (int d = 0; d < 2; d++)
        way->step[d] = g.stride[d] / way->stride;
    return BL_OK;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------
 */

/* Whole numbers, rows of `columns`; one row: a vector. */
static bl_status add_ints(const bli_tg_site *s, const char *part, int rows, int columns, const int64_t *v)
{
    const int64_t dim[2] = {rows == 1 ? columns : rows, columns};
    int32_t data[8];
    const char *name = bli_tg_part_name(s, part);
    for (int i = 0; i < rows * columns; i++)
        data[i] = (int32_t)v[i];
    return name ? bli_tg_add_const(s->out, name, BLI_DT_INT32, rows == 1 ? 1 : 2, dim, data, NULL, NULL) : BL_NO_MEMORY;
}

static bl_status add_zeros_around(bli_tg_site *s, const bli_tg_conv_way *way)
{
    static const bli_tg_part nothing[] = {
        {"real_zero", "Const", "", "dtype=float", 0},
        {"nothing", "QuantizeV2", "real_zero $:1 $:2", "T=quint8", 0},
    };
    static const bli_tg_part around[] = {{"around", "PadV2", "$ pads nothing", "T=quint8 Tpaddings=int32", 0}};
    const int64_t pads[8] = {0, 0, way->pads[0][0], way->pads[0][1], way->pads[1][0], way->pads[1][1], 0, 0};
    bli_tf_node *n;
    BLI_TRY(add_ints(s, "pads", 4, 2, pads));
    BLI_TRY(BLI_TG_ADD_PARTS(s, nothing, &n));
    BLI_TRY(bli_tg_set_mode(s->out->store, n, BLI_DT_QUINT8));
    /* the range is the codes' own, however narrow */
    BLI_TRY(bli_tf_node_set(s->out->store, n, "ensure_minimum_range", bli_tf_value_float(s->out->store, 1e-30f)));
    BLI_TRY(BLI_TG_ADD_PARTS(s, around, NULL));
    s->codes[0] = bli_tg_part_name(s, "around");
    return s->codes[0] ? BL_OK : BL_NO_MEMORY;
}

static bl_status add_blocks(bli_tg_site *s, const bli_tg_conv_way *way)
{
    static const int64_t none[4];
    static const bli_tg_part apart[] = {
        {"bytes", "Bitcast", "$", "T=quint8 type=uint8", 0},
        {"pictures", "SpaceToBatchND", "bytes block none", "T=uint8 Tblock_shape=int32 Tpaddings=int32", 0},
        {"apart", "Bitcast", "pictures", "T=uint8 type=quint8", 0},
    };
    BLI_TRY(add_ints(s, "block", 1, 2, way->block));
    BLI_TRY(add_ints(s, "none", 2, 2, none));
    BLI_TRY(BLI_TG_ADD_PARTS(s, apart, NULL));
    s->codes[0] = bli_tg_part_name(s, "apart");
    return s->codes[0] ? BL_OK : BL_NO_MEMORY;
}

static bool has_blocks(const bli_tg_conv_way *way)
{
    return way->block[0] > 1 || way->block[1] > 1;
}

bl_status bli_tg_conv_front(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_conv_way *way,
                            bli_tg_bytes *in, const bli_tf_node **kernel, bli_tf_graph *out)
{
    bli_tf_store *s = out->store;
    const int64_t strides[4] = {1, way->stride, way->stride, 1};
    bli_tg_site site;
    *kernel = n;
    if (way->plain)
        return BL_OK;
    bli_tf_node *copy = bli_tf_node_copy(s, n);
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_site_make(q, n, "front", out, &site));
    bli_tg_site_read(&site, in, 0);
    if (way->pads[0][0] || way->pads[0][1] || way->pads[1][0] || way->pads[1][1])
        BLI_TRY(add_zeros_around(&site, way));
    if (has_blocks(way))
        BLI_TRY(add_blocks(&site, way));
    in->names[0] = site.codes[0];
    BLI_TRY(bli_tf_node_set(s, copy, "strides", bli_tf_value_ints(s, strides, 4)));
    BLI_TRY(bli_tf_node_set(s, copy, "padding", bli_tf_value_string(s, "VALID")));
    *kernel = copy;
    return BL_OK;
}

static bl_status join_blocks(const bli_tg_site *s, const bli_tg_conv_way *way)
{
    static const bli_tg_part joined[] = {
        {"moved", "BatchToSpaceND", "whole block crops", "T=int32 Tblock_shape=int32 Tcrops=int32", 0},
    };
    const int64_t crops[4] = {0, way->crop[0], 0, way->crop[1]};
    BLI_TRY(add_ints(s, "block", 1, 2, way->block));
    BLI_TRY(add_ints(s, "crops", 2, 2, crops));
    return BLI_TG_ADD_PARTS(s, joined, NULL);
}

static bl_status take_steps(const bli_tg_site *s, const bli_tg_conv_way *way)
{
    static const int64_t all[4];
    static const bli_tg_part taken[] = {{"moved", "StridedSlice", "whole all all steps", "T=int32 Index=int32", 0}};
    static const char *const masks[] = {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"};
    const int64_t steps[4] = {1, way->step[0], way->step[1], 1};
    bli_tf_node *n;
    BLI_TRY(add_ints(s, "all", 1, 4, all));
    BLI_TRY(add_ints(s, "steps", 1, 4, steps));
    BLI_TRY(BLI_TG_ADD_PARTS(s, taken, &n));
    for (size_t i = 0; i < BLI_COUNT(masks); i++)
        BLI_TRY(bli_tf_node_set(s->out->store, n, masks[i], bli_tf_value_int(s->out->store, i < 2 ? 15 : 0)));
    return BL_OK;
}

bl_status bli_tg_conv_back(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_conv_way *way,
                           const char **sums, bli_tf_graph *out)
{
    static const bli_tg_part whole[] = {{"whole", "Bitcast", "$", "T=qint32 type=int32", 0}};
    static const bli_tg_part codes[] = {{"codes", "Bitcast", "moved", "T=int32 type=qint32", 0}};
    bli_tg_site s;
    if (way->plain || (!has_blocks(way) && way->step[0] == 1 && way->step[1] == 1))
        return BL_OK;
    BLI_TRY(bli_tg_site_make(q, n, "back", out, &s));
    s.codes[0] = *sums;
    BLI_TRY(BLI_TG_ADD_PARTS(&s, whole, NULL));
    BLI_TRY(has_blocks(way) ? join_blocks(&s, way) : take_steps(&s, way));
    BLI_TRY(BLI_TG_ADD_PARTS(&s, codes, NULL));
    *sums = bli_tg_part_name(&s, "codes");
    return *sums ? BL_OK : BL_NO_MEMORY;
}
