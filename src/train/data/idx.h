/* idx.h (internal): the IDX format of the MNIST family. */
#ifndef BLI_TRAIN_IDX_H
#define BLI_TRAIN_IDX_H

#include "train/data/data.h"

/* Two zero bytes, a known element type, one to BL_MAX_RANK dimensions. */
bool bli_idx_magic(const uint8_t magic[4]);
/* One file as a block, in memory up to `budget` bytes, else in place; freed when the set is closed. */
BL_MUST_CHECK bl_status bli_idx_read(bl_dataset *d, const char *path, size_t budget, bli_block *out, bl_shape *row);

#endif
