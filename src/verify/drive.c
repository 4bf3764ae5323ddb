/* drive.c: inputs that drive a wire to the ends of its proven range, where interval arithmetic finds a way to them.
 *
 * The wire's element with the widest range asks for its end; the wish goes back from op to op, with the sign of each
 * weight, and every input element takes the end of its own range that it is left with.  Behind one sum of products of
 * the inputs this reaches both ends exactly; behind several, or where an element would have to be high and low at once,
 * it comes near.  bli_verify_reached says what was.
 */
#include <string.h>

#include "program/prim.h"
#include "verify/impl.h"

/* What each element of each wire should be: above 0 high, below 0 low; how strongly decides where wishes meet. */
typedef double *wishes;

static double sign_of(double v)
{
    return v > 0 ? 1 : v < 0 ? -1 : 0;
}

/* Whether a wire's element is rather positive. */
static double side(const bli_wire *w, int64_t e)
{
    const bli_span s = bli_wire_span(w, e);
    return (double)s.low + (double)s.high >= 0 ? 1 : -1;
}

typedef struct drive {
    const bli_program *p;
    const bli_prim_op *op;
    const bli_wire *in[BLI_PRIM_MAX_IN], *out;
    const double *y; /* wishes for the result */
    wishes x[BLI_PRIM_MAX_IN];
} drive;

static void back_dense(const drive *d)
{
    const int64_t depth = bli_last(&d->in[0]->shape), m = d->op->channels;
    for (int64_t i = 0; i < d->out->count; i++)
        for (int64_t k = 0; k < depth && d->y[i] != 0; k++)
            d->x[0][i / m * depth + k] += d->y[i] * (double)d->op->weight[k * m + i % m];
}

static void back_conv_at(const drive *d, const bli_field_of_view *v, int64_t i)
{
    const bli_window *w = &d->op->window;
    const int64_t m = i % d->op->channels, at = i / d->op->channels, depth = v->channels / w->groups;
    const int64_t first = m / (d->op->channels / w->groups) * depth;
    for (int64_t kh = 0; kh < w->kernel[0]; kh++)
        for (int64_t kw = 0; kw < w->kernel[1]; kw++) {
            const int64_t h = bli_window_at(w, 0, at / v->out[1], kh), c = bli_window_at(w, 1, at % v->out[1], kw);
            const int64_t *weight = d->op->weight + ((m * w->kernel[0] + kh) * w->kernel[1] + kw) * depth;
            for (int64_t k = 0; k < depth && h >= 0 && h < v->in[0] && c >= 0 && c < v->in[1]; k++)
                d->x[0][(h * v->in[1] + c) * v->channels + first + k] += d->y[i] * (double)weight[k];
        }
}

static void back_conv(const drive *d)
{
    const bli_field_of_view v = bli_window_view(&d->op->window, &d->in[0]->shape);
    for (int64_t i = 0; i < d->out->count; i++)
        if (d->y[i] != 0)
            back_conv_at(d, &v, i);
}

static void back_pool(const drive *d)
{
    const bli_window *w = &d->op->window;
    const bli_field_of_view v = bli_window_view(w, &d->in[0]->shape);
    for (int64_t i = 0; i < d->out->count; i++)
        for (int64_t t = 0; t < (int64_t)w->kernel[0] * w->kernel[1] && d->y[i] != 0; t++) {
            const int64_t at = i / v.channels, h = bli_window_at(w, 0, at / v.out[1], t / w->kernel[1]);
            const int64_t c = bli_window_at(w, 1, at % v.out[1], t % w->kernel[1]);
            if (h >= 0 && h < v.in[0] && c >= 0 && c < v.in[1])
                d->x[0][(h * v.in[1] + c) * v.channels + i % v.channels] += d->y[i];
        }
}

/* Two wires, broadcast: the second with this sign, both with the side of the other where they are factors. */
static void back_two(const drive *d, double second, bool factors)
{
    for (int64_t i = 0; i < d->out->count; i++) {
        const int64_t a = bli_broadcast_index(&d->out->shape, &d->in[0]->shape, i);
        const int64_t b = bli_broadcast_index(&d->out->shape, &d->in[1]->shape, i);
        d->x[0][a] += d->y[i] * (factors ? side(d->in[1], b) : 1);
        d->x[1][b] += d->y[i] * (factors ? side(d->in[0], a) : second);
    }
}

static void back_add(const drive *d)
{
    back_two(d, 1, false);
}
static void back_sub(const drive *d)
{
    back_two(d, -1, false);
}
static void back_mul(const drive *d)
{
    back_two(d, 1, true);
}

/* a[.., n, k] b[.., k, m] */
static void back_dot(const drive *d)
{
    const int64_t depth = bli_last(&d->in[0]->shape), m = bli_last(&d->out->shape);
    const int64_t rows = d->out->shape.dim[d->out->shape.rank - 2];
    for (int64_t i = 0; i < d->out->count; i++)
        for (int64_t k = 0; k < depth; k++) {
            const int64_t a = i / m * depth + k, b = (i / m / rows * depth + k) * m + i % m;
            if (a < d->in[0]->count && b < d->in[1]->count) {
                d->x[0][a] += d->y[i] * side(d->in[1], b);
                d->x[1][b] += d->y[i] * side(d->in[0], a);
            }
        }
}

static double rise(const bli_prim_op *op, int64_t c)
{
    double sum = 0;
    for (int64_t k = 0; k < op->length; k++)
        sum += (double)op->step[c * op->length + k];
    return sum;
}

/* One element from one: with the sign of what the op does to it. */
static void back_each(const drive *d)
{
    const bli_prim_op *op = d->op;
    for (int64_t i = 0; i < d->out->count; i++) {
        const int64_t c = op->channels > 0 ? bli_channel(op, i) : 0;
        double sign = 1;
        if (op->kind == BLI_PRIM_AFFINE || op->kind == BLI_PRIM_RESCALE)
            sign = sign_of((double)op->weight[c]);
        if (op->kind == BLI_PRIM_TABLE)
            sign = sign_of((double)op->table[(c + 1) * op->length - 1] - (double)op->table[c * op->length]);
        if (op->kind == BLI_PRIM_THRESHOLD)
            sign = rise(op, c);
        d->x[0][i] += d->y[i] * sign_of(sign);
    }
}

/* Sums and maxima over axes, whose dimensions of size 1 stay. */
static void back_reduce(const drive *d)
{
    for (int64_t i = 0; i < d->in[0]->count; i++)
        d->x[0][i] += d->y[bli_broadcast_index(&d->in[0]->shape, &d->out->shape, i)];
}

static void back_gather(const drive *d)
{
    for (int64_t i = 0; i < d->out->count; i++)
        if (d->op->index[i] >= 0)
            d->x[0][d->op->index[i]] += d->y[i];
}

static void back_concat(const drive *d)
{
    const bl_shape *s = &d->out->shape;
    int64_t inner = 1, at = 0;
    for (int a = d->op->axis + 1; a < s->rank; a++)
        inner *= s->dim[a];
    for (int k = 0; k < d->op->num_in; k++) {
        const int64_t n = d->in[k]->shape.dim[d->op->axis] * inner;
        for (int64_t i = 0; i < d->in[k]->count; i++)
            d->x[k][i] += d->y[i / n * s->dim[d->op->axis] * inner + at + i % n];
        at += n;
    }
}

/* What no function stands for (constants, inputs, the place of the greatest) takes no wish further. */
static void (*const back[BLI_PRIM_COUNT])(const drive *d) = {
    [BLI_PRIM_DENSE] = back_dense,       [BLI_PRIM_CONV] = back_conv,         [BLI_PRIM_ADD] = back_add,
    [BLI_PRIM_SUB] = back_sub,           [BLI_PRIM_MUL] = back_mul,           [BLI_PRIM_DOT] = back_dot,
    [BLI_PRIM_AFFINE] = back_each,       [BLI_PRIM_ROUND] = back_each,        [BLI_PRIM_OVERFLOW] = back_each,
    [BLI_PRIM_CLAMP] = back_each,        [BLI_PRIM_MIN] = back_add,           [BLI_PRIM_MAX] = back_add,
    [BLI_PRIM_ABS] = back_each,          [BLI_PRIM_THRESHOLD] = back_each,    [BLI_PRIM_RESCALE] = back_each,
    [BLI_PRIM_TABLE] = back_each,        [BLI_PRIM_MAXPOOL] = back_pool,      [BLI_PRIM_SUMPOOL] = back_pool,
    [BLI_PRIM_REDUCE_SUM] = back_reduce, [BLI_PRIM_REDUCE_MAX] = back_reduce, [BLI_PRIM_GATHER] = back_gather,
    [BLI_PRIM_RESHAPE] = back_each,      [BLI_PRIM_CONCAT] = back_concat,
};

/* The element whose range is widest; of a channel, one in the middle: what lies at the edge sees less. */
static int64_t widest(const bli_wire *w)
{
    int64_t best = 0, middle = 0;
    double most = -1;
    for (int64_t e = 0; e < w->num_spans; e++) {
        const double width = (double)w->spans[e].high - (double)w->spans[e].low;
        best = width > most ? e : best;
        most = width > most ? width : most;
    }
    if (w->num_spans == w->count)
        return best;
    for (int d = 0; d < w->shape.rank; d++)
        middle = middle * w->shape.dim[d] + (d + 1 < w->shape.rank ? w->shape.dim[d] / 2 : best);
    return middle;
}

/* Wishes for all wires before `wire`, into wish[]. */
static void wish_back(const bli_program *p, int wire, wishes *wish)
{
    for (int w = 0; w < p->num_wires; w++)
        memset(wish[w], 0, (size_t)p->wires[w].count * sizeof **wish);
    wish[wire][widest(&p->wires[wire])] = 1;
    for (int i = p->wires[wire].producer; i >= 0; i--) {
        const bli_prim_op *op = &p->ops[i];
        drive d = {.p = p, .op = op, .out = &p->wires[op->out], .y = wish[op->out]};
        for (int k = 0; k < op->num_in; k++) {
            d.in[k] = &p->wires[op->in[k]];
            d.x[k] = wish[op->in[k]];
        }
        if (back[op->kind])
            back[op->kind](&d);
    }
}

/* A sample for each end of the wire. */
static void take_ends(const bli_program *p, wishes *wish, bli_vectors *v, int sample)
{
    for (int i = 0; i < p->num_inputs; i++) {
        const bli_wire *w = &p->wires[p->inputs[i].wire];
        for (int64_t e = 0; e < w->count; e++) {
            const bli_span s = bli_wire_span(w, e);
            const int64_t rest = s.low > 0 ? s.low : s.high < 0 ? s.high : 0;
            const double wish_of = wish[p->inputs[i].wire][e];
            v->inputs[i][sample * w->count + e] = wish_of > 0 ? s.high : wish_of < 0 ? s.low : rest;
            v->inputs[i][(sample + 1) * w->count + e] = wish_of > 0 ? s.low : wish_of < 0 ? s.high : rest;
        }
    }
}

/* Wires that only repeat others' elements are driven through those. */
static bool is_driven(const bli_program *p, int wire)
{
    const int producer = p->wires[wire].producer;
    const bli_prim kind = producer < 0 ? BLI_PRIM_INPUT : p->ops[producer].kind;
    return p->wires[wire].count > 0 && back[kind] && kind != BLI_PRIM_GATHER && kind != BLI_PRIM_RESHAPE &&
           kind != BLI_PRIM_CONCAT;
}

static int count_driven(const bli_program *p)
{
    int n = 0;
    for (int w = 0; w < p->num_wires; w++)
        n += is_driven(p, w);
    return n;
}

int bli_verify_drives(const bli_program *p, int most)
{
    const int n = 2 * count_driven(p);
    return n < most ? n : most / 2 * 2;
}

/* The last wires where there is no room for all: what comes before is on their way. */
bl_status bli_verify_drive(bli_verify *v, bli_vectors *to, int first, int count)
{
    const bli_program *p = v->program;
    int skip = count_driven(p) - count / 2;
    wishes *wish = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *wish);
    for (int w = 0; wish && w < p->num_wires; w++)
        if (!(wish[w] = bli_arena_array(v->arena, (size_t)p->wires[w].count + 1, sizeof **wish)))
            return BL_NO_MEMORY;
    if (!wish)
        return BL_NO_MEMORY;
    for (int w = 0; w < p->num_wires; w++) {
        if (!is_driven(p, w) || skip-- > 0)
            continue;
        wish_back(p, w, wish);
        take_ends(p, wish, to, first);
        first += 2;
    }
    return BL_OK;
}

void bli_verify_reached(bli_verify *v, int count)
{
    const bli_program *p = v->program;
    for (int w = 0; w < p->num_wires; w++) {
        const int64_t size = p->wires[w].count, e = is_driven(p, w) ? widest(&p->wires[w]) : 0;
        for (int k = 0; k < count && is_driven(p, w); k++) {
            const bli_span s = bli_wire_span(&p->wires[w], e);
            v->reached[w] |=
                (uint8_t)((v->wires[w][k * size + e] == s.low) | (v->wires[w][k * size + e] == s.high) << 1);
        }
    }
}

void bli_verify_count_reached(const bli_verify *v, int64_t *ends, int64_t *reached)
{
    *ends = 2 * (int64_t)count_driven(v->program);
    *reached = 0;
    for (int w = 0; w < v->program->num_wires; w++)
        *reached += (v->reached[w] & 1) + (v->reached[w] >> 1);
}
