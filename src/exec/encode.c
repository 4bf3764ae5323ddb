/* encode.c: real inputs to codes in their place, with the bits of bli_program_encode, and codes of outputs to real
 * numbers, with those of bli_program_decode.
 *
 * Three ways: one fused loop (saturating integers and fixed point, the roundings that inputs have); num's quantizer and
 * a division (any other format of integer codes that float32 carries); the reference, for the rest.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "exec/exec.h"
#include "num/num.h"

enum { BLOCK = 1024, GRID_BITS = 20 };
enum { BY_REFERENCE, BY_GRID, FUSED };

static bool power_of_two(float v)
{
    int exponent;
    return frexpf(v, &exponent) == 0.5f;
}

/* Step of the codes in float32, as num computes it: the scale, times the fixed point's unit. */
static float step_of(const bli_input *in)
{
    const int unit = in->format.kind == BL_FORMAT_FIXED ? in->format.integer - in->format.bits : 0;
    return (float)ldexp((double)(float)in->grid.scale, unit);
}

static int way_of(const bli_input *in, bli_span codes)
{
    const bl_format *f = &in->format;
    const bool integers = f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT || f->kind == BL_FORMAT_AFFINE;
    const float step = step_of(in);
    const bool power = power_of_two(step);
    if (in->wide || step < FLT_MIN || !isfinite(step) || in->grid.zero_point < -(1 << GRID_BITS) ||
        in->grid.zero_point > 1 << GRID_BITS || codes.low < -(1 << GRID_BITS) || codes.high > 1 << GRID_BITS)
        return BY_REFERENCE;
    if (!integers && f->kind != BL_FORMAT_BINARY && f->kind != BL_FORMAT_TERNARY)
        return BY_REFERENCE;
    const bool saturates = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    const bool rounds = f->rounding == BL_TRN || f->rounding == BL_RND || f->rounding == BL_RND_CONV;
    if (integers && saturates && rounds && in->grid.zero_point >= codes.low && in->grid.zero_point <= codes.high &&
        (!power || step <= 1)) /* a division by more than 1 could vanish, and a floor must not */
        return FUSED;
    return BY_GRID;
}

bl_status bli_encode_plan(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    plan->encode = bli_arena_array(plan->arena, (size_t)p->num_inputs, sizeof *plan->encode);
    if (plan->encode == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < p->num_inputs; i++) {
        const bli_input *in = &p->inputs[i];
        const bli_span codes = bli_wire_hull(&p->wires[i]);
        bli_encode *e = &plan->encode[i];
        e->way = way_of(in, codes);
        e->scale = (float)in->scale;
        e->offset = (float)in->offset;
        e->plain = in->scale == 1 && in->offset == 0;
        e->step = step_of(in);
        e->inverse = power_of_two(e->step) ? 1 / e->step : 0;
        e->rounding = (int)in->format.rounding;
        e->add = (int32_t)in->grid.zero_point;
        e->low = (float)(codes.low - in->grid.zero_point);
        e->high = (float)(codes.high - in->grid.zero_point);
        plan->cost += (double)p->wires[i].count;
    }
    return BL_OK;
}

enum { INT16_REACH = 1 << 15 };

/* Bytes at once. */
static bool at_once(const bli_exec_plan *plan, const bli_place *p, const bli_encode *e)
{
    return e->way == FUSED && p->store == BLI_STORE_8 && plan->kernels->encode8 != NULL && e->low > -INT16_REACH &&
           e->high < INT16_REACH;
}

/* Values on the grid are whole numbers of steps, up to a rounding far below one half. */
static void by_grid(const bli_exec_plan *plan, const bli_input *in, const bli_encode *e, const float *x, int64_t n,
                    int32_t *v)
{
    float y[BLOCK] = {0}; /* a compiler may think that n is below 0 */
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * e->scale + e->offset;
    bli_quantize_f32(&in->format, in->grid.scale, in->grid.zero_point, NULL, 0, y, y, (size_t)n, plan->isa);
    for (int64_t i = 0; i < n; i++)
        v[i] = (int32_t)rintf(y[i] / e->step) + e->add;
}

static void codes_of(const bli_exec_plan *plan, int input, const float *x, int64_t n, int32_t *v)
{
    if (plan->encode[input].way == FUSED)
        plan->kernels->encode(&plan->encode[input], x, n, v);
    else
        by_grid(plan, &plan->program->inputs[input], &plan->encode[input], x, n, v);
}

/* Rows of single bits; a row may be longer than a block, which is a whole number of words. */
static void run_bits(const bli_exec_plan *plan, const bli_place *p, int input, const float *x, int64_t rows, char *to)
{
    int32_t v[BLOCK];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < p->last; i += BLOCK) {
            const int64_t n = p->last - i < BLOCK ? p->last - i : BLOCK;
            codes_of(plan, input, x + r * p->last + i, n, v);
            plan->kernels->bits32(v, n, (int32_t)p->zero,
                                  (uint32_t *)(void *)(to + (size_t)r * p->row + (size_t)i / 8));
        }
}

static bl_status run_reference(const bli_exec_plan *plan, const bli_run *r, int input, const float *x)
{
    const bli_place *p = &plan->places[input];
    int64_t *codes = (int64_t *)(void *)r->scratch;
    for (int64_t i = 0; i < r->samples; i++) {
        BLI_TRY(bli_program_encode(plan->program, input, x + i * p->count, codes));
        bli_place_store(plan->kernels, p, codes, bli_place_at(p, r, i));
    }
    return BL_OK;
}

bl_status bli_encode_run(const bli_exec_plan *plan, const bli_run *r, int input, const float *x)
{
    const bli_place *p = &plan->places[input];
    const int64_t count = p->count * r->samples;
    char *to = bli_place_at(p, r, 0);
    int32_t v[BLOCK];
    if (plan->encode[input].way == BY_REFERENCE)
        return run_reference(plan, r, input, x);
    if (at_once(plan, p, &plan->encode[input])) {
        plan->kernels->encode8(&plan->encode[input], x, count, (int32_t)p->bias, (uint8_t *)to);
        return BL_OK;
    }
    if (p->store == BLI_STORE_BITS) {
        run_bits(plan, p, input, x, p->last > 0 ? count / p->last : 0, to);
        return BL_OK;
    }
    for (int64_t i = 0; i < count; i += BLOCK) {
        const int64_t n = count - i < BLOCK ? count - i : BLOCK;
        codes_of(plan, input, x + i, n, v);
        plan->kernels->store32[p->store](v, n, (int32_t)p->bias, to + ((size_t)i << p->store));
    }
    return BL_OK;
}

/* ---- back to real numbers ------------------------------------------------------------------------------------------
 */

enum { DECODE_EXP = 90 }; /* of 31 bits, by so much a power of two: a float, and no small one */

static bool by_reference(const bli_exec_plan *plan, int output)
{
    const bli_output *o = &plan->program->outputs[output];
    const bli_wire *w = &plan->program->wires[o->wire];
    if (o->wide || o->num_steps > 0 || plan->places[o->wire].store > BLI_STORE_32)
        return true;
    return o->scale == NULL ? w->exp < -DECODE_EXP || w->exp > DECODE_EXP : o->channels > BLOCK;
}

/* A block's scales, or offsets: each channel's, over and over. */
static bl_status spread(const bli_exec_plan *plan, const bli_output *o, const double *v, int64_t block,
                        const float **out)
{
    float *to = bli_arena_array(plan->arena, (size_t)block, sizeof *to);
    *out = to;
    if (to == NULL)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < block; i++)
        to[i] = (float)v[o->channels > 1 ? i % o->channels : 0];
    return BL_OK;
}

bl_status bli_decode_plan(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    plan->decode = bli_arena_array(plan->arena, (size_t)p->num_outputs, sizeof *plan->decode);
    if (plan->decode == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < p->num_outputs; i++) {
        const bli_output *o = &p->outputs[i];
        bli_decode *d = &plan->decode[i];
        *d = (bli_decode){.by_reference = by_reference(plan, i), .block = BLOCK};
        if (d->by_reference)
            continue;
        d->factor = ldexpf(1, p->wires[o->wire].exp);
        d->block = o->channels > 1 ? BLOCK / o->channels * o->channels : BLOCK;
        if (o->scale != NULL)
            BLI_TRY(spread(plan, o, o->scale, d->block, &d->scale));
        if (o->scale != NULL && o->offset != NULL)
            BLI_TRY(spread(plan, o, o->offset, d->block, &d->offset));
    }
    return BL_OK;
}

static void decode_by_reference(const bli_exec_plan *plan, const bli_run *r, int output, void *y)
{
    const bli_output *o = &plan->program->outputs[output];
    const bli_place *p = &plan->places[o->wire];
    int64_t *codes = (int64_t *)(void *)r->scratch;
    for (int64_t i = 0; i < r->samples; i++) {
        bli_place_load(plan->kernels, p, bli_place_at(p, r, i), codes);
        if (o->wide)
            bli_program_decode(plan->program, output, codes, (double *)y + i * p->count);
        else
            bli_program_decode_f32(plan->program, output, codes, (float *)y + i * p->count);
    }
}

void bli_decode_run(const bli_exec_plan *plan, const bli_run *r, int output, void *y)
{
    const bli_decode *d = &plan->decode[output];
    const bli_place *p = &plan->places[plan->program->outputs[output].wire];
    if (d->by_reference || p->constant != NULL) {
        decode_by_reference(plan, r, output, y);
        return;
    }
    const char *from = bli_place_at(p, r, 0);
    const int64_t count = p->count * r->samples;
    int32_t v[BLOCK];
    for (int64_t i = 0; i < count; i += d->block) {
        const int64_t n = count - i < d->block ? count - i : d->block;
        plan->kernels->load32[p->store](from + ((size_t)i << p->store), n, (int32_t)p->bias, v);
        plan->kernels->decode(d, v, n, (float *)y + i);
    }
}
