/* clean.c: dropping what is dead, and bringing nodes into order.
 *
 * Kahn's algorithm with a heap that yields the lowest wish first (its own id, or that of the node a pass made it for):
 * the result is the topological order nearest to the old one, and a graph already in order keeps it.
 */
#include <string.h>

#include "graph/impl.h"

typedef struct heap {
    const bl_graph *g;
    int *item;
    size_t count;
} heap;

static bool before(const heap *h, int a, int b)
{
    int x = h->g->nodes[a]->order, y = h->g->nodes[b]->order;
    return x != y ? x < y : a < b;
}

static void heap_push(heap *h, int id)
{
    size_t at = h->count++;
    for (; at > 0 && before(h, id, h->item[(at - 1) / 2]); at = (at - 1) / 2)
        h->item[at] = h->item[(at - 1) / 2];
    h->item[at] = id;
}

static int heap_pop(heap *h)
{
    int top = h->item[0], last = h->item[--h->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && before(h, h->item[child + 1], h->item[child]))
            child++;
        if (!before(h, h->item[child], last))
            break;
        h->item[at] = h->item[child];
    }
    if (h->count)
        h->item[at] = last;
    return top;
}

/* The live node that makes input slot of node; -1 if it is no node's output. */
static int source(const bl_graph *g, const bli_node_slot *n, int slot)
{
    return n->inputs[slot] < 0 ? -1 : g->values[n->inputs[slot]]->value.producer;
}

/* Names the nodes of one cycle: from any node that still waits, walking back through waiting sources must return. */
static bl_status report_cycle(bl_graph *g, const int *waits)
{
    enum { SHOWN = 8 };
    int at = 0;
    while (waits[at] <= 0)
        at++;
    int *seen = bli_alloc_array(g->ctx, g->num_nodes, sizeof *seen);
    if (!seen)
        return BL_NO_MEMORY;
    while (!seen[at]++) {
        const bli_node_slot *n = g->nodes[at];
        int slot = 0;
        while (source(g, n, slot) < 0 || waits[source(g, n, slot)] <= 0)
            slot++;
        at = source(g, n, slot);
    }
    bli_free(g->ctx, seen);
    bl_status s = bli_fail(g->ctx, BL_BAD_MODEL, "'%s'", g->nodes[at]->node.name);
    int start = at, shown = 0;
    do {
        const bli_node_slot *n = g->nodes[at];
        int slot = 0;
        while (source(g, n, slot) < 0 || waits[source(g, n, slot)] <= 0)
            slot++;
        at = source(g, n, slot);
        if (++shown < SHOWN)
            s = bli_within(g->ctx, s, "'%s'", g->nodes[at]->node.name);
    } while (at != start && shown < SHOWN);
    return bli_within(g->ctx, s, "the graph has a cycle through nodes (each feeds the next)");
}

/* order[0..live) = old ids in new order. */
static bl_status sort_nodes(bl_graph *g, int *order, int *waits, heap *ready, size_t *live)
{
    size_t alive = 0;
    for (size_t i = 0; i < g->num_nodes; i++) {
        const bli_node_slot *n = g->nodes[i];
        if (!n->node.type)
            continue;
        alive++;
        for (int k = 0; k < n->node.num_inputs; k++)
            waits[i] += source(g, n, k) >= 0;
        if (waits[i] == 0)
            heap_push(ready, (int)i);
    }
    *live = 0;
    while (ready->count) {
        int id = heap_pop(ready);
        order[(*live)++] = id;
        const bli_node_slot *n = g->nodes[id];
        for (int k = 0; k < n->node.num_outputs; k++) {
            if (g->values[n->outputs[k]]->value.producer != id)
                continue;
            for (int u = g->values[n->outputs[k]]->first_use; u >= 0; u = g->uses[u].next)
                if (--waits[g->uses[u].node] == 0)
                    heap_push(ready, g->uses[u].node);
        }
    }
    return *live == alive ? BL_OK : report_cycle(g, waits);
}

static bool keep_value(const bli_value_slot *v)
{
    if (!v->value.name)
        return false;
    return v->value.role == BL_ROLE_INPUT || v->value.producer >= 0 || v->num_uses + v->num_outputs > 0;
}

static bl_status check_made(bl_graph *g)
{
    for (size_t i = 0; i < g->num_values; i++) {
        const bli_value_slot *v = g->values[i];
        if (v->value.name && v->value.role == BL_ROLE_COMPUTED && v->value.producer < 0 && keep_value(v))
            return bli_fail(g->ctx, BL_BAD_MODEL, "value '%s' is used but nothing makes it", v->value.name);
    }
    return BL_OK;
}

static void renumber_values(bl_graph *g, int *new_id)
{
    size_t kept = 0;
    bli_index_clear(&g->value_index);
    for (size_t i = 0; i < g->num_values; i++) {
        bli_value_slot *v = g->values[i];
        new_id[i] = keep_value(v) ? (int)kept : -1;
        if (new_id[i] < 0)
            continue;
        g->values[kept] = v;
        v->first_use = v->last_use = -1;
        v->num_uses = 0;
        bli_index_put(&g->value_index, v->value.name, (int)kept++);
    }
    g->num_values = kept;
    for (size_t i = 0; i < g->num_inputs; i++)
        g->inputs[i] = new_id[g->inputs[i]];
    for (size_t i = 0; i < g->num_outputs; i++)
        g->outputs[i] = new_id[g->outputs[i]];
}

static void renumber_nodes(bl_graph *g, bli_node_slot **sorted, size_t live, const int *new_value)
{
    bli_index_clear(&g->node_index);
    g->num_uses = 0;
    g->free_use = -1;
    for (size_t i = 0; i < live; i++) {
        bli_node_slot *n = g->nodes[i] = sorted[i];
        n->order = (int)i;
        bli_index_put(&g->node_index, n->node.name, (int)i);
        for (int k = 0; k < n->node.num_inputs; k++)
            bli_use_add(g, (int)i, k, n->inputs[k] < 0 ? -1 : new_value[n->inputs[k]]);
        for (int k = 0; k < n->node.num_outputs; k++) {
            n->outputs[k] = new_value[n->outputs[k]];
            g->values[n->outputs[k]]->value.producer = (int)i;
        }
    }
    g->num_nodes = live;
}

bl_status bli_graph_clean(bl_graph *g)
{
    BLI_TRY(check_made(g));
    size_t nodes = g->num_nodes, live = 0;
    int *order = bli_alloc_array(g->ctx, nodes, sizeof *order);
    int *waits = bli_alloc_array(g->ctx, nodes, sizeof *waits);
    heap ready = {g, bli_alloc_array(g->ctx, nodes, sizeof *ready.item), 0};
    bli_node_slot **sorted = bli_alloc_array(g->ctx, nodes, sizeof(void *));
    int *new_id = bli_alloc_array(g->ctx, g->num_values, sizeof *new_id);
    bl_status s = order && waits && ready.item && sorted && new_id ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK)
        s = sort_nodes(g, order, waits, &ready, &live);
    if (s == BL_OK) {
        for (size_t i = 0; i < live; i++)
            sorted[i] = g->nodes[order[i]];
        renumber_values(g, new_id);
        renumber_nodes(g, sorted, live, new_id);
    }
    bli_free(g->ctx, order);
    bli_free(g->ctx, waits);
    bli_free(g->ctx, ready.item);
    bli_free(g->ctx, sorted);
    bli_free(g->ctx, new_id);
    return s;
}
