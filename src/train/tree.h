/* tree.h: sums over slices in a fixed binary tree: ((0+1)+(2+3))+((4+5)+(6+7)).  The shape depends on the number of
 * slices alone, never on threads; an odd one out joins a level later. */
#ifndef BLI_TREE_H
#define BLI_TREE_H

#include "base/base.h"
#include "bitlathe/tensor.h"

/* out[i] = tree sum over s of rows[s * stride_bytes ...][i]; rows are overwritten. */
void bli_tree_sum(bl_dtype type, void *out, char *rows, size_t stride_bytes, int slices, size_t n);

#endif
