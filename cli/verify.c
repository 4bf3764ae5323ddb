/* verify.c: a model's every path against every other. */
#include <stddef.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"samples", CLI_TEXT, "N", "corner and random samples, and at most so many at ends of ranges (default 64)",
     offsetof(cli_options, samples)},
    {"input", CLI_TEXT, "X.npy", "real samples as well", offsetof(cli_options, input)},
    {"simulator", CLI_TEXT, "S", "verilator (default) or icarus", offsetof(cli_options, simulator)},
    {"strategy", CLI_TEXT, "S", "of HLS and Verilog: latency, da, da3 (default latency)",
     offsetof(cli_options, strategy)},
    {"seed", CLI_TEXT, "N", "of the random samples (default 0)", offsetof(cli_options, seed)},
    {"limit", CLI_COUNT, "S", "seconds that each tool may take (default 600)", offsetof(cli_options, limit)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

static void on_progress(void *user, const char *path)
{
    cli_note(user, "%s", path);
}

static bl_status read_rows(cli *c, bl_verify_options *o, bl_tensor *rows)
{
    if (!c->o.input)
        return BL_OK;
    bl_status s = bl_npy_read(c->ctx, c->o.input, rows);
    if (s != BL_OK)
        return s;
    if (rows->type != BL_F32 || rows->shape.rank == 0)
        return cli_fail(c, BL_BAD_VALUE, "%s: expected rows of float32", c->o.input);
    o->rows = rows;
    return BL_OK;
}

/* " (12 samples: the netlist is large)", where a path did not take all. */
static const char *some(const bl_verify_report *r, int i, char *text, size_t size)
{
    const bool fewer = r->path[i].samples > 0 && r->path[i].samples < r->samples;
    text[0] = '\0';
    if (fewer)
        snprintf(text, size, " (%lld samples: the netlist is large)", (long long)r->path[i].samples);
    return text;
}

static void show(cli *c, const bl_verify_report *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->num_paths; i++) {
        char text[64];
        bool skipped = r->path[i].skip[0] != '\0';
        json_t *row = json_object();
        json_object_set_new(row, "path", json_string(r->path[i].name));
        json_object_set_new(row, "equal", skipped ? json_null() : json_true());
        json_object_set_new(row, "samples", json_integer((json_int_t)r->path[i].samples));
        json_object_set_new(row, "seconds", cli_number(r->path[i].seconds));
        if (skipped)
            json_object_set_new(row, "skipped", json_string(r->path[i].skip));
        json_array_append_new(list, row);
        if (!c->o.json)
            printf("%-18s %s%.200s%s\n", r->path[i].name, skipped ? "skipped: " : "equal", r->path[i].skip,
                   some(r, i, text, sizeof text));
    }
    cli_add(c, "samples", json_integer((json_int_t)r->samples));
    cli_add(c, "range_ends", json_integer((json_int_t)r->ends));
    cli_add(c, "range_ends_reached", json_integer((json_int_t)r->reached));
    cli_add(c, "paths", list);
    if (!c->o.json)
        printf("%lld samples against the interpreter; %lld of %lld ends of proven ranges were reached\n",
               (long long)r->samples, (long long)r->reached, (long long)r->ends);
}

static bl_status run(cli *c)
{
    bl_verify_options o = {.simulator = c->o.simulator, .strategy = c->o.strategy};
    bl_verify_report report;
    bl_tensor rows = {.data = NULL};
    bl_graph *g = NULL;
    o.seconds = (double)c->o.limit;
    o.folder = c->num_args > 1 ? c->args[1] : NULL;
    o.progress = on_progress;
    o.user = c;
    uint64_t samples;
    bl_status s = cli_whole_of(c, "samples", c->o.samples, 0, 100000, &samples);
    o.samples = (int)samples;
    if (s == BL_OK)
        s = cli_whole_of(c, "seed", c->o.seed, 0, UINT64_MAX, &o.seed);
    if (s == BL_OK)
        s = read_rows(c, &o, &rows);
    if (s == BL_OK)
        s = bl_model_read(c->ctx, c->args[0], &g);
    cli_interrupt_install(c->ctx);
    if (s == BL_OK)
        s = bl_verify(c->ctx, g, &o, &report);
    cli_interrupt_install(NULL);
    if (s == BL_OK)
        show(c, &report);
    bl_graph_destroy(g);
    bl_tensor_free(c->ctx, &rows);
    return s;
}

const cli_command cli_verify = {
    .name = "verify",
    .synopsis = "verify MODEL.onnx [DIR] [--samples N]",
    .help = "equal bits on every path; exit status 3 at the first difference",
    .text = "Sends the same samples (corners, random ones, and those of --input) through the graph, the program's\n"
            "interpreter, the executors of this machine, and C, HLS C++ and Verilog that it emits and builds. The\n"
            "first difference ends it, with its wire, layer, expected and found code. A path whose tool is not\n"
            "installed is skipped and says so. Some samples drive wires to the ends of their proven ranges. With DIR, "
            "a Verilog project that emit wrote from the model, only\n"
            "that one is simulated. HLS needs ap_int.h of the Python wheel hls4ml; AP_TYPES names its folder.",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .run = run};
