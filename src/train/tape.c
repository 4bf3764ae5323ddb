/* tape.c: builds the list of moves, the gradients' lifetimes and the contributions.
 *
 * Time line: input 0, forward of step i at i + 1, loss at F + 1, backward of step i at 2F + 1 - i, end 2F + 2.
 * If anything needs the whole batch, every storage is global: a slice cannot wait in a cache for the others.
 */
#include "train/tape.h"

#include <string.h>

#include "train/tree.h"

static int backward_time(const bli_plan *p, int step)
{
    return 2 * p->num_steps + 1 - step;
}
static int end_time(const bli_plan *p)
{
    return 2 * p->num_steps + 2;
}

static void keep(bli_plan *p, int v, int time)
{
    const int st = v < 0 ? -1 : p->values[p->values[v].root].storage;
    if (st >= 0 && p->storages[st].last < time)
        p->storages[st].last = time;
}

/* A step's gradient is wanted when one of its outputs receives one and one of its inputs leads to a parameter. */
static bool step_live(const bli_tape *t, const bli_pstep *s)
{
    const bl_node *n = s->run;
    for (int o = 0; o < n->num_outputs; o++)
        if (t->live[t->plan->values[n->outputs[o]].root])
            return true;
    return false;
}

static void mark_live(bli_tape *t)
{
    bli_plan *p = t->plan;
    for (int i = 0; i < bl_graph_num_outputs(p->graph); i++) {
        const int root = p->values[bl_graph_output(p->graph, i)].root;
        t->live[root] = p->values[root].needs_grad;
    }
    for (int i = p->num_steps - 1; i >= 0; i--) {
        const bli_pstep *s = &p->steps[i];
        if (s->view || !s->op->backward || !step_live(t, s))
            continue;
        const bl_node *n = s->run;
        for (int k = 0; k < n->num_inputs; k++)
            if (n->inputs[k] >= 0 && p->values[n->inputs[k]].needs_grad)
                t->live[p->values[n->inputs[k]].root] = true;
    }
    for (int i = p->num_whole_steps - 1; i >= 0; i--) {
        const bl_node *n = p->whole_steps[i].run;
        for (int k = 0; k < n->num_inputs; k++)
            if (t->live[n->outputs[0]] && n->inputs[k] >= 0 && p->values[n->inputs[k]].needs_grad)
                t->live[n->inputs[k]] = true;
    }
}

static size_t value_bytes(const bli_plan *p, int v)
{
    return p->values[v].elements * bl_dtype_size(p->values[v].type);
}

static bl_status add_contribution(bli_tape *t, int step, int input, int v)
{
    bli_plan *p = t->plan;
    const bli_op *op = p->steps[step].op;
    t->contribution_at[step * BLI_MAX_IN + input] = t->num_contributions;
    bli_contribution *c = &t->contributions[t->num_contributions++];
    *c = (bli_contribution){.step = step, .input = input, .value = v, .elements = p->values[v].elements};
    c->tiled = op->weight_grad && op->weight_input == input;
    c->sum = bli_arena_alloc(p->arena, value_bytes(p, v) + BLI_ALIGN);
    if (!c->sum)
        return BL_NO_MEMORY;
    if (!t->grad[v])
        t->grad[v] = c->sum;
    if (!c->tiled) {
        c->slice_offset = t->slice_bytes;
        t->slice_bytes += (value_bytes(p, v) + BLI_ALIGN - 1) & ~(size_t)(BLI_ALIGN - 1);
    }
    return BL_OK;
}

/* Storage for the gradient of root r, first written at `time`; later writers add through a temporary. */
static bl_status want_batched_grad(bli_tape *t, int step, int input, int v, int time)
{
    bli_plan *p = t->plan;
    const int root = p->values[v].root;
    const size_t bytes = value_bytes(p, root);
    const int st = t->grad_storage[root];
    const int made = bli_plan_add_storage(p, bytes, time, time, false);
    if (made < 0)
        return BL_NO_MEMORY;
    if (st < 0) {
        t->grad_storage[root] = made;
        return BL_OK;
    }
    t->temp_storage[step * BLI_MAX_IN + input] = made;
    if (p->storages[st].last < time)
        p->storages[st].last = time;
    return BL_OK;
}

static bl_status plan_step_backward(bli_tape *t, int i)
{
    bli_plan *p = t->plan;
    const bli_pstep *s = &p->steps[i];
    const bl_node *n = s->run;
    const int time = backward_time(p, i);
    if (s->saved >= 0)
        p->storages[s->saved].last = time;
    for (int k = 0; k < n->num_inputs; k++) {
        const int v = n->inputs[k];
        if (v < 0)
            continue;
        const bli_pvalue *pv = &p->values[v];
        if (pv->batched && (s->op->flags & BLI_OP_NEEDS_IN))
            keep(p, v, time);
        if (!pv->needs_grad)
            continue;
        if (pv->batched)
            BLI_TRY(want_batched_grad(t, i, k, v, time));
        else
            BLI_TRY(add_contribution(t, i, k, v));
    }
    for (int o = 0; o < n->num_outputs; o++) {
        const int root = p->values[n->outputs[o]].root;
        if (s->op->flags & BLI_OP_NEEDS_OUT)
            keep(p, root, time);
        if (t->grad_storage[root] < 0 && p->values[root].needs_grad &&
            (t->grad_storage[root] = bli_plan_add_storage(p, value_bytes(p, root), time, time, false)) < 0)
            return BL_NO_MEMORY;
        if (t->grad_storage[root] >= 0 && p->storages[t->grad_storage[root]].last < time)
            p->storages[t->grad_storage[root]].last = time;
    }
    return BL_OK;
}

/* Where one step alone takes what another gives, it can end the gradients that the other would end. */
static void link_passes(bli_tape *t, const char *wants_error)
{
    const bli_plan *p = t->plan;
    for (int i = 0; i < p->num_steps; i++)
        for (int k = i + 1; k < p->num_steps; k++) {
            const int v = p->steps[k].run->inputs[0];
            if (v != p->steps[i].run->outputs[0] || !(p->steps[i].op->flags & BLI_OP_SAVES_PASS) ||
                !(p->steps[k].op->flags & BLI_OP_HEEDS_PASS) || wants_error[i] || !p->values[v].needs_grad ||
                bli_graph_num_uses(p->graph, v) != 1)
                continue;
            t->pass_from[k] = i;
            t->passed[i] = true;
        }
}

/* Tiles read all rows of x and dy after the last slice. */
static void keep_for_tiles(bli_tape *t)
{
    bli_plan *p = t->plan;
    for (int c = 0; c < t->num_contributions; c++) {
        if (!t->contributions[c].tiled)
            continue;
        const bl_node *n = p->steps[t->contributions[c].step].run;
        const int y = t->grad_storage[p->values[n->outputs[0]].root];
        p->storages[y].global = true;
        p->storages[y].last = end_time(p);
        for (int k = 0; k < n->num_inputs; k++) {
            const int st = n->inputs[k] < 0 ? -1 : p->values[p->values[n->inputs[k]].root].storage;
            if (st < 0)
                continue;
            p->storages[st].global = true;
            p->storages[st].last = end_time(p);
        }
    }
}

static void add_move(bli_tape *t, bli_move_kind kind, int step, bool ends)
{
    t->moves[t->num_moves++] = (bli_move){kind, step, ends};
}

static void list_moves(bli_tape *t, int first_step, const char *wants_error)
{
    const bli_plan *p = t->plan;
    add_move(t, BLI_MOVE_GATHER, -1, false);
    for (int i = first_step; i < p->num_steps; i++) {
        if (p->steps[i].view)
            continue;
        if (p->steps[i].reduce_count)
            add_move(t, BLI_MOVE_REDUCE, i, true);
        add_move(t, BLI_MOVE_FORWARD, i, false);
    }
    add_move(t, BLI_MOVE_LOSS, -1, false);
    for (int i = p->num_steps - 1; i >= 0; i--) {
        const bli_pstep *s = &p->steps[i];
        if (s->view || !s->op->backward || !step_live(t, s))
            continue;
        if (wants_error[i] == 2)
            add_move(t, BLI_MOVE_ERROR_MAX, i, true);
        if (wants_error[i])
            add_move(t, BLI_MOVE_ERROR, i, false);
        if (s->reduce_count)
            add_move(t, BLI_MOVE_REDUCE_BACKWARD, i, true);
        add_move(t, BLI_MOVE_BACKWARD, i, false);
    }
    t->moves[t->num_moves - 1].ends_segment = true;
}

static bl_status allocate(bli_tape *t)
{
    bli_plan *p = t->plan;
    const size_t v = (size_t)p->num_values + 1, n = (size_t)p->num_steps + 1;
    t->grad_storage = bli_arena_array(p->arena, v, sizeof *t->grad_storage);
    t->grad = bli_arena_array(p->arena, v, sizeof *t->grad);
    t->live = bli_arena_array(p->arena, v, sizeof *t->live);
    t->temp_storage = bli_arena_array(p->arena, n * BLI_MAX_IN, sizeof *t->temp_storage);
    t->moves = bli_arena_array(p->arena, 6 * n, sizeof *t->moves);
    t->contributions = bli_arena_array(p->arena, n * BLI_MAX_IN, sizeof *t->contributions);
    t->reduced_at = bli_arena_array(p->arena, n, sizeof *t->reduced_at);
    t->contribution_at = bli_arena_array(p->arena, n * BLI_MAX_IN, sizeof *t->contribution_at);
    t->pass_from = bli_arena_array(p->arena, n, sizeof *t->pass_from);
    t->passed = bli_arena_array(p->arena, n, sizeof *t->passed);
    t->piecewise = bli_arena_array(p->arena, (size_t)p->num_whole_steps + 1, sizeof *t->piecewise);
    t->whole_temp = bli_arena_array(p->arena, ((size_t)p->num_whole_steps + 1) * BLI_MAX_IN, sizeof *t->whole_temp);
    if (!t->pass_from || !t->passed || !t->contribution_at || !t->whole_temp || !t->piecewise || !t->grad_storage ||
        !t->grad || !t->live || !t->temp_storage || !t->moves || !t->contributions || !t->reduced_at)
        return BL_NO_MEMORY;
    memset(t->grad_storage, -1, v * sizeof *t->grad_storage);
    memset(t->pass_from, -1, n * sizeof *t->pass_from);
    memset(t->temp_storage, -1, n * BLI_MAX_IN * sizeof *t->temp_storage);
    return BL_OK;
}

/* A step that does the same to every element of a parameter nobody else takes (a weight's quantizer). */
static bool is_piecewise(const bli_tape *t, int i)
{
    const bli_plan *p = t->plan;
    const bli_pstep *s = &p->whole_steps[i];
    const bl_node *n = s->run;
    const int v = n->inputs[0];
    if (s->view || !s->op->same_for_all || !t->live[n->outputs[0]] || !t->live[v] || t->grad[v] ||
        bl_graph_value(p->graph, v)->role != BL_ROLE_PARAMETER || bli_graph_num_uses(p->graph, v) != 1)
        return false;
    for (int k = 1; k < n->num_inputs; k++)
        if (n->inputs[k] >= 0 && p->values[n->inputs[k]].needs_grad)
            return false;
    const bli_place at = {.training = true};
    bli_call c;
    bli_plan_call(p, s, &at, &c);
    return s->op->same_for_all(&c);
}

/* Gradients of values that only whole steps see, and temporaries where a second step adds to a gradient. */
static bl_status whole_gradients(bli_tape *t)
{
    bli_plan *p = t->plan;
    for (int i = p->num_whole_steps - 1; i >= 0; i--) {
        const bl_node *n = p->whole_steps[i].run;
        if ((t->piecewise[i] = is_piecewise(t, i)))
            t->grad[n->inputs[0]] = t->grad[n->outputs[0]];
        for (int k = 0; t->live[n->outputs[0]] && k < n->num_inputs; k++) {
            const int v = n->inputs[k];
            if (v < 0 || !t->live[v] || t->piecewise[i])
                continue;
            void *made = bli_arena_alloc(p->arena, value_bytes(p, v) + BLI_ALIGN);
            if (!made)
                return BL_NO_MEMORY;
            if (t->grad[v])
                t->whole_temp[i * BLI_MAX_IN + k] = made;
            else
                t->grad[v] = made;
        }
    }
    return BL_OK;
}

static bli_call **make_piece_calls(const bli_tape *t)
{
    const bli_plan *p = t->plan;
    bli_call **calls = bli_arena_array(p->arena, (size_t)p->opt.threads, sizeof *calls);
    for (int thread = 0; calls && thread < p->opt.threads; thread++) {
        const bli_place at = {.thread = thread, .training = true};
        calls[thread] = bli_arena_array(p->arena, (size_t)p->num_whole_steps + 1, sizeof *calls[thread]);
        if (!calls[thread])
            return NULL;
        for (int i = 0; i < p->num_whole_steps; i++)
            if (t->piecewise[i])
                bli_plan_call(p, &p->whole_steps[i], &at, &calls[thread][i]);
    }
    return calls;
}

static bl_status size_reductions(bli_tape *t, const char *wants_error)
{
    bli_plan *p = t->plan;
    for (int i = 0; i < p->num_steps; i++) {
        size_t n = p->steps[i].reduce_count;
        t->reduced_at[i] = t->reduced_count;
        t->reduced_count += 2 * n + 1; /* the last one is the error's greatest magnitude */
        if (wants_error[i] == 2 && n == 0)
            n = 1;
        t->partial_count = n > t->partial_count ? n : t->partial_count;
    }
    const size_t slices = (size_t)p->opt.slices;
    t->reduced = bli_arena_array(p->arena, t->reduced_count + 1, sizeof *t->reduced);
    t->partials = bli_arena_array(p->arena, slices * (t->partial_count + 1), sizeof *t->partials);
    t->slice_grads = bli_arena_array(p->arena, slices, t->slice_bytes + BLI_ALIGN);
    return t->reduced && t->partials && t->slice_grads ? BL_OK : BL_NO_MEMORY;
}

static bool needs_whole_batch(const bli_plan *p, const char *wants_error)
{
    for (int i = 0; i < p->num_steps; i++)
        if (wants_error[i] == 2 || ((p->steps[i].op->flags & BLI_OP_WHOLE_BATCH) && p->steps[i].op->reduce_count))
            return true;
    return false;
}

/* Slices of one segment are at different times of it, so global storages (whose rows interleave) may share bytes only
 * across segments: their lifetimes are counted in segments instead of moves. */
static bl_status count_in_segments(bli_tape *t)
{
    bli_plan *p = t->plan;
    const int times = end_time(p) + 1;
    int *segment = bli_arena_array(p->arena, (size_t)times, sizeof *segment);
    if (!segment)
        return BL_NO_MEMORY;
    for (int m = 0; m + 1 < t->num_moves; m++)
        if (t->moves[m].ends_segment) {
            const int step = t->moves[m].step;
            segment[t->moves[m].kind == BLI_MOVE_REDUCE ? step + 1 : backward_time(p, step)]++;
        }
    segment[times - 1]++;
    for (int i = 1; i < times; i++)
        segment[i] += segment[i - 1];
    for (int s = 0; s < p->num_storages; s++)
        if (p->storages[s].global) {
            p->storages[s].first = segment[p->storages[s].first];
            p->storages[s].last = segment[p->storages[s].last];
        }
    return BL_OK;
}

bl_status bli_tape_create(bli_plan *p, int first_step, const char *wants_error, bli_tape *t)
{
    *t = (bli_tape){.plan = p};
    BLI_TRY(allocate(t));
    mark_live(t);
    for (int i = 0; i < bl_graph_num_outputs(p->graph); i++) {
        const int root = p->values[bl_graph_output(p->graph, i)].root, loss = p->num_steps + 1;
        if (p->values[root].needs_grad && t->grad_storage[root] < 0 &&
            (t->grad_storage[root] = bli_plan_add_storage(p, value_bytes(p, root), loss, loss, false)) < 0)
            return BL_NO_MEMORY;
    }
    for (int i = p->num_steps - 1; i >= 0; i--) {
        const bli_pstep *s = &p->steps[i];
        if (!s->view && s->op->backward && step_live(t, s))
            BLI_TRY(plan_step_backward(t, i));
    }
    BLI_TRY(whole_gradients(t));
    link_passes(t, wants_error);
    keep_for_tiles(t);
    for (int s = 0; s < p->num_storages && needs_whole_batch(p, wants_error); s++)
        p->storages[s].global = true;
    list_moves(t, first_step, wants_error);
    BLI_TRY(count_in_segments(t));
    BLI_TRY(bli_plan_layout(p));
    t->calls = bli_plan_make_calls(p);
    t->piece_calls = make_piece_calls(t);
    if (!t->calls || !t->piece_calls)
        return BL_NO_MEMORY;
    return size_reductions(t, wants_error);
}
