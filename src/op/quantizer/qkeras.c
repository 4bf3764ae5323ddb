/* qkeras.c: what QKeras' quantizers have in common: sigmoids, draws, and scales from the data. */
#include "op/quantizer/qkeras.h"

#include <float.h>
#include <string.h>

#include "num/functions.h"

/* ---- sigmoids ------------------------------------------------------------------------------------------------- */
bl_status bli_sigmoid_option(bl_context *ctx, const bl_node *n, bli_sigmoid *out)
{
    static const char *const names[] = {"hard", "smooth", "real"};
    const char *text = bl_node_string(n, "sigmoid", "hard");
    for (size_t i = 0; i < BLI_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (bli_sigmoid)i;
            return BL_OK;
        }
    }
    return bli_fail(ctx, BL_BAD_VALUE, "attribute sigmoid: '%s' is none of hard, smooth, real", text);
}

double bli_sigmoid_value(bli_sigmoid kind, double x, bl_dtype t)
{
    if (kind == BLI_SIGMOID_REAL)
        return bli_carry(t, bli_fn_sigmoid(x));
    double slope = kind == BLI_SIGMOID_HARD ? 0.5 : 0.1875;
    double v = bli_carry(t, bli_carry(t, slope * x) + 0.5);
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

double bli_sigmoid_slope(bli_sigmoid kind, double x, bl_dtype t)
{
    if (kind == BLI_SIGMOID_REAL) {
        double s = bli_sigmoid_value(kind, x, t);
        return bli_carry(t, s * bli_carry(t, 1 - s));
    }
    double slope = kind == BLI_SIGMOID_HARD ? 0.5 : 0.1875;
    double v = bli_carry(t, bli_carry(t, slope * x) + 0.5);
    return v >= 0 && v <= 1 ? slope : 0;
}

/* ---- rounding ------------------------------------------------------------------------------------------------- */
bli_draws bli_draws_make(const bli_call *c, const bli_quant_spec *s, bool stochastic)
{
    bli_draws d = {.draw = stochastic && c->training, .first = bli_quant_first(c, s)};
    d.stream = bli_quant_stream(c);
    d.second = bli_stream_make(c->seed, c->step ^ (UINT64_C(1) << 63), c->node->name);
    return d;
}

double bli_draws_round(const bli_draws *d, size_t i, double v)
{
    if (!d->draw || !isfinite(v))
        return nearbyint(v);
    double low = floor(v);
    return bli_draws_unit(&d->stream, d->first + i) < v - low ? low + 1 : low;
}

/* ---- scales --------------------------------------------------------------------------------------------------- */
int bli_nearest_exponent(double v)
{
    int e;
    double m = frexp(v, &e);
    return m >= M_SQRT1_2 ? e : e - 1;
}

/* Channels of a parameter: along spec->axis; all of it for rank 0 and 1, or when the recipe says granularity tensor. */
static bli_groups groups_of(const bli_call *c, const bli_quant_spec *s)
{
    const bl_shape *x = &c->in[0].shape;
    return x->rank <= 1 ? (bli_groups){1, 1} : bli_quant_grouping(s, x);
}

size_t bli_channels_scratch(const bli_call *c, const bli_quant_spec *s)
{
    return groups_of(c, s).count * 4 * sizeof(double);
}

bli_channels bli_channels_place(const bli_call *c, const bli_quant_spec *s)
{
    bli_channels ch = {.groups = groups_of(c, s), .scale = c->scratch};
    ch.old = ch.scale + ch.groups.count;
    ch.a = ch.old + ch.groups.count;
    ch.b = ch.a + ch.groups.count;
    return ch;
}

void bli_channels_max(const bl_tensor *x, const bli_groups *g, double *out)
{
    memset(out, 0, g->count * sizeof(*out));
    size_t n = bli_tensor_count(x);
    bli_group_walk walk = bli_group_first(g);
    for (size_t i = 0; i < n; i++) {
        double v = fabs(bli_value_get(x, i));
        size_t k = bli_group_next(&walk);
        if (v > out[k] && isfinite(v))
            out[k] = v;
    }
}

void bli_channels_deviation(const bl_tensor *x, bli_channels *ch)
{
    const bli_groups *g = &ch->groups;
    size_t n = bli_tensor_count(x);
    double per = (double)n / (double)g->count;
    memset(ch->a, 0, 2 * g->count * sizeof(*ch->a));
    bli_group_walk walk = bli_group_first(g);
    for (size_t i = 0; i < n; i++) {
        size_t group = bli_group_next(&walk);
        double v = bli_value_get(x, i);
        ch->a[group] += isfinite(v) ? v / per : 0;
    }
    walk = bli_group_first(g);
    for (size_t i = 0; i < n; i++) {
        size_t group = bli_group_next(&walk);
        double v = bli_value_get(x, i), d = v - ch->a[group];
        ch->b[group] += isfinite(v) ? d * d / per : 0;
    }
    for (size_t k = 0; k < g->count; k++)
        ch->old[k] = bli_carry(x->type, sqrt(ch->b[k]));
}

double bli_qkeras_po2(double scale, bl_dtype t)
{
    return bli_nearest_po2(bli_carry(t, scale + BLI_QKERAS_EPSILON));
}

void bli_channels_store(const bli_call *c, const bli_quant_spec *s, const bli_channels *ch, double *scale)
{
    int64_t groups = bli_quant_groups(s, &c->in[0].shape);
    for (int64_t k = 0; k < groups; k++)
        scale[k] = ch->scale[ch->groups.count == 1 ? 0 : k];
}

bl_status bli_alpha_channels(bl_context *ctx, const bl_node *n, bli_quant_spec *s)
{
    const bl_attr *axis = bl_node_attr(n, "scale_axis");
    if (axis && bl_node_attr(n, "axis"))
        return bli_fail(ctx, BL_BAD_VALUE, "attributes axis and scale_axis say the same thing: give one");
    if (axis) {
        int64_t at;
        BLI_TRY(bli_option_int(ctx, n, "scale_axis", -1, -BL_MAX_RANK, BL_MAX_RANK - 1, &at));
        s->axis = (int)at;
    }
    if (!bl_node_attr(n, "granularity"))
        s->granularity = BLI_PER_CHANNEL;
    if (s->granularity == BLI_PER_ELEMENT)
        return bli_fail(ctx, BL_BAD_VALUE, "alpha from the data goes with granularity tensor or channel");
    return BL_OK;
}

bl_status bli_slope_option(bl_context *ctx, const bl_node *n, double *out)
{
    int e;
    *out = bl_node_float(n, "negative_slope", 0);
    if (*out == 0 || (*out > 0 && *out <= 1 && frexp(*out, &e) == 0.5))
        return BL_OK;
    return bli_fail(ctx, BL_BAD_VALUE, "attribute negative_slope: %g is neither 0 nor a power of two up to 1", *out);
}

void bli_relu_gradient(const bli_call *c, double slope, double pass)
{
    const bl_tensor *x = &c->in[0], *dy = &c->grad_out[0], *dx = &c->grad_in[0];
    if (slope == 0) { /* x > 0 is x >= the least positive number */
        bli_mask_gradient(x, dy, dx, x->type == BL_F64 ? (double)DBL_TRUE_MIN : (double)FLT_TRUE_MIN, pass);
        return;
    }
    size_t n = bli_tensor_count(x);
    for (size_t i = 0; i < n; i++) {
        double v = bli_value_get(x, i), g = bli_value_get(dy, i);
        bli_value_set(dx, i, !(v <= pass) ? 0 : v > 0 ? g : slope * g);
    }
}

void bli_tanh_gradient(const bli_call *c)
{
    bli_loops_get(c->isa, c->in[0].type)
        ->tanh_back(c->in[0].data, c->grad_out[0].data, c->grad_in[0].data, bli_tensor_count(&c->in[0]));
}

void bli_channels_sign(const bli_call *c, const bli_channels *ch, double low)
{
    const bl_tensor *x = &c->in[0], *y = &c->out[0], scales = {.type = x->type, .data = ch->old};
    const bli_groups *g = &ch->groups;
    const size_t n = bli_tensor_count(x), size = bl_dtype_size(x->type);
    const bool row = g->count > 1 && g->inner == 1;
    const size_t run = g->count == 1 ? n : row ? g->count : g->inner;
    for (size_t k = 0; k < g->count; k++)
        bli_value_set(&scales, k, ch->scale[k]);
    for (size_t at = 0; at < n; at += run) {
        const void *scale = (const char *)scales.data + (row ? 0 : at / run % g->count * size);
        bli_loops_get(c->isa, x->type)
            ->sign((const char *)x->data + at * size, low, scale, !row, (char *)y->data + at * size, run);
    }
}
