/* kernels.c: which table of loops belongs to an instruction set. */
#include "exec/kernels/kernels.h"

extern const bli_exec_kernels bli_exec_kernels_generic;
#if defined(__x86_64__)
extern const bli_exec_kernels bli_exec_kernels_avx2, bli_exec_kernels_avx512;
#endif

const bli_exec_kernels *bli_exec_kernels_get(bli_isa isa)
{
#if defined(__x86_64__)
    if (isa == BLI_ISA_AVX512 && bli_cpu_counts_bytes())
        return &bli_exec_kernels_avx512;
    if (isa != BLI_ISA_GENERIC)
        return &bli_exec_kernels_avx2;
#endif
    (void)isa;
    return &bli_exec_kernels_generic;
}
