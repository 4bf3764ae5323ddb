/* span.h: interval arithmetic with a power of two.  A wide span holds what an int64_t cannot yet be shown to hold;
 * `over` is sticky and says that even it was left.  Every function gives the tightest span of its result when its
 * arguments are independent and take every multiple of 2^zeros within their ends.
 */
#ifndef BLI_PROGRAM_SPAN_H
#define BLI_PROGRAM_SPAN_H

#include "program/program.h"

__extension__ typedef __int128 bli_int128;

enum { BLI_ZEROS_OF_ZERO = 63, BLI_ZEROS_MOST = 62 }; /* the constant 0 is a multiple of everything */

typedef struct bli_wide_span {
    bli_int128 low, high;
    int zeros;
    bool over;
} bli_wide_span;

int bli_zeros_of(bli_int128 v);
bli_wide_span bli_span_exact(int64_t v);
bli_wide_span bli_span_widen(bli_span s);
bli_wide_span bli_span_add(bli_wide_span a, bli_wide_span b);
bli_wide_span bli_span_negate(bli_wide_span a);
bli_wide_span bli_span_mul(bli_wide_span a, bli_wide_span b);
bli_wide_span bli_span_square(bli_wide_span a);
bli_wide_span bli_span_times(bli_wide_span a, int64_t n); /* the sum of n independent ones; n >= 0 */
bli_wide_span bli_span_shift_left(bli_wide_span a, int shift);
bli_wide_span bli_span_hull(bli_wide_span a, bli_wide_span b);
bli_wide_span bli_span_min(bli_wide_span a, bli_wide_span b);
bli_wide_span bli_span_max(bli_wide_span a, bli_wide_span b);
/* Multiples of 2^zeros: the least not below v, the greatest not above. */
bli_int128 bli_multiple_up(bli_int128 v, int zeros);
bli_int128 bli_multiple_down(bli_int128 v, int zeros);
/* Whether it fits int64_t; if so *out is it. */
bool bli_span_narrow(bli_wide_span a, bli_span *out);
static inline bool bli_span_equal(bli_span a, bli_span b)
{
    return a.low == b.low && a.high == b.high && a.zeros == b.zeros;
}

#endif
