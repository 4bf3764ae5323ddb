/* context.c: contexts, their message and their log.
 *
 * The message is a fixed array, so that reporting a failure cannot fail.  Text that does not fit is cut at its end:
 * the outermost words, which name the file, survive.
 */
#include "base/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cpu.h"

/* Rows of a large data set are read in any order: on small pages each of them costs a walk through the page tables. */
static void *on_large_pages(void *ptr, size_t size)
{
#ifdef MADV_HUGEPAGE
    enum { LARGE_PAGE = 1 << 21, WORTH_IT = 1 << 23 };
    if (ptr != NULL && size >= WORTH_IT) {
        const size_t past = (uintptr_t)ptr % LARGE_PAGE, skip = past ? LARGE_PAGE - past : 0;
        (void)madvise((char *)ptr + skip, (size - skip) / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE); /* a wish */
    }
#else
    (void)size;
#endif
    return ptr;
}

static void *system_resize(void *user, void *ptr, size_t old_size, size_t new_size)
{
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return on_large_pages(realloc(ptr, new_size), new_size);
}

bl_status bl_context_create(const bl_allocator *allocator, bl_context **out)
{
    static const bl_allocator system = {system_resize, NULL};
    const bl_allocator *a = allocator != NULL ? allocator : &system;
    *out = NULL;
    bl_context *ctx = a->resize(a->user, NULL, 0, sizeof *ctx);
    if (ctx == NULL)
        return BL_NO_MEMORY;
    memset(ctx, 0, sizeof *ctx);
    if (pthread_mutex_init(&ctx->lock, NULL) != 0) {
        a->resize(a->user, ctx, sizeof *ctx, 0);
        return BL_NO_MEMORY;
    }
    ctx->allocator = *a;
    ctx->file_ops = bli_system_file_ops;
    ctx->threads = 1;
    atomic_init(&ctx->interrupted, false);
    *out = ctx;
    return BL_OK;
}

void bl_context_destroy(bl_context *ctx)
{
    if (ctx == NULL)
        return;
    bl_allocator a = ctx->allocator;
    pthread_mutex_destroy(&ctx->lock);
    a.resize(a.user, ctx, sizeof *ctx, 0);
}

const char *bl_context_message(const bl_context *ctx)
{
    return ctx->message;
}

void bl_context_set_log(bl_context *ctx, bl_log_fn fn, void *user)
{
    ctx->log = fn;
    ctx->log_user = user;
}

void bl_context_set_threads(bl_context *ctx, int threads)
{
    ctx->threads = threads < 0 ? 1 : threads;
}

int bl_context_threads(const bl_context *ctx)
{
    return ctx->threads > 0 ? ctx->threads : bli_cpu_count();
}

void bl_context_interrupt(bl_context *ctx)
{
    atomic_store_explicit(&ctx->interrupted, true, memory_order_relaxed);
}

bool bli_interrupted(const bl_context *ctx)
{
    return atomic_load_explicit(&ctx->interrupted, memory_order_relaxed);
}

void bli_interrupt_clear(bl_context *ctx)
{
    atomic_store_explicit(&ctx->interrupted, false, memory_order_relaxed);
}

void bli_context_set_file_ops(bl_context *ctx, const bli_file_ops *ops)
{
    ctx->file_ops = ops != NULL ? *ops : bli_system_file_ops;
}

void bli_context_share(bl_context *ctx, bool shared)
{
    ctx->shared = shared;
    ctx->owned = false;
}

/* With the lock held: may this thread write the message? */
static bool may_write(const bl_context *ctx)
{
    return !ctx->shared || !ctx->owned || pthread_equal(ctx->owner, pthread_self());
}

bl_status bli_fail(bl_context *ctx, bl_status status, const char *fmt, ...)
{
    /* Formatted aside: an argument may point into the message itself. */
    char text[BLI_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);

    pthread_mutex_lock(&ctx->lock);
    if (!ctx->shared || !ctx->owned) {
        memcpy(ctx->message, text, sizeof text);
        ctx->owned = true;
        ctx->owner = pthread_self();
    }
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

static void put_in_front(char message[BLI_MESSAGE_SIZE], const char *prefix)
{
    char old[BLI_MESSAGE_SIZE];
    memcpy(old, message, sizeof old);
    size_t used = strlen(prefix), most = BLI_MESSAGE_SIZE - 1;
    memcpy(message, prefix, used);
    for (const char *p = ": "; *p != '\0' && used < most; p++)
        message[used++] = *p;
    for (const char *p = old; *p != '\0' && used < most; p++)
        message[used++] = *p;
    message[used] = '\0';
}

bl_status bli_within(bl_context *ctx, bl_status status, const char *fmt, ...)
{
    if (status == BL_OK)
        return BL_OK;
    char prefix[BLI_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);

    pthread_mutex_lock(&ctx->lock);
    if (may_write(ctx))
        put_in_front(ctx->message, prefix);
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

void bli_log(bl_context *ctx, bl_log_level level, const char *fmt, ...)
{
    if (ctx->log == NULL)
        return;
    char line[BLI_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);

    pthread_mutex_lock(&ctx->lock);
    ctx->log(ctx->log_user, level, line);
    pthread_mutex_unlock(&ctx->lock);
}
