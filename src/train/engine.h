/* engine.h: one training step on a team of threads.
 *
 * Phases, each ended by a barrier: whole nodes forward; prep; the tape's segments over slices; contributions (tiles and
 * tree sums); backward of whole nodes; gradient formats and checks; update, in as many passes as its dynamic scales
 * need.  Work inside a phase is handed out by a
 * counter: which thread does it never matters.
 */
#ifndef BLI_ENGINE_H
#define BLI_ENGINE_H

#include <stdatomic.h>

#include "bitlathe/train.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/prefix.h"
#include "train/tape.h"

enum { BLI_ENGINE_PHASES = 5 + BLI_STAGE_COUNT };

typedef struct bli_engine {
    bl_context *ctx;
    const bl_train_options *opt;
    const bl_dataset *data;
    bli_plan *plan, *teacher; /* teacher NULL without distillation */
    bli_prefix prefix;
    bli_tape tape;
    bli_team *team;
    const bli_train_kernels *kernels;
    const bli_optimizer *optimizer;
    const bli_loss *loss;
    int num_params;
    bli_param *params;
    bli_place_format *error; /* per batched step */
    int64_t classes, width;  /* outputs per row */
    float **loss_memory;     /* per thread */
    int32_t *labels;         /* per row of the batch */
    float *targets;
    float *taught;       /* the teacher's logits */
    bool gradient_phase; /* gradients are looked at as a whole before the update: formats, overflow, norm */
    bool whole_flat;     /* no whole step reads another's output: they may run side by side */
    /* state that a checkpoint keeps */
    int64_t updates;   /* optimizer steps done */
    double loss_scale; /* 1 when the mode is none */
    bool scaled;       /* a loss scale is in force: gradients are checked for overflow */
    int good_steps;
    bool *requantized; /* per whole step: the update of the step before does its work */
    bool fresh;        /* it did; false once anybody else has changed a parameter */
    /* of the step being run */
    const uint32_t *rows;
    int64_t num_rows;
    uint64_t step, epoch;
    double *slice_loss;
    int64_t *slice_correct;
    double *norms; /* per parameter: sum of squares */
    bool overflow;
    bli_update update;
    atomic_int next[BLI_ENGINE_PHASES];
    atomic_int *next_slice; /* per move that ends a segment */
    _Atomic bl_status status;
} bli_engine;

typedef struct bli_step_result {
    double loss; /* mean over rows */
    int64_t correct, rows;
    bool skipped; /* non-finite gradients under a loss scale: nothing was updated */
} bli_step_result;

/* g is copied; a Softmax at its end is left to the loss. */
BL_MUST_CHECK bl_status bli_engine_create(bl_context *ctx, const bl_graph *g, const bl_dataset *data,
                                          const bl_train_options *o, bli_engine **out);
void bli_engine_destroy(bli_engine *e);
/* rows: indices into the data set; at most o->batch. */
BL_MUST_CHECK bl_status bli_engine_step(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step, uint64_t epoch,
                                        double lr, bli_step_result *out);

/* Starts the learned scales that say "first_scale: batch" from these rows: those that begin at step `start`, -1: all.
 */
BL_MUST_CHECK bl_status bli_engine_first_scales(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step,
                                                uint64_t epoch, int64_t start);

/* Parts of a step, for first_scale.c: notes what the step is of; runs one move on one slice that has rows. */
void bli_engine_begin(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step, uint64_t epoch, double lr);
BL_MUST_CHECK bl_status bli_engine_move(bli_engine *e, const bli_move *m, int slice, const bli_place *at);

/* g without a Softmax that the loss contains; *stripped says whether there was one. */
BL_MUST_CHECK bl_status bli_strip_softmax(const bl_graph *g, const bli_loss *loss, bl_graph **out, bool *stripped);

#endif
