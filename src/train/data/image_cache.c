/* image_cache.c: a bounded cache of decoded images.
 *
 * Row r may stand in one place only, slot r mod slots, and a slot is touched only under its lock; so what a reader sees
 * never depends on the others, and a row that was pushed out is simply decoded again.  Few locks serve many slots.
 */
#include "train/data/image_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { LOCKS = 64, PATH_SIZE = 4096 };

struct bli_image_cache {
    bl_context *ctx;
    const bli_image_file *files;
    bli_image_info info;
    size_t slots, bytes; /* of an image */
    uint64_t *held;      /* row + 1, or 0 */
    uint8_t *pixels;
    bli_gather_u8_fn *to_float;
    int locks;
    pthread_mutex_t lock[LOCKS];
};

bl_status bli_image_file_read(bl_context *ctx, const bli_image_file *f, const bli_image_info *wanted,
                              bli_image_info *info, uint8_t *out)
{
    char path[PATH_SIZE];
    int n = snprintf(path, sizeof path, "%s/%s", f->folder, f->name);
    if (n < 0 || (size_t)n >= sizeof path)
        return bli_fail(ctx, BL_LIMIT, "%s/%s: the path is longer than %d bytes", f->folder, f->name, PATH_SIZE - 1);
    return bli_image_read(ctx, path, wanted, info, out);
}

bl_status bli_image_cache_create(bl_context *ctx, const bli_image_file *files, const bli_image_info *info,
                                 size_t budget, size_t rows, bli_image_cache **out)
{
    *out = NULL;
    bli_image_cache *c = bli_alloc(ctx, sizeof *c);
    if (!c)
        return BL_NO_MEMORY;
    c->ctx = ctx;
    c->files = files;
    c->info = *info;
    c->bytes = (size_t)info->width * info->height * (size_t)info->channels;
    c->slots = budget / c->bytes < 1 ? 1 : budget / c->bytes > rows ? rows : budget / c->bytes;
    c->to_float = bli_block_make("", BL_U8, 0, c->bytes, NULL).gather;
    c->held = bli_alloc_array(ctx, c->slots, sizeof *c->held);
    c->pixels = c->held ? bli_alloc_array(ctx, c->slots, c->bytes) : NULL;
    while (c->pixels && c->locks < LOCKS && pthread_mutex_init(&c->lock[c->locks], NULL) == 0)
        c->locks++;
    if (c->locks < LOCKS) {
        bli_image_cache_destroy(c);
        return bli_fail(ctx, BL_NO_MEMORY, "out of memory: image cache");
    }
    *out = c;
    return BL_OK;
}

void bli_image_cache_destroy(bli_image_cache *c)
{
    if (!c)
        return;
    while (c->locks > 0)
        pthread_mutex_destroy(&c->lock[--c->locks]);
    bli_free(c->ctx, c->pixels);
    bli_free(c->ctx, c->held);
    bli_free(c->ctx, c);
}

static bl_status read_locked(bli_image_cache *c, uint32_t row, size_t slot, float *x)
{
    static const uint32_t first = 0;
    uint8_t *pixels = c->pixels + slot * c->bytes;
    if (c->held[slot] != (uint64_t)row + 1) {
        bli_image_info info;
        c->held[slot] = 0;
        BLI_TRY(bli_image_file_read(c->ctx, &c->files[row], &c->info, &info, pixels));
        c->held[slot] = (uint64_t)row + 1;
    }
    c->to_float(pixels, c->bytes, &first, 1, &bli_byte_identity, x);
    return BL_OK;
}

bl_status bli_image_cache_read(bli_image_cache *c, uint32_t row, float *x)
{
    size_t slot = row % c->slots;
    pthread_mutex_t *lock = &c->lock[slot % LOCKS];
    pthread_mutex_lock(lock);
    bl_status s = read_locked(c, row, slot, x);
    pthread_mutex_unlock(lock);
    return s;
}
