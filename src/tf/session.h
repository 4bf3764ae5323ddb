/* session.h: runs a TensorFlow graph: named tensors in, named tensors out.
 *
 * A session belongs to a graph, which must not change while it lives.  What depends on constants alone is computed once
 * and kept.  Nodes run in an order that respects data and control inputs; a cycle, an operator that is not known and a
 * reference to no node are refused by name, and only among what the fetches need.
 */
#ifndef BLI_TF_SESSION_H
#define BLI_TF_SESSION_H

#include "tf/op.h"

/* A tensor that counts its users; the data may be shared, and is never written once made. */
typedef struct bli_tf_block bli_tf_block;
typedef struct bli_tf_array {
    int dtype;
    bl_shape shape;
    void *data;          /* strings: bli_tf_bytes */
    bli_tf_block *block; /* NULL: somebody else's memory, which outlives the array */
} bli_tf_array;
void bli_tf_array_release(bli_tf_array *a); /* leaves it empty */

/* name: "node" or "node:port".  The array stays the caller's. */
typedef struct bli_tf_feed {
    const char *name;
    bli_tf_array value;
} bli_tf_feed;

typedef struct bli_tf_session_options {
    bool plain;        /* every node by itself, none of the joined kernels; the bits are the same */
    size_t most_bytes; /* of all tensors alive at once; 0: BLI_TF_SESSION_BYTES */
    size_t most_turns; /* of all loops of a run; 0: BLI_TF_SESSION_TURNS */
    /* Called after each node that ran, with its time in nanoseconds and the bytes of its outputs; may be NULL. */
    void (*on_node)(void *user, const bli_tf_node *n, int64_t nanoseconds, const bli_tf_array *out, int num_out);
    /* What Print nodes say, one line each; NULL: nowhere. */
    void (*on_print)(void *user, const char *line);
    /* Called after each node's own rule (so plain must be set), with all that it read and made; a failure ends the run.
     * NULL: nobody looks. */
    bl_status (*on_call)(void *user, const bli_tf_call *c);
    void *user;
} bli_tf_session_options;
#define BLI_TF_SESSION_BYTES ((size_t)8 << 30)
#define BLI_TF_SESSION_TURNS ((size_t)1 << 20)

typedef struct bli_tf_session bli_tf_session;
/* options NULL: all zero. */
BL_MUST_CHECK bl_status bli_tf_session_create(const bli_tf_graph *g, const bli_tf_session_options *options,
                                              bli_tf_session **out);
void bli_tf_session_destroy(bli_tf_session *s); /* NULL is fine; arrays that were fetched stay valid */
/* On failure all of out are empty. */
BL_MUST_CHECK bl_status bli_tf_session_run(bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds,
                                           const char *const *fetches, size_t num_fetches, bli_tf_array *out);

/* ---- without running ------------------------------------------------------------------------------------------- */

/* Whether the runtime has this operator, and whether a node with constant inputs may be replaced by its value: it has
 * no state, prints nothing and is not fed. */
bool bli_tf_evaluable(const char *op);
bool bli_tf_foldable(const char *op);

/* What is known of every output of every node before running.  Operators that the runtime does not know have unknown
 * outputs; a node whose inputs contradict it is an error.  Lives in an arena. */
typedef struct bli_tf_shapes {
    const bli_tf_arg *const *out; /* [node][port] */
    const int *num_out;
} bli_tf_shapes;
BL_MUST_CHECK bl_status bli_tf_infer_graph(const bli_tf_graph *g, bli_arena *arena, bli_tf_shapes *out);

#endif
