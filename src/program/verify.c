/* verify.c: a program proven again: every op is inferred anew from its inputs and constants, and must give what its
 * wire says.
 */
#include <math.h>
#include <string.h>

#include "program/build.h"

enum { EXP_MOST = 4096 };

bl_status bli_exp_check(bl_context *ctx, const char *name, int exp)
{
    if (exp < -EXP_MOST || exp > EXP_MOST)
        return bli_fail(ctx, BL_BAD_MODEL, "wire '%s': exp is %d, expected -%d to %d", name, exp, EXP_MOST, EXP_MOST);
    return BL_OK;
}

static bl_status check_reals(bl_context *ctx, const bli_output *o, const double *v, const char *what)
{
    for (int64_t i = 0; v != NULL && i < o->channels; i++)
        if (!isfinite(v[i]))
            return bli_fail(ctx, BL_BAD_MODEL, "output '%s': %s of channel %lld is %g", o->name, what, (long long)i,
                            v[i]);
    return BL_OK;
}

static bl_status check_step(bl_context *ctx, const bli_output *o, const bli_output_step *step)
{
    if (step->op == '\0' || strchr("+-*/", step->op) == NULL || step->number == NULL)
        return bli_fail(ctx, BL_BAD_MODEL, "output '%s': a step is none of + - * / with numbers", o->name);
    BLI_TRY(check_reals(ctx, o, step->number, "step"));
    for (int64_t i = 0; step->op == '/' && i < o->channels; i++)
        if (step->number[i] == 0)
            return bli_fail(ctx, BL_BAD_MODEL, "output '%s': channel %lld is divided by 0", o->name, (long long)i);
    return BL_OK;
}

bl_status bli_output_check(bl_context *ctx, const bli_output *o, const bli_wire *w)
{
    if (o->name == NULL)
        return bli_fail(ctx, BL_BAD_MODEL, "an output of wire '%s' has no name", w->name);
    const int64_t last = bli_last(&w->shape);
    const bool fits =
        o->scale == NULL ? o->channels == 0 && o->offset == NULL : o->channels == 1 || o->channels == last;
    if (!fits)
        return bli_fail(ctx, BL_BAD_MODEL, "output '%s': channels is %lld, expected %s, wire '%s' has %lld", o->name,
                        (long long)o->channels, o->scale == NULL ? "0 and no offset without scale" : "1 or the wire's",
                        w->name, (long long)last);
    if (o->num_steps < 0 || o->num_steps > BLI_OUTPUT_STEPS || (o->num_steps > 0 && o->scale == NULL))
        return bli_fail(ctx, BL_BAD_MODEL, "output '%s': %d steps, expected 0 to %d, and none without scale", o->name,
                        o->num_steps, BLI_OUTPUT_STEPS);
    BLI_TRY(check_reals(ctx, o, o->scale, "scale"));
    BLI_TRY(check_reals(ctx, o, o->offset, "offset"));
    for (int k = 0; k < o->num_steps; k++)
        BLI_TRY(check_step(ctx, o, &o->steps[k]));
    return BL_OK;
}

/* ---- ops -------------------------------------------------------------------------------------------------------- */

static bl_status prepare(const bli_program *p, int i, bli_call *c, bli_span *is)
{
    const bli_prim_op *op = c->op;
    if (op->out != i)
        return bli_call_fail(c, BL_BAD_MODEL, "op %d makes wire %d", i, op->out);
    for (int k = 0; k < op->num_in && k < BLI_PRIM_MAX_IN; k++) {
        if (op->in[k] < 0 || op->in[k] >= i)
            return bli_call_fail(c, BL_BAD_MODEL, "input %d is wire %d, which is not before it", k, op->in[k]);
        c->in[k] = &p->wires[op->in[k]];
    }
    if ((op->kind == BLI_PRIM_INPUT) != (i < p->num_inputs))
        return bli_call_fail(c, BL_BAD_MODEL, "the program's %d inputs come first, and nothing else does",
                             p->num_inputs);
    if (i < p->num_inputs) {
        BLI_TRY(bli_input_span(p->ctx, &p->inputs[i], is));
        c->is = is;
    }
    if (bli_prim_rules[op->kind]->shape_given)
        c->shape = p->wires[i].shape;
    return BL_OK;
}

static bl_status compare_spans(const bli_call *c, const bli_wire *w)
{
    bool same = w->spans != NULL && w->num_spans == c->num_spans;
    for (int64_t i = 0; same && i < w->num_spans; i++)
        same = bli_span_equal(w->spans[i], c->spans[i]);
    return same ? BL_OK : bli_call_fail(c, BL_BAD_MODEL, "its spans are not those that its inputs and constants prove");
}

static bl_status compare(const bli_program *p, int i, const bli_call *c)
{
    const bli_wire *w = &p->wires[i];
    if (!bl_shape_equal(&w->shape, &c->shape) || w->count != c->count)
        return bli_call_fail(c, BL_BAD_MODEL, "its shape is not that of its op");
    if (w->producer != i)
        return bli_call_fail(c, BL_BAD_MODEL, "its producer is given as op %d, not %d", w->producer, i);
    if (i < p->num_inputs && w->exp != bli_input_exp(&p->inputs[i]))
        return bli_call_fail(c, BL_BAD_MODEL, "its exp is %d, its format's %d", w->exp, bli_input_exp(&p->inputs[i]));
    BLI_TRY(bli_exp_check(p->ctx, c->name, w->exp));
    return compare_spans(c, w);
}

static bl_status verify_op(const bli_program *p, int i)
{
    const char *name = p->wires[i].name;
    if (name == NULL || *name == '\0' || p->wires[i].layer == NULL)
        return bli_fail(p->ctx, BL_BAD_MODEL, "wire %d has no name or no layer", i);
    bli_call c = {.ctx = p->ctx, .op = &p->ops[i], .name = name};
    bli_span is;
    if ((unsigned)c.op->kind >= BLI_PRIM_COUNT)
        return bli_call_fail(&c, BL_BAD_MODEL, "kind %d is no primitive", (int)c.op->kind);
    BLI_TRY(prepare(p, i, &c, &is));
    BLI_TRY(bli_arena_create(p->ctx, &c.scratch));
    bl_status s = bli_call_infer(&c);
    if (s == BL_OK)
        s = compare(p, i, &c);
    bli_arena_destroy(c.scratch);
    return s;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static bl_status verify_uses(const bli_program *p, int *uses)
{
    for (int i = 0; i < p->num_ops; i++)
        for (int k = 0; k < p->ops[i].num_in; k++)
            uses[p->ops[i].in[k]]++;
    for (int i = 0; i < p->num_outputs; i++)
        uses[p->outputs[i].wire]++;
    for (int i = 0; i < p->num_wires; i++)
        if (uses[i] != p->wires[i].uses)
            return bli_fail(p->ctx, BL_BAD_MODEL, "wire '%s' (%s): %d uses are given, there are %d", p->wires[i].name,
                            bli_prim_word(p->ops[i].kind), p->wires[i].uses, uses[i]);
    return BL_OK;
}

/* Open addressing over twice as many slots. */
static bl_status verify_names(const bli_program *p, int *slots, size_t num_slots)
{
    for (int i = 0; i < p->num_wires; i++) {
        size_t k = (size_t)bli_hash_str(p->wires[i].name) % num_slots;
        for (; slots[k] != 0; k = (k + 1) % num_slots)
            if (strcmp(p->wires[slots[k] - 1].name, p->wires[i].name) == 0)
                return bli_fail(p->ctx, BL_BAD_MODEL, "two wires are named '%s'", p->wires[i].name);
        slots[k] = i + 1;
    }
    return BL_OK;
}

static bl_status verify_outputs(const bli_program *p)
{
    for (int i = 0; i < p->num_outputs; i++) {
        const bli_output *o = &p->outputs[i];
        if (o->wire < 0 || o->wire >= p->num_wires)
            return bli_fail(p->ctx, BL_BAD_MODEL, "output %d is wire %d of %d", i, o->wire, p->num_wires);
        BLI_TRY(bli_output_check(p->ctx, o, &p->wires[o->wire]));
        for (int k = 0; k < i; k++)
            if (strcmp(p->outputs[k].name, o->name) == 0)
                return bli_fail(p->ctx, BL_BAD_MODEL, "two outputs are named '%s'", o->name);
    }
    return BL_OK;
}

bl_status bli_program_verify(const bli_program *p)
{
    if (p->num_wires != p->num_ops || p->num_inputs < 0 || p->num_inputs > p->num_wires || p->num_outputs < 0)
        return bli_fail(p->ctx, BL_BAD_MODEL, "%d wires, %d ops, %d inputs and %d outputs do not make a program",
                        p->num_wires, p->num_ops, p->num_inputs, p->num_outputs);
    for (int i = 0; i < p->num_inputs; i++)
        if (p->inputs[i].wire != i || p->inputs[i].name == NULL)
            return bli_fail(p->ctx, BL_BAD_MODEL, "input %d has no name, or is wire %d", i, p->inputs[i].wire);
    for (int i = 0; i < p->num_ops; i++)
        BLI_TRY(verify_op(p, i));
    BLI_TRY(verify_outputs(p));
    const size_t count = (size_t)p->num_wires, num_slots = 2 * count + 1;
    int *room = bli_alloc_array(p->ctx, count + num_slots, sizeof *room);
    if (room == NULL)
        return BL_NO_MEMORY;
    bl_status s = verify_uses(p, room);
    if (s == BL_OK)
        s = verify_names(p, room + count, num_slots);
    bli_free(p->ctx, room);
    return s;
}
