/* functions.c: functions of pairs, and those of doubles that are no loop.
 *
 * Sums and products of pairs follow Dekker (A floating-point technique for extending the available precision, 1971):
 * the error of a sum or product of two doubles is itself a double, and is carried along.  Nothing here takes a fused
 * multiply-add, whether there is one or not.  Infinite and absurdly great numbers are sorted out first; what is said of
 * precision is not meant for results near the ends of double.
 */
#include "num/functions.h"

#include <stdbool.h>

#include "base/base.h"

static const bli_pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

/* ---- arithmetic of pairs ----------------------------------------------------------------------------------------- */
/* |a| >= |b|, or a is 0 */
static bli_pair quick_sum(double a, double b)
{
    const double s = a + b;
    return (bli_pair){s, b - (s - a)};
}

static bli_pair two_sum(double a, double b)
{
    const double s = a + b, of_b = s - a;
    return (bli_pair){s, (a - (s - of_b)) + (b - of_b)};
}

/* The upper 26 bits of a. */
static double upper(double a)
{
    const double t = 134217729 * a;
    return t - (t - a);
}

static bli_pair two_product(double a, double b)
{
    const double p = a * b, ah = upper(a), al = a - ah, bh = upper(b), bl = b - bh;
    return (bli_pair){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

static bli_pair add(bli_pair a, bli_pair b)
{
    const bli_pair s = two_sum(a.high, b.high), t = two_sum(a.low, b.low);
    const bli_pair u = quick_sum(s.high, s.low + t.high);
    return quick_sum(u.high, u.low + t.low);
}

static bli_pair add_one(bli_pair a, double b)
{
    return add(a, (bli_pair){b, 0});
}

static bli_pair negative(bli_pair a)
{
    return (bli_pair){-a.high, -a.low};
}

static bli_pair multiply(bli_pair a, bli_pair b)
{
    const bli_pair p = two_product(a.high, b.high);
    return quick_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

static bli_pair multiply_one(bli_pair a, double b)
{
    return multiply(a, (bli_pair){b, 0});
}

static bli_pair power_of_two_times(bli_pair a, int e)
{
    return (bli_pair){ldexp(a.high, e), ldexp(a.low, e)};
}

/* Three digits of the quotient, each a double. */
static bli_pair divide(bli_pair a, bli_pair b)
{
    const double q1 = a.high / b.high;
    bli_pair rest = add(a, negative(multiply_one(b, q1)));
    const double q2 = rest.high / b.high;
    rest = add(rest, negative(multiply_one(b, q2)));
    return add_one(quick_sum(q1, q2), rest.high / b.high);
}

bli_pair bli_pair_affine(double code, double scale, double offset)
{
    return add_one(two_product(code, scale), offset);
}

double bli_pair_round(bli_pair x, int fraction)
{
    const bli_pair y = power_of_two_times(x, fraction);
    const double near = nearbyint(y.high), rest = y.high - near, low = rest < 0 ? -y.low : y.low;
    const double over = (fabs(rest) - 0.5) + low; /* both differences are exact near a tie, where near is even */
    return ldexp(over > 0x1p-80 ? near + copysign(1, rest) : near, -fraction);
}

/* ---- exp and log of pairs ---------------------------------------------------------------------------------------- */
/* exp(x) = 2^k (1 + p), p = exp(r) - 1, |r| <= ln(2) / 2: the Taylor polynomial of r / 256, then eight times
 * exp(2 t) - 1 = 2 p + p^2.  |x| <= 750. */
static bli_pair exp_reduced(bli_pair x, int *k)
{
    static const bli_pair inverse_factorial[] = {
        {0x1p-1, 0},
        {0x1.5555555555555p-3, 0x1.5555555555555p-57},
        {0x1.5555555555555p-5, 0x1.5555555555555p-59},
        {0x1.1111111111111p-7, 0x1.1111111111111p-63},
        {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
        {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73},
        {0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
        {0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73},
        {0x1.27e4fb7789f5cp-22, 0x1.cbbc05b4fa99ap-76},
        {0x1.ae64567f544e4p-26, -0x1.c062e06d1f209p-80},
    };
    const double whole = nearbyint(x.high / ln2.high);
    const bli_pair t = power_of_two_times(add(x, negative(multiply_one(ln2, whole))), -8);
    bli_pair p = {0, 0};
    for (size_t i = BLI_COUNT(inverse_factorial); i > 0; i--)
        p = multiply(t, add(inverse_factorial[i - 1], p));
    p = add(t, multiply(t, p));
    for (int i = 0; i < 8; i++)
        p = add(power_of_two_times(p, 1), multiply(p, p));
    *k = (int)whole;
    return p;
}

static bli_pair exp_of(bli_pair x)
{
    int k;
    const bli_pair p = exp_reduced(x, &k);
    return power_of_two_times(add_one(p, 1), k);
}

/* |x| <= 100 */
static bli_pair expm1_of(bli_pair x)
{
    int k;
    const bli_pair p = exp_reduced(x, &k);
    return add(power_of_two_times(p, k), add_one((bli_pair){ldexp(1, k), 0}, -1));
}

/* x = 2^e m: e ln 2 + log m.  One step of Newton's method doubles the digits: y + (m exp(-y) - 1).  x > 0. */
static bli_pair log_of(bli_pair x)
{
    int e;
    const double y = bli_fn_log(frexp(x.high, &e));
    const bli_pair rest = add_one(multiply(power_of_two_times(x, -e), exp_of((bli_pair){-y, 0})), -1);
    return add(multiply_one(ln2, e), add_one(rest, y));
}

/* ---- functions of pairs ------------------------------------------------------------------------------------------ */
static bli_pair within(bli_pair x, double most)
{
    return x.high > most ? (bli_pair){most, 0} : x.high < -most ? (bli_pair){-most, 0} : x;
}

bli_pair bli_pair_sigmoid(bli_pair x, double a)
{
    (void)a;
    return divide((bli_pair){1, 0}, add_one(exp_of(negative(within(x, 600))), 1));
}

bli_pair bli_pair_tanh(bli_pair x, double a)
{
    (void)a;
    const bli_pair size = x.high < 0 ? negative(x) : x, e = expm1_of(power_of_two_times(within(size, 40), 1));
    const bli_pair t = divide(e, add_one(e, 2));
    return x.high < 0 ? negative(t) : t;
}

bli_pair bli_pair_softplus(bli_pair x, double a)
{
    (void)a;
    const bli_pair size = x.high < 0 ? negative(x) : x, u = exp_of(negative(within(size, 600)));
    const bli_pair tail = log_of(add_one(u, 1));
    return x.high > 0 ? add(x, tail) : tail;
}

bli_pair bli_pair_elu(bli_pair x, double a)
{
    return x.high > 0 ? x : multiply_one(expm1_of(within(x, 100)), a);
}

bli_pair bli_pair_exp(bli_pair x, double a)
{
    (void)a;
    if (!(fabs(x.high) < 700))
        return (bli_pair){x.high < 0 ? 0 : x.high, 0};
    return exp_of(x);
}

bli_pair bli_pair_inverse(bli_pair x, double a)
{
    (void)a;
    return divide((bli_pair){1, 0}, x);
}

bli_pair bli_pair_pow(bli_pair x, double a)
{
    if (!(fabs(x.high) > 0 && fabs(x.high) < (double)INFINITY && fabs(a) <= 0x1p60) || (x.high < 0 && a != floor(a)))
        return (bli_pair){pow(x.high, a), 0}; /* 0, infinity, NaN, 1: C says which */
    const bli_pair size = x.high < 0 ? negative(x) : x, power = multiply_one(log_of(size), a);
    const double sign = x.high < 0 && fmod(a, 2) != 0 ? -1 : 1;
    if (!(fabs(power.high) < 745))
        return (bli_pair){sign * (power.high < 0 ? 0 : (double)INFINITY), 0};
    return multiply_one(exp_of(power), sign);
}

/* ---- doubles ----------------------------------------------------------------------------------------------------- */
/* x = 2^*e (1 + s) / (1 - s) of positive finite x, the quotient between the roots of 1/2 and 2. */
static double ratio_of(double x, int *e)
{
    double m = frexp(x, e);
    if (m < M_SQRT1_2) {
        m += m;
        --*e;
    }
    return (m - 1) / (m + 1);
}

static bool ordinary(double x)
{
    return x > 0 && x < (double)INFINITY;
}

double bli_fn_log(double x)
{
    int e;
    if (!ordinary(x))
        return log(x);
    const double m = bli_log_ratio(ratio_of(x, &e));
    return e * 0x1.62e42fee00000p-1 + (m + e * 0x1.a39ef35793c76p-33);
}

double bli_fn_log2(double x)
{
    int e;
    if (!ordinary(x))
        return log2(x);
    const double m = bli_log_ratio(ratio_of(x, &e));
    return e + m * 0x1.71547652b82fep0;
}

double bli_fn_exp2(double x)
{
    if (!(fabs(x) < 0x1p20))
        return exp2(x);
    const double whole = floor(x);
    return ldexp(bli_fn_exp((x - whole) * ln2.high), (int)whole);
}

double bli_fn_pow(double x, double a)
{
    if (a == 2)
        return x * x;
    return a == 1 ? x : bli_pair_pow((bli_pair){x, 0}, a).high;
}
