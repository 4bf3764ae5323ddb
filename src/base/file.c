/* file.c: whole files in, whole files out, through the context's table of system calls.
 *
 * The temporary is <target>.<process>.<n>.tmp in the target's own folder, created exclusively, so that neither another
 * process nor a link planted there is written to.  A target that is a link is followed first: its file is replaced, not
 * the link.  Only regular files are replaced (renaming over a device would destroy it).
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/context.h"

/* ---- the system's own ---------------------------------------------------------------------------------------- */
static int sys_open(void *user, const char *path, int flags, int mode)
{
    (void)user;
    return open(path, flags, mode);
}
static ssize_t sys_read(void *user, int fd, void *data, size_t size)
{
    (void)user;
    return read(fd, data, size);
}
static ssize_t sys_write(void *user, int fd, const void *data, size_t size)
{
    (void)user;
    return write(fd, data, size);
}
static int sys_fsync(void *user, int fd)
{
    (void)user;
    return fsync(fd);
}
static int sys_close(void *user, int fd)
{
    (void)user;
    return close(fd);
}
static int sys_rename(void *user, const char *from, const char *to)
{
    (void)user;
    return rename(from, to);
}
static int sys_unlink(void *user, const char *path)
{
    (void)user;
    return unlink(path);
}
static int sys_mkdir(void *user, const char *path, int mode)
{
    (void)user;
    return mkdir(path, (mode_t)mode);
}
static int sys_rmdir(void *user, const char *path)
{
    (void)user;
    return rmdir(path);
}

const bli_file_ops bli_system_file_ops = {
    .open = sys_open,
    .read = sys_read,
    .write = sys_write,
    .fsync = sys_fsync,
    .close = sys_close,
    .rename = sys_rename,
    .unlink = sys_unlink,
    .mkdir = sys_mkdir,
    .rmdir = sys_rmdir,
};

/* "model.onnx: cannot write: No space left on device" */
static bl_status system_failed(bl_context *ctx, const char *path, const char *what)
{
    int error = errno;
    bl_status s = error == ENOENT ? BL_NOT_FOUND : error == ENOMEM ? BL_NO_MEMORY : BL_IO;
    if (error == EISDIR)
        return bli_fail(ctx, BL_IO, "%s: is a folder, not a file", path);
    return bli_fail(ctx, s, "%s: cannot %s: %s", path, what, strerror(error));
}

/* ---- reading ------------------------------------------------------------------------------------------------- */
enum { READ_START = 1 << 16 };

/* What the file claims to hold, to read it in one go; 0 where nothing is claimed (pipes). */
static size_t size_hint(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return 0;
    return (size_t)st.st_size;
}

static bl_status grow(bl_context *ctx, char **data, size_t used, size_t *capacity)
{
    size_t larger;
    if (!bli_mul_size(*capacity, 2, &larger))
        return bli_fail(ctx, BL_LIMIT, "too large for this machine");
    char *moved = bli_alloc(ctx, larger);
    if (moved == NULL)
        return BL_NO_MEMORY;
    memcpy(moved, *data, used);
    bli_free(ctx, *data);
    *data = moved;
    *capacity = larger;
    return BL_OK;
}

/* Reads to the end into *data (capacity bytes, the last kept for the terminator). */
static bl_status read_all(bl_context *ctx, int fd, const char *path, size_t ceiling, char **data, size_t capacity,
                          size_t *size)
{
    const bli_file_ops *ops = &ctx->file_ops;
    size_t used = 0;
    for (;;) {
        if (used + 1 >= capacity)
            BLI_TRY(bli_within(ctx, grow(ctx, data, used, &capacity), "%s", path));
        ssize_t n = ops->read(ops->user, fd, *data + used, capacity - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return system_failed(ctx, path, "read");
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > ceiling)
            return bli_fail(ctx, BL_LIMIT, "%s: more than %zu bytes", path, ceiling);
    }
    (*data)[used] = '\0';
    *size = used;
    return BL_OK;
}

static bl_status read_open(bl_context *ctx, int fd, const char *path, size_t ceiling, char **out, size_t *size)
{
    size_t hint = size_hint(fd);
    if (hint > ceiling)
        return bli_fail(ctx, BL_LIMIT, "%s: %zu bytes, at most %zu are read", path, hint, ceiling);
    /* Two more than claimed: the terminator, and the room that lets the end of file show itself without growing. */
    size_t capacity = hint > 0 ? hint + 2 : READ_START;
    char *data = bli_alloc(ctx, capacity);
    if (data == NULL)
        return bli_within(ctx, BL_NO_MEMORY, "%s", path);
    bl_status s = read_all(ctx, fd, path, ceiling, &data, capacity, size);
    if (s != BL_OK) {
        bli_free(ctx, data);
        return s;
    }
    *out = data;
    return BL_OK;
}

bl_status bli_file_read(bl_context *ctx, const char *path, size_t ceiling, char **data, size_t *size)
{
    const bli_file_ops *ops = &ctx->file_ops;
    *data = NULL;
    *size = 0;
    int fd = ops->open(ops->user, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return system_failed(ctx, path, "open");
    bl_status s = read_open(ctx, fd, path, ceiling, data, size);
    ops->close(ops->user, fd);
    return s;
}

/* The next size bytes, which are there or not. */
static bl_status read_exactly(bl_context *ctx, int fd, const char *path, size_t size, char *to)
{
    const bli_file_ops *ops = &ctx->file_ops;
    while (size > 0) {
        ssize_t n = ops->read(ops->user, fd, to, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return system_failed(ctx, path, "read");
        if (n == 0)
            return bli_fail(ctx, BL_BAD_FILE, "%s: ends %zu bytes too early", path, size);
        to += n;
        size -= (size_t)n;
    }
    return BL_OK;
}

static bl_status read_at(bl_context *ctx, int fd, const char *path, uint64_t offset, size_t size, char *to)
{
    char passed[4096];
    while (offset > 0) {
        const size_t n = offset < sizeof passed ? (size_t)offset : sizeof passed;
        BLI_TRY(read_exactly(ctx, fd, path, n, passed));
        offset -= n;
    }
    return read_exactly(ctx, fd, path, size, to);
}

bl_status bli_file_read_at(bl_context *ctx, const char *path, uint64_t offset, size_t size, void *to)
{
    const bli_file_ops *ops = &ctx->file_ops;
    int fd = ops->open(ops->user, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return system_failed(ctx, path, "open");
    bl_status s = read_at(ctx, fd, path, offset, size, to);
    ops->close(ops->user, fd);
    return s;
}

bl_status bli_file_reaches(bl_context *ctx, const char *path, uint64_t end)
{
    const bli_file_ops *ops = &ctx->file_ops;
    int fd = ops->open(ops->user, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return system_failed(ctx, path, "open");
    const uint64_t size = size_hint(fd);
    ops->close(ops->user, fd);
    if (size >= end)
        return BL_OK;
    return bli_fail(ctx, BL_BAD_FILE, "%s: %llu bytes; expected %llu", path, (unsigned long long)size,
                    (unsigned long long)end);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */
enum { WRITE_BUFFER = 1 << 16, MOST_TEMPORARIES = 100 };

struct bli_writer {
    bl_context *ctx;
    char *target, *temporary;
    int fd; /* -1 when closed */
    bl_status failed;
    size_t used;
    char buffer[WRITE_BUFFER];
};

static void writer_free(bli_writer *w)
{
    bl_context *ctx = w->ctx;
    bli_free(ctx, w->target);
    bli_free(ctx, w->temporary);
    bli_free(ctx, w);
}

/* Where the bytes shall end up: path, or what it links to. */
static bl_status find_target(bli_writer *w, const char *path)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return bli_fail(w->ctx, BL_IO, "%s: is a folder, not a file", path);
    if (exists && !S_ISREG(st.st_mode))
        return bli_fail(w->ctx, BL_IO, "%s: not a regular file, and only those are replaced", path);
    size_t size = exists ? PATH_MAX : strlen(path) + 1;
    w->target = bli_alloc(w->ctx, size);
    if (w->target == NULL)
        return BL_NO_MEMORY;
    if (!exists)
        memcpy(w->target, path, size);
    else if (realpath(path, w->target) == NULL)
        return system_failed(w->ctx, path, "resolve");
    return BL_OK;
}

static bl_status open_temporary(bli_writer *w)
{
    const bli_file_ops *ops = &w->ctx->file_ops;
    size_t size = strlen(w->target) + 48;
    w->temporary = bli_alloc(w->ctx, size);
    if (w->temporary == NULL)
        return BL_NO_MEMORY;
    for (int n = 0; n < MOST_TEMPORARIES; n++) {
        snprintf(w->temporary, size, "%s.%ld.%d.tmp", w->target, (long)getpid(), n);
        w->fd = ops->open(ops->user, w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0)
            return BL_OK;
        if (errno != EEXIST)
            break;
    }
    return system_failed(w->ctx, w->target, "create");
}

bl_status bli_writer_open(bl_context *ctx, const char *path, bli_writer **out)
{
    *out = NULL;
    bli_writer *w = bli_alloc(ctx, sizeof *w);
    if (w == NULL)
        return BL_NO_MEMORY;
    w->ctx = ctx;
    w->fd = -1;
    bl_status s = find_target(w, path);
    if (s == BL_OK)
        s = open_temporary(w);
    if (s != BL_OK) {
        writer_free(w);
        return s;
    }
    *out = w;
    return BL_OK;
}

/* Hands data to the system; after a failure the writer can only be dropped. */
static bl_status push(bli_writer *w, const char *data, size_t size)
{
    const bli_file_ops *ops = &w->ctx->file_ops;
    while (size > 0) {
        ssize_t n = ops->write(ops->user, w->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return w->failed = system_failed(w->ctx, w->target, "write");
        data += n;
        size -= (size_t)n;
    }
    return BL_OK;
}

static bl_status flush(bli_writer *w)
{
    size_t size = w->used;
    w->used = 0;
    return push(w, w->buffer, size);
}

bl_status bli_writer_write(bli_writer *w, const void *data, size_t size)
{
    if (w->failed != BL_OK)
        return w->failed;
    if (size > sizeof w->buffer - w->used)
        BLI_TRY(flush(w));
    if (size > sizeof w->buffer)
        return push(w, data, size);
    if (size > 0)
        memcpy(w->buffer + w->used, data, size);
    w->used += size;
    return BL_OK;
}

static bl_status sync_and_close(bli_writer *w)
{
    const bli_file_ops *ops = &w->ctx->file_ops;
    BLI_TRY(flush(w));
    if (ops->fsync(ops->user, w->fd) != 0)
        return system_failed(w->ctx, w->target, "sync");
    int fd = w->fd;
    w->fd = -1;
    if (ops->close(ops->user, fd) != 0)
        return system_failed(w->ctx, w->target, "close");
    return BL_OK;
}

/* So that the rename itself survives a power cut.  A folder that may not be opened or synced is none of our business;
 * a failing disk is. */
static bl_status sync_folder(bli_writer *w)
{
    const bli_file_ops *ops = &w->ctx->file_ops;
    char *slash = strrchr(w->target, '/');
    const char *folder = slash == NULL ? "." : slash == w->target ? "/" : w->target;
    if (slash != NULL && slash != w->target)
        *slash = '\0';
    int fd = ops->open(ops->user, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == EACCES ? BL_OK : system_failed(w->ctx, folder, "open the folder");
    bl_status s = BL_OK;
    if (ops->fsync(ops->user, fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        s = system_failed(w->ctx, folder, "sync the folder");
    ops->close(ops->user, fd);
    return s;
}

bl_status bli_writer_commit(bli_writer *w)
{
    const bli_file_ops *ops = &w->ctx->file_ops;
    bl_status s = w->failed != BL_OK ? w->failed : sync_and_close(w);
    if (s == BL_OK && ops->rename(ops->user, w->temporary, w->target) != 0)
        s = system_failed(w->ctx, w->target, "rename the finished file to this name");
    if (s != BL_OK) {
        bli_writer_abandon(w);
        return s;
    }
    s = sync_folder(w);
    writer_free(w);
    return s;
}

void bli_writer_abandon(bli_writer *w)
{
    if (w == NULL)
        return;
    const bli_file_ops *ops = &w->ctx->file_ops;
    if (w->fd >= 0)
        ops->close(ops->user, w->fd);
    ops->unlink(ops->user, w->temporary);
    writer_free(w);
}

bl_status bli_file_write(bl_context *ctx, const char *path, const void *data, size_t size)
{
    bli_writer *w;
    BLI_TRY(bli_writer_open(ctx, path, &w));
    bl_status s = bli_writer_write(w, data, size);
    if (s != BL_OK) {
        bli_writer_abandon(w);
        return s;
    }
    return bli_writer_commit(w);
}

bl_status bl_file_check(bl_context *ctx, const char *path)
{
    bli_writer *w;
    BLI_TRY(bli_writer_open(ctx, path, &w));
    bli_writer_abandon(w);
    return BL_OK;
}
