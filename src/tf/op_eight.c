/* op_eight.c: the eight-bit operators that keep, change or drop codes: QuantizeV2, Dequantize, the requantizations,
 * activations, pools, Concat, ResizeBilinear. */
#include <string.h>

#include "tf/eight_op.h"
#include "tf/kernels/loops.h"

const bli_codes *bli_tf_codes(int dtype)
{
    switch (dtype) {
    case BLI_DT_QUINT8:
        return &bli_quint8;
    case BLI_DT_QINT8:
        return &bli_qint8;
    case BLI_DT_QUINT16:
        return &bli_quint16;
    case BLI_DT_QINT16:
        return &bli_qint16;
    case BLI_DT_QINT32:
        return &bli_qint32;
    default:
        return NULL;
    }
}

bl_status bli_tf_need_codes(const bli_tf_call *c, int input)
{
    if (c->in[input].dtype == BLI_DT_INVALID || bli_tf_codes(c->in[input].dtype))
        return BL_OK;
    return bli_tf_refuse(c, input, "quint8, qint8, quint16, qint16 or qint32");
}

bl_status bli_tf_range_in(const bli_tf_call *c, int low, int high, float range[2])
{
    bool known;
    BLI_TRY(bli_tf_scalar_float(c, low, &range[0], &known));
    return bli_tf_scalar_float(c, high, &range[1], &known);
}

void bli_tf_range_infer(bli_tf_call *c, int first)
{
    for (int k = first; k < first + 2; k++) {
        c->out[k].dtype = BLI_DT_FLOAT;
        c->out[k].shape = (bl_shape){0, {0}};
    }
}

void bli_tf_range_out(bli_tf_call *c, int first, const float range[2])
{
    *(float *)c->out[first].data = range[0];
    *(float *)c->out[first + 1].data = range[1];
}

/* ---- QuantizeV2, Dequantize ---------------------------------------------------------------------------------- */
static bl_status read_how(const bli_tf_call *c, int dtype, bli_eight_how *how, int64_t *axis)
{
    static const char *const modes[] = {
        [BLI_MIN_COMBINED] = "MIN_COMBINED", [BLI_MIN_FIRST] = "MIN_FIRST", [BLI_SCALED] = "SCALED"};
    const char *mode, *rounding;
    *how = (bli_eight_how){.type = bli_tf_codes(dtype)};
    if (!how->type)
        return bli_fail(c->ctx, BL_BAD_MODEL, "type %s has no codes", bli_tf_dtype_name(dtype));
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "mode", "MIN_COMBINED", &mode));
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "round_mode", "HALF_AWAY_FROM_ZERO", &rounding));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "narrow_range", false, &how->narrow));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "ensure_minimum_range", 0.01f, &how->ensure_minimum_range));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "axis", -1, axis));
    how->to_even = strcmp(rounding, "HALF_TO_EVEN") == 0;
    for (size_t i = 0; i < BLI_COUNT(modes); i++)
        if (strcmp(mode, modes[i]) == 0) {
            how->mode = (bli_eight_mode)i;
            return BL_OK;
        }
    return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'mode' is '%s'", mode);
}

bl_status bli_tf_eight_how(const bli_tf_call *c, int dtype, bli_eight_how *how)
{
    int64_t axis;
    BLI_TRY(read_how(c, dtype, how, &axis));
    return axis == -1 ? BL_OK
                      : bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'axis' is %lld; one range for all is expected",
                                 (long long)axis);
}

static bl_status infer_quantize(bli_tf_call *c)
{
    bli_eight_how how;
    float range[2];
    int64_t axis, count;
    BLI_TRY(bli_tf_get_type(c->ctx, c->node, "T", &c->out[0].dtype));
    BLI_TRY(read_how(c, c->out[0].dtype, &how, &axis));
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    c->out[0].shape = c->in[0].shape;
    bli_tf_range_infer(c, 1);
    if (axis == -1)
        return bli_tf_range_in(c, 1, 2, range);
    BLI_TRY(bli_tf_check_slices(c, &how, axis, &count));
    c->out[1].shape = c->out[2].shape = (bl_shape){1, {count}};
    return BL_OK;
}

static bl_status run_quantize(bli_tf_call *c)
{
    bli_eight_how how;
    float range[2];
    int64_t axis;
    BLI_TRY(read_how(c, c->out[0].dtype, &how, &axis));
    if (axis != -1)
        return bli_tf_quantize_slices(c, &how, axis);
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    if (!(range[1] >= range[0]))
        return bli_fail(c->ctx, BL_BAD_VALUE, "a range from %g to %g", (double)range[0], (double)range[1]);
    if (how.mode == BLI_MIN_FIRST && how.type == &bli_quint8) {
        bli_eight_adjust(&how, range);
        const bli_encoder e = bli_encoder_make(range[0], range[1], how.type);
        bli_tf_loops_get(c->site->isa)->encode(&e, c->in[0].data, bli_tf_count(&c->in[0]), c->out[0].data);
    } else {
        bli_quantize(&how, c->in[0].data, bli_tf_count(&c->in[0]), range, c->out[0].data);
    }
    bli_tf_range_out(c, 1, range);
    return BL_OK;
}

static bl_status infer_dequantize(bli_tf_call *c)
{
    bli_eight_how how;
    float range[2];
    int type;
    int64_t axis = -1, count;
    BLI_TRY(bli_tf_need_codes(c, 0));
    if (c->in[0].dtype)
        BLI_TRY(read_how(c, c->in[0].dtype, &how, &axis));
    if (axis != -1)
        BLI_TRY(bli_tf_check_slices(c, &how, axis, &count));
    else
        BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "dtype", BLI_DT_FLOAT, &type));
    if (type != BLI_DT_FLOAT)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'dtype' is %s; only float is known",
                        bli_tf_dtype_name(type));
    c->out[0].dtype = BLI_DT_FLOAT;
    c->out[0].shape = c->in[0].shape;
    return BL_OK;
}

static bl_status run_dequantize(bli_tf_call *c)
{
    bli_eight_how how;
    float range[2];
    int64_t axis;
    BLI_TRY(read_how(c, c->in[0].dtype, &how, &axis));
    if (axis != -1)
        return bli_tf_dequantize_slices(c, &how, axis);
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    if (how.mode == BLI_MIN_FIRST && how.type == &bli_quint8) {
        const bli_decoder d = bli_decoder_make(range[0], range[1], how.type);
        bli_tf_loops_get(c->site->isa)->decode(&d, c->in[0].data, bli_tf_count(&c->in[0]), c->out[0].data);
    } else {
        bli_dequantize(&how, c->in[0].data, bli_tf_count(&c->in[0]), range, c->out[0].data);
    }
    return BL_OK;
}

/* ---- requantizing -------------------------------------------------------------------------------------------- */
static bl_status need_sums(const bli_tf_call *c)
{
    float range[2];
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QINT32));
    return bli_tf_range_in(c, 1, 2, range);
}

static bl_status infer_range(bli_tf_call *c)
{
    BLI_TRY(need_sums(c));
    bli_tf_range_infer(c, 0);
    return BL_OK;
}

/* Of nothing: [0, 0], where TensorFlow's goes from 0 to below it and is an error further on. */
static void filled_range(const bli_tf_call *c, const float from[2], float out[2])
{
    int32_t least = 0, greatest = 0;
    out[0] = out[1] = 0;
    if (bli_tf_count(&c->in[0]) == 0)
        return;
    bli_tf_loops_get(c->site->isa)->extremes(c->in[0].data, bli_tf_count(&c->in[0]), &least, &greatest);
    bli_range_of_extremes(least, greatest, from, out);
}

static bl_status run_range(bli_tf_call *c)
{
    float from[2], to[2];
    BLI_TRY(bli_tf_range_in(c, 1, 2, from));
    filled_range(c, from, to);
    bli_tf_range_out(c, 0, to);
    return BL_OK;
}

static bl_status infer_requantize(bli_tf_call *c)
{
    float range[2];
    int type;
    BLI_TRY(need_sums(c));
    if (c->num_in == 5)
        BLI_TRY(bli_tf_range_in(c, 3, 4, range));
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "out_type", BLI_DT_QUINT8, &type));
    if (type != BLI_DT_QUINT8)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'out_type' is %s; only quint8 is known",
                        bli_tf_dtype_name(type));
    c->out[0].dtype = BLI_DT_QUINT8;
    c->out[0].shape = c->in[0].shape;
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status run_requantize(bli_tf_call *c)
{
    float from[2], to[2];
    BLI_TRY(bli_tf_range_in(c, 1, 2, from));
    if (c->num_in == 5)
        BLI_TRY(bli_tf_range_in(c, 3, 4, to));
    else
        filled_range(c, from, to);
    if (!(to[0] <= 0))
        return bli_fail(c->ctx, BL_BAD_VALUE, "the requested minimum is %g, expected 0 or less", (double)to[0]);
    if (!(to[1] >= to[0]))
        return bli_fail(c->ctx, BL_BAD_VALUE, "the requested range goes from %g to %g", (double)to[0], (double)to[1]);
    const bli_requantizer r = bli_requantizer_make(from, to);
    bli_tf_loops_get(c->site->isa)->requantize(&r, c->in[0].data, bli_tf_count(&c->in[0]), c->out[0].data);
    bli_tf_range_out(c, 1, to);
    return BL_OK;
}

/* ---- activations --------------------------------------------------------------------------------------------- */
/* One byte tensor with its range, passed through. */
static bl_status infer_through(bli_tf_call *c)
{
    float range[2];
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    BLI_TRY(bli_tf_infer_same(c));
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status run_relu(bli_tf_call *c)
{
    const uint8_t *x = c->in[0].data;
    uint8_t *y = c->out[0].data;
    const int64_t n = bli_tf_count(&c->in[0]);
    float range[2];
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    const uint8_t low = (uint8_t)bli_code_clamped(0, range[0], range[1], &bli_quint8);
    const uint8_t high = c->node->op[strlen(c->node->op) - 1] == '6'
                             ? (uint8_t)bli_code_clamped(6, range[0], range[1], &bli_quint8)
                             : 255;
    bli_tf_loops_get(c->site->isa)->clamp(x, n, low, high, y);
    bli_tf_range_out(c, 1, range);
    return BL_OK;
}

/* ---- pools --------------------------------------------------------------------------------------------------- */
static bl_status read_pool(const bli_tf_call *c, bli_tf_window *w)
{
    BLI_TRY(bli_tf_window_picture(c, 0, w));
    BLI_TRY(bli_tf_window_pair(c, "ksize", true, w->nchw, w->kernel));
    BLI_TRY(bli_tf_window_pair(c, "strides", true, w->nchw, w->stride));
    if (w->nchw)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "attribute 'data_format' is NCHW");
    return bli_tf_window_pads(c, w);
}

static bl_status infer_pool(bli_tf_call *c)
{
    bli_tf_window w;
    BLI_TRY(infer_through(c));
    BLI_TRY(read_pool(c, &w));
    c->out[0].shape = bli_tf_window_shape(&w, w.channels);
    return BL_OK;
}

static void pool_pixel(const bli_tf_window *w, const bli_tf_loops *loops, const uint8_t *x, int64_t i, int64_t j,
                       bool average, uint32_t *sum, uint8_t *y)
{
    int64_t top, left;
    const int64_t rows = bli_tf_window_inside(w, 0, i, &top), columns = bli_tf_window_inside(w, 1, j, &left),
                  channels = w->channels;
    memset(average ? (void *)sum : y, 0, (size_t)channels * (average ? sizeof *sum : 1));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++) {
            const uint8_t *p = x + ((top + r) * w->size[1] + left + q) * channels;
            if (average)
                loops->add(p, channels, sum);
            else
                loops->most(p, channels, y);
        }
    if (!average || rows * columns == 0)
        return;
    const int64_t count = rows * columns;
    for (int64_t k = 0; k < channels; k++)
        y[k] = (uint8_t)(sum[k] / (uint32_t)count);
}

static bl_status run_pool(bli_tf_call *c)
{
    bli_tf_window w;
    void *sums;
    float range[2];
    const bool average = c->node->op[9] == 'A';
    const bli_tf_loops *loops = bli_tf_loops_get(c->site->isa);
    BLI_TRY(read_pool(c, &w));
    BLI_TRY(bli_tf_range_in(c, 1, 2, range));
    bli_tf_range_out(c, 1, range);
    if (w.kernel[0] * w.kernel[1] > INT32_MAX / 255)
        return bli_fail(c->ctx, BL_LIMIT, "a window of %lld pixels", (long long)(w.kernel[0] * w.kernel[1]));
    BLI_TRY(bli_tf_scratch(c, (size_t)w.channels * sizeof(int32_t) + 1, &sums));
    uint8_t *y = c->out[0].data;
    const int64_t in = w.size[0] * w.size[1] * w.channels;
    for (int64_t n = 0; w.channels > 0 && n < w.images; n++)
        for (int64_t i = 0; i < w.out[0]; i++)
            for (int64_t j = 0; j < w.out[1]; j++, y += w.channels)
                pool_pixel(&w, loops, (const uint8_t *)c->in[0].data + n * in, i, j, average, sums, y);
    return BL_OK;
}

/* ---- Concat -------------------------------------------------------------------------------------------------- */
/* Inputs: the axis, N tensors, N minima, N maxima. */
static int parts_of(const bli_tf_call *c)
{
    return (c->num_in - 1) / 3;
}

static bl_status infer_concat(bli_tf_call *c)
{
    const int n = parts_of(c);
    int64_t axis, total = 0;
    int at = -1;
    bool known;
    bl_shape s = BLI_TF_UNKNOWN_SHAPE;
    float range[2];
    if (n < 1 || c->num_in != 3 * n + 1)
        return bli_fail(c->ctx, BL_BAD_MODEL, "%d inputs, expected an axis and three for each part", c->num_in);
    BLI_TRY(bli_tf_scalar_int(c, 0, &axis, &known));
    for (int i = 1; i <= n; i++) {
        bl_shape one = c->in[i].shape;
        BLI_TRY(bli_tf_need_codes(c, i));
        BLI_TRY(bli_tf_same_type(c, 1, i));
        BLI_TRY(bli_tf_range_in(c, n + i, 2 * n + i, range));
        if (one.rank < 0 || !known) {
            total = -1;
            continue;
        }
        BLI_TRY(bli_tf_axis(c, axis, one.rank, &at));
        if (one.dim[at] < 0 || total < 0 || __builtin_add_overflow(total, one.dim[at], &total))
            total = -1;
        one.dim[at] = -1;
        BLI_TRY(bli_tf_merge(c, i, &one, &s));
    }
    if (at >= 0 && s.rank >= 0)
        s.dim[at] = total;
    c->out[0].dtype = c->in[1].dtype;
    c->out[0].shape = s;
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

static bl_status joined_range(const bli_tf_call *c, int n, const bli_codes *t, float out[2])
{
    out[0] = out[1] = 0;
    for (int i = 1; i <= n; i++) {
        float range[2];
        BLI_TRY(bli_tf_range_in(c, n + i, 2 * n + i, range));
        out[0] = range[0] < out[0] ? range[0] : out[0];
        out[1] = i == 1 || out[1] < range[1] ? range[1] : out[1];
    }
    if (t->low < 0) {
        const float a = __builtin_fabsf(out[0]), b = __builtin_fabsf(out[1]), size = a < b ? b : a;
        out[0] = -size;
        out[1] = size;
    }
    return BL_OK;
}

/* Rows of one part between rows of the result; table: what its bytes become, or NULL. */
static void put_part(const uint8_t *from, size_t rows, size_t bytes, const uint8_t *table, uint8_t *to, size_t step)
{
    for (size_t r = 0; r < rows && bytes > 0; r++, from += bytes, to += step)
        if (!table)
            memcpy(to, from, bytes);
        else
            for (size_t i = 0; i < bytes; i++)
                to[i] = table[from[i]];
}

static void byte_table(const bli_codes *t, const float from[2], const float to[2], uint8_t table[256])
{
    uint8_t codes[256];
    float x[256];
    const bli_decoder d = bli_decoder_make(from[0], from[1], t);
    const bli_encoder e = bli_encoder_make(to[0], to[1], t);
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    bli_eight_decode(&d, t, codes, 256, x);
    bli_eight_encode(&e, t, x, 256, table);
}

static bl_status wide_part(const bli_tf_call *c, const bli_codes *t, int input, const float from[2], const float to[2],
                           const void **codes)
{
    const int64_t n = bli_tf_count(&c->in[input]);
    void *scratch;
    BLI_TRY(bli_tf_scratch(c, (size_t)n * (sizeof(float) + sizeof(int32_t)) + BLI_ALIGN, &scratch));
    float *x = scratch;
    const bli_decoder d = bli_decoder_make(from[0], from[1], t);
    const bli_encoder e = bli_encoder_make(to[0], to[1], t);
    bli_eight_decode(&d, t, c->in[input].data, n, x);
    bli_eight_encode(&e, t, x, n, x + n);
    *codes = x + n;
    return BL_OK;
}

static bl_status run_concat(bli_tf_call *c)
{
    const int n = parts_of(c);
    const bli_codes *t = bli_tf_codes(c->out[0].dtype);
    const bl_shape *s = &c->out[0].shape;
    float to[2], from[2];
    int64_t axis;
    int at;
    bool known;
    uint8_t table[256];
    BLI_TRY(bli_tf_scalar_int(c, 0, &axis, &known));
    BLI_TRY(bli_tf_axis(c, axis, s->rank, &at));
    BLI_TRY(joined_range(c, n, t, to));
    bli_tf_range_out(c, 1, to);
    size_t rows = 1, step = (size_t)t->bits / 8, offset = 0;
    for (int i = 0; i < at; i++)
        rows *= (size_t)s->dim[i];
    for (int i = at; i < s->rank; i++)
        step *= (size_t)s->dim[i];
    for (int i = 1; rows > 0 && i <= n; i++) {
        const size_t bytes = (size_t)bli_tf_count(&c->in[i]) * (size_t)t->bits / 8 / rows;
        const void *codes = c->in[i].data;
        BLI_TRY(bli_tf_range_in(c, n + i, 2 * n + i, from));
        const bool same = from[0] == to[0] && from[1] == to[1];
        if (!same && t->bits == 8)
            byte_table(t, from, to, table);
        else if (!same)
            BLI_TRY(wide_part(c, t, i, from, to, &codes));
        put_part(codes, rows, bytes, same || t->bits != 8 ? NULL : table, (uint8_t *)c->out[0].data + offset, step);
        offset += bytes;
    }
    return BL_OK;
}

/* ---- ResizeBilinear ------------------------------------------------------------------------------------------ */
static bl_status infer_resize(bli_tf_call *c)
{
    int64_t v[BL_MAX_RANK];
    float range[2];
    int count;
    bool known;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_QUINT8));
    BLI_TRY(bli_tf_need_rank(c, 0, 4));
    BLI_TRY(bli_tf_ints(c, 1, v, &count, &known));
    BLI_TRY(bli_tf_range_in(c, 2, 3, range));
    if (count >= 0 && count != 2)
        return bli_tf_refuse(c, 1, "two numbers");
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = c->in[0].shape;
    for (int d = 0; d < 2 && c->in[0].shape.rank == 4; d++) {
        if (known && (v[d] < 1 || v[d] > INT32_MAX))
            return bli_fail(c->ctx, BL_BAD_MODEL, "a size of %lld", (long long)v[d]);
        if (c->in[0].shape.dim[1 + d] == 0)
            return bli_tf_refuse(c, 0, "a picture that is not empty");
        c->out[0].shape.dim[1 + d] = known ? v[d] : -1;
    }
    bli_tf_range_infer(c, 1);
    return BL_OK;
}

/* int16 steps, which wrap, and C's division. */
static uint8_t between(const uint8_t *top, const uint8_t *bottom, const bli_eight_axis *x, int64_t channels, int64_t k,
                       int down)
{
    const int tl = top[x->low * channels + k], tr = top[x->high * channels + k];
    const int bl = bottom[x->low * channels + k], br = bottom[x->high * channels + k];
    const int16_t t = (int16_t)(tl * 128 + (tr - tl) * x->part), b = (int16_t)(bl * 128 + (br - bl) * x->part);
    const int16_t v = (int16_t)(t + (b - t) / 128 * down);
    return (uint8_t)((v + 64) / 128);
}

static bl_status run_resize(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape, *o = &c->out[0].shape;
    const int64_t channels = s->dim[3];
    uint8_t *y = c->out[0].data;
    bool align, half;
    float range[2];
    void *scratch;
    BLI_TRY(bli_tf_range_in(c, 2, 3, range));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "align_corners", false, &align));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "half_pixel_centers", false, &half));
    bli_tf_range_out(c, 1, range);
    if (bl_shape_equal(s, o)) {
        memcpy(y, c->in[0].data, (size_t)bli_tf_count(&c->in[0]));
        return BL_OK;
    }
    BLI_TRY(bli_tf_scratch(c, (size_t)(o->dim[1] + o->dim[2]) * sizeof(bli_eight_axis), &scratch));
    bli_eight_axis *down = scratch, *across = down + o->dim[1];
    bli_eight_axis_make(s->dim[1], o->dim[1], align, half, down);
    bli_eight_axis_make(s->dim[2], o->dim[2], align, half, across);
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t i = 0; i < o->dim[1]; i++) {
            const uint8_t *image = (const uint8_t *)c->in[0].data + n * s->dim[1] * s->dim[2] * channels;
            const uint8_t *top = image + down[i].low * s->dim[2] * channels,
                          *bottom = image + down[i].high * s->dim[2] * channels;
            for (int64_t j = 0; j < o->dim[2]; j++)
                for (int64_t k = 0; k < channels; k++)
                    *y++ = between(top, bottom, &across[j], channels, k, down[i].part);
        }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"QuantizeV2", 3, 3, 3, NULL, infer_quantize, run_quantize, 0, false},
    {"Dequantize", 3, 3, 1, NULL, infer_dequantize, run_dequantize, 0, false},
    {"RequantizationRange", 3, 3, 2, NULL, infer_range, run_range, 0, false},
    {"Requantize", 5, 5, 3, NULL, infer_requantize, run_requantize, 0, false},
    {"QuantizeDownAndShrinkRange", 3, 3, 3, NULL, infer_requantize, run_requantize, 0, false},
    {"QuantizedRelu", 3, 3, 3, NULL, infer_through, run_relu, 0, false},
    {"QuantizedRelu6", 3, 3, 3, NULL, infer_through, run_relu, 0, false},
    {"QuantizedMaxPool", 3, 3, 3, NULL, infer_pool, run_pool, 0, false},
    {"QuantizedAvgPool", 3, 3, 3, NULL, infer_pool, run_pool, 0, false},
    {"QuantizedConcat", 4, -1, 3, NULL, infer_concat, run_concat, 0, false},
    {"QuantizedResizeBilinear", 4, 4, 3, NULL, infer_resize, run_resize, 0, false},
};
const bli_tf_family bli_tf_family_eight = {ops, BLI_COUNT(ops)};
