/* spread.h: which values a tensor took over many runs, and the range that eight bits should cover of them.
 *
 * Two looks at the data: extremes, then a histogram between them.  Zero is always within, since the eight-bit operators
 * need a code for it.
 */
#ifndef BLI_TF_SPREAD_H
#define BLI_TF_SPREAD_H

#include "base/base.h"

enum { BLI_SPREAD_BINS = 2048 };

typedef struct bli_spread {
    float low, high;   /* the least and the greatest, zero included */
    float clip[2];     /* values outside count as these: they are cut off later anyway */
    bool found, wrong; /* any value came; one was not finite */
    double zeros;      /* exact ones, which any range has a code for */
    double *bins;      /* NULL until the second look */
} bli_spread;

void bli_spread_start(bli_spread *s);
void bli_spread_extremes(bli_spread *s, float low, float high);
void bli_spread_extremes_of(bli_spread *s, const float *x, int64_t n);
/* The second look: scale * code + offset of every code. */
void bli_spread_count(bli_spread *s, const float *x, int64_t n);
void bli_spread_count_codes(bli_spread *s, const int32_t *codes, int64_t n, double scale, double offset);

/* How a range is chosen. */
typedef struct bli_spread_method {
    const char *name; /* NULL ends the table */
    bool counts;      /* it needs the second look */
    void (*choose)(const bli_spread *s, double percentile, float range[2]);
} bli_spread_method;
extern const bli_spread_method bli_spread_methods[];

#endif
