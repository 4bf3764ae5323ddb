/* npz.h (internal): npz in memory. */
#ifndef BLI_NPZ_H
#define BLI_NPZ_H

#include "bitlathe/tensor.h"

/* Limits of what is read: members, and bytes that they unpack to altogether. */
enum { BLI_NPZ_MEMBERS = 65534 };
#define BLI_NPZ_CEILING ((size_t)4 << 30)

/* The archive in data (which the result does not need any more), unpacking to at most ceiling bytes. */
BL_MUST_CHECK bl_status bli_npz_decode(bl_context *ctx, const void *data, size_t size, size_t ceiling, bl_npz **out);

#endif
