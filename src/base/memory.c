/* memory.c: aligned, zeroed blocks from the context's allocator.
 *
 * In front of each block lies a header with what the allocator must be told to free it, so that callers need not
 * remember sizes:
 *
 *     start ... slack ... | header | block, BLI_ALIGN-aligned
 *
 * Deliberately no resize: what grows is a bli_buf, what lives together is an arena.
 */
#include <string.h>

#include "base/context.h"

typedef struct header {
    void *start;
    size_t total;
} header;

enum { OVERHEAD = sizeof(header) + BLI_ALIGN - 1 };

static header *header_of(void *block)
{
    return (header *)block - 1;
}

static void *resize_locked(bl_context *ctx, void *ptr, size_t old_size, size_t new_size)
{
    pthread_mutex_lock(&ctx->lock);
    void *p = ctx->allocator.resize(ctx->allocator.user, ptr, old_size, new_size);
    pthread_mutex_unlock(&ctx->lock);
    return p;
}

static void *no_memory(bl_context *ctx, size_t size)
{
    (void)bli_fail(ctx, BL_NO_MEMORY, "out of memory: %zu bytes", size);
    return NULL;
}

void *bli_alloc(bl_context *ctx, size_t size)
{
    size_t total;
    if (!bli_add_size(size, OVERHEAD, &total) || total > PTRDIFF_MAX)
        return no_memory(ctx, size);
    char *start = resize_locked(ctx, NULL, 0, total);
    if (start == NULL)
        return no_memory(ctx, size);
    size_t past = ((uintptr_t)start + OVERHEAD) % BLI_ALIGN;
    char *block = start + OVERHEAD - past;
    *header_of(block) = (header){start, total};
    memset(block, 0, size);
    return block;
}

void *bli_alloc_array(bl_context *ctx, size_t count, size_t size)
{
    size_t total;
    if (!bli_mul_size(count, size, &total))
        return no_memory(ctx, SIZE_MAX);
    return bli_alloc(ctx, total);
}

void bli_free(bl_context *ctx, void *ptr)
{
    if (ptr == NULL)
        return;
    header h = *header_of(ptr);
    resize_locked(ctx, h.start, h.total, 0);
}
