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

int rig_set_up(void **state)
{
    rig *r = calloc(1, sizeof *r);
    *state = r;
    const bool there = r && bl_context_create(NULL, &r->ctx) == BL_OK &&
                       bli_tf_store_create(r->ctx, &r->store) == BL_OK && (r->g = bli_tf_graph_make(r->store));
    if (there)
        bl_context_set_log(r->ctx, on_log, r);
    return there ? 0 : -1;
}

int rig_tear_down(void **state)
{
    rig *r = *state;
    bli_tf_store_destroy(r->store);
    bl_context_destroy(r->ctx);
    free(r);
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
