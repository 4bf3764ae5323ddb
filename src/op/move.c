/* move.c: operators that only move elements: Transpose, Concat, Slice, Split.
 *
 * Each output element comes from exactly one input element, so forward and backward are copies of boxes (op/box.h) and
 * every type is served.  The batch stays first and whole.
 */
#include <string.h>

#include "op/box.h"
#include "op/infer.h"
#include "op/lower.h"

static bool is_batched(const bl_shape *s)
{
    return s->rank > 0 && s->dim[0] < 0;
}

/* ---- Transpose ---------------------------------------------------------------------------------------------- */
/* The permutation, reversed order by default; -1 first when it is none. */
static void permutation(const bl_node *n, int rank, int *perm)
{
    const bl_attr *a = bl_node_attr(n, "perm");
    bool seen[BL_MAX_RANK] = {false};
    bool ok = !a || a->count == (size_t)rank;
    for (int d = 0; d < rank && ok; d++) {
        const int64_t p = a ? a->u.ints[d] : rank - 1 - d;
        ok = p >= 0 && p < rank && !seen[p];
        if (ok)
            seen[p] = true;
        perm[d] = (int)p;
    }
    if (!ok)
        perm[0] = -1;
}

static bl_status infer_transpose(bli_infer *i)
{
    const bl_shape *x = &i->in[0]->shape;
    int perm[BL_MAX_RANK] = {0};
    permutation(i->node, x->rank, perm);
    if (perm[0] < 0)
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute perm is not a permutation of 0 .. %d", x->rank - 1);
    if (is_batched(x) && perm[0] != 0)
        return bli_fail(i->ctx, BL_UNSUPPORTED, "attribute perm: axis %d would take the place of the batch", perm[0]);
    BLI_TRY(bli_infer_same(i));
    for (int d = 0; d < x->rank; d++)
        i->out_shape[0].dim[d] = x->dim[perm[d]];
    return BL_OK;
}

static bli_box transpose_box(const bli_call *c)
{
    const bl_shape *x = &c->in[0].shape;
    bl_shape y = *x;
    int perm[BL_MAX_RANK] = {0};
    int64_t stride[BL_MAX_RANK];
    permutation(c->node, x->rank, perm);
    bli_strides(x, stride);
    for (int d = 0; d < x->rank; d++)
        y.dim[d] = x->dim[perm[d]];
    bli_box b = bli_box_of(&y);
    for (int d = 0; d < x->rank; d++)
        b.from[d] = stride[perm[d]];
    return b;
}

static bl_status transpose_forward(const bli_call *c)
{
    const bli_box b = transpose_box(c);
    bli_box_copy(&b, c->in[0].data, c->out[0].data, bl_dtype_size(c->out[0].type));
    return BL_OK;
}

static bl_status transpose_backward(const bli_call *c)
{
    const bli_box b = transpose_box(c), back = bli_box_reversed(&b);
    if (c->grad_in[0].data)
        bli_box_copy(&back, c->grad_out[0].data, c->grad_in[0].data, bl_dtype_size(c->grad_in[0].type));
    return BL_OK;
}

/* ---- Concat ------------------------------------------------------------------------------------------------- */
static bl_status infer_concat(bli_infer *i)
{
    int axis;
    BLI_TRY(bli_infer_same(i));
    bl_shape *y = &i->out_shape[0];
    BLI_TRY(bli_infer_axis(i, "attribute axis", bl_node_int(i->node, "axis", 0), y->rank, &axis));
    BLI_TRY(bli_infer_not_batch(i, y, axis, "attribute axis"));
    for (int k = 1; k < i->node->num_inputs; k++) {
        const bl_value *v = i->in[k];
        bool fits = v && v->type == i->out_type[0] && v->shape.rank == y->rank;
        for (int d = 0; d < y->rank && fits; d++)
            fits = d == axis ? v->shape.dim[d] >= 0 : v->shape.dim[d] == y->dim[d];
        if (!fits)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d does not have input 0's type and shape beside axis %d", k,
                            axis);
        y->dim[axis] += v->shape.dim[axis];
    }
    return BL_OK;
}

/* Where input k lies in the joined tensor; *at moves on behind it. */
static bli_box concat_box(const bl_shape *part, const bl_shape *whole, int axis, int64_t *at)
{
    bli_box b = bli_box_of(part);
    bli_strides(whole, b.to);
    b.to_at = *at * b.to[axis];
    *at += part->dim[axis];
    return b;
}

static int axis_of(const bli_call *c, int rank)
{
    const int64_t axis = bl_node_int(c->node, "axis", 0);
    return (int)(axis < 0 ? axis + rank : axis);
}

static bl_status concat_forward(const bli_call *c)
{
    const bl_tensor *y = &c->out[0];
    const int axis = axis_of(c, y->shape.rank);
    int64_t at = 0;
    for (int k = 0; k < c->node->num_inputs; k++) {
        const bli_box b = concat_box(&c->in[k].shape, &y->shape, axis, &at);
        bli_box_copy(&b, c->in[k].data, y->data, bl_dtype_size(y->type));
    }
    return BL_OK;
}

static bl_status concat_backward(const bli_call *c)
{
    const bl_tensor *dy = &c->grad_out[0];
    const int axis = axis_of(c, dy->shape.rank);
    int64_t at = 0;
    for (int k = 0; k < c->node->num_inputs; k++) {
        const bli_box b = concat_box(&c->in[k].shape, &dy->shape, axis, &at), back = bli_box_reversed(&b);
        if (c->grad_in[k].data)
            bli_box_copy(&back, dy->data, c->grad_in[k].data, bl_dtype_size(dy->type));
    }
    return BL_OK;
}

static void concat_range(bli_range_call *r)
{
    r->range_out[0] = r->range_in[0];
    for (int k = 1; k < r->node->num_inputs; k++)
        r->range_out[0] = bli_range_join(r->range_out[0], r->range_in[k]);
}

/* ---- Split -------------------------------------------------------------------------------------------------- */
/* Sizes as input 1; or as equal as they can be, the last one smaller (opset 18). */
static bl_status infer_split(bli_infer *i)
{
    const bl_shape *x = &i->in[0]->shape;
    const int parts = i->node->num_outputs;
    int axis;
    bli_ints sizes;
    BLI_TRY(bli_infer_axis(i, "attribute axis", bl_node_int(i->node, "axis", 0), x->rank, &axis));
    BLI_TRY(bli_infer_not_batch(i, x, axis, "attribute axis"));
    BLI_TRY(bli_infer_ints_input(i, 1, "split", &sizes));
    if (sizes.given && sizes.count != parts)
        return bli_fail(i->ctx, BL_BAD_MODEL, "split (input 1): %d sizes for %d outputs", sizes.count, parts);
    int64_t left = x->dim[axis];
    const int64_t equal = (left + parts - 1) / parts;
    for (int k = 0; k < parts; k++) {
        const int64_t size = sizes.given ? sizes.v[k] : left < equal ? left : equal;
        if (size < 0 || size > left || (!sizes.given && k < parts - 1 && size < equal))
            return bli_fail(i->ctx, BL_BAD_MODEL, "split: part %d of %d does not fit into %lld along axis %d", k, parts,
                            (long long)x->dim[axis], axis);
        i->out_type[k] = i->in[0]->type;
        i->out_shape[k] = *x;
        i->out_shape[k].dim[axis] = size;
        left -= size;
    }
    return left == 0 ? BL_OK : bli_fail(i->ctx, BL_BAD_MODEL, "split: %lld are left over", (long long)left);
}

static bl_status split_forward(const bli_call *c)
{
    const bl_tensor *x = &c->in[0];
    const int axis = axis_of(c, x->shape.rank);
    int64_t at = 0;
    for (int k = 0; k < c->node->num_outputs; k++) {
        const bli_box b = concat_box(&c->out[k].shape, &x->shape, axis, &at), back = bli_box_reversed(&b);
        if (c->out[k].data)
            bli_box_copy(&back, x->data, c->out[k].data, bl_dtype_size(x->type));
    }
    return BL_OK;
}

/* A part that nobody used has no gradient: zero. */
static bl_status split_backward(const bli_call *c)
{
    const bl_tensor *dx = &c->grad_in[0];
    if (!dx->data)
        return BL_OK;
    const int axis = axis_of(c, dx->shape.rank);
    int64_t at = 0;
    memset(dx->data, 0, bli_count(dx) * bl_dtype_size(dx->type));
    for (int k = 0; k < c->node->num_outputs; k++) {
        const bli_box b = concat_box(&c->out[k].shape, &dx->shape, axis, &at);
        if (c->grad_out[k].data)
            bli_box_copy(&b, c->grad_out[k].data, dx->data, bl_dtype_size(dx->type));
    }
    return BL_OK;
}

static void split_range(bli_range_call *r)
{
    for (int k = 0; k < r->node->num_outputs; k++)
        r->range_out[k] = r->range_in[0];
}

/* ---- Slice -------------------------------------------------------------------------------------------------- */
typedef struct slice {
    int64_t start[BL_MAX_RANK], step[BL_MAX_RANK], count[BL_MAX_RANK];
} slice;

static int64_t clamp(int64_t v, int64_t least, int64_t greatest)
{
    return v < least ? least : v > greatest ? greatest : v;
}

/* One axis, by ONNX: negative positions count from the end, then both are clamped to what the step can reach. */
static void slice_axis(int64_t n, int64_t start, int64_t end, int64_t step, int d, slice *s)
{
    start = clamp(start < 0 ? start + n : start, 0, step < 0 ? n - 1 : n);
    end = clamp(end < 0 ? end + n : end, step < 0 ? -1 : 0, step < 0 ? n - 1 : n);
    const int64_t reach = step < 0 ? start - end : end - start, stride = step < 0 ? -step : step;
    s->start[d] = start;
    s->step[d] = step;
    s->count[d] = n > 0 && reach > 0 ? (reach - 1) / stride + 1 : 0;
}

static bl_status parse_slice(const bli_infer *i, const bl_shape *x, const bli_ints lists[4], slice *s)
{
    const bli_ints *starts = &lists[0], *ends = &lists[1], *axes = &lists[2], *steps = &lists[3];
    bool seen[BL_MAX_RANK] = {false};
    for (int d = 0; d < x->rank; d++) {
        s->start[d] = 0;
        s->step[d] = 1;
        s->count[d] = x->dim[d];
    }
    if (ends->count != starts->count || (axes->given && axes->count != starts->count) ||
        (steps->given && steps->count != starts->count))
        return bli_fail(i->ctx, BL_BAD_MODEL, "starts, ends, axes and steps have different lengths");
    for (int k = 0; k < starts->count; k++) {
        const int64_t step = steps->given ? steps->v[k] : 1;
        int d;
        BLI_TRY(bli_infer_axis(i, "axes", axes->given ? axes->v[k] : k, x->rank, &d));
        BLI_TRY(bli_infer_not_batch(i, x, d, "axes"));
        if (step == 0 || step < -INT32_MAX || seen[d])
            return bli_fail(i->ctx, BL_BAD_MODEL, seen[d] ? "axes: %d is there twice" : "steps: bad step for axis %d",
                            d);
        seen[d] = true;
        slice_axis(x->dim[d], starts->v[k], ends->v[k], step, d, s);
    }
    return BL_OK;
}

static bl_status infer_slice(bli_infer *i)
{
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    bli_ints lists[4];
    slice s;
    for (int k = 0; k < 4; k++)
        BLI_TRY(bli_infer_ints_input(i, 1 + k, names[k], &lists[k]));
    BLI_TRY(parse_slice(i, &i->in[0]->shape, lists, &s));
    BLI_TRY(bli_infer_same(i));
    for (int d = 0; d < i->out_shape[0].rank; d++)
        i->out_shape[0].dim[d] = s.count[d];
    return BL_OK;
}

/* Inference has accepted the node, so parsing cannot fail here. */
static bl_status slice_box(const bli_call *c, const bl_shape *x, bli_box *b)
{
    bli_ints lists[4];
    slice s;
    for (int k = 0; k < 4; k++)
        lists[k] = bli_call_ints(c, 1 + k, NULL);
    const bli_infer i = {.ctx = c->ctx, .node = c->node};
    BLI_TRY(parse_slice(&i, x, lists, &s));
    bl_shape y = *x;
    int64_t stride[BL_MAX_RANK];
    memcpy(y.dim, s.count, sizeof y.dim);
    bli_strides(x, stride);
    *b = bli_box_of(&y);
    for (int d = 0; d < x->rank; d++) {
        b->from[d] = stride[d] * s.step[d];
        b->from_at += stride[d] * s.start[d];
    }
    return BL_OK;
}

static bl_status slice_forward(const bli_call *c)
{
    bli_box b;
    BLI_TRY(slice_box(c, &c->in[0].shape, &b));
    bli_box_copy(&b, c->in[0].data, c->out[0].data, bl_dtype_size(c->out[0].type));
    return BL_OK;
}

static bl_status slice_backward(const bli_call *c)
{
    const bl_tensor *dx = &c->grad_in[0];
    if (!dx->data)
        return BL_OK;
    bli_box b;
    BLI_TRY(slice_box(c, &dx->shape, &b));
    memset(dx->data, 0, bli_count(dx) * bl_dtype_size(dx->type));
    const bli_box back = bli_box_reversed(&b);
    bli_box_copy(&back, c->grad_out[0].data, dx->data, bl_dtype_size(dx->type));
    return BL_OK;
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */
static bl_status lower_concat(bli_lower_call *c)
{
    const int count = c->node->num_inputs;
    const int64_t axis = bl_node_int(c->node, "axis", 0);
    int exp = INT32_MAX;
    bli_prim_op op = {.kind = BLI_PRIM_CONCAT, .num_in = count};
    for (int k = 0; k < count; k++) {
        if (c->x[k].wire < 0)
            return bli_lower_refuse(c, "input %d is a constant", k);
        const int e = bli_lower_wire(c, k)->exp;
        exp = e < exp ? e : exp;
    }
    for (int k = 0; k < count; k++)
        BLI_TRY(bli_lower_align(c, c->x[k].wire, exp, &op.in[k]));
    op.axis = (int)(axis < 0 ? axis + c->in[0]->shape.rank : axis) - 1;
    return bli_lower_add(c, &op, NULL, NULL, exp, &c->y[0].wire);
}

/* ---- table -------------------------------------------------------------------------------------------------- */
static const bli_attr_spec perm_attrs[] = {{"perm", BL_ATTR_INTS, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec axis_attrs[] = {{"axis", BL_ATTR_INT, true}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec split_attrs[] = {
    {"axis", BL_ATTR_INT, false}, {"num_outputs", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};

const bli_op bli_op_transpose = {
    .schema = {"Transpose", BLI_DOMAIN_ONNX, 1, 1, 1, perm_attrs, infer_transpose, "axes in another order"},
    .flags = BLI_OP_MOVES,
    .forward = transpose_forward,
    .lower = bli_lower_by_index,
    .backward = transpose_backward,
    .range = bli_range_same,
};
const bli_op bli_op_concat = {
    .schema = {"Concat", BLI_DOMAIN_ONNX, 1, BLI_MAX_IN, 1, axis_attrs, infer_concat, "inputs joined along an axis"},
    .forward = concat_forward,
    .lower = lower_concat,
    .backward = concat_backward,
    .range = concat_range,
};
const bli_op bli_op_split = {
    .schema = {"Split", BLI_DOMAIN_ONNX, 1, 2, BLI_MAX_OUT, split_attrs, infer_split, "parts along an axis"},
    .flags = BLI_OP_MOVES,
    .forward = split_forward,
    .lower = bli_lower_by_index,
    .backward = split_backward,
    .range = split_range,
};
const bli_op bli_op_slice = {
    .schema = {"Slice", BLI_DOMAIN_ONNX, 3, 5, 1, no_attrs, infer_slice, "a range of every axis, with steps"},
    .flags = BLI_OP_MOVES,
    .forward = slice_forward,
    .lower = bli_lower_by_index,
    .backward = slice_backward,
    .range = bli_range_same,
};
