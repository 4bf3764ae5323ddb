/* file.h: whole files in, whole files out.
 *
 * A file is written beside its target, synced, renamed, and its folder synced; until the rename the target is
 * untouched, and a failed or abandoned write removes its temporary.  All system calls go through a table in the
 * context (bli_file_ops), so that tests can make each one fail, or stop the process in the middle.
 */
#ifndef BLI_FILE_H
#define BLI_FILE_H

#include <sys/types.h>

#include "base/base.h"

typedef struct bli_file_ops {
    int (*open)(void *user, const char *path, int flags, int mode);
    ssize_t (*read)(void *user, int fd, void *data, size_t size);
    ssize_t (*write)(void *user, int fd, const void *data, size_t size);
    int (*fsync)(void *user, int fd);
    int (*close)(void *user, int fd);
    int (*rename)(void *user, const char *from, const char *to);
    int (*unlink)(void *user, const char *path);
    int (*mkdir)(void *user, const char *path, int mode);
    int (*rmdir)(void *user, const char *path);
    void *user;
} bli_file_ops;
void bli_context_set_file_ops(bl_context *ctx, const bli_file_ops *ops); /* NULL: the system's */

/* The whole file, NUL-terminated past *size, freed with bli_free.  More than ceiling bytes is BL_LIMIT.  Messages
 * name the path and the system's reason; a folder, a missing file and a missing permission are told apart. */
BL_MUST_CHECK bl_status bli_file_read(bl_context *ctx, const char *path, size_t ceiling, char **data, size_t *size);

/* size bytes from a place in the file on; fewer there is BL_BAD_FILE.  What is in front is passed over by reading it.
 */
BL_MUST_CHECK bl_status bli_file_read_at(bl_context *ctx, const char *path, uint64_t offset, size_t size, void *to);
/* BL_BAD_FILE when the file ends before that: to be asked before memory is taken for what it should have. */
BL_MUST_CHECK bl_status bli_file_reaches(bl_context *ctx, const char *path, uint64_t end);

typedef struct bli_writer bli_writer;
BL_MUST_CHECK bl_status bli_writer_open(bl_context *ctx, const char *path, bli_writer **out);
BL_MUST_CHECK bl_status bli_writer_write(bli_writer *w, const void *data, size_t size); /* buffered */
/* Sync, rename, sync the folder; frees w whether it succeeds or not. */
BL_MUST_CHECK bl_status bli_writer_commit(bli_writer *w);
void bli_writer_abandon(bli_writer *w); /* NULL is fine */
BL_MUST_CHECK bl_status bli_file_write(bl_context *ctx, const char *path, const void *data, size_t size);

#endif
