/* Every quantizer in a training: the network learns, every quantized parameter of the finished model is where its
 * quantizer puts it, and the number of threads changes no bit. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/bitlathe.h"
#include "support/data_files.h"

static bl_context *ctx;

static int open_context(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) == BL_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

enum { ROWS = 320, FEATURES = 12, CLASSES = 3 };

/* Rows around three corners of a cube, so that a small network can tell the classes apart. */
static void make_data(bl_tensor *x, bl_tensor *y, bl_dataset **set)
{
    const bl_shape features = {2, {ROWS, FEATURES}}, labels = {1, {ROWS}};
    uint32_t seed = 12;
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &features, x));
    assert_ok(ctx, bl_tensor_create(ctx, BL_I32, &labels, y));
    for (int i = 0; i < ROWS; i++) {
        int label = i % CLASSES;
        ((int32_t *)y->data)[i] = label;
        for (int k = 0; k < FEATURES; k++) {
            float noise = (float)(next_random(&seed) % 1024) / 1024.0f;
            ((float *)x->data)[i * FEATURES + k] = (k % CLASSES == label ? 1.0f : 0.0f) + noise - 0.5f;
        }
    }
    assert_ok(ctx, bl_dataset_from_tensors(ctx, x, y, set));
}

static const char *const recipe_text =
    "data: {source: fashion-mnist}\n"
    "network:\n  - Dense: {units: 16, name: fc1}\n  - %s: {name: act1}\n"
    "  - Dense: {units: 16, name: fc2}\n  - %s: {name: act2}\n  - Dense: {units: 3, name: out}\n"
    "precision:\n  default: {weight: %s, activation: %s}\n"
    "train: {epochs: 6, batch: 50, slices: 4, optimizer: {name: adam, lr: 0.01}, loss: cross_entropy, seed: 3}\n";

static bl_status train(const char *function, const char *weight, const char *activation, int threads, bl_graph **model,
                       double *accuracy)
{
    char text[1200];
    bl_tensor x, y;
    bl_dataset *set;
    bl_recipe *r;
    bl_graph *g = NULL;
    bl_trainer *t = NULL;
    bl_scores scores = {0};
    snprintf(text, sizeof text, recipe_text, function, function, weight, activation);
    bl_context_set_threads(ctx, threads);
    make_data(&x, &y, &set);
    bl_status s = bl_recipe_parse(ctx, "r.yaml", text, strlen(text), NULL, 0, &r);
    if (s == BL_OK)
        s = bl_recipe_graph(r, set, &g);
    if (s == BL_OK)
        s = bl_trainer_create(ctx, g, set, bl_recipe_options(r), &t);
    if (s == BL_OK)
        s = bl_trainer_run(t, NULL, NULL);
    if (s == BL_OK)
        s = bl_trainer_model(t, model);
    if (s == BL_OK)
        s = bl_evaluate(ctx, *model, set, "cross_entropy", &scores);
    *accuracy = scores.accuracy;
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    bl_recipe_free(r);
    bl_dataset_close(set);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    return s;
}

static void same_parameters(const char *what, const bl_graph *a, const bl_graph *b)
{
    assert_int_equal(bl_graph_num_values(a), bl_graph_num_values(b));
    for (int i = 0; i < bl_graph_num_values(a); i++) {
        const bl_value *v = bl_graph_value(a, i), *w = bl_graph_value(b, i);
        size_t size = v->data ? (size_t)bl_shape_count(&v->shape) * bl_dtype_size(v->type) : 0;
        if (size && memcmp(v->data, w->data, size) != 0)
            fail_msg("%s: %s depends on the number of threads", what, v->name);
    }
}

static const struct {
    const char *function; /* leaky before signs, since relu leaves none */
    const char *weight, *activation;
    double accuracy; /* at least */
} entries[] = {
    {"ReLU", "'fixed<6,1,RND,SAT_SYM>'", "'ufixed<6,3,RND,SAT>'", 0.9},
    {"ReLU", "'fixed<4,1,STOCHASTIC,SAT>'", "'ufixed<6,3,STOCHASTIC,SAT>'", 0.9},
    {"ReLU", "binary", "'ufixed<4,2,RND,SAT>'", 0.8},
    {"LeakyReLU", "{format: ternary, scale: auto, granularity: channel}", "binary", 0.8},
    {"ReLU", "'po2<4>'", "'float<e4m3>'", 0.9},
    {"ReLU", "'mx<e4m3,8>'", "'mx<e4m3,8>'", 0.9},
    {"ReLU", "{format: 'int<4>', scale: po2, granularity: channel}", "{format: 'uint<4>', scale: learned_po2}", 0.9},
    {"ReLU", "{format: 'affine<4>', scale: auto}", "{format: 'uint<4>', scale: 0.25}", 0.9},
    {"ReLU", "{quantizer: lsq, format: 'int<3>', granularity: channel}", "lsq(4)", 0.9},
    {"ReLU", "'lsq(4)'", "'pact(4)'", 0.9},
    {"ReLU", "'dorefa(3)'", "'dorefa(3)'", 0.9},
    {"ReLU", "'dorefa(1)'", "'dorefa(2)'", 0.8},
    {"ReLU", "'xnor()'", "'quantized_relu(4,2)'", 0.8},
    {"ReLU", "\"quantized_bits(4,0,alpha='auto_po2')\"", "'quantized_relu(6,2,negative_slope=0.25)'", 0.9},
    {"ReLU", "\"quantized_bits(4,0,alpha='auto')\"", "'quantized_tanh(4)'", 0.9},
    {"ReLU", "'quantized_bits(4,0,alpha=1)'", "'quantized_sigmoid(4)'", 0.8},
    {"ReLU", "'quantized_po2(4)'", "'quantized_relu_po2(4)'", 0.8},
    {"LeakyReLU", "\"binary(alpha='auto')\"", "'binary(use_01=1)'", 0.8},
    {"LeakyReLU", "\"ternary(alpha='auto_po2')\"", "'ternary(alpha=1.0)'", 0.8},
    {"LeakyReLU", "\"stochastic_binary(alpha='auto')\"", "'stochastic_binary()'", 0.8},
    {"LeakyReLU", "\"stochastic_ternary(alpha='auto')\"", "'bernoulli()'", 0.8},
    {"ReLU", "{format: 'int<4>', scale: learned, start: 12}", "{format: 'uint<4>', scale: learned, start: 12}", 0.9},
};

static void every_quantizer_trains_alike_on_any_number_of_threads(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < BLI_COUNT(entries); i++) {
        double accuracy, again;
        bl_graph *one = NULL, *two = NULL;
        const char *w = entries[i].weight, *function = entries[i].function;
        if (train(function, w, entries[i].activation, 1, &one, &accuracy) != BL_OK) {
            print_error("%s, %s: %s\n", w, entries[i].activation, bl_context_message(ctx));
            failures++;
            continue;
        }
        assert_ok(ctx, train(function, w, entries[i].activation, 2, &two, &again));
        same_parameters(w, one, two);
        assert_true(accuracy == again);
        if (accuracy < entries[i].accuracy) {
            print_error("%s, %s: accuracy %g, expected %g\n", w, entries[i].activation, accuracy, entries[i].accuracy);
            failures++;
        }
        bl_graph_destroy(one);
        bl_graph_destroy(two);
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_quantizer_trains_alike_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
