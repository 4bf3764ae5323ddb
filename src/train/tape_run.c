/* tape_run.c: the moves of a tape, on one slice or over the whole batch. */
#include <math.h>
#include <string.h>

#include "train/tape.h"
#include "train/tree.h"

static void *grad_rows(const bli_tape *t, int v, const bli_place *at)
{
    const int st = t->grad_storage[t->plan->values[v].root];
    return st >= 0 ? bli_plan_rows(t->plan, st, at) : NULL;
}

bl_tensor bli_tape_grad(const bli_tape *t, int v, const bli_place *at)
{
    const bli_pvalue *pv = &t->plan->values[v];
    bl_tensor g = {pv->type, pv->shape, grad_rows(t, v, at)};
    g.shape.dim[0] = at->rows;
    return g;
}

static void add_into(bl_dtype type, void *a, const void *b, size_t n)
{
    for (size_t i = 0; type == BL_F32 && i < n; i++)
        ((float *)a)[i] += ((const float *)b)[i];
    for (size_t i = 0; type == BL_F64 && i < n; i++)
        ((double *)a)[i] += ((const double *)b)[i];
}

static void set_grad_out(const bli_tape *t, const bl_node *n, const bli_place *at, bli_call *c)
{
    for (int o = 0; o < n->num_outputs; o++) {
        c->grad_out[o] = c->out[o];
        c->grad_out[o].data = grad_rows(t, n->outputs[o], at);
        if (c->grad_out[o].data && !t->live[t->plan->values[n->outputs[o]].root])
            memset(c->grad_out[o].data, 0,
                   (size_t)bl_shape_count(&c->grad_out[o].shape) * bl_dtype_size(c->grad_out[o].type));
    }
}

static void set_grad_in(const bli_tape *t, const bl_node *n, int step, int slice, const bli_place *at, bli_call *c)
{
    const bli_plan *p = t->plan;
    for (int k = 0; k < n->num_inputs; k++) {
        const int v = n->inputs[k], temp = t->temp_storage[step * BLI_MAX_IN + k];
        if (v < 0 || !p->values[v].needs_grad)
            continue;
        c->grad_in[k] = c->in[k];
        if (p->values[v].batched) {
            c->grad_in[k].data = temp >= 0 ? bli_plan_rows(p, temp, at) : grad_rows(t, v, at);
            continue;
        }
        const bli_contribution *con = &t->contributions[t->contribution_at[step * BLI_MAX_IN + k]];
        c->grad_in[k].data = con->tiled ? NULL : t->slice_grads + (size_t)slice * t->slice_bytes + con->slice_offset;
    }
}

static void add_temps(const bli_tape *t, const bl_node *n, int step, const bli_place *at, const bli_call *c)
{
    for (int k = 0; k < n->num_inputs; k++) {
        if (t->temp_storage[step * BLI_MAX_IN + k] < 0)
            continue;
        const bl_tensor g = bli_tape_grad(t, n->inputs[k], at);
        add_into(g.type, g.data, c->grad_in[k].data, (size_t)bl_shape_count(&g.shape));
    }
}

static bl_status backward(const bli_tape *t, int step, int slice, const bli_place *at)
{
    const bli_pstep *s = &t->plan->steps[step];
    const bl_node *n = s->run;
    bli_call *c = &t->calls[at->thread][step];
    bli_plan_move_call(t->plan, s, at, c);
    c->reduced = t->reduced + t->reduced_at[step];
    c->passed = t->passed[step];
    if (t->pass_from[step] >= 0)
        c->pass = (const uint8_t *)bli_plan_rows(t->plan, t->plan->steps[t->pass_from[step]].saved, at);
    set_grad_out(t, n, at, c);
    set_grad_in(t, n, step, slice, at, c);
    BLI_TRY(bli_within(c->ctx, s->op->backward(c), "node '%s' backward", n->name));
    add_temps(t, n, step, at, c);
    return BL_OK;
}

static double *partial(const bli_tape *t, int slice)
{
    return t->partials + (size_t)slice * (t->partial_count + 1);
}

static bl_status reduce(const bli_tape *t, const bli_move *m, int slice, const bli_place *at)
{
    const bli_pstep *s = &t->plan->steps[m->step];
    const bl_node *n = s->run;
    bli_call c;
    bli_plan_call(t->plan, s, at, &c);
    c.reduced = t->reduced + t->reduced_at[m->step];
    if (m->kind == BLI_MOVE_REDUCE)
        return s->op->reduce(&c, partial(t, slice));
    set_grad_out(t, n, at, &c);
    return s->op->reduce_backward(&c, partial(t, slice));
}

static void error_max(const bli_tape *t, const bli_move *m, int slice, const bli_place *at)
{
    const bl_node *n = t->plan->steps[m->step].run;
    const bl_tensor g = bli_tape_grad(t, n->outputs[0], at);
    const size_t count = (size_t)bl_shape_count(&g.shape);
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        const double x = fabs(g.type == BL_F32 ? (double)((const float *)g.data)[i] : ((const double *)g.data)[i]);
        most = x > most && x < (double)INFINITY ? x : most;
    }
    partial(t, slice)[0] = most;
}

bl_status bli_tape_move(const bli_tape *t, const bli_move *m, int slice, const bli_place *at)
{
    switch (m->kind) {
    case BLI_MOVE_FORWARD:
        return at->rows ? bli_plan_forward(t->plan, m->step, at, t->reduced + t->reduced_at[m->step]) : BL_OK;
    case BLI_MOVE_BACKWARD:
        return at->rows ? backward(t, m->step, slice, at) : BL_OK;
    case BLI_MOVE_REDUCE:
    case BLI_MOVE_REDUCE_BACKWARD:
        memset(partial(t, slice), 0, (t->partial_count + 1) * sizeof(double));
        return at->rows ? reduce(t, m, slice, at) : BL_OK;
    case BLI_MOVE_ERROR_MAX:
        partial(t, slice)[0] = 0;
        if (at->rows)
            error_max(t, m, slice, at);
        return BL_OK;
    case BLI_MOVE_GATHER:
    case BLI_MOVE_LOSS:
    case BLI_MOVE_ERROR:
        break;
    }
    return BL_OK;
}

static void join_max(const bli_tape *t, const bli_move *m)
{
    double most = 0;
    for (int s = 0; s < t->plan->opt.slices; s++)
        most = fmax(most, partial(t, s)[0]);
    t->reduced[t->reduced_at[m->step] + 2 * t->plan->steps[m->step].reduce_count] = most;
}

void bli_tape_join_sums(const bli_tape *t, const bli_move *m)
{
    if (m->kind == BLI_MOVE_ERROR_MAX)
        join_max(t, m);
    if (m->kind != BLI_MOVE_REDUCE && m->kind != BLI_MOVE_REDUCE_BACKWARD)
        return;
    const bli_pstep *s = &t->plan->steps[m->step];
    double *to = t->reduced + t->reduced_at[m->step] + (m->kind == BLI_MOVE_REDUCE ? 0 : s->reduce_count);
    bli_tree_sum(BL_F64, to, (char *)t->partials, (t->partial_count + 1) * sizeof(double), t->plan->opt.slices,
                 s->reduce_count);
}

bl_status bli_tape_join(const bli_tape *t, const bli_move *m, const bli_place *whole)
{
    const bli_pstep *s = &t->plan->steps[m->step];
    bli_tape_join_sums(t, m);
    if (m->kind != BLI_MOVE_REDUCE || !s->op->update_state)
        return BL_OK;
    bli_call c;
    bli_plan_call(t->plan, s, whole, &c);
    c.reduced = t->reduced + t->reduced_at[m->step];
    return s->op->update_state(&c);
}

bl_status bli_tape_tile(const bli_tape *t, int index, const bli_place *whole, int part, int parts)
{
    const bli_contribution *con = &t->contributions[index];
    const bli_pstep *s = &t->plan->steps[con->step];
    const bl_node *n = s->run;
    bli_call c;
    bli_plan_call(t->plan, s, whole, &c);
    set_grad_out(t, n, whole, &c);
    c.grad_in[con->input] = bli_plan_tensor(t->plan, con->value, whole);
    c.grad_in[con->input].data = con->sum;
    return s->op->weight_grad(&c, part, parts);
}

void bli_tape_sum(const bli_tape *t, int index, size_t first, size_t n)
{
    const bli_contribution *c = &t->contributions[index];
    const bl_dtype type = t->plan->values[c->value].type;
    const size_t at = first * bl_dtype_size(type);
    bli_tree_sum(type, (char *)c->sum + at, t->slice_grads + c->slice_offset + at, t->slice_bytes, t->plan->opt.slices,
                 n);
}

void bli_tape_merge(const bli_tape *t)
{
    for (int i = 0; i < t->num_contributions; i++) {
        const bli_contribution *c = &t->contributions[i];
        if (c->sum != t->grad[c->value])
            add_into(t->plan->values[c->value].type, t->grad[c->value], c->sum, c->elements);
    }
}

static void *whole_target(const bli_tape *t, int step, int k, int v)
{
    void *temp = t->whole_temp[step * BLI_MAX_IN + k];
    return temp ? temp : t->grad[v];
}

bl_status bli_tape_backward_whole(const bli_tape *t, int i, const bli_place *at)
{
    const bli_plan *p = t->plan;
    const bli_pstep *s = &p->whole_steps[i];
    const bl_node *n = s->run;
    bli_call c;
    if (!t->live[n->outputs[0]])
        return BL_OK;
    bli_plan_call(p, s, at, &c);
    c.first_row = 0;
    c.grad_out[0] = c.out[0];
    c.grad_out[0].data = t->grad[n->outputs[0]];
    for (int k = 0; k < n->num_inputs; k++) {
        const int v = n->inputs[k];
        if (v < 0 || !p->values[v].needs_grad)
            continue;
        c.grad_in[k] = c.in[k];
        c.grad_in[k].data = whole_target(t, i, k, v);
    }
    if (s->view)
        memcpy(c.grad_in[0].data, c.grad_out[0].data, p->values[n->inputs[0]].elements * bl_dtype_size(p->real));
    else
        BLI_TRY(bli_within(c.ctx, s->op->backward(&c), "node '%s' backward", n->name));
    for (int k = 0; k < n->num_inputs; k++)
        if (t->whole_temp[i * BLI_MAX_IN + k])
            add_into(p->real, t->grad[n->inputs[k]], c.grad_in[k].data, p->values[n->inputs[k]].elements);
    return BL_OK;
}

/* The call of piecewise step i on this thread, for elements [first, first + n). */
static bli_call *piece_call(const bli_tape *t, int i, const bli_place *at, size_t first, size_t n)
{
    const bli_pvalue *x = &t->plan->values[t->plan->whole_steps[i].run->inputs[0]];
    const int out = t->plan->whole_steps[i].run->outputs[0];
    bli_call *c = &t->piece_calls[at->thread][i];
    const size_t skip = first * bl_dtype_size(x->type);
    const bl_shape shape = {1, {(int64_t)n}};
    c->training = at->training;
    c->seed = at->seed;
    c->step = at->step;
    c->in[0] = (bl_tensor){x->type, shape, (char *)x->data + skip};
    c->out[0] = (bl_tensor){x->type, shape, (char *)t->plan->values[out].data + skip};
    c->grad_out[0] = (bl_tensor){x->type, shape, (char *)t->grad[out] + skip};
    return c;
}

bl_status bli_tape_backward_piece(const bli_tape *t, int i, const bli_place *at, size_t first, size_t n)
{
    const bli_pstep *s = &t->plan->whole_steps[i];
    bli_call *c = piece_call(t, i, at, first, n);
    c->grad_in[0] = c->grad_out[0];
    return bli_within(c->ctx, s->op->backward(c), "node '%s' backward", s->run->name);
}

bl_status bli_tape_forward_piece(const bli_tape *t, int i, const bli_place *at, size_t first, size_t n)
{
    const bli_pstep *s = &t->plan->whole_steps[i];
    bli_call *c = piece_call(t, i, at, first, n);
    return bli_within(c->ctx, s->op->forward(c), "node '%s'", s->run->name);
}
