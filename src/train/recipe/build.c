/* build.c: what every layer needs to extend the graph: nodes, parameters, constants, activation functions. */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/layers.h"

enum { NAME_SIZE = 256 };

bl_status bli_build_fail(const bli_build *b, bl_status status, const char *fmt, ...)
{
    char words[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return bli_yaml_fail(b->ctx, b->use->where, status, "layer '%s' (%s): %s", b->use->name, b->use->layer->type,
                         words);
}

static const char *join(const bli_build *b, const char *between, const char *suffix, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s%s%s", b->use->name, between, suffix);
    return name;
}

bl_status bli_build_node(bli_build *b, const char *suffix, const char *type, const char *domain, const int *inputs,
                         int num_inputs, const bl_attr *attrs, int num_attrs)
{
    char name[NAME_SIZE];
    const char *output = join(b, "", suffix, name);
    bl_node spec = {.name = output,
                    .type = type,
                    .domain = domain,
                    .num_inputs = num_inputs,
                    .num_outputs = 1,
                    .num_attrs = num_attrs,
                    .inputs = inputs,
                    .attrs = attrs};
    return bl_graph_add_node(b->g, &spec, &output, &b->out);
}

bl_status bli_build_parameter(bli_build *b, const bli_fill *fill, int *id)
{
    char name[NAME_SIZE];
    join(b, ".", fill->suffix, name);
    int64_t count = bl_shape_count(&fill->shape);
    if (count < 0 || count > (INT64_C(1) << 30))
        return bli_build_fail(b, BL_LIMIT, "parameter %s has more than 2^30 elements", fill->suffix);
    bl_tensor t;
    BLI_TRY(bl_tensor_create(b->ctx, BL_F32, &fill->shape, &t));
    bli_initialize(fill, b->seed, name, t.data, (size_t)count);
    bl_status s = bl_graph_add_tensor(b->g, name, fill->role, fill->place, &t, id);
    bl_tensor_free(b->ctx, &t);
    return s;
}

bl_status bli_build_ints(bli_build *b, const char *suffix, const int64_t *v, int count, int *id)
{
    char name[NAME_SIZE];
    int64_t copy[2 * BL_MAX_RANK];
    memcpy(copy, v, (size_t)count * sizeof *v);
    bl_tensor t = {.type = BL_I64, .shape = {1, {count}}, .data = copy};
    return bl_graph_add_tensor(b->g, join(b, "/", suffix, name), BL_ROLE_CONSTANT, "", &t, id);
}

static bl_status build_number(bli_build *b, const char *suffix, double v, int *id)
{
    char name[NAME_SIZE];
    float f = (float)v;
    bl_tensor t = {.type = BL_F32, .shape = {0, {0}}, .data = &f};
    return bl_graph_add_tensor(b->g, join(b, "/", suffix, name), BL_ROLE_CONSTANT, "", &t, id);
}

/* ---- activation functions: word, operator, up to two attributes or a clip range ------------------------------- */
typedef struct activation {
    const char *word, *type;
    const char *attr[2];
    double value[2];
    bool clip; /* value[0], value[1] are Clip's ends */
} activation;

/* hard_sigmoid and hard_swish are Keras 3's: relu6(x + 3) / 6, and x times that. */
static const activation activations[] = {
    {.word = "relu", .type = "Relu"},
    {.word = "relu6", .type = "Clip", .clip = true, .value = {0, 6}},
    {.word = "leaky_relu", .type = "LeakyRelu", .attr = {"alpha"}, .value = {0.2}},
    {.word = "sigmoid", .type = "Sigmoid"},
    {.word = "tanh", .type = "Tanh"},
    {.word = "hard_sigmoid", .type = "HardSigmoid", .attr = {"alpha", "beta"}, .value = {1.0 / 6, 0.5}},
    {.word = "hard_tanh", .type = "Clip", .clip = true, .value = {-1, 1}},
    {.word = "hard_swish", .type = "HardSwish"},
    {.word = "softmax", .type = "Softmax"},
};
const char *const bli_activation_words[] = {"linear",       "relu",      "relu6",      "leaky_relu", "sigmoid", "tanh",
                                            "hard_sigmoid", "hard_tanh", "hard_swish", "softmax",    NULL};

static bl_status build_clip(bli_build *b, const char *suffix, int input, double least, double greatest)
{
    int in[3] = {input, -1, -1};
    char name[64];
    snprintf(name, sizeof name, "%s%sleast", suffix[0] ? suffix + 1 : "", suffix[0] ? "_" : "");
    BLI_TRY(build_number(b, name, least, &in[1]));
    snprintf(name, sizeof name, "%s%sgreatest", suffix[0] ? suffix + 1 : "", suffix[0] ? "_" : "");
    BLI_TRY(build_number(b, name, greatest, &in[2]));
    return bli_build_node(b, suffix, "Clip", BLI_DOMAIN_ONNX, in, 3, NULL, 0);
}

bl_status bli_build_activation(bli_build *b, const char *suffix, const char *function, int input)
{
    b->out = input;
    for (size_t i = 0; i < BLI_COUNT(activations); i++) {
        const activation *a = &activations[i];
        if (strcmp(a->word, function) != 0)
            continue;
        if (a->clip)
            return build_clip(b, suffix, input, a->value[0], a->value[1]);
        bl_attr attrs[2];
        int count = 0;
        for (; count < 2 && a->attr[count]; count++)
            attrs[count] = bli_attr_float(a->attr[count], a->value[count]);
        if (strcmp(a->type, "Softmax") == 0)
            attrs[count++] = bli_attr_int("axis", -1);
        return bli_build_node(b, suffix, a->type, BLI_DOMAIN_ONNX, &input, 1, attrs, count);
    }
    return BL_OK; /* linear */
}

bl_status bli_build_activation_layer(bli_build *b)
{
    if (b->o->quantize)
        return bli_build_quantize(b);
    if (strcmp(b->o->activation, "linear") == 0)
        return bli_build_identity(b);
    return bli_build_activation(b, "", b->o->activation, b->in[0]);
}

bl_status bli_build_softmax(bli_build *b)
{
    return bli_build_activation(b, "", "softmax", b->in[0]);
}

bl_status bli_build_relu(bli_build *b)
{
    if (b->o->max_value > 0)
        return build_clip(b, "", b->in[0], 0, b->o->max_value);
    if (b->o->alpha > 0)
        return bli_build_leaky_relu(b);
    return bli_build_activation(b, "", "relu", b->in[0]);
}

bl_status bli_build_leaky_relu(bli_build *b)
{
    bl_attr alpha = bli_attr_float("alpha", b->o->alpha);
    return bli_build_node(b, "", "LeakyRelu", BLI_DOMAIN_ONNX, b->in, 1, &alpha, 1);
}

bl_status bli_build_dropout(bli_build *b)
{
    int in[2] = {b->in[0], -1};
    BLI_TRY(build_number(b, "ratio", b->o->rate, &in[1]));
    return bli_build_node(b, "", "Dropout", BLI_DOMAIN_ONNX, in, 2, NULL, 0);
}

bl_status bli_build_identity(bli_build *b)
{
    return bli_build_node(b, "", "Identity", BLI_DOMAIN_ONNX, b->in, 1, NULL, 0);
}
