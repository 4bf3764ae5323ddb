/* pbtext_print.c: messages as text; pbtext.h says how it looks. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "model/pbtext.h"

static void put(bli_wire_sink *sink, const char *text, size_t size)
{
    sink->base.append(&sink->base, size, (const uint8_t *)text);
}

static void put_text(bli_wire_sink *sink, const char *text)
{
    put(sink, text, strlen(text));
}

static void put_indent(bli_wire_sink *sink, int level)
{
    for (int i = 0; i < level; i++)
        put(sink, "  ", 2);
}

/* ---- scalars --------------------------------------------------------------------------------------------------- */

/* The character's escape into e, or itself; how many bytes.  Weights are bytes of any kind: most are octal. */
static size_t escape(uint8_t c, char e[4])
{
    static const char named[] = "\nn\rr\tt\"\"\'\'\\\\";
    bool plain = c >= 0x20 && c < 0x7f;
    e[0] = (char)c;
    if (plain && c != '"' && c != '\'' && c != '\\')
        return 1;
    e[0] = '\\';
    for (size_t i = 0; c < 0x7f && i + 1 < sizeof named; i += 2)
        if ((uint8_t)named[i] == c) {
            e[1] = named[i + 1];
            return 2;
        }
    e[1] = (char)('0' + (c >> 6)), e[2] = (char)('0' + (c >> 3 & 7)), e[3] = (char)('0' + (c & 7));
    return 4;
}

static void put_string(bli_wire_sink *sink, const uint8_t *data, size_t size)
{
    char chunk[1024];
    size_t used = 0;
    put(sink, "\"", 1);
    for (size_t i = 0; i < size && sink->status == BL_OK; i++) {
        if (used + 4 > sizeof chunk) {
            put(sink, chunk, used);
            used = 0;
        }
        used += escape(data[i], chunk + used);
    }
    put(sink, chunk, used);
    put(sink, "\"", 1);
}

static void put_float(bli_wire_sink *sink, float v)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", FLT_DIG, (double)v);
    if (isfinite(v) && strtof(text, NULL) != v)
        snprintf(text, sizeof text, "%.*g", FLT_DIG + 3, (double)v);
    put_text(sink, isnan(v) ? "nan" : text);
}

static void put_double(bli_wire_sink *sink, double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", DBL_DIG, v);
    if (isfinite(v) && strtod(text, NULL) != v)
        snprintf(text, sizeof text, "%.*g", DBL_DIG + 2, v);
    put_text(sink, isnan(v) ? "nan" : text);
}

static void put_enum(bli_wire_sink *sink, const bli_field *f, int32_t v)
{
    char number[16];
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(f->descriptor, v);
    snprintf(number, sizeof number, "%d", v);
    put_text(sink, known ? known->name : number);
}

static void put_integer(bli_wire_sink *sink, const bli_field *f, const void *v)
{
    char text[32];
    uint64_t wide = 0;
    int32_t narrow = 0;
    if (bli_field_size(f) == 8)
        memcpy(&wide, v, 8);
    else
        memcpy(&narrow, v, 4);
    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        snprintf(text, sizeof text, "%llu", (unsigned long long)wide);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        snprintf(text, sizeof text, "%u", (unsigned)narrow);
        break;
    default:
        snprintf(text, sizeof text, "%lld", bli_field_size(f) == 8 ? (long long)wide : (long long)narrow);
    }
    put_text(sink, text);
}

static void put_scalar(bli_wire_sink *sink, const bli_field *f, const void *v)
{
    const ProtobufCBinaryData *bytes = v;
    const char *text;
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        put_text(sink, *(const protobuf_c_boolean *)v ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_float(sink, *(const float *)v);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_double(sink, *(const double *)v);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(sink, f, *(const int32_t *)v);
        break;
    case PROTOBUF_C_TYPE_STRING:
        text = *(char *const *)v;
        put_string(sink, (const uint8_t *)text, text ? strlen(text) : 0);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_string(sink, bytes->data, bytes->len);
        break;
    default:
        put_integer(sink, f, v);
    }
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static void print_unknown(const ProtobufCMessageUnknownField *u, int level, bli_wire_sink *sink)
{
    char text[48];
    uint64_t v = 0;
    bli_reader r = bli_reader_make(u->data, u->len);
    put_indent(sink, level);
    snprintf(text, sizeof text, "%u: ", u->tag);
    put_text(sink, text);
    bool fixed = u->wire_type == PROTOBUF_C_WIRE_TYPE_32BIT || u->wire_type == PROTOBUF_C_WIRE_TYPE_64BIT;
    if (fixed)
        memcpy(&v, u->data, u->len <= 8 ? u->len : 8);
    else
        (void)bli_reader_varint(&r, &v);
    if (u->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        put_string(sink, u->data + r.pos, bli_reader_left(&r));
    else if (fixed)
        snprintf(text, sizeof text, "0x%0*llx", (int)(2 * u->len), (unsigned long long)v);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    if (u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        put_text(sink, text);
    put(sink, "\n", 1);
}

void bli_pbtext_print_field(const bli_field *f, const bli_message *m, int level, bli_wire_sink *sink)
{
    put_indent(sink, level);
    put_text(sink, f->name);
    put_text(sink, " {\n");
    if (m)
        bli_pbtext_print(m, level + 1, sink);
    put_indent(sink, level);
    put_text(sink, "}\n");
}

void bli_pbtext_print(const bli_message *m, int level, bli_wire_sink *sink)
{
    for (unsigned k = 0; k < m->descriptor->n_fields && sink->status == BL_OK; k++) {
        const bli_field *f = &m->descriptor->fields[k];
        for (size_t i = 0, n = bli_field_count(m, f); i < n && sink->status == BL_OK; i++) {
            const void *v = bli_field_at(m, f, i);
            if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                bli_pbtext_print_field(f, *(bli_message *const *)v, level, sink);
                continue;
            }
            put_indent(sink, level);
            put_text(sink, f->name);
            put_text(sink, ": ");
            put_scalar(sink, f, v);
            put(sink, "\n", 1);
        }
    }
    for (unsigned k = 0; k < m->n_unknown_fields; k++)
        print_unknown(&m->unknown_fields[k], level, sink);
}
