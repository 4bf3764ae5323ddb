/* fuzz_transforms.c: any string of transforms on any graph: a first line that says what to do, "compat " in front for
 * the original's way, then the bytes of a GraphDef.  What comes out can be written and read again, or there is a
 * message. */
#include <string.h>

#include "support/fuzz.h"

static void check_result(bl_context *ctx, const bl_graphdef *g)
{
    char *data;
    size_t size;
    bl_graphdef *again;
    if (bl_graphdef_write_memory(g, &data, &size) != BL_OK)
        return;
    if (bl_graphdef_read_memory(ctx, data, size, &again) == BL_OK) {
        fuzz_check(bl_graphdef_num_nodes(again) == bl_graphdef_num_nodes(g), "all nodes are read again");
        bl_graphdef_destroy(again);
    }
    bl_text_free(ctx, data);
}

/* The one of two names that the graph has: what names no node is refused before anything else is tried. */
static const char *name_in(const bl_graphdef *g, const char *one, const char *other)
{
    bl_graphdef_node n;
    for (size_t i = 0; bl_graphdef_node_at(g, i, &n); i++)
        if (strcmp(n.name, one) == 0 || strcmp(n.name, other) == 0)
            return strcmp(n.name, one) == 0 ? one : other;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[512];
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    bl_context *ctx;
    bl_graphdef *g;
    if (!end || (size_t)(end - data) >= sizeof line || bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    memcpy(line, data, (size_t)(end - data));
    line[end - data] = '\0';
    bl_tf_options o = {"x,input:0", "y,output:0", strncmp(line, "compat ", 7) == 0};
    if (bl_graphdef_read_memory(ctx, end + 1, size - (size_t)(end + 1 - data), &g) == BL_OK) {
        if (!o.compat) {
            o.inputs = name_in(g, "x", "input");
            o.outputs = name_in(g, "y", "output");
        }
        if (bl_tf_transform(g, line + (o.compat ? 7 : 0), &o) == BL_OK)
            check_result(ctx, g);
        else
            fuzz_check(strlen(bl_context_message(ctx)) > 0, "a failure has a message");
        bl_graphdef_destroy(g);
    }
    bl_context_destroy(ctx);
    return 0;
}
