/* pass_merge_duplicate_nodes.c: of nodes that differ by name only, one.
 *
 * Nodes come out in the order of their hashes, as in the original.  Nodes with state stay, and so do inputs and
 * outputs.
 */
#include <stdlib.h>
#include <string.h>

#include "tf/opdef.h"
#include "tf/transform.h"

typedef struct entry {
    uint64_t hash;
    size_t place;
    bli_tf_node *node;
} entry;

static int by_hash(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static bool is_named(const bli_tg_job *job, const char *name)
{
    if (job->compat) /* letter by letter, so that "x:0" protects nothing */
        return bli_tg_names_has(&job->inputs, name) || bli_tg_names_has(&job->outputs, name);
    return bli_tg_names_has_node(&job->inputs, name) || bli_tg_names_has_node(&job->outputs, name);
}

static bl_status keeps_state(const bli_tf_graph *g, const bli_tf_node *n, bool *out)
{
    const bli_tf_opdef *def;
    BLI_TRY(bli_tf_opdef_of(g, n, &def));
    *out = def && def->stateful;
    return BL_OK;
}

static bl_status sorted(const bli_tg_job *job, const bli_tf_graph *g, entry **out)
{
    entry *e = bli_tf_alloc_array(job->store, g->num_nodes + 1, sizeof *e);
    if (!e)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < g->num_nodes; i++) {
        e[i] = (entry){0, i, g->nodes[i]};
        BLI_TRY(bli_tg_node_hash(job->store, g->nodes[i], !is_named(job, g->nodes[i]->name), &e[i].hash));
    }
    qsort(e, g->num_nodes, sizeof *e, by_hash);
    *out = e;
    return BL_OK;
}

/* One round; *dropped: how many went. */
static bl_status merge(const bli_tg_job *job, const bli_tf_graph *g, bli_tf_graph *out, size_t *dropped)
{
    bli_tg_renames renames;
    entry *e;
    bli_tf_graph *kept = bli_tf_graph_like(g);
    bli_tg_renames_init(&renames, job->store);
    if (!kept)
        return BL_NO_MEMORY;
    BLI_TRY(sorted(job, g, &e));
    *dropped = 0;
    for (size_t i = 0, first = 0; i < g->num_nodes; i++) {
        bool state;
        if (e[i].hash != e[first].hash)
            first = i;
        BLI_TRY(keeps_state(g, e[i].node, &state));
        if (i == first || state) {
            BLI_TRY(bli_tf_graph_add(kept, e[i].node));
            continue;
        }
        char *all = bli_tf_text(job->store, "%s:*", e[i].node->name);
        if (!all)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_renames_add(&renames, all, e[first].node->name));
        ++*dropped;
    }
    return bli_tg_rename_inputs(&renames, kept, NULL, out);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tf_graph *g = in;
    for (;;) {
        size_t dropped;
        bli_tf_graph *next = bli_tf_graph_like(in);
        if (!next)
            return BL_NO_MEMORY;
        BLI_TRY(merge(job, g, next, &dropped));
        g = next;
        if (dropped == 0)
            break;
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    return BL_OK;
}

const bli_tg_pass bli_tg_merge_duplicate_nodes = {
    .name = "merge_duplicate_nodes", .help = "of nodes that differ by name only keeps one", .run = run};
