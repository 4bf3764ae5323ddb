/* tensor.c: dtypes, shapes, storage. */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "bitlathe/tensor.h"

static const struct {
    size_t size;
    const char *name;
} dtypes[BL_DTYPE_COUNT] = {
#define DTYPE_ROW(name, ctype, npy, onnx) [BL_##name] = {sizeof(ctype), #name},
    BL_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

size_t bl_dtype_size(bl_dtype t)
{
    return (unsigned)t < BL_DTYPE_COUNT ? dtypes[t].size : 0;
}

const char *bl_dtype_name(bl_dtype t)
{
    return (unsigned)t < BL_DTYPE_COUNT ? dtypes[t].name : "unknown";
}

int64_t bl_shape_count(const bl_shape *s)
{
    int64_t count = 1;
    bool overflow = false, empty = false;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0)
            return -1;
        empty |= s->dim[i] == 0;
        overflow |= __builtin_mul_overflow(count, s->dim[i], &count);
    }
    return empty ? 0 : overflow ? -1 : count;
}

bool bl_shape_equal(const bl_shape *a, const bl_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

size_t bl_shape_print(const bl_shape *s, char *buf, size_t size)
{
    char text[BL_MAX_RANK * 24 + 3];
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < s->rank && i < BL_MAX_RANK; i++) {
        if (i > 0) {
            text[used++] = ',';
            text[used++] = ' ';
        }
        if (s->dim[i] < 0)
            text[used++] = 'N';
        else
            used += (size_t)snprintf(text + used, sizeof text - used, "%lld", (long long)s->dim[i]);
    }
    text[used++] = ']';
    text[used] = '\0';
    if (size > 0)
        snprintf(buf, size, "%s", text);
    return used;
}

static bl_status check_shape(bl_context *ctx, bl_dtype type, const bl_shape *shape, size_t *bytes)
{
    if ((unsigned)type >= BL_DTYPE_COUNT)
        return bli_fail(ctx, BL_USAGE, "tensor of type %d: no such type", (int)type);
    if (shape->rank < 0 || shape->rank > BL_MAX_RANK)
        return bli_fail(ctx, BL_BAD_VALUE, "tensor of rank %d: from 0 to %d are possible", shape->rank, BL_MAX_RANK);
    int64_t count = bl_shape_count(shape);
    char text[BL_MAX_RANK * 24 + 3];
    bl_shape_print(shape, text, sizeof text);
    if (count < 0)
        return bli_fail(ctx, BL_BAD_VALUE, "tensor of shape %s: not a number of elements", text);
    if (!bli_mul_size((size_t)count, bl_dtype_size(type), bytes))
        return bli_fail(ctx, BL_LIMIT, "tensor of shape %s: too large", text);
    return BL_OK;
}

bl_status bl_tensor_create(bl_context *ctx, bl_dtype type, const bl_shape *shape, bl_tensor *out)
{
    size_t bytes = 0;
    *out = (bl_tensor){.type = BL_F32};
    BLI_TRY(check_shape(ctx, type, shape, &bytes));
    void *data = bli_alloc(ctx, bytes);
    if (data == NULL)
        return BL_NO_MEMORY;
    *out = (bl_tensor){type, *shape, data};
    return BL_OK;
}

void bl_tensor_free(bl_context *ctx, bl_tensor *t)
{
    bli_free(ctx, t->data);
    t->data = NULL;
}
