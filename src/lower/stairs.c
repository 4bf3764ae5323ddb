/* stairs.c: where a monotone chain changes its value.
 *
 * An interval whose ends have equal values has no stair inside; any other is halved until its ends are neighbours.
 * All intervals of all groups are halved together, one probe a round: the rounds are the bits of the range.
 */
#include "lower/stairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STAIRS = 1 << 22 };

typedef struct interval {
    int64_t group, low, high, at_low, at_high;
} interval;

/* The intervals of one round, by group; grows by its own doubling. */
typedef struct list {
    interval *v;
    int64_t count, room;
} list;

static bl_status push(bl_context *ctx, list *l, interval i)
{
    if (l->count == l->room) {
        const int64_t room = l->room ? 2 * l->room : 256;
        interval *v = bli_alloc_array(ctx, (size_t)room, sizeof *v);
        if (!v)
            return BL_NO_MEMORY;
        if (l->count)
            memcpy(v, l->v, (size_t)l->count * sizeof *v);
        bli_free(ctx, l->v);
        l->v = v;
        l->room = room;
    }
    l->v[l->count++] = i;
    return BL_OK;
}

bl_status bli_value_codes(bli_lowering *l, const double *y, int64_t n, int exp, int64_t *codes)
{
    for (int64_t i = 0; i < n; i++) {
        const double v = ldexp(y[i], -exp);
        if (!(fabs(v) < 0x1p62) || v != floor(v))
            return bli_fail(l->ctx, BL_UNSUPPORTED, "value %.9g is no multiple of 2^%d within 62 bits", y[i], exp);
        codes[i] = (int64_t)v;
    }
    return BL_OK;
}

/* Spans of x by group. */
static bl_status group_spans(bli_lowering *l, const bli_wire *w, int64_t groups, bli_span **out)
{
    const bli_span hull = bli_wire_hull(w);
    bli_span *s = bli_arena_array(l->arena, (size_t)groups + 1, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    *out = s;
    for (int64_t g = 0; g < groups; g++)
        s[g] = hull;
    if (w->num_spans == 1 || groups == 1)
        return BL_OK;
    const int64_t n = w->num_spans > groups ? w->num_spans : groups;
    for (int64_t i = 0; i < n; i++) {
        const bli_span e = w->spans[i % w->num_spans];
        bli_span *g = &s[i % groups];
        if (i < groups)
            *g = e;
        g->low = e.low < g->low ? e.low : g->low;
        g->high = e.high > g->high ? e.high : g->high;
        g->zeros = e.zeros < g->zeros ? e.zeros : g->zeros;
    }
    return BL_OK;
}

/* ---- rounds --------------------------------------------------------------------------------------------------- */
static int64_t middle(const interval *i)
{
    return i->low + (int64_t)(((uint64_t)i->high - (uint64_t)i->low) / 2);
}

/* Rows of one interval per group. */
static int64_t rows_of(const list *cur, int64_t groups, int64_t *row)
{
    int64_t rows = 0, last = -1, at = 0;
    (void)groups;
    for (int64_t i = 0; i < cur->count; i++) {
        at = cur->v[i].group == last ? at + 1 : 0;
        last = cur->v[i].group;
        row[i] = at;
        rows = at + 1 > rows ? at + 1 : rows;
    }
    return rows;
}

typedef struct search {
    bli_lowering *l;
    bli_probe *p;
    bli_stairs *s;
    list cur, next, found;
} search;

static bl_status probe_middles(search *f, int64_t *values)
{
    bl_context *ctx = f->l->ctx;
    const int64_t groups = f->s->groups;
    int64_t *row = bli_alloc_array(ctx, (size_t)f->cur.count + 1, sizeof *row);
    const int64_t rows = row ? rows_of(&f->cur, groups, row) : 0;
    int64_t *codes = bli_alloc_array(ctx, (size_t)(rows * groups) + 1, sizeof *codes);
    double *y = bli_alloc_array(ctx, (size_t)(rows * groups) + 1, sizeof *y);
    bl_status s = row && codes && y ? BL_OK : BL_NO_MEMORY;
    for (int64_t i = 0; s == BL_OK && i < rows * groups; i++)
        codes[i] = f->s->span[i % groups].low;
    for (int64_t i = 0; s == BL_OK && i < f->cur.count; i++)
        codes[row[i] * groups + f->cur.v[i].group] = middle(&f->cur.v[i]);
    if (s == BL_OK)
        s = bli_probe_run(f->p, codes, y, rows);
    for (int64_t i = 0; s == BL_OK && i < f->cur.count; i++)
        s = bli_value_codes(f->l, &y[row[i] * groups + f->cur.v[i].group], 1, (int)f->s->exp, &values[i]);
    bli_free(ctx, row);
    bli_free(ctx, codes);
    bli_free(ctx, y);
    return s;
}

/* An interval goes on, has found its stair, or has none. */
static bl_status keep(search *f, interval i)
{
    if (i.at_low == i.at_high)
        return BL_OK;
    if (f->found.count + f->next.count > MOST_STAIRS)
        return bli_fail(f->l->ctx, BL_LIMIT, "more than %d steps; use a coarser quantizer", (int)MOST_STAIRS);
    return push(f->l->ctx, i.high - i.low == 1 ? &f->found : &f->next, i);
}

static bl_status run_round(search *f)
{
    int64_t *values = bli_alloc_array(f->l->ctx, (size_t)f->cur.count + 1, sizeof *values);
    bl_status s = values ? probe_middles(f, values) : BL_NO_MEMORY;
    f->next.count = 0;
    for (int64_t k = 0; s == BL_OK && k < f->cur.count; k++) {
        const interval i = f->cur.v[k];
        const int64_t m = middle(&i);
        s = keep(f, (interval){i.group, i.low, m, i.at_low, values[k]});
        if (s == BL_OK)
            s = keep(f, (interval){i.group, m, i.high, values[k], i.at_high});
    }
    bli_free(f->l->ctx, values);
    const list swap = f->cur;
    f->cur = f->next;
    f->next = swap;
    return s;
}

static bl_status first_round(search *f)
{
    bli_stairs *st = f->s;
    const int64_t n = st->groups;
    int64_t *codes = bli_arena_array(f->l->arena, (size_t)(2 * n) + 1, sizeof *codes);
    int64_t *value = bli_arena_array(f->l->arena, (size_t)(2 * n) + 1, sizeof *value);
    double *y = bli_arena_array(f->l->arena, (size_t)(2 * n) + 1, sizeof *y);
    if (!codes || !value || !y)
        return BL_NO_MEMORY;
    for (int64_t g = 0; g < n; g++) {
        codes[g] = st->span[g].low;
        codes[n + g] = st->span[g].high;
    }
    BLI_TRY(bli_probe_run(f->p, codes, y, 2));
    BLI_TRY(bli_value_codes(f->l, y, 2 * n, (int)st->exp, value));
    st->first = value;
    for (int64_t g = 0; g < n; g++)
        if (codes[g] < codes[n + g])
            BLI_TRY(keep(f, (interval){g, codes[g], codes[n + g], value[g], value[n + g]}));
    const list swap = f->cur;
    f->cur = f->next;
    f->next = swap;
    return BL_OK;
}

static int by_group_and_x(const void *a, const void *b)
{
    const bli_stair *p = a, *q = b;
    if (p->group != q->group)
        return p->group < q->group ? -1 : 1;
    return p->x < q->x ? -1 : p->x > q->x;
}

static bl_status collect(search *f)
{
    bli_stairs *s = f->s;
    s->count = f->found.count;
    s->stair = bli_arena_array(f->l->arena, (size_t)s->count + 1, sizeof *s->stair);
    s->start = bli_arena_array(f->l->arena, (size_t)s->groups + 2, sizeof *s->start);
    if (!s->stair || !s->start)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < s->count; i++)
        s->stair[i] = (bli_stair){f->found.v[i].group, f->found.v[i].high, f->found.v[i].at_high};
    qsort(s->stair, (size_t)s->count, sizeof *s->stair, by_group_and_x);
    for (int64_t g = 0, i = 0; g < s->groups; g++) {
        s->start[g] = i;
        while (i < s->count && s->stair[i].group == g)
            i++;
        s->start[g + 1] = i;
        s->most = i - s->start[g] > s->most ? i - s->start[g] : s->most;
    }
    return BL_OK;
}

bl_status bli_stairs_find(bli_lowering *l, bli_probe *p, const bli_wire *w, const bli_chain *chain, int exp,
                          bli_stairs *s)
{
    *s = (bli_stairs){.groups = chain->groups, .exp = exp, .direction = chain->direction};
    search f = {.l = l, .p = p, .s = s};
    BLI_TRY(group_spans(l, w, s->groups, &s->span));
    bl_status status = first_round(&f);
    while (status == BL_OK && f.cur.count > 0)
        status = run_round(&f);
    if (status == BL_OK)
        status = collect(&f);
    bli_free(l->ctx, f.cur.v);
    bli_free(l->ctx, f.next.v);
    bli_free(l->ctx, f.found.v);
    return status;
}
