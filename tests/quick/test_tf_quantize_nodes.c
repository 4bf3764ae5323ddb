/* test_tf_quantize_nodes.c: what quantize_nodes makes of operators beyond the original's, and what it leaves alone.
 * (What comes out of such graphs: tests/check/test_tf_nodes.py.) */
#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/transform.h"

/* ---- graphs in lines ----------------------------------------------------------------------------------------------
 */

/* Words behind the inputs: "nchw", "train", "keep", "long" (axes of 64 bits), "uneven" (strides), "dilated", "valid".
 */
static bl_status set_words(const rig *r, bli_tf_node *n, const char *words)
{
    static const int64_t ones[4] = {1, 1, 1, 1}, some[4] = {1, 1, 2, 2}, uneven[4] = {1, 2, 1, 1},
                         dilated[4] = {1, 2, 2, 1};
    bli_tf_store *s = r->store;
    const bool nchw = strstr(words, "nchw") != NULL;
    BLI_TRY(bli_tg_set_type(s, n, strcmp(n->op, "Placeholder") == 0 ? "dtype" : "T", BLI_DT_FLOAT));
    if (nchw)
        BLI_TRY(bli_tf_node_set(s, n, "data_format", bli_tf_value_string(s, "NCHW")));
    if (strstr(words, "long"))
        BLI_TRY(bli_tg_set_type(s, n, "Tidx", BLI_DT_INT64));
    if (bli_tg_op_is(n->op, "FusedBatchNormV3"))
        BLI_TRY(bli_tg_set_type(s, n, "U", BLI_DT_FLOAT));
    BLI_TRY(bli_tf_node_set(s, n, "is_training", bli_tf_value_bool(s, strstr(words, "train"))));
    BLI_TRY(bli_tf_node_set(s, n, "keep_dims", bli_tf_value_bool(s, strstr(words, "keep"))));
    if (bli_tg_op_is(n->op, "ConcatV2"))
        BLI_TRY(bli_tf_node_set(s, n, "N", bli_tf_value_int(s, 2)));
    if (!bli_tg_op_is(n->op, "Conv2D|DepthwiseConv2dNative|MaxPool"))
        return BL_OK;
    const bool valid = strstr(words, "valid") != NULL;
    BLI_TRY(bli_tf_node_set(s, n, "padding", bli_tf_value_string(s, valid ? "VALID" : "SAME")));
    if (strstr(words, "dilated"))
        BLI_TRY(bli_tf_node_set(s, n, "dilations", bli_tf_value_ints(s, dilated, 4)));
    if (strstr(words, "uneven"))
        return bli_tf_node_set(s, n, "strides", bli_tf_value_ints(s, uneven, 4));
    BLI_TRY(bli_tf_node_set(s, n, "ksize", bli_tf_value_ints(s, nchw ? some : ones, 4)));
    return bli_tf_node_set(s, n, "strides", bli_tf_value_ints(s, nchw && n->op[0] == 'M' ? some : ones, 4));
}

/* "name Op input input ... | words", or "name = type rank sizes" for a constant of zeros and ones. */
static bl_status add_constant(const rig *r, const char *name, char **save)
{
    const bool whole = strcmp(strtok_r(NULL, " ", save), "int") == 0;
    const int rank = atoi(strtok_r(NULL, " ", save));
    int64_t dim[4] = {0};
    size_t count = 1;
    void *content;
    char *copy = bli_tf_text(r->store, "%s", name);
    for (int i = 0; i < rank; i++)
        count *= (size_t)(dim[i] = atoi(strtok_r(NULL, " ", save)));
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_const(r->g, copy, whole ? BLI_DT_INT32 : BLI_DT_FLOAT, rank, dim, NULL, &content, NULL));
    for (size_t i = 0; i < count; i++)
        if (whole)
            ((int32_t *)content)[i] = atoi(*save ? *save : "0");
        else
            ((float *)content)[i] = (float)(i % 3) - 1;
    return BL_OK;
}

static bl_status add_line(const rig *r, const char *line)
{
    char text[256], *save = NULL, *words;
    bli_tf_node *n;
    snprintf(text, sizeof text, "%s", line);
    words = strchr(text, '|');
    if (words)
        *words++ = '\0';
    const char *name = strtok_r(text, " ", &save), *op = strtok_r(NULL, " ", &save);
    if (strcmp(op, "=") == 0)
        return add_constant(r, name, &save);
    name = bli_tf_text(r->store, "%s", name);
    op = bli_tf_text(r->store, "%s", op);
    if (!name || !op)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(r->g, op, name, NULL, &n));
    for (const char *input; (input = strtok_r(NULL, " ", &save));)
        BLI_TRY(bli_tf_node_add_input(r->store, n, bli_tf_text(r->store, "%s", input)));
    return set_words(r, n, words ? words : "");
}

static bl_status transform(rig *r, const char *const *lines, const char *transforms, const char *outputs)
{
    const bli_tg_options o = {false, "x", outputs};
    for (; *lines; lines++)
        BLI_TRY(add_line(r, *lines));
    return bli_tg_transform(r->store, &r->g, transforms, &o);
}

static void assert_op(const rig *r, const char *name, const char *op)
{
    const bli_tf_node *n = rig_find(r, name);
    if (!n || strcmp(n->op, op) != 0)
        print_error("node %s is %s, expected %s\n", name, n ? n->op : "not there", op);
    assert_non_null(n);
    assert_string_equal(n->op, op);
}

static void assert_input(const rig *r, const char *name, size_t k, const char *input)
{
    const bli_tf_node *n = rig_find(r, name);
    assert_non_null(n);
    assert_true(k < n->num_inputs);
    assert_string_equal(n->inputs[k], input);
}

/* Lines, then pairs of names and the operators that they have afterwards. */
static void expect(const char *const *lines, const char *outputs, const char *const *after)
{
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    assert_ok(r.ctx, transform(&r, lines, "quantize_nodes strip_unused_nodes", outputs));
    for (; *after; after += 2)
        assert_op(&r, after[0], after[1]);
    tf_rig_close(&r);
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- tests --------------------------------------------------------------------------------------------------------
 */

static void operators_get_standard_ones_on_codes(void **state)
{
    (void)state;
    expect(LINES("x Placeholder", "a = float 1 4", "y Sub x a"), "y",
           LINES("y/eightbit/sum", "QuantizedAdd", "y/eightbit/negated/turned", "BitwiseXor", "y", "Dequantize"));
    expect(LINES("x Placeholder", "p = int 2 4 2", "y Pad x p"), "y",
           LINES("y/eightbit/codes", "PadV2", "y", "Dequantize"));
    expect(LINES("x Placeholder", "y LeakyRelu x"), "y", LINES("y/eightbit/codes", "GatherV2", "y", "Dequantize"));
    expect(LINES("x Placeholder", "a = int 1 1", "y Mean x a"), "y",
           LINES("y/eightbit/sum", "Sum", "y/eightbit/requantize", "Requantize"));
    expect(LINES("x Placeholder", "p = float 1 4", "y FusedBatchNormV3 x p p p p"), "y",
           LINES("y/eightbit/products", "Mul", "y/eightbit/requantize", "Requantize"));
}

static void convolutions_that_the_kernel_does_not_know_go_another_way(void **state)
{
    (void)state;
    expect(LINES("x Placeholder", "w = float 4 3 3 3 2", "y Conv2D x w | uneven valid"), "y",
           LINES("y/eightbit", "QuantizedConv2D", "y/eightbit/back/moved", "StridedSlice", "y", "Dequantize"));
    expect(LINES("x = float 4 1 8 8 3", "w = float 4 3 3 3 2", "y Conv2D x w | dilated"), "y",
           LINES("y/eightbit/front/around", "PadV2", "y/eightbit/front/pictures", "SpaceToBatchND",
                 "y/eightbit/back/moved", "BatchToSpaceND", "y", "Dequantize"));
}

static void what_has_no_construction_stays_float(void **state)
{
    (void)state;
    expect(LINES("x Placeholder", "p = float 1 4", "y FusedBatchNorm x p p p p | train"), "y",
           LINES("y", "FusedBatchNorm"));
    expect(LINES("x Placeholder", "p = float 1 4", "n FusedBatchNorm x p p p p", "y Relu n:1"), "y",
           LINES("n", "FusedBatchNorm"));
    expect(LINES("x Placeholder", "p = float 1 4", "n FusedBatchNorm x p p p p", "y Relu n"), "y,n:2",
           LINES("n", "FusedBatchNorm"));
    expect(LINES("x Placeholder", "a Placeholder", "y Mean x a | long"), "y", LINES("y", "Mean"));
    expect(LINES("a = float 2 3 1", "x = float 2 3 3", "y Sub x a"), "y", LINES("y", "Sub"));
    expect(LINES("x Placeholder", "w Placeholder", "y DepthwiseConv2dNative x w"), "y",
           LINES("y", "DepthwiseConv2dNative"));
    expect(LINES("x Placeholder", "w = float 4 3 3 3 2", "y Conv2D x w | dilated"), "y", LINES("y", "Conv2D"));
    expect(LINES("x Placeholder", "w = float 4 3 3 3 2", "y Conv2D x w | uneven"), "y", LINES("y", "Conv2D"));
    expect(LINES("x = float 4 1 8 8 3", "w = float 4 3 3 3 2", "y Conv2D x w | dilated uneven"), "y",
           LINES("y", "Conv2D"));
    expect(LINES("x = float 3 2 3 4", "w = float 3 2 4 3", "y BatchMatMulV2 x w"), "y", LINES("y", "BatchMatMulV2"));
    expect(LINES("x Placeholder", "a = int 1 2", "s Softmax x", "y Transpose s a"), "y", LINES("y", "Transpose"));
}

#define CONV "x Placeholder", "w = float 4 1 1 3 2", "v = float 1 2", "c Conv2D x w"

static void vectors_join_the_products_that_nobody_else_reads(void **state)
{
    (void)state;
    static const char *const ops[] = {"BiasAdd c v", "Add c v", "AddV2 c v", "Add v c"};
    for (size_t i = 0; i < BLI_COUNT(ops); i++) {
        rig r;
        char sum[32];
        snprintf(sum, sizeof sum, "y %s", ops[i]);
        assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
        assert_ok(r.ctx, transform(&r, LINES(CONV, sum), "quantize_nodes", "y"));
        assert_input(&r, "y/eightbit/below", 0, "c/eightbit:0");
        assert_input(&r, "y/eightbit/offset_steps", 0, "v");
        assert_input(&r, "y/eightbit/requantize", 0, "y/eightbit/codes");
        assert_null(rig_find(&r, "c"));
        tf_rig_close(&r);
    }
    expect(LINES(CONV, "b BiasAdd c v", "y Add b c"), "y",
           LINES("c/eightbit/requantize", "Requantize", "b/eightbit", "QuantizedAdd"));
    expect(LINES(CONV, "y BiasAdd c v"), "y,c", LINES("c", "Dequantize", "y/eightbit", "QuantizedAdd"));
    expect(LINES(CONV, "u = float 1 1", "y Add c u"), "y", LINES("y/eightbit", "QuantizedAdd"));
    expect(LINES(CONV, "y BiasAdd c v ^c"), "y", LINES("y/eightbit", "QuantizedAdd"));
}

static void operators_that_are_to_stay_float_do(void **state)
{
    rig r;
    (void)state;
    static const char *const kept[] = {"c", "Conv2D", "b", "BiasAdd", "l", "LeakyRelu", "y", "Sub"};
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    assert_ok(r.ctx,
              transform(&r, LINES(CONV, "b BiasAdd c v", "l LeakyRelu b", "y Sub l b"),
                        "quantize_nodes(ignore_op=Conv2D, ignore_op=BiasAdd, ignore_op=LeakyRelu, ignore_op=Sub)",
                        "y"));
    for (size_t i = 0; i < BLI_COUNT(kept); i += 2)
        assert_op(&r, kept[i], kept[i + 1]);
    tf_rig_close(&r);
}

static void codes_wait_for_what_the_node_waited_for(void **state)
{
    rig r;
    (void)state;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    assert_ok(r.ctx, transform(&r, LINES("x Placeholder", "first NoOp", "l LeakyRelu x ^first", "y Relu l"),
                               "quantize_nodes", "y"));
    assert_input(&r, "l/eightbit/codes", 3, "^first");
    tf_rig_close(&r);
}

static void channels_get_ranges_of_their_own(void **state)
{
    rig r;
    (void)state;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    assert_ok(r.ctx,
              transform(&r,
                        LINES(CONV, "b BiasAdd c v", "d = float 4 1 1 2 1", "e DepthwiseConv2dNative b d", "y Relu e"),
                        "quantize_nodes(per_channel=true)", "y"));
    assert_input(&r, "c/eightbit/sums", 1, "c/eightbit/w_codes");
    assert_input(&r, "b/eightbit/below", 0, "c/eightbit/codes");
    assert_input(&r, "e/eightbit/real", 1, "e/eightbit/w/centred");
    assert_input(&r, "e/eightbit/requantize", 0, "e/eightbit/codes");
    tf_rig_close(&r);
}

#define FIRST "x Placeholder", "w = float 4 1 1 3 2", "v = float 1 2", "c Conv2D x w | nchw"

static void channels_come_last(void **state)
{
    rig r;
    const int64_t *strides;
    size_t count;
    (void)state;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    assert_ok(r.ctx, transform(&r, LINES(FIRST, "b BiasAdd c v | nchw", "m MaxPool b | nchw", "y Relu m"),
                               "quantize_nodes", "y"));
    assert_op(&r, "x/to_nhwc", "Transpose");
    assert_input(&r, "y/nhwc/eightbit", 0, "m/nhwc/eightbit:0");
    assert_input(&r, "y/eightbit/bytes", 0, "y/nhwc/eightbit:0");
    assert_null(rig_find(&r, "b"));
    assert_null(rig_find(&r, "m/perm"));
    assert_ok(r.ctx, bli_tf_get_ints(r.ctx, rig_find(&r, "m/nhwc/eightbit"), "strides", &strides, &count));
    assert_true(count == 4 && strides[0] == 1 && strides[1] == 2 && strides[2] == 2 && strides[3] == 1);
    tf_rig_close(&r);
}

static void requested_pictures_keep_their_channels_first(void **state)
{
    (void)state;
    expect(LINES(FIRST, "y Relu c"), "y,c", LINES("c", "Dequantize", "c/eightbit/turned", "Transpose"));
    expect(LINES(FIRST, "p = int 2 4 2", "q Pad c p", "a = int 0", "t ConcatV2 q c a", "y Softmax t"), "y",
           LINES("q/nhwc/eightbit/codes", "PadV2", "t/nhwc/eightbit", "QuantizedConcat", "y", "Softmax"));
    expect(LINES(FIRST, "q = float 1 3", "y Add c q"), "y", LINES("c/eightbit/turned", "Transpose"));
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

static bl_status transform_all(bl_context *ctx, void *user)
{
    (void)user;
    rig r;
    bl_status s = tf_rig_open(ctx, &r);
    if (s == BL_OK)
        s = transform(&r, LINES(FIRST, "b BiasAdd c v | nchw", "p = int 2 4 2", "y Pad b p"), "quantize_nodes", "y");
    tf_rig_close(&r);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fail_each_allocation(transform_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_get_standard_ones_on_codes),
        cmocka_unit_test(convolutions_that_the_kernel_does_not_know_go_another_way),
        cmocka_unit_test(what_has_no_construction_stays_float),
        cmocka_unit_test(vectors_join_the_products_that_nobody_else_reads),
        cmocka_unit_test(channels_get_ranges_of_their_own),
        cmocka_unit_test(operators_that_are_to_stay_float_do),
        cmocka_unit_test(codes_wait_for_what_the_node_waited_for),
        cmocka_unit_test(channels_come_last),
        cmocka_unit_test(requested_pictures_keep_their_channels_first),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
