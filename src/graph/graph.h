/* graph.h (internal): schemas, and the edits that passes make.
 *
 * The graph room knows no operator: schemas come in through a table.  Edits leave removed nodes and unused values in
 * place, marked dead (type NULL, name NULL), until bli_graph_clean drops them and renumbers.
 */
#ifndef BLI_GRAPH_H
#define BLI_GRAPH_H

#include "base/base.h"
#include "bitlathe/graph.h"

#define BLI_DOMAIN_ONNX  ""
#define BLI_DOMAIN_QONNX "qonnx.custom_op.general"
#define BLI_DOMAIN_LAST  "qonnx.custom_op.channels_last"
#define BLI_DOMAIN_OWN   "bitlathe"

/* What inference sees of one node.  An operator's infer fills out_type and out_shape for every output and returns
 * bli_fail(..) with "attribute pads: value -1 at index 1 is negative"-like words; the caller prefixes the node. */
typedef struct bli_infer {
    bl_context *ctx;
    const bl_node *node;
    const bl_value *in[8]; /* NULL where absent */
    bl_dtype out_type[4];
    bl_shape out_shape[4];
} bli_infer;

typedef struct bli_attr_spec {
    const char *name;
    bl_attr_kind kind;
    bool required;
} bli_attr_spec;

typedef struct bli_schema {
    const char *type, *domain;
    int min_inputs, max_inputs, num_outputs; /* outputs: at most; the first is always there */
    const bli_attr_spec *attrs;              /* ends with name NULL; unknown attributes are refused */
    bl_status (*infer)(bli_infer *i);
    const char *help; /* one line for `list ops` */
} bli_schema;

/* Finds the schema of (type, domain); NULL if unknown. */
typedef const bli_schema *(*bli_schema_fn)(const char *type, const char *domain);

BL_MUST_CHECK bl_status bli_graph_infer(bl_graph *g, bli_schema_fn schemas);
BL_MUST_CHECK bl_status bli_graph_verify(const bl_graph *g, bli_schema_fn schemas);

/* ---- edits -------------------------------------------------------------------------------------------------- */
bl_value *bli_graph_value_mut(bl_graph *g, int id);
BL_MUST_CHECK bl_status bli_graph_set_attrs(bl_graph *g, int node, const bl_attr *attrs, int count);
BL_MUST_CHECK bl_status bli_graph_set_type(bl_graph *g, int node, const char *type, const char *domain);
BL_MUST_CHECK bl_status bli_graph_set_input(bl_graph *g, int node, int slot, int value); /* may append one slot */
/* Every use of value (graph outputs too) now reads other. */
void bli_graph_replace_uses(bl_graph *g, int value, int other);
void bli_graph_remove_node(bl_graph *g, int node);
bool bli_graph_node_dead(const bl_graph *g, int node);
int bli_graph_num_uses(const bl_graph *g, int value);   /* node inputs and graph outputs */
int bli_graph_first_user(const bl_graph *g, int value); /* node id, -1 if none */
/* Gives value the new name (unique), e.g. to keep an output's name after a rewrite. */
BL_MUST_CHECK bl_status bli_graph_rename_value(bl_graph *g, int value, const char *name);
/* Drops dead nodes and unused non-input values, sorts topologically (stable), renumbers.  A cycle is BL_BAD_MODEL and
 * names its nodes. */
BL_MUST_CHECK bl_status bli_graph_clean(bl_graph *g);

#endif
