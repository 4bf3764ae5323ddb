/* synth_ice40.c: on from Yosys' netlist of NAME_stream to a bitstream for an iCE40 HX8K, and back: the netlist read out
 * of the bitstream is simulated on the project's vectors, with both sides of the stream stopping at random. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "emit/verilog/synth.h"

enum { PATH_ROOM = 4096, TEXT = 256 };

static const char device[] = "hx8k-ct256";
static const char package_nextpnr[] = "nextpnr-ice40", package_icestorm[] = "fpga-icestorm";

/* The pins of NAME_stream with words of eight bits: clk on a global buffer. */
static const char pins[] = "set_io clk J3\nset_io rst C6\n"
                           "set_io s_axis_tdata[0] A1\nset_io s_axis_tdata[1] A2\nset_io s_axis_tdata[2] A5\n"
                           "set_io s_axis_tdata[3] A6\nset_io s_axis_tdata[4] A7\nset_io s_axis_tdata[5] A9\n"
                           "set_io s_axis_tdata[6] A10\nset_io s_axis_tdata[7] A11\n"
                           "set_io s_axis_tvalid C1\nset_io s_axis_tready C2\n"
                           "set_io m_axis_tdata[0] B1\nset_io m_axis_tdata[1] B2\nset_io m_axis_tdata[2] B3\n"
                           "set_io m_axis_tdata[3] B4\nset_io m_axis_tdata[4] B5\nset_io m_axis_tdata[5] B6\n"
                           "set_io m_axis_tdata[6] B7\nset_io m_axis_tdata[7] B8\n"
                           "set_io m_axis_tvalid C3\nset_io m_axis_tlast C4\nset_io m_axis_tready C5\n";

typedef char text[TEXT];

static bl_status write_file(bli_synth *s, const char *relative, const char *data, size_t size)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/%s", s->folder, relative) >= PATH_ROOM)
        return bli_fail(s->ctx, BL_LIMIT, "%.60s...: a path longer than %d", s->folder, PATH_ROOM);
    return bli_file_write(s->ctx, path, data, size);
}

/* The last number behind words in what a tool said; < 0: not there. */
static double number_behind(const char *said, const char *words)
{
    double value = -1;
    for (const char *at = strstr(said, words); at; at = strstr(at + 1, words)) {
        const char *colon = strchr(at, ':');
        value = colon ? strtod(colon + 1, NULL) : value;
    }
    return value;
}

/* ---- place and route ----------------------------------------------------------------------------------------------
 */
static bl_status read_fit(bli_synth *s, const char *said)
{
    const char *at = strstr(said, "ICESTORM_LC:"), *slash = at ? strchr(at, '/') : NULL;
    if (!slash)
        return bli_fail(s->ctx, BL_BAD_VALUE, "nextpnr-ice40 did not say what the design uses");
    s->report->logic_cells = strtoll(at + strlen("ICESTORM_LC:"), NULL, 10);
    s->report->room = strtoll(slash + 1, NULL, 10);
    return BL_OK;
}

/* Refused before the placer would: a design that does not fit. */
static bl_status check_fit(bli_synth *s)
{
    enum { LOGIC_CELLS = 7680 };
    int64_t most = s->report->total.lut > s->report->total.ff ? s->report->total.lut : s->report->total.ff;
    if (most > LOGIC_CELLS)
        return bli_fail(s->ctx, BL_LIMIT, "the design needs %lld logic cells or more, %s has %d", (long long)most,
                        device, LOGIC_CELLS);
    return BL_OK;
}

static bl_status place_once(bli_synth *s, int seed, double *mhz)
{
    text json, asc, number;
    char *said;
    snprintf(json, sizeof json, "build/%s_stream_ice40.json", s->name);
    snprintf(asc, sizeof asc, "build/%s_%d.asc", s->name, seed);
    snprintf(number, sizeof number, "%d", seed);
    const char *argv[] = {"nextpnr-ice40",       "--hx8k", "--package", "ct256",  "--json", json,     "--pcf",
                          "build/pins.pcf",      "--asc",  asc,         "--freq", "150",    "--seed", number,
                          "--timing-allow-fail", NULL};
    BLI_TRY(bli_synth_tool(s, package_nextpnr, "place and route", argv, &said));
    *mhz = number_behind(said, "Max frequency for clock");
    bl_status status = read_fit(s, said);
    bli_free(s->ctx, said);
    return status;
}

static bl_status placer_version(bli_synth *s)
{
    const char *argv[] = {"nextpnr-ice40", "--version", NULL};
    char *said;
    BLI_TRY(bli_synth_tool(s, package_nextpnr, "place and route", argv, &said));
    said[strcspn(said, "\n")] = '\0';
    s->report->placer = bli_arena_strdup(s->arena, said);
    bli_free(s->ctx, said);
    return s->report->placer ? BL_OK : BL_NO_MEMORY;
}

static bl_status place_best(bli_synth *s, int *best)
{
    *best = 1;
    s->report->seed_mhz = bli_arena_array(s->arena, (size_t)s->options.seeds, sizeof *s->report->seed_mhz);
    if (!s->report->seed_mhz)
        return BL_NO_MEMORY;
    for (int seed = 1; seed <= s->options.seeds; seed++) {
        double mhz;
        BLI_TRY(place_once(s, seed, &mhz));
        s->report->seed_mhz[s->report->num_seeds++] = mhz;
        if (seed == 1 || mhz > s->report->mhz) {
            s->report->mhz = mhz;
            *best = seed;
        }
    }
    return BL_OK;
}

static bl_status pack(bli_synth *s, int seed)
{
    text asc, bin;
    char path[PATH_ROOM], *said;
    snprintf(asc, sizeof asc, "build/%s_%d.asc", s->name, seed);
    snprintf(bin, sizeof bin, "build/%s.bin", s->name);
    const char *icetime[] = {"icetime", "-d", "hx8k", "-t", asc, NULL};
    const char *icepack[] = {"icepack", asc, bin, NULL};
    BLI_TRY(bli_synth_tool(s, package_icestorm, "timing", icetime, &said));
    const char *at = strstr(said, "Total path delay:"), *mhz = at ? strchr(at, '(') : NULL;
    s->report->mhz_timing = mhz ? strtod(mhz + 1, NULL) : 0;
    bli_free(s->ctx, said);
    BLI_TRY(bli_synth_tool(s, package_icestorm, "bitstream", icepack, NULL));
    snprintf(path, sizeof path, "%.3800s/%s", s->folder, bin);
    s->report->bitstream = bli_arena_strdup(s->arena, path);
    return s->report->bitstream ? BL_OK : BL_NO_MEMORY;
}

/* ---- back out of the bitstream ------------------------------------------------------------------------------------
 */
static bool is_port(const char *word, size_t size)
{
    static const char *const ports[] = {"clk",           "rst",           "s_axis_tdata",
                                        "s_axis_tvalid", "s_axis_tready", "m_axis_tdata",
                                        "m_axis_tvalid", "m_axis_tlast",  "m_axis_tready"};
    if (size > 0 && word[0] == '\\') {
        word++;
        size--;
    }
    const char *bracket = memchr(word, '[', size);
    size_t length = bracket ? (size_t)(bracket - word) : size;
    for (size_t i = 0; i < BLI_COUNT(ports); i++)
        if (strlen(ports[i]) == length && strncmp(ports[i], word, length) == 0)
            return true;
    return false;
}

/* One declared name of a list "a, \b[0]  = 0, c;", without what stands around it. */
typedef struct word {
    const char *at;
    size_t size, name; /* with its initial value; the name alone */
} word;

static bool next_word(const char **at, const char *end, word *w)
{
    while (*at < end && strchr(" ,;()", **at))
        ++*at;
    w->at = *at;
    while (*at < end && !strchr(",;)", **at))
        ++*at;
    w->size = (size_t)(*at - w->at);
    w->name = strcspn(w->at, " ,;=)");
    w->name = w->name < w->size ? w->name : w->size;
    return w->size > 0;
}

static bool is_list(const char *line, size_t size, const char *begin)
{
    bool assigned = begin[0] == 'w' && memchr(line, '=', size) != NULL;
    return strncmp(line, begin, strlen(begin)) == 0 && !assigned;
}

/* icebox_vlog declares ports again among its wires and registers, which no simulator takes. */
static bl_status clean_list(const char *line, size_t size, const char *begin, bli_buf *out)
{
    const char *at = line + strlen(begin), *end = line + size;
    bool any = false;
    word w;
    while (next_word(&at, end, &w)) {
        if (is_port(w.at, w.name))
            continue;
        BLI_TRY(bli_buf_printf(out, "%s%.*s", any ? ", " : begin, (int)w.size, w.at));
        any = true;
    }
    return any ? bli_buf_printf(out, ";\n") : BL_OK;
}

static bool is_register(const char *said, const char *name, size_t name_size)
{
    for (; *said; said += strcspn(said, "\n") + 1) {
        const char *at = said + strlen("reg "), *end = said + strcspn(said, "\n");
        word w;
        if (is_list(said, (size_t)(end - said), "reg "))
            while (next_word(&at, end, &w))
                if (w.name == name_size && strncmp(w.at, name, name_size) == 0)
                    return true;
        if (*end == '\0')
            break;
    }
    return false;
}

/* "module m (input clk, output q);": q is "output reg q" where a list of registers has it. */
static bl_status clean_header(const char *said, const char *line, size_t size, bli_buf *out)
{
    const char *at = memchr(line, '(', size), *end = line + size;
    if (!at)
        return bli_buf_printf(out, "%.*s\n", (int)size, line);
    BLI_TRY(bli_buf_printf(out, "%.*s", (int)(at - line), line));
    word w;
    for (bool any = false; next_word(&at, end, &w); any = true) {
        bool output = strncmp(w.at, "output ", 7) == 0;
        const char *name = w.at + (output ? 7 : 0);
        bool reg = output && is_register(said, name, strcspn(name, " ,;)"));
        BLI_TRY(bli_buf_printf(out, "%s%s%.*s ", any ? ", " : "(",
                               reg      ? "output reg "
                               : output ? "output "
                                        : "",
                               (int)(w.size - (size_t)(name - w.at)), name));
    }
    return bli_buf_printf(out, ");\n");
}

static bl_status clean_netlist(const char *said, bli_buf *out)
{
    for (const char *line = said; *line;) {
        size_t size = strcspn(line, "\n");
        if (is_list(line, size, "module "))
            BLI_TRY(clean_header(said, line, size, out));
        else if (is_list(line, size, "wire ") || is_list(line, size, "reg "))
            BLI_TRY(clean_list(line, size, line[0] == 'w' ? "wire " : "reg ", out));
        else
            BLI_TRY(bli_buf_printf(out, "%.*s\n", (int)size, line));
        line += size + (line[size] == '\n');
    }
    return BL_OK;
}

static bl_status extract(bli_synth *s)
{
    text top, bin, asc, path;
    char *said;
    bli_buf out;
    snprintf(top, sizeof top, "%s_stream", s->name);
    snprintf(bin, sizeof bin, "build/%s.bin", s->name);
    snprintf(asc, sizeof asc, "build/%s_back.asc", s->name);
    snprintf(path, sizeof path, "build/%s_back.v", s->name);
    const char *unpack[] = {"iceunpack", bin, asc, NULL};
    const char *vlog[] = {"icebox_vlog", "-s", "-n", top, "-p", "build/pins.pcf", "-d", "ct256", asc, NULL};
    BLI_TRY(bli_synth_tool(s, package_icestorm, "read back", unpack, NULL));
    BLI_TRY(bli_synth_tool(s, package_icestorm, "read back", vlog, &said));
    bli_buf_init(&out, s->ctx, (size_t)1 << 30);
    bl_status status = clean_netlist(said, &out);
    if (status == BL_OK)
        status = write_file(s, path, out.data, out.size);
    bli_buf_free(&out);
    bli_free(s->ctx, said);
    return status;
}

bl_status bli_synth_place(bli_synth *s)
{
    int seed;
    BLI_TRY(check_fit(s));
    BLI_TRY(placer_version(s));
    BLI_TRY(write_file(s, "build/pins.pcf", pins, strlen(pins)));
    BLI_TRY(place_best(s, &seed));
    s->report->device = device;
    BLI_TRY(pack(s, seed));
    BLI_TRY(extract(s));
    BLI_TRY(bli_synth_simulate(s));
    s->report->placed = true;
    return BL_OK;
}
