/* relu_quantize_pool.c: relu, a quantizer and 2 x 2 maxima in one pass over the data.
 *
 * Pictures before the pool are the largest values of a network.  A few rows at a time are quantized into the
 * first-level cache and pooled there, forward and once more backward, so that the quantized picture and its gradient
 * never go through memory.  The parts are the loops of the three operators, and so are the bits.
 */
#include <string.h>

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

/* Quantized rows, and their gradient. */
static size_t scratch(const bli_call *c)
{
    const fused *f = c->state;
    return 2 * 2 * f->pairs * f->row * sizeof(float);
}

/* Where a band of an image lies: in z and y, and how many pairs of rows it has. */
typedef struct band {
    size_t z, y, pairs;
} band;

static band band_at(const fused *f, size_t image, size_t pair)
{
    const bli_pool *p = &f->pool;
    const size_t left = (size_t)p->out[0] - pair, out_row = (size_t)(p->out[1] * p->channels);
    return (band){.z = (image * (size_t)p->in[0] + 2 * pair) * f->row,
                  .y = (image * (size_t)p->out[0] + pair) * out_row,
                  .pairs = left < f->pairs ? left : f->pairs};
}

static bl_status forward(const bli_call *c)
{
    const fused *f = c->state;
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const float *z = c->in[0].data;
    float *y = c->out[0].data, *q = c->scratch;
    for (size_t image = 0; image < (size_t)c->in[0].shape.dim[0]; image++)
        for (size_t pair = 0; pair < (size_t)f->pool.out[0]; pair += f->pairs) {
            const band b = band_at(f, image, pair);
            bli_relu_quantize_f32(&f->quantize, z + b.z, q, 2 * b.pairs * f->row);
            loops->maxpool2(q, y + b.y, 2 * b.pairs, (size_t)f->pool.in[1], (size_t)f->pool.channels);
        }
    return BL_OK;
}

static void backward_band(const bli_call *c, const fused *f, band b)
{
    const float *z = (const float *)c->in[0].data + b.z, *y = (const float *)c->out[0].data + b.y;
    const float *dy = (const float *)c->grad_out[0].data + b.y;
    const size_t n = 2 * b.pairs * f->row;
    float *dz = (float *)c->grad_in[0].data + b.z, *q = c->scratch, *dq = q + 2 * f->pairs * f->row;
    bli_relu_quantize_f32(&f->quantize, z, q, n);
    bli_loops_get(c->isa, BL_F32)
        ->maxpool2_back(q, y, dy, dq, 2 * b.pairs, (size_t)f->pool.in[1], (size_t)f->pool.channels);
    bli_relu_quantize_backward_f32(&f->quantize, z, dq, dz, n);
}

static bl_status backward(const bli_call *c)
{
    const fused *f = c->state;
    const size_t height = (size_t)f->pool.in[0];
    if (!c->grad_in[0].data)
        return BL_OK;
    for (size_t image = 0; image < (size_t)c->in[0].shape.dim[0]; image++) {
        for (size_t pair = 0; pair < (size_t)f->pool.out[0]; pair += f->pairs)
            backward_band(c, f, band_at(f, image, pair));
        if (height % 2) /* no window has the last row */
            memset((float *)c->grad_in[0].data + ((image + 1) * height - 1) * f->row, 0, f->row * sizeof(float));
    }
    return BL_OK;
}

const bli_op bli_op_relu_quantize_pool = {
    .schema = {.type = "Relu, Quantize and MaxPool", .domain = BLI_DOMAIN_OWN, .min_inputs = 1, .max_inputs = 1},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_NEEDS_OUT,
    .forward = forward,
    .backward = backward,
    .setup = setup,
    .scratch = scratch,
};
