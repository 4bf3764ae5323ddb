/* fuzz_to_graph.c: any graph of TensorFlow: it equals itself, has a summary, and what becomes a model of ours is a good
 * one.
 *
 * A few bytes may claim large constants, so memory is bounded here.
 */
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

enum { MOST_BYTES = 1 << 26 };

static void *resize(void *user, void *ptr, size_t old_size, size_t new_size)
{
    size_t *used = user;
    if (new_size > old_size && (new_size > MOST_BYTES || *used - old_size > MOST_BYTES - new_size))
        return NULL;
    void *p = new_size ? realloc(ptr, new_size) : NULL;
    if (new_size && !p)
        return NULL;
    if (!new_size)
        free(ptr);
    *used += new_size - old_size;
    return p;
}

static void check(bl_context *ctx, const bl_graphdef *g)
{
    const bl_graphdef_cut all = {NULL, NULL, NULL};
    bl_graphdef_summary *summary;
    char *difference;
    bl_graph *model;
    if (bl_graphdef_compare(g, g, 0, &difference) == BL_OK)
        fuzz_check(difference == NULL, "a graph equals itself");
    if (bl_graphdef_summarize(g, &summary) == BL_OK)
        fuzz_check(bl_graphdef_summary_get(summary)->num_inputs <= bl_graphdef_num_nodes(g), "inputs are nodes");
    bl_graphdef_summary_destroy(summary);
    if (bl_graphdef_to_graph(g, &all, &model) == BL_OK)
        fuzz_check(bl_graph_verify(model) == BL_OK, "a converted graph is a good one");
    else
        fuzz_check(model == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no graph");
    bl_graph_destroy(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used = 0;
    const bl_allocator allocator = {resize, &used};
    bl_context *ctx;
    bl_graphdef *g;
    if (bl_context_create(&allocator, &ctx) != BL_OK)
        return 0;
    if (bl_graphdef_read_memory(ctx, data, size, &g) == BL_OK)
        check(ctx, g);
    bl_graphdef_destroy(g);
    bl_context_destroy(ctx);
    return 0;
}
