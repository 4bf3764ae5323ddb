/* program_model.c: the words of program.h, by coordinates.  Length: the last function has one case a primitive. */
#include "support/program_model.h"

#include "support/test.h"

typedef model_wide wide;

typedef struct at {
    int64_t c[BL_MAX_RANK];
} at;

static at coordinates(const bl_shape *s, int64_t i)
{
    at a = {{0}};
    for (int d = s->rank - 1; d >= 0; d--) {
        a.c[d] = i % s->dim[d];
        i /= s->dim[d];
    }
    return a;
}

static int64_t position(const bl_shape *s, const int64_t *c)
{
    int64_t i = 0;
    for (int d = 0; d < s->rank; d++)
        i = i * s->dim[d] + c[d];
    return i;
}

/* The element of a broadcast operand. */
static wide operand(const bli_wire *w, const int64_t *x, const bl_shape *out, const at *a)
{
    int64_t c[BL_MAX_RANK] = {0};
    for (int d = 0; d < w->shape.rank; d++)
        c[d] = w->shape.dim[d] == 1 ? 0 : a->c[out->rank - w->shape.rank + d];
    return x[position(&w->shape, c)];
}

static wide floor_divide(wide a, wide b)
{
    wide q = a / b;
    return q * b > a ? q - 1 : q;
}

/* x / 2^shift by comparing twice the remainder with the divisor. */
static wide round_model(wide x, int shift, bl_rounding rounding)
{
    if (shift < 0)
        return x * ((wide)1 << -shift);
    const wide by = (wide)1 << shift, down = floor_divide(x, by), twice = 2 * (x - down * by);
    const wide to_zero = x < 0 && twice != 0 ? down + 1 : down, from_zero = x < 0 ? down : down + (twice != 0);
    switch (rounding) {
    case BL_TRN:
        return down;
    case BL_TRN_ZERO:
        return to_zero;
    case BL_RND:
        return twice >= by ? down + 1 : down;
    case BL_RND_MIN_INF:
        return twice > by ? down + 1 : down;
    case BL_RND_ZERO:
        return twice == by ? to_zero : twice > by ? down + 1 : down;
    case BL_RND_INF:
        return twice == by ? from_zero : twice > by ? down + 1 : down;
    default:
        return twice == by ? down + (down % 2 != 0) : twice > by ? down + 1 : down;
    }
}

static wide wrap_model(wide x, int bits, bool is_signed)
{
    const wide modulus = (wide)1 << bits, low = x - floor_divide(x, modulus) * modulus;
    return is_signed && low >= modulus / 2 ? low - modulus : low;
}

static wide overflow_model(wide x, int bits, bool is_signed, bl_overflow overflow)
{
    const wide greatest = ((wide)1 << (is_signed ? bits - 1 : bits)) - 1;
    const wide least = !is_signed ? 0 : overflow == BL_SAT_SYM ? -greatest : -greatest - 1;
    if (overflow == BL_WRAP)
        return wrap_model(x, bits, is_signed);
    if (overflow == BL_WRAP_SM) { /* kept where the sign bit to be agrees with the lowest dropped one, else inverted */
        const bool dropped = (floor_divide(x, (wide)1 << bits) & 1) != 0;
        const bool top = (floor_divide(x, (wide)1 << (bits - 1)) & 1) != 0;
        return wrap_model(dropped == top ? x : -1 - x, bits, true);
    }
    if (x >= least && x <= greatest)
        return x;
    return overflow == BL_SAT_ZERO ? 0 : x < least ? least : greatest;
}

static wide clamp_model(wide x, wide low, wide high)
{
    return x < low ? low : x > high ? high : x;
}

static wide conv_model(const bli_prim_op *op, const bli_wire *in, const int64_t *x, const at *a, int rank)
{
    const bli_window *w = &op->window;
    const int64_t height = in->shape.dim[0], width = rank == 3 ? in->shape.dim[1] : 1;
    const int64_t channels = in->shape.dim[rank - 1], m = a->c[rank - 1], each = channels / w->groups;
    const int64_t group = m * w->groups / op->channels;
    wide sum = op->bias != NULL ? op->bias[m] : 0;
    for (int64_t i = 0; i < w->kernel[0] * w->kernel[1] * each; i++) {
        const int64_t c = i % each, kw = i / each % w->kernel[1], kh = i / each / w->kernel[1];
        const int64_t h = a->c[0] * w->stride[0] + kh * w->dilation[0] - w->pad[0];
        const int64_t v = (rank == 3 ? a->c[1] : 0) * w->stride[1] + kw * w->dilation[1] - w->pad[1];
        if (h < 0 || h >= height || v < 0 || v >= width)
            continue;
        sum += (wide)x[(h * width + v) * channels + group * each + c] *
               op->weight[((m * w->kernel[0] + kh) * w->kernel[1] + kw) * each + c];
    }
    return sum;
}

static wide pool_model(const bli_prim_op *op, const bli_wire *in, const int64_t *x, const at *a, int rank)
{
    const bli_window *w = &op->window;
    const int64_t height = in->shape.dim[0], width = rank == 3 ? in->shape.dim[1] : 1;
    const int64_t channels = in->shape.dim[rank - 1];
    wide sum = 0, most = (wide)INT64_MIN;
    for (int64_t kh = 0; kh < w->kernel[0]; kh++)
        for (int64_t kw = 0; kw < w->kernel[1]; kw++) {
            const int64_t h = a->c[0] * w->stride[0] + kh * w->dilation[0] - w->pad[0];
            const int64_t v = (rank == 3 ? a->c[1] : 0) * w->stride[1] + kw * w->dilation[1] - w->pad[1];
            if (h < 0 || h >= height || v < 0 || v >= width)
                continue;
            const wide e = x[(h * width + v) * channels + a->c[rank - 1]];
            sum += e;
            most = e > most ? e : most;
        }
    return op->kind == BLI_PRIM_SUMPOOL ? sum : most;
}

static wide reduce_model(const bli_prim_op *op, const bli_wire *in, const int64_t *x, const at *a)
{
    wide sum = 0, most = (wide)INT64_MIN;
    for (int64_t i = 0; i < in->count; i++) {
        const at b = coordinates(&in->shape, i);
        bool same = true;
        for (int d = 0; d < in->shape.rank; d++) {
            bool reduced = false;
            for (int k = 0; k < op->num_axes; k++)
                reduced |= op->axes[k] == d;
            same = same && (reduced || a->c[d] == b.c[d]);
        }
        if (!same)
            continue;
        sum += x[i];
        most = x[i] > most ? x[i] : most;
    }
    return op->kind == BLI_PRIM_REDUCE_SUM ? sum : most;
}

static wide concat_model(const bli_program *p, const bli_prim_op *op, int64_t *const *wires, at a)
{
    for (int k = 0; k < op->num_in; k++) {
        const bl_shape *s = &p->wires[op->in[k]].shape;
        if (a.c[op->axis] < s->dim[op->axis])
            return wires[op->in[k]][position(s, a.c)];
        a.c[op->axis] -= s->dim[op->axis];
    }
    fail_msg("an element of no input");
    return 0;
}

static wide dense_model(const bli_prim_op *op, const bli_wire *in, const int64_t *x, int64_t i)
{
    const int64_t depth = in->shape.dim[in->shape.rank - 1], m = i % op->channels, row = i / op->channels;
    wide sum = op->bias != NULL ? op->bias[m] : 0;
    for (int64_t k = 0; k < depth; k++)
        sum += (wide)x[row * depth + k] * op->weight[k * op->channels + m];
    return sum;
}

static wide dot_model(const bli_wire *a, const bli_wire *b, const int64_t *x, const int64_t *y, at c, int rank)
{
    const int64_t n = c.c[rank - 2], m = c.c[rank - 1], depth = a->shape.dim[rank - 1];
    wide sum = 0;
    for (int64_t k = 0; k < depth; k++) {
        at left = c, right = c;
        left.c[rank - 2] = n;
        left.c[rank - 1] = k;
        right.c[rank - 2] = k;
        right.c[rank - 1] = m;
        sum += (wide)x[position(&a->shape, left.c)] * y[position(&b->shape, right.c)];
    }
    return sum;
}

static wide argmax_model(const bli_wire *in, const int64_t *x, at a, int rank)
{
    int64_t best = 0;
    wide most = 0;
    for (int64_t k = 0; k < in->shape.dim[rank - 1]; k++) {
        a.c[rank - 1] = k;
        const wide v = x[position(&in->shape, a.c)];
        if (k == 0 || v > most) {
            best = k;
            most = v;
        }
    }
    return best;
}

static wide stair_model(const bli_prim_op *op, int64_t c, wide x)
{
    wide height = op->base[c];
    for (int64_t k = 0; k < op->length; k++)
        height += x >= op->threshold[c * op->length + k] ? op->step[c * op->length + k] : 0;
    return height;
}

wide program_model_element(const bli_program *p, int i, int64_t *const *wires, const int64_t *codes, int64_t e)
{
    const bli_prim_op *op = &p->ops[i];
    const bl_shape *s = &p->wires[i].shape;
    const at a = coordinates(s, e);
    const int64_t c = op->channels == 1 ? 0 : a.c[s->rank - 1];
    const bli_wire *in[2] = {&p->wires[op->in[0]], &p->wires[op->in[1]]};
    const int64_t *x[2] = {wires[op->in[0]], wires[op->in[1]]};
    const wide v = op->num_in > 0 && in[0]->count > e ? x[0][e] : 0;
    wide o[2] = {0};
    for (int k = 0; k < 2 && op->num_in == 2 && op->kind != BLI_PRIM_CONCAT && op->kind != BLI_PRIM_DOT; k++)
        o[k] = operand(in[k], x[k], s, &a);
    switch (op->kind) {
    case BLI_PRIM_INPUT:
        return codes[e];
    case BLI_PRIM_CONST:
        return op->weight[e];
    case BLI_PRIM_DENSE:
        return dense_model(op, in[0], x[0], e);
    case BLI_PRIM_CONV:
        return conv_model(op, in[0], x[0], &a, s->rank);
    case BLI_PRIM_ADD:
        return o[0] * ((wide)1 << op->shift_a) + o[1] * ((wide)1 << op->shift_b);
    case BLI_PRIM_SUB:
        return o[0] * ((wide)1 << op->shift_a) - o[1] * ((wide)1 << op->shift_b);
    case BLI_PRIM_MUL:
        return o[0] * o[1];
    case BLI_PRIM_MIN:
        return o[0] < o[1] ? o[0] : o[1];
    case BLI_PRIM_MAX:
        return o[0] < o[1] ? o[1] : o[0];
    case BLI_PRIM_DOT:
        return dot_model(in[0], in[1], x[0], x[1], a, s->rank);
    case BLI_PRIM_AFFINE:
        return v * op->weight[c] + op->bias[c];
    case BLI_PRIM_ROUND:
        return round_model(v, (int)op->shift[c], op->rounding);
    case BLI_PRIM_OVERFLOW:
        return overflow_model(v, (int)op->bits[c], op->is_signed, op->overflow);
    case BLI_PRIM_CLAMP:
        return clamp_model(v, op->low[c], op->high[c]);
    case BLI_PRIM_ABS:
        return v < 0 ? -v : v;
    case BLI_PRIM_THRESHOLD:
        return stair_model(op, c, v);
    case BLI_PRIM_RESCALE:
        return clamp_model(floor_divide(v * op->weight[c] + op->bias[c], (wide)1 << op->shift[c]), op->low[c],
                           op->high[c]);
    case BLI_PRIM_TABLE:
        return op->table[c * op->length + (int64_t)(v - op->first)];
    case BLI_PRIM_MAXPOOL:
    case BLI_PRIM_SUMPOOL:
        return pool_model(op, in[0], x[0], &a, s->rank);
    case BLI_PRIM_REDUCE_SUM:
    case BLI_PRIM_REDUCE_MAX:
        return reduce_model(op, in[0], x[0], &a);
    case BLI_PRIM_GATHER:
        return op->index[e] < 0 ? op->fill : x[0][op->index[e]];
    case BLI_PRIM_RESHAPE:
        return v;
    case BLI_PRIM_CONCAT:
        return concat_model(p, op, wires, a);
    default:
        return argmax_model(in[0], x[0], a, s->rank);
    }
}
