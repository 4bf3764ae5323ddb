/* prim_shape.c: GATHER, RESHAPE and CONCAT: elements go elsewhere, none changes. */
#include "program/prim.h"

#include <string.h>

/* ---- GATHER ----------------------------------------------------------------------------------------------------- */

static bl_status given(bli_call *c)
{
    (void)c;
    return BL_OK;
}

static bl_status gather_check(const bli_call *c)
{
    for (int64_t i = 0; i < c->count; i++)
        if (c->op->index[i] >= c->in[0]->count)
            return bli_call_fail(c, BL_BAD_MODEL, "index of element %lld is %lld, the input has %lld elements",
                                 (long long)i, (long long)c->op->index[i], (long long)c->in[0]->count);
    return BL_OK;
}

static bl_status gather_span(bli_call *c)
{
    BLI_TRY(bli_call_spans(c, c->count));
    for (int64_t i = 0; i < c->count; i++) {
        const int64_t from = c->op->index[i];
        BLI_TRY(bli_call_set(c, i, from < 0 ? bli_span_exact(c->op->fill) : bli_call_at(c, 0, from)));
    }
    return BL_OK;
}

static void gather_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++)
        w->y[i] = w->op->index[i] < 0 ? w->op->fill : w->x[0][w->op->index[i]];
}

const bli_prim_rule bli_rule_gather = {
    .fields = BLI_HAS(FILL),
    .extent = {[BLI_FIELD_INDEX] = BLI_EXTENT_COUNT},
    .shape_given = true,
    .shape = given,
    .check = gather_check,
    .span = gather_span,
    .interpret = gather_interpret,
};

/* ---- RESHAPE ---------------------------------------------------------------------------------------------------- */

static bl_status reshape_shape(bli_call *c)
{
    const int64_t count = bl_shape_count(&c->shape);
    if (count != c->in[0]->count)
        return bli_call_fail(c, BL_BAD_MODEL, "%lld elements from %lld", (long long)count, (long long)c->in[0]->count);
    return BL_OK;
}

static bl_status reshape_span(bli_call *c)
{
    const bli_wire *w = c->in[0];
    const int64_t last = bli_last(&c->shape);
    const bool keeps = w->num_spans == 1 || (w->num_spans == last && bli_last(&w->shape) == last);
    BLI_TRY(bli_call_spans(c, keeps ? w->num_spans : c->count));
    for (int64_t i = 0; i < c->num_spans; i++)
        BLI_TRY(bli_call_set(c, i, bli_call_at(c, 0, i)));
    return BL_OK;
}

static void reshape_interpret(const bli_work *w)
{
    memcpy(w->y, w->x[0], (size_t)w->out->count * sizeof *w->y);
}

const bli_prim_rule bli_rule_reshape = {
    .shape_given = true, .shape = reshape_shape, .span = reshape_span, .interpret = reshape_interpret};

/* ---- CONCAT ----------------------------------------------------------------------------------------------------- */

static bl_status concat_shape(bli_call *c)
{
    const int axis = c->op->axis;
    c->shape = c->in[0]->shape;
    if (axis < 0 || axis >= c->shape.rank)
        return bli_call_fail(c, BL_BAD_MODEL, "axis %d of wires of rank %d", axis, c->shape.rank);
    for (int k = 1; k < c->op->num_in; k++) {
        const bl_shape *s = &c->in[k]->shape;
        bool fits = s->rank == c->shape.rank;
        for (int d = 0; fits && d < s->rank; d++)
            fits = d == axis || s->dim[d] == c->shape.dim[d];
        if (!fits)
            return bli_call_fail(c, BL_BAD_MODEL, "input %d differs from the first in more than axis %d", k, axis);
        c->shape.dim[axis] += s->dim[axis];
    }
    return BL_OK;
}

/* Blocks of consecutive elements: of input k, dimensions from the axis on. */
static int64_t block_of(const bl_shape *s, int axis)
{
    int64_t n = 1;
    for (int d = axis; d < s->rank; d++)
        n *= s->dim[d];
    return n;
}

/* The input, and its element, that element i of the result is. */
static int concat_find(const bli_prim_op *op, const bli_wire *const *in, const bl_shape *out, int64_t i,
                       int64_t *element)
{
    const int64_t block = block_of(out, op->axis), outer = i / block;
    int64_t rest = i % block;
    int k = 0;
    for (; k < op->num_in - 1 && rest >= block_of(&in[k]->shape, op->axis); k++)
        rest -= block_of(&in[k]->shape, op->axis);
    *element = outer * block_of(&in[k]->shape, op->axis) + rest;
    return k;
}

static bl_status concat_span(bli_call *c)
{
    bool row = c->op->axis == c->shape.rank - 1;
    for (int k = 0; row && k < c->op->num_in; k++)
        row = c->in[k]->count == 0 || bli_by_channel(c->in[k]);
    BLI_TRY(bli_call_spans(c, row ? bli_last(&c->shape) : c->count));
    for (int64_t i = 0; i < c->num_spans; i++) {
        int64_t element;
        const int k = concat_find(c->op, c->in, &c->shape, i, &element);
        BLI_TRY(bli_call_set(c, i, bli_call_at(c, k, element)));
    }
    return BL_OK;
}

static void concat_interpret(const bli_work *w)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        int64_t element;
        const int k = concat_find(w->op, w->in, &w->out->shape, i, &element);
        w->y[i] = w->x[k][element];
    }
}

const bli_prim_rule bli_rule_concat = {
    .fields = BLI_HAS(AXIS), .shape = concat_shape, .span = concat_span, .interpret = concat_interpret};
