/* to_graph_ops.c: one table: TensorFlow's operators and what stands for each.
 *
 * An emitter reads attributes and constant inputs, adds nodes of ours, the last of which makes a value of the node's
 * name. Weights get their layout by Transposes, which are evaluated away where they are constant.  Where a default of
 * TensorFlow's matters when an attribute is absent it stands here.
 */
#include <string.h>

#include "tf/to_graph.h"
#include "tf/transform.h"

enum { MOST_INPUTS = 64 };

typedef struct emit {
    bli_tf_door *d;
    const bli_tf_node *n;
    const char *type; /* of the table */
} emit;

typedef bl_status (*emit_fn)(const emit *e);

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bl_status value(const emit *e, size_t i, int *id)
{
    if (i >= e->n->num_inputs)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "it has %zu inputs, expected more", e->n->num_inputs);
    return bli_tf_door_value(e->d, e->n->inputs[i], id);
}

/* Input i, which has to be a constant. */
static bl_status constant(const emit *e, size_t i, bli_tf_tensor *t)
{
    if (i >= e->n->num_inputs)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "it has %zu inputs, expected more", e->n->num_inputs);
    return bli_within(e->d->ctx, bli_tf_door_tensor(e->d, e->n->inputs[i], t), "input %zu", i);
}

/* Input i, a constant list of integers (a single one counts as a list). */
static bl_status constant_ints(const emit *e, size_t i, const int64_t **out, size_t *count)
{
    bli_tf_tensor t;
    BLI_TRY(constant(e, i, &t));
    if (t.dtype != BLI_DT_INT32 && t.dtype != BLI_DT_INT64)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "input %zu is %s, expected integers", i, bli_tf_dtype_name(t.dtype));
    int64_t *list = bli_tf_alloc_array(e->d->store, t.count, sizeof *list);
    if (!list)
        return BL_NO_MEMORY;
    for (size_t k = 0; k < t.count; k++)
        list[k] = t.dtype == BLI_DT_INT32 ? ((const int32_t *)t.data)[k] : ((const int64_t *)t.data)[k];
    *out = list;
    *count = t.count;
    return BL_OK;
}

static bl_status add_ints(const emit *e, const int64_t *v, size_t count, int *id)
{
    const bl_tensor t = {BL_I64, {1, {(int64_t)count}}, (void *)v};
    return bl_graph_add_tensor(e->d->out, NULL, BL_ROLE_CONSTANT, "", &t, id);
}

static bl_status add_float(const emit *e, float v, int *id)
{
    const bl_tensor t = {BL_F32, {.rank = 0}, &v};
    return bl_graph_add_tensor(e->d->out, NULL, BL_ROLE_CONSTANT, "", &t, id);
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

/* A node of ours; its value has this name, or a fresh one for NULL. */
static bl_status add(const emit *e, const char *type, const char *domain, const int *inputs, int num_inputs,
                     const bl_attr *attrs, int num_attrs, const char *name, int *id)
{
    int made;
    const bl_node spec = {.name = name,
                          .type = type,
                          .domain = domain,
                          .num_inputs = num_inputs,
                          .num_outputs = 1,
                          .num_attrs = num_attrs,
                          .inputs = inputs,
                          .attrs = attrs};
    BLI_TRY(bl_graph_add_node(e->d->out, &spec, &name, &made));
    if (id)
        *id = made;
    return BL_OK;
}

static bl_attr ints_attr(const char *name, const int64_t *v, size_t count)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_INTS, .count = count, .u.ints = v};
}

static bl_attr int_attr(const char *name, int64_t v)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_INT, .count = 1, .u.i = v};
}

static bl_attr float_attr(const char *name, float v)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_FLOAT, .count = 1, .u.f = (double)v};
}

static bl_attr string_attr(const char *name, const char *v)
{
    return (bl_attr){.name = name, .kind = BL_ATTR_STRING, .count = 1, .u.s = v};
}

/* The same operator under its name here: all inputs, no attributes. */
static bl_status emit_same(const emit *e)
{
    int in[MOST_INPUTS];
    size_t count = bli_tg_data_inputs(e->n);
    if (count > MOST_INPUTS)
        return bli_fail(e->d->ctx, BL_LIMIT, "%zu inputs, at most %d", count, MOST_INPUTS);
    for (size_t i = 0; i < count; i++)
        BLI_TRY(value(e, i, &in[i]));
    return add(e, e->type, "", in, (int)count, NULL, 0, e->n->name, NULL);
}

/* Looked through by whoever reads it; there only for a node that is wanted by its name. */
static bl_status emit_identity(const emit *e)
{
    bli_tf_ref r = bli_tf_ref_parse(e->n->name);
    return e->d->kept[bli_tf_index_find(e->d->ix, r.name, r.size)] ? emit_same(e) : BL_OK;
}

static bl_status emit_constant(const emit *e)
{
    (void)e;
    return BL_OK;
}

static bl_status emit_relu6(const emit *e)
{
    int in[3];
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(add_float(e, 0, &in[1]));
    BLI_TRY(add_float(e, 6, &in[2]));
    return add(e, "Clip", "", in, 3, NULL, 0, e->n->name, NULL);
}

static bl_status emit_leaky(const emit *e)
{
    int x;
    float alpha;
    BLI_TRY(value(e, 0, &x));
    BLI_TRY(bli_tf_float_or(e->d->ctx, e->n, "alpha", 0.2f, &alpha));
    const bl_attr a = float_attr("alpha", alpha);
    return add(e, "LeakyRelu", "", &x, 1, &a, 1, e->n->name, NULL);
}

static bl_status emit_softmax(const emit *e)
{
    int x;
    BLI_TRY(value(e, 0, &x));
    const bl_attr a = int_attr("axis", -1);
    return add(e, "Softmax", "", &x, 1, &a, 1, e->n->name, NULL);
}

/* x to a constant power, or times one. */
static bl_status with_number(const emit *e, float v)
{
    int in[2];
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(add_float(e, v, &in[1]));
    return add(e, e->type, "", in, 2, NULL, 0, e->n->name, NULL);
}

static bl_status emit_rsqrt(const emit *e)
{
    return with_number(e, -0.5f);
}

static bl_status emit_sqrt(const emit *e)
{
    return with_number(e, 0.5f);
}

static bl_status emit_square(const emit *e)
{
    return with_number(e, 2);
}

static bl_status emit_neg(const emit *e)
{
    return with_number(e, -1);
}

/* ---- products -------------------------------------------------------------------------------------------------- */

static bl_status need_nhwc(const emit *e)
{
    const char *format;
    BLI_TRY(bli_tf_string_or(e->d->ctx, e->n, "data_format", "NHWC", &format));
    if (strcmp(format, "NHWC") != 0)
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute data_format: %s, expected NHWC", format);
    return BL_OK;
}

static bl_status emit_bias(const emit *e)
{
    BLI_TRY(need_nhwc(e));
    return emit_same(e);
}

static bl_status transposed(const emit *e, int *id, const int64_t *perm, size_t rank)
{
    const bl_attr a = ints_attr("perm", perm, rank);
    return add(e, "Transpose", "", id, 1, &a, 1, NULL, id);
}

static bl_status emit_matmul(const emit *e)
{
    static const int64_t swap[] = {1, 0};
    bool a, b;
    int in[2];
    BLI_TRY(bli_tf_bool_or(e->d->ctx, e->n, "transpose_a", false, &a));
    BLI_TRY(bli_tf_bool_or(e->d->ctx, e->n, "transpose_b", false, &b));
    if (a)
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute transpose_a: rows of the batch would be columns");
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(value(e, 1, &in[1]));
    if (b)
        BLI_TRY(transposed(e, &in[1], swap, 2));
    return add(e, "MatMul", "", in, 2, NULL, 0, e->n->name, NULL);
}

/* Height and width of a list of four, whose other members must be 1. */
static bl_status spatial(const emit *e, const char *attr, bool required, int64_t out[2])
{
    const int64_t *v = NULL;
    size_t count = 0;
    out[0] = out[1] = 1;
    if (!required && !bli_tf_node_attr(e->n, attr))
        return BL_OK;
    BLI_TRY(bli_tf_get_ints(e->d->ctx, e->n, attr, &v, &count));
    if (count != 4 || v[0] != 1 || v[3] != 1)
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute %s: expected 1, height, width, 1", attr);
    out[0] = v[1];
    out[1] = v[2];
    return BL_OK;
}

/* How pictures are padded, as one attribute of ours. */
static bl_status padding(const emit *e, int64_t pads[4], bl_attr *a)
{
    const char *how;
    const int64_t *v;
    size_t count;
    BLI_TRY(bli_tf_get_string(e->d->ctx, e->n, "padding", &how));
    *a = string_attr("auto_pad", strcmp(how, "SAME") == 0 ? "SAME_UPPER" : "VALID");
    if (strcmp(how, "SAME") == 0 || strcmp(how, "VALID") == 0)
        return BL_OK;
    if (strcmp(how, "EXPLICIT") != 0)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "attribute padding: '%s', expected SAME, VALID or EXPLICIT", how);
    BLI_TRY(bli_tf_get_ints(e->d->ctx, e->n, "explicit_paddings", &v, &count));
    if (count != 8 || v[0] || v[1] || v[6] || v[7])
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute explicit_paddings: only height and width can be padded");
    pads[0] = v[2], pads[1] = v[4], pads[2] = v[3], pads[3] = v[5];
    *a = ints_attr("pads", pads, 4);
    return BL_OK;
}

/* Weights [h, w, in, out] as [out, in, h, w]; of a depthwise layer [h, w, in, k] as [in k, 1, h, w]. */
static bl_status conv_weights(const emit *e, bool depthwise, int *w, int64_t *groups)
{
    static const int64_t plain[] = {3, 2, 0, 1}, deep[] = {2, 3, 0, 1};
    bli_tf_tensor t;
    *groups = 1;
    BLI_TRY(value(e, 1, w));
    BLI_TRY(transposed(e, w, depthwise ? deep : plain, 4));
    if (!depthwise)
        return BL_OK;
    BLI_TRY(constant(e, 1, &t));
    if (t.rank != 4)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "weights of %d dimensions, expected 4", t.rank);
    const int64_t shape[] = {t.dim[2] * t.dim[3], 1, t.dim[0], t.dim[1]};
    int in[2] = {*w, -1};
    *groups = t.dim[2];
    BLI_TRY(add_ints(e, shape, 4, &in[1]));
    return add(e, "Reshape", "", in, 2, NULL, 0, NULL, w);
}

static bl_status emit_conv(const emit *e)
{
    int64_t strides[2], dilations[2], pads[4], groups;
    bl_attr attrs[4];
    int in[2];
    BLI_TRY(need_nhwc(e));
    BLI_TRY(spatial(e, "strides", true, strides));
    BLI_TRY(spatial(e, "dilations", false, dilations));
    BLI_TRY(padding(e, pads, &attrs[0]));
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(conv_weights(e, strcmp(e->n->op, "Conv2D") != 0, &in[1], &groups));
    attrs[1] = ints_attr("strides", strides, 2);
    attrs[2] = ints_attr("dilations", dilations, 2);
    attrs[3] = int_attr("group", groups);
    return add(e, "Conv", BLI_DOMAIN_LAST, in, 2, attrs, 4, e->n->name, NULL);
}

static bl_status emit_pool(const emit *e)
{
    int64_t kernel[2], strides[2], pads[4];
    bl_attr attrs[3];
    int x;
    BLI_TRY(need_nhwc(e));
    BLI_TRY(spatial(e, "ksize", true, kernel));
    BLI_TRY(spatial(e, "strides", true, strides));
    BLI_TRY(padding(e, pads, &attrs[0]));
    BLI_TRY(value(e, 0, &x));
    attrs[1] = ints_attr("strides", strides, 2);
    attrs[2] = ints_attr("kernel_shape", kernel, 2);
    return add(e, e->type, BLI_DOMAIN_LAST, &x, 1, attrs, 3, e->n->name, NULL);
}

/* ---- batch normalisation --------------------------------------------------------------------------------------- */

/* order: where x, scale, offset, mean and variance are among the inputs. */
static bl_status batch_norm(const emit *e, const size_t order[5], float epsilon)
{
    int in[5];
    for (int i = 0; i < 5; i++)
        BLI_TRY(value(e, order[i], &in[i]));
    const bl_attr a = float_attr("epsilon", epsilon);
    return add(e, "BatchNormalization", BLI_DOMAIN_LAST, in, 5, &a, 1, e->n->name, NULL);
}

static bl_status emit_fused_norm(const emit *e)
{
    static const size_t order[] = {0, 1, 2, 3, 4};
    bool training;
    float epsilon;
    BLI_TRY(need_nhwc(e));
    BLI_TRY(bli_tf_bool_or(e->d->ctx, e->n, "is_training", true, &training));
    BLI_TRY(bli_tf_float_or(e->d->ctx, e->n, "epsilon", 1e-4f, &epsilon));
    if (training)
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute is_training: it is true; freeze the graph for inference");
    return batch_norm(e, order, epsilon);
}

static bl_status emit_old_norm(const emit *e)
{
    static const size_t order[] = {0, 4, 3, 1, 2};
    bool scale;
    float epsilon;
    BLI_TRY(bli_tf_get_bool(e->d->ctx, e->n, "scale_after_normalization", &scale));
    BLI_TRY(bli_tf_get_float(e->d->ctx, e->n, "variance_epsilon", &epsilon));
    if (!scale)
        return bli_fail(e->d->ctx, BL_UNSUPPORTED, "attribute scale_after_normalization: false, expected true");
    return batch_norm(e, order, epsilon);
}

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

/* A batch that the file has as a number stays the batch. */
static bl_status emit_reshape(const emit *e)
{
    const int64_t *given;
    size_t count;
    int in[2];
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(constant_ints(e, 1, &given, &count));
    int64_t *shape = bli_tf_alloc_array(e->d->store, count + 1, sizeof *shape);
    if (!shape)
        return BL_NO_MEMORY;
    if (count)
        memcpy(shape, given, count * sizeof *shape);
    if (count > 0 && shape[0] != -1 && bl_graph_value(e->d->out, in[0])->role != BL_ROLE_CONSTANT)
        shape[0] = 0;
    BLI_TRY(add_ints(e, shape, count, &in[1]));
    return add(e, "Reshape", "", in, 2, NULL, 0, e->n->name, NULL);
}

static bl_status emit_squeeze(const emit *e)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    int in[2];
    BLI_TRY(value(e, 0, &in[0]));
    if (bli_tf_node_attr(e->n, "squeeze_dims"))
        BLI_TRY(bli_tf_get_ints(e->d->ctx, e->n, "squeeze_dims", &axes, &count));
    if (count > 0)
        BLI_TRY(add_ints(e, axes, count, &in[1]));
    return add(e, "Squeeze", "", in, count > 0 ? 2 : 1, NULL, 0, e->n->name, NULL);
}

static bl_status emit_expand(const emit *e)
{
    const int64_t *axes;
    size_t count;
    int in[2];
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(constant_ints(e, 1, &axes, &count));
    BLI_TRY(add_ints(e, axes, count, &in[1]));
    return add(e, "Unsqueeze", "", in, 2, NULL, 0, e->n->name, NULL);
}

static bl_status emit_transpose(const emit *e)
{
    const int64_t *perm;
    size_t count;
    int x;
    BLI_TRY(value(e, 0, &x));
    BLI_TRY(constant_ints(e, 1, &perm, &count));
    const bl_attr a = ints_attr("perm", perm, count);
    return add(e, "Transpose", "", &x, 1, &a, 1, e->n->name, NULL);
}

static bl_status emit_reduce(const emit *e)
{
    const int64_t *axes;
    size_t count;
    int x;
    bool keep;
    BLI_TRY(value(e, 0, &x));
    BLI_TRY(constant_ints(e, 1, &axes, &count));
    BLI_TRY(bli_tf_bool_or(e->d->ctx, e->n, "keep_dims", false, &keep));
    const bl_attr attrs[] = {ints_attr("axes", axes, count), int_attr("keepdims", keep)};
    return add(e, e->type, "", &x, 1, attrs, 2, e->n->name, NULL);
}

/* Pairs of before and after become all befores, then all afters. */
static bl_status emit_pad(const emit *e)
{
    const int64_t *pairs;
    int64_t pads[2 * BL_MAX_RANK];
    size_t count;
    int in[3];
    BLI_TRY(value(e, 0, &in[0]));
    BLI_TRY(constant_ints(e, 1, &pairs, &count));
    if (count % 2 || count > 2 * BL_MAX_RANK)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "%zu paddings, expected pairs of at most %d dimensions", count,
                        BL_MAX_RANK);
    for (size_t i = 0; i < count; i++)
        pads[i % 2 * (count / 2) + i / 2] = pairs[i];
    BLI_TRY(add_ints(e, pads, count, &in[1]));
    bool number = bli_tg_data_inputs(e->n) > 2;
    if (number)
        BLI_TRY(value(e, 2, &in[2]));
    return add(e, "Pad", "", in, number ? 3 : 2, NULL, 0, e->n->name, NULL);
}

/* ConcatV2 has its axis last, Concat first. */
static bl_status emit_concat(const emit *e)
{
    const int64_t *axis;
    size_t count, inputs = bli_tg_data_inputs(e->n);
    bool first = strcmp(e->n->op, "Concat") == 0;
    int in[MOST_INPUTS];
    if (inputs < 2 || inputs > MOST_INPUTS)
        return bli_fail(e->d->ctx, BL_LIMIT, "%zu inputs, expected 2 to %d", inputs, MOST_INPUTS);
    BLI_TRY(constant_ints(e, first ? 0 : inputs - 1, &axis, &count));
    if (count != 1)
        return bli_fail(e->d->ctx, BL_BAD_MODEL, "its axis has %zu values, expected one", count);
    for (size_t i = 0; i < inputs - 1; i++)
        BLI_TRY(value(e, i + first, &in[i]));
    const bl_attr a = int_attr("axis", axis[0]);
    return add(e, "Concat", "", in, (int)inputs - 1, &a, 1, e->n->name, NULL);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    emit_fn emit;
    const char *type; /* ours */
} table[] = {
    {"Const", emit_constant, ""},
    {"Identity", emit_identity, "Identity"},
    {"StopGradient", emit_identity, "Identity"},
    {"CheckNumerics", emit_identity, "Identity"},
    {"PreventGradient", emit_identity, "Identity"},
    {"Snapshot", emit_identity, "Identity"},
    {"Conv2D", emit_conv, "Conv"},
    {"DepthwiseConv2dNative", emit_conv, "Conv"},
    {"MatMul", emit_matmul, "MatMul"},
    {"BiasAdd", emit_bias, "Add"},
    {"BiasAddV1", emit_same, "Add"},
    {"Add", emit_same, "Add"},
    {"AddV2", emit_same, "Add"},
    {"Sub", emit_same, "Sub"},
    {"Mul", emit_same, "Mul"},
    {"RealDiv", emit_same, "Div"},
    {"Div", emit_same, "Div"},
    {"Maximum", emit_same, "Max"},
    {"Minimum", emit_same, "Min"},
    {"Pow", emit_same, "Pow"},
    {"Rsqrt", emit_rsqrt, "Pow"},
    {"Sqrt", emit_sqrt, "Pow"},
    {"Square", emit_square, "Pow"},
    {"Neg", emit_neg, "Mul"},
    {"Relu", emit_same, "Relu"},
    {"Relu6", emit_relu6, "Clip"},
    {"LeakyRelu", emit_leaky, "LeakyRelu"},
    {"Elu", emit_same, "Elu"},
    {"Tanh", emit_same, "Tanh"},
    {"Sigmoid", emit_same, "Sigmoid"},
    {"Softplus", emit_same, "Softplus"},
    {"Abs", emit_same, "Abs"},
    {"Floor", emit_same, "Floor"},
    {"Ceil", emit_same, "Ceil"},
    {"Sign", emit_same, "Sign"},
    {"Softmax", emit_softmax, "Softmax"},
    {"MaxPool", emit_pool, "MaxPool"},
    {"AvgPool", emit_pool, "AveragePool"},
    {"FusedBatchNorm", emit_fused_norm, "BatchNormalization"},
    {"FusedBatchNormV2", emit_fused_norm, "BatchNormalization"},
    {"FusedBatchNormV3", emit_fused_norm, "BatchNormalization"},
    {"BatchNormWithGlobalNormalization", emit_old_norm, "BatchNormalization"},
    {"Reshape", emit_reshape, "Reshape"},
    {"Squeeze", emit_squeeze, "Squeeze"},
    {"ExpandDims", emit_expand, "Unsqueeze"},
    {"Transpose", emit_transpose, "Transpose"},
    {"Mean", emit_reduce, "ReduceMean"},
    {"Sum", emit_reduce, "ReduceSum"},
    {"Max", emit_reduce, "ReduceMax"},
    {"Pad", emit_pad, "Pad"},
    {"PadV2", emit_pad, "Pad"},
    {"Concat", emit_concat, "Concat"},
    {"ConcatV2", emit_concat, "Concat"},
};

bool bli_tf_door_knows(const char *op)
{
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        if (strcmp(table[i].op, op) == 0)
            return true;
    return false;
}

bl_status bli_tf_door_node(bli_tf_door *d, const bli_tf_node *n)
{
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        if (strcmp(table[i].op, n->op) == 0) {
            const emit e = {d, n, table[i].type};
            return table[i].emit(&e);
        }
    if (strcmp(n->op, "Placeholder") == 0)
        return bli_fail(d->ctx, BL_BAD_VALUE, "the outputs need it, and it is not among the inputs");
    return bli_fail(d->ctx, BL_UNSUPPORTED, "this operator has no counterpart here; cut the graph before or behind it");
}
