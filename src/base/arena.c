/* arena.c: one object's memory, handed out from chained chunks and dropped all at once.
 *
 * Chunks double from 4 KiB to 1 MiB.  A request that does not fit gets a new chunk, of its own size if it is large; the
 * rest of the old chunk is given up.
 */
#include <string.h>

#include "base/base.h"

enum { FIRST_CHUNK = 4096, LAST_CHUNK = 1 << 20 };

typedef struct chunk {
    struct chunk *next;
    size_t capacity, used; /* of the bytes that follow at DATA_OFFSET */
} chunk;

enum { DATA_OFFSET = BLI_ALIGN };
_Static_assert(sizeof(chunk) <= DATA_OFFSET, "a chunk's header lies in front of its data");

struct bli_arena {
    bl_context *ctx;
    chunk *chunks; /* the first is the one in use */
    size_t next_capacity;
};

bl_status bli_arena_create(bl_context *ctx, bli_arena **out)
{
    *out = NULL;
    bli_arena *arena = bli_alloc(ctx, sizeof *arena);
    if (arena == NULL)
        return BL_NO_MEMORY;
    *arena = (bli_arena){ctx, NULL, FIRST_CHUNK};
    *out = arena;
    return BL_OK;
}

void bli_arena_destroy(bli_arena *arena)
{
    if (arena == NULL)
        return;
    for (chunk *c = arena->chunks, *next; c != NULL; c = next) {
        next = c->next;
        bli_free(arena->ctx, c);
    }
    bli_free(arena->ctx, arena);
}

static void *take(chunk *c, size_t size)
{
    if (c == NULL)
        return NULL;
    size_t align = size >= BLI_ALIGN ? BLI_ALIGN : 16;
    size_t from = (c->used + align - 1) / align * align;
    if (from > c->capacity || size > c->capacity - from)
        return NULL;
    c->used = from + size;
    return (char *)c + DATA_OFFSET + from;
}

static chunk *add_chunk(bli_arena *arena, size_t capacity)
{
    size_t total;
    if (!bli_add_size(capacity, DATA_OFFSET, &total))
        total = SIZE_MAX; /* cannot succeed, and says so */
    chunk *c = bli_alloc(arena->ctx, total);
    if (c == NULL)
        return NULL;
    *c = (chunk){arena->chunks, capacity, 0};
    arena->chunks = c;
    return c;
}

void *bli_arena_alloc(bli_arena *arena, size_t size)
{
    void *p = take(arena->chunks, size);
    if (p != NULL)
        return p;
    size_t capacity = size > arena->next_capacity ? size : arena->next_capacity;
    chunk *c = add_chunk(arena, capacity);
    if (c == NULL)
        return NULL;
    if (arena->next_capacity < LAST_CHUNK)
        arena->next_capacity *= 2;
    return take(c, size);
}

void *bli_arena_array(bli_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!bli_mul_size(count, size, &total))
        total = SIZE_MAX;
    return bli_arena_alloc(arena, total);
}

char *bli_arena_strdup(bli_arena *arena, const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = bli_arena_alloc(arena, size);
    if (copy != NULL)
        memcpy(copy, s, size);
    return copy;
}

bl_context *bli_arena_context(const bli_arena *arena)
{
    return arena->ctx;
}
