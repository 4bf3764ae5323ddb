/* layout.c: images between channels-first and channels-last.
 *
 * Both directions are one algorithm: every operator of the table is put between two Transposes and changes its domain;
 * then the Transposes behind operators sink through what works element by element or along an axis, until they meet the
 * one in front of the next operator and both vanish.  Weights keep their layout.  What cannot be passed (a Flatten of
 * several pixels, a Reshape) simply keeps its Transpose: the result is always right, at worst slower.
 *
 * Names: an operator's output keeps its name, unless it is an output of the graph, whose name and layout are the
 * user's.
 */
#include "pass/layout.h"

#include <stdio.h>
#include <string.h>

#include "pass/pass.h"

typedef struct direction {
    const char *from, *to;      /* domains */
    bli_perm (*into)(int rank); /* what an operator's input goes through */
    bli_perm (*back)(int rank); /* and its output */
    const char *in_suffix, *out_suffix;
} direction;

static const direction to_last = {BLI_DOMAIN_ONNX,   BLI_DOMAIN_LAST, bli_perm_to_last,
                                  bli_perm_to_first, "/last",         "/first"};
static const direction to_first = {BLI_DOMAIN_LAST,  BLI_DOMAIN_ONNX, bli_perm_to_first,
                                   bli_perm_to_last, "/first",        "/last"};

static const char *const image_operators[] = {"Conv",          "ConvTranspose",     "MaxPool",           "AveragePool",
                                              "GlobalMaxPool", "GlobalAveragePool", "BatchNormalization"};

static bool is_image_operator(const bl_node *n, const char *domain)
{
    if (!n->type || strcmp(n->domain, domain) != 0)
        return false;
    for (size_t i = 0; i < BLI_COUNT(image_operators); i++)
        if (strcmp(n->type, image_operators[i]) == 0)
            return true;
    return false;
}

/* ---- permutations ------------------------------------------------------------------------------------------- */

bli_perm bli_perm_to_last(int rank)
{
    bli_perm p = {.rank = rank};
    for (int i = 1; i < rank; i++)
        p.at[i] = i + 1 < rank ? i + 1 : 1;
    return p;
}

bli_perm bli_perm_to_first(int rank)
{
    bli_perm p = {.rank = rank};
    for (int i = 1; i < rank; i++)
        p.at[i] = i == 1 ? rank - 1 : i - 1;
    return p;
}

bli_perm bli_perm_inverse(const bli_perm *p)
{
    bli_perm q = {.rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        q.at[p->at[i]] = i;
    return q;
}

static bool perm_equal(const bli_perm *a, const bli_perm *b)
{
    return a->rank == b->rank && memcmp(a->at, b->at, (size_t)a->rank * sizeof *a->at) == 0;
}

bl_shape bli_perm_shape(const bl_shape *s, const bli_perm *p)
{
    bl_shape out = {.rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        out.dim[i] = s->dim[p->at[i]];
    return out;
}

static bool is_identity(const bli_perm *p)
{
    for (int i = 0; i < p->rank; i++)
        if (p->at[i] != i)
            return false;
    return true;
}

/* Whether the elements keep their order: only dimensions of size 1 move. */
static bool keeps_order(const bl_shape *s, const bli_perm *p)
{
    int last = -1;
    for (int i = 0; i < p->rank; i++) {
        if (s->dim[p->at[i]] == 1)
            continue;
        if (p->at[i] < last)
            return false;
        last = p->at[i];
    }
    return true;
}

static bool transpose_perm(const bl_graph *g, const bl_node *n, bli_perm *p)
{
    if (!n->type || strcmp(n->type, "Transpose") != 0 || n->domain[0])
        return false;
    const bl_attr *a = bl_node_attr(n, "perm");
    int rank = bl_graph_value(g, n->inputs[0])->shape.rank;
    if (rank < 0 || (a && (a->kind != BL_ATTR_INTS || a->count != (size_t)rank)))
        return false;
    p->rank = rank;
    for (int i = 0; i < rank; i++) {
        int64_t at = a ? a->u.ints[i] : rank - 1 - i;
        if (at < 0 || at >= rank)
            return false;
        p->at[i] = (int)at;
    }
    return true;
}

/* ---- transposes --------------------------------------------------------------------------------------------- */

int bli_layout_source(const bl_graph *g, int value, const bli_perm *p)
{
    bli_perm q;
    int producer = value < 0 ? -1 : bl_graph_value(g, value)->producer;
    if (producer < 0 || !transpose_perm(g, bl_graph_node(g, producer), &q) || !perm_equal(p, &q))
        return -1;
    return bl_graph_node(g, producer)->inputs[0];
}

/* base and suffix joined, NULL (a fresh name) when that is taken. */
static const char *joined(bl_graph *g, const char *base, const char *suffix, bool node)
{
    size_t size = strlen(base) + strlen(suffix) + 1;
    char *name = bli_arena_alloc(bli_graph_arena(g), size);
    if (!name)
        return NULL;
    snprintf(name, size, "%s%s", base, suffix);
    bool taken = (node ? bl_graph_find_node(g, name) : bl_graph_find_value(g, name)) >= 0;
    return taken ? NULL : name;
}

/* A Transpose of value by p, as a new node beside anchor. */
static bl_status add_transpose(bl_graph *g, int value, const bli_perm *p, int anchor, const char *suffix, int *out)
{
    int64_t perm[BL_MAX_RANK];
    for (int i = 0; i < p->rank; i++)
        perm[i] = p->at[i];
    const bl_attr attr = {"perm", BL_ATTR_INTS, (size_t)p->rank, {.ints = perm}};
    const bl_value *v = bl_graph_value(g, value);
    const char *names[] = {joined(g, v->name, suffix, false)};
    bl_node t = {.name = joined(g, v->name, suffix, true),
                 .type = "Transpose",
                 .num_inputs = 1,
                 .num_outputs = 1,
                 .num_attrs = 1,
                 .inputs = &value,
                 .attrs = &attr};
    BLI_TRY(bl_graph_add_node(g, &t, names, out));
    bl_value *made = bli_graph_value_mut(g, *out);
    made->type = v->type;
    made->shape = bli_perm_shape(&v->shape, p);
    bli_graph_place_like(g, made->producer, anchor);
    return BL_OK;
}

/* The graph's output keeps its name and layout: the two values swap names. */
static bl_status keep_output_name(bl_graph *g, int inner, int outer)
{
    if (!bli_graph_is_output(g, outer))
        return BL_OK;
    const char *name = bl_graph_value(g, inner)->name, *fresh = bl_graph_value(g, outer)->name;
    bli_graph_value_mut(g, inner)->name = NULL;
    BLI_TRY(bli_graph_rename_value(g, outer, name));
    return bli_graph_rename_value(g, inner, fresh);
}

bl_status bli_layout_follow(bl_graph *g, int node, const bli_perm *p, const char *suffix)
{
    int inner = bl_graph_node(g, node)->outputs[0], outer;
    bli_perm q = bli_perm_inverse(p);
    bl_value *v = bli_graph_value_mut(g, inner);
    v->shape = bli_perm_shape(&v->shape, &q);
    BLI_TRY(add_transpose(g, inner, p, node, suffix, &outer));
    bli_graph_replace_uses(g, inner, outer);
    BLI_TRY(bli_graph_set_input(g, bl_graph_value(g, outer)->producer, 0, inner));
    return keep_output_name(g, inner, outer);
}

/* ---- one pass over the graph -------------------------------------------------------------------------------- */

static bl_status wrap(bl_graph *g, int node, const direction *d)
{
    const bl_node *n = bl_graph_node(g, node);
    int rank = bl_graph_value(g, n->inputs[0])->shape.rank, input;
    BLI_TRY(bli_graph_set_type(g, node, n->type, d->to));
    if (rank < 3)
        return BL_OK; /* [N, C] is both */
    bli_perm into = d->into(rank), back = d->back(rank);
    BLI_TRY(add_transpose(g, n->inputs[0], &into, node, d->in_suffix, &input));
    BLI_TRY(bli_graph_set_input(g, node, 0, input));
    return bli_layout_follow(g, node, &back, d->out_suffix);
}

static bl_status wrap_all(bl_graph *g, const direction *d)
{
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++)
        if (is_image_operator(bl_graph_node(g, i), d->from))
            BLI_TRY(bli_within(bl_graph_context(g), wrap(g, i, d), "node '%s'", bl_graph_node(g, i)->name));
    return bli_graph_clean(g);
}

static void drop_unused_transpose(bl_graph *g, int value)
{
    int producer = bl_graph_value(g, value)->producer;
    bli_perm p;
    if (producer >= 0 && bli_graph_num_uses(g, value) == 0 && transpose_perm(g, bl_graph_node(g, producer), &p))
        bli_graph_remove_node(g, producer);
}

/* value's readers get source instead; a graph output's name goes with it. */
static bl_status bypass(bl_graph *g, int node, int source)
{
    int value = bl_graph_node(g, node)->outputs[0];
    const char *name = bl_graph_value(g, value)->name;
    bool output = bli_graph_is_output(g, value);
    const bl_value *s = bl_graph_value(g, source);
    if (output && (bli_graph_is_output(g, source) || s->role != BL_ROLE_COMPUTED))
        return BL_OK; /* two names for one value: the Transpose stays */
    bli_graph_replace_uses(g, value, source);
    bli_graph_remove_node(g, node);
    return output ? bli_graph_rename_value(g, source, name) : BL_OK;
}

/* Two Transposes in a row are one, or none. */
static bl_status merge(bl_graph *g, int node)
{
    bli_perm outer = {0}, inner = {0};
    const bl_node *n = bl_graph_node(g, node);
    if (!transpose_perm(g, n, &outer))
        return BL_OK;
    int middle = n->inputs[0], producer = bl_graph_value(g, middle)->producer;
    if (producer < 0 || !transpose_perm(g, bl_graph_node(g, producer), &inner))
        return BL_OK;
    int source = bl_graph_node(g, producer)->inputs[0];
    int64_t perm[BL_MAX_RANK];
    bli_perm both = {.rank = outer.rank};
    for (int i = 0; i < outer.rank; i++)
        perm[i] = both.at[i] = inner.at[outer.at[i]];
    if (is_identity(&both)) {
        BLI_TRY(bypass(g, node, source));
    } else {
        const bl_attr attr = {"perm", BL_ATTR_INTS, (size_t)both.rank, {.ints = perm}};
        BLI_TRY(bli_graph_set_attrs(g, node, &attr, 1));
        BLI_TRY(bli_graph_set_input(g, node, 0, source));
    }
    if (bl_graph_value(g, middle)->name)
        drop_unused_transpose(g, middle);
    return BL_OK;
}

/* A target that copies no dimension but the batch's. */
static bool reads_order_only(const bl_graph *g, const bl_node *n)
{
    if (strcmp(n->type, "Flatten") == 0)
        return bl_node_int(n, "axis", 1) == 1;
    if (strcmp(n->type, "Reshape") != 0 || n->num_inputs < 2 || n->inputs[1] < 0)
        return false;
    const bl_value *target = bl_graph_value(g, n->inputs[1]);
    if (!target->data || target->type != BL_I64)
        return false;
    int64_t count = bl_shape_count(&target->shape);
    for (int64_t i = 1; i < count; i++)
        if (((const int64_t *)target->data)[i] == 0)
            return false;
    return true;
}

static bl_status sink(bl_graph *g, int node, const direction *d)
{
    const bl_node *n = bl_graph_node(g, node);
    int rank = -1, through[8], count = 0;
    for (int i = 0; i < n->num_inputs && count < 8; i++) {
        int r = n->inputs[i] < 0 ? -1 : bl_graph_value(g, n->inputs[i])->shape.rank;
        bli_perm p = r >= 3 ? d->back(r) : (bli_perm){0};
        if (r >= 3 && bli_layout_source(g, n->inputs[i], &p) >= 0) {
            through[count++] = n->inputs[i];
            rank = r;
        }
    }
    if (rank < 0)
        return BL_OK;
    bli_perm p = d->back(rank);
    bool moved = false;
    int source = bli_layout_source(g, n->inputs[0], &p);
    if (source >= 0 && n->domain[0] == 0 && reads_order_only(g, n) &&
        keeps_order(&bl_graph_value(g, source)->shape, &p)) {
        BLI_TRY(bli_graph_set_input(g, node, 0, source));
        moved = true;
    } else {
        BLI_TRY(bli_layout_sink(g, node, &p, d->out_suffix, &moved));
    }
    for (int i = 0; moved && i < count; i++)
        if (bl_graph_value(g, through[i])->name)
            drop_unused_transpose(g, through[i]);
    return BL_OK;
}

static bl_status run(bl_graph *g, const direction *d)
{
    BLI_TRY(bl_graph_infer(g));
    BLI_TRY(wrap_all(g, d));
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        if (bli_graph_node_dead(g, i))
            continue;
        const char *name = bl_graph_node(g, i)->name;
        BLI_TRY(bli_within(bl_graph_context(g), merge(g, i), "node '%s'", name));
        if (!bli_graph_node_dead(g, i))
            BLI_TRY(bli_within(bl_graph_context(g), sink(g, i, d), "node '%s'", name));
    }
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}

bl_status bli_pass_channels_last(bl_graph *g)
{
    return run(g, &to_last);
}

bl_status bli_pass_channels_first(bl_graph *g)
{
    return run(g, &to_first);
}
