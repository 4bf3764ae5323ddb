/* step_element.c: ops of one element to one element, and of two, with the quantizers behind them.
 *
 * A sample goes by in rows of lanes.  Where the last dimension is small, rows are packed: a row holds a whole number of
 * channels' periods.  Where it is large, each row of the wire fills a row of lanes of its own, with a few left over.
 */
#include <string.h>

#include "exec/exec.h"

enum { PADDED_FROM = 64 };

static int64_t width_for(int64_t last, bool by_channel, bool *padded)
{
    *padded = by_channel && last >= PADDED_FROM;
    if (!by_channel)
        return 64;
    if (*padded)
        return (last + 15) / 16 * 16;
    int64_t width = last;
    while (width % 16 != 0)
        width += last;
    return width;
}

static void load(const bli_step *s, const bli_exec_kernels *k, const bli_place *p, const char *x, int64_t from,
                 int64_t n, char *lanes)
{
    x += (size_t)from << p->store;
    if (s->chain.wide)
        k->load64[p->store](x, n, p->bias, (int64_t *)(void *)lanes);
    else
        k->load32[p->store](x, n, (int32_t)p->bias, (int32_t *)(void *)lanes);
}

static void combine(const bli_step *s, const bli_exec_kernels *k, char *a, const char *b, int64_t step, int64_t rows)
{
    const int64_t width = s->chain.width;
    if (s->chain.wide)
        k->combine64(&s->combine, (int64_t *)(void *)a, (const int64_t *)(const void *)b, step, rows, width);
    else
        k->combine32(&s->combine, (int32_t *)(void *)a, (const int32_t *)(const void *)b, step, rows, width);
}

/* An operand of one row of channels, repeated through a row of lanes. */
static void load_row(const bli_step *s, const bli_exec_kernels *k, const char *x, char *lanes)
{
    const int64_t count = s->in[1]->count, size = s->chain.wide ? 8 : 4;
    load(s, k, s->in[1], x, 0, count, lanes);
    for (int64_t i = count; i + count <= s->chain.width; i += count)
        memcpy(lanes + i * size, lanes, (size_t)(count * size));
}

/* Elements from..from+n-1 of one sample, in `rows` rows of lanes. */
static void run_block(const bli_step *s, const bli_run *r, const char *const *x, int64_t from, int64_t n, int64_t rows,
                      char *y)
{
    const bli_exec_kernels *k = r->plan->kernels;
    const size_t size = s->chain.wide ? 8 : 4;
    char *a = r->scratch, *b = a + (size_t)(s->rows * s->chain.width) * size;
    load(s, k, s->in[0], x[0], from, n, a);
    if (s->combines && !s->row_operand)
        load(s, k, s->in[1], x[1], from, n, b);
    if (s->combines)
        combine(s, k, a, b, s->row_operand ? 0 : s->chain.width, rows);
    bli_chain_run(k, &s->chain, s->out, a, rows);
    if (s->out->store == BLI_STORE_BITS)
        bli_chain_store(k, &s->chain, s->out, a, n, y + (size_t)(from / s->out->last) * s->out->row);
    else
        bli_chain_store(k, &s->chain, s->out, a, n, y + ((size_t)from << s->out->store));
}

static void run_element(const bli_step *s, const bli_run *r)
{
    const int64_t count = s->out->count, width = s->chain.width;
    const int64_t block = s->padded ? s->out->last : s->rows * width;
    const size_t size = s->chain.wide ? 8 : 4;
    for (int64_t i = 0; i < r->samples; i++) {
        const char *const x[2] = {bli_place_at(s->in[0], r, i), s->combines ? bli_place_at(s->in[1], r, i) : NULL};
        if (s->row_operand)
            load_row(s, r->plan->kernels, x[1], r->scratch + (size_t)(s->rows * width) * size);
        for (int64_t from = 0; from < count; from += block) {
            const int64_t n = count - from < block ? count - from : block;
            run_block(s, r, x, from, n, s->padded ? 1 : (n + width - 1) / width, bli_place_at(s->out, r, i));
        }
    }
}

/* ---- planning
 * ----------------------------------------------------------------------------------------------------------- */

static bool combine_of(const bli_program *p, const bli_prim_op *op, bli_combine *out)
{
    static const struct {
        bli_prim prim;
        bli_combine_kind kind;
    } kinds[] = {{BLI_PRIM_ADD, BLI_COMBINE_ADD},
                 {BLI_PRIM_SUB, BLI_COMBINE_SUB},
                 {BLI_PRIM_MUL, BLI_COMBINE_MUL},
                 {BLI_PRIM_MIN, BLI_COMBINE_MIN},
                 {BLI_PRIM_MAX, BLI_COMBINE_MAX}};
    (void)p;
    for (size_t i = 0; i < BLI_COUNT(kinds); i++)
        if (kinds[i].prim == op->kind) {
            *out = (bli_combine){kinds[i].kind, op->shift_a, op->shift_b};
            return true;
        }
    return false;
}

/* Whether shifted operands and result fit 32 bits. */
static bool narrow(const bli_program *p, const bli_prim_op *op)
{
    bli_span out = bli_wire_hull(&p->wires[op->out]);
    bool fits = out.low >= INT32_MIN && out.high <= INT32_MAX && op->shift_a < 32 && op->shift_b < 32;
    for (int k = 0; fits && k < op->num_in; k++) {
        const bli_span in = bli_wire_hull(&p->wires[op->in[k]]);
        const bli_wide_span s = bli_span_shift_left(bli_span_widen(in), k == 0 ? op->shift_a : op->shift_b);
        fits = s.low >= INT32_MIN && s.high <= INT32_MAX;
    }
    return fits;
}

/* The second operand has the same shape, or is one row of channels (or one element); the first may be that instead
 * where the order is of no matter. */
static bool plan_operands(bli_exec_plan *plan, const bli_prim_op *op, bli_step *step)
{
    const bli_program *p = plan->program;
    const bl_shape *out = &p->wires[op->out].shape;
    int a = 0, b = 1;
    if (!bl_shape_equal(&p->wires[op->in[0]].shape, out)) {
        if (op->kind == BLI_PRIM_SUB)
            return false;
        a = 1;
        b = 0;
        const int shift = step->combine.shift_a;
        step->combine.shift_a = step->combine.shift_b;
        step->combine.shift_b = shift;
    }
    const bli_wire *w = &p->wires[op->in[b]];
    const bool row = w->count == 1 || (w->count == bli_last(out) && bli_last(&w->shape) == w->count);
    step->in[0] = &plan->places[op->in[a]];
    step->in[1] = &plan->places[op->in[b]];
    step->row_operand = !bl_shape_equal(&w->shape, out);
    step->combines = true;
    return bl_shape_equal(&p->wires[op->in[a]].shape, out) && (row || !step->row_operand);
}

static bool is_unary(bli_prim kind)
{
    switch (kind) {
    case BLI_PRIM_AFFINE:
    case BLI_PRIM_ROUND:
    case BLI_PRIM_OVERFLOW:
    case BLI_PRIM_CLAMP:
    case BLI_PRIM_ABS:
    case BLI_PRIM_THRESHOLD:
    case BLI_PRIM_RESCALE:
    case BLI_PRIM_TABLE:
        return true;
    default:
        return false;
    }
}

bl_status bli_step_element(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    const bool two = combine_of(p, op, &step->combine);
    *made = p->wires[i].count > 0 && (two ? plan_operands(plan, op, step) : is_unary(op->kind));
    if (!*made)
        return BL_OK;
    if (!two)
        step->in[0] = &plan->places[op->in[0]];
    bool padded = false;
    const int64_t columns = bli_last(&p->wires[i].shape);
    int64_t width = width_for(columns, true, &padded);
    step->padded = padded;
    step->chain.wide = two && !narrow(p, op);
    BLI_TRY(bli_chain_make(plan, i, !two, width, NULL, &step->chain, last));
    if (!two && step->chain.num == 0 && *last == i) { /* its op alone is beyond every stage, or does nothing */
        *made = false;
        return BL_OK;
    }
    step->out = &plan->places[*last];
    step->padded = step->padded || step->out->store == BLI_STORE_BITS;
    step->rows = step->padded ? 1 : (BLI_TILE_LANES / 2 + width - 1) / width;
    step->run = run_element;
    const size_t need = (size_t)(2 * step->rows * width) * 8 + 2 * BLI_SLACK;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    plan->cost += (double)p->wires[i].count * 4;
    return BL_OK;
}
