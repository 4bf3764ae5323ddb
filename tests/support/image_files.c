/* image_files.c: small PNG and JPEG files for tests. */
#include "support/image_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

static int channels_of(int color)
{
    return color == PNG_COLOR_TYPE_RGB ? 3 : color == PNG_COLOR_TYPE_RGBA ? 4 : color == PNG_COLOR_TYPE_GA ? 2 : 1;
}

static void put_palette(png_structp png, png_infop info, const png_recipe *r)
{
    png_color palette[256];
    png_byte alpha[256];
    int entries = 1 << r->depth;
    for (int i = 0; i < entries; i++) {
        palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(7 * i)};
        alpha[i] = i == r->transparent ? 0 : 255;
    }
    png_set_PLTE(png, info, palette, entries);
    if (r->transparent >= 0)
        png_set_tRNS(png, info, alpha, entries, NULL);
}

void put_png(const char *path, uint32_t width, uint32_t height, const png_recipe *r, const uint8_t *samples)
{
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, width, height, r->depth, r->color, r->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (r->color == PNG_COLOR_TYPE_PALETTE)
        put_palette(png, info, r);
    else if (r->transparent >= 0) {
        png_uint_16 v = (png_uint_16)r->transparent;
        png_set_tRNS(png, info, NULL, 0, &(png_color_16){0, v, v, v, v});
    }
    png_write_info(png, info);
    if (r->depth < 8)
        png_set_packing(png);
    size_t stride = width * (size_t)channels_of(r->color), wide = r->depth == 16 ? 2 : 1;
    png_bytep *rows = malloc(height * sizeof *rows);
    png_bytep bytes = malloc(stride * height * wide);
    for (size_t i = 0; i < stride * height * wide; i++)
        bytes[i] = samples[i / wide];
    for (uint32_t y = 0; y < height; y++)
        rows[y] = bytes + y * stride * wide;
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(rows);
    free(bytes);
    fclose(f);
}

void put_jpeg(const char *path, uint32_t width, uint32_t height, int components, bool progressive,
              const uint8_t *samples)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    J_COLOR_SPACE space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    FILE *f = fopen(path, "wb");
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, f);
    c.image_width = width;
    c.image_height = height;
    c.input_components = components;
    c.in_color_space = space;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, space);
    jpeg_set_quality(&c, 100, TRUE);
    if (progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    for (uint32_t y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(samples + y * (size_t)width * (size_t)components);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    fclose(f);
}
