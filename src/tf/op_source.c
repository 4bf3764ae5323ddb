/* op_source.c: operators that bring tensors into a graph, or pass them on as they are. */
#include <string.h>

#include "tf/op.h"

/* ---- Const --------------------------------------------------------------------------------------------------- */
static bl_status const_strings(bli_tf_call *c, const bli_tf_tensor *t)
{
    const ProtobufCBinaryData *from = t->data;
    bli_tf_bytes *to = bli_tf_alloc_array(c->store, t->count + 1, sizeof *to);
    if (!to)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < t->count; i++)
        to[i] = (bli_tf_bytes){from[i].data, from[i].len};
    c->out[0].data = to;
    return BL_OK;
}

static bl_status infer_const(bli_tf_call *c)
{
    bli_tf_tensor t;
    int dtype;
    BLI_TRY(bli_tf_get_type(c->ctx, c->node, "dtype", &dtype));
    BLI_TRY(bli_tf_get_tensor(c->store, c->node, "value", &t));
    if (dtype != t.dtype)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'dtype' says %s, the value is %s", bli_tf_dtype_name(dtype),
                        bli_tf_dtype_name(t.dtype));
    if (t.rank > BL_MAX_RANK)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a constant of %d dimensions; at most %d are possible", t.rank,
                        BL_MAX_RANK);
    bli_tf_arg *out = &c->out[0];
    out->dtype = dtype;
    out->shape.rank = t.rank;
    for (int i = 0; i < t.rank; i++)
        out->shape.dim[i] = t.dim[i];
    out->constant = true;
    if (dtype == BLI_DT_STRING)
        return const_strings(c, &t);
    if (t.element == 0)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a constant of type %s", bli_tf_dtype_name(dtype));
    out->data = (void *)(uintptr_t)t.data; /* never written */
    return BL_OK;
}

/* ---- Placeholder --------------------------------------------------------------------------------------------- */
static bl_status infer_placeholder(bli_tf_call *c)
{
    const bli_tf_value *shape = bli_tf_node_attr(c->node, "shape");
    const bli_tf_shape *proto = NULL;
    if (c->site) /* this is a run */
        return bli_fail(c->ctx, BL_USAGE, "a placeholder that is not fed");
    BLI_TRY(bli_tf_get_type(c->ctx, c->node, "dtype", &c->out[0].dtype));
    if (shape)
        BLI_TRY(bli_tf_get_shape(c->ctx, c->node, "shape", &proto));
    return bli_tf_shape_of(c->ctx, proto, &c->out[0].shape);
}

/* ---- passing on ---------------------------------------------------------------------------------------------- */
static bl_status infer_identity_n(bli_tf_call *c)
{
    if (c->num_in != c->num_out)
        return bli_fail(c->ctx, BL_BAD_MODEL, "%d inputs and %d outputs", c->num_in, c->num_out);
    for (int i = 0; i < c->num_in; i++) {
        c->out[i].dtype = c->in[i].dtype;
        c->out[i].shape = c->in[i].shape;
    }
    return BL_OK;
}

static size_t bytes_of(const bli_tf_arg *a)
{
    const size_t element = a->dtype == BLI_DT_STRING ? sizeof(bli_tf_bytes) : bli_tf_dtype_size(a->dtype);
    return (size_t)bli_tf_count(a) * element;
}

static bl_status run_identity_n(bli_tf_call *c)
{
    for (int i = 0; i < c->num_in; i++)
        memcpy(c->out[i].data, c->in[i].data, bytes_of(&c->in[i]));
    return BL_OK;
}

static bl_status run_check_numerics(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    const float *x = c->in[0].data;
    const char *message;
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "message", "", &message));
    for (int64_t i = 0; c->in[0].dtype == BLI_DT_FLOAT && i < n; i++)
        if (!__builtin_isfinite(x[i]))
            return bli_fail(c->ctx, BL_BAD_VALUE, "%s: element %lld is %g", message, (long long)i, (double)x[i]);
    memcpy(c->out[0].data, x, bytes_of(&c->in[0]));
    return BL_OK;
}

/* ---- Cast ---------------------------------------------------------------------------------------------------- */
static bl_status infer_cast(bli_tf_call *c)
{
    int from;
    BLI_TRY(bli_tf_get_type(c->ctx, c->node, "DstT", &c->out[0].dtype));
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "SrcT", c->in[0].dtype, &from));
    BLI_TRY(bli_tf_need_type(c, 0, from));
    c->out[0].shape = c->in[0].shape;
    return BL_OK;
}

static float from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h >> 15) << 31, e = h >> 10 & 31, m = h & 1023;
    const float sub = (float)m * 0x1p-24f;
    uint32_t bits = e == 31 ? 0x7f800000u | m << 13 : (e + 112) << 23 | m << 13;
    float v;
    if (e == 0)
        return sign ? -sub : sub;
    bits |= sign;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static float from_bfloat(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Out of range as x86 converts; NaN becomes the least. */
static int64_t whole(double v, int64_t least, int64_t most)
{
    return v >= (double)least && v < (double)most + 1 ? (int64_t)v : least;
}

#define LOAD(type, number)                                                                                             \
    case number:                                                                                                       \
        return (double)((const type *)data)[i]
static double load(int dtype, const void *data, int64_t i)
{
    switch (dtype) {
        LOAD(float, BLI_DT_FLOAT);
        LOAD(double, BLI_DT_DOUBLE);
        LOAD(int32_t, BLI_DT_INT32);
        LOAD(int32_t, BLI_DT_QINT32);
        LOAD(uint8_t, BLI_DT_UINT8);
        LOAD(uint8_t, BLI_DT_QUINT8);
        LOAD(uint8_t, BLI_DT_BOOL);
        LOAD(int16_t, BLI_DT_INT16);
        LOAD(int8_t, BLI_DT_INT8);
        LOAD(int8_t, BLI_DT_QINT8);
        LOAD(uint16_t, BLI_DT_UINT16);
        LOAD(uint32_t, BLI_DT_UINT32);
    case BLI_DT_HALF:
        return (double)from_half(((const uint16_t *)data)[i]);
    default:
        return (double)from_bfloat(((const uint16_t *)data)[i]);
    }
}

#define STORE(type, number, least, most)                                                                               \
    case number:                                                                                                       \
        ((type *)data)[i] = (type)whole(v, least, most);                                                               \
        break
static void store(int dtype, void *data, int64_t i, double v)
{
    switch (dtype) {
        STORE(int32_t, BLI_DT_INT32, INT32_MIN, INT32_MAX);
        STORE(int32_t, BLI_DT_QINT32, INT32_MIN, INT32_MAX);
        STORE(uint32_t, BLI_DT_UINT32, INT64_MIN, INT64_MAX);
        STORE(uint8_t, BLI_DT_UINT8, INT32_MIN, INT32_MAX);
        STORE(uint8_t, BLI_DT_QUINT8, INT32_MIN, INT32_MAX);
        STORE(int8_t, BLI_DT_INT8, INT32_MIN, INT32_MAX);
        STORE(int8_t, BLI_DT_QINT8, INT32_MIN, INT32_MAX);
        STORE(int16_t, BLI_DT_INT16, INT32_MIN, INT32_MAX);
        STORE(uint16_t, BLI_DT_UINT16, INT32_MIN, INT32_MAX);
    case BLI_DT_BOOL:
        ((uint8_t *)data)[i] = v != 0;
        break;
    case BLI_DT_INT64:
        ((int64_t *)data)[i] = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
        break;
    case BLI_DT_FLOAT:
        ((float *)data)[i] = (float)v;
        break;
    default:
        ((double *)data)[i] = v;
    }
}

static bool reads(int t)
{
    return t == BLI_DT_HALF || t == BLI_DT_BFLOAT16 || (bli_tf_store_type(t) != BL_DTYPE_COUNT && t != BLI_DT_UINT64);
}

/* Whole numbers go over int64, so that no bit of them is lost. */
static int64_t load_whole(int dtype, const void *data, int64_t i)
{
    return dtype == BLI_DT_INT64 ? ((const int64_t *)data)[i] : (int64_t)load(dtype, data, i);
}

static void store_whole(int dtype, void *data, int64_t i, int64_t v)
{
    switch (dtype) {
    case BLI_DT_FLOAT:
        ((float *)data)[i] = (float)v;
        break;
    case BLI_DT_DOUBLE:
        ((double *)data)[i] = (double)v;
        break;
    case BLI_DT_BOOL:
        ((uint8_t *)data)[i] = v != 0;
        break;
    default: /* little-endian: the low bytes */
        memcpy((char *)data + (size_t)i * bli_tf_dtype_size(dtype), &v, bli_tf_dtype_size(dtype));
    }
}

static bool is_byte(int t)
{
    return t == BLI_DT_UINT8 || t == BLI_DT_QUINT8;
}

static bool is_int32(int t)
{
    return t == BLI_DT_INT32 || t == BLI_DT_QINT32;
}

/* The casts that eight-bit graphs are full of; the same numbers as one by one. */
static bool cast_at_once(int from, int to, const void *x, int64_t n, void *y)
{
    const uint8_t *bytes = x;
    const float *floats = x;
    float *to_floats = y;
    int32_t *to_whole = y;
    if (is_byte(from) && to == BLI_DT_FLOAT)
        for (int64_t i = 0; i < n; i++)
            to_floats[i] = bytes[i];
    else if (is_byte(from) && is_int32(to))
        for (int64_t i = 0; i < n; i++)
            to_whole[i] = bytes[i];
    else if (from == BLI_DT_FLOAT && is_int32(to))
        for (int64_t i = 0; i < n; i++)
            to_whole[i] = floats[i] >= -0x1p31f && floats[i] < 0x1p31f ? (int32_t)floats[i] : INT32_MIN;
    else
        return false;
    return true;
}

static bl_status run_cast(bli_tf_call *c)
{
    const int from = c->in[0].dtype, to = c->out[0].dtype;
    const int64_t n = bli_tf_count(&c->in[0]);
    const void *x = c->in[0].data;
    if (from == to) {
        memcpy(c->out[0].data, x, bytes_of(&c->in[0]));
        return BL_OK;
    }
    if (!reads(from) || !reads(to) || to == BLI_DT_HALF || to == BLI_DT_BFLOAT16)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "from %s to %s", bli_tf_dtype_name(from), bli_tf_dtype_name(to));
    if (cast_at_once(from, to, x, n, c->out[0].data))
        return BL_OK;
    const bool real = from == BLI_DT_FLOAT || from == BLI_DT_DOUBLE || from == BLI_DT_HALF || from == BLI_DT_BFLOAT16;
    for (int64_t i = 0; i < n; i++)
        if (real)
            store(to, c->out[0].data, i, load(from, x, i));
        else
            store_whole(to, c->out[0].data, i, load_whole(from, x, i));
    return BL_OK;
}

/* ---- Bitcast between types of one size ----------------------------------------------------------------------- */
static bl_status infer_bitcast(bli_tf_call *c)
{
    BLI_TRY(bli_tf_get_type(c->ctx, c->node, "type", &c->out[0].dtype));
    c->out[0].shape = c->in[0].shape;
    if (c->in[0].dtype && bli_tf_dtype_size(c->in[0].dtype) != bli_tf_dtype_size(c->out[0].dtype))
        return bli_fail(c->ctx, BL_UNSUPPORTED, "from %s to %s, whose sizes differ", bli_tf_dtype_name(c->in[0].dtype),
                        bli_tf_dtype_name(c->out[0].dtype));
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"Const", 0, 0, 1, NULL, infer_const, bli_tf_run_nothing, 0, false},
    {"Placeholder", 0, 0, 1, NULL, infer_placeholder, bli_tf_run_nothing, 0, true},
    {"PlaceholderV2", 0, 0, 1, NULL, infer_placeholder, bli_tf_run_nothing, 0, true},
    {"PlaceholderWithDefault", 1, 1, 1, NULL, bli_tf_infer_same, NULL, 0, true},
    {"NoOp", 0, 0, 0, NULL, bli_tf_infer_nothing, bli_tf_run_nothing, 0, false},
    {"Identity", 1, 1, 1, NULL, bli_tf_infer_same, NULL, 0, false},
    {"StopGradient", 1, 1, 1, NULL, bli_tf_infer_same, NULL, 0, false},
    {"PreventGradient", 1, 1, 1, NULL, bli_tf_infer_same, NULL, 0, false},
    {"Snapshot", 1, 1, 1, NULL, bli_tf_infer_same, NULL, 0, false},
    {"IdentityN", 1, -1, 0, "T", infer_identity_n, run_identity_n, 0, false},
    {"CheckNumerics", 1, 1, 1, NULL, bli_tf_infer_same, run_check_numerics, 0, false},
    {"Cast", 1, 1, 1, NULL, infer_cast, run_cast, 0, false},
    {"Bitcast", 1, 1, 1, NULL, infer_bitcast, NULL, 0, false},
};
const bli_tf_family bli_tf_family_source = {ops, BLI_COUNT(ops)};
