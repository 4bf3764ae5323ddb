/* png.h (internal): one PNG through libpng: its header first, then its pixels in the form that is asked for.
 *
 * Bytes come from a callback, memory from the context; sides and chunks are bounded before memory is taken.  Damage is
 * BL_BAD_FILE, with libpng's words.  How forms are converted into each other is TensorFlow's DecodePng.
 */
#ifndef BLI_BASE_PNG_H
#define BLI_BASE_PNG_H

#include "base/base.h"

typedef struct bli_png_source {
    size_t (*take)(void *user, void *out, size_t n); /* fewer than n bytes: there are no more */
    void *user;
    uint32_t max_side;
} bli_png_source;

typedef struct bli_png_info {
    uint32_t width, height;
    int bits;      /* a channel, as stored: 1, 2, 4, 8, 16 */
    bool color;    /* in colours or of a palette; else grey */
    bool palette;  /* its entries have 8 bits */
    bool alpha;    /* has a channel of it */
    bool see_thru; /* one colour, or entries of the palette, are transparent */
} bli_png_info;

typedef struct bli_png bli_png;
BL_MUST_CHECK bl_status bli_png_open(bl_context *ctx, const bli_png_source *from, bli_png **out, bli_png_info *info);
/* height * width * channels bytes (bits 8), or uint16 (bits 16).  Channels 1: grey, 2: with alpha, 3: RGB, 4: RGBA.
 * Alpha that is not asked for is dropped; alpha that is not there is 2^stored bits - 1.  16 bits keep their upper
 * eight, eight become sixteen as v * 257.  Once. */
BL_MUST_CHECK bl_status bli_png_read(bli_png *p, int channels, int bits, void *pixels);
void bli_png_close(bli_png *p); /* NULL is fine */

#endif
