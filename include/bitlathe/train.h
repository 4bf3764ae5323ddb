/* train.h: training a GRAPH at any precision.
 *
 * The trainer owns a plan of the graph and everything a step needs.  A step: rows are gathered, each of `slices` fixed
 * slices of the batch goes forward and backward through the whole network, weight gradients are summed in a fixed tree
 * (or computed in tiles that need no sum), and a fused kernel updates the parameters.  The number of threads never
 * changes a bit; the number of slices may.
 */
#ifndef BITLATHE_TRAIN_H
#define BITLATHE_TRAIN_H

#include "bitlathe/dataset.h"
#include "bitlathe/graph.h"
#include "bitlathe/program.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* A format at a place of the training step (design section 5): "error", "gradient", "moment1", "moment2", "update",
 * "master".  layer NULL: every layer; a later rule overrides an earlier one.  scale: "none" (the format as it is),
 * "dynamic" (a power of two chosen so that the greatest magnitude fits: WAGE's shift, INT8's range; one per tensor for
 * error and gradient, one per 1024 consecutive elements for moment1, moment2, update and master). */
typedef struct bl_place_rule {
    const char *place, *layer;
    const char *format;
    const char *scale;
} bl_place_rule;

typedef struct bl_train_options {
    int epochs, batch, slices;
    uint64_t seed;

    struct {
        const char *name; /* "sgd", "adam", "adamw" */
        double lr, momentum, beta1, beta2, epsilon, weight_decay;
        bool nesterov;
        double clip_norm, clip_value; /* gradient clipping, 0: none */
    } optimizer;
    struct {
        const char *name;     /* "constant", "step", "exponential", "cosine" */
        double warmup;        /* share of all steps, linear from 0 */
        double gamma;         /* step, exponential: factor */
        double period;        /* step: epochs between drops; cosine: epochs of the first cycle (0: one cycle) */
        double period_factor; /* cosine: each cycle is so many times longer (1) */
        double final;         /* cosine: last lr as a share of the first */
    } schedule;
    struct {
        const char *name; /* "cross_entropy", "mse", "hinge" (squared hinge: "squared_hinge") */
        double label_smoothing;
        const bl_graph *teacher; /* distillation: NULL or a graph of the same input and output */
        double temperature, teacher_weight;
        const double *class_weights; /* NULL or one per class */
    } loss;
    const bl_place_rule *places;
    int num_places;
    struct {
        const char *mode; /* "none", "static", "dynamic" */
        double scale;     /* static factor, dynamic start (65536) */
        int window;       /* dynamic: steps without overflow before doubling (2000) */
    } loss_scale;

    double validation; /* share of the training rows kept for validation, 0..1 */
    int patience;      /* early stopping: epochs without better validation loss; 0: never */
    bool keep_best;    /* end with the parameters of the best validation epoch */
    bl_augment augment;

    const char *checkpoint;  /* path or NULL: written after every checkpoint_every steps and every epoch */
    int checkpoint_every;    /* steps; 0: epochs only */
    const char *log;         /* JSON-lines run log, or NULL */
    const char *fingerprint; /* text that a checkpoint must match to be resumed (the recipe's hash), or NULL */
} bl_train_options;

/* Sensible values everywhere: 10 epochs, batch 128, 8 slices, Adam 1e-3, cross-entropy. */
void bl_train_options_init(bl_train_options *o);

typedef struct bl_train_progress {
    int epoch, epochs;
    int64_t step, steps; /* in all */
    int64_t epoch_step, epoch_steps;
    double loss, accuracy;                       /* running mean of this epoch's training batches */
    double validation_loss, validation_accuracy; /* NaN before the first */
    double samples_per_second, seconds_left;
    double learning_rate;
    bool epoch_done;
} bl_train_progress;
typedef void (*bl_train_progress_fn)(void *user, const bl_train_progress *p);

typedef struct bl_trainer bl_trainer;

/* The graph is copied; data must outlive the trainer.  o is copied, what it points to must outlive the trainer. */
BL_MUST_CHECK bl_status bl_trainer_create(bl_context *ctx, const bl_graph *g, const bl_dataset *data,
                                          const bl_train_options *o, bl_trainer **out);
void bl_trainer_destroy(bl_trainer *t);
/* Goes on from a checkpoint.  One of another recipe, torn, or foreign: BL_BAD_FILE, trainer unchanged. */
BL_MUST_CHECK bl_status bl_trainer_resume(bl_trainer *t, const char *path);
/* Trains to the end (or to an interrupt: saved, BL_INTERRUPTED). */
BL_MUST_CHECK bl_status bl_trainer_run(bl_trainer *t, bl_train_progress_fn progress, void *user);
/* One step on the next batch. */
BL_MUST_CHECK bl_status bl_trainer_step(bl_trainer *t);
BL_MUST_CHECK bl_status bl_trainer_save(bl_trainer *t, const char *path);
/* The trained model: stored (master) parameters as training left them, batch-normalisation statistics in place;
 * bl_model_write brings weights onto their grids.  The caller destroys it. */
BL_MUST_CHECK bl_status bl_trainer_model(bl_trainer *t, bl_graph **out);

typedef struct bl_scores {
    int64_t rows, correct;
    double loss, accuracy;
} bl_scores;
/* Evaluation mode over a data set, through the training engine's own kernels. */
BL_MUST_CHECK bl_status bl_evaluate(bl_context *ctx, const bl_graph *g, const bl_dataset *data, const char *loss,
                                    bl_scores *out);
/* The same through an exact program (lower.h). */
BL_MUST_CHECK bl_status bl_evaluate_program(bl_context *ctx, const bl_program *p, const bl_dataset *data,
                                            const char *loss, bl_scores *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
