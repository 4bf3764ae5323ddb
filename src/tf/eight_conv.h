/* eight_conv.h: sums of products of bytes, by rows of the result, so that what follows finds them in the cache.
 *
 *   start, then for each picture: picture, and any rows of it, in any order.
 *
 * A job's memory is the session's scratch: it ends with the next bli_tf_scratch.
 */
#ifndef BLI_TF_EIGHT_CONV_H
#define BLI_TF_EIGHT_CONV_H

#include "exec/kernels/kernels.h"
#include "tf/eight_op.h"
#include "tf/kernels/loops.h"

/* How one convolution lies in memory. */
typedef struct bli_eight_layout {
    const bli_eight_conv *v;
    const bli_exec_kernels *kernels, *tiles; /* tiles NULL: they do not pay */
    bool bytes;                              /* or 16 bits */
    bool copies;                             /* the picture, into a padded one */
    int64_t each;                            /* elements of a group */
    int64_t span, span_groups;               /* elements and groups of a kernel row */
    int64_t groups, panels, columns;
    int64_t height, width; /* of the padded picture */
    size_t element;
} bli_eight_layout;

typedef struct bli_eight_job {
    const bli_eight_conv *v;
    const uint8_t *w;
    const bli_tf_loops *loops;
    bool plain; /* by the definition */
    bli_eight_layout l;
    const bli_product *product;
    const void *picture; /* the present one */
    void *copy;
    int32_t *wide;
    uint32_t *pixel, *terms;
} bli_eight_job;

/* v and w [kernel height][width][channel][unit] outlive the job.  constant: the node keeps w in the kernels' form at
 * its site.  ours: pictures may be read BLI_ALIGN bytes beyond their end. */
BL_MUST_CHECK bl_status bli_eight_conv_start(bli_tf_call *c, const bli_eight_conv *v, bool ours, const uint8_t *w,
                                             bool constant, bli_eight_job *j);
void bli_eight_conv_picture(bli_eight_job *j, const uint8_t *x);
/* Rows first, first + 1, ... of the result; to each pixel's sums belongs its term, unless there are none (NULL). */
void bli_eight_conv_rows(const bli_eight_job *j, int64_t first, int64_t rows, int32_t *y);
const uint32_t *bli_eight_conv_terms(const bli_eight_job *j, int64_t first);

#endif
