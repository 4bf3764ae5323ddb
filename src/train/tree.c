#include "train/tree.h"

#include <string.h>

/* tree.c: in pieces that stay in the first-level cache. */
enum { PIECE = 512 };

static void add_f32(float *restrict a, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i];
}

static void add_f64(double *restrict a, const double *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i];
}

void bli_tree_sum(bl_dtype type, void *out, char *rows, size_t stride_bytes, int slices, size_t n)
{
    const size_t size = bl_dtype_size(type);
    for (size_t at = 0; at < n; at += PIECE) {
        const size_t m = n - at < PIECE ? n - at : PIECE;
        char *base = rows + at * size;
        for (int gap = 1; gap < slices; gap *= 2)
            for (int s = 0; s + gap < slices; s += 2 * gap) {
                char *a = base + (size_t)s * stride_bytes, *b = base + (size_t)(s + gap) * stride_bytes;
                if (type == BL_F32)
                    add_f32((float *)a, (const float *)b, m);
                else
                    add_f64((double *)a, (const double *)b, m);
            }
        memcpy((char *)out + at * size, base, m * size);
    }
}
