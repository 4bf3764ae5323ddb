/* tf_loops.c: the eight-bit operators' loops (avx512). */
#define TABLE bli_tf_loops_avx512
#include "tf/kernels/loops.inc"
