/* to_graph.h (internal): TensorFlow's operators become ours, node by node. */
#ifndef BLI_TF_TO_GRAPH_H
#define BLI_TF_TO_GRAPH_H

#include "graph/graph.h"
#include "model/graphdef.h"
#include "tf/session.h"

/* One conversion.  Nodes come in an order in which what they read is there already. */
typedef struct bli_tf_door {
    bl_context *ctx;
    bli_tf_store *store;
    const bli_tf_index *ix;
    const bool *fed, *kept; /* one per node: an input of the new graph; wanted by its name */
    bl_graph *out;
    bool *seen; /* to_graph_constant.c's, NULL at first */
    size_t *stack;
} bli_tf_door;

/* Whether an operator has a counterpart. */
bool bli_tf_door_knows(const char *op);
/* Node `at`, whose operator has none, as a constant if it depends on constants alone; *done: it did. */
BL_MUST_CHECK bl_status bli_tf_door_compute(bli_tf_door *d, size_t at, bool *done);
/* What `input` names, which has to depend on constants alone. */
BL_MUST_CHECK bl_status bli_tf_door_tensor(bli_tf_door *d, const char *input, bli_tf_tensor *t);
/* A constant of n's name. */
BL_MUST_CHECK bl_status bli_tf_door_add_tensor(const bli_tf_door *d, const bli_tf_node *n, int dtype,
                                               const bl_shape *shape, const void *data);
/* Adds what stands for n; its value has n's name.  BL_UNSUPPORTED for what has no words here. */
BL_MUST_CHECK bl_status bli_tf_door_node(bli_tf_door *d, const bli_tf_node *n);
/* The value that an input string names; constants are added when they are first read. */
BL_MUST_CHECK bl_status bli_tf_door_value(const bli_tf_door *d, const char *input, int *id);
/* Nodes that hand on their input and that nobody wants by name are looked through; the string of what they hand on. */
const char *bli_tf_door_source(const bli_tf_door *d, const char *input);

#endif
