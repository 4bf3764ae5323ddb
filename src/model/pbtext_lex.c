/* pbtext_lex.c: the words of protobuf's text format, one at a time, over bounded text.
 *
 * A number is taken in the longest form that the format has; whether it fits is the parser's business.
 */
#include "model/pbtext_lex.h"

#include <string.h>

static int peek(const bli_lexer *l, size_t ahead)
{
    return l->at + ahead < l->size ? (unsigned char)l->text[l->at + ahead] : -1;
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void skip_blanks(bli_lexer *l)
{
    for (;; l->at++) {
        int c = peek(l, 0);
        if (c == '#')
            while (peek(l, 1) != '\n' && peek(l, 1) >= 0)
                l->at++;
        else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\v' && c != '\f')
            return;
    }
}

static void skip_digits(bli_lexer *l)
{
    while (is_digit(peek(l, 0)))
        l->at++;
}

static bli_token_kind take_hex(bli_lexer *l)
{
    l->at += 2;
    size_t from = l->at;
    while (hex_value(peek(l, 0)) >= 0)
        l->at++;
    return l->at > from ? BLI_TOKEN_INTEGER : BLI_TOKEN_BAD;
}

/* Digits, point, digits, exponent, f; an integer begins with 0 only if it is 0 or octal. */
static bli_token_kind take_number(bli_lexer *l)
{
    bool octal = peek(l, 0) == '0' && is_digit(peek(l, 1)), real = false;
    if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X'))
        return take_hex(l);
    size_t from = l->at;
    skip_digits(l);
    if (octal) {
        for (size_t i = from; i < l->at; i++)
            if (l->text[i] > '7')
                return BLI_TOKEN_BAD;
        return BLI_TOKEN_INTEGER;
    }
    if (peek(l, 0) == '.') {
        real = true;
        l->at++;
        skip_digits(l);
    }
    if (peek(l, 0) == 'e' || peek(l, 0) == 'E') {
        real = true;
        l->at += peek(l, 1) == '-' || peek(l, 1) == '+' ? 2 : 1;
        if (!is_digit(peek(l, 0)))
            return BLI_TOKEN_BAD;
        skip_digits(l);
    }
    if (peek(l, 0) == 'f' || peek(l, 0) == 'F') {
        real = true;
        l->at++;
    }
    return real ? BLI_TOKEN_FLOAT : BLI_TOKEN_INTEGER;
}

static bli_token_kind take_string(bli_lexer *l)
{
    const char *end = l->text + l->size, *c = l->text + l->at, quote = *c++;
    while (c < end && *c != quote && *c != '\n')
        c += *c == '\\' && c + 1 < end ? 2 : 1;
    bool closed = c < end && *c == quote;
    l->at = (size_t)(c - l->text) + closed;
    return closed ? BLI_TOKEN_STRING : BLI_TOKEN_BAD;
}

void bli_lexer_next(bli_lexer *l)
{
    skip_blanks(l);
    int c = peek(l, 0);
    size_t from = l->at;
    l->start = l->text + from;
    if (c < 0) {
        l->kind = BLI_TOKEN_END;
    } else if (is_letter(c)) {
        while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
            l->at++;
        l->kind = BLI_TOKEN_NAME;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        l->kind = take_number(l);
    } else if (c == '"' || c == '\'') {
        l->kind = take_string(l);
    } else {
        l->at++;
        l->kind = c && strchr("{}<>[]:;,-./", c) ? BLI_TOKEN_SYMBOL : BLI_TOKEN_BAD;
    }
    l->length = l->at - from;
}

bli_lexer bli_lexer_make(const char *text, size_t size)
{
    bli_lexer l = {.text = text, .size = size};
    bli_lexer_next(&l);
    return l;
}

bool bli_lexer_is(const bli_lexer *l, char symbol)
{
    return l->kind == BLI_TOKEN_SYMBOL && l->start[0] == symbol;
}

bool bli_lexer_is_name(const bli_lexer *l, const char *name)
{
    return l->kind == BLI_TOKEN_NAME && l->length == strlen(name) && memcmp(l->start, name, l->length) == 0;
}

void bli_lexer_position(const bli_lexer *l, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (const char *c = l->text; c < l->start; c++) {
        *column = *c == '\n' ? 1 : *column + 1;
        *line += *c == '\n';
    }
}

/* ---- escapes --------------------------------------------------------------------------------------------------- */

typedef struct escapes {
    const char *at, *end;
    uint8_t *out; /* NULL: only counted */
    size_t size;
} escapes;

static void give(escapes *e, unsigned byte)
{
    if (e->out)
        e->out[e->size] = (uint8_t)byte;
    e->size++;
}

/* Up to `most` digits of a base; false when there is none. */
static bool take_code(escapes *e, int base, int most, unsigned *code)
{
    int n = 0;
    *code = 0;
    for (; n < most && e->at < e->end; n++, e->at++) {
        int digit = hex_value((unsigned char)*e->at);
        if (digit < 0 || digit >= base)
            break;
        *code = *code * (unsigned)base + (unsigned)digit;
    }
    return n > 0;
}

static bool give_character(escapes *e, unsigned c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return false;
    if (c < 0x80) {
        give(e, c);
        return true;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
    give(e, lead[more] | c >> 6 * more);
    while (more-- > 0)
        give(e, 0x80 | (c >> 6 * more & 0x3f));
    return true;
}

/* \u and \U with exactly 4 or 8 digits; two halves of a surrogate pair make one character. */
static bool take_character(escapes *e, int digits)
{
    unsigned c, low;
    const char *from = e->at;
    if (!take_code(e, 16, digits, &c) || e->at - from != digits)
        return false;
    if (c >= 0xd800 && c < 0xdc00 && e->end - e->at >= 6 && e->at[0] == '\\' && e->at[1] == 'u') {
        e->at += 2;
        if (!take_code(e, 16, 4, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return give_character(e, c);
}

static bool take_escape(escapes *e)
{
    static const char named[] = "a\ab\bf\fn\nr\rt\tv\v\\\\''\"\"??";
    unsigned code;
    char c = *e->at;
    if (c >= '0' && c <= '7') {
        (void)take_code(e, 8, 3, &code);
        give(e, code & 0xff);
        return code < 256;
    }
    for (size_t i = 0; i + 1 < sizeof named; i += 2)
        if (named[i] == c) {
            e->at++;
            give(e, (unsigned char)named[i + 1]);
            return true;
        }
    e->at++;
    if (c == 'u' || c == 'U')
        return take_character(e, c == 'u' ? 4 : 8);
    if ((c != 'x' && c != 'X') || !take_code(e, 16, 2, &code))
        return false;
    give(e, code);
    return true;
}

bool bli_lexer_unescape(const bli_lexer *l, uint8_t *out, size_t *size)
{
    escapes e = {.at = l->start + 1, .end = l->start + l->length - 1, .out = out};
    while (e.at < e.end) {
        if (*e.at != '\\') {
            give(&e, (unsigned char)*e.at++);
            continue;
        }
        e.at++;
        if (e.at == e.end || !take_escape(&e))
            return false;
    }
    *size = e.size;
    return true;
}
