/* model.h: models in files.  A bitlathe model is a QONNX file. */
#ifndef BITLATHE_MODEL_H
#define BITLATHE_MODEL_H

#include "bitlathe/graph.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* The reader is chosen by content.  External data files are read only from the model's own folder. */
BL_MUST_CHECK bl_status bl_model_read(bl_context *ctx, const char *path, bl_graph **out);
BL_MUST_CHECK bl_status bl_model_read_memory(bl_context *ctx, const void *data, size_t size, bl_graph **out);
/* ONNX with QONNX's Quant nodes.  What Quant cannot say becomes exact standard nodes plus metadata; what no exact
 * standard node can say is BL_UNSUPPORTED and names the node.  Same graph, same bytes. */
BL_MUST_CHECK bl_status bl_model_write(const bl_graph *g, const char *path);
/* BL_OK if bl_model_write has words for all of g, else its failure; writes nothing.  A long training asks first. */
BL_MUST_CHECK bl_status bl_model_check(const bl_graph *g);

/* What `list readers` and `list passes` say; false: no such index. */
typedef struct bl_model_info {
    const char *name, *help;
} bl_model_info;
bool bl_reader_at(int i, bl_model_info *out);
bool bl_pass_at(int i, bl_model_info *out);
/* Runs one pass by name. */
BL_MUST_CHECK bl_status bl_graph_pass(bl_graph *g, const char *name);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
