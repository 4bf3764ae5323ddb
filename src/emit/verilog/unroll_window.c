/* unroll_window.c: windows, reductions, and the greatest of a row. */
#include "emit/verilog/net_impl.h"
#include "emit/verilog/unroll.h"

/* An bli_image as rows, columns, channels; a 1-D layer has one column. */
typedef struct image {
    int64_t rows, columns, channels;
} image;

bli_image bli_image_of(const bli_wire *w)
{
    const bl_shape *s = &w->shape;
    return (bli_image){s->dim[0], s->rank > 2 ? s->dim[1] : 1, s->dim[s->rank - 1]};
}

int64_t bli_image_tap(const bli_window *w, bli_image x, int64_t row, int64_t column, int i, int j, int64_t c)
{
    int64_t y = row * w->stride[0] + (int64_t)i * w->dilation[0] - w->pad[0];
    int64_t z = column * w->stride[1] + (int64_t)j * w->dilation[1] - w->pad[1];
    return y < 0 || y >= x.rows || z < 0 || z >= x.columns ? -1 : (y * x.columns + z) * x.channels + c;
}

static bl_status greater(bli_net *n, bool *first, bli_net_ref r, bli_net_ref *best)
{
    bool was = *first;
    *first = false;
    if (was)
        return *best = r, BL_OK;
    return bli_net_less_mux(n, *best, r, r, *best, best);
}

static bl_status pool_one(bli_unroll *u, const bli_prim_op *op, int64_t row, int64_t col, int64_t c, bli_net_ref *out)
{
    const bli_window *w = &op->window;
    bli_image x = bli_image_of(bli_unroll_in(u, op, 0));
    const bli_net_ref *in = u->net->wires[op->in[0]];
    bli_net_sum sum = {.constant = 0};
    bool first = true;
    bl_status s = BL_OK;
    for (int t = 0; t < w->kernel[0] * w->kernel[1] && s == BL_OK; t++) {
        int64_t e = bli_image_tap(w, x, row, col, t / w->kernel[1], t % w->kernel[1], c);
        if (e >= 0)
            s = op->kind == BLI_PRIM_SUMPOOL ? bli_net_sum_add(u->net, &sum, in[e], 1)
                                             : greater(u->net, &first, in[e], out);
    }
    if (s != BL_OK || op->kind == BLI_PRIM_MAXPOOL)
        return bli_net_sum_free(u->net, &sum), s;
    return bli_unroll_finish(u, &sum, op, c, out);
}

bl_status bli_unroll_pool(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    bli_image y = bli_image_of(bli_unroll_out(u, op));
    for (int64_t e = 0; e < bli_unroll_out(u, op)->count; e++) {
        int64_t place = e / y.channels;
        BLI_TRY(pool_one(u, op, place / y.columns, place % y.columns, e % y.channels, &out[e]));
    }
    return BL_OK;
}

/* The element of the result (reduced dimensions 1) that element e of x goes into. */
static int64_t reduced(const bli_prim_op *op, const bl_shape *x, int64_t e)
{
    int64_t index = 0, stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t at = e % x->dim[i];
        bool gone = false;
        e /= x->dim[i];
        for (int k = 0; k < op->num_axes; k++)
            gone = gone || op->axes[k] == i;
        if (gone)
            continue;
        index += at * stride;
        stride *= x->dim[i];
    }
    return index;
}

static bl_status reduce_sums(bli_unroll *u, const bli_prim_op *op, bli_net_sum *sums, bli_net_ref *out)
{
    const bli_wire *x = bli_unroll_in(u, op, 0), *y = bli_unroll_out(u, op);
    for (int64_t e = 0; e < x->count; e++)
        BLI_TRY(bli_net_sum_add(u->net, &sums[reduced(op, &x->shape, e)], u->net->wires[op->in[0]][e], 1));
    for (int64_t e = 0; e < y->count; e++)
        BLI_TRY(bli_unroll_finish(u, &sums[e], op, e % bli_unroll_last(y), &out[e]));
    return BL_OK;
}

bl_status bli_unroll_reduce_sum(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    int64_t count = bli_unroll_out(u, op)->count;
    bli_net_sum *sums = bli_alloc_array(u->net->ctx, (size_t)count + 1, sizeof *sums);
    if (!sums)
        return BL_NO_MEMORY;
    bl_status s = reduce_sums(u, op, sums, out);
    for (int64_t e = 0; e < count; e++)
        bli_net_sum_free(u->net, &sums[e]);
    bli_free(u->net->ctx, sums);
    return s;
}

bl_status bli_unroll_reduce_max(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_wire *x = bli_unroll_in(u, op, 0);
    for (int64_t y = 0; y < bli_unroll_out(u, op)->count; y++) {
        bool first = true;
        for (int64_t e = 0; e < x->count; e++)
            if (reduced(op, &x->shape, e) == y)
                BLI_TRY(greater(u->net, &first, u->net->wires[op->in[0]][e], &out[y]));
    }
    return BL_OK;
}

/* The first greatest of x[0..length-1] and its index, as a tournament: the right side wins only if greater. */
static bl_status argmax(bli_net *n, const bli_net_ref *x, int64_t first, int64_t length, bli_net_ref *value,
                        bli_net_ref *index)
{
    *value = x[0];
    *index = bli_net_constant(first);
    if (length == 1)
        return BL_OK;
    bli_net_ref right, right_index, left;
    int64_t half = (length + 1) / 2;
    BLI_TRY(argmax(n, x, first, half, &left, index));
    BLI_TRY(argmax(n, x + half, first + half, length - half, &right, &right_index));
    BLI_TRY(bli_net_less_mux(n, left, right, right, left, value));
    return bli_net_less_mux(n, left, right, right_index, *index, index);
}

bl_status bli_unroll_argmax(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    int64_t length = bli_unroll_last(bli_unroll_in(u, op, 0));
    bli_net_ref value;
    for (int64_t e = 0; e < bli_unroll_out(u, op)->count; e++)
        BLI_TRY(argmax(u->net, u->net->wires[op->in[0]] + e * length, 0, length, &value, &out[e]));
    return BL_OK;
}
