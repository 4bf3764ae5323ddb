/* eight_axis.c: QuantizeV2 and Dequantize with a range for each slice along an axis, in the modes MIN_COMBINED and
 * SCALED, as TensorFlow has it. */
#include "tf/eight_op.h"

typedef struct slices {
    int64_t outer, count, inner;
    const float *low, *high;
} slices;

bl_status bli_tf_check_slices(const bli_tf_call *c, const bli_eight_how *how, int64_t axis, int64_t *count)
{
    const bl_shape *s = &c->in[0].shape;
    int at;
    *count = -1;
    if (how->mode == BLI_MIN_FIRST)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'axis' is %lld in mode MIN_FIRST", (long long)axis);
    if (axis < 0)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'axis' is %lld", (long long)axis);
    if (s->rank < 0)
        return BL_OK;
    BLI_TRY(bli_tf_axis(c, axis, s->rank, &at));
    *count = s->dim[at];
    for (int i = 1; i <= 2; i++) {
        BLI_TRY(bli_tf_need_type(c, i, BLI_DT_FLOAT));
        BLI_TRY(bli_tf_need_rank(c, i, 1));
        if (bli_tf_known(&c->in[i].shape) && *count >= 0 && c->in[i].shape.dim[0] != *count)
            return bli_tf_refuse(c, i, "one number for each slice");
    }
    return BL_OK;
}

static slices slices_of(const bli_tf_call *c, int64_t axis)
{
    const bl_shape *s = &c->in[0].shape;
    slices v = {1, s->dim[axis], 1, c->in[1].data, c->in[2].data};
    for (int d = 0; d < s->rank; d++)
        if (d != axis)
            *(d < axis ? &v.outer : &v.inner) *= s->dim[d];
    return v;
}

bl_status bli_tf_quantize_slices(bli_tf_call *c, const bli_eight_how *how, int64_t axis)
{
    const slices v = slices_of(c, axis);
    const size_t code = bli_tf_dtype_size(c->out[0].dtype);
    for (int64_t k = 0; k < v.count; k++) {
        float range[2] = {v.low[k], v.high[k]};
        if (!(range[1] >= range[0]))
            return bli_fail(c->ctx, BL_BAD_VALUE, "a range from %g to %g", (double)range[0], (double)range[1]);
        for (int64_t o = 0; o < v.outer; o++) {
            const int64_t at = (o * v.count + k) * v.inner;
            range[0] = v.low[k];
            range[1] = v.high[k];
            bli_quantize(how, (const float *)c->in[0].data + at, v.inner, range,
                         (char *)c->out[0].data + (size_t)at * code);
        }
        ((float *)c->out[1].data)[k] = range[0];
        ((float *)c->out[2].data)[k] = range[1];
    }
    return BL_OK;
}

bl_status bli_tf_dequantize_slices(bli_tf_call *c, const bli_eight_how *how, int64_t axis)
{
    const slices v = slices_of(c, axis);
    const size_t code = bli_tf_dtype_size(c->in[0].dtype);
    for (int64_t k = 0; k < v.count; k++)
        for (int64_t o = 0; o < v.outer; o++) {
            const int64_t at = (o * v.count + k) * v.inner;
            bli_dequantize(how, (const char *)c->in[0].data + (size_t)at * code, v.inner,
                           (const float[]){v.low[k], v.high[k]}, (float *)c->out[0].data + at);
        }
    return BL_OK;
}
