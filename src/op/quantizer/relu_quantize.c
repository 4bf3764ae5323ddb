/* relu_quantize.c: relu and a quantizer in one pass over the data.
 *
 * A format without negative values that saturates does relu's work by itself.  The gradient needs two comparisons: the
 * greatest z that the format does not clip is found once (pass_range.c).
 */
#include "op/quantizer/families.h"

enum { PIECE = 512 };

bli_relu_quantize bli_relu_quantize_init(const bli_quant_spec *s, bli_isa isa)
{
    const bl_format *f = &s->format;
    bli_relu_quantize r = {.format = *f, .scale = s->scale, .isa = isa};
    float least;
    if (f->kind == BL_FORMAT_BINARY || !bli_pass_range(s, &least, &r.hi))
        return r;
    r.ok = true;
    r.short_calls = bli_code_loop_find(f, s->scale, &r.loop);
    return r;
}

static void quantize(const bli_relu_quantize *r, const float *z, float *q, size_t n)
{
    if (r->short_calls)
        bli_code_loop_run(&r->loop, r->isa, z, q, n);
    else
        bli_quantize_f32(&r->format, r->scale, 0, NULL, 0, z, q, n, r->isa);
}

void bli_relu_quantize_f32(const bli_relu_quantize *r, const float *z, float *q, size_t n)
{
    if (!r->format.is_signed) {
        quantize(r, z, q, n);
        return;
    }
    const bli_loops *loops = bli_loops_get(r->isa, BL_F32);
    for (size_t at = 0; at < n; at += PIECE) {
        size_t m = n - at < PIECE ? n - at : PIECE;
        loops->relu(z + at, q + at, m);
        quantize(r, q + at, q + at, m);
    }
}

void bli_relu_quantize_backward_f32(const bli_relu_quantize *r, const float *z, const float *dq, float *dz, size_t n)
{
    bli_loops_get(r->isa, BL_F32)->range_back(z, 0, (double)r->hi, dq, dz, n);
}

/* ---- the two as one step of a plan ---------------------------------------------------------------------------- */
static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state)
{
    bli_quant_spec *s;
    bool batched = bl_graph_value(g, node->inputs[0])->shape.dim[0] < 0;
    *state = NULL;
    BLI_TRY(bli_quant_spec_parse(ctx, node, batched, arena, &s));
    bli_relu_quantize *r = bli_arena_alloc(arena, sizeof(*r));
    if (!r)
        return BL_NO_MEMORY;
    *r = bli_relu_quantize_init(s, bli_cpu_isa());
    *state = r->ok ? r : NULL;
    return BL_OK;
}

static bl_status forward(const bli_call *c)
{
    bli_relu_quantize r = *(const bli_relu_quantize *)c->state;
    r.isa = c->isa;
    bli_relu_quantize_f32(&r, c->in[0].data, c->out[0].data, bli_tensor_count(&c->in[0]));
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    bli_relu_quantize r = *(const bli_relu_quantize *)c->state;
    r.isa = c->isa;
    if (c->grad_in[0].data)
        bli_relu_quantize_backward_f32(&r, c->in[0].data, c->grad_out[0].data, c->grad_in[0].data,
                                       bli_tensor_count(&c->in[0]));
    return BL_OK;
}

/* Formats that draw, and delayed starts, are none of this file's. */
static bool same_for_all(const bli_call *c)
{
    (void)c;
    return true;
}

const bli_op bli_op_relu_quantize = {
    .schema = {.type = "Relu and Quantize", .domain = BLI_DOMAIN_OWN, .min_inputs = 1, .max_inputs = 3},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward,
    .backward = backward,
    .setup = setup,
    .same_for_all = same_for_all,
};
