/* A program unrolled into scalar operations computes what the interpreter computes, within the ranges it claims. */
#include "support/test.h"

#include "emit/verilog/net.h"
#include "support/programs.h"
#include "support/small_net.h"

enum { PROGRAMS = 300, SAMPLES = 12 };

static const bli_net_options digits = {.adder_graphs = false};
static const bli_net_options graphs = {.adder_graphs = true, .extra_depth = -1, .effort = 1};
static const bli_net_options ternary = {.adder_graphs = true, .ternary = true, .extra_depth = -1, .effort = 1};

static void check_ranges(const bli_net *n, const int64_t *values)
{
    for (int i = 0; i < n->count; i++) {
        const bli_net_signal *s = &n->signals[i];
        if (values[i] >= s->low && values[i] <= s->high)
            continue;
        fail_msg("signal %d (kind %d of '%s'): %lld is outside of %lld .. %lld", i, (int)s->kind,
                 n->program->wires[s->wire].name, (long long)values[i], (long long)s->low, (long long)s->high);
    }
}

static void check_wires(const bli_net *n, const program_values *v, const int64_t *values, uint64_t seed)
{
    for (int w = 0; w < n->program->num_wires; w++)
        for (int64_t e = 0; n->wires[w] && e < n->program->wires[w].count; e++) {
            int64_t found = bli_net_ref_value(n->wires[w][e], values);
            if (found != v->wires[w][e])
                fail_msg("seed %llu: wire '%s' (%s) element %lld: expected %lld, found %lld", (unsigned long long)seed,
                         n->program->wires[w].name, bli_prim_word(n->program->ops[w].kind), (long long)e,
                         (long long)v->wires[w][e], (long long)found);
        }
}

static void compare(bl_context *ctx, const bli_program *p, const bli_net *n, uint64_t seed)
{
    program_values *v = program_values_create(p);
    int64_t *values = calloc((size_t)n->count + 1, sizeof *values), total = 0;
    for (int i = 0; i < p->num_inputs; i++)
        total += p->wires[p->inputs[i].wire].count;
    int64_t *x = calloc((size_t)total + 1, sizeof *x);
    assert_true(values && x);
    for (int k = 0; k < SAMPLES; k++) {
        int64_t *at = x;
        program_values_draw(v, seed, k);
        assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
        for (int i = 0; i < p->num_inputs; i++) {
            int64_t count = p->wires[p->inputs[i].wire].count;
            memcpy(at, v->codes[i], (size_t)count * sizeof *at);
            at += count;
        }
        bli_net_eval(n, x, values);
        check_wires(n, v, values, seed);
        check_ranges(n, values);
    }
    free(x);
    free(values);
    program_values_destroy(v);
}

/* Wide programs may be past what one signal holds; that is said, and rare. */
static int try_programs(bl_context *ctx, const program_wishes *wishes, uint64_t first, const bli_net_options *options)
{
    int refused = 0;
    for (uint64_t seed = first; seed < first + PROGRAMS; seed++) {
        bli_program *p = random_program_like(ctx, seed, wishes);
        bli_net *n;
        bl_status s = bli_net_create(p, options, &n);
        if (s == BL_LIMIT) {
            refused++;
        } else {
            assert_ok(ctx, s);
            compare(ctx, p, n, seed);
            bli_net_destroy(n);
        }
        bli_program_destroy(p);
    }
    return refused;
}

static void narrow_programs_equal_the_interpreter(void **state)
{
    const program_wishes narrow = {.ops = 14, .elements = 200, .narrow = true};
    assert_int_equal(try_programs(*state, &narrow, 1000, &digits), 0);
}

static void wide_programs_equal_the_interpreter(void **state)
{
    int refused = try_programs(*state, NULL, 5000, &digits);
    print_message("%d of %d programs need more than 62 bits\n", refused, PROGRAMS);
    assert_true(refused < PROGRAMS / 10);
}

static void adder_graphs_equal_the_interpreter(void **state)
{
    const program_wishes narrow = {.ops = 10, .elements = 120, .narrow = true};
    assert_int_equal(try_programs(*state, &narrow, 2000, &graphs), 0);
    assert_int_equal(try_programs(*state, &narrow, 3000, &ternary), 0);
}

static void dense_networks_equal_the_interpreter(void **state)
{
    const small_net *nets[] = {&small_net_16_8_5, &small_net_jet};
    const bli_net_options *options[] = {&digits, &graphs, &ternary};
    for (int i = 0; i < 6; i++) {
        bli_program *p;
        bli_net *n;
        assert_ok(*state, small_net_make(*state, nets[i % 2], 7, &p));
        assert_ok(*state, bli_net_create(p, options[i / 2], &n));
        compare(*state, p, n, 7);
        bli_net_destroy(n);
        bli_program_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_networks_equal_the_interpreter),
        cmocka_unit_test(narrow_programs_equal_the_interpreter),
        cmocka_unit_test(adder_graphs_equal_the_interpreter),
        cmocka_unit_test(wide_programs_equal_the_interpreter),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
