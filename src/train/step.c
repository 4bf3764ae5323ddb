/* step.c: what the members of the team do in one step.
 *
 * An error in one member is kept in e->status; the others go on to the next barrier, so nobody waits forever.
 */
#include <math.h>
#include <string.h>

#include "run/layout.h"
#include "train/engine.h"

enum { PHASE_WHOLE, PHASE_PREPARE, PHASE_SUM, PHASE_BACK, PHASE_GRADIENT, PHASE_UPDATE /* and one a stage */ };
enum { SUM_CHUNK = 4096, UPDATE_CHUNK = 4096, UPDATE_PIECE = 2048 };

static void note(bli_engine *e, bl_status s)
{
    if (s != BL_OK)
        atomic_store(&e->status, s);
}

static bool failed(bli_engine *e)
{
    return atomic_load(&e->status) != BL_OK;
}

static bli_place whole_place(const bli_engine *e, int member)
{
    return (bli_place){.thread = member,
                       .rows = e->num_rows,
                       .batch_rows = e->num_rows,
                       .training = true,
                       .seed = e->opt->seed,
                       .step = e->step};
}

/* ---- whole nodes and prep ------------------------------------------------------------------------------------ */
static void forward_whole(bli_engine *e, int member)
{
    const bli_place at = whole_place(e, member);
    if (!e->whole_flat) {
        if (member == 0)
            note(e, bli_plan_forward_whole(e->plan, &at));
        return;
    }
    for (int i; (i = atomic_fetch_add(&e->next[PHASE_WHOLE], 1)) < e->plan->num_whole_steps;)
        if (!e->fresh || !e->requantized[i])
            note(e, bli_plan_forward_whole_step(e->plan, i, &at));
}

static void prepare(bli_engine *e, int member)
{
    const bli_place at = whole_place(e, member);
    for (int i; (i = atomic_fetch_add(&e->next[PHASE_PREPARE], 1)) < e->plan->num_steps;)
        note(e, bli_plan_prepare(e->plan, i, &at));
}

/* ---- slices -------------------------------------------------------------------------------------------------- */
/* Rows lie anywhere in memory: those of a slice are fetched while the one before it is computed.  All at once: a part
 * before each move took half as long again. */
static void announce(const bli_engine *e, int slice)
{
    int64_t first, count;
    if (slice >= e->plan->opt.slices)
        return;
    bli_plan_slice(e->plan, e->num_rows, slice, &first, &count);
    bli_dataset_prefetch(e->data, e->rows + first, (size_t)count);
}

/* The teacher's logits of a slice, as soon as its rows are there: the forward pass may write over them. */
static bl_status run_teacher(bli_engine *e, const bli_place *at)
{
    const bli_plan *t = e->teacher;
    const bl_tensor from = bli_plan_tensor(e->plan, bl_graph_input(e->plan->graph, 0), at);
    bli_place place = *at;
    place.training = false;
    bl_tensor v = bli_plan_tensor(t, bl_graph_input(t->graph, 0), &place);
    bli_convert(v.type, v.data, from.type, from.data, (size_t)bl_shape_count(&from.shape));
    for (int i = 0; i < t->num_steps; i++)
        BLI_TRY(bli_plan_forward(t, i, &place, NULL));
    v = bli_plan_tensor(t, bl_graph_output(t->graph, 0), &place);
    bli_convert(BL_F32, e->taught + (size_t)at->first_row * (size_t)e->width, v.type, v.data,
                (size_t)bl_shape_count(&v.shape));
    return BL_OK;
}

static bl_status gather(bli_engine *e, const bli_place *at)
{
    const bli_plan *p = e->plan;
    const int in = e->prefix.value;
    const bl_tensor t = bli_plan_tensor(p, in, at);
    const size_t n = (size_t)at->rows, first = (size_t)at->first_row, width = (size_t)e->width;
    float *x = p->real == BL_F32 ? t.data : e->loss_memory[at->thread] + (size_t)p->slice_rows * (5 * width + 1);
    const bool classes = bl_dataset_classes(e->data) > 0;
    int32_t *labels = classes ? e->labels + first : NULL;
    float *targets = classes ? NULL : e->targets + first * width;
    if (e->prefix.mapped)
        return bli_dataset_read_mapped(e->data, e->rows + first, n, &e->prefix.map, x, labels, targets);
    BLI_TRY(bl_dataset_read(e->data, e->rows + first, n, x, labels, targets));
    const bl_augment *a = &e->opt->augment;
    if (a->flip || a->shift || a->crop)
        bl_augment_rows(a, e->opt->seed, e->epoch, e->rows + first, n, bl_dataset_row_shape(e->data), x);
    if (p->real == BL_F64)
        bli_convert(BL_F64, t.data, BL_F32, x, n * p->values[in].elements);
    return e->teacher ? run_teacher(e, at) : BL_OK;
}

static bl_status loss(bli_engine *e, int slice, const bli_place *at)
{
    const bli_plan *p = e->plan;
    const int out = bl_graph_output(p->graph, 0);
    const bl_tensor y = bli_plan_tensor(p, out, at), g = bli_tape_grad(&e->tape, out, at);
    const size_t width = (size_t)e->width, n = (size_t)at->rows * width, first = (size_t)at->first_row;
    const size_t most = (size_t)p->slice_rows * width;
    const bool classes = bl_dataset_classes(e->data) > 0, narrow = p->real == BL_F32;
    float *memory = e->loss_memory[at->thread], *yf = narrow ? y.data : memory, *gf = narrow ? g.data : memory + most;
    int64_t correct = -1;
    if (!narrow)
        bli_convert(BL_F32, yf, y.type, y.data, n);
    const bli_loss_call c = {.kernels = e->kernels,
                             .rows = (size_t)at->rows,
                             .width = width,
                             .y = yf,
                             .labels = classes ? e->labels + first : NULL,
                             .targets = classes ? NULL : e->targets + first * width,
                             .grad = gf,
                             .scratch = memory + 2 * most,
                             .smoothing = e->opt->loss.label_smoothing,
                             .class_weights = e->opt->loss.class_weights,
                             .correct = &correct};
    e->slice_loss[slice] = e->loss->run(&c);
    if (correct < 0)
        correct = classes ? bli_count_correct(yf, c.labels, c.rows, width) : 0;
    e->slice_correct[slice] = correct;
    if (e->teacher)
        e->slice_loss[slice] = bli_distill(&c, e->taught + first * width, e->opt->loss.temperature,
                                           e->opt->loss.teacher_weight, e->slice_loss[slice]);
    const float factor = (float)(e->loss_scale / (double)e->num_rows);
    for (size_t i = 0; i < n; i++)
        gf[i] *= factor;
    if (!narrow)
        bli_convert(g.type, g.data, BL_F32, gf, n);
    return BL_OK;
}

static void quantize_error(bli_engine *e, int step, const bli_place *at)
{
    const bli_place_format *f = &e->error[step];
    const bl_node *n = e->plan->steps[step].run;
    const bl_tensor g = bli_tape_grad(&e->tape, n->outputs[0], at);
    const size_t elements = e->plan->values[n->outputs[0]].elements, count = elements * (size_t)at->rows;
    const size_t row = g.shape.rank > 1 && count ? (size_t)g.shape.dim[g.shape.rank - 1] : 1;
    const double most = e->tape.reduced[e->tape.reduced_at[step] + 2 * e->plan->steps[step].reduce_count];
    bli_place_apply(f, f->dynamic ? bli_place_scale(f, most) : 1, e->plan->isa, at->seed, at->step,
                    (uint64_t)(at->row_base + at->first_row) * elements, g.type, g.data, count / row, row);
}

bl_status bli_engine_move(bli_engine *e, const bli_move *m, int slice, const bli_place *at)
{
    switch (m->kind) {
    case BLI_MOVE_GATHER:
        announce(e, slice + e->plan->opt.threads);
        return gather(e, at);
    case BLI_MOVE_LOSS:
        return loss(e, slice, at);
    case BLI_MOVE_ERROR:
        quantize_error(e, m->step, at);
        return BL_OK;
    default:
        return bli_tape_move(&e->tape, m, slice, at);
    }
}

/* An empty slice (a batch of fewer rows than slices) gives zeros. */
static bl_status empty_slice(bli_engine *e, int first, int last, int slice, const bli_place *at)
{
    if (first == 0) {
        memset(e->tape.slice_grads + (size_t)slice * e->tape.slice_bytes, 0, e->tape.slice_bytes);
        e->slice_loss[slice] = 0;
        e->slice_correct[slice] = 0;
    }
    return bli_tape_move(&e->tape, &e->tape.moves[last], slice, at);
}

static void run_segment(bli_engine *e, int first, int last, int member)
{
    for (int s; !failed(e) && (s = atomic_fetch_add(&e->next_slice[last], 1)) < e->plan->opt.slices;) {
        bli_place at = whole_place(e, member);
        bli_plan_slice(e->plan, e->num_rows, s, &at.first_row, &at.rows);
        if (at.rows == 0) {
            note(e, empty_slice(e, first, last, s, &at));
            continue;
        }
        for (int m = first; m <= last && !failed(e); m++)
            note(e, bli_engine_move(e, &e->tape.moves[m], s, &at));
    }
}

static void run_segments(bli_engine *e, int member)
{
    const bli_tape *t = &e->tape;
    for (int first = 0, last; first < t->num_moves; first = last + 1) {
        for (last = first; !t->moves[last].ends_segment;)
            last++;
        run_segment(e, first, last, member);
        bli_team_barrier(e->team, member);
        if (last + 1 == t->num_moves)
            return;
        const bli_place at = whole_place(e, member);
        if (member == 0 && !failed(e))
            note(e, bli_tape_join(t, &t->moves[last], &at));
        bli_team_barrier(e->team, member);
    }
}

/* ---- gradients of parameters ---------------------------------------------------------------------------------- */
/* Item i of the list "contribution 0's parts, contribution 1's parts, ...". */
static void sum_contributions(bli_engine *e, int member, int members)
{
    const bli_tape *t = &e->tape;
    const int tiles = members > 1 ? 2 * members : 1;
    const bli_place at = whole_place(e, member);
    int base = 0, item = atomic_fetch_add(&e->next[PHASE_SUM], 1);
    for (int c = 0; c < t->num_contributions; c++) {
        const bli_contribution *con = &t->contributions[c];
        const int parts = con->tiled ? tiles : (int)((con->elements + SUM_CHUNK - 1) / SUM_CHUNK);
        for (; item < base + parts; item = atomic_fetch_add(&e->next[PHASE_SUM], 1)) {
            const size_t first = (size_t)(item - base) * SUM_CHUNK;
            if (con->tiled)
                note(e, bli_tape_tile(t, c, &at, item - base, parts));
            else
                bli_tape_sum(t, c, first, con->elements - first < SUM_CHUNK ? con->elements - first : SUM_CHUNK);
        }
        base += parts;
    }
}

static void backward_step(bli_engine *e, int i, const bli_place *at)
{
    if (e->gradient_phase || !e->tape.piecewise[i])
        note(e, bli_tape_backward_whole(&e->tape, i, at));
}

static void backward_whole(bli_engine *e, int member)
{
    const bli_place at = whole_place(e, member);
    if (!e->whole_flat) {
        for (int i = e->plan->num_whole_steps - 1; member == 0 && i >= 0; i--)
            backward_step(e, i, &at);
        return;
    }
    for (int i; (i = atomic_fetch_add(&e->next[PHASE_BACK], 1)) < e->plan->num_whole_steps;)
        backward_step(e, i, &at);
}

static bool has_second_contributions(const bli_tape *t)
{
    for (int i = 0; i < t->num_contributions; i++)
        if (t->contributions[i].sum != t->grad[t->contributions[i].value])
            return true;
    return false;
}

static double square_sum(const bli_engine *e, const bli_param *p)
{
    double s = 0;
    if (p->type == BL_F32)
        return e->kernels->square_sum_f32(p->grad, p->elements);
    for (size_t i = 0; i < p->elements; i++)
        s += ((const double *)p->grad)[i] * ((const double *)p->grad)[i];
    return s;
}

/* The gradient format is applied to the gradient as it is stored, loss scale included. */
static void finish_gradients(bli_engine *e)
{
    for (int i; (i = atomic_fetch_add(&e->next[PHASE_GRADIENT], 1)) < e->num_params;) {
        const bli_param *p = &e->params[i];
        const bli_place_format *f = &p->place[BLI_PLACE_GRADIENT];
        e->norms[i] = square_sum(e, p); /* not finite if any element is not */
        if (f->set && isfinite(e->norms[i]))
            bli_place_apply(f, f->dynamic ? bli_place_scale(f, bli_greatest(p->type, p->grad, p->elements)) : 1,
                            e->plan->isa, e->opt->seed, e->step, 0, p->type, p->grad, p->elements / p->row, p->row);
    }
}

static void choose_scale(bli_engine *e)
{
    double norm = 0;
    for (int i = 0; i < e->num_params; i++)
        norm += e->norms[i];
    e->overflow = e->scaled && !isfinite(norm);
    e->update.constants.unscale = 1 / e->loss_scale;
    norm = sqrt(norm) / e->loss_scale;
    if (e->opt->optimizer.clip_norm > 0 && norm > e->opt->optimizer.clip_norm)
        e->update.constants.unscale *= e->opt->optimizer.clip_norm / norm;
}

static bool any_begins(const bli_engine *e, bli_update_stage stage)
{
    for (int i = 0; i < e->num_params; i++)
        if (bli_update_begins(&e->params[i], stage))
            return true;
    return false;
}

/* All that is done to elements of a parameter while they are in the first cache. */
static void update_piece(bli_engine *e, const bli_place *at, bli_update_stage stage, const bli_param *p, size_t first,
                         size_t n)
{
    if (stage == BLI_STAGE_MOMENTS && p->quantizer >= 0 && !p->bounded)
        note(e, bli_tape_backward_piece(&e->tape, p->quantizer, at, first, n));
    bli_update_range(&e->update, p, stage, first, n);
    if (p->requantizer >= 0)
        note(e, bli_tape_forward_piece(&e->tape, p->requantizer, at, first, n));
}

static void update_chunk(bli_engine *e, const bli_place *at, bli_update_stage stage, const bli_param *p, size_t first)
{
    const size_t end = p->elements - first < UPDATE_CHUNK ? p->elements : first + UPDATE_CHUNK;
    for (size_t i = first; i < end; i += UPDATE_PIECE)
        update_piece(e, at, stage, p, i, end - i < UPDATE_PIECE ? end - i : UPDATE_PIECE);
}

static void update_pass(bli_engine *e, const bli_place *at, bli_update_stage stage)
{
    atomic_int *next = &e->next[PHASE_UPDATE + (int)stage];
    int base = 0, item = atomic_fetch_add(next, 1);
    for (int i = 0; i < e->num_params; i++) {
        const bli_param *p = &e->params[i];
        if (!bli_update_begins(p, stage))
            continue;
        const int parts = (int)((p->elements + UPDATE_CHUNK - 1) / UPDATE_CHUNK);
        for (; item < base + parts; item = atomic_fetch_add(next, 1))
            update_chunk(e, at, stage, p, (size_t)(item - base) * UPDATE_CHUNK);
        base += parts;
    }
}

static void update(bli_engine *e, int member)
{
    const bli_place at = whole_place(e, member);
    update_pass(e, &at, BLI_STAGE_MOMENTS);
    for (bli_update_stage stage = BLI_STAGE_INCREMENT; stage < BLI_STAGE_COUNT; stage++) {
        if (!any_begins(e, stage))
            continue;
        bli_team_barrier(e->team, member);
        update_pass(e, &at, stage);
    }
}

static void member_step(void *arg, int member, int members)
{
    bli_engine *e = arg;
    announce(e, member);
    forward_whole(e, member);
    bli_team_barrier(e->team, member);
    prepare(e, member);
    bli_team_barrier(e->team, member);
    run_segments(e, member);
    if (!failed(e))
        sum_contributions(e, member, members);
    bli_team_barrier(e->team, member);
    if (has_second_contributions(&e->tape)) {
        if (member == 0)
            bli_tape_merge(&e->tape);
        bli_team_barrier(e->team, member);
    }
    if (!failed(e))
        backward_whole(e, member);
    bli_team_barrier(e->team, member);
    if (e->gradient_phase) {
        finish_gradients(e);
        bli_team_barrier(e->team, member);
        if (member == 0)
            choose_scale(e);
        bli_team_barrier(e->team, member);
    }
    if (!failed(e) && !e->overflow)
        update(e, member);
}

/* ---- the step -------------------------------------------------------------------------------------------------- */
void bli_engine_begin(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step, uint64_t epoch, double lr)
{
    e->rows = rows;
    e->num_rows = n;
    e->step = step;
    e->epoch = epoch;
    e->overflow = false;
    e->update = (bli_update){
        .optimizer = e->optimizer, .kernels = e->kernels, .isa = e->plan->isa, .seed = e->opt->seed, .step = step};
    e->optimizer->constants(e->opt, lr, e->updates + 1, &e->update.constants);
    e->update.constants.unscale = 1;
    for (int i = 0; i < BLI_ENGINE_PHASES; i++)
        atomic_store(&e->next[i], 0);
    for (int i = 0; i < e->num_params; i++)
        bli_update_reset(&e->params[i]);
    for (int i = 0; i < e->tape.num_moves; i++)
        atomic_store(&e->next_slice[i], 0);
    atomic_store(&e->status, BL_OK);
}

/* Dynamic loss scaling as in arXiv:1710.03740: halve on overflow, double after a window of good steps. */
static void after(bli_engine *e)
{
    const bool dynamic = e->opt->loss_scale.mode && strcmp(e->opt->loss_scale.mode, "dynamic") == 0;
    if (e->overflow) {
        e->good_steps = 0;
        if (dynamic && e->loss_scale > 0x1p-24)
            e->loss_scale /= 2;
        return;
    }
    e->updates++;
    if (dynamic && ++e->good_steps >= e->opt->loss_scale.window) {
        e->loss_scale *= 2;
        e->good_steps = 0;
    }
}

bl_status bli_engine_step(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step, uint64_t epoch, double lr,
                          bli_step_result *out)
{
    *out = (bli_step_result){.rows = n};
    if (n < 1)
        return BL_OK;
    bli_engine_begin(e, rows, n, step, epoch, lr);
    bli_team_run(e->team, member_step, e);
    e->fresh = false;
    BLI_TRY(atomic_load(&e->status));
    e->fresh = true;
    out->skipped = e->overflow;
    for (int s = 0; s < e->plan->opt.slices; s++) {
        out->loss += e->slice_loss[s];
        out->correct += e->slice_correct[s];
    }
    out->loss /= (double)n;
    after(e);
    return BL_OK;
}
