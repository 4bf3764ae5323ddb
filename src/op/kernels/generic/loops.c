/* loops.c: the loops compiled for this folder's instruction set. */
#define LOOP_SETS   bli_loops_generic
#define LOOP_VECTOR 16 /* bytes */

typedef double wide __attribute__((vector_size(16)));
enum { WIDE_LANES = LOOP_VECTOR / 8 };

static inline wide load_wide_f32(const float *p)
{
    return (wide){(double)p[0], (double)p[1]};
}
static inline wide load_wide_f64(const double *p)
{
    return (wide){p[0], p[1]};
}

#include "op/kernels/loop_sets.inc"
