/* op_shape.c: operators that give a tensor another shape, or tell its shape. */
#include <string.h>

#include "tf/op.h"

/* ---- Reshape ------------------------------------------------------------------------------------------------- */
static bl_status fill_minus_one(bli_tf_call *c, bl_shape *s)
{
    int64_t rest = 1, total = bli_tf_known(&c->in[0].shape) ? bli_tf_count(&c->in[0]) : -1;
    int at = -1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == -1 && at < 0) {
            at = i;
            continue;
        }
        if (s->dim[i] < 0 || __builtin_mul_overflow(rest, s->dim[i], &rest))
            return bli_fail(c->ctx, BL_BAD_MODEL, "the new shape has %lld as dimension %d", (long long)s->dim[i], i);
    }
    if (total < 0)
        return BL_OK;
    if (at >= 0 && rest > 0 && total % rest == 0)
        s->dim[at] = total / rest;
    else if (at >= 0 && rest == 0 && total == 0)
        s->dim[at] = 0;
    else if (at >= 0 || rest != total)
        return bli_tf_refuse(c, 0, "as many elements as the new shape");
    return BL_OK;
}

static bl_status infer_reshape(bli_tf_call *c)
{
    int64_t v[BL_MAX_RANK];
    int rank;
    bool known;
    BLI_TRY(bli_tf_ints(c, 1, v, &rank, &known));
    c->out[0].dtype = c->in[0].dtype;
    if (!known) {
        c->out[0].shape.rank = rank;
        for (int i = 0; i < rank; i++)
            c->out[0].shape.dim[i] = -1;
        return BL_OK;
    }
    c->out[0].shape.rank = rank;
    memcpy(c->out[0].shape.dim, v, sizeof v);
    return fill_minus_one(c, &c->out[0].shape);
}

/* QuantizedReshape: the range passes through. */
static bl_status infer_quantized_reshape(bli_tf_call *c)
{
    BLI_TRY(infer_reshape(c));
    for (int i = 0; i < 2; i++) {
        float v;
        bool known;
        BLI_TRY(bli_tf_scalar_float(c, 2 + i, &v, &known));
        c->out[1 + i].dtype = BLI_DT_FLOAT;
        c->out[1 + i].shape = (bl_shape){0, {0}};
    }
    return BL_OK;
}

static bl_status run_quantized_reshape(bli_tf_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, (size_t)bli_tf_count(&c->in[0]) * bli_tf_dtype_size(c->in[0].dtype));
    for (int i = 0; i < 2; i++)
        *(float *)c->out[1 + i].data = *(const float *)c->in[2 + i].data;
    return BL_OK;
}

/* ---- Squeeze, ExpandDims ------------------------------------------------------------------------------------- */
/* *known false: it depends on dimensions that are not known. */
static bl_status squeezed_axes(bli_tf_call *c, int rank, bool *gone, bool *known)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    const char *name = bli_tf_node_attr(c->node, "squeeze_dims") ? "squeeze_dims" : "axis";
    if (bli_tf_node_attr(c->node, name))
        BLI_TRY(bli_tf_get_ints(c->ctx, c->node, name, &axes, &count));
    for (size_t i = 0; i < count; i++) {
        int at;
        BLI_TRY(bli_tf_axis(c, axes[i], rank, &at));
        if (c->in[0].shape.dim[at] > 1 || c->in[0].shape.dim[at] == 0)
            return bli_tf_refuse(c, 0, "1 in the dimensions that are squeezed");
        gone[at] = true;
    }
    *known = count > 0 || bli_tf_known(&c->in[0].shape);
    for (int i = 0; count == 0 && i < rank; i++)
        gone[i] = c->in[0].shape.dim[i] == 1;
    return BL_OK;
}

static bl_status infer_squeeze(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    bool gone[BL_MAX_RANK] = {false}, known = false;
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (s->rank < 0)
        return BL_OK;
    BLI_TRY(squeezed_axes(c, s->rank, gone, &known));
    if (!known)
        return BL_OK;
    c->out[0].shape.rank = 0;
    for (int i = 0; i < s->rank; i++)
        if (!gone[i])
            c->out[0].shape.dim[c->out[0].shape.rank++] = s->dim[i];
    return BL_OK;
}

static bl_status infer_expand_dims(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int64_t axis;
    bool known;
    int at;
    BLI_TRY(bli_tf_scalar_int(c, 1, &axis, &known));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (s->rank < 0)
        return BL_OK;
    if (s->rank == BL_MAX_RANK)
        return bli_tf_refuse(c, 0, "at most 7 dimensions");
    BLI_TRY(bli_tf_axis(c, axis, s->rank + 1, &at));
    c->out[0].shape.rank = s->rank + 1;
    for (int i = 0, k = 0; i <= s->rank; i++)
        c->out[0].shape.dim[i] = !known ? -1 : i == at ? 1 : s->dim[k++];
    return BL_OK;
}

/* ---- Shape, ShapeN, Rank, Size ------------------------------------------------------------------------------- */
static bl_status infer_shape(bli_tf_call *c)
{
    int type;
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "out_type", BLI_DT_INT32, &type));
    if (type != BLI_DT_INT32 && type != BLI_DT_INT64)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'out_type' is %s", bli_tf_dtype_name(type));
    if (c->num_in != c->num_out)
        return bli_fail(c->ctx, BL_BAD_MODEL, "%d inputs and %d outputs", c->num_in, c->num_out);
    for (int i = 0; i < c->num_out; i++) {
        c->out[i].dtype = type;
        c->out[i].shape = (bl_shape){1, {c->in[i].shape.rank < 0 ? -1 : c->in[i].shape.rank}};
    }
    return BL_OK;
}

static void put_int(bli_tf_arg *a, int64_t i, int64_t v)
{
    if (a->dtype == BLI_DT_INT64)
        ((int64_t *)a->data)[i] = v;
    else
        ((int32_t *)a->data)[i] = (int32_t)v;
}

static bl_status run_shape(bli_tf_call *c)
{
    for (int i = 0; i < c->num_out; i++)
        for (int d = 0; d < c->in[i].shape.rank; d++)
            put_int(&c->out[i], d, c->in[i].shape.dim[d]);
    return BL_OK;
}

static bl_status infer_rank(bli_tf_call *c)
{
    c->out[0].dtype = BLI_DT_INT32;
    c->out[0].shape = (bl_shape){0, {0}};
    return BL_OK;
}

static bl_status run_rank(bli_tf_call *c)
{
    put_int(&c->out[0], 0, c->in[0].shape.rank);
    return BL_OK;
}

static bl_status infer_size(bli_tf_call *c)
{
    BLI_TRY(infer_shape(c));
    c->out[0].shape = (bl_shape){0, {0}};
    return BL_OK;
}

static bl_status run_size(bli_tf_call *c)
{
    put_int(&c->out[0], 0, bli_tf_count(&c->in[0]));
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Reshape", 2, 2, 1, NULL, infer_reshape, NULL, 0, false},
    {"QuantizedReshape", 4, 4, 3, NULL, infer_quantized_reshape, run_quantized_reshape, 0, false},
    {"Squeeze", 1, 1, 1, NULL, infer_squeeze, NULL, 0, false},
    {"ExpandDims", 2, 2, 1, NULL, infer_expand_dims, NULL, 0, false},
    {"Shape", 1, 1, 1, NULL, infer_shape, run_shape, 0, false},
    {"ShapeN", 1, -1, 0, "N", infer_shape, run_shape, 0, false},
    {"Rank", 1, 1, 1, NULL, infer_rank, run_rank, 0, false},
    {"Size", 1, 1, 1, NULL, infer_size, run_size, 0, false},
};
const bli_tf_family bli_tf_family_shape = {ops, BLI_COUNT(ops)};
