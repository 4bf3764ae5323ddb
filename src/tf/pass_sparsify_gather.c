/* pass_sparsify_gather.c: a column of weights that are mostly zero as a hash table of the others.
 *
 * Gather( Identity(Const), ids ) and GatherV2 along axis 0; weights are float [N, 1].  What nobody needs any more goes.
 * Weights of a Variable come from input_checkpoint; then all that restores and saves them goes, too.
 */
#include <math.h>
#include <string.h>

#include "tf/sparsify.h"

static const float least = 1e-5f; /* smaller weights are zero */

typedef struct sparsifier {
    const bli_tg_job *job;
    const bli_tf_graph *g;
    bli_tf_index ix;
    const char *group;
    bli_tg_names ready; /* control inputs of the group: tables that are filled */
    size_t *uses;       /* of each node, as an input */
    bool *gone;
    bli_tf_checkpoint *checkpoint; /* NULL: none is given */
    bool variables;                /* weights of some are looked up */
} sparsifier;

typedef struct lookup {
    const bli_tf_node *gather, *identity, *weights;
} lookup;

static bl_status match(sparsifier *s, const bli_tf_node *n, lookup *l, bool *yes)
{
    bool second = strcmp(n->op, "GatherV2") == 0;
    bli_tf_tensor axis;
    *yes = (second || strcmp(n->op, "Gather") == 0) && bli_tg_data_inputs(n) == (second ? 3 : 2);
    if (!*yes)
        return BL_OK;
    *l = (lookup){.gather = n, .identity = bli_tf_index_input(&s->ix, n->inputs[0])};
    *yes = l->identity && strcmp(l->identity->op, "Identity") == 0 && bli_tg_data_inputs(l->identity) == 1;
    if (*yes)
        l->weights = bli_tf_index_input(&s->ix, l->identity->inputs[0]);
    *yes = *yes && l->weights && bli_tg_op_is(l->weights->op, "Const|Variable|VariableV2");
    if (!*yes || !second)
        return BL_OK;
    const bli_tf_node *a = bli_tf_index_input(&s->ix, n->inputs[2]);
    *yes = a && strcmp(a->op, "Const") == 0;
    if (!*yes)
        return BL_OK;
    BLI_TRY(bli_tg_const_view(s->job->store, a, 0, &axis));
    *yes = axis.count == 1 && (axis.dtype == BLI_DT_INT32   ? *(const int32_t *)axis.data == 0
                               : axis.dtype == BLI_DT_INT64 ? *(const int64_t *)axis.data == 0
                                                            : false);
    return BL_OK;
}

static bl_status read_variable(const sparsifier *s, const bli_tf_node *n, bli_tf_saved *t)
{
    const char *slice;
    if (!s->checkpoint)
        return bli_fail(s->job->ctx, BL_USAGE,
                        "node '%s' (%s): its weights are in a checkpoint; expected input_checkpoint, or a frozen graph",
                        n->name, n->op);
    BLI_TRY(bli_tg_find_slice(s->job, s->g, &s->ix, n, &slice));
    return bli_tg_read_column(s->job, s->checkpoint, n, slice, t);
}

static bl_status view_const(const sparsifier *s, const bli_tf_node *n, bli_tf_tensor *t)
{
    BLI_TRY(bli_tg_const_view(s->job->store, n, BLI_DT_FLOAT, t));
    if (t->rank != 2 || t->dim[1] != 1)
        return bli_fail(s->job->ctx, BL_BAD_MODEL, "node '%s' (Const): weights of rank %d; expected the shape [N, 1]",
                        n->name, t->rank);
    return BL_OK;
}

static bl_status add_pairs_of(const float *from, size_t rows, const char *keys, const char *values, bli_tf_graph *out)
{
    void *k, *v;
    int64_t count = 0;
    for (size_t i = 0; i < rows; i++)
        count += fabsf(from[i]) >= least;
    int64_t room = count ? count : 1, at = 0; /* none: 0 for 0 */
    BLI_TRY(bli_tg_add_const(out, keys, BLI_DT_INT64, 1, &room, NULL, &k, NULL));
    BLI_TRY(bli_tg_add_const(out, values, BLI_DT_FLOAT, 1, &room, NULL, &v, NULL));
    for (size_t i = 0; i < rows; i++)
        if (fabsf(from[i]) >= least) {
            ((int64_t *)k)[at] = (int64_t)i;
            ((float *)v)[at++] = from[i];
        }
    return BL_OK;
}

static bl_status add_pairs(const sparsifier *s, const bli_tf_node *w, const char *keys, const char *values,
                           bli_tf_graph *out)
{
    bli_tf_tensor t;
    bli_tf_saved saved;
    if (!bli_tg_is_variable(w)) {
        BLI_TRY(view_const(s, w, &t));
        return add_pairs_of(t.data, t.count, keys, values, out);
    }
    BLI_TRY(read_variable(s, w, &saved));
    bl_status status = add_pairs_of(saved.data, (size_t)saved.dim[0], keys, values, out);
    bli_free(s->job->ctx, saved.data);
    return status;
}

static bl_status set_types(bli_tf_store *s, bli_tf_node *n, const char *key, const char *value)
{
    BLI_TRY(bli_tg_set_type(s, n, key, BLI_DT_INT64));
    return bli_tg_set_type(s, n, value, BLI_DT_FLOAT);
}

/* The table of a column, once, and that it is filled. */
static bl_status add_table(sparsifier *s, const bli_tf_node *w, const char *table, bli_tf_graph *out)
{
    bli_tf_store *store = s->job->store;
    char *keys = bli_tf_text(store, "%s/indices", w->name), *values = bli_tf_text(store, "%s/values", w->name);
    char *init = bli_tf_text(store, "%s/InitializeTable", w->name),
         *ready = bli_tf_text(store, "^%s", init ? init : "");
    bli_tf_node *n;
    if (!keys || !values || !init || !ready)
        return BL_NO_MEMORY;
    if (bli_tg_names_has(&s->ready, ready))
        return BL_OK;
    BLI_TRY(add_pairs(s, w, keys, values, out));
    BLI_TRY(bli_tg_add_node(out, "HashTable", table, NULL, &n));
    BLI_TRY(set_types(store, n, "key_dtype", "value_dtype"));
    BLI_TRY(bli_tg_add_node(out, "InitializeTable", init, (const char *[]){table, keys, values, NULL}, &n));
    BLI_TRY(set_types(store, n, "Tkey", "Tval"));
    s->ready.at[s->ready.count++] = ready;
    return BL_OK;
}

/* Keys are int64; the original gives the table whatever the ids are. */
static bl_status wide_ids(const sparsifier *s, const bli_tf_node *g, const char **ids, bli_tf_graph *out)
{
    int dtype;
    bli_tf_node *n;
    *ids = g->inputs[1];
    if (s->job->compat)
        return BL_OK;
    BLI_TRY(bli_tf_type_or(s->job->ctx, g, "Tindices", BLI_DT_INT64, &dtype));
    if (dtype == BLI_DT_INT64)
        return BL_OK;
    char *name = bli_tf_text(s->job->store, "%s/Cast", g->name);
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(out, "Cast", name, (const char *[]){*ids, NULL}, &n));
    BLI_TRY(bli_tg_set_type(s->job->store, n, "SrcT", dtype));
    *ids = name;
    return bli_tg_set_type(s->job->store, n, "DstT", BLI_DT_INT64);
}

static bl_status add_lookup(sparsifier *s, const lookup *l, bli_tf_graph *out)
{
    static const int32_t last_axis = -1;
    bli_tf_store *store = s->job->store;
    const char *g = l->gather->name, *ids;
    char *table = bli_tf_text(store, "%s/HashTable", l->weights->name),
         *find = bli_tf_text(store, "%s/LookupTableFind", g);
    char *zero = bli_tf_text(store, "%s/Const", g), *axis = bli_tf_text(store, "%s/ExpandDims/Const", g);
    bli_tf_node *n;
    if (!table || !find || !zero || !axis)
        return BL_NO_MEMORY;
    BLI_TRY(add_table(s, l->weights, table, out));
    BLI_TRY(wide_ids(s, l->gather, &ids, out));
    BLI_TRY(bli_tg_add_node(out, "LookupTableFind", find, (const char *[]){table, ids, zero, NULL}, &n));
    BLI_TRY(set_types(store, n, "Tin", "Tout"));
    BLI_TRY(bli_tg_add_float(out, zero, 0));
    BLI_TRY(bli_tg_add_const(out, axis, BLI_DT_INT32, 0, NULL, &last_axis, NULL, NULL));
    BLI_TRY(bli_tg_add_node(out, "ExpandDims", g, (const char *[]){find, axis, NULL}, &n));
    return bli_tg_set_type(store, n, "T", BLI_DT_FLOAT);
}

/* ---- what nobody needs --------------------------------------------------------------------------------------------
 */

static bool is_wanted(const bli_tg_job *job, const char *name)
{
    if (job->compat)
        return bli_tg_names_has(&job->outputs, name) || bli_tg_names_has(&job->inputs, name);
    return bli_tg_names_has_node(&job->outputs, name) || bli_tg_names_has_node(&job->inputs, name);
}

static void count_uses(sparsifier *s)
{
    for (size_t i = 0; i < s->g->num_nodes; i++)
        for (size_t k = 0; k < s->g->nodes[i]->num_inputs; k++) {
            bli_tf_ref r = bli_tf_ref_parse(s->g->nodes[i]->inputs[k]);
            size_t from = bli_tf_index_find(&s->ix, r.name, r.size);
            if (from != SIZE_MAX)
                s->uses[from]++;
        }
}

/* One use less; the last one takes the node's own inputs along.  As deep as a chain of nodes is long: a stack of
 * places. */
static void let_go(sparsifier *s, const char *input, size_t *stack)
{
    size_t depth = 0;
    bli_tf_ref r = bli_tf_ref_parse(input);
    size_t first = bli_tf_index_find(&s->ix, r.name, r.size);
    if (first != SIZE_MAX)
        stack[depth++] = first;
    while (depth) {
        size_t i = stack[--depth];
        const bli_tf_node *n = s->g->nodes[i];
        if (s->uses[i] == 0 || --s->uses[i] > 0 || is_wanted(s->job, n->name) || strcmp(n->op, "RestoreV2") == 0)
            continue;
        s->gone[i] = true;
        for (size_t k = 0; k < n->num_inputs; k++) {
            bli_tf_ref from = bli_tf_ref_parse(n->inputs[k]);
            size_t at = bli_tf_index_find(&s->ix, from.name, from.size);
            if (at != SIZE_MAX)
                stack[depth++] = at;
        }
    }
}

static bl_status add_group(sparsifier *s, bli_tf_graph *out)
{
    bli_tf_node *group = NULL;
    if (s->ready.count == 0 && !s->job->compat)
        return BL_OK;
    for (size_t i = 0; i < out->num_nodes && !group; i++)
        if (strcmp(out->nodes[i]->name, s->group) == 0) {
            group = bli_tf_node_copy(s->job->store, out->nodes[i]);
            if (!group)
                return BL_NO_MEMORY;
            out->nodes[i] = group;
        }
    if (!group)
        BLI_TRY(bli_tg_add_node(out, "NoOp", s->group, NULL, &group));
    for (size_t i = 0; i < s->ready.count; i++)
        BLI_TRY(bli_tf_node_add_input(s->job->store, group, s->ready.at[i]));
    return BL_OK;
}

/* What is looked up, and, where no variables are, what then is in nobody's way. */
static bl_status find_lookups(sparsifier *s, lookup *found)
{
    size_t n = s->g->num_nodes, edges = 1;
    for (size_t i = 0; i < n; i++)
        edges += s->g->nodes[i]->num_inputs;
    size_t *stack = bli_tf_alloc_array(s->job->store, edges, sizeof *stack);
    if (!stack)
        return BL_NO_MEMORY;
    count_uses(s);
    for (size_t i = 0; i < n; i++) {
        bool yes;
        BLI_TRY(match(s, s->g->nodes[i], &found[i], &yes));
        if (!yes)
            found[i].gather = NULL;
        else
            s->variables = s->variables || bli_tg_is_variable(found[i].weights);
    }
    for (size_t i = 0; i < n && !s->variables; i++) {
        if (!found[i].gather)
            continue;
        let_go(s, found[i].gather->inputs[0], stack);
        if (found[i].gather->num_inputs > 2)
            let_go(s, found[i].gather->inputs[2], stack);
    }
    return BL_OK;
}

/* The weights and what hands them on, and all that is about them. */
static bl_status take_out_weights(sparsifier *s, const lookup *found, bli_tf_graph *out)
{
    bli_tg_names names = {0, bli_tf_alloc_array(s->job->store, 2 * s->g->num_nodes + 1, sizeof *names.at)};
    if (!names.at)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < s->g->num_nodes; i++)
        if (found[i].gather) {
            names.at[names.count++] = found[i].weights->name;
            names.at[names.count++] = found[i].identity->name;
        }
    return bli_tg_take_out(s->job, s->g, &names, out);
}

static bl_status sparsify(sparsifier *s, bli_tf_graph *out)
{
    const size_t n = s->g->num_nodes;
    lookup *found = bli_tf_alloc_array(s->job->store, n + 1, sizeof *found);
    if (!found)
        return BL_NO_MEMORY;
    BLI_TRY(find_lookups(s, found));
    for (size_t i = 0; i < n; i++) {
        if (found[i].gather)
            BLI_TRY(add_lookup(s, &found[i], out));
        else if (!s->gone[i])
            BLI_TRY(bli_tf_graph_add(out, s->g->nodes[i]));
    }
    BLI_TRY(add_group(s, out));
    return s->variables ? take_out_weights(s, found, out) : BL_OK;
}

/* The original wants every variable restored by a saver, looked up or not. */
static bl_status check_savers(const sparsifier *s)
{
    for (size_t i = 0; i < s->g->num_nodes && s->job->compat; i++) {
        const char *slice = "";
        if (bli_tg_is_variable(s->g->nodes[i]))
            BLI_TRY(bli_tg_find_slice(s->job, s->g, &s->ix, s->g->nodes[i], &slice));
        if (!slice)
            return bli_fail(s->job->ctx, BL_BAD_MODEL, "node '%s' (%s): no RestoreV2 of the graph has it",
                            s->g->nodes[i]->name, s->g->nodes[i]->op);
    }
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    sparsifier s = {.job = job, .g = in};
    const char *checkpoint;
    BLI_TRY(bli_tg_arg_text(job, "group_init_node", "group_deps", &s.group));
    BLI_TRY(bli_tg_arg_text(job, "input_checkpoint", "", &checkpoint));
    s.ready.at = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *s.ready.at);
    s.uses = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *s.uses);
    s.gone = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *s.gone);
    if (!s.ready.at || !s.uses || !s.gone)
        return BL_NO_MEMORY;
    if (checkpoint[0])
        BLI_TRY(bli_tf_checkpoint_open(job->ctx, checkpoint, &s.checkpoint));
    bl_status status = bli_tf_index_make(in, &s.ix);
    if (status == BL_OK) {
        status = check_savers(&s);
        if (status == BL_OK)
            status = sparsify(&s, out);
        bli_tf_index_free(&s.ix);
    }
    bli_tf_checkpoint_close(s.checkpoint);
    return status;
}

static const bli_tg_param params[] = {
    {"input_checkpoint", BLI_TG_TEXT, false, "the checkpoint that variables are in (none)"},
    {"group_init_node", BLI_TG_TEXT, false, "the NoOp that waits for tables to be filled (group_deps)"},
    {0},
};

const bli_tg_pass bli_tg_sparsify_gather = {.name = "sparsify_gather",
                                            .help = "a column of weights, mostly zero, as a hash table",
                                            .params = params,
                                            .ops = "Gather|GatherV2",
                                            .run = run};
