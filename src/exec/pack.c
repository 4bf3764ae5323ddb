/* pack.c: constants in panels: see pack.h.  Groups that are all zero for a block of results are left out, which is also
 * what makes grouped convolutions no special case.
 */
#include "exec/pack.h"

#include <string.h>

bli_runs bli_runs_of(const bli_program *p, const bli_prim_op *op, bool bits)
{
    const bl_shape *in = &p->wires[op->in[0]].shape;
    if (op->kind == BLI_PRIM_DENSE)
        return (bli_runs){1, bli_last(in), 1, bli_last(in), 0, 0};
    const int inner = in->rank == 3 ? 1 : 0, outer = 1 - inner;
    const int64_t kernel = op->window.kernel[inner], channels = bli_last(in);
    if (op->window.dilation[inner] == 1 && !bits)
        return (bli_runs){op->window.kernel[outer], kernel * channels, kernel, channels, outer, inner};
    return (bli_runs){op->window.kernel[outer] * kernel, channels, 1, channels, outer, inner};
}

int64_t bli_weight_at(const bli_prim_op *op, const bli_runs *r, int64_t m, int64_t i, int64_t e)
{
    if (op->kind == BLI_PRIM_DENSE)
        return op->weight[e * op->channels + m];
    const bli_window *w = &op->window;
    const int64_t each = r->channels / w->groups, group = m / (op->channels / w->groups);
    const int64_t c = e % r->channels - group * each;
    if (c < 0 || c >= each)
        return 0;
    int64_t k[2];
    k[r->outer] = r->taps > 1 || w->kernel[r->inner] == 1 ? i : i / w->kernel[r->inner];
    k[r->inner] = r->taps > 1 || w->kernel[r->inner] == 1 ? e / r->channels : i % w->kernel[r->inner];
    return op->weight[((m * w->kernel[0] + k[0]) * w->kernel[1] + k[1]) * each + c];
}

int64_t bli_num_weights(const bli_program *p, const bli_prim_op *op)
{
    const int64_t channels = bli_last(&p->wires[op->in[0]].shape);
    if (op->kind == BLI_PRIM_DENSE)
        return channels * op->channels;
    return op->channels * (channels / op->window.groups) * op->window.kernel[0] * op->window.kernel[1];
}

static size_t group_bytes(const bli_packing *k)
{
    return k->store == BLI_STORE_64 ? 8 : 4;
}

static bool bundle_is_zero(const bli_packing *k, int64_t m0, int64_t m1, int64_t run, int64_t g)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t e = g * k->each; e < (g + k->bundle) * k->each && e < k->r.length; e++)
            if (bli_weight_at(k->op, &k->r, m, run, e) != 0)
                return false;
    return true;
}

static int64_t weight_or_zero(const bli_packing *k, int64_t m, int64_t run, int64_t e)
{
    return m < k->op->channels && e < k->r.length ? bli_weight_at(k->op, &k->r, m, run, e) : 0;
}

static void pack_lane(const bli_packing *k, int64_t m, int64_t run, int64_t g, char *to)
{
    for (int j = 0; j < k->each; j++) {
        const int64_t w = weight_or_zero(k, m, run, g * k->each + j);
        if (k->store == BLI_STORE_8)
            ((int8_t *)to)[j] = (int8_t)w;
        else if (k->store == BLI_STORE_16)
            ((int16_t *)(void *)to)[j] = (int16_t)w;
        else if (k->store == BLI_STORE_32)
            *(int32_t *)(void *)to = (int32_t)w;
        else
            *(int64_t *)(void *)to = w;
    }
}

/* sign 0: where the constant is 1; 1: where it is -1. */
static void pack_bits(const bli_packing *k, int64_t m, int64_t run, int64_t g, int sign, char *to)
{
    uint32_t word = 0;
    for (int j = 0; j < 32; j++)
        word |= (uint32_t)(weight_or_zero(k, m, run, g * 32 + j) == (sign == 0 ? 1 : -1)) << j;
    memcpy(to, &word, sizeof word);
}

static char *pack_panel(const bli_packing *k, int64_t m, int64_t run, int64_t g, char *to)
{
    const int lanes = k->plan->kernels->lanes, signs = k->store == BLI_STORE_BITS && !k->single ? 2 : 1;
    for (int sign = 0; sign < signs; sign++)
        for (int l = 0; l < lanes; l++, to += group_bytes(k))
            if (k->store == BLI_STORE_BITS)
                pack_bits(k, m + l, run, g, sign, to);
            else
                pack_lane(k, m + l, run, g, to);
    return to;
}

static int32_t group_offset(const bli_packing *k, int64_t run, int64_t g)
{
    return (int32_t)(k->run_offset[run] +
                     (k->store == BLI_STORE_BITS ? g * 4 : g * k->each * ((int64_t)1 << k->store)));
}

/* Bundles whose constants are not all zero for the panels of that block. */
static void pack_groups(const bli_packing *k, bli_product_block *b, int32_t *offset, char *weight)
{
    const int lanes = k->plan->kernels->lanes;
    const int64_t m0 = (int64_t)b->first * lanes, most = m0 + (int64_t)b->panels * lanes;
    const int64_t m1 = most < k->op->channels ? most : k->op->channels;
    for (int64_t run = 0; run < k->r.count; run++)
        for (int64_t first = 0; first < k->groups; first += k->bundle) {
            if (!k->single && bundle_is_zero(k, m0, m1, run, first))
                continue;
            for (int64_t g = first; g < first + k->bundle; g++) {
                offset[b->groups++] = group_offset(k, run, g);
                for (int q = 0; q < b->panels; q++)
                    weight = pack_panel(k, m0 + (int64_t)q * lanes, run, g, weight);
            }
        }
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* 8 vectors of bytes, `each` bytes apart, as one part of their fields. */
static void pack_part(const bli_packing *k, const uint8_t *bytes, size_t each, int part, size_t vector, uint8_t *to)
{
    for (int g = 0; g < BLI_PACKED_GROUPS; g++) {
        const bli_packed_part f = bli_packed_part_of(k->width, part, g);
        for (size_t i = 0; i < vector; i++) {
            const unsigned field = (unsigned)((int8_t)bytes[(size_t)g * each + i] - k->low);
            to[(size_t)f.vector * vector + i] |= (uint8_t)((field >> f.to & ((1u << part) - 1)) << f.bit);
        }
    }
}

/* A block's bytes, which are followed by constants of 0 up to a whole bundle. */
static bl_status pack_fields(const bli_packing *k, bli_product_block *b, int32_t *offset, const uint8_t *bytes)
{
    const size_t vector = (size_t)k->plan->kernels->lanes * 4, row = (size_t)b->panels * vector;
    for (; b->groups % BLI_PACKED_GROUPS != 0; b->groups++)
        offset[b->groups] = offset[b->groups - 1];
    const size_t bundles = (size_t)b->groups / BLI_PACKED_GROUPS, each = (size_t)k->width * vector;
    uint8_t *to = bli_arena_alloc(k->plan->arena, bundles * (size_t)b->panels * each + 1);
    if (to == NULL)
        return BL_NO_MEMORY;
    b->weight = to;
    for (size_t g = 0; g < bundles; g++, bytes += BLI_PACKED_GROUPS * row)
        for (int q = 0; q < b->panels; q++, to += each)
            for (int part = 4; part > 0; part /= 2)
                if (k->width & part)
                    pack_part(k, bytes + (size_t)q * vector, row, part, vector, to);
    return BL_OK;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Bytes of at most so many groups. */
static bl_status block_bytes(const bli_packing *k, const bli_product_block *b, int64_t groups, size_t *size)
{
    if (!bli_mul_size((size_t)groups, (size_t)b->panels * (size_t)k->plan->kernels->lanes * group_bytes(k) * 2, size))
        return bli_fail(k->plan->program->ctx, BL_LIMIT, "constants of more bytes than there are addresses");
    if (k->store != BLI_STORE_BITS || k->single)
        *size /= 2;
    return BL_OK;
}

static bl_status pack_block(const bli_packing *k, bli_product_block *b)
{
    const int64_t all = k->r.count * ((k->groups + k->bundle - 1) / k->bundle * k->bundle) + BLI_PACKED_GROUPS;
    int32_t *offset = bli_arena_array(k->plan->arena, (size_t)all, sizeof *offset);
    size_t size;
    if (offset == NULL)
        return BL_NO_MEMORY;
    b->offset = offset;
    if (k->width == 0) {
        BLI_TRY(block_bytes(k, b, all - BLI_PACKED_GROUPS, &size));
        char *weight = bli_arena_alloc(k->plan->arena, size);
        b->weight = weight;
        if (weight != NULL)
            pack_groups(k, b, offset, weight);
        return weight != NULL ? BL_OK : BL_NO_MEMORY;
    }
    BLI_TRY(block_bytes(k, b, all, &size));
    char *bytes = bli_alloc(k->plan->program->ctx, size);
    if (bytes == NULL)
        return BL_NO_MEMORY;
    pack_groups(k, b, offset, bytes);
    const bl_status s = pack_fields(k, b, offset, (const uint8_t *)bytes);
    bli_free(k->plan->program->ctx, bytes);
    return s;
}

bl_status bli_pack(const bli_packing *k, bli_step *step)
{
    const int lanes = k->plan->kernels->lanes;
    const int panels = (int)((k->op->channels + lanes - 1) / lanes);
    const int blocks = (panels + BLI_BLOCK_PANELS - 1) / BLI_BLOCK_PANELS;
    bli_product_block *b = bli_arena_array(k->plan->arena, (size_t)blocks, sizeof *b);
    if (b == NULL)
        return BL_NO_MEMORY;
    step->product.blocks = b;
    step->product.num_blocks = blocks;
    for (int i = 0; i < blocks; i++) {
        b[i].first = i * BLI_BLOCK_PANELS;
        b[i].panels = panels - b[i].first < BLI_BLOCK_PANELS ? panels - b[i].first : BLI_BLOCK_PANELS;
        BLI_TRY(pack_block(k, &b[i]));
    }
    return BL_OK;
}

/* ---- what sums start from
 * ---------------------------------------------------------------------------------------------- */

/* Modulo 2^64: sum of constants, and how many are 1. */
static uint64_t constants_of(const bli_packing *k, int64_t m, int64_t *ones)
{
    uint64_t sum = 0;
    *ones = 0;
    for (int64_t run = 0; run < k->r.count; run++)
        for (int64_t e = 0; e < k->r.length; e++) {
            const int64_t w = bli_weight_at(k->op, &k->r, m, run, e);
            sum += (uint64_t)w;
            *ones += w == 1;
        }
    return sum;
}

/* Codes are stored as code - bias: sum w code = sum w stored + bias sum w.  Of bits u, code = zero + (one - zero) u,
 * and with constants +-1:  sum w u = ones - count(u xor [w = 1]). */
static int64_t start_of(const bli_packing *k, const bli_place *in, int64_t m)
{
    int64_t ones;
    const uint64_t sum = constants_of(k, m, &ones), bias = k->op->bias != NULL ? (uint64_t)k->op->bias[m] : 0;
    if (k->store == BLI_STORE_8)
        return (int64_t)(bias + (uint64_t)(in->bias + k->plan->kernels->code_shift) * sum);
    if (k->store != BLI_STORE_BITS)
        return (int64_t)bias;
    const uint64_t between = (uint64_t)in->one - (uint64_t)in->zero;
    return (int64_t)(bias + (uint64_t)in->zero * sum + (k->single ? between * (uint64_t)ones : 0));
}

bl_status bli_pack_start(const bli_packing *k, bli_step *step, const bli_place *in)
{
    const int64_t n = step->product.columns;
    char *init = bli_arena_array(k->plan->arena, (size_t)n, step->product_wide ? 8 : 4);
    if (init == NULL)
        return BL_NO_MEMORY;
    for (int64_t m = 0; m < k->op->channels; m++) {
        const int64_t v = start_of(k, in, m);
        if (step->product_wide)
            ((int64_t *)(void *)init)[m] = v;
        else
            ((int32_t *)(void *)init)[m] = (int32_t)(uint32_t)(uint64_t)v;
    }
    step->product.init = init;
    step->product.factor = (int32_t)(k->single ? in->zero - in->one : in->one - in->zero);
    return BL_OK;
}
