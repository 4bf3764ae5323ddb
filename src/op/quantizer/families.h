/* families.h: the quantizers that op/quantizers.c lists, and the helpers that their files share.
 *
 * Everything here works on one call of a Quantize node.  Values are read and written through double, which holds both
 * carriers exactly; bli_carry rounds an intermediate to the carrier where a definition computes in it.
 */
#ifndef BLI_QUANTIZER_FAMILIES_H
#define BLI_QUANTIZER_FAMILIES_H

#include <math.h>

#include "num/num.h"
#include "op/kernels/loops.h"
#include "op/quantizer.h"

extern const bli_quantizer bli_quantizer_ste, bli_quantizer_lsq, bli_quantizer_pact, bli_quantizer_dorefa,
    bli_quantizer_xnor, bli_quantizer_quantized_bits, bli_quantizer_quantized_relu, bli_quantizer_quantized_tanh,
    bli_quantizer_quantized_sigmoid, bli_quantizer_quantized_po2, bli_quantizer_quantized_relu_po2,
    bli_quantizer_binary, bli_quantizer_ternary, bli_quantizer_stochastic_binary, bli_quantizer_stochastic_ternary,
    bli_quantizer_bernoulli;

/* ---- elements ------------------------------------------------------------------------------------------------ */
static inline double bli_value_get(const bl_tensor *t, size_t i)
{
    return t->type == BL_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}
static inline void bli_value_set(const bl_tensor *t, size_t i, double v)
{
    if (t->type == BL_F64)
        ((double *)t->data)[i] = v;
    else
        ((float *)t->data)[i] = (float)v;
}
/* Rounded to the carrier: one float32 operation computed in double and carried gives float32's own result, since
 * 53 >= 2 * 24 + 2. */
static inline double bli_carry(bl_dtype t, double v)
{
    return t == BL_F64 ? v : (double)(float)v;
}
static inline size_t bli_tensor_count(const bl_tensor *t)
{
    return (size_t)bl_shape_count(&t->shape);
}
/* Random index of the call's first element. */
uint64_t bli_quant_first(const bli_call *c, const bli_quant_spec *s);

/* The exponent of the power of two nearest to v > 0 in the logarithm, round(log2 v).  sqrt(1/2) is no double, and the
 * constant lies above it, so that the comparison is exact. */
int bli_nearest_exponent(double v);
static inline double bli_nearest_po2(double v)
{
    return ldexp(1, bli_nearest_exponent(v));
}

/* |v| for sums over a tensor, in which NaN and infinities count as nothing. */
static inline double bli_finite_magnitude(double v)
{
    return isfinite(v) ? fabs(v) : 0;
}

/* ---- groups: which scale, which width an element has --------------------------------------------------------- */
/* Group of element i of x: (i / inner) % count. */
typedef struct bli_groups {
    size_t inner, count;
} bli_groups;
bli_groups bli_quant_grouping(const bli_quant_spec *s, const bl_shape *x);
static inline size_t bli_group_of(const bli_groups *g, size_t i)
{
    return (i / g->inner) % g->count;
}
/* The groups of elements 0, 1, 2, ... in turn, without dividing. */
typedef struct bli_group_walk {
    size_t inner, count, within, group;
} bli_group_walk;
static inline bli_group_walk bli_group_first(const bli_groups *g)
{
    return (bli_group_walk){g->inner, g->count, 0, 0};
}
static inline size_t bli_group_next(bli_group_walk *w)
{
    size_t group = w->group;
    if (++w->within == w->inner) {
        w->within = 0;
        w->group = group + 1 == w->count ? 0 : group + 1;
    }
    return group;
}

/* ---- formats on a grid of scales (grid.c) -------------------------------------------------------------------- */
/* The scales and zero points in force for one call, one per group. */
typedef struct bli_grids {
    bli_groups groups;
    double *scale;
    float *scale_f32;
    int64_t *zero;
} bli_grids;
/* Scratch that the functions below need. */
size_t bli_grid_scratch(const bli_call *c, const bli_quant_spec *s);
bl_status bli_grid_resolve(const bli_call *c, const bli_quant_spec *s, bli_grids *grids);
/* y = x brought into s->format with the call's grids and widths. */
bl_status bli_grid_forward(const bli_call *c, const bli_quant_spec *s);
bl_status bli_grid_apply(const bli_call *c, const bli_quant_spec *s, const bli_grids *grids);
/* dx = dy where the format does not clip, 0 elsewhere; d scale = sum of dy * (q - x) / scale inside, dy * q / scale
 * outside. */
bl_status bli_grid_backward(const bli_call *c, const bli_quant_spec *s);
double bli_unscaled(const bl_format *f, double q, double scale);
/* LSQ's: inside is strictly between the end values; d scale times factor. */
bl_status bli_grid_backward_strict(const bli_call *c, const bli_quant_spec *s, double factor);
/* dx (if wanted) and the sums of a learned number's gradient, one per group (learned.c). */
typedef struct bli_group_gradient {
    bli_groups groups;
    bli_scaled_back *back;
    const bli_code_grid *grid;
    const void *scale; /* one per group, in the carrier */
    double *sum;       /* to fill */
} bli_group_gradient;
void bli_group_gradients(const bli_call *c, const bli_group_gradient *g);
/* The gradient of input 1 from one sum per group (a scalar input takes their total). */
void bli_store_scale_gradient(const bli_call *c, const double *sum, size_t count);
/* The same with a width per element (widths.c), and mx blocks along any axis (mx.c). */
bl_status bli_widths_forward(const bli_call *c, const bli_quant_spec *s);
bl_status bli_widths_backward(const bli_call *c, const bli_quant_spec *s);
double bli_width_value(const bl_tensor *bits, size_t i);
bl_status bli_mx_forward(const bli_call *c, const bli_quant_spec *s);
bl_status bli_mx_backward(const bli_call *c, const bli_quant_spec *s);
bl_status bli_grid_scales(const bli_call *c, const bli_quant_spec *s, double *scale);
/* LSQ's first scale, 2 mean|x| / sqrt(greatest code), for any format. */
bl_status bli_grid_init_scale(const bli_call *c, const bli_quant_spec *s, double *scale);
void bli_grid_range(bli_range_call *r, const bli_quant_spec *s);
bool bli_grid_codes(const bli_quant_spec *s, bli_code_ends *ends);
/* Range of a format with a constant scale. */
void bli_format_range(bli_range_call *r, const bl_format *f, double scale, int64_t zero);
/* dx = dy where lo <= x <= hi, else 0. */
void bli_mask_gradient(const bl_tensor *x, const bl_tensor *dy, const bl_tensor *dx, double lo, double hi);
/* dx = dy. */
void bli_pass_gradient(const bl_tensor *dy, const bl_tensor *dx);
/* Codes' least and greatest of an integer-coded format. */
void bli_code_bounds(const bl_format *f, double *least, double *greatest);
bool bli_integer_coded(const bl_format *f);
/* The stream of the call's random numbers. */
bli_stream bli_quant_stream(const bli_call *c);
/* A learned scale as it is used: training may drive it to zero or below, which would end the grid. */
static inline double bli_usable_scale(double scale)
{
    return scale > 0x1p-60 ? (scale < 0x1p60 ? scale : 0x1p60) : 0x1p-60;
}

/* ---- options ------------------------------------------------------------------------------------------------- */
BL_MUST_CHECK bl_status bli_alpha_parse(bl_context *ctx, const bl_node *n, bli_alpha *out);
/* Integer attribute in [least, greatest], else BL_BAD_VALUE with its name. */
BL_MUST_CHECK bl_status bli_option_int(bl_context *ctx, const bl_node *n, const char *name, int64_t fallback,
                                       int64_t least, int64_t greatest, int64_t *out);

#endif
