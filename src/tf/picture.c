/* picture.c: which decoder a picture goes to, and the limits that hold for all. */
#include "tf/picture.h"

#include <string.h>

bli_picture_op bli_picture_op_of(const char *path)
{
    static const char *const ends[] = {
        [BLI_PICTURE_PNG] = ".png", [BLI_PICTURE_GIF] = ".gif", [BLI_PICTURE_BMP] = ".bmp"};
    const size_t n = strlen(path);
    for (size_t i = 0; i < BLI_COUNT(ends); i++)
        if (ends[i] && n >= 4 && strcmp(path + n - 4, ends[i]) == 0)
            return (bli_picture_op)i;
    return BLI_PICTURE_JPEG;
}

bl_status bli_picture_start(bl_context *ctx, const bli_picture_how *how, int bits, bli_picture *out)
{
    int64_t bytes = out->height * out->width; /* sides have at most 32 bits, frames come from a file */
    if (out->height < 1 || out->width < 1 || out->height > BLI_PICTURE_MAX_SIDE || out->width > BLI_PICTURE_MAX_SIDE ||
        __builtin_mul_overflow(bytes, out->frames * out->channels * (bits / 8), &bytes) ||
        bytes > BLI_PICTURE_MAX_BYTES)
        return bli_fail(ctx, BL_LIMIT, "a picture of %lld x %lld pixels; the limits are %d a side and %d bytes in all",
                        (long long)out->width, (long long)out->height, BLI_PICTURE_MAX_SIDE, BLI_PICTURE_MAX_BYTES);
    if (how->only_size)
        return BL_OK;
    out->pixels = bli_alloc(ctx, (size_t)bytes);
    return out->pixels ? BL_OK : BL_NO_MEMORY;
}

bl_status bli_picture_can_hold(bl_context *ctx, size_t size, int64_t each, const bli_picture *p)
{
    int64_t pixels;
    if (!__builtin_mul_overflow(p->frames, p->height * p->width, &pixels) && pixels / each <= (int64_t)size)
        return BL_OK;
    return bli_fail(ctx, BL_BAD_FILE, "%lld x %lld pixels, %lld times, in %zu bytes, each of which holds %lld at most",
                    (long long)p->width, (long long)p->height, (long long)p->frames, size, (long long)each);
}

void bli_picture_free(bl_context *ctx, bli_picture *p)
{
    bli_free(ctx, p->pixels);
    *p = (bli_picture){.pixels = NULL};
}

typedef struct format {
    const char *magic, *name;
    size_t size;
    bli_picture_decoder *decode;
    unsigned ops, channels; /* who takes it; what it can be asked for; a bit each */
} format;

#define OP(name) (1u << BLI_PICTURE_##name)
static const format formats[] = {
    {"\xff\xd8\xff", "JPEG", 3, bli_picture_jpeg, OP(JPEG) | OP(PNG) | OP(GIF) | OP(ANY), 1 << 0 | 1 << 1 | 1 << 3},
    {"\x89PNG\r\n\x1a\n", "PNG", 8, bli_picture_png, OP(JPEG) | OP(PNG) | OP(GIF) | OP(ANY),
     1 << 0 | 1 << 1 | 1 << 3 | 1 << 4},
    {"GIF8", "GIF", 4, bli_picture_gif, OP(JPEG) | OP(PNG) | OP(GIF) | OP(ANY), 1 << 0 | 1 << 3},
    {"BM", "BMP", 2, bli_picture_bmp, OP(BMP) | OP(ANY), 1 << 0 | 1 << 3 | 1 << 4},
};

static const format *format_of(const void *data, size_t size)
{
    for (size_t i = 0; i < BLI_COUNT(formats); i++)
        if (size >= formats[i].size && memcmp(data, formats[i].magic, formats[i].size) == 0)
            return &formats[i];
    return NULL;
}

static bl_status check_format(bl_context *ctx, const bli_picture_how *how, const format *f)
{
    static const char *const ops[] = {"DecodeJpeg", "DecodePng", "DecodeGif", "DecodeBmp", "DecodeImage"};
    if (!f)
        return bli_fail(ctx, BL_BAD_FILE, "it is neither JPEG, PNG, GIF nor BMP");
    if (!(f->ops >> how->op & 1))
        return bli_fail(ctx, BL_UNSUPPORTED, "it is a %s, which %s does not take", f->name, ops[how->op]);
    if (how->crops && f->decode != bli_picture_jpeg)
        return bli_fail(ctx, BL_UNSUPPORTED, "it is a %s; only a JPEG is cropped", f->name);
    if (how->channels < 0 || how->channels > 4 || !(f->channels >> how->channels & 1))
        return bli_fail(ctx, BL_UNSUPPORTED, "a %s does not give %d channels", f->name, how->channels);
    return BL_OK;
}

/* v * 256, in fresh memory. */
static bl_status widen(bl_context *ctx, bli_picture *p)
{
    const size_t n = (size_t)(p->frames * p->height * p->width * p->channels);
    uint16_t *wide = bli_alloc_array(ctx, n, sizeof *wide);
    if (!wide)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        wide[i] = (uint16_t)(((const uint8_t *)p->pixels)[i] * 256u);
    bli_free(ctx, p->pixels);
    p->pixels = wide;
    return BL_OK;
}

bl_status bli_picture_decode(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                             bli_picture *out)
{
    const format *f = format_of(data, size);
    *out = (bli_picture){.pixels = NULL};
    BLI_TRY(check_format(ctx, how, f));
    bl_status s = f->decode(ctx, how, data, size, out);
    if (s == BL_OK && out->pixels && how->bits == 16 && f->decode != bli_picture_png)
        s = widen(ctx, out);
    if (s != BL_OK)
        bli_picture_free(ctx, out);
    return bli_within(ctx, s, "%s", f->name);
}
