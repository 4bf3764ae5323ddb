/* picture_png.c: a PNG (base/png.h) in the channels and bits that are asked for. */
#include <string.h>

#include "base/png.h"
#include "tf/picture.h"

/* Pixels of one bit, deflated as well as can be: 1032 bytes a byte (zlib's technical details). */
enum { PIXELS_OF_A_BYTE = 8 * 1032 };

typedef struct bytes {
    const uint8_t *data;
    size_t left;
} bytes;

static size_t take(void *user, void *out, size_t n)
{
    bytes *b = user;
    if (n > b->left)
        return 0;
    memcpy(out, b->data, n);
    b->data += n;
    b->left -= n;
    return n;
}

static int own_channels(const bli_png_info *info)
{
    return (info->color ? 3 : 1) + (info->alpha || (info->palette && info->see_thru));
}

bl_status bli_picture_png(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    bytes b = {data, size};
    bli_png_info info;
    bli_png *png;
    const int bits = how->bits == 16 ? 16 : 8;
    BLI_TRY(bli_png_open(ctx, &(bli_png_source){take, &b, BLI_PICTURE_MAX_SIDE}, &png, &info));
    *out = (bli_picture){1, info.height, info.width, how->channels ? how->channels : own_channels(&info), NULL};
    bl_status s = bli_picture_can_hold(ctx, size, PIXELS_OF_A_BYTE, out);
    if (s == BL_OK)
        s = bli_picture_start(ctx, how, bits, out);
    if (s == BL_OK && !how->only_size)
        s = bli_png_read(png, out->channels, bits, out->pixels);
    bli_png_close(png);
    return s;
}
