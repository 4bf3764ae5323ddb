/* test_pass.c: every pass leaves a graph that verifies and computes what it did; reading, writing and passes survive
 * each allocation's failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bitlathe/bitlathe.h"
#include "support/memory.h"

/* Channels first, with everything that some pass looks for. */
static const char source[] =
    "graph \"g\"\n"
    "input \"x\" F32 [N, 2, 4, 4]\n"
    "parameter \"w\" F32 [3, 2, 3, 3] \"weight\" = 0.5 -1 0.25 1 0 -0.5 2 1 -1 0.5 0.75 -0.25 1 -2 0.5 0 1 1.5 -1 0.5 "
    "0.25 2 -0.5 1 0.125 -1 0.5 1 -0.75 0.5 0.25 -1 2 0.5 1 -0.5 0.25 1 -1 0.5 0.5 -0.25 1 0 2 -1 0.5 0.75 1 -0.5 0.25 "
    "1 -1 0.5\n"
    "parameter \"gamma\" F32 [3] \"gamma\" = 1.5 -0.5 1\n"
    "parameter \"beta\" F32 [3] \"beta\" = 0.25 1 -1\n"
    "state \"mean\" F32 [3] \"mean\" = 0.5 -1 2\n"
    "state \"variance\" F32 [3] \"variance\" = 1 4 0.25\n"
    "constant \"two\" F32 [] \"\" = 2\n"
    "constant \"three\" F32 [] \"\" = 3\n"
    "constant \"half\" F32 [] \"\" = 0.5\n"
    "parameter \"v\" F32 [5, 48] \"weight\" = @\n"
    "parameter \"c\" F32 [5] \"bias\" = 1 2 3 4 5\n"
    "node \"conv\" \"Conv\" \"\" (\"x\" \"w\") -> (\"conv\" F32 ?) {\"kernel_shape\" ints 3 3, \"pads\" ints 1 1 1 1}\n"
    "node \"bn\" \"BatchNormalization\" \"\" (\"conv\" \"gamma\" \"beta\" \"mean\" \"variance\") -> (\"bn\" F32 ?) {}\n"
    "node \"six\" \"Mul\" \"\" (\"two\" \"three\") -> (\"six\" F32 ?) {}\n"
    "node \"scaled\" \"Mul\" \"\" (\"bn\" \"six\") -> (\"scaled\" F32 ?) {}\n"
    "node \"same\" \"Identity\" \"\" (\"scaled\") -> (\"same\" F32 ?) {}\n"
    "node \"drop\" \"Dropout\" \"\" (\"same\" \"half\") -> (\"drop\" F32 ?) {}\n"
    "node \"unused\" \"Relu\" \"\" (\"drop\") -> (\"unused\" F32 ?) {}\n"
    "node \"flat\" \"Flatten\" \"\" (\"drop\") -> (\"flat\" F32 ?) {}\n"
    "node \"fc\" \"Gemm\" \"\" (\"flat\" \"v\" \"c\") -> (\"y\" F32 ?) {\"transB\" int 1}\n"
    "output \"y\"\n";

static bl_status parse(bl_context *ctx, bl_graph **g)
{
    const char *at = strchr(source, '@');
    char *text = malloc(sizeof source + 240 * 8);
    size_t n = (size_t)(at - source);
    if (!text)
        return BL_NO_MEMORY;
    memcpy(text, source, n);
    for (int i = 0; i < 240; i++)
        n += (size_t)sprintf(text + n, "%g ", (i * 7 % 13 - 6) / 8.0);
    strcpy(text + n, at + 1);
    bl_status s = bl_graph_parse(ctx, text, strlen(text), g);
    free(text);
    if (s == BL_OK && (s = bl_graph_infer(*g)) != BL_OK) {
        bl_graph_destroy(*g);
        *g = NULL;
    }
    return s;
}

static void outputs(bl_context *ctx, const bl_graph *given, float y[20])
{
    bl_graph *g;
    bl_runner *r;
    bl_tensor out, x;
    assert_int_equal(bl_graph_clone(given, &g), BL_OK);
    assert_int_equal(bl_graph_pass(g, "channels_last"), BL_OK); /* what runs is channels-last */
    assert_int_equal(bl_tensor_create(ctx, BL_F32, &(bl_shape){4, {4, 2, 4, 4}}, &x), BL_OK);
    for (int i = 0; i < 128; i++)
        ((float *)x.data)[i] = (float)((i * 5 % 17) - 8) / 4;
    bl_status s = bl_runner_create(ctx, g, 4, &r);
    assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
    assert_int_equal(bl_runner_run(r, &x, &out), BL_OK);
    memcpy(y, out.data, 20 * sizeof *y);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &out);
    bl_runner_destroy(r);
    bl_graph_destroy(g);
}

static int count_type(const bl_graph *g, const char *type)
{
    int n = 0;
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        n += strcmp(bl_graph_node(g, i)->type, type) == 0;
    return n;
}

static void test_passes_keep_values(void **state)
{
    (void)state;
    static const struct {
        const char *pass, *gone;
        float slack; /* relative: folding rounds once more */
    } cases[] = {
        {"channels_last", NULL, 0},     {"channels_first", NULL, 0},
        {"fold_constants", NULL, 0},    {"remove_identity", "Identity", 0},
        {"dead_code", "Relu", 0},       {"gemm_to_matmul", "Gemm", 1e-6f},
        {"drop_dropout", "Dropout", 0}, {"fold_batch_norm", "BatchNormalization", 1e-5f},
        {"spell_quant", NULL, 0},       {"find_quant", NULL, 0},
    };
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bl_graph *g;
        float before[20], after[20];
        assert_int_equal(parse(ctx, &g), BL_OK);
        outputs(ctx, g, before);
        bl_status s = bl_graph_pass(g, cases[i].pass);
        assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
        assert_int_equal(bl_graph_verify(g), BL_OK);
        if (cases[i].gone && count_type(g, cases[i].gone))
            fail_msg("%s left a %s", cases[i].pass, cases[i].gone);
        outputs(ctx, g, after);
        for (int k = 0; k < 20; k++) {
            float d = after[k] - before[k], most = cases[i].slack * 100;
            if (!(d <= most && -d <= most))
                fail_msg("%s: output %d is %.9g, was %.9g", cases[i].pass, k, (double)after[k], (double)before[k]);
        }
        bl_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static bl_status all_passes(bl_context *ctx, void *arg)
{
    (void)arg;
    bl_graph *g;
    bl_model_info info;
    bl_status s = parse(ctx, &g);
    for (int i = 0; s == BL_OK && bl_pass_at(i, &info); i++)
        s = bl_graph_pass(g, info.name);
    bl_graph_destroy(g);
    return s;
}

static bl_status write_and_read(bl_context *ctx, void *arg)
{
    static const char quantize[] = "graph \"g\"\ninput \"x\" F32 [N, 3]\nparameter \"s\" F32 [1] \"scale\" = 0.25\n"
                                   "node \"q\" \"Quantize\" \"bitlathe\" (\"x\" \"s\") -> (\"y\" F32 ?) "
                                   "{\"quantizer\" string \"lsq\", \"format\" string \"int<2>\"}\noutput \"y\"\n";
    bl_graph *g, *again = NULL;
    bl_status s = bl_graph_parse(ctx, quantize, sizeof quantize - 1, &g);
    if (s == BL_OK)
        s = bl_graph_infer(g);
    if (s == BL_OK)
        s = bl_model_write(g, arg);
    if (s == BL_OK)
        s = bl_model_read(ctx, arg, &again);
    bl_graph_destroy(again);
    bl_graph_destroy(g);
    return s;
}

static void test_no_memory(void **state)
{
    (void)state;
    char path[] = "/tmp/bitlathe-pass-XXXXXX";
    close(mkstemp(path));
    assert_true(fail_each_allocation(all_passes, NULL) > 100);
    assert_true(fail_each_allocation(write_and_read, path) > 100);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes_keep_values), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests_name("pass", tests, NULL, NULL);
}
