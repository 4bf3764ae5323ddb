/* learned.c: gradients of quantizers with one trained number per group: dx, and per group the sum of what its elements
 * add to that number's gradient.
 *
 * Elements go through one of the loops' bli_scaled_back a piece at a time, which leaves the terms of the sum.  Their
 * order of addition is the same on every machine: of one group, in as many interleaved chains as LANES (FEW for short
 * runs) which are then added in halves; of channels that lie side by side, in the order of bli_loops' column_sum.
 */
#include <string.h>

#include "op/quantizer/families.h"

enum { PIECE = 1024, LANES = 64, FEW = 16 };

typedef struct work {
    const bli_call *c;
    const bli_group_gradient *g;
    const bli_loops *loops;
    size_t size; /* of an element */
    union {
        float f32[PIECE];
        double f64[PIECE];
    } term, tile, unwanted;
} work;

static const void *element(const work *w, const void *data, size_t i)
{
    return (const char *)data + i * w->size;
}

/* Gradients of elements at .. at + n - 1; terms are left in w->term. */
static void piece(work *w, size_t at, size_t n, const void *scale, bool one)
{
    const bli_call *c = w->c;
    void *dx = c->grad_in[0].data ? (char *)c->grad_in[0].data + at * w->size : (void *)&w->unwanted;
    w->g->back(w->g->grid, element(w, c->in[0].data, at), element(w, c->grad_out[0].data, at), scale, one, dx, &w->term,
               n);
}

/* n elements of one group. */
static double run(work *w, size_t at, size_t n, const void *scale)
{
    double lane[LANES] = {0};
    const size_t lanes = n < 16 * LANES ? FEW : LANES;
    for (size_t i = 0; i < n; i += PIECE) {
        const size_t m = n - i < PIECE ? n - i : PIECE, rows = (m + lanes - 1) / lanes;
        piece(w, at + i, m, scale, true);
        memset((char *)&w->term + m * w->size, 0, (rows * lanes - m) * w->size);
        w->loops->column_sum(&w->term, rows, lanes, lane);
    }
    for (size_t half = lanes / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[half + j];
    return lane[0];
}

static void runs(work *w, size_t n)
{
    const bli_groups *g = &w->g->groups;
    const size_t length = g->count == 1 ? n : g->inner;
    size_t group = 0;
    for (size_t at = 0; at < n; at += length) {
        w->g->sum[group] += run(w, at, length, element(w, w->g->scale, group));
        group = group + 1 == g->count ? 0 : group + 1;
    }
}

/* Rows of one element per group: several at a time under a tile of scales, or parts of one. */
static void rows(work *w, size_t n)
{
    const size_t count = w->g->groups.count, fit = PIECE / count;
    for (size_t r = 0; r < fit; r++)
        memcpy((char *)&w->tile + r * count * w->size, w->g->scale, count * w->size);
    const size_t step = fit > 0 ? fit * count : PIECE;
    for (size_t at = 0; at < n;) {
        const size_t group = at % count, left = fit > 0 ? n - at : count - group, m = left < step ? left : step;
        piece(w, at, m, fit > 0 ? (const void *)&w->tile : element(w, w->g->scale, group), false);
        w->loops->column_sum(&w->term, fit > 0 ? m / count : 1, fit > 0 ? count : m, w->g->sum + group);
        at += m;
    }
}

void bli_group_gradients(const bli_call *c, const bli_group_gradient *g)
{
    work w;
    w.c = c;
    w.g = g;
    w.loops = bli_loops_get(c->isa, c->in[0].type);
    w.size = bl_dtype_size(c->in[0].type);
    const size_t n = bli_tensor_count(&c->in[0]);
    memset(g->sum, 0, g->groups.count * sizeof(*g->sum));
    if (n == 0)
        return;
    if (g->groups.count == 1 || g->groups.inner > 1)
        runs(&w, n);
    else
        rows(&w, n);
}
