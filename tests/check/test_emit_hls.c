/* test_emit_hls.c: random programs as HLS projects, compiled by g++ against the open ap_types headers; each project's
 * own test bench compares the codes with the interpreter's.
 */
#include "support/test.h"

#include <dirent.h>
#include <sys/stat.h>

#include "emit/hls/hls.h"
#include "support/folder.h"
#include "support/programs.h"
#include "support/skip.h"

static bl_context *ctx;
static char types[600];

/* The folder of ap_int.h in build/venv; false where it is not. */
static bool find_types(void)
{
    const char *source = getenv("BITLATHE_SOURCE");
    char command[700];
    snprintf(command, sizeof command, "ls -d %s/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado/ap_types",
             source != NULL ? source : "../..");
    FILE *f = popen(command, "r");
    bool found = f != NULL && fgets(types, sizeof types, f) != NULL;
    types[strcspn(types, "\n")] = '\0';
    return f != NULL && pclose(f) == 0 && found;
}

/* Builds and runs every project below folder, two at a time; the number that fails. */
static int build_all(const char *folder)
{
    char command[2000];
    size_t size;
    snprintf(command, sizeof command,
             "cd %s && export AP_TYPES=%s CXXFLAGS=-O0 && ls -d p* | xargs -P 2 -n 1 sh -c 'cd $0 && ./build_lib.sh "
             ">log 2>&1 "
             "|| { echo $0; head -20 log; } >>../failed'; touch failed",
             folder, types);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/failed", folder);
    char *failed = get_file(command, &size);
    assert_non_null(failed);
    int n = 0;
    for (char *line = failed; (line = strstr(line, "p")) != NULL; line++)
        n += line == failed || line[-1] == '\n';
    if (*failed)
        print_error("%s\n", failed);
    free(failed);
    return n;
}

static const struct {
    const char *strategy, *io;
    int reuse;
} ways[] = {{"latency", "parallel", 0}, {"latency", "stream", 0}, {"resource", "parallel", 3},
            {"resource", "stream", 4},  {"da", "parallel", 0},    {"da", "stream", 0}};

/* One project a program, its way in turn; returns those refused for having no elements somewhere. */
static int emit_programs(const char *folder, int count, uint64_t seed, const program_wishes *wishes, uint32_t *kinds)
{
    int refused = 0;
    for (int k = 0; k < count; k++) {
        char path[700];
        bli_program *p = random_program_like(ctx, seed + (uint64_t)k, wishes);
        size_t way = (size_t)k % BLI_COUNT(ways);
        bl_emit_options o = {.target = "hls",
                             .name = "net",
                             .strategy = ways[way].strategy,
                             .io = ways[way].io,
                             .reuse = ways[way].reuse,
                             .samples = 20};
        snprintf(path, sizeof path, "%s/p%d_%s_%s", folder, k, o.strategy, o.io);
        bl_status s = bl_emit(ctx, p, path, &o);
        if (s != BL_OK && strstr(bl_context_message(ctx), "has no elements") != NULL)
            refused++;
        else
            assert_ok(ctx, s);
        *kinds |= s == BL_OK ? program_kinds(p) : 0;
        bli_program_destroy(p);
    }
    return refused;
}

static int number_or(const char *variable, int usual)
{
    const char *text = getenv(variable);
    return text != NULL ? atoi(text) : usual;
}

static void random_programs_give_the_interpreters_codes(void **state)
{
    (void)state;
    static const program_wishes wide = {.ops = 10, .elements = 120},
                                narrow = {.ops = 10, .elements = 120, .narrow = true};
    const char *folder = temp_path("random");
    const char *second = temp_path("narrow");
    uint32_t kinds = 0;
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(mkdir(second, 0777), 0);
    int count = number_or("EMIT_PROGRAMS", 6), seed = number_or("EMIT_SEED", 50);
    int refused = emit_programs(folder, count, (uint64_t)seed, &wide, &kinds);
    refused += emit_programs(second, count, (uint64_t)seed + 1000000, &narrow, &kinds);
    print_message("%d programs, %d refused, kinds %x\n", 2 * count, refused, kinds);
    int failed = build_all(folder) + build_all(second);
    assert_int_equal(failed, 0);
}

/* ---- a small network of every kind of layer --------------------------------------------------------------------- */
static int64_t small_weight(int i)
{
    return (i * 37 + 11) % 15 - 7;
}

/* Convolution, activation, pool, flatten, dense, activation, dense: 6 x 6 x 2 to 3. */
static bl_status build_cnn(bli_builder *b)
{
    static int64_t conv[4 * 3 * 3 * 2], bias[4] = {3, -2, 0, 5}, fc1[36 * 5], fc2[5 * 3], threshold[4 * 3], step[4 * 3];
    static int64_t base[4] = {0, 3, 0, 0}, shift[1] = {3}, bits[1] = {3};
    static const bl_shape image = {3, {6, 6, 2}}, flat = {1, {36}};
    bli_input in = {.name = "image", .scale = 1, .format = {.kind = BL_FORMAT_INT, .bits = 4}, .grid = {1, 0}};
    bli_output out = {.name = "logits"};
    int w;
    for (int i = 0; i < 36 * 5; i++) {
        conv[i % (4 * 3 * 3 * 2)] = small_weight(i);
        fc1[i] = small_weight(i + 5);
        fc2[i % 15] = small_weight(i + 9);
    }
    for (int i = 0; i < 12; i++) {
        threshold[i] = (i % 3) * 20 - 15 + i;
        step[i] = i / 3 == 1 ? -1 : 1;
    }
    BLI_TRY(bli_builder_input(b, &in, "image", &image, &w));
    bli_prim_op ops[] = {
        {.kind = BLI_PRIM_CONV,
         .channels = 4,
         .weight = conv,
         .bias = bias,
         .window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1}},
        {.kind = BLI_PRIM_THRESHOLD, .channels = 4, .length = 3, .threshold = threshold, .step = step, .base = base},
        {.kind = BLI_PRIM_MAXPOOL, .window = {{2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1}},
        {.kind = BLI_PRIM_RESHAPE},
        {.kind = BLI_PRIM_DENSE, .channels = 5, .weight = fc1},
        {.kind = BLI_PRIM_ROUND, .channels = 1, .shift = shift, .rounding = BL_RND_CONV},
        {.kind = BLI_PRIM_OVERFLOW, .channels = 1, .bits = bits, .overflow = BL_SAT},
        {.kind = BLI_PRIM_DENSE, .channels = 3, .weight = fc2},
    };
    static const char *const layers[] = {"conv1", "act1", "pool1", "flatten", "fc1", "act2", "act2", "logits"};
    for (size_t i = 0; i < BLI_COUNT(ops); i++) {
        ops[i].num_in = 1;
        ops[i].in[0] = w;
        BLI_TRY(bli_builder_add(b, &ops[i], layers[i], layers[i], i == 3 ? &flat : NULL, 0, &w));
    }
    out.wire = w;
    return bli_builder_output(b, &out);
}

static bli_program *make_cnn(void)
{
    bli_builder *b;
    bli_program *p;
    assert_ok(ctx, bli_builder_create(ctx, "small cnn", &b));
    assert_ok(ctx, build_cnn(b));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

static void a_cnn_is_right_by_every_way(void **state)
{
    (void)state;
    bli_program *p = make_cnn();
    const char *folder = temp_path("cnn");
    assert_int_equal(mkdir(folder, 0777), 0);
    for (size_t i = 0; i < BLI_COUNT(ways); i++) {
        char path[700];
        bl_emit_options o = {.target = "hls", .strategy = ways[i].strategy, .io = ways[i].io, .reuse = ways[i].reuse};
        snprintf(path, sizeof path, "%s/p_%s_%s", folder, o.strategy, o.io);
        assert_ok(ctx, bl_emit(ctx, p, path, &o));
    }
    bli_program_destroy(p);
    assert_int_equal(build_all(folder), 0);
}

/* The test benches see a wrong code: a sign is changed in each source. */
static void a_fault_on_purpose_is_seen(void **state)
{
    (void)state;
    char command[700];
    snprintf(command, sizeof command,
             "cd %s && rm -f failed && sed -i 's/acc\\[n .* += /&-/; s/acc\\[c\\] += /&-/' "
             "p_latency_stream/firmware/*.cpp p_resource_stream/firmware/*.cpp && rm -rf p_da_* p_*_parallel",
             temp_path("cnn"));
    assert_int_equal(system(command), 0);
    assert_int_equal(build_all(temp_path("cnn")), 2);
}

static void reuse_factors_follow_the_rule(void **state)
{
    (void)state;
    static const struct {
        int64_t inputs, outputs, wanted, used;
    } cases[] = {{784, 64, 1, 1},  {16, 64, 4, 4},   {16, 64, 3, 2},       {16, 64, 5, 4},
                 {16, 64, 16, 16}, {16, 64, 31, 32}, {16, 64, 5000, 1024}, {7, 3, 2, 1},
                 {7, 3, 5, 7},     {7, 3, 4, 1},     {1, 1, 9, 1},         {7, 3, 21, 21}};
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        assert_int_equal(bli_reuse_nearest(cases[i].inputs, cases[i].outputs, cases[i].wanted), cases[i].used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuse_factors_follow_the_rule),
        cmocka_unit_test(a_cnn_is_right_by_every_way),
        cmocka_unit_test(a_fault_on_purpose_is_seen),
        cmocka_unit_test(random_programs_give_the_interpreters_codes),
    };
    if (!find_types())
        skip_all("hls4ml's ap_types headers are not in build/venv");
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bl_context_destroy(ctx);
    return failed;
}
