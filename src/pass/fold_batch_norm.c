/* fold_batch_norm.c: batch normalisation into the convolution or product before it, with its running statistics.
 *
 *   y = gamma (x - mean) / sqrt(variance + epsilon) + beta,  x = W z + b
 *     = (k W) z + (k (b - mean) + beta),                     k = gamma / sqrt(variance + epsilon)
 *
 * computed in double and rounded once, so the result differs from the unfolded network's by float32's rounding; where
 * the weights pass through a quantizer, they are quantized after folding, as they will be in firmware.  Only a layer
 * whose one reader is the normalisation, with weights of its own, is folded; a normalisation
 * whose scale and offset have formats of their own stays what it was trained as.
 */
#include <math.h>
#include <string.h>

#include "pass/pass.h"

enum { GAMMA = 1, BETA, MEAN, VARIANCE };

/* One layer and the normalisation behind it. */
typedef struct pair {
    int norm, layer, add; /* nodes; add: the Add of a dense layer's bias, -1 if none */
    int weight, bias;     /* values with data; bias -1 if none */
    bool dense;           /* weight is [in, out]; else [out, ...] */
    int64_t channels;
} pair;

/* The tensor behind value, through one quantizer; -1 when it has none of its own. */
static int tensor_behind(const bl_graph *g, int value)
{
    if (value < 0)
        return -1;
    const bl_value *v = bl_graph_value(g, value);
    if (v->producer >= 0 && bli_graph_num_uses(g, value) == 1) {
        const bl_node *n = bl_graph_node(g, v->producer);
        if (strcmp(n->type, "Quantize") != 0 && strcmp(n->type, "Quant") != 0)
            return -1;
        value = n->inputs[0];
        v = bl_graph_value(g, value);
    }
    return v->data && v->type == BL_F32 && bli_graph_num_uses(g, value) == 1 ? value : -1;
}

static int only_producer(const bl_graph *g, int value)
{
    return value >= 0 && bli_graph_num_uses(g, value) == 1 ? bl_graph_value(g, value)->producer : -1;
}

static bool match_dense_bias(const bl_graph *g, pair *p)
{
    const bl_node *n = bl_graph_node(g, p->layer);
    if (strcmp(n->type, "Add") != 0)
        return true;
    p->add = p->layer;
    p->bias = tensor_behind(g, n->inputs[1]);
    p->layer = only_producer(g, n->inputs[0]);
    return p->bias >= 0 && p->layer >= 0;
}

static bool match(const bl_graph *g, int node, pair *p)
{
    const bl_node *n = bl_graph_node(g, node);
    *p = (pair){.norm = node, .add = -1, .bias = -1, .weight = -1};
    if (!n->type || strcmp(n->type, "BatchNormalization") != 0 || bli_keeps_own_formats(n))
        return false;
    for (int i = GAMMA; i <= VARIANCE; i++)
        if (!bl_graph_value(g, n->inputs[i])->data || bl_graph_value(g, n->inputs[i])->type != BL_F32)
            return false;
    p->channels = bl_shape_count(&bl_graph_value(g, n->inputs[GAMMA])->shape);
    p->layer = only_producer(g, n->inputs[0]);
    if (p->layer < 0 || !match_dense_bias(g, p))
        return false;
    const bl_node *layer = bl_graph_node(g, p->layer);
    p->dense = strcmp(layer->type, "MatMul") == 0;
    if (!p->dense && (strcmp(layer->type, "Conv") != 0 || p->add >= 0))
        return false;
    p->weight = tensor_behind(g, layer->inputs[1]);
    if (p->weight < 0)
        return false;
    const bl_shape *w = &bl_graph_value(g, p->weight)->shape;
    bool has_bias = !p->dense && layer->num_inputs > 2 && layer->inputs[2] >= 0;
    if (has_bias)
        p->bias = tensor_behind(g, layer->inputs[2]);
    if ((has_bias && p->bias < 0) || (p->dense && w->rank != 2))
        return false;
    return w->dim[p->dense ? 1 : 0] == p->channels &&
           (p->bias < 0 || bl_shape_count(&bl_graph_value(g, p->bias)->shape) == p->channels);
}

static const float *data_of(const bl_graph *g, int node, int slot)
{
    return bl_graph_value(g, bl_graph_node(g, node)->inputs[slot])->data;
}

static double factor(const bl_graph *g, const pair *p, int64_t c)
{
    double epsilon = bl_node_float(bl_graph_node(g, p->norm), "epsilon", (double)1e-5f);
    return (double)data_of(g, p->norm, GAMMA)[c] / sqrt((double)data_of(g, p->norm, VARIANCE)[c] + epsilon);
}

static void fold_weight(bl_graph *g, const pair *p)
{
    bl_value *w = bli_graph_value_mut(g, p->weight);
    if (p->channels == 0)
        return;
    int64_t count = bl_shape_count(&w->shape), inner = p->dense ? 1 : count / p->channels;
    for (int64_t i = 0; i < count; i++)
        ((float *)w->data)[i] = (float)((double)((float *)w->data)[i] * factor(g, p, i / inner % p->channels));
}

static float folded_bias(const bl_graph *g, const pair *p, int64_t c)
{
    double b = p->bias < 0 ? 0 : (double)((const float *)bl_graph_value(g, p->bias)->data)[c];
    return (float)(factor(g, p, c) * (b - (double)data_of(g, p->norm, MEAN)[c]) + (double)data_of(g, p->norm, BETA)[c]);
}

/* The layer had no bias: it gets one, a third input or an Add.  *made is the value that now has the result. */
static bl_status add_bias(bl_graph *g, const pair *p, const bl_tensor *bias, int *made)
{
    int id;
    *made = bl_graph_node(g, p->norm)->inputs[0];
    BLI_TRY(bl_graph_add_tensor(g, NULL, BL_ROLE_PARAMETER, "bias", bias, &id));
    if (!p->dense)
        return bli_graph_set_input(g, p->layer, 2, id);
    int terms[2] = {*made, id};
    bl_node add = {.type = "Add", .num_inputs = 2, .num_outputs = 1, .inputs = terms};
    BLI_TRY(bl_graph_add_node(g, &add, NULL, made));
    bli_graph_place_like(g, bl_graph_value(g, *made)->producer, p->norm);
    return BL_OK;
}

/* The normalisation goes; an output of the graph keeps its name. */
static bl_status replace_norm(bl_graph *g, const pair *p, int made)
{
    int y = bl_graph_node(g, p->norm)->outputs[0];
    const char *name = bl_graph_value(g, y)->name;
    bool output = bli_graph_is_output(g, y);
    bli_graph_replace_uses(g, y, made);
    bli_graph_remove_node(g, p->norm);
    return output ? bli_graph_rename_value(g, made, name) : BL_OK;
}

static bl_status fold(bl_graph *g, const pair *p)
{
    bl_tensor bias;
    bl_shape shape = {1, {p->channels}};
    int made = bl_graph_node(g, p->norm)->inputs[0];
    BLI_TRY(bl_tensor_create(bl_graph_context(g), BL_F32, &shape, &bias));
    for (int64_t c = 0; c < p->channels; c++)
        ((float *)bias.data)[c] = folded_bias(g, p, c);
    bl_status s = BL_OK;
    fold_weight(g, p);
    if (p->bias >= 0)
        memcpy(bli_graph_value_mut(g, p->bias)->data, bias.data, (size_t)p->channels * sizeof(float));
    else
        s = add_bias(g, p, &bias, &made);
    bl_tensor_free(bl_graph_context(g), &bias);
    return s == BL_OK ? replace_norm(g, p, made) : s;
}

bl_status bli_pass_fold_batch_norm(bl_graph *g)
{
    BLI_TRY(bl_graph_infer(g));
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        pair p;
        if (!bli_graph_node_dead(g, i) && match(g, i, &p))
            BLI_TRY(fold(g, &p));
    }
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
