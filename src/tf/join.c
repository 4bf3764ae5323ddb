/* join.c: chains of eight-bit operators as one pass over bytes.
 *
 * QuantizedBiasAdd, QuantizedAdd and QuantizedMul with a vector are, for each channel, a function of one byte; so is
 * the Requantize behind them, and a QuantizedRelu behind that.  All of these functions are monotonic.  So the range
 * that a RequantizationRange finds in the 32-bit sums follows from the least and the greatest byte of each channel, and
 * a whole chain of such stages is one look at the bytes for their extremes and one walk through a table of 256 bytes a
 * channel: no sum is ever written to memory.  The bits are those of the nodes one by one.  Where anything is not as it
 * should be (shapes, ranges whose arithmetic wraps, values that are an error), the nodes run one by one after all.
 */
#include <string.h>

#include "tf/eight_op.h"
#include "tf/kernels/loops.h"
#include "tf/session_impl.h"

enum { MOST_STAGES = 8, NODES = 4, ENOUGH = 256 }; /* pixels that pay for tables */

/* Four nodes at most: the sum, its range (unless that is given), requantizing, an activation. */
typedef struct stage {
    size_t sum, requantize;
    size_t range, relu; /* SIZE_MAX: none */
    int with;           /* the sum's input that is a vector */
} stage;

struct bli_tf_join {
    int num;
    stage stages[MOST_STAGES];
    size_t members[MOST_STAGES * NODES]; /* in the order in which they run */
    int num_members;
};

/* ---- finding ------------------------------------------------------------------------------------------------- */
static bool is_op(const bli_tf_spot *p, const char *const *names)
{
    for (; *names; names++)
        if (p->op && !p->fed && !p->constant && strcmp(p->op->name, *names) == 0)
            return true;
    return false;
}

static bool is_wire(const bli_tf_spot *p, int input, size_t spot, int port)
{
    return p->in[input].spot == spot && p->in[input].port == port;
}

/* Inputs first, first + 1, first + 2 are a's outputs. */
static bool reads_all(const bli_tf_spot *p, const int inputs[3], size_t spot)
{
    return is_wire(p, inputs[0], spot, 0) && is_wire(p, inputs[1], spot, 1) && is_wire(p, inputs[2], spot, 2);
}

static bool used(const bli_tf_spot *p, int times)
{
    for (int k = 0; k < p->num_out; k++)
        if (p->uses_planned[k] != times)
            return false;
    return p->num_before == 0;
}

/* The stage whose last node before an activation is the Requantize at `at`. */
static bool find_stage(const bli_tf_session *s, size_t at, stage *out)
{
    static const char *const requantizes[] = {"Requantize", NULL}, *const ranges[] = {"RequantizationRange", NULL};
    static const char *const sums[] = {"QuantizedBiasAdd", "QuantizedAdd", "QuantizedMul", NULL};
    static const int front[3] = {0, 1, 2};
    const bli_tf_spot *q = &s->spots[at];
    if (!is_op(q, requantizes) || q->num_before > 0)
        return false;
    const size_t sum = q->in[0].spot, range = q->in[3].spot;
    *out = (stage){.sum = sum, .requantize = at, .range = SIZE_MAX, .relu = SIZE_MAX, .with = 1};
    if (!is_op(&s->spots[sum], sums) || !reads_all(q, front, sum) || s->spots[sum].num_before > 0)
        return false;
    if (is_op(&s->spots[range], ranges)) {
        out->range = range;
        return is_wire(q, 3, range, 0) && is_wire(q, 4, range, 1) && used(&s->spots[range], 1) &&
               reads_all(&s->spots[range], front, sum) && used(&s->spots[sum], 2);
    }
    return used(&s->spots[sum], 1) && s->spots[range].constant && s->spots[q->in[4].spot].constant;
}

/* Which node a stage's result comes out of. */
static size_t end_of(const stage *t)
{
    return t->relu != SIZE_MAX ? t->relu : t->requantize;
}

static void find_relu(const bli_tf_session *s, size_t at, stage *t)
{
    static const char *const relus[] = {"QuantizedRelu", "QuantizedRelu6", NULL};
    static const int front[3] = {0, 1, 2};
    const bli_tf_spot *p = &s->spots[at];
    if (is_op(p, relus) && p->num_before == 0 && reads_all(p, front, t->requantize) &&
        used(&s->spots[t->requantize], 1))
        t->relu = at;
}

/* Whether stage b reads what stage a makes, and nobody else does. */
static bool follows(const bli_tf_session *s, const stage *a, const stage *b)
{
    static const int front[3] = {0, 2, 3};
    return used(&s->spots[end_of(a)], 1) && reads_all(&s->spots[b->sum], front, end_of(a));
}

static void add_member(bli_tf_join *j, size_t spot)
{
    if (spot != SIZE_MAX)
        j->members[j->num_members++] = spot;
}

static bl_status close_chain(bli_tf_session *s, const stage *stages, int num)
{
    if (num == 0)
        return BL_OK;
    bli_tf_join *j = bli_arena_alloc(s->plan, sizeof *j);
    if (!j)
        return BL_NO_MEMORY;
    j->num = num;
    for (int i = 0; i < num; i++) {
        j->stages[i] = stages[i];
        add_member(j, stages[i].sum);
        add_member(j, stages[i].range);
        add_member(j, stages[i].requantize);
        add_member(j, stages[i].relu);
    }
    for (int i = 0; i < j->num_members - 1; i++)
        s->spots[j->members[i]].swallowed = true;
    s->spots[j->members[j->num_members - 1]].join = j;
    return BL_OK;
}

bl_status bli_tf_join_find(bli_tf_session *s)
{
    stage chain[MOST_STAGES], next;
    int num = 0;
    for (size_t i = 0; i < s->num_order; i++) {
        if (num > 0 && chain[num - 1].relu == SIZE_MAX) {
            find_relu(s, s->order[i], &chain[num - 1]);
            if (chain[num - 1].relu == s->order[i])
                continue;
        }
        if (!find_stage(s, s->order[i], &next))
            continue;
        if (num > 0 && (num == MOST_STAGES || !follows(s, &chain[num - 1], &next))) {
            BLI_TRY(close_chain(s, chain, num));
            num = 0;
        }
        chain[num++] = next;
    }
    return close_chain(s, chain, num);
}

/* ---- a stage at work ----------------------------------------------------------------------------------------- */
/* What a byte of a channel becomes: sum, then requantized, then clamped. */
typedef struct step {
    bool product;
    int32_t table[256], zero_x; /* sums: a byte's part; products: less zero_x, times the channel's factor */
    int32_t *channel;
    bli_requantizer r;
    uint8_t low, high;
    float range[2];
} step;

static int64_t sum_of(const step *t, int64_t u, uint8_t byte)
{
    if (t->product)
        return (int64_t)(byte - t->zero_x) * t->channel[u];
    return (int64_t)t->table[byte] + t->channel[u];
}

static uint8_t byte_of(const step *t, int64_t u, uint8_t byte)
{
    const uint8_t v = bli_requantize_one(&t->r, (int32_t)sum_of(t, u, byte));
    const uint8_t w = v > t->low ? v : t->low;
    return w < t->high ? w : t->high;
}

static const bli_tf_array *value(const bli_tf_session *s, const bli_tf_spot *p, int input)
{
    return &s->spots[p->in[input].spot].out[p->in[input].port];
}

/* One float; false: it is none. */
static bool number(const bli_tf_session *s, const bli_tf_spot *p, int input, float *v)
{
    const bli_tf_array *a = value(s, p, input);
    if (a->dtype != BLI_DT_FLOAT || !a->data || bl_shape_count(&a->shape) != 1)
        return false;
    *v = *(const float *)a->data;
    return true;
}

/* Zero points and sums small enough that nothing wraps. */
static bool fits(int64_t v)
{
    return v > -(1 << 30) && v < 1 << 30;
}

static bool products(step *t, const float x[2], const float y[2], const uint8_t *with, int64_t count, int64_t channels)
{
    const int64_t zx = bli_code_of(0, x[0], x[1], &bli_quint8), zy = bli_code_of(0, y[0], y[1], &bli_quint8);
    t->product = true;
    if (zx < -16384 || zx > 16384 || zy < -16384 || zy > 16384)
        return false;
    t->zero_x = (int32_t)zx;
    for (int64_t u = 0; u < channels; u++)
        t->channel[u] = with[count == 1 ? 0 : u] - (int32_t)zy;
    return true;
}

static bool sums(step *t, bool bias, const float x[2], const float y[2], const uint8_t *with, int64_t count,
                 int64_t channels, float range[2])
{
    int32_t table[256];
    if (bias)
        bli_bias_tables(x, &bli_quint8, y, &bli_quint8, t->table, table, range);
    else
        bli_add_tables(x, y, t->table, table, range);
    for (int i = 0; i < 256; i++)
        if (!fits(t->table[i]) || !fits(table[i]) || (i > 0 && t->table[i] < t->table[i - 1]))
            return false;
    for (int64_t u = 0; u < channels; u++)
        t->channel[u] = table[with[count == 1 ? 0 : u]];
    return true;
}

static bool is_vector(const bl_shape *s, int64_t count)
{
    return s->rank == 0 || s->dim[s->rank - 1] == count;
}

/* The sum's tables, and the range of its codes. */
static bool start_step(const bli_tf_session *s, const stage *g, const float x[2], int64_t channels, step *t,
                       float range[2])
{
    const bli_tf_spot *p = &s->spots[g->sum];
    const bli_tf_array *with = value(s, p, 1);
    const int64_t count = with->data ? bl_shape_count(&with->shape) : 0;
    float y[2];
    if (with->dtype != BLI_DT_QUINT8 || (count != channels && count != 1) || !is_vector(&with->shape, count) ||
        !number(s, p, 4, &y[0]) || !number(s, p, 5, &y[1]))
        return false;
    if (strcmp(p->op->name, "QuantizedBiasAdd") == 0)
        return count == channels && sums(t, true, x, y, with->data, count, channels, range);
    if (strcmp(p->op->name, "QuantizedAdd") == 0)
        return sums(t, false, x, y, with->data, count, channels, range);
    bli_product_range(x, &bli_quint8, y, &bli_quint8, range);
    return products(t, x, y, with->data, count, channels);
}

/* Requantizing and the activation, from the extremes of each channel, which become those behind the stage. */
static bool end_step(const bli_tf_session *s, const stage *g, const float range[2], int64_t channels, uint8_t *least,
                     uint8_t *greatest, step *t)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t u = 0; u < channels; u++)
        for (int k = 0; k < 2; k++) {
            const int64_t v = sum_of(t, u, k ? greatest[u] : least[u]);
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
    if (g->range != SIZE_MAX)
        bli_range_of_extremes((int32_t)low, (int32_t)high, range, t->range);
    else if (!number(s, &s->spots[g->requantize], 3, &t->range[0]) ||
             !number(s, &s->spots[g->requantize], 4, &t->range[1]))
        return false;
    if (!(t->range[0] <= 0) || !(t->range[1] >= t->range[0]))
        return false;
    t->r = bli_requantizer_make(range, t->range);
    if (!bli_requantizer_narrow(&t->r, low, high))
        return false;
    t->low = 0;
    t->high = 255;
    if (g->relu != SIZE_MAX) {
        const char *name = s->spots[g->relu].op->name;
        t->low = (uint8_t)bli_code_clamped(0, t->range[0], t->range[1], &bli_quint8);
        if (name[strlen(name) - 1] == '6')
            t->high = (uint8_t)bli_code_clamped(6, t->range[0], t->range[1], &bli_quint8);
    }
    for (int64_t u = 0; u < channels; u++) {
        const uint8_t a = byte_of(t, u, least[u]), b = byte_of(t, u, greatest[u]);
        least[u] = a < b ? a : b;
        greatest[u] = a < b ? b : a;
    }
    return true;
}

/* ---- a chain at work ----------------------------------------------------------------------------------------- */
typedef struct work {
    const bli_tf_array *x;
    int64_t channels, pixels;
    step *steps;
    uint8_t *least, *greatest, *first, *last; /* of each channel: now, and in x */
    uint8_t *table;                           /* [channel][256] */
} work;

static bl_status make_room(bli_tf_session *s, const bli_tf_join *j, work *w)
{
    const size_t channels = ((size_t)w->channels + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
    const bli_tf_call c = {.ctx = s->ctx, .site = &s->site};
    const size_t steps = ((size_t)j->num * sizeof(step) + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
    void *scratch;
    BLI_TRY(bli_tf_scratch(&c, steps + channels * (4 + 256 + (size_t)j->num * sizeof(int32_t)), &scratch));
    w->steps = scratch;
    w->least = (uint8_t *)scratch + steps;
    w->greatest = w->least + channels;
    w->first = w->greatest + channels;
    w->last = w->first + channels;
    w->table = w->last + channels;
    for (int i = 0; i < j->num; i++) {
        w->steps[i] = (step){.product = false};
        w->steps[i].channel = (int32_t *)(void *)(w->table + 256 * channels) + (size_t)i * channels;
    }
    return BL_OK;
}

static void find_extremes(const bli_tf_session *s, work *w)
{
    const bli_tf_loops *loops = bli_tf_loops_get(s->site.isa);
    const uint8_t *x = w->x->data;
    memcpy(w->least, x, (size_t)w->channels);
    memcpy(w->greatest, x, (size_t)w->channels);
    for (int64_t p = 1; p < w->pixels; p++) {
        loops->least(x + p * w->channels, w->channels, w->least);
        loops->most(x + p * w->channels, w->channels, w->greatest);
    }
    memcpy(w->first, w->least, (size_t)w->channels);
    memcpy(w->last, w->greatest, (size_t)w->channels);
}

static bool plan_steps(const bli_tf_session *s, const bli_tf_join *j, work *w)
{
    const bli_tf_spot *p = &s->spots[j->stages[0].sum];
    float range[2], sum_range[2];
    if (!number(s, p, 2, &range[0]) || !number(s, p, 3, &range[1]))
        return false;
    for (int i = 0; i < j->num; i++) {
        if (!start_step(s, &j->stages[i], range, w->channels, &w->steps[i], sum_range) ||
            !end_step(s, &j->stages[i], sum_range, w->channels, w->least, w->greatest, &w->steps[i]))
            return false;
        memcpy(range, w->steps[i].range, sizeof range);
    }
    return true;
}

static bli_tf_stage stage_of(const step *t)
{
    return (bli_tf_stage){.table = t->product ? NULL : t->table,
                          .zero_x = t->zero_x,
                          .factor = t->r.factor,
                          .offset = (int32_t)t->r.offset,
                          .low = t->low,
                          .high = t->high};
}

/* Few pixels: every byte by itself. */
static void walk_rows(const bli_tf_session *s, const bli_tf_join *j, const work *w, uint8_t *y)
{
    const bli_tf_loops *loops = bli_tf_loops_get(s->site.isa);
    const int64_t channels = w->channels;
    for (int i = 0; i < j->num; i++) {
        const bli_tf_stage t = stage_of(&w->steps[i]);
        const uint8_t *x = i == 0 ? w->x->data : y;
        for (int64_t p = 0; p < w->pixels; p++)
            loops->stage_row(&t, x + p * channels, w->steps[i].channel, channels, y + p * channels);
    }
}

/* Many: a table for each channel, of the bytes that occur in it. */
static void walk_tables(const bli_tf_session *s, const bli_tf_join *j, const work *w, uint8_t *y)
{
    const bli_tf_loops *loops = bli_tf_loops_get(s->site.isa);
    const uint8_t *restrict x = w->x->data, *restrict table = w->table;
    uint8_t *restrict to = y, codes[256];
    const int64_t channels = w->channels, pixels = w->pixels;
    for (int b = 0; b < 256; b++)
        codes[b] = (uint8_t)b;
    for (int i = 0; i < j->num; i++) {
        const bli_tf_stage t = stage_of(&w->steps[i]);
        for (int64_t u = 0; u < channels; u++) {
            uint8_t *mine = w->table + 256 * u + w->first[u];
            loops->stage_one(&t, i == 0 ? codes + w->first[u] : mine, w->steps[i].channel[u],
                             w->last[u] - w->first[u] + 1, mine);
        }
    }
    for (int64_t p = 0; p < pixels; p++, x += channels, to += channels)
        for (int64_t u = 0; u < channels; u++)
            to[u] = table[256 * u + x[u]];
}

static bl_status put_range(bli_tf_session *s, bli_tf_spot *p, const float range[2])
{
    for (int k = 1; k < 3; k++) {
        BLI_TRY(bli_tf_array_make(s->pool, BLI_DT_FLOAT, &(bl_shape){0, {0}}, &p->out[k]));
        *(float *)p->out[k].data = range[k - 1];
    }
    return BL_OK;
}

/* *done false: this is not for one pass. */
static bl_status run_joined(bli_tf_session *s, const bli_tf_join *j, bli_tf_spot *end, bool *done)
{
    work w = {.x = value(s, &s->spots[j->stages[0].sum], 0)};
    *done = false;
    if (w.x->dtype != BLI_DT_QUINT8 || !w.x->data || w.x->shape.rank < 1 || bl_shape_count(&w.x->shape) == 0)
        return BL_OK;
    w.channels = w.x->shape.dim[w.x->shape.rank - 1];
    w.pixels = bl_shape_count(&w.x->shape) / w.channels;
    for (int i = 0; i < j->num; i++)
        if (value(s, &s->spots[j->stages[i].sum], 1)->shape.rank > w.x->shape.rank)
            return BL_OK;
    if (w.channels > 1 << 16)
        return BL_OK;
    BLI_TRY(make_room(s, j, &w));
    find_extremes(s, &w);
    if (!plan_steps(s, j, &w))
        return BL_OK;
    BLI_TRY(bli_tf_array_make(s->pool, BLI_DT_QUINT8, &w.x->shape, &end->out[0]));
    (w.pixels < ENOUGH ? walk_rows : walk_tables)(s, j, &w, end->out[0].data);
    *done = true;
    return put_range(s, end, w.steps[j->num - 1].range);
}

static bl_status run_members(bli_tf_session *s, const bli_tf_join *j)
{
    for (int i = 0; i < j->num_members; i++) {
        bli_tf_spot *p = &s->spots[j->members[i]];
        bl_status status = bli_tf_session_rule(s, p);
        if (status != BL_OK)
            return bli_within(s->ctx, status, "node '%s' (%s)", p->node->name, p->node->op);
    }
    return BL_OK;
}

bl_status bli_tf_join_run(bli_tf_session *s, bli_tf_spot *end)
{
    const bli_tf_join *j = end->join;
    bool done;
    bl_status status = run_joined(s, j, end, &done);
    if (status != BL_OK)
        return bli_within(s->ctx, status, "node '%s' (%s)", end->node->name, end->node->op);
    if (!done)
        BLI_TRY(run_members(s, j));
    for (int i = 0; i < j->num_members - 1; i++)
        bli_tf_session_release(s, &s->spots[j->members[i]]);
    return BL_OK;
}
