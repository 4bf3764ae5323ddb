/* kernels_body.h: the loops, for one real type.  Included by each folder's kernels.c with REAL, UINT, TYPE, SET and the
 * like defined (kernels_set.h); no include guard on purpose.
 *
 * Nearest with ties to one side is never floor(v + 1/2), which rounds 0.49999997 up: v is first cut to halves, after
 * which adding one half is exact.  That needs |v| < 2^(p-1), p the significand; above, v is a whole number already: the
 * wrapping loop says so, the others are only used where such a v is out of range either way.
 */

/* In magnitude: whole numbers stay, others grow with probability of the fraction's first 31 bits. */
static inline REAL NAME(stochastic)(REAL v, uint32_t random)
{
    REAL magnitude = FABS(v), whole = TRUNC(magnitude);
    REAL fraction = magnitude < WHOLE ? magnitude - whole : 0;
    int32_t threshold = (int32_t)(fraction * (REAL)0x1p31);
    return COPYSIGN(whole + ((int32_t)(random >> 1) < threshold ? (REAL)1 : (REAL)0), v);
}

static inline __attribute__((always_inline)) REAL NAME(rounded)(bl_rounding q, REAL v, uint32_t random)
{
    const REAL half = (REAL)0.5;
    switch (q) {
    case BL_TRN:
        return FLOOR(v);
    case BL_TRN_ZERO:
        return TRUNC(v);
    case BL_RND:
        return FLOOR(FLOOR(v + v) * half + half);
    case BL_RND_ZERO:
        return COPYSIGN(CEIL(CEIL(FABS(v) + FABS(v)) * half - half), v);
    case BL_RND_INF:
        return COPYSIGN(FLOOR(FLOOR(FABS(v) + FABS(v)) * half + half), v);
    case BL_RND_MIN_INF:
        return CEIL(CEIL(v + v) * half - half);
    case BL_STOCHASTIC:
        return NAME(stochastic)(v, random);
    default:
        return RINT(v);
    }
}

static inline __attribute__((always_inline)) REAL NAME(ended)(bli_end end, REAL v, REAL r, const NAME(bli_codes) * k)
{
    if (end == BLI_END_CLAMP) {
        r = r < k->lo ? k->lo : r;
        return r > k->hi ? k->hi : r;
    }
    if (end == BLI_END_ZERO)
        return r < k->lo || r > k->hi ? 0 : r;
    r = FABS(v) < WHOLE ? r : v;
    if (end == BLI_END_WRAP) { /* each step exact: powers of two, and a short difference */
        REAL m = r - FLOOR(r * k->inverse_modulus) * k->modulus;
        return m > k->hi ? m - k->modulus : m;
    }
    /* up and down again with a period of twice the range, from lo on */
    REAL turn = r - FLOOR(r * k->inverse_modulus * (REAL)0.5) * (k->modulus + k->modulus) - k->lo;
    turn = turn >= k->modulus + k->modulus ? turn - (k->modulus + k->modulus) : turn;
    return (turn < k->modulus ? turn : k->modulus + (k->modulus - 1) - turn) + k->lo;
}

/* v, a number of steps, as the nearest code's value. */
static inline __attribute__((always_inline)) REAL NAME(code)(bl_rounding q, bli_end end, const NAME(bli_codes) * k,
                                                             REAL v, REAL step, uint32_t random)
{
    REAL r = NAME(ended)(end, v, NAME(rounded)(q, v, random), k);
    return r == r ? r * step + (REAL)0 : (REAL)0; /* + 0 makes -0 +0 */
}

/* Nearest with ties to even that saturates, without a product: next to 1.5 * 2^(p-1) steps the carrier's own step is
 * the code's, so adding that and taking it away rounds to codes, once the ends have cut what is too large.  Zero comes
 * out as +0. */
static inline bool NAME(even_fits)(const NAME(bli_codes) * k)
{
    return k->step >= (REAL)0x1p-60 && k->step <= (REAL)0x1p60 && k->lo >= -WHOLE / 4 && k->hi <= WHOLE / 4;
}

static inline REAL NAME(even)(REAL v, REAL lo, REAL hi, REAL far)
{
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (v + far) - far;
}

static void NAME(codes_even)(const NAME(bli_codes) * k, const REAL *x, REAL *y, size_t n)
{
    const REAL lo = k->lo * k->step, hi = k->hi * k->step, far = (REAL)1.5 * WHOLE * k->step;
    INDEPENDENT
    for (size_t i = 0; lo == 0 && i < n; i++) /* NaN becomes the lower end, which is right here */
        y[i] = NAME(even)(x[i], 0, hi, far);
    INDEPENDENT
    for (size_t i = 0; lo != 0 && i < n; i++) {
        const REAL v = x[i], r = NAME(even)(v, lo, hi, far);
        y[i] = v == v ? r : 0;
    }
}

/* What rounds to a code within the ends lies between two numbers: halves beside an odd end round out of the range. */
static void NAME(codes_even_grad)(const NAME(bli_codes) * k, const REAL *x, const REAL *dy, REAL *dx, size_t n)
{
    const REAL half = (REAL)0.5, low = (k->lo - half) * k->step, high = (k->hi + half) * k->step;
    const REAL least = NAME(real)(NAME(bits)(low) - (RINT(k->lo * half) != k->lo * half));
    const REAL most = NAME(real)(NAME(bits)(high) - (RINT(k->hi * half) != k->hi * half));
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        const REAL v = x[i], d = dy[i];
        dx[i] = ((v >= least) & (v <= most)) ? d : 0;
    }
}

static inline __attribute__((always_inline)) void NAME(codes)(bl_rounding q, bli_end end, const NAME(bli_codes) * kp,
                                                              const REAL *x, REAL *y, const uint32_t *random, size_t n)
{
    const NAME(bli_codes) k = *kp;
    if (q == BL_RND_CONV && end == BLI_END_CLAMP && NAME(even_fits)(kp)) {
        NAME(codes_even)(kp, x, y, n);
        return;
    }
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(code)(q, end, &k, x[i] * k.inverse, k.step, q == BL_STOCHASTIC ? random[i] : 0);
}

static inline __attribute__((always_inline)) void NAME(codes_grad)(bl_rounding q, const NAME(bli_codes) * kp,
                                                                   const REAL *x, const REAL *dy, REAL *dx,
                                                                   const uint32_t *random, size_t n)
{
    const NAME(bli_codes) k = *kp;
    if (q == BL_RND_CONV && NAME(even_fits)(kp)) {
        NAME(codes_even_grad)(kp, x, dy, dx, n);
        return;
    }
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL d = dy[i], r = NAME(rounded)(q, x[i] * k.inverse, q == BL_STOCHASTIC ? random[i] : 0);
        dx[i] = r >= k.lo && r <= k.hi ? d : 0;
    }
}

/* v rounded to its local step, before overflow. */
static inline __attribute__((always_inline)) REAL NAME(float_rounded)(bl_rounding q, const NAME(bli_floats) * k, REAL v,
                                                                      uint32_t random)
{
    UINT exponent = NAME(bits)(v) & EXPONENT;
    exponent = exponent < k->least ? k->least : exponent;
    exponent = exponent > k->most ? k->most : exponent;
    exponent -= k->mantissa;
    REAL ulp = NAME(real)(exponent), inverse_ulp = NAME(real)(TWICE_BIAS - exponent);
    return NAME(rounded)(q, v * inverse_ulp, random) * ulp;
}

static inline __attribute__((always_inline)) REAL NAME(float_value)(bl_rounding q, const NAME(bli_floats) * k, REAL v,
                                                                    REAL step, REAL nan, uint32_t random)
{
    REAL a = FABS(NAME(float_rounded)(q, k, v, random));
    a = a > k->greatest ? k->over : a;
    REAL r = COPYSIGN(a, v) * step;
    return r == r ? r : nan;
}

static inline __attribute__((always_inline)) void NAME(floats)(bl_rounding q, const NAME(bli_floats) * kp,
                                                               const REAL *x, REAL *y, const uint32_t *random, size_t n)
{
    const NAME(bli_floats) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(float_value)(q, &k, x[i] * k.inverse, k.step, k.nan, q == BL_STOCHASTIC ? random[i] : 0);
}

static inline __attribute__((always_inline)) void NAME(floats_grad)(bl_rounding q, const NAME(bli_floats) * kp,
                                                                    const REAL *x, const REAL *dy, REAL *dx,
                                                                    const uint32_t *random, size_t n)
{
    const NAME(bli_floats) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL d = dy[i], r = NAME(float_rounded)(q, &k, x[i] * k.inverse, q == BL_STOCHASTIC ? random[i] : 0);
        dx[i] = FABS(r) <= k.greatest ? d : 0;
    }
}

/* A magnitude's bits rounded to a multiple of 2^k, in the carrier's own exponent range: there bits order and grow as
 * numbers do, subnormals included.  Rounding is adding and cutting. */
static inline __attribute__((always_inline)) UINT NAME(cut_bits)(bl_rounding q, UINT magnitude, bool negative, UINT k,
                                                                 uint32_t random)
{
    const UINT unit = (UINT)1 << k, half = unit >> 1, below_half = half - (half > 0), kept = 0 - unit;
    switch (q) {
    case BL_TRN:
        return (magnitude + (negative ? unit - 1 : 0)) & kept;
    case BL_TRN_ZERO:
        return magnitude & kept;
    case BL_RND:
        return (magnitude + (negative ? below_half : half)) & kept;
    case BL_RND_ZERO:
        return (magnitude + below_half) & kept;
    case BL_RND_INF:
        return (magnitude + half) & kept;
    case BL_RND_MIN_INF:
        return (magnitude + (negative ? half : below_half)) & kept;
    case BL_STOCHASTIC: {
        uint32_t fraction = (uint32_t)FRACTION_31(magnitude & (unit - 1), k);
        return (magnitude + (random >> 1 < fraction ? unit : 0)) & kept;
    }
    default:
        return (magnitude + below_half + (magnitude >> k & (half > 0))) & kept;
    }
}

static inline __attribute__((always_inline)) void
NAME(same_range)(bl_rounding q, const NAME(bli_floats) * kp, const REAL *x, REAL *y, const uint32_t *random, size_t n)
{
    const NAME(bli_floats) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        UINT b = NAME(bits)(x[i]), magnitude = b & ~SIGN;
        REAL a = NAME(real)(NAME(cut_bits)(q, magnitude, b >= SIGN, k.cut, q == BL_STOCHASTIC ? random[i] : 0));
        a = a > k.greatest ? k.over : a;
        REAL r = NAME(real)(NAME(bits)(a) | (b & SIGN));
        y[i] = magnitude <= EXPONENT && a == a ? r : k.nan;
    }
}

/* The bits of the power of two for v > 0 (its sign aside), not yet within the format's exponents. */
static inline __attribute__((always_inline)) UINT NAME(power_bits)(bl_rounding q, UINT magnitude, uint32_t random)
{
    UINT mantissa = magnitude & ~EXPONENT, one = EXPONENT & (0 - EXPONENT), grown;
    if (q == BL_RND)
        grown = mantissa > ROOT_OF_TWO;
    else
        grown = q == BL_STOCHASTIC && random >> 1 < (uint32_t)FRACTION_31(mantissa, SIGNIFICAND_BITS);
    return (magnitude & EXPONENT) + grown * one;
}

static inline __attribute__((always_inline)) void NAME(powers)(bl_rounding q, const NAME(bli_powers) * kp,
                                                               const REAL *x, REAL *y, const uint32_t *random, size_t n)
{
    const NAME(bli_powers) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL v = x[i] * k.inverse;
        UINT b = NAME(bits)(v), e = NAME(power_bits)(q, b & ~SIGN, q == BL_STOCHASTIC ? random[i] : 0);
        bool any = v > 0 || (v < 0 && k.sign != 0); /* neither zero nor NaN */
        e = e > k.most ? k.most : e;
        e = e < k.least || !any ? k.least : e;
        y[i] = NAME(real)(e | (any ? b & SIGN : 0)) * k.step;
    }
}

/* kp->sign 0: unsigned, negative numbers were changed by the range. */
static inline __attribute__((always_inline)) void NAME(powers_grad)(bl_rounding q, const NAME(bli_powers) * kp,
                                                                    const REAL *x, const REAL *dy, REAL *dx,
                                                                    const uint32_t *random, size_t n)
{
    const NAME(bli_powers) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL v = x[i] * k.inverse, d = dy[i];
        UINT e = NAME(power_bits)(q, NAME(bits)(v) & ~SIGN, q == BL_STOCHASTIC ? random[i] : 0);
        dx[i] = e <= k.most && (v >= 0 || (v < 0 && k.sign != 0)) ? d : 0;
    }
}

static inline __attribute__((always_inline)) void NAME(each)(bl_rounding q, const REAL *step, const REAL *lo,
                                                             const REAL *hi, const REAL *x, REAL *y,
                                                             const uint32_t *random, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL r = NAME(rounded)(q, x[i] / step[i], q == BL_STOCHASTIC ? random[i] : 0);
        r = r < lo[i] ? lo[i] : r;
        r = r > hi[i] ? hi[i] : r;
        y[i] = r == r ? r * step[i] + (REAL)0 : (REAL)0;
    }
}

static inline __attribute__((always_inline)) void NAME(each_grad)(bl_rounding q, const REAL *step, const REAL *lo,
                                                                  const REAL *hi, const REAL *x, const REAL *dy,
                                                                  REAL *dx, const uint32_t *random, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL d = dy[i], r = NAME(rounded)(q, x[i] / step[i], q == BL_STOCHASTIC ? random[i] : 0);
        dx[i] = r >= lo[i] && r <= hi[i] ? d : 0;
    }
}

static void NAME(sign)(REAL scale, const REAL *x, REAL *y, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? -scale : scale;
}

static void NAME(divide)(REAL s, const REAL *x, REAL *y, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / s;
}

static void NAME(multiply)(REAL s, const REAL *x, REAL *y, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * s;
}

/* BinaryConnect's stochastic sign, of quotients. */
static void NAME(sign_draw)(REAL scale, const REAL *x, REAL *y, const uint32_t *random, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        v = v < -1 ? -1 : v;
        v = v < 1 ? v : 1;
        y[i] = (int64_t)(random[i] >> 1) < (int64_t)((v + 1) * 0x1p30) ? scale : -scale;
    }
}

static void NAME(sign_grad)(REAL scale, const REAL *x, const REAL *dy, REAL *dx, size_t n)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        REAL d = dy[i];
        dx[i] = FABS(x[i]) <= scale ? d : 0;
    }
}

#include "num/blocks_body.h"

#define LOOPS(q, text)                                                                                                 \
    static void NAME(codes_clamp_##q)(const NAME(bli_codes) * k, const REAL *x, REAL *y, const uint32_t *random,       \
                                      size_t n)                                                                        \
    {                                                                                                                  \
        NAME(codes)(BL_##q, BLI_END_CLAMP, k, x, y, random, n);                                                        \
    }                                                                                                                  \
    static void NAME(codes_zero_##q)(const NAME(bli_codes) * k, const REAL *x, REAL *y, const uint32_t *random,        \
                                     size_t n)                                                                         \
    {                                                                                                                  \
        NAME(codes)(BL_##q, BLI_END_ZERO, k, x, y, random, n);                                                         \
    }                                                                                                                  \
    static void NAME(codes_wrap_##q)(const NAME(bli_codes) * k, const REAL *x, REAL *y, const uint32_t *random,        \
                                     size_t n)                                                                         \
    {                                                                                                                  \
        NAME(codes)(BL_##q, BLI_END_WRAP, k, x, y, random, n);                                                         \
    }                                                                                                                  \
    static void NAME(codes_fold_##q)(const NAME(bli_codes) * k, const REAL *x, REAL *y, const uint32_t *random,        \
                                     size_t n)                                                                         \
    {                                                                                                                  \
        NAME(codes)(BL_##q, BLI_END_FOLD, k, x, y, random, n);                                                         \
    }                                                                                                                  \
    static void NAME(codes_grad_##q)(const NAME(bli_codes) * k, const REAL *x, const REAL *dy, REAL *dx,               \
                                     const uint32_t *random, size_t n)                                                 \
    {                                                                                                                  \
        NAME(codes_grad)(BL_##q, k, x, dy, dx, random, n);                                                             \
    }                                                                                                                  \
    static void NAME(floats_##q)(const NAME(bli_floats) * k, const REAL *x, REAL *y, const uint32_t *random, size_t n) \
    {                                                                                                                  \
        NAME(floats)(BL_##q, k, x, y, random, n);                                                                      \
    }                                                                                                                  \
    static void NAME(floats_grad_##q)(const NAME(bli_floats) * k, const REAL *x, const REAL *dy, REAL *dx,             \
                                      const uint32_t *random, size_t n)                                                \
    {                                                                                                                  \
        NAME(floats_grad)(BL_##q, k, x, dy, dx, random, n);                                                            \
    }                                                                                                                  \
    static void NAME(same_range_##q)(const NAME(bli_floats) * k, const REAL *x, REAL *y, const uint32_t *random,       \
                                     size_t n)                                                                         \
    {                                                                                                                  \
        NAME(same_range)(BL_##q, k, x, y, random, n);                                                                  \
    }                                                                                                                  \
    static void NAME(each_##q)(const REAL *step, const REAL *lo, const REAL *hi, const REAL *x, REAL *y,               \
                               const uint32_t *random, size_t n)                                                       \
    {                                                                                                                  \
        NAME(each)(BL_##q, step, lo, hi, x, y, random, n);                                                             \
    }                                                                                                                  \
    static void NAME(each_grad_##q)(const REAL *step, const REAL *lo, const REAL *hi, const REAL *x, const REAL *dy,   \
                                    REAL *dx, const uint32_t *random, size_t n)                                        \
    {                                                                                                                  \
        NAME(each_grad)(BL_##q, step, lo, hi, x, dy, dx, random, n);                                                   \
    }
BL_ROUNDING_LIST(LOOPS)
#undef LOOPS

#define POWERS(q)                                                                                                      \
    static void NAME(powers_##q)(const NAME(bli_powers) * k, const REAL *x, REAL *y, const uint32_t *random, size_t n) \
    {                                                                                                                  \
        NAME(powers)(BL_##q, k, x, y, random, n);                                                                      \
    }                                                                                                                  \
    static void NAME(powers_grad_##q)(const NAME(bli_powers) * k, const REAL *x, const REAL *dy, REAL *dx,             \
                                      const uint32_t *random, size_t n)                                                \
    {                                                                                                                  \
        NAME(powers_grad)(BL_##q, k, x, dy, dx, random, n);                                                            \
    }
POWERS(RND)
POWERS(TRN_ZERO)
POWERS(STOCHASTIC)
#undef POWERS

#define CODES(q, text)         {NAME(codes_clamp_##q), NAME(codes_zero_##q), NAME(codes_wrap_##q), NAME(codes_fold_##q)},
#define CODES_GRAD(q, text)    NAME(codes_grad_##q),
#define FLOATS(q, text)        NAME(floats_##q),
#define FLOATS_GRAD(q, text)   NAME(floats_grad_##q),
#define SAME_RANGE(q, text)    NAME(same_range_##q),
#define EACH(q, text)          NAME(each_##q),
#define EACH_GRAD(q, text)     NAME(each_grad_##q),
#define CODES_BLOCKS(q, text)  NAME(codes_blocks_##q),
#define CODES_ACROSS(q, text)  NAME(codes_across_##q),
#define FLOATS_BLOCKS(q, text) NAME(floats_blocks_##q),
#define FLOATS_ACROSS(q, text) NAME(floats_across_##q),
const NAME(bli_num_kernels) TABLE = {
    .codes = {BL_ROUNDING_LIST(CODES)},
    .codes_grad = {BL_ROUNDING_LIST(CODES_GRAD)},
    .floats = {BL_ROUNDING_LIST(FLOATS)},
    .floats_grad = {BL_ROUNDING_LIST(FLOATS_GRAD)},
    .same_range = {BL_ROUNDING_LIST(SAME_RANGE)},
    .powers =
        {[BL_RND] = NAME(powers_RND), [BL_TRN_ZERO] = NAME(powers_TRN_ZERO), [BL_STOCHASTIC] = NAME(powers_STOCHASTIC)},
    .powers_grad = {[BL_RND] = NAME(powers_grad_RND),
                    [BL_TRN_ZERO] = NAME(powers_grad_TRN_ZERO),
                    [BL_STOCHASTIC] = NAME(powers_grad_STOCHASTIC)},
    .each = {BL_ROUNDING_LIST(EACH)},
    .each_grad = {BL_ROUNDING_LIST(EACH_GRAD)},
    .sign = NAME(sign),
    .sign_draw = NAME(sign_draw),
    .sign_grad = NAME(sign_grad),
    .divide = NAME(divide),
    .multiply = NAME(multiply),
    .greatest_magnitude = NAME(greatest_magnitude),
    .steps_of_blocks = NAME(steps_of_blocks),
    .steps_across = NAME(steps_across),
    .greatest_across = NAME(greatest_across),
    .codes_blocks = {BL_ROUNDING_LIST(CODES_BLOCKS)},
    .codes_across = {BL_ROUNDING_LIST(CODES_ACROSS)},
    .floats_blocks = {BL_ROUNDING_LIST(FLOATS_BLOCKS)},
    .floats_across = {BL_ROUNDING_LIST(FLOATS_ACROSS)},
};
#undef CODES
#undef CODES_GRAD
#undef FLOATS
#undef FLOATS_GRAD
#undef SAME_RANGE
#undef EACH
#undef EACH_GRAD
#undef CODES_BLOCKS
#undef CODES_ACROSS
#undef FLOATS_BLOCKS
#undef FLOATS_ACROSS
