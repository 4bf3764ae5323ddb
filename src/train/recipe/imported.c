/* imported.c: a recipe that starts from a model file: its nodes as layers, so that rules by type and name find them,
 * and normalisation in front of what it has.
 */
#include <string.h>

#include "bitlathe/model.h"
#include "graph/graph.h"
#include "train/recipe/recipe.h"

/* Keras' name for an operator; two where the rank of the input decides (1D first). */
typedef struct naming {
    const char *type, *layer[2];
} naming;
static const naming namings[] = {
    {"MatMul", {"Dense", "Dense"}},
    {"Gemm", {"Dense", "Dense"}},
    {"Conv", {"Conv1D", "Conv2D"}},
    {"ConvTranspose", {"Conv2DTranspose", "Conv2DTranspose"}},
    {"BatchNormalization", {"BatchNormalization", "BatchNormalization"}},
    {"MaxPool", {"MaxPooling1D", "MaxPooling2D"}},
    {"AveragePool", {"AveragePooling1D", "AveragePooling2D"}},
    {"GlobalMaxPool", {"GlobalMaxPooling1D", "GlobalMaxPooling2D"}},
    {"GlobalAveragePool", {"GlobalAveragePooling1D", "GlobalAveragePooling2D"}},
    {"Relu", {"ReLU", "ReLU"}},
    {"Clip", {"ReLU", "ReLU"}},
    {"LeakyRelu", {"LeakyReLU", "LeakyReLU"}},
    {"Sigmoid", {"Activation", "Activation"}},
    {"Tanh", {"Activation", "Activation"}},
    {"HardSigmoid", {"Activation", "Activation"}},
    {"HardSwish", {"Activation", "Activation"}},
    {"Softmax", {"Softmax", "Softmax"}},
    {"Add", {"Add", "Add"}},
    {"Sub", {"Subtract", "Subtract"}},
    {"Mul", {"Multiply", "Multiply"}},
    {"Concat", {"Concatenate", "Concatenate"}},
    {"Flatten", {"Flatten", "Flatten"}},
    {"Reshape", {"Reshape", "Reshape"}},
};

static const bli_layer *layer_of(const bl_graph *g, const bl_node *n)
{
    for (size_t i = 0; i < BLI_COUNT(namings); i++) {
        if (strcmp(namings[i].type, n->type) != 0)
            continue;
        const bl_shape *in = &bl_graph_value(g, n->inputs[0])->shape;
        bool depthwise = strcmp(n->type, "Conv") == 0 && bl_node_int(n, "group", 1) > 1 &&
                         bl_node_int(n, "group", 1) == in->dim[in->rank - 1];
        const char *type = namings[i].layer[in->rank > 3];
        if (depthwise)
            type = in->rank > 3 ? "DepthwiseConv2D" : "DepthwiseConv1D";
        return bli_layer_find(type);
    }
    return NULL;
}

/* "fc1/bias" is part of layer fc1 when there is one. */
static bool is_part(const bl_recipe *r, const char *name)
{
    for (int i = 0; i < r->num_layers; i++) {
        size_t n = strlen(r->layers[i].name);
        if (strncmp(name, r->layers[i].name, n) == 0 && name[n] == '/')
            return true;
    }
    return false;
}

static bl_status list_layers(bl_recipe *r, const bl_graph *g)
{
    const bli_yaml *where = bli_yaml_find(r->root, "model");
    int count = bl_graph_num_nodes(g);
    r->num_layers = 0;
    r->layers = bli_arena_array(r->arena, (size_t)count + 1, sizeof *r->layers);
    if (!r->layers)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        const bl_node *n = bl_graph_node(g, i);
        const bli_layer *layer = layer_of(g, n);
        if (!layer || is_part(r, n->name))
            continue;
        bli_layer_use *use = &r->layers[r->num_layers];
        *use = (bli_layer_use){.layer = layer, .where = where};
        use->name = use->base = bli_arena_strdup(r->arena, n->name);
        if (!use->name)
            return BL_NO_MEMORY;
        r->num_layers++;
    }
    BLI_TRY(bli_precision_check_layers(r));
    return bli_rules_for_step(r, &r->spec.options.places, &r->spec.options.num_places);
}

/* Normalisation, if the recipe has one, goes between the input and all that reads it. */
static bl_status normalize(const bl_recipe *r, const bl_dataset *data, bl_graph *g)
{
    int input = bl_graph_input(g, 0), at = input, first = bl_graph_num_nodes(g);
    BLI_TRY(bli_normalize_build(r, data, g, &at));
    if (at == input)
        return BL_OK;
    bli_graph_replace_uses(g, input, at);
    BLI_TRY(bli_graph_set_input(g, first, 0, input));
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}

static bl_status check_row(const bl_recipe *r, const bl_dataset *data, const bl_graph *g)
{
    const bl_shape *row = bl_dataset_row_shape(data);
    bl_shape shape = bl_graph_value(g, bl_graph_input(g, 0))->shape;
    char want[128], have[128];
    if (shape.rank > 0)
        shape.dim[0] = 1;
    if (bl_shape_count(&shape) == bl_shape_count(row))
        return BL_OK;
    bl_shape_print(&shape, want, sizeof want);
    bl_shape_print(row, have, sizeof have);
    return bli_yaml_fail(r->ctx, bli_yaml_find(r->root, "model"), BL_BAD_MODEL,
                         "the model takes one row of shape %s, a row of the data has %s", want, have);
}

bl_status bli_imported_build(bl_recipe *r, const bl_dataset *data, bl_graph **out)
{
    bl_graph *g;
    *out = NULL;
    BLI_TRY(bli_yaml_within(r->ctx, bli_yaml_find(r->root, "model"), bl_model_read(r->ctx, r->spec.model, &g)));
    bl_status s = check_row(r, data, g);
    if (s == BL_OK)
        s = list_layers(r, g);
    if (s == BL_OK)
        s = normalize(r, data, g);
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}
