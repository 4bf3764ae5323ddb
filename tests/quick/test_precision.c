/* Precision entries: what a recipe may say, what becomes of it, and the words of each refusal. */
#include "support/test.h"

#include <math.h>

#include "op/quantizer.h"
#include "quant/precision.h"
#include "support/memory.h"

static bl_context *ctx;
static bli_arena *arena;

static int set_up(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) != BL_OK || bli_arena_create(ctx, &arena) != BL_OK;
}

static int tear_down(void **state)
{
    (void)state;
    bli_arena_destroy(arena);
    bl_context_destroy(ctx);
    return 0;
}

static const bl_attr *attr(const bli_precision *p, const char *name)
{
    for (int i = 0; i < p->num_attrs; i++)
        if (strcmp(p->attrs[i].name, name) == 0)
            return &p->attrs[i];
    return NULL;
}

static bli_precision parse(const char *place, const char *text)
{
    bli_precision p;
    assert_ok(ctx, bli_precision_parse(ctx, arena, place, text, &p));
    return p;
}

static void one_text(void **state)
{
    (void)state;
    bli_precision p = parse("weight", "fixed<6,1,RND,SAT_SYM>");
    assert_string_equal(attr(&p, "format")->u.s, "fixed<6,1,RND,SAT_SYM>");
    assert_string_equal(attr(&p, "place")->u.s, "weight");
    assert_false(p.needs_scale || p.none || p.whole_tensor);
    assert_true(parse("weight", "float32").none);
    assert_null(attr(&p, "quantizer"));
    p = parse("weight", "quantized_bits(6, 0, alpha='auto_po2', symmetric=True)");
    assert_string_equal(attr(&p, "quantizer")->u.s, "quantized_bits");
    assert_string_equal(attr(&p, "alpha")->u.s, "auto_po2");
    assert_int_equal(attr(&p, "bits")->u.i, 6);
    assert_int_equal(attr(&p, "integer")->u.i, 0);
    assert_int_equal(attr(&p, "symmetric")->u.i, 1);
    assert_true(p.whole_tensor && p.scale_per_channel);
    p = parse("weight", "quantized_bits(4,0,alpha=None)");
    assert_null(attr(&p, "alpha"));
    p = parse("weight", "binary");
    assert_string_equal(attr(&p, "format")->u.s, "binary");
    p = parse("weight", "binary()");
    assert_string_equal(attr(&p, "quantizer")->u.s, "binary");
    p = parse("activation", "lsq(4)");
    assert_string_equal(attr(&p, "format")->u.s, "uint<4>");
    assert_true(p.needs_scale && !p.scale_per_channel);
    assert_true(parse("weight", "mx<e4m3,32>").is_mx);
}

static bl_status resolve(const char *place, const char *const *pairs, bli_precision *p)
{
    bli_precision_entry entries[8];
    size_t n = 0;
    for (; pairs[2 * n]; n++)
        entries[n] = (bli_precision_entry){pairs[2 * n], pairs[2 * n + 1]};
    return bli_precision_resolve(ctx, arena, place, entries, n, p);
}
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL, NULL})

static void keys_and_values(void **state)
{
    (void)state;
    bli_precision p;
    assert_ok(ctx,
              resolve("weight",
                      PAIRS("quantizer", "lsq", "format", "int<4>", "scale", "learned", "granularity", "channel"), &p));
    assert_true(p.needs_scale && p.scale_per_channel && p.axis == -1);
    assert_ok(ctx, bli_precision_set_axis(ctx, &p, 0));
    assert_int_equal(attr(&p, "axis")->u.i, 0);
    assert_ok(ctx, bli_precision_set_axis(ctx, &p, 1));
    assert_int_equal(attr(&p, "axis")->u.i, 0);
    assert_ok(ctx, resolve("weight", PAIRS("quantizer", "lsq", "bits", "3"), &p));
    assert_string_equal(attr(&p, "format")->u.s, "int<3>");
    assert_ok(ctx, resolve("weight", PAIRS("format", "int<4>", "scale", "0.25", "start", "100"), &p));
    assert_int_equal(attr(&p, "start")->u.i, 100);
    assert_false(p.needs_scale);
    assert_ok(ctx, resolve("weight", PAIRS("quantizer", "quantized_bits(4,0)", "alpha", "auto"), &p));
    assert_true(p.whole_tensor);
}

static void refusals_name_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *place, *text, *words;
    } cases[] = {
        {"weight", "quantized_bit(4)", "did you mean 'quantized_bits'?"},
        {"weight", "quantized_bits(40)", "attribute bits: 40 is outside of [1, 32]"},
        {"weight", "quantized_bits(4,0,symetric=1)", "has no option 'symetric'; did you mean 'symmetric'?"},
        {"weight", "quantized_bits(4", "the closing ')' is missing"},
        {"weight", "quantized_bits(4) x", "follows the closing ')'"},
        {"weight", "quantized_bits(,4)", "option 1 is empty"},
        {"weight", "quantized_bits(4,0,0,1,1,0,0,8)", "at most 7 options"},
        {"weight", "quantized_bits(4,bits=4)", "is there twice"},
        {"weight", "quantized_bits(four)", "'four' is not a whole number"},
        {"weight", "quantized_bits(4,0,alpha='auto_pow2')", "did you mean 'auto_po2'?"},
        {"weight", "quantized_bits(4,0,alpha='x')", "'x' is none of none, a number, auto, auto_po2"},
        {"weight", "ternary(alpha='auto',threshold=0.5)", "alpha auto finds its own"},
        {"activation", "binary(alpha='auto')", "which only parameters allow"},
        {"activation", "xnor()", "which only parameters allow"},
        {"weight", "quantized_relu(4,negative_slope=0.3)", "neither 0 nor a power of two"},
        {"weight", "fixed<0,1>", "fixed<0,1>"},
        {"weight", "fixd<6,1>", "fixed"},
        {"weight", "lsq(0)", "bits: '0'"},
        {"weight", "lsq()", "needs attribute format"},
        {"weight", "quantized_tanh(4,sigmoid='soft')", "none of hard, smooth, real"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_precision p;
        bl_status s = bli_precision_parse(ctx, arena, cases[i].place, cases[i].text, &p);
        if (s == BL_OK || !strstr(bl_context_message(ctx), cases[i].words))
            fail_msg("%s: %s, expected '%s'", cases[i].text, s == BL_OK ? "accepted" : bl_context_message(ctx),
                     cases[i].words);
    }
    bli_precision p;
    assert_fails(ctx, BL_BAD_VALUE, "'place' is not an option", resolve("weight", PAIRS("place", "bias"), &p));
    assert_fails(ctx, BL_BAD_VALUE, "learns its scale",
                 resolve("weight", PAIRS("quantizer", "lsq", "format", "int<4>", "scale", "2"), &p));
    assert_fails(ctx, BL_BAD_VALUE, "mx formats take a number only",
                 resolve("weight", PAIRS("format", "mx<e4m3,32>", "scale", "learned"), &p));
    assert_fails(ctx, BL_BAD_VALUE, "is not above zero",
                 resolve("weight", PAIRS("format", "int<4>", "scale", "-1"), &p));
}

/* Every quantizer can be named with nothing but what it must have, and its options are documented in its list. */
static void every_quantizer_is_reachable(void **state)
{
    (void)state;
    for (int i = 0; i < bli_quantizer_count(); i++) {
        const bli_quantizer *q = bli_quantizer_at(i);
        assert_true(q->help[0] && q->source[0] && q->forward && q->backward && q->scales);
        bli_precision p;
        const char *pairs[] = {"quantizer", q->name, NULL, NULL, NULL, NULL, NULL};
        if (q->needs_format) {
            pairs[2] = "format";
            pairs[3] = strcmp(q->name, "pact") == 0 ? "uint<4>" : "int<4>";
        } else if (strcmp(q->name, "stochastic_ternary") == 0) {
            pairs[2] = "alpha";
            pairs[3] = "auto";
        }
        assert_ok(ctx, resolve("weight", pairs, &p));
    }
}

static void first_scales(void **state)
{
    (void)state;
    bli_precision p;
    float scale[3], x[] = {1, -2, 3, 4, -5, 6};
    bl_tensor t = {BL_F32, {2, {2, 3}}, x};
    assert_ok(ctx, resolve("weight", PAIRS("quantizer", "lsq", "format", "int<3>"), &p));
    bl_node n = {.name = "q", .attrs = p.attrs, .num_attrs = p.num_attrs};
    assert_ok(ctx, bli_precision_init_scale(ctx, &n, &t, scale, 1));
    assert_true(scale[0] == (float)(2 * 3.5 / sqrt(3)));
    assert_ok(ctx, resolve("weight", PAIRS("quantizer", "lsq", "format", "int<3>", "granularity", "channel"), &p));
    n = (bl_node){.name = "q", .attrs = p.attrs, .num_attrs = p.num_attrs};
    assert_ok(ctx, bli_precision_init_scale(ctx, &n, &t, scale, 3));
    assert_true(fabsf(scale[2] - (float)(2 * 4.5 / sqrt(3))) < 1e-6f);
    p = parse("activation", "pact(4)");
    n = (bl_node){.name = "q", .attrs = p.attrs, .num_attrs = p.num_attrs};
    t.data = NULL;
    assert_ok(ctx, bli_precision_init_scale(ctx, &n, &t, scale, 1));
    assert_true(scale[0] == 6);
}

static bl_status parse_one(bl_context *c, void *text)
{
    bli_arena *a;
    bli_precision p;
    BLI_TRY(bli_arena_create(c, &a));
    bl_status s = bli_precision_parse(c, a, "weight", text, &p);
    bli_arena_destroy(a);
    return s;
}

static void a_failed_allocation_is_a_status(void **state)
{
    (void)state;
    char texts[][48] = {"fixed<6,1>", "quantized_bits(6,0,alpha='auto')", "lsq(4)", "ternary()", "quantized_po2(4)",
                        "dorefa(3)"};
    for (size_t i = 0; i < BLI_COUNT(texts); i++)
        assert_true(fail_each_allocation(parse_one, texts[i]) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text),
        cmocka_unit_test(keys_and_values),
        cmocka_unit_test(refusals_name_what_is_wrong),
        cmocka_unit_test(every_quantizer_is_reachable),
        cmocka_unit_test(first_scales),
        cmocka_unit_test(a_failed_allocation_is_a_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
