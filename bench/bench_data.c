/* bench_data.c: rows a second out of a data set, at random positions and in order.
 *
 *     bench_data [SOURCE [TARGET [MEMORY]]]        (fashion-mnist by default)
 *
 * Prints the best of several passes over all rows in batches of 128, and a sum of what was read, which must never
 * change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bitlathe/dataset.h"

enum { BATCH = 128, PASSES = 7 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void shuffle(uint32_t *order, uint32_t n)
{
    uint64_t state = 1;
    for (uint32_t i = n - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t j = (uint32_t)((state >> 33) % (i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static double pass(const bl_dataset *d, const uint32_t *order, size_t rows, float *x, int32_t *y, size_t elements,
                   double *sum)
{
    double best = 1e30;
    for (int p = 0; p < PASSES; p++) {
        double start = now();
        *sum = 0;
        for (size_t at = 0; at + BATCH <= rows; at += BATCH) {
            if (bl_dataset_read(d, order + at, BATCH, x, y, NULL) != BL_OK)
                return -1;
            *sum += (double)x[elements / 2] + (y ? y[0] : 0);
        }
        double took = now() - start;
        best = took < best ? took : best;
    }
    return best / (double)(rows / BATCH * BATCH);
}

int main(int argc, char **argv)
{
    bl_context *ctx = NULL;
    bl_dataset *d = NULL;
    bl_dataset_options o = {.source = argc > 1 ? argv[1] : "fashion-mnist",
                            .split = "train",
                            .target = argc > 2 ? argv[2] : NULL,
                            .memory = argc > 3 ? strtoull(argv[3], NULL, 10) : 0};
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    double start = now();
    if (bl_dataset_open(ctx, &o, &d) != BL_OK) {
        printf("SKIPPED: %s\n", bl_context_message(ctx));
        bl_context_destroy(ctx);
        return 77;
    }
    double opened = now() - start;
    uint32_t rows = (uint32_t)bl_dataset_rows(d);
    size_t elements = (size_t)bl_shape_count(bl_dataset_row_shape(d));
    uint32_t *order = malloc(rows * sizeof *order);
    float *x = malloc(BATCH * elements * sizeof *x);
    int32_t labels[BATCH], *y = bl_dataset_classes(d) ? labels : NULL;
    double sum = 0;
    for (uint32_t i = 0; i < rows; i++)
        order[i] = i;
    printf("%s: %u rows of %zu, opened in %.3f s\n", o.source, rows, elements, opened);
    double in_order = pass(d, order, rows, x, y, elements, &sum);
    printf("  in order   %8.1f ns/row  %10.0f rows/s  sum %.17g\n", in_order * 1e9, 1 / in_order, sum);
    shuffle(order, rows);
    double random = pass(d, order, rows, x, y, elements, &sum);
    printf("  shuffled   %8.1f ns/row  %10.0f rows/s  sum %.17g\n", random * 1e9, 1 / random, sum);
    free(order);
    free(x);
    bl_dataset_close(d);
    bl_context_destroy(ctx);
    return in_order > 0 && random > 0 ? 0 : 1;
}
