/* synth.c: an emitted Verilog project through Yosys, and for ice40 to a bitstream. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

static const cli_option options[] = {
    {"family", CLI_TEXT, "F", "xcup, xc7, ice40 or ecp5 (default xcup)", offsetof(cli_options, family)},
    {"place", CLI_FLAG, NULL, "ice40: place, route, bitstream, and its netlist simulated",
     offsetof(cli_options, place)},
    {"seeds", CLI_COUNT, "N", "placer seeds to try; the best is kept (default 1)", offsetof(cli_options, seeds)},
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
    if (r->placed)
        printf("%s: %lld of %lld logic cells of %s, %.1f MHz (icetime %.1f)\n%s: its netlist gave %d samples right\n",
               r->placer, (long long)r->logic_cells, (long long)r->room, r->device, r->mhz, r->mhz_timing, r->bitstream,
               r->read_back);
}

static bl_status run(cli *c)
{
    watch w = {.c = c};
    bl_synth_options o = {.family = c->o.family, .seconds = (double)c->o.limit, .place = c->o.place};
    o.seeds = c->o.seeds;
    o.progress = on_progress;
    o.user = &w;
    bl_synth_report *r;
    cli_interrupt_install(c->ctx);
    bl_status s = bl_synth(c->ctx, c->args[0], &o, &r);
    cli_interrupt_install(NULL);
    if (s != BL_OK)
        return s;
    add_json(c, r);
    if (!c->o.json)
        print_report(r);
    bl_synth_report_free(r);
    return BL_OK;
}

const cli_command cli_synth = {
    .name = "synth",
    .synopsis = "synth DIR [--family F] [--place]",
    .help = "counts what an emitted Verilog project needs, by layer",
    .text = "Runs Yosys over a project that emit wrote with target verilog and counts LUTs, inverters, carry\n"
            "cells, registers, DSPs and memories, by layer, and the longest way between registers. With --place\n"
            "(ice40) it goes on to place and route (nextpnr-ice40) and a bitstream (icestorm) for an HX8K; the\n"
            "netlist read back from the bitstream is simulated on the project's vectors.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
