/* Emitted Verilog under simulators: random programs give the interpreter's bits, through the core and through the
 * stream with both sides stopping at random; a fault put in is found; it is lint-clean; its bytes are always the same.
 */
#include "support/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "emit/emit.h"
#include "emit/verilog/simulate.h"
#include "support/folder.h"
#include "support/programs.h"
#include "support/small_net.h"

enum { ROOM = 1024 };
static const char *const strategies[] = {"latency", "da", "da3"};
static const program_wishes narrow = {.ops = 12, .elements = 40, .narrow = true};

static bool there(bl_context *ctx, const char *tool)
{
    char path[BLI_PROCESS_PATH];
    if (bli_process_find(ctx, tool, tool, path) == BL_OK)
        return true;
    print_message("skipped: %s\n", bl_context_message(ctx));
    return false;
}

static bl_status emit(bl_context *ctx, const bli_program *p, const char *folder, const char *strategy, double clock)
{
    bl_emit_options o = {.target = "verilog", .name = "net", .strategy = strategy, .clock = clock, .samples = 60};
    o.part = "ice40";
    return bli_emit(ctx, p, folder, &o);
}

static bl_status simulate_as(bl_context *ctx, const char *folder, bool icarus, bool wide, bli_simulation *sim)
{
    static const char *const sources[] = {"net_tb.v", "../rtl/net_core.v", "../rtl/net_cells.v", "../rtl/net_stream.v",
                                          NULL};
    char tb[ROOM], build[ROOM];
    snprintf(tb, sizeof tb, "%.900s/tb", folder);
    snprintf(build, sizeof build, "%.900s/build", folder);
    mkdir(build, 0777);
    *sim = (bli_simulation){
        .folder = tb, .sources = sources, .top = "net", .products = "../build/sim", .icarus = icarus, .seconds = 300};
    sim->wide = wide;
    return bli_simulate(ctx, sim);
}

static bl_status simulate(bl_context *ctx, const char *folder, bool icarus, bli_simulation *sim)
{
    return simulate_as(ctx, folder, icarus, false, sim);
}

/* The files of two projects, byte by byte. */
static void assert_same_file(bl_context *ctx, const char *a, const char *b, const char *name)
{
    char path[ROOM], *one, *two;
    size_t size_one, size_two;
    snprintf(path, sizeof path, "%.900s/%s", a, name);
    assert_ok(ctx, bli_file_read(ctx, path, 1 << 28, &one, &size_one));
    snprintf(path, sizeof path, "%.900s/%s", b, name);
    assert_ok(ctx, bli_file_read(ctx, path, 1 << 28, &two, &size_two));
    assert_int_equal(size_one, size_two);
    assert_memory_equal(one, two, size_one);
    bli_free(ctx, one);
    bli_free(ctx, two);
}

static void try_seed(bl_context *ctx, const char *folder, uint64_t seed, bool icarus)
{
    static const double clocks[] = {1000, 60, 25};
    char project[ROOM];
    bli_simulation sim;
    bli_program *p = random_program_like(ctx, seed, &narrow);
    snprintf(project, sizeof project, "%.900s/p%llu", folder, (unsigned long long)seed);
    bl_status s = BL_BAD_VALUE;
    for (int i = 0; s == BL_BAD_VALUE && i < 3; i++) /* a clock that this program cannot meet: a slower one */
        s = emit(ctx, p, project, strategies[seed % 3], clocks[2 - i] * (double)(1 + seed % 2));
    if (s == BL_OK)
        s = simulate(ctx, project, icarus, &sim);
    if (s == BL_OK && seed % 2 == 0) /* with a simulator's integers, too */
        s = simulate_as(ctx, project, icarus, true, &sim);
    if (s != BL_OK)
        print_error("seed %llu: ", (unsigned long long)seed);
    assert_ok(ctx, s);
    assert_int_equal(sim.samples, 60);
    bli_program_destroy(p);
}

static void random_programs_give_the_interpreters_bits(void **state)
{
    const char *folder = temp_folder();
    if (!there(*state, "iverilog"))
        return;
    for (uint64_t seed = 1; seed <= 30; seed++)
        try_seed(*state, folder, seed, true);
    if (there(*state, "verilator"))
        for (uint64_t seed = 101; seed <= 102; seed++)
            try_seed(*state, folder, seed, false);
}

static bl_status lint(bl_context *ctx, const char *folder)
{
    char rtl[ROOM], path[BLI_PROCESS_PATH], *said;
    int status;
    assert_ok(ctx, bli_process_find(ctx, "verilator", "verilator", path));
    snprintf(rtl, sizeof rtl, "%.900s/rtl", folder);
    const char *argv[] = {path,         "--lint-only", "-Wall", "--top-module", "net_stream", "net_stream.v",
                          "net_core.v", "net_cells.v", NULL};
    bli_process p = {argv, rtl, 100, 1 << 20, NULL, NULL};
    assert_ok(ctx, bli_process_run(ctx, &p, &status, &said));
    if (status != 0)
        print_error("%s\n", said);
    bli_free(ctx, said);
    return status == 0 ? BL_OK : BL_BAD_VALUE;
}

static void verilator_has_nothing_to_say(void **state)
{
    const char *folder = temp_folder();
    char project[ROOM];
    if (!there(*state, "verilator"))
        return;
    for (uint64_t seed = 201; seed <= 204; seed++) {
        bli_program *p = random_program_like(*state, seed, &narrow);
        snprintf(project, sizeof project, "%.900s/p%llu", folder, (unsigned long long)seed);
        assert_ok(*state, emit(*state, p, project, strategies[seed % 3], 1000));
        assert_int_equal(lint(*state, project), BL_OK);
        bli_program_destroy(p);
    }
}

/* A product of one bit that is never negative with what has a sign: Verilator 5.006 reads the bit as -1 where it stands
 * left and is a comparison. */
static void bits_times_signed_codes_are_right_under_verilator(void **state)
{
    static const char text[] = "program \"net\"\n"
                               "%0 = input \"x\" \"x\" [12] exp 0 scale 1 offset 0 format \"int<2>\" grid 1 0\n"
                               "%1 = input \"n\" \"n\" [12] exp 0 scale 1 offset 0 format \"int<3>\" grid 1 0\n"
                               "%2 = clamp (%0) \"bit\" \"bit\" exp 0 channels 1 low [0] high [1]\n"
                               "%3 = affine (%1) \"later\" \"later\" exp 0 channels 1 weight [3] bias [1]\n"
                               "%4 = mul (%2 %3) \"product\" \"product\" exp 0\n"
                               "output %4 \"product\" channels 1 scale [1]\n";
    char project[ROOM];
    bli_simulation sim;
    bli_program *p;
    assert_ok(*state, bli_program_parse(*state, text, strlen(text), &p));
    snprintf(project, sizeof project, "%.900s/bits", temp_folder());
    assert_ok(*state, emit(*state, p, project, "latency", 1000));
    if (there(*state, "iverilog"))
        assert_ok(*state, simulate(*state, project, true, &sim));
    if (there(*state, "verilator"))
        assert_ok(*state, simulate(*state, project, false, &sim));
    bli_program_destroy(p);
}

/* The first subtraction of the core becomes an addition. */
static void break_core(bl_context *ctx, const char *folder)
{
    char path[ROOM], *text;
    size_t size;
    snprintf(path, sizeof path, "%.900s/rtl/net_core.v", folder);
    assert_ok(ctx, bli_file_read(ctx, path, 1 << 28, &text, &size));
    char *at = strstr(text, "net_sub");
    assert_non_null(at);
    memcpy(at, "net_add", strlen("net_add"));
    assert_ok(ctx, bli_file_write(ctx, path, text, size));
    bli_free(ctx, text);
}

static void a_fault_put_in_is_found(void **state)
{
    const char *folder = temp_folder();
    char project[ROOM];
    bli_simulation sim;
    bli_program *p;
    if (!there(*state, "iverilog"))
        return;
    snprintf(project, sizeof project, "%.900s/p", folder);
    assert_ok(*state, small_net_make(*state, &small_net_16_8_5, 7, &p));
    assert_ok(*state, emit(*state, p, project, "da", 10));
    assert_ok(*state, simulate(*state, project, true, &sim));
    break_core(*state, project);
    assert_fails(*state, BL_MISMATCH, "DIFF", simulate(*state, project, true, &sim));
    bli_program_destroy(p);
}

static void the_same_program_gives_the_same_bytes(void **state)
{
    const char *folder = temp_folder();
    char a[ROOM], b[ROOM];
    bli_program *p;
    snprintf(a, sizeof a, "%.900s/a", folder);
    snprintf(b, sizeof b, "%.900s/b", folder);
    assert_ok(*state, small_net_make(*state, &small_net_16_8_5, 7, &p));
    assert_ok(*state, emit(*state, p, a, "da", 10));
    assert_ok(*state, emit(*state, p, b, "da", 10));
    static const char *const files[] = {"rtl/net_core.v", "rtl/net_cells.v", "rtl/net_stream.v", "tb/net_tb.v",
                                        "tb/x.hex",       "tb/y.hex",        "bitlathe.json"};
    for (size_t i = 0; i < BLI_COUNT(files); i++)
        assert_same_file(*state, a, b, files[i]);
    bli_program_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_program_gives_the_same_bytes),
        cmocka_unit_test(random_programs_give_the_interpreters_bits),
        cmocka_unit_test(bits_times_signed_codes_are_right_under_verilator),
        cmocka_unit_test(verilator_has_nothing_to_say),
        cmocka_unit_test(a_fault_put_in_is_found),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
