/* layout_sink.c: which operators let a Transpose pass, and what changes in them when it does.
 *
 * An operator that works on each element passes it as it is; one along an axis has its axis renamed; constants that
 * broadcast are permuted with it.  A constant that others read too, or a parameter-side value that is computed, stops
 * the Transpose.
 */
#include <string.h>

#include "pass/layout.h"

typedef enum manner {
    ELEMENTWISE, /* every input broadcasts */
    FIRST_ONLY,  /* input 0 is transposed, the others are scalars or lists that do not change */
    ALONG_AXIS,  /* attribute axis, every input transposed */
    PADS,        /* input 1 is a list of begins and ends */
    SLICES,      /* input 3 is a list of axes */
    QUANTIZE     /* our own: attribute axis for a vector of scales, the rest broadcasts */
} manner;

static const struct {
    const char *type, *domain;
    manner how;
} passers[] = {
    {"Relu", "", FIRST_ONLY},
    {"LeakyRelu", "", FIRST_ONLY},
    {"Clip", "", FIRST_ONLY},
    {"Sigmoid", "", FIRST_ONLY},
    {"Tanh", "", FIRST_ONLY},
    {"HardSigmoid", "", FIRST_ONLY},
    {"HardSwish", "", FIRST_ONLY},
    {"Elu", "", FIRST_ONLY},
    {"Selu", "", FIRST_ONLY},
    {"Softplus", "", FIRST_ONLY},
    {"Softsign", "", FIRST_ONLY},
    {"Exp", "", FIRST_ONLY},
    {"Sqrt", "", FIRST_ONLY},
    {"Abs", "", FIRST_ONLY},
    {"Neg", "", FIRST_ONLY},
    {"Floor", "", FIRST_ONLY},
    {"Ceil", "", FIRST_ONLY},
    {"Round", "", FIRST_ONLY},
    {"Identity", "", FIRST_ONLY},
    {"Dropout", "", FIRST_ONLY},
    {"Cast", "", FIRST_ONLY},
    {"Add", "", ELEMENTWISE},
    {"Sub", "", ELEMENTWISE},
    {"Mul", "", ELEMENTWISE},
    {"Div", "", ELEMENTWISE},
    {"Mod", "", ELEMENTWISE},
    {"Max", "", ELEMENTWISE},
    {"Min", "", ELEMENTWISE},
    {"Pow", "", ELEMENTWISE},
    {"PRelu", "", ELEMENTWISE},
    {"Where", "", ELEMENTWISE},
    {"Less", "", ELEMENTWISE},
    {"Greater", "", ELEMENTWISE},
    {"Concat", "", ALONG_AXIS},
    {"Softmax", "", ALONG_AXIS},
    {"Pad", "", PADS},
    {"Slice", "", SLICES},
    {"Quant", BLI_DOMAIN_QONNX, ELEMENTWISE},
    {"BipolarQuant", BLI_DOMAIN_QONNX, ELEMENTWISE},
    {"FloatQuant", BLI_DOMAIN_QONNX, ELEMENTWISE},
    {"Trunc", BLI_DOMAIN_QONNX, ELEMENTWISE},
    {"Quantize", BLI_DOMAIN_OWN, QUANTIZE},
};

static bool find_manner(const bl_node *n, manner *how)
{
    for (size_t i = 0; i < BLI_COUNT(passers); i++)
        if (strcmp(n->type, passers[i].type) == 0 && strcmp(n->domain, passers[i].domain) == 0) {
            *how = passers[i].how;
            return true;
        }
    return false;
}

/* ---- constants ---------------------------------------------------------------------------------------------- */

static bool is_scalar(const bl_value *v)
{
    return v->data && bl_shape_count(&v->shape) == 1;
}

/* A constant that may change its shape: nothing else reads it. */
static bool may_permute(const bl_graph *g, int value, int rank)
{
    const bl_value *v = bl_graph_value(g, value);
    return v->data && v->shape.rank <= rank && (is_scalar(v) || bli_graph_num_uses(g, value) == 1);
}

/* The shape with leading ones up to rank, and back without them. */
static bl_shape widened(const bl_shape *s, int rank)
{
    bl_shape w = {.rank = rank};
    for (int i = 0; i < rank; i++)
        w.dim[i] = i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)];
    return w;
}

static bl_shape narrowed(const bl_shape *s)
{
    bl_shape n = {.rank = 0};
    int first = 0;
    while (first < s->rank && s->dim[first] == 1)
        first++;
    for (int i = first; i < s->rank; i++)
        n.dim[n.rank++] = s->dim[i];
    return n;
}

/* to[i...] = from[...] with dimension i of the result being dimension p->at[i] of s. */
static void permute_bytes(const char *from, char *to, const bl_shape *s, const bli_perm *p, size_t size)
{
    int64_t stride[BL_MAX_RANK], index[BL_MAX_RANK] = {0};
    bl_shape out = bli_perm_shape(s, p);
    int64_t count = bl_shape_count(s), step = 1;
    for (int i = s->rank - 1; i >= 0; step *= s->dim[i--])
        stride[i] = step;
    for (int64_t k = 0; k < count; k++) {
        int64_t at = 0;
        for (int i = 0; i < p->rank; i++)
            at += index[i] * stride[p->at[i]];
        memcpy(to + (size_t)k * size, from + (size_t)at * size, size);
        for (int i = p->rank - 1; i >= 0 && ++index[i] == out.dim[i]; i--)
            index[i] = 0;
    }
}

static bl_status permute_constant(bl_graph *g, int value, const bli_perm *p)
{
    const bl_value *v = bl_graph_value(g, value);
    if (is_scalar(v))
        return BL_OK;
    bl_shape wide = widened(&v->shape, p->rank), moved = bli_perm_shape(&wide, p);
    size_t size = bl_dtype_size(v->type);
    void *data = bli_alloc_array(bl_graph_context(g), (size_t)bl_shape_count(&wide), size);
    if (!data)
        return BL_NO_MEMORY;
    permute_bytes(v->data, data, &wide, p, size);
    bl_tensor t = {v->type, narrowed(&moved), data};
    bl_status s = bli_graph_set_tensor(g, value, &t);
    bli_free(bl_graph_context(g), data);
    return s;
}

/* ---- integer lists ------------------------------------------------------------------------------------------ */

static bl_status new_list(bl_graph *g, int node, int slot, const int64_t *list, int count)
{
    const bl_value *old = bl_graph_value(g, bl_graph_node(g, node)->inputs[slot]);
    bl_tensor t = {BL_I64, {1, {count}}, (void *)list};
    if (bli_graph_num_uses(g, bl_graph_node(g, node)->inputs[slot]) == 1)
        return bli_graph_set_tensor(g, bl_graph_node(g, node)->inputs[slot], &t);
    int id;
    BLI_TRY(bl_graph_add_tensor(g, NULL, old->role, old->place, &t, &id));
    return bli_graph_set_input(g, node, slot, id);
}

/* Dimension i of the result was dimension at[i] of the operand: begins and ends move along. */
static bl_status move_pads(bl_graph *g, int node, const bli_perm *p)
{
    int64_t pads[2 * BL_MAX_RANK];
    const int64_t *old = bl_graph_value(g, bl_graph_node(g, node)->inputs[1])->data;
    for (int i = 0; i < p->rank; i++) {
        pads[p->at[i]] = old[i];
        pads[p->at[i] + p->rank] = old[i + p->rank];
    }
    return new_list(g, node, 1, pads, 2 * p->rank);
}

static bl_status move_slices(bl_graph *g, int node, const bli_perm *p)
{
    const bl_value *old = bl_graph_value(g, bl_graph_node(g, node)->inputs[3]);
    int count = (int)old->shape.dim[0];
    int64_t axes[BL_MAX_RANK];
    for (int i = 0; i < count; i++) {
        int64_t axis = ((const int64_t *)old->data)[i];
        axes[i] = p->at[axis < 0 ? axis + p->rank : axis];
    }
    return new_list(g, node, 3, axes, count);
}

static bl_status move_axis(bl_graph *g, int node, const bli_perm *p)
{
    const bl_node *n = bl_graph_node(g, node);
    int64_t axis = bl_node_int(n, "axis", -1);
    bl_attr *attrs = bli_arena_array(bli_graph_arena(g), (size_t)n->num_attrs + 1, sizeof *attrs);
    int count = 0;
    if (!attrs)
        return BL_NO_MEMORY;
    int64_t moved = p->at[axis < 0 ? axis + p->rank : axis];
    bool written = bl_node_attr(n, "axis") != NULL;
    for (int i = 0; i < n->num_attrs; i++) {
        attrs[count] = n->attrs[i];
        if (strcmp(n->attrs[i].name, "axis") == 0)
            attrs[count].u.i = moved == p->rank - 1 ? -1 : moved; /* one spelling for the last axis */
        count++;
    }
    if (!written && moved != p->rank - 1)
        attrs[count++] = (bl_attr){"axis", BL_ATTR_INT, 1, {.i = moved}};
    return bli_graph_set_attrs(g, node, attrs, count);
}

/* ---- an operator -------------------------------------------------------------------------------------------- */

static bool is_list(const bl_graph *g, const bl_node *n, int slot, int64_t count)
{
    if (n->num_inputs <= slot || n->inputs[slot] < 0)
        return false;
    const bl_value *v = bl_graph_value(g, n->inputs[slot]);
    return v->data && v->type == BL_I64 && v->shape.rank == 1 &&
           (count < 0 ? v->shape.dim[0] <= BL_MAX_RANK : v->shape.dim[0] == count);
}

static bool valid_axes(const bl_graph *g, const bl_node *n, int rank)
{
    if (!is_list(g, n, 3, -1))
        return false;
    const bl_value *v = bl_graph_value(g, n->inputs[3]);
    for (int64_t i = 0; i < v->shape.dim[0]; i++) {
        int64_t axis = ((const int64_t *)v->data)[i];
        if (axis < -rank || axis >= rank)
            return false;
    }
    return true;
}

static bool valid_axis(const bl_node *n, int rank)
{
    int64_t axis = bl_node_int(n, "axis", -1);
    return axis >= -rank && axis < rank;
}

/* Input slot either comes through the Transpose or is a constant that can follow it. */
static bool input_passes(const bl_graph *g, const bl_node *n, int slot, const bli_perm *p, bool constants)
{
    int value = n->inputs[slot];
    if (value < 0 || bli_layout_source(g, value, p) >= 0)
        return true;
    return constants && may_permute(g, value, p->rank);
}

static bool passes(const bl_graph *g, const bl_node *n, const bli_perm *p, manner how)
{
    if (bl_graph_value(g, n->outputs[0])->shape.rank != p->rank || n->num_outputs != 1)
        return false;
    switch (how) {
    case FIRST_ONLY:
        return bli_layout_source(g, n->inputs[0], p) >= 0;
    case PADS:
        return bli_layout_source(g, n->inputs[0], p) >= 0 && n->num_inputs <= 3 && is_list(g, n, 1, 2 * p->rank);
    case SLICES:
        return bli_layout_source(g, n->inputs[0], p) >= 0 && valid_axes(g, n, p->rank);
    case ALONG_AXIS:
    case ELEMENTWISE:
    case QUANTIZE:
        break;
    }
    if (how != ELEMENTWISE && !valid_axis(n, p->rank))
        return false;
    for (int i = 0; i < n->num_inputs; i++) {
        bool vector =
            how == QUANTIZE && i > 0 && n->inputs[i] >= 0 && bl_graph_value(g, n->inputs[i])->shape.rank <= 1 && i == 1;
        if (!vector && !input_passes(g, n, i, p, how != ALONG_AXIS))
            return false;
    }
    return true;
}

static bl_status move_inputs(bl_graph *g, int node, const bli_perm *p, manner how)
{
    const bl_node *n = bl_graph_node(g, node);
    bli_perm q = bli_perm_inverse(p);
    int last = how == ELEMENTWISE || how == ALONG_AXIS || how == QUANTIZE ? n->num_inputs : 1;
    for (int i = 0; i < last; i++) {
        int source = n->inputs[i] < 0 ? -1 : bli_layout_source(g, n->inputs[i], p);
        if (source >= 0)
            BLI_TRY(bli_graph_set_input(g, node, i, source));
        else if (n->inputs[i] >= 0 && !(how == QUANTIZE && i == 1 && bl_graph_value(g, n->inputs[i])->shape.rank <= 1))
            BLI_TRY(permute_constant(g, n->inputs[i], &q));
    }
    if (how == PADS)
        return move_pads(g, node, p);
    if (how == SLICES)
        return move_slices(g, node, p);
    return how == ALONG_AXIS || how == QUANTIZE ? move_axis(g, node, p) : BL_OK;
}

bl_status bli_layout_sink(bl_graph *g, int node, const bli_perm *p, const char *suffix, bool *moved)
{
    manner how;
    const bl_node *n = bl_graph_node(g, node);
    *moved = find_manner(n, &how) && n->num_inputs > 0 && passes(g, n, p, how);
    if (!*moved)
        return BL_OK;
    BLI_TRY(move_inputs(g, node, p, how));
    return bli_layout_follow(g, node, p, suffix);
}
