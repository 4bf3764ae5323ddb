/* test_tf_families.c: whole graphs of each family of frozen graphs against TensorFlow: small ones with random weights
 * (tools/make_tf_family_goldens.py), as TensorFlow froze them; and a list of the operators that the published graphs of
 * each family have, all of which must be known. */
#include "support/test.h"

#include <math.h>

#include "tf/session.h"

/* ---- operators ------------------------------------------------------------------------------------------------ */
static const struct {
    const char *family, *ops;
} families[] = {
    {"Inception v3 of 2015",
     "AvgPool BatchNormWithGlobalNormalization BiasAdd Cast CheckNumerics Concat Const Conv2D DecodeJpeg ExpandDims "
     "Identity MatMul MaxPool Mul Relu Reshape ResizeBilinear Softmax Sub"},
    {"Inception v3 of 2016",
     "Add AvgPool BiasAdd ConcatV2 Const Conv2D Identity MaxPool Mul Placeholder Relu Reshape Rsqrt Softmax Squeeze "
     "Sub"},
    {"Inception v1",
     "AvgPool BiasAdd Concat Const Conv2D LRN MatMul MaxPool Placeholder Relu Reshape Softmax Identity"},
    {"MobileNet v1", "Add AvgPool BiasAdd Const Conv2D DepthwiseConv2dNative FusedBatchNorm Identity Mul Placeholder "
                     "Relu6 Reshape Rsqrt "
                     "Shape Softmax Squeeze Sub FakeQuantWithMinMaxVars"},
    {"MobileNet v2", "Add AvgPool BiasAdd Const Conv2D DepthwiseConv2dNative FusedBatchNorm Identity Mean Placeholder "
                     "Relu6 Reshape Shape "
                     "Softmax Squeeze"},
    {"ResNet v1 and v2", "Add ArgMax BiasAdd Const Conv2D FusedBatchNorm FusedBatchNormV2 Identity MatMul MaxPool Mean "
                         "Pad Placeholder Relu "
                         "Reshape Softmax Squeeze Transpose"},
    {"keywords",
     "Add AudioSpectrogram AvgPool BiasAdd Const Conv2D DecodeWav DepthwiseConv2dNative FusedBatchNorm Identity MatMul "
     "MaxPool Mfcc Mul Placeholder Relu Reshape Rsqrt Softmax Squeeze Sub"},
    {"keywords, LSTM",
     "Add AudioSpectrogram BiasAdd ConcatV2 Const DecodeWav Enter Exit ExpandDims Fill GreaterEqual Identity Less "
     "LogicalAnd LoopCond MatMul Max Maximum Merge Mfcc Min Minimum Mul NextIteration Pack Placeholder Range Reshape "
     "ReverseSequence Select Shape Sigmoid Softmax Split StridedSlice Switch Tanh TensorArrayGatherV3 "
     "TensorArrayReadV3 "
     "TensorArrayScatterV3 TensorArraySizeV3 TensorArrayV3 TensorArrayWriteV3 Transpose Unpack Assert"},
    {"TensorFlow 2, pictures",
     "AddV2 AvgPool BiasAdd Cast ConcatV2 Const Conv2D DepthwiseConv2dNative Elu Exp FusedBatchNormV3 Identity "
     "IdentityN "
     "LeakyRelu LogSoftmax MatMul Max MaxPool Maximum Mean Minimum MirrorPad Mul Neg NoOp Pack Pad PadV2 Placeholder "
     "PlaceholderWithDefault RealDiv Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor Rsqrt Selu Shape Sigmoid "
     "Softmax Softplus Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tanh Tile "
     "Transpose CropAndResize DepthToSpace SpaceToDepth DecodeImage DecodePng DecodeBmp DecodeGif AddN"},
    {"TensorFlow 2, sequences",
     "AddV2 BiasAdd ConcatV2 Const Enter Exit ExpandDims Fill GatherV2 Identity If Less LogicalAnd LoopCond MatMul Max "
     "Maximum Merge Minimum Mul NextIteration NoOp Pack PartitionedCall Placeholder Range Reshape ReverseV2 Select "
     "SelectV2 Shape Sigmoid Softmax Split Squeeze StatefulPartitionedCall StatelessIf StatelessWhile StridedSlice Sub "
     "Switch Tanh TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem "
     "TensorListStack Transpose Unpack While ZerosLike"},
};

static void every_operator_of_every_family_is_known(void **state)
{
    (void)state;
    int missing = 0;
    for (size_t i = 0; i < BLI_COUNT(families); i++) {
        char ops[2048], *save = NULL;
        assert_true(strlen(families[i].ops) < sizeof ops);
        snprintf(ops, sizeof ops, "%s", families[i].ops);
        for (const char *op = strtok_r(ops, " ", &save); op; op = strtok_r(NULL, " ", &save))
            if (!bli_tf_evaluable(op)) {
                print_error("%s: no operator %s\n", families[i].family, op);
                missing++;
            }
    }
    assert_int_equal(missing, 0);
}

/* ---- graphs --------------------------------------------------------------------------------------------------- */
/* The bound in the file grows with the graph; graphs as small as these stay within a few roundings of the largest. */
enum { MOST = 4, ROUNDINGS = 16 };

typedef struct golden {
    bl_context *ctx;
    bli_tf_store *store;
    bli_tf_graph *graph;
    bli_tf_index index;
} golden;

static const bli_tf_node *node(golden *g, const char *kind, size_t i)
{
    char name[64];
    snprintf(name, sizeof name, "golden/%s/%zu", kind, i);
    const size_t at = bli_tf_index_find(&g->index, name, strlen(name));
    return at == SIZE_MAX ? NULL : g->graph->nodes[at];
}

static bli_tf_tensor constant(golden *g, const char *kind, size_t i)
{
    bli_tf_tensor t;
    assert_non_null(node(g, kind, i));
    assert_ok(g->ctx, bli_tf_get_tensor(g->store, node(g, kind, i), "value", &t));
    return t;
}

static bli_tf_array as_array(const bli_tf_tensor *t, bli_tf_bytes *bytes)
{
    bli_tf_array a = {.dtype = t->dtype, .shape = {.rank = t->rank}, .data = (void *)(uintptr_t)t->data};
    for (int d = 0; d < t->rank; d++)
        a.shape.dim[d] = t->dim[d];
    if (t->dtype == BLI_DT_STRING) {
        const ProtobufCBinaryData *s = t->data;
        *bytes = (bli_tf_bytes){s->data, s->len};
        a.data = bytes;
    }
    return a;
}

/* The largest difference as a part of what is allowed. */
static double compare(golden *g, const char *file, size_t k, const bli_tf_array *got)
{
    const bli_tf_tensor want = constant(g, "want", k), error = constant(g, "error", k);
    const float *x = got->data, *y = want.data;
    float largest = 0, most = 0;
    for (size_t i = 0; i < want.count; i++)
        largest = fmaxf(largest, fabsf(y[i]));
    const float limit = fminf(*(const float *)error.data, ROUNDINGS * 0x1p-24f * largest);
    assert_int_equal(got->dtype, BLI_DT_FLOAT);
    assert_int_equal(want.dtype, BLI_DT_FLOAT);
    assert_int_equal(got->shape.rank, want.rank);
    for (int d = 0; d < want.rank; d++)
        assert_int_equal(got->shape.dim[d], want.dim[d]);
    for (size_t i = 0; i < want.count; i++) {
        if (!(fabsf(x[i] - y[i]) <= limit))
            print_error("%s, output %zu, element %zu of %zu: %.9g, TensorFlow has %.9g, %.3g may differ\n", file, k, i,
                        want.count, (double)x[i], (double)y[i], (double)limit);
        assert_true(fabsf(x[i] - y[i]) <= limit);
        most = fmaxf(most, fabsf(x[i] - y[i]));
    }
    return limit > 0 ? (double)(most / limit) : 0;
}

static void run_twice(golden *g, const char *file)
{
    bli_tf_feed feeds[MOST];
    bli_tf_bytes bytes[MOST];
    bli_tf_session *s;
    size_t num_feeds = 0, num_out = 0;
    const char *fetches[MOST];
    for (; node(g, "in", num_feeds); num_feeds++) {
        const bli_tf_tensor t = constant(g, "in", num_feeds);
        feeds[num_feeds].value = as_array(&t, &bytes[num_feeds]);
        assert_ok(g->ctx, bli_tf_get_string(g->ctx, node(g, "feed", num_feeds), "feeds", &feeds[num_feeds].name));
    }
    for (; node(g, "out", num_out); num_out++)
        fetches[num_out] = node(g, "out", num_out)->name;
    assert_true(num_out > 0 && num_out <= MOST && num_feeds <= MOST);
    assert_ok(g->ctx, bli_tf_session_create(g->graph, NULL, &s));
    for (int turn = 0; turn < 2; turn++) {
        bli_tf_array out[MOST];
        assert_ok(g->ctx, bli_tf_session_run(s, feeds, num_feeds, fetches, num_out, out));
        for (size_t k = 0; k < num_out; k++) {
            assert_true(compare(g, file, k, &out[k]) <= 1);
            bli_tf_array_release(&out[k]);
        }
    }
    bli_tf_session_destroy(s);
}

static void run_family(const char *file)
{
    golden g;
    char path[256];
    bli_tf_shapes shapes;
    bli_arena *arena;
    snprintf(path, sizeof path, "golden/tf_families/%s.pb", file);
    assert_ok(NULL, bl_context_create(NULL, &g.ctx));
    assert_ok(g.ctx, bli_tf_store_create(g.ctx, &g.store));
    assert_ok(g.ctx, bli_tf_graph_read(g.store, path, &g.graph));
    assert_ok(g.ctx, bli_tf_index_make(g.graph, &g.index));
    assert_ok(g.ctx, bli_arena_create(g.ctx, &arena));
    assert_ok(g.ctx, bli_tf_infer_graph(g.graph, arena, &shapes));
    run_twice(&g, file);
    bli_arena_destroy(arena);
    bli_tf_index_free(&g.index);
    bli_tf_store_destroy(g.store);
    bl_context_destroy(g.ctx);
}

static void graphs_of_every_family_give_tensorflows_results(void **state)
{
    static const char *const files[] = {
        "inception_v3_2015", "inception_v3_2016", "inception_v1", "mobilenet_v1", "mobilenet_v1_2017", "mobilenet_v2",
        "resnet_v1",         "resnet_v2",         "ds_cnn",       "keras_cnn",    "fused_v3"};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(files); i++)
        run_family(files[i]);
}

static void sequences_and_loops_give_tensorflows_results(void **state)
{
    static const char *const files[] = {"lstm_unrolled", "lstm_loop",        "branches",
                                        "keras_gru",     "keras_lstm_while", "keras_lstm_loop"};
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(files); i++)
        run_family(files[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_of_every_family_is_known),
        cmocka_unit_test(graphs_of_every_family_give_tensorflows_results),
        cmocka_unit_test(sequences_and_loops_give_tensorflows_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
