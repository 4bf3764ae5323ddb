/* hardware.c: the Verilog path: a fresh project, or the modules of one that is there, under a simulator. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emit/verilog/simulate.h"
#include "emit/verilog/synth.h"
#include "emit/verilog/verilog.h"
#include "verify/impl.h"

/* ---- what the bench's words mean ----------------------------------------------------------------------------------
 */
/* Bits of a hexadecimal number whose last digit is lowest, from bit `first` of all outputs on. */
typedef struct number {
    const char *digits;
    size_t size;
    int64_t first;
} number;

static number number_at(const char *digits, int64_t first)
{
    return (number){digits, strspn(digits, "0123456789abcdef"), first};
}

static bool holds(const number *n, const bli_verilog_field *f, int64_t e)
{
    int64_t bit = f->first + e * f->width - n->first;
    return bit >= 0 && bit + f->width <= 4 * (int64_t)n->size;
}

static int64_t code_in(const number *n, const bli_verilog_field *f, int64_t e)
{
    uint64_t code = 0;
    for (int i = 0; i < f->width; i++) {
        int64_t bit = f->first + e * f->width + i - n->first;
        char c = n->digits[(int64_t)n->size - 1 - bit / 4];
        int value = c >= 'a' ? c - 'a' + 10 : c - '0';
        code |= (uint64_t)(value >> bit % 4 & 1) << i;
    }
    if (f->is_signed && f->width < 64 && code >> (f->width - 1))
        code -= (uint64_t)1 << f->width;
    return (int64_t)code;
}

static bl_status first_code(bli_verify *v, const char *name, int64_t sample, const number *expected,
                            const number *found)
{
    const bli_program *p = v->program;
    bli_verilog_field *fields = bli_arena_array(v->arena, (size_t)p->num_outputs + 1, sizeof *fields);
    if (!fields)
        return BL_NO_MEMORY;
    bli_verilog_fields(p, false, fields);
    for (int i = 0; i < p->num_outputs; i++)
        for (int64_t e = 0; e < p->wires[fields[i].wire].count; e++) {
            if (!holds(expected, &fields[i], e) || !holds(found, &fields[i], e))
                continue;
            int64_t want = code_in(expected, &fields[i], e), have = code_in(found, &fields[i], e);
            if (want != have)
                return bli_verify_differs(v, name, sample, fields[i].wire, e, want, have);
        }
    return bli_fail(v->ctx, BL_MISMATCH, "%s: sample %" PRId64 ": expected %.200s, found %.200s", name, sample,
                    expected->digits, found->digits);
}

/* ---- projects -----------------------------------------------------------------------------------------------------
 */
typedef struct project {
    json_t *manifest; /* of the given folder, or NULL */
    const char *name;
    char folder[BLI_VERIFY_ROOM], tb[BLI_VERIFY_ROOM];
    char source[4][BLI_VERIFY_ROOM];
} project;

static const char *text_of(const project *p, const char *key, const char *otherwise)
{
    const char *value = p->manifest ? json_string_value(json_object_get(p->manifest, key)) : NULL;
    return value ? value : otherwise;
}

/* The given project's modules, and a bench for them made with the same options. */
static bl_status make_project(bli_verify *v, project *p)
{
    char rtl[BLI_VERIFY_ROOM];
    if (v->options.folder && !p->manifest)
        BLI_TRY(bli_manifest_read(v->ctx, v->options.folder, &p->manifest));
    p->name = text_of(p, "name", "net");
    bl_emit_options o = {.target = "verilog", .name = p->name, .strategy = text_of(p, "strategy", v->options.strategy)};
    o.part = text_of(p, "part", NULL);
    o.io = text_of(p, "io", NULL);
    o.reuse = p->manifest ? (int)json_integer_value(json_object_get(p->manifest, "reuse")) : 0;
    o.clock = p->manifest ? json_number_value(json_object_get(p->manifest, "clock_ns")) : 0;
    BLI_TRY(bli_verify_folder(v, "verilog", p->folder));
    BLI_TRY(bli_emit_with(v->ctx, v->program, p->folder, &o, &v->vectors));
    snprintf(p->tb, sizeof p->tb, "%.4000s/tb", p->folder);
    snprintf(p->source[0], sizeof p->source[0], "%.100s_tb.v", p->name);
    snprintf(rtl, sizeof rtl, "../rtl");
    if (v->options.folder) {
        char *full = realpath(v->options.folder, NULL);
        if (!full)
            return bli_fail(v->ctx, BL_IO, "%s: no such folder", v->options.folder);
        snprintf(rtl, sizeof rtl, "%.4000s/rtl", full);
        free(full);
    }
    static const char *const parts[] = {"core", "cells", "stream"};
    for (int i = 0; i < 3; i++)
        snprintf(p->source[i + 1], sizeof p->source[0], "%.3800s/%.100s_%s.v", rtl, p->name, parts[i]);
    return BL_OK;
}

/* ---- the first wire that is wrong ---------------------------------------------------------------------------------
 */
typedef struct wrong {
    int wire; /* -1: none yet */
    int64_t element, expected, found;
} wrong;

/* "PROBE wire first count width signed shift offset digits" (emit/verilog/probe.c). */
static void judge_line(const bli_verify *v, const char *line, wrong *w)
{
    int wire, width, is_signed, shift, end = 0;
    long long first, count, offset;
    if (sscanf(line, "PROBE %d %lld %lld %d %d %d %lld %n", &wire, &first, &count, &width, &is_signed, &shift, &offset,
               &end) != 7)
        return;
    const number n = number_at(line + end, 0);
    if (wire < 0 || wire >= v->program->num_wires || first < 0 || count < 0 || width < 1 || width > 64 || shift > 62 ||
        first + count > v->program->wires[wire].count || (int64_t)n.size * 4 < count * width)
        return;
    for (int64_t e = 0; e < count; e++) {
        const bli_verilog_field f = {.width = width, .is_signed = is_signed != 0};
        int64_t found = (int64_t)((uint64_t)code_in(&n, &f, e) << shift) + offset;
        bool sooner = w->wire < 0 || wire < w->wire || (wire == w->wire && first + e < w->element);
        if (found != v->wires[wire][first + e] && sooner)
            *w = (wrong){wire, first + e, v->wires[wire][first + e], found};
    }
}

/* BL_MISMATCH: the first wire in the program's order that is wrong is told.  Anything else: it could not be found. */
static bl_status look_inside(bli_verify *v, const char *name, const project *p, const bli_simulation *outer,
                             int64_t sample)
{
    char probe[BLI_VERIFY_ROOM], path[BLI_VERIFY_ROOM], top[128], argument[48], *said;
    wrong w = {.wire = -1};
    snprintf(probe, sizeof probe, "%.100s_probe_tb.v", p->name);
    snprintf(path, sizeof path, "%.3800s/%.200s", p->tb, probe);
    snprintf(top, sizeof top, "%.100s_probe", p->name);
    snprintf(argument, sizeof argument, "+SAMPLE=%" PRId64, sample);
    if (access(path, R_OK) != 0)
        return BL_NOT_FOUND;
    const char *sources[] = {probe, p->source[0], p->source[1], p->source[2], p->source[3], NULL};
    bli_simulation sim = *outer;
    sim.sources = sources;
    sim.top = top;
    sim.products = "probe";
    sim.argument = argument;
    BLI_TRY(bli_verify_interpret(v, (int)sample, 1));
    BLI_TRY(bli_simulate_said(v->ctx, &sim, &said));
    for (const char *line = strstr(said, "PROBE "); line; line = strstr(line + 1, "PROBE "))
        judge_line(v, line, &w);
    bli_free(v->ctx, said);
    return w.wire < 0 ? BL_OK : bli_verify_differs(v, name, sample, w.wire, w.element, w.expected, w.found);
}

/* "DIFF core sample expected found", or "DIFF bits sample first expected found" for a beat of an output; anything else
 * (a stream of words) is told as the bench told it. */
static bl_status explain(bli_verify *v, const char *name, const project *p, const bli_simulation *sim, bl_status s)
{
    const char *at = sim->difference;
    bool beat = strncmp(at, "DIFF bits ", 10) == 0;
    if (s != BL_MISMATCH || (!beat && strncmp(at, "DIFF core ", 10) != 0))
        return bli_within(v->ctx, s, "%s", name);
    char *rest;
    int64_t sample = strtoll(at + 10, &rest, 10), first = beat ? strtoll(rest, &rest, 10) : 0;
    const char *expected = rest + strspn(rest, " "), *found = strchr(expected, ' ');
    if (!found)
        return bli_within(v->ctx, s, "%s", name);
    bl_status inside = look_inside(v, name, p, sim, sample);
    if (inside == BL_MISMATCH || inside == BL_INTERRUPTED)
        return inside;
    const number want = number_at(expected, first), have = number_at(found + 1, first);
    return first_code(v, name, sample, &want, &have);
}

static int64_t size_of_core(const project *p)
{
    char path[BLI_VERIFY_ROOM];
    struct stat st;
    snprintf(path, sizeof path, "%.3800s/rtl/%.100s_core.v", p->folder, p->name);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* A simulator's time goes with the netlist's size times the samples, and a stream of many words changes the core's
 * inputs word by word.  A large netlist gets fewer samples, and none through the stream. */
enum { STREAM_LARGE = 4 << 20, SAMPLE_BYTES = 128 << 20, FEWEST = 4 };

static bl_status limit_samples(bli_verify *v, project *p, int64_t size)
{
    const int all = v->vectors.samples;
    const int64_t most = size > 0 ? SAMPLE_BYTES / size : all;
    if (size <= STREAM_LARGE || most >= all)
        return BL_OK;
    v->vectors.samples = most < FEWEST ? FEWEST < all ? FEWEST : all : (int)most;
    const bl_status s = make_project(v, p);
    v->simulated = v->vectors.samples;
    v->vectors.samples = all;
    return s;
}

static bl_status run(bli_verify *v, const char *name, project *p)
{
    BLI_TRY(make_project(v, p));
    const char *sources[] = {p->source[0], p->source[1], p->source[2], p->source[3], NULL};
    bli_simulation sim = {.folder = p->tb, .sources = sources, .top = p->name, .products = "sim"};
    const int64_t size = size_of_core(p);
    BLI_TRY(limit_samples(v, p, size));
    sim.core_only = size > STREAM_LARGE;
    sim.icarus = v->options.simulator && strcmp(v->options.simulator, "icarus") == 0;
    sim.seconds = v->options.seconds;
    bl_status s = bli_simulate(v->ctx, &sim);
    return explain(v, name, p, &sim, s);
}

bl_status bli_verify_verilog(bli_verify *v, const char *name)
{
    project *p = bli_arena_alloc(v->arena, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    bl_status s = run(v, name, p);
    json_decref(p->manifest);
    return s;
}
