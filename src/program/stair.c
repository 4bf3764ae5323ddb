/* stair.c: see stair.h.  For a given slope the room between the two sides is a concave function of it; its top is
 * searched in double.
 */
#include "program/stair.h"

#include <math.h>

static double room_at(const int64_t *at, int64_t n, double a)
{
    double above = HUGE_VAL, below = -HUGE_VAL;
    for (int64_t k = 0; k < n; k++) {
        const double v = (double)(k + 1), t = (double)(at[k] - at[0]);
        above = fmin(above, v - a * (t - 1));
        below = fmax(below, v - a * t);
    }
    return above - below;
}

double bli_stair_slope(const int64_t *at, int64_t n)
{
    const double run = (double)(at[n - 1] - at[0]);
    if (run <= 0)
        return (double)n;
    double lo = (double)(n - 1) / run * 0.5, hi = lo * 4 + 1e-30;
    for (int i = 0; i < 100; i++) {
        const double a = lo + (hi - lo) / 3, b = hi - (hi - lo) / 3;
        if (room_at(at, n, a) < room_at(at, n, b))
            lo = a;
        else
            hi = b;
    }
    return (lo + hi) / 2;
}
