/* report.c: words for people and the JSON result for programs. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* The library's message is in the context; the program's own failures are kept beside it, in the result. */
bl_status cli_fail(cli *c, bl_status s, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    cli_add(c, "message", json_string(words));
    return s;
}

const char *cli_message(const cli *c)
{
    const char *own = json_string_value(json_object_get(c->result, "message"));
    return own ? own : bl_context_message(c->ctx);
}

void cli_note(const cli *c, const char *fmt, ...)
{
    if (c->o.quiet)
        return;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_add(cli *c, const char *key, json_t *value)
{
    json_object_set_new(c->result, key, value);
}

json_t *cli_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

void cli_size_text(double bits, char *buf, size_t size)
{
    static const char *const units[] = {"bits", "kbit", "Mbit", "Gbit"};
    int unit = 0;
    for (; bits >= 10000 && unit < 3; unit++)
        bits /= 1000;
    snprintf(buf, size, "%.4g %s", bits, units[unit]);
}

bl_status cli_number_of(cli *c, const char *option, const char *text, double fallback, double *out)
{
    char *end;
    *out = fallback;
    if (!text)
        return BL_OK;
    *out = strtod(text, &end);
    if (end == text || *end)
        return cli_fail(c, BL_USAGE, "--%s '%s' (expected a number)", option, text);
    return BL_OK;
}

bl_status cli_whole_of(cli *c, const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    *out = 0;
    if (!text)
        return BL_OK;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-' || *out < least || *out > most)
        return cli_fail(c, BL_USAGE, "--%s '%s' (expected a whole number %llu .. %llu)", option, text,
                        (unsigned long long)least, (unsigned long long)most);
    return BL_OK;
}

bl_status cli_listed(cli *c, const char *option, const char *text, const char *kind)
{
    bl_list_entry e;
    char names[512] = "";
    size_t at = 0;
    if (!text)
        return BL_OK;
    for (int i = 0; bl_list_at(kind, i, &e); i++) {
        if (strcmp(e.name, text) == 0)
            return BL_OK;
        if (at < sizeof names)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", e.name);
    }
    return cli_fail(c, BL_USAGE, "--%s '%s' (expected one of: %s)", option, text, names);
}
