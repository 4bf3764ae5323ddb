/* op_slice.c: Slice, StridedSlice, ReverseV2, SpaceToBatchND, BatchToSpaceND: boxes that begin somewhere inside. */
#include <string.h>

#include "op/box.h"
#include "tf/op.h"

static size_t element(const bli_tf_arg *a)
{
    return bli_tf_dtype_size(a->dtype);
}

static void unknown_dims(bli_tf_call *c, int rank)
{
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape.rank = rank;
    for (int i = 0; i < rank; i++)
        c->out[0].shape.dim[i] = -1;
}

/* ---- Slice --------------------------------------------------------------------------------------------------- */
static bl_status infer_slice(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int64_t begin[BL_MAX_RANK], size[BL_MAX_RANK];
    int nb, ns;
    bool kb, ks;
    BLI_TRY(bli_tf_ints(c, 1, begin, &nb, &kb));
    BLI_TRY(bli_tf_ints(c, 2, size, &ns, &ks));
    unknown_dims(c, nb >= 0 ? nb : ns >= 0 ? ns : s->rank);
    if ((nb >= 0 && ns >= 0 && nb != ns) || (s->rank >= 0 && c->out[0].shape.rank != s->rank))
        return bli_tf_refuse(c, 0, "as many dimensions as begin and size have numbers");
    for (int i = 0; kb && ks && s->rank >= 0 && i < nb; i++) {
        if (s->dim[i] < 0)
            continue;
        const int64_t n = size[i] == -1 ? s->dim[i] - begin[i] : size[i];
        if (begin[i] < 0 || begin[i] > s->dim[i] || n < 0 || n > s->dim[i] - begin[i])
            return bli_tf_refuse(c, 0, "a size that holds the slice");
        c->out[0].shape.dim[i] = n;
    }
    return BL_OK;
}

static bl_status run_slice(bli_tf_call *c)
{
    int64_t begin[BL_MAX_RANK], stride[BL_MAX_RANK];
    int count;
    bool known;
    BLI_TRY(bli_tf_ints(c, 1, begin, &count, &known));
    bli_box b = bli_box_of(&c->out[0].shape);
    bli_strides(&c->in[0].shape, stride);
    for (int i = 0; i < count; i++) {
        b.from[i] = stride[i];
        b.from_at += begin[i] * stride[i];
    }
    bli_box_copy(&b, c->in[0].data, c->out[0].data, element(&c->in[0]));
    return BL_OK;
}

/* ---- StridedSlice -------------------------------------------------------------------------------------------- */
/* What a StridedSlice means for one tensor. */
typedef struct strided {
    bool known;
    int64_t begin[BL_MAX_RANK], step[BL_MAX_RANK], count[BL_MAX_RANK]; /* of the input's dimensions */
    bl_shape shape;
} strided;

typedef struct strided_masks {
    int64_t begin, end, ellipsis, new_axis, shrink;
} strided_masks;

static bl_status read_masks(bli_tf_call *c, strided_masks *m)
{
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "begin_mask", 0, &m->begin));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "end_mask", 0, &m->end));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "ellipsis_mask", 0, &m->ellipsis));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "new_axis_mask", 0, &m->new_axis));
    return bli_tf_int_or(c->ctx, c->node, "shrink_axis_mask", 0, &m->shrink);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* Entry i of the specification on dimension d. */
static bl_status one_range(bli_tf_call *c, const strided_masks *m, const int64_t v[3], int i, int d, strided *out)
{
    const int64_t n = c->in[0].shape.dim[d], step = v[2], low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    const bool from_start = m->begin >> i & 1, to_end = m->end >> i & 1;
    if (step == 0 || step == INT64_MIN)
        return bli_fail(c->ctx, BL_BAD_MODEL, "stride %d is %lld", i, (long long)step);
    if (m->shrink >> i & 1) {
        const int64_t at = v[0] < 0 ? v[0] + n : v[0];
        if (at < 0 || at >= n)
            return bli_fail(c->ctx, BL_BAD_MODEL, "index %lld of dimension %d, which has %lld", (long long)v[0], d,
                            (long long)n);
        out->begin[d] = at;
        out->step[d] = 1;
        out->count[d] = 1;
        return BL_OK;
    }
    const int64_t begin = from_start ? (step > 0 ? low : high) : clamp(v[0] < 0 ? v[0] + n : v[0], low, high);
    const int64_t end = to_end ? (step > 0 ? high : low) : clamp(v[1] < 0 ? v[1] + n : v[1], low, high);
    const int64_t span = step > 0 ? end - begin : begin - end, size = step > 0 ? step : -step;
    out->begin[d] = begin;
    out->step[d] = step;
    out->count[d] = span > 0 ? (span - 1) / size + 1 : 0;
    return BL_OK;
}

static bl_status append(bli_tf_call *c, strided *out, int64_t n)
{
    if (out->shape.rank == BL_MAX_RANK)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a result of more than %d dimensions", BL_MAX_RANK);
    out->shape.dim[out->shape.rank++] = n;
    return BL_OK;
}

static bl_status whole_dim(bli_tf_call *c, int d, strided *out)
{
    out->begin[d] = 0;
    out->step[d] = 1;
    out->count[d] = c->in[0].shape.dim[d];
    return append(c, out, out->count[d]);
}

static bl_status walk(bli_tf_call *c, const strided_masks *m, int64_t v[3][BL_MAX_RANK], int count, strided *out)
{
    const int rank = c->in[0].shape.rank;
    int used = 0, d = 0;
    for (int i = 0; i < count; i++)
        used += !(m->new_axis >> i & 1) && !(m->ellipsis >> i & 1);
    for (int i = 0; i < count; i++) {
        if (m->ellipsis >> i & 1) {
            for (int k = rank - used; k > 0; k--)
                BLI_TRY(whole_dim(c, d++, out));
            used = rank; /* a second ellipsis stands for nothing */
            continue;
        }
        if (m->new_axis >> i & 1) {
            BLI_TRY(append(c, out, 1));
            continue;
        }
        if (d >= rank)
            return bli_tf_refuse(c, 0, "as many dimensions as the slice takes");
        const int64_t one[3] = {v[0][i], v[1][i], v[2][i]};
        BLI_TRY(one_range(c, m, one, i, d, out));
        if (!(m->shrink >> i & 1))
            BLI_TRY(append(c, out, out->count[d]));
        d++;
    }
    while (d < rank)
        BLI_TRY(whole_dim(c, d++, out));
    return BL_OK;
}

static bl_status read_strided(bli_tf_call *c, strided *out)
{
    int64_t v[3][BL_MAX_RANK];
    int count[3];
    strided_masks m;
    bool known = true;
    *out = (strided){.shape = {0, {0}}};
    BLI_TRY(read_masks(c, &m));
    for (int i = 0; i < 3; i++) {
        bool k;
        BLI_TRY(bli_tf_ints(c, 1 + i, v[i], &count[i], &k));
        known = known && k;
    }
    if (!known || !bli_tf_known(&c->in[0].shape))
        return BL_OK;
    if (count[0] != count[1] || count[0] != count[2])
        return bli_fail(c->ctx, BL_BAD_MODEL, "begin, end and strides have %d, %d and %d numbers", count[0], count[1],
                        count[2]);
    out->known = true;
    return walk(c, &m, v, count[0], out);
}

static bl_status infer_strided_slice(bli_tf_call *c)
{
    strided s;
    BLI_TRY(read_strided(c, &s));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = s.known ? s.shape : BLI_TF_UNKNOWN_SHAPE;
    return BL_OK;
}

static bl_status run_strided_slice(bli_tf_call *c)
{
    strided s;
    int64_t stride[BL_MAX_RANK];
    BLI_TRY(read_strided(c, &s));
    bl_shape taken = c->in[0].shape;
    for (int i = 0; i < taken.rank; i++)
        taken.dim[i] = s.count[i];
    if (bl_shape_count(&taken) == 0)
        return BL_OK;
    bli_box b = bli_box_of(&taken);
    bli_strides(&c->in[0].shape, stride);
    for (int i = 0; i < taken.rank; i++) {
        b.from[i] = s.step[i] * stride[i];
        b.from_at += s.begin[i] * stride[i];
    }
    bli_box_copy(&b, c->in[0].data, c->out[0].data, element(&c->in[0]));
    return BL_OK;
}

/* ---- SpaceToBatchND, BatchToSpaceND -------------------------------------------------------------------------- */
/* x has batch, M dimensions of space, and the rest; blocks and the borders (pads, or crops). */
typedef struct blocks {
    bool known;
    int dims;
    int64_t block[BL_MAX_RANK], border[BL_MAX_RANK][2], size; /* size: of all blocks together */
} blocks;

static bl_status read_borders(bli_tf_call *c, blocks *b)
{
    const bli_tf_arg *a = &c->in[2];
    if (a->dtype != BLI_DT_INT32 && a->dtype != BLI_DT_INT64)
        return bli_tf_refuse(c, 2, "int32 or int64");
    if (a->shape.rank != 2 || a->shape.dim[0] != b->dims || a->shape.dim[1] != 2)
        return bli_tf_refuse(c, 2, "two numbers for each block");
    for (int i = 0; i < 2 * b->dims; i++) {
        const int64_t v = a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[i] : ((const int32_t *)a->data)[i];
        if (v < 0 || v > INT32_MAX)
            return bli_fail(c->ctx, BL_BAD_MODEL, "input 2 has %lld, expected 0 or more", (long long)v);
        b->border[i / 2][i % 2] = v;
    }
    return BL_OK;
}

static bl_status read_blocks(bli_tf_call *c, blocks *b)
{
    bool known;
    *b = (blocks){.size = 1};
    BLI_TRY(bli_tf_ints(c, 1, b->block, &b->dims, &known));
    if (!known || !c->in[2].data || !bli_tf_known(&c->in[0].shape))
        return BL_OK;
    BLI_TRY(read_borders(c, b));
    for (int i = 0; i < b->dims; i++) {
        if (b->block[i] < 1 || __builtin_mul_overflow(b->size, b->block[i], &b->size))
            return bli_fail(c->ctx, BL_BAD_MODEL, "block %d is %lld", i, (long long)b->block[i]);
    }
    if (c->in[0].shape.rank < b->dims + 1)
        return bli_tf_refuse(c, 0, "a batch and a dimension for each block");
    b->known = true;
    return BL_OK;
}

static bl_status infer_to_batch(bli_tf_call *c)
{
    blocks b;
    BLI_TRY(read_blocks(c, &b));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = b.known ? c->in[0].shape : BLI_TF_UNKNOWN_SHAPE;
    for (int i = 0; b.known && i < b.dims; i++) {
        const int64_t n = c->in[0].shape.dim[1 + i] + b.border[i][0] + b.border[i][1];
        if (n % b.block[i] != 0)
            return bli_tf_refuse(c, 0, "with its pads, whole blocks");
        c->out[0].shape.dim[1 + i] = n / b.block[i];
    }
    if (b.known && __builtin_mul_overflow(c->out[0].shape.dim[0], b.size, &c->out[0].shape.dim[0]))
        return bli_tf_refuse(c, 0, "a smaller batch");
    return BL_OK;
}

static bl_status infer_to_space(bli_tf_call *c)
{
    blocks b;
    BLI_TRY(read_blocks(c, &b));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = b.known ? c->in[0].shape : BLI_TF_UNKNOWN_SHAPE;
    if (b.known && c->in[0].shape.dim[0] % b.size != 0)
        return bli_tf_refuse(c, 0, "a batch of whole blocks");
    for (int i = 0; b.known && i < b.dims; i++) {
        int64_t n;
        if (__builtin_mul_overflow(c->in[0].shape.dim[1 + i], b.block[i], &n) || n < b.border[i][0] + b.border[i][1])
            return bli_tf_refuse(c, 0, "a size that holds the crops");
        c->out[0].shape.dim[1 + i] = n - b.border[i][0] - b.border[i][1];
    }
    if (b.known)
        c->out[0].shape.dim[0] /= b.size;
    return BL_OK;
}

/* One block offset: positions p of the small picture whose p * block + offset - border lies within 0 .. size - 1. */
static bool range_of(int64_t block, int64_t offset, int64_t border, int64_t size, int64_t small, int64_t *first,
                     int64_t *count)
{
    const int64_t shift = border - offset;
    *first = shift > 0 ? (shift + block - 1) / block : 0;
    const int64_t last = size + shift > 0 ? (size + shift - 1) / block : -1;
    *count = (last < small - 1 ? last : small - 1) - *first + 1;
    return *count > 0;
}

/* The box between the large and the small tensor for block number k; from: large. */
static bool block_box(const blocks *b, const bl_shape *large, const bl_shape *small, int64_t k, bli_box *box)
{
    int64_t ls[BL_MAX_RANK], ss[BL_MAX_RANK];
    bl_shape part = *large;
    bli_strides(large, ls);
    bli_strides(small, ss);
    *box = bli_box_of(&part);
    box->to_at = k * large->dim[0] * ss[0];
    for (int i = 0; i < large->rank; i++)
        box->to[i] = ss[i];
    for (int i = b->dims - 1; i >= 0; i--) {
        const int64_t offset = k % b->block[i];
        int64_t first, count;
        k /= b->block[i];
        if (!range_of(b->block[i], offset, b->border[i][0], large->dim[1 + i], small->dim[1 + i], &first, &count))
            return false;
        box->dim[1 + i] = count;
        box->from[1 + i] = ls[1 + i] * b->block[i];
        box->from_at += (first * b->block[i] + offset - b->border[i][0]) * ls[1 + i];
        box->to_at += first * ss[1 + i];
    }
    return true;
}

static bl_status run_to_batch(bli_tf_call *c)
{
    blocks b;
    bli_box box;
    BLI_TRY(read_blocks(c, &b));
    memset(c->out[0].data, 0, (size_t)bli_tf_count(&c->out[0]) * element(&c->in[0]));
    for (int64_t k = 0; bli_tf_count(&c->in[0]) > 0 && k < b.size; k++)
        if (block_box(&b, &c->in[0].shape, &c->out[0].shape, k, &box))
            bli_box_copy(&box, c->in[0].data, c->out[0].data, element(&c->in[0]));
    return BL_OK;
}

static bl_status run_to_space(bli_tf_call *c)
{
    blocks b;
    bli_box box;
    BLI_TRY(read_blocks(c, &b));
    for (int64_t k = 0; bli_tf_count(&c->out[0]) > 0 && k < b.size; k++)
        if (block_box(&b, &c->out[0].shape, &c->in[0].shape, k, &box)) {
            const bli_box turned = bli_box_reversed(&box);
            bli_box_copy(&turned, c->in[0].data, c->out[0].data, element(&c->in[0]));
        }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Slice", 3, 3, 1, NULL, infer_slice, run_slice, 0, false},
    {"StridedSlice", 4, 4, 1, NULL, infer_strided_slice, run_strided_slice, 0, false},
    {"SpaceToBatchND", 3, 3, 1, NULL, infer_to_batch, run_to_batch, 0, false},
    {"BatchToSpaceND", 3, 3, 1, NULL, infer_to_space, run_to_space, 0, false},
};
const bli_tf_family bli_tf_family_slice = {ops, BLI_COUNT(ops)};
