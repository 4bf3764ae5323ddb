/* impl.h: what a graph is made of; seen only inside src/graph.
 *
 * Values and nodes live in the graph's arena and never move, so a pointer to one stays good until the graph is
 * destroyed; only the tables of pointers grow.  Every input slot of a live node is a link in its value's list of uses,
 * so replacing or counting uses costs what changes, not the size of the graph.  Nothing is given back before the graph
 * is destroyed: edits are few beside the tensors.
 */
#ifndef BLI_GRAPH_IMPL_H
#define BLI_GRAPH_IMPL_H

#include "graph/graph.h"

/* Names to ids.  An entry whose owner no longer has that name is stale: it is skipped on lookup and dropped when the
 * index is rebuilt (bli_graph_clean). */
typedef struct bli_index {
    struct bli_index_slot {
        uint64_t hash;
        int id_plus_one; /* 0: empty */
    } * slots;
    size_t capacity, used; /* capacity is 0 or a power of two; used <= capacity / 2 */
} bli_index;
typedef const char *(*bli_name_fn)(const bl_graph *g, int id);

typedef struct bli_use {
    int node, slot;
    int prev, next; /* within the value's list; -1 ends it */
} bli_use;

typedef struct bli_value_slot {
    bl_value value;
    int first_use, last_use, num_uses; /* node inputs, in the order in which they were made */
    int num_outputs;                   /* how often it is an output of the graph */
} bli_value_slot;

typedef struct bli_node_slot {
    bl_node node;
    int *inputs, *outputs; /* the same arrays as node's, writable */
    int *uses;             /* per input slot: index into bl_graph.uses, -1 where absent */
    int order;             /* where cleaning would like it: its id, or that of the node it was made for */
} bli_node_slot;

typedef struct bli_meta {
    const char *key, *value; /* value NULL: removed */
} bli_meta;

struct bl_graph {
    bl_context *ctx;
    bli_arena *arena;
    const char *name;
    bli_value_slot **values;
    bli_node_slot **nodes;
    bli_use *uses;
    bli_meta *meta;
    int *inputs, *outputs;
    size_t num_values, num_nodes, num_uses, num_meta, num_inputs, num_outputs;
    size_t cap_values, cap_nodes, cap_uses, cap_meta, cap_inputs, cap_outputs;
    bli_index value_index, node_index, meta_index;
    int free_use; /* chain through next, -1 if none */
    int fresh;    /* counter behind made-up names */
};

/* More than any network: the tables of pointers stay below 1 GiB. */
enum { BLI_GRAPH_CEILING = 1 << 24 };

/* Room for extra more entries of size bytes each in *array; the array is unchanged on failure. */
bl_status bli_grow(bl_context *ctx, void *array, size_t *capacity, size_t count, size_t extra, size_t size);

bl_status bli_index_reserve(bl_context *ctx, bli_index *ix, size_t extra);
void bli_index_put(bli_index *ix, const char *name, int id); /* room must have been reserved */
int bli_index_find(const bli_index *ix, const bl_graph *g, bli_name_fn name_of, const char *name);
void bli_index_clear(bli_index *ix);

const char *bli_value_name(const bl_graph *g, int id);
const char *bli_node_name(const bl_graph *g, int id);

/* A link for input slot of node; room for it was reserved by growing uses. */
void bli_use_add(bl_graph *g, int node, int slot, int value);

bl_status bli_attrs_copy(bli_arena *arena, const bl_attr *attrs, int count, const bl_attr **out);
bl_status bli_tensor_copy(bli_arena *arena, const bl_tensor *t, void **data);

#endif
