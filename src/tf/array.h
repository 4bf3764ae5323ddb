/* array.h: storage of the runtime's tensors: counted blocks, kept for reuse by a pool. */
#ifndef BLI_TF_ARRAY_H
#define BLI_TF_ARRAY_H

#include "tf/session.h"

typedef struct bli_tf_pool bli_tf_pool;
typedef struct bli_tf_list bli_tf_list;
BL_MUST_CHECK bl_status bli_tf_pool_create(bl_context *ctx, size_t most_bytes, bli_tf_pool **out);
/* Blocks that arrays still hold live on. */
void bli_tf_pool_destroy(bli_tf_pool *p);
size_t bli_tf_pool_peak(const bli_tf_pool *p);
/* Room for a tensor of that type and shape, not cleared. */
BL_MUST_CHECK bl_status bli_tf_array_make(bli_tf_pool *p, int dtype, const bl_shape *shape, bli_tf_array *out);
bli_tf_array bli_tf_array_share(const bli_tf_array *a);
size_t bli_tf_array_bytes(const bli_tf_array *a);
/* An array of type resource or variant, a scalar, that is a list (flow.h), which it takes and ends with its last user.
 */
BL_MUST_CHECK bl_status bli_tf_array_make_list(bli_tf_pool *p, int kind, bli_tf_list *list, bli_tf_array *out);
bli_tf_list *bli_tf_array_list(const bli_tf_array *a); /* NULL: it is none */

#endif
