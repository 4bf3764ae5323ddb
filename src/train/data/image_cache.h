/* image_cache.h (internal): images decoded when they are asked for, the latest kept. */
#ifndef BLI_TRAIN_IMAGE_CACHE_H
#define BLI_TRAIN_IMAGE_CACHE_H

#include "train/data/data.h"
#include "train/data/image.h"

typedef struct bli_image_file {
    const char *folder, *name;
    uint32_t class_number;
} bli_image_file;

typedef struct bli_image_cache bli_image_cache;

/* Keeps at most `budget` bytes of pixels, at least one image. */
BL_MUST_CHECK bl_status bli_image_cache_create(bl_context *ctx, const bli_image_file *files, const bli_image_info *info,
                                               size_t budget, size_t rows, bli_image_cache **out);
void bli_image_cache_destroy(bli_image_cache *c); /* NULL is fine */
/* Row `row` as floats; any thread. */
BL_MUST_CHECK bl_status bli_image_cache_read(bli_image_cache *c, uint32_t row, float *x);
/* One file, decoded as info says. */
BL_MUST_CHECK bl_status bli_image_file_read(bl_context *ctx, const bli_image_file *f, const bli_image_info *wanted,
                                            bli_image_info *info, uint8_t *out);

#endif
