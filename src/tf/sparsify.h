/* sparsify.h: what sparsify_gather does for weights in a checkpoint: reading them, and taking variables out of a graph.
 */
#ifndef BLI_TF_SPARSIFY_H
#define BLI_TF_SPARSIFY_H

#include "model/tf_checkpoint.h"
#include "tf/transform.h"

bool bli_tg_is_variable(const bli_tf_node *n);

/* How the graph's saver restores a variable: TensorFlow's "shape and slice", "" for the whole, NULL: it does not.  The
 * variable is then input 0 of a node save.../Assign..., whose input 1 comes from a RestoreV2. */
BL_MUST_CHECK bl_status bli_tg_find_slice(const bli_tg_job *job, const bli_tf_graph *g, const bli_tf_index *ix,
                                          const bli_tf_node *variable, const char **slice);
/* A column of a checkpoint, [N, 1]: the variable's name without a "part_N" at its end, and of that the rows that the
 * slice says.  The rows are in c's memory: freed with bli_free. */
BL_MUST_CHECK bl_status bli_tg_read_column(const bli_tg_job *job, bli_tf_checkpoint *c, const bli_tf_node *variable,
                                           const char *slice, bli_tf_saved *out);

/* Takes the nodes of those names out of g, and what then has no use: inputs that name them, nodes that nobody reads any
 * more or that have no inputs left, an Assign and its like with one input left.  before is the graph that readers are
 * counted in; the names hold room for as many as before and g have nodes. */
BL_MUST_CHECK bl_status bli_tg_take_out(const bli_tg_job *job, const bli_tf_graph *before, bli_tg_names *names,
                                        bli_tf_graph *g);

#endif
