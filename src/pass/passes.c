/* passes.c: the table of passes. */
#include <string.h>

#include "pass/pass.h"

static const bli_pass passes[] = {
    {"channels_last", "images from [N, C, H, W] to [N, H, W, C], Transposes cancelled", bli_pass_channels_last},
    {"channels_first", "images from [N, H, W, C] to [N, C, H, W], Transposes cancelled", bli_pass_channels_first},
    {"spell_quant", "Quantize nodes in QONNX's and ONNX's own words", bli_pass_spell_quant},
    {"find_quant", "the reverse: our metadata's Quantize nodes in place of their spelling", bli_pass_find_quant},
    {"fold_constants", "nodes of constants only become constants", bli_pass_fold_constants},
    {"fold_batch_norm", "batch normalisation into the layer before, as trained (rounds differently)",
     bli_pass_fold_batch_norm},
    {"spell_batch_norm", "scale and offset on their grids in place of a batch normalisation's formats",
     bli_pass_spell_batch_norm},
    {"remove_identity", "Identity nodes and Reshapes and Transposes that change nothing", bli_pass_remove_identity},
    {"dead_code", "nodes that no output needs", bli_pass_dead_code},
    {"gemm_to_matmul", "Gemm as MatMul and Add", bli_pass_gemm_to_matmul},
    {"drop_dropout", "Dropout nodes, which do nothing in evaluation", bli_pass_drop_dropout},
};

const bli_pass *bli_pass_at(int i)
{
    return i >= 0 && i < (int)BLI_COUNT(passes) ? &passes[i] : NULL;
}

bl_status bli_pass_run(bl_graph *g, const char *name)
{
    bl_context *ctx = bl_graph_context(g);
    const char *names[BLI_COUNT(passes)];
    for (size_t i = 0; i < BLI_COUNT(passes); i++) {
        names[i] = passes[i].name;
        if (strcmp(names[i], name) != 0)
            continue;
        bl_status s = passes[i].run(g);
        if (s == BL_OK && bli_debug_build)
            s = bl_graph_verify(g);
        return bli_within(ctx, s, "pass %s", name);
    }
    const char *nearest = bli_nearest(name, names, BLI_COUNT(names));
    return bli_fail(ctx, BL_NOT_FOUND, "no pass '%s'%s%s", name, nearest ? "; did you mean " : "",
                    nearest ? nearest : "");
}
