/* step_move.c: RESHAPE and CONST, which do nothing, and any other op by the plain loop of its rule. */
#include <string.h>

#include "exec/exec.h"

static void run_nothing(const bli_step *s, const bli_run *r)
{
    (void)s;
    (void)r;
}

bl_status bli_step_move(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_prim kind = plan->program->ops[i].kind;
    *made = kind == BLI_PRIM_RESHAPE || kind == BLI_PRIM_CONST;
    step->run = run_nothing;
    step->out = &plan->places[i];
    *last = i;
    return BL_OK;
}

/* Inputs and result as 64-bit codes, one behind the other in scratch. */
static void run_plain(const bli_step *s, const bli_run *r)
{
    const bli_exec_plan *plan = r->plan;
    const bli_prim_op *op = s->op;
    for (int64_t i = 0; i < r->samples; i++) {
        int64_t *codes = (int64_t *)(void *)r->scratch;
        bli_work w = {.op = op, .out = &plan->program->wires[op->out]};
        for (int k = 0; k < op->num_in; k++) {
            const bli_place *in = &plan->places[op->in[k]];
            bli_place_load(plan->kernels, in, bli_place_at(in, r, i), codes);
            w.in[k] = &plan->program->wires[op->in[k]];
            w.x[k] = codes;
            codes += in->count;
        }
        w.y = codes;
        bli_prim_rules[op->kind]->interpret(&w);
        bli_place_store(plan->kernels, s->out, codes, bli_place_at(s->out, r, i));
    }
}

bl_status bli_step_plain(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_program *p = plan->program;
    *made = true;
    *last = i;
    step->run = run_plain;
    step->plain = true;
    step->out = &plan->places[i];
    int64_t codes = p->wires[i].count;
    for (int k = 0; k < p->ops[i].num_in; k++)
        codes += p->wires[p->ops[i].in[k]].count;
    const size_t need = (size_t)codes * sizeof(int64_t) + BLI_SLACK;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    plan->cost += (double)codes * 20;
    return BL_OK;
}
