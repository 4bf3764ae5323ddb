/* stair.h: the slope of a stair of unit steps. */
#ifndef BLI_PROGRAM_STAIR_H
#define BLI_PROGRAM_STAIR_H

#include <stdint.h>

/* The slope a for which floor(a x + b) has most room between the two sides of every step: at[k] is the least x of value
 * k + 1, rising, n > 0.  What is made of it is to be proved in integers. */
double bli_stair_slope(const int64_t *at, int64_t n);

#endif
