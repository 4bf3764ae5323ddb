/* loops.c: which compiled set serves a call. */
#include "op/kernels/loops.h"

const bli_loops *bli_loops_get(bli_isa isa, bl_dtype type)
{
    const int f64 = type == BL_F64;
#if defined(__x86_64__)
    if (isa == BLI_ISA_AVX512)
        return &bli_loops_avx512[f64];
    if (isa == BLI_ISA_AVX2)
        return &bli_loops_avx2[f64];
#else
    (void)isa;
#endif
    return &bli_loops_generic[f64];
}
