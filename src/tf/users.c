/* users.c: the edges of a graph, sorted by where they come from. */
#include "tf/users.h"

#include <string.h>

static size_t producer(const bli_tg_users *u, const char *input, int *port)
{
    const bli_tf_ref r = bli_tf_ref_parse(input);
    *port = r.control ? -1 : r.port;
    return bli_tf_index_find(&u->ix, r.name, r.size);
}

/* Counts, then starts of lists, then the lists: at each step first[i] is where the next use of node i - 1 goes. */
static bl_status sort_uses(bli_tg_users *u)
{
    const size_t n = u->g->num_nodes;
    size_t edges = 0;
    int port;
    for (size_t i = 0; i < n; i++)
        edges += u->g->nodes[i]->num_inputs;
    u->first = bli_alloc_array(u->ix.ctx, n + 2, sizeof *u->first);
    u->at = bli_alloc_array(u->ix.ctx, edges + 1, sizeof *u->at);
    if (!u->first || !u->at)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < u->g->nodes[i]->num_inputs; k++) {
            const size_t from = producer(u, u->g->nodes[i]->inputs[k], &port);
            if (from != SIZE_MAX)
                u->first[from + 2]++;
        }
    for (size_t i = 2; i < n + 2; i++)
        u->first[i] += u->first[i - 1];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < u->g->nodes[i]->num_inputs; k++) {
            const size_t from = producer(u, u->g->nodes[i]->inputs[k], &port);
            if (from != SIZE_MAX)
                u->at[u->first[from + 1]++] = (bli_tg_use){u->g->nodes[i], k, port};
        }
    return BL_OK;
}

bl_status bli_tg_users_make(const bli_tf_graph *g, bli_tg_users *out)
{
    *out = (bli_tg_users){.g = g};
    BLI_TRY(bli_tf_index_make(g, &out->ix));
    bl_status s = sort_uses(out);
    if (s != BL_OK)
        bli_tg_users_free(out);
    return s;
}

void bli_tg_users_free(bli_tg_users *u)
{
    bli_free(u->ix.ctx, u->first);
    bli_free(u->ix.ctx, u->at);
    bli_tf_index_free(&u->ix);
    *u = (bli_tg_users){.g = NULL};
}

const bli_tg_use *bli_tg_users_of(const bli_tg_users *u, const char *name, size_t *count)
{
    const size_t i = bli_tf_index_find(&u->ix, name, strlen(name));
    *count = i == SIZE_MAX ? 0 : u->first[i + 1] - u->first[i];
    return i == SIZE_MAX ? NULL : u->at + u->first[i];
}

/* ---- what nobody reads any more ----------------------------------------------------------------------------------
 */

typedef struct dropping {
    const bli_tg_job *job;
    const bli_tg_users *before, *now;
    size_t *left;  /* readers of each node that stay */
    size_t *queue; /* nodes to drop */
    size_t count;
} dropping;

static void look(dropping *d, size_t i)
{
    const bli_tf_node *n = d->now->g->nodes[i];
    size_t were;
    bli_tg_users_of(d->before, n->name, &were);
    if (d->left[i] == 0 && were > 0 && !bli_tg_names_has_node(&d->job->outputs, n->name) &&
        !bli_tg_names_has_node(&d->job->inputs, n->name))
        d->queue[d->count++] = i;
}

static bl_status drop(dropping *d, bli_tf_graph *out)
{
    const bli_tf_graph *g = d->now->g;
    for (size_t i = 0; i < g->num_nodes; i++) {
        d->left[i] = d->now->first[i + 1] - d->now->first[i];
        look(d, i);
    }
    for (size_t q = 0; q < d->count; q++) {
        const bli_tf_node *n = g->nodes[d->queue[q]];
        for (size_t k = 0; k < n->num_inputs; k++) {
            int port;
            const size_t from = producer(d->now, n->inputs[k], &port);
            if (from != SIZE_MAX && --d->left[from] == 0)
                look(d, from);
        }
        d->left[d->queue[q]] = SIZE_MAX; /* gone */
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        if (d->left[i] != SIZE_MAX)
            BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    return BL_OK;
}

bl_status bli_tg_drop_unread(const bli_tg_job *job, const bli_tf_graph *before, const bli_tf_graph *g,
                             bli_tf_graph *out)
{
    bli_tg_users old, now;
    BLI_TRY(bli_tg_users_make(before, &old));
    bl_status s = bli_tg_users_make(g, &now);
    if (s == BL_OK) {
        dropping d = {job,
                      &old,
                      &now,
                      bli_alloc_array(job->ctx, g->num_nodes + 1, sizeof(size_t)),
                      bli_alloc_array(job->ctx, g->num_nodes + 1, sizeof(size_t)),
                      0};
        s = d.left && d.queue ? drop(&d, out) : BL_NO_MEMORY;
        bli_free(job->ctx, d.left);
        bli_free(job->ctx, d.queue);
        bli_tg_users_free(&now);
    }
    bli_tg_users_free(&old);
    return s;
}
