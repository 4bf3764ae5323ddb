/* manual.c: docs/recipe.md, from the tables that recipes are checked by. */
#include <stdio.h>
#include <string.h>

#include "bitlathe/list.h"
#include "train/recipe/recipe.h"

static bl_status put_key(bli_buf *out, const char *prefix, const bli_key *key)
{
    char expects[512];
    const char *fallback = key->required ? "required" : key->fallback ? key->fallback : "";
    return bli_buf_printf(out, "| `%s%s` | %s | %s | %s |\n", prefix, key->name,
                          bli_key_expects(key, expects, sizeof expects), fallback, key->help);
}

/* A table for the keys, with those of inner maps as "optimizer.lr". */
static bl_status put_keys(bli_buf *out, const char *prefix, const bli_key *keys)
{
    for (; keys->name; keys++) {
        BLI_TRY(put_key(out, prefix, keys));
        char inner[128];
        snprintf(inner, sizeof inner, "%s%s.", prefix, keys->name);
        if (keys->type == BLI_KEY_MAP)
            BLI_TRY(put_keys(out, inner, keys->keys));
    }
    return BL_OK;
}

static bl_status put_table(bli_buf *out, const char *title, const char *words, const bli_key *keys)
{
    BLI_TRY(bli_buf_printf(out, "\n## %s\n\n%s\n\n| key | value | default | |\n|---|---|---|---|\n", title, words));
    return put_keys(out, "", keys);
}

static bl_status put_layers(bli_buf *out)
{
    BLI_TRY(bli_buf_printf(
        out, "\n## Layers\n\n"
             "`network:` is a list. A layer is a name (`Flatten`), a name with options (`Dense: {units: "
             "64, name: fc1}`), or a name with\nthe first option alone (`Dense: 64`). It is fed by the layer "
             "before it, or by the one that `input:` names; joining layers take\n`inputs: [a, b]`. "
             "`Repeat: {times: 3, layers: [...]}` writes its layers out that often; names in it get `_1`, "
             "`_2`, ...\nWords, defaults and arithmetic are Keras'; images are channels-last.\n"));
    for (int i = 0; i < bli_layer_count(); i++) {
        const bli_layer *layer = bli_layer_at(i);
        BLI_TRY(bli_buf_printf(out, "\n### %s\n\n%s\n", layer->type, layer->help));
        if (!layer->keys)
            continue;
        BLI_TRY(bli_buf_printf(out, "\n| option | value | default | |\n|---|---|---|---|\n"));
        BLI_TRY(put_keys(out, "", layer->keys));
    }
    return BL_OK;
}

static bl_status put_precision(bli_buf *out)
{
    BLI_TRY(bli_buf_printf(
        out,
        "\n## Precision\n\n"
        "Three levels, the later wins: `default:` for every layer, `type:` by layer type, `name:` by layer name; each "
        "is a "
        "map from\nplaces to formats. `all`, `forward` and `step` stand for groups of places, and `default: "
        "\"fixed<16,4,RND,SAT>\"` is `default:\n{all: ...}`. A format is one text, or a map with a quantizer and its "
        "options; quote it inside of `{}`, since it has commas.\n"
        "With `widths: [4, 6, 8]` in such a map each channel has a width of its own; `widths: name.npy`, from the\n"
        "recipe's folder, gives one for each channel or element.\n\n| place | | |\n|---|---|---|\n"));
    for (int i = 0; i < bli_place_count(); i++)
        BLI_TRY(bli_buf_printf(out, "| `%s` | %s | %s |\n", bli_places[i].name,
                               bli_places[i].forward ? "forward" : "step", bli_places[i].help));
    BLI_TRY(bli_buf_printf(
        out, "\nPlaces of the step hold for weights, biases and normalisation. The scales that quantizers learn "
             "(`lsq`, `pact`) "
             "are few, become\nconstants of the model, and stay float32: a scale of some 8 bits would stray with every "
             "rounding, and all its layer with it.\n"));
    BLI_TRY(bli_buf_printf(out, "\nPlaces of the step take a format, or a map:\n\n| key | value | default | |\n"
                                "|---|---|---|---|\n"));
    BLI_TRY(put_keys(out, "", bli_step_keys));
    BLI_TRY(bli_buf_printf(
        out, "\n## Presets\n\n`precision: {preset: NAME}` puts a fragment under the recipe; what the recipe "
             "says itself wins.\n"));
    for (int i = 0; i < bli_preset_count(); i++) {
        const bli_preset *p = bli_preset_at(i);
        BLI_TRY(bli_buf_printf(out, "\n### %s\n\n%s (%s).\n\n```yaml\n%s```\n", p->name, p->help, p->paper, p->text));
    }
    return BL_OK;
}

static bl_status put_all(bli_buf *out)
{
    BLI_TRY(bli_buf_printf(
        out, "# Recipes\n\n"
             "A recipe is one YAML file that says everything about a training. It is checked whole before "
             "anything runs. `--set\ntrain.epochs=3` replaces a key from the command line; `--set "
             "network.2.Dense.units=32` one inside of a list. Paths are taken\nfrom the working directory. "
             "Anchors, aliases and tags are not used.\n\nThis page is made from the tables that recipes are "
             "checked by: `bitlathe help --recipe`.\n"));
    BLI_TRY(put_table(out, "Keys", "Keys of inner maps are written with dots.", bli_recipe_keys));
    BLI_TRY(put_layers(out));
    return put_precision(out);
}

bl_status bl_recipe_manual(bl_context *ctx, char **text)
{
    *text = NULL;
    bli_buf out;
    bli_buf_init(&out, ctx, 1 << 20);
    bl_status s = put_all(&out);
    if (s != BL_OK) {
        bli_buf_free(&out);
        return s;
    }
    *text = out.data;
    return BL_OK;
}
