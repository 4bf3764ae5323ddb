/* pass_fold_moments.c: mean and variance as one Moments node, as a version of TensorFlow once did.
 *
 * No TensorFlow has that operator, so only the compatible mode makes it; the other says so and leaves the graph alone.
 */
#include <string.h>

#include "tf/transform.h"

static const bli_tg_pattern variance = BLI_TG_PATTERN(
    "Mean",
    BLI_TG_PATTERN("Mul",
                   BLI_TG_PATTERN("Sub", {"*", 0, NULL}, BLI_TG_PATTERN("Mean", {"*", 0, NULL}, {"Const", 0, NULL})),
                   {"*", 0, NULL}),
    {"Const", 0, NULL});

static bl_status add_moments(bli_tf_store *s, const bli_tf_node *from, const char *name, const char *axes,
                             bli_tf_graph *out)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(out, "Moments", name, (const char *[]){from->inputs[0], axes, NULL}, &n));
    BLI_TRY(bli_tg_set_type(s, n, "T", BLI_DT_FLOAT));
    BLI_TRY(bli_tg_copy_attr(s, n, "keep_dims", from));
    return bli_tg_copy_attr(s, n, "Tidx", from);
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *sub = &f->match->inputs[0].inputs[0], *m = &sub->inputs[1];
    bli_tf_store *s = f->store;
    bli_tf_node *axes;
    char *name = bli_tf_text(s, "%s__moments", m->node->name), *axes_name = bli_tf_text(s, "%s_axes", m->node->name);
    char *first = bli_tf_text(s, "%s__moments:0", m->node->name),
         *second = bli_tf_text(s, "%s__moments:1", m->node->name);
    if (!name || !axes_name || !first || !second)
        return BL_NO_MEMORY;
    if (strcmp(sub->node->inputs[0], m->node->inputs[0]) != 0)
        return bli_fail(f->job->ctx, BL_BAD_MODEL,
                        "node '%s' (Sub): input '%s'; expected '%s', which node '%s' (Mean) has", sub->node->name,
                        sub->node->inputs[0], m->node->inputs[0], m->node->name);
    BLI_TRY(bli_tg_renames_add(f->user, m->node->name, first));
    BLI_TRY(bli_tg_renames_add(f->user, f->match->node->name, second));
    BLI_TRY(add_moments(s, m->node, name, axes_name, out));
    BLI_TRY(bli_tg_add_node(out, "Const", axes_name, NULL, &axes));
    BLI_TRY(bli_tg_copy_attr(s, axes, "dtype", m->inputs[1].node));
    BLI_TRY(bli_tg_copy_attr(s, axes, "value", m->inputs[1].node));
    return bli_tg_add_copy(out, m->inputs[0].node);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    const bli_tg_rule rule = {&variance, replace, true, &renames};
    bli_tf_graph *folded = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, in->store);
    if (!folded)
        return BL_NO_MEMORY;
    if (job->compat) {
        BLI_TRY(bli_tg_replace(job, in, &rule, folded, NULL));
        return bli_tg_rename_inputs(&renames, folded, NULL, out);
    }
    bli_log(job->ctx, BL_LOG_WARNING,
            "fold_moments: the operator Moments, which it makes, is in no TensorFlow; nothing is "
            "folded without --compat");
    for (size_t i = 0; i < in->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, in->nodes[i]));
    return BL_OK;
}

const bli_tg_pass bli_tg_fold_moments = {.name = "fold_moments",
                                         .help = "mean and variance as one Moments node, which no TensorFlow runs",
                                         .ops = "Mean",
                                         .extension = true,
                                         .run = run};
