/* onnx_tensor.c: the content of a TensorProto, wherever the file keeps it.
 *
 * Nothing is allocated before the claimed shape has been held against the bytes that are really there.  External files
 * are read only from inside the model's own folder, links resolved.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/onnx.h"

enum { FLOAT16 = 10, BFLOAT16 = 16, EXTERNAL = 1 };
static const size_t most_external = (size_t)1 << 34;

static const char *const type_names[] = {
    "UNDEFINED", "FLOAT",        "UINT8",          "INT8",       "UINT16",         "INT16",  "INT32",     "INT64",
    "STRING",    "BOOL",         "FLOAT16",        "DOUBLE",     "UINT32",         "UINT64", "COMPLEX64", "COMPLEX128",
    "BFLOAT16",  "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4",  "INT4",      "FLOAT4E2M1"};

const char *bli_onnx_type_name(int32_t data_type)
{
    return data_type >= 0 && data_type < (int32_t)BLI_COUNT(type_names) ? type_names[data_type] : "unknown";
}

static const int32_t data_types[BL_DTYPE_COUNT] = {
#define TYPE_ROW(name, ctype, npy, onnx) [BL_##name] = onnx,
    BL_DTYPE_LIST(TYPE_ROW)
#undef TYPE_ROW
};

int32_t bli_onnx_data_type(bl_dtype t)
{
    return data_types[t];
}

bool bli_onnx_dtype(int32_t data_type, bl_dtype *out)
{
    *out = BL_F32;
    if (data_type == FLOAT16 || data_type == BFLOAT16)
        return true;
    for (int t = 0; t < BL_DTYPE_COUNT; t++)
        if (data_types[t] == data_type) {
            *out = (bl_dtype)t;
            return true;
        }
    return false;
}

static size_t stored_size(int32_t data_type, bl_dtype t)
{
    return data_type == FLOAT16 || data_type == BFLOAT16 ? 2 : bl_dtype_size(t);
}

/* ---- external files ----------------------------------------------------------------------------------------- */

void bli_onnx_external_free(bl_context *ctx, bli_onnx_external *e)
{
    bli_free(ctx, e->path);
    bli_free(ctx, e->data);
    e->path = e->data = NULL;
}

static bool leaves_folder(const char *location)
{
    if (location[0] == '/' || location[0] == 0)
        return true;
    for (const char *part = location; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t n = strcspn(part, "/");
        if (n == 2 && part[0] == '.' && part[1] == '.')
            return true;
    }
    return false;
}

/* The real path of folder/location, which must lie in the real folder even after links are followed. */
static bl_status resolve(bl_context *ctx, const char *folder, const char *location, char out[PATH_MAX])
{
    char joined[PATH_MAX], base[PATH_MAX];
    int n = snprintf(joined, sizeof joined, "%s/%s", folder, location);
    if (n < 0 || (size_t)n >= sizeof joined || !realpath(folder, base) || !realpath(joined, out))
        return bli_fail(ctx, BL_NOT_FOUND, "external data '%s' is not there (beside the model)", location);
    size_t length = strlen(base);
    if (strncmp(out, base, length) != 0 || (out[length] != '/' && strcmp(base, "/") != 0))
        return bli_fail(ctx, BL_BAD_FILE, "external data '%s' leads out of the model's folder", location);
    return BL_OK;
}

/* Neither a pipe, which may never end, nor more than a machine that trains would load. */
static bl_status examine(bl_context *ctx, const char *path, const char *location)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return bli_fail(ctx, BL_BAD_FILE, "external data '%s' is not a regular file", location);
    if ((uint64_t)st.st_size > most_external)
        return bli_fail(ctx, BL_LIMIT, "external data '%s' has %lld bytes, at most %zu are read", location,
                        (long long)st.st_size, most_external);
    return BL_OK;
}

static bl_status open_external(bl_context *ctx, bli_onnx_external *e, const char *location)
{
    char path[PATH_MAX];
    if (!e->folder)
        return bli_fail(ctx, BL_UNSUPPORTED, "external data '%s': a model in memory has no folder to read from",
                        location);
    if (leaves_folder(location))
        return bli_fail(ctx, BL_BAD_FILE, "external data '%s' leads out of the model's folder", location);
    BLI_TRY(resolve(ctx, e->folder, location, path));
    if (e->path && strcmp(e->path, path) == 0)
        return BL_OK;
    bli_onnx_external_free(ctx, e);
    size_t length = strlen(path) + 1;
    BLI_TRY(examine(ctx, path, location));
    BLI_TRY(bli_file_read(ctx, path, most_external, &e->data, &e->size));
    e->path = bli_alloc(ctx, length);
    if (!e->path)
        return BL_NO_MEMORY;
    memcpy(e->path, path, length);
    return BL_OK;
}

static bl_status entry_number(bl_context *ctx, const BliOnnx__Entry *entry, size_t *out)
{
    const char *text = entry->value ? entry->value : "";
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    if (!text[0] || *end || text[0] == '-' || v > SIZE_MAX / 4)
        return bli_fail(ctx, BL_BAD_FILE, "external data: %s '%s' is no count of bytes", entry->key, text);
    *out = (size_t)v;
    return BL_OK;
}

static bl_status external_bytes(bl_context *ctx, const BliOnnx__Tensor *t, bli_onnx_external *e, const void **data,
                                size_t *size)
{
    const char *location = NULL;
    size_t offset = 0, length = SIZE_MAX;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const BliOnnx__Entry *entry = t->external_data[i];
        if (!entry->key || !entry->value)
            continue;
        if (strcmp(entry->key, "location") == 0)
            location = entry->value;
        else if (strcmp(entry->key, "offset") == 0)
            BLI_TRY(entry_number(ctx, entry, &offset));
        else if (strcmp(entry->key, "length") == 0)
            BLI_TRY(entry_number(ctx, entry, &length));
    }
    if (!location)
        return bli_fail(ctx, BL_BAD_FILE, "external data without a location");
    BLI_TRY(open_external(ctx, e, location));
    if (offset > e->size || (length != SIZE_MAX && length > e->size - offset))
        return bli_fail(ctx, BL_BAD_FILE, "external data '%s': bytes from %zu on are asked for, it has %zu", location,
                        offset, e->size);
    *data = e->data + offset;
    *size = length == SIZE_MAX ? e->size - offset : length;
    return BL_OK;
}

/* ---- typed fields ------------------------------------------------------------------------------------------- */

static size_t typed_count(const BliOnnx__Tensor *t, bl_dtype type)
{
    switch (type) {
    case BL_F32:
        return t->data_type == FLOAT16 || t->data_type == BFLOAT16 ? t->n_int32_data : t->n_float_data;
    case BL_F64:
        return t->n_double_data;
    case BL_I64:
        return t->n_int64_data;
    case BL_U32:
    case BL_U64:
        return t->n_uint64_data;
    default:
        return t->n_int32_data;
    }
}

/* What int32_data and uint64_data hold, narrowed; false where it does not fit. */
#define NARROW_CASE(NAME, ctype, field)                                                                                \
    case BL_##NAME:                                                                                                    \
        ((ctype *)out)[i] = (ctype)t->field[i];                                                                        \
        return (long long)((ctype *)out)[i] == (long long)t->field[i];

static bool narrow(const BliOnnx__Tensor *t, bl_dtype type, void *out, size_t i)
{
    switch (type) {
        NARROW_CASE(I8, int8_t, int32_data)
        NARROW_CASE(U8, uint8_t, int32_data)
        NARROW_CASE(I16, int16_t, int32_data)
        NARROW_CASE(U16, uint16_t, int32_data)
        NARROW_CASE(I32, int32_t, int32_data)
        NARROW_CASE(U32, uint32_t, uint64_data)
    case BL_BOOL:
        ((uint8_t *)out)[i] = t->int32_data[i] != 0;
        return t->int32_data[i] == 0 || t->int32_data[i] == 1;
    case BL_F32: /* FLOAT16, BFLOAT16: the bits */
        ((uint16_t *)out)[i] = (uint16_t)t->int32_data[i];
        return t->int32_data[i] >= 0 && t->int32_data[i] <= UINT16_MAX;
    default:
        return false;
    }
}

static bl_status typed_bytes(bl_context *ctx, const BliOnnx__Tensor *t, bl_dtype type, size_t count, const void **data,
                             void **owned)
{
    size_t has = typed_count(t, type);
    if (has != count)
        return bli_fail(ctx, BL_BAD_FILE, "its shape has %zu elements, its data %zu", count, has);
    if (t->data_type == bli_onnx_data_type(BL_F32))
        *data = t->float_data;
    else if (type == BL_F64)
        *data = t->double_data;
    else if (type == BL_I64)
        *data = t->int64_data;
    else if (type == BL_U64)
        *data = t->uint64_data;
    if (*data || count == 0)
        return BL_OK;
    *data = *owned = bli_alloc_array(ctx, count, stored_size(t->data_type, type));
    if (!*owned)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        if (!narrow(t, type, *owned, i))
            return bli_fail(ctx, BL_BAD_FILE, "element %zu does not fit %s", i, bli_onnx_type_name(t->data_type));
    return BL_OK;
}

/* ---- half floats -------------------------------------------------------------------------------------------- */

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = (h >> 10) & 31, mantissa = h & 1023, bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000u | mantissa << 13;
    } else if (exponent > 0) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        float v = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &v, sizeof bits);
        bits |= sign;
    }
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static bl_status widen(bl_context *ctx, int32_t data_type, size_t count, const void **data, void **owned)
{
    if (data_type != FLOAT16 && data_type != BFLOAT16)
        return BL_OK;
    float *wide = bli_alloc_array(ctx, count, sizeof *wide);
    if (!wide)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        uint16_t h;
        memcpy(&h, (const char *)*data + 2 * i, 2);
        uint32_t bits = (uint32_t)h << 16;
        if (data_type == FLOAT16)
            wide[i] = from_half(h);
        else
            memcpy(&wide[i], &bits, sizeof bits);
    }
    bli_free(ctx, *owned);
    *data = *owned = wide;
    return BL_OK;
}

/* ---- a whole tensor ----------------------------------------------------------------------------------------- */

static bl_status read_shape(bl_context *ctx, const BliOnnx__Tensor *t, size_t element, bl_shape *s, size_t *count)
{
    if (t->n_dims > BL_MAX_RANK)
        return bli_fail(ctx, BL_UNSUPPORTED, "it has %zu dimensions, at most %d are possible", t->n_dims, BL_MAX_RANK);
    *s = (bl_shape){.rank = (int)t->n_dims};
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return bli_fail(ctx, BL_BAD_FILE, "dimension %zu is %lld", i, (long long)t->dims[i]);
        s->dim[i] = t->dims[i];
    }
    int64_t elements = bl_shape_count(s);
    size_t bytes;
    if (elements < 0 || !bli_mul_size((size_t)elements, element, &bytes) || bytes > SIZE_MAX / 4) {
        char text[BL_MAX_RANK * 24];
        bl_shape_print(s, text, sizeof text);
        return bli_fail(ctx, BL_LIMIT, "its shape %s is larger than any memory", text);
    }
    *count = (size_t)elements;
    return BL_OK;
}

static bl_status read_bytes(bl_context *ctx, const BliOnnx__Tensor *t, bli_onnx_external *e, size_t count,
                            const bl_tensor *out, const void **data, void **owned)
{
    size_t element = stored_size(t->data_type, out->type), size = 0;
    if (t->has_data_location && t->data_location == EXTERNAL)
        BLI_TRY(external_bytes(ctx, t, e, data, &size));
    else if (t->has_raw_data) {
        *data = t->raw_data.data;
        size = t->raw_data.len;
    } else {
        return typed_bytes(ctx, t, out->type, count, data, owned);
    }
    if (size != count * element)
        return bli_fail(ctx, BL_BAD_FILE, "its shape needs %zu bytes, its data has %zu", count * element, size);
    return BL_OK;
}

bl_status bli_onnx_tensor(bl_context *ctx, const BliOnnx__Tensor *t, bli_onnx_external *e, bl_tensor *out, void **owned)
{
    *owned = NULL;
    const void *data = NULL;
    size_t count = 0;
    if (t->has_segment)
        return bli_fail(ctx, BL_UNSUPPORTED, "it is stored in segments");
    if (!bli_onnx_dtype(t->data_type, &out->type))
        return bli_fail(ctx, BL_UNSUPPORTED, "its element type %d (%s) is not supported", t->data_type,
                        bli_onnx_type_name(t->data_type));
    BLI_TRY(read_shape(ctx, t, stored_size(t->data_type, out->type), &out->shape, &count));
    bl_status s = read_bytes(ctx, t, e, count, out, &data, owned);
    if (s == BL_OK)
        s = widen(ctx, t->data_type, count, &data, owned);
    if (s != BL_OK) {
        bli_free(ctx, *owned);
        *owned = NULL;
        return s;
    }
    static char nothing[1]; /* a tensor without elements may lack data; never written */
    out->data = count ? (void *)data : nothing;
    return BL_OK;
}
