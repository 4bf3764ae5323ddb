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
    const bli_attr_spec *attrs;              /* ends with name NULL; unknown attributes are refused.  NULL: infer
                                                checks them itself */
    bl_status (*infer)(bli_infer *i);
    const char *help; /* one line for `list ops` */
} bli_schema;

/* Finds the schema of (type, domain); NULL if unknown. */
typedef const bli_schema *(*bli_schema_fn)(const char *type, const char *domain);

BL_MUST_CHECK bl_status bli_graph_infer(bl_graph *g, bli_schema_fn schemas);
BL_MUST_CHECK bl_status bli_graph_verify(const bl_graph *g, bli_schema_fn schemas);

/* The graph's own memory, for names and data that its values and nodes point to. */
bli_arena *bli_graph_arena(bl_graph *g);

/* ---- building out of order (readers) ------------------------------------------------------------------------- */
/* A computed value that no node makes yet; a node added later with bli_graph_add_node_at makes it.  bli_graph_clean
 * brings the nodes into order. */
BL_MUST_CHECK bl_status bli_graph_declare(bl_graph *g, const char *name, int *id);
BL_MUST_CHECK bl_status bli_graph_add_node_at(bl_graph *g, const bl_node *spec, const int *outputs);

/* ---- edits -------------------------------------------------------------------------------------------------- */
bl_value *bli_graph_value_mut(bl_graph *g, int id);
BL_MUST_CHECK bl_status bli_graph_set_attrs(bl_graph *g, int node, const bl_attr *attrs, int count);
BL_MUST_CHECK bl_status bli_graph_set_type(bl_graph *g, int node, const char *type, const char *domain);
BL_MUST_CHECK bl_status bli_graph_set_input(bl_graph *g, int node, int slot, int value); /* may append one slot */
/* Every use of value (graph outputs too) now reads other. */
void bli_graph_replace_uses(bl_graph *g, int value, int other);
/* Leaves only the first count inputs of node. */
void bli_graph_trim_inputs(bl_graph *g, int node, int count);
/* Leaves only the first count outputs of node; the others must be unused. */
void bli_graph_trim_outputs(bl_graph *g, int node, int count);
/* Cleaning puts node beside other, as near as the order of definition allows. */
void bli_graph_place_like(bl_graph *g, int node, int other);
void bli_graph_remove_node(bl_graph *g, int node);
bool bli_graph_node_dead(const bl_graph *g, int node);
int bli_graph_num_uses(const bl_graph *g, int value);   /* node inputs and graph outputs */
int bli_graph_first_user(const bl_graph *g, int value); /* node id, -1 if none */
bool bli_graph_is_output(const bl_graph *g, int value);
/* The node that follows node among the users of value (a node that reads it twice comes twice), -1 at the end. */
/* Gives value the new name (unique), e.g. to keep an output's name after a rewrite. */
BL_MUST_CHECK bl_status bli_graph_rename_value(bl_graph *g, int value, const char *name);
BL_MUST_CHECK bl_status bli_graph_rename_node(bl_graph *g, int node, const char *name);
/* A tensor's (not an input's or a node's output's) new type, shape and data, copied. */
BL_MUST_CHECK bl_status bli_graph_set_tensor(bl_graph *g, int value, const bl_tensor *tensor);
/* A computed value with no producer left, or any other, becomes a constant, parameter or state with this content. */
BL_MUST_CHECK bl_status bli_graph_make_tensor(bl_graph *g, int value, bl_role role, const char *place,
                                              const bl_tensor *tensor);
/* Drops dead nodes and unused non-input values, sorts topologically (stable), renumbers.  A cycle is BL_BAD_MODEL and
 * names its nodes. */
BL_MUST_CHECK bl_status bli_graph_clean(bl_graph *g);

#endif
