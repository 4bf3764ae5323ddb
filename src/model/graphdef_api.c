/* graphdef_api.c: include/bitlathe/graphdef.h on a store and a graph. */
#include "bitlathe/graphdef.h"

#include "model/graphdef.h"

static bl_status make(bl_context *ctx, bl_graphdef **out)
{
    *out = bli_alloc(ctx, sizeof **out);
    if (!*out)
        return BL_NO_MEMORY;
    bl_status s = bli_tf_store_create(ctx, &(*out)->store);
    if (s != BL_OK) {
        bli_free(ctx, *out);
        *out = NULL;
    }
    return s;
}

static bl_status keep(bl_status s, bl_graphdef **g)
{
    if (s != BL_OK) {
        bl_graphdef_destroy(*g);
        *g = NULL;
    }
    return s;
}

bl_status bl_graphdef_read(bl_context *ctx, const char *path, bl_graphdef **out)
{
    BLI_TRY(make(ctx, out));
    return keep(bli_tf_graph_read((*out)->store, path, &(*out)->graph), out);
}

bl_status bl_graphdef_read_memory(bl_context *ctx, const void *data, size_t size, bl_graphdef **out)
{
    BLI_TRY(make(ctx, out));
    bl_status s = bli_tf_graph_decode((*out)->store, data, size, &(*out)->graph);
    return keep(bli_within(ctx, s, "read graph"), out);
}

bl_status bl_graphdef_write(const bl_graphdef *g, const char *path)
{
    return bli_tf_graph_write(g->graph, path);
}

bl_status bl_graphdef_write_memory(const bl_graphdef *g, char **data, size_t *size)
{
    return bli_tf_graph_encode(g->graph, data, size);
}

bl_status bl_graphdef_write_text(const bl_graphdef *g, const char *path)
{
    return bli_tf_graph_write_text(g->graph, path);
}

bl_status bl_graphdef_print(const bl_graphdef *g, char **text)
{
    size_t size;
    return bli_tf_graph_print(g->graph, text, &size);
}

void bl_graphdef_destroy(bl_graphdef *g)
{
    if (!g)
        return;
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_tf_store_destroy(g->store);
    bli_free(ctx, g);
}

size_t bl_graphdef_num_nodes(const bl_graphdef *g)
{
    return g->graph->num_nodes;
}

bool bl_graphdef_node_at(const bl_graphdef *g, size_t i, bl_graphdef_node *out)
{
    if (i >= g->graph->num_nodes)
        return false;
    const bli_tf_node *n = g->graph->nodes[i];
    *out = (bl_graphdef_node){n->name, n->op, n->device, n->num_inputs, n->inputs};
    return true;
}
