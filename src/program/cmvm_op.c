/* cmvm_op.c: see the header. */
#include "program/cmvm_op.h"

static int64_t channels_of(const bli_program *p, const bli_prim_op *op)
{
    const bl_shape *s = &p->wires[op->in[0]].shape;
    return s->dim[s->rank - 1];
}

static int64_t places_of(const bli_prim_op *op)
{
    return op->kind == BLI_PRIM_CONV ? (int64_t)op->window.kernel[0] * op->window.kernel[1] : 1;
}

static void fill_matrix(const bli_program *p, const bli_prim_op *op, int64_t *matrix)
{
    const int64_t channels = channels_of(p, op), places = places_of(op), m = op->channels;
    if (op->kind == BLI_PRIM_DENSE) {
        for (int64_t i = 0; i < channels * m; i++)
            matrix[i] = op->weight[i];
        return;
    }
    const int64_t per = channels / op->window.groups, outputs = m / op->window.groups;
    for (int64_t c = 0; c < m; c++)
        for (int64_t t = 0; t < places; t++)
            for (int64_t k = 0; k < per; k++)
                matrix[(t * channels + c / outputs * per + k) * m + c] = op->weight[(c * places + t) * per + k];
}

static void fill_inputs(const bli_program *p, const bli_prim_op *op, int64_t taps, bli_cmvm_input *input)
{
    const bli_wire *w = &p->wires[op->in[0]];
    const bool alone = op->kind == BLI_PRIM_DENSE && w->count == taps;
    bli_span hull = bli_wire_hull(w);
    if (op->kind == BLI_PRIM_CONV) {
        hull.low = hull.low < 0 ? hull.low : 0;
        hull.high = hull.high > 0 ? hull.high : 0;
    }
    for (int64_t i = 0; i < taps; i++) {
        const bli_span s = alone ? bli_wire_span(w, i) : hull;
        input[i] = (bli_cmvm_input){s.low, s.high, s.zeros > 62 ? 62 : s.zeros};
    }
}

bl_status bli_cmvm_op_problem(const bli_program *p, const bli_prim_op *op, bli_arena *arena, bli_cmvm_problem *out)
{
    const int64_t taps = channels_of(p, op) * places_of(op);
    int64_t *matrix = bli_arena_array(arena, (size_t)(taps * op->channels) + 1, sizeof *matrix);
    bli_cmvm_input *input = bli_arena_array(arena, (size_t)taps + 1, sizeof *input);
    if (matrix == NULL || input == NULL)
        return BL_NO_MEMORY;
    fill_matrix(p, op, matrix);
    fill_inputs(p, op, taps, input);
    *out = (bli_cmvm_problem){(int32_t)taps, (int32_t)op->channels, matrix, input, op->bias};
    return BL_OK;
}
