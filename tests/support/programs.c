/* programs.c: random programs.
 *
 * Ops are tried, not planned: a primitive is drawn with operands and constants that suit it, and what the builder
 * refuses (a range past 64 bits) is left out.  Wires that nothing reads become outputs.
 *
 * Length: one maker a primitive, and they share their helpers.
 */
#include "support/programs.h"

#include "bitlathe/bitlathe.h"

#include "support/test.h"

uint64_t draw_bits(draw *d)
{
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t draw_between(draw *d, int64_t low, int64_t high)
{
    const uint64_t width = (uint64_t)high - (uint64_t)low + 1;
    const uint64_t r = draw_bits(d);
    return (int64_t)((uint64_t)low + (width == 0 ? r : r % width));
}

bool draw_chance(draw *d, int percent)
{
    return draw_between(d, 0, 99) < percent;
}

typedef struct maker {
    bl_context *ctx;
    bli_builder *b;
    draw d;
    program_wishes wish;
    int wires;
    int64_t *room[8]; /* constants of the op at hand */
    size_t used;
    int uses[256];
} maker;

enum { ROOM = 1 << 16, MOST_WIRES = 250 };

/* ---- constants -------------------------------------------------------------------------------------------------- */

/* One style a call: signs, ternary, sparse, few bits, a byte, wide. */
static int64_t weight_of(maker *m, int style)
{
    switch (style) {
    case 0:
        return draw_chance(&m->d, 50) ? 1 : -1;
    case 1:
        return draw_between(&m->d, -1, 1);
    case 2:
        return draw_chance(&m->d, 70) ? 0 : draw_between(&m->d, -31, 31);
    case 3:
        return draw_between(&m->d, -7, 7);
    case 4:
        return draw_between(&m->d, -128, 127);
    case 5:
        return draw_between(&m->d, -3, 3) * 16;
    default:
        return draw_between(&m->d, -(1 << 20), 1 << 20);
    }
}

static int64_t *array(maker *m, int64_t n)
{
    assert_true(n <= ROOM);
    return m->room[m->used++];
}

static const int64_t *weights(maker *m, int64_t n)
{
    int64_t *v = array(m, n);
    const int style = (int)draw_between(&m->d, 0, m->wish.narrow ? 5 : 6);
    for (int64_t i = 0; i < n; i++)
        v[i] = weight_of(m, style);
    return v;
}

static const int64_t *between(maker *m, int64_t n, int64_t low, int64_t high)
{
    int64_t *v = array(m, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = draw_between(&m->d, low, high);
    return v;
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

/* Rather a young wire. */
static int any_wire(maker *m)
{
    const int64_t back = draw_chance(&m->d, 60) ? 4 : m->wires;
    return (int)draw_between(&m->d, m->wires > back ? m->wires - back : 0, m->wires - 1);
}

static const bli_wire *wire(const maker *m, int i)
{
    return bli_builder_wire(m->b, i);
}

static int64_t last_of(const bli_wire *w)
{
    return w->shape.dim[w->shape.rank - 1];
}

static bool put(maker *m, const bli_prim_op *op, const bl_shape *shape, int *out)
{
    static const char *const words[] = {"fc", "conv", "act", "x", "pool/part", "0", "a b", "always", "net-1", "out"};
    char name[40];
    snprintf(name, sizeof name, "%s%d", words[draw_between(&m->d, 0, 9)], (int)draw_between(&m->d, 0, 9));
    const bl_status s =
        bli_builder_add(m->b, op, name, words[draw_between(&m->d, 0, 3)], shape, (int)draw_between(&m->d, -20, 3), out);
    if (s != BL_OK && s != BL_LIMIT && s != BL_BAD_MODEL)
        print_error("%s: %s\n", bl_status_name(s), bl_context_message(m->ctx));
    assert_true(s == BL_OK || s == BL_LIMIT || s == BL_BAD_MODEL);
    if (s != BL_OK)
        return false;
    for (int k = 0; k < op->num_in; k++)
        m->uses[op->in[k]]++;
    m->wires = *out + 1;
    return true;
}

/* The wire brought into so many bits, as it is where it fits. */
static int squeezed(maker *m, int in, int bits)
{
    const bli_span hull = bli_wire_hull(wire(m, in));
    if (bli_span_bits(&hull) <= bits)
        return in;
    bli_prim_op op = {.kind = BLI_PRIM_CLAMP, .num_in = 1, .in = {in}, .channels = 1};
    const int64_t low[1] = {draw_chance(&m->d, 50) ? 0 : -((int64_t)1 << (bits - 1))};
    const int64_t high[1] = {((int64_t)1 << (bits - 1)) - 1};
    op.low = low;
    op.high = high;
    int out = in;
    return put(m, &op, NULL, &out) ? out : in;
}

/* A wire that broadcasts with another: itself, one of the same shape, or a constant. */
static int partner(maker *m, int in)
{
    const bl_shape want = wire(m, in)->shape;
    for (int tries = 0; tries < 6; tries++) {
        const int other = any_wire(m);
        if (bl_shape_equal(&wire(m, other)->shape, &want) && !(m->wish.tiny && other == in))
            return other;
    }
    bl_shape shape = want;
    if (draw_chance(&m->d, 30) && want.rank > 1) {
        shape.rank = 1;
        shape.dim[0] = want.dim[want.rank - 1];
    }
    for (int k = 0; k < shape.rank; k++)
        if (draw_chance(&m->d, 30))
            shape.dim[k] = 1;
    bli_prim_op op = {.kind = BLI_PRIM_CONST};
    op.weight = weights(m, bl_shape_count(&shape));
    int out = in;
    return put(m, &op, &shape, &out) ? out : in;
}

/* ---- one maker a kind: fills the op's fields; false: does not suit --------------------------------------------------
 */

static int64_t channels_of(maker *m, const bli_wire *w)
{
    return draw_chance(&m->d, 50) ? 1 : last_of(w);
}

static bool make_const(maker *m, bli_prim_op *op, bl_shape *shape)
{
    *shape = (bl_shape){(int)draw_between(&m->d, 1, 3), {0}};
    for (int k = 0; k < shape->rank; k++)
        shape->dim[k] = draw_between(&m->d, 1, 5);
    op->weight = weights(m, bl_shape_count(shape));
    return true;
}

static bool make_dense(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    const int64_t rows = wire(m, op->in[0])->count / (last_of(wire(m, op->in[0])) + (last_of(wire(m, op->in[0])) == 0));
    op->channels = draw_between(&m->d, draw_chance(&m->d, 3) ? 0 : 1, draw_chance(&m->d, 20) ? 40 : 9);
    if (rows * op->channels > m->wish.elements || op->channels * last_of(wire(m, op->in[0])) > ROOM)
        return false;
    op->weight = weights(m, op->channels * last_of(wire(m, op->in[0])));
    op->bias = draw_chance(&m->d, 70) ? weights(m, op->channels) : NULL;
    return true;
}

static bool make_window(maker *m, bli_prim_op *op)
{
    const bl_shape s = wire(m, op->in[0])->shape;
    if (s.rank != 2 && s.rank != 3)
        return false;
    bli_window *w = &op->window;
    *w = (bli_window){{1, 1}, {1, 1}, {1, 1}, {0}, 1};
    for (int a = 0; a < s.rank - 1; a++) {
        w->kernel[a] = (int)draw_between(&m->d, 1, draw_chance(&m->d, 10) ? 5 : 3);
        w->stride[a] = (int)draw_between(&m->d, 1, 3);
        w->dilation[a] = (int)draw_between(&m->d, 1, draw_chance(&m->d, 25) ? 3 : 1);
        w->pad[a] = (int)draw_between(&m->d, 0, w->kernel[a] - 1);
        w->pad[a + 2] = (int)draw_between(&m->d, 0, draw_chance(&m->d, 5) ? 4 : w->kernel[a] - 1);
    }
    return true;
}

static bool make_conv(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    if (!make_window(m, op))
        return false;
    const int64_t from = last_of(wire(m, op->in[0]));
    const int64_t rest = wire(m, op->in[0])->count / (from + (from == 0));
    op->window.groups = draw_chance(&m->d, 30) && from > 0        ? (int)from
                        : from % 2 == 0 && draw_chance(&m->d, 30) ? 2
                                                                  : 1;
    op->channels = op->window.groups * draw_between(&m->d, 1, draw_chance(&m->d, 15) ? 17 : 4);
    if (op->channels * (rest + 8) > 2 * m->wish.elements)
        return false;
    op->weight = weights(m, op->channels * (from / op->window.groups) * op->window.kernel[0] * op->window.kernel[1]);
    op->bias = draw_chance(&m->d, 70) ? weights(m, op->channels) : NULL;
    return true;
}

static bool make_pool(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    return make_window(m, op);
}

static bool make_two(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->in[1] = draw_chance(&m->d, 5) ? op->in[0] : partner(m, op->in[0]);
    if (draw_chance(&m->d, 50)) {
        const int swap = op->in[0];
        op->in[0] = op->in[1];
        op->in[1] = swap;
    }
    if (op->kind == BLI_PRIM_ADD || op->kind == BLI_PRIM_SUB) {
        op->shift_a = draw_chance(&m->d, 60) ? 0 : (int)draw_between(&m->d, 0, 5);
        op->shift_b = draw_chance(&m->d, 60) ? 0 : (int)draw_between(&m->d, 0, 5);
    }
    return true;
}

/* The second factor: the first one with its last axes exchanged, or a constant. */
static bool make_dot(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    const bl_shape a = wire(m, op->in[0])->shape;
    if (a.rank < 2)
        return false;
    bl_shape b = a;
    b.dim[a.rank - 2] = last_of(wire(m, op->in[0]));
    b.dim[a.rank - 1] = draw_between(&m->d, 1, 4);
    bli_prim_op other = {.kind = BLI_PRIM_CONST};
    int64_t *index = array(m, bl_shape_count(&b));
    const int64_t count = wire(m, op->in[0])->count;
    if (draw_chance(&m->d, 70) && count > 0) {
        other = (bli_prim_op){.kind = BLI_PRIM_GATHER, .num_in = 1, .in = {op->in[0]}};
        for (int64_t i = 0; i < bl_shape_count(&b); i++)
            index[i] = draw_between(&m->d, 0, count - 1);
        other.index = index;
    } else {
        other.weight = weights(m, bl_shape_count(&b));
    }
    return put(m, &other, &b, &op->in[1]);
}

static bool make_affine(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->channels = channels_of(m, wire(m, op->in[0]));
    op->weight = weights(m, op->channels);
    op->bias = weights(m, op->channels);
    return true;
}

static bool make_round(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->channels = channels_of(m, wire(m, op->in[0]));
    op->rounding = (bl_rounding)draw_between(&m->d, 0, BL_STOCHASTIC - 1);
    op->shift = between(m, op->channels, -1, 9);
    return true;
}

static bool make_overflow(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->channels = channels_of(m, wire(m, op->in[0]));
    op->overflow = (bl_overflow)draw_between(&m->d, 0, BL_WRAP_SM);
    op->is_signed = op->overflow == BL_WRAP_SM || draw_chance(&m->d, 50);
    op->bits = between(m, op->channels, draw_chance(&m->d, 50) ? 1 : 6, draw_chance(&m->d, 10) ? 40 : 9);
    return true;
}

static void make_limits(maker *m, bli_prim_op *op)
{
    int64_t *low = array(m, op->channels), *high = array(m, op->channels);
    const int64_t most = (int64_t)1 << draw_between(&m->d, 1, 12);
    const bool relu = draw_chance(&m->d, 40);
    for (int64_t k = 0; k < op->channels; k++) {
        low[k] = relu ? 0 : draw_between(&m->d, -most, most);
        high[k] = relu ? most - 1 : draw_between(&m->d, low[k], 2 * most);
    }
    op->low = low;
    op->high = high;
}

static bool make_clamp(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->channels = channels_of(m, wire(m, op->in[0]));
    make_limits(m, op);
    return true;
}

static bool make_one(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)m;
    (void)op;
    (void)shape;
    return true;
}

static bool make_rescale(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->channels = channels_of(m, wire(m, op->in[0]));
    op->weight = weights(m, op->channels);
    op->bias = weights(m, op->channels);
    op->shift = between(m, op->channels, 0, 14);
    make_limits(m, op);
    return true;
}

static int by_value(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

/* Thresholds around the values that come; stairs of unit steps up or down, sign stairs, and any. */
static bool make_threshold(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    const bli_span hull = bli_wire_hull(wire(m, op->in[0]));
    const int style = (int)draw_between(&m->d, 0, 3);
    op->channels = channels_of(m, wire(m, op->in[0]));
    op->length = style == 0 ? 1 : draw_between(&m->d, draw_chance(&m->d, 5) ? 0 : 1, draw_chance(&m->d, 30) ? 15 : 4);
    int64_t *threshold = array(m, op->channels * op->length), *step = array(m, op->channels * op->length);
    for (int64_t i = 0; i < op->channels * op->length; i++) {
        threshold[i] = draw_between(&m->d, hull.low, hull.high);
        step[i] = style == 0 ? 2 : style == 1 ? 1 : style == 2 ? -1 : weight_of(m, 4);
        if (draw_chance(&m->d, 5))
            threshold[i] = INT64_MAX;
    }
    for (int64_t k = 0; k < op->channels; k++)
        qsort(threshold + k * op->length, (size_t)op->length, sizeof *threshold, by_value);
    op->threshold = threshold;
    op->step = step;
    op->base = style == 0 ? between(m, op->channels, -1, -1) : between(m, op->channels, -9, 9);
    return true;
}

static bool make_table(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    op->in[0] = squeezed(m, op->in[0], 8);
    const bli_span hull = bli_wire_hull(wire(m, op->in[0]));
    op->channels = draw_chance(&m->d, 80) ? 1 : channels_of(m, wire(m, op->in[0]));
    op->first = hull.low - draw_between(&m->d, 0, 3);
    op->length = hull.high - op->first + 1 + draw_between(&m->d, 0, 3);
    if (op->channels * op->length > ROOM)
        return false;
    op->table = weights(m, op->channels * op->length);
    return true;
}

static bool make_reduce(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    const bl_shape s = wire(m, op->in[0])->shape;
    for (int k = 0; k < s.rank; k++)
        if (draw_chance(&m->d, 50))
            op->axes[op->num_axes++] = k;
    return true;
}

static bool make_gather(maker *m, bli_prim_op *op, bl_shape *shape)
{
    const bli_wire *w = wire(m, op->in[0]);
    *shape = (bl_shape){(int)draw_between(&m->d, 1, 3), {0}};
    for (int k = 0; k < shape->rank; k++)
        shape->dim[k] = draw_between(&m->d, draw_chance(&m->d, 3) ? 0 : 1, 6);
    if (draw_chance(&m->d, 30))
        *shape = w->shape;
    int64_t *index = array(m, bl_shape_count(shape));
    op->fill = draw_chance(&m->d, 50) ? 0 : draw_between(&m->d, -20, 20);
    for (int64_t i = 0; i < bl_shape_count(shape); i++)
        index[i] = w->count == 0 || draw_chance(&m->d, 10) ? -1 : draw_between(&m->d, 0, w->count - 1);
    op->index = index;
    return true;
}

static bool make_reshape(maker *m, bli_prim_op *op, bl_shape *shape)
{
    const bli_wire *w = wire(m, op->in[0]);
    *shape = (bl_shape){1, {w->count}};
    for (int64_t f = 2; f <= 5; f++)
        if (w->count > 0 && shape->dim[shape->rank - 1] % f == 0 && shape->rank < 4 && draw_chance(&m->d, 50)) {
            shape->dim[shape->rank] = draw_chance(&m->d, 50) ? f : shape->dim[shape->rank - 1] / f;
            shape->dim[shape->rank - 1] /= shape->dim[shape->rank];
            shape->rank++;
        }
    return true;
}

static bool make_concat(maker *m, bli_prim_op *op, bl_shape *shape)
{
    (void)shape;
    const bl_shape s = wire(m, op->in[0])->shape;
    op->axis = (int)draw_between(&m->d, 0, s.rank - 1);
    for (int tries = 0; tries < 8 && op->num_in < 4; tries++) {
        const int other = any_wire(m);
        const bl_shape o = wire(m, other)->shape;
        bool fits = o.rank == s.rank && !m->wish.tiny;
        for (int d = 0; fits && d < s.rank; d++)
            fits = d == op->axis || o.dim[d] == s.dim[d];
        if (fits)
            op->in[op->num_in++] = other;
    }
    return true;
}

static bool (*const makers[BLI_PRIM_COUNT])(maker *m, bli_prim_op *op, bl_shape *shape) = {
    [BLI_PRIM_CONST] = make_const,       [BLI_PRIM_DENSE] = make_dense,       [BLI_PRIM_CONV] = make_conv,
    [BLI_PRIM_ADD] = make_two,           [BLI_PRIM_SUB] = make_two,           [BLI_PRIM_MUL] = make_two,
    [BLI_PRIM_DOT] = make_dot,           [BLI_PRIM_AFFINE] = make_affine,     [BLI_PRIM_ROUND] = make_round,
    [BLI_PRIM_OVERFLOW] = make_overflow, [BLI_PRIM_CLAMP] = make_clamp,       [BLI_PRIM_MIN] = make_two,
    [BLI_PRIM_MAX] = make_two,           [BLI_PRIM_ABS] = make_one,           [BLI_PRIM_THRESHOLD] = make_threshold,
    [BLI_PRIM_RESCALE] = make_rescale,   [BLI_PRIM_TABLE] = make_table,       [BLI_PRIM_MAXPOOL] = make_pool,
    [BLI_PRIM_SUMPOOL] = make_pool,      [BLI_PRIM_REDUCE_SUM] = make_reduce, [BLI_PRIM_REDUCE_MAX] = make_reduce,
    [BLI_PRIM_GATHER] = make_gather,     [BLI_PRIM_RESHAPE] = make_reshape,   [BLI_PRIM_CONCAT] = make_concat,
    [BLI_PRIM_ARGMAX] = make_one,
};

/* ---- programs --------------------------------------------------------------------------------------------------- */

/* Products and quantizers more often than the rest. */
static bli_prim any_kind(maker *m)
{
    static const bli_prim often[] = {BLI_PRIM_DENSE,     BLI_PRIM_CONV,    BLI_PRIM_THRESHOLD, BLI_PRIM_RESCALE,
                                     BLI_PRIM_RESCALE,   BLI_PRIM_MAXPOOL, BLI_PRIM_ROUND,     BLI_PRIM_OVERFLOW,
                                     BLI_PRIM_THRESHOLD, BLI_PRIM_DENSE,   BLI_PRIM_CONV};
    if (draw_chance(&m->d, 50))
        return often[draw_between(&m->d, 0, (int64_t)BLI_COUNT(often) - 1)];
    return (bli_prim)draw_between(&m->d, BLI_PRIM_CONST, BLI_PRIM_COUNT - 1);
}

static void try_op(maker *m)
{
    bli_prim_op op = {.kind = any_kind(m)};
    bl_shape shape = {0};
    m->used = 0;
    op.num_in = op.kind == BLI_PRIM_CONST ? 0 : 1;
    op.in[0] = op.num_in == 1 ? any_wire(m) : 0;
    if (op.num_in == 1 && m->wish.narrow && op.kind != BLI_PRIM_CLAMP)
        op.in[0] = squeezed(m, op.in[0], 9);
    if (op.num_in == 1 && wire(m, op.in[0])->count > m->wish.elements)
        return;
    if (!makers[op.kind](m, &op, &shape))
        return;
    switch (op.kind) {
    case BLI_PRIM_ADD:
    case BLI_PRIM_SUB:
    case BLI_PRIM_MUL:
    case BLI_PRIM_DOT:
    case BLI_PRIM_MIN:
    case BLI_PRIM_MAX:
        op.num_in = 2;
        break;
    default:
        break;
    }
    const bool given = op.kind == BLI_PRIM_CONST || op.kind == BLI_PRIM_GATHER || op.kind == BLI_PRIM_RESHAPE;
    int out;
    put(m, &op, given ? &shape : NULL, &out);
}

static void add_input(maker *m)
{
    static const char *const formats[] = {"ufixed<8,0,RND,SAT>",
                                          "ufixed<4,2,TRN,WRAP>",
                                          "fixed<6,3,RND_CONV,SAT_SYM>",
                                          "int<3>",
                                          "affine<8>",
                                          "binary",
                                          "ternary",
                                          "fixed<1,1>",
                                          "uint<1>",
                                          "fixed<12,5,RND_INF,SAT_ZERO>",
                                          "float<e4m3>",
                                          "affine<8,signed>"};
    static const double scales[] = {1, 1, 0.0039215686274509803, 0.25};
    bli_input in = {.name = "image", .scale = 1, .grid = {1, 0}};
    bl_shape shape = {(int)draw_between(&m->d, 1, 3), {0}};
    assert_ok(m->ctx,
              bl_format_parse(m->ctx, formats[draw_between(&m->d, 0, (int64_t)BLI_COUNT(formats) - 1)], &in.format));
    if (in.format.kind == BL_FORMAT_INT || in.format.kind == BL_FORMAT_AFFINE)
        in.grid.scale = scales[draw_between(&m->d, 0, 3)];
    if (in.format.kind == BL_FORMAT_AFFINE)
        in.grid.zero_point = draw_between(&m->d, -3, 120);
    if (draw_chance(&m->d, 50)) {
        in.scale = scales[draw_between(&m->d, 2, 3)];
        in.offset = draw_chance(&m->d, 50) ? 0 : -0.3;
    }
    for (int k = 0; k < shape.rank; k++)
        shape.dim[k] = draw_between(&m->d, draw_chance(&m->d, 2) ? 0 : 1, shape.rank == 1 ? 40 : 7);
    int out;
    assert_ok(m->ctx, bli_builder_input(m->b, &in, "input", &shape, &out));
    m->wires = out + 1;
}

static void add_tiny_input(maker *m)
{
    static const char *const formats[] = {"uint<1>", "int<2>", "ternary", "uint<2>"};
    bli_input in = {.name = "image", .scale = 1, .grid = {1, 0}};
    bl_shape shape = {(int)draw_between(&m->d, 1, 3), {1, 1, 1}};
    assert_ok(m->ctx, bl_format_parse(m->ctx, formats[draw_between(&m->d, 0, 3)], &in.format));
    for (int64_t left = 4; left > 1; left /= 2)
        shape.dim[draw_between(&m->d, 0, shape.rank - 1)] *= draw_between(&m->d, 1, 2);
    int out;
    assert_ok(m->ctx, bli_builder_input(m->b, &in, "input", &shape, &out));
    m->wires = out + 1;
    if (draw_chance(&m->d, 50))
        return;
    bli_prim_op op = {.kind = BLI_PRIM_ROUND, .num_in = 1, .in = {out}, .channels = 1};
    const int64_t shift[1] = {draw_between(&m->d, -5, -1)};
    op.shift = shift;
    assert_true(put(m, &op, NULL, &out));
}

static void add_outputs(maker *m)
{
    static const double scale[3] = {0.5, 0.013, 1e-3}, offset[3] = {0, 1, -0.7};
    int made = 0;
    for (int i = m->wires - 1; i >= 0; i--) {
        const bool wanted = m->wish.single ? i == m->wires - 1 : m->uses[i] == 0 || draw_chance(&m->d, 5);
        if (!wanted || made >= 6)
            continue;
        char name[20];
        snprintf(name, sizeof name, "y%d", made++);
        bli_output o = {.wire = i, .name = name};
        const int64_t last = last_of(wire(m, i));
        if (draw_chance(&m->d, 50)) {
            o.channels = last <= 3 && last > 0 && draw_chance(&m->d, 50) ? last : 1;
            o.scale = scale;
            o.offset = draw_chance(&m->d, 50) ? offset : NULL;
            o.wide = draw_chance(&m->d, 30);
            for (int64_t k = draw_chance(&m->d, 30) ? draw_between(&m->d, 1, 4) : 0; k > 0; k--)
                o.steps[o.num_steps++] = (bli_output_step){"+-*/"[draw_between(&m->d, 0, 3)], scale};
            o.cut = draw_chance(&m->d, 30) ? "Softmax 'softmax'" : NULL;
        }
        assert_ok(m->ctx, bli_builder_output(m->b, &o));
    }
}

bli_program *random_program_like(bl_context *ctx, uint64_t seed, const program_wishes *wishes)
{
    maker *m = calloc(1, sizeof *m);
    assert_non_null(m);
    *m = (maker){
        .ctx = ctx, .d = {seed}, .wish = wishes != NULL ? *wishes : (program_wishes){.ops = 14, .elements = 400}};
    for (size_t i = 0; i < BLI_COUNT(m->room); i++) {
        m->room[i] = calloc(ROOM, sizeof *m->room[i]);
        assert_non_null(m->room[i]);
    }
    char name[40];
    snprintf(name, sizeof name, "random %llu", (unsigned long long)seed);
    assert_ok(ctx, bli_builder_create(ctx, name, &m->b));
    m->wish.tiny ? add_tiny_input(m) : add_input(m);
    if (!m->wish.single && !m->wish.tiny && draw_chance(&m->d, 20))
        add_input(m);
    for (int i = 0; i < m->wish.ops && m->wires < MOST_WIRES; i++)
        try_op(m);
    add_outputs(m);
    bli_program *p;
    assert_ok(ctx, bli_builder_finish(m->b, &p));
    bli_builder_destroy(m->b);
    for (size_t i = 0; i < BLI_COUNT(m->room); i++)
        free(m->room[i]);
    free(m);
    return p;
}

bli_program *random_program(bl_context *ctx, uint64_t seed)
{
    return random_program_like(ctx, seed, NULL);
}

uint32_t program_kinds(const bli_program *p)
{
    uint32_t kinds = 0;
    for (int i = 0; i < p->num_ops; i++)
        kinds |= 1u << p->ops[i].kind;
    return kinds;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

program_values *program_values_create(const bli_program *p)
{
    program_values *v = calloc(1, sizeof *v);
    assert_non_null(v);
    v->p = p;
    v->codes = calloc((size_t)p->num_inputs + 1, sizeof *v->codes);
    v->wires = calloc((size_t)p->num_wires + 1, sizeof *v->wires);
    assert_non_null(v->codes);
    assert_non_null(v->wires);
    for (int i = 0; i < p->num_wires; i++) {
        v->wires[i] = calloc((size_t)p->wires[i].count + 1, sizeof **v->wires);
        assert_non_null(v->wires[i]);
    }
    for (int i = 0; i < p->num_inputs; i++) {
        v->codes[i] = calloc((size_t)p->wires[i].count + 1, sizeof **v->codes);
        assert_non_null(v->codes[i]);
    }
    return v;
}

void program_values_destroy(program_values *v)
{
    for (int i = 0; i < v->p->num_wires; i++)
        free(v->wires[i]);
    for (int i = 0; i < v->p->num_inputs; i++)
        free(v->codes[i]);
    free(v->wires);
    free(v->codes);
    free(v);
}

void program_values_draw(program_values *v, uint64_t seed, int k)
{
    draw d = {seed * 1000003u + (uint64_t)k};
    for (int i = 0; i < v->p->num_inputs; i++)
        for (int64_t e = 0; e < v->p->wires[i].count; e++) {
            const bli_span s = bli_wire_span(&v->p->wires[i], e);
            const bool high = draw_chance(&d, 50), corner = k == 2 || draw_chance(&d, 15);
            const int64_t any = draw_between(&d, s.low, s.high);
            int64_t *code = &v->codes[i][e];
            *code = k == 0 ? s.low : k == 1 ? s.high : corner ? high ? s.high : s.low : any;
            if (v->p->inputs[i].format.kind == BL_FORMAT_BINARY && *code == 0)
                *code = high ? 1 : -1;
        }
}
