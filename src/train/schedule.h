/* schedule.h: the learning rate as a function of the step. */
#ifndef BLI_SCHEDULE_H
#define BLI_SCHEDULE_H

#include "bitlathe/train.h"

typedef struct bli_schedule {
    const char *name, *help;
    /* Factor on the learning rate at epoch position e (a real number) of `epochs`. */
    double (*factor)(const bl_train_options *o, double e, double epochs);
} bli_schedule;

BL_MUST_CHECK bl_status bli_schedule_get(bl_context *ctx, const bl_train_options *o, const bli_schedule **out);
/* Learning rate of step (0-based) of steps, epoch_steps to the epoch; warm-up is linear over the first share. */
double bli_learning_rate(const bli_schedule *s, const bl_train_options *o, int64_t step, int64_t steps,
                         int64_t epoch_steps);

#endif
