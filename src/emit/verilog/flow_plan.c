/* flow_plan.c: how a group takes its operands: beat by beat, through a window, or a sample at once. */
#include "emit/verilog/flow.h"

static int64_t last_of(const bli_wire *w)
{
    return w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
}

/* Everything but the last dimension is the same. */
static bool same_places(const bl_shape *a, const bl_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i + 1 < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

/* Constants that every place sees alike. */
static bool is_of_one_place(const bli_wire *w)
{
    return w->count == 1 || w->count == last_of(w);
}

static bool goes_by_beats(const bli_flow *f, const bli_group *g)
{
    static const bool can[BLI_PRIM_COUNT] = {
        [BLI_PRIM_DENSE] = true, [BLI_PRIM_ADD] = true, [BLI_PRIM_SUB] = true,    [BLI_PRIM_MUL] = true,
        [BLI_PRIM_MIN] = true,   [BLI_PRIM_MAX] = true, [BLI_PRIM_ARGMAX] = true, [BLI_PRIM_CONCAT] = true};
    const bli_prim_op *op = g->ops[0];
    const bli_wire *out = &f->p->wires[op->out];
    if (!can[op->kind] && !bli_is_elementwise(op->kind))
        return false;
    if (op->kind == BLI_PRIM_CONCAT && op->axis != out->shape.rank - 1)
        return false;
    for (int k = 0; k < op->num_in; k++) {
        const bli_wire *w = &f->p->wires[op->in[k]];
        if (bli_flow_link_of(f, op->in[k])->constant ? !is_of_one_place(w) : !same_places(&w->shape, &out->shape))
            return false;
    }
    return true;
}

static bli_flow_way way_of(const bli_flow *f, const bli_group *g)
{
    bli_prim kind = g->ops[0]->kind;
    if (kind == BLI_PRIM_CONV || kind == BLI_PRIM_MAXPOOL || kind == BLI_PRIM_SUMPOOL)
        return BLI_FLOW_WINDOWS;
    return goes_by_beats(f, g) ? BLI_FLOW_BEATS : BLI_FLOW_WHOLE;
}

static void add_input(const bli_flow *f, bli_flow_plan *plan, int wire)
{
    const bli_wire *w = &f->p->wires[wire];
    if (bli_flow_link_of(f, wire)->constant)
        return;
    for (int i = 0; i < plan->num_in; i++)
        if (plan->in[i].wire == wire)
            return;
    plan->in[plan->num_in++] =
        (bli_flow_input){wire, f->groups.root[wire], plan->way == BLI_FLOW_WHOLE ? w->count : last_of(w)};
}

void bli_flow_plan_make(const bli_flow *f, const bli_group *g, bli_flow_plan *out)
{
    *out = (bli_flow_plan){.group = g, .way = way_of(f, g)};
    for (int k = 0; k < g->num_in; k++)
        add_input(f, out, g->in[k]);
    out->out_beat = out->way == BLI_FLOW_WHOLE ? g->out->count : last_of(g->out);
}
