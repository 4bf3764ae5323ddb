/* test_tf_equalize.c: channels scaled across layers: what the network computes stays, and ranges become alike. */
#include <math.h>

#include "bitlathe/tensor.h"
#include "support/folder.h"
#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/session.h"
#include "tf/transform.h"

/* ---- graphs ------------------------------------------------------------------------------------------------------
 */

static uint32_t noise = 1;
static float uniform(void)
{
    return (float)((noise = noise * 1664525 + 1013904223) >> 8) * 0x1p-23f - 1;
}

/* Weights whose channels differ by up to 2^8, in the last dimension (or the last but one, of one column). */
static bl_status weights(bli_tf_graph *g, const char *name, int rank, const int64_t *dim)
{
    void *content;
    BLI_TRY(bli_tg_add_const(g, name, BLI_DT_FLOAT, rank, dim, NULL, &content, NULL));
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    const int64_t channels = rank == 4 && dim[3] == 1 ? dim[2] : dim[rank - 1];
    for (int64_t i = 0; i < n; i++)
        ((float *)content)[i] = uniform() * ldexpf(0.0625f, (int)((i % channels) * 5 % 9));
    return BL_OK;
}

static bl_status node(bli_tf_graph *g, const char *op, const char *name, const char *a, const char *b,
                      bli_tf_node **out)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(g, op, name, (const char *[]){a, b, NULL}, &n));
    if (out)
        *out = n;
    return bli_tg_set_type(g->store, n, "T", BLI_DT_FLOAT);
}

static bl_status window(bli_tf_graph *g, const char *op, const char *name, const char *x, const char *w, int64_t size)
{
    bli_tf_node *n;
    const int64_t ones[4] = {1, 1, 1, 1}, sizes[4] = {1, size, size, 1};
    BLI_TRY(node(g, op, name, x, w, &n));
    BLI_TRY(bli_tf_node_set(g->store, n, "strides", bli_tf_value_ints(g->store, ones, 4)));
    if (!w)
        BLI_TRY(bli_tf_node_set(g->store, n, "ksize", bli_tf_value_ints(g->store, sizes, 4)));
    return bli_tf_node_set(g->store, n, "padding", bli_tf_value_string(g->store, "SAME"));
}

static bl_status input(bli_tf_graph *g)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(g, "Placeholder", "x", NULL, &n));
    BLI_TRY(bli_tg_set_type(g->store, n, "dtype", BLI_DT_FLOAT));
    return bli_tf_node_set(g->store, n, "shape", bli_tf_value_shape(g->store, 4, (const int64_t[]){-1, 5, 5, 3}));
}

/* conv 3 -> 8, act, depthwise, act, pool, conv 8 -> 4: y; with biases. */
static bl_status make_net(bli_tf_graph *g, const char *act)
{
    BLI_TRY(input(g));
    BLI_TRY(weights(g, "w1", 4, (const int64_t[]){3, 3, 3, 8}));
    BLI_TRY(weights(g, "b1", 1, (const int64_t[]){8}));
    BLI_TRY(weights(g, "w2", 4, (const int64_t[]){3, 3, 8, 1}));
    BLI_TRY(weights(g, "b2", 1, (const int64_t[]){8}));
    BLI_TRY(weights(g, "w3", 4, (const int64_t[]){1, 1, 8, 4}));
    BLI_TRY(window(g, "Conv2D", "c1", "x", "w1", 0));
    BLI_TRY(node(g, "BiasAdd", "s1", "c1", "b1", NULL));
    BLI_TRY(node(g, act, "a1", "s1", NULL, NULL));
    BLI_TRY(window(g, "DepthwiseConv2dNative", "c2", "a1", "w2", 0));
    BLI_TRY(node(g, "Add", "s2", "b2", "c2", NULL));
    BLI_TRY(node(g, act, "a2", "s2", NULL, NULL));
    BLI_TRY(window(g, "MaxPool", "p", "a2", NULL, 2));
    return window(g, "Conv2D", "y", "p", "w3", 0);
}

static const char *data(rig *r)
{
    const char *path = temp_path("data.npy");
    float x[4 * 5 * 5 * 3];
    const bl_tensor t = {BL_F32, {4, {4, 5, 5, 3}}, x};
    noise = 7;
    for (size_t i = 0; i < BLI_COUNT(x); i++)
        x[i] = uniform();
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &t));
    return path;
}

/* Transforms, each @ in them that path. */
static bl_status run_to(rig *r, const char *fmt, const char *path, const char *output)
{
    const bli_tg_options o = {false, "x", output};
    char text[1024] = "";
    for (const char *p = fmt, *at; *p; p = at + (*at == '@')) {
        at = strchr(p, '@') ? strchr(p, '@') : p + strlen(p);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s%s", (int)(at - p), p, *at ? path : "");
    }
    return bli_tg_transform(r->store, &r->g, text, &o);
}

static bl_status run(rig *r, const char *fmt, const char *path)
{
    return run_to(r, fmt, path, "y");
}

static bli_tf_tensor tensor_of(const rig *r, const char *name)
{
    bli_tf_tensor t = {0};
    for (size_t i = 0; i < r->g->num_nodes; i++)
        if (strcmp(r->g->nodes[i]->name, name) == 0)
            assert_ok(r->ctx, bli_tg_const_view(r->store, r->g->nodes[i], BLI_DT_FLOAT, &t));
    if (!t.data)
        print_error("no constant %s\n", name);
    assert_non_null(t.data);
    return t;
}

/* The greatest weight of channel c: element i is of channel i / per % channels. */
static float greatest(const rig *r, const char *name, size_t per, size_t channels, size_t c)
{
    const bli_tf_tensor t = tensor_of(r, name);
    float most = 0;
    for (size_t i = 0; i < t.count; i++)
        if (i / per % channels == c)
            most = fmaxf(most, fabsf(((const float *)t.data)[i]));
    return most;
}

/* ---- what stays --------------------------------------------------------------------------------------------------
 */

/* 24 bits of mantissa, sums of 72: errors of some 2^-24 * sqrt(72) of the outputs' size, a few layers deep. */
static const char kept[] = "equalize check(images=\"@\", tolerance=0.000002)";
static const char kept_on_images[] = "equalize(images=\"@\") check(images=\"@\", tolerance=0.000002)";

static void the_function_stays(void **state)
{
    static const char *const acts[] = {"Relu", "Relu6", "LeakyRelu", "Identity"};
    rig *r = *state;
    for (size_t i = 0; i < BLI_COUNT(acts); i++)
        for (int images = 0; images < 2; images++) {
            r->g = bli_tf_graph_make(r->store);
            noise = (uint32_t)i + 11;
            assert_ok(r->ctx, make_net(r->g, acts[i]));
            assert_ok(r->ctx, run(r, images ? kept_on_images : kept, data(r)));
        }
    assert_non_null(strstr(r->log, "equalize: 2 pairs of layers"));
}

static void layers_are_compared_as_they_were(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "LeakyRelu"));
    assert_ok(r->ctx, run(r, kept, data(r)));
    static const char *const layers[] = {"c1 (Conv2D)", "s1 (BiasAdd)", "c2 (Depth", "a2 (Leaky", "p (MaxPool)"};
    for (size_t i = 0; i < BLI_COUNT(layers); i++) {
        const char *at = strstr(r->log, layers[i]);
        assert_non_null(at);
        const double error = strtod(at - 14, NULL);
        if (!(error < 2e-6))
            print_error("%s: %g\n", layers[i], error);
        assert_true(error < 2e-6);
    }
}

/* ---- what changes ------------------------------------------------------------------------------------------------
 */

static void channels_become_equal_across_layers(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_true(greatest(r, "w1", 1, 8, 7) > 8 * greatest(r, "w1", 1, 8, 0));
    assert_ok(r->ctx, run(r, "equalize(rounds=200)", ""));
    for (size_t c = 0; c < 8; c++) {
        const float one = greatest(r, "w1", 1, 8, c), two = greatest(r, "w2", 1, 8, c),
                    three = greatest(r, "w3", 4, 8, c);
        const float whole[3] = {one / greatest(r, "w1", 1, 1, 0), two / greatest(r, "w2", 1, 1, 0),
                                three / greatest(r, "w3", 1, 1, 0)};
        for (int k = 0; k < 2; k++) {
            if (fabsf(whole[k] / whole[k + 1] - 1) > 0.01f)
                print_error("channel %zu: %g %g %g\n", c, (double)whole[0], (double)whole[1], (double)whole[2]);
            assert_true(fabsf(whole[k] / whole[k + 1] - 1) <= 0.01f);
        }
    }
}

/* Bounds that follow from the weights: the second link's layer reads what Relu6 made. */
static void channels_that_may_meet_six_stay(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu6"));
    const bli_tf_tensor was = tensor_of(r, "w1"), dw = tensor_of(r, "w2"), bias = tensor_of(r, "b2");
    assert_ok(r->ctx, run(r, "equalize", ""));
    const bli_tf_tensor is = tensor_of(r, "w1"), dw_is = tensor_of(r, "w2"), bias_is = tensor_of(r, "b2");
    assert_memory_equal(was.data, is.data, was.count * sizeof(float));
    size_t moved = 0;
    for (size_t c = 0; c < 8; c++) {
        float u = ((const float *)bias.data)[c], now = ((const float *)bias_is.data)[c];
        bool same = true;
        for (size_t k = 0; k < 9; k++) {
            const float a = ((const float *)dw.data)[k * 8 + c], b = ((const float *)dw_is.data)[k * 8 + c];
            u += a > 0 ? 6 * a : 0;
            now += b > 0 ? 6 * b : 0;
            same = same && a == b;
        }
        moved += !same;
        assert_true(u > 6 ? same : now <= 6.00001f);
    }
    assert_true(moved > 0 && moved < 8);
}

static void what_several_read_stays(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, node(r->g, "Neg", "side", "a1", NULL, NULL));
    assert_ok(r->ctx, run(r, "equalize", ""));
    assert_non_null(strstr(r->log, "equalize: 1 pairs"));
}

static void shared_constants_are_copied(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, node(r->g, "Neg", "side", "w1", NULL, NULL));
    assert_ok(r->ctx, node(r->g, "Neg", "other", "b1", NULL, NULL));
    const bli_tf_tensor was = tensor_of(r, "w1");
    assert_ok(r->ctx, run(r, kept, data(r)));
    const bli_tf_tensor is = tensor_of(r, "w1");
    assert_memory_equal(was.data, is.data, was.count * sizeof(float));
    assert_int_equal(tensor_of(r, "c1_equalized_weights").count, was.count);
    assert_int_equal(tensor_of(r, "s1_equalized_bias").count, 8);
}

static void matrices_turned_round_are_layers_too(void **state)
{
    rig *r = *state;
    bli_tf_node *n;
    assert_ok(r->ctx, bli_tg_add_node(r->g, "Placeholder", "x", NULL, &n));
    assert_ok(r->ctx, bli_tg_set_type(r->store, n, "dtype", BLI_DT_FLOAT));
    assert_ok(r->ctx, weights(r->g, "w1", 2, (const int64_t[]){3, 6}));
    assert_ok(r->ctx, weights(r->g, "w2", 2, (const int64_t[]){4, 6}));
    assert_ok(r->ctx, node(r->g, "MatMul", "c1", "x", "w1", NULL));
    assert_ok(r->ctx, node(r->g, "Relu", "a1", "c1", NULL, NULL));
    assert_ok(r->ctx, node(r->g, "MatMul", "y", "a1", "w2", &n));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "transpose_b", bli_tf_value_bool(r->store, true)));
    float x[6][3];
    for (int i = 0; i < 18; i++)
        x[i / 3][i % 3] = uniform();
    const char *path = temp_path("rows.npy");
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &(bl_tensor){BL_F32, {2, {6, 3}}, x}));
    assert_ok(r->ctx, run(r, kept, path));
    for (size_t c = 0; c < 6; c++) {
        const float one = greatest(r, "w1", 1, 6, c) / greatest(r, "w1", 1, 1, 0);
        assert_true(fabsf(one / (greatest(r, "w2", 1, 6, c) / greatest(r, "w2", 1, 1, 0)) - 1) < 0.01f);
    }
}

/* ---- columns, biases ---------------------------------------------------------------------------------------------
 */

static const char even[] = "equalize(columns=true) check(images=\"@\", tolerance=0.000002)";

static void columns_become_even_and_are_multiplied_back(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu6"));
    assert_ok(r->ctx, run(r, even, data(r)));
    for (size_t c = 0; c < 8; c++) {
        const float most = greatest(r, "w1", 1, 8, c) / greatest(r, "w1", 1, 1, 0);
        assert_true(most > 0.99f && most <= 1);
    }
    assert_int_equal(tensor_of(r, "c1/column_scales").count, 8);
    assert_int_equal(tensor_of(r, "y/column_scales").count, 4);
}

/* The error of a layer, as check says it. */
static double error_after(rig *r, const char *transforms, const char *layer)
{
    char text[512];
    bli_tf_graph *was = r->g;
    r->log[0] = '\0';
    snprintf(text, sizeof text, "%s check(images=\"@\", tolerance=9)", transforms);
    assert_ok(r->ctx, run(r, text, data(r)));
    r->g = was;
    const char *at = strstr(r->log, layer);
    assert_non_null(at);
    return strtod(at - 12, NULL);
}

static void biases_make_up_for_rounded_weights(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    const double rounded = error_after(r, "round_weights(num_steps=12)", "  p (MaxPool)");
    const double corrected =
        error_after(r, "round_weights(num_steps=12) correct_biases(images=\"@\")", "  p (MaxPool)");
    const double scaled = error_after(r, "equalize(columns=true) correct_biases(images=\"@\")", "  output y");
    if (!(corrected < 0.95 * rounded))
        print_error("rounded %g, corrected %g\n", rounded, corrected);
    assert_true(corrected < 0.95 * rounded);
    assert_true(scaled < 4e-6); /* nothing was rounded */
    assert_non_null(strstr(r->log, "correct_biases: 2 layers"));
}

/* Means of the four channels of s3 on the data, all samples at once. */
static void means_of(rig *r, float means[4])
{
    static float x[4 * 5 * 5 * 3];
    bli_tf_session *s;
    bli_tf_array out;
    const char *fetch = "s3";
    noise = 7;
    for (size_t i = 0; i < BLI_COUNT(x); i++)
        x[i] = uniform();
    const bli_tf_feed feed = {"x", {BLI_DT_FLOAT, {4, {4, 5, 5, 3}}, x, NULL}};
    assert_ok(r->ctx, bli_tf_session_create(r->g, NULL, &s));
    assert_ok(r->ctx, bli_tf_session_run(s, &feed, 1, &fetch, 1, &out));
    memset(means, 0, 4 * sizeof *means);
    for (size_t i = 0; i < 400; i++)
        means[i % 4] += ((const float *)out.data)[i] / 100;
    bli_tf_array_release(&out);
    bli_tf_session_destroy(s);
}

/* How far they are from what they were. */
static float means_off(rig *r, const char *transforms, const float was[4])
{
    float is[4], off = 0;
    bli_tf_graph *g = r->g;
    assert_ok(r->ctx, run_to(r, transforms, data(r), "s3"));
    means_of(r, is);
    for (size_t c = 0; c < 4; c++)
        off = fmaxf(off, fabsf(is[c] - was[c]));
    r->g = g;
    return off;
}

/* Behind quantize_nodes, where vectors join sums of 32 bits or are added to floats of them. */
static void biases_make_up_for_rounded_values(void **state)
{
    static const char *const forms[] = {"quantize_nodes", "quantize_nodes(per_channel=true)",
                                        "quantize_nodes(ignore_op=BiasAdd, ignore_op=Add)"};
    rig *r = *state;
    float was[4];
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, weights(r->g, "b3", 1, (const int64_t[]){4}));
    assert_ok(r->ctx, node(r->g, "BiasAdd", "s3", "y", "b3", NULL));
    means_of(r, was);
    for (size_t i = 0; i < BLI_COUNT(forms); i++) {
        char text[512];
        snprintf(text, sizeof text, "round_weights(num_steps=12) %s calibrate(images=\"@\")", forms[i]);
        const float rounded = means_off(r, text, was);
        strcat(text, " correct_biases(images=\"@\")");
        const float corrected = means_off(r, text, was);
        if (!(corrected < 0.1f * rounded))
            fail_msg("%s: means are off by %g, corrected by %g", forms[i], (double)rounded, (double)corrected);
        assert_non_null(strstr(r->log, "correct_biases: 3 layers"));
    }
}

static void biases_of_graphs_that_take_bytes_are_corrected(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, "quantize_nodes(input_min=-1, input_max=1) correct_biases(images=\"@\")", data(r)));
    assert_non_null(strstr(r->log, "correct_biases: 2 layers"));
}

/* The graph that came in is looked at still when its weights could have gone. */
static void biases_are_the_same_when_weights_go(void **state)
{
    rig *r = *state;
    char text[512];
    const bli_tg_options o = {false, "x", "y"};
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    bli_tf_graph *in_place = r->g;
    assert_ok(r->ctx, run(r, "round_weights(num_steps=12) correct_biases(images=\"@\")", data(r)));
    float want[8];
    assert_int_equal(tensor_of(r, "b1").count, BLI_COUNT(want));
    memcpy(want, tensor_of(r, "b1").data, sizeof want);
    snprintf(text, sizeof text, "round_weights(num_steps=12) correct_biases(images=\"%s\")", data(r));
    r->g = in_place;
    assert_ok(r->ctx, bli_tg_transform_in_place(r->store, &r->g, text, &o));
    assert_memory_equal(want, tensor_of(r, "b1").data, sizeof want);
}

static void a_graph_without_biases_is_refused(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, input(r->g));
    assert_ok(r->ctx, weights(r->g, "w1", 4, (const int64_t[]){3, 3, 3, 8}));
    assert_ok(r->ctx, window(r->g, "Conv2D", "y", "x", "w1", 0));
    assert_fails(r->ctx, BL_BAD_MODEL, "no layer of the graph has a bias",
                 run(r, "correct_biases(images=\"@\")", data(r)));
    assert_fails(r->ctx, BL_USAGE, "'images' is missing", run(r, "correct_biases", ""));
}

static void bad_parameters_are_refused(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_fails(r->ctx, BL_USAGE, "'rounds' is 0", run(r, "equalize(rounds=0)", ""));
    assert_fails(r->ctx, BL_USAGE, "'rounds' is 'many'", run(r, "equalize(rounds=many)", ""));
    assert_fails(r->ctx, BL_BAD_VALUE, "did you mean 'rounds'", run(r, "equalize(round=1)", ""));
    assert_fails(r->ctx, BL_NOT_FOUND, "none.npy", run(r, "equalize(images=\"@\")", temp_path("none.npy")));
}

static bl_status equalize_small(bl_context *ctx, void *arg)
{
    const bli_tg_options o = {false, "x", "y"};
    bli_tf_store *s;
    char text[512];
    snprintf(text, sizeof text, "equalize(images=\"%s\", columns=true) correct_biases(images=\"%s\")",
             (const char *)arg, (const char *)arg);
    BLI_TRY(bli_tf_store_create(ctx, &s));
    bli_tf_graph *g = bli_tf_graph_make(s);
    bl_status status = g ? make_net(g, "Relu6") : BL_NO_MEMORY;
    if (status == BL_OK)
        status = bli_tg_transform(s, &g, text, &o);
    bli_tf_store_destroy(s);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    char path[512];
    snprintf(path, sizeof path, "%s", data(*state));
    fail_each_allocation(equalize_small, path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_function_stays),
        TEST(layers_are_compared_as_they_were),
        TEST(channels_become_equal_across_layers),
        TEST(channels_that_may_meet_six_stay),
        TEST(what_several_read_stays),
        TEST(shared_constants_are_copied),
        TEST(matrices_turned_round_are_layers_too),
        TEST(columns_become_even_and_are_multiplied_back),
        TEST(biases_make_up_for_rounded_weights),
        TEST(biases_make_up_for_rounded_values),
        TEST(biases_of_graphs_that_take_bytes_are_corrected),
        TEST(biases_are_the_same_when_weights_go),
        TEST(a_graph_without_biases_is_refused),
        TEST(bad_parameters_are_refused),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
