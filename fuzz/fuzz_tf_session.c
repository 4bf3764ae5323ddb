/* fuzz_tf_session.c: any bytes as a TensorFlow graph that is run: every node in turn, alone, with its placeholders fed
 * by a small tensor.  Memory is short on purpose, so that a graph that asks for much is refused and not waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

enum { MEMORY = 1 << 24, NODES = 24, FEED = 4 * 4 * 2, STEPS = 2000 };

/* A loop without end ends like this. */
typedef struct patience {
    bl_context *ctx;
    int steps;
} patience;

static void on_node(void *user, const char *name, const char *op, int64_t nanoseconds, size_t bytes,
                    const bl_tensor *out)
{
    patience *p = user;
    (void)name, (void)op, (void)nanoseconds, (void)bytes, (void)out;
    if (++p->steps == STEPS)
        bl_context_interrupt(p->ctx);
}

static void *resize(void *user, void *ptr, size_t old_size, size_t new_size)
{
    size_t *left = user;
    if (new_size > old_size && new_size - old_size > *left)
        return NULL;
    *left += old_size - new_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    void *p = realloc(ptr, new_size);
    if (!p)
        *left -= old_size - new_size;
    return p;
}

static size_t feed_placeholders(const bl_graphdef *g, const bl_tensor *x, bl_npz_entry feeds[NODES])
{
    bl_graphdef_node n;
    size_t count = 0;
    for (size_t i = 0; i < bl_graphdef_num_nodes(g) && count < NODES; i++)
        if (bl_graphdef_node_at(g, i, &n) && strncmp(n.op, "Placeholder", 11) == 0)
            feeds[count++] = (bl_npz_entry){n.name, *x};
    return count;
}

static void run_nodes(bl_context *ctx, const bl_graphdef *g, bl_tf_session *s)
{
    float data[FEED];
    bl_npz_entry feeds[NODES];
    bl_graphdef_node n;
    const bl_tensor x = {BL_F32, {4, {1, 4, 4, 2}}, data};
    for (int i = 0; i < FEED; i++)
        data[i] = (float)i - 10;
    const size_t count = feed_placeholders(g, &x, feeds);
    for (size_t i = 0; i < NODES && bl_graphdef_node_at(g, i, &n); i++) {
        bl_tensor y;
        patience p = {ctx, 0};
        bl_tf_session_watch(s, on_node, &p);
        const bl_status status = bl_tf_session_run(s, feeds, count, &n.name, 1, &y);
        fuzz_check(status == BL_OK || strlen(bl_context_message(ctx)) > 0, "a failure has a message");
        fuzz_check(status == BL_OK || y.data == NULL, "a failure leaves nothing");
        bl_tensor_free(ctx, &y);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t left = MEMORY;
    const bl_allocator allocator = {resize, &left};
    bl_context *ctx;
    bl_graphdef *g;
    bl_tf_session *s;
    if (bl_context_create(&allocator, &ctx) != BL_OK)
        return 0;
    if (bl_graphdef_read_memory(ctx, data, size, &g) == BL_OK) {
        if (bl_tf_session_create(g, &s) == BL_OK) {
            run_nodes(ctx, g, s);
            bl_tf_session_destroy(s);
        }
        bl_graphdef_destroy(g);
    }
    bl_context_destroy(ctx);
    fuzz_check(left == MEMORY, "all memory is given back");
    return 0;
}
