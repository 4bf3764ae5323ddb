/* picture_png.c: a PNG through libpng.  As in TensorFlow, palettes become colours, 16 bits keep their upper eight, and
 * an alpha channel that is not asked for is dropped. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "tf/picture.h"

enum { CHUNK_BYTES = 1 << 22, CHUNKS = 64 };

typedef struct decoder {
    bl_context *ctx;
    const bli_picture_how *how;
    png_structp png;
    png_infop header;
    const uint8_t *data;
    size_t left;
    bli_picture *out;
    char words[128];
    jmp_buf jump;
} decoder;

static void on_error(png_structp png, png_const_charp words)
{
    decoder *d = png_get_error_ptr(png);
    snprintf(d->words, sizeof d->words, "%s", words);
    longjmp(d->jump, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t size)
{
    decoder *d = png_get_mem_ptr(png);
    return bli_alloc(d->ctx, size);
}

static void on_free(png_structp png, png_voidp p)
{
    decoder *d = png_get_mem_ptr(png);
    bli_free(d->ctx, p);
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    decoder *d = png_get_io_ptr(png);
    if (n > d->left)
        png_error(png, "truncated");
    memcpy(to, d->data, n);
    d->data += n;
    d->left -= n;
}

static bl_status read_header(decoder *d)
{
    d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, d, on_error, on_warning, d, on_malloc, on_free);
    d->header = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->header)
        return BL_NO_MEMORY;
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, BLI_PICTURE_MAX_SIDE, BLI_PICTURE_MAX_SIDE);
    png_set_chunk_malloc_max(d->png, CHUNK_BYTES);
    png_set_chunk_cache_max(d->png, CHUNKS);
    png_read_info(d->png, d->header);
    const int color = png_get_color_type(d->png, d->header);
    const bool grey = !(color & PNG_COLOR_MASK_COLOR);
    const int channels = d->how->channels ? d->how->channels : grey ? 1 : 3;
    if (channels == 1 && !grey)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "a picture in colour, and one channel is asked for");
    return bli_picture_start(d->ctx, d->how, png_get_image_height(d->png, d->header),
                             png_get_image_width(d->png, d->header), channels, d->out);
}

static bl_status read_pixels(decoder *d)
{
    png_set_expand(d->png);
    png_set_strip_16(d->png);
    png_set_strip_alpha(d->png);
    if (d->out->channels == 3)
        png_set_gray_to_rgb(d->png);
    const int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->header);
    const size_t stride = (size_t)d->out->width * (size_t)d->out->channels;
    if (png_get_rowbytes(d->png, d->header) != stride)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "rows of %zu bytes, expected %zu",
                        (size_t)png_get_rowbytes(d->png, d->header), stride);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < d->out->height; y++)
            png_read_row(d->png, d->out->pixels + (size_t)y * stride, NULL);
    png_read_end(d->png, NULL);
    return BL_OK;
}

static bl_status decode(decoder *d)
{
    if (setjmp(d->jump))
        return bli_fail(d->ctx, BL_BAD_FILE, "%s", d->words);
    BLI_TRY(read_header(d));
    return d->how->only_size ? BL_OK : read_pixels(d);
}

bl_status bli_picture_png(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    decoder *d = bli_alloc(ctx, sizeof *d);
    if (!d)
        return BL_NO_MEMORY;
    d->ctx = ctx;
    d->how = how;
    d->data = data;
    d->left = size;
    d->out = out;
    bl_status s = decode(d);
    if (d->png)
        png_destroy_read_struct(&d->png, d->header ? &d->header : NULL, NULL);
    bli_free(ctx, d);
    return s;
}
