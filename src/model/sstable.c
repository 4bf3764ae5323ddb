/* sstable.c: blocks of entries that share prefixes, an index block that says where they are, a footer of 48 bytes. */
#include "model/sstable.h"

#include <string.h>

enum { FOOTER = 48, TRAILER = 5 }; /* a block's trailer: kind of compression, sum */
#define MAGIC 0xdb4775248b80fb57u

/* ---- sums -------------------------------------------------------------------------------------------------------- */
/* Castagnoli's polynomial, reflected; four bits a step. */
uint32_t bli_crc32c(const void *data, size_t size, uint32_t before)
{
    static const uint32_t row[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                     0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *p = data;
    uint32_t crc = ~before;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ row[crc & 15];
        crc = crc >> 4 ^ row[crc & 15];
    }
    return ~crc;
}

uint32_t bli_crc32c_masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */
typedef struct handle {
    uint64_t offset, size;
} handle;

static bool read_handle(bli_reader *r, handle *h)
{
    return bli_reader_varint(r, &h->offset) && bli_reader_varint(r, &h->size);
}

static uint32_t u32_at(const uint8_t *p)
{
    bli_reader r = bli_reader_make(p, 4);
    uint32_t v = 0;
    return bli_reader_u32le(&r, &v) ? v : 0;
}

/* The entries of a block: what is in front of its list of restarts. */
static bl_status open_block(bl_context *ctx, const bli_sstable *t, const handle *h, bli_reader *out)
{
    if (h->size < 4 || h->size > t->size || h->offset > t->size - h->size ||
        t->size - h->size - (size_t)h->offset < TRAILER)
        return bli_fail(ctx, BL_BAD_FILE, "a block of %llu bytes at byte %llu; the file has %zu",
                        (unsigned long long)h->size, (unsigned long long)h->offset, t->size);
    const uint8_t *p = t->data + h->offset;
    const size_t size = (size_t)h->size;
    if (p[size] != 0)
        return bli_fail(ctx, BL_UNSUPPORTED, "the block at byte %llu is compressed (%u); expected plain ones",
                        (unsigned long long)h->offset, p[size]);
    if (bli_crc32c_masked(bli_crc32c(p, size + 1, 0)) != u32_at(p + size + 1))
        return bli_fail(ctx, BL_BAD_FILE, "the block at byte %llu has another sum than it says",
                        (unsigned long long)h->offset);
    const uint64_t restarts = u32_at(p + size - 4);
    if (restarts > (size - 4) / 4)
        return bli_fail(ctx, BL_BAD_FILE, "the block at byte %llu has %llu restarts in %zu bytes",
                        (unsigned long long)h->offset, (unsigned long long)restarts, size);
    *out = bli_reader_make(p, size - 4 - 4 * (size_t)restarts);
    return BL_OK;
}

typedef struct cursor {
    bli_reader r;
    uint8_t key[BLI_SSTABLE_KEY];
    size_t key_size;
} cursor;

/* The next entry; false at the end, and where the bytes make no sense. */
static bool next(cursor *c, bli_sstable_entry *e)
{
    uint64_t shared, own, value;
    if (!bli_reader_varint(&c->r, &shared) || !bli_reader_varint(&c->r, &own) || !bli_reader_varint(&c->r, &value))
        return false;
    if (shared > c->key_size || own > sizeof c->key - shared || value > bli_reader_left(&c->r))
        return false;
    const uint8_t *p = bli_reader_take(&c->r, (size_t)own);
    if (!p)
        return false;
    memcpy(c->key + shared, p, (size_t)own);
    c->key_size = (size_t)(shared + own);
    *e = (bli_sstable_entry){c->key, bli_reader_take(&c->r, (size_t)value), c->key_size, (size_t)value};
    return e->value != NULL;
}

static bl_status check_block(bl_context *ctx, const bli_reader *entries, const char *what)
{
    cursor c = {.r = *entries, .key_size = 0};
    bli_sstable_entry e;
    while (next(&c, &e)) {
    }
    if (bli_reader_left(&c.r) > 0)
        return bli_fail(ctx, BL_BAD_FILE, "%s: byte %zu of a block begins no entry", what, c.r.pos);
    return BL_OK;
}

bl_status bli_sstable_open(bl_context *ctx, const void *data, size_t size, bli_sstable *out)
{
    handle meta, index, block;
    bli_sstable_entry e;
    *out = (bli_sstable){.data = data, .size = size};
    if (size < FOOTER)
        return bli_fail(ctx, BL_BAD_FILE, "%zu bytes; a table has at least %d", size, FOOTER);
    bli_reader r = bli_reader_make(out->data + size - FOOTER, FOOTER - 8);
    const uint8_t *end = out->data + size - 8;
    if (u32_at(end) != (uint32_t)MAGIC || u32_at(end + 4) != (uint32_t)(MAGIC >> 32) || !read_handle(&r, &meta) ||
        !read_handle(&r, &index))
        return bli_fail(ctx, BL_BAD_FILE, "its last %d bytes are not those of a table", FOOTER);
    BLI_TRY(open_block(ctx, out, &index, &out->blocks));
    BLI_TRY(check_block(ctx, &out->blocks, "the index"));
    cursor c = {.r = out->blocks, .key_size = 0};
    while (next(&c, &e)) {
        bli_reader at = bli_reader_make(e.value, e.value_size), entries;
        if (!read_handle(&at, &block))
            return bli_fail(ctx, BL_BAD_FILE, "the index: an entry that says no place");
        BLI_TRY(open_block(ctx, out, &block, &entries));
        BLI_TRY(check_block(ctx, &entries, "a block"));
    }
    return BL_OK;
}

void bli_sstable_walk(const bli_sstable *t, bli_sstable_visit visit, void *user)
{
    cursor index = {.r = t->blocks, .key_size = 0};
    bli_sstable_entry at, e;
    while (next(&index, &at)) {
        bli_reader r = bli_reader_make(at.value, at.value_size);
        handle h;
        if (!read_handle(&r, &h))
            return;
        const size_t size = (size_t)h.size;
        const uint8_t *p = t->data + h.offset;
        cursor c = {.r = bli_reader_make(p, size - 4 - 4 * (size_t)u32_at(p + size - 4)), .key_size = 0};
        while (next(&c, &e))
            if (!visit(user, &e))
                return;
    }
}
