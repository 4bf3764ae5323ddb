/* quantize_nchw.c: pictures with channels first turned round, as eight-bit operators know channels last only.
 *
 * Every operator of the table that says NCHW gets a twin with channels last, below its name; the node itself becomes
 * the Transpose of the twin's result.  Operators that work element by element, and a few that name dimensions, get
 * twins too where their pictures have one, so that Transposes stay at the borders only.  Those that nobody reads go.
 * Results are the same to the bit; what is of another rank, type or layout stays as it is.
 */
#include <string.h>

#include "tf/quantize_op.h"

static const char channels_first[] =
    "Conv2D|DepthwiseConv2dNative|BiasAdd|MaxPool|AvgPool|FusedBatchNorm|FusedBatchNormV2|FusedBatchNormV3";
static const char one_by_one[] = "Relu|Relu6|LeakyRelu|Identity|Elu|Selu|Sigmoid|Tanh|Softplus|Softsign|StopGradient|"
                                 "CheckNumerics|PreventGradient|FakeQuantWithMinMaxVars";
static const char pairs[] = "Add|AddV2|Sub|Mul|Maximum|Minimum";
static const int32_t to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2};

typedef struct turning {
    const bli_tg_quantizer *q;
    bli_tf_graph *out;
    const char **twin; /* of each node's first output, with channels last; NULL: none */
    bool *turned;      /* nodes that became Transposes */
} turning;

/* ---- pieces -------------------------------------------------------------------------------------------------------
 */

static size_t place_of(const turning *t, const char *input)
{
    const bli_tf_ref r = bli_tf_ref_parse(input);
    return r.port == 0 ? bli_tf_index_find(&t->q->ix, r.name, r.size) : SIZE_MAX;
}

static const char *twin_of(const turning *t, const char *input)
{
    const size_t at = place_of(t, input);
    return at == SIZE_MAX ? NULL : t->twin[at];
}

static bl_status add_transpose(turning *t, const char *name, const char *x, const int32_t perm[4], bli_tf_node **n)
{
    static const int64_t four = 4;
    char *order = bli_tf_text(t->out->store, "%s/perm", name);
    if (!order)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_const(t->out, order, BLI_DT_INT32, 1, &four, perm, NULL, NULL));
    BLI_TRY(bli_tg_add_node(t->out, "Transpose", name, (const char *[]){x, order, NULL}, n));
    BLI_TRY(bli_tg_set_type(t->out->store, *n, "T", BLI_DT_FLOAT));
    return bli_tg_set_type(t->out->store, *n, "Tperm", BLI_DT_INT32);
}

/* The twin of an input, made here where it has none. */
static bl_status need_twin(turning *t, const bli_tf_node *n, size_t k, const char **twin)
{
    const size_t at = place_of(t, n->inputs[k]);
    bli_tf_node *made;
    *twin = twin_of(t, n->inputs[k]);
    if (*twin)
        return BL_OK;
    *twin = at == SIZE_MAX ? bli_tf_text(t->out->store, "%s/to_nhwc_%zu", n->name, k)
                           : bli_tf_text(t->out->store, "%s/to_nhwc", t->q->g->nodes[at]->name);
    if (!*twin)
        return BL_NO_MEMORY;
    if (at != SIZE_MAX)
        t->twin[at] = *twin;
    return add_transpose(t, *twin, n->inputs[k], to_last, &made);
}

/* What stands for n: a copy below its name with these first inputs, and the Transpose of its result. */
static bl_status turn(turning *t, size_t at, const bli_tf_node *like)
{
    const bli_tf_node *n = t->q->g->nodes[at];
    bli_tf_node *made, *back;
    char *name = bli_tf_text(t->out->store, "%s/nhwc", n->name);
    made = bli_tf_node_copy(t->out->store, like);
    if (!name || !made)
        return BL_NO_MEMORY;
    made->name = name;
    BLI_TRY(bli_tf_graph_add(t->out, made));
    t->twin[at] = name;
    t->turned[at] = true;
    return add_transpose(t, n->name, name, to_first, &back);
}

/* ---- operators that say NCHW --------------------------------------------------------------------------------------
 */

static bool says_nchw(const bli_tf_node *n)
{
    const bli_tf_value *format = bli_tf_node_attr(n, "data_format");
    return format && format->s.len == 4 && memcmp(format->s.data, "NCHW", 4) == 0;
}

static bool is_float(const bli_tf_node *n)
{
    const bli_tf_value *type = bli_tf_node_attr(n, "T");
    return type && (int)type->type == BLI_DT_FLOAT;
}

static bool is_picture(const turning *t, const char *input)
{
    const bl_shape *s = bli_tg_some_shape_of(t->q, input);
    return twin_of(t, input) || (s && s->rank == 4);
}

/* Four numbers, or as many pairs, along the dimensions. */
static bl_status turn_list(turning *t, bli_tf_node *n, const char *attr)
{
    const int64_t *v;
    size_t count;
    int64_t last[8];
    if (!bli_tf_node_attr(n, attr))
        return BL_OK;
    BLI_TRY(bli_tf_get_ints(t->q->job->ctx, n, attr, &v, &count));
    if (count != 4 && count != 8)
        return BL_OK;
    for (size_t i = 0; i < count; i++)
        last[i] = count == 4 ? v[to_last[i]] : v[2 * to_last[i / 2] + (int32_t)(i % 2)];
    return bli_tf_node_set(t->out->store, n, attr, bli_tf_value_ints(t->out->store, last, count));
}

static bl_status turn_layout(turning *t, size_t at)
{
    static const char *const lists[] = {"strides", "dilations", "ksize", "explicit_paddings"};
    const bli_tf_node *n = t->q->g->nodes[at];
    bli_tf_node *copy = bli_tf_node_copy(t->out->store, n);
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(need_twin(t, n, 0, &copy->inputs[0]));
    BLI_TRY(bli_tf_node_set(t->out->store, copy, "data_format", bli_tf_value_string(t->out->store, "NHWC")));
    for (size_t i = 0; i < BLI_COUNT(lists); i++)
        BLI_TRY(turn_list(t, copy, lists[i]));
    return turn(t, at, copy);
}

static bool has_layout(const turning *t, const bli_tf_node *n)
{
    return bli_tg_op_is(n->op, channels_first) && says_nchw(n) && is_float(n) && !bli_tg_is_ignored(t->q, n) &&
           bli_tg_data_inputs(n) > 0 && bli_tg_only_first_read(t->q, n) &&
           (strcmp(n->op, "BiasAdd") != 0 || is_picture(t, n->inputs[0]));
}

/* ---- operators that follow ----------------------------------------------------------------------------------------
 */

static bool is_number(const turning *t, const char *input)
{
    const bl_shape *s = bli_tg_shape_of(t->q, input);
    return s && bl_shape_count(s) == 1;
}

/* How many of the first inputs are pictures, if all of them are, or numbers, and one has a twin; 0: not so. */
static size_t pictures_of(const turning *t, const bli_tf_node *n)
{
    const bool concat = strcmp(n->op, "ConcatV2") == 0;
    const size_t data = bli_tg_data_inputs(n);
    size_t count = data == 0                                                            ? 0
                   : bli_tg_op_is(n->op, pairs)                                         ? 2
                   : concat                                                             ? data - 1
                   : bli_tg_op_is(n->op, one_by_one) || bli_tg_op_is(n->op, "Pad|Mean") ? 1
                                                                                        : 0;
    bool one = false;
    if (!is_float(n) || count > data)
        return 0;
    for (size_t k = 0; k < count; k++) {
        if (!is_picture(t, n->inputs[k]) && (concat || !is_number(t, n->inputs[k])))
            return 0;
        one = one || twin_of(t, n->inputs[k]);
    }
    return one ? count : 0;
}

/* A constant input of int32, with that many elements; NULL: it is not. */
static const int32_t *constant_of(const turning *t, const char *input, size_t count)
{
    const bli_tf_node *n = bli_tg_node_of(t->q, input);
    const bli_tf_value *type = n ? bli_tf_node_attr(n, "dtype") : NULL;
    bli_tf_tensor v;
    if (!n || strcmp(n->op, "Const") != 0 || !type || (int)type->type != BLI_DT_INT32 ||
        bli_tf_get_tensor(t->out->store, n, "value", &v) != BL_OK || v.count != count)
        return NULL;
    return v.data;
}

static bl_status replace_constant(turning *t, bli_tf_node *n, size_t k, int rank, const int64_t *dim, const int32_t *v)
{
    char *name = bli_tf_text(t->out->store, "%s/nhwc_%zu", n->name, k);
    if (!name)
        return BL_NO_MEMORY;
    n->inputs[k] = name;
    return bli_tg_add_const(t->out, name, BLI_DT_INT32, rank, dim, v, NULL, NULL);
}

/* Inputs behind the pictures that name dimensions; *yes: whether they could be turned. */
static bl_status turn_parameters(turning *t, bli_tf_node *n, size_t pictures, bool *yes)
{
    static const int64_t four_pairs[2] = {4, 2};
    const bool concat = strcmp(n->op, "ConcatV2") == 0, pad = strcmp(n->op, "Pad") == 0;
    int32_t v[8];
    *yes = true;
    if (!concat && !pad)
        return BL_OK;
    const int32_t *first = constant_of(t, n->inputs[pictures], pad ? 8 : 1);
    *yes = first && (pad || (first[0] >= -4 && first[0] < 4));
    if (!*yes)
        return BL_OK;
    for (int i = 0; pad && i < 8; i++)
        v[i] = first[2 * to_last[i / 2] + i % 2];
    if (pad)
        return replace_constant(t, n, pictures, 2, four_pairs, v);
    v[0] = to_first[first[0] < 0 ? first[0] + 4 : first[0]];
    return replace_constant(t, n, pictures, 0, NULL, v);
}

static bl_status follow(turning *t, size_t at, size_t pictures, bool *yes)
{
    bli_tf_node *copy = bli_tf_node_copy(t->out->store, t->q->g->nodes[at]);
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(turn_parameters(t, copy, pictures, yes));
    for (size_t k = 0; *yes && k < pictures; k++)
        if (is_picture(t, t->q->g->nodes[at]->inputs[k]))
            BLI_TRY(need_twin(t, t->q->g->nodes[at], k, &copy->inputs[k]));
    return *yes ? turn(t, at, copy) : BL_OK;
}

/* A mean over both dimensions of a picture leaves the same numbers in both layouts. */
static bl_status follow_mean(turning *t, size_t at, bool *yes)
{
    static const int32_t plane[2] = {1, 2};
    static const int64_t two = 2;
    const bli_tf_node *n = t->q->g->nodes[at];
    const int32_t *axes = bli_tg_data_inputs(n) == 2 ? constant_of(t, n->inputs[1], 2) : NULL;
    const bli_tf_value *keep = bli_tf_node_attr(n, "keep_dims");
    bool found[4] = {false};
    for (int i = 0; axes && i < 2; i++)
        if (axes[i] >= -4 && axes[i] < 4)
            found[axes[i] < 0 ? axes[i] + 4 : axes[i]] = true;
    *yes = found[2] && found[3];
    if (!*yes)
        return BL_OK;
    bli_tf_node *copy = bli_tf_node_copy(t->out->store, n);
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(need_twin(t, n, 0, &copy->inputs[0]));
    BLI_TRY(replace_constant(t, copy, 1, 1, &two, plane));
    return keep && keep->b ? turn(t, at, copy) : bli_tf_graph_add(t->out, copy);
}

/* ---- the graph ----------------------------------------------------------------------------------------------------
 */

static bl_status turn_node(turning *t, size_t at)
{
    const bli_tf_node *n = t->q->g->nodes[at];
    const bool layout = has_layout(t, n);
    const size_t pictures = layout ? 0 : pictures_of(t, n);
    bool yes = layout;
    if (layout)
        BLI_TRY(turn_layout(t, at));
    else if (pictures && strcmp(n->op, "Mean") == 0)
        BLI_TRY(follow_mean(t, at, &yes));
    else if (pictures)
        BLI_TRY(follow(t, at, pictures, &yes));
    return yes ? BL_OK : bli_tg_add_copy(t->out, n);
}

static bool any_nchw(const bli_tf_graph *g)
{
    for (size_t i = 0; i < g->num_nodes; i++)
        if (bli_tg_op_is(g->nodes[i]->op, channels_first) && says_nchw(g->nodes[i]))
            return true;
    return false;
}

/* A Transpose back that nobody reads, and did not ask for. */
static bool is_idle(const turning *t, const size_t *readers, const bli_tf_index *made, const bli_tf_node *n)
{
    const size_t at = bli_tf_index_find(&t->q->ix, n->name, strlen(n->name));
    return at != SIZE_MAX && t->turned[at] && readers[bli_tf_index_find(made, n->name, strlen(n->name))] == 0 &&
           !bli_tg_names_has_node(&t->q->job->outputs, n->name);
}

/* The order that goes with a Transpose stands before it. */
static bl_status copy_read(const turning *t, const bli_tf_graph *made, const bli_tf_index *ix, bli_tf_graph *out)
{
    size_t *readers = bli_tf_alloc_array(out->store, made->num_nodes + 1, sizeof *readers);
    if (!readers)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < made->num_nodes; i++)
        for (size_t k = 0; k < made->nodes[i]->num_inputs; k++) {
            const bli_tf_ref r = bli_tf_ref_parse(made->nodes[i]->inputs[k]);
            const size_t at = bli_tf_index_find(ix, r.name, r.size);
            if (at != SIZE_MAX)
                readers[at]++;
        }
    for (size_t i = 0; i < made->num_nodes; i++) {
        bli_tf_node *const *n = &made->nodes[i];
        const bool idle = is_idle(t, readers, ix, *n);
        if (!idle && !(i + 1 < made->num_nodes && is_idle(t, readers, ix, n[1])))
            BLI_TRY(bli_tf_graph_add(out, *n));
    }
    return BL_OK;
}

static bl_status turn_all(turning *t, const size_t *order, bli_tf_graph *out)
{
    bli_tf_index ix;
    for (size_t i = 0; i < t->q->g->num_nodes; i++)
        BLI_TRY(turn_node(t, order[i]));
    BLI_TRY(bli_tf_index_make(t->out, &ix));
    const bl_status s = copy_read(t, t->out, &ix, out);
    bli_tf_index_free(&ix);
    return s;
}

/* A graph with cycles, whose order is not known, stays. */
bl_status bli_tg_channels_last(bli_tg_quantizer *q, bli_tf_graph *out)
{
    const bli_tf_graph *g = q->g;
    turning t = {.q = q};
    size_t *order, count = 0;
    bool sorted = any_nchw(g);
    if (sorted) {
        BLI_TRY(bli_tg_sort(g, true, &order, &count));
        sorted = count == g->num_nodes;
    }
    for (size_t i = 0; !sorted && i < g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, g->nodes[i]));
    if (!sorted)
        return BL_OK;
    t.out = bli_tf_graph_like(g);
    t.twin = bli_tf_alloc_array(out->store, g->num_nodes + 1, sizeof *t.twin);
    t.turned = bli_tf_alloc_array(out->store, g->num_nodes + 1, sizeof *t.turned);
    return t.out && t.twin && t.turned ? turn_all(&t, order, out) : BL_NO_MEMORY;
}
