/* image.h (internal): one PNG or JPEG image, from a file or from memory, as bytes [height, width, channels].
 *
 * Grey images have one channel, all others three.  An alpha channel must be opaque throughout (it is dropped then);
 * 16-bit, CMYK and other images that 8-bit grey or RGB cannot say exactly are refused by name.  Damage is refused too,
 * also where the decoders would only warn.
 */
#ifndef BLI_TRAIN_IMAGE_H
#define BLI_TRAIN_IMAGE_H

#include "base/base.h"

enum {
    BLI_IMAGE_MAX_SIDE = 16384,
    BLI_IMAGE_MAX_BYTES = 1 << 26, /* height * width * channels: what a small file may unpack to */
    BLI_IMAGE_BUFFER = 8192,
};

typedef struct bli_image_info {
    uint32_t width, height;
    int channels; /* 1 or 3 */
} bli_image_info;

/* Where the bytes of an image come from. */
typedef struct bli_image_bytes {
    bl_context *ctx;
    const char *path;
    int fd;              /* or -1: */
    const uint8_t *data; /* memory */
    size_t size, pos;    /* of the memory */
    int error;           /* errno of a failed read */
    uint8_t buffer[BLI_IMAGE_BUFFER];
} bli_image_bytes;

/* Up to n bytes; fewer only at the end or on an error. */
size_t bli_image_take(bli_image_bytes *b, void *out, size_t n);

/* Reads the header into *info; with out not NULL also the pixels, which must then be as *wanted says (a grey image
 * may become one of three equal channels). */
BL_MUST_CHECK bl_status bli_image_read(bl_context *ctx, const char *path, const bli_image_info *wanted,
                                       bli_image_info *info, uint8_t *out);

/* The decoders, called with the bytes before `head` taken. */
BL_MUST_CHECK bl_status bli_png_decode(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info,
                                       uint8_t *out);
BL_MUST_CHECK bl_status bli_jpeg_decode(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info,
                                        uint8_t *out);
/* Sides within limits, and as wanted (unless that is NULL). */
BL_MUST_CHECK bl_status bli_image_check(const bli_image_bytes *b, const bli_image_info *info,
                                        const bli_image_info *wanted);
/* bytes[i] of grey to three equal ones, from the end so that it may happen in place. */
void bli_image_grey_to_rgb(const uint8_t *grey, size_t pixels, uint8_t *rgb);

#endif
