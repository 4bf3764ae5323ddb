/* first_scale.c: learned scales of activations start from the batch on which they begin.
 *
 * One scale after another, in the order of the network: the batch goes forward up to the quantizer, which finds its
 * scale from its whole input; so each sees inputs that the quantizers before it have brought onto their grids.  Every
 * scale costs a forward pass of its own, once a training: local storages hold one slice at a time, and a second layout
 * for this alone would cost memory.  One thread does it, so the number of threads cannot matter; running statistics
 * stay as they are.
 */
#include <string.h>

#include "op/quantizer.h"
#include "run/layout.h"
#include "train/engine.h"

/* The quantizer of step i if its scale is to be found now (start -1: whenever it begins), else NULL. */
static const bli_quant_spec *due(const bli_engine *e, int i, int64_t start)
{
    const bli_pstep *s = &e->plan->steps[i];
    if (strcmp(s->run->type, "Quantize") != 0 || !s->state)
        return NULL;
    const bli_quant_spec *q = s->state;
    return q->first_from_batch && (start < 0 || q->start == start) ? q : NULL;
}

static bli_place place_of(const bli_engine *e)
{
    return (bli_place){
        .rows = e->num_rows, .batch_rows = e->num_rows, .training = true, .seed = e->opt->seed, .step = e->step};
}

/* Copies the slice's part of the input of step i into x. */
static void take(const bli_engine *e, int i, const bli_place *at, bl_tensor *x)
{
    const bl_tensor part = bli_plan_tensor(e->plan, e->plan->steps[i].run->inputs[0], at);
    const size_t bytes = (size_t)bl_shape_count(&part.shape) * bl_dtype_size(part.type);
    if (bytes > 0)
        memcpy((char *)x->data + bytes / (size_t)at->rows * (size_t)at->first_row, part.data, bytes);
}

/* A segment on every slice, or in the segment of move `stop` what comes before it, and that step's input into x. */
static bl_status run_slices(bli_engine *e, int first, int last, int stop, bl_tensor *x)
{
    const bli_tape *t = &e->tape;
    for (int s = 0; s < e->plan->opt.slices; s++) {
        bli_place at = place_of(e);
        bli_plan_slice(e->plan, e->num_rows, s, &at.first_row, &at.rows);
        for (int m = first; at.rows > 0 && m <= last && m < stop; m++)
            BLI_TRY(bli_engine_move(e, &t->moves[m], s, &at));
        if (at.rows == 0 && last < stop) /* zeros into the sums */
            BLI_TRY(bli_tape_move(t, &t->moves[last], s, &at));
        if (at.rows > 0 && last >= stop)
            take(e, t->moves[stop].step, &at, x);
    }
    return BL_OK;
}

/* Forward up to move `stop`, and the input of its step into x. */
static bl_status gather_input(bli_engine *e, int stop, bl_tensor *x)
{
    const bli_tape *t = &e->tape;
    for (int first = 0, last; first <= stop; first = last + 1) {
        for (last = first; !t->moves[last].ends_segment;)
            last++;
        BLI_TRY(run_slices(e, first, last, stop, x));
        if (last < stop)
            bli_tape_join_sums(t, &t->moves[last]);
    }
    return BL_OK;
}

/* scale: count numbers of the carrier's type; one of them stands for all groups. */
static void store(bl_dtype type, void *scale, size_t count, const double *first, size_t groups)
{
    double mean = 0;
    for (size_t i = 0; i < groups; i++)
        mean += first[i] / (double)groups;
    for (size_t i = 0; i < count; i++) {
        const double v = count == groups ? first[i] : mean;
        if (type == BL_F32)
            ((float *)scale)[i] = (float)v;
        else
            ((double *)scale)[i] = v;
    }
}

static bl_status find_scale(bli_engine *e, int stop, const bli_quant_spec *q, bl_tensor *x)
{
    const bli_pstep *s = &e->plan->steps[e->tape.moves[stop].step];
    const bli_place at = place_of(e);
    bli_call c;
    BLI_TRY(gather_input(e, stop, x));
    bli_plan_call(e->plan, s, &at, &c);
    c.in[0] = *x;
    const size_t groups = (size_t)bli_quant_groups(q, &x->shape);
    double *first = bli_alloc_array(e->ctx, groups, sizeof *first);
    if (!first)
        return BL_NO_MEMORY;
    const bl_status status = q->quantizer->init_scale(&c, q, first);
    if (status == BL_OK)
        store(c.in[1].type, c.in[1].data, (size_t)bl_shape_count(&c.in[1].shape), first, groups);
    bli_free(e->ctx, first);
    BLI_TRY(status);
    return bli_plan_prepare(e->plan, e->tape.moves[stop].step, &at);
}

static bl_status start_step(bli_engine *e, int stop, const bli_quant_spec *q)
{
    const int in = e->plan->steps[e->tape.moves[stop].step].run->inputs[0];
    const bli_pvalue *v = &e->plan->values[in];
    bl_tensor x = {v->type, v->shape, NULL};
    x.shape.dim[0] = e->num_rows;
    x.data = bli_alloc_array(e->ctx, (size_t)e->num_rows * v->elements + 1, bl_dtype_size(v->type));
    if (!x.data)
        return BL_NO_MEMORY;
    const bl_status s = find_scale(e, stop, q, &x);
    bli_free(e->ctx, x.data);
    return bli_within(e->ctx, s, "first scale of node '%s'", e->plan->steps[e->tape.moves[stop].step].run->name);
}

/* Everything that a forward pass reads and that is computed once a step. */
static bl_status prepare(bli_engine *e)
{
    const bli_place at = place_of(e);
    BLI_TRY(bli_plan_forward_whole(e->plan, &at));
    for (int i = 0; i < e->plan->num_steps; i++)
        BLI_TRY(bli_plan_prepare(e->plan, i, &at));
    return BL_OK;
}

bl_status bli_engine_first_scales(bli_engine *e, const uint32_t *rows, int64_t n, uint64_t step, uint64_t epoch,
                                  int64_t start)
{
    bool prepared = false;
    for (int m = 0; n > 0 && m < e->tape.num_moves; m++) {
        const bli_move *move = &e->tape.moves[m];
        const bli_quant_spec *q = move->kind == BLI_MOVE_FORWARD ? due(e, move->step, start) : NULL;
        if (!q)
            continue;
        if (!prepared) {
            bli_engine_begin(e, rows, n, step, epoch, 0);
            BLI_TRY(prepare(e));
            prepared = true;
        }
        BLI_TRY(start_step(e, m, q));
    }
    return BL_OK;
}
