/* op_reverse.c: ReverseV2 and ReverseSequence, SpaceToDepth and DepthToSpace (channels last), AddN. */
#include <string.h>

#include "op/box.h"
#include "tf/op.h"

/* ---- ReverseV2 --------------------------------------------------------------------------------------------------- */
static bl_status reversed_axes(const bli_tf_call *c, bool *turned, bool *known)
{
    int64_t v[BL_MAX_RANK];
    int count;
    BLI_TRY(bli_tf_ints(c, 1, v, &count, known));
    for (int i = 0; *known && c->in[0].shape.rank >= 0 && i < count; i++) {
        int at;
        BLI_TRY(bli_tf_axis(c, v[i], c->in[0].shape.rank, &at));
        if (turned[at])
            return bli_fail(c->ctx, BL_BAD_MODEL, "axis %d is named twice", at);
        turned[at] = true;
    }
    return BL_OK;
}

static bl_status infer_reverse(bli_tf_call *c)
{
    bool turned[BL_MAX_RANK] = {false}, known;
    BLI_TRY(reversed_axes(c, turned, &known));
    return bli_tf_infer_same(c);
}

static bl_status run_reverse(bli_tf_call *c)
{
    bool turned[BL_MAX_RANK] = {false}, known;
    BLI_TRY(reversed_axes(c, turned, &known));
    bli_box b = bli_box_of(&c->in[0].shape);
    for (int d = 0; d < b.rank; d++)
        if (turned[d] && b.dim[d] > 0) {
            b.from_at += (b.dim[d] - 1) * b.from[d];
            b.from[d] = -b.from[d];
        }
    bli_box_copy(&b, c->in[0].data, c->out[0].data, bli_tf_dtype_size(c->in[0].dtype));
    return BL_OK;
}

/* ---- ReverseSequence --------------------------------------------------------------------------------------------- */
static bl_status sequence_axes(const bli_tf_call *c, int *along, int *batch)
{
    int64_t seq, b;
    BLI_TRY(bli_tf_get_int(c->ctx, c->node, "seq_dim", &seq));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "batch_dim", 0, &b));
    BLI_TRY(bli_tf_axis(c, seq, c->in[0].shape.rank, along));
    BLI_TRY(bli_tf_axis(c, b, c->in[0].shape.rank, batch));
    return *along != *batch
               ? BL_OK
               : bli_fail(c->ctx, BL_BAD_MODEL, "attributes 'seq_dim' and 'batch_dim' are both %d", *along);
}

static int64_t length_at(const bli_tf_arg *a, int64_t i)
{
    return a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[i] : ((const int32_t *)a->data)[i];
}

static bl_status infer_reverse_sequence(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    const int t = c->in[1].dtype;
    int along, batch;
    BLI_TRY(bli_tf_need_rank(c, 1, 1));
    if (t != BLI_DT_INT32 && t != BLI_DT_INT64 && t != BLI_DT_INVALID)
        return bli_tf_refuse(c, 1, "int32 or int64");
    if (s->rank >= 0) {
        BLI_TRY(sequence_axes(c, &along, &batch));
        if (bli_tf_known(s) && bli_tf_known(&c->in[1].shape) && c->in[1].shape.dim[0] != s->dim[batch])
            return bli_tf_refuse(c, 1, "one length for each of the batch");
    }
    return bli_tf_infer_same(c);
}

static bl_status run_reverse_sequence(bli_tf_call *c)
{
    const size_t element = bli_tf_dtype_size(c->in[0].dtype);
    int along, batch;
    BLI_TRY(sequence_axes(c, &along, &batch));
    const bli_box whole = bli_box_of(&c->in[0].shape);
    bli_box_copy(&whole, c->in[0].data, c->out[0].data, element);
    for (int64_t i = 0; i < whole.dim[batch]; i++) {
        const int64_t n = length_at(&c->in[1], i);
        if (n < 0 || n > whole.dim[along])
            return bli_fail(c->ctx, BL_BAD_VALUE, "length %lld of %lld", (long long)n, (long long)whole.dim[along]);
        bli_box b = whole;
        b.dim[batch] = 1;
        b.dim[along] = n;
        b.from_at = i * b.from[batch] + (n > 0 ? n - 1 : 0) * b.from[along];
        b.to_at = i * b.to[batch];
        b.from[along] = -b.from[along];
        bli_box_copy(&b, c->in[0].data, c->out[0].data, element);
    }
    return BL_OK;
}

/* ---- SpaceToDepth, DepthToSpace ---------------------------------------------------------------------------------- */
static bl_status read_block(const bli_tf_call *c, int64_t *block)
{
    const char *format;
    BLI_TRY(bli_tf_get_int(c->ctx, c->node, "block_size", block));
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "data_format", "NHWC", &format));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    if (*block < 2 || *block > 4096)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'block_size' is %lld", (long long)*block);
    return strcmp(format, "NHWC") == 0 ? BL_OK
                                       : bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'data_format' is %s", format);
}

static bl_status infer_depth(bli_tf_call *c)
{
    const bool packs = c->node->op[0] == 'S';
    const bl_shape *s = &c->in[0].shape;
    bl_shape *o = &c->out[0].shape;
    int64_t block;
    BLI_TRY(read_block(c, &block));
    BLI_TRY(bli_tf_infer_same(c));
    if (!bli_tf_known(s))
        return *o = (bl_shape){4, {s->rank == 4 ? s->dim[0] : -1, -1, -1, -1}}, BL_OK;
    if (packs ? s->dim[1] % block != 0 || s->dim[2] % block != 0 : s->dim[3] % (block * block) != 0)
        return bli_tf_refuse(c, 0,
                             packs ? "sides that are multiples of the block's"
                                   : "channels that are a multiple of the block's pixels");
    for (int d = 1; d < 3; d++)
        if (!packs && __builtin_mul_overflow(s->dim[d], block, &o->dim[d]))
            return bli_tf_refuse(c, 0, "smaller sides");
    for (int d = 1; packs && d < 3; d++)
        o->dim[d] = s->dim[d] / block;
    if (packs && __builtin_mul_overflow(s->dim[3], block * block, &o->dim[3]))
        return bli_tf_refuse(c, 0, "fewer channels");
    if (!packs)
        o->dim[3] = s->dim[3] / (block * block);
    return BL_OK;
}

/* The large picture is [n][y][block][x][block][c], the deep one [n][y][x][block][block][c]. */
static bl_status run_depth(bli_tf_call *c)
{
    const bool packs = c->node->op[0] == 'S';
    const bl_shape *large = packs ? &c->in[0].shape : &c->out[0].shape;
    const bl_shape *deep = packs ? &c->out[0].shape : &c->in[0].shape;
    int64_t block;
    BLI_TRY(read_block(c, &block));
    const int64_t n = large->dim[3], y = deep->dim[1], x = deep->dim[2], row = large->dim[2] * n;
    const int64_t wide[] = {large->dim[1] * row, block * row, row, block * n, n, 1};
    const int64_t thick[] = {y * x * block * block * n, x * block * block * n, block * n, block * block * n, n, 1};
    bli_box b = {.rank = 6, .dim = {large->dim[0], y, block, x, block, n}};
    memcpy(b.from, packs ? wide : thick, sizeof wide);
    memcpy(b.to, packs ? thick : wide, sizeof wide);
    bli_box_copy(&b, c->in[0].data, c->out[0].data, bli_tf_dtype_size(c->in[0].dtype));
    return BL_OK;
}

/* ---- AddN -------------------------------------------------------------------------------------------------------- */
static bl_status infer_add_n(bli_tf_call *c)
{
    BLI_TRY(bli_tf_infer_same(c));
    for (int i = 1; i < c->num_in; i++) {
        BLI_TRY(bli_tf_same_type(c, 0, i));
        BLI_TRY(bli_tf_merge(c, i, &c->in[i].shape, &c->out[0].shape));
    }
    return BL_OK;
}

/* TensorFlow's order: what is left over of eights (or nine) first, then sums of eight, each by itself. */
static bl_status run_add_n(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->out[0]);
    const int first = c->num_in < 8 ? c->num_in : c->num_in % 8 < 2 ? 8 + c->num_in % 8 : c->num_in % 8;
    float *y = c->out[0].data;
    if (c->in[0].dtype != BLI_DT_FLOAT)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "tensors of %s; float is known", bli_tf_dtype_name(c->in[0].dtype));
    for (int64_t i = 0; i < n; i++) {
        float sum = ((const float *)c->in[0].data)[i];
        for (int k = 1; k < first; k++)
            sum += ((const float *)c->in[k].data)[i];
        for (int k = first; k < c->num_in; k += 8) {
            float eight = ((const float *)c->in[k].data)[i];
            for (int m = 1; m < 8; m++)
                eight += ((const float *)c->in[k + m].data)[i];
            sum += eight;
        }
        y[i] = sum;
    }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"ReverseV2", 2, 2, 1, NULL, infer_reverse, run_reverse, 0, false},
    {"ReverseSequence", 2, 2, 1, NULL, infer_reverse_sequence, run_reverse_sequence, 0, false},
    {"SpaceToDepth", 1, 1, 1, NULL, infer_depth, run_depth, 0, false},
    {"DepthToSpace", 1, 1, 1, NULL, infer_depth, run_depth, 0, false},
    {"AddN", 1, -1, 1, NULL, infer_add_n, run_add_n, 0, false},
};
const bli_tf_family bli_tf_family_reverse = {ops, BLI_COUNT(ops)};
