/* npz.c: reading NumPy's archives, through libzip.
 *
 * An archive is untrusted: before a member is unpacked, its claimed size must be possible for its packed size (deflate
 * reaches at most 1032 to 1), packed sizes must not add up to more than the file (overlapping members), and unpacked
 * sizes must stay below a ceiling.  libzip checks each CRC when a member is read to its end.
 */
#include "tensor/npz.h"

#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "base/file.h"
#include "tensor/npy.h"

struct bl_npz {
    bl_context *ctx;
    bli_arena *names;
    size_t count;
    bl_npz_entry *entries;       /* in the file's order */
    const bl_npz_entry **sorted; /* by name */
};

typedef struct archive {
    bl_context *ctx;
    zip_t *zip;
    size_t packed_left, unpacked_left;
} archive;

/* ---- one member ---------------------------------------------------------------------------------------------- */
enum { DEFLATE_RATIO = 1032, DEFLATE_SLACK = 64 };

static bl_status check_member(archive *a, const zip_stat_t *st)
{
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((st->valid & needed) != needed)
        return bli_fail(a->ctx, BL_BAD_FILE, "incomplete directory entry");
    if ((st->valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && st->encryption_method != ZIP_EM_NONE)
        return bli_fail(a->ctx, BL_UNSUPPORTED, "encrypted");
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return bli_fail(a->ctx, BL_UNSUPPORTED, "compression method %d: only stored and deflated are read",
                        st->comp_method);
    if (st->comp_size > a->packed_left)
        return bli_fail(a->ctx, BL_BAD_FILE, "claims %llu packed bytes, more than the file has left",
                        (unsigned long long)st->comp_size);
    zip_uint64_t most = st->comp_method == ZIP_CM_STORE ? st->comp_size : st->comp_size * DEFLATE_RATIO + DEFLATE_SLACK;
    if (st->size > most)
        return bli_fail(a->ctx, BL_BAD_FILE, "claims to unpack %llu bytes to %llu", (unsigned long long)st->comp_size,
                        (unsigned long long)st->size);
    if (st->size > a->unpacked_left)
        return bli_fail(a->ctx, BL_LIMIT, "%llu bytes, and only %zu more are unpacked", (unsigned long long)st->size,
                        a->unpacked_left);
    a->packed_left -= (size_t)st->comp_size;
    a->unpacked_left -= (size_t)st->size;
    return BL_OK;
}

/* Reads size bytes and meets the end, where the CRC is checked. */
static bl_status read_whole(archive *a, zip_file_t *f, char *block, size_t size)
{
    size_t used = 0;
    while (used < size) {
        zip_int64_t n = zip_fread(f, block + used, size - used);
        if (n <= 0)
            return bli_fail(a->ctx, BL_BAD_FILE, "cannot unpack: %s", n < 0 ? zip_file_strerror(f) : "cut short");
        used += (size_t)n;
    }
    char more;
    zip_int64_t n = zip_fread(f, &more, 1);
    if (n != 0)
        return bli_fail(a->ctx, BL_BAD_FILE, "cannot unpack: %s", n < 0 ? zip_file_strerror(f) : "longer than claimed");
    return BL_OK;
}

static bl_status unpack(archive *a, zip_uint64_t index, size_t size, bl_tensor *out)
{
    char *block = bli_alloc(a->ctx, size);
    if (block == NULL)
        return BL_NO_MEMORY;
    zip_file_t *f = zip_fopen_index(a->zip, index, 0);
    bl_status s = f != NULL ? read_whole(a, f, block, size)
                            : bli_fail(a->ctx, BL_BAD_FILE, "cannot open: %s", zip_strerror(a->zip));
    if (f != NULL)
        zip_fclose(f);
    if (s != BL_OK) {
        bli_free(a->ctx, block);
        return s;
    }
    return bli_npy_adopt(a->ctx, block, size, out);
}

/* The member's name without ".npy". */
static bl_status take_name(archive *a, bli_arena *names, const char *name, const char **out)
{
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, ".npy") != 0)
        return bli_fail(a->ctx, BL_BAD_FILE, "not an array: its name does not end in .npy");
    char *copy = bli_arena_alloc(names, n - 3);
    if (copy == NULL)
        return BL_NO_MEMORY;
    memcpy(copy, name, n - 4);
    *out = copy;
    return BL_OK;
}

static bl_status read_member(archive *a, bl_npz *z, zip_uint64_t index)
{
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_stat_index(a->zip, index, ZIP_FL_ENC_RAW, &st) != 0 || (st.valid & ZIP_STAT_NAME) == 0)
        return bli_fail(a->ctx, BL_BAD_FILE, "member %llu: %s", (unsigned long long)index, zip_strerror(a->zip));
    bl_npz_entry *e = &z->entries[index];
    bl_status s = take_name(a, z->names, st.name, &e->name);
    if (s == BL_OK)
        s = check_member(a, &st);
    if (s == BL_OK)
        s = unpack(a, index, (size_t)st.size, &e->tensor);
    return bli_within(a->ctx, s, "member '%s'", st.name);
}

/* ---- the archive --------------------------------------------------------------------------------------------- */
static int by_name(const void *a, const void *b)
{
    const bl_npz_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static bl_status sort_names(bl_npz *z)
{
    for (size_t i = 0; i < z->count; i++)
        z->sorted[i] = &z->entries[i];
    qsort(z->sorted, z->count, sizeof *z->sorted, by_name);
    for (size_t i = 1; i < z->count; i++)
        if (strcmp(z->sorted[i - 1]->name, z->sorted[i]->name) == 0)
            return bli_fail(z->ctx, BL_BAD_FILE, "member '%s.npy' is there twice", z->sorted[i]->name);
    return BL_OK;
}

static bl_status read_members(archive *a, bl_npz *z)
{
    zip_int64_t count = zip_get_num_entries(a->zip, 0);
    if (count < 0 || count > BLI_NPZ_MEMBERS)
        return bli_fail(a->ctx, BL_LIMIT, "%lld members, at most %d are read", (long long)count, BLI_NPZ_MEMBERS);
    BLI_TRY(bli_arena_create(a->ctx, &z->names));
    z->entries = bli_alloc_array(a->ctx, (size_t)count, sizeof *z->entries);
    z->sorted = bli_alloc_array(a->ctx, (size_t)count, sizeof *z->sorted);
    if (z->entries == NULL || z->sorted == NULL)
        return BL_NO_MEMORY;
    z->count = (size_t)count;
    for (zip_uint64_t i = 0; i < z->count; i++)
        BLI_TRY(read_member(a, z, i));
    return sort_names(z);
}

enum { SMALLEST_ZIP = 22 };

static bl_status open_archive(archive *a, const void *data, size_t size)
{
    if (size < SMALLEST_ZIP) /* libzip takes an empty file for an empty archive */
        return bli_fail(a->ctx, BL_BAD_FILE, "not an npz archive: only %zu bytes", size);
    zip_error_t error;
    zip_error_init(&error);
    bl_status s = BL_OK;
    zip_source_t *source = zip_source_buffer_create(data, size, 0, &error);
    a->zip = source != NULL ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (a->zip == NULL) {
        s = bli_fail(a->ctx, zip_error_code_zip(&error) == ZIP_ER_MEMORY ? BL_NO_MEMORY : BL_BAD_FILE,
                     "not an npz archive: %s", zip_error_strerror(&error));
        zip_source_free(source);
    }
    zip_error_fini(&error);
    return s;
}

bl_status bli_npz_decode(bl_context *ctx, const void *data, size_t size, size_t ceiling, bl_npz **out)
{
    *out = NULL;
    archive a = {ctx, NULL, size, ceiling};
    BLI_TRY(open_archive(&a, data, size));
    bl_npz *z = bli_alloc(ctx, sizeof *z);
    bl_status s = BL_NO_MEMORY;
    if (z != NULL) {
        z->ctx = ctx;
        s = read_members(&a, z);
    }
    zip_discard(a.zip);
    if (s != BL_OK) {
        bl_npz_free(z);
        return s;
    }
    *out = z;
    return BL_OK;
}

bl_status bl_npz_read(bl_context *ctx, const char *path, bl_npz **out)
{
    char *data;
    size_t size;
    *out = NULL;
    BLI_TRY(bli_file_read(ctx, path, BLI_NPZ_CEILING, &data, &size));
    bl_status s = bli_within(ctx, bli_npz_decode(ctx, data, size, BLI_NPZ_CEILING, out), "%s", path);
    bli_free(ctx, data);
    return s;
}

void bl_npz_free(bl_npz *z)
{
    if (z == NULL)
        return;
    for (size_t i = 0; i < z->count; i++)
        bl_tensor_free(z->ctx, &z->entries[i].tensor);
    bli_free(z->ctx, z->entries);
    bli_free(z->ctx, z->sorted);
    bli_arena_destroy(z->names);
    bli_free(z->ctx, z);
}

size_t bl_npz_count(const bl_npz *z)
{
    return z->count;
}

const char *bl_npz_name(const bl_npz *z, size_t i)
{
    return i < z->count ? z->entries[i].name : NULL;
}

const bl_tensor *bl_npz_tensor(const bl_npz *z, size_t i)
{
    return i < z->count ? &z->entries[i].tensor : NULL;
}

const bl_tensor *bl_npz_find(const bl_npz *z, const char *name)
{
    size_t from = 0, to = z->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(name, z->sorted[middle]->name);
        if (order == 0)
            return &z->sorted[middle]->tensor;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}
