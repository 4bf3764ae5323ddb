/* engine.c: makes an engine: plan, tape, parameters, work lists. */
#include "train/engine.h"

#include <string.h>

#include "op/quantizer.h"
#include "run/layout.h"

bl_status bli_strip_softmax(const bl_graph *g, const bli_loss *loss, bl_graph **out, bool *stripped)
{
    *stripped = false;
    BLI_TRY(bl_graph_clone(g, out));
    if (!loss->logits || bl_graph_num_outputs(*out) != 1)
        return BL_OK;
    const bl_value *v = bl_graph_value(*out, bl_graph_output(*out, 0));
    const bl_node *n = v->producer < 0 ? NULL : bl_graph_node(*out, v->producer);
    if (!n || strcmp(n->type, "Softmax") != 0)
        return BL_OK;
    bl_status s = bl_graph_set_outputs(*out, &n->inputs[0], 1);
    if (s == BL_OK)
        s = bli_graph_clean(*out);
    if (s != BL_OK) {
        bl_graph_destroy(*out);
        *out = NULL;
    }
    *stripped = s == BL_OK;
    return s;
}

static bl_status check_shapes(bli_engine *e, const bl_graph *g)
{
    const bl_value *in = bl_graph_value(g, bl_graph_input(g, 0)), *out = bl_graph_value(g, bl_graph_output(g, 0));
    const bl_shape *row = bl_dataset_row_shape(e->data);
    const int64_t have = bl_shape_count(row), want = (int64_t)e->plan->values[bl_graph_input(g, 0)].elements;
    char a[96], b[96];
    if (have != want) {
        bl_shape_print(&in->shape, a, sizeof a);
        bl_shape_print(row, b, sizeof b);
        return bli_fail(e->ctx, BL_BAD_MODEL, "input '%s' is %s, a row of the data is %s", in->name, a, b);
    }
    e->width = (int64_t)e->plan->values[bl_graph_output(g, 0)].elements;
    const int classes = bl_dataset_classes(e->data), targets = bl_dataset_targets(e->data);
    if (classes ? e->width < classes : e->width != targets)
        return bli_fail(e->ctx, BL_BAD_MODEL, "output '%s' has %lld numbers a row, the data has %d %s", out->name,
                        (long long)e->width, classes ? classes : targets, classes ? "classes" : "targets");
    if (e->loss->classes && !classes)
        return bli_fail(e->ctx, BL_BAD_MODEL, "loss %s needs classes, the data has real targets", e->loss->name);
    return BL_OK;
}

/* Steps with parameters of their own take an error format on their output's gradient. */
static bl_status find_errors(bli_engine *e, char *wants)
{
    const bli_plan *p = e->plan;
    for (int i = 0; i < p->num_steps; i++) {
        const bl_node *n = p->steps[i].run;
        bool own = false;
        for (int k = 0; k < n->num_inputs; k++)
            own |= n->inputs[k] >= 0 && !p->values[n->inputs[k]].batched && p->values[n->inputs[k]].needs_grad;
        if (own)
            BLI_TRY(bli_place_find(e->ctx, e->opt, BLI_PLACE_ERROR, n->name, &e->error[i]));
        wants[i] = (char)(e->error[i].set + (e->error[i].set && e->error[i].dynamic));
    }
    return BL_OK;
}

/* The last axis, along which mx blocks run; 1 for scalars and empty tensors. */
static size_t last_dimension(const bl_shape *s)
{
    const int64_t n = s->rank > 0 ? s->dim[s->rank - 1] : 1;
    return n > 0 ? (size_t)n : 1;
}

/* BinaryConnect (arXiv:1511.00363) clips the stored weight of a binary one to [-1, 1] after each update: outside of it
 * the sign could never come back. */
static double weight_limit(const bl_graph *g, int v)
{
    static const char *const quantizers[] = {"binary", "stochastic_binary", "xnor"};
    const int user = bli_graph_first_user(g, v);
    if (user < 0 || strcmp(bl_graph_node(g, user)->type, "Quantize") != 0)
        return 0;
    const bl_node *n = bl_graph_node(g, user);
    bool binary = strcmp(bl_node_string(n, "format", ""), "binary") == 0;
    for (size_t i = 0; i < BLI_COUNT(quantizers); i++)
        binary |= strcmp(bl_node_string(n, "quantizer", ""), quantizers[i]) == 0;
    return binary ? 1 : 0;
}

/* What the update's dynamic scales need. */
static bl_status prepare_dynamic(bli_arena *arena, bli_param *q)
{
    const bli_place_format *update = &q->place[BLI_PLACE_UPDATE];
    q->most = bli_arena_array(arena, BLI_PLACE_COUNT, sizeof *q->most);
    if (!q->most)
        return BL_NO_MEMORY;
    if (update->set && update->dynamic)
        q->increment = bli_arena_array(arena, q->elements + 1, bl_dtype_size(q->type));
    return update->set && update->dynamic && !q->increment ? BL_NO_MEMORY : BL_OK;
}

static bl_status add_param(bli_engine *e, int v, int moments)
{
    bli_plan *p = e->plan;
    const bl_value *g = bl_graph_value(p->graph, v);
    bli_param *q = &e->params[e->num_params++];
    *q = (bli_param){.value = v,
                     .name = g->name,
                     .type = p->values[v].type,
                     .elements = p->values[v].elements,
                     .row = last_dimension(&g->shape),
                     .master = p->values[v].data,
                     .grad = e->tape.grad[v],
                     .limit = weight_limit(p->graph, v),
                     .scale = g->place && strcmp(g->place, "scale") == 0};
    for (int m = 0; m < moments; m++) {
        q->moment[m] = bli_arena_alloc(p->arena, q->elements * bl_dtype_size(q->type) + BLI_ALIGN);
        if (!q->moment[m])
            return BL_NO_MEMORY;
    }
    for (int k = BLI_PLACE_GRADIENT; k < BLI_PLACE_COUNT && !q->scale; k++)
        BLI_TRY(bli_place_find(e->ctx, e->opt, (bli_place_kind)k, q->name, &q->place[k]));
    BLI_TRY(prepare_dynamic(p->arena, q));
    const bli_place_format *f = &q->place[BLI_PLACE_MASTER];
    if (f->set)
        bli_place_apply(f, f->dynamic ? bli_place_scale(f, bli_greatest(q->type, q->master, q->elements)) : 1, p->isa,
                        e->opt->seed, 0, 0, q->type, q->master, q->elements / q->row, q->row);
    return BL_OK;
}

/* Where nothing looks at gradients in between, a weight's quantizer lets its gradient pass in pieces of the update,
 * while they are in the cache.  Where the update is one pass, it quantizes the new weights there, too, for the next
 * step. */
static void join_quantizers(bli_engine *e)
{
    e->gradient_phase = e->opt->optimizer.clip_norm > 0 || e->scaled;
    for (int i = 0; i < e->num_params; i++) {
        e->gradient_phase |= e->params[i].place[BLI_PLACE_GRADIENT].set;
        e->params[i].quantizer = e->params[i].requantizer = -1;
    }
    for (int s = 0; s < e->plan->num_whole_steps; s++)
        for (int i = 0; i < e->num_params && e->tape.piecewise[s]; i++) {
            bli_param *p = &e->params[i];
            bool once = e->whole_flat;
            if (e->plan->whole_steps[s].run->inputs[0] != p->value)
                continue;
            for (bli_update_stage k = BLI_STAGE_INCREMENT; k < BLI_STAGE_COUNT; k++)
                once = once && !bli_update_begins(p, k);
            p->quantizer = e->gradient_phase ? -1 : s;
            p->bounded = p->quantizer >= 0 && p->type == BL_F32 && bli_update_is_one(e->optimizer, p) &&
                         strcmp(e->plan->whole_steps[s].run->type, "Quantize") == 0 &&
                         bli_pass_range(e->plan->whole_steps[s].state, &p->pass_least, &p->pass_most);
            p->requantizer = once ? s : -1;
            e->requantized[s] = once;
        }
}

static bl_status find_params(bli_engine *e)
{
    bli_plan *p = e->plan;
    const int moments = bli_optimizer_moments(e->optimizer, e->opt);
    e->params = bli_arena_array(p->arena, (size_t)p->num_values + 1, sizeof *e->params);
    if (!e->params)
        return BL_NO_MEMORY;
    for (int v = 0; v < p->num_values; v++)
        if (bl_graph_value(p->graph, v)->role == BL_ROLE_PARAMETER && e->tape.live[v] && e->tape.grad[v])
            BLI_TRY(add_param(e, v, moments));
    if (e->num_params == 0)
        return bli_fail(e->ctx, BL_BAD_MODEL, "graph '%s': no parameter has a path to the output, nothing to train",
                        bl_graph_name(p->graph));
    e->requantized = bli_arena_array(p->arena, (size_t)p->num_whole_steps + 1, sizeof *e->requantized);
    if (!e->requantized)
        return BL_NO_MEMORY;
    join_quantizers(e);
    return BL_OK;
}

/* Whether whole steps may run in any order: none reads what another made, and no two add to one gradient. */
static bool whole_is_flat(const bli_tape *t)
{
    const bli_plan *p = t->plan;
    for (int i = 0; i < p->num_whole_steps; i++) {
        const bl_node *n = p->whole_steps[i].run;
        for (int k = 0; k < n->num_inputs; k++)
            if ((n->inputs[k] >= 0 && bl_graph_value(p->graph, n->inputs[k])->producer >= 0) ||
                t->whole_temp[i * BLI_MAX_IN + k])
                return false;
    }
    return true;
}

static bl_status allocate(bli_engine *e)
{
    bli_arena *a = e->plan->arena;
    const size_t rows = (size_t)e->opt->batch, width = (size_t)e->width, threads = (size_t)e->plan->opt.threads;
    const size_t per = (size_t)e->plan->slice_rows * (5 * width + 1) +
                       (e->plan->real == BL_F64
                            ? (size_t)e->plan->slice_rows * e->plan->values[bl_graph_input(e->plan->graph, 0)].elements
                            : 0);
    e->loss_memory = bli_arena_array(a, threads, sizeof *e->loss_memory);
    e->labels = bli_arena_array(a, rows, sizeof *e->labels);
    e->targets = bli_arena_array(a, rows * width, sizeof *e->targets);
    e->taught = bli_arena_array(a, e->opt->loss.teacher ? rows * width : 0, sizeof *e->taught);
    e->slice_loss = bli_arena_array(a, (size_t)e->opt->slices, sizeof *e->slice_loss);
    e->slice_correct = bli_arena_array(a, (size_t)e->opt->slices, sizeof *e->slice_correct);
    e->norms = bli_arena_array(a, (size_t)e->num_params, sizeof *e->norms);
    e->next_slice = bli_arena_array(a, (size_t)e->tape.num_moves + 1, sizeof *e->next_slice);
    if (!e->loss_memory || !e->labels || !e->targets || !e->taught || !e->slice_loss || !e->slice_correct ||
        !e->norms || !e->next_slice)
        return BL_NO_MEMORY;
    for (size_t t = 0; t < threads; t++)
        if (!(e->loss_memory[t] = bli_arena_array(a, per, sizeof(float))))
            return BL_NO_MEMORY;
    return BL_OK;
}

static bl_status make_teacher(bli_engine *e)
{
    const bl_graph *g = e->opt->loss.teacher;
    bl_graph *logits = NULL;
    bool stripped;
    if (!g)
        return BL_OK;
    bli_plan_options o = e->plan->opt;
    o.training = false;
    bl_status s = bli_strip_softmax(g, e->loss, &logits, &stripped);
    if (s == BL_OK)
        s = bli_plan_create(e->ctx, logits, BL_F32, &o, &e->teacher);
    bl_graph_destroy(logits);
    BLI_TRY(bli_within(e->ctx, s, "teacher"));
    BLI_TRY(bli_plan_layout(e->teacher));
    const bli_plan *t = e->teacher;
    if (t->values[bl_graph_input(t->graph, 0)].elements !=
            e->plan->values[bl_graph_input(e->plan->graph, 0)].elements ||
        (int64_t)t->values[bl_graph_output(t->graph, 0)].elements != e->width)
        return bli_fail(e->ctx, BL_BAD_MODEL, "teacher: its input and output must have the size of the network's");
    const bli_place at = {.batch_rows = o.rows};
    BLI_TRY(bli_plan_forward_whole(e->teacher, &at));
    for (int i = 0; i < e->teacher->num_steps; i++)
        BLI_TRY(bli_plan_prepare(e->teacher, i, &at));
    return BL_OK;
}

static bl_status make_plan(bli_engine *e, const bl_graph *g)
{
    bl_graph *logits = NULL;
    bool stripped;
    bli_plan_options o = {
        .training = true, .rows = e->opt->batch, .slices = e->opt->slices, .threads = bl_context_threads(e->ctx)};
    bl_dtype real;
    for (int i = 0; i < e->opt->num_places; i++)
        o.apart |= strcmp(e->opt->places[i].place, "error") == 0;
    BLI_TRY(bli_strip_softmax(g, e->loss, &logits, &stripped));
    bl_status s = bli_training_carrier(e->ctx, logits, &real);
    if (s == BL_OK)
        s = bli_plan_create(e->ctx, logits, real, &o, &e->plan);
    bl_graph_destroy(logits);
    return s;
}

/* Augmentation and a teacher see the rows as they are in the data. */
static bl_status find_prefix(bli_engine *e)
{
    const bl_augment *a = &e->opt->augment;
    e->prefix = bli_prefix_none(e->plan);
    if (a->flip || a->shift || a->crop || e->opt->loss.teacher)
        return BL_OK;
    return bli_prefix_find(e->plan, e->data, &e->prefix);
}

static bl_status build(bli_engine *e, const bl_graph *g)
{
    const bl_train_options *o = e->opt;
    if (bl_graph_num_inputs(g) != 1 || bl_graph_num_outputs(g) != 1)
        return bli_fail(e->ctx, BL_UNSUPPORTED, "a graph to train must have one input and one output");
    if (o->batch < 1 || o->slices < 1 || o->slices > o->batch)
        return bli_fail(e->ctx, BL_BAD_VALUE, "batch %d with %d slices: both at least 1, no more slices than rows",
                        o->batch, o->slices);
    BLI_TRY(bli_places_check(e->ctx, o));
    BLI_TRY(bli_loss_get(e->ctx, o->loss.name, &e->loss));
    BLI_TRY(bli_optimizer_get(e->ctx, o, &e->optimizer));
    BLI_TRY(make_plan(e, g));
    BLI_TRY(check_shapes(e, e->plan->graph));
    e->kernels = bli_train_kernels_for(e->plan->isa);
    e->error = bli_arena_array(e->plan->arena, (size_t)e->plan->num_steps + 1, sizeof *e->error);
    char *wants = bli_arena_array(e->plan->arena, (size_t)e->plan->num_steps + 1, 1);
    if (!e->error || !wants)
        return BL_NO_MEMORY;
    BLI_TRY(find_errors(e, wants));
    BLI_TRY(find_prefix(e));
    BLI_TRY(bli_tape_create(e->plan, e->prefix.steps, wants, &e->tape));
    e->whole_flat = whole_is_flat(&e->tape);
    BLI_TRY(find_params(e));
    BLI_TRY(allocate(e));
    BLI_TRY(make_teacher(e));
    return bli_team_create(e->ctx, e->plan->opt.threads, &e->team);
}

bl_status bli_engine_create(bl_context *ctx, const bl_graph *g, const bl_dataset *data, const bl_train_options *o,
                            bli_engine **out)
{
    *out = NULL;
    bli_engine *e = bli_alloc(ctx, sizeof *e);
    if (!e)
        return BL_NO_MEMORY;
    e->ctx = ctx;
    e->opt = o;
    e->data = data;
    e->scaled = o->loss_scale.mode && strcmp(o->loss_scale.mode, "none") != 0;
    e->loss_scale = e->scaled ? o->loss_scale.scale : 1;
    const bl_status s = build(e, g);
    if (s != BL_OK) {
        bli_engine_destroy(e);
        return s;
    }
    *out = e;
    return BL_OK;
}

void bli_engine_destroy(bli_engine *e)
{
    if (!e)
        return;
    bl_context *ctx = e->ctx;
    bli_team_destroy(e->team);
    bli_plan_destroy(e->teacher);
    bli_plan_destroy(e->plan);
    bli_free(ctx, e);
}
