/* Functions inside a network that no quantizer follows: tables of integers, the same bits in evaluation and in the
 * program on every instruction set, as near to the real functions as they say. */
#include "support/test.h"

#include <math.h>
#include <stdlib.h>

#include "bitlathe/bitlathe.h"
#include "program/program.h"
#include "support/lower_text.h"
#include "support/memory.h"
#include "support/programs.h"

enum { ROWS = 500, WIDTH = 6 };

#define INPUT(attrs)                                                                                                   \
    "graph \"g\"\ninput \"x\" F32 [N, 6]\nnode \"q\" \"Quantize\" \"bitlathe\" (\"x\") -> (\"xq\" F32 ?) {" attrs "}"  \
    "\n"
#define SIGNED     INPUT("\"format\" string \"fixed<7,4,RND,SAT>\"")
#define REAL_SCALE INPUT("\"format\" string \"int<6>\", \"scale\" string \"0.17\"")
#define POSITIVE   INPUT("\"format\" string \"ufixed<6,3,RND,SAT>\"")
/* what reads the function's values: a sum of products, which a chain cannot pass */
#define DENSE                                                                                                          \
    "constant \"w\" F32 [6, 2] \"\" = 1 -0.5 0.25 1 -1 0.75 0.5 0.5 -0.25 1 1 -1\n"                                    \
    "node \"fc\" \"MatMul\" \"\" (\"y\" \"w\") -> (\"z\" F32 ?) {}\noutput \"z\"\n"
#define NODE(type, in) "node \"f\" \"" type "\" \"\" (" in ") -> (\"y\" F32 ?) {}\n"
#define ABOVE_ZERO     "constant \"one\" F32 [1] \"\" = 1\nnode \"up\" \"Add\" \"\" (\"xq\" \"one\") -> (\"xp\" F32 ?) {}\n"

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

static bl_tensor rows(bl_context *ctx)
{
    bl_tensor x;
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &(bl_shape){2, {ROWS, WIDTH}}, &x));
    for (int i = 0; i < ROWS * WIDTH; i++)
        ((float *)x.data)[i] = (float)((i * 7919 % 1009 - 504) / 60.0);
    return x;
}

/* Evaluation and program on every instruction set; prints the first difference. */
static void same_bits(const char *text)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    for (size_t k = 0; k < BLI_COUNT(isas); k++) {
        setenv("BITLATHE_ISA", isas[k], 1);
        bl_context *ctx = new_context();
        bl_graph *g = parsed(ctx, text);
        bl_program *p = NULL;
        bl_runner *r;
        bl_tensor x = rows(ctx), a, b;
        if (bl_lower(ctx, g, &p) != BL_OK)
            fail_msg("%s\n%s", text, bl_context_message(ctx));
        assert_ok(ctx, bl_runner_create(ctx, g, 100, &r));
        assert_ok(ctx, bl_runner_run(r, &x, &a));
        assert_ok(ctx, bl_program_run(ctx, p, &x, &b));
        assert_true(bl_shape_equal(&a.shape, &b.shape));
        for (int64_t i = 0; i < bl_shape_count(&a.shape); i++)
            if (((const float *)a.data)[i] != ((const float *)b.data)[i])
                fail_msg("%s\n%s, element %lld: evaluation %.9g, program %.9g", text, isas[k], (long long)i,
                         (double)((const float *)a.data)[i], (double)((const float *)b.data)[i]);
        bl_tensor_free(ctx, &a);
        bl_tensor_free(ctx, &b);
        bl_tensor_free(ctx, &x);
        bl_runner_destroy(r);
        bl_program_destroy(p);
        bl_graph_destroy(g);
        bl_context_destroy(ctx);
    }
    unsetenv("BITLATHE_ISA");
}

static void functions_before_a_sum_are_tables(void **state)
{
    (void)state;
    static const char *const nets[] = {
        SIGNED NODE("Tanh", "\"xq\"") DENSE,
        SIGNED NODE("Sigmoid", "\"xq\"") DENSE,
        SIGNED NODE("Softplus", "\"xq\"") DENSE,
        SIGNED NODE("Elu", "\"xq\"") DENSE,
        REAL_SCALE NODE("Tanh", "\"xq\"") DENSE,
        SIGNED NODE("Softmax", "\"xq\"") DENSE,
        REAL_SCALE NODE("Softmax", "\"xq\"") DENSE,
        POSITIVE ABOVE_ZERO "constant \"e\" F32 [1] \"\" = -0.5\n" NODE("Pow", "\"xp\" \"e\"") DENSE,
        POSITIVE ABOVE_ZERO NODE("Div", "\"xq\" \"xp\"") DENSE,
        REAL_SCALE "node \"s\" \"Sigmoid\" \"\" (\"xq\") -> (\"s\" F32 ?) {}\n"
                   "node \"h\" \"Quantize\" \"bitlathe\" (\"xq\") -> (\"h\" F32 ?) {\"format\" string "
                   "\"fixed<6,3,RND,SAT>\"}\n" NODE("Mul", "\"h\" \"s\"") DENSE,
    };
    for (size_t i = 0; i < BLI_COUNT(nets); i++)
        same_bits(nets[i]);
}

/* A trailing quantizer of the whole product, so that nothing is real at the end. */
static void a_softmax_weighs_values_like_attention(void **state)
{
    (void)state;
    same_bits(
        "graph \"g\"\ninput \"x\" F32 [N, 6]\nconstant \"to\" I64 [3] \"\" = 0 3 2\n"
        "node \"r\" \"Reshape\" \"\" (\"x\" \"to\") -> (\"xr\" F32 ?) {}\n"
        "node \"q\" \"Quantize\" \"bitlathe\" (\"xr\") -> (\"xq\" F32 ?) {\"format\" string \"fixed<6,4,RND,SAT>\"}\n"
        "node \"t\" \"Transpose\" \"\" (\"xq\") -> (\"xt\" F32 ?) {\"perm\" ints 0 2 1}\n"
        "node \"qk\" \"MatMul\" \"\" (\"xq\" \"xt\") -> (\"qk\" F32 ?) {}\n"
        "node \"s\" \"Quantize\" \"bitlathe\" (\"qk\") -> (\"sq\" F32 ?) {\"format\" string \"fixed<8,4,RND,SAT>\"}\n"
        "node \"p\" \"Softmax\" \"\" (\"sq\") -> (\"p\" F32 ?) {}\n"
        "node \"pq\" \"Quantize\" \"bitlathe\" (\"p\") -> (\"pq\" F32 ?) {\"format\" string \"ufixed<8,0,RND,SAT>\"}\n"
        "node \"v\" \"MatMul\" \"\" (\"pq\" \"xq\") -> (\"y\" F32 ?) {}\noutput \"y\"\n");
}

/* "1/x (the Softmax: at most 0.0006 off), at most ..." */
static double stated_bound(const bl_program *p)
{
    bl_wire_info w;
    double bound = -1;
    for (int i = 0; bl_program_wire(p, i, &w); i++)
        if (w.note && strstr(w.note, "the Softmax: at most "))
            bound = atof(strstr(w.note, "at most ") + strlen("at most "));
    return bound;
}

static void a_softmax_is_as_near_as_it_says(void **state)
{
    (void)state;
    static const char identity[] = SIGNED NODE("Softmax", "\"xq\"") "node \"o\" \"Quantize\" \"bitlathe\" (\"y\") -> "
                                                                    "(\"z\" F32 ?) {\"format\" string "
                                                                    "\"ufixed<24,0,TRN,SAT>\"}\noutput \"z\"\n";
    bl_context *ctx = new_context();
    bl_graph *g = parsed(ctx, identity);
    bl_program *p = NULL;
    bl_tensor x = rows(ctx), y;
    assert_ok(ctx, bl_lower(ctx, g, &p));
    assert_ok(ctx, bl_program_run(ctx, p, &x, &y));
    const double bound = stated_bound(p);
    double worst = 0;
    for (int r = 0; r < ROWS; r++) {
        double e[WIDTH], sum = 0;
        for (int i = 0; i < WIDTH; i++) {
            const double v = floor((double)((const float *)x.data)[r * WIDTH + i] * 8 + 0.5) / 8;
            sum += e[i] = exp(v > 7.875 ? 7.875 : v < -8 ? -8 : v);
        }
        for (int i = 0; i < WIDTH; i++)
            worst = fmax(worst, fabs((double)((const float *)y.data)[r * WIDTH + i] - e[i] / sum));
    }
    if (!(bound > 0 && bound < 2e-3 && worst <= bound + 0x1p-24))
        fail_msg("%g off, stated are %g", worst, bound);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

static void a_table_says_its_function_and_its_error(void **state)
{
    (void)state;
    bl_context *ctx = new_context();
    bl_graph *g = parsed(ctx, SIGNED NODE("Tanh", "\"xq\"") DENSE);
    bl_program *p;
    char *text;
    bl_wire_info w = {.note = NULL};
    assert_ok(ctx, bl_lower(ctx, g, &p));
    for (int i = 0; !w.note && bl_program_wire(p, i, &w); i++) {
    }
    assert_non_null(w.note);
    assert_non_null(strstr(w.note, "Tanh, at most "));
    assert_true(atof(strstr(w.note, "most ") + 5) <= 0x1p-17 * 1.01 && atof(strstr(w.note, "most ") + 5) > 0);
    assert_ok(ctx, bli_program_print(p, &text));
    assert_non_null(strstr(text, "\"Tanh, at most "));
    bl_program *again;
    assert_ok(ctx, bli_program_parse(ctx, text, strlen(text), &again));
    bl_program_destroy(again);
    bli_free(ctx, text);
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* Half a step, since nothing saturates. */
static void a_table_up_to_a_quantizer_says_how_far_it_is_off(void **state)
{
    (void)state;
    bl_context *ctx = new_context();
    bl_graph *g =
        parsed(ctx, SIGNED NODE("Tanh", "\"xq\"") "node \"o\" \"Quantize\" \"bitlathe\" (\"y\") -> (\"z\" F32 ?) "
                                                  "{\"format\" string \"fixed<6,2,RND,SAT>\"}\noutput \"z\"\n");
    bl_program *p;
    bl_wire_info w = {.note = NULL};
    assert_ok(ctx, bl_lower(ctx, g, &p));
    for (int i = 0; !w.note && bl_program_wire(p, i, &w); i++) {
    }
    assert_non_null(w.note);
    assert_non_null(strstr(w.note, "Tanh, Quantize: at most 0.03"));
    bl_program_destroy(p);
    bl_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* Hashes by decimal arithmetic (tools/make_function_goldens.py): no library and no instruction set has a say in them.
 */
static void a_table_up_to_a_quantizer_is_the_same_on_every_machine(void **state)
{
    static const struct {
        const char *type;
        uint64_t hash;
    } tables[] = {
        {"Tanh", 0xb520a7e28c5015bdu},
        {"Sigmoid", 0xd92253b291514a0cu},
        {"Softplus", 0x5cc982fad4994960u},
        {"Elu", 0xae0c466ad086c2cfu},
    };
    (void)state;
    for (size_t k = 0; k < BLI_COUNT(tables); k++) {
        bl_context *ctx = new_context();
        char text[1024];
        snprintf(text, sizeof text,
                 INPUT("\"format\" string \"fixed<12,5,RND,SAT>\"")
                     NODE("%s", "\"xq\"") "node \"o\" \"Quantize\" \"bitlathe\" (\"y\") -> (\"z\" F32 ?) "
                                          "{\"format\" string \"fixed<16,2,RND,SAT>\"}\noutput \"z\"\n",
                 tables[k].type);
        bl_graph *g = parsed(ctx, text);
        bl_program *p;
        const bli_prim_op *table = NULL;
        assert_ok(ctx, bl_lower(ctx, g, &p));
        for (int i = 0; i < p->num_ops; i++)
            if (p->ops[i].kind == BLI_PRIM_TABLE)
                table = &p->ops[i];
        assert_non_null(table);
        assert_true(table->first == -2048 && table->length == 4096);
        unsigned char bytes[4096 * 8];
        for (int i = 0; i < 4096 * 8; i++)
            bytes[i] = (unsigned char)((uint64_t)table->table[i / 8] >> i % 8 * 8);
        if (bli_hash(bytes, sizeof bytes) != tables[k].hash)
            fail_msg("%s: hash %016llx, expected %016llx", tables[k].type,
                     (unsigned long long)bli_hash(bytes, sizeof bytes), (unsigned long long)tables[k].hash);
        bl_program_destroy(p);
        bl_graph_destroy(g);
        bl_context_destroy(ctx);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char text[] = INPUT("\"format\" string \"int<2>\"") NODE("Softmax", "\"xq\"") DENSE;
    assert_true(fail_each_allocation(lower_text, text) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_before_a_sum_are_tables),
        cmocka_unit_test(a_softmax_weighs_values_like_attention),
        cmocka_unit_test(a_softmax_is_as_near_as_it_says),
        cmocka_unit_test(a_table_says_its_function_and_its_error),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_table_up_to_a_quantizer_says_how_far_it_is_off),
        cmocka_unit_test(a_table_up_to_a_quantizer_is_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
