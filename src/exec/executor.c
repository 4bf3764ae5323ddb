/* executor.c: the public door: workspaces for each thread, batches in chunks.
 *
 * Each thread has its share of a batch, whose pieces a counter hands out: first to itself, at last to those that are
 * done with theirs, so that all end together and most find in their cache what they found before.  A batch that is not
 * worth waking a thread for runs on the caller alone, unless others came just before it, so that threads are still
 * awake. Nothing is allocated after creation.
 */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/context.h"
#include "base/team.h"
#include "exec/exec.h"

enum { MOST_THREADS = 64 };

/* A thread's part of a batch: rows from next to end are nobody's yet. */
typedef struct share {
    _Alignas(BLI_ALIGN) atomic_llong next;
    int64_t end;
    bl_status status; /* of the thread whose share it is */
} share;

struct bl_executor {
    bl_context *ctx;
    const bli_program *program;
    bli_exec_plan *plan;
    bli_team *team;
    int threads;
    char *memory; /* of all threads */
    size_t each;  /* bytes of one's */
    int64_t last; /* when a batch ended, in nanoseconds */
    share shares[MOST_THREADS];
};

/* One batch, as every thread sees it. */
typedef struct batch {
    bl_executor *e;
    const float *const *real_in;
    const int64_t *const *code_in;
    void *const *real_out;
    int64_t *const *code_out;
    int64_t *const *wires;
    int64_t rows, piece;
} batch;

/* ---- creation
 * --------------------------------------------------------------------------------------------------------- */

static bl_status choose_kernels(bl_context *ctx, const char *name, const bli_exec_kernels **out)
{
    bool known = true;
    *out = NULL;
    if (name == NULL) /* the widest */
        for (int i = 0; bli_exec_kernels_at(i) != NULL; i++)
            *out = bli_exec_kernels_at(i);
    else
        *out = bli_exec_kernels_named(name, &known);
    if (!known)
        return bli_fail(ctx, BL_NOT_FOUND, "instruction set '%s': expected generic, avx2, avx512, amx, neon or dotprod",
                        name);
    if (*out == NULL)
        return bli_fail(ctx, BL_UNSUPPORTED, "instruction set '%s': this machine has not got it", name);
    return BL_OK;
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
    const bli_exec_kernels *kernels;
    BLI_TRY(choose_kernels(e->ctx, o->isa, &kernels));
    e->threads = o->threads > 0 ? o->threads : bl_context_threads(e->ctx);
    e->threads = e->threads < 1 ? bli_cpu_count() : e->threads;
    e->threads = e->threads > MOST_THREADS ? MOST_THREADS : e->threads;
    BLI_TRY(bli_exec_plan_create(e->ctx, e->program, kernels, o, &e->plan));
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
    e->ctx = ctx; /* the rest is 0 */
    e->program = p;
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

bli_exec_plan *bli_executor_plan(bl_executor *e)
{
    return e->plan;
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

static bl_status run_share(const batch *b, share *of, bli_run *r)
{
    for (;;) {
        const int64_t first = atomic_fetch_add_explicit(&of->next, b->piece, memory_order_relaxed);
        if (first >= of->end)
            return BL_OK;
        r->samples = of->end - first < b->piece ? of->end - first : b->piece;
        BLI_TRY(run_chunk(b, r, first));
    }
}

static void run_member(void *arg, int member, int members)
{
    batch *b = arg;
    bl_executor *e = b->e;
    const bli_exec_plan *plan = e->plan;
    char *memory = e->memory + (size_t)member * e->each;
    bli_run r = {.plan = plan,
                 .work = memory,
                 .scratch = memory + rounded(plan->work_bytes),
                 .own = memory + rounded(plan->work_bytes) + rounded(scratch_of(plan))};
    bl_status s = BL_OK;
    for (int k = 0; k < members && s == BL_OK; k++)
        s = run_share(b, &e->shares[(member + k) % members], &r);
    e->shares[member].status = s;
}

/* Products and the like: what some twenty microseconds take, and some four. */
enum { WORTH_A_THREAD = 4000000, WORTH_AN_AWAKE_ONE = 600000, AWAKE = 30000, PIECES = 2, PIECE_UNIT = 16 };

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Threads that wait sleep after some tens of microseconds. */
static bool is_alone(bl_executor *e, const batch *b)
{
    const double cost = (double)b->rows * e->plan->cost;
    if (e->threads == 1 || b->rows < 2 || cost < WORTH_AN_AWAKE_ONE)
        return true;
    return cost < WORTH_A_THREAD && nanoseconds() - e->last > AWAKE;
}

/* Whole units each, where there are as many. */
static void share_out(bl_executor *e, batch *b, int threads)
{
    const int64_t unit = b->rows >= (int64_t)threads * PIECE_UNIT ? PIECE_UNIT : 1;
    const int64_t each = ((b->rows + threads - 1) / threads + unit - 1) / unit * unit;
    const int64_t piece = ((each + PIECES - 1) / PIECES + unit - 1) / unit * unit;
    b->piece = threads == 1 || piece > e->plan->chunk ? e->plan->chunk : piece;
    for (int t = 0; t < threads; t++) {
        atomic_init(&e->shares[t].next, t * each);
        e->shares[t].end = (t + 1) * each < b->rows ? (t + 1) * each : b->rows;
    }
}

static bl_status run_batch(bl_executor *e, batch *b)
{
    if (b->rows < 0)
        return bli_fail(e->ctx, BL_USAGE, "%lld rows", (long long)b->rows);
    const int threads = is_alone(e, b) ? 1 : e->threads;
    b->e = e;
    share_out(e, b, threads);
    if (threads == 1)
        run_member(b, 0, 1);
    else
        bli_team_run(e->team, run_member, b);
    if (e->threads > 1)
        e->last = nanoseconds();
    for (int t = 0; t < threads; t++)
        BLI_TRY(e->shares[t].status);
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
