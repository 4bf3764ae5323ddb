/* op_pad.c: Pad, PadV2, MirrorPad.  The frame around the picture is filled from the innermost dimension outwards, each
 * dimension's borders from what is already there. */
#include <string.h>

#include "op/box.h"
#include "tf/op.h"
#include "tf/pad.h"

bl_status bli_tf_read_pads(const bli_tf_call *c, int input, int rank, int64_t pads[BL_MAX_RANK][2], bool *known)
{
    const bli_tf_arg *a = &c->in[input];
    *known = false;
    if (a->dtype && a->dtype != BLI_DT_INT32 && a->dtype != BLI_DT_INT64)
        return bli_tf_refuse(c, input, "int32 or int64");
    if (a->shape.rank < 0 || rank < 0)
        return BL_OK;
    if (a->shape.rank != 2 || (a->shape.dim[0] >= 0 && a->shape.dim[0] != rank) ||
        (a->shape.dim[1] >= 0 && a->shape.dim[1] != 2))
        return bli_tf_refuse(c, input, "two numbers for each dimension");
    if (!a->data)
        return BL_OK;
    for (int i = 0; i < 2 * rank; i++) {
        const int64_t v = a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[i] : ((const int32_t *)a->data)[i];
        if (v < 0 || v > INT32_MAX)
            return bli_fail(c->ctx, BL_BAD_MODEL, "pad %lld, expected 0 or more", (long long)v);
        pads[i / 2][i % 2] = v;
    }
    *known = true;
    return BL_OK;
}

void bli_tf_padded(const bl_shape *s, int64_t pads[BL_MAX_RANK][2], bool known, bl_shape *out)
{
    *out = *s;
    for (int i = 0; i < s->rank; i++)
        out->dim[i] = known && s->dim[i] >= 0 ? s->dim[i] + pads[i][0] + pads[i][1] : -1;
}

static bl_status infer_pad(bli_tf_call *c)
{
    int64_t pads[BL_MAX_RANK][2];
    bool known;
    BLI_TRY(bli_tf_read_pads(c, 1, c->in[0].shape.rank, pads, &known));
    if (c->num_in == 3) {
        BLI_TRY(bli_tf_same_type(c, 0, 2));
        if (bli_tf_known(&c->in[2].shape) && bli_tf_count(&c->in[2]) != 1)
            return bli_tf_refuse(c, 2, "one value");
    }
    c->out[0].dtype = c->in[0].dtype;
    bli_tf_padded(&c->in[0].shape, pads, known, &c->out[0].shape);
    return BL_OK;
}

static void fill(void *to, int64_t count, size_t size, const void *value)
{
    char *p = to;
    if (!value) {
        memset(to, 0, (size_t)count * size);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        memcpy(p + (size_t)i * size, value, size);
}

static void put_inside(const bl_shape *in, const bl_shape *out, int64_t pads[BL_MAX_RANK][2], const void *from,
                       void *to, size_t size)
{
    int64_t stride[BL_MAX_RANK];
    bli_box b = bli_box_of(in);
    bli_strides(out, stride);
    for (int i = 0; i < in->rank; i++) {
        b.to[i] = stride[i];
        b.to_at += pads[i][0] * stride[i];
    }
    if (bl_shape_count(in) > 0)
        bli_box_copy(&b, from, to, size);
}

static bl_status run_pad(bli_tf_call *c)
{
    int64_t pads[BL_MAX_RANK][2];
    bool known;
    const size_t size = bli_tf_dtype_size(c->in[0].dtype);
    BLI_TRY(bli_tf_read_pads(c, 1, c->in[0].shape.rank, pads, &known));
    fill(c->out[0].data, bli_tf_count(&c->out[0]), size, c->num_in == 3 ? c->in[2].data : NULL);
    put_inside(&c->in[0].shape, &c->out[0].shape, pads, c->in[0].data, c->out[0].data, size);
    return BL_OK;
}

/* ---- MirrorPad ----------------------------------------------------------------------------------------------- */
bl_status bli_tf_mirror_edge(const bli_tf_call *c, int64_t *edge)
{
    const char *mode;
    *edge = 0;
    BLI_TRY(bli_tf_get_string(c->ctx, c->node, "mode", &mode));
    if (strcmp(mode, "REFLECT") != 0 && strcmp(mode, "SYMMETRIC") != 0)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'mode' is '%s', expected REFLECT or SYMMETRIC", mode);
    *edge = mode[0] == 'R';
    return BL_OK;
}

bl_status bli_tf_check_mirror(const bli_tf_call *c, const bl_shape *in, int64_t pads[BL_MAX_RANK][2], int64_t edge)
{
    for (int i = 0; i < in->rank; i++)
        for (int k = 0; k < 2; k++)
            if (in->dim[i] >= 0 && pads[i][k] > in->dim[i] - edge && pads[i][k] > 0)
                return bli_fail(c->ctx, BL_BAD_MODEL, "pad %lld of dimension %d, which has only %lld",
                                (long long)pads[i][k], i, (long long)in->dim[i]);
    return BL_OK;
}

/* Dimension d of what lies in `to` gets its borders; dimensions after d have them, those before not yet. */
static void mirror_dim(const bl_shape *in, const bl_shape *out, int64_t pads[BL_MAX_RANK][2], int d, int64_t edge,
                       void *to, size_t size)
{
    int64_t stride[BL_MAX_RANK];
    bli_strides(out, stride);
    bli_box b = bli_box_of(out);
    b.from_at = 0;
    for (int i = 0; i < d; i++) {
        b.dim[i] = in->dim[i];
        b.from_at += pads[i][0] * stride[i];
    }
    b.dim[d] = 1;
    const int64_t base = b.from_at, first = pads[d][0], last = first + in->dim[d] - 1;
    for (int64_t k = 1; k <= pads[d][0]; k++) {
        b.from_at = base + (first + k - 1 + edge) * stride[d];
        b.to_at = base + (first - k) * stride[d];
        bli_box_copy(&b, to, to, size);
    }
    for (int64_t k = 1; k <= pads[d][1]; k++) {
        b.from_at = base + (last - k + 1 - edge) * stride[d];
        b.to_at = base + (last + k) * stride[d];
        bli_box_copy(&b, to, to, size);
    }
}

void bli_tf_mirror(const bl_shape *in, const bl_shape *out, int64_t pads[BL_MAX_RANK][2], int64_t edge,
                   const void *from, void *to, size_t size)
{
    put_inside(in, out, pads, from, to, size);
    for (int d = in->rank - 1; d >= 0 && bl_shape_count(in) > 0; d--)
        mirror_dim(in, out, pads, d, edge, to, size);
}

static bl_status infer_mirror_pad(bli_tf_call *c)
{
    int64_t pads[BL_MAX_RANK][2], edge;
    bool known;
    BLI_TRY(bli_tf_mirror_edge(c, &edge));
    BLI_TRY(bli_tf_read_pads(c, 1, c->in[0].shape.rank, pads, &known));
    if (known)
        BLI_TRY(bli_tf_check_mirror(c, &c->in[0].shape, pads, edge));
    c->out[0].dtype = c->in[0].dtype;
    bli_tf_padded(&c->in[0].shape, pads, known, &c->out[0].shape);
    return BL_OK;
}

static bl_status run_mirror_pad(bli_tf_call *c)
{
    int64_t pads[BL_MAX_RANK][2], edge;
    bool known;
    BLI_TRY(bli_tf_mirror_edge(c, &edge));
    BLI_TRY(bli_tf_read_pads(c, 1, c->in[0].shape.rank, pads, &known));
    bli_tf_mirror(&c->in[0].shape, &c->out[0].shape, pads, edge, c->in[0].data, c->out[0].data,
                  bli_tf_dtype_size(c->in[0].dtype));
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Pad", 2, 2, 1, NULL, infer_pad, run_pad, 0, false},
    {"PadV2", 3, 3, 1, NULL, infer_pad, run_pad, 0, false},
    {"MirrorPad", 2, 2, 1, NULL, infer_mirror_pad, run_mirror_pad, 0, false},
};
const bli_tf_family bli_tf_family_pad = {ops, BLI_COUNT(ops)};
