/* image_files.h: small PNG and JPEG files for tests. */
#ifndef TESTS_IMAGE_FILES_H
#define TESTS_IMAGE_FILES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct png_recipe {
    int color; /* PNG_COLOR_TYPE_... */
    int depth; /* bits a channel (a palette's index) */
    bool interlaced;
    int transparent; /* grey, RGB: this grey value is transparent; palette: this index; -1: none */
} png_recipe;

/* samples: one byte each (two of equal value are written at depth 16), below 2^depth; a palette's entry i is
 * (i, 255 - i, 7 i mod 256). */
void put_png(const char *path, uint32_t width, uint32_t height, const png_recipe *r, const uint8_t *samples);

/* components 1, 3 (as given: no conversion, so flat blocks come back exactly) or 4 (CMYK). */
void put_jpeg(const char *path, uint32_t width, uint32_t height, int components, bool progressive,
              const uint8_t *samples);

#endif
