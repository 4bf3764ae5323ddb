/* number.c: decimal text to double, fast where that is exact.
 *
 * Clinger, "How to read floating point numbers accurately", PLDI 1990: a significand of at most 53 bits times or over a
 * power of ten up to 10^22 (both exact in double) is one correctly rounded operation.  All else goes to strtod, after
 * the grammar was checked here: strtod alone would take hexadecimal, "nan(...)" and leading blanks.
 */
#include "train/data/number.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

enum { EXACT_POWER = 22, SAFE_DIGITS = 18, MAX_EXPONENT_DIGITS = 6 };
#define EXACT_SIGNIFICAND ((uint64_t)1 << 53)

static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

typedef struct decimal {
    bool negative;
    uint64_t significand;
    int digits, significant; /* seen; put into the significand */
    int exponent;
} decimal;

/* Digits from p on into d; those behind the point lower the exponent. */
static const char *take_digits(const char *p, decimal *d, int behind_point)
{
    for (; *p >= '0' && *p <= '9'; p++) {
        d->digits++;
        d->exponent -= behind_point;
        if (d->significand == 0 && *p == '0')
            continue;
        d->significant++;
        if (d->significant <= SAFE_DIGITS)
            d->significand = d->significand * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

static const char *take_exponent(const char *p, decimal *d)
{
    if (*p != 'e' && *p != 'E')
        return p;
    p++;
    int sign = *p == '-' ? -1 : 1, value = 0;
    if (*p == '-' || *p == '+')
        p++;
    const char *first = p;
    for (; *p >= '0' && *p <= '9'; p++)
        if (value < 100000)
            value = value * 10 + (*p - '0');
    d->exponent += sign * value;
    return p > first ? p : NULL;
}

static const char *take_decimal(const char *p, decimal *d)
{
    d->negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    p = take_digits(p, d, 0);
    if (*p == '.')
        p = take_digits(p + 1, d, 1);
    return d->digits > 0 ? take_exponent(p, d) : NULL;
}

static bool says_infinite(const char *text)
{
    static const char *const words[] = {"nan", "inf", "infinity", "na", "n/a", "null", "none"};
    if (*text == '-' || *text == '+')
        text++;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

bli_number_kind bli_number_parse(const char *text, size_t n, locale_t c_locale, double *out)
{
    if (n == 0)
        return BLI_NUMBER_EMPTY;
    decimal d = {0};
    const char *end = take_decimal(text, &d);
    if (end != text + n)
        return says_infinite(text) ? BLI_NUMBER_INFINITE : BLI_NUMBER_TEXT;
    bool exact = d.significant <= SAFE_DIGITS && d.significand <= EXACT_SIGNIFICAND;
    if (exact && d.exponent >= -EXACT_POWER && d.exponent <= EXACT_POWER) {
        double v = (double)d.significand;
        v = d.exponent < 0 ? v / powers[-d.exponent] : v * powers[d.exponent];
        *out = d.negative ? -v : v;
        return BLI_NUMBER;
    }
    *out = strtod_l(text, NULL, c_locale);
    return isfinite(*out) ? BLI_NUMBER : BLI_NUMBER_INFINITE;
}
