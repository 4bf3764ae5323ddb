/* proof_outside.c: the ways that leave the library: emitted C under gcc, HLS C++ under g++ and clang++, Verilog under
 * Icarus and Verilator.
 *
 * Compilers take their time, so many networks share one call: all C files are one library, all HLS projects with their
 * own test benches one program, all Verilog test benches one simulation (each ends its own clock instead of the
 * simulation, says its name, and sends few samples through the stream beside the core).  Where a batch cannot be
 * compiled or ends before its time, its halves go by themselves, and theirs, down to the network that is the reason.
 */
#include "support/test.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emit/body.h"
#include "support/folder.h"
#include "support/proof.h"

enum { ROOM = 700, FOLDER = 512 };

/* ---- a batch of projects ----------------------------------------------------------------------------------------- */
typedef struct batch {
    const proof_way *way;
    proof_net *nets;
    int count;
    bool *done; /* is emitted as folder/net<k> */
    char folder[FOLDER];
} batch;
/* The number of networks whose bits differ; -1: a command failed. */
typedef int batch_fn(const batch *b);

static bool try_command(const char *folder, const char *command)
{
    char line[8 * ROOM];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    return system(line) == 0;
}

static void run_command(const char *folder, const char *command)
{
    if (!try_command(folder, command))
        fail_msg("failed in %s: %s", folder, command);
}

static const char *batch_folder(void)
{
    static int number;
    char name[32];
    snprintf(name, sizeof name, "proof%d", number++);
    const char *folder = temp_path(name);
    assert_int_equal(mkdir(folder, 0777), 0);
    return folder;
}

/* Replaces in the first file below folder/project whose name ends so. */
static void edit(const char *folder, int k, const proof_fault *f)
{
    char path[ROOM], command[2 * ROOM];
    size_t size;
    snprintf(command, sizeof command, "find %s/net%d -path '*%s' | sort | head -1 | tr -d '\n' > %s/found", folder, k,
             f->file, folder);
    run_command(folder, command);
    snprintf(path, sizeof path, "%s/found", folder);
    char *name = get_file(path, &size);
    char *text = size > 0 ? get_file(name, &size) : NULL;
    char *at = text ? strstr(text, f->from) : NULL;
    if (at) {
        FILE *to = fopen(name, "w");
        assert_non_null(to);
        fprintf(to, "%.*s%s%s", (int)(at - text), text, f->to, at + strlen(f->from));
        fclose(to);
    }
    free(name);
    free(text);
}

/* Emits all that this way does not refuse by name; false: none. */
static bool emit_all(bl_context *ctx, const batch *b, const proof_fault *fault)
{
    bool some = false;
    const proof_way *way = b->way;
    for (int k = 0; k < b->count; k++) {
        char name[32], path[ROOM];
        proof_net *net = &b->nets[k];
        snprintf(name, sizeof name, "net%d", k);
        snprintf(path, sizeof path, "%s/%s", b->folder, name);
        const bl_emit_options o = {.target = way->backend,
                                   .name = name,
                                   .strategy = way->strategy,
                                   .io = way->io,
                                   .reuse = way->reuse,
                                   .pack = strcmp(way->backend, "c") == 0 && k % 2 == 1,
                                   .clock = strcmp(way->backend, "verilog") == 0 ? 40 : 0};
        const bl_status s = bli_emit_with(ctx, net->program, path, &o, &net->vectors);
        b->done[k] = s == BL_OK;
        some = some || s == BL_OK;
        if (s != BL_OK && s != BL_UNSUPPORTED && s != BL_LIMIT && s != BL_BAD_VALUE)
            fail_msg("%s: seed %llu: %s", way->name, (unsigned long long)net->seed, bl_context_message(ctx));
        net->refused = s != BL_OK;
        net->broken = false;
        if (s != BL_OK)
            print_message("%s: seed %llu is refused: %s\n", way->name, (unsigned long long)net->seed,
                          bl_context_message(ctx));
        if (s == BL_OK && fault && (fault->seed == 0 || fault->seed == net->seed))
            edit(b->folder, k, fault);
    }
    return some;
}

static void remove_folder(const char *folder)
{
    char command[ROOM];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    run_command("/", command);
}

/* "net12: ..." lines of the log: those are of networks that differ. */
static int judge(const batch *b, const char *passed)
{
    int different = 0;
    size_t size;
    char log[ROOM];
    snprintf(log, sizeof log, "%s/log", b->folder);
    char *text = get_file(log, &size);
    assert_non_null(text);
    for (int k = 0; k < b->count; k++) {
        char word[48];
        snprintf(word, sizeof word, passed, k);
        if (!b->done[k] || strstr(text, word))
            continue;
        snprintf(word, sizeof word, "net%d: ", k);
        const char *line = strstr(text, word);
        print_error("%s: seed %llu: %.*s\n", b->way->name, (unsigned long long)b->nets[k].seed,
                    line ? (int)strcspn(line, "\n") : 10, line ? line : "no verdict");
        different++;
    }
    free(text);
    return different;
}

/* Refused networks of a batch that fails are emitted, and refused, once more. */
static int go(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault,
              batch_fn *run)
{
    batch b = {.way = way, .nets = nets, .count = count};
    snprintf(b.folder, sizeof b.folder, "%s", batch_folder());
    b.done = calloc((size_t)count + 1, sizeof *b.done);
    int different = emit_all(ctx, &b, fault) ? run(&b) : 0;
    remove_folder(b.folder);
    free(b.done);
    if (different < 0 && count > 1) {
        const int half = count / 2;
        different = go(ctx, way, nets, half, fault, run);
        different += go(ctx, way, nets + half, count - half, fault, run);
    } else if (different < 0) {
        print_error("%s: seed %llu: a command failed\n", way->name, (unsigned long long)nets[0].seed);
        nets[0].broken = true;
        different = 1;
    }
    return different;
}

/* ---- units of C++ ------------------------------------------------------------------------------------------------ */
#define ALONE_FLAGS      "-std=c++14 -O0 -w"
#define UNIT_FLAGS       "-std=c++14 -O0 -w -fno-exceptions"
#define VERILATED_FOLDER "$(verilator --getenv VERILATOR_ROOT)/include"
#define VERILATED_FLAGS                                                                                                \
    "-std=c++17 -O0 -w -DVM_COVERAGE=0 -DVM_SC=0 -DVM_TRACE=0 -DVM_TRACE_FST=0 -DVM_TRACE_VCD=0 "                      \
    "-I" VERILATED_FOLDER " -I" VERILATED_FOLDER "/vltstd"

static bool has_clang(void)
{
    static int found = -1;
    if (found < 0)
        found = system("command -v clang++ > /dev/null") == 0;
    return found;
}

/* Of units that hold a batch. */
static const char *unit_compiler(void)
{
    return has_clang() ? "clang++" : "g++";
}

/* A header of the temporary folder, which `-include` finds as this compiler has read it. */
static void precompile(const char *compiler, const char *name, const char *text, const char *flags)
{
    char path[ROOM], command[4 * ROOM];
    snprintf(path, sizeof path, "%s/%s", temp_folder(), name);
    put_file(path, text, strlen(text));
    snprintf(command, sizeof command, "%s %s -x c++-header %s -o %s.%s", compiler, flags, name, name,
             strcmp(compiler, "g++") == 0 ? "gch" : "pch");
    run_command(temp_folder(), command);
}

/* ---- C ------------------------------------------------------------------------------------------------------------
 */
typedef void call_fn(const int64_t *x, int64_t *y);

static const char *stored(const bl_program *p, int wire)
{
    return bli_type_stored(bli_reach_wire(&p->wires[wire]));
}

/* call<k>: codes widened to int64_t. */
static void put_call(FILE *f, const bl_program *p, int k)
{
    const int in = p->inputs[0].wire, out = p->outputs[0].wire;
    const long long nx = p->wires[in].count, ny = p->wires[out].count;
    fprintf(f,
            "#include \"net%d/net%d.h\"\nvoid call%d(const int64_t *x, int64_t *y)\n{\n    static %s a[%lld];\n"
            "    static %s b[%lld];\n    for (int i = 0; i < %lld; i++) a[i] = (%s)x[i];\n    net%d_run(a, b);\n"
            "    for (int i = 0; i < %lld; i++) y[i] = b[i];\n}\n",
            k, k, k, stored(p, in), nx + 1, stored(p, out), ny + 1, nx, stored(p, in), k, ny);
}

/* Whether one network gives its codes. */
static bool call_one(const proof_way *way, const proof_net *n, call_fn *call)
{
    const bl_program *p = n->program;
    const int64_t nx = p->wires[p->inputs[0].wire].count, ny = p->wires[p->outputs[0].wire].count;
    int64_t *y = calloc((size_t)ny + 1, sizeof *y);
    bool same = true;
    for (int r = 0; r < PROOF_ROWS && same; r++) {
        const int64_t *want = n->vectors.outputs[0] + r * ny;
        call(n->vectors.inputs[0] + r * nx, y);
        for (int64_t e = 0; e < ny && same; e++) {
            same = y[e] == want[e];
            if (!same)
                proof_differs(way, n, r, e, (double)want[e], (double)y[e]);
        }
    }
    free(y);
    return same;
}

static int run_c(const batch *b)
{
    char path[ROOM];
    int different = 0;
    snprintf(path, sizeof path, "%s/call.c", b->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int k = 0; k < b->count; k++)
        if (b->done[k])
            put_call(f, b->nets[k].program, k);
    fclose(f);
    if (!try_command(b->folder, "gcc -std=c99 -O0 -w -fPIC -shared call.c net*/net*.c -o all.so"))
        return -1;
    snprintf(path, sizeof path, "%s/all.so", b->folder);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    for (int k = 0; k < b->count; k++) {
        call_fn *call;
        snprintf(path, sizeof path, "call%d", k);
        if (!b->done[k])
            continue;
        void *found = dlsym(library, path);
        assert_non_null(found);
        memcpy(&call, &found, sizeof call);
        different += !call_one(b->way, &b->nets[k], call);
    }
    dlclose(library);
    return different;
}

int proof_c(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    return go(ctx, way, nets, count, fault, run_c);
}

/* ---- HLS C++ ------------------------------------------------------------------------------------------------------
 */
static const char *source(void)
{
    return getenv("BITLATHE_SOURCE") ? getenv("BITLATHE_SOURCE") : "../..";
}

/* The folder of ap_int.h in build/venv; NULL where it is not. */
static const char *types(void)
{
    static char folder[ROOM];
    char command[2 * ROOM];
    if (folder[0])
        return folder;
    snprintf(command, sizeof command, "ls -d %s/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado/ap_types",
             source());
    FILE *f = popen(command, "r");
    const bool found = f && fgets(folder, sizeof folder, f);
    folder[strcspn(folder, "\n")] = '\0';
    return f && pclose(f) == 0 && found ? folder : NULL;
}

/* Headers that each project of its own has, and those of many in one unit. */
static void precompile_types(void)
{
    static const char alone[] = "#include <cstdio>\n#include <fstream>\n#include <iostream>\n#include <sstream>\n"
                                "#include <string>\n#include \"ap_int.h\"\n#include \"hls_stream.h\"\n";
    static bool made;
    char path[ROOM], flags[2 * ROOM];
    size_t size;
    if (made)
        return;
    made = true;
    snprintf(flags, sizeof flags, ALONE_FLAGS " -I%s", types());
    precompile("g++", "alone.h", alone, flags);
    if (!has_clang())
        return;
    snprintf(path, sizeof path, "%s/tests/support/proof_stream.h", source());
    char *text = get_file(path, &size);
    assert_non_null(text);
    snprintf(flags, sizeof flags, UNIT_FLAGS " -I%s", types());
    precompile("clang++", "unit.h", text, flags);
    free(text);
}

/* One project and its test bench as bench<k>. */
static void put_project(FILE *f, int k)
{
    fprintf(f,
            "#include \"net%d/firmware/net%d.cpp\"\n#define main bench%d\n#include \"net%d/net%d_test.cpp\"\n"
            "#undef main\n",
            k, k, k, k, k);
}

/* Each in a namespace, so that what the types' templates become is compiled once for all. */
static void put_unit(FILE *f, int first, int count, const bool *done)
{
    fprintf(f, "#include \"common.h\"\n");
    for (int k = first; k < count; k++) {
        if (!done[k])
            continue;
        fprintf(f, "#undef DEFINES_H_\n#undef PARAMETERS_H_\nnamespace unit%d {\n", k);
        put_project(f, k);
        fprintf(f, "}\nusing unit%d::bench%d;\n", k, k);
    }
}

static void put_main(FILE *f, int count, const bool *done)
{
    fprintf(f, "int main()\n{\n    char at[64], *args[] = {at, at, 0};\n    int bad = 0;\n");
    for (int k = 0; k < count; k++)
        if (done[k])
            fprintf(f,
                    "    std::snprintf(at, sizeof at, \"net%d/tb_data\");\n    bad = bench%d(2, args);\n"
                    "    std::printf(\"net%d: %%s\\n\", bad ? \"differs\" : \"equal\");\n",
                    k, k, k);
    fprintf(f, "}\n");
}

/* The first `alone` as files of their own, the others together in all.cpp. */
static void put_sources(const char *folder, int alone, int count, const bool *done)
{
    char path[ROOM];
    snprintf(path, sizeof path, "%s/all.cpp", folder);
    FILE *all = fopen(path, "w");
    assert_non_null(all);
    for (int k = 0; k < alone; k++) {
        if (!done[k])
            continue;
        snprintf(path, sizeof path, "%s/net%d.cpp", folder, k);
        FILE *one = fopen(path, "w");
        assert_non_null(one);
        put_project(one, k);
        fclose(one);
        fprintf(all, "int bench%d(int, char **);\n", k);
    }
    put_unit(all, alone, count, done);
    put_main(all, count, done);
    fclose(all);
}

/* g++ takes the first of a batch, each by itself as build_lib.sh does, and clang++ the others, in one unit: it needs a
 * fifth of the time (where units grow, g++ needs more than in proportion).  Without clang++ all go through g++. */
static int run_hls(const batch *b)
{
    enum { ALONE = 2 };
    /* Headers that are the same in every project, outside of the namespaces. */
    static const char common[] =
        "mkdir common; for f in net*/firmware/bitlathe_*.h; do c=common/${f##*/}; [ -f $c ] || cp $f $c; cmp $f $c "
        "|| exit 1; done; ls common/*.h | sed 's@.*@#include \"&\"@' > common.h; ";
    char command[6 * ROOM], unit[2 * ROOM];
    precompile_types();
    put_sources(b->folder, has_clang() ? ALONE : b->count, b->count, b->done);
    if (has_clang())
        snprintf(unit, sizeof unit, "clang++ " UNIT_FLAGS " -include %s/unit.h", temp_folder());
    else
        snprintf(unit, sizeof unit, "g++ " ALONE_FLAGS " -include %s/alone.h", temp_folder());
    snprintf(command, sizeof command,
             "%sls net*.cpp 2> /dev/null | xargs -r -n 1 -P 2 g++ " ALONE_FLAGS " -I%s -include %s/alone.h -c && "
             "%s -I%s -c all.cpp && g++ *.o -o all && ./all > log",
             common, types(), temp_folder(), unit, types());
    return try_command(b->folder, command) ? judge(b, "net%d: equal\n") : -1;
}

int proof_hls(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    return types() ? go(ctx, way, nets, count, fault, run_hls) : -1;
}

/* ---- Verilog ------------------------------------------------------------------------------------------------------
 */
/* A bench beside others: its own files, its own name, its own end, and a clock from outside that stops there, for what
 * is behind the stream already where its samples have passed; grep sees that each edit found its line. */
#define EDITS                                                                                                          \
    "for d in net*; do [ -d $d ] || continue; sed -i -e \"s@\\\"\\([xy]\\).hex\\\"@\\\"$d/tb/\\1.hex\\\"@\" "          \
    "-e \"s@^module ${d}_tb;@module ${d}_tb (input wire tick, output reg halted);@\" "                                 \
    "-e \"s@reg clk = 1'b0, @reg @\" -e \"s@reg clk = 1'b0;@@\" "                                                      \
    "-e \"s@always #5 clk = !clk;@initial halted = 1'b0; wire clk = halted ? 1'b0 : tick;@\" "                         \
    "-e \"s@(.WORD(8)) stream (.clk(clk)@(.WORD(8)) stream (.clk(done[PORTS] ? 1'b0 : clk)@\" "                        \
    "-e \"s@\\\\\\$finish@halted = 1'b1@\" -e \"s@display(\\\"@display(\\\"$d: @\" "                                   \
    "-e \"s@STREAMED = [1-9][0-9]*;@STREAMED = 2;@\" $d/tb/${d}_tb.v; for e in $d/tb/x.hex $d/tb/y.hex "               \
    "'output reg halted' 'halted ? 1.b0 : tick' 'halted = 1.b1' 'STREAMED = [02];' \"$d: PASS\"; do "                  \
    "grep -q -e \"$e\" $d/tb/${d}_tb.v || { echo \"$d: the bench has no $e\"; exit 1; }; done; done && "
#define FILES "all.v $(ls net*/tb/net*_tb.v | grep -v probe) net*/rtl/*.v"

/* All benches and their clock, which a Verilator model gets from its main(). */
static void put_top(const batch *b)
{
    char path[ROOM];
    snprintf(path, sizeof path, "%s/all.v", b->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "`timescale 1ns / 1ps\n`ifdef VERILATOR\nmodule all (input wire tick, output wire halted);\n`else\n"
            "module all;\n    reg tick = 1'b0;\n    wire halted;\n    initial begin\n        #5;\n"
            "        while (halted !== 1'b1) #5 tick = !tick;\n    end\n`endif\n"
            "    wire [%d:0] ends;\n    assign halted = &ends;\n",
            b->count - 1);
    for (int k = 0; k < b->count; k++)
        if (b->done[k])
            fprintf(f, "    net%d_tb net%d (.tick(tick), .halted(ends[%d]));\n", k, k, k);
        else
            fprintf(f, "    assign ends[%d] = 1'b1;\n", k);
    fprintf(f, "endmodule\n");
    fclose(f);
}

static int run_icarus(const batch *b)
{
    static const char script[] = EDITS "{ iverilog -g2001 $DEFINED -s all -o all.vvp " FILES
                                       " 2> build.log || { cat build.log; exit 1; }; } && vvp -n all.vvp > log";
    put_top(b);
    setenv("DEFINED", b->way->defined ? b->way->defined : "", 1);
    return try_command(b->folder, script) ? judge(b, "net%d: PASS ") : -1;
}

/* Verilator's library, and what a model begins with. */
static void precompile_verilated(void)
{
    static const char head[] = "#include \"verilated.h\"\ntemplate <class M> int simulate()\n{\n    M all;\n"
                               "    for (long n = 0; n == 0 || !all.halted; n++) {\n        all.tick = n & 1;\n"
                               "        all.eval();\n    }\n    return 0;\n}\n";
    static bool made;
    char command[2 * ROOM];
    if (made)
        return;
    made = true;
    precompile(unit_compiler(), "verilated_unit.h", head, VERILATED_FLAGS);
    snprintf(command, sizeof command,
             "%s " VERILATED_FLAGS " -c " VERILATED_FOLDER "/verilated.cpp " VERILATED_FOLDER "/verilated_threads.cpp",
             unit_compiler());
    run_command(temp_folder(), command);
}

/* One model for all, in one unit. */
static int run_verilator(const batch *b)
{
    char command[6 * ROOM];
    precompile_verilated();
    put_top(b);
    snprintf(command, sizeof command,
             EDITS "{ verilator --cc --no-timing -Wno-fatal -Wno-UNOPTFLAT --top-module all " FILES
                   " > build.log 2>&1 || { cat build.log; exit 1; }; } && { ls obj_dir/*.cpp | "
                   "sed 's@.*@#include \"&\"@'; echo 'int main() { return simulate<Vall>(); }'; } > all.cpp && "
                   "%s " VERILATED_FLAGS " -include %s/verilated_unit.h -Iobj_dir -c all.cpp && "
                   "g++ all.o %s/verilated*.o -pthread -latomic -o all && ./all > log",
             unit_compiler(), temp_folder(), temp_folder());
    return try_command(b->folder, command) ? judge(b, "net%d: PASS ") : -1;
}

int proof_verilog(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    const bool there = system("iverilog -V > /dev/null 2>&1") == 0;
    return there ? go(ctx, way, nets, count, fault, run_icarus) : -1;
}

int proof_verilator(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    const bool there = system("verilator --version > /dev/null 2>&1") == 0;
    return there ? go(ctx, way, nets, count, fault, run_verilator) : -1;
}
