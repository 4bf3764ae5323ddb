/* trainer.h: epochs around the engine, and what of them a checkpoint keeps. */
#ifndef BLI_TRAINER_H
#define BLI_TRAINER_H

#include "train/engine.h"
#include "train/schedule.h"

struct bl_trainer {
    bl_context *ctx;
    bl_train_options opt;
    const bl_dataset *data;
    bl_graph *graph; /* as given, Softmax included */
    bli_engine *engine;
    const bli_schedule *schedule;
    uint32_t *train_rows, *validation_rows, *order; /* order: this epoch's */
    int64_t num_train, num_validation, epoch_steps, steps;
    int64_t order_epoch; /* which epoch `order` is of, -1 none */
    /* state that a checkpoint keeps */
    int64_t epoch, epoch_step, step;
    double sum_loss;
    int64_t sum_correct, sum_rows;
    double validation_loss, validation_accuracy; /* of the last epoch, NaN before */
    double best_loss;
    int64_t best_epoch;
    bool stopped_early;
    void **best; /* per value of the engine's graph: copy at the best epoch, or NULL */
    /* since this process began */
    double started, last_report;
    int64_t done_rows;
};

/* Elements of every parameter and state that training changes, by id in the engine's graph. */
bool bli_trainer_keeps(const bl_trainer *t, int value);

/* evaluate.c: mean loss and accuracy over given rows (NULL: all). */
BL_MUST_CHECK bl_status bli_evaluate_rows(bl_context *ctx, const bl_graph *g, const bl_dataset *data,
                                          const uint32_t *rows, int64_t n, const char *loss, bl_scores *out);

#endif
