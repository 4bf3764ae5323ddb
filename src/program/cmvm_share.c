/* cmvm_share.c: weighted common-sub-expression elimination by pairs.
 *
 * A pattern is (i <= j, d, same): node i beside (node j << d), with equal or opposite signs; its common shift and sign
 * are factored out.  All patterns of all rows are counted once; then the best is made a node, its occurrences become
 * one term each, and only counts of pairs that touch a changed term are brought up to date (the greedy scheme of
 * Hartley and of Boullis & Tisserand, weighted as da4ml's paper describes, arXiv:2507.04535).
 *
 * Invariant: between steps count(pattern) is the number of term pairs that show it.  Occurrences may overlap (i = j) or
 * be barred by a row's depth limit; what a look finds missing is kept as the pattern's penalty.  Rows only ever use up
 * depth, and new pairs touch a new node, so that a penalty never has to be taken back.
 *
 * A cell is one node's digits in one row; a node's cells are contiguous and sorted by row.
 * Length: one data structure, the operations on it and the loop that drives them; apart they would share all of it.
 */
#include <string.h>

#include "program/cmvm_impl.h"

typedef struct cell {
    int32_t row, node;
    uint64_t plus, minus; /* digits */
    int32_t place;        /* in the row's list */
} cell;

typedef struct span {
    int32_t first, count;
} span;

typedef struct pattern {
    uint64_t key;
    int32_t count, penalty;
    int32_t weight, malus; /* score = weight x uses - malus */
    int32_t bucket;        /* -1: in none */
    int32_t next, prev;    /* in its bucket; next also chains free patterns */
} pattern;

typedef struct row_state {
    int32_t *cells;
    int32_t count, room;
    uint64_t slack; /* 2^limit - sum of 2^depth */
} row_state;

typedef struct share {
    bl_context *ctx;
    bli_adder_graph *g;
    const bli_cmvm_way *way;
    cell *cells;
    size_t num_cells, cell_room;
    span *spans; /* by node */
    size_t span_room;
    row_state *rows;
    int32_t num_rows;
    pattern *patterns;
    size_t num_patterns, pattern_room;
    int32_t free_pattern;
    int32_t *table; /* pattern + 1 */
    size_t table_size, table_used;
    int32_t *buckets; /* first pattern of a score */
    size_t bucket_room;
    int32_t top;        /* no bucket above has anything */
    bool out_of_memory; /* the counting loops run to their end, the driver looks */
} share;

/* ---- growing ---------------------------------------------------------------------------------------------------- */
static bool grow(share *s, void **block, size_t used, size_t need, size_t size, size_t *room)
{
    if (need <= *room)
        return true;
    const size_t wanted = need > 2 * *room ? need : 2 * *room;
    void *bigger = bli_alloc_array(s->ctx, wanted, size);
    if (bigger == NULL) {
        s->out_of_memory = true;
        return false;
    }
    if (used > 0)
        memcpy(bigger, *block, used * size);
    bli_free(s->ctx, *block);
    *block = bigger;
    *room = wanted;
    return true;
}
#define GROWER(field, type, room_field)                                                                                \
    static bool grow_##field(share *s, size_t used, size_t need)                                                       \
    {                                                                                                                  \
        void *block = s->field;                                                                                        \
        const bool ok = grow(s, &block, used, need, sizeof(type), &s->room_field);                                     \
        s->field = block;                                                                                              \
        return ok;                                                                                                     \
    }
GROWER(cells, cell, cell_room)
GROWER(spans, span, span_room)
GROWER(patterns, pattern, pattern_room)
GROWER(buckets, int32_t, bucket_room)

/* ---- buckets: patterns by score --------------------------------------------------------------------------------- */
enum { SCORE_MAX = (1 << 22) - 1 };

static void unlink_pattern(share *s, int32_t p)
{
    pattern *x = &s->patterns[p];
    if (x->bucket < 0)
        return;
    if (x->prev >= 0)
        s->patterns[x->prev].next = x->next;
    else
        s->buckets[x->bucket] = x->next;
    if (x->next >= 0)
        s->patterns[x->next].prev = x->prev;
    x->bucket = -1;
}

static uint32_t hash_key(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32);
}

/* In front, or behind the first one by the toss of the seed. */
static void link_pattern(share *s, int32_t p, int32_t score)
{
    pattern *x = &s->patterns[p];
    const int32_t first = s->buckets[score];
    x->bucket = score;
    if (s->way->seed != 0 && first >= 0 && (hash_key(x->key * s->way->seed) & 1)) {
        x->prev = first;
        x->next = s->patterns[first].next;
        s->patterns[first].next = p;
    } else {
        x->prev = -1;
        x->next = first;
        s->buckets[score] = p;
    }
    if (x->next >= 0)
        s->patterns[x->next].prev = p;
    if (score > s->top)
        s->top = score;
}

static int64_t score_of(const share *s, const pattern *x)
{
    const int32_t uses = x->count - x->penalty;
    if (uses < s->way->least)
        return -1;
    return (int64_t)x->weight * (s->way->score == BLI_CMVM_GAIN ? uses - 1 : uses) - x->malus;
}

static void place(share *s, int32_t p)
{
    int64_t score = score_of(s, &s->patterns[p]);
    if (score > SCORE_MAX)
        score = SCORE_MAX;
    if (score == s->patterns[p].bucket)
        return;
    unlink_pattern(s, p);
    if (score < 0 || s->out_of_memory)
        return;
    const size_t old = s->bucket_room;
    if (!grow_buckets(s, old, (size_t)score + 1))
        return;
    for (size_t b = old; b < s->bucket_room; b++)
        s->buckets[b] = -1;
    link_pattern(s, p, (int32_t)score);
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */
/* node i: 28 bits, node j: 28 bits, d + 63: 7 bits, same: 1 bit. */
static uint64_t key_make(int32_t i, int32_t j, int d, bool same)
{
    return (uint64_t)i << 36 | (uint64_t)j << 8 | (uint64_t)(d + 63) << 1 | same;
}
_Static_assert(BLI_ADDER_NODES_MAX <= 1 << 28, "a node fits its place in a key");

typedef struct pair {
    int32_t i, j;
    int d;
    bool same;
} pair;

static pair key_split(uint64_t key)
{
    const uint64_t node = ((uint64_t)1 << 28) - 1;
    return (pair){(int32_t)(key >> 36), (int32_t)(key >> 8 & node), (int)(key >> 1 & 127) - 63, key & 1};
}

static int bits_of(const bli_adder_node *n)
{
    return bli_adder_bits(n->lo, n->hi);
}

/* Bits in which node i and (node j << d) meet; at least 1, as even a concatenation saves terms. */
static int overlap(const bli_adder_node *a, const bli_adder_node *b, int d)
{
    const int top_a = bits_of(a), top_b = bits_of(b) + d;
    const int bits = (top_a < top_b ? top_a : top_b) - (d > 0 ? d : 0);
    return bits > 1 ? bits : 1;
}

/* Roughly what the sum costs: from where they meet to one bit above the higher. */
static int rough_cost(const bli_adder_node *a, const bli_adder_node *b, int d)
{
    const int top_a = bits_of(a), top_b = bits_of(b) + d;
    const int bits = (top_a > top_b ? top_a : top_b) + 1 - (d > 0 ? d : 0);
    return bits > 1 ? bits : 1;
}

static void weigh(const share *s, pattern *x)
{
    const pair k = key_split(x->key);
    const bli_adder_node *a = &s->g->nodes[k.i], *b = &s->g->nodes[k.j];
    const int apart = a->depth > b->depth ? a->depth - b->depth : b->depth - a->depth;
    switch (s->way->score) {
    case BLI_CMVM_MC:
        x->weight = 1;
        break;
    case BLI_CMVM_WIDE:
        x->weight = bits_of(a) + bits_of(b);
        break;
    case BLI_CMVM_GAIN:
        x->weight = rough_cost(a, b, k.d);
        break;
    default:
        x->weight = overlap(a, b, k.d);
    }
    x->malus = s->way->score == BLI_CMVM_WMCDC ? 256 * apart : 0;
}

static size_t find_slot(const share *s, uint64_t key)
{
    const size_t mask = s->table_size - 1;
    size_t slot = hash_key(key) & mask;
    while (s->table[slot] != 0 && s->patterns[s->table[slot] - 1].key != key)
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow_table(share *s)
{
    if (2 * (s->table_used + 1) <= s->table_size)
        return true;
    const size_t old_size = s->table_size;
    int32_t *old = s->table;
    int32_t *bigger = bli_alloc_array(s->ctx, 2 * old_size, sizeof *bigger);
    if (bigger == NULL) {
        s->out_of_memory = true;
        return false;
    }
    s->table = bigger;
    s->table_size = 2 * old_size;
    for (size_t k = 0; k < old_size; k++)
        if (old[k] != 0)
            s->table[find_slot(s, s->patterns[old[k] - 1].key)] = old[k];
    bli_free(s->ctx, old);
    return true;
}

/* Open addressing without tombstones: what hung on the slot moves up. */
static void empty_slot(share *s, size_t slot)
{
    const size_t mask = s->table_size - 1;
    size_t hole = slot;
    for (size_t at = (slot + 1) & mask; s->table[at] != 0; at = (at + 1) & mask) {
        const size_t home = hash_key(s->patterns[s->table[at] - 1].key) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            s->table[hole] = s->table[at];
            hole = at;
        }
    }
    s->table[hole] = 0;
    s->table_used--;
}

static int32_t new_pattern(share *s, uint64_t key)
{
    int32_t p = s->free_pattern;
    if (p >= 0) {
        s->free_pattern = s->patterns[p].next;
    } else {
        if (!grow_patterns(s, s->num_patterns, s->num_patterns + 1))
            return -1;
        p = (int32_t)s->num_patterns++;
    }
    s->patterns[p] = (pattern){.key = key, .bucket = -1};
    weigh(s, &s->patterns[p]);
    return p;
}

static void count_up(share *s, uint64_t key)
{
    if (s->out_of_memory || !grow_table(s))
        return;
    const size_t slot = find_slot(s, key);
    int32_t p = s->table[slot] - 1;
    if (p < 0) {
        p = new_pattern(s, key);
        if (p < 0)
            return;
        s->table[slot] = p + 1;
        s->table_used++;
    }
    s->patterns[p].count++;
    if (s->patterns[p].count >= s->way->least)
        place(s, p);
}

static void count_down(share *s, uint64_t key)
{
    const size_t slot = find_slot(s, key);
    const int32_t p = s->table[slot] - 1;
    if (p < 0)
        return; /* only after memory ran out */
    if (--s->patterns[p].count > 0) {
        if (s->patterns[p].bucket >= 0)
            place(s, p);
        return;
    }
    unlink_pattern(s, p);
    empty_slot(s, slot);
    s->patterns[p].next = s->free_pattern;
    s->free_pattern = p;
}

/* ---- terms ------------------------------------------------------------------------------------------------------ */
static void count_bits(share *s, const cell *c, uint64_t digits, bool same, const bli_adder_term *t, bool up)
{
    for (; digits != 0; digits &= digits - 1) {
        const int shift = __builtin_ctzll(digits);
        int d = c->node < t->node ? t->shift - shift : shift - t->shift;
        if (c->node == t->node && d < 0)
            d = -d;
        const uint64_t key =
            c->node < t->node ? key_make(c->node, t->node, d, same) : key_make(t->node, c->node, d, same);
        if (up)
            count_up(s, key);
        else
            count_down(s, key);
    }
}

/* All pairs of term t, which is not in the row itself now, with the row's terms. */
static void count_term(share *s, int32_t row, const bli_adder_term *t, bool up)
{
    const row_state *r = &s->rows[row];
    for (int32_t k = 0; k < r->count; k++) {
        const cell *c = &s->cells[r->cells[k]];
        count_bits(s, c, t->negative ? c->minus : c->plus, true, t, up);
        count_bits(s, c, t->negative ? c->plus : c->minus, false, t, up);
    }
}

static void leave_row(share *s, const cell *c)
{
    row_state *r = &s->rows[c->row];
    const int32_t last = r->cells[--r->count];
    r->cells[c->place] = last;
    s->cells[last].place = c->place;
}

static bool enter_row(share *s, int32_t number)
{
    cell *c = &s->cells[number];
    row_state *r = &s->rows[c->row];
    if (r->count == r->room) {
        const int32_t room = r->room < 8 ? 16 : 2 * r->room;
        int32_t *bigger = bli_alloc_array(s->ctx, (size_t)room, sizeof *bigger);
        if (bigger == NULL) {
            s->out_of_memory = true;
            return false;
        }
        if (r->count > 0)
            memcpy(bigger, r->cells, (size_t)r->count * sizeof *bigger);
        bli_free(s->ctx, r->cells);
        r->cells = bigger;
        r->room = room;
    }
    c->place = r->count;
    r->cells[r->count++] = number;
    return true;
}

static void take_term(share *s, cell *c, int shift, bool negative)
{
    const uint64_t bit = (uint64_t)1 << shift;
    c->plus &= ~bit;
    c->minus &= ~bit;
    if ((c->plus | c->minus) == 0)
        leave_row(s, c);
    count_term(s, c->row, &(bli_adder_term){c->node, (int16_t)shift, negative}, false);
}

static void put_term(share *s, int32_t number, int shift, bool negative)
{
    cell *c = &s->cells[number];
    const bool fresh = (c->plus | c->minus) == 0;
    count_term(s, c->row, &(bli_adder_term){c->node, (int16_t)shift, negative}, true);
    if (fresh && !enter_row(s, number))
        return;
    if (negative)
        c->minus |= (uint64_t)1 << shift;
    else
        c->plus |= (uint64_t)1 << shift;
}

/* ---- one step --------------------------------------------------------------------------------------------------- */
/* A pattern's occurrences in one row: shifts of the lower one, and of those the ones where i has a minus. */
typedef struct hits {
    uint64_t at, minus;
} hits;

static uint64_t aligned(uint64_t digits, int d)
{
    return d >= 0 ? digits >> d : digits << -d;
}

/* Every second of a chain of overlapping ones. */
static uint64_t without_overlap(uint64_t at, int d)
{
    uint64_t kept = 0;
    for (uint64_t left = at; left != 0;) {
        const uint64_t bit = left & -left;
        kept |= bit;
        left &= ~(bit | bit << d);
    }
    return kept;
}

static uint64_t lowest(uint64_t bits, uint64_t count)
{
    uint64_t kept = 0;
    for (; bits != 0 && count > 0; count--, bits &= bits - 1)
        kept |= bits & -bits;
    return kept;
}

/* Depth that one occurrence uses up: its terms 2^da + 2^db become one of 2^(max + 1). */
static uint64_t depth_price(const share *s, const pair *k)
{
    const int a = s->g->nodes[k->i].depth, b = s->g->nodes[k->j].depth;
    const uint64_t x = (uint64_t)1 << a, y = (uint64_t)1 << b;
    return x > y ? x - y : y - x;
}

static hits hits_in(const share *s, const pair *k, const cell *a, const cell *b, uint64_t price)
{
    const uint64_t plus = a->plus & aligned(k->same ? b->plus : b->minus, k->d);
    const uint64_t minus = a->minus & aligned(k->same ? b->minus : b->plus, k->d);
    hits h = {plus | minus, minus};
    if (k->i == k->j)
        h.at = without_overlap(h.at, k->d);
    const uint64_t slack = s->rows[a->row].slack;
    if (price > 0)
        h.at = lowest(h.at, slack / price);
    return h;
}

/* Calls back for each row that has both nodes. */
typedef void (*row_fn)(share *s, const pair *k, int32_t a, int32_t b, uint64_t price, void *arg);

static void each_common_row(share *s, const pair *k, row_fn fn, void *arg)
{
    const span a = s->spans[k->i], b = s->spans[k->j];
    const uint64_t price = depth_price(s, k);
    for (int32_t x = a.first, y = b.first; x < a.first + a.count && y < b.first + b.count;) {
        const int32_t row_a = s->cells[x].row, row_b = s->cells[y].row;
        if (row_a == row_b)
            fn(s, k, x, y, price, arg);
        x += row_a <= row_b;
        y += row_b <= row_a;
    }
}

typedef struct tally {
    int32_t uses, rows;
} tally;

static void tally_row(share *s, const pair *k, int32_t a, int32_t b, uint64_t price, void *arg)
{
    tally *t = arg;
    const int n = __builtin_popcountll(hits_in(s, k, &s->cells[a], &s->cells[b], price).at);
    t->uses += n;
    t->rows += n > 0;
}

/* The node of a pattern.  turned: it stands for minus (i, j << d), as its first term must not be negated. */
static bl_status pattern_node(share *s, const pair *k, int32_t *node, bool *turned)
{
    bli_adder_node n = {.num_terms = 2};
    n.term[0] = (bli_adder_term){k->i, (int16_t)(k->d < 0 ? -k->d : 0), false};
    n.term[1] = (bli_adder_term){k->j, (int16_t)(k->d > 0 ? k->d : 0), !k->same};
    *turned = !k->same && k->d < 0;
    if (*turned) {
        n.term[0].negative = true;
        n.term[1].negative = false;
    }
    return bli_adder_graph_add(s->g, &n, node);
}

typedef struct making {
    int32_t node;
    bool turned;
} making;

static void replace_row(share *s, const pair *k, int32_t a, int32_t b, uint64_t price, void *arg)
{
    const making *m = arg;
    const hits h = hits_in(s, k, &s->cells[a], &s->cells[b], price);
    if (h.at == 0 || s->out_of_memory)
        return;
    const int32_t fresh = (int32_t)s->num_cells++;
    s->cells[fresh] = (cell){.row = s->cells[a].row, .node = m->node};
    s->spans[m->node].count++;
    for (uint64_t left = h.at; left != 0; left &= left - 1) {
        const int shift = __builtin_ctzll(left);
        const bool minus = h.minus >> shift & 1;
        take_term(s, &s->cells[a], shift, minus);
        take_term(s, &s->cells[b], shift + k->d, minus == k->same);
        put_term(s, fresh, k->d < 0 ? shift + k->d : shift, minus != m->turned);
        s->rows[s->cells[a].row].slack -= price;
    }
}

/* The best pattern's node is made, or the pattern's penalty corrected; *done when there is nothing left. */
static bl_status step(share *s, bool *done)
{
    while (s->top >= 0 && s->buckets[s->top] < 0)
        s->top--;
    *done = s->top < 0;
    if (*done)
        return BL_OK;
    const int32_t p = s->buckets[s->top];
    const pair k = key_split(s->patterns[p].key);
    tally t = {0, 0};
    each_common_row(s, &k, tally_row, &t);
    if (t.uses < s->patterns[p].count - s->patterns[p].penalty) {
        s->patterns[p].penalty = s->patterns[p].count - t.uses;
        place(s, p);
        return BL_OK;
    }
    making m;
    BLI_TRY(pattern_node(s, &k, &m.node, &m.turned));
    if ((size_t)m.node < s->span_room && s->spans[m.node].count > 0) { /* one of the rows' own nodes: leave it be */
        s->patterns[p].penalty = s->patterns[p].count;
        place(s, p);
        return BL_OK;
    }
    if (!grow_spans(s, s->span_room, (size_t)m.node + 1) || !grow_cells(s, s->num_cells, s->num_cells + (size_t)t.rows))
        return BL_NO_MEMORY;
    s->spans[m.node] = (span){(int32_t)s->num_cells, 0};
    each_common_row(s, &k, replace_row, &m);
    return BL_OK;
}

/* ---- in and out ------------------------------------------------------------------------------------------------- */
/* Cells of the given rows, by node and then by row (a counting sort on nodes, as rows come in order). */
static bl_status make_cells(share *s, const bli_cmvm_row *rows)
{
    size_t total = 0;
    for (int32_t r = 0; r < s->num_rows; r++)
        total += (size_t)rows[r].count;
    if (total > INT32_MAX / 4)
        return bli_fail(s->ctx, BL_LIMIT, "adder graph: %zu digits", total);
    if (!grow_spans(s, 0, (size_t)s->g->num_nodes + 1) || !grow_cells(s, 0, total + 1))
        return BL_NO_MEMORY;
    for (int32_t r = 0; r < s->num_rows; r++)
        for (int32_t t = 0; t < rows[r].count; t++)
            s->spans[rows[r].terms[t].node].count++;
    for (int32_t v = 0, first = 0; v < s->g->num_nodes; v++) {
        const int32_t count = s->spans[v].count;
        s->spans[v] = (span){first, 0};
        first += count;
    }
    s->num_cells = total;
    return BL_OK;
}

static void put_row(share *s, int32_t r, const bli_cmvm_row *row)
{
    uint64_t used = 0;
    for (int32_t t = 0; t < row->count; t++) {
        const bli_adder_term *x = &row->terms[t];
        span *p = &s->spans[x->node];
        if (p->count == 0 || s->cells[p->first + p->count - 1].row != r)
            s->cells[p->first + p->count++] = (cell){.row = r, .node = x->node};
        put_term(s, p->first + p->count - 1, x->shift, x->negative);
        used += (uint64_t)1 << s->g->nodes[x->node].depth;
    }
    const uint64_t all = (uint64_t)1 << row->limit;
    s->rows[r].slack = used < all ? all - used : 0;
}

static bl_status start(share *s, const bli_cmvm_row *rows)
{
    s->table_size = 1024;
    s->table = bli_alloc_array(s->ctx, s->table_size, sizeof *s->table);
    s->rows = bli_alloc_array(s->ctx, (size_t)s->num_rows, sizeof *s->rows);
    if (s->table == NULL || s->rows == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(make_cells(s, rows));
    for (int32_t r = 0; r < s->num_rows; r++)
        put_row(s, r, &rows[r]);
    return s->out_of_memory ? BL_NO_MEMORY : BL_OK;
}

/* A row never has more terms than it came with. */
static void hand_back(const share *s, bli_cmvm_row *rows)
{
    for (int32_t r = 0; r < s->num_rows; r++) {
        rows[r].count = 0;
        for (int32_t k = 0; k < s->rows[r].count; k++) {
            const cell *c = &s->cells[s->rows[r].cells[k]];
            for (uint64_t left = c->plus | c->minus; left != 0; left &= left - 1) {
                const int shift = __builtin_ctzll(left);
                rows[r].terms[rows[r].count++] = (bli_adder_term){c->node, (int16_t)shift, c->minus >> shift & 1};
            }
        }
    }
}

static void finish(share *s)
{
    for (int32_t r = 0; s->rows != NULL && r < s->num_rows; r++)
        bli_free(s->ctx, s->rows[r].cells);
    bli_free(s->ctx, s->rows);
    bli_free(s->ctx, s->cells);
    bli_free(s->ctx, s->spans);
    bli_free(s->ctx, s->patterns);
    bli_free(s->ctx, s->table);
    bli_free(s->ctx, s->buckets);
}

bl_status bli_cmvm_share(bli_adder_graph *g, bli_cmvm_row *rows, int32_t num_rows, const bli_cmvm_way *way)
{
    share s = {.ctx = g->ctx, .g = g, .way = way, .num_rows = num_rows, .free_pattern = -1, .top = -1};
    bl_status status = start(&s, rows);
    for (bool done = false; status == BL_OK && !done;) {
        status = step(&s, &done);
        if (s.out_of_memory)
            status = BL_NO_MEMORY;
    }
    if (status == BL_OK)
        hand_back(&s, rows);
    finish(&s);
    return status;
}
