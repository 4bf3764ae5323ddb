/* unroll_linear.c: products: DENSE and CONV with constants, by digits or through plans of adders, and DOT of two wires.
 */
#include "emit/verilog/net_impl.h"
#include "emit/verilog/unroll.h"

static bl_status column(bli_unroll *u, const bli_prim_op *op, const bli_net_ref *x, const int64_t *weight,
                        int64_t stride, int64_t length, int64_t channel, bli_net_ref *out)
{
    bli_net_sum sum = {.constant = op->bias ? op->bias[channel] : 0};
    for (int64_t k = 0; k < length; k++) {
        bl_status s = bli_net_sum_add(u->net, &sum, x[k], weight[k * stride]);
        if (s != BL_OK)
            return bli_net_sum_free(u->net, &sum), s;
    }
    return bli_unroll_finish(u, &sum, op, channel, out);
}

bl_status bli_unroll_dense(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    int64_t length = bli_unroll_last(bli_unroll_in(u, op, 0)), columns = bli_unroll_last(bli_unroll_out(u, op));
    int64_t rows = columns > 0 ? bli_unroll_out(u, op)->count / columns : 0;
    const bli_net_ref *x = u->net->wires[op->in[0]];
    if (u->options->adder_graphs && rows > 0) {
        bli_columns_job job = {.op = op, .x = x, .matrix = op->weight, .bias = op->bias, .places = rows};
        job.inputs = length;
        job.outputs = job.stride = columns;
        job.wanted = bli_unroll_offset;
        return bli_columns(u, &job, out);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t m = 0; m < columns; m++)
            BLI_TRY(column(u, op, x + r * length, op->weight + m, columns, length, m, &out[r * columns + m]));
    return BL_OK;
}

/* The values under a window in the order of a weight's [kH, kW, C / groups]. */
static void gather_window(const bli_unroll *u, const bli_prim_op *op, int64_t row, int64_t col, int group,
                          bli_net_ref *patch)
{
    const bli_window *w = &op->window;
    bli_image x = bli_image_of(bli_unroll_in(u, op, 0));
    int64_t depth = x.channels / w->groups, at = 0;
    for (int i = 0; i < w->kernel[0]; i++)
        for (int j = 0; j < w->kernel[1]; j++)
            for (int64_t c = 0; c < depth; c++) {
                int64_t e = bli_image_tap(w, x, row, col, i, j, group * depth + c);
                patch[at++] = e < 0 ? bli_net_constant(0) : u->net->wires[op->in[0]][e];
            }
}

static bl_status conv_place(bli_unroll *u, const bli_prim_op *op, int64_t row, int64_t col, bli_net_ref *patch,
                            bli_net_ref *out)
{
    const bli_window *w = &op->window;
    int64_t maps = bli_image_of(bli_unroll_out(u, op)).channels, each = maps / w->groups;
    int64_t length =
        (int64_t)w->kernel[0] * w->kernel[1] * (bli_image_of(bli_unroll_in(u, op, 0)).channels / w->groups);
    for (int g = 0; g < w->groups; g++) {
        gather_window(u, op, row, col, g, patch);
        for (int64_t m = g * each; m < (g + 1) * each; m++)
            BLI_TRY(column(u, op, patch, op->weight + m * length, 1, length, m, &out[m]));
    }
    return BL_OK;
}

/* One group through one plan: all patches, and the weights the other way round. */
static bl_status conv_group(bli_unroll *u, const bli_prim_op *op, int group, bli_net_ref *patches, int64_t *matrix,
                            bli_net_ref *out)
{
    const bli_window *w = &op->window;
    bli_image y = bli_image_of(bli_unroll_out(u, op));
    int64_t each = y.channels / w->groups, places = y.rows * y.columns;
    int64_t length =
        (int64_t)w->kernel[0] * w->kernel[1] * (bli_image_of(bli_unroll_in(u, op, 0)).channels / w->groups);
    for (int64_t i = 0; i < places; i++)
        gather_window(u, op, i / y.columns, i % y.columns, group, patches + i * length);
    for (int64_t m = 0; m < each; m++)
        for (int64_t k = 0; k < length; k++)
            matrix[k * each + m] = op->weight[(group * each + m) * length + k];
    bli_columns_job job = {.op = op, .x = patches, .matrix = matrix, .places = places, .inputs = length};
    job.bias = op->bias ? op->bias + group * each : NULL;
    job.outputs = each;
    job.typical = y.rows / 2 * y.columns + y.columns / 2;
    job.first = group * each;
    job.stride = y.channels;
    job.wanted = bli_unroll_offset;
    return bli_columns(u, &job, out + group * each);
}

static bl_status conv_by_graph(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_window *w = &op->window;
    bli_image y = bli_image_of(bli_unroll_out(u, op));
    size_t length = (size_t)w->kernel[0] * (size_t)w->kernel[1] *
                    (size_t)(bli_image_of(bli_unroll_in(u, op, 0)).channels / w->groups);
    bl_context *ctx = u->net->ctx;
    bli_net_ref *patches = bli_alloc_array(ctx, (size_t)(y.rows * y.columns) * length + 1, sizeof *patches);
    int64_t *matrix = bli_alloc_array(ctx, (size_t)y.channels * length + 1, sizeof *matrix);
    bl_status s = patches && matrix ? BL_OK : BL_NO_MEMORY;
    for (int g = 0; g < w->groups && s == BL_OK; g++)
        s = conv_group(u, op, g, patches, matrix, out);
    bli_free(ctx, patches);
    bli_free(ctx, matrix);
    return s;
}

bl_status bli_unroll_conv(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    if (u->options->adder_graphs && bli_unroll_out(u, op)->count > 0)
        return conv_by_graph(u, op, out);
    bli_image y = bli_image_of(bli_unroll_out(u, op));
    const bli_window *w = &op->window;
    size_t size = (size_t)w->kernel[0] * (size_t)w->kernel[1] * (size_t)bli_image_of(bli_unroll_in(u, op, 0)).channels;
    bli_net_ref *patch = bli_alloc_array(u->net->ctx, size, sizeof *patch);
    bl_status s = patch ? BL_OK : BL_NO_MEMORY;
    for (int64_t i = 0; i < y.rows * y.columns && s == BL_OK; i++)
        s = conv_place(u, op, i / y.columns, i % y.columns, patch, out + i * y.channels);
    bli_free(u->net->ctx, patch);
    return s;
}

static bl_status dot_one(bli_unroll *u, const bli_net_ref *a, const bli_net_ref *b, int64_t stride, int64_t length,
                         bli_net_ref *out)
{
    bli_net_sum sum = {.constant = 0};
    bl_status s = BL_OK;
    for (int64_t k = 0; k < length && s == BL_OK; k++) {
        bli_net_ref product;
        s = bli_net_multiply(u->net, a[k], b[k * stride], &product);
        if (s == BL_OK)
            s = bli_net_sum_add(u->net, &sum, product, 1);
    }
    if (s != BL_OK)
        return bli_net_sum_free(u->net, &sum), s;
    return bli_net_sum_finish(u->net, &sum, 0, out);
}

bl_status bli_unroll_dot(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_wire *w = bli_unroll_out(u, op), *a = bli_unroll_in(u, op, 0), *b = bli_unroll_in(u, op, 1);
    int64_t columns = bli_unroll_last(w), rows = w->shape.dim[w->shape.rank - 2], length = bli_unroll_last(a);
    for (int64_t e = 0; e < w->count; e++) {
        int64_t batch = e / (rows * columns), row = e / columns % rows;
        int64_t at_a = a->count == rows * length ? 0 : batch * rows * length;
        int64_t at_b = b->count == length * columns ? 0 : batch * length * columns;
        BLI_TRY(dot_one(u, u->net->wires[op->in[0]] + at_a + row * length,
                        u->net->wires[op->in[1]] + at_b + e % columns, columns, length, &out[e]));
    }
    return BL_OK;
}
