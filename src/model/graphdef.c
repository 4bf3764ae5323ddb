/* graphdef.c: a graph's list of nodes, its index by name, and the names of inputs.
 *
 * A graph is an ordered list and nothing more: who reads whom is in the nodes' input strings.
 */
#include "model/graphdef.h"

#include <string.h>

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

bli_tf_graph *bli_tf_graph_make(bli_tf_store *s)
{
    bli_tf_graph *g = bli_tf_alloc(s, sizeof *g);
    if (g)
        g->store = s;
    return g;
}

bli_tf_graph *bli_tf_graph_like(const bli_tf_graph *g)
{
    bli_tf_graph *copy = bli_tf_alloc(g->store, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *g;
    copy->nodes = NULL;
    copy->num_nodes = copy->room = 0;
    return copy;
}

bl_status bli_tf_graph_add(bli_tf_graph *g, bli_tf_node *n)
{
    if (!n)
        return BL_NO_MEMORY;
    if (g->num_nodes == g->room) {
        size_t room = g->room ? 2 * g->room : 16;
        bli_tf_node **nodes = bli_tf_alloc_array(g->store, room, sizeof *nodes);
        if (!nodes)
            return BL_NO_MEMORY;
        if (g->num_nodes)
            memcpy(nodes, g->nodes, g->num_nodes * sizeof *nodes);
        g->nodes = nodes;
        g->room = room;
    }
    g->nodes[g->num_nodes++] = n;
    return BL_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* The digits behind a colon as a port; -1 for anything else. */
static int port_of(const char *digits)
{
    int port = 0;
    if (!*digits)
        return -1;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9' || port > (INT32_MAX - 9) / 10)
            return -1;
        port = 10 * port + (*digits - '0');
    }
    return port;
}

bli_tf_ref bli_tf_ref_parse(const char *input)
{
    bli_tf_ref r = {.control = input[0] == '^'};
    r.name = input + r.control;
    r.size = strcspn(r.name, ":");
    r.rest = r.name + r.size;
    r.port = r.rest[0] == ':' ? port_of(r.rest + 1) : 0;
    return r;
}

bool bli_tf_ref_is(const bli_tf_ref *r, const char *name)
{
    return strlen(name) == r->size && memcmp(r->name, name, r->size) == 0;
}

char *bli_tf_ref_canonical(bli_tf_store *s, const char *input)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    return bli_tf_text(s, "%s%s", input, r.rest[0] ? "" : ":0");
}

char *bli_tf_ref_node(bli_tf_store *s, const char *input)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    return bli_tf_text_copy(s, r.name, r.size);
}

/* ---- index ----------------------------------------------------------------------------------------------------- */

/* The slot of a name: where it is, or the empty one where it belongs. */
static size_t slot_of(const bli_tf_index *ix, const char *name, size_t size)
{
    size_t slot = (size_t)bli_hash(name, size) & ix->mask;
    for (; ix->slots[slot]; slot = (slot + 1) & ix->mask) {
        const char *there = ix->g->nodes[ix->slots[slot] - 1]->name;
        if (strncmp(there, name, size) == 0 && there[size] == 0)
            break;
    }
    return slot;
}

bl_status bli_tf_index_make(const bli_tf_graph *g, bli_tf_index *ix)
{
    size_t room = 16;
    while (room < 2 * g->num_nodes)
        room *= 2;
    *ix = (bli_tf_index){.ctx = bli_tf_store_context(g->store), .g = g, .mask = room - 1};
    ix->slots = bli_alloc_array(ix->ctx, room, sizeof *ix->slots);
    if (!ix->slots)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < g->num_nodes; i++) {
        const char *name = g->nodes[i]->name;
        size_t slot = slot_of(ix, name, strlen(name));
        if (ix->slots[slot]) {
            size_t first = ix->slots[slot] - 1;
            bli_tf_index_free(ix);
            return bli_fail(ix->ctx, BL_BAD_MODEL, "node '%s' is there twice: node %zu (%s) and node %zu (%s)", name,
                            first, g->nodes[first]->op, i, g->nodes[i]->op);
        }
        ix->slots[slot] = i + 1;
    }
    return BL_OK;
}

void bli_tf_index_free(bli_tf_index *ix)
{
    bli_free(ix->ctx, ix->slots);
    ix->slots = NULL;
}

size_t bli_tf_index_find(const bli_tf_index *ix, const char *name, size_t size)
{
    size_t at = ix->slots[slot_of(ix, name, size)];
    return at ? at - 1 : SIZE_MAX;
}

bli_tf_node *bli_tf_index_input(const bli_tf_index *ix, const char *input)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    size_t at = bli_tf_index_find(ix, r.name, r.size);
    return at == SIZE_MAX ? NULL : ix->g->nodes[at];
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static bl_status check_inputs(const bli_tf_index *ix, const bli_tf_node *n)
{
    bool control = false;
    for (size_t i = 0; i < n->num_inputs; i++) {
        bli_tf_ref r = bli_tf_ref_parse(n->inputs[i]);
        if (control && !r.control)
            return bli_fail(ix->ctx, BL_BAD_MODEL, "node '%s' (%s): input %zu, '%s', comes after a control input",
                            n->name, n->op, i, n->inputs[i]);
        if (bli_tf_index_find(ix, r.name, r.size) == SIZE_MAX)
            return bli_fail(ix->ctx, BL_BAD_MODEL, "node '%s' (%s): input %zu, '%s', is no node of this graph", n->name,
                            n->op, i, n->inputs[i]);
        control = r.control;
    }
    return BL_OK;
}

bl_status bli_tf_graph_check(const bli_tf_graph *g)
{
    bli_tf_index ix;
    BLI_TRY(bli_tf_index_make(g, &ix));
    bl_status s = BL_OK;
    for (size_t i = 0; s == BL_OK && i < g->num_nodes; i++)
        s = check_inputs(&ix, g->nodes[i]);
    bli_tf_index_free(&ix);
    return s;
}
