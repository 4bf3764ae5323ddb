/* Lowering, case by case: over all inputs that there are, the program gives the bits of the graph's evaluation; what
 * does not become integers is refused by node, reason and what to change. */
#include "support/test.h"

#include <math.h>
#include <stdlib.h>

#include "bitlathe/bitlathe.h"
#include "support/lower_text.h"
#include "support/memory.h"
#include "support/programs.h"

enum { ROWS = 4096 };

static bl_context *new_context(void)
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, 1);
    return ctx;
}

static bl_graph *parsed(bl_context *ctx, const char *text)
{
    bl_graph *g;
    assert_ok(ctx, bl_graph_parse(ctx, text, strlen(text), &g));
    assert_ok(ctx, bl_graph_infer(g));
    return g;
}

/* Rows of width numbers: every combination of 16 levels of the first three, other elements from a fixed pattern. */
static bl_tensor all_rows(bl_context *ctx, int width, double step)
{
    bl_tensor x;
    const bl_shape s = {2, {ROWS, width}};
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &s, &x));
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < width; i++) {
            const int digit = i < 3 ? (r >> (4 * i)) % 16 : (r * 7 + i * 5) % 16;
            ((float *)x.data)[r * width + i] = (float)((digit - 8) * step);
        }
    return x;
}

/* Both ways over x; prints the first difference. */
static void same_bits(bl_context *ctx, const char *text, bl_tensor x)
{
    bl_graph *g = parsed(ctx, text);
    bl_program *p = NULL;
    bl_runner *r;
    bl_tensor a, b;
    assert_ok(ctx, bl_lower(ctx, g, &p));
    assert_ok(ctx, bl_runner_create(ctx, g, 500, &r));
    assert_ok(ctx, bl_runner_run(r, &x, &a));
    assert_ok(ctx, bl_program_run(ctx, p, &x, &b));
    assert_true(bl_shape_equal(&a.shape, &b.shape));
    for (int64_t i = 0; i < bl_shape_count(&a.shape); i++)
        if (((const float *)a.data)[i] != ((const float *)b.data)[i])
            fail_msg("%s\nelement %lld: evaluation %.9g, program %.9g", text, (long long)i,
                     (double)((const float *)a.data)[i], (double)((const float *)b.data)[i]);
    bl_tensor_free(ctx, &a);
    bl_tensor_free(ctx, &b);
    bl_runner_destroy(r);
    bl_program_destroy(p);
    bl_graph_destroy(g);
}

static void check(const char *text, int width, double step)
{
    bl_context *ctx = new_context();
    bl_tensor x = all_rows(ctx, width, step);
    same_bits(ctx, text, x);
    bl_tensor_free(ctx, &x);
    bl_context_destroy(ctx);
}

#define INPUT(width, format)                                                                                           \
    "graph \"g\"\ninput \"x\" F32 [N, " #width "]\nnode \"q\" \"Quantize\" \"bitlathe\" (\"x\") -> (\"xq\" F32 ?) "    \
    "{\"format\" string \"" format "\"}\n"
#define QUANTIZE(name, in, out, attrs)                                                                                 \
    "node \"" name "\" \"Quantize\" \"bitlathe\" (\"" in "\") -> (\"" out "\" F32 ?) {" attrs "}\n"

static void every_rounding_and_overflow_is_that_of_the_format(void **state)
{
    static const char *const q[] = {"TRN",     "TRN_ZERO",    "RND",      "RND_ZERO",
                                    "RND_INF", "RND_MIN_INF", "RND_CONV", "STOCHASTIC"};
    static const char *const o[] = {"WRAP", "SAT", "SAT_ZERO", "SAT_SYM", "WRAP_SM"};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(q); i++)
        for (size_t k = 0; k < BLI_COUNT(o); k++) {
            char text[1024];
            snprintf(text, sizeof text,
                     INPUT(3, "fixed<8,4,RND,SAT>")
                         QUANTIZE("a", "xq", "a", "\"format\" string \"fixed<4,2,%s,%s>\"") "output \"a\"\n",
                     q[i], o[k]);
            check(text, 3, 0.3125);
            snprintf(
                text, sizeof text,
                INPUT(3, "fixed<8,4,RND,SAT>") "constant \"c\" F32 [3] \"\" = 0.3 -0.7 1.1\n"
                                               "node \"m\" \"Mul\" \"\" (\"xq\" \"c\") -> (\"y\" F32 ?) {}\n" QUANTIZE(
                                                   "a", "y", "a",
                                                   "\"format\" string \"fixed<4,2,%s,%s>\"") "output \"a\"\n",
                q[i], o[k]);
            check(text, 3, 0.3125);
        }
}

#define NORM                                                                                                           \
    "parameter \"w\" F32 [3, 3] \"weight\" = 1 -1 1 1 1 -1 -1 1 1\n"                                                   \
    "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"s\" F32 ?) {}\n"                                                 \
    "parameter \"gamma\" F32 [3] \"gamma\" = 1 -0.5 0\nparameter \"beta\" F32 [3] \"beta\" = 0.5 0.25 -0.125\n"        \
    "state \"mean\" F32 [3] \"mean\" = 0.5 -0.5 1\nstate \"variance\" F32 [3] \"variance\" = 1 0.25 0.3\n"             \
    "node \"norm\" \"BatchNormalization\" \"qonnx.custom_op.channels_last\" (\"s\" \"gamma\" \"beta\" \"mean\" "       \
    "\"variance\") -> (\"n\" F32 ?) {}\n"

/* Gamma 1, -1/2 and 0; values fall on the thresholds themselves. */
static void batch_normalisation_becomes_thresholds_whichever_way_it_goes(void **state)
{
    static const char *const attrs[] = {"\"format\" string \"binary\"", "\"format\" string \"ternary\"",
                                        "\"format\" string \"fixed<4,3,RND_CONV,SAT>\"",
                                        "\"format\" string \"uint<2>\", \"scale\" string \"0.4\"",
                                        "\"format\" string \"fixed<12,4,RND,SAT>\""};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(attrs); i++) {
        char text[2048];
        snprintf(text, sizeof text, INPUT(3, "fixed<6,4,RND,SAT>") NORM QUANTIZE("a", "n", "a", "%s") "output \"a\"\n",
                 attrs[i]);
        check(text, 3, 0.25);
    }
    check(INPUT(3, "fixed<6,4,RND,SAT>") NORM "output \"n\"\n", 3, 0.25);
}

/* Eight times the greatest weight at the greatest input, thresholds at and beyond the ends of the range. */
static void ends_of_the_range_are_met(void **state)
{
    (void)state;
    check(INPUT(3, "int<4>") "constant \"w\" F32 [3, 2] \"\" = 8 -8 8 -8 8 -8\n"
                             "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"s\" F32 ?) {}\n"
                             "constant \"b\" F32 [2] \"\" = 191.7 -168.3\n"
                             "node \"b\" \"Add\" \"\" (\"s\" \"b\") -> (\"t\" F32 ?) {}\n" QUANTIZE(
                                 "a", "t", "a",
                                 "\"format\" string \"int<3>\", \"scale\" string \"0.1\"") "output \"a\"\n",
          3, 1);
}

static void widths_of_channels_are_kept_apart(void **state)
{
    (void)state;
    check(INPUT(3, "fixed<8,4,RND,SAT>") "constant \"bits\" F32 [3] \"\" = 3 5 8\n"
                                         "node \"a\" \"Quantize\" \"bitlathe\" (\"xq\" - \"bits\") -> (\"a\" F32 ?) "
                                         "{\"format\" string \"fixed<8,3,RND,SAT>\"}\noutput \"a\"\n",
          3, 0.4375);
}

static void scales_at_the_ends_stay_real(void **state)
{
    (void)state;
    static const char affine[] =
        "graph \"g\"\ninput \"x\" F32 [N, 3]\nnode \"q\" \"Quantize\" \"bitlathe\" (\"x\") -> (\"xq\" F32 ?) "
        "{\"format\" string \"affine<4>\", \"scale\" string \"0.3\", \"zero_point\" int 5}\n"
        "parameter \"w\" F32 [3, 2] \"weight\" = 0.3 -0.2 0.7 0.11 -0.9 0.5\n" QUANTIZE(
            "wq", "w", "wq",
            "\"format\" string \"int<4>\", \"scale\" string \"auto\"") "node \"fc\" \"MatMul\" \"\" (\"xq\" \"wq\") -> "
                                                                       "(\"s\" F32 ?) {}\n"
                                                                       "parameter \"b\" F32 [2] \"bias\" = 0.1 "
                                                                       "-0.3\nnode \"b\" \"Add\" \"\" (\"s\" \"b\") -> "
                                                                       "(\"t\" F32 ?) {}\n";
    char text[2048];
    snprintf(text, sizeof text, "%soutput \"t\"\n", affine);
    check(text, 3, 0.3);
    snprintf(text, sizeof text, "%s%s", affine,
             QUANTIZE("a", "t", "a", "\"format\" string \"uint<5>\", \"scale\" string \"0.07\"") "output \"a\"\n");
    check(text, 3, 0.3);
}

/* s - m, / d, * w, + b behind a sum: none is joined with another. */
static void operations_at_the_end_stay_what_they_are(void **state)
{
    (void)state;
    bl_context *ctx = new_context();
    static const char text[] = INPUT(
        3, "fixed<6,4,RND,SAT>") "constant \"m\" F32 [3] \"\" = 0.1 -0.7 0.3\nconstant \"d\" F32 [3] \"\" = 3 0.7 1.1\n"
                                 "constant \"w\" F32 [3] \"\" = 0.9 -1.3 0.01\nconstant \"b\" F32 [1] \"\" = 0.3\n"
                                 "node \"1\" \"Sub\" \"\" (\"xq\" \"m\") -> (\"p\" F32 ?) {}\n"
                                 "node \"2\" \"Div\" \"\" (\"p\" \"d\") -> (\"r\" F32 ?) {}\n"
                                 "node \"3\" \"Mul\" \"\" (\"r\" \"w\") -> (\"s\" F32 ?) {}\n"
                                 "node \"4\" \"Add\" \"\" (\"s\" \"b\") -> (\"y\" F32 ?) {}\noutput \"y\"\n";
    static const float m[] = {0.1f, -0.7f, 0.3f}, d[] = {3, 0.7f, 1.1f}, w[] = {0.9f, -1.3f, 0.01f};
    check(text, 3, 0.25);
    bl_graph *g = parsed(ctx, text);
    bl_program *p = NULL;
    bl_tensor x = all_rows(ctx, 3, 0.25), y;
    assert_ok(ctx, bl_lower(ctx, g, &p));
    assert_ok(ctx, bl_program_run(ctx, p, &x, &y));
    for (int i = 0; i < ROWS * 3; i++) {
        volatile float v = ((const float *)x.data)[i] - m[i % 3];
        v = v / d[i % 3];
        v = v * w[i % 3];
        v = v + 0.3f;
        assert_true(v == ((const float *)y.data)[i]);
    }
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

static void a_softmax_at_the_end_is_cut_and_named(void **state)
{
    (void)state;
    bl_context *ctx = new_context();
    bl_graph *g =
        parsed(ctx, INPUT(3, "int<4>") "node \"probabilities\" \"Softmax\" \"\" (\"xq\") -> (\"y\" F32 ?) {}\n"
                                       "output \"y\"\n");
    bl_program *p;
    bl_port_info out;
    assert_ok(ctx, bl_lower(ctx, g, &p));
    assert_true(bl_program_output(p, 0, &out));
    assert_non_null(out.cut);
    assert_string_equal(out.cut, "Softmax 'probabilities'");
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

typedef struct refusal {
    const char *text, *words;
    bl_status status;
} refusal;

/* Zeros around a picture whose own values are -1 and 1 (or powers of two): they are 0, on every instruction set. */
static void zeros_around_a_grid_without_zero_are_zeros(void **state)
{
    (void)state;
    static const char *const formats[] = {"binary", "po2<3>", "float<e2m1>"};
    static const char *const isas[] = {"generic", "avx2", "avx512", "amx"};
    char text[8192];
    for (size_t k = 0; k < BLI_COUNT(formats); k++)
        for (int depth = 0; depth < 3; depth++) { /* all channels, each by itself, one row of zeros made by Pad */
            int n =
                snprintf(text, sizeof text,
                         "graph \"g\"\ninput \"x\" F32 [N, 3, 3, 16]\nnode \"q\" \"Quantize\" \"bitlathe\" (\"x\") -> "
                         "(\"xq\" F32 ?) {\"format\" string \"%s\"}\n%s"
                         "constant \"w\" F32 [16, %d, 3, 3] \"\" =",
                         formats[k],
                         depth == 2 ? "constant \"pads\" I64 [8] \"\" = 0 1 0 0 0 0 1 0\n"
                                      "node \"pad\" \"Pad\" \"\" (\"xq\" \"pads\") -> (\"xp\" F32 ?) {}\n"
                                    : "",
                         depth == 1 ? 1 : 16);
            for (int i = 0; i < 16 * 9 * (depth == 1 ? 1 : 16); i++)
                n += snprintf(text + n, sizeof text - (size_t)n, " %d", i * 7 % 5 > 1 ? 1 : -1);
            snprintf(text + n, sizeof text - (size_t)n,
                     "\nnode \"conv\" \"Conv\" \"qonnx.custom_op.channels_last\" (\"%s\" \"w\") -> (\"y\" F32 ?) "
                     "{\"pads\" ints 1 1 1 1, \"kernel_shape\" ints 3 3, \"group\" int %d}\noutput \"y\"\n",
                     depth == 2 ? "xp" : "xq", depth == 1 ? 16 : 1);
            for (size_t i = 0; i < BLI_COUNT(isas); i++) {
                bl_context *ctx = new_context();
                bl_tensor x, flat = all_rows(ctx, 9 * 16, 0.25);
                x = (bl_tensor){BL_F32, {4, {ROWS / 64, 3, 3, 16}}, flat.data};
                setenv("BITLATHE_ISA", isas[i], 1);
                same_bits(ctx, text, x);
                unsetenv("BITLATHE_ISA");
                bl_tensor_free(ctx, &flat);
                bl_context_destroy(ctx);
            }
        }
}

static const refusal refusals[] = {
    {"graph \"g\"\ninput \"x\" F32 [N, 2]\nconstant \"w\" F32 [2, 1] \"\" = 1 2\n"
     "node \"fc\" \"MatMul\" \"\" (\"x\" \"w\") -> (\"y\" F32 ?) {}\noutput \"y\"\n",
     "node 'fc' (MatMul): it reads the real numbers of input 'x'; give the input a format", BL_UNSUPPORTED},
    {"graph \"g\"\ninput \"x\" F32 [N, 2]\noutput \"x\"\n", "output 'x' is no integer: it needs a quantizer",
     BL_UNSUPPORTED},
    {INPUT(2, "int<4>") QUANTIZE("a", "xq", "a", "\"format\" string \"int<4>\", \"scale\" string \"0.3\"")
         QUANTIZE("b", "xq", "b",
                  "\"format\" string \"int<4>\", \"scale\" string \"0.7\"") "node \"sum\" \"Add\" \"\" (\"a\" \"b\") "
                                                                            "-> (\"y\" F32 ?) {}\noutput \"y\"\n",
     "node 'sum' (Add): 'a' and 'b' have no common step", BL_UNSUPPORTED},
    {INPUT(2, "int<4>") "node \"s\" \"Sigmoid\" \"\" (\"xq\") -> (\"y\" F32 ?) {}\noutput \"y\"\n",
     "output 'y' is a real number behind 's'; put a quantizer after it", BL_UNSUPPORTED},
    {INPUT(2, "int<24>") "node \"s\" \"Sigmoid\" \"\" (\"xq\") -> (\"y\" F32 ?) {}\n" QUANTIZE(
         "a", "y", "a", "\"format\" string \"ufixed<4,0,RND,SAT>\"") "output \"a\"\n",
     "node 'a' (Quantize): 'x' has 16777216 values, a table takes 65536; put a quantizer", BL_UNSUPPORTED},
    {INPUT(2, "int<62>") "constant \"w\" F32 [2, 1] \"\" = 8 9\n"
                         "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"y\" F32 ?) {}\noutput \"y\"\n",
     "node 'fc' (MatMul)", BL_LIMIT},
    {INPUT(2, "int<20>") "node \"s\" \"Softmax\" \"\" (\"xq\") -> (\"y\" F32 ?) {}\n" QUANTIZE(
         "a", "y", "a", "\"format\" string \"ufixed<4,0,RND,SAT>\"") "output \"a\"\n",
     "node 's' (Softmax): a Softmax inside the network takes a quantizer of one scale and at most 16 bits in front "
     "('xq')",
     BL_UNSUPPORTED},
    {INPUT(2, "int<4>") "node \"s\" \"Div\" \"\" (\"xq\" \"xq\") -> (\"y\" F32 ?) {}\n" QUANTIZE(
         "a", "y", "a", "\"format\" string \"ufixed<4,0,RND,SAT>\"") "output \"a\"\n",
     "node 's' (Div): a quotient takes a divisor ('xq') of one step and at most 16 bits whose range does not hold 0",
     BL_UNSUPPORTED},
    {INPUT(2, "bfloat16") "output \"xq\"\n", "node 'q' (Quantize): bfloat16 is for training only", BL_UNSUPPORTED},
    {INPUT(2, "int<4>") "parameter \"w\" F32 [2, 1] \"weight\" = 0.5 -0.25\n" QUANTIZE(
         "fc/weight_quant", "w", "wq",
         "\"format\" string \"bfloat16\"") "node \"fc\" \"MatMul\" \"\" (\"xq\" \"wq\") -> (\"y\" F32 ?) {}\n"
                                           "output \"y\"\n",
     "node 'fc/weight_quant' (Quantize): bfloat16 is for training only: its values are no integers of one step; give "
     "'w' "
     "fixed<..>, int<..> or a float of at most 8 bits",
     BL_UNSUPPORTED},
    {INPUT(2, "int<4>") "constant \"w\" F32 [2, 1] \"\" = 1 inf\n"
                        "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"y\" F32 ?) {}\noutput \"y\"\n",
     "node 'fc' (MatMul): weight 1 is inf, which is no integer", BL_UNSUPPORTED},
    {INPUT(4, "mx<int4,2>") "output \"xq\"\n", "node 'q' (Quantize): mx<int4,2> has a scale for each block",
     BL_UNSUPPORTED},
};

static void refusals_name_node_reason_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(refusals); i++) {
        bl_context *ctx = new_context();
        bl_graph *g = parsed(ctx, refusals[i].text);
        bl_program *p = (void *)1;
        assert_fails(ctx, refusals[i].status, refusals[i].words, bl_lower(ctx, g, &p));
        assert_null(p);
        bl_graph_destroy(g);
        bl_context_destroy(ctx);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char text[] = INPUT(3, "fixed<6,4,RND,SAT>")
        NORM QUANTIZE("a", "n", "a", "\"format\" string \"uint<2>\", \"scale\" string \"0.4\"") "output \"a\"\n";
    assert_true(fail_each_allocation(lower_text, text) > 50);
}

static void nothing_at_all_is_computed_too(void **state)
{
    (void)state;
    bl_context *ctx = new_context();
    bl_graph *g = parsed(ctx, INPUT(3, "int<4>") "output \"xq\"\n");
    bl_program *p;
    bl_tensor x = {BL_F32, {2, {0, 3}}, &(float){0}}, y;
    assert_ok(ctx, bl_lower(ctx, g, &p));
    assert_ok(ctx, bl_program_run(ctx, p, &x, &y));
    assert_int_equal(y.shape.dim[0], 0);
    bl_tensor_free(ctx, &y);
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
    ctx = new_context();
    bl_tensor none = {BL_F32, {2, {2, 0}}, &(float){0}};
    same_bits(ctx,
              INPUT(0, "int<4>") "parameter \"w\" F32 [0, 2] \"weight\" =\n"
                                 "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"y\" F32 ?) {}\noutput \"y\"\n",
              none);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rounding_and_overflow_is_that_of_the_format),
        cmocka_unit_test(batch_normalisation_becomes_thresholds_whichever_way_it_goes),
        cmocka_unit_test(ends_of_the_range_are_met),
        cmocka_unit_test(widths_of_channels_are_kept_apart),
        cmocka_unit_test(scales_at_the_ends_stay_real),
        cmocka_unit_test(operations_at_the_end_stay_what_they_are),
        cmocka_unit_test(a_softmax_at_the_end_is_cut_and_named),
        cmocka_unit_test(zeros_around_a_grid_without_zero_are_zeros),
        cmocka_unit_test(refusals_name_node_reason_and_remedy),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(nothing_at_all_is_computed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
