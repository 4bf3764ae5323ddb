/* open.c: from a source's name to its kind.
 *
 * A file's content decides, never its name; a folder is what the first kind that finds its own files in it says.
 */
#include <string.h>
#include <sys/stat.h>

#include "train/data/input.h"
#include "train/data/source.h"

static const bli_source *const sources[] = {
    &bli_source_idx_folder, &bli_source_npy_folder, &bli_source_csv_folder, &bli_source_images,
    &bli_source_idx_file,   &bli_source_npy,        &bli_source_npz,        &bli_source_csv,
};

/* ---- splits -------------------------------------------------------------------------------------------------- */
static bl_status check_split(bl_context *ctx, const bl_dataset_options *o)
{
    if (!o->split || strcmp(o->split, "train") == 0 || strcmp(o->split, "test") == 0)
        return BL_OK;
    return bli_fail(ctx, BL_BAD_VALUE, "split '%s': expected train or test", o->split);
}

bl_status bli_split_single(bl_dataset *d, const bl_dataset_options *o, const char *advice)
{
    if (!o->split || strcmp(o->split, "train") == 0)
        return BL_OK;
    return bli_fail(d->ctx, BL_NOT_FOUND, "%s: has no test part; %s", d->path, advice);
}

/* ---- places -------------------------------------------------------------------------------------------------- */
bl_status bli_place_read_head(bl_context *ctx, bli_place *p)
{
    bli_input *in = NULL;
    BLI_TRY(bli_input_open(ctx, p->path, &in));
    bl_status s = bli_input_read(in, p->head, sizeof p->head, &p->head_size);
    bli_input_close(in);
    return s;
}

static bl_status no_such_source(bl_dataset *d, const char *source)
{
    bli_buf names;
    bli_buf_init(&names, d->ctx, 1024);
    bl_status s = bli_known_set_names(&names);
    if (s == BL_OK)
        s = bli_fail(d->ctx, BL_NOT_FOUND, "data %s: no such file or folder, and not a known data set (%s)", source,
                     names.data);
    bli_buf_free(&names);
    return s;
}

static bl_status visit(bl_dataset *d, const char *path, bli_place *p)
{
    p->path = path;
    struct stat st;
    if (stat(path, &st) != 0 && !strchr(path, '/'))
        return no_such_source(d, path);
    p->is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (!p->is_folder)
        return bli_place_read_head(d->ctx, p);
    return bli_folder_list(d->ctx, d->arena, path, &p->folder);
}

static bl_status nothing_accepts(bl_dataset *d, const bli_place *p)
{
    const char *what = p->is_folder ? "this folder holds no data set" : "this file is no data set";
    if (!p->is_folder && p->head_size == 0)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: this file is empty", p->path);
    bli_buf kinds;
    bli_buf_init(&kinds, d->ctx, 4096);
    bl_status s = BL_OK;
    for (size_t i = 0; i < BLI_COUNT(sources) && s == BL_OK; i++)
        if (sources[i]->is_folder == p->is_folder)
            s = bli_buf_printf(&kinds, "%s%s", kinds.size ? "; " : "", sources[i]->what);
    if (s == BL_OK)
        s = bli_fail(d->ctx, BL_BAD_FILE, "%s: %s; expected %s", p->path, what, kinds.data);
    bli_buf_free(&kinds);
    return s;
}

static bl_status open_place(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    for (size_t i = 0; i < BLI_COUNT(sources); i++)
        if (sources[i]->is_folder == p->is_folder && sources[i]->accepts(p))
            return sources[i]->open(d, p, o);
    return nothing_accepts(d, p);
}

static bl_status open_into(bl_dataset *d, const bl_dataset_options *given)
{
    bl_dataset_options o = *given;
    const char *path = d->path;
    BLI_TRY(check_split(d->ctx, &o));
    const bli_known_set *k = bli_known_set_find(o.source);
    if (k) {
        BLI_TRY(bli_known_set_locate(d, k, &path));
        o.shape = o.shape ? o.shape : k->shape;
        if (o.classes == 0 && !o.regression) {
            o.classes = k->classes;
            o.class_names = k->class_names;
        }
    }
    bli_place *p = bli_arena_alloc(d->arena, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    BLI_TRY(visit(d, path, p));
    return open_place(d, p, &o);
}

bl_status bl_dataset_open(bl_context *ctx, const bl_dataset_options *o, bl_dataset **out)
{
    *out = NULL;
    if (!o->source || !*o->source)
        return bli_fail(ctx, BL_USAGE, "a data set needs a source: a known name, a file or a folder");
    bl_dataset *d = NULL;
    BLI_TRY(bli_dataset_create(ctx, o->source, &d));
    bl_status s = open_into(d, o);
    if (s != BL_OK) {
        bl_dataset_close(d);
        return s;
    }
    *out = d;
    return BL_OK;
}
