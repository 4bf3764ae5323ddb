/* loops.c: which table of loops belongs to an instruction set. */
#include "tf/kernels/loops.h"

extern const bli_tf_loops bli_tf_loops_generic;
#if defined(__x86_64__)
extern const bli_tf_loops bli_tf_loops_avx2, bli_tf_loops_avx512;
#endif

const bli_tf_loops *bli_tf_loops_get(bli_isa isa)
{
#if defined(__x86_64__)
    if (isa == BLI_ISA_AVX512)
        return &bli_tf_loops_avx512;
    if (isa == BLI_ISA_AVX2)
        return &bli_tf_loops_avx2;
#endif
    (void)isa;
    return &bli_tf_loops_generic;
}
