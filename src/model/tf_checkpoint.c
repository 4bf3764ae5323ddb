/* tf_checkpoint.c: tensors by name.
 *
 * A key of the index is a tensor's name, its value a message BundleEntryProto (tensorflow/core/protobuf/
 * tensor_bundle.proto); the empty key has the header.  A tensor in parts has a list of slices under its name, and each
 * part an entry under a key that begins with a zero byte, the name, and 0 1; such keys sort as the parts begin.
 */
#include "model/tf_checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/reader.h"
#include "model/graphdef.h"
#include "model/sstable.h"

#define MOST_INDEX ((size_t)1 << 28)
#define MOST_BYTES ((uint64_t)1 << 31)
enum { MOST_SHARDS = 99999, VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct bli_tf_checkpoint {
    bl_context *ctx;
    char *prefix, *index;
    bli_sstable table;
    uint64_t shards;
};

/* ---- messages ---------------------------------------------------------------------------------------------------- */
typedef struct field {
    uint64_t number, value; /* of a varint, or FIXED32 */
    bli_reader bytes;
} field;

static bool next_field(bli_reader *r, field *f)
{
    uint64_t tag, size;
    uint32_t fixed;
    const uint8_t *p = r->data;
    if (bli_reader_left(r) == 0 || !bli_reader_varint(r, &tag))
        return false;
    *f = (field){.number = tag >> 3};
    switch (tag & 7) {
    case VARINT:
        return bli_reader_varint(r, &f->value);
    case FIXED64:
        return bli_reader_take(r, 8) != NULL;
    case BYTES:
        if (!bli_reader_varint(r, &size) || size > bli_reader_left(r))
            return false;
        p = bli_reader_take(r, (size_t)size);
        f->bytes = bli_reader_make(p, (size_t)size);
        return p != NULL;
    case FIXED32:
        if (!bli_reader_u32le(r, &fixed))
            return false;
        f->value = fixed;
        return true;
    default:
        return false;
    }
}

/* The varint of one field of a message; absent: 0. */
static uint64_t number_in(bli_reader r, uint64_t number)
{
    field f;
    uint64_t v = 0;
    while (next_field(&r, &f))
        v = f.number == number ? f.value : v;
    return v;
}

typedef struct entry {
    bool found, broken, unknown;
    int dtype, rank; /* rank past the limit: -1 */
    int64_t dim[BLI_TF_SAVED_RANK];
    uint64_t shard, offset, size, crc, slices;
} entry;

static void read_shape(bli_reader r, entry *e)
{
    field f;
    while (next_field(&r, &f)) {
        if (f.number == 2 && e->rank >= 0 && e->rank < BLI_TF_SAVED_RANK)
            e->dim[e->rank++] = (int64_t)number_in(f.bytes, 1);
        else if (f.number == 2)
            e->rank = -1;
        else if (f.number == 3)
            e->unknown = true;
    }
}

static entry read_entry(const bli_sstable_entry *from)
{
    bli_reader r = bli_reader_make(from->value, from->value_size);
    entry e = {.found = true};
    field f;
    while (next_field(&r, &f))
        switch (f.number) {
        case 1:
            e.dtype = (int)(f.value & 0xff);
            break;
        case 2:
            read_shape(f.bytes, &e);
            break;
        case 3:
            e.shard = f.value;
            break;
        case 4:
            e.offset = f.value;
            break;
        case 5:
            e.size = f.value;
            break;
        case 6:
            e.crc = f.value;
            break;
        case 7:
            e.slices++;
            break;
        default:
            break;
        }
    e.broken = bli_reader_left(&r) > 0;
    return e;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
typedef struct header {
    bool found;
    uint64_t shards, big_endian;
} header;

static bool take_header(void *user, const bli_sstable_entry *e)
{
    header *h = user;
    const bli_reader r = bli_reader_make(e->value, e->value_size);
    if (e->key_size == 0)
        *h = (header){true, number_in(r, 1), number_in(r, 2)};
    return false; /* it would be the first */
}

static bl_status open_index(bli_tf_checkpoint *c, const char *path)
{
    size_t size;
    header h = {false, 0, 0};
    BLI_TRY(bli_file_read(c->ctx, path, MOST_INDEX, &c->index, &size));
    BLI_TRY(bli_within(c->ctx, bli_sstable_open(c->ctx, c->index, size, &c->table), "%s", path));
    bli_sstable_walk(&c->table, take_header, &h);
    if (!h.found)
        return bli_fail(c->ctx, BL_BAD_FILE, "%s: a table without the header of a checkpoint", path);
    if (h.big_endian || h.shards < 1 || h.shards > MOST_SHARDS)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "%s: %llu files of data%s; expected 1 .. %d, lowest byte first", path,
                        (unsigned long long)h.shards, h.big_endian ? ", highest byte first" : "", MOST_SHARDS);
    c->shards = h.shards;
    return BL_OK;
}

bl_status bli_tf_checkpoint_open(bl_context *ctx, const char *prefix, bli_tf_checkpoint **out)
{
    bli_buf path;
    bli_tf_checkpoint *c = bli_alloc(ctx, sizeof *c);
    *out = NULL;
    if (!c)
        return BL_NO_MEMORY;
    *c = (bli_tf_checkpoint){.ctx = ctx, .prefix = bli_alloc(ctx, strlen(prefix) + 1)};
    bli_buf_init(&path, ctx, 1 << 16);
    bl_status s = c->prefix ? bli_buf_printf(&path, "%s.index", prefix) : BL_NO_MEMORY;
    if (s == BL_OK) {
        strcpy(c->prefix, prefix);
        s = open_index(c, path.data);
    }
    bli_buf_free(&path);
    if (s != BL_OK) {
        bli_tf_checkpoint_close(c);
        return s;
    }
    *out = c;
    return BL_OK;
}

void bli_tf_checkpoint_close(bli_tf_checkpoint *c)
{
    if (!c)
        return;
    bli_free(c->ctx, c->prefix);
    bli_free(c->ctx, c->index);
    bli_free(c->ctx, c);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */
static bl_status check_entry(bli_tf_checkpoint *c, const char *name, const entry *e, uint64_t *bytes)
{
    uint64_t count = 1;
    if (e->broken || e->rank < 0 || e->unknown)
        return bli_fail(c->ctx, BL_BAD_FILE, "%s.index: tensor '%s': an entry that cannot be read", c->prefix, name);
    if (e->dtype != BLI_DT_FLOAT)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "%s.index: tensor '%s' is of type %s; expected float", c->prefix, name,
                        bli_tf_dtype_name(e->dtype));
    for (int i = 0; i < e->rank; i++) {
        if (e->dim[i] < 0 || (uint64_t)e->dim[i] > MOST_BYTES || count * (uint64_t)e->dim[i] > MOST_BYTES / 4)
            return bli_fail(c->ctx, BL_LIMIT,
                            "%s.index: tensor '%s': dimension %d is %lld; expected at most %llu bytes in all",
                            c->prefix, name, i, (long long)e->dim[i], (unsigned long long)MOST_BYTES);
        count *= (uint64_t)e->dim[i];
    }
    *bytes = 4 * count;
    return BL_OK;
}

/* An entry's own bytes; to NULL: whether they are there. */
static bl_status read_bytes(bli_tf_checkpoint *c, const char *name, const entry *e, void *to, uint64_t bytes)
{
    bli_buf path;
    if (e->size != bytes || e->shard >= c->shards || e->offset > UINT64_MAX - bytes)
        return bli_fail(c->ctx, BL_BAD_FILE,
                        "%s.index: tensor '%s': %llu bytes in file %llu; expected %llu in one of %llu", c->prefix, name,
                        (unsigned long long)e->size, (unsigned long long)e->shard, (unsigned long long)bytes,
                        (unsigned long long)c->shards);
    bli_buf_init(&path, c->ctx, 1 << 16);
    bl_status s = bli_buf_printf(&path, "%s.data-%05llu-of-%05llu", c->prefix, (unsigned long long)e->shard,
                                 (unsigned long long)c->shards);
    if (s == BL_OK && !to)
        s = bli_within(c->ctx, bli_file_reaches(c->ctx, path.data, e->offset + bytes), "tensor '%s'", name);
    if (s == BL_OK && to)
        s = bli_within(c->ctx, bli_file_read_at(c->ctx, path.data, e->offset, (size_t)bytes, to), "tensor '%s'", name);
    if (s == BL_OK && to && bli_crc32c_masked(bli_crc32c(to, (size_t)bytes, 0)) != e->crc)
        s = bli_fail(c->ctx, BL_BAD_FILE, "%s: tensor '%s' has another sum than the index says", path.data, name);
    bli_buf_free(&path);
    return s;
}

typedef struct search {
    const uint8_t *key;
    size_t size;
    entry e;
} search;

static bool take_entry(void *user, const bli_sstable_entry *e)
{
    search *s = user;
    if (e->key_size != s->size || memcmp(e->key, s->key, s->size) != 0)
        return true;
    s->e = read_entry(e);
    return false;
}

/* Parts in their order. */
typedef struct parts {
    bli_tf_checkpoint *c;
    const char *name;
    const entry *whole;
    char *to;
    uint64_t done, count; /* bytes, parts */
    int64_t rows;
    bl_status status;
} parts;

static bl_status add_part(parts *p, const bli_sstable_entry *from)
{
    const entry e = read_entry(from);
    uint64_t bytes;
    BLI_TRY(check_entry(p->c, p->name, &e, &bytes));
    bool fits = e.rank == p->whole->rank && e.rank > 0 && e.dim[0] <= p->whole->dim[0] - p->rows;
    for (int i = 1; i < e.rank; i++)
        fits = fits && e.dim[i] == p->whole->dim[i];
    if (!fits)
        return bli_fail(p->c->ctx, BL_UNSUPPORTED,
                        "%s.index: tensor '%s': part %llu; expected parts along the first dimension", p->c->prefix,
                        p->name, (unsigned long long)p->count);
    BLI_TRY(read_bytes(p->c, p->name, &e, p->to ? p->to + p->done : NULL, bytes));
    p->done += bytes;
    p->rows += e.dim[0];
    p->count++;
    return BL_OK;
}

static bool take_part(void *user, const bli_sstable_entry *e)
{
    parts *p = user;
    const size_t size = strlen(p->name);
    if (e->key_size < size + 3 || e->key[0] != 0 || memcmp(e->key + 1, p->name, size) != 0 || e->key[size + 1] != 0 ||
        e->key[size + 2] != 1)
        return true;
    p->status = add_part(p, e);
    return p->status == BL_OK;
}

static bl_status read_parts(bli_tf_checkpoint *c, const char *name, const entry *e, void *to)
{
    parts p = {.c = c, .name = name, .whole = e, .to = to};
    bli_sstable_walk(&c->table, take_part, &p);
    BLI_TRY(p.status);
    if (p.count == e->slices && p.rows == e->dim[0])
        return BL_OK;
    return bli_fail(c->ctx, BL_BAD_FILE, "%s.index: tensor '%s': %llu parts with %lld rows; expected %llu with %lld",
                    c->prefix, name, (unsigned long long)p.count, (long long)p.rows, (unsigned long long)e->slices,
                    (long long)e->dim[0]);
}

static bl_status read_all(bli_tf_checkpoint *c, const char *name, const entry *e, void *to, uint64_t bytes)
{
    return e->slices ? read_parts(c, name, e, to) : read_bytes(c, name, e, to, bytes);
}

bl_status bli_tf_checkpoint_read(bli_tf_checkpoint *c, const char *name, bli_tf_saved *out)
{
    search s = {(const uint8_t *)name, strlen(name), {.found = false}};
    uint64_t bytes;
    *out = (bli_tf_saved){.data = NULL};
    bli_sstable_walk(&c->table, take_entry, &s);
    if (!s.e.found || s.size == 0)
        return bli_fail(c->ctx, BL_NOT_FOUND, "%s.index: no tensor '%s'", c->prefix, name);
    BLI_TRY(check_entry(c, name, &s.e, &bytes));
    if (s.e.slices && s.e.rank == 0)
        return bli_fail(c->ctx, BL_BAD_FILE, "%s.index: tensor '%s': a scalar in parts", c->prefix, name);
    BLI_TRY(read_all(c, name, &s.e, NULL, bytes));
    *out = (bli_tf_saved){.dtype = s.e.dtype, .rank = s.e.rank, .data = bli_alloc(c->ctx, bytes ? (size_t)bytes : 1)};
    if (!out->data)
        return BL_NO_MEMORY;
    memcpy(out->dim, s.e.dim, sizeof out->dim);
    bl_status status = read_all(c, name, &s.e, out->data, bytes);
    if (status != BL_OK) {
        bli_free(c->ctx, out->data);
        *out = (bli_tf_saved){.data = NULL};
    }
    return status;
}
