/* recipe.c: the public face: text, overrides, preset, tables, layers, precision; in this order. */
#include "train/recipe/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "bitlathe/model.h"

/* ---- checks across keys ---------------------------------------------------------------------------------------- */
static bl_status check_root(const bl_recipe *r)
{
    const bli_yaml *root = r->root;
    if (root->kind != BLI_YAML_MAP)
        return bli_yaml_fail(r->ctx, root, BL_BAD_FILE,
                             "a recipe is a map with the keys data, network, precision, train");
    return BL_OK;
}

static bl_status check_whole(const bl_recipe *r)
{
    const bli_recipe_spec *s = &r->spec;
    if (!bli_yaml_find(r->root, "data"))
        return bli_yaml_fail(r->ctx, r->root, BL_BAD_MODEL, "the recipe has no key 'data' (what is learnt from)");
    if (!s->network == !s->model)
        return bli_yaml_fail(r->ctx, s->network ? s->network : r->root, BL_BAD_MODEL,
                             "the recipe needs one of the keys 'network' and 'model'%s",
                             s->network ? ", not both" : "");
    const bli_yaml *normalize = bli_yaml_find(bli_yaml_find(r->root, "data"), "normalize");
    if (s->normalize.standardize && (s->normalize.scale.count || s->normalize.offset.count))
        return bli_yaml_fail(r->ctx, normalize, BL_BAD_MODEL,
                             "data.normalize has standardize and numbers; expected one or the other");
    if (s->data.separator && (!s->data.separator[0] || s->data.separator[1]))
        return bli_yaml_fail(r->ctx, bli_yaml_find(bli_yaml_find(r->root, "data"), "separator"), BL_BAD_VALUE,
                             "data.separator: '%.64s' (expected one character)", s->data.separator);
    const bli_yaml *train = bli_yaml_find(r->root, "train");
    if (s->options.slices > s->options.batch)
        return bli_yaml_fail(r->ctx, train ? train : r->root, BL_BAD_VALUE,
                             "train.slices: %d slices of a batch of %d rows; expected no more slices than rows",
                             s->options.slices, s->options.batch);
    return BL_OK;
}

/* ---- what follows from the keys ---------------------------------------------------------------------------------- */
static bl_status set_row_shape(bl_recipe *r)
{
    const bli_ints *shape = &r->spec.data.shape;
    if (!shape->count && r->num_layers && !r->layers[0].layer->build)
        shape = &r->layers[0].options.shape;
    if (!shape->count)
        return BL_OK;
    char text[BL_MAX_RANK * 24] = "";
    size_t at = 0;
    for (int i = 0; i < shape->count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%lld", i ? "x" : "", (long long)shape->at[i]);
    r->row_shape = bli_arena_strdup(r->arena, text);
    return r->row_shape ? BL_OK : BL_NO_MEMORY;
}

/* What must stay the same between a run and its resumption: everything but the names of the output files. */
static bl_status set_fingerprint(bl_recipe *r)
{
    bli_buf text;
    bli_buf_init(&text, r->ctx, 64 * BLI_YAML_MAX_SIZE);
    bl_status s = BL_OK;
    for (const bli_yaml *n = r->root->first; n && s == BL_OK; n = n->next) {
        if (strcmp(n->key, "output") == 0)
            continue;
        s = bli_buf_printf(&text, "%s:\n", n->key);
        if (s == BL_OK)
            s = bli_yaml_print(&text, n);
    }
    char hex[32];
    if (s == BL_OK)
        snprintf(hex, sizeof hex, "recipe-%016llx", (unsigned long long)bli_hash(text.data, text.size));
    bli_buf_free(&text);
    BLI_TRY(s);
    r->fingerprint = bli_arena_strdup(r->arena, hex);
    return r->fingerprint ? BL_OK : BL_NO_MEMORY;
}

static bl_status set_options(bl_recipe *r)
{
    bl_train_options *o = &r->spec.options;
    o->checkpoint = r->spec.output.checkpoint;
    o->log = r->spec.output.log;
    o->loss.class_weights = r->spec.class_weights.count ? r->spec.class_weights.at : NULL;
    BLI_TRY(bli_rules_for_step(r, &o->places, &o->num_places));
    BLI_TRY(set_row_shape(r));
    BLI_TRY(set_fingerprint(r));
    o->fingerprint = r->fingerprint;
    return BL_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static bl_status load(bl_recipe *r, const char *name, const char *text, size_t size, const char *const *overrides,
                      int count)
{
    BLI_TRY(bli_yaml_parse(r->arena, name, text, size, &r->root));
    BLI_TRY(check_root(r));
    for (int i = 0; i < count; i++) {
        BLI_TRY(bli_keys_spell_out(r->arena, bli_recipe_keys, r->root, overrides[i]));
        BLI_TRY(bli_yaml_override(r->arena, r->root, overrides[i]));
    }
    BLI_TRY(bli_preset_merge(r->ctx, r->arena, r->root));
    BLI_TRY(bli_keys_read(r->arena, bli_recipe_keys, r->root, &r->spec));
    BLI_TRY(check_whole(r));
    if (r->spec.network)
        BLI_TRY(bli_network_read(r));
    BLI_TRY(bli_precision_read(r));
    return set_options(r);
}

bl_status bl_recipe_parse(bl_context *ctx, const char *name, const char *text, size_t size,
                          const char *const *overrides, int count, bl_recipe **out)
{
    *out = NULL;
    bli_arena *arena;
    BLI_TRY(bli_arena_create(ctx, &arena));
    bl_recipe *r = bli_arena_alloc(arena, sizeof *r);
    bl_status s = r ? BL_OK : BL_NO_MEMORY;
    if (r) {
        r->ctx = ctx;
        r->arena = arena;
        s = load(r, name, text, size, overrides, count);
    }
    if (s != BL_OK) {
        bli_arena_destroy(arena);
        return s;
    }
    *out = r;
    return BL_OK;
}

bl_status bl_recipe_read(bl_context *ctx, const char *path, const char *const *overrides, int count, bl_recipe **out)
{
    char *text;
    size_t size;
    *out = NULL;
    BLI_TRY(bli_file_read(ctx, path, BLI_YAML_MAX_SIZE, &text, &size));
    bl_status s = bl_recipe_parse(ctx, path, text, size, overrides, count, out);
    bli_free(ctx, text);
    return s;
}

void bl_recipe_free(bl_recipe *r)
{
    if (!r)
        return;
    bl_graph_destroy(r->teacher);
    bli_arena_destroy(r->arena);
}

bl_status bl_recipe_print(const bl_recipe *r, char **text)
{
    *text = NULL;
    bli_buf out;
    bli_buf_init(&out, r->ctx, 64 * BLI_YAML_MAX_SIZE);
    bl_status s = bli_yaml_print(&out, r->root);
    if (s != BL_OK) {
        bli_buf_free(&out);
        return s;
    }
    *text = out.data;
    return BL_OK;
}

/* ---- use --------------------------------------------------------------------------------------------------------- */
bl_status bl_recipe_dataset(const bl_recipe *r, const char *split, bl_dataset **out)
{
    const bli_recipe_spec *s = &r->spec;
    bl_dataset_options o = {.source = s->data.source,
                            .split = split,
                            .target = s->data.target,
                            .features = s->data.features,
                            .shape = r->row_shape,
                            .regression = s->data.regression,
                            .separator = s->data.separator ? s->data.separator[0] : 0,
                            .header = s->data.header,
                            .classes = s->data.classes};
    const bli_yaml *source = bli_yaml_find(bli_yaml_find(r->root, "data"), "source");
    return bli_yaml_within(r->ctx, source, bl_dataset_open(r->ctx, &o, out));
}

/* The network's outputs must fit the data's classes or targets. */
static bl_status check_output(const bl_recipe *r, const bl_dataset *data, const bl_graph *g)
{
    const bl_value *v = bl_graph_value(g, bl_graph_output(g, 0));
    int classes = bl_dataset_classes(data), want = classes ? classes : bl_dataset_targets(data);
    const bli_yaml *where = r->num_layers ? r->layers[r->num_layers - 1].where : bli_yaml_find(r->root, "model");
    char shape[128];
    bl_shape_print(&v->shape, shape, sizeof shape);
    bool fits = v->shape.rank == 2 && v->shape.dim[1] == want;
    if (!fits && want > 0)
        return bli_yaml_fail(r->ctx, where, BL_BAD_MODEL,
                             "the network's output has shape %s, the data %d %s (expected [N, %d])", shape, want,
                             classes ? "classes" : "targets", want);
    int weights = r->spec.class_weights.count;
    if (weights && weights != classes)
        return bli_yaml_fail(
            r->ctx, bli_yaml_find(bli_yaml_find(bli_yaml_find(r->root, "train"), "loss"), "class_weights"),
            BL_BAD_MODEL, "class_weights has %d numbers (expected %d, one per class)", weights, classes);
    return BL_OK;
}

static bl_status read_teacher(bl_recipe *r)
{
    if (!r->spec.teacher || r->teacher)
        return BL_OK;
    const bli_yaml *where = bli_yaml_find(bli_yaml_find(bli_yaml_find(r->root, "train"), "loss"), "teacher");
    BLI_TRY(bli_yaml_within(r->ctx, where, bl_model_read(r->ctx, r->spec.teacher, &r->teacher)));
    r->spec.options.loss.teacher = r->teacher;
    return BL_OK;
}

bl_status bl_recipe_graph(bl_recipe *r, const bl_dataset *data, bl_graph **out)
{
    *out = NULL;
    bl_graph *g;
    BLI_TRY(read_teacher(r));
    BLI_TRY(r->spec.model ? bli_imported_build(r, data, &g) : bli_network_build(r, data, &g));
    bl_status s = bli_precision_build(r, g);
    if (s == BL_OK)
        s = bl_graph_infer(g);
    if (s == BL_OK)
        s = bl_graph_verify(g);
    if (s == BL_OK)
        s = check_output(r, data, g);
    if (s == BL_OK)
        s = bl_graph_set_meta(g, "bitlathe.loss", r->spec.options.loss.name);
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}

const bl_train_options *bl_recipe_options(const bl_recipe *r)
{
    return &r->spec.options;
}

const char *bl_recipe_output(const bl_recipe *r, const char *what)
{
    if (strcmp(what, "model") == 0)
        return r->spec.output.model;
    if (strcmp(what, "log") == 0)
        return r->spec.output.log;
    return strcmp(what, "checkpoint") == 0 ? r->spec.output.checkpoint : NULL;
}
