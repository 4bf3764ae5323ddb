/* input.h (internal): the bytes of a file from its beginning, unpacked on the way when it is a .gz. */
#ifndef BLI_TRAIN_INPUT_H
#define BLI_TRAIN_INPUT_H

#include "base/base.h"

typedef struct bli_input bli_input;

/* A regular file; whether it is gzip, its first two bytes say. */
BL_MUST_CHECK bl_status bli_input_open(bl_context *ctx, const char *path, bli_input **out);
void bli_input_close(bli_input *in); /* NULL is fine */
bool bli_input_packed(const bli_input *in);
uint64_t bli_input_file_size(const bli_input *in);
/* Bytes of content that can still come: exact for a plain file, at most this many for a .gz. */
uint64_t bli_input_ceiling(const bli_input *in);
/* Share of the file read so far, for estimates. */
double bli_input_progress(const bli_input *in);
/* Up to n bytes; *got < n only at the end. */
BL_MUST_CHECK bl_status bli_input_read(bli_input *in, void *data, size_t n, size_t *got);
/* The open file of a plain input, now the caller's to close. */
int bli_input_take_fd(bli_input *in);

#endif
