/* message_write.c: messages in protobuf's wire format (https://protobuf.dev/programming-guides/encoding/).
 *
 * protobuf-c's own packing leaves out an entry's key or value when it is zero, and -0.0; protobuf's C++ does not, and
 * the bytes are to be the same.  Sizes of nested messages are computed anew at each level: messages here are flat.
 */
#include <string.h>

#include "model/message.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static const uint8_t wire_types[] = {
    [PROTOBUF_C_TYPE_INT32] = VARINT,    [PROTOBUF_C_TYPE_SINT32] = VARINT,   [PROTOBUF_C_TYPE_SFIXED32] = FIXED32,
    [PROTOBUF_C_TYPE_INT64] = VARINT,    [PROTOBUF_C_TYPE_SINT64] = VARINT,   [PROTOBUF_C_TYPE_SFIXED64] = FIXED64,
    [PROTOBUF_C_TYPE_UINT32] = VARINT,   [PROTOBUF_C_TYPE_FIXED32] = FIXED32, [PROTOBUF_C_TYPE_UINT64] = VARINT,
    [PROTOBUF_C_TYPE_FIXED64] = FIXED64, [PROTOBUF_C_TYPE_FLOAT] = FIXED32,   [PROTOBUF_C_TYPE_DOUBLE] = FIXED64,
    [PROTOBUF_C_TYPE_BOOL] = VARINT,     [PROTOBUF_C_TYPE_ENUM] = VARINT,     [PROTOBUF_C_TYPE_STRING] = BYTES,
    [PROTOBUF_C_TYPE_BYTES] = BYTES,     [PROTOBUF_C_TYPE_MESSAGE] = BYTES,
};

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v > 0x7f; v >>= 7)
        n++;
    return n;
}

/* The number that a varint field's value is written as. */
static uint64_t varint_of(const bli_field *f, const void *v)
{
    int32_t narrow;
    uint64_t wide = 0;
    if (f->type == PROTOBUF_C_TYPE_BOOL)
        return *(const protobuf_c_boolean *)v != 0;
    if (bli_field_size(f) == 8) {
        memcpy(&wide, v, 8);
        return f->type == PROTOBUF_C_TYPE_SINT64 ? wide << 1 ^ (wide >> 63 ? UINT64_MAX : 0) : wide;
    }
    memcpy(&narrow, v, 4);
    if (f->type == PROTOBUF_C_TYPE_UINT32)
        return (uint32_t)narrow;
    if (f->type == PROTOBUF_C_TYPE_SINT32)
        return (uint32_t)narrow << 1 ^ (narrow < 0 ? UINT32_MAX : 0);
    return (uint64_t)(int64_t)narrow; /* negative numbers and enum values take ten bytes */
}

/* Bytes of a value of a field of wire type BYTES: how many, and where, unless it is a message. */
static size_t length_of(const bli_field *f, const void *v, const void **data)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const bli_message *m = *(bli_message *const *)v;
        *data = NULL;
        return m ? bli_message_size(m) : 0;
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES) {
        *data = ((const ProtobufCBinaryData *)v)->data;
        return ((const ProtobufCBinaryData *)v)->len;
    }
    *data = *(char *const *)v;
    return *data ? strlen(*data) : 0;
}

static size_t value_size(const bli_field *f, const void *v)
{
    const void *data;
    switch (wire_types[f->type]) {
    case VARINT:
        return varint_size(varint_of(f, v));
    case FIXED32:
        return 4;
    case FIXED64:
        return 8;
    default: {
        size_t length = length_of(f, v, &data);
        return varint_size(length) + length;
    }
    }
}

static size_t payload_size(const bli_message *m, const bli_field *f, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += value_size(f, bli_field_at(m, f, i));
    return size;
}

static bool is_packed(const bli_field *f)
{
    return (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0;
}

size_t bli_message_size(const bli_message *m)
{
    size_t size = 0;
    for (unsigned k = 0; k < m->descriptor->n_fields; k++) {
        const bli_field *f = &m->descriptor->fields[k];
        size_t count = bli_field_count(m, f), tag = varint_size((uint64_t)f->id << 3);
        size_t payload = payload_size(m, f, count);
        if (count > 0)
            size += is_packed(f) ? tag + varint_size(payload) + payload : count * tag + payload;
    }
    for (unsigned k = 0; k < m->n_unknown_fields; k++)
        size += varint_size((uint64_t)m->unknown_fields[k].tag << 3) + m->unknown_fields[k].len;
    return size;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void put(bli_wire_sink *sink, const void *data, size_t size)
{
    sink->base.append(&sink->base, size, data);
}

static void put_tag(bli_wire_sink *sink, unsigned id, unsigned wire_type)
{
    bli_wire_sink_varint(sink, (uint64_t)id << 3 | wire_type);
}

static void put_value(bli_wire_sink *sink, const bli_field *f, const void *v)
{
    const void *data;
    unsigned type = wire_types[f->type];
    if (type == VARINT) {
        bli_wire_sink_varint(sink, varint_of(f, v));
        return;
    }
    if (type != BYTES) {
        put(sink, v, type == FIXED32 ? 4 : 8);
        return;
    }
    size_t length = length_of(f, v, &data);
    bli_wire_sink_varint(sink, length);
    if (data)
        put(sink, data, length);
    else if (length)
        bli_message_write(*(bli_message *const *)v, sink);
}

static void put_packed(bli_wire_sink *sink, const bli_message *m, const bli_field *f, size_t count)
{
    put_tag(sink, f->id, BYTES);
    bli_wire_sink_varint(sink, payload_size(m, f, count));
    if (wire_types[f->type] != VARINT) {
        put(sink, bli_field_at(m, f, 0), count * bli_field_size(f));
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_value(sink, f, bli_field_at(m, f, i));
}

void bli_message_write(const bli_message *m, bli_wire_sink *sink)
{
    for (unsigned k = 0; k < m->descriptor->n_fields && sink->status == BL_OK; k++) {
        const bli_field *f = &m->descriptor->fields[k];
        size_t count = bli_field_count(m, f);
        if (count > 0 && is_packed(f)) {
            put_packed(sink, m, f, count);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            put_tag(sink, f->id, wire_types[f->type]);
            put_value(sink, f, bli_field_at(m, f, i));
        }
    }
    for (unsigned k = 0; k < m->n_unknown_fields; k++) {
        put_tag(sink, m->unknown_fields[k].tag, m->unknown_fields[k].wire_type);
        put(sink, m->unknown_fields[k].data, m->unknown_fields[k].len);
    }
}
