/* prim_source.c: INPUT and CONST, the wires that ops do not compute. */
#include "program/prim.h"

#include <string.h>

static bl_status given(bli_call *c)
{
    (void)c;
    return BL_OK;
}

static bl_status input_span(bli_call *c)
{
    if (c->is == NULL)
        return bli_call_fail(c, BL_BAD_MODEL, "no input of the program is this wire");
    BLI_TRY(bli_call_spans(c, 1));
    return bli_call_set(c, 0, bli_span_widen(*c->is));
}

static void input_interpret(const bli_work *w)
{
    memcpy(w->y, w->x[0], (size_t)w->out->count * sizeof *w->y);
}

static bl_status const_span(bli_call *c)
{
    BLI_TRY(bli_call_spans(c, c->count));
    for (int64_t i = 0; i < c->count; i++)
        BLI_TRY(bli_call_set(c, i, bli_span_exact(c->op->weight[i])));
    return BL_OK;
}

static void const_interpret(const bli_work *w)
{
    if (w->out->count > 0)
        memcpy(w->y, w->op->weight, (size_t)w->out->count * sizeof *w->y);
}

const bli_prim_rule bli_rule_input = {
    .shape_given = true, .shape = given, .span = input_span, .interpret = input_interpret};
const bli_prim_rule bli_rule_const = {
    .extent = {[BLI_FIELD_WEIGHT] = BLI_EXTENT_COUNT},
    .shape_given = true,
    .shape = given,
    .span = const_span,
    .interpret = const_interpret,
};
