/* unary.c: activations, element by element.
 *
 * Relu and Clip keep a grid and are hot: their loops are in kernels/.  The others take num/functions.h once an
 * element.  In backward an operator reads either its input or its output, never both.
 */
#include "num/functions.h"
#include "op/infer.h"
#include "op/kernels/loops.h"
#include "op/lower.h"

#define REAL_TEMPLATE "op/unary.inc"
#include "op/real.h"

static bl_status infer_real_same(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    return bli_infer_same(i);
}

/* ---- Relu --------------------------------------------------------------------------------------------------- */
static bl_status relu_forward(const bli_call *c)
{
    bli_loops_get(c->isa, c->out[0].type)->relu(c->in[0].data, c->out[0].data, bli_count(&c->out[0]));
    return BL_OK;
}

static bl_status relu_backward(const bli_call *c)
{
    if (c->grad_in[0].data)
        bli_loops_get(c->isa, c->out[0].type)
            ->relu_back(c->out[0].data, c->grad_out[0].data, c->grad_in[0].data, bli_count(&c->out[0]));
    return BL_OK;
}

static bool always(const bli_call *c)
{
    (void)c;
    return true;
}

static void relu_range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    y.least = fmax(y.least, 0);
    y.greatest = fmax(y.greatest, 0);
    r->range_out[0] = y;
}

/* ---- Clip --------------------------------------------------------------------------------------------------- */
/* Bounds are inputs 1 and 2 (opset 11), or attributes before that; either may be absent. */
static bl_status infer_clip(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    for (int k = 1; k < 3; k++)
        if (i->in[k] && (!i->in[k]->data || bl_shape_count(&i->in[k]->shape) != 1))
            return bli_fail(i->ctx, BL_BAD_MODEL, "%s (input %d) must be a constant of one element",
                            k == 1 ? "min" : "max", k);
    return bli_infer_same(i);
}

static double clip_bound(const bli_call *c, int k)
{
    const double none = k == 1 ? -HUGE_VAL : HUGE_VAL;
    return bli_call_real(c, k, 0, bl_node_float(c->node, k == 1 ? "min" : "max", none));
}

static bl_status clip_forward(const bli_call *c)
{
    bli_loops_get(c->isa, c->out[0].type)
        ->clip(c->in[0].data, clip_bound(c, 1), clip_bound(c, 2), c->out[0].data, bli_count(&c->out[0]));
    return BL_OK;
}

static bl_status clip_backward(const bli_call *c)
{
    if (c->grad_in[0].data)
        BLI_REAL_CALL(c->in[0].type, clip_back, c->in[0].data, clip_bound(c, 1), clip_bound(c, 2), c->grad_out[0].data,
                      c->grad_in[0].data, bli_count(&c->in[0]));
    return BL_OK;
}

static void clip_range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    for (int k = 1; k < 3; k++) {
        const double none = k == 1 ? -HUGE_VAL : HUGE_VAL;
        const double bound = r->in[k] ? bli_real_at(r->in[k]->type, r->in[k]->data, 0)
                                      : bl_node_float(r->node, k == 1 ? "min" : "max", none);
        const bool bites = k == 1 ? y.least < bound : y.greatest > bound;
        if (!bites)
            continue;
        if (bli_step_of(bound) < y.step_exp && bound != 0)
            y.step_exp = bli_step_of(bound);
        y.least = k == 1 ? bound : fmin(y.least, bound);
        y.greatest = k == 2 ? bound : fmax(y.greatest, bound);
        y.on_grid = y.on_grid && isfinite(bound);
    }
    r->range_out[0] = y;
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */
static bl_status clamp_wire(bli_lower_call *c, int wire, int64_t low, int64_t high)
{
    const bli_span s = bli_wire_hull(bli_builder_wire(c->b, wire));
    c->y[0].wire = wire;
    if (low <= s.low && high >= s.high)
        return BL_OK;
    const bli_prim_op op = {
        .kind = BLI_PRIM_CLAMP, .num_in = 1, .in = {wire}, .channels = 1, .low = &low, .high = &high};
    return bli_lower_add(c, &op, NULL, NULL, bli_builder_wire(c->b, wire)->exp, &c->y[0].wire);
}

static bl_status relu_lower(bli_lower_call *c)
{
    const bli_span s = bli_wire_hull(bli_lower_wire(c, 0));
    return clamp_wire(c, c->x[0].wire, 0, s.high > 0 ? s.high : 0);
}

static double lower_bound(const bli_lower_call *c, int k)
{
    const double none = k == 1 ? -HUGE_VAL : HUGE_VAL;
    const bl_tensor *t = &c->known[k];
    return t->data ? bli_real_at(t->type, t->data, 0) : bl_node_float(c->node, k == 1 ? "min" : "max", none);
}

/* A bound off the grid of x makes the grid finer. */
static bl_status clip_lower(bli_lower_call *c)
{
    int exp = bli_lower_wire(c, 0)->exp, wire;
    const double least = lower_bound(c, 1), greatest = lower_bound(c, 2);
    for (int k = 1; k < 3; k++) {
        const double v = k == 1 ? least : greatest;
        c->declined = c->declined || isnan(v) || (isfinite(v) && v != 0 && bli_step_of(v) < exp - 62);
        if (isfinite(v) && v != 0 && bli_step_of(v) < exp)
            exp = bli_step_of(v);
    }
    if (c->declined)
        return BL_OK;
    BLI_TRY(bli_lower_align(c, c->x[0].wire, exp, &wire));
    const bli_span s = bli_wire_hull(bli_builder_wire(c->b, wire));
    const double low = fmax(ldexp(least, -exp), -0x1p62), high = fmin(ldexp(greatest, -exp), 0x1p62);
    const int64_t lo = low <= (double)s.low ? s.low : (int64_t)low;
    const int64_t most = s.high > lo ? s.high : lo, hi = high >= (double)most ? most : (int64_t)high;
    return clamp_wire(c, wire, lo < hi ? lo : hi, hi);
}

/* ---- the others --------------------------------------------------------------------------------------------- */
/* Two numbers are all that any of them takes. */
typedef struct unary {
    void (*forward[2])(const void *x, void *y, size_t n, double alpha, double beta);
    void (*backward[2])(const void *saved, const void *dy, void *dx, size_t n, double alpha, double beta);
    double alpha, beta; /* ONNX's defaults */
} unary;

static bl_status unary_forward(const bli_call *c, const unary *u)
{
    u->forward[c->out[0].type == BL_F64](c->in[0].data, c->out[0].data, bli_count(&c->out[0]),
                                         bl_node_float(c->node, "alpha", u->alpha),
                                         bl_node_float(c->node, "beta", u->beta));
    return BL_OK;
}

static bl_status unary_backward(const bli_call *c, const unary *u, const bl_tensor *saved)
{
    if (c->grad_in[0].data)
        u->backward[saved->type == BL_F64](saved->data, c->grad_out[0].data, c->grad_in[0].data, bli_count(saved),
                                           bl_node_float(c->node, "alpha", u->alpha),
                                           bl_node_float(c->node, "beta", u->beta));
    return BL_OK;
}

#define UNARY(name, saved, a, b)                                                                                       \
    static const unary name##_unary = {                                                                                \
        {name##_f32, name##_f64}, {name##_back_f32, name##_back_f64}, .alpha = (a), .beta = (b)};                      \
    static bl_status name##_forward(const bli_call *c)                                                                 \
    {                                                                                                                  \
        return unary_forward(c, &name##_unary);                                                                        \
    }                                                                                                                  \
    static bl_status name##_backward(const bli_call *c)                                                                \
    {                                                                                                                  \
        return unary_backward(c, &name##_unary, &c->saved[0]);                                                         \
    }
UNARY(leaky_relu, in, (double)0.01f, 0)
UNARY(sigmoid, out, 0, 0)
UNARY(tanh, out, 0, 0)
UNARY(hard_sigmoid, out, (double)0.2f, 0.5)
UNARY(hard_swish, in, 0, 0)
UNARY(elu, in, 1, 0)
UNARY(softplus, in, 0, 0)
#undef UNARY

/* A slope that is a power of two keeps a grid; another is a real scale, which the next quantizer takes up. */
static void leaky_relu_range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    const double alpha = bl_node_float(r->node, "alpha", (double)0.01f);
    if (!y.on_grid || (y.least < 0 && fabs(alpha) != ldexp(1, bli_step_of(alpha))))
        return;
    if (y.least < 0) {
        const double slope_end = alpha * y.least, zero = y.greatest < 0 ? alpha * y.greatest : 0;
        y.step_exp += bli_step_of(alpha) < 0 ? bli_step_of(alpha) : 0;
        y.least = fmin(fmin(slope_end, zero), fmax(y.greatest, 0));
        y.greatest = fmax(fmax(slope_end, zero), y.greatest);
    }
    r->range_out[0] = y;
}

static const bli_attr_spec none[] = {{NULL, BL_ATTR_INT, false}};
static const bli_attr_spec alpha[] = {{"alpha", BL_ATTR_FLOAT, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec alpha_beta[] = {
    {"alpha", BL_ATTR_FLOAT, false}, {"beta", BL_ATTR_FLOAT, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec min_max[] = {
    {"min", BL_ATTR_FLOAT, false}, {"max", BL_ATTR_FLOAT, false}, {NULL, BL_ATTR_INT, false}};

const bli_op bli_op_relu = {
    .schema = {"Relu", BLI_DOMAIN_ONNX, 1, 1, 1, none, infer_real_same, "max(x, 0)"},
    .flags = BLI_OP_NEEDS_OUT | BLI_OP_ELEMENTWISE,
    .forward = relu_forward,
    .lower = relu_lower,
    .backward = relu_backward,
    .range = relu_range,
    .same_for_all = always,
};
const bli_op bli_op_clip = {
    .schema = {"Clip", BLI_DOMAIN_ONNX, 1, 3, 1, min_max, infer_clip, "x between min and max (relu6, hard tanh)"},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_ELEMENTWISE,
    .forward = clip_forward,
    .lower = clip_lower,
    .backward = clip_backward,
    .range = clip_range,
    .same_for_all = always,
};
#define UNARY_OP(name, onnx, attrs_, saved, range_, help)                                                              \
    const bli_op bli_op_##name = {                                                                                     \
        .schema = {onnx, BLI_DOMAIN_ONNX, 1, 1, 1, attrs_, infer_real_same, help},                                     \
        .flags = (saved) | BLI_OP_ELEMENTWISE,                                                                         \
        .forward = name##_forward,                                                                                     \
        .backward = name##_backward,                                                                                   \
        .range = range_,                                                                                               \
    }
UNARY_OP(leaky_relu, "LeakyRelu", alpha, BLI_OP_NEEDS_IN, leaky_relu_range, "x, or alpha x below zero");
UNARY_OP(sigmoid, "Sigmoid", none, BLI_OP_NEEDS_OUT, NULL, "1 / (1 + exp(-x))");
UNARY_OP(tanh, "Tanh", none, BLI_OP_NEEDS_OUT, NULL, "hyperbolic tangent");
UNARY_OP(hard_sigmoid, "HardSigmoid", alpha_beta, BLI_OP_NEEDS_OUT, NULL, "alpha x + beta between 0 and 1");
UNARY_OP(hard_swish, "HardSwish", none, BLI_OP_NEEDS_IN, NULL, "x times its hard sigmoid (1/6, 1/2)");
UNARY_OP(elu, "Elu", alpha, BLI_OP_NEEDS_IN, NULL, "x, or alpha (exp(x) - 1) below zero");
UNARY_OP(softplus, "Softplus", none, BLI_OP_NEEDS_IN, NULL, "log(1 + exp(x))");
