/* join_source.h: the 32-bit sums that a chain starts from, by rows of pictures: of a convolution or a matrix product,
 * or of a depthwise convolution. */
#ifndef BLI_TF_JOIN_SOURCE_H
#define BLI_TF_JOIN_SOURCE_H

#include "tf/eight_conv.h"
#include "tf/eight_depth.h"
#include "tf/join_work.h"

typedef struct bli_join_source {
    bool depthwise;
    bli_eight_conv v; /* of a depthwise one: window and units */
    bli_eight_job job;
    bli_eight_depth depth;
    bli_tf_window w;
    const float *factors; /* what the sums of each channel are multiplied by, before they are rounded; NULL: nothing */
    const int32_t *lift;  /* what is then added to them; NULL: nothing */
    float range[2];       /* of the sums */
} bli_join_source;

/* Of the chain's first stage, and what that says of w.  *fine false: not for one pass.  Session's scratch. */
BL_MUST_CHECK bl_status bli_join_source_start(bli_join_work *w, bli_tf_join *j, bli_join_source *from, bool *fine);
/* Picture n is the present one. */
void bli_join_source_picture(bli_join_source *from, const bli_join_work *w, int64_t n);
/* Some rows of it; memory's least_sum and greatest_sum take in their extremes. */
void bli_join_source_rows(const bli_join_source *from, const bli_join_work *w, int64_t first, int64_t rows,
                          int32_t *sums);

#endif
