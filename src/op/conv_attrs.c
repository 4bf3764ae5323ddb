/* conv_attrs.c: attributes and shapes of convolutions.
 *
 * Everything is small whole numbers (at most LARGEST), so that sizes computed from them cannot overflow.
 */
#include "op/conv_attrs.h"

#include <string.h>

enum { LARGEST = 1 << 24 };

/* The node's numbers for its one or two picture dimensions. */
typedef struct numbers {
    int dims; /* 1 or 2 */
    int64_t stride[2], dilation[2], begin[2], end[2], extra[2];
    bool has_out;
    int64_t out[2];
} numbers;

static bl_status bad(bl_context *ctx, const char *name, int64_t v, size_t at, const char *expected)
{
    return bli_fail(ctx, BL_BAD_MODEL, "attribute %s: value %lld at index %zu, expected %s", name, (long long)v, at,
                    expected);
}

/* Reads count numbers least .. LARGEST; absent leaves what is there. */
static bl_status read_ints(bl_context *ctx, const bl_node *n, const char *name, size_t count, int64_t least,
                           int64_t *out, bool *given)
{
    const bl_attr *a = bl_node_attr(n, name);
    *given = a != NULL;
    if (!a)
        return BL_OK;
    if (a->kind != BL_ATTR_INTS || a->count != count)
        return bli_fail(ctx, BL_BAD_MODEL, "attribute %s has %zu values, expected %zu", name, a->count, count);
    for (size_t i = 0; i < count; i++) {
        if (a->u.ints[i] < least || a->u.ints[i] > LARGEST)
            return bad(ctx, name, a->u.ints[i], i, least > 0 ? "a positive number" : "a number that is not negative");
        out[i] = a->u.ints[i];
    }
    return BL_OK;
}

static bl_status read_numbers(bl_context *ctx, const bl_node *n, numbers *v)
{
    const size_t dims = (size_t)v->dims;
    int64_t pads[4] = {0};
    bool given;
    for (size_t d = 0; d < 2; d++)
        v->stride[d] = v->dilation[d] = 1;
    BLI_TRY(read_ints(ctx, n, "strides", dims, 1, v->stride, &given));
    BLI_TRY(read_ints(ctx, n, "dilations", dims, 1, v->dilation, &given));
    BLI_TRY(read_ints(ctx, n, "output_padding", dims, 0, v->extra, &given));
    BLI_TRY(read_ints(ctx, n, "output_shape", dims, 1, v->out, &v->has_out));
    BLI_TRY(read_ints(ctx, n, "pads", 2 * dims, 0, pads, &given));
    for (size_t d = 0; d < dims; d++) {
        v->begin[d] = pads[d];
        v->end[d] = pads[d + dims];
    }
    return BL_OK;
}

/* Divides the padding that SAME needs; the odd one goes to the end (UPPER) or the beginning (LOWER). */
static void split(numbers *v, int d, int64_t total, bool lower)
{
    total = total > 0 ? total : 0;
    v->begin[d] = lower ? total - total / 2 : total / 2;
    v->end[d] = total - v->begin[d];
}

static bl_status auto_pad_of(bl_context *ctx, const bl_node *n, bool *same, bool *lower, bool *valid)
{
    const char *a = bl_node_string(n, "auto_pad", "NOTSET");
    *lower = strcmp(a, "SAME_LOWER") == 0;
    *same = *lower || strcmp(a, "SAME_UPPER") == 0;
    *valid = strcmp(a, "VALID") == 0;
    if (*same || *valid || strcmp(a, "NOTSET") == 0)
        return BL_OK;
    return bli_fail(ctx, BL_BAD_MODEL, "attribute auto_pad: '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", a);
}

/* y = (x + begin + end - extent) / stride + 1 */
static bl_status size_forward(bl_context *ctx, const bl_node *n, numbers *v, int d, int64_t x, int64_t extent,
                              int64_t *y)
{
    bool same, lower, valid;
    BLI_TRY(auto_pad_of(ctx, n, &same, &lower, &valid));
    if (same)
        split(v, d, ((x + v->stride[d] - 1) / v->stride[d] - 1) * v->stride[d] + extent - x, lower);
    if (valid)
        v->begin[d] = v->end[d] = 0;
    if (x + v->begin[d] + v->end[d] < extent)
        return bli_fail(ctx, BL_BAD_MODEL, "a kernel of extent %lld does not fit into %lld elements (padding included)",
                        (long long)extent, (long long)(x + v->begin[d] + v->end[d]));
    *y = (x + v->begin[d] + v->end[d] - extent) / v->stride[d] + 1;
    return BL_OK;
}

/* y = stride (x - 1) + extra + extent - begin - end */
static bl_status size_transposed(bl_context *ctx, const bl_node *n, numbers *v, int d, int64_t x, int64_t extent,
                                 int64_t *y)
{
    bool same, lower, valid;
    BLI_TRY(auto_pad_of(ctx, n, &same, &lower, &valid));
    const int64_t full = v->stride[d] * (x - 1) + v->extra[d] + extent;
    if (valid)
        v->begin[d] = v->end[d] = 0;
    *y = full - v->begin[d] - v->end[d];
    if (same || v->has_out) {
        *y = v->has_out ? v->out[d] : x * v->stride[d];
        split(v, d, full - *y, lower || !same);
    }
    if (x < 1 || *y < 1 || *y > LARGEST ||
        v->extra[d] >= (v->stride[d] > v->dilation[d] ? v->stride[d] : v->dilation[d]))
        return bli_fail(ctx, BL_BAD_MODEL, "an output of %lld elements with output padding %lld (dimension %d)",
                        (long long)*y, (long long)v->extra[d], d);
    return BL_OK;
}

static bl_status check_kernel(bl_context *ctx, const bl_node *n, const bl_shape *w, int dims)
{
    int64_t kernel[2] = {0};
    bool given;
    BLI_TRY(read_ints(ctx, n, "kernel_shape", (size_t)dims, 1, kernel, &given));
    for (int d = 0; d < dims; d++) {
        if (given && kernel[d] != w->dim[2 + d])
            return bli_fail(ctx, BL_BAD_MODEL, "attribute kernel_shape: %lld at index %d, but the weight has %lld",
                            (long long)kernel[d], d, (long long)w->dim[2 + d]);
        if (w->dim[2 + d] < 1 || w->dim[2 + d] > 4096)
            return bli_fail(ctx, BL_BAD_MODEL, "the weight's kernel is %lld wide, expected 1 to 4096",
                            (long long)w->dim[2 + d]);
    }
    return BL_OK;
}

/* Channels of the node's input and output; w is [units, channels / group] or, transposed, [channels, units / group]. */
static bl_status check_channels(bl_context *ctx, const bl_node *n, int64_t channels, const bl_shape *w, bool transposed,
                                int64_t *groups, int64_t *units)
{
    const int64_t g = *groups = bl_node_int(n, "group", 1), in = transposed ? w->dim[0] : w->dim[1] * g;
    if (g < 1 || g > LARGEST || w->dim[0] < 1 || w->dim[1] < 1 || w->dim[0] > LARGEST || w->dim[1] > LARGEST)
        return bli_fail(ctx, BL_BAD_MODEL, "%lld groups of a weight [%lld, %lld, ..]", (long long)g,
                        (long long)w->dim[0], (long long)w->dim[1]);
    if (in != channels || w->dim[0] % g != 0)
        return bli_fail(ctx, BL_BAD_MODEL, "a weight [%lld, %lld, ..] with %lld groups does not fit %lld channels",
                        (long long)w->dim[0], (long long)w->dim[1], (long long)g, (long long)channels);
    *units = transposed ? w->dim[1] * g : w->dim[0];
    return BL_OK;
}

static void fill_one(bli_conv_shape *s, int at, const numbers *v, int d, int64_t kernel, int64_t x, int64_t y)
{
    s->kernel[at] = kernel;
    s->stride[at] = v->stride[d];
    s->dilation[at] = v->dilation[d];
    s->pad[at] = v->begin[d];
    s->size[at] = x;
    s->out[at] = y;
}

bl_status bli_conv_parse(bl_context *ctx, const bl_node *n, const bl_shape *x, const bl_shape *w, bool transposed,
                         bli_conv_shape *s, bl_shape *y)
{
    const bool last = strcmp(n->domain, BLI_DOMAIN_LAST) == 0;
    numbers v = {.dims = x->rank - 2};
    if ((x->rank != 3 && x->rank != 4) || w->rank != x->rank)
        return bli_fail(ctx, BL_UNSUPPORTED, "input of rank %d and weight of rank %d, expected both 3 or both 4",
                        x->rank, w->rank);
    const int64_t channels = x->dim[last ? x->rank - 1 : 1];
    int64_t units = 0;
    memset(s, 0, sizeof *s);
    *y = *x;
    BLI_TRY(check_channels(ctx, n, channels, w, transposed, &s->groups, &units));
    BLI_TRY(check_kernel(ctx, n, w, v.dims));
    BLI_TRY(read_numbers(ctx, n, &v));
    fill_one(s, 0, &(numbers){.stride = {1}, .dilation = {1}}, 0, 1, 1, 1);
    for (int d = 0; d < v.dims; d++) {
        const int64_t size = x->dim[d + (last ? 1 : 2)], kernel = w->dim[2 + d];
        if (size < 0 || size > LARGEST)
            return bli_fail(ctx, BL_UNSUPPORTED, "dimension %d of the picture is not known", d);
        int64_t out;
        BLI_TRY(
            (transposed ? size_transposed : size_forward)(ctx, n, &v, d, size, (kernel - 1) * v.dilation[d] + 1, &out));
        fill_one(s, d + 2 - v.dims, &v, d, kernel, transposed ? out : size, transposed ? size : out);
        y->dim[d + (last ? 1 : 2)] = out;
    }
    s->channels = transposed ? units : channels;
    s->units = transposed ? channels : units;
    y->dim[last ? x->rank - 1 : 1] = units;
    return BL_OK;
}

bl_status bli_conv_infer(bli_infer *i, bool transposed)
{
    bli_conv_shape s;
    const bl_dtype t = i->in[0]->type;
    if (t != BL_F32 && t != BL_F64)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 is %s, expected F32 or F64", bl_dtype_name(t));
    for (int k = 1; k < 3; k++)
        if (i->in[k] && i->in[k]->type != t)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is %s, but input 0 is %s", k, bl_dtype_name(i->in[k]->type),
                            bl_dtype_name(t));
    BLI_TRY(bli_conv_parse(i->ctx, i->node, &i->in[0]->shape, &i->in[1]->shape, transposed, &s, &i->out_shape[0]));
    const int64_t units = transposed ? s.channels : s.units;
    if (i->in[2] && (i->in[2]->shape.rank != 1 || i->in[2]->shape.dim[0] != units))
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 2 (bias) is not a row of %lld elements", (long long)units);
    i->out_type[0] = t;
    return BL_OK;
}

const bli_attr_spec bli_conv_attrs[] = {
    {"auto_pad", BL_ATTR_STRING, false}, {"dilations", BL_ATTR_INTS, false},
    {"group", BL_ATTR_INT, false},       {"kernel_shape", BL_ATTR_INTS, false},
    {"pads", BL_ATTR_INTS, false},       {"strides", BL_ATTR_INTS, false},
    {NULL, BL_ATTR_INT, false},
};
const bli_attr_spec bli_conv_transpose_attrs[] = {
    {"auto_pad", BL_ATTR_STRING, false},
    {"dilations", BL_ATTR_INTS, false},
    {"group", BL_ATTR_INT, false},
    {"kernel_shape", BL_ATTR_INTS, false},
    {"output_padding", BL_ATTR_INTS, false},
    {"output_shape", BL_ATTR_INTS, false},
    {"pads", BL_ATTR_INTS, false},
    {"strides", BL_ATTR_INTS, false},
    {NULL, BL_ATTR_INT, false},
};
