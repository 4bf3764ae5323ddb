/* png.c: one PNG through libpng.
 *
 * libpng reports errors by a jump.  All that must survive it lives in one struct outside of the function that is
 * jumped over; its memory is the context's.
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "train/data/image.h"

enum { CHUNK_BYTES = 1 << 20, CHUNKS = 128, SIGNATURE = 8 };

typedef struct decoder {
    bli_image_bytes *bytes;
    const bli_image_info *wanted;
    bli_image_info *info;
    uint8_t *out;
    png_structp png;
    png_infop header;
    uint8_t *pixels; /* as libpng gives them, `channels` a pixel */
    size_t channels;
    bl_status status;
    bool no_memory;
    char words[160];
    jmp_buf jump;
} decoder;

/* ---- what libpng calls --------------------------------------------------------------------------------------- */
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
    void *p = bli_alloc(d->bytes->ctx, size);
    d->no_memory = d->no_memory || !p;
    return p;
}

static void on_free(png_structp png, png_voidp p)
{
    decoder *d = png_get_mem_ptr(png);
    bli_free(d->bytes->ctx, p);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    decoder *d = png_get_io_ptr(png);
    if (bli_image_take(d->bytes, out, n) < n)
        png_error(png, "truncated");
}

/* ---- steps --------------------------------------------------------------------------------------------------- */
static bl_status create(decoder *d)
{
    d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, d, on_error, on_warning, d, on_malloc, on_free);
    d->header = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->header)
        return BL_NO_MEMORY;
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, BLI_IMAGE_MAX_SIDE, BLI_IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(d->png, CHUNK_BYTES);
    png_set_chunk_cache_max(d->png, CHUNKS);
    return BL_OK;
}

static bl_status read_header(decoder *d)
{
    png_read_info(d->png, d->header);
    int color = png_get_color_type(d->png, d->header);
    d->info->width = png_get_image_width(d->png, d->header);
    d->info->height = png_get_image_height(d->png, d->header);
    d->info->channels = color & PNG_COLOR_MASK_COLOR ? 3 : 1;
    if (png_get_bit_depth(d->png, d->header) == 16)
        return bli_fail(d->bytes->ctx, BL_UNSUPPORTED,
                        "%s: has 16 bits a channel; convert it to 8, or keep the values in an npy of uint16",
                        d->bytes->path);
    return bli_image_check(d->bytes, d->info, d->wanted);
}

static bl_status read_pixels(decoder *d)
{
    png_set_expand(d->png); /* palettes to RGB, few bits to eight, a transparent colour to alpha */
    int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->header);
    size_t stride = png_get_rowbytes(d->png, d->header);
    d->channels = png_get_channels(d->png, d->header);
    d->pixels = bli_alloc_array(d->bytes->ctx, stride, d->info->height);
    if (!d->pixels)
        return BL_NO_MEMORY;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < d->info->height; y++)
            png_read_row(d->png, d->pixels + y * stride, NULL);
    png_read_end(d->png, NULL);
    return BL_OK;
}

static bl_status check_opaque(const decoder *d)
{
    size_t pixels = (size_t)d->info->width * d->info->height;
    for (size_t i = 0; d->channels % 2 == 0 && i < pixels; i++) {
        unsigned alpha = d->pixels[i * d->channels + d->channels - 1];
        if (alpha != 255)
            return bli_fail(d->bytes->ctx, BL_UNSUPPORTED,
                            "%s: pixel (%zu, %zu) is transparent (alpha %u of 255); flatten the image first",
                            d->bytes->path, i % d->info->width, i / d->info->width, alpha);
    }
    return BL_OK;
}

static void put_pixels(const decoder *d)
{
    size_t pixels = (size_t)d->info->width * d->info->height, kept = d->channels < 3 ? 1 : 3;
    for (size_t i = 0; i < pixels; i++)
        memcpy(d->out + i * kept, d->pixels + i * d->channels, kept);
    if (kept == 1 && d->wanted->channels == 3)
        bli_image_grey_to_rgb(d->out, pixels, d->out);
}

static bl_status decode(decoder *d)
{
    if (setjmp(d->jump))
        return d->no_memory ? BL_NO_MEMORY
                            : bli_fail(d->bytes->ctx, BL_BAD_FILE, "%s: PNG: %s", d->bytes->path, d->words);
    BLI_TRY(create(d));
    BLI_TRY(read_header(d));
    if (!d->out)
        return BL_OK;
    BLI_TRY(read_pixels(d));
    BLI_TRY(check_opaque(d));
    put_pixels(d);
    return BL_OK;
}

bl_status bli_png_decode(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info, uint8_t *out)
{
    decoder *d = bli_alloc(b->ctx, sizeof *d);
    if (!d)
        return BL_NO_MEMORY;
    *d = (decoder){.bytes = b, .wanted = wanted, .info = info, .out = out};
    bl_status s = decode(d);
    if (s == BL_OK && d->no_memory) /* libpng went on without what it could not have */
        s = BL_NO_MEMORY;
    png_destroy_read_struct(d->png ? &d->png : NULL, d->header ? &d->header : NULL, NULL);
    bli_free(b->ctx, d->pixels);
    bli_free(b->ctx, d);
    return s;
}
