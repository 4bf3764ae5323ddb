/* run.h: a GRAPH run forward in evaluation mode. */
#ifndef BITLATHE_RUN_H
#define BITLATHE_RUN_H

#include "bitlathe/graph.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_runner bl_runner;

/* Plans g (copied) for up to max_rows rows at a time; more are run in pieces. */
BL_MUST_CHECK bl_status bl_runner_create(bl_context *ctx, const bl_graph *g, int64_t max_rows, bl_runner **out);
void bl_runner_destroy(bl_runner *r);
/* x: rows in the graph's input shape, any rows >= 0.  y gets a fresh tensor (free with bl_tensor_free) of float32, of
 * float64 where the graph's output is. */
BL_MUST_CHECK bl_status bl_runner_run(bl_runner *r, const bl_tensor *x, bl_tensor *y);
/* Called with every value's name and tensor (all rows) during the next runs; NULL: off. */
typedef bl_status (*bl_trace_fn)(void *user, const char *name, const bl_tensor *t);
void bl_runner_trace(bl_runner *r, bl_trace_fn fn, void *user);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
