/* fuzz_graphdef.c: any bytes as a TensorFlow graph: what is accepted is written, and reads and is written the same. */
#include <string.h>

#include "support/fuzz.h"

static void check(bl_context *ctx, bl_graphdef *g)
{
    char *once, *twice;
    size_t size, size2;
    bl_graphdef *again;
    if (bl_graphdef_write_memory(g, &once, &size) != BL_OK)
        return;
    bl_status s = bl_graphdef_read_memory(ctx, once, size, &again);
    fuzz_check(s == BL_OK || s == BL_NO_MEMORY, "a written graph is read");
    if (s == BL_OK && bl_graphdef_write_memory(again, &twice, &size2) == BL_OK) {
        fuzz_check(size == size2 && memcmp(once, twice, size) == 0, "the same graph gives the same bytes");
        bl_text_free(ctx, twice);
    }
    bl_graphdef_destroy(again);
    bl_text_free(ctx, once);
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
