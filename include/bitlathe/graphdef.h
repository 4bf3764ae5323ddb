/* graphdef.h: TensorFlow graphs (GraphDef) in files, compared and summarized. */
#ifndef BITLATHE_GRAPHDEF_H
#define BITLATHE_GRAPHDEF_H

#include "bitlathe/graph.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* A graph of TensorFlow's operators, as a file has it: nodes in order, function library, versions, and what this
 * library does not know.  All of that is written back. */
typedef struct bl_graphdef bl_graphdef;

/* A frozen graph in binary or text form (by content), or a SavedModel whose variables have been frozen into it.  Names
 * that are missing or given twice are BL_BAD_MODEL; variables in a SavedModel are BL_UNSUPPORTED. */
BL_MUST_CHECK bl_status bl_graphdef_read(bl_context *ctx, const char *path, bl_graphdef **out);
BL_MUST_CHECK bl_status bl_graphdef_read_memory(bl_context *ctx, const void *data, size_t size, bl_graphdef **out);
/* The same graph gives the same bytes: those of TensorFlow's deterministic serialisation. */
BL_MUST_CHECK bl_status bl_graphdef_write(const bl_graphdef *g, const char *path);
/* Freed with bl_text_free. */
BL_MUST_CHECK bl_status bl_graphdef_write_memory(const bl_graphdef *g, char **data, size_t *size);
/* protobuf's text form, as TensorFlow's own tools write it. */
BL_MUST_CHECK bl_status bl_graphdef_write_text(const bl_graphdef *g, const char *path);
BL_MUST_CHECK bl_status bl_graphdef_print(const bl_graphdef *g, char **text);
void bl_graphdef_destroy(bl_graphdef *g); /* NULL is fine */

/* Nodes in the file's order. */
size_t bl_graphdef_num_nodes(const bl_graphdef *g);
typedef struct bl_graphdef_node {
    const char *name, *op, *device;
    size_t num_inputs;
    const char *const *inputs; /* "name", "name:1", "^name" */
} bl_graphdef_node;
bool bl_graphdef_node_at(const bl_graphdef *g, size_t i, bl_graphdef_node *out); /* false: no such node */

/* The first difference between two graphs as a sentence (freed with bl_text_free), or NULL when they are equal: nodes
 * by name, their operators, devices, inputs ("x" is "x:0"; control inputs as a set) and attributes, tensors by value.
 * The order of nodes, versions, function library and attributes that begin with '_' do not count.  float32 elements of
 * tensors may be up to so many ulps apart. */
BL_MUST_CHECK bl_status bl_graphdef_compare(const bl_graphdef *a, const bl_graphdef *b, int ulps, char **difference);

/* What is in a graph.  Names are the graph's: the summary lives no longer than it. */
typedef struct bl_graphdef_node_info {
    const char *name, *op;
    const char *type;          /* of its elements, attribute dtype: "float"; "INVALID" without one */
    int dtype;                 /* the same as TensorFlow's number */
    const char *shape, *sizes; /* attribute shape: "[?,299,3]", "None" without one; "-1,299,3" */
} bl_graphdef_node_info;
typedef struct bl_graphdef_count {
    const char *name;
    size_t count;
} bl_graphdef_count;
typedef struct bl_graphdef_bad_input {
    const char *node, *input; /* an input that names no node */
} bl_graphdef_bad_input;
typedef struct bl_graphdef_summary_info {
    size_t num_inputs, num_variables, num_outputs;
    const bl_graphdef_node_info *inputs, *variables, *outputs; /* placeholders; nodes that no other reads */
    uint64_t const_parameters, variable_parameters;            /* elements */
    size_t control_edges;
    size_t num_ops, num_devices, num_bad_inputs;
    const bl_graphdef_count *ops, *devices; /* operators with those in function bodies, most first; devices by name */
    const bl_graphdef_bad_input *bad_inputs;
} bl_graphdef_summary_info;
typedef struct bl_graphdef_summary bl_graphdef_summary;
BL_MUST_CHECK bl_status bl_graphdef_summarize(const bl_graphdef *g, bl_graphdef_summary **out);
const bl_graphdef_summary_info *bl_graphdef_summary_get(const bl_graphdef_summary *s);
void bl_graphdef_summary_destroy(bl_graphdef_summary *s); /* NULL is fine */

/* The nodes in an order in which they can run, a line each: "name (Op): [inputs]", constants with their first values.
 * A cycle or an input that names no node is BL_BAD_MODEL.  Freed with bl_text_free. */
BL_MUST_CHECK bl_status bl_graphdef_structure(const bl_graphdef *g, char **text);

/* Which part of a graph: names of nodes with commas between, shapes of the inputs with ':' between ("1,28,28,1:1,10").
 * NULL or "": all placeholders, the shapes that they have, what no node reads. */
typedef struct bl_graphdef_cut {
    const char *inputs, *shapes, *outputs;
} bl_graphdef_cut;
/* The part as a graph of ours, values under the nodes' names, constant parts evaluated.  Dimension 0 of every input is
 * the batch.  An operator that has no counterpart is BL_UNSUPPORTED and named. */
BL_MUST_CHECK bl_status bl_graphdef_to_graph(const bl_graphdef *g, const bl_graphdef_cut *cut, bl_graph **out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
