/* kernels.c: which table serves which instruction set. */
#include "train/kernels/kernels.h"

const bli_train_kernels *bli_train_kernels_for(bli_isa isa)
{
#if defined(__x86_64__)
    static const bli_train_kernels *const table[BLI_ISA_COUNT] = {
        [BLI_ISA_GENERIC] = &bli_train_kernels_generic,
        [BLI_ISA_AVX2] = &bli_train_kernels_avx2,
        [BLI_ISA_AVX512] = &bli_train_kernels_avx512,
    };
    return table[isa];
#else
    (void)isa;
    return &bli_train_kernels_generic;
#endif
}
