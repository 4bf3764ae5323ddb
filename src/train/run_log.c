/* run_log.c: lines are appended and closed one by one, so that a killed run leaves whole lines; a fresh run starts the
 * file anew, a resumed one goes on with it. */
#include "train/run_log.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bl_status append(bl_trainer *t, json_t *line, const char *mode)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return bli_fail(t->ctx, BL_NO_MEMORY, "run log: out of memory");
    FILE *f = fopen(t->opt.log, mode);
    const bool good = f && fprintf(f, "%s\n", text) > 0;
    const bool closed = f && fclose(f) == 0;
    free(text);
    if (!good || !closed)
        return bli_fail(t->ctx, BL_IO, "run log %s: %s", t->opt.log, strerror(errno));
    return BL_OK;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

bl_status bli_run_log_begin(bl_trainer *t)
{
    if (!t->opt.log)
        return BL_OK;
    const bli_plan *p = t->engine->plan;
    return append(t,
                  json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:s, s:s}", "event", "begin", "version",
                            bl_version(), "graph", bl_graph_name(t->graph), "step", (json_int_t)t->step, "rows",
                            (json_int_t)t->num_train, "validation_rows", (json_int_t)t->num_validation, "epochs",
                            t->opt.epochs, "batch", t->opt.batch, "slices", t->opt.slices, "threads", p->opt.threads,
                            "carrier", bl_dtype_name(p->real), "isa", bli_isa_name(p->isa)),
                  t->step == 0 ? "w" : "a");
}

bl_status bli_run_log_epoch(bl_trainer *t, const bl_train_progress *p)
{
    if (!t->opt.log)
        return BL_OK;
    return append(t,
                  json_pack("{s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "event", "epoch", "epoch", p->epoch,
                            "step", (json_int_t)p->step, "loss", number(p->loss), "accuracy", number(p->accuracy),
                            "validation_loss", number(p->validation_loss), "validation_accuracy",
                            number(p->validation_accuracy), "learning_rate", number(p->learning_rate), "loss_scale",
                            number(t->engine->loss_scale), "samples_per_second", number(p->samples_per_second)),
                  "a");
}

bl_status bli_run_log_end(bl_trainer *t)
{
    if (!t->opt.log)
        return BL_OK;
    return append(t,
                  json_pack("{s:s, s:I, s:I, s:b, s:I}", "event", "end", "epochs", (json_int_t)t->epoch, "step",
                            (json_int_t)t->step, "stopped_early", (int)t->stopped_early, "best_epoch",
                            (json_int_t)t->best_epoch),
                  "a");
}
