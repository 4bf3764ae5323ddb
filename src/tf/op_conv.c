/* op_conv.c: Conv2D, DepthwiseConv2dNative, and the fused operators with pads and a resize in front, on the house's
 * convolutions (op/convolve.h).  Pictures with channels first are turned round before and after. */
#include <string.h>

#include "op/box.h"
#include "op/convolve.h"
#include "tf/conv.h"
#include "tf/pad.h"
#include "tf/resize.h"

enum { MOST_STRIDE = 64 };

/* Of a result of one row (or column) the stride is of no matter. */
static int64_t stride_of(const bli_tf_window *w, int d)
{
    return w->out[d] > 1 ? w->stride[d] : 1;
}

bl_status bli_tf_conv_filter(const bli_tf_call *c, int filter, bool depthwise, bli_tf_conv *v)
{
    const bl_shape *s = &c->in[filter].shape;
    const int t = c->in[0].dtype;
    v->depthwise = depthwise;
    v->units = v->depth = v->w.kernel[0] = v->w.kernel[1] = -1;
    BLI_TRY(bli_tf_need_rank(c, filter, 4));
    BLI_TRY(bli_tf_same_type(c, 0, filter));
    if (t && t != BLI_DT_FLOAT && t != BLI_DT_DOUBLE)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "a picture of type %s; float and double are known",
                        bli_tf_dtype_name(t));
    if (!bli_tf_known(s))
        return BL_OK;
    v->w.kernel[0] = s->dim[0];
    v->w.kernel[1] = s->dim[1];
    v->depth = s->dim[2];
    v->units = depthwise ? s->dim[2] * s->dim[3] : s->dim[3];
    if (v->w.channels < 0)
        return BL_OK;
    if (depthwise ? v->w.channels != v->depth
                  : v->depth < 1 || v->w.channels % v->depth != 0 || v->units % (v->w.channels / v->depth) != 0)
        return bli_tf_refuse(c, filter, "a filter for the picture's channels");
    return BL_OK;
}

/* A plan has a part for each place within a stride. */
static bl_status conv_pads(const bli_tf_call *c, bli_tf_conv *v)
{
    BLI_TRY(bli_tf_window_pads(c, &v->w));
    if (stride_of(&v->w, 0) > MOST_STRIDE || stride_of(&v->w, 1) > MOST_STRIDE)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "strides of %lld and %lld; at most %d is possible",
                        (long long)v->w.stride[0], (long long)v->w.stride[1], MOST_STRIDE);
    return BL_OK;
}

bl_status bli_tf_conv_read(const bli_tf_call *c, bli_tf_conv *v)
{
    BLI_TRY(bli_tf_window_picture(c, 0, &v->w));
    BLI_TRY(bli_tf_conv_filter(c, 1, c->node->op[0] == 'D', v));
    BLI_TRY(bli_tf_window_steps(c, &v->w));
    return conv_pads(c, v);
}

static bl_status infer_conv(bli_tf_call *c)
{
    bli_tf_conv v;
    BLI_TRY(bli_tf_conv_read(c, &v));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = bli_tf_window_shape(&v.w, v.units);
    return BL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------- */
/* What a node keeps: its plan for one size of picture, and its constant filter packed. */
typedef struct kept_conv {
    bli_conv_shape shape;
    const bli_convolve *plan;
    void *packed;
} kept_conv;

static bli_conv_shape shape_of(const bli_tf_conv *v)
{
    const bli_tf_window *w = &v->w;
    return (bli_conv_shape){
        .channels = w->channels,
        .units = v->units,
        .groups = v->depthwise ? w->channels : w->channels / v->depth,
        .size = {w->size[0], w->size[1]},
        .out = {w->out[0], w->out[1]},
        .kernel = {w->kernel[0], w->kernel[1]},
        .stride = {stride_of(w, 0), stride_of(w, 1)},
        .dilation = {w->dilation[0], w->dilation[1]},
        .pad = {w->pad[0], w->pad[1]},
    };
}

/* In squares that stay in the cache. */
static void turn_floats(const float *from, int64_t taps, int64_t depth, int64_t units, float *to)
{
    enum { SIDE = 32 };
    for (int64_t t = 0; t < taps; t++)
        for (int64_t d0 = 0; d0 < depth; d0 += SIDE)
            for (int64_t u0 = 0; u0 < units; u0 += SIDE)
                for (int64_t u = u0; u < units && u < u0 + SIDE; u++)
                    for (int64_t d = d0; d < depth && d < d0 + SIDE; d++)
                        to[(u * depth + d) * taps + t] = from[(t * depth + d) * units + u];
}

/* [tap][channel][unit] (depthwise: [tap][unit]) to [unit][channel][tap]. */
static void turn_filter(const bli_tf_conv *v, const void *filter, size_t element, void *turned)
{
    const int64_t taps = v->w.kernel[0] * v->w.kernel[1], depth = v->depthwise ? 1 : v->depth;
    if (element == sizeof(float)) {
        turn_floats(filter, taps, depth, v->units, turned);
        return;
    }
    bli_box_copy(&(bli_box){.rank = 3,
                            .dim = {v->units, depth, taps},
                            .from = {1, v->units, depth * v->units},
                            .to = {depth * taps, taps, 1}},
                 filter, turned, element);
}

static bl_status keep(bli_tf_call *c, const bli_conv_shape *shape, kept_conv **out)
{
    kept_conv *k = c->site->kept;
    if (!k) {
        k = bli_arena_alloc(c->site->arena, sizeof *k);
        if (!k)
            return BL_NO_MEMORY;
        k->shape = *shape;
        BLI_TRY(bli_convolve_create(c->site->arena, shape, &k->plan));
        c->site->kept = k;
    }
    *out = k;
    return BL_OK;
}

static size_t round_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

/* Scratch: what a sweep needs; the packed filter; the filter turned round. */
static bl_status sweep(bli_tf_call *c, const bli_tf_conv *v, bli_convolve_call *call, const bli_tf_arg *filter,
                       kept_conv *k, const void *x, const void *bias, void *y)
{
    const size_t run = round_up(bli_convolve_scratch_bytes(call)),
                 packed = round_up(bli_convolve_packed_bytes(call, false)),
                 turned = (size_t)bli_tf_count(filter) * bl_dtype_size(call->type);
    const bool fresh = !filter->constant || !k || !k->packed;
    void *scratch;
    BLI_TRY(bli_tf_scratch(c, run + (fresh ? packed + turned : 0) + BLI_ALIGN, &scratch));
    void *weights = (char *)scratch + run;
    if (fresh) {
        if (filter->constant && k) {
            weights = k->packed = bli_arena_alloc(c->site->arena, packed + BLI_ALIGN);
            if (!weights)
                return BL_NO_MEMORY;
        }
        void *straight = (char *)scratch + run + packed;
        turn_filter(v, filter->data, bl_dtype_size(call->type), straight);
        bli_convolve_pack(call, false, straight, weights);
    } else {
        weights = k->packed;
    }
    call->scratch = scratch;
    bli_convolve_sweep(call, false, x, weights, bias, y);
    return BL_OK;
}

bl_status bli_tf_conv_run(bli_tf_call *c, const bli_tf_conv *v, const bli_tf_arg *filter, const void *x,
                          const void *bias, void *y)
{
    const bli_conv_shape shape = shape_of(v);
    const bl_dtype type = bli_tf_store_type(filter->dtype);
    bli_convolve_call call = {.kernels = bli_kernels_get(c->site->isa, type), .type = type, .images = v->w.images};
    kept_conv *k;
    if (v->w.images * v->units * v->w.out[0] * v->w.out[1] == 0)
        return BL_OK;
    BLI_TRY(keep(c, &shape, &k));
    call.plan = k->plan;
    if (memcmp(&k->shape, &shape, sizeof shape) == 0)
        return sweep(c, v, &call, filter, k, x, bias, y);
    bli_arena *arena; /* another size of picture than at first: a plan for this run alone */
    BLI_TRY(bli_arena_create(c->ctx, &arena));
    bl_status s = bli_convolve_create(arena, &shape, &call.plan);
    if (s == BL_OK)
        s = sweep(c, v, &call, filter, NULL, x, bias, y);
    bli_arena_destroy(arena);
    return s;
}

/* Channels-first pictures go through two copies, which live above the scratch of the sweep in memory of their own. */
static bl_status run_turned(bli_tf_call *c, const bli_tf_conv *v, const bli_tf_arg *filter, const void *x, void *y)
{
    const bli_tf_window *w = &v->w;
    const size_t element = bli_tf_dtype_size(filter->dtype);
    const int64_t in = w->size[0] * w->size[1], out = w->out[0] * w->out[1];
    void *a = bli_alloc(c->ctx, (size_t)(w->images * w->channels * in) * element);
    void *b = bli_alloc(c->ctx, (size_t)(w->images * v->units * out) * element);
    bl_status s = a && b ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK) {
        bli_tf_channels_last(x, w->images, w->channels, in, element, a);
        s = bli_tf_conv_run(c, v, filter, a, NULL, b);
    }
    if (s == BL_OK)
        bli_tf_channels_first(b, w->images, v->units, out, element, y);
    bli_free(c->ctx, a);
    bli_free(c->ctx, b);
    return s;
}

static bl_status run_conv(bli_tf_call *c)
{
    bli_tf_conv v;
    BLI_TRY(bli_tf_conv_read(c, &v));
    if (v.w.nchw)
        return run_turned(c, &v, &c->in[1], c->in[0].data, c->out[0].data);
    return bli_tf_conv_run(c, &v, &c->in[1], c->in[0].data, NULL, c->out[0].data);
}

/* ---- FusedPadConv2D, FusedResizeAndPadConv2D ----------------------------------------------------------------- */
/* What stands in front of the convolution. */
typedef struct front {
    bool resizes;
    int64_t size[2], pads[BL_MAX_RANK][2], edge;
    bool known;
    bl_shape resized, padded;
    bli_tf_resize how;
} front;

static bl_status read_front(const bli_tf_call *c, front *f)
{
    const int pads = c->num_in == 4 ? 2 : 1;
    int count;
    bool size_known = true;
    *f = (front){.resizes = c->num_in == 4, .resized = c->in[0].shape};
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    if (f->resizes) {
        int64_t v[BL_MAX_RANK];
        BLI_TRY(bli_tf_ints(c, 1, v, &count, &size_known));
        BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "resize_align_corners", false, &f->how.align));
        if (count >= 0 && count != 2)
            return bli_tf_refuse(c, 1, "two numbers");
        for (int d = 0; d < 2 && f->resized.rank == 4; d++)
            f->resized.dim[1 + d] = f->size[d] = size_known ? v[d] : -1;
        if (size_known && (v[0] < 1 || v[1] < 1 || v[0] > INT32_MAX || v[1] > INT32_MAX))
            return bli_fail(c->ctx, BL_BAD_MODEL, "a size of %lld x %lld", (long long)v[0], (long long)v[1]);
    }
    BLI_TRY(bli_tf_mirror_edge(c, &f->edge));
    BLI_TRY(bli_tf_read_pads(c, pads, 4, f->pads, &f->known));
    f->known = f->known && size_known && bli_tf_known(&f->resized);
    if (f->known)
        BLI_TRY(bli_tf_check_mirror(c, &f->resized, f->pads, f->edge));
    bli_tf_padded(&f->resized, f->pads, f->known, &f->padded);
    return BL_OK;
}

static bl_status read_fused(bli_tf_call *c, front *f, bli_tf_conv *v)
{
    BLI_TRY(read_front(c, f));
    bli_tf_arg in[4];
    bli_tf_call inner = *c;
    memcpy(in, c->in, (size_t)c->num_in * sizeof *in);
    in[0].shape = f->padded;
    inner.in = in;
    BLI_TRY(bli_tf_window_picture(&inner, 0, &v->w));
    BLI_TRY(bli_tf_conv_filter(&inner, c->num_in - 1, false, v));
    BLI_TRY(bli_tf_window_steps(&inner, &v->w));
    if (v->w.nchw)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'data_format' is NCHW");
    return conv_pads(&inner, v);
}

static bl_status infer_fused(bli_tf_call *c)
{
    front f;
    bli_tf_conv v;
    BLI_TRY(read_fused(c, &f, &v));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = bli_tf_window_shape(&v.w, v.units);
    return BL_OK;
}

static bl_status picture(bli_tf_call *c, const bl_shape *s, void **out)
{
    const int64_t n = bl_shape_count(s);
    if (n < 0 || (size_t)n > BLI_TF_MAX_BYTES / sizeof(float))
        return bli_fail(c->ctx, BL_LIMIT, "a picture of more than %zu bytes", BLI_TF_MAX_BYTES);
    *out = bli_alloc(c->ctx, (size_t)n * sizeof(float));
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status run_front(bli_tf_call *c, const front *f, bli_tf_conv *v, void **resized, void **padded)
{
    front g = *f;
    const void *x = c->in[0].data;
    if (f->resizes) {
        BLI_TRY(picture(c, &f->resized, resized));
        BLI_TRY(bli_tf_resize_bilinear(c, &f->how, &c->in[0].shape, x, f->size, *resized));
        x = *resized;
    }
    BLI_TRY(picture(c, &f->padded, padded));
    bli_tf_mirror(&f->resized, &f->padded, g.pads, f->edge, x, *padded, sizeof(float));
    return bli_tf_conv_run(c, v, &c->in[c->num_in - 1], *padded, NULL, c->out[0].data);
}

static bl_status run_fused(bli_tf_call *c)
{
    front f;
    bli_tf_conv v;
    void *resized = NULL, *padded = NULL;
    BLI_TRY(read_fused(c, &f, &v));
    bl_status s = run_front(c, &f, &v, &resized, &padded);
    bli_free(c->ctx, resized);
    bli_free(c->ctx, padded);
    return s;
}

static const bli_tf_op ops[] = {
    {"Conv2D", 2, 2, 1, NULL, infer_conv, run_conv, 0, false},
    {"DepthwiseConv2dNative", 2, 2, 1, NULL, infer_conv, run_conv, 0, false},
    {"FusedPadConv2D", 3, 3, 1, NULL, infer_fused, run_fused, 0, false},
    {"FusedResizeAndPadConv2D", 4, 4, 1, NULL, infer_fused, run_fused, 0, false},
};
const bli_tf_family bli_tf_family_conv = {ops, BLI_COUNT(ops)};
