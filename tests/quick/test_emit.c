/* test_emit.c: every target takes hostile names, gives the same bytes twice, and refuses what it does not know. */
#include "support/test.h"

#include <dirent.h>
#include <sys/stat.h>

#include "emit/emit.h"
#include "support/folder.h"
#include "support/memory.h"

static bl_status build(bli_builder *b, const char *name)
{
    static const int64_t weight[] = {1, -2, 3, 0, 5, -6}, bias[] = {7, -8}, shift[] = {1}, bits[] = {4};
    static const bl_shape three = {1, {3}};
    bli_input input = {.name = name, .scale = 1, .format = {.kind = BL_FORMAT_INT, .bits = 4}, .grid = {1, 0}};
    bli_output output = {.name = name};
    int x, y;
    BLI_TRY(bli_builder_input(b, &input, name, &three, &x));
    bli_prim_op dense = {.kind = BLI_PRIM_DENSE, .num_in = 1, .in = {x}, .channels = 2, .weight = weight, .bias = bias};
    BLI_TRY(bli_builder_add(b, &dense, name, name, NULL, 0, &y));
    bli_prim_op round = {.kind = BLI_PRIM_ROUND, .num_in = 1, .in = {y}, .channels = 1, .shift = shift};
    BLI_TRY(bli_builder_add(b, &round, name, name, NULL, 1, &y));
    bli_prim_op cut = {.kind = BLI_PRIM_OVERFLOW,
                       .num_in = 1,
                       .in = {y},
                       .channels = 1,
                       .bits = bits,
                       .is_signed = true,
                       .overflow = BL_SAT};
    BLI_TRY(bli_builder_add(b, &cut, name, name, NULL, 1, &output.wire));
    return bli_builder_output(b, &output);
}

static bl_status make_program(bl_context *ctx, const char *name, bli_program **out)
{
    bli_builder *b;
    *out = NULL;
    BLI_TRY(bli_builder_create(ctx, name, &b));
    bl_status s = build(b, name);
    if (s == BL_OK)
        s = bli_builder_finish(b, out);
    bli_builder_destroy(b);
    return s;
}

/* All files below folder, one after the other with their paths: what two emissions must share. */
static void append_files(const char *folder, bli_buf *all)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        char path[1024];
        struct stat st;
        size_t size;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        assert_int_equal(stat(path, &st), 0);
        if (S_ISDIR(st.st_mode) && names[i]->d_name[0] != '.') {
            append_files(path, all);
        } else if (!S_ISDIR(st.st_mode)) {
            char *data = get_file(path, &size);
            assert_int_equal(bli_buf_printf(all, "== %s\n", names[i]->d_name), BL_OK);
            assert_int_equal(bli_buf_append(all, data, size), BL_OK);
            free(data);
        }
        free(names[i]);
    }
    free(names);
}

/* Verilog as processes is a backend of its own. */
static const bl_emit_options in_turns = {.target = "verilog", .strategy = "resource", .io = "stream", .reuse = 3};

static void each_target(void **state, void (*fn)(bl_context *ctx, const bl_emit_options *o))
{
    bl_emit_target t;
    for (int i = 0; bl_emit_target_at(i, &t); i++) {
        bl_emit_options o = {.target = t.name};
        print_message("target %s: %s\n", t.name, t.help);
        fn(*state, &o);
    }
    fn(*state, &in_turns);
}

static void emit_twice(bl_context *ctx, const bl_emit_options *o)
{
    bli_program *p;
    bli_buf a, b;
    assert_ok(ctx, make_program(ctx, "net", &p));
    bli_buf_init(&a, ctx, 1 << 26);
    bli_buf_init(&b, ctx, 1 << 26);
    assert_ok(ctx, bl_emit(ctx, p, temp_path("one"), o));
    assert_ok(ctx, bl_emit(ctx, p, temp_path("one"), o));
    assert_ok(ctx, bl_emit(ctx, p, temp_path("two"), o));
    append_files(temp_path("one"), &a);
    append_files(temp_path("two"), &b);
    assert_true(a.size > 100);
    assert_string_equal(a.data, b.data);
    bli_buf_free(&a);
    bli_buf_free(&b);
    bli_program_destroy(p);
}

static void the_same_program_gives_the_same_bytes(void **state)
{
    each_target(state, emit_twice);
}

/* Whatever a name holds, none of its marks is found in a file. */
static void emit_hostile(bl_context *ctx, const bl_emit_options *o)
{
    static const char *const hostile[] = {"x */ EVIL(); /*", "a\nEVIL();", "\"); EVIL",   "a\\\nEVIL",      "`EVIL;",
                                          "$EVIL(1)",        "../../EVIL", "[exec EVIL]", "EVIL; endmodule"};
    static const char *const marks[] = {"*/ EVIL", "\nEVIL()", "\"); EVIL", "`EVIL;", "$EVIL", "[exec", "EVIL; end"};
    for (size_t i = 0; i < BLI_COUNT(hostile); i++) {
        bli_program *p;
        bli_buf all;
        assert_ok(ctx, make_program(ctx, hostile[i], &p));
        assert_ok(ctx, bl_emit(ctx, p, temp_path("hostile"), o));
        bli_buf_init(&all, ctx, 1 << 26);
        append_files(temp_path("hostile"), &all);
        for (size_t k = 0; k < BLI_COUNT(marks); k++) {
            const char *found = strstr(all.data, marks[k]);
            if (found != NULL)
                print_error("%.80s\n", found);
            assert_null(found);
        }
        assert_non_null(strstr(all.data, "EVIL"));
        bli_buf_free(&all);
        bli_program_destroy(p);
    }
}

static void hostile_names_stay_names(void **state)
{
    each_target(state, emit_hostile);
}

static void what_is_asked_for_is_checked(void **state)
{
    bl_context *ctx = *state;
    bli_program *p;
    assert_ok(ctx, make_program(ctx, "net", &p));
    const struct {
        bl_emit_options o;
        const char *words;
    } cases[] = {
        {{.target = "vhdl"}, "target 'vhdl' (expected one of c"},
        {{.target = "c", .strategy = "resource"}, "target c has no option strategy"},
        {{.target = "c", .io = "stream"}, "target c has no option io"},
        {{.target = "c", .clock = 3}, "target c has no option clock"},
        {{.target = "c", .part = "x"}, "target c has no option part"},
        {{.target = "hls", .pack = true}, "target hls has no option pack"},
        {{.target = "c", .reuse = 2}, "strategy resource only"},
        {{.target = "hls", .reuse = 2}, "strategy resource only"},
        {{.target = "hls", .strategy = "fast"}, "strategy 'fast' (expected one of latency, resource, da, da3)"},
        {{.target = "hls", .io = "serial"}, "io 'serial' (expected one of parallel, stream)"},
        {{.target = "hls", .part = "x; exec rm"}, "part 'x_ exec rm'"},
        {{.target = "hls", .part = ""}, "part ''"},
        {{.target = "c", .name = ""}, "name '' (expected letters or digits in it)"},
        {{.target = "hls", .name = "/._"}, "name '/._'"},
        {{.target = "c", .reuse = -2}, "reuse -2"},
        {{.target = "c", .clock = -1}, "clock -1"},
        {{.target = "c", .samples = -1}, "samples -1"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        assert_fails(ctx, BL_USAGE, cases[i].words, bl_emit(ctx, p, temp_path("bad"), &cases[i].o));
    struct stat st;
    assert_int_not_equal(stat(temp_path("bad"), &st), 0);
    put_file(temp_path("file"), "x", 1);
    assert_fails(ctx, BL_IO, "emit c: ", bl_emit(ctx, p, temp_path("file"), NULL));
    bli_program_destroy(p);
}

static bl_status emit_one(bl_context *ctx, void *arg)
{
    bli_program *p;
    BLI_TRY(make_program(ctx, "net", &p));
    bl_status s = bl_emit(ctx, p, temp_path("memory"), arg);
    bli_program_destroy(p);
    return s;
}

static void failing_allocations_are_survived(void **state)
{
    (void)state;
    bl_emit_options all[] = {
        {.target = "c"}, {.target = "c", .pack = true}, {.target = "hls"}, {.target = "verilog"}, in_turns};
    for (size_t i = 0; i < BLI_COUNT(all); i++)
        assert_true(fail_each_allocation(emit_one, &all[i]) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_program_gives_the_same_bytes, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(hostile_names_stay_names, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_for_is_checked, context_set_up, context_tear_down),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
