/* loops.c: the kernel sets compiled for this folder's instruction set. */
#define LOOP_SETS bli_loops_avx2
#include "op/kernels/loop_sets.inc"
