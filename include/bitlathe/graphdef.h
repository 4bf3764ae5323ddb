/* graphdef.h: TensorFlow graphs (GraphDef) in files. */
#ifndef BITLATHE_GRAPHDEF_H
#define BITLATHE_GRAPHDEF_H

#include "bitlathe/base.h"

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

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
