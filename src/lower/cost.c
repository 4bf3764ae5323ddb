/* cost.c: the multiplications, effective bit operations and adders of a program's wires. */
#include <string.h>

#include "bitlathe/lower.h"
#include "program/cmvm_op.h"

/* Bits of a weight's magnitude without its trailing zeros: what a multiplier by it costs. */
static int weight_bits(int64_t w)
{
    uint64_t m = w < 0 ? 0 - (uint64_t)w : (uint64_t)w;
    return m == 0 ? 0 : 64 - __builtin_clzll(m) - __builtin_ctzll(m);
}

/* Bits of the elements of channel c, the widest. */
static int channel_bits(const bli_wire *w, int64_t c)
{
    const int64_t last = w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
    int most = 0;
    for (int64_t i = w->num_spans > 1 ? c : 0; i < w->num_spans; i += last) {
        const int bits = bli_span_bits(&w->spans[i]);
        most = bits > most ? bits : most;
    }
    return most;
}

/* Weight [K, M] of dense, [M, taps, depth] of a convolution, used at `times` places. */
static void count_products(const bli_prim_op *op, const bli_wire *x, int64_t times, bl_wire_cost *out)
{
    const int64_t units = op->channels, k_all = x->shape.dim[x->shape.rank - 1];
    const bool dense = op->kind == BLI_PRIM_DENSE;
    const int64_t depth = dense ? k_all : k_all / op->window.groups;
    const int64_t taps = dense ? 1 : (int64_t)op->window.kernel[0] * op->window.kernel[1];
    for (int64_t m = 0; m < units; m++)
        for (int64_t i = 0; i < taps * depth; i++) {
            const int64_t k = i % depth, first = dense ? 0 : m / (units / op->window.groups) * depth;
            const int64_t w = dense ? op->weight[k * units + m] : op->weight[m * taps * depth + i];
            if (w == 0)
                continue;
            out->multiplications += times;
            out->ebops += (double)times * weight_bits(w) * channel_bits(x, first + k);
        }
}

static void count_pairs(const bli_wire *a, const bli_wire *b, int64_t products, bl_wire_cost *out)
{
    const bli_span x = bli_wire_hull(a), y = bli_wire_hull(b);
    out->multiplications = products;
    out->ebops = (double)products * bli_span_bits(&x) * bli_span_bits(&y);
}

bool bl_program_wire_cost(const bl_program *p, int i, bl_wire_cost *out)
{
    *out = (bl_wire_cost){0, 0};
    if (i < 0 || i >= p->num_wires)
        return false;
    const bli_wire *w = &p->wires[i];
    const bli_prim_op *op = &p->ops[w->producer];
    const bli_wire *x = op->num_in > 0 ? &p->wires[op->in[0]] : NULL;
    const int64_t last = x && x->shape.rank > 0 ? x->shape.dim[x->shape.rank - 1] : 0;
    if ((op->kind == BLI_PRIM_DENSE || op->kind == BLI_PRIM_CONV) && op->channels > 0 && last > 0)
        count_products(op, x, w->count / op->channels, out);
    else if (op->kind == BLI_PRIM_MUL)
        count_pairs(x, &p->wires[op->in[1]], w->count, out);
    else if (op->kind == BLI_PRIM_DOT)
        count_pairs(x, &p->wires[op->in[1]], w->count * last, out);
    return true;
}

static bl_status count_adders(const bl_program *p, const bli_prim_op *op, bool ternary, bli_arena *arena,
                              bl_wire_adders *out)
{
    const bli_cmvm_options options = {.extra_depth = -1, .ternary = ternary, .effort = 2};
    bli_cmvm_problem problem;
    bli_adder_graph *g;
    BLI_TRY(bli_cmvm_op_problem(p, op, arena, &problem));
    BLI_TRY(bli_cmvm_solve(p->ctx, &problem, &options, &g));
    const bli_adder_summary s = bli_adder_graph_summary(g);
    *out = (bl_wire_adders){p->wires[op->out].count / op->channels, s.adders, s.depth, s.cost, s.luts};
    bli_adder_graph_destroy(g);
    return BL_OK;
}

bl_status bl_program_wire_adders(const bl_program *p, int i, bool ternary, bl_wire_adders *out)
{
    *out = (bl_wire_adders){0};
    if (i < 0 || i >= p->num_wires)
        return bli_fail(p->ctx, BL_BAD_VALUE, "wire %d of %d", i, p->num_wires);
    const bli_prim_op *op = &p->ops[p->wires[i].producer];
    if ((op->kind != BLI_PRIM_DENSE && op->kind != BLI_PRIM_CONV) || op->channels == 0)
        return BL_OK;
    bli_arena *arena;
    BLI_TRY(bli_arena_create(p->ctx, &arena));
    bl_status s = count_adders(p, op, ternary, arena, out);
    bli_arena_destroy(arena);
    return bli_within(p->ctx, s, "wire '%s'", p->wires[i].name);
}
