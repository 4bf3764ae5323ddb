/* cmvm_share.c: weighted common-sub-expression elimination by pairs.
 *
 * A pattern is (i, j, d, same), j the later node: node i beside (node j << d), with equal or opposite signs; its common
 * shift and sign are factored out.  The best is made a node, its occurrences become one term each, again and again (the
 * greedy scheme of Hartley and of Boullis & Tisserand, weighted as da4ml's paper describes, arXiv:2507.04535).
 *
 * Counts are not kept up to date.  A pattern touches its later node from the step on that made it, when all pairs of
 * that node are counted; after that digits only ever go, and rows only use up depth, so that a count can only fall.
 * Patterns wait in buckets by the score they had when they were looked at last.  What comes out on top is counted
 * again: is its score as high as its bucket, it is the best there is; if not, it goes where it belongs (the lazy
 * greedy scheme of Minoux 1978).  So only patterns worth sharing are kept, and none is ever looked up.
 *
 * A node's digits stand twice: as cells, contiguous and sorted by row, to count a pattern, and as items of the rows, to
 * find a new node's neighbours.
 */
#include <string.h>

#include "program/cmvm_impl.h"
#include "program/cmvm_queue.h"

typedef struct digits {
    uint64_t plus, minus;
} digits;

/* A node's digits in one row. */
typedef struct cell {
    digits d;
    int32_t row, place; /* of the item in the row's list */
} cell;

/* The same, in the row's list. */
typedef struct item {
    digits d;
    int32_t node, cell;
} item;

typedef struct span {
    int32_t first, count; /* cells */
    int32_t left;         /* digits */
} span;

typedef struct row_state {
    item *items;
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
    bli_cmvm_queue queue;
    int reach;      /* greatest shift */
    int32_t *tally; /* of a new node's pairs: [node][d + reach][same] */
    size_t tally_room;
    uint64_t *touched; /* places of tally that are not 0 */
    size_t touched_room;
} share;

/* ---- growing ---------------------------------------------------------------------------------------------------- */
static bl_status grow(share *s, void **block, size_t used, size_t need, size_t size, size_t *room)
{
    if (need <= *room)
        return BL_OK;
    const size_t wanted = need > 2 * *room ? need : 2 * *room;
    void *bigger = bli_alloc_array(s->ctx, wanted, size);
    if (bigger == NULL)
        return BL_NO_MEMORY;
    if (used > 0)
        memcpy(bigger, *block, used * size);
    bli_free(s->ctx, *block);
    *block = bigger;
    *room = wanted;
    return BL_OK;
}
#define GROWER(field, type, room_field)                                                                                \
    static bl_status grow_##field(share *s, size_t used, size_t need)                                                  \
    {                                                                                                                  \
        void *block = s->field;                                                                                        \
        const bl_status status = grow(s, &block, used, need, sizeof(type), &s->room_field);                            \
        s->field = block;                                                                                              \
        return status;                                                                                                 \
    }
GROWER(cells, cell, cell_room)
GROWER(spans, span, span_room)
GROWER(tally, int32_t, tally_room)
GROWER(touched, uint64_t, touched_room)

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

static int32_t weight_of(const share *s, uint64_t key)
{
    const pair k = key_split(key);
    const bli_adder_node *a = &s->g->nodes[k.i], *b = &s->g->nodes[k.j];
    switch (s->way->score) {
    case BLI_CMVM_MC:
        return 1;
    case BLI_CMVM_WIDE:
        return bits_of(a) + bits_of(b);
    case BLI_CMVM_GAIN:
        return rough_cost(a, b, k.d);
    default:
        return overlap(a, b, k.d);
    }
}

static int64_t malus_of(const share *s, uint64_t key)
{
    if (s->way->score != BLI_CMVM_WMCDC)
        return 0;
    const pair k = key_split(key);
    const int a = s->g->nodes[k.i].depth, b = s->g->nodes[k.j].depth;
    return 256 * (a > b ? a - b : b - a);
}

/* Below 0: not worth sharing. */
static int32_t score_of(const share *s, uint64_t key, int32_t weight, int32_t uses)
{
    if (uses < s->way->least)
        return -1;
    const int64_t score = (int64_t)weight * (s->way->score == BLI_CMVM_GAIN ? uses - 1 : uses) - malus_of(s, key);
    return score > BLI_CMVM_SCORE_MAX ? BLI_CMVM_SCORE_MAX : (int32_t)(score < -1 ? -1 : score);
}

static bl_status add_pattern(share *s, uint64_t key, int32_t uses)
{
    const int32_t weight = weight_of(s, key);
    return bli_cmvm_queue_add(&s->queue, key, weight, score_of(s, key, weight, uses));
}

/* ---- a new node's pairs ----------------------------------------------------------------------------------------- */
/* One of each pair of digits: d is the new node's shift less the other's. */
static void tally_up(share *s, int32_t node, int d, bool same, size_t *num_touched)
{
    const size_t width = 2 * (2 * (size_t)s->reach + 1);
    const size_t at = (size_t)node * width + 2 * (size_t)(d + s->reach) + same;
    if (s->tally[at]++ == 0)
        s->touched[(*num_touched)++] = at;
}

static void tally_digits(share *s, int32_t node, uint64_t others, int shift, bool same, size_t *num_touched)
{
    for (; others != 0; others &= others - 1)
        tally_up(s, node, shift - __builtin_ctzll(others), same, num_touched);
}

/* Digits of the new node with those of another one in the same row. */
static void tally_pair(share *s, const digits *mine, const item *other, size_t *num_touched)
{
    for (uint64_t left = mine->plus | mine->minus; left != 0; left &= left - 1) {
        const int shift = __builtin_ctzll(left);
        const bool minus = mine->minus >> shift & 1;
        tally_digits(s, other->node, minus ? other->d.minus : other->d.plus, shift, true, num_touched);
        tally_digits(s, other->node, minus ? other->d.plus : other->d.minus, shift, false, num_touched);
    }
}

/* Digits of the new node with its own lower ones. */
static void tally_own(share *s, int32_t node, const digits *mine, size_t *num_touched)
{
    for (uint64_t left = mine->plus | mine->minus; left != 0; left &= left - 1) {
        const int shift = __builtin_ctzll(left);
        const uint64_t below = ((uint64_t)1 << shift) - 1;
        const bool minus = mine->minus >> shift & 1;
        tally_digits(s, node, below & (minus ? mine->minus : mine->plus), shift, true, num_touched);
        tally_digits(s, node, below & (minus ? mine->plus : mine->minus), shift, false, num_touched);
    }
}

static uint64_t key_at(const share *s, int32_t v, uint64_t at)
{
    const uint64_t width = 2 * (2 * (uint64_t)s->reach + 1);
    return key_make((int32_t)(at / width), v, (int)(at % width / 2) - s->reach, at & 1);
}

static bl_status add_patterns(share *s, int32_t v, size_t num_touched)
{
    for (size_t k = 0; k < num_touched; k++) {
        const size_t at = s->touched[k];
        const int32_t uses = s->tally[at];
        s->tally[at] = 0;
        if (uses >= s->way->least)
            BLI_TRY(add_pattern(s, key_at(s, v, at), uses));
    }
    return BL_OK;
}

static bl_status enter_row(share *s, int32_t v, int32_t number)
{
    cell *c = &s->cells[number];
    row_state *r = &s->rows[c->row];
    if (r->count == r->room) {
        void *block = r->items;
        size_t room = (size_t)r->room;
        BLI_TRY(grow(s, &block, room, room + 8, sizeof(item), &room));
        r->items = block;
        r->room = (int32_t)room;
    }
    c->place = r->count;
    r->items[r->count++] = (item){c->d, v, number};
    return BL_OK;
}

/* Few bits are set: faster than a table where the machine's own instruction may not be used. */
static int count_bits(uint64_t bits)
{
    int count = 0;
    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

/* Enters the rows of v's cells; its pairs with what is there become patterns. */
static bl_status introduce(share *s, int32_t v)
{
    span *p = &s->spans[v];
    const size_t width = 2 * (2 * (size_t)s->reach + 1), need = ((size_t)s->g->num_nodes + 1) * width;
    size_t num_touched = 0;
    BLI_TRY(grow_tally(s, s->tally_room, need));
    BLI_TRY(grow_touched(s, 0, s->tally_room));
    p->left = 0;
    for (int32_t k = p->first; k < p->first + p->count; k++) {
        const cell *c = &s->cells[k];
        const row_state *r = &s->rows[c->row];
        for (int32_t i = 0; i < r->count; i++)
            tally_pair(s, &c->d, &r->items[i], &num_touched);
        tally_own(s, v, &c->d, &num_touched);
        p->left += count_bits(c->d.plus | c->d.minus);
        BLI_TRY(enter_row(s, v, k));
    }
    return add_patterns(s, v, num_touched);
}

/* ---- a pattern's occurrences ------------------------------------------------------------------------------------ */
/* In one row: shifts of the lower one, and of those the ones where i has a minus. */
typedef struct hits {
    uint64_t at, minus;
} hits;

static uint64_t aligned(uint64_t bits, int d)
{
    return d >= 0 ? bits >> d : bits << -d;
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

/* What a row's depth allows of its occurrences. */
static uint64_t allowed(const share *s, int32_t row, uint64_t at, uint64_t price)
{
    const uint64_t slack = s->rows[row].slack;
    return price == 0 || slack / 64 >= price ? at : lowest(at, slack / price);
}

static hits hits_in(const share *s, const pair *k, const cell *a, const cell *b, uint64_t price)
{
    const uint64_t plus = a->d.plus & aligned(k->same ? b->d.plus : b->d.minus, k->d);
    const uint64_t minus = a->d.minus & aligned(k->same ? b->d.minus : b->d.plus, k->d);
    hits h = {plus | minus, minus};
    if (k->i == k->j)
        h.at = without_overlap(h.at, k->d);
    if (h.at != 0)
        h.at = allowed(s, a->row, h.at, price);
    return h;
}

/* hits_in summed up over all rows; this loop is where the time goes, and its branches are hard to foretell. */
static int32_t count_uses(const share *s, const pair *k)
{
    const span a = s->spans[k->i], b = s->spans[k->j];
    const uint64_t price = depth_price(s, k);
    const cell *x = s->cells + a.first, *y = s->cells + b.first;
    const cell *const x_end = x + a.count, *const y_end = y + b.count;
    const int left = k->d < 0 ? -k->d : 0, right = k->d > 0 ? k->d : 0;
    int32_t uses = 0;
    while (x < x_end && y < y_end) {
        const int32_t row_x = x->row, row_y = y->row;
        const uint64_t plus = k->same ? y->d.plus : y->d.minus, minus = k->same ? y->d.minus : y->d.plus;
        uint64_t at = (x->d.plus & plus << left >> right) | (x->d.minus & minus << left >> right);
        at &= 0 - (uint64_t)(row_x == row_y);
        if (at != 0) {
            if (k->i == k->j)
                at = without_overlap(at, k->d);
            at = allowed(s, row_x, at, price);
            uses += count_bits(at);
        }
        x += row_x <= row_y;
        y += row_y <= row_x;
    }
    return uses;
}

/* ---- one step --------------------------------------------------------------------------------------------------- */
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

static void take_digits(share *s, int32_t v, cell *c, uint64_t bits)
{
    c->d.plus &= ~bits;
    c->d.minus &= ~bits;
    s->rows[c->row].items[c->place].d = c->d;
    s->spans[v].left -= count_bits(bits);
}

/* The pattern's occurrences in one row become digits of its node, in the fresh cell. */
static void replace(share *s, const pair *k, cell *a, cell *b, const hits *h, bool turned, cell *fresh)
{
    const uint64_t minus = turned ? h->at & ~h->minus : h->at & h->minus, plus = h->at & ~minus;
    const int up = k->d < 0 ? k->d : 0; /* the node begins at the lower of the two */
    take_digits(s, k->i, a, h->at);
    take_digits(s, k->j, b, aligned(h->at, -k->d));
    fresh->row = a->row;
    fresh->d = (digits){aligned(plus, -up), aligned(minus, -up)};
}

static bl_status replace_all(share *s, const pair *k, int32_t v, bool turned)
{
    BLI_TRY(grow_spans(s, s->span_room, (size_t)v + 1));
    BLI_TRY(grow_cells(s, s->num_cells, s->num_cells + (size_t)s->spans[k->i].count));
    const span a = s->spans[k->i], b = s->spans[k->j];
    const uint64_t price = depth_price(s, k);
    s->spans[v] = (span){.first = (int32_t)s->num_cells};
    for (int32_t x = a.first, y = b.first; x < a.first + a.count && y < b.first + b.count;) {
        const int32_t row_x = s->cells[x].row, row_y = s->cells[y].row;
        if (row_x == row_y) {
            const hits h = hits_in(s, k, &s->cells[x], &s->cells[y], price);
            if (h.at != 0) {
                replace(s, k, &s->cells[x], &s->cells[y], &h, turned, &s->cells[s->num_cells++]);
                s->spans[v].count++;
                s->rows[row_x].slack -= price * (uint64_t)count_bits(h.at);
            }
        }
        x += row_x <= row_y;
        y += row_y <= row_x;
    }
    return BL_OK;
}

static void leave_row(share *s, const cell *c)
{
    row_state *r = &s->rows[c->row];
    const item last = r->items[--r->count];
    r->items[c->place] = last;
    s->cells[last.cell].place = c->place;
}

/* Without empty cells. */
static void close_ranks(share *s, int32_t v)
{
    span *p = &s->spans[v];
    const int32_t end = p->first + p->count;
    int32_t to = p->first;
    for (int32_t k = p->first; k < end; k++) {
        const cell c = s->cells[k];
        if ((c.d.plus | c.d.minus) == 0) {
            leave_row(s, &c);
            continue;
        }
        s->cells[to] = c;
        s->rows[c.row].items[c.place].cell = to++;
    }
    p->count = to - p->first;
}

/* No pattern has more uses than one of its nodes has digits. */
static int32_t uses_at_most(const share *s, const pair *k)
{
    const int32_t i = s->spans[k->i].left, j = s->spans[k->j].left;
    return i < j ? i : j;
}

static bl_status make_shared(share *s, const pair *k)
{
    int32_t v;
    bool turned;
    BLI_TRY(pattern_node(s, k, &v, &turned));
    if ((size_t)v < s->span_room && s->spans[v].count > 0) /* one of the rows' own nodes: leave it be */
        return BL_OK;
    BLI_TRY(replace_all(s, k, v, turned));
    close_ranks(s, k->i);
    if (k->i != k->j)
        close_ranks(s, k->j);
    return introduce(s, v);
}

/* The best pattern's node is made, or the pattern goes where it belongs; *done when there is nothing left. */
static bl_status step(share *s, bool *done)
{
    bli_cmvm_pattern x;
    *done = !bli_cmvm_queue_take(&s->queue, &x);
    if (*done)
        return BL_OK;
    const pair k = key_split(x.key);
    int32_t score = score_of(s, x.key, x.weight, uses_at_most(s, &k));
    if (score >= x.score)
        score = score_of(s, x.key, x.weight, count_uses(s, &k));
    if (score < x.score)
        return bli_cmvm_queue_add(&s->queue, x.key, x.weight, score);
    return make_shared(s, &k);
}

/* ---- in and out ------------------------------------------------------------------------------------------------- */
/* Cells of the given rows, by node and then by row (a counting sort on nodes, as rows come in order). */
static bl_status make_room(share *s, const bli_cmvm_row *rows)
{
    size_t total = 0;
    for (int32_t r = 0; r < s->num_rows; r++)
        total += (size_t)rows[r].count;
    if (total > INT32_MAX / 4)
        return bli_fail(s->ctx, BL_LIMIT, "adder graph: %zu digits", total);
    BLI_TRY(grow_spans(s, 0, (size_t)s->g->num_nodes + 1));
    BLI_TRY(grow_cells(s, 0, total + 1));
    for (int32_t r = 0; r < s->num_rows; r++)
        for (int32_t t = 0; t < rows[r].count; t++) {
            s->spans[rows[r].terms[t].node].count++;
            s->reach = rows[r].terms[t].shift > s->reach ? rows[r].terms[t].shift : s->reach;
        }
    for (int32_t v = 0, first = 0; v < s->g->num_nodes; v++) {
        const int32_t count = s->spans[v].count;
        s->spans[v] = (span){first, 0, 0};
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
            s->cells[p->first + p->count++] = (cell){.row = r};
        digits *d = &s->cells[p->first + p->count - 1].d;
        *(x->negative ? &d->minus : &d->plus) |= (uint64_t)1 << x->shift;
        used += (uint64_t)1 << s->g->nodes[x->node].depth;
    }
    const uint64_t all = (uint64_t)1 << row->limit;
    s->rows[r].slack = used < all ? all - used : 0;
}

static bl_status start(share *s, const bli_cmvm_row *rows)
{
    const int32_t count = s->g->num_nodes;
    s->rows = bli_alloc_array(s->ctx, (size_t)s->num_rows, sizeof *s->rows);
    if (s->rows == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(make_room(s, rows));
    for (int32_t r = 0; r < s->num_rows; r++)
        put_row(s, r, &rows[r]);
    for (int32_t v = 0; v < count; v++)
        if (s->spans[v].count > 0)
            BLI_TRY(introduce(s, v));
    return BL_OK;
}

/* A row never has more terms than it came with. */
static void hand_back(const share *s, bli_cmvm_row *rows)
{
    for (int32_t r = 0; r < s->num_rows; r++) {
        rows[r].count = 0;
        for (int32_t k = 0; k < s->rows[r].count; k++) {
            const item *x = &s->rows[r].items[k];
            for (uint64_t left = x->d.plus | x->d.minus; left != 0; left &= left - 1) {
                const int shift = __builtin_ctzll(left);
                rows[r].terms[rows[r].count++] = (bli_adder_term){x->node, (int16_t)shift, x->d.minus >> shift & 1};
            }
        }
    }
}

static void finish(share *s)
{
    for (int32_t r = 0; s->rows != NULL && r < s->num_rows; r++)
        bli_free(s->ctx, s->rows[r].items);
    bli_free(s->ctx, s->rows);
    bli_free(s->ctx, s->cells);
    bli_free(s->ctx, s->spans);
    bli_cmvm_queue_free(&s->queue);
    bli_free(s->ctx, s->tally);
    bli_free(s->ctx, s->touched);
}

bl_status bli_cmvm_share(bli_adder_graph *g, bli_cmvm_row *rows, int32_t num_rows, const bli_cmvm_way *way)
{
    if (way->least == INT32_MAX)
        return BL_OK;
    share s = {.ctx = g->ctx, .g = g, .way = way, .num_rows = num_rows};
    bli_cmvm_queue_start(&s.queue, g->ctx, way->seed);
    bl_status status = start(&s, rows);
    for (bool done = false; status == BL_OK && !done;)
        status = step(&s, &done);
    if (status == BL_OK)
        hand_back(&s, rows);
    finish(&s);
    return status;
}
