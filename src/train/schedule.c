#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

/* schedule.c: constant, step, exponential, cosine with restarts (SGDR, arXiv:1608.03983); warm-up in front of any. */

static double constant(const bl_train_options *o, double e, double epochs)
{
    (void)o, (void)e, (void)epochs;
    return 1;
}

static double step_down(const bl_train_options *o, double e, double epochs)
{
    (void)epochs;
    return pow(o->schedule.gamma, floor(e / (o->schedule.period > 0 ? o->schedule.period : 1)));
}

static double exponential(const bl_train_options *o, double e, double epochs)
{
    (void)epochs;
    return pow(o->schedule.gamma, e);
}

static double cosine(const bl_train_options *o, double e, double epochs)
{
    double length = o->schedule.period > 0 ? o->schedule.period : epochs, start = 0;
    const double grow = o->schedule.period_factor >= 1 ? o->schedule.period_factor : 1;
    while (o->schedule.period > 0 && e >= start + length) {
        start += length;
        length *= grow;
    }
    const double x = fmin((e - start) / length, 1);
    return o->schedule.final + (1 - o->schedule.final) * 0.5 * (1 + cos(3.14159265358979323846 * x));
}

static const bli_schedule table[] = {
    {"constant", "the learning rate stays", constant},
    {"step", "times gamma every `period` epochs", step_down},
    {"exponential", "times gamma every epoch, continuously", exponential},
    {"cosine", "half a cosine from lr to final * lr; restarts every `period` epochs if given", cosine},
};

bl_status bli_schedule_get(bl_context *ctx, const bl_train_options *o, const bli_schedule **out)
{
    const char *names[BLI_COUNT(table)], *name = o->schedule.name ? o->schedule.name : "constant";
    *out = NULL;
    for (size_t i = 0; i < BLI_COUNT(table); i++) {
        names[i] = table[i].name;
        if (strcmp(table[i].name, name) == 0)
            *out = &table[i];
    }
    if (*out)
        return BL_OK;
    return bli_unknown_name(ctx, "schedule", name, names, BLI_COUNT(table));
}

double bli_learning_rate(const bli_schedule *s, const bl_train_options *o, int64_t step, int64_t steps,
                         int64_t epoch_steps)
{
    const double warm = o->schedule.warmup * (double)steps, per = (double)(epoch_steps > 0 ? epoch_steps : 1);
    if ((double)step < warm)
        return o->optimizer.lr * ((double)step + 1) / (warm + 1);
    return o->optimizer.lr * s->factor(o, ((double)step - warm) / per, ((double)steps - warm) / per);
}
