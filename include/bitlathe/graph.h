/* graph.h: the GRAPH, a network as ONNX operators.
 *
 * Operator names, attributes and semantics are ONNX's (domain "", opset 13 or above) with QONNX's Quant, BipolarQuant,
 * Trunc and FloatQuant (domain "qonnx.custom_op.general").  Two things differ from a plain ONNX file, in memory only:
 *   - images are channels-last: Conv, ConvTranspose, the pools and BatchNormalization of domain
 *     "qonnx.custom_op.channels_last" take [N, H, W, C] (or [N, L, C]) with weights still [M, C/group, kH, kW].
 *     Readers rewrite channels-first models with Transposes, the writer does the reverse;
 *   - "Quantize" (domain "bitlathe") is a quantizer in full: any format, any quantizer, learned scales.  The writer
 *     spells it in Quant, BipolarQuant, FloatQuant or exact standard nodes; the reader finds it again by metadata.
 *
 * Values and nodes are numbered densely; an id stays valid until the next bl_graph_clean.  A node's inputs may be -1
 * (absent optional).  Nodes are kept in an order in which every value is defined before its use.
 */
#ifndef BITLATHE_GRAPH_H
#define BITLATHE_GRAPH_H

#include "bitlathe/format.h"
#include "bitlathe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_graph bl_graph;

/* What a value is to training.  INPUT and COMPUTED have no data; the others carry it. */
typedef enum bl_role {
    BL_ROLE_INPUT,     /* fed at run time; dim[0] is the batch */
    BL_ROLE_COMPUTED,  /* the output of a node */
    BL_ROLE_CONSTANT,  /* never changes */
    BL_ROLE_PARAMETER, /* trained */
    BL_ROLE_STATE      /* kept by the engine: running mean and variance, range trackers */
} bl_role;

typedef struct bl_value {
    const char *name; /* unique in the graph */
    bl_dtype type;
    bl_shape shape; /* rank -1 before inference; dim[0] of batched values is -1 */
    bl_role role;
    const char *place; /* "weight", "bias", "scale", "gamma", "beta", "mean", "variance" or "": precision and decay */
    void *data;        /* constants, parameters, states: bl_shape_count elements; owned by the graph */
    int producer;      /* node id, or -1 */
} bl_value;

typedef enum bl_attr_kind {
    BL_ATTR_INT,
    BL_ATTR_FLOAT,
    BL_ATTR_STRING,
    BL_ATTR_INTS,
    BL_ATTR_FLOATS,
    BL_ATTR_STRINGS,
    BL_ATTR_TENSOR
} bl_attr_kind;

/* count is the length of ints, floats and strings; 1 otherwise. */
typedef struct bl_attr {
    const char *name;
    bl_attr_kind kind;
    size_t count;
    union {
        int64_t i;
        double f; /* ONNX stores float32 */
        const char *s;
        const int64_t *ints;
        const double *floats;
        const char *const *strings;
        bl_tensor tensor;
    } u;
} bl_attr;

typedef struct bl_node {
    const char *name; /* unique in the graph, not empty */
    const char *type, *domain;
    int num_inputs, num_outputs, num_attrs;
    const int *inputs, *outputs; /* value ids; inputs may be -1 */
    const bl_attr *attrs;
} bl_node;

/* A graph without values or nodes; ctx must outlive it. */
BL_MUST_CHECK bl_status bl_graph_create(bl_context *ctx, const char *name, bl_graph **out);
void bl_graph_destroy(bl_graph *g); /* NULL is fine */
BL_MUST_CHECK bl_status bl_graph_clone(const bl_graph *g, bl_graph **out);
bl_context *bl_graph_context(const bl_graph *g);
const char *bl_graph_name(const bl_graph *g);

/* Ids are 0 to the number less 1, values and nodes each for themselves; NULL for any other id.  What is returned is the
 * graph's and lives until the graph is changed. */
int bl_graph_num_values(const bl_graph *g);
int bl_graph_num_nodes(const bl_graph *g);
const bl_value *bl_graph_value(const bl_graph *g, int id);
const bl_node *bl_graph_node(const bl_graph *g, int id);
int bl_graph_find_value(const bl_graph *g, const char *name); /* -1 if none */
int bl_graph_find_node(const bl_graph *g, const char *name);
int bl_graph_num_inputs(const bl_graph *g);
int bl_graph_num_outputs(const bl_graph *g);
int bl_graph_input(const bl_graph *g, int i);
int bl_graph_output(const bl_graph *g, int i);

/* Building.  Names are copied; a name that is taken is BL_BAD_MODEL; NULL or "" asks for a fresh one.
 * Values and data are copied into the graph. */
BL_MUST_CHECK bl_status bl_graph_add_input(bl_graph *g, const char *name, bl_dtype type, const bl_shape *shape,
                                           int *id);
BL_MUST_CHECK bl_status bl_graph_add_tensor(bl_graph *g, const char *name, bl_role role, const char *place,
                                            const bl_tensor *tensor, int *id);
/* spec's outputs are ignored: num_outputs fresh values are made, named output_names[i] (may be NULL), ids into outputs.
 */
BL_MUST_CHECK bl_status bl_graph_add_node(bl_graph *g, const bl_node *spec, const char *const *output_names,
                                          int *outputs);
BL_MUST_CHECK bl_status bl_graph_set_outputs(bl_graph *g, const int *ids, int count);

/* Free-form key and value text, kept in the model file (ONNX metadata_props).  NULL value removes. */
BL_MUST_CHECK bl_status bl_graph_set_meta(bl_graph *g, const char *key, const char *value);
const char *bl_graph_meta(const bl_graph *g, const char *key); /* NULL if absent */
int bl_graph_num_meta(const bl_graph *g);
void bl_graph_meta_at(const bl_graph *g, int i, const char **key, const char **value);

/* Attribute of a node by name, NULL if absent; with a fallback for the common kinds. */
const bl_attr *bl_node_attr(const bl_node *n, const char *name);
int64_t bl_node_int(const bl_node *n, const char *name, int64_t fallback);
double bl_node_float(const bl_node *n, const char *name, double fallback);
const char *bl_node_string(const bl_node *n, const char *name, const char *fallback);

/* Fills type and shape of every computed value and checks every node against its operator's schema. */
BL_MUST_CHECK bl_status bl_graph_infer(bl_graph *g);
/* Every rule of a graph: ids in range, definition before use, unique names, schemas, shapes.  Changes nothing. */
BL_MUST_CHECK bl_status bl_graph_verify(const bl_graph *g);

/* The operators that a graph may hold, in the table's order.  runs: has a kernel (the others are only read, to be
 * rewritten: channels-first layers); trains: has a gradient. */
typedef struct bl_op_info {
    const char *type, *domain;
    const char *help; /* one line */
    bool runs, trains;
} bl_op_info;
int bl_op_count(void);
bool bl_op_at(int i, bl_op_info *out); /* false: no such index */

/* Text form, one line a value or node, floats in full; parsing it gives an equal graph.  text is freed with
 * bl_text_free. */
BL_MUST_CHECK bl_status bl_graph_print(const bl_graph *g, char **text);
BL_MUST_CHECK bl_status bl_graph_parse(bl_context *ctx, const char *text, size_t size, bl_graph **out);
void bl_text_free(bl_context *ctx, char *text);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
