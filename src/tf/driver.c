/* driver.c: a string of transforms, run one after the other on a graph.
 *
 * After each, every input must name a node.  A parameter ignore_errors=true is understood by all: a failure is logged
 * and the graph stays as it was.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tf/transform.h"

static const char *nearest_pass(const char *name)
{
    const char *names[128];
    size_t count = 0;
    for (const bli_tg_pass *p; count < BLI_COUNT(names) && (p = bli_tg_pass_at(count)); count++)
        names[count] = p->name;
    return bli_nearest(name, names, count);
}

static bl_status find_pass(bl_context *ctx, const char *name, const bli_tg_pass **out)
{
    const bli_tg_pass *p;
    for (size_t i = 0; (p = bli_tg_pass_at(i)); i++)
        if (strcmp(p->name, name) == 0) {
            *out = p;
            return BL_OK;
        }
    const char *near = nearest_pass(name);
    return bli_fail(ctx, BL_NOT_FOUND, "no transform '%s'%s%s%s", name, near ? " (did you mean '" : "",
                    near ? near : "", near ? "'?)" : "");
}

static const char ignore[] = "ignore_errors";

static bl_status check_arg(bl_context *ctx, const bli_tg_pass *pass, const char *name)
{
    const char *names[32] = {ignore};
    size_t count = 1;
    for (const bli_tg_param *p = pass->params; p && p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return BL_OK;
        names[count++] = p->name;
    }
    return strcmp(name, ignore) == 0 ? BL_OK : bli_unknown_name(ctx, "parameter", name, names, count);
}

/* What the original passes over. */
static bl_status check_args(bl_context *ctx, const bli_tg_pass *pass, const bli_tg_call *call)
{
    for (size_t i = 0; i < call->num_args; i++)
        BLI_TRY(check_arg(ctx, pass, call->args[i].name));
    return BL_OK;
}

static bl_status ignores(bl_context *ctx, const bli_tg_job *job, bool *out)
{
    const char *text;
    BLI_TRY(bli_tg_arg_text(job, ignore, "false", &text));
    *out = strcasecmp(text, "true") == 0;
    if (!*out && strcasecmp(text, "false") != 0)
        return bli_fail(ctx, BL_USAGE, "parameter '%s' is '%s'; expected true or false", ignore, text);
    return BL_OK;
}

static bl_status run_pass(const bli_tg_job *job, const bli_tg_pass *pass, const bli_tf_graph *in, bli_tf_graph **out)
{
    *out = bli_tf_graph_like(in);
    if (!*out)
        return BL_NO_MEMORY;
    if (job->compat && strcmp(pass->name, "add_default_attributes") != 0) {
        (*out)->versions = NULL;
        (*out)->version = 0;
    }
    BLI_TRY(pass->run(job, in, *out));
    return bli_tg_check_inputs(*out);
}

bl_status bli_tg_run_pass(const bli_tg_job *job, const char *name, const bli_tf_graph *in, bli_tf_graph **out)
{
    const bli_tg_pass *pass = NULL;
    const bli_tg_call call = {.name = name};
    bli_tg_job inner = *job;
    inner.call = &call;
    BLI_TRY(find_pass(job->ctx, name, &pass));
    return bli_within(job->ctx, run_pass(&inner, pass, in, out), "%s", name);
}

static bl_status run_call(const bli_tg_job *job, const bli_tg_pass *pass, bli_tf_graph **g)
{
    bool ignored;
    bli_tf_graph *out;
    bli_tg_job shown = *job;
    if (!pass->looks_back)
        shown.origin = NULL; /* of which nothing may be left */
    if (!job->compat)
        BLI_TRY(check_args(job->ctx, pass, job->call));
    BLI_TRY(ignores(job->ctx, job, &ignored));
    bl_status s = run_pass(&shown, pass, *g, &out);
    if (s != BL_OK && s != BL_NO_MEMORY && s != BL_INTERRUPTED && ignored) {
        bli_log(job->ctx, BL_LOG_WARNING, "%s: %s; ignored", job->call->name, bl_context_message(job->ctx));
        return BL_OK;
    }
    if (s == BL_OK)
        *g = out;
    return s;
}

/* "a,b" as names. */
static bl_status split(bli_tf_store *s, const char *text, bli_tg_names *out)
{
    size_t commas = 0;
    for (const char *p = text; p && *p; p++)
        commas += *p == ',';
    *out = (bli_tg_names){0, bli_tf_alloc_array(s, commas + 1, sizeof *out->at)};
    if (!out->at)
        return BL_NO_MEMORY;
    for (const char *p = text; p && *p;) {
        size_t n = strcspn(p, ",");
        char *name = bli_tf_text_copy(s, p, n);
        if (!name)
            return BL_NO_MEMORY;
        if (n)
            out->at[out->count++] = name;
        p += n + (p[n] == ',');
    }
    return BL_OK;
}

typedef struct plan {
    bli_tg_call *calls;
    const bli_tg_pass **passes;
    size_t count;
    bool looks_back; /* at the graph as it was before all */
} plan;

static bl_status make_plan(bli_tg_job *job, const char *transforms, const bli_tg_options *o, plan *p)
{
    bli_tf_store *s = job->store;
    *p = (plan){.looks_back = false};
    BLI_TRY(split(s, o->inputs, &job->inputs));
    BLI_TRY(split(s, o->outputs, &job->outputs));
    BLI_TRY(bli_tg_parse_calls(s, transforms, o->compat, &p->calls, &p->count));
    p->passes = bli_tf_alloc_array(s, p->count + 1, sizeof *p->passes);
    if (!p->passes)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < p->count; i++) {
        BLI_TRY(find_pass(job->ctx, p->calls[i].name, &p->passes[i]));
        p->looks_back = p->looks_back || p->passes[i]->looks_back;
    }
    return BL_OK;
}

/* *g: how far it came. */
static bl_status run_plan(bli_tg_job *job, const plan *p, bli_tf_graph **g)
{
    for (size_t i = 0; i < p->count; i++) {
        job->call = &p->calls[i];
        BLI_TRY(bli_within(job->ctx, run_call(job, p->passes[i], g), "%s", p->passes[i]->name));
        bli_tf_store_sweep(job->store, (const bli_tf_graph *const[]){*g, job->origin}, p->looks_back ? 2 : 1);
    }
    return BL_OK;
}

/* What is in the store at first is the caller's, and stays, or is let go as transforms go past it. */
static bl_status transform(bli_tf_store *s, bli_tf_graph **g, const char *transforms, const bli_tg_options *o,
                           bool in_place)
{
    const size_t mark = bli_tf_store_mark(s);
    bli_tg_notes notes = {.arena = NULL};
    bli_tg_job job = {.ctx = bli_tf_store_context(s), .store = s, .origin = *g, .notes = &notes, .compat = o->compat};
    bli_tf_graph *now = *g, *empty = bli_tf_graph_make(s);
    plan p;
    bl_status status = empty ? make_plan(&job, transforms, o, &p) : BL_NO_MEMORY;
    if (status != BL_OK)
        return status;
    bli_tf_store_keep_from(s, in_place ? mark : 0);
    status = run_plan(&job, &p, &now);
    bli_arena_destroy(notes.arena);
    if (status == BL_OK)
        *g = now;
    else if (in_place)
        *g = empty;
    return status;
}

bl_status bli_tg_transform(bli_tf_store *s, bli_tf_graph **g, const char *transforms, const bli_tg_options *o)
{
    return transform(s, g, transforms, o, false);
}

bl_status bli_tg_transform_in_place(bli_tf_store *s, bli_tf_graph **g, const char *transforms, const bli_tg_options *o)
{
    return transform(s, g, transforms, o, true);
}
