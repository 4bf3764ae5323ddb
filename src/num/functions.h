/* functions.h: exp, tanh and their like by basic arithmetic alone, so that they are the same on every machine.
 *
 * IEEE's sums, products and quotients are the same everywhere; what a C library makes of exp is its own affair, to the
 * last place.  Tables of integers and the values that a quantizer rounds must not depend on it: evaluation takes
 * functions from here only.  There are two kinds.  Functions of doubles are within 2 units in the last place
 * (`bli_fn_pow` within a half and a little) and are written so that loops over them become vectors.  Functions of pairs
 * (the sum of two doubles, some 2^-98 of the value off) are for tables, whose entries are to be the nearest. Training's
 * losses, schedules and random draws are not served from here.
 */
#ifndef BLI_NUM_FUNCTIONS_H
#define BLI_NUM_FUNCTIONS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- doubles ----------------------------------------------------------------------------------------------------
 */
static inline double bli_two_to(uint64_t k)
{
    const uint64_t bits = (k + 1023) << 52;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* x = k ln 2 + r (Cody and Waite's reduction); returns exp(r) - 1 by its Taylor polynomial of degree 14: |r| <= ln(2) /
 * 2 leaves 2^-60 of it.  |x| <= 1000; *k may be negative, in two's complement. */
static inline double bli_exp_reduced(double x, uint64_t *k)
{
    const double shifted = x * 0x1.71547652b82fep0 + 0x1.8p52, whole = shifted - 0x1.8p52;
    const double r = (x - whole * 0x1.62e42fee00000p-1) - whole * 0x1.a39ef35793c76p-33;
    double p = 1.0 / 87178291200;
    p = p * r + 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 1.0 / 2;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits); /* k is in the low bits */
    *k = bits - 0x4338000000000000u;
    return p * r * r + r;
}

static inline double bli_fn_exp(double x)
{
    const double low = x < -746 ? -746 : x, near = low > 710 ? 710 : low;
    uint64_t k;
    const double p = bli_exp_reduced(near, &k);
    const uint64_t half = ((k + 2048) >> 1) - 1024; /* 2^k in two factors: beyond, and below, what a double holds */
    return (1 + p) * bli_two_to(half) * bli_two_to(k - half);
}

/* exp(x) - 1 of x <= 50; greater ones count as 50. */
static inline double bli_fn_expm1(double x)
{
    const double low = x < -50 ? -50 : x, near = low > 50 ? 50 : low;
    uint64_t k;
    const double p = bli_exp_reduced(near, &k), two = bli_two_to(k);
    return two * p + (two - 1);
}

/* e / (e + 2) with e = exp(2 |x|) - 1.  From 20 on tanh is 1 in double. */
static inline double bli_fn_tanh(double x)
{
    const double a = fabs(x), b = a > 20 ? 40 : a + a, e = bli_fn_expm1(b), t = e / (e + 2);
    return copysign(a == a ? t : a, x);
}

static inline double bli_fn_sigmoid(double x)
{
    return 1 / (1 + bli_fn_exp(-x));
}

/* log((1 + s) / (1 - s)) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...), |s| <= 1/3: 18 terms leave 2^-57 of it. */
static inline double bli_log_ratio(double s)
{
    const double q = s * s;
    double p = 1.0 / 35;
    p = p * q + 1.0 / 33;
    p = p * q + 1.0 / 31;
    p = p * q + 1.0 / 29;
    p = p * q + 1.0 / 27;
    p = p * q + 1.0 / 25;
    p = p * q + 1.0 / 23;
    p = p * q + 1.0 / 21;
    p = p * q + 1.0 / 19;
    p = p * q + 1.0 / 17;
    p = p * q + 1.0 / 15;
    p = p * q + 1.0 / 13;
    p = p * q + 1.0 / 11;
    p = p * q + 1.0 / 9;
    p = p * q + 1.0 / 7;
    p = p * q + 1.0 / 5;
    p = p * q + 1.0 / 3;
    return 2 * (s + s * q * p);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + u), u = exp(-|x|) */
static inline double bli_fn_softplus(double x)
{
    const double u = bli_fn_exp(-fabs(x));
    return (x < 0 ? 0 : x) + bli_log_ratio(u / (2 + u));
}

/* As C's log, log2 and pow have them at 0, infinity, NaN and of negative numbers.  log2 of a power of two and exp2 of
 * an integer are exact. */
double bli_fn_log(double x);
double bli_fn_log2(double x);
double bli_fn_exp2(double x);
double bli_fn_pow(double x, double a);

/* ---- pairs ----------------------------------------------------------------------------------------------------------
 */
/* The number high + low, |low| at most half a unit in the last place of high. */
typedef struct bli_pair {
    double high, low;
} bli_pair;

/* code * scale + offset */
bli_pair bli_pair_affine(double code, double scale, double offset);
/* The nearest multiple of 2^-fraction, ties to even, as long as that is below 2^52 of them.  What is within 2^-80 of a
 * tie counts as one: exp and its like have none but at 0, and a power that is one is computed as near as that. */
double bli_pair_round(bli_pair x, int fraction);

typedef bli_pair bli_pair_function(bli_pair x, double a);
bli_pair_function bli_pair_sigmoid, bli_pair_tanh, bli_pair_softplus;
bli_pair_function bli_pair_elu;     /* a (exp(x) - 1) below 0 */
bli_pair_function bli_pair_exp;     /* 0 and infinity beyond +-700 */
bli_pair_function bli_pair_pow;     /* x^a */
bli_pair_function bli_pair_inverse; /* 1 / x */

#endif
