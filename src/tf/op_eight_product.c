/* op_eight_product.c: QuantizedConv2D, QuantizedMatMul, QuantizedMul: products of bytes less their zero points, summed
 * modulo 2^32. */
#include <string.h>

#include "tf/eight_op.h"

static int32_t zero_point(const float range[2])
{
    return (int32_t)(uint32_t)(uint64_t)bli_code_of(0, range[0], range[1], &bli_quint8);
}

static bl_status need_bytes(const bli_tf_call *c)
{
    float range[2];
    int type;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_need_type(c, 1, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_range_in(c, 2, 3, range));
    BLI_TRY(bli_tf_range_in(c, 4, 5, range));
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, bli_tf_node_attr(c->node, "out_type") ? "out_type" : "Toutput",
                           BLI_DT_QINT32, &type));
    if (type != BLI_DT_QINT32)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a result of type %s; only qint32 is known", bli_tf_dtype_name(type));
    return BL_OK;
}

static bl_status product_range(const bli_tf_call *c, float x[2], float w[2], float out[2])
{
    BLI_TRY(bli_tf_range_in(c, 2, 3, x));
    BLI_TRY(bli_tf_range_in(c, 4, 5, w));
    bli_product_range(x, &bli_quint8, w, &bli_quint8, out);
    return BL_OK;
}

/* ---- QuantizedConv2D ----------------------------------------------------------------------------------------- */
static bl_status read_conv(const bli_tf_call *c, bli_eight_conv *v)
{
    const bl_shape *f = &c->in[1].shape;
    BLI_TRY(bli_tf_window_picture(c, 0, &v->w));
    BLI_TRY(bli_tf_need_rank(c, 1, 4));
    v->units = v->w.kernel[0] = v->w.kernel[1] = -1;
    if (bli_tf_known(f)) {
        v->w.kernel[0] = f->dim[0];
        v->w.kernel[1] = f->dim[1];
        v->units = f->dim[3];
        if (v->w.channels >= 0 && v->w.channels != f->dim[2])
            return bli_tf_refuse(c, 1, "a filter for the picture's channels");
    }
    BLI_TRY(bli_tf_window_steps(c, &v->w));
    if (v->w.nchw || v->w.dilation[0] != 1 || v->w.dilation[1] != 1)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "only NHWC without dilation is known");
    return bli_tf_window_pads(c, &v->w);
}

static bl_status infer_conv(bli_tf_call *c)
{
    bli_eight_conv v;
    BLI_TRY(need_bytes(c));
    BLI_TRY(read_conv(c, &v));
    c->out[0].dtype = BLI_DT_QINT32;
    c->out[0].shape = bli_tf_window_shape(&v.w, v.units);
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

bl_status bli_eight_conv_read(const bli_tf_call *c, bli_eight_conv *v, float range[2])
{
    float x[2], w[2];
    *v = (bli_eight_conv){.units = 0};
    BLI_TRY(read_conv(c, v));
    BLI_TRY(product_range(c, x, w, range));
    v->zero_x = zero_point(x);
    v->zero_w = zero_point(w);
    return BL_OK;
}

static bl_status run_conv(bli_tf_call *c)
{
    bli_eight_conv v;
    float range[2];
    BLI_TRY(bli_eight_conv_read(c, &v, range));
    bli_tf_range_out(c, 1, range);
    return bli_eight_conv_run(c, &v, c->in[0].data, c->in[0].ours, c->in[1].data, c->in[1].constant, c->out[0].data);
}

/* ---- QuantizedMatMul ----------------------------------------------------------------------------------------- */
typedef struct sizes {
    bool turned_a, turned_b;
    int64_t rows, depth, columns;
} sizes;

static bl_status read_sizes(const bli_tf_call *c, sizes *s)
{
    const bl_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "transpose_a", false, &s->turned_a));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "transpose_b", false, &s->turned_b));
    BLI_TRY(bli_tf_need_rank(c, 0, 2));
    BLI_TRY(bli_tf_need_rank(c, 1, 2));
    s->rows = a->rank < 0 ? -1 : a->dim[s->turned_a];
    s->depth = a->rank < 0 ? -1 : a->dim[!s->turned_a];
    s->columns = b->rank < 0 ? -1 : b->dim[!s->turned_b];
    if (s->depth >= 0 && b->rank >= 0 && b->dim[s->turned_b] >= 0 && b->dim[s->turned_b] != s->depth)
        return bli_tf_refuse(c, 1, "as many rows as input 0 has columns");
    return BL_OK;
}

static bl_status infer_matmul(bli_tf_call *c)
{
    sizes s;
    BLI_TRY(need_bytes(c));
    BLI_TRY(read_sizes(c, &s));
    c->out[0].dtype = BLI_DT_QINT32;
    c->out[0].shape = (bl_shape){2, {s.rows, s.columns}};
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status turn(bli_tf_call *c, bool turned, int input, uint8_t **copy)
{
    const bl_shape *s = &c->in[input].shape;
    *copy = NULL;
    if (!turned)
        return BL_OK;
    *copy = bli_alloc(c->ctx, (size_t)bli_tf_count(&c->in[input]));
    if (!*copy)
        return BL_NO_MEMORY;
    bli_tf_channels_last(c->in[input].data, 1, s->dim[0], s->dim[1], 1, *copy);
    return BL_OK;
}

static bl_status check_range(const bli_tf_call *c, int input, const float range[2])
{
    if (range[1] > range[0])
        return BL_OK;
    return bli_fail(c->ctx, BL_BAD_VALUE, "input %d has a range from %g to %g", input, (double)range[0],
                    (double)range[1]);
}

static bl_status read_matmul(const bli_tf_call *c, sizes *s, bli_eight_conv *v, float range[2])
{
    float a[2], b[2];
    BLI_TRY(read_sizes(c, s));
    BLI_TRY(product_range(c, a, b, range));
    if (s->rows > 0 && s->columns > 0)
        BLI_TRY(check_range(c, 0, a));
    if (s->rows > 0 && s->columns > 0)
        BLI_TRY(check_range(c, 1, b));
    *v = (bli_eight_conv){.w = {.images = 1,
                                .channels = s->depth,
                                .size = {1, s->rows},
                                .out = {1, s->rows},
                                .kernel = {1, 1},
                                .stride = {1, 1},
                                .dilation = {1, 1}},
                          .units = s->columns,
                          .zero_x = zero_point(a),
                          .zero_w = zero_point(b)};
    return BL_OK;
}

bl_status bli_eight_matmul_read(const bli_tf_call *c, bli_eight_conv *v, float range[2], bool *turned)
{
    sizes s;
    BLI_TRY(read_matmul(c, &s, v, range));
    *turned = s.turned_a || s.turned_b;
    return BL_OK;
}

static bl_status run_matmul(bli_tf_call *c)
{
    sizes s;
    bli_eight_conv v;
    float range[2];
    uint8_t *x = NULL, *w = NULL;
    BLI_TRY(read_matmul(c, &s, &v, range));
    bli_tf_range_out(c, 1, range);
    bl_status status = turn(c, s.turned_a, 0, &x);
    if (status == BL_OK)
        status = turn(c, s.turned_b, 1, &w);
    if (status == BL_OK)
        status = bli_eight_conv_run(c, &v, x ? x : c->in[0].data, !x && c->in[0].ours, w ? w : c->in[1].data,
                                    c->in[1].constant, c->out[0].data);
    bli_free(c->ctx, x);
    bli_free(c->ctx, w);
    return status;
}

/* ---- QuantizedMul -------------------------------------------------------------------------------------------- */
/* Which of two has the result's elements; of a batch without any, that of more dimensions. */
static bool second_is_larger(const bl_shape *x, const bl_shape *y)
{
    const bool known = bli_tf_known(x) && bli_tf_known(y) && bl_shape_count(x) > 0 && bl_shape_count(y) > 0;
    return known ? bl_shape_count(x) < bl_shape_count(y) : x->rank < y->rank;
}

bl_shape bli_tf_eight_result(const bli_tf_call *c)
{
    const bl_shape *x = &c->in[0].shape, *y = &c->in[1].shape;
    if (x->rank < 0 || y->rank < 0)
        return BLI_TF_UNKNOWN_SHAPE;
    bl_shape s = second_is_larger(x, y) ? *y : *x;
    for (int i = 0; i < s.rank && x->rank == y->rank && !(bli_tf_known(x) && bli_tf_known(y)); i++)
        if (x->dim[i] != y->dim[i])
            s.dim[i] = -1;
    return s;
}

bl_status bli_tf_eight_spread(const bli_tf_call *c)
{
    const bl_shape *x = &c->in[0].shape, *y = &c->in[1].shape;
    if (!bli_tf_known(x) || !bli_tf_known(y) || bl_shape_equal(x, y))
        return BL_OK;
    const bl_shape *large = second_is_larger(x, y) ? y : x, *small = large == x ? y : x;
    const int64_t n = bl_shape_count(small);
    if (n == 1 && small->rank <= large->rank)
        return BL_OK;
    const bool vector = small->rank >= 1 && small->rank <= large->rank && small->dim[small->rank - 1] == n;
    if (vector && large->dim[large->rank - 1] == n)
        return BL_OK;
    return bli_fail(c->ctx, BL_UNSUPPORTED,
                    "inputs of these shapes: eight-bit kernels know equal ones, one value, and a vector");
}

static bl_status infer_mul(bli_tf_call *c)
{
    BLI_TRY(need_bytes(c));
    BLI_TRY(bli_tf_eight_spread(c));
    c->out[0].dtype = BLI_DT_QINT32;
    c->out[0].shape = bli_tf_eight_result(c);
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status run_mul(bli_tf_call *c)
{
    const uint8_t *x = c->in[0].data, *y = c->in[1].data;
    const int64_t n = bli_tf_count(&c->out[0]), nx = bli_tf_count(&c->in[0]), ny = bli_tf_count(&c->in[1]);
    int32_t *to = c->out[0].data;
    float a[2], b[2], range[2];
    BLI_TRY(product_range(c, a, b, range));
    bli_tf_range_out(c, 1, range);
    const uint32_t za = (uint32_t)zero_point(a), zb = (uint32_t)zero_point(b);
    const int64_t row = nx < ny ? nx : ny; /* what is shorter is used again for each */
    for (int64_t at = 0; at < n; at += row)
        for (int64_t i = 0; i < row; i++)
            to[at + i] = (int32_t)((x[nx == n ? at + i : i] - za) * (y[ny == n ? at + i : i] - zb));
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"QuantizedConv2D", 6, 6, 3, NULL, infer_conv, run_conv, 0, false},
    {"QuantizedMatMul", 6, 6, 3, NULL, infer_matmul, run_matmul, 0, false},
    {"QuantizedMul", 6, 6, 3, NULL, infer_mul, run_mul, 0, false},
};
const bli_tf_family bli_tf_family_eight_product = {ops, BLI_COUNT(ops)};
