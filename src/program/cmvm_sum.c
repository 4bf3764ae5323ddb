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
    int depth;
} partial;

typedef enum order { SHALLOW, LOW, CHEAP, ORDERS } order;
enum { CHEAP_MOST = 48 }; /* looking at all pairs is cubic in the terms */

typedef struct state {
    partial *at;
    int32_t count;
    bool ternary;
    uint64_t used, all; /* sum of 2^depth, 2^limit */
    int64_t cost;
} state;

/* Partial sums of the state that one adder joins. */
typedef struct choice {
    int32_t at[BLI_ADDER_TERMS];
    int count;
} choice;

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

/* The node, and ±(it << shift) as the term that stands for the sum. */
static void arrange(const state *s, const choice *c, bli_adder_node *n, bli_adder_term *out)
{
    const bool turn = wants_turn(s, c);
    *n = (bli_adder_node){0};
    *out = (bli_adder_term){-1, INT16_MAX, turn};
    for (int k = 0; k < c->count; k++)
        if (operand(s, c, k)->term.shift < out->shift)
            out->shift = operand(s, c, k)->term.shift;
    for (int k = 0; k < c->count; k++) {
        bli_adder_term t = operand(s, c, k)->term;
        t.shift = (int16_t)(t.shift - out->shift);
        t.negative = t.negative != turn;
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
    return a->lo >= 0 && bli_adder_bits(0, a->hi) + a->term.shift <= b->term.shift;
}

/* What the sum would be, by intervals; false when it does not fit. */
static bool imagine(const state *s, const choice *c, partial *sum, int *cost)
{
    bli_adder_node n;
    int first = 64, second = 64;
    bool first_negative = false;
    *sum = (partial){.depth = 0};
    arrange(s, c, &n, &sum->term);
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
    *cost = bli_adder_bits(sum->lo, sum->hi) - (first_negative ? first : second);
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

static int top_of(const partial *p)
{
    return bli_adder_bits(p->lo, p->hi) + p->term.shift;
}

static bool is_before(const partial *a, const partial *b, order o)
{
    if (o == SHALLOW && a->depth != b->depth)
        return a->depth < b->depth;
    const int top_a = top_of(a), top_b = top_of(b);
    return top_a != top_b ? top_a < top_b : a->depth < b->depth;
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

static int price(const state *s, const choice *c)
{
    partial sum;
    int cost;
    return fits(s, c) && imagine(s, c, &sum, &cost) ? 64 * cost + sum.depth : INT32_MAX;
}

static bool take_cheap_pair(const state *s, choice *c)
{
    int best = INT32_MAX;
    choice try = {.count = 2};
    for (try.at[0] = 0; try.at[0] < s->count; try.at[0]++)
        for (try.at[1] = try.at[0] + 1; try.at[1] < s->count; try.at[1]++) {
            const int cost = price(s, &try);
            if (cost < best) {
                best = cost;
                *c = try;
            }
        }
    return best < INT32_MAX;
}

static bool take_cheap_third(const state *s, choice *c)
{
    int best = INT32_MAX;
    choice try = {.at = {c->at[0], c->at[1]}, .count = 3};
    for (try.at[2] = 0; try.at[2] < s->count; try.at[2]++) {
        if (is_taken(c, try.at[2]))
            continue;
        const int cost = price(s, &try);
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
        s->at[t] = (partial){row->terms[t], n->lo, n->hi, n->depth};
    }
    if (row->constant != 0) {
        const int zeros = __builtin_ctzll((uint64_t)row->constant);
        const int64_t odd = row->constant / ((int64_t)1 << zeros);
        s->at[s->count++] = (partial){{-1, (int16_t)zeros, false}, odd, odd, 0};
    }
    s->used = 0;
    for (int32_t t = 0; t < s->count; t++)
        s->used += weight(&s->at[t]);
    if (s->used > s->all)
        s->all = UINT64_MAX; /* cannot be met, so it does not bind */
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

static int64_t play(const bli_adder_graph *g, const bli_cmvm_row *row, order o, state *s, int *depth)
{
    for (load(g, row, s); s->count > 1;) {
        const choice c = pick(s, o);
        partial sum;
        int cost;
        if (!imagine(s, &c, &sum, &cost))
            return INT64_MAX;
        s->cost += cost > 0 ? cost : 0;
        join(s, &c, &sum);
    }
    const partial *y = &s->at[0];
    *depth = s->count == 0 ? 0 : y->depth;
    return s->cost + (s->count == 1 && y->term.negative ? bli_adder_bits(-y->hi, -y->lo) : 0);
}

static bl_status build(bli_adder_graph *g, const bli_cmvm_row *row, order o, state *s, bli_adder_term *out)
{
    for (load(g, row, s); s->count > 1;) {
        const choice c = pick(s, o);
        partial sum;
        bli_adder_node n;
        int cost;
        if (!imagine(s, &c, &sum, &cost))
            return bli_fail(g->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
        arrange(s, &c, &n, &sum.term);
        BLI_TRY(bli_adder_graph_add(g, &n, &sum.term.node));
        join(s, &c, &sum);
    }
    *out = s->count == 1 ? s->at[0].term : (bli_adder_term){.node = -1};
    return BL_OK;
}

bl_status bli_cmvm_sum(bli_adder_graph *g, const bli_cmvm_row *row, bool ternary, bli_adder_term *out)
{
    state s = {.at = bli_alloc_array(g->ctx, (size_t)row->count + 1, sizeof *s.at), .ternary = ternary};
    if (s.at == NULL)
        return BL_NO_MEMORY;
    order best = SHALLOW;
    int deepest = 0, depth = 0;
    int64_t least = play(g, row, SHALLOW, &s, &deepest);
    deepest = row->limit > deepest ? row->limit : deepest;
    for (order o = LOW; row->count > 2 && o < ORDERS; o++) {
        const int64_t cost = o == CHEAP && row->count > CHEAP_MOST ? INT64_MAX : play(g, row, o, &s, &depth);
        if (cost < least && depth <= deepest) {
            least = cost;
            best = o;
        }
    }
    bl_status status = build(g, row, best, &s, out);
    bli_free(g->ctx, s.at);
    return status;
}
