/* layout.h: where storages live, and conversions between carriers. */
#ifndef BLI_LAYOUT_H
#define BLI_LAYOUT_H

#include "run/plan.h"

/* Gives every storage with this `global` an offset so that storages alive together do not overlap; returns the bytes
 * needed for `rows` rows each.  Greedy by size (largest first, lowest fitting offset). */
BL_MUST_CHECK bl_status bli_layout(bl_context *ctx, bli_storage *s, int count, bool global, size_t rows, size_t *bytes);

/* to[i] = from[i], between any two number types (floats to integers truncate). */
void bli_convert(bl_dtype to_type, void *to, bl_dtype from_type, const void *from, size_t n);

#endif
