/* net.c: signals are made here, once each; refs are combined here, and whatever a wire or a constant can do is not made
 * an operation.
 *
 * Ranges are computed in 128 bits; a signal beyond 62 bits is refused, so that no later step has to ask.
 */
#include "emit/verilog/net_impl.h"

enum { MOST_SIGNALS = 1 << 26 };

static const int operands[BLI_NET_COUNT] = {
#define BLI_NET_OPERANDS(name, count, text) [BLI_NET_##name] = count,
    BLI_NET_LIST(BLI_NET_OPERANDS)
#undef BLI_NET_OPERANDS
};

int bli_net_operands(bli_net_kind kind)
{
    return operands[kind];
}

bl_status bli_net_empty(const bli_program *p, bli_net **out)
{
    bli_arena *arena;
    *out = NULL;
    BLI_TRY(bli_arena_create(p->ctx, &arena));
    bli_net *n = bli_arena_alloc(arena, sizeof *n);
    bli_net_ref **wires = n ? bli_arena_array(arena, (size_t)p->num_wires + 1, sizeof *wires) : NULL;
    if (!wires) {
        bli_arena_destroy(arena);
        return BL_NO_MEMORY;
    }
    *n = (bli_net){.ctx = p->ctx, .arena = arena, .program = p, .wires = wires, .at = -1};
    *out = n;
    return BL_OK;
}

void bli_net_destroy(bli_net *n)
{
    if (!n)
        return;
    bli_free(n->ctx, n->signals);
    bli_free(n->ctx, n->slots);
    bli_arena_destroy(n->arena);
}

bl_status bli_net_too_wide(const bli_net *n)
{
    const char *wire = n->at >= 0 ? n->program->wires[n->at].name : "?";
    return bli_fail(n->ctx, BL_LIMIT, "wire '%s': a step towards it needs more than 62 bits (narrow its inputs)", wire);
}

/* ---- signals ------------------------------------------------------------------------------------------------------
 */
static uint64_t hash_of(const bli_net_signal *s)
{
    int64_t key[14] = {s->kind,     s->in[0],    s->in[1],    s->in[2], s->shift[0], s->shift[1], s->shift[2],
                       s->minus[0], s->minus[1], s->minus[2], s->k,     s->high_k,   s->length,   0};
    if (s->table)
        key[13] = (int64_t)bli_hash(s->table, (size_t)s->length * sizeof *s->table);
    return bli_hash(key, sizeof key);
}

static bool same_operation(const bli_net_signal *a, const bli_net_signal *b)
{
    return a->kind == b->kind && memcmp(a->in, b->in, sizeof a->in) == 0 &&
           memcmp(a->shift, b->shift, sizeof a->shift) == 0 && memcmp(a->minus, b->minus, sizeof a->minus) == 0 &&
           a->k == b->k && a->high_k == b->high_k && a->length == b->length &&
           (a->length == 0 || memcmp(a->table, b->table, (size_t)a->length * sizeof *a->table) == 0);
}

static bl_status grow_slots(bli_net *n)
{
    size_t room = n->num_slots ? 2 * n->num_slots : 1024;
    int *slots = bli_alloc_array(n->ctx, room, sizeof *slots);
    if (!slots)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->count; i++) {
        size_t at = (size_t)hash_of(&n->signals[i]) & (room - 1);
        while (slots[at])
            at = (at + 1) & (room - 1);
        slots[at] = i + 1;
    }
    bli_free(n->ctx, n->slots);
    n->slots = slots;
    n->num_slots = room;
    return BL_OK;
}

static bl_status grow_signals(bli_net *n)
{
    if (n->count >= MOST_SIGNALS)
        return bli_fail(n->ctx, BL_LIMIT, "program '%s' unrolls into more than %d operations", n->program->name,
                        MOST_SIGNALS);
    int room = n->room ? 2 * n->room : 1024;
    bli_net_signal *grown = bli_alloc_array(n->ctx, (size_t)room, sizeof *grown);
    if (!grown)
        return BL_NO_MEMORY;
    if (n->count)
        memcpy(grown, n->signals, (size_t)n->count * sizeof *grown);
    bli_free(n->ctx, n->signals);
    n->signals = grown;
    n->room = room;
    return BL_OK;
}

static int depth_of(const bli_net *n, const bli_net_signal *s)
{
    static const bool is_free[BLI_NET_COUNT] = {
        [BLI_NET_INPUT] = true, [BLI_NET_CONST] = true, [BLI_NET_SHL] = true, [BLI_NET_SHR] = true,
        [BLI_NET_LOW] = true,   [BLI_NET_WRAP] = true,  [BLI_NET_NOT] = true};
    int depth = 0;
    for (int i = 0; i < operands[s->kind]; i++)
        if (n->signals[s->in[i]].depth > depth)
            depth = n->signals[s->in[i]].depth;
    return depth + !is_free[s->kind];
}

bl_status bli_net_make(bli_net *n, const bli_net_signal *spec, bli_net_ref *out)
{
    const int64_t most = (int64_t)1 << 62;
    if (spec->low < -most || spec->high > most)
        return bli_net_too_wide(n);
    if (spec->low == spec->high && spec->kind != BLI_NET_CONST) {
        *out = bli_net_constant(spec->low);
        return BL_OK;
    }
    if (n->num_slots < 2 * (size_t)n->count + 2)
        BLI_TRY(grow_slots(n));
    size_t at = (size_t)hash_of(spec) & (n->num_slots - 1);
    for (; n->slots[at]; at = (at + 1) & (n->num_slots - 1))
        if (same_operation(&n->signals[n->slots[at] - 1], spec)) {
            *out = (bli_net_ref){n->slots[at] - 1, 0, 0};
            return BL_OK;
        }
    if (n->count == n->room)
        BLI_TRY(grow_signals(n));
    bli_net_signal *s = &n->signals[n->count];
    *s = *spec;
    s->wire = n->at;
    s->element = -1;
    s->depth = depth_of(n, spec);
    n->slots[at] = ++n->count;
    *out = (bli_net_ref){n->count - 1, 0, 0};
    return BL_OK;
}

/* ---- facts --------------------------------------------------------------------------------------------------------
 */
bli_net_ref bli_net_constant(int64_t value)
{
    return (bli_net_ref){BLI_NET_NONE, 0, value};
}

bool bli_net_is_constant(bli_net_ref r)
{
    return r.signal == BLI_NET_NONE;
}

static int64_t cut(bli_net_wide v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

bli_span bli_net_range(const bli_net *n, bli_net_ref r)
{
    if (bli_net_is_constant(r))
        return (bli_span){r.offset, r.offset, 0};
    const bli_net_signal *s = &n->signals[r.signal];
    bli_net_wide unit = (bli_net_wide)1 << r.shift;
    return (bli_span){cut(s->low * unit + r.offset), cut(s->high * unit + r.offset), r.offset ? 0 : r.shift};
}

int bli_net_bits(const bli_net_signal *s)
{
    bli_span span = {s->low, s->high, 0};
    int bits = bli_span_bits(&span);
    return bits > 0 ? bits : 1;
}

bool bli_net_signed(const bli_net_signal *s)
{
    return s->low < 0;
}

void bli_net_narrow(bli_net *n, bli_net_ref *r, bli_span known)
{
    if (bli_net_is_constant(*r))
        return;
    bli_net_signal *s = &n->signals[r->signal];
    bli_net_wide unit = (bli_net_wide)1 << r->shift;
    bli_net_wide low = bli_net_floor_div((bli_net_wide)known.low - r->offset + unit - 1, r->shift);
    bli_net_wide high = bli_net_floor_div((bli_net_wide)known.high - r->offset, r->shift);
    low = low > s->low ? low : s->low;
    high = high < s->high ? high : s->high;
    if (low > high)
        return; /* nothing lies there: an input that never comes */
    s->low = (int64_t)low;
    s->high = (int64_t)high;
    if (low == high)
        *r = bli_net_constant((int64_t)(low * unit + r->offset));
}

/* ---- refs into signals --------------------------------------------------------------------------------------------
 */
static bl_status constant_signal(bli_net *n, int64_t value, int *signal)
{
    bli_net_ref r;
    BLI_TRY(bli_net_make(n, &(bli_net_signal){.kind = BLI_NET_CONST, .k = value, .low = value, .high = value}, &r));
    *signal = r.signal;
    return BL_OK;
}

static bool is_bit(const bli_net *n, int signal)
{
    return n->signals[signal].low >= 0 && n->signals[signal].high <= 1;
}

bl_status bli_net_settle(bli_net *n, bli_net_ref *r)
{
    if (bli_net_is_constant(*r) || r->offset == 0)
        return BL_OK;
    bli_span range = bli_net_range(n, *r);
    if (is_bit(n, r->signal)) {
        bli_net_signal mux = {.kind = BLI_NET_MUX, .low = range.low, .high = range.high};
        mux.in[0] = r->signal;
        BLI_TRY(constant_signal(n, range.high, &mux.in[1]));
        BLI_TRY(constant_signal(n, range.low, &mux.in[2]));
        return bli_net_make(n, &mux, r);
    }
    int zeros = __builtin_ctzll((uint64_t)r->offset), common = zeros < r->shift ? zeros : r->shift;
    bli_net_signal sum = {.kind = BLI_NET_ADD, .low = range.low >> common, .high = range.high >> common};
    sum.in[0] = r->signal;
    sum.shift[0] = r->shift - common;
    BLI_TRY(constant_signal(n, r->offset >> common, &sum.in[1]));
    BLI_TRY(bli_net_make(n, &sum, r));
    return bli_net_shift(n, *r, common, r);
}

bl_status bli_net_plain(bli_net *n, bli_net_ref r, int *signal)
{
    if (bli_net_is_constant(r))
        return constant_signal(n, r.offset, signal);
    BLI_TRY(bli_net_settle(n, &r));
    if (bli_net_is_constant(r))
        return constant_signal(n, r.offset, signal);
    if (r.shift > 0) {
        bli_span range = bli_net_range(n, r);
        bli_net_signal spec = {.kind = BLI_NET_SHL, .k = r.shift, .low = range.low, .high = range.high};
        spec.in[0] = r.signal;
        BLI_TRY(bli_net_make(n, &spec, &r));
    }
    *signal = r.signal;
    return BL_OK;
}

/* ---- sums of two --------------------------------------------------------------------------------------------------
 */
bl_status bli_net_shift(bli_net *n, bli_net_ref a, int shift, bli_net_ref *out)
{
    bli_net_wide offset = a.offset * ((bli_net_wide)1 << (shift < 63 ? shift : 63));
    if (shift > 62 || offset != (int64_t)offset || a.shift + shift > 62) {
        if (a.signal == BLI_NET_NONE && a.offset == 0)
            return *out = a, BL_OK;
        return bli_net_too_wide(n);
    }
    *out = (bli_net_ref){a.signal, bli_net_is_constant(a) ? 0 : a.shift + shift, (int64_t)offset};
    return BL_OK;
}

/* -(s << k) = ((-1 - s) + 1) << k */
static bl_status negate(bli_net *n, bli_net_ref a, bli_net_ref *out)
{
    const bli_net_signal *s = &n->signals[a.signal];
    bli_net_signal spec = {.kind = BLI_NET_NOT, .low = -1 - s->high, .high = -1 - s->low};
    if (s->kind == BLI_NET_NOT) {
        *out = (bli_net_ref){s->in[0], a.shift, (int64_t)1 << a.shift};
        return BL_OK;
    }
    spec.in[0] = a.signal;
    BLI_TRY(bli_net_make(n, &spec, out));
    out->shift = a.shift;
    out->offset = (int64_t)1 << a.shift;
    return BL_OK;
}

/* s << a.shift and s << b.shift are one multiple of s: its range is exact, and powers of two are wires. */
static bool same_signal(const bli_net *n, bli_net_ref a, bli_net_ref b, bool subtract, bli_net_signal *spec,
                        bli_net_ref *out)
{
    const bli_net_signal *s = &n->signals[a.signal];
    bli_net_wide c = ((bli_net_wide)1 << a.shift) + (subtract ? -1 : 1) * ((bli_net_wide)1 << b.shift);
    spec->low = cut(c >= 0 ? c * s->low : c * s->high);
    spec->high = cut(c >= 0 ? c * s->high : c * s->low);
    if (c == 0)
        *out = bli_net_constant(0);
    else if (c > 0 && (c & (c - 1)) == 0)
        *out = (bli_net_ref){a.signal, __builtin_ctzll((uint64_t)c), 0};
    else
        return false;
    return true;
}

static bl_status add_signals(bli_net *n, bli_net_ref a, bli_net_ref b, bool subtract, bli_net_ref *out)
{
    int common = a.shift < b.shift ? a.shift : b.shift;
    if (!subtract && (b.signal < a.signal || (b.signal == a.signal && b.shift < a.shift))) {
        bli_net_ref t = a;
        a = b;
        b = t;
    }
    a.shift -= common;
    b.shift -= common;
    bli_net_signal spec = {.kind = subtract ? BLI_NET_SUB : BLI_NET_ADD};
    if (a.signal == b.signal) {
        if (same_signal(n, a, b, subtract, &spec, out))
            return bli_net_shift(n, *out, common, out);
    } else {
        const bli_net_signal *sa = &n->signals[a.signal], *sb = &n->signals[b.signal];
        bli_net_wide ua = (bli_net_wide)1 << a.shift, ub = (bli_net_wide)1 << b.shift;
        spec.low = cut(sa->low * ua + (subtract ? -sb->high : sb->low) * ub);
        spec.high = cut(sa->high * ua + (subtract ? -sb->low : sb->high) * ub);
    }
    spec.in[0] = a.signal;
    spec.in[1] = b.signal;
    spec.shift[0] = a.shift;
    spec.shift[1] = b.shift;
    BLI_TRY(bli_net_make(n, &spec, out));
    return bli_net_shift(n, *out, common, out);
}

bl_status bli_net_add(bli_net *n, bli_net_ref a, bli_net_ref b, bool subtract, bli_net_ref *out)
{
    int64_t offset;
    if (subtract ? __builtin_sub_overflow(a.offset, b.offset, &offset)
                 : __builtin_add_overflow(a.offset, b.offset, &offset))
        return bli_net_too_wide(n);
    a.offset = b.offset = 0;
    if (bli_net_is_constant(b))
        *out = a;
    else if (!bli_net_is_constant(a))
        BLI_TRY(add_signals(n, a, b, subtract, out));
    else if (subtract)
        BLI_TRY(negate(n, b, out));
    else
        *out = b;
    if (__builtin_add_overflow(out->offset, offset, &out->offset))
        return bli_net_too_wide(n);
    return BL_OK;
}

/* ---- choices ------------------------------------------------------------------------------------------------------
 */
bl_status bli_net_at_least(bli_net *n, bli_net_ref a, int64_t k, bli_net_ref *bit)
{
    bli_span range = bli_net_range(n, a);
    if (range.low >= k || range.high < k) {
        *bit = bli_net_constant(range.low >= k);
        return BL_OK;
    }
    bli_net_wide unit = (bli_net_wide)1 << a.shift;
    int64_t t = (int64_t)bli_net_floor_div((bli_net_wide)k - a.offset + unit - 1, a.shift);
    if (is_bit(n, a.signal)) { /* t is 1 */
        *bit = (bli_net_ref){a.signal, 0, 0};
        return BL_OK;
    }
    bli_net_signal spec = {.kind = BLI_NET_AT_LEAST, .k = t, .low = 0, .high = 1};
    spec.in[0] = a.signal;
    return bli_net_make(n, &spec, bit);
}

static bl_status flip(bli_net *n, int bit, bli_net_ref *out)
{
    bli_net_signal spec = {.kind = BLI_NET_NOT, .low = -2, .high = -1};
    spec.in[0] = bit;
    BLI_TRY(bli_net_make(n, &spec, out));
    bli_net_signal low = {.kind = BLI_NET_LOW, .k = 1, .low = 0, .high = 1};
    low.in[0] = out->signal;
    return bli_net_make(n, &low, out);
}

bl_status bli_net_flip(bli_net *n, bli_net_ref bit, bli_net_ref *out)
{
    if (bli_net_is_constant(bit))
        return *out = bli_net_constant(!bit.offset), BL_OK;
    return flip(n, bit.signal, out);
}

/* Two constants a power of two apart are the bit itself. */
static bl_status mux_constants(bli_net *n, int bit, int64_t yes, int64_t no, bli_net_ref *out)
{
    bool rises = yes > no;
    uint64_t step = rises ? (uint64_t)yes - (uint64_t)no : (uint64_t)no - (uint64_t)yes;
    if (step & (step - 1)) {
        bli_net_signal spec = {.kind = BLI_NET_MUX, .low = rises ? no : yes, .high = rises ? yes : no};
        spec.in[0] = bit;
        BLI_TRY(constant_signal(n, yes, &spec.in[1]));
        BLI_TRY(constant_signal(n, no, &spec.in[2]));
        return bli_net_make(n, &spec, out);
    }
    *out = (bli_net_ref){bit, 0, 0};
    if (!rises)
        BLI_TRY(flip(n, bit, out));
    out->shift = __builtin_ctzll(step);
    out->offset = rises ? no : yes;
    return BL_OK;
}

static int zeros_of(bli_net_ref r)
{
    return !bli_net_is_constant(r) ? r.shift : r.offset ? __builtin_ctzll((uint64_t)r.offset) : 62;
}

static bl_status mux_signals(bli_net *n, int bit, bli_net_ref yes, bli_net_ref no, bli_net_ref *out)
{
    BLI_TRY(bli_net_settle(n, &yes));
    BLI_TRY(bli_net_settle(n, &no));
    int common = zeros_of(yes) < zeros_of(no) ? zeros_of(yes) : zeros_of(no);
    bli_net_ref *arms[2] = {&yes, &no};
    for (int i = 0; i < 2; i++)
        if (bli_net_is_constant(*arms[i]))
            arms[i]->offset >>= common;
        else
            arms[i]->shift -= common;
    bli_span a = bli_net_range(n, yes), b = bli_net_range(n, no);
    bli_net_signal spec = {.kind = BLI_NET_MUX, .low = a.low < b.low ? a.low : b.low};
    spec.high = a.high > b.high ? a.high : b.high;
    spec.in[0] = bit;
    BLI_TRY(bli_net_plain(n, yes, &spec.in[1]));
    BLI_TRY(bli_net_plain(n, no, &spec.in[2]));
    BLI_TRY(bli_net_make(n, &spec, out));
    return bli_net_shift(n, *out, common, out);
}

bl_status bli_net_mux(bli_net *n, bli_net_ref bit, bli_net_ref yes, bli_net_ref no, bli_net_ref *out)
{
    if (bli_net_is_constant(bit)) {
        *out = bit.offset ? yes : no;
        return BL_OK;
    }
    if (yes.signal == no.signal && yes.shift == no.shift && yes.offset == no.offset) {
        *out = yes;
        return BL_OK;
    }
    if (bli_net_is_constant(yes) && bli_net_is_constant(no))
        return mux_constants(n, bit.signal, yes.offset, no.offset, out);
    int64_t offset = yes.offset;
    bool lifted = yes.offset == no.offset && !bli_net_is_constant(yes) && !bli_net_is_constant(no);
    if (lifted)
        yes.offset = no.offset = 0;
    BLI_TRY(mux_signals(n, bit.signal, yes, no, out));
    if (lifted && __builtin_add_overflow(out->offset, offset, &out->offset))
        return bli_net_too_wide(n);
    return BL_OK;
}

bl_status bli_net_less_mux(bli_net *n, bli_net_ref a, bli_net_ref b, bli_net_ref yes, bli_net_ref no, bli_net_ref *out)
{
    bli_span ra = bli_net_range(n, a), rb = bli_net_range(n, b);
    bli_net_ref bit;
    if (ra.high < rb.low || ra.low >= rb.high) {
        *out = ra.high < rb.low ? yes : no;
        return BL_OK;
    }
    if (bli_net_is_constant(b)) {
        BLI_TRY(bli_net_at_least(n, a, b.offset, &bit));
        return bli_net_mux(n, bit, no, yes, out);
    }
    if (bli_net_is_constant(a)) { /* a < b: b >= a + 1; a + 1 fits, b reaches it */
        BLI_TRY(bli_net_at_least(n, b, a.offset + 1, &bit));
        return bli_net_mux(n, bit, yes, no, out);
    }
    if (a.offset == b.offset && a.shift == b.shift)
        a.offset = b.offset = a.shift = b.shift = 0;
    bli_net_signal spec = {.kind = BLI_NET_LESS, .low = 0, .high = 1};
    BLI_TRY(bli_net_plain(n, a, &spec.in[0]));
    BLI_TRY(bli_net_plain(n, b, &spec.in[1]));
    BLI_TRY(bli_net_make(n, &spec, &bit));
    return bli_net_mux(n, bit, yes, no, out);
}

static int64_t within(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* A clamp of a clamp is one clamp. */
static void unclamp(const bli_net *n, int *signal, int64_t *low, int64_t *high)
{
    const bli_net_signal *s = &n->signals[*signal];
    if (s->kind != BLI_NET_CLAMP)
        return;
    int64_t inner_low = within(s->k, *low, *high), inner_high = within(s->high_k, *low, *high);
    *signal = s->in[0];
    *low = inner_low;
    *high = inner_high;
}

/* In the signal's own units where both ends are multiples of them. */
bl_status bli_net_clamp(bli_net *n, bli_net_ref a, int64_t low, int64_t high, bli_net_ref *out)
{
    bli_span range = bli_net_range(n, a);
    if (range.low >= low && range.high <= high)
        return *out = a, BL_OK;
    if (range.low >= high || range.high <= low)
        return *out = bli_net_constant(range.low >= high ? high : low), BL_OK;
    BLI_TRY(bli_net_settle(n, &a));
    low = low < range.low ? range.low : low;
    high = high > range.high ? range.high : high;
    int64_t mask = ((int64_t)1 << a.shift) - 1;
    int shift = a.shift;
    if ((low & mask) || (high & mask)) {
        BLI_TRY(bli_net_plain(n, a, &a.signal));
        shift = 0;
    }
    bli_net_signal spec = {.kind = BLI_NET_CLAMP, .k = low >> shift, .high_k = high >> shift};
    unclamp(n, &a.signal, &spec.k, &spec.high_k);
    spec.low = spec.k;
    spec.high = spec.high_k;
    spec.in[0] = a.signal;
    BLI_TRY(bli_net_make(n, &spec, out));
    return bli_net_shift(n, *out, shift, out);
}

static void product_range(const bli_net_signal *a, const bli_net_signal *b, bli_net_signal *out)
{
    bli_net_wide corner[4] = {(bli_net_wide)a->low * b->low, (bli_net_wide)a->low * b->high,
                              (bli_net_wide)a->high * b->low, (bli_net_wide)a->high * b->high};
    bli_net_wide low = corner[0], high = corner[0];
    for (int i = 1; i < 4; i++) {
        low = corner[i] < low ? corner[i] : low;
        high = corner[i] > high ? corner[i] : high;
    }
    if (a == b && low < 0)
        low = 0;
    out->low = cut(low);
    out->high = cut(high);
}

bl_status bli_net_multiply(bli_net *n, bli_net_ref a, bli_net_ref b, bli_net_ref *out)
{
    if (bli_net_is_constant(a) || bli_net_is_constant(b)) {
        bli_net_sum sum = {.terms = NULL};
        bool left = bli_net_is_constant(a);
        bl_status s = bli_net_sum_add(n, &sum, left ? b : a, left ? a.offset : b.offset);
        return s == BL_OK ? bli_net_sum_finish(n, &sum, 0, out) : (bli_net_sum_free(n, &sum), s);
    }
    BLI_TRY(bli_net_settle(n, &a));
    BLI_TRY(bli_net_settle(n, &b));
    if (b.signal < a.signal) {
        bli_net_ref t = a;
        a = b;
        b = t;
    }
    bli_net_signal spec = {.kind = BLI_NET_MUL};
    product_range(&n->signals[a.signal], &n->signals[b.signal], &spec);
    spec.in[0] = a.signal;
    spec.in[1] = b.signal;
    BLI_TRY(bli_net_make(n, &spec, out));
    return bli_net_shift(n, *out, a.shift + b.shift, out);
}
