/* program.c: the public door of a program. */
#include "bitlathe/program.h"

#include "program/program.h"

void bl_program_destroy(bl_program *p)
{
    bli_program_destroy(p);
}

const char *bl_program_name(const bl_program *p)
{
    return p->name;
}

bl_status bl_program_print(const bl_program *p, char **text)
{
    return bli_program_print(p, text);
}

bl_status bl_program_parse(bl_context *ctx, const char *text, size_t size, bl_program **out)
{
    return bli_program_parse(ctx, text, size, out);
}

int bl_program_wire_count(const bl_program *p)
{
    return p->num_wires;
}

int bl_program_input_count(const bl_program *p)
{
    return p->num_inputs;
}

int bl_program_output_count(const bl_program *p)
{
    return p->num_outputs;
}

bool bl_program_wire(const bl_program *p, int i, bl_wire_info *out)
{
    *out = (bl_wire_info){.bits = 0};
    if (i < 0 || i >= p->num_wires)
        return false;
    const bli_wire *w = &p->wires[i];
    const bli_span hull = bli_wire_hull(w);
    *out = (bl_wire_info){.name = w->name,
                          .layer = w->layer,
                          .op = bli_prim_word(p->ops[w->producer].kind),
                          .shape = w->shape,
                          .bits = bli_span_bits(&hull),
                          .is_signed = hull.low < 0,
                          .exp = w->exp,
                          .zeros = hull.zeros,
                          .low = hull.low,
                          .high = hull.high,
                          .note = w->note};
    return true;
}

bool bl_program_input(const bl_program *p, int i, bl_port_info *out)
{
    *out = (bl_port_info){.wire = -1};
    if (i < 0 || i >= p->num_inputs)
        return false;
    *out = (bl_port_info){p->inputs[i].name, p->inputs[i].wire, BL_F32, NULL};
    return true;
}

bool bl_program_output(const bl_program *p, int i, bl_port_info *out)
{
    *out = (bl_port_info){.wire = -1};
    if (i < 0 || i >= p->num_outputs)
        return false;
    const bli_output *o = &p->outputs[i];
    *out = (bl_port_info){o->name, o->wire, o->wide ? BL_F64 : BL_F32, o->cut};
    return true;
}
