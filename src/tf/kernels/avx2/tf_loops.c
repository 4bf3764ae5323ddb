/* tf_loops.c: the eight-bit operators' loops (avx2). */
#include "tf/kernels/loops.inc"
#include "tf/kernels/plain_chains.inc"

extern const bli_tf_loops bli_tf_loops_avx2;
const bli_tf_loops bli_tf_loops_avx2 = {COMMON_LOOPS, PLAIN_CHAINS};
