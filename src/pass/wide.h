/* wide.h: models whose values float32 cannot hold. */
#ifndef BLI_PASS_WIDE_H
#define BLI_PASS_WIDE_H

#include "graph/graph.h"

/* The first of the graph's parameters and quantizers with a value that float32 does not hold exactly: its name, or NULL
 * where float32 holds them all.  The graph may mix types, as training leaves them; it is inferred if it does not. */
BL_MUST_CHECK bl_status bli_wide_find(bl_graph *g, const char **name);
/* Every floating input, tensor and result becomes of type real; the graph is inferred.  To BL_F32 values are rounded:
 * ask bli_wide_find first. */
BL_MUST_CHECK bl_status bli_wide_retype(bl_graph *g, bl_dtype real);

#endif
