/* fold_constants.h: folding of constants in its three parts: what may be folded, its values, and the graph with them.
 */
#ifndef BLI_TF_FOLD_CONSTANTS_H
#define BLI_TF_FOLD_CONSTANTS_H

#include "tf/opdef.h"
#include "tf/session.h"
#include "tf/transform.h"

/* A tensor that becomes a Const. */
typedef struct bli_tg_border {
    const bli_tf_node *node;
    size_t place;
    int port;
    int dtype, rank; /* its value, once it is known */
    const int64_t *dim;
    const void *data;
} bli_tg_border;

typedef struct bli_tg_folder {
    const bli_tg_job *job;
    const bli_tf_graph *g; /* nodes as imported */
    bli_tf_index ix;
    bli_arena *arena;
    bli_tf_shapes shapes;
    int64_t limit;                          /* bytes of the greatest constant */
    bool *used, *folds, *from_shape, *seen; /* of each node */
    size_t *stack;
    bli_tg_border *border;
    size_t num_border;
} bli_tg_folder;

bool bli_tg_is_fed(const bli_tg_job *job, const bli_tf_node *n);
BL_MUST_CHECK bl_status bli_tg_find_foldable(bli_tg_folder *f);
BL_MUST_CHECK bl_status bli_tg_find_border(bli_tg_folder *f);
BL_MUST_CHECK bl_status bli_tg_evaluate_border(bli_tg_folder *f); /* fold_values.c */
BL_MUST_CHECK bl_status bli_tg_name_border(bli_tg_folder *f, bli_tg_renames *renames, bli_tf_graph *consts);

#endif
