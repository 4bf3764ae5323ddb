/* layers.c: the table of layers and of the options each one takes. */
#include "train/recipe/layers.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(bli_layer_options, field)

static const char *const padding_words[] = {"valid", "same", NULL};

/* ---- options, one line each ----------------------------------------------------------------------------------- */
#define KEY_INPUT                                                                                                      \
    {                                                                                                                  \
        .name = "input", .type = BLI_KEY_TEXTS,                                                                        \
        .help = "name of the layer that feeds this one; default: the one before", .offset = AT(inputs)                 \
    }
#define KEY_NAME {.name = "name", .type = BLI_KEY_TEXT, .help = "name of the layer", .offset = AT(name)}, KEY_INPUT
#define KEY_NAMES                                                                                                      \
    {.name = "inputs",                                                                                                 \
     .type = BLI_KEY_TEXTS,                                                                                            \
     .help = "names of the layers that are joined",                                                                    \
     .offset = AT(inputs),                                                                                             \
     .required = true},                                                                                                \
    {                                                                                                                  \
        .name = "name", .type = BLI_KEY_TEXT, .help = "name of the layer", .offset = AT(name)                          \
    }
#define KEY_COUNT(word, field, text)                                                                                   \
    {                                                                                                                  \
        .name = word, .type = BLI_KEY_INT, .least = 1, .greatest = 1 << 20, .help = text, .offset = AT(field),         \
        .required = true                                                                                               \
    }
#define KEY_SIZES(word, field, value, most, text)                                                                      \
    {                                                                                                                  \
        .name = word, .type = BLI_KEY_INTS, .fallback = value, .least = 1, .greatest = most, .help = text,             \
        .offset = AT(field)                                                                                            \
    }
#define KEY_KERNEL                                                                                                     \
    {                                                                                                                  \
        .name = "kernel_size", .type = BLI_KEY_INTS, .least = 1, .greatest = 1024,                                     \
        .help = "size of the window, one number or one per dimension", .offset = AT(kernel), .required = true          \
    }
#define KEY_STRIDES  KEY_SIZES("strides", strides, "1", 1024, "step of the window")
#define KEY_DILATION KEY_SIZES("dilation_rate", dilation, "1", 1024, "distance between taps of the kernel")
#define KEY_PADDING                                                                                                    \
    {                                                                                                                  \
        .name = "padding", .type = BLI_KEY_WORD, .fallback = "valid", .words = padding_words,                          \
        .help = "same: zeros around, so that the output has ceil(input / stride)", .offset = AT(padding)               \
    }
#define KEY_ACTIVATION(value, text)                                                                                    \
    {                                                                                                                  \
        .name = "activation", .type = BLI_KEY_WORD, .fallback = value, .words = bli_activation_words, .calls = true,   \
        .help = text, .offset = AT(activation)                                                                         \
    }
#define KEY_SUM                                                                                                        \
    KEY_ACTIVATION("linear", "function applied to the output"),                                                        \
        {.name = "use_bias", .type = BLI_KEY_BOOL, .fallback = "true", .help = "add a bias", .offset = AT(use_bias)},  \
        {.name = "initializer",                                                                                        \
         .type = BLI_KEY_WORD,                                                                                         \
         .fallback = "glorot_uniform",                                                                                 \
         .words = bli_initializer_words,                                                                               \
         .help = "first values of the weights",                                                                        \
         .offset = AT(weight_initializer)},                                                                            \
    {                                                                                                                  \
        .name = "bias_initializer", .type = BLI_KEY_WORD, .fallback = "zeros", .words = bli_initializer_words,         \
        .help = "first values of the bias", .offset = AT(bias_initializer)                                             \
    }
#define KEY_MULTIPLIER                                                                                                 \
    {                                                                                                                  \
        .name = "depth_multiplier", .type = BLI_KEY_INT, .fallback = "1", .least = 1, .greatest = 1024,                \
        .help = "outputs per input channel", .offset = AT(depth_multiplier)                                            \
    }
#define KEY_AMOUNT(word, value, text)                                                                                  \
    {                                                                                                                  \
        .name = word, .type = BLI_KEY_INTS, .fallback = value, .least = 0, .greatest = 1 << 20, .help = text,          \
        .offset = AT(amount)                                                                                           \
    }
#define KEY_END                                                                                                        \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

static const bli_key input_keys[] = {
    {.name = "shape",
     .type = BLI_KEY_INTS,
     .least = 1,
     .greatest = 1 << 26,
     .offset = AT(shape),
     .required = true,
     .help = "sizes of one row, without the batch: [28, 28, 1]"},
    {.name = "name", .type = BLI_KEY_TEXT, .help = "name of the input", .offset = AT(name)},
    KEY_END};
static const bli_key plain_keys[] = {KEY_NAME, KEY_END};
static const bli_key join_keys[] = {KEY_NAMES, KEY_END};
static const bli_key dense_keys[] = {KEY_COUNT("units", units, "outputs"), KEY_SUM, KEY_NAME, KEY_END};
static const bli_key conv_keys[] = {KEY_COUNT("filters", filters, "output channels"),
                                    KEY_KERNEL,
                                    KEY_STRIDES,
                                    KEY_PADDING,
                                    KEY_DILATION,
                                    {.name = "groups",
                                     .type = BLI_KEY_INT,
                                     .fallback = "1",
                                     .least = 1,
                                     .greatest = 1 << 20,
                                     .offset = AT(groups),
                                     .help = "channel groups that do not see each other"},
                                    KEY_SUM,
                                    KEY_NAME,
                                    KEY_END};
static const bli_key depthwise_keys[] = {KEY_KERNEL, KEY_STRIDES,    KEY_PADDING, KEY_DILATION,
                                         KEY_SUM,    KEY_MULTIPLIER, KEY_NAME,    KEY_END};
static const bli_key separable_keys[] = {KEY_COUNT("filters", filters, "output channels"),
                                         KEY_KERNEL,
                                         KEY_STRIDES,
                                         KEY_PADDING,
                                         KEY_DILATION,
                                         KEY_SUM,
                                         KEY_MULTIPLIER,
                                         KEY_NAME,
                                         KEY_END};
static const bli_key transpose_keys[] = {KEY_COUNT("filters", filters, "output channels"),
                                         KEY_KERNEL,
                                         KEY_STRIDES,
                                         KEY_PADDING,
                                         KEY_DILATION,
                                         KEY_SUM,
                                         KEY_NAME,
                                         KEY_END};
static const bli_key norm_keys[] = {
    {.name = "momentum",
     .type = BLI_KEY_NUMBER,
     .fallback = "0.99",
     .least = 0,
     .greatest = 1,
     .offset = AT(momentum),
     .help = "how much of the running mean and variance stays at each step"},
    {.name = "epsilon",
     .type = BLI_KEY_NUMBER,
     .fallback = "0.001",
     .least = 1e-12,
     .greatest = 1,
     .offset = AT(epsilon),
     .help = "added to the variance"},
    {.name = "center", .type = BLI_KEY_BOOL, .fallback = "true", .offset = AT(center), .help = "train an offset"},
    {.name = "scale", .type = BLI_KEY_BOOL, .fallback = "true", .offset = AT(scaling), .help = "train a factor"},
    KEY_NAME,
    KEY_END};
static const bli_key pool_keys[] = {KEY_SIZES("pool_size", pool, "2", 1024, "size of the window"),
                                    {.name = "strides",
                                     .type = BLI_KEY_INTS,
                                     .least = 1,
                                     .greatest = 1024,
                                     .offset = AT(strides),
                                     .help = "step of the window; default: pool_size"},
                                    KEY_PADDING,
                                    KEY_NAME,
                                    KEY_END};
static const bli_key global_keys[] = {{.name = "keepdims",
                                       .type = BLI_KEY_BOOL,
                                       .fallback = "false",
                                       .offset = AT(keepdims),
                                       .help = "keep dimensions of size 1"},
                                      KEY_NAME,
                                      KEY_END};
static const bli_key padding_keys[] = {
    KEY_AMOUNT("padding", "1", "zeros: n, [rows, columns] or [top, bottom, left, right]"), KEY_NAME, KEY_END};
static const bli_key cropping_keys[] = {
    KEY_AMOUNT("cropping", "1", "cut off: n, [rows, columns] or [top, bottom, left, right]"), KEY_NAME, KEY_END};
static const bli_key reshape_keys[] = {{.name = "target_shape",
                                        .type = BLI_KEY_INTS,
                                        .least = -1,
                                        .greatest = 1 << 26,
                                        .offset = AT(shape),
                                        .required = true,
                                        .help = "sizes without the batch; one may be -1"},
                                       KEY_NAME,
                                       KEY_END};
static const bli_key permute_keys[] = {{.name = "dims",
                                        .type = BLI_KEY_INTS,
                                        .least = 1,
                                        .greatest = BL_MAX_RANK,
                                        .offset = AT(dims),
                                        .required = true,
                                        .help = "new order of the dimensions, counted from 1, without the batch"},
                                       KEY_NAME,
                                       KEY_END};
static const bli_key concat_keys[] = {KEY_NAMES,
                                      {.name = "axis",
                                       .type = BLI_KEY_INT,
                                       .fallback = "-1",
                                       .least = -BL_MAX_RANK,
                                       .greatest = BL_MAX_RANK,
                                       .offset = AT(axis),
                                       .help = "dimension that grows (0 is the batch)"},
                                      KEY_END};
static const bli_key relu_keys[] = {{.name = "max_value",
                                     .type = BLI_KEY_NUMBER,
                                     .least = 1e-6,
                                     .greatest = 1e6,
                                     .offset = AT(max_value),
                                     .help = "upper end, such as 6; default: none"},
                                    {.name = "negative_slope",
                                     .type = BLI_KEY_NUMBER,
                                     .fallback = "0",
                                     .least = 0,
                                     .greatest = 1,
                                     .offset = AT(alpha),
                                     .help = "factor below zero"},
                                    KEY_NAME,
                                    KEY_END};
static const bli_key leaky_keys[] = {{.name = "negative_slope",
                                      .type = BLI_KEY_NUMBER,
                                      .fallback = "0.3",
                                      .least = 0,
                                      .greatest = 1,
                                      .offset = AT(alpha),
                                      .help = "factor below zero"},
                                     KEY_NAME,
                                     KEY_END};
static const bli_key activation_keys[] = {{.name = "activation",
                                           .type = BLI_KEY_WORD,
                                           .words = bli_activation_words,
                                           .calls = true,
                                           .required = true,
                                           .offset = AT(activation),
                                           .help = "the function"},
                                          KEY_NAME,
                                          KEY_END};
static const bli_key dropout_keys[] = {{.name = "rate",
                                        .type = BLI_KEY_NUMBER,
                                        .least = 0,
                                        .greatest = 0.99,
                                        .required = true,
                                        .offset = AT(rate),
                                        .help = "share of values that are dropped while training"},
                                       KEY_NAME,
                                       KEY_END};

/* ---- layers ---------------------------------------------------------------------------------------------------- */
static const bli_layer layers[] = {
    {"Input", "input", 0, 0, 0, input_keys, NULL, "the shape of a row; first, and only once"},
    {"Flatten", "flatten", 1, 1, 0, plain_keys, bli_build_flatten, "all dimensions of a row as one"},
    {"Dense", "dense", 1, 1, 0, dense_keys, bli_build_dense, "y = x W + b on the last dimension"},
    {"Conv1D", "conv1d", 1, 1, 1, conv_keys, bli_build_conv, "convolution over [length, channels]"},
    {"Conv2D", "conv2d", 1, 1, 2, conv_keys, bli_build_conv, "convolution over [rows, columns, channels]"},
    {"DepthwiseConv1D", "depthwise_conv1d", 1, 1, 1, depthwise_keys, bli_build_depthwise,
     "convolution of each channel by itself"},
    {"DepthwiseConv2D", "depthwise_conv2d", 1, 1, 2, depthwise_keys, bli_build_depthwise,
     "convolution of each channel by itself"},
    {"SeparableConv1D", "separable_conv1d", 1, 1, 1, separable_keys, bli_build_separable,
     "depthwise convolution, then a 1 convolution"},
    {"SeparableConv2D", "separable_conv2d", 1, 1, 2, separable_keys, bli_build_separable,
     "depthwise convolution, then a 1x1 convolution"},
    {"Conv2DTranspose", "conv2d_transpose", 1, 1, 2, transpose_keys, bli_build_conv_transpose,
     "the gradient of a convolution as a layer: upsamples"},
    {"BatchNormalization", "batch_norm", 1, 1, 0, norm_keys, bli_build_batch_norm,
     "mean 0, variance 1 per channel over the whole batch, then factor and offset"},
    {"MaxPooling1D", "max_pooling1d", 1, 1, 1, pool_keys, bli_build_max_pool, "greatest value of each window"},
    {"MaxPooling2D", "max_pooling2d", 1, 1, 2, pool_keys, bli_build_max_pool, "greatest value of each window"},
    {"AveragePooling1D", "average_pooling1d", 1, 1, 1, pool_keys, bli_build_average_pool,
     "mean of each window, without its padding"},
    {"AveragePooling2D", "average_pooling2d", 1, 1, 2, pool_keys, bli_build_average_pool,
     "mean of each window, without its padding"},
    {"GlobalMaxPooling1D", "global_max_pooling1d", 1, 1, 1, global_keys, bli_build_global_max,
     "greatest value of each channel"},
    {"GlobalMaxPooling2D", "global_max_pooling2d", 1, 1, 2, global_keys, bli_build_global_max,
     "greatest value of each channel"},
    {"GlobalAveragePooling1D", "global_average_pooling1d", 1, 1, 1, global_keys, bli_build_global_average,
     "mean of each channel"},
    {"GlobalAveragePooling2D", "global_average_pooling2d", 1, 1, 2, global_keys, bli_build_global_average,
     "mean of each channel"},
    {"ZeroPadding1D", "zero_padding1d", 1, 1, 1, padding_keys, bli_build_zero_padding, "zeros around"},
    {"ZeroPadding2D", "zero_padding2d", 1, 1, 2, padding_keys, bli_build_zero_padding, "zeros around"},
    {"Cropping1D", "cropping1d", 1, 1, 1, cropping_keys, bli_build_cropping, "cuts off the rim"},
    {"Cropping2D", "cropping2d", 1, 1, 2, cropping_keys, bli_build_cropping, "cuts off the rim"},
    {"Reshape", "reshape", 1, 1, 0, reshape_keys, bli_build_reshape, "same values, other dimensions"},
    {"Permute", "permute", 1, 1, 0, permute_keys, bli_build_permute, "dimensions in another order"},
    {"Concatenate", "concatenate", 2, BLI_MAX_TEXTS, 0, concat_keys, bli_build_concatenate, "inputs side by side"},
    {"Add", "add", 2, BLI_MAX_TEXTS, 0, join_keys, bli_build_add, "sum of the inputs"},
    {"Subtract", "subtract", 2, 2, 0, join_keys, bli_build_subtract, "first input minus second"},
    {"Multiply", "multiply", 2, BLI_MAX_TEXTS, 0, join_keys, bli_build_multiply, "product of the inputs"},
    {"ReLU", "relu", 1, 1, 0, relu_keys, bli_build_relu, "max(x, 0), with max_value min(.., max_value)"},
    {"LeakyReLU", "leaky_relu", 1, 1, 0, leaky_keys, bli_build_leaky_relu, "x, or negative_slope x below zero"},
    {"Activation", "activation", 1, 1, 0, activation_keys, bli_build_activation_layer, "a function by name"},
    {"Softmax", "softmax", 1, 1, 0, plain_keys, bli_build_softmax, "shares that add up to one"},
    {"Dropout", "dropout", 1, 1, 0, dropout_keys, bli_build_dropout,
     "while training: zeroes some values, scales the rest up"},
    {"Identity", "identity", 1, 1, 0, plain_keys, bli_build_identity, "its input; a place for a name"},
    {"Quantize", "quantize", 1, 1, 0, NULL, bli_build_quantize,
     "brings its input into a format: the keys of an entry under precision"},
};

int bli_layer_count(void)
{
    return (int)BLI_COUNT(layers);
}

const bli_layer *bli_layer_at(int i)
{
    return i < 0 || i >= bli_layer_count() ? NULL : &layers[i];
}

const bli_layer *bli_layer_find(const char *type)
{
    for (size_t i = 0; i < BLI_COUNT(layers); i++)
        if (strcmp(layers[i].type, type) == 0)
            return &layers[i];
    return NULL;
}
