/* idx.c: reading one IDX file.
 *
 * The format (Yann LeCun's page of the MNIST database): two zero bytes, a byte for the element type, a byte for the
 * number of dimensions, the dimensions as big-endian 32-bit numbers, then the elements, big-endian, row-major.
 * A file is believed only if its size is exactly what its header says: memory is taken after that, never before.
 */
#include "train/data/idx.h"

#include "base/reader.h"
#include "train/data/input.h"

static const struct {
    uint8_t code;
    bl_dtype type;
} codes[] = {
    {0x08, BL_U8}, {0x09, BL_I8}, {0x0b, BL_I16}, {0x0c, BL_I32}, {0x0d, BL_F32}, {0x0e, BL_F64},
};

typedef struct header {
    bl_dtype type;
    bl_shape shape;
    uint64_t header_bytes, data_bytes;
} header;

static bool find_type(uint8_t code, bl_dtype *type)
{
    for (size_t i = 0; i < BLI_COUNT(codes); i++)
        if (codes[i].code == code) {
            *type = codes[i].type;
            return true;
        }
    return false;
}

bool bli_idx_magic(const uint8_t magic[4])
{
    bl_dtype type;
    return magic[0] == 0 && magic[1] == 0 && find_type(magic[2], &type) && magic[3] >= 1 && magic[3] <= BL_MAX_RANK;
}

static bl_status bad_magic(bl_context *ctx, const char *path, const uint8_t m[4])
{
    return bli_fail(
        ctx, BL_BAD_FILE,
        "%s: magic %02x %02x %02x %02x at byte 0 is not IDX; expected 00 00, an element type (08 09 0b 0c 0d "
        "0e) and 1 to %d dimensions",
        path, m[0], m[1], m[2], m[3], BL_MAX_RANK);
}

static bl_status truncated(bl_context *ctx, const char *path, uint64_t got, uint64_t expected)
{
    return bli_fail(ctx, BL_BAD_FILE, "%s: truncated: has %llu bytes; its header promises %llu", path,
                    (unsigned long long)got, (unsigned long long)expected);
}

static bl_status parse_dims(bl_context *ctx, const char *path, bli_reader *r, header *h)
{
    uint64_t bytes = bl_dtype_size(h->type);
    for (int i = 0; i < h->shape.rank; i++) {
        uint32_t dim = 0;
        if (!bli_reader_u32be(r, &dim))
            return truncated(ctx, path, r->size, h->header_bytes);
        if (dim == 0)
            return bli_fail(ctx, BL_BAD_FILE,
                            "%s: dimension %d at byte %zu is 0; a set needs at least one row and element", path, i,
                            r->pos - 4);
        h->shape.dim[i] = dim;
        if (__builtin_mul_overflow(bytes, (uint64_t)dim, &bytes) || bytes > INT64_MAX)
            return bli_fail(ctx, BL_LIMIT, "%s: dimensions multiply to more than 2^63 bytes at byte %zu", path,
                            r->pos - 4);
    }
    h->data_bytes = bytes;
    return BL_OK;
}

static bl_status read_header(bl_context *ctx, const char *path, bli_input *in, header *h)
{
    uint8_t bytes[4 + 4 * BL_MAX_RANK];
    size_t got = 0, more = 0;
    BLI_TRY(bli_input_read(in, bytes, 4, &got));
    if (got < 4)
        return truncated(ctx, path, got, 8);
    if (!bli_idx_magic(bytes) || !find_type(bytes[2], &h->type))
        return bad_magic(ctx, path, bytes);
    h->shape = (bl_shape){.rank = bytes[3]};
    h->header_bytes = 4 + 4 * (uint64_t)bytes[3];
    BLI_TRY(bli_input_read(in, bytes + 4, (size_t)h->header_bytes - 4, &more));
    bli_reader r = bli_reader_make(bytes, got + more);
    (void)bli_reader_take(&r, 4);
    return parse_dims(ctx, path, &r, h);
}

static bl_status check_size(bl_context *ctx, const char *path, const bli_input *in, const header *h)
{
    uint64_t claimed = h->header_bytes + h->data_bytes, ceiling = bli_input_ceiling(in);
    if (claimed > ceiling && bli_input_packed(in))
        return bli_fail(ctx, BL_BAD_FILE,
                        "%s: header promises %llu bytes, more than %llu packed bytes can hold (deflate expands at most "
                        "1032 times)",
                        path, (unsigned long long)claimed, (unsigned long long)bli_input_file_size(in));
    if (claimed > ceiling)
        return truncated(ctx, path, ceiling, claimed);
    if (!bli_input_packed(in) && claimed < ceiling)
        return bli_fail(ctx, BL_BAD_FILE, "%s: has %llu bytes; its header promises only %llu", path,
                        (unsigned long long)ceiling, (unsigned long long)claimed);
    return BL_OK;
}

static void read_in_place(bl_dataset *d, bli_input *in, const header *h, bli_block *b)
{
    b->fd = bli_input_take_fd(in);
    b->offset = h->header_bytes;
    b->swapped = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    bli_dataset_defer_fd(d, b->fd);
}

static bl_status read_whole(bl_dataset *d, bli_input *in, const header *h, bli_block *b)
{
    uint8_t *data = bli_alloc(d->ctx, (size_t)h->data_bytes), extra = 0;
    if (!data)
        return bli_within(d->ctx, BL_NO_MEMORY, "%s", b->path);
    bli_dataset_defer(d, bli_free, data);
    size_t got = 0, more = 0;
    BLI_TRY(bli_input_read(in, data, (size_t)h->data_bytes, &got));
    if (got < h->data_bytes)
        return truncated(d->ctx, b->path, h->header_bytes + got, h->header_bytes + h->data_bytes);
    BLI_TRY(bli_input_read(in, &extra, 1, &more)); /* also lets gzip check its sum */
    if (more > 0)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: content goes on after the %llu bytes that its header promises",
                        b->path, (unsigned long long)h->header_bytes + h->data_bytes);
    size_t size = bl_dtype_size(b->type);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        bli_swap_elements(data, (size_t)h->data_bytes / size, size);
    b->data = data;
    return BL_OK;
}

static bl_status read_opened(bl_dataset *d, bli_input *in, const char *path, size_t budget, bli_block *out,
                             bl_shape *row)
{
    header h = {0};
    BLI_TRY(read_header(d->ctx, path, in, &h));
    BLI_TRY(check_size(d->ctx, path, in, &h));
    *row = (bl_shape){.rank = h.shape.rank - 1};
    for (int i = 0; i < row->rank; i++)
        row->dim[i] = h.shape.dim[i + 1];
    *out = bli_block_make(path, h.type, (uint64_t)h.shape.dim[0], (size_t)bl_shape_count(row), NULL);
    if (h.data_bytes <= budget)
        return read_whole(d, in, &h, out);
    if (bli_input_packed(in))
        return bli_fail(d->ctx, BL_LIMIT,
                        "%s: unpacks to %llu bytes, more than the %zu that rows may take in memory; gunzip it, then it "
                        "is read in place",
                        path, (unsigned long long)h.data_bytes, budget);
    read_in_place(d, in, &h, out);
    return BL_OK;
}

bl_status bli_idx_read(bl_dataset *d, const char *path, size_t budget, bli_block *out, bl_shape *row)
{
    char *name = bli_arena_strdup(d->arena, path);
    if (!name)
        return BL_NO_MEMORY;
    bli_input *in = NULL;
    BLI_TRY(bli_input_open(d->ctx, path, &in));
    bl_status s = read_opened(d, in, name, budget, out, row);
    bli_input_close(in);
    return s;
}
