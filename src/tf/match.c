/* match.c: patterns of operators in a graph, and what stands in their place.
 *
 * As in the original: nodes are tried as a pattern's head in execution order; a node of a match, also one that "*"
 * took, is not there for later matches of the same pass; the new nodes come where the head was.
 */
#include <string.h>

#include "tf/transform.h"

typedef struct matcher {
    const bli_tg_job *job;
    const bli_tf_graph *g;
    const bli_tg_rule *rule;
    bli_tf_index ix;
    size_t *first, *user; /* of node i: user[first[i] .. first[i + 1]), once an edge */
    bli_tg_match *head;   /* of node i; node NULL: none begins here */
    size_t *taken;        /* by which match (its head's place + 1) */
} matcher;

bool bli_tg_op_is(const char *op, const char *choice)
{
    size_t size = strlen(op);
    if (strcmp(choice, "*") == 0)
        return true;
    for (const char *p = choice; *p;) {
        size_t n = strcspn(p, "|");
        if (n == size && memcmp(p, op, n) == 0)
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static bl_status match_node(const matcher *m, const bli_tg_pattern *p, size_t at, bli_tg_match *match, bool *yes)
{
    const bli_tf_node *n = m->g->nodes[at];
    *yes = !m->taken[at] && bli_tg_op_is(n->op, p->op) && (p->count == 0 || bli_tg_data_inputs(n) == p->count);
    if (!*yes)
        return BL_OK;
    match->node = n;
    match->count = p->count;
    match->inputs = bli_tf_alloc_array(m->g->store, p->count, sizeof *match->inputs);
    if (!match->inputs)
        return BL_NO_MEMORY;
    for (size_t i = 0, k = 0; k < p->count && *yes; i++) {
        if (bli_tg_is_control(n->inputs[i]))
            continue;
        bli_tf_ref r = bli_tf_ref_parse(n->inputs[i]);
        size_t from = bli_tf_index_find(&m->ix, r.name, r.size);
        *yes = from != SIZE_MAX;
        if (*yes)
            BLI_TRY(match_node(m, &p->inputs[k], from, &match->inputs[k], yes));
        k++;
    }
    return BL_OK;
}

static void take(matcher *m, const bli_tg_match *match, size_t head)
{
    m->taken[bli_tf_index_find(&m->ix, match->node->name, strlen(match->node->name))] = head + 1;
    for (size_t i = 0; i < match->count; i++)
        take(m, &match->inputs[i], head);
}

static bl_status find_all(matcher *m, size_t *found)
{
    size_t *order, count;
    BLI_TRY(bli_tg_sort(m->g, true, &order, &count));
    for (size_t i = 0; i < count; i++) {
        bli_tg_match match;
        bool yes;
        BLI_TRY(match_node(m, m->rule->pattern, order[i], &match, &yes));
        if (!yes)
            continue;
        m->head[order[i]] = match;
        take(m, &match, order[i]);
        ++*found;
    }
    return BL_OK;
}

static bl_status find_users(matcher *m)
{
    size_t n = m->g->num_nodes, edges = 0;
    for (size_t i = 0; i < n; i++)
        edges += m->g->nodes[i]->num_inputs;
    m->first = bli_tf_alloc_array(m->g->store, n + 2, sizeof *m->first);
    m->user = bli_tf_alloc_array(m->g->store, edges + 1, sizeof *m->user);
    if (!m->first || !m->user)
        return BL_NO_MEMORY;
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < m->g->nodes[i]->num_inputs; k++) {
                bli_tf_ref r = bli_tf_ref_parse(m->g->nodes[i]->inputs[k]);
                size_t from = bli_tf_index_find(&m->ix, r.name, r.size);
                if (from == SIZE_MAX)
                    continue;
                if (turn == 0)
                    m->first[from + 1]++;
                else
                    m->user[m->first[from]++] = i;
            }
        for (size_t i = 1; turn == 0 && i <= n; i++)
            m->first[i] += m->first[i - 1];
    }
    memmove(m->first + 1, m->first, n * sizeof *m->first);
    m->first[0] = 0;
    return BL_OK;
}

/* ---- putting something else there ---------------------------------------------------------------------------------
 */

static bl_status add_name(bli_tf_store *s, bli_tg_names *names, const char *name)
{
    const char **at = bli_tf_alloc_array(s, names->count + 1, sizeof *at);
    if (!at)
        return BL_NO_MEMORY;
    if (names->count)
        memcpy(at, names->at, names->count * sizeof *at);
    at[names->count++] = name;
    names->at = at;
    return BL_OK;
}

/* A graph's outputs count as users where defects are mended. */
static bl_status find_outside(const matcher *m, const bli_tg_match *match, size_t head, bli_tg_names *outside)
{
    const char *name = match->node->name;
    size_t at = bli_tf_index_find(&m->ix, name, strlen(name));
    bool used = !m->job->compat && bli_tg_names_has_node(&m->job->outputs, name);
    for (size_t k = m->first[at]; k < m->first[at + 1] && !used; k++)
        used = m->taken[m->user[k]] != head + 1;
    if (used && !bli_tg_names_has(outside, name))
        BLI_TRY(add_name(m->g->store, outside, name));
    for (size_t i = 0; i < match->count; i++)
        BLI_TRY(find_outside(m, &match->inputs[i], head, outside));
    return BL_OK;
}

bool bli_tg_used_outside(const bli_tg_found *f, const bli_tf_node *n)
{
    return bli_tg_names_has(&f->outside, n->name);
}

static bool has_node(const bli_tf_graph *g, size_t from, const char *name)
{
    for (size_t i = from; i < g->num_nodes; i++)
        if (strcmp(g->nodes[i]->name, name) == 0)
            return true;
    return false;
}

/* The head, then what its inputs match, each with its own first; a node that is there twice comes once. */
static bl_status keep(const bli_tg_match *match, size_t from, bli_tf_graph *out)
{
    if (!has_node(out, from, match->node->name))
        BLI_TRY(bli_tg_add_copy(out, match->node));
    for (size_t i = 0; i < match->count; i++)
        BLI_TRY(keep(&match->inputs[i], from, out));
    return BL_OK;
}

bl_status bli_tg_match_keep(const bli_tg_found *f, bli_tf_graph *out)
{
    return keep(f->match, out->num_nodes, out);
}

/* Taking nodes back from the end of a graph. */
static void shorten(bli_tf_graph *g, size_t size)
{
    while (g->num_nodes > size)
        g->nodes[--g->num_nodes] = NULL;
}

static bl_status replace_one(const matcher *m, size_t head, bli_tf_graph *out)
{
    bli_tg_found f = {m->job, m->g->store, &m->head[head], {0, NULL}, m->rule->user};
    size_t from = out->num_nodes;
    BLI_TRY(find_outside(m, f.match, head, &f.outside));
    BLI_TRY(m->rule->replace(&f, out));
    for (size_t i = 0; i < f.outside.count && !m->rule->allow_loss; i++)
        if (!has_node(out, from, f.outside.at[i])) {
            bli_log(m->job->ctx, BL_LOG_WARNING, "%s: node '%s' would be lost and others use it; left as it was",
                    m->job->call->name, f.outside.at[i]);
            shorten(out, from);
            return bli_tg_match_keep(&f, out);
        }
    return BL_OK;
}

static bl_status run(matcher *m, bli_tf_graph *out, size_t *found)
{
    size_t n = m->g->num_nodes;
    m->head = bli_tf_alloc_array(m->g->store, n + 1, sizeof *m->head);
    m->taken = bli_tf_alloc_array(m->g->store, n + 1, sizeof *m->taken);
    if (!m->head || !m->taken)
        return BL_NO_MEMORY;
    BLI_TRY(find_users(m));
    BLI_TRY(find_all(m, found));
    for (size_t i = 0; i < n; i++) {
        if (m->head[i].node)
            BLI_TRY(replace_one(m, i, out));
        else if (!m->taken[i])
            BLI_TRY(bli_tf_graph_add(out, m->g->nodes[i]));
    }
    return BL_OK;
}

bl_status bli_tg_replace(const bli_tg_job *job, const bli_tf_graph *in, const bli_tg_rule *rule, bli_tf_graph *out,
                         size_t *found)
{
    matcher m = {.job = job, .g = in, .rule = rule};
    size_t count = 0;
    BLI_TRY(bli_tf_index_make(in, &m.ix));
    bl_status s = run(&m, out, &count);
    bli_tf_index_free(&m.ix);
    if (found)
        *found = count;
    return s;
}
