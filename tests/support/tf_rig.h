/* tf_rig.h: a context, a store and an empty TensorFlow graph for each test of transforms, with what was logged. */
#ifndef BITLATHE_TESTS_TF_RIG_H
#define BITLATHE_TESTS_TF_RIG_H

#include "tf/transform.h"

typedef struct rig {
    bl_context *ctx;
    bool own; /* ctx goes with the rig */
    bli_tf_store *store;
    bli_tf_graph *g;
    char log[1 << 14]; /* lines; what comes behind a full one is dropped */
} rig;

/* cmocka's set-up and tear-down; *state is the rig. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* A node with T float (Placeholder: dtype) and inputs with spaces between. */
bli_tf_node *rig_add(rig *r, const char *op, const char *name, const char *inputs);

/* The same without cmocka, for graphs of one's own and where allocations fail; ctx NULL: one of its own, with a log. */
bl_status tf_rig_open(bl_context *ctx, rig *r);
void tf_rig_close(rig *r);

/* The graph's node of that name, or NULL. */
bli_tf_node *rig_find(const rig *r, const char *name);

#endif
