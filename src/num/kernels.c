/* kernels.c: the loops of kernels_body.h for the baseline instruction set, and the tables that choose among all. */
#define TABLE_F32 bli_num_kernels_f32_generic
#define TABLE_F64 bli_num_kernels_f64_generic
#include "num/kernels_set.h"
#include "num/random_fill.h"

#if defined(__x86_64__)
#define PER_ISA(name)                                                                                                  \
    {                                                                                                                  \
        &name##_generic, &name##_avx2, &name##_avx512                                                                  \
    }
bli_random_fill_fn *const bli_random_fill_of[BLI_ISA_COUNT] = {bli_stream_fill, bli_random_fill_avx2,
                                                               bli_random_fill_avx512};
#else
#define PER_ISA(name)                                                                                                  \
    {                                                                                                                  \
        &name##_generic, &name##_generic, &name##_generic                                                              \
    }
bli_random_fill_fn *const bli_random_fill_of[BLI_ISA_COUNT] = {bli_stream_fill, bli_stream_fill, bli_stream_fill};
#endif
const bli_num_kernels_f32 *const bli_num_kernels_f32_of[BLI_ISA_COUNT] = PER_ISA(bli_num_kernels_f32);
const bli_num_kernels_f64 *const bli_num_kernels_f64_of[BLI_ISA_COUNT] = PER_ISA(bli_num_kernels_f64);
