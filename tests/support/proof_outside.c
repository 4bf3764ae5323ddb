/* proof_outside.c: the ways that leave the library: emitted C under gcc, HLS C++ under g++ and clang++, Verilog under
 * Icarus and Verilator.
 *
 * Compilers take their time, so many networks share one call: all C files are one library, all HLS projects with their
 * own test benches one program, all Verilog test benches one simulation (each ends its own clock instead of the
 * simulation, says its name, and sends few samples through the stream beside the core).
 */
#include "support/test.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emit/body.h"
#include "support/folder.h"
#include "support/proof.h"

enum { ROOM = 700 };

/* ---- a batch of projects ----------------------------------------------------------------------------------------- */
static void run_command(const char *folder, const char *command)
{
    char line[8 * ROOM];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    if (system(line) != 0)
        fail_msg("failed: %s", line);
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

/* Emits all as folder/net<k>; false: this way refuses one by name, which is then left out (done[k] false). */
static void emit_all(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const char *folder,
                     const proof_fault *fault, bool *done)
{
    for (int k = 0; k < count; k++) {
        char name[32], path[ROOM];
        snprintf(name, sizeof name, "net%d", k);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        const bl_emit_options o = {.target = way->backend,
                                   .name = name,
                                   .strategy = way->strategy,
                                   .io = way->io,
                                   .reuse = way->reuse,
                                   .clock = strcmp(way->backend, "verilog") == 0 ? 40 : 0};
        const bl_status s = bli_emit_with(ctx, nets[k].program, path, &o, &nets[k].vectors);
        done[k] = s == BL_OK;
        if (s != BL_OK && s != BL_UNSUPPORTED && s != BL_LIMIT && s != BL_BAD_VALUE)
            fail_msg("%s: seed %llu: %s", way->name, (unsigned long long)nets[k].seed, bl_context_message(ctx));
        nets[k].refused = s != BL_OK;
        if (s != BL_OK)
            print_message("%s: seed %llu is refused: %s\n", way->name, (unsigned long long)nets[k].seed,
                          bl_context_message(ctx));
        if (s == BL_OK && fault)
            edit(folder, k, fault);
    }
}

static void remove_folder(const char *folder)
{
    char command[ROOM];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    run_command("/", command);
}

/* "net12: ..." lines of a log: those are of networks that differ. */
static int judge(const proof_way *way, const proof_net *nets, int count, const bool *done, const char *log,
                 const char *passed)
{
    int different = 0;
    size_t size;
    char *text = get_file(log, &size);
    assert_non_null(text);
    for (int k = 0; k < count; k++) {
        char word[48];
        snprintf(word, sizeof word, passed, k);
        if (!done[k] || strstr(text, word))
            continue;
        snprintf(word, sizeof word, "net%d: ", k);
        const char *line = strstr(text, word);
        print_error("%s: seed %llu: %.*s\n", way->name, (unsigned long long)nets[k].seed,
                    line ? (int)strcspn(line, "\n") : 10, line ? line : "no verdict");
        different++;
    }
    free(text);
    return different;
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

static int call_all(const proof_way *way, proof_net *nets, int count, const bool *done, void *library)
{
    int different = 0;
    for (int k = 0; k < count; k++) {
        char name[32];
        call_fn *call;
        snprintf(name, sizeof name, "call%d", k);
        void *found = done[k] ? dlsym(library, name) : NULL;
        if (!found)
            continue;
        memcpy(&call, &found, sizeof call);
        const bl_program *p = nets[k].program;
        const int64_t nx = p->wires[p->inputs[0].wire].count, ny = p->wires[p->outputs[0].wire].count;
        int64_t *y = calloc((size_t)ny + 1, sizeof *y);
        bool same = true;
        for (int r = 0; r < PROOF_ROWS && same; r++) {
            const int64_t *want = nets[k].vectors.outputs[0] + r * ny;
            call(nets[k].vectors.inputs[0] + r * nx, y);
            for (int64_t e = 0; e < ny && same; e++) {
                same = y[e] == want[e];
                if (!same)
                    proof_differs(way, &nets[k], r, e, (double)want[e], (double)y[e]);
            }
        }
        different += !same;
        free(y);
    }
    return different;
}

int proof_c(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    char path[ROOM];
    bool *done = calloc((size_t)count + 1, sizeof *done);
    const char *folder = batch_folder();
    emit_all(ctx, way, nets, count, folder, fault, done);
    snprintf(path, sizeof path, "%s/call.c", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int k = 0; k < count; k++)
        if (done[k])
            put_call(f, nets[k].program, k);
    fclose(f);
    run_command(folder, "gcc -std=c99 -O0 -w -fPIC -shared call.c net*/net*.c -o all.so");
    snprintf(path, sizeof path, "%s/all.so", folder);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    const int different = call_all(way, nets, count, done, library);
    dlclose(library);
    remove_folder(folder);
    free(done);
    return different;
}

/* ---- HLS C++ ------------------------------------------------------------------------------------------------------
 */
/* The folder of ap_int.h in build/venv; NULL where it is not. */
static const char *types(void)
{
    static char folder[ROOM];
    const char *source = getenv("BITLATHE_SOURCE");
    char command[2 * ROOM];
    if (folder[0])
        return folder;
    snprintf(command, sizeof command, "ls -d %s/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado/ap_types",
             source ? source : "../..");
    FILE *f = popen(command, "r");
    const bool found = f && fgets(folder, sizeof folder, f);
    folder[strcspn(folder, "\n")] = '\0';
    return f && pclose(f) == 0 && found ? folder : NULL;
}

/* What every project includes, read by each compiler once. */
static const char *precompiled(void)
{
    static const char head[] = "#include <cstdio>\n#include <fstream>\n#include <iostream>\n#include <sstream>\n"
                               "#include <string>\n#include \"ap_int.h\"\n#include \"hls_stream.h\"\n";
    static char path[ROOM];
    char command[3 * ROOM];
    if (path[0])
        return path;
    snprintf(path, sizeof path, "%s/types.h", temp_folder());
    put_file(path, head, strlen(head));
    snprintf(command, sizeof command,
             "g++ -std=c++14 -O0 -w -I%s -x c++-header types.h -o types.h.gch && { ! command -v clang++ > /dev/null || "
             "clang++ -std=c++14 -O0 -w -I%s -x c++-header types.h -o types.pch; }",
             types(), types());
    run_command(temp_folder(), command);
    return path;
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
static void compile_hls(const char *folder, int count, const bool *done)
{
    enum { ALONE = 2 };
    /* Headers that are the same in every project, outside of the namespaces. */
    static const char common[] =
        "mkdir common; for f in net*/firmware/bitlathe_*.h; do c=common/${f##*/}; [ -f $c ] || cp $f $c; cmp $f $c "
        "|| exit 1; done; ls common/*.h | sed 's@.*@#include \"&\"@' > common.h; ";
    char command[4 * ROOM], compiler[2 * ROOM];
    const bool clang = system("command -v clang++ > /dev/null") == 0;
    precompiled();
    put_sources(folder, clang ? ALONE : count, count, done);
    snprintf(compiler, sizeof compiler, clang ? "clang++ -include-pch %s/types.pch" : "g++ -include %s/types.h",
             temp_folder());
    snprintf(command, sizeof command,
             "%sls net*.cpp 2> /dev/null | xargs -r -n 1 -P 2 g++ -std=c++14 -O0 -w -I%s -include %s -c && "
             "%s -std=c++14 -O0 -w -I%s -c all.cpp && g++ *.o -o all && ./all > log",
             common, types(), precompiled(), compiler, types());
    run_command(folder, command);
}

int proof_hls(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    char log[ROOM];
    if (!types())
        return -1;
    bool some = false, *done = calloc((size_t)count + 1, sizeof *done);
    const char *folder = batch_folder();
    emit_all(ctx, way, nets, count, folder, fault, done);
    for (int k = 0; k < count; k++)
        some = some || done[k];
    if (some)
        compile_hls(folder, count, done);
    snprintf(log, sizeof log, "%s/log", folder);
    const int different = some ? judge(way, nets, count, done, log, "net%d: equal\n") : 0;
    remove_folder(folder);
    free(done);
    return different;
}

/* ---- Verilog ------------------------------------------------------------------------------------------------------
 */
/* A bench beside others: its own files, its own name, its own end; grep sees that each edit found its line. */
#define EDITS                                                                                                          \
    "for d in net*; do [ -d $d ] || continue; sed -i -e \"s@\\\"\\([xy]\\).hex\\\"@\\\"$d/tb/\\1.hex\\\"@\" "          \
    "-e \"s@always #5 clk = !clk;@reg halted = 1'b0; initial while (!halted) #5 clk = !clk;@\" "                       \
    "-e \"s@\\\\\\$finish@halted = 1'b1@\" -e \"s@display(\\\"@display(\\\"$d: @\" "                                   \
    "-e \"s@STREAMED = [1-9][0-9]*;@STREAMED = 2;@\" $d/tb/${d}_tb.v; for e in $d/tb/x.hex $d/tb/y.hex "               \
    "'while (!halted)' \"halted = 1'b1\" 'STREAMED = [02];' \"$d: PASS\"; do "                                         \
    "grep -q -e \"$e\" $d/tb/${d}_tb.v || { echo \"$d: the bench has no $e\"; exit 1; }; done; done && "

static const char icarus_script[] = EDITS "{ ls -d net*/tb | sed 's@/tb@_tb@; s@^@-s @'; echo '-o all.vvp'; "
                                          "ls net*/tb/*.v net*/rtl/*.v; } > list && "
                                          "iverilog -g2001 $DEFINED $(cat list) 2> build.log || { cat build.log; "
                                          "exit 1; } && vvp -n all.vvp > log";

/* One model for all, since Verilator's library takes the compiler longer than a small network does. */
static const char verilator_script[] = EDITS
    "{ echo 'module all;'; for d in net*; do [ -d $d ] && echo \"${d}_tb $d ();\"; done; echo endmodule; } > all.v "
    "&& verilator --binary --timing -Wno-fatal -Wno-UNOPTFLAT --top-module all -MAKEFLAGS "
    "'OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0' all.v $(ls net*/tb/net*_tb.v | grep -v probe) net*/rtl/*.v "
    "> build.log 2>&1 && obj_dir/Vall > log";

static int proof_simulated(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault,
                           const char *script)
{
    char log[ROOM];
    bool some = false, *done = calloc((size_t)count + 1, sizeof *done);
    const char *folder = batch_folder();
    emit_all(ctx, way, nets, count, folder, fault, done);
    for (int k = 0; k < count; k++)
        some = some || done[k];
    setenv("DEFINED", way->defined ? way->defined : "", 1);
    if (some)
        run_command(folder, script);
    snprintf(log, sizeof log, "%s/log", folder);
    const int different = some ? judge(way, nets, count, done, log, "net%d: PASS ") : 0;
    remove_folder(folder);
    free(done);
    return different;
}

int proof_verilog(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    if (system("iverilog -V > /dev/null 2>&1") != 0)
        return -1;
    return proof_simulated(ctx, way, nets, count, fault, icarus_script);
}

int proof_verilator(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    if (system("verilator --version > /dev/null 2>&1") != 0)
        return -1;
    return proof_simulated(ctx, way, nets, count, fault, verilator_script);
}
