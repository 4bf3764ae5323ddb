/* runner.c: bl_runner, a graph run forward in evaluation mode (run/form.h) over blocks of rows.
 *
 * The same kernels as in training, on slices spread over a team.  With a trace, every batched value is kept whole and
 * handed out in the order of computation.
 */
#include <stdatomic.h>
#include <string.h>

#include "bitlathe/run.h"
#include "run/form.h"
#include "run/layout.h"

enum { SLICE_ROWS = 64 };

struct bl_runner {
    bl_context *ctx;
    bl_graph *graph; /* as it was given */
    bli_plan *plan;
    bli_team *team;
    bl_dtype real;
    bl_trace_fn trace;
    void *trace_user;
    /* of the block being run */
    const bl_tensor *x;
    bl_tensor *y;
    int64_t first, rows;
    atomic_int next;
    _Atomic bl_status status;
};

/* A trace (all_global) has every value of the graph; the carrier is that of the plain run. */
static bl_status make_plan(bl_runner *r, int64_t max_rows, bool all_global)
{
    bl_graph *form;
    const bli_plan_options o = {.rows = max_rows,
                                .slices = (int)((max_rows + SLICE_ROWS - 1) / SLICE_ROWS),
                                .threads = bl_context_threads(r->ctx),
                                .all_global = all_global};
    BLI_TRY(bli_evaluation_form(r->graph, all_global, &form));
    bl_status s = all_global ? BL_OK : bli_choose_carrier(r->ctx, form, &r->real);
    if (s == BL_OK)
        s = bli_plan_create(r->ctx, form, r->real, &o, &r->plan);
    bl_graph_destroy(form);
    BLI_TRY(s);
    BLI_TRY(bli_plan_layout(r->plan));
    const bli_place at = {.batch_rows = max_rows};
    BLI_TRY(bli_plan_forward_whole(r->plan, &at));
    for (int i = 0; i < r->plan->num_steps; i++)
        BLI_TRY(bli_plan_prepare(r->plan, i, &at));
    return BL_OK;
}

bl_status bl_runner_create(bl_context *ctx, const bl_graph *g, int64_t max_rows, bl_runner **out)
{
    *out = NULL;
    if (bl_graph_num_inputs(g) != 1 || bl_graph_num_outputs(g) != 1)
        return bli_fail(ctx, BL_UNSUPPORTED, "a model to run must have one input and one output, this has %d and %d",
                        bl_graph_num_inputs(g), bl_graph_num_outputs(g));
    if (max_rows < 1)
        max_rows = 1;
    bl_runner *r = bli_alloc(ctx, sizeof *r);
    if (!r)
        return BL_NO_MEMORY;
    r->ctx = ctx;
    bl_status s = bl_graph_clone(g, &r->graph);
    if (s == BL_OK)
        s = make_plan(r, max_rows, false);
    if (s == BL_OK)
        s = bli_team_create(ctx, bl_context_threads(ctx), &r->team);
    if (s != BL_OK) {
        bl_runner_destroy(r);
        return s;
    }
    *out = r;
    return BL_OK;
}

void bl_runner_destroy(bl_runner *r)
{
    if (!r)
        return;
    bl_context *ctx = r->ctx;
    bli_team_destroy(r->team);
    bli_plan_destroy(r->plan);
    bl_graph_destroy(r->graph);
    bli_free(ctx, r);
}

void bl_runner_trace(bl_runner *r, bl_trace_fn fn, void *user)
{
    r->trace = fn;
    r->trace_user = user;
}

static bl_status run_slice(bl_runner *r, int slice, int thread)
{
    const bli_plan *p = r->plan;
    bli_place at = {.thread = thread, .batch_rows = r->rows};
    bli_plan_slice(p, r->rows, slice, &at.first_row, &at.rows);
    if (at.rows == 0)
        return BL_OK;
    const int in = bl_graph_input(p->graph, 0), out = bl_graph_output(p->graph, 0);
    const size_t from = (size_t)(r->first + at.first_row);
    const size_t ni = p->values[in].elements, no = p->values[out].elements;
    bl_tensor t = bli_plan_tensor(p, in, &at);
    bli_convert(t.type, t.data, r->x->type, (const char *)r->x->data + from * ni * bl_dtype_size(r->x->type),
                ni * (size_t)at.rows);
    for (int i = 0; i < p->num_steps; i++)
        BLI_TRY(bli_plan_forward(p, i, &at, NULL));
    t = bli_plan_tensor(p, out, &at);
    bli_convert(r->y->type, (char *)r->y->data + from * no * bl_dtype_size(r->y->type), t.type, t.data,
                no * (size_t)at.rows);
    return BL_OK;
}

static void run_member(void *arg, int member, int members)
{
    bl_runner *r = arg;
    (void)members;
    for (;;) {
        const int s = atomic_fetch_add(&r->next, 1);
        if (s >= r->plan->opt.slices)
            return;
        const bl_status status = run_slice(r, s, member);
        if (status != BL_OK)
            atomic_store(&r->status, status);
    }
}

static bl_status trace_values(bl_runner *r)
{
    const bli_plan *p = r->plan;
    const bli_place at = {.rows = r->rows, .batch_rows = r->rows};
    for (int v = 0; v < p->num_values; v++) {
        const bl_value *g = bl_graph_value(p->graph, v);
        const bl_tensor t = bli_plan_tensor(p, v, &at);
        if (g->role == BL_ROLE_INPUT || g->role == BL_ROLE_COMPUTED)
            BLI_TRY(r->trace(r->trace_user, g->name, &t));
    }
    return BL_OK;
}

static bl_status run_blocks(bl_runner *r)
{
    const int64_t all = r->x->shape.dim[0], block = r->plan->opt.rows;
    for (r->first = 0; r->first < all; r->first += block) {
        r->rows = all - r->first < block ? all - r->first : block;
        atomic_store(&r->next, 0);
        atomic_store(&r->status, BL_OK);
        bli_team_run(r->team, run_member, r);
        BLI_TRY(atomic_load(&r->status));
        if (r->trace)
            BLI_TRY(trace_values(r));
    }
    return BL_OK;
}

static bl_status check_input(bl_runner *r, const bl_tensor *x)
{
    const bl_value *g = bl_graph_value(r->plan->graph, bl_graph_input(r->plan->graph, 0));
    const int64_t n = bl_shape_count(&x->shape);
    const int64_t row = (int64_t)r->plan->values[bl_graph_input(r->plan->graph, 0)].elements;
    if (x->shape.rank < 1 || n != x->shape.dim[0] * row) {
        char want[128], got[128];
        bl_shape_print(&g->shape, want, sizeof want);
        bl_shape_print(&x->shape, got, sizeof got);
        return bli_fail(r->ctx, BL_BAD_VALUE, "input '%s' has shape %s, the data has %s", g->name, want, got);
    }
    return BL_OK;
}

/* A trace wants every value whole and apart: a second plan, made on demand for this many rows. */
static bl_status plan_for_trace(bl_runner *r, int64_t rows)
{
    if (r->plan->opt.all_global && r->plan->opt.rows >= rows)
        return BL_OK;
    bli_plan *old = r->plan;
    const bl_status s = make_plan(r, rows < 1 ? 1 : rows, true);
    if (s != BL_OK) {
        bli_plan_destroy(r->plan == old ? NULL : r->plan);
        r->plan = old;
        return s;
    }
    bli_plan_destroy(old);
    return BL_OK;
}

bl_status bl_runner_run(bl_runner *r, const bl_tensor *x, bl_tensor *y)
{
    *y = (bl_tensor){0};
    BLI_TRY(check_input(r, x));
    if (r->trace)
        BLI_TRY(plan_for_trace(r, x->shape.dim[0]));
    const bl_value *g = bl_graph_value(r->plan->graph, bl_graph_output(r->plan->graph, 0));
    bl_shape shape = g->shape;
    shape.dim[0] = x->shape.dim[0];
    BLI_TRY(bl_tensor_create(r->ctx, g->type == BL_F64 ? BL_F64 : BL_F32, &shape, y));
    r->x = x;
    r->y = y;
    const bl_status s = run_blocks(r);
    if (s != BL_OK)
        bl_tensor_free(r->ctx, y);
    return s;
}
