/* lower.c: a graph in evaluation form becomes a program, node by node (op/lower.h). */
#include "bitlathe/lower.h"

#include <stdio.h>
#include <string.h>

#include "lower/impl.h"
#include "op/infer.h"
#include "run/form.h"

/* Whether evaluation computes the value exactly. */
static bool is_exact(const bli_lowering *l, int value)
{
    const double most = l->real == BL_F64 ? 0x1p53 : 0x1p24;
    const int producer = bl_graph_value(l->g, value)->producer;
    return l->ranges[value].on_grid && bli_range_steps(&l->ranges[value]) <= most &&
           (producer < 0 || l->accumulators[producer] <= most);
}

static const char *layer_of(bli_lowering *l, const char *name)
{
    char *layer = bli_arena_strdup(l->arena, name);
    char *slash = layer ? strchr(layer, '/') : NULL;
    if (slash && slash != layer)
        *slash = 0;
    return layer;
}

static bl_status start_call(bli_lowering *l, const bl_node *n, bli_lower_call *c)
{
    *c = (bli_lower_call){.ctx = l->ctx, .arena = l->arena, .b = l->b, .graph = l->g, .node = n};
    c->name = bl_graph_value(l->g, n->outputs[0])->name;
    c->layer = layer_of(l, c->name);
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++) {
        c->x[i].wire = -1;
        if (n->inputs[i] < 0)
            continue;
        c->in[i] = bl_graph_value(l->g, n->inputs[i]);
        c->known[i] = l->known[n->inputs[i]];
        c->x[i] = l->values[n->inputs[i]].at;
    }
    for (int o = 0; o < n->num_outputs && o < BLI_MAX_OUT; o++) {
        c->out[o] = bl_graph_value(l->g, n->outputs[o]);
        c->y[o].wire = -1;
    }
    return c->layer ? BL_OK : BL_NO_MEMORY;
}

static void take(bli_lowering *l, const bli_lower_call *c)
{
    for (int o = 0; o < c->node->num_outputs && o < BLI_MAX_OUT; o++)
        l->values[c->node->outputs[o]].at = c->y[o];
}

/* ---- a bias behind a product ---------------------------------------------------------------------------------- */
static bool is_product(const bl_node *n)
{
    return strcmp(n->type, "MatMul") == 0 || strcmp(n->type, "Gemm") == 0 || strcmp(n->type, "Conv") == 0 ||
           strcmp(n->type, "ConvTranspose") == 0;
}

/* The addition that alone reads a product without bias, of a constant vector, exact in evaluation; -1. */
static int bias_node(const bli_lowering *l, const bl_node *n, bl_tensor *bias)
{
    const int y = n->outputs[0];
    if (!is_product(n) || (n->num_inputs > 2 && n->inputs[2] >= 0) || bli_graph_num_uses(l->g, y) != 1 ||
        bli_graph_is_output(l->g, y) || !l->known[n->inputs[1]].data)
        return -1;
    const int user = bli_graph_first_user(l->g, y);
    const bl_node *add = bl_graph_node(l->g, user);
    const bl_shape *s = &bl_graph_value(l->g, y)->shape;
    if (strcmp(add->type, "Add") != 0 || !is_exact(l, add->outputs[0]))
        return -1;
    *bias = l->known[add->inputs[add->inputs[0] == y ? 1 : 0]];
    const int64_t count = bias->data ? bl_shape_count(&bias->shape) : 0;
    const bool vector = count == 1 || (count == s->dim[s->rank - 1] && bias->shape.dim[bias->shape.rank - 1] == count);
    return count > 0 && vector && bl_shape_equal(s, &bl_graph_value(l->g, add->outputs[0])->shape) ? user : -1;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */
static bl_status by_primitives(bli_lowering *l, const bli_op *op, int node, bli_lower_call *c, bool *lowered)
{
    const bl_node *n = c->node;
    bool exact = is_exact(l, n->outputs[0]) || (op->flags & BLI_OP_MOVES);
    int values = 0;
    *lowered = false;
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++) {
        values += c->x[i].wire >= 0;
        exact = exact && (!c->x[i].chain || (op->flags & BLI_OP_MOVES));
    }
    /* an average of other counts than powers of two is exact up to its division; a sum past 2^53 is rounded once */
    const bool sums = is_product(n) || strstr(n->type, "Average") || strncmp(n->type, "Reduce", 6) == 0;
    for (int i = 0; sums && !exact && i < n->num_inputs && i < 2; i++) {
        exact = i == 0 || exact;
        exact = exact && (c->x[i].wire < 0 ? c->known[i].data != NULL : !c->x[i].chain);
    }
    if (!op->lower || !exact || values == 0)
        return BL_OK;
    const int add = bias_node(l, n, &c->bias);
    if (add < 0)
        c->bias.data = NULL;
    BLI_TRY(op->lower(c));
    if (c->declined)
        return BL_OK;
    *lowered = true;
    if (is_product(n) && !is_exact(l, n->outputs[0])) {
        if (l->accumulators[node] <= 0x1p53)
            return bli_fail(
                l->ctx, BL_UNSUPPORTED,
                "the scales of its weights do not run along its outputs (attribute axis), or they have no format");
        c->y[0].chain = bli_arena_alloc(l->arena, sizeof *c->y[0].chain); /* no links: rounded to the carrier */
        if (!c->y[0].chain || !(c->y[0].chain->direction = bli_arena_alloc(l->arena, 1)))
            return BL_NO_MEMORY;
        c->y[0].chain->groups = c->y[0].chain->direction[0] = 1;
    }
    take(l, c);
    if (add < 0)
        return BL_OK;
    l->values[bl_graph_node(l->g, add)->outputs[0]].at = c->y[0];
    l->done[add] = true;
    return BL_OK;
}

/* The codes of a quantized input with a real scale are there. */
static bool take_coded(bli_lowering *l, const bl_node *n)
{
    const bli_state *x = &l->values[n->inputs[0]];
    if (!x->coded || strcmp(n->type, "Codes") != 0)
        return false;
    l->values[n->outputs[0]].at = (bli_lowered){.wire = x->at.wire};
    return true;
}

/* The quantizer of a real number whose overflow is no saturation, in two steps: rounded into a format that is wide
 * enough for all, which rises; then the overflow, on integers.  *wide NULL: not such a quantizer. */
static bl_status widened(bli_lowering *l, const bl_node *n, const bli_lower_call *c, bl_node **wide)
{
    enum { WIDE = 56 };
    const char *text = bl_node_string(n, "format", NULL);
    bl_format f;
    *wide = NULL;
    if (strcmp(n->type, "Quantize") != 0 || !text || n->num_inputs != 1 || !c->x[0].chain)
        return BL_OK;
    BLI_TRY(bl_format_parse(l->ctx, text, &f));
    if ((f.kind != BL_FORMAT_FIXED && f.kind != BL_FORMAT_INT) || f.overflow == BL_SAT || f.overflow == BL_SAT_SYM ||
        f.bits >= WIDE)
        return BL_OK;
    if (f.kind == BL_FORMAT_FIXED)
        f.integer += WIDE - f.bits;
    f.bits = WIDE;
    f.overflow = BL_SAT;
    f.is_signed = true;
    char *print = bli_arena_alloc(l->arena, 128);
    bl_attr *attrs = bli_arena_array(l->arena, (size_t)n->num_attrs + 1, sizeof *attrs);
    bl_node *copy = bli_arena_alloc(l->arena, sizeof *copy);
    if (!print || !attrs || !copy)
        return BL_NO_MEMORY;
    bl_format_print(&f, print, 128);
    int count = 0;
    for (int i = 0; i < n->num_attrs; i++) {
        if (strcmp(n->attrs[i].name, "zero_point") == 0)
            continue;
        attrs[count] = n->attrs[i];
        if (strcmp(n->attrs[i].name, "format") == 0)
            attrs[count].u.s = print;
        count++;
    }
    *copy = *n;
    copy->attrs = attrs;
    copy->num_attrs = count;
    *wide = copy;
    return BL_OK;
}

static bl_status by_two_steps(bli_lowering *l, const bli_op *op, const bl_node *wide, bli_lower_call *c)
{
    bli_lowered rounded = {.wire = c->x[0].wire};
    const char *name = c->name;
    char step[256];
    BLI_TRY(bli_chain_append(l, wide, 0, &c->x[0], &rounded.chain));
    snprintf(step, sizeof step, "%s/rounded", name);
    c->name = step;
    BLI_TRY(bli_realise(l, c, &rounded, l->ranges[c->node->outputs[0]].step_exp, &c->x[0].wire));
    c->name = name;
    c->x[0].chain = NULL;
    BLI_TRY(op->lower(c));
    take(l, c);
    return c->declined ? bli_fail(l->ctx, BL_UNSUPPORTED, "its overflow does not become integers") : BL_OK;
}

/* What evaluation form would have made a table of, and why it did not. */
static bl_status refuse_table(bli_lowering *l, const bli_lower_call *c)
{
    const char *type = c->node->type;
    if (strcmp(type, "Softmax") == 0)
        return bli_fail(
            l->ctx, BL_UNSUPPORTED,
            "a Softmax inside the network takes a quantizer of one scale and at most 16 bits in front ('%s') "
            "and one behind it",
            c->in[0]->name);
    if (strcmp(type, "Div") == 0 && c->x[1].wire >= 0)
        return bli_fail(
            l->ctx, BL_UNSUPPORTED,
            "a quotient takes a divisor ('%s') of one step and at most 16 bits whose range does not hold 0, "
            "and a quantizer behind it",
            c->in[1]->name);
    return BL_OK;
}

static bl_status by_chain(bli_lowering *l, const bli_op *op, bli_lower_call *c)
{
    const bl_node *n = c->node;
    int slot = -1, wires = 0;
    bl_node *wide;
    BLI_TRY(widened(l, n, c, &wide));
    if (wide && is_exact(l, n->outputs[0]))
        return by_two_steps(l, op, wide, c);
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++)
        if (c->x[i].wire >= 0) {
            slot = slot < 0 || c->x[i].chain ? i : slot;
            wires++;
        }
    if (wires == 1 && (op->flags & BLI_OP_ELEMENTWISE) && bl_shape_equal(&c->in[slot]->shape, &c->out[0]->shape)) {
        c->y[0] = (bli_lowered){.wire = c->x[slot].wire};
        BLI_TRY(bli_chain_append(l, n, slot, &c->x[slot], &c->y[0].chain));
        const int y = n->outputs[0];
        if (l->ranges[y].on_grid && is_exact(l, y)) {
            const bli_lowered x = c->y[0];
            c->y[0].chain = NULL;
            BLI_TRY(bli_realise(l, c, &x, l->ranges[y].step_exp, &c->y[0].wire));
        }
        take(l, c);
        return BL_OK;
    }
    if (wires > 1 && c->x[0].wire >= 0 && c->x[1].wire >= 0 && (c->x[0].chain || c->x[1].chain))
        return bli_fail(l->ctx, BL_UNSUPPORTED,
                        "'%s' and '%s' have no common step; bring both into formats whose steps are powers of two (a "
                        "quantizer after each: fixed, or scale learned_po2)",
                        c->in[0]->name, c->in[1]->name);
    BLI_TRY(refuse_table(l, c));
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++)
        if (c->x[i].chain)
            return bli_fail(l->ctx, BL_UNSUPPORTED, "'%s' has no common step here; put a quantizer after '%s'",
                            c->in[i]->name, c->in[i]->name);
    return bli_fail(l->ctx, BL_UNSUPPORTED, "operator %s does not become integers", n->type);
}

static bl_status lower_node(bli_lowering *l, int node)
{
    const bl_node *n = bl_graph_node(l->g, node);
    const bli_op *op = bli_op_find(n->type, n->domain);
    bool done = false;
    bli_lower_call c;
    if (l->done[node])
        return BL_OK;
    BLI_TRY(bli_lower_entering(l, node, &done));
    if (done || (n->num_inputs > 0 && n->inputs[0] >= 0 && take_coded(l, n)))
        return BL_OK;
    BLI_TRY(start_call(l, n, &c));
    BLI_TRY(by_primitives(l, op, node, &c, &done));
    return done ? BL_OK : by_chain(l, op, &c);
}

/* ---- whole values --------------------------------------------------------------------------------------------- */
/* What needs no input has been folded into constants, unless float32 cannot hold it. */
static bl_status take_constants(bli_lowering *l)
{
    for (int v = 0; v < bl_graph_num_values(l->g); v++) {
        const bl_value *value = bl_graph_value(l->g, v);
        if (value->data)
            l->known[v] = (bl_tensor){value->type, value->shape, value->data};
    }
    return BL_OK;
}

/* Constants that only the wide carrier holds are computed by a plan. */
static bl_status compute_constants(bli_lowering *l)
{
    bool any = false;
    for (int i = 0; i < bl_graph_num_nodes(l->g); i++) {
        const bl_node *n = bl_graph_node(l->g, i);
        const bl_value *y = bl_graph_value(l->g, n->outputs[0]);
        any = any || (y->shape.rank < 1 || y->shape.dim[0] >= 0);
    }
    if (!any)
        return BL_OK;
    bli_plan *p;
    const bli_plan_options o = {.rows = 1, .slices = 1, .threads = 1};
    const bli_place at = {.rows = 1, .batch_rows = 1};
    BLI_TRY(bli_plan_create(l->ctx, l->g, l->real, &o, &p));
    bl_status s = bli_plan_layout(p);
    if (s == BL_OK)
        s = bli_plan_forward_whole(p, &at);
    for (int i = 0; s == BL_OK && i < p->num_whole_steps; i++)
        for (int k = 0; s == BL_OK && k < p->whole_steps[i].run->num_outputs; k++) {
            const int v = p->whole_steps[i].run->outputs[k];
            const bl_tensor t = bli_plan_tensor(p, v, &at);
            const size_t bytes = p->values[v].elements * bl_dtype_size(t.type);
            void *data = bli_arena_alloc(l->arena, bytes + 1);
            if (!data) {
                s = BL_NO_MEMORY;
                break;
            }
            memcpy(data, t.data, bytes);
            l->known[v] = (bl_tensor){t.type, t.shape, data};
            l->done[p->whole_steps[i].node] = true;
        }
    bli_plan_destroy(p);
    return s;
}

/* ---- a softmax at the end ------------------------------------------------------------------------------------- */
/* Leaves the values in front of a trailing Softmax as the output, and says so. */
static bl_status cut_softmax(bli_lowering *l)
{
    if (bl_graph_num_outputs(l->g) != 1)
        return BL_OK;
    const int y = bl_graph_output(l->g, 0), producer = bl_graph_value(l->g, y)->producer;
    const bl_node *n = producer < 0 ? NULL : bl_graph_node(l->g, producer);
    if (!n || strcmp(n->type, "Softmax") != 0 || bli_graph_num_uses(l->g, y) != 1)
        return BL_OK;
    const size_t size = strlen(n->name) + 16;
    char *text = bli_arena_alloc(l->arena, size);
    const int logits = n->inputs[0];
    if (!text)
        return BL_NO_MEMORY;
    memcpy(text, "Softmax '", 9);
    memcpy(text + 9, n->name, strlen(n->name));
    text[9 + strlen(n->name)] = '\'';
    l->cut = text;
    bli_graph_remove_node(l->g, producer);
    BLI_TRY(bl_graph_set_outputs(l->g, &logits, 1));
    BLI_TRY(bli_graph_clean(l->g));
    return bl_graph_infer(l->g);
}

static bl_status prepare(bli_lowering *l, const bl_graph *g)
{
    bl_graph *copy;
    BLI_TRY(bl_graph_clone(g, &copy));
    bl_status s = bl_graph_infer(copy);
    l->g = copy;
    if (s == BL_OK)
        s = bli_lower_formats(l->ctx, copy);
    if (s == BL_OK)
        s = cut_softmax(l);
    copy = l->g;
    l->g = NULL;
    if (s == BL_OK)
        s = bli_evaluation_form(copy, false, &l->g);
    bl_graph_destroy(copy);
    BLI_TRY(s);
    BLI_TRY(bli_choose_carrier(l->ctx, l->g, &l->real));
    const size_t values = (size_t)bl_graph_num_values(l->g) + 1, nodes = (size_t)bl_graph_num_nodes(l->g) + 1;
    l->ranges = bli_arena_array(l->arena, values, sizeof *l->ranges);
    l->values = bli_arena_array(l->arena, values, sizeof *l->values);
    l->known = bli_arena_array(l->arena, values, sizeof *l->known);
    l->accumulators = bli_arena_array(l->arena, nodes, sizeof *l->accumulators);
    l->done = bli_arena_array(l->arena, nodes, sizeof *l->done);
    if (!l->ranges || !l->values || !l->known || !l->accumulators || !l->done)
        return BL_NO_MEMORY;
    return bli_infer_ranges(l->ctx, l->g, l->ranges, l->accumulators);
}

static bl_status lower_all(bli_lowering *l, const bl_graph *g)
{
    BLI_TRY(prepare(l, g));
    BLI_TRY(bli_builder_create(l->ctx, bl_graph_name(g), &l->b));
    BLI_TRY(take_constants(l));
    BLI_TRY(compute_constants(l));
    BLI_TRY(bli_lower_inputs(l));
    for (int i = 0; i < bl_graph_num_nodes(l->g); i++) {
        const bl_node *n = bl_graph_node(l->g, i);
        BLI_TRY(bli_within(l->ctx, lower_node(l, i), "node '%s' (%s)", n->name, n->type));
    }
    return bli_lower_outputs(l);
}

bl_status bl_lower(bl_context *ctx, const bl_graph *g, bl_program **out)
{
    *out = NULL;
    bli_lowering l = {.ctx = ctx};
    bl_status s = bli_arena_create(ctx, &l.arena);
    if (s == BL_OK)
        s = lower_all(&l, g);
    if (s == BL_OK)
        s = bli_builder_finish(l.b, out);
    bli_builder_destroy(l.b);
    bl_graph_destroy(l.g);
    bli_arena_destroy(l.arena);
    return s;
}
