/* model_copy.c: reads models (ONNX or text form) and writes them as ONNX, pair after pair; prints what failed. */
#include <stdio.h>

#include "bitlathe/bitlathe.h"

static bl_status copy(bl_context *ctx, const char *from, const char *to)
{
    bl_graph *g;
    bl_status s = bl_model_read(ctx, from, &g);
    if (s == BL_OK)
        s = bl_model_write(g, to);
    if (s != BL_OK)
        printf("%s: %s\n", bl_status_name(s), bl_context_message(ctx));
    bl_graph_destroy(g);
    return s;
}

int main(int argc, char **argv)
{
    bl_context *ctx;
    int worst = argc > 2 ? 0 : 2;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    for (int i = 1; i + 1 < argc; i += 2)
        if (copy(ctx, argv[i], argv[i + 1]) != BL_OK)
            worst = 1;
    bl_context_destroy(ctx);
    return worst;
}
