/* dense_layer.c: a product, its bias, relu and a quantizer as one step of a plan, for float32 and a weight matrix.
 *
 * Where the quantizer rounds to even and saturates, the product brings its sums to codes before it stores them; for any
 * other, rows go through in blocks that stay in the first-level cache: the product of a block with its bias, then relu
 * and quantizer over it.  Of the sums before relu nothing is kept but whether each lets its gradient pass, one byte;
 * backward brings the gradient of what the layer gives to that of its sums in place (unless the layer behind, whose
 * product makes that gradient, has done so: bli_call.pass), and weight and bias read it from there.  The bits are those
 * of MatMul, Add, Relu and Quantize one after the other.
 *
 * No node has these operators: plans put them in place of the chain.
 */
#include "op/broadcast.h"
#include "op/kernels/loops.h"
#include "op/matmul.h"
#include "op/quantizer/families.h"

/* Elements of the rows in a block; ROWS is a tile's height. */
enum { BLOCK = 3072, ROWS = 12 };

typedef struct layer {
    bli_dense dense; /* but for rows, of which each of the batch has so many */
    int64_t rows_each;
    bool quantizes;
    bli_relu_quantize quantize;
    bli_even_codes even; /* what quantize does, where ok */
    bool at_once;        /* the product finishes all */
} layer;

static bl_status make(const bl_graph *g, const bl_node *n, bli_arena *arena, layer **out)
{
    bli_call c = {.node = n, .isa = bli_cpu_isa()};
    *out = bli_arena_alloc(arena, sizeof **out);
    if (!*out)
        return BL_NO_MEMORY;
    for (int i = 0; i < 2; i++)
        c.in[i] = (bl_tensor){.type = BL_F32, .shape = bl_graph_value(g, n->inputs[i])->shape};
    c.in[0].shape.dim[0] = 1;
    (*out)->dense = bli_dense_of(&c);
    (*out)->rows_each = (*out)->dense.rows;
    return BL_OK;
}

static bli_dense dense_of(const bli_call *c)
{
    const layer *l = c->state;
    bli_dense d = l->dense;
    d.rows = l->rows_each * c->in[0].shape.dim[0];
    return d;
}

static bl_status setup_bias(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_arena *arena, const void **state)
{
    (void)ctx;
    layer *l;
    BLI_TRY(make(g, n, arena, &l));
    l->at_once = true;
    *state = l;
    return BL_OK;
}

/* What passes and what is cut to it have the greatest code, so that one cut serves both. */
static bool product_codes(const bli_even_codes *e, float most)
{
    return most >= e->hi && (most + e->far) - e->far == e->hi;
}

static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state)
{
    bli_quant_spec *s;
    layer *l;
    *state = NULL;
    BLI_TRY(bli_quant_spec_parse(ctx, node, true, arena, &s));
    BLI_TRY(make(g, node, arena, &l));
    l->quantizes = true;
    l->quantize = bli_relu_quantize_init(s, bli_cpu_isa());
    if (l->quantize.short_calls)
        l->even = bli_code_loop_even(&l->quantize.loop);
    l->at_once = l->even.ok && product_codes(&l->even, l->quantize.hi);
    *state = l->quantize.ok ? l : NULL;
    return BL_OK;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */
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
    const bli_dense d = dense_of(c);
    const size_t block = block_bytes(&d) / sizeof(float) * (sizeof(float) + 1);
    const size_t sums = (size_t)d.columns * sizeof(double);
    return block > sums ? block : sums;
}

/* ---- forward -------------------------------------------------------------------------------------------------- */
static void forward_at_once(const bli_call *c, const layer *l, const bli_dense *d)
{
    const bli_finish f = {.codes = l->quantizes, .far = l->even.far, .most = l->quantize.hi, .pass = c->saved};
    bli_dense_forward(d, c, 0, d->rows, &f, c->out[0].data);
}

static bl_status forward(const bli_call *c)
{
    const layer *l = c->state;
    const bli_dense d = dense_of(c);
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const bli_finish bias = {.codes = false};
    const int64_t step = block_rows(&d);
    if (l->at_once) {
        forward_at_once(c, l, &d);
        return BL_OK;
    }
    bli_relu_quantize quantize = l->quantize;
    quantize.isa = c->isa;
    float *z = c->scratch;
    for (int64_t r = 0, m; r < d.rows; r += m) {
        m = d.rows - r < step ? d.rows - r : step;
        const int64_t at = r * d.columns;
        uint8_t *pass = c->saved ? (uint8_t *)c->saved + at : (uint8_t *)c->scratch + block_bytes(&d);
        bli_dense_forward(&d, c, r, m, &bias, z);
        loops->range_pass(z, 0, (double)l->quantize.hi, pass, (size_t)(m * d.columns));
        bli_relu_quantize_f32(&quantize, z, (float *)c->out[0].data + at, (size_t)(m * d.columns));
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
    const bli_dense d = dense_of(c);
    const bli_loops *loops = bli_loops_get(c->isa, BL_F32);
    const bool passes = l->quantizes && !c->passed;
    const int64_t step = passes ? block_rows(&d) : d.rows;
    float *dy = c->grad_out[0].data, *dx = c->grad_in[0].data;
    for (int64_t r = 0, m; r < d.rows; r += m) {
        m = d.rows - r < step ? d.rows - r : step;
        float *dz = dy + r * d.columns;
        const bli_finish f = {.keep = c->pass ? c->pass + r * d.depth : NULL};
        if (passes)
            loops->pass_back((const uint8_t *)c->saved + r * d.columns, dz, dz, (size_t)(m * d.columns));
        if (dx)
            bli_dense_data_gradient(&d, c, m, dz, c->pass ? &f : NULL, dx + r * d.depth);
    }
    if (c->grad_in[2].data)
        bli_reduce_to(c->isa, BL_F32, dy, &c->grad_out[0].shape, &c->in[2].shape, 1, c->scratch, c->grad_in[2].data);
    return BL_OK;
}

const bli_op bli_op_dense_bias = {
    .schema = {.type = "MatMul and Add", .domain = BLI_DOMAIN_OWN, .min_inputs = 3, .max_inputs = 3},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_HEEDS_PASS,
    .forward = forward,
    .backward = backward,
    .setup = setup_bias,
    .scratch = scratch,
    .prep_size = bli_dense_prep_size,
    .prepare = bli_dense_prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
};

const bli_op bli_op_dense_quantize = {
    .schema = {.type = "MatMul, Add, Relu and Quantize", .domain = BLI_DOMAIN_OWN, .min_inputs = 3, .max_inputs = 3},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_HEEDS_PASS | BLI_OP_SAVES_PASS,
    .forward = forward,
    .backward = backward,
    .setup = setup,
    .saved = saved,
    .scratch = scratch,
    .prep_size = bli_dense_prep_size,
    .prepare = bli_dense_prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
};
