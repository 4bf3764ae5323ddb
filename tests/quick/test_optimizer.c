/* Optimizers and schedules: against their formulas in double, the same bits on every instruction set and in any cut. */
#include "support/test.h"

#include <math.h>

#include "base/random.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { N = 3000 };

typedef struct weights {
    float w[N], g[N], m[N], v[N];
} weights;

static void fill(weights *x)
{
    const bli_stream s = bli_stream_make(1, 0, "optimizer");
    memset(x, 0, sizeof *x);
    for (int i = 0; i < N; i++) {
        x->w[i] = (float)bli_stream_normal(&s, (uint64_t)i);
        x->g[i] = (float)bli_stream_normal(&s, (uint64_t)(N + i)) * 0.1f;
    }
}

static bli_param param_of(weights *x, int moments)
{
    return (bli_param){.name = "w",
                       .type = BL_F32,
                       .elements = N,
                       .row = 10,
                       .master = x->w,
                       .grad = x->g,
                       .moment = {moments > 0 ? x->m : NULL, moments > 1 ? x->v : NULL},
                       .decays = true};
}

static bl_train_options options_of(const char *name, double momentum, bool nesterov, double decay)
{
    bl_train_options o;
    bl_train_options_init(&o);
    o.optimizer.name = name;
    o.optimizer.lr = 0.01;
    o.optimizer.momentum = momentum;
    o.optimizer.nesterov = nesterov;
    o.optimizer.weight_decay = decay;
    return o;
}

/* staged: a format that changes nothing stands before the master, so that the update goes stage by stage. */
static void run_steps_so(const bl_train_options *o, weights *x, int steps, bli_isa isa, size_t cut, bool staged)
{
    const bli_optimizer *opt;
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, bli_optimizer_get(ctx, o, &opt));
    bli_param p = param_of(x, bli_optimizer_moments(opt, o));
    p.place[BLI_PLACE_MASTER] = (bli_place_format){.set = staged, .format = {.kind = BL_FORMAT_FLOAT32}};
    for (int t = 1; t <= steps; t++) {
        bli_update u = {.optimizer = opt, .kernels = bli_train_kernels_for(isa), .isa = isa, .step = (uint64_t)t};
        opt->constants(o, o->optimizer.lr, t, &u.constants);
        u.constants.unscale = 1;
        for (size_t i = 0; i < N; i += cut)
            bli_update_range(&u, &p, BLI_STAGE_MOMENTS, i, N - i < cut ? N - i : cut);
    }
    bl_context_destroy(ctx);
}

static void run_steps(const bl_train_options *o, weights *x, int steps, bli_isa isa, size_t cut)
{
    run_steps_so(o, x, steps, isa, cut, false);
}

/* The definitions of torch.optim, one element, in double. */
static double reference(const bl_train_options *o, double w, double g0, int steps)
{
    double m = 0, v = 0;
    const bool adam = o->optimizer.name[0] == 'a', decoupled = strcmp(o->optimizer.name, "adamw") == 0;
    for (int t = 1; t <= steps; t++) {
        const double lr = o->optimizer.lr, wd = o->optimizer.weight_decay;
        const double decayed = w;
        double g = g0 + (decoupled ? 0 : wd * w);
        if (adam) {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            w -= lr / (1 - pow(0.9, t)) * m / (sqrt(v) / sqrt(1 - pow(0.999, t)) + 1e-8);
        } else {
            m = t == 1 ? g : o->optimizer.momentum * m + g;
            if (o->optimizer.momentum != 0)
                g = o->optimizer.nesterov ? g + o->optimizer.momentum * m : m;
            w -= lr * g;
        }
        w -= decoupled ? lr * wd * decayed : 0;
    }
    return w;
}

static void optimizers_follow_their_formulas(void **state)
{
    (void)state;
    static weights x, start;
    const bl_train_options cases[] = {
        options_of("sgd", 0, false, 0),     options_of("sgd", 0.9, false, 0), options_of("sgd", 0.9, true, 0.01),
        options_of("sgd", 0.5, false, 0.1), options_of("adam", 0, false, 0),  options_of("adam", 0, false, 0.01),
        options_of("adamw", 0, false, 0.1),
    };
    for (size_t c = 0; c < BLI_COUNT(cases); c++) {
        fill(&start);
        x = start;
        run_steps(&cases[c], &x, 10, bli_cpu_isa(), N);
        for (int i = 0; i < N; i++) {
            const double want = reference(&cases[c], (double)start.w[i], (double)start.g[i], 10);
            /* ten steps of a few float32 roundings each, of numbers of the size of w and of lr */
            if (fabs((double)x.w[i] - want) > 1e-5 * (fabs(want) + 0.1))
                print_error("case %zu element %d: %.9g, want %.9g\n", c, i, (double)x.w[i], want);
            assert_true(fabs((double)x.w[i] - want) <= 1e-5 * (fabs(want) + 0.1));
        }
    }
}

static void cuts_and_instruction_sets_change_no_bit(void **state)
{
    (void)state;
    static weights one, other;
    const bl_train_options cases[] = {options_of("sgd", 0.9, true, 0.01), options_of("adamw", 0, false, 0.1)};
    for (size_t c = 0; c < BLI_COUNT(cases); c++) {
        fill(&one);
        run_steps(&cases[c], &one, 5, BLI_ISA_GENERIC, N);
        for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
            fill(&other);
            run_steps(&cases[c], &other, 5, (bli_isa)isa, 1024 * (1 + (size_t)isa % 2));
            assert_memory_equal(&one, &other, sizeof one);
        }
    }
}

static void one_pass_equals_the_stages(void **state)
{
    (void)state;
    static weights one, other;
    bl_train_options cases[] = {options_of("adam", 0, false, 0), options_of("adam", 0, false, 0.01),
                                options_of("adamw", 0, false, 0.1)};
    cases[1].optimizer.clip_value = 0.05;
    for (size_t c = 0; c < BLI_COUNT(cases); c++)
        for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
            fill(&one);
            other = one;
            run_steps_so(&cases[c], &one, 5, (bli_isa)isa, 1000, false);
            run_steps_so(&cases[c], &other, 5, (bli_isa)isa, 1000, true);
            assert_memory_equal(&one, &other, sizeof one);
        }
}

static void limits_hold_the_master(void **state)
{
    (void)state;
    static weights x;
    bl_train_options o = options_of("sgd", 0, false, 0);
    const bli_optimizer *opt;
    bl_context *ctx;
    fill(&x);
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, bli_optimizer_get(ctx, &o, &opt));
    bli_param p = param_of(&x, 0);
    p.limit = 0.5;
    bli_update u = {.optimizer = opt, .kernels = bli_train_kernels_for(bli_cpu_isa()), .isa = bli_cpu_isa()};
    opt->constants(&o, 1.0, 1, &u.constants);
    u.constants.unscale = 1;
    bli_update_range(&u, &p, BLI_STAGE_MOMENTS, 0, N);
    bool at_the_limit = false;
    for (int i = 0; i < N; i++) {
        assert_true(x.w[i] >= -0.5f && x.w[i] <= 0.5f);
        at_the_limit |= x.w[i] == 0.5f;
    }
    assert_true(at_the_limit);
    bl_context_destroy(ctx);
}

static void schedules_start_and_end_where_they_say(void **state)
{
    (void)state;
    bl_context *ctx;
    const bli_schedule *s;
    bl_train_options o = options_of("sgd", 0, false, 0);
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    o.optimizer.lr = 1;
    o.schedule.name = "cosine";
    assert_ok(ctx, bli_schedule_get(ctx, &o, &s));
    assert_true(bli_learning_rate(s, &o, 0, 100, 10) == 1);
    assert_true(fabs(bli_learning_rate(s, &o, 50, 100, 10) - 0.5) < 1e-12);
    assert_true(bli_learning_rate(s, &o, 99, 100, 10) < 0.001);
    o.schedule.period = 2;
    assert_true(bli_learning_rate(s, &o, 20, 100, 10) == 1); /* restarted */
    o.schedule.period_factor = 2;
    assert_true(bli_learning_rate(s, &o, 40, 100, 10) < 0.6); /* in the middle of the second, longer cycle */
    o.schedule.warmup = 0.1;
    assert_true(bli_learning_rate(s, &o, 0, 100, 10) < 0.11);
    o.schedule.warmup = 0;
    o.schedule.name = "step";
    o.schedule.period = 3;
    assert_ok(ctx, bli_schedule_get(ctx, &o, &s));
    assert_true(bli_learning_rate(s, &o, 29, 100, 10) == 1);
    assert_true(fabs(bli_learning_rate(s, &o, 30, 100, 10) - 0.1) < 1e-12);
    o.schedule.name = "exponental";
    assert_fails(ctx, BL_BAD_VALUE, "exponential", bli_schedule_get(ctx, &o, &s));
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimizers_follow_their_formulas),
        cmocka_unit_test(cuts_and_instruction_sets_change_no_bit),
        cmocka_unit_test(one_pass_equals_the_stages),
        cmocka_unit_test(limits_hold_the_master),
        cmocka_unit_test(schedules_start_and_end_where_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
