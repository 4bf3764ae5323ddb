/* op_norm.c: BiasAdd, batch normalisation in its three forms, LRN. */
#include <math.h>
#include <string.h>

#include "tf/op.h"

/* ---- BiasAdd ------------------------------------------------------------------------------------------------- */
static bl_status channels_first(const bli_tf_call *c, bool *first)
{
    const char *format;
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "data_format", "NHWC", &format));
    *first = strcmp(format, "NCHW") == 0;
    if (!*first && strcmp(format, "NHWC") != 0)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'data_format' is '%s'; NHWC and NCHW are known", format);
    return BL_OK;
}

/* Input `input` is a vector of one value for each channel of input 0. */
static bl_status need_vector(const bli_tf_call *c, int input, int64_t channels)
{
    BLI_TRY(bli_tf_need_rank(c, input, 1));
    if (channels >= 0 && bli_tf_known(&c->in[input].shape) && c->in[input].shape.dim[0] != channels)
        return bli_tf_refuse(c, input, "one value for each channel");
    return BL_OK;
}

static int channel_dim(const bl_shape *s, bool first)
{
    return first && s->rank > 1 ? 1 : s->rank - 1;
}

static bl_status infer_bias(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    bool first;
    const int t = c->in[0].dtype;
    BLI_TRY(channels_first(c, &first));
    BLI_TRY(bli_tf_same_type(c, 0, 1));
    if (t && t != BLI_DT_FLOAT && t != BLI_DT_DOUBLE && t != BLI_DT_INT32)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "an input of type %s; float, double and int32 are known",
                        bli_tf_dtype_name(t));
    if (s->rank >= 0 && s->rank < 2)
        return bli_tf_refuse(c, 0, "at least two dimensions");
    BLI_TRY(need_vector(c, 1, s->rank < 0 ? -1 : s->dim[channel_dim(s, first)]));
    return bli_tf_infer_same(c);
}

#define ADD(type, expression)                                                                                          \
    {                                                                                                                  \
        const type *x = c->in[0].data, *b = c->in[1].data;                                                             \
        type *y = c->out[0].data;                                                                                      \
        for (int64_t o = 0; o < outer; o++)                                                                            \
            for (int64_t k = 0; k < channels; k++)                                                                     \
                for (int64_t i = 0; i < inner; i++) {                                                                  \
                    const int64_t at = (o * channels + k) * inner + i;                                                 \
                    y[at] = expression;                                                                                \
                }                                                                                                      \
        break;                                                                                                         \
    }

static bl_status run_bias(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    bool first;
    BLI_TRY(channels_first(c, &first));
    const int at_dim = channel_dim(s, first);
    const int64_t channels = s->dim[at_dim], all = bli_tf_count(&c->in[0]);
    int64_t inner = 1;
    for (int i = at_dim + 1; i < s->rank; i++)
        inner *= s->dim[i];
    const int64_t outer = all == 0 ? 0 : all / inner / channels;
    switch (c->in[0].dtype) {
    case BLI_DT_FLOAT:
        if (inner == 1) {
            for (int64_t o = 0; o < outer; o++) {
                const float *x = (const float *)c->in[0].data + o * channels, *b = c->in[1].data;
                float *y = (float *)c->out[0].data + o * channels;
                for (int64_t k = 0; k < channels; k++)
                    y[k] = x[k] + b[k];
            }
            break;
        }
        ADD(float, x[at] + b[k])
    case BLI_DT_DOUBLE:
        ADD(double, x[at] + b[k])
    default:
        ADD(int32_t, (int32_t)((uint32_t)x[at] + (uint32_t)b[k]))
    }
    return BL_OK;
}

/* ---- batch normalisation ------------------------------------------------------------------------------------- */
/* Each channel k of x: scale[k] * x + offset[k]. */
static void scale_channels(const float *x, int64_t outer, int64_t channels, int64_t inner, const float *scale,
                           const float *offset, float *y)
{
    for (int64_t o = 0; o < outer; o++)
        if (inner == 1)
            for (int64_t k = 0; k < channels; k++)
                y[o * channels + k] = x[o * channels + k] * scale[k] + offset[k];
        else
            for (int64_t at = o * channels * inner, k = 0; k < channels; k++)
                for (int64_t i = 0; i < inner; i++, at++)
                    y[at] = x[at] * scale[k] + offset[k];
}

typedef struct batch_norm {
    bool first; /* channels */
    const float *scale, *offset, *mean, *variance;
    float epsilon;
} batch_norm;

static bl_status normalise(bli_tf_call *c, const batch_norm *n)
{
    const bl_shape *s = &c->in[0].shape;
    const int at = channel_dim(s, n->first);
    const int64_t channels = s->dim[at], all = bli_tf_count(&c->in[0]);
    int64_t inner = 1;
    void *scratch;
    for (int i = at + 1; i < s->rank; i++)
        inner *= s->dim[i];
    if (all == 0)
        return BL_OK;
    BLI_TRY(bli_tf_scratch(c, 2 * (size_t)channels * sizeof(float), &scratch));
    float *scale = scratch, *offset = scale + channels;
    for (int64_t k = 0; k < channels; k++) {
        const float r = 1 / sqrtf(n->variance[k] + n->epsilon);
        scale[k] = n->scale ? r * n->scale[k] : r;
        offset[k] = n->offset[k] - n->mean[k] * scale[k];
    }
    scale_channels(c->in[0].data, all / inner / channels, channels, inner, scale, offset, c->out[0].data);
    return BL_OK;
}

/* x, then four vectors. */
static bl_status infer_norm(bli_tf_call *c, bool first)
{
    const bl_shape *s = &c->in[0].shape;
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    for (int i = 0; i < 5; i++)
        BLI_TRY(bli_tf_need_type(c, i, BLI_DT_FLOAT));
    const int64_t channels = s->rank < 0 ? -1 : s->dim[channel_dim(s, first)];
    for (int i = 1; i < 5; i++)
        BLI_TRY(need_vector(c, i, channels));
    BLI_TRY(bli_tf_infer_same(c));
    for (int k = 1; k < c->num_out; k++) {
        c->out[k].dtype = BLI_DT_FLOAT;
        c->out[k].shape = (bl_shape){1, {k < 5 ? channels : 1}};
    }
    return BL_OK;
}

/* Training's statistics may be empty, and what comes out beside x depends on them.  It has a shape, but is not run. */
static bl_status infer_training(bli_tf_call *c)
{
    BLI_TRY(bli_tf_infer_same(c));
    for (int k = 1; k < c->num_out; k++) {
        c->out[k].dtype = BLI_DT_FLOAT;
        c->out[k].shape = BLI_TF_UNKNOWN_SHAPE;
    }
    for (int i = 0; i < c->num_in; i++)
        if (!c->in[i].data)
            return BL_OK;
    return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'is_training' is true; only frozen graphs are run");
}

static bl_status infer_fused(bli_tf_call *c)
{
    bool first, training;
    BLI_TRY(channels_first(c, &first));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "is_training", true, &training));
    return training ? infer_training(c) : infer_norm(c, first);
}

static bl_status run_fused(bli_tf_call *c)
{
    batch_norm n = {.scale = c->in[1].data, .offset = c->in[2].data, .mean = c->in[3].data, .variance = c->in[4].data};
    BLI_TRY(channels_first(c, &n.first));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "epsilon", 1e-4f, &n.epsilon));
    for (int k = 1; k < c->num_out; k++) {
        const bli_tf_arg *from = &c->in[k % 2 ? 3 : 4]; /* mean, variance, and the same again */
        if (k < 5)
            memcpy(c->out[k].data, from->data, (size_t)bli_tf_count(&c->out[k]) * sizeof(float));
        else
            memset(c->out[k].data, 0, (size_t)bli_tf_count(&c->out[k]) * sizeof(float));
    }
    return normalise(c, &n);
}

static bl_status infer_global(bli_tf_call *c)
{
    return infer_norm(c, false);
}

static bl_status run_global(bli_tf_call *c)
{
    batch_norm n = {.mean = c->in[1].data, .variance = c->in[2].data, .offset = c->in[3].data};
    bool scales;
    BLI_TRY(bli_tf_get_float(c->ctx, c->node, "variance_epsilon", &n.epsilon));
    BLI_TRY(bli_tf_get_bool(c->ctx, c->node, "scale_after_normalization", &scales));
    n.scale = scales ? c->in[4].data : NULL;
    return normalise(c, &n);
}

/* ---- LRN ----------------------------------------------------------------------------------------------------- */
static bl_status infer_lrn(bli_tf_call *c)
{
    int64_t radius;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "depth_radius", 5, &radius));
    if (radius < 0 || radius > INT32_MAX)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'depth_radius' is %lld", (long long)radius);
    return bli_tf_infer_same(c);
}

static bl_status run_lrn(bli_tf_call *c)
{
    const int64_t channels = c->in[0].shape.dim[3], all = bli_tf_count(&c->in[0]);
    int64_t radius;
    float bias, alpha, beta;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "depth_radius", 5, &radius));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "bias", 1, &bias));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "alpha", 1, &alpha));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "beta", 0.5f, &beta));
    for (int64_t at = 0; at < all; at += channels) {
        const float *x = (const float *)c->in[0].data + at;
        float *y = (float *)c->out[0].data + at;
        for (int64_t k = 0; k < channels; k++) {
            const int64_t from = k > radius ? k - radius : 0, to = channels - k > radius ? k + radius + 1 : channels;
            float sum = 0;
            for (int64_t i = from; i < to; i++)
                sum += x[i] * x[i];
            y[k] = x[k] * powf(bias + alpha * sum, -beta);
        }
    }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"BiasAdd", 2, 2, 1, NULL, infer_bias, run_bias, 0, false},
    {"BiasAddV1", 2, 2, 1, NULL, infer_bias, run_bias, 0, false},
    {"FusedBatchNorm", 5, 5, 5, NULL, infer_fused, run_fused, 0, false},
    {"FusedBatchNormV2", 5, 5, 5, NULL, infer_fused, run_fused, 0, false},
    {"FusedBatchNormV3", 5, 5, 6, NULL, infer_fused, run_fused, 0, false},
    {"BatchNormWithGlobalNormalization", 5, 5, 1, NULL, infer_global, run_global, 0, false},
    {"LRN", 1, 1, 1, NULL, infer_lrn, run_lrn, 0, false},
};
const bli_tf_family bli_tf_family_norm = {ops, BLI_COUNT(ops)};
