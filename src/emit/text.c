/* text.c: text that is written line by line, with the first failure kept for the end. */
#include <stdio.h>
#include <string.h>

#include "emit/emit.h"

enum { INDENT = 4, WIDTH = 120 };
#define CEILING ((size_t)1 << 30) /* one emitted file: larger ones no tool reads */

void bli_text_init(bli_text *t, bl_context *ctx)
{
    bli_buf_init(&t->buf, ctx, CEILING);
    t->status = BL_OK;
    t->depth = 0;
}

void bli_text_free(bli_text *t)
{
    bli_buf_free(&t->buf);
}

bl_status bli_text_status(const bli_text *t)
{
    return t->status;
}

static void append(bli_text *t, const char *data, size_t size)
{
    if (t->status == BL_OK)
        t->status = bli_buf_append(&t->buf, data, size);
}

static void put(bli_text *t, const char *fmt, va_list args)
{
    char small[512];
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, fmt, args);
    if (length >= 0 && (size_t)length < sizeof small) {
        append(t, small, (size_t)length);
    } else if (length >= 0 && t->status == BL_OK) {
        char *large = bli_alloc(t->buf.ctx, (size_t)length + 1);
        if (large == NULL) {
            t->status = BL_NO_MEMORY;
        } else {
            vsnprintf(large, (size_t)length + 1, fmt, again);
            append(t, large, (size_t)length);
            bli_free(t->buf.ctx, large);
        }
    }
    va_end(again);
}

static void indent(bli_text *t)
{
    for (int i = 0; i < t->depth; i++)
        append(t, "    ", INDENT);
}

static void line(bli_text *t, const char *fmt, va_list args)
{
    if (*fmt != '#') /* what is for the preprocessor stands at the margin */
        indent(t);
    put(t, fmt, args);
    append(t, "\n", 1);
}

void bli_text_put(bli_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put(t, fmt, args);
    va_end(args);
}

void bli_text_line(bli_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line(t, fmt, args);
    va_end(args);
}

void bli_text_blank(bli_text *t)
{
    append(t, "\n", 1);
}

void bli_text_open(bli_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line(t, fmt, args);
    va_end(args);
    t->depth++;
}

void bli_text_close(bli_text *t, const char *fmt, ...)
{
    va_list args;
    t->depth--;
    va_start(args, fmt);
    line(t, fmt, args);
    va_end(args);
}

const char *bli_text_safe(const char *name, char *buf, size_t size)
{
    static const char kept[] = "_-.:/,()+= ";
    size_t used = 0;
    for (; *name && used + 1 < size; name++) {
        bool plain = (*name >= '0' && *name <= '9') || (*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z');
        buf[used++] = plain || strchr(kept, *name) != NULL ? *name : '_';
    }
    if (size > 0)
        buf[used] = '\0';
    return buf;
}

/* The key that begins at text ("KEY@..."), or NULL. */
static const bli_text_key *key_at(const char *text, const bli_text_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(keys[i].key);
        if (strncmp(text, keys[i].key, n) == 0 && text[n] == '@')
            return &keys[i];
    }
    return NULL;
}

void bli_text_template(bli_text *t, const char *text, const bli_text_key *keys, size_t count)
{
    while (*text) {
        const char *at = strchr(text, '@');
        if (at == NULL) {
            append(t, text, strlen(text));
            return;
        }
        const bli_text_key *key = key_at(at + 1, keys, count);
        append(t, text, (size_t)(at - text) + (key == NULL));
        if (key != NULL)
            append(t, key->value, strlen(key->value));
        text = key == NULL ? at + 1 : at + 1 + strlen(key->key) + 1;
    }
}

/* INT64_MIN has no literal of its own in C. */
static int print_number(char *buf, size_t size, int64_t v)
{
    if (v == INT64_MIN)
        return snprintf(buf, size, "-9223372036854775807 - 1");
    return snprintf(buf, size, "%lld", (long long)v);
}

void bli_text_numbers(bli_text *t, const int64_t *values, int64_t count)
{
    int column = WIDTH;
    char number[40];
    for (int64_t i = 0; i < count; i++) {
        int length = print_number(number, sizeof number, values[i]);
        bool last = i + 1 == count;
        if (column + 1 + length + !last > WIDTH) {
            if (i > 0)
                append(t, "\n", 1);
            indent(t);
            column = INDENT * t->depth;
        } else {
            append(t, " ", 1);
            column++;
        }
        append(t, number, (size_t)length);
        if (!last)
            append(t, ",", 1);
        column += length + !last;
    }
    if (count > 0)
        append(t, "\n", 1);
}
