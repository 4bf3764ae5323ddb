/* Batch normalisation whose scale and offset have formats: what they are, in training and evaluation; the gradient; the
 * same function in the file that is written; what a recipe may say. */
#include <math.h>

#include "bitlathe/bitlathe.h"
#include "num/num.h"
#include "support/folder.h"
#include "support/rig.h"
#include "support/test.h"

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

/* ---- the operator -------------------------------------------------------------------------------------------- */
#define NORM "BatchNormalization last x[N,3,5] p[5] p[5] s[5] s[5]"

enum { ROWS = 7, CHANNELS = 5, COUNT = ROWS * 3 * CHANNELS };

static void moments(const rig *r, size_t c, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (size_t i = c; i < COUNT; i += CHANNELS) {
        const double x = rig_get(&r->in[0].t, i);
        sum += x;
        squares += x * x;
    }
    *mean = r->training ? sum / (COUNT / CHANNELS) : rig_get(&r->in[3].t, c);
    *variance = r->training ? squares / (COUNT / CHANNELS) - *mean * *mean : rig_get(&r->in[4].t, c);
}

static double nearest(const char *text, bl_dtype carrier, double v)
{
    bl_format f;
    assert_ok(ctx, bl_format_parse(ctx, text, &f));
    if (carrier == BL_F64)
        return bli_quantize_reference_f64(&f, 1, 0, false, 0, v, NULL);
    return (double)bli_quantize_reference_f32(&f, 1, 0, false, 0, (float)v, NULL);
}

/* Neither sum nor square sum, in whatever order, is near a step's middle here. */
static void check_forward(bl_dtype carrier, bool training)
{
    static const char *const scale_format = "fixed<5,2,RND,SAT>", *const offset_format = "fixed<6,2,TRN,SAT>";
    char text[200];
    rig r;
    snprintf(text, sizeof text, "%s scale_format@%s offset_format@%s", NORM, scale_format, offset_format);
    assert_ok(ctx, rig_open(ctx, text, carrier, ROWS, 3, &r));
    r.training = training;
    rig_set(&r.in[1].t, 1, -0.7); /* negative */
    rig_set(&r.in[1].t, 2, 0);
    rig_set(&r.in[1].t, 3, 40); /* saturates */
    rig_forward(&r, 3);
    for (size_t i = 0; i < COUNT; i++) {
        const size_t c = i % CHANNELS;
        double mean, variance, x = rig_get(&r.in[0].t, i);
        moments(&r, c, &mean, &variance);
        const double exact = rig_get(&r.in[1].t, c) * (1 / sqrt(variance + (double)1e-5f));
        const double scale = nearest(scale_format, carrier, exact);
        const double offset = nearest(offset_format, carrier, rig_get(&r.in[2].t, c) - mean * scale);
        const double want =
            carrier == BL_F64 ? x * scale + offset : (double)((float)((float)x * (float)scale) + (float)offset);
        if (rig_get(&r.out[0], i) != want)
            fail_msg("%s element %zu: %a, expected %a * %g + %g = %a", training ? "training" : "evaluation", i,
                     rig_get(&r.out[0], i), x, scale, offset, want);
    }
    rig_close(&r);
}

static void scale_and_offset_lie_on_their_grids(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++) {
        check_forward(BL_F32, training != 0);
        check_forward(BL_F64, training != 0);
    }
}

/* Straight through: gamma's and beta's are those without formats; x's has the rounded scale where it multiplies. */
static void the_gradient_passes_straight_through(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++) {
        rig plain, rounded;
        assert_ok(ctx, rig_open(ctx, NORM, BL_F64, ROWS, 3, &plain));
        assert_ok(ctx, rig_open(ctx, NORM " scale_format@fixed<4,2,RND,SAT> offset_format@fixed<4,2>", BL_F64, ROWS, 3,
                                &rounded));
        plain.training = rounded.training = training != 0;
        rig_forward(&plain, 2);
        rig_forward(&rounded, 2);
        rig_backward(&plain, 2);
        rig_backward(&rounded, 2);
        for (int k = 1; k <= 2; k++)
            assert_memory_equal(plain.in[k].grad.data, rounded.in[k].grad.data, CHANNELS * sizeof(double));
        for (size_t i = 0; i < COUNT; i++) {
            const size_t c = i % CHANNELS;
            double mean, variance, sum = 0;
            moments(&plain, c, &mean, &variance);
            const double exact = rig_get(&plain.in[1].t, c) / sqrt(variance + (double)1e-5f);
            for (size_t j = c; j < COUNT && training; j += CHANNELS)
                sum += rig_get(&plain.grad_out[0], j);
            const double more = nearest("fixed<4,2,RND,SAT>", BL_F64, exact) - exact;
            const double want =
                rig_get(&plain.in[0].grad, i) + more * (rig_get(&plain.grad_out[0], i) - sum / (COUNT / CHANNELS));
            assert_true(fabs(want - rig_get(&rounded.in[0].grad, i)) < 1e-12); /* a few dozen roundings of about 1 */
        }
        rig_close(&plain);
        rig_close(&rounded);
    }
}

static void formats_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *attr, *message;
    } cases[] = {
        {"scale_format@mx<e4m3,32>", "attribute scale_format: mx<e4m3,32> has no single step"},
        {"scale_format@fixed<8,2,STOCHASTIC>", "draws at random"},
        {"offset_format@fixed<30,2>", "attribute offset_format: fixed<30,2> has numbers that float32 cannot carry"},
        {"offset_format@fixed<0,2>", "attribute offset_format: "},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        char text[200];
        rig r;
        snprintf(text, sizeof text, "%s %s", NORM, cases[i].attr);
        assert_true(rig_open(ctx, text, BL_F32, ROWS, 3, &r) != BL_OK);
        if (!strstr(bl_context_message(ctx), cases[i].message))
            fail_msg("%s: '%s', expected '%s'", cases[i].attr, bl_context_message(ctx), cases[i].message);
        rig_close(&r); /* what was opened until then */
    }
}

/* ---- recipes and files --------------------------------------------------------------------------------------- */
enum { IN = 6, EXAMPLES = 64 };

#define RECIPE                                                                                                         \
    "data: {source: fashion-mnist}\n"                                                                                  \
    "network: [Input: {shape: [6]}, Dense: {units: 8, name: fc1}, BatchNormalization: {name: bn1}, ReLU, "             \
    "Dense: {units: 4, name: fc2}, BatchNormalization: {name: bn2}]\n"                                                 \
    "train: {epochs: 2, batch: 16, optimizer: {name: adam, lr: 0.01}}\n"
#define FORWARD                                                                                                        \
    "default: {input: \"fixed<6,1>\", weight: \"fixed<4,1,RND,SAT_SYM>\", bias: \"fixed<6,2>\", activation: "          \
    "\"ufixed<5,2>\"}"

static void fill(bl_tensor *x, bl_tensor *y)
{
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &(bl_shape){2, {EXAMPLES, IN}}, x));
    assert_ok(ctx, bl_tensor_create(ctx, BL_I32, &(bl_shape){1, {EXAMPLES}}, y));
    for (int i = 0; i < EXAMPLES * IN; i++)
        ((float *)x->data)[i] = (float)rig_random(5, (uint64_t)i, -1, 1);
    for (int i = 0; i < EXAMPLES; i++)
        ((int32_t *)y->data)[i] = i % 4;
}

/* A graph from a recipe, trained. */
static bl_status trained(const char *text, bl_tensor *x, bl_graph **g)
{
    bl_tensor y;
    bl_dataset *set;
    bl_recipe *r;
    bl_trainer *t;
    fill(x, &y);
    assert_ok(ctx, bl_dataset_from_tensors(ctx, x, &y, &set));
    assert_ok(ctx, bl_recipe_parse(ctx, "r.yaml", text, strlen(text), NULL, 0, &r));
    bl_status s = bl_recipe_graph(r, set, g);
    if (s == BL_OK) {
        const bl_train_options o = *bl_recipe_options(r);
        assert_ok(ctx, bl_trainer_create(ctx, *g, set, &o, &t));
        assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
        bl_graph *made;
        assert_ok(ctx, bl_trainer_model(t, &made));
        bl_trainer_destroy(t);
        bl_graph_destroy(*g);
        *g = made;
    }
    bl_recipe_free(r);
    bl_dataset_close(set);
    bl_tensor_free(ctx, &y);
    return s;
}

static void run(const bl_graph *g, const bl_tensor *x, bl_tensor *y)
{
    bl_runner *r;
    bl_tensor out;
    assert_ok(ctx, bl_runner_create(ctx, g, EXAMPLES, &r));
    assert_ok(ctx, bl_runner_run(r, x, &out));
    assert_int_equal(bl_shape_count(&out.shape), EXAMPLES * 4);
    assert_ok(ctx, bl_tensor_create(ctx, out.type, &out.shape, y));
    memcpy(y->data, out.data, (size_t)bl_shape_count(&out.shape) * bl_dtype_size(out.type));
    bl_tensor_free(ctx, &out);
    bl_runner_destroy(r);
}

static const bl_node *find_node(const bl_graph *g, const char *name)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        if (bl_graph_node(g, i)->name && strcmp(bl_graph_node(g, i)->name, name) == 0)
            return bl_graph_node(g, i);
    fail_msg("no node %s", name);
    return NULL;
}

static void only_its_type_or_name_gives_formats(void **state)
{
    (void)state;
    bl_graph *g;
    bl_tensor x;
    assert_ok(ctx, trained(RECIPE "precision: {" FORWARD "}\n", &x, &g));
    assert_null(bl_node_attr(find_node(g, "bn1"), "scale_format"));
    bl_graph_destroy(g);
    bl_tensor_free(ctx, &x);
    assert_ok(ctx, trained(RECIPE "precision: {" FORWARD ", type: {BatchNormalization: {weight: \"fixed<6,3>\", bias: "
                                  "\"fixed<8,4>\"}}, name: {bn2: {weight: float32, bias: \"po2<4>\"}}}\n",
                           &x, &g));
    assert_string_equal(bl_node_string(find_node(g, "bn1"), "scale_format", ""), "fixed<6,3>");
    assert_string_equal(bl_node_string(find_node(g, "bn1"), "offset_format", ""), "fixed<8,4>");
    assert_null(bl_node_attr(find_node(g, "bn2"), "scale_format"));
    assert_string_equal(bl_node_string(find_node(g, "bn2"), "offset_format", ""), "po2<4>");
    bl_graph_destroy(g);
    bl_tensor_free(ctx, &x);
}

static void what_is_written_is_the_same_function(void **state)
{
    (void)state;
    bl_graph *g, *spelled, *back;
    bl_tensor x, before, after, again;
    assert_ok(ctx, trained(RECIPE "precision: {" FORWARD ", type: {BatchNormalization: {weight: \"fixed<6,3>\", bias: "
                                  "\"fixed<8,4>\"}}}\n",
                           &x, &g));
    run(g, &x, &before);
    assert_ok(ctx, bl_graph_clone(g, &spelled));
    assert_ok(ctx, bl_graph_pass(spelled, "fold_batch_norm")); /* keeps its hands off */
    assert_ok(ctx, bl_graph_pass(spelled, "spell_batch_norm"));
    assert_ok(ctx, bl_graph_verify(spelled));
    assert_null(bl_node_attr(find_node(spelled, "bn1"), "scale_format"));
    run(spelled, &x, &after);
    assert_memory_equal(before.data, after.data, EXAMPLES * 4 * sizeof(float));
    assert_ok(ctx, bl_model_write(g, temp_path("norm.onnx")));
    assert_ok(ctx, bl_model_read(ctx, temp_path("norm.onnx"), &back));
    run(back, &x, &again);
    assert_memory_equal(before.data, again.data, EXAMPLES * 4 * sizeof(float));
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &before);
    bl_tensor_free(ctx, &after);
    bl_tensor_free(ctx, &again);
    bl_graph_destroy(g);
    bl_graph_destroy(spelled);
    bl_graph_destroy(back);
}

static void a_recipe_s_mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *message;
    } cases[] = {
        {"weight: {quantizer: lsq, bits: 4}", "layer bn1: weight of a batch normalisation takes a format alone"},
        {"bias: {format: \"int<4>\", scale: 0.5}", "takes a format alone, not 'scale'"},
        {"weight: \"mx<e4m3,8>\"", "has no single step"},
        {"weight: \"fixed<30,2>\"", "float32 cannot carry"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        char text[700];
        bl_graph *g;
        bl_tensor x;
        snprintf(text, sizeof text, RECIPE "precision: {name: {bn1: {%s}}}\n", cases[i].entry);
        assert_true(trained(text, &x, &g) != BL_OK);
        if (!strstr(bl_context_message(ctx), cases[i].message))
            fail_msg("%s: '%s', expected '%s'", cases[i].entry, bl_context_message(ctx), cases[i].message);
        bl_tensor_free(ctx, &x);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_context, close_context)
    const struct CMUnitTest tests[] = {
        TEST(scale_and_offset_lie_on_their_grids),  TEST(the_gradient_passes_straight_through),
        TEST(formats_that_cannot_be_are_refused),   TEST(only_its_type_or_name_gives_formats),
        TEST(what_is_written_is_the_same_function), TEST(a_recipe_s_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
