/* blocks_body.h: the loops of mx, for one real type; included by kernels_body.h, whose element functions they share.
 *
 * Blocks either follow one another in memory, each with its own size and step, or lie side by side: then a row of a
 * panel has one element of each, and one step for each element.  Steps and their inverses are normal powers of two, so
 * that the inverse is a subtraction of bits.
 */

/* Magnitudes order like their bits, so that this maximum is one of integers. */
static inline __attribute__((always_inline)) UINT NAME(finite_magnitude)(REAL x)
{
    UINT b = NAME(bits)(x) & ~SIGN;
    return b & (0 - (UINT)(b < EXPONENT));
}

static REAL NAME(greatest_magnitude)(const REAL *x, size_t n)
{
    UINT greatest = 0;
    for (size_t i = 0; i < n; i++) {
        UINT m = NAME(finite_magnitude)(x[i]);
        greatest = m > greatest ? m : greatest;
    }
    return NAME(real)(greatest);
}

/* greatest: of the finite elements; any: 0 if all elements are zero, finite or not.  Zeros alone would take 2^-127, and
 * get the same from 1. */
static inline __attribute__((always_inline)) REAL NAME(step_of)(const NAME(bli_shared) * k, UINT greatest, UINT any)
{
    const UINT one = EXPONENT & (0 - EXPONENT), up = (greatest & (one - 1)) > k->lead ? one : 0;
    const UINT e = (greatest & EXPONENT) + up - k->down;
    const UINT normal = greatest >= one && e - k->least <= k->range ? e : 0;
    return NAME(real)(any == 0 ? TWICE_BIAS / 2 : normal);
}

static inline __attribute__((always_inline)) REAL NAME(block_step)(const NAME(bli_shared) * k, const REAL *x, size_t n)
{
    UINT greatest = 0, any = 0;
    for (size_t i = 0; i < n; i++) {
        UINT m = NAME(finite_magnitude)(x[i]);
        greatest = m > greatest ? m : greatest;
        any |= NAME(bits)(x[i]) & ~SIGN;
    }
    return NAME(step_of)(k, greatest, any);
}

/* The usual sizes as constants, for loops without ends. */
static bool NAME(steps_of_blocks)(const NAME(bli_shared) * k, const uint32_t *size, const REAL *x, REAL *step,
                                  size_t count)
{
    bool all = true;
    for (size_t b = 0; b < count; x += size[b++]) {
        if (size[b] == 32)
            step[b] = NAME(block_step)(k, x, 32);
        else if (size[b] == 16)
            step[b] = NAME(block_step)(k, x, 16);
        else
            step[b] = NAME(block_step)(k, x, size[b]);
        all &= step[b] > 0;
    }
    return all;
}

static void NAME(greatest_across)(const REAL *x, UINT *most, UINT *any, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        UINT m = NAME(finite_magnitude)(x[i]);
        most[i] = m > most[i] ? m : most[i];
        any[i] |= NAME(bits)(x[i]) & ~SIGN;
    }
}

static bool NAME(steps_across)(const NAME(bli_shared) * k, const UINT *most, const UINT *any, REAL *step, size_t n)
{
    UINT missing = 0;
    for (size_t i = 0; i < n; i++) {
        step[i] = NAME(step_of)(k, most[i], any[i]);
        missing |= (UINT)(step[i] == 0);
    }
    return missing == 0;
}

static inline __attribute__((always_inline)) REAL NAME(inverse_of)(REAL power_of_two)
{
    return NAME(real)(TWICE_BIAS - NAME(bits)(power_of_two));
}

static inline __attribute__((always_inline)) void NAME(codes_block)(bl_rounding q, const NAME(bli_codes) * k, REAL step,
                                                                    const REAL *x, REAL *y, const uint32_t *random,
                                                                    size_t n)
{
    const REAL inverse = NAME(inverse_of)(step);
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(code)(q, BLI_END_CLAMP, k, x[i] * inverse, step, q == BL_STOCHASTIC ? random[i] : 0);
}

static inline __attribute__((always_inline)) void NAME(floats_block)(bl_rounding q, const NAME(bli_floats) * k,
                                                                     REAL step, const REAL *x, REAL *y,
                                                                     const uint32_t *random, size_t n)
{
    const REAL inverse = NAME(inverse_of)(step), nan = k->nan * step;
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(float_value)(q, k, x[i] * inverse, step, nan, q == BL_STOCHASTIC ? random[i] : 0);
}

static inline __attribute__((always_inline)) void NAME(codes_blocks)(bl_rounding q, const NAME(bli_codes) * kp,
                                                                     const NAME(bli_blocks) * blocks, const REAL *x,
                                                                     REAL *y, const uint32_t *random)
{
    const NAME(bli_codes) k = *kp;
    size_t at = 0;
    for (size_t b = 0; b < blocks->count; at += blocks->size[b++]) {
        const REAL step = blocks->step[b];
        if (blocks->size[b] == 32)
            NAME(codes_block)(q, &k, step, x + at, y + at, random + at, 32);
        else if (blocks->size[b] == 16)
            NAME(codes_block)(q, &k, step, x + at, y + at, random + at, 16);
        else
            NAME(codes_block)(q, &k, step, x + at, y + at, random + at, blocks->size[b]);
    }
}

static inline __attribute__((always_inline)) void NAME(floats_blocks)(bl_rounding q, const NAME(bli_floats) * kp,
                                                                      const NAME(bli_blocks) * blocks, const REAL *x,
                                                                      REAL *y, const uint32_t *random)
{
    const NAME(bli_floats) k = *kp;
    size_t at = 0;
    for (size_t b = 0; b < blocks->count; at += blocks->size[b++]) {
        const REAL step = blocks->step[b];
        if (blocks->size[b] == 32)
            NAME(floats_block)(q, &k, step, x + at, y + at, random + at, 32);
        else if (blocks->size[b] == 16)
            NAME(floats_block)(q, &k, step, x + at, y + at, random + at, 16);
        else
            NAME(floats_block)(q, &k, step, x + at, y + at, random + at, blocks->size[b]);
    }
}

static inline __attribute__((always_inline)) void NAME(codes_across)(bl_rounding q, const NAME(bli_codes) * kp,
                                                                     const REAL *step, const REAL *x, REAL *y,
                                                                     const uint32_t *random, size_t n)
{
    const NAME(bli_codes) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(code)(q, BLI_END_CLAMP, &k, x[i] * NAME(inverse_of)(step[i]), step[i],
                          q == BL_STOCHASTIC ? random[i] : 0);
}

static inline __attribute__((always_inline)) void NAME(floats_across)(bl_rounding q, const NAME(bli_floats) * kp,
                                                                      const REAL *step, const REAL *x, REAL *y,
                                                                      const uint32_t *random, size_t n)
{
    const NAME(bli_floats) k = *kp;
    INDEPENDENT
    for (size_t i = 0; i < n; i++)
        y[i] = NAME(float_value)(q, &k, x[i] * NAME(inverse_of)(step[i]), step[i], k.nan * step[i],
                                 q == BL_STOCHASTIC ? random[i] : 0);
}

#define LOOPS(q, text)                                                                                                 \
    static void NAME(codes_blocks_##q)(const NAME(bli_codes) * k, const NAME(bli_blocks) * blocks, const REAL *x,      \
                                       REAL *y, const uint32_t *random)                                                \
    {                                                                                                                  \
        NAME(codes_blocks)(BL_##q, k, blocks, x, y, random);                                                           \
    }                                                                                                                  \
    static void NAME(codes_across_##q)(const NAME(bli_codes) * k, const REAL *step, const REAL *x, REAL *y,            \
                                       const uint32_t *random, size_t n)                                               \
    {                                                                                                                  \
        NAME(codes_across)(BL_##q, k, step, x, y, random, n);                                                          \
    }                                                                                                                  \
    static void NAME(floats_blocks_##q)(const NAME(bli_floats) * k, const NAME(bli_blocks) * blocks, const REAL *x,    \
                                        REAL *y, const uint32_t *random)                                               \
    {                                                                                                                  \
        NAME(floats_blocks)(BL_##q, k, blocks, x, y, random);                                                          \
    }                                                                                                                  \
    static void NAME(floats_across_##q)(const NAME(bli_floats) * k, const REAL *step, const REAL *x, REAL *y,          \
                                        const uint32_t *random, size_t n)                                              \
    {                                                                                                                  \
        NAME(floats_across)(BL_##q, k, step, x, y, random, n);                                                         \
    }
BL_ROUNDING_LIST(LOOPS)
#undef LOOPS
