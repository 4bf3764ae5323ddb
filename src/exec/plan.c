/* plan.c: a program's ops become steps, each by the first maker that takes it, and places get their memory. */
#include "exec/exec.h"

static const bli_step_maker makers[] = {bli_step_move, bli_step_product, bli_step_element,
                                        bli_step_pool, bli_step_copy,    bli_step_plain};

/* The op, and the ops that its step swallows, are done. */
static bl_status make_step(bli_exec_plan *plan, int i, bool *done)
{
    bli_step *step = &plan->steps[plan->num_steps];
    int last = i;
    bool made = false;
    for (size_t k = 0; k < BLI_COUNT(makers) && !made; k++) {
        *step = (bli_step){.op = &plan->program->ops[i]};
        BLI_TRY(makers[k](plan, i, step, &last, &made));
    }
    plan->num_steps++;
    for (int op = i; op != last;) {
        plan->places[op].kept = false;
        int next = op + 1;
        while (plan->program->ops[next].num_in < 1 || plan->program->ops[next].in[0] != op)
            next++;
        done[next] = true;
        op = next;
    }
    done[i] = true;
    return BL_OK;
}

static void touch(bli_exec_plan *plan, int wire, int step)
{
    bli_place *p = &plan->places[plan->places[wire].root];
    p->from = p->from < 0 || step < p->from ? step : p->from;
    p->to = step > p->to ? step : p->to;
}

/* When each place begins and ends to hold something.  Inputs are there before the first step, outputs after the last.
 */
static void find_lives(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    for (int i = 0; i < p->num_inputs; i++)
        touch(plan, i, 0);
    for (int k = 0; k < plan->num_steps; k++) {
        const bli_step *s = &plan->steps[k];
        for (int j = 0; j < s->op->num_in; j++)
            touch(plan, s->op->in[j], k + 1);
        touch(plan, (int)(s->out - plan->places), k + 1);
    }
    for (int i = 0; i < p->num_wires; i++)
        if (plan->trace && plan->places[i].kept)
            touch(plan, i, plan->num_steps + 1);
    for (int i = 0; i < p->num_outputs; i++)
        touch(plan, p->outputs[i].wire, plan->num_steps + 1);
}

enum { CHUNK_BYTES = 192 << 10, CHUNK_MORE = 4, CHUNK_MOST = 96, CHUNK_UNIT = 24 };

/* So many samples that what lies between two steps stays in a core's own cache; more where the constants do not stay
 * there, and come once a chunk. */
static int64_t chunk_for(const bli_exec_plan *plan)
{
    size_t most = 1;
    for (int k = 0; k < plan->num_steps; k++) {
        const bli_step *s = &plan->steps[k];
        size_t bytes = s->out->stride;
        for (int j = 0; j < s->op->num_in; j++)
            bytes += plan->places[s->op->in[j]].stride;
        most = bytes > most ? bytes : most;
    }
    const bool much = plan->num_constants >= BLI_MANY_CONSTANTS;
    const int64_t limit = much ? BLI_CHUNK_MOST : CHUNK_MOST;
    int64_t chunk = (int64_t)((much ? CHUNK_MORE * CHUNK_BYTES : CHUNK_BYTES) / most);
    chunk = chunk > limit ? limit : chunk;
    return chunk >= CHUNK_UNIT ? chunk / CHUNK_UNIT * CHUNK_UNIT : chunk > 4 ? chunk / 4 * 4 : chunk < 1 ? 1 : chunk;
}

static bl_status fill(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    bool *done = bli_arena_array(plan->arena, (size_t)p->num_ops, sizeof *done);
    plan->places = bli_arena_array(plan->arena, (size_t)p->num_wires, sizeof *plan->places);
    plan->steps = bli_arena_array(plan->arena, (size_t)p->num_ops, sizeof *plan->steps);
    if (done == NULL || plan->places == NULL || plan->steps == NULL)
        return BL_NO_MEMORY;
    plan->num_constants = bli_product_constants(p);
    BLI_TRY(bli_places_choose(plan));
    BLI_TRY(bli_encode_plan(plan));
    BLI_TRY(bli_decode_plan(plan));
    for (int i = p->num_inputs; i < p->num_ops; i++)
        if (!done[i])
            BLI_TRY(make_step(plan, i, done));
    find_lives(plan);
    plan->chunk = chunk_for(plan);
    return bli_places_arrange(plan);
}

bl_status bli_exec_plan_create(bl_context *ctx, const bli_program *p, const bli_exec_kernels *kernels,
                               const bl_executor_options *o, bli_exec_plan **out)
{
    *out = NULL;
    bli_arena *arena;
    BLI_TRY(bli_arena_create(ctx, &arena));
    bli_exec_plan *plan = bli_arena_alloc(arena, sizeof *plan);
    bl_status s = plan != NULL ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK) {
        *plan = (bli_exec_plan){
            .program = p, .kernels = kernels, .isa = kernels->isa, .trace = o->trace, .pack = o->pack, .arena = arena};
        s = fill(plan);
    }
    if (s == BL_OK)
        *out = plan;
    else
        bli_arena_destroy(arena);
    return s;
}

void bli_exec_plan_destroy(bli_exec_plan *plan)
{
    if (plan != NULL)
        bli_arena_destroy(plan->arena);
}
