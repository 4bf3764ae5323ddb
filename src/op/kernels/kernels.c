/* kernels.c: which table of kernels belongs to an instruction set and a carrier. */
#include "op/kernels/product.h"

#define TABLE(isa) extern const bli_kernels bli_kernels_f32_##isa, bli_kernels_f64_##isa;
TABLE(generic)
#if defined(__x86_64__)
TABLE(avx2)
TABLE(avx512)
#endif

const bli_kernels *bli_kernels_get(bli_isa isa, bl_dtype type)
{
    static const bli_kernels *const tables[BLI_ISA_COUNT][2] = {
        [BLI_ISA_GENERIC] = {&bli_kernels_f32_generic, &bli_kernels_f64_generic},
#if defined(__x86_64__)
        [BLI_ISA_AVX2] = {&bli_kernels_f32_avx2, &bli_kernels_f64_avx2},
        [BLI_ISA_AVX512] = {&bli_kernels_f32_avx512, &bli_kernels_f64_avx512},
#endif
    };
    const bli_kernels *k = tables[isa][type == BL_F64];
    return k ? k : tables[BLI_ISA_GENERIC][type == BL_F64];
}
