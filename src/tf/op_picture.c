/* op_picture.c: operators that decode pictures: DecodeJpeg, DecodeAndCropJpeg, DecodePng, DecodeGif, DecodeBmp,
 * DecodeImage (picture.h).  Headers say the shapes, so these are known as soon as the bytes are. */
#include <string.h>

#include "tf/op.h"
#include "tf/picture.h"

typedef struct kind {
    const char *name;
    bli_picture_op op;
    bool crops, jpeg; /* has DecodeJpeg's attributes */
} kind;

static const kind kinds[] = {
    {"DecodeJpeg", BLI_PICTURE_JPEG, false, true}, {"DecodeAndCropJpeg", BLI_PICTURE_JPEG, true, true},
    {"DecodePng", BLI_PICTURE_PNG, false, false},  {"DecodeGif", BLI_PICTURE_GIF, false, false},
    {"DecodeBmp", BLI_PICTURE_BMP, false, false},  {"DecodeImage", BLI_PICTURE_ANY, false, false},
};

static const kind *kind_of(const bli_tf_call *c)
{
    size_t i = 0;
    while (i + 1 < BLI_COUNT(kinds) && strcmp(kinds[i].name, c->node->op) != 0)
        i++;
    return &kinds[i];
}

static bl_status read_jpeg(const bli_tf_call *c, bli_picture_how *how)
{
    const char *dct;
    int64_t ratio;
    bool fancy, recovers;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "ratio", 1, &ratio));
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "dct_method", "", &dct));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "fancy_upscaling", true, &fancy));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "try_recover_truncated", false, &recovers));
    if (ratio != 1 && ratio != 2 && ratio != 4 && ratio != 8)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'ratio' is %lld, expected 1, 2, 4 or 8", (long long)ratio);
    if (strcmp(dct, "") != 0 && strcmp(dct, "INTEGER_FAST") != 0 && strcmp(dct, "INTEGER_ACCURATE") != 0)
        return bli_fail(c->ctx, BL_BAD_MODEL,
                        "attribute 'dct_method' is '%s', expected INTEGER_FAST or INTEGER_ACCURATE", dct);
    if (recovers)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'try_recover_truncated' is true; damage is refused here");
    how->ratio = (int)ratio;
    how->slow_dct = strcmp(dct, "INTEGER_ACCURATE") == 0;
    how->rough = !fancy;
    return BL_OK;
}

static bl_status read_crop(const bli_tf_call *c, bli_picture_how *how, bool *known)
{
    int64_t v[BL_MAX_RANK];
    int count;
    BLI_TRY(bli_tf_ints(c, 1, v, &count, known));
    if (count >= 0 && count != 4)
        return bli_tf_refuse(c, 1, "four numbers");
    how->crops = true;
    if (*known)
        memcpy(how->crop, v, sizeof how->crop);
    return BL_OK;
}

/* *dtype: of the output; float is what bits 16 (PNG) or 8 over their maximum are. */
static bl_status read_how(const bli_tf_call *c, bli_picture_how *how, int *dtype, bool *known)
{
    const kind *k = kind_of(c);
    int64_t channels;
    bool expands;
    *how = (bli_picture_how){.op = k->op};
    *known = true;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_STRING));
    BLI_TRY(bli_tf_need_rank(c, 0, 0));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "channels", 0, &channels));
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "dtype", BLI_DT_UINT8, dtype));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "expand_animations", true, &expands));
    if (channels < 0 || channels > 4 || channels == 2)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'channels' is %lld, expected 0, 1, 3 or 4",
                        (long long)channels);
    if (*dtype != BLI_DT_UINT8 && *dtype != BLI_DT_UINT16 && !(*dtype == BLI_DT_FLOAT && k->op == BLI_PICTURE_ANY))
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'dtype' is %s", bli_tf_dtype_name(*dtype));
    how->channels = k->op == BLI_PICTURE_GIF ? 3 : (int)channels;
    how->first_only = k->op == BLI_PICTURE_ANY && !expands;
    if (k->jpeg)
        BLI_TRY(read_jpeg(c, how));
    return k->crops ? read_crop(c, how, known) : BL_OK;
}

static bool is_png(const bli_tf_bytes *b)
{
    return b->size > 0 && b->data[0] == 0x89;
}

static bool is_gif(const bli_tf_bytes *b)
{
    return b->size > 0 && b->data[0] == 'G';
}

static bl_status decode(const bli_tf_call *c, bli_picture_how *how, int dtype, bli_picture *p)
{
    const bli_tf_bytes *b = c->in[0].data;
    how->bits = dtype == BLI_DT_UINT16 || (dtype == BLI_DT_FLOAT && is_png(b)) ? 16 : 8;
    return bli_picture_decode(c->ctx, how, b->data, b->size, p);
}

static bl_status infer_decode(bli_tf_call *c)
{
    bli_picture_how how;
    bli_picture p;
    bool known;
    bl_shape *s = &c->out[0].shape;
    BLI_TRY(read_how(c, &how, &c->out[0].dtype, &known));
    if (!known || !c->in[0].data)
        return BL_OK;
    how.only_size = true;
    BLI_TRY(decode(c, &how, c->out[0].dtype, &p));
    const bool four =
        how.op == BLI_PICTURE_GIF || (how.op == BLI_PICTURE_ANY && !how.first_only && is_gif(c->in[0].data));
    *s = (bl_shape){four ? 4 : 3, {0}};
    int64_t *dim = s->dim;
    if (four)
        *dim++ = p.frames;
    dim[0] = p.height;
    dim[1] = p.width;
    dim[2] = p.channels;
    return BL_OK;
}

/* Products as in TensorFlow: by the reciprocal, in float. */
static void put_floats(const bli_picture *p, int bits, float *y, int64_t n)
{
    const float scale = (float)(1. / (bits == 16 ? 65535 : 255));
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(bits == 16 ? ((const uint16_t *)p->pixels)[i] : ((const uint8_t *)p->pixels)[i]) * scale;
}

static bl_status run_decode(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->out[0]);
    bli_picture_how how;
    bli_picture p;
    bool known;
    int dtype;
    BLI_TRY(read_how(c, &how, &dtype, &known));
    BLI_TRY(decode(c, &how, dtype, &p));
    if (dtype == BLI_DT_FLOAT)
        put_floats(&p, how.bits, c->out[0].data, n);
    else
        memcpy(c->out[0].data, p.pixels, (size_t)n * bli_tf_dtype_size(dtype));
    bli_picture_free(c->ctx, &p);
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"DecodeJpeg", 1, 1, 1, NULL, infer_decode, run_decode, 0, false},
    {"DecodeAndCropJpeg", 2, 2, 1, NULL, infer_decode, run_decode, 0, false},
    {"DecodePng", 1, 1, 1, NULL, infer_decode, run_decode, 0, false},
    {"DecodeGif", 1, 1, 1, NULL, infer_decode, run_decode, 0, false},
    {"DecodeBmp", 1, 1, 1, NULL, infer_decode, run_decode, 0, false},
    {"DecodeImage", 1, 1, 1, NULL, infer_decode, run_decode, 0, false},
};
const bli_tf_family bli_tf_family_picture = {ops, BLI_COUNT(ops)};
