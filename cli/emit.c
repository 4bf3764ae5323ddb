/* emit.c: a model as source code: lowered to the exact program, then written as a project of a target. */
#include <stdlib.h>

#include "cli.h"

static const cli_option options[] = {
    {"target", CLI_TEXT, "T", "c (default), hls, verilog", offsetof(cli_options, target)},
    {"out", CLI_TEXT, "DIR", "where: a new or empty folder, or an earlier project, which is replaced",
     offsetof(cli_options, out)},
    {"name", CLI_TEXT, "NAME", "of functions and files; default: the model's", offsetof(cli_options, name)},
    {"strategy", CLI_TEXT, "S", "latency (default), resource, da: distributed arithmetic; verilog: da3",
     offsetof(cli_options, strategy)},
    {"reuse", CLI_TEXT, "N", "resource: products per multiplier; the nearest valid factor is taken",
     offsetof(cli_options, reuse)},
    {"io", CLI_TEXT, "IO", "parallel (default) or stream", offsetof(cli_options, io)},
    {"clock", CLI_TEXT, "NS", "clock period in ns; default 5", offsetof(cli_options, clock)},
    {"part", CLI_TEXT, "PART", "the FPGA; default xcvu13p-flga2577-2-e", offsetof(cli_options, part)},
    {"samples", CLI_TEXT, "N", "test vectors; default 64", offsetof(cli_options, samples)},
    {"seed", CLI_TEXT, "N", "of the random test vectors; default 0", offsetof(cli_options, seed)},
    {"pack", CLI_FLAG, NULL, "c: weights of 1 to 7 bits in as many: less flash, more time",
     offsetof(cli_options, pack)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

static bl_status period(cli *c, double *out)
{
    char *end;
    *out = 0;
    if (!c->o.clock)
        return BL_OK;
    *out = strtod(c->o.clock, &end);
    if (end == c->o.clock || *end || !(*out > 0) || *out > 1e6)
        return cli_fail(c, BL_USAGE, "--clock '%s' (expected a period in ns, above 0)", c->o.clock);
    return BL_OK;
}

bl_status cli_emit_options(cli *c, bl_emit_options *o)
{
    uint64_t reuse, samples;
    *o = (bl_emit_options){.target = c->o.target,
                           .name = c->o.name,
                           .strategy = c->o.strategy,
                           .io = c->o.io,
                           .part = c->o.part,
                           .pack = c->o.pack};
    bl_status s = cli_whole_of(c, "reuse", c->o.reuse, 1, 1 << 30, &reuse);
    if (s == BL_OK)
        s = cli_whole_of(c, "samples", c->o.samples, 1, 1000000, &samples);
    if (s == BL_OK)
        s = period(c, &o->clock);
    if (s == BL_OK)
        s = cli_whole_of(c, "seed", c->o.seed, 0, UINT64_MAX, &o->seed);
    if (s != BL_OK)
        return s;
    o->reuse = (int)reuse;
    o->samples = (int)samples;
    return BL_OK;
}

bl_status cli_emit_model(cli *c, const char *folder, const bl_emit_options *o)
{
    bl_graph *g;
    bl_program *p = NULL;
    bl_status s = bl_model_read(c->ctx, c->args[0], &g);
    if (s != BL_OK)
        return s;
    s = bl_lower(c->ctx, g, &p);
    if (s == BL_OK) {
        cli_say_cut(c, p);
        s = bl_emit(c->ctx, p, folder, o);
    }
    bl_program_destroy(p);
    bl_graph_destroy(g);
    return s;
}

static bl_status run(cli *c)
{
    bl_emit_options o;
    if (!c->o.out)
        return cli_fail(c, BL_USAGE, "--out DIR is missing");
    bl_status s = cli_emit_options(c, &o);
    if (s == BL_OK)
        s = cli_emit_model(c, c->o.out, &o);
    if (s != BL_OK)
        return s;
    cli_add(c, "target", json_string(o.target ? o.target : "c"));
    cli_add(c, "output", json_string(c->o.out));
    if (!c->o.json)
        printf("%s: %s project of %s\n", c->o.out, o.target ? o.target : "c", c->args[0]);
    return BL_OK;
}

const cli_command cli_emit = {
    .name = "emit",
    .synopsis =
        "emit MODEL.onnx --target c|hls|verilog --out DIR [--strategy latency|resource|da] [--io parallel|stream]",
    .help = "a model as source code: C for processors, HLS C++ or Verilog for FPGAs",
    .text = "Lowers a model to the exact integer program and writes that as a project: sources, test bench,\n"
            "test vectors, scripts.  The project gives the bits that training's evaluation gives.  A model that\n"
            "has no exact program is refused by the name of the node.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
