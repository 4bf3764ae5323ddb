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
    bool utf8;       /* whether strings must be UTF-8 (proto3) */
} bli_wire_limits;

/* BL_BAD_FILE or BL_LIMIT with the path of field names and the byte at fault. */
BL_MUST_CHECK bl_status bli_wire_scan(bl_context *ctx, const ProtobufCMessageDescriptor *type, const void *data,
                                      size_t size, const bli_wire_limits *limits);

/* A string as messages have them: without a zero byte and, if asked for, UTF-8. */
BL_MUST_CHECK bl_status bli_wire_check_string(bl_context *ctx, const void *text, size_t size, bool utf8);

/* protobuf-c's allocator on the context's; failed tells want of memory from bytes that cannot be decoded. */
typedef struct bli_wire_memory {
    bl_context *ctx;
    bool failed;
} bli_wire_memory;
ProtobufCAllocator bli_wire_allocator(bli_wire_memory *m);

/* Where protobuf-c's packing goes, piece by piece; after a failure the rest is passed over and status says why. */
typedef bl_status (*bli_wire_write)(void *to, const void *data, size_t size);
typedef struct bli_wire_sink {
    ProtobufCBuffer base;
    bli_wire_write write;
    void *to;
    size_t size; /* bytes so far */
    bl_status status;
} bli_wire_sink;
bli_wire_sink bli_wire_sink_make(bli_wire_write write, void *to);
bl_status bli_wire_to_buf(void *buf, const void *data, size_t size); /* to: a bli_buf */
void bli_wire_sink_varint(bli_wire_sink *sink, uint64_t v);

#endif
