/* table.c: Table, a function of values on a grid by its values (evaluation only, run/form_tables.c).
 *
 * x is a multiple of 2^exp and lies within the table: y = values[x / 2^exp - first].  The values are on a grid of their
 * own, so that the integer program's TABLE is the same function.  `function` and `error` say what the values stand for
 * and how far the farthest of them is from it.
 */
#include <math.h>
#include <stdio.h>

#include "op/infer.h"
#include "op/lower.h"

#define REAL_TEMPLATE "op/table.inc"
#include "op/real.h"

static bl_status infer(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    BLI_TRY(bli_infer_real(i, 1));
    if (i->in[1]->shape.rank != 1 || i->in[1]->shape.dim[0] < 1)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 1 (values) must be one row of at least one number");
    return bli_infer_same(i);
}

static bl_status forward(const bli_call *c)
{
    const double first = (double)bl_node_int(c->node, "first", 0), per = ldexp(1, -(int)bl_node_int(c->node, "exp", 0));
    BLI_REAL_CALL(c->out[0].type, table, c->in[0].data, c->in[1].data, first, per, c->in[1].shape.dim[0],
                  c->out[0].data, bli_count(&c->in[0]));
    return BL_OK;
}

/* The grid of the values. */
static void range(bli_range_call *r)
{
    const bl_value *v = r->in[1];
    if (!v->data || v->shape.dim[0] < 1)
        return;
    bli_range y = bli_range_of_value(bli_real_at(v->type, v->data, 0));
    for (int64_t i = 1; i < v->shape.dim[0]; i++)
        y = bli_range_join(y, bli_range_of_value(bli_real_at(v->type, v->data, (size_t)i)));
    r->range_out[0] = y;
}

static bl_status lower(bli_lower_call *c)
{
    const bli_wire *x = bli_lower_wire(c, 0);
    const int64_t n = bl_shape_count(&c->known[1].shape), first = bl_node_int(c->node, "first", 0);
    const int exp = (int)bl_node_int(c->node, "exp", 0);
    int64_t *codes;
    int wire, grid;
    bool ok;
    char note[128];
    BLI_TRY(bli_lower_codes(c, &c->known[1], &codes, &grid, &ok));
    if (!ok || x->exp < exp)
        return bli_lower_refuse(c, "its table does not fit '%s'", c->in[0]->name);
    BLI_TRY(bli_lower_align(c, c->x[0].wire, exp, &wire));
    const bli_prim_op op = {
        .kind = BLI_PRIM_TABLE, .num_in = 1, .in = {wire}, .channels = 1, .first = first, .length = n, .table = codes};
    BLI_TRY(bli_lower_add(c, &op, NULL, NULL, grid, &c->y[0].wire));
    snprintf(note, sizeof note, "%s, at most %.3g off", bl_node_string(c->node, "function", "a function"),
             bl_node_float(c->node, "error", 0) * 1.005); /* of three digits, upwards */
    return bli_builder_note(c->b, c->y[0].wire, note);
}

static const bli_attr_spec attrs[] = {{"first", BL_ATTR_INT, true},
                                      {"exp", BL_ATTR_INT, true},
                                      {"function", BL_ATTR_STRING, false},
                                      {"error", BL_ATTR_FLOAT, false},
                                      {NULL, BL_ATTR_INT, false}};
const bli_op bli_op_table = {
    .schema = {"Table", BLI_DOMAIN_OWN, 2, 2, 1, attrs, infer, "a function by its values (evaluation only)"},
    .flags = BLI_OP_ELEMENTWISE,
    .forward = forward,
    .range = range,
    .lower = lower,
};
