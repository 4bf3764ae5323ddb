/* chain.c: the quantizers behind an op, from drafts to stages with their constants laid out in rows of lanes. */
#include "exec/draft.h"

#include <string.h>

/* ---- constants
 * --------------------------------------------------------------------------------------------------------- */

static int64_t cut(int64_t v, bool wide)
{
    return wide ? v : v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v;
}

static void put(void *row, bool wide, int64_t i, int64_t v)
{
    if (wide)
        ((int64_t *)row)[i] = v;
    else
        ((int32_t *)row)[i] = (int32_t)(uint32_t)(uint64_t)v;
}

/* from [channels][rows] as [rows][width]: each row of lanes repeats the channels.  Limits are cut to the lane, what is
 * added up is taken modulo it. */
static bl_status lay(bli_exec_plan *plan, const bli_chain *c, const bli_draft *d, const int64_t *from, int64_t rows,
                     bool limit, const void **out)
{
    char *to = bli_arena_array(plan->arena, (size_t)(rows * c->width), c->wide ? 8 : 4);
    if (to == NULL)
        return BL_NO_MEMORY;
    for (int64_t k = 0; k < rows; k++)
        for (int64_t i = 0; i < c->width; i++) {
            const int64_t channel = d->channels == 1 ? 0 : i % d->channels;
            const int64_t v = from[channel * rows + k];
            put(to, c->wide, k * c->width + i, limit ? cut(v, c->wide) : v);
        }
    *out = to;
    return BL_OK;
}

/* The numbers as they are, in lanes' size, for stages that look their channel up. */
static bl_status lay_plain(bli_exec_plan *plan, const bli_chain *c, const int64_t *from, int64_t n, const void **out)
{
    char *to = bli_arena_array(plan->arena, (size_t)n, c->wide ? 8 : 4);
    if (to == NULL)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        put(to, c->wide, i, from[i]);
    *out = to;
    return BL_OK;
}

static bl_status lay_search(bli_exec_plan *plan, const bli_chain *c, const bli_draft *d, bli_stage *st)
{
    const int64_t n = d->length + 1;
    int64_t *heights = bli_arena_array(plan->arena, (size_t)(d->channels * n), sizeof *heights);
    int64_t *limits = bli_arena_array(plan->arena, (size_t)(d->channels * d->length), sizeof *limits);
    if (heights == NULL || limits == NULL)
        return BL_NO_MEMORY;
    for (int64_t k = 0; k < d->channels * d->length; k++)
        limits[k] = cut(d->low[k], c->wide);
    for (int64_t k = 0; k < d->channels * n; k++) {
        const int64_t channel = k / n, j = k % n;
        heights[k] =
            j == 0 ? d->b[channel] : (int64_t)((uint64_t)heights[k - 1] + (uint64_t)d->a[channel * d->length + j - 1]);
    }
    BLI_TRY(lay_plain(plan, c, limits, d->channels * d->length, &st->low));
    return lay_plain(plan, c, heights, d->channels * n, &st->a);
}

static bool uniform(const int64_t *v, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return false;
    return true;
}

static bool is_shift(const bli_draft *d)
{
    bool plain = d->kind == BLI_STAGE_RESCALE && uniform(d->s, d->channels) && uniform(d->low, d->channels) &&
                 uniform(d->high, d->channels);
    for (int64_t c = 0; plain && c < d->channels; c++)
        plain = d->a[c] == 1 && d->b[c] == 0;
    return plain;
}

static void shift_of(const bli_draft *d, const bli_chain *c, bli_stage *st)
{
    const int64_t most = c->wide ? 63 : 31;
    st->kind = BLI_STAGE_SHIFT;
    st->one_s = d->s[0] > most ? most : d->s[0];
    st->one_low = cut(d->low[0], c->wide);
    st->one_high = cut(d->high[0], c->wide);
}

/* Shifts as this lane counts them, in place. */
static void adapt(const bli_chain *c, bli_draft *d)
{
    const int64_t bits = c->wide ? 64 : 32;
    for (int64_t k = 0; k < d->channels; k++) {
        const int64_t s = d->s[k];
        if (d->kind == BLI_STAGE_WRAP_SM) {
            d->a[k] = (int64_t)1 << s;
            d->b[k] = (int64_t)1 << (s - 1);
        }
        const bool wraps = d->kind == BLI_STAGE_WRAP || d->kind == BLI_STAGE_WRAP_PLAIN || d->kind == BLI_STAGE_WRAP_SM;
        d->s[k] = wraps ? s > bits ? 0 : bits - s : s >= bits ? bits - 1 : s;
    }
}

static bl_status stage_of(bli_exec_plan *plan, const bli_chain *c, bli_draft *d, bli_stage *st)
{
    *st = (bli_stage){.kind = d->kind, .length = d->length, .channels = d->channels, .first = d->first};
    if (d->kind == BLI_STAGE_SEARCH)
        return lay_search(plan, c, d, st);
    if (d->kind == BLI_STAGE_TABLE)
        return lay_plain(plan, c, d->a, d->channels * d->length, &st->a);
    if (is_shift(d)) {
        shift_of(d, c, st);
        return BL_OK;
    }
    if (d->kind == BLI_STAGE_STAIR) {
        BLI_TRY(lay(plan, c, d, d->a, d->length, false, &st->a));
        BLI_TRY(lay(plan, c, d, d->low, d->length, true, &st->low));
        return lay(plan, c, d, d->b, 1, false, &st->b);
    }
    adapt(c, d);
    BLI_TRY(lay(plan, c, d, d->a, 1, false, &st->a));
    BLI_TRY(lay(plan, c, d, d->b, 1, false, &st->b));
    BLI_TRY(lay(plan, c, d, d->s, 1, false, &st->s));
    BLI_TRY(lay(plan, c, d, d->low, 1, true, &st->low));
    return lay(plan, c, d, d->high, 1, true, &st->high);
}

/* ---- chains
 * ------------------------------------------------------------------------------------------------------------ */

static int only_reader(const bli_program *p, int wire)
{
    if (p->wires[wire].uses != 1)
        return -1;
    for (int i = wire + 1; i < p->num_ops; i++)
        if (p->ops[i].num_in == 1 && p->ops[i].in[0] == wire)
            return i;
    return -1;
}

/* A first stage that only multiplies by 1 and adds: the sums may start from that, if they fit where they are. */
static void give_bias(bli_drafts *all, int64_t width, int32_t *init)
{
    bli_draft *d = &all->d[0];
    bool takes = all->num > 0 && init != NULL && d->kind == BLI_STAGE_RESCALE;
    for (int64_t c = 0; takes && c < d->channels; c++)
        takes = d->a[c] == 1 && (bli_int128)d->in.low + d->b[c] >= INT32_MIN &&
                (bli_int128)d->in.high + d->b[c] <= INT32_MAX && d->b[c] >= INT32_MIN && d->b[c] <= INT32_MAX;
    if (!takes)
        return;
    for (int64_t i = 0; i < width; i++)
        init[i] = (int32_t)((uint32_t)init[i] + (uint32_t)bli_draft_of(d, d->b, i % d->channels));
    int64_t low = 0, high = 0;
    for (int64_t c = 0; c < d->channels; c++) {
        low = c == 0 || d->b[c] < low ? d->b[c] : low;
        high = c == 0 || d->b[c] > high ? d->b[c] : high;
        d->b[c] = 0;
    }
    d->in.low += low;
    d->in.high += high;
}

/* A last stair of one step up from the place's first code to its second. */
static bool ends_in_bits(const bli_chain *chain, const bli_drafts *all, const bli_place *to)
{
    const bli_draft *d = &all->d[all->num - 1];
    bool bits =
        all->num > 0 && !chain->wide && to->store == BLI_STORE_BITS && d->kind == BLI_STAGE_STAIR && d->length == 1;
    for (int64_t c = 0; bits && c < d->channels; c++)
        bits = d->b[c] == to->zero && d->a[c] == to->one - to->zero;
    return bits;
}

static bl_status make_stages(bli_exec_plan *plan, bli_drafts *all, const bli_place *to, bli_chain *chain)
{
    chain->stages = bli_arena_array(plan->arena, (size_t)all->num, sizeof *chain->stages);
    if (chain->stages == NULL)
        return BL_NO_MEMORY;
    if (ends_in_bits(chain, all, to))
        BLI_TRY(
            lay(plan, chain, &all->d[all->num - 1], all->d[all->num - 1].low, 1, true, (const void **)&chain->limit));
    for (int i = 0; i < all->num - (chain->limit != NULL); i++)
        BLI_TRY(stage_of(plan, chain, &all->d[i], &chain->stages[chain->num++]));
    return BL_OK;
}

static bool span_fits32(bli_span s)
{
    return s.low >= INT32_MIN && s.high <= INT32_MAX;
}

bl_status bli_chain_make(bli_exec_plan *plan, int from, bool own, int64_t width, int32_t *init, bli_chain *chain,
                         int *last)
{
    const bli_program *p = plan->program;
    bli_drafts all = {.num = 0};
    bool added = true;
    *last = from;
    *chain = (bli_chain){.width = width, .wide = chain->wide};
    BLI_TRY(bli_arena_create(p->ctx, &all.arena));
    bl_status s = own ? bli_draft_add(&all, p, from, &added) : BL_OK;
    for (int next = from; s == BL_OK && added && !plan->trace && (next = only_reader(p, next)) >= 0;) {
        s = bli_draft_add(&all, p, next, &added);
        if (added)
            *last = next;
    }
    const bli_span first = bli_wire_hull(&p->wires[own ? p->ops[from].in[0] : from]);
    if (s == BL_OK)
        s = bli_drafts_improve(&all);
    if (s == BL_OK) {
        give_bias(&all, width, init);
        chain->in = all.num > 0 ? all.d[0].in : first;
        chain->wide = chain->wide || !bli_drafts_fit32(&all) || !span_fits32(first) ||
                      !span_fits32(bli_wire_hull(&p->wires[*last]));
        s = make_stages(plan, &all, &plan->places[*last], chain);
    }
    bli_arena_destroy(all.arena);
    return s;
}

/* A shift alone, or last, is done while storing bytes. */
static bool shifts_last(const bli_chain *c, const bli_place *p)
{
    return c->num > 0 && !c->wide && p->store == BLI_STORE_8 && c->stages[c->num - 1].kind == BLI_STAGE_SHIFT;
}

void bli_chain_run(const bli_exec_kernels *k, const bli_chain *c, const bli_place *to, void *lanes, int64_t rows)
{
    const int num = c->num - shifts_last(c, to);
    for (int i = 0; i < num; i++)
        if (c->wide)
            k->stage64[c->stages[i].kind](&c->stages[i], lanes, rows, c->width);
        else
            k->stage32[c->stages[i].kind](&c->stages[i], lanes, rows, c->width);
}

/* Two codes of a byte each: 32 bits hold them. */
static void store_bits(const bli_exec_kernels *k, const bli_chain *c, const bli_place *p, const void *lanes, int64_t n,
                       char *x)
{
    int32_t narrow[256];
    if (c->limit != NULL) {
        k->reach32(lanes, c->limit, n, (uint32_t *)(void *)x);
        return;
    }
    if (!c->wide) {
        k->bits32(lanes, n, (int32_t)p->zero, (uint32_t *)(void *)x);
        return;
    }
    for (int64_t i = 0; i < n; i += 256) {
        const int64_t m = n - i < 256 ? n - i : 256;
        k->store64[BLI_STORE_32]((const int64_t *)lanes + i, m, 0, narrow);
        k->bits32(narrow, m, (int32_t)p->zero, (uint32_t *)(void *)(x + i / 8));
    }
}

void bli_chain_store(const bli_exec_kernels *k, const bli_chain *c, const bli_place *p, const void *lanes, int64_t n,
                     void *x)
{
    if (p->store == BLI_STORE_BITS) {
        store_bits(k, c, p, lanes, n, x);
        return;
    }
    if (shifts_last(c, p))
        k->shift8(&c->stages[c->num - 1], lanes, n, (int32_t)p->bias, x);
    else if (c->wide)
        k->store64[p->store](lanes, n, p->bias, x);
    else
        k->store32[p->store](lanes, n, (int32_t)p->bias, x);
}
