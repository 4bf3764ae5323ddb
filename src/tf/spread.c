/* spread.c: ranges from extremes, percentiles, the least expected square error, or the least information lost.
 *
 * "mse" takes the sum over bins of what rounding (step^2 / 12 inside) and clipping (distance squared outside) cost.
 * "kl" is the search of TensorRT's calibration: for ends of a range, the divergence of the histogram with its outside
 * moved to the ends from what 255 levels make of it; here first for the upper end, then for the lower one.  Exact zeros
 * count for neither: every range has a code for them.
 */
#include "tf/spread.h"

#include <math.h>
#include <string.h>

enum { BINS = BLI_SPREAD_BINS, LEVELS = 255, STEP = 8 };

void bli_spread_start(bli_spread *s)
{
    *s = (bli_spread){.clip = {-INFINITY, INFINITY}};
}

static float clipped(const bli_spread *s, float v)
{
    const float up = v > s->clip[0] ? v : s->clip[0];
    return up < s->clip[1] ? up : s->clip[1];
}

void bli_spread_extremes(bli_spread *s, float low, float high)
{
    s->found = true;
    s->wrong = s->wrong || !isfinite(low) || !isfinite(high);
    if (s->wrong)
        return;
    low = clipped(s, low);
    high = clipped(s, high);
    s->low = low < s->low ? low : s->low;
    s->high = high > s->high ? high : s->high;
}

void bli_spread_extremes_of(bli_spread *s, const float *x, int64_t n)
{
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        s->wrong = s->wrong || !isfinite(x[i]);
    }
    if (n > 0)
        bli_spread_extremes(s, low, high);
}

static void count_one(bli_spread *s, double per, float v)
{
    v = clipped(s, v);
    const double at = ((double)v - (double)s->low) * per;
    const int bin = at > 0 ? (int)at : 0;
    s->zeros += v == 0;
    s->bins[bin < BINS ? bin : BINS - 1]++;
}

static double bins_per_unit(const bli_spread *s)
{
    return s->high > s->low ? BINS / ((double)s->high - (double)s->low) : 0;
}

void bli_spread_count(bli_spread *s, const float *x, int64_t n)
{
    const double per = bins_per_unit(s);
    for (int64_t i = 0; i < n; i++)
        count_one(s, per, x[i]);
}

void bli_spread_count_codes(bli_spread *s, const int32_t *codes, int64_t n, double scale, double offset)
{
    const double per = bins_per_unit(s);
    for (int64_t i = 0; i < n; i++)
        count_one(s, per, (float)(scale * codes[i] + offset));
}

/* ---- methods ------------------------------------------------------------------------------------------------------
 */

static double width_of(const bli_spread *s)
{
    return ((double)s->high - (double)s->low) / BINS;
}

static double edge(const bli_spread *s, int bin)
{
    return (double)s->low + width_of(s) * bin;
}

/* The bin that zero is in: ranges begin at or below it and end above. */
static int zero_bin(const bli_spread *s)
{
    const int bin = (int)(-(double)s->low / width_of(s));
    return bin < BINS ? bin : BINS - 1;
}

/* Ends at the edge of all bins are the extremes themselves. */
static void take(const bli_spread *s, int from, int to, float range[2])
{
    range[0] = from == 0 ? s->low : (float)edge(s, from);
    range[1] = to == BINS ? s->high : (float)edge(s, to);
    range[0] = range[0] < 0 ? range[0] : 0;
    range[1] = range[1] > 0 ? range[1] : 0;
}

static void choose_minmax(const bli_spread *s, double percentile, float range[2])
{
    (void)percentile;
    take(s, 0, BINS, range);
}

static void choose_percentile(const bli_spread *s, double percentile, float range[2])
{
    double all = 0, below = 0, above = 0;
    int from = 0, to = BINS;
    for (int i = 0; i < BINS; i++)
        all += s->bins[i];
    const double outside = all * (1 - percentile / 100);
    while (from < BINS - 1 && below + s->bins[from] <= outside)
        below += s->bins[from++];
    while (to > from + 1 && above + s->bins[to - 1] <= outside)
        above += s->bins[--to];
    take(s, from, to, range);
}

/* The bins without exact zeros. */
static void without_zeros(const bli_spread *s, double bins[BINS])
{
    memcpy(bins, s->bins, BINS * sizeof *bins);
    bins[zero_bin(s)] -= s->zeros;
}

/* Sums of 1, x and x^2 over the bins before each. */
typedef struct moments {
    double n[BINS + 1], x[BINS + 1], xx[BINS + 1];
} moments;

static void sum_moments(const bli_spread *s, moments *m)
{
    double bins[BINS];
    without_zeros(s, bins);
    m->n[0] = m->x[0] = m->xx[0] = 0;
    for (int i = 0; i < BINS; i++) {
        const double v = edge(s, i) + width_of(s) / 2;
        m->n[i + 1] = m->n[i] + bins[i];
        m->x[i + 1] = m->x[i] + bins[i] * v;
        m->xx[i + 1] = m->xx[i] + bins[i] * v * v;
    }
}

/* The squared distance of what lies in bins first to last from a value. */
static double distance(const moments *m, int first, int last, double from)
{
    const double n = m->n[last] - m->n[first], x = m->x[last] - m->x[first], xx = m->xx[last] - m->xx[first];
    return xx - 2 * from * x + from * from * n;
}

static double square_error(const bli_spread *s, const moments *m, int from, int to)
{
    const double low = edge(s, from), high = edge(s, to), step = (high - low) / LEVELS;
    return distance(m, 0, from, low) + distance(m, to, BINS, high) + (m->n[to] - m->n[from]) * step * step / 12;
}

static void choose_mse(const bli_spread *s, double percentile, float range[2])
{
    moments m;
    int best[2] = {0, BINS};
    (void)percentile;
    sum_moments(s, &m);
    double least = square_error(s, &m, 0, BINS);
    const int zero = zero_bin(s);
    for (int from = 0; from <= zero; from += STEP)
        for (int to = BINS; to > zero; to -= STEP) {
            const double e = square_error(s, &m, from, to);
            if (e < least) {
                least = e;
                best[0] = from;
                best[1] = to;
            }
        }
    take(s, best[0], best[1], range);
}

/* Bins as LEVELS levels make of them: a level's sum, spread evenly over those of its bins that are not empty. */
static void through_levels(const double *bins, int n, double *q)
{
    for (int k = 0; k < LEVELS; k++) {
        const int first = k * n / LEVELS, last = (k + 1) * n / LEVELS;
        double sum = 0;
        int filled = 0;
        for (int i = first; i < last; i++) {
            sum += bins[i];
            filled += bins[i] > 0;
        }
        for (int i = first; i < last; i++)
            q[i] = bins[i] > 0 ? sum / filled : 0;
    }
}

static double sum_of(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* The divergence of the bins, what lies outside moved to the ends, from the inside through levels. */
static double divergence(const double *bins, int from, int to)
{
    const double nearly_none = 1e-4;
    double p[BINS], q[BINS], sum = 0;
    const int n = to - from;
    const double inside = sum_of(bins + from, n), all = sum_of(bins, BINS);
    if (inside <= 0)
        return INFINITY;
    memcpy(p, bins + from, (size_t)n * sizeof *p);
    p[0] += sum_of(bins, from);
    p[n - 1] += sum_of(bins + to, BINS - to);
    through_levels(bins + from, n, q);
    for (int i = 0; i < n; i++)
        if (p[i] > 0)
            sum += p[i] / all * log(p[i] / all * inside / (q[i] > 0 ? q[i] : nearly_none));
    return sum;
}

static void choose_kl(const bli_spread *s, double percentile, float range[2])
{
    double bins[BINS];
    int best[2] = {0, BINS};
    (void)percentile;
    without_zeros(s, bins);
    const int zero = zero_bin(s);
    double least = divergence(bins, 0, BINS);
    for (int to = BINS - STEP; to > zero && to >= LEVELS + 1; to -= STEP) {
        const double d = divergence(bins, 0, to);
        if (d < least) {
            least = d;
            best[1] = to;
        }
    }
    for (int from = STEP; from <= zero && best[1] - from >= LEVELS + 1; from += STEP) {
        const double d = divergence(bins, from, best[1]);
        if (d < least) {
            least = d;
            best[0] = from;
        }
    }
    take(s, best[0], best[1], range);
}

const bli_spread_method bli_spread_methods[] = {
    {"minmax", false, choose_minmax},
    {"percentile", true, choose_percentile},
    {"kl", true, choose_kl},
    {"mse", true, choose_mse},
    {NULL, false, NULL},
};
