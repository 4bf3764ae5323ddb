/* test_tf_session.c: sessions over TensorFlow graphs: order, feeds, constants, refusals; and the shared real graphs. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/tensor.h"
#include "support/folder.h"
#include "support/memory.h"
#include "tf/array.h"

typedef struct rig {
    bl_context *ctx;
    bli_tf_store *store;
    bli_tf_graph *g;
} rig;

static rig rig_make(void)
{
    rig r;
    assert_int_equal(bl_context_create(NULL, &r.ctx), BL_OK);
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    assert_non_null(r.g);
    return r;
}

static void rig_free(rig *r)
{
    bli_tf_store_destroy(r->store);
    bl_context_destroy(r->ctx);
}

/* A node "name op input input ..." with type attribute T. */
static bli_tf_node *add(rig *r, const char *text)
{
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    const char *name = strtok_r(copy, " ", &save), *op = strtok_r(NULL, " ", &save);
    bli_tf_node *n = bli_tf_node_make(r->store, name, op);
    assert_non_null(n);
    for (const char *input; (input = strtok_r(NULL, " ", &save));)
        assert_ok(r->ctx, bli_tf_node_add_input(r->store, n, input));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "T", bli_tf_value_type(r->store, BLI_DT_FLOAT)));
    assert_ok(r->ctx, bli_tf_graph_add(r->g, n));
    return n;
}

static void constant(rig *r, const char *name, int dtype, int rank, const int64_t *dim, const void *data)
{
    bli_tf_node *n = bli_tf_node_make(r->store, name, "Const");
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "dtype", bli_tf_value_type(r->store, dtype)));
    assert_ok(r->ctx,
              bli_tf_node_set(r->store, n, "value", bli_tf_value_tensor(r->store, dtype, rank, dim, data, NULL)));
    assert_ok(r->ctx, bli_tf_graph_add(r->g, n));
}

static void placeholder(rig *r, const char *name)
{
    bli_tf_node *n = add(r, "x Placeholder");
    assert_ok(r->ctx, bli_tf_node_rename(r->store, n, name));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "dtype", bli_tf_value_type(r->store, BLI_DT_FLOAT)));
}

static bli_tf_array floats(int rank, const int64_t *dim, float *data)
{
    bli_tf_array a = {.dtype = BLI_DT_FLOAT, .shape = {.rank = rank}, .data = data};
    for (int i = 0; i < rank; i++)
        a.shape.dim[i] = dim[i];
    return a;
}

static bl_status run(rig *r, const bli_tf_feed *feed, const char *fetch, bli_tf_array *out)
{
    bli_tf_session *s;
    *out = (bli_tf_array){.dtype = 0};
    bl_status status = bli_tf_session_create(r->g, NULL, &s);
    if (status == BL_OK)
        status = bli_tf_session_run(s, feed, feed ? 1 : 0, &fetch, 1, out);
    bli_tf_session_destroy(s);
    return status;
}

static void a_graph_runs_in_the_order_of_its_inputs(void **state)
{
    (void)state;
    rig r = rig_make();
    float x[3] = {1, -2, 3}, two = 2;
    add(&r, "z Relu y"); /* behind what comes later in the file */
    add(&r, "y Mul x c ^n");
    add(&r, "n NoOp ^x");
    constant(&r, "c", BLI_DT_FLOAT, 0, NULL, &two);
    placeholder(&r, "x");
    bli_tf_array out;
    const bli_tf_feed feed = {"x:0", floats(1, (const int64_t[]){3}, x)};
    assert_ok(r.ctx, run(&r, &feed, "z", &out));
    assert_int_equal(out.shape.dim[0], 3);
    assert_true(((float *)out.data)[0] == 2 && ((float *)out.data)[1] == 0 && ((float *)out.data)[2] == 6);
    bli_tf_array_release(&out);
    const bli_tf_feed inside = {"y", floats(1, (const int64_t[]){3}, x)};
    assert_ok(r.ctx, run(&r, &inside, "z:0", &out));
    assert_true(((float *)out.data)[2] == 3);
    bli_tf_array_release(&out);
    rig_free(&r);
}

static void one_session_takes_pictures_of_several_sizes(void **state)
{
    (void)state;
    rig r = rig_make();
    const char *fetch = "y";
    float w[9 * 2] = {0}, x[8 * 8 * 2];
    for (int i = 0; i < 128; i++)
        x[i] = (float)i;
    w[8] = 1; /* the middle tap, channel 0 */
    constant(&r, "w", BLI_DT_FLOAT, 4, (const int64_t[]){3, 3, 2, 1}, w);
    placeholder(&r, "x");
    bli_tf_node *n = add(&r, "y Conv2D x w");
    const int64_t ones[4] = {1, 1, 1, 1};
    assert_ok(r.ctx, bli_tf_node_set(r.store, n, "strides", bli_tf_value_ints(r.store, ones, 4)));
    assert_ok(r.ctx, bli_tf_node_set(r.store, n, "padding", bli_tf_value_string(r.store, "SAME")));
    bli_tf_session *s;
    assert_ok(r.ctx, bli_tf_session_create(r.g, NULL, &s));
    for (int64_t size = 4; size <= 8; size++) {
        bli_tf_array out;
        const bli_tf_feed feed = {"x", floats(4, (const int64_t[]){1, size, size, 2}, x)};
        assert_ok(r.ctx, bli_tf_session_run(s, &feed, 1, &fetch, 1, &out));
        for (int64_t i = 0; i < size * size; i++)
            assert_true(((float *)out.data)[i] == x[2 * i]);
        bli_tf_array_release(&out);
    }
    bli_tf_session_destroy(s);
    rig_free(&r);
}

static void refusals_name_the_node(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_array out;
    const float c[4] = {0};
    add(&r, "a Relu b");
    add(&r, "b Relu a");
    add(&r, "loop Relu loop2 ^loop");
    add(&r, "loop2 Relu c");
    add(&r, "odd Frobnicate c");
    add(&r, "lost Relu nowhere");
    add(&r, "port Relu c:3");
    add(&r, "wide MatMul c m");
    add(&r, "one Add c");
    add(&r, "none NoOp");
    add(&r, "of_none Relu none");
    placeholder(&r, "p");
    add(&r, "q Relu p");
    constant(&r, "c", BLI_DT_FLOAT, 2, (const int64_t[]){2, 2}, c);
    constant(&r, "m", BLI_DT_FLOAT, 2, (const int64_t[]){4, 1}, c);
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b' (Relu): it is part of a cycle", run(&r, NULL, "a", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "cycle", run(&r, NULL, "loop", &out));
    assert_fails(r.ctx, BL_UNSUPPORTED, "node 'odd' (Frobnicate)", run(&r, NULL, "odd", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'lost' (Relu): input 'nowhere'", run(&r, NULL, "lost", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "output 3 of node 'c' (Const), which has 1", run(&r, NULL, "port", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'wide' (MatMul)", run(&r, NULL, "wide", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "1 inputs, expected 2", run(&r, NULL, "one", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "no outputs", run(&r, NULL, "of_none", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "'nobody' names no node", run(&r, NULL, "nobody", &out));
    assert_fails(r.ctx, BL_USAGE, "node 'p' (Placeholder): a placeholder that is not fed", run(&r, NULL, "q", &out));
    assert_ok(r.ctx, run(&r, NULL, "none", &out));
    rig_free(&r);
}

static void shapes_are_known_before_running(void **state)
{
    (void)state;
    rig r = rig_make();
    const float w[6] = {0};
    const int32_t axis[1] = {1};
    bli_arena *arena;
    bli_tf_shapes shapes;
    constant(&r, "w", BLI_DT_FLOAT, 2, (const int64_t[]){2, 3}, w);
    constant(&r, "axis", BLI_DT_INT32, 1, (const int64_t[]){1}, axis);
    placeholder(&r, "x");
    add(&r, "y MatMul x w");
    add(&r, "m Mean y axis");
    add(&r, "f Frobnicate y");
    add(&r, "g Relu f");
    assert_ok(r.ctx, bli_arena_create(r.ctx, &arena));
    assert_ok(r.ctx, bli_tf_infer_graph(r.g, arena, &shapes));
    assert_int_equal(shapes.out[3][0].shape.rank, 2);
    assert_int_equal(shapes.out[3][0].shape.dim[0], -1);
    assert_int_equal(shapes.out[3][0].shape.dim[1], 3);
    assert_int_equal(shapes.out[4][0].shape.rank, 1);
    assert_int_equal(shapes.num_out[5], 0);
    assert_int_equal(shapes.out[6][0].shape.rank, -1);
    bli_arena_destroy(arena);
    assert_true(bli_tf_foldable("Mul") && !bli_tf_foldable("Placeholder") && !bli_tf_evaluable("Frobnicate"));
    rig_free(&r);
}

/* ---- joined nodes -------------------------------------------------------------------------------------------- */
static uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void byte_constant(rig *r, const char *name, int64_t n, float low, float high, uint32_t *state)
{
    uint8_t codes[64];
    char text[64];
    for (int64_t i = 0; i < n; i++)
        codes[i] = (uint8_t)noise(state);
    constant(r, name, BLI_DT_QUINT8, 1, &n, codes);
    snprintf(text, sizeof text, "%s_min", name);
    constant(r, text, BLI_DT_FLOAT, 0, NULL, &low);
    snprintf(text, sizeof text, "%s_max", name);
    constant(r, text, BLI_DT_FLOAT, 0, NULL, &high);
}

/* Sum, range, requantize, and an activation: four nodes behind tensor `x`. */
static void add_stage(rig *r, const char *op, const char *x, const char *with, const char *name, const char *relu)
{
    char text[256];
    const bool first = strchr(x, ':') == NULL;
    if (first)
        snprintf(text, sizeof text, "%s_sum %s x %s x_min x_max %s_min %s_max", name, op, with, with, with);
    else
        snprintf(text, sizeof text, "%s_sum %s %.*s:0 %s %.*s:1 %.*s:2 %s_min %s_max", name, op, (int)strlen(x) - 1, x,
                 with, (int)strlen(x) - 1, x, (int)strlen(x) - 1, x, with, with);
    (void)add(r, text);
    snprintf(text, sizeof text, "%s_range RequantizationRange %s_sum:0 %s_sum:1 %s_sum:2", name, name, name, name);
    (void)add(r, text);
    snprintf(text, sizeof text, "%s Requantize %s_sum %s_sum:1 %s_sum:2 %s_range:0 %s_range:1", name, name, name, name,
             name, name);
    (void)add(r, text);
    snprintf(text, sizeof text, "%s_relu %s %s:0 %s:1 %s:2", name, relu, name, name, name);
    (void)add(r, text);
}

static void joined_chains_have_the_bits_of_single_nodes(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        rig r = rig_make();
        uint32_t random = seed;
        const int64_t channels = 1 + seed % 7, pixels = 1 + noise(&random) % 150;
        const float wide = (float)(seed % 5) * 3.7f, low = seed % 6 == 0 ? 0.3f : -0.01f - wide;
        static uint8_t x[64 * 256];
        const float high = low + 0.02f + (float)(seed % 11) * 2;
        for (int64_t i = 0; i < channels * pixels; i++)
            x[i] = (uint8_t)noise(&random);
        constant(&r, "x_min", BLI_DT_FLOAT, 0, NULL, &low);
        constant(&r, "x_max", BLI_DT_FLOAT, 0, NULL, &high);
        placeholder(&r, "x");
        byte_constant(&r, "b", channels, -0.4f, 1.3f, &random);
        byte_constant(&r, "m", seed % 2 ? 1 : channels, -2, 1.1f, &random);
        byte_constant(&r, "a", channels, 0.2f, seed % 3 ? 5.f : 0.2f, &random);
        add_stage(&r, "QuantizedBiasAdd", "x", "b", "one", "QuantizedRelu");
        add_stage(&r, "QuantizedMul", "one_relu:", "m", "two", "QuantizedRelu6");
        add_stage(&r, "QuantizedAdd", "two:", "a", "three", "QuantizedRelu");
        const char *const fetches[2][3] = {{"three_relu:0", "three_relu:1", "three_relu:2"},
                                           {"three:0", "two_relu:0", "three:2"}};
        for (int f = 0; f < 2; f++) {
            bli_tf_array out[2][3];
            for (int plain = 0; plain < 2; plain++) {
                bli_tf_session *s;
                const bli_tf_feed feed = {"x", {BLI_DT_QUINT8, {2, {pixels, channels}}, x, NULL}};
                assert_ok(r.ctx, bli_tf_session_create(r.g, &(bli_tf_session_options){.plain = plain}, &s));
                assert_ok(r.ctx, bli_tf_session_run(s, &feed, 1, fetches[f], 3, out[plain]));
                bli_tf_session_destroy(s);
            }
            for (int k = 0; k < 3; k++) {
                assert_int_equal(bli_tf_array_bytes(&out[0][k]), bli_tf_array_bytes(&out[1][k]));
                if (memcmp(out[0][k].data, out[1][k].data, bli_tf_array_bytes(&out[0][k])) != 0)
                    print_error("seed %u, fetch %s: %d pixels of %d channels; joined %d %g, single %d %g\n", seed,
                                fetches[f][k], (int)pixels, (int)channels, *(uint8_t *)out[0][k].data,
                                (double)*(float *)out[0][k].data, *(uint8_t *)out[1][k].data,
                                (double)*(float *)out[1][k].data);
                assert_memory_equal(out[0][k].data, out[1][k].data, bli_tf_array_bytes(&out[0][k]));
                bli_tf_array_release(&out[0][k]);
                bli_tf_array_release(&out[1][k]);
            }
        }
        rig_free(&r);
    }
}

/* ---- real graphs --------------------------------------------------------------------------------------------- */
/* One shared case: bytes become (x - mean) / by; the outputs may differ by `limit` times the largest of them, 0 where
 * the graph computes in whole numbers: then every bit is compared. */
typedef struct real {
    const char *folder, *graph, *input, *feed, *expected, *fetch;
    float mean, by;
    bool one_by_one;
    double limit;
} real;

static const real reals[] = {
    {"jet_3layer", "graph", "inputs", "input_1:0", "expected_logits", "output_softmax/BiasAdd", 0, 1, false, 1e-5},
    {"kws_cnn_s", "graph", "inputs", "Mfcc:0", "expected_logits", "add_4", 0, 1, true, 1e-5},
    {"kws_dnn_s", "graph", "inputs", "Mfcc:0", "expected_logits", "add", 0, 1, true, 1e-5},
    {"mnist_mlp_float", "graph", "inputs_u8", "x:0", "expected_logits", "OuputLayer/logits", 0, 255, false, 1e-5},
    {"mnist_mlp_eightbit", "graph", "inputs_u8", "x:0", "expected_logits", "OuputLayer/logits", 0, 255, true, 0},
    {"mnist_mlp_eightbit", "graph", "inputs_u8", "x:0", "expected", "y_pred", 0, 255, true, 0},
    {"mobilenet_v1_025_128", "frozen_graph", "inputs_u8", "input:0", "expected_logits",
     "MobilenetV1/Logits/SpatialSqueeze", 127.5f, 127.5f, true, 1e-5},
    {"mobilenet_v1_025_128", "quantized_graph", "inputs_u8", "input:0", "expected_logits_quantized",
     "MobilenetV1/Logits/SpatialSqueeze", 127.5f, 127.5f, true, 1e-5},
};

static void read_shared(bl_context *ctx, const char *folder, const char *file, char *path, size_t size, bl_tensor *t)
{
    const char *source = getenv("BITLATHE_SOURCE");
    snprintf(path, size, "%s/../shared/data/tf_pb/%s/%s", source ? source : "..", folder, file);
    if (t)
        assert_ok(ctx, bl_npy_read(ctx, path, t));
}

static float *as_floats(const bl_tensor *t, const real *r)
{
    const size_t n = (size_t)bl_shape_count(&t->shape);
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] =
            t->type == BL_F32 ? ((const float *)t->data)[i] : ((float)((const uint8_t *)t->data)[i] - r->mean) / r->by;
    return x;
}

static double number(const bl_tensor *t, size_t i)
{
    return t->type == BL_F32 ? (double)((const float *)t->data)[i] : (double)((const int64_t *)t->data)[i];
}

static void compare(const real *r, const bli_tf_array *out, const bl_tensor *want, size_t from)
{
    const size_t n = (size_t)bl_shape_count(&out->shape);
    const bl_tensor got = {bli_tf_store_type(out->dtype), out->shape, out->data};
    double most = 0;
    assert_true(from + n <= (size_t)bl_shape_count(&want->shape));
    assert_int_equal(got.type, want->type);
    for (size_t i = 0; i < n; i++)
        most = fabs(number(want, from + i)) > most ? fabs(number(want, from + i)) : most;
    for (size_t i = 0; i < n; i++) {
        const double a = number(&got, i), b = number(want, from + i);
        if (!(fabs(a - b) <= r->limit * most))
            print_error("%s/%s, %s: element %zu is %.9g, expected %.9g\n", r->folder, r->graph, r->fetch, from + i, a,
                        b);
        assert_true(fabs(a - b) <= r->limit * most);
    }
}

static void run_real(const real *r, bool plain)
{
    rig k = rig_make();
    char path[4096], file[64];
    bl_tensor x, want;
    bli_tf_graph *g;
    bli_tf_session *s;
    snprintf(file, sizeof file, "%s.npy", r->input);
    read_shared(k.ctx, r->folder, file, path, sizeof path, &x);
    snprintf(file, sizeof file, "%s.npy", r->expected);
    read_shared(k.ctx, r->folder, file, path, sizeof path, &want);
    snprintf(file, sizeof file, "%s.pb", r->graph);
    read_shared(k.ctx, r->folder, file, path, sizeof path, NULL);
    assert_ok(k.ctx, bli_tf_graph_read(k.store, path, &g));
    assert_ok(k.ctx, bli_tf_session_create(g, &(bli_tf_session_options){.plain = plain}, &s));
    float *data = as_floats(&x, r);
    const size_t rows = (size_t)x.shape.dim[0], step = r->one_by_one ? 1 : rows;
    const size_t row = (size_t)bl_shape_count(&x.shape) / rows;
    const size_t answers = (size_t)bl_shape_count(&want.shape) / (size_t)want.shape.dim[0];
    for (size_t i = 0; i < rows; i += step) {
        bli_tf_array out;
        bli_tf_feed feed = {r->feed, {BLI_DT_FLOAT, x.shape, data + i * row, NULL}};
        feed.value.shape.dim[0] = (int64_t)step;
        assert_ok(k.ctx, bli_tf_session_run(s, &feed, 1, &r->fetch, 1, &out));
        compare(r, &out, &want, i * answers);
        bli_tf_array_release(&out);
    }
    free(data);
    bl_tensor_free(k.ctx, &x);
    bl_tensor_free(k.ctx, &want);
    bli_tf_session_destroy(s);
    rig_free(&k);
}

static void real_graphs_give_tensorflows_outputs(void **state)
{
    (void)state;
    char path[4096];
    read_shared(NULL, "jet_3layer", "graph.pb", path, sizeof path, NULL);
    FILE *f = fopen(path, "rb");
    if (!f) {
        print_message("SKIPPED: no shared data\n");
        skip();
    }
    fclose(f);
    for (size_t i = 0; i < BLI_COUNT(reals); i++)
        run_real(&reals[i], false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_runs_in_the_order_of_its_inputs),
        cmocka_unit_test(one_session_takes_pictures_of_several_sizes),
        cmocka_unit_test(refusals_name_the_node),
        cmocka_unit_test(shapes_are_known_before_running),
        cmocka_unit_test(joined_chains_have_the_bits_of_single_nodes),
        cmocka_unit_test(real_graphs_give_tensorflows_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
