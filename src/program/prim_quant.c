/* prim_quant.c: ROUND, OVERFLOW, CLAMP and RESCALE: what brings a wire into fewer bits.
 *
 * All but wrapping are monotone, so that a span's ends go to the result's ends.
 */
#include "program/prim.h"

enum { SHIFT_MOST = 62 };

/* ---- ROUND ------------------------------------------------------------------------------------------------------ */

static bool rounds_up(int64_t x, int64_t floor, uint64_t rest, uint64_t half, bl_rounding rounding)
{
    switch (rounding) {
    case BL_TRN_ZERO:
        return x < 0 && rest != 0;
    case BL_RND:
        return rest >= half;
    case BL_RND_ZERO:
        return rest > half || (rest == half && x < 0);
    case BL_RND_INF:
        return rest > half || (rest == half && x >= 0);
    case BL_RND_MIN_INF:
        return rest > half;
    case BL_RND_CONV:
        return rest > half || (rest == half && (floor & 1) != 0);
    default:
        return false;
    }
}

static int64_t round_code(int64_t x, int64_t shift, bl_rounding rounding)
{
    if (shift <= 0)
        return (int64_t)((uint64_t)x << -shift);
    const int64_t floor = x >> shift;
    const uint64_t rest = (uint64_t)x & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    return floor + rounds_up(x, floor, rest, half, rounding);
}

static bl_status round_shape(bli_call *c)
{
    if ((unsigned)c->op->rounding >= BL_STOCHASTIC)
        return bli_call_fail(c, BL_BAD_MODEL, "rounding %d is none that a program has", (int)c->op->rounding);
    return bli_shape_same(c);
}

static bl_status check_shift(const bli_call *c, int64_t least)
{
    for (int64_t k = 0; k < c->op->channels; k++)
        if (c->op->shift[k] < least || c->op->shift[k] > SHIFT_MOST)
            return bli_call_fail(c, BL_BAD_MODEL, "shift of channel %lld is %lld, expected %lld to %d", (long long)k,
                                 (long long)c->op->shift[k], (long long)least, SHIFT_MOST);
    return BL_OK;
}

static bl_status round_check(const bli_call *c)
{
    return check_shift(c, -SHIFT_MOST);
}

static bl_status round_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const bli_wide_span a = bli_call_in(c, 0, i);
        const int64_t shift = c->op->shift[bli_channel(c->op, i)];
        if (shift <= 0) {
            BLI_TRY(bli_call_set(c, i, bli_span_shift_left(a, (int)-shift)));
            continue;
        }
        bli_wide_span s = bli_span_hull(bli_span_exact(round_code((int64_t)a.low, shift, c->op->rounding)),
                                        bli_span_exact(round_code((int64_t)a.high, shift, c->op->rounding)));
        if (s.low != s.high)
            s.zeros = a.zeros > shift ? a.zeros - (int)shift : 0;
        BLI_TRY(bli_call_set(c, i, s));
    }
    return BL_OK;
}

static void round_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++)
        w->y[i] = round_code(w->x[0][i], w->op->shift[bli_channel(w->op, i)], w->op->rounding);
}

const bli_prim_rule bli_rule_round = {
    .fields = BLI_HAS(ROUNDING) | BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_SHIFT] = BLI_EXTENT_CHANNELS},
    .shape = round_shape,
    .check = round_check,
    .span = round_span,
    .interpret = round_interpret,
};

/* ---- clamping --------------------------------------------------------------------------------------------------- */

/* What a clamp makes of a span.  An end that cuts is reached as itself; multiples of 2^zeros that reach neither stay.
 */
static bli_wide_span clamp_span(bli_wide_span a, bli_int128 low, bli_int128 high)
{
    const bli_wide_span bottom = {low, low, bli_zeros_of(low), false}, top = {high, high, bli_zeros_of(high), false};
    if (a.high <= low)
        return bottom;
    if (a.low >= high)
        return top;
    bli_wide_span s = {bli_multiple_up(a.low > low ? a.low : low, a.zeros),
                       bli_multiple_down(a.high < high ? a.high : high, a.zeros), a.zeros, a.over};
    const bool inside = s.low <= s.high;
    if (inside && s.low == s.high)
        s.zeros = bli_zeros_of(s.low);
    if (a.low < low)
        s = inside ? bli_span_hull(s, bottom) : a.high > high ? bli_span_hull(bottom, top) : bottom;
    if (a.high > high)
        s = inside || a.low < low ? bli_span_hull(s, top) : top;
    return s;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static bl_status clamp_check(const bli_call *c)
{
    for (int64_t k = 0; k < c->op->channels; k++)
        if (c->op->low[k] > c->op->high[k])
            return bli_call_fail(c, BL_BAD_MODEL, "low of channel %lld is %lld, above its high, %lld", (long long)k,
                                 (long long)c->op->low[k], (long long)c->op->high[k]);
    return BL_OK;
}

static bl_status clamp_span_rule(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const int64_t k = bli_channel(c->op, i);
        BLI_TRY(bli_call_set(c, i, clamp_span(bli_call_in(c, 0, i), c->op->low[k], c->op->high[k])));
    }
    return BL_OK;
}

static void clamp_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        const int64_t k = bli_channel(w->op, i);
        w->y[i] = clamp(w->x[0][i], w->op->low[k], w->op->high[k]);
    }
}

const bli_prim_rule bli_rule_clamp = {
    .fields = BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_LOW] = BLI_EXTENT_CHANNELS, [BLI_FIELD_HIGH] = BLI_EXTENT_CHANNELS},
    .shape = bli_shape_same,
    .check = clamp_check,
    .span = clamp_span_rule,
    .interpret = clamp_interpret,
};

/* ---- RESCALE ---------------------------------------------------------------------------------------------------- */

static bl_status rescale_check(const bli_call *c)
{
    BLI_TRY(check_shift(c, 0));
    return clamp_check(c);
}

/* x weight + bias fits 64 bits by itself, so that every backend may compute it so. */
static bl_status rescale_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const int64_t k = bli_channel(c->op, i), shift = c->op->shift[k];
        bli_wide_span s = bli_span_add(bli_span_mul(bli_call_in(c, 0, i), bli_span_exact(c->op->weight[k])),
                                       bli_span_exact(c->op->bias[k]));
        BLI_TRY(bli_call_set(c, i, s));
        bli_wide_span floor = {s.low >> shift, s.high >> shift, 0, false};
        floor.zeros = floor.low == floor.high ? bli_zeros_of(floor.low) : s.zeros > shift ? s.zeros - (int)shift : 0;
        BLI_TRY(bli_call_set(c, i, clamp_span(floor, c->op->low[k], c->op->high[k])));
    }
    return BL_OK;
}

static void rescale_interpret(const bli_work *w)
{
    const bli_prim_op *op = w->op;
    for (int64_t i = 0; i < w->out->count; i++) {
        const int64_t k = bli_channel(op, i);
        const int64_t v = (int64_t)((uint64_t)w->x[0][i] * (uint64_t)op->weight[k] + (uint64_t)op->bias[k]);
        w->y[i] = clamp(v >> op->shift[k], op->low[k], op->high[k]);
    }
}

const bli_prim_rule bli_rule_rescale = {
    .fields = BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_WEIGHT] = BLI_EXTENT_CHANNELS,
               [BLI_FIELD_BIAS] = BLI_EXTENT_CHANNELS,
               [BLI_FIELD_SHIFT] = BLI_EXTENT_CHANNELS,
               [BLI_FIELD_LOW] = BLI_EXTENT_CHANNELS,
               [BLI_FIELD_HIGH] = BLI_EXTENT_CHANNELS},
    .shape = bli_shape_same,
    .check = rescale_check,
    .span = rescale_span,
    .interpret = rescale_interpret,
};
