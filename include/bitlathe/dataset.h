/* dataset.h: rows of features with a class or a target.
 *
 * Sources: a known name ("fashion-mnist", found where the distribution's package dataset-fashion-mnist puts it or in
 * $BITLATHE_DATA), a folder of IDX files (plain or .gz), an .npz or .npy pair, a .csv with a named target, a folder of
 * PNG and JPEG files by class.  Values come out raw (pixels 0..255): normalisation is part of the model, as nodes.
 * Larger-than-memory npy, IDX and CSV sources are read in place (mapped or indexed), never whole.
 */
#ifndef BITLATHE_DATASET_H
#define BITLATHE_DATASET_H

#include "bitlathe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_dataset bl_dataset;

typedef struct bl_dataset_options {
    const char *source;   /* name or path */
    const char *split;    /* "train" or "test" */
    const char *target;   /* csv: name (or 0-based number) of the target column; npz: name of the label array */
    const char *features; /* npz: name of the feature array ("x" by default); csv: unused */
    const char *shape;    /* "28x28x1": how a row is seen; NULL: as it is stored */
    bool regression;      /* targets are real numbers, not classes */
    char separator;       /* csv: 0 = detect */
    bool header;          /* csv: first line has names; detected when target is a name */
} bl_dataset_options;

BL_MUST_CHECK bl_status bl_dataset_open(bl_context *ctx, const bl_dataset_options *options, bl_dataset **out);
/* Features of dims [rows, ...] and int32 labels [rows] or float targets [rows, k], borrowed: must outlive the set. */
BL_MUST_CHECK bl_status bl_dataset_from_tensors(bl_context *ctx, const bl_tensor *features, const bl_tensor *labels,
                                                bl_dataset **out);
void bl_dataset_close(bl_dataset *d); /* NULL is fine */

int64_t bl_dataset_rows(const bl_dataset *d);
const bl_shape *bl_dataset_row_shape(const bl_dataset *d); /* without the batch: [28, 28, 1] */
int bl_dataset_classes(const bl_dataset *d);               /* 0 for regression */
int bl_dataset_targets(const bl_dataset *d);               /* regression: numbers per row */
const char *bl_dataset_class_name(const bl_dataset *d, int c);

/* Rows rows[0..n-1] as float32 into x (n * row elements) and labels (int32, classes) or targets (float); either may be
 * NULL.  Thread-safe.  NaN or infinity in the data is BL_BAD_FILE with row and column. */
BL_MUST_CHECK bl_status bl_dataset_read(const bl_dataset *d, const uint32_t *rows, size_t n, float *x, int32_t *labels,
                                        float *targets);

/* Per-feature mean and standard deviation over the given rows (NULL: all), row-element arrays, in double, one pass. */
BL_MUST_CHECK bl_status bl_dataset_statistics(const bl_dataset *d, const uint32_t *rows, size_t n, double *mean,
                                              double *deviation);

/* Random changes of image rows [H, W, C], a pure function of (seed, epoch, row). */
typedef struct bl_augment {
    bool flip; /* left-right, probability one half */
    int shift; /* up to so many pixels in both directions, zeros shifted in */
    int crop;  /* pad by so many zeros on each side, then crop back at a random place */
} bl_augment;
void bl_augment_rows(const bl_augment *a, uint64_t seed, uint64_t epoch, const uint32_t *rows, size_t n,
                     const bl_shape *row_shape, float *x);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
