/* grid.c: a number format on its grids: one scale for the tensor, for each channel or for each element, and one width
 * for all or for each element.
 *
 * The common case, one constant grid, goes straight to a kernel of num.  Everything else resolves the scales in force
 * into scratch (numbers, learned ones, or from the data) and then calls the kernels for channels.
 */
#include <math.h>
#include <string.h>

#include "op/quantizer/families.h"

size_t bli_grid_scratch(const bli_call *c, const bli_quant_spec *s)
{
    size_t count = bli_quant_grouping(s, &c->in[0].shape).count;
    return count * (2 * sizeof(double) + sizeof(int64_t) + sizeof(float));
}

/* Lays grids out in c->scratch, without values. */
static bli_grids place_grids(const bli_call *c, const bli_quant_spec *s)
{
    bli_grids g = {.groups = bli_quant_grouping(s, &c->in[0].shape), .scale = c->scratch};
    g.zero = (int64_t *)(g.scale + 2 * g.groups.count); /* the second row of doubles is for extremes and sums */
    g.scale_f32 = (float *)(g.zero + g.groups.count);
    return g;
}

bool bli_integer_coded(const bl_format *f)
{
    return f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT || f->kind == BL_FORMAT_AFFINE;
}

void bli_code_bounds(const bl_format *f, double *least, double *greatest)
{
    *greatest = ldexp(1, f->bits - (f->is_signed ? 1 : 0)) - 1;
    *least = f->is_signed ? (f->overflow == BL_SAT_SYM ? -*greatest : -*greatest - 1) : 0;
}

bli_stream bli_quant_stream(const bli_call *c)
{
    return bli_stream_make(c->seed, c->step, c->node->name);
}

/* ---- scales ------------------------------------------------------------------------------------------------- */
static double covering_po2(double v)
{
    int e;
    double m = frexp(v, &e);
    return ldexp(1, m == 0.5 ? e - 1 : e);
}

static void learned(const bli_call *c, const bli_quant_spec *s, bli_grids *g)
{
    bool one = bli_tensor_count(&c->in[1]) == 1;
    for (size_t i = 0; i < g->groups.count; i++) {
        double scale = bli_usable_scale(bli_value_get(&c->in[1], one ? 0 : i));
        g->scale[i] = s->scale_rule == BLI_SCALE_LEARNED_PO2 ? bli_nearest_po2(scale) : scale;
        g->zero[i] = s->zero_point;
    }
}

/* Least (at most 0) into g->scale, greatest (at least 0) into the row behind it. */
static void extremes(const bl_tensor *x, bli_grids *g)
{
    double *least = g->scale, *greatest = g->scale + g->groups.count;
    memset(least, 0, 2 * g->groups.count * sizeof(*least));
    size_t n = bli_tensor_count(x);
    bli_group_walk walk = bli_group_first(&g->groups);
    for (size_t i = 0; i < n; i++) {
        double v = bli_value_get(x, i);
        size_t k = bli_group_next(&walk);
        if (v < least[k] && isfinite(v))
            least[k] = v;
        if (v > greatest[k] && isfinite(v))
            greatest[k] = v;
    }
}

static void affine_grid(const bli_quant_spec *s, double least, double greatest, bl_dtype carrier, double *scale,
                        int64_t *zero)
{
    double lo, hi;
    bli_code_bounds(&s->format, &lo, &hi);
    *scale = bli_carry(carrier, (greatest - least) / (hi - lo));
    if (*scale > 0)
        *zero = (int64_t)fmin(fmax(lo - nearbyint(least / *scale), lo), hi);
}

static void from_extremes(const bli_quant_spec *s, bl_dtype carrier, bli_grids *g)
{
    double lo, hi;
    bl_format_bounds(&s->format, &lo, &hi);
    for (size_t i = 0; i < g->groups.count; i++) {
        double least = g->scale[i], greatest = g->scale[g->groups.count + i], scale = fmax(-least, greatest) / hi;
        g->zero[i] = s->zero_point;
        if (s->scale_rule == BLI_SCALE_PO2)
            scale = covering_po2(scale);
        else if (s->format.kind == BL_FORMAT_AFFINE)
            affine_grid(s, least, greatest, carrier, &scale, &g->zero[i]);
        scale = bli_carry(carrier, scale);
        g->scale[i] = scale > 0 ? bli_usable_scale(scale) : 1;
    }
}

bl_status bli_grid_resolve(const bli_call *c, const bli_quant_spec *s, bli_grids *grids)
{
    *grids = place_grids(c, s);
    if (bli_quant_needs_scale(s)) {
        if (!c->in[1].data)
            return bli_fail(c->ctx, BL_BAD_MODEL, "the learned scale (input 1) is absent");
        learned(c, s, grids);
    } else if (s->scale_rule == BLI_SCALE_NUMBER) {
        for (size_t g = 0; g < grids->groups.count; g++) {
            grids->scale[g] = s->scale;
            grids->zero[g] = s->zero_point;
        }
    } else {
        extremes(&c->in[0], grids);
        from_extremes(s, c->in[0].type, grids);
    }
    for (size_t g = 0; g < grids->groups.count; g++)
        grids->scale_f32[g] = (float)grids->scale[g];
    return BL_OK;
}

bl_status bli_grid_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    bli_grids g;
    BLI_TRY(bli_grid_resolve(c, s, &g));
    memcpy(scale, g.scale, g.groups.count * sizeof(*scale));
    return BL_OK;
}

/* ---- forward ------------------------------------------------------------------------------------------------ */
static void quantize_all(const bli_call *c, const bli_quant_spec *s, double scale, int64_t zero)
{
    bli_stream stream;
    const bli_stream *rng = NULL;
    if (s->format.rounding == BL_STOCHASTIC && c->training) {
        stream = bli_quant_stream(c);
        rng = &stream;
    }
    const bl_tensor *x = &c->in[0], *y = &c->out[0];
    size_t n = bli_tensor_count(x);
    if (x->type == BL_F64)
        bli_quantize_f64(&s->format, scale, zero, rng, bli_quant_first(c, s), x->data, y->data, n, c->isa);
    else
        bli_quantize_f32(&s->format, scale, zero, rng, bli_quant_first(c, s), x->data, y->data, n, c->isa);
}

bl_status bli_grid_apply(const bli_call *c, const bli_quant_spec *s, const bli_grids *g)
{
    if (g->groups.count == 1) {
        quantize_all(c, s, g->scale[0], g->zero[0]);
        return BL_OK;
    }
    bli_stream stream = bli_quant_stream(c);
    const bli_stream *rng = s->format.rounding == BL_STOCHASTIC && c->training ? &stream : NULL;
    const bl_tensor *x = &c->in[0], *y = &c->out[0];
    uint64_t first = bli_quant_first(c, s);
    size_t n = bli_tensor_count(x), channels = g->groups.count, inner = g->groups.inner;
    if (n == 0)
        return BL_OK;
    if (x->type == BL_F64)
        bli_quantize_channels_f64(&s->format, g->scale, g->zero, rng, first, x->data, y->data, n / channels / inner,
                                  channels, inner, c->isa);
    else
        bli_quantize_channels_f32(&s->format, g->scale_f32, g->zero, rng, first, x->data, y->data, n / channels / inner,
                                  channels, inner, c->isa);
    return BL_OK;
}

bl_status bli_grid_forward(const bli_call *c, const bli_quant_spec *s)
{
    if (c->in[2].data)
        return bli_widths_forward(c, s);
    if (s->format.kind == BL_FORMAT_MX)
        return bli_mx_forward(c, s);
    if (s->scale_rule == BLI_SCALE_NUMBER && !bli_quant_needs_scale(s)) {
        quantize_all(c, s, s->scale, s->zero_point);
        return BL_OK;
    }
    bli_grids g;
    BLI_TRY(bli_grid_resolve(c, s, &g));
    return bli_grid_apply(c, s, &g);
}

/* ---- backward ----------------------------------------------------------------------------------------------- */
void bli_mask_gradient(const bl_tensor *x, const bl_tensor *dy, const bl_tensor *dx, double lo, double hi)
{
    size_t n = bli_tensor_count(x);
    if (x->type == BL_F64) {
        const double *xs = x->data, *g = dy->data;
        double *out = dx->data;
        for (size_t i = 0; i < n; i++) {
            double v = g[i]; /* loaded in any case, so that the loop has no branch */
            out[i] = ((xs[i] >= lo) & (xs[i] <= hi)) ? v : 0.0;
        }
        return;
    }
    const float *xs = x->data, *g = dy->data, least = (float)lo, greatest = (float)hi;
    float *out = dx->data;
    for (size_t i = 0; i < n; i++) {
        float v = g[i];
        out[i] = ((xs[i] >= least) & (xs[i] <= greatest)) ? v : 0.0f;
    }
}

void bli_pass_gradient(const bl_tensor *dy, const bl_tensor *dx)
{
    if (dx->data != dy->data && bli_tensor_count(dy) > 0)
        memcpy(dx->data, dy->data, bli_tensor_count(dy) * bl_dtype_size(dy->type));
}
