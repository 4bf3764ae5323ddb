/* op_crop.c: CropAndResize: boxes of pictures, each resized to one size. */
#include <math.h>
#include <string.h>

#include "tf/op.h"

typedef struct crop {
    int64_t size[2];
    bool known, nearest;
    float outside; /* what stands where a box leaves its picture */
} crop;

static bl_status read_crop(const bli_tf_call *c, crop *v)
{
    int64_t n[BL_MAX_RANK];
    int count;
    const char *method;
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "method", "bilinear", &method));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "extrapolation_value", 0, &v->outside));
    BLI_TRY(bli_tf_ints(c, 3, n, &count, &v->known));
    v->nearest = strcmp(method, "nearest") == 0;
    if (!v->nearest && strcmp(method, "bilinear") != 0)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'method' is '%s', expected bilinear or nearest", method);
    if ((count >= 0 && count != 2) || (v->known && (n[0] < 1 || n[1] < 1 || n[0] > INT32_MAX || n[1] > INT32_MAX)))
        return bli_tf_refuse(c, 3, "two sizes");
    v->size[0] = v->known ? n[0] : -1;
    v->size[1] = v->known ? n[1] : -1;
    return BL_OK;
}

static bl_status infer_crop(bli_tf_call *c)
{
    crop v;
    const bl_shape *image = &c->in[0].shape, *boxes = &c->in[1].shape;
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    BLI_TRY(bli_tf_need_type(c, 1, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_need_rank(c, 1, 2));
    BLI_TRY(bli_tf_need_type(c, 2, BLI_DT_INT32));
    BLI_TRY(bli_tf_need_rank(c, 2, 1));
    BLI_TRY(read_crop(c, &v));
    if (c->in[0].dtype && c->in[0].dtype != BLI_DT_FLOAT && c->in[0].dtype != BLI_DT_UINT8)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a picture of %s; float and uint8 are known",
                        bli_tf_dtype_name(c->in[0].dtype));
    if (bli_tf_known(image) && (image->dim[1] < 1 || image->dim[2] < 1))
        return bli_tf_refuse(c, 0, "a picture that is not empty");
    if (bli_tf_known(boxes) &&
        (boxes->dim[1] != 4 || (bli_tf_known(&c->in[2].shape) && c->in[2].shape.dim[0] != boxes->dim[0])))
        return bli_tf_refuse(c, 1, "four numbers for each box, as many boxes as pictures are named");
    c->out[0].dtype = BLI_DT_FLOAT;
    c->out[0].shape = (bl_shape){
        4, {boxes->rank == 2 ? boxes->dim[0] : -1, v.size[0], v.size[1], image->rank == 4 ? image->dim[3] : -1}};
    return BL_OK;
}

/* Where row (or column) i of `out` lies among `in`, for a box from a to b. */
static float place(float a, float b, int64_t in, int64_t out, int64_t i)
{
    const float edge = (float)(in - 1);
    if (out > 1)
        return a * edge + (float)i * ((b - a) * edge / (float)(out - 1));
    return (float)(0.5 * (double)(a + b) * (double)edge);
}

static float pixel(const bli_tf_arg *image, int64_t at)
{
    return image->dtype == BLI_DT_FLOAT ? ((const float *)image->data)[at] : (float)((const uint8_t *)image->data)[at];
}

static void put_pixel(const bli_tf_call *c, const crop *v, int64_t n, float y, float x, float *to)
{
    const bl_shape *s = &c->in[0].shape;
    const int64_t channels = s->dim[3];
    const bool inside = y >= 0 && y <= (float)(s->dim[1] - 1) && x >= 0 && x <= (float)(s->dim[2] - 1);
    if (!inside) {
        for (int64_t k = 0; k < channels; k++)
            to[k] = v->outside;
        return;
    }
    const int64_t top = (int64_t)(v->nearest ? roundf(y) : floorf(y)),
                  left = (int64_t)(v->nearest ? roundf(x) : floorf(x));
    const int64_t bottom = (int64_t)ceilf(y), right = (int64_t)ceilf(x), row = n * s->dim[1];
    const float down = y - (float)top, across = x - (float)left;
    for (int64_t k = 0; k < channels; k++) {
        const float a = pixel(&c->in[0], ((row + top) * s->dim[2] + left) * channels + k);
        if (v->nearest) {
            to[k] = a;
            continue;
        }
        const float b = pixel(&c->in[0], ((row + top) * s->dim[2] + right) * channels + k);
        const float d = pixel(&c->in[0], ((row + bottom) * s->dim[2] + left) * channels + k);
        const float e = pixel(&c->in[0], ((row + bottom) * s->dim[2] + right) * channels + k);
        const float upper = a + (b - a) * across, lower = d + (e - d) * across;
        to[k] = upper + (lower - upper) * down;
    }
}

static bl_status run_crop(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape, *o = &c->out[0].shape;
    const float *box = c->in[1].data;
    const int32_t *which = c->in[2].data;
    float *y = c->out[0].data;
    crop v;
    BLI_TRY(read_crop(c, &v));
    for (int64_t n = 0; n < o->dim[0]; n++, box += 4) {
        if (which[n] < 0 || which[n] >= s->dim[0])
            return bli_fail(c->ctx, BL_BAD_VALUE, "box %lld is of picture %d of %lld", (long long)n, which[n],
                            (long long)s->dim[0]);
        for (int64_t i = 0; i < o->dim[1]; i++)
            for (int64_t j = 0; j < o->dim[2]; j++, y += o->dim[3])
                put_pixel(c, &v, which[n], place(box[0], box[2], s->dim[1], o->dim[1], i),
                          place(box[1], box[3], s->dim[2], o->dim[2], j), y);
    }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"CropAndResize", 4, 4, 1, NULL, infer_crop, run_crop, 0, false},
};
const bli_tf_family bli_tf_family_crop = {ops, BLI_COUNT(ops)};
