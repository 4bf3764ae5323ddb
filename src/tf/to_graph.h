/* to_graph.h (internal): TensorFlow's operators become ours, node by node. */
#ifndef BLI_TF_TO_GRAPH_H
#define BLI_TF_TO_GRAPH_H

#include "graph/graph.h"
#include "model/graphdef.h"

/* One conversion.  Nodes come in an order in which what they read is there already. */
typedef struct bli_tf_door {
    bl_context *ctx;
    bli_tf_store *store;
    const bli_tf_index *ix;
    const bool *fed, *kept; /* one per node: an input of the new graph; wanted by its name */
    bl_graph *out;
} bli_tf_door;

/* Adds what stands for n; its value has n's name.  BL_UNSUPPORTED for what has no words here. */
BL_MUST_CHECK bl_status bli_tf_door_node(const bli_tf_door *d, const bli_tf_node *n);
/* The value that an input string names; constants are added when they are first read. */
BL_MUST_CHECK bl_status bli_tf_door_value(const bli_tf_door *d, const char *input, int *id);
/* Nodes that hand on their input and that nobody wants by name are looked through; the string of what they hand on. */
const char *bli_tf_door_source(const bli_tf_door *d, const char *input);

#endif
