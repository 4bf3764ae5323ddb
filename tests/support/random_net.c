/* random_net.c: see random_net.h.
 *
 * A network is an input quantizer, a few blocks (a layer, perhaps a normalisation, an activation, a quantizer; a move;
 * a meeting of two values), and an end.  Numbers come from one counter-based stream.
 * Length: one builder per operator, each a few lines, over one state.
 */
#include "support/random_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/random.h"

typedef struct maker {
    bl_context *ctx;
    bl_graph *g;
    bli_stream s;
    uint64_t drawn;
    net_words *words;
    int x;          /* current value */
    bl_shape shape; /* of its row */
    int made;       /* nodes and tensors so far, for names */
    bool positive;  /* not below zero */
} maker;

static void must(bl_context *ctx, bl_status s)
{
    if (s == BL_OK)
        return;
    fprintf(stderr, "random network: %s: %s\n", bl_status_name(s), bl_context_message(ctx));
    exit(1);
}

static int draw(maker *m, int n)
{
    return (int)(bli_stream_u32(&m->s, m->drawn++) % (uint32_t)n);
}

static double uniform(maker *m, double lo, double hi)
{
    return lo + (hi - lo) * (double)bli_unit_float(bli_stream_u32(&m->s, m->drawn++));
}

static void note(maker *m, const char *word)
{
    for (int i = 0; m->words && i < m->words->count; i++)
        if (strcmp(m->words->word[i], word) == 0)
            return;
    if (m->words && m->words->count < NET_WORDS)
        m->words->word[m->words->count++] = word;
}

/* ---- graph ---------------------------------------------------------------------------------------------------- */
static int tensor(maker *m, bl_role role, const char *place, const bl_shape *shape, double lo, double hi)
{
    bl_tensor t;
    int id;
    char name[32];
    must(m->ctx, bl_tensor_create(m->ctx, BL_F32, shape, &t));
    for (int64_t i = 0; i < bl_shape_count(shape); i++)
        ((float *)t.data)[i] = (float)uniform(m, lo, hi);
    snprintf(name, sizeof name, "t%d", m->made++);
    must(m->ctx, bl_graph_add_tensor(m->g, name, role, place, &t, &id));
    bl_tensor_free(m->ctx, &t);
    return id;
}

static int number(maker *m, double v)
{
    return tensor(m, BL_ROLE_CONSTANT, "", &(bl_shape){0}, v, v);
}

static int integers(maker *m, const int64_t *v, int n)
{
    int id;
    const bl_tensor t = {BL_I64, {1, {n}}, (void *)(uintptr_t)v};
    must(m->ctx, bl_graph_add_tensor(m->g, NULL, BL_ROLE_CONSTANT, "", &t, &id));
    return id;
}

static int node_outputs(maker *m, const char *type, const char *domain, const int *in, int num_in, const bl_attr *attrs,
                        int num_attrs, int num_out, int *out)
{
    char name[32];
    snprintf(name, sizeof name, "n%d", m->made++);
    const bl_node n = {.name = name,
                       .type = type,
                       .domain = domain,
                       .inputs = in,
                       .num_inputs = num_in,
                       .num_outputs = num_out,
                       .attrs = attrs,
                       .num_attrs = num_attrs};
    must(m->ctx, bl_graph_add_node(m->g, &n, NULL, out));
    note(m, type);
    return out[0];
}

static int node(maker *m, const char *type, const char *domain, const int *in, int num_in, const bl_attr *attrs,
                int num_attrs)
{
    int out;
    return node_outputs(m, type, domain, in, num_in, attrs, num_attrs, 1, &out);
}

static const char last[] = "qonnx.custom_op.channels_last";

/* The value's real shape, as inference sees it. */
static void settle(maker *m)
{
    must(m->ctx, bl_graph_set_outputs(m->g, &m->x, 1));
    must(m->ctx, bl_graph_infer(m->g));
    const bl_shape *s = &bl_graph_value(m->g, m->x)->shape;
    m->shape.rank = s->rank - 1;
    for (int d = 0; d < m->shape.rank; d++)
        m->shape.dim[d] = s->dim[d + 1];
}

static int64_t channels(const maker *m)
{
    return m->shape.dim[m->shape.rank - 1];
}

/* ---- quantizers ------------------------------------------------------------------------------------------------ */
static bool one_of(const char *key, const char *const *keys)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

/* "quantizer=lsq format=int<4> granularity=channel" */
static int parse_attrs(char *text, bl_attr *attrs)
{
    static const char *const ints[] = {"bits",       "integer", "keep_negative", "symmetric", "axis",
                                       "zero_point", "use_01",  "scale_axis",    NULL};
    static const char *const floats[] = {"negative_slope", "max_value", "threshold", NULL};
    int n = 0;
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " ")) {
        char *value = strchr(at, '=');
        *value++ = 0;
        attrs[n] = (bl_attr){.name = at, .kind = BL_ATTR_STRING, .count = 1, .u.s = value};
        if (one_of(at, ints))
            attrs[n] = (bl_attr){.name = at, .kind = BL_ATTR_INT, .count = 1, .u.i = atoi(value)};
        if (one_of(at, floats))
            attrs[n] = (bl_attr){.name = at, .kind = BL_ATTR_FLOAT, .count = 1, .u.f = atof(value)};
        n++;
    }
    return n;
}

static int quantize(maker *m, int x, const char *spec, const char *place, int64_t groups, int axis, double step)
{
    char text[256];
    bl_attr attrs[16];
    int in[2] = {x, -1}, num_in = 1;
    note(m, spec);
    snprintf(text, sizeof text, "%s place=%s", spec, place);
    int n = parse_attrs(text, attrs);
    if (strstr(spec, "learned") || strstr(spec, "lsq") || strstr(spec, "pact")) {
        const bool channel = strstr(spec, "granularity=channel") != NULL;
        const double most = strstr(spec, "pact") ? step * 20 : step;
        in[1] = tensor(m, BL_ROLE_PARAMETER, "scale", &(bl_shape){1, {channel ? groups : 1}}, most * 0.5, most * 1.5);
        num_in = 2;
    }
    if (axis >= 0 && (strstr(spec, "granularity=channel") || strstr(spec, "alpha=auto") || strstr(spec, "xnor")))
        attrs[n++] = (bl_attr){.name = "axis", .kind = BL_ATTR_INT, .count = 1, .u.i = axis};
    return node(m, "Quantize", "bitlathe", in, num_in, attrs, n);
}

static const char *const inputs[] = {
    "format=ufixed<8,0,RND,SAT>",
    "format=fixed<8,2,RND,SAT>",
    "format=fixed<5,3,TRN,WRAP>",
    "format=int<6> scale=0.07",
    "format=binary",
    "format=affine<8> scale=0.013 zero_point=77",
    "format=fixed<10,3,RND_CONV,SAT_SYM>",
    "quantizer=lsq format=int<7>",
    "format=ternary scale=0.7",
    "format=uint<4> scale=0.125",
    "format=float<e3m2>",
    "format=fixed<16,4,RND,SAT>",
};
static const char *const weights[] = {
    "format=fixed<6,1,RND,SAT_SYM>",
    "format=fixed<4,1,RND,SAT>",
    "format=fixed<3,1,TRN,WRAP>",
    "format=binary",
    "format=ternary scale=0.25",
    "quantizer=lsq format=int<4> granularity=channel",
    "quantizer=lsq format=int<3>",
    "format=int<5> scale=po2",
    "format=int<4> scale=auto granularity=channel",
    "quantizer=dorefa bits=3",
    "quantizer=dorefa bits=1",
    "quantizer=xnor",
    "quantizer=quantized_bits bits=4 integer=0 alpha=auto",
    "quantizer=binary alpha=auto",
    "quantizer=ternary alpha=auto",
    "quantizer=quantized_po2 bits=4 max_value=1",
    "format=float<e2m1> scale=0.25",
    "format=float<e4m3>",
    "format=po2<3>",
    "format=int<4> scale=learned_po2",
    "quantizer=quantized_bits bits=5 integer=1 alpha=0.3",
    "format=affine<6> scale=auto",
    "format=mx<e2m1,4>",
    "format=int<6> scale=0.037",
    "format=fixed<14,2,RND,SAT>",
};
static const char *const activations[] = {
    "format=ufixed<6,3,RND,SAT>",
    "format=fixed<8,4,TRN,WRAP>",
    "format=fixed<5,2,RND_CONV,SAT_ZERO>",
    "format=fixed<6,3,RND_ZERO,WRAP_SM>",
    "format=fixed<6,2,RND_MIN_INF,SAT_SYM>",
    "format=fixed<7,3,RND_INF,SAT>",
    "format=fixed<6,4,TRN_ZERO,SAT>",
    "quantizer=lsq format=uint<4>",
    "quantizer=lsq format=int<4>",
    "quantizer=pact format=uint<4>",
    "quantizer=dorefa bits=4",
    "format=affine<8> scale=0.05 zero_point=100",
    "format=binary",
    "format=ternary",
    "format=int<3> scale=0.3",
    "format=float<e4m3>",
    "format=po2<4>",
    "quantizer=quantized_relu bits=5 integer=2",
    "quantizer=quantized_bits bits=5 integer=2",
    "quantizer=binary",
    "quantizer=ternary threshold=0.5",
    "quantizer=lsq format=uint<9>",
    "format=int<5> scale=learned_po2",
    "format=fixed<9,4,STOCHASTIC,SAT>",
    "quantizer=quantized_bits bits=4 integer=1 alpha=0.7",
    "quantizer=quantized_relu_po2 bits=4 max_value=4",
    "format=fixed<12,5,RND,SAT>",
    "format=uint<2> scale=0.6",
    "format=fixed<18,8,TRN,WRAP>",
    "quantizer=quantized_tanh bits=5",
};
#define PICK(m, list) list[draw(m, (int)BLI_COUNT(list))]

static void qonnx_quant(maker *m)
{
    const int in[4] = {m->x, number(m, draw(m, 2) ? 0.11 : 0.25), number(m, draw(m, 2) * 3), number(m, 2 + draw(m, 6))};
    static const char *const modes[] = {"ROUND", "CEIL", "FLOOR", "HALF_UP", "DOWN"};
    const bl_attr attrs[] = {{.name = "signed", .kind = BL_ATTR_INT, .count = 1, .u.i = draw(m, 2)},
                             {.name = "narrow", .kind = BL_ATTR_INT, .count = 1, .u.i = draw(m, 2)},
                             {.name = "rounding_mode", .kind = BL_ATTR_STRING, .count = 1, .u.s = PICK(m, modes)}};
    static const char domain[] = "qonnx.custom_op.general";
    const int kind = draw(m, 6);
    if (kind == 0)
        m->x = node(m, "BipolarQuant", domain, in, 2, NULL, 0);
    else
        m->x = node(m, kind == 1 ? "IntQuant" : "Quant", domain, in, 4, attrs, 3);
}

static void quantize_activation(maker *m)
{
    if (draw(m, 12) == 0)
        qonnx_quant(m);
    else
        m->x = quantize(m, m->x, PICK(m, activations), "activation", channels(m), -1, uniform(m, 0.05, 0.4));
}

/* ---- layers ---------------------------------------------------------------------------------------------------- */
static int weight(maker *m, const bl_shape *shape, int axis, int64_t terms)
{
    const double limit = sqrt(6.0 / (double)(terms < 1 ? 1 : terms));
    const int w = tensor(m, BL_ROLE_PARAMETER, "weight", shape, -limit, limit);
    return quantize(m, w, PICK(m, weights), "weight", shape->dim[axis], axis, limit / 6);
}

static int bias(maker *m, int64_t n)
{
    const int b = tensor(m, BL_ROLE_PARAMETER, "bias", &(bl_shape){1, {n}}, -0.6, 0.6);
    return draw(m, 3) ? quantize(m, b, "format=fixed<8,2,RND,SAT>", "bias", n, -1, 1) : b;
}

static void dense(maker *m)
{
    const int64_t in = channels(m), out = 1 + draw(m, 7);
    const bool gemm = m->shape.rank == 1 && draw(m, 3) == 0;
    const bool trans = gemm && draw(m, 2);
    const bl_shape s = {2, {trans ? out : in, trans ? in : out}};
    int ids[3] = {m->x, weight(m, &s, trans ? 0 : 1, in), -1};
    const bl_attr t = {.name = "transB", .kind = BL_ATTR_INT, .count = 1, .u.i = trans};
    const bool biased = draw(m, 3) > 0;
    if (gemm) {
        ids[2] = biased ? bias(m, out) : -1;
        m->x = node(m, "Gemm", "", ids, biased ? 3 : 2, &t, 1);
    } else {
        m->x = node(m, "MatMul", "", ids, 2, NULL, 0);
        if (biased) {
            const int sum[2] = {m->x, bias(m, out)};
            m->x = node(m, "Add", "", sum, 2, NULL, 0);
        }
    }
    settle(m);
}

static void conv(maker *m)
{
    const int dims = m->shape.rank - 1;
    const bool transposed = draw(m, 5) == 0;
    const int64_t c = channels(m), groups = draw(m, 3) == 0 ? c : 1;
    const int64_t out = groups * (1 + draw(m, groups > 1 ? 2 : 4));
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    for (int d = 0; d < dims; d++) {
        kernel[d] = 1 + draw(m, m->shape.dim[d] < 3 ? 1 : 3);
        dilation[d] = 1 + (kernel[d] == 2 && m->shape.dim[d] > 4 && draw(m, 3) == 0);
        stride[d] = 1 + draw(m, 2);
        pads[d] = kernel[d] > 1 ? draw(m, 2) : 0;
        pads[dims + d] = kernel[d] > 1 ? draw(m, 2) : 0;
    }
    bl_shape w = {2 + dims, {transposed ? c : out, transposed ? out / groups : c / groups}};
    int64_t terms = c / groups;
    for (int d = 0; d < dims; d++)
        terms *= w.dim[2 + d] = kernel[d];
    const int ids[3] = {m->x, weight(m, &w, transposed ? 1 : 0, terms), draw(m, 2) ? bias(m, out) : -1};
    const bl_attr attrs[] = {{.name = "kernel_shape", .kind = BL_ATTR_INTS, .count = (size_t)dims, .u.ints = kernel},
                             {.name = "strides", .kind = BL_ATTR_INTS, .count = (size_t)dims, .u.ints = stride},
                             {.name = "dilations", .kind = BL_ATTR_INTS, .count = (size_t)dims, .u.ints = dilation},
                             {.name = "pads", .kind = BL_ATTR_INTS, .count = 2 * (size_t)dims, .u.ints = pads},
                             {.name = "group", .kind = BL_ATTR_INT, .count = 1, .u.i = groups}};
    m->x = node(m, transposed ? "ConvTranspose" : "Conv", last, ids, ids[2] < 0 ? 2 : 3, attrs, 5);
    if (groups > 1)
        note(m, "groups");
    settle(m);
}

static void batch_norm(maker *m)
{
    static const char *const places[] = {"gamma", "beta", "mean", "variance"};
    static const double range[4][2] = {{-1, 1.5}, {-0.5, 0.5}, {-0.5, 0.5}, {0.2, 2}};
    const bl_shape s = {1, {channels(m)}};
    int in[5] = {m->x};
    for (int i = 0; i < 4; i++)
        in[1 + i] = tensor(m, i < 2 ? BL_ROLE_PARAMETER : BL_ROLE_STATE, places[i], &s, range[i][0], range[i][1]);
    m->x = node(m, "BatchNormalization", last, in, 5, NULL, 0);
}

/* ---- activations and pools ------------------------------------------------------------------------------------- */
static void activation(maker *m)
{
    static const char *const plain[] = {"Relu", "Relu", "Relu", "Identity", "Sigmoid", "Tanh", "HardSwish", "Softplus"};
    const bl_attr alpha = {.name = "alpha", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = draw(m, 2) ? 0.125 : 0.3};
    static const char *const steps[] = {"Floor", "Ceil", "Round", "Sign", "Abs"};
    const int kind = draw(m, 16);
    if (((kind >= 4 && kind < 8) || kind == 12) && draw(m, 8)) /* a table: of few values, mostly */
        m->x = quantize(m, m->x, "format=fixed<10,4,RND,SAT>", "activation", 1, -1, 1);
    if (kind < 8) {
        m->x = node(m, plain[kind], "", &m->x, 1, NULL, 0);
    } else if (kind == 8) {
        m->x = node(m, "LeakyRelu", "", &m->x, 1, &alpha, 1);
    } else if (kind == 9) {
        const int in[2] = {m->x, tensor(m, BL_ROLE_PARAMETER, "", &(bl_shape){1, {channels(m)}}, -0.1, 0.5)};
        m->x = node(m, "PRelu", "", in, 2, NULL, 0);
    } else if (kind == 10) {
        const int in[3] = {m->x, number(m, draw(m, 2) ? 0 : -0.3), number(m, draw(m, 2) ? 2 : 1.3)};
        m->x = node(m, "Clip", "", in, 3, NULL, 0);
    } else if (kind == 11) {
        m->x = node(m, "HardSigmoid", "", &m->x, 1, NULL, 0);
    } else if (kind == 12) {
        m->x = node(m, "Elu", "", &m->x, 1, &alpha, 1);
    } else if (kind == 13) {
        m->x = node(m, PICK(m, steps), "", &m->x, 1, NULL, 0);
    }
}

/* only_max: of real numbers.  Returns whether it gave real numbers. */
static bool pool(maker *m, bool only_max)
{
    const int dims = m->shape.rank - 1;
    static const char *const types[] = {"MaxPool",     "AveragePool",   "MaxPool",
                                        "AveragePool", "GlobalMaxPool", "GlobalAveragePool"};
    const int kind = only_max ? 2 * draw(m, 3) : draw(m, 6);
    int64_t kernel[2], stride[2], pads[4];
    bl_attr attrs[5];
    int n = 0;
    for (int d = 0; d < dims; d++) {
        kernel[d] = 1 + draw(m, m->shape.dim[d] > 2 ? 3 : m->shape.dim[d] > 1 ? 2 : 1);
        stride[d] = 1 + draw(m, 2);
        pads[d] = kernel[d] > 1 ? draw(m, 2) : 0;
        pads[dims + d] = kernel[d] > 1 ? draw(m, 2) : 0;
    }
    attrs[n++] = (bl_attr){.name = "kernel_shape", .kind = BL_ATTR_INTS, .count = (size_t)dims, .u.ints = kernel};
    attrs[n++] = (bl_attr){.name = "strides", .kind = BL_ATTR_INTS, .count = (size_t)dims, .u.ints = stride};
    attrs[n++] = (bl_attr){.name = "pads", .kind = BL_ATTR_INTS, .count = 2 * (size_t)dims, .u.ints = pads};
    attrs[n++] = (bl_attr){.name = "ceil_mode", .kind = BL_ATTR_INT, .count = 1, .u.i = draw(m, 3) == 0};
    if (kind == 1 || kind == 3)
        attrs[n++] = (bl_attr){.name = "count_include_pad", .kind = BL_ATTR_INT, .count = 1, .u.i = draw(m, 2)};
    m->x = node(m, types[kind], last, &m->x, 1, attrs, kind < 4 ? n : 0);
    settle(m);
    return kind % 2 == 1;
}

/* ---- moves, sums, meetings ------------------------------------------------------------------------------------- */
static void transpose(maker *m)
{
    int64_t perm[BL_MAX_RANK] = {0};
    for (int d = 1; d <= m->shape.rank; d++)
        perm[d] = d;
    if (m->shape.rank > 1) {
        const int a = 1 + draw(m, m->shape.rank), b = 1 + draw(m, m->shape.rank);
        perm[a] = b;
        perm[b] = a;
    }
    const bl_attr at = {.name = "perm", .kind = BL_ATTR_INTS, .count = (size_t)m->shape.rank + 1, .u.ints = perm};
    m->x = node(m, "Transpose", "", &m->x, 1, &at, 1);
    settle(m);
}

static void slice(maker *m)
{
    const int axis = 1 + draw(m, m->shape.rank);
    const int64_t n = m->shape.dim[axis - 1], start = n > 1 ? draw(m, (int)n - 1) : 0, axes = axis;
    const bool back = draw(m, 3) == 0;
    const int64_t from = back ? -1 : start, to = back ? -n - 1 : n, step = back ? -1 : 1 + draw(m, 2);
    const int in[5] = {m->x, integers(m, &from, 1), integers(m, &to, 1), integers(m, &axes, 1), integers(m, &step, 1)};
    m->x = node(m, "Slice", "", in, 5, NULL, 0);
    settle(m);
}

static void pad(maker *m)
{
    static const char *const modes[] = {"constant", "edge", "wrap"};
    int64_t pads[2 * BL_MAX_RANK] = {0};
    const int axis = 1 + draw(m, m->shape.rank), mode = draw(m, 3);
    pads[axis] = 1;
    pads[m->shape.rank + 1 + axis] = draw(m, 2);
    const int in[3] = {m->x, integers(m, pads, 2 * (m->shape.rank + 1)), number(m, draw(m, 2) * 0.5)};
    const bl_attr at = {.name = "mode", .kind = BL_ATTR_STRING, .count = 1, .u.s = modes[mode]};
    m->x = node(m, "Pad", "", in, mode == 0 ? 3 : 2, &at, 1);
    settle(m);
}

static void split_concat(maker *m)
{
    const int axis = m->shape.rank;
    const bl_attr at = {.name = "axis", .kind = BL_ATTR_INT, .count = 1, .u.i = axis};
    const int64_t n = channels(m), sizes[2] = {n / 2, n - n / 2};
    if (n < 2)
        return;
    const int in[2] = {m->x, integers(m, sizes, 2)};
    int out[2];
    node_outputs(m, "Split", "", in, 2, &at, 1, 2, out);
    const int swapped[2] = {out[1], out[0]};
    m->x = node(m, "Concat", "", swapped, 2, &at, 1);
    settle(m);
}

static void flatten(maker *m)
{
    static const int64_t to[2] = {0, -1};
    const int in[2] = {m->x, integers(m, to, 2)};
    m->x = draw(m, 2) ? node(m, "Flatten", "", &m->x, 1, NULL, 0) : node(m, "Reshape", "", in, 2, NULL, 0);
    settle(m);
}

static void reduce(maker *m)
{
    static const char *const types[] = {"ReduceSum", "ReduceMean", "ReduceMax"};
    const int64_t axis = 1 + draw(m, m->shape.rank - 1);
    const int in[2] = {m->x, integers(m, &axis, 1)};
    const bl_attr keep = {.name = "keepdims", .kind = BL_ATTR_INT, .count = 1, .u.i = draw(m, 2)};
    const char *type = PICK(m, types);
    m->x = node(m, type, "", in, 2, &keep, 1);
    settle(m);
    if (type[6] == 'M' && type[7] == 'e')
        quantize_activation(m);
}

/* One more dimension, and back. */
static void unsqueeze(maker *m)
{
    const int64_t axis = 1 + draw(m, m->shape.rank);
    const int in[2] = {m->x, integers(m, &axis, 1)};
    const int there[2] = {node(m, "Unsqueeze", "", in, 2, NULL, 0), integers(m, &axis, 1)};
    m->x = node(m, "Squeeze", "", there, 2, NULL, 0);
}

static void move(maker *m)
{
    switch (draw(m, 8)) {
    case 0:
        transpose(m);
        break;
    case 1:
        slice(m);
        break;
    case 2:
        pad(m);
        break;
    case 3:
        split_concat(m);
        break;
    case 4:
        m->x = node(m, "Identity", "", &m->x, 1, NULL, 0);
        break;
    case 5:
        unsqueeze(m);
        break;
    default:
        if (m->shape.rank > 1)
            reduce(m);
        break;
    }
}

/* Two ways through a layer of one size, quantized alike, and together again. */
static void meet(maker *m)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Min", "Max", "Add"};
    static const char *const formats[] = {"format=fixed<7,3,RND,SAT>", "format=ufixed<5,2,TRN,SAT>",
                                          "format=int<5> scale=0.21", "format=fixed<6,3,RND,WRAP>"};
    const char *format = PICK(m, formats), *type = PICK(m, types);
    const int a = quantize(m, m->x, format, "activation", 1, -1, 1);
    const int64_t c = channels(m);
    const int in[2] = {m->x, weight(m, &(bl_shape){2, {c, c}}, 1, c)};
    const int y = node(m, "MatMul", "", in, 2, NULL, 0);
    const bool real = strcmp(type, "Min") == 0 || strcmp(type, "Max") == 0;
    const int b = quantize(m, y, real ? "format=fixed<7,3,RND,SAT>" : format, "activation", 1, -1, 1);
    const int pair[2] = {real ? quantize(m, m->x, "format=ufixed<5,2,TRN,SAT>", "activation", 1, -1, 1) : a, b};
    m->x = node(m, type, "", pair, 2, NULL, 0);
}

/* A product of two values. */
static void attend(maker *m)
{
    const int rank = m->shape.rank;
    int64_t perm[BL_MAX_RANK] = {0};
    for (int d = 1; d <= rank; d++)
        perm[d] = d;
    perm[rank] = rank - 1;
    perm[rank - 1] = rank;
    const bl_attr at = {.name = "perm", .kind = BL_ATTR_INTS, .count = (size_t)rank + 1, .u.ints = perm};
    const int t = node(m, "Transpose", "", &m->x, 1, &at, 1), in[2] = {m->x, t};
    m->x = node(m, "MatMul", "", in, 2, NULL, 0);
    note(m, "MatMul of two values");
    settle(m);
}

/* A function that no quantizer follows, or a quotient: a table by itself.  Returns whether it is one of the wide ones.
 */
static bool function(maker *m)
{
    static const char *const types[] = {"Softmax", "Softmax", "Tanh", "Sigmoid", "Softplus",
                                        "Elu",     "Div",     "Div",  "Pow",     "Pow"};
    static const char *const formats[] = {"format=fixed<7,3,RND,SAT>", "format=int<5> scale=0.21",
                                          "format=fixed<6,3,RND,WRAP>"};
    const char *type = PICK(m, types);
    const bool divides = strcmp(type, "Div") == 0, raises = strcmp(type, "Pow") == 0;
    const int x = quantize(m, m->x, PICK(m, formats), "activation", 1, -1, 1);
    if (!divides && !raises) {
        m->x = node(m, type, "", &x, 1, NULL, 0);
        return false;
    }
    const int above[2] = {quantize(m, m->x, "format=ufixed<5,2,TRN,SAT>", "activation", 1, -1, 1), number(m, 0.5)};
    const int positive = node(m, "Add", "", above, 2, NULL, 0);
    const int quotient[2] = {quantize(m, m->x, "format=fixed<7,3,RND,SAT>", "activation", 1, -1, 1), positive};
    const int power[2] = {positive, raises ? number(m, draw(m, 2) ? -0.5 : -1) : -1};
    m->x = node(m, type, "", divides ? quotient : power, 2, NULL, 0);
    return true;
}

/* ---- networks -------------------------------------------------------------------------------------------------- */
static void start(maker *m)
{
    static const bl_shape shapes[] = {{1, {9}},       {1, {1}},    {1, {16}},   {3, {5, 6, 2}}, {3, {4, 4, 3}},
                                      {3, {7, 3, 1}}, {2, {9, 2}}, {2, {6, 3}}, {3, {3, 3, 4}}, {2, {12, 1}}};
    const bl_shape row = PICK(m, shapes);
    bl_shape shape = {row.rank + 1, {-1}};
    for (int d = 0; d < row.rank; d++)
        shape.dim[1 + d] = row.dim[d];
    must(m->ctx, bl_graph_add_input(m->g, "x", BL_F32, &shape, &m->x));
    m->shape = row;
    if (draw(m, 5) == 0) {
        const int in[2] = {m->x, number(m, 0.5)};
        m->x = node(m, "Mul", "", in, 2, NULL, 0);
    }
    m->x = quantize(m, m->x, PICK(m, inputs), "input", 1, -1, 0.02);
}

static void block(maker *m)
{
    if (m->shape.rank > 1 && draw(m, 10) == 0) {
        attend(m);
        quantize_activation(m);
        return;
    }
    if (draw(m, 5) == 0) {
        if (function(m) || draw(m, 2))
            quantize_activation(m);
        return;
    }
    if (draw(m, 5) == 0) {
        meet(m);
        if (draw(m, 2))
            quantize_activation(m);
        return;
    }
    if (m->shape.rank > 1 && draw(m, 4))
        conv(m);
    else
        dense(m);
    if (draw(m, 2))
        batch_norm(m);
    if (m->shape.rank > 1 && draw(m, 6) == 0)
        pool(m, true);
    activation(m);
    quantize_activation(m);
    if (m->shape.rank > 1 && draw(m, 3) == 0) {
        if (pool(m, false) || draw(m, 2))
            quantize_activation(m);
    }
    if (draw(m, 3) == 0)
        move(m);
}

bl_graph *random_net(bl_context *ctx, uint64_t seed, net_words *words)
{
    maker m = {.ctx = ctx, .s = bli_stream_make(seed, 0, "net"), .words = words};
    if (words)
        words->count = 0;
    must(ctx, bl_graph_create(ctx, "net", &m.g));
    start(&m);
    const int blocks = 1 + draw(&m, 3);
    for (int b = 0; b < blocks; b++)
        block(&m);
    if (m.shape.rank > 1 && draw(&m, 2))
        flatten(&m);
    const bool layer = draw(&m, 2);
    if (layer)
        dense(&m);
    if (layer && draw(&m, 3) == 0)
        batch_norm(&m);
    if (draw(&m, 3) == 0)
        quantize_activation(&m);
    else if (draw(&m, 4) == 0)
        m.x = node(&m, "Softmax", "", &m.x, 1, NULL, 0);
    settle(&m);
    return m.g;
}

bl_tensor random_net_rows(bl_context *ctx, const bl_graph *g, int64_t rows, uint64_t seed)
{
    static const float corners[] = {0,          -0.0f,    100,      -100,    0.5f,     1.0f / 512, 3.0f / 512,
                                    -1.0f / 64, 0.99999f, 0.03125f, 3.4e38f, -3.4e38f, 1e-30f,     0.4375f};
    bl_tensor x;
    bl_shape shape = bl_graph_value(g, bl_graph_input(g, 0))->shape;
    shape.dim[0] = rows;
    must(ctx, bl_tensor_create(ctx, BL_F32, &shape, &x));
    const bli_stream s = bli_stream_make(seed, 1, "rows");
    const int64_t n = rows > 0 ? bl_shape_count(&shape) / rows : 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            const uint64_t at = (uint64_t)(r * n + i);
            float v = (float)(bli_stream_normal(&s, at) * (r % 3 == 0 ? 0.4 : 1.5));
            if (r % 4 == 1) /* ties of many grids */
                v = (float)(nearbyint((double)v * 64) / 64);
            ((float *)x.data)[at] = r < (int64_t)BLI_COUNT(corners) ? corners[r] : v;
        }
    return x;
}
