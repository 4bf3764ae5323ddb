/* grid_backward.c: gradient of a format on its grids, for x and for a learned scale.
 *
 * x's gradient passes where the format does not clip.  A scale s enters y = s * clip(round(x / s)): with the rounding's
 * derivative taken as one, dy/ds is y / s - x / s inside of the range and y / s outside.  Sums are made in double in
 * the order of the elements, one per group.
 */
#include <string.h>

#include "op/quantizer/families.h"

enum { PIECE = 256 };

/* Where the format clips a piece of n elements of one group (or of consecutive groups, channels last). */
typedef struct piece {
    size_t at, n, group;
    bool uniform; /* all of one group */
} piece;

static piece piece_at(const bli_groups *g, size_t at, size_t total)
{
    bool uniform = g->inner > 1 || g->count == 1;
    size_t run = g->count == 1 ? total : uniform ? g->inner : g->count;
    size_t left = run - at % run;
    return (piece){at, left < PIECE ? left : PIECE, bli_group_of(g, at), uniform};
}

typedef struct walk {
    const bli_call *c;
    const bl_format *f;
    bli_grids g;
    const bli_stream *rng;
    uint64_t first;
    bool strict; /* LSQ: only what lies strictly between the end values is inside */
} walk;

/* q[i] = format(x[i]) and pass[i] = 1 or 0, as doubles. */
static void inspect_f32(const walk *w, piece p, double *q, double *pass)
{
    float out[PIECE], one[PIECE];
    for (size_t i = 0; i < p.n; i++)
        one[i] = 1;
    const float *x = (const float *)w->c->in[0].data + p.at, *scale = w->g.scale_f32 + p.group;
    const int64_t *zero = w->g.zero + p.group;
    uint64_t first = w->first + p.at;
    bli_isa isa = w->c->isa;
    if (p.uniform) {
        bli_quantize_f32(w->f, (double)*scale, *zero, w->rng, first, x, out, p.n, isa);
        bli_quantize_grad_f32(w->f, (double)*scale, *zero, w->rng, first, x, one, one, p.n, isa);
    } else {
        bli_quantize_channels_f32(w->f, scale, zero, w->rng, first, x, out, 1, p.n, 1, isa);
        bli_quantize_grad_channels_f32(w->f, scale, zero, w->rng, first, x, one, one, 1, p.n, 1, isa);
    }
    for (size_t i = 0; i < p.n; i++) {
        q[i] = (double)out[i];
        pass[i] = (double)one[i];
    }
}

static void inspect_f64(const walk *w, piece p, double *q, double *pass)
{
    for (size_t i = 0; i < p.n; i++)
        pass[i] = 1;
    const double *x = (const double *)w->c->in[0].data + p.at, *scale = w->g.scale + p.group;
    const int64_t *zero = w->g.zero + p.group;
    uint64_t first = w->first + p.at;
    bli_isa isa = w->c->isa;
    if (p.uniform) {
        bli_quantize_f64(w->f, *scale, *zero, w->rng, first, x, q, p.n, isa);
        bli_quantize_grad_f64(w->f, *scale, *zero, w->rng, first, x, pass, pass, p.n, isa);
    } else {
        bli_quantize_channels_f64(w->f, scale, zero, w->rng, first, x, q, 1, p.n, 1, isa);
        bli_quantize_grad_channels_f64(w->f, scale, zero, w->rng, first, x, pass, pass, 1, p.n, 1, isa);
    }
}

static bool between_ends(const walk *w, size_t group, double x)
{
    double lo, hi, scale = w->g.scale[group];
    bli_code_bounds(w->f, &lo, &hi);
    double step = bl_format_step(w->f), v = bli_carry(w->c->in[0].type, x / scale);
    return v > lo * step && v < hi * step;
}

/* q / scale, without the rounding of q to the carrier where values are codes. */
double bli_unscaled(const bl_format *f, double q, double scale)
{
    double step = bl_format_step(f);
    return bli_integer_coded(f) ? nearbyint(q / (scale * step)) * step : q / scale;
}

/* Adds this piece's terms of d scale into sum (per group). */
static void scale_terms(const walk *w, piece p, double *sum)
{
    double q[PIECE], pass[PIECE];
    (w->c->in[0].type == BL_F64 ? inspect_f64 : inspect_f32)(w, p, q, pass);
    for (size_t i = 0; i < p.n; i++) {
        size_t group = p.group + (p.uniform ? 0 : i);
        double x = bli_value_get(&w->c->in[0], p.at + i), dy = bli_value_get(&w->c->grad_out[0], p.at + i);
        bool inside = w->strict ? between_ends(w, group, x) : pass[i] != 0;
        double scale = w->g.scale[group], code = bli_unscaled(w->f, q[i], scale);
        sum[group] += dy * (inside ? code - x / scale : code);
    }
}

void bli_store_scale_gradient(const bli_call *c, const double *sum, size_t count)
{
    const bl_tensor *ds = &c->grad_in[1];
    double total = 0;
    for (size_t g = 0; g < count; g++)
        total += sum[g];
    bool one = bli_tensor_count(ds) == 1;
    for (size_t g = 0; g < (one ? 1 : count); g++)
        bli_value_set(ds, g, one ? total : sum[g]);
}

/* Powers of two: d 2^round(log2 v) / d v = 2^round(log2 v) / v with the rounding's derivative taken as one. */
static void scale_gradient(const walk *w, const bli_quant_spec *s, double factor)
{
    const bli_call *c = w->c;
    double *sum = w->g.scale + w->g.groups.count;
    size_t n = bli_tensor_count(&c->in[0]), count = w->g.groups.count;
    memset(sum, 0, count * sizeof(*sum));
    for (size_t at = 0; at < n;) {
        piece p = piece_at(&w->g.groups, at, n);
        scale_terms(w, p, sum);
        at += p.n;
    }
    for (size_t g = 0; g < count; g++)
        sum[g] *= factor;
    if (s->scale_rule == BLI_SCALE_LEARNED_PO2) {
        bool one = bli_tensor_count(&c->in[1]) == 1;
        for (size_t g = 0; g < count; g++)
            sum[g] *= w->g.scale[g] / bli_usable_scale(bli_value_get(&c->in[1], one ? 0 : g));
    }
    bli_store_scale_gradient(c, sum, count);
}

static void grad_all(const walk *w, double scale, int64_t zero)
{
    const bli_call *c = w->c;
    const bl_tensor *x = &c->in[0], *dy = &c->grad_out[0], *dx = &c->grad_in[0];
    size_t n = bli_tensor_count(x);
    if (x->type == BL_F64)
        bli_quantize_grad_f64(w->f, scale, zero, w->rng, w->first, x->data, dy->data, dx->data, n, c->isa);
    else
        bli_quantize_grad_f32(w->f, scale, zero, w->rng, w->first, x->data, dy->data, dx->data, n, c->isa);
}

static void grad_channels(const walk *w)
{
    const bli_call *c = w->c;
    const bl_tensor *x = &c->in[0], *dy = &c->grad_out[0], *dx = &c->grad_in[0];
    const bli_grids *g = &w->g;
    size_t n = bli_tensor_count(x), channels = g->groups.count, inner = g->groups.inner;
    if (n == 0)
        return;
    if (x->type == BL_F64)
        bli_quantize_grad_channels_f64(w->f, g->scale, g->zero, w->rng, w->first, x->data, dy->data, dx->data,
                                       n / channels / inner, channels, inner, c->isa);
    else
        bli_quantize_grad_channels_f32(w->f, g->scale_f32, g->zero, w->rng, w->first, x->data, dy->data, dx->data,
                                       n / channels / inner, channels, inner, c->isa);
}

static void grad_strict(const walk *w)
{
    const bli_call *c = w->c;
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        bool inside = between_ends(w, bli_group_of(&w->g.groups, i), bli_value_get(&c->in[0], i));
        bli_value_set(&c->grad_in[0], i, inside ? bli_value_get(&c->grad_out[0], i) : 0);
    }
}

/* Grids that change with the scale's training or with the data. */
static bl_status backward_grids(walk *w, const bli_quant_spec *s, double factor)
{
    const bli_call *c = w->c;
    BLI_TRY(bli_grid_resolve(c, s, &w->g));
    const bli_grids *g = &w->g;
    if (c->grad_in[1].data && bli_quant_needs_scale(s))
        scale_gradient(w, s, factor); /* before dx: it may be written over dy */
    if (!c->grad_in[0].data)
        return BL_OK;
    if (w->strict)
        grad_strict(w);
    else if (g->groups.count == 1)
        grad_all(w, g->scale[0], g->zero[0]);
    else
        grad_channels(w);
    return BL_OK;
}

static bl_status backward(const bli_call *c, const bli_quant_spec *s, bool strict, double factor)
{
    bli_stream stream = {{0, 0}, {0, 0}};
    walk w = {.c = c, .f = &s->format, .first = bli_quant_first(c, s), .strict = strict};
    if (s->format.rounding == BL_STOCHASTIC && c->training) {
        stream = bli_quant_stream(c);
        w.rng = &stream;
    }
    if (s->scale_rule != BLI_SCALE_NUMBER || bli_quant_needs_scale(s))
        return backward_grids(&w, s, factor);
    if (c->grad_in[0].data)
        grad_all(&w, s->scale, s->zero_point);
    return BL_OK;
}

bl_status bli_grid_backward(const bli_call *c, const bli_quant_spec *s)
{
    if (c->in[2].data)
        return bli_widths_backward(c, s);
    if (s->format.kind == BL_FORMAT_MX)
        return bli_mx_backward(c, s);
    return backward(c, s, false, 1);
}

bl_status bli_grid_backward_strict(const bli_call *c, const bli_quant_spec *s, double factor)
{
    return backward(c, s, true, factor);
}
