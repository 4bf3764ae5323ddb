/* fuzz_graph.c: any bytes as the text form of a graph: what parses prints, and the print is a fixed point. */
#include <string.h>

#include "support/fuzz.h"

static void check(bl_context *ctx, bl_graph *g)
{
    char *text, *second;
    bl_graph *again;
    if (bl_graph_print(g, &text) != BL_OK)
        return;
    bl_status s = bl_graph_parse(ctx, text, strlen(text), &again);
    fuzz_check(s == BL_OK || s == BL_NO_MEMORY, "a printed graph parses");
    if (s == BL_OK && bl_graph_print(again, &second) == BL_OK) {
        fuzz_check(strcmp(text, second) == 0, "printing what was parsed prints the same");
        bl_text_free(ctx, second);
    }
    bl_graph_destroy(again);
    bl_text_free(ctx, text);
    if (bl_graph_infer(g) == BL_OK)
        fuzz_check(bl_graph_verify(g) == BL_OK, "an inferred graph is a good one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_graph *g;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    if (bl_graph_parse(ctx, (const char *)data, size, &g) == BL_OK)
        check(ctx, g);
    else
        fuzz_check(g == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no graph");
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
    return 0;
}
