/* cursor.c: see cursor.h. */
#include "graph/cursor.h"

#include <string.h>

bl_status bli_cursor_expected(const bli_cursor *c, const char *what)
{
    size_t n = 0;
    while (c->pos + n < c->size && n < 20 && c->text[c->pos + n] != '\n')
        n++;
    return bli_fail(c->ctx, BL_BAD_FILE, "expected %s, found '%.*s'", what, (int)n, c->text + c->pos);
}

int bli_cursor_peek(const bli_cursor *c)
{
    return c->pos < c->size ? (unsigned char)c->text[c->pos] : -1;
}

void bli_cursor_skip_blanks(bli_cursor *c)
{
    while (bli_cursor_peek(c) == ' ')
        c->pos++;
}

bool bli_cursor_take(bli_cursor *c, const char *word)
{
    bli_cursor_skip_blanks(c);
    const size_t n = strlen(word);
    if (c->pos > c->size || c->size - c->pos < n || memcmp(c->text + c->pos, word, n) != 0)
        return false;
    c->pos += n;
    return true;
}

bl_status bli_cursor_need(bli_cursor *c, const char *word)
{
    return bli_cursor_take(c, word) ? BL_OK : bli_cursor_expected(c, word);
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a string, escapes undone; -1 where the text breaks the form. */
static int string_char(bli_cursor *c)
{
    int byte = bli_cursor_peek(c);
    c->pos++;
    if (byte != '\\')
        return byte == '\n' || byte <= 0 ? -1 : byte;
    byte = bli_cursor_peek(c);
    c->pos++;
    if (byte == '"' || byte == '\\')
        return byte;
    if (byte != 'x' || c->pos + 2 > c->size)
        return -1;
    const int high = hex_digit(c->text[c->pos]), low = hex_digit(c->text[c->pos + 1]);
    c->pos += 2;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

bl_status bli_cursor_string(bli_cursor *c, const char **out)
{
    *out = NULL;
    BLI_TRY(bli_cursor_need(c, "\""));
    size_t end = c->pos;
    while (end < c->size && c->text[end] != '"')
        end += c->text[end] == '\\' ? 2 : 1;
    if (end >= c->size)
        return bli_cursor_expected(c, "a text that ends with \"");
    char *s = bli_arena_alloc(c->scratch, end - c->pos + 1);
    if (s == NULL)
        return BL_NO_MEMORY;
    size_t n = 0;
    while (c->pos < end) {
        const int byte = string_char(c);
        if (byte < 0)
            return bli_cursor_expected(c, "a text without line ends and with the escapes \\\", \\\\ and \\x01");
        s[n++] = (char)byte;
    }
    c->pos = end + 1;
    *out = s;
    return BL_OK;
}
