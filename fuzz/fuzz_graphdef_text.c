/* fuzz_graphdef_text.c: any text as a TensorFlow graph: what is accepted is printed, and reads and prints the same; by
 * way of the binary form it is the same text too. */
#include <string.h>

#include "support/fuzz.h"

/* The text of what these bytes are; NULL: memory was short. */
static char *text_of(bl_context *ctx, const char *data, size_t size, const char *what)
{
    bl_graphdef *g;
    char *text = NULL;
    bl_status s = bl_graphdef_read_memory(ctx, data, size, &g);
    fuzz_check(s == BL_OK || s == BL_NO_MEMORY || s == BL_LIMIT, what);
    if (s == BL_OK && bl_graphdef_print(g, &text) != BL_OK)
        text = NULL;
    bl_graphdef_destroy(g);
    return text;
}

static void check(bl_context *ctx, bl_graphdef *g)
{
    char *text, *binary, *again;
    size_t size;
    if (bl_graphdef_print(g, &text) != BL_OK)
        return;
    again = text_of(ctx, text, strlen(text), "a printed graph is read");
    fuzz_check(!again || strcmp(text, again) == 0, "printed, read and printed is the same");
    bl_text_free(ctx, again);
    if (bl_graphdef_write_memory(g, &binary, &size) == BL_OK) {
        again = text_of(ctx, binary, size, "a written graph is read");
        fuzz_check(!again || strcmp(text, again) == 0, "the binary form has the same text");
        bl_text_free(ctx, again);
        bl_text_free(ctx, binary);
    }
    bl_text_free(ctx, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_graphdef *g;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    if (bl_graphdef_read_memory(ctx, data, size, &g) == BL_OK)
        check(ctx, g);
    else
        fuzz_check(g == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no graph");
    bl_graphdef_destroy(g);
    bl_context_destroy(ctx);
    return 0;
}
