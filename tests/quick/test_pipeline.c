/* Where the netlist is cut into stages: no path longer than the period, no value before its time, no needless stage. */
#include "support/test.h"

#include "emit/verilog/pipeline.h"
#include "support/programs.h"
#include "support/small_net.h"

/* Walks every path again: the longest within each stage. */
static void check_cut(const bli_net *n, const bli_delay_model *m, const bli_pipeline *p, int64_t period)
{
    int64_t *arrival = calloc((size_t)n->count + 1, sizeof *arrival);
    int stages = 1;
    assert_non_null(arrival);
    for (int i = 0; i < n->count; i++) {
        for (int k = 0; k < bli_net_operands(n->signals[i].kind); k++) {
            int in = n->signals[i].in[k];
            assert_true(in < i);
            assert_true(p->stage[in] <= p->stage[i]);
            assert_true(p->last[in] >= p->stage[i]);
            if (p->stage[in] == p->stage[i] && arrival[in] > arrival[i])
                arrival[i] = arrival[in];
        }
        arrival[i] += bli_net_delay(n, m, i);
        assert_true(arrival[i] + m->clock <= p->period);
        stages = p->stage[i] >= stages ? p->stage[i] + 1 : stages;
    }
    assert_true(p->period <= period);
    assert_int_equal(stages, p->stages);
    free(arrival);
}

static bli_net *net_of(bl_context *ctx, const bli_program *p)
{
    bli_net *n;
    assert_ok(ctx, bli_net_create(p, &(bli_net_options){.adder_graphs = false}, &n));
    return n;
}

static void every_path_fits_the_period(void **state)
{
    const bli_delay_model *m = bli_delay_model_find("ice40");
    const program_wishes narrow = {.ops = 12, .elements = 100, .narrow = true};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        bli_program *p = random_program_like(*state, seed, &narrow);
        bli_net *n = net_of(*state, p);
        for (int64_t period = 12000; period <= 96000; period *= 2) {
            bli_pipeline pipe;
            bl_status s = bli_pipeline_cut(n, m, period, &pipe);
            if (s == BL_OK)
                check_cut(n, m, &pipe, period);
            else
                assert_int_equal(s, BL_BAD_VALUE);
        }
        bli_net_destroy(n);
        bli_program_destroy(p);
    }
}

static void a_faster_clock_has_more_stages(void **state)
{
    const bli_delay_model *m = bli_delay_model_find("xcup");
    bli_program *p;
    assert_ok(*state, small_net_make(*state, &small_net_jet, 7, &p));
    bli_net *n = net_of(*state, p);
    int before = 0;
    for (int64_t period = 40000; period >= 1200; period /= 2) {
        bli_pipeline pipe;
        assert_ok(*state, bli_pipeline_cut(n, m, period, &pipe));
        check_cut(n, m, &pipe, period);
        assert_true(pipe.stages >= before);
        before = pipe.stages;
    }
    assert_true(before > 6);
    bli_net_destroy(n);
    bli_program_destroy(p);
}

static void a_clock_that_no_cut_meets_is_refused_by_name(void **state)
{
    bli_program *p;
    assert_ok(*state, small_net_make(*state, &small_net_16_8_5, 7, &p));
    bli_net *n = net_of(*state, p);
    bli_pipeline pipe;
    assert_fails(*state, BL_BAD_VALUE, "no cut meets it on ice40",
                 bli_pipeline_cut(n, bli_delay_model_find("ice40"), 2000, &pipe));
    bli_net_destroy(n);
    bli_program_destroy(p);
}

static void a_part_is_of_a_family(void **state)
{
    (void)state;
    assert_string_equal(bli_delay_model_of_part("xcvu13p-flga2577-2-e")->family, "xcup");
    assert_string_equal(bli_delay_model_of_part("XC7A35T")->family, "xc7");
    assert_string_equal(bli_delay_model_of_part("ice40")->family, "ice40");
    assert_string_equal(bli_delay_model_of_part("LFE5U-25F")->family, "ecp5");
    assert_null(bli_delay_model_of_part("gw1n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_fits_the_period),
        cmocka_unit_test(a_faster_clock_has_more_stages),
        cmocka_unit_test(a_clock_that_no_cut_meets_is_refused_by_name),
        cmocka_unit_test(a_part_is_of_a_family),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
