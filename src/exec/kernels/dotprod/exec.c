/* exec.c: NEON with its products of bytes (FEAT_DotProd). */
#include <arm_neon.h>

static inline int32x4_t dot(int32x4_t sum, int8x16_t x, int8x16_t w)
{
    return vdotq_s32(sum, x, w);
}

#define SET_NAME "dotprod"
#define SET      bli_exec_kernels_dotprod
#include "exec/kernels/neon/body.inc"
