/* layout.h: moving images between [N, C, ...] and [N, ..., C]. */
#ifndef BLI_PASS_LAYOUT_H
#define BLI_PASS_LAYOUT_H

#include "graph/graph.h"

/* Value dimension i of the result is dimension perm[i] of the operand. */
typedef struct bli_perm {
    int rank, at[BL_MAX_RANK];
} bli_perm;

bli_perm bli_perm_to_last(int rank);  /* [N, C, H, W] -> [N, H, W, C] */
bli_perm bli_perm_to_first(int rank); /* the reverse */
bli_perm bli_perm_inverse(const bli_perm *p);
bl_shape bli_perm_shape(const bl_shape *s, const bli_perm *p);

/* Rewrites node, whose inputs come through Transposes by p, to work on what those Transposes read, followed by one
 * Transpose by p on its output.  *moved says whether that was possible; the graph is unchanged if not. */
BL_MUST_CHECK bl_status bli_layout_sink(bl_graph *g, int node, const bli_perm *p, const char *suffix, bool *moved);
/* The operand of the Transpose by p that makes value; -1 if there is none. */
int bli_layout_source(const bl_graph *g, int value, const bli_perm *p);
/* After node's output value came to be in another layout: all other readers get it through a Transpose by p. */
BL_MUST_CHECK bl_status bli_layout_follow(bl_graph *g, int node, const bli_perm *p, const char *suffix);

#endif
