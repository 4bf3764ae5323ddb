/* span.c: interval arithmetic with a power of two (span.h), and the facts of wires that are read off their spans.
 *
 * Sums and products are checked in 128 bits: a product of two 64-bit ends always fits, a long sum might not, and then
 * the span is `over` for good, since a later term could hide it.
 */
#include "program/span.h"

int bli_zeros_of(bli_int128 v)
{
    if (v == 0)
        return BLI_ZEROS_OF_ZERO;
    uint64_t low = (uint64_t)v;
    int zeros = low != 0 ? __builtin_ctzll(low) : BLI_ZEROS_MOST;
    return zeros < BLI_ZEROS_MOST ? zeros : BLI_ZEROS_MOST;
}

static int zeros_within(bli_int128 low, bli_int128 high, int zeros)
{
    if (low == high)
        return bli_zeros_of(low);
    return zeros < BLI_ZEROS_MOST ? zeros : BLI_ZEROS_MOST;
}

static bli_wide_span make(bli_int128 low, bli_int128 high, int zeros, bool over)
{
    return (bli_wide_span){low, high, zeros_within(low, high, zeros), over};
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

bli_wide_span bli_span_exact(int64_t v)
{
    return make(v, v, 0, false);
}

bli_wide_span bli_span_widen(bli_span s)
{
    return (bli_wide_span){s.low, s.high, s.zeros, false};
}

bli_wide_span bli_span_add(bli_wide_span a, bli_wide_span b)
{
    bli_int128 low, high;
    bool over = __builtin_add_overflow(a.low, b.low, &low);
    over |= __builtin_add_overflow(a.high, b.high, &high);
    return make(low, high, least(a.zeros, b.zeros), over || a.over || b.over);
}

bli_wide_span bli_span_negate(bli_wide_span a)
{
    bli_int128 low, high;
    bool over = __builtin_sub_overflow((bli_int128)0, a.high, &low);
    over |= __builtin_sub_overflow((bli_int128)0, a.low, &high);
    return make(low, high, a.zeros, over || a.over);
}

static void stretch(bli_wide_span *s, bli_int128 a, bli_int128 b, bool first)
{
    bli_int128 v;
    s->over |= __builtin_mul_overflow(a, b, &v);
    s->low = first || v < s->low ? v : s->low;
    s->high = first || v > s->high ? v : s->high;
}

bli_wide_span bli_span_mul(bli_wide_span a, bli_wide_span b)
{
    bli_wide_span s = {.over = a.over || b.over};
    stretch(&s, a.low, b.low, true);
    stretch(&s, a.low, b.high, false);
    stretch(&s, a.high, b.low, false);
    stretch(&s, a.high, b.high, false);
    return make(s.low, s.high, a.zeros + b.zeros, s.over);
}

bli_wide_span bli_span_square(bli_wide_span a)
{
    bli_wide_span s = {.over = a.over};
    stretch(&s, a.low, a.low, true);
    stretch(&s, a.high, a.high, false);
    if (a.low <= 0 && a.high >= 0)
        s.low = 0;
    return make(s.low, s.high, 2 * a.zeros, s.over);
}

bli_wide_span bli_span_times(bli_wide_span a, int64_t n)
{
    bli_int128 low, high;
    bool over = __builtin_mul_overflow(a.low, (bli_int128)n, &low);
    over |= __builtin_mul_overflow(a.high, (bli_int128)n, &high);
    return make(low, high, a.zeros, over || a.over);
}

bli_wide_span bli_span_shift_left(bli_wide_span a, int shift)
{
    return bli_span_mul(a, bli_span_exact((int64_t)1 << shift));
}

bli_wide_span bli_span_hull(bli_wide_span a, bli_wide_span b)
{
    bli_int128 low = a.low < b.low ? a.low : b.low, high = a.high > b.high ? a.high : b.high;
    return make(low, high, least(a.zeros, b.zeros), a.over || b.over);
}

bli_wide_span bli_span_min(bli_wide_span a, bli_wide_span b)
{
    if (a.high <= b.low)
        return a;
    if (b.high <= a.low)
        return b;
    bli_int128 low = a.low < b.low ? a.low : b.low, high = a.high < b.high ? a.high : b.high;
    return make(low, high, least(a.zeros, b.zeros), a.over || b.over);
}

bli_wide_span bli_span_max(bli_wide_span a, bli_wide_span b)
{
    return bli_span_negate(bli_span_min(bli_span_negate(a), bli_span_negate(b)));
}

bli_int128 bli_multiple_down(bli_int128 v, int zeros)
{
    return v & ~(((bli_int128)1 << zeros) - 1);
}

bli_int128 bli_multiple_up(bli_int128 v, int zeros)
{
    return bli_multiple_down(v + (((bli_int128)1 << zeros) - 1), zeros);
}

bool bli_span_narrow(bli_wide_span a, bli_span *out)
{
    *out = (bli_span){(int64_t)a.low, (int64_t)a.high, a.zeros};
    return !a.over && a.low >= INT64_MIN && a.high <= INT64_MAX;
}

/* ---- facts ----------------------------------------------------------------------------------------------------- */

bli_span bli_wire_span(const bli_wire *w, int64_t element)
{
    if (w->num_spans == 1)
        return w->spans[0];
    return w->spans[element % w->num_spans];
}

bli_span bli_wire_hull(const bli_wire *w)
{
    bli_wide_span hull = bli_span_widen(w->spans[0]);
    for (int64_t i = 1; i < w->num_spans; i++)
        hull = bli_span_hull(hull, bli_span_widen(w->spans[i]));
    return (bli_span){(int64_t)hull.low, (int64_t)hull.high, hull.zeros};
}

static int bit_length(uint64_t v)
{
    return v == 0 ? 0 : 64 - __builtin_clzll(v);
}

int bli_span_bits(const bli_span *s)
{
    int high = s->high > 0 ? bit_length((uint64_t)s->high) : 0;
    if (s->low >= 0)
        return high;
    int low = bit_length((uint64_t)~s->low);
    return (low > high ? low : high) + 1;
}
