/* process.h: another program, run to its end.
 *
 * No shell takes part: a program is an absolute path and a vector of arguments.  It runs in its own process group with
 * nothing on its standard input; what it prints, on both streams, is kept up to a ceiling (the beginning goes first).
 * When time is over, or the context is asked to stop, the whole group is killed.
 */
#ifndef BLI_PROCESS_H
#define BLI_PROCESS_H

#include "base/base.h"

enum { BLI_PROCESS_PATH = 4096 };

/* Where the program is, along PATH.  BL_NOT_FOUND in one line: "yosys is not installed (package yosys)". */
BL_MUST_CHECK bl_status bli_process_find(bl_context *ctx, const char *name, const char *package,
                                         char path[BLI_PROCESS_PATH]);

typedef struct bli_process {
    const char *const *argv;                       /* argv[0]: the path; NULL at the end */
    const char *folder;                            /* to run in; NULL: here */
    double seconds;                                /* limit */
    size_t ceiling;                                /* bytes of output that are kept */
    void (*on_line)(void *user, const char *line); /* each line as it comes; may be NULL */
    void *user;
} bli_process;

/* status: exit status, or 128 + the signal that ended it.  *output: what it printed, NUL-terminated, freed with
 * bli_free; may be NULL.  A program that cannot be started is BL_IO, one that takes too long BL_LIMIT, a stop
 * BL_INTERRUPTED; *output is then NULL. */
BL_MUST_CHECK bl_status bli_process_run(bl_context *ctx, const bli_process *p, int *status, char **output);

#endif
