/* fuzz_onnx.c: any bytes as a model: what is accepted passes the verifier, can be written, and reads back the same. */
#include <string.h>

#include "support/fuzz.h"

static void check(bl_context *ctx, bl_graph *g)
{
    fuzz_check(bl_graph_verify(g) == BL_OK, "a read graph is a good one");
    char *text;
    bl_graph *again;
    if (bl_graph_print(g, &text) != BL_OK)
        return;
    bl_status s = bl_graph_parse(ctx, text, strlen(text), &again);
    fuzz_check(s == BL_OK || s == BL_NO_MEMORY, "a printed graph parses");
    bl_graph_destroy(again);
    bl_text_free(ctx, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_graph *g;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    if (bl_model_read_memory(ctx, data, size, &g) == BL_OK)
        check(ctx, g);
    else
        fuzz_check(g == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no graph");
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
    return 0;
}
