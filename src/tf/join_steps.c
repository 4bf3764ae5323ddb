/* join_steps.c: the stages of a chain that read bytes: what each does to a byte of a channel, and doing it, strip by
 * strip, so that what one stage writes the next one finds in the cache. */
#include <math.h>
#include <string.h>

#include "tf/join_work.h"

/* pixels that pay for tables; bytes of a strip; channels side by side that fill vectors well */
enum { ENOUGH = 256, STRIP = 8192, WIDEST = 512 };

/* ---- room ---------------------------------------------------------------------------------------------------- */
/* As many channels side by side as waste the least of vectors of 64. */
static int64_t wide_of(int64_t channels)
{
    int64_t best = channels;
    double waste = 2;
    for (int64_t wide = channels; wide <= WIDEST; wide += channels) {
        const double here = (double)((wide + 63) / 64 * 64) / (double)wide;
        if (here < waste - 0.02) {
            best = wide;
            waste = here;
        }
    }
    return best;
}

/* For at least so many channels. */
static bl_status make_memory(bli_arena *a, const bli_tf_join *j, int64_t channels, bool tables, bli_join_memory **out)
{
    bli_join_memory *m = bli_arena_alloc(a, sizeof *m);
    const size_t n = (size_t)channels + BLI_ALIGN, wide = n > WIDEST + BLI_ALIGN ? n : WIDEST + BLI_ALIGN;
    if (!m)
        return BL_NO_MEMORY;
    m->steps = bli_arena_array(a, (size_t)j->num, sizeof *m->steps);
    m->least_sum = bli_arena_array(a, 2 * n, sizeof *m->least_sum);
    m->least = bli_arena_alloc(a, 4 * n);
    m->table = bli_arena_alloc(a, tables ? 256 * n : 1);
    int32_t *numbers = bli_arena_array(a, (size_t)j->num * wide, sizeof *numbers);
    if (!m->steps || !m->least_sum || !m->least || !m->table || !numbers)
        return BL_NO_MEMORY;
    m->greatest_sum = m->least_sum + n;
    m->greatest = m->least + n;
    m->first = m->greatest + n;
    m->last = m->first + n;
    for (int i = 0; i < j->num; i++)
        m->steps[i].channel = numbers + (size_t)i * wide;
    m->most = channels;
    *out = m;
    return BL_OK;
}

bl_status bli_join_room(bli_tf_session *s, bli_tf_join *j, int64_t channels, bool tables)
{
    if (!j->memory || j->memory->most < channels)
        BLI_TRY(make_memory(s->plan, j, j->memory ? 2 * channels : channels, tables, &j->memory));
    if (j->memory->channels == channels)
        return BL_OK;
    j->memory->channels = channels;
    j->memory->wide = wide_of(channels);
    j->memory->shaped = false;
    return BL_OK;
}

/* One float; false: it is none. */
static bool number(const bli_tf_session *s, const bli_tf_spot *p, int input, float *v)
{
    const bli_tf_array *a = bli_join_value(s, p, input);
    if (a->dtype != BLI_DT_FLOAT || !a->data || bl_shape_count(&a->shape) != 1)
        return false;
    *v = *(const float *)a->data;
    return true;
}

bool bli_join_numbers(const bli_tf_session *s, const bli_tf_spot *p, int input, float v[2])
{
    return number(s, p, input, &v[0]) && number(s, p, input + 1, &v[1]);
}

/* ---- sums of bytes ------------------------------------------------------------------------------------------- */
static int32_t sum_of(const bli_join_step *t, int64_t u, uint8_t byte)
{
    return t->product ? (byte - t->zero_x) * t->channel[u] : t->table[byte] + t->channel[u];
}

/* Zero points and sums small enough that nothing wraps. */
static bool fits(int64_t v)
{
    return v > -(1 << 30) && v < 1 << 30;
}

static bool products(bli_join_step *t, const float x[2], const float y[2], const uint8_t *with, int64_t count,
                     int64_t channels)
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

/* The line through the table's ends, if it is the table. */
static void find_line(bli_join_step *t)
{
    const double rise = (double)t->table[255] - t->table[0];
    t->slope = rise / 255;
    t->line = t->slope == floor(t->slope);
    t->start = t->table[0];
    for (int i = 0; t->line && i < 256; i++)
        t->line = (double)t->table[i] == t->slope * i + t->start;
    if (t->line)
        return;
    t->start += 0.5;
    t->line = true;
    for (int i = 0; t->line && i < 256; i++)
        t->line = (double)t->table[i] == floor(fma(i, t->slope, t->start));
}

static bool sums(bli_join_step *t, bool bias, const float x[2], const float y[2], const uint8_t *with, int64_t count,
                 int64_t channels, float range[2])
{
    int32_t table[256];
    bool small = true;
    t->product = false;
    if (bias)
        bli_bias_tables(x, &bli_quint8, y, &bli_quint8, t->table, table, range);
    else
        bli_add_tables(x, y, t->table, table, range);
    for (int i = 0; i < 256; i++)
        small = small && fits(t->table[i]) && fits(table[i]) && (i == 0 || t->table[i] >= t->table[i - 1]);
    for (int64_t u = 0; u < channels; u++)
        t->channel[u] = table[with[count == 1 ? 0 : u]];
    return small;
}

static bool is_vector(const bl_shape *s, int64_t count)
{
    return s->rank == 0 || s->dim[s->rank - 1] == count;
}

/* The sum's tables, and the range of its codes. */
static bool start_step(const bli_join_work *w, const bli_join_stage *g, const float x[2], bli_join_step *t,
                       float range[2])
{
    const bli_tf_spot *p = &w->s->spots[g->sum];
    const bli_tf_array *with = bli_join_value(w->s, p, 1);
    const int64_t count = with->data ? bl_shape_count(&with->shape) : 0;
    bool fine;
    float y[2];
    if (with->dtype != BLI_DT_QUINT8 || (count != w->channels && count != 1) || !is_vector(&with->shape, count) ||
        with->shape.rank > w->shape.rank || !bli_join_numbers(w->s, p, 4, y))
        return false;
    if (g->kind == BLI_JOIN_MUL) {
        bli_product_range(x, &bli_quint8, y, &bli_quint8, range);
        fine = products(t, x, y, with->data, count, w->channels);
    } else {
        fine = (g->kind == BLI_JOIN_ADD || count == w->channels) &&
               sums(t, g->kind == BLI_JOIN_BIAS, x, y, with->data, count, w->channels, range);
    }
    for (int64_t u = w->channels; u < w->m->wide; u++)
        t->channel[u] = t->channel[u - w->channels];
    t->line = false;
    if (fine && w->loops->stage_rows && !t->product)
        find_line(t);
    return fine;
}

/* ---- requantizing -------------------------------------------------------------------------------------------- */
/* From the extremes of the sums. */
bool bli_join_find_range(const bli_join_work *w, const bli_join_stage *g, const float range[2], int64_t low,
                         int64_t high, bli_join_step *t)
{
    if (g->range != SIZE_MAX)
        bli_range_of_extremes((int32_t)low, (int32_t)high, range, t->range);
    else if (!bli_join_numbers(w->s, &w->s->spots[g->narrow], 3, t->range))
        return false;
    if (!(t->range[0] <= 0) || !(t->range[1] >= t->range[0]))
        return false;
    t->r = bli_requantizer_make(range, t->range);
    t->low = 0;
    t->high = 255;
    if (g->relu != SIZE_MAX) {
        const char *name = w->s->spots[g->relu].op->name;
        t->low = (uint8_t)bli_code_clamped(0, t->range[0], t->range[1], &bli_quint8);
        if (name[strlen(name) - 1] == '6')
            t->high = (uint8_t)bli_code_clamped(6, t->range[0], t->range[1], &bli_quint8);
    }
    return true;
}

uint8_t bli_join_byte(const bli_join_step *t, int32_t sum)
{
    const uint8_t v = bli_requantize_one(&t->r, sum), u = v > t->low ? v : t->low;
    return u < t->high ? u : t->high;
}

/* A stage of bytes: requantizing and the activation, from the extremes of each channel, which become those behind. */
static bool end_step(const bli_join_work *w, const bli_join_stage *g, const float range[2], bli_join_step *t)
{
    uint8_t *least = w->m->least, *greatest = w->m->greatest;
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t u = 0; u < w->channels; u++) {
        const int32_t a = sum_of(t, u, least[u]), b = sum_of(t, u, greatest[u]);
        low = a < low ? a : low;
        low = b < low ? b : low;
        high = a > high ? a : high;
        high = b > high ? b : high;
    }
    if (!bli_join_find_range(w, g, range, low, high, t) || !bli_requantizer_narrow(&t->r, low, high) ||
        !bli_requantizer_exact(low, high))
        return false;
    for (int64_t u = 0; u < w->channels; u++) {
        const uint8_t a = bli_join_byte(t, sum_of(t, u, least[u])), b = bli_join_byte(t, sum_of(t, u, greatest[u]));
        least[u] = a < b ? a : b;
        greatest[u] = a < b ? b : a;
    }
    return true;
}

bool bli_join_plan(const bli_join_work *w, float range[2])
{
    float sum_range[2];
    memcpy(w->m->first, w->m->least, (size_t)w->channels);
    memcpy(w->m->last, w->m->greatest, (size_t)w->channels);
    for (int i = w->bytes_from; i < w->j->num; i++) {
        bli_join_step *t = &w->m->steps[i];
        if (!start_step(w, &w->j->stages[i], range, t, sum_range) || !end_step(w, &w->j->stages[i], sum_range, t))
            return false;
        memcpy(range, t->range, sizeof t->range);
    }
    return true;
}

/* ---- the walk ------------------------------------------------------------------------------------------------ */
static bli_tf_stage stage_of(const bli_join_step *t)
{
    return (bli_tf_stage){.table = t->product ? NULL : t->table,
                          .zero_x = t->zero_x,
                          .factor = t->r.factor,
                          .offset = (int32_t)t->r.offset,
                          .low = t->low,
                          .high = t->high,
                          .line = t->line,
                          .slope = t->slope,
                          .start = t->start};
}

/* Rows of `wide` channels by the fast loop, what is left likewise. */
static void stage_pixels(const bli_join_work *w, const bli_tf_stage *t, const int32_t *channel, const uint8_t *x,
                         int64_t pixels, uint8_t *y)
{
    const int64_t wide = w->m->wide, each = wide / w->channels, rows = pixels / each, done = rows * wide;
    if (w->loops->stage_rows && (!t->table || t->line)) {
        w->loops->stage_rows(t, x, channel, rows, wide, y);
        w->loops->stage_rows(t, x + done, channel, 1, pixels * w->channels - done, y + done);
        return;
    }
    for (int64_t p = 0; p < pixels; p++)
        w->loops->stage_row(t, x + p * w->channels, channel, w->channels, y + p * w->channels);
}

/* The stages of bytes, strip by strip; x may be y. */
static void walk_rows(const bli_join_work *w, const uint8_t *x, int64_t pixels, uint8_t *y)
{
    const int64_t wide = w->m->wide, each = wide / w->channels, strip = wide < STRIP ? STRIP / wide * each : each;
    for (int64_t p = 0; p < pixels; p += strip) {
        const int64_t here = pixels - p < strip ? pixels - p : strip, at = p * w->channels;
        for (int i = w->bytes_from; i < w->j->num; i++) {
            const bli_tf_stage t = stage_of(&w->m->steps[i]);
            stage_pixels(w, &t, w->m->steps[i].channel, i == w->bytes_from ? x + at : y + at, here, y + at);
        }
    }
}

/* Many pixels and no fast loop: a table for each channel, of the bytes that occur in it. */
static void walk_tables(const bli_join_work *w, const uint8_t *x, int64_t pixels, uint8_t *y)
{
    const bli_join_memory *m = w->m;
    uint8_t *restrict to = y, codes[256];
    const int64_t channels = w->channels;
    for (int b = 0; b < 256; b++)
        codes[b] = (uint8_t)b;
    for (int i = w->bytes_from; i < w->j->num; i++) {
        const bli_tf_stage t = stage_of(&m->steps[i]);
        for (int64_t u = 0; u < channels; u++) {
            uint8_t *mine = m->table + 256 * u + m->first[u];
            w->loops->stage_one(&t, i == w->bytes_from ? codes + m->first[u] : mine, m->steps[i].channel[u],
                                m->last[u] - m->first[u] + 1, mine);
        }
    }
    for (int64_t p = 0; p < pixels; p++, x += channels, to += channels)
        for (int64_t u = 0; u < channels; u++)
            to[u] = m->table[256 * u + x[u]];
}

void bli_join_walk(const bli_join_work *w, const uint8_t *x, int64_t pixels, uint8_t *y)
{
    if (w->bytes_from == w->j->num)
        return;
    if (!w->loops->stage_rows && pixels >= ENOUGH)
        walk_tables(w, x, pixels, y);
    else
        walk_rows(w, x, pixels, y);
}
