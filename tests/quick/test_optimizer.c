/* Optimizers and schedules: against their formulas in double, the same bits on every instruction set and in any cut,
 * and never a subnormal number. */
#include "support/test.h"

#include <fenv.h>
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
                       .moment = {moments > 0 ? x->m : NULL, moments > 1 ? x->v : NULL}};
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

/* ---- what is too small to count --------------------------------------------------------------------------------- */
typedef struct fading {
    double w[N], g[N], m[N], v[N];
} fading;

static double get(bl_dtype type, const double *x, int i)
{
    return type == BL_F32 ? (double)((const float *)x)[i] : x[i];
}

static void set(bl_dtype type, double *x, int i, double v)
{
    if (type == BL_F32)
        ((float *)x)[i] = (float)v;
    else
        x[i] = v;
}

/* Gradients of all magnitudes, from 1 down to below the smallest number there is, each halved at every step. */
static void set_gradients(bl_dtype type, fading *x, int step)
{
    const int reach = type == BL_F32 ? 160 : 1100;
    for (int i = 0; i < N; i++)
        set(type, x->g, i, ldexp(i % 2 ? -1.25 : 1.75, -(i % reach) - step));
}

static int subnormals(bl_dtype type, const double *x)
{
    int n = 0;
    for (int i = 0; i < N; i++) {
        const double least = type == BL_F32 ? 0x1p-126 : 0x1p-1022, a = fabs(get(type, x, i));
        n += a > 0 && a < least;
    }
    return n;
}

/* Whether an operation had a result too small for a normal number; counts subnormal moments. */
static bool underflows(const bl_train_options *o, bl_dtype type, bli_isa isa, int steps, fading *x, int *count)
{
    const bli_optimizer *opt;
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, bli_optimizer_get(ctx, o, &opt));
    const int moments = bli_optimizer_moments(opt, o);
    const bli_param p = {.type = type,
                         .elements = N,
                         .master = x->w,
                         .grad = x->g,
                         .moment = {moments > 0 ? x->m : NULL, moments > 1 ? x->v : NULL}};
    int raised = 0;
    memset(x, 0, sizeof *x);
    for (int t = 1; t <= steps; t++) {
        bli_update u = {.optimizer = opt, .kernels = bli_train_kernels_for(isa), .isa = isa, .step = (uint64_t)t};
        opt->constants(o, o->optimizer.lr, t, &u.constants);
        u.constants.unscale = 0.125;
        set_gradients(type, x, t);
        feclearexcept(FE_ALL_EXCEPT);
        bli_update_range(&u, &p, BLI_STAGE_MOMENTS, 0, N);
        raised |= fetestexcept(FE_UNDERFLOW);
        *count += subnormals(type, x->m) + subnormals(type, x->v);
    }
    bl_context_destroy(ctx);
    return raised != 0;
}

static void updates_never_meet_subnormal_numbers(void **state)
{
    (void)state;
    static fading first, x;
    const bl_train_options cases[] = {options_of("sgd", 0, false, 0), options_of("sgd", 0.9, false, 0),
                                      options_of("sgd", 0.9, true, 0), options_of("adam", 0, false, 0),
                                      options_of("adamw", 0, false, 0.1)};
    for (size_t c = 0; c < BLI_COUNT(cases); c++)
        for (int wide = 0; wide < 2; wide++)
            for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
                int count = 0;
                const bl_dtype type = wide ? BL_F64 : BL_F32;
                const bool raised = underflows(&cases[c], type, (bli_isa)isa, 300, &x, &count);
                if (raised || count)
                    print_error("case %zu, %d bits, %s: %d subnormal moments\n", c, wide ? 64 : 32,
                                bli_isa_name((bli_isa)isa), count);
                assert_false(raised || count);
                if (isa == 0)
                    first = x;
                assert_memory_equal(&first, &x, sizeof x);
            }
}

/* The bounds of update.inc: one step of a gradient at a bound, and just below it. */
static void what_is_too_small_counts_as_zero(void **state)
{
    (void)state;
    static weights x;
    const bl_train_options o = options_of("adam", 0, false, 0);
    memset(&x, 0, sizeof x);
    const float g[] = {0x1p-90f, 0x1.fffffep-91f, -0x1p-56f, -0x1.fffffep-57f, 0x1p-86f};
    memcpy(x.g, g, sizeof g);
    run_steps(&o, &x, 1, bli_cpu_isa(), N);
    assert_true(x.m[0] == 0 && x.m[1] == 0 && x.m[4] == (float)(1 - 0.9) * 0x1p-86f);
    assert_true(x.w[1] == 0 && x.w[4] < 0);
    assert_true(x.v[2] == 0 && x.v[3] == 0 && x.m[3] < 0);
    x.g[0] = 0x1p-50f;
    x.g[1] = 0;
    run_steps(&o, &x, 1, bli_cpu_isa(), 1);
    assert_true(x.v[0] == (float)(1 - 0.999) * 0x1p-100f && x.m[1] == 0);
}

/* Three steps; apart: the quantizer's gradient is taken first, by its definition. */
static void run_bounded(const bl_train_options *o, weights *x, bli_isa isa, bool apart)
{
    const bli_optimizer *opt;
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    assert_ok(ctx, bli_optimizer_get(ctx, o, &opt));
    bli_param p = param_of(x, 2);
    p.bounded = !apart;
    p.pass_least = -0.75f;
    p.pass_most = 0.5f;
    assert_true(bli_update_is_one(opt, &p));
    for (int t = 1; t <= 3; t++) {
        static float given[N];
        memcpy(given, x->g, sizeof given);
        for (int i = 0; apart && i < N; i++)
            x->g[i] = x->w[i] >= p.pass_least && x->w[i] <= p.pass_most ? x->g[i] : 0;
        bli_update u = {.optimizer = opt, .kernels = bli_train_kernels_for(isa), .isa = isa, .step = (uint64_t)t};
        opt->constants(o, o->optimizer.lr, t, &u.constants);
        u.constants.unscale = 1;
        bli_update_range(&u, &p, BLI_STAGE_MOMENTS, 0, N);
        memcpy(x->g, given, sizeof given);
    }
    bl_context_destroy(ctx);
}

static void a_bounded_update_contains_the_quantizer_s_gradient(void **state)
{
    (void)state;
    static weights one, two;
    bl_train_options cases[] = {options_of("adam", 0, false, 0), options_of("adam", 0, false, 0.01),
                                options_of("adamw", 0, false, 0.1), options_of("adam", 0, false, 0)};
    cases[3].optimizer.clip_value = 0.05;
    for (size_t c = 0; c < BLI_COUNT(cases); c++)
        for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
            fill(&one);
            one.w[0] = 0.5f, one.w[1] = nextafterf(0.5f, 1), one.w[2] = -0.75f, one.w[3] = nextafterf(-0.75f, -1);
            two = one;
            run_bounded(&cases[c], &one, (bli_isa)isa, false);
            run_bounded(&cases[c], &two, BLI_ISA_GENERIC, true);
            assert_memory_equal(&one, &two, sizeof one);
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
        cmocka_unit_test(updates_never_meet_subnormal_numbers),
        cmocka_unit_test(what_is_too_small_counts_as_zero),
        cmocka_unit_test(a_bounded_update_contains_the_quantizer_s_gradient),
        cmocka_unit_test(limits_hold_the_master),
        cmocka_unit_test(schedules_start_and_end_where_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
