/* verify.c: the list of paths, one after the other, until one differs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bitlathe/lower.h"
#include "verify/impl.h"

static const struct {
    const char *name;
    bli_verify_fn *run;
} paths[] = {{"graph", bli_verify_graph},
             {"executor generic", bli_verify_executor},
             {"executor avx2", bli_verify_executor},
             {"executor avx512", bli_verify_executor},
             {"executor amx", bli_verify_executor},
             {"executor neon", bli_verify_executor},
             {"executor dotprod", bli_verify_executor},
             {"c", bli_verify_c},
             {"hls", bli_verify_hls},
             {"verilog", bli_verify_verilog}};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_skip(bl_status s)
{
    return s == BL_NOT_FOUND || s == BL_UNSUPPORTED || s == BL_LIMIT;
}

static bl_status run_path(bli_verify *v, size_t i, bl_verify_report *report)
{
    double start = now();
    if (v->options.progress)
        v->options.progress(v->options.user, paths[i].name);
    v->simulated = 0;
    bl_status s = paths[i].run(v, paths[i].name);
    if (s != BL_OK && (!is_skip(s) || v->options.folder))
        return s;
    int at = report->num_paths++;
    snprintf(report->path[at].name, sizeof report->path[at].name, "%s", paths[i].name);
    if (s != BL_OK)
        snprintf(report->path[at].skip, sizeof report->path[at].skip, "%s", bl_context_message(v->ctx));
    report->path[at].samples = s != BL_OK ? 0 : v->simulated ? v->simulated : v->vectors.samples;
    report->path[at].seconds = now() - start;
    return BL_OK;
}

static bl_status run_all(bli_verify *v, bl_verify_report *report)
{
    BLI_TRY(bl_lower(v->ctx, v->graph, &v->program));
    BLI_TRY(bli_verify_samples(v));
    report->samples = v->vectors.samples;
    bli_verify_count_reached(v, &report->ends, &report->reached);
    for (size_t i = 0; i < BLI_COUNT(paths); i++) {
        bool only = v->options.folder != NULL && strcmp(paths[i].name, "verilog") != 0;
        if (!only)
            BLI_TRY(run_path(v, i, report));
    }
    return BL_OK;
}

static bl_status check_options(bl_context *ctx, bl_verify_options *o)
{
    o->samples = o->samples > 0 ? o->samples : 64;
    o->strategy = o->strategy ? o->strategy : "latency";
    o->seconds = o->seconds > 0 ? o->seconds : 600;
    if (o->samples > 100000)
        return bli_fail(ctx, BL_USAGE, "samples %d (expected 1 to 100000)", o->samples);
    if (o->simulator && strcmp(o->simulator, "verilator") != 0 && strcmp(o->simulator, "icarus") != 0)
        return bli_fail(ctx, BL_USAGE, "simulator '%.40s' (expected verilator or icarus)", o->simulator);
    return BL_OK;
}

bl_status bl_verify(bl_context *ctx, const bl_graph *g, const bl_verify_options *options, bl_verify_report *report)
{
    bli_verify v = {.ctx = ctx, .graph = g};
    bl_verify_report own;
    report = report ? report : &own;
    memset(report, 0, sizeof *report);
    if (options)
        v.options = *options;
    BLI_TRY(check_options(ctx, &v.options));
    BLI_TRY(bli_arena_create(ctx, &v.arena));
    bl_status s = run_all(&v, report);
    bli_verify_remove(&v);
    for (int i = 0; v.x && i < v.program->num_inputs; i++)
        bl_tensor_free(ctx, &v.x[i]);
    bl_program_destroy(v.program);
    bli_arena_destroy(v.arena);
    return s;
}
