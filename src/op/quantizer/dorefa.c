/* dorefa.c: DoReFa-Net, Zhou et al., arXiv:1606.06160.
 *
 * quantize_k(r) = round((2^k - 1) r) / (2^k - 1) with the gradient of the identity (equations 5 and 6).
 * Weights: r_o = 2 quantize_k(tanh(r_i) / (2 max |tanh(r_i)|) + 1/2) - 1 (equation 9), k = 1: sign(r_i) * mean |r_i|
 * (equation 7, gradient of the identity).  Activations: quantize_k(clip(r, 0, 1)) (equation 11), gradient in [0, 1].
 * The gradient of the weights' formula goes through tanh and through the maximum too (shared among equal maxima).
 * Parameters take the weights' rule, everything else that of activations.
 */
#include <math.h>

#include "op/quantizer/families.h"

typedef struct dorefa {
    int64_t bits;
    double levels; /* 2^k - 1 */
} dorefa;

static const bli_attr_spec options[] = {{"bits", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};

static bl_status dorefa_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    dorefa *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    BLI_TRY(bli_option_int(ctx, n, "bits", 8, 1, 22, &o->bits));
    o->levels = ldexp(1, (int)o->bits) - 1;
    s->own = o;
    return BL_OK;
}

static double step_of(const dorefa *o, bl_dtype t)
{
    return bli_carry(t, 1 / o->levels);
}

/* quantize_k's code of r in [0, 1]. */
static double code_of(const dorefa *o, bl_dtype t, double r)
{
    return nearbyint(bli_carry(t, r * o->levels));
}

/* ---- activations --------------------------------------------------------------------------------------------- */
static void activations(const bli_call *c, const dorefa *o)
{
    bl_dtype t = c->in[0].type;
    size_t n = bli_tensor_count(&c->in[0]);
    double step = step_of(o, t);
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i);
        bli_value_set(&c->out[0], i, code_of(o, t, x > 0 ? fmin(x, 1) : 0) * step);
    }
}

/* ---- weights ------------------------------------------------------------------------------------------------- */
static double tanh_at(const bl_tensor *x, size_t i)
{
    return bli_carry(x->type, tanh(bli_value_get(x, i)));
}

static double greatest_tanh(const bl_tensor *x, size_t *ties)
{
    double m = 0;
    size_t n = bli_tensor_count(x);
    *ties = 0;
    for (size_t i = 0; i < n; i++) {
        double t = fabs(tanh_at(x, i));
        if (t > m)
            *ties = 0;
        m = t > m ? t : m;
        *ties += t == m;
    }
    return m;
}

static double mean_magnitude(const bl_tensor *x)
{
    double sum = 0;
    size_t n = bli_tensor_count(x);
    for (size_t i = 0; i < n; i++)
        sum += bli_finite_magnitude(bli_value_get(x, i));
    return n ? bli_carry(x->type, sum / (double)n) : 0;
}

static void weights_binary(const bli_call *c)
{
    double scale = mean_magnitude(&c->in[0]);
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++)
        bli_value_set(&c->out[0], i, bli_value_get(&c->in[0], i) < 0 ? -scale : scale);
}

static void weights(const bli_call *c, const dorefa *o)
{
    const bl_tensor *x = &c->in[0];
    bl_dtype t = x->type;
    size_t n = bli_tensor_count(x), ties;
    double step = step_of(o, t), m = greatest_tanh(x, &ties);
    for (size_t i = 0; i < n; i++) {
        double r = m > 0 ? bli_carry(t, tanh_at(x, i) / (2 * m)) : 0;
        double code = code_of(o, t, bli_carry(t, (isnan(r) ? 0 : r) + 0.5));
        bli_value_set(&c->out[0], i, (2 * code - o->levels) * step);
    }
}

static bl_status dorefa_forward(const bli_call *c, const bli_quant_spec *s)
{
    const dorefa *o = s->own;
    if (s->batched)
        activations(c, o);
    else if (o->bits == 1)
        weights_binary(c);
    else
        weights(c, o);
    return BL_OK;
}

/* y_j = t_j / M up to the rounding: dt_j = dy_j / M, less sign(t_j) * sum(dy t) / M^2 where |t_j| = M. */
static void weights_gradient(const bli_call *c)
{
    const bl_tensor *x = &c->in[0], *dy = &c->grad_out[0];
    size_t n = bli_tensor_count(x), ties;
    double m = greatest_tanh(x, &ties), through_max = 0;
    if (m == 0)
        m = 1;
    for (size_t i = 0; i < n; i++)
        through_max += bli_value_get(dy, i) * tanh_at(x, i) / (m * m);
    for (size_t i = 0; i < n; i++) {
        double t = tanh_at(x, i), dt = bli_value_get(dy, i) / m;
        if (fabs(t) == m)
            dt -= (t < 0 ? -through_max : through_max) / (double)ties;
        bli_value_set(&c->grad_in[0], i, dt * (1 - t * t));
    }
}

static bl_status dorefa_backward(const bli_call *c, const bli_quant_spec *s)
{
    const dorefa *o = s->own;
    if (!c->grad_in[0].data)
        return BL_OK;
    if (s->batched)
        bli_mask_gradient(&c->in[0], &c->grad_out[0], &c->grad_in[0], 0, 1);
    else if (o->bits == 1)
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    else
        weights_gradient(c);
    return BL_OK;
}

static bl_status dorefa_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    const dorefa *o = s->own;
    *scale = !s->batched && o->bits == 1 ? mean_magnitude(&c->in[0]) : step_of(o, c->in[0].type);
    return BL_OK;
}

static void dorefa_range(bli_range_call *r, const bli_quant_spec *s)
{
    const dorefa *o = s->own;
    if (s->batched && o->bits == 1)
        r->range_out[0] = (bli_range){true, 0, 0, 1};
}

const bli_quantizer bli_quantizer_dorefa = {
    .name = "dorefa",
    .help = "weights: tanh, normalised, k bits; activations: k bits of [0, 1]",
    .source = "arXiv:1606.06160",
    .attrs = options,
    .setup = dorefa_setup,
    .forward = dorefa_forward,
    .backward = dorefa_backward,
    .range = dorefa_range,
    .scales = dorefa_scales,
};
