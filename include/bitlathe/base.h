/* base.h: status codes, contexts, allocation, logging.
 *
 * Every fallible call returns a bl_status, which must be checked; the words behind it are in the context
 * (bl_context_message), built from the inside out: "read model.onnx: node 'Conv_12': attribute pads: ...".
 * The library never prints, exits, aborts or asserts on input.  On failure output pointers are NULL and files are
 * untouched.
 *
 * A context is one user of the library: it owns the allocator, the message, the log sink and the interrupt flag.
 * Two contexts share nothing but constant tables and may be used from two threads at once; one context may not.
 */
#ifndef BITLATHE_BASE_H
#define BITLATHE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#if defined(__GNUC__)
#define BL_MUST_CHECK        __attribute__((warn_unused_result))
#define BL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define BL_MUST_CHECK
#define BL_PRINTF(fmt, args)
#endif

/* One list feeds the enum, bl_status_name and bl_status_exit: name, what it means, exit status of the program. */
#define BL_STATUS_LIST(X)                                                                                              \
    X(OK, "done", 0)                                                                                                   \
    X(NO_MEMORY, "out of memory", 1)                                                                                   \
    X(IO, "the operating system refused a file operation", 1)                                                          \
    X(BAD_FILE, "a file's content is not what its format demands", 1)                                                  \
    X(BAD_MODEL, "a graph, recipe or model breaks a rule", 1)                                                          \
    X(BAD_VALUE, "a value is outside of what is allowed", 1)                                                           \
    X(NOT_FOUND, "no such name", 1)                                                                                    \
    X(UNSUPPORTED, "understood, but not something this version can do", 1)                                             \
    X(LIMIT, "a documented limit was exceeded", 1)                                                                     \
    X(USAGE, "the call itself is wrong", 2)                                                                            \
    X(MISMATCH, "a verification found a difference", 3)                                                                \
    X(INTERRUPTED, "asked to stop; what was done so far is saved", 1)

typedef enum bl_status {
#define BL_STATUS_ENUM(name, text, code) BL_##name,
    BL_STATUS_LIST(BL_STATUS_ENUM)
#undef BL_STATUS_ENUM
} bl_status;

/* The status as a word ("BAD_FILE"), as a sentence, and as the exit status a command gives for it. */
const char *bl_status_name(bl_status s);
const char *bl_status_text(bl_status s);
int bl_status_exit(bl_status s);

const char *bl_version(void); /* of the library that runs: "0.1.0" */

typedef struct bl_context bl_context;

/* realloc-shaped: size 0 frees and returns NULL; ptr NULL allocates; old_size is what was asked for before.
 * Returns NULL when it cannot, leaving ptr as it was.  Called from one thread at a time per context. */
typedef struct bl_allocator {
    void *(*resize)(void *user, void *ptr, size_t old_size, size_t new_size);
    void *user;
} bl_allocator;

typedef enum bl_log_level { BL_LOG_INFO, BL_LOG_WARNING } bl_log_level;
typedef void (*bl_log_fn)(void *user, bl_log_level level, const char *line);

/* allocator NULL: malloc and free.  Fails only with BL_NO_MEMORY, and then *out is NULL. */
BL_MUST_CHECK bl_status bl_context_create(const bl_allocator *allocator, bl_context **out);
void bl_context_destroy(bl_context *ctx); /* NULL is fine */

/* The message of the last failed call; "" if none.  Owned by the context, valid until the next failing call. */
const char *bl_context_message(const bl_context *ctx);
/* BL_OK if a file could be written at path now: its folder is there and takes one, and path is no folder itself.
 * Nothing is left behind, and a file that is there stays as it is. */
BL_MUST_CHECK bl_status bl_file_check(bl_context *ctx, const char *path);

/* Where log lines go (default: nowhere).  The library itself never writes to a stream. */
void bl_context_set_log(bl_context *ctx, bl_log_fn fn, void *user);

/* How many threads long calls may use (default 1; 0 = as many as the process may run on).  Results do not depend
 * on it. */
void bl_context_set_threads(bl_context *ctx, int threads);
int bl_context_threads(const bl_context *ctx);

/* Asks a long call on this context to finish its step, save and return BL_INTERRUPTED.  That call takes the
 * request back: the next one runs.  Safe from a signal handler and from another thread. */
void bl_context_interrupt(bl_context *ctx);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
