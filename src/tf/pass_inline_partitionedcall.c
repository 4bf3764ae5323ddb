/* pass_inline_partitionedcall.c: the body of a function where it is called.
 *
 * One level; StatefulPartitionedCall stays, and so does the function library.
 */
#include <string.h>

#include "tf/transform.h"

typedef struct inliner {
    const bli_tg_job *job;
    const bli_tf_node *call;
    const BliTf__FunctionDef *f;
} inliner;

static bl_status find_function(const bli_tg_job *job, const bli_tf_graph *g, inliner *in)
{
    const bli_tf_value *v = bli_tf_node_attr(in->call, "f");
    if (!v || v->value_case != BLI_TF__ATTR_VALUE__VALUE_FUNC || !v->func->name)
        return bli_fail(job->ctx, BL_BAD_MODEL, "node '%s' (PartitionedCall): attribute 'f' names no function",
                        in->call->name);
    for (size_t i = 0; g->library && i < g->library->n_function; i++) {
        in->f = g->library->function[i];
        if (in->f->signature && in->f->signature->name && strcmp(in->f->signature->name, v->func->name) == 0)
            break;
        in->f = NULL;
    }
    if (!in->f)
        return bli_fail(job->ctx, BL_NOT_FOUND, "node '%s' (PartitionedCall): no function '%s' in the library",
                        in->call->name, v->func->name);
    size_t given = bli_tg_data_inputs(in->call), taken = in->f->signature->n_input_arg;
    if (given != taken)
        return bli_fail(job->ctx, BL_BAD_MODEL, "node '%s' (PartitionedCall): %zu inputs; function '%s' takes %zu",
                        in->call->name, given, v->func->name, taken);
    return BL_OK;
}

/* "arg" of the body as the call's input, "a:out:0" as "call/a:0", "^a" as "^call/a". */
static bl_status outer_name(const inliner *in, const char *input, const char **out)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    for (size_t i = 0; i < in->f->signature->n_input_arg; i++)
        if (!r.control && bli_tf_ref_is(&r, in->f->signature->input_arg[i]->name)) {
            *out = in->call->inputs[i];
            return BL_OK;
        }
    const char *last = strrchr(r.rest, ':');
    *out = bli_tf_text(in->job->store, "%s%s/%.*s%s", r.control ? "^" : "", in->call->name, (int)r.size, r.name,
                       last ? last : "");
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status add_body(const inliner *in, const bli_tf_graph *g, bli_tf_graph *out)
{
    bli_tf_graph *body = bli_tf_graph_make(g->store);
    if (!body)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < in->f->n_node_def; i++) {
        BLI_TRY(bli_tf_graph_add_def(body, in->f->node_def[i]));
        bli_tf_node *n = bli_tf_node_copy(g->store, body->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        n->name = bli_tf_text(g->store, "%s/%s", in->call->name, n->name);
        if (!n->name)
            return BL_NO_MEMORY;
        for (size_t k = 0; k < n->num_inputs; k++)
            BLI_TRY(outer_name(in, n->inputs[k], &n->inputs[k]));
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const char *returned(const BliTf__FunctionDef *f, const char *name)
{
    for (size_t i = 0; i < f->n_ret; i++)
        if (strcmp(f->ret[i]->key, name) == 0)
            return f->ret[i]->value;
    return NULL;
}

/* The call's outputs by the names that the body gives them. */
static bl_status add_renames(const inliner *in, bli_tg_renames *renames)
{
    for (size_t i = 0; i < in->f->signature->n_output_arg; i++) {
        const char *name = in->f->signature->output_arg[i]->name, *ret = returned(in->f, name), *to;
        if (!ret)
            return bli_fail(in->job->ctx, BL_BAD_MODEL, "function '%s': nothing is returned for output '%s'",
                            in->f->signature->name, name);
        char *port = bli_tf_text(in->job->store, "%s:%zu", in->call->name, i);
        if (!port)
            return BL_NO_MEMORY;
        BLI_TRY(outer_name(in, ret, &to));
        BLI_TRY(bli_tg_renames_add(renames, port, to));
    }
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tf_graph *inlined = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, job->store);
    if (!inlined)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < in->num_nodes; i++) {
        inliner one = {job, in->nodes[i], NULL};
        if (strcmp(one.call->op, "PartitionedCall") != 0) {
            BLI_TRY(bli_tf_graph_add(inlined, in->nodes[i]));
            continue;
        }
        BLI_TRY(find_function(job, in, &one));
        BLI_TRY(add_body(&one, in, inlined));
        BLI_TRY(add_renames(&one, &renames));
    }
    return bli_tg_rename_inputs(&renames, inlined, NULL, out);
}

const bli_tg_pass bli_tg_inline_partitionedcall = {.name = "inline_partitionedcall",
                                                   .help = "puts a function's nodes where it is called",
                                                   .ops = "PartitionedCall",
                                                   .run = run};
