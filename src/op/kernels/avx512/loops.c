/* loops.c: the loops compiled for this folder's instruction set. */
#include <immintrin.h>

#define LOOP_SETS   bli_loops_avx512
#define LOOP_VECTOR 64 /* bytes */

typedef __m512d wide;
enum { WIDE_LANES = LOOP_VECTOR / 8 };

static inline wide load_wide_f32(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
static inline wide load_wide_f64(const double *p)
{
    return _mm512_loadu_pd(p);
}

#include "op/kernels/loop_sets.inc"
