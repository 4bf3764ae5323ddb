/* tf_loops.c: the eight-bit operators' loops (generic). */
#include "tf/kernels/loops.inc"
#include "tf/kernels/plain_chains.inc"

extern const bli_tf_loops bli_tf_loops_generic;
const bli_tf_loops bli_tf_loops_generic = {COMMON_LOOPS, PLAIN_CHAINS};
