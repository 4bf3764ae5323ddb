/* qonnx.c: QONNX's Quant, BipolarQuant, FloatQuant and Trunc, as other tools write them.
 *
 * They give the values of the reference executor of Python package qonnx 1.0, bit for bit for float32; training passes
 * gradients straight through where the input lies in the range.  Our own graphs quantize with Quantize instead: these
 * are here so that a file means the same as elsewhere.
 * Scale, zero point and widths are inputs that broadcast to x; they get no gradient.
 */
#include <math.h>
#include <string.h>

#include "num/functions.h"
#include "op/infer.h"
#include "op/op.h"

enum { MOST_PARAMS = 5 };
typedef enum kind { QUANT, BIPOLAR, FLOAT_QUANT, TRUNC } kind;
typedef enum rounding { ROUND, CEIL, FLOOR, UP, DOWN, HALF_UP, HALF_DOWN } rounding;

typedef struct quant_options {
    kind kind;
    rounding mode;
    bool is_signed, narrow, has_inf, saturation;
} quant_options;

/* Inputs 1 and on; place: where a kernel expects each among its parameters. */
typedef struct params {
    int count, place[MOST_PARAMS];
    const void *data[MOST_PARAMS];
    const bl_shape *shape[MOST_PARAMS];
    bool all_scalar;
} params;

/* Index into parameter k for x's element i. */
static size_t param_index(const params *p, const bl_shape *x, int k, size_t i)
{
    const bl_shape *t = p->shape[k];
    size_t index = 0, stride = 1;
    for (int d = 0; d < t->rank; d++) {
        size_t xdim = (size_t)x->dim[x->rank - 1 - d], dim = (size_t)t->dim[t->rank - 1 - d];
        index += dim == 1 ? 0 : (i % xdim) * stride;
        stride *= dim;
        i /= xdim;
    }
    return index;
}

#define REAL_TEMPLATE "op/qonnx.inc"
#include "op/real.h"

/* ---- attributes --------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    rounding mode;
} modes[] = {{"ROUND", ROUND}, {"HALF_EVEN", ROUND}, {"CEIL", CEIL},       {"FLOOR", FLOOR},
             {"UP", UP},       {"DOWN", DOWN},       {"HALF_UP", HALF_UP}, {"HALF_DOWN", HALF_DOWN}};

static bool same_word(const char *a, const char *upper)
{
    for (; *a && *upper; a++, upper++)
        if ((*a >= 'a' && *a <= 'z' ? *a - 'a' + 'A' : *a) != *upper)
            return false;
    return *a == *upper;
}

static bool find_mode(const char *word, rounding *out)
{
    for (size_t i = 0; i < BLI_COUNT(modes); i++)
        if (same_word(word, modes[i].word)) {
            *out = modes[i].mode;
            return true;
        }
    return false;
}

static quant_options options_of(const bl_node *n)
{
    quant_options o = {.kind = strcmp(n->type, "Quant") == 0 || strcmp(n->type, "IntQuant") == 0 ? QUANT
                               : strcmp(n->type, "BipolarQuant") == 0                            ? BIPOLAR
                               : strcmp(n->type, "Trunc") == 0                                   ? TRUNC
                                                                                                 : FLOAT_QUANT};
    o.is_signed = bl_node_int(n, "signed", 1) != 0;
    o.narrow = bl_node_int(n, "narrow", o.kind == QUANT ? 1 : 0) != 0;
    o.has_inf = bl_node_int(n, "has_inf", 0) != 0;
    o.saturation = bl_node_int(n, "saturation", 1) != 0;
    if (!find_mode(bl_node_string(n, "rounding_mode", o.kind == TRUNC ? "FLOOR" : "ROUND"), &o.mode))
        o.mode = ROUND; /* inference has refused it */
    return o;
}

/* ---- inference ---------------------------------------------------------------------------------------------- */

static bl_status check_param(bli_infer *i, int k)
{
    const bl_shape *x = &i->in[0]->shape;
    bl_shape both;
    if (i->in[k]->type != i->in[0]->type)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is %s, but x is %s", k, bl_dtype_name(i->in[k]->type),
                        bl_dtype_name(i->in[0]->type));
    BLI_TRY(bli_within(i->ctx, bli_infer_broadcast(i, x, &i->in[k]->shape, &both), "input %d", k));
    if (!bl_shape_equal(x, &both))
        return bli_fail(i->ctx, BL_BAD_MODEL, "input %d does not broadcast to x", k);
    return BL_OK;
}

static bl_status infer(bli_infer *i)
{
    rounding mode;
    const char *word = bl_node_string(i->node, "rounding_mode", "ROUND");
    BLI_TRY(bli_infer_real(i, 0));
    if (!find_mode(word, &mode))
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute rounding_mode: unknown word '%s'", word);
    for (int k = 1; k < i->node->num_inputs; k++) {
        if (!i->in[k])
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is absent", k);
        BLI_TRY(check_param(i, k));
    }
    return bli_infer_same(i);
}

/* ---- kernels ------------------------------------------------------------------------------------------------ */

static params params_of(const bli_call *c)
{
    params p = {.count = c->node->num_inputs - 1, .all_scalar = true};
    for (int k = 0; k < p.count; k++) {
        p.place[k] = k;
        p.data[k] = c->in[k + 1].data;
        p.shape[k] = &c->in[k + 1].shape;
        p.all_scalar = p.all_scalar && bl_shape_count(p.shape[k]) == 1;
    }
    if (strcmp(c->node->type, "Trunc") == 0 && p.count == 4)
        p.place[3] = 4; /* version 1 has no output scale */
    return p;
}

static bl_status forward(const bli_call *c)
{
    quant_options o = options_of(c->node);
    params p = params_of(c);
    BLI_REAL_CALL(c->in[0].type, walk, c, &o, &p, NULL, c->out[0].data);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    quant_options o = options_of(c->node);
    params p = params_of(c);
    if (c->grad_in[0].data)
        BLI_REAL_CALL(c->in[0].type, walk, c, &o, &p, c->grad_out[0].data, c->grad_in[0].data);
    for (int k = 1; k < c->node->num_inputs; k++)
        if (c->grad_in[k].data)
            memset(c->grad_in[k].data, 0, bli_count(&c->grad_in[k]) * bl_dtype_size(c->grad_in[k].type));
    return BL_OK;
}

/* ---- ranges ------------------------------------------------------------------------------------------------- */

static double param_at(const bl_value *v, int64_t i)
{
    return bli_real_at(v->type, v->data, (size_t)(bl_shape_count(&v->shape) == 1 ? 0 : i));
}

/* Values are codes times a scale, rounded to the carrier: multiples of the scale's own lowest bit.  Parameters of
 * several elements are taken together in the order of their elements, which is only right when all have one shape or
 * one element; else nothing is said. */
static void range(bli_range_call *r)
{
    const int used = strcmp(r->node->type, "BipolarQuant") == 0 ? 1 : 3;
    int64_t count = 1;
    bool first = true;
    quant_options o = options_of(r->node);
    if (o.kind == FLOAT_QUANT || o.kind == TRUNC)
        return;
    for (int k = 1; k <= used; k++) {
        if (!r->in[k] || !r->in[k]->data)
            return;
        int64_t n = bl_shape_count(&r->in[k]->shape);
        if (n != 1 && count != 1 && n != count)
            return;
        count = n > count ? n : count;
    }
    for (int64_t i = 0; i < count; i++) {
        double scale = param_at(r->in[1], i), zero = used == 3 ? param_at(r->in[2], i) : 0, least = -1, greatest = 1;
        double bits = used == 3 ? param_at(r->in[3], i) : 1;
        if (!(scale > 0) || isinf(scale) || scale != ldexp(1, bli_step_of(scale)) || zero != floor(zero) ||
            !(bits >= 1 && bits <= 32))
            return;
        if (o.kind == QUANT && !(bits == 1 && o.is_signed))
            code_ends_f64(&o, bits, &least, &greatest);
        bli_range y = {true, bli_step_of((double)(float)scale), (double)(float)((least - zero) * scale),
                       (double)(float)((greatest - zero) * scale)};
        r->range_out[0] = first ? y : bli_range_join(r->range_out[0], y);
        first = false;
    }
}

/* ---- table -------------------------------------------------------------------------------------------------- */

static const bli_attr_spec quant_attrs[] = {{"signed", BL_ATTR_INT, false},
                                            {"narrow", BL_ATTR_INT, false},
                                            {"rounding_mode", BL_ATTR_STRING, false},
                                            {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec bipolar_attrs[] = {{NULL, BL_ATTR_INT, false}};
static const bli_attr_spec float_attrs[] = {
    {"rounding_mode", BL_ATTR_STRING, false}, {"has_inf", BL_ATTR_INT, false},    {"has_nan", BL_ATTR_INT, false},
    {"has_subnormal", BL_ATTR_INT, false},    {"saturation", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};

#define QONNX_OP(name, type, inputs, most, attrs, help)                                                                \
    const bli_op bli_op_##name = {.schema = {type, BLI_DOMAIN_QONNX, inputs, most, 1, attrs, infer, help},             \
                                  .flags = BLI_OP_NEEDS_IN | BLI_OP_ELEMENTWISE,                                       \
                                  .forward = forward,                                                                  \
                                  .backward = backward,                                                                \
                                  .range = range}
QONNX_OP(quant, "Quant", 4, 4, quant_attrs, "QONNX: integer codes with scale and zero point");
QONNX_OP(int_quant, "IntQuant", 4, 4, quant_attrs, "QONNX: Quant under its newer name");
QONNX_OP(bipolar_quant, "BipolarQuant", 2, 2, bipolar_attrs, "QONNX: the sign times a scale");
QONNX_OP(float_quant, "FloatQuant", 6, 6, float_attrs, "QONNX: minifloats");
QONNX_OP(trunc, "Trunc", 5, 6, quant_attrs, "QONNX: low bits dropped");
