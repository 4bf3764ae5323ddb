/* checkpoint.h: the whole state of a training between two steps, in an npz file.
 *
 * Members: "format" (text), "fingerprint" (text), counters as int64 ("epoch", "epoch_step", ...),
 * figures as float64 ("sum_loss", "loss_scale", ...), "value:<name>" for every parameter and state, "moment1:<name>",
 * "moment2:<name>", "best:<name>", and last "sha256" over all of these (names, types, shapes, bytes).  Random numbers
 * and the shuffle need no state: they are functions of the seed, the epoch and the step.
 */
#ifndef BLI_CHECKPOINT_H
#define BLI_CHECKPOINT_H

#include "train/trainer.h"

/* The SHA-256 of the first count entries, as text; room for BLI_SHA256_TEXT. */
void bli_checkpoint_digest(const bl_npz_entry *list, size_t count, char *text);

/* One fact, one line: member of struct bl_trainer (or its engine) -> npz name. */
#define BLI_CHECKPOINT_COUNTERS(X)                                                                                     \
    X(t->epoch, "epoch")                                                                                               \
    X(t->epoch_step, "epoch_step")                                                                                     \
    X(t->step, "step")                                                                                                 \
    X(t->sum_correct, "sum_correct")                                                                                   \
    X(t->sum_rows, "sum_rows")                                                                                         \
    X(t->best_epoch, "best_epoch")                                                                                     \
    X(t->stopped_early, "stopped_early")                                                                               \
    X(t->engine->updates, "updates")                                                                                   \
    X(t->engine->good_steps, "good_steps")
#define BLI_CHECKPOINT_FIGURES(X)                                                                                      \
    X(t->sum_loss, "sum_loss")                                                                                         \
    X(t->validation_loss, "validation_loss")                                                                           \
    X(t->validation_accuracy, "validation_accuracy")                                                                   \
    X(t->best_loss, "best_loss")                                                                                       \
    X(t->engine->loss_scale, "loss_scale")

#endif
