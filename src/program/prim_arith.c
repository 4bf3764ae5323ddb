/* prim_arith.c: ADD, SUB, MUL, MIN, MAX (two wires, broadcast) and ABS. */
#include "program/prim.h"

enum { SHIFT_MOST = 62 };

static bl_status shifted_shape(bli_call *c)
{
    const int shift[2] = {c->op->shift_a, c->op->shift_b};
    for (int k = 0; k < 2; k++)
        if (shift[k] < 0 || shift[k] > SHIFT_MOST)
            return bli_call_fail(c, BL_BAD_MODEL, "shift_%c is %d, expected 0 to %d", 'a' + k, shift[k], SHIFT_MOST);
    return bli_shape_broadcast(c);
}

static bli_wide_span add(const bli_call *c, bli_wide_span a, bli_wide_span b)
{
    (void)c;
    return bli_span_add(a, b);
}

static bli_wide_span subtract(const bli_call *c, bli_wide_span a, bli_wide_span b)
{
    (void)c;
    return bli_span_add(a, bli_span_negate(b));
}

/* A wire times itself is a square, whose two factors are anything but independent. */
static bli_wide_span multiply(const bli_call *c, bli_wide_span a, bli_wide_span b)
{
    return c->op->in[0] == c->op->in[1] ? bli_span_square(a) : bli_span_mul(a, b);
}

static bli_wide_span smaller(const bli_call *c, bli_wide_span a, bli_wide_span b)
{
    (void)c;
    return bli_span_min(a, b);
}

static bli_wide_span greater(const bli_call *c, bli_wide_span a, bli_wide_span b)
{
    (void)c;
    return bli_span_max(a, b);
}

typedef bli_wide_span (*span_fn)(const bli_call *c, bli_wide_span a, bli_wide_span b);

/* Shifted operands fit a wire too, so that a backend may shift first. */
static bl_status binary_span(bli_call *c, span_fn fn)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const bli_wide_span a = bli_span_shift_left(bli_call_in(c, 0, i), c->op->shift_a);
        const bli_wide_span b = bli_span_shift_left(bli_call_in(c, 1, i), c->op->shift_b);
        BLI_TRY(bli_call_set(c, i, a));
        BLI_TRY(bli_call_set(c, i, b));
        BLI_TRY(bli_call_set(c, i, fn(c, a, b)));
    }
    return BL_OK;
}

#define BINARY(name, fn, value)                                                                                        \
    static bl_status name##_span(bli_call *c)                                                                          \
    {                                                                                                                  \
        return binary_span(c, fn);                                                                                     \
    }                                                                                                                  \
    static void name##_interpret(const bli_work *w)                                                                    \
    {                                                                                                                  \
        for (int64_t i = 0; i < w->out->count; i++) {                                                                  \
            const int64_t p = w->x[0][bli_broadcast_index(&w->out->shape, &w->in[0]->shape, i)];                       \
            const int64_t q = w->x[1][bli_broadcast_index(&w->out->shape, &w->in[1]->shape, i)];                       \
            w->y[i] = (int64_t)(value);                                                                                \
        }                                                                                                              \
    }
BINARY(add, add, ((uint64_t)p << w->op->shift_a) + ((uint64_t)q << w->op->shift_b))
BINARY(sub, subtract, ((uint64_t)p << w->op->shift_a) - ((uint64_t)q << w->op->shift_b))
BINARY(mul, multiply, (uint64_t)p *(uint64_t)q)
BINARY(min, smaller, p < q ? p : q)
BINARY(max, greater, p > q ? p : q)

static bl_status abs_span(bli_call *c)
{
    BLI_TRY(bli_call_elementwise(c));
    for (int64_t i = 0; i < c->num_spans; i++) {
        const bli_wide_span a = bli_call_in(c, 0, i), negative = bli_span_negate(a);
        bli_wide_span s = a.low >= 0 ? a : a.high <= 0 ? negative : bli_span_hull(a, negative);
        if (a.low < 0 && a.high > 0)
            s.low = 0;
        BLI_TRY(bli_call_set(c, i, s));
    }
    return BL_OK;
}

static void abs_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++)
        w->y[i] = w->x[0][i] < 0 ? -w->x[0][i] : w->x[0][i];
}

#define SHIFTED (BLI_HAS(SHIFT_A) | BLI_HAS(SHIFT_B))
const bli_prim_rule bli_rule_add = {
    .fields = SHIFTED, .shape = shifted_shape, .span = add_span, .interpret = add_interpret};
const bli_prim_rule bli_rule_sub = {
    .fields = SHIFTED, .shape = shifted_shape, .span = sub_span, .interpret = sub_interpret};
const bli_prim_rule bli_rule_mul = {.shape = bli_shape_broadcast, .span = mul_span, .interpret = mul_interpret};
const bli_prim_rule bli_rule_min = {.shape = bli_shape_broadcast, .span = min_span, .interpret = min_interpret};
const bli_prim_rule bli_rule_max = {.shape = bli_shape_broadcast, .span = max_span, .interpret = max_interpret};
const bli_prim_rule bli_rule_abs = {.shape = bli_shape_same, .span = abs_span, .interpret = abs_interpret};
