/* Verification of a model with two inputs, through C and the executors: every end of a range that a sum can reach is
 * reached, and what cannot run on two inputs says so. */
#include "support/test.h"

#include <stdlib.h>

#include "bitlathe/bitlathe.h"

/* y = relu(a W) + b, all on grids */
static const char model[] =
    "graph \"two\"\ninput \"a\" F32 [N, 4]\ninput \"b\" F32 [N, 3]\n"
    "constant \"w\" F32 [4, 3] \"\" = 1 -2 3 -1 0.5 2 -0.5 1 -1.5 2 2 -3\n"
    "node \"aq\" \"Quantize\" \"bitlathe\" (\"a\") -> (\"aq\" F32 [N, 4]) {\"format\" string \"fixed<6,3,RND,SAT>\"}\n"
    "node \"bq\" \"Quantize\" \"bitlathe\" (\"b\") -> (\"bq\" F32 [N, 3]) {\"format\" string \"ufixed<5,4,RND,SAT>\"}\n"
    "node \"m\" \"MatMul\" \"\" (\"aq\" \"w\") -> (\"m\" F32 [N, 3]) {}\n"
    "node \"r\" \"Relu\" \"\" (\"m\") -> (\"r\" F32 [N, 3]) {}\n"
    "node \"y\" \"Add\" \"\" (\"r\" \"bq\") -> (\"y\" F32 [N, 3]) {}\noutput \"y\"\n";

static void a_model_of_two_inputs_is_verified(void **state)
{
    (void)state;
    bl_context *ctx;
    bl_graph *g;
    bl_verify_report r;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, 1);
    assert_ok(ctx, bl_graph_parse(ctx, model, strlen(model), &g));
    assert_ok(ctx, bl_graph_infer(g));
    const bl_verify_options o = {.samples = 20, .simulator = "icarus", .ap_types = "/nowhere"};
    assert_ok(ctx, bl_verify(ctx, g, &o, &r));
    for (int i = 0; i < r.num_paths; i++)
        print_message("%-18s %s\n", r.path[i].name, r.path[i].skip[0] ? r.path[i].skip : "equal");
    assert_string_equal(r.path[0].name, "graph");
    assert_non_null(strstr(r.path[0].skip, "this one has 2"));
    int equal = 0;
    for (int i = 0; i < r.num_paths; i++)
        equal += (strcmp(r.path[i].name, "c") == 0 || strcmp(r.path[i].name, "executor generic") == 0) &&
                 r.path[i].skip[0] == '\0';
    assert_int_equal(equal, 2);
    assert_int_equal(r.ends, 6);
    assert_int_equal(r.reached, 6);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_of_two_inputs_is_verified)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
