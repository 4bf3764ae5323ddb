/* test_data_idx.c: IDX files, plain and packed, read back as they were written; and what is said of bad ones. */
#include <math.h>
#include <zlib.h>

#include "base/cpu.h"
#include "bitlathe/dataset.h"
#include "support/data_files.h"
#include "support/folder.h"
#include "support/memory.h"
#include "support/test.h"
#include "train/data/block.h"

static bl_context *ctx;

static int start(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) == BL_OK ? 0 : -1;
}
static int stop(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

static bl_dataset_options from(const char *source)
{
    return (bl_dataset_options){.source = source};
}

/* ---- writing ------------------------------------------------------------------------------------------------- */
typedef struct set {
    bl_dtype type;
    int64_t rows;
    bl_shape shape;
    bool packed;
    double *values;
    uint8_t *labels;
} set;

static const bl_dtype idx_types[] = {BL_U8, BL_I8, BL_I16, BL_I32, BL_F32, BL_F64};

/* A value that the type holds exactly and float32 too. */
static double random_value(bl_dtype type, uint32_t bits)
{
    switch (type) {
    case BL_U8:
        return (double)(bits & 255);
    case BL_I8:
        return (double)(int8_t)bits;
    case BL_I16:
        return (double)(int16_t)bits;
    case BL_I32:
        return (double)((int32_t)bits >> 8);
    default:
        return (double)((int32_t)bits >> 8) * 0x1p-12;
    }
}

static set random_set(uint32_t *seed, bl_dtype type, bool packed)
{
    set s = {.type = type, .rows = 1 + next_random(seed) % 20, .packed = packed};
    s.shape.rank = (int)(1 + next_random(seed) % 4);
    s.shape.dim[0] = s.rows;
    for (int i = 1; i < s.shape.rank; i++)
        s.shape.dim[i] = 1 + next_random(seed) % 7;
    int64_t count = bl_shape_count(&s.shape);
    s.values = test_malloc((size_t)count * sizeof *s.values);
    s.labels = test_malloc((size_t)s.rows);
    for (int64_t i = 0; i < count; i++)
        s.values[i] = random_value(type, next_random(seed));
    for (int64_t i = 0; i < s.rows; i++)
        s.labels[i] = (uint8_t)(next_random(seed) % 5);
    return s;
}

static void write_set(const set *s, const char *images, const char *labels)
{
    put_idx(images, s->type, &s->shape, s->values, s->packed);
    double *l = test_malloc((size_t)s->rows * sizeof *l);
    for (int64_t i = 0; i < s->rows; i++)
        l[i] = s->labels[i];
    put_idx(labels, BL_U8, &(bl_shape){1, {s->rows}}, l, s->packed);
    test_free(l);
}

static void check_set(const set *s, const bl_dataset *d)
{
    assert_int_equal(bl_dataset_rows(d), s->rows);
    int64_t elements = bl_shape_count(&s->shape) / s->rows;
    assert_int_equal(bl_shape_count(bl_dataset_row_shape(d)), elements);
    uint32_t *rows = test_malloc((size_t)s->rows * sizeof *rows);
    float *x = test_malloc((size_t)(s->rows * elements) * sizeof *x);
    int32_t *y = test_malloc((size_t)s->rows * sizeof *y);
    for (int64_t i = 0; i < s->rows; i++)
        rows[i] = (uint32_t)(s->rows - 1 - i);
    assert_ok(ctx, bl_dataset_read(d, rows, (size_t)s->rows, x, y, NULL));
    for (int64_t i = 0; i < s->rows; i++) {
        assert_int_equal(y[i], s->labels[rows[i]]);
        for (int64_t k = 0; k < elements; k++)
            assert_true((double)x[i * elements + k] == s->values[rows[i] * elements + k]);
    }
    test_free(rows);
    test_free(x);
    test_free(y);
}

static void every_type_comes_back_as_written(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20; round++)
        for (size_t t = 0; t < BLI_COUNT(idx_types); t++)
            for (int mode = 0; mode < 3; mode++) { /* plain, packed, in place */
                set s = random_set(&seed, idx_types[t], mode == 1);
                const char *images = temp_path("r-images-idx"), *labels = temp_path("r-labels-idx");
                write_set(&s, images, labels);
                bl_dataset_options o = from(images);
                o.target = labels;
                o.memory = mode == 2 ? 1 : 0;
                bl_dataset *d = NULL;
                assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
                check_set(&s, d);
                bl_dataset_close(d);
                test_free(s.values);
                test_free(s.labels);
            }
}

static void a_row_wider_than_the_page_buffer_is_read_in_place(void **state)
{
    (void)state;
    enum { ROWS = 3, WIDE = 20001 };
    double *v = test_malloc(sizeof *v * ROWS * WIDE), labels[ROWS] = {0, 1, 2};
    for (int i = 0; i < ROWS * WIDE; i++)
        v[i] = (double)(i % 30011);
    const char *images = temp_path("wide-images"), *classes = temp_path("wide-labels");
    put_idx(images, BL_I16, &(bl_shape){2, {ROWS, WIDE}}, v, false);
    put_idx(classes, BL_I32, &(bl_shape){1, {ROWS}}, labels, false);
    bl_dataset_options o = from(images);
    o.memory = 100;
    bl_dataset *d = NULL;
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    float *x = test_malloc(sizeof *x * 2 * WIDE);
    int32_t y[2];
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){2, 0}, 2, x, y, NULL));
    for (int k = 0; k < WIDE; k++) {
        assert_true((double)x[k] == v[2 * WIDE + k]);
        assert_true((double)x[WIDE + k] == v[k]);
    }
    assert_int_equal(y[0], 2);
    assert_int_equal(y[1], 0);
    bl_dataset_close(d);
    test_free(x);
    test_free(v);
}

/* ---- kernels ------------------------------------------------------------------------------------------------- */
static bli_gather_u8_fn *const kernels[] = {
    bli_gather_u8_generic,
#if defined(__x86_64__)
    bli_gather_u8_avx2,
    bli_gather_u8_avx512,
#endif
};

static void every_kernel_converts_every_byte_alike(void **state)
{
    (void)state;
    enum { ROWS = 9, WIDEST = 150 };
    uint8_t data[ROWS * WIDEST];
    float x[ROWS * WIDEST + 1];
    const uint32_t rows[ROWS] = {8, 0, 3, 3, 7, 1, 2, 6, 5};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t isa = 0; isa <= (size_t)bli_cpu_isa() && isa < BLI_COUNT(kernels); isa++)
        for (size_t width = 1; width <= WIDEST; width++) {
            x[ROWS * width] = 77;
            kernels[isa](data, width, rows, ROWS, &bli_byte_identity, x);
            for (size_t i = 0; i < ROWS * width; i++)
                assert_true(x[i] == (float)data[rows[i / width] * width + i % width]);
            assert_true(x[ROWS * width] == 77);
        }
}

static void every_kernel_maps_every_byte_alike(void **state)
{
    (void)state;
    enum { WIDTH = 256 + 5 };
    uint8_t data[WIDTH];
    float x[WIDTH];
    static bli_byte_map maps[] = {{.linear = true, .scale = 0.1f, .offset = -7.3f}, {.linear = false}};
    for (int b = 0; b < 256; b++)
        maps[1].table[b] = 1 / (float)(b + 1);
    for (size_t i = 0; i < WIDTH; i++)
        data[i] = (uint8_t)i;
    for (size_t isa = 0; isa <= (size_t)bli_cpu_isa() && isa < BLI_COUNT(kernels); isa++)
        for (size_t m = 0; m < BLI_COUNT(maps); m++) {
            kernels[isa](data, WIDTH, &(uint32_t){0}, 1, &maps[m], x);
            for (size_t i = 0; i < WIDTH; i++)
                assert_true(x[i] == (m ? maps[1].table[data[i]] : (float)data[i] * 0.1f + -7.3f));
        }
}

/* ---- folders ------------------------------------------------------------------------------------------------- */
static void put_small_pair(const char *part, bool packed, int classes, int rows)
{
    char images[64], labels[64];
    snprintf(images, sizeof images, "folder/%s-images-idx3-ubyte%s", part, packed ? ".gz" : "");
    snprintf(labels, sizeof labels, "folder/%s-labels-idx1-ubyte%s", part, packed ? ".gz" : "");
    double v[64], l[16];
    for (int i = 0; i < rows * 4; i++)
        v[i] = i;
    for (int i = 0; i < rows; i++)
        l[i] = i % classes;
    put_idx(temp_path(images), BL_U8, &(bl_shape){3, {rows, 2, 2}}, v, packed);
    put_idx(temp_path(labels), BL_U8, &(bl_shape){1, {rows}}, l, packed);
}

static void a_folder_has_a_train_and_a_test_part(void **state)
{
    (void)state;
    make_folder(temp_path("folder"));
    put_small_pair("train", false, 3, 12);
    put_small_pair("t10k", true, 2, 5);
    static const struct {
        const char *split;
        int rows, classes;
    } cases[] = {{"train", 12, 3}, {"test", 5, 2}, {NULL, 5, 2}};
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_dataset_options o = from(temp_path("folder"));
        o.split = cases[i].split;
        o.shape = "2x2x1";
        bl_dataset *d = NULL;
        assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
        assert_int_equal(bl_dataset_rows(d), cases[i].rows);
        assert_int_equal(bl_dataset_classes(d), cases[i].classes);
        assert_string_equal(bl_dataset_class_name(d, 1), "1");
        assert_null(bl_dataset_class_name(d, cases[i].classes));
        assert_true(bl_shape_equal(bl_dataset_row_shape(d), &(bl_shape){3, {2, 2, 1}}));
        bl_dataset_close(d);
    }
    bl_dataset_options o = from(temp_path("folder"));
    bl_dataset *d = NULL;
    o.shape = "3x2";
    assert_fails(ctx, BL_BAD_VALUE, "shape 3x2 has 6 elements, but a row has 4", bl_dataset_open(ctx, &o, &d));
    o.shape = "2x2x";
    assert_fails(ctx, BL_BAD_VALUE, "shape '2x2x'", bl_dataset_open(ctx, &o, &d));
    o.shape = NULL;
    o.split = "validation";
    assert_fails(ctx, BL_BAD_VALUE, "expected train or test", bl_dataset_open(ctx, &o, &d));
    assert_null(d);
}

/* ---- bad files ----------------------------------------------------------------------------------------------- */
typedef struct bad {
    const char *title, *words;
    bl_status status;
    uint8_t bytes[32];
    size_t size;
} bad;

static const bad bad_images[] = {
    {"empty", "this file is empty", BL_BAD_FILE, {0}, 0},
    {"one byte", "no data set", BL_BAD_FILE, {0}, 1},
    {"wrong magic", "magic 00 00 07 03 at byte 0 is not IDX", BL_BAD_FILE, {0, 0, 7, 3, 0, 0, 0, 1}, 8},
    {"no dimension", "magic 00 00 08 00", BL_BAD_FILE, {0, 0, 8, 0, 1}, 5},
    {"short header", "truncated: has 6 bytes; its header promises 8", BL_BAD_FILE, {0, 0, 8, 1, 0, 0}, 6},
    {"no rows", "dimension 0 at byte 4 is 0", BL_BAD_FILE, {0, 0, 8, 1, 0, 0, 0, 0}, 8},
    {"short data",
     "truncated: has 11 bytes; its header promises 12",
     BL_BAD_FILE,
     {0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3},
     11},
    {"long data", "has 11 bytes; its header promises only 10", BL_BAD_FILE, {0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3}, 11},
    {"2 GiB claimed",
     "truncated: has 9 bytes; its header promises 2147483656",
     BL_BAD_FILE,
     {0, 0, 8, 1, 0x80, 0, 0, 0, 1},
     9},
    {"overflow",
     "more than 2^63 bytes",
     BL_LIMIT,
     {0, 0, 14, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
     16},
};

static void each_bad_file_is_named_with_its_fault(void **state)
{
    (void)state;
    double label = 0;
    put_idx(temp_path("bad-labels"), BL_U8, &(bl_shape){1, {1}}, &label, false);
    const char *path = temp_path("bad-images");
    bl_dataset_options o = from(path);
    for (size_t i = 0; i < BLI_COUNT(bad_images); i++) {
        const bad *b = &bad_images[i];
        put_file(path, b->bytes, b->size);
        bl_dataset *d = NULL;
        assert_fails(ctx, b->status, b->words, bl_dataset_open(ctx, &o, &d));
        assert_non_null(strstr(bl_context_message(ctx), "bad-images"));
        assert_null(d);
    }
}

static void bad_labels_are_named_with_row_and_value(void **state)
{
    (void)state;
    const char *images = temp_path("l-images"), *labels = temp_path("l-labels");
    double v[3] = {1, 2, 3}, l[4] = {0, 1, -1, 0};
    put_idx(images, BL_U8, &(bl_shape){1, {3}}, v, false);
    bl_dataset_options o = from(images);
    bl_dataset *d = NULL;
    put_idx(labels, BL_I8, &(bl_shape){1, {3}}, l, false);
    assert_fails(ctx, BL_BAD_FILE, "l-labels: row 2: label -1 is out of range; expected 0 to 65535",
                 bl_dataset_open(ctx, &o, &d));
    l[2] = 0.5;
    put_idx(labels, BL_F32, &(bl_shape){1, {3}}, l, false);
    assert_fails(ctx, BL_BAD_FILE, "l-labels: row 2: label 0.5 is not a class", bl_dataset_open(ctx, &o, &d));
    l[2] = 7;
    o.classes = 7;
    put_idx(labels, BL_U8, &(bl_shape){1, {3}}, l, false);
    assert_fails(ctx, BL_BAD_FILE, "row 2: label 7 is out of range; expected 0 to 6", bl_dataset_open(ctx, &o, &d));
    o.classes = -1;
    assert_fails(ctx, BL_BAD_VALUE, "-1 classes", bl_dataset_open(ctx, &o, &d));
    o.classes = 0;
    put_idx(labels, BL_U8, &(bl_shape){1, {4}}, l, false);
    assert_fails(ctx, BL_BAD_FILE, "has 4 labels, but", bl_dataset_open(ctx, &o, &d));
    put_idx(labels, BL_U8, &(bl_shape){2, {3, 2}}, (double[6]){0}, false);
    assert_fails(ctx, BL_BAD_FILE, "a label has shape [2]", bl_dataset_open(ctx, &o, &d));
    o.regression = true;
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    assert_int_equal(bl_dataset_targets(d), 2);
    bl_dataset_close(d);
    put_idx(labels, BL_F64, &(bl_shape){1, {3}}, (double[3]){1, 1e300, 2}, false);
    assert_fails(ctx, BL_BAD_FILE, "row 1: target 1e+300 is not a finite float32", bl_dataset_open(ctx, &o, &d));
    remove(labels);
    assert_fails(ctx, BL_NOT_FOUND, "no file l-labels", bl_dataset_open(ctx, &o, &d));
}

static void not_a_number_is_named_when_it_is_read(void **state)
{
    (void)state;
    const char *images = temp_path("n-images"), *labels = temp_path("n-labels");
    put_idx(labels, BL_U8, &(bl_shape){1, {2}}, (double[2]){0, 1}, false);
    static const struct {
        double value;
        const char *words;
    } cases[] = {{NAN, "row 1, column 2: value is NaN"},
                 {-INFINITY, "row 1, column 2: value is infinite"},
                 {1e39, "row 1, column 2: value 1e+39 does not fit float32"}};
    for (size_t memory = 0; memory < 2; memory++)
        for (size_t i = 0; i < BLI_COUNT(cases); i++) {
            put_idx(images, BL_F64, &(bl_shape){2, {2, 3}}, (double[6]){1, 2, 3, 4, 5, cases[i].value}, false);
            bl_dataset_options o = from(images);
            o.memory = memory;
            bl_dataset *d = NULL;
            float x[6];
            assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
            assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, x, NULL, NULL));
            assert_fails(ctx, BL_BAD_FILE, cases[i].words,
                         bl_dataset_read(d, (const uint32_t[]){0, 1}, 2, x, NULL, NULL));
            assert_fails(ctx, BL_USAGE, "row 2 asked for; it has rows 0 to 1",
                         bl_dataset_read(d, (const uint32_t[]){2}, 1, x, NULL, NULL));
            bl_dataset_close(d);
        }
}

/* ---- packed files -------------------------------------------------------------------------------------------- */
static void damaged_gzip_is_refused(void **state)
{
    (void)state;
    double v[4000], l[1000] = {0};
    for (int i = 0; i < 4000; i++)
        v[i] = i * 7919 % 251;
    const char *images = temp_path("z-images"), *labels = temp_path("z-labels");
    put_idx(labels, BL_U8, &(bl_shape){1, {1000}}, l, true);
    put_idx(images, BL_U8, &(bl_shape){2, {1000, 4}}, v, true);
    size_t size = 0;
    char *whole = get_file(images, &size);
    bl_dataset_options o = from(images);
    bl_dataset *d = NULL;
    put_file(images, whole, size - 9);
    assert_fails(ctx, BL_BAD_FILE, "truncated", bl_dataset_open(ctx, &o, &d));
    whole[size - 6] = (char)(whole[size - 6] ^ 1);
    put_file(images, whole, size);
    assert_fails(ctx, BL_BAD_FILE, "corrupt gzip data", bl_dataset_open(ctx, &o, &d));
    whole[size - 6] = (char)(whole[size - 6] ^ 1);
    char *longer = malloc(size + 3);
    memcpy(longer, whole, size);
    memcpy(longer + size, "abc", 3);
    put_file(images, longer, size + 3);
    assert_fails(ctx, BL_BAD_FILE, "not gzip follow", bl_dataset_open(ctx, &o, &d));
    put_file(images, whole, size);
    o.memory = 100;
    assert_fails(ctx, BL_LIMIT, "gunzip it", bl_dataset_open(ctx, &o, &d));
    free(longer);
    free(whole);
}

static void packed_claims_beyond_deflate_take_no_memory(void **state)
{
    (void)state;
    const uint8_t head[] = {0, 0, 8, 1, 0x10, 0, 0, 0, 1, 2, 3};
    const char *images = temp_path("c-images");
    gzFile f = gzopen(images, "wb");
    gzwrite(f, head, sizeof head);
    gzclose(f);
    double label = 0;
    put_idx(temp_path("c-labels"), BL_U8, &(bl_shape){1, {1}}, &label, false);
    bl_dataset_options o = from(images);
    bl_dataset *d = NULL;
    assert_fails(ctx, BL_BAD_FILE, "header promises 268435464 bytes, more than", bl_dataset_open(ctx, &o, &d));
}

static void packed_content_longer_than_its_header_says_is_refused(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3};
    const char *images = temp_path("o-images");
    gzFile f = gzopen(images, "wb");
    gzwrite(f, bytes, sizeof bytes);
    gzclose(f);
    put_idx(temp_path("o-labels"), BL_U8, &(bl_shape){1, {2}}, (double[2]){0}, false);
    bl_dataset_options o = from(images);
    bl_dataset *d = NULL;
    assert_fails(ctx, BL_BAD_FILE, "content goes on after the 10 bytes", bl_dataset_open(ctx, &o, &d));
}

static void two_gzip_members_are_one_content(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 8, 1, 0, 0, 0, 4, 9, 8, 7, 6};
    const char *images = temp_path("m-images");
    gzFile f = gzopen(images, "wb");
    gzwrite(f, bytes, 9);
    gzclose(f);
    f = gzopen(images, "ab");
    gzwrite(f, bytes + 9, 3);
    gzclose(f);
    put_idx(temp_path("m-labels"), BL_U8, &(bl_shape){1, {4}}, (double[4]){0, 0, 1, 0}, false);
    bl_dataset_options o = from(images);
    bl_dataset *d = NULL;
    float x[2];
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){3, 0}, 2, x, NULL, NULL));
    assert_true(x[0] == 6 && x[1] == 9);
    bl_dataset_close(d);
}

/* ---- names --------------------------------------------------------------------------------------------------- */
static void a_missing_package_is_named(void **state)
{
    (void)state;
    bl_dataset_options o = from("fashion-mnist");
    bl_dataset *d = NULL;
    setenv("BITLATHE_DATA", temp_path("nowhere"), 1);
    assert_fails(ctx, BL_NOT_FOUND, "install the package dataset-fashion-mnist", bl_dataset_open(ctx, &o, &d));
    unsetenv("BITLATHE_DATA");
    o.source = "fashion-mnits";
    assert_fails(ctx, BL_NOT_FOUND, "not a known data set (fashion-mnist)", bl_dataset_open(ctx, &o, &d));
    o.source = NULL;
    assert_fails(ctx, BL_USAGE, "needs a source", bl_dataset_open(ctx, &o, &d));
    o.source = temp_folder();
    o.split = "train";
    assert_null(d);
}

static void fashion_mnist_opens_by_name(void **state)
{
    (void)state;
    bl_dataset_options o = from("fashion-mnist");
    o.split = "test";
    bl_dataset *d = NULL;
    if (bl_dataset_open(ctx, &o, &d) == BL_NOT_FOUND)
        skip();
    assert_non_null(d);
    assert_int_equal(bl_dataset_rows(d), 10000);
    assert_int_equal(bl_dataset_classes(d), 10);
    assert_string_equal(bl_dataset_class_name(d, 9), "Ankle boot");
    assert_true(bl_shape_equal(bl_dataset_row_shape(d), &(bl_shape){3, {28, 28, 1}}));
    bl_dataset_close(d);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */
static bl_status open_and_read(bl_context *c, void *arg)
{
    bl_dataset *d = NULL;
    double mean[4], deviation[4];
    BLI_TRY(bl_dataset_open(c, arg, &d));
    bl_status s = bl_dataset_statistics(d, NULL, 0, mean, deviation);
    bl_dataset_close(d);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    make_folder(temp_path("folder"));
    put_small_pair("train", false, 3, 12);
    put_small_pair("t10k", true, 2, 5);
    bl_dataset_options o = from(temp_path("folder"));
    o.split = "test";
    assert_true(fail_each_allocation(open_and_read, &o) > 5);
    o.split = "train";
    assert_true(fail_each_allocation(open_and_read, &o) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type_comes_back_as_written, start, stop),
        cmocka_unit_test_setup_teardown(a_row_wider_than_the_page_buffer_is_read_in_place, start, stop),
        cmocka_unit_test(every_kernel_converts_every_byte_alike),
        cmocka_unit_test(every_kernel_maps_every_byte_alike),
        cmocka_unit_test_setup_teardown(a_folder_has_a_train_and_a_test_part, start, stop),
        cmocka_unit_test_setup_teardown(each_bad_file_is_named_with_its_fault, start, stop),
        cmocka_unit_test_setup_teardown(bad_labels_are_named_with_row_and_value, start, stop),
        cmocka_unit_test_setup_teardown(not_a_number_is_named_when_it_is_read, start, stop),
        cmocka_unit_test_setup_teardown(damaged_gzip_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(packed_claims_beyond_deflate_take_no_memory, start, stop),
        cmocka_unit_test_setup_teardown(packed_content_longer_than_its_header_says_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(two_gzip_members_are_one_content, start, stop),
        cmocka_unit_test_setup_teardown(a_missing_package_is_named, start, stop),
        cmocka_unit_test_setup_teardown(fashion_mnist_opens_by_name, start, stop),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
