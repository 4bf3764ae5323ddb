/* pass_obfuscate_names.c: short names that say nothing, but for inputs and outputs. */
#include "tf/transform.h"

enum { BASE = 62 };

static bool is_protected(const bli_tg_job *job, const char *name)
{
    if (job->compat) /* letter by letter, so that "x:0" protects nothing */
        return bli_tg_names_has(&job->inputs, name) || bli_tg_names_has(&job->outputs, name);
    return bli_tg_names_has_node(&job->inputs, name) || bli_tg_names_has_node(&job->outputs, name);
}

static char *number(const bli_tg_job *job, size_t k)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char text[16], *p = text + sizeof text;
    *--p = '\0';
    do {
        *--p = digits[k % BASE];
        k /= BASE;
    } while (k);
    return bli_tf_text(job->store, "%s", p);
}

static bl_status name_nodes(const bli_tg_job *job, const bli_tf_graph *in, bli_tg_renames *renames, bli_tf_graph *out)
{
    size_t k = 0;
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (!is_protected(job, n->name)) {
            char *to, *all = bli_tf_text(job->store, "%s:*", n->name);
            do {
                to = number(job, k++);
            } while (to && is_protected(job, to));
            if (!to || !all)
                return BL_NO_MEMORY;
            BLI_TRY(bli_tg_renames_add(renames, all, to));
            n->name = to;
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

/* Once each: a short name may be what another node was called. */
static bl_status name_inputs(const bli_tg_renames *renames, bli_tf_graph *g)
{
    for (size_t i = 0; i < g->num_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->num_inputs; k++)
            BLI_TRY(bli_tg_renames_once(renames, g->nodes[i]->inputs[k], &g->nodes[i]->inputs[k]));
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tg_renames_init(&renames, job->store);
    BLI_TRY(bli_tg_check_inputs(in));
    BLI_TRY(name_nodes(job, in, &renames, out));
    return name_inputs(&renames, out);
}

const bli_tg_pass bli_tg_obfuscate_names = {
    .name = "obfuscate_names", .help = "names nodes 0, 1, 2, ... but inputs and outputs", .run = run};
