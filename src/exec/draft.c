/* draft.c: ops as stages, and stages made fewer and narrower.
 *
 * Most quantizers are clamp((x a + b) >> s): roundings to the nearest with ties up add one half first, saturation is
 * the clamp, an affine map has no shift.  Joining two of them is allowed where the first neither shifts nor clamps.
 */
#include "exec/draft.h"

#include <string.h>

static int64_t *filled(bli_drafts *all, int64_t n, int64_t v)
{
    int64_t *to = bli_arena_array(all->arena, (size_t)n, sizeof *to);
    for (int64_t i = 0; to != NULL && i < n; i++)
        to[i] = v;
    return to;
}

static int64_t *copied(bli_drafts *all, const int64_t *from, int64_t n)
{
    int64_t *to = bli_arena_array(all->arena, (size_t)n, sizeof *to);
    if (to != NULL && n > 0)
        memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static bl_status new_draft(bli_drafts *all, bli_stage_kind kind, bli_span in, int64_t channels, bli_draft **out)
{
    bli_draft *d = &all->d[all->num++];
    *d = (bli_draft){.kind = kind, .in = in, .channels = channels};
    d->a = filled(all, channels, 1);
    d->b = filled(all, channels, 0);
    d->s = filled(all, channels, 0);
    d->low = filled(all, channels, INT64_MIN);
    d->high = filled(all, channels, INT64_MAX);
    *out = d;
    return d->a && d->b && d->s && d->low && d->high ? BL_OK : BL_NO_MEMORY;
}

/* ---- one op ---------------------------------------------------------------------------------------------------------
 */

typedef struct source {
    bli_drafts *all;
    const bli_prim_op *op;
    bli_span in, out;
    bool *added;
} source;

static bl_status draft_rescale(const source *s)
{
    const bli_prim_op *op = s->op;
    bli_draft *d;
    BLI_TRY(new_draft(s->all, BLI_STAGE_RESCALE, s->in, op->channels, &d));
    const size_t size = (size_t)op->channels * sizeof(int64_t);
    memcpy(d->a, op->weight, size);
    memcpy(d->b, op->bias, size);
    if (op->kind == BLI_PRIM_RESCALE) {
        memcpy(d->s, op->shift, size);
        memcpy(d->low, op->low, size);
        memcpy(d->high, op->high, size);
    }
    return BL_OK;
}

static bl_status draft_clamp(const source *s)
{
    bli_draft *d;
    BLI_TRY(new_draft(s->all, BLI_STAGE_CLAMP, s->in, s->op->channels, &d));
    memcpy(d->low, s->op->low, (size_t)s->op->channels * sizeof *d->low);
    memcpy(d->high, s->op->high, (size_t)s->op->channels * sizeof *d->high);
    return BL_OK;
}

static bool left_shifts(const bli_prim_op *op)
{
    for (int64_t c = 0; c < op->channels; c++)
        if (op->shift[c] < 0)
            return true;
    return false;
}

/* Exact multiplications first; their results fit, since the op's do. */
static bl_status draft_left(const source *s, bli_span *in)
{
    bli_draft *d;
    BLI_TRY(new_draft(s->all, BLI_STAGE_RESCALE, s->in, s->op->channels, &d));
    bli_wide_span hull = bli_span_widen(s->in);
    for (int64_t c = 0; c < s->op->channels; c++) {
        const int64_t shift = s->op->shift[c];
        d->a[c] = shift < 0 ? (int64_t)1 << -shift : 1;
        hull = bli_span_hull(hull, bli_span_shift_left(bli_span_widen(s->in), shift < 0 ? (int)-shift : 0));
    }
    *s->added = bli_span_narrow(hull, in); /* the hull may pass what each channel by itself does not */
    return BL_OK;
}

static bl_status draft_round(const source *s)
{
    static const bli_stage_kind kinds[BL_ROUNDING_COUNT] = {
        [BL_TRN] = BLI_STAGE_RESCALE,         [BL_RND] = BLI_STAGE_RESCALE,
        [BL_RND_MIN_INF] = BLI_STAGE_RESCALE, [BL_TRN_ZERO] = BLI_STAGE_ROUND_ZERO,
        [BL_RND_ZERO] = BLI_STAGE_ROUND_HALF, [BL_RND_INF] = BLI_STAGE_ROUND_HALF,
        [BL_RND_CONV] = BLI_STAGE_ROUND_EVEN,
    };
    const bli_prim_op *op = s->op;
    const bl_rounding q = op->rounding;
    bli_span in = s->in;
    bli_draft *d;
    if (left_shifts(op))
        BLI_TRY(draft_left(s, &in));
    BLI_TRY(new_draft(s->all, kinds[q], in, op->channels, &d));
    for (int64_t c = 0; c < op->channels; c++) {
        const int64_t shift = op->shift[c] > 0 ? op->shift[c] : 0, half = shift > 0 ? (int64_t)1 << (shift - 1) : 0;
        const int64_t less = half > 0 ? half - 1 : 0;
        d->s[c] = shift;
        if (q == BL_RND || q == BL_RND_MIN_INF)
            d->b[c] = q == BL_RND ? half : less;
        if (q == BL_TRN_ZERO)
            d->b[c] = ((int64_t)1 << shift) - 1;
        if (q == BL_RND_CONV)
            d->a[c] = less;
        if (q == BL_RND_ZERO || q == BL_RND_INF) {
            d->a[c] = q == BL_RND_INF ? half : less;
            d->b[c] = q == BL_RND_INF ? less : half;
        }
        /* what is added must not pass 64 bits */
        *s->added =
            *s->added && in.low > INT64_MIN + ((int64_t)1 << shift) && in.high < INT64_MAX - ((int64_t)1 << shift);
    }
    return BL_OK;
}

static bl_status draft_overflow(const source *s)
{
    const bli_prim_op *op = s->op;
    bli_draft *d;
    const bli_stage_kind kind = op->overflow == BL_WRAP       ? op->is_signed ? BLI_STAGE_WRAP : BLI_STAGE_WRAP_PLAIN
                                : op->overflow == BL_WRAP_SM  ? BLI_STAGE_WRAP_SM
                                : op->overflow == BL_SAT_ZERO ? BLI_STAGE_ZERO
                                                              : BLI_STAGE_CLAMP;
    BLI_TRY(new_draft(s->all, kind, s->in, op->channels, &d));
    for (int64_t c = 0; c < op->channels; c++) {
        const int bits = (int)op->bits[c] - op->is_signed;
        d->high[c] = bits >= 63 ? INT64_MAX : ((int64_t)1 << bits) - 1;
        d->low[c] = !op->is_signed ? 0 : op->overflow == BL_SAT_SYM ? -d->high[c] : -d->high[c] - 1;
        d->s[c] = op->bits[c];
        *s->added = *s->added && !(kind == BLI_STAGE_WRAP_SM && op->bits[c] > 62);
    }
    return BL_OK;
}

static bl_status draft_threshold(const source *s)
{
    const bli_prim_op *op = s->op;
    bli_draft *d;
    BLI_TRY(new_draft(s->all, BLI_STAGE_STAIR, s->in, op->channels, &d));
    d->length = op->length;
    d->low = copied(s->all, op->threshold, op->channels * op->length);
    d->a = copied(s->all, op->step, op->channels * op->length);
    memcpy(d->b, op->base, (size_t)op->channels * sizeof *d->b);
    return d->low && d->a ? BL_OK : BL_NO_MEMORY;
}

static bl_status draft_table(const source *s)
{
    const bli_prim_op *op = s->op;
    bli_draft *d;
    BLI_TRY(new_draft(s->all, BLI_STAGE_TABLE, s->in, op->channels, &d));
    d->length = op->length;
    d->first = op->first;
    d->a = copied(s->all, op->table, op->channels * op->length);
    return d->a ? BL_OK : BL_NO_MEMORY;
}

static bl_status draft_abs(const source *s)
{
    bli_draft *d;
    return new_draft(s->all, BLI_STAGE_ABS, s->in, 1, &d);
}

bl_status bli_draft_add(bli_drafts *all, const bli_program *p, int i, bool *added)
{
    static bl_status (*const makers[BLI_PRIM_COUNT])(const source *s) = {
        [BLI_PRIM_AFFINE] = draft_rescale, [BLI_PRIM_RESCALE] = draft_rescale,     [BLI_PRIM_CLAMP] = draft_clamp,
        [BLI_PRIM_ROUND] = draft_round,    [BLI_PRIM_OVERFLOW] = draft_overflow,   [BLI_PRIM_ABS] = draft_abs,
        [BLI_PRIM_TABLE] = draft_table,    [BLI_PRIM_THRESHOLD] = draft_threshold,
    };
    const bli_prim_op *op = &p->ops[i];
    const int before = all->num;
    *added = makers[op->kind] != NULL && all->num + 2 <= BLI_DRAFTS;
    if (!*added)
        return BL_OK;
    const source s = {all, op, bli_wire_hull(&p->wires[op->in[0]]), bli_wire_hull(&p->wires[i]), added};
    BLI_TRY(makers[op->kind](&s));
    if (!*added)
        all->num = before;
    return BL_OK;
}

/* ---- fewer and narrower
 * ---------------------------------------------------------------------------------------------- */

/* A draft of one channel, for as many as its neighbour has. */
static bl_status spread(bli_drafts *all, bli_draft *d, int64_t channels)
{
    if (d->channels == channels)
        return BL_OK;
    d->a = filled(all, channels, d->a[0]);
    d->b = filled(all, channels, d->b[0]);
    d->s = filled(all, channels, d->s[0]);
    d->low = filled(all, channels, d->low[0]);
    d->high = filled(all, channels, d->high[0]);
    d->channels = channels;
    return d->a && d->b && d->s && d->low && d->high ? BL_OK : BL_NO_MEMORY;
}

static bool is_affine(const bli_draft *d)
{
    bool plain = d->kind == BLI_STAGE_RESCALE;
    for (int64_t c = 0; plain && c < d->channels; c++)
        plain = d->s[c] == 0 && d->low[c] == INT64_MIN && d->high[c] == INT64_MAX;
    return plain;
}

static int64_t cut(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* b after a, both clamps at heart: one. */
static bl_status join_clamp(bli_drafts *all, bli_draft *a, bli_draft *b, bool *joined)
{
    *joined = (a->kind == BLI_STAGE_RESCALE || a->kind == BLI_STAGE_CLAMP) && b->kind == BLI_STAGE_CLAMP;
    if (!*joined)
        return BL_OK;
    const int64_t channels = a->channels > b->channels ? a->channels : b->channels;
    BLI_TRY(spread(all, a, channels));
    BLI_TRY(spread(all, b, channels));
    for (int64_t c = 0; c < channels; c++) {
        a->low[c] = cut(a->low[c], b->low[c], b->high[c]);
        a->high[c] = cut(a->high[c], b->low[c], b->high[c]);
    }
    return BL_OK;
}

/* (x a + b) a' + b', where neither factor nor sum passes 64 bits. */
static bl_status join_affine(bli_drafts *all, bli_draft *a, bli_draft *b, bool *joined)
{
    *joined = is_affine(a) && b->kind == BLI_STAGE_RESCALE;
    if (!*joined)
        return BL_OK;
    const int64_t channels = a->channels > b->channels ? a->channels : b->channels;
    BLI_TRY(spread(all, a, channels));
    BLI_TRY(spread(all, b, channels));
    int64_t factor, sum;
    for (int64_t c = 0; c < channels; c++)
        *joined = *joined && !__builtin_mul_overflow(a->a[c], b->a[c], &factor) &&
                  !__builtin_mul_overflow(a->b[c], b->a[c], &sum) && !__builtin_add_overflow(sum, b->b[c], &sum);
    for (int64_t c = 0; *joined && c < channels; c++) {
        a->b[c] = a->b[c] * b->a[c] + b->b[c];
        a->a[c] *= b->a[c];
        a->s[c] = b->s[c];
        a->low[c] = b->low[c];
        a->high[c] = b->high[c];
    }
    return BL_OK;
}

static bl_status join(bli_drafts *all)
{
    for (int i = 0; i + 1 < all->num;) {
        bool joined;
        BLI_TRY(join_clamp(all, &all->d[i], &all->d[i + 1], &joined));
        if (!joined)
            BLI_TRY(join_affine(all, &all->d[i], &all->d[i + 1], &joined));
        if (!joined) {
            i++;
            continue;
        }
        memmove(&all->d[i + 1], &all->d[i + 2], (size_t)(all->num - i - 2) * sizeof all->d[0]);
        all->num--;
    }
    return BL_OK;
}

enum { FEW_THRESHOLDS = 3, FEW_FOR_WIDE = 6, MOST_STEPS = 1 << 16, MOST_FOR_WIDE = 256 };

/* The height of channel c's stair, up or down; -1: it goes both ways, or is too high. */
static int64_t height_of(const bli_draft *d, int64_t c)
{
    const int64_t *step = d->a + c * d->length;
    int64_t up = 0, down = 0;
    for (int64_t i = 0; i < d->length; i++) {
        if (step[i] > MOST_STEPS || step[i] < -MOST_STEPS)
            return -1;
        up += step[i] > 0 ? step[i] : 0;
        down -= step[i] < 0 ? step[i] : 0;
    }
    return (up > 0 && down > 0) || up + down > MOST_STEPS ? -1 : up + down;
}

/* Its thresholds, one for each unit, of x if it rises and of -x if it falls; whether it rises. */
static bool unit_thresholds(const bli_draft *d, int64_t c, int64_t *t)
{
    const int64_t *step = d->a + c * d->length, *at = d->low + c * d->length;
    int64_t n = 0;
    bool rises = true;
    for (int64_t i = 0; i < d->length; i++)
        rises = rises && step[i] >= 0;
    for (int64_t i = 0; i < d->length; i++) {
        const int64_t k = rises ? i : d->length - 1 - i;
        for (int64_t j = rises ? step[k] : -step[k]; j > 0; j--)
            t[n++] = rises ? at[k] : at[k] > INT32_MAX ? INT32_MIN : at[k] < INT32_MIN ? INT64_MAX : 1 - at[k];
    }
    return rises;
}

static bl_status empty_rescale(bli_drafts *all, const bli_draft *d, bli_draft *n)
{
    *n = (bli_draft){.kind = BLI_STAGE_RESCALE, .in = d->in, .channels = d->channels};
    int64_t **const arrays[] = {&n->a, &n->b, &n->s, &n->low, &n->high};
    for (size_t i = 0; i < BLI_COUNT(arrays); i++)
        if ((*arrays[i] = filled(all, d->channels, 0)) == NULL)
            return BL_NO_MEMORY;
    return BL_OK;
}

/* A long stair: one multiplication a channel, if every channel has one; wide: of 64 bits. */
static bl_status fit_stair(bli_drafts *all, bli_draft *d, bool wide)
{
    int64_t most = 0;
    bli_draft n;
    if (d->kind != BLI_STAGE_STAIR || d->length <= (wide ? FEW_FOR_WIDE : FEW_THRESHOLDS) || d->in.low < INT32_MIN ||
        d->in.high > INT32_MAX)
        return BL_OK;
    for (int64_t c = 0; c < d->channels; c++) {
        const int64_t height = height_of(d, c);
        if (height < 0 || (wide && height > MOST_FOR_WIDE) || d->b[c] <= -(1 << 28) || d->b[c] >= 1 << 28)
            return BL_OK;
        most = height > most ? height : most;
    }
    int64_t *t = filled(all, most + 1, 0);
    if (t == NULL || empty_rescale(all, d, &n) != BL_OK)
        return BL_NO_MEMORY;
    for (int64_t c = 0; c < d->channels; c++) {
        const int64_t height = height_of(d, c);
        const bool rises = unit_thresholds(d, c, t);
        const bli_span x = rises ? d->in : (bli_span){-d->in.high, -d->in.low, 0};
        bli_fitted f;
        if (!bli_fit_rescale(t, height, rises ? d->b[c] : d->b[c] - height, x, wide, &f))
            return BL_OK;
        n.a[c] = rises ? f.a : -f.a;
        n.b[c] = f.b;
        n.s[c] = f.shift;
        n.low[c] = f.low;
        n.high[c] = f.high;
    }
    *d = n;
    return BL_OK;
}

/* ---- 32 bits
 * ---------------------------------------------------------------------------------------------------------- */

static bool fits32(bli_int128 v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

static bool rescale_fits(const bli_draft *d, int64_t c)
{
    return fits32(d->a[c]) && fits32(d->b[c]) && fits32((bli_int128)d->in.low * d->a[c] + d->b[c]) &&
           fits32((bli_int128)d->in.high * d->a[c] + d->b[c]);
}

static bool draft_fits(const bli_draft *d)
{
    bool fits = fits32(d->in.low) && fits32(d->in.high);
    for (int64_t c = 0; fits && c < d->channels; c++)
        switch (d->kind) {
        case BLI_STAGE_RESCALE:
            fits = rescale_fits(d, c);
            break;
        case BLI_STAGE_ROUND_ZERO:
        case BLI_STAGE_ROUND_HALF:
        case BLI_STAGE_ROUND_EVEN: /* what is added is at most 2^s, and s below 31 */
            fits = d->s[c] < 31 && fits32((bli_int128)d->in.high + ((bli_int128)1 << d->s[c])) &&
                   fits32((bli_int128)d->in.low - ((bli_int128)1 << d->s[c]));
            break;
        case BLI_STAGE_WRAP_PLAIN:
            fits = d->s[c] < 32;
            break;
        case BLI_STAGE_WRAP_SM:
            fits = d->s[c] <= 30;
            break;
        case BLI_STAGE_STAIR:
        case BLI_STAGE_SEARCH:
            fits = d->in.high < INT32_MAX;
            break;
        default:
            break;
        }
    return fits;
}

bool bli_drafts_fit32(const bli_drafts *all)
{
    bool fits = true;
    for (int i = 0; i < all->num; i++)
        fits = fits && draft_fits(&all->d[i]);
    return fits;
}

enum { MOST_LEVELS = 1 << 10 };

static bli_int128 divide_up(bli_int128 a, bli_int128 b)
{
    const bli_int128 q = a / b;
    return q * b < a ? q + 1 : q;
}

/* Where a rising clamp((x a + b) >> s) reaches each of its levels above low: thresholds of the same stair. */
static bool levels_of(const bli_draft *d, int64_t c, int64_t *t, int64_t *count)
{
    const bli_int128 top = ((bli_int128)d->in.high * d->a[c] + d->b[c]) >> d->s[c];
    const bli_int128 bottom = ((bli_int128)d->in.low * d->a[c] + d->b[c]) >> d->s[c];
    const bli_int128 low = cut((int64_t)bottom, d->low[c], d->high[c]), high = cut((int64_t)top, d->low[c], d->high[c]);
    if (d->a[c] <= 0 || high - low > MOST_LEVELS)
        return false;
    *count = (int64_t)(high - low);
    for (int64_t k = 0; k < *count; k++)
        t[k] = (int64_t)divide_up((low + k + 1) * ((bli_int128)1 << d->s[c]) - d->b[c], d->a[c]);
    d->low[c] = (int64_t)low;
    d->high[c] = (int64_t)high;
    return true;
}

/* A rescale that needs 64 bits, of few levels: a shorter multiplier that says the same. */
static bl_status shorten(bli_drafts *all, bli_draft *d)
{
    bool fits = fits32(d->in.low) && fits32(d->in.high);
    if (d->kind != BLI_STAGE_RESCALE || !fits || draft_fits(d))
        return BL_OK;
    int64_t *a = filled(all, d->channels, 0), *b = filled(all, d->channels, 0), *s = filled(all, d->channels, 0);
    int64_t *t = filled(all, MOST_LEVELS + 1, 0), count;
    if (!a || !b || !s || !t)
        return BL_NO_MEMORY;
    for (int64_t c = 0; fits && c < d->channels; c++) {
        bli_fitted f = {0};
        fits = levels_of(d, c, t, &count) && bli_fit_rescale(t, count, d->low[c], d->in, false, &f);
        a[c] = f.a;
        b[c] = f.b;
        s[c] = f.shift;
    }
    if (fits) {
        d->a = a;
        d->b = b;
        d->s = s;
    }
    return BL_OK;
}

bl_status bli_drafts_improve(bli_drafts *all)
{
    for (int i = 0; i < all->num; i++)
        for (int wide = 0; wide < 2; wide++)
            BLI_TRY(fit_stair(all, &all->d[i], wide));
    BLI_TRY(join(all));
    for (int i = 0; i < all->num; i++)
        BLI_TRY(shorten(all, &all->d[i]));
    for (int i = 0; i < all->num; i++)
        if (all->d[i].kind == BLI_STAGE_STAIR && all->d[i].length > 16)
            all->d[i].kind = BLI_STAGE_SEARCH;
    return BL_OK;
}
