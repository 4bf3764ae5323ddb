/* users.h: who reads a node of a graph. */
#ifndef BLI_TF_USERS_H
#define BLI_TF_USERS_H

#include "tf/transform.h"

typedef struct bli_tg_use {
    const bli_tf_node *node; /* the reader */
    size_t input;            /* its input of that number */
    int port;                /* reads this output; -1: a control input */
} bli_tg_use;

typedef struct bli_tg_users {
    const bli_tf_graph *g;
    bli_tf_index ix;
    size_t *first; /* node i is read by at[first[i]] .. at[first[i + 1] - 1] */
    bli_tg_use *at;
} bli_tg_users;
/* Of the graph as it is; inputs that name no node are passed over. */
BL_MUST_CHECK bl_status bli_tg_users_make(const bli_tf_graph *g, bli_tg_users *out);
void bli_tg_users_free(bli_tg_users *u);
/* *count readers of the node of that name; NULL and 0: there is none of that name. */
const bli_tg_use *bli_tg_users_of(const bli_tg_users *u, const char *name, size_t *count);

/* Adds g's nodes to out without those that somebody read in `before` and nobody reads in g, and so on for what only
 * those read.  Outputs of the job, and inputs, stay. */
BL_MUST_CHECK bl_status bli_tg_drop_unread(const bli_tg_job *job, const bli_tf_graph *before, const bli_tf_graph *g,
                                           bli_tf_graph *out);

#endif
