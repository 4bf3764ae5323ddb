/* binary.c: Add, Sub, Mul, Div and PRelu with NumPy broadcasting.
 *
 * One walk serves every shape; a per-channel operand (a bias) is first repeated until the run is long enough to be
 * worth a loop.  The gradient of a broadcast operand is summed over the axes along which it was repeated.
 */
#include <math.h>
#include <string.h>

#include "op/broadcast.h"
#include "op/infer.h"
#include "op/kernels/loops.h"
#include "op/lower.h"

enum { TILE = 512 }; /* elements: a per-channel operand shorter than this is repeated */

static bl_status infer_binary(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    BLI_TRY(bli_infer_real(i, 1));
    i->out_type[0] = i->in[0]->type;
    return bli_infer_broadcast(i, &i->in[0]->shape, &i->in[1]->shape, &i->out_shape[0]);
}

/* The slope is broadcast to x, never x to the slope. */
static bl_status infer_prelu(bli_infer *i)
{
    BLI_TRY(infer_binary(i));
    if (bl_shape_equal(&i->out_shape[0], &i->in[0]->shape))
        return BL_OK;
    return bli_fail(i->ctx, BL_BAD_MODEL, "input 1 (slope) is larger than input 0");
}

#define REAL_TEMPLATE "op/binary.inc"
#include "op/real.h"

/* ---- forward ------------------------------------------------------------------------------------------------ */
/* y = a op b for rows of n elements, b the same in each row: b is repeated in a tile, rows are taken by the tile. */
static void binary_rows(const bli_loops *loops, bli_binary op, const char *a, const char *b, char *y, size_t rows,
                        size_t n, size_t size)
{
    _Alignas(BLI_ALIGN) char tile[TILE * sizeof(double)];
    const size_t repeat = TILE / n, total = rows * n;
    for (size_t r = 0; r < repeat && r < rows; r++)
        memcpy(tile + r * n * size, b, n * size);
    for (size_t at = 0; at < total; at += repeat * n) {
        const size_t m = total - at < repeat * n ? total - at : repeat * n;
        loops->binary[op][BLI_VEC_VEC](a + at * size, tile, y + at * size, m);
    }
}

static bl_status binary_forward(const bli_call *c, bli_binary op)
{
    const bl_tensor *a = &c->in[0], *b = &c->in[1], *y = &c->out[0];
    const size_t size = bl_dtype_size(y->type);
    const bli_loops *loops = bli_loops_get(c->isa, y->type);
    bli_walk w = bli_walk_start(&y->shape, &a->shape, &b->shape);
    const size_t n = bli_walk_run(&w);
    const int64_t sa = w.step[0][w.rank - 1], sb = w.step[1][w.rank - 1];
    if (w.runs > 0 && w.rank == 2 && w.step[1][0] == 0 && sa == 1 && sb == 1 && n <= TILE / 2) {
        binary_rows(loops, op, a->data, b->data, y->data, (size_t)w.dim[0], n, size);
        return BL_OK;
    }
    const bli_operands kind = sb == 0 ? BLI_VEC_ONE : sa == 0 ? BLI_ONE_VEC : BLI_VEC_VEC;
    const bool both_one = sa == 0 && sb == 0; /* then n is 1 */
    char *to = y->data;
    for (; w.runs > 0; bli_walk_next(&w), to += n * size)
        loops->binary[op][both_one ? BLI_VEC_VEC : kind]((const char *)a->data + (size_t)w.at[0] * size,
                                                         (const char *)b->data + (size_t)w.at[1] * size, to, n);
    return BL_OK;
}

/* ---- backward ----------------------------------------------------------------------------------------------- */
/* What operand k of each operator is multiplied with; NULL: dy times sign. */
typedef void (*binary_grad)(bli_walk *w, const void *a, const void *b, const void *dy, void *out);
typedef struct binary_rule {
    binary_grad grad[2][2]; /* [operand][carrier] */
    double sign[2];
} binary_rule;
#define GRAD(name)                                                                                                     \
    {                                                                                                                  \
        name##_f32, name##_f64                                                                                         \
    }
static const binary_rule rules[BLI_BINARY_COUNT] = {
    [BLI_ADD] = {{{NULL}, {NULL}}, {1, 1}},
    [BLI_SUB] = {{{NULL}, {NULL}}, {1, -1}},
    [BLI_MUL] = {{GRAD(mul_grad_a), GRAD(mul_grad_b)}, {1, 1}},
    [BLI_DIV] = {{GRAD(div_grad_a), GRAD(div_grad_b)}, {1, 1}},
    [BLI_PRELU] = {{GRAD(prelu_grad_a), GRAD(prelu_grad_b)}, {1, 1}},
};

static size_t align_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

static size_t sums_size(const bli_call *c)
{
    const size_t a = bli_count(&c->in[0]), b = bli_count(&c->in[1]);
    return align_up((a > b ? a : b) * sizeof(double));
}

/* For a product rule: the terms before they are summed, behind the sums. */
static size_t terms_size(const bli_call *c)
{
    const bl_shape *s[2] = {&c->in[0].shape, &c->in[1].shape};
    size_t y = 1;
    for (int d = 0; d < BL_MAX_RANK; d++) {
        const int da = d - (BL_MAX_RANK - s[0]->rank), db = d - (BL_MAX_RANK - s[1]->rank);
        const int64_t na = da < 0 ? 1 : s[0]->dim[da], nb = db < 0 ? 1 : s[1]->dim[db];
        y *= (size_t)(na == 1 ? nb : na);
    }
    return sums_size(c) + y * sizeof(double);
}

static void operand_gradient(const bli_call *c, bli_binary op, int k)
{
    const binary_rule *rule = &rules[op];
    const bl_tensor *dy = &c->grad_out[0], *to = &c->grad_in[k];
    const bl_shape *shape = &c->in[k].shape;
    const bool whole = bl_shape_count(shape) == bl_shape_count(&dy->shape);
    const binary_grad grad = rule->grad[k][dy->type == BL_F64];
    const void *terms = dy->data;
    if (grad) {
        bli_walk w = bli_walk_start(&dy->shape, &c->in[0].shape, &c->in[1].shape);
        void *out = whole ? to->data : (char *)c->scratch + sums_size(c);
        grad(&w, c->in[0].data, c->in[1].data, dy->data, out);
        terms = out;
    }
    if (!whole)
        bli_reduce_to(c->isa, dy->type, terms, &dy->shape, shape, rule->sign[k], c->scratch, to->data);
    else if (rule->sign[k] < 0)
        BLI_REAL_CALL(dy->type, negate, terms, to->data, bli_count(dy));
    else if (terms != to->data)
        memcpy(to->data, terms, bli_count(dy) * bl_dtype_size(dy->type));
}

/* The second operand first: the first one's gradient may take the place of dy. */
static bl_status binary_backward(const bli_call *c, bli_binary op)
{
    for (int k = 1; k >= 0; k--)
        if (c->grad_in[k].data)
            operand_gradient(c, op, k);
    return BL_OK;
}

/* The second operand is one number. */
static bool one_number(const bli_call *c)
{
    return bli_count(&c->in[1]) == 1 && c->in[1].shape.rank <= c->in[0].shape.rank;
}

/* ---- ranges ------------------------------------------------------------------------------------------------- */
static void add_range(bli_range_call *r)
{
    const bli_range a = r->range_in[0], b = r->range_in[1];
    bli_range y = bli_range_join(a, b);
    y.least = a.least + b.least;
    y.greatest = a.greatest + b.greatest;
    r->range_out[0] = y;
    r->accumulator = y.on_grid ? bli_range_steps(&y) : 0;
}

static void sub_range(bli_range_call *r)
{
    const double least = -r->range_in[1].greatest;
    r->range_in[1].greatest = -r->range_in[1].least;
    r->range_in[1].least = least;
    add_range(r);
}

static void mul_range(bli_range_call *r)
{
    const bli_range a = r->range_in[0], b = r->range_in[1];
    const double corner[4] = {a.least * b.least, a.least * b.greatest, a.greatest * b.least, a.greatest * b.greatest};
    bli_range y = {a.on_grid && b.on_grid, a.step_exp + b.step_exp, corner[0], corner[0]};
    for (int k = 1; k < 4; k++) {
        y.least = fmin(y.least, corner[k]);
        y.greatest = fmax(y.greatest, corner[k]);
    }
    r->range_out[0] = y;
    r->accumulator = y.on_grid ? bli_range_steps(&y) : 0;
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */
static bool whole_shape(const bli_lower_call *c, int input)
{
    return bl_shape_equal(&c->in[input]->shape, &c->out[0]->shape);
}

/* A constant of one number for all, or one per channel of the result. */
static bool is_vector(const bli_lower_call *c, const bl_tensor *t)
{
    const bl_shape *y = &c->out[0]->shape;
    const int64_t n = bl_shape_count(&t->shape), last = y->dim[y->rank - 1];
    return n == 1 || (n == last && t->shape.rank > 0 && t->shape.dim[t->shape.rank - 1] == n);
}

static bl_status constant_wire(bli_lower_call *c, const bl_tensor *t, const int64_t *codes, int exp, int *wire)
{
    bl_shape shape = {1, {1}};
    const int rank = c->out[0]->shape.rank, skip = t->shape.rank == rank ? 1 : 0;
    if (t->shape.rank > skip) {
        shape.rank = t->shape.rank - skip;
        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = t->shape.dim[d + skip];
    }
    if (skip == 1 && t->shape.dim[0] != 1)
        return bli_lower_refuse(c, "a constant with a batch of its own");
    const bli_prim_op op = {.kind = BLI_PRIM_CONST, .weight = codes};
    return bli_lower_add(c, &op, "constant", &shape, exp, wire);
}

/* y = x sign_x + constant sign_c. */
static bl_status lower_offset(bli_lower_call *c, int x, int64_t sign_x, int64_t sign_c)
{
    const bl_tensor *t = &c->known[1 - x];
    const bli_wire *w = bli_lower_wire(c, x);
    int64_t *codes, n = bl_shape_count(&t->shape);
    int e;
    bool ok;
    BLI_TRY(bli_lower_codes(c, t, &codes, &e, &ok));
    const int exp = e < w->exp ? e : w->exp;
    c->declined = !ok || w->exp - exp > 62 || !bli_lower_shift(codes, n, e - exp);
    if (c->declined)
        return BL_OK;
    for (int64_t i = 0; i < n; i++)
        codes[i] *= sign_c;
    if (is_vector(c, t) && whole_shape(c, x)) {
        int64_t *weight = bli_lower_numbers(c, n, sign_x * ((int64_t)1 << (w->exp - exp)));
        const bli_prim_op op = {
            .kind = BLI_PRIM_AFFINE, .num_in = 1, .in = {c->x[x].wire}, .channels = n, .weight = weight, .bias = codes};
        return weight ? bli_lower_add(c, &op, NULL, NULL, exp, &c->y[0].wire) : BL_NO_MEMORY;
    }
    bli_prim_op op = {.kind = sign_x < 0 ? BLI_PRIM_SUB : BLI_PRIM_ADD, .num_in = 2};
    BLI_TRY(constant_wire(c, t, codes, exp, &op.in[sign_x < 0 ? 0 : 1]));
    op.in[sign_x < 0 ? 1 : 0] = c->x[x].wire;
    *(sign_x < 0 ? &op.shift_b : &op.shift_a) = w->exp - exp;
    return bli_lower_add(c, &op, NULL, NULL, exp, &c->y[0].wire);
}

static bl_status lower_sum(bli_lower_call *c, bli_prim kind)
{
    const int64_t sign = kind == BLI_PRIM_SUB ? -1 : 1;
    if (c->x[1].wire < 0)
        return lower_offset(c, 0, 1, sign);
    if (c->x[0].wire < 0)
        return lower_offset(c, 1, sign, 1);
    const int a = bli_lower_wire(c, 0)->exp, b = bli_lower_wire(c, 1)->exp, exp = a < b ? a : b;
    if (a - exp > 62 || b - exp > 62)
        return bli_fail(c->ctx, BL_LIMIT, "operands of steps 2^%d and 2^%d; give one of them a coarser format", a, b);
    const bli_prim_op op = {
        .kind = kind, .num_in = 2, .in = {c->x[0].wire, c->x[1].wire}, .shift_a = a - exp, .shift_b = b - exp};
    return bli_lower_add(c, &op, NULL, NULL, exp, &c->y[0].wire);
}

static bl_status add_lower(bli_lower_call *c)
{
    return lower_sum(c, BLI_PRIM_ADD);
}

static bl_status sub_lower(bli_lower_call *c)
{
    return lower_sum(c, BLI_PRIM_SUB);
}

static bl_status lower_factor(bli_lower_call *c, int x)
{
    const bl_tensor *t = &c->known[1 - x];
    const bli_wire *w = bli_lower_wire(c, x);
    int64_t *codes, n = bl_shape_count(&t->shape);
    int e;
    bool ok;
    BLI_TRY(bli_lower_codes(c, t, &codes, &e, &ok));
    c->declined = !ok;
    if (!ok)
        return BL_OK;
    if (n == 1 && codes[0] == 1 && whole_shape(c, x))
        return bli_lower_scaled(c, c->x[x].wire, e);
    bli_prim_op op = {.kind = BLI_PRIM_MUL, .num_in = 2, .in = {c->x[x].wire}};
    if (is_vector(c, t) && whole_shape(c, x)) {
        op = (bli_prim_op){.kind = BLI_PRIM_AFFINE,
                           .num_in = 1,
                           .in = {c->x[x].wire},
                           .channels = n,
                           .weight = codes,
                           .bias = bli_lower_numbers(c, n, 0)};
        return op.bias ? bli_lower_add(c, &op, NULL, NULL, w->exp + e, &c->y[0].wire) : BL_NO_MEMORY;
    }
    BLI_TRY(constant_wire(c, t, codes, e, &op.in[1]));
    return bli_lower_add(c, &op, NULL, NULL, w->exp + e, &c->y[0].wire);
}

static bl_status mul_lower(bli_lower_call *c)
{
    if (c->x[1].wire < 0)
        return lower_factor(c, 0);
    if (c->x[0].wire < 0)
        return lower_factor(c, 1);
    const bli_prim_op op = {.kind = BLI_PRIM_MUL, .num_in = 2, .in = {c->x[0].wire, c->x[1].wire}};
    return bli_lower_add(c, &op, NULL, NULL, bli_lower_wire(c, 0)->exp + bli_lower_wire(c, 1)->exp, &c->y[0].wire);
}

#define BINARY(name, OP)                                                                                               \
    static bl_status name##_forward(const bli_call *c)                                                                 \
    {                                                                                                                  \
        return binary_forward(c, BLI_##OP);                                                                            \
    }                                                                                                                  \
    static bl_status name##_backward(const bli_call *c)                                                                \
    {                                                                                                                  \
        return binary_backward(c, BLI_##OP);                                                                           \
    }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(prelu, PRELU)
#undef BINARY

static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};
#define BINARY_OP(name, onnx, infer, flags_, range_, scratch_, lower_, help)                                           \
    const bli_op bli_op_##name = {                                                                                     \
        .schema = {onnx, BLI_DOMAIN_ONNX, 2, 2, 1, no_attrs, infer, help},                                             \
        .flags = (flags_) | BLI_OP_ELEMENTWISE,                                                                        \
        .forward = name##_forward,                                                                                     \
        .backward = name##_backward,                                                                                   \
        .range = range_,                                                                                               \
        .lower = lower_,                                                                                               \
        .scratch = scratch_,                                                                                           \
        .same_for_all = one_number,                                                                                    \
    }
BINARY_OP(add, "Add", infer_binary, 0, add_range, sums_size, add_lower, "a + b, broadcast");
BINARY_OP(sub, "Sub", infer_binary, 0, sub_range, sums_size, sub_lower, "a - b, broadcast");
BINARY_OP(mul, "Mul", infer_binary, BLI_OP_NEEDS_IN, mul_range, terms_size, mul_lower, "a b, broadcast");
BINARY_OP(div, "Div", infer_binary, BLI_OP_NEEDS_IN, NULL, terms_size, NULL, "a / b, broadcast");
BINARY_OP(prelu, "PRelu", infer_prelu, BLI_OP_NEEDS_IN, NULL, terms_size, NULL,
          "x, or slope x below zero; the slope is trained");
