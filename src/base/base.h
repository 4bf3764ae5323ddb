/* base.h (internal): memory, arenas, messages, growing buffers.
 *
 * Three lifetimes only: context, object (an arena), scratch.  Every byte of ours comes from the context's allocator
 * through the functions below, so that a test can make each allocation fail in turn.
 */
#ifndef BLI_BASE_H
#define BLI_BASE_H

#include <stdarg.h>

#include "bitlathe/base.h"

#define BLI_ALIGN 64 /* every block is aligned for the widest vector load */

/* ---- early return ------------------------------------------------------------------------------------------- */
#define BLI_TRY(call)                                                                                                  \
    do {                                                                                                               \
        bl_status bli_try_s = (call);                                                                                  \
        if (bli_try_s != BL_OK)                                                                                        \
            return bli_try_s;                                                                                          \
    } while (0)
#define BLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Whether costly checks of our own work run too (CMake's Debug builds). */
#ifdef BITLATHE_DEBUG
enum { bli_debug_build = 1 };
#else
enum { bli_debug_build = 0 };
#endif

/* ---- messages ----------------------------------------------------------------------------------------------- */
/* Sets the message and returns status: return bli_fail(ctx, BL_BAD_FILE, "magic: %02x", b).  May be called from
 * worker threads: the first message of a call wins. */
bl_status bli_fail(bl_context *ctx, bl_status status, const char *fmt, ...) BL_PRINTF(3, 4);
/* Puts "prefix: " in front of the message unless status is BL_OK; returns status. */
bl_status bli_within(bl_context *ctx, bl_status status, const char *fmt, ...) BL_PRINTF(3, 4);
void bli_log(bl_context *ctx, bl_log_level level, const char *fmt, ...) BL_PRINTF(3, 4);
bool bli_interrupted(const bl_context *ctx);
void bli_interrupt_clear(bl_context *ctx); /* by the long call that returns BL_INTERRUPTED */

/* ---- memory ------------------------------------------------------------------------------------------------- */
/* Zeroed, BLI_ALIGN-aligned; NULL with the message set (NO_MEMORY) on failure.  Size 0 gives a valid block. */
BL_MUST_CHECK void *bli_alloc(bl_context *ctx, size_t size);
/* count * size with the overflow checked. */
BL_MUST_CHECK void *bli_alloc_array(bl_context *ctx, size_t count, size_t size);
void bli_free(bl_context *ctx, void *ptr); /* NULL is fine */

/* An arena is one object's memory: allocate, never free, drop all at once. */
typedef struct bli_arena bli_arena;
BL_MUST_CHECK bl_status bli_arena_create(bl_context *ctx, bli_arena **out);
void bli_arena_destroy(bli_arena *arena); /* NULL is fine */
/* Zeroed, BLI_ALIGN-aligned when size >= BLI_ALIGN, else 16; NULL with the message set. */
BL_MUST_CHECK void *bli_arena_alloc(bli_arena *arena, size_t size);
BL_MUST_CHECK void *bli_arena_array(bli_arena *arena, size_t count, size_t size);
BL_MUST_CHECK char *bli_arena_strdup(bli_arena *arena, const char *s);
bl_context *bli_arena_context(const bli_arena *arena);

/* ---- growing buffer ----------------------------------------------------------------------------------------- */
/* data is always NUL-terminated past size.  A failed append sets the message and leaves the buffer as it was;
 * passing the ceiling is BL_LIMIT. */
typedef struct bli_buf {
    bl_context *ctx;
    char *data;
    size_t size, capacity, ceiling;
} bli_buf;
void bli_buf_init(bli_buf *b, bl_context *ctx, size_t ceiling);
void bli_buf_free(bli_buf *b);
BL_MUST_CHECK bl_status bli_buf_append(bli_buf *b, const void *data, size_t size);
BL_MUST_CHECK bl_status bli_buf_printf(bli_buf *b, const char *fmt, ...) BL_PRINTF(2, 3);

/* ---- checked sizes ------------------------------------------------------------------------------------------ */
static inline bool bli_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool bli_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* ---- names -------------------------------------------------------------------------------------------------- */
/* The candidate with the smallest edit distance to name, or NULL when none is close (more than a third away). */
const char *bli_nearest(const char *name, const char *const *candidates, size_t count);
/* Fails with BL_BAD_VALUE: "unknown optimizer 'adm' (did you mean 'adam'?)", or with all of them where none is near and
 * they are few. */
bl_status bli_unknown_name(bl_context *ctx, const char *what, const char *name, const char *const *candidates,
                           size_t count);
/* FNV-1a, 64 bits. */
uint64_t bli_hash(const void *data, size_t size);
uint64_t bli_hash_str(const char *s);

#endif
