/* array.c: a block goes back to its pool when its last array is released; the pool hands out the smallest free block
 * that is large enough and at most twice too large.  A pool lives until its owner and all its blocks are gone. */
#include "tf/array.h"

#include <string.h>

#include "tf/flow.h"

enum { SLACK = 128 }; /* kernels may read so many bytes behind a tensor, and never use them */

struct bli_tf_block {
    bli_tf_pool *pool;
    bli_tf_block *next; /* free */
    size_t capacity;
    int users;
    void *data;
    bli_tf_list *list; /* what the one pointer in data is, or NULL */
};

struct bli_tf_pool {
    bl_context *ctx;
    bli_tf_block *free;
    size_t most, bytes, peak;
    size_t blocks;
    bool closed;
};

bl_status bli_tf_pool_create(bl_context *ctx, size_t most_bytes, bli_tf_pool **out)
{
    *out = bli_alloc(ctx, sizeof **out);
    if (!*out)
        return BL_NO_MEMORY;
    **out = (bli_tf_pool){.ctx = ctx, .most = most_bytes};
    return BL_OK;
}

static void drop(bli_tf_pool *p, bli_tf_block *b)
{
    p->bytes -= b->capacity;
    p->blocks--;
    bli_free(p->ctx, b->data);
    bli_free(p->ctx, b);
}

static void drop_free(bli_tf_pool *p)
{
    while (p->free) {
        bli_tf_block *b = p->free;
        p->free = b->next;
        drop(p, b);
    }
}

void bli_tf_pool_destroy(bli_tf_pool *p)
{
    if (!p)
        return;
    drop_free(p);
    p->closed = true;
    if (p->blocks == 0)
        bli_free(p->ctx, p);
}

size_t bli_tf_pool_peak(const bli_tf_pool *p)
{
    return p->peak;
}

static bli_tf_block *take_free(bli_tf_pool *p, size_t bytes)
{
    bli_tf_block **best = NULL;
    for (bli_tf_block **b = &p->free; *b; b = &(*b)->next)
        if ((*b)->capacity >= bytes && (*b)->capacity / 2 <= bytes && (!best || (*b)->capacity < (*best)->capacity))
            best = b;
    if (!best)
        return NULL;
    bli_tf_block *b = *best;
    *best = b->next;
    return b;
}

static bl_status new_block(bli_tf_pool *p, size_t bytes, bli_tf_block **out)
{
    if (bytes > p->most - p->bytes)
        drop_free(p);
    if (bytes > p->most - p->bytes)
        return bli_fail(p->ctx, BL_LIMIT, "tensors of %zu bytes and one of %zu more; the limit is %zu", p->bytes, bytes,
                        p->most);
    bli_tf_block *b = bli_alloc(p->ctx, sizeof *b);
    void *data = b ? bli_alloc(p->ctx, bytes + SLACK) : NULL;
    if (!data) {
        bli_free(p->ctx, b);
        return BL_NO_MEMORY;
    }
    *b = (bli_tf_block){.pool = p, .capacity = bytes, .data = data};
    p->bytes += bytes;
    p->blocks++;
    p->peak = p->bytes > p->peak ? p->bytes : p->peak;
    *out = b;
    return BL_OK;
}

static bl_status refuse_shape(bli_tf_pool *p, int dtype, const bl_shape *shape)
{
    char text[128];
    bl_shape_print(shape, text, sizeof text);
    return bli_fail(p->ctx, BL_UNSUPPORTED, "a tensor of %s, shape %s, cannot be made", bli_tf_dtype_name(dtype),
                    shape->rank < 0 ? "unknown" : text);
}

static bl_status refuse_size(bli_tf_pool *p, const bl_shape *shape)
{
    char text[128];
    bl_shape_print(shape, text, sizeof text);
    return bli_fail(p->ctx, BL_LIMIT, "a tensor of shape %s is larger than %zu bytes", text, BLI_TF_MAX_BYTES);
}

bl_status bli_tf_array_make(bli_tf_pool *p, int dtype, const bl_shape *shape, bli_tf_array *out)
{
    const size_t element = dtype == BLI_DT_STRING ? sizeof(bli_tf_bytes) : bli_tf_dtype_size(dtype);
    const int64_t count = bl_shape_count(shape);
    size_t bytes;
    *out = (bli_tf_array){.dtype = 0};
    if (element == 0 || shape->rank < 0 || count < 0)
        return refuse_shape(p, dtype, shape);
    if (!bli_mul_size((size_t)count, element, &bytes) || bytes > BLI_TF_MAX_BYTES)
        return refuse_size(p, shape);
    bytes = bytes < BLI_ALIGN ? BLI_ALIGN : bytes;
    bli_tf_block *b = take_free(p, bytes);
    if (!b)
        BLI_TRY(new_block(p, bytes, &b));
    b->users = 1;
    *out = (bli_tf_array){dtype, *shape, b->data, b};
    return BL_OK;
}

bl_status bli_tf_array_make_list(bli_tf_pool *p, int kind, bli_tf_list *list, bli_tf_array *out)
{
    BLI_TRY(bli_tf_array_make(p, BLI_DT_INT64, &(bl_shape){0, {0}}, out)); /* as good as any small block */
    out->dtype = kind;
    out->block->list = list;
    return BL_OK;
}

bli_tf_list *bli_tf_array_list(const bli_tf_array *a)
{
    return a->data && a->block ? a->block->list : NULL;
}

bli_tf_array bli_tf_array_share(const bli_tf_array *a)
{
    if (a->block)
        a->block->users++;
    return *a;
}

void bli_tf_array_release(bli_tf_array *a)
{
    bli_tf_block *b = a->block;
    *a = (bli_tf_array){.dtype = 0};
    if (!b || --b->users > 0)
        return;
    bli_tf_pool *p = b->pool;
    bli_tf_list *list = b->list;
    b->list = NULL;
    if (list)
        bli_tf_list_free(p->ctx, list);
    if (!p->closed) {
        b->next = p->free;
        p->free = b;
        return;
    }
    drop(p, b);
    if (p->blocks == 0)
        bli_free(p->ctx, p);
}

size_t bli_tf_array_bytes(const bli_tf_array *a)
{
    const int64_t count = bl_shape_count(&a->shape);
    return a->data && count > 0 ? (size_t)count * bli_tf_dtype_size(a->dtype) : 0;
}
