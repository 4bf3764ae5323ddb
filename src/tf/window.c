/* window.c: reading a window's attributes.  Sizes are bounded so that no product of them overflows. */
#include "tf/window.h"

#include <string.h>

#include "op/box.h"

#define MOST_STEP   ((int64_t)1 << 30)
#define MOST_PADDED ((int64_t)1 << 40)

static bl_status read_format(const bli_tf_call *c, bool *nchw)
{
    const char *format;
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "data_format", "NHWC", &format));
    *nchw = strcmp(format, "NCHW") == 0;
    if (!*nchw && strcmp(format, "NHWC") != 0)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'data_format' is '%s'; NHWC and NCHW are known", format);
    return BL_OK;
}

bl_status bli_tf_window_picture(const bli_tf_call *c, int input, bli_tf_window *w)
{
    const bl_shape *s = &c->in[input].shape;
    *w = (bli_tf_window){
        .images = -1, .channels = -1, .size = {-1, -1}, .stride = {1, 1}, .dilation = {1, 1}, .out = {-1, -1}};
    BLI_TRY(read_format(c, &w->nchw));
    BLI_TRY(bli_tf_need_rank(c, input, 4));
    if (s->rank < 0)
        return BL_OK;
    w->images = s->dim[0];
    w->channels = s->dim[w->nchw ? 1 : 3];
    w->size[0] = s->dim[w->nchw ? 2 : 1];
    w->size[1] = s->dim[w->nchw ? 3 : 2];
    return BL_OK;
}

bl_status bli_tf_window_pair(const bli_tf_call *c, const char *attr, bool required, bool nchw, int64_t v[2])
{
    const int64_t *list = NULL;
    size_t count = 0;
    v[0] = v[1] = 1;
    if (!required && !bli_tf_node_attr(c->node, attr))
        return BL_OK;
    BLI_TRY(bli_tf_get_ints(c->ctx, c->node, attr, &list, &count));
    if (count == 0 && !required)
        return BL_OK;
    if (count != 4)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute '%s' has %zu numbers, expected 4", attr, count);
    if (list[0] != 1 || list[nchw ? 1 : 3] != 1)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute '%s' of batch or channels is not 1", attr);
    for (int d = 0; d < 2; d++) {
        v[d] = list[(nchw ? 2 : 1) + d];
        if (v[d] < 1 || v[d] > MOST_STEP)
            return bli_fail(c->ctx, BL_BAD_MODEL, "attribute '%s' has %lld", attr, (long long)v[d]);
    }
    return BL_OK;
}

bl_status bli_tf_window_steps(const bli_tf_call *c, bli_tf_window *w)
{
    BLI_TRY(bli_tf_window_pair(c, "strides", true, w->nchw, w->stride));
    return bli_tf_window_pair(c, "dilations", false, w->nchw, w->dilation);
}

static bl_status explicit_pads(const bli_tf_call *c, bli_tf_window *w)
{
    const int64_t *list;
    size_t count;
    BLI_TRY(bli_tf_get_ints(c->ctx, c->node, "explicit_paddings", &list, &count));
    if (count != 8)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'explicit_paddings' has %zu numbers, expected 8", count);
    for (int i = 0; i < 8; i++)
        if (list[i] < 0 || list[i] > MOST_STEP)
            return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'explicit_paddings' has %lld", (long long)list[i]);
    const int at = w->nchw ? 4 : 2, channel = w->nchw ? 2 : 6;
    if (list[0] || list[1] || list[channel] || list[channel + 1])
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'explicit_paddings' pads batch or channels");
    for (int d = 0; d < 2; d++) {
        w->pad[d] = list[at + 2 * d];
        w->pad_after[d] = list[at + 2 * d + 1];
    }
    return BL_OK;
}

static bl_status size_of_result(const bli_tf_call *c, bli_tf_window *w, int d, bool same)
{
    const int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
    if (w->size[d] < 0 || w->kernel[d] < 0)
        return BL_OK;
    if (same) {
        w->out[d] = (w->size[d] + w->stride[d] - 1) / w->stride[d];
        const int64_t total = w->out[d] > 0 ? (w->out[d] - 1) * w->stride[d] + reach - w->size[d] : 0;
        w->pad[d] = total > 0 ? total / 2 : 0;
        w->pad_after[d] = total > 0 ? total - total / 2 : 0;
    }
    const int64_t padded = w->size[d] + w->pad[d] + w->pad_after[d];
    if (!same)
        w->out[d] = padded < reach ? 0 : (padded - reach) / w->stride[d] + 1;
    if (padded < reach && w->size[d] > 0)
        return bli_fail(c->ctx, BL_BAD_MODEL, "a window of %lld on a picture of %lld", (long long)reach,
                        (long long)padded);
    if (padded > MOST_STEP)
        return bli_fail(c->ctx, BL_LIMIT, "a picture of %lld a side with its pads", (long long)padded);
    return BL_OK;
}

bl_status bli_tf_window_pads(const bli_tf_call *c, bli_tf_window *w)
{
    const char *padding;
    bool same;
    int64_t all = w->channels > 0 ? w->channels : 1;
    BLI_TRY(bli_tf_get_string(c->ctx, c->node, "padding", &padding));
    same = strcmp(padding, "SAME") == 0;
    if (strcmp(padding, "EXPLICIT") == 0)
        BLI_TRY(explicit_pads(c, w));
    else if (!same && strcmp(padding, "VALID") != 0)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'padding' is '%s'", padding);
    for (int d = 0; d < 2; d++) {
        if (w->kernel[d] == 0 || w->kernel[d] > MOST_STEP)
            return bli_fail(c->ctx, BL_BAD_MODEL, "a kernel of %lld", (long long)w->kernel[d]);
        BLI_TRY(size_of_result(c, w, d, same));
        const int64_t padded = w->size[d] + w->pad[d] + w->pad_after[d];
        if (padded > 0 && (__builtin_mul_overflow(all, padded, &all) || all > MOST_PADDED))
            return bli_fail(c->ctx, BL_LIMIT, "a picture of more than %lld elements with its pads",
                            (long long)MOST_PADDED);
    }
    return BL_OK;
}

bl_shape bli_tf_window_shape(const bli_tf_window *w, int64_t channels)
{
    if (w->nchw)
        return (bl_shape){4, {w->images, channels, w->out[0], w->out[1]}};
    return (bl_shape){4, {w->images, w->out[0], w->out[1], channels}};
}

void bli_tf_channels_last(const void *x, int64_t n, int64_t channels, int64_t pixels, size_t element, void *y)
{
    bli_box b = bli_box_of(&(bl_shape){3, {n, pixels, channels}});
    b.from[1] = 1;
    b.from[2] = pixels;
    if (n * channels * pixels > 0)
        bli_box_copy(&b, x, y, element);
}

void bli_tf_channels_first(const void *x, int64_t n, int64_t channels, int64_t pixels, size_t element, void *y)
{
    bli_tf_channels_last(x, n, pixels, channels, element, y);
}
