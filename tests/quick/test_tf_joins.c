/* test_tf_joins.c: chains of eight-bit nodes give the bits of the nodes one by one, on every instruction set: random
 * graphs of sums, products, convolutions, ranges found or given, activations, shared results, empty batches; and the
 * shared graphs, transformed.  Length: what random graphs are made of shares one rig. */
#include "support/test.h"

#include "bitlathe/tensor.h"
#include "bitlathe/tf.h"
#include "support/memory.h"
#include "tf/array.h"
#include "tf/kernels/loops.h"

enum { GRAPHS = 600, MOST_FETCHES = 8, MOST_BYTES = 1 << 17 };

typedef struct rig {
    bl_context *ctx;
    bli_tf_store *store;
    bli_tf_graph *g;
    uint32_t state;
    char codes[40], min[40], max[40]; /* what the chain has made so far */
    int64_t channels;
    char fetch[MOST_FETCHES][40];
    int num_fetches, nodes;
} rig;

static uint32_t noise(rig *r)
{
    r->state = r->state * 1664525u + 1013904223u;
    return r->state >> 8;
}

static uint32_t below(rig *r, uint32_t n)
{
    return noise(r) % n;
}

static float between(rig *r, float low, float high)
{
    return low + (high - low) * (float)below(r, 1 << 16) / 65536.0f;
}

static void rig_make(rig *r, uint32_t seed)
{
    *r = (rig){.state = seed * 7919};
    assert_int_equal(bl_context_create(NULL, &r->ctx), BL_OK);
    assert_ok(r->ctx, bli_tf_store_create(r->ctx, &r->store));
    r->g = bli_tf_graph_make(r->store);
    assert_non_null(r->g);
}

static void rig_free(rig *r)
{
    bli_tf_store_destroy(r->store);
    bl_context_destroy(r->ctx);
}

/* ---- graphs -------------------------------------------------------------------------------------------------- */
static void set(rig *r, bli_tf_node *n, const char *attr, const bli_tf_value *v)
{
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, attr, v));
}

/* "name op input ..." */
static bli_tf_node *add(rig *r, const char *fmt, ...)
{
    char text[512], *save = NULL;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *name = strtok_r(text, " ", &save), *op = strtok_r(NULL, " ", &save);
    bli_tf_node *n = bli_tf_node_make(r->store, name, op);
    assert_non_null(n);
    for (const char *input; (input = strtok_r(NULL, " ", &save));)
        assert_ok(r->ctx, bli_tf_node_add_input(r->store, n, input));
    assert_ok(r->ctx, bli_tf_graph_add(r->g, n));
    return n;
}

static void constant(rig *r, const char *name, int dtype, int rank, const int64_t *dim, const void *data)
{
    bli_tf_node *n = add(r, "%s Const", name);
    set(r, n, "dtype", bli_tf_value_type(r->store, dtype));
    set(r, n, "value", bli_tf_value_tensor(r->store, dtype, rank, dim, data, NULL));
}

static void range_constant(rig *r, const char *name, float low, float high)
{
    char text[64];
    snprintf(text, sizeof text, "%s_min", name);
    constant(r, text, BLI_DT_FLOAT, 0, NULL, &low);
    snprintf(text, sizeof text, "%s_max", name);
    constant(r, text, BLI_DT_FLOAT, 0, NULL, &high);
}

static void byte_constant(rig *r, const char *name, int rank, const int64_t *dim)
{
    static uint8_t codes[MOST_BYTES];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    assert_true(n <= MOST_BYTES);
    for (int64_t i = 0; i < n; i++)
        codes[i] = (uint8_t)noise(r);
    constant(r, name, BLI_DT_QUINT8, rank, dim, codes);
}

/* Ranges that a graph may have: about zero, all above it, all below it, next to nothing. */
static void odd_range(rig *r, const char *name)
{
    static const float ends[][2] = {{-1, 1},  {-0.5f, 3}, {0, 6},       {0.2f, 5},
                                    {-4, -1}, {0, 0},     {0.3f, 0.3f}, {-30, 0.01f}};
    const uint32_t k = below(r, below(r, 4) == 0 ? 8 : 3);
    range_constant(r, name, ends[k][0], ends[k][1] * between(r, 0.9f, 1.1f));
}

static void fetch(rig *r, const char *name, int port)
{
    if (r->num_fetches < MOST_FETCHES)
        snprintf(r->fetch[r->num_fetches++], sizeof r->fetch[0], "%.30s:%d", name, port);
}

static void moves_on(rig *r, const char *name)
{
    snprintf(r->codes, sizeof r->codes, "%.30s:0", name);
    snprintf(r->min, sizeof r->min, "%.30s:1", name);
    snprintf(r->max, sizeof r->max, "%.30s:2", name);
    if (below(r, 8) == 0)
        fetch(r, name, (int)below(r, 3));
}

static void int_constant(rig *r, const char *name, int64_t n)
{
    int32_t v[256];
    const uint32_t size = below(r, 8) == 0 ? 0 : 1u << below(r, 16);
    assert_true(n <= 256);
    for (int64_t i = 0; i < n; i++)
        v[i] = size ? (int32_t)below(r, size) - (int32_t)(size / 2) : (int32_t)(noise(r) << 8);
    constant(r, name, BLI_DT_INT32, 1, &n, v);
}

static void cast(rig *r, const char *name, const char *op, const char *input, const char *attr, int dtype)
{
    set(r, add(r, "%s %s %s", name, op, input), attr, bli_tf_value_type(r->store, dtype));
}

/* Brings node `sum`, whose range is in wires min and max, to bytes. */
static void narrow_from(rig *r, const char *sum, const char *min, const char *max)
{
    static const char *const relus[] = {"QuantizedRelu", "QuantizedRelu6"};
    char name[32];
    const int k = r->nodes++;
    snprintf(name, sizeof name, "narrow%d", k);
    if (below(r, 3) > 0) {
        (void)add(r, "range%d RequantizationRange %s:0 %s %s", k, sum, min, max);
        (void)add(r, "%s Requantize %s:0 %s %s range%d:0 range%d:1", name, sum, min, max, k, k);
    } else {
        char given[32];
        snprintf(given, sizeof given, "given%d", k);
        const float size = between(r, 0, 1) < 0.1f ? 0 : between(r, 0.01f, 20);
        range_constant(r, given, -size * between(r, 0, 1), size);
        (void)add(r, "%s Requantize %s:0 %s %s given%d_min given%d_max", name, sum, min, max, k, k);
    }
    if (below(r, 12) == 0)
        fetch(r, sum, 0);
    moves_on(r, name);
    if (below(r, 2) == 0)
        return;
    (void)add(r, "relu%d %s %s:0 %s:1 %s:2", k, relus[below(r, 2)], name, name, name);
    snprintf(name, sizeof name, "relu%d", k);
    moves_on(r, name);
}

static void narrow(rig *r, const char *sum)
{
    char min[40], max[40];
    snprintf(min, sizeof min, "%.30s:1", sum);
    snprintf(max, sizeof max, "%.30s:2", sum);
    narrow_from(r, sum, min, max);
}

/* The sums of a product (of 32 bits, or floats already) times a vector, rounded, as quantize_nodes(per_channel=true)
 * has it; now and then too large, or of other lengths.  As "scaled". */
static void multiply(rig *r, const char *sum, bool floats)
{
    float factors[256];
    const float size = below(r, 8) == 0 ? 0x1p20f : between(r, 0.01f, 40);
    const int64_t n = below(r, 10) == 0 ? 1 : r->channels;
    for (int64_t i = 0; i < n; i++)
        factors[i] = between(r, -0.1f, 1) * size;
    constant(r, "factors", BLI_DT_FLOAT, 1, &n, factors);
    if (!floats) {
        cast(r, "whole", "Bitcast", sum, "type", BLI_DT_INT32);
        cast(r, "real", "Cast", "whole", "DstT", BLI_DT_FLOAT);
    }
    (void)add(r, "times Mul %s factors", floats ? sum : "real");
    (void)add(r, "rounded Round times");
    cast(r, "scaled", "Cast", "rounded", "DstT", BLI_DT_QINT32);
}

/* The same, of a product, with a vector of int32 added to the sums before, which may depend on their range. */
static void lift_and_narrow(rig *r, const char *sum, const char *min, const char *max)
{
    if (below(r, 2) == 0) {
        narrow_from(r, sum, min, max);
        return;
    }
    cast(r, "below", "Bitcast", sum, "type", BLI_DT_INT32);
    int_constant(r, "vector", r->channels);
    const bool depends = below(r, 2) == 0;
    if (depends) {
        cast(r, "size", "Cast", max, "DstT", BLI_DT_INT32);
        (void)add(r, "offset AddV2 vector size");
    }
    (void)add(r, "lifted AddV2 below %s", depends ? "offset" : "vector");
    cast(r, "codes", "Bitcast", "lifted", "type", BLI_DT_QINT32);
    narrow_from(r, "codes", min, max);
}

static void vector_stage(rig *r)
{
    static const char *const ops[] = {"QuantizedBiasAdd", "QuantizedAdd", "QuantizedMul"};
    const uint32_t op = below(r, 3);
    const int k = r->nodes++;
    char with[32], sum[32];
    snprintf(with, sizeof with, "with%d", k);
    snprintf(sum, sizeof sum, "sum%d", k);
    byte_constant(r, with, 1, (const int64_t[]){op > 0 && below(r, 4) == 0 ? 1 : r->channels});
    odd_range(r, with);
    (void)add(r, "%s %s %s %s %s %s %s_min %s_max", sum, ops[op], r->codes, with, r->min, r->max, with, with);
    narrow(r, sum);
}

static int64_t some_channels(rig *r)
{
    static const int64_t usual[] = {8, 16, 24, 32, 64, 96};
    return below(r, 2) ? usual[below(r, 6)] : 1 + (int64_t)below(r, 70);
}

static void product_head(rig *r, bool conv, int64_t depth)
{
    const int64_t units = some_channels(r), kernel = 1 + (int64_t)below(r, 3), other = 1 + (int64_t)below(r, 3),
                  stride = 1 + (int64_t)below(r, 2);
    if (conv)
        byte_constant(r, "w", 4, (const int64_t[]){kernel, other, depth, units});
    else
        byte_constant(r, "w", 2, (const int64_t[]){depth, units});
    odd_range(r, "w");
    bli_tf_node *n = add(r, "product %s %s w %s %s w_min w_max", conv ? "QuantizedConv2D" : "QuantizedMatMul", r->codes,
                         r->min, r->max);
    if (conv) {
        set(r, n, "strides", bli_tf_value_ints(r->store, (const int64_t[]){1, stride, stride, 1}, 4));
        set(r, n, "padding", bli_tf_value_string(r->store, below(r, 2) ? "SAME" : "VALID"));
    }
    r->channels = units;
    if (below(r, 3) > 0) {
        lift_and_narrow(r, "product", "product:1", "product:2");
        return;
    }
    range_constant(r, "range", -30, 30);
    multiply(r, "product", false);
    lift_and_narrow(r, "scaled", below(r, 4) ? "range_min" : "product:1", below(r, 4) ? "range_max" : "product:2");
}

/* As quantize_nodes makes of a DepthwiseConv2dNative. */
static void depthwise_head(rig *r, int64_t channels)
{
    const int64_t kernel = 1 + (int64_t)below(r, 3), other = 1 + (int64_t)below(r, 4),
                  stride = 1 + (int64_t)below(r, 2), dilation = stride == 1 ? 1 + (int64_t)below(r, 2) : 1;
    const float zero = below(r, 10) == 0 ? between(r, -300, 3) : -(float)below(r, 256), low = -4, high = 5;
    static float w[12 * 96];
    for (int64_t i = 0; i < kernel * other * channels; i++)
        w[i] = (float)below(r, 511) - 255;
    if (below(r, 12) == 0)
        w[below(r, (uint32_t)(kernel * other * channels))] = below(r, 2) ? 0.5f : 3e6f;
    constant(r, "w", BLI_DT_FLOAT, 4, (const int64_t[]){kernel, other, channels, 1}, w);
    constant(r, "zero", BLI_DT_FLOAT, 0, NULL, &zero);
    constant(r, "low", BLI_DT_FLOAT, 0, NULL, &low);
    constant(r, "high", BLI_DT_FLOAT, 0, NULL, &high);
    cast(r, "floats", "Cast", r->codes, "DstT", BLI_DT_FLOAT);
    (void)add(r, "centred AddV2 floats zero");
    bli_tf_node *n = add(r, "sums DepthwiseConv2dNative centred w");
    set(r, n, "strides", bli_tf_value_ints(r->store, (const int64_t[]){1, stride, stride, 1}, 4));
    set(r, n, "dilations", bli_tf_value_ints(r->store, (const int64_t[]){1, dilation, dilation, 1}, 4));
    set(r, n, "padding", bli_tf_value_string(r->store, below(r, 3) ? "SAME" : "VALID"));
    if (below(r, 2)) {
        multiply(r, "sums", true);
        lift_and_narrow(r, "scaled", "low", "high");
    } else {
        cast(r, "wide", "Cast", "sums", "DstT", BLI_DT_QINT32);
        lift_and_narrow(r, "wide", "low", "high");
    }
}

static void floats_head(rig *r)
{
    const int32_t flat = -1, axis = 0;
    (void)add(r, "f Placeholder");
    set(r, r->g->nodes[r->g->num_nodes - 1], "dtype", bli_tf_value_type(r->store, BLI_DT_FLOAT));
    constant(r, "flat_dims", BLI_DT_INT32, 1, (const int64_t[]){1}, &flat);
    constant(r, "axis", BLI_DT_INT32, 1, (const int64_t[]){1}, &axis);
    (void)add(r, "flat Reshape f flat_dims");
    (void)add(r, "least Min flat axis");
    (void)add(r, "most Max flat axis");
    bli_tf_node *n = add(r, "quantized QuantizeV2 f least most");
    set(r, n, "T", bli_tf_value_type(r->store, BLI_DT_QUINT8));
    set(r, n, "mode", bli_tf_value_string(r->store, "MIN_FIRST"));
    moves_on(r, "quantized");
}

static void bytes_head(rig *r)
{
    (void)add(r, "x Placeholder");
    set(r, r->g->nodes[r->g->num_nodes - 1], "dtype", bli_tf_value_type(r->store, BLI_DT_QUINT8));
    odd_range(r, "x");
    snprintf(r->codes, sizeof r->codes, "x");
    snprintf(r->min, sizeof r->min, "x_min");
    snprintf(r->max, sizeof r->max, "x_max");
}

/* ---- both ways ----------------------------------------------------------------------------------------------- */
static bl_status run_once(const rig *r, bli_tf_session *s, const bli_tf_feed *feed, bli_tf_array *out)
{
    const char *names[MOST_FETCHES];
    for (int i = 0; i < r->num_fetches; i++)
        names[i] = r->fetch[i];
    return bli_tf_session_run(s, feed, 1, names, (size_t)r->num_fetches, out);
}

static void release(const rig *r, bli_tf_array *out)
{
    for (int i = 0; i < r->num_fetches; i++)
        bli_tf_array_release(&out[i]);
}

/* Joined chains keep much between runs: of a picture of another size, and of the same. */
static bl_status run(const rig *r, bool plain, const bli_tf_feed *feed, bli_tf_array *out)
{
    bli_tf_feed other = *feed;
    bli_tf_session *s;
    bl_status status = bli_tf_session_create(r->g, &(bli_tf_session_options){.plain = plain}, &s);
    if (other.value.shape.rank == 4)
        other.value.shape.dim[2]--;
    if (status == BL_OK && !plain) {
        if (run_once(r, s, &other, out) == BL_OK)
            release(r, out);
        if (run_once(r, s, feed, out) == BL_OK)
            release(r, out);
    }
    if (status == BL_OK)
        status = run_once(r, s, feed, out);
    bli_tf_session_destroy(s);
    return status;
}

static void same(const rig *r, const char *what, const bli_tf_array *a, const bli_tf_array *b)
{
    const size_t bytes = bli_tf_array_bytes(b), element = b->dtype ? bli_tf_dtype_size(b->dtype) : 1;
    assert_true(bl_shape_equal(&a->shape, &b->shape));
    assert_int_equal(bli_tf_array_bytes(a), bytes);
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)a->data)[i] != ((const uint8_t *)b->data)[i]) {
            char shape[128];
            bl_shape_print(&a->shape, shape, sizeof shape);
            print_error("%s, shape %s: element %zu differs; joined byte %d, single %d (graph of %zu nodes)\n", what,
                        shape, i / element, ((const uint8_t *)a->data)[i], ((const uint8_t *)b->data)[i],
                        r->g->num_nodes);
            fail();
        }
}

static void compare(const rig *r, uint32_t seed, const bli_tf_feed *feed)
{
    static const char *const sets[] = {"generic", "avx2", "avx512", "amx"};
    bli_tf_array want[MOST_FETCHES], got[MOST_FETCHES];
    unsetenv("BITLATHE_ISA");
    const bl_status expected = run(r, true, feed, want);
    for (size_t k = 0; k < BLI_COUNT(sets); k++) {
        char what[128];
        setenv("BITLATHE_ISA", sets[k], 1);
        const bl_status status = run(r, false, feed, got);
        if (status != expected)
            print_error("seed %u, %s: %s, single nodes %s: %s\n", seed, sets[k], bl_status_name(status),
                        bl_status_name(expected), bl_context_message(r->ctx));
        assert_int_equal(status, expected);
        for (int i = 0; status == BL_OK && i < r->num_fetches; i++) {
            snprintf(what, sizeof what, "seed %u, %s, %s", seed, sets[k], r->fetch[i]);
            same(r, what, &got[i], &want[i]);
            bli_tf_array_release(&got[i]);
        }
    }
    for (int i = 0; expected == BL_OK && i < r->num_fetches; i++)
        bli_tf_array_release(&want[i]);
    unsetenv("BITLATHE_ISA");
}

static void random_graph(uint32_t seed)
{
    static uint8_t bytes[MOST_BYTES];
    static float floats[MOST_BYTES];
    rig r;
    rig_make(&r, seed);
    const uint32_t head = seed % 5, few = below(&r, 12);
    const int64_t batch = few == 0 ? 0 : few < 5 ? 3 : 1, depth = some_channels(&r);
    const bool flat = head == 3 || (head < 2 && below(&r, 4) == 0);
    const bl_shape shape =
        flat ? (bl_shape){2, {batch * 5, depth}} : (bl_shape){4, {batch, 2 + below(&r, 9), 2 + below(&r, 9), depth}};
    r.channels = depth;
    (head == 1 ? floats_head : bytes_head)(&r);
    if (head == 4)
        depthwise_head(&r, depth);
    else if (head >= 2)
        product_head(&r, head == 2, depth);
    for (uint32_t k = below(&r, 5) + (head == 0); k > 0; k--)
        vector_stage(&r);
    char end[40];
    snprintf(end, sizeof end, "%.*s", (int)strcspn(r.codes, ":"), r.codes);
    for (int port = 0; port < 3; port++)
        fetch(&r, end, port);
    const int64_t n = bl_shape_count(&shape);
    assert_true(n <= MOST_BYTES);
    for (int64_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)noise(&r);
        floats[i] = seed % 20 == 1 ? 0 : between(&r, -3, 5);
    }
    const bli_tf_feed feed = {
        head == 1 ? "f" : "x",
        {head == 1 ? BLI_DT_FLOAT : BLI_DT_QUINT8, shape, head == 1 ? (void *)floats : bytes, NULL}};
    compare(&r, seed, &feed);
    rig_free(&r);
}

static void joined_chains_have_the_bits_of_single_nodes(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= GRAPHS; seed++)
        random_graph(seed);
}

/* ---- the shared graphs --------------------------------------------------------------------------------------- */
#define DEPLOY "remove_nodes(op=Identity, op=CheckNumerics) fold_constants(ignore_errors=true) fold_batch_norms "
#define EIGHT  DEPLOY "fold_old_batch_norms quantize_weights quantize_nodes strip_unused_nodes"

static const struct {
    const char *file, *input, *output, *transforms;
    bool compat;
    bl_shape shape;
} shared[] = {
    {"mnist_mlp_eightbit/graph.pb", "x", "OuputLayer/logits", NULL, false, {2, {3, 784}}},
    {"jet_3layer/graph.pb", "input_1", "output_softmax/BiasAdd", EIGHT, true, {2, {5, 16}}},
    {"jet_3layer/graph.pb", "input_1", "output_softmax/BiasAdd", EIGHT, false, {2, {5, 16}}},
    {"mobilenet_v1_025_128/frozen_graph.pb",
     "input",
     "MobilenetV1/Logits/SpatialSqueeze",
     "strip_unused_nodes(type=float, shape=\"1,128,128,3\") " EIGHT,
     true,
     {4, {1, 128, 128, 3}}},
    {"mobilenet_v1_025_128/frozen_graph.pb",
     "input",
     "MobilenetV1/Logits/SpatialSqueeze",
     "strip_unused_nodes(type=float, shape=\"1,128,128,3\") " EIGHT,
     false,
     {4, {1, 128, 128, 3}}},
};

static void shared_graph(size_t i, const char *path)
{
    static float x[128 * 128 * 3];
    static const char *const sets[] = {"generic", "amx"};
    rig r = {.state = (uint32_t)i + 1};
    bl_graphdef *g;
    bli_tf_array want[MOST_FETCHES], got[MOST_FETCHES];
    assert_int_equal(bl_context_create(NULL, &r.ctx), BL_OK);
    assert_ok(r.ctx, bl_graphdef_read(r.ctx, path, &g));
    const bl_tf_options options = {shared[i].input, shared[i].output, shared[i].compat};
    if (shared[i].transforms)
        assert_ok(r.ctx, bl_tf_transform(g, shared[i].transforms, &options));
    r.g = g->graph;
    fetch(&r, shared[i].output, 0);
    snprintf(r.fetch[0], sizeof r.fetch[0], "%s", shared[i].output);
    for (int64_t k = 0; k < bl_shape_count(&shared[i].shape); k++)
        x[k] = between(&r, -1, 1);
    const bli_tf_feed feed = {shared[i].input, {BLI_DT_FLOAT, shared[i].shape, x, NULL}};
    for (size_t k = 0; k < BLI_COUNT(sets); k++) {
        setenv("BITLATHE_ISA", sets[k], 1); /* floats in between have the bits of their set */
        assert_ok(r.ctx, run(&r, true, &feed, want));
        assert_ok(r.ctx, run(&r, false, &feed, got));
        same(&r, shared[i].file, &got[0], &want[0]);
        release(&r, want);
        release(&r, got);
    }
    unsetenv("BITLATHE_ISA");
    bl_graphdef_destroy(g);
    bl_context_destroy(r.ctx);
}

static void shared_graphs_have_the_bits_of_single_nodes(void **state)
{
    (void)state;
    const char *source = getenv("BITLATHE_SOURCE");
    char path[4096];
    for (size_t i = 0; i < BLI_COUNT(shared); i++) {
        snprintf(path, sizeof path, "%s/../shared/data/tf_pb/%s", source ? source : "..", shared[i].file);
        FILE *f = fopen(path, "rb");
        if (!f) {
            print_message("SKIPPED: no shared data\n");
            skip();
        }
        fclose(f);
        shared_graph(i, path);
    }
}

/* The number whose product with odd x is 1, modulo 2^64. */
static uint64_t inverse(uint64_t x)
{
    uint64_t y = x;
    for (int i = 0; i < 6; i++)
        y *= 2 - x * y;
    return y;
}

/* Sums whose requantized value is a hair below or above a whole number. */
static void narrowing_floors_as_it_is_defined(void **state)
{
    (void)state;
    rig r = {.state = 5};
    const bli_tf_loops *tables[] = {bli_tf_loops_get(BLI_ISA_GENERIC), bli_tf_loops_get(bli_cpu_isa())};
    for (int i = 0; i < 20000; i++) {
        const int32_t sum = 1 + 2 * (int32_t)below(&r, 1u << (4 + below(&r, 24)));
        const uint64_t hair = below(&r, 5) - 2ull, mask = (1ull << 48) - 1;
        const bli_requantizer q = {
            .factor = (int64_t)((hair * inverse((uint64_t)sum)) & mask),
            .offset = (int64_t)below(&r, 200) * 65536 -
                      (int64_t)(((uint64_t)sum * ((hair * inverse((uint64_t)sum)) & mask)) >> 48) * 65536};
        const int32_t sums[3] = {sum, sum - 1, 1 - sum};
        if (!bli_requantizer_narrow(&q, -sum, sum))
            continue;
        for (size_t t = 0; t < BLI_COUNT(tables); t++) {
            uint8_t got[3];
            tables[t]->narrow(&q, sums, 3, 0, 255, got);
            for (int k = 0; k < 3; k++)
                if (got[k] != bli_requantize_one(&q, sums[k]))
                    fail_msg("sum %d, factor %lld, offset %lld: %d, expected %d", sums[k], (long long)q.factor,
                             (long long)q.offset, got[k], bli_requantize_one(&q, sums[k]));
        }
    }
}

/* As TensorFlow 2.21 requantizes codes that floats do not hold (whole codes would give the byte beside). */
static const struct {
    float from[2], to[2];
    int32_t codes[5];
    uint8_t bytes[5];
} beyond_floats[] = {
    {{-3000, 3000}, {-1, 2.5f}, {-1930161817, -1288121785, 1932483344, 1931422258, 644424040}, {229, 40, 153, 45, 127}},
    {{-100, 100}, {-6, 6}, {-39412642, 28296255, 0, INT32_MAX, INT32_MIN}, {89, 156, 128, 255, 0}},
    {{-500.5f, 500.5f},
     {-.5f, .7f},
     {1321331595, 1322119083, -1320715722, -1322209910, 1322502712},
     {10, 49, 232, 158, 68}},
};

static void codes_go_through_floats(void **state)
{
    const bli_isa sets[] = {BLI_ISA_GENERIC, BLI_ISA_AVX2, bli_cpu_isa()};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(beyond_floats); i++) {
        const bli_requantizer q = bli_requantizer_make(beyond_floats[i].from, beyond_floats[i].to);
        for (size_t t = 0; t < BLI_COUNT(sets); t++) {
            uint8_t got[5];
            const bli_tf_loops *l = bli_tf_loops_get(sets[t] < bli_cpu_isa() ? sets[t] : bli_cpu_isa());
            l->requantize(&q, beyond_floats[i].codes, 5, got);
            assert_memory_equal(got, beyond_floats[i].bytes, 5);
            if (!bli_requantizer_narrow(&q, INT32_MIN, INT32_MAX))
                continue;
            l->narrow(&q, beyond_floats[i].codes, 5, 0, 255, got);
            assert_memory_equal(got, beyond_floats[i].bytes, 5);
        }
    }
}

/* A chain of each kind, again and again with the same shapes. */
static void runs_that_repeat_allocate_nothing(void **state)
{
    (void)state;
    static uint8_t x[3 * 9 * 9 * 24];
    counting_allocator counter = {.calls = 0};
    const bl_allocator allocator = counting_allocator_of(&counter);
    for (uint32_t seed = 1; seed <= 12; seed++) {
        rig r = {.state = seed, .channels = 24};
        bli_tf_array out[MOST_FETCHES];
        bli_tf_session *s;
        assert_int_equal(bl_context_create(&allocator, &r.ctx), BL_OK);
        assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
        r.g = bli_tf_graph_make(r.store);
        bytes_head(&r);
        if (seed % 2)
            product_head(&r, true, r.channels);
        vector_stage(&r);
        fetch(&r, r.codes, 0);
        r.fetch[r.num_fetches - 1][strcspn(r.codes, ":")] = '\0';
        const bli_tf_feed feed = {"x", {BLI_DT_QUINT8, {4, {1, 9, 9, 24}}, x, NULL}};
        assert_ok(r.ctx, bli_tf_session_create(r.g, NULL, &s));
        long before = 0;
        for (int i = 0; i < 4; i++) {
            before = counter.calls;
            if (run_once(&r, s, &feed, out) == BL_OK)
                release(&r, out);
            else
                before = counter.calls; /* a range that is an error */
        }
        assert_int_equal(counter.calls, before);
        bli_tf_session_destroy(s);
        rig_free(&r);
    }
    assert_int_equal(counter.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrowing_floors_as_it_is_defined),
        cmocka_unit_test(codes_go_through_floats),
        cmocka_unit_test(runs_that_repeat_allocate_nothing),
        cmocka_unit_test(joined_chains_have_the_bits_of_single_nodes),
        cmocka_unit_test(shared_graphs_have_the_bits_of_single_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
