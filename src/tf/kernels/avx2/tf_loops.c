/* tf_loops.c: the eight-bit operators' loops (avx2). */
#define TABLE bli_tf_loops_avx2
#include "tf/kernels/loops.inc"
