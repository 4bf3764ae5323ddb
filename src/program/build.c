/* build.c: a program from its first wire to its last.
 *
 * Ops append; each is inferred at once (prim.c), so that a fault is found where it is made.  Finishing marks what the
 * outputs need, moves inputs to the front, renumbers and verifies.  Everything lives in the arena that becomes the
 * program's; arrays that grow leave their old half behind in it.
 */
#include "program/build.h"

#include <stdio.h>
#include <string.h>

struct bli_builder {
    bl_context *ctx;
    bli_arena *arena;
    const char *name;
    int count, capacity; /* wires and ops */
    bli_wire *wires;
    bli_prim_op *ops;
    int num_inputs, input_capacity;
    bli_input *inputs;
    int num_outputs, output_capacity;
    bli_output *outputs;
    int *slots; /* names of wires by hash: wire + 1, or 0; a power of two of them, at most half full */
    size_t num_slots;
};

bl_status bli_builder_create(bl_context *ctx, const char *name, bli_builder **out)
{
    *out = NULL;
    bli_builder *b = bli_alloc(ctx, sizeof *b);
    if (b == NULL)
        return BL_NO_MEMORY;
    b->ctx = ctx;
    bl_status s = bli_arena_create(ctx, &b->arena);
    if (s == BL_OK && (b->name = bli_arena_strdup(b->arena, name != NULL ? name : "")) == NULL)
        s = BL_NO_MEMORY;
    if (s != BL_OK) {
        bli_builder_destroy(b);
        return s;
    }
    *out = b;
    return BL_OK;
}

void bli_builder_destroy(bli_builder *b)
{
    if (b == NULL)
        return;
    bli_arena_destroy(b->arena);
    bli_free(b->ctx, b);
}

const bli_wire *bli_builder_wire(const bli_builder *b, int wire)
{
    return wire >= 0 && wire < b->count ? &b->wires[wire] : NULL;
}

bl_status bli_builder_note(bli_builder *b, int wire, const char *note)
{
    b->wires[wire].note = bli_arena_strdup(b->arena, note);
    return b->wires[wire].note ? BL_OK : BL_NO_MEMORY;
}

/* ---- growing ---------------------------------------------------------------------------------------------------- */

/* Room for one more element; a copy of the old ones. */
static bl_status grow(bli_arena *arena, void **array, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return BL_OK;
    int more = *capacity == 0 ? 16 : *capacity * 2;
    void *bigger = bli_arena_array(arena, (size_t)more, size);
    if (bigger == NULL)
        return BL_NO_MEMORY;
    if (count > 0)
        memcpy(bigger, *array, (size_t)count * size);
    *array = bigger;
    *capacity = more;
    return BL_OK;
}

static bl_status grow_ops(bli_builder *b)
{
    if (b->count >= 1 << 24)
        return bli_fail(b->ctx, BL_LIMIT, "a program of more than %d ops", 1 << 24);
    int capacity = b->capacity;
    void *wires = b->wires, *ops = b->ops;
    BLI_TRY(grow(b->arena, &wires, b->count, &capacity, sizeof *b->wires));
    capacity = b->capacity;
    BLI_TRY(grow(b->arena, &ops, b->count, &capacity, sizeof *b->ops));
    b->wires = wires;
    b->ops = ops;
    b->capacity = capacity;
    return BL_OK;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static size_t slot_of(const bli_builder *b, const char *name)
{
    size_t i = (size_t)bli_hash_str(name) & (b->num_slots - 1);
    while (b->slots[i] != 0 && strcmp(b->wires[b->slots[i] - 1].name, name) != 0)
        i = (i + 1) & (b->num_slots - 1);
    return i;
}

static bl_status grow_slots(bli_builder *b)
{
    if ((size_t)b->count * 2 + 2 <= b->num_slots)
        return BL_OK;
    size_t more = b->num_slots == 0 ? 64 : b->num_slots * 4;
    int *slots = bli_arena_array(b->arena, more, sizeof *slots);
    if (slots == NULL)
        return BL_NO_MEMORY;
    b->slots = slots;
    b->num_slots = more;
    for (int i = 0; i < b->count; i++)
        b->slots[slot_of(b, b->wires[i].name)] = i + 1;
    return BL_OK;
}

/* name, or the first of name_2, name_3 ... that no wire has. */
static bl_status free_name(bli_builder *b, const char *name, const char **out)
{
    BLI_TRY(grow_slots(b));
    const size_t size = strlen(name) + 16;
    char *text = bli_arena_alloc(b->arena, size);
    if (text == NULL)
        return BL_NO_MEMORY;
    memcpy(text, name, strlen(name) + 1);
    for (int k = 2; *text == '\0' || b->slots[slot_of(b, text)] != 0; k++)
        snprintf(text, size, "%s_%d", name, k);
    *out = text;
    return BL_OK;
}

/* ---- copies ----------------------------------------------------------------------------------------------------- */

static bl_status copy(bli_arena *arena, const void *from, int64_t count, size_t size, const void **out)
{
    *out = NULL;
    void *to = bli_arena_array(arena, (size_t)count, size);
    if (to == NULL)
        return BL_NO_MEMORY;
    if (count > 0)
        memcpy(to, from, (size_t)count * size);
    *out = to;
    return BL_OK;
}

static bl_status copy_arrays(bli_builder *b, const bli_call *c, bli_prim_op *op)
{
    for (int f = 0; f < BLI_FIELD_COUNT; f++) {
        if (bli_prim_rules[op->kind]->extent[f] == BLI_EXTENT_NONE)
            continue;
        const int64_t **array = bli_field_array(op, (bli_field)f);
        const void *ours = NULL;
        if (*array != NULL)
            BLI_TRY(copy(b->arena, *array, bli_call_extent(c, (bli_field)f), sizeof **array, &ours));
        *array = ours;
    }
    return BL_OK;
}

/* ---- ops -------------------------------------------------------------------------------------------------------- */

static bl_status prepare(bli_builder *b, const bli_prim_op *spec, const char *name, const bl_shape *shape, int exp,
                         bli_call *c)
{
    BLI_TRY(bli_exp_check(b->ctx, name, exp));
    if ((unsigned)spec->kind >= BLI_PRIM_COUNT)
        return bli_fail(b->ctx, BL_BAD_MODEL, "wire '%s': kind %d is no primitive", name, (int)spec->kind);
    const bool given = bli_prim_rules[spec->kind]->shape_given;
    if (given != (shape != NULL))
        return bli_fail(b->ctx, BL_USAGE, "wire '%s': the shape of %s is %s", name, bli_prim_word(spec->kind),
                        given ? "the caller's to give" : "computed, not given");
    for (int k = 0; k < spec->num_in && k < BLI_PRIM_MAX_IN; k++) {
        if (spec->in[k] < 0 || spec->in[k] >= b->count)
            return bli_fail(b->ctx, BL_BAD_MODEL, "wire '%s': input %d is wire %d, of %d so far", name, k, spec->in[k],
                            b->count);
        c->in[k] = &b->wires[spec->in[k]];
    }
    if (given)
        c->shape = *shape;
    return BL_OK;
}

static bl_status append(bli_builder *b, const bli_call *c, const char *layer, int exp, int *out)
{
    bli_prim_op op = *c->op;
    op.out = b->count;
    for (int k = op.num_in; k < BLI_PRIM_MAX_IN; k++)
        op.in[k] = 0;
    BLI_TRY(copy_arrays(b, c, &op));
    bli_wire w = {.shape = c->shape, .count = c->count, .num_spans = c->num_spans, .exp = exp, .producer = b->count};
    const void *spans;
    BLI_TRY(free_name(b, c->name, &w.name));
    BLI_TRY(copy(b->arena, c->spans, c->num_spans, sizeof *c->spans, &spans));
    w.spans = spans;
    w.layer = bli_arena_strdup(b->arena, layer != NULL ? layer : "");
    if (w.layer == NULL)
        return BL_NO_MEMORY;
    b->ops[b->count] = op;
    b->wires[b->count] = w;
    b->slots[slot_of(b, w.name)] = b->count + 1;
    *out = b->count++;
    return BL_OK;
}

static bl_status add(bli_builder *b, const bli_prim_op *spec, const bli_span *is, const char *name, const char *layer,
                     const bl_shape *shape, int exp, int *out)
{
    *out = -1;
    bli_call c = {.ctx = b->ctx, .op = spec, .name = name != NULL ? name : "", .is = is};
    BLI_TRY(grow_ops(b));
    BLI_TRY(prepare(b, spec, c.name, shape, exp, &c));
    BLI_TRY(bli_arena_create(b->ctx, &c.scratch));
    bl_status s = bli_call_infer(&c);
    if (s == BL_OK)
        s = append(b, &c, layer, exp, out);
    bli_arena_destroy(c.scratch);
    return s;
}

bl_status bli_builder_add(bli_builder *b, const bli_prim_op *spec, const char *name, const char *layer,
                          const bl_shape *shape, int exp, int *out)
{
    return add(b, spec, NULL, name, layer, shape, exp, out);
}

bl_status bli_builder_input(bli_builder *b, const bli_input *input, const char *layer, const bl_shape *shape, int *out)
{
    *out = -1;
    bli_span is;
    BLI_TRY(bli_input_span(b->ctx, input, &is));
    void *inputs = b->inputs;
    BLI_TRY(grow(b->arena, &inputs, b->num_inputs, &b->input_capacity, sizeof *b->inputs));
    b->inputs = inputs;
    bli_input ours = *input;
    ours.name = bli_arena_strdup(b->arena, input->name != NULL ? input->name : "");
    if (ours.name == NULL)
        return BL_NO_MEMORY;
    const bli_prim_op op = {.kind = BLI_PRIM_INPUT};
    BLI_TRY(add(b, &op, &is, ours.name, layer, shape, bli_input_exp(input), out));
    ours.wire = *out;
    b->inputs[b->num_inputs++] = ours;
    return BL_OK;
}

static bl_status copy_reals(bli_builder *b, const double **array, int64_t count)
{
    const void *ours = NULL;
    if (*array != NULL)
        BLI_TRY(copy(b->arena, *array, count, sizeof **array, &ours));
    *array = ours;
    return BL_OK;
}

bl_status bli_builder_output(bli_builder *b, const bli_output *output)
{
    if (bli_builder_wire(b, output->wire) == NULL)
        return bli_fail(b->ctx, BL_BAD_MODEL, "output '%s': there is no wire %d", output->name, output->wire);
    BLI_TRY(bli_output_check(b->ctx, output, &b->wires[output->wire]));
    void *outputs = b->outputs;
    BLI_TRY(grow(b->arena, &outputs, b->num_outputs, &b->output_capacity, sizeof *b->outputs));
    b->outputs = outputs;
    bli_output ours = *output;
    BLI_TRY(copy_reals(b, &ours.scale, ours.channels));
    BLI_TRY(copy_reals(b, &ours.offset, ours.channels));
    for (int k = 0; k < ours.num_steps; k++)
        BLI_TRY(copy_reals(b, &ours.steps[k].number, ours.channels));
    ours.name = bli_arena_strdup(b->arena, output->name);
    ours.cut = output->cut != NULL ? bli_arena_strdup(b->arena, output->cut) : NULL;
    if (ours.name == NULL || (output->cut != NULL && ours.cut == NULL))
        return BL_NO_MEMORY;
    b->outputs[b->num_outputs++] = ours;
    return BL_OK;
}

/* ---- finishing -------------------------------------------------------------------------------------------------- */

/* Marks what outputs need, inputs always; number[i]: the new number of wire i, or -1. */
static int renumber(const bli_builder *b, int *number)
{
    for (int i = 0; i < b->num_outputs; i++)
        number[b->outputs[i].wire] = 1;
    for (int i = b->count - 1; i >= 0; i--)
        for (int k = 0; number[i] != 0 && k < b->ops[i].num_in; k++)
            number[b->ops[i].in[k]] = 1;
    int next = 0;
    for (int i = 0; i < b->num_inputs; i++)
        number[b->inputs[i].wire] = -1 - next++; /* below zero: settled */
    for (int i = 0; i < b->count; i++)
        number[i] = number[i] < 0 ? -1 - number[i] : number[i] > 0 ? next++ : -1;
    return next;
}

static void move(const bli_builder *b, const int *number, bli_program *p)
{
    for (int i = 0; i < b->count; i++) {
        const int to = number[i];
        if (to < 0)
            continue;
        p->ops[to] = b->ops[i];
        p->ops[to].out = to;
        for (int k = 0; k < b->ops[i].num_in; k++)
            p->ops[to].in[k] = number[b->ops[i].in[k]];
        p->wires[to] = b->wires[i];
        p->wires[to].producer = to;
    }
    for (int i = 0; i < p->num_inputs; i++)
        p->inputs[i].wire = number[p->inputs[i].wire];
    for (int i = 0; i < p->num_outputs; i++)
        p->outputs[i].wire = number[p->outputs[i].wire];
    for (int i = 0; i < p->num_ops; i++)
        for (int k = 0; k < p->ops[i].num_in; k++)
            p->wires[p->ops[i].in[k]].uses++;
    for (int i = 0; i < p->num_outputs; i++)
        p->wires[p->outputs[i].wire].uses++;
}

static bl_status assemble(bli_builder *b, bli_program **out)
{
    bli_program *p = bli_arena_alloc(b->arena, sizeof *p);
    int *number = bli_arena_array(b->arena, (size_t)b->count, sizeof *number);
    if (p == NULL || number == NULL)
        return BL_NO_MEMORY;
    const int count = renumber(b, number);
    *p = (bli_program){.ctx = b->ctx,
                       .name = b->name,
                       .num_wires = count,
                       .num_ops = count,
                       .num_inputs = b->num_inputs,
                       .num_outputs = b->num_outputs,
                       .inputs = b->inputs,
                       .outputs = b->outputs};
    p->wires = bli_arena_array(b->arena, (size_t)count, sizeof *p->wires);
    p->ops = bli_arena_array(b->arena, (size_t)count, sizeof *p->ops);
    if (p->wires == NULL || p->ops == NULL)
        return BL_NO_MEMORY;
    move(b, number, p);
    *out = p;
    return BL_OK;
}

bl_status bli_builder_finish(bli_builder *b, bli_program **out)
{
    *out = NULL;
    bli_program *p = NULL;
    BLI_TRY(assemble(b, &p));
    BLI_TRY(bli_program_verify(p));
    p->arena = b->arena;
    b->arena = NULL;
    b->count = b->capacity = b->num_inputs = b->num_outputs = 0;
    b->input_capacity = b->output_capacity = 0;
    b->num_slots = 0;
    *out = p;
    return BL_OK;
}

void bli_program_destroy(bli_program *p)
{
    if (p != NULL)
        bli_arena_destroy(p->arena);
}
