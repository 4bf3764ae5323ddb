/* buf.c: a buffer that grows by doubling up to a ceiling its owner chose. */
#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* Until the first append data points here, so that it is always a string; never written. */
static char empty[1];

void bli_buf_init(bli_buf *b, bl_context *ctx, size_t ceiling)
{
    *b = (bli_buf){ctx, empty, 0, 0, ceiling};
}

void bli_buf_free(bli_buf *b)
{
    if (b->data != empty)
        bli_free(b->ctx, b->data);
    b->data = empty;
    b->size = b->capacity = 0;
}

/* Room for `more` bytes and the terminator. */
static bl_status reserve(bli_buf *b, size_t more)
{
    size_t size, need;
    if (!bli_add_size(b->size, more, &size) || size > b->ceiling || !bli_add_size(size, 1, &need))
        return bli_fail(b->ctx, BL_LIMIT, "more than %zu bytes", b->ceiling);
    if (need <= b->capacity)
        return BL_OK;
    size_t capacity = b->capacity < 64 ? 64 : b->capacity;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = bli_alloc(b->ctx, capacity);
    if (data == NULL)
        return BL_NO_MEMORY;
    memcpy(data, b->data, b->size);
    if (b->data != empty)
        bli_free(b->ctx, b->data);
    b->data = data;
    b->capacity = capacity;
    return BL_OK;
}

bl_status bli_buf_append(bli_buf *b, const void *data, size_t size)
{
    if (size == 0)
        return BL_OK;
    BLI_TRY(reserve(b, size));
    memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
    return BL_OK;
}

bl_status bli_buf_printf(bli_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        return bli_fail(b->ctx, BL_USAGE, "format '%s' cannot be printed", fmt);
    BLI_TRY(reserve(b, (size_t)length));
    if (length == 0)
        return BL_OK;
    va_start(args, fmt);
    vsnprintf(b->data + b->size, (size_t)length + 1, fmt, args);
    va_end(args);
    b->size += (size_t)length;
    return BL_OK;
}
