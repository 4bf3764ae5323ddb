/* list.c: the library's own tables under one face.  A kind is one line here and one function that reads a table. */
#include "bitlathe/list.h"

#include <string.h>

#include "bitlathe/emit.h"
#include "bitlathe/model.h"
#include "op/quantizer.h"
#include "pass/pass.h"
#include "train/recipe/recipe.h"

static bool at_ops(int i, bl_list_entry *out)
{
    bl_op_info op;
    if (!bl_op_at(i, &op))
        return false;
    *out = (bl_list_entry){op.type, op.help, op.domain[0] ? op.domain : NULL};
    return true;
}

static bool at_quantizers(int i, bl_list_entry *out)
{
    const bli_quantizer *q = bli_quantizer_at(i);
    if (q)
        *out = (bl_list_entry){q->name, q->help, q->source};
    return q != NULL;
}

static bool at_passes(int i, bl_list_entry *out)
{
    const bli_pass *pass = bli_pass_at(i);
    if (pass)
        *out = (bl_list_entry){pass->name, pass->help, NULL};
    return pass != NULL;
}

static bool at_readers(int i, bl_list_entry *out)
{
    bl_model_info reader;
    if (!bl_reader_at(i, &reader))
        return false;
    *out = (bl_list_entry){reader.name, reader.help, NULL};
    return true;
}

static bool at_targets(int i, bl_list_entry *out)
{
    bl_emit_target target;
    if (!bl_emit_target_at(i, &target))
        return false;
    *out = (bl_list_entry){target.name, target.help, NULL};
    return true;
}

static bool at_layers(int i, bl_list_entry *out)
{
    const bli_layer *layer = bli_layer_at(i);
    if (layer)
        *out = (bl_list_entry){layer->type, layer->help, NULL};
    return layer != NULL;
}

static bool at_presets(int i, bl_list_entry *out)
{
    const bli_preset *preset = bli_preset_at(i);
    if (preset)
        *out = (bl_list_entry){preset->name, preset->help, preset->paper};
    return preset != NULL;
}

static bool at_places(int i, bl_list_entry *out)
{
    if (i < 0 || i >= bli_place_count())
        return false;
    *out = (bl_list_entry){bli_places[i].name, bli_places[i].help, NULL};
    return true;
}

static bool at_table(const bl_list_entry *table, size_t count, int i, bl_list_entry *out)
{
    if (i < 0 || (size_t)i >= count)
        return false;
    *out = table[i];
    return true;
}

static bool at_formats(int i, bl_list_entry *out)
{
    static const bl_list_entry formats[] = {
        {"fixed<W,I,Q,O>", "W bits, I of them integer, sign included; also ap_fixed", "ap_fixed"},
        {"ufixed<W,I,Q,O>", "the same without a sign; also ap_ufixed", "ap_fixed"},
        {"int<W>", "codes -2^(W-1) .. 2^(W-1)-1 times a scale; Q and O may follow", NULL},
        {"uint<W>", "codes 0 .. 2^W-1 times a scale; Q and O may follow", NULL},
        {"affine<W>", "codes with a real scale and a zero point; affine<W,signed>", "ONNX QuantizeLinear"},
        {"binary", "-1 and +1 times a scale", NULL},
        {"ternary", "-1, 0 and +1 times a scale", NULL},
        {"po2<W>", "sign and power of two", NULL},
        {"float<eEmM>", "a minifloat: float<e4m3>, float<e5m2>, float<e2m1>, ...", "OCP OFP8; IEEE 754"},
        {"bfloat16", "8 bits of exponent, 7 of mantissa; for training only", NULL},
        {"float16", "IEEE half precision; for training only", "IEEE 754"},
        {"mx<elem,K>", "blocks of K elements with one power-of-two scale", "OCP MX v1.0"},
        {"float32", "the carrier itself: no quantizer", "IEEE 754"},
    };
    return at_table(formats, BLI_COUNT(formats), i, out);
}

static bool at_roundings(int i, bl_list_entry *out)
{
    static const bl_list_entry roundings[] = {
#define ROUNDING(name, text) {#name, text, NULL},
        BL_ROUNDING_LIST(ROUNDING)
#undef ROUNDING
    };
    return at_table(roundings, BLI_COUNT(roundings), i, out);
}

static bool at_overflows(int i, bl_list_entry *out)
{
    static const bl_list_entry overflows[] = {
#define OVERFLOW(name, text) {#name, text, NULL},
        BL_OVERFLOW_LIST(OVERFLOW)
#undef OVERFLOW
    };
    return at_table(overflows, BLI_COUNT(overflows), i, out);
}

/* The words that a key of the recipe takes. */
static const bli_key *find_word_key(const char *path[])
{
    const bli_key *keys = bli_recipe_keys, *found = NULL;
    for (; *path; path++) {
        for (found = keys; found->name && strcmp(found->name, *path) != 0; found++)
            ;
        if (!found->name)
            return NULL;
        keys = found->keys;
    }
    return found;
}

static bool at_words(const char *section, int i, bl_list_entry *out)
{
    const bli_key *key = find_word_key((const char *[]){"train", section, "name", NULL});
    for (int k = 0; key && key->words[k]; k++) {
        if (k != i)
            continue;
        *out = (bl_list_entry){key->words[k], key->help, NULL};
        return true;
    }
    return false;
}

static bool at_optimizers(int i, bl_list_entry *out)
{
    return at_words("optimizer", i, out);
}

static bool at_schedules(int i, bl_list_entry *out)
{
    return at_words("schedule", i, out);
}

static bool at_losses(int i, bl_list_entry *out)
{
    return at_words("loss", i, out);
}

static bool at_initializers(int i, bl_list_entry *out)
{
    for (int k = 0; i >= 0 && bli_initializer_words[k]; k++) {
        if (k != i)
            continue;
        *out = (bl_list_entry){bli_initializer_words[k], "first values of weights", NULL};
        return true;
    }
    return false;
}

static const struct kind {
    const char *name, *help;
    bool (*at)(int i, bl_list_entry *out);
} kinds[] = {
    {"ops", "operators that a model may hold", at_ops},
    {"layers", "layers that a recipe may name", at_layers},
    {"formats", "number formats", at_formats},
    {"roundings", "Q of a format", at_roundings},
    {"overflows", "O of a format", at_overflows},
    {"quantizers", "what brings values into a format while training", at_quantizers},
    {"passes", "what changes a graph into another", at_passes},
    {"readers", "files that models are read from", at_readers},
    {"targets", "sources that a model is emitted as", at_targets},
    {"places", "where precision may drop", at_places},
    {"presets", "published schemes of low-precision training", at_presets},
    {"optimizers", "train.optimizer", at_optimizers},
    {"schedules", "train.schedule", at_schedules},
    {"losses", "train.loss", at_losses},
    {"initializers", "initializer of a layer", at_initializers},
};

bool bl_list_kind(int i, bl_list_entry *out)
{
    if (i < 0 || (size_t)i >= BLI_COUNT(kinds))
        return false;
    *out = (bl_list_entry){kinds[i].name, kinds[i].help, NULL};
    return true;
}

bool bl_list_at(const char *kind, int i, bl_list_entry *out)
{
    for (size_t k = 0; k < BLI_COUNT(kinds); k++)
        if (strcmp(kinds[k].name, kind) == 0)
            return kinds[k].at(i, out);
    return false;
}

const char *bl_nearest(const char *name, const char *const *candidates, size_t count)
{
    return bli_nearest(name, candidates, count);
}
