/* real.h: one source for float32 and float64.
 *
 * A template is a file of static functions written with the names below.  It is compiled for both carriers by
 *
 *     #define REAL_TEMPLATE "op/example.inc"
 *     #include "op/real.h"
 *
 * which makes name_f32 and name_f64 of every REAL_FN(name) in it.  This file has no include guard on purpose.
 * A family then picks one of the two with BLI_REAL_CALL.
 */
#include <math.h>
#include <stdint.h>

#ifndef BLI_REAL_CALL
/* Calls name_f32 or name_f64 with the remaining arguments, by the carrier of a tensor. */
#define BLI_REAL_CALL(type, name, ...) ((type) == BL_F64 ? name##_f64(__VA_ARGS__) : name##_f32(__VA_ARGS__))

/* In front of a loop whose iterations only touch their own index: arrays may be equal, but not shifted.  Without it
 * an operator that works in place would fall into the scalar copy of its loop. */
#if defined(__clang__)
#define BLI_EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define BLI_EACH _Pragma("GCC ivdep")
#endif
#endif

#ifdef REAL_TEMPLATE
#define REAL            float
#define REAL_INT        int32_t /* of the same width: masks */
#define REAL_FN(name)   name##_f32
#define REAL_MATH(name) name##f /* REAL_MATH(floor) is floorf */
#include REAL_TEMPLATE
#undef REAL
#undef REAL_INT
#undef REAL_FN
#undef REAL_MATH

#define REAL            double
#define REAL_INT        int64_t
#define REAL_FN(name)   name##_f64
#define REAL_MATH(name) name
#include REAL_TEMPLATE
#undef REAL
#undef REAL_INT
#undef REAL_FN
#undef REAL_MATH
#undef REAL_TEMPLATE
#endif
