/* prim_overflow.c: OVERFLOW, the high bits' end.  The words are num's; here they act on codes, and on spans.
 *
 * Cut into pieces of 2^(bits-1), each mode is linear on a piece (slope 0 or +-1), and the pattern repeats after four
 * pieces or, beyond the first ones, is constant: the ends of a few pieces tell a span.
 */
#include "program/prim.h"

typedef struct bounds {
    bli_int128 least, greatest;
} bounds;

static bounds bounds_of(int bits, bool is_signed, bl_overflow overflow)
{
    const bli_int128 one = 1;
    if (!is_signed)
        return (bounds){0, (one << bits) - 1};
    return (bounds){-(one << (bits - 1)) + (overflow == BL_SAT_SYM), (one << (bits - 1)) - 1};
}

static bli_int128 low_bits(bli_int128 x, int bits, bool is_signed)
{
    const bli_int128 modulus = (bli_int128)1 << bits, low = x & (modulus - 1);
    return is_signed && low >> (bits - 1) != 0 ? low - modulus : low;
}

/* The least deleted bit becomes the sign; where it differs from the top remaining bit, the remaining bits invert. */
static bool inverts(bli_int128 x, int bits)
{
    return (x >> bits & 1) != (x >> (bits - 1) & 1);
}

static bli_int128 overflow_wide(bli_int128 x, int bits, bool is_signed, bl_overflow overflow)
{
    const bounds b = bounds_of(bits, is_signed, overflow);
    if (overflow == BL_WRAP)
        return low_bits(x, bits, is_signed);
    if (overflow == BL_WRAP_SM)
        return low_bits(inverts(x, bits) ? ~x : x, bits, is_signed);
    if (x >= b.least && x <= b.greatest)
        return x;
    return overflow == BL_SAT_ZERO ? 0 : x < b.least ? b.least : b.greatest;
}

static int64_t overflow_code(int64_t x, int bits, bool is_signed, bl_overflow overflow)
{
    return (int64_t)overflow_wide(x, bits, is_signed, overflow);
}

static bl_status overflow_shape(bli_call *c)
{
    const bl_overflow o = c->op->overflow;
    if ((unsigned)o > BL_WRAP_SM)
        return bli_call_fail(c, BL_BAD_MODEL, "overflow %d is none that a program has", (int)o);
    if (o == BL_WRAP_SM && !c->op->is_signed)
        return bli_call_fail(c, BL_BAD_MODEL, "overflow WRAP_SM needs a sign");
    return bli_shape_same(c);
}

static bl_status overflow_check(const bli_call *c)
{
    for (int64_t k = 0; k < c->op->channels; k++)
        if (c->op->bits[k] < 1 || c->op->bits[k] > 64)
            return bli_call_fail(c, BL_BAD_MODEL, "bits of channel %lld is %lld, expected 1 to 64", (long long)k,
                                 (long long)c->op->bits[k]);
    return BL_OK;
}

static bli_wide_span exactly(bli_int128 v)
{
    return (bli_wide_span){v, v, bli_zeros_of(v), false};
}

/* The part of a span within from..to, which its mode maps linearly. */
static void take_piece(bli_wide_span a, bli_int128 from, bli_int128 to, const bli_prim_op *op, int bits,
                       bli_wide_span *sum, bool *any)
{
    const bli_int128 low = bli_multiple_up(from > a.low ? from : a.low, a.zeros);
    const bli_int128 high = bli_multiple_down(to < a.high ? to : a.high, a.zeros);
    if (low > high)
        return;
    bli_wide_span s = bli_span_hull(exactly(overflow_wide(low, bits, op->is_signed, op->overflow)),
                                    exactly(overflow_wide(high, bits, op->is_signed, op->overflow)));
    if (s.low != s.high)
        s.zeros = op->overflow == BL_WRAP_SM && inverts(low, bits) ? 0 : a.zeros;
    *sum = *any ? bli_span_hull(*sum, s) : s;
    *any = true;
}

static bli_wide_span wrapped(bli_wide_span a, const bli_prim_op *op, int bits)
{
    if (a.zeros > bits)
        return exactly(overflow_wide(a.low, bits, op->is_signed, op->overflow));
    const bli_int128 piece = (bli_int128)1 << (bits - 1), first = a.low >> (bits - 1), last = a.high >> (bits - 1);
    bli_wide_span sum = {.low = 0};
    bool any = false;
    for (bli_int128 p = first; p <= last && p <= first + 5; p++)
        take_piece(a, p * piece, p * piece + (piece - 1), op, bits, &sum, &any);
    return sum;
}

/* Below, within and above the bounds. */
static bli_wide_span saturated(bli_wide_span a, const bli_prim_op *op, int bits)
{
    const bounds b = bounds_of(bits, op->is_signed, op->overflow);
    bli_wide_span sum = {.low = 0};
    bool any = false;
    take_piece(a, a.low, b.least - 1, op, bits, &sum, &any);
    take_piece(a, b.least, b.greatest, op, bits, &sum, &any);
    take_piece(a, b.greatest + 1, a.high, op, bits, &sum, &any);
    return sum;
}

static bl_status overflow_span(bli_call *c)
{
    const bool wraps = c->op->overflow == BL_WRAP || c->op->overflow == BL_WRAP_SM;
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const int bits = (int)c->op->bits[bli_channel(c->op, i)];
        const bli_wide_span a = bli_call_in(c, 0, i);
        BLI_TRY(bli_call_set(c, i, wraps ? wrapped(a, c->op, bits) : saturated(a, c->op, bits)));
    }
    return BL_OK;
}

static void overflow_interpret(const bli_work *w)
{
    const bli_prim_op *op = w->op;
    for (int64_t i = 0; i < w->out->count; i++)
        w->y[i] = overflow_code(w->x[0][i], (int)op->bits[bli_channel(op, i)], op->is_signed, op->overflow);
}

const bli_prim_rule bli_rule_overflow = {
    .fields = BLI_HAS(OVERFLOW) | BLI_HAS(SIGNED) | BLI_HAS(CHANNELS),
    .extent = {[BLI_FIELD_BITS] = BLI_EXTENT_CHANNELS},
    .shape = overflow_shape,
    .check = overflow_check,
    .span = overflow_span,
    .interpret = overflow_interpret,
};
