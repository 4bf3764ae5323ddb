/* test_tf_low_bits.c: weights of few bits: what the graph unpacks is what a plain reader of the bits finds, near the
 * floats, for every number of bits, every layer's channels and every length. (TensorFlow's own values: test_tf_ops.c.)
 */
#include <math.h>

#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/low_bits.h"
#include "tf/session.h"
#include "tf/transform.h"

/* A layer, the shape of its weights, and how those fall into channels: [outer][channels][inner]. */
typedef struct layer {
    const char *op, *transpose;
    int rank;
    int64_t dim[4];
    int channel_rank;
    int64_t channel_dim[4]; /* of the zeros and scales */
    size_t outer, channels, inner;
} layer;

static const layer layers[] = {
    {"Conv2D", NULL, 4, {3, 3, 2, 5}, 1, {5}, 18, 5, 1},
    {"DepthwiseConv2dNative", NULL, 4, {2, 3, 3, 2}, 2, {3, 2}, 6, 6, 1},
    {"Conv2DBackpropInput", NULL, 4, {2, 2, 3, 4}, 2, {3, 1}, 4, 3, 4},
    {"MatMul", NULL, 2, {7, 3}, 1, {3}, 7, 3, 1},
    {"MatMul", "transpose_b", 2, {3, 7}, 2, {3, 1}, 1, 3, 7},
    {"BatchMatMulV2", "adj_y", 3, {2, 3, 7}, 2, {3, 1}, 2, 3, 7},
    {"Neg", NULL, 1, {13}, 0, {0}, 1, 1, 13},
    {"Neg", NULL, 0, {0}, 0, {0}, 1, 1, 1},
    {"Conv2D", NULL, 2, {3, 3}, 0, {0}, 1, 1, 9}, /* no filter: one range for all */
};

static size_t count_of(const layer *l)
{
    return l->outer * l->channels * l->inner;
}

/* The first channel is zero, the second constant, the others of different sizes. */
static void fill(const layer *l, float *w)
{
    uint32_t state = 5;
    for (size_t i = 0; i < count_of(l); i++) {
        const size_t c = i / l->inner % l->channels;
        state = state * 1664525 + 1013904223;
        const float v = (float)(state >> 8) / 0x1p24f - 0.4f;
        w[i] = l->channels == 1 ? v : c == 0 ? 0 : c == 1 ? -0.375f : v * (float)(c * c);
    }
}

static void build(rig *r, const layer *l)
{
    void *w;
    bli_tf_node *n;
    const char *const inputs[] = {"x", "read", NULL};
    assert_ok(r->ctx, bli_tg_add_node(r->g, "Placeholder", "x", NULL, &n));
    assert_ok(r->ctx, bli_tg_set_type(r->store, n, "dtype", BLI_DT_FLOAT));
    assert_ok(r->ctx, bli_tg_add_const(r->g, "w", BLI_DT_FLOAT, l->rank, l->dim, NULL, &w, NULL));
    fill(l, w);
    assert_ok(r->ctx, bli_tg_add_node(r->g, "Identity", "read", (const char *[]){"w", NULL}, &n));
    assert_ok(r->ctx, bli_tg_add_node(r->g, l->op, "y", strcmp(l->op, "Neg") ? inputs : inputs + 1, &n));
    if (l->transpose)
        assert_ok(r->ctx, bli_tf_node_set(r->store, n, l->transpose, bli_tf_value_bool(r->store, true)));
}

static bl_status pack(rig *r, int bits, bool per_channel)
{
    const bli_tg_options o = {false, "x", "y"};
    char *text = bli_tf_text(r->store, "quantize_weights(minimum_size=1, bits=%d, per_channel=%s)", bits,
                             per_channel ? "true" : "false");
    assert_non_null(text);
    return bli_tg_transform(r->store, &r->g, text, &o);
}

static bli_tf_tensor constant(rig *r, const char *name)
{
    bli_tf_tensor t = {.data = NULL};
    for (size_t i = 0; i < r->g->num_nodes; i++)
        if (strcmp(r->g->nodes[i]->name, name) == 0) {
            assert_ok(r->ctx, bli_tg_const_view(r->store, r->g->nodes[i], 0, &t));
            return t;
        }
    fail_msg("no node %s", name);
    return t;
}

/* ---- a plain reader ------------------------------------------------------------------------------------------- */
static unsigned code_at(const uint8_t *bytes, size_t i, int bits)
{
    unsigned code = 0;
    for (int k = 0; k < bits; k++) {
        const size_t bit = i * (size_t)bits + (size_t)k;
        code |= (unsigned)(bytes[bit / 8] >> (bit % 8) & 1) << k;
    }
    return code;
}

static float scale_at(const bli_tf_tensor *t, size_t c)
{
    const uint32_t bits = (uint32_t)((const uint16_t *)t->data)[c] << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void read_weights(rig *r, const layer *l, int bits, bool per_channel, float *w, float *step)
{
    const bli_tf_tensor codes = constant(r, "unpack/0/codes"), zeros = constant(r, "unpack/0/zeros"),
                        scales = constant(r, "unpack/0/scales");
    const size_t count = count_of(l);
    assert_int_equal(scales.rank, per_channel ? l->channel_rank : 0);
    for (int d = 0; d < scales.rank; d++)
        assert_int_equal(scales.dim[d], l->channel_dim[d]);
    assert_true(codes.count * 8 < count * (size_t)bits + 8 * (size_t)bits);
    for (size_t i = 0; i < count; i++) {
        const size_t c = per_channel ? i / l->inner % l->channels : 0;
        const int zero = bits == 8 ? ((const int16_t *)zeros.data)[c] : ((const int8_t *)zeros.data)[c];
        step[i] = scale_at(&scales, c);
        w[i] = (float)((int)code_at(codes.data, i, bits) - zero) * step[i];
    }
}

static void run_graph(rig *r, const layer *l, float *w)
{
    bli_tf_session *s;
    bli_tf_array out;
    const char *fetch = "read";
    assert_ok(r->ctx, bli_tf_session_create(r->g, NULL, &s));
    assert_ok(r->ctx, bli_tf_session_run(s, NULL, 0, &fetch, 1, &out));
    assert_int_equal(out.shape.rank, l->rank);
    for (int d = 0; d < l->rank; d++)
        assert_int_equal(out.shape.dim[d], l->dim[d]);
    memcpy(w, out.data, count_of(l) * sizeof *w);
    bli_tf_array_release(&out);
    bli_tf_session_destroy(s);
}

enum { MOST = 128 };

static void check(const layer *l, int bits, bool per_channel)
{
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    float from[MOST] = {0}, want[MOST], step[MOST], got[MOST];
    build(&r, l);
    fill(l, from);
    assert_ok(r.ctx, pack(&r, bits, per_channel));
    read_weights(&r, l, bits, per_channel, want, step);
    run_graph(&r, l, got);
    assert_memory_equal(got, want, count_of(l) * sizeof *got);
    for (size_t i = 0; i < count_of(l); i++) {
        if (from[i] == 0)
            assert_true(got[i] == 0);
        if (bits >= 7 && !(fabsf(got[i] - from[i]) <= step[i])) /* nothing is cut off but by the rounding of zero */
            fail_msg("%s, %d bits, element %zu: %g became %g, a step is %g", l->op, bits, i, (double)from[i],
                     (double)got[i], (double)step[i]);
    }
    tf_rig_close(&r);
}

static void graphs_unpack_what_the_bits_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(layers); i++)
        for (int bits = 2; bits <= 8; bits++) {
            check(&layers[i], bits, true);
            if (bits < 8) /* else it is TensorFlow's form */
                check(&layers[i], bits, false);
        }
}

static void a_vector_of_any_length_comes_back(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 17; n++)
        for (int bits = 2; bits <= 8; bits++) {
            const layer l = {"Neg", NULL, 1, {n}, 0, {0}, 1, 1, (size_t)n};
            check(&l, bits, true);
        }
}

/* ---- grids ---------------------------------------------------------------------------------------------------- */
static double error_of(const float *row, size_t count, bli_tg_grid g, const uint8_t *codes)
{
    const bli_tf_tensor t = {.data = &g.scale};
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double e = (double)((float)(codes[i] - g.zero) * scale_at(&t, 0)) - (double)row[i];
        sum += e * e;
    }
    return sum;
}

/* Every grid with a scale from a fine ladder, the best one by brute force, is not much better. */
static void few_bits_get_a_good_range(void **state)
{
    (void)state;
    float row[64];
    uint8_t codes[64], other[64];
    for (size_t i = 0; i < 64; i++)
        row[i] = (float)((int)(i * 37 % 64) - 30) * 0.01f + (i == 7 ? 1.5f : 0);
    const bli_tg_grid g = bli_tg_grid_fit(row, 64, 3, false, codes);
    double least = INFINITY;
    for (uint16_t scale = 0x3c00; scale < 0x3f00; scale++)
        for (uint8_t zero = 0; zero < 8; zero++) {
            const bli_tg_grid tried = {scale, zero};
            const bli_tf_tensor t = {.data = &tried.scale};
            for (size_t i = 0; i < 64; i++) {
                const float at = nearbyintf(row[i] / scale_at(&t, 0)) + (float)zero;
                other[i] = (uint8_t)(at < 0 ? 0 : at > 7 ? 7 : at);
            }
            const double e = error_of(row, 64, tried, other);
            least = e < least ? e : least;
        }
    assert_true(error_of(row, 64, g, codes) < 1.15 * least);
}

static void ranges_at_the_ends_of_floats_are_kept_or_refused(void **state)
{
    (void)state;
    const float tiny[2] = {-1e-44f, 3e-39f};
    uint8_t codes[2];
    const bli_tg_grid g = bli_tg_grid_fit(tiny, 2, 4, false, codes);
    assert_int_equal(g.scale, 0x0080); /* the least that is not subnormal */
    assert_int_equal(codes[0], g.zero);
    assert_true(bli_tg_grid_possible(-1e38f, 1e38f, 2, false));
    assert_false(bli_tg_grid_possible(-3e38f, 3e38f, 2, false));
    assert_false(bli_tg_grid_possible(-3.4e38f, 0, 8, false)); /* 255 steps, rounded up, are no float */
    assert_true(bli_tg_grid_possible(-3e38f, 3e38f, 2, true));
    assert_false(bli_tg_grid_possible(-3.4e38f, 0, 2, true));
}

/* One range for all, in TensorFlow's form: zero lies on a code to a rounding of floats, so that no reader takes a
 * neighbour for it, and no weight is farther outside than half a step.  Ends that are near each other in size put it
 * between two codes. */
static void bytes_have_a_code_for_zero(void **state)
{
    (void)state;
    static const char *const forms[] = {"quantize_weights(minimum_size=1)",
                                        "quantize_weights(minimum_size=1, symmetric=true)"};
    static const float ends[][2] = {{-1, 1},      {-0.3f, 0.3f}, {-0.1f, 7}, {-1e-6f, 1},
                                    {-5, 0.001f}, {-1e-44f, 0},  {0, 3},     {-2, 0}};
    for (size_t k = 0; k < 2 * BLI_COUNT(ends); k++) {
        const float *e = ends[k / 2];
        rig r;
        assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
        assert_ok(r.ctx, bli_tg_add_const(r.g, "y", BLI_DT_FLOAT, 1, (int64_t[]){2}, e, NULL, NULL));
        assert_ok(r.ctx, bli_tg_transform(r.store, &r.g, forms[k % 2], &(bli_tg_options){false, "", "y"}));
        const double min = (double)*(const float *)constant(&r, "y_quantized_min").data;
        const double max = (double)*(const float *)constant(&r, "y_quantized_max").data, step = (max - min) / 255;
        const double zero = -min / step, half = step * 0.50001;
        const bool middle = k % 2 == 0 || e[1] - e[0] < 1e-38f || round(zero) == 128;
        if (!(max > min) || !(fabs(zero - round(zero)) < 1e-4) || !(min - half <= (double)e[0]) ||
            !(max + half >= (double)e[1]) || !middle)
            fail_msg("weights from %g to %g: range from %g to %g, zero's code %g", (double)e[0], (double)e[1], min, max,
                     zero);
        tf_rig_close(&r);
    }
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */
static void what_cannot_be_packed_is_refused(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    void *w;
    build(&r, &layers[0]);
    assert_fails(r.ctx, BL_BAD_VALUE, "parameter 'bits' is 9; expected 2 .. 8", pack(&r, 9, true));
    assert_fails(r.ctx, BL_BAD_VALUE, "parameter 'bits' is 1; expected 2 .. 8", pack(&r, 1, false));
    assert_ok(r.ctx, bli_tg_add_const(r.g, "wide", BLI_DT_FLOAT, 1, (int64_t[]){2}, NULL, &w, NULL));
    ((float *)w)[0] = -3e38f;
    ((float *)w)[1] = 3e38f;
    assert_fails(r.ctx, BL_BAD_VALUE, "node 'wide' (Const): channel 0 has values from -3e+38 to 3e+38",
                 pack(&r, 4, true));
    ((float *)w)[1] = NAN;
    assert_fails(r.ctx, BL_BAD_VALUE, "node 'wide' (Const): element 1 is nan; expected finite", pack(&r, 4, true));
    tf_rig_close(&r);
}

static void names_that_are_taken_are_avoided(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    bli_tf_node *n;
    build(&r, &layers[0]);
    assert_ok(r.ctx, bli_tg_add_node(r.g, "NoOp", "unpack/0/codes", NULL, &n));
    assert_ok(r.ctx, bli_tg_add_node(r.g, "NoOp", "unpack_1", NULL, &n));
    assert_ok(r.ctx, pack(&r, 3, true));
    (void)constant(&r, "unpack_2/0/codes");
    tf_rig_close(&r);
}

static void constants_of_a_loop_stay(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    build(&r, &layers[0]);
    assert_ok(r.ctx, bli_tf_node_add_input(r.store, r.g->nodes[1], "^x"));
    assert_ok(r.ctx, pack(&r, 4, true));
    assert_int_equal(constant(&r, "w").dtype, BLI_DT_FLOAT);
    tf_rig_close(&r);
}

/* ---- before and behind quantize_nodes ------------------------------------------------------------------------- */
static void build_conv(rig *r)
{
    static const int64_t ones[4] = {1, 1, 1, 1};
    build(r, &layers[0]);
    bli_tf_node *conv = r->g->nodes[3];
    assert_ok(r->ctx, bli_tg_set_type(r->store, conv, "T", BLI_DT_FLOAT));
    assert_ok(r->ctx, bli_tf_node_set(r->store, conv, "strides", bli_tf_value_ints(r->store, ones, 4)));
    assert_ok(r->ctx, bli_tf_node_set(r->store, conv, "padding", bli_tf_value_string(r->store, "SAME")));
}

static bl_status transform(rig *r, const char *transforms)
{
    const bli_tg_options o = {false, "x", "y"};
    return bli_tg_transform(r->store, &r->g, transforms, &o);
}

static void eight_bit_nodes_read_them_as_floats(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    build_conv(&r);
    assert_ok(r.ctx, pack(&r, 4, false));
    assert_ok(r.ctx, transform(&r, "quantize_nodes"));
    assert_non_null(rig_find(&r, "y/eightbit"));
    assert_null(rig_find(&r, "w/eightbit"));
    assert_string_equal(rig_find(&r, "w")->op, "Mul");
    tf_rig_close(&r);
}

static void eight_bit_nodes_keep_the_range_of_each_channel(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        rig r;
        assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
        build_conv(&r);
        assert_ok(r.ctx, pack(&r, 8, true));
        assert_ok(r.ctx, transform(&r, told ? "quantize_nodes(per_channel=false)" : "quantize_nodes"));
        assert_true((rig_find(&r, "y/eightbit/w_codes") != NULL) == !told);
        tf_rig_close(&r);
    }
}

#define SYMMETRIC "quantize_weights(minimum_size=1, per_channel=true, symmetric=true)"

static void run_codes(rig *r, bli_tf_array *out)
{
    bli_tf_session *s;
    const char *fetch = "y/eightbit/w_codes";
    assert_ok(r->ctx, bli_tf_session_create(r->g, NULL, &s));
    assert_ok(r->ctx, bli_tf_session_run(s, NULL, 0, &fetch, 1, out));
    bli_tf_session_destroy(s);
}

/* What a product of eight bits reads is, code for code, what was packed, whichever transform comes first. */
static void products_take_symmetric_codes_as_they_are(void **state)
{
    (void)state;
    static const char *const orders[] = {
        SYMMETRIC " quantize_nodes",
        "quantize_nodes(per_channel=true) quantize_weights(minimum_size=54, per_channel=true)"};
    for (size_t k = 0; k < BLI_COUNT(orders); k++) {
        rig r;
        assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
        bli_tf_array out;
        build_conv(&r);
        assert_ok(r.ctx, transform(&r, orders[k]));
        const bli_tf_tensor packed = constant(&r, "unpack/0/codes"), scales = constant(&r, "unpack/0/scales");
        assert_int_equal(scales.count, layers[0].channels);
        run_codes(&r, &out);
        assert_int_equal(packed.count, count_of(&layers[0]));
        for (size_t i = 0; i < packed.count; i++)
            assert_int_equal(((const uint8_t *)out.data)[i], ((const uint8_t *)packed.data)[i]);
        bli_tf_array_release(&out);
        tf_rig_close(&r);
    }
}

static void products_take_codes_of_few_bits_as_they_are(void **state)
{
    (void)state;
    for (int bits = 2; bits < 8; bits++) {
        rig r;
        assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
        bli_tf_array out;
        float w[MOST], step[MOST];
        build_conv(&r);
        assert_ok(r.ctx, pack(&r, bits, true));
        read_weights(&r, &layers[0], bits, true, w, step);
        assert_ok(r.ctx, transform(&r, "quantize_nodes"));
        run_codes(&r, &out);
        for (size_t i = 0; i < count_of(&layers[0]); i++)
            assert_int_equal(((const uint8_t *)out.data)[i] - 128, (int)(w[i] / step[i]));
        bli_tf_array_release(&out);
        tf_rig_close(&r);
    }
}

static void ranges_that_are_lost_again_are_refused(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(tf_rig_open(NULL, &r), BL_OK);
    build_conv(&r);
    assert_ok(r.ctx, transform(&r, "quantize_nodes(per_channel=false)"));
    assert_fails(r.ctx, BL_BAD_MODEL,
                 "node 'w' (Const): a range for each channel is lost in 'y_eightbit/read/quantize'",
                 transform(&r, SYMMETRIC));
    tf_rig_close(&r);
}

static void symmetric_codes_end_alike(void **state)
{
    (void)state;
    for (int bits = 2; bits <= 8; bits++) {
        float row[64];
        uint8_t codes[64];
        int least = 0, most = 0;
        for (size_t i = 0; i < 64; i++)
            row[i] = (float)((int)(i * 37 % 64) - 20) * (0.011f + 0.001f * (float)bits);
        const bli_tg_grid g = bli_tg_grid_fit(row, 64, bits, true, codes);
        for (size_t i = 0; i < 64; i++) {
            least = codes[i] - g.zero < least ? codes[i] - g.zero : least;
            most = codes[i] - g.zero > most ? codes[i] - g.zero : most;
        }
        assert_int_equal(g.zero, 1 << (bits - 1));
        assert_int_equal(most, (1 << (bits - 1)) - 1);
        assert_true(least >= -most);
    }
}

/* A session keeps the weights and drops what they were unpacked from. */
static void sessions_keep_nothing_but_the_weights(void **state)
{
    (void)state;
    enum { COUNT = 1 << 16 };
    counting_allocator counts = {0};
    const bl_allocator allocator = counting_allocator_of(&counts);
    rig r;
    void *w;
    bli_tf_session *s;
    bli_tf_array out;
    const char *fetch = "w";
    assert_ok(NULL, bl_context_create(&allocator, &r.ctx));
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    assert_ok(r.ctx, bli_tg_add_const(r.g, "w", BLI_DT_FLOAT, 1, (int64_t[]){COUNT}, NULL, &w, NULL));
    assert_ok(r.ctx, pack(&r, 5, false));
    const size_t before = counts.live_bytes;
    assert_ok(r.ctx, bli_tf_session_create(r.g, NULL, &s));
    assert_ok(r.ctx, bli_tf_session_run(s, NULL, 0, &fetch, 1, &out));
    const size_t kept = counts.live_bytes - before;
    if (kept >= 32 * COUNT) /* of int64 words alone there are five tensors of 8 bytes an element */
        fail_msg("%zu bytes for %d weights", kept, COUNT);
    bli_tf_array_release(&out);
    bli_tf_session_destroy(s);
    tf_rig_close(&r);
}

static bl_status pack_all(bl_context *ctx, void *user)
{
    (void)user;
    bli_tf_store *s;
    bli_tf_node *n;
    const bli_tg_options o = {false, "", ""};
    BLI_TRY(bli_tf_store_create(ctx, &s));
    bli_tf_graph *g = bli_tf_graph_make(s);
    bl_status status = g ? BL_OK : BL_NO_MEMORY;
    const float w[3] = {1, 2, 3};
    if (status == BL_OK)
        status = bli_tg_add_const(g, "w", BLI_DT_FLOAT, 1, (int64_t[]){3}, w, NULL, NULL);
    if (status == BL_OK)
        status = bli_tg_add_node(g, "Conv2D", "c", (const char *[]){"w", "w", NULL}, &n);
    if (status == BL_OK)
        status = bli_tg_transform(s, &g, "quantize_weights(minimum_size=1, bits=3, per_channel=true)", &o);
    bli_tf_store_destroy(s);
    return status;
}

static void a_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(pack_all, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_unpack_what_the_bits_say),
        cmocka_unit_test(a_vector_of_any_length_comes_back),
        cmocka_unit_test(few_bits_get_a_good_range),
        cmocka_unit_test(ranges_at_the_ends_of_floats_are_kept_or_refused),
        cmocka_unit_test(bytes_have_a_code_for_zero),
        cmocka_unit_test(what_cannot_be_packed_is_refused),
        cmocka_unit_test(names_that_are_taken_are_avoided),
        cmocka_unit_test(constants_of_a_loop_stay),
        cmocka_unit_test(eight_bit_nodes_read_them_as_floats),
        cmocka_unit_test(eight_bit_nodes_keep_the_range_of_each_channel),
        cmocka_unit_test(products_take_symmetric_codes_as_they_are),
        cmocka_unit_test(products_take_codes_of_few_bits_as_they_are),
        cmocka_unit_test(ranges_that_are_lost_again_are_refused),
        cmocka_unit_test(symmetric_codes_end_alike),
        cmocka_unit_test(sessions_keep_nothing_but_the_weights),
        cmocka_unit_test(a_lack_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
