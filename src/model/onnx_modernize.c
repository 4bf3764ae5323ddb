/* onnx_modernize.c: older opsets' operators in the words of opset 13 and above.
 *
 * Between opsets the standard mostly moved attributes to inputs and dropped attributes whose default became the rule;
 * the two tables say which (https://github.com/onnx/onnx/blob/main/docs/Changelog.md).  What has another value than
 * that default is refused by name.
 */
#include <limits.h>
#include <string.h>

#include "model/onnx.h"

typedef struct moved {
    const char *type, *attr;
    int slot;
} moved;

static const moved moves[] = {
    {"Clip", "min", 1},       {"Clip", "max", 2},      {"Pad", "pads", 1},   {"Pad", "value", 2},
    {"Slice", "starts", 1},   {"Slice", "ends", 2},    {"Slice", "axes", 3}, {"Squeeze", "axes", 1},
    {"Unsqueeze", "axes", 1}, {"Dropout", "ratio", 1},
};

enum { ANY = INT_MIN };
typedef struct dropped {
    const char *type, *attr;
    int must_be;
} dropped;

static const dropped drops[] = {
    {"Gemm", "broadcast", 1},
    {"Add", "broadcast", ANY},
    {"Sub", "broadcast", ANY},
    {"Mul", "broadcast", ANY},
    {"Div", "broadcast", ANY},
    {"BatchNormalization", "spatial", 1},
    {"BatchNormalization", "is_test", ANY},
    {"BatchNormalization", "consumed_inputs", ANY},
    {"BatchNormalization", "training_mode", 0},
    {"Dropout", "is_test", ANY},
    {"Dropout", "seed", ANY},
    {"MaxPool", "storage_order", 0},
    {"Reshape", "allowzero", 0},
};

static bool is(const bl_node *n, const char *type)
{
    return n->type && strcmp(n->type, type) == 0 && n->domain[0] == 0;
}

/* ---- attributes --------------------------------------------------------------------------------------------- */

static bl_status remove_attr(bl_graph *g, int node, const char *name)
{
    const bl_node *n = bl_graph_node(g, node);
    bl_attr *kept = bli_arena_array(bli_graph_arena(g), (size_t)n->num_attrs, sizeof *kept);
    int count = 0;
    if (!kept)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->num_attrs; i++)
        if (strcmp(n->attrs[i].name, name) != 0)
            kept[count++] = n->attrs[i];
    return bli_graph_set_attrs(g, node, kept, count);
}

/* The attribute's value as a constant: a float is a scalar, a list has one dimension. */
static bl_status attr_tensor(bl_graph *g, const bl_attr *a, int *id)
{
    float f = (float)a->u.f;
    *id = -1;
    bl_tensor t = {BL_F32, {.rank = 0}, &f};
    if (a->kind == BL_ATTR_INTS)
        t = (bl_tensor){BL_I64, {1, {(int64_t)a->count}}, (void *)a->u.ints};
    else if (a->kind != BL_ATTR_FLOAT)
        return bli_fail(bl_graph_context(g), BL_BAD_MODEL, "attribute %s: a number or a list of integers was expected",
                        a->name);
    return bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &t, id);
}

static bl_status move_attr(bl_graph *g, int node, const moved *m)
{
    const bl_attr *a = bl_node_attr(bl_graph_node(g, node), m->attr);
    int id;
    if (!a)
        return BL_OK;
    BLI_TRY(attr_tensor(g, a, &id));
    while (bl_graph_node(g, node)->num_inputs < m->slot)
        BLI_TRY(bli_graph_set_input(g, node, bl_graph_node(g, node)->num_inputs, -1));
    BLI_TRY(bli_graph_set_input(g, node, m->slot, id));
    return remove_attr(g, node, m->attr);
}

static bl_status drop_attr(bl_graph *g, int node, const dropped *d)
{
    const bl_attr *a = bl_node_attr(bl_graph_node(g, node), d->attr);
    if (!a)
        return BL_OK;
    if (d->must_be != ANY && (a->kind != BL_ATTR_INT || a->u.i != d->must_be))
        return bli_fail(bl_graph_context(g), BL_UNSUPPORTED, "attribute %s: only %d is supported", d->attr, d->must_be);
    return remove_attr(g, node, d->attr);
}

static bl_status fix_attrs(bl_graph *g, int node)
{
    for (size_t i = 0; i < BLI_COUNT(moves); i++)
        if (is(bl_graph_node(g, node), moves[i].type))
            BLI_TRY(move_attr(g, node, &moves[i]));
    for (size_t i = 0; i < BLI_COUNT(drops); i++)
        if (is(bl_graph_node(g, node), drops[i].type))
            BLI_TRY(drop_attr(g, node, &drops[i]));
    return BL_OK;
}

/* ---- single operators --------------------------------------------------------------------------------------- */

/* The content of a Constant node, borrowed from its attribute or from *scalar. */
static bl_status constant_content(bl_graph *g, const bl_node *n, float *scalar, int64_t *integer, bl_tensor *out)
{
    const bl_attr *a = n->num_attrs == 1 ? &n->attrs[0] : NULL;
    if (a && a->kind == BL_ATTR_TENSOR && strcmp(a->name, "value") == 0) {
        *out = a->u.tensor;
        return BL_OK;
    }
    if (a && a->kind == BL_ATTR_FLOAT) {
        *scalar = (float)a->u.f;
        *out = (bl_tensor){BL_F32, {.rank = 0}, scalar};
        return BL_OK;
    }
    if (a && a->kind == BL_ATTR_INT) {
        *integer = a->u.i;
        *out = (bl_tensor){BL_I64, {.rank = 0}, integer};
        return BL_OK;
    }
    if (a && a->kind == BL_ATTR_INTS) {
        *out = (bl_tensor){BL_I64, {1, {(int64_t)a->count}}, (void *)a->u.ints};
        return BL_OK;
    }
    return bli_fail(bl_graph_context(g), BL_UNSUPPORTED,
                    "a Constant needs one attribute: value, value_float, "
                    "value_int or value_ints");
}

static bl_status fold_constant(bl_graph *g, int node)
{
    float scalar;
    int64_t integer;
    bl_tensor t = {0};
    const bl_node *n = bl_graph_node(g, node);
    BLI_TRY(constant_content(g, n, &scalar, &integer, &t));
    int value = n->outputs[0];
    bli_graph_remove_node(g, node);
    if (!bl_graph_value(g, value)->name)
        return BL_OK;
    return bli_graph_make_tensor(g, value, BL_ROLE_CONSTANT, "", &t);
}

/* Second outputs (BatchNormalization's statistics, MaxPool's indices, Dropout's mask) are none of ours. */
static bl_status trim(bl_graph *g, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    for (int i = 1; i < n->num_outputs; i++)
        if (bli_graph_num_uses(g, n->outputs[i]) > 0)
            return bli_fail(bl_graph_context(g), BL_UNSUPPORTED, "output %d of %s is not supported", i, n->type);
    bli_graph_trim_outputs(g, node, 1);
    return BL_OK;
}

/* A Reshape to the exported batch size becomes one to "as many as there are" (0: copied from the input). */
static bl_status free_batch(bl_graph *g, int node, int64_t batch)
{
    const bl_node *n = bl_graph_node(g, node);
    if (batch <= 0 || n->num_inputs < 2 || n->inputs[0] < 0 || n->inputs[1] < 0)
        return BL_OK;
    const bl_value *data = bl_graph_value(g, n->inputs[0]), *shape = bl_graph_value(g, n->inputs[1]);
    if (data->data || !shape->data || shape->type != BL_I64 || shape->shape.rank != 1 || shape->shape.dim[0] < 1 ||
        shape->shape.dim[0] > BL_MAX_RANK || *(const int64_t *)shape->data != batch)
        return BL_OK;
    int64_t dims[BL_MAX_RANK];
    memcpy(dims, shape->data, (size_t)shape->shape.dim[0] * sizeof *dims);
    dims[0] = 0;
    bl_tensor t = {BL_I64, shape->shape, dims};
    int id;
    BLI_TRY(bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &t, &id));
    return bli_graph_set_input(g, node, 1, id);
}

/* A Concat of more inputs than an operator may have becomes a chain of Concats. */
static bl_status split_concat(bl_graph *g, int node)
{
    enum { MOST = 8 };
    const bl_node *n = bl_graph_node(g, node);
    if (n->num_inputs <= MOST)
        return BL_OK;
    int total = n->num_inputs, have[MOST], first, output = n->outputs[0];
    memcpy(have, n->inputs, sizeof have);
    bl_node part = {.type = "Concat",
                    .num_inputs = MOST,
                    .num_outputs = 1,
                    .inputs = have,
                    .num_attrs = n->num_attrs,
                    .attrs = n->attrs};
    BLI_TRY(bl_graph_add_node(g, &part, NULL, &first));
    for (int at = MOST; at < total;) {
        int count = total - at < MOST - 1 ? total - at : MOST - 1;
        have[0] = first;
        memcpy(have + 1, bl_graph_node(g, node)->inputs + at, (size_t)count * sizeof *have);
        part.num_inputs = count + 1;
        at += count;
        BLI_TRY(bl_graph_add_node(g, &part, NULL, &first));
    }
    const char *name = bl_graph_value(g, output)->name;
    bli_graph_replace_uses(g, output, first);
    bli_graph_remove_node(g, node);
    return bli_graph_rename_value(g, first, name);
}

static bl_status modernize_node(bl_graph *g, int node, const bli_onnx_facts *facts)
{
    const bl_node *n = bl_graph_node(g, node);
    if (is(n, "Constant"))
        return fold_constant(g, node);
    BLI_TRY(fix_attrs(g, node));
    n = bl_graph_node(g, node);
    if (is(n, "BatchNormalization") || is(n, "MaxPool") || is(n, "Dropout"))
        BLI_TRY(trim(g, node));
    if (is(n, "Reshape"))
        BLI_TRY(free_batch(g, node, facts->batch));
    if (is(n, "Concat"))
        return split_concat(g, node);
    if (is(n, "Flatten") && facts->batch == 1 && bl_node_int(n, "axis", 1) == 0) { /* one row: the same as axis 1 */
        const bl_attr axis = {"axis", BL_ATTR_INT, 1, {.i = 1}};
        return bli_graph_set_attrs(g, node, &axis, 1);
    }
    if (is(n, "Softmax") && facts->opset < 13 && !bl_node_attr(n, "axis")) {
        const bl_attr axis = {"axis", BL_ATTR_INT, 1, {.i = 1}};
        return bli_graph_set_attrs(g, node, &axis, 1);
    }
    return BL_OK;
}

bl_status bli_onnx_modernize(bl_graph *g, const bli_onnx_facts *facts)
{
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        if (bli_graph_node_dead(g, i))
            continue;
        const char *name = bl_graph_node(g, i)->name;
        BLI_TRY(bli_within(bl_graph_context(g), modernize_node(g, i, facts), "node '%s'", name));
    }
    return bli_graph_clean(g);
}

bl_status bli_onnx_check_softmax(const bl_graph *g, const bli_onnx_facts *facts)
{
    for (int i = 0; facts->opset < 13 && i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (!is(n, "Softmax"))
            continue;
        const bl_shape *s = &bl_graph_value(g, n->inputs[0])->shape;
        int64_t axis = bl_node_int(n, "axis", 1);
        if (axis != s->rank - 1 && axis != -1)
            return bli_fail(bl_graph_context(g), BL_UNSUPPORTED,
                            "node '%s': a Softmax of opset %d over all dimensions from %lld of %d on is not supported",
                            n->name, facts->opset, (long long)axis, s->rank);
    }
    return BL_OK;
}
