/* sum.c: sums of shifted signals, joined as a tree: always the two shallowest, and among them the narrowest.
 *
 * A weight is its canonical signed digits (never two neighbours, at most half of the bits).  The constant is a leaf
 * like any other, so that it costs bits of a narrow adder at the bottom.  A bit that is subtracted is its complement
 * added.
 */
#include "emit/verilog/net_impl.h"

typedef struct bli_net_term term;

void bli_net_sum_free(bli_net *n, bli_net_sum *s)
{
    bli_free(n->ctx, s->terms);
    *s = (bli_net_sum){.terms = NULL};
}

static bl_status push(bli_net *n, bli_net_sum *s, term t)
{
    if (s->count == s->room) {
        int room = s->room ? 2 * s->room : 16;
        term *grown = bli_alloc_array(n->ctx, (size_t)room, sizeof *grown);
        if (!grown)
            return BL_NO_MEMORY;
        if (s->count)
            memcpy(grown, s->terms, (size_t)s->count * sizeof *grown);
        bli_free(n->ctx, s->terms);
        s->terms = grown;
        s->room = room;
    }
    s->terms[s->count++] = t;
    return BL_OK;
}

static bl_status add_constant(bli_net *n, bli_net_sum *s, bli_net_wide v)
{
    v += s->constant;
    if (v != (int64_t)v)
        return bli_net_too_wide(n);
    s->constant = (int64_t)v;
    return BL_OK;
}

static bl_status add_digit(bli_net *n, bli_net_sum *s, bli_net_ref r, int shift, bool minus)
{
    const bli_net_signal *signal = &n->signals[r.signal];
    BLI_TRY(bli_net_shift(n, r, shift, &r));
    if (minus && signal->low == 0 && signal->high == 1) {
        BLI_TRY(add_constant(n, s, -((bli_net_wide)1 << r.shift)));
        int total = r.shift;
        BLI_TRY(bli_net_flip(n, r, &r));
        r.shift = total;
        minus = false;
    }
    return push(n, s, (term){r, minus});
}

bl_status bli_net_sum_add(bli_net *n, bli_net_sum *s, bli_net_ref r, int64_t weight)
{
    BLI_TRY(add_constant(n, s, (bli_net_wide)r.offset * weight));
    r.offset = 0;
    if (bli_net_is_constant(r))
        return BL_OK;
    bli_net_wide rest = weight;
    for (int shift = 0; rest != 0; shift++, rest >>= 1) {
        if (!(rest & 1))
            continue;
        bool minus = (rest & 3) == 3; /* ...11 is +4 - 1 */
        rest += minus ? 1 : -1;
        BLI_TRY(add_digit(n, s, r, shift, minus));
    }
    return BL_OK;
}

/* ---- the tree: a heap ---------------------------------------------------------------------------------------------
 */
static int64_t rank_of(const bli_net *n, const term *t)
{
    if (bli_net_is_constant(t->r))
        return 0;
    const bli_net_signal *s = &n->signals[t->r.signal];
    return 1 + ((int64_t)s->depth << 40) + ((int64_t)(bli_net_bits(s) + t->r.shift) << 32) + t->r.signal;
}

static void sift_down(const bli_net *n, term *heap, int count, int i)
{
    for (;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
            if (rank_of(n, &heap[child]) < rank_of(n, &heap[least]))
                least = child;
        if (least == i)
            return;
        term t = heap[i];
        heap[i] = heap[least];
        heap[least] = t;
        i = least;
    }
}

static void sift_up(const bli_net *n, term *heap, int i)
{
    for (; i > 0 && rank_of(n, &heap[i]) < rank_of(n, &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        term t = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = t;
    }
}

/* The constant leaf and another term: c + r or c - r, as a signal. */
static bl_status join_constant(bli_net *n, int64_t c, term t, term *out)
{
    out->minus = false;
    if (!t.minus) {
        out->r = t.r;
        out->r.offset = c;
        return bli_net_settle(n, &out->r);
    }
    int common = __builtin_ctzll((uint64_t)c);
    common = common < t.r.shift ? common : t.r.shift;
    bli_net_ref zero;
    bli_net_signal spec = {.kind = BLI_NET_CONST, .k = c >> common, .low = c >> common, .high = c >> common};
    BLI_TRY(bli_net_make(n, &spec, &zero));
    bli_net_range(n, t.r);
    const bli_net_signal *s = &n->signals[t.r.signal];
    bli_net_wide unit = (bli_net_wide)1 << (t.r.shift - common);
    bli_net_signal sub = {.kind = BLI_NET_SUB, .in = {zero.signal, t.r.signal}, .shift = {0, t.r.shift - common}};
    bli_net_wide low = (c >> common) - s->high * unit, high = (c >> common) - s->low * unit;
    if (low != (int64_t)low || high != (int64_t)high)
        return bli_net_too_wide(n);
    sub.low = (int64_t)low;
    sub.high = (int64_t)high;
    BLI_TRY(bli_net_make(n, &sub, &out->r));
    return bli_net_shift(n, out->r, common, &out->r);
}

static bl_status join(bli_net *n, term a, term b, term *out)
{
    if (bli_net_is_constant(a.r))
        return join_constant(n, a.r.offset, b, out);
    out->minus = a.minus && b.minus;
    if (a.minus == b.minus)
        return bli_net_add(n, a.r, b.r, false, &out->r);
    return a.minus ? bli_net_add(n, b.r, a.r, true, &out->r) : bli_net_add(n, a.r, b.r, true, &out->r);
}

static bl_status join_all(bli_net *n, bli_net_sum *s, int64_t offset, bli_net_ref *out)
{
    int64_t leaf;
    if (__builtin_sub_overflow(s->constant, offset, &leaf))
        return bli_net_too_wide(n);
    if (leaf != 0 && s->count > 0)
        BLI_TRY(push(n, s, (term){bli_net_constant(leaf), false}));
    for (int i = s->count / 2 - 1; i >= 0; i--)
        sift_down(n, s->terms, s->count, i);
    while (s->count > 1) {
        term a = s->terms[0], joined;
        s->terms[0] = s->terms[--s->count];
        sift_down(n, s->terms, s->count, 0);
        BLI_TRY(join(n, a, s->terms[0], &joined));
        offset += joined.minus ? -joined.r.offset : joined.r.offset; /* a sum that turned out constant */
        joined.r.offset = 0;
        s->terms[0] = s->terms[--s->count];
        sift_down(n, s->terms, s->count, 0);
        if (bli_net_is_constant(joined.r))
            continue;
        s->terms[s->count++] = joined;
        sift_up(n, s->terms, s->count - 1);
    }
    if (s->count == 0)
        return *out = bli_net_constant(s->constant), BL_OK;
    *out = s->terms[0].r;
    if (s->terms[0].minus)
        BLI_TRY(bli_net_add(n, bli_net_constant(0), *out, true, out));
    if (__builtin_add_overflow(out->offset, offset, &out->offset))
        return bli_net_too_wide(n);
    return BL_OK;
}

bl_status bli_net_sum_finish(bli_net *n, bli_net_sum *s, int64_t offset, bli_net_ref *out)
{
    bl_status status = join_all(n, s, offset, out);
    bli_net_sum_free(n, s);
    return status;
}

/* ---- one adder as it is -------------------------------------------------------------------------------------------
 */
/* The constant of a sum of three is its third operand. */
static bl_status constant_operand(bli_net *n, bli_net_signal *spec)
{
    int zeros = __builtin_ctzll((uint64_t)spec->k);
    bli_net_signal constant = {.kind = BLI_NET_CONST, .k = spec->k >> zeros};
    bli_net_ref r;
    constant.low = constant.high = constant.k;
    BLI_TRY(bli_net_make(n, &constant, &r));
    spec->in[2] = r.signal;
    spec->shift[2] = zeros;
    spec->minus[2] = false;
    spec->k = 0;
    return BL_OK;
}

static void swap_operands(bli_net_signal *spec)
{
    int in = spec->in[0], shift = spec->shift[0];
    spec->in[0] = spec->in[1];
    spec->shift[0] = spec->shift[1];
    spec->in[1] = in;
    spec->shift[1] = shift;
}

bl_status bli_net_sum_of(bli_net *n, bli_net_signal *spec, bli_net_ref *out)
{
    if (spec->kind == BLI_NET_ADD3 && spec->k != 0)
        BLI_TRY(constant_operand(n, spec));
    if (spec->kind == BLI_NET_ADD && spec->in[1] < spec->in[0])
        swap_operands(spec);
    int count = bli_net_operands(spec->kind), common = 62;
    for (int i = 0; i < count; i++)
        common = spec->shift[i] < common ? spec->shift[i] : common;
    bli_net_wide low = spec->k, high = spec->k;
    for (int i = 0; i < count; i++) {
        const bli_net_signal *s = &n->signals[spec->in[i]];
        spec->shift[i] -= common;
        bli_net_wide unit = (bli_net_wide)1 << spec->shift[i];
        bool minus = spec->minus[i] || (spec->kind == BLI_NET_SUB && i == 1);
        low += minus ? -s->high * unit : s->low * unit;
        high += minus ? -s->low * unit : s->high * unit;
    }
    if (low != (int64_t)low || high != (int64_t)high)
        return bli_net_too_wide(n);
    spec->low = (int64_t)low;
    spec->high = (int64_t)high;
    BLI_TRY(bli_net_make(n, spec, out));
    return bli_net_shift(n, *out, common, out);
}
