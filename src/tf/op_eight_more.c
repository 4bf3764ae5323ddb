/* op_eight_more.c: QuantizedBiasAdd, QuantizedAdd, QuantizedInstanceNorm, QuantizedBatchNormWithGlobalNormalization. */
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "tf/eight_op.h"

/* ---- BiasAdd, Add -------------------------------------------------------------------------------------------- */
static bl_status infer_sum(bli_tf_call *c)
{
    float range[2];
    for (int i = 0; i < 2; i++) {
        BLI_TRY(bli_tf_need_codes(c, i));
        if (c->in[i].dtype && bli_tf_codes(c->in[i].dtype)->bits != 8)
            return bli_tf_refuse(c, i, "bytes");
        BLI_TRY(bli_tf_range_in(c, 2 + 2 * i, 3 + 2 * i, range));
    }
    c->out[0].dtype = BLI_DT_QINT32;
    c->out[0].shape = c->in[0].shape;
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status infer_bias(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    BLI_TRY(infer_sum(c));
    BLI_TRY(bli_tf_need_rank(c, 1, 1));
    if (s->rank == 0 || (s->rank > 0 && c->in[1].shape.rank == 1 && s->dim[s->rank - 1] >= 0 &&
                         c->in[1].shape.dim[0] >= 0 && s->dim[s->rank - 1] != c->in[1].shape.dim[0]))
        return bli_tf_refuse(c, 1, "one value for each channel");
    return BL_OK;
}

static bl_status run_bias(bli_tf_call *c)
{
    const uint8_t *x = c->in[0].data, *b = c->in[1].data;
    const int64_t channels = bli_tf_count(&c->in[1]), all = bli_tf_count(&c->in[0]);
    float rx[2], rb[2], out[2];
    int32_t table[256], bias_table[256], *y = c->out[0].data;
    void *bias;
    BLI_TRY(bli_tf_range_in(c, 2, 3, rx));
    BLI_TRY(bli_tf_range_in(c, 4, 5, rb));
    bli_bias_tables(rx, bli_tf_codes(c->in[0].dtype), rb, bli_tf_codes(c->in[1].dtype), table, bias_table, out);
    BLI_TRY(bli_tf_scratch(c, (size_t)channels * sizeof(uint32_t) + 1, &bias));
    for (int64_t k = 0; k < channels; k++)
        ((uint32_t *)bias)[k] = (uint32_t)bias_table[b[k]];
    for (int64_t at = 0; at < all; at += channels)
        for (int64_t k = 0; k < channels; k++)
            y[at + k] = (int32_t)((uint32_t)table[x[at + k]] + ((const uint32_t *)bias)[k]);
    bli_tf_range_out(c, 1, out);
    return BL_OK;
}

static bl_status infer_add(bli_tf_call *c)
{
    BLI_TRY(infer_sum(c));
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_need_type(c, 1, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_eight_spread(c));
    c->out[0].shape = bli_tf_eight_result(c);
    return BL_OK;
}

static bl_status run_add(bli_tf_call *c)
{
    const uint8_t *x = c->in[0].data, *y = c->in[1].data;
    const int64_t n = bli_tf_count(&c->out[0]), nx = bli_tf_count(&c->in[0]), ny = bli_tf_count(&c->in[1]);
    float rx[2], ry[2], out[2];
    int32_t tx[256], ty[256], *to = c->out[0].data;
    BLI_TRY(bli_tf_range_in(c, 2, 3, rx));
    BLI_TRY(bli_tf_range_in(c, 4, 5, ry));
    bli_add_tables(rx, ry, tx, ty, out);
    const int64_t row = nx < ny ? nx : ny; /* what is shorter is used again for each */
    for (int64_t at = 0; at < n; at += row)
        for (int64_t i = 0; i < row; i++)
            to[at + i] = (int32_t)((uint32_t)tx[x[nx == n ? at + i : i]] + (uint32_t)ty[y[ny == n ? at + i : i]]);
    bli_tf_range_out(c, 1, out);
    return BL_OK;
}

/* ---- InstanceNorm -------------------------------------------------------------------------------------------- */
static bl_status infer_instance(bli_tf_call *c)
{
    float range[2];
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    if (bli_tf_known(&c->in[0].shape) && bli_tf_count(&c->in[0]) == 0)
        return bli_tf_refuse(c, 0, "pictures that are not empty");
    BLI_TRY(bli_tf_infer_same(c));
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

/* Eigen takes 1 / sqrt of eight channels at once from the processor's own estimate and one step of Newton's method;
 * what is left over is divided.  The estimate, and with it the last bit, is the processor's. */
float bli_estimated_rsqrt(float v)
{
#if defined(__x86_64__)
    const float r = _mm_cvtss_f32(_mm_rsqrt_ss(_mm_set_ss(v)));
    return r * -0.5f * (v * r * r - 1) + r;
#else
    return 1 / sqrtf(v);
#endif
}

/* Mean and variance of each channel of one picture, summed as Eigen does: down the columns, one after the other. */
static void moments(const uint8_t *q, const bl_shape *s, float step, float *mean, float *variance)
{
    const int64_t height = s->dim[1], width = s->dim[2], channels = s->dim[3];
    const float count = (float)(height * width);
    for (int64_t k = 0; k < channels; k++) {
        float sum = 0, squares = 0;
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < height; i++)
                sum += (float)q[(i * width + j) * channels + k];
        mean[k] = sum / count;
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < height; i++) {
                const float d = step * ((float)q[(i * width + j) * channels + k] - mean[k]);
                squares += d * d;
            }
        variance[k] = squares / count;
    }
}

static void normalise(const uint8_t *q, const bl_shape *s, float step, float epsilon, float *mean, float *factor,
                      float *y)
{
    enum { AT_ONCE = 8 };
    const int64_t channels = s->dim[3], pixels = s->dim[1] * s->dim[2], all = s->dim[0] * channels;
    for (int64_t n = 0; n < s->dim[0]; n++)
        moments(q + n * pixels * channels, s, step, mean + n * channels, factor + n * channels);
    for (int64_t i = 0; i < all; i++)
        factor[i] =
            i < all / AT_ONCE * AT_ONCE ? bli_estimated_rsqrt(factor[i] + epsilon) : 1 / sqrtf(factor[i] + epsilon);
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t p = n * pixels; p < (n + 1) * pixels; p++)
            for (int64_t k = 0; k < channels; k++)
                y[p * channels + k] =
                    step * ((float)q[p * channels + k] - mean[n * channels + k]) * factor[n * channels + k];
}

static bl_status instance_range(const bli_tf_call *c, const float *y, int64_t n, float out[2])
{
    bool given;
    float separation;
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "output_range_given", false, &given));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "min_separation", 1e-3f, &separation));
    if (given) {
        BLI_TRY(bli_tf_float_or(c->ctx, c->node, "given_y_min", 0, &out[0]));
        BLI_TRY(bli_tf_float_or(c->ctx, c->node, "given_y_max", 0, &out[1]));
        if (!(out[0] < out[1]))
            return bli_fail(c->ctx, BL_BAD_MODEL, "given_y_min %g and given_y_max %g", (double)out[0], (double)out[1]);
    } else {
        out[0] = out[1] = y[0];
        for (int64_t i = 1; i < n; i++) {
            out[0] = y[i] < out[0] ? y[i] : out[0];
            out[1] = y[i] > out[1] ? y[i] : out[1];
        }
    }
    if (out[1] - out[0] < separation)
        out[1] = out[0] + separation;
    return BL_OK;
}

static bl_status run_instance(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    const int64_t moments_count = s->dim[0] * s->dim[3], n = bli_tf_count(&c->in[0]);
    float range[2], out[2], epsilon;
    void *scratch;
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "variance_epsilon", 1e-5f, &epsilon));
    BLI_TRY(bli_tf_scratch(c, (size_t)(n + 2 * moments_count) * sizeof(float), &scratch));
    float *mean = scratch, *factor = mean + moments_count, *y = factor + moments_count;
    normalise(c->in[0].data, s, (range[1] - range[0]) / 255.0f, epsilon, mean, factor, y);
    BLI_TRY(instance_range(c, y, n, out));
    const bli_encoder e = bli_encoder_make(out[0], out[1], &bli_quint8);
    bli_eight_encode(&e, &bli_quint8, y, n, c->out[0].data);
    bli_tf_range_out(c, 1, out);
    return BL_OK;
}

/* ---- BatchNormWithGlobalNormalization ------------------------------------------------------------------------ */
/* Inputs: x, mean, variance, beta, gamma, each followed by its range. */
static bl_status infer_batch(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    float range[2];
    for (int i = 0; i < 15; i += 3) {
        BLI_TRY(bli_tf_need_type(c, i, BLI_DT_QUINT8));
        BLI_TRY(bli_tf_need_rank(c, i, i ? 1 : 4));
        BLI_TRY(bli_tf_range_in(c, i + 1, i + 2, range));
        if (i && s->rank == 4 && s->dim[3] >= 0 && c->in[i].shape.rank == 1 && c->in[i].shape.dim[0] >= 0 &&
            c->in[i].shape.dim[0] != s->dim[3])
            return bli_tf_refuse(c, i, "one value for each channel");
    }
    c->out[0].dtype = BLI_DT_QINT32;
    c->out[0].shape = *s;
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static const float batch_range[2] = {-1048576, 1048576};

static bl_status channel_value(const bli_tf_call *c, int input, int64_t k, float *v)
{
    float range[2];
    BLI_TRY(bli_tf_range_in(c, input + 1, input + 2, range));
    *v = bli_value_of(((const uint8_t *)c->in[input].data)[k], range[0], range[1], &bli_quint8);
    return BL_OK;
}

static int32_t batch_code(float v)
{
    return (int32_t)bli_code_clamped(v, batch_range[0], batch_range[1], &bli_qint32);
}

static bl_status channel_codes(const bli_tf_call *c, int64_t k, int32_t *scale, int32_t *offset)
{
    float mean, variance, beta, gamma, epsilon;
    bool scales;
    BLI_TRY(bli_tf_get_float(c->ctx, c->node, "variance_epsilon", &epsilon));
    BLI_TRY(bli_tf_get_bool(c->ctx, c->node, "scale_after_normalization", &scales));
    BLI_TRY(channel_value(c, 3, k, &mean));
    BLI_TRY(channel_value(c, 6, k, &variance));
    BLI_TRY(channel_value(c, 9, k, &beta));
    BLI_TRY(channel_value(c, 12, k, &gamma));
    const float r = 1 / sqrtf(variance + epsilon), s = scales ? r * gamma : r;
    *scale = batch_code(s);
    *offset = batch_code(-mean * s + beta);
    return BL_OK;
}

static bl_status run_batch(bli_tf_call *c)
{
    const int64_t channels = c->in[0].shape.dim[3], all = bli_tf_count(&c->in[0]);
    const uint8_t *x = c->in[0].data;
    const int32_t one = batch_code(1);
    int32_t table[256], *y = c->out[0].data;
    float range[2];
    void *scratch;
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    BLI_TRY(bli_tf_scratch(c, 2 * (size_t)channels * sizeof(int32_t) + 1, &scratch));
    int32_t *scale = scratch, *offset = scale + channels;
    for (int64_t k = 0; k < channels; k++)
        BLI_TRY(channel_codes(c, k, &scale[k], &offset[k]));
    for (int i = 0; i < 256; i++)
        table[i] = batch_code(bli_value_of(i, range[0], range[1], &bli_quint8));
    for (int64_t at = 0; at < all; at += channels)
        for (int64_t k = 0; k < channels; k++) {
            const int32_t product = (int32_t)((uint32_t)table[x[at + k]] * (uint32_t)scale[k]);
            y[at + k] = (int32_t)((uint32_t)(product / one) + (uint32_t)offset[k]);
        }
    bli_tf_range_out(c, 1, batch_range);
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"QuantizedBiasAdd", 6, 6, 3, NULL, infer_bias, run_bias, 0, false},
    {"QuantizedAdd", 6, 6, 3, NULL, infer_add, run_add, 0, false},
    {"QuantizedInstanceNorm", 3, 3, 3, NULL, infer_instance, run_instance, 0, false},
    {"QuantizedBatchNormWithGlobalNormalization", 15, 15, 3, NULL, infer_batch, run_batch, 0, false},
};
const bli_tf_family bli_tf_family_eight_more = {ops, BLI_COUNT(ops)};
