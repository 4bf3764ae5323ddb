/* pass.h: graph to graph, one file per pass, listed in pass/passes.c.
 *
 * A pass leaves a cleaned and inferred graph that computes what it computed before, bit for bit unless its help says
 * otherwise; a failed pass leaves the graph in an undefined but destroyable state.  In debug builds every pass is
 * followed by the verifier.
 */
#ifndef BLI_PASS_H
#define BLI_PASS_H

#include "graph/graph.h"

typedef struct bli_pass {
    const char *name;
    const char *help; /* one line for `list passes` */
    bl_status (*run)(bl_graph *g);
} bli_pass;

const bli_pass *bli_pass_at(int i);
/* Runs the pass of that name; an unknown one is BL_NOT_FOUND and names the nearest. */
BL_MUST_CHECK bl_status bli_pass_run(bl_graph *g, const char *name);

bl_status bli_pass_channels_last(bl_graph *g);
bl_status bli_pass_channels_first(bl_graph *g);
bl_status bli_pass_spell_quant(bl_graph *g);
bl_status bli_pass_find_quant(bl_graph *g);
bl_status bli_pass_fold_constants(bl_graph *g);
bl_status bli_pass_fold_batch_norm(bl_graph *g);
bl_status bli_pass_spell_batch_norm(bl_graph *g);
bl_status bli_pass_remove_identity(bl_graph *g);
bl_status bli_pass_dead_code(bl_graph *g);
bl_status bli_pass_gemm_to_matmul(bl_graph *g);
bl_status bli_pass_drop_dropout(bl_graph *g);

/* Does a batch normalisation have formats for its scale and offset? */
bool bli_keeps_own_formats(const bl_node *n);

#endif
