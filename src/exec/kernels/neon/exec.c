/* exec.c: NEON as every 64-bit ARM has it: products of bytes by widening and adding neighbours. */
#include <arm_neon.h>

static inline int32x4_t dot(int32x4_t sum, int8x16_t x, int8x16_t w)
{
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w)), high = vmull_high_s8(x, w);
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

#define SET_NAME "neon"
#define SET      bli_exec_kernels_neon
#include "exec/kernels/neon/body.inc"
