/* pbtext_parse.c: text into messages; pbtext.h says what is taken and what is refused.
 *
 * One walk over the words, the message's descriptor says what may come next.  Depth and the number of messages are
 * bounded by the same limits as for binary files.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/pbtext.h"
#include "model/pbtext_lex.h"

enum { MAX_FIELDS = 64 };

typedef struct parser {
    bl_context *ctx;
    bli_tf_store *store;
    const bli_wire_limits *limits;
    bli_lexer l;
    int depth;
    size_t messages;
} parser;

static bl_status parse_message(parser *p, bli_message *m, char end);

/* ---- complaints ------------------------------------------------------------------------------------------------ */

/* Puts line and column in front of what bli_fail said. */
static bl_status here(parser *p, bl_status s)
{
    size_t line, column;
    bli_lexer_position(&p->l, &line, &column);
    return bli_within(p->ctx, s, "line %zu, column %zu", line, column);
}

static bl_status expected(parser *p, const char *what)
{
    int shown = p->l.length > 40 ? 40 : (int)p->l.length;
    if (p->l.kind == BLI_TOKEN_END)
        return here(p, bli_fail(p->ctx, BL_BAD_FILE, "expected %s, the text ends", what));
    return here(
        p, bli_fail(p->ctx, BL_BAD_FILE, "expected %s, found '%.*s'%s", what, shown, p->l.start,
                    p->l.kind == BLI_TOKEN_STRING || p->l.kind != BLI_TOKEN_BAD ? "" : " (no word of this format)"));
}

static bl_status need(parser *p, char symbol)
{
    const char what[] = {'\'', symbol, '\'', 0};
    if (!bli_lexer_is(&p->l, symbol))
        return expected(p, what);
    bli_lexer_next(&p->l);
    return BL_OK;
}

static bool take(parser *p, char symbol)
{
    bool there = bli_lexer_is(&p->l, symbol);
    if (there)
        bli_lexer_next(&p->l);
    return there;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

/* An integer token's value; false when it has more than 64 bits. */
static bool magnitude(const bli_lexer *l, uint64_t *out)
{
    bool hex = l->length > 1 && (l->start[1] == 'x' || l->start[1] == 'X');
    unsigned base = hex ? 16 : l->start[0] == '0' ? 8 : 10;
    *out = 0;
    for (size_t i = hex ? 2 : 0; i < l->length; i++) {
        char c = l->start[i];
        unsigned digit = (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        if (__builtin_mul_overflow(*out, base, out) || __builtin_add_overflow(*out, digit, out))
            return false;
    }
    return true;
}

/* An integer between -low and high, as 64 bits. */
static bl_status parse_integer(parser *p, uint64_t low, uint64_t high, uint64_t *out)
{
    bool negative = take(p, '-');
    uint64_t v;
    if (p->l.kind != BLI_TOKEN_INTEGER)
        return expected(p, "an integer");
    if (!magnitude(&p->l, &v) || v > (negative ? low : high))
        return here(p, bli_fail(p->ctx, BL_BAD_FILE, "%s%.*s is out of range", negative ? "-" : "",
                                p->l.length > 40 ? 40 : (int)p->l.length, p->l.start));
    *out = negative ? 0 - v : v;
    bli_lexer_next(&p->l);
    return BL_OK;
}

static bool is_word(const bli_lexer *l, const char *word)
{
    return l->kind == BLI_TOKEN_NAME && l->length == strlen(word) && strncasecmp(l->start, word, l->length) == 0;
}

static bl_status parse_number(parser *p, double *out)
{
    char buffer[64];
    size_t n = p->l.length;
    bool plain = n == 1 || (n > 1 && p->l.start[0] != '0'); /* neither octal nor hexadecimal */
    if (p->l.kind != BLI_TOKEN_FLOAT && (p->l.kind != BLI_TOKEN_INTEGER || !plain))
        return expected(p, "a decimal number");
    char *text = n < sizeof buffer ? buffer : bli_alloc(p->ctx, n + 1);
    if (!text)
        return BL_NO_MEMORY;
    memcpy(text, p->l.start, n);
    text[n] = 0;
    *out = strtod(text, NULL); /* stops before an f */
    if (text != buffer)
        bli_free(p->ctx, text);
    bli_lexer_next(&p->l);
    return BL_OK;
}

static bl_status parse_double(parser *p, double *out)
{
    bool negative = take(p, '-');
    if (is_word(&p->l, "inf") || is_word(&p->l, "infinity")) {
        *out = INFINITY;
        bli_lexer_next(&p->l);
    } else if (is_word(&p->l, "nan")) {
        *out = NAN;
        bli_lexer_next(&p->l);
    } else {
        BLI_TRY(parse_number(p, out));
    }
    *out = negative ? -*out : *out;
    return BL_OK;
}

static bl_status parse_bool(parser *p, protobuf_c_boolean *out)
{
    static const char *const words[] = {"false", "true", "False", "True", "f", "t"};
    for (int i = 0; i < (int)BLI_COUNT(words); i++)
        if (bli_lexer_is_name(&p->l, words[i])) {
            *out = i & 1;
            bli_lexer_next(&p->l);
            return BL_OK;
        }
    uint64_t v = 0;
    if (p->l.kind != BLI_TOKEN_INTEGER)
        return expected(p, "true or false");
    BLI_TRY(parse_integer(p, 0, 1, &v));
    *out = v != 0;
    return BL_OK;
}

static bl_status parse_enum(parser *p, const ProtobufCEnumDescriptor *type, int32_t *out)
{
    uint64_t v = 0;
    if (p->l.kind != BLI_TOKEN_NAME) {
        BLI_TRY(parse_integer(p, (uint64_t)1 << 31, INT32_MAX, &v));
        *out = (int32_t)v;
        return BL_OK;
    }
    char name[64];
    size_t n = p->l.length < sizeof name ? p->l.length : sizeof name - 1;
    memcpy(name, p->l.start, n);
    name[n] = 0;
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value_by_name(type, name);
    if (!known)
        return here(p, bli_fail(p->ctx, BL_BAD_FILE, "'%s' is no value of %s", name, type->short_name));
    *out = known->value;
    bli_lexer_next(&p->l);
    return BL_OK;
}

/* ---- strings --------------------------------------------------------------------------------------------------- */

/* Literals that follow each other are one string: measured, then written. */
static bl_status parse_bytes(parser *p, ProtobufCBinaryData *out)
{
    bli_lexer l = p->l;
    size_t total = 0, size;
    if (l.kind != BLI_TOKEN_STRING)
        return expected(p, "a string");
    for (; l.kind == BLI_TOKEN_STRING; bli_lexer_next(&l)) {
        if (!bli_lexer_unescape(&l, NULL, &size)) {
            p->l = l;
            return here(p, bli_fail(p->ctx, BL_BAD_FILE, "a string with an escape that is none"));
        }
        total += size;
    }
    out->data = (uint8_t *)bli_tf_text_copy(p->store, NULL, total);
    if (!out->data)
        return BL_NO_MEMORY;
    for (out->len = 0; p->l.kind == BLI_TOKEN_STRING; bli_lexer_next(&p->l)) {
        (void)bli_lexer_unescape(&p->l, out->data + out->len, &size);
        out->len += size;
    }
    return BL_OK;
}

static bl_status parse_string(parser *p, char **out)
{
    ProtobufCBinaryData b;
    bli_lexer l = p->l;
    BLI_TRY(parse_bytes(p, &b));
    bl_status s = bli_wire_check_string(p->ctx, b.data, b.len, p->limits->utf8);
    if (s != BL_OK) {
        p->l = l;
        return here(p, s);
    }
    *out = (char *)b.data;
    return BL_OK;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bl_status parse_integer_field(parser *p, const bli_field *f, void *v)
{
    static const struct {
        uint64_t low, high;
    } ranges[] = {
        [PROTOBUF_C_TYPE_INT32] = {(uint64_t)1 << 31, INT32_MAX},
        [PROTOBUF_C_TYPE_SINT32] = {(uint64_t)1 << 31, INT32_MAX},
        [PROTOBUF_C_TYPE_SFIXED32] = {(uint64_t)1 << 31, INT32_MAX},
        [PROTOBUF_C_TYPE_INT64] = {(uint64_t)1 << 63, INT64_MAX},
        [PROTOBUF_C_TYPE_SINT64] = {(uint64_t)1 << 63, INT64_MAX},
        [PROTOBUF_C_TYPE_SFIXED64] = {(uint64_t)1 << 63, INT64_MAX},
        [PROTOBUF_C_TYPE_UINT32] = {0, UINT32_MAX},
        [PROTOBUF_C_TYPE_FIXED32] = {0, UINT32_MAX},
        [PROTOBUF_C_TYPE_UINT64] = {0, UINT64_MAX},
        [PROTOBUF_C_TYPE_FIXED64] = {0, UINT64_MAX},
    };
    uint64_t wide = 0;
    BLI_TRY(parse_integer(p, ranges[f->type].low, ranges[f->type].high, &wide));
    uint32_t narrow = (uint32_t)wide;
    memcpy(v, bli_field_size(f) == 8 ? (void *)&wide : (void *)&narrow, bli_field_size(f));
    return BL_OK;
}

static bl_status parse_nested(parser *p, const bli_field *f, bli_message **out)
{
    char end = bli_lexer_is(&p->l, '<') ? '>' : '}';
    *out = bli_message_make(p->store, f->descriptor);
    if (!*out)
        return BL_NO_MEMORY;
    if (end == '}' && !bli_lexer_is(&p->l, '{'))
        return expected(p, "'{'");
    bli_lexer_next(&p->l);
    return parse_message(p, *out, end);
}

static bl_status parse_value(parser *p, bli_message *m, const bli_field *f)
{
    double number = 0;
    void *v = bli_field_add(p->store, m, f);
    if (!v)
        return BL_NO_MEMORY;
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return parse_nested(p, f, v);
    case PROTOBUF_C_TYPE_STRING:
        return parse_string(p, v);
    case PROTOBUF_C_TYPE_BYTES:
        return parse_bytes(p, v);
    case PROTOBUF_C_TYPE_BOOL:
        return parse_bool(p, v);
    case PROTOBUF_C_TYPE_ENUM:
        return parse_enum(p, f->descriptor, v);
    case PROTOBUF_C_TYPE_FLOAT:
        BLI_TRY(parse_double(p, &number));
        *(float *)v = (float)number; /* by way of double, as TensorFlow */
        return BL_OK;
    case PROTOBUF_C_TYPE_DOUBLE:
        return parse_double(p, v);
    default:
        return parse_integer_field(p, f, v);
    }
}

static bl_status parse_values(parser *p, bli_message *m, const bli_field *f)
{
    if (!bli_field_is_repeated(f) || !take(p, '['))
        return parse_value(p, m, f);
    if (take(p, ']'))
        return BL_OK;
    do
        BLI_TRY(parse_value(p, m, f));
    while (take(p, ','));
    return need(p, ']');
}

/* ---- fields that are not known --------------------------------------------------------------------------------- */

static ProtobufCMessageUnknownField *add_unknown(parser *p, bli_message *m)
{
    unsigned n = m->n_unknown_fields;
    if ((n & (n - 1)) == 0) {
        ProtobufCMessageUnknownField *more = bli_tf_alloc_array(p->store, n ? 2 * (size_t)n : 1, sizeof *more);
        if (!more)
            return NULL;
        if (n)
            memcpy(more, m->unknown_fields, n * sizeof *more);
        m->unknown_fields = more;
    }
    m->n_unknown_fields++;
    return &m->unknown_fields[n];
}

static size_t put_varint(uint8_t *to, uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        to[n++] = (uint8_t)(v | 0x80);
    to[n++] = (uint8_t)v;
    return n;
}

static bl_status set_unknown(parser *p, ProtobufCMessageUnknownField *u, ProtobufCWireType type, uint64_t number,
                             const ProtobufCBinaryData *bytes)
{
    uint8_t head[10];
    bool fixed = type == PROTOBUF_C_WIRE_TYPE_32BIT || type == PROTOBUF_C_WIRE_TYPE_64BIT;
    size_t size = type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : fixed ? 8 : put_varint(head, bytes ? bytes->len : number);
    if (fixed)
        memcpy(head, &number, size);
    u->wire_type = type;
    u->len = size + (bytes ? bytes->len : 0);
    u->data = (uint8_t *)bli_tf_text_copy(p->store, NULL, u->len);
    if (!u->data)
        return BL_NO_MEMORY;
    memcpy(u->data, head, size);
    if (bytes && bytes->len)
        memcpy(u->data + size, bytes->data, bytes->len);
    return BL_OK;
}

/* "1000: 7", "1000: 0x0000002a" (4 or 8 bytes by the digits), "1000: "bytes"". */
static bl_status parse_unknown(parser *p, bli_message *m)
{
    uint64_t id = 0, number = 0;
    ProtobufCBinaryData bytes;
    BLI_TRY(parse_integer(p, 0, (1u << 29) - 1, &id));
    if (id == 0 || protobuf_c_message_descriptor_get_field(m->descriptor, (unsigned)id))
        return here(p, bli_fail(p->ctx, BL_BAD_FILE, "field number %llu of %s: a field that is known goes by its name",
                                (unsigned long long)id, m->descriptor->short_name));
    BLI_TRY(need(p, ':'));
    ProtobufCMessageUnknownField *u = add_unknown(p, m);
    if (!u)
        return BL_NO_MEMORY;
    *u = (ProtobufCMessageUnknownField){.tag = (unsigned)id};
    if (p->l.kind == BLI_TOKEN_STRING) {
        BLI_TRY(parse_bytes(p, &bytes));
        return set_unknown(p, u, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 0, &bytes);
    }
    bool hex = p->l.length > 1 && p->l.start[1] == 'x';
    ProtobufCWireType type = hex && p->l.length == 10   ? PROTOBUF_C_WIRE_TYPE_32BIT
                             : hex && p->l.length == 18 ? PROTOBUF_C_WIRE_TYPE_64BIT
                                                        : PROTOBUF_C_WIRE_TYPE_VARINT;
    BLI_TRY(parse_integer(p, 0, UINT64_MAX, &number));
    return set_unknown(p, u, type, number, NULL);
}

/* Of a SavedModel only the graphs are read. */
static bool takes_any_name(const bli_message *m)
{
    return m->descriptor == &bli_tf__saved_model__descriptor || m->descriptor == &bli_tf__meta_graph_def__descriptor;
}

static bl_status skip_value(parser *p);

static bl_status skip_to(parser *p, char end)
{
    if (++p->depth > p->limits->depth)
        return here(p, bli_fail(p->ctx, BL_LIMIT, "messages nest deeper than %d", p->limits->depth));
    while (!take(p, end)) {
        if (p->l.kind == BLI_TOKEN_END || p->l.kind == BLI_TOKEN_BAD)
            return expected(p, "the end of a message");
        BLI_TRY(skip_value(p));
    }
    p->depth--;
    return BL_OK;
}

/* One word, or all that is in brackets. */
static bl_status skip_value(parser *p)
{
    char end = bli_lexer_is(&p->l, '{') ? '}' : bli_lexer_is(&p->l, '<') ? '>' : bli_lexer_is(&p->l, '[') ? ']' : 0;
    bli_lexer_next(&p->l);
    return end ? skip_to(p, end) : BL_OK;
}

static bl_status skip_field(parser *p)
{
    bli_lexer_next(&p->l);
    bool scalar = take(p, ':');
    bool sign = take(p, '-');
    if (!scalar && !bli_lexer_is(&p->l, '{') && !bli_lexer_is(&p->l, '<'))
        return expected(p, "':' or '{'");
    if (p->l.kind == BLI_TOKEN_END || p->l.kind == BLI_TOKEN_BAD)
        return expected(p, "a value");
    bool string = !sign && p->l.kind == BLI_TOKEN_STRING;
    do
        BLI_TRY(skip_value(p));
    while (string && p->l.kind == BLI_TOKEN_STRING);
    return BL_OK;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static bl_status unknown_name(parser *p, const ProtobufCMessageDescriptor *type, const char *name)
{
    const char *names[MAX_FIELDS];
    unsigned n = type->n_fields < MAX_FIELDS ? type->n_fields : MAX_FIELDS;
    for (unsigned i = 0; i < n; i++)
        names[i] = type->fields[i].name;
    const char *near = bli_nearest(name, names, n);
    return here(p, bli_fail(p->ctx, BL_BAD_FILE, "%s has no field '%s'%s%s%s", type->short_name, name,
                            near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : ""));
}

/* A field that may be there once comes for the second time, or beside another of its oneof. */
static bl_status check_once(parser *p, const bli_message *m, const bli_field *f, uint64_t *seen)
{
    uint64_t bit = (uint64_t)1 << ((f - m->descriptor->fields) & (MAX_FIELDS - 1));
    if (bli_field_is_repeated(f))
        return BL_OK;
    if (*seen & bit)
        return here(p, bli_fail(p->ctx, BL_BAD_FILE, "%s: it is there twice", f->name));
    for (unsigned i = 0; (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && i < m->descriptor->n_fields; i++) {
        const bli_field *other = &m->descriptor->fields[i];
        bool same = (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && other->quantifier_offset == f->quantifier_offset;
        if (same && bli_field_count(m, other) > 0)
            return here(p, bli_fail(p->ctx, BL_BAD_FILE, "%s: %s is there already, only one of them may be", f->name,
                                    other->name));
    }
    *seen |= bit;
    return BL_OK;
}

static bl_status parse_field(parser *p, bli_message *m, uint64_t *seen)
{
    char name[64];
    if (bli_lexer_is(&p->l, '['))
        return here(p, bli_fail(p->ctx, BL_UNSUPPORTED, "messages of any type and extensions, '[name]', are not read"));
    if (p->l.kind == BLI_TOKEN_INTEGER)
        return parse_unknown(p, m);
    if (p->l.kind != BLI_TOKEN_NAME)
        return expected(p, "a field's name");
    size_t n = p->l.length < sizeof name ? p->l.length : sizeof name - 1;
    memcpy(name, p->l.start, n);
    name[n] = 0;
    const bli_field *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    if (!f)
        return takes_any_name(m) ? skip_field(p) : unknown_name(p, m->descriptor, name);
    BLI_TRY(check_once(p, m, f, seen));
    bli_lexer_next(&p->l);
    if (!take(p, ':') && f->type != PROTOBUF_C_TYPE_MESSAGE)
        return expected(p, "':'");
    return parse_values(p, m, f);
}

/* Fields up to the bracket `end`, or with end 0 up to the end of the text. */
static bl_status parse_message(parser *p, bli_message *m, char end)
{
    uint64_t seen = 0;
    if (++p->depth > p->limits->depth)
        return here(p, bli_fail(p->ctx, BL_LIMIT, "messages nest deeper than %d", p->limits->depth));
    if (++p->messages > p->limits->messages)
        return here(p, bli_fail(p->ctx, BL_LIMIT, "more than %zu messages", p->limits->messages));
    while (end ? !take(p, end) : p->l.kind != BLI_TOKEN_END) {
        BLI_TRY(parse_field(p, m, &seen));
        if (!take(p, ';'))
            (void)take(p, ',');
    }
    p->depth--;
    return BL_OK;
}

bl_status bli_pbtext_parse(bli_tf_store *s, const char *text, size_t size, const bli_wire_limits *limits,
                           bli_message *m)
{
    parser p = {.ctx = bli_tf_store_context(s), .store = s, .limits = limits, .l = bli_lexer_make(text, size)};
    return parse_message(&p, m, 0);
}

void bli_pbtext_first_name(const char *text, size_t size, char *name, size_t room)
{
    bli_lexer l = bli_lexer_make(text, size);
    size_t n = l.kind == BLI_TOKEN_NAME && l.length < room ? l.length : 0;
    memcpy(name, l.start, n);
    name[n] = 0;
}
