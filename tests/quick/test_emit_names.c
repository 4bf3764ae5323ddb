/* test_emit_names.c: what becomes of a model's names, and text that is emitted. */
#include "support/test.h"

#include <strings.h>

#include "emit/emit.h"
#include "support/memory.h"

static void a_name_becomes_an_identifier_like_it(void **state)
{
    static const struct {
        const char *wanted, *given;
    } cases[] = {{"fc1", "fc1"},
                 {"fc1/bias", "fc1_bias"},
                 {"FC1", "FC1_2"},
                 {"fc1_bias", "fc1_bias_2"},
                 {"fc1.bias", "fc1_bias_3"},
                 {"3x3", "n3x3"},
                 {"", "n"},
                 {"__init__", "init"},
                 {"a__b", "a_b"},
                 {"\xc3\xa4\xc3\xb6", "n_2"},
                 {"reg", "reg_2"},
                 {"Module", "Module_2"},
                 {"int8_t", "int8_t_2"},
                 {"main", "main_2"},
                 {"conv2d/Relu:0", "conv2d_Relu_0"}};
    bl_context *ctx = *state;
    bli_names *names;
    assert_ok(ctx, bli_names_create(ctx, &names));
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        const char *given;
        assert_ok(ctx, bli_names_take(names, cases[i].wanted, &given));
        assert_string_equal(given, cases[i].given);
    }
    bli_names_destroy(names);
}

static bool is_identifier(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        bool digit = s[i] >= '0' && s[i] <= '9';
        if (!letter && !(i > 0 && digit) && !(i > 0 && s[i] == '_' && s[i - 1] != '_'))
            return false;
    }
    return n > 0 && n <= BLI_NAME_LONGEST;
}

static void hostile_and_endless_names_give_identifiers_only(void **state)
{
    bl_context *ctx = *state;
    bli_names *names;
    char wanted[300];
    const char *given;
    assert_ok(ctx, bli_names_create(ctx, &names));
    for (unsigned i = 0; i < 5000; i++) {
        size_t n = i % 7 == 0 ? 299 : i % 40;
        for (size_t k = 0; k < n; k++)
            wanted[k] = (char)((i * 31 + k * k * 17 + k) % 255 + 1);
        wanted[n] = '\0';
        assert_ok(ctx, bli_names_take(names, wanted, &given));
        assert_true(is_identifier(given));
    }
    assert_ok(ctx, bli_names_take(names, "x */ system(\"rm\"); /*", &given));
    assert_string_equal(given, "x_system_rm");
    bli_names_destroy(names);
}

static void no_name_is_given_twice(void **state)
{
    bl_context *ctx = *state;
    bli_names *names;
    const char *given[600];
    assert_ok(ctx, bli_names_create(ctx, &names));
    for (int i = 0; i < 600; i++)
        assert_ok(ctx, bli_names_take(names, i % 3 == 0 ? "a" : i % 3 == 1 ? "A_2" : "a/3", &given[i]));
    for (int i = 0; i < 600; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(strcasecmp(given[i], given[k]), 0);
    bli_names_destroy(names);
}

static bl_status take_many(bl_context *ctx, void *arg)
{
    (void)arg;
    bli_names *names;
    const char *given;
    BLI_TRY(bli_names_create(ctx, &names));
    bl_status s = BL_OK;
    for (int i = 0; i < 3000 && s == BL_OK; i++)
        s = bli_names_take(names, "layer", &given);
    bli_names_destroy(names);
    return s;
}

static void names_survive_failing_allocations(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(take_many, NULL) > 2);
}

static void what_stands_in_a_comment_cannot_end_it(void **state)
{
    (void)state;
    char buf[64], tiny[4];
    assert_string_equal(bli_text_safe("fc1/bias (dense), 3", buf, sizeof buf), "fc1/bias (dense), 3");
    assert_string_equal(bli_text_safe("*/ int x; /*", buf, sizeof buf), "_/ int x_ /_");
    assert_string_equal(bli_text_safe("a\\\nb?\?/\"`$", buf, sizeof buf), "a__b__/___");
    assert_string_equal(bli_text_safe("abcdef", tiny, sizeof tiny), "abc");
}

static void text_is_indented_and_templates_are_filled(void **state)
{
    bl_context *ctx = *state;
    bli_text t;
    static const bli_text_key keys[] = {{"NAME", "net"}, {"N", "3"}};
    static const int64_t numbers[] = {1, -2, INT64_MIN};
    bli_text_init(&t, ctx);
    bli_text_open(&t, "void f(void) {");
    bli_text_line(&t, "return %d;", 1);
    bli_text_line(&t, "#if 1");
    bli_text_numbers(&t, numbers, 3);
    bli_text_close(&t, "}");
    bli_text_template(&t, "@NAME@ has @N@, not @M@; always @(posedge @N@", keys, 2);
    assert_ok(ctx, bli_text_status(&t));
    assert_string_equal(t.buf.data, "void f(void) {\n    return 1;\n#if 1\n    1, -2, -9223372036854775807 - 1\n}\n"
                                    "net has 3, not @M@; always @(posedge 3");
    bli_text_free(&t);
}

static void lines_of_numbers_end_in_time(void **state)
{
    bl_context *ctx = *state;
    bli_text t;
    int64_t numbers[500];
    for (int i = 0; i < 500; i++)
        numbers[i] = i * i * (i % 2 ? -1 : 1);
    bli_text_init(&t, ctx);
    t.depth = 1;
    bli_text_numbers(&t, numbers, 500);
    for (const char *line = t.buf.data; *line; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 120);
        assert_true(strncmp(line, "    ", 4) == 0);
    }
    bli_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_becomes_an_identifier_like_it, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(hostile_and_endless_names_give_identifiers_only, context_set_up,
                                        context_tear_down),
        cmocka_unit_test_setup_teardown(no_name_is_given_twice, context_set_up, context_tear_down),
        cmocka_unit_test(names_survive_failing_allocations),
        cmocka_unit_test(what_stands_in_a_comment_cannot_end_it),
        cmocka_unit_test_setup_teardown(text_is_indented_and_templates_are_filled, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(lines_of_numbers_end_in_time, context_set_up, context_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
