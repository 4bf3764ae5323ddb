/* picture.h: a picture in memory as bytes [height, width, channels], decoded as TensorFlow's operators decode it.
 *
 * Sizes are bounded before memory is taken.  Damage is refused, also where the decoders would only warn.
 */
#ifndef BLI_TF_PICTURE_H
#define BLI_TF_PICTURE_H

#include "base/base.h"

enum { BLI_PICTURE_MAX_SIDE = 16384, BLI_PICTURE_MAX_BYTES = 1 << 28 };

typedef struct bli_picture {
    int64_t height, width;
    int channels;
    uint8_t *pixels; /* of the context; NULL when only the size was asked for */
} bli_picture;

typedef enum bli_picture_kind { BLI_PICTURE_JPEG, BLI_PICTURE_PNG, BLI_PICTURE_GIF, BLI_PICTURE_BMP } bli_picture_kind;

/* By the end of a file's name, as label_image goes: ".png", ".gif", ".bmp"; everything else is JPEG. */
bli_picture_kind bli_picture_kind_of(const char *path);

typedef struct bli_picture_how {
    bli_picture_kind kind;
    int channels;  /* 0: as the file has them (BMP: always); 1 or 3 */
    bool slow_dct; /* JPEG: the accurate integer transform in place of the fast one */
    bool only_size;
} bli_picture_how;
BL_MUST_CHECK bl_status bli_picture_decode(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                           bli_picture *out);
void bli_picture_free(bl_context *ctx, bli_picture *p);

/* Of the decoders: checks the size and makes room for the pixels (unless only the size is wanted). */
BL_MUST_CHECK bl_status bli_picture_start(bl_context *ctx, const bli_picture_how *how, int64_t height, int64_t width,
                                          int channels, bli_picture *out);
BL_MUST_CHECK bl_status bli_picture_jpeg(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                         bli_picture *out);
BL_MUST_CHECK bl_status bli_picture_png(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                        bli_picture *out);
BL_MUST_CHECK bl_status bli_picture_gif(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                        bli_picture *out);
BL_MUST_CHECK bl_status bli_picture_bmp(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                        bli_picture *out);

#endif
