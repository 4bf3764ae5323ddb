/* view.c: operators whose output is the input's bytes under another shape: Identity, Flatten, Reshape, Squeeze,
 * Unsqueeze.  They have no kernels; the engine hands the same buffer on.
 *
 * The batch stays first.  A reshape that would mix rows of the batch is refused.
 */
#include "op/infer.h"
#include "op/lower.h"

/* The product of s's dimensions from first to last - 1. */
static int64_t product(const bl_shape *s, int first, int last)
{
    int64_t n = 1;
    for (int d = first; d < last; d++)
        n *= s->dim[d];
    return n;
}

static bl_status view_fail(const bli_infer *i, const bl_shape *to)
{
    char a[128], b[128];
    bl_shape_print(&i->in[0]->shape, a, sizeof a);
    bl_shape_print(to, b, sizeof b);
    return bli_fail(i->ctx, BL_BAD_MODEL, "shape %s cannot become %s", a, b);
}

static bl_status infer_flatten(bli_infer *i)
{
    const bl_shape *s = &i->in[0]->shape;
    const int64_t given = bl_node_int(i->node, "axis", 1);
    if (given < -s->rank || given > s->rank)
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute axis: %lld is outside of -%d .. %d", (long long)given, s->rank,
                        s->rank);
    const int axis = (int)(given < 0 ? given + s->rank : given);
    i->out_type[0] = i->in[0]->type;
    bl_shape *to = &i->out_shape[0];
    to->rank = 2;
    if (s->rank > 0 && s->dim[0] < 0) {
        if (axis != 1)
            return bli_fail(i->ctx, BL_UNSUPPORTED, "attribute axis: %d mixes rows of the batch, expected 1", axis);
        to->dim[0] = s->dim[0];
        to->dim[1] = product(s, 1, s->rank);
        return BL_OK;
    }
    to->dim[0] = product(s, 0, axis);
    to->dim[1] = product(s, axis, s->rank);
    return BL_OK;
}

/* Fills the one -1 of to so that the elements of known dimensions agree; the batch counts as 1 in both. */
static bl_status fill_wildcard(const bli_infer *i, const bl_shape *from, int wild, bl_shape *to)
{
    const bool batched = from->rank > 0 && from->dim[0] < 0;
    const int64_t have = product(from, batched ? 1 : 0, from->rank);
    int64_t want = 1;
    for (int d = batched ? 1 : 0; d < to->rank; d++)
        if (d != wild && (__builtin_mul_overflow(want, to->dim[d], &want) || to->dim[d] < 0))
            return view_fail(i, to);
    if (wild >= (batched ? 1 : 0)) {
        if (want == 0 || have % want != 0)
            return view_fail(i, to);
        to->dim[wild] = have / want;
        return BL_OK;
    }
    return want == have ? BL_OK : view_fail(i, to);
}

static bl_status infer_reshape(bli_infer *i)
{
    const bl_shape *from = &i->in[0]->shape;
    bli_ints shape;
    BLI_TRY(bli_infer_ints_input(i, 1, "shape", &shape));
    if (shape.count > BL_MAX_RANK)
        return bli_fail(i->ctx, BL_LIMIT, "shape: rank %d, at most %d is possible", shape.count, BL_MAX_RANK);
    const bool keep_zero = bl_node_int(i->node, "allowzero", 0) != 0;
    bl_shape *to = &i->out_shape[0];
    to->rank = shape.count;
    int wild = -1;
    for (int d = 0; d < shape.count; d++) {
        to->dim[d] = shape.v[d];
        if (shape.v[d] == 0 && !keep_zero) {
            if (d >= from->rank)
                return view_fail(i, to);
            to->dim[d] = from->dim[d];
        } else if (shape.v[d] == -1) {
            if (wild >= 0)
                return bli_fail(i->ctx, BL_BAD_MODEL, "shape: -1 at index %d and at index %d", wild, d);
            wild = d;
        }
    }
    i->out_type[0] = i->in[0]->type;
    const bool batched = from->rank > 0 && from->dim[0] < 0;
    if (batched && (to->rank == 0 || to->dim[0] >= 0))
        return bli_fail(i->ctx, BL_UNSUPPORTED, "shape: the first dimension must stay the batch (0 or -1)");
    if (batched)
        to->dim[0] = from->dim[0];
    return fill_wildcard(i, from, wild, to);
}

/* Axes as input 1 (opset 13) or as the attribute, as flags. */
static bl_status view_axes(const bli_infer *i, int rank, bool *on, bool *given)
{
    bli_ints axes;
    BLI_TRY(bli_infer_ints_input(i, 1, "axes", &axes));
    if (!axes.given)
        BLI_TRY(bli_infer_ints_attr(i, "axes", &axes));
    *given = axes.given;
    for (int d = 0; d < BL_MAX_RANK; d++)
        on[d] = false;
    for (int k = 0; k < axes.count; k++) {
        int axis;
        BLI_TRY(bli_infer_axis(i, "axes", axes.v[k], rank, &axis));
        if (on[axis])
            return bli_fail(i->ctx, BL_BAD_MODEL, "axes: %d is there twice", axis);
        on[axis] = true;
    }
    return BL_OK;
}

static bl_status infer_squeeze(bli_infer *i)
{
    const bl_shape *s = &i->in[0]->shape;
    bool on[BL_MAX_RANK], given;
    BLI_TRY(view_axes(i, s->rank, on, &given));
    bl_shape *to = &i->out_shape[0];
    to->rank = 0;
    i->out_type[0] = i->in[0]->type;
    for (int d = 0; d < s->rank; d++) {
        if (given && on[d] && s->dim[d] != 1)
            return bli_fail(i->ctx, BL_BAD_MODEL, "axes: dimension %d is %lld, expected 1", d, (long long)s->dim[d]);
        if (given ? !on[d] : s->dim[d] != 1)
            to->dim[to->rank++] = s->dim[d];
    }
    return BL_OK;
}

static bl_status infer_unsqueeze(bli_infer *i)
{
    const bl_shape *s = &i->in[0]->shape;
    bli_ints axes;
    BLI_TRY(bli_infer_ints_input(i, 1, "axes", &axes));
    if (!axes.given)
        BLI_TRY(bli_infer_ints_attr(i, "axes", &axes));
    const int rank = s->rank + axes.count;
    if (!axes.given || rank > BL_MAX_RANK)
        return bli_fail(i->ctx, BL_BAD_MODEL, "axes: %d of them on rank %d, expected a list that gives rank <= %d",
                        axes.count, s->rank, BL_MAX_RANK);
    bool on[BL_MAX_RANK], given;
    BLI_TRY(view_axes(i, rank, on, &given));
    if (s->rank > 0 && s->dim[0] < 0 && on[0])
        return bli_fail(i->ctx, BL_UNSUPPORTED, "axes: 0 would move the batch away from the front");
    bl_shape *to = &i->out_shape[0];
    to->rank = rank;
    i->out_type[0] = i->in[0]->type;
    for (int d = 0, from = 0; d < rank; d++)
        to->dim[d] = on[d] ? 1 : s->dim[from++];
    return BL_OK;
}

static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};
static const bli_attr_spec flatten_attrs[] = {{"axis", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec reshape_attrs[] = {{"allowzero", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec axes_attrs[] = {{"axes", BL_ATTR_INTS, false}, {NULL, BL_ATTR_INT, false}};

const bli_op bli_op_identity = {
    .schema = {"Identity", BLI_DOMAIN_ONNX, 1, 1, 1, no_attrs, bli_infer_same, "the input itself"},
    .flags = BLI_OP_VIEW | BLI_OP_MOVES,
    .range = bli_range_same,
    .lower = bli_lower_view,
};
const bli_op bli_op_flatten = {
    .schema = {"Flatten", BLI_DOMAIN_ONNX, 1, 1, 1, flatten_attrs, infer_flatten,
               "all dimensions but the batch in one"},
    .flags = BLI_OP_VIEW | BLI_OP_MOVES,
    .range = bli_range_same,
    .lower = bli_lower_view,
};
const bli_op bli_op_reshape = {
    .schema = {"Reshape", BLI_DOMAIN_ONNX, 2, 2, 1, reshape_attrs, infer_reshape,
               "the same elements under another shape, the batch first"},
    .flags = BLI_OP_VIEW | BLI_OP_MOVES,
    .range = bli_range_same,
    .lower = bli_lower_view,
};
const bli_op bli_op_squeeze = {
    .schema = {"Squeeze", BLI_DOMAIN_ONNX, 1, 2, 1, axes_attrs, infer_squeeze, "dimensions of size 1 removed"},
    .flags = BLI_OP_VIEW | BLI_OP_MOVES,
    .range = bli_range_same,
    .lower = bli_lower_view,
};
const bli_op bli_op_unsqueeze = {
    .schema = {"Unsqueeze", BLI_DOMAIN_ONNX, 1, 2, 1, axes_attrs, infer_unsqueeze, "dimensions of size 1 inserted"},
    .flags = BLI_OP_VIEW | BLI_OP_MOVES,
    .range = bli_range_same,
    .lower = bli_lower_view,
};
