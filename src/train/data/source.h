/* source.h (internal): the kinds of sources, one entry of a table each (open.c). */
#ifndef BLI_TRAIN_SOURCE_H
#define BLI_TRAIN_SOURCE_H

#include "train/data/data.h"
#include "train/data/folder.h"

/* What stands at a path: a folder's listing, or the first bytes of a file (unpacked if it is a .gz). */
typedef struct bli_place {
    const char *path;
    bool is_folder;
    bli_folder folder;
    uint8_t head[512];
    size_t head_size;
} bli_place;

typedef struct bli_source {
    const char *name, *what;
    bool is_folder;
    bool (*accepts)(const bli_place *p); /* asked only about its kind, folder or file */
    bl_status (*open)(bl_dataset *d, const bli_place *p, const bl_dataset_options *o);
} bli_source;

extern const bli_source bli_source_idx_folder, bli_source_idx_file, bli_source_npy_folder, bli_source_npy,
    bli_source_npz, bli_source_csv_folder, bli_source_csv, bli_source_images;

/* Reads the head of the file at p->path. */
BL_MUST_CHECK bl_status bli_place_read_head(bl_context *ctx, bli_place *p);

/* A named data set of the distribution. */
typedef struct bli_known_set {
    const char *name, *folder, *package, *shape;
    int classes;
    const char *const *class_names;
} bli_known_set;
const bli_known_set *bli_known_set_find(const char *name);
/* Its folder; missing: a message with the package's name. */
BL_MUST_CHECK bl_status bli_known_set_locate(bl_dataset *d, const bli_known_set *k, const char **path);
/* "fashion-mnist" of all known names. */
BL_MUST_CHECK bl_status bli_known_set_names(bli_buf *out);

/* For sources of a single part. */
BL_MUST_CHECK bl_status bli_split_single(bl_dataset *d, const bl_dataset_options *o, const char *advice);

#endif
