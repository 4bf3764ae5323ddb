/* parse.c: the string of transforms.
 *
 * The grammar is that of TensorFlow's tool, as observed: a name is [A-Za-z0-9_]+ and its arguments follow at once; a
 * value is in double quotes up to the next quote without a backslash before it (which is kept), or [A-Za-z0-9_./-]+,
 * and one stray double and one stray single quote behind it are passed over; commas between arguments may be missing. A
 * transform whose parenthesis never closes was dropped without a word; here that is an error but in the compatible
 * mode.
 */
#include <string.h>

#include "tf/transform.h"

enum { MOST_CALLS = 1024, MOST_ARGS = 64, MOST_VALUES = 1 << 16 };

typedef struct parser {
    bli_tf_store *store;
    bl_context *ctx;
    const char *at;
} parser;

static size_t word(const char *p, const char *more)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t n = 0;
    while (p[n] && (strchr(letters, p[n]) || strchr(more, p[n])))
        n++;
    return n;
}

static void skip_space(parser *p)
{
    p->at += strspn(p->at, " \t\n\r\v\f");
}

static bl_status expected(const parser *p, const char *what)
{
    return bli_fail(p->ctx, BL_USAGE, "transforms: expected %s, found '%.40s'", what, p->at);
}

static bl_status take(parser *p, size_t size, const char **out)
{
    *out = bli_tf_text_copy(p->store, p->at, size);
    p->at += size;
    return *out ? BL_OK : BL_NO_MEMORY;
}

/* Bytes up to the quote that ends a value. */
static size_t quoted(const char *p)
{
    size_t n = 0;
    while (p[n] && p[n] != '"')
        n += p[n] == '\\' && p[n + 1] ? 2 : 1;
    return n;
}

static bl_status parse_value(parser *p, const char **value)
{
    if (*p->at == '"') {
        size_t n = quoted(p->at + 1);
        if (p->at[1 + n] != '"')
            return expected(p, "a value with a closing quote");
        p->at++;
        BLI_TRY(take(p, n, value));
        p->at++;
    } else {
        size_t n = word(p->at, "./-");
        if (n == 0)
            return expected(p, "a value (quote what has other characters than A-Z a-z 0-9 _ . / -)");
        BLI_TRY(take(p, n, value));
    }
    p->at += *p->at == '"';
    p->at += *p->at == '\'';
    return BL_OK;
}

/* The argument of that name, which is made if it is new. */
static bl_status argument(parser *p, bli_tg_call *call, const char *name, bli_tg_arg **out)
{
    for (size_t i = 0; i < call->num_args; i++)
        if (strcmp(call->args[i].name, name) == 0) {
            *out = &call->args[i];
            return BL_OK;
        }
    if (call->num_args == MOST_ARGS)
        return bli_fail(p->ctx, BL_LIMIT, "transforms: %s has more than %d parameters", call->name, MOST_ARGS);
    if (!call->args && !(call->args = bli_tf_alloc_array(p->store, MOST_ARGS, sizeof *call->args)))
        return BL_NO_MEMORY;
    *out = &call->args[call->num_args++];
    (*out)->name = name;
    return BL_OK;
}

static bl_status add_value(parser *p, bli_tg_arg *arg, const char *value)
{
    if (arg->num_values == MOST_VALUES)
        return bli_fail(p->ctx, BL_LIMIT, "transforms: %s is given more than %d times", arg->name, MOST_VALUES);
    if ((arg->num_values & (arg->num_values - 1)) == 0) { /* room doubles at 0, 1, 2, 4, ... */
        size_t room = arg->num_values ? 2 * arg->num_values : 1;
        const char **values = bli_tf_alloc_array(p->store, room, sizeof *values);
        if (!values)
            return BL_NO_MEMORY;
        if (arg->num_values)
            memcpy(values, arg->values, arg->num_values * sizeof *values);
        arg->values = values;
    }
    arg->values[arg->num_values++] = value;
    return BL_OK;
}

static bl_status parse_argument(parser *p, bli_tg_call *call)
{
    const char *name, *value;
    bli_tg_arg *arg = NULL;
    if (*p->at == ',')
        p->at++;
    skip_space(p);
    size_t n = word(p->at, "");
    if (n == 0)
        return expected(p, "a parameter's name");
    BLI_TRY(take(p, n, &name));
    if (*p->at != '=')
        return expected(p, "'=' behind a parameter's name, without spaces");
    p->at++;
    BLI_TRY(parse_value(p, &value));
    BLI_TRY(argument(p, call, name, &arg));
    return add_value(p, arg, value);
}

/* *closed: the parenthesis does. */
static bl_status parse_call(parser *p, bli_tg_call *call, bool *closed)
{
    *closed = true;
    size_t n = word(p->at, "");
    if (n == 0)
        return expected(p, "a transform's name");
    BLI_TRY(take(p, n, &call->name));
    if (*p->at != '(')
        return BL_OK;
    p->at++;
    while (*p->at && *p->at != ')')
        BLI_TRY(bli_within(p->ctx, parse_argument(p, call), "%s", call->name));
    *closed = *p->at == ')';
    p->at += *closed;
    return BL_OK;
}

bl_status bli_tg_parse_calls(bli_tf_store *s, const char *text, bool compat, bli_tg_call **calls, size_t *count)
{
    parser p = {s, bli_tf_store_context(s), text};
    *count = 0;
    *calls = bli_tf_alloc_array(s, MOST_CALLS, sizeof **calls);
    if (!*calls)
        return BL_NO_MEMORY;
    for (skip_space(&p); *p.at; skip_space(&p)) {
        bool closed;
        if (*count == MOST_CALLS)
            return bli_fail(p.ctx, BL_LIMIT, "transforms: more than %d", MOST_CALLS);
        BLI_TRY(parse_call(&p, *calls + *count, &closed));
        if (!closed && !compat)
            return bli_fail(p.ctx, BL_USAGE, "transforms: '%s(' has no closing ')'", (*calls)[*count].name);
        *count += closed;
    }
    return BL_OK;
}
