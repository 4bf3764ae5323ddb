/* op_move.c: operators that join, cut and turn tensors.  Every one of them is a few boxes (op/box.h) of any element. */
#include <string.h>

#include "op/box.h"
#include "tf/op.h"

static size_t element(const bli_tf_arg *a)
{
    return bli_tf_dtype_size(a->dtype);
}

/* Inputs first .. first + count - 1 side by side along axis. */
static bl_status infer_joined(bli_tf_call *c, int first, int count, int64_t axis, bool known)
{
    bl_shape s = BLI_TF_UNKNOWN_SHAPE;
    int at = 0;
    int64_t total = 0;
    c->out[0].dtype = c->in[first].dtype;
    for (int i = first; i < first + count; i++) {
        bl_shape one = c->in[i].shape;
        BLI_TRY(bli_tf_same_type(c, first, i));
        if (one.rank < 0) {
            total = -1;
            continue;
        }
        if (one.rank == 0)
            return bli_tf_refuse(c, i, "at least one dimension");
        if (known) {
            BLI_TRY(bli_tf_axis(c, axis, one.rank, &at));
            if (one.dim[at] < 0 || total < 0 || __builtin_add_overflow(total, one.dim[at], &total))
                total = -1;
            one.dim[at] = -1;
        } else {
            for (int d = 0; d < one.rank; d++)
                one.dim[d] = -1;
        }
        BLI_TRY(bli_tf_merge(c, i, &one, &s));
    }
    if (known && s.rank >= 0)
        s.dim[at] = total;
    c->out[0].shape = s;
    return BL_OK;
}

static bl_status infer_concat(bli_tf_call *c)
{
    int64_t axis;
    bool known;
    BLI_TRY(bli_tf_scalar_int(c, 0, &axis, &known));
    return infer_joined(c, 1, c->num_in - 1, axis, known);
}

static bl_status infer_concat_v2(bli_tf_call *c)
{
    int64_t axis;
    bool known;
    BLI_TRY(bli_tf_scalar_int(c, c->num_in - 1, &axis, &known));
    return infer_joined(c, 0, c->num_in - 1, axis, known);
}

/* Rows before the axis, and bytes of one row of each input. */
static void join(const bli_tf_call *c, int first, int count, int axis)
{
    const bl_shape *s = &c->out[0].shape;
    size_t rows = 1, at = 0, whole = element(&c->out[0]);
    for (int i = 0; i < axis; i++)
        rows *= (size_t)s->dim[i];
    for (int i = axis; i < s->rank; i++)
        whole *= (size_t)s->dim[i];
    for (int i = first; i < first + count && rows > 0 && whole > 0; i++) {
        const size_t bytes = (size_t)bli_tf_count(&c->in[i]) * element(&c->in[i]) / rows;
        for (size_t r = 0; bytes > 0 && r < rows; r++)
            memcpy((char *)c->out[0].data + r * whole + at, (const char *)c->in[i].data + r * bytes, bytes);
        at += bytes;
    }
}

static bl_status run_joined(bli_tf_call *c, int axis_input, int first)
{
    int64_t axis;
    bool known;
    int at;
    BLI_TRY(bli_tf_scalar_int(c, axis_input, &axis, &known));
    BLI_TRY(bli_tf_axis(c, axis, c->out[0].shape.rank, &at));
    join(c, first, c->num_in - 1, at);
    return BL_OK;
}

static bl_status run_concat(bli_tf_call *c)
{
    return run_joined(c, 0, 1);
}

static bl_status run_concat_v2(bli_tf_call *c)
{
    return run_joined(c, c->num_in - 1, 0);
}

/* ---- Pack, Unpack -------------------------------------------------------------------------------------------- */
static bl_status infer_pack(bli_tf_call *c)
{
    int64_t axis;
    int at;
    bl_shape s = BLI_TF_UNKNOWN_SHAPE;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "axis", 0, &axis));
    for (int i = 0; i < c->num_in; i++) {
        BLI_TRY(bli_tf_same_type(c, 0, i));
        BLI_TRY(bli_tf_merge(c, i, &c->in[i].shape, &s));
    }
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = s;
    if (s.rank < 0)
        return BL_OK;
    if (s.rank == BL_MAX_RANK)
        return bli_tf_refuse(c, 0, "at most 7 dimensions");
    BLI_TRY(bli_tf_axis(c, axis, s.rank + 1, &at));
    c->out[0].shape.rank = s.rank + 1;
    for (int i = 0, k = 0; i <= s.rank; i++)
        c->out[0].shape.dim[i] = i == at ? c->num_in : s.dim[k++];
    return BL_OK;
}

static bl_status run_pack(bli_tf_call *c)
{
    int64_t axis;
    int at;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "axis", 0, &axis));
    BLI_TRY(bli_tf_axis(c, axis, c->out[0].shape.rank, &at));
    join(c, 0, c->num_in, at);
    return BL_OK;
}

/* Outputs are parts of input `from` along axis, of the sizes that the outputs' shapes say. */
static void cut(const bli_tf_call *c, int from, int axis, int64_t size)
{
    const bli_tf_arg *x = &c->in[from];
    size_t rows = 1, whole = element(x) * (size_t)size, at = 0;
    for (int i = 0; i < axis; i++)
        rows *= (size_t)x->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        whole *= (size_t)x->shape.dim[i];
    for (int k = 0; k < c->num_out && rows > 0 && whole > 0; k++) {
        const size_t bytes = (size_t)bli_tf_count(&c->out[k]) * element(x) / rows;
        for (size_t r = 0; bytes > 0 && r < rows; r++)
            memcpy((char *)c->out[k].data + r * bytes, (const char *)x->data + r * whole + at, bytes);
        at += bytes;
    }
}

static bl_status infer_unpack(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int64_t axis;
    int at = 0;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "axis", 0, &axis));
    if (s->rank >= 0)
        BLI_TRY(bli_tf_axis(c, axis, s->rank, &at));
    if (s->rank >= 0 && s->dim[at] >= 0 && s->dim[at] != c->num_out)
        return bli_tf_refuse(c, 0, "as many parts along the axis as there are outputs");
    for (int k = 0; k < c->num_out; k++) {
        c->out[k].dtype = c->in[0].dtype;
        c->out[k].shape = BLI_TF_UNKNOWN_SHAPE;
        if (s->rank < 0)
            continue;
        c->out[k].shape.rank = 0;
        for (int i = 0; i < s->rank; i++)
            if (i != at)
                c->out[k].shape.dim[c->out[k].shape.rank++] = s->dim[i];
    }
    return BL_OK;
}

static bl_status run_unpack(bli_tf_call *c)
{
    int64_t axis;
    int at;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "axis", 0, &axis));
    BLI_TRY(bli_tf_axis(c, axis, c->in[0].shape.rank, &at));
    cut(c, 0, at, c->in[0].shape.dim[at]);
    return BL_OK;
}

/* ---- Split, SplitV ------------------------------------------------------------------------------------------- */
static bl_status infer_parts(bli_tf_call *c, int from, int axis_input, int *at)
{
    const bl_shape *s = &c->in[from].shape;
    int64_t axis;
    bool known;
    *at = -1;
    BLI_TRY(bli_tf_scalar_int(c, axis_input, &axis, &known));
    if (s->rank >= 0 && known)
        BLI_TRY(bli_tf_axis(c, axis, s->rank, at));
    for (int k = 0; k < c->num_out; k++) {
        c->out[k].dtype = c->in[from].dtype;
        c->out[k].shape = *s;
        for (int i = 0; i < s->rank; i++)
            if (*at < 0 || i == *at)
                c->out[k].shape.dim[i] = -1;
    }
    return BL_OK;
}

static bl_status infer_split(bli_tf_call *c)
{
    int at;
    BLI_TRY(infer_parts(c, 1, 0, &at));
    if (at < 0 || c->in[1].shape.dim[at] < 0)
        return BL_OK;
    if (c->num_out == 0 || c->in[1].shape.dim[at] % c->num_out != 0)
        return bli_tf_refuse(c, 1, "a size along the axis that can be split evenly");
    for (int k = 0; k < c->num_out; k++)
        c->out[k].shape.dim[at] = c->in[1].shape.dim[at] / c->num_out;
    return BL_OK;
}

static bl_status run_split(bli_tf_call *c)
{
    int at;
    int64_t axis;
    bool known;
    BLI_TRY(bli_tf_scalar_int(c, 0, &axis, &known));
    BLI_TRY(bli_tf_axis(c, axis, c->in[1].shape.rank, &at));
    cut(c, 1, at, c->in[1].shape.dim[at]);
    return BL_OK;
}

static int64_t size_of_part(const bli_tf_arg *sizes, int k)
{
    return sizes->dtype == BLI_DT_INT64 ? ((const int64_t *)sizes->data)[k] : ((const int32_t *)sizes->data)[k];
}

static bl_status infer_split_v(bli_tf_call *c)
{
    const bli_tf_arg *sizes = &c->in[1];
    int at, open = -1;
    int64_t total = 0;
    BLI_TRY(infer_parts(c, 0, 2, &at));
    if (sizes->dtype && sizes->dtype != BLI_DT_INT32 && sizes->dtype != BLI_DT_INT64)
        return bli_tf_refuse(c, 1, "int32 or int64");
    if (bli_tf_known(&sizes->shape) && bli_tf_count(sizes) != c->num_out)
        return bli_tf_refuse(c, 1, "a size for each output");
    if (at < 0 || !sizes->data || c->in[0].shape.dim[at] < 0)
        return BL_OK;
    for (int k = 0; k < c->num_out; k++) {
        const int64_t size = size_of_part(sizes, k);
        if (size == -1 && open < 0)
            open = k;
        else if (size < 0 || size > c->in[0].shape.dim[at] - total)
            return bli_tf_refuse(c, 0, "as much along the axis as its parts ask for");
        else
            total += c->out[k].shape.dim[at] = size;
    }
    if (open >= 0)
        c->out[open].shape.dim[at] = c->in[0].shape.dim[at] - total;
    else if (total != c->in[0].shape.dim[at])
        return bli_tf_refuse(c, 0, "as much along the axis as its parts ask for");
    return BL_OK;
}

static bl_status run_split_v(bli_tf_call *c)
{
    int at;
    int64_t axis;
    bool known;
    BLI_TRY(bli_tf_scalar_int(c, 2, &axis, &known));
    BLI_TRY(bli_tf_axis(c, axis, c->in[0].shape.rank, &at));
    cut(c, 0, at, c->in[0].shape.dim[at]);
    return BL_OK;
}

/* ---- Transpose ----------------------------------------------------------------------------------------------- */
static bl_status infer_transpose(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int64_t p[BL_MAX_RANK];
    int count;
    bool known, taken[BL_MAX_RANK] = {false};
    BLI_TRY(bli_tf_ints(c, 1, p, &count, &known));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape.rank = count >= 0 ? count : s->rank;
    if (count >= 0 && s->rank >= 0 && count != s->rank)
        return bli_tf_refuse(c, 0, "as many dimensions as the permutation");
    for (int i = 0; i < c->out[0].shape.rank; i++) {
        c->out[0].shape.dim[i] = -1;
        if (!known || s->rank < 0)
            continue;
        if (p[i] < 0 || p[i] >= count || taken[p[i]])
            return bli_fail(c->ctx, BL_BAD_MODEL, "input 1 is not a permutation of the dimensions");
        taken[p[i]] = true;
        c->out[0].shape.dim[i] = s->dim[p[i]];
    }
    return BL_OK;
}

static bl_status run_transpose(bli_tf_call *c)
{
    int64_t p[BL_MAX_RANK], stride[BL_MAX_RANK];
    int count;
    bool known;
    BLI_TRY(bli_tf_ints(c, 1, p, &count, &known));
    bli_box b = bli_box_of(&c->out[0].shape);
    bli_strides(&c->in[0].shape, stride);
    for (int i = 0; i < count; i++)
        b.from[i] = stride[p[i]];
    bli_box_copy(&b, c->in[0].data, c->out[0].data, element(&c->in[0]));
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Concat", 2, -1, 1, NULL, infer_concat, run_concat, 0, false},
    {"ConcatV2", 2, -1, 1, NULL, infer_concat_v2, run_concat_v2, 0, false},
    {"Pack", 1, -1, 1, NULL, infer_pack, run_pack, 0, false},
    {"Unpack", 1, 1, 0, "num", infer_unpack, run_unpack, 0, false},
    {"Split", 2, 2, 0, "num_split", infer_split, run_split, 0, false},
    {"SplitV", 3, 3, 0, "num_split", infer_split_v, run_split_v, 0, false},
    {"Transpose", 2, 2, 1, NULL, infer_transpose, run_transpose, 0, false},
};
const bli_tf_family bli_tf_family_move = {ops, BLI_COUNT(ops)};
