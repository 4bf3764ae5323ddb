/* plan.c: analysis of a graph into whole and batched steps, and the calls that run them.
 *
 * The invariant: every batched value keeps the batch as its first dimension, and a batched step of n rows computes the
 * same bits for a row whatever slice it is in.
 */
#include "run/plan.h"

#include <limits.h>
#include <string.h>

#include "op/quantizer.h"
#include "run/layout.h"

static bool is_float(bl_dtype t)
{
    return t == BL_F32 || t == BL_F64;
}

/* Constants, parameters and states: a copy in the carrier, integers as they are. */
static bl_status load_whole(bli_plan *p, int v)
{
    const bl_value *g = bl_graph_value(p->graph, v);
    bli_pvalue *pv = &p->values[v];
    const int64_t n = bl_shape_count(&g->shape);
    if (n < 0)
        return bli_fail(p->ctx, BL_BAD_MODEL, "value '%s': shape is not fully known", g->name);
    pv->elements = (size_t)n;
    if (!is_float(g->type)) {
        pv->data = g->data;
        return BL_OK;
    }
    pv->data = bli_arena_array(p->arena, (size_t)n + 1, bl_dtype_size(p->real));
    if (!pv->data)
        return BL_NO_MEMORY;
    if (g->data)
        bli_convert(p->real, pv->data, g->type, g->data, (size_t)n);
    return BL_OK;
}

static bl_status check_batched(bli_plan *p, int v, const char *what)
{
    const bl_value *g = bl_graph_value(p->graph, v);
    bl_shape row = g->shape;
    if (row.rank < 1 || row.dim[0] >= 0)
        return bli_fail(p->ctx, BL_UNSUPPORTED,
                        "%s '%s': the first dimension must be the batch (not fixed), it is %lld", what, g->name,
                        row.rank < 1 ? -1LL : (long long)row.dim[0]);
    row.dim[0] = 1;
    const int64_t n = bl_shape_count(&row);
    if (n < 0)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "%s '%s': only the batch may be unknown", what, g->name);
    p->values[v].elements = (size_t)n;
    p->values[v].batched = true;
    return BL_OK;
}

static bl_status init_values(bli_plan *p)
{
    for (int v = 0; v < p->num_values; v++) {
        const bl_value *g = bl_graph_value(p->graph, v);
        p->values[v] = (bli_pvalue){.root = v,
                                    .storage = -1,
                                    .type = is_float(g->type) ? p->real : g->type,
                                    .shape = g->shape,
                                    .needs_grad = p->opt.training && g->role == BL_ROLE_PARAMETER && is_float(g->type)};
        if (g->role == BL_ROLE_INPUT)
            BLI_TRY(check_batched(p, v, "input"));
        else if (g->role != BL_ROLE_COMPUTED)
            BLI_TRY(load_whole(p, v));
    }
    return BL_OK;
}

int bli_plan_add_storage(bli_plan *p, size_t row_bytes, int first, int last, bool global)
{
    if (p->num_storages == p->max_storages) {
        const int most = p->max_storages ? 2 * p->max_storages : 64;
        bli_storage *s = bli_arena_array(p->arena, (size_t)most, sizeof *s);
        if (!s)
            return -1;
        if (p->num_storages)
            memcpy(s, p->storages, (size_t)p->num_storages * sizeof *s);
        p->storages = s;
        p->max_storages = most;
    }
    p->storages[p->num_storages] = (bli_storage){row_bytes, first, last, global, 0};
    return p->num_storages++;
}

static bl_status give_storage(bli_plan *p, int v, int time)
{
    bli_pvalue *pv = &p->values[v];
    const bool apart = p->opt.all_global;
    pv->storage = bli_plan_add_storage(p, pv->elements * bl_dtype_size(pv->type), apart ? 0 : time,
                                       apart ? INT_MAX : time, apart);
    return pv->storage < 0 ? BL_NO_MEMORY : BL_OK;
}

static void use_storage(bli_plan *p, int v, int time)
{
    const int st = v < 0 ? -1 : p->values[p->values[v].root].storage;
    if (st >= 0 && p->storages[st].last < time)
        p->storages[st].last = time;
}

static bl_status add_output(bli_plan *p, bli_pstep *s, int out, bool batched, int time)
{
    const bl_node *n = s->run;
    bli_pvalue *pv = &p->values[out];
    if (!batched) {
        BLI_TRY(load_whole(p, out));
        if (s->view)
            pv->data = p->values[n->inputs[0]].data;
        return BL_OK;
    }
    BLI_TRY(check_batched(p, out, "value"));
    if (s->view) {
        pv->root = p->values[n->inputs[0]].root;
        pv->storage = -1;
        return BL_OK;
    }
    return give_storage(p, out, time);
}

static bool is_node(const bl_node *n, const char *type, const char *domain)
{
    return strcmp(n->type, type) == 0 && strcmp(n->domain, domain) == 0;
}

/* What runs as one with its only user: the user's type, and the operator of both. */
static const struct {
    const bli_op *op; /* of the first; NULL: Relu */
    const char *user, *domain;
    const bli_op *both;
} fusions[] = {
    {NULL, "Quantize", BLI_DOMAIN_OWN, &bli_op_relu_quantize},
    {&bli_op_relu_quantize, "MaxPool", BLI_DOMAIN_LAST, &bli_op_relu_quantize_pool},
};

static const bli_op *fused_operator(const bl_node *n, const bli_op *op, const bl_node *user)
{
    for (size_t i = 0; i < BLI_COUNT(fusions); i++)
        if (is_node(user, fusions[i].user, fusions[i].domain) &&
            (fusions[i].op ? op == fusions[i].op : is_node(n, "Relu", BLI_DOMAIN_ONNX)))
            return fusions[i].both;
    return NULL;
}

/* The only user of a node's output, which nobody outside sees; NULL: none, or more. */
static const bl_node *only_user(const bli_plan *p, const bl_node *n, int *node)
{
    if (bli_graph_num_uses(p->graph, n->outputs[0]) != 1 || bli_graph_is_output(p->graph, n->outputs[0]))
        return NULL;
    *node = bli_graph_first_user(p->graph, n->outputs[0]);
    return bl_graph_node(p->graph, *node);
}

static bool has_one_input(const bl_node *n)
{
    for (int i = 1; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0)
            return false;
    return true;
}

/* Node `last` is to run as operator `both` on these inputs, unless its setup finds that it cannot. */
static bl_status run_as(bli_plan *p, int last, const bli_op *both, const int *inputs, int count, bool *fused)
{
    const bl_node *next = bl_graph_node(p->graph, last);
    const int num = count > next->num_inputs ? count : next->num_inputs;
    bl_node *run = bli_arena_alloc(p->arena, sizeof *run);
    int *copy = bli_arena_array(p->arena, (size_t)num, sizeof *copy);
    if (!run || !copy)
        return BL_NO_MEMORY;
    for (int i = 0; i < num; i++)
        copy[i] = i < count ? inputs[i] : -1;
    *run = *next;
    run->inputs = copy;
    run->num_inputs = num;
    const void *state = NULL;
    BLI_TRY(bli_within(p->ctx, both->setup(p->ctx, p->graph, run, p->arena, &state), "node '%s'", run->name));
    if (state)
        p->fused[last] = (bli_fusion){run, both, false};
    *fused = state != NULL;
    return BL_OK;
}

/* A bias: one row of as many numbers as the product has columns, no batch. */
static bool is_bias(const bli_plan *p, int v, int weight)
{
    const bl_shape *b = &bl_graph_value(p->graph, v)->shape, *w = &bl_graph_value(p->graph, weight)->shape;
    return w->rank == 2 && b->rank == 1 && b->dim[0] > 0 && b->dim[0] == w->dim[1];
}

/* MatMul, or MatMul and Add already run as one, into what follows. */
static bl_status fuse_dense(bli_plan *p, const bl_node *n, const bli_op *op, const bl_node *next, int user, bool *fused)
{
    int last = -1;
    if (op != &bli_op_dense_bias) {
        const bool adds = is_node(next, "Add", BLI_DOMAIN_ONNX) && next->inputs[0] == n->outputs[0] &&
                          !p->values[n->inputs[1]].batched && is_bias(p, next->inputs[1], n->inputs[1]);
        const int inputs[3] = {n->inputs[0], n->inputs[1], next->inputs[1]};
        return adds ? run_as(p, user, &bli_op_dense_bias, inputs, 3, fused) : BL_OK;
    }
    const bl_node *quantize = is_node(next, "Relu", BLI_DOMAIN_ONNX) ? only_user(p, next, &last) : NULL;
    if (!quantize || !is_node(quantize, "Quantize", BLI_DOMAIN_OWN) || !has_one_input(quantize))
        return BL_OK;
    BLI_TRY(run_as(p, last, &bli_op_dense_quantize, n->inputs, 3, fused));
    p->fused[user].inside = *fused;
    return BL_OK;
}

/* A node whose only user can do its work gets no step: the user will read the node's input. */
static bl_status fuse(bli_plan *p, const bl_node *n, const bli_op *op, bool *fused)
{
    int user = -1;
    if (p->opt.all_global || p->real != BL_F32 || n->num_inputs < 1 || n->inputs[0] < 0 ||
        !p->values[n->inputs[0]].batched)
        return BL_OK;
    const bl_node *next = only_user(p, n, &user);
    if (!next)
        return BL_OK;
    if (op == &bli_op_dense_bias || is_node(n, "MatMul", BLI_DOMAIN_ONNX))
        return p->opt.apart ? BL_OK : fuse_dense(p, n, op, next, user, fused);
    const bli_op *both = fused_operator(n, op, next);
    return both && has_one_input(next) ? run_as(p, user, both, n->inputs, 1, fused) : BL_OK;
}

static bl_status add_node(bli_plan *p, int node)
{
    const bli_fusion *f = &p->fused[node];
    const bl_node *n = f->run ? f->run : bl_graph_node(p->graph, node);
    const bli_op *op = f->run ? f->op : bli_op_find(n->type, n->domain);
    if (!op)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "node '%s': operator '%s' of domain '%s' cannot be run", n->name,
                        n->type, n->domain);
    bool batched = false, grad = false, fused = f->inside;
    if (fused)
        return BL_OK;
    BLI_TRY(fuse(p, n, op, &fused));
    for (int i = 0; !fused && i < n->num_inputs; i++) {
        if (n->inputs[i] < 0)
            continue;
        batched |= p->values[n->inputs[i]].batched;
        grad |= p->values[n->inputs[i]].needs_grad;
    }
    if (fused)
        return BL_OK;
    bli_pstep *s = batched ? &p->steps[p->num_steps++] : &p->whole_steps[p->num_whole_steps++];
    *s = (bli_pstep){.node = node, .run = n, .op = op, .view = (op->flags & BLI_OP_VIEW) != 0, .saved = -1};
    if (!s->view && !op->forward)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "node '%s': operator '%s' has no kernel for this layout", n->name,
                        n->type);
    if (s->view && batched && !p->values[n->inputs[0]].batched)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "node '%s': shape of a constant depends on the batch", n->name);
    const int time = p->num_steps; /* of batched step i: i + 1 */
    for (int o = 0; o < n->num_outputs; o++) {
        BLI_TRY(add_output(p, s, n->outputs[o], batched, time));
        p->values[n->outputs[o]].needs_grad = grad && (op->backward || s->view);
    }
    for (int i = 0; batched && i < n->num_inputs; i++)
        use_storage(p, n->inputs[i], time);
    return BL_OK;
}

static bl_status setup_steps(bli_plan *p, bli_pstep *steps, int count)
{
    for (int i = 0; i < count; i++) {
        const bl_node *n = steps[i].run;
        if (steps[i].op->setup)
            BLI_TRY(bli_within(p->ctx, steps[i].op->setup(p->ctx, p->graph, n, p->arena, &steps[i].state), "node '%s'",
                               n->name));
    }
    return BL_OK;
}

/* What forward leaves for backward. */
static bl_status give_saved(bli_plan *p)
{
    const bli_place at = {.rows = 1, .batch_rows = p->opt.rows, .training = true};
    for (int i = 0; p->opt.training && i < p->num_steps; i++) {
        bli_pstep *s = &p->steps[i];
        bli_call c;
        if (!s->op->saved)
            continue;
        bli_plan_call(p, s, &at, &c);
        if ((s->saved = bli_plan_add_storage(p, s->op->saved(&c), i + 1, i + 1, p->opt.all_global)) < 0)
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

/* Whole-batch statistics, from shapes alone. */
static void count_reductions(bli_plan *p)
{
    const bli_place at = {.rows = p->slice_rows, .batch_rows = p->opt.rows, .training = p->opt.training};
    for (int i = 0; i < p->num_steps; i++) {
        bli_pstep *s = &p->steps[i];
        bli_call c;
        if (!p->opt.training || !(s->op->flags & BLI_OP_WHOLE_BATCH) || !s->op->reduce_count)
            continue;
        bli_plan_call(p, s, &at, &c);
        s->reduce_count = s->op->reduce_count(&c);
    }
}

static bl_status analyse(bli_plan *p)
{
    p->slice_rows = (p->opt.rows + p->opt.slices - 1) / p->opt.slices;
    BLI_TRY(init_values(p));
    for (int i = 0; i < bl_graph_num_inputs(p->graph); i++)
        BLI_TRY(give_storage(p, bl_graph_input(p->graph, i), 0));
    const int nodes = bl_graph_num_nodes(p->graph);
    p->steps = bli_arena_array(p->arena, (size_t)nodes + 1, sizeof *p->steps);
    p->whole_steps = bli_arena_array(p->arena, (size_t)nodes + 1, sizeof *p->whole_steps);
    p->fused = bli_arena_array(p->arena, (size_t)nodes + 1, sizeof *p->fused);
    if (!p->steps || !p->whole_steps || !p->fused)
        return BL_NO_MEMORY;
    for (int i = 0; i < nodes; i++)
        BLI_TRY(add_node(p, i));
    for (int i = 0; i < bl_graph_num_outputs(p->graph); i++)
        use_storage(p, bl_graph_output(p->graph, i), p->num_steps + 1);
    BLI_TRY(setup_steps(p, p->steps, p->num_steps));
    BLI_TRY(setup_steps(p, p->whole_steps, p->num_whole_steps));
    BLI_TRY(give_saved(p));
    count_reductions(p);
    return bli_plan_find_wide(p);
}

bl_status bli_plan_create(bl_context *ctx, const bl_graph *g, bl_dtype real, const bli_plan_options *o, bli_plan **out)
{
    *out = NULL;
    bli_plan *p = bli_alloc(ctx, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    p->ctx = ctx;
    p->opt = *o;
    p->real = real;
    p->isa = bli_cpu_isa();
    bl_status s = bli_arena_create(ctx, &p->arena);
    if (s == BL_OK)
        s = bl_graph_clone(g, &p->graph);
    if (s == BL_OK)
        s = bl_graph_infer(p->graph);
    if (s == BL_OK) {
        p->num_values = bl_graph_num_values(p->graph);
        p->values = bli_arena_array(p->arena, (size_t)p->num_values + 1, sizeof *p->values);
        s = p->values ? analyse(p) : BL_NO_MEMORY;
    }
    if (s != BL_OK) {
        bli_plan_destroy(p);
        return s;
    }
    *out = p;
    return BL_OK;
}

void bli_plan_destroy(bli_plan *p)
{
    if (!p)
        return;
    bl_context *ctx = p->ctx;
    bl_graph_destroy(p->graph);
    bli_arena_destroy(p->arena);
    bli_free(ctx, p);
}

void bli_plan_slice(const bli_plan *p, int64_t n, int s, int64_t *first, int64_t *count)
{
    *first = n * s / p->opt.slices;
    *count = n * (s + 1) / p->opt.slices - *first;
}

char *bli_plan_rows(const bli_plan *p, int st, const bli_place *at)
{
    const bli_storage *s = &p->storages[st];
    if (s->global)
        return p->global + s->offset + (size_t)at->first_row * s->row_bytes;
    return p->locals[at->thread] + s->offset;
}

bl_tensor bli_plan_tensor(const bli_plan *p, int v, const bli_place *at)
{
    if (v < 0)
        return (bl_tensor){.type = p->real};
    const bli_pvalue *pv = &p->values[v];
    bl_tensor t = {pv->type, pv->shape, pv->data};
    if (pv->batched) {
        t.shape.dim[0] = at->rows;
        t.data = p->locals ? bli_plan_rows(p, p->values[pv->root].storage, at) : NULL;
    }
    return t;
}

void bli_plan_call(const bli_plan *p, const bli_pstep *s, const bli_place *at, bli_call *c)
{
    const bl_node *n = s->run;
    *c = (bli_call){.ctx = p->ctx,
                    .node = n,
                    .training = at->training,
                    .seed = at->seed,
                    .step = at->step,
                    .first_row = at->row_base + at->first_row,
                    .isa = p->isa,
                    .scratch = p->scratch ? p->scratch[at->thread] : NULL,
                    .prep = s->prep,
                    .state = s->state,
                    .wide_steps = s->wide_steps,
                    .rows_total = at->batch_rows};
    for (int i = 0; i < n->num_inputs; i++) {
        if (n->inputs[i] < 0)
            continue;
        c->in[i] = bli_plan_tensor(p, n->inputs[i], at);
        if (p->values[n->inputs[i]].needs_grad) /* a mark for prep and scratch; backward gets the real ones */
            c->grad_in[i] = (bl_tensor){c->in[i].type, c->in[i].shape, p->global};
    }
    for (int o = 0; o < n->num_outputs; o++)
        c->out[o] = bli_plan_tensor(p, n->outputs[o], at);
    c->saved = s->saved >= 0 && p->locals ? bli_plan_rows(p, s->saved, at) : NULL;
}

static void move_tensor(const bli_plan *p, int v, const bli_place *at, bl_tensor *t)
{
    if (v < 0 || !p->values[v].batched)
        return;
    t->shape.dim[0] = at->rows;
    t->data = bli_plan_rows(p, p->values[p->values[v].root].storage, at);
}

void bli_plan_move_call(const bli_plan *p, const bli_pstep *s, const bli_place *at, bli_call *c)
{
    const bl_node *n = s->run;
    c->training = at->training;
    c->seed = at->seed;
    c->step = at->step;
    c->first_row = at->row_base + at->first_row;
    c->rows_total = at->batch_rows;
    for (int i = 0; i < n->num_inputs; i++)
        move_tensor(p, n->inputs[i], at, &c->in[i]);
    for (int o = 0; o < n->num_outputs; o++)
        move_tensor(p, n->outputs[o], at, &c->out[o]);
    if (s->saved >= 0)
        c->saved = bli_plan_rows(p, s->saved, at);
}

bli_call **bli_plan_make_calls(const bli_plan *p)
{
    bli_call **calls = bli_arena_array(p->arena, (size_t)p->opt.threads, sizeof *calls);
    for (int t = 0; calls && t < p->opt.threads; t++) {
        const bli_place at = {.thread = t, .batch_rows = p->opt.rows};
        calls[t] = bli_arena_array(p->arena, (size_t)p->num_steps + 1, sizeof *calls[t]);
        if (!calls[t])
            return NULL;
        for (int i = 0; i < p->num_steps; i++)
            bli_plan_call(p, &p->steps[i], &at, &calls[t][i]);
    }
    return calls;
}

static bl_status name_node(const bli_plan *p, bl_status s, const bli_pstep *step)
{
    if (s == BL_OK)
        return s;
    return bli_within(p->ctx, s, "node '%s'", step->run->name);
}

bl_status bli_plan_forward_whole_step(bli_plan *p, int i, const bli_place *at)
{
    const bli_pstep *s = &p->whole_steps[i];
    bli_call c;
    if (s->view)
        return BL_OK;
    bli_plan_call(p, s, at, &c);
    c.first_row = 0;
    return name_node(p, s->op->forward(&c), s);
}

bl_status bli_plan_forward_whole(bli_plan *p, const bli_place *at)
{
    for (int i = 0; i < p->num_whole_steps; i++)
        BLI_TRY(bli_plan_forward_whole_step(p, i, at));
    return BL_OK;
}

bl_status bli_plan_prepare(bli_plan *p, int step, const bli_place *at)
{
    const bli_pstep *s = &p->steps[step];
    if (!s->prep)
        return BL_OK;
    bli_call c;
    bli_plan_call(p, s, at, &c);
    return name_node(p, s->op->prepare(&c, s->prep), s);
}

bl_status bli_plan_forward(const bli_plan *p, int i, const bli_place *at, const double *reduced)
{
    const bli_pstep *s = &p->steps[i];
    if (s->view)
        return BL_OK;
    bli_call *c = &p->calls[at->thread][i];
    bli_plan_move_call(p, s, at, c);
    c->reduced = reduced;
    return name_node(p, s->op->forward(c), s);
}
