/* graphdef.h (internal): a TensorFlow graph in memory: nodes, attributes, tensors, names.
 *
 * Everything of one job (the graph that was read, those that passes make of it) lives in one store and is dropped with
 * it, so graphs share nodes, strings and values by pointer.  A value never changes once it is made; a node may be
 * changed by who made it until it is shared, afterwards it is copied (bli_tf_node_copy).  Messages are protobuf-c's
 * structs (graphdef.proto); what is not understood in them is kept and written back.
 *
 * Functions that return a pointer return NULL with the context's message set when memory is short, and take NULL for a
 * value that could not be made: BLI_TRY(bli_tf_node_set(s, n, "T", bli_tf_value_type(s, BLI_DT_FLOAT))).
 */
#ifndef BLI_MODEL_GRAPHDEF_H
#define BLI_MODEL_GRAPHDEF_H

#include "base/base.h"
#include "bitlathe/graphdef.h"
#include "graphdef.pb-c.h"

/* ---- store ---------------------------------------------------------------------------------------------------- */

typedef struct bli_tf_store bli_tf_store;
BL_MUST_CHECK bl_status bli_tf_store_create(bl_context *ctx, bli_tf_store **out);
void bli_tf_store_destroy(bli_tf_store *s); /* NULL is fine */
bl_context *bli_tf_store_context(const bli_tf_store *s);
/* Zeroed, aligned for the widest vector load when large. */
BL_MUST_CHECK void *bli_tf_alloc(bli_tf_store *s, size_t size);
BL_MUST_CHECK void *bli_tf_alloc_array(bli_tf_store *s, size_t count, size_t size);
BL_MUST_CHECK char *bli_tf_text(bli_tf_store *s, const char *fmt, ...) BL_PRINTF(2, 3);
/* With a NUL behind it; text NULL: zeros, to be filled in. */
BL_MUST_CHECK char *bli_tf_text_copy(bli_tf_store *s, const char *text, size_t size);

/* Lets go of every large block (tensors' contents, long lists) that these graphs do not need: what else was made in the
 * store, views of tensors too, must not be used afterwards.  Small things stay until the end. */
typedef struct bli_tf_graph bli_tf_graph;
void bli_tf_store_sweep(bli_tf_store *s, const bli_tf_graph *const *graphs, size_t count);
size_t bli_tf_store_mark(const bli_tf_store *s);
void bli_tf_store_keep_from(bli_tf_store *s, size_t mark); /* what was made since; nothing was swept in between */

/* ---- element types --------------------------------------------------------------------------------------------- */

/* Short words for the types that code names; all of them are in graphdef.proto. */
enum {
    BLI_DT_INVALID = 0,
    BLI_DT_FLOAT = 1,
    BLI_DT_DOUBLE = 2,
    BLI_DT_INT32 = 3,
    BLI_DT_UINT8 = 4,
    BLI_DT_INT16 = 5,
    BLI_DT_INT8 = 6,
    BLI_DT_STRING = 7,
    BLI_DT_INT64 = 9,
    BLI_DT_BOOL = 10,
    BLI_DT_QINT8 = 11,
    BLI_DT_QUINT8 = 12,
    BLI_DT_QINT32 = 13,
    BLI_DT_BFLOAT16 = 14,
    BLI_DT_QINT16 = 15,
    BLI_DT_QUINT16 = 16,
    BLI_DT_UINT16 = 17,
    BLI_DT_HALF = 19,
    BLI_DT_RESOURCE = 20,
    BLI_DT_VARIANT = 21,
    BLI_DT_UINT32 = 22,
    BLI_DT_UINT64 = 23,
    BLI_DT_REF = 100 /* added to a type: a reference to a variable of it */
};
const char *bli_tf_dtype_name(int dtype);            /* "float", "quint8", "float_ref"; "unknown" */
bool bli_tf_dtype_parse(const char *name, int *out); /* that name, or "DT_FLOAT" */
size_t bli_tf_dtype_size(int dtype);                 /* bytes of an element; 0: strings, resources, unknown types */

/* ---- values of attributes -------------------------------------------------------------------------------------- */

typedef BliTf__AttrValue bli_tf_value;
typedef BliTf__TensorProto bli_tf_tensor_proto;
typedef BliTf__TensorShapeProto bli_tf_shape;

BL_MUST_CHECK const bli_tf_value *bli_tf_value_int(bli_tf_store *s, int64_t v);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_float(bli_tf_store *s, float v);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_bool(bli_tf_store *s, bool v);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_type(bli_tf_store *s, int dtype);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_string(bli_tf_store *s, const char *v);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_bytes(bli_tf_store *s, const void *data, size_t size);
/* rank -1: unknown; dim -1: unknown. */
BL_MUST_CHECK const bli_tf_value *bli_tf_value_shape(bli_tf_store *s, int rank, const int64_t *dim);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_ints(bli_tf_store *s, const int64_t *v, size_t count);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_floats(bli_tf_store *s, const float *v, size_t count);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_types(bli_tf_store *s, const int *dtypes, size_t count);
BL_MUST_CHECK const bli_tf_value *bli_tf_value_strings(bli_tf_store *s, const char *const *v, size_t count);
/* A tensor as TensorFlow's tools write it: type, shape and raw bytes.  *content has the product of dim elements,
 * zeroed, to be filled in before the value is used; content NULL when data, which is then copied, is given. */
BL_MUST_CHECK const bli_tf_value *bli_tf_value_tensor(bli_tf_store *s, int dtype, int rank, const int64_t *dim,
                                                      const void *data, void **content);
/* Appends the bytes of v as TensorFlow's deterministic serialisation has them. */
BL_MUST_CHECK bl_status bli_tf_value_encode(const bli_tf_value *v, bli_buf *b);

/* ---- tensors --------------------------------------------------------------------------------------------------- */

enum { BLI_TF_MAX_RANK = 254 }; /* TensorFlow's own */

/* A tensor with every element written out. */
typedef struct bli_tf_tensor {
    int dtype, rank;
    const int64_t *dim;
    size_t count, element; /* elements; bytes of one, 0 for strings */
    const void *data;      /* aligned; ProtobufCBinaryData for strings; complex numbers are pairs */
} bli_tf_tensor;
/* The data are the message's own bytes where they can be, else a copy in the store; at most 2 GiB.  Refuses a wrong
 * number of bytes, negative or overflowing dimensions and types that have no elements. */
BL_MUST_CHECK bl_status bli_tf_tensor_view(bli_tf_store *s, const bli_tf_tensor_proto *t, bli_tf_tensor *out);

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

typedef struct bli_tf_attr {
    const char *name;
    const bli_tf_value *value;
} bli_tf_attr;

typedef struct bli_tf_node {
    const char *name, *op, *device; /* device "" when none is asked for */
    size_t num_inputs, num_attrs;
    const char **inputs;        /* as in the file: "name", "name:1", "^name" */
    bli_tf_attr *attrs;         /* by name, in the order of strcmp */
    const BliTf__NodeDef *rest; /* debug info, type and unknown fields; NULL for a node that a pass made */
} bli_tf_node;

BL_MUST_CHECK bli_tf_node *bli_tf_node_make(bli_tf_store *s, const char *name, const char *op);
BL_MUST_CHECK bli_tf_node *bli_tf_node_copy(bli_tf_store *s, const bli_tf_node *n);
BL_MUST_CHECK bl_status bli_tf_node_rename(bli_tf_store *s, bli_tf_node *n, const char *name);
BL_MUST_CHECK bl_status bli_tf_node_add_input(bli_tf_store *s, bli_tf_node *n, const char *input);
BL_MUST_CHECK bl_status bli_tf_node_set_input(bli_tf_store *s, bli_tf_node *n, size_t i, const char *input);
void bli_tf_node_remove_input(bli_tf_node *n, size_t i);
/* Adds or replaces an attribute; v NULL: the value could not be made. */
BL_MUST_CHECK bl_status bli_tf_node_set(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_value *v);
/* Takes from's value of that attribute, if it has one. */
BL_MUST_CHECK bl_status bli_tf_node_take(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_node *from);
bool bli_tf_node_remove(bli_tf_node *n, const char *attr);                    /* whether it was there */
const bli_tf_value *bli_tf_node_attr(const bli_tf_node *n, const char *attr); /* NULL: it has none */

/* BL_BAD_MODEL unless the attribute is there and of that kind: "node 'c' (Conv2D): attribute 'T': it is missing;
 * expected a type".  The forms with a default take it when the attribute is absent. */
BL_MUST_CHECK bl_status bli_tf_get_int(bl_context *ctx, const bli_tf_node *n, const char *attr, int64_t *out);
BL_MUST_CHECK bl_status bli_tf_get_float(bl_context *ctx, const bli_tf_node *n, const char *attr, float *out);
BL_MUST_CHECK bl_status bli_tf_get_bool(bl_context *ctx, const bli_tf_node *n, const char *attr, bool *out);
BL_MUST_CHECK bl_status bli_tf_get_type(bl_context *ctx, const bli_tf_node *n, const char *attr, int *out);
BL_MUST_CHECK bl_status bli_tf_get_string(bl_context *ctx, const bli_tf_node *n, const char *attr, const char **out);
BL_MUST_CHECK bl_status bli_tf_get_shape(bl_context *ctx, const bli_tf_node *n, const char *attr,
                                         const bli_tf_shape **out);
BL_MUST_CHECK bl_status bli_tf_get_ints(bl_context *ctx, const bli_tf_node *n, const char *attr, const int64_t **out,
                                        size_t *count);
/* Any list: what it holds is in the members of BliTf__AttrValue__ListValue. */
BL_MUST_CHECK bl_status bli_tf_get_list(bl_context *ctx, const bli_tf_node *n, const char *attr,
                                        const BliTf__AttrValue__ListValue **out);
BL_MUST_CHECK bl_status bli_tf_get_tensor(bli_tf_store *s, const bli_tf_node *n, const char *attr, bli_tf_tensor *out);
BL_MUST_CHECK bl_status bli_tf_int_or(bl_context *ctx, const bli_tf_node *n, const char *attr, int64_t other,
                                      int64_t *out);
BL_MUST_CHECK bl_status bli_tf_float_or(bl_context *ctx, const bli_tf_node *n, const char *attr, float other,
                                        float *out);
BL_MUST_CHECK bl_status bli_tf_bool_or(bl_context *ctx, const bli_tf_node *n, const char *attr, bool other, bool *out);
BL_MUST_CHECK bl_status bli_tf_type_or(bl_context *ctx, const bli_tf_node *n, const char *attr, int other, int *out);
BL_MUST_CHECK bl_status bli_tf_string_or(bl_context *ctx, const bli_tf_node *n, const char *attr, const char *other,
                                         const char **out);

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* An input string in its parts: "^name" is control, "name:1" port 1, "name" port 0.  What follows a colon and is no
 * number (in bodies of functions, "name:out:0") has port -1 and stays in rest. */
typedef struct bli_tf_ref {
    bool control;
    const char *name; /* not ended by NUL */
    size_t size;
    int port;
    const char *rest; /* from the first colon on; "" */
} bli_tf_ref;
bli_tf_ref bli_tf_ref_parse(const char *input);
bool bli_tf_ref_is(const bli_tf_ref *r, const char *name);
/* "^" or nothing, the name, ":port" always (":0" for control inputs too). */
BL_MUST_CHECK char *bli_tf_ref_canonical(bli_tf_store *s, const char *input);
BL_MUST_CHECK char *bli_tf_ref_node(bli_tf_store *s, const char *input); /* the bare name of the node */

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

struct bli_tf_graph {
    bli_tf_store *store;
    bli_tf_node **nodes; /* in the file's order */
    size_t num_nodes, room;
    const BliTf__FunctionDefLibrary *library; /* NULL: none; so below */
    const BliTf__VersionDef *versions;
    const BliTf__GraphDebugInfo *debug_info;
    int32_t version;               /* of old files */
    const BliTf__GraphDef *source; /* for unknown fields; NULL: none */
};

BL_MUST_CHECK bli_tf_graph *bli_tf_graph_make(bli_tf_store *s);
BL_MUST_CHECK bli_tf_graph *bli_tf_graph_like(const bli_tf_graph *g); /* all but the nodes */
BL_MUST_CHECK bl_status bli_tf_graph_add(bli_tf_graph *g, bli_tf_node *n);
/* A node of a message, which it shares: to be copied before it is changed. */
BL_MUST_CHECK bl_status bli_tf_graph_add_def(bli_tf_graph *g, const BliTf__NodeDef *from);
/* The node's place in the graph of a name; SIZE_MAX: none.  An index is of the graph as it was when it was made. */
typedef struct bli_tf_index {
    bl_context *ctx;
    const bli_tf_graph *g;
    size_t *slots, mask; /* place + 1, 0 for an empty slot */
} bli_tf_index;
/* Two nodes of one name are BL_BAD_MODEL. */
BL_MUST_CHECK bl_status bli_tf_index_make(const bli_tf_graph *g, bli_tf_index *ix);
void bli_tf_index_free(bli_tf_index *ix);
size_t bli_tf_index_find(const bli_tf_index *ix, const char *name, size_t size);
/* The node that an input string names, whatever the port; NULL: none. */
bli_tf_node *bli_tf_index_input(const bli_tf_index *ix, const char *input);
/* Names are there and differ, every input names a node, control inputs come last.  Cycles are not looked for. */
BL_MUST_CHECK bl_status bli_tf_graph_check(const bli_tf_graph *g);

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* A GraphDef or a frozen SavedModel, text (pbtext.h) or binary, as it looks.  Refuses names that are missing or
 * given twice, nothing else that a graph may do wrong (bli_tf_graph_check). */
BL_MUST_CHECK bl_status bli_tf_graph_decode(bli_tf_store *s, const void *data, size_t size, bli_tf_graph **out);
BL_MUST_CHECK bl_status bli_tf_graph_read(bli_tf_store *s, const char *path, bli_tf_graph **out);
/* The bytes of TensorFlow's deterministic serialisation: fields by number, maps by key; freed with bli_free. */
BL_MUST_CHECK bl_status bli_tf_graph_encode(const bli_tf_graph *g, char **data, size_t *size);
/* The text form, ended by NUL as well. */
BL_MUST_CHECK bl_status bli_tf_graph_print(const bli_tf_graph *g, char **text, size_t *size);
/* The same into files, node by node. */
BL_MUST_CHECK bl_status bli_tf_graph_write(const bli_tf_graph *g, const char *path);
BL_MUST_CHECK bl_status bli_tf_graph_write_text(const bli_tf_graph *g, const char *path);

/* What include/bitlathe/graphdef.h hands out. */
struct bl_graphdef {
    bli_tf_store *store;
    bli_tf_graph *graph; /* in the store */
};

#endif
