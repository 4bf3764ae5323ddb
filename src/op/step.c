/* step.c: Floor, Ceil, Round, Sign, Abs, and Min, Max, Pow of two operands.
 *
 * They are what exact spellings of quantizers are made of (pass/spell), and what exporters compute constants with;
 * networks hardly use them otherwise, so the loops are plain.
 */
#include <math.h>

#include "num/functions.h"
#include "op/broadcast.h"
#include "op/infer.h"
#include "op/lower.h"

typedef enum step_kind { STEP_FLOOR, STEP_CEIL, STEP_ROUND, STEP_SIGN, STEP_ABS } step_kind;
typedef enum pair_kind { PAIR_MIN, PAIR_MAX, PAIR_POW } pair_kind;

#define REAL_TEMPLATE "op/step.inc"
#include "op/real.h"

static bl_status infer_one(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    return bli_infer_same(i);
}

static bl_status infer_pair(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    BLI_TRY(bli_infer_real(i, 1));
    if (i->in[0]->type != i->in[1]->type)
        return bli_fail(i->ctx, BL_BAD_MODEL, "the inputs are %s and %s", bl_dtype_name(i->in[0]->type),
                        bl_dtype_name(i->in[1]->type));
    i->out_type[0] = i->in[0]->type;
    return bli_infer_broadcast(i, &i->in[0]->shape, &i->in[1]->shape, &i->out_shape[0]);
}

static bl_status run_step(const bli_call *c, step_kind kind)
{
    BLI_REAL_CALL(c->in[0].type, step_forward, kind, c->in[0].data, c->out[0].data, bli_count(&c->in[0]));
    return BL_OK;
}

static bl_status run_step_back(const bli_call *c, step_kind kind)
{
    if (c->grad_in[0].data)
        BLI_REAL_CALL(c->in[0].type, step_backward, kind, c->in[0].data, c->grad_out[0].data, c->grad_in[0].data,
                      bli_count(&c->in[0]));
    return BL_OK;
}

static bl_status run_pair(const bli_call *c, pair_kind kind)
{
    bli_walk w = bli_walk_start(&c->out[0].shape, &c->in[0].shape, &c->in[1].shape);
    BLI_REAL_CALL(c->out[0].type, pair_forward, kind, &w, c->in[0].data, c->in[1].data, c->out[0].data);
    return BL_OK;
}

/* Sums of the larger operand's elements, then the terms of all results. */
static size_t pair_sums(const bli_call *c)
{
    const size_t a = bli_count(&c->in[0]), b = bli_count(&c->in[1]);
    return (a > b ? a : b) * sizeof(double);
}

static size_t pair_scratch(const bli_call *c)
{
    const bl_shape *s[2] = {&c->in[0].shape, &c->in[1].shape};
    size_t count = 1;
    for (int d = 0; d < BL_MAX_RANK; d++) {
        const int da = d - (BL_MAX_RANK - s[0]->rank), db = d - (BL_MAX_RANK - s[1]->rank);
        const int64_t na = da < 0 ? 1 : s[0]->dim[da], nb = db < 0 ? 1 : s[1]->dim[db];
        count *= (size_t)(na == 1 ? nb : na);
    }
    return pair_sums(c) + count * sizeof(double);
}

static bl_status run_pair_back(const bli_call *c, pair_kind kind)
{
    const bl_tensor *dy = &c->grad_out[0];
    void *terms = (char *)c->scratch + pair_sums(c);
    for (int k = 0; k < 2; k++) {
        if (!c->grad_in[k].data)
            continue;
        bli_walk w = bli_walk_start(&dy->shape, &c->in[0].shape, &c->in[1].shape);
        BLI_REAL_CALL(dy->type, pair_terms, kind, k, &w, c->in[0].data, c->in[1].data, dy->data, terms);
        bli_reduce_to(c->isa, dy->type, terms, &dy->shape, &c->in[k].shape, 1, c->scratch, c->grad_in[k].data);
    }
    return BL_OK;
}

/* ---- ranges ------------------------------------------------------------------------------------------------- */
static void floor_range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    y.least = floor(y.least);
    y.greatest = ceil(y.greatest);
    y.step_exp = y.step_exp > 0 ? y.step_exp : 0;
    r->range_out[0] = y;
}
#define ceil_range  floor_range
#define round_range floor_range

static void sign_range(bli_range_call *r)
{
    r->range_out[0] = (bli_range){true, 0, -1, 1};
}

static void abs_range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    y.greatest = fmax(fabs(y.least), fabs(y.greatest));
    y.least = 0;
    r->range_out[0] = y;
}

static void min_range(bli_range_call *r)
{
    bli_range y = bli_range_join(r->range_in[0], r->range_in[1]);
    y.greatest = fmin(r->range_in[0].greatest, r->range_in[1].greatest);
    r->range_out[0] = y;
}

static void max_range(bli_range_call *r)
{
    bli_range y = bli_range_join(r->range_in[0], r->range_in[1]);
    y.least = fmax(r->range_in[0].least, r->range_in[1].least);
    r->range_out[0] = y;
}
#define pow_range NULL

/* ---- lowering ----------------------------------------------------------------------------------------------- */
/* Rounded at 2^0; ceil(x) is floor(x + 1 - step). */
static bl_status lower_round(bli_lower_call *c, bl_rounding rounding, bool up)
{
    int wire = c->x[0].wire;
    const int64_t shift = -bli_lower_wire(c, 0)->exp, one = 1,
                  bias = shift > 0 && shift < 63 ? ((int64_t)1 << shift) - 1 : 0;
    c->declined = shift > 62;
    c->y[0].wire = wire;
    if (shift <= 0 || c->declined)
        return BL_OK;
    const bli_prim_op add = {
        .kind = BLI_PRIM_AFFINE, .num_in = 1, .in = {wire}, .channels = 1, .weight = &one, .bias = &bias};
    if (up)
        BLI_TRY(bli_lower_add(c, &add, "up", NULL, (int)-shift, &wire));
    const bli_prim_op op = {
        .kind = BLI_PRIM_ROUND, .num_in = 1, .in = {wire}, .channels = 1, .shift = &shift, .rounding = rounding};
    return bli_lower_add(c, &op, NULL, NULL, 0, &c->y[0].wire);
}

static bl_status floor_lower(bli_lower_call *c)
{
    return lower_round(c, BL_TRN, false);
}

static bl_status ceil_lower(bli_lower_call *c)
{
    return lower_round(c, BL_TRN, true);
}

static bl_status round_lower(bli_lower_call *c)
{
    return lower_round(c, BL_RND_CONV, false);
}

static bl_status abs_lower(bli_lower_call *c)
{
    const bli_prim_op op = {.kind = BLI_PRIM_ABS, .num_in = 1, .in = {c->x[0].wire}};
    return bli_lower_add(c, &op, NULL, NULL, bli_lower_wire(c, 0)->exp, &c->y[0].wire);
}
#define sign_lower NULL

static bl_status lower_pair(bli_lower_call *c, bli_prim kind)
{
    c->declined = c->x[0].wire < 0 || c->x[1].wire < 0;
    if (c->declined)
        return BL_OK;
    const int a = bli_lower_wire(c, 0)->exp, b = bli_lower_wire(c, 1)->exp, exp = a < b ? a : b;
    bli_prim_op op = {.kind = kind, .num_in = 2};
    BLI_TRY(bli_lower_align(c, c->x[0].wire, exp, &op.in[0]));
    BLI_TRY(bli_lower_align(c, c->x[1].wire, exp, &op.in[1]));
    return bli_lower_add(c, &op, NULL, NULL, exp, &c->y[0].wire);
}

static bl_status min_lower(bli_lower_call *c)
{
    return lower_pair(c, BLI_PRIM_MIN);
}

static bl_status max_lower(bli_lower_call *c)
{
    return lower_pair(c, BLI_PRIM_MAX);
}
#define pow_lower NULL

static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};

#define STEP_OP(name, onnx, KIND, help)                                                                                \
    static bl_status name##_forward(const bli_call *c)                                                                 \
    {                                                                                                                  \
        return run_step(c, STEP_##KIND);                                                                               \
    }                                                                                                                  \
    static bl_status name##_backward(const bli_call *c)                                                                \
    {                                                                                                                  \
        return run_step_back(c, STEP_##KIND);                                                                          \
    }                                                                                                                  \
    const bli_op bli_op_##name = {.schema = {onnx, BLI_DOMAIN_ONNX, 1, 1, 1, no_attrs, infer_one, help},               \
                                  .flags = BLI_OP_NEEDS_IN | BLI_OP_ELEMENTWISE,                                       \
                                  .range = name##_range,                                                               \
                                  .lower = name##_lower,                                                               \
                                  .forward = name##_forward,                                                           \
                                  .backward = name##_backward}
STEP_OP(floor, "Floor", FLOOR, "greatest integer not above x");
STEP_OP(ceil, "Ceil", CEIL, "least integer not below x");
STEP_OP(round, "Round", ROUND, "nearest integer, ties to even");
STEP_OP(sign, "Sign", SIGN, "-1, 0 or 1");
STEP_OP(abs, "Abs", ABS, "|x|");

#define PAIR_OP(name, onnx, KIND, help)                                                                                \
    static bl_status name##_forward(const bli_call *c)                                                                 \
    {                                                                                                                  \
        return run_pair(c, PAIR_##KIND);                                                                               \
    }                                                                                                                  \
    static bl_status name##_backward(const bli_call *c)                                                                \
    {                                                                                                                  \
        return run_pair_back(c, PAIR_##KIND);                                                                          \
    }                                                                                                                  \
    const bli_op bli_op_##name = {.schema = {onnx, BLI_DOMAIN_ONNX, 2, 2, 1, no_attrs, infer_pair, help},              \
                                  .flags = BLI_OP_NEEDS_IN | BLI_OP_ELEMENTWISE,                                       \
                                  .range = name##_range,                                                               \
                                  .lower = name##_lower,                                                               \
                                  .forward = name##_forward,                                                           \
                                  .backward = name##_backward,                                                         \
                                  .scratch = pair_scratch}
PAIR_OP(min, "Min", MIN, "the smaller of two, broadcast");
PAIR_OP(max, "Max", MAX, "the larger of two, broadcast");
PAIR_OP(pow, "Pow", POW, "a to the power of b, broadcast");
