/* Which carrier evaluation takes when a float bias stands behind exact sums: float32 where nothing but an output reads
 * the rounded sum, and then with float64's bits; float64 where a quantizer reads it, and then with the exact sum's
 * code. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/run.h"
#include "run/form.h"
#include "run/plan.h"

enum { IN = 3, OUT = 2, ROWS = 200 };

/* 0x1.99999cp-4 and 0x1.33333p-4 span 23 bits together: a grid of 2^-26 by what is known of them. */
static const char net[] = "graph \"g\"\ninput \"x\" F32 [N, 3]\n"
                          "parameter \"w\" F32 [3, 2] \"weight\" = 3 -2 1 5 -4 7\n"
                          "parameter \"b\" F32 [2] \"bias\" = 0x1.99999cp-4 0x1.33333p-4\n"
                          "node \"q\" \"Quantize\" \"bitlathe\" (\"x\") -> (\"xq\" F32 ?) {\"format\" string "
                          "\"fixed<10,8,RND,SAT>\"}\n"
                          "node \"fc\" \"MatMul\" \"\" (\"xq\" \"w\") -> (\"s\" F32 ?) {}\n"
                          "node \"add\" \"Add\" \"\" (\"s\" \"b\") -> (\"t\" F32 ?) {}\n%s";

typedef struct tail {
    const char *text;
    bl_dtype carrier;
    bool relu, quantized;
} tail;

static const tail tails[] = {
    {"output \"t\"\n", BL_F32, false, false},
    {"node \"r\" \"Relu\" \"\" (\"t\") -> (\"y\" F32 ?) {}\noutput \"y\"\n", BL_F32, true, false},
    {"node \"r\" \"Quantize\" \"bitlathe\" (\"t\") -> (\"y\" F32 ?) {\"format\" string \"fixed<13,12,TRN,SAT>\"}\n"
     "output \"y\"\n",
     BL_F64, false, true},
};

static double expected(const tail *t, const float *x, int o)
{
    static const double w[IN][OUT] = {{3, -2}, {1, 5}, {-4, 7}};
    static const double b[OUT] = {0x1.99999cp-4, 0x1.33333p-4};
    double s = b[o];
    for (int i = 0; i < IN; i++)
        s += w[i][o] * (double)x[i];
    if (t->quantized)
        return floor(s * 2) / 2;
    s = (double)(float)s;
    return t->relu && s < 0 ? 0 : s;
}

static void check_tail(bl_context *ctx, const tail *t)
{
    char text[2048];
    float x[ROWS * IN];
    bl_graph *g, *form;
    bl_dtype real;
    bl_runner *r;
    bl_tensor y;
    snprintf(text, sizeof text, net, t->text);
    assert_ok(ctx, bl_graph_parse(ctx, text, strlen(text), &g));
    assert_ok(ctx, bl_graph_infer(g));
    assert_ok(ctx, bli_evaluation_form(g, false, &form));
    assert_ok(ctx, bli_choose_carrier(ctx, form, &real));
    assert_int_equal(real, t->carrier);
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)((i * 389) % 1024 - 512) / 4;
    assert_ok(ctx, bl_runner_create(ctx, g, ROWS, &r));
    assert_ok(ctx, bl_runner_run(r, &(bl_tensor){BL_F32, {2, {ROWS, IN}}, x}, &y));
    for (int i = 0; i < ROWS * OUT; i++)
        if ((double)((const float *)y.data)[i] != expected(t, x + i / OUT * IN, i % OUT))
            fail_msg("%s: element %d is %.9g, expected %.9g", t->text, i, (double)((const float *)y.data)[i],
                     expected(t, x + i / OUT * IN, i % OUT));
    bl_tensor_free(ctx, &y);
    bl_runner_destroy(r);
    bl_graph_destroy(form);
    bl_graph_destroy(g);
}

static void a_float_bias_asks_for_float64_only_before_a_quantizer(void **state)
{
    (void)state;
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        check_tail(ctx, &tails[i]);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_float_bias_asks_for_float64_only_before_a_quantizer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
