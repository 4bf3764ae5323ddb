/* cmvm_sum.c: the terms that nothing shares, and the constant, added up two or three at a time.
 *
 * Which come next decides how wide the adders are.  Three orders are played through with ranges alone, and the cheapest
 * is built: the shallowest first (as in Huffman's code, of least depth), the lowest first, and the cheapest adder
 * first. The latter two take only what keeps the sum of 2^depth within 2^limit.  With three operands and an even number
 * of terms the first adder has two, as in Huffman's code for three letters.
 */
#include <limits.h>
#include <string.h>

#include "program/cmvm_impl.h"
#include "program/csd.h"

/* A partial sum is ±(x << shift), in units of the row's lowest bit.  node -1: a constant, lo = hi. */
typedef struct partial {
    bli_adder_term term;
    int64_t lo, hi; /* of the value, sign and shift included */
    int depth, top; /* top: one past x's highest bit, shift included */
    int end;        /* one past the bits that it has in a wider sum: top, or LONG where its sign goes on */
} partial;

typedef enum order { SHALLOW, LOW, CHEAP, ORDERS } order;
enum { LONG = 128 };
enum { TO_COME = 0 }; /* any node: a sum that is not there yet */
enum { CHEAP_MOST = 48, PRICES = CHEAP_MOST + 1, CHOICES = 2 * PRICES };

/* Partial sums of the state that one adder joins. */
typedef struct choice {
    int32_t at[BLI_ADDER_TERMS];
    int count;
} choice;

typedef struct state {
    partial *at;
    int32_t count;
    int base; /* shift of the row's lowest bit */
    bool ternary;
    uint64_t used, all; /* sum of 2^depth, 2^limit */
    uint64_t heaviest;  /* 2^depth of the deepest */
    int64_t cost;
    int32_t (*price)[PRICES]; /* of pairs, for CHEAP: [i][j], i < j */
    choice *made;             /* this play's choices in order */
    int32_t num_made;
} state;

/* ---- one addition ----------------------------------------------------------------------------------------------- */
static const partial *operand(const state *s, const choice *c, int k)
{
    return &s->at[c->at[k]];
}

/* Whether the adder makes minus the sum.  In the last addition of a row it does not if it can; before that the lowest
 * operand is not negated, which spares the bits below the others. */
static inline bool wants_turn(const partial *const *x, int count, bool last)
{
    const bli_adder_term *low = NULL;
    int terms = 0, minus = 0;
    for (int k = 0; k < count; k++) {
        const bli_adder_term *t = &x[k]->term;
        if (t->node < 0)
            continue;
        terms++;
        minus += t->negative;
        if (low == NULL || t->shift < low->shift || (t->shift == low->shift && !t->negative))
            low = t;
    }
    return low != NULL && ((low->negative && !last) || (minus == terms && terms > 1));
}

/* The chain begins where a second operand does, or at the lowest if that one is negated. */
static inline int chain_start(const partial *const *x, int count, bool turn)
{
    int first = INT_MAX, second = INT_MAX;
    bool first_negative = false;
    for (int k = 0; k < count; k++) {
        const bli_adder_term *t = &x[k]->term;
        const bool negative = t->node >= 0 && t->negative != turn;
        if (t->shift < first || (t->shift == first && negative)) {
            second = first;
            first = t->shift;
            first_negative = negative;
        } else if (t->shift < second) {
            second = t->shift;
        }
    }
    return first_negative ? first : second;
}

/* a + (b << s) where a never reaches bit s: wires. */
static inline bool is_concatenation(const partial *a, const partial *b)
{
    if (a->term.negative || b->term.negative)
        return false;
    const bool swapped = b->term.shift < a->term.shift;
    const partial *low = swapped ? b : a, *high = swapped ? a : b;
    return low->lo >= 0 && low->top <= high->term.shift;
}

/* Of the chain's cells from start on those that join two bits or more: bli_adder_luts, near enough for three. */
static inline int count_luts(const partial *const *x, int count, int start, int top)
{
    int first = 0, second = 0, high = 0; /* ends in falling order */
    for (int k = 0; k < count; k++) {
        const int end = x[k]->term.node < 0 ? 0 : x[k]->end;
        second = end > first ? first : end > second ? end : second;
        first = end > first ? end : first;
        high = x[k]->term.shift > high ? x[k]->term.shift : high;
    }
    if (count == 2 && high > start)
        start = high;
    if (count == 3 && first > second)
        second++;
    const int end = second < top ? second : top;
    return end > start ? end - start : 0;
}

/* What the sum would be and weigh, by intervals; false when it does not fit.  Inlined for each count: this is where
 * time goes. */
static inline bool imagine_of(const partial *const *x, int count, bool last, partial *sum, int *price)
{
    const bool turn = wants_turn(x, count, last);
    *sum = (partial){.term = {TO_COME, x[0]->term.shift, turn}};
    for (int k = 0; k < count; k++) {
        if (__builtin_add_overflow(sum->lo, x[k]->lo, &sum->lo) || __builtin_add_overflow(sum->hi, x[k]->hi, &sum->hi))
            return false;
        sum->depth = x[k]->depth >= sum->depth ? x[k]->depth + 1 : sum->depth;
        sum->term.shift = x[k]->term.shift < sum->term.shift ? x[k]->term.shift : sum->term.shift;
    }
    if (sum->lo == INT64_MIN)
        return false;
    sum->top = turn ? bli_adder_bits(-sum->hi, -sum->lo) : bli_adder_bits(sum->lo, sum->hi);
    sum->end = (turn ? sum->hi > 0 : sum->lo < 0) ? LONG : sum->top;
    if (count == 2 && is_concatenation(x[0], x[1])) {
        *price = 0;
        sum->depth--;
        return true;
    }
    const int start = chain_start(x, count, turn), cells = sum->top > start ? sum->top - start : 0;
    *price = (int)bli_cmvm_weight(cells, count_luts(x, count, start, sum->top));
    return true;
}

static bool imagine(const state *s, const choice *c, partial *sum, int *price)
{
    const partial *x[BLI_ADDER_TERMS] = {operand(s, c, 0), operand(s, c, 1)};
    const bool last = s->count == c->count;
    if (c->count == 2)
        return imagine_of(x, 2, last, sum, price);
    x[2] = operand(s, c, 2);
    return imagine_of(x, 3, last, sum, price);
}

/* The node of a sum that was imagined. */
static void arrange(const state *s, const choice *c, const bli_adder_term *frame, bli_adder_node *n)
{
    *n = (bli_adder_node){0};
    for (int k = 0; k < c->count; k++) {
        const partial *x = operand(s, c, k);
        bli_adder_term t = x->term;
        t.shift = (int16_t)(t.shift - frame->shift);
        t.negative = t.negative != frame->negative;
        if (t.node >= 0)
            n->term[n->num_terms++] = t;
        else
            n->constant = x->lo / ((int64_t)1 << frame->shift) * (t.negative ? -1 : 1);
    }
}

/* ---- which ones ------------------------------------------------------------------------------------------------- */
static uint64_t weight(const partial *p)
{
    return (uint64_t)1 << (p->depth < BLI_CMVM_NO_LIMIT ? p->depth : BLI_CMVM_NO_LIMIT);
}

/* One addition takes up no more than its deepest operand does. */
static bool is_roomy(const state *s)
{
    return s->used <= s->all && s->heaviest <= s->all - s->used;
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

/* Depths and tops are below 128. */
static int rank_in(const partial *p, order o)
{
    return o == SHALLOW ? p->depth << 7 | p->top : p->top << 7 | p->depth;
}

/* The first wanted ones in the order, of equal ones the earlier. */
static void take_lowest(const state *s, order o, int wanted, choice *c)
{
    int rank[BLI_ADDER_TERMS];
    c->count = 0;
    for (int32_t k = 0; k < s->count; k++) {
        const int mine = rank_in(&s->at[k], o);
        int place = c->count;
        while (place > 0 && mine < rank[place - 1])
            place--;
        if (place == wanted)
            continue;
        c->count += c->count < wanted;
        for (int t = c->count - 1; t > place; t--) {
            rank[t] = rank[t - 1];
            c->at[t] = c->at[t - 1];
        }
        rank[place] = mine;
        c->at[place] = k;
    }
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
        if (is_taken(c, k) || (best >= 0 && rank_in(&s->at[k], o) >= rank_in(&s->at[best], o)))
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

static int32_t price_of(bool possible, int price, int depth)
{
    return possible ? 64 * price + depth : INT32_MAX;
}

static int32_t price_of_three(const state *s, const choice *c)
{
    partial sum;
    int price;
    const bool possible = imagine(s, c, &sum, &price);
    return price_of(possible, price, sum.depth);
}

static int32_t price_of_two(const state *s, int32_t i, int32_t j)
{
    const partial *x[] = {&s->at[i], &s->at[j]};
    partial sum;
    int price;
    const bool possible = imagine_of(x, 2, s->count == 2, &sum, &price);
    return price_of(possible, price, sum.depth);
}

static bool take_cheap_pair(const state *s, choice *c)
{
    const bool roomy = is_roomy(s);
    int32_t best = INT32_MAX;
    for (int32_t i = 0; i < s->count; i++)
        for (int32_t j = i + 1; j < s->count; j++) {
            const int32_t known = s->price[i][j];
            const choice try = {.at = {i, j}, .count = 2};
            if (known < best && (roomy || fits(s, &try))) {
                best = known;
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
        const int32_t cost = fits(s, &try) ? price_of_three(s, &try) : INT32_MAX;
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
    } else if (is_roomy(s)) {
        take_lowest(s, o, wanted, &c);
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
/* False where it does not fit. */
static bool load_partial(const bli_adder_range *x, int base, partial *p)
{
    const int64_t factor = (int64_t)1 << (p->term.shift - base);
    p->top = bli_adder_bits(x->lo, x->hi) + p->term.shift - base;
    p->end = x->lo < 0 ? LONG : p->top;
    p->term.shift = (int16_t)(p->term.shift - base);
    if (__builtin_mul_overflow(x->lo, factor, &p->lo) || __builtin_mul_overflow(x->hi, factor, &p->hi) ||
        p->lo == INT64_MIN)
        return false;
    if (p->term.negative) {
        const int64_t lo = p->lo;
        p->lo = -p->hi;
        p->hi = -lo;
    }
    return true;
}

static bool load(const bli_adder_graph *g, const bli_cmvm_row *row, state *s)
{
    const int zeros = row->constant == 0 ? 62 : __builtin_ctzll((uint64_t)row->constant);
    bool ok = true;
    s->count = row->count;
    s->cost = 0;
    s->all = (uint64_t)1 << row->limit;
    s->base = zeros;
    for (int32_t t = 0; t < row->count; t++)
        s->base = row->terms[t].shift < s->base ? row->terms[t].shift : s->base;
    for (int32_t t = 0; t < row->count; t++) {
        const bli_adder_node *n = &g->nodes[row->terms[t].node];
        s->at[t] = (partial){.term = row->terms[t], .depth = n->depth};
        ok = load_partial(&(bli_adder_range){n->lo, n->hi}, s->base, &s->at[t]) && ok;
    }
    if (row->constant != 0) {
        const int64_t odd = row->constant / ((int64_t)1 << zeros);
        s->at[s->count] = (partial){.term = {-1, (int16_t)zeros, false}};
        ok = load_partial(&(bli_adder_range){odd, odd}, s->base, &s->at[s->count++]) && ok;
    }
    s->used = s->heaviest = 0;
    for (int32_t t = 0; t < s->count; t++) {
        const uint64_t w = weight(&s->at[t]);
        s->used += w;
        s->heaviest = w > s->heaviest ? w : s->heaviest;
    }
    if (s->used > s->all)
        s->all = UINT64_MAX; /* cannot be met, so it does not bind */
    return ok;
}

static void price_pairs_of(state *s, int32_t at)
{
    for (int32_t k = 0; k < at; k++)
        s->price[k][at] = price_of_two(s, k, at);
    for (int32_t k = at + 1; k < s->count; k++)
        s->price[at][k] = price_of_two(s, at, k);
}

static void price_pairs(state *s)
{
    for (int32_t i = 0; i < s->count; i++)
        for (int32_t j = i + 1; j < s->count; j++)
            s->price[i][j] = price_of_two(s, i, j);
}

/* The sum takes the first one's place; the last ones move into the others'. */
static void join(state *s, const choice *c, const partial *sum)
{
    choice left = *c;
    s->used += weight(sum);
    s->heaviest = weight(sum) > s->heaviest ? weight(sum) : s->heaviest;
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
            price_pairs_of(s, c->at[k]);
}

/* The row's cost in this order, INT64_MAX when it is not below least or does not fit. */
static int64_t play(const bli_adder_graph *g, const bli_cmvm_row *row, order o, int64_t least, state *s, int *depth)
{
    if (!load(g, row, s))
        return INT64_MAX;
    s->num_made = 0;
    if (o == CHEAP)
        price_pairs(s);
    while (s->count > 1) {
        const choice c = pick(s, o);
        partial sum;
        int cost;
        if (!imagine(s, &c, &sum, &cost))
            return INT64_MAX;
        s->cost += cost;
        if (s->cost >= least)
            return INT64_MAX;
        (o == CHEAP ? join_cheap : join)(s, &c, &sum);
        s->made[s->num_made++] = c;
    }
    const partial *y = &s->at[0];
    *depth = s->count == 0 ? 0 : y->depth;
    return s->cost + (s->count == 1 && y->term.negative ? bli_adder_bits(y->lo, y->hi) - y->term.shift : 0);
}

/* The choices made before are made again, with nodes. */
static bl_status build(bli_adder_graph *g, const bli_cmvm_row *row, const choice *made, state *s, bli_adder_term *out)
{
    bool ok = load(g, row, s);
    for (int32_t k = 0; ok && s->count > 1; k++) {
        partial sum;
        bli_adder_node n;
        int cost;
        ok = imagine(s, &made[k], &sum, &cost);
        if (!ok)
            break;
        arrange(s, &made[k], &sum.term, &n);
        BLI_TRY(bli_adder_graph_add(g, &n, &sum.term.node));
        join(s, &made[k], &sum);
    }
    if (!ok)
        return bli_fail(g->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    *out = s->count == 1 ? s->at[0].term : (bli_adder_term){.node = -1};
    out->shift = (int16_t)(out->shift + (s->count == 1 ? s->base : 0));
    return BL_OK;
}

/* Whether the cheapest first may be better.  Where all of two operands at a time may be negative all cells join two
 * bits, and the lowest first makes the shortest chains: there it saved one LUT in thousands for half of the time.
 */
static bool has_choice(const bli_adder_graph *g, const bli_cmvm_row *row, bool ternary)
{
    bool plain = ternary || row->constant != 0;
    for (int32_t t = 0; !plain && t < row->count; t++)
        plain = g->nodes[row->terms[t].node].lo >= 0;
    return plain && row->count <= CHEAP_MOST;
}

/* The choices of the cheapest order into best; false where a sum does not fit.  Of two terms there is one. */
static bool play_all(const bli_adder_graph *g, const bli_cmvm_row *row, state *s, choice *best)
{
    int deepest = row->limit, depth = 0;
    int64_t least = INT64_MAX;
    const int32_t terms = row->count + (row->constant != 0);
    best[0] = (choice){.at = {0, 1}, .count = 2};
    for (order o = SHALLOW; terms > 2 && o < (has_choice(g, row, s->ternary) ? ORDERS : CHEAP); o++) {
        const int64_t cost = play(g, row, o, least, s, &depth);
        if (cost >= least || (o != SHALLOW && depth > deepest))
            continue;
        least = cost;
        deepest = o == SHALLOW && depth > deepest ? depth : deepest;
        memcpy(best, s->made, (size_t)s->num_made * sizeof *best);
    }
    return terms <= 2 || least < INT64_MAX;
}

static bl_status sum_with(bli_adder_graph *g, const bli_cmvm_row *row, state *s, bli_adder_term *out)
{
    choice *best = s->made + row->count + 1;
    if (!play_all(g, row, s, best))
        return bli_fail(g->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    return build(g, row, best, s, out);
}

static bl_status sum_long(bli_adder_graph *g, const bli_cmvm_row *row, state *s, bli_adder_term *out)
{
    const size_t room = (size_t)row->count + 1;
    partial *at = bli_alloc_array(g->ctx, room, sizeof *at);
    choice *made = bli_alloc_array(g->ctx, 2 * room, sizeof *made);
    s->at = at;
    s->made = made;
    const bl_status status = at == NULL || made == NULL ? BL_NO_MEMORY : sum_with(g, row, s, out);
    bli_free(g->ctx, at);
    bli_free(g->ctx, made);
    return status;
}

bl_status bli_cmvm_sum(bli_adder_graph *g, const bli_cmvm_row *row, bool ternary, bli_adder_term *out)
{
    int32_t price[PRICES][PRICES];
    partial at[PRICES];
    choice made[CHOICES];
    state s = {.at = at, .ternary = ternary, .price = price, .made = made};
    return row->count < PRICES ? sum_with(g, row, &s, out) : sum_long(g, row, &s, out);
}
