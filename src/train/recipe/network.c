/* network.c: the list of layers: read, named, wired, and built into a graph.
 *
 * Reading needs no data: layer types, options, names and references are checked there.  Shapes come with the data;
 * inference runs after every layer, so that a mismatch is told with the line of the layer that caused it.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/recipe.h"

/* ---- reading ---------------------------------------------------------------------------------------------------- */
typedef struct reading {
    bl_recipe *r;
    bl_context *ctx;
    int room;
    const char *suffix; /* of names inside a Repeat: "_2" */
} reading;

static const bli_key repeat_keys[] = {{.name = "times",
                                       .type = BLI_KEY_INT,
                                       .least = 1,
                                       .greatest = 1000,
                                       .offset = offsetof(bli_layer_options, times),
                                       .required = true,
                                       .help = "how often"},
                                      {.name = "layers",
                                       .type = BLI_KEY_NODE,
                                       .offset = offsetof(bli_layer_options, layers),
                                       .required = true,
                                       .help = "a list of layers; names get _1, _2, ..."},
                                      {.name = NULL}};

static bl_status fail_type(const reading *rd, const bli_yaml *where, const char *type)
{
    const char *names[128];
    size_t count = 0;
    for (; count < (size_t)bli_layer_count() && count < BLI_COUNT(names) - 1; count++)
        names[count] = bli_layer_at((int)count)->type;
    names[count++] = "Repeat";
    char hint[96];
    return bli_yaml_fail_key(rd->ctx, where, BL_NOT_FOUND, "unknown layer '%.64s'%s; 'list layers' shows all", type,
                             bli_hint(type, names, count, hint, sizeof hint));
}

static const bli_layer_use *find_use(const bl_recipe *r, const char *name)
{
    for (int i = 0; i < r->num_layers; i++)
        if (strcmp(r->layers[i].name, name) == 0)
            return &r->layers[i];
    return NULL;
}

static bl_status check_name(const reading *rd, const bli_layer_use *use)
{
    const char *c = use->name;
    for (; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' ||
              *c == '-'))
            break;
    if (*c || c == use->name || c - use->name > 100)
        return bli_yaml_fail(rd->ctx, use->where, BL_BAD_VALUE,
                             "layer name '%.64s' (expected 1 to 100 letters, digits, _ and -)", use->name);
    const bli_layer_use *twin = find_use(rd->r, use->name);
    if (twin)
        return bli_yaml_fail(rd->ctx, use->where, BL_BAD_MODEL, "layer name '%s' is taken by %s in line %d", use->name,
                             twin->layer->type, twin->where->line);
    return BL_OK;
}

/* "<word><number>" or, number 0, "<word>"; then the suffix. */
static bl_status make_name(const reading *rd, const char **out, const char *word, int number, const char *suffix)
{
    char name[512], digits[16] = "";
    if (number > 0)
        snprintf(digits, sizeof digits, "_%d", number);
    snprintf(name, sizeof name, "%.200s%s%.200s", word, digits, suffix);
    *out = bli_arena_strdup(rd->r->arena, name);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status name_layer(const reading *rd, bli_layer_use *use)
{
    if (use->options.name) {
        use->base = use->options.name;
        return make_name(rd, &use->name, use->base, 0, rd->suffix);
    }
    for (int i = 1;; i++) {
        BLI_TRY(make_name(rd, &use->name, use->layer->stem, i, ""));
        use->base = use->name;
        if (!find_use(rd->r, use->name))
            return BL_OK;
    }
}

/* A reference names an earlier layer: in a Repeat, first one of the same round. */
static bl_status resolve(const reading *rd, const bli_layer_use *use, const char **ref)
{
    char name[256];
    snprintf(name, sizeof name, "%.100s%s", *ref, rd->suffix);
    const bli_layer_use *to = find_use(rd->r, name);
    if (!to)
        to = find_use(rd->r, *ref);
    if (to) {
        *ref = to->name;
        return BL_OK;
    }
    const char **names = bli_alloc_array(rd->ctx, (size_t)rd->r->num_layers + 1, sizeof *names);
    if (!names)
        return BL_NO_MEMORY;
    for (int i = 0; i < rd->r->num_layers; i++)
        names[i] = rd->r->layers[i].base;
    char hint[160];
    bl_status s = bli_yaml_fail(rd->ctx, use->where, BL_NOT_FOUND, "layer '%s': no layer '%.64s' before it%s",
                                use->name, *ref, bli_hint(*ref, names, (size_t)rd->r->num_layers, hint, sizeof hint));
    bli_free(rd->ctx, names);
    return s;
}

static bl_status check_inputs(const reading *rd, bli_layer_use *use)
{
    bli_texts *in = &use->options.inputs;
    for (int i = 0; i < in->count; i++)
        BLI_TRY(resolve(rd, use, &in->at[i]));
    int count = in->count ? in->count : use->layer->max_inputs ? 1 : 0;
    if (count < use->layer->min_inputs || count > use->layer->max_inputs)
        return bli_yaml_fail(rd->ctx, use->where, BL_BAD_MODEL, "layer '%s': %s takes %d to %d inputs, not %d",
                             use->name, use->layer->type, use->layer->min_inputs, use->layer->max_inputs, count);
    if (!use->layer->build && rd->r->num_layers > 0)
        return bli_yaml_fail(rd->ctx, use->where, BL_BAD_MODEL, "Input comes first, and once");
    return BL_OK;
}

/* {units: 64}, or 64 alone for the layer's first key, or nothing. */
static bl_status read_options(const reading *rd, const bli_layer *layer, const bli_yaml *n, bli_layer_use *use)
{
    const bli_key wrap[] = {{.name = layer->type, .type = BLI_KEY_MAP, .keys = layer->keys, .brief = true},
                            {.name = NULL}};
    if (!n || n->kind == BLI_YAML_MAP || n->kind == BLI_YAML_NULL)
        return bli_keys_read(rd->r->arena, layer->keys,
                             n && n->kind == BLI_YAML_MAP ? n
                                                          : &(bli_yaml){.kind = BLI_YAML_MAP,
                                                                        .origin = use->where->origin,
                                                                        .line = use->where->line,
                                                                        .key = layer->type,
                                                                        .text = "",
                                                                        .parent = use->where->parent},
                             &use->options);
    return bli_keys_read(rd->r->arena, wrap, n->parent, &use->options);
}

static bl_status read_format(const reading *rd, const bli_yaml *n, bli_layer_use *use)
{
    bli_format_use *format = bli_arena_alloc(rd->r->arena, sizeof *format);
    if (!format)
        return BL_NO_MEMORY;
    use->options.quantize = format;
    return bli_format_use_read(rd->ctx, rd->r->arena, n, bli_place_find_name("activation"), format);
}

static bl_status read_quantize(const reading *rd, const bli_yaml *n, bli_layer_use *use)
{
    const bli_yaml *name = bli_yaml_find(n, "name"), *input = bli_yaml_find(n, "input");
    if (name && name->kind == BLI_YAML_SCALAR)
        use->options.name = name->text;
    if (input && input->kind == BLI_YAML_SCALAR)
        use->options.inputs = (bli_texts){1, {input->text}};
    if (!n || n->kind == BLI_YAML_NULL)
        return bli_yaml_fail(rd->ctx, use->where, BL_BAD_MODEL, "Quantize needs a format or a quantizer");
    return read_format(rd, n, use);
}

/* activation: "quantized_relu(6,2)" is a quantizer, not a function. */
static bl_status read_activation(const reading *rd, const bli_yaml *n, bli_layer_use *use)
{
    if (!use->options.activation || !strchr(use->options.activation, '('))
        return BL_OK;
    use->options.activation = NULL;
    return read_format(rd, n->kind == BLI_YAML_MAP ? bli_yaml_find(n, "activation") : n, use);
}

static bl_status read_layer(const reading *rd, const bli_layer *layer, const bli_yaml *where, const bli_yaml *options)
{
    bl_recipe *r = rd->r;
    if (r->num_layers >= BLI_MAX_LAYERS)
        return bli_yaml_fail(rd->ctx, where, BL_LIMIT, "more than %d layers", BLI_MAX_LAYERS);
    bli_layer_use *use = &r->layers[r->num_layers];
    *use = (bli_layer_use){.layer = layer, .where = where};
    if (layer->keys)
        BLI_TRY(read_options(rd, layer, options, use));
    if (layer->keys)
        BLI_TRY(read_activation(rd, options, use));
    else
        BLI_TRY(read_quantize(rd, options, use));
    BLI_TRY(name_layer(rd, use));
    BLI_TRY(check_name(rd, use));
    BLI_TRY(check_inputs(rd, use));
    r->num_layers++;
    return BL_OK;
}

static bl_status read_list(const reading *rd, const bli_yaml *list);

static bl_status read_repeat(const reading *rd, const bli_yaml *n)
{
    bli_layer_options o = {0};
    if (n->kind != BLI_YAML_MAP)
        return bli_yaml_fail(rd->ctx, n, BL_BAD_MODEL, "Repeat is {times: N, layers: [...]}");
    BLI_TRY(bli_keys_read(rd->r->arena, repeat_keys, n, &o));
    for (int i = 1; i <= o.times; i++) {
        reading inner = *rd;
        BLI_TRY(make_name(rd, &inner.suffix, rd->suffix, i, ""));
        BLI_TRY(read_list(&inner, o.layers));
    }
    return BL_OK;
}

/* "Flatten", or a map of one key. */
static bl_status read_item(const reading *rd, const bli_yaml *item)
{
    const bli_yaml *inside = item->kind == BLI_YAML_MAP ? item->first : NULL;
    if (item->kind != BLI_YAML_SCALAR && (!inside || item->count != 1))
        return bli_yaml_fail(rd->ctx, item, BL_BAD_MODEL,
                             "a layer is a name, or one name with its options: - Dense: {units: 64}");
    const char *type = inside ? inside->key : item->text;
    if (inside && strcmp(type, "Repeat") == 0)
        return read_repeat(rd, inside);
    const bli_layer *layer = bli_layer_find(type);
    if (!layer)
        return fail_type(rd, inside ? inside : item, type);
    return read_layer(rd, layer, inside ? inside : item, inside);
}

static bl_status read_list(const reading *rd, const bli_yaml *list)
{
    if (list->kind != BLI_YAML_LIST || list->count == 0)
        return bli_yaml_fail(rd->ctx, list, BL_BAD_MODEL, "%s must be a list of layers",
                             list->key ? list->key : "the network");
    for (const bli_yaml *item = list->first; item; item = item->next)
        BLI_TRY(read_item(rd, item));
    return BL_OK;
}

/* How many layers the list becomes, repeats written out; stops counting above the limit. */
static int64_t count_layers(const bli_yaml *list)
{
    int64_t count = 0;
    for (const bli_yaml *item = list->first; item && count <= BLI_MAX_LAYERS; item = item->next) {
        const bli_yaml *repeat = bli_yaml_find(item, "Repeat"), *times = bli_yaml_find(repeat, "times");
        const bli_yaml *layers = bli_yaml_find(repeat, "layers");
        int64_t rounds = times ? strtol(times->text, NULL, 10) : 1;
        if (rounds < 1 || rounds > 1000)
            rounds = 1; /* read_repeat refuses it */
        count += layers ? rounds * count_layers(layers) : 1;
    }
    return count;
}

bl_status bli_network_read(bl_recipe *r)
{
    reading rd = {.r = r, .ctx = r->ctx, .suffix = ""};
    const bli_yaml *list = r->spec.network;
    int64_t count = count_layers(list);
    if (count > BLI_MAX_LAYERS)
        return bli_yaml_fail(r->ctx, list, BL_LIMIT, "more than %d layers", BLI_MAX_LAYERS);
    r->layers = bli_arena_array(r->arena, (size_t)count + 1, sizeof *r->layers);
    if (!r->layers)
        return BL_NO_MEMORY;
    return read_list(&rd, list);
}

/* ---- building --------------------------------------------------------------------------------------------------- */
static bl_status check_row(const bl_recipe *r, const bl_shape *shape, const bl_shape *row)
{
    if (bl_shape_count(shape) == bl_shape_count(row))
        return BL_OK;
    char want[128], have[128];
    bl_shape_print(shape, want, sizeof want);
    bl_shape_print(row, have, sizeof have);
    return bli_yaml_fail(r->ctx, r->layers[0].where, BL_BAD_MODEL, "Input has shape %s, a row of the data %s", want,
                         have);
}

static bl_status build_input(const bl_recipe *r, const bl_dataset *data, bl_graph *g, const char **name, int *id)
{
    bl_shape row = *bl_dataset_row_shape(data), shape = {.rank = 1};
    *name = "input";
    if (!r->layers[0].layer->build) {
        const bli_ints *given = &r->layers[0].options.shape;
        *name = r->layers[0].options.name ? r->layers[0].name : "input";
        bl_shape asked = {.rank = given->count};
        for (int i = 0; i < given->count; i++)
            asked.dim[i] = given->at[i];
        BLI_TRY(check_row(r, &asked, &row));
        row = asked;
    }
    if (row.rank + 1 > BL_MAX_RANK)
        return bli_fail(r->ctx, BL_LIMIT, "a row of rank %d (expected at most %d)", row.rank, BL_MAX_RANK - 1);
    shape.dim[0] = -1;
    for (; shape.rank <= row.rank; shape.rank++)
        shape.dim[shape.rank] = row.dim[shape.rank - 1];
    return bl_graph_add_input(g, *name, BL_F32, &shape, id);
}

static int value_of(const bl_recipe *r, const int *values, const char *name)
{
    for (int i = 0; i < r->num_layers; i++)
        if (strcmp(r->layers[i].name, name) == 0)
            return values[i];
    return -1;
}

static bl_status check_rank(const bli_build *b)
{
    int want = b->use->layer->spatial + 2;
    char shape[128];
    if (b->use->layer->spatial == 0 || b->shape->rank == want)
        return BL_OK;
    bl_shape_print(b->shape, shape, sizeof shape);
    return bli_build_fail(b, BL_BAD_MODEL, "its input has shape %s (expected %s)", shape,
                          want == 4 ? "[N, rows, columns, channels]" : "[N, length, channels]");
}

static bl_status build_layer(const bl_recipe *r, bl_graph *g, int i, int previous, int *values)
{
    const bli_layer_use *use = &r->layers[i];
    bli_build b = {.ctx = r->ctx, .g = g, .seed = r->spec.options.seed, .use = use, .o = &use->options};
    b.num_in = use->options.inputs.count ? use->options.inputs.count : 1;
    b.in[0] = previous;
    for (int k = 0; k < use->options.inputs.count; k++)
        b.in[k] = value_of(r, values, use->options.inputs.at[k]);
    bl_shape shape = bl_graph_value(g, b.in[0])->shape;
    b.shape = &shape;
    BLI_TRY(check_rank(&b));
    BLI_TRY(use->layer->build(&b));
    values[i] = b.out;
    return bli_yaml_within(r->ctx, use->where, bl_graph_infer(g));
}

static bl_status build_layers(const bl_recipe *r, bl_graph *g, int input)
{
    int *values = bli_alloc_array(r->ctx, (size_t)r->num_layers, sizeof *values);
    if (!values)
        return BL_NO_MEMORY;
    bl_status s = BL_OK;
    int last = input;
    for (int i = 0; i < r->num_layers && s == BL_OK; i++) {
        values[i] = input;
        if (r->layers[i].layer->build)
            s = build_layer(r, g, i, last, values);
        last = values[i];
    }
    if (s == BL_OK)
        s = bl_graph_set_outputs(g, &last, 1);
    bli_free(r->ctx, values);
    return s;
}

static bl_status build(const bl_recipe *r, const bl_dataset *data, bl_graph *g)
{
    const char *name;
    int input;
    BLI_TRY(build_input(r, data, g, &name, &input));
    BLI_TRY(bli_normalize_build(r, data, g, &input));
    BLI_TRY(bl_graph_infer(g));
    return build_layers(r, g, input);
}

bl_status bli_network_build(const bl_recipe *r, const bl_dataset *data, bl_graph **out)
{
    bl_graph *g;
    *out = NULL;
    BLI_TRY(bl_graph_create(r->ctx, r->spec.name, &g));
    bl_status s = build(r, data, g);
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}
