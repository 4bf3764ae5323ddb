/* evaluate.c: a graph in evaluation mode (run/form.h) over a data set, through the training engine's own kernels. */
#include <stdatomic.h>
#include <string.h>

#include "run/form.h"
#include "run/layout.h"
#include "train/trainer.h"

enum { BLOCK_ROWS = 2048, SLICE_ROWS = 64 };

typedef struct evaluation {
    bli_plan *plan;
    const bl_dataset *data;
    const bli_loss *loss;
    const uint32_t *rows; /* of this block */
    int64_t n;
    size_t width;
    bool classes;
    double slice_loss[BLOCK_ROWS / SLICE_ROWS];
    int64_t slice_correct[BLOCK_ROWS / SLICE_ROWS];
    float **memory; /* per thread */
    int32_t *labels;
    float *targets;
    atomic_int next;
    _Atomic bl_status status;
} evaluation;

static bl_status evaluate_slice(evaluation *e, int s, const bli_place *at)
{
    const bli_plan *p = e->plan;
    const size_t first = (size_t)at->first_row, n = (size_t)at->rows;
    const int in = bl_graph_input(p->graph, 0), out = bl_graph_output(p->graph, 0);
    float *memory = e->memory[at->thread];
    const bl_tensor x = bli_plan_tensor(p, in, at);
    BLI_TRY(bl_dataset_read(e->data, e->rows + first, n, memory, e->classes ? e->labels + first : NULL,
                            e->classes ? NULL : e->targets + first * e->width));
    bli_convert(x.type, x.data, BL_F32, memory, n * p->values[in].elements);
    for (int i = 0; i < p->num_steps; i++)
        BLI_TRY(bli_plan_forward(p, i, at, NULL));
    const bl_tensor y = bli_plan_tensor(p, out, at);
    bli_convert(BL_F32, memory, y.type, y.data, n * e->width);
    const bli_loss_call c = {.kernels = bli_train_kernels_for(p->isa),
                             .rows = n,
                             .width = e->width,
                             .y = memory,
                             .labels = e->classes ? e->labels + first : NULL,
                             .targets = e->classes ? NULL : e->targets + first * e->width,
                             .scratch = memory + SLICE_ROWS * e->width};
    e->slice_loss[s] = e->loss->run(&c);
    e->slice_correct[s] = e->classes ? bli_count_correct(memory, c.labels, n, e->width) : 0;
    return BL_OK;
}

static void evaluate_member(void *arg, int member, int members)
{
    evaluation *e = arg;
    (void)members;
    for (int s; (s = atomic_fetch_add(&e->next, 1)) < e->plan->opt.slices;) {
        bli_place at = {.thread = member, .batch_rows = e->n};
        bli_plan_slice(e->plan, e->n, s, &at.first_row, &at.rows);
        e->slice_loss[s] = 0;
        e->slice_correct[s] = 0;
        const bl_status status = at.rows ? evaluate_slice(e, s, &at) : BL_OK;
        if (status != BL_OK)
            atomic_store(&e->status, status);
    }
}

static bl_status check(bl_context *ctx, const evaluation *e)
{
    const bli_plan *p = e->plan;
    const bl_value *in = bl_graph_value(p->graph, bl_graph_input(p->graph, 0));
    const bl_shape *row = bl_dataset_row_shape(e->data);
    char a[96], b[96];
    if (bl_shape_count(row) != (int64_t)p->values[bl_graph_input(p->graph, 0)].elements) {
        bl_shape_print(&in->shape, a, sizeof a);
        bl_shape_print(row, b, sizeof b);
        return bli_fail(ctx, BL_BAD_MODEL, "input '%s' is %s, a row of the data is %s", in->name, a, b);
    }
    const int want = e->classes ? bl_dataset_classes(e->data) : bl_dataset_targets(e->data);
    if (e->classes ? (int64_t)e->width < want : (int64_t)e->width != want)
        return bli_fail(ctx, BL_BAD_MODEL, "the model gives %zu numbers a row, the data has %d %s", e->width, want,
                        e->classes ? "classes" : "targets");
    if (e->loss->classes && !e->classes)
        return bli_fail(ctx, BL_BAD_MODEL, "loss %s needs classes, the data has real targets", e->loss->name);
    return BL_OK;
}

static bl_status prepare(bl_context *ctx, const bl_graph *g, evaluation *e)
{
    const bli_plan_options o = {
        .rows = BLOCK_ROWS, .slices = BLOCK_ROWS / SLICE_ROWS, .threads = bl_context_threads(ctx)};
    bl_graph *logits = NULL, *form = NULL;
    bl_dtype real;
    bool stripped;
    if (bl_graph_num_inputs(g) != 1 || bl_graph_num_outputs(g) != 1)
        return bli_fail(ctx, BL_UNSUPPORTED, "a model to evaluate must have one input and one output");
    BLI_TRY(bli_strip_softmax(g, e->loss, &logits, &stripped));
    bl_status s = bli_evaluation_form(logits, false, &form);
    if (s == BL_OK)
        s = bli_choose_carrier(ctx, form, &real);
    if (s == BL_OK)
        s = bli_plan_create(ctx, form, real, &o, &e->plan);
    bl_graph_destroy(logits);
    bl_graph_destroy(form);
    BLI_TRY(s);
    BLI_TRY(bli_plan_layout(e->plan));
    e->width = e->plan->values[bl_graph_output(e->plan->graph, 0)].elements;
    e->classes = bl_dataset_classes(e->data) > 0;
    BLI_TRY(check(ctx, e));
    const bli_place at = {.batch_rows = BLOCK_ROWS};
    BLI_TRY(bli_plan_forward_whole(e->plan, &at));
    for (int i = 0; i < e->plan->num_steps; i++)
        BLI_TRY(bli_plan_prepare(e->plan, i, &at));
    const size_t in = e->plan->values[bl_graph_input(e->plan->graph, 0)].elements;
    const size_t per = SLICE_ROWS * (in > 5 * e->width + 1 ? in : 5 * e->width + 1);
    e->memory = bli_arena_array(e->plan->arena, (size_t)o.threads, sizeof *e->memory);
    e->labels = bli_arena_array(e->plan->arena, BLOCK_ROWS, sizeof *e->labels);
    e->targets = bli_arena_array(e->plan->arena, BLOCK_ROWS * e->width, sizeof *e->targets);
    if (!e->memory || !e->labels || !e->targets)
        return BL_NO_MEMORY;
    for (int t = 0; t < o.threads; t++)
        if (!(e->memory[t] = bli_arena_array(e->plan->arena, per, sizeof(float))))
            return BL_NO_MEMORY;
    return BL_OK;
}

static bl_status run(evaluation *e, bli_team *team, const uint32_t *rows, int64_t n, bl_scores *out)
{
    uint32_t all[BLOCK_ROWS];
    for (int64_t first = 0; first < n; first += BLOCK_ROWS) {
        e->n = n - first < BLOCK_ROWS ? n - first : BLOCK_ROWS;
        for (int64_t i = 0; i < e->n; i++)
            all[i] = rows ? rows[first + i] : (uint32_t)(first + i);
        e->rows = all;
        atomic_store(&e->next, 0);
        bli_team_run(team, evaluate_member, e);
        BLI_TRY(atomic_load(&e->status));
        for (int s = 0; s < e->plan->opt.slices; s++) {
            out->loss += e->slice_loss[s];
            out->correct += e->slice_correct[s];
        }
    }
    return BL_OK;
}

bl_status bli_evaluate_rows(bl_context *ctx, const bl_graph *g, const bl_dataset *data, const uint32_t *rows, int64_t n,
                            const char *loss, bl_scores *out)
{
    *out = (bl_scores){.rows = n};
    evaluation e = {.data = data};
    bli_team *team = NULL;
    BLI_TRY(bli_loss_get(ctx, loss, &e.loss));
    bl_status s = prepare(ctx, g, &e);
    if (s == BL_OK)
        s = bli_team_create(ctx, bl_context_threads(ctx), &team);
    if (s == BL_OK)
        s = run(&e, team, rows, n, out);
    bli_team_destroy(team);
    bli_plan_destroy(e.plan);
    if (s == BL_OK && n > 0) {
        out->loss /= (double)n;
        out->accuracy = (double)out->correct / (double)n;
    }
    return s;
}

bl_status bl_evaluate(bl_context *ctx, const bl_graph *g, const bl_dataset *data, const char *loss, bl_scores *out)
{
    return bli_evaluate_rows(ctx, g, data, NULL, bl_dataset_rows(data), loss, out);
}
