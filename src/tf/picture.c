/* picture.c: which decoder a picture goes to, and the limits that hold for all; BMP. */
#include "tf/picture.h"

#include <string.h>

#include "base/reader.h"

bli_picture_kind bli_picture_kind_of(const char *path)
{
    static const char *const ends[] = {
        [BLI_PICTURE_PNG] = ".png", [BLI_PICTURE_GIF] = ".gif", [BLI_PICTURE_BMP] = ".bmp"};
    const size_t n = strlen(path);
    for (size_t i = 0; i < BLI_COUNT(ends); i++)
        if (ends[i] && n >= 4 && strcmp(path + n - 4, ends[i]) == 0)
            return (bli_picture_kind)i;
    return BLI_PICTURE_JPEG;
}

bl_status bli_picture_start(bl_context *ctx, const bli_picture_how *how, int64_t height, int64_t width, int channels,
                            bli_picture *out)
{
    if (height < 1 || width < 1 || height > BLI_PICTURE_MAX_SIDE || width > BLI_PICTURE_MAX_SIDE ||
        height * width * channels > BLI_PICTURE_MAX_BYTES)
        return bli_fail(ctx, BL_LIMIT, "a picture of %lld x %lld pixels; the limits are %d a side and %d bytes in all",
                        (long long)width, (long long)height, BLI_PICTURE_MAX_SIDE, BLI_PICTURE_MAX_BYTES);
    *out = (bli_picture){height, width, channels, NULL};
    if (how->only_size)
        return BL_OK;
    out->pixels = bli_alloc(ctx, (size_t)(height * width * channels));
    return out->pixels ? BL_OK : BL_NO_MEMORY;
}

void bli_picture_free(bl_context *ctx, bli_picture *p)
{
    bli_free(ctx, p->pixels);
    *p = (bli_picture){.pixels = NULL};
}

bl_status bli_picture_decode(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                             bli_picture *out)
{
    static bl_status (*const decoders[])(bl_context *, const bli_picture_how *, const void *, size_t, bli_picture *) = {
        [BLI_PICTURE_JPEG] = bli_picture_jpeg,
        [BLI_PICTURE_PNG] = bli_picture_png,
        [BLI_PICTURE_GIF] = bli_picture_gif,
        [BLI_PICTURE_BMP] = bli_picture_bmp,
    };
    static const char *const names[] = {"JPEG", "PNG", "GIF", "BMP"};
    *out = (bli_picture){.pixels = NULL};
    bl_status s = decoders[how->kind](ctx, how, data, size, out);
    if (s != BL_OK)
        bli_picture_free(ctx, out);
    return bli_within(ctx, s, "%s", names[how->kind]);
}

/* ---- BMP ----------------------------------------------------------------------------------------------------- */
typedef struct bmp {
    uint32_t at;
    int64_t width, height;
    int channels;
    bool from_top;
} bmp;

static bl_status bmp_header(bl_context *ctx, const void *data, size_t size, bmp *b)
{
    bli_reader r = bli_reader_make(data, size);
    uint32_t header = 0, width = 0, height = 0;
    uint16_t bits = 0;
    const uint8_t *magic = bli_reader_take(&r, 2);
    if (!magic || memcmp(magic, "BM", 2) != 0)
        return bli_fail(ctx, BL_BAD_FILE, "it does not begin with BM");
    if (!bli_reader_take(&r, 8) || !bli_reader_u32le(&r, &b->at) || !bli_reader_u32le(&r, &header) ||
        !bli_reader_u32le(&r, &width) || !bli_reader_u32le(&r, &height) || !bli_reader_take(&r, 2) ||
        !bli_reader_u16le(&r, &bits))
        return bli_fail(ctx, BL_BAD_FILE, "its header ends after %zu bytes", size);
    b->from_top = (int32_t)height < 0;
    b->width = (int32_t)width;
    b->height = b->from_top ? -(int64_t)(int32_t)height : (int64_t)(int32_t)height;
    b->channels = bits / 8;
    if (bits != 8 && bits != 24 && bits != 32)
        return bli_fail(ctx, BL_UNSUPPORTED, "%d bits a pixel; 8, 24 and 32 are known", bits);
    return BL_OK;
}

/* Blue comes first in the file. */
static void bmp_row(const uint8_t *from, int64_t width, int channels, uint8_t *to)
{
    memcpy(to, from, (size_t)(width * channels));
    for (int64_t i = 0; channels >= 3 && i < width; i++) {
        to[i * channels] = from[i * channels + 2];
        to[i * channels + 2] = from[i * channels];
    }
}

bl_status bli_picture_bmp(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    bmp b;
    BLI_TRY(bmp_header(ctx, data, size, &b));
    BLI_TRY(bli_picture_start(ctx, how, b.height, b.width, b.channels, out));
    const size_t step = ((size_t)b.width * (size_t)b.channels + 3) / 4 * 4;
    if (b.at > size || step * (size_t)b.height > size - b.at)
        return bli_fail(ctx, BL_BAD_FILE, "%zu bytes, but its pixels take %zu from byte %u on", size,
                        step * (size_t)b.height, b.at);
    if (how->channels && how->channels != b.channels)
        return bli_fail(ctx, BL_BAD_FILE, "it has %d channels, expected %d", b.channels, how->channels);
    for (int64_t y = 0; !how->only_size && y < b.height; y++) {
        const int64_t row = b.from_top ? y : b.height - 1 - y;
        bmp_row((const uint8_t *)data + b.at + (size_t)row * step, b.width, b.channels,
                out->pixels + y * b.width * b.channels);
    }
    return BL_OK;
}
