/* npy.c: reading and writing NumPy's array files.
 *
 * The header is a Python dictionary literal.  Only what NumPy itself writes is understood: three keys in any order,
 * strings, True and False, a tuple of numbers.  Everything goes through the bounded cursor.
 */
#include "tensor/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are written as they lie in memory");

static const struct {
    const char *descr;
    size_t size;
} dtypes[BL_DTYPE_COUNT] = {
#define DTYPE_ROW(name, ctype, npy, onnx) [BL_##name] = {npy, sizeof(ctype)},
    BL_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

/* ---- the header's words -------------------------------------------------------------------------------------- */
static int peek(const bli_reader *r)
{
    return bli_reader_left(r) > 0 ? r->data[r->pos] : -1;
}

static void skip_space(bli_reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\n' || peek(r) == '\t')
        r->pos++;
}

static bool accept(bli_reader *r, const char *word)
{
    skip_space(r);
    size_t n = strlen(word);
    if (bli_reader_left(r) < n || memcmp(r->data + r->pos, word, n) != 0)
        return false;
    r->pos += n;
    return true;
}

static bl_status expect(bl_context *ctx, bli_reader *r, const char *word)
{
    if (accept(r, word))
        return BL_OK;
    return bli_fail(ctx, BL_BAD_FILE, "npy header: expected '%s' at byte %zu of the dictionary", word, r->pos);
}

static bl_status read_string(bl_context *ctx, bli_reader *r, char *out, size_t room)
{
    skip_space(r);
    int quote = peek(r);
    if (quote != '\'' && quote != '"')
        return bli_fail(ctx, BL_BAD_FILE, "npy header: expected a string at byte %zu of the dictionary", r->pos);
    r->pos++;
    size_t n = 0;
    for (; peek(r) != quote; r->pos++) {
        if (peek(r) < ' ' || peek(r) == '\\' || n + 1 >= room)
            return bli_fail(ctx, BL_BAD_FILE, "npy header: string at byte %zu is too long, unfinished or has an escape",
                            r->pos);
        out[n++] = (char)peek(r);
    }
    r->pos++;
    out[n] = '\0';
    return BL_OK;
}

static bl_status read_bool(bl_context *ctx, bli_reader *r, bool *out)
{
    *out = accept(r, "True");
    if (*out || accept(r, "False"))
        return BL_OK;
    return bli_fail(ctx, BL_BAD_FILE, "npy header: fortran_order is neither True nor False");
}

static bl_status read_number(bl_context *ctx, bli_reader *r, int64_t *out)
{
    skip_space(r);
    size_t start = r->pos;
    int64_t v = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->pos++)
        if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_add_overflow(v, (int64_t)(peek(r) - '0'), &v))
            return bli_fail(ctx, BL_BAD_FILE, "npy header: shape: a dimension is above 2^63 - 1");
    if (r->pos == start)
        return bli_fail(ctx, BL_BAD_FILE, "npy header: shape: expected a number at byte %zu of the dictionary", start);
    if (peek(r) == 'L') /* Python 2 wrote its long integers so */
        r->pos++;
    *out = v;
    return BL_OK;
}

static bl_status read_shape(bl_context *ctx, bli_reader *r, bl_shape *out)
{
    out->rank = 0;
    BLI_TRY(expect(ctx, r, "("));
    while (!accept(r, ")")) {
        if (out->rank == BL_MAX_RANK)
            return bli_fail(ctx, BL_UNSUPPORTED, "npy header: shape: more than %d dimensions", BL_MAX_RANK);
        BLI_TRY(read_number(ctx, r, &out->dim[out->rank++]));
        if (accept(r, ",") || peek(r) == ')')
            continue;
        return expect(ctx, r, ")");
    }
    return BL_OK;
}

static bl_status read_descr(bl_context *ctx, bli_reader *r, bli_npy_header *h)
{
    char descr[32] = "";
    skip_space(r);
    if (peek(r) == '[')
        return bli_fail(ctx, BL_UNSUPPORTED, "npy header: arrays of records are not supported");
    BLI_TRY(read_string(ctx, r, descr, sizeof descr));
    const char *kind = strchr("<>=|", descr[0]) != NULL && descr[0] != '\0' ? descr + 1 : descr;
    for (int i = 0; i < BL_DTYPE_COUNT; i++) {
        if (strcmp(kind, dtypes[i].descr + 1) != 0)
            continue;
        h->type = (bl_dtype)i;
        h->big_endian = descr[0] == '>' && dtypes[i].size > 1;
        return BL_OK;
    }
    return bli_fail(ctx, BL_UNSUPPORTED,
                    "npy header: elements of type '%s' are not supported (f4 f8 i1 u1 i2 u2 i4 u4 i8 u8 b1 are)",
                    descr);
}

enum { SAW_DESCR = 1, SAW_FORTRAN = 2, SAW_SHAPE = 4, SAW_ALL = 7 };

static bl_status read_item(bl_context *ctx, bli_reader *r, bli_npy_header *h, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[32];
    BLI_TRY(read_string(ctx, r, key, sizeof key));
    BLI_TRY(expect(ctx, r, ":"));
    unsigned k = 0;
    while (k < BLI_COUNT(keys) && strcmp(key, keys[k]) != 0)
        k++;
    if (k == BLI_COUNT(keys) || (*seen & 1u << k) != 0)
        return bli_fail(ctx, BL_BAD_FILE, "npy header: key '%s' is unknown or there twice", key);
    *seen |= 1u << k;
    if (1u << k == SAW_DESCR)
        return read_descr(ctx, r, h);
    if (1u << k == SAW_FORTRAN)
        return read_bool(ctx, r, &h->fortran);
    return read_shape(ctx, r, &h->shape);
}

static bl_status read_dictionary(bl_context *ctx, bli_reader *r, bli_npy_header *h)
{
    unsigned seen = 0;
    BLI_TRY(expect(ctx, r, "{"));
    while (!accept(r, "}")) {
        BLI_TRY(read_item(ctx, r, h, &seen));
        if (!accept(r, ",") && peek(r) != '}')
            return expect(ctx, r, "}");
    }
    skip_space(r);
    if (bli_reader_left(r) > 0)
        return bli_fail(ctx, BL_BAD_FILE, "npy header: text after the dictionary");
    if (seen != SAW_ALL)
        return bli_fail(ctx, BL_BAD_FILE, "npy header: descr, fortran_order or shape is missing");
    return BL_OK;
}

/* ---- the header ---------------------------------------------------------------------------------------------- */
static bl_status read_preamble(bl_context *ctx, bli_reader *r, size_t *length)
{
    static const char magic[] = "\x93NUMPY";
    const uint8_t *p = bli_reader_take(r, 8);
    if (p == NULL || memcmp(p, magic, 6) != 0)
        return bli_fail(ctx, BL_BAD_FILE, "not an npy file: it does not begin with \\x93NUMPY and a version");
    if (p[6] < 1 || p[6] > 3 || p[7] != 0)
        return bli_fail(ctx, BL_UNSUPPORTED, "npy version %d.%d: only 1.0, 2.0 and 3.0 are known", p[6], p[7]);
    uint16_t narrow = 0;
    uint32_t wide = 0;
    bool there = p[6] == 1 ? bli_reader_u16le(r, &narrow) : bli_reader_u32le(r, &wide);
    *length = p[6] == 1 ? narrow : wide;
    if (!there || *length > bli_reader_left(r))
        return bli_fail(ctx, BL_BAD_FILE, "npy header: cut short");
    if (*length > BLI_NPY_HEADER_CEILING)
        return bli_fail(ctx, BL_LIMIT, "npy header: %zu bytes, at most %d are read", *length, BLI_NPY_HEADER_CEILING);
    return BL_OK;
}

bl_status bli_npy_header_read(bl_context *ctx, bli_reader *r, bli_npy_header *out)
{
    size_t length = 0;
    *out = (bli_npy_header){.type = BL_F32};
    BLI_TRY(read_preamble(ctx, r, &length));
    bli_reader dictionary = bli_reader_make(bli_reader_take(r, length), length);
    BLI_TRY(read_dictionary(ctx, &dictionary, out));
    int64_t count = bl_shape_count(&out->shape);
    if (count < 0 || !bli_mul_size((size_t)count, dtypes[out->type].size, &out->data_bytes))
        return bli_fail(ctx, BL_BAD_FILE, "npy header: shape: more elements than any file can hold");
    return BL_OK;
}

size_t bli_npy_header_print(const bl_tensor *t, char header[BLI_NPY_HEADER_ROOM])
{
    char shape[BL_MAX_RANK * 24 + 3];
    size_t used = 0;
    shape[0] = '\0';
    for (int i = 0; i < t->shape.rank; i++) {
        const char *comma = t->shape.rank == 1 ? "," : i + 1 < t->shape.rank ? ", " : "";
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld%s", (long long)t->shape.dim[i], comma);
    }
    int n = snprintf(header + 10, BLI_NPY_HEADER_ROOM - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                     dtypes[t->type].descr, shape);
    size_t end = 10 + (size_t)n + 1, length = (end + 63) / 64 * 64;
    memset(header + end - 1, ' ', length - end);
    header[length - 1] = '\n';
    static const char magic_1_0[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    memcpy(header, magic_1_0, sizeof magic_1_0);
    header[8] = (char)((length - 10) & 0xff);
    header[9] = (char)((length - 10) >> 8);
    return length;
}

/* ---- the elements -------------------------------------------------------------------------------------------- */
static void swap_bytes(uint8_t *data, size_t bytes, size_t size)
{
    for (size_t at = 0; at < bytes; at += size)
        for (size_t i = 0; i < size / 2; i++) {
            uint8_t kept = data[at + i];
            data[at + i] = data[at + size - 1 - i];
            data[at + size - 1 - i] = kept;
        }
}

/* NumPy reads every byte but zero as True. */
static void normalise_bools(uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = data[i] != 0;
}

/* to[i0, i1, ...] = from[..., i1, i0]: counts the indices up in row-major order, moving through from by its strides. */
static void transpose(const bl_shape *s, size_t size, const char *from, char *to)
{
    size_t stride[BL_MAX_RANK], at = 0;
    int64_t index[BL_MAX_RANK] = {0};
    for (int k = 0; k < s->rank; k++)
        stride[k] = k == 0 ? size : stride[k - 1] * (size_t)s->dim[k - 1];
    int64_t count = bl_shape_count(s);
    for (int64_t i = 0; i < count; i++) {
        memcpy(to + (size_t)i * size, from + at, size);
        for (int k = s->rank - 1; k >= 0; k--) {
            at += stride[k];
            if (++index[k] < s->dim[k])
                break;
            at -= stride[k] * (size_t)s->dim[k];
            index[k] = 0;
        }
    }
}

static bl_status adopt(bl_context *ctx, char *block, size_t size, bl_tensor *out)
{
    bli_npy_header h;
    bli_reader r = bli_reader_make(block, size);
    BLI_TRY(bli_npy_header_read(ctx, &r, &h));
    if (bli_reader_left(&r) != h.data_bytes)
        return bli_fail(ctx, BL_BAD_FILE, "npy: %zu bytes of elements where the header promises %zu",
                        bli_reader_left(&r), h.data_bytes);
    char *data = block + r.pos;
    if (h.big_endian)
        swap_bytes((uint8_t *)data, h.data_bytes, dtypes[h.type].size);
    if (h.type == BL_BOOL)
        normalise_bools((uint8_t *)data, h.data_bytes);
    if (h.fortran && h.shape.rank > 1) {
        BLI_TRY(bl_tensor_create(ctx, h.type, &h.shape, out));
        transpose(&h.shape, dtypes[h.type].size, data, out->data);
        bli_free(ctx, block);
        return BL_OK;
    }
    memmove(block, data, h.data_bytes);
    *out = (bl_tensor){h.type, h.shape, block};
    return BL_OK;
}

bl_status bli_npy_adopt(bl_context *ctx, char *block, size_t size, bl_tensor *out)
{
    *out = (bl_tensor){.type = BL_F32};
    bl_status s = adopt(ctx, block, size, out);
    if (s != BL_OK)
        bli_free(ctx, block);
    return s;
}

bl_status bl_npy_read(bl_context *ctx, const char *path, bl_tensor *out)
{
    char *block;
    size_t size;
    *out = (bl_tensor){.type = BL_F32};
    BLI_TRY(bli_file_read(ctx, path, BLI_NPY_CEILING, &block, &size));
    return bli_within(ctx, bli_npy_adopt(ctx, block, size, out), "%s", path);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */
bl_status bli_npy_check(bl_context *ctx, const bl_tensor *t, size_t *bytes)
{
    *bytes = 0;
    if ((unsigned)t->type >= BL_DTYPE_COUNT || t->shape.rank < 0 || t->shape.rank > BL_MAX_RANK)
        return bli_fail(ctx, BL_USAGE, "a tensor of type %d and rank %d cannot be written", (int)t->type,
                        t->shape.rank);
    int64_t count = bl_shape_count(&t->shape);
    if (count < 0 || (t->data == NULL && count > 0))
        return bli_fail(ctx, BL_USAGE, "a tensor of unknown shape or without data cannot be written");
    if (!bli_mul_size((size_t)count, dtypes[t->type].size, bytes))
        return bli_fail(ctx, BL_LIMIT, "a tensor of %lld elements is too large", (long long)count);
    return BL_OK;
}

static bl_status write_tensor(bl_context *ctx, const char *path, const bl_tensor *t)
{
    size_t bytes;
    char header[BLI_NPY_HEADER_ROOM];
    bli_writer *w;
    BLI_TRY(bli_npy_check(ctx, t, &bytes));
    BLI_TRY(bli_writer_open(ctx, path, &w));
    bl_status s = bli_writer_write(w, header, bli_npy_header_print(t, header));
    if (s == BL_OK)
        s = bli_writer_write(w, t->data, bytes);
    if (s == BL_OK)
        return bli_writer_commit(w);
    bli_writer_abandon(w);
    return s;
}

bl_status bl_npy_write(bl_context *ctx, const char *path, const bl_tensor *t)
{
    return bli_within(ctx, write_tensor(ctx, path, t), "write npy");
}
