/* wide.h: models whose values float32 cannot hold. */
#ifndef BLI_PASS_WIDE_H
#define BLI_PASS_WIDE_H

#include "graph/graph.h"

/* The first of the graph's parameters and quantizers with a value that float32 does not hold exactly: its name, or NULL
 * where float32 holds them all.  The graph may mix types, as training leaves them; it is inferred if it does not.
 * by_format: of stored parameters, too, what their format has counts, not their values, which training will change. */
BL_MUST_CHECK bl_status bli_wide_find(bl_graph *g, bool by_format, const char **name);
/* Every floating input, tensor and result becomes of type real; the graph is inferred.  To BL_F32 values are rounded:
 * ask bli_wide_find first. */
BL_MUST_CHECK bl_status bli_wide_retype(bl_graph *g, bl_dtype real);
/* In a graph of float64: its Quantize nodes in ONNX's words, and whether every operator is one that runners compute in
 * double precision. */
BL_MUST_CHECK bl_status bli_wide_spell(bl_graph *g);
BL_MUST_CHECK bl_status bli_wide_check(const bl_graph *g);

bool bli_wide_quantize(const bl_node *n);
/* All inputs have data. */
bool bli_wide_stored(const bl_graph *g, const bl_node *n);

#endif
