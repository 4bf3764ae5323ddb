/* join_run.c: a chain of eight-bit nodes (join.c) at work: once over its input for the extremes, once to the result.
 *
 * No sum but a convolution's is ever written to memory.  Those are, and their extremes taken while they are near; where
 * all ranges are given, some rows at a time, which go all the way to bytes before the next.  A matter of speed alone:
 * the bits are those of the nodes one by one.  Where anything is not as it should be (shapes, ranges whose arithmetic
 * wraps, values that are an error), the nodes run one by one after all.
 */
#include <math.h>
#include <string.h>

#include "tf/join_source.h"

/* bytes of a strip; 32-bit sums of one */
enum { STRIP = 8192, SUMS_STRIP = 32768 };

/* ---- chains that start with bytes or floats ------------------------------------------------------------------ */
static void find_extremes(const bli_join_work *w, const uint8_t *x)
{
    memcpy(w->m->least, x, (size_t)w->channels);
    memcpy(w->m->greatest, x, (size_t)w->channels);
    w->loops->extremes8(x, w->pixels, w->channels, w->m->least, w->m->greatest);
}

static bl_status make_result(bli_join_work *w, bli_tf_spot *end)
{
    if (!end->out[0].data)
        BLI_TRY(bli_tf_array_make(w->s->pool, BLI_DT_QUINT8, &w->shape, &end->out[0]));
    w->y = end->out[0].data;
    return BL_OK;
}

static bl_status run_bytes(bli_join_work *w, bli_tf_spot *end, bool *done)
{
    float range[2];
    if (!bli_join_numbers(w->s, &w->s->spots[w->j->stages[0].sum], 2, range))
        return BL_OK;
    find_extremes(w, w->x->data);
    if (!bli_join_plan(w, range))
        return BL_OK;
    BLI_TRY(make_result(w, end));
    bli_join_walk(w, w->x->data, w->pixels, w->y);
    *done = true;
    return BL_OK;
}

/* Not where Min and Max meet what is no number: their rules are their own. */
static bl_status run_floats(bli_join_work *w, bli_tf_spot *end, bool *done)
{
    const float *x = w->x->data;
    bli_join_step *t = &w->m->steps[0];
    float range[2] = {INFINITY, -INFINITY};
    w->loops->range(x, bl_shape_count(&w->shape), &range[0], &range[1]);
    if (!(range[0] > -INFINITY && range[1] < INFINITY && range[0] <= range[1]))
        return BL_OK;
    bli_eight_adjust(&w->j->how, range);
    BLI_TRY(make_result(w, end));
    const bli_encoder e = bli_encoder_make(range[0], range[1], &bli_quint8);
    w->loops->encode(&e, x, bl_shape_count(&w->shape), w->y);
    memcpy(t->range, range, sizeof range);
    if (w->bytes_from < w->j->num)
        find_extremes(w, w->y);
    if (!bli_join_plan(w, range))
        return BL_OK;
    bli_join_walk(w, w->y, w->pixels, w->y);
    *done = true;
    return BL_OK;
}

/* ---- chains that start with a product ------------------------------------------------------------------------ */
/* Whether no range has to be found in the data. */
static bool ranges_given(const bli_join_work *w)
{
    bool given = w->loops->stage_rows != NULL;
    for (int i = 0; i < w->j->num; i++)
        given = given && w->j->stages[i].range == SIZE_MAX;
    return given;
}

static void forget_extremes(const bli_join_work *w)
{
    for (int64_t u = 0; u < w->channels; u++) {
        w->m->least_sum[u] = INT32_MAX;
        w->m->greatest_sum[u] = INT32_MIN;
    }
}

static void extremes_of_all(const bli_join_work *w, int32_t *low, int32_t *high)
{
    int32_t a = INT32_MAX, b = INT32_MIN;
    for (int64_t u = 0; u < w->channels; u++) {
        a = w->m->least_sum[u] < a ? w->m->least_sum[u] : a;
        b = w->m->greatest_sum[u] > b ? w->m->greatest_sum[u] : b;
    }
    *low = a;
    *high = b;
}

static int64_t strip_rows(const bli_join_work *w, const bli_join_source *from)
{
    const int64_t each = SUMS_STRIP / (from->w.out[1] * w->channels);
    return each < 1 ? 1 : each < from->w.out[0] ? each : from->w.out[0];
}

/* Any sums to bytes. */
static void narrow_any(const bli_join_work *w, const bli_join_step *t, const int32_t *sums, int64_t n, int32_t low,
                       int32_t high, uint8_t *y)
{
    if (bli_requantizer_narrow(&t->r, low, high)) {
        w->loops->narrow(&t->r, sums, n, t->low, t->high, y);
        return;
    }
    w->loops->requantize(&t->r, sums, n, y);
    w->loops->clamp(y, n, t->low, t->high, y);
}

static void sum_all(const bli_join_work *w, bli_join_source *from, int32_t *sums)
{
    const int64_t rows = strip_rows(w, from);
    forget_extremes(w);
    for (int64_t n = 0; n < from->w.images; n++) {
        bli_join_source_picture(from, w, n);
        for (int64_t i = 0; i < from->w.out[0]; i += rows) {
            const int64_t here = from->w.out[0] - i < rows ? from->w.out[0] - i : rows;
            bli_join_source_rows(from, w, i, here, sums);
            sums += here * from->w.out[1] * w->channels;
        }
    }
}

static void narrow_all(const bli_join_work *w, const int32_t *sums)
{
    const bli_join_step *t = &w->m->steps[0];
    const int64_t strip = STRIP < w->channels ? 1 : STRIP / w->channels;
    for (int64_t p = 0; p < w->pixels; p += strip) {
        const int64_t here = w->pixels - p < strip ? w->pixels - p : strip, at = p * w->channels;
        w->loops->narrow(&t->r, sums + at, here * w->channels, t->low, t->high, w->y + at);
        if (w->loops->stage_rows)
            bli_join_walk(w, w->y + at, here, w->y + at);
    }
    if (!w->loops->stage_rows)
        bli_join_walk(w, w->y, w->pixels, w->y);
}

/* Ranges in the data: all sums first. */
static bl_status run_found(bli_join_work *w, bli_join_source *from, int32_t *sums, bli_tf_spot *end, bool *done)
{
    bli_join_step *t = &w->m->steps[0];
    int32_t low, high;
    sum_all(w, from, sums);
    extremes_of_all(w, &low, &high);
    if (!bli_join_find_range(w, &w->j->stages[0], from->range, low, high, t))
        return BL_OK;
    for (int64_t u = 0; u < w->channels; u++) {
        w->m->least[u] = bli_join_byte(t, w->m->least_sum[u]);
        w->m->greatest[u] = bli_join_byte(t, w->m->greatest_sum[u]);
    }
    float range[2] = {t->range[0], t->range[1]};
    if (!bli_requantizer_narrow(&t->r, low, high) || !bli_join_plan(w, range))
        return BL_OK;
    BLI_TRY(make_result(w, end));
    narrow_all(w, sums);
    *done = true;
    return BL_OK;
}

/* Ranges given: rows go all the way to bytes while they are near. */
static bl_status run_given(bli_join_work *w, bli_join_source *from, int32_t *sums, bli_tf_spot *end, bool *done)
{
    const int64_t rows = strip_rows(w, from), columns = from->w.out[1];
    bli_join_step *t = &w->m->steps[0];
    if (!bli_join_find_range(w, &w->j->stages[0], from->range, 0, 0, t))
        return BL_OK;
    memset(w->m->least, 0, (size_t)w->channels);
    memset(w->m->greatest, 255, (size_t)w->channels);
    float range[2] = {t->range[0], t->range[1]};
    if (t->r.factor < 0 || !bli_join_plan(w, range))
        return BL_OK;
    BLI_TRY(make_result(w, end));
    uint8_t *y = w->y;
    for (int64_t n = 0; n < from->w.images; n++) {
        bli_join_source_picture(from, w, n);
        for (int64_t i = 0; i < from->w.out[0]; i += rows) {
            const int64_t here = from->w.out[0] - i < rows ? from->w.out[0] - i : rows;
            int32_t low, high;
            forget_extremes(w);
            bli_join_source_rows(from, w, i, here, sums);
            extremes_of_all(w, &low, &high);
            narrow_any(w, t, sums, here * columns * w->channels, low, high, y);
            bli_join_walk(w, y, here * columns, y);
            y += here * columns * w->channels;
        }
    }
    *done = true;
    return BL_OK;
}

static bl_status run_product(bli_join_work *w, bli_tf_join *j, bli_tf_spot *end, bool *done)
{
    bli_tf_array sums = {.dtype = 0};
    bli_join_source from;
    bool fine;
    BLI_TRY(bli_join_source_start(w, j, &from, &fine));
    if (!fine)
        return BL_OK;
    const bool given = ranges_given(w);
    const bl_shape room = {1, {(given ? strip_rows(w, &from) * from.w.out[1] : w->pixels) * w->channels}};
    BLI_TRY(bli_tf_array_make(w->s->pool, BLI_DT_QINT32, &room, &sums));
    const bl_status status = (given ? run_given : run_found)(w, &from, sums.data, end, done);
    bli_tf_array_release(&sums);
    return status;
}

/* ---- all of a chain ------------------------------------------------------------------------------------------ */
static bl_status put_range(bli_tf_session *s, bli_tf_spot *p, const float range[2])
{
    for (int k = 1; k < 3; k++) {
        BLI_TRY(bli_tf_array_make(s->pool, BLI_DT_FLOAT, &(bl_shape){0, {0}}, &p->out[k]));
        *(float *)p->out[k].data = range[k - 1];
    }
    return BL_OK;
}

bl_status bli_tf_join_early(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_call c;
    float a[2], b[2], range[2];
    if (!bli_join_numbers(s, p, 2, a) || !bli_join_numbers(s, p, 4, b)) {
        bl_status status = bli_tf_session_infer(s, p, &c);
        if (status == BL_OK)
            status = bli_fail(s->ctx, BL_BAD_MODEL, "a range that is no number");
        return bli_within(s->ctx, status, "node '%s' (%s)", p->node->name, p->node->op);
    }
    bli_product_range(a, &bli_quint8, b, &bli_quint8, range);
    return put_range(s, p, range);
}

/* A tensor of that type, not empty, with channels. */
static bl_status read_plain(bli_join_work *w, bli_tf_join *j, int dtype, bool *fine)
{
    *fine = w->x->dtype == dtype && w->x->data && w->x->shape.rank >= 0 && bl_shape_count(&w->x->shape) > 0;
    if (!*fine)
        return BL_OK;
    w->shape = w->x->shape;
    w->channels = w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
    w->pixels = bl_shape_count(&w->shape) / w->channels;
    *fine = w->channels <= BLI_JOIN_CHANNELS && (w->shape.rank > 0 || j->num == 1);
    if (*fine)
        BLI_TRY(bli_join_room(w->s, j, w->channels, !w->loops->stage_rows));
    w->m = j->memory;
    return BL_OK;
}

/* *done false: this is not for one pass. */
static bl_status run_joined(bli_tf_session *s, bli_tf_join *j, bli_tf_spot *end, bool *done)
{
    const bli_join_stage *g = &j->stages[0];
    const bool floats = g->kind == BLI_JOIN_QUANTIZE;
    bool fine;
    bli_join_work w = {
        .s = s, .j = j, .loops = bli_tf_loops_get(s->site.isa), .x = bli_join_value(s, &s->spots[g->x], 0)};
    w.bytes_from = floats || bli_join_is_product(g) ? 1 : 0;
    *done = false;
    if (bli_join_is_product(g)) {
        BLI_TRY(run_product(&w, j, end, done));
    } else {
        BLI_TRY(read_plain(&w, j, floats ? BLI_DT_FLOAT : BLI_DT_QUINT8, &fine));
        if (fine)
            BLI_TRY(floats ? run_floats(&w, end, done) : run_bytes(&w, end, done));
    }
    if (*done)
        return put_range(s, end, w.m->steps[j->num - 1].range);
    bli_tf_array_release(&end->out[0]);
    return BL_OK;
}

bl_status bli_tf_join_run(bli_tf_session *s, bli_tf_spot *end)
{
    bli_tf_join *j = end->join;
    bool done;
    const bl_status status = run_joined(s, j, end, &done);
    if (status != BL_OK) {
        const bli_tf_spot *first = &s->spots[j->stages[0].sum];
        return bli_within(s->ctx, status, "node '%s' (%s)", first->node->name, first->node->op);
    }
    for (int i = 0; i < j->num && !done; i++)
        BLI_TRY(bli_tf_session_parts(s, j->stages[i].parts, j->stages[i].num_parts));
    for (int i = 0; i < j->num; i++)
        for (int k = 0; k < j->stages[i].num_parts; k++)
            if (&s->spots[j->stages[i].parts[k]] != end)
                bli_tf_session_release(s, &s->spots[j->stages[i].parts[k]]);
    return BL_OK;
}
