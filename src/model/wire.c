/* wire.c: the scan of protobuf's wire format (https://protobuf.dev/programming-guides/encoding/).
 *
 * It checks form only: what a field means is its reader's business.  Groups, which no file of today has, are refused.
 */
#include "model/wire.h"

#include <string.h>

#include "base/reader.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

typedef struct scan {
    bl_context *ctx;
    const bli_wire_limits *limits;
    const uint8_t *start; /* of the whole file, for positions in messages */
    size_t messages, fields;
} scan;

static bl_status scan_message(scan *s, const ProtobufCMessageDescriptor *type, bli_reader r, int depth);

static unsigned long long position(const scan *s, const bli_reader *r)
{
    return (unsigned long long)(r->data + r->pos - s->start);
}

static bl_status truncated(scan *s, const bli_reader *r)
{
    return bli_fail(s->ctx, BL_BAD_FILE, "byte %llu: the file ends inside a field, or a number has more than 10 bytes",
                    position(s, r));
}

/* Bytes of a character of UTF-8 at p, of at most left; 0: none begins there (RFC 3629). */
static size_t character(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : (p[0] & 0xf0) == 0xe0       ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool no_character = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || no_character ? 0 : n;
}

/* A decoded string ends at its first zero byte: one inside would be lost without a word. */
bl_status bli_wire_check_string(bl_context *ctx, const void *text, size_t size, bool utf8)
{
    const uint8_t *bytes = text;
    if (size && memchr(text, 0, size))
        return bli_fail(ctx, BL_BAD_FILE, "a string has a zero byte");
    for (size_t i = 0, n; utf8 && i < size; i += n) {
        n = character(bytes + i, size - i);
        if (n == 0)
            return bli_fail(ctx, BL_BAD_FILE, "a string is not UTF-8: byte %zu of it is 0x%02x", i, bytes[i]);
    }
    return BL_OK;
}

static bl_status scan_bytes(scan *s, const ProtobufCFieldDescriptor *f, bli_reader *r, int depth)
{
    uint64_t size;
    size_t at = r->pos;
    if (!bli_reader_varint(r, &size))
        return truncated(s, r);
    if (size > bli_reader_left(r)) {
        size_t left = bli_reader_left(r);
        r->pos = at;
        return bli_fail(s->ctx, BL_BAD_FILE, "byte %llu: %llu bytes are claimed, %zu are left", position(s, r),
                        (unsigned long long)size, left);
    }
    if (f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
        bli_reader inner = bli_reader_make(r->data + r->pos, (size_t)size);
        BLI_TRY(scan_message(s, f->descriptor, inner, depth + 1));
    }
    if (f && f->type == PROTOBUF_C_TYPE_STRING)
        BLI_TRY(bli_wire_check_string(s->ctx, r->data + r->pos, (size_t)size, s->limits->utf8));
    return bli_reader_take(r, (size_t)size) || size == 0 ? BL_OK : truncated(s, r);
}

static bl_status scan_field(scan *s, const ProtobufCFieldDescriptor *f, unsigned kind, bli_reader *r, int depth)
{
    uint64_t number;
    switch (kind) {
    case VARINT:
        return bli_reader_varint(r, &number) ? BL_OK : truncated(s, r);
    case FIXED64:
        return bli_reader_take(r, 8) ? BL_OK : truncated(s, r);
    case FIXED32:
        return bli_reader_take(r, 4) ? BL_OK : truncated(s, r);
    case BYTES:
        return scan_bytes(s, f, r, depth);
    default:
        return bli_fail(s->ctx, BL_BAD_FILE, "byte %llu: wire type %u is not used by this format", position(s, r),
                        kind);
    }
}

/* Protobuf says that a message given twice is merged; no writer does it, and decoding it is the decoder's least tried
 * path. */
static bl_status once(scan *s, const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *f,
                      uint64_t *seen)
{
    if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED)
        return BL_OK;
    uint64_t bit = (uint64_t)1 << ((f - type->fields) & 63);
    if (*seen & bit)
        return bli_fail(s->ctx, BL_BAD_FILE, "it is there twice");
    *seen |= bit;
    return BL_OK;
}

static bl_status scan_message(scan *s, const ProtobufCMessageDescriptor *type, bli_reader r, int depth)
{
    if (depth > s->limits->depth)
        return bli_fail(s->ctx, BL_LIMIT, "messages nest deeper than %d", s->limits->depth);
    if (++s->messages > s->limits->messages)
        return bli_fail(s->ctx, BL_LIMIT, "more than %zu messages", s->limits->messages);
    uint64_t seen = 0;
    while (bli_reader_left(&r) > 0) {
        uint64_t tag;
        if (++s->fields > s->limits->fields)
            return bli_fail(s->ctx, BL_LIMIT, "more than %zu fields", s->limits->fields);
        if (!bli_reader_varint(&r, &tag))
            return truncated(s, &r);
        if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
            return bli_fail(s->ctx, BL_BAD_FILE, "byte %llu: %llu is no field number", position(s, &r),
                            (unsigned long long)(tag >> 3));
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        bl_status status = once(s, type, f, &seen);
        if (status == BL_OK)
            status = scan_field(s, f, (unsigned)(tag & 7), &r, depth);
        if (status != BL_OK)
            return bli_within(s->ctx, status, "%s", f ? f->name : "unknown field");
    }
    return BL_OK;
}

bl_status bli_wire_scan(bl_context *ctx, const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                        const bli_wire_limits *limits)
{
    scan s = {.ctx = ctx, .limits = limits, .start = data};
    return scan_message(&s, type, bli_reader_make(data, size), 1);
}

static void *allocate(void *memory, size_t size)
{
    bli_wire_memory *m = memory;
    void *p = bli_alloc(m->ctx, size);
    m->failed = m->failed || !p;
    return p;
}

static void release(void *memory, void *ptr)
{
    bli_wire_memory *m = memory;
    bli_free(m->ctx, ptr);
}

ProtobufCAllocator bli_wire_allocator(bli_wire_memory *m)
{
    return (ProtobufCAllocator){allocate, release, m};
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void append(ProtobufCBuffer *base, size_t size, const uint8_t *data)
{
    bli_wire_sink *sink = (bli_wire_sink *)base;
    sink->size += size;
    if (sink->status == BL_OK && size > 0)
        sink->status = sink->write(sink->to, data, size);
}

bli_wire_sink bli_wire_sink_make(bli_wire_write write, void *to)
{
    return (bli_wire_sink){.base = {append}, .write = write, .to = to};
}

bl_status bli_wire_to_buf(void *buf, const void *data, size_t size)
{
    return bli_buf_append(buf, data, size);
}

void bli_wire_sink_varint(bli_wire_sink *sink, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    append(&sink->base, n, bytes);
}
