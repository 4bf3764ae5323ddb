/* reuse.c: which reuse factors a layer can have: hls4ml's rule, the same for HLS C++ and Verilog. */
#include "emit/emit.h"

/* The multipliers divide evenly over the weights, and over outputs or turns. */
static bool is_valid(int64_t inputs, int64_t outputs, int64_t reuse)
{
    int64_t turns = inputs < reuse ? inputs : reuse, most = (inputs * outputs + turns - 1) / turns;
    return (most % outputs == 0 || reuse >= inputs) && (reuse % inputs == 0 || reuse < inputs) &&
           inputs * outputs % reuse == 0;
}

int64_t bli_reuse_nearest(int64_t inputs, int64_t outputs, int64_t wanted)
{
    int64_t most = inputs * outputs;
    for (int64_t away = 0; away < wanted || wanted + away <= most; away++) {
        if (wanted - away >= 1 && wanted - away <= most && is_valid(inputs, outputs, wanted - away))
            return wanted - away;
        if (wanted + away <= most && is_valid(inputs, outputs, wanted + away))
            return wanted + away;
    }
    return 1;
}

int64_t bli_reuse_of_layer(bl_context *ctx, const char *layer, int64_t inputs, int64_t outputs, int wanted)
{
    char name[96];
    int64_t reuse = bli_reuse_nearest(inputs, outputs, wanted);
    if (reuse != wanted)
        bli_log(ctx, BL_LOG_INFO, "layer '%s': reuse %d is not valid for %lld inputs and %lld outputs; %lld is used",
                bli_text_safe(layer, name, sizeof name), wanted, (long long)inputs, (long long)outputs,
                (long long)reuse);
    return reuse;
}
