/* png.c: an image of a data set that is a PNG (base/png.h): what grey or RGB of eight bits cannot say is refused. */
#include <string.h>

#include "base/png.h"
#include "train/data/image.h"

typedef struct decoder {
    bli_image_bytes *bytes;
    const bli_image_info *wanted;
    bli_image_info *info;
    uint8_t *out;
    bli_png *png;
    bool transparent; /* perhaps */
} decoder;

static size_t take(void *user, void *out, size_t n)
{
    return bli_image_take(user, out, n);
}

static bl_status say(const decoder *d, bl_status s)
{
    return bli_within(d->bytes->ctx, s, "%s: PNG", d->bytes->path);
}

static bl_status read_header(decoder *d)
{
    bli_png_info info;
    const bli_png_source from = {take, d->bytes, BLI_IMAGE_MAX_SIDE};
    BLI_TRY(say(d, bli_png_open(d->bytes->ctx, &from, &d->png, &info)));
    *d->info = (bli_image_info){info.width, info.height, info.color ? 3 : 1};
    d->transparent = info.alpha || info.see_thru;
    if (info.bits == 16)
        return bli_fail(d->bytes->ctx, BL_UNSUPPORTED,
                        "%s: has 16 bits a channel; convert it to 8, or keep the values in an npy of uint16",
                        d->bytes->path);
    return bli_image_check(d->bytes, d->info, d->wanted);
}

static bl_status check_opaque(const decoder *d, const uint8_t *pixels, size_t channels)
{
    const size_t count = (size_t)d->info->width * d->info->height;
    for (size_t i = 0; i < count; i++) {
        const unsigned alpha = pixels[i * channels + channels - 1];
        if (alpha != 255)
            return bli_fail(d->bytes->ctx, BL_UNSUPPORTED,
                            "%s: pixel (%zu, %zu) is transparent (alpha %u of 255); flatten the image first",
                            d->bytes->path, i % d->info->width, i / d->info->width, alpha);
    }
    return BL_OK;
}

/* Pixels with alpha, and then without. */
static bl_status read_transparent(decoder *d)
{
    const size_t count = (size_t)d->info->width * d->info->height, kept = (size_t)d->info->channels;
    uint8_t *pixels = bli_alloc_array(d->bytes->ctx, count, kept + 1);
    if (!pixels)
        return BL_NO_MEMORY;
    bl_status s = say(d, bli_png_read(d->png, d->info->channels + 1, 8, pixels));
    if (s == BL_OK)
        s = check_opaque(d, pixels, kept + 1);
    for (size_t i = 0; s == BL_OK && i < count; i++)
        memcpy(d->out + i * kept, pixels + i * (kept + 1), kept);
    bli_free(d->bytes->ctx, pixels);
    return s;
}

static bl_status decode(decoder *d)
{
    BLI_TRY(read_header(d));
    if (!d->out)
        return BL_OK;
    if (d->transparent)
        BLI_TRY(read_transparent(d));
    else
        BLI_TRY(say(d, bli_png_read(d->png, d->info->channels, 8, d->out)));
    if (d->info->channels == 1 && d->wanted->channels == 3)
        bli_image_grey_to_rgb(d->out, (size_t)d->info->width * d->info->height, d->out);
    return BL_OK;
}

bl_status bli_png_decode(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info, uint8_t *out)
{
    decoder d = {.bytes = b, .wanted = wanted, .info = info, .out = out};
    bl_status s = decode(&d);
    bli_png_close(d.png);
    return s;
}
