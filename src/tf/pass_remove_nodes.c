/* pass_remove_nodes.c: nodes of given operators away, their first input in their place.
 *
 * The original loses the control inputs of what goes; where defects are mended, those who used the node get them.
 */
#include <string.h>

#include "tf/transform.h"

typedef struct removal {
    bli_tg_renames renames;
    bli_tf_graph *gone; /* the nodes that went, if they had control inputs */
} removal;

/* Inside a loop a node may be all that tells the frames apart. */
static const char control_flow[] = "Enter|RefEnter|Exit|RefExit|Merge|RefMerge|Switch|RefSwitch|NextIteration|"
                                   "RefNextIteration|LoopCond";

static bool is_named(const bli_tg_job *job, const char *name)
{
    return bli_tg_names_has_node(&job->inputs, name) || bli_tg_names_has_node(&job->outputs, name);
}

static bl_status add_renames(const bli_tg_found *f, const bli_tf_node *n, bli_tg_renames *renames)
{
    const char *input = NULL;
    for (size_t i = 0; i < n->num_inputs && !input; i++)
        if (!bli_tg_is_control(n->inputs[i]))
            input = n->inputs[i];
    char *node = bli_tf_ref_node(f->store, input), *control = bli_tf_text(f->store, "^%s", n->name);
    char *to = node ? bli_tf_text(f->store, "^%s", node) : NULL;
    if (!control || !to)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_renames_add(renames, n->name, input));
    return bli_tg_renames_add(renames, control, to);
}

static bool feeds_flow(const bli_tg_found *f)
{
    for (size_t i = 0; i < f->match->count && !f->job->compat; i++)
        if (bli_tg_op_is(f->match->inputs[i].node->op, control_flow))
            return true;
    return false;
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tf_node *n = f->match->node;
    if (is_named(f->job, n->name) || feeds_flow(f))
        return bli_tg_match_keep(f, out);
    removal *r = f->user;
    BLI_TRY(add_renames(f, n, &r->renames));
    if (bli_tg_data_inputs(n) < n->num_inputs)
        BLI_TRY(bli_tf_graph_add(r->gone, (bli_tf_node *)n));
    /* The original keeps the first only, whoever needs the others. */
    for (size_t i = 0; i < (f->job->compat ? 1 : f->match->count); i++) {
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice = twice || f->match->inputs[k].node == f->match->inputs[i].node;
        if (!twice)
            BLI_TRY(bli_tg_add_copy(out, f->match->inputs[i].node));
    }
    return BL_OK;
}

/* ---- control inputs -----------------------------------------------------------------------------------------------
 */

static bool repeats(const bli_tf_node *n, size_t at)
{
    bli_tf_ref r = bli_tf_ref_parse(n->inputs[at]);
    for (size_t i = 0; i < at; i++) {
        bli_tf_ref other = bli_tf_ref_parse(n->inputs[i]);
        if (other.size == r.size && memcmp(other.name, r.name, r.size) == 0)
            return true;
    }
    return false;
}

/* A control input from a node whose value is an input as well says nothing. */
static void drop_repeats(bli_tf_node *n)
{
    for (size_t i = n->num_inputs; i-- > 0;)
        if (bli_tg_is_control(n->inputs[i]) && repeats(n, i))
            bli_tf_node_remove_input(n, i);
}

/* Inputs that are added may be gone themselves: they are looked at in their turn. */
static bl_status inherit(const bli_tg_job *job, const bli_tf_index *gone, bli_tf_node *n)
{
    for (size_t i = 0; i < n->num_inputs; i++) {
        const bli_tf_node *from = bli_tf_index_input(gone, n->inputs[i]);
        for (size_t k = 0; from && k < from->num_inputs; k++) {
            size_t last = n->num_inputs;
            if (!bli_tg_is_control(from->inputs[k]))
                continue;
            BLI_TRY(bli_tf_node_add_input(job->store, n, from->inputs[k]));
            if (repeats(n, last))
                bli_tf_node_remove_input(n, last);
        }
    }
    return BL_OK;
}

static bl_status inherit_all(const bli_tg_job *job, const bli_tf_graph *gone, bli_tf_graph *g)
{
    bli_tf_index ix;
    bl_status s = BL_OK;
    if (gone->num_nodes == 0)
        return BL_OK;
    BLI_TRY(bli_tf_index_make(gone, &ix));
    for (size_t i = 0; i < g->num_nodes && s == BL_OK; i++) {
        bli_tf_node *copy = bli_tf_node_copy(job->store, g->nodes[i]);
        g->nodes[i] = copy ? copy : g->nodes[i];
        s = copy ? inherit(job, &ix, copy) : BL_NO_MEMORY;
    }
    bli_tf_index_free(&ix);
    return s;
}

/* ---- rounds -------------------------------------------------------------------------------------------------------
 */

#define ANY                                                                                                            \
    {                                                                                                                  \
        "*", 0, NULL                                                                                                   \
    }
static const bli_tg_pattern any[16] = {ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY};

/* One round of nodes with so many inputs; *gone: whether any went. */
static bl_status sweep(const bli_tg_job *job, const char *op, size_t inputs, bli_tf_graph **g, bool *gone)
{
    const bli_tg_pattern pattern = {op, inputs, any};
    bli_tf_graph *left = bli_tf_graph_like(*g), *named = bli_tf_graph_like(*g);
    removal r = {.gone = bli_tf_graph_like(*g)};
    bli_tg_renames_init(&r.renames, job->store);
    if (!left || !named || !r.gone)
        return BL_NO_MEMORY;
    const bli_tg_rule rule = {&pattern, replace, true, &r};
    BLI_TRY(bli_tg_replace(job, *g, &rule, left, NULL));
    if (!job->compat)
        BLI_TRY(inherit_all(job, r.gone, left));
    BLI_TRY(bli_tg_rename_inputs(&r.renames, left, NULL, named));
    for (size_t i = 0; i < named->num_nodes && !job->compat; i++)
        drop_repeats(named->nodes[i]);
    *gone = r.renames.count > 0;
    *g = named;
    return BL_OK;
}

static bl_status remove_op(const bli_tg_job *job, const char *op, int64_t most, bli_tf_graph **g)
{
    for (int64_t inputs = 1; inputs <= most; inputs++)
        for (bool gone = true; gone;)
            BLI_TRY(sweep(job, op, (size_t)inputs, g, &gone));
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    int64_t most;
    bli_tf_graph *g = bli_tf_graph_like(in);
    size_t ops = bli_tg_arg_count(job, "op");
    BLI_TRY(bli_tg_arg_int(job, "max_inputs", 1, &most));
    if (ops == 0)
        return bli_fail(job->ctx, BL_USAGE, "parameter 'op' is missing, as in remove_nodes(op=Identity)");
    if (most < 1 || most > 16)
        return bli_fail(job->ctx, BL_BAD_VALUE, "parameter 'max_inputs' is %lld; expected 1 .. 16", (long long)most);
    if (!g)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < in->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(g, in->nodes[i]));
    for (size_t i = 0; i < ops; i++)
        BLI_TRY(remove_op(job, bli_tg_arg_value(job, "op", i), most, &g));
    for (size_t i = 0; i < g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    return BL_OK;
}

static const bli_tg_param params[] = {{"op", BLI_TG_TEXT, true, "the operator (required)"},
                                      {"max_inputs", BLI_TG_INT, false, "most data inputs of a node that goes (1)"},
                                      {0}};

const bli_tg_pass bli_tg_remove_nodes = {
    .name = "remove_nodes", .help = "puts a node's first input in its place", .params = params, .run = run};
