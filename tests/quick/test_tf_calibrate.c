/* test_tf_calibrate.c: ranges frozen on data, and graphs checked against the one that came in.  Length: one test a
 * behaviour. */
#include <math.h>

#include "bitlathe/tensor.h"
#include "support/folder.h"
#include "support/image_files.h"
#include "support/memory.h"
#include "support/test.h"
#include "support/tf_rig.h"
#include "tf/session.h"
#include "tf/spread.h"
#include "tf/transform.h"

/* ---- graphs ------------------------------------------------------------------------------------------------------
 */

static bl_status add(bli_tf_graph *g, const char *op, const char *name, const char *a, const char *b)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(g, op, name, (const char *[]){a, b, NULL}, &n));
    return bli_tg_set_type(g->store, n, "T", BLI_DT_FLOAT);
}

static bl_status add_input(bli_tf_graph *g, int rank, const int64_t *dim)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(g, "Placeholder", "x", NULL, &n));
    BLI_TRY(bli_tg_set_type(g->store, n, "dtype", BLI_DT_FLOAT));
    return bli_tf_node_set(g->store, n, "shape", bli_tf_value_shape(g->store, rank, dim));
}

/* Rows that differ by sign and size, so that ranges are not symmetric. */
static bl_status add_weights(bli_tf_graph *g, const char *name, int64_t rows, int64_t columns)
{
    void *content;
    const int64_t dim[] = {rows, columns};
    BLI_TRY(bli_tg_add_const(g, name, BLI_DT_FLOAT, columns ? 2 : 1, dim, NULL, &content, NULL));
    const int64_t n = columns ? rows * columns : rows;
    for (int64_t i = 0; i < n; i++)
        ((float *)content)[i] = (i % 3 == 2 ? -0.375f : 0.5f) + 0.0625f * (float)i;
    return BL_OK;
}

/* x [?, 4] times w [4, 3], plus b, act, times v [3, 2]: y. */
static bl_status make_net(bli_tf_graph *g, const char *act)
{
    BLI_TRY(add_input(g, 2, (const int64_t[]){-1, 4}));
    BLI_TRY(add_weights(g, "w", 4, 3));
    BLI_TRY(add_weights(g, "b", 3, 0));
    BLI_TRY(add_weights(g, "v", 3, 2));
    BLI_TRY(add(g, "MatMul", "a", "x", "w"));
    BLI_TRY(add(g, "BiasAdd", "c", "a", "b"));
    BLI_TRY(add(g, act, "r", "c", NULL));
    return add(g, "MatMul", "y", "r", "v");
}

enum { SAMPLES = 20 };

/* SAMPLES rows of 4, floats. */
static const char *data(rig *r)
{
    const char *path = temp_path("data.npy");
    float x[SAMPLES][4];
    const bl_tensor t = {BL_F32, {2, {SAMPLES, 4}}, x};
    for (int i = 0; i < SAMPLES; i++)
        for (int k = 0; k < 4; k++)
            x[i][k] = (float)((i * 7 + k * 5) % 23) - 6;
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &t));
    return path;
}

static bl_status run(rig *r, const char *transforms)
{
    const bli_tg_options o = {false, "x", "y"};
    return bli_tg_transform(r->store, &r->g, transforms, &o);
}

static bl_status run_on(rig *r, const char *fmt, const char *path)
{
    char text[1024];
    const char *at = strchr(fmt, '@');
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - fmt), fmt, path, at + 1);
    return run(r, text);
}

static size_t count_of(const rig *r, const char *ops)
{
    size_t n = 0;
    for (size_t i = 0; i < r->g->num_nodes; i++)
        n += bli_tg_op_is(r->g->nodes[i]->op, ops);
    return n;
}

static float value_of(const rig *r, const char *name)
{
    bli_tf_tensor t;
    const bli_tf_node *n = rig_find(r, name);
    if (!n)
        print_error("no node %s\n", name);
    assert_non_null(n);
    assert_ok(r->ctx, bli_tg_const_view(r->store, n, BLI_DT_FLOAT, &t));
    assert_int_equal(t.count, 1);
    return *(const float *)t.data;
}

static const char eight[] = "quantize_weights(minimum_size=1) quantize_nodes strip_unused_nodes ";

/* ---- ranges of values ---------------------------------------------------------------------------------------------
 */

static void spread_over(bli_spread *s, double *bins, const float *x, int64_t n)
{
    bli_spread_start(s);
    s->bins = memset(bins, 0, BLI_SPREAD_BINS * sizeof *bins);
    bli_spread_extremes_of(s, x, n);
    bli_spread_count(s, x, n);
}

/* The range by a method's name. */
static void choose(const bli_spread *s, const char *name, double percentile, float range[2])
{
    for (const bli_spread_method *m = bli_spread_methods; m->name; m++)
        if (strcmp(m->name, name) == 0)
            m->choose(s, percentile, range);
}

static void a_spike_far_out_is_cut_off(void **state)
{
    enum { N = 50000 };
    static const char *const cutting[] = {"percentile", "kl"};
    float *x = malloc(N * sizeof *x), range[2];
    double bins[BLI_SPREAD_BINS];
    bli_spread s;
    (void)state;
    uint32_t u = 1;
    for (int i = 0; i < N; i++) { /* a bell: sums of four */
        x[i] = -0.5f;
        for (int k = 0; k < 4; k++)
            x[i] += (float)((u = u * 1664525 + 1013904223) >> 8) * 0x1p-26f;
    }
    x[N - 1] = 4;
    spread_over(&s, bins, x, N);
    choose(&s, "minmax", 0, range);
    assert_true(range[0] >= -0.5f && range[0] < -0.4f && range[1] == 4);
    for (size_t i = 0; i < BLI_COUNT(cutting); i++) {
        choose(&s, cutting[i], 99.99, range);
        if (!(range[1] < 1 && range[1] > 0.3f && range[0] <= -0.25f))
            print_error("%s: [%g, %g]\n", cutting[i], (double)range[0], (double)range[1]);
        assert_true(range[1] < 1 && range[1] > 0.3f && range[0] <= -0.25f);
    }
    free(x);
}

static void even_values_keep_their_whole_range(void **state)
{
    enum { N = 20480 };
    float x[N], range[2];
    double bins[BLI_SPREAD_BINS];
    bli_spread s;
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)i / (N - 1) * 3 - 1;
    spread_over(&s, bins, x, N);
    for (const bli_spread_method *m = bli_spread_methods; m->name; m++) {
        m->choose(&s, 100, range);
        if (!(fabsf(range[0] + 1) < 0.02f && fabsf(range[1] - 2) < 0.02f))
            print_error("%s: [%g, %g]\n", m->name, (double)range[0], (double)range[1]);
        assert_true(fabsf(range[0] + 1) < 0.02f && fabsf(range[1] - 2) < 0.02f);
    }
}

/* Against every range tried on the values themselves, rounded to 255 steps. */
static void the_least_square_error_is_found(void **state)
{
    enum { N = 5000 };
    float x[N], range[2];
    double bins[BLI_SPREAD_BINS], best = INFINITY, best_high = 0;
    bli_spread s;
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = -logf(1 - ((float)i + 0.5f) / N); /* exponential: a long tail */
    spread_over(&s, bins, x, N);
    choose(&s, "mse", 0, range);
    for (double high = 0.5; high <= (double)s.high; high += 0.05) {
        double error = 0;
        for (int i = 0; i < N; i++) {
            const double v = (double)x[i] < high ? (double)x[i] : high, step = high / 255;
            const double d = round(v / step) * step - (double)x[i];
            error += d * d;
        }
        if (error < best) {
            best = error;
            best_high = high;
        }
    }
    if (fabs((double)range[1] - best_high) > 0.3)
        print_error("mse: %g, every range: %g\n", (double)range[1], best_high);
    assert_true(range[0] == 0 && fabs((double)range[1] - best_high) <= 0.3);
}

static void values_that_are_no_numbers_are_seen(void **state)
{
    bli_spread s;
    const float x[] = {1, NAN, 2};
    (void)state;
    bli_spread_start(&s);
    bli_spread_extremes_of(&s, x, 3);
    assert_true(s.wrong);
}

/* ---- calibrate ---------------------------------------------------------------------------------------------------
 */

/* The same as logging every range and taking the extremes. */
static void on_print(void *user, const char *line)
{
    FILE *f = user;
    fprintf(f, "%s\n", line);
}

static void log_ranges(rig *r, const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    const bli_tf_session_options o = {.on_print = on_print, .user = f};
    bli_tf_session *s;
    bl_tensor x;
    const char *fetch = "y";
    bli_tf_array y;
    assert_ok(r->ctx, bl_npy_read(r->ctx, data(r), &x));
    assert_ok(r->ctx, bli_tf_session_create(r->g, &o, &s));
    for (int i = 0; i < SAMPLES; i++) {
        const bli_tf_feed feed = {"x", {BLI_DT_FLOAT, {2, {1, 4}}, (float *)x.data + 4 * i, NULL}};
        assert_ok(r->ctx, bli_tf_session_run(s, &feed, 1, &fetch, 1, &y));
        bli_tf_array_release(&y);
    }
    bli_tf_session_destroy(s);
    bl_tensor_free(r->ctx, &x);
    fclose(f);
}

static void extremes_are_those_of_logging_and_freezing(void **state)
{
    rig *r = *state;
    const char *log = temp_path("log.txt");
    assert_ok(r->ctx, make_net(r->g, "Tanh"));
    assert_ok(r->ctx, run(r, eight));
    bli_tf_graph *dynamic = r->g;
    assert_ok(r->ctx, run(r, "insert_logging(op=RequantizationRange, show_name=true, message=\"__requant_min_max:\")"));
    log_ranges(r, log);
    r->g = dynamic;
    assert_ok(
        r->ctx,
        run_on(r, "freeze_requantization_ranges(min_max_log_file=\"@\", min_percentile=0, max_percentile=0)", log));
    static const char *const names[] = {"c/eightbit/requant_range/frozen_min", "c/eightbit/requant_range/frozen_max",
                                        "y/eightbit/requant_range/frozen_min", "y/eightbit/requant_range/frozen_max"};
    float want[BLI_COUNT(names)];
    for (size_t i = 0; i < BLI_COUNT(names); i++)
        want[i] = value_of(r, names[i]);
    r->g = dynamic;
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", data(r)));
    assert_true(want[0] < 0 && want[1] > 0);
    for (size_t i = 0; i < BLI_COUNT(names); i++)
        assert_true(value_of(r, names[i]) == want[i]);
}

static void what_found_ranges_goes(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, eight));
    assert_int_not_equal(count_of(r, "Min|Max|Reshape|RequantizationRange"), 0);
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\", method=mse)", data(r)));
    assert_int_equal(count_of(r, "Min|Max|Reshape|RequantizationRange"), 0);
    for (size_t i = 0; i < r->g->num_nodes; i++)
        assert_null(strstr(r->g->nodes[i]->name, "_dims"));
    assert_non_null(strstr(r->log, "ranges, by mse on 20 samples"));
}

/* A second time there is nothing left to find. */
static void a_graph_without_such_ranges_is_refused(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_fails(r->ctx, BL_BAD_MODEL, "comes behind quantize_nodes", run_on(r, "calibrate(images=\"@\")", data(r)));
    assert_ok(r->ctx, run(r, eight));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", data(r)));
    assert_fails(r->ctx, BL_BAD_MODEL, "finds no range", run_on(r, "calibrate(images=\"@\")", data(r)));
}

static void ranges_end_where_a_relu_cuts(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu6"));
    assert_ok(r->ctx, run(r, eight));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", data(r)));
    assert_true(value_of(r, "c/eightbit/requant_range/frozen_min") == 0);
    assert_true(value_of(r, "c/eightbit/requant_range/frozen_max") == 6);
    assert_true(value_of(r, "y/eightbit/requant_range/frozen_max") > 6);
}

/* The values of a constant, to be changed. */
static float *values(const rig *r, const char *name)
{
    bli_tf_tensor t;
    assert_ok(r->ctx, bli_tg_const_view(r->store, rig_find(r, name), BLI_DT_FLOAT, &t));
    return (float *)(uintptr_t)t.data;
}

/* One column of 300 before Relu6, which nobody reads, and small ones: a range over all would leave them no code. */
static void ranges_behind_a_cut_are_found_with_it(void **state)
{
    rig *r = *state;
    char text[1024];
    assert_ok(r->ctx, make_net(r->g, "Relu6"));
    values(r, "b")[0] = 300;
    values(r, "b")[1] = values(r, "b")[2] = 0.0625f;
    values(r, "v")[0] = values(r, "v")[1] = 0;
    for (int i = 0; i < 12; i++)
        values(r, "w")[i] *= 0.01f;
    snprintf(text, sizeof text,
             "quantize_nodes(ignore_op=BiasAdd) strip_unused_nodes calibrate(images=\"%s\") "
             "check(images=\"@\", tolerance=0.05)",
             data(r));
    assert_ok(r->ctx, run_on(r, text, data(r)));
}

static void products_go_to_floats_from_their_32_bits(void **state)
{
    rig *r = *state;
    int dtype;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, "quantize_weights(minimum_size=1, minimum_rank=2) quantize_nodes(ignore_op=BiasAdd) "
                             "strip_unused_nodes"));
    const bli_tf_node *n = rig_find(r, "a");
    assert_non_null(n);
    assert_string_equal(n->op, "Dequantize");
    assert_ok(r->ctx, bli_tf_get_type(r->ctx, n, "T", &dtype));
    assert_int_equal(dtype, BLI_DT_QINT32);
    assert_string_equal(rig_find(r, "b")->op, "Const"); /* a vector stays as it was */
    assert_string_equal(rig_find(r, "c")->op, "BiasAdd");
}

static void fake_quantization_with_ranges_of_the_run_is_frozen(void **state)
{
    rig *r = *state;
    bli_tf_node *n;
    const int32_t dims[] = {0, 1};
    const int64_t two = 2;
    assert_ok(r->ctx, add_input(r->g, 2, (const int64_t[]){-1, 4}));
    assert_ok(r->ctx, bli_tg_add_const(r->g, "dims", BLI_DT_INT32, 1, &two, dims, NULL, NULL));
    assert_ok(r->ctx, add(r->g, "Min", "least", "x", "dims"));
    assert_ok(r->ctx, add(r->g, "Max", "most", "x", "dims"));
    assert_ok(r->ctx,
              bli_tg_add_node(r->g, "FakeQuantWithMinMaxVars", "y", (const char *[]){"x", "least", "most", NULL}, &n));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", data(r)));
    assert_int_equal(r->g->num_nodes, 4);
    assert_true(value_of(r, "y/frozen_min") == -6 && value_of(r, "y/frozen_max") == 16);
}

/* ---- samples -----------------------------------------------------------------------------------------------------
 */

static void bytes_are_brought_to_floats(void **state)
{
    rig *r = *state;
    uint8_t x[2][4] = {{0, 255, 100, 50}, {10, 20, 30, 40}};
    const bl_tensor t = {BL_U8, {2, {2, 4}}, x};
    const char *path = temp_path("bytes.npy");
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &t));
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, eight));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\", mean=127.5, std=127.5)", path));
    assert_true(value_of(r, "a_eightbit/x/quantize/frozen_min") == -1);
    assert_true(value_of(r, "a_eightbit/x/quantize/frozen_max") == 1);
}

static void pictures_take_the_size_of_the_input(void **state)
{
    rig *r = *state;
    uint8_t pixels[8 * 6 * 3];
    const png_recipe recipe = {2, 8, false, -1};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i % 3 == 0 ? 51 : 204);
    put_png(temp_path("one.png"), 8, 6, &recipe, pixels);
    put_png(temp_path("two.png"), 8, 6, &recipe, pixels);
    assert_ok(r->ctx, add_input(r->g, 4, (const int64_t[]){-1, 3, 4, 3}));
    assert_ok(r->ctx, add(r->g, "Relu", "y", "x", NULL));
    assert_ok(r->ctx, run(r, eight));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", temp_path("*.png")));
    assert_true(value_of(r, "y_eightbit/x/quantize/frozen_max") == 204.0f / 255);
    assert_non_null(strstr(r->log, "on 2 samples"));
}

static void pictures_that_cannot_be_read_are_refused(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, add_input(r->g, 4, (const int64_t[]){-1, 3, 4, 3}));
    assert_ok(r->ctx, add(r->g, "Relu", "y", "x", NULL));
    assert_ok(r->ctx, run(r, eight));
    put_file(temp_path("broken.png"), "no picture", 10);
    assert_fails(r->ctx, BL_BAD_FILE, "broken.png: it is neither",
                 run_on(r, "calibrate(images=\"@\")", temp_path("broken.png")));
    assert_fails(r->ctx, BL_NOT_FOUND, "none.jpg", run_on(r, "calibrate(images=\"@\")", temp_path("none.jpg")));
}

static void inputs_of_bytes_get_bytes(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, "quantize_weights(minimum_size=1) quantize_nodes(input_min=-6, input_max=16) "
                             "strip_unused_nodes"));
    assert_ok(r->ctx, run_on(r, "calibrate(images=\"@\")", data(r)));
}

typedef struct refusal {
    bl_status status;
    const char *args, *words;
} refusal;

static void bad_parameters_are_refused(void **state)
{
    static const refusal cases[] = {
        {BL_USAGE, "", "'images' is missing"},
        {BL_BAD_VALUE, "images=\"@\", method=minmx", "unknown method 'minmx' (did you mean 'minmax'?)"},
        {BL_BAD_VALUE, "image=\"@\"", "did you mean 'images'"},
        {BL_NOT_FOUND, "images=\"@.none*\"", "no file is called"},
        {BL_NOT_FOUND, "images=\"@.none.npy\"", ".none.npy"},
        {BL_BAD_VALUE, "images=\"@.none.jpg\"", "known height and width"},
        {BL_USAGE, "images=\"@\", std=0", "no std 0"},
        {BL_USAGE, "images=\"@\", mean=much", "'mean' is 'much'"},
        {BL_USAGE, "images=\"@\", percentile=20", "'percentile' is 20"},
        {BL_BAD_VALUE, "images=\"@\", input=xx", "unknown node 'xx'"},
    };
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, eight));
    char path[512];
    snprintf(path, sizeof path, "%s", data(r));
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        char text[1024];
        snprintf(text, sizeof text, "calibrate(%s)%s", cases[i].args, strchr(cases[i].args, '@') ? "" : " @");
        *strchr(text, '@') = strchr(cases[i].args, '@') ? '@' : '\0';
        if (strchr(text, '@'))
            assert_fails(r->ctx, cases[i].status, cases[i].words, run_on(r, text, path));
        else
            assert_fails(r->ctx, cases[i].status, cases[i].words, run(r, "calibrate"));
    }
}

static void samples_that_do_not_fit_are_refused(void **state)
{
    rig *r = *state;
    float x[15] = {0};
    const bl_tensor wrong = {BL_F32, {2, {3, 5}}, x}, flat = {BL_F32, {1, {15}}, x}, none = {BL_F32, {2, {0, 4}}, x};
    const bl_tensor ints = {BL_I32, {2, {3, 4}}, x};
    const char *path = temp_path("wrong.npy");
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    assert_ok(r->ctx, run(r, eight));
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &wrong));
    assert_fails(r->ctx, BL_BAD_VALUE, "wrong.npy: samples of shape [3, 5]; input 'x' takes [N, 4]",
                 run_on(r, "calibrate(images=\"@\")", path));
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &flat));
    assert_fails(r->ctx, BL_BAD_VALUE, "takes [N, 4]", run_on(r, "calibrate(images=\"@\")", path));
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &none));
    assert_fails(r->ctx, BL_BAD_VALUE, "takes [N, 4]", run_on(r, "calibrate(images=\"@\")", path));
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &ints));
    assert_fails(r->ctx, BL_UNSUPPORTED, "an array of I32", run_on(r, "calibrate(images=\"@\")", path));
    put_file(path, "no array", 8);
    assert_fails(r->ctx, BL_BAD_FILE, "wrong.npy", run_on(r, "calibrate(images=\"@\")", path));
    put_file(temp_path("wrong.png"), "no picture", 10);
    assert_fails(r->ctx, BL_BAD_VALUE, "known height and width",
                 run_on(r, "calibrate(images=\"@\")", temp_path("wrong.png")));
    x[2] = NAN;
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &(bl_tensor){BL_F32, {2, {3, 4}}, x}));
    assert_fails(r->ctx, BL_BAD_VALUE, "wrong.npy: sample 0: node", run_on(r, "calibrate(images=\"@\")", path));
}

/* ---- check -------------------------------------------------------------------------------------------------------
 */

static void a_graph_that_stayed_good_goes_through(void **state)
{
    rig *r = *state;
    char text[1024];
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    snprintf(text, sizeof text, "%s calibrate(images=\"%s\") check(images=\"@\", agreement=1)", eight, data(r));
    assert_ok(r->ctx, run_on(r, text, data(r)));
    assert_non_null(strstr(r->log, "  r (Relu)\n"));
    assert_null(strstr(r->log, "  c (BiasAdd)\n"));
    assert_non_null(strstr(r->log, "  output y\n"));
    assert_non_null(strstr(r->log, "the largest element stayed in 20 of 20"));
}

static void the_same_graph_has_no_error(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    const size_t nodes = r->g->num_nodes;
    assert_ok(r->ctx, run_on(r, "check(images=\"@\", tolerance=0)", data(r)));
    assert_int_equal(r->g->num_nodes, nodes);
    assert_non_null(strstr(r->log, "   0.000e+00  output y\n"));
}

static void a_graph_that_got_worse_is_refused(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, make_net(r->g, "Relu"));
    const bli_tf_graph *was = r->g;
    assert_fails(r->ctx, BL_MISMATCH, "check: output 'y' has an error of",
                 run_on(r, "rename_op(old_op_name=Relu, new_op_name=Tanh) check(images=\"@\")", data(r)));
    assert_ptr_equal(r->g, was);
    assert_fails(r->ctx, BL_MISMATCH, "expected a share of 1",
                 run_on(r, "rename_op(old_op_name=Relu, new_op_name=Neg) check(images=\"@\", tolerance=9, agreement=1)",
                        data(r)));
    assert_fails(r->ctx, BL_USAGE, "'tolerance' is 'little'",
                 run_on(r, "check(images=\"@\", tolerance=little)", data(r)));
    assert_fails(r->ctx, BL_USAGE, "'tolerance' is -1", run_on(r, "check(images=\"@\", tolerance=\"-1\")", data(r)));
    assert_fails(r->ctx, BL_USAGE, "'tolerance' is nan", run_on(r, "check(images=\"@\", tolerance=nan)", data(r)));
    assert_fails(r->ctx, BL_USAGE, "'agreement' is 2", run_on(r, "check(images=\"@\", agreement=2)", data(r)));
    assert_fails(r->ctx, BL_BAD_VALUE, "did you mean 'tolerance'",
                 run_on(r, "check(images=\"@\", tolerence=1)", data(r)));
}

/* ---- memory ------------------------------------------------------------------------------------------------------
 */

static bl_status calibrate_small(bl_context *ctx, void *arg)
{
    const bli_tg_options o = {false, "x", "y"};
    bli_tf_store *s;
    char text[1024];
    snprintf(text, sizeof text, "%s calibrate(images=\"%s\", method=percentile) check(images=\"%s\", tolerance=1)",
             eight, (const char *)arg, (const char *)arg);
    BLI_TRY(bli_tf_store_create(ctx, &s));
    bli_tf_graph *g = bli_tf_graph_make(s);
    bl_status status = g ? make_net(g, "Relu") : BL_NO_MEMORY;
    if (status == BL_OK)
        status = bli_tg_transform(s, &g, text, &o);
    bli_tf_store_destroy(s);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    rig *r = *state;
    char path[512];
    float x[2][4] = {{1, 2, 3, -4}, {0.5f, 6, -7, 8}};
    snprintf(path, sizeof path, "%s", temp_path("two.npy"));
    assert_ok(r->ctx, bl_npy_write(r->ctx, path, &(bl_tensor){BL_F32, {2, {2, 4}}, x}));
    fail_each_allocation(calibrate_small, path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spike_far_out_is_cut_off),
        cmocka_unit_test(even_values_keep_their_whole_range),
        cmocka_unit_test(the_least_square_error_is_found),
        cmocka_unit_test(values_that_are_no_numbers_are_seen),
        TEST(extremes_are_those_of_logging_and_freezing),
        TEST(what_found_ranges_goes),
        TEST(a_graph_without_such_ranges_is_refused),
        TEST(ranges_end_where_a_relu_cuts),
        TEST(ranges_behind_a_cut_are_found_with_it),
        TEST(products_go_to_floats_from_their_32_bits),
        TEST(fake_quantization_with_ranges_of_the_run_is_frozen),
        TEST(bytes_are_brought_to_floats),
        TEST(pictures_take_the_size_of_the_input),
        TEST(pictures_that_cannot_be_read_are_refused),
        TEST(inputs_of_bytes_get_bytes),
        TEST(bad_parameters_are_refused),
        TEST(samples_that_do_not_fit_are_refused),
        TEST(a_graph_that_stayed_good_goes_through),
        TEST(the_same_graph_has_no_error),
        TEST(a_graph_that_got_worse_is_refused),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
