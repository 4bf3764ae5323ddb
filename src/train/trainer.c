/* trainer.c: makes a trainer, splits off the validation rows, runs epochs, stops early.
 *
 * Nothing here depends on time or threads but the figures in progress reports.
 */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pass/wide.h"
#include "run/layout.h"
#include "train/checkpoint.h"
#include "train/run_log.h"

void bl_train_options_init(bl_train_options *o)
{
    *o = (bl_train_options){.epochs = 10, .batch = 128, .slices = 8, .seed = 1};
    o->optimizer.name = "adam";
    o->optimizer.lr = 1e-3;
    o->optimizer.beta1 = 0.9;
    o->optimizer.beta2 = 0.999;
    o->optimizer.epsilon = 1e-8;
    o->schedule.name = "constant";
    o->schedule.gamma = 0.1;
    o->schedule.period_factor = 1;
    o->loss.name = "cross_entropy";
    o->loss.temperature = 1;
    o->loss.teacher_weight = 0.5;
    o->loss_scale.mode = "none";
    o->loss_scale.scale = 65536;
    o->loss_scale.window = 2000;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- making -------------------------------------------------------------------------------------------------- */
static int compare_rows(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bl_status split_rows(bl_trainer *t)
{
    const int64_t rows = bl_dataset_rows(t->data);
    const double share = t->opt.validation;
    if (!(share >= 0 && share < 1))
        return bli_fail(t->ctx, BL_BAD_VALUE, "validation: a share of the training rows in [0, 1), not %g", share);
    if (rows < 1 || rows > UINT32_MAX)
        return bli_fail(t->ctx, BL_BAD_FILE, "the data set has %lld rows to train on", (long long)rows);
    uint32_t *all = bli_alloc_array(t->ctx, (size_t)rows, sizeof *all);
    t->train_rows = all;
    t->order = bli_alloc_array(t->ctx, (size_t)rows, sizeof *all);
    if (!all || !t->order)
        return BL_NO_MEMORY;
    t->num_validation = (int64_t)((double)rows * share);
    t->num_train = rows - t->num_validation;
    const bli_stream s = bli_stream_make(t->opt.seed, 0, "validation");
    if (t->num_validation)
        bli_stream_permutation(&s, all, (uint32_t)rows);
    for (int64_t i = 0; !t->num_validation && i < rows; i++)
        all[i] = (uint32_t)i;
    t->validation_rows = all + t->num_train;
    qsort(all, (size_t)t->num_train, sizeof *all, compare_rows);
    qsort(t->validation_rows, (size_t)t->num_validation, sizeof *all, compare_rows);
    return BL_OK;
}

static bl_status check_options(bl_trainer *t)
{
    const bl_train_options *o = &t->opt;
    if (o->epochs < 0)
        return bli_fail(t->ctx, BL_BAD_VALUE, "epochs: %d is negative", o->epochs);
    if ((o->patience > 0 || o->keep_best) && o->validation == 0)
        return bli_fail(t->ctx, BL_BAD_VALUE, "early stopping needs validation rows: set a validation share");
    if (!(o->optimizer.lr >= 0) || !isfinite(o->optimizer.lr))
        return bli_fail(t->ctx, BL_BAD_VALUE, "learning rate %g is not a number >= 0", o->optimizer.lr);
    return bli_schedule_get(t->ctx, o, &t->schedule);
}

static void shuffle(bl_trainer *t)
{
    if (t->order_epoch == t->epoch)
        return;
    const bli_stream s = bli_stream_make(t->opt.seed, (uint64_t)t->epoch, "shuffle");
    bli_stream_permutation(&s, t->order, (uint32_t)t->num_train);
    for (int64_t i = 0; i < t->num_train; i++)
        t->order[i] = t->train_rows[t->order[i]];
    t->order_epoch = t->epoch;
}

/* Rows of the next step, and how many there are. */
static const uint32_t *batch_rows(bl_trainer *t, int64_t *n)
{
    shuffle(t);
    const int64_t first = t->epoch_step * t->opt.batch, left = t->num_train - first;
    *n = left < t->opt.batch ? left : t->opt.batch;
    return t->order + first;
}

static bl_status first_scales(bl_trainer *t, int64_t start)
{
    int64_t n;
    const uint32_t *rows = batch_rows(t, &n);
    return bli_engine_first_scales(t->engine, rows, n, (uint64_t)t->step, (uint64_t)t->epoch, start);
}

/* A trained model's scales are as training left them: another training of it goes on from there. */
static bl_status forget_first_scales(bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        bl_attr kept[64];
        int count = 0;
        if (!n->type || strcmp(n->type, "Quantize") != 0 || !bl_node_attr(n, "first_scale") ||
            n->num_attrs > (int)BLI_COUNT(kept)) /* more options than there are */
            continue;
        for (int a = 0; a < n->num_attrs; a++)
            if (strcmp(n->attrs[a].name, "first_scale") != 0)
                kept[count++] = n->attrs[a];
        BLI_TRY(bli_graph_set_attrs(g, i, kept, count));
    }
    return BL_OK;
}

static bl_status build(bl_trainer *t, const bl_graph *g)
{
    BLI_TRY(check_options(t));
    BLI_TRY(split_rows(t));
    BLI_TRY(bl_graph_clone(g, &t->graph));
    BLI_TRY(bli_engine_create(t->ctx, g, t->data, &t->opt, &t->engine));
    t->epoch_steps = (t->num_train + t->opt.batch - 1) / t->opt.batch;
    t->steps = t->epoch_steps * t->opt.epochs;
    t->best = bli_alloc_array(t->ctx, (size_t)t->engine->plan->num_values + 1, sizeof *t->best);
    if (!t->best)
        return BL_NO_MEMORY;
    BLI_TRY(first_scales(t, -1));
    return forget_first_scales(t->graph);
}

bl_status bl_trainer_create(bl_context *ctx, const bl_graph *g, const bl_dataset *data, const bl_train_options *o,
                            bl_trainer **out)
{
    *out = NULL;
    bl_trainer *t = bli_alloc(ctx, sizeof *t);
    if (!t)
        return BL_NO_MEMORY;
    t->ctx = ctx;
    t->opt = *o;
    t->data = data;
    t->order_epoch = -1;
    t->validation_loss = t->validation_accuracy = NAN;
    t->best_loss = INFINITY;
    const bl_status s = build(t, g);
    if (s != BL_OK) {
        bl_trainer_destroy(t);
        return s;
    }
    *out = t;
    return BL_OK;
}

void bl_trainer_destroy(bl_trainer *t)
{
    if (!t)
        return;
    bl_context *ctx = t->ctx;
    for (int v = 0; t->best && v < t->engine->plan->num_values; v++)
        bli_free(ctx, t->best[v]);
    bli_free(ctx, t->best);
    bli_engine_destroy(t->engine);
    bl_graph_destroy(t->graph);
    bli_free(ctx, t->train_rows);
    bli_free(ctx, t->order);
    bli_free(ctx, t);
}

/* ---- the model ------------------------------------------------------------------------------------------------ */
bool bli_trainer_keeps(const bl_trainer *t, int v)
{
    const bl_value *g = bl_graph_value(t->engine->plan->graph, v);
    return (g->role == BL_ROLE_PARAMETER || g->role == BL_ROLE_STATE) &&
           t->engine->plan->values[v].type == t->engine->plan->real;
}

static size_t bytes_of(const bl_trainer *t, int v)
{
    const bli_pvalue *p = &t->engine->plan->values[v];
    return p->elements * bl_dtype_size(p->type);
}

static bl_status keep_best(bl_trainer *t)
{
    const bli_plan *p = t->engine->plan;
    for (int v = 0; v < p->num_values; v++) {
        if (!bli_trainer_keeps(t, v))
            continue;
        if (!t->best[v] && !(t->best[v] = bli_alloc(t->ctx, bytes_of(t, v))))
            return BL_NO_MEMORY;
        memcpy(t->best[v], p->values[v].data, bytes_of(t, v));
    }
    return BL_OK;
}

/* A trained value goes back in the type it came in; a double that float32 cannot hold makes it float64. */
static bl_status store(bl_graph *g, const char *name, bl_dtype real, const void *data)
{
    const int id = bl_graph_find_value(g, name);
    const bl_value *v = bl_graph_value(g, id);
    const int64_t n = bl_shape_count(&v->shape);
    bool narrow = real == BL_F32;
    if (real == BL_F64 && v->type == BL_F32) {
        narrow = true;
        for (int64_t i = 0; i < n; i++)
            narrow &= (double)(float)((const double *)data)[i] == ((const double *)data)[i];
    }
    if (real == v->type || narrow) {
        bli_convert(v->type, v->data, real, data, (size_t)n);
        return BL_OK;
    }
    const bl_tensor t = {real, v->shape, (void *)(uintptr_t)data};
    return bli_graph_set_tensor(g, id, &t);
}

static bl_status fill(const bl_trainer *t, bool best, bl_graph *out)
{
    const bli_plan *p = t->engine->plan;
    for (int v = 0; v < p->num_values; v++) {
        if (!bli_trainer_keeps(t, v))
            continue;
        const bl_status s =
            store(out, bl_graph_value(p->graph, v)->name, p->real, best && t->best[v] ? t->best[v] : p->values[v].data);
        if (s != BL_OK)
            return s;
    }
    return BL_OK;
}

/* One value in double precision makes the whole graph so. */
static bl_status settle_type(bl_graph *g, const bl_graph *given)
{
    for (int v = 0; v < bl_graph_num_values(g); v++)
        if (bl_graph_value(g, v)->type != bl_graph_value(given, v)->type)
            return bli_wide_retype(g, BL_F64);
    return BL_OK;
}

/* The graph as given with the parameters of the engine (or of the best epoch) in place. */
static bl_status model(const bl_trainer *t, bool best, bl_graph **out)
{
    BLI_TRY(bl_graph_clone(t->graph, out));
    bl_status s = fill(t, best, *out);
    if (s == BL_OK)
        s = settle_type(*out, t->graph);
    if (s != BL_OK) {
        bl_graph_destroy(*out);
        *out = NULL;
    }
    return s;
}

bl_status bl_trainer_model(bl_trainer *t, bl_graph **out)
{
    return model(t, t->opt.keep_best && t->best_epoch > 0, out);
}

/* ---- epochs ---------------------------------------------------------------------------------------------------- */
bl_status bl_trainer_step(bl_trainer *t)
{
    bli_step_result r;
    int64_t n;
    const uint32_t *rows = batch_rows(t, &n);
    if (t->step > 0)
        BLI_TRY(first_scales(t, t->step));
    const double lr = bli_learning_rate(t->schedule, &t->opt, t->step, t->steps, t->epoch_steps);
    BLI_TRY(bli_engine_step(t->engine, rows, n, (uint64_t)t->step, (uint64_t)t->epoch, lr, &r));
    if (!isfinite(r.loss) && !r.skipped)
        return bli_fail(t->ctx, BL_BAD_VALUE,
                        "epoch %lld, step %lld: the loss is not finite; a lower learning rate, gradient clipping or "
                        "normalised inputs usually help",
                        (long long)t->epoch + 1, (long long)t->epoch_step + 1);
    t->sum_loss += isfinite(r.loss) ? r.loss * (double)r.rows : 0;
    t->sum_correct += r.correct;
    t->sum_rows += r.rows;
    t->done_rows += r.rows;
    t->step++;
    t->epoch_step++;
    return BL_OK;
}

static bl_train_progress progress_of(const bl_trainer *t, bool epoch_done)
{
    const double spent = now() - t->started, rate = spent > 0 ? (double)t->done_rows / spent : 0;
    const int64_t left = (t->steps - t->step) * t->opt.batch;
    return (bl_train_progress){.epoch = (int)t->epoch + 1,
                               .epochs = t->opt.epochs,
                               .step = t->step,
                               .steps = t->steps,
                               .epoch_step = t->epoch_step,
                               .epoch_steps = t->epoch_steps,
                               .loss = t->sum_rows ? t->sum_loss / (double)t->sum_rows : NAN,
                               .accuracy = t->sum_rows ? (double)t->sum_correct / (double)t->sum_rows : NAN,
                               .validation_loss = t->validation_loss,
                               .validation_accuracy = t->validation_accuracy,
                               .samples_per_second = rate,
                               .seconds_left = rate > 0 ? (double)left / rate : 0,
                               .learning_rate = bli_learning_rate(t->schedule, &t->opt, t->step > 0 ? t->step - 1 : 0,
                                                                  t->steps, t->epoch_steps),
                               .epoch_done = epoch_done};
}

static bl_status validate(bl_trainer *t)
{
    bl_graph *g = NULL;
    bl_scores s;
    if (t->num_validation == 0)
        return BL_OK;
    BLI_TRY(model(t, false, &g));
    const bl_status status =
        bli_evaluate_rows(t->ctx, g, t->data, t->validation_rows, t->num_validation, t->opt.loss.name, &s);
    bl_graph_destroy(g);
    BLI_TRY(status);
    t->validation_loss = s.loss;
    t->validation_accuracy = s.accuracy;
    if (s.loss < t->best_loss) {
        t->best_loss = s.loss;
        t->best_epoch = t->epoch + 1;
        return t->opt.keep_best ? keep_best(t) : BL_OK;
    }
    t->stopped_early = t->opt.patience > 0 && t->epoch + 1 - t->best_epoch >= t->opt.patience;
    return BL_OK;
}

static bl_status end_epoch(bl_trainer *t, bl_train_progress_fn fn, void *user)
{
    BLI_TRY(validate(t));
    const bl_train_progress p = progress_of(t, true);
    if (fn)
        fn(user, &p);
    BLI_TRY(bli_run_log_epoch(t, &p));
    t->epoch++;
    t->epoch_step = 0;
    t->sum_loss = 0;
    t->sum_correct = t->sum_rows = 0;
    return t->opt.checkpoint ? bl_trainer_save(t, t->opt.checkpoint) : BL_OK;
}

static bl_status interrupted(bl_trainer *t)
{
    bli_interrupt_clear(t->ctx); /* said once; a later run goes on */
    if (!t->opt.checkpoint)
        return bli_fail(t->ctx, BL_INTERRUPTED, "stopped after step %lld of %lld; no checkpoint was asked for",
                        (long long)t->step, (long long)t->steps);
    BLI_TRY(bl_trainer_save(t, t->opt.checkpoint));
    return bli_fail(t->ctx, BL_INTERRUPTED, "stopped after step %lld of %lld; saved in %s", (long long)t->step,
                    (long long)t->steps, t->opt.checkpoint);
}

static bl_status after_step(bl_trainer *t, bl_train_progress_fn fn, void *user)
{
    if (t->epoch_step == t->epoch_steps)
        return end_epoch(t, fn, user);
    if (fn && now() - t->last_report > 0.1) {
        const bl_train_progress p = progress_of(t, false);
        t->last_report = now();
        fn(user, &p);
    }
    if (t->opt.checkpoint && t->opt.checkpoint_every > 0 && t->step % t->opt.checkpoint_every == 0)
        return bl_trainer_save(t, t->opt.checkpoint);
    return BL_OK;
}

bl_status bl_trainer_run(bl_trainer *t, bl_train_progress_fn progress, void *user)
{
    t->started = t->last_report = now();
    t->done_rows = 0;
    BLI_TRY(bli_run_log_begin(t));
    while (t->epoch < t->opt.epochs && !t->stopped_early) {
        if (bli_interrupted(t->ctx))
            return interrupted(t);
        BLI_TRY(bl_trainer_step(t));
        BLI_TRY(after_step(t, progress, user));
    }
    return bli_run_log_end(t);
}
