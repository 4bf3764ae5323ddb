/* step.c: see kernels.h. */
#define ISA avx2
#include "train/kernels/step.inc"
