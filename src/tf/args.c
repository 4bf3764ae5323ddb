/* args.c: what a transform's arguments say: texts, whole numbers, floats, truth values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tf/transform.h"

static const bli_tg_arg *find(const bli_tg_job *job, const char *name)
{
    for (size_t i = 0; i < job->call->num_args; i++)
        if (strcmp(job->call->args[i].name, name) == 0)
            return &job->call->args[i];
    return NULL;
}

size_t bli_tg_arg_count(const bli_tg_job *job, const char *name)
{
    const bli_tg_arg *a = find(job, name);
    return a ? a->num_values : 0;
}

const char *bli_tg_arg_value(const bli_tg_job *job, const char *name, size_t i)
{
    const bli_tg_arg *a = find(job, name);
    return a && i < a->num_values ? a->values[i] : NULL;
}

bl_status bli_tg_arg_text(const bli_tg_job *job, const char *name, const char *other, const char **out)
{
    const bli_tg_arg *a = find(job, name);
    *out = a ? a->values[0] : other;
    if (a && a->num_values > 1)
        return bli_fail(job->ctx, BL_USAGE, "parameter '%s' is given %zu times; expected once", name, a->num_values);
    return BL_OK;
}

bl_status bli_tg_arg_required(const bli_tg_job *job, const char *name, const char **out)
{
    BLI_TRY(bli_tg_arg_text(job, name, NULL, out));
    if (!*out)
        return bli_fail(job->ctx, BL_USAGE, "parameter '%s' is missing", name);
    return BL_OK;
}

static bl_status wrong(const bli_tg_job *job, const char *name, const char *value, const char *what)
{
    return bli_fail(job->ctx, BL_USAGE, "parameter '%s' is '%s'; expected %s", name, value, what);
}

bl_status bli_tg_arg_int(const bli_tg_job *job, const char *name, int64_t other, int64_t *out)
{
    const char *text;
    char *end;
    *out = other;
    BLI_TRY(bli_tg_arg_text(job, name, NULL, &text));
    if (!text)
        return BL_OK;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return wrong(job, name, text, "a whole number");
    *out = v;
    return BL_OK;
}

/* Locales do not matter: a program of ours never sets LC_NUMERIC, and a caller's comma is refused by the test of end.
 */
bl_status bli_tg_arg_float(const bli_tg_job *job, const char *name, float other, float *out)
{
    const char *text;
    char *end;
    *out = other;
    BLI_TRY(bli_tg_arg_text(job, name, NULL, &text));
    if (!text)
        return BL_OK;
    float v = strtof(text, &end);
    if (end == text || *end)
        return wrong(job, name, text, "a number");
    *out = v;
    return BL_OK;
}

bl_status bli_tg_arg_bool(const bli_tg_job *job, const char *name, bool other, bool *out)
{
    const char *text;
    *out = other;
    BLI_TRY(bli_tg_arg_text(job, name, NULL, &text));
    if (!text)
        return BL_OK;
    *out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!*out && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return wrong(job, name, text, "true, 1, false or 0");
    return BL_OK;
}

bool bli_tg_arg_has(const bli_tg_job *job, const char *name, const char *value)
{
    const bli_tg_arg *a = find(job, name);
    for (size_t i = 0; a && i < a->num_values; i++)
        if (strcmp(a->values[i], value) == 0)
            return true;
    return !a;
}
