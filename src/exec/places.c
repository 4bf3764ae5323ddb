/* places.c: where each wire's codes are kept: how wide, and where in the workspace.
 *
 * A wire is as narrow as its range; a product may ask its input to be wider (constants of 16 bits, sums of 64).  A
 * reshaped wire is its input.  Memory is shared between wires that are not alive together.
 */
#include <string.h>

#include "exec/exec.h"

static bli_store store_of(bli_span hull)
{
    const int64_t low = hull.low < 0 ? hull.low : 0, high = hull.high > 0 ? hull.high : 0;
    if (low >= -255 && high <= 255 && high - low <= 255)
        return BLI_STORE_8;
    if (low >= INT16_MIN && high <= INT16_MAX)
        return BLI_STORE_16;
    return low >= INT32_MIN && high <= INT32_MAX ? BLI_STORE_32 : BLI_STORE_64;
}

bool bli_two_codes(const bli_program *p, int wire, int64_t *zero, int64_t *one)
{
    const bli_prim_op *op = &p->ops[wire];
    const bli_span hull = bli_wire_hull(&p->wires[wire]);
    *zero = hull.low;
    *one = hull.high;
    if ((uint64_t)hull.high - (uint64_t)hull.low == 1)
        return true;
    if (op->kind == BLI_PRIM_INPUT)
        return p->inputs[wire].format.kind == BL_FORMAT_BINARY;
    if (op->kind != BLI_PRIM_THRESHOLD || op->length != 1)
        return false;
    for (int64_t c = 0; c < op->channels; c++) {
        const int64_t low = op->base[c], high = (int64_t)((uint64_t)low + (uint64_t)op->step[c]);
        if ((low != *zero && low != *one) || (high != *zero && high != *one))
            return false;
    }
    return op->channels > 0 && *zero != *one;
}

/* Only products of single bits read bits. */
static bool only_bit_readers(const bli_exec_plan *plan, int wire)
{
    const bli_program *p = plan->program;
    int readers = 0;
    for (int i = 0; i < p->num_ops; i++)
        for (int k = 0; k < p->ops[i].num_in; k++)
            if (p->ops[i].in[k] == wire) {
                if (!bli_product_takes_bits(plan, i))
                    return false;
                readers++;
            }
    return readers > 0 && readers == p->wires[wire].uses;
}

static void settle(bli_place *p)
{
    p->row = p->store == BLI_STORE_BITS ? (size_t)(p->last + 31) / 32 * 4 : 0;
    const size_t rows = p->last > 0 ? (size_t)(p->count / p->last) : 0;
    p->stride = p->store == BLI_STORE_BITS ? rows * p->row : (size_t)p->count << p->store;
}

/* Wider where a reader wants it; whether something changed. */
static bool widen(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    bool changed = false;
    for (int i = 0; i < p->num_ops; i++) {
        const bli_prim_op *op = &p->ops[i];
        if (op->num_in < 1)
            continue;
        bli_place *in = &plan->places[op->in[0]], *out = &plan->places[i];
        bli_store want = in->store;
        if (op->kind == BLI_PRIM_DENSE || op->kind == BLI_PRIM_CONV || op->kind == BLI_PRIM_SUMPOOL ||
            op->kind == BLI_PRIM_REDUCE_SUM) {
            const bli_store need = bli_product_store(plan, i);
            want = need < want ? want : need;
        } else if (op->kind == BLI_PRIM_RESHAPE) {
            want = out->store > want ? out->store : want;
            changed = changed || out->store < want;
            out->store = want;
        }
        changed = changed || in->store < want;
        in->store = want;
    }
    return changed;
}

static bl_status fix_constant(bli_exec_plan *plan, int i)
{
    const bli_wire *w = &plan->program->wires[i];
    bli_place *p = &plan->places[i];
    char *to = bli_arena_alloc(plan->arena, p->stride + BLI_SLACK);
    if (to == NULL)
        return BL_NO_MEMORY;
    if (w->count > 0)
        bli_place_store(plan->kernels, p, plan->program->ops[i].weight, to);
    p->constant = to;
    return BL_OK;
}

bl_status bli_places_choose(bli_exec_plan *plan)
{
    const bli_program *p = plan->program;
    for (int i = 0; i < p->num_wires; i++) {
        const bli_wire *w = &p->wires[i];
        const bli_span hull = bli_wire_hull(w);
        plan->places[i] = (bli_place){.store = store_of(hull),
                                      .bias = hull.low < 0 ? hull.low : 0,
                                      .count = w->count,
                                      .last = bli_last(&w->shape),
                                      .root = i,
                                      .kept = true,
                                      .from = -1,
                                      .to = -1};
        if (p->ops[i].kind == BLI_PRIM_RESHAPE)
            plan->places[i].root = plan->places[p->ops[i].in[0]].root;
    }
    while (widen(plan))
        continue;
    for (int i = 0; i < p->num_wires; i++) {
        bli_place *place = &plan->places[i];
        const bli_prim kind = p->ops[i].kind;
        if (kind != BLI_PRIM_RESHAPE && kind != BLI_PRIM_CONST && place->store == BLI_STORE_8 &&
            bli_two_codes(p, i, &place->zero, &place->one) && only_bit_readers(plan, i))
            place->store = BLI_STORE_BITS;
        settle(place);
        if (kind == BLI_PRIM_CONST)
            BLI_TRY(fix_constant(plan, i));
        else if (kind == BLI_PRIM_RESHAPE)
            place->constant = plan->places[place->root].constant;
    }
    return BL_OK;
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

static size_t room_of(const bli_exec_plan *plan, const bli_place *p)
{
    return (p->stride * (size_t)plan->chunk + 2 * BLI_SLACK - 1) / BLI_SLACK * BLI_SLACK;
}

/* The lowest offset at which nothing lies that is alive at the same time. */
static size_t fit(const bli_exec_plan *plan, const int *placed, int num_placed, const bli_place *p)
{
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int k = 0; k < num_placed; k++) {
            const bli_place *q = &plan->places[placed[k]];
            const bool together = p->from <= q->to && q->from <= p->to;
            if (together && at < q->offset + room_of(plan, q) && q->offset < at + room_of(plan, p)) {
                at = q->offset + room_of(plan, q);
                moved = true;
            }
        }
    }
    return at;
}

bl_status bli_places_arrange(bli_exec_plan *plan)
{
    const int count = plan->program->num_wires;
    int *placed = bli_arena_array(plan->arena, (size_t)count, sizeof *placed), num_placed = 0;
    if (placed == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        bli_place *p = &plan->places[i];
        if (p->root != i || p->constant != NULL || p->from < 0 || !p->kept)
            continue;
        p->offset = fit(plan, placed, num_placed, p);
        placed[num_placed++] = i;
        const size_t end = p->offset + room_of(plan, p);
        plan->work_bytes = end > plan->work_bytes ? end : plan->work_bytes;
    }
    for (int i = 0; i < count; i++)
        plan->places[i].offset = plan->places[plan->places[i].root].offset;
    return BL_OK;
}

/* ---- codes one sample at a time ------------------------------------------------------------------------------------
 */

void bli_place_load(const bli_exec_kernels *k, const bli_place *p, const void *x, int64_t *codes)
{
    if (p->store != BLI_STORE_BITS) {
        k->load64[p->store](x, p->count, p->bias, codes);
        return;
    }
    for (int64_t i = 0; i < p->count; i++) {
        uint32_t word;
        memcpy(&word, (const char *)x + (size_t)(i / p->last) * p->row + (size_t)(i % p->last / 32) * 4, sizeof word);
        codes[i] = (word >> (i % p->last % 32) & 1) != 0 ? p->one : p->zero;
    }
}

void bli_place_store(const bli_exec_kernels *k, const bli_place *p, const int64_t *codes, void *x)
{
    if (p->store != BLI_STORE_BITS) {
        k->store64[p->store](codes, p->count, p->bias, x);
        return;
    }
    memset(x, 0, p->stride);
    for (int64_t i = 0; i < p->count; i++) {
        char *at = (char *)x + (size_t)(i / p->last) * p->row + (size_t)(i % p->last / 32) * 4;
        uint32_t word;
        memcpy(&word, at, sizeof word);
        word |= (uint32_t)(codes[i] == p->one) << (i % p->last % 32);
        memcpy(at, &word, sizeof word);
    }
}
