/* form.h: the evaluation form of a graph, in which every sum of products is a sum over integers.
 *
 * A quantizer with a real scale (learned, from the data, a number that is no power of two) gives codes times a scale.
 * Summing such products in float32 would depend on the order.  In evaluation form the products are taken over the
 * codes, and scale and offset come after the sum, as one Affine node (two correctly rounded operations).  Everything
 * behind a sum is element by element, so that the result is the same bits on every instruction set, for every cut of
 * the rows and any number of threads.  It is the one definition of evaluation: validation in training, `eval`, `run`
 * and the lowering all compute this graph.  Training's forward differs by the rounding of real scales only.
 *
 * Rules: codes pass Relu and maxima (positive scale), moves of elements, means, and additions of equal scales; a
 * constant factor, offset or batch normalisation behind a sum goes into its Affine, computed in double and rounded
 * once.  Weights' quantizers become constants.  Grids of power-of-two steps are exact already and stay as they are.
 * The graph in memory changes only in this copy; files keep what they say.
 */
#ifndef BLI_FORM_H
#define BLI_FORM_H

#include "graph/graph.h"

/* keep: every value of g is computed in *out under its name (tracing); else only what the outputs need. */
BL_MUST_CHECK bl_status bli_evaluation_form(const bl_graph *g, bool keep, bl_graph **out);

#endif
