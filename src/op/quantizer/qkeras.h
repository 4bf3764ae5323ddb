/* qkeras.h: what QKeras' quantizers have in common.
 *
 * Values are those of QKeras 0.9.0 (github.com/google/qkeras, quantizers.py), computed in the carrier as it computes in
 * float32; what it adds as x + stop_gradient(q - x) is q here, so that values stay on the grid.  Means are summed in
 * double and rounded to the carrier once.
 */
#ifndef BLI_QUANTIZER_QKERAS_H
#define BLI_QUANTIZER_QKERAS_H

#include <string.h>

#include "op/quantizer/families.h"

#define BLI_QKERAS "QKeras 0.9.0"

/* K.epsilon() as float32. */
#define BLI_QKERAS_EPSILON ((double)1e-7f)

/* ---- sigmoids ------------------------------------------------------------------------------------------------- */
typedef enum bli_sigmoid { BLI_SIGMOID_HARD, BLI_SIGMOID_SMOOTH, BLI_SIGMOID_REAL } bli_sigmoid;
/* Option "sigmoid", what QKeras' set_internal_sigmoid chooses: hard, smooth, real. */
BL_MUST_CHECK bl_status bli_sigmoid_option(bl_context *ctx, const bl_node *n, bli_sigmoid *out);
double bli_sigmoid_value(bli_sigmoid kind, double x, bl_dtype t);
double bli_sigmoid_slope(bli_sigmoid kind, double x, bl_dtype t);

/* ---- rounding ------------------------------------------------------------------------------------------------- */
/* Random bits of a call, when its quantizer draws and the call trains; element i of the call. */
typedef struct bli_draws {
    bool draw;
    bli_stream stream, second; /* two draws per element */
    uint64_t first;
} bli_draws;
bli_draws bli_draws_make(const bli_call *c, const bli_quant_spec *s, bool stochastic);
static inline double bli_draws_unit(const bli_stream *stream, uint64_t index)
{
    return (double)bli_unit_float(bli_stream_u32(stream, index));
}
/* tf.round: nearest, ties to even; drawing: up with the fraction's probability. */
double bli_draws_round(const bli_draws *d, size_t i, double v);

/* ---- scales from the data --------------------------------------------------------------------------------------- */
/* Four doubles per channel. */
typedef struct bli_channels {
    bli_groups groups;
    double *scale, *old, *a, *b;
} bli_channels;
size_t bli_channels_scratch(const bli_call *c, const bli_quant_spec *s);
bli_channels bli_channels_place(const bli_call *c, const bli_quant_spec *s);
/* max |x| of each channel (NaN and infinities left out) into out. */
void bli_channels_max(const bl_tensor *x, const bli_groups *g, double *out);
/* Standard deviation of each channel into ch->old; uses a and b. */
void bli_channels_deviation(const bl_tensor *x, bli_channels *ch);
/* The code of x, given the scale in force. */
typedef double (*bli_code_fn)(const void *own, double x, double scale, size_t i);
/* round(log2(scale + epsilon)) as a power of two. */
double bli_qkeras_po2(double scale, bl_dtype t);
/* Writes the scales of a quantizer whose groups may be fewer than the node's. */
void bli_channels_store(const bli_call *c, const bli_quant_spec *s, const bli_channels *ch, double *scale);

/* alpha auto or auto_po2: scales per channel unless the recipe says granularity; refuses a bad scale_axis. */
static inline bool bli_alpha_auto(const bli_alpha *a)
{
    return a->kind == BLI_ALPHA_AUTO || a->kind == BLI_ALPHA_AUTO_PO2;
}
BL_MUST_CHECK bl_status bli_alpha_channels(bl_context *ctx, const bl_node *n, bli_quant_spec *s);

/* Option negative_slope: 0 or a power of two, as QKeras demands. */
BL_MUST_CHECK bl_status bli_slope_option(bl_context *ctx, const bl_node *n, double *out);
/* relu's gradient (leaky with a slope) up to and including pass, 0 above. */
void bli_relu_gradient(const bli_call *c, double slope, double pass);
/* dx = dy * (1 - tanh(x)^2): binary and ternary without alpha. */
void bli_tanh_gradient(const bli_call *c);
/* y = ch->scale * (1 for x >= 0 and NaN, low for x < 0); overwrites ch->old. */
void bli_channels_sign(const bli_call *c, const bli_channels *ch, double low);

/* _get_scale: least squares, mean(x q) / (mean(q q) + epsilon), with q = code(x, old); power of two if po2.
 * Here, so that the code function is inlined. */
static inline void bli_least_squares(const bl_tensor *x, bli_channels *ch, bli_code_fn code, const void *own, bool po2)
{
    const bli_groups *g = &ch->groups;
    bl_dtype t = x->type;
    size_t n = bli_tensor_count(x);
    double per = (double)n / (double)g->count;
    memset(ch->a, 0, 2 * g->count * sizeof(*ch->a));
    bli_group_walk walk = bli_group_first(g);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        double v = bli_value_get(x, i), q = code(own, v, ch->old[k], i);
        if (!isfinite(v))
            continue;
        ch->a[k] += v * q;
        ch->b[k] += q * q;
    }
    for (size_t k = 0; k < g->count; k++) {
        double qx = bli_carry(t, ch->a[k] / per), qq = bli_carry(t, ch->b[k] / per);
        double scale = bli_carry(t, qx / bli_carry(t, qq + BLI_QKERAS_EPSILON));
        ch->scale[k] = po2 ? bli_qkeras_po2(scale, t) : scale;
    }
}

#endif
