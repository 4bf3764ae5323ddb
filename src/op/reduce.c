/* reduce.c: ReduceSum, ReduceMean and ReduceMax over any axes but the batch; sums in double.  Equal greatest elements
 * share their gradient.
 */
#include <math.h>
#include <string.h>

#include "op/broadcast.h"
#include "op/infer.h"
#include "op/lower.h"

/* Axes as input 1 or as attribute; none means all of them, or nothing at all with noop_with_empty_axes. */
static bl_status reduced_shape(const bli_infer *i, const bli_ints *axes, const bl_shape *x, bl_shape *kept)
{
    bool on[BL_MAX_RANK] = {false};
    const bool all = axes->count == 0 && bl_node_int(i->node, "noop_with_empty_axes", 0) == 0;
    for (int k = 0; k < axes->count; k++) {
        int d;
        BLI_TRY(bli_infer_axis(i, "axes", axes->v[k], x->rank, &d));
        on[d] = true;
    }
    *kept = *x;
    for (int d = 0; d < x->rank; d++) {
        if (!all && !on[d])
            continue;
        BLI_TRY(bli_infer_not_batch(i, x, d, "axes"));
        kept->dim[d] = 1;
    }
    return BL_OK;
}

/* Without keepdims an axis goes if it was reduced: if it is 1 in kept and was asked for. */
static bl_status infer_reduce(bli_infer *i)
{
    bli_ints axes;
    bl_shape kept, mark;
    BLI_TRY(bli_infer_real(i, 0));
    BLI_TRY(bli_infer_ints_input(i, 1, "axes", &axes));
    if (!axes.given)
        BLI_TRY(bli_infer_ints_attr(i, "axes", &axes));
    BLI_TRY(reduced_shape(i, &axes, &i->in[0]->shape, &kept));
    i->out_type[0] = i->in[0]->type;
    i->out_shape[0] = kept;
    if (bl_node_int(i->node, "keepdims", 1) != 0)
        return BL_OK;
    mark = kept;
    for (int d = 0; d < mark.rank; d++)
        mark.dim[d] = i->in[0]->shape.dim[d] < 0 ? -1 : 2;
    BLI_TRY(reduced_shape(i, &axes, &mark, &mark));
    i->out_shape[0].rank = 0;
    for (int d = 0; d < kept.rank; d++)
        if (mark.dim[d] != 1)
            i->out_shape[0].dim[i->out_shape[0].rank++] = kept.dim[d];
    return BL_OK;
}

/* The output's shape with keepdims, and how many elements each is the sum of. */
static bl_status kept_shape(const bli_call *c, const bl_shape *x, bl_shape *kept, double *count)
{
    const bli_ints axes = bli_call_ints(c, 1, "axes");
    const bli_infer i = {.ctx = c->ctx, .node = c->node};
    BLI_TRY(reduced_shape(&i, &axes, x, kept));
    *count = 1;
    for (int d = 0; d < x->rank; d++)
        *count *= kept->dim[d] == x->dim[d] ? 1 : (double)x->dim[d];
    return BL_OK;
}

static size_t scratch(const bli_call *c)
{
    return bli_count(&c->in[0]) * sizeof(double);
}

static bool is_mean(const bl_node *n)
{
    return strcmp(n->type, "ReduceMean") == 0;
}

#define REAL_TEMPLATE "op/reduce.inc"
#include "op/real.h"

static bl_status forward(const bli_call *c)
{
    bl_shape kept;
    double count;
    BLI_TRY(kept_shape(c, &c->in[0].shape, &kept, &count));
    const bl_dtype type = c->out[0].type;
    bli_reduce_to(c->isa, type, c->in[0].data, &c->in[0].shape, &kept, 1, c->scratch, c->out[0].data);
    double *sums = c->scratch;
    const size_t n = bli_count(&c->out[0]);
    for (size_t j = 0; is_mean(c->node) && j < n; j++)
        sums[j] /= count;
    bli_store(type, sums, n, 1, c->out[0].data);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    bl_shape kept;
    double count;
    if (!c->grad_in[0].data)
        return BL_OK;
    BLI_TRY(kept_shape(c, &c->grad_in[0].shape, &kept, &count));
    bli_walk w = bli_walk_start(&c->grad_in[0].shape, &kept, NULL);
    BLI_REAL_CALL(c->grad_in[0].type, spread, &w, c->grad_out[0].data, is_mean(c->node) ? count : 1,
                  c->grad_in[0].data);
    return BL_OK;
}

/* A mean of a power of two of elements stays on a finer grid; another count is a real scale. */
static void range(bli_range_call *r)
{
    bli_range y = r->range_in[0];
    double count = 1, kept = 1;
    for (int d = 0; d < r->in[0]->shape.rank; d++)
        count *= r->in[0]->shape.dim[d] < 0 ? 1 : (double)r->in[0]->shape.dim[d];
    for (int d = 0; d < r->out[0]->shape.rank; d++)
        kept *= r->out[0]->shape.dim[d] < 0 ? 1 : (double)r->out[0]->shape.dim[d];
    if (!y.on_grid || kept == 0)
        return;
    count /= kept;
    r->accumulator = bli_range_steps(&y) * count;
    if (!is_mean(r->node)) {
        y.least *= count;
        y.greatest *= count;
    } else if (count == ldexp(1, bli_step_of(count)) && count > 0) {
        y.step_exp -= bli_step_of(count);
    } else {
        return;
    }
    r->range_out[0] = y;
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */
static bl_status lower_axes(bli_lower_call *c, bli_prim kind, int *wire, double *count)
{
    const bl_shape *x = &c->in[0]->shape;
    const bli_call call = {.ctx = c->ctx, .node = c->node, .in = {[1] = c->known[1]}};
    bl_shape one = *x, kept;
    one.dim[0] = 1;
    BLI_TRY(kept_shape(&call, &one, &kept, count));
    bli_prim_op op = {.kind = kind, .num_in = 1, .in = {c->x[0].wire}};
    for (int d = 1; d < x->rank; d++)
        if (kept.dim[d] != x->dim[d])
            op.axes[op.num_axes++] = d - 1;
    *wire = c->x[0].wire;
    return op.num_axes == 0 ? BL_OK : bli_lower_add(c, &op, "sum", NULL, bli_lower_wire(c, 0)->exp, wire);
}

/* Without keepdims the reduced axes go. */
static bl_status squeezed(bli_lower_call *c, int *wire)
{
    const bl_shape row = bli_lower_row(c->out[0]);
    const bli_wire *w = bli_builder_wire(c->b, *wire);
    const bli_prim_op op = {.kind = BLI_PRIM_RESHAPE, .num_in = 1, .in = {*wire}};
    return bl_shape_equal(&row, &w->shape) ? BL_OK : bli_lower_add(c, &op, NULL, &row, w->exp, wire);
}

static bl_status lower(bli_lower_call *c)
{
    int wire;
    double count;
    BLI_TRY(lower_axes(c, BLI_PRIM_REDUCE_SUM, &wire, &count));
    BLI_TRY(squeezed(c, &wire));
    c->y[0].wire = wire;
    return is_mean(c->node) ? bli_lower_quotient(c, wire, &count, 1) : BL_OK;
}

static bl_status max_lower(bli_lower_call *c)
{
    double unused;
    BLI_TRY(lower_axes(c, BLI_PRIM_REDUCE_MAX, &c->y[0].wire, &unused));
    return squeezed(c, &c->y[0].wire);
}

static const bli_attr_spec attrs[] = {{"axes", BL_ATTR_INTS, false},
                                      {"keepdims", BL_ATTR_INT, false},
                                      {"noop_with_empty_axes", BL_ATTR_INT, false},
                                      {NULL, BL_ATTR_INT, false}};
#define REDUCE(name, onnx, help)                                                                                       \
    const bli_op bli_op_##name = {                                                                                     \
        .schema = {onnx, BLI_DOMAIN_ONNX, 1, 2, 1, attrs, infer_reduce, help},                                         \
        .forward = forward,                                                                                            \
        .backward = backward,                                                                                          \
        .range = range,                                                                                                \
        .scratch = scratch,                                                                                            \
        .lower = lower,                                                                                                \
    }
REDUCE(reduce_sum, "ReduceSum", "sums over axes");
REDUCE(reduce_mean, "ReduceMean", "means over axes");

/* ---- the greatest ------------------------------------------------------------------------------------------- */

static bl_status max_forward(const bli_call *c)
{
    bl_shape kept;
    double count;
    BLI_TRY(kept_shape(c, &c->in[0].shape, &kept, &count));
    bli_walk w = bli_walk_start(&c->in[0].shape, &kept, NULL);
    BLI_REAL_CALL(c->in[0].type, greatest, &w, c->in[0].data, bli_count(&c->out[0]), c->out[0].data);
    return BL_OK;
}

static size_t max_scratch(const bli_call *c)
{
    return bli_count(&c->out[0]) * sizeof(double);
}

static bl_status max_backward(const bli_call *c)
{
    bl_shape kept;
    double unused, *counts = c->scratch;
    const bl_dtype type = c->in[0].type;
    if (!c->grad_in[0].data)
        return BL_OK;
    BLI_TRY(kept_shape(c, &c->in[0].shape, &kept, &unused));
    memset(counts, 0, bli_count(&c->out[0]) * sizeof *counts);
    bli_walk w = bli_walk_start(&c->in[0].shape, &kept, NULL);
    BLI_REAL_CALL(type, count_greatest, &w, c->in[0].data, c->out[0].data, counts);
    w = bli_walk_start(&c->in[0].shape, &kept, NULL);
    BLI_REAL_CALL(type, spread_greatest, &w, c->in[0].data, c->out[0].data, counts, c->grad_out[0].data,
                  c->grad_in[0].data);
    return BL_OK;
}

/* One of the elements; the greatest of none is -infinity. */
static void max_range(bli_range_call *r)
{
    const bl_shape *x = &r->in[0]->shape;
    for (int d = 0; d < x->rank; d++)
        if (x->dim[d] == 0)
            return;
    r->range_out[0] = r->range_in[0];
}

const bli_op bli_op_reduce_max = {
    .schema = {"ReduceMax", BLI_DOMAIN_ONNX, 1, 2, 1, attrs, infer_reduce, "greatest elements over axes"},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_NEEDS_OUT,
    .forward = max_forward,
    .backward = max_backward,
    .range = max_range,
    .scratch = max_scratch,
    .lower = max_lower,
};
