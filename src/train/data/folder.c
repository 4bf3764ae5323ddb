/* folder.c: sorted listings, so that no result depends on the order in which a file system keeps names. */
#include "train/data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_ENTRIES = 1 << 26 };

char *bli_path_join(bli_arena *arena, const char *path, const char *name)
{
    size_t a = strlen(path), b = strlen(name);
    char *joined = bli_arena_alloc(arena, a + b + 2);
    if (!joined)
        return NULL;
    snprintf(joined, a + b + 2, "%s%s%s", path, a > 0 && path[a - 1] != '/' ? "/" : "", name);
    return joined;
}

char *bli_path_beside(bli_arena *arena, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return bli_arena_strdup(arena, name);
    char *folder = bli_arena_strdup(arena, path);
    if (!folder)
        return NULL;
    folder[slash - path + 1] = '\0';
    return bli_path_join(arena, folder, name);
}

typedef struct link {
    bli_entry entry;
    struct link *next;
} link;

static bool kind_of(int dir, const struct dirent *e, bool *folder)
{
    *folder = e->d_type == DT_DIR;
    if (e->d_type == DT_DIR || e->d_type == DT_REG)
        return true;
    struct stat st;
    if (fstatat(dir, e->d_name, &st, 0) != 0)
        return false;
    *folder = S_ISDIR(st.st_mode);
    return S_ISDIR(st.st_mode) || S_ISREG(st.st_mode);
}

static bl_status add(bli_arena *arena, DIR *dir, const struct dirent *e, link **first, size_t *count)
{
    bool folder = false;
    if (e->d_name[0] == '.' || !kind_of(dirfd(dir), e, &folder))
        return BL_OK;
    link *l = bli_arena_alloc(arena, sizeof *l);
    char *name = l ? bli_arena_strdup(arena, e->d_name) : NULL;
    if (!name)
        return BL_NO_MEMORY;
    *l = (link){{name, folder}, *first};
    *first = l;
    ++*count;
    return BL_OK;
}

static bl_status read_entries(bl_context *ctx, bli_arena *arena, const char *path, DIR *dir, link **first,
                              size_t *count)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e && errno != 0)
            return bli_fail(ctx, BL_IO, "%s: cannot read the folder: %s", path, strerror(errno));
        if (!e)
            return BL_OK;
        if (*count == MAX_ENTRIES)
            return bli_fail(ctx, BL_LIMIT, "%s: holds more than %d files", path, MAX_ENTRIES);
        BLI_TRY(add(arena, dir, e, first, count));
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const bli_entry *)a)->name, ((const bli_entry *)b)->name);
}

bl_status bli_folder_list(bl_context *ctx, bli_arena *arena, const char *path, bli_folder *out)
{
    DIR *dir = opendir(path);
    if (!dir)
        return bli_fail(ctx, errno == ENOENT ? BL_NOT_FOUND : BL_IO, "%s: cannot open the folder: %s", path,
                        strerror(errno));
    link *first = NULL;
    *out = (bli_folder){.path = path};
    bl_status s = read_entries(ctx, arena, path, dir, &first, &out->count);
    closedir(dir);
    BLI_TRY(s);
    out->entries = bli_arena_array(arena, out->count, sizeof *out->entries);
    if (!out->entries)
        return BL_NO_MEMORY;
    bli_entry *e = out->entries;
    for (const link *l = first; l; l = l->next)
        *e++ = l->entry;
    if (out->count > 1)
        qsort(out->entries, out->count, sizeof *out->entries, by_name);
    return BL_OK;
}

bool bli_folder_has(const bli_folder *f, const char *name, bool folder)
{
    bli_entry key = {name, folder};
    const bli_entry *e = f->count ? bsearch(&key, f->entries, f->count, sizeof key, by_name) : NULL;
    return e && e->folder == folder;
}
