/* wire.h: a look at protobuf bytes before a decoder may allocate for them.
 *
 * protobuf-c believes the lengths and counts that it is given and recurses into what nests.  The scan walks the same
 * bytes with a bounded cursor and the same descriptors, so that afterwards every length fits, the depth is bounded, and
 * the memory that decoding takes is at most a known multiple of what was scanned.
 */
#ifndef BLI_MODEL_WIRE_H
#define BLI_MODEL_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "base/base.h"

typedef struct bli_wire_limits {
    int depth;       /* messages within messages */
    size_t messages; /* each costs one struct, about 250 bytes */
    size_t fields;   /* each costs about 40 bytes while decoding */
} bli_wire_limits;

/* BL_BAD_FILE or BL_LIMIT with the path of field names and the byte at fault. */
BL_MUST_CHECK bl_status bli_wire_scan(bl_context *ctx, const ProtobufCMessageDescriptor *type, const void *data,
                                      size_t size, const bli_wire_limits *limits);

/* protobuf-c's allocator on the context's; failed tells want of memory from bytes that cannot be decoded. */
typedef struct bli_wire_memory {
    bl_context *ctx;
    bool failed;
} bli_wire_memory;
ProtobufCAllocator bli_wire_allocator(bli_wire_memory *m);

#endif
