/* step.c: rounding, overflow and stairs out of few operations.
 *
 * Rounding by a rule that looks at a constant only (TRN, RND, RND_MIN_INF) adds that constant and cuts; a rule that
 * looks at the value (its sign, its parity) adds one bit behind the cut.
 */
#include "emit/verilog/net_impl.h"

enum { TABLE_ENTRIES = 256 }; /* a stair of an input of so few values is a table */

/* ---- rounding -----------------------------------------------------------------------------------------------------
 */
/* The rule with the same results on values that are never negative. */
bl_rounding bli_net_rounding(bl_rounding rule, bool negative)
{
    if (negative)
        return rule;
    switch (rule) {
    case BL_TRN_ZERO:
        return BL_TRN;
    case BL_RND_INF:
        return BL_RND;
    case BL_RND_ZERO:
        return BL_RND_MIN_INF;
    default:
        return rule;
    }
}

/* floor(a / 2^shift); the offset's multiple of 2^shift passes by. */
static bl_status cut(bli_net *n, bli_net_ref a, int shift, bli_net_ref *out)
{
    int64_t keep = a.offset >> shift;
    a.offset -= (int64_t)((uint64_t)keep << shift);
    a.offset &= ~(((int64_t)1 << a.shift) - 1); /* below the signal's last bit nothing carries */
    if (a.offset)
        BLI_TRY(bli_net_settle(n, &a));
    if (a.shift >= shift || bli_net_is_constant(a)) {
        *out =
            bli_net_is_constant(a) ? bli_net_constant(a.offset >> shift) : (bli_net_ref){a.signal, a.shift - shift, 0};
    } else {
        const bli_net_signal *s = &n->signals[a.signal];
        bli_net_signal spec = {.kind = BLI_NET_SHR, .k = shift - a.shift};
        spec.low = s->low >> spec.k;
        spec.high = s->high >> spec.k;
        spec.in[0] = a.signal;
        BLI_TRY(bli_net_make(n, &spec, out));
    }
    out->offset += keep; /* cannot overflow: the result is no wider than a */
    return BL_OK;
}

static bl_status cut_and_tie(bli_net *n, bli_net_ref a, bl_rounding rule, int shift, bli_net_ref *out)
{
    BLI_TRY(bli_net_settle(n, &a));
    if (bli_net_is_constant(a) || a.shift >= shift)
        return cut(n, a, shift, out); /* a settled constant was folded before */
    bli_net_signal spec = {.kind = BLI_NET_TIE, .k = shift - a.shift, .high_k = rule, .low = 0, .high = 1};
    spec.in[0] = a.signal;
    bli_net_ref tie;
    BLI_TRY(bli_net_make(n, &spec, &tie));
    BLI_TRY(cut(n, a, shift, out));
    return bli_net_add(n, *out, tie, false, out);
}

static bl_status round_constant(bli_net *n, int64_t v, bl_rounding rule, int shift, bli_net_ref *out)
{
    bli_net_signal s = {.kind = BLI_NET_TIE, .k = shift, .high_k = rule};
    (void)n;
    *out = bli_net_constant((v >> shift) + (rule == BL_TRN ? 0 : bli_net_tie(v, &s)));
    return BL_OK;
}

bl_status bli_net_round(bli_net *n, bli_net_ref a, bl_rounding rule, int64_t shift, bli_net_ref *out)
{
    if (shift <= 0)
        return bli_net_shift(n, a, (int)-shift, out);
    if (bli_net_is_constant(a))
        return round_constant(n, a.offset, rule, (int)shift, out);
    rule = bli_net_rounding(rule, bli_net_range(n, a).low < 0);
    int64_t half = (int64_t)1 << (shift - 1);
    if (rule == BL_TRN)
        return cut(n, a, (int)shift, out);
    if (rule != BL_RND && rule != BL_RND_MIN_INF)
        return cut_and_tie(n, a, rule, (int)shift, out);
    if (__builtin_add_overflow(a.offset, rule == BL_RND ? half : half - 1, &a.offset))
        return bli_net_too_wide(n);
    return cut(n, a, (int)shift, out);
}

/* ---- overflow -----------------------------------------------------------------------------------------------------
 */
static bl_status wrap(bli_net *n, bli_net_ref a, int bits, bool is_signed, bli_net_ref *out)
{
    bli_span range = bli_net_range(n, a);
    int64_t low = is_signed ? -((int64_t)1 << (bits - 1)) : 0;
    int64_t high = is_signed ? ((int64_t)1 << (bits - 1)) - 1 : ((int64_t)1 << bits) - 1;
    if (range.low >= low && range.high <= high)
        return *out = a, BL_OK;
    int shift = a.offset ? 0 : a.shift;
    if (bli_net_is_constant(a) || shift >= bits) {
        uint64_t v = bli_net_is_constant(a) ? (uint64_t)a.offset & (((uint64_t)1 << bits) - 1) : 0;
        *out = bli_net_constant((int64_t)v > high ? (int64_t)(v - ((uint64_t)1 << bits)) : (int64_t)v);
        return BL_OK;
    }
    bli_net_signal spec = {.kind = is_signed ? BLI_NET_WRAP : BLI_NET_LOW, .k = bits - shift};
    spec.low = low >> shift;
    spec.high = high >> shift;
    if (a.offset)
        BLI_TRY(bli_net_plain(n, a, &spec.in[0]));
    else
        spec.in[0] = a.signal;
    BLI_TRY(bli_net_make(n, &spec, out));
    return bli_net_shift(n, *out, shift, out);
}

/* a where low <= a <= high, else 0. */
static bl_status zero_outside(bli_net *n, bli_net_ref a, int64_t low, int64_t high, bli_net_ref *out)
{
    bli_net_ref above, reaches, zero = bli_net_constant(0);
    BLI_TRY(bli_net_settle(n, &a));
    BLI_TRY(bli_net_at_least(n, a, low, &reaches));
    BLI_TRY(bli_net_at_least(n, a, high + 1, &above));
    bli_net_ref kept;
    BLI_TRY(bli_net_wrap_known(n, a, low, high, &kept));
    BLI_TRY(bli_net_mux(n, above, zero, kept, out));
    return bli_net_mux(n, reaches, *out, zero, out);
}

/* a, where the choice around it makes sure that only values within low..high matter: fewer bits. */
bl_status bli_net_wrap_known(bli_net *n, bli_net_ref a, int64_t low, int64_t high, bli_net_ref *out)
{
    bli_span span = {low, high, 0};
    int bits = bli_span_bits(&span);
    if (bits == 0)
        return *out = bli_net_constant(0), BL_OK;
    return wrap(n, a, bits, low < 0, out);
}

/* Bit number bits of a chooses whether the rest is inverted: see num/round.c. */
static bl_status wrap_sign_magnitude(bli_net *n, bli_net_ref a, int bits, bli_net_ref *out)
{
    bli_net_ref low, top, bit, flipped;
    int signal;
    BLI_TRY(bli_net_plain(n, a, &signal));
    a = (bli_net_ref){signal, 0, 0};
    BLI_TRY(wrap(n, a, bits, true, &low));
    BLI_TRY(cut(n, a, bits - 1, &top)); /* bits 0 and 1 of it: equal or not is bit 0 of top + 1, bit 1 */
    BLI_TRY(bli_net_add(n, top, bli_net_constant(1), false, &bit));
    BLI_TRY(cut(n, bit, 1, &bit));
    BLI_TRY(wrap(n, bit, 1, false, &bit));
    BLI_TRY(bli_net_add(n, bli_net_constant(-1), low, true, &flipped));
    return bli_net_mux(n, bit, flipped, low, out);
}

bl_status bli_net_overflow(bli_net *n, bli_net_ref a, bl_overflow rule, int bits, bool is_signed, bli_net_ref *out)
{
    if (bits > 62) { /* nothing here is wider */
        *out = a;
        return is_signed || bli_net_range(n, a).low >= 0 ? BL_OK : bli_net_too_wide(n);
    }
    int64_t high = ((int64_t)1 << (bits - is_signed)) - 1;
    int64_t low = !is_signed ? 0 : rule == BL_SAT_SYM ? -high : -high - 1;
    bli_span range = bli_net_range(n, a);
    if (range.low >= low && range.high <= high)
        return *out = a, BL_OK;
    if (rule == BL_WRAP)
        return wrap(n, a, bits, is_signed, out);
    if (rule == BL_WRAP_SM)
        return wrap_sign_magnitude(n, a, bits, out);
    return rule == BL_SAT_ZERO ? zero_outside(n, a, low, high, out) : bli_net_clamp(n, a, low, high, out);
}

/* ---- tables and stairs --------------------------------------------------------------------------------------------
 */
/* values of signal = first, first + 1, ...; common offset and power of two of the values are wires. */
static bl_status make_table(bli_net *n, int signal, int64_t first, int64_t *values, int64_t length, bli_net_ref *out)
{
    bli_span range = {values[0], values[0], 0};
    uint64_t differ = 0;
    for (int64_t i = 0; i < length; i++) {
        range.low = values[i] < range.low ? values[i] : range.low;
        range.high = values[i] > range.high ? values[i] : range.high;
        differ |= (uint64_t)values[i] - (uint64_t)values[0];
    }
    if (differ == 0)
        return *out = bli_net_constant(values[0]), BL_OK;
    int shift = __builtin_ctzll(differ);
    int64_t offset = shift > 0 ? range.low : 0;
    for (int64_t i = 0; i < length; i++)
        values[i] = (values[i] - offset) >> shift;
    bli_net_signal spec = {.kind = BLI_NET_TABLE, .k = first, .table = values, .length = length};
    spec.low = (range.low - offset) >> shift;
    spec.high = (range.high - offset) >> shift;
    spec.in[0] = signal;
    BLI_TRY(bli_net_make(n, &spec, out));
    BLI_TRY(bli_net_shift(n, *out, shift, out));
    out->offset += offset;
    return BL_OK;
}

bl_status bli_net_table(bli_net *n, bli_net_ref a, int64_t first, const int64_t *values, int64_t length,
                        bli_net_ref *out)
{
    if (bli_net_is_constant(a))
        return *out = bli_net_constant(values[a.offset - first]), BL_OK;
    const bli_net_signal *s = &n->signals[a.signal];
    int64_t entries = s->high - s->low + 1, least = s->low;
    (void)length;
    int64_t *own = bli_arena_array(n->arena, (size_t)entries, sizeof *own);
    if (!own)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < entries; i++)
        own[i] = values[(int64_t)((uint64_t)(least + i) << a.shift) + a.offset - first];
    return make_table(n, a.signal, least, own, entries, out);
}

static int64_t stair_value(int64_t x, int64_t base, const int64_t *threshold, const int64_t *step, int64_t length)
{
    for (int64_t i = 0; i < length && threshold[i] <= x && threshold[i] != INT64_MAX; i++)
        base += step[i];
    return base;
}

static bl_status stair_table(bli_net *n, bli_net_ref a, int64_t base, const int64_t *threshold, const int64_t *step,
                             int64_t length, bli_net_ref *out)
{
    const bli_net_signal *s = &n->signals[a.signal];
    int64_t entries = s->high - s->low + 1, least = s->low;
    int64_t *values = bli_arena_array(n->arena, (size_t)entries, sizeof *values);
    if (!values)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < entries; i++)
        values[i] = stair_value((int64_t)((uint64_t)(least + i) << a.shift) + a.offset, base, threshold, step, length);
    return make_table(n, a.signal, least, values, entries, out);
}

/* A balanced tree of choices between the thresholds from..to-1. */
static bl_status stair_tree(bli_net *n, bli_net_ref a, int64_t base, const int64_t *threshold, const int64_t *step,
                            int64_t length, bli_net_ref *out)
{
    if (length == 0)
        return *out = bli_net_constant(base), BL_OK;
    int64_t middle = length / 2, reached = base;
    for (int64_t i = 0; i <= middle; i++)
        reached += step[i];
    bli_net_ref bit, above, below;
    BLI_TRY(bli_net_at_least(n, a, threshold[middle], &bit));
    BLI_TRY(stair_tree(n, a, reached, threshold + middle + 1, step + middle + 1, length - middle - 1, &above));
    BLI_TRY(stair_tree(n, a, base, threshold, step, middle, &below));
    return bli_net_mux(n, bit, above, below, out);
}

bl_status bli_net_stair(bli_net *n, bli_net_ref a, int64_t base, const int64_t *threshold, const int64_t *step,
                        int64_t length, bli_net_ref *out)
{
    while (length > 0 && threshold[length - 1] == INT64_MAX)
        length--;
    if (bli_net_is_constant(a))
        return *out = bli_net_constant(stair_value(a.offset, base, threshold, step, length)), BL_OK;
    const bli_net_signal *s = &n->signals[a.signal];
    if (length > 1 && s->high - s->low < TABLE_ENTRIES)
        return stair_table(n, a, base, threshold, step, length, out);
    return stair_tree(n, a, base, threshold, step, length, out);
}
