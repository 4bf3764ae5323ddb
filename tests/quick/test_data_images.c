/* test_data_images.c: folders of PNG and JPEG files by class. */
#include <png.h>
#include <pthread.h>

#include "bitlathe/dataset.h"
#include "support/data_files.h"
#include "support/folder.h"
#include "support/image_files.h"
#include "support/memory.h"
#include "support/test.h"

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

/* A folder of its own with one class "only"; the path of a file in it. */
static const char *only(const char *set, const char *file)
{
    char path[256];
    make_folder(temp_path(set));
    snprintf(path, sizeof path, "%s/only", set);
    make_folder(temp_path(path));
    snprintf(path, sizeof path, "%s/only/%s", set, file);
    return temp_path(path);
}

static bl_status open_set(const char *set, const char *split, size_t memory, bl_dataset **d)
{
    bl_dataset_options o = {.source = temp_path(set), .split = split, .memory = memory};
    return bl_dataset_open(ctx, &o, d);
}

/* ---- pixels -------------------------------------------------------------------------------------------------- */
enum { W = 13, H = 9 };

static const struct {
    const char *title;
    png_recipe recipe;
    int channels; /* of the set */
} pngs[] = {
    {"grey 1", {PNG_COLOR_TYPE_GRAY, 1, false, -1}, 1},
    {"grey 2", {PNG_COLOR_TYPE_GRAY, 2, true, -1}, 1},
    {"grey 4", {PNG_COLOR_TYPE_GRAY, 4, false, -1}, 1},
    {"grey 8", {PNG_COLOR_TYPE_GRAY, 8, false, -1}, 1},
    {"grey 8 interlaced", {PNG_COLOR_TYPE_GRAY, 8, true, -1}, 1},
    {"grey 8 with a transparent value not used", {PNG_COLOR_TYPE_GRAY, 8, false, 0}, 1},
    {"palette 2", {PNG_COLOR_TYPE_PALETTE, 2, false, -1}, 3},
    {"palette 8 interlaced", {PNG_COLOR_TYPE_PALETTE, 8, true, -1}, 3},
    {"palette 8 with a transparent entry not used", {PNG_COLOR_TYPE_PALETTE, 8, false, 0}, 3},
    {"rgb", {PNG_COLOR_TYPE_RGB, 8, false, -1}, 3},
    {"rgb interlaced", {PNG_COLOR_TYPE_RGB, 8, true, -1}, 3},
    {"rgb, opaque", {PNG_COLOR_TYPE_RGBA, 8, false, -1}, 3},
    {"grey, opaque", {PNG_COLOR_TYPE_GA, 8, true, -1}, 1},
};

static int samples_of(int color)
{
    return color == PNG_COLOR_TYPE_RGB ? 3 : color == PNG_COLOR_TYPE_RGBA ? 4 : color == PNG_COLOR_TYPE_GA ? 2 : 1;
}

static void random_samples(uint32_t *seed, const png_recipe *r, uint8_t *samples)
{
    int per_pixel = samples_of(r->color);
    for (int i = 0; i < W * H * per_pixel; i++) {
        bool alpha = per_pixel % 2 == 0 && i % per_pixel == per_pixel - 1;
        uint8_t v = (uint8_t)(next_random(seed) & ((1u << r->depth) - 1));
        samples[i] = alpha ? 255 : v == 0 && r->transparent == 0 ? 1 : v;
    }
}

/* Channel c of pixel i by the PNG specification: few bits scaled to eight, a palette looked up, alpha left out. */
static int expected(const png_recipe *r, const uint8_t *samples, int i, int c)
{
    int per_pixel = samples_of(r->color), v = samples[i * per_pixel];
    const int entry[3] = {v, 255 - v, 7 * v % 256};
    if (r->color == PNG_COLOR_TYPE_PALETTE)
        return entry[c];
    return per_pixel < 3 ? v * 255 / ((1 << r->depth) - 1) : samples[i * per_pixel + c];
}

static void every_kind_of_png_comes_back_as_written(void **state)
{
    (void)state;
    uint32_t seed = 21;
    uint8_t samples[W * H * 4];
    for (size_t k = 0; k < BLI_COUNT(pngs); k++)
        for (size_t memory = 0; memory < 2; memory++) {
            const png_recipe *r = &pngs[k].recipe;
            random_samples(&seed, r, samples);
            put_png(only("kinds", "image.png"), W, H, r, samples);
            bl_dataset *d = NULL;
            float x[W * H * 3];
            assert_ok(ctx, open_set("kinds", NULL, memory, &d));
            int channels = pngs[k].channels;
            assert_true(bl_shape_equal(bl_dataset_row_shape(d), &(bl_shape){3, {H, W, channels}}));
            assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, x, NULL, NULL));
            for (int i = 0; i < W * H * channels; i++) {
                int want = expected(r, samples, i / channels, i % channels);
                if (x[i] != (float)want)
                    print_error("%s: element %d is %g, expected %d\n", pngs[k].title, i, (double)x[i], want);
                assert_true(x[i] == (float)want);
            }
            bl_dataset_close(d);
        }
}

/* Flat blocks of 8 x 8 at quality 100 have one coefficient each, kept exactly. */
static void flat_blocks(uint32_t *seed, uint8_t *out, int components)
{
    uint8_t block[4][4];
    for (int i = 0; i < 16; i++)
        block[i / 4][i % 4] = (uint8_t)next_random(seed);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 16; x++)
            for (int c = 0; c < components; c++)
                out[(y * 16 + x) * components + c] = block[y / 8 * 2 + x / 8][c];
}

static void jpegs_come_back_where_they_are_exact(void **state)
{
    (void)state;
    uint32_t seed = 4;
    uint8_t grey[256], rgb[768];
    float x[768 * 2];
    for (int progressive = 0; progressive < 2; progressive++) {
        flat_blocks(&seed, grey, 1);
        flat_blocks(&seed, rgb, 3);
        put_jpeg(only("jpegs", "a.JPG"), 16, 16, 1, progressive, grey);
        put_jpeg(only("jpegs", "b.jpeg"), 16, 16, 3, progressive, rgb);
        for (size_t memory = 0; memory < 2; memory++) {
            bl_dataset *d = NULL;
            assert_ok(ctx, open_set("jpegs", "train", memory, &d));
            assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0, 1}, 2, x, NULL, NULL));
            for (int i = 0; i < 768; i++) {
                assert_true(x[i] == (float)grey[i / 3]); /* grey beside colour becomes three equal channels */
                assert_true(x[768 + i] == (float)rgb[i]);
            }
            bl_dataset_close(d);
        }
    }
}

/* ---- folders ------------------------------------------------------------------------------------------------- */
static void put_pixel(const char *path, uint8_t v)
{
    put_png(path, 1, 1, &(png_recipe){PNG_COLOR_TYPE_GRAY, 8, false, -1}, &v);
}

static void put_classes(void)
{
    static const char *const folders[] = {"zoo",           "zoo/train",     "zoo/test",     "zoo/train/cat",
                                          "zoo/train/ant", "zoo/train/bee", "zoo/test/bee", "zoo/test/cat"};
    for (size_t i = 0; i < BLI_COUNT(folders); i++)
        make_folder(temp_path(folders[i]));
    put_pixel(temp_path("zoo/train/cat/2.png"), 5);
    put_pixel(temp_path("zoo/train/cat/1.png"), 4);
    put_pixel(temp_path("zoo/train/ant/x.png"), 1);
    put_pixel(temp_path("zoo/train/bee/10.png"), 2);
    put_pixel(temp_path("zoo/train/bee/9.png"), 3);
    put_pixel(temp_path("zoo/test/cat/1.png"), 7);
    put_pixel(temp_path("zoo/test/bee/1.png"), 6);
    put_file(temp_path("zoo/test/bee/readme.md"), "words", 5);
}

static void folders_are_classes_in_order_of_name(void **state)
{
    (void)state;
    put_classes();
    for (size_t memory = 0; memory < 3; memory++) {
        bl_dataset *d = NULL;
        float x[5];
        int32_t y[5];
        static const int labels[] = {2, 2, 1, 1, 0};
        assert_ok(ctx, open_set("zoo", "train", memory, &d));
        assert_int_equal(bl_dataset_rows(d), 5);
        assert_int_equal(bl_dataset_classes(d), 3);
        assert_string_equal(bl_dataset_class_name(d, 1), "bee");
        assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){4, 3, 2, 1, 0}, 5, x, y, NULL));
        for (int i = 0; i < 5; i++) {
            assert_true(x[i] == (float)(5 - i));
            assert_int_equal(y[i], labels[i]);
        }
        bl_dataset_close(d);
        assert_ok(ctx, open_set("zoo", NULL, memory, &d)); /* the test part, numbered as the training part */
        assert_int_equal(bl_dataset_classes(d), 3);
        assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0, 1}, 2, x, y, NULL));
        assert_true(x[0] == 6 && x[1] == 7 && y[0] == 1 && y[1] == 2);
        bl_dataset_close(d);
    }
}

static void bad_folders_are_named(void **state)
{
    (void)state;
    bl_dataset *d = NULL;
    put_classes();
    make_folder(temp_path("zoo/test/beee"));
    assert_fails(ctx, BL_BAD_FILE, "folder 'beee' is not one of the 3 classes; perhaps 'bee'?",
                 open_set("zoo", "test", 0, &d));
    remove(temp_path("zoo/test/beee"));
    make_folder(temp_path("none"));
    assert_fails(ctx, BL_BAD_FILE, "this folder holds no data set", open_set("none", NULL, 0, &d));
    make_folder(temp_path("none/train"));
    assert_fails(ctx, BL_NOT_FOUND, "has no folder test", open_set("none", "test", 0, &d));
    assert_fails(ctx, BL_BAD_FILE, "holds no folder; expected one for each class", open_set("none", "train", 0, &d));
    make_folder(temp_path("none/train/a"));
    assert_fails(ctx, BL_BAD_FILE, "its folders hold no PNG or JPEG file", open_set("none", "train", 0, &d));
    put_file(temp_path("none/train/a/x.gif"), "GIF89a", 6);
    assert_fails(ctx, BL_UNSUPPORTED, "x.gif: only PNG and JPEG are read", open_set("none", "train", 0, &d));
    put_pixel(only("single", "1.png"), 1);
    assert_fails(ctx, BL_NOT_FOUND, "has no test part", open_set("single", "test", 0, &d));
    bl_dataset_options o = {.source = temp_path("single"), .regression = true};
    assert_fails(ctx, BL_UNSUPPORTED, "not real targets", bl_dataset_open(ctx, &o, &d));
    assert_null(d);
}

/* ---- bad images ---------------------------------------------------------------------------------------------- */
static void expect_bad(const char *set, bl_status status, const char *words)
{
    bl_dataset *d = NULL;
    assert_fails(ctx, status, words, open_set(set, NULL, 0, &d));
    assert_null(d);
}

static void images_that_cannot_be_said_exactly_are_refused(void **state)
{
    (void)state;
    uint8_t v[4 * 16 * 16];
    memset(v, 9, sizeof v);
    put_png(only("deep", "1.png"), 2, 2, &(png_recipe){PNG_COLOR_TYPE_GRAY, 16, false, -1}, v);
    expect_bad("deep", BL_UNSUPPORTED, "1.png: has 16 bits a channel");
    v[4 * 3 + 3] = 17;
    for (int i = 0; i < 3; i++)
        v[4 * i + 3] = 255;
    put_png(only("clear", "1.png"), 2, 2, &(png_recipe){PNG_COLOR_TYPE_RGBA, 8, false, -1}, v);
    expect_bad("clear", BL_UNSUPPORTED, "1.png: pixel (1, 1) is transparent (alpha 17 of 255)");
    put_png(only("clear", "1.png"), 2, 2, &(png_recipe){PNG_COLOR_TYPE_GRAY, 8, false, 9}, v);
    expect_bad("clear", BL_UNSUPPORTED, "is transparent (alpha 0 of 255)");
    put_jpeg(only("ink", "1.jpg"), 16, 16, 4, false, v);
    expect_bad("ink", BL_UNSUPPORTED, "1.jpg: is in CMYK");
    put_file(only("disguised", "1.png"), "GIF89a........", 14);
    expect_bad("disguised", BL_UNSUPPORTED, "1.png: is a GIF; only PNG and JPEG are read");
    put_file(only("disguised", "1.png"), "hello", 5);
    expect_bad("disguised", BL_BAD_FILE, "1.png: is neither PNG nor JPEG");
    put_file(only("disguised", "1.png"), "", 0);
    expect_bad("disguised", BL_BAD_FILE, "1.png: is neither PNG nor JPEG");
}

static void sizes_must_be_equal_and_within_limits(void **state)
{
    (void)state;
    uint8_t *v = test_calloc(20000, 1);
    png_recipe grey = {PNG_COLOR_TYPE_GRAY, 8, false, -1};
    put_png(only("sizes", "1.png"), 2, 3, &grey, v);
    put_png(only("sizes", "2.png"), 3, 2, &grey, v);
    expect_bad("sizes", BL_BAD_FILE, "2.png: is 3 x 2 pixels, but the first image");
    put_png(only("wide", "1.png"), 20000, 1, &grey, v);
    expect_bad("wide", BL_BAD_FILE, "1.png: PNG: ");
    put_jpeg(only("bomb", "1.jpg"), 16, 16, 1, false, v);
    size_t size;
    char *bytes = get_file(only("bomb", "1.jpg"), &size);
    for (size_t i = 0; i + 9 < size; i++) /* the frame's header says 65500 x 65500 */
        if ((uint8_t)bytes[i] == 0xff && (uint8_t)bytes[i + 1] == 0xc0)
            memcpy(bytes + i + 5, "\xff\xdc\xff\xdc", 4);
    put_file(only("bomb", "1.jpg"), bytes, size);
    expect_bad("bomb", BL_LIMIT, "1.jpg: is 65500 x 65500 pixels; the limits are 16384 a side");
    free(bytes);
    test_free(v);
}

static void no_damaged_image_is_taken(void **state)
{
    (void)state;
    uint8_t v[16 * 16];
    uint32_t seed = 8;
    for (size_t i = 0; i < sizeof v; i++)
        v[i] = (uint8_t)next_random(&seed);
    for (int jpeg = 0; jpeg < 2; jpeg++) {
        const char *name = jpeg ? "1.jpg" : "1.png";
        if (jpeg)
            put_jpeg(only("cut", name), 16, 16, 1, false, v);
        else
            put_png(only("cut", name), 16, 16, &(png_recipe){PNG_COLOR_TYPE_GRAY, 8, false, -1}, v);
        size_t size;
        char *bytes = get_file(only("cut", name), &size);
        for (size_t keep = 0; keep + 3 < size; keep += 1 + keep / 40) {
            bl_dataset *d = NULL;
            put_file(only("cut", name), bytes, keep);
            bl_status s = open_set("cut", NULL, 0, &d);
            if (s != BL_BAD_FILE)
                print_error("%s cut to %zu of %zu bytes: %s\n", name, keep, size, bl_status_name(s));
            assert_int_equal(s, BL_BAD_FILE);
            assert_non_null(strstr(bl_context_message(ctx), name));
        }
        for (size_t at = 0; at < size && !jpeg;
             at++) { /* a PNG's sums cover every byte but the signature's own check */
            bl_dataset *d = NULL;
            bytes[at] = (char)(bytes[at] ^ 0x10);
            put_file(only("cut", name), bytes, size);
            assert_true(open_set("cut", NULL, 0, &d) != BL_OK);
            bytes[at] = (char)(bytes[at] ^ 0x10);
        }
        free(bytes);
        remove(only("cut", name));
    }
}

static void a_jpeg_that_ends_too_early_is_refused(void **state)
{
    (void)state;
    uint8_t v[64 * 64];
    uint32_t seed = 9;
    for (size_t i = 0; i < sizeof v; i++)
        v[i] = (uint8_t)next_random(&seed);
    put_jpeg(only("early", "1.jpg"), 64, 64, 1, false, v);
    size_t size;
    char *bytes = get_file(only("early", "1.jpg"), &size);
    memcpy(bytes + size / 2, "\xff\xd9", 2); /* a proper end, in the middle of the scan */
    put_file(only("early", "1.jpg"), bytes, size / 2 + 2);
    expect_bad("early", BL_BAD_FILE, "1.jpg: JPEG: ");
    free(bytes);
}

static void a_failed_image_spoils_no_other(void **state)
{
    (void)state;
    uint8_t v[64 * 64];
    float first[64 * 64], again[64 * 64];
    uint32_t seed = 10;
    for (int file = 1; file <= 2; file++) {
        for (size_t i = 0; i < sizeof v; i++)
            v[i] = (uint8_t)next_random(&seed);
        put_jpeg(only("spoil", file == 1 ? "1.jpg" : "2.jpg"), 64, 64, 1, false, v);
    }
    bl_dataset *d = NULL;
    size_t size;
    assert_ok(ctx, open_set("spoil", NULL, 1, &d)); /* one place for both */
    char *bytes = get_file(only("spoil", "2.jpg"), &size);
    put_file(only("spoil", "2.jpg"), bytes, size * 3 / 4);
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, first, NULL, NULL));
    assert_fails(ctx, BL_BAD_FILE, "2.jpg: JPEG: ", bl_dataset_read(d, (const uint32_t[]){1}, 1, again, NULL, NULL));
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, again, NULL, NULL));
    assert_memory_equal(first, again, sizeof first);
    bl_dataset_close(d);
    free(bytes);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */
enum { MANY = 40, READERS = 4, ROUNDS = 300 };

typedef struct reader {
    const bl_dataset *d;
    uint32_t seed;
    bool right;
} reader;

static void *read_many(void *arg)
{
    reader *r = arg;
    r->right = true;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t rows[3];
        float x[3];
        int32_t y[3];
        for (int k = 0; k < 3; k++)
            rows[k] = next_random(&r->seed) % MANY;
        r->right = r->right && bl_dataset_read(r->d, rows, 3, x, y, NULL) == BL_OK;
        for (int k = 0; k < 3; k++)
            r->right = r->right && x[k] == (float)(rows[k] + 100) && y[k] == 0;
    }
    return NULL;
}

static void many_threads_read_the_same_rows(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d.png", i);
        put_pixel(only("many", name), (uint8_t)(i + 100));
    }
    for (size_t memory = 0; memory < MANY; memory += 7) { /* 0: in memory; else a cache of that many images */
        bl_dataset *d = NULL;
        pthread_t threads[READERS];
        reader readers[READERS];
        assert_ok(ctx, open_set("many", NULL, memory, &d));
        for (int t = 0; t < READERS; t++) {
            readers[t] = (reader){d, (uint32_t)t, false};
            assert_int_equal(pthread_create(&threads[t], NULL, read_many, &readers[t]), 0);
        }
        for (int t = 0; t < READERS; t++) {
            pthread_join(threads[t], NULL);
            assert_true(readers[t].right);
        }
        bl_dataset_close(d);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------- */
static bl_status open_and_read(bl_context *c, void *arg)
{
    bl_dataset *d = NULL;
    float x[2];
    BLI_TRY(bl_dataset_open(c, arg, &d));
    bl_status s = bl_dataset_read(d, (const uint32_t[]){1, 0}, 2, x, NULL, NULL);
    bl_dataset_close(d);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    put_classes();
    bl_dataset_options o = {.source = temp_path("zoo")};
    for (o.memory = 0; o.memory < 2; o.memory++)
        assert_true(fail_each_allocation(open_and_read, &o) > 20);
    o.source = temp_path("jpegs2");
    uint8_t v[256] = {0};
    put_jpeg(only("jpegs2", "1.jpg"), 1, 1, 1, false, v);
    put_jpeg(only("jpegs2", "2.jpg"), 1, 1, 1, true, v);
    for (o.memory = 0; o.memory < 2; o.memory++)
        assert_true(fail_each_allocation(open_and_read, &o) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_png_comes_back_as_written, start, stop),
        cmocka_unit_test_setup_teardown(jpegs_come_back_where_they_are_exact, start, stop),
        cmocka_unit_test_setup_teardown(folders_are_classes_in_order_of_name, start, stop),
        cmocka_unit_test_setup_teardown(bad_folders_are_named, start, stop),
        cmocka_unit_test_setup_teardown(images_that_cannot_be_said_exactly_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(sizes_must_be_equal_and_within_limits, start, stop),
        cmocka_unit_test_setup_teardown(no_damaged_image_is_taken, start, stop),
        cmocka_unit_test_setup_teardown(a_jpeg_that_ends_too_early_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_failed_image_spoils_no_other, start, stop),
        cmocka_unit_test_setup_teardown(many_threads_read_the_same_rows, start, stop),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
