/* prim_pool.c: MAXPOOL and SUMPOOL over windows, REDUCE_SUM and REDUCE_MAX over axes, ARGMAX over the last. */
#include "program/prim.h"

/* ---- windows ---------------------------------------------------------------------------------------------------- */

static bl_status pool_shape(bli_call *c)
{
    if (c->op->window.groups != 1)
        return bli_call_fail(c, BL_BAD_MODEL, "groups is %d, expected 1", c->op->window.groups);
    return bli_window_shape(c, bli_last(&c->in[0]->shape));
}

static bl_status max_shape(bli_call *c)
{
    BLI_TRY(pool_shape(c));
    const bli_field_of_view v = bli_window_view(&c->op->window, &c->in[0]->shape);
    for (int a = 0; a < 2; a++)
        for (int64_t o = 0; o < v.out[a]; o++) {
            const bli_taps t = bli_window_taps(&c->op->window, &v, a, o);
            if (t.from >= t.to)
                return bli_call_fail(c, BL_BAD_MODEL, "window %lld of its %s has nothing but padding", (long long)o,
                                     a == 0 ? "rows" : "columns");
        }
    return BL_OK;
}

typedef struct pool_at {
    const bli_window *window;
    bli_field_of_view view;
    bli_taps rows, columns;
    int64_t channel;
} pool_at;

static pool_at pool_find(const bli_prim_op *op, const bl_shape *in, int64_t i)
{
    pool_at a = {.window = &op->window, .view = bli_window_view(&op->window, in)};
    const int64_t position = i / a.view.channels;
    a.channel = i % a.view.channels;
    a.rows = bli_window_taps(a.window, &a.view, 0, position / a.view.out[1]);
    a.columns = bli_window_taps(a.window, &a.view, 1, position % a.view.out[1]);
    return a;
}

static int64_t pool_input(const pool_at *a, int64_t kh, int64_t kw)
{
    const int64_t h = bli_window_at(a->window, 0, a->rows.at, kh), w = bli_window_at(a->window, 1, a->columns.at, kw);
    return (h * a->view.in[1] + w) * a->view.channels + a->channel;
}

static bli_wide_span pool_span_at(const bli_call *c, const pool_at *a, bool sum)
{
    bli_wide_span s = bli_span_exact(0);
    bool any = false;
    for (int64_t kh = a->rows.from; kh < a->rows.to; kh++)
        for (int64_t kw = a->columns.from; kw < a->columns.to; kw++) {
            const bli_wide_span x = bli_call_at(c, 0, pool_input(a, kh, kw));
            s = !any ? x : sum ? bli_span_add(s, x) : bli_span_max(s, x);
            any = true;
        }
    return s;
}

static bl_status pool_span_each(bli_call *c, bool sum)
{
    BLI_TRY(bli_call_spans(c, c->count));
    for (int64_t i = 0; i < c->count; i++) {
        const pool_at a = pool_find(c->op, &c->in[0]->shape, i);
        BLI_TRY(bli_call_set(c, i, pool_span_at(c, &a, sum)));
    }
    return BL_OK;
}

static bl_status maxpool_span(bli_call *c)
{
    if (!bli_by_channel(c->in[0]))
        return pool_span_each(c, false);
    BLI_TRY(bli_call_spans(c, c->in[0]->num_spans));
    for (int64_t i = 0; i < c->num_spans; i++)
        BLI_TRY(bli_call_set(c, i, bli_call_at(c, 0, i)));
    return BL_OK;
}

/* Every number of elements that a window may hold. */
static bl_status sumpool_span(bli_call *c)
{
    if (!bli_by_channel(c->in[0]))
        return pool_span_each(c, true);
    const bli_field_of_view v = bli_window_view(&c->op->window, &c->in[0]->shape);
    bli_taps *rows, *columns;
    int num_rows, num_columns;
    BLI_TRY(bli_window_kinds(c, &v, 0, &rows, &num_rows));
    BLI_TRY(bli_window_kinds(c, &v, 1, &columns, &num_columns));
    BLI_TRY(bli_call_spans(c, c->in[0]->num_spans));
    for (int64_t i = 0; i < c->num_spans; i++) {
        bli_wide_span hull = {.low = 0};
        for (int k = 0; k < num_rows * num_columns; k++) {
            const bli_taps *r = &rows[k / num_columns], *w = &columns[k % num_columns];
            const int64_t n = r->to > r->from && w->to > w->from ? (r->to - r->from) * (w->to - w->from) : 0;
            const bli_wide_span s = bli_span_times(bli_call_at(c, 0, i), n);
            hull = k == 0 ? s : bli_span_hull(hull, s);
        }
        BLI_TRY(bli_call_set(c, i, hull));
    }
    return BL_OK;
}

static int64_t pool_value(const bli_work *w, const pool_at *a, bool sum)
{
    int64_t v = 0;
    bool any = false;
    for (int64_t kh = a->rows.from; kh < a->rows.to; kh++)
        for (int64_t kw = a->columns.from; kw < a->columns.to; kw++) {
            const int64_t x = w->x[0][pool_input(a, kh, kw)];
            v = !any ? x : sum ? (int64_t)((uint64_t)v + (uint64_t)x) : v > x ? v : x;
            any = true;
        }
    return v;
}

static void pool_interpret(const bli_work *w, bool sum)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        const pool_at a = pool_find(w->op, &w->in[0]->shape, i);
        w->y[i] = pool_value(w, &a, sum);
    }
}

static void maxpool_interpret(const bli_work *w)
{
    pool_interpret(w, false);
}

static void sumpool_interpret(const bli_work *w)
{
    pool_interpret(w, true);
}

const bli_prim_rule bli_rule_maxpool = {
    .fields = BLI_HAS_WINDOW, .shape = max_shape, .span = maxpool_span, .interpret = maxpool_interpret};
const bli_prim_rule bli_rule_sumpool = {
    .fields = BLI_HAS_WINDOW, .shape = pool_shape, .span = sumpool_span, .interpret = sumpool_interpret};

/* ---- axes ------------------------------------------------------------------------------------------------------- */

static bl_status reduce_shape(bli_call *c)
{
    const bli_prim_op *op = c->op;
    c->shape = c->in[0]->shape;
    if (op->num_axes < 0 || op->num_axes > c->shape.rank)
        return bli_call_fail(c, BL_BAD_MODEL, "%d axes of a wire of rank %d", op->num_axes, c->shape.rank);
    for (int k = 0; k < op->num_axes; k++) {
        if (op->axes[k] < 0 || op->axes[k] >= c->shape.rank || (k > 0 && op->axes[k] <= op->axes[k - 1]))
            return bli_call_fail(c, BL_BAD_MODEL, "axis %d at place %d: axes ascend and are below %d", op->axes[k], k,
                                 c->shape.rank);
        c->shape.dim[op->axes[k]] = 1;
    }
    return BL_OK;
}

static bl_status reduce_max_shape(bli_call *c)
{
    BLI_TRY(reduce_shape(c));
    if (bl_shape_count(&c->shape) > 0 && c->in[0]->count == 0)
        return bli_call_fail(c, BL_BAD_MODEL, "the greatest of no elements");
    return BL_OK;
}

static bool reduces_last(const bli_call *c)
{
    const bli_prim_op *op = c->op;
    return op->num_axes > 0 && op->axes[op->num_axes - 1] == c->shape.rank - 1;
}

/* Spans by channel: each channel is met `times` times, and channels meet each other if the last axis goes too. */
static bl_status reduce_by_channel(bli_call *c, bool sum)
{
    const bli_wire *w = c->in[0];
    const bool last = reduces_last(c) && w->num_spans > 1;
    const int64_t times = w->count / c->count / (last ? w->num_spans : 1);
    BLI_TRY(bli_call_spans(c, last ? 1 : w->num_spans));
    bli_wide_span all = bli_span_exact(0);
    for (int64_t i = 0; i < w->num_spans; i++) {
        const bli_wide_span x = bli_call_at(c, 0, i), s = sum ? bli_span_times(x, times) : x;
        all = i == 0 || !last ? s : sum ? bli_span_add(all, s) : bli_span_max(all, s);
        BLI_TRY(bli_call_set(c, last ? 0 : i, i + 1 == w->num_spans || !last ? all : bli_span_exact(0)));
    }
    return BL_OK;
}

static bl_status reduce_span(bli_call *c, bool sum)
{
    const bli_wire *w = c->in[0];
    if (w->count == 0) {
        BLI_TRY(bli_call_spans(c, 1));
        return bli_call_set(c, 0, bli_span_exact(0));
    }
    if (bli_by_channel(w))
        return reduce_by_channel(c, sum);
    bli_wide_span *all = bli_arena_array(c->scratch, (size_t)c->count, sizeof *all);
    bool *any = bli_arena_array(c->scratch, (size_t)c->count, sizeof *any);
    if (all == NULL || any == NULL)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < w->count; i++) {
        const int64_t o = bli_broadcast_index(&w->shape, &c->shape, i);
        const bli_wide_span x = bli_call_at(c, 0, i);
        all[o] = !any[o] ? x : sum ? bli_span_add(all[o], x) : bli_span_max(all[o], x);
        any[o] = true;
    }
    BLI_TRY(bli_call_spans(c, c->count));
    for (int64_t o = 0; o < c->count; o++)
        BLI_TRY(bli_call_set(c, o, all[o]));
    return BL_OK;
}

static bl_status reduce_sum_span(bli_call *c)
{
    return reduce_span(c, true);
}

static bl_status reduce_max_span(bli_call *c)
{
    return reduce_span(c, false);
}

static void reduce_sum_interpret(const bli_work *w)
{
    for (int64_t o = 0; o < w->out->count; o++)
        w->y[o] = 0;
    for (int64_t i = 0; i < w->in[0]->count; i++) {
        int64_t *y = &w->y[bli_broadcast_index(&w->in[0]->shape, &w->out->shape, i)];
        *y = (int64_t)((uint64_t)*y + (uint64_t)w->x[0][i]);
    }
}

static void reduce_max_interpret(const bli_work *w)
{
    for (int64_t o = 0; o < w->out->count; o++)
        w->y[o] = INT64_MIN;
    for (int64_t i = 0; i < w->in[0]->count; i++) {
        int64_t *y = &w->y[bli_broadcast_index(&w->in[0]->shape, &w->out->shape, i)];
        *y = *y > w->x[0][i] ? *y : w->x[0][i];
    }
}

#define AXES (BLI_HAS(NUM_AXES) | BLI_HAS(AXES))
const bli_prim_rule bli_rule_reduce_sum = {
    .fields = AXES, .shape = reduce_shape, .span = reduce_sum_span, .interpret = reduce_sum_interpret};
const bli_prim_rule bli_rule_reduce_max = {
    .fields = AXES, .shape = reduce_max_shape, .span = reduce_max_span, .interpret = reduce_max_interpret};

/* ---- ARGMAX ----------------------------------------------------------------------------------------------------- */

static bl_status argmax_shape(bli_call *c)
{
    c->shape = c->in[0]->shape;
    if (bli_last(&c->shape) == 0)
        return bli_call_fail(c, BL_BAD_MODEL, "the first greatest of no elements");
    c->shape.dim[c->shape.rank - 1] = 1;
    return BL_OK;
}

/* Index i can win if its greatest passes the least of those before it and reaches the least of those behind. */
static bli_wide_span argmax_span_at(const bli_call *c, int64_t row, int64_t n, int64_t *behind)
{
    behind[n - 1] = INT64_MIN;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t low = (int64_t)bli_call_at(c, 0, row * n + i).low;
        behind[i - 1] = low > behind[i] ? low : behind[i];
    }
    bli_int128 before = (bli_int128)INT64_MIN - 1;
    bli_wide_span hull = {.low = 0};
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        const bli_wide_span x = bli_call_at(c, 0, row * n + i);
        if (x.high > before && x.high >= behind[i]) {
            hull = any ? bli_span_hull(hull, bli_span_exact(i)) : bli_span_exact(i);
            any = true;
        }
        before = x.low > before ? x.low : before;
    }
    return hull;
}

static bl_status argmax_span(bli_call *c)
{
    const int64_t n = bli_last(&c->in[0]->shape);
    int64_t *behind = bli_arena_array(c->scratch, (size_t)n, sizeof *behind);
    if (behind == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(bli_call_spans(c, bli_by_channel(c->in[0]) ? 1 : c->count));
    for (int64_t row = 0; row < c->num_spans; row++)
        BLI_TRY(bli_call_set(c, row, argmax_span_at(c, row, n, behind)));
    return BL_OK;
}

static void argmax_interpret(const bli_work *w)
{
    const int64_t n = bli_last(&w->in[0]->shape);
    for (int64_t o = 0; o < w->out->count; o++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (w->x[0][o * n + i] > w->x[0][o * n + best])
                best = i;
        w->y[o] = best;
    }
}

const bli_prim_rule bli_rule_argmax = {.shape = argmax_shape, .span = argmax_span, .interpret = argmax_interpret};
