/* flow.h: graphs with branches and loops: Switch and Merge, Enter and Exit, functions; lists of tensors.
 *
 * A branch that is not taken is dead: so is every node behind it, up to a Merge.  Dead outputs are empty arrays.  Nodes
 * between the Enters of a name and their Exits are a frame, which runs turn after turn until no NextIteration is alive.
 */
#ifndef BLI_TF_FLOW_H
#define BLI_TF_FLOW_H

#include "tf/session_impl.h"

enum { BLI_TF_MOST_DEPTH = 32 }; /* of frames, and of functions that call functions */

/* The marker of operators that need the session and its arrays (op->run): an act finds, for a node whose inputs are
 * alive, what its outputs are.  None of them is constant. */
bl_status bli_tf_run_act(bli_tf_call *c);
typedef bl_status bli_tf_act(bli_tf_session *s, bli_tf_spot *p);
bli_tf_act *bli_tf_act_find(const char *op);
typedef struct bli_tf_act_row {
    const char *op;
    bli_tf_act *act;
} bli_tf_act_row;
extern const bli_tf_act_row bli_tf_acts_flow[], bli_tf_acts_array[], bli_tf_acts_list[], bli_tf_acts_call[];

static inline const bli_tf_array *bli_tf_spot_input(const bli_tf_session *s, const bli_tf_spot *p, int i)
{
    return &s->spots[p->in[i].spot].out[p->in[i].port];
}
bool bli_tf_is_flow(const bli_tf_spot *p); /* Switch, Merge, Enter, Exit: the graph needs what is below */
/* Whether input i of p is a Merge's from a NextIteration, which is not waited for. */
bool bli_tf_is_back(const bli_tf_session *s, const bli_tf_spot *p, size_t from);

/* Frames and their orders, once the session's order is known. */
BL_MUST_CHECK bl_status bli_tf_flow_make(bli_tf_session *s);
BL_MUST_CHECK bl_status bli_tf_flow_run(bli_tf_session *s);
void bli_tf_flow_clear(bli_tf_session *s); /* what a run left between turns */
/* The value that a Merge of a loop has in this turn; NULL: it is the first, or no loop. */
const bli_tf_array *bli_tf_flow_pending(const bli_tf_session *s, const bli_tf_spot *p);
BL_MUST_CHECK bl_status bli_tf_flow_turn(bli_tf_session *s); /* counts one */

/* ---- lists ----------------------------------------------------------------------------------------------------- */
/* What an array of type resource or variant holds: tensors, some perhaps empty. */
struct bli_tf_list {
    int dtype;      /* of them all */
    bl_shape shape; /* as far as it was said */
    int64_t count;
    bli_tf_array *at;
    bool grows;
};
enum { BLI_TF_MOST_ITEMS = 1 << 20 };
/* A list of count empty tensors. */
BL_MUST_CHECK bl_status bli_tf_list_make(bli_tf_session *s, int kind, int dtype, int64_t count, bli_tf_array *out,
                                         bli_tf_list **list);
BL_MUST_CHECK bl_status bli_tf_list_resize(bli_tf_session *s, bli_tf_list *l, int64_t count);
void bli_tf_list_free(bl_context *ctx, bli_tf_list *l); /* lets go of its tensors */
/* The list that input i is. */
BL_MUST_CHECK bl_status bli_tf_list_input(bli_tf_session *s, const bli_tf_spot *p, int i, bli_tf_list **out);
/* One integer. */
BL_MUST_CHECK bl_status bli_tf_act_int(bli_tf_session *s, const bli_tf_spot *p, int i, int64_t *out);
BL_MUST_CHECK bl_status bli_tf_act_scalar(bli_tf_session *s, int dtype, bli_tf_array *out); /* not cleared */
/* Row i of x as element to[i] of the list (NULL: i), and elements from[0 .. n - 1] (NULL: 0, 1, ...), of one shape, as
 * rows; elements that were never set are zero where the list says their shape. */
BL_MUST_CHECK bl_status bli_tf_list_unstack(bli_tf_session *s, const bli_tf_array *x, bli_tf_list *l,
                                            const int64_t *to);
BL_MUST_CHECK bl_status bli_tf_list_stack(bli_tf_session *s, const bli_tf_list *l, const int64_t *from, int64_t n,
                                          bli_tf_array *out);

#endif
