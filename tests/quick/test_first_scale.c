/* A learned scale of an activation starts from the batch on which its quantizer begins. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/bitlathe.h"
#include "support/data_files.h"
#include "support/folder.h"

static bl_context *ctx;
static bl_tensor x, y;
static bl_dataset *set;

enum { ROWS = 60, FEATURES = 7 };

static int open_all(void **state)
{
    (void)state;
    const bl_shape features = {2, {ROWS, FEATURES}}, labels = {1, {ROWS}};
    uint32_t seed = 5;
    if (bl_context_create(NULL, &ctx) != BL_OK || bl_tensor_create(ctx, BL_F32, &features, &x) != BL_OK ||
        bl_tensor_create(ctx, BL_I32, &labels, &y) != BL_OK)
        return -1;
    for (int i = 0; i < ROWS * FEATURES; i++)
        ((float *)x.data)[i] = 20.0f * ((float)(next_random(&seed) % 4096) / 4096.0f - 0.4f);
    for (int i = 0; i < ROWS; i++)
        ((int32_t *)y.data)[i] = i % 3;
    return bl_dataset_from_tensors(ctx, &x, &y, &set) == BL_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    bl_dataset_close(set);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_context_destroy(ctx);
    return 0;
}

/* %s: precision of act1, of act2; learning rate; keys of train. */
static const char *const text = "data: {source: fashion-mnist}\n"
                                "network:\n"
                                "  - ReLU: {name: act1}\n"
                                "  - ReLU: {name: act2}\n"
                                "  - Dense: {units: 3, name: out}\n"
                                "precision:\n"
                                "  name:\n    act1: {activation: %s}\n    act2: {activation: %s}\n"
                                "train: {slices: 7, optimizer: {name: adam, lr: %s}, %s}\n";

typedef struct run {
    bl_recipe *recipe;
    bl_graph *graph, *model;
    bl_trainer *trainer;
} run;

static bl_status begin_at(run *r, const char *first, const char *second, const char *rate, const char *train)
{
    char recipe[1200];
    *r = (run){NULL, NULL, NULL, NULL};
    snprintf(recipe, sizeof recipe, text, first, second, rate, train);
    bl_status s = bl_recipe_parse(ctx, "r.yaml", recipe, strlen(recipe), NULL, 0, &r->recipe);
    if (s == BL_OK)
        s = bl_recipe_graph(r->recipe, set, &r->graph);
    return s == BL_OK ? bl_trainer_create(ctx, r->graph, set, bl_recipe_options(r->recipe), &r->trainer) : s;
}

static bl_status begin(run *r, const char *first, const char *second, const char *train)
{
    return begin_at(r, first, second, "0", train);
}

static void look(run *r)
{
    bl_graph_destroy(r->model);
    assert_ok(ctx, bl_trainer_model(r->trainer, &r->model));
}

static void end(run *r)
{
    bl_trainer_destroy(r->trainer);
    bl_graph_destroy(r->model);
    bl_graph_destroy(r->graph);
    bl_recipe_free(r->recipe);
}

static float scale_of(const bl_graph *g, const char *name)
{
    const int id = bl_graph_find_value(g, name);
    assert_true(id >= 0);
    return ((const float *)bl_graph_value(g, id)->data)[0];
}

/* Double sums in two orders differ by less than 2^-40 of themselves; rounded to float32 by at most one place. */
static void assert_scale(const char *what, double is, double wanted)
{
    if (fabs(is - wanted) > wanted * 0x1p-23)
        fail_msg("%s: scale is %.9g, expected %.9g", what, is, wanted);
}

static double relu(double v)
{
    return v > 0 ? v : 0;
}

/* LSQ: 2 mean|x| / sqrt(greatest code); the second quantizer sees what the first one made. */
static void each_scale_sees_what_the_quantizers_before_it_made(void **state)
{
    (void)state;
    run r;
    double mean = 0, quantized = 0;
    for (int i = 0; i < ROWS * FEATURES; i++)
        mean += relu(((const float *)x.data)[i]) / (ROWS * FEATURES);
    const double scale = 2 * mean / sqrt(3);
    for (int i = 0; i < ROWS * FEATURES; i++)
        quantized += scale * fmin(3, rint(relu(((const float *)x.data)[i]) / scale)) / (ROWS * FEATURES);
    assert_ok(ctx, begin(&r, "lsq(2)", "lsq(3)", "epochs: 0, batch: 60"));
    look(&r);
    assert_scale("first", scale_of(r.model, "act1.activation_scale"), scale);
    assert_scale("second", scale_of(r.model, "act2.activation_scale"), 2 * quantized / sqrt(7));
    end(&r);
}

static void pact_starts_at_the_greatest_value(void **state)
{
    (void)state;
    run r;
    double most = 0;
    for (int i = 0; i < ROWS * FEATURES; i++)
        most = fmax(most, ((const float *)x.data)[i]);
    assert_ok(ctx, begin(&r, "pact(4)", "float32", "epochs: 0, batch: 60"));
    look(&r);
    assert_scale("alpha", scale_of(r.model, "act1.activation_scale"), most);
    end(&r);
}

/* With lr 0 nothing but its own start moves a scale. */
static void a_delayed_quantizer_starts_from_the_batch_of_its_first_step(void **state)
{
    (void)state;
    run r;
    assert_ok(ctx, begin(&r, "lsq(4)", "{quantizer: lsq, bits: 4, start: 2}", "epochs: 1, batch: 20"));
    float first, second;
    look(&r);
    first = scale_of(r.model, "act1.activation_scale");
    second = scale_of(r.model, "act2.activation_scale");
    for (int step = 0; step < 3; step++) {
        look(&r);
        assert_true(scale_of(r.model, "act1.activation_scale") == first);
        assert_true(scale_of(r.model, "act2.activation_scale") == second);
        assert_ok(ctx, bl_trainer_step(r.trainer));
    }
    look(&r);
    assert_true(scale_of(r.model, "act1.activation_scale") == first);
    assert_true(scale_of(r.model, "act2.activation_scale") != second);
    end(&r);
}

static void same_models(const bl_graph *a, const bl_graph *b)
{
    char *one, *two;
    assert_ok(ctx, bl_graph_print(a, &one));
    assert_ok(ctx, bl_graph_print(b, &two));
    assert_string_equal(one, two);
    for (int i = 0; i < bl_graph_num_values(a); i++) {
        const bl_value *v = bl_graph_value(a, i);
        if (v->data && memcmp(v->data, bl_graph_value(b, i)->data,
                              (size_t)bl_shape_count(&v->shape) * bl_dtype_size(v->type)) != 0)
            fail_msg("%s differs", v->name);
    }
    bl_text_free(ctx, one);
    bl_text_free(ctx, two);
}

static const char *const trained = "epochs: 2, batch: 20";

static void threads_and_resuming_change_nothing(void **state)
{
    (void)state;
    run whole, other;
    const char *late = "{quantizer: lsq, bits: 2, start: 2}", *path = temp_path("first.npz");
    assert_ok(ctx, begin_at(&whole, "lsq(2)", late, "0.01", trained));
    assert_ok(ctx, bl_trainer_run(whole.trainer, NULL, NULL));
    look(&whole);
    bl_context_set_threads(ctx, 3);
    assert_ok(ctx, begin_at(&other, "lsq(2)", late, "0.01", trained));
    for (int step = 0; step < 2; step++)
        assert_ok(ctx, bl_trainer_step(other.trainer));
    assert_ok(ctx, bl_trainer_save(other.trainer, path));
    end(&other);
    assert_ok(ctx, begin_at(&other, "lsq(2)", late, "0.01", trained));
    assert_ok(ctx, bl_trainer_resume(other.trainer, path));
    assert_ok(ctx, bl_trainer_run(other.trainer, NULL, NULL));
    look(&other);
    same_models(whole.model, other.model);
    bl_context_set_threads(ctx, 1);
    end(&whole);
    end(&other);
}

/* A trained scale is not found anew when the model is trained on. */
static void a_trained_model_keeps_its_scales(void **state)
{
    (void)state;
    run r;
    bl_trainer *again;
    bl_graph *model;
    assert_ok(ctx, begin_at(&r, "lsq(3)", "lsq(3)", "0.01", trained));
    assert_ok(ctx, bl_trainer_run(r.trainer, NULL, NULL));
    look(&r);
    assert_ok(ctx, bl_trainer_create(ctx, r.model, set, bl_recipe_options(r.recipe), &again));
    assert_ok(ctx, bl_trainer_model(again, &model));
    same_models(r.model, model);
    bl_graph_destroy(model);
    bl_trainer_destroy(again);
    end(&r);
}

static void a_given_scale_stays(void **state)
{
    (void)state;
    run r;
    assert_ok(ctx, begin(&r, "{quantizer: lsq, bits: 4, first_scale: given}", "float32", "epochs: 0, batch: 60"));
    look(&r);
    assert_scale("unit", scale_of(r.model, "act1.activation_scale"), 2 * sqrt(2 / M_PI) / sqrt(15));
    end(&r);
}

/* More slices than rows in the batch, and nothing but zeros behind a ReLU: a scale of 1. */
static void small_and_dead_batches_have_scales(void **state)
{
    (void)state;
    run r;
    assert_ok(ctx, begin(&r, "lsq(4)", "lsq(4)", "epochs: 1, batch: 59"));
    assert_ok(ctx, bl_trainer_run(r.trainer, NULL, NULL));
    end(&r);
    float *values = x.data, kept[ROWS * FEATURES];
    memcpy(kept, values, sizeof kept);
    for (int i = 0; i < ROWS * FEATURES; i++)
        values[i] = -1;
    assert_ok(ctx, begin(&r, "lsq(4)", "pact(4)", "epochs: 0, batch: 60"));
    look(&r);
    memcpy(values, kept, sizeof kept);
    assert_scale("dead", scale_of(r.model, "act1.activation_scale"), 1);
    assert_scale("dead", scale_of(r.model, "act2.activation_scale"), 6);
    end(&r);
}

/* A coarse grid for the stored weights is not the scales'. */
static void places_of_the_step_leave_scales_alone(void **state)
{
    (void)state;
    run r;
    const char *coarse = "lsq(3), master: \"fixed<2,2,STOCHASTIC,SAT_SYM>\", gradient: \"fixed<4,1>\"";
    assert_ok(ctx, begin_at(&r, coarse, coarse, "0.01", "epochs: 1, batch: 60"));
    assert_ok(ctx, bl_trainer_run(r.trainer, NULL, NULL));
    look(&r);
    const float scale = scale_of(r.model, "act1.activation_scale");
    assert_true(scale > 0 && scale != floorf(scale));
    end(&r);
}

static void batch_is_refused_where_no_scale_is_learned_from_data(void **state)
{
    (void)state;
    run r;
    assert_fails(ctx, BL_BAD_VALUE, "first_scale: quantizer ste with this scale learns none",
                 begin(&r, "{format: 'uint<4>', first_scale: batch}", "float32", "epochs: 0"));
    end(&r);
    assert_fails(ctx, BL_BAD_VALUE, "first_scale: 'first' is none of given, batch",
                 begin(&r, "{quantizer: lsq, bits: 4, first_scale: first}", "float32", "epochs: 0"));
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scale_sees_what_the_quantizers_before_it_made),
        cmocka_unit_test(pact_starts_at_the_greatest_value),
        cmocka_unit_test(a_delayed_quantizer_starts_from_the_batch_of_its_first_step),
        cmocka_unit_test(threads_and_resuming_change_nothing),
        cmocka_unit_test(a_trained_model_keeps_its_scales),
        cmocka_unit_test(a_given_scale_stays),
        cmocka_unit_test(small_and_dead_batches_have_scales),
        cmocka_unit_test(places_of_the_step_leave_scales_alone),
        cmocka_unit_test(batch_is_refused_where_no_scale_is_learned_from_data),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
