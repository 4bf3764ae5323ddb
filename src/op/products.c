/* products.c: the range of a sum of products, from the weights where they are known.
 *
 * The output's step is the product of the inputs' steps (the bias may be on a finer one), and no partial sum, in any
 * order, is larger than the sum of the terms' magnitudes: that is `accumulator`.
 */
#include "op/products.h"

#include <math.h>

typedef struct bounds {
    double least, greatest, magnitude;
} bounds;

static double get(const bl_value *v, int64_t i)
{
    return v->type == BL_F64 ? ((const double *)v->data)[i] : (double)((const float *)v->data)[i];
}

static bool known(const bl_value *v, int64_t count)
{
    return v->role == BL_ROLE_CONSTANT && v->data && bl_shape_count(&v->shape) == count &&
           (v->type == BL_F32 || v->type == BL_F64);
}

/* The products of x and a weight in w, times n. */
static bounds product(const bli_range *x, bli_range w, double n, bool padded)
{
    const double a = x->least * w.least, b = x->least * w.greatest, c = x->greatest * w.least,
                 d = x->greatest * w.greatest;
    bounds t = {fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d)), 0};
    if (padded)
        t = (bounds){fmin(t.least, 0), fmax(t.greatest, 0), 0};
    t.magnitude = fmax(fabs(t.least), fabs(t.greatest));
    return (bounds){n * t.least, n * t.greatest, n * t.magnitude};
}

static void add(bounds *sum, bounds t)
{
    sum->least += t.least;
    sum->greatest += t.greatest;
    sum->magnitude += t.magnitude;
}

static bounds weights_of(const bli_range_call *r, const bli_sum_shape *s, int64_t o)
{
    if (!known(r->in[1], s->outputs * s->terms))
        return product(&r->range_in[0], r->range_in[1], (double)s->terms, s->padded);
    bounds sum = {0, 0, 0};
    const int64_t base = o / s->group * s->group_step + o % s->group * s->output_step;
    for (int64_t t = 0; t < s->terms; t++) {
        const double w = get(r->in[1], base + t / s->inner * s->term_step + t % s->inner);
        add(&sum, product(&r->range_in[0], (bli_range){.least = w, .greatest = w}, 1, s->padded));
    }
    return sum;
}

static bounds bias_of(const bli_range_call *r, int64_t o)
{
    if (!r->in[2])
        return (bounds){0, 0, 0};
    double least = r->range_in[2].least, greatest = r->range_in[2].greatest;
    const int64_t count = bl_shape_count(&r->in[2]->shape);
    if (count > 0 && known(r->in[2], count))
        least = greatest = get(r->in[2], count == 1 ? 0 : o);
    return (bounds){least, greatest, fmax(fabs(least), fabs(greatest))};
}

void bli_range_sum(bli_range_call *r, const bli_sum_shape *s)
{
    if (!r->range_in[0].on_grid || !r->range_in[1].on_grid || (r->in[2] && !r->range_in[2].on_grid))
        return;
    bli_range out = {.on_grid = true, .step_exp = r->range_in[0].step_exp + r->range_in[1].step_exp};
    double magnitude = 0;
    if (r->in[2] && r->range_in[2].step_exp < out.step_exp)
        out.step_exp = r->range_in[2].step_exp;
    for (int64_t o = 0; o < s->outputs; o++) {
        bounds sum = weights_of(r, s, o);
        add(&sum, bias_of(r, o));
        out.least = o == 0 ? sum.least : fmin(out.least, sum.least);
        out.greatest = o == 0 ? sum.greatest : fmax(out.greatest, sum.greatest);
        magnitude = fmax(magnitude, sum.magnitude);
    }
    r->range_out[0] = out;
    r->accumulator = ldexp(magnitude, -out.step_exp);
}
