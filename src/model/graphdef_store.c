/* graphdef_store.c: the memory of one job on TensorFlow graphs, and what an element type is called and measures.
 *
 * Small things lie in an arena.  A large one is a block of its own, so that it can be let go before the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/graphdef_sweep.h"

enum { LARGE = 1 << 16 };

typedef struct block {
    char *at;
    size_t size;
    bool kept, reached;
} block;

struct bli_tf_store {
    bl_context *ctx;
    bli_arena *arena;
    block *blocks;
    size_t num_blocks, room;
};

bl_status bli_tf_store_create(bl_context *ctx, bli_tf_store **out)
{
    *out = NULL;
    bli_tf_store *s = bli_alloc(ctx, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    s->ctx = ctx;
    if (bli_arena_create(ctx, &s->arena) != BL_OK) {
        bli_free(ctx, s);
        return BL_NO_MEMORY;
    }
    *out = s;
    return BL_OK;
}

void bli_tf_store_destroy(bli_tf_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->num_blocks; i++)
        bli_free(s->ctx, s->blocks[i].at);
    bli_free(s->ctx, s->blocks);
    bli_arena_destroy(s->arena);
    bli_free(s->ctx, s);
}

bl_context *bli_tf_store_context(const bli_tf_store *s)
{
    return s->ctx;
}

static bool make_room(bli_tf_store *s)
{
    if (s->num_blocks < s->room)
        return true;
    size_t room = s->room ? 2 * s->room : 64;
    block *blocks = bli_alloc_array(s->ctx, room, sizeof *blocks);
    if (!blocks)
        return false;
    if (s->num_blocks)
        memcpy(blocks, s->blocks, s->num_blocks * sizeof *blocks);
    bli_free(s->ctx, s->blocks);
    s->blocks = blocks;
    s->room = room;
    return true;
}

void *bli_tf_alloc(bli_tf_store *s, size_t size)
{
    if (size < LARGE)
        return bli_arena_alloc(s->arena, size);
    if (!make_room(s))
        return NULL;
    void *p = bli_alloc(s->ctx, size);
    if (p)
        s->blocks[s->num_blocks++] = (block){.at = p, .size = size};
    return p;
}

void *bli_tf_alloc_array(bli_tf_store *s, size_t count, size_t size)
{
    size_t total;
    return bli_tf_alloc(s, bli_mul_size(count, size, &total) ? total : SIZE_MAX);
}

char *bli_tf_text_copy(bli_tf_store *s, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? bli_tf_alloc(s, size + 1) : NULL;
    if (copy && text && size)
        memcpy(copy, text, size);
    return copy;
}

char *bli_tf_text(bli_tf_store *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = bli_tf_alloc(s, length < 0 ? SIZE_MAX : (size_t)length + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    return text;
}

/* ---- letting go ------------------------------------------------------------------------------------------------ */

size_t bli_tf_store_mark(const bli_tf_store *s)
{
    return s->num_blocks;
}

void bli_tf_store_keep_from(bli_tf_store *s, size_t mark)
{
    for (size_t i = mark; i < s->num_blocks; i++)
        s->blocks[i].kept = true;
}

static int by_place(const void *a, const void *b)
{
    const block *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

void bli_tf_sweep_begin(bli_tf_store *s)
{
    if (s->num_blocks)
        qsort(s->blocks, s->num_blocks, sizeof *s->blocks, by_place);
    for (size_t i = 0; i < s->num_blocks; i++)
        s->blocks[i].reached = false;
}

void bli_tf_sweep_reach(bli_tf_store *s, const void *ptr)
{
    size_t low = 0, high = s->num_blocks; /* the last block that begins at ptr or before is low - 1 */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->blocks[middle].at <= (const char *)ptr)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && (const char *)ptr < s->blocks[low - 1].at + s->blocks[low - 1].size)
        s->blocks[low - 1].reached = true;
}

void bli_tf_sweep_end(bli_tf_store *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->num_blocks; i++) {
        if (s->blocks[i].kept || s->blocks[i].reached)
            s->blocks[kept++] = s->blocks[i];
        else
            bli_free(s->ctx, s->blocks[i].at);
    }
    s->num_blocks = kept;
}

/* ---- element types --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [1] = {"float", 4},
    [2] = {"double", 8},
    [3] = {"int32", 4},
    [4] = {"uint8", 1},
    [5] = {"int16", 2},
    [6] = {"int8", 1},
    [7] = {"string", 0},
    [8] = {"complex64", 8},
    [9] = {"int64", 8},
    [10] = {"bool", 1},
    [11] = {"qint8", 1},
    [12] = {"quint8", 1},
    [13] = {"qint32", 4},
    [14] = {"bfloat16", 2},
    [15] = {"qint16", 2},
    [16] = {"quint16", 2},
    [17] = {"uint16", 2},
    [18] = {"complex128", 16},
    [19] = {"half", 2},
    [20] = {"resource", 0},
    [21] = {"variant", 0},
    [22] = {"uint32", 4},
    [23] = {"uint64", 8},
    [24] = {"float8_e5m2", 1},
    [25] = {"float8_e4m3fn", 1},
    [26] = {"float8_e4m3fnuz", 1},
    [27] = {"float8_e4m3b11fnuz", 1},
    [28] = {"float8_e5m2fnuz", 1},
    [29] = {"int4", 1},
    [30] = {"uint4", 1},
    [31] = {"int2", 1},
    [32] = {"uint2", 1},
    [33] = {"float4_e2m1fn", 1},
};
_Static_assert(BLI_TF__DATA_TYPE__DT_FLOAT4_E2M1FN + 1 == BLI_COUNT(types), "the table has every type of the format");

static bool known(int dtype)
{
    return dtype > 0 && dtype < (int)BLI_COUNT(types) && types[dtype].name;
}

const char *bli_tf_dtype_name(int dtype)
{
    static const char *const refs[] = {
        [1] = "float_ref", [2] = "double_ref", [3] = "int32_ref", [4] = "uint8_ref", [5] = "int16_ref",
        [6] = "int8_ref",  [7] = "string_ref", [9] = "int64_ref", [10] = "bool_ref", [19] = "half_ref",
    };
    if (known(dtype))
        return types[dtype].name;
    int base = dtype - BLI_DT_REF;
    return base > 0 && base < (int)BLI_COUNT(refs) && refs[base] ? refs[base] : "unknown";
}

bool bli_tf_dtype_parse(const char *name, int *out)
{
    for (int i = 1; i < (int)BLI_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            *out = i;
            return true;
        }
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(&bli_tf__data_type__descriptor, name);
    *out = v ? v->value : BLI_DT_INVALID;
    return v != NULL;
}

size_t bli_tf_dtype_size(int dtype)
{
    return known(dtype) ? types[dtype].size : 0;
}
