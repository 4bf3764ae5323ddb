/* transform.h: graph to graph in TensorFlow's words: one file a transform, listed in tf/passes.c.
 *
 * A transform reads one graph and fills another; nodes of the first are shared, so they are copied before they change.
 * The compatible mode gives, node for node, what TensorFlow's own Graph Transform Tool gives, its defects included
 * where they neither crash nor hang; the other mode mends them (docs/tensorflow.md lists both).
 */
#ifndef BLI_TG_TRANSFORM_H
#define BLI_TG_TRANSFORM_H

#include "model/graphdef.h"

/* ---- the string of transforms (parse.c) ---------------------------------------------------------------------------
 */

typedef struct bli_tg_arg {
    const char *name;
    size_t num_values;
    const char **values; /* a parameter that is given again adds a value */
} bli_tg_arg;

typedef struct bli_tg_call {
    const char *name;
    size_t num_args;
    bli_tg_arg *args;
} bli_tg_call;

/* Whitespace between transforms; "name" or "name(parameter=value, ...)".  compat: an unclosed last one is dropped. */
BL_MUST_CHECK bl_status bli_tg_parse_calls(bli_tf_store *s, const char *text, bool compat, bli_tg_call **calls,
                                           size_t *count);

/* ---- a transform at work ------------------------------------------------------------------------------------------
 */

/* Names of nodes as a user gives them, perhaps with a port. */
typedef struct bli_tg_names {
    size_t count;
    const char **at;
} bli_tg_names;

/* What equalize changed of a node's value: channel c (of the last dimension), times by[c], is what it was. */
typedef struct bli_tg_scaled {
    const char *node;
    size_t count;
    float *by;
    struct bli_tg_scaled *next;
} bli_tg_scaled;

/* What transforms of one string tell those behind them. */
typedef struct bli_tg_notes {
    bli_arena *arena;
    bli_tg_scaled *scaled;
} bli_tg_notes;

typedef struct bli_tg_job {
    bl_context *ctx;
    bli_tf_store *store;
    const bli_tf_graph *origin; /* as it was before the first transform; NULL: the pass does not look back */
    bli_tg_notes *notes;
    bool compat;
    bli_tg_names inputs, outputs;
    const bli_tg_call *call;
} bli_tg_job;

typedef enum bli_tg_kind { BLI_TG_TEXT, BLI_TG_INT, BLI_TG_FLOAT, BLI_TG_BOOL } bli_tg_kind;

typedef struct bli_tg_param {
    const char *name; /* NULL ends a list */
    bli_tg_kind kind;
    bool many;        /* may be given again */
    const char *help; /* with the default */
} bli_tg_param;

typedef struct bli_tg_pass {
    const char *name, *help;
    const bli_tg_param *params;
    const char *ops; /* those that it is about, with '|' between; NULL: whatever is there */
    bool extension;  /* ours: TensorFlow's tool has none of that name */
    bool looks_back; /* at job->origin */
    const char *own; /* parameters that its transform of that name passes over, with '|' between */
    bl_status (*run)(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out);
} bli_tg_pass;

const bli_tg_pass *bli_tg_pass_at(size_t i); /* NULL past the last */

/* Runs the transforms on *g, one after the other, and leaves the last graph there; a failure leaves *g as it was. */
typedef struct bli_tg_options {
    bool compat;
    const char *inputs, *outputs; /* with commas between */
} bli_tg_options;
BL_MUST_CHECK bl_status bli_tg_transform(bli_tf_store *s, bli_tf_graph **g, const char *transforms,
                                         const bli_tg_options *o);
/* The same in less memory: what a transform has replaced is let go at once.  A failure, once transforms have begun,
 * leaves an empty graph; views of the caller's tensors end. */
BL_MUST_CHECK bl_status bli_tg_transform_in_place(bli_tf_store *s, bli_tf_graph **g, const char *transforms,
                                                  const bli_tg_options *o);
/* One transform by its name, for those that are made of others. */
BL_MUST_CHECK bl_status bli_tg_run_pass(const bli_tg_job *job, const char *name, const bli_tf_graph *in,
                                        bli_tf_graph **out);

/* ---- notes (notes.c) ----------------------------------------------------------------------------------------------
 */

BL_MUST_CHECK bl_status bli_tg_scaled_add(const bli_tg_job *job, const char *node, const float *by, size_t count);
const bli_tg_scaled *bli_tg_scaled_find(const bli_tg_job *job, const char *node); /* NULL: as it was */

/* ---- arguments (args.c) -------------------------------------------------------------------------------------------
 */

size_t bli_tg_arg_count(const bli_tg_job *job, const char *name);
const char *bli_tg_arg_value(const bli_tg_job *job, const char *name, size_t i);
/* The one value; absent: the other.  Two values, or what is no such value, fail. */
BL_MUST_CHECK bl_status bli_tg_arg_text(const bli_tg_job *job, const char *name, const char *other, const char **out);
BL_MUST_CHECK bl_status bli_tg_arg_int(const bli_tg_job *job, const char *name, int64_t other, int64_t *out);
BL_MUST_CHECK bl_status bli_tg_arg_float(const bli_tg_job *job, const char *name, float other, float *out);
BL_MUST_CHECK bl_status bli_tg_arg_bool(const bli_tg_job *job, const char *name, bool other, bool *out);
/* The one value of a parameter that must be there. */
BL_MUST_CHECK bl_status bli_tg_arg_required(const bli_tg_job *job, const char *name, const char **out);
/* Whether value is among those given; none given: true. */
bool bli_tg_arg_has(const bli_tg_job *job, const char *name, const char *value);

/* ---- names (edit.c) -----------------------------------------------------------------------------------------------
 */

bool bli_tg_names_has(const bli_tg_names *names, const char *name);      /* letter by letter */
bool bli_tg_names_has_node(const bli_tg_names *names, const char *name); /* whatever the port */
bool bli_tg_is_control(const char *input);
size_t bli_tg_data_inputs(const bli_tf_node *n);
/* Every input names a node. */
BL_MUST_CHECK bl_status bli_tg_check_inputs(const bli_tf_graph *g);

/* What inputs are called instead.  "x:*" stands for every port of x and for control. */
typedef struct bli_tg_renames {
    bli_tf_store *store;
    size_t count, room, mask;
    struct bli_tg_rename *at;
    size_t *slots;
} bli_tg_renames;
void bli_tg_renames_init(bli_tg_renames *r, bli_tf_store *s);
BL_MUST_CHECK bl_status bli_tg_renames_add(bli_tg_renames *r, const char *from, const char *to);
/* One rename only, not a chain. */
BL_MUST_CHECK bl_status bli_tg_renames_once(const bli_tg_renames *r, const char *input, const char **out);
/* Adds g's nodes to out with their inputs renamed; those of the nodes in keep (NULL: none) stay as they are. */
BL_MUST_CHECK bl_status bli_tg_rename_inputs(const bli_tg_renames *r, const bli_tf_graph *g, const bli_tg_names *keep,
                                             bli_tf_graph *out);

/* ---- order, patterns (sort.c, match.c) ----------------------------------------------------------------------------
 */

/* The execution order as indices; *count is short of all nodes when there is a cycle or an unknown input, and the
 * message then says which: BL_BAD_MODEL unless partial. */
BL_MUST_CHECK bl_status bli_tg_sort(const bli_tf_graph *g, bool partial, size_t **order, size_t *count);

/* op: "*", or names with '|' between.  No children: whatever the inputs are. */
typedef struct bli_tg_pattern {
    const char *op;
    size_t count;
    const struct bli_tg_pattern *inputs;
} bli_tg_pattern;
#define BLI_TG_PATTERN(op, ...)                                                                                        \
    {                                                                                                                  \
        op, sizeof((const bli_tg_pattern[]){__VA_ARGS__}) / sizeof(bli_tg_pattern), (const bli_tg_pattern[])           \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
bool bli_tg_op_is(const char *op, const char *choice);

typedef struct bli_tg_match {
    const bli_tf_node *node;
    size_t count;
    struct bli_tg_match *inputs;
} bli_tg_match;

/* The nodes that stand for a match are added to out. outside: matched nodes that others use. */
typedef struct bli_tg_found {
    const bli_tg_job *job;
    bli_tf_store *store;
    const bli_tg_match *match;
    bli_tg_names outside;
    void *user;
} bli_tg_found;
typedef bl_status (*bli_tg_replace_fn)(const bli_tg_found *f, bli_tf_graph *out);
typedef struct bli_tg_rule {
    const bli_tg_pattern *pattern;
    bli_tg_replace_fn replace;
    bool allow_loss; /* matched nodes that others use may go */
    void *user;
} bli_tg_rule;
/* *found (NULL: not asked): how many matches there were. */
BL_MUST_CHECK bl_status bli_tg_replace(const bli_tg_job *job, const bli_tf_graph *in, const bli_tg_rule *rule,
                                       bli_tf_graph *out, size_t *found);
/* Puts the matched nodes back as they were. */
BL_MUST_CHECK bl_status bli_tg_match_keep(const bli_tg_found *f, bli_tf_graph *out);
bool bli_tg_used_outside(const bli_tg_found *f, const bli_tf_node *n);

/* ---- making nodes (edit.c) ----------------------------------------------------------------------------------------
 */

/* A new node in out, with inputs (ended by NULL). */
BL_MUST_CHECK bl_status bli_tg_add_node(bli_tf_graph *out, const char *op, const char *name, const char *const *inputs,
                                        bli_tf_node **n);
/* A Const of raw bytes; data NULL: zeroed and handed out. */
BL_MUST_CHECK bl_status bli_tg_add_const(bli_tf_graph *out, const char *name, int dtype, int rank, const int64_t *dim,
                                         const void *data, void **content, bli_tf_node **n);
BL_MUST_CHECK bl_status bli_tg_add_float(bli_tf_graph *out, const char *name, float v);
BL_MUST_CHECK bl_status bli_tg_add_copy(bli_tf_graph *out, const bli_tf_node *n);
BL_MUST_CHECK bl_status bli_tg_set_type(bli_tf_store *s, bli_tf_node *n, const char *attr, int dtype);
/* The attribute of another node, which must be there. */
BL_MUST_CHECK bl_status bli_tg_copy_attr(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_node *from);
/* A Const's tensor, of that type (0: any). */
BL_MUST_CHECK bl_status bli_tg_const_view(bli_tf_store *s, const bli_tf_node *n, int dtype, bli_tf_tensor *out);

/* ---- what makes nodes equal (hash.c) ------------------------------------------------------------------------------
 */

uint64_t bli_tg_hash64(const void *data, size_t size); /* MurmurHash64A, seed 0xDECAFCAFFE */
/* The hash that orders merge_duplicate_nodes's result; nameless: two nodes that differ by name only have one. */
BL_MUST_CHECK bl_status bli_tg_node_hash(bli_tf_store *s, const bli_tf_node *n, bool nameless, uint64_t *out);

#endif
