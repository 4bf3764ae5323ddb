/* layers_dense.c: dense and convolution layers, with bias and activation. */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/layers.h"

/* Everything after the sum: the activation option, as node "<layer>/<function>". */
static bl_status finish(bli_build *b)
{
    char suffix[64];
    if (b->o->quantize)
        return bli_build_quantizer(b, "/activation_quant", b->out);
    snprintf(suffix, sizeof suffix, "/%s", b->o->activation);
    return bli_build_activation(b, suffix, b->o->activation, b->out);
}

static bl_status bias_parameter(bli_build *b, int64_t count, int *id)
{
    *id = -1;
    if (!b->o->use_bias)
        return BL_OK;
    bli_fill fill = {"bias", "bias", b->o->bias_initializer, BL_ROLE_PARAMETER, {1, {count}}, (double)count, 0};
    return bli_build_parameter(b, &fill, id);
}

/* On [N, ..., in]: MatMul with [in, units], then Add. */
bl_status bli_build_dense(bli_build *b)
{
    int64_t features = b->shape->dim[b->shape->rank - 1];
    int64_t units = b->o->units;
    bli_fill fill = {
        "weight",         "weight",     b->o->weight_initializer, BL_ROLE_PARAMETER, {2, {features, units}},
        (double)features, (double)units};
    int in[2] = {b->in[0], -1}, bias;
    BLI_TRY(bli_build_parameter(b, &fill, &in[1]));
    BLI_TRY(bias_parameter(b, units, &bias));
    BLI_TRY(bli_build_node(b, "", "MatMul", BLI_DOMAIN_ONNX, in, 2, NULL, 0));
    if (bias >= 0)
        BLI_TRY(bli_build_node(b, "/bias", "Add", BLI_DOMAIN_ONNX, (int[]){b->out, bias}, 2, NULL, 0));
    return finish(b);
}

/* ---- convolutions --------------------------------------------------------------------------------------------- */
/* Kernel geometry with one entry per spatial dimension. */
typedef struct window {
    int spatial;
    int64_t channels;                                 /* of the input */
    int64_t size[2], stride[2], dilation[2], pads[4]; /* pads: all begins, then all ends, as ONNX wants */
    int64_t area;
} window;

static bl_status spread(const bli_build *b, const char *what, const bli_ints *v, int spatial, int64_t *out)
{
    if (v->count != 1 && v->count != spatial)
        return bli_build_fail(b, BL_BAD_MODEL, "%s has %d numbers (expected 1 or %d)", what, v->count, spatial);
    for (int i = 0; i < spatial; i++)
        out[i] = v->at[v->count == 1 ? 0 : i];
    return BL_OK;
}

/* "same": TensorFlow's arithmetic, output = ceil(input / stride), the odd pad at the end. */
static void pad_same(const bli_build *b, window *w)
{
    for (int i = 0; i < w->spatial; i++) {
        int64_t input = b->shape->dim[1 + i], reach = (w->size[i] - 1) * w->dilation[i] + 1;
        int64_t output = (input + w->stride[i] - 1) / w->stride[i];
        int64_t total = (output - 1) * w->stride[i] + reach - input;
        if (total < 0)
            total = 0;
        w->pads[i] = total / 2;
        w->pads[w->spatial + i] = total - total / 2;
    }
}

static bl_status check_fits(const bli_build *b, const window *w)
{
    for (int i = 0; i < w->spatial; i++) {
        int64_t reach = (w->size[i] - 1) * w->dilation[i] + 1;
        int64_t input = b->shape->dim[1 + i] + w->pads[i] + w->pads[w->spatial + i];
        if (reach > input)
            return bli_build_fail(b, BL_BAD_MODEL, "kernel_size spans %lld in dimension %d, its input has only %lld",
                                  (long long)reach, i + 1, (long long)input);
    }
    return BL_OK;
}

static bl_status window_of(const bli_build *b, const bli_ints *size, window *w)
{
    *w = (window){.spatial = b->use->layer->spatial};
    w->channels = b->shape->dim[b->shape->rank - 1];
    BLI_TRY(spread(b, "kernel_size", size, w->spatial, w->size));
    BLI_TRY(spread(b, "strides", &b->o->strides, w->spatial, w->stride));
    BLI_TRY(spread(b, "dilation_rate", &b->o->dilation, w->spatial, w->dilation));
    w->area = w->size[0] * (w->spatial == 2 ? w->size[1] : 1);
    if (strcmp(b->o->padding, "same") == 0)
        pad_same(b, w);
    return check_fits(b, w);
}

static bl_shape kernel_shape(const window *w, int64_t first, int64_t second)
{
    bl_shape s = {2 + w->spatial, {first, second, w->size[0], w->size[1]}};
    return s;
}

static bl_status conv_node(bli_build *b, const char *suffix, const window *w, int64_t group, const int in[3])
{
    bl_attr attrs[] = {bli_attr_ints("kernel_shape", w->size, w->spatial),
                       bli_attr_ints("strides", w->stride, w->spatial),
                       bli_attr_ints("dilations", w->dilation, w->spatial),
                       bli_attr_ints("pads", w->pads, 2 * w->spatial), bli_attr_int("group", group)};
    return bli_build_node(b, suffix, "Conv", BLI_DOMAIN_LAST, in, in[2] >= 0 ? 3 : 2, attrs, (int)BLI_COUNT(attrs));
}

bl_status bli_build_conv(bli_build *b)
{
    window w;
    int64_t group = b->o->groups, filters = b->o->filters;
    BLI_TRY(window_of(b, &b->o->kernel, &w));
    if (w.channels % group || filters % group)
        return bli_build_fail(b, BL_BAD_MODEL, "groups %lld must divide the %lld input channels and the %lld filters",
                              (long long)group, (long long)w.channels, (long long)filters);
    bli_fill fill = {"weight",
                     "weight",
                     b->o->weight_initializer,
                     BL_ROLE_PARAMETER,
                     kernel_shape(&w, filters, w.channels / group),
                     (double)(w.area * (w.channels / group)),
                     (double)(w.area * filters)};
    int in[3] = {b->in[0], -1, -1};
    BLI_TRY(bli_build_parameter(b, &fill, &in[1]));
    BLI_TRY(bias_parameter(b, filters, &in[2]));
    BLI_TRY(conv_node(b, "", &w, group, in));
    return finish(b);
}

/* One filter bank per channel.  The fans are Keras': its kernel is [..., channels, multiplier]. */
static bl_status depthwise(bli_build *b, const char *parameter, const char *node, bool with_bias)
{
    window w;
    BLI_TRY(window_of(b, &b->o->kernel, &w));
    int64_t outputs = w.channels * b->o->depth_multiplier;
    bli_fill fill = {parameter,
                     "weight",
                     b->o->weight_initializer,
                     BL_ROLE_PARAMETER,
                     kernel_shape(&w, outputs, 1),
                     (double)(w.area * w.channels),
                     (double)(w.area * b->o->depth_multiplier)};
    int in[3] = {b->in[0], -1, -1};
    BLI_TRY(bli_build_parameter(b, &fill, &in[1]));
    if (with_bias)
        BLI_TRY(bias_parameter(b, outputs, &in[2]));
    return conv_node(b, node, &w, w.channels, in);
}

bl_status bli_build_depthwise(bli_build *b)
{
    BLI_TRY(depthwise(b, "weight", "", true));
    return finish(b);
}

/* Depthwise "<layer>/depthwise", then pointwise with the bias as the main node. */
bl_status bli_build_separable(bli_build *b)
{
    BLI_TRY(depthwise(b, "depthwise", "/depthwise", false));
    int64_t channels = b->shape->dim[b->shape->rank - 1] * b->o->depth_multiplier, filters = b->o->filters;
    window w = {.spatial = b->use->layer->spatial,
                .channels = channels,
                .size = {1, 1},
                .stride = {1, 1},
                .dilation = {1, 1},
                .area = 1};
    bli_fill fill = {"weight",
                     "weight",
                     b->o->weight_initializer,
                     BL_ROLE_PARAMETER,
                     kernel_shape(&w, filters, channels),
                     (double)channels,
                     (double)filters};
    int in[3] = {b->out, -1, -1};
    BLI_TRY(bli_build_parameter(b, &fill, &in[1]));
    BLI_TRY(bias_parameter(b, filters, &in[2]));
    BLI_TRY(conv_node(b, "", &w, 1, in));
    return finish(b);
}

/* Keras: output = input * stride ("same"), and + max(kernel - stride, 0) ("valid"); what the kernel does not reach is
 * output_padding. */
static void transpose_pads(const bli_build *b, window *w, int64_t extra[2])
{
    bool same = strcmp(b->o->padding, "same") == 0;
    for (int i = 0; i < w->spatial; i++) {
        int64_t reach = (w->size[i] - 1) * w->dilation[i] + 1, beyond = reach - w->stride[i];
        int64_t total = same && beyond > 0 ? beyond : 0;
        w->pads[i] = total / 2;
        w->pads[w->spatial + i] = total - total / 2;
        extra[i] = beyond < 0 ? -beyond : 0;
    }
}

static bl_status transpose_window(const bli_build *b, window *w, int64_t extra[2])
{
    *w = (window){.spatial = b->use->layer->spatial};
    w->channels = b->shape->dim[b->shape->rank - 1];
    BLI_TRY(spread(b, "kernel_size", &b->o->kernel, w->spatial, w->size));
    BLI_TRY(spread(b, "strides", &b->o->strides, w->spatial, w->stride));
    BLI_TRY(spread(b, "dilation_rate", &b->o->dilation, w->spatial, w->dilation));
    w->area = w->size[0] * (w->spatial == 2 ? w->size[1] : 1);
    transpose_pads(b, w, extra);
    return BL_OK;
}

bl_status bli_build_conv_transpose(bli_build *b)
{
    window w;
    int64_t extra[2] = {0}, filters = b->o->filters;
    BLI_TRY(transpose_window(b, &w, extra));
    /* Keras' kernel is [kh, kw, filters, channels]: its fans are those of the convolution the other way */
    bli_fill fill = {"weight",
                     "weight",
                     b->o->weight_initializer,
                     BL_ROLE_PARAMETER,
                     kernel_shape(&w, w.channels, filters),
                     (double)(w.area * filters),
                     (double)(w.area * w.channels)};
    int in[3] = {b->in[0], -1, -1};
    BLI_TRY(bli_build_parameter(b, &fill, &in[1]));
    BLI_TRY(bias_parameter(b, filters, &in[2]));
    bl_attr attrs[] = {bli_attr_ints("kernel_shape", w.size, w.spatial),  bli_attr_ints("strides", w.stride, w.spatial),
                       bli_attr_ints("dilations", w.dilation, w.spatial), bli_attr_ints("pads", w.pads, 2 * w.spatial),
                       bli_attr_ints("output_padding", extra, w.spatial), bli_attr_int("group", 1)};
    BLI_TRY(
        bli_build_node(b, "", "ConvTranspose", BLI_DOMAIN_LAST, in, in[2] >= 0 ? 3 : 2, attrs, (int)BLI_COUNT(attrs)));
    return finish(b);
}

/* ---- pools: the same windows ------------------------------------------------------------------------------------ */
static bl_status pool(bli_build *b, const char *type)
{
    window w = {.spatial = b->use->layer->spatial, .dilation = {1, 1}};
    const bli_ints *strides = b->o->strides.count ? &b->o->strides : &b->o->pool;
    BLI_TRY(spread(b, "pool_size", &b->o->pool, w.spatial, w.size));
    BLI_TRY(spread(b, "strides", strides, w.spatial, w.stride));
    if (strcmp(b->o->padding, "same") == 0)
        pad_same(b, &w);
    BLI_TRY(check_fits(b, &w));
    bl_attr attrs[] = {bli_attr_ints("kernel_shape", w.size, w.spatial), bli_attr_ints("strides", w.stride, w.spatial),
                       bli_attr_ints("pads", w.pads, 2 * w.spatial)};
    return bli_build_node(b, "", type, BLI_DOMAIN_LAST, b->in, 1, attrs, (int)BLI_COUNT(attrs));
}

bl_status bli_build_max_pool(bli_build *b)
{
    return pool(b, "MaxPool");
}

bl_status bli_build_average_pool(bli_build *b)
{
    return pool(b, "AveragePool");
}
