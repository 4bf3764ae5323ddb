/* relu_quantize_pool.c: relu, a quantizer and 2 x 2 maxima in one pass over the data.
 *
 * Pictures before the pool are the largest values of a network.  A few rows at a time are quantized into the
 * first-level cache and pooled there, so that the quantized picture never goes through memory.  Backward needs one
 * number a window, which forward leaves: where the maximum comes from, or that its gradient is clipped.  The bits are
 * those of the three operators.
 */
#include "op/kernels/loops.h"
#include "op/pool.h"
#include "op/quantizer/families.h"

enum { BAND = 8192 }; /* bytes of the rows that are quantized at a time, at least two rows */

typedef struct fused {
    bli_relu_quantize quantize;
    bli_pool pool;     /* of any number of images */
    size_t row, pairs; /* elements of a row; pairs of rows in a band */
} fused;

static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state)
{
    const bl_node *pool = bl_graph_node(g, bl_graph_value(g, node->outputs[0])->producer);
    const bl_value *q = bl_graph_value(g, pool->inputs[0]);
    bli_quant_spec *s;
    *state = NULL;
    BLI_TRY(bli_quant_spec_parse(ctx, bl_graph_node(g, q->producer), true, arena, &s));
    fused *f = bli_arena_alloc(arena, sizeof(*f));
    if (!f)
        return BL_NO_MEMORY;
    f->quantize = bli_relu_quantize_init(s, bli_cpu_isa());
    BLI_TRY(bli_pool_parse(ctx, pool, &q->shape, false, &f->pool));
    f->row = (size_t)(f->pool.in[1] * f->pool.channels);
    const size_t fit = f->row ? BAND / (2 * sizeof(float) * f->row) : 0;
    f->pairs = fit ? fit : 1;
    *state = f->quantize.ok && bli_pool_is_halving(&f->pool) ? f : NULL;
    return BL_OK;
}

/* Quantized rows. */
static size_t scratch(const bli_call *c)
{
    const fused *f = c->state;
    return 2 * f->pairs * f->row * sizeof(float);
}

static size_t windows(const fused *f)
{
    return (size_t)(f->pool.out[0] * f->pool.out[1] * f->pool.channels);
}

static size_t saved(const bli_call *c)
{
    return windows(c->state) * sizeof(float);
}

/* From pair of rows `pair` of an image on. */
static void forward_band(const bli_call *c, const fused *f, size_t image, size_t pair)
{
    const bli_pool *p = &f->pool;
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const size_t left = (size_t)p->out[0] - pair, rows = 2 * (left < f->pairs ? left : f->pairs);
    const size_t width = (size_t)p->in[1], depth = (size_t)p->channels;
    const size_t at = image * windows(f) + pair * (width / 2) * depth;
    const float *z = (const float *)c->in[0].data + (image * (size_t)p->in[0] + 2 * pair) * f->row;
    float *q = c->scratch, *y = (float *)c->out[0].data + at;
    bli_relu_quantize_f32(&f->quantize, z, q, rows * f->row);
    if (c->saved)
        loops->maxpool2_choose(q, z, 0, (double)f->quantize.hi, y, (float *)c->saved + at, rows, width, depth);
    else
        loops->maxpool2(q, y, rows, width, depth);
}

static bl_status forward(const bli_call *c)
{
    const fused *f = c->state;
    for (size_t image = 0; image < (size_t)c->in[0].shape.dim[0]; image++)
        for (size_t pair = 0; pair < (size_t)f->pool.out[0]; pair += f->pairs)
            forward_band(c, f, image, pair);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const fused *f = c->state;
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const size_t height = (size_t)f->pool.in[0], n = windows(f);
    if (!c->grad_in[0].data)
        return BL_OK;
    for (size_t image = 0; image < (size_t)c->in[0].shape.dim[0]; image++)
        loops->maxpool2_give((const float *)c->saved + image * n, (const float *)c->grad_out[0].data + image * n,
                             (float *)c->grad_in[0].data + image * height * f->row, height, (size_t)f->pool.in[1],
                             (size_t)f->pool.channels);
    return BL_OK;
}

const bli_op bli_op_relu_quantize_pool = {
    .schema = {.type = "Relu, Quantize and MaxPool", .domain = BLI_DOMAIN_OWN, .min_inputs = 1, .max_inputs = 1},
    .forward = forward,
    .backward = backward,
    .setup = setup,
    .scratch = scratch,
    .saved = saved,
};
