/* pass_fold_constants.c: what depends on constants alone, as constants.
 *
 * A node may be folded if it is a Const, asks for a shape that is known, or computes from what may be folded; the
 * tensors on the border to the rest become Consts.  Shapes and values are the runtime's (tf/session.h).  As in the
 * original, names of new constants count the replacements, nodes come in the order of import, and fed nodes are
 * Placeholders at the end; where defects are mended, nodes keep their place and their attributes, unknown operators are
 * left alone, and a fed node may be of any kind.
 */
#include "tf/fold_constants.h"

#include <stdlib.h>
#include <string.h>

static const char shape_ops[] = "Shape|ShapeN|Rank|Size";
static const char flow_ops[] =
    "Enter|RefEnter|Exit|RefExit|Merge|RefMerge|Switch|RefSwitch|NextIteration|RefNextIteration|"
    "LoopCond|ControlTrigger|_Send|_Recv|_Arg|_Retval|Send|Recv|HostSend|HostRecv";
static const char any_shape_ops[] = "Cast|Const|Identity|IdentityN|Less|NoOp|StopGradient";

bool bli_tg_is_fed(const bli_tg_job *job, const bli_tf_node *n)
{
    return bli_tg_names_has_node(&job->inputs, n->name);
}

/* ---- what may be folded -------------------------------------------------------------------------------------------
 */

static size_t source(const bli_tg_folder *f, const char *input, int *port)
{
    bli_tf_ref r = bli_tf_ref_parse(input);
    *port = r.port;
    return bli_tf_index_find(&f->ix, r.name, r.size);
}

static bool is_excluded(const bli_tg_folder *f, const bli_tf_node *n)
{
    return (bli_tg_arg_count(f->job, "exclude_op") && bli_tg_arg_has(f->job, "exclude_op", n->op)) ||
           (bli_tg_arg_count(f->job, "exclude_node") && bli_tg_arg_has(f->job, "exclude_node", n->name));
}

/* Every input's shape is known. */
static bool shapes_are_known(const bli_tg_folder *f, const bli_tf_node *n)
{
    for (size_t k = 0; k < n->num_inputs; k++) {
        int port;
        size_t from = source(f, n->inputs[k], &port);
        if (bli_tg_is_control(n->inputs[k]))
            continue;
        if (from == SIZE_MAX || port < 0 || port >= f->shapes.num_out[from] ||
            !bli_tf_known(&f->shapes.out[from][port].shape))
            return false;
    }
    return true;
}

/* Outputs are numbers of a known size within the limit. */
static bool outputs_fit(const bli_tg_folder *f, size_t at)
{
    bool any = bli_tg_op_is(f->g->nodes[at]->op, any_shape_ops);
    for (int k = 0; k < f->shapes.num_out[at]; k++) {
        const bli_tf_arg *a = &f->shapes.out[at][k];
        size_t size = bli_tf_dtype_size(a->dtype);
        if (size == 0)
            return false;
        if (!bli_tf_known(&a->shape)) {
            if (!any)
                return false;
        } else if (bl_shape_count(&a->shape) > f->limit / (int64_t)size) {
            return false;
        }
    }
    return f->shapes.num_out[at] > 0;
}

static bool inputs_fold(const bli_tg_folder *f, const bli_tf_node *n)
{
    size_t data = 0;
    for (size_t k = 0; k < n->num_inputs; k++) {
        int port;
        if (bli_tg_is_control(n->inputs[k]))
            continue;
        size_t from = source(f, n->inputs[k], &port);
        if (from == SIZE_MAX || !f->folds[from])
            return false;
        data++;
    }
    return data > 0;
}

static bool may_fold(bli_tg_folder *f, size_t at)
{
    const bli_tf_node *n = f->g->nodes[at];
    const bli_tf_opdef *def = bli_tf_opdef_find(n->op);
    const bool excluded = is_excluded(f, n);
    if (bli_tg_is_fed(f->job, n) || (excluded && !f->job->compat) || !def)
        return false;
    if (strcmp(n->op, "Const") == 0)
        return !excluded && f->shapes.num_out[at] == 1 && bli_tf_dtype_size(f->shapes.out[at][0].dtype) > 0;
    if (bli_tg_op_is(n->op, shape_ops) && bli_tg_data_inputs(n) > 0 && shapes_are_known(f, n)) {
        f->from_shape[at] = true; /* the original does so before it looks at what is excluded */
        return true;
    }
    return !excluded && !def->stateful && !bli_tg_op_is(n->op, flow_ops) && bli_tf_foldable(n->op) &&
           inputs_fold(f, n) && outputs_fit(f, at);
}

bl_status bli_tg_find_foldable(bli_tg_folder *f)
{
    size_t *order, count;
    BLI_TRY(bli_tg_sort(f->g, true, &order, &count));
    for (size_t i = 0; i < count; i++)
        f->folds[order[i]] = f->used[order[i]] && may_fold(f, order[i]);
    return BL_OK;
}

/* ---- the border ---------------------------------------------------------------------------------------------------
 */

static int by_name(const void *a, const void *b)
{
    const bli_tg_border *x = a, *y = b;
    int order = strcmp(x->node->name, y->node->name);
    return order ? order : (x->port > y->port) - (x->port < y->port);
}

/* A value that is wanted and may be folded, unless it is a Const as it stands. */
static void want(bli_tg_folder *f, const char *input)
{
    int port;
    size_t from = source(f, input, &port);
    if (!bli_tg_is_control(input) && from != SIZE_MAX && port >= 0 && f->folds[from] &&
        strcmp(f->g->nodes[from]->op, "Const") != 0)
        f->border[f->num_border++] = (bli_tg_border){.node = f->g->nodes[from], .place = from, .port = port};
}

bl_status bli_tg_find_border(bli_tg_folder *f)
{
    size_t room = f->job->outputs.count + 1, kept = 0;
    for (size_t i = 0; i < f->g->num_nodes; i++)
        room += f->g->nodes[i]->num_inputs;
    f->border = bli_tf_alloc_array(f->job->store, room, sizeof *f->border);
    if (!f->border)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < f->g->num_nodes; i++)
        for (size_t k = 0; f->used[i] && !f->folds[i] && k < f->g->nodes[i]->num_inputs; k++)
            if (!(f->job->compat && bli_tg_is_fed(f->job, f->g->nodes[i])))
                want(f, f->g->nodes[i]->inputs[k]);
    for (size_t i = 0; i < f->job->outputs.count; i++)
        want(f, f->job->outputs.at[i]);
    qsort(f->border, f->num_border, sizeof *f->border, by_name);
    for (size_t i = 0; i < f->num_border; i++)
        if (kept == 0 || by_name(&f->border[kept - 1], &f->border[i]) != 0)
            f->border[kept++] = f->border[i];
    f->num_border = kept;
    return BL_OK;
}

/* What must have run before a constant may stand for a node: control inputs of all that it was computed from, and what
 * a shape was asked of. */
static bl_status collect_controls(bli_tg_folder *f, size_t from, bli_tf_node *to)
{
    size_t depth = 0, *stack = f->stack;
    memset(f->seen, 0, f->g->num_nodes);
    stack[depth++] = from;
    f->seen[from] = true;
    while (depth) {
        size_t at = stack[--depth];
        const bli_tf_node *n = f->g->nodes[at];
        for (size_t k = 0; k < n->num_inputs; k++) {
            int port;
            size_t next = source(f, n->inputs[k], &port);
            if (next == SIZE_MAX || f->seen[next])
                continue;
            f->seen[next] = true;
            if (f->folds[next] && (bli_tg_is_control(n->inputs[k]) || !f->from_shape[at]))
                stack[depth++] = next;
            else if (!f->folds[next])
                BLI_TRY(bli_tf_node_add_input(f->job->store, to,
                                              bli_tf_text(f->job->store, "^%s", f->g->nodes[next]->name)));
        }
    }
    return BL_OK;
}

/* Consts of the border, named by their count; shapes that were asked for count too. */
bl_status bli_tg_name_border(bli_tg_folder *f, bli_tg_renames *renames, bli_tf_graph *consts)
{
    size_t asked = 0;
    for (size_t i = 0; i < f->g->num_nodes; i++)
        asked += f->from_shape[i];
    for (size_t i = 0; i < f->num_border; i++) {
        bli_tg_border *b = &f->border[i];
        bli_tf_node *n;
        char *name = bli_tf_text(f->job->store, "%s/_%zu__cf__%zu", b->node->name, i, i + asked);
        char *from = bli_tf_text(f->job->store, "%s:%d", b->node->name, b->port);
        if (!name || !from)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_add_const(consts, name, b->dtype, b->rank, b->dim, b->data, NULL, &n));
        BLI_TRY(collect_controls(f, b->place, n));
        BLI_TRY(bli_tg_renames_add(renames, from, name));
    }
    return BL_OK;
}
