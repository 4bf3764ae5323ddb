/* picture_bmp.c: a BMP as TensorFlow reads it: 8 bits are grey, whatever the palette says; 24 are BGR, 32 BGRA; a
 * negative height is the order from the top; pixels are all that stands behind the header. */
#include <string.h>

#include "base/reader.h"
#include "tf/picture.h"

typedef struct bmp {
    uint32_t at;
    int64_t width, height;
    int channels;
    bool from_top;
} bmp;

static bl_status read_header(bl_context *ctx, const void *data, size_t size, bmp *b)
{
    bli_reader r = bli_reader_make(data, size);
    uint32_t header = 0, width = 0, height = 0;
    uint16_t bits = 0;
    if (!bli_reader_take(&r, 10) || !bli_reader_u32le(&r, &b->at) || !bli_reader_u32le(&r, &header) ||
        !bli_reader_u32le(&r, &width) || !bli_reader_u32le(&r, &height) || !bli_reader_take(&r, 2) ||
        !bli_reader_u16le(&r, &bits) || !bli_reader_take(&r, 2))
        return bli_fail(ctx, BL_BAD_FILE, "its header ends after %zu bytes", size);
    b->from_top = (int32_t)height < 0;
    b->width = (int32_t)width;
    b->height = b->from_top ? -(int64_t)(int32_t)height : (int64_t)(int32_t)height;
    b->channels = bits / 8;
    if (bits != 8 && bits != 24 && bits != 32)
        return bli_fail(ctx, BL_UNSUPPORTED, "%d bits a pixel; 8, 24 and 32 are known", bits);
    return BL_OK;
}

/* Blue comes first in the file; grey is repeated; alpha that is not there is 255. */
static void put_row(const bmp *b, const uint8_t *from, int channels, uint8_t *to)
{
    const bool grey = b->channels == 1;
    for (int64_t i = 0; i < b->width; i++, from += b->channels, to += channels) {
        to[0] = from[grey ? 0 : 2];
        for (int k = 1; k < channels; k++)
            to[k] = k == 3 ? (b->channels == 4 ? from[3] : 255) : from[grey ? 0 : 2 - k];
    }
}

bl_status bli_picture_bmp(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    bmp b;
    BLI_TRY(read_header(ctx, data, size, &b));
    *out = (bli_picture){1, b.height, b.width, how->channels ? how->channels : b.channels, NULL};
    BLI_TRY(bli_picture_start(ctx, how, 8, out));
    const size_t step = ((size_t)b.width * (size_t)b.channels + 3) / 4 * 4;
    if (b.at > size || step * (size_t)b.height != size - b.at)
        return bli_fail(ctx, BL_BAD_FILE, "%zu bytes, but its pixels take %zu from byte %u on", size,
                        step * (size_t)b.height, b.at);
    for (int64_t y = 0; !how->only_size && y < b.height; y++)
        put_row(&b, (const uint8_t *)data + b.at + (size_t)(b.from_top ? y : b.height - 1 - y) * step, out->channels,
                (uint8_t *)out->pixels + y * b.width * out->channels);
    return BL_OK;
}
