/* dorefa.c: DoReFa-Net, Zhou et al., arXiv:1606.06160.
 *
 * quantize_k(r) = round((2^k - 1) r) / (2^k - 1) with the gradient of the identity (equations 5 and 6).
 * Weights: r_o = 2 quantize_k(tanh(r_i) / (2 max |tanh(r_i)|) + 1/2) - 1 (equation 9), k = 1: sign(r_i) * mean |r_i|
 * (equation 7, gradient of the identity).  Activations: quantize_k(clip(r, 0, 1)) (equation 11), gradient in [0, 1].
 * The gradient of the weights' formula goes through tanh and through the maximum too (shared among equal maxima).
 * Parameters take the weights' rule, everything else that of activations.
 */
#include <math.h>

#include "num/kernels.h"
#include "op/quantizer/families.h"

enum { COLUMNS = 64 }; /* interleaved sums */

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

/* A float32 number in every carrier: evaluation tells codes and scales apart by it. */
static double step_of(const dorefa *o)
{
    return bli_carry(BL_F32, 1 / o->levels);
}

static const bli_loops *loops_of(const bli_call *c)
{
    return bli_loops_get(c->isa, c->in[0].type);
}

/* ---- activations --------------------------------------------------------------------------------------------- */
static void activations(const bli_call *c, const dorefa *o)
{
    loops_of(c)->unit_codes(c->in[0].data, o->levels, step_of(o), c->out[0].data, bli_tensor_count(&c->in[0]));
}

/* ---- weights ------------------------------------------------------------------------------------------------- */
/* tanh of the weights into scratch; the greatest magnitude, 1 if all are 0. */
static bl_tensor tanh_of(const bli_call *c, double *most)
{
    bl_tensor t = c->in[0];
    size_t n = bli_tensor_count(&t);
    t.data = c->scratch;
    loops_of(c)->tanh(c->in[0].data, t.data, n);
    *most = t.type == BL_F64 ? bli_num_kernels_f64_of[c->isa]->greatest_magnitude(t.data, n)
                             : (double)bli_num_kernels_f32_of[c->isa]->greatest_magnitude(t.data, n);
    *most = *most > 0 ? *most : 1;
    return t;
}

static size_t dorefa_scratch(const bli_call *c, const bli_quant_spec *s)
{
    return s->batched ? 0 : bli_tensor_count(&c->in[0]) * bl_dtype_size(c->in[0].type);
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
    const bl_tensor *x = &c->in[0];
    double mean = mean_magnitude(x);
    float mean_f32 = (float)mean;
    const void *scale = x->type == BL_F64 ? (const void *)&mean : &mean_f32;
    loops_of(c)->sign(x->data, -1, scale, true, c->out[0].data, bli_tensor_count(x));
}

static void weights(const bli_call *c, const dorefa *o)
{
    double most;
    bl_tensor t = tanh_of(c, &most);
    loops_of(c)->signed_codes(t.data, 2 * most, o->levels, step_of(o), c->out[0].data, bli_tensor_count(&t));
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

static double product_sum(const bli_call *c, const bl_tensor *a, const bl_tensor *b)
{
    double sum[COLUMNS] = {0}, products[COLUMNS] = {0}, total = 0;
    size_t n = bli_tensor_count(a), whole = n / COLUMNS * COLUMNS;
    loops_of(c)->column_moments(a->data, b->data, n / COLUMNS, COLUMNS, sum, products);
    for (size_t i = whole; i < n; i++)
        products[i - whole] += bli_value_get(a, i) * bli_value_get(b, i);
    for (size_t j = 0; j < COLUMNS; j++)
        total += products[j];
    return total;
}

static size_t count_magnitude(const bl_tensor *t, double most)
{
    size_t n = bli_tensor_count(t), count = 0;
    for (size_t i = 0; i < n; i++)
        count += fabs(bli_value_get(t, i)) == most;
    return count;
}

/* y_j = t_j / M up to the rounding: dt_j = dy_j / M, less sign(t_j) * sum(dy t) / M^2 where |t_j| = M. */
static void weights_gradient(const bli_call *c)
{
    double most;
    bl_tensor t = tanh_of(c, &most);
    double through_max = product_sum(c, &c->grad_out[0], &t) / (most * most);
    double share = through_max / (double)count_magnitude(&t, most); /* not used if there is none */
    loops_of(c)->signed_codes_back(t.data, c->grad_out[0].data, most, share, c->grad_in[0].data, bli_tensor_count(&t));
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
    *scale = !s->batched && o->bits == 1 ? mean_magnitude(&c->in[0]) : step_of(o);
    return BL_OK;
}

static bool dorefa_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    const dorefa *o = s->own;
    const double most = !s->batched && o->bits == 1 ? 1 : o->levels;
    *ends = (bli_code_ends){s->batched ? 0 : -most, most, 1};
    return true;
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
    .scratch = dorefa_scratch,
    .scales = dorefa_scales,
    .codes = dorefa_codes,
};
