/* onnx.h (internal to the model room): reading and writing ONNX files in pieces. */
#ifndef BLI_MODEL_ONNX_H
#define BLI_MODEL_ONNX_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

enum {
    BLI_ONNX_IR = 8,       /* what we write: the IR version that goes with opset 17 */
    BLI_ONNX_OPSET = 17,   /* what we write, and what a read graph is brought to */
    BLI_ONNX_LEAST_IR = 3, /* initializers as we know them */
    BLI_ONNX_MOST_IR = 14,
    BLI_ONNX_LEAST_OPSET = 6,
    BLI_ONNX_MOST_OPSET = 25 /* the operators here did not change their meaning up to then */
};

/* An ONNX element type as one of ours; false where there is none.  FLOAT16 and BFLOAT16 are read as F32, exactly. */
bool bli_onnx_dtype(int32_t data_type, bl_dtype *out);
int32_t bli_onnx_data_type(bl_dtype t);
const char *bli_onnx_type_name(int32_t data_type); /* "FLOAT16"; "unknown" */

/* External data of one model: the folder it may live in, and the last file read. */
typedef struct bli_onnx_external {
    const char *folder; /* NULL: there is none (a model in memory) */
    char *path, *data;
    size_t size;
} bli_onnx_external;
void bli_onnx_external_free(bl_context *ctx, bli_onnx_external *e);

/* A tensor's content.  out->data points into t or e, or into *owned (to be freed with bli_free by the caller). */
BL_MUST_CHECK bl_status bli_onnx_tensor(bl_context *ctx, const BliOnnx__Tensor *t, bli_onnx_external *e, bl_tensor *out,
                                        void **owned);

/* What a file says beside its graph. */
typedef struct bli_onnx_facts {
    int opset;
    int64_t batch; /* the batch size that the file was exported with; 0 when it names none */
} bli_onnx_facts;

/* The model as it stands in the file: names, attributes and operators of its own opset. */
BL_MUST_CHECK bl_status bli_onnx_read(bl_context *ctx, const void *data, size_t size, const char *folder,
                                      bl_graph **out, bli_onnx_facts *facts);

/* Brings operators of older opsets to the spelling of opset 13 and above, and a batch written out as a number to "as
 * many as there are". */
BL_MUST_CHECK bl_status bli_onnx_modernize(bl_graph *g, const bli_onnx_facts *facts);
/* Shape arithmetic (Shape, Gather, Unsqueeze, Concat) that ends in a Reshape becomes that Reshape's constant. */
BL_MUST_CHECK bl_status bli_onnx_fold_shapes(bl_graph *g);
/* After inference: a Softmax of before opset 13 is one over all dimensions from its axis on. */
BL_MUST_CHECK bl_status bli_onnx_check_softmax(const bl_graph *g, const bli_onnx_facts *facts);

/* What each tensor is to training: from our own metadata where the file has it (which is then removed), else from the
 * operator that reads it. */
BL_MUST_CHECK bl_status bli_onnx_find_roles(bl_graph *g);
/* The text that the metadata of a tensor holds. */
BL_MUST_CHECK bl_status bli_onnx_store_role(bli_buf *b, const bl_value *v);
/* The metadata key of every file that we write; its value is the version of what our metadata means. */
#define BLI_ONNX_MARK "bitlathe"

/* The graph's bytes, freed with bli_free; every node must be one that a file may hold. */
BL_MUST_CHECK bl_status bli_onnx_encode(const bl_graph *g, char **data, size_t *size);

#endif
