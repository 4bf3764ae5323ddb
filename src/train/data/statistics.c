/* statistics.c: mean and deviation of every feature in one pass.
 *
 * Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4 (1962): the
 * running mean and the sum of squared distances from it, so that a feature of mean 1e6 and deviation 1 keeps its
 * digits.  In row order and on one thread: the result is a function of the rows alone.
 */
#include <math.h>

#include "train/data/data.h"

enum { CHUNK_ELEMENTS = 1 << 16, MAX_CHUNK_ROWS = 256 };

static void welford_row(const float *x, size_t elements, double inverse_count, double *mean, double *squares)
{
    for (size_t k = 0; k < elements; k++) {
        double delta = (double)x[k] - mean[k];
        mean[k] += delta * inverse_count;
        squares[k] += delta * ((double)x[k] - mean[k]);
    }
}

static bl_status accumulate(const bl_dataset *d, const uint32_t *rows, size_t n, size_t step, float *x, double *mean,
                            double *squares)
{
    uint32_t all[MAX_CHUNK_ROWS];
    for (size_t done = 0; done < n; done += step) {
        if (bli_interrupted(d->ctx))
            return bli_fail(d->ctx, BL_INTERRUPTED, "%s: statistics interrupted", d->path);
        size_t part = n - done < step ? n - done : step;
        for (size_t i = 0; i < part; i++)
            all[i] = rows ? rows[done + i] : (uint32_t)(done + i);
        BLI_TRY(bl_dataset_read(d, all, part, x, NULL, NULL));
        for (size_t i = 0; i < part; i++)
            welford_row(x + i * d->row_elements, d->row_elements, 1.0 / (double)(done + i + 1), mean, squares);
    }
    return BL_OK;
}

bl_status bl_dataset_statistics(const bl_dataset *d, const uint32_t *rows, size_t n, double *mean, double *deviation)
{
    size_t count = rows ? n : (size_t)d->rows;
    if (count == 0)
        return bli_fail(d->ctx, BL_BAD_VALUE, "%s: statistics of no rows", d->path);
    size_t step = CHUNK_ELEMENTS / d->row_elements;
    step = step < 1 ? 1 : step > MAX_CHUNK_ROWS ? MAX_CHUNK_ROWS : step;
    float *x = bli_alloc_array(d->ctx, step * d->row_elements, sizeof *x);
    if (!x)
        return BL_NO_MEMORY;
    for (size_t k = 0; k < d->row_elements; k++)
        mean[k] = deviation[k] = 0;
    bl_status s = accumulate(d, rows, count, step, x, mean, deviation);
    for (size_t k = 0; k < d->row_elements; k++)
        deviation[k] = sqrt(deviation[k] / (double)count);
    bli_free(d->ctx, x);
    return s;
}
