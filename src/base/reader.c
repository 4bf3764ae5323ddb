/* reader.c: the bounded cursor. */
#include "base/reader.h"

const uint8_t *bli_reader_take(bli_reader *r, size_t n)
{
    if (n > bli_reader_left(r))
        return NULL;
    const uint8_t *p = r->data + r->pos;
    r->pos += n;
    return p;
}

/* n bytes, the last one the most significant. */
static bool little_endian(bli_reader *r, size_t n, uint64_t *out)
{
    const uint8_t *p = bli_reader_take(r, n);
    if (p == NULL)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    *out = v;
    return true;
}

bool bli_reader_u8(bli_reader *r, uint8_t *out)
{
    uint64_t v;
    if (!little_endian(r, 1, &v))
        return false;
    *out = (uint8_t)v;
    return true;
}

bool bli_reader_u16le(bli_reader *r, uint16_t *out)
{
    uint64_t v;
    if (!little_endian(r, 2, &v))
        return false;
    *out = (uint16_t)v;
    return true;
}

bool bli_reader_u32le(bli_reader *r, uint32_t *out)
{
    uint64_t v;
    if (!little_endian(r, 4, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

bool bli_reader_u32be(bli_reader *r, uint32_t *out)
{
    uint32_t v;
    if (!bli_reader_u32le(r, &v))
        return false;
    *out = __builtin_bswap32(v);
    return true;
}

bool bli_reader_varint(bli_reader *r, uint64_t *out)
{
    size_t start = r->pos;
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;
        if (!bli_reader_u8(r, &byte) || (shift == 63 && byte > 1))
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    r->pos = start;
    return false;
}
