/* process.c: posix_spawn, one pipe, and a clock. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { LONGEST_LINE = 512, TICK_MS = 50 };

bl_status bli_process_find(bl_context *ctx, const char *name, const char *package, char path[BLI_PROCESS_PATH])
{
    const char *at = getenv("PATH");
    for (at = at ? at : "/usr/bin:/bin"; *at != '\0';) {
        size_t length = strcspn(at, ":");
        int needed = snprintf(path, BLI_PROCESS_PATH, "%.*s/%s", (int)length, at, name);
        if (length > 0 && needed < BLI_PROCESS_PATH && access(path, X_OK) == 0)
            return BL_OK;
        at += length + (at[length] == ':');
    }
    return bli_fail(ctx, BL_NOT_FOUND, "%s is not installed (package %s)", name, package);
}

typedef struct run {
    bl_context *ctx;
    const bli_process *p;
    pid_t child;
    int pipe;
    struct timespec start;
    bli_buf kept;
    char line[LONGEST_LINE];
    size_t line_size;
} run;

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

/* ---- starting -----------------------------------------------------------------------------------------------------
 */
static int set_actions(const bli_process *p, int out, posix_spawn_file_actions_t *actions)
{
    int e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    e = e ? e : posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
    e = e ? e : posix_spawn_file_actions_adddup2(actions, out, STDERR_FILENO);
    return e || !p->folder ? e : posix_spawn_file_actions_addchdir_np(actions, p->folder);
}

/* Its own group, and no signal that we ignore or block. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    int e = posix_spawnattr_setpgroup(attributes, 0);
    e = e ? e : posix_spawnattr_setsigmask(attributes, &none);
    e = e ? e : posix_spawnattr_setsigdefault(attributes, &usual);
    return e ? e
             : posix_spawnattr_setflags(attributes,
                                        POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(run *r, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int e = set_actions(r->p, out, &actions);
    e = e ? e : set_attributes(&attributes);
    e = e ? e
          : posix_spawn(&r->child, r->p->argv[0], &actions, &attributes, (char *const *)(uintptr_t)r->p->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return e;
}

static bl_status start(run *r)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return bli_fail(r->ctx, BL_IO, "%s: no pipe: %s", r->p->argv[0], strerror(errno));
    int e = spawn(r, ends[1]);
    close(ends[1]);
    if (e) {
        close(ends[0]);
        return bli_fail(r->ctx, BL_IO, "%s could not be started: %s", r->p->argv[0], strerror(e));
    }
    r->pipe = ends[0];
    clock_gettime(CLOCK_MONOTONIC, &r->start);
    return BL_OK;
}

/* ---- listening ----------------------------------------------------------------------------------------------------
 */
static void hand_lines(run *r, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n' && r->line_size + 1 < LONGEST_LINE) {
            r->line[r->line_size++] = data[i];
        } else if (data[i] == '\n') {
            r->line[r->line_size] = '\0';
            r->line_size = 0;
            if (r->p->on_line)
                r->p->on_line(r->p->user, r->line);
        }
    }
}

/* Past the ceiling the first half of what was kept goes. */
static bl_status keep(run *r, const char *data, size_t size)
{
    if (r->kept.size > 0 && r->kept.size + size > r->p->ceiling) {
        size_t drop = r->kept.size / 2;
        memmove(r->kept.data, r->kept.data + drop, r->kept.size - drop);
        r->kept.size -= drop;
        r->kept.data[r->kept.size] = '\0';
    }
    return r->kept.size + size > r->p->ceiling ? BL_OK : bli_buf_append(&r->kept, data, size);
}

/* *open: whether more may come. */
static bl_status listen_once(run *r, bool *open)
{
    char data[4096];
    struct pollfd fd = {.fd = r->pipe, .events = POLLIN};
    if (bli_interrupted(r->ctx))
        return bli_fail(r->ctx, BL_INTERRUPTED, "%s was stopped", r->p->argv[0]);
    if (seconds_since(&r->start) > r->p->seconds)
        return bli_fail(r->ctx, BL_LIMIT, "%s took longer than %g s and was stopped", r->p->argv[0], r->p->seconds);
    if (poll(&fd, 1, TICK_MS) <= 0)
        return BL_OK;
    ssize_t n = read(r->pipe, data, sizeof data);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return BL_OK;
    *open = n > 0;
    if (n <= 0)
        return BL_OK;
    hand_lines(r, data, (size_t)n);
    return keep(r, data, (size_t)n);
}

/* A program may close its streams and go on: it has until the limit. */
static int reap(run *r)
{
    const struct timespec tick = {0, 1000000};
    int status = 0;
    pid_t done;
    while ((done = waitpid(r->child, &status, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
        if (seconds_since(&r->start) > r->p->seconds || bli_interrupted(r->ctx))
            kill(-r->child, SIGKILL);
        nanosleep(&tick, NULL);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bl_status bli_process_run(bl_context *ctx, const bli_process *p, int *status, char **output)
{
    run r = {.ctx = ctx, .p = p};
    bool open = true;
    if (output)
        *output = NULL;
    bli_buf_init(&r.kept, ctx, p->ceiling + 1);
    BLI_TRY(start(&r));
    bl_status s = BL_OK;
    while (s == BL_OK && open)
        s = listen_once(&r, &open);
    if (s != BL_OK)
        kill(-r.child, SIGKILL);
    close(r.pipe);
    *status = reap(&r);
    if (s == BL_OK && output) {
        *output = r.kept.size > 0 ? r.kept.data : bli_alloc(ctx, 1);
        return *output ? BL_OK : BL_NO_MEMORY;
    }
    bli_buf_free(&r.kept);
    return s;
}
