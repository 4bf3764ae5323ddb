/* step.c: see kernels.h. */
#define ISA avx512
#include "train/kernels/step.inc"
