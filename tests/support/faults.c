/* faults.c: counts the calls of the file layer and lets one go wrong. */
#include "support/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Counts a call; true when it must fail now, with errno set. */
static bool enter(faults *f, const char *name)
{
    f->calls++;
    f->last = name;
    if (f->kind == FAULT_NONE || f->calls != f->at)
        return false;
    if (f->kind == FAULT_EXIT_BEFORE)
        _exit(FAULT_EXIT_STATUS);
    errno = f->error;
    return f->kind == FAULT_ERROR;
}

static void leave(const faults *f)
{
    if (f->calls == f->at && (f->kind == FAULT_EXIT_AFTER || f->kind == FAULT_EXIT_AMID))
        _exit(FAULT_EXIT_STATUS);
}

static int f_open(void *user, const char *path, int flags, int mode)
{
    faults *f = user;
    if (enter(f, "open"))
        return -1;
    int fd = open(path, flags, mode);
    leave(f);
    return fd;
}

static ssize_t f_read(void *user, int fd, void *data, size_t size)
{
    faults *f = user;
    if (enter(f, "read"))
        return -1;
    ssize_t n = read(fd, data, size);
    leave(f);
    return n;
}

static ssize_t f_write(void *user, int fd, const void *data, size_t size)
{
    faults *f = user;
    if (enter(f, "write"))
        return -1;
    if (f->limited && f->space_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (f->limited && size > f->space_left)
        size = f->space_left;
    if (f->short_write > 0 && size > f->short_write)
        size = f->short_write;
    if (f->kind == FAULT_EXIT_AMID && f->calls == f->at)
        size /= 2;
    ssize_t n = write(fd, data, size);
    if (n > 0 && f->limited)
        f->space_left -= (size_t)n;
    leave(f);
    return n;
}

static int f_fsync(void *user, int fd)
{
    faults *f = user;
    if (enter(f, "fsync"))
        return -1;
    int r = fsync(fd);
    leave(f);
    return r;
}

static int f_close(void *user, int fd)
{
    faults *f = user;
    bool fails = enter(f, "close");
    int r = close(fd); /* even a failing close gives the descriptor back */
    leave(f);
    return fails ? -1 : r;
}

static int f_rename(void *user, const char *from, const char *to)
{
    faults *f = user;
    if (enter(f, "rename"))
        return -1;
    int r = rename(from, to);
    leave(f);
    return r;
}

static int f_unlink(void *user, const char *path)
{
    faults *f = user;
    if (enter(f, "unlink"))
        return -1;
    int r = unlink(path);
    leave(f);
    return r;
}

static int f_mkdir(void *user, const char *path, int mode)
{
    faults *f = user;
    if (enter(f, "mkdir"))
        return -1;
    int r = mkdir(path, (mode_t)mode);
    leave(f);
    return r;
}

static int f_rmdir(void *user, const char *path)
{
    faults *f = user;
    if (enter(f, "rmdir"))
        return -1;
    int r = rmdir(path);
    leave(f);
    return r;
}

void faults_install(bl_context *ctx, faults *f)
{
    const bli_file_ops ops = {f_open, f_read, f_write, f_fsync, f_close, f_rename, f_unlink, f_mkdir, f_rmdir, f};
    bli_context_set_file_ops(ctx, &ops);
}

int run_in_child(int (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(fn(arg));
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
