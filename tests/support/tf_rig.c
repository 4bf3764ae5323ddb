/* tf_rig.c: what tests of transforms start from: context, store, graph, and a log kept as text. */
#include "support/tf_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

static void on_log(void *user, bl_log_level level, const char *line)
{
    rig *r = user;
    const size_t at = strlen(r->log);
    (void)level;
    snprintf(r->log + at, sizeof r->log - at, "%s\n", line);
}

bl_status tf_rig_open(bl_context *ctx, rig *r)
{
    *r = (rig){.ctx = ctx, .own = !ctx};
    if (!ctx)
        BLI_TRY(bl_context_create(NULL, &r->ctx));
    if (!ctx)
        bl_context_set_log(r->ctx, on_log, r);
    BLI_TRY(bli_tf_store_create(r->ctx, &r->store));
    r->g = bli_tf_graph_make(r->store);
    return r->g ? BL_OK : BL_NO_MEMORY;
}

void tf_rig_close(rig *r)
{
    bli_tf_store_destroy(r->store);
    if (r->own)
        bl_context_destroy(r->ctx);
}

int rig_set_up(void **state)
{
    *state = calloc(1, sizeof(rig));
    return *state && tf_rig_open(NULL, *state) == BL_OK ? 0 : -1;
}

int rig_tear_down(void **state)
{
    tf_rig_close(*state);
    free(*state);
    return 0;
}

bli_tf_node *rig_add(rig *r, const char *op, const char *name, const char *inputs)
{
    bli_tf_node *n;
    assert_ok(r->ctx, bli_tg_add_node(r->g, op, name, NULL, &n));
    while (*inputs) {
        size_t size = strcspn(inputs, " ");
        assert_ok(r->ctx, bli_tf_node_add_input(r->store, n, bli_tf_text(r->store, "%.*s", (int)size, inputs)));
        inputs += size + (inputs[size] == ' ');
    }
    assert_ok(r->ctx, bli_tg_set_type(r->store, n, strcmp(op, "Placeholder") == 0 ? "dtype" : "T", BLI_DT_FLOAT));
    return n;
}

bli_tf_node *rig_find(const rig *r, const char *name)
{
    for (size_t i = 0; i < r->g->num_nodes; i++)
        if (strcmp(r->g->nodes[i]->name, name) == 0)
            return r->g->nodes[i];
    return NULL;
}
