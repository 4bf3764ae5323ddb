/* pool_shape.c: ONNX's attributes of MaxPool and AveragePool, and what they make of a shape.
 *
 * Output sizes follow the operator's text in opset 22: with ceil_mode a window that would start in the padding behind
 * is left out.  Padding as wide as the kernel is refused, as in ONNX: such a window would hold nothing.
 */
#include <string.h>

#include "op/pool.h"

static bl_status int_list(bl_context *ctx, const bl_node *n, const char *name, int count, int64_t least,
                          int64_t fallback, int64_t *out)
{
    const bl_attr *a = bl_node_attr(n, name);
    if (a && a->count != (size_t)count)
        return bli_fail(ctx, BL_BAD_MODEL, "attribute %s: %zu values, expected %d", name, a->count, count);
    for (int d = 0; d < count; d++) {
        out[d] = a ? a->u.ints[d] : fallback;
        if (out[d] < least || out[d] > INT32_MAX)
            return bli_fail(ctx, BL_BAD_MODEL, "attribute %s: value %lld at index %d is outside of %lld .. %d", name,
                            (long long)out[d], d, (long long)least, INT32_MAX);
    }
    return BL_OK;
}

/* Padding that makes ceil(in / stride) outputs; an odd one goes behind (upper) or before (lower). */
static void same_padding(bli_pool *p, int d, bool upper)
{
    const int64_t out = (p->in[d] + p->stride[d] - 1) / p->stride[d];
    const int64_t all = (out - 1) * p->stride[d] + (p->kernel[d] - 1) * p->dilation[d] + 1 - p->in[d];
    const int64_t total = all > 0 ? all : 0;
    p->before[d] = upper ? total / 2 : total - total / 2;
    p->after[d] = total - p->before[d];
}

static bl_status padding(bl_context *ctx, const bl_node *n, int dims, bli_pool *p)
{
    const char *mode = bl_node_string(n, "auto_pad", "NOTSET");
    int64_t pads[2 * BLI_POOL_DIMS] = {0};
    const int at = BLI_POOL_DIMS - dims;
    if (strcmp(mode, "SAME_UPPER") == 0 || strcmp(mode, "SAME_LOWER") == 0) {
        for (int d = at; d < BLI_POOL_DIMS; d++)
            same_padding(p, d, strcmp(mode, "SAME_UPPER") == 0);
        return BL_OK;
    }
    if (strcmp(mode, "NOTSET") == 0)
        BLI_TRY(int_list(ctx, n, "pads", 2 * dims, 0, 0, pads));
    else if (strcmp(mode, "VALID") != 0)
        return bli_fail(ctx, BL_BAD_MODEL, "attribute auto_pad: '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                        mode);
    for (int d = 0; d < dims; d++) {
        p->before[at + d] = pads[d];
        p->after[at + d] = pads[dims + d];
        for (int side = 0; side < 2; side++)
            if (pads[side * dims + d] >= p->kernel[at + d])
                return bli_fail(ctx, BL_BAD_MODEL,
                                "attribute pads: value %lld at index %d is not below the kernel's %lld",
                                (long long)pads[side * dims + d], side * dims + d, (long long)p->kernel[at + d]);
    }
    return BL_OK;
}

static bl_status out_size(bl_context *ctx, bli_pool *p, int d, bool ceil_mode)
{
    const int64_t window = (p->kernel[d] - 1) * p->dilation[d] + 1;
    const int64_t whole = p->in[d] + p->before[d] + p->after[d], room = whole - window;
    if (room < 0)
        return bli_fail(ctx, BL_BAD_MODEL, "the window of %lld does not fit into %lld (padding included)",
                        (long long)window, (long long)whole);
    p->out[d] = (room + (ceil_mode ? p->stride[d] - 1 : 0)) / p->stride[d] + 1;
    if (ceil_mode && (p->out[d] - 1) * p->stride[d] >= p->in[d] + p->before[d])
        p->out[d]--;
    return BL_OK;
}

bl_status bli_pool_parse(bl_context *ctx, const bl_node *n, const bl_shape *x, bool first, bli_pool *p)
{
    const int dims = x->rank - 2, at = BLI_POOL_DIMS - dims;
    if (dims < 1 || dims > BLI_POOL_DIMS)
        return bli_fail(ctx, BL_UNSUPPORTED, "input 0 has rank %d, expected 3 or 4", x->rank);
    *p = (bli_pool){.in = {1, 1}, .out = {1, 1}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    p->images = x->dim[0];
    p->channels = x->dim[first ? 1 : x->rank - 1];
    p->count_padding = bl_node_int(n, "count_include_pad", 0) != 0;
    for (int d = 0; d < dims; d++)
        p->in[at + d] = x->dim[(first ? 2 : 1) + d];
    if (!bl_node_attr(n, "kernel_shape"))
        return bli_fail(ctx, BL_BAD_MODEL, "attribute kernel_shape is missing");
    BLI_TRY(int_list(ctx, n, "kernel_shape", dims, 1, 1, p->kernel + at));
    BLI_TRY(int_list(ctx, n, "strides", dims, 1, 1, p->stride + at));
    BLI_TRY(int_list(ctx, n, "dilations", dims, 1, 1, p->dilation + at));
    if (bl_node_int(n, "storage_order", 0) != 0)
        return bli_fail(ctx, BL_UNSUPPORTED, "attribute storage_order: only 0 (row major)");
    BLI_TRY(padding(ctx, n, dims, p));
    for (int d = at; d < BLI_POOL_DIMS; d++)
        BLI_TRY(out_size(ctx, p, d, bl_node_int(n, "ceil_mode", 0) != 0));
    return BL_OK;
}

bool bli_pool_is_halving(const bli_pool *p)
{
    bool yes = true;
    for (int d = 0; d < BLI_POOL_DIMS; d++)
        yes = yes && p->kernel[d] == 2 && p->stride[d] == 2 && p->dilation[d] == 1 && p->before[d] == 0 &&
              p->after[d] == 0 && p->out[d] == p->in[d] / 2;
    return yes;
}
