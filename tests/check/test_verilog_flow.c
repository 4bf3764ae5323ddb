/* Verilog as processes under simulators: io stream and strategy resource give the interpreter's bits, every port
 * stopping at random; reuse factors of every kind; a small CNN by every way; lint-clean; a fault put in is found.
 */
#include "support/test.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "emit/emit.h"
#include "emit/verilog/simulate.h"
#include "support/folder.h"
#include "support/programs.h"
#include "support/small_net.h"

enum { ROOM = 1024 };
static const program_wishes narrow = {.ops = 10, .elements = 60, .narrow = true};

static const struct way {
    const char *strategy, *io;
    int reuse;
} ways[] = {{"latency", "stream", 0}, {"resource", "parallel", 3}, {"resource", "stream", 4},
            {"da", "stream", 0},      {"resource", "stream", 30},  {"da3", "stream", 0}};

static bool there(bl_context *ctx, const char *tool)
{
    char path[BLI_PROCESS_PATH];
    if (bli_process_find(ctx, tool, tool, path) == BL_OK)
        return true;
    print_message("skipped: %s\n", bl_context_message(ctx));
    return false;
}

static bl_status emit(bl_context *ctx, const bli_program *p, const char *folder, const struct way *w, double clock,
                      int samples)
{
    bl_emit_options o = {.target = "verilog", .name = "net", .strategy = w->strategy, .io = w->io, .reuse = w->reuse};
    o.clock = clock;
    o.samples = samples;
    o.part = "ice40";
    return bli_emit(ctx, p, folder, &o);
}

static bl_status simulate(bl_context *ctx, const char *folder, bool icarus, bli_simulation *sim)
{
    static const char *const sources[] = {"net_tb.v", "../rtl/net_core.v", "../rtl/net_cells.v", "../rtl/net_stream.v",
                                          NULL};
    char tb[ROOM], build[ROOM];
    snprintf(tb, sizeof tb, "%.900s/tb", folder);
    snprintf(build, sizeof build, "%.900s/build", folder);
    mkdir(build, 0777);
    *sim = (bli_simulation){
        .folder = tb, .sources = sources, .top = "net", .products = "../build/sim", .icarus = icarus, .seconds = 300};
    return bli_simulate(ctx, sim);
}

static int number_or(const char *variable, int usual)
{
    const char *text = getenv(variable);
    return text != NULL ? atoi(text) : usual;
}

/* Refused for having no elements somewhere, or for a clock: nothing to compare. */
static bool try_seed(bl_context *ctx, const char *folder, uint64_t seed, uint32_t *kinds)
{
    char project[ROOM];
    bli_simulation sim;
    bli_program *p = random_program_like(ctx, seed, &narrow);
    snprintf(project, sizeof project, "%.900s/p%llu", folder, (unsigned long long)seed);
    bl_status s = emit(ctx, p, project, &ways[seed % BLI_COUNT(ways)], seed % 2 ? 1000 : 60, 12);
    bool refused = s == BL_UNSUPPORTED && strstr(bl_context_message(ctx), "has no elements") != NULL;
    refused = refused || (s == BL_BAD_VALUE && strstr(bl_context_message(ctx), "no cut meets") != NULL);
    if (s == BL_OK)
        s = simulate(ctx, project, true, &sim);
    if (s != BL_OK && !refused)
        print_error("seed %llu: ", (unsigned long long)seed);
    if (!refused)
        assert_ok(ctx, s);
    *kinds |= refused ? 0 : program_kinds(p);
    bli_program_destroy(p);
    return !refused;
}

static void random_programs_give_the_interpreters_bits(void **state)
{
    const char *folder = temp_folder();
    int count = number_or("EMIT_PROGRAMS", 12), first = number_or("EMIT_SEED", 1), done = 0;
    uint32_t kinds = 0;
    if (!there(*state, "iverilog"))
        return;
    for (int i = 0; i < count; i++)
        done += try_seed(*state, folder, (uint64_t)(first + i), &kinds);
    print_message("%d programs, %d of them refused, kinds %x\n", count, count - done, kinds);
}

/* ---- a small network of every kind of layer --------------------------------------------------------------------- */
static int64_t small_weight(int i)
{
    return (i * 37 + 11) % 15 - 7;
}

enum { CONV1 = 4 * 3 * 3 * 2, CONV2 = 4 * 3 * 2 * 1, FC1 = 16 * 6 };

/* Convolution with padding, stairs, depthwise convolution with stride and dilation, pool, flatten, dense, rounding. */
static bl_status build_cnn(bli_builder *b)
{
    static int64_t conv1[CONV1], conv2[CONV2], fc1[FC1], bias[6] = {3, -2, 0, 5, 1, -9}, threshold[12], step[12];
    static int64_t base[4] = {0, 3, 0, 0}, shift[1] = {3}, bits[1] = {3};
    static const bl_shape image = {3, {9, 8, 2}}, flat = {1, {16}};
    bli_input in = {.name = "image", .scale = 1, .format = {.kind = BL_FORMAT_INT, .bits = 4}, .grid = {1, 0}};
    bli_output out = {.name = "logits"};
    int w;
    for (int i = 0; i < FC1; i++) {
        conv1[i % CONV1] = small_weight(i);
        conv2[i % CONV2] = small_weight(i + 3);
        fc1[i] = small_weight(i + 5);
    }
    for (int i = 0; i < 12; i++) {
        threshold[i] = (i % 3) * 20 - 15 + i;
        step[i] = i / 3 == 1 ? -1 : 1;
    }
    BLI_TRY(bli_builder_input(b, &in, "image", &image, &w));
    bli_prim_op ops[] = {
        {.kind = BLI_PRIM_CONV,
         .channels = 4,
         .weight = conv1,
         .bias = bias,
         .window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {.kind = BLI_PRIM_THRESHOLD, .channels = 4, .length = 3, .threshold = threshold, .step = step, .base = base},
        {.kind = BLI_PRIM_CONV, .channels = 4, .weight = conv2, .window = {{3, 2}, {2, 1}, {1, 2}, {0, 1, 0, 1}, 4}},
        {.kind = BLI_PRIM_MAXPOOL, .window = {{2, 3}, {2, 4}, {1, 1}, {0, 0, 0, 0}, 1}},
        {.kind = BLI_PRIM_RESHAPE},
        {.kind = BLI_PRIM_DENSE, .channels = 6, .weight = fc1, .bias = bias},
        {.kind = BLI_PRIM_ROUND, .channels = 1, .shift = shift, .rounding = BL_RND_CONV},
        {.kind = BLI_PRIM_OVERFLOW, .channels = 1, .bits = bits, .overflow = BL_SAT},
    };
    static const char *const layers[] = {"conv1", "act1", "conv2", "pool1", "flatten", "fc1", "act2", "act2"};
    for (size_t i = 0; i < BLI_COUNT(ops); i++) {
        ops[i].num_in = 1;
        ops[i].in[0] = w;
        BLI_TRY(bli_builder_add(b, &ops[i], layers[i], layers[i], i == 4 ? &flat : NULL, 0, &w));
    }
    out.wire = w;
    return bli_builder_output(b, &out);
}

static bli_program *make_cnn(bl_context *ctx)
{
    bli_builder *b;
    bli_program *p;
    assert_ok(ctx, bli_builder_create(ctx, "small cnn", &b));
    assert_ok(ctx, build_cnn(b));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

/* Reuse 3, 9: fewer turns than terms; 36: one output after the other (16 terms of fc1, 18 of conv1, 6 of conv2). */
static void a_cnn_is_right_by_every_way(void **state)
{
    static const struct way more[] = {{"latency", "stream", 0},   {"da", "stream", 0},
                                      {"resource", "stream", 3},  {"resource", "stream", 9},
                                      {"resource", "stream", 36}, {"resource", "parallel", 6}};
    char project[ROOM];
    bli_simulation sim;
    if (!there(*state, "iverilog"))
        return;
    bli_program *p = make_cnn(*state);
    for (size_t i = 0; i < BLI_COUNT(more); i++) {
        snprintf(project, sizeof project, "%.900s/cnn%zu", temp_folder(), i);
        const int samples = more[i].reuse > 9 ? 2 : 7; /* five corners first */
        assert_ok(*state, emit(*state, p, project, &more[i], 20, samples));
        assert_ok(*state, simulate(*state, project, true, &sim));
        assert_int_equal(sim.samples, samples);
        assert_true(sim.streamed > 0);
    }
    bli_program_destroy(p);
}

/* Every valid reuse factor of a product of 6 terms and 4 outputs, and one that is not. */
static void products_in_turns_are_right_at_every_reuse_factor(void **state)
{
    static const small_net net = {.layers = 1, .units = {6, 4}, .weight_bits = 5, .input_bits = 5};
    static const int reuse[] = {1, 2, 3, 6, 12, 24, 5, 100};
    char project[ROOM];
    bli_simulation sim;
    bli_program *p;
    if (!there(*state, "iverilog"))
        return;
    assert_ok(*state, small_net_make(*state, &net, 3, &p));
    for (size_t i = 0; i < BLI_COUNT(reuse); i++) {
        const struct way w = {"resource", "parallel", reuse[i]};
        snprintf(project, sizeof project, "%.900s/reuse%d", temp_folder(), reuse[i]);
        assert_ok(*state, emit(*state, p, project, &w, 20, 30));
        assert_ok(*state, simulate(*state, project, true, &sim));
    }
    bli_program_destroy(p);
}

/* ---- tools ------------------------------------------------------------------------------------------------------ */
static bl_status run_in(bl_context *ctx, const char *folder, const char *const *argv)
{
    char path[BLI_PROCESS_PATH], *said;
    const char *full[24] = {path};
    int status;
    assert_ok(ctx, bli_process_find(ctx, argv[0], argv[0], path));
    for (int i = 1; argv[i]; i++)
        full[i] = argv[i];
    bli_process p = {full, folder, 100, 1 << 20, NULL, NULL};
    assert_ok(ctx, bli_process_run(ctx, &p, &status, &said));
    if (status != 0)
        print_error("%s\n", said);
    bli_free(ctx, said);
    return status == 0 ? BL_OK : BL_BAD_VALUE;
}

static void verilator_has_nothing_to_say(void **state)
{
    static const char *const lint[] = {"verilator",    "--lint-only", "-Wall",
                                       "--top-module", "net_stream",  "net_stream.v",
                                       "net_core.v",   "net_cells.v", NULL};
    static const struct way both[] = {
        {"resource", "stream", 9}, {"resource", "parallel", 36}, {"latency", "stream", 0}};
    char project[ROOM], rtl[ROOM];
    if (!there(*state, "verilator"))
        return;
    bli_program *p = make_cnn(*state);
    for (size_t i = 0; i < BLI_COUNT(both); i++) {
        snprintf(project, sizeof project, "%.900s/lint%zu", temp_folder(), i);
        snprintf(rtl, sizeof rtl, "%.1000s/rtl", project);
        assert_ok(*state, emit(*state, p, project, &both[i], 20, 4));
        assert_int_equal(run_in(*state, rtl, lint), BL_OK);
    }
    bli_program_destroy(p);
}

/* A word of fc1's memory, and a clause of the window: both benches see it. */
static void replace_in(bl_context *ctx, const char *project, const char *file, const char *from, const char *to)
{
    char path[ROOM], *text;
    size_t size;
    snprintf(path, sizeof path, "%.900s/rtl/%s", project, file);
    assert_ok(ctx, bli_file_read(ctx, path, 1 << 28, &text, &size));
    char *at = strstr(text, from);
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    assert_ok(ctx, bli_file_write(ctx, path, text, size));
    bli_free(ctx, text);
}

static void a_fault_put_in_is_found(void **state)
{
    static const struct way way = {"resource", "stream", 9};
    char project[ROOM];
    bli_simulation sim;
    if (!there(*state, "iverilog"))
        return;
    bli_program *p = make_cnn(*state);
    snprintf(project, sizeof project, "%.900s/fault", temp_folder());
    assert_ok(*state, emit(*state, p, project, &way, 20, 5));
    replace_in(*state, project, "net_cells.v", "A] + addend;", "A] - addend;");
    assert_fails(*state, BL_MISMATCH, "DIFF", simulate(*state, project, true, &sim));
    assert_ok(*state, emit(*state, p, project, &way, 20, 5));
    replace_in(*state, project, "net_cells.v", "assign x_ready = free && in_image;",
               "assign x_ready = free            ;");
    assert_fails(*state, BL_MISMATCH, "the bench says", simulate(*state, project, true, &sim));
    bli_program_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_in_turns_are_right_at_every_reuse_factor),
        cmocka_unit_test(a_cnn_is_right_by_every_way),
        cmocka_unit_test(a_fault_put_in_is_found),
        cmocka_unit_test(verilator_has_nothing_to_say),
        cmocka_unit_test(random_programs_give_the_interpreters_bits),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
