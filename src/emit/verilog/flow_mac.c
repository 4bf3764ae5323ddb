/* flow_mac.c: products in turns: which weight meets which element when, and the text of it.
 *
 * Weight n (output n / terms, term n % terms) is used in turn n % reuse by multiplier n / reuse, as hls4ml has it. With
 * at most as many turns as terms each multiplier adds to one output; with more (a multiple of the terms) it makes one
 * output after the other, all meeting the same term at a time.
 */
#include <string.h>

#include "emit/verilog/flow.h"

static int64_t last_of(const bli_wire *w)
{
    return w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
}

static int64_t terms_of(const bli_flow *f, const bli_prim_op *op)
{
    int64_t channels = last_of(&f->p->wires[op->in[0]]);
    return op->kind == BLI_PRIM_DENSE
               ? channels
               : (int64_t)op->window.kernel[0] * op->window.kernel[1] * (channels / op->window.groups);
}

int64_t bli_flow_reuse(const bli_flow *f, const bli_flow_plan *plan)
{
    const bli_prim_op *op = plan->group->ops[0];
    if (f->reuse <= 1 || (op->kind != BLI_PRIM_DENSE && op->kind != BLI_PRIM_CONV))
        return 1;
    return bli_reuse_of_layer(f->job->ctx, plan->group->out->layer, terms_of(f, op), op->channels, f->reuse);
}

/* The element of what a step holds that term k of output c meets. */
static int64_t tap_of(const bli_flow *f, const bli_prim_op *op, int64_t c, int64_t k)
{
    if (op->kind == BLI_PRIM_DENSE || op->window.groups == 1)
        return k;
    int64_t channels = last_of(&f->p->wires[op->in[0]]), per = channels / op->window.groups;
    return k / per * channels + c / (op->channels / op->window.groups) * per + k % per;
}

static int64_t weight_of(const bli_flow_mac *m, const bli_prim_op *op, int64_t c, int64_t k)
{
    return op->kind == BLI_PRIM_DENSE ? op->weight[k * m->outputs + c] : op->weight[c * m->terms + k];
}

/* Multipliers that take the same elements in the same order share one selection. */
static void select_for(bli_flow_mac *m, int64_t i, int64_t *sequence)
{
    size_t size = (size_t)m->reuse * sizeof *sequence;
    int64_t s = 0;
    while (s < m->selects && memcmp(m->tap + s * m->reuse, sequence, size) != 0)
        s++;
    if (s == m->selects)
        memcpy(m->tap + m->selects++ * m->reuse, sequence, size);
    m->select[i] = s;
}

static void fill(const bli_flow *f, const bli_prim_op *op, bli_flow_mac *m, int64_t *sequence)
{
    const int64_t first = weight_of(m, op, 0, 0);
    bli_reach all = {first, first};
    for (int64_t i = 0; i < m->multipliers; i++) {
        for (int64_t t = 0; t < m->reuse; t++) {
            int64_t n = t + m->reuse * i, c = n / m->terms, k = n % m->terms, w = weight_of(m, op, c, k);
            sequence[t] = tap_of(f, op, c, k);
            m->weight[t * m->multipliers + i] = w;
            all = bli_reach_join(all, (bli_reach){w, w});
        }
        select_for(m, i, sequence);
    }
    m->weight_bits = bli_reach_bits(all);
}

bl_status bli_flow_mac_make(const bli_flow *f, const bli_flow_plan *plan, int64_t reuse, bli_flow_mac *out)
{
    const bli_prim_op *op = plan->group->ops[0];
    bli_flow_mac m = {.outputs = op->channels, .terms = terms_of(f, op), .reuse = reuse};
    m.slots = m.reuse > m.terms ? m.reuse / m.terms : 1;
    m.steps = m.reuse / m.slots;
    m.multipliers = m.outputs * m.terms / m.reuse;
    m.sums = m.outputs / m.slots;
    size_t weights = (size_t)(m.outputs * m.terms);
    int64_t *sequence = bli_arena_array(f->arena, (size_t)m.reuse, sizeof *sequence);
    m.weight = bli_arena_array(f->arena, weights, sizeof *m.weight);
    m.select = bli_arena_array(f->arena, (size_t)m.multipliers, sizeof *m.select);
    m.tap = bli_arena_array(f->arena, weights, sizeof *m.tap);
    if (!sequence || !m.weight || !m.select || !m.tap)
        return BL_NO_MEMORY;
    fill(f, op, &m, sequence);
    *out = m;
    return BL_OK;
}
