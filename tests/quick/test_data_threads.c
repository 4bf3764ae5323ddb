/* test_data_threads.c: one set read by many threads at once gives each of them its rows, and its failures.
 * Run under TSan too. */
#include <pthread.h>

#include "bitlathe/dataset.h"
#include "support/data_files.h"
#include "support/folder.h"
#include "support/test.h"

enum { ROWS = 3000, READERS = 4, ROUNDS = 400, BATCH = 5 };

typedef struct reader {
    const bl_dataset *d;
    uint32_t seed;
    int wrong;
} reader;

/* Row r of each set is (r, -r, r mod 7), its label r mod 5. */
static bool is_right(const uint32_t *rows, const float *x, const int32_t *y)
{
    bool right = true;
    for (int k = 0; k < BATCH; k++) {
        float r = (float)rows[k];
        right = right && x[3 * k] == r && x[3 * k + 1] == -r && x[3 * k + 2] == (float)(rows[k] % 7);
        right = right && y[k] == (int32_t)(rows[k] % 5);
    }
    return right;
}

static void *read_many(void *arg)
{
    reader *r = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t rows[BATCH];
        float x[3 * BATCH];
        int32_t y[BATCH];
        for (int k = 0; k < BATCH; k++)
            rows[k] = next_random(&r->seed) % ROWS;
        if (bl_dataset_read(r->d, rows, BATCH, x, y, NULL) != BL_OK || !is_right(rows, x, y))
            r->wrong++;
        rows[0] = ROWS;
        if (bl_dataset_read(r->d, rows, 1, x, y, NULL) != BL_USAGE)
            r->wrong++;
    }
    return NULL;
}

static void read_by_all(const bl_dataset *d)
{
    pthread_t threads[READERS];
    reader readers[READERS];
    for (int t = 0; t < READERS; t++) {
        readers[t] = (reader){d, (uint32_t)t, 0};
        assert_int_equal(pthread_create(&threads[t], NULL, read_many, &readers[t]), 0);
    }
    for (int t = 0; t < READERS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(readers[t].wrong, 0);
    }
}

static void put_sets(bl_context *ctx)
{
    double *x = test_malloc(3 * ROWS * sizeof *x), *y = test_malloc(ROWS * sizeof *y);
    bli_buf b;
    bli_buf_init(&b, ctx, 1 << 20);
    assert_ok(ctx, bli_buf_printf(&b, "a,b,c,y\n"));
    for (int r = 0; r < ROWS; r++) {
        x[3 * r] = r;
        x[3 * r + 1] = -r;
        x[3 * r + 2] = r % 7;
        y[r] = r % 5;
        assert_ok(ctx, bli_buf_printf(&b, "%d,%d,%d,%d\n", r, -r, r % 7, r % 5));
    }
    put_file(temp_path("t.csv"), b.data, b.size);
    put_idx(temp_path("t-images"), BL_F32, &(bl_shape){2, {ROWS, 3}}, x, false);
    put_idx(temp_path("t-labels"), BL_I16, &(bl_shape){1, {ROWS}}, y, false);
    bli_buf_free(&b);
    test_free(x);
    test_free(y);
}

static void every_source_serves_many_threads(void **state)
{
    (void)state;
    bl_context *ctx = NULL;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    put_sets(ctx);
    static const char *const sources[] = {"t.csv", "t-images"};
    for (size_t i = 0; i < BLI_COUNT(sources); i++)
        for (size_t memory = 0; memory < 2; memory++) { /* in memory, in place */
            bl_dataset_options o = {.source = temp_path(sources[i]), .memory = memory};
            bl_dataset *d = NULL;
            assert_ok(ctx, bl_dataset_open(ctx, &o, &d));
            read_by_all(d);
            bl_dataset_close(d);
        }
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_source_serves_many_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
