/* step.c: see kernels.h. */
#define ISA generic
#include "train/kernels/step.inc"
