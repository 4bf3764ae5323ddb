/* pact.c: parameterised clipping activation, Choi et al., arXiv:1805.06085.
 *
 * y = clip(x, 0, alpha) (equation 1), y_q = round(y * (2^k - 1) / alpha) * alpha / (2^k - 1) (equation 2); the gradient
 * of alpha is 1 where x >= alpha, else 0 (equation 3).  Input 1 is alpha, per tensor or per channel.
 */
#include <math.h>
#include <string.h>

#include "op/quantizer/families.h"

static bl_status pact_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    (void)n, (void)arena;
    if (s->format.kind != BL_FORMAT_INT || s->format.is_signed || s->format.overflow != BL_SAT)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute format: expected a saturating uint<k>");
    if (s->scale_rule != BLI_SCALE_LEARNED)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute scale: alpha is learned, nothing else");
    return BL_OK;
}

/* Steps alpha / (2^k - 1) into the grids, alpha itself into the doubles behind them. */
static bl_status steps(const bli_call *c, const bli_quant_spec *s, bli_grids *g)
{
    BLI_TRY(bli_grid_resolve(c, s, g));
    double *alpha = g->scale + g->groups.count, levels = ldexp(1, s->format.bits) - 1;
    for (size_t i = 0; i < g->groups.count; i++) {
        alpha[i] = g->scale[i];
        g->scale[i] = bli_carry(BL_F32, alpha[i] / levels); /* a float32 number in every carrier */
        g->scale_f32[i] = (float)g->scale[i];
    }
    return BL_OK;
}

static bl_status pact_forward(const bli_call *c, const bli_quant_spec *s)
{
    bli_grids g;
    BLI_TRY(steps(c, s, &g));
    return bli_grid_apply(c, s, &g);
}

static bl_status pact_backward(const bli_call *c, const bli_quant_spec *s)
{
    bli_grids g;
    BLI_TRY(steps(c, s, &g));
    double *alpha = g.scale + g.groups.count, *sum = g.scale;
    for (size_t i = 0; i < g.groups.count; i++)
        g.scale_f32[i] = (float)alpha[i];
    bli_group_gradients(c, &(bli_group_gradient){
                               .groups = g.groups,
                               .back = bli_loops_get(c->isa, c->in[0].type)->clip_back,
                               .scale = c->in[0].type == BL_F64 ? (const void *)alpha : g.scale_f32,
                               .sum = sum,
                           });
    if (c->grad_in[1].data)
        bli_store_scale_gradient(c, sum, g.groups.count);
    return BL_OK;
}

static bl_status pact_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    bli_grids g;
    BLI_TRY(steps(c, s, &g));
    memcpy(scale, g.scale, g.groups.count * sizeof(*scale));
    return BL_OK;
}

/* The paper starts alpha high and lets weight decay draw it in; with data, at its greatest value. */
static bl_status pact_init(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    bli_groups g = bli_quant_grouping(s, &c->in[0].shape);
    for (size_t k = 0; k < g.count; k++)
        scale[k] = c->in[0].data ? 0 : 6;
    size_t n = c->in[0].data ? bli_tensor_count(&c->in[0]) : 0;
    bli_group_walk walk = bli_group_first(&g);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        scale[k] = fmax(scale[k], bli_value_get(&c->in[0], i));
    }
    for (size_t k = 0; k < g.count; k++)
        scale[k] = scale[k] > 0 && isfinite(scale[k]) ? scale[k] : 6;
    return BL_OK;
}

const bli_quantizer bli_quantizer_pact = {
    .name = "pact",
    .help = "clips to [0, alpha], alpha learned",
    .source = "arXiv:1805.06085",
    .has_scale = true,
    .needs_format = true,
    .setup = pact_setup,
    .forward = pact_forward,
    .backward = pact_backward,
    .scratch = bli_grid_scratch,
    .scales = pact_scales,
    .codes = bli_grid_codes,
    .init_scale = pact_init,
};
