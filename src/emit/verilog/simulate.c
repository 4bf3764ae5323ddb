/* simulate.c: builds and runs a bench, and reads its verdict. */
#include "emit/verilog/simulate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/context.h"
#include "base/process.h"

enum { PATH_ROOM = 4096, KEPT = 1 << 24, MOST_ARGS = 40, WORDS = 400 };

static bl_status run(bl_context *ctx, const bli_simulation *sim, const char *const *argv, char **said)
{
    char words[WORDS];
    int status;
    bli_process p = {argv, sim->folder, sim->seconds, KEPT, NULL, NULL};
    BLI_TRY(bli_process_run(ctx, &p, &status, said));
    if (status == 0)
        return BL_OK;
    const char *error = strstr(*said, "rror");
    snprintf(words, sizeof words, "%s", error ? error : *said);
    for (char *c = words; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    bli_free(ctx, *said);
    *said = NULL;
    return bli_fail(ctx, BL_BAD_VALUE, "%s ended with status %d: %s", argv[0], status, words);
}

/* ---- the two simulators -------------------------------------------------------------------------------------------
 */
static bl_status build_verilator(bl_context *ctx, const bli_simulation *sim, char program[PATH_ROOM])
{
    char path[BLI_PROCESS_PATH], make[BLI_PROCESS_PATH], compiler[BLI_PROCESS_PATH], top[128], *said;
    BLI_TRY(bli_process_find(ctx, "verilator", "verilator", path));
    BLI_TRY(bli_process_find(ctx, "make", "make", make));
    BLI_TRY(bli_process_find(ctx, "g++", "g++", compiler));
    snprintf(top, sizeof top, "%s_tb", sim->top);
    const char *argv[MOST_ARGS] = {
        path,
        "--binary",
        "--timing",
        "-Wno-fatal",
        "-Wno-UNOPTFLAT",
        "--Mdir",
        sim->products,
        "--top-module",
        top,
        "-MAKEFLAGS",
        "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"}; /* a bench has few samples: the compiler takes most of the time */
    size_t count = 11;
    if (sim->gates)
        argv[count++] = "-DBITLATHE_GATES";
    if (sim->wide)
        argv[count++] = "-DBITLATHE_WIDE";
    if (sim->core_only)
        argv[count++] = "-GSTREAMED=0";
    for (size_t i = 0; sim->sources[i] && count + 1 < MOST_ARGS; i++)
        argv[count++] = sim->sources[i];
    BLI_TRY(run(ctx, sim, argv, &said));
    bli_free(ctx, said);
    snprintf(program, PATH_ROOM, "%.2000s/V%s", sim->products, top);
    return BL_OK;
}

static bl_status run_verilator(bl_context *ctx, const bli_simulation *sim, char **said)
{
    char program[PATH_ROOM];
    BLI_TRY(build_verilator(ctx, sim, program));
    const char *argv[] = {program, sim->argument, NULL};
    return run(ctx, sim, argv, said);
}

static bl_status run_icarus(bl_context *ctx, const bli_simulation *sim, char **said)
{
    char compiler[BLI_PROCESS_PATH], path[BLI_PROCESS_PATH], program[PATH_ROOM], top[128], none[160];
    BLI_TRY(bli_process_find(ctx, "iverilog", "iverilog", compiler));
    BLI_TRY(bli_process_find(ctx, "vvp", "iverilog", path));
    snprintf(program, sizeof program, "%.2000s/%.100s.vvp", sim->products, sim->top);
    snprintf(top, sizeof top, "%s_tb", sim->top);
    const char *argv[MOST_ARGS] = {compiler, "-g2001", "-o", program, "-s", top};
    size_t count = 6;
    if (sim->gates)
        argv[count++] = "-DBITLATHE_GATES";
    if (sim->wide)
        argv[count++] = "-DBITLATHE_WIDE";
    snprintf(none, sizeof none, "-P%s.STREAMED=0", top);
    if (sim->core_only)
        argv[count++] = none;
    for (size_t i = 0; sim->sources[i] && count + 1 < MOST_ARGS; i++)
        argv[count++] = sim->sources[i];
    BLI_TRY(run(ctx, sim, argv, said));
    bli_free(ctx, *said);
    const char *run_argv[] = {path, "-n", program, sim->argument, NULL};
    return run(ctx, sim, run_argv, said);
}

/* ---- the verdict --------------------------------------------------------------------------------------------------
 */
static bl_status judge(bl_context *ctx, bli_simulation *sim, const char *said)
{
    static const char *const words[] = {"DIFF core ", "DIFF bits ", "DIFF ", "FAIL "}; /* what says most first */
    const char *first = NULL, *pass = strstr(said, "PASS ");
    for (size_t i = 0; i < BLI_COUNT(words) && !first; i++)
        first = strstr(said, words[i]);
    if (first) {
        snprintf(sim->difference, sizeof sim->difference, "%.*s", (int)strcspn(first, "\n"), first);
        return bli_fail(ctx, BL_MISMATCH, "the bench says: %.300s", sim->difference);
    }
    if (!pass || sscanf(pass, "PASS %d samples, %d of them", &sim->samples, &sim->streamed) != 2)
        return bli_fail(ctx, BL_BAD_VALUE, "the bench gave no verdict");
    return BL_OK;
}

static bl_status make_products(bl_context *ctx, const bli_simulation *sim)
{
    char path[PATH_ROOM];
    struct stat st;
    snprintf(path, sizeof path, "%.2000s/%.2000s", sim->folder, sim->products);
    if (ctx->file_ops.mkdir(ctx->file_ops.user, path, 0777) == 0 || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return BL_OK;
    return bli_fail(ctx, BL_IO, "%s: the folder could not be made", path);
}

bl_status bli_simulate_said(bl_context *ctx, const bli_simulation *sim, char **said)
{
    *said = NULL;
    BLI_TRY(make_products(ctx, sim));
    return sim->icarus ? run_icarus(ctx, sim, said) : run_verilator(ctx, sim, said);
}

bl_status bli_simulate(bl_context *ctx, bli_simulation *sim)
{
    char *said;
    BLI_TRY(bli_simulate_said(ctx, sim, &said));
    bl_status s = judge(ctx, sim, said);
    bli_free(ctx, said);
    return s;
}
