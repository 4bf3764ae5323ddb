/* memory.c: each block is preceded by its own size, to check what the library says when it frees it. */
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRONT = 64 };

static void *release(counting_allocator *c, char *block, size_t size)
{
    if (block == NULL)
        return NULL;
    size_t made;
    memcpy(&made, block - FRONT, sizeof made);
    c->wrong_size |= made != size;
    c->live_blocks--;
    c->live_bytes -= made;
    free(block - FRONT);
    return NULL;
}

static void *resize(void *user, void *ptr, size_t old_size, size_t new_size)
{
    counting_allocator *c = user;
    if (new_size == 0)
        return release(c, ptr, old_size);
    if (++c->calls == c->fail_at || new_size > SIZE_MAX - FRONT)
        return NULL;
    char *start = malloc(new_size + FRONT);
    if (start == NULL)
        return NULL;
    memcpy(start, &new_size, sizeof new_size);
    memset(start + FRONT, 0xa5, new_size);
    if (ptr != NULL) {
        memcpy(start + FRONT, ptr, old_size < new_size ? old_size : new_size);
        release(c, ptr, old_size);
    }
    c->live_blocks++;
    c->live_bytes += new_size;
    c->peak_bytes = c->live_bytes > c->peak_bytes ? c->live_bytes : c->peak_bytes;
    return start + FRONT;
}

bl_allocator counting_allocator_of(counting_allocator *c)
{
    return (bl_allocator){resize, c};
}

/* One run with the fail_at-th allocation failing; true when it succeeded. */
static bool run_once(memory_fn fn, void *arg, counting_allocator *c)
{
    bl_allocator a = counting_allocator_of(c);
    bl_context *ctx;
    bl_status s = bl_context_create(&a, &ctx);
    if (s == BL_OK)
        s = fn(ctx, arg);
    if (s != BL_OK && s != BL_NO_MEMORY)
        print_error("allocation %ld: %s: %s\n", c->fail_at, bl_status_name(s), bl_context_message(ctx));
    assert_true(s == BL_OK || s == BL_NO_MEMORY);
    if (s == BL_NO_MEMORY && ctx != NULL)
        assert_string_not_equal(bl_context_message(ctx), "");
    bl_context_destroy(ctx);
    if (c->live_blocks != 0)
        print_error("allocation %ld fails: %ld blocks are left\n", c->fail_at, c->live_blocks);
    assert_int_equal(c->live_blocks, 0);
    assert_false(c->wrong_size);
    return s == BL_OK;
}

long fail_each_allocation(memory_fn fn, void *arg)
{
    for (long k = 1;; k++) {
        counting_allocator c = {.fail_at = k};
        if (!run_once(fn, arg, &c))
            continue;
        assert_true(c.calls < k); /* a failed allocation was not swallowed */
        return c.calls;
    }
}
