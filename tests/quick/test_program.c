/* test_program.c: the integer program: every primitive against the model of support/program_model.h,
 * spans sound and tight, text form, verifier, limits, memory.
 * Length: tables of faults in texts and programs, each with the words that it is refused with, and their makers.
 */
#include <math.h>

#include "bitlathe/graph.h"
#include "program/program.h"
#include "support/memory.h"
#include "support/program_model.h"
#include "support/programs.h"
#include "support/test.h"

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

/* ---- properties over random programs --------------------------------------------------------------------------------
 */

static int zeros_of(model_wide v)
{
    int n = 0;
    while (n < 63 && v % ((model_wide)2 << n) == 0)
        n++;
    return n;
}

static void check_wire(const bli_program *p, int i, int64_t *const *wires, const int64_t *codes)
{
    const bli_wire *w = &p->wires[i];
    for (int64_t e = 0; e < w->count; e++) {
        const model_wide want = program_model_element(p, i, wires, codes, e);
        const bli_span s = bli_wire_span(w, e);
        const int64_t v = wires[i][e];
        if (want != v)
            print_error("%s: wire '%s' (%s) element %lld: %lld, expected %lld\n", p->name, w->name,
                        bli_prim_word(p->ops[i].kind), (long long)e, (long long)v, (long long)want);
        assert_true(want == v);
        if (v < s.low || v > s.high || zeros_of(v) < s.zeros)
            print_error("%s: wire '%s' (%s) element %lld: %lld outside of %lld .. %lld by 2^%d\n", p->name, w->name,
                        bli_prim_word(p->ops[i].kind), (long long)e, (long long)v, (long long)s.low, (long long)s.high,
                        s.zeros);
        assert_true(v >= s.low && v <= s.high && zeros_of(v) >= s.zeros);
    }
}

static void interpreter_equals_the_model_and_stays_within_spans(void **state)
{
    (void)state;
    uint32_t kinds = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        bli_program *p = random_program(ctx, seed);
        program_values *v = program_values_create(p);
        kinds |= program_kinds(p);
        for (int k = 0; k < 5; k++) {
            program_values_draw(v, seed, k);
            assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
            for (int i = 0; i < p->num_wires; i++)
                check_wire(p, i, v->wires, i < p->num_inputs ? v->codes[i] : NULL);
        }
        program_values_destroy(v);
        bli_program_destroy(p);
    }
    assert_int_equal(kinds, (1u << BLI_PRIM_COUNT) - 1); /* all of them have been met */
}

static void printing_parsing_printing_gives_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        bli_program *p = random_program(ctx, seed), *q;
        char *text, *second;
        assert_ok(ctx, bli_program_print(p, &text));
        assert_ok(ctx, bli_program_parse(ctx, text, strlen(text), &q));
        assert_ok(ctx, bli_program_print(q, &second));
        assert_string_equal(text, second);
        assert_int_equal(p->num_wires, q->num_wires);
        for (int i = 0; i < p->num_wires; i++) {
            assert_int_equal(p->wires[i].num_spans, q->wires[i].num_spans);
            assert_int_equal(p->wires[i].uses, q->wires[i].uses);
            assert_memory_equal(p->wires[i].spans, q->wires[i].spans,
                                (size_t)p->wires[i].num_spans * sizeof *p->wires[i].spans);
        }
        bl_text_free(ctx, text);
        bl_text_free(ctx, second);
        bli_program_destroy(p);
        bli_program_destroy(q);
    }
}

/* ---- tight spans: all codes of a small input through one op ---------------------------------------------------------
 */

/* The next assignment of all input codes; false after the last. */
static bool next_codes(const bli_program *p, int64_t *codes)
{
    for (int64_t e = 0; e < p->wires[0].count; e++) {
        const bli_span s = bli_wire_span(&p->wires[0], e);
        if (codes[e]++ < s.high)
            return true;
        codes[e] = s.low;
    }
    return false;
}

/* Whether the last op's operands are independent: one wire once, besides constants. */
static bool independent(const bli_program *p)
{
    const bli_prim_op *op = &p->ops[p->num_ops - 1];
    int varying = 0;
    for (int k = 0; k < op->num_in; k++)
        varying += p->ops[op->in[k]].kind != BLI_PRIM_CONST;
    for (int i = 1; i < p->num_ops - 1; i++)
        if (p->ops[i].kind != BLI_PRIM_CONST && (p->ops[i].kind != BLI_PRIM_ROUND || p->ops[i].shift[0] > 0))
            return false;
    return varying == 1 && p->num_inputs == 1;
}

static void check_tight(const bli_program *p, program_values *v)
{
    const int last = p->num_ops - 1;
    const bli_wire *w = &p->wires[last];
    int64_t low[512], high[512];
    int zeros[512];
    assert_true(w->num_spans <= 512);
    for (int64_t i = 0; i < w->num_spans; i++) {
        low[i] = INT64_MAX;
        high[i] = INT64_MIN;
        zeros[i] = 63;
    }
    program_values_draw(v, 0, 0);
    do {
        assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
        for (int64_t e = 0; e < w->count; e++) {
            const int64_t i = e % w->num_spans, y = v->wires[last][e];
            low[i] = y < low[i] ? y : low[i];
            high[i] = y > high[i] ? y : high[i];
            zeros[i] = zeros_of(y) < zeros[i] ? zeros_of(y) : zeros[i];
        }
    } while (next_codes(p, v->codes[0]));
    for (int64_t i = 0; i < w->num_spans && w->count > 0; i++) {
        bli_span s = w->spans[i];
        if (p->ops[last].kind == BLI_PRIM_RESCALE) /* floors of multiples of a weight: ends are promised, no more */
            s.zeros = zeros[i];
        if (s.low != low[i] || s.high != high[i] || s.zeros != zeros[i])
            print_error("%s: '%s' (%s) span %lld: %lld .. %lld by 2^%d, reached %lld .. %lld by 2^%d\n", p->name,
                        w->name, bli_prim_word(p->ops[last].kind), (long long)i, (long long)s.low, (long long)s.high,
                        s.zeros, (long long)low[i], (long long)high[i], zeros[i]);
        assert_true(s.low == low[i] && s.high == high[i] && s.zeros == zeros[i]);
    }
}

static void spans_are_tight_on_small_inputs(void **state)
{
    (void)state;
    const program_wishes tiny = {.ops = 1, .elements = 60, .single = true, .tiny = true};
    uint32_t kinds = 0;
    int checked = 0;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        bli_program *p = random_program_like(ctx, seed, &tiny);
        if (p->num_ops > 1 && independent(p)) {
            program_values *v = program_values_create(p);
            check_tight(p, v);
            program_values_destroy(v);
            kinds |= 1u << p->ops[p->num_ops - 1].kind;
            checked++;
        }
        bli_program_destroy(p);
    }
    assert_true(checked > 1000);
    const uint32_t never = 1u << BLI_PRIM_INPUT | 1u << BLI_PRIM_CONST;
    assert_int_equal(kinds | never, (1u << BLI_PRIM_COUNT) - 1);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------
 */

static bli_builder *builder(void)
{
    bli_builder *b;
    assert_ok(ctx, bli_builder_create(ctx, "by hand", &b));
    return b;
}

static int input(bli_builder *b, const char *format, int rank, int64_t d0, int64_t d1, int64_t d2)
{
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const bl_shape shape = {rank, {d0, d1, d2}};
    int out;
    assert_ok(ctx, bl_format_parse(ctx, format, &in.format));
    assert_ok(ctx, bli_builder_input(b, &in, "x", &shape, &out));
    return out;
}

static bli_program *finish(bli_builder *b, int out)
{
    bli_program *p;
    const bli_output o = {.wire = out, .name = "y"};
    assert_ok(ctx, bli_builder_output(b, &o));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

static void a_range_past_64_bits_names_the_wire(void **state)
{
    (void)state;
    bli_builder *b = builder();
    const int x = input(b, "int<33>", 1, 4, 0, 0);
    const int y = input(b, "int<33>", 1, 4, 0, 0);
    const bli_prim_op product = {.kind = BLI_PRIM_MUL, .num_in = 2, .in = {x, y}};
    bli_prim_op sum = {.kind = BLI_PRIM_ADD, .num_in = 2, .in = {x, x}, .shift_a = 31};
    int out;
    assert_fails(ctx, BL_LIMIT, "wire 'sum' (add)", bli_builder_add(b, &sum, "sum", "l", NULL, 0, &out));
    assert_int_equal(out, -1);
    sum.shift_a = 30;
    assert_ok(ctx, bli_builder_add(b, &sum, "sum", "l", NULL, 0, &out));
    assert_fails(ctx, BL_LIMIT, "wire 'product' (mul)", bli_builder_add(b, &product, "product", "l", NULL, 0, &out));
    bli_builder_destroy(b);
}

static void empty_tensors_and_constants_are_programs_too(void **state)
{
    (void)state;
    bli_builder *b = builder();
    const int x = input(b, "int<4>", 2, 3, 0, 0);
    const int64_t bias[2] = {5, -6}, weight[2] = {7, 8};
    const bli_prim_op dense = {
        .kind = BLI_PRIM_DENSE, .num_in = 1, .in = {x}, .channels = 2, .weight = weight, .bias = bias};
    int y, z, none;
    assert_ok(ctx, bli_builder_add(b, &dense, "y", "y", NULL, 0, &y));
    const bli_span s = bli_wire_hull(bli_builder_wire(b, y));
    assert_true(s.low == -6 && s.high == 5);
    assert_ok(ctx, bli_builder_add(b, &(bli_prim_op){.kind = BLI_PRIM_ABS, .num_in = 1, .in = {x}}, "none", "", NULL, 0,
                                   &none));
    assert_int_equal(bli_builder_wire(b, none)->count, 0);
    assert_ok(ctx,
              bli_builder_add(
                  b, &(bli_prim_op){.kind = BLI_PRIM_REDUCE_SUM, .num_in = 1, .in = {none}, .num_axes = 1, .axes = {1}},
                  "z", "", NULL, 0, &z));
    assert_fails(ctx, BL_BAD_MODEL, "greatest of no elements",
                 bli_builder_add(
                     b,
                     &(bli_prim_op){.kind = BLI_PRIM_REDUCE_MAX, .num_in = 1, .in = {none}, .num_axes = 1, .axes = {1}},
                     "m", "", NULL, 0, &none));
    const bli_output o = {.wire = z, .name = "z"};
    assert_ok(ctx, bli_builder_output(b, &o));
    bli_program *p = finish(b, y);
    program_values *v = program_values_create(p);
    assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
    assert_int_equal(v->wires[p->outputs[0].wire][2], 0);
    assert_int_equal(v->wires[p->outputs[1].wire][5], -6);
    program_values_destroy(v);
    bli_program_destroy(p);
}

static void taken_and_empty_names_get_a_number(void **state)
{
    (void)state;
    bli_builder *b = builder();
    int out = input(b, "int<4>", 1, 2, 0, 0);
    for (int i = 0; i < 100; i++)
        assert_ok(ctx, bli_builder_add(b, &(bli_prim_op){.kind = BLI_PRIM_ABS, .num_in = 1, .in = {out}},
                                       i % 2 == 0 ? "x" : "", "x", NULL, 0, &out));
    assert_string_equal(bli_builder_wire(b, 1)->name, "x_2");
    assert_string_equal(bli_builder_wire(b, 2)->name, "_2");
    assert_string_equal(bli_builder_wire(b, 99)->name, "x_51");
    bli_program_destroy(finish(b, out));
}

static void what_no_output_needs_is_dropped_but_inputs_stay(void **state)
{
    (void)state;
    bli_builder *b = builder();
    const int x = input(b, "int<4>", 1, 2, 0, 0);
    int dead, kept;
    assert_ok(ctx, bli_builder_add(b, &(bli_prim_op){.kind = BLI_PRIM_ABS, .num_in = 1, .in = {x}}, "dead", "", NULL, 0,
                                   &dead));
    assert_ok(ctx, bli_builder_add(b, &(bli_prim_op){.kind = BLI_PRIM_ABS, .num_in = 1, .in = {x}}, "kept", "", NULL, 0,
                                   &kept));
    input(b, "int<5>", 1, 3, 0, 0);
    bli_program *p = finish(b, kept);
    assert_int_equal(p->num_wires, 3);
    assert_int_equal(p->num_inputs, 2);
    assert_string_equal(p->wires[2].name, "kept");
    assert_int_equal(p->wires[0].uses, 1);
    assert_int_equal(p->wires[1].uses, 0);
    bli_program_destroy(p);
}

static void codes_outside_of_an_input_are_refused(void **state)
{
    (void)state;
    bli_builder *b = builder();
    const int x = input(b, "binary", 1, 2, 0, 0);
    int out;
    assert_ok(ctx,
              bli_builder_add(b, &(bli_prim_op){.kind = BLI_PRIM_ABS, .num_in = 1, .in = {x}}, "a", "", NULL, 0, &out));
    bli_program *p = finish(b, out);
    program_values *v = program_values_create(p);
    v->codes[0][0] = 1;
    assert_fails(ctx, BL_BAD_VALUE, "no code of binary",
                 bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
    v->codes[0][1] = 2;
    assert_fails(ctx, BL_BAD_VALUE, "code 2 of element 1",
                 bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
    program_values_destroy(v);
    bli_program_destroy(p);
}

/* ---- ends -----------------------------------------------------------------------------------------------------------
 */

static void real_numbers_become_codes_and_come_back(void **state)
{
    (void)state;
    bli_builder *b = builder();
    bli_input in = {.name = "x", .scale = 1.0 / 255, .offset = -0.25, .grid = {0.0123, 3}};
    const bl_shape shape = {1, {300}};
    int x;
    assert_ok(ctx, bl_format_parse(ctx, "affine<8>", &in.format));
    assert_ok(ctx, bli_builder_input(b, &in, "x", &shape, &x));
    const double scale[1] = {0.0123}, offset[1] = {-0.3};
    const bli_output o = {.wire = x, .name = "narrow", .channels = 1, .scale = scale, .offset = offset};
    const bli_output wide_o = {
        .wire = x, .name = "wide", .channels = 1, .scale = scale, .offset = offset, .wide = true};
    assert_ok(ctx, bli_builder_output(b, &o));
    const double by[1] = {3}, less[1] = {0.7};
    const bli_output steps_o = {.wire = x,
                                .name = "steps",
                                .channels = 1,
                                .scale = scale,
                                .num_steps = 4,
                                .steps = {{'-', less}, {'/', by}, {'*', less}, {'+', by}}};
    assert_ok(ctx, bli_builder_output(b, &wide_o));
    assert_ok(ctx, bli_builder_output(b, &steps_o));
    bli_program *p = finish(b, x);
    float real[300];
    int64_t codes[300];
    double y[300];
    for (int i = 0; i < 300; i++)
        real[i] = (float)(i * 3 - 100);
    assert_ok(ctx, bli_program_encode(p, 0, real, codes));
    for (int i = 0; i < 300; i++) {
        volatile float scaled = real[i] * (float)(1.0 / 255);
        volatile float shifted = scaled + -0.25f;
        const float quotient = shifted / (float)0.0123;
        const double code = nearbyint((double)quotient) + 3;
        assert_int_equal(codes[i], (int64_t)(code < 0 ? 0 : code > 255 ? 255 : code));
    }
    bli_program_decode(p, 0, codes, y);
    for (int i = 0; i < 300; i++) {
        volatile float v = (float)codes[i] * (float)0.0123;
        volatile float w = v + (float)-0.3;
        assert_true(y[i] == (double)w);
    }
    bli_program_decode(p, 1, codes, y);
    for (int i = 0; i < 300; i++)
        assert_true(y[i] == (double)codes[i] * 0.0123 + -0.3);
    bli_program_decode(p, 2, codes, y);
    for (int i = 0; i < 300; i++) { /* each operation rounded by itself */
        volatile float v = (float)codes[i] * (float)0.0123;
        v = v - (float)0.7;
        v = v / 3.0f;
        v = v * (float)0.7;
        v = v + 3.0f;
        assert_true(y[i] == (double)v);
    }
    bli_program_decode(p, 3, codes, y); /* no scale: the code itself, exp 0 */
    assert_true(y[0] == (double)codes[0]);
    bli_program_destroy(p);
}

/* ---- the verifier ---------------------------------------------------------------------------------------------------
 */

static const char text_of_all[] =
    "program \"all\"\n"
    "%0 = input \"x\" \"x\" [4, 2] exp -2 scale 1 offset 0 format \"fixed<5,3,RND,SAT>\" grid 1 0\n"
    "%1 = conv (%0) \"c\" \"c\" exp 0 kernel [2 1] stride [1 1] dilation [1 1] pad [1 0 0 0] groups 1 channels 2 "
    "weight [1 -2 3 4 5 -6 7 1] bias [1 -1]\n"
    "%2 = round (%1) \"r\" \"r\" exp 0 rounding RND channels 2 shift [1 2]\n"
    "%3 = overflow (%2) \"o\" \"o\" exp 0 overflow SAT signed 1 channels 1 bits [5]\n"
    "%4 = threshold (%3) \"t\" \"t\" exp 0 channels 1 length 2 threshold [-3 4] base [0] step [1 1]\n"
    "%5 = table (%4) \"l\" \"l\" exp 0 first 0 channels 1 length 3 table [3 1 2]\n"
    "%6 = rescale (%3) \"s\" \"s\" exp 0 channels 1 weight [3] bias [1] low [0] high [7] shift [2]\n"
    "%7 = add (%5 %6) \"a\" \"a\" exp 0 shift_a 2\n"
    "%8 = gather (%7) \"g\" \"g\" [3] exp 0 fill 1 index [0 -1 5]\n"
    "%9 = concat (%8 %8) \"k\" \"k\" exp 0\n"
    "%10 = reduce_sum (%7) \"n\" \"n\" exp 0 num_axes 1 axes [0 0 0 0 0 0 0 0]\n"
    "%11 = dense (%10) \"d\" \"d\" exp 0 channels 2 weight [1 2 3 4] bias [0 1]\n"
    "output %11 \"y\" channels 2 scale [0.5 0.25] offset [0 1]\n"
    "output %9 \"z\"\n";

typedef void (*damage)(bli_program *p);
#define DAMAGE(name, statement)                                                                                        \
    static void name(bli_program *p)                                                                                   \
    {                                                                                                                  \
        statement;                                                                                                     \
    }
static int64_t bad_array[64];
DAMAGE(d_name, p->wires[3].name = p->wires[2].name)
DAMAGE(d_no_name, p->wires[3].name = NULL)
DAMAGE(d_empty_name, p->wires[3].name = "")
DAMAGE(d_layer, p->wires[3].layer = NULL)
DAMAGE(d_shape, p->wires[1].shape.dim[0]++)
DAMAGE(d_rank, p->wires[2].shape.rank = 1)
DAMAGE(d_count, p->wires[1].count++)
DAMAGE(d_num_spans, p->wires[1].num_spans = 1)
DAMAGE(d_low, ((bli_span *)(uintptr_t)p->wires[1].spans)[1].low--)
DAMAGE(d_high, ((bli_span *)(uintptr_t)p->wires[1].spans)[0].high++)
DAMAGE(d_zeros, ((bli_span *)(uintptr_t)p->wires[1].spans)[0].zeros++)
DAMAGE(d_spans, p->wires[4].spans = NULL)
DAMAGE(d_exp, p->wires[0].exp++)
DAMAGE(d_far_exp, p->wires[3].exp = 1 << 20)
DAMAGE(d_producer, p->wires[4].producer--)
DAMAGE(d_uses, p->wires[4].uses++)
DAMAGE(d_kind, p->ops[2].kind = BLI_PRIM_ABS)
DAMAGE(d_no_kind, p->ops[2].kind = (bli_prim)77)
DAMAGE(d_second_input, p->ops[2].kind = BLI_PRIM_INPUT)
DAMAGE(d_num_in, p->ops[7].num_in = 1)
DAMAGE(d_many_in, p->ops[9].num_in = 17)
DAMAGE(d_in, p->ops[7].in[1] = 9)
DAMAGE(d_negative_in, p->ops[7].in[1] = -1)
DAMAGE(d_out, p->ops[7].out = 6)
DAMAGE(d_kernel, p->ops[1].window.kernel[0] = 0)
DAMAGE(d_stride, p->ops[1].window.stride[0] = -1)
DAMAGE(d_dilation, p->ops[1].window.dilation[1] = 2)
DAMAGE(d_pad, p->ops[1].window.pad[2] = 1)
DAMAGE(d_groups, p->ops[1].window.groups = 3)
DAMAGE(d_shift_a, p->ops[7].shift_a = 63)
DAMAGE(d_shift_b, p->ops[7].shift_b = -1)
DAMAGE(d_unused, p->ops[7].fill = 1)
DAMAGE(d_unused_array, p->ops[7].weight = bad_array)
DAMAGE(d_rounding, p->ops[2].rounding = BL_STOCHASTIC)
DAMAGE(d_overflow, p->ops[3].overflow = BL_INF)
DAMAGE(d_signed, p->ops[3].is_signed = false)
DAMAGE(d_axis, p->ops[9].axis = 1)
DAMAGE(d_num_axes, p->ops[10].num_axes = 3)
DAMAGE(d_axes, p->ops[10].axes[0] = 2)
DAMAGE(d_fill, p->ops[8].fill = 1000)
DAMAGE(d_first, p->ops[5].first = 1)
DAMAGE(d_channels, p->ops[4].channels = 3)
DAMAGE(d_length, p->ops[5].length = 2)
DAMAGE(d_negative_length, p->ops[4].length = -1)
DAMAGE(d_weight, ((int64_t *)(uintptr_t)p->ops[1].weight)[3] = 44)
DAMAGE(d_no_weight, p->ops[11].weight = NULL)
DAMAGE(d_bias, ((int64_t *)(uintptr_t)p->ops[11].bias)[1] = 7)
DAMAGE(d_no_bias, p->ops[6].bias = NULL)
DAMAGE(d_low_high, ((int64_t *)(uintptr_t)p->ops[6].low)[0] = 8)
DAMAGE(d_high_low, ((int64_t *)(uintptr_t)p->ops[6].high)[0] = 6)
DAMAGE(d_shift, ((int64_t *)(uintptr_t)p->ops[2].shift)[1] = 63)
DAMAGE(d_bits, ((int64_t *)(uintptr_t)p->ops[3].bits)[0] = 0)
DAMAGE(d_threshold, ((int64_t *)(uintptr_t)p->ops[4].threshold)[1] = -4)
DAMAGE(d_base, ((int64_t *)(uintptr_t)p->ops[4].base)[0] = 1)
DAMAGE(d_step, ((int64_t *)(uintptr_t)p->ops[4].step)[0] = 2)
DAMAGE(d_table, ((int64_t *)(uintptr_t)p->ops[5].table)[2] = 9)
DAMAGE(d_index, ((int64_t *)(uintptr_t)p->ops[8].index)[2] = 8)
DAMAGE(d_output_wire, p->outputs[0].wire = 12)
DAMAGE(d_output_name, p->outputs[0].name = p->outputs[1].name)
DAMAGE(d_output_channels, p->outputs[0].channels = 3)
DAMAGE(d_output_scale, ((double *)(uintptr_t)p->outputs[0].scale)[1] = (double)NAN)
DAMAGE(d_output_offset, ((double *)(uintptr_t)p->outputs[0].offset)[1] = (double)INFINITY)
DAMAGE(d_input_wire, p->inputs[0].wire = 1)
DAMAGE(d_input_name, p->inputs[0].name = NULL)
DAMAGE(d_input_scale, p->inputs[0].scale = (double)NAN)
DAMAGE(d_input_format, p->inputs[0].format.bits = 6)
DAMAGE(d_input_kind, p->inputs[0].format.kind = BL_FORMAT_FLOAT32)
DAMAGE(d_input_grid, p->inputs[0].grid.scale = -1)
DAMAGE(d_num_inputs, p->num_inputs = 0)
DAMAGE(d_num_wires, p->num_wires--)

static void the_verifier_catches_a_fault_in_each_field(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        damage fn;
    } faults[] = {
#define FAULT(name) {#name, name}
        FAULT(d_name),         FAULT(d_no_name),
        FAULT(d_empty_name),   FAULT(d_layer),
        FAULT(d_shape),        FAULT(d_rank),
        FAULT(d_count),        FAULT(d_num_spans),
        FAULT(d_low),          FAULT(d_high),
        FAULT(d_zeros),        FAULT(d_spans),
        FAULT(d_exp),          FAULT(d_far_exp),
        FAULT(d_producer),     FAULT(d_uses),
        FAULT(d_kind),         FAULT(d_no_kind),
        FAULT(d_second_input), FAULT(d_num_in),
        FAULT(d_many_in),      FAULT(d_in),
        FAULT(d_negative_in),  FAULT(d_out),
        FAULT(d_kernel),       FAULT(d_stride),
        FAULT(d_dilation),     FAULT(d_pad),
        FAULT(d_groups),       FAULT(d_shift_a),
        FAULT(d_shift_b),      FAULT(d_unused),
        FAULT(d_unused_array), FAULT(d_rounding),
        FAULT(d_overflow),     FAULT(d_signed),
        FAULT(d_axis),         FAULT(d_num_axes),
        FAULT(d_axes),         FAULT(d_fill),
        FAULT(d_first),        FAULT(d_channels),
        FAULT(d_length),       FAULT(d_negative_length),
        FAULT(d_weight),       FAULT(d_no_weight),
        FAULT(d_bias),         FAULT(d_no_bias),
        FAULT(d_low_high),     FAULT(d_high_low),
        FAULT(d_shift),        FAULT(d_bits),
        FAULT(d_threshold),    FAULT(d_base),
        FAULT(d_step),         FAULT(d_table),
        FAULT(d_index),        FAULT(d_output_wire),
        FAULT(d_output_name),  FAULT(d_output_channels),
        FAULT(d_output_scale), FAULT(d_output_offset),
        FAULT(d_input_wire),   FAULT(d_input_name),
        FAULT(d_input_scale),  FAULT(d_input_format),
        FAULT(d_input_kind),   FAULT(d_input_grid),
        FAULT(d_num_inputs),   FAULT(d_num_wires)};
    for (size_t i = 0; i < BLI_COUNT(faults); i++) {
        bli_program *p;
        assert_ok(ctx, bli_program_parse(ctx, text_of_all, strlen(text_of_all), &p));
        assert_ok(ctx, bli_program_verify(p));
        faults[i].fn(p);
        const bl_status s = bli_program_verify(p);
        if (s == BL_OK)
            print_error("%s is not found\n", faults[i].name);
        assert_int_not_equal(s, BL_OK);
        assert_string_not_equal(bl_context_message(ctx), "");
        bli_program_destroy(p);
    }
}

/* ---- text -----------------------------------------------------------------------------------------------------------
 */

static void a_fault_in_the_text_names_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "line 1: expected program"},
        {"program \"a\"\n%1 = abs (%0) \"a\" \"a\" exp 0\n", "line 2: wire 1, expected 0"},
        {"program \"a\"\n%0 = abs (%0) \"a\" \"a\" exp 0\n", "line 2: input 0 is wire 0"},
        {"program \"a\"\n%0 = cnst \"a\" \"a\" [1] exp 0\n", "expected const"},
        {"program \"a\"\n\n%0 = const \"a\" \"a\" [2] exp 0 weight [1]\n", "line 3: weight has 1 elements, expected 2"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [2] exp 0 weight [1 x]\n", "weight: expected an integer"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [9223372036854775808]\n", "weight: expected an int"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [1] weight [1]\n", "given twice"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [1] bias [1]\n", "bias is given, but not used"},
        {"program \"a\"\n%0 = const \"\" \"a\" [1] exp 0 weight [1]\n", "empty or taken"},
        {"program \"a\"\noutput %0 \"y\"\n", "line 2: output 'y': there is no wire 0"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [1]\noutput %0 \"y\" channels 1 scale [2] then / "
         "[0]\n",
         "channel 0 is divided by 0"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [1]\noutput %0 \"y\" channels 1 scale [2] then ^ "
         "[1]\n",
         "a step is none of"},
        {"program \"a\"\n%0 = const \"a\" \"a\" [1] exp 0 weight [1]\noutput %0 \"y\" channels 1 scale [2] then + [1 "
         "1]\n",
         "2 numbers of a step, expected 1"},
        {"program \"a\"\n%0 = input \"x\" \"x\" [1] exp 1 scale 1 offset 0 format \"int<4>\" grid 1 0\n", "exp is 1"},
        {"program \"a\"\n%0 = input \"x\" \"x\" [1] exp 0 scale 1 offset 0 format \"bfloat16x\" grid 1 0\n", "line 2"},
        {"program \"a\"\n%0 = input \"x\" \"x\" [99999999999] exp 0 scale 1 offset 0 format \"int<4>\" grid 1 0\n",
         "more than"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_program *p;
        const bl_status s = bli_program_parse(ctx, cases[i].text, strlen(cases[i].text), &p);
        if (strstr(bl_context_message(ctx), cases[i].words) == NULL)
            print_error("case %zu: '%s', expected '%s'\n", i, bl_context_message(ctx), cases[i].words);
        assert_int_not_equal(s, BL_OK);
        assert_null(p);
        assert_non_null(strstr(bl_context_message(ctx), cases[i].words));
    }
}

static bl_status parse_and_print(bl_context *c, void *arg)
{
    (void)arg;
    bli_program *p;
    BLI_TRY(bli_program_parse(c, text_of_all, strlen(text_of_all), &p));
    char *text;
    bl_status s = bli_program_print(p, &text);
    if (s == BL_OK)
        bl_text_free(c, text);
    bli_program_destroy(p);
    return s;
}

static void every_failed_allocation_is_an_answer(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(parse_and_print, NULL) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreter_equals_the_model_and_stays_within_spans),
        cmocka_unit_test(printing_parsing_printing_gives_the_same),
        cmocka_unit_test(spans_are_tight_on_small_inputs),
        cmocka_unit_test(a_range_past_64_bits_names_the_wire),
        cmocka_unit_test(empty_tensors_and_constants_are_programs_too),
        cmocka_unit_test(taken_and_empty_names_get_a_number),
        cmocka_unit_test(what_no_output_needs_is_dropped_but_inputs_stay),
        cmocka_unit_test(codes_outside_of_an_input_are_refused),
        cmocka_unit_test(real_numbers_become_codes_and_come_back),
        cmocka_unit_test(the_verifier_catches_a_fault_in_each_field),
        cmocka_unit_test(a_fault_in_the_text_names_its_line),
        cmocka_unit_test(every_failed_allocation_is_an_answer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
