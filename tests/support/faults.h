/* faults.h: a file layer that fails, writes short, runs out of space, or stops the process. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "base/file.h"

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_ERROR,       /* the call is not made and fails with `error` */
    FAULT_EXIT_BEFORE, /* the process ends without having made the call */
    FAULT_EXIT_AMID,   /* a write: the process ends after half of it; others as EXIT_BEFORE */
    FAULT_EXIT_AFTER   /* the process ends right after the call */
} fault_kind;

enum { FAULT_EXIT_STATUS = 86 };

typedef struct faults {
    fault_kind kind;
    long at;            /* the call it happens in, counted from 1 over all calls */
    int error;          /* errno of FAULT_ERROR */
    size_t short_write; /* at most so many bytes per write; 0: as asked */
    bool limited;       /* the disk has space_left bytes, then ENOSPC */
    size_t space_left;
    long calls;       /* calls made so far */
    const char *last; /* name of the last call */
} faults;

/* From now on ctx's file operations go through f (which must live as long). */
void faults_install(bl_context *ctx, faults *f);

/* Runs fn(arg) in a child process and returns its exit status (fn's result, or FAULT_EXIT_STATUS). */
int run_in_child(int (*fn)(void *arg), void *arg);

#endif
