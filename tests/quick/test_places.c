/* Low precision in the step itself: after every step each stored tensor lies on its grid, and the run is another one
 * than float32's.  The trainer's insides are read on purpose: these tensors have no public view.  Run under TSan too.
 */
#include "support/test.h"

#include <math.h>

#include "num/num.h"
#include "support/nets.h"
#include "train/trainer.h"

enum { ROWS = 400, INPUTS = 40, CLASSES = 4, STEPS = 12 };

typedef struct place_case {
    const char *name, *optimizer;
    bl_place_rule rules[6];
    const char *mode;
} place_case;

static const place_case cases[] = {
    {"fixed16 everywhere",
     "sgd",
     {{"error", NULL, "fixed<16,2,STOCHASTIC,SAT>", NULL},
      {"gradient", NULL, "fixed<16,2,STOCHASTIC,SAT>", NULL},
      {"moment1", NULL, "fixed<16,4,RND,SAT>", NULL},
      {"update", NULL, "fixed<16,2,STOCHASTIC,SAT>", NULL},
      {"master", NULL, "fixed<16,2,STOCHASTIC,SAT>", NULL}},
     "none"},
    {"fp8",
     "adam",
     {{"error", NULL, "float<e5m2>", NULL},
      {"gradient", NULL, "float<e5m2>", NULL},
      {"moment1", NULL, "bfloat16", NULL},
      {"moment2", NULL, "bfloat16", NULL},
      {"master", NULL, "float16", NULL}},
     "dynamic"},
    {"mx and dynamic integers",
     "adam",
     {{"error", NULL, "mx<e5m2,32>", NULL},
      {"gradient", NULL, "int<8,STOCHASTIC,SAT>", "dynamic"},
      {"error", "fc2", "int<8,STOCHASTIC,SAT_SYM>", "dynamic"}},
     "static"},
    {"dynamic in the optimizer", /* fc1 has more elements than one piece of the update */
     "adam",
     {{"moment1", NULL, "int<8,STOCHASTIC,SAT_SYM>", "dynamic"},
      {"moment2", NULL, "float<e4m3>", "dynamic"},
      {"update", NULL, "int<12,STOCHASTIC,SAT_SYM>", "dynamic"},
      {"master", NULL, "fixed<12,1,STOCHASTIC,SAT_SYM>", "dynamic"}},
     "none"},
    {"two to five bits",
     "sgd",
     {{"error", NULL, "fixed<5,1,STOCHASTIC,SAT_SYM>", "dynamic"},
      {"gradient", NULL, "fixed<4,1,STOCHASTIC,SAT_SYM>", "dynamic"},
      {"master", NULL, "fixed<8,1,STOCHASTIC,SAT>", NULL},
      {"update", "fc1", "fixed<8,1,STOCHASTIC,SAT>", NULL}},
     "none"},
};

static bl_train_options options_of(const place_case *c)
{
    bl_train_options o;
    bl_train_options_init(&o);
    o.batch = 40;
    o.slices = 4;
    o.optimizer.name = c->optimizer;
    o.optimizer.momentum = 0.9;
    o.optimizer.lr = 0.05;
    o.loss_scale.mode = c->mode;
    o.loss_scale.scale = 256;
    o.places = c->rules;
    for (int i = 0; i < 6 && c->rules[i].place; i++)
        o.num_places++;
    return o;
}

/* Already on the grid: quantizing again (to nearest, same scale) changes nothing. */
static void assert_on_grid(const bli_place_format *f, bl_dtype type, const void *x, size_t rows, size_t row,
                           const char *what)
{
    if (!f->set || !x)
        return;
    assert_int_equal(type, BL_F32);
    const size_t n = rows * row;
    float *again = malloc(n * sizeof *again + 1);
    bl_format nearest = f->format;
    if (nearest.rounding == BL_STOCHASTIC)
        nearest.rounding = BL_RND_CONV;
    const double most = bli_greatest(type, x, n);
    double scale = bli_place_scale(f, most);
    bool same = false;
    /* rounding may have lowered the greatest magnitude below the power of two its scale was chosen for */
    for (int up = 0; up < (f->dynamic ? 3 : 1) && !same; up++, scale *= 2) {
        bli_quantize_rows_f32(&nearest, scale, 0, NULL, 0, x, again, rows, row, bli_cpu_isa());
        same = true;
        for (size_t i = 0; i < n; i++)
            same &= again[i] == ((const float *)x)[i];
    }
    if (!same)
        print_error("%s is off its grid\n", what);
    assert_true(same);
    free(again);
}

static void check_params(const bl_trainer *t)
{
    for (int i = 0; i < t->engine->num_params; i++) {
        const bli_param *p = &t->engine->params[i];
        const size_t rows = p->elements / p->row;
        assert_on_grid(&p->place[BLI_PLACE_MASTER], p->type, p->master, rows, p->row, "master");
        assert_on_grid(&p->place[BLI_PLACE_GRADIENT], p->type, p->grad, rows, p->row, "gradient");
        assert_on_grid(&p->place[BLI_PLACE_MOMENT1], p->type, p->moment[0], rows, p->row, "moment1");
        assert_on_grid(&p->place[BLI_PLACE_MOMENT2], p->type, p->moment[1], rows, p->row, "moment2");
    }
}

/* The gradients that weight products read are kept to the end of the step. */
static void check_errors(const bl_trainer *t, int64_t rows)
{
    const bli_engine *e = t->engine;
    const bli_place whole = {.rows = rows, .batch_rows = rows};
    int seen = 0;
    for (int c = 0; c < e->tape.num_contributions; c++) {
        const bli_contribution *con = &e->tape.contributions[c];
        if (!con->tiled)
            continue;
        const int y = bl_graph_node(e->plan->graph, e->plan->steps[con->step].node)->outputs[0];
        const bl_tensor g = bli_tape_grad(&e->tape, y, &whole);
        assert_on_grid(&e->error[con->step], g.type, g.data, (size_t)rows, e->plan->values[y].elements, "error");
        seen++;
    }
    assert_true(seen > 0);
}

static uint64_t weights_hash(const bl_trainer *t)
{
    uint64_t h = 0;
    for (int i = 0; i < t->engine->num_params; i++)
        h = h * 31 + bli_hash(t->engine->params[i].master, t->engine->params[i].elements * sizeof(float));
    return h;
}

static uint64_t run_case(const place_case *c, int threads, bool check)
{
    static const int widths[] = {32, 16, CLASSES};
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, threads);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = net_build(ctx, &(net_spec){.inputs = INPUTS, .layers = 3, .widths = widths, .seed = 3});
    const bl_train_options o = options_of(c);
    bl_trainer *t;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    for (int s = 0; s < STEPS; s++) {
        assert_ok(ctx, bl_trainer_step(t));
        if (t->epoch_step == t->epoch_steps)
            t->epoch_step = 0;
        if (!check)
            continue;
        check_params(t);
        check_errors(t, o.batch);
    }
    const uint64_t h = weights_hash(t);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
    return h;
}

static void every_stored_tensor_lies_on_its_grid(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        const place_case plain = {.name = "float32", .optimizer = cases[i].optimizer, .mode = "none"};
        const uint64_t h = run_case(&cases[i], 1, true);
        assert_true(h != run_case(&plain, 1, false));
    }
}

static void threads_change_no_bit_of_any_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(cases); i++)
        assert_true(run_case(&cases[i], 1, false) == run_case(&cases[i], 3, false));
}

static void dynamic_scale_is_the_least_power_of_two_that_fits(void **state)
{
    (void)state;
    bli_place_format f = {.set = true, .dynamic = true};
    f.format =
        (bl_format){.kind = BL_FORMAT_INT, .is_signed = true, .bits = 8, .rounding = BL_RND_CONV, .overflow = BL_SAT};
    assert_true(bli_place_scale(&f, 127) == 1);
    assert_true(bli_place_scale(&f, 127.5) == 2);
    assert_true(bli_place_scale(&f, 254) == 2);
    assert_true(bli_place_scale(&f, 0) == 1);
    assert_true(bli_place_scale(&f, 1e-30) * 127 >= 1e-30);
    assert_true(bli_place_scale(&f, 1e-30) * 127 < 2.1e-30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stored_tensor_lies_on_its_grid),
        cmocka_unit_test(threads_change_no_bit_of_any_place),
        cmocka_unit_test(dynamic_scale_is_the_least_power_of_two_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
