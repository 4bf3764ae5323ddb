/* project.c: a folder that is there as a whole or not at all.
 *
 * Everything is written below <target>.<process>.<n>.tmp in the target's own parent, every file synced, and the folder
 * renamed at the end.  A project that is replaced is renamed aside first and back if the new one cannot take its place;
 * its files are removed only after that.  Folders are listed by the system's own calls; what changes anything goes
 * through the context's table.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/context.h"
#include "emit/emit.h"

enum { MOST_TEMPORARIES = 100, PATH_ROOM = 4096, MOST_LISTED = 1 << 20 };
static const char manifest_name[] = ".bitlathe";
static const char product_folder[] = "build";

struct bli_project {
    bl_context *ctx;
    char *target, *temporary;
    bli_buf manifest; /* what was written, one path a line */
    int count;
    bool replaces; /* a project is there */
};

static bl_status system_failed(bl_context *ctx, const char *path, const char *what)
{
    bl_status s = errno == ENOENT ? BL_NOT_FOUND : errno == ENOMEM ? BL_NO_MEMORY : BL_IO;
    return bli_fail(ctx, s, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* ---- what is in the way ---------------------------------------------------------------------------------------- */
/* Whether path (below the project) stands in the manifest, as a file or as a folder of one. */
static bool is_listed(const char *manifest, const char *path)
{
    size_t n = strlen(path);
    for (const char *at = manifest; *at;) {
        size_t length = strcspn(at, "\n");
        if (length >= n && strncmp(at, path, n) == 0 && (length == n || at[n] == '/'))
            return true;
        at += length + (at[length] == '\n');
    }
    return false;
}

typedef bl_status (*entry_fn)(void *user, const char *path, const char *relative, bool is_folder);

/* Calls fn for what is in folder, in no order. */
static bl_status list_folder(bl_context *ctx, const char *folder, const char *relative, entry_fn fn, void *user)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return system_failed(ctx, folder, "list the folder");
    bl_status s = BL_OK;
    for (struct dirent *e; s == BL_OK && (e = readdir(dir)) != NULL;) {
        char path[PATH_ROOM], below[PATH_ROOM];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int a = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        int b = snprintf(below, sizeof below, "%s%s%s", relative, *relative ? "/" : "", e->d_name);
        if (a >= PATH_ROOM || b >= PATH_ROOM)
            s = bli_fail(ctx, BL_LIMIT, "%s: a path longer than %d", folder, PATH_ROOM);
        else if (lstat(path, &st) != 0)
            s = system_failed(ctx, path, "look at");
        else
            s = fn(user, path, below, S_ISDIR(st.st_mode));
    }
    closedir(dir);
    return s;
}

typedef struct check {
    bl_context *ctx;
    const char *target, *manifest;
} check;

static bl_status check_entry(void *user, const char *path, const char *relative, bool is_folder)
{
    const check *c = user;
    if (strcmp(relative, manifest_name) == 0 || (is_folder && strcmp(relative, product_folder) == 0))
        return BL_OK;
    if (!is_listed(c->manifest, relative))
        return bli_fail(c->ctx, BL_IO, "%s: holds '%s', which was not written by emit; choose an empty or a new folder",
                        c->target, relative);
    return is_folder ? list_folder(c->ctx, path, relative, check_entry, user) : BL_OK;
}

static bl_status refuse_entry(void *user, const char *path, const char *relative, bool is_folder)
{
    (void)path;
    (void)is_folder;
    const check *c = user;
    return bli_fail(c->ctx, BL_IO,
                    "%s: is not empty (holds '%s') and no project of emit; choose an empty or a new folder", c->target,
                    relative);
}

/* The target is not there, an empty folder, or a project of ours and nothing else. */
static bl_status check_target(bli_project *p)
{
    struct stat st;
    char path[PATH_ROOM], *manifest;
    size_t size;
    if (stat(p->target, &st) != 0)
        return errno == ENOENT ? BL_OK : system_failed(p->ctx, p->target, "look at");
    if (!S_ISDIR(st.st_mode))
        return bli_fail(p->ctx, BL_IO, "%s: is a file, not a folder", p->target);
    check c = {p->ctx, p->target, NULL};
    if (snprintf(path, sizeof path, "%s/%s", p->target, manifest_name) >= PATH_ROOM)
        return bli_fail(p->ctx, BL_LIMIT, "%s: a path longer than %d", p->target, PATH_ROOM);
    if (lstat(path, &st) != 0)
        return list_folder(p->ctx, p->target, "", refuse_entry, &c);
    BLI_TRY(bli_file_read(p->ctx, path, MOST_LISTED, &manifest, &size));
    c.manifest = manifest;
    bl_status s = list_folder(p->ctx, p->target, "", check_entry, &c);
    bli_free(p->ctx, manifest);
    p->replaces = true;
    return s;
}

/* ---- removing what is ours ------------------------------------------------------------------------------------- */
static bl_status remove_entry(void *user, const char *path, const char *relative, bool is_folder)
{
    bli_project *p = user;
    const bli_file_ops *ops = &p->ctx->file_ops;
    if (is_folder) {
        BLI_TRY(list_folder(p->ctx, path, relative, remove_entry, user));
        ops->rmdir(ops->user, path);
    } else {
        ops->unlink(ops->user, path);
    }
    return BL_OK;
}

/* Removes what can be; a message that is set stays. */
static void remove_folder(bli_project *p, const char *folder)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    char message[BLI_MESSAGE_SIZE];
    memcpy(message, p->ctx->message, sizeof message);
    if (list_folder(p->ctx, folder, "", remove_entry, p) == BL_OK)
        ops->rmdir(ops->user, folder);
    memcpy(p->ctx->message, message, sizeof message);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */
static void project_free(bli_project *p)
{
    bl_context *ctx = p->ctx;
    bli_buf_free(&p->manifest);
    bli_free(ctx, p->target);
    bli_free(ctx, p->temporary);
    bli_free(ctx, p);
}

/* A target that is a link is followed: what it leads to is replaced, not the link. */
static bl_status copy_target(bli_project *p, const char *folder)
{
    char resolved[PATH_MAX];
    if (realpath(folder, resolved) != NULL)
        folder = resolved;
    size_t size = strlen(folder);
    while (size > 1 && folder[size - 1] == '/')
        size--;
    if (size == 0)
        return bli_fail(p->ctx, BL_USAGE, "the output folder has no name");
    if (size > PATH_ROOM / 2)
        return bli_fail(p->ctx, BL_LIMIT, "%.60s...: a path longer than %d", folder, PATH_ROOM / 2);
    p->target = bli_alloc(p->ctx, size + 1);
    p->temporary = bli_alloc(p->ctx, size + 48);
    if (p->target == NULL || p->temporary == NULL)
        return BL_NO_MEMORY;
    memcpy(p->target, folder, size);
    return BL_OK;
}

static bl_status make_temporary(bli_project *p)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    for (int n = 0; n < MOST_TEMPORARIES; n++) {
        snprintf(p->temporary, strlen(p->target) + 48, "%s.%ld.%d.tmp", p->target, (long)getpid(), n);
        if (ops->mkdir(ops->user, p->temporary, 0777) == 0)
            return BL_OK;
        if (errno != EEXIST)
            break;
    }
    return system_failed(p->ctx, p->target, "create the folder");
}

bl_status bli_project_open(bl_context *ctx, const char *folder, bli_project **out)
{
    *out = NULL;
    bli_project *p = bli_alloc(ctx, sizeof *p);
    if (p == NULL)
        return BL_NO_MEMORY;
    p->ctx = ctx;
    bli_buf_init(&p->manifest, ctx, MOST_LISTED);
    bl_status s = copy_target(p, folder);
    if (s == BL_OK)
        s = check_target(p);
    if (s == BL_OK)
        s = make_temporary(p);
    if (s != BL_OK) {
        project_free(p);
        return s;
    }
    *out = p;
    return BL_OK;
}

/* Makes the folders that path (below the temporary) names in front of its last slash. */
static bl_status make_folders(bli_project *p, char *path, size_t start)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    for (char *slash = strchr(path + start, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = ops->mkdir(ops->user, path, 0777);
        if (failed && errno != EEXIST)
            return system_failed(p->ctx, path, "create the folder");
        *slash = '/';
    }
    return BL_OK;
}

static bl_status write_all(bli_project *p, int fd, const char *path, const char *data, size_t size)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    while (size > 0) {
        ssize_t n = ops->write(ops->user, fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return system_failed(p->ctx, path, "write");
        data += n;
        size -= (size_t)n;
    }
    return BL_OK;
}

static bl_status write_file(bli_project *p, const char *relative, const void *data, size_t size, int mode)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/%s", p->temporary, relative) >= PATH_ROOM)
        return bli_fail(p->ctx, BL_LIMIT, "%s/%s: a path longer than %d", p->target, relative, PATH_ROOM);
    BLI_TRY(make_folders(p, path, strlen(p->temporary) + 1));
    int fd = ops->open(ops->user, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return system_failed(p->ctx, path, "create");
    bl_status s = write_all(p, fd, path, data, size);
    if (ops->close(ops->user, fd) != 0 && s == BL_OK)
        s = system_failed(p->ctx, path, "close");
    return s;
}

static bl_status add_file(bli_project *p, const char *path, const void *data, size_t size, int mode)
{
    BLI_TRY(write_file(p, path, data, size, mode));
    p->count++;
    return bli_buf_printf(&p->manifest, "%s\n", path);
}

bl_status bli_project_file(bli_project *p, const char *path, const void *data, size_t size)
{
    return add_file(p, path, data, size, 0666);
}

bl_status bli_project_script(bli_project *p, const char *path, const void *data, size_t size)
{
    return add_file(p, path, data, size, 0777);
}

bl_status bli_project_text(bli_project *p, const char *path, const bli_text *text)
{
    BLI_TRY(bli_within(p->ctx, bli_text_status(text), "%s", path));
    return add_file(p, path, text->buf.data, text->buf.size, 0666);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */
/* Renames the old project to a name that is free; one that is taken by what could not be removed is passed over. */
static bl_status move_aside(bli_project *p, char old[PATH_ROOM])
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    for (int n = 0; n < MOST_TEMPORARIES; n++) {
        snprintf(old, PATH_ROOM, "%s.%ld.%d.old", p->target, (long)getpid(), n);
        if (ops->rename(ops->user, p->target, old) == 0)
            return BL_OK;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
            break;
    }
    return system_failed(p->ctx, p->target, "move the old project aside");
}

/* Puts the new folder where an old project is; the old one is back if that fails. */
static bl_status replace(bli_project *p)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    char old[PATH_ROOM];
    BLI_TRY(move_aside(p, old));
    if (ops->rename(ops->user, p->temporary, p->target) != 0) {
        bl_status s = system_failed(p->ctx, p->target, "rename the finished folder to this name");
        ops->rename(ops->user, old, p->target);
        return s;
    }
    remove_folder(p, old);
    return BL_OK;
}

/* Opens what is there by name, syncs it, closes it.  A folder that may not be opened or synced is none of our business.
 */
static bl_status sync_path(bli_project *p, const char *path)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    int fd = ops->open(ops->user, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == EACCES ? BL_OK : system_failed(p->ctx, path, "open");
    bl_status s = BL_OK;
    if (ops->fsync(ops->user, fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        s = system_failed(p->ctx, path, "sync");
    ops->close(ops->user, fd);
    return s;
}

/* All at the end: the first one writes the others' data too, which makes theirs cheap. */
static bl_status sync_files(bli_project *p)
{
    char path[PATH_ROOM];
    for (const char *at = p->manifest.data; *at;) {
        size_t length = strcspn(at, "\n");
        snprintf(path, sizeof path, "%s/%.*s", p->temporary, (int)length, at);
        BLI_TRY(sync_path(p, path));
        at += length + 1;
    }
    return BL_OK;
}

static bl_status sync_parent(bli_project *p)
{
    char parent[PATH_ROOM];
    snprintf(parent, sizeof parent, "%s", p->target);
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent] = '\0';
    return sync_path(p, slash == NULL ? "." : parent);
}

bl_status bli_project_commit(bli_project *p)
{
    const bli_file_ops *ops = &p->ctx->file_ops;
    bl_status s = write_file(p, manifest_name, p->manifest.data, p->manifest.size, 0666);
    if (s == BL_OK)
        s = sync_files(p);
    if (s == BL_OK && p->replaces)
        s = replace(p);
    else if (s == BL_OK && ops->rename(ops->user, p->temporary, p->target) != 0)
        s = system_failed(p->ctx, p->target, "rename the finished folder to this name");
    if (s != BL_OK) {
        bli_project_abandon(p);
        return s;
    }
    s = sync_parent(p);
    project_free(p);
    return s;
}

void bli_project_abandon(bli_project *p)
{
    if (p == NULL)
        return;
    remove_folder(p, p->temporary);
    project_free(p);
}
