/* exec.c: the executor's loops for any machine. */
#include "exec/kernels/loops.inc"

PLAIN_PRODUCT(product8, uint8_t, int8_t, int32_t, uint32_t, 4, (uint32_t)(v[k] * w[l * 4 + k]))
PLAIN_PRODUCT(product16, int16_t, int16_t, int32_t, uint32_t, 2, (uint32_t)(v[k] * w[l * 2 + k]))
PLAIN_PRODUCT(product32, int32_t, int32_t, int32_t, uint32_t, 1, (uint32_t)v[k] * (uint32_t)w[l])
PLAIN_PRODUCT(product64, int64_t, int64_t, int64_t, uint64_t, 1, (uint64_t)v[k] * (uint64_t)w[l])
PLAIN_BITS(bits1, 1, plain_count(v ^ w[l]))
PLAIN_BITS(bits2, 2, plain_count(v &w[l]) - plain_count(v & w[PLAIN_LANES + l]))

static void unpack(const bli_product *p, const bli_product_block *b, int first, int panels, void *bytes)
{
    enum { VECTOR = PLAIN_LANES * 4 };
    for (int g = 0; g < b->groups; g++)
        for (int q = 0; q < panels; q++) {
            const int64_t panel = (int64_t)(g / BLI_PACKED_GROUPS) * b->panels + first + q;
            const uint8_t *w = (const uint8_t *)b->weight + panel * p->width * VECTOR;
            uint8_t *to = (uint8_t *)bytes + ((int64_t)g * panels + q) * VECTOR;
            memset(to, p->low, VECTOR);
            for (int part = 4; part > 0; part /= 2) {
                const bli_packed_part f = bli_packed_part_of(p->width, part, g % BLI_PACKED_GROUPS);
                for (int i = 0; (p->width & part) && i < VECTOR; i++)
                    to[i] = (uint8_t)(to[i] + ((w[f.vector * VECTOR + i] >> f.bit & ((1 << part) - 1)) << f.to));
            }
        }
}

const bli_exec_kernels bli_exec_kernels_generic = {
    .name = "generic",
    .isa = BLI_ISA_GENERIC,
    .lanes = PLAIN_LANES,
    .product8 = product8,
    .unpack = unpack,
    .product16 = product16,
    .product32 = product32,
    .product64 = product64,
    .bits1 = bits1,
    .bits2 = bits2,
    .reach32 = plain_reach,
    COMMON_LOOPS,
};
