/* folder.h (internal): what a folder holds, sorted. */
#ifndef BLI_TRAIN_FOLDER_H
#define BLI_TRAIN_FOLDER_H

#include "base/base.h"

typedef struct bli_entry {
    const char *name;
    bool folder;
} bli_entry;

typedef struct bli_folder {
    const char *path;
    bli_entry *entries; /* sorted by name, byte by byte; those beginning with '.' left out */
    size_t count;
} bli_folder;

/* Everything is the arena's.  Links are followed; what is neither file nor folder is left out. */
BL_MUST_CHECK bl_status bli_folder_list(bl_context *ctx, bli_arena *arena, const char *path, bli_folder *out);
bool bli_folder_has(const bli_folder *f, const char *name, bool folder);
/* "path/name" */
BL_MUST_CHECK char *bli_path_join(bli_arena *arena, const char *path, const char *name);
/* name, seen from the folder of the file `path` */
BL_MUST_CHECK char *bli_path_beside(bli_arena *arena, const char *path, const char *name);

#endif
