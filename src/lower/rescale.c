/* rescale.c: a multiplier, an offset and a shift in place of many thresholds.
 *
 * A rising staircase of height one per step is floor(a x + b) exactly if for its threshold T_k (the least x with value
 * k) k <= a T_k + b and a (T_k - 1) + b < k.  The a with most room is searched in double (program/stair.c).  Then a =
 * weight / 2^shift for the shortest shift for which an integer offset exists: that is checked for every k in integers,
 * so nothing rests on the search.  A falling staircase is a rising one of -x.
 */
#include <math.h>

#include "lower/stairs.h"
#include "program/stair.h"

__extension__ typedef __int128 wide;

/* Thresholds of one group, of -x where it falls: at[k] is the least x with value first + 1 + k. */
typedef struct ramp {
    int64_t *at, count, first, low, high; /* low .. high: the range of x */
    bool falls;
} ramp;

static bl_status ramp_of(bli_lowering *l, const bli_stairs *s, int64_t g, ramp *r, bool *ok)
{
    const int64_t from = s->start[g], to = s->start[g + 1], last = to > from ? s->stair[to - 1].value : s->first[g];
    const bli_span x = s->span[g];
    r->falls = last < s->first[g];
    r->first = r->falls ? last : s->first[g];
    r->count = r->falls ? s->first[g] - last : last - s->first[g];
    *ok = r->count <= 1 << 20 && r->count >= 0 && x.low > -((int64_t)1 << 61) && x.high < (int64_t)1 << 61;
    if (!*ok)
        return BL_OK;
    r->low = r->falls ? -x.high : x.low;
    r->high = r->falls ? -x.low : x.high;
    r->at = bli_arena_array(l->arena, (size_t)r->count + 1, sizeof *r->at);
    if (!r->at)
        return BL_NO_MEMORY;
    int64_t k = 0;
    for (int64_t i = 0; i < to - from; i++) {
        const bli_stair *stair = &s->stair[r->falls ? to - 1 - i : from + i];
        const int64_t before = stair > &s->stair[from] ? stair[-1].value : s->first[g];
        const int64_t jump = r->falls ? before - stair->value : stair->value - before;
        for (int64_t j = 0; j < jump && k < r->count; j++)
            r->at[k++] = r->falls ? 1 - stair->x : stair->x;
    }
    *ok = k == r->count;
    return BL_OK;
}

/* The least offset for weight / 2^shift; false if there is none, or a number would pass 62 bits. */
static bool offset_for(const ramp *r, int64_t weight, int shift, int64_t *bias)
{
    const wide limit = (wide)1 << 61, one = (wide)1 << shift;
    wide least = -limit, most = limit;
    for (int64_t k = 0; k < r->count; k++) {
        const wide v = (r->first + 1 + k) * one, t = (wide)weight * r->at[k];
        least = v - t > least ? v - t : least;
        most = v - t + weight - 1 < most ? v - t + weight - 1 : most;
    }
    const wide reach = (wide)weight * (-(wide)r->low > r->high ? -(wide)r->low : r->high);
    *bias = (int64_t)least;
    return least <= most && least > -limit && reach < limit && (r->first + r->count + 1) * one < limit &&
           (r->first - 1) * one > -limit;
}

static bool fit(const ramp *r, int64_t *weight, int64_t *bias, int64_t *shift)
{
    if (r->count == 0) { /* clamped to its one value anyway */
        *weight = *bias = *shift = 0;
        return true;
    }
    const double a = bli_stair_slope(r->at, r->count);
    int least; /* the least s for which a 2^s is 1 or more */
    (void)frexp(a, &least);
    least = 1 - least;
    for (int s = least < 0 ? 0 : least; s <= 60; s++) {
        const double w = ldexp(a, s);
        if (w >= 0x1p61)
            return false;
        *weight = (int64_t)nearbyint(w);
        *shift = s;
        if (*weight > 0 && offset_for(r, *weight, s, bias))
            return true;
    }
    return false;
}

bl_status bli_rescale_find(bli_lowering *l, const bli_stairs *s, bli_rescale *r, bool *found)
{
    int64_t **rows[] = {&r->weight, &r->bias, &r->shift, &r->low, &r->high};
    for (size_t i = 0; i < BLI_COUNT(rows); i++)
        if (!(*rows[i] = bli_arena_array(l->arena, (size_t)s->groups + 1, sizeof(int64_t))))
            return BL_NO_MEMORY;
    *found = true;
    for (int64_t g = 0; g < s->groups && *found; g++) {
        ramp p = {.count = 0};
        BLI_TRY(ramp_of(l, s, g, &p, found));
        *found = *found && fit(&p, &r->weight[g], &r->bias[g], &r->shift[g]);
        if (p.falls)
            r->weight[g] = -r->weight[g];
        r->low[g] = p.first;
        r->high[g] = p.first + p.count;
    }
    return BL_OK;
}
