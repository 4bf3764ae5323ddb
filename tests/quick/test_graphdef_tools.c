/* test_graphdef_tools.c: TensorFlow graphs compared and summarized. */
#include "support/test.h"

#include "bitlathe/bitlathe.h"
#include "support/memory.h"

/* Three nodes; what a case changes is put in by words. */
#define NODE(name, op, rest) "node { name: '" name "' op: '" op "' " rest " } "
#define TYPE(key, type)      "attr { key: '" key "' value { type: " type " } } "
#define PLACEHOLDER                                                                                                    \
    NODE("x", "Placeholder",                                                                                           \
         TYPE("dtype", "DT_FLOAT") "attr { key: 'shape' value { shape { dim { size: -1 } dim { size: 3 } } } }")
#define CONST(name, tensor)                                                                                            \
    NODE(name, "Const", TYPE("dtype", "DT_FLOAT") "attr { key: 'value' value { tensor { " tensor " } } }")
#define WEIGHTS        "dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 2 } } float_val: [1, 2, 3, 4, 5, 6]"
#define MATMUL(inputs) NODE("y", "MatMul", "input: [" inputs "] " TYPE("T", "DT_FLOAT"))
#define NET            PLACEHOLDER CONST("w", WEIGHTS) MATMUL("'x', 'w'")

static bl_graphdef *parse(bl_context *ctx, const char *text)
{
    bl_graphdef *g;
    assert_ok(ctx, bl_graphdef_read_memory(ctx, text, strlen(text), &g));
    return g;
}

static bl_context *context(void)
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    return ctx;
}

/* ---- comparison ------------------------------------------------------------------------------------------------ */

static void check_difference(const char *a, const char *b, int ulps, const char *words)
{
    bl_context *ctx = context();
    bl_graphdef *x = parse(ctx, a), *y = parse(ctx, b);
    char *difference;
    assert_ok(ctx, bl_graphdef_compare(x, y, ulps, &difference));
    if ((difference == NULL) != (words == NULL) || (words && !strstr(difference, words)))
        print_error("expected '%s', got '%s'\n", words ? words : "equal", difference ? difference : "equal");
    if (words)
        assert_non_null(difference);
    else
        assert_null(difference);
    assert_true(!words || strstr(difference, words));
    bl_text_free(ctx, difference);
    bl_graphdef_destroy(x);
    bl_graphdef_destroy(y);
    bl_context_destroy(ctx);
}

static void what_does_not_count_is_equal(void **state)
{
    (void)state;
    static const char *const equal[] = {
        NET,
        MATMUL("'x:0', 'w'") CONST("w", WEIGHTS) PLACEHOLDER,
        NET "versions { producer: 9 } library { function { signature { name: 'f' } } }",
        PLACEHOLDER CONST("w", WEIGHTS)
            NODE("y", "MatMul", "input: ['x', 'w'] " TYPE("T", "DT_FLOAT") TYPE("_own", "DT_INT32")),
        PLACEHOLDER CONST("w",
                          "dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 2 name: 'n' } } tensor_content: "
                          "'\\000\\000\\200\\077\\000\\000\\000\\100\\000\\000\\100\\100\\000\\000\\200\\100\\000\\000"
                          "\\240\\100\\000\\000\\300\\100'") MATMUL("'x', 'w'"),
    };
    for (size_t i = 0; i < BLI_COUNT(equal); i++)
        check_difference(NET, equal[i], 0, NULL);
    check_difference(MATMUL("'x', 'w', '^x', '^w'") PLACEHOLDER CONST("w", WEIGHTS),
                     MATMUL("'x', 'w', '^w', '^x'") PLACEHOLDER CONST("w", WEIGHTS), 0, NULL);
}

static void the_first_difference_is_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {PLACEHOLDER CONST("w", WEIGHTS), "node 'y' (MatMul) is only in the first graph"},
        {NET NODE("z", "NoOp", ""), "node 'z' (NoOp) is only in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) NODE("y", "Add", "input: ['x', 'w'] " TYPE("T", "DT_FLOAT")),
         "node 'y' is MatMul, and Add in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS)
             NODE("y", "MatMul", "device: '/gpu:0' input: ['x', 'w'] " TYPE("T", "DT_FLOAT")),
         "node 'y' is on device '', and on '/gpu:0' in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) MATMUL("'x'"), "node 'y' has 2 inputs, and 1 in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) MATMUL("'x:1', 'w'"), "input 0 is 'x', and 'x:1' in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) MATMUL("'x', 'w', '^x'"),
         "the control input '^x' is only in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) NODE("y", "MatMul", "input: ['x', 'w']"),
         "attribute 'T' is only in the first graph"},
        {PLACEHOLDER CONST("w", WEIGHTS)
             NODE("y", "MatMul", "input: ['x', 'w'] " TYPE("T", "DT_FLOAT") TYPE("U", "DT_FLOAT")),
         "attribute 'U' is only in the second graph"},
        {PLACEHOLDER CONST("w", WEIGHTS) NODE("y", "MatMul", "input: ['x', 'w'] " TYPE("T", "DT_HALF")),
         "node 'y' (MatMul): attribute 'T' has another value"},
        {PLACEHOLDER CONST(
             "w", "dtype: DT_FLOAT tensor_shape { dim { size: 2 } dim { size: 3 } } float_val: [1, 2, 3, 4, 5, 6]")
             MATMUL("'x', 'w'"),
         "node 'w' (Const): attribute 'value' has another value"},
        {PLACEHOLDER CONST(
             "w", "dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 2 } } float_val: [1, 2, 3, 4, 5, 7]")
             MATMUL("'x', 'w'"),
         "node 'w' (Const): attribute 'value' has another value"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        check_difference(NET, cases[i][0], 0, cases[i][1]);
}

static void floats_may_be_some_ulps_apart(void **state)
{
    (void)state;
    check_difference(CONST("w", "dtype: DT_FLOAT float_val: 1"), CONST("w", "dtype: DT_FLOAT float_val: 1.00000024"), 2,
                     NULL);
    check_difference(CONST("w", "dtype: DT_FLOAT float_val: 1"), CONST("w", "dtype: DT_FLOAT float_val: 1.00000024"), 1,
                     "has another value");
    check_difference(CONST("w", "dtype: DT_FLOAT float_val: 1e-45"), CONST("w", "dtype: DT_FLOAT float_val: -1e-45"), 2,
                     NULL);
    check_difference(CONST("w", "dtype: DT_FLOAT float_val: nan"), CONST("w", "dtype: DT_FLOAT float_val: -nan"), 1,
                     NULL);
    check_difference(CONST("w", "dtype: DT_FLOAT float_val: nan"), CONST("w", "dtype: DT_FLOAT float_val: 1"), 1,
                     "has another value");
}

/* ---- summary --------------------------------------------------------------------------------------------------- */

static void a_summary_has_inputs_outputs_parameters_and_operators(void **state)
{
    (void)state;
    bl_context *ctx = context();
    bl_graphdef *g = parse(
        ctx, NET NODE("v", "VariableV2",
                      "device: '/cpu:0' " TYPE("dtype",
                                               "DT_INT32") "attr { key: 'shape' value { shape { dim { size: 5 } } } }")
                 NODE("n", "NoOp", "input: ['^y', '^gone'] device: '/cpu:0'") NODE("out", "Identity", "input: 'y'")
                     NODE("side", "Identity", "input: 'y:1'") "library { function { signature { name: 'f' } node_def { "
                                                              "name: 'a' op: 'Identity' } } }");
    bl_graphdef_summary *s;
    assert_ok(ctx, bl_graphdef_summarize(g, &s));
    const bl_graphdef_summary_info *i = bl_graphdef_summary_get(s);
    assert_int_equal(i->num_inputs, 1);
    assert_string_equal(i->inputs[0].name, "x");
    assert_string_equal(i->inputs[0].type, "float");
    assert_string_equal(i->inputs[0].shape, "[?,3]");
    assert_string_equal(i->inputs[0].sizes, "-1,3");
    assert_int_equal(i->num_variables, 1);
    assert_string_equal(i->variables[0].shape, "[5]");
    assert_int_equal(i->num_outputs, 3); /* v, out, side: a variable that nobody reads is one too */
    assert_string_equal(i->outputs[1].name, "out");
    assert_int_equal(i->const_parameters, 6);
    assert_int_equal(i->variable_parameters, 5);
    assert_int_equal(i->control_edges, 2);
    assert_int_equal(i->num_devices, 1);
    assert_int_equal(i->devices[0].count, 2);
    assert_string_equal(i->ops[0].name, "Identity");
    assert_int_equal(i->ops[0].count, 3);
    assert_string_equal(i->ops[1].name, "Const");
    assert_int_equal(i->num_bad_inputs, 1);
    assert_string_equal(i->bad_inputs[0].node, "n");
    assert_string_equal(i->bad_inputs[0].input, "^gone");
    bl_graphdef_summary_destroy(s);
    bl_graphdef_destroy(g);
    bl_context_destroy(ctx);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static bl_status run_all(bl_context *ctx, void *arg)
{
    bl_graphdef *g, *h = NULL;
    bl_graphdef_summary *summary = NULL;
    char *difference = NULL;
    (void)arg;
    bl_status s = bl_graphdef_read_memory(ctx, NET, strlen(NET), &g);
    if (s == BL_OK)
        s = bl_graphdef_read_memory(ctx, NET NODE("z", "NoOp", ""), strlen(NET NODE("z", "NoOp", "")), &h);
    if (s == BL_OK)
        s = bl_graphdef_compare(g, h, 0, &difference);
    if (s == BL_OK)
        s = bl_graphdef_summarize(g, &summary);
    bl_graphdef_summary_destroy(summary);
    bl_text_free(ctx, difference);
    bl_graphdef_destroy(g);
    bl_graphdef_destroy(h);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(run_all, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_count_is_equal),
        cmocka_unit_test(the_first_difference_is_told),
        cmocka_unit_test(floats_may_be_some_ulps_apart),
        cmocka_unit_test(a_summary_has_inputs_outputs_parameters_and_operators),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
