/* presets.c: published schemes of low-precision training, as fragments of a recipe.
 *
 * A fragment goes under the recipe: what the recipe says itself wins, key by key; an entry of a place is replaced
 * whole.  Layers that a paper leaves in float (often the first and the last) are for the recipe to name.
 */
#include <stdio.h>
#include <string.h>

#include "train/recipe/recipe.h"

static const bli_preset presets[] = {
    {"gupta16", "Gupta et al. 2015, arXiv:1502.02551", "16-bit fixed point everywhere, stochastic rounding",
     "precision:\n"
     "  default:\n"
     "    input: \"fixed<16,2,RND,SAT>\"\n"
     "    weight: \"fixed<16,2,RND,SAT>\"\n"
     "    bias: \"fixed<16,2,RND,SAT>\"\n"
     "    activation: \"fixed<16,6,STOCHASTIC,SAT>\"\n"
     "    error: \"fixed<16,2,STOCHASTIC,SAT>\"\n"
     "    gradient: \"fixed<16,2,STOCHASTIC,SAT>\"\n"
     "    moment1: \"fixed<16,2,STOCHASTIC,SAT>\"\n"
     "    update: \"fixed<16,2,STOCHASTIC,SAT>\"\n"
     "    master: \"fixed<16,2,STOCHASTIC,SAT>\"\n"
     "train:\n"
     "  optimizer: {name: sgd, lr: 0.1, momentum: 0.5}\n"
     "  loss_scale: {mode: static, scale: 128}\n"},
    {"dorefa124", "Zhou et al. 2016, arXiv:1606.06160", "DoReFa-Net: weights 1 bit, activations 2, gradients 4",
     "precision:\n"
     "  default:\n"
     "    weight: {quantizer: dorefa, bits: 1}\n"
     "    activation: {quantizer: dorefa, bits: 2}\n"
     "    error: {format: \"int<4,STOCHASTIC,SAT_SYM>\", scale: dynamic}\n"},
    {"wage2888", "Wu et al. 2018, arXiv:1802.04680", "WAGE: weights 2 bits, activations, gradients and errors 8",
     "precision:\n"
     "  default:\n"
     "    weight: {quantizer: lsq, format: \"int<2,RND_CONV,SAT_SYM>\"}\n"
     "    activation: {quantizer: lsq, format: \"int<8,RND_CONV,SAT_SYM>\"}\n"
     "    error: {format: \"fixed<8,1,RND_CONV,SAT_SYM>\", scale: dynamic}\n"
     "    gradient: {format: \"fixed<8,1,STOCHASTIC,SAT_SYM>\", scale: dynamic}\n"
     "    master: \"fixed<8,0,STOCHASTIC,SAT_SYM>\"\n"
     "train:\n"
     "  optimizer: {name: sgd, lr: 0.03, momentum: 0}\n"},
    {"fp8", "Micikevicius et al. 2022, arXiv:2209.05433", "FP8: E4M3 forward, E5M2 for gradients",
     "precision:\n"
     "  default:\n"
     "    input: \"float<e4m3>\"\n"
     "    weight: \"float<e4m3>\"\n"
     "    activation: \"float<e4m3>\"\n"
     "    error: {format: \"float<e5m2>\", scale: dynamic}\n"
     "    gradient: {format: \"float<e5m2>\", scale: dynamic}\n"},
    {"mxfp8", "OCP Microscaling Formats (MX) v1.0, 2023; arXiv:2506.08027", "MXFP8: blocks of 32 with a shared scale",
     "precision:\n"
     "  default:\n"
     "    input: \"mx<e4m3,32,RND_CONV,UP>\"\n"
     "    weight: \"mx<e4m3,32,RND_CONV,UP>\"\n"
     "    activation: \"mx<e4m3,32,RND_CONV,UP>\"\n"
     "    error: \"mx<e4m3,32,RND_CONV,UP>\"\n"
     "    gradient: \"mx<e4m3,32,RND_CONV,UP>\"\n"},
    {"int8", "Banner et al. 2018, arXiv:1805.11046; Gupta et al. 2015, arXiv:1502.02551",
     "8-bit integers forward and backward, 16-bit stochastic update",
     "precision:\n"
     "  default:\n"
     "    input: {format: \"int<8,RND_CONV,SAT>\", scale: 0.0078125}\n"
     "    weight: {format: \"int<8,RND_CONV,SAT_SYM>\", scale: auto}\n"
     "    activation: {quantizer: lsq, format: \"int<8,RND_CONV,SAT>\", scale: learned}\n"
     "    error: {format: \"int<8,STOCHASTIC,SAT_SYM>\", scale: dynamic}\n"
     "    gradient: {format: \"int<8,STOCHASTIC,SAT_SYM>\", scale: dynamic}\n"
     "    update: {format: \"int<16,STOCHASTIC,SAT_SYM>\", scale: dynamic}\n"
     "    master: \"fixed<16,2,STOCHASTIC,SAT>\"\n"},
};

int bli_preset_count(void)
{
    return (int)BLI_COUNT(presets);
}

const bli_preset *bli_preset_at(int i)
{
    return i < 0 || i >= bli_preset_count() ? NULL : &presets[i];
}

/* An entry of the precision section as a map: taken whole, since options of two quantizers do not mix. */
static bool is_entry(const bli_yaml *n)
{
    return bli_yaml_find(n, "quantizer") || bli_yaml_find(n, "format");
}

/* Everything of under that over does not say is hung into over. */
static void merge(bli_yaml *over, bli_yaml *under)
{
    if (is_entry(over) || is_entry(under))
        return;
    for (bli_yaml *n = under->first, *next; n; n = next) {
        next = n->next;
        bli_yaml *mine = bli_yaml_find(over, n->key);
        if (!mine)
            bli_yaml_put(over, n->key, n);
        else if (mine->kind == BLI_YAML_MAP && n->kind == BLI_YAML_MAP)
            merge(mine, n);
    }
}

static bl_status find_preset(bl_context *ctx, const bli_yaml *n, const bli_preset **out)
{
    const char *names[BLI_COUNT(presets)];
    for (size_t i = 0; i < BLI_COUNT(presets); i++) {
        names[i] = presets[i].name;
        if (strcmp(presets[i].name, n->text) == 0) {
            *out = &presets[i];
            return BL_OK;
        }
    }
    char hint[96];
    return bli_yaml_fail(ctx, n, BL_NOT_FOUND, "unknown preset '%.64s'%s; 'list presets' shows all", n->text,
                         bli_hint(n->text, names, BLI_COUNT(presets), hint, sizeof hint));
}

bl_status bli_preset_merge(bl_context *ctx, bli_arena *arena, bli_yaml *root)
{
    const bli_yaml *n = bli_yaml_find(bli_yaml_find(root, "precision"), "preset");
    if (!n || n->kind == BLI_YAML_NULL)
        return BL_OK;
    const bli_preset *preset = NULL;
    char origin[96];
    bli_yaml *fragment;
    BLI_TRY(find_preset(ctx, n, &preset));
    snprintf(origin, sizeof origin, "preset %s", preset->name);
    BLI_TRY(bli_yaml_parse(arena, origin, preset->text, strlen(preset->text), &fragment));
    merge(root, fragment);
    return BL_OK;
}
