/* input.c: the ends of a program: spans of inputs by their formats, real numbers to codes and back. */
#include <math.h>

#include "num/num.h"
#include "program/build.h"

static bl_status code_span(const bl_format *f, bli_wide_span *out)
{
    const bli_int128 one = 1;
    switch (f->kind) {
    case BL_FORMAT_FIXED:
    case BL_FORMAT_INT:
    case BL_FORMAT_AFFINE:
        out->low = f->is_signed ? -(one << (f->bits - 1)) + (f->overflow == BL_SAT_SYM) : 0;
        out->high = (one << (f->bits - f->is_signed)) - 1;
        return BL_OK;
    case BL_FORMAT_BINARY:
    case BL_FORMAT_TERNARY:
        *out = (bli_wide_span){-1, 1, 0, false};
        return BL_OK;
    case BL_FORMAT_PO2:
    case BL_FORMAT_FLOAT:
        out->high = (one << f->bits) - 1;
        return BL_OK;
    default:
        return BL_UNSUPPORTED;
    }
}

bl_status bli_input_span(bl_context *ctx, const bli_input *input, bli_span *out)
{
    const char *name = input->name != NULL ? input->name : "";
    char text[64];
    bli_wide_span s = {.low = 0};
    BLI_TRY(bli_within(ctx, bli_format_check(ctx, &input->format), "input '%s'", name));
    BLI_TRY(bli_within(ctx,
                       bli_grid_check(ctx, &input->format, input->grid.scale, input->grid.zero_point, !input->wide),
                       "input '%s'", name));
    if (!isfinite(input->scale) || !isfinite(input->offset))
        return bli_fail(ctx, BL_BAD_MODEL, "input '%s': scale %g and offset %g, expected finite ones", name,
                        input->scale, input->offset);
    bl_format_print(&input->format, text, sizeof text);
    if (code_span(&input->format, &s) != BL_OK)
        return bli_fail(ctx, BL_UNSUPPORTED, "input '%s': %s has no integer codes of its own", name, text);
    s.zeros = s.low == s.high ? bli_zeros_of(s.low) : 0;
    if (!bli_span_narrow(s, out))
        return bli_fail(ctx, BL_LIMIT, "input '%s': %s is past the 64 bits of a wire", name, text);
    return BL_OK;
}

int bli_input_exp(const bli_input *input)
{
    if (input->format.kind == BL_FORMAT_PO2 || input->format.kind == BL_FORMAT_FLOAT)
        return 0;
    const bli_grid_facts facts = bli_format_facts(&input->format, input->grid.scale, input->grid.zero_point);
    return facts.on_grid ? facts.step_exp : 0;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

enum { BLOCK = 256 };

/* Scale, offset and quantizer in the graph's own carrier. */
static bl_status quantize_block(const bli_program *p, const bli_input *in, const float *x, double *y, size_t n)
{
    float narrow[BLOCK];
    if (in->wide) {
        for (size_t i = 0; i < n; i++)
            y[i] = (double)x[i] * in->scale + in->offset;
        return bl_quantize_f64(p->ctx, &in->format, &in->grid, NULL, y, y, n);
    }
    for (size_t i = 0; i < n; i++)
        narrow[i] = x[i] * (float)in->scale + (float)in->offset;
    BLI_TRY(bl_quantize(p->ctx, &in->format, &in->grid, NULL, narrow, narrow, n));
    for (size_t i = 0; i < n; i++)
        y[i] = (double)narrow[i];
    return BL_OK;
}

bl_status bli_program_encode(const bli_program *p, int input, const float *x, int64_t *codes)
{
    const bli_input *in = &p->inputs[input];
    const size_t count = (size_t)p->wires[in->wire].count;
    double y[BLOCK];
    for (size_t i = 0; i < count; i += BLOCK) {
        const size_t n = count - i < BLOCK ? count - i : BLOCK;
        BLI_TRY(bli_within(p->ctx, quantize_block(p, in, x + i, y, n), "input '%s'", in->name));
        BLI_TRY(bli_within(p->ctx, bl_encode(p->ctx, &in->format, &in->grid, y, codes + i, n), "input '%s'", in->name));
    }
    return BL_OK;
}

/* A power of two multiplies exactly where no result is too small; then it is faster than ldexp. */
static double unscaled(int64_t code, double factor, int exp)
{
    return exp > -900 && exp < 900 ? (double)code * factor : ldexp((double)code, exp);
}

static double stepped(char op, double v, double by)
{
    return op == '+' ? v + by : op == '-' ? v - by : op == '*' ? v * by : v / by;
}

static double real_of(const bli_output *o, int64_t code, int64_t channel)
{
    if (o->wide) {
        double v = (double)code * o->scale[channel];
        v = o->offset != NULL ? v + o->offset[channel] : v;
        for (int k = 0; k < o->num_steps; k++)
            v = stepped(o->steps[k].op, v, o->steps[k].number[channel]);
        return v;
    }
    float v = (float)code * (float)o->scale[channel];
    v = o->offset != NULL ? v + (float)o->offset[channel] : v;
    for (int k = 0; k < o->num_steps; k++) /* of two float32: float64's result rounded again is float32's */
        v = (float)stepped(o->steps[k].op, (double)v, (double)(float)o->steps[k].number[channel]);
    return (double)v;
}

#define DECODE(name, real)                                                                                             \
    void name(const bli_program *p, int output, const int64_t *codes, real *y)                                         \
    {                                                                                                                  \
        const bli_output *o = &p->outputs[output];                                                                     \
        const bli_wire *w = &p->wires[o->wire];                                                                        \
        const double factor = ldexp(1, w->exp);                                                                        \
        for (int64_t i = 0; o->scale == NULL && i < w->count; i++)                                                     \
            y[i] = (real)unscaled(codes[i], factor, w->exp);                                                           \
        for (int64_t i = 0; o->scale != NULL && i < w->count; i++)                                                     \
            y[i] = (real)real_of(o, codes[i], o->channels > 1 ? i % o->channels : 0);                                  \
    }
DECODE(bli_program_decode, double)
DECODE(bli_program_decode_f32, float)
