/* Adder graphs: every graph is its matrix (by evaluation, beside the driver's own proof), ranges are sound and reached,
 * limits hold, and what should be shared is.
 * Length: one subject and its helpers, of which a good part are tables of cases. */
#include "support/test.h"

#include "base/random.h"
#include "bitlathe/lower.h"
#include "program/cmvm_impl.h"
#include "program/cmvm_op.h"
#include "program/csd.h"
#include "support/memory.h"

enum { MOST = 24 };

typedef struct problem {
    int32_t n, m;
    int64_t matrix[MOST * MOST], constant[MOST];
    bli_cmvm_input input[MOST];
} problem;

static bl_context *context(void)
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    return ctx;
}

static bli_adder_graph *solve(bl_context *ctx, const problem *p, bli_cmvm_options o)
{
    const bli_cmvm_problem q = {p->n, p->m, p->matrix, p->input, p->constant};
    bli_adder_graph *g;
    assert_ok(ctx, bli_cmvm_solve(ctx, &q, &o, &g));
    return g;
}

static const bli_cmvm_options quick_plain = {-1, false, 1, false}, quick_ternary = {-1, true, 1, false};
static const bli_cmvm_options plain = {-1, false, 2, false}, ternary = {-1, true, 2, false};

/* ---- evaluation ------------------------------------------------------------------------------------------------- */
/* corner 0: all lowest, 1: all highest, else at random. */
static void draw_inputs(const problem *p, const bli_stream *s, uint64_t corner, int64_t *x)
{
    for (int32_t i = 0; i < p->n; i++) {
        const bli_cmvm_input *in = &p->input[i];
        const uint64_t bits = bli_stream_u32(s, corner * MOST + (uint64_t)i),
                       steps = (uint64_t)(in->hi - in->lo) >> in->zeros;
        x[i] = corner == 0 ? in->lo : corner == 1 ? in->hi : in->lo + (int64_t)((bits % (steps + 1)) << in->zeros);
    }
}

static void check_values(const bli_adder_graph *g, const int64_t *values)
{
    for (int32_t v = 0; v < g->num_nodes; v++) {
        if (values[v] < g->nodes[v].lo || values[v] > g->nodes[v].hi)
            print_error("node %d: %lld outside [%lld, %lld]\n", v, (long long)values[v], (long long)g->nodes[v].lo,
                        (long long)g->nodes[v].hi);
        assert_true(values[v] >= g->nodes[v].lo && values[v] <= g->nodes[v].hi);
    }
}

static void check_graph(const problem *p, const bli_adder_graph *g, uint64_t seed)
{
    const bli_stream s = bli_stream_make(seed, 0, "inputs");
    int64_t *values = calloc((size_t)g->num_nodes + 1, sizeof *values);
    assert_non_null(values);
    for (uint64_t corner = 0; corner < 12; corner++) {
        int64_t x[MOST], codes[MOST], y[MOST];
        draw_inputs(p, &s, corner, x);
        for (int32_t i = 0; i < p->n; i++)
            codes[i] = x[i] >> p->input[i].zeros;
        bli_adder_graph_eval(g, codes, values, y);
        check_values(g, values);
        for (int32_t j = 0; j < p->m; j++) {
            int64_t expected = p->constant[j];
            for (int32_t i = 0; i < p->n; i++)
                expected += p->matrix[i * p->m + j] * x[i];
            assert_int_equal(y[j], expected);
        }
    }
    free(values);
}

/* ---- random problems -------------------------------------------------------------------------------------------- */
static problem random_problem(uint64_t seed)
{
    const bli_stream s = bli_stream_make(seed, 0, "cmvm");
    problem p = {.n = (int32_t)(bli_stream_u32(&s, 0) % 9), .m = (int32_t)(bli_stream_u32(&s, 1) % 9)};
    const int bits = 1 + (int)(bli_stream_u32(&s, 2) % 9);
    const uint32_t zeros = bli_stream_u32(&s, 3) % 4; /* how many of four factors are 0 */
    const bool copies = bli_stream_u32(&s, 4) % 2;
    for (int32_t k = 0; k < p.n * p.m; k++) {
        const uint32_t r = bli_stream_u32(&s, 100 + (uint64_t)k);
        p.matrix[k] = r % 4 < zeros ? 0 : (int64_t)(r >> 4 & ((1u << bits) - 1)) - (1 << (bits - 1));
    }
    for (int32_t i = 0; copies && p.m > 2 && i < p.n; i++) { /* the last column is -4 times the first */
        p.matrix[i * p.m + p.m - 1] = -4 * p.matrix[i * p.m];
        p.matrix[i * p.m + 1] = 0;
    }
    for (int32_t i = 0; i < p.n; i++) {
        const uint32_t r = bli_stream_u32(&s, 1000 + (uint64_t)i);
        const int64_t lo = (int64_t)(r % 64) - 48, width = (r >> 8) % 5 == 0 ? 0 : (int64_t)(r >> 16 & 127);
        const int shift = (int)(r >> 24 & 3);
        p.input[i] = (bli_cmvm_input){lo * (1 << shift), (lo + width) * (1 << shift), shift};
    }
    for (int32_t j = 0; j < p.m; j++)
        p.constant[j] = seed % 3 == 0 ? 0 : (int64_t)(bli_stream_u32(&s, 2000 + (uint64_t)j) % 512) - 256;
    return p;
}

static void random_graphs_are_their_matrix(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (uint64_t seed = 0; seed < 240; seed++) {
        const problem p = random_problem(seed);
        const bli_cmvm_options o = {(int)(seed % 4) - 1, seed % 2, (int)(seed / 4 % 4), seed % 5 == 0};
        bli_adder_graph *g = solve(ctx, &p, o);
        check_graph(&p, g, seed);
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static problem small_problem(int32_t n, int32_t m, const int64_t *matrix, int64_t constant)
{
    problem p = {.n = n, .m = m};
    for (int32_t k = 0; k < n * m; k++)
        p.matrix[k] = matrix[k];
    for (int32_t i = 0; i < n; i++)
        p.input[i] = (bli_cmvm_input){-8, 7, 0};
    for (int32_t j = 0; j < m; j++)
        p.constant[j] = constant;
    return p;
}

static void all_2x2_of_small_factors(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (int k = 0; k < 7 * 7 * 7 * 7; k++) {
        const int64_t w[4] = {k % 7 - 3, k / 7 % 7 - 3, k / 49 % 7 - 3, k / 343 - 3};
        const problem p = small_problem(2, 2, w, k % 5 - 2);
        bli_adder_graph *g = solve(ctx, &p, k % 2 ? quick_plain : quick_ternary);
        check_graph(&p, g, (uint64_t)k);
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static void every_factor_and_constant(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (int64_t w = -300; w <= 300; w++) {
        const problem p = small_problem(1, 1, &w, w % 17);
        bli_adder_graph *g = solve(ctx, &p, w % 2 ? quick_plain : quick_ternary);
        check_graph(&p, g, (uint64_t)(w + 300));
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

/* ---- what is known ---------------------------------------------------------------------------------------------- */
static void digits_are_canonical(void **unused)
{
    (void)unused;
    for (int64_t x = -5000; x <= 5000; x++) {
        const bli_csd c = bli_csd_of(x);
        assert_int_equal((int64_t)(c.plus - c.minus), x);
        assert_int_equal((c.plus | c.minus) & (c.plus | c.minus) << 1, 0);
    }
    const int64_t most = (int64_t)1 << 62;
    assert_int_equal(bli_csd_of(most).plus, (uint64_t)most);
    assert_int_equal(bli_csd_of(-most).minus, (uint64_t)most);
    assert_int_equal(bli_csd_digits(most - 1), 2);
}

static int adders_of(bl_context *ctx, const problem *p, bli_cmvm_options o)
{
    bli_adder_graph *g = solve(ctx, p, o);
    check_graph(p, g, 1);
    const int adders = bli_adder_graph_summary(g).adders;
    bli_adder_graph_destroy(g);
    return adders;
}

static void equal_negated_and_shifted_columns_are_one(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const int64_t w[2 * 4] = {3, 3, -3, 24, 5, 5, -5, 40};
    const problem p = small_problem(2, 4, w, 0), one = small_problem(2, 1, (const int64_t[]){3, 5}, 0);
    assert_int_equal(adders_of(ctx, &p, plain), adders_of(ctx, &one, plain));
    bl_context_destroy(ctx);
}

static void zero_columns_and_fixed_inputs_are_constants(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    problem p = small_problem(3, 2, (const int64_t[]){0, 0, 7, 0, 0, 0}, 9);
    p.input[1] = (bli_cmvm_input){5, 5, 0};
    bli_adder_graph *g = solve(ctx, &p, plain);
    assert_int_equal(g->num_nodes, 3);
    assert_int_equal(g->outputs[0].node, -1);
    assert_int_equal(g->outputs[0].constant, 9 + 35);
    assert_int_equal(g->outputs[1].constant, 9);
    bli_adder_graph_destroy(g);
    bl_context_destroy(ctx);
}

static void three_operands_take_half_the_adders(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    int64_t w[9];
    for (int k = 0; k < 9; k++)
        w[k] = k % 2 ? -1 : 1;
    const problem p = small_problem(9, 1, w, 0);
    assert_int_equal(adders_of(ctx, &p, plain), 8);
    assert_int_equal(adders_of(ctx, &p, ternary), 4);
    bl_context_destroy(ctx);
}

static void concatenation_costs_nothing(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    problem p = small_problem(2, 1, (const int64_t[]){1, 16}, 0);
    p.input[0] = (bli_cmvm_input){0, 15, 0};
    bli_adder_graph *g = solve(ctx, &p, plain);
    assert_int_equal(bli_adder_graph_summary(g).cost, 0);
    bli_adder_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* A lone sum of terms at different shifts has room for small constants in its chains. */
static void constants_hide_in_free_places(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const int64_t w[6] = {1, 2, 4, -8, 16, -2};
    int folded = 0;
    for (int64_t c = -40; c <= 40; c += 2) {
        const problem p = small_problem(6, 1, w, c), none = small_problem(6, 1, w, 0);
        bli_adder_graph *g = solve(ctx, &p, plain), *bare = solve(ctx, &none, plain);
        check_graph(&p, g, (uint64_t)(c + 40));
        folded += bli_adder_graph_summary(g).cost <= bli_adder_graph_summary(bare).cost + 1;
        bli_adder_graph_destroy(g);
        bli_adder_graph_destroy(bare);
    }
    print_message("%d of 41 constants cost at most one cell\n", folded);
    assert_true(folded >= 6);
    bl_context_destroy(ctx);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */
static int least_depth(const problem *p)
{
    int most = 0;
    for (int32_t j = 0; j < p->m; j++) {
        int digits = 0, depth = 0;
        for (int32_t i = 0; i < p->n; i++)
            digits += bli_csd_digits(p->matrix[i * p->m + j]);
        while (1 << depth < digits)
            depth++;
        most = depth > most ? depth : most;
    }
    return most;
}

static void depth_limits_hold(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (uint64_t seed = 0; seed < 60; seed++) {
        problem p = random_problem(seed);
        const int extra = (int)(seed % 3);
        memset(p.constant, 0, sizeof p.constant); /* a constant may be an adder of its own */
        for (int32_t i = 0; i < p.n; i++)
            p.input[i].hi += p.input[i].hi == p.input[i].lo ? 8 : 0;
        bli_adder_graph *g = solve(ctx, &p, (bli_cmvm_options){extra, false, 3, false});
        assert_true(bli_adder_graph_summary(g).depth <= least_depth(&p) + extra);
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static void more_effort_never_costs_more(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (uint64_t seed = 0; seed < 60; seed++) {
        const problem p = random_problem(seed);
        int64_t before = INT64_MAX;
        for (int effort = 0; effort <= 3; effort++) {
            bli_adder_graph *g = solve(ctx, &p, (bli_cmvm_options){-1, seed % 2, effort, false});
            const bli_adder_summary sum = bli_adder_graph_summary(g);
            const int64_t cost = sum.cost + 3 * sum.luts; /* what the search makes least */
            if (cost > before)
                print_error("seed %d: effort %d costs %d, %d before\n", (int)seed, effort, (int)cost, (int)before);
            assert_true(cost <= before);
            before = cost;
            bli_adder_graph_destroy(g);
        }
    }
    bl_context_destroy(ctx);
}

static void the_same_call_gives_the_same_graph(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    for (uint64_t seed = 0; seed < 12; seed++) {
        const problem p = random_problem(seed);
        bli_adder_graph *a = solve(ctx, &p, seed % 2 ? plain : ternary),
                        *b = solve(ctx, &p, seed % 2 ? plain : ternary);
        assert_int_equal(a->num_nodes, b->num_nodes);
        assert_memory_equal(a->nodes, b->nodes, (size_t)a->num_nodes * sizeof *a->nodes);
        assert_memory_equal(a->outputs, b->outputs, (size_t)a->num_outputs * sizeof *a->outputs);
        bli_adder_graph_destroy(a);
        bli_adder_graph_destroy(b);
    }
    bl_context_destroy(ctx);
}

/* ---- what graphs cost ------------------------------------------------------------------------------------------- */
/* Fixed matrices and what the search makes of them, to the cell: a change of the search shows here, for better or
 * worse, and the table is written anew (it is printed when it differs). */
typedef struct budget {
    int32_t n, m, bits; /* bits of a factor; 1: ±1, 0: -1 0 1 */
    bool one_bit, constants;
    bli_cmvm_options options;
    int adders, cost, luts, depth;
} budget;

static const budget budgets[] = {
    {8, 8, 8, false, false, {-1, false, 0, false}, 142, 1504, 1368, 8},
    {8, 8, 8, false, false, {-1, false, 1, false}, 102, 1075, 987, 8},
    {8, 8, 8, false, false, {-1, false, 2, false}, 100, 1081, 981, 10},
    {8, 8, 8, false, false, {-1, false, 3, false}, 98, 1053, 974, 10},
    {8, 8, 8, false, false, {-1, false, 2, true}, 96, 1071, 972, 9},
    {8, 8, 8, false, false, {0, false, 2, false}, 102, 1114, 1025, 5},
    {8, 8, 8, false, false, {1, false, 3, false}, 102, 1087, 991, 6},
    {8, 8, 8, false, false, {-1, true, 2, false}, 63, 717, 651, 7},
    {16, 16, 8, false, false, {-1, false, 2, false}, 365, 4003, 3782, 18},
    {16, 16, 8, false, false, {-1, false, 2, true}, 357, 4150, 3898, 16},
    {16, 16, 8, false, false, {0, true, 2, false}, 232, 2658, 2501, 6},
    {24, 16, 6, false, true, {-1, false, 2, false}, 446, 4704, 4367, 10},
    {24, 16, 6, false, true, {-1, true, 2, false}, 263, 3095, 2809, 8},
    {24, 16, 6, false, true, {1, false, 2, false}, 447, 4761, 4390, 7},
    {16, 24, 4, false, true, {0, false, 1, false}, 320, 3276, 2916, 6},
    {24, 24, 1, false, false, {-1, false, 2, false}, 127, 1366, 1229, 11},
    {24, 24, 1, true, false, {-1, false, 2, false}, 125, 386, 270, 12},
    {24, 24, 1, true, false, {-1, true, 2, false}, 76, 241, 177, 11},
    {24, 24, 0, false, true, {-1, false, 2, false}, 209, 2097, 1827, 6},
    {24, 24, 0, true, true, {0, true, 2, false}, 133, 601, 435, 5},
};

static problem budget_problem(const budget *b)
{
    const bli_stream s = bli_stream_make(7, 0, "budget");
    problem p = {.n = b->n, .m = b->m};
    for (int32_t k = 0; k < p.n * p.m; k++) {
        const uint32_t r = bli_stream_u32(&s, (uint64_t)k);
        p.matrix[k] = b->bits == 0   ? (int64_t)(r % 3) - 1
                      : b->bits == 1 ? (r & 1 ? 1 : -1)
                                     : (int64_t)(r >> 8 & ((1u << b->bits) - 1)) - (1 << (b->bits - 1));
    }
    for (int32_t i = 0; i < p.n; i++)
        p.input[i] = b->one_bit ? (bli_cmvm_input){0, 1, 0} : (bli_cmvm_input){i % 2 ? -100 : 0, 127 << i % 3, i % 3};
    for (int32_t i = 0; !b->one_bit && i < p.n; i++) /* multiples of the step */
        p.input[i].lo = p.input[i].lo / (1 << i % 3) * (1 << i % 3);
    for (int32_t j = 0; b->constants && j < p.m; j++)
        p.constant[j] = (int64_t)(bli_stream_u32(&s, 100000 + (uint64_t)j) % 2048) - 1024;
    return p;
}

static void graphs_cost_what_they_did(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    int differ = 0;
    for (size_t k = 0; k < sizeof budgets / sizeof *budgets; k++) {
        const budget *b = &budgets[k];
        const problem p = budget_problem(b);
        bli_adder_graph *g = solve(ctx, &p, b->options);
        check_graph(&p, g, k);
        const bli_adder_summary s = bli_adder_graph_summary(g);
        if (s.adders != b->adders || s.cost != b->cost || s.luts != b->luts || s.depth != b->depth) {
            print_error("row %zu: %d, %d, %d, %d expected; found %d, %lld, %lld, %d\n", k, b->adders, b->cost, b->luts,
                        b->depth, s.adders, (long long)s.cost, (long long)s.luts, s.depth);
            differ++;
        }
        bli_adder_graph_destroy(g);
    }
    assert_int_equal(differ, 0);
    bl_context_destroy(ctx);
}

/* ---- a program's products --------------------------------------------------------------------------------------- */
static bli_program *one_op_program(bl_context *ctx, bl_shape shape, bli_prim_op op)
{
    bli_input input = {
        .name = "x", .scale = 1, .format = {.kind = BL_FORMAT_INT, .bits = 4, .is_signed = true}, .grid = {1, 0}};
    bli_output output = {.name = "y"};
    bli_builder *b;
    bli_program *p;
    assert_ok(ctx, bli_builder_create(ctx, "one", &b));
    assert_ok(ctx, bli_builder_input(b, &input, "x", &shape, &op.in[0]));
    op.num_in = 1;
    assert_ok(ctx, bli_builder_add(b, &op, "y", "y", NULL, 0, &output.wire));
    assert_ok(ctx, bli_builder_output(b, &output));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

static void check_op(bl_context *ctx, bl_shape shape, bli_prim_op op, const problem *expected, int64_t places)
{
    bli_program *p = one_op_program(ctx, shape, op);
    const bli_prim_op *made = &p->ops[p->wires[1].producer];
    bli_arena *arena;
    bli_cmvm_problem found;
    assert_ok(ctx, bli_arena_create(ctx, &arena));
    assert_ok(ctx, bli_cmvm_op_problem(p, made, arena, &found));
    assert_int_equal(found.inputs, expected->n);
    assert_int_equal(found.outputs, expected->m);
    assert_memory_equal(found.matrix, expected->matrix, (size_t)(found.inputs * found.outputs) * sizeof(int64_t));
    for (int32_t i = 0; i < found.inputs; i++) {
        assert_int_equal(found.input[i].lo, -8);
        assert_int_equal(found.input[i].hi, 7);
    }
    bl_wire_adders a;
    assert_ok(ctx, bl_program_wire_adders(p, 1, false, &a));
    assert_int_equal(a.places, places);
    assert_int_equal(a.adders, adders_of(ctx, expected, plain));
    assert_ok(ctx, bl_program_wire_adders(p, 1, true, &a));
    assert_int_equal(a.adders, adders_of(ctx, expected, ternary));
    assert_ok(ctx, bl_program_wire_adders(p, 0, true, &a));
    assert_int_equal(a.places, 0);
    assert_fails(ctx, BL_BAD_VALUE, "wire 2 of 2", bl_program_wire_adders(p, 2, true, &a));
    bli_arena_destroy(arena);
    bli_program_destroy(p);
}

static void layers_are_their_matrices(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const int64_t dense[] = {1, -2, 3, 0, 5, -6}, conv[] = {3, 5, -7, 11, 9, 13, 15, 17};
    const bli_window window = {{2, 1}, {1, 1}, {1, 1}, {1, 0, 0, 0}, 2};
    const problem first = small_problem(3, 2, dense, 0);
    /* Channels 0 and 1 of the result see channel 0 of the input only, 2 and 3 channel 1. */
    const problem second =
        small_problem(4, 4, (const int64_t[]){3, -7, 0, 0, 0, 0, 9, 15, 5, 11, 0, 0, 0, 0, 13, 17}, 0);
    check_op(ctx, (bl_shape){1, {3}}, (bli_prim_op){.kind = BLI_PRIM_DENSE, .channels = 2, .weight = dense}, &first, 1);
    check_op(ctx, (bl_shape){3, {4, 3, 2}},
             (bli_prim_op){.kind = BLI_PRIM_CONV, .channels = 4, .weight = conv, .window = window}, &second, 12);
    bl_context_destroy(ctx);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */
static void what_does_not_fit_is_refused_by_name(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    problem p = small_problem(1, 2, (const int64_t[]){1, (int64_t)1 << 61}, 0);
    const bli_cmvm_problem q = {p.n, p.m, p.matrix, p.input, p.constant};
    bli_adder_graph *g;
    assert_fails(ctx, BL_LIMIT, "output 1 may pass 2^59", bli_cmvm_solve(ctx, &q, &plain, &g));
    assert_null(g);
    p.matrix[1] = INT64_MIN;
    assert_fails(ctx, BL_LIMIT, "output 1 may pass 2^59", bli_cmvm_solve(ctx, &q, &plain, &g));
    p.matrix[1] = 1;
    p.constant[0] = INT64_MIN;
    assert_fails(ctx, BL_LIMIT, "output 0 may pass 2^59", bli_cmvm_solve(ctx, &q, &plain, &g));
    p.input[0] = (bli_cmvm_input){3, 2, 0};
    assert_fails(ctx, BL_BAD_VALUE, "input 0: range [3, 2]", bli_cmvm_solve(ctx, &q, &plain, &g));
    p.input[0] = (bli_cmvm_input){0, 1, 63};
    assert_fails(ctx, BL_BAD_VALUE, "63 zero bits", bli_cmvm_solve(ctx, &q, &plain, &g));
    bl_context_destroy(ctx);
}

static void large_factors_work(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const int64_t big = ((int64_t)1 << 54) - 0x123456789abcd;
    for (int turn = 0; turn < 2; turn++) {
        problem p = small_problem(2, 2, (const int64_t[]){big, -big / 3, 5, big}, -big);
        bli_adder_graph *g = solve(ctx, &p, turn ? plain : ternary);
        check_graph(&p, g, 7);
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static void a_wrong_graph_is_found(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const problem p = small_problem(3, 1, (const int64_t[]){5, 3, -9}, 4);
    bli_adder_graph *g = solve(ctx, &p, plain);
    assert_ok(ctx, bli_adder_graph_verify(g, p.matrix, p.constant));
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++) {
        bli_adder_node *n = &g->nodes[v];
        const bli_adder_node kept = *n;
        n->term[0].negative = !n->term[0].negative;
        assert_int_equal(bli_adder_graph_verify(g, p.matrix, p.constant), BL_MISMATCH);
        *n = kept;
        n->constant++;
        assert_int_equal(bli_adder_graph_verify(g, p.matrix, p.constant), BL_MISMATCH);
        *n = kept;
        n->term[0].node = v;
        assert_int_equal(bli_adder_graph_verify(g, p.matrix, p.constant), BL_MISMATCH);
        *n = kept;
    }
    bli_adder_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* The rules of adder_graph.h, each at its edge. */
static void legal_nodes_end_where_the_header_says(void **unused)
{
    (void)unused;
    static const struct {
        bool ternary, legal;
        bli_adder_node node;
    } cases[] = {
        {false, true, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, false}}, .constant = 4}},
        {false, false, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, false}}, .constant = 5}},
        {false, false, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, false}}, .constant = -1}},
        {false, true, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, true}}, .constant = -4}},
        {false, true, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, true}}, .constant = -1}},
        {false, true, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, true}}}},
        {false, false, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, true}}, .constant = -5}},
        {false, false, {.num_terms = 2, .term = {{0, 0, false}, {1, 2, true}}, .constant = 1}},
        {false, true, {.num_terms = 2, .term = {{0, 0, true}, {1, 2, false}}, .constant = 3}},
        {false, true, {.num_terms = 2, .term = {{0, 0, true}, {1, 2, false}}, .constant = -1}},
        {false, false, {.num_terms = 2, .term = {{0, 0, true}, {1, 2, false}}, .constant = 4}},
        {false, false, {.num_terms = 2, .term = {{0, 0, true}, {1, 2, false}}, .constant = -2}},
        {false, false, {.num_terms = 2, .term = {{0, 0, true}, {1, 2, true}}}},
        {false, false, {.num_terms = 2, .term = {{0, 1, false}, {1, 2, false}}}},
        {false, false, {.num_terms = 2, .term = {{0, 1, false}, {1, 2, false}}, .constant = 1}},
        {true, true, {.num_terms = 2, .term = {{0, 1, false}, {1, 2, false}}, .constant = 1}},
        {true, false, {.num_terms = 2, .term = {{0, 1, false}, {1, 2, false}}}},
        {true, true, {.num_terms = 2, .term = {{0, 0, false}, {1, 62, false}}, .constant = 99}},
        {true, false, {.num_terms = 2, .term = {{0, 0, false}, {1, 63, false}}}},
        {true, true, {.num_terms = 3, .term = {{0, 0, false}, {1, 2, true}, {2, 3, true}}}},
        {true, false, {.num_terms = 3, .term = {{0, 0, false}, {1, 2, true}, {2, 3, true}}, .constant = 1}},
        {false, false, {.num_terms = 3, .term = {{0, 0, false}, {1, 2, true}, {2, 3, true}}}},
        {true, false, {.num_terms = 3, .term = {{0, 0, true}, {1, 2, true}, {2, 3, true}}}},
        {false, true, {.num_terms = 1, .term = {{0, 3, true}}, .constant = 77}},
        {false, false, {.num_terms = 0}},
    };
    bl_context *ctx = context();
    const bli_adder_range ranges[3] = {{-8, 7}, {-8, 7}, {-8, 7}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bli_adder_graph *g;
        assert_ok(ctx, bli_adder_graph_create(ctx, ranges, 3, 0, cases[k].ternary, &g));
        if (bli_adder_is_legal(g, &cases[k].node) != cases[k].legal)
            fail_msg("case %zu is %slegal", k, cases[k].legal ? "not " : "");
        bli_adder_graph_destroy(g);
    }
    bl_context_destroy(ctx);
}

static void a_sum_past_62_bits_leaves_the_graph_as_it_was(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const bli_adder_range ranges[2] = {{0, (int64_t)1 << 61}, {0, (int64_t)1 << 61}};
    bli_adder_graph *g;
    int32_t v;
    assert_ok(ctx, bli_adder_graph_create(ctx, ranges, 2, 0, false, &g));
    const bli_adder_node fits = {.num_terms = 2, .term = {{0, 0, false}, {1, 0, false}}};
    const bli_adder_node high = {.num_terms = 2, .term = {{0, 0, false}, {1, 1, false}}};
    const bli_adder_node low = {.num_terms = 2, .term = {{0, 0, false}, {1, 1, true}}, .constant = -2};
    assert_ok(ctx, bli_adder_graph_add(g, &fits, &v));
    assert_int_equal(g->nodes[v].hi, (int64_t)1 << 62);
    assert_fails(ctx, BL_LIMIT, "passes 62 bits", bli_adder_graph_add(g, &high, &v));
    assert_fails(ctx, BL_LIMIT, "passes 62 bits", bli_adder_graph_add(g, &low, &v));
    assert_int_equal(g->num_nodes, 3);
    bli_adder_graph_destroy(g);
    bl_context_destroy(ctx);
}

/* The same edge twice on a column's way, and a shared pair that is a row's own node: both have one factor in the end.
 */
static void what_is_there_already_is_counted_once(void **unused)
{
    (void)unused;
    bl_context *ctx = context();
    const problem p = small_problem(4, 4, (const int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 2, 0, 0, 1, 1}, 0);
    bli_adder_graph *g = solve(ctx, &p, plain);
    check_graph(&p, g, 3);
    bli_adder_graph_destroy(g);

    const bli_adder_range ranges[2] = {{-8, 7}, {-8, 7}};
    const bli_adder_node sum = {.num_terms = 2, .term = {{0, 0, false}, {1, 0, false}}};
    bli_adder_term first[] = {{0, 0, false}, {1, 0, false}, {2, 0, false}},
                   second[] = {{0, 2, false}, {1, 2, false}, {2, 0, false}};
    bli_cmvm_row rows[] = {{first, 3, BLI_CMVM_NO_LIMIT, 0}, {second, 3, BLI_CMVM_NO_LIMIT, 0}};
    int32_t v;
    assert_ok(ctx, bli_adder_graph_create(ctx, ranges, 2, 0, false, &g));
    assert_ok(ctx, bli_adder_graph_add(g, &sum, &v));
    assert_ok(ctx, bli_cmvm_share(g, rows, 2, &(bli_cmvm_way){.dc = -1, .least = 2}));
    for (int r = 0; r < 2; r++) {
        int64_t values[64], in[] = {5, -3}, out[1], total = 0;
        bli_adder_graph_eval(g, in, values, out);
        for (int32_t t = 0; t < rows[r].count; t++)
            for (int32_t u = 0; u < t; u++)
                assert_false(rows[r].terms[t].node == rows[r].terms[u].node &&
                             rows[r].terms[t].shift == rows[r].terms[u].shift);
        for (int32_t t = 0; t < rows[r].count; t++)
            total +=
                values[rows[r].terms[t].node] * (1 << rows[r].terms[t].shift) * (rows[r].terms[t].negative ? -1 : 1);
        assert_int_equal(total, r == 0 ? 2 + 2 : 4 * 2 + 2);
    }
    bli_adder_graph_destroy(g);
    bl_context_destroy(ctx);
}

static bl_status solve_once(bl_context *ctx, void *arg)
{
    const problem *p = arg;
    const bli_cmvm_problem q = {p->n, p->m, p->matrix, p->input, p->constant};
    const bli_cmvm_options o = {-1, p->n % 2, 2, false};
    bli_adder_graph *g;
    bl_status s = bli_cmvm_solve(ctx, &q, &o, &g);
    bli_adder_graph_destroy(g);
    return s;
}

static void every_allocation_may_fail(void **unused)
{
    (void)unused;
    for (int32_t n = 2; n <= 3; n++) {
        problem p = {.n = n, .m = 2};
        for (int32_t k = 0; k < n * 2; k++)
            p.matrix[k] = (k * 37 + 11) % 61 - 30;
        for (int32_t i = 0; i < n; i++)
            p.input[i] = (bli_cmvm_input){-8, 7, 0};
        p.constant[1] = 77;
        assert_true(fail_each_allocation(solve_once, &p) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_canonical),
        cmocka_unit_test(random_graphs_are_their_matrix),
        cmocka_unit_test(all_2x2_of_small_factors),
        cmocka_unit_test(every_factor_and_constant),
        cmocka_unit_test(equal_negated_and_shifted_columns_are_one),
        cmocka_unit_test(zero_columns_and_fixed_inputs_are_constants),
        cmocka_unit_test(three_operands_take_half_the_adders),
        cmocka_unit_test(concatenation_costs_nothing),
        cmocka_unit_test(constants_hide_in_free_places),
        cmocka_unit_test(depth_limits_hold),
        cmocka_unit_test(more_effort_never_costs_more),
        cmocka_unit_test(the_same_call_gives_the_same_graph),
        cmocka_unit_test(graphs_cost_what_they_did),
        cmocka_unit_test(layers_are_their_matrices),
        cmocka_unit_test(what_does_not_fit_is_refused_by_name),
        cmocka_unit_test(large_factors_work),
        cmocka_unit_test(a_wrong_graph_is_found),
        cmocka_unit_test(legal_nodes_end_where_the_header_says),
        cmocka_unit_test(a_sum_past_62_bits_leaves_the_graph_as_it_was),
        cmocka_unit_test(what_is_there_already_is_counted_once),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
