/* exec.h: running an exact program fast.
 *
 * An executor plans once for this machine's instruction set, then runs batches of any size without allocating.  Its
 * codes are those of the program's reference, on every instruction set and for any number of threads.
 */
#ifndef BITLATHE_EXEC_H
#define BITLATHE_EXEC_H

#include "bitlathe/program.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_executor bl_executor;

/* Whether constants of 1 to 7 bits lie packed in as many. */
typedef enum bl_pack {
    BL_PACK_FAST,   /* where that is faster: those of large networks */
    BL_PACK_ALWAYS, /* wherever they can: least memory */
    BL_PACK_NEVER
} bl_pack;

typedef struct bl_executor_options {
    int threads;     /* 0: the context's */
    const char *isa; /* "generic", "avx2", "avx512", "amx", "neon", "dotprod"; NULL: the widest here */
    bool trace;      /* keep every wire, for bl_executor_trace: slower */
    bl_pack pack;
} bl_executor_options;

/* p must outlive the executor.  o NULL: all defaults. */
BL_MUST_CHECK bl_status bl_executor_create(bl_context *ctx, const bl_program *p, const bl_executor_options *o,
                                           bl_executor **out);
void bl_executor_destroy(bl_executor *e); /* NULL is fine */

/* rows samples.  x[i]: rows times input i's elements.  y[k]: room for rows times output k's elements of its type
 * (bl_program_output: float or double).  Any rows >= 0. */
BL_MUST_CHECK bl_status bl_executor_run(bl_executor *e, const float *const *x, int64_t rows, void *const *y);
/* The same between codes.  A code that its input does not have is BL_BAD_VALUE. */
BL_MUST_CHECK bl_status bl_executor_run_codes(bl_executor *e, const int64_t *const *x, int64_t rows, int64_t *const *y);
/* Every wire's codes: wires[i] has room for rows times wire i's elements.  BL_USAGE without the option. */
BL_MUST_CHECK bl_status bl_executor_trace(bl_executor *e, const float *const *x, int64_t rows, int64_t *const *wires);
/* From codes, every wire's. */
BL_MUST_CHECK bl_status bl_executor_trace_codes(bl_executor *e, const int64_t *const *x, int64_t rows,
                                                int64_t *const *wires);
/* The instruction set in use, and how many ops are run by plain loops rather than by a step of their own. */
const char *bl_executor_isa(const bl_executor *e);
int bl_executor_plain_ops(const bl_executor *e);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
