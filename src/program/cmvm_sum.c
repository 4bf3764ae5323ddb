/* cmvm_sum.c: the terms that nothing shares, and the constant, added up two or three at a time.
 *
 * Which come next decides how wide the adders are.  Three orders are played through with ranges alone, and the cheapest
 * is built: the shallowest first (as in Huffman's code, of least depth), the lowest first, and the cheapest adder
 * first. The latter two take only what keeps the sum of 2^depth within 2^limit.  With three operands and an even number
 * of terms the first adder has two, as in Huffman's code for three letters.
 */
#include <string.h>

#include "program/cmvm_impl.h"
#include "program/csd.h"

/* A partial sum: its value is ±(x << shift), x in [lo, hi].  node -1: a constant, lo = hi. */
typedef struct partial {
    bli_adder_term term;
    int64_t lo, hi;
    int depth, top; /* one past its highest bit, shift included */
} partial;

typedef enum order { SHALLOW, LOW, CHEAP, ORDERS } order;
enum { CHEAP_MOST = 48, PRICES = CHEAP_MOST + 1, UNKNOWN = -1 };

/* Partial sums of the state that one adder joins. */
typedef struct choice {
    int32_t at[BLI_ADDER_TERMS];
    int count;
} choice;

typedef struct state {
    partial *at;
    int32_t count;
    bool ternary;
    uint64_t used, all; /* sum of 2^depth, 2^limit */
    int64_t cost;
    int32_t (*price)[PRICES]; /* of pairs, for CHEAP; UNKNOWN: not looked at since one of them came */
    choice *made;             /* this play's choices in order */
    int32_t num_made;
} state;

/* ---- one addition ----------------------------------------------------------------------------------------------- */
static const partial *operand(const state *s, const choice *c, int k)
{
    return &s->at[c->at[k]];
}

static bool has_plus(const state *s, const choice *c, bool turn)
{
    int terms = 0;
    for (int k = 0; k < c->count; k++) {
        const bli_adder_term *t = &operand(s, c, k)->term;
        terms += t->node >= 0;
        if (t->node >= 0 && t->negative == turn)
            return true;
    }
    return terms == 1;
}

/* Whether the adder makes minus the sum.  In the last addition of a row it does not if it can; before that the lowest
 * operand is not negated, which spares the bits below the others. */
static bool wants_turn(const state *s, const choice *c)
{
    const bli_adder_term *low = NULL;
    for (int k = 0; k < c->count; k++) {
        const bli_adder_term *t = &operand(s, c, k)->term;
        if (t->node >= 0 && (low == NULL || t->shift < low->shift || (t->shift == low->shift && !t->negative)))
            low = t;
    }
    const bool turn = low != NULL && low->negative && s->count > c->count;
    return has_plus(s, c, turn) ? turn : !turn;
}

/* The term ±(node << shift) that stands for the sum, but for the node. */
static bli_adder_term frame_of(const state *s, const choice *c)
{
    bli_adder_term t = {-1, INT16_MAX, wants_turn(s, c)};
    for (int k = 0; k < c->count; k++)
        if (operand(s, c, k)->term.shift < t.shift)
            t.shift = operand(s, c, k)->term.shift;
    return t;
}

/* The node. */
static void arrange(const state *s, const choice *c, const bli_adder_term *frame, bli_adder_node *n)
{
    *n = (bli_adder_node){0};
    for (int k = 0; k < c->count; k++) {
        bli_adder_term t = operand(s, c, k)->term;
        t.shift = (int16_t)(t.shift - frame->shift);
        t.negative = t.negative != frame->negative;
        if (t.node >= 0)
            n->term[n->num_terms++] = t;
        else
            n->constant = operand(s, c, k)->lo * ((int64_t)1 << t.shift) * (t.negative ? -1 : 1);
    }
}

static bool shifted(int64_t x, const bli_adder_term *t, int64_t *out)
{
    const int64_t factor = (int64_t)1 << t->shift;
    return !__builtin_mul_overflow(x, t->negative ? -factor : factor, out);
}

static bool range_add(const partial *x, const bli_adder_term *t, partial *sum)
{
    int64_t lo, hi;
    return shifted(t->negative ? x->hi : x->lo, t, &lo) && shifted(t->negative ? x->lo : x->hi, t, &hi) &&
           !__builtin_add_overflow(sum->lo, lo, &sum->lo) && !__builtin_add_overflow(sum->hi, hi, &sum->hi);
}

/* a + (b << s) where a never reaches bit s: wires. */
static bool is_concatenation(const state *s, const choice *c)
{
    if (c->count != 2 || operand(s, c, 0)->term.negative || operand(s, c, 1)->term.negative)
        return false;
    const int low = operand(s, c, 0)->term.shift <= operand(s, c, 1)->term.shift ? 0 : 1;
    const partial *a = operand(s, c, low), *b = operand(s, c, 1 - low);
    return a->lo >= 0 && a->top <= b->term.shift;
}

/* What the sum would be, by intervals; false when it does not fit. */
static bool imagine(const state *s, const choice *c, partial *sum, int *cost)
{
    int first = 64, second = 64;
    bool first_negative = false;
    *sum = (partial){.term = frame_of(s, c)};
    for (int k = 0; k < c->count; k++) {
        const partial *x = operand(s, c, k);
        bli_adder_term t = x->term;
        t.shift = (int16_t)(t.shift - sum->term.shift);
        t.negative = t.negative != sum->term.negative;
        if (!range_add(x, &t, sum))
            return false;
        sum->depth = x->depth >= sum->depth ? x->depth + 1 : sum->depth;
        const bool negative = t.negative && t.node >= 0;
        if (t.shift < first || (t.shift == first && negative)) {
            second = first;
            first = t.shift;
            first_negative = negative;
        } else if (t.shift < second) {
            second = t.shift;
        }
    }
    const int bits = bli_adder_bits(sum->lo, sum->hi);
    sum->top = bits + sum->term.shift;
    *cost = bits - (first_negative ? first : second);
    if (is_concatenation(s, c)) {
        *cost = 0;
        sum->depth--;
    }
    return true;
}

/* ---- which ones ------------------------------------------------------------------------------------------------- */
static uint64_t weight(const partial *p)
{
    return (uint64_t)1 << (p->depth < BLI_CMVM_NO_LIMIT ? p->depth : BLI_CMVM_NO_LIMIT);
}

static bool fits(const state *s, const choice *c)
{
    uint64_t least = 0, before = 0;
    for (int k = 0; k < c->count; k++) {
        const uint64_t w = weight(operand(s, c, k));
        before += w;
        least = 2 * w > least ? 2 * w : least;
    }
    return least <= before || s->used + (least - before) <= s->all;
}

static bool is_before(const partial *a, const partial *b, order o)
{
    if (o == SHALLOW && a->depth != b->depth)
        return a->depth < b->depth;
    return a->top != b->top ? a->top < b->top : a->depth < b->depth;
}

static bool is_taken(const choice *c, int32_t k)
{
    for (int t = 0; t < c->count; t++)
        if (c->at[t] == k)
            return true;
    return false;
}

/* The next one in the order, the first that fits. */
static bool take_first(const state *s, order o, choice *c)
{
    int32_t best = -1;
    for (int32_t k = 0; k < s->count; k++) {
        if (is_taken(c, k) || (best >= 0 && !is_before(&s->at[k], &s->at[best], o)))
            continue;
        c->at[c->count++] = k;
        if (c->count == 1 || fits(s, c))
            best = k;
        c->count--;
    }
    if (best >= 0)
        c->at[c->count++] = best;
    return best >= 0;
}

static int32_t price(const state *s, const choice *c)
{
    partial sum;
    int cost;
    return imagine(s, c, &sum, &cost) ? 64 * (cost > 0 ? cost : 0) + sum.depth : INT32_MAX;
}

static bool take_cheap_pair(const state *s, choice *c)
{
    int32_t best = INT32_MAX;
    choice try = {.count = 2};
    for (try.at[0] = 0; try.at[0] < s->count; try.at[0]++)
        for (try.at[1] = try.at[0] + 1; try.at[1] < s->count; try.at[1]++) {
            int32_t *known = &s->price[try.at[0]][try.at[1]];
            if (*known == UNKNOWN)
                *known = price(s, &try);
            if (*known < best && fits(s, &try)) {
                best = *known;
                *c = try;
            }
        }
    return best < INT32_MAX;
}

static bool take_cheap_third(const state *s, choice *c)
{
    int32_t best = INT32_MAX;
    choice try = {.at = {c->at[0], c->at[1]}, .count = 3};
    for (try.at[2] = 0; try.at[2] < s->count; try.at[2]++) {
        if (is_taken(c, try.at[2]))
            continue;
        const int32_t cost = fits(s, &try) ? price(s, &try) : INT32_MAX;
        if (cost < best) {
            best = cost;
            c->at[2] = try.at[2];
        }
    }
    c->count += best < INT32_MAX;
    return best < INT32_MAX;
}

/* In a limit that binds nothing may fit in the order wanted: then the shallowest, which always does. */
static choice pick(const state *s, order o)
{
    const int wanted = s->ternary && s->count % 2 == 1 ? 3 : 2;
    choice c = {.count = 0};
    bool ok = true;
    if (o == CHEAP) {
        ok = take_cheap_pair(s, &c) && (wanted == 2 || take_cheap_third(s, &c));
    } else {
        while (ok && c.count < wanted)
            ok = take_first(s, o, &c);
    }
    if (ok)
        return c;
    state free = *s;
    free.all = UINT64_MAX;
    for (c.count = 0; c.count < wanted;)
        (void)take_first(&free, SHALLOW, &c);
    return c;
}

void bli_cmvm_add_digits(bli_cmvm_row *row, int32_t node, int64_t factor)
{
    const bli_csd c = bli_csd_of(factor);
    for (uint64_t left = c.plus | c.minus; left != 0; left &= left - 1) {
        const int shift = __builtin_ctzll(left);
        row->terms[row->count++] = (bli_adder_term){node, (int16_t)shift, c.minus >> shift & 1};
    }
}

/* ---- a row ------------------------------------------------------------------------------------------------------ */
static void load(const bli_adder_graph *g, const bli_cmvm_row *row, state *s)
{
    s->count = row->count;
    s->cost = 0;
    s->all = (uint64_t)1 << row->limit;
    for (int32_t t = 0; t < row->count; t++) {
        const bli_adder_node *n = &g->nodes[row->terms[t].node];
        s->at[t] = (partial){row->terms[t], n->lo, n->hi, n->depth, bli_adder_bits(n->lo, n->hi) + row->terms[t].shift};
    }
    if (row->constant != 0) {
        const int zeros = __builtin_ctzll((uint64_t)row->constant);
        const int64_t odd = row->constant / ((int64_t)1 << zeros);
        s->at[s->count++] = (partial){{-1, (int16_t)zeros, false}, odd, odd, 0, bli_adder_bits(odd, odd) + zeros};
    }
    s->used = 0;
    for (int32_t t = 0; t < s->count; t++)
        s->used += weight(&s->at[t]);
    if (s->used > s->all)
        s->all = UINT64_MAX; /* cannot be met, so it does not bind */
}

static void forget_prices(state *s, int32_t at)
{
    for (int32_t k = 0; k < s->count; k++)
        s->price[k][at] = s->price[at][k] = UNKNOWN;
}

/* The sum takes the first one's place; the last ones move into the others'. */
static void join(state *s, const choice *c, const partial *sum)
{
    choice left = *c;
    s->used += weight(sum);
    for (int k = 0; k < c->count; k++)
        s->used -= weight(operand(s, c, k));
    s->at[c->at[0]] = *sum;
    for (int k = 1; k < left.count; k++) {
        s->at[left.at[k]] = s->at[--s->count];
        for (int later = k + 1; later < left.count; later++)
            if (left.at[later] == s->count)
                left.at[later] = left.at[k];
    }
}

static void join_cheap(state *s, const choice *c, const partial *sum)
{
    join(s, c, sum);
    for (int k = 0; k < c->count; k++)
        if (c->at[k] < s->count)
            forget_prices(s, c->at[k]);
}

/* The row's cost in this order, INT64_MAX when it is not below least or does not fit. */
static int64_t play(const bli_adder_graph *g, const bli_cmvm_row *row, order o, int64_t least, state *s, int *depth)
{
    load(g, row, s);
    s->num_made = 0;
    for (int32_t k = 0; o == CHEAP && k < s->count; k++)
        forget_prices(s, k);
    while (s->count > 1) {
        const choice c = pick(s, o);
        partial sum;
        int cost;
        if (!imagine(s, &c, &sum, &cost))
            return INT64_MAX;
        s->cost += cost > 0 ? cost : 0;
        if (s->cost >= least)
            return INT64_MAX;
        (o == CHEAP ? join_cheap : join)(s, &c, &sum);
        s->made[s->num_made++] = c;
    }
    const partial *y = &s->at[0];
    *depth = s->count == 0 ? 0 : y->depth;
    return s->cost + (s->count == 1 && y->term.negative ? bli_adder_bits(-y->hi, -y->lo) : 0);
}

/* The choices made before are made again, with nodes. */
static bl_status build(bli_adder_graph *g, const bli_cmvm_row *row, const choice *made, state *s, bli_adder_term *out)
{
    load(g, row, s);
    for (int32_t k = 0; s->count > 1; k++) {
        partial sum;
        bli_adder_node n;
        int cost;
        if (!imagine(s, &made[k], &sum, &cost))
            return bli_fail(g->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
        arrange(s, &made[k], &sum.term, &n);
        BLI_TRY(bli_adder_graph_add(g, &n, &sum.term.node));
        join(s, &made[k], &sum);
    }
    *out = s->count == 1 ? s->at[0].term : (bli_adder_term){.node = -1};
    return BL_OK;
}

/* The choices of the cheapest order into best; false where a sum does not fit. */
static bool play_all(const bli_adder_graph *g, const bli_cmvm_row *row, state *s, choice *best)
{
    int deepest = row->limit, depth = 0;
    int64_t least = INT64_MAX;
    const int32_t terms = row->count + (row->constant != 0);
    for (order o = SHALLOW; o < (terms > 2 ? ORDERS : LOW); o++) {
        const int64_t cost = o == CHEAP && row->count > CHEAP_MOST ? INT64_MAX : play(g, row, o, least, s, &depth);
        if (cost >= least || (o != SHALLOW && depth > deepest))
            continue;
        least = cost;
        deepest = o == SHALLOW && depth > deepest ? depth : deepest;
        memcpy(best, s->made, (size_t)s->num_made * sizeof *best);
    }
    return least < INT64_MAX;
}

bl_status bli_cmvm_sum(bli_adder_graph *g, const bli_cmvm_row *row, bool ternary, bli_adder_term *out)
{
    const size_t room = (size_t)row->count + 1;
    int32_t price[PRICES][PRICES];
    choice *made = bli_alloc_array(g->ctx, 2 * room, sizeof *made);
    state s = {.at = bli_alloc_array(g->ctx, room, sizeof *s.at), .ternary = ternary, .price = price, .made = made};
    bl_status status = s.at == NULL || made == NULL ? BL_NO_MEMORY : BL_OK;
    if (status == BL_OK && !play_all(g, row, &s, made + room))
        status = bli_fail(g->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    if (status == BL_OK)
        status = build(g, row, made + room, &s, out);
    bli_free(g->ctx, s.at);
    bli_free(g->ctx, made);
    return status;
}
