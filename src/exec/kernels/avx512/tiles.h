/* tiles.h: products of bytes by AMX's tiles, for the table in exec.c. */
#ifndef BLI_EXEC_TILES_H
#define BLI_EXEC_TILES_H

#include "exec/kernels/kernels.h"

enum { BLI_TILE_GROUPS = 16, BLI_TILE_ROWS = 16 };
void bli_tiles8(const bli_product *p, const bli_rows *in, void *y);

#endif
