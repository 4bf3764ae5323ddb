/* kernels.h: the vectorised inner loops of the formats room, one table per instruction set.
 *
 * The loops are written once, in kernels_body.h, as plain C that the compiler turns into vectors of each folder's
 * instruction set; every operation in them is exactly rounded or exact, so all tables give the same bits.
 */
#ifndef BLI_NUM_KERNELS_H
#define BLI_NUM_KERNELS_H

#include "num/num.h"

/* Which overflow loop: clamp serves SAT and SAT_SYM, fold WRAP_SM. */
typedef enum bli_end { BLI_END_CLAMP, BLI_END_ZERO, BLI_END_WRAP, BLI_END_FOLD, BLI_END_COUNT } bli_end;

/* f32 and f64 differ in nothing but the type. */
#define BLI_NUM_KERNEL_TYPES(REAL, UINT, X)                                                                            \
    /* v = x * inverse; y = overflow(round(v)) * step */                                                               \
    typedef struct bli_codes_##X {                                                                                     \
        REAL inverse, step, lo, hi, modulus, inverse_modulus;                                                          \
    } bli_codes_##X;                                                                                                   \
    /* the local step of v is 2^(max(exponent of v, least) - mantissa); exponents as bits of a REAL */                 \
    typedef struct bli_floats_##X {                                                                                    \
        REAL inverse, step, greatest, over, nan;                                                                       \
        UINT least, most, mantissa, cut; /* cut: mantissa bits that the carrier has more */                            \
    } bli_floats_##X;                                                                                                  \
    /* mx: what makes a step of a block's greatest magnitude; all but lead, a fraction, are exponents as bits */       \
    typedef struct bli_shared_##X {                                                                                    \
        UINT down, lead, least, range; /* steps from least to least + range */                                         \
    } bli_shared_##X;                                                                                                  \
    /* blocks that follow one another in memory, each with its power of two, normal as is its inverse */               \
    typedef struct bli_blocks_##X {                                                                                    \
        const uint32_t *size;                                                                                          \
        const REAL *step;                                                                                              \
        size_t count;                                                                                                  \
    } bli_blocks_##X;                                                                                                  \
    /* powers of two as bits of a REAL; sign is 0 for unsigned */                                                      \
    typedef struct bli_powers_##X {                                                                                    \
        REAL inverse, step;                                                                                            \
        UINT least, most, sign;                                                                                        \
    } bli_powers_##X;                                                                                                  \
    typedef struct bli_num_kernels_##X {                                                                               \
        void (*codes[BL_ROUNDING_COUNT][BLI_END_COUNT])(const bli_codes_##X *, const REAL *x, REAL *y,                 \
                                                        const uint32_t *random, size_t n);                             \
        void (*codes_grad[BL_ROUNDING_COUNT])(const bli_codes_##X *, const REAL *x, const REAL *dy, REAL *dx,          \
                                              const uint32_t *random, size_t n);                                       \
        void (*floats[BL_ROUNDING_COUNT])(const bli_floats_##X *, const REAL *x, REAL *y, const uint32_t *random,      \
                                          size_t n);                                                                   \
        void (*floats_grad[BL_ROUNDING_COUNT])(const bli_floats_##X *, const REAL *x, const REAL *dy, REAL *dx,        \
                                               const uint32_t *random, size_t n);                                      \
        void (*same_range[BL_ROUNDING_COUNT])(const bli_floats_##X *, const REAL *x, REAL *y, const uint32_t *random,  \
                                              size_t n);                                                               \
        void (*powers[BL_ROUNDING_COUNT])(const bli_powers_##X *, const REAL *x, REAL *y, const uint32_t *random,      \
                                          size_t n);                                                                   \
        void (*powers_grad[BL_ROUNDING_COUNT])(const bli_powers_##X *, const REAL *x, const REAL *dy, REAL *dx,        \
                                               const uint32_t *random, size_t n);                                      \
        void (*each[BL_ROUNDING_COUNT])(const REAL *step, const REAL *lo, const REAL *hi, const REAL *x, REAL *y,      \
                                        const uint32_t *random, size_t n);                                             \
        void (*each_grad[BL_ROUNDING_COUNT])(const REAL *step, const REAL *lo, const REAL *hi, const REAL *x,          \
                                             const REAL *dy, REAL *dx, const uint32_t *random, size_t n);              \
        void (*sign)(REAL scale, const REAL *x, REAL *y, size_t n);                                                    \
        void (*sign_draw)(REAL scale, const REAL *x, REAL *y, const uint32_t *random, size_t n);                       \
        void (*sign_grad)(REAL scale, const REAL *x, const REAL *dy, REAL *dx, size_t n);                              \
        void (*divide)(REAL s, const REAL *x, REAL *y, size_t n);                                                      \
        void (*multiply)(REAL s, const REAL *x, REAL *y, size_t n);                                                    \
        REAL (*greatest_magnitude)(const REAL *x, size_t n); /* of finite elements; 0 for none */                      \
        /* the steps of blocks that follow one another; whether all are for the loops (0: not) */                      \
        bool (*steps_of_blocks)(const bli_shared_##X *, const uint32_t *size, const REAL *x, REAL *step,               \
                                size_t count);                                                                         \
        /* most[i] = max(most[i], |x[i]|), of finite x[i], and any[i] likewise of all, as bits */                      \
        void (*greatest_across)(const REAL *x, UINT *most, UINT *any, size_t n);                                       \
        bool (*steps_across)(const bli_shared_##X *, const UINT *most, const UINT *any, REAL *step, size_t n);         \
        /* codes that clamp and floats, with the step of the block, or across blocks that of the element, instead */   \
        void (*codes_blocks[BL_ROUNDING_COUNT])(const bli_codes_##X *, const bli_blocks_##X *, const REAL *x, REAL *y, \
                                                const uint32_t *random);                                               \
        void (*codes_across[BL_ROUNDING_COUNT])(const bli_codes_##X *, const REAL *step, const REAL *x, REAL *y,       \
                                                const uint32_t *random, size_t n);                                     \
        void (*floats_blocks[BL_ROUNDING_COUNT])(const bli_floats_##X *, const bli_blocks_##X *, const REAL *x,        \
                                                 REAL *y, const uint32_t *random);                                     \
        void (*floats_across[BL_ROUNDING_COUNT])(const bli_floats_##X *, const REAL *step, const REAL *x, REAL *y,     \
                                                 const uint32_t *random, size_t n);                                    \
    } bli_num_kernels_##X;
BLI_NUM_KERNEL_TYPES(float, uint32_t, f32)
BLI_NUM_KERNEL_TYPES(double, uint64_t, f64)
#undef BLI_NUM_KERNEL_TYPES

extern const bli_num_kernels_f32 bli_num_kernels_f32_generic, bli_num_kernels_f32_avx2, bli_num_kernels_f32_avx512;
extern const bli_num_kernels_f64 bli_num_kernels_f64_generic, bli_num_kernels_f64_avx2, bli_num_kernels_f64_avx512;

/* By instruction set; the baseline's stands in where a processor has no such set. */
typedef void bli_random_fill_fn(const bli_stream *s, uint64_t first, uint32_t *out, size_t n);
extern const bli_num_kernels_f32 *const bli_num_kernels_f32_of[BLI_ISA_COUNT];
extern const bli_num_kernels_f64 *const bli_num_kernels_f64_of[BLI_ISA_COUNT];
extern bli_random_fill_fn *const bli_random_fill_of[BLI_ISA_COUNT];

/* What bli_quantize_f32 does without draws where a format is a loop over codes, found once for many short calls. */
typedef struct bli_code_loop {
    bli_codes_f32 codes;
    bl_rounding rounding;
    bli_end end;
} bli_code_loop;
/* false: bli_quantize_f32 goes another way. */
bool bli_code_loop_find(const bl_format *f, double scale, bli_code_loop *out);
/* Nearest with ties to even that saturates: y = ((v, at most hi) + far) - far for v >= 0; ok false: another loop. */
typedef struct bli_even_codes {
    bool ok;
    float hi, far;
} bli_even_codes;
bli_even_codes bli_code_loop_even(const bli_code_loop *l);
static inline void bli_code_loop_run(const bli_code_loop *l, bli_isa isa, const float *x, float *y, size_t n)
{
    bli_num_kernels_f32_of[isa]->codes[l->rounding][l->end](&l->codes, x, y, NULL, n);
}

#endif
