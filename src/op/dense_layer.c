/* dense_layer.c: a product, its bias, relu and a quantizer as one step of a plan, for float32 and a weight matrix.
 *
 * Rows go through in blocks that stay in the first-level cache: the product of a block, then bias, relu and quantizer
 * over it.  Of the sums before relu nothing is kept but whether each lets its gradient pass, one byte; backward brings
 * the gradient of what the layer gives to that of its sums in place, block by block before the block's data gradient,
 * and weight and bias read it from there.  The bits are those of MatMul, Add, Relu and Quantize one after the other.
 *
 * No node has these operators: plans put them in place of the chain.
 */
#include <string.h>

#include "op/broadcast.h"
#include "op/kernels/loops.h"
#include "op/matmul.h"
#include "op/quantizer/families.h"

/* Elements of the rows in a block, and of the bias as it is repeated for short rows; ROWS is a tile's height. */
enum { BLOCK = 3072, TILE = 512, ROWS = 12 };

typedef struct layer {
    bool quantizes;
    bli_relu_quantize quantize;
    bli_even_codes even; /* what quantize does, where ok */
} layer;

static bl_status make(bli_arena *arena, layer **out)
{
    *out = bli_arena_alloc(arena, sizeof **out);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status setup_bias(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_arena *arena, const void **state)
{
    (void)ctx, (void)g, (void)n;
    layer *l;
    BLI_TRY(make(arena, &l));
    *state = l;
    return BL_OK;
}

static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state)
{
    (void)g;
    bli_quant_spec *s;
    layer *l;
    *state = NULL;
    BLI_TRY(bli_quant_spec_parse(ctx, node, true, arena, &s));
    BLI_TRY(make(arena, &l));
    l->quantizes = true;
    l->quantize = bli_relu_quantize_init(s, bli_cpu_isa());
    if (l->quantize.short_calls)
        l->even = bli_code_loop_even(&l->quantize.loop);
    *state = l->quantize.ok ? l : NULL;
    return BL_OK;
}

/* ---- what is made once a step ----------------------------------------------------------------------------------- */
static size_t tile_rows(const bli_dense *d)
{
    return d->columns < TILE ? (size_t)(TILE / d->columns) : 1;
}

static size_t align_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

/* Panels, and behind them the bias repeated. */
static size_t prep_size(const bli_call *c)
{
    const bli_dense d = bli_dense_of(c);
    return align_up(bli_dense_prep_size(c)) + tile_rows(&d) * (size_t)d.columns * sizeof(float);
}

static bl_status prepare(const bli_call *c, void *prep)
{
    const bli_dense d = bli_dense_of(c);
    float *tile = (float *)((char *)prep + align_up(bli_dense_prep_size(c)));
    for (size_t r = 0; r < tile_rows(&d); r++)
        memcpy(tile + r * (size_t)d.columns, c->in[2].data, (size_t)d.columns * sizeof(float));
    return bli_dense_prepare(c, prep);
}

static int64_t block_rows(const bli_dense *d)
{
    const int64_t n = BLOCK / d->columns / ROWS * ROWS;
    return n < ROWS ? ROWS : n;
}

static size_t block_bytes(const bli_dense *d)
{
    return (size_t)(block_rows(d) * d->columns) * sizeof(float);
}

/* Forward: a block, and its bytes where nobody will read them.  Backward: the bias's sums. */
static size_t scratch(const bli_call *c)
{
    const bli_dense d = bli_dense_of(c);
    const size_t block = block_bytes(&d) / sizeof(float) * (sizeof(float) + 1);
    const size_t sums = (size_t)d.columns * sizeof(double);
    return block > sums ? block : sums;
}

/* ---- forward -------------------------------------------------------------------------------------------------- */
/* A block: sums z without bias, the bias repeated `period` elements long. */
typedef struct block {
    const bli_loops *loops;
    const layer *l;
    bli_relu_quantize quantize;
    const float *tile;
    size_t period;
} block;

static void finish(const block *b, float *z, float *q, uint8_t *pass, size_t n)
{
    const double most = (double)b->l->quantize.hi;
    for (size_t i = 0, m; i < n; i += m) {
        m = n - i < b->period ? n - i : b->period;
        if (b->l->even.ok) {
            b->loops->add_codes(z + i, b->tile, &b->l->even, most, q + i, pass + i, m);
            continue;
        }
        b->loops->binary[BLI_ADD][BLI_VEC_VEC](z + i, b->tile, z + i, m);
        if (!b->l->quantizes)
            continue;
        b->loops->range_pass(z + i, 0, most, pass + i, m);
        bli_relu_quantize_f32(&b->quantize, z + i, q + i, m);
    }
}

static bl_status forward(const bli_call *c)
{
    const bli_dense d = bli_dense_of(c);
    const int64_t step = block_rows(&d);
    block b = {.loops = bli_loops_get(c->isa, BL_F32),
               .l = c->state,
               .tile = (const float *)((const char *)c->prep + align_up(bli_dense_prep_size(c))),
               .period = tile_rows(&d) * (size_t)d.columns};
    b.quantize = b.l->quantize;
    b.quantize.isa = c->isa;
    uint8_t *unread = (uint8_t *)c->scratch + block_bytes(&d);
    for (int64_t r = 0, m; r < d.rows; r += m) {
        m = d.rows - r < step ? d.rows - r : step;
        float *q = (float *)c->out[0].data + r * d.columns, *z = b.l->quantizes ? c->scratch : q;
        bli_dense_forward(&d, c, r, m, z);
        finish(&b, z, q, c->saved ? (uint8_t *)c->saved + r * d.columns : unread, (size_t)(m * d.columns));
    }
    return BL_OK;
}

/* A byte an element. */
static size_t saved(const bli_call *c)
{
    return (size_t)bl_shape_count(&c->out[0].shape) / (size_t)c->out[0].shape.dim[0];
}

/* ---- backward ------------------------------------------------------------------------------------------------- */
static bl_status backward(const bli_call *c)
{
    const layer *l = c->state;
    const bli_dense d = bli_dense_of(c);
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const int64_t step = block_rows(&d);
    float *dy = c->grad_out[0].data, *dx = c->grad_in[0].data;
    for (int64_t r = 0, m; r < d.rows; r += m) {
        m = d.rows - r < step ? d.rows - r : step;
        float *dz = dy + r * d.columns;
        if (l->quantizes)
            loops->pass_back((const uint8_t *)c->saved + r * d.columns, dz, dz, (size_t)(m * d.columns));
        if (dx)
            bli_dense_data_gradient(&d, c, m, dz, dx + r * d.depth);
    }
    if (c->grad_in[2].data)
        bli_reduce_to(c->isa, BL_F32, dy, &c->grad_out[0].shape, &c->in[2].shape, 1, c->scratch, c->grad_in[2].data);
    return BL_OK;
}

const bli_op bli_op_dense_bias = {
    .schema = {.type = "MatMul and Add", .domain = BLI_DOMAIN_OWN, .min_inputs = 3, .max_inputs = 3},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward,
    .backward = backward,
    .setup = setup_bias,
    .scratch = scratch,
    .prep_size = prep_size,
    .prepare = prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
};

const bli_op bli_op_dense_quantize = {
    .schema = {.type = "MatMul, Add, Relu and Quantize", .domain = BLI_DOMAIN_OWN, .min_inputs = 3, .max_inputs = 3},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward,
    .backward = backward,
    .setup = setup,
    .saved = saved,
    .scratch = scratch,
    .prep_size = prep_size,
    .prepare = prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
};
