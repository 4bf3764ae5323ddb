/* reader.h: a bounded cursor over untrusted bytes.  No parser touches a raw pointer: every access goes through
 * these, and a short read fails instead of reading past the end.
 */
#ifndef BLI_READER_H
#define BLI_READER_H

#include "base/base.h"

typedef struct bli_reader {
    const uint8_t *data;
    size_t size, pos;
} bli_reader;

static inline bli_reader bli_reader_make(const void *data, size_t size)
{
    return (bli_reader){data, size, 0};
}
static inline size_t bli_reader_left(const bli_reader *r)
{
    return r->size - r->pos;
}
/* A pointer to n bytes, advancing; NULL when fewer are left (position unchanged). */
const uint8_t *bli_reader_take(bli_reader *r, size_t n);
bool bli_reader_u8(bli_reader *r, uint8_t *out);
bool bli_reader_u16le(bli_reader *r, uint16_t *out);
bool bli_reader_u32le(bli_reader *r, uint32_t *out);
bool bli_reader_u32be(bli_reader *r, uint32_t *out);
bool bli_reader_varint(bli_reader *r, uint64_t *out); /* protobuf base-128, at most 10 bytes */

#endif
