/* prim_linear.c: DENSE, CONV, AFFINE (constants times a wire) and DOT (two wires).
 *
 * Sums are taken modulo 2^64: the result is proven to fit, so that what a partial sum does is of no matter.
 */
#include "program/prim.h"

static bli_wide_span bias_of(const bli_prim_op *op, int64_t m)
{
    return bli_span_exact(op->bias != NULL ? op->bias[m] : 0);
}

static bli_wide_span plus_product(bli_wide_span sum, bli_wide_span x, int64_t weight)
{
    return weight == 0 ? sum : bli_span_add(sum, bli_span_mul(x, bli_span_exact(weight)));
}

static uint64_t times(int64_t a, int64_t b)
{
    return (uint64_t)a * (uint64_t)b;
}

/* ---- DENSE ------------------------------------------------------------------------------------------------------ */

static bl_status dense_shape(bli_call *c)
{
    c->shape = c->in[0]->shape;
    c->shape.dim[c->shape.rank - 1] = c->op->channels;
    return BL_OK;
}

static bl_status dense_span(bli_call *c)
{
    const bli_prim_op *op = c->op;
    const int64_t k_count = bli_last(&c->in[0]->shape), m_count = op->channels;
    const int64_t rows = bli_by_channel(c->in[0]) ? 1 : c->count / m_count;
    BLI_TRY(bli_call_spans(c, rows * m_count));
    for (int64_t i = 0; i < rows * m_count; i++) {
        const int64_t row = i / m_count, m = i % m_count;
        bli_wide_span sum = bias_of(op, m);
        for (int64_t k = 0; k < k_count; k++)
            sum = plus_product(sum, bli_call_at(c, 0, row * k_count + k), op->weight[k * m_count + m]);
        BLI_TRY(bli_call_set(c, i, sum));
    }
    return BL_OK;
}

static void dense_interpret(const bli_work *w)
{
    const bli_prim_op *op = w->op;
    const int64_t k_count = bli_last(&w->in[0]->shape), m_count = op->channels;
    for (int64_t i = 0; i < w->out->count; i++) {
        const int64_t row = i / m_count, m = i % m_count;
        uint64_t sum = op->bias != NULL ? (uint64_t)op->bias[m] : 0;
        for (int64_t k = 0; k < k_count; k++)
            sum += times(w->x[0][row * k_count + k], op->weight[k * m_count + m]);
        w->y[i] = (int64_t)sum;
    }
}

const bli_prim_rule bli_rule_dense = {
    .fields = BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_WEIGHT] = BLI_EXTENT_DENSE, [BLI_FIELD_BIAS] = BLI_EXTENT_OPTIONAL},
    .shape = dense_shape,
    .span = dense_span,
    .interpret = dense_interpret,
};

/* ---- CONV ------------------------------------------------------------------------------------------------------- */

static bl_status conv_shape(bli_call *c)
{
    return bli_window_shape(c, c->op->channels);
}

/* One output element's taps: calls for each element of the input inside, and its weight. */
typedef struct conv_at {
    const bli_prim_op *op;
    bli_field_of_view view;
    bli_taps rows, columns;
    int64_t m, first, channels; /* output channel, first input channel, input channels of the group */
} conv_at;

static conv_at conv_start(const bli_prim_op *op, const bl_shape *in, int64_t m)
{
    const bli_field_of_view view = bli_window_view(&op->window, in);
    const int64_t channels = view.channels / op->window.groups;
    const int64_t group = m / (op->channels / op->window.groups);
    return (conv_at){.op = op, .view = view, .m = m, .first = group * channels, .channels = channels};
}

static int64_t conv_input(const conv_at *a, int64_t kh, int64_t kw)
{
    const int64_t h = bli_window_at(&a->op->window, 0, a->rows.at, kh);
    const int64_t w = bli_window_at(&a->op->window, 1, a->columns.at, kw);
    return (h * a->view.in[1] + w) * a->view.channels + a->first;
}

static const int64_t *conv_weight(const conv_at *a, int64_t kh, int64_t kw)
{
    const int *kernel = a->op->window.kernel;
    return a->op->weight + ((a->m * kernel[0] + kh) * kernel[1] + kw) * a->channels;
}

static bli_wide_span conv_span_at(const bli_call *c, const conv_at *a)
{
    bli_wide_span sum = bias_of(a->op, a->m);
    for (int64_t kh = a->rows.from; kh < a->rows.to; kh++)
        for (int64_t kw = a->columns.from; kw < a->columns.to; kw++)
            for (int64_t k = 0; k < a->channels; k++)
                sum = plus_product(sum, bli_call_at(c, 0, conv_input(a, kh, kw) + k), conv_weight(a, kh, kw)[k]);
    return sum;
}

/* Input spans by channel: so are the results', each the hull over the kinds of positions (the edges see zeros). */
static bl_status conv_span_by_channel(bli_call *c)
{
    const bli_field_of_view view = bli_window_view(&c->op->window, &c->in[0]->shape);
    bli_taps *rows, *columns;
    int num_rows, num_columns;
    BLI_TRY(bli_window_kinds(c, &view, 0, &rows, &num_rows));
    BLI_TRY(bli_window_kinds(c, &view, 1, &columns, &num_columns));
    BLI_TRY(bli_call_spans(c, c->op->channels));
    for (int64_t m = 0; m < c->op->channels; m++) {
        bli_wide_span hull = {.low = 0};
        for (int i = 0; i < num_rows * num_columns; i++) {
            conv_at a = conv_start(c->op, &c->in[0]->shape, m);
            a.rows = rows[i / num_columns];
            a.columns = columns[i % num_columns];
            const bli_wide_span s = conv_span_at(c, &a);
            hull = i == 0 ? s : bli_span_hull(hull, s);
        }
        BLI_TRY(bli_call_set(c, m, hull));
    }
    return BL_OK;
}

static void conv_move(conv_at *a, int64_t position)
{
    const bli_window *w = &a->op->window;
    a->rows = bli_window_taps(w, &a->view, 0, position / a->view.out[1]);
    a->columns = bli_window_taps(w, &a->view, 1, position % a->view.out[1]);
}

static bl_status conv_span(bli_call *c)
{
    const int64_t m_count = c->op->channels;
    if (bli_by_channel(c->in[0]))
        return conv_span_by_channel(c);
    BLI_TRY(bli_call_spans(c, c->count));
    for (int64_t i = 0; i < c->count; i++) {
        conv_at a = conv_start(c->op, &c->in[0]->shape, i % m_count);
        conv_move(&a, i / m_count);
        BLI_TRY(bli_call_set(c, i, conv_span_at(c, &a)));
    }
    return BL_OK;
}

static int64_t conv_sum(const bli_work *w, const conv_at *a)
{
    uint64_t sum = a->op->bias != NULL ? (uint64_t)a->op->bias[a->m] : 0;
    for (int64_t kh = a->rows.from; kh < a->rows.to; kh++)
        for (int64_t kw = a->columns.from; kw < a->columns.to; kw++) {
            const int64_t *x = w->x[0] + conv_input(a, kh, kw), *weight = conv_weight(a, kh, kw);
            for (int64_t k = 0; k < a->channels; k++)
                sum += times(x[k], weight[k]);
        }
    return (int64_t)sum;
}

static void conv_interpret(const bli_work *w)
{
    const int64_t m_count = w->op->channels;
    for (int64_t i = 0; i < w->out->count; i++) {
        conv_at a = conv_start(w->op, &w->in[0]->shape, i % m_count);
        conv_move(&a, i / m_count);
        w->y[i] = conv_sum(w, &a);
    }
}

const bli_prim_rule bli_rule_conv = {
    .fields = BLI_HAS_WINDOW | BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_WEIGHT] = BLI_EXTENT_CONV, [BLI_FIELD_BIAS] = BLI_EXTENT_OPTIONAL},
    .shape = conv_shape,
    .span = conv_span,
    .interpret = conv_interpret,
};

/* ---- AFFINE ----------------------------------------------------------------------------------------------------- */

static bl_status affine_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const int64_t k = bli_channel(c->op, i);
        BLI_TRY(bli_call_set(c, i, plus_product(bias_of(c->op, k), bli_call_in(c, 0, i), c->op->weight[k])));
    }
    return BL_OK;
}

static void affine_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        const int64_t k = bli_channel(w->op, i);
        w->y[i] = (int64_t)(times(w->x[0][i], w->op->weight[k]) + (uint64_t)w->op->bias[k]);
    }
}

const bli_prim_rule bli_rule_affine = {
    .fields = BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_WEIGHT] = BLI_EXTENT_CHANNELS, [BLI_FIELD_BIAS] = BLI_EXTENT_CHANNELS},
    .shape = bli_shape_same,
    .span = affine_span,
    .interpret = affine_interpret,
};

/* ---- DOT -------------------------------------------------------------------------------------------------------- */

static bl_status dot_shape(bli_call *c)
{
    const bl_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
    bool fits = a->rank == b->rank && a->rank >= 2;
    for (int d = 0; fits && d < a->rank - 2; d++)
        fits = a->dim[d] == b->dim[d];
    if (!fits || bli_last(a) != b->dim[b->rank - 2])
        return bli_call_fail(c, BL_BAD_MODEL, "its inputs are not [.., N, K] and [.., K, M]");
    c->shape = *a;
    c->shape.dim[a->rank - 1] = bli_last(b);
    return BL_OK;
}

/* Where element i of the product finds its row of a and its column of b. */
typedef struct dot_at {
    int64_t k_count, m_count, a, b; /* a + k, b + k m_count */
} dot_at;

static dot_at dot_find(const bl_shape *a, const bl_shape *b, int64_t i)
{
    const int64_t n = a->dim[a->rank - 2], k = bli_last(a), m = bli_last(b);
    return (dot_at){k, m, i / m * k, i / (n * m) * (k * m) + i % m};
}

static bl_status dot_span(bli_call *c)
{
    const bl_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
    const bool by_channel = bli_by_channel(c->in[0]) && bli_by_channel(c->in[1]);
    BLI_TRY(bli_call_spans(c, by_channel ? bli_last(b) : c->count));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const dot_at d = dot_find(a, b, i);
        bli_wide_span sum = bli_span_exact(0);
        for (int64_t k = 0; k < d.k_count; k++)
            sum = bli_span_add(sum, bli_span_mul(bli_call_at(c, 0, d.a + k), bli_call_at(c, 1, d.b + k * d.m_count)));
        BLI_TRY(bli_call_set(c, i, sum));
    }
    return BL_OK;
}

static void dot_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        const dot_at d = dot_find(&w->in[0]->shape, &w->in[1]->shape, i);
        uint64_t sum = 0;
        for (int64_t k = 0; k < d.k_count; k++)
            sum += times(w->x[0][d.a + k], w->x[1][d.b + k * d.m_count]);
        w->y[i] = (int64_t)sum;
    }
}

const bli_prim_rule bli_rule_dot = {.shape = dot_shape, .span = dot_span, .interpret = dot_interpret};
