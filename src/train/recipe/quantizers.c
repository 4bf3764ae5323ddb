/* quantizers.c: the forward rules of a recipe as Quantize nodes.
 *
 * A node goes between a value and its users: "fc1/weight_quant" behind a parameter (computed once a step),
 * "relu1/activation_quant" behind an activation function, "fc1/accumulator_quant" behind a sum with its bias.  What is
 * already quantized stays as it is.
 */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/recipe.h"

enum { NAME_SIZE = 300 };

typedef struct putting {
    const bl_recipe *r;
    bl_graph *g;
} putting;

/* The layer that owns a node or value: the longest name that is it or its prefix before '/' or '.'. */
static const bli_layer_use *owner(const bl_recipe *r, const char *name)
{
    const bli_layer_use *best = NULL;
    size_t best_length = 0;
    for (int i = 0; i < r->num_layers; i++) {
        const char *layer = r->layers[i].name;
        size_t n = strlen(layer);
        bool owns = strncmp(name, layer, n) == 0 && (!name[n] || name[n] == '/' || name[n] == '.');
        if (owns && (!best || n > best_length)) {
            best = &r->layers[i];
            best_length = n;
        }
    }
    return best;
}

/* ---- one node ---------------------------------------------------------------------------------------------------- */
static bl_shape scale_shape(const bli_precision *p, const bl_shape *x, bool batched)
{
    bl_shape s = {0, {0}};
    int axis = p->axis < 0 ? p->axis + x->rank : p->axis;
    if (p->scale_per_channel && axis >= 0 && axis < x->rank)
        s = (bl_shape){1, {x->dim[axis]}};
    for (int i = batched ? 1 : 0; p->scale_per_element && i < x->rank; i++)
        s.dim[s.rank++] = x->dim[i];
    return s;
}

/* The learned scale "<name>_scale", started from the parameter's data, or from what suits values of about one. */
static bl_status add_scale(bl_graph *g, const bli_precision *p, const bl_node *node, const char *name, int value,
                           const bl_shape *shape, int *id)
{
    bl_context *ctx = bl_graph_context(g);
    const bl_value *v = bl_graph_value(g, value);
    bool batched = !v->data;
    bl_shape of = scale_shape(p, shape, batched);
    bl_tensor scale, x = {.type = BL_F32, .shape = *shape, .data = v->data};
    for (int i = 0; batched && i < x.shape.rank; i++)
        x.shape.dim[i] = i + 1 < x.shape.rank ? x.shape.dim[i + 1] : 0;
    x.shape.rank -= batched && x.shape.rank > 0;
    BLI_TRY(bl_tensor_create(ctx, BL_F32, &of, &scale));
    bl_status s = bli_precision_init_scale(ctx, node, &x, scale.data, (size_t)bl_shape_count(&of));
    if (s == BL_OK)
        s = bl_graph_add_tensor(g, name, BL_ROLE_PARAMETER, "scale", &scale, id);
    bl_tensor_free(ctx, &scale);
    return s;
}

/* The constant "<node's name>/widths". */
static bl_status add_widths(bl_graph *g, const bli_precision *p, const char *name, const bl_shape *shape, int *id)
{
    char widths[NAME_SIZE + 8];
    bl_tensor t = *p->widths;
    snprintf(widths, sizeof widths, "%s/widths", name);
    BLI_TRY(bli_within(bl_graph_context(g), bli_precision_widths_shape(bl_graph_context(g), p, shape, &t.shape),
                       "node '%s'", name));
    return bl_graph_add_tensor(g, widths, BL_ROLE_CONSTANT, "", &t, id);
}

/* A learned scale of data starts from the first batch, if the entry says nothing else; copy has room for one more. */
static void first_from_batch(bl_node *spec, bl_attr *copy)
{
    if (bl_node_attr(spec, "first_scale"))
        return;
    memcpy(copy, spec->attrs, (size_t)spec->num_attrs * sizeof *copy);
    copy[spec->num_attrs] = (bl_attr){.name = "first_scale", .kind = BL_ATTR_STRING, .count = 1};
    copy[spec->num_attrs++].u.s = "batch";
    spec->attrs = copy;
}

/* Node `name` on value; *out is its output.  scale_name: of a learned scale. */
static bl_status quantize_value(bl_graph *g, const bli_precision *p, const char *name, const char *scale_name,
                                int value, const bl_shape *shape, int *out)
{
    int in[3] = {value, -1, -1};
    bl_node spec = {.name = name,
                    .type = "Quantize",
                    .domain = BLI_DOMAIN_OWN,
                    .num_inputs = 1,
                    .num_outputs = 1,
                    .num_attrs = p->num_attrs,
                    .inputs = in,
                    .attrs = p->attrs};
    bl_attr attrs[BLI_PRECISION_ATTRS + 1];
    if (p->needs_scale) {
        BLI_TRY(add_scale(g, p, &spec, scale_name, value, shape, &in[1]));
        spec.num_inputs = 2;
        if (!bl_graph_value(g, value)->data)
            first_from_batch(&spec, attrs);
    }
    if (p->widths) {
        BLI_TRY(add_widths(g, p, name, shape, &in[2]));
        spec.num_inputs = 3;
    }
    return bl_graph_add_node(g, &spec, &name, out);
}

/* Puts a node between value and everything that reads it now. */
static bl_status put_behind(const putting *p, const bli_rule *rule, const bli_precision *how, const char *name,
                            const char *scale_name, int value, const bl_shape *shape, int *out)
{
    bl_context *ctx = p->r->ctx;
    bl_status s = quantize_value(p->g, how, name, scale_name, value, shape, out);
    BLI_TRY(bli_yaml_within(ctx, rule->use.where, s));
    int node = bl_graph_value(p->g, *out)->producer;
    bli_graph_replace_uses(p->g, value, *out);
    return bli_graph_set_input(p->g, node, 0, value);
}

static const bli_rule *rule_for(const putting *p, const char *place, const bli_layer_use *layer)
{
    const bli_rule *rule = bli_rule_find(p->r, place, layer);
    return rule && !rule->use.precision->none ? rule : NULL;
}

static bool is_quantized(const bl_graph *g, int value)
{
    int node = bli_graph_first_user(g, value);
    return node >= 0 && strcmp(bl_graph_node(g, node)->type, "Quantize") == 0;
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */
/* Where a weight's output channels are, and the axis along which products sum (blocks of mx run there). */
typedef struct axes {
    const char *type;
    int channel, sum;
} axes;
static const axes weight_axes[] = {{"MatMul", 1, 0}, {"Gemm", 1, 0}, {"Conv", 0, 1}, {"ConvTranspose", 1, 0}};

static bl_status set_axis(const putting *p, const char *user, const bl_shape *shape, bli_precision *how)
{
    for (size_t i = 0; i < BLI_COUNT(weight_axes); i++) {
        const axes *a = &weight_axes[i];
        if (strcmp(a->type, user) != 0 || shape->rank < 2)
            continue;
        return bli_precision_set_axis(p->r->ctx, how, how->is_mx ? a->sum : a->channel);
    }
    return BL_OK;
}

static bl_status put_parameter(const putting *p, int value)
{
    bl_value v = *bl_graph_value(p->g, value);
    int user = bli_graph_first_user(p->g, value);
    if (user < 0 || is_quantized(p->g, value))
        return BL_OK;
    const bl_node *node = bl_graph_node(p->g, user);
    const bli_layer_use *layer = owner(p->r, node->name);
    const bli_rule *rule = rule_for(p, v.place, layer);
    if (!rule)
        return BL_OK;
    const char *of = layer ? layer->name : node->name, *dot = strrchr(v.name, '.');
    const char *suffix = dot && strncmp(v.name, of, strlen(of)) == 0 ? dot + 1 : v.place;
    char name[NAME_SIZE], scale[NAME_SIZE];
    snprintf(name, sizeof name, "%.120s/%.120s_quant", of, suffix);
    snprintf(scale, sizeof scale, "%.120s.%.120s_scale", of, suffix);
    bli_precision how = *rule->use.precision;
    BLI_TRY(set_axis(p, node->type, &v.shape, &how));
    int out;
    return put_behind(p, rule, &how, name, scale, value, &v.shape, &out);
}

static bl_status put_parameters(const putting *p)
{
    int count = bl_graph_num_values(p->g);
    for (int i = 0; i < count; i++) {
        const bl_value *v = bl_graph_value(p->g, i);
        if (v->name && v->role == BL_ROLE_PARAMETER && (!strcmp(v->place, "weight") || !strcmp(v->place, "bias")))
            BLI_TRY(put_parameter(p, i));
    }
    return BL_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */
static bl_status put_value(const putting *p, const bli_rule *rule, const char *of, int value, int *out)
{
    char name[NAME_SIZE], scale[NAME_SIZE];
    bl_shape shape = bl_graph_value(p->g, value)->shape;
    snprintf(name, sizeof name, "%.200s/%s_quant", of, rule->place);
    snprintf(scale, sizeof scale, "%.200s.%s_scale", of, rule->place);
    return put_behind(p, rule, rule->use.precision, name, scale, value, &shape, out);
}

static bool is_one_of(const char *type, const char *const *types)
{
    while (*types && strcmp(*types, type) != 0)
        types++;
    return *types != NULL;
}

static bool is_function(const char *type)
{
    static const char *const types[] = {"Relu",      "Clip", "LeakyRelu", "Sigmoid",  "Tanh",    "HardSigmoid",
                                        "HardSwish", "Elu",  "PRelu",     "Softplus", "Softmax", NULL};
    return is_one_of(type, types);
}

static bool is_product(const char *type)
{
    static const char *const types[] = {"MatMul", "Gemm", "Conv", "ConvTranspose", NULL};
    return is_one_of(type, types);
}

/* Behind a product its bias, when an Add of a parameter is all that reads it. */
static int sum_of(const bl_graph *g, int value)
{
    int user = bli_graph_first_user(g, value);
    if (bli_graph_num_uses(g, value) != 1 || user < 0)
        return value;
    const bl_node *n = bl_graph_node(g, user);
    if (strcmp(n->type, "Add") != 0 || n->num_inputs != 2)
        return value;
    const bl_value *other = bl_graph_value(g, n->inputs[n->inputs[0] == value ? 1 : 0]);
    const bl_node *maker = other->producer >= 0 ? bl_graph_node(g, other->producer) : NULL;
    bool of_parameter =
        maker && strcmp(maker->type, "Quantize") == 0 && bl_graph_value(g, maker->inputs[0])->role == BL_ROLE_PARAMETER;
    return other->role == BL_ROLE_PARAMETER || of_parameter ? n->outputs[0] : value;
}

/* Does anything that this layer made apply a function?  Then `activation` stands there. */
static bool has_function(const putting *p, const bli_layer_use *layer)
{
    for (int i = 0; i < bl_graph_num_nodes(p->g); i++) {
        const bl_node *n = bl_graph_node(p->g, i);
        if (n->type && is_function(n->type) && owner(p->r, n->name) == layer)
            return true;
    }
    return false;
}

static bool is_last(const putting *p, int node, const bli_layer_use *layer, int count)
{
    for (int i = node + 1; i < count; i++)
        if (bl_graph_node(p->g, i)->type && owner(p->r, bl_graph_node(p->g, i)->name) == layer)
            return false;
    return true;
}

/* Softmax's shares stay exact unless its layer asks. */
static const bli_rule *activation_rule(const putting *p, int node, const bli_layer_use *layer, int count)
{
    const bl_node *n = bl_graph_node(p->g, node);
    const bli_rule *rule = rule_for(p, "activation", layer);
    bool named = rule && (rule->type || rule->layer);
    if (!rule || strcmp(n->type, "Quantize") == 0)
        return NULL;
    if (is_function(n->type))
        return named || strcmp(n->type, "Softmax") != 0 ? rule : NULL;
    return named && layer && is_last(p, node, layer, count) && !has_function(p, layer) ? rule : NULL;
}

static bl_status put_behind_node(const putting *p, int node, int count)
{
    const bl_node *n = bl_graph_node(p->g, node);
    const bli_layer_use *layer = owner(p->r, n->name);
    const char *of = layer ? layer->name : n->name;
    int value = n->outputs[0];
    const bli_rule *rule =
        is_product(n->type) && !strstr(n->name, "/depthwise") ? rule_for(p, "accumulator", layer) : NULL;
    if (rule && !is_quantized(p->g, sum_of(p->g, value)))
        BLI_TRY(put_value(p, rule, of, sum_of(p->g, value), &value));
    rule = activation_rule(p, node, layer, count);
    int at = bl_graph_node(p->g, node)->outputs[0];
    if (!rule || is_quantized(p->g, at))
        return BL_OK;
    return put_value(p, rule, of, at, &value);
}

/* ---- batch normalisation ----------------------------------------------------------------------------------------- */
/* The format of its scale or offset, which only a rule for its type or its name gives; *text NULL if none. */
static bl_status norm_format(const putting *p, const bli_layer_use *layer, const char *place, const char **text)
{
    const bli_rule *rule = rule_for(p, place, layer);
    *text = NULL;
    if (!rule || (!rule->type && !rule->layer))
        return BL_OK;
    const bli_precision *how = rule->use.precision;
    for (int i = 0; i < how->num_attrs; i++) {
        if (strcmp(how->attrs[i].name, "format") == 0)
            *text = how->attrs[i].u.s;
        else if (strcmp(how->attrs[i].name, "place") != 0)
            return bli_yaml_fail(p->r->ctx, rule->use.where, BL_BAD_VALUE,
                                 "layer %s: %s of a batch normalisation takes a format alone, not '%s'", layer->name,
                                 place, how->attrs[i].name);
    }
    return BL_OK;
}

static bl_status put_norm(const putting *p, int node)
{
    const bl_node *n = bl_graph_node(p->g, node);
    const bli_layer_use *layer = owner(p->r, n->name);
    static const char *const places[][2] = {{"weight", "scale_format"}, {"bias", "offset_format"}};
    bl_attr attrs[8];
    int count = n->num_attrs;
    if (strcmp(n->type, "BatchNormalization") != 0 || !layer || count + 2 > (int)BLI_COUNT(attrs))
        return BL_OK;
    memcpy(attrs, n->attrs, (size_t)count * sizeof *attrs);
    for (size_t i = 0; i < BLI_COUNT(places); i++) {
        const char *text;
        BLI_TRY(norm_format(p, layer, places[i][0], &text));
        if (text) {
            attrs[count] = (bl_attr){.name = places[i][1], .kind = BL_ATTR_STRING, .count = 1};
            attrs[count++].u.s = text;
        }
    }
    if (count == n->num_attrs)
        return BL_OK;
    if (n->domain[0] == '\0')
        return bli_fail(p->r->ctx, BL_UNSUPPORTED, "layer %s: formats of a batch normalisation with channels first",
                        layer->name);
    BLI_TRY(bli_graph_set_attrs(p->g, node, attrs, count));
    return bli_within(p->r->ctx, bl_graph_infer(p->g), "precision of layer %s", layer->name);
}

/* The input, behind its normalisation. */
static bl_status put_input(const putting *p, int input)
{
    const bli_rule *rule = rule_for(p, "input", NULL);
    const char *name = bl_graph_value(p->g, input)->name;
    int value = input, out;
    for (int user = bli_graph_first_user(p->g, value); user >= 0; user = bli_graph_first_user(p->g, value)) {
        if (strncmp(bl_graph_node(p->g, user)->name, "normalize/", 10) != 0)
            break;
        value = bl_graph_node(p->g, user)->outputs[0];
    }
    if (!rule || is_quantized(p->g, value))
        return BL_OK;
    return put_value(p, rule, name, value, &out);
}

bl_status bli_precision_build(const bl_recipe *r, bl_graph *g)
{
    putting p = {r, g};
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) /* while the graph can still be inferred: what is put needs sorting */
        if (bl_graph_node(g, i)->type)
            BLI_TRY(put_norm(&p, i));
    BLI_TRY(put_parameters(&p));
    for (int i = 0; i < count; i++)
        if (bl_graph_node(g, i)->type)
            BLI_TRY(put_behind_node(&p, i, count));
    for (int i = 0; i < bl_graph_num_inputs(g); i++)
        BLI_TRY(put_input(&p, bl_graph_input(g, i)));
    return bli_graph_clean(g);
}

/* ---- the Quantize layer ------------------------------------------------------------------------------------------ */
bl_status bli_build_quantizer(bli_build *b, const char *suffix, int input)
{
    const bli_precision *p = b->o->quantize->precision;
    char name[NAME_SIZE], scale[NAME_SIZE];
    bl_shape shape = bl_graph_value(b->g, input)->shape;
    b->out = input;
    if (p->none)
        return BL_OK;
    snprintf(name, sizeof name, "%.200s%s", b->use->name, suffix);
    snprintf(scale, sizeof scale, "%.200s.scale", b->use->name);
    return quantize_value(b->g, p, name, scale, input, &shape, &b->out);
}

bl_status bli_build_quantize(bli_build *b)
{
    if (b->o->quantize->precision->none)
        return bli_build_identity(b);
    return bli_build_quantizer(b, "", b->in[0]);
}
