/* image.c: which decoder an image goes to, by its first bytes, and the limits that hold for all. */
#include "train/data/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *magic;
    size_t size;
    const char *name; /* of a format that is not read */
    bl_status (*decode)(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info, uint8_t *out);
} formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, NULL, bli_png_decode},
    {"\xff\xd8\xff", 3, NULL, bli_jpeg_decode},
    {"GIF8", 4, "a GIF", NULL},
    {"BM", 2, "a BMP", NULL},
    {"RIFF", 4, "a WebP", NULL},
    {"II*", 4, "a TIFF", NULL},
    {"MM\0*", 4, "a TIFF", NULL},
    {"P5", 2, "a PGM", NULL},
    {"P6", 2, "a PPM", NULL},
};

size_t bli_image_take(bli_image_bytes *b, void *out, size_t n)
{
    if (b->fd < 0) {
        size_t left = b->size - b->pos, got = n < left ? n : left;
        if (got > 0)
            memcpy(out, b->data + b->pos, got);
        b->pos += got;
        return got;
    }
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(b->fd, (char *)out + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            b->error = errno;
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    return got;
}

void bli_image_grey_to_rgb(const uint8_t *grey, size_t pixels, uint8_t *rgb)
{
    for (size_t i = pixels; i-- > 0;)
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
}

bl_status bli_image_check(const bli_image_bytes *b, const bli_image_info *info, const bli_image_info *wanted)
{
    size_t pixels = (size_t)info->width * info->height;
    if (info->width > BLI_IMAGE_MAX_SIDE || info->height > BLI_IMAGE_MAX_SIDE ||
        pixels * (size_t)info->channels > BLI_IMAGE_MAX_BYTES)
        return bli_fail(b->ctx, BL_LIMIT, "%s: is %u x %u pixels; the limits are %d a side and %d bytes in all",
                        b->path, info->width, info->height, BLI_IMAGE_MAX_SIDE, BLI_IMAGE_MAX_BYTES);
    if (!wanted)
        return BL_OK;
    if (info->width != wanted->width || info->height != wanted->height)
        return bli_fail(b->ctx, BL_BAD_FILE, "%s: is %u x %u pixels; expected %u x %u as the first image", b->path,
                        info->width, info->height, wanted->width, wanted->height);
    if (info->channels > wanted->channels)
        return bli_fail(b->ctx, BL_BAD_FILE, "%s: has %d channels; expected %d", b->path, info->channels,
                        wanted->channels);
    return BL_OK;
}

static bl_status refuse(bli_image_bytes *b, const char *name)
{
    if (b->error)
        return bli_fail(b->ctx, BL_IO, "%s: cannot read: %s", b->path, strerror(b->error));
    if (name)
        return bli_fail(b->ctx, BL_UNSUPPORTED, "%s: is %s; only PNG and JPEG are read", b->path, name);
    return bli_fail(b->ctx, BL_BAD_FILE, "%s: is neither PNG nor JPEG", b->path);
}

/* Back to the first byte; the decoders want the magic too. */
static bl_status rewind_bytes(bli_image_bytes *b)
{
    b->pos = 0;
    if (b->fd >= 0 && lseek(b->fd, 0, SEEK_SET) != 0)
        return bli_fail(b->ctx, BL_IO, "%s: cannot read: %s", b->path, strerror(errno));
    return BL_OK;
}

static bl_status decode_bytes(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info, uint8_t *out)
{
    uint8_t head[8] = {0};
    size_t got = bli_image_take(b, head, sizeof head);
    for (size_t i = 0; i < BLI_COUNT(formats); i++) {
        if (got < formats[i].size || memcmp(head, formats[i].magic, formats[i].size) != 0)
            continue;
        if (!formats[i].decode)
            return refuse(b, formats[i].name);
        BLI_TRY(rewind_bytes(b));
        return formats[i].decode(b, wanted, info, out);
    }
    return refuse(b, NULL);
}

bl_status bli_image_read(bl_context *ctx, const char *path, const bli_image_info *wanted, bli_image_info *info,
                         uint8_t *out)
{
    bli_image_bytes b = {.ctx = ctx, .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (b.fd < 0)
        return bli_fail(ctx, errno == ENOENT ? BL_NOT_FOUND : BL_IO, "%s: cannot open: %s", path, strerror(errno));
    bl_status s = decode_bytes(&b, wanted, info, out);
    close(b.fd);
    return s;
}
