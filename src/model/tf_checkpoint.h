/* tf_checkpoint.h: tensors of float in a TensorFlow checkpoint (version 2): <prefix>.index, a table of what there is
 * and where, and <prefix>.data-00000-of-00001 and its like, the bytes.
 */
#ifndef BLI_MODEL_TF_CHECKPOINT_H
#define BLI_MODEL_TF_CHECKPOINT_H

#include "base/base.h"

enum { BLI_TF_SAVED_RANK = 8 };

typedef struct bli_tf_checkpoint bli_tf_checkpoint;
BL_MUST_CHECK bl_status bli_tf_checkpoint_open(bl_context *ctx, const char *prefix, bli_tf_checkpoint **out);
void bli_tf_checkpoint_close(bli_tf_checkpoint *c); /* NULL is fine */

typedef struct bli_tf_saved {
    int dtype, rank;
    int64_t dim[BLI_TF_SAVED_RANK];
    float *data; /* freed with bli_free */
} bli_tf_saved;
/* The tensor of that name, whole; one that was saved in parts along its first dimension is put together.  BL_NOT_FOUND:
 * there is none.  Sums are checked; at most 2 GiB; nothing but float. */
BL_MUST_CHECK bl_status bli_tf_checkpoint_read(bli_tf_checkpoint *c, const char *name, bli_tf_saved *out);

#endif
