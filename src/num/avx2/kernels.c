/* kernels.c: the loops of kernels_body.h for the instruction set of this folder. */
#define TABLE_F32 bli_num_kernels_f32_avx2
#define TABLE_F64 bli_num_kernels_f64_avx2
#include "num/kernels_set.h"
