/* tf.h: TensorFlow's graph tools: transforms of graphs. */
#ifndef BITLATHE_TF_H
#define BITLATHE_TF_H

#include "bitlathe/graphdef.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_tf_options {
    const char *inputs, *outputs; /* names of nodes, with commas between; NULL: none */
    bool compat; /* node for node what TensorFlow's Graph Transform Tool gives, known defects included */
} bl_tf_options;

/* Runs the transforms of a string, "remove_nodes(op=Identity) quantize_weights ...", in their order.  Log lines say
 * what was passed over.  A failure leaves the graph as it was. */
BL_MUST_CHECK bl_status bl_tf_transform(bl_graphdef *g, const char *transforms, const bl_tf_options *options);
/* The same with about twice the graph's size in memory where bl_tf_transform takes up to three times: weights go as
 * soon as a transform has replaced them.  A failure may leave an empty graph. */
BL_MUST_CHECK bl_status bl_tf_transform_in_place(bl_graphdef *g, const char *transforms, const bl_tf_options *options);

/* What transforms there are, and their parameters; false: no such index. */
typedef struct bl_tf_info {
    const char *name, *help;
    const char *kind; /* of a parameter: "text", "whole number", "number", "true or false"; "list of ..." */
    const char *ops;  /* of a transform: the operators that it is about, with '|' between, or NULL */
    bool extension;   /* a transform or a parameter that TensorFlow's tool does not have */
} bl_tf_info;
bool bl_tf_transform_at(size_t i, bl_tf_info *out);
bool bl_tf_parameter_at(size_t transform, size_t i, bl_tf_info *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
