/* png.c: one PNG through libpng.
 *
 * libpng reports errors by a jump.  All that must survive it lives in one struct outside of the function that is
 * jumped over; its memory is the context's.
 */
#include "base/png.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 22, CHUNKS = 128 };

struct bli_png {
    bl_context *ctx;
    bli_png_source from;
    bli_png_info info;
    png_structp png;
    png_infop header;
    bool no_memory;
    char words[160];
    jmp_buf jump;
};

/* ---- what libpng calls --------------------------------------------------------------------------------------- */
static void on_error(png_structp png, png_const_charp words)
{
    bli_png *p = png_get_error_ptr(png);
    snprintf(p->words, sizeof p->words, "%s", words);
    longjmp(p->jump, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t size)
{
    bli_png *p = png_get_mem_ptr(png);
    void *block = bli_alloc(p->ctx, size);
    p->no_memory = p->no_memory || !block;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    bli_png *p = png_get_mem_ptr(png);
    bli_free(p->ctx, block);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    bli_png *p = png_get_io_ptr(png);
    if (p->from.take(p->from.user, out, n) < n)
        png_error(png, "truncated");
}

/* ---- header -------------------------------------------------------------------------------------------------- */
static bl_status jumped(const bli_png *p)
{
    return p->no_memory ? BL_NO_MEMORY : bli_fail(p->ctx, BL_BAD_FILE, "%s", p->words);
}

static bl_status read_header(bli_png *p)
{
    if (setjmp(p->jump))
        return jumped(p);
    p->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, p, on_error, on_warning, p, on_malloc, on_free);
    p->header = p->png ? png_create_info_struct(p->png) : NULL;
    if (!p->header)
        return BL_NO_MEMORY;
    png_set_read_fn(p->png, p, on_read);
    png_set_user_limits(p->png, p->from.max_side, p->from.max_side);
    png_set_chunk_malloc_max(p->png, CHUNK_BYTES);
    png_set_chunk_cache_max(p->png, CHUNKS);
    png_read_info(p->png, p->header);
    const int color = png_get_color_type(p->png, p->header);
    p->info = (bli_png_info){
        .width = png_get_image_width(p->png, p->header),
        .height = png_get_image_height(p->png, p->header),
        .bits = png_get_bit_depth(p->png, p->header),
        .color = color & PNG_COLOR_MASK_COLOR,
        .palette = color == PNG_COLOR_TYPE_PALETTE,
        .alpha = color & PNG_COLOR_MASK_ALPHA,
        .see_thru = png_get_valid(p->png, p->header, PNG_INFO_tRNS) != 0,
    };
    return p->no_memory ? BL_NO_MEMORY : BL_OK; /* libpng goes on without what it could not have */
}

bl_status bli_png_open(bl_context *ctx, const bli_png_source *from, bli_png **out, bli_png_info *info)
{
    *out = NULL;
    bli_png *p = bli_alloc(ctx, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    p->ctx = ctx;
    p->from = *from;
    bl_status s = read_header(p);
    if (s != BL_OK) {
        bli_png_close(p);
        return s;
    }
    *info = p->info;
    *out = p;
    return BL_OK;
}

void bli_png_close(bli_png *p)
{
    if (!p)
        return;
    if (p->png)
        png_destroy_read_struct(&p->png, p->header ? &p->header : NULL, NULL);
    bli_free(p->ctx, p);
}

/* ---- pixels -------------------------------------------------------------------------------------------------- */
static void set_alpha(bli_png *p, bool wanted)
{
    if (!wanted) {
        png_set_strip_alpha(p->png);
    } else if (!p->info.alpha) {
        if (p->info.see_thru)
            png_set_tRNS_to_alpha(p->png);
        else
            png_set_add_alpha(p->png, (1u << p->info.bits) - 1, PNG_FILLER_AFTER);
    }
}

static void set_form(bli_png *p, int channels, int bits)
{
    set_alpha(p, channels % 2 == 0);
    if (p->info.bits == 16 && bits == 8)
        png_set_strip_16(p->png);
    if (p->info.palette)
        png_set_palette_to_rgb(p->png);
    if (!p->info.color && p->info.bits < 8)
        png_set_expand_gray_1_2_4_to_8(p->png);
    if (channels < 3 && p->info.color)
        png_set_rgb_to_gray(p->png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
    if (channels >= 3 && !p->info.color)
        png_set_gray_to_rgb(p->png);
    if (bits == 16) /* a file has the upper byte first */
        png_set_swap(p->png);
}

static bl_status read_rows(bli_png *p, int channels, int bits, uint8_t *pixels)
{
    if (setjmp(p->jump))
        return jumped(p);
    set_form(p, channels, bits);
    const int passes = png_set_interlace_handling(p->png);
    png_read_update_info(p->png, p->header);
    const size_t row = (size_t)p->info.width * (size_t)channels * (p->info.bits == 16 && bits == 16 ? 2 : 1);
    const size_t stride = (size_t)p->info.width * (size_t)channels * (bits == 16 ? 2 : 1);
    if (png_get_rowbytes(p->png, p->header) != row)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "rows of %zu bytes, expected %zu",
                        (size_t)png_get_rowbytes(p->png, p->header), row);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < p->info.height; y++)
            png_read_row(p->png, pixels + y * stride, NULL);
    png_read_end(p->png, NULL);
    return p->no_memory ? BL_NO_MEMORY : BL_OK;
}

/* A row of bytes at the front of its row of uint16. */
static void widen(uint8_t *row, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        const uint16_t v = (uint16_t)(row[i] * 257u);
        memcpy(row + 2 * i, &v, sizeof v);
    }
}

bl_status bli_png_read(bli_png *p, int channels, int bits, void *pixels)
{
    const size_t count = (size_t)p->info.width * (size_t)channels;
    BLI_TRY(read_rows(p, channels, bits, pixels));
    for (size_t y = 0; bits == 16 && p->info.bits < 16 && y < p->info.height; y++)
        widen((uint8_t *)pixels + y * count * 2, count);
    return BL_OK;
}
