/* pass_strip_unused_nodes.c: what the outputs need, and Placeholders where the inputs are. */
#include <stdlib.h>
#include <string.h>

#include "tf/transform.h"

enum { MOST_RANK = 254 };

typedef struct shape {
    int rank;
    int64_t dim[MOST_RANK];
} shape;

static bl_status parse_shape(const bli_tg_job *job, const char *text, shape *out)
{
    out->rank = 0;
    for (const char *p = text; *p;) {
        char *end;
        long long v = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < -1 || out->rank == MOST_RANK)
            return bli_fail(job->ctx, BL_USAGE, "shape '%s': expected whole numbers with commas between, -1 for any",
                            text);
        out->dim[out->rank++] = v;
        p = *end ? end + 1 : end;
    }
    return BL_OK;
}

static bl_status parse_type(const bli_tg_job *job, const char *text, int *out)
{
    if (!bli_tf_dtype_parse(text, out))
        return bli_fail(job->ctx, BL_USAGE, "no type '%s' (expected float, int32, quint8, ...)", text);
    return BL_OK;
}

/* Lists that belong together have one length. */
static bl_status check_lists(const bli_tg_job *job)
{
    size_t names = bli_tg_arg_count(job, "name");
    static const char *const lists[] = {"type_for_name", "shape_for_name"};
    for (size_t i = 0; i < BLI_COUNT(lists); i++) {
        size_t count = bli_tg_arg_count(job, lists[i]);
        if (count && count != names)
            return bli_fail(job->ctx, BL_USAGE,
                            "parameter '%s' is given %zu times and 'name' %zu times; expected "
                            "as often",
                            lists[i], count, names);
    }
    return BL_OK;
}

/* The value of a list that belongs to this name, else the single default. */
static bl_status choose(const bli_tg_job *job, const char *node, const char *list, const char *single,
                        const char *other, const char **out)
{
    BLI_TRY(bli_tg_arg_text(job, single, other, out));
    for (size_t i = 0; i < bli_tg_arg_count(job, list); i++)
        if (strcmp(bli_tg_arg_value(job, "name", i), node) == 0)
            *out = bli_tg_arg_value(job, list, i);
    return BL_OK;
}

/* What an input that was computed is now. */
static bl_status add_placeholder(const bli_tg_job *job, const bli_tf_node *n, bli_tf_graph *out)
{
    const char *type, *dims;
    int dtype;
    shape s;
    bli_tf_node *made;
    BLI_TRY(choose(job, n->name, "type_for_name", "type", "float", &type));
    BLI_TRY(choose(job, n->name, "shape_for_name", "shape", "", &dims));
    BLI_TRY(parse_type(job, type, &dtype));
    BLI_TRY(parse_shape(job, dims, &s));
    BLI_TRY(bli_tg_add_node(out, "Placeholder", n->name, NULL, &made));
    BLI_TRY(bli_tg_set_type(job->store, made, "dtype", dtype));
    return bli_tf_node_set(job->store, made, "shape", bli_tf_value_shape(job->store, s.rank, s.dim));
}

/* ---- what is needed -----------------------------------------------------------------------------------------------
 */

typedef struct walk {
    const bli_tg_job *job;
    const bli_tf_graph *g;
    bli_tf_index ix;
    bool *used;
    size_t *stack, depth;
} walk;

static bl_status need(walk *w, const char *input, const char *by)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    size_t at = bli_tf_index_find(&w->ix, r.name, r.size);
    if (at == SIZE_MAX)
        return bli_fail(w->job->ctx, BL_NOT_FOUND, "%s '%s' names no node of the graph", by, input);
    if (!w->used[at]) {
        w->used[at] = true;
        w->stack[w->depth++] = at;
    }
    return BL_OK;
}

static bl_status find_used(walk *w)
{
    for (size_t i = 0; i < w->job->outputs.count; i++)
        BLI_TRY(need(w, w->job->outputs.at[i], "output"));
    while (w->depth) {
        const bli_tf_node *n = w->g->nodes[w->stack[--w->depth]];
        if (bli_tg_names_has_node(&w->job->inputs, n->name))
            continue;
        for (size_t k = 0; k < n->num_inputs; k++)
            BLI_TRY(bli_within(w->job->ctx, need(w, n->inputs[k], "input"), "node '%s' (%s)", n->name, n->op));
    }
    return BL_OK;
}

/* The defaults are looked at even where no input needs them. */
static bl_status check_arguments(const bli_tg_job *job)
{
    const char *text;
    int dtype;
    shape s;
    BLI_TRY(check_lists(job));
    BLI_TRY(bli_tg_arg_text(job, "type", "float", &text));
    BLI_TRY(parse_type(job, text, &dtype));
    BLI_TRY(bli_tg_arg_text(job, "shape", "", &text));
    BLI_TRY(parse_shape(job, text, &s));
    for (size_t i = 0; i < bli_tg_arg_count(job, "shape_for_name"); i++) {
        text = bli_tg_arg_value(job, "shape_for_name", i);
        if (!text[0])
            return bli_fail(job->ctx, BL_USAGE, "shape_for_name of '%s' is empty", bli_tg_arg_value(job, "name", i));
        BLI_TRY(parse_shape(job, text, &s));
    }
    return BL_OK;
}

static bl_status fill(walk *w, bli_tf_graph *out)
{
    for (size_t i = 0; i < w->job->inputs.count && !w->job->compat; i++) {
        bli_tf_ref r = bli_tf_ref_parse(w->job->inputs.at[i]);
        if (bli_tf_index_find(&w->ix, r.name, r.size) == SIZE_MAX)
            return bli_fail(w->job->ctx, BL_NOT_FOUND, "input '%s' names no node of the graph", w->job->inputs.at[i]);
    }
    BLI_TRY(find_used(w));
    for (size_t i = 0; i < w->g->num_nodes; i++) {
        bli_tf_node *n = w->g->nodes[i];
        if (!w->used[i])
            continue;
        if (bli_tg_names_has_node(&w->job->inputs, n->name) && strcmp(n->op, "Placeholder") != 0)
            BLI_TRY(add_placeholder(w->job, n, out));
        else
            BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    walk w = {.job = job, .g = in};
    BLI_TRY(check_arguments(job));
    w.used = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *w.used);
    w.stack = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *w.stack);
    if (!w.used || !w.stack)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(in, &w.ix));
    bl_status s = fill(&w, out);
    bli_tf_index_free(&w.ix);
    return s;
}

static const bli_tg_param params[] = {
    {"type", BLI_TG_TEXT, false, "of inputs that were computed (float)"},
    {"shape", BLI_TG_TEXT, false, "theirs, as \"1,299,299,3\" (a scalar)"},
    {"name", BLI_TG_TEXT, true, "an input with a type or shape of its own"},
    {"type_for_name", BLI_TG_TEXT, true, "its type"},
    {"shape_for_name", BLI_TG_TEXT, true, "its shape"},
    {0},
};

const bli_tg_pass bli_tg_strip_unused_nodes = {
    .name = "strip_unused_nodes", .help = "keeps what the outputs need", .params = params, .run = run};
