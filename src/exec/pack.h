/* pack.h: a product's constants in the order that kernels read them.
 *
 * A result reads a few runs of consecutive input elements; runs are cut into groups, and each block of panels keeps the
 * groups for which it has constants, as bytes and the like, or packed as fields of 1 to 7 bits.
 */
#ifndef BLI_PACK_H
#define BLI_PACK_H

#include "exec/exec.h"

/* Runs of consecutive input elements that one result reads: one for DENSE, one a kernel row (or tap) for CONV. */
typedef struct bli_runs {
    int64_t count, length; /* runs, elements in each */
    int64_t taps;          /* in a run */
    int64_t channels;      /* elements of a tap */
    int outer, inner;      /* axes of the kernel: an image of one row for [L, C] */
} bli_runs;

typedef struct bli_packing {
    bli_exec_plan *plan;
    const bli_prim_op *op;
    bli_runs r;
    const int64_t *run_offset; /* bytes from the row's start */
    bli_store store;
    int each;       /* elements of a group */
    bool single;    /* bits: no constant is 0 */
    int64_t groups; /* of a run */
    int bundle;     /* groups that are kept or left out together, the last of a run filled up with zeros */
    int width, low; /* bytes kept as fields (kernels.h); width 0: not */
} bli_packing;

/* Of single bits every tap is a run of its own, since a pixel fills whole words. */
bli_runs bli_runs_of(const bli_program *p, const bli_prim_op *op, bool bits);
/* The constant that result m has for element e of run i. */
int64_t bli_weight_at(const bli_prim_op *op, const bli_runs *r, int64_t m, int64_t i, int64_t e);
int64_t bli_num_weights(const bli_program *p, const bli_prim_op *op);
/* Blocks of constants. */
BL_MUST_CHECK bl_status bli_pack(const bli_packing *k, bli_step *step);
/* What sums start from, for an input kept in that place. */
BL_MUST_CHECK bl_status bli_pack_start(const bli_packing *k, bli_step *step, const bli_place *in);

#endif
