/* format_use.c: one entry of the precision section, from YAML.
 *
 * A forward place ("fixed<6,1>", "quantized_bits(4,0)", {quantizer: lsq, format: "int<4>"}) is resolved by
 * quant/precision.h; a place of the step takes a format and how it is scaled.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "train/recipe/recipe.h"

/* Keys that belong to the layer when an entry stands in a Quantize layer. */
static bool of_layer(const bli_yaml *entry, const bli_yaml *option)
{
    bool in_layer = entry->key && strcmp(entry->key, "Quantize") == 0;
    return in_layer && (strcmp(option->key, "name") == 0 || strcmp(option->key, "input") == 0);
}

/* ---- widths ------------------------------------------------------------------------------------------------------ */
static bl_status listed_widths(bl_context *ctx, bli_arena *arena, const bli_yaml *n, bl_tensor *out)
{
    double *w = bli_arena_array(arena, (size_t)n->count + 1, sizeof *w);
    if (!w)
        return BL_NO_MEMORY;
    size_t i = 0;
    for (const bli_yaml *e = n->first; e; e = e->next) {
        char *end = NULL;
        w[i++] = e->kind == BLI_YAML_SCALAR ? strtod(e->text, &end) : 0;
        if (!end || end == e->text || *end)
            return bli_yaml_fail(ctx, e, BL_BAD_VALUE, "option widths: expected a list of whole numbers");
    }
    *out = (bl_tensor){.type = BL_F64, .shape = {1, {n->count}}, .data = w};
    return BL_OK;
}

/* A file's name, from the folder that the recipe is in unless it starts at the root. */
static bl_status beside_recipe(bl_context *ctx, const bli_yaml *n, bli_buf *path)
{
    const char *slash = n->line > 0 ? strrchr(n->origin, '/') : NULL;
    int folder = slash && n->text[0] != '/' ? (int)(slash - n->origin) + 1 : 0;
    bli_buf_init(path, ctx, 1 << 16);
    return bli_buf_printf(path, "%.*s%s", folder, n->origin, n->text);
}

static bl_status file_widths(bl_context *ctx, bli_arena *arena, const bli_yaml *n, bli_precision *p)
{
    size_t length = strlen(n->text);
    if (n->kind != BLI_YAML_SCALAR || length < 4 || strcmp(n->text + length - 4, ".npy") != 0)
        return bli_fail(ctx, BL_BAD_VALUE,
                        "option widths: expected a list of whole numbers or the name of a .npy file");
    bli_buf path;
    bl_tensor t = {0};
    bl_status s = beside_recipe(ctx, n, &path);
    if (s == BL_OK)
        s = bl_npy_read(ctx, path.data, &t);
    if (s == BL_OK)
        s = bli_within(ctx, bli_precision_set_widths(ctx, arena, &t, p), "%s", path.data);
    bl_tensor_free(ctx, &t);
    bli_buf_free(&path);
    return s;
}

static bl_status read_widths(bl_context *ctx, bli_arena *arena, const bli_yaml *n, bli_precision *p)
{
    bl_tensor t;
    if (!n || n->kind == BLI_YAML_NULL)
        return BL_OK;
    if (n->kind != BLI_YAML_LIST)
        return bli_yaml_within(ctx, n, file_widths(ctx, arena, n, p));
    BLI_TRY(listed_widths(ctx, arena, n, &t));
    return bli_yaml_within(ctx, n, bli_precision_set_widths(ctx, arena, &t, p));
}

static bl_status resolve_map(bl_context *ctx, bli_arena *arena, const bli_yaml *n, const char *place,
                             bli_precision *out)
{
    bli_precision_entry entries[BLI_PRECISION_ATTRS];
    size_t count = 0;
    for (const bli_yaml *o = n->first; o; o = o->next) {
        if (of_layer(n, o) || o->kind == BLI_YAML_NULL || strcmp(o->key, "widths") == 0)
            continue;
        if (o->kind != BLI_YAML_SCALAR)
            return bli_yaml_fail(ctx, o, BL_BAD_VALUE, "option %s: expected one value", o->key);
        if (count == BLI_PRECISION_ATTRS)
            return bli_yaml_fail(ctx, o, BL_LIMIT, "more than %d options", BLI_PRECISION_ATTRS);
        entries[count++] = (bli_precision_entry){o->key, o->text};
    }
    if (count == 0)
        return bli_yaml_fail(ctx, n, BL_BAD_VALUE, "expected a format or a quantizer");
    BLI_TRY(bli_yaml_within(ctx, n, bli_precision_resolve(ctx, arena, place, entries, count, out)));
    return read_widths(ctx, arena, bli_yaml_find(n, "widths"), out);
}

static bl_status read_forward(bl_context *ctx, bli_arena *arena, const bli_yaml *n, const char *place,
                              bli_format_use *out)
{
    bli_precision *p = bli_arena_alloc(arena, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    out->precision = p;
    if (n->kind == BLI_YAML_MAP)
        return resolve_map(ctx, arena, n, place, p);
    return bli_yaml_within(ctx, n, bli_precision_parse(ctx, arena, place, n->text, p));
}

/* ---- places of the step ------------------------------------------------------------------------------------------ */
typedef struct step_use {
    const char *format, *scale;
} step_use;
static const char *const step_scales[] = {"none", "dynamic", NULL};
const bli_key bli_step_keys[] = {{.name = "format",
                                  .type = BLI_KEY_TEXT,
                                  .required = true,
                                  .offset = offsetof(step_use, format),
                                  .help = "a format"},
                                 {.name = "scale",
                                  .type = BLI_KEY_WORD,
                                  .fallback = "none",
                                  .words = step_scales,
                                  .offset = offsetof(step_use, scale),
                                  .help = "dynamic: a power of two, so that the tensor's greatest magnitude fits"},
                                 {.name = NULL}};

static bl_status read_step(bl_context *ctx, bli_arena *arena, const bli_yaml *n, bli_format_use *out)
{
    step_use use = {.format = n->text, .scale = "none"};
    bl_format format;
    if (n->kind == BLI_YAML_MAP)
        BLI_TRY(bli_keys_read(arena, bli_step_keys, n, &use));
    BLI_TRY(bli_yaml_within(ctx, n, bl_format_parse(ctx, use.format, &format)));
    out->format = use.format;
    out->scale = use.scale;
    return BL_OK;
}

bl_status bli_format_use_read(bl_context *ctx, bli_arena *arena, const bli_yaml *n, const bli_place *place,
                              bli_format_use *out)
{
    *out = (bli_format_use){.where = n};
    char path[256];
    if (n->kind != BLI_YAML_SCALAR && n->kind != BLI_YAML_MAP)
        return bli_yaml_fail(ctx, n, BL_BAD_VALUE, "%s: expected a format such as \"fixed<8,2>\", or a map",
                             bli_yaml_path(n, path, sizeof path));
    return place->forward ? read_forward(ctx, arena, n, place->name, out) : read_step(ctx, arena, n, out);
}
