/* Dense layers that a plan runs as one step: training gives the same bits as MatMul, Add, Relu and Quantize one after
 * the other, and a finished sum has the bits of the relu and quantizer that have their own tests.  The trainer's
 * insides are read on purpose.
 */
#include "support/test.h"

#include <math.h>

#include "op/kernels/loops.h"
#include "op/kernels/product.h"
#include "support/nets.h"
#include "support/quant_call.h"
#include "train/trainer.h"

enum { ROWS = 130, INPUTS = 21, CLASSES = 5, STEPS = 7, N = 1000 };

/* 600 units are more than the bias is repeated for; 33 and 5 are no whole vectors. */
static const int widths[] = {600, 33, 64, CLASSES};

typedef struct outcome {
    uint64_t weights;
    double loss;
    int steps;
} outcome;

/* A format of errors that changes nothing keeps the steps apart, since it would look at their gradients. */
static outcome train(const char *bias, const char *activation, bool apart, int threads)
{
    const bl_place_rule nothing = {"error", NULL, "float32", NULL};
    outcome r = {0, 0, 0};
    bl_context *ctx;
    bl_trainer *t;
    bl_train_options o;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, threads);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = net_build(ctx, &(net_spec){.inputs = INPUTS,
                                             .layers = 4,
                                             .widths = widths,
                                             .weight = "fixed<6,1,RND_CONV,SAT_SYM>",
                                             .bias = bias,
                                             .activation = activation,
                                             .seed = 3});
    bl_train_options_init(&o);
    o.batch = 50; /* and 30 in the end: slices of unequal length */
    o.slices = 4;
    o.optimizer.name = "adam";
    o.optimizer.lr = 0.01;
    o.places = &nothing;
    o.num_places = apart;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    for (int s = 0; s < STEPS; s++) {
        assert_ok(ctx, bl_trainer_step(t));
        if (t->epoch_step == t->epoch_steps)
            t->epoch_step = 0;
    }
    r.loss = t->sum_loss;
    r.steps = t->engine->plan->num_steps;
    for (int i = 0; i < t->engine->num_params; i++)
        r.weights = r.weights * 31 + bli_hash(t->engine->params[i].master, t->engine->params[i].elements * 4);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
    return r;
}

static void one_step_trains_to_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        const char *activation;
        int fewer; /* steps, in three hidden layers and the last */
    } cases[] = {{"ufixed<6,2,RND_CONV,SAT>", 3 * 2 + 1},
                 {"fixed<5,2,RND_CONV,SAT_SYM>", 3 * 2 + 1},
                 {"ufixed<6,2,RND,SAT>", 3 * 2 + 1},
                 {"ufixed<24,2,RND_CONV,SAT>", 3 * 2 + 1},
                 {"fixed<6,2,RND_CONV,WRAP>", 3 * 1 + 1},
                 {"ufixed<6,2,STOCHASTIC,SAT>", 3 * 1 + 1},
                 {NULL, 3 * 1 + 1}};
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        for (int threads = 1; threads <= 2; threads++) {
            const char *bias = i % 2 ? NULL : "fixed<6,1,RND_CONV,SAT_SYM>";
            const outcome a = train(bias, cases[i].activation, true, 1);
            const outcome b = train(bias, cases[i].activation, false, threads);
            if (a.steps - b.steps != cases[i].fewer)
                print_error("%s: %d steps, apart %d\n", cases[i].activation, b.steps, a.steps);
            assert_int_equal(a.steps - b.steps, cases[i].fewer);
            assert_true(a.loss == b.loss);
            assert_true(a.weights == b.weights);
        }
}

static void fill(float *x, size_t n, uint64_t seed)
{
    static const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e30f, -1e30f, 1e-40f, 0.03125f, 0.09375f};
    for (size_t i = 0; i < n; i++)
        x[i] = random_below(&seed, 5) == 0 ? special[random_below(&seed, BLI_COUNT(special))]
                                           : ((float)random_below(&seed, 800) - 300) / 64;
}

/* One term a sum: x itself, but for the sign of 0. */
static void product(bli_isa isa, const float *x, int64_t rows, int64_t columns, const float *bias, const bli_finish *f,
                    float *y)
{
    const bli_kernels *k = bli_kernels_get(isa, BL_F32);
    const bli_stretch span = {0, 0, columns};
    float *panels = calloc((size_t)bli_panels_size(k, columns, columns), sizeof *panels);
    float *unit = calloc((size_t)(columns * columns), sizeof *unit);
    assert_true(panels && unit && columns <= N);
    for (int64_t i = 0; i < columns; i++)
        unit[i * columns + i] = 1;
    bli_panels_pack(k, BL_F32, unit, columns, 1, columns, columns, panels);
    const bli_product p = {.a = x,
                           .b = panels,
                           .bias = bias,
                           .c = y,
                           .rows = {rows, 1, 1},
                           .a_step = {columns},
                           .c_step = {columns},
                           .spans = &span,
                           .num_spans = 1,
                           .panel = columns * k->lanes,
                           .columns = columns,
                           .finish = f};
    k->product(&p);
    free(panels);
    free(unit);
}

typedef struct finishing {
    float x[N], b[N], sum[N], z[N], y[N], want[N], dy[N], kept[N];
    uint8_t pass[N + 1], passes[N];
} finishing;

/* Rows of so many columns, in every tile of this instruction set that they make. */
static void check_finish(finishing *t, const bli_quant_spec *spec, bli_isa isa, int64_t rows, int64_t columns)
{
    const size_t n = (size_t)(rows * columns), row = (size_t)columns;
    const bli_relu_quantize r = bli_relu_quantize_init(spec, isa);
    const bli_even_codes even = bli_code_loop_even(&r.loop);
    const bli_loops *loops = bli_loops_get(isa, BL_F32);
    const bli_finish bias = {.codes = false}, keep = {.keep = t->pass};
    const bli_finish codes = {.codes = true, .far = even.far, .most = r.hi, .pass = t->pass};
    assert_true(r.short_calls && even.ok);
    product(isa, t->x, rows, columns, NULL, NULL, t->sum);
    for (size_t i = 0; i < n; i++)
        t->z[i] = t->sum[i] + t->b[i % row];
    product(isa, t->x, rows, columns, t->b, &bias, t->y);
    assert_memory_equal(t->y, t->z, n * sizeof *t->y);
    bli_relu_quantize_f32(&r, t->z, t->want, n);
    loops->range_pass(t->z, 0, (double)r.hi, t->passes, n);
    t->pass[n] = 7;
    product(isa, t->x, rows, columns, t->b, &codes, t->y);
    assert_memory_equal(t->y, t->want, n * sizeof *t->y);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t->pass[i] != 0, t->passes[i]);
    assert_int_equal(t->pass[n], 7);
    product(isa, t->dy, rows, columns, NULL, NULL, t->sum);
    bli_relu_quantize_backward_f32(&r, t->z, t->sum, t->want, n);
    loops->pass_back(t->pass, t->sum, t->kept, n);
    assert_memory_equal(t->kept, t->want, n * sizeof *t->kept);
    product(isa, t->dy, rows, columns, NULL, &keep, t->y);
    assert_memory_equal(t->y, t->want, n * sizeof *t->y);
}

static void a_finished_sum_has_the_bits_of_bias_relu_and_quantizer(void **state)
{
    (void)state;
    static finishing t;
    static const int64_t columns[] = {1, 3, 5, 8, 10, 16, 21, 32, 40, 63, 64};
    bl_context *ctx;
    quant_call q;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    quant_open(&q, ctx, "activation", "ufixed<6,2,RND_CONV,SAT>", BL_F32, DIMS(4, 4));
    fill(t.b, N, 2);
    fill(t.dy, N, 3);
    for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++)
        for (size_t c = 0; c < BLI_COUNT(columns); c++)
            for (int64_t rows = 1; rows <= 17 && rows * columns[c] <= N; rows++) {
                fill(t.x, N, (uint64_t)(17 * c) + (uint64_t)rows);
                for (size_t i = 0; i < N; i++) /* times 0 they are no zeros: the others of their row would be NaN */
                    t.x[i] = isfinite(t.x[i]) || columns[c] == 1 ? t.x[i] : 2;
                check_finish(&t, q.spec, (bli_isa)isa, rows, columns[c]);
            }
    quant_close(&q);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_trains_to_the_same_bits),
        cmocka_unit_test(a_finished_sum_has_the_bits_of_bias_relu_and_quantizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
