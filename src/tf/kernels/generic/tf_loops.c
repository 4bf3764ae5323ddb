/* tf_loops.c: the eight-bit operators' loops (generic). */
#define TABLE bli_tf_loops_generic
#include "tf/kernels/loops.inc"
