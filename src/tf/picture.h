/* picture.h: pictures in memory as bytes [frames, height, width, channels], decoded as TensorFlow's operators decode
 * them: which decoder it is, the first bytes say; which of them an operator takes, TensorFlow's rules.
 *
 * Sizes are bounded before memory is taken, those of PNG and GIF also by the bytes that are there.  Damage is refused,
 * also where the decoders would only warn.
 */
#ifndef BLI_TF_PICTURE_H
#define BLI_TF_PICTURE_H

#include "base/base.h"

enum { BLI_PICTURE_MAX_SIDE = 16384, BLI_PICTURE_MAX_BYTES = 1 << 28 };

typedef struct bli_picture {
    int64_t frames, height, width;
    int channels;
    void *pixels; /* uint8 or uint16; of the context; NULL when only the size was asked for */
} bli_picture;

/* The operators: DecodeJpeg, DecodePng (both take JPEG, PNG and a GIF of one frame), DecodeGif (these, and all frames),
 * DecodeBmp, DecodeImage. */
typedef enum bli_picture_op {
    BLI_PICTURE_JPEG,
    BLI_PICTURE_PNG,
    BLI_PICTURE_GIF,
    BLI_PICTURE_BMP,
    BLI_PICTURE_ANY
} bli_picture_op;

/* By the end of a file's name, as label_image goes: ".png", ".gif", ".bmp"; everything else is JPEG. */
bli_picture_op bli_picture_op_of(const char *path);

typedef struct bli_picture_how {
    bli_picture_op op;
    int channels;    /* 0: as the file has them; 1, 3, 4 where the format can */
    int bits;        /* 0, 8: bytes; 16: uint16, a PNG's own (v * 257), v * 256 of the others */
    bool only_size;  /* no pixels */
    bool first_only; /* a GIF's first frame */
    /* JPEG */
    bool slow_dct; /* the accurate integer transform in place of the fast one */
    bool rough;    /* colours are repeated, in place of smooth ("fancy") upsampling */
    int ratio;     /* 0, 1; 2, 4, 8: sides divided by it */
    bool crops;
    int64_t crop[4]; /* y, x, height, width */
} bli_picture_how;
BL_MUST_CHECK bl_status bli_picture_decode(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                           bli_picture *out);
void bli_picture_free(bl_context *ctx, bli_picture *p);

/* Of the decoders: checks out's size and makes room for the pixels (unless only the size is wanted).  A PNG has room
 * for uint16 when they are wanted, the others for bytes. */
BL_MUST_CHECK bl_status bli_picture_start(bl_context *ctx, const bli_picture_how *how, int bits, bli_picture *out);
/* Before that: whether `size` bytes can say so many pixels, `each` of them at most. */
BL_MUST_CHECK bl_status bli_picture_can_hold(bl_context *ctx, size_t size, int64_t each, const bli_picture *p);
typedef bl_status bli_picture_decoder(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size,
                                      bli_picture *out);
bli_picture_decoder bli_picture_jpeg, bli_picture_png, bli_picture_gif, bli_picture_bmp;

#endif
