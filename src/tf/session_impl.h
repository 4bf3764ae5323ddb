/* session_impl.h: what the files of the session share. */
#ifndef BLI_TF_SESSION_IMPL_H
#define BLI_TF_SESSION_IMPL_H

#include "tf/array.h"
#include "tf/session.h"

/* Output `port` of node `spot`. */
typedef struct bli_tf_wire {
    size_t spot;
    int port;
} bli_tf_wire;

typedef struct bli_tf_join bli_tf_join;
typedef struct bli_tf_flow bli_tf_flow;
typedef struct bli_tf_table bli_tf_table;

/* A node's place in a session. */
typedef struct bli_tf_spot {
    const bli_tf_node *node;
    const bli_tf_op *op;
    int num_in, num_out;
    bli_tf_wire *in;
    size_t *before; /* nodes of its control inputs */
    size_t num_before;
    bli_tf_array *out;
    int *uses, *uses_planned; /* of each output: inputs that read it, and fetches */
    bool needed, fed;         /* fed: all outputs that anybody wants */
    bool constant;            /* computed with the schedule */
    size_t range;             /* the spot that has outputs 1 and 2, which are constants; 0: none (fixed.c) */
    bool swallowed;           /* a join at a later node does its work ... */
    bool early;               /* ... but for the range of its sums, which others read */
    bli_tf_join *join;        /* runs several nodes at once, of which this is the last */
    bli_tf_table *table;      /* the same (table.c) */
    bl_status (*act)(bli_tf_session *s, struct bli_tf_spot *p); /* flow.h; NULL: a rule runs it */
    bool queued;                                                /* among the session's `later` */
    bool dead;                                                  /* in this turn of this run */
    void *kept;
    int64_t runs;
    int mark; /* of the search for an order */
} bli_tf_spot;

struct bli_tf_session {
    bl_context *ctx;
    const bli_tf_graph *g;
    bli_tf_session_options options;
    bli_arena *arena, *plan; /* the session's; the schedule's */
    bli_tf_pool *pool;
    bli_tf_index index;
    bli_tf_spot *spots; /* of the nodes; and as many more, for constants beside them (fixed.c) */
    bli_tf_site site;

    /* Branches, loops and functions (flow.h) */
    bli_tf_flow *flow;               /* NULL: the graph has no Switch, Merge, Enter or Exit */
    bool flows;                      /* it will have one */
    int depth;                       /* of functions that call each other */
    size_t *turns, own_turns;        /* of all loops of a run; those of a function count with its caller's */
    bli_tf_session *inner, *sibling; /* of functions; the next of the same caller */

    bool ready;
    char *key; /* the names of feeds and fetches */
    size_t *order, num_order;
    size_t *later, num_later; /* NextIterations, while the order is made */
    bli_tf_wire *feeds, *fetches;
    size_t num_feeds, num_fetches;
    bli_tf_arg *args, *results; /* room for the widest node */
};

/* Makes or keeps the schedule for these names. */
BL_MUST_CHECK bl_status bli_tf_schedule(bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds,
                                        const char *const *fetches, size_t num_fetches);
void bli_tf_session_forget(bli_tf_session *s);
/* Infers, allocates and runs one node. */
BL_MUST_CHECK bl_status bli_tf_session_node(bli_tf_session *s, bli_tf_spot *p);

/* Its inputs as they are now, and what its rule says of the outputs. */
BL_MUST_CHECK bl_status bli_tf_session_infer(bli_tf_session *s, const bli_tf_spot *p, bli_tf_call *c);
/* Around what uses the session's site for node p. */
void bli_tf_session_enter(bli_tf_session *s, bli_tf_spot *p);
void bli_tf_session_leave(bli_tf_session *s, bli_tf_spot *p);

/* The same without a name in the message, and never a join. */
BL_MUST_CHECK bl_status bli_tf_session_rule(bli_tf_session *s, bli_tf_spot *p);
/* Nodes one by one, with their names in messages; what they gave before goes. */
BL_MUST_CHECK bl_status bli_tf_session_parts(bli_tf_session *s, const size_t *parts, int num_parts);
/* Drops what the node read for the last time, and outputs of its own that nobody reads. */
void bli_tf_session_release(bli_tf_session *s, bli_tf_spot *p);

/* Ranges that are constants beside codes that are not (fixed.c): makes who reads them read constants. */
BL_MUST_CHECK bl_status bli_tf_fix_ranges(bli_tf_session *s);
/* What is read in place of w; w itself where that is no such range. */
bli_tf_wire bli_tf_fixed_wire(const bli_tf_session *s, bli_tf_wire w);

/* ---- joins (join.c, join_run.c) --------------------------------------------------------------------------------- */
/* Finds nodes that one kernel can do together. */
BL_MUST_CHECK bl_status bli_tf_join_find(bli_tf_session *s);
/* The range of a swallowed product's sums. */
BL_MUST_CHECK bl_status bli_tf_join_early(bli_tf_session *s, bli_tf_spot *p);
BL_MUST_CHECK bl_status bli_tf_join_run(bli_tf_session *s, bli_tf_spot *p);

/* ---- bytes by way of floats (table.c) --------------------------------------------------------------------------- */
BL_MUST_CHECK bl_status bli_tf_table_find(bli_tf_session *s); /* behind bli_tf_join_find */
BL_MUST_CHECK bl_status bli_tf_table_run(bli_tf_session *s, bli_tf_spot *p);

#endif
