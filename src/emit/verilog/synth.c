/* synth.c: Yosys over an emitted project, with the command that gives honest counts (docs/firmware.md): each adder is a
 * module, alumacc turns it into one adder before flatten could join chains of them, and no wide multiplexers. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/context.h"
#include "base/process.h"
#include "emit/verilog/synth.h"

enum { KEPT_OUTPUT = 1 << 28, SCRIPT_ROOM = 2048, PATH_ROOM = 4096, LAST_WORDS = 300 };

/* Where there are sums and logic only, nothing is left for synth_xilinx to find before its step "fine": finite state
 * machines, memories, multipliers, what could be shared.  The same cells come out in three quarters of the time. */
#define FINE                                                                                                           \
    "read_verilog -lib +/xilinx/cells_sim.v; opt -nodffe -nosdff; wreduce; opt_clean; "                                \
    "techmap -map +/cmp2lut.v -map +/cmp2lcu.v -D LUT_WIDTH=6; alumacc; "

static const struct {
    const char *family, *synth, *plain;
} flows[] = {{"xcup", "synth_xilinx -top %s -family xcup -flatten -nodsp -nowidelut -noiopad",
              FINE "synth_xilinx -run fine: -top %s -family xcup -flatten -nodsp -nowidelut -noiopad"},
             {"xc7", "synth_xilinx -top %s -family xc7 -flatten -nodsp -nowidelut -noiopad",
              FINE "synth_xilinx -run fine: -top %s -family xc7 -flatten -nodsp -nowidelut -noiopad"},
             {"ice40", "synth_ice40 -top %s", NULL},
             {"ecp5", "synth_ecp5 -top %s", NULL}};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- tools --------------------------------------------------------------------------------------------------------
 */
typedef struct listener {
    bli_synth *s;
    const char *step;
} listener;

static void on_line(void *user, const char *line)
{
    const listener *l = user;
    if (l->s->options.progress)
        l->s->options.progress(l->s->options.user, l->step, line);
}

/* The end of what a tool said, in one line. */
static void last_words(const char *output, char words[LAST_WORDS])
{
    size_t size = strlen(output), from = size >= LAST_WORDS ? size - LAST_WORDS + 1 : 0;
    snprintf(words, LAST_WORDS, "%s", output + from);
    for (char *c = words; *c; c++)
        if (*c == '\n' || (unsigned char)*c < ' ')
            *c = ' ';
}

bl_status bli_synth_tool(bli_synth *s, const char *package, const char *step, const char **argv, char **output)
{
    char path[BLI_PROCESS_PATH], words[LAST_WORDS], *said;
    listener l = {s, step};
    int status;
    const char *name = argv[0];
    BLI_TRY(bli_process_find(s->ctx, name, package, path));
    if (s->options.progress)
        s->options.progress(s->options.user, step, "");
    argv[0] = path;
    bli_process p = {argv, s->folder, s->options.seconds, KEPT_OUTPUT, on_line, &l};
    bl_status r = bli_process_run(s->ctx, &p, &status, &said);
    argv[0] = name;
    BLI_TRY(r);
    if (status != 0 && strstr(said, "chipdb")) {
        bli_free(s->ctx, said);
        return bli_fail(s->ctx, BL_NOT_FOUND, "%s finds no data on the device (package fpga-icestorm-chipdb)", name);
    }
    if (status != 0) {
        last_words(said, words);
        bli_free(s->ctx, said);
        return bli_fail(s->ctx, BL_BAD_VALUE, "%s ended with status %d: ...%s", name, status, words);
    }
    if (output)
        *output = said;
    else
        bli_free(s->ctx, said);
    return BL_OK;
}

/* ---- yosys --------------------------------------------------------------------------------------------------------
 */
static const char *flow_of(const char *family, bool plain)
{
    for (size_t i = 0; i < BLI_COUNT(flows); i++)
        if (strcmp(flows[i].family, family) == 0)
            return plain && flows[i].plain ? flows[i].plain : flows[i].synth;
    return NULL;
}

static bl_status yosys_version(bli_synth *s)
{
    const char *argv[] = {"yosys", "-V", NULL};
    char *said;
    BLI_TRY(bli_synth_tool(s, "yosys", "yosys", argv, &said));
    said[strcspn(said, "\n")] = '\0';
    s->report->tool = bli_arena_strdup(s->arena, said);
    bli_free(s->ctx, said);
    return s->report->tool ? BL_OK : BL_NO_MEMORY;
}

static bl_status run_yosys(bli_synth *s, const char *suffix)
{
    char script[SCRIPT_ROOM], top[128], synth[512], defines[64] = "";
    const char *n = s->name, *family = s->options.family;
    snprintf(top, sizeof top, "%s_%s", n, suffix);
    if (family[0] == 'x')
        snprintf(defines, sizeof defines, "-DBITLATHE_LUT6_2");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(synth, sizeof synth, flow_of(family, json_is_true(json_object_get(s->manifest, "plain"))), top);
#pragma GCC diagnostic pop
    snprintf(script, sizeof script,
             "read_verilog %s rtl/%s_core.v rtl/%s_cells.v rtl/%s_stream.v; hierarchy -top %s; proc; alumacc; flatten; "
             "rename -hide w:*__sum.*; opt_clean; %s; write_json build/%s_%s.json",
             defines, n, n, n, top, synth, top, family);
    const char *argv[] = {"yosys", "-p", script, NULL};
    return bli_synth_tool(s, "yosys", "yosys", argv, NULL);
}

static bl_status synthesise(bli_synth *s)
{
    char path[PATH_ROOM], top[128];
    double start = now();
    BLI_TRY(yosys_version(s));
    snprintf(top, sizeof top, "%s_core", s->name);
    BLI_TRY(run_yosys(s, "core"));
    s->report->seconds = now() - start;
    s->report->top = bli_arena_strdup(s->arena, top);
    snprintf(path, sizeof path, "%s/build/%s_%s.json", s->folder, top, s->options.family);
    BLI_TRY(bli_synth_count(s, path, top));
    if (!s->options.place)
        return BL_OK;
    BLI_TRY(run_yosys(s, "stream"));
    return bli_synth_place(s);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------
 */
static bl_status check_options(bl_context *ctx, bl_synth_options *o)
{
    o->family = o->family ? o->family : "xcup";
    o->seconds = o->seconds > 0 ? o->seconds : 900;
    o->seeds = o->seeds > 0 ? o->seeds : 1;
    if (!flow_of(o->family, false))
        return bli_fail(ctx, BL_USAGE, "family '%.40s' (expected xcup, xc7, ice40 or ecp5)", o->family);
    if (o->place && strcmp(o->family, "ice40") != 0)
        return bli_fail(ctx, BL_UNSUPPORTED, "place and route is there for ice40 only (family is %s)", o->family);
    return BL_OK;
}

static bl_status make_build(bli_synth *s)
{
    char path[PATH_ROOM];
    struct stat st;
    const bli_file_ops *ops = &s->ctx->file_ops;
    if (snprintf(path, sizeof path, "%s/build", s->folder) >= PATH_ROOM)
        return bli_fail(s->ctx, BL_LIMIT, "%.60s...: a path longer than %d", s->folder, PATH_ROOM);
    if (ops->mkdir(ops->user, path, 0777) == 0 || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return BL_OK;
    return bli_fail(s->ctx, BL_IO, "%s: the folder could not be made", path);
}

struct report_with_arena {
    bl_synth_report report; /* first: what callers see */
    bli_arena *arena;
};

static bl_status run(bli_synth *s)
{
    s->report->family = bli_arena_strdup(s->arena, s->options.family);
    BLI_TRY(bli_manifest_read(s->ctx, s->folder, &s->manifest));
    s->name = bli_manifest_name(s->manifest);
    BLI_TRY(make_build(s));
    return synthesise(s);
}

bl_status bl_synth(bl_context *ctx, const char *folder, const bl_synth_options *options, bl_synth_report **out)
{
    bli_synth s = {.ctx = ctx, .folder = folder};
    if (options)
        s.options = *options;
    *out = NULL;
    BLI_TRY(check_options(ctx, &s.options));
    BLI_TRY(bli_arena_create(ctx, &s.arena));
    struct report_with_arena *r = bli_arena_alloc(s.arena, sizeof *r);
    if (!r)
        return bli_arena_destroy(s.arena), BL_NO_MEMORY;
    r->arena = s.arena;
    s.report = &r->report;
    bl_status status = bli_within(ctx, run(&s), "%s", folder);
    json_decref(s.manifest);
    if (status != BL_OK)
        return bli_arena_destroy(s.arena), status;
    *out = &r->report;
    return BL_OK;
}

void bl_synth_report_free(bl_synth_report *r)
{
    if (r)
        bli_arena_destroy(((struct report_with_arena *)(void *)r)->arena);
}
