/* idx_source.c: a pair of IDX files, images and labels, by the names that the MNIST family gave them.
 *
 * In a folder: "<part>-images<rest>" with "<part>-labels<rest>", part being train, or t10k or test; plain files go
 * before .gz ones.  A single file finds its labels beside it in the same way, unless the options name them.
 */
#include <string.h>

#include "train/data/idx.h"
#include "train/data/source.h"

static const char *const train_parts[] = {"train", NULL};
static const char *const test_parts[] = {"t10k", "test", NULL};

/* The first entry "<part>-<what><rest>", or NULL: plain names sort before the same with .gz. */
static const char *find_entry(const bli_folder *f, const char *part, const char *what)
{
    size_t a = strlen(part), b = strlen(what);
    for (size_t i = 0; i < f->count; i++) {
        const char *n = f->entries[i].name;
        if (f->entries[i].folder || strncmp(n, part, a) != 0 || (n[a] != '-' && n[a] != '_'))
            continue;
        if (strncmp(n + a + 1, what, b) == 0 && (n[a + 1 + b] == '\0' || strchr("-._", n[a + 1 + b])))
            return n;
    }
    return NULL;
}

static const char *find_part(const bli_folder *f, const char *const *parts, const char *what)
{
    const char *found = NULL;
    for (; *parts && !found; parts++)
        found = find_entry(f, *parts, what);
    return found;
}

static bl_status open_pair(bl_dataset *d, const char *images, const char *labels, const bl_dataset_options *o)
{
    size_t budget = bli_data_budget(o);
    bli_block features, classes;
    bl_shape row, label_row;
    BLI_TRY(bli_idx_read(d, images, budget, &features, &row));
    BLI_TRY(bli_dataset_set_features(d, &features, &row, o->shape));
    BLI_TRY(bli_idx_read(d, labels, budget, &classes, &label_row));
    return bli_dataset_set_labels(d, &classes, &label_row, o);
}

/* ---- folders ------------------------------------------------------------------------------------------------- */
static bool accepts_folder(const bli_place *p)
{
    return find_part(&p->folder, train_parts, "images") || find_part(&p->folder, test_parts, "images") ||
           find_part(&p->folder, train_parts, "labels");
}

static bl_status open_folder(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    bool test = o->split ? strcmp(o->split, "test") == 0 : find_part(&p->folder, test_parts, "images") != NULL;
    const char *const *parts = test ? test_parts : train_parts;
    const char *images = find_part(&p->folder, parts, "images"), *labels = find_part(&p->folder, parts, "labels");
    if (!images || !labels)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: the %s part has no file %s-%s-idx%c-ubyte (plain or .gz)", p->path,
                        test ? "test" : "train", parts[0], images ? "labels" : "images", images ? '1' : '3');
    char *images_path = bli_path_join(d->arena, p->path, images);
    char *labels_path = images_path ? bli_path_join(d->arena, p->path, labels) : NULL;
    return labels_path ? open_pair(d, images_path, labels_path, o) : BL_NO_MEMORY;
}

const bli_source bli_source_idx_folder = {
    .name = "idx-folder",
    .what = "a folder with train-images-idx3-ubyte and the like",
    .is_folder = true,
    .accepts = accepts_folder,
    .open = open_folder,
};

/* ---- files --------------------------------------------------------------------------------------------------- */
static bool accepts_file(const bli_place *p)
{
    return p->head_size >= 4 && p->head[0] == 0 && p->head[1] == 0;
}

/* The labels' file: the one named, or the neighbour called "labels" where this one is called "images". */
static bl_status find_labels(bl_dataset *d, const bli_place *p, const bl_dataset_options *o, char **path)
{
    if (o->target) {
        *path = bli_path_beside(d->arena, p->path, o->target);
        return *path ? BL_OK : BL_NO_MEMORY;
    }
    const char *slash = strrchr(p->path, '/'), *name = slash ? slash + 1 : p->path;
    const char *images = strstr(name, "images");
    if (!images)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: which file has its labels? Name it as target", p->path);
    char part[64] = {0};
    size_t length = images > name ? (size_t)(images - name) - 1 : 0;
    if (length >= sizeof part)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: which file has its labels? Name it as target", p->path);
    memcpy(part, name, length);
    char *folder_path = bli_path_beside(d->arena, p->path, "");
    bli_folder folder;
    if (!folder_path)
        return BL_NO_MEMORY;
    BLI_TRY(bli_folder_list(d->ctx, d->arena, *folder_path ? folder_path : ".", &folder));
    const char *labels = find_entry(&folder, part, "labels");
    if (!labels)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: no file %s-labels... beside it; name the labels' file as target",
                        p->path, part);
    *path = bli_path_beside(d->arena, p->path, labels);
    return *path ? BL_OK : BL_NO_MEMORY;
}

static bl_status open_file(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    char *labels = NULL;
    BLI_TRY(bli_split_single(d, o, "name the folder that holds both parts, or open the test file itself"));
    if (!bli_idx_magic(p->head)) { /* the message with the magic, before labels are looked for */
        bli_block none;
        bl_shape row;
        return bli_idx_read(d, p->path, 0, &none, &row);
    }
    BLI_TRY(find_labels(d, p, o, &labels));
    return open_pair(d, p->path, labels, o);
}

const bli_source bli_source_idx_file = {
    .name = "idx",
    .what = "an IDX file",
    .accepts = accepts_file,
    .open = open_file,
};
