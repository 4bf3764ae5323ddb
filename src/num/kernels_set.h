/* kernels_set.h: kernels_body.h for both real types; included once by each instruction set's kernels.c, which defines
 * TABLE_F32 and TABLE_F64.
 */
#include <math.h>
#include <string.h>

#include "num/kernels.h"

/* Elements do not depend on one another although y may be x. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* under sanitizers loops stay as they are */
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

static inline uint32_t bits_f32(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}
static inline float real_f32(uint32_t b)
{
    float v;
    memcpy(&v, &b, sizeof v);
    return v;
}
static inline uint64_t bits_f64(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}
static inline double real_f64(uint64_t b)
{
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}

#define REAL                float
#define UINT                uint32_t
#define NAME(x)             x##_f32
#define TABLE               TABLE_F32
#define WHOLE               0x1p23f /* from here on every float is a whole number */
#define EXPONENT            0x7f800000u
#define SIGN                0x80000000u
#define TWICE_BIAS          (254u << 23)
#define SIGNIFICAND_BITS    23
#define FRACTION_31(low, k) ((low) << (31 - (k)))
#define ROOT_OF_TWO         0x3504F3u /* the mantissa of the last float below sqrt(2) */
#define FLOOR(x)            floorf(x)
#define CEIL(x)             ceilf(x)
#define TRUNC(x)            truncf(x)
#define RINT(x)             rintf(x)
#define FABS(x)             fabsf(x)
#define COPYSIGN            copysignf
#include "num/kernels_body.h"
#undef REAL
#undef UINT
#undef NAME
#undef TABLE
#undef WHOLE
#undef EXPONENT
#undef SIGN
#undef TWICE_BIAS
#undef SIGNIFICAND_BITS
#undef FRACTION_31
#undef ROOT_OF_TWO
#undef FLOOR
#undef CEIL
#undef TRUNC
#undef RINT
#undef FABS
#undef COPYSIGN

#define REAL                double
#define UINT                uint64_t
#define NAME(x)             x##_f64
#define TABLE               TABLE_F64
#define WHOLE               0x1p52
#define EXPONENT            0x7ff0000000000000u
#define SIGN                0x8000000000000000u
#define TWICE_BIAS          ((uint64_t)2046 << 52)
#define SIGNIFICAND_BITS    52
#define FRACTION_31(low, k) ((k) > 31 ? (low) >> ((k)-31) : (low) << (31 - (k)))
#define ROOT_OF_TWO         0x6A09E667F3BCCu
#define FLOOR(x)            floor(x)
#define CEIL(x)             ceil(x)
#define TRUNC(x)            trunc(x)
#define RINT(x)             rint(x)
#define FABS(x)             fabs(x)
#define COPYSIGN            copysign
#include "num/kernels_body.h"
