/* pass_fold_constants.c: what depends on constants alone, as constants.
 *
 * As in the original, nodes come in the order of import, with defaults added, and fed nodes are Placeholders at the
 * end. Where defects are mended, nodes keep their place and their attributes, unknown operators are left alone, outputs
 * may be of any kind, and so may fed nodes.
 */
#include <stdlib.h>
#include <string.h>

#include "tf/fold_constants.h"

/* ---- import -------------------------------------------------------------------------------------------------------
 */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Control inputs in the order of their names, each once. */
static void sort_controls(bli_tf_node *n)
{
    size_t data = bli_tg_data_inputs(n);
    qsort(n->inputs + data, n->num_inputs - data, sizeof *n->inputs, by_text);
    for (size_t i = n->num_inputs; i-- > data + 1;)
        if (strcmp(n->inputs[i], n->inputs[i - 1]) == 0)
            bli_tf_node_remove_input(n, i);
}

static bl_status import_node(const bli_tg_job *job, const bli_tf_graph *in, const bli_tf_node *from, bool clear,
                             bli_tf_graph *out)
{
    const bli_tf_opdef *def;
    bli_tf_node *n = bli_tf_node_copy(job->store, from);
    if (!n)
        return BL_NO_MEMORY;
    if (clear)
        bli_tf_node_remove(n, "_output_shapes");
    if (job->compat) {
        BLI_TRY(bli_tf_opdef_of(in, n, &def));
        if (def)
            BLI_TRY(bli_tf_opdef_check(job->ctx, def, n));
        if (def)
            BLI_TRY(bli_tf_opdef_fill(job->store, def, n));
        sort_controls(n);
    }
    return bli_tf_graph_add(out, n);
}

/* The runtime's order: of nodes that wait for nothing, the first in the file. */
typedef struct heap {
    size_t *at, count;
} heap;

static void push(heap *h, size_t v)
{
    size_t i = h->count++;
    for (; i && h->at[(i - 1) / 2] > v; i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = v;
}

static size_t pop(heap *h)
{
    size_t least = h->at[0], v = h->at[--h->count], i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= h->count)
            break;
        k += k + 1 < h->count && h->at[k + 1] < h->at[k];
        if (h->at[k] >= v)
            break;
        h->at[i] = h->at[k];
        i = k;
    }
    h->at[i] = v;
    return least;
}

typedef struct importer {
    const bli_tf_graph *g;
    size_t *waits, *first, *user;
    heap ready;
} importer;

static bool is_merge(const bli_tf_node *n)
{
    return bli_tg_op_is(n->op, "Merge|RefMerge");
}

static bl_status find_users(importer *m)
{
    size_t n = m->g->num_nodes, edges = 1;
    bli_tf_index ix;
    for (size_t i = 0; i < n; i++)
        edges += m->g->nodes[i]->num_inputs;
    m->waits = bli_tf_alloc_array(m->g->store, n + 1, sizeof *m->waits);
    m->first = bli_tf_alloc_array(m->g->store, n + 2, sizeof *m->first);
    m->user = bli_tf_alloc_array(m->g->store, edges, sizeof *m->user);
    m->ready.at = bli_tf_alloc_array(m->g->store, n + 1, sizeof *m->ready.at);
    if (!m->waits || !m->first || !m->user || !m->ready.at)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(m->g, &ix));
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < m->g->nodes[i]->num_inputs; k++) {
                bli_tf_ref r = bli_tf_ref_parse(m->g->nodes[i]->inputs[k]);
                size_t from = bli_tf_index_find(&ix, r.name, r.size);
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
    bli_tf_index_free(&ix);
    return BL_OK;
}

/* A graph in the order of import; every input names a node. */
static bl_status order_nodes(const bli_tf_graph *g, bli_tf_graph *out)
{
    importer m = {.g = g};
    BLI_TRY(find_users(&m));
    for (size_t i = 0; i < g->num_nodes; i++) {
        const bli_tf_node *n = g->nodes[i];
        size_t data = bli_tg_data_inputs(n);
        m.waits[i] = is_merge(n) && data ? n->num_inputs - data + 1 : n->num_inputs;
        if (m.waits[i] == 0)
            push(&m.ready, i);
    }
    while (m.ready.count) {
        size_t i = pop(&m.ready);
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
        for (size_t k = m.first[i]; k < m.first[i + 1]; k++)
            if (m.waits[m.user[k]] > 0 && --m.waits[m.user[k]] == 0)
                push(&m.ready, m.user[k]);
    }
    for (size_t i = 0; out->num_nodes < g->num_nodes && i < g->num_nodes; i++)
        if (m.waits[i])
            return bli_fail(bli_tf_store_context(g->store), BL_BAD_MODEL,
                            "node '%s' (%s): one of %zu nodes that wait for each other in a cycle", g->nodes[i]->name,
                            g->nodes[i]->op, g->num_nodes - out->num_nodes);
    return BL_OK;
}

static bl_status import(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph **out)
{
    bool clear;
    bli_tf_graph *g = bli_tf_graph_like(in);
    BLI_TRY(bli_tg_arg_bool(job, "clear_output_shapes", true, &clear));
    BLI_TRY(bli_tg_check_inputs(in));
    if (!g)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < in->num_nodes; i++)
        BLI_TRY(import_node(job, in, in->nodes[i], clear, g));
    *out = bli_tf_graph_like(in);
    if (!*out)
        return BL_NO_MEMORY;
    bli_tf_graph *ordered = *out;
    BLI_TRY(order_nodes(g, ordered));
    if (!job->compat)
        *out = g;
    return BL_OK;
}

/* ---- what the outputs need ----------------------------------------------------------------------------------------
 */

static bl_status need(bli_tg_folder *f, const bli_tf_index *ix, const char *input, size_t *depth, bool *used)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    size_t at = bli_tf_index_find(ix, r.name, r.size);
    if (at == SIZE_MAX)
        return bli_fail(f->job->ctx, BL_NOT_FOUND, "'%s' names no node of the graph", input);
    if (!used[at]) {
        used[at] = true;
        f->stack[(*depth)++] = at;
    }
    return BL_OK;
}

/* Marks what the outputs need; what a fed node is computed from does not count, in the original's way. */
static bl_status find_used(bli_tg_folder *f, const bli_tf_graph *g, const bli_tf_index *ix, bool *used)
{
    size_t depth = 0;
    for (size_t i = 0; i < f->job->outputs.count; i++)
        BLI_TRY(bli_within(f->job->ctx, need(f, ix, f->job->outputs.at[i], &depth, used), "output"));
    for (size_t i = 0; i < f->job->inputs.count && !f->job->compat; i++)
        BLI_TRY(bli_within(f->job->ctx, need(f, ix, f->job->inputs.at[i], &depth, used), "input"));
    while (depth) {
        const bli_tf_node *n = g->nodes[f->stack[--depth]];
        for (size_t k = 0; k < n->num_inputs && !(f->job->compat && bli_tg_is_fed(f->job, n)); k++)
            BLI_TRY(need(f, ix, n->inputs[k], &depth, used));
    }
    return BL_OK;
}

/* The original cannot fetch what has no value. */
static bl_status check_outputs(const bli_tg_folder *f)
{
    for (size_t i = 0; i < f->job->outputs.count && f->job->compat; i++) {
        const bli_tf_node *n = bli_tf_index_input(&f->ix, f->job->outputs.at[i]);
        if (n && strcmp(n->op, "NoOp") == 0)
            return bli_fail(f->job->ctx, BL_BAD_MODEL, "output '%s' (NoOp): it has no value", n->name);
    }
    return BL_OK;
}

/* ---- shapes -------------------------------------------------------------------------------------------------------
 */

/* Nothing is known of control flow, whose edges may go in circles. */
static bool forget_node(const bli_tf_node *n)
{
    return bli_tg_op_is(n->op,
                        "Enter|RefEnter|Exit|RefExit|Merge|RefMerge|Switch|RefSwitch|NextIteration|RefNextIteration");
}

/* Placeholders of older graphs, and those that strip_unused_nodes makes, say "scalar" and mean that they do not know.
 */
static bl_status forget(const bli_tg_folder *f, const bli_tf_graph *g, bli_tf_graph *out)
{
    for (size_t i = 0; i < g->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(f->job->store, g->nodes[i]);
        const bli_tf_value *v = n ? bli_tf_node_attr(n, "shape") : NULL;
        if (!n)
            return BL_NO_MEMORY;
        if (v && bli_tg_op_is(n->op, "Placeholder|PlaceholderWithDefault") &&
            v->value_case == BLI_TF__ATTR_VALUE__VALUE_SHAPE && v->shape->n_dim == 0)
            BLI_TRY(bli_tf_node_set(f->job->store, n, "shape", bli_tf_value_shape(f->job->store, -1, NULL)));
        if (forget_node(n)) {
            n->op = "_Unknown";
            n->num_inputs = 0;
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

/* ---- the graph with constants -------------------------------------------------------------------------------------
 */

/* The original wants fed nodes to be Placeholders, and makes them so. */
static bl_status add_fed(const bli_tg_folder *f, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tf_index ix;
    BLI_TRY(bli_tf_index_make(in, &ix));
    bl_status s = BL_OK;
    for (size_t i = 0; i < f->job->inputs.count && s == BL_OK; i++) {
        const bli_tf_node *n = bli_tf_index_input(&ix, f->job->inputs.at[i]);
        bli_tf_node *made;
        if (!n) {
            s = bli_fail(f->job->ctx, BL_NOT_FOUND, "input '%s' names no node of the graph", f->job->inputs.at[i]);
        } else if (strcmp(n->op, "Placeholder") == 0) {
            s = bli_tg_add_copy(out, n);
        } else if (strcmp(n->op, "PlaceholderWithDefault") != 0) {
            s = bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s) is an input; expected a Placeholder", n->name,
                         n->op);
        } else {
            s = bli_tg_add_node(out, "Placeholder", n->name, NULL, &made);
            s = s == BL_OK ? bli_tg_copy_attr(f->job->store, made, "dtype", n) : s;
            s = s == BL_OK ? bli_tg_copy_attr(f->job->store, made, "shape", n) : s;
        }
    }
    bli_tf_index_free(&ix);
    return s;
}

/* The original names the port of what is fed. */
static bl_status name_port(const bli_tg_folder *f, const char **input)
{
    bli_tf_ref r = bli_tf_ref_parse(*input);
    const bli_tf_node *from = bli_tf_index_input(&f->ix, *input);
    if (!f->job->compat || r.control || r.port != 0 || !from || !bli_tg_is_fed(f->job, from))
        return BL_OK;
    *input = bli_tf_ref_canonical(f->job->store, *input);
    return *input ? BL_OK : BL_NO_MEMORY;
}

/* Nodes that are not folded read the constants. */
static bl_status read_constants(const bli_tg_folder *f, const bli_tg_renames *renames, bli_tf_graph *out)
{
    for (size_t i = 0; i < f->g->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(f->job->store, f->g->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        for (size_t k = 0; k < n->num_inputs; k++) {
            if (!f->folds[i])
                BLI_TRY(bli_tg_renames_once(renames, n->inputs[k], &n->inputs[k]));
            BLI_TRY(name_port(f, &n->inputs[k]));
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static bl_status keep_used(bli_tg_folder *f, const bli_tf_graph *g, bli_tf_graph *out)
{
    bli_tf_index ix;
    bool *used = bli_tf_alloc_array(f->job->store, g->num_nodes + 1, sizeof *used);
    f->stack = bli_tf_alloc_array(f->job->store, g->num_nodes + 1, sizeof *f->stack);
    if (!used || !f->stack)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(g, &ix));
    bl_status s = find_used(f, g, &ix, used);
    bli_tf_index_free(&ix);
    for (size_t i = 0; i < g->num_nodes && s == BL_OK; i++)
        if (used[i] && !(f->job->compat && bli_tg_is_fed(f->job, g->nodes[i])))
            s = bli_tf_graph_add(out, g->nodes[i]);
    return s;
}

static bl_status fold(bli_tg_folder *f, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tf_graph *known = bli_tf_graph_like(in), *read = bli_tf_graph_like(in), *consts = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, f->job->store);
    if (!known || !read || !consts)
        return BL_NO_MEMORY;
    BLI_TRY(find_used(f, f->g, &f->ix, f->used));
    BLI_TRY(check_outputs(f));
    BLI_TRY(forget(f, f->g, known));
    BLI_TRY(bli_tf_infer_graph(known, f->arena, &f->shapes));
    BLI_TRY(bli_tg_find_foldable(f));
    BLI_TRY(bli_tg_find_border(f));
    BLI_TRY(bli_tg_evaluate_border(f));
    BLI_TRY(bli_tg_name_border(f, &renames, consts));
    BLI_TRY(read_constants(f, &renames, read));
    for (size_t i = 0; i < consts->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(read, consts->nodes[i]));
    BLI_TRY(keep_used(f, read, out));
    return f->job->compat ? add_fed(f, in, out) : BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_folder f = {.job = job};
    bli_tf_graph *g = NULL;
    size_t n = in->num_nodes + 1;
    BLI_TRY(bli_tg_arg_int(job, "max_constant_size_in_bytes", 10 << 20, &f.limit));
    BLI_TRY(import(job, in, &g));
    f.g = g;
    f.used = bli_tf_alloc_array(job->store, n, sizeof(bool));
    f.folds = bli_tf_alloc_array(job->store, n, sizeof(bool));
    f.from_shape = bli_tf_alloc_array(job->store, n, sizeof(bool));
    f.seen = bli_tf_alloc_array(job->store, n, sizeof(bool));
    f.stack = bli_tf_alloc_array(job->store, n, sizeof *f.stack);
    if (!f.used || !f.folds || !f.from_shape || !f.seen || !f.stack)
        return BL_NO_MEMORY;
    BLI_TRY(bli_arena_create(job->ctx, &f.arena));
    bl_status s = bli_tf_index_make(g, &f.ix);
    if (s == BL_OK) {
        s = fold(&f, in, out);
        bli_tf_index_free(&f.ix);
    }
    bli_arena_destroy(f.arena);
    return s;
}

static const bli_tg_param params[] = {
    {"clear_output_shapes", BLI_TG_BOOL, false, "drop the attribute _output_shapes (true)"},
    {"exclude_op", BLI_TG_TEXT, true, "an operator that is not folded"},
    {"exclude_node", BLI_TG_TEXT, true, "a node that is not folded"},
    {"max_constant_size_in_bytes", BLI_TG_INT, false, "of the largest constant (10485760)"},
    {0},
};

const bli_tg_pass bli_tg_fold_constants = {
    .name = "fold_constants", .help = "computes what depends on constants alone", .params = params, .run = run};
