/* test_data_csv.c: tables of text: what is read, what is found out, and what is said of bad ones. */
#include <locale.h>
#include <math.h>
#include <sys/resource.h>
#include <zlib.h>

#include "bitlathe/dataset.h"
#include "support/data_files.h"
#include "support/folder.h"
#include "support/memory.h"
#include "support/test.h"
#include "train/data/number.h"

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

static const char *put_text(const char *name, const char *text)
{
    const char *path = temp_path(name);
    put_file(path, text, strlen(text));
    return path;
}

static bl_dataset *open_set(const char *path, const char *target, size_t memory)
{
    bl_dataset_options o = {.source = path, .target = target, .memory = memory};
    bl_dataset *d = NULL;
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    return d;
}

static void check_row(const bl_dataset *d, uint32_t row, const float *x, size_t n, int32_t label)
{
    float got[16];
    int32_t y;
    assert_int_equal(bl_shape_count(bl_dataset_row_shape(d)), n);
    assert_ok(ctx, bl_dataset_read(d, &row, 1, got, &y, NULL));
    assert_int_equal(y, label);
    assert_memory_equal(got, x, n * sizeof *x);
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */
static void numbers_are_those_of_strtod(void **state)
{
    (void)state;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    uint32_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        char text[80];
        uint32_t kind = next_random(&seed) % 4;
        double v = ((double)next_random(&seed) - 2147483648.0) * pow(2, (int)(next_random(&seed) % 200) - 100);
        if (kind == 0)
            snprintf(text, sizeof text, "%.*g", (int)(next_random(&seed) % 22), v);
        else if (kind == 1)
            snprintf(text, sizeof text, "%.*f", (int)(next_random(&seed) % 12), (double)(int32_t)next_random(&seed));
        else if (kind == 2)
            snprintf(text, sizeof text, "%u%u.%ue%d", next_random(&seed), next_random(&seed), next_random(&seed),
                     (int)(next_random(&seed) % 80) - 40);
        else
            snprintf(text, sizeof text, "%s.%05ue+%u", next_random(&seed) & 1 ? "-" : "+", next_random(&seed) % 100000,
                     next_random(&seed) % 30);
        double got = 0;
        assert_int_equal(bli_number_parse(text, strlen(text), c, &got), BLI_NUMBER);
        double want = strtod(text, NULL);
        if (memcmp(&got, &want, sizeof got) != 0)
            print_error("%s: got %a, strtod says %a\n", text, got, want);
        assert_memory_equal(&got, &want, sizeof got);
    }
    static const struct {
        const char *text;
        bli_number_kind kind;
    } others[] = {{"", BLI_NUMBER_EMPTY},
                  {"abc", BLI_NUMBER_TEXT},
                  {"1,5", BLI_NUMBER_TEXT},
                  {"0x10", BLI_NUMBER_TEXT},
                  {"1e", BLI_NUMBER_TEXT},
                  {"--1", BLI_NUMBER_TEXT},
                  {".", BLI_NUMBER_TEXT},
                  {"1 2", BLI_NUMBER_TEXT},
                  {"+", BLI_NUMBER_TEXT},
                  {"NaN", BLI_NUMBER_INFINITE},
                  {"-inf", BLI_NUMBER_INFINITE},
                  {"1e400", BLI_NUMBER_INFINITE},
                  {"-0", BLI_NUMBER},
                  {"1.", BLI_NUMBER},
                  {"1e-400", BLI_NUMBER},
                  {"1e99999999999", BLI_NUMBER_INFINITE}};
    for (size_t i = 0; i < BLI_COUNT(others); i++) {
        double v;
        assert_int_equal(bli_number_parse(others[i].text, strlen(others[i].text), c, &v), others[i].kind);
    }
    freelocale(c);
}

/* ---- round trip ---------------------------------------------------------------------------------------------- */
typedef struct table {
    size_t rows, columns, target;
    float x[40][8];
    int label[40];
    char text[32768];
    size_t size;
} table;

static void put(table *t, const char *text)
{
    size_t n = strlen(text);
    memcpy(t->text + t->size, text, n + 1);
    t->size += n;
}

static void put_number(table *t, uint32_t *seed, double v)
{
    static const char *const styles[] = {"%.9g", "%.17g", " %.9e ", "\"%.9g\"", "%.60f"};
    char cell[128];
    snprintf(cell, sizeof cell, styles[next_random(seed) % BLI_COUNT(styles)], v);
    put(t, cell);
}

static void random_table(table *t, uint32_t *seed, char separator, bool header, const char *line_end)
{
    t->rows = 1 + next_random(seed) % 40;
    t->columns = 2 + next_random(seed) % 7;
    t->target = next_random(seed) % t->columns;
    t->size = 0;
    char between[2] = {separator, 0}, cell[32];
    for (size_t c = 0; header && c < t->columns; c++) {
        snprintf(cell, sizeof cell, "%s\"na%cme %zu\"", c ? between : "", separator, c);
        put(t, cell);
    }
    if (header)
        put(t, line_end);
    for (size_t r = 0; r < t->rows; r++) {
        size_t k = 0;
        t->label[r] = (int)(next_random(seed) % 4);
        for (size_t c = 0; c < t->columns; c++) {
            put(t, c ? between : "");
            snprintf(cell, sizeof cell, "%d", t->label[r]);
            if (c == t->target) {
                put(t, cell);
                continue;
            }
            t->x[r][k] = (float)((int32_t)next_random(seed) >> 4) * 0x1p-20f;
            put_number(t, seed, (double)t->x[r][k++]);
        }
        bool last = r + 1 == t->rows;
        put(t, last && (next_random(seed) & 1) ? "" : line_end);
        if (!last && next_random(seed) % 8 == 0)
            put(t, line_end); /* an empty line is nothing */
    }
}

static void every_table_comes_back_as_written(void **state)
{
    (void)state;
    static const char separators[] = ",;\t|";
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    uint32_t seed = 3;
    table *t = test_malloc(sizeof *t);
    for (int round = 0; round < 200; round++) {
        bool header = next_random(&seed) & 1, packed = round % 3 == 2;
        random_table(t, &seed, separators[next_random(&seed) % 4], header, ends[next_random(&seed) % 3]);
        const char *path = temp_path("table");
        gzFile f = gzopen(path, packed ? "wb" : "wbT");
        gzwrite(f, t->text, (unsigned)t->size);
        gzclose(f);
        char target[16];
        snprintf(target, sizeof target, "%zu", t->target);
        bl_dataset_options o = {.source = path, .target = target, .header = header, .memory = round % 3 == 1 ? 1 : 0};
        bl_dataset *d = NULL;
        assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
        assert_int_equal(bl_dataset_rows(d), t->rows);
        for (size_t i = 0; i < t->rows; i++) {
            size_t row = t->rows - 1 - i;
            check_row(d, (uint32_t)row, t->x[row], t->columns - 1, t->label[row]);
        }
        if (header)
            assert_string_equal(bl_dataset_feature_name(d, 0) + 6, t->target == 0 ? "1" : "0");
        else
            assert_null(bl_dataset_feature_name(d, 0));
        bl_dataset_close(d);
    }
    test_free(t);
}

static void rows_longer_than_the_buffer_and_blocks_of_the_index(void **state)
{
    (void)state;
    enum { ROWS = 2500 };
    bli_buf b;
    bli_buf_init(&b, ctx, 1 << 24);
    for (int r = 0; r < ROWS; r++) {
        if (r == 1024) /* 20,000 blanks: longer than the cursor's buffer */
            for (int i = 0; i < 20000; i++)
                assert_ok(ctx, bli_buf_append(&b, " ", 1));
        assert_ok(ctx, bli_buf_printf(&b, "%d,%d,%d\n", r, r % 3, -r));
    }
    put_file(temp_path("long"), b.data, b.size);
    bli_buf_free(&b);
    for (size_t memory = 0; memory < 2; memory++) {
        bl_dataset *d = open_set(temp_path("long"), "1", memory);
        assert_int_equal(bl_dataset_rows(d), ROWS);
        for (int r = 0; r < ROWS; r++)
            check_row(d, (uint32_t)r, (const float[]){(float)r, (float)-r}, 2, r % 3);
        bl_dataset_close(d);
    }
}

/* ---- what is found out --------------------------------------------------------------------------------------- */
static void classes_are_numbers_or_sorted_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int classes;
        int32_t labels[3];
        const char *names[3];
    } cases[] = {
        {"a,y\n1,0\n2,2\n3,1\n", 3, {0, 2, 1}, {"0", "1", "2"}},
        {"a,y\n1,1\n2,3\n3,1.0\n", 4, {1, 3, 1}, {"0", "1", "2"}},
        {"a,y\n1,-1\n2,1\n3,-1.0\n", 2, {0, 1, 0}, {"-1", "1", NULL}},
        {"a,y\n1,10\n2,-9\n3,2\n", 3, {2, 0, 1}, {"-9", "2", "10"}},
        {"a,y\n1,dog\n2,cat\n3,\"a \"\"beetle\"\"\"\n", 3, {2, 1, 0}, {"a \"beetle\"", "cat", "dog"}},
        {"a,y\n1,\"x\r\ny\"\n2,x\n3,1\n", 3, {2, 1, 0}, {"1", "x", "x\ny"}},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_dataset *d = open_set(put_text("classes", cases[i].text), NULL, 0);
        assert_int_equal(bl_dataset_classes(d), cases[i].classes);
        for (int r = 0; r < 3; r++) {
            check_row(d, (uint32_t)r, (const float[]){(float)(r + 1)}, 1, cases[i].labels[r]);
            if (cases[i].names[r])
                assert_string_equal(bl_dataset_class_name(d, r), cases[i].names[r]);
        }
        bl_dataset_close(d);
    }
}

static void many_class_names_keep_their_order(void **state)
{
    (void)state;
    enum { CLASSES = 1000 };
    bli_buf b;
    bli_buf_init(&b, ctx, 1 << 20);
    for (int r = 0; r < 2 * CLASSES; r++)
        assert_ok(ctx, bli_buf_printf(&b, "%d;c%03d\n", r, r * 7 % CLASSES));
    put_file(temp_path("many"), b.data, b.size);
    bli_buf_free(&b);
    bl_dataset *d = open_set(temp_path("many"), "-1", 0);
    assert_int_equal(bl_dataset_classes(d), CLASSES);
    for (int r = 0; r < 2 * CLASSES; r++)
        check_row(d, (uint32_t)r, (const float[]){(float)r}, 1, r * 7 % CLASSES);
    assert_string_equal(bl_dataset_class_name(d, 999), "c999");
    bl_dataset_close(d);
}

static void targets_may_be_real_numbers(void **state)
{
    (void)state;
    for (size_t memory = 0; memory < 2; memory++) {
        bl_dataset_options o = {.source = put_text("real", "\xef\xbb\xbfprice;size\n1.5;10\n-2e3;11\n"),
                                .target = "price",
                                .regression = true,
                                .memory = memory};
        bl_dataset *d = NULL;
        float x[2], y[2];
        int32_t label;
        assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
        assert_int_equal(bl_dataset_targets(d), 1);
        assert_int_equal(bl_dataset_classes(d), 0);
        assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){1, 0}, 2, x, NULL, y));
        assert_true(y[0] == -2000 && y[1] == 1.5f && x[0] == 11 && x[1] == 10);
        assert_fails(ctx, BL_USAGE, "has no classes", bl_dataset_read(d, (const uint32_t[]){0}, 1, NULL, &label, NULL));
        bl_dataset_close(d);
    }
}

static void a_folder_numbers_both_parts_alike(void **state)
{
    (void)state;
    make_folder(temp_path("parts"));
    put_text("parts/train.csv", "u,v,class\n1,2,ant\n3,4,beetle\n5,6,cow\n");
    put_text("parts/test.csv", "u,v,class\n7,8,cow\n9,10,beetle\n");
    bl_dataset_options o = {.source = temp_path("parts")};
    bl_dataset *d = NULL;
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    assert_int_equal(bl_dataset_rows(d), 2);
    assert_int_equal(bl_dataset_classes(d), 3);
    check_row(d, 0, (const float[]){7, 8}, 2, 2);
    check_row(d, 1, (const float[]){9, 10}, 2, 1);
    bl_dataset_close(d);
    o.split = "train";
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    assert_int_equal(bl_dataset_rows(d), 3);
    bl_dataset_close(d);
    o.split = "test";
    put_text("parts/test.csv", "u,v,class\n7,8,bettle\n");
    assert_fails(ctx, BL_BAD_FILE, "test.csv:2:5: class 'bettle' is out of range; expected one of 3, perhaps 'beetle'",
                 bl_dataset_open(ctx, &o, &d));
    put_text("parts/test.csv", "v,u,class\n7,8,cow\n");
    assert_fails(ctx, BL_BAD_FILE, "feature 0 is 'v', but 'u' in the training part", bl_dataset_open(ctx, &o, &d));
    put_text("parts/test.csv", "v,class\n7,cow\n");
    assert_fails(ctx, BL_BAD_FILE, "has 1 feature columns, but the training part has 2", bl_dataset_open(ctx, &o, &d));
    put_text("parts/train.csv", "u,class\n1,2\n3,0\n");
    put_text("parts/test.csv", "u,class\n7,1.0\n");
    assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
    check_row(d, 0, (const float[]){7}, 1, 1);
    bl_dataset_close(d);
    put_text("parts/test.csv", "u,class\n7,3\n");
    assert_fails(ctx, BL_BAD_FILE, "class '3' is out of range; expected one of 3", bl_dataset_open(ctx, &o, &d));
    remove(temp_path("parts/test.csv"));
    assert_fails(ctx, BL_NOT_FOUND, "has no test.csv", bl_dataset_open(ctx, &o, &d));
}

/* ---- bad tables ---------------------------------------------------------------------------------------------- */
static const struct {
    const char *text, *target, *words;
    bl_status status;
} bad_tables[] = {
    {"a,y\n1,0\nx7,1\n", NULL, "bad:3:1: column 0 'a': 'x7' is not a number", BL_BAD_FILE},
    {"a,b,y\n1,2,0\n1, nan,1\n", NULL, "bad:3:4: column 1 'b': 'nan' is not a finite number", BL_BAD_FILE},
    {"a,b,y\n1,2,0\n1,-Infinity,1\n", NULL, "bad:3:3: column 1 'b': '-Infinity' is not a finite", BL_BAD_FILE},
    {"a,b,y\n1,2,0\n1,,1\n", NULL, "bad:3:3: column 1 'b': '' is empty", BL_BAD_FILE},
    {"a,y\n1e39,0\n", NULL, "bad:2:1: column 0 'a': '1e39' does not fit float32", BL_BAD_FILE},
    {"a,b,y\n1,2,0\n\n1,2\n", NULL, "bad:4:3: the row has 2 cells; expected 3", BL_BAD_FILE},
    {"a,b,y\n1,2,0,4\n", NULL, "bad:2:7: the row has at least 4 cells; expected 3", BL_BAD_FILE},
    {"a,y\n1,\"0\n2,1\n", NULL, "bad:2:3: the quote that opens here is never closed", BL_BAD_FILE},
    {"a,y\n\"1\"x,0\n", NULL, "bad:2:1: text follows the closing quote", BL_BAD_FILE},
    {"a,y\n1,\n", NULL, "bad:2:3: the class is empty", BL_BAD_FILE},
    {"a,y\n1,NaN\n", NULL, "bad:2:3: the class is NaN", BL_BAD_FILE},
    {"a,y\n1,0.5\n", NULL, "bad:2:3: target '0.5' is not a class (for real targets say regression)", BL_BAD_FILE},
    {"a,y\n1,65536\n", NULL, "label 65536 is out of range; expected 0 to 65535", BL_BAD_FILE},
    {"a,y\n", NULL, "has no rows after the line of names", BL_BAD_FILE},
    {"\n\n", NULL, "has no rows", BL_BAD_FILE},
    {"", NULL, "this file is empty", BL_BAD_FILE},
    {"1,2\n3,4\n", NULL, "which of its 2 columns is the target? Give its number, from 0", BL_BAD_VALUE},
    {"a,b\n3,4\n", NULL, "which of its 2 columns is the target? Give its name", BL_BAD_VALUE},
    {"a,label_1\n3,4\n", "lable_1", "no column 'lable_1' among the 2 of its first line; perhaps 'label_1'?",
     BL_NOT_FOUND},
    {"a,b\n3,4\n", "2", "target column 2; it has columns 0 to 1", BL_BAD_VALUE},
    {"a,b\n3,4\n", "-3", "target column -3; it has columns 0 to 1", BL_BAD_VALUE},
    {"1,x\n3,4\n", "0", "bad:1:3: column 1: 'x' is not a number (if the first line", BL_BAD_FILE},
    {"1\n3\n", "0", "has a single column", BL_BAD_FILE},
    {"\xff\xfe"
     "a",
     "0", "is UTF-16 text", BL_UNSUPPORTED},
};

static void each_bad_table_is_named_with_line_and_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(bad_tables); i++) {
        bl_dataset_options o = {.source = put_text("bad", bad_tables[i].text), .target = bad_tables[i].target};
        bl_dataset *d = NULL;
        assert_fails(ctx, bad_tables[i].status, bad_tables[i].words, bl_dataset_open(ctx, &o, &d));
        assert_null(d);
    }
    bl_dataset_options o = {.source = put_text("bad", "a,y\n1,2\n"), .separator = '"'};
    bl_dataset *d = NULL;
    assert_fails(ctx, BL_BAD_VALUE, "separator: expected one character", bl_dataset_open(ctx, &o, &d));
    o.separator = 0;
    o.split = "test";
    assert_fails(ctx, BL_NOT_FOUND, "has no test part", bl_dataset_open(ctx, &o, &d));
    o.split = NULL;
    put_file(temp_path("bad"), "a,y\n1,\0\n", 8);
    assert_fails(ctx, BL_BAD_FILE, "this file is no data set", bl_dataset_open(ctx, &o, &d));
    char *wide = test_malloc(3000);
    memset(wide, '7', 2999);
    memcpy(wide, "a,y\n", 4);
    wide[2999] = 0;
    put_text("bad", wide);
    assert_fails(ctx, BL_LIMIT, "bad:2:1: the cell is longer than 1023 bytes", bl_dataset_open(ctx, &o, &d));
    test_free(wide);
}

static void a_changed_table_is_noticed_when_read_in_place(void **state)
{
    (void)state;
    const char *path = put_text("moving", "a,y\n10,0\n20,1\n");
    bl_dataset *d = open_set(path, NULL, 1);
    float x;
    put_text("moving", "a,y\n10,0\nab,1\n");
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, &x, NULL, NULL));
    assert_fails(ctx, BL_BAD_FILE, "row 1: ", bl_dataset_read(d, (const uint32_t[]){1}, 1, &x, NULL, NULL));
    put_text("moving", "a,y\n10,0\n");
    assert_fails(ctx, BL_BAD_FILE, "row 1: ", bl_dataset_read(d, (const uint32_t[]){1}, 1, &x, NULL, NULL));
    bl_dataset_close(d);
}

/* ---- real data ----------------------------------------------------------------------------------------------- */
static void higgs_is_read_without_a_word(void **state)
{
    (void)state;
    const char *source = getenv("BITLATHE_SOURCE");
    char path[1024];
    snprintf(path, sizeof path, "%s/../shared/data/datasets/higgs7k/binary.train", source ? source : ".");
    bl_dataset_options o = {.source = path, .target = "0"};
    bl_dataset *d = NULL;
    if (bl_dataset_open(ctx, &o, &d) == BL_NOT_FOUND) {
        print_message("SKIPPED: %s\n", bl_context_message(ctx));
        skip();
    }
    assert_non_null(d);
    assert_int_equal(bl_dataset_rows(d), 7000);
    assert_int_equal(bl_dataset_classes(d), 2);
    float x[28], want[3] = {0.869f, -0.635f, 0.226f};
    int32_t y;
    assert_ok(ctx, bl_dataset_read(d, (const uint32_t[]){0}, 1, x, &y, NULL));
    assert_int_equal(y, 1);
    assert_memory_equal(x, want, sizeof want);
    bl_dataset_close(d);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */
static bl_status open_and_read(bl_context *c, void *arg)
{
    bl_dataset *d = NULL;
    double mean[2], deviation[2];
    BLI_TRY(bl_dataset_open(c, arg, &d));
    bl_status s = bl_dataset_statistics(d, NULL, 0, mean, deviation);
    bl_dataset_close(d);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    make_folder(temp_path("parts"));
    put_text("parts/train.csv", "u,v,class\n1,2,ant\n3,4,beetle\n5,6,cow\n");
    put_text("parts/test.csv", "u,v,class\n7,8,cow\n9,10,beetle\n");
    bl_dataset_options o = {.source = temp_path("parts")};
    assert_true(fail_each_allocation(open_and_read, &o) > 10);
    o.memory = 1;
    assert_true(fail_each_allocation(open_and_read, &o) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_those_of_strtod, start, stop),
        cmocka_unit_test_setup_teardown(every_table_comes_back_as_written, start, stop),
        cmocka_unit_test_setup_teardown(rows_longer_than_the_buffer_and_blocks_of_the_index, start, stop),
        cmocka_unit_test_setup_teardown(classes_are_numbers_or_sorted_names, start, stop),
        cmocka_unit_test_setup_teardown(many_class_names_keep_their_order, start, stop),
        cmocka_unit_test_setup_teardown(targets_may_be_real_numbers, start, stop),
        cmocka_unit_test_setup_teardown(a_folder_numbers_both_parts_alike, start, stop),
        cmocka_unit_test_setup_teardown(each_bad_table_is_named_with_line_and_column, start, stop),
        cmocka_unit_test_setup_teardown(a_changed_table_is_noticed_when_read_in_place, start, stop),
        cmocka_unit_test_setup_teardown(higgs_is_read_without_a_word, start, stop),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
