/* tf_run.c: runs a frozen TensorFlow graph for the tests that are scripts: npy files in, npy files out.
 *
 * Usage: tool_tf_run GRAPH.pb [--plain] [FEED=IN.npy]... -- [FETCH=OUT.npy]...
 * Codes (quint8, qint32) are written as the whole numbers that they are.
 */
#include <stdio.h>
#include <string.h>

#include "bitlathe/tensor.h"
#include "tf/session.h"

enum { MOST = 64 };

typedef struct pairs {
    size_t count;
    char *name[MOST];
    const char *file[MOST];
} pairs;

static bool add_pair(pairs *p, char *arg)
{
    char *equals = strchr(arg, '=');
    if (!equals || p->count == MOST)
        return false;
    *equals = '\0';
    p->name[p->count] = arg;
    p->file[p->count++] = equals + 1;
    return true;
}

static int tf_type(bl_dtype t)
{
    static const int types[] = {BLI_DT_FLOAT, BLI_DT_INT32, BLI_DT_INT64, BLI_DT_UINT8, BLI_DT_BOOL, BLI_DT_DOUBLE};
    for (size_t i = 0; i < BLI_COUNT(types); i++)
        if (bli_tf_store_type(types[i]) == t)
            return types[i];
    return BLI_DT_INVALID;
}

static bl_status run(bl_context *ctx, const bli_tf_graph *g, bool plain, const pairs *feeds, const pairs *fetches)
{
    bli_tf_session *s = NULL;
    bl_tensor in[MOST] = {{0}};
    bli_tf_feed feed[MOST];
    bli_tf_array out[MOST] = {{0}};
    bl_status status = bli_tf_session_create(g, &(bli_tf_session_options){.plain = plain}, &s);
    for (size_t i = 0; status == BL_OK && i < feeds->count; i++) {
        status = bl_npy_read(ctx, feeds->file[i], &in[i]);
        feed[i] = (bli_tf_feed){feeds->name[i], {tf_type(in[i].type), in[i].shape, in[i].data, NULL}};
    }
    if (status == BL_OK)
        status = bli_tf_session_run(s, feed, feeds->count, (const char *const *)fetches->name, fetches->count, out);
    for (size_t i = 0; status == BL_OK && i < fetches->count; i++) {
        const bl_tensor t = {bli_tf_store_type(out[i].dtype), out[i].shape, out[i].data};
        status = bl_npy_write(ctx, fetches->file[i], &t);
    }
    for (size_t i = 0; i < fetches->count; i++)
        bli_tf_array_release(&out[i]);
    for (size_t i = 0; i < feeds->count; i++)
        bl_tensor_free(ctx, &in[i]);
    bli_tf_session_destroy(s);
    return status;
}

int main(int argc, char **argv)
{
    bl_context *ctx;
    bli_tf_store *store = NULL;
    bli_tf_graph *g;
    pairs feeds = {0}, fetches = {0}, *to = &feeds;
    bool plain = false, good = argc > 1;
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--plain") == 0)
            plain = true;
        else if (strcmp(argv[i], "--") == 0)
            to = &fetches;
        else
            good = good && add_pair(to, argv[i]);
    if (!good || bl_context_create(NULL, &ctx) != BL_OK)
        return 2;
    bl_status status = bli_tf_store_create(ctx, &store);
    if (status == BL_OK)
        status = bli_tf_graph_read(store, argv[1], &g);
    if (status == BL_OK)
        status = run(ctx, g, plain, &feeds, &fetches);
    if (status != BL_OK)
        fprintf(stderr, "%s\n", bl_context_message(ctx));
    bli_tf_store_destroy(store);
    bl_context_destroy(ctx);
    return status == BL_OK ? 0 : 1;
}
