/* prim_table.c: THRESHOLD and TABLE, functions of one code by their values.
 *
 * A stair's sums are taken modulo 2^64: only heights that x can reach need to fit.
 */
#include "program/prim.h"

/* ---- THRESHOLD -------------------------------------------------------------------------------------------------- */

static bl_status threshold_check(const bli_call *c)
{
    const bli_prim_op *op = c->op;
    for (int64_t i = 0; i < op->channels * op->length; i++)
        if (i % op->length > 0 && op->threshold[i] < op->threshold[i - 1])
            return bli_call_fail(c, BL_BAD_MODEL, "threshold %lld of channel %lld is below the one before it",
                                 (long long)(i % op->length), (long long)(i / op->length));
    return BL_OK;
}

/* Multiples of 2^zeros within from..to, cut to a span: whether there is one. */
static bool meets(bli_wide_span a, bli_int128 from, bli_int128 to)
{
    return bli_multiple_up(from > a.low ? from : a.low, a.zeros) <= (to < a.high ? to : a.high);
}

/* The hull of the heights that x reaches: tread k lies from threshold k-1 to just below threshold k. */
static bli_wide_span stair(const bli_prim_op *op, int64_t channel, bli_wide_span x)
{
    const int64_t *threshold = op->threshold + channel * op->length, *step = op->step + channel * op->length;
    bli_wide_span hull = {.low = 0}, height = bli_span_exact(op->base[channel]);
    bool any = false;
    for (int64_t k = 0; k <= op->length; k++) {
        if (k > 0)
            height = bli_span_add(height, bli_span_exact(step[k - 1]));
        const bli_int128 from = k == 0 ? x.low : threshold[k - 1];
        const bli_int128 to = k == op->length ? x.high : (bli_int128)threshold[k] - 1;
        if (!meets(x, from, to))
            continue;
        hull = any ? bli_span_hull(hull, height) : height;
        any = true;
    }
    return hull;
}

static bl_status threshold_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++)
        BLI_TRY(bli_call_set(c, i, stair(c->op, bli_channel(c->op, i), bli_call_in(c, 0, i))));
    return BL_OK;
}

static void threshold_interpret(const bli_work *w)
{
    const bli_prim_op *op = w->op;
    for (int64_t i = 0; i < w->out->count; i++) {
        const int64_t channel = bli_channel(op, i), *threshold = op->threshold + channel * op->length;
        uint64_t height = (uint64_t)op->base[channel];
        for (int64_t k = 0; k < op->length; k++)
            if (w->x[0][i] >= threshold[k])
                height += (uint64_t)op->step[channel * op->length + k];
        w->y[i] = (int64_t)height;
    }
}

const bli_prim_rule bli_rule_threshold = {
    .fields = BLI_HAS(CHANNELS) | BLI_HAS(LENGTH),
    .extent = {[BLI_FIELD_THRESHOLD] = BLI_EXTENT_LENGTHS,
               [BLI_FIELD_BASE] = BLI_EXTENT_CHANNELS,
               [BLI_FIELD_STEP] = BLI_EXTENT_LENGTHS},
    .shape = bli_shape_same,
    .check = threshold_check,
    .span = threshold_span,
    .interpret = threshold_interpret,
};

/* ---- TABLE ------------------------------------------------------------------------------------------------------ */

static bl_status table_entry_span(bli_call *c, int64_t i)
{
    const bli_prim_op *op = c->op;
    const bli_wide_span x = bli_call_in(c, 0, i);
    const int64_t *table = op->table + bli_channel(op, i) * op->length;
    const bli_int128 from = x.low - op->first, to = x.high - op->first;
    if (from < 0 || to >= op->length)
        return bli_call_fail(c, BL_BAD_MODEL, "its input lies in %lld .. %lld, its table begins at %lld and has %lld",
                             (long long)x.low, (long long)x.high, (long long)op->first, (long long)op->length);
    bli_wide_span hull = bli_span_exact(table[from]);
    for (bli_int128 v = from; v <= to; v += (bli_int128)1 << x.zeros)
        hull = bli_span_hull(hull, bli_span_exact(table[v]));
    return bli_call_set(c, i, hull);
}

static bl_status table_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++)
        BLI_TRY(table_entry_span(c, i));
    return BL_OK;
}

static void table_interpret(const bli_work *w)
{
    const bli_prim_op *op = w->op;
    for (int64_t i = 0; i < w->out->count; i++)
        w->y[i] = op->table[bli_channel(op, i) * op->length + (w->x[0][i] - op->first)];
}

const bli_prim_rule bli_rule_table = {
    .fields = BLI_HAS(CHANNELS) | BLI_HAS(LENGTH) | BLI_HAS(FIRST),
    .extent = {[BLI_FIELD_TABLE] = BLI_EXTENT_LENGTHS},
    .shape = bli_shape_same,
    .span = table_span,
    .interpret = table_interpret,
};
