/* flow_part.c: the program of one step of a group.
 *
 * Ops are copied with the shapes that a step has.  Spans are not computed again but taken over: what holds for every
 * place of a wire holds for the one at hand, so that a channel's span is the hull of its places.
 */
#include <string.h>

#include "emit/verilog/flow.h"

typedef struct part {
    const bli_flow *f;
    const bli_flow_plan *plan;
    bli_program *p;
} part;

static int64_t last_of(const bl_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

static bli_span join(bli_span a, bli_span b)
{
    return (bli_span){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high,
                      a.zeros < b.zeros ? a.zeros : b.zeros};
}

static bli_span channel_hull(const bli_wire *w, int64_t c)
{
    int64_t last = last_of(&w->shape);
    bli_span h = bli_wire_span(w, c);
    for (int64_t e = c + last; w->num_spans == w->count && e < w->count; e += last)
        h = join(h, bli_wire_span(w, e));
    return h;
}

bli_span bli_flow_pixel(const bli_flow *f, const bli_flow_plan *plan, int64_t c, int64_t *pad)
{
    const bli_prim_op *op = plan->group->ops[0];
    const bli_window *w = &op->window;
    bli_span s = channel_hull(&f->p->wires[op->in[0]], c);
    *pad = op->kind == BLI_PRIM_MAXPOOL ? s.low : 0;
    if (op->kind != BLI_PRIM_MAXPOOL && (w->pad[0] || w->pad[1] || w->pad[2] || w->pad[3])) {
        s.low = s.low < 0 ? s.low : 0;
        s.high = s.high > 0 ? s.high : 0;
    }
    return s;
}

/* ---- wires and ops ------------------------------------------------------------------------------------------------
 */
static bl_status begin(const bli_flow *f, const bli_flow_plan *plan, const char *name, part *out)
{
    bli_arena *arena;
    int ops = plan->group->num_ops + BLI_PRIM_MAX_IN + 6;
    *out = (part){.f = f, .plan = plan};
    BLI_TRY(bli_arena_create(f->job->ctx, &arena));
    bli_program *p = bli_arena_alloc(arena, sizeof *p);
    if (p) {
        *p = (bli_program){.ctx = f->job->ctx, .arena = arena, .name = name};
        p->wires = bli_arena_array(arena, (size_t)ops, sizeof *p->wires);
        p->ops = bli_arena_array(arena, (size_t)ops, sizeof *p->ops);
        p->inputs = bli_arena_array(arena, BLI_PRIM_MAX_IN, sizeof *p->inputs);
        p->outputs = bli_arena_array(arena, 1, sizeof *p->outputs);
    }
    if (!p || !p->wires || !p->ops || !p->inputs || !p->outputs)
        return bli_arena_destroy(arena), BL_NO_MEMORY;
    out->p = p;
    return BL_OK;
}

/* A wire like another one of the whole program, and the op that makes it. */
static bli_wire *add(part *t, const bli_prim_op *op, const bli_wire *like, const bl_shape *shape)
{
    bli_program *p = t->p;
    bli_wire *w = &p->wires[p->num_wires];
    *w = (bli_wire){.name = like->name, .layer = like->layer, .shape = *shape, .count = 1, .producer = p->num_ops};
    for (int i = 0; i < shape->rank; i++)
        w->count *= shape->dim[i];
    p->ops[p->num_ops] = *op;
    p->ops[p->num_ops++].out = p->num_wires++;
    for (int k = 0; k < op->num_in; k++)
        p->wires[op->in[k]].uses++;
    if (op->kind == BLI_PRIM_INPUT)
        p->inputs[p->num_inputs++] = (bli_input){.wire = p->num_wires - 1, .name = like->name};
    return w;
}

static bl_status room_for_spans(part *t, bli_wire *w, int64_t count, bli_span **out)
{
    *out = bli_arena_array(t->p->arena, (size_t)count + 1, sizeof **out);
    w->spans = *out;
    w->num_spans = count;
    return *out ? BL_OK : BL_NO_MEMORY;
}

/* The spans of the like wire: all of it in a step, or each channel's hull. */
static bl_status take_spans(part *t, bli_wire *w, const bli_wire *like)
{
    bli_span *spans;
    if (t->plan->way == BLI_FLOW_WHOLE || like->num_spans == 1) {
        w->num_spans = like->num_spans;
        w->spans = like->spans;
        return BL_OK;
    }
    BLI_TRY(room_for_spans(t, w, last_of(&like->shape), &spans));
    for (int64_t c = 0; c < w->num_spans; c++)
        spans[c] = channel_hull(like, c);
    return BL_OK;
}

static bl_status finish(part *t, bli_program **out)
{
    bli_program *p = t->p;
    p->num_outputs = 1;
    p->outputs[0] = (bli_output){.wire = p->num_wires - 1, .name = p->wires[p->num_wires - 1].name};
    p->wires[p->num_wires - 1].uses++;
    *out = p;
    return BL_OK;
}

static bl_status ended(part *t, bl_status s, bli_program **out)
{
    *out = NULL;
    if (s == BL_OK)
        return finish(t, out);
    if (t->p)
        bli_program_destroy(t->p);
    return s;
}

/* The shape that a wire of these places has within a step. */
static bl_shape step_shape(const part *t, const bl_shape *s)
{
    if (t->plan->way == BLI_FLOW_WHOLE)
        return *s;
    if (t->plan->way == BLI_FLOW_BEATS)
        return (bl_shape){1, {last_of(s)}};
    bl_shape one = {s->rank, {1, 1, 1}};
    one.dim[s->rank - 1] = last_of(s);
    return one;
}

/* ---- a group ------------------------------------------------------------------------------------------------------
 */
static bl_status add_window(part *t, const bli_wire *w)
{
    const bli_window *window = &t->plan->group->ops[0]->window;
    const bli_prim_op input = {.kind = BLI_PRIM_INPUT};
    bl_shape shape = step_shape(t, &w->shape);
    bli_span *spans;
    int64_t pad;
    for (int i = 0; i + 1 < shape.rank; i++)
        shape.dim[i] = window->kernel[i];
    bli_wire *in = add(t, &input, w, &shape);
    BLI_TRY(room_for_spans(t, in, last_of(&shape), &spans));
    for (int64_t c = 0; c < in->num_spans; c++)
        spans[c] = bli_flow_pixel(t->f, t->plan, c, &pad);
    return BL_OK;
}

static bl_status add_input(part *t, const bli_wire *w)
{
    const bli_prim_op input = {.kind = BLI_PRIM_INPUT};
    bl_shape shape = step_shape(t, &w->shape);
    if (t->plan->way == BLI_FLOW_WINDOWS)
        return add_window(t, w);
    return take_spans(t, add(t, &input, w, &shape), w);
}

static bl_status add_constant(part *t, int wire)
{
    const bli_wire *w = &t->f->p->wires[wire];
    const bli_prim_op op = {.kind = BLI_PRIM_CONST, .weight = bli_flow_link_of(t->f, wire)->constant};
    bl_shape flat = {1, {w->count}};
    bli_wire *c = add(t, &op, w, t->plan->way == BLI_FLOW_WHOLE ? &w->shape : &flat);
    c->num_spans = w->num_spans;
    c->spans = w->spans;
    return BL_OK;
}

/* Which wire of the part stands for input k of the group. */
static int stands_for(const part *t, int k)
{
    const bli_group *g = t->plan->group;
    int at = t->plan->num_in;
    for (int i = 0; i < t->plan->num_in; i++)
        if (t->plan->in[i].wire == g->in[k])
            return i;
    for (int i = 0; i < k; i++)
        at += bli_flow_link_of(t->f, g->in[i])->constant != NULL;
    return at;
}

static bl_status add_op(part *t, bli_prim_op *op, const bli_wire *like)
{
    bl_shape shape = step_shape(t, &like->shape);
    if (t->plan->way == BLI_FLOW_BEATS)
        op->axis = 0;
    if (t->plan->way == BLI_FLOW_WINDOWS) {
        const int groups = op->window.groups;
        op->window = (bli_window){{op->window.kernel[0], op->window.kernel[1]}, {1, 1}, {1, 1}, {0, 0, 0, 0}, groups};
    }
    return take_spans(t, add(t, op, like, &shape), like);
}

/* The ops behind the head, each on what the one before it made. */
static bl_status add_tail(part *t)
{
    const bli_group *g = t->plan->group;
    for (int i = 1; i < g->num_ops; i++) {
        bli_prim_op op = *g->ops[i];
        op.in[0] = t->p->num_wires - 1;
        BLI_TRY(add_op(t, &op, &t->f->p->wires[g->ops[i]->out]));
    }
    return BL_OK;
}

static bl_status add_group(part *t)
{
    const bli_group *g = t->plan->group;
    bli_prim_op head = *g->ops[0];
    for (int i = 0; i < t->plan->num_in; i++)
        BLI_TRY(add_input(t, &t->f->p->wires[t->plan->in[i].wire]));
    for (int k = 0; k < g->num_in; k++) {
        if (bli_flow_link_of(t->f, g->in[k])->constant)
            BLI_TRY(add_constant(t, g->in[k]));
        head.in[k] = stands_for(t, k);
    }
    BLI_TRY(add_op(t, &head, &t->f->p->wires[g->ops[0]->out]));
    return add_tail(t);
}

bl_status bli_flow_part_all(const bli_flow *f, const bli_flow_plan *plan, bli_program **out)
{
    part t;
    BLI_TRY(begin(f, plan, plan->group->name, &t));
    return ended(&t, add_group(&t), out);
}

/* ---- a product in turns -------------------------------------------------------------------------------------------
 */
/* The hull of all that a step holds: any element may be selected. */
static bli_span step_hull(const part *t)
{
    const bli_wire *w = &t->f->p->wires[t->plan->in[0].wire];
    int64_t pad;
    if (t->plan->way != BLI_FLOW_WINDOWS)
        return bli_wire_hull(w);
    bli_span h = bli_flow_pixel(t->f, t->plan, 0, &pad);
    for (int64_t c = 1; c < last_of(&w->shape); c++)
        h = join(h, bli_flow_pixel(t->f, t->plan, c, &pad));
    return h;
}

static bl_status add_selected(part *t, const bli_flow_mac *m)
{
    const bli_prim_op input = {.kind = BLI_PRIM_INPUT};
    const bl_shape shape = {1, {m->selects}};
    bli_span *spans;
    bli_wire *w = add(t, &input, &t->f->p->wires[t->plan->in[0].wire], &shape);
    BLI_TRY(room_for_spans(t, w, 1, &spans));
    spans[0] = step_hull(t);
    return BL_OK;
}

static bl_status add_weights(part *t, const bli_flow_mac *m)
{
    const bli_prim_op input = {.kind = BLI_PRIM_INPUT};
    const bl_shape shape = {1, {m->multipliers}};
    bli_span *spans;
    bli_wire *w = add(t, &input, &t->f->p->wires[t->plan->group->ops[0]->out], &shape);
    BLI_TRY(room_for_spans(t, w, m->multipliers, &spans));
    for (int64_t i = 0; i < m->multipliers; i++) {
        spans[i] = (bli_span){m->weight[i], m->weight[i], 0};
        for (int64_t k = 1; k < m->reuse; k++) {
            int64_t v = m->weight[k * m->multipliers + i];
            spans[i] = join(spans[i], (bli_span){v, v, 0});
        }
    }
    return BL_OK;
}

static bl_status too_wide(const part *t)
{
    return bli_fail(t->f->job->ctx, BL_LIMIT,
                    "wire '%s': a step towards it needs more than 62 bits (narrow its inputs)",
                    t->plan->group->out->name);
}

/* The products' spans from those of the operands, then sums of `each` of them. */
static bl_status product_spans(part *t, const bli_flow_mac *m, bli_span x, const bli_span *w, bli_wire *y, int64_t each)
{
    const bli_big most = (bli_big)1 << 62;
    bli_span *spans;
    BLI_TRY(room_for_spans(t, y, m->multipliers / each, &spans));
    for (int64_t i = 0; i < y->num_spans; i++) {
        bli_reach sum = {0, 0};
        for (int64_t k = 0; k < each; k++)
            sum = bli_reach_add(
                sum, bli_reach_mul((bli_reach){x.low, x.high}, (bli_reach){w[i * each + k].low, w[i * each + k].high}));
        if (sum.low < -most || sum.high > most)
            return too_wide(t);
        spans[i] = (bli_span){(int64_t)sum.low, (int64_t)sum.high, 0};
    }
    return BL_OK;
}

static bl_status add_turn(part *t, const bli_flow_mac *m)
{
    const bli_wire *like = &t->f->p->wires[t->plan->group->ops[0]->out];
    const bl_shape flat = {1, {m->multipliers}}, table = {2, {m->sums, m->multipliers / m->sums}},
                   sums = {2, {m->sums, 1}};
    const bli_prim_op spread = {.kind = BLI_PRIM_GATHER, .num_in = 1, .in = {0}, .index = m->select};
    const bli_prim_op product = {.kind = BLI_PRIM_MUL, .num_in = 2, .in = {2, 1}};
    const bli_prim_op shape = {.kind = BLI_PRIM_RESHAPE, .num_in = 1, .in = {3}};
    const bli_prim_op sum = {.kind = BLI_PRIM_REDUCE_SUM, .num_in = 1, .in = {4}, .num_axes = 1, .axes = {1}};
    BLI_TRY(add_selected(t, m));
    BLI_TRY(add_weights(t, m));
    const bli_span x = t->p->wires[0].spans[0], *w = t->p->wires[1].spans;
    bli_wire *y = add(t, &spread, like, &flat);
    y->num_spans = 1;
    y->spans = t->p->wires[0].spans;
    BLI_TRY(product_spans(t, m, x, w, add(t, &product, like, &flat), 1));
    y = add(t, &shape, like, &table);
    y->num_spans = m->multipliers;
    y->spans = t->p->wires[3].spans;
    return product_spans(t, m, x, w, add(t, &sum, like, &sums), m->multipliers / m->sums);
}

bl_status bli_flow_part_turn(const bli_flow *f, const bli_flow_plan *plan, const bli_flow_mac *m, bli_program **out)
{
    part t;
    BLI_TRY(begin(f, plan, plan->group->name, &t));
    return ended(&t, add_turn(&t, m), out);
}

/* The sums before the bias: what the head makes, less it. */
static bl_status add_sums(part *t, const bli_prim_op *head, const bli_wire *like, const bl_shape *shape)
{
    const bli_prim_op input = {.kind = BLI_PRIM_INPUT};
    bli_span *spans;
    bli_wire *w = add(t, &input, like, shape);
    BLI_TRY(room_for_spans(t, w, head->channels, &spans));
    for (int64_t c = 0; c < head->channels; c++) {
        const bli_span s = channel_hull(like, c);
        const int64_t bias = head->bias ? head->bias[c] : 0;
        const bli_big low = (bli_big)s.low - bias, high = (bli_big)s.high - bias, most = (bli_big)1 << 62;
        if (low < -most || high > most)
            return too_wide(t);
        spans[c] = (bli_span){(int64_t)low, (int64_t)high, 0};
    }
    return BL_OK;
}

static bl_status add_behind_sums(part *t)
{
    const bli_prim_op *head = t->plan->group->ops[0];
    const bli_wire *like = &t->f->p->wires[head->out];
    const bl_shape shape = step_shape(t, &like->shape);
    BLI_TRY(add_sums(t, head, like, &shape));
    if (head->bias) {
        int64_t *ones = bli_arena_array(t->p->arena, (size_t)head->channels + 1, sizeof *ones);
        bli_prim_op bias = {.kind = BLI_PRIM_AFFINE, .num_in = 1, .channels = head->channels, .bias = head->bias};
        if (!ones)
            return BL_NO_MEMORY;
        for (int64_t c = 0; c < head->channels; c++)
            ones[c] = 1;
        bias.weight = ones;
        BLI_TRY(take_spans(t, add(t, &bias, like, &shape), like));
    }
    return add_tail(t);
}

bl_status bli_flow_part_tail(const bli_flow *f, const bli_flow_plan *plan, bli_program **out)
{
    part t;
    BLI_TRY(begin(f, plan, plan->group->name, &t));
    return ended(&t, add_behind_sums(&t), out);
}
