/* npy_source.c: NumPy's arrays, features and labels side by side.
 *
 * In an .npz or in a folder of .npy files, part P of feature array F is "F_P" (x_train, x_test) or, for the training
 * part, plainly "F"; labels likewise.  An .npy file alone finds its labels by the option target, or by its own name
 * with y for x.  A plain npy beyond the memory option is read in place; it must be row-major then, since a row of a
 * column-major file is spread all over it.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tensor/npy.h"
#include "tensor/npz.h"
#include "train/data/input.h"
#include "train/data/source.h"

enum { NAME_SIZE = 256 };

/* ---- blocks -------------------------------------------------------------------------------------------------- */
static bl_status block_of_tensor(bl_dataset *d, const char *path, const bl_tensor *t, bli_block *out, bl_shape *row)
{
    if (t->shape.rank < 1)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: is a single number; expected an array of rows", path);
    *row = (bl_shape){.rank = t->shape.rank - 1};
    for (int i = 0; i < row->rank; i++)
        row->dim[i] = t->shape.dim[i + 1];
    int64_t elements = bl_shape_count(row);
    if (elements < 0)
        return bli_fail(d->ctx, BL_LIMIT, "%s: the elements of a row are too many to count", path);
    *out = bli_block_make(path, t->type, (uint64_t)t->shape.dim[0], (size_t)elements, t->data);
    return BL_OK;
}

static bl_status check_in_place(bl_dataset *d, const char *path, const bli_npy_header *h, size_t start, uint64_t size)
{
    if (h->fortran && h->shape.rank > 1)
        return bli_fail(d->ctx, BL_UNSUPPORTED,
                        "%s: is column-major (fortran_order) and larger than rows may take in memory; save it with "
                        "numpy.ascontiguousarray",
                        path);
    if (size != (uint64_t)start + h->data_bytes)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: %s: has %llu bytes; its header promises %llu", path,
                        size < (uint64_t)start + h->data_bytes ? "truncated" : "too long", (unsigned long long)size,
                        (unsigned long long)start + h->data_bytes);
    return BL_OK;
}

static bl_status read_in_place(bl_dataset *d, bli_input *in, const char *path, const uint8_t *head, size_t head_size,
                               bli_block *out, bl_shape *row)
{
    bli_reader r = bli_reader_make(head, head_size);
    bli_npy_header h = {0};
    BLI_TRY(bli_within(d->ctx, bli_npy_header_read(d->ctx, &r, &h), "%s", path));
    BLI_TRY(check_in_place(d, path, &h, r.pos, bli_input_file_size(in)));
    BLI_TRY(block_of_tensor(d, path, &(bl_tensor){h.type, h.shape, NULL}, out, row));
    out->fd = bli_input_take_fd(in);
    out->offset = r.pos;
    out->swapped = h.big_endian == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    bli_dataset_defer_fd(d, out->fd);
    return BL_OK;
}

static bl_status open_in_place(bl_dataset *d, bli_input *in, const char *path, bli_block *out, bl_shape *row)
{
    uint8_t *head = bli_alloc(d->ctx, BLI_NPY_HEADER_CEILING);
    if (!head)
        return BL_NO_MEMORY;
    size_t got = 0;
    bl_status s = bli_input_read(in, head, BLI_NPY_HEADER_CEILING, &got);
    if (s == BL_OK)
        s = read_in_place(d, in, path, head, got, out, row);
    bli_free(d->ctx, head);
    return s;
}

static bl_status read_whole(bl_dataset *d, const char *path, bli_block *out, bl_shape *row)
{
    bl_tensor t = {0};
    BLI_TRY(bl_npy_read(d->ctx, path, &t));
    bli_dataset_defer(d, bli_free, t.data);
    return block_of_tensor(d, path, &t, out, row);
}

static bl_status read_npy(bl_dataset *d, const char *path, size_t budget, bli_block *out, bl_shape *row)
{
    bli_input *in = NULL;
    BLI_TRY(bli_input_open(d->ctx, path, &in));
    bl_status s;
    if (bli_input_packed(in))
        s = bli_fail(d->ctx, BL_UNSUPPORTED, "%s: is a packed npy; gunzip it, or save it as npz", path);
    else if (bli_input_file_size(in) > budget)
        s = open_in_place(d, in, path, out, row);
    else
        s = read_whole(d, path, out, row);
    bli_input_close(in);
    return s;
}

static bl_status set_both(bl_dataset *d, const bl_dataset_options *o, const bli_block *x, const bl_shape *x_row,
                          const bli_block *y, const bl_shape *y_row)
{
    bl_shape label_row = *y_row;
    if (label_row.rank == 1 && label_row.dim[0] == 1) /* [N, 1] is as good as [N] */
        label_row.rank = 0;
    BLI_TRY(bli_dataset_set_features(d, x, x_row, o->shape));
    return bli_dataset_set_labels(d, y, &label_row, o);
}

/* ---- parts --------------------------------------------------------------------------------------------------- */
typedef bool (*has_fn)(const void *where, const char *name);

static const char *base_of(const char *given, const char *usual)
{
    return given && *given ? given : usual;
}

/* "x_test", "x_train" or "x", whichever there is for the split; false if none. */
static bool find_array(const void *where, has_fn has, const char *base, const char *split, char name[NAME_SIZE])
{
    const char *part = split ? split : "test";
    if (snprintf(name, NAME_SIZE, "%s_%s", base, part) < NAME_SIZE && has(where, name))
        return true;
    if (split && strcmp(split, "test") == 0)
        return false;
    if (snprintf(name, NAME_SIZE, "%s", base) < NAME_SIZE && has(where, name))
        return true;
    return !split && snprintf(name, NAME_SIZE, "%s_train", base) < NAME_SIZE && has(where, name);
}

static bl_status no_array(bl_dataset *d, const char *path, const char *base, const char *split, const char *key)
{
    const char *part = split ? split : "train";
    return bli_fail(d->ctx, BL_NOT_FOUND, "%s: no array '%s_%s'%s%s%s (%s may give another name)", path, base, part,
                    strcmp(part, "train") == 0 ? " or '" : "", strcmp(part, "train") == 0 ? base : "",
                    strcmp(part, "train") == 0 ? "'" : "", key);
}

/* ---- npz ----------------------------------------------------------------------------------------------------- */
static bool has_array(const void *npz, const char *name)
{
    return bl_npz_find(npz, name) != NULL;
}

static void free_npz(bl_context *ctx, void *npz)
{
    (void)ctx;
    bl_npz_free(npz);
}

static bl_status read_npz(bl_dataset *d, const char *path, size_t budget, bl_npz **out)
{
    char *bytes = NULL;
    size_t size = 0;
    BLI_TRY(bli_file_read(d->ctx, path, budget, &bytes, &size));
    size_t ceiling = budget < BLI_NPZ_CEILING ? budget : BLI_NPZ_CEILING;
    bl_status s = bli_within(d->ctx, bli_npz_decode(d->ctx, bytes, size, ceiling, out), "%s", path);
    bli_free(d->ctx, bytes);
    return s;
}

static bl_status open_npz(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    bl_npz *z = NULL;
    bl_status s = read_npz(d, p->path, bli_data_budget(o), &z);
    if (s == BL_LIMIT)
        return bli_within(d->ctx, s, "an npz is read whole; save larger arrays as npy");
    BLI_TRY(s);
    bli_dataset_defer(d, free_npz, z);
    const char *xs = base_of(o->features, "x"), *ys = base_of(o->target, "y");
    char x_name[NAME_SIZE], y_name[NAME_SIZE];
    if (!find_array(z, has_array, xs, o->split, x_name))
        return no_array(d, p->path, xs, o->split, "features");
    if (!find_array(z, has_array, ys, o->split, y_name))
        return no_array(d, p->path, ys, o->split, "target");
    bli_block x, y;
    bl_shape x_row, y_row;
    BLI_TRY(block_of_tensor(d, p->path, bl_npz_find(z, x_name), &x, &x_row));
    BLI_TRY(block_of_tensor(d, p->path, bl_npz_find(z, y_name), &y, &y_row));
    return set_both(d, o, &x, &x_row, &y, &y_row);
}

static bool accepts_npz(const bli_place *p)
{
    return p->head_size >= 4 && (memcmp(p->head, "PK\3\4", 4) == 0 || memcmp(p->head, "PK\5\6", 4) == 0);
}

const bli_source bli_source_npz = {
    .name = "npz",
    .what = "an npz with arrays x and y",
    .accepts = accepts_npz,
    .open = open_npz,
};

/* ---- npy ----------------------------------------------------------------------------------------------------- */
static bl_status open_npy_pair(bl_dataset *d, const char *x_path, const char *y_path, const bl_dataset_options *o)
{
    size_t budget = bli_data_budget(o);
    bli_block x, y;
    bl_shape x_row, y_row;
    BLI_TRY(read_npy(d, x_path, budget, &x, &x_row));
    BLI_TRY(read_npy(d, y_path, budget, &y, &y_row));
    return set_both(d, o, &x, &x_row, &y, &y_row);
}

static bool accepts_npy(const bli_place *p)
{
    return p->head_size >= 6 && memcmp(p->head, "\x93NUMPY", 6) == 0;
}

static bl_status labels_beside(bl_dataset *d, const bli_place *p, const bl_dataset_options *o, char **path)
{
    const char *slash = strrchr(p->path, '/'), *name = slash ? slash + 1 : p->path;
    if (o->target) {
        *path = bli_path_beside(d->arena, p->path, o->target);
    } else if (name[0] == 'x' || name[0] == 'X') {
        *path = bli_arena_strdup(d->arena, p->path);
        if (*path)
            (*path)[name - p->path] = name[0] == 'x' ? 'y' : 'Y';
    } else {
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: which file has its labels? Name it as target", p->path);
    }
    return *path ? BL_OK : BL_NO_MEMORY;
}

static bl_status open_npy(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    char *labels = NULL;
    BLI_TRY(bli_split_single(d, o, "open the test file itself, or name the folder that holds x_train.npy, x_test.npy"));
    BLI_TRY(labels_beside(d, p, o, &labels));
    return open_npy_pair(d, p->path, labels, o);
}

const bli_source bli_source_npy = {
    .name = "npy",
    .what = "an npy with its labels in a second one",
    .accepts = accepts_npy,
    .open = open_npy,
};

/* ---- folders of npy ------------------------------------------------------------------------------------------ */
static bool npy_name(const char *name, char file[NAME_SIZE + 4])
{
    int size = snprintf(file, NAME_SIZE + 4, "%s.npy", name);
    return size > 0 && size < NAME_SIZE + 4;
}

static bool has_npy(const void *folder, const char *name)
{
    char file[NAME_SIZE + 4];
    return npy_name(name, file) && bli_folder_has(folder, file, false);
}

static bool accepts_folder(const bli_place *p)
{
    for (size_t i = 0; i < p->folder.count; i++) {
        const char *name = p->folder.entries[i].name;
        size_t n = strlen(name);
        if (!p->folder.entries[i].folder && n > 4 && strcmp(name + n - 4, ".npy") == 0)
            return true;
    }
    return false;
}

static bl_status array_path(bl_dataset *d, const bli_place *p, const char *base, const bl_dataset_options *o,
                            const char *key, char **path)
{
    char name[NAME_SIZE], file[NAME_SIZE + 4];
    if (!find_array(&p->folder, has_npy, base, o->split, name) || !npy_name(name, file))
        return no_array(d, p->path, base, o->split, key);
    *path = bli_path_join(d->arena, p->path, file);
    return *path ? BL_OK : BL_NO_MEMORY;
}

static bl_status open_folder(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    char *x = NULL, *y = NULL;
    BLI_TRY(array_path(d, p, base_of(o->features, "x"), o, "features", &x));
    BLI_TRY(array_path(d, p, base_of(o->target, "y"), o, "target", &y));
    return open_npy_pair(d, x, y, o);
}

const bli_source bli_source_npy_folder = {
    .name = "npy-folder",
    .what = "a folder with x_train.npy, y_train.npy and the like",
    .is_folder = true,
    .accepts = accepts_folder,
    .open = open_folder,
};
