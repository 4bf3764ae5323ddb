/* lower.c: what the operators' lowerings share. */
#include "op/lower.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op/infer.h"

bl_shape bli_lower_row(const bl_value *v)
{
    bl_shape row = {v->shape.rank > 0 ? v->shape.rank - 1 : 0, {0}};
    for (int d = 0; d < row.rank; d++)
        row.dim[d] = v->shape.dim[d + 1];
    if (row.rank == 0)
        row = (bl_shape){1, {1}};
    return row;
}

bl_status bli_lower_add(bli_lower_call *c, const bli_prim_op *spec, const char *tail, const bl_shape *shape, int exp,
                        int *wire)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s%s", c->name, tail ? "/" : "", tail ? tail : "");
    return bli_builder_add(c->b, spec, name, c->layer, shape, exp, wire);
}

bl_status bli_lower_refuse(bli_lower_call *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return bli_fail(c->ctx, BL_UNSUPPORTED, "%s", text);
}

int64_t *bli_lower_numbers(bli_lower_call *c, int64_t n, int64_t fill)
{
    int64_t *v = bli_arena_array(c->arena, (size_t)n + 1, sizeof *v);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = fill;
    return v;
}

/* ---- constants ------------------------------------------------------------------------------------------------ */
bl_status bli_lower_codes(bli_lower_call *c, const bl_tensor *t, int64_t **codes, int *exp, bool *ok)
{
    const int64_t n = bl_shape_count(&t->shape);
    int low = INT32_MAX;
    double most = 0;
    *ok = true;
    *exp = 0;
    *codes = bli_lower_numbers(c, n, 0);
    if (!*codes)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n && *ok; i++) {
        const double v = bli_real_at(t->type, t->data, (size_t)i);
        *ok = isfinite(v);
        if (v != 0 && *ok && bli_step_of(v) < low)
            low = bli_step_of(v);
        most = fmax(most, fabs(v));
    }
    *exp = low == INT32_MAX ? 0 : low;
    *ok = *ok && ldexp(most, -*exp) < 0x1p62;
    for (int64_t i = 0; i < n && *ok; i++)
        (*codes)[i] = (int64_t)ldexp(bli_real_at(t->type, t->data, (size_t)i), -*exp);
    return BL_OK;
}

bool bli_lower_shift(int64_t *codes, int64_t n, int shift)
{
    for (int64_t i = 0; i < n; i++)
        if (codes[i] != 0 && (shift > 62 || __builtin_mul_overflow(codes[i], (int64_t)1 << shift, &codes[i])))
            return false;
    return true;
}

/* ---- wires ---------------------------------------------------------------------------------------------------- */
bl_status bli_lower_align(bli_lower_call *c, int wire, int exp, int *out)
{
    const bli_wire *w = bli_builder_wire(c->b, wire);
    const int shift = w->exp - exp;
    *out = wire;
    if (shift == 0)
        return BL_OK;
    if (shift > 62)
        return bli_fail(c->ctx, BL_LIMIT, "'%s' would be shifted by %d bits", w->name, shift);
    const int64_t by = -shift;
    const bli_prim_op op = {.kind = BLI_PRIM_ROUND, .num_in = 1, .in = {wire}, .channels = 1, .shift = &by};
    return bli_lower_add(c, &op, "shift", NULL, exp, out);
}

bl_status bli_lower_scaled(bli_lower_call *c, int wire, int by)
{
    const bli_wire *w = bli_builder_wire(c->b, wire);
    const bl_shape shape = w->shape;
    const bli_prim_op op = {.kind = BLI_PRIM_RESHAPE, .num_in = 1, .in = {wire}};
    c->y[0] = (bli_lowered){.wire = wire};
    return by == 0 ? BL_OK : bli_lower_add(c, &op, NULL, &shape, w->exp + by, &c->y[0].wire);
}

static signed char *directions(bli_lower_call *c, int64_t n, signed char fill)
{
    signed char *d = bli_arena_array(c->arena, (size_t)n + 1, 1);
    if (d)
        memset(d, fill, (size_t)n + 1);
    return d;
}

bl_status bli_lower_quotient(bli_lower_call *c, int wire, const double *counts, int64_t n)
{
    static const bl_node divide = {.name = "mean", .type = "Div", .domain = "", .num_inputs = 2, .num_outputs = 1};
    int e;
    if (n == 1 && frexp(counts[0], &e) == 0.5)
        return bli_lower_scaled(c, wire, 1 - e);
    const bli_wire *w = bli_builder_wire(c->b, wire);
    bli_chain *chain = bli_arena_alloc(c->arena, sizeof *chain);
    double *data = bli_arena_array(c->arena, (size_t)n, sizeof *data);
    if (!chain || !data)
        return BL_NO_MEMORY;
    memcpy(data, counts, (size_t)n * sizeof *data);
    chain->count = 1;
    chain->groups = n;
    chain->direction = directions(c, n, 1);
    if (!chain->direction)
        return BL_NO_MEMORY;
    chain->links[0] = (bli_link){.node = &divide};
    chain->links[0].in[1] = (bl_tensor){BL_F64, n == 1 ? (bl_shape){1, {1}} : w->shape, data};
    c->y[0] = (bli_lowered){.wire = wire, .chain = chain};
    return BL_OK;
}

bl_status bli_lower_pass_chain(bli_lower_call *c, bool keeps_channels, int output)
{
    const bli_chain *chain = c->x[0].chain;
    c->y[output].chain = c->x[0].chain;
    if (!chain || chain->groups == 1)
        return BL_OK;
    const bli_wire *w = bli_lower_wire(c, 0);
    if (keeps_channels && chain->groups == w->shape.dim[w->shape.rank - 1])
        return BL_OK;
    return bli_lower_refuse(c, "'%s' is a real number with a scale of its own per channel; put a quantizer in front",
                            c->in[0]->name);
}

/* ---- sums of products ----------------------------------------------------------------------------------------- */
/* Why numbers have no codes. */
static bl_status too_wide(bli_lower_call *c, const bl_tensor *weight, const bl_tensor *bias)
{
    const bl_tensor *both[] = {weight, bias};
    for (size_t k = 0; k < BLI_COUNT(both); k++)
        for (int64_t i = 0; both[k] && both[k]->data && i < bl_shape_count(&both[k]->shape); i++) {
            const double v = bli_real_at(both[k]->type, both[k]->data, (size_t)i);
            if (!isfinite(v))
                return bli_fail(c->ctx, BL_UNSUPPORTED,
                                "%s %lld is %g, which is no integer; give it a format that saturates",
                                k == 0 ? "weight" : "bias", (long long)i, v);
        }
    return bli_fail(c->ctx, BL_LIMIT, "weights and bias do not fit one grid of 62 bits; give them formats");
}

bl_status bli_lower_products(bli_lower_call *c, const bl_tensor *weight, const bl_tensor *bias, int64_t units,
                             bli_lower_sum *s)
{
    bool ok;
    int we, be;
    const int xe = bli_lower_wire(c, 0)->exp;
    const int64_t count = bl_shape_count(&weight->shape);
    *s = (bli_lower_sum){NULL, NULL, 0};
    BLI_TRY(bli_lower_codes(c, weight, &s->weight, &we, &ok));
    if (!ok)
        return too_wide(c, weight, bias);
    s->exp = xe + we;
    if (!bias || !bias->data)
        return BL_OK;
    int64_t *codes;
    BLI_TRY(bli_lower_codes(c, bias, &codes, &be, &ok));
    s->bias = bli_lower_numbers(c, units, 0);
    if (!s->bias)
        return BL_NO_MEMORY;
    const int64_t given = bl_shape_count(&bias->shape);
    for (int64_t i = 0; ok && i < units; i++)
        s->bias[i] = codes[given == 1 ? 0 : i];
    const int down = s->exp - be; /* the bias is finer: weights move up */
    ok = ok && (down > 0 ? bli_lower_shift(s->weight, count, down) : bli_lower_shift(s->bias, units, -down));
    s->exp = down > 0 ? be : s->exp;
    return ok ? BL_OK : too_wide(c, weight, bias);
}

/* ---- moves ---------------------------------------------------------------------------------------------------- */
static void number_elements(double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = (double)i;
}

/* The node's forward on one row of float64. */
static bl_status run_on_numbers(bli_lower_call *c, bl_tensor *out)
{
    const bli_op *op = bli_op_find(c->node->type, c->node->domain);
    static const double fill = -1;
    bli_call k = {.ctx = c->ctx, .node = c->node, .isa = BLI_ISA_GENERIC};
    bl_shape shape = c->in[0]->shape;
    shape.dim[0] = 1;
    const int64_t n = bl_shape_count(&shape);
    double *numbers = bli_arena_array(c->arena, (size_t)n + 1, sizeof *numbers);
    if (!numbers)
        return BL_NO_MEMORY;
    number_elements(numbers, n);
    for (int i = 1; i < c->node->num_inputs; i++)
        k.in[i] = c->known[i];
    k.in[0] = (bl_tensor){BL_F64, shape, numbers};
    if (strcmp(c->node->type, "Pad") == 0)
        k.in[2] = (bl_tensor){BL_F64, {0}, (void *)(uintptr_t)&fill};
    for (int o = 0; o < c->node->num_outputs; o++) {
        shape = c->out[o]->shape;
        shape.dim[0] = 1;
        out[o] = (bl_tensor){BL_F64, shape, bli_arena_array(c->arena, (size_t)bl_shape_count(&shape) + 1, 8)};
        if (!out[o].data)
            return BL_NO_MEMORY;
        k.out[o] = out[o];
    }
    k.scratch = bli_alloc(c->ctx, op->scratch ? op->scratch(&k) : 0);
    if (!k.scratch)
        return BL_NO_MEMORY;
    const bl_status s = op->forward(&k);
    bli_free(c->ctx, k.scratch);
    return s;
}

/* A constant to pad with, on the wire's grid or a finer one. */
static bl_status pad_value(bli_lower_call *c, int *wire, int64_t *fill)
{
    const bl_tensor *t = &c->known[2];
    const double v = t->data ? bli_real_at(t->type, t->data, 0) : 0;
    *fill = 0;
    if (strcmp(c->node->type, "Pad") != 0 || v == 0)
        return BL_OK;
    if (c->x[0].chain)
        return bli_lower_refuse(c, "pads a real number with %g; put a quantizer in front", v);
    const int e = bli_step_of(v), exp = bli_builder_wire(c->b, *wire)->exp;
    if (e < exp)
        BLI_TRY(bli_lower_align(c, *wire, e, wire));
    *fill = (int64_t)ldexp(v, -(e < exp ? e : exp));
    return BL_OK;
}

/* Zero must stay zero under a chain that padding is moved in front of. */
static bool moves_zero(const bli_lower_call *c)
{
    return strcmp(c->node->type, "Pad") == 0 && strcmp(bl_node_string(c->node, "mode", "constant"), "constant") == 0;
}

bl_status bli_lower_by_index(bli_lower_call *c)
{
    bl_tensor at[BLI_MAX_OUT];
    int wire = c->x[0].wire;
    int64_t fill;
    if (c->x[0].chain && moves_zero(c))
        return bli_lower_refuse(c, "pads real numbers; put a quantizer in front");
    BLI_TRY(run_on_numbers(c, at));
    BLI_TRY(pad_value(c, &wire, &fill));
    for (int o = 0; o < c->node->num_outputs; o++) {
        const bl_shape row = bli_lower_row(c->out[o]), from = bli_builder_wire(c->b, wire)->shape;
        const int64_t n = bl_shape_count(&row), last = row.dim[row.rank - 1];
        int64_t *index = bli_lower_numbers(c, n, 0);
        bool channels = from.rank > 0 && last == from.dim[from.rank - 1];
        if (!index)
            return BL_NO_MEMORY;
        for (int64_t i = 0; i < n; i++) {
            index[i] = (int64_t)((const double *)at[o].data)[i];
            channels = channels && (index[i] < 0 || index[i] % last == i % last);
        }
        BLI_TRY(bli_lower_pass_chain(c, channels, o));
        const bli_prim_op op = {.kind = BLI_PRIM_GATHER, .num_in = 1, .in = {wire}, .fill = fill, .index = index};
        BLI_TRY(bli_lower_add(c, &op, o == 0 ? NULL : "part", &row, bli_builder_wire(c->b, wire)->exp, &c->y[o].wire));
    }
    return BL_OK;
}

bl_status bli_lower_view(bli_lower_call *c)
{
    const bl_shape row = bli_lower_row(c->out[0]);
    const bli_wire *w = bli_lower_wire(c, 0);
    const bli_prim_op op = {.kind = BLI_PRIM_RESHAPE, .num_in = 1, .in = {c->x[0].wire}};
    BLI_TRY(bli_lower_pass_chain(c, row.dim[row.rank - 1] == w->shape.dim[w->shape.rank - 1], 0));
    c->y[0].wire = c->x[0].wire;
    return bl_shape_equal(&row, &w->shape) ? BL_OK : bli_lower_add(c, &op, NULL, &row, w->exp, &c->y[0].wire);
}
