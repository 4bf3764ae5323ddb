/* kernels.c: the loops of kernels_body.h for the baseline instruction set. */
#define TABLE_F32 bli_num_kernels_f32_generic
#define TABLE_F64 bli_num_kernels_f64_generic
#include "num/kernels_set.h"
