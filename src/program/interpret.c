/* interpret.c: the reference: one sample through every op, each by the plain loop of its rule.
 *
 * Codes of inputs are checked against their spans, since tables trust them; that every other code stays within its own
 * is the proof's word, checked only in debug builds.
 */
#include "program/prim.h"

static bl_status check_codes(const bli_program *p, int wire, const int64_t *codes, bl_status failure)
{
    const bli_wire *w = &p->wires[wire];
    for (int64_t i = 0; i < w->count; i++) {
        const bli_span s = bli_wire_span(w, i);
        const uint64_t rest = s.zeros >= BLI_ZEROS_OF_ZERO ? (uint64_t)codes[i] : ((uint64_t)1 << s.zeros) - 1;
        if (codes[i] < s.low || codes[i] > s.high || ((uint64_t)codes[i] & rest) != 0)
            return bli_fail(p->ctx, failure,
                            "wire '%s' (%s): code %lld of element %lld is outside of %lld .. %lld, "
                            "multiples of 2^%d",
                            w->name, bli_prim_word(p->ops[wire].kind), (long long)codes[i], (long long)i,
                            (long long)s.low, (long long)s.high, s.zeros);
    }
    return BL_OK;
}

/* A span cannot say that 0 is no code of binary. */
static bl_status check_binary(const bli_program *p, int input, const int64_t *codes)
{
    for (int64_t i = 0; p->inputs[input].format.kind == BL_FORMAT_BINARY && i < p->wires[input].count; i++)
        if (codes[i] == 0)
            return bli_fail(p->ctx, BL_BAD_VALUE, "wire '%s' (input): code 0 of element %lld is no code of binary",
                            p->wires[input].name, (long long)i);
    return BL_OK;
}

bl_status bli_program_interpret(const bli_program *p, const int64_t *const *codes, int64_t **wires)
{
    for (int i = 0; i < p->num_inputs; i++) {
        BLI_TRY(check_codes(p, i, codes[i], BL_BAD_VALUE));
        BLI_TRY(check_binary(p, i, codes[i]));
    }
    for (int i = 0; i < p->num_ops; i++) {
        const bli_prim_op *op = &p->ops[i];
        bli_work w = {.op = op, .out = &p->wires[i], .y = wires[i]};
        for (int k = 0; k < op->num_in; k++) {
            w.in[k] = &p->wires[op->in[k]];
            w.x[k] = wires[op->in[k]];
        }
        if (op->kind == BLI_PRIM_INPUT)
            w.x[0] = codes[i];
        bli_prim_rules[op->kind]->interpret(&w);
        if (bli_debug_build)
            BLI_TRY(check_codes(p, i, wires[i], BL_MISMATCH));
    }
    return BL_OK;
}
