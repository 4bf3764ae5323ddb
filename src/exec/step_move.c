/* step_move.c: RESHAPE and CONST, which do nothing; GATHER and CONCAT, which copy; any other op by the plain loop of
 * its rule. */
#include <string.h>

#include "exec/exec.h"

static void run_nothing(const bli_step *s, const bli_run *r)
{
    (void)s;
    (void)r;
}

/* ---- GATHER and CONCAT between places alike
 * --------------------------------------------------------------------------- */

#define GATHER(name, type)                                                                                             \
    static void name(const bli_prim_op *op, const void *x, int64_t n, int64_t fill, void *y)                           \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((type *)y)[i] = op->index[i] < 0 ? (type)fill : ((const type *)x)[op->index[i]];                          \
    }
GATHER(gather_8, uint8_t)
GATHER(gather_16, int16_t)
GATHER(gather_32, int32_t)
GATHER(gather_64, int64_t)

static void run_gather(const bli_step *s, const bli_run *r)
{
    static void (*const loops[])(const bli_prim_op *, const void *, int64_t, int64_t, void *) = {gather_8, gather_16,
                                                                                                 gather_32, gather_64};
    const int64_t fill = s->op->fill - (s->out->store == BLI_STORE_8 ? s->out->bias : 0);
    for (int64_t i = 0; i < r->samples; i++)
        loops[s->out->store](s->op, bli_place_at(s->in[0], r, i), s->out->count, fill, bli_place_at(s->out, r, i));
}

/* Bytes of an input that lie together in the result. */
static size_t block_bytes(const bli_exec_plan *plan, int wire, int axis)
{
    const bl_shape *shape = &plan->program->wires[wire].shape;
    int64_t n = 1;
    for (int d = axis; d < shape->rank; d++)
        n *= shape->dim[d];
    return (size_t)n << plan->places[wire].store;
}

static void run_concat(const bli_step *s, const bli_run *r)
{
    const bli_prim_op *op = s->op;
    const size_t row = block_bytes(r->plan, op->out, op->axis);
    for (int64_t i = 0; i < r->samples; i++) {
        char *y = bli_place_at(s->out, r, i), *end = y + s->out->stride;
        for (int k = 0; k < op->num_in; k++) {
            const size_t block = block_bytes(r->plan, op->in[k], op->axis);
            const char *x = bli_place_at(&r->plan->places[op->in[k]], r, i);
            for (char *to = y; to < end && block > 0; to += row, x += block)
                memcpy(to, x, block);
            y += block;
        }
    }
}

static bool alike(const bli_place *a, const bli_place *b)
{
    return a->store != BLI_STORE_BITS && a->store == b->store && (a->store != BLI_STORE_8 || a->bias == b->bias);
}

bl_status bli_step_copy(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_prim_op *op = &plan->program->ops[i];
    step->out = &plan->places[i];
    *last = i;
    *made = (op->kind == BLI_PRIM_GATHER || op->kind == BLI_PRIM_CONCAT) && plan->program->wires[i].count > 0;
    for (int k = 0; *made && k < op->num_in; k++)
        *made = alike(&plan->places[op->in[k]], step->out);
    if (!*made)
        return BL_OK;
    step->in[0] = &plan->places[op->in[0]];
    step->run = op->kind == BLI_PRIM_GATHER ? run_gather : run_concat;
    plan->cost += (double)plan->program->wires[i].count * 2;
    return BL_OK;
}

/* ---- RESHAPE, CONST, the rest
 * ------------------------------------------------------------------------------------------ */

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
