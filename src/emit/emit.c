/* emit.c: the table of backends, and one emission from options to a finished folder. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "emit/emit.h"

static const bli_emit_backend *const backends[] = {&bli_emit_c, &bli_emit_hls, &bli_emit_verilog};

int bl_emit_target_count(void)
{
    return (int)BLI_COUNT(backends);
}

bool bl_emit_target_at(int i, bl_emit_target *out)
{
    if (i < 0 || i >= bl_emit_target_count())
        return false;
    *out = (bl_emit_target){backends[i]->name, backends[i]->help};
    return true;
}

static bl_status find_word(bl_context *ctx, const char *what, const char *word, const char *const *words, size_t count)
{
    char all[256] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0)
            return BL_OK;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
    }
    char safe[64];
    return bli_fail(ctx, BL_USAGE, "%s '%s' (expected one of %s)", what, bli_text_safe(word, safe, sizeof safe), all);
}

static bl_status find_backend(bl_context *ctx, const char *name, const bli_emit_backend **out)
{
    const char *names[BLI_COUNT(backends)];
    for (size_t i = 0; i < BLI_COUNT(backends); i++) {
        names[i] = backends[i]->name;
        if (strcmp(names[i], name) == 0)
            *out = backends[i];
    }
    return find_word(ctx, "target", name, names, BLI_COUNT(names));
}

static bl_status refuse(bl_context *ctx, const bli_emit_backend *b, const char *option)
{
    return bli_fail(ctx, BL_USAGE, "target %s has no option %s", b->name, option);
}

static bl_status check_numbers(bl_context *ctx, const bl_emit_options *o)
{
    if (o->reuse < 0)
        return bli_fail(ctx, BL_USAGE, "reuse %d (expected 1 or more)", o->reuse);
    if (!isfinite(o->clock) || o->clock < 0 || o->clock > 1e6)
        return bli_fail(ctx, BL_USAGE, "clock %g (expected a period in ns, at most 1e6)", o->clock);
    if (o->samples < 0 || o->samples > 1000000)
        return bli_fail(ctx, BL_USAGE, "samples %d (expected 1 to 1000000)", o->samples);
    return BL_OK;
}

/* A part's name goes into Tcl scripts: letters, digits and dashes only. */
static bl_status check_part(bl_context *ctx, const char *part)
{
    size_t n = strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    char safe[64];
    if (n > 0 && n < 64 && part[n] == '\0')
        return BL_OK;
    return bli_fail(ctx, BL_USAGE, "part '%s' (expected letters, digits and dashes)",
                    bli_text_safe(part, safe, sizeof safe));
}

/* What is kept of a name is its letters and digits. */
static bl_status check_name(bl_context *ctx, const char *name)
{
    char safe[64];
    for (const char *c = name; *c; c++)
        if (isalnum((unsigned char)*c) && (unsigned char)*c < 128)
            return BL_OK;
    return bli_fail(ctx, BL_USAGE, "name '%s' (expected letters or digits in it)",
                    bli_text_safe(name, safe, sizeof safe));
}

static bl_status check_options(bl_context *ctx, const bli_emit_backend *b, const bl_emit_options *o)
{
    static const char *const strategies[] = {"latency", "resource", "da", "da3"}, *const ios[] = {"parallel", "stream"};
    BLI_TRY(check_numbers(ctx, o));
    if (o->name != NULL)
        BLI_TRY(check_name(ctx, o->name));
    if (o->strategy != NULL)
        BLI_TRY(b->strategies ? find_word(ctx, "strategy", o->strategy, strategies, BLI_COUNT(strategies))
                              : refuse(ctx, b, "strategy"));
    if (o->strategy != NULL && strcmp(o->strategy, "da3") == 0 && b != &bli_emit_verilog)
        return bli_fail(ctx, BL_USAGE, "strategy da3 (adders of three inputs) is for target verilog");
    if (o->reuse > 1 && (o->strategy == NULL || strcmp(o->strategy, "resource") != 0))
        return bli_fail(ctx, BL_USAGE, "reuse %d goes with strategy resource only", o->reuse);
    if (o->io != NULL)
        BLI_TRY(b->io ? find_word(ctx, "io", o->io, ios, BLI_COUNT(ios)) : refuse(ctx, b, "io"));
    if (o->pack && b != &bli_emit_c)
        return refuse(ctx, b, "pack");
    if (o->clock > 0 && !b->clock)
        return refuse(ctx, b, "clock");
    if (o->part != NULL)
        BLI_TRY(b->clock ? check_part(ctx, o->part) : refuse(ctx, b, "part"));
    return BL_OK;
}

static bl_emit_options complete(const bl_emit_options *given, const bli_program *p)
{
    bl_emit_options o = *given;
    o.name = o.name != NULL ? o.name : p->name;
    o.strategy = o.strategy != NULL ? o.strategy : "latency";
    o.reuse = o.reuse > 0 ? o.reuse : 1;
    o.clock = o.clock > 0 ? o.clock : 5;
    o.io = o.io != NULL ? o.io : "parallel";
    o.part = o.part != NULL ? o.part : "xcvu13p-flga2577-2-e";
    o.samples = o.samples > 0 ? o.samples : 64;
    return o;
}

static bl_status write_project(const bli_emit_backend *b, bli_emit_job *job, const char *folder)
{
    BLI_TRY(bli_project_open(job->ctx, folder, &job->project));
    bl_status s = b->emit(job);
    if (s == BL_OK)
        return bli_project_commit(job->project);
    bli_project_abandon(job->project);
    return s;
}

bl_status bli_emit_with(bl_context *ctx, const bli_program *p, const char *folder, const bl_emit_options *options,
                        const bli_vectors *vectors)
{
    static const bl_emit_options none = {0};
    const bl_emit_options *given = options != NULL ? options : &none;
    const bli_emit_backend *b = NULL;
    BLI_TRY(find_backend(ctx, given->target != NULL ? given->target : "c", &b));
    BLI_TRY(check_options(ctx, b, given));
    bl_emit_options o = complete(given, p);
    bli_emit_job job = {.ctx = ctx, .program = p, .options = &o, .vectors = vectors};
    BLI_TRY(bli_names_create(ctx, &job.names));
    bl_status s = bli_names_take(job.names, o.name, &job.name);
    if (s == BL_OK)
        s = bli_within(ctx, write_project(b, &job, folder), "emit %s", b->name);
    bli_names_destroy(job.names);
    return s;
}

bl_status bli_emit(bl_context *ctx, const bli_program *p, const char *folder, const bl_emit_options *options)
{
    return bli_emit_with(ctx, p, folder, options, NULL);
}

bl_status bl_emit(bl_context *ctx, const bl_program *program, const char *folder, const bl_emit_options *options)
{
    return bli_emit(ctx, program, folder, options);
}
