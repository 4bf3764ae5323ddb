/* optimizer.h: one parameter's update, in pieces, with every tensor that is stored brought onto its grid.
 *
 * Order within a step (the places of design section 5): gradient (already quantized) -> moments -> quantize moment1,
 * moment2 -> increment -> quantize update -> master += increment -> quantize master.
 *
 * A dynamic scale needs the greatest magnitude of the whole tensor before its first element is quantized, so the order
 * is cut into stages there: all pieces of a stage are done before the next one begins.  A greatest magnitude does not
 * depend on the order in which pieces are seen.
 */
#ifndef BLI_OPTIMIZER_H
#define BLI_OPTIMIZER_H

#include <stdatomic.h>

#include "train/kernels/kernels.h"
#include "train/places.h"

/* Stages, each named for what it begins with. */
typedef enum bli_update_stage {
    BLI_STAGE_MOMENTS,   /* moments from gradients */
    BLI_STAGE_INCREMENT, /* moments on their grids; the increment */
    BLI_STAGE_ADD,       /* the increment on its grid; master += increment */
    BLI_STAGE_MASTER,    /* master on its grid */
    BLI_STAGE_COUNT
} bli_update_stage;

typedef struct bli_param {
    int value; /* in the plan's graph */
    const char *name;
    bl_dtype type;
    size_t elements, row;            /* row: length of the last axis */
    void *master, *grad, *moment[2]; /* moment NULL where the optimizer keeps none */
    bool scale;                      /* a quantizer's learned scale: no weight decay, no format of the step's places */
    int quantizer;                   /* whole step whose backward is left to the update, piece by piece; -1: none */
    int requantizer;                 /* whole step whose forward follows the update of each piece; -1: none */
    bool bounded; /* quantizer passes gradients where pass_least <= master <= pass_most: the update looks */
    float pass_least, pass_most;
    double limit; /* the master stays in [-limit, limit]; 0: everywhere */
    bli_place_format place[BLI_PLACE_COUNT];
    void *increment;        /* of all elements, where the update's scale is dynamic; else NULL */
    _Atomic uint64_t *most; /* per place: bits of the greatest magnitude so far (doubles >= 0 sort like their bits) */
} bli_param;

typedef struct bli_optimizer {
    const char *name, *help;
    int moments;
    /* Constants of this step from the options; lr is the scheduled one, t counts updates from 1. */
    void (*constants)(const bl_train_options *o, double lr, int64_t t, bli_step_constants *k);
    void (*update_moments)(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t at,
                           size_t n);
    void (*increment)(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t at, size_t n,
                      void *d);
    /* Moments, increment and master at once, for what no format stands between; NULL: none. */
    void (*all)(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t at, size_t n);
} bli_optimizer;

BL_MUST_CHECK bl_status bli_optimizer_get(bl_context *ctx, const bl_train_options *o, const bli_optimizer **out);
/* How many moments these options need (SGD without momentum: 0). */
int bli_optimizer_moments(const bli_optimizer *opt, const bl_train_options *o);

typedef struct bli_update {
    const bli_optimizer *optimizer;
    const bli_train_kernels *kernels;
    bli_step_constants constants;
    bli_isa isa;
    uint64_t seed, step;
} bli_update;
/* Whether moments, increment and master of p are one pass (bli_optimizer.all). */
bool bli_update_is_one(const bli_optimizer *o, const bli_param *p);
/* Whether a pass over p begins at this stage (all begin at BLI_STAGE_MOMENTS). */
bool bli_update_begins(const bli_param *p, bli_update_stage stage);
/* Forgets the greatest magnitudes of the step before. */
void bli_update_reset(const bli_param *p);
/* Updates elements [first, first + n) of p, from a stage where a pass begins to the next one. */
void bli_update_range(const bli_update *u, const bli_param *p, bli_update_stage stage, size_t first, size_t n);

#endif
