/* npz_write.c: an npz archive as a zip of stored members, straight into the atomic writer.
 *
 * Our own dozen fields of PKWARE's APPNOTE 6.3 (sections 4.3.7, 4.3.12, 4.3.16) rather than libzip's writer: the bytes
 * are then a function of the entries alone, and every write goes through the context's file layer.  No zip64: an
 * archive is below 4 GiB, as is what npz.c reads.
 */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/file.h"
#include "tensor/npy.h"
#include "tensor/npz.h"

enum {
    LOCAL_HEADER = 0x04034b50,
    DIRECTORY_ENTRY = 0x02014b50,
    DIRECTORY_END = 0x06054b50,
    VERSION = 20,           /* 2.0, on MS-DOS: no Unix mode bits */
    UTF8_NAME = 1 << 11,    /* general purpose flag */
    FIRST_DAY = 1 << 5 | 1, /* 1980-01-01, the epoch of zip files */
    LOCAL_SIZE = 30,
    ENTRY_SIZE = 46,
    END_SIZE = 22
};

typedef struct out {
    bl_context *ctx;
    bli_writer *writer;
    uint64_t at; /* bytes written */
} out;

/* One member, as both its headers describe it. */
typedef struct member {
    const char *name;
    size_t name_length; /* without ".npy" */
    size_t header_bytes, data_bytes;
    uint32_t crc, offset;
} member;

typedef struct fields {
    uint8_t bytes[ENTRY_SIZE];
    size_t used;
} fields;

static void put16(fields *f, uint32_t v)
{
    f->bytes[f->used++] = (uint8_t)v;
    f->bytes[f->used++] = (uint8_t)(v >> 8);
}
static void put32(fields *f, uint32_t v)
{
    put16(f, v & 0xffff);
    put16(f, v >> 16);
}

static bl_status emit(out *o, const void *data, size_t size)
{
    o->at += size;
    if (o->at > UINT32_MAX)
        return bli_fail(o->ctx, BL_LIMIT, "the archive would pass 4 GiB");
    return bli_writer_write(o->writer, data, size);
}

static bl_status emit_name(out *o, const member *m)
{
    BLI_TRY(emit(o, m->name, m->name_length));
    return emit(o, ".npy", 4);
}

/* What local header and directory entry have in common: version needed .. extra length. */
static void put_member(fields *f, const member *m)
{
    uint32_t size = (uint32_t)(m->header_bytes + m->data_bytes);
    put16(f, VERSION);
    put16(f, UTF8_NAME);
    put16(f, 0); /* stored */
    put16(f, 0); /* midnight */
    put16(f, FIRST_DAY);
    put32(f, m->crc);
    put32(f, size);
    put32(f, size);
    put16(f, (uint32_t)m->name_length + 4);
    put16(f, 0);
}

static bl_status emit_member(out *o, const bl_npz_entry *e, member *m)
{
    char header[BLI_NPY_HEADER_ROOM];
    BLI_TRY(bli_npy_check(o->ctx, &e->tensor, &m->data_bytes));
    m->name = e->name;
    m->name_length = strlen(e->name);
    if (m->name_length == 0 || m->name_length > UINT16_MAX - 4)
        return bli_fail(o->ctx, BL_USAGE, "a name of %zu bytes", m->name_length);
    m->header_bytes = bli_npy_header_print(&e->tensor, header);
    m->offset = (uint32_t)o->at;
    if (m->data_bytes > UINT32_MAX - BLI_NPY_HEADER_ROOM)
        return bli_fail(o->ctx, BL_LIMIT, "%zu bytes: a member is below 4 GiB", m->data_bytes);
    uLong crc = crc32_z(0, (const Bytef *)header, m->header_bytes);
    m->crc = (uint32_t)crc32_z(crc, m->data_bytes > 0 ? e->tensor.data : (const Bytef *)header, m->data_bytes);

    fields f = {.used = 0};
    put32(&f, LOCAL_HEADER);
    put_member(&f, m);
    BLI_TRY(emit(o, f.bytes, LOCAL_SIZE));
    BLI_TRY(emit_name(o, m));
    BLI_TRY(emit(o, header, m->header_bytes));
    return emit(o, e->tensor.data, m->data_bytes);
}

static bl_status emit_directory_entry(out *o, const member *m)
{
    fields f = {.used = 0};
    put32(&f, DIRECTORY_ENTRY);
    put16(&f, VERSION);
    put_member(&f, m);
    put16(&f, 0); /* comment length */
    put16(&f, 0); /* disk */
    put16(&f, 0); /* internal attributes */
    put32(&f, 0); /* external attributes */
    put32(&f, m->offset);
    BLI_TRY(emit(o, f.bytes, ENTRY_SIZE));
    return emit_name(o, m);
}

static bl_status emit_end(out *o, size_t count, uint64_t directory)
{
    fields f = {.used = 0};
    put32(&f, DIRECTORY_END);
    put16(&f, 0);
    put16(&f, 0);
    put16(&f, (uint32_t)count);
    put16(&f, (uint32_t)count);
    put32(&f, (uint32_t)(o->at - directory));
    put32(&f, (uint32_t)directory);
    put16(&f, 0);
    return emit(o, f.bytes, END_SIZE);
}

static bl_status emit_all(out *o, const bl_npz_entry *entries, size_t count, member *members)
{
    for (size_t i = 0; i < count; i++)
        BLI_TRY(bli_within(o->ctx, emit_member(o, &entries[i], &members[i]), "member '%s'", entries[i].name));
    uint64_t directory = o->at;
    for (size_t i = 0; i < count; i++)
        BLI_TRY(emit_directory_entry(o, &members[i]));
    return emit_end(o, count, directory);
}

static bl_status write_archive(bl_context *ctx, const char *path, const bl_npz_entry *entries, size_t count,
                               member *members)
{
    out o = {ctx, NULL, 0};
    BLI_TRY(bli_writer_open(ctx, path, &o.writer));
    bl_status s = emit_all(&o, entries, count, members);
    if (s == BL_OK)
        return bli_writer_commit(o.writer);
    bli_writer_abandon(o.writer);
    return s;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bl_status check_names(bl_context *ctx, const bl_npz_entry *entries, size_t count)
{
    const char **names = bli_alloc_array(ctx, count, sizeof *names);
    if (names == NULL)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        names[i] = entries[i].name;
    qsort(names, count, sizeof *names, by_name);
    bl_status s = BL_OK;
    for (size_t i = 1; i < count && s == BL_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            s = bli_fail(ctx, BL_USAGE, "two members are named '%s'", names[i]);
    bli_free(ctx, names);
    return s;
}

bl_status bl_npz_write(bl_context *ctx, const char *path, const bl_npz_entry *entries, size_t count)
{
    if (count > BLI_NPZ_MEMBERS)
        return bli_fail(ctx, BL_LIMIT, "%s: %zu members, at most %d are written", path, count, BLI_NPZ_MEMBERS);
    BLI_TRY(bli_within(ctx, check_names(ctx, entries, count), "write npz: %s", path));
    member *members = bli_alloc_array(ctx, count, sizeof *members);
    if (members == NULL)
        return BL_NO_MEMORY;
    bl_status s = bli_within(ctx, write_archive(ctx, path, entries, count, members), "write npz");
    bli_free(ctx, members);
    return s;
}
