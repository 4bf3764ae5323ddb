/* fit.c: a quantizer as a multiplication, an addition and a shift that 32 bits hold, or a product that 64 bits hold.
 *
 * A stair of unit steps with thresholds t_1 <= ... <= t_n over x in low .. high is floor((x a + b) / 2^s), clamped, if
 * for every j:  t_j a + b >= (base + j) 2^s  and  (t_j - 1) a + b < (base + j) 2^s.  For given a and s these bound b
 * from both sides; slopes near the stair's own are tried from small shifts up, in 64 bits the one with most room.  What
 * comes out is exact by construction.
 */
#include <math.h>

#include "exec/exec.h"
#include "program/stair.h"

typedef struct stairway {
    const int64_t *t;
    int64_t n, base, low, high;
    bli_int128 most; /* what b and every sum may reach */
} stairway;

static bool fits32(bli_int128 v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

static bool fits(const stairway *s, bli_int128 v)
{
    return v >= -s->most - 1 && v <= s->most;
}

static bool bias_for(const stairway *s, int64_t a, int shift, int64_t *b)
{
    bli_int128 least = -s->most - 1, most = s->most;
    for (int64_t j = 1; j <= s->n; j++) {
        const bli_int128 rise = (s->base + j) * ((bli_int128)1 << shift), at = (bli_int128)s->t[j - 1] * a;
        least = rise - at > least ? rise - at : least;
        most = rise - (at - a) - 1 < most ? rise - (at - a) - 1 : most;
    }
    if (least > most)
        return false;
    *b = (int64_t)least;
    return fits(s, (bli_int128)s->low * a + least) && fits(s, (bli_int128)s->high * a + least);
}

static bool slope_for(const stairway *s, int shift, int64_t *a, int64_t *b)
{
    const bli_int128 run = s->n > 1 ? (bli_int128)s->t[s->n - 1] - s->t[0] : 1;
    const bli_int128 ideal = run > 0 ? ((bli_int128)(s->n > 1 ? s->n - 1 : 1) << shift) / run : 0;
    for (int d = -1; d <= 2; d++) {
        *a = (int64_t)ideal + d;
        if (*a > 0 && fits32(*a) && bias_for(s, *a, shift, b))
            return true;
    }
    return false;
}

/* The slope with most room, in as few bits as will do. */
static bool wide_slope(const stairway *s, bli_fitted *out)
{
    const double slope = bli_stair_slope(s->t, s->n);
    for (out->shift = 0; out->shift <= 48; out->shift++) {
        const double a = nearbyint(ldexp(slope, (int)out->shift));
        if (a > INT32_MAX)
            return false;
        out->a = (int64_t)a;
        if (out->a > 0 && bias_for(s, out->a, (int)out->shift, &out->b))
            return true;
    }
    return false;
}

bool bli_fit_rescale(const int64_t *threshold, int64_t length, int64_t base, bli_span x, bool wide, bli_fitted *out)
{
    const int64_t low = x.low, high = x.high;
    int64_t below = 0, above = length;
    while (below < length && threshold[below] <= low)
        below++;
    while (above > below && threshold[above - 1] > high)
        above--;
    const stairway s = {threshold + below, above - below, base + below, low, high, wide ? INT64_MAX / 4 : INT32_MAX};
    *out = (bli_fitted){.b = s.base, .low = s.base, .high = s.base + s.n};
    if (s.n == 0)
        return fits32(s.base);
    if (!fits32(low) || !fits32(high) || !fits32((bli_int128)s.base + s.n))
        return false;
    if (wide)
        return wide_slope(&s, out);
    for (out->shift = 0; out->shift <= 24; out->shift++)
        if (slope_for(&s, (int)out->shift, &out->a, &out->b))
            return true;
    return false;
}
