/* layers.h: Keras' layers, one table line each, that build ONNX nodes.
 *
 * A layer "fc1" makes a main node and value "fc1", helpers "fc1/bias", "fc1/relu", parameters "fc1.weight", "fc1.bias".
 * Images are channels-last; options, defaults and padding arithmetic are Keras'.
 */
#ifndef BLI_RECIPE_LAYERS_H
#define BLI_RECIPE_LAYERS_H

#include "bitlathe/graph.h"
#include "train/recipe/keys.h"

/* Every option any layer has; a layer's key table says which of them it takes. */
typedef struct bli_layer_options {
    const char *name;
    bli_texts inputs;
    int units, filters, depth_multiplier, groups, axis, times;
    bli_ints shape, kernel, strides, dilation, pool, amount, dims;
    const char *padding, *activation; /* activation: a function; NULL: none, or quantize */
    const char *weight_initializer, *bias_initializer;
    const bli_yaml *layers;                /* Repeat */
    const struct bli_format_use *quantize; /* Quantize, or an activation that is a quantizer */
    bool use_bias, keepdims, center, scaling;
    double rate, alpha, max_value, momentum, epsilon;
} bli_layer_options;

typedef struct bli_layer bli_layer;

/* One layer of a recipe, as read. */
typedef struct bli_layer_use {
    const bli_layer *layer;
    const char *name; /* given, or made from the stem: unique */
    const char *base; /* the same without a Repeat's "_2" */
    const bli_yaml *where;
    bli_layer_options options;
} bli_layer_use;

/* What a build function sees: the layer, its inputs with known shapes, and the graph to extend. */
typedef struct bli_build {
    bl_context *ctx;
    bl_graph *g;
    uint64_t seed;
    const bli_layer_use *use;
    const bli_layer_options *o;
    int num_in, in[BLI_MAX_TEXTS];
    const bl_shape *shape; /* of in[0] */
    int out;               /* the layer's output value, to set */
} bli_build;

struct bli_layer {
    const char *type; /* Keras' name */
    const char *stem; /* "dense": unnamed layers are dense_1, dense_2, ... */
    int min_inputs, max_inputs;
    int spatial; /* 1 or 2: dimensions between batch and channels; 0: any input */
    const bli_key *keys;
    bl_status (*build)(bli_build *b);
    const char *help;
};

const bli_layer *bli_layer_find(const char *type); /* NULL if unknown */
int bli_layer_count(void);
const bli_layer *bli_layer_at(int i);

/* ---- for build functions (build.c) --------------------------------------------------------------------------- */
/* Fails with the layer's place in the recipe and its name in front of the words. */
bl_status bli_build_fail(const bli_build *b, bl_status status, const char *fmt, ...) BL_PRINTF(3, 4);
/* A node "<layer><suffix>" with one output of the same name; becomes b->out. */
BL_MUST_CHECK bl_status bli_build_node(bli_build *b, const char *suffix, const char *type, const char *domain,
                                       const int *inputs, int num_inputs, const bl_attr *attrs, int num_attrs);
/* A parameter "<layer>.<suffix>" (role PARAMETER or STATE) drawn by an initializer; fans as Keras counts them. */
typedef struct bli_fill {
    const char *suffix, *place, *initializer;
    bl_role role;
    bl_shape shape;
    double fan_in, fan_out;
} bli_fill;
BL_MUST_CHECK bl_status bli_build_parameter(bli_build *b, const bli_fill *fill, int *id);
/* Constants "<layer>/<suffix>". */
BL_MUST_CHECK bl_status bli_build_ints(bli_build *b, const char *suffix, const int64_t *v, int count, int *id);
/* The activation function as a node "<layer><suffix>" on b->out's place; "linear" adds nothing. */
BL_MUST_CHECK bl_status bli_build_activation(bli_build *b, const char *suffix, const char *function, int input);

/* Fills n numbers by the named initializer from the stream (seed, name). */
void bli_initialize(const bli_fill *fill, uint64_t seed, const char *name, float *out, size_t n);

extern const char *const bli_initializer_words[];
extern const char *const bli_activation_words[];

/* One build function per family. */
bl_status bli_build_dense(bli_build *b);
bl_status bli_build_conv(bli_build *b);
bl_status bli_build_depthwise(bli_build *b);
bl_status bli_build_separable(bli_build *b);
bl_status bli_build_conv_transpose(bli_build *b);
bl_status bli_build_batch_norm(bli_build *b);
bl_status bli_build_max_pool(bli_build *b);
bl_status bli_build_average_pool(bli_build *b);
bl_status bli_build_global_max(bli_build *b);
bl_status bli_build_global_average(bli_build *b);
bl_status bli_build_zero_padding(bli_build *b);
bl_status bli_build_cropping(bli_build *b);
bl_status bli_build_flatten(bli_build *b);
bl_status bli_build_reshape(bli_build *b);
bl_status bli_build_permute(bli_build *b);
bl_status bli_build_concatenate(bli_build *b);
bl_status bli_build_add(bli_build *b);
bl_status bli_build_subtract(bli_build *b);
bl_status bli_build_multiply(bli_build *b);
bl_status bli_build_relu(bli_build *b);
bl_status bli_build_leaky_relu(bli_build *b);
bl_status bli_build_activation_layer(bli_build *b);
bl_status bli_build_softmax(bli_build *b);
bl_status bli_build_dropout(bli_build *b);
bl_status bli_build_identity(bli_build *b);
bl_status bli_build_quantize(bli_build *b);
/* The quantizer of options.quantize as node "<layer><suffix>" on input. */
BL_MUST_CHECK bl_status bli_build_quantizer(bli_build *b, const char *suffix, int input);

/* Attribute literals. */
static inline bl_attr bli_attr_int(const char *name, int64_t v)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_INT, .count = 1, .u.i = v};
}
static inline bl_attr bli_attr_float(const char *name, double v)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_FLOAT, .count = 1, .u.f = v};
}
static inline bl_attr bli_attr_ints(const char *name, const int64_t *v, int count)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_INTS, .count = (size_t)count, .u.ints = v};
}

#endif
