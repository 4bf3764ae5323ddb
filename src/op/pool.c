/* pool.c: MaxPool and AveragePool with ONNX's semantics, channels last (the channels-first ones are only read), and the
 * global pools.
 *
 * A maximum's gradient goes to the first of equal elements in row-major order, as in PyTorch; a window with a NaN gives
 * NaN.  An average is the sum divided by the count, not multiplied by a rounded reciprocal.
 */
#include "op/pool.h"

#include <math.h>
#include <string.h>

#include "op/broadcast.h"
#include "op/kernels/loops.h"
#include "op/lower.h"

#define REAL_TEMPLATE "op/pool.inc"
#include "op/real.h"

/* ---- inference ---------------------------------------------------------------------------------------------- */
static bl_status infer_pool(bli_infer *i, bool first)
{
    BLI_TRY(bli_infer_real(i, 0));
    const bl_shape *x = &i->in[0]->shape;
    bli_pool p;
    BLI_TRY(bli_pool_parse(i->ctx, i->node, x, first, &p));
    BLI_TRY(bli_infer_same(i));
    const int dims = x->rank - 2;
    for (int d = 0; d < dims; d++)
        i->out_shape[0].dim[(first ? 2 : 1) + d] = p.out[BLI_POOL_DIMS - dims + d];
    return BL_OK;
}

static bl_status infer_last(bli_infer *i)
{
    return infer_pool(i, false);
}

static bl_status infer_first(bli_infer *i)
{
    return infer_pool(i, true);
}

static bl_status infer_global(bli_infer *i, bool first)
{
    BLI_TRY(bli_infer_real(i, 0));
    const bl_shape *x = &i->in[0]->shape;
    if (x->rank < 3)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 has rank %d, expected at least 3", x->rank);
    BLI_TRY(bli_infer_same(i));
    for (int d = 0; d < x->rank - 2; d++) {
        if (x->dim[(first ? 2 : 1) + d] == 0)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 has no pixels");
        i->out_shape[0].dim[(first ? 2 : 1) + d] = 1;
    }
    return BL_OK;
}

static bl_status infer_global_last(bli_infer *i)
{
    return infer_global(i, false);
}

static bl_status infer_global_first(bli_infer *i)
{
    return infer_global(i, true);
}

/* ---- windows ------------------------------------------------------------------------------------------------ */
static bl_status parse(const bli_call *c, bli_pool *p)
{
    return bli_pool_parse(c->ctx, c->node, &c->in[0].shape, false, p);
}

static size_t image_bytes(const bli_pool *p, const int64_t *size, bl_dtype type)
{
    return (size_t)(size[0] * size[1] * p->channels) * bl_dtype_size(type);
}

static bl_status max_forward(const bli_call *c)
{
    bli_pool p;
    BLI_TRY(parse(c, &p));
    const bl_dtype type = c->out[0].type;
    if (!bli_pool_is_halving(&p)) {
        BLI_REAL_CALL(type, max_pool, &p, c->in[0].data, c->out[0].data);
        return BL_OK;
    }
    const bli_loops *loops = bli_loops_get(c->isa, type);
    const size_t from = image_bytes(&p, p.in, type), to = image_bytes(&p, p.out, type);
    for (size_t n = 0; n < (size_t)p.images; n++)
        loops->maxpool2((const char *)c->in[0].data + n * from, (char *)c->out[0].data + n * to, (size_t)p.in[0],
                        (size_t)p.in[1], (size_t)p.channels);
    return BL_OK;
}

static bl_status max_backward(const bli_call *c)
{
    bli_pool p;
    BLI_TRY(parse(c, &p));
    const bl_dtype type = c->out[0].type;
    if (!c->grad_in[0].data)
        return BL_OK;
    if (!bli_pool_is_halving(&p)) {
        memset(c->grad_in[0].data, 0, (size_t)p.images * image_bytes(&p, p.in, type));
        BLI_REAL_CALL(type, max_pool_back, &p, c->in[0].data, c->out[0].data, c->grad_out[0].data, c->grad_in[0].data);
        return BL_OK;
    }
    const bli_loops *loops = bli_loops_get(c->isa, type);
    const size_t from = image_bytes(&p, p.in, type), to = image_bytes(&p, p.out, type);
    for (size_t n = 0; n < (size_t)p.images; n++)
        loops->maxpool2_back((const char *)c->in[0].data + n * from, (const char *)c->out[0].data + n * to,
                             (const char *)c->grad_out[0].data + n * to, (char *)c->grad_in[0].data + n * from,
                             (size_t)p.in[0], (size_t)p.in[1], (size_t)p.channels);
    return BL_OK;
}

static bl_status average_forward(const bli_call *c)
{
    bli_pool p;
    BLI_TRY(parse(c, &p));
    BLI_REAL_CALL(c->out[0].type, average_pool, &p, c->in[0].data, c->out[0].data);
    return BL_OK;
}

static bl_status average_backward(const bli_call *c)
{
    bli_pool p;
    BLI_TRY(parse(c, &p));
    if (!c->grad_in[0].data)
        return BL_OK;
    const bl_dtype type = c->grad_in[0].type;
    memset(c->grad_in[0].data, 0, (size_t)p.images * image_bytes(&p, p.in, type));
    BLI_REAL_CALL(type, average_pool_back, &p, c->grad_out[0].data, c->grad_in[0].data);
    return BL_OK;
}

/* ---- global ------------------------------------------------------------------------------------------------- */
/* Pixels of an image, and a pool whose one window is the image. */
static bli_pool global_pool(const bli_call *c)
{
    const bl_shape *x = &c->in[0].shape;
    int64_t pixels = 1;
    for (int d = 1; d < x->rank - 1; d++)
        pixels *= x->dim[d];
    return (bli_pool){.in = {1, pixels},
                      .out = {1, 1},
                      .kernel = {1, pixels},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .images = x->dim[0],
                      .channels = x->dim[x->rank - 1]};
}

static bl_status global_max_forward(const bli_call *c)
{
    const bli_pool p = global_pool(c);
    BLI_REAL_CALL(c->out[0].type, max_pool, &p, c->in[0].data, c->out[0].data);
    return BL_OK;
}

static bl_status global_max_backward(const bli_call *c)
{
    const bli_pool p = global_pool(c);
    if (!c->grad_in[0].data)
        return BL_OK;
    memset(c->grad_in[0].data, 0, bli_count(&c->in[0]) * bl_dtype_size(c->in[0].type));
    BLI_REAL_CALL(c->out[0].type, max_pool_back, &p, c->in[0].data, c->out[0].data, c->grad_out[0].data,
                  c->grad_in[0].data);
    return BL_OK;
}

static size_t global_average_scratch(const bli_call *c)
{
    return (size_t)global_pool(c).channels * sizeof(double);
}

/* Sums in double: an image has more pixels than a window. */
static bl_status global_average_forward(const bli_call *c)
{
    const bli_pool p = global_pool(c);
    const bl_dtype type = c->out[0].type;
    const size_t from = image_bytes(&p, p.in, type), to = image_bytes(&p, p.out, type), n = (size_t)p.channels;
    double *sums = c->scratch;
    for (size_t image = 0; image < (size_t)p.images; image++) {
        memset(sums, 0, n * sizeof *sums);
        bli_loops_get(c->isa, type)->column_sum((const char *)c->in[0].data + image * from, (size_t)p.in[1], n, sums);
        for (size_t j = 0; j < n; j++)
            sums[j] /= (double)p.in[1];
        bli_store(type, sums, n, 1, (char *)c->out[0].data + image * to);
    }
    return BL_OK;
}

static bl_status global_average_backward(const bli_call *c)
{
    const bli_pool p = global_pool(c);
    if (c->grad_in[0].data)
        BLI_REAL_CALL(c->grad_in[0].type, spread, &p, c->grad_out[0].data, c->grad_in[0].data);
    return BL_OK;
}

/* ---- ranges ------------------------------------------------------------------------------------------------- */
/* An average of a power of two of elements stays on a finer grid; another count is a real scale. */
static void average_over(bli_range_call *r, int64_t count)
{
    bli_range y = r->range_in[0];
    if (!y.on_grid)
        return;
    r->accumulator = bli_range_steps(&y) * (double)count;
    if (count > 0 && (count & (count - 1)) == 0) {
        y.step_exp -= bli_step_of((double)count);
        r->range_out[0] = y;
    }
}

static void average_range(bli_range_call *r)
{
    const bli_ints kernel = bli_range_ints(r, 1, "kernel_shape"), pads = bli_range_ints(r, 2, "pads");
    int64_t count = 1;
    bool padded = strncmp(bl_node_string(r->node, "auto_pad", "NOTSET"), "SAME", 4) == 0 ||
                  bl_node_int(r->node, "ceil_mode", 0) != 0;
    for (int d = 0; d < kernel.count; d++)
        count *= kernel.v[d];
    for (int d = 0; d < pads.count; d++)
        padded = padded || pads.v[d] != 0;
    if (padded) { /* windows of several counts, and zeros among the elements */
        r->accumulator = r->range_in[0].on_grid ? bli_range_steps(&r->range_in[0]) * (double)count : 0;
        return;
    }
    average_over(r, count);
}

static void global_average_range(bli_range_call *r)
{
    int64_t count = 1;
    for (int d = 1; r->in[0] && d < r->in[0]->shape.rank - 1; d++)
        count *= r->in[0]->shape.dim[d];
    average_over(r, count);
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */
/* The geometry's axis for the program's axis d: one-dimensional pools are rows there. */
static int axis_at(const bl_shape *x, int d)
{
    return BLI_POOL_DIMS - (x->rank - 2) + d;
}

static bli_window window_of(const bli_pool *p, const bl_shape *x)
{
    bli_window w = {.groups = 1, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    for (int d = 0; d < x->rank - 2; d++) {
        const int a = axis_at(x, d);
        const int64_t reach = (p->out[a] - 1) * p->stride[a] + p->dilation[a] * (p->kernel[a] - 1) + 1;
        const int64_t after = reach - p->in[a] - p->before[a];
        w.kernel[d] = (int)p->kernel[a];
        w.stride[d] = (int)p->stride[a];
        w.dilation[d] = (int)p->dilation[a];
        w.pad[d] = (int)p->before[a];
        w.pad[2 + d] = (int)(after > 0 ? after : 0);
    }
    return w;
}

/* Channels whose chain falls are turned round: their greatest value comes from the least code. */
static bl_status turned(bli_lower_call *c, const bli_chain *chain, const char *tail, int *wire)
{
    bool any = false;
    if (!chain)
        return BL_OK;
    int64_t *sign = bli_lower_numbers(c, chain->groups, 1), *zero = bli_lower_numbers(c, chain->groups, 0);
    if (!sign || !zero)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < chain->groups; i++) {
        sign[i] = chain->direction[i] < 0 ? -1 : 1;
        any = any || sign[i] < 0;
        if (chain->direction[i] == 0)
            return bli_lower_refuse(c, "the greatest of values that neither rise nor fall; put a quantizer in front");
    }
    const bli_prim_op op = {
        .kind = BLI_PRIM_AFFINE, .num_in = 1, .in = {*wire}, .channels = chain->groups, .weight = sign, .bias = zero};
    return any ? bli_lower_add(c, &op, tail, NULL, bli_builder_wire(c->b, *wire)->exp, wire) : BL_OK;
}

static bl_status lower_greatest(bli_lower_call *c, const bli_window *w)
{
    int wire = c->x[0].wire;
    BLI_TRY(bli_lower_pass_chain(c, true, 0));
    BLI_TRY(turned(c, c->x[0].chain, "turned", &wire));
    const bli_prim_op op = {.kind = BLI_PRIM_MAXPOOL, .num_in = 1, .in = {wire}, .window = *w};
    BLI_TRY(bli_lower_add(c, &op, NULL, NULL, bli_builder_wire(c->b, wire)->exp, &wire));
    BLI_TRY(turned(c, c->x[0].chain, "back", &wire));
    c->y[0].wire = wire;
    return BL_OK;
}

static bl_status max_lower(bli_lower_call *c)
{
    bli_pool p;
    BLI_TRY(bli_pool_parse(c->ctx, c->node, &c->in[0]->shape, false, &p));
    const bli_window w = window_of(&p, &c->in[0]->shape);
    return lower_greatest(c, &w);
}

static bli_window image_window(const bl_shape *x)
{
    bli_window w = {.groups = 1, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    for (int d = 0; d < x->rank - 2 && d < 2; d++)
        w.kernel[d] = (int)x->dim[1 + d];
    return w;
}

static bl_status global_max_lower(bli_lower_call *c)
{
    const bli_window w = image_window(&c->in[0]->shape);
    if (c->in[0]->shape.rank > 4)
        return bli_lower_refuse(c, "images of %d dimensions", c->in[0]->shape.rank - 2);
    return lower_greatest(c, &w);
}

static bl_status sum_windows(bli_lower_call *c, const bli_window *w, int *wire)
{
    const bli_prim_op op = {.kind = BLI_PRIM_SUMPOOL, .num_in = 1, .in = {c->x[0].wire}, .window = *w};
    return bli_lower_add(c, &op, "sum", NULL, bli_lower_wire(c, 0)->exp, wire);
}

static bl_status global_average_lower(bli_lower_call *c)
{
    const bl_shape *x = &c->in[0]->shape;
    const bli_window w = image_window(x);
    const double count = (double)w.kernel[0] * w.kernel[1];
    int wire;
    if (x->rank > 4)
        return bli_lower_refuse(c, "images of %d dimensions", x->rank - 2);
    BLI_TRY(sum_windows(c, &w, &wire));
    return bli_lower_quotient(c, wire, &count, 1);
}

/* How many elements each position's sum is divided by. */
static double count_at(const bli_pool *p, int64_t h, int64_t w)
{
    double n = 1;
    for (int d = 0; d < BLI_POOL_DIMS; d++) {
        int64_t first, last;
        const int64_t at = d == 0 ? h : w;
        bli_pool_taps(p, d, at, &first, &last);
        n *= (double)(p->count_padding ? bli_pool_padded(p, d, at) : last > first ? last - first : 0);
    }
    return n;
}

static bl_status average_lower(bli_lower_call *c)
{
    bli_pool p;
    int wire;
    BLI_TRY(bli_pool_parse(c->ctx, c->node, &c->in[0]->shape, false, &p));
    const bli_window w = window_of(&p, &c->in[0]->shape);
    BLI_TRY(sum_windows(c, &w, &wire));
    const int64_t n = p.out[0] * p.out[1] * p.channels;
    double *counts = bli_arena_array(c->arena, (size_t)n + 1, sizeof *counts);
    if (!counts)
        return BL_NO_MEMORY;
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        const int64_t pixel = i / p.channels;
        counts[i] = count_at(&p, pixel / p.out[1], pixel % p.out[1]);
        same = same && counts[i] == counts[0];
    }
    return bli_lower_quotient(c, wire, counts, same ? 1 : n);
}

/* ---- table -------------------------------------------------------------------------------------------------- */
static const bli_attr_spec max_attrs[] = {{"auto_pad", BL_ATTR_STRING, false}, {"ceil_mode", BL_ATTR_INT, false},
                                          {"dilations", BL_ATTR_INTS, false},  {"kernel_shape", BL_ATTR_INTS, true},
                                          {"pads", BL_ATTR_INTS, false},       {"storage_order", BL_ATTR_INT, false},
                                          {"strides", BL_ATTR_INTS, false},    {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec average_attrs[] = {
    {"auto_pad", BL_ATTR_STRING, false},       {"ceil_mode", BL_ATTR_INT, false},
    {"count_include_pad", BL_ATTR_INT, false}, {"dilations", BL_ATTR_INTS, false},
    {"kernel_shape", BL_ATTR_INTS, true},      {"pads", BL_ATTR_INTS, false},
    {"strides", BL_ATTR_INTS, false},          {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};

const bli_op bli_op_maxpool_last = {
    .schema = {"MaxPool", BLI_DOMAIN_LAST, 1, 1, 1, max_attrs, infer_last, "largest of each window"},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_NEEDS_OUT | BLI_OP_MOVES,
    .forward = max_forward,
    .backward = max_backward,
    .range = bli_range_same,
    .lower = max_lower,
};
const bli_op bli_op_averagepool_last = {
    .schema = {"AveragePool", BLI_DOMAIN_LAST, 1, 1, 1, average_attrs, infer_last, "mean of each window"},
    .forward = average_forward,
    .backward = average_backward,
    .range = average_range,
    .lower = average_lower,
};
const bli_op bli_op_global_maxpool_last = {
    .schema = {"GlobalMaxPool", BLI_DOMAIN_LAST, 1, 1, 1, no_attrs, infer_global_last, "largest of each image"},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_NEEDS_OUT | BLI_OP_MOVES,
    .forward = global_max_forward,
    .backward = global_max_backward,
    .range = bli_range_same,
    .lower = global_max_lower,
};
const bli_op bli_op_global_averagepool_last = {
    .schema = {"GlobalAveragePool", BLI_DOMAIN_LAST, 1, 1, 1, no_attrs, infer_global_last, "mean of each image"},
    .forward = global_average_forward,
    .backward = global_average_backward,
    .range = global_average_range,
    .scratch = global_average_scratch,
    .lower = global_average_lower,
};
#define FIRST_OP(name, onnx, attrs, infer)                                                                             \
    const bli_op bli_op_##name = {.schema = {onnx, BLI_DOMAIN_ONNX, 1, 1, 1, attrs, infer,                             \
                                             "channels first: read, and rewritten to channels last"}}
FIRST_OP(maxpool, "MaxPool", max_attrs, infer_first);
FIRST_OP(averagepool, "AveragePool", average_attrs, infer_first);
FIRST_OP(global_maxpool, "GlobalMaxPool", no_attrs, infer_global_first);
FIRST_OP(global_averagepool, "GlobalAveragePool", no_attrs, infer_global_first);
