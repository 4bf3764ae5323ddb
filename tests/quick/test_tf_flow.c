/* test_tf_flow.c: branches, loops and functions in TensorFlow graphs: what they give, and what is refused. */
#include "support/test.h"

#include "support/memory.h"
#include "tf/session.h"

/* Graphs as text, laid out by hand. */
/* clang-format off */
#define T "attr { key: 'T' value { type: DT_INT32 } } "
#define CONST(name, v)                                                                                                 \
    "node { name: '" name "' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } attr { key: 'value' value { "  \
    "tensor { dtype: DT_INT32 tensor_shape {} int_val: " v " } } } }\n"
#define NODE(name, op, rest) "node { name: '" name "' op: '" op "' " rest " }\n"
#define ENTER(name, input, frame)                                                                                      \
    NODE(name, "Enter", "input: '" input "' " T "attr { key: 'frame_name' value { s: '" frame "' } }")
#define FUNC(attr, name) "attr { key: '" attr "' value { func { name: '" name "' } } } "
#define INTS(attr)       "attr { key: '" attr "' value { list { type: DT_INT32 } } } "
#define ARG(name)        "_arg { name: '" name "' type: DT_INT32 } "

/* i = 0; while (i < 10) i = i + `step`. */
#define LOOP(step)                                                                                                     \
    CONST("zero", "0")                                                                                                 \
    ENTER("enter", "zero", "loop")                                                                                     \
    NODE("merge", "Merge", "input: 'enter' input: 'next' " T)                                                          \
    CONST("ten", "10") ENTER("limit", "ten", "loop") NODE("less", "Less", "input: 'merge' input: 'limit' " T)          \
        NODE("cond", "LoopCond", "input: 'less'") NODE("switch", "Switch", "input: 'merge' input: 'cond' " T)          \
            CONST("step", step) ENTER("by", "step", "loop") NODE("add", "Add", "input: 'switch:1' input: 'by' " T)     \
                NODE("next", "NextIteration", "input: 'add' " T) NODE("y", "Exit", "input: 'switch' " T)
/* clang-format on */

static bl_status run_limited(bl_context *ctx, const char *text, size_t most_turns, int32_t *out)
{
    const bli_tf_session_options o = {.most_turns = most_turns};
    const char *fetch = "y";
    bli_tf_store *store = NULL;
    bli_tf_graph *g;
    bli_tf_session *s = NULL;
    bli_tf_array y = {.dtype = 0};
    bl_status status = bli_tf_store_create(ctx, &store);
    if (status == BL_OK)
        status = bli_tf_graph_decode(store, text, strlen(text), &g);
    if (status == BL_OK)
        status = bli_tf_session_create(g, &o, &s);
    for (int i = 0; status == BL_OK && i < 2; i++) { /* a second run begins anew */
        bli_tf_array_release(&y);
        status = bli_tf_session_run(s, NULL, 0, &fetch, 1, &y);
    }
    if (status == BL_OK && y.data && y.dtype == BLI_DT_INT32)
        *out = *(const int32_t *)y.data;
    bli_tf_array_release(&y);
    bli_tf_session_destroy(s);
    bli_tf_store_destroy(store);
    return status;
}

static int32_t run(const char *text)
{
    bl_context *ctx;
    int32_t y = INT32_MIN;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, run_limited(ctx, text, 0, &y));
    bl_context_destroy(ctx);
    return y;
}

static void refused(const char *text, bl_status status, const char *words)
{
    bl_context *ctx;
    int32_t y;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_fails(ctx, status, words, run_limited(ctx, text, 1000, &y));
    bl_context_destroy(ctx);
}

/* clang-format off */
static const char *const adds_three = "node { name: 'y' op: 'PartitionedCall' input: 'two' " INTS("Tin") INTS("Tout")
    FUNC("f", "f") "}\n" CONST("two", "2") "library { function { signature { name: 'f' input" ARG("x") "output" ARG(
        "z") "} node_def { name: 'sum' op: 'Add' "
             "input: 'x' input: 'three:output:0' " T
             "} node_def { name: 'three' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } "
             "attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 3 } } } } "
             "ret { key: 'z' value: 'sum:z:0' } } }";

/* y = While(x: x < 10, x: x + x) from 3 */
static const char *const doubles =
    CONST("x", "3") "node { name: 'y' op: 'StatelessWhile' input: 'x' " INTS("T") FUNC("cond", "c")
        FUNC("body", "b") "}\n"
                          "library { function { signature { name: 'c' input" ARG(
                              "x") "output_arg { name: 'z' type: DT_BOOL } } "
                                   "node_def { name: 'ten' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } "
                                   "attr { key: 'value' value { tensor { "
                                   "dtype: DT_INT32 tensor_shape {} int_val: 10 } } } } node_def { name: 'l' op: "
                                   "'Less' input: 'x' input: 'ten:output:0' " T
                                   "} ret { key: 'z' value: 'l:z:0' } } function { signature { name: 'b' input" ARG(
                                       "x") "output" ARG("z") "} "
                                                              "node_def { name: 's' op: 'Add' input: 'x' input: 'x' " T
                                                              "} ret { key: 'z' value: 's:z:0' } } }";
/* clang-format on */

static void loops_and_functions_compute(void **state)
{
    (void)state;
    assert_int_equal(run(LOOP("3")), 12);
    assert_int_equal(run(LOOP("10")), 10);
    assert_int_equal(run(adds_three), 5);
    assert_int_equal(run(doubles), 12);
}

/* clang-format off */
#define CHOICE(which)                                                                                                  \
    CONST("a", "1")                                                                                                    \
    CONST("b", which)                                                                                                  \
    NODE("p", "Equal", "input: 'a' input: 'b' " T)                                                                     \
    NODE("s", "Switch", "input: 'a' input: 'p' " T) NODE("no", "Identity", "input: 's' " T)                            \
        NODE("yes", "Identity",                                                                                        \
             "input: 's:1' " T) "node { name: 'c0' op: 'Const' input: '^no' attr { key: 'dtype' value { type: "        \
                                "DT_INT32 } } attr { key: 'value' "                                                    \
                                "value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 70 } } } }\n"               \
                                "node { name: 'c1' op: 'Const' input: '^yes' attr { key: 'dtype' value { type: "       \
                                "DT_INT32 } } attr { key: 'value' "                                                    \
                                "value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 71 } } } }\n" NODE(         \
                                    "y", "Merge", "input: 'c0' input: 'c1' " T)
/* clang-format on */

static void a_constant_behind_a_branch_lives_with_it(void **state)
{
    (void)state;
    assert_int_equal(run(CHOICE("1")), 71);
    assert_int_equal(run(CHOICE("2")), 70);
}

static void what_cannot_run_is_refused(void **state)
{
    (void)state;
    refused(LOOP("0"), BL_LIMIT, "loop 'loop': loops turned more than 1000 times");
    refused(CONST("c", "1") NODE("y", "Exit", "input: 'c' " T), BL_BAD_MODEL, "it leaves no loop");
    refused(CONST("c", "1") ENTER("a", "c", "one") ENTER("b", "c", "two") NODE("y", "Add", "input: 'a' input: 'b' " T),
            BL_BAD_MODEL, "its inputs are from loops 'one' and 'two'");
    refused(CONST("c", "1") NODE("y", "Switch", "input: 'c' input: 'c' " T), BL_BAD_MODEL, "expected one bool");
    refused("node { name: 'y' op: 'PartitionedCall' " INTS("Tin") INTS("Tout") FUNC("f", "g") "}", BL_NOT_FOUND,
            "function 'g': it is not in the graph's library");
    refused("node { name: 'y' op: 'PartitionedCall' " INTS("Tout")
                FUNC("f", "f") "}\n library { function { signature { name: 'f' output" ARG(
                    "z") "} node_def { name: 'again' op: 'PartitionedCall' " INTS("Tout")
                    FUNC("f", "f") "} ret { key: 'z' value: 'again:output:0' } } }",
            BL_LIMIT, "functions call each other 32 deep");
    refused(
        CONST("n", "2") CONST(
            "i",
            "2") "node { name: 'a' op: 'TensorArrayV3' input: 'n' attr { key: 'dtype' value { type: DT_INT32 } } }\n"
                 "node { name: 'y' op: 'TensorArrayReadV3' input: 'a' input: 'i' input: 'a:1' attr { key: 'dtype' "
                 "value { type: DT_INT32 } } }",
        BL_BAD_VALUE, "element 2 of a list of 2");
    refused(CONST("n", "2") "node { name: 'y' op: 'TensorListLength' input: 'n' }", BL_BAD_MODEL,
            "expected a list of tensors");
    refused(
        CONST("n",
              "-5") "node { name: 'y' op: 'TensorArrayV3' input: 'n' attr { key: 'dtype' value { type: DT_INT32 } } }",
        BL_LIMIT, "a list of -5 tensors");
}

/* A write of a list into itself would never end. */
static void a_list_holds_no_lists(void **state)
{
    (void)state;
    refused(
        CONST("n", "1") CONST(
            "i",
            "0") "node { name: 'a' op: 'TensorArrayV3' input: 'n' attr { key: 'dtype' value { type: DT_RESOURCE } } }\n"
                 "node { name: 'y' op: 'TensorArrayWriteV3' input: 'a' input: 'i' input: 'a' input: 'a:1' }",
        BL_BAD_VALUE, "as element 0 of a list");
}

static bl_status everything(bl_context *ctx, void *user)
{
    int32_t y;
    (void)user;
    BLI_TRY(run_limited(ctx, LOOP("5"), 0, &y));
    BLI_TRY(run_limited(ctx, doubles, 0, &y));
    return run_limited(ctx, CHOICE("1"), 0, &y);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(everything, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_and_functions_compute), cmocka_unit_test(a_constant_behind_a_branch_lives_with_it),
        cmocka_unit_test(what_cannot_run_is_refused),  cmocka_unit_test(a_list_holds_no_lists),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
