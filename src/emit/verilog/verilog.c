/* verilog.c: the backend: netlist, cut, files. */
#include <stdio.h>
#include <string.h>

#include "emit/verilog/flow.h"

static bl_status add_text(const bli_emit_job *job, const bli_verilog *v, const char *folder, const char *suffix,
                          void (*print)(const bli_verilog *v, bli_text *t))
{
    char path[2 * BLI_NAME_LONGEST];
    bli_text t;
    snprintf(path, sizeof path, "%s/%s%s", folder, v->name, suffix);
    bli_text_init(&t, job->ctx);
    print(v, &t);
    bl_status s = bli_project_text(job->project, path, &t);
    bli_text_free(&t);
    return s;
}

/* Where vectors are given, somebody verifies: then a bench that looks inside stands ready. */
static bl_status add_probe(const bli_emit_job *job, const bli_verilog *v, int samples)
{
    char path[2 * BLI_NAME_LONGEST];
    bli_text t;
    snprintf(path, sizeof path, "tb/%s_probe_tb.v", v->name);
    bli_text_init(&t, job->ctx);
    bl_status s = bli_verilog_probe(v, samples, &t) ? bli_project_text(job->project, path, &t) : BL_OK;
    bli_text_free(&t);
    return s;
}

static bl_status add_bench(const bli_emit_job *job, const bli_verilog *v)
{
    char path[2 * BLI_NAME_LONGEST];
    bli_vectors vectors;
    bli_text t;
    BLI_TRY(bli_vectors_of_job(job, &vectors));
    snprintf(path, sizeof path, "tb/%s_tb.v", v->name);
    bli_text_init(&t, job->ctx);
    bli_verilog_bench(v, vectors.samples, &t);
    bl_status s = bli_project_text(job->project, path, &t);
    bli_text_free(&t);
    if (s == BL_OK)
        s = bli_verilog_vector_files(job, &vectors, v->x, v->y);
    if (s == BL_OK && job->vectors)
        s = add_probe(job, v, vectors.samples);
    bli_vectors_free(&vectors);
    return s;
}

/* The core as a file of its own. */
static void whole_core(const bli_verilog *v, bli_text *t)
{
    bli_verilog_widths(v->name, bli_verilog_widest(v->net), t);
    bli_verilog_core(v, t);
}

static bl_status emit_net(const bli_emit_job *job, bli_net *net)
{
    bli_verilog v = {0};
    BLI_TRY(bli_verilog_model(job, &v.model));
    BLI_TRY(bli_pipeline_cut(net, v.model, (int64_t)(job->options->clock * 1000), &v.pipe));
    v.latency = v.pipe.stages + 1;
    BLI_TRY(bli_verilog_layout(job, net, &v));
    BLI_TRY(add_text(job, &v, "rtl", "_core.v", whole_core));
    BLI_TRY(add_text(job, &v, "rtl", "_cells.v", bli_verilog_cells));
    BLI_TRY(add_text(job, &v, "rtl", "_stream.v", bli_verilog_stream));
    const bli_manifest_facts facts = {v.wires, v.pipe.stages, v.latency, v.x_bits, v.y_bits, bli_verilog_plain(net)};
    BLI_TRY(bli_manifest_write(job, &facts));
    return add_bench(job, &v);
}

bl_status bli_verilog_model(const bli_emit_job *job, const bli_delay_model **out)
{
    *out = bli_delay_model_of_part(job->options->part);
    if (*out)
        return BL_OK;
    return bli_fail(job->ctx, BL_USAGE,
                    "part '%s' is of no family that delays are known of (expected one that begins with xcvu, xcku, "
                    "xczu, xc7, ice40 or lfe5, or a family: xcup, xc7, ice40, ecp5)",
                    job->options->part);
}

bli_net_options bli_verilog_net_options(const bli_emit_job *job)
{
    bli_net_options o = {.adder_graphs = strncmp(job->options->strategy, "da", 2) == 0, .extra_depth = -1, .effort = 2};
    o.ternary = strcmp(job->options->strategy, "da3") == 0;
    return o;
}

static bl_status emit_verilog(const bli_emit_job *job)
{
    if (strcmp(job->options->strategy, "resource") == 0 || strcmp(job->options->io, "stream") == 0)
        return bli_flow_emit(job);
    const bli_net_options o = bli_verilog_net_options(job);
    bli_net *net;
    BLI_TRY(bli_net_create(job->program, &o, &net));
    bl_status s = emit_net(job, net);
    bli_net_destroy(net);
    return s;
}

const bli_emit_backend bli_emit_verilog = {.name = "verilog",
                                           .help = "Verilog-2001: pipelined, in turns or as streams, with its bench",
                                           .strategies = true,
                                           .io = true,
                                           .clock = true,
                                           .emit = emit_verilog};
