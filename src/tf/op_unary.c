/* op_unary.c: operators of one tensor, element by element, of floats and doubles (some of whole numbers too); softmax;
 * fake quantization; Print. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tf/eight.h"
#include "tf/op.h"

/* ---- functions ----------------------------------------------------------------------------------------------- */
#define UNARY(op, expression, expression64)                                                                            \
    static void op##_float(const float *a, int64_t n, float *to)                                                       \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float x = a[i];                                                                                      \
            to[i] = expression;                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    static void op##_double(const double *a, int64_t n, double *to)                                                    \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const double x = a[i];                                                                                     \
            to[i] = expression64;                                                                                      \
        }                                                                                                              \
    }
UNARY(rsqrt, 1 / sqrtf(x), 1 / sqrt(x))
UNARY(sqrt, sqrtf(x), sqrt(x))
UNARY(exp, expf(x), exp(x))
UNARY(log, logf(x), log(x))
UNARY(log1p, log1pf(x), log1p(x))
UNARY(neg, -x, -x)
UNARY(abs, fabsf(x), fabs(x))
UNARY(square, x *x, x *x)
UNARY(sigmoid, 1 / (1 + expf(-x)), 1 / (1 + exp(-x)))
UNARY(tanh, tanhf(x), tanh(x))
UNARY(relu, x > 0 ? x : 0, x > 0 ? x : 0)
UNARY(relu6, x > 6 ? 6 : x > 0 ? x : 0, x > 6 ? 6 : x > 0 ? x : 0)
UNARY(elu, x < 0 ? expm1f(x) : x, x < 0 ? expm1(x) : x)
UNARY(selu, x < 0 ? 1.7580993408473768599402175208123f * expm1f(x) : 1.0507009873554804934193349852946f * x,
      x < 0 ? 1.7580993408473768599402175208123 * expm1(x) : 1.0507009873554804934193349852946 * x)
UNARY(softplus, x > 20 ? x : log1pf(expf(x)), x > 40 ? x : log1p(exp(x)))
UNARY(softsign, x / (1 + fabsf(x)), x / (1 + fabs(x)))
UNARY(floor, floorf(x), floor(x))
UNARY(ceil, ceilf(x), ceil(x))
UNARY(round, rintf(x), rint(x))
UNARY(reciprocal, 1 / x, 1 / x)
UNARY(erf, erff(x), erf(x))
UNARY(sin, sinf(x), sin(x))
UNARY(cos, cosf(x), cos(x))

/* As TensorFlow has it on x86, for folding that gives its bits; what is left of eights is divided. */
static void eights_of_rsqrt_float(const float *a, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = i < n / 8 * 8 ? bli_estimated_rsqrt(a[i]) : 1 / sqrtf(a[i]);
}

static void eights_of_rsqrt_double(const double *a, int64_t n, double *to)
{
    rsqrt_double(a, n, to);
}

typedef struct unary {
    const char *name;
    void (*f32)(const float *a, int64_t n, float *to);
    void (*f64)(const double *a, int64_t n, double *to);
} unary;
#define ROW(name, op)                                                                                                  \
    {                                                                                                                  \
        name, op##_float, op##_double                                                                                  \
    }
static const unary unaries[] = {
    ROW("Rsqrt", rsqrt),
    ROW("Sqrt", sqrt),
    ROW("Exp", exp),
    ROW("Log", log),
    ROW("Log1p", log1p),
    ROW("Neg", neg),
    ROW("Abs", abs),
    ROW("Square", square),
    ROW("Sigmoid", sigmoid),
    ROW("Tanh", tanh),
    ROW("Relu", relu),
    ROW("Relu6", relu6),
    ROW("Elu", elu),
    ROW("Selu", selu),
    ROW("Softplus", softplus),
    ROW("Softsign", softsign),
    ROW("Floor", floor),
    ROW("Ceil", ceil),
    ROW("Round", round),
    ROW("Rint", round),
    ROW("Reciprocal", reciprocal),
    ROW("Inv", reciprocal),
    ROW("Erf", erf),
    ROW("Sin", sin),
    ROW("Cos", cos),
    ROW("_EightsOfRsqrt", eights_of_rsqrt),
};

static bl_status infer_unary(bli_tf_call *c)
{
    const int t = c->in[0].dtype;
    if (t && t != BLI_DT_FLOAT && t != BLI_DT_DOUBLE)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "an input of type %s; float and double are known",
                        bli_tf_dtype_name(t));
    return bli_tf_infer_same(c);
}

static bl_status run_unary(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    for (size_t i = 0; i < BLI_COUNT(unaries); i++) {
        if (strcmp(unaries[i].name, c->node->op) != 0)
            continue;
        if (c->in[0].dtype == BLI_DT_FLOAT)
            unaries[i].f32(c->in[0].data, n, c->out[0].data);
        else
            unaries[i].f64(c->in[0].data, n, c->out[0].data);
        return BL_OK;
    }
    return bli_fail(c->ctx, BL_USAGE, "%s is in no table", c->node->op);
}

static bl_status infer_leaky(bli_tf_call *c)
{
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    return bli_tf_infer_same(c);
}

static bl_status run_leaky(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    const float *x = c->in[0].data;
    float *y = c->out[0].data, alpha;
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "alpha", 0.2f, &alpha));
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : x[i] * alpha;
    return BL_OK;
}

static bl_status infer_not(bli_tf_call *c)
{
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_BOOL));
    return bli_tf_infer_same(c);
}

static bl_status run_not(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)c->out[0].data)[i] = !((const uint8_t *)c->in[0].data)[i];
    return BL_OK;
}

/* ---- softmax ------------------------------------------------------------------------------------------------- */
static bl_status infer_softmax(bli_tf_call *c)
{
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    if (c->in[0].shape.rank == 0)
        return bli_tf_refuse(c, 0, "at least one dimension");
    return bli_tf_infer_same(c);
}

static void softmax_row(const float *x, int64_t n, bool logarithm, float *y)
{
    float most = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) {
        y[i] = expf(x[i] - most);
        sum += y[i];
    }
    const float scale = 1 / sum, shift = logf(sum);
    for (int64_t i = 0; i < n; i++)
        y[i] = logarithm ? x[i] - most - shift : y[i] * scale;
}

static bl_status run_softmax(bli_tf_call *c)
{
    const int64_t n = c->in[0].shape.dim[c->in[0].shape.rank - 1], all = bli_tf_count(&c->in[0]);
    const float *x = c->in[0].data;
    for (int64_t at = 0; n > 0 && at < all; at += n)
        softmax_row(x + at, n, c->node->op[0] == 'L', (float *)c->out[0].data + at);
    return BL_OK;
}

/* ---- FakeQuantWithMinMaxVars --------------------------------------------------------------------------------- */
static bl_status infer_fake_quant(bli_tf_call *c)
{
    int64_t bits;
    for (int i = 0; i < c->num_in; i++)
        BLI_TRY(bli_tf_need_type(c, i, BLI_DT_FLOAT));
    for (int i = 1; i < c->num_in; i++)
        if (bli_tf_known(&c->in[i].shape) && bli_tf_count(&c->in[i]) != 1)
            return bli_tf_refuse(c, i, "one number");
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "num_bits", 8, &bits));
    if (bits < 2 || bits > 16)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'num_bits' is %lld, expected 2 to 16", (long long)bits);
    return bli_tf_infer_same(c);
}

static bl_status fake_range(bli_tf_call *c, float range[2])
{
    if (c->num_in == 3) {
        range[0] = *(const float *)c->in[1].data;
        range[1] = *(const float *)c->in[2].data;
        return BL_OK;
    }
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "min", -6, &range[0]));
    return bli_tf_float_or(c->ctx, c->node, "max", 6, &range[1]);
}

/* The range moves so that zero has a code ("nudged"). */
static bl_status run_fake_quant(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    const float *x = c->in[0].data;
    float *y = c->out[0].data, range[2];
    int64_t bits;
    bool narrow;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "num_bits", 8, &bits));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "narrow_range", false, &narrow));
    BLI_TRY(fake_range(c, range));
    const float low = narrow, high = (float)((1 << bits) - 1);
    if (range[0] == 0 && range[1] == 0) {
        memset(y, 0, (size_t)n * sizeof *y);
        return BL_OK;
    }
    const float scale = (range[1] - range[0]) / (high - low), zero = low - range[0] / scale;
    const float code = zero < low ? low : zero > high ? high : roundf(zero);
    const float first = (low - code) * scale, last = (high - code) * scale, inverse = 1 / scale;
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] < first ? first : x[i] > last ? last : x[i];
        y[i] = floorf((v - first) * inverse + 0.5f) * scale + first;
    }
    return BL_OK;
}

#define OP(name)                                                                                                       \
    {                                                                                                                  \
        name, 1, 1, 1, NULL, infer_unary, run_unary, 0, false                                                          \
    }
static const bli_tf_op ops[] = {
    OP("Rsqrt"),
    OP("_EightsOfRsqrt"),
    OP("Sqrt"),
    OP("Exp"),
    OP("Log"),
    OP("Log1p"),
    OP("Neg"),
    OP("Abs"),
    OP("Square"),
    OP("Sigmoid"),
    OP("Tanh"),
    OP("Relu"),
    OP("Relu6"),
    OP("Elu"),
    OP("Selu"),
    OP("Softplus"),
    OP("Softsign"),
    OP("Floor"),
    OP("Ceil"),
    OP("Round"),
    OP("Rint"),
    OP("Reciprocal"),
    OP("Inv"),
    OP("Erf"),
    OP("Sin"),
    OP("Cos"),
    {"LeakyRelu", 1, 1, 1, NULL, infer_leaky, run_leaky, 0, false},
    {"LogicalNot", 1, 1, 1, NULL, infer_not, run_not, 0, false},
    {"Softmax", 1, 1, 1, NULL, infer_softmax, run_softmax, 0, false},
    {"LogSoftmax", 1, 1, 1, NULL, infer_softmax, run_softmax, 0, false},
    {"FakeQuantWithMinMaxVars", 3, 3, 1, NULL, infer_fake_quant, run_fake_quant, 0, false},
    {"FakeQuantWithMinMaxArgs", 1, 1, 1, NULL, infer_fake_quant, run_fake_quant, 0, false},
};
const bli_tf_family bli_tf_family_unary = {ops, BLI_COUNT(ops)};
