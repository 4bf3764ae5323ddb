/* prefix.h: the first steps of a network on data of bytes, taken together into what a byte becomes.
 *
 * Where a data set holds bytes, and the first steps do the same to every element (a scale, an offset, the input's
 * quantizer), a byte has only 256 fates.  They are found once, by running those steps on all bytes; from then on the
 * rows are read as what the steps would have made of them, and the steps are left out.
 */
#ifndef BLI_TRAIN_PREFIX_H
#define BLI_TRAIN_PREFIX_H

#include "run/plan.h"
#include "train/data/data.h"

typedef struct bli_prefix {
    int value;   /* of the plan: what the rows of the data are read into */
    int steps;   /* the plan's first ones, left out; 0: bytes are not mapped, value is the graph's input */
    bool mapped; /* through map */
    bli_byte_map map;
} bli_prefix;

/* Finds the steps and takes their storage away: before the plan's layout. */
BL_MUST_CHECK bl_status bli_prefix_find(bli_plan *p, const bl_dataset *d, bli_prefix *out);
/* No step is left out. */
bli_prefix bli_prefix_none(const bli_plan *p);

#endif
