/* widths.c: a format with a number of bits of its own for every element, channel or tensor (input 2).
 *
 * fixed<W,I> keeps I and takes W from the tensor, so that the range stays and the step changes; int<W> keeps its step
 * and changes its range.  Elements are worked in pieces through the kernel that takes everything per element; what that
 * kernel does not know (wrapping, widths of 24 and more) goes one element at a time.
 */
#include <math.h>

#include "op/quantizer/families.h"

enum { PIECE = 256, MAX_WIDTH = 32 };

/* Index into a tensor of shape t, broadcast to x (aligned at the last axis), for x's element i. */
static size_t broadcast_index(const bl_shape *t, const bl_shape *x, size_t i)
{
    size_t index = 0, stride = 1;
    for (int d = 0; d < t->rank; d++) {
        size_t xdim = (size_t)x->dim[x->rank - 1 - d], dim = (size_t)t->dim[t->rank - 1 - d];
        index += dim == 1 ? 0 : (i % xdim) * stride;
        stride *= dim;
        i /= xdim;
    }
    return index;
}

double bli_width_value(const bl_tensor *t, size_t i)
{
    switch (t->type) {
    case BL_I64:
        return (double)((const int64_t *)t->data)[i];
    case BL_I32:
        return (double)((const int32_t *)t->data)[i];
    case BL_U8:
        return (double)((const uint8_t *)t->data)[i];
    case BL_I8:
        return (double)((const int8_t *)t->data)[i];
    default:
        return bli_value_get(t, i);
    }
}

static bl_status width_at(const bli_call *c, const bli_quant_spec *s, size_t i, bl_format *f)
{
    const bl_tensor *bits = &c->in[2];
    double w = bli_width_value(bits, broadcast_index(&bits->shape, &c->in[0].shape, i));
    int sign = s->format.is_signed ? 1 : 0;
    if (!(w >= 1 && w <= MAX_WIDTH) || w != floor(w))
        return bli_fail(c->ctx, BL_BAD_VALUE, "width %g of element %zu is not a whole number from 1 to %d", w, i,
                        (int)MAX_WIDTH);
    if (c->in[0].type == BL_F32 && w - sign > 24)
        return bli_fail(c->ctx, BL_BAD_VALUE, "width %g of element %zu needs a float64 carrier", w, i);
    f->bits = (int)w;
    return BL_OK;
}

/* One piece: forward writes out, backward (dy not NULL) the masked gradient. */
typedef struct piece {
    double step[PIECE], lo[PIECE], hi[PIECE];
    bl_format format[PIECE];
    bool plain; /* the kernel can do it */
} piece;

static bl_status gather(const bli_call *c, const bli_quant_spec *s, const bli_grids *g, size_t at, size_t n, piece *p)
{
    double most = c->in[0].type == BL_F64 ? 0x1p51 : 0x1p22;
    p->plain = (s->format.overflow == BL_SAT || s->format.overflow == BL_SAT_SYM) && s->format.kind != BL_FORMAT_AFFINE;
    for (size_t i = 0; i < n; i++) {
        bl_format *f = &p->format[i];
        *f = s->format;
        BLI_TRY(width_at(c, s, at + i, f));
        bli_code_bounds(f, &p->lo[i], &p->hi[i]);
        p->step[i] = bl_format_step(f) * g->scale[bli_group_of(&g->groups, at + i)];
        p->plain = p->plain && p->hi[i] <= most && p->lo[i] >= -most;
    }
    return BL_OK;
}

typedef struct walk {
    const bli_call *c;
    const bli_quant_spec *s;
    const bli_grids *g;
    const bli_stream *rng;
    uint64_t first;
} walk;

static void each_f32(const walk *w, const piece *p, size_t at, size_t n, const float *dy, float *out)
{
    float step[PIECE], lo[PIECE], hi[PIECE];
    const float *x = (const float *)w->c->in[0].data + at;
    for (size_t i = 0; i < n; i++) {
        step[i] = (float)p->step[i];
        lo[i] = (float)p->lo[i];
        hi[i] = (float)p->hi[i];
    }
    bl_rounding q = w->s->format.rounding;
    if (dy)
        bli_quantize_grad_each_f32(q, step, lo, hi, w->rng, w->first + at, x, dy, out, n, w->c->isa);
    else
        bli_quantize_each_f32(q, step, lo, hi, w->rng, w->first + at, x, out, n, w->c->isa);
}

static void each_f64(const walk *w, const piece *p, size_t at, size_t n, const double *dy, double *out)
{
    const double *x = (const double *)w->c->in[0].data + at;
    bl_rounding q = w->s->format.rounding;
    if (dy)
        bli_quantize_grad_each_f64(q, p->step, p->lo, p->hi, w->rng, w->first + at, x, dy, out, n, w->c->isa);
    else
        bli_quantize_each_f64(q, p->step, p->lo, p->hi, w->rng, w->first + at, x, out, n, w->c->isa);
}

/* One element through its own format. */
static void single(const walk *w, const bl_format *f, size_t i, const bl_tensor *dy, const bl_tensor *out)
{
    size_t group = bli_group_of(&w->g->groups, i);
    double scale = w->g->scale[group];
    int64_t zero = w->g->zero[group];
    uint64_t first = w->first + i;
    const bl_tensor *x = &w->c->in[0];
    bli_isa isa = w->c->isa;
    if (x->type == BL_F64) {
        const double *v = (const double *)x->data + i;
        double *y = (double *)out->data + i;
        if (dy)
            bli_quantize_grad_f64(f, scale, zero, w->rng, first, v, (const double *)dy->data + i, y, 1, isa);
        else
            bli_quantize_f64(f, scale, zero, w->rng, first, v, y, 1, isa);
        return;
    }
    const float *v = (const float *)x->data + i;
    float *y = (float *)out->data + i;
    if (dy)
        bli_quantize_grad_f32(f, scale, zero, w->rng, first, v, (const float *)dy->data + i, y, 1, isa);
    else
        bli_quantize_f32(f, scale, zero, w->rng, first, v, y, 1, isa);
}

static bl_status run(const bli_call *c, const bli_quant_spec *s, const bl_tensor *dy, const bl_tensor *out)
{
    bli_grids g;
    BLI_TRY(bli_grid_resolve(c, s, &g));
    bli_stream stream = bli_quant_stream(c);
    const bli_stream *rng = s->format.rounding == BL_STOCHASTIC && c->training ? &stream : NULL;
    walk w = {c, s, &g, rng, bli_quant_first(c, s)};
    size_t total = bli_tensor_count(&c->in[0]), n;
    for (size_t at = 0; at < total; at += n) {
        piece p;
        n = total - at < PIECE ? total - at : PIECE;
        BLI_TRY(gather(c, s, &g, at, n, &p));
        if (!p.plain) {
            for (size_t i = 0; i < n; i++)
                single(&w, &p.format[i], at + i, dy, out);
        } else if (c->in[0].type == BL_F64) {
            each_f64(&w, &p, at, n, dy ? (const double *)dy->data + at : NULL, (double *)out->data + at);
        } else {
            each_f32(&w, &p, at, n, dy ? (const float *)dy->data + at : NULL, (float *)out->data + at);
        }
    }
    return BL_OK;
}

bl_status bli_widths_forward(const bli_call *c, const bli_quant_spec *s)
{
    return run(c, s, NULL, &c->out[0]);
}

/* d scale: as in grid_backward.c, element by element. */
static bl_status scale_gradient(const bli_call *c, const bli_quant_spec *s)
{
    bli_grids g;
    BLI_TRY(bli_grid_resolve(c, s, &g));
    double *sum = g.scale + g.groups.count;
    for (size_t k = 0; k < g.groups.count; k++)
        sum[k] = 0;
    bli_stream stream = bli_quant_stream(c);
    const bli_stream *rng = s->format.rounding == BL_STOCHASTIC && c->training ? &stream : NULL;
    uint64_t first = bli_quant_first(c, s);
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        bl_format f = s->format;
        BLI_TRY(width_at(c, s, i, &f));
        size_t k = bli_group_of(&g.groups, i);
        double x = bli_value_get(&c->in[0], i), dy = bli_value_get(&c->grad_out[0], i);
        bool clipped;
        double q = bli_quantize_reference_f64(&f, g.scale[k], g.zero[k], rng != NULL,
                                              rng ? bli_stream_u32(rng, first + i) : 0, x, &clipped);
        double code = bli_unscaled(&f, q, g.scale[k]);
        sum[k] += dy * (clipped ? code : code - x / g.scale[k]);
    }
    bli_store_scale_gradient(c, sum, g.groups.count);
    return BL_OK;
}

bl_status bli_widths_backward(const bli_call *c, const bli_quant_spec *s)
{
    if (c->grad_in[1].data && bli_quant_needs_scale(s))
        BLI_TRY(scale_gradient(c, s));
    if (c->grad_in[0].data)
        BLI_TRY(run(c, s, &c->grad_out[0], &c->grad_in[0]));
    return BL_OK;
}
