/* test_model.c: ONNX files written and read back; what damaged files say. */
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
#include "support/folder.h"

static bl_context *ctx;

static int set_up(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) != BL_OK;
}

static int tear_down(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

static int tensor(bl_graph *g, const char *name, const char *place, bl_shape shape)
{
    int id;
    bl_tensor t;
    assert_int_equal(bl_tensor_create(ctx, BL_F32, &shape, &t), BL_OK);
    for (int64_t i = 0; i < bl_shape_count(&shape); i++)
        ((float *)t.data)[i] = (float)((i * 7) % 13 - 6) / 8;
    assert_int_equal(bl_graph_add_tensor(g, name, BL_ROLE_PARAMETER, place, &t, &id), BL_OK);
    bl_tensor_free(ctx, &t);
    return id;
}

static int node(bl_graph *g, const char *name, const char *type, const char *domain, const int *in, int n,
                const bl_attr *attrs, int num_attrs)
{
    int out;
    bl_node spec = {name, type, domain, n, 1, num_attrs, in, NULL, attrs};
    const char *names[1] = {name};
    assert_int_equal(bl_graph_add_node(g, &spec, names, &out), BL_OK);
    return out;
}

#define NODE(g, name, type, domain, attrs, n, ...)                                                                     \
    node(g, name, type, domain, (const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)),   \
         attrs, n)

/* A small network as recipes build it: images channels-last, a residual, a dense head. */
static bl_graph *network(void)
{
    static const char last[] = "qonnx.custom_op.channels_last";
    static const int64_t kernel[] = {3, 3}, pads[] = {1, 1, 1, 1}, two[] = {2, 2};
    static const bl_attr conv[] = {{"kernel_shape", BL_ATTR_INTS, 2, {.ints = kernel}},
                                   {"pads", BL_ATTR_INTS, 4, {.ints = pads}}};
    static const bl_attr pool[] = {{"kernel_shape", BL_ATTR_INTS, 2, {.ints = two}},
                                   {"strides", BL_ATTR_INTS, 2, {.ints = two}}};
    bl_graph *g;
    int x;
    assert_int_equal(bl_graph_create(ctx, "net", &g), BL_OK);
    assert_int_equal(bl_graph_add_input(g, "x", BL_F32, &(bl_shape){4, {-1, 8, 8, 3}}, &x), BL_OK);
    int w1 = tensor(g, "conv1.weight", "weight", (bl_shape){4, {4, 3, 3, 3}});
    int b1 = tensor(g, "conv1.bias", "bias", (bl_shape){1, {4}});
    int w2 = tensor(g, "conv2.weight", "weight", (bl_shape){4, {4, 4, 3, 3}});
    int w3 = tensor(g, "fc.weight", "weight", (bl_shape){2, {64, 5}});
    int b3 = tensor(g, "fc.bias", "bias", (bl_shape){1, {5}});
    int c1 = NODE(g, "conv1", "Conv", last, conv, 2, x, w1, b1), r1 = NODE(g, "relu1", "Relu", "", NULL, 0, c1);
    int c2 = NODE(g, "conv2", "Conv", last, conv, 2, r1, w2), sum = NODE(g, "add", "Add", "", NULL, 0, c2, r1);
    int p = NODE(g, "pool", "MaxPool", last, pool, 2, sum), f = NODE(g, "flat", "Flatten", "", NULL, 0, p);
    int d = NODE(g, "fc", "MatMul", "", NULL, 0, f, w3), y = NODE(g, "fc/bias", "Add", "", NULL, 0, d, b3);
    assert_int_equal(bl_graph_set_outputs(g, &y, 1), BL_OK);
    assert_int_equal(bl_graph_set_meta(g, "note", "kept"), BL_OK);
    assert_int_equal(bl_graph_infer(g), BL_OK);
    return g;
}

static char *printed(const bl_graph *g)
{
    char *text;
    assert_int_equal(bl_graph_print(g, &text), BL_OK);
    return text;
}

static void slurp(const char *path, char **data, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *data = malloc(1 << 20);
    *size = fread(*data, 1, 1 << 20, f);
    fclose(f);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[] = "/tmp/bitlathe-model-XXXXXX";
    close(mkstemp(path));
    bl_graph *g = network(), *again;
    bl_status s = bl_model_write(g, path);
    assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
    s = bl_model_read(ctx, path, &again);
    assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
    char *a = printed(g), *b = printed(again), *first, *second;
    size_t n1, n2;
    assert_string_equal(a, b);
    slurp(path, &first, &n1);
    assert_int_equal(bl_model_write(again, path), BL_OK);
    slurp(path, &second, &n2);
    assert_int_equal(n1, n2);
    assert_memory_equal(first, second, n1);
    for (size_t cut = 0; cut < n1; cut += 3) { /* truncated anywhere: a message or, by chance, a smaller graph */
        bl_graph *part;
        if (bl_model_read_memory(ctx, first, cut, &part) != BL_OK)
            assert_true(strlen(bl_context_message(ctx)) > 12);
        bl_graph_destroy(part);
    }
    free(first);
    free(second);
    bl_text_free(ctx, a);
    bl_text_free(ctx, b);
    bl_graph_destroy(again);
    bl_graph_destroy(g);
    unlink(path);
}

/* x -> Quantize -> y and Quantize(w), both of one format. */
static bl_graph *quantized(const char *quantizer, const char *format, bool weight)
{
    bl_graph *g;
    int x;
    assert_int_equal(bl_graph_create(ctx, "q", &g), BL_OK);
    assert_int_equal(bl_graph_add_input(g, "x", BL_F32, &(bl_shape){2, {-1, 6}}, &x), BL_OK);
    bl_attr attrs[3] = {{"quantizer", BL_ATTR_STRING, 1, {.s = quantizer}},
                        {"format", BL_ATTR_STRING, 1, {.s = format}},
                        {"scale", BL_ATTR_STRING, 1, {.s = "learned"}}};
    float step[4] = {0.3f, 0.25f, 0.07f, 1.1f};
    bool learned = strcmp(quantizer, "lsq") == 0;
    int in[2], w = tensor(g, "w", "weight", (bl_shape){2, {6, 4}});
    in[1] = -1;
    if (learned) {
        bl_tensor t = {BL_F32, {1, {1}}, step};
        assert_int_equal(bl_graph_add_tensor(g, "s", BL_ROLE_PARAMETER, "scale", &t, &in[1]), BL_OK);
    }
    in[0] = weight ? w : x;
    int q = node(g, "q", "Quantize", "bitlathe", in, learned ? 2 : 1, attrs, format[0] ? (learned ? 3 : 2) : 1);
    int mul = NODE(g, "fc", "MatMul", "", NULL, 0, weight ? x : q, weight ? q : w);
    assert_int_equal(bl_graph_set_outputs(g, &mul, 1), BL_OK);
    bl_status s = bl_graph_infer(g);
    assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
    return g;
}

static void round_trip_quantizer(const char *quantizer, const char *format, bool weight, const char *refusal)
{
    char path[] = "/tmp/bitlathe-model-XXXXXX";
    close(mkstemp(path));
    bl_graph *g = quantized(quantizer, format, weight), *again = NULL, *third = NULL;
    bl_status s = bl_model_write(g, path);
    const char *message = s == BL_OK ? "" : bl_context_message(ctx);
    if (refusal[0] ? !strstr(message, refusal) : message[0])
        fail_msg("%s %s: '%s', expected '%s'", quantizer, format, message, refusal);
    if (s == BL_OK) {
        assert_int_equal(bl_model_read(ctx, path, &again), BL_OK);
        if (bl_graph_find_node(again, "q") < 0 ||
            strcmp(bl_graph_node(again, bl_graph_find_node(again, "q"))->type, "Quantize") != 0)
            fail_msg("%s %s: the Quantize node did not come back", quantizer, format);
        assert_int_equal(bl_model_write(again, path), BL_OK);
        assert_int_equal(bl_model_read(ctx, path, &third), BL_OK);
        char *a = printed(again), *b = printed(third);
        assert_string_equal(a, b);
        bl_text_free(ctx, a);
        bl_text_free(ctx, b);
    }
    bl_graph_destroy(g);
    bl_graph_destroy(again);
    bl_graph_destroy(third);
    unlink(path);
}

static void test_quantizers_come_back(void **state)
{
    (void)state;
    static const char *const rounding[] = {"TRN",     "TRN_ZERO",    "RND",      "RND_ZERO",
                                           "RND_INF", "RND_MIN_INF", "RND_CONV", "STOCHASTIC"};
    static const char *const overflow[] = {"WRAP", "SAT", "SAT_ZERO", "SAT_SYM", "WRAP_SM"};
    char format[64];
    for (int q = 0; q < 8; q++)
        for (int o = 0; o < 5; o++)
            for (int u = 0; u < (o == 4 ? 1 : 2); u++) {
                if (q != 2 && o != 1) /* every write waits for the disk: the other pairs are in tests/check */
                    continue;
                snprintf(format, sizeof format, "%sfixed<5,2,%s,%s>", u ? "u" : "", rounding[q], overflow[o]);
                round_trip_quantizer("ste", format, false, "");
                if (u == 0)
                    round_trip_quantizer("ste", format, true, "");
            }
    static const char *const others[] = {
        "int<4>",      "uint<3>",     "int<1>",      "binary",    "ternary",
        "float<e4m3>", "float<e5m2>", "float<e2m1>", "affine<8>", "fixed<12,4,RND,WRAP>",
        "float32"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        for (int weight = 0; weight < 2; weight++)
            if (weight || strcmp(others[i], "float32") != 0)
                round_trip_quantizer("ste", others[i], weight, "");
    round_trip_quantizer("ste", "po2<4>", true, "");
    round_trip_quantizer("ste", "mx<e4m3,2>", true, "");
    round_trip_quantizer("ste", "mx<e4m3,2>", false, "");
    round_trip_quantizer("ste", "mx<int8,32>", false, "");
    round_trip_quantizer("ste", "mx<e2m1,4,RND_CONV,UP>", true, "");
    round_trip_quantizer("ste", "mx<e4m3,4,RND_CONV,UP>", false, "");
    round_trip_quantizer("ste", "mx<int8,4,RND_CONV,UP>", false, "");
    round_trip_quantizer("ste", "po2<4>", false, "");
    round_trip_quantizer("bernoulli", "", false, "");
    round_trip_quantizer("ste", "fixed<24,4,RND,SAT>", false, "");
    round_trip_quantizer("ste", "ufixed<24,4,RND_ZERO,WRAP>", false, "");
    round_trip_quantizer("ste", "fixed<23,4,RND,WRAP_SM>", false, "");
    round_trip_quantizer("lsq", "int<4>", false, "");
    round_trip_quantizer("lsq", "int<4>", true, "");
    round_trip_quantizer("dorefa", "", false, "");
}

static const char wide_model[] = "graph \"g\"\n"
                                 "input \"x\" F32 [N, 2]\n"
                                 "parameter \"w\" F32 [2, 2] \"weight\" = 100 0.3 1 -2\n"
                                 "node \"q\" \"Quantize\" \"bitlathe\" (\"w\") -> (\"wq\" F32 ?) {%s}\n"
                                 "node \"fc\" \"MatMul\" \"\" (\"x\" \"wq\") -> (\"fc\" F32 ?) {}\n"
                                 "node \"a\" \"%s\" \"%s\" (\"fc\") -> (\"y\" F32 ?) {%s}\n"
                                 "output \"y\"\n";

static bl_dtype written_type(const bl_graph *g)
{
    const char *path = temp_path("wide.onnx");
    bl_graph *again;
    assert_int_equal(bl_model_write(g, path), BL_OK);
    assert_int_equal(bl_model_read(ctx, path, &again), BL_OK);
    bl_dtype type = bl_graph_value(again, bl_graph_input(again, 0))->type;
    assert_true(bl_graph_find_node(again, "q") >= 0); /* the quantizer came back */
    bl_graph_destroy(again);
    return type;
}

/* Double precision where a value needs it, and only there; what no runner does in it is refused by name. */
static void test_values_beyond_float32(void **state)
{
    (void)state;
    static const struct {
        const char *weight, *node, *domain, *attrs;
        bl_dtype type;
        const char *refusal;
    } cases[] = {
        {"fixed<24,4,RND,SAT>", "Relu", "", "", BL_F32, NULL},
        {"fixed<30,10,RND,SAT>", "Relu", "", "", BL_F32, NULL}, /* a wide format, but floats all of them */
        {"fixed<30,4,RND,SAT>", "Relu", "", "", BL_F64, NULL},  /* 2^3 - 2^-26 */
        {"int<4>", "Quantize", "bitlathe", "\"format\" string \"fixed<28,4,TRN,SAT>\"", BL_F64, NULL},
        {"int<4>", "Quantize", "bitlathe", "\"format\" string \"fixed<28,4,TRN,WRAP>\"", BL_F64, "node 'a'"},
        {"fixed<30,4,RND,SAT>", "Elu", "", "", BL_F64, "node 'a'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024], weight[80];
        bl_graph *g;
        snprintf(weight, sizeof weight, "\"format\" string \"%s\"", cases[i].weight);
        snprintf(text, sizeof text, wide_model, weight, cases[i].node, cases[i].domain, cases[i].attrs);
        assert_int_equal(bl_graph_parse(ctx, text, strlen(text), &g), BL_OK);
        bl_status s = bl_model_check(g);
        if (s != (cases[i].refusal ? BL_UNSUPPORTED : BL_OK))
            fail_msg("case %zu: %s", i, bl_context_message(ctx));
        if (cases[i].refusal)
            assert_non_null(strstr(bl_context_message(ctx), cases[i].refusal));
        else
            assert_int_equal(written_type(g), cases[i].type);
        bl_graph_destroy(g);
    }
}

static void test_passes_are_listed(void **state)
{
    (void)state;
    bl_model_info info;
    int count = 0;
    while (bl_pass_at(count, &info))
        assert_true(info.name[0] && info.help[0] && count++ < 100);
    assert_true(count >= 8);
    bl_graph *g = network();
    assert_int_equal(bl_graph_pass(g, "dead_cod"), BL_NOT_FOUND);
    assert_string_equal(bl_context_message(ctx), "no pass 'dead_cod'; did you mean dead_code");
    bl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_passes_are_listed),
                                       cmocka_unit_test(test_quantizers_come_back),
                                       cmocka_unit_test(test_values_beyond_float32)};
    return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
