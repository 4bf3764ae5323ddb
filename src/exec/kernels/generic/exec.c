/* exec.c: the executor's loops for any machine. */
#include "exec/kernels/loops.inc"

PLAIN_PRODUCT(product8, uint8_t, int8_t, int32_t, uint32_t, 4, (uint32_t)(v[k] * w[l * 4 + k]))
PLAIN_PRODUCT(product16, int16_t, int16_t, int32_t, uint32_t, 2, (uint32_t)(v[k] * w[l * 2 + k]))
PLAIN_PRODUCT(product32, int32_t, int32_t, int32_t, uint32_t, 1, (uint32_t)v[k] * (uint32_t)w[l])
PLAIN_PRODUCT(product64, int64_t, int64_t, int64_t, uint64_t, 1, (uint64_t)v[k] * (uint64_t)w[l])
PLAIN_BITS(bits1, 1, plain_count(v ^ w[l]))
PLAIN_BITS(bits2, 2, plain_count(v &w[l]) - plain_count(v & w[PLAIN_LANES + l]))

const bli_exec_kernels bli_exec_kernels_generic = {
    .name = "generic",
    .isa = BLI_ISA_GENERIC,
    .lanes = PLAIN_LANES,
    .product8 = product8,
    .product16 = product16,
    .product32 = product32,
    .product64 = product64,
    .bits1 = bits1,
    .bits2 = bits2,
    .reach32 = plain_reach,
    COMMON_LOOPS,
};
