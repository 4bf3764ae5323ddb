/* graphdef_sweep.h (internal to the model room): the three steps of bli_tf_store_sweep. */
#ifndef BLI_MODEL_GRAPHDEF_SWEEP_H
#define BLI_MODEL_GRAPHDEF_SWEEP_H

#include "model/graphdef.h"

void bli_tf_sweep_begin(bli_tf_store *s);
void bli_tf_sweep_reach(bli_tf_store *s, const void *ptr); /* the large block that ptr is in, if any, stays */
void bli_tf_sweep_end(bli_tf_store *s);

#endif
