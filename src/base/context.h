/* context.h: what a context is made of; for the base room only, all others use base.h and file.h. */
#ifndef BLI_CONTEXT_H
#define BLI_CONTEXT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/file.h"

enum { BLI_MESSAGE_SIZE = 4096 };

struct bl_context {
    bl_allocator allocator;
    bli_file_ops file_ops;
    bl_log_fn log;
    void *log_user;
    int threads;
    atomic_bool interrupted;
    /* Taken for each allocation, log line and message, so that members of a team may call them. */
    pthread_mutex_t lock;
    /* While a team runs, the first member to fail owns the message until the run ends. */
    bool shared, owned;
    pthread_t owner;
    char message[BLI_MESSAGE_SIZE];
};

extern const bli_file_ops bli_system_file_ops;

/* A team tells the context when several threads use it. */
void bli_context_share(bl_context *ctx, bool shared);

#endif
