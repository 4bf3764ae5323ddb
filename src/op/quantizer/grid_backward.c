/* grid_backward.c: gradient of a format on its grids, for x and for a learned scale.
 *
 * x's gradient passes where the format does not clip.  A scale s enters y = s * clip(round(x / s)): with the rounding's
 * derivative taken as one, dy/ds is y / s - x / s inside of the range and y / s outside.  The usual formats have a loop
 * for both (learned.c); the others, here, sum in double in the order of the elements, one sum per group.
 */
#include <string.h>

#include "op/quantizer/families.h"

enum { PIECE = 256 };

/* n elements that lie together: all of one group, or rows of consecutive groups (channels last), row long. */
typedef struct piece {
    size_t at, n, group, row;
    bool uniform;
} piece;

static piece piece_at(const bli_groups *g, size_t at, size_t total)
{
    bool uniform = g->inner > 1 || g->count == 1;
    size_t run = g->count == 1 ? total : uniform ? g->inner : g->count;
    size_t left = run - at % run, group = bli_group_of(g, at);
    if (uniform || group > 0 || run > PIECE / 2)
        return (piece){at, left < PIECE ? left : PIECE, group, left < PIECE ? left : PIECE, uniform};
    size_t rows = PIECE / run, there = (total - at) / run;
    return (piece){at, (rows < there ? rows : there) * run, 0, run, false};
}

typedef struct walk {
    const bli_call *c;
    const bl_format *f;
    bli_grids g;
    const bli_stream *rng;
    uint64_t first;
    bool strict; /* LSQ: only what lies strictly between the end values is inside */
} walk;

/* A piece in double, which holds both carriers: its elements, their scales, values, and whether the format left them
 * alone (1 or 0). */
typedef struct terms {
    double x[PIECE], dy[PIECE], scale[PIECE], q[PIECE], pass[PIECE];
} terms;

static void inspect_f32(const walk *w, piece p, terms *t)
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
        bli_quantize_channels_f32(w->f, scale, zero, w->rng, first, x, out, p.n / p.row, p.row, 1, isa);
        bli_quantize_grad_channels_f32(w->f, scale, zero, w->rng, first, x, one, one, p.n / p.row, p.row, 1, isa);
    }
    for (size_t i = 0; i < p.n; i++) {
        t->q[i] = (double)out[i];
        t->pass[i] = (double)one[i];
    }
}

static void inspect_f64(const walk *w, piece p, terms *t)
{
    for (size_t i = 0; i < p.n; i++)
        t->pass[i] = 1;
    const double *x = (const double *)w->c->in[0].data + p.at, *scale = w->g.scale + p.group;
    const int64_t *zero = w->g.zero + p.group;
    uint64_t first = w->first + p.at;
    bli_isa isa = w->c->isa;
    if (p.uniform) {
        bli_quantize_f64(w->f, *scale, *zero, w->rng, first, x, t->q, p.n, isa);
        bli_quantize_grad_f64(w->f, *scale, *zero, w->rng, first, x, t->pass, t->pass, p.n, isa);
    } else {
        bli_quantize_channels_f64(w->f, scale, zero, w->rng, first, x, t->q, p.n / p.row, p.row, 1, isa);
        bli_quantize_grad_channels_f64(w->f, scale, zero, w->rng, first, x, t->pass, t->pass, p.n / p.row, p.row, 1,
                                       isa);
    }
}

/* LSQ: strictly between the end values, seen in the carrier. */
static void pass_strictly(const walk *w, piece p, terms *t)
{
    double lo, hi, step = bl_format_step(w->f);
    bli_code_bounds(w->f, &lo, &hi);
    lo *= step;
    hi *= step;
    if (w->c->in[0].type == BL_F64) {
        for (size_t i = 0; i < p.n; i++)
            t->pass[i] = ((t->x[i] / t->scale[i] > lo) & (t->x[i] / t->scale[i] < hi)) ? 1 : 0;
        return;
    }
    for (size_t i = 0; i < p.n; i++) {
        double v = (double)(float)(t->x[i] / t->scale[i]);
        t->pass[i] = ((v > lo) & (v < hi)) ? 1 : 0;
    }
}

/* q / scale, without the rounding of q to the carrier where values are codes. */
double bli_unscaled(const bl_format *f, double q, double scale)
{
    double step = bl_format_step(f);
    return bli_integer_coded(f) ? nearbyint(q / (scale * step)) * step : q / scale;
}

/* t->q becomes q / scale.  Adding 1.5 * 2^52 rounds to whole numbers without a call. */
static void unscale(const walk *w, piece p, terms *t)
{
    const double round = 0x1.8p52, step = bl_format_step(w->f);
    if (!bli_integer_coded(w->f)) {
        for (size_t i = 0; i < p.n; i++)
            t->q[i] /= t->scale[i];
        return;
    }
    for (size_t i = 0; i < p.n; i++)
        t->q[i] = (t->q[i] / (t->scale[i] * step) + round - round) * step;
}

/* Adds a piece's terms of d scale into sum, per group.  Of one group: in four lanes, then those. */
static void add_terms(const terms *t, piece p, double *sum)
{
    double term[PIECE], lane[4] = {0};
    for (size_t i = 0; i < p.n; i++) {
        double outside = t->q[i], inside = outside - t->x[i] / t->scale[i];
        term[i] = t->dy[i] * (t->pass[i] != 0 ? inside : outside);
    }
    for (size_t r = 0; !p.uniform && r < p.n; r += p.row)
        for (size_t i = 0; i < p.row; i++)
            sum[p.group + i] += term[r + i];
    for (size_t i = 0; p.uniform && i < p.n; i++)
        lane[i % 4] += term[i];
    if (p.uniform)
        sum[p.group] += (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void load(const walk *w, piece p, terms *t)
{
    if (w->c->in[0].type == BL_F64) {
        memcpy(t->x, (const double *)w->c->in[0].data + p.at, p.n * sizeof(*t->x));
        memcpy(t->dy, (const double *)w->c->grad_out[0].data + p.at, p.n * sizeof(*t->x));
        return;
    }
    const float *x = (const float *)w->c->in[0].data + p.at, *dy = (const float *)w->c->grad_out[0].data + p.at;
    for (size_t i = 0; i < p.n; i++) {
        t->x[i] = (double)x[i];
        t->dy[i] = (double)dy[i];
    }
}

static void store_dx(const walk *w, const terms *t, piece p)
{
    const bl_tensor *dx = &w->c->grad_in[0];
    if (dx->type == BL_F64) {
        for (size_t i = 0; i < p.n; i++)
            ((double *)dx->data)[p.at + i] = t->pass[i] != 0 ? t->dy[i] : 0;
        return;
    }
    float *out = (float *)dx->data + p.at;
    for (size_t i = 0; i < p.n; i++) {
        float dy = (float)t->dy[i];
        out[i] = t->pass[i] != 0 ? dy : 0;
    }
}

static void work_piece(const walk *w, piece p, double *sum)
{
    terms t;
    for (size_t r = 0; r < p.n; r += p.row)
        for (size_t i = 0; i < p.row; i++)
            t.scale[r + i] = w->g.scale[p.group + (p.uniform ? 0 : i)];
    load(w, p, &t);
    (w->c->in[0].type == BL_F64 ? inspect_f64 : inspect_f32)(w, p, &t);
    unscale(w, p, &t);
    if (w->strict)
        pass_strictly(w, p, &t);
    if (w->c->grad_in[0].data)
        store_dx(w, &t, p);
    if (w->c->grad_in[1].data)
        add_terms(&t, p, sum);
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

static void sums_of_pieces(const walk *w, double *sum)
{
    size_t n = bli_tensor_count(&w->c->in[0]);
    memset(sum, 0, w->g.groups.count * sizeof(*sum));
    for (size_t at = 0; at < n;) {
        piece p = piece_at(&w->g.groups, at, n);
        work_piece(w, p, sum);
        at += p.n;
    }
}

/* Codes with ties to even that saturate, few enough for the loop in this carrier. */
static bool has_loop(const bl_format *f, bl_dtype carrier)
{
    double step = bl_format_step(f);
    return (f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT) && f->rounding == BL_RND_CONV &&
           (f->overflow == BL_SAT || f->overflow == BL_SAT_SYM) && f->bits <= (carrier == BL_F64 ? 32 : 22) &&
           step >= 0x1p-60 && step <= 0x1p60;
}

static void sums_of_loop(const walk *w, double *sum)
{
    bl_dtype carrier = w->c->in[0].type;
    bli_code_grid grid = {.step = bl_format_step(w->f), .strict = w->strict};
    bli_code_bounds(w->f, &grid.least, &grid.greatest);
    bli_group_gradients(w->c, &(bli_group_gradient){
                                  .groups = w->g.groups,
                                  .back = bli_loops_get(w->c->isa, carrier)->grid_back,
                                  .grid = &grid,
                                  .scale = carrier == BL_F64 ? (const void *)w->g.scale : w->g.scale_f32,
                                  .sum = sum,
                              });
}

/* Both gradients of a learned scale's node.  Powers of two: d 2^round(log2 v) / d v = 2^round(log2 v) / v with the
 * rounding's derivative taken as one. */
static void learned_gradients(const walk *w, const bli_quant_spec *s, double factor)
{
    const bli_call *c = w->c;
    double *sum = w->g.scale + w->g.groups.count;
    size_t count = w->g.groups.count;
    if (has_loop(w->f, c->in[0].type))
        sums_of_loop(w, sum);
    else
        sums_of_pieces(w, sum);
    if (!c->grad_in[1].data)
        return;
    for (size_t g = 0; g < count; g++)
        sum[g] *= factor;
    bool one = bli_tensor_count(&c->in[1]) == 1;
    for (size_t g = 0; s->scale_rule == BLI_SCALE_LEARNED_PO2 && g < count; g++)
        sum[g] *= w->g.scale[g] / bli_usable_scale(bli_value_get(&c->in[1], one ? 0 : g));
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

/* Grids that change with the scale's training or with the data. */
static bl_status backward_grids(walk *w, const bli_quant_spec *s, double factor)
{
    const bli_call *c = w->c;
    BLI_TRY(bli_grid_resolve(c, s, &w->g));
    const bli_grids *g = &w->g;
    if (w->strict || (c->grad_in[1].data && bli_quant_needs_scale(s)))
        learned_gradients(w, s, factor);
    else if (c->grad_in[0].data && g->groups.count == 1)
        grad_all(w, g->scale[0], g->zero[0]);
    else if (c->grad_in[0].data)
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
