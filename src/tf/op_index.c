/* op_index.c: Gather, Tile, Fill, Range, OneHot-like operators whose results repeat or pick elements. */
#include <math.h>
#include <string.h>

#include "op/box.h"
#include "tf/op.h"

/* ---- Gather -------------------------------------------------------------------------------------------------- */
static bl_status gather_axis(bli_tf_call *c, int *axis, bool *known)
{
    int64_t v = 0;
    *axis = 0;
    *known = true;
    if (c->num_in == 3)
        BLI_TRY(bli_tf_scalar_int(c, 2, &v, known));
    if (c->in[0].shape.rank == 0)
        return bli_tf_refuse(c, 0, "at least one dimension");
    return *known && c->in[0].shape.rank > 0 ? bli_tf_axis(c, v, c->in[0].shape.rank, axis) : BL_OK;
}

static bl_status infer_gather(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape, *t = &c->in[1].shape;
    int64_t batch = 0;
    int axis;
    bool known;
    if (c->num_in == 3)
        BLI_TRY(bli_tf_int_or(c->ctx, c->node, "batch_dims", 0, &batch));
    if (batch != 0)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'batch_dims' is %lld; only 0 is known", (long long)batch);
    if (c->in[1].dtype && c->in[1].dtype != BLI_DT_INT32 && c->in[1].dtype != BLI_DT_INT64)
        return bli_tf_refuse(c, 1, "int32 or int64");
    BLI_TRY(gather_axis(c, &axis, &known));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (s->rank < 0 || t->rank < 0 || !known)
        return BL_OK;
    if (s->rank + t->rank - 1 > BL_MAX_RANK)
        return bli_tf_refuse(c, 0, "a result of at most 8 dimensions");
    bl_shape *o = &c->out[0].shape;
    o->rank = 0;
    for (int i = 0; i < axis; i++)
        o->dim[o->rank++] = s->dim[i];
    for (int i = 0; i < t->rank; i++)
        o->dim[o->rank++] = t->dim[i];
    for (int i = axis + 1; i < s->rank; i++)
        o->dim[o->rank++] = s->dim[i];
    return BL_OK;
}

static bl_status run_gather(bli_tf_call *c)
{
    const bli_tf_arg *x = &c->in[0], *ids = &c->in[1];
    const int64_t count = bli_tf_count(ids);
    size_t rows = 1, bytes = bli_tf_dtype_size(x->dtype);
    int axis;
    bool known;
    BLI_TRY(gather_axis(c, &axis, &known));
    const int64_t size = x->shape.dim[axis];
    for (int i = 0; i < axis; i++)
        rows *= (size_t)x->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        bytes *= (size_t)x->shape.dim[i];
    for (int64_t k = 0; k < count; k++) {
        const int64_t id =
            ids->dtype == BLI_DT_INT64 ? ((const int64_t *)ids->data)[k] : ((const int32_t *)ids->data)[k];
        if (id < 0 || id >= size)
            return bli_fail(c->ctx, BL_BAD_VALUE, "index %lld of %lld", (long long)id, (long long)size);
        for (size_t r = 0; bytes > 0 && r < rows; r++)
            memcpy((char *)c->out[0].data + (r * (size_t)count + (size_t)k) * bytes,
                   (const char *)x->data + (r * (size_t)size + (size_t)id) * bytes, bytes);
    }
    return BL_OK;
}

/* ---- Tile ---------------------------------------------------------------------------------------------------- */
static bl_status infer_tile(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int64_t times[BL_MAX_RANK];
    int count;
    bool known;
    BLI_TRY(bli_tf_ints(c, 1, times, &count, &known));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = *s;
    if (s->rank >= 0 && count >= 0 && count != s->rank)
        return bli_tf_refuse(c, 0, "as many dimensions as there are multiples");
    for (int i = 0; i < s->rank; i++) {
        int64_t *d = &c->out[0].shape.dim[i];
        if (known && times[i] < 0)
            return bli_fail(c->ctx, BL_BAD_MODEL, "multiple %d is %lld", i, (long long)times[i]);
        if (!known || *d < 0)
            *d = -1;
        else if (__builtin_mul_overflow(*d, times[i], d))
            return bli_tf_refuse(c, 0, "a smaller tensor");
    }
    return BL_OK;
}

/* Where the output's element with these coordinates comes from, by one division a dimension. */
static bl_status run_tile(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape, *o = &c->out[0].shape;
    const size_t size = bli_tf_dtype_size(c->in[0].dtype);
    const int64_t n = bli_tf_count(&c->out[0]);
    int64_t stride[BL_MAX_RANK], at[BL_MAX_RANK] = {0};
    bli_strides(s, stride);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = 0;
        for (int d = 0; d < s->rank; d++)
            from += at[d] % s->dim[d] * stride[d];
        memcpy((char *)c->out[0].data + (size_t)i * size, (const char *)c->in[0].data + (size_t)from * size, size);
        for (int d = o->rank - 1; d >= 0 && ++at[d] == o->dim[d]; d--)
            at[d] = 0;
    }
    return BL_OK;
}

/* ---- Fill, ZerosLike, OnesLike ------------------------------------------------------------------------------- */
static bl_status infer_fill(bli_tf_call *c)
{
    int64_t v[BL_MAX_RANK];
    int count;
    bool known;
    BLI_TRY(bli_tf_ints(c, 0, v, &count, &known));
    if (bli_tf_known(&c->in[1].shape) && bli_tf_count(&c->in[1]) != 1)
        return bli_tf_refuse(c, 1, "one value");
    c->out[0].dtype = c->in[1].dtype;
    c->out[0].shape.rank = count;
    for (int i = 0; i < count; i++) {
        if (known && v[i] < 0)
            return bli_fail(c->ctx, BL_BAD_MODEL, "dimension %d is %lld", i, (long long)v[i]);
        c->out[0].shape.dim[i] = known ? v[i] : -1;
    }
    return BL_OK;
}

static bl_status run_fill(bli_tf_call *c)
{
    const size_t size = bli_tf_dtype_size(c->out[0].dtype);
    const int64_t n = bli_tf_count(&c->out[0]);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)c->out[0].data + (size_t)i * size, c->in[1].data, size);
    return BL_OK;
}

static bl_status run_zeros_like(bli_tf_call *c)
{
    memset(c->out[0].data, 0, (size_t)bli_tf_count(&c->out[0]) * bli_tf_dtype_size(c->out[0].dtype));
    return BL_OK;
}

/* ---- Range --------------------------------------------------------------------------------------------------- */
static double number_at(const bli_tf_arg *a)
{
    switch (a->dtype) {
    case BLI_DT_INT32:
        return *(const int32_t *)a->data;
    case BLI_DT_INT64:
        return (double)*(const int64_t *)a->data;
    case BLI_DT_FLOAT:
        return (double)*(const float *)a->data;
    default:
        return *(const double *)a->data;
    }
}

static bl_status infer_range(bli_tf_call *c)
{
    const int t = c->in[0].dtype;
    bool known = true;
    for (int i = 0; i < 3; i++) {
        BLI_TRY(bli_tf_same_type(c, 0, i));
        if (bli_tf_known(&c->in[i].shape) && bli_tf_count(&c->in[i]) != 1)
            return bli_tf_refuse(c, i, "one number");
        known = known && c->in[i].data;
    }
    if (t && t != BLI_DT_INT32 && t != BLI_DT_INT64 && t != BLI_DT_FLOAT && t != BLI_DT_DOUBLE)
        return bli_tf_refuse(c, 0, "int32, int64, float or double");
    c->out[0].dtype = t;
    c->out[0].shape = (bl_shape){1, {-1}};
    if (!known)
        return BL_OK;
    const double count = ceil((number_at(&c->in[1]) - number_at(&c->in[0])) / number_at(&c->in[2]));
    if (!(count < 0x1p31))
        return bli_fail(c->ctx, BL_BAD_VALUE, "a range of %g numbers", count);
    c->out[0].shape.dim[0] = count > 0 ? (int64_t)count : 0;
    return BL_OK;
}

/* As TensorFlow does it: by adding the step again and again. */
#define RANGE(type)                                                                                                    \
    {                                                                                                                  \
        type v = *(const type *)c->in[0].data, *to = c->out[0].data;                                                   \
        const type step = *(const type *)c->in[2].data;                                                                \
        for (int64_t i = 0; i < n; i++, v = i < n ? (type)(v + step) : v)                                              \
            to[i] = v;                                                                                                 \
        break;                                                                                                         \
    }
static bl_status run_range(bli_tf_call *c)
{
    const int64_t n = c->out[0].shape.dim[0];
    switch (c->out[0].dtype) {
    case BLI_DT_INT32:
        RANGE(int32_t)
    case BLI_DT_INT64:
        RANGE(int64_t)
    case BLI_DT_FLOAT:
        RANGE(float)
    default:
        RANGE(double)
    }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Gather", 2, 2, 1, NULL, infer_gather, run_gather, 0, false},
    {"GatherV2", 3, 3, 1, NULL, infer_gather, run_gather, 0, false},
    {"Tile", 2, 2, 1, NULL, infer_tile, run_tile, 0, false},
    {"Fill", 2, 2, 1, NULL, infer_fill, run_fill, 0, false},
    {"ZerosLike", 1, 1, 1, NULL, bli_tf_infer_same, run_zeros_like, 0, false},
    {"Range", 3, 3, 1, NULL, infer_range, run_range, 0, false},
};
const bli_tf_family bli_tf_family_index = {ops, BLI_COUNT(ops)};
