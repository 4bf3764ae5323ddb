/* mx.c: block formats along any axis.
 *
 * Blocks of K run along spec->axis (the last by default) and start anew in each line; the tail of a line is a shorter
 * block.  Products sum over the axis that the blocks share a scale on, so weights want their input axis here.
 *
 * The gradient passes everywhere.  A block's scale follows its greatest number, so nothing is ever clipped by more than
 * the last eighth below the next power of two; to stop the gradient there would stop just the largest weights and
 * activations of every block (an MLP with mx<e4m3,32> everywhere loses ten points by it).
 */
#include <string.h>

#include "op/quantizer/families.h"

typedef struct lines {
    size_t outer, length, inner;
} lines;

static lines lines_of(const bli_quant_spec *s, const bl_shape *x)
{
    lines l = {1, 1, 1};
    int axis = s->axis < 0 ? s->axis + x->rank : s->axis;
    for (int d = 0; d < x->rank; d++)
        *(d < axis ? &l.outer : d == axis ? &l.length : &l.inner) *= (size_t)x->dim[d];
    return l;
}

static const bli_stream *stream_of(const bli_call *c, const bli_quant_spec *s, bli_stream *stream)
{
    *stream = bli_quant_stream(c);
    return s->format.rounding == BL_STOCHASTIC && c->training ? stream : NULL;
}

bl_status bli_mx_forward(const bli_call *c, const bli_quant_spec *s)
{
    const lines l = lines_of(s, &c->in[0].shape);
    const bl_tensor *x = &c->in[0];
    const uint64_t first = bli_quant_first(c, s);
    bli_stream stream;
    const bli_stream *rng = stream_of(c, s, &stream);
    const bl_format *f = &s->format;
    if (x->type == BL_F64)
        bli_quantize_lines_f64(f, s->scale, rng, first, x->data, c->out[0].data, l.outer, l.length, l.inner, c->isa);
    else
        bli_quantize_lines_f32(f, s->scale, rng, first, x->data, c->out[0].data, l.outer, l.length, l.inner, c->isa);
    return BL_OK;
}

bl_status bli_mx_backward(const bli_call *c, const bli_quant_spec *s)
{
    (void)s;
    const bl_tensor *dx = &c->grad_in[0], *dy = &c->grad_out[0];
    if (dx->data && dx->data != dy->data)
        memcpy(dx->data, dy->data, bli_tensor_count(dx) * bl_dtype_size(dx->type));
    return BL_OK;
}
