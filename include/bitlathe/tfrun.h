/* tfrun.h: TensorFlow's frozen graphs run, without TensorFlow. */
#ifndef BITLATHE_TFRUN_H
#define BITLATHE_TFRUN_H

#include "bitlathe/graphdef.h"
#include "bitlathe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Runs a graph, which must not change while the session lives.  Constants are worked on once, so that one session for
 * many runs is the fast way.  One thread. */
typedef struct bl_tf_session bl_tf_session;
BL_MUST_CHECK bl_status bl_tf_session_create(const bl_graphdef *g, bl_tf_session **out);
void bl_tf_session_destroy(bl_tf_session *s); /* NULL is fine */

/* feeds: names of outputs ("input", "input:0") and what they are (for a placeholder of a string: a vector of U8, its
 * bytes); fetches likewise ("^node" runs it and fetches nothing); out[i] is freed by bl_tensor_free.  Codes of
 * quantized types come out as the plain integers that hold them.  On failure all of out are empty. */
BL_MUST_CHECK bl_status bl_tf_session_run(bl_tf_session *s, const bl_npz_entry *feeds, size_t num_feeds,
                                          const char *const *fetches, size_t num_fetches, bl_tensor *out);

/* Called after every node that ran: its name and operator, nanoseconds, bytes and (NULL: none) shape of its first
 * output.  NULL: nobody watches. */
typedef void (*bl_tf_watch_fn)(void *user, const char *name, const char *op, int64_t nanoseconds, size_t bytes,
                               const bl_tensor *out);
void bl_tf_session_watch(bl_tf_session *s, bl_tf_watch_fn fn, void *user);
/* Most bytes of tensors that were alive at once, constants of the graph not counted. */
size_t bl_tf_session_peak(const bl_tf_session *s);

/* ---- pictures -------------------------------------------------------------------------------------------------- */
/* A picture as label_image makes a graph's input of it, [1, height, width, channels] in float32: decoded by the
 * operator that the end of its name says (.png, .gif, .bmp; everything else is DecodeJpeg), resized by TensorFlow's
 * legacy bilinear rule, less mean, divided by std.  The same bits as TensorFlow's. */
BL_MUST_CHECK bl_status bl_tf_picture_read(bl_context *ctx, const char *path, int height, int width, float mean,
                                           float std, bl_tensor *out);

/* Lines of a file, as labels.  Freed with bl_tf_labels_free. */
typedef struct bl_tf_labels bl_tf_labels;
BL_MUST_CHECK bl_status bl_tf_labels_read(bl_context *ctx, const char *path, bl_tf_labels **out);
size_t bl_tf_labels_count(const bl_tf_labels *l);
const char *bl_tf_labels_at(const bl_tf_labels *l, size_t i); /* "" behind the last */
void bl_tf_labels_free(bl_tf_labels *l);                      /* NULL is fine */

/* The k largest of n scores, ties to the lower index; k at most n. */
void bl_tf_top(const float *scores, size_t n, size_t k, size_t *index);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
