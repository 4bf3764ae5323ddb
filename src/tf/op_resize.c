/* op_resize.c: ResizeBilinear and ResizeNearestNeighbor. */
#include <math.h>
#include <string.h>

#include "tf/resize.h"

/* One axis: result i lies between low and high, `part` of the way. */
typedef struct axis_step {
    int64_t low, high;
    float part;
} axis_step;

static float scale_of(const bli_tf_resize *how, int64_t in, int64_t out)
{
    return how->align && out > 1 ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
}

static void make_axis(const bli_tf_resize *how, int64_t in, int64_t out, axis_step *axis)
{
    const float scale = scale_of(how, in, out);
    for (int64_t i = 0; i < out; i++) {
        const float at = how->half ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale, floor_at = floorf(at);
        const int64_t low = (int64_t)floor_at, high = (int64_t)ceilf(at);
        axis[i].low = low < 0 ? 0 : low > in - 1 ? in - 1 : low;
        axis[i].high = high < 0 ? 0 : high > in - 1 ? in - 1 : high;
        axis[i].part = at - floor_at;
    }
}

static void row(const float *top, const float *bottom, const axis_step *across, int64_t width, int64_t channels,
                float down, float *y)
{
    for (int64_t j = 0; j < width; j++, y += channels) {
        const int64_t l = across[j].low * channels, r = across[j].high * channels;
        const float part = across[j].part;
        for (int64_t k = 0; k < channels; k++) {
            const float a = top[l + k] + (top[r + k] - top[l + k]) * part;
            const float b = bottom[l + k] + (bottom[r + k] - bottom[l + k]) * part;
            y[k] = a + (b - a) * down;
        }
    }
}

bl_status bli_tf_resize_bilinear(const bli_tf_call *c, const bli_tf_resize *how, const bl_shape *s, const float *x,
                                 const int64_t size[2], float *y)
{
    const int64_t channels = s->dim[3], image = s->dim[1] * s->dim[2] * channels;
    void *scratch;
    if (image == 0)
        return BL_OK;
    BLI_TRY(bli_tf_scratch(c, (size_t)(size[0] + size[1]) * sizeof(axis_step), &scratch));
    axis_step *down = scratch, *across = down + size[0];
    make_axis(how, s->dim[1], size[0], down);
    make_axis(how, s->dim[2], size[1], across);
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t i = 0; i < size[0]; i++) {
            const float *picture = x + n * image;
            row(picture + down[i].low * s->dim[2] * channels, picture + down[i].high * s->dim[2] * channels, across,
                size[1], channels, down[i].part, y);
            y += size[1] * channels;
        }
    return BL_OK;
}

static bl_status infer_resize(bli_tf_call *c)
{
    int64_t v[BL_MAX_RANK];
    int count;
    bool known;
    bli_tf_resize how;
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "align_corners", false, &how.align));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "half_pixel_centers", false, &how.half));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    BLI_TRY(bli_tf_ints(c, 1, v, &count, &known));
    if (how.align && how.half)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attributes 'align_corners' and 'half_pixel_centers' are both true");
    if (count >= 0 && count != 2)
        return bli_tf_refuse(c, 1, "two numbers");
    c->out[0].dtype = c->node->op[6] == 'B' ? BLI_DT_FLOAT : c->in[0].dtype;
    c->out[0].shape = c->in[0].shape;
    for (int d = 0; d < 2 && c->in[0].shape.rank == 4; d++) {
        if (known && (v[d] < 1 || v[d] > INT32_MAX))
            return bli_fail(c->ctx, BL_BAD_MODEL, "a size of %lld", (long long)v[d]);
        if (c->in[0].shape.dim[1 + d] == 0)
            return bli_tf_refuse(c, 0, "a picture that is not empty");
        c->out[0].shape.dim[1 + d] = known ? v[d] : -1;
    }
    return BL_OK;
}

/* The picture as floats: itself, or a copy of bytes. */
static bl_status as_floats(bli_tf_call *c, float **copy)
{
    const bli_tf_arg *x = &c->in[0];
    const int64_t n = bli_tf_count(x);
    *copy = NULL;
    if (x->dtype == BLI_DT_FLOAT)
        return BL_OK;
    if (x->dtype != BLI_DT_UINT8 && x->dtype != BLI_DT_INT32)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a picture of type %s", bli_tf_dtype_name(x->dtype));
    *copy = bli_alloc_array(c->ctx, (size_t)n + 1, sizeof **copy);
    if (!*copy)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        (*copy)[i] =
            x->dtype == BLI_DT_UINT8 ? (float)((const uint8_t *)x->data)[i] : (float)((const int32_t *)x->data)[i];
    return BL_OK;
}

static bl_status run_bilinear(bli_tf_call *c)
{
    const int64_t size[2] = {c->out[0].shape.dim[1], c->out[0].shape.dim[2]};
    bli_tf_resize how;
    float *copy;
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "align_corners", false, &how.align));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "half_pixel_centers", false, &how.half));
    BLI_TRY(as_floats(c, &copy));
    bl_status s = bli_tf_resize_bilinear(c, &how, &c->in[0].shape, copy ? copy : c->in[0].data, size, c->out[0].data);
    bli_free(c->ctx, copy);
    return s;
}

static int64_t nearest(const bli_tf_resize *how, int64_t in, int64_t out, int64_t i)
{
    const float scale = scale_of(how, in, out), at = how->half ? ((float)i + 0.5f) * scale : (float)i * scale;
    const int64_t to = (int64_t)(how->align ? roundf(at) : floorf(at));
    return to < 0 ? 0 : to > in - 1 ? in - 1 : to;
}

static bl_status run_nearest(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape, *o = &c->out[0].shape;
    const size_t pixel = (size_t)s->dim[3] * bli_tf_dtype_size(c->in[0].dtype);
    char *to = c->out[0].data;
    bli_tf_resize how;
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "align_corners", false, &how.align));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "half_pixel_centers", false, &how.half));
    for (int64_t n = 0; pixel > 0 && n < s->dim[0]; n++)
        for (int64_t i = 0; i < o->dim[1]; i++) {
            const int64_t row_at = n * s->dim[1] + nearest(&how, s->dim[1], o->dim[1], i);
            for (int64_t j = 0; j < o->dim[2]; j++, to += pixel)
                memcpy(to,
                       (const char *)c->in[0].data +
                           (size_t)(row_at * s->dim[2] + nearest(&how, s->dim[2], o->dim[2], j)) * pixel,
                       pixel);
        }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"ResizeBilinear", 2, 2, 1, NULL, infer_resize, run_bilinear, 0, false},
    {"ResizeNearestNeighbor", 2, 2, 1, NULL, infer_resize, run_nearest, 0, false},
};
const bli_tf_family bli_tf_family_resize = {ops, BLI_COUNT(ops)};
