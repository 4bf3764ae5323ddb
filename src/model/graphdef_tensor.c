/* graphdef_tensor.c: a TensorProto with every element written out.
 *
 * What it may hold (tensorflow/core/framework/tensor.proto): raw little-endian bytes in tensor_content, which win; else
 * a typed list, whose last value stands for all elements that it lacks, and which is all zeros when empty.  Values of a
 * list beyond the shape's count are passed over, as TensorFlow does.  Strings in tensor_content are all lengths as
 * varints, then all bytes.
 */
#include <string.h>

#include "base/reader.h"
#include "model/graphdef.h"

static const size_t most_bytes = (size_t)1 << 31;    /* of one tensor */
static const size_t most_expanded = (size_t)1 << 28; /* of one that is written out from fewer values */

typedef bli_tf_tensor_proto proto;

/* ---- shape ----------------------------------------------------------------------------------------------------- */

static bl_status read_shape(bli_tf_store *s, const proto *t, bli_tf_tensor *out)
{
    bl_context *ctx = bli_tf_store_context(s);
    const bli_tf_shape *shape = t->tensor_shape;
    size_t rank = shape ? shape->n_dim : 0, bytes;
    out->count = 1;
    if (rank > BLI_TF_MAX_RANK)
        return bli_fail(ctx, BL_LIMIT, "%zu dimensions, at most %d", rank, BLI_TF_MAX_RANK);
    if (shape && shape->unknown_rank)
        return bli_fail(ctx, BL_BAD_MODEL, "a tensor of unknown rank");
    int64_t *dim = bli_tf_alloc_array(s, rank, sizeof *dim);
    if (!dim)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < rank; i++) {
        dim[i] = shape->dim[i]->size;
        if (dim[i] < 0)
            return bli_fail(ctx, BL_BAD_MODEL, "dimension %zu is %lld", i, (long long)dim[i]);
        if (!bli_mul_size(out->count, (size_t)dim[i], &out->count))
            return bli_fail(ctx, BL_LIMIT, "more elements than can be counted");
    }
    out->rank = (int)rank;
    out->dim = dim;
    size_t element = out->element ? out->element : sizeof(ProtobufCBinaryData);
    if (!bli_mul_size(out->count, element, &bytes) || bytes > most_bytes)
        return bli_fail(ctx, BL_LIMIT, "%zu elements of %zu bytes, at most %zu bytes are possible", out->count, element,
                        most_bytes);
    return BL_OK;
}

/* ---- typed lists ----------------------------------------------------------------------------------------------- */

/* What holds a type's values: how many, where, and the bytes of one of them there. */
typedef struct list {
    size_t count;
    const void *values;
    size_t stride;
} list;

static list list_of(const proto *t, int dtype)
{
    switch (dtype) {
    case BLI_DT_FLOAT:
        return (list){t->n_float_val, t->float_val, 4};
    case BLI_DT_DOUBLE:
        return (list){t->n_double_val, t->double_val, 8};
    case BLI_DT_INT64:
        return (list){t->n_int64_val, t->int64_val, 8};
    case BLI_DT_UINT32:
        return (list){t->n_uint32_val, t->uint32_val, 4};
    case BLI_DT_UINT64:
        return (list){t->n_uint64_val, t->uint64_val, 8};
    case BLI_DT_BOOL:
        return (list){t->n_bool_val, t->bool_val, sizeof(protobuf_c_boolean)};
    case BLI_DT_HALF:
    case BLI_DT_BFLOAT16:
        return (list){t->n_half_val, t->half_val, 4};
    case BLI_TF__DATA_TYPE__DT_COMPLEX64:
        return (list){t->n_scomplex_val / 2, t->scomplex_val, 8};
    case BLI_TF__DATA_TYPE__DT_COMPLEX128:
        return (list){t->n_dcomplex_val / 2, t->dcomplex_val, 16};
    case BLI_TF__DATA_TYPE__DT_FLOAT8_E5M2:
    case BLI_TF__DATA_TYPE__DT_FLOAT8_E4M3FN:
    case BLI_TF__DATA_TYPE__DT_FLOAT8_E4M3FNUZ:
    case BLI_TF__DATA_TYPE__DT_FLOAT8_E4M3B11FNUZ:
    case BLI_TF__DATA_TYPE__DT_FLOAT8_E5M2FNUZ:
    case BLI_TF__DATA_TYPE__DT_FLOAT4_E2M1FN:
        return (list){t->float8_val.len, t->float8_val.data, 1};
    default:
        return (list){t->n_int_val, t->int_val, 4}; /* every narrower or quantized integer */
    }
}

/* One value of a list as an element: the low bytes of a wider integer (this machine is little-endian, as the format
 * is). */
static void put(uint8_t *to, size_t element, const list *l, size_t i, int dtype)
{
    const uint8_t *from = (const uint8_t *)l->values + i * l->stride;
    memcpy(to, from, element);
    if (dtype == BLI_DT_BOOL)
        *to = *to != 0;
}

static bl_status expand(bli_tf_store *s, const proto *t, bli_tf_tensor *out)
{
    list l = list_of(t, out->dtype);
    if (l.count >= out->count && l.stride == out->element && out->count > 0 && l.count > 0) {
        out->data = l.values;
        return BL_OK;
    }
    if (out->count > most_expanded / out->element)
        return bli_fail(bli_tf_store_context(s), BL_LIMIT,
                        "%zu elements from %zu values, at most %zu bytes are possible", out->count, l.count,
                        most_expanded);
    uint8_t *data = bli_tf_alloc_array(s, out->count, out->element);
    if (!data)
        return BL_NO_MEMORY;
    for (size_t i = 0; l.count > 0 && i < out->count; i++)
        put(data + i * out->element, out->element, &l, i < l.count ? i : l.count - 1, out->dtype);
    out->data = data;
    return BL_OK;
}

/* ---- strings --------------------------------------------------------------------------------------------------- */

static bl_status string_content(bl_context *ctx, const proto *t, ProtobufCBinaryData *strings, size_t count)
{
    bli_reader r = bli_reader_make(t->tensor_content.data, t->tensor_content.len);
    for (size_t i = 0; i < count; i++) {
        uint64_t size;
        if (!bli_reader_varint(&r, &size) || size > t->tensor_content.len)
            return bli_fail(ctx, BL_BAD_MODEL, "tensor_content: the length of string %zu is no possible one", i);
        strings[i].len = (size_t)size;
    }
    for (size_t i = 0; i < count; i++) {
        strings[i].data = (uint8_t *)bli_reader_take(&r, strings[i].len);
        if (!strings[i].data && strings[i].len)
            return bli_fail(ctx, BL_BAD_MODEL, "tensor_content ends inside string %zu", i);
    }
    return BL_OK;
}

static bl_status view_strings(bli_tf_store *s, const proto *t, bli_tf_tensor *out)
{
    size_t given = t->n_string_val;
    if (given >= out->count && !t->tensor_content.len) {
        out->data = t->string_val;
        return BL_OK;
    }
    if (t->tensor_content.len && t->tensor_content.len < out->count)
        return bli_fail(bli_tf_store_context(s), BL_BAD_MODEL, "tensor_content has %zu bytes for %zu strings",
                        t->tensor_content.len, out->count);
    if (out->count > most_expanded / sizeof(ProtobufCBinaryData))
        return bli_fail(bli_tf_store_context(s), BL_LIMIT, "%zu strings, at most %zu are possible", out->count,
                        most_expanded / sizeof(ProtobufCBinaryData));
    ProtobufCBinaryData *strings = bli_tf_alloc_array(s, out->count, sizeof *strings);
    if (!strings)
        return BL_NO_MEMORY;
    out->data = strings;
    if (t->tensor_content.len)
        return string_content(bli_tf_store_context(s), t, strings, out->count);
    for (size_t i = 0; given > 0 && i < out->count; i++)
        strings[i] = t->string_val[i < given ? i : given - 1];
    return BL_OK;
}

bl_status bli_tf_tensor_view(bli_tf_store *s, const bli_tf_tensor_proto *t, bli_tf_tensor *out)
{
    bl_context *ctx = bli_tf_store_context(s);
    *out = (bli_tf_tensor){.dtype = (int)t->dtype, .element = bli_tf_dtype_size((int)t->dtype)};
    if (!out->element && out->dtype != BLI_DT_STRING)
        return bli_fail(ctx, BL_UNSUPPORTED, "a tensor of type %s (%d) has no elements that can be read",
                        bli_tf_dtype_name(out->dtype), out->dtype);
    BLI_TRY(read_shape(s, t, out));
    if (out->dtype == BLI_DT_STRING)
        return view_strings(s, t, out);
    if (!t->tensor_content.len)
        return expand(s, t, out);
    if (t->tensor_content.len != out->count * out->element)
        return bli_fail(ctx, BL_BAD_MODEL, "tensor_content has %zu bytes, expected %zu: %zu elements of type %s",
                        t->tensor_content.len, out->count * out->element, out->count, bli_tf_dtype_name(out->dtype));
    out->data = t->tensor_content.data;
    return BL_OK;
}
