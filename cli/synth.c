/* synth.c: an emitted Verilog project, or a model, through Yosys, and for ice40 to a bitstream.
 *
 * A model becomes a project first: where --out says, else in a temporary folder that is gone at the end.
 */
#include <ftw.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli.h"

static const cli_option options[] = {
    {"family", CLI_TEXT, "F", "xcup, xc7, ice40 or ecp5 (default xcup)", offsetof(cli_options, family)},
    {"place", CLI_FLAG, NULL, "ice40: place, route, bitstream, and its netlist simulated",
     offsetof(cli_options, place)},
    {"seeds", CLI_COUNT, "N", "placer seeds to try; the best is kept (default 1)", offsetof(cli_options, seeds)},
    {"strategy", CLI_TEXT, "S", "MODEL: latency (default), resource, da, da3", offsetof(cli_options, strategy)},
    {"reuse", CLI_TEXT, "N", "MODEL, resource: products per multiplier", offsetof(cli_options, reuse)},
    {"io", CLI_TEXT, "IO", "MODEL: parallel (default) or stream", offsetof(cli_options, io)},
    {"clock", CLI_TEXT, "NS", "MODEL: clock period in ns; default 5", offsetof(cli_options, clock)},
    {"out", CLI_TEXT, "DIR", "MODEL: where its project is to stay", offsetof(cli_options, out)},
    {"limit", CLI_COUNT, "S", "seconds that each tool may take (default 900)", offsetof(cli_options, limit)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

typedef struct watch {
    const cli *c;
    char step[64];
    time_t said;
} watch;

/* A line when a step begins, and every ten seconds what the tool says. */
static void on_progress(void *user, const char *step, const char *line)
{
    watch *w = user;
    time_t now = time(NULL);
    if (strcmp(w->step, step) != 0) {
        snprintf(w->step, sizeof w->step, "%s", step);
        w->said = now;
        cli_note(w->c, "%s", step);
    } else if (now - w->said >= 10 && line[0] != '\0') {
        w->said = now;
        cli_note(w->c, "%s: %.100s", step, line);
    }
}

static json_t *cells_json(const bl_synth_cells *n)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "lut", (json_int_t)n->lut, "lut6_2",
                     (json_int_t)n->lut6_2, "inv", (json_int_t)n->inv, "carry", (json_int_t)n->carry, "ff",
                     (json_int_t)n->ff, "dsp", (json_int_t)n->dsp, "ram", (json_int_t)n->ram, "other",
                     (json_int_t)n->other);
}

static void add_json(cli *c, const bl_synth_report *r)
{
    json_t *layers = json_array();
    for (int i = 0; i < r->num_layers; i++) {
        json_t *row = cells_json(&r->layers[i].cells);
        json_object_set_new(row, "layer", json_string(r->layers[i].name));
        json_array_append_new(layers, row);
    }
    cli_add(c, "tool", json_string(r->tool));
    cli_add(c, "family", json_string(r->family));
    cli_add(c, "top", json_string(r->top));
    cli_add(c, "total", cells_json(&r->total));
    cli_add(c, "depth", json_integer(r->depth));
    cli_add(c, "layers", layers);
    cli_add(c, "seconds", cli_number(r->seconds));
    if (!r->placed)
        return;
    cli_add(c, "placer", json_string(r->placer));
    cli_add(c, "device", json_string(r->device));
    cli_add(c, "bitstream", json_string(r->bitstream));
    cli_add(c, "logic_cells", json_integer((json_int_t)r->logic_cells));
    cli_add(c, "mhz", cli_number(r->mhz));
    cli_add(c, "mhz_timing", cli_number(r->mhz_timing));
    cli_add(c, "read_back", json_integer(r->read_back));
    json_t *seeds = json_array();
    for (int i = 0; i < r->num_seeds; i++)
        json_array_append_new(seeds, cli_number(r->seed_mhz[i]));
    cli_add(c, "seed_mhz", seeds);
}

static void print_row(const char *name, const bl_synth_cells *n)
{
    printf("%-24.24s %8lld %8lld %8lld %8lld %8lld %6lld %6lld\n", name, (long long)n->lut, (long long)n->lut6_2,
           (long long)n->inv, (long long)n->carry, (long long)n->ff, (long long)n->dsp, (long long)n->ram);
}

static void print_report(const bl_synth_report *r)
{
    printf("%s for %s, %s: no vendor's tool has seen this\n", r->tool, r->family, r->top);
    printf("%-24s %8s %8s %8s %8s %8s %6s %6s\n", "layer", "LUT", "(LUT6_2)", "INV", "carry", "FF", "DSP", "RAM");
    for (int i = 0; i < r->num_layers; i++)
        print_row(r->layers[i].name, &r->layers[i].cells);
    print_row("total", &r->total);
    printf("depth %d cells, %.1f s\n", r->depth, r->seconds);
    for (int i = 0; r->placed && i < r->num_seeds && r->num_seeds > 1; i++)
        printf("seed %d: %.1f MHz\n", i + 1, r->seed_mhz[i]);
    if (r->placed)
        printf("%s: %lld of %lld logic cells of %s, %.1f MHz (icetime %.1f)\n%s: its netlist gave %d samples right\n",
               r->placer, (long long)r->logic_cells, (long long)r->room, r->device, r->mhz, r->mhz_timing, r->bitstream,
               r->read_back);
}

static bl_status synthesise(cli *c, const char *folder)
{
    watch w = {.c = c};
    bl_synth_options o = {.family = c->o.family, .seconds = (double)c->o.limit, .place = c->o.place};
    o.seeds = c->o.seeds;
    o.progress = on_progress;
    o.user = &w;
    bl_synth_report *r;
    bl_status s = bl_synth(c->ctx, folder, &o, &r);
    if (s != BL_OK)
        return s;
    add_json(c, r);
    if (!c->o.json)
        print_report(r);
    bl_synth_report_free(r);
    return BL_OK;
}

/* ---- a model ------------------------------------------------------------------------------------------------------
 */
static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static bl_status emit_and_synthesise(cli *c, const char *folder)
{
    bl_emit_options o;
    bl_status s = cli_emit_options(c, &o);
    o.target = "verilog";
    o.part = c->o.family ? c->o.family : "xcup";
    if (s == BL_OK)
        s = cli_emit_model(c, folder, &o);
    return s == BL_OK ? synthesise(c, folder) : s;
}

static bl_status of_model(cli *c)
{
    const char *base = getenv("TMPDIR");
    char folder[1024], project[1100];
    if (c->o.out)
        return emit_and_synthesise(c, c->o.out);
    snprintf(folder, sizeof folder, "%.900s/bitlathe-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return cli_fail(c, BL_IO, "no temporary folder could be made like %s", folder);
    snprintf(project, sizeof project, "%s/project", folder);
    bl_status s = emit_and_synthesise(c, project);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return s;
}

static const char *model_option(const cli *c)
{
    const char *const given[] = {c->o.strategy, c->o.reuse, c->o.io, c->o.clock, c->o.out};
    static const char *const names[] = {"strategy", "reuse", "io", "clock", "out"};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i])
            return names[i];
    return NULL;
}

static bl_status run(cli *c)
{
    struct stat st;
    bool model = stat(c->args[0], &st) == 0 && !S_ISDIR(st.st_mode);
    if (!model && model_option(c))
        return cli_fail(c, BL_USAGE, "--%s goes with a model file; %s is a project", model_option(c), c->args[0]);
    cli_interrupt_install(c->ctx);
    bl_status s = model ? of_model(c) : synthesise(c, c->args[0]);
    cli_interrupt_install(NULL);
    return s;
}

const cli_command cli_synth = {
    .name = "synth",
    .synopsis = "synth DIR|MODEL [--family F] [--place]",
    .help = "counts what a Verilog project, or a model as one, needs, by layer",
    .text = "Runs Yosys over a project that emit wrote with target verilog and counts LUTs, inverters, carry\n"
            "cells, registers, DSPs and memories, by layer, and the longest way between registers. With --place\n"
            "(ice40) it goes on to place and route (nextpnr-ice40) and a bitstream (icestorm) for an HX8K; the\n"
            "netlist read back from the bitstream is simulated on the project's vectors. A model file becomes such\n"
            "a project first, for the family, in a temporary folder or where --out says.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
