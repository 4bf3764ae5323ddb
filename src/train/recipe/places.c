/* places.c: the precision section: which format stands at which place, for everything, a layer type, or one layer.
 *
 * It is flattened into rules in the order default, type, name, groups before single places; the last rule that fits
 * wins, and hls4ml's three levels are nothing but that order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/recipe/recipe.h"

const bli_place bli_places[] = {
    {"input", true, "what goes into the network, after normalisation"},
    {"weight", true, "weights of dense and convolution layers; scale of a batch normalisation that is named"},
    {"bias", true, "biases; offset of a batch normalisation that is named"},
    {"activation", true, "outputs of activation functions, and of layers that name it"},
    {"accumulator", true, "sums of dense and convolution layers, with their bias"},
    {"error", false, "gradient of activations, passed from layer to layer"},
    {"gradient", false, "gradient of weights, summed over the batch"},
    {"moment1", false, "the optimizer's first moment (momentum)"},
    {"moment2", false, "the optimizer's second moment"},
    {"update", false, "what is added to the stored weight"},
    {"master", false, "the stored weight"},
};

int bli_place_count(void)
{
    return (int)BLI_COUNT(bli_places);
}

const bli_place *bli_place_find_name(const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(bli_places); i++)
        if (strcmp(bli_places[i].name, name) == 0)
            return &bli_places[i];
    return NULL;
}

/* Words that stand for several places. */
typedef struct group {
    const char *name;
    bool forward, step;
} group;
static const group groups[] = {{"all", true, true}, {"forward", true, false}, {"step", false, true}};

static bool group_has(const group *g, const bli_place *p)
{
    return p->forward ? g->forward : g->step;
}

/* ---- sections ---------------------------------------------------------------------------------------------------- */
typedef struct section {
    bl_recipe *r;
    const char *type, *layer;
} section;

static bl_status add_rule(const section *s, const bli_place *place, const bli_yaml *n)
{
    bl_recipe *r = s->r;
    bli_rule *rule = bli_arena_alloc(r->arena, sizeof *rule);
    if (!rule)
        return BL_NO_MEMORY;
    *rule = (bli_rule){.before = r->rules, .place = place->name, .type = s->type, .layer = s->layer};
    BLI_TRY(bli_format_use_read(r->ctx, r->arena, n, place, &rule->use));
    r->rules = rule;
    return BL_OK;
}

static bl_status fail_place(const section *s, const bli_yaml *n)
{
    const char *names[BLI_COUNT(bli_places) + BLI_COUNT(groups)];
    size_t count = 0;
    for (size_t i = 0; i < BLI_COUNT(bli_places); i++)
        names[count++] = bli_places[i].name;
    for (size_t i = 0; i < BLI_COUNT(groups); i++)
        names[count++] = groups[i].name;
    char hint[96], path[256];
    bli_yaml_path(n->parent, path, sizeof path);
    if (strchr(n->key, '>'))
        snprintf(hint, sizeof hint, " (a format with commas needs quotes inside of {})");
    else
        bli_hint(n->key, names, count, hint, sizeof hint);
    return bli_yaml_fail_key(s->r->ctx, n, BL_NOT_FOUND, "unknown place '%.64s' in %s%s", n->key, path, hint);
}

static bool known_place(const char *name)
{
    if (bli_place_find_name(name))
        return true;
    for (size_t i = 0; i < BLI_COUNT(groups); i++)
        if (strcmp(groups[i].name, name) == 0)
            return true;
    return false;
}

/* {weight: F, activation: G}; a lone format stands for all places. */
static bl_status read_places(const section *s, const bli_yaml *n)
{
    if (n->kind == BLI_YAML_NULL)
        return BL_OK;
    if (n->kind == BLI_YAML_LIST)
        return bli_yaml_fail(s->r->ctx, n, BL_BAD_VALUE, "expected formats by place: {weight: \"fixed<8,2>\"}");
    for (const bli_yaml *p = n->kind == BLI_YAML_MAP ? n->first : NULL; p; p = p->next)
        if (!known_place(p->key))
            return fail_place(s, p);
    for (size_t g = 0; g < BLI_COUNT(groups); g++) {
        const bli_yaml *use = n->kind == BLI_YAML_SCALAR && g == 0 ? n : bli_yaml_find(n, groups[g].name);
        for (size_t i = 0; use && i < BLI_COUNT(bli_places); i++)
            if (group_has(&groups[g], &bli_places[i]))
                BLI_TRY(add_rule(s, &bli_places[i], use));
    }
    for (size_t i = 0; i < BLI_COUNT(bli_places); i++) {
        const bli_yaml *use = bli_yaml_find(n, bli_places[i].name);
        if (use && use->kind != BLI_YAML_NULL)
            BLI_TRY(add_rule(s, &bli_places[i], use));
    }
    return BL_OK;
}

static bl_status need_map(const bl_recipe *r, const bli_yaml *n, const char *what)
{
    char path[256];
    if (n->kind == BLI_YAML_MAP || n->kind == BLI_YAML_NULL)
        return BL_OK;
    return bli_yaml_fail(r->ctx, n, BL_BAD_VALUE, "%s: expected a map from %s to formats by place",
                         bli_yaml_path(n, path, sizeof path), what);
}

static bl_status check_type(const bl_recipe *r, const bli_yaml *n)
{
    const char *names[128];
    size_t count = 0;
    if (bli_layer_find(n->key))
        return BL_OK;
    for (; count < (size_t)bli_layer_count() && count < BLI_COUNT(names); count++)
        names[count] = bli_layer_at((int)count)->type;
    char hint[96];
    return bli_yaml_fail_key(r->ctx, n, BL_NOT_FOUND, "unknown layer type '%.64s' in precision.type%s", n->key,
                             bli_hint(n->key, names, count, hint, sizeof hint));
}

static bl_status read_types(bl_recipe *r, const bli_yaml *types)
{
    BLI_TRY(need_map(r, types, "layer types"));
    for (const bli_yaml *n = types->first; n; n = n->next) {
        BLI_TRY(check_type(r, n));
        BLI_TRY(read_places(&(section){.r = r, .type = n->key}, n));
    }
    return BL_OK;
}

static bl_status read_names(bl_recipe *r, const bli_yaml *layers)
{
    BLI_TRY(need_map(r, layers, "layer names"));
    for (const bli_yaml *n = layers->first; n; n = n->next) {
        BLI_TRY(read_places(&(section){.r = r, .layer = n->key}, n));
    }
    return BL_OK;
}

static const bli_key precision_keys[] = {
    {.name = "preset", .type = BLI_KEY_NODE, .help = "a published scheme, under what is said here"},
    {.name = "default", .type = BLI_KEY_NODE, .help = "formats by place, for every layer"},
    {.name = "type", .type = BLI_KEY_NODE, .help = "formats by place, by layer type: {Conv2D: {weight: ...}}"},
    {.name = "name", .type = BLI_KEY_NODE, .help = "formats by place, by layer name"},
    {.name = NULL}};

bl_status bli_precision_read(bl_recipe *r)
{
    const bli_yaml *n = r->spec.precision;
    if (!n)
        return BL_OK;
    if (n->kind != BLI_YAML_MAP)
        return bli_yaml_fail(r->ctx, n, BL_BAD_VALUE,
                             "precision: expected a map with the keys preset, default, type, name");
    BLI_TRY(bli_keys_check(r->ctx, precision_keys, n));
    const bli_yaml *everywhere = bli_yaml_find(n, "default"), *types = bli_yaml_find(n, "type");
    const bli_yaml *names = bli_yaml_find(n, "name");
    if (everywhere)
        BLI_TRY(read_places(&(section){.r = r}, everywhere));
    if (types)
        BLI_TRY(read_types(r, types));
    if (names)
        BLI_TRY(read_names(r, names));
    return r->spec.network ? bli_precision_check_layers(r) : BL_OK;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */
static bool rule_fits(const bli_rule *rule, const bli_layer_use *layer)
{
    if (rule->type)
        return layer && layer->layer && strcmp(layer->layer->type, rule->type) == 0;
    if (rule->layer)
        return layer &&
               (strcmp(layer->name, rule->layer) == 0 || (layer->base && strcmp(layer->base, rule->layer) == 0));
    return true;
}

const bli_rule *bli_rule_find(const bl_recipe *r, const char *place, const bli_layer_use *layer)
{
    for (const bli_rule *rule = r->rules; rule; rule = rule->before)
        if (strcmp(rule->place, place) == 0 && rule_fits(rule, layer))
            return rule;
    return NULL;
}

static bl_status fail_layer(const bl_recipe *r, const bli_yaml *n)
{
    const char **names = bli_alloc_array(r->ctx, (size_t)r->num_layers + 1, sizeof *names);
    if (!names)
        return BL_NO_MEMORY;
    for (int i = 0; i < r->num_layers; i++)
        names[i] = r->layers[i].base;
    char hint[160];
    bl_status s = bli_yaml_fail_key(r->ctx, n, BL_NOT_FOUND, "precision.name: there is no layer '%.64s'%s", n->key,
                                    bli_hint(n->key, names, (size_t)r->num_layers, hint, sizeof hint));
    bli_free(r->ctx, names);
    return s;
}

bl_status bli_precision_check_layers(const bl_recipe *r)
{
    const bli_yaml *names = bli_yaml_find(r->spec.precision, "name");
    for (const bli_yaml *n = names ? names->first : NULL; n; n = n->next) {
        int i = 0;
        while (i < r->num_layers && strcmp(r->layers[i].name, n->key) && strcmp(r->layers[i].base, n->key))
            i++;
        if (i == r->num_layers)
            return fail_layer(r, n);
    }
    return BL_OK;
}

/* ---- the step's rules, layer by layer ---------------------------------------------------------------------------- */
static bool is_step_place(const char *name)
{
    return !bli_place_find_name(name)->forward;
}

/* How many place rules a rule becomes; writes them backwards from *end when it is given. */
static int expand(const bl_recipe *r, const bli_rule *rule, bl_place_rule **end)
{
    bl_place_rule made = {rule->place, NULL, rule->use.format, rule->use.scale};
    int count = 0;
    for (int i = r->num_layers; (rule->type || rule->layer) && i-- > 0;) {
        if (!rule_fits(rule, &r->layers[i]))
            continue;
        made.layer = r->layers[i].name;
        count++;
        if (end)
            *--*end = made;
    }
    if (rule->type || rule->layer)
        return count;
    if (end)
        *--*end = made;
    return 1;
}

bl_status bli_rules_for_step(const bl_recipe *r, const bl_place_rule **places, int *count)
{
    *count = 0;
    for (const bli_rule *rule = r->rules; rule; rule = rule->before)
        if (is_step_place(rule->place))
            *count += expand(r, rule, NULL);
    bl_place_rule *first = bli_arena_array(r->arena, (size_t)*count + 1, sizeof *first), *end = first + *count;
    if (!first)
        return BL_NO_MEMORY;
    for (const bli_rule *rule = r->rules; rule; rule = rule->before)
        if (is_step_place(rule->place))
            expand(r, rule, &end);
    *places = first;
    return BL_OK;
}
