/* opdef.h: what TensorFlow's registry says of an operator: arguments, attributes, state. */
#ifndef BLI_TF_OPDEF_H
#define BLI_TF_OPDEF_H

#include "model/graphdef.h"

typedef struct bli_tf_opdef {
    const char *name;
    bool stateful;
    const char *inputs, *outputs, *attrs; /* as tools/make_tf_opdefs.py says */
} bli_tf_opdef;

const bli_tf_opdef *bli_tf_opdef_find(const char *op); /* NULL: no such operator */
/* The operator of a node, or BL_BAD_MODEL with the nearest name; *def NULL when it is a function of the library. */
BL_MUST_CHECK bl_status bli_tf_opdef_of(const bli_tf_graph *g, const bli_tf_node *n, const bli_tf_opdef **def);

const BliTf__FunctionDef *bli_tf_find_function(const bli_tf_graph *g, const char *name); /* NULL: not in the library */

/* Adds the attributes that n lacks and the operator has a default for. */
BL_MUST_CHECK bl_status bli_tf_opdef_fill(bli_tf_store *s, const bli_tf_opdef *def, bli_tf_node *n);

/* BL_BAD_MODEL if n lacks an attribute that has no default. */
BL_MUST_CHECK bl_status bli_tf_opdef_check(bl_context *ctx, const bli_tf_opdef *def, const bli_tf_node *n);

/* Types of a node's arguments, one for each tensor.  Every attribute that says one must be there. */
typedef struct bli_tf_types {
    size_t count;
    int *at;
} bli_tf_types;
BL_MUST_CHECK bl_status bli_tf_node_types(const bli_tf_graph *g, const bli_tf_node *n, bli_tf_types *inputs,
                                          bli_tf_types *outputs);

/* Element `index` of the output argument of that name, as a number of the node's outputs. */
BL_MUST_CHECK bl_status bli_tf_output_port(const bli_tf_graph *g, const bli_tf_node *n, const char *name, int index,
                                           int *port);

#endif
