/* executor.c: the public door: workspaces for each thread, batches in chunks.
 *
 * A run hands chunks of samples to threads by number: thread t takes chunks t, t + threads, ...  A batch that is not
 * worth waking a thread for runs on the caller alone.  Nothing is allocated after creation.
 */
#include <string.h>

#include "base/context.h"
#include "base/team.h"
#include "exec/exec.h"

struct bl_executor {
    bl_context *ctx;
    const bli_program *program;
    bli_exec_plan *plan;
    bli_team *team;
    int threads;
    char *memory; /* of all threads */
    size_t each;  /* bytes of one's */
};

/* One batch, as every thread sees it. */
typedef struct batch {
    const bl_executor *e;
    const float *const *real_in;
    const int64_t *const *code_in;
    void *const *real_out;
    int64_t *const *code_out;
    int64_t *const *wires;
    int64_t rows, chunk;
    bl_status status[64]; /* of threads, the first of which is reported */
} batch;

enum { MOST_THREADS = 64 };

/* ---- creation
 * --------------------------------------------------------------------------------------------------------- */

static bl_status choose_isa(bl_context *ctx, const char *name, bli_isa *out)
{
    *out = bli_cpu_isa();
    if (name == NULL)
        return BL_OK;
    for (bli_isa i = BLI_ISA_GENERIC; i < BLI_ISA_COUNT; i++) {
        if (strcmp(name, bli_isa_name(i)) != 0)
            continue;
        if (i > *out || strcmp(bli_exec_kernels_get(i)->name, name) != 0)
            return bli_fail(ctx, BL_UNSUPPORTED, "instruction set '%s': this machine has not got it", name);
        *out = i;
        return BL_OK;
    }
    return bli_fail(ctx, BL_NOT_FOUND, "instruction set '%s': expected generic, avx2 or avx512", name);
}

static size_t rounded(size_t v)
{
    return (v + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN + BLI_ALIGN;
}

/* Between codes of 64 bits and places one sample passes through scratch. */
static size_t scratch_of(const bli_exec_plan *plan)
{
    size_t most = plan->scratch_bytes;
    for (int i = 0; i < plan->program->num_wires; i++) {
        const size_t need = (size_t)plan->program->wires[i].count * sizeof(int64_t) + BLI_SLACK;
        most = need > most ? need : most;
    }
    return most;
}

static bl_status make_memory(bl_executor *e)
{
    const bli_exec_plan *plan = e->plan;
    size_t all;
    e->each = rounded(plan->work_bytes) + rounded(scratch_of(plan)) + rounded(plan->own_bytes);
    if (!bli_mul_size(e->each, (size_t)e->threads, &all))
        return bli_fail(e->ctx, BL_LIMIT, "a workspace of more bytes than there are addresses");
    e->memory = bli_alloc(e->ctx, all);
    if (e->memory == NULL)
        return BL_NO_MEMORY;
    for (int t = 0; t < e->threads; t++)
        for (int k = 0; k < plan->num_steps; k++)
            if (plan->steps[k].bordered)
                bli_product_border(&plan->steps[k], e->memory + (size_t)t * e->each + rounded(plan->work_bytes) +
                                                        rounded(scratch_of(plan)));
    return BL_OK;
}

static bl_status fill(bl_executor *e, const bl_executor_options *o)
{
    bli_isa isa;
    BLI_TRY(choose_isa(e->ctx, o->isa, &isa));
    e->threads = o->threads > 0 ? o->threads : bl_context_threads(e->ctx);
    e->threads = e->threads < 1 ? bli_cpu_count() : e->threads;
    e->threads = e->threads > MOST_THREADS ? MOST_THREADS : e->threads;
    BLI_TRY(bli_exec_plan_create(e->ctx, e->program, isa, o->trace, &e->plan));
    if (e->threads > 1)
        BLI_TRY(bli_team_create(e->ctx, e->threads, &e->team));
    return make_memory(e);
}

bl_status bl_executor_create(bl_context *ctx, const bl_program *p, const bl_executor_options *o, bl_executor **out)
{
    static const bl_executor_options defaults;
    *out = NULL;
    bl_executor *e = bli_alloc(ctx, sizeof *e);
    if (e == NULL)
        return BL_NO_MEMORY;
    *e = (bl_executor){.ctx = ctx, .program = p};
    bl_status s = fill(e, o != NULL ? o : &defaults);
    if (s == BL_OK)
        *out = e;
    else
        bl_executor_destroy(e);
    return s;
}

void bl_executor_destroy(bl_executor *e)
{
    if (e == NULL)
        return;
    bli_team_destroy(e->team);
    bli_exec_plan_destroy(e->plan);
    bli_free(e->ctx, e->memory);
    bli_free(e->ctx, e);
}

const char *bl_executor_isa(const bl_executor *e)
{
    return e->plan->kernels->name;
}

int bl_executor_plain_ops(const bl_executor *e)
{
    int plain = 0;
    for (int k = 0; k < e->plan->num_steps; k++)
        plain += e->plan->steps[k].plain;
    return plain;
}

/* ---- a chunk
 * ------------------------------------------------------------------------------------------------------------ */

static bl_status check_code(const bli_program *p, int input, int64_t code, int64_t element)
{
    const bli_span s = bli_wire_span(&p->wires[input], element);
    if (code >= s.low && code <= s.high && (code != 0 || p->inputs[input].format.kind != BL_FORMAT_BINARY))
        return BL_OK;
    return bli_fail(p->ctx, BL_BAD_VALUE, "input '%s': code %lld of element %lld, expected %lld .. %lld",
                    p->inputs[input].name, (long long)code, (long long)element, (long long)s.low, (long long)s.high);
}

static bl_status take_codes(const bli_exec_plan *plan, const bli_run *r, int input, const int64_t *x)
{
    const bli_place *p = &plan->places[input];
    for (int64_t i = 0; i < r->samples; i++, x += p->count) {
        for (int64_t k = 0; k < p->count; k++)
            BLI_TRY(check_code(plan->program, input, x[k], k));
        bli_place_store(plan->kernels, p, x, bli_place_at(p, r, i));
    }
    return BL_OK;
}

static void give_codes(const bli_exec_plan *plan, const bli_run *r, int wire, int64_t *y)
{
    const bli_place *p = &plan->places[wire];
    for (int64_t i = 0; i < r->samples; i++)
        bli_place_load(plan->kernels, p, bli_place_at(p, r, i), y + i * p->count);
}

static bl_status run_chunk(const batch *b, bli_run *r, int64_t first)
{
    const bli_exec_plan *plan = r->plan;
    const bli_program *p = plan->program;
    for (int i = 0; i < p->num_inputs; i++)
        if (b->real_in != NULL)
            BLI_TRY(bli_encode_run(plan, r, i, b->real_in[i] + first * p->wires[i].count));
        else
            BLI_TRY(take_codes(plan, r, i, b->code_in[i] + first * p->wires[i].count));
    for (int k = 0; k < plan->num_steps; k++)
        plan->steps[k].run(&plan->steps[k], r);
    for (int i = 0; i < p->num_outputs; i++) {
        const int64_t count = p->wires[p->outputs[i].wire].count;
        const size_t size = p->outputs[i].wide ? sizeof(double) : sizeof(float);
        if (b->real_out != NULL)
            bli_decode_run(plan, r, i, (char *)b->real_out[i] + (size_t)(first * count) * size);
        if (b->code_out != NULL)
            give_codes(plan, r, p->outputs[i].wire, b->code_out[i] + first * count);
    }
    for (int i = 0; b->wires != NULL && i < p->num_wires; i++)
        give_codes(plan, r, i, b->wires[i] + first * p->wires[i].count);
    return BL_OK;
}

/* ---- a batch
 * ------------------------------------------------------------------------------------------------------------ */

static void run_member(void *arg, int member, int members)
{
    batch *b = arg;
    const bl_executor *e = b->e;
    const bli_exec_plan *plan = e->plan;
    char *memory = e->memory + (size_t)member * e->each;
    bli_run r = {.plan = plan,
                 .work = memory,
                 .scratch = memory + rounded(plan->work_bytes),
                 .own = memory + rounded(plan->work_bytes) + rounded(scratch_of(plan))};
    bl_status s = BL_OK;
    for (int64_t first = member * b->chunk; s == BL_OK && first < b->rows; first += members * b->chunk) {
        r.samples = b->rows - first < b->chunk ? b->rows - first : b->chunk;
        s = run_chunk(b, &r, first);
    }
    b->status[member] = s;
}

enum { WORTH_A_THREAD = 4000000 }; /* products and the like: some twenty microseconds */

static bl_status run_batch(bl_executor *e, batch *b)
{
    if (b->rows < 0)
        return bli_fail(e->ctx, BL_USAGE, "%lld rows", (long long)b->rows);
    const int64_t share = (b->rows + e->threads - 1) / e->threads;
    const bool alone = e->threads == 1 || b->rows < 2 || (double)b->rows * e->plan->cost < WORTH_A_THREAD;
    b->e = e;
    b->chunk = alone || share > e->plan->chunk ? e->plan->chunk : share;
    memset(b->status, 0, sizeof b->status);
    if (alone)
        run_member(b, 0, 1);
    else
        bli_team_run(e->team, run_member, b);
    for (int t = 0; t < e->threads; t++)
        BLI_TRY(b->status[t]);
    return BL_OK;
}

bl_status bl_executor_run(bl_executor *e, const float *const *x, int64_t rows, void *const *y)
{
    batch b = {.real_in = x, .real_out = y, .rows = rows};
    return run_batch(e, &b);
}

bl_status bl_executor_run_codes(bl_executor *e, const int64_t *const *x, int64_t rows, int64_t *const *y)
{
    batch b = {.code_in = x, .code_out = y, .rows = rows};
    return run_batch(e, &b);
}

static bl_status check_trace(const bl_executor *e)
{
    return e->plan->trace ? BL_OK : bli_fail(e->ctx, BL_USAGE, "this executor was not created to trace");
}

bl_status bl_executor_trace(bl_executor *e, const float *const *x, int64_t rows, int64_t *const *wires)
{
    BLI_TRY(check_trace(e));
    batch b = {.real_in = x, .wires = wires, .rows = rows};
    return run_batch(e, &b);
}

bl_status bl_executor_trace_codes(bl_executor *e, const int64_t *const *x, int64_t rows, int64_t *const *wires)
{
    BLI_TRY(check_trace(e));
    batch b = {.code_in = x, .wires = wires, .rows = rows};
    return run_batch(e, &b);
}
