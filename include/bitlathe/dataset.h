/* dataset.h: rows of features with a class or a target.
 *
 * Sources: a known name ("fashion-mnist", found where the distribution's package dataset-fashion-mnist puts it or in
 * $BITLATHE_DATA), a folder of IDX files (plain or .gz), an .npz or .npy pair, a .csv with a named target, a folder of
 * PNG and JPEG files by class.  What a file is, its content says, not its name.  Values come out raw (pixels 0..255):
 * normalisation is part of the model, as nodes.
 * Sources beyond the memory option (plain IDX, npy, CSV, images) are read in place, row by row, never whole; what can
 * only be unpacked from its beginning (.gz, .npz) and is larger is refused, with the advice to unpack it.
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
    const char *split;    /* "train" or "test"; NULL: the test part if there is one, else all there is.  A source of one
                             part (a single file) is "train" */
    const char *target;   /* csv: name (or 0-based number, -1 the last) of the target column, by default the one named
                             label, target, class or y; npz: name of the label array ("y"); npy, IDX: the label file */
    const char *features; /* npz: name of the feature array ("x" by default); csv: unused */
    const char *shape;    /* "28x28x1": how a row is seen; NULL: as it is stored */
    bool regression;      /* targets are real numbers, not classes */
    char separator;       /* csv: 0 = detect */
    bool header;          /* csv: first line has names; detected when target is a name or no cell of it is a number */
    int classes;          /* labels lie in 0 .. classes-1; 0: the greatest label says */
    const char *const *class_names; /* csv: the classes' texts in order, `classes` of them; NULL: those found, sorted */
    size_t memory; /* bytes that rows may take in memory; 0: a quarter of the machine's, or of the process's limit */
} bl_dataset_options;

/* Opens a source, having checked its shape, its labels and its sizes; the message names the file. */
BL_MUST_CHECK bl_status bl_dataset_open(bl_context *ctx, const bl_dataset_options *options, bl_dataset **out);
/* Features of dims [rows, ...] and int32 labels [rows] or float targets [rows, k], borrowed: must outlive the set.
 * labels NULL: rows without either (classes and targets are 0). */
BL_MUST_CHECK bl_status bl_dataset_from_tensors(bl_context *ctx, const bl_tensor *features, const bl_tensor *labels,
                                                bl_dataset **out);
void bl_dataset_close(bl_dataset *d); /* NULL is fine */

int64_t bl_dataset_rows(const bl_dataset *d);              /* of the split that was asked for */
const bl_shape *bl_dataset_row_shape(const bl_dataset *d); /* without the batch: [28, 28, 1] */
int bl_dataset_classes(const bl_dataset *d);               /* 0 for regression */
int bl_dataset_targets(const bl_dataset *d);               /* regression: numbers per row */
/* The class's name ("3" where the source has none); NULL if there is no class c. */
const char *bl_dataset_class_name(const bl_dataset *d, int c);
/* The name of feature i in row order where the source has names (csv with a header); else NULL. */
const char *bl_dataset_feature_name(const bl_dataset *d, int64_t i);

/* Rows rows[0..n-1] as float32 into x (n * row elements) and labels (int32, classes) or targets (float, n * targets);
 * each may be NULL.  Thread-safe.  NaN or infinity in the data, or what float32 cannot hold, is BL_BAD_FILE with row
 * and column; what x, labels and targets then hold is not defined. */
BL_MUST_CHECK bl_status bl_dataset_read(const bl_dataset *d, const uint32_t *rows, size_t n, float *x, int32_t *labels,
                                        float *targets);

/* Per-feature mean and standard deviation (of the population: divided by n) over the given rows (NULL: all, n ignored),
 * row-element arrays, in double, one pass (Welford).  A feature that never changes has deviation 0. */
BL_MUST_CHECK bl_status bl_dataset_statistics(const bl_dataset *d, const uint32_t *rows, size_t n, double *mean,
                                              double *deviation);

/* Random changes of image rows [H, W, C] or [H, W], a pure function of (seed, epoch, row); in the order flip, shift,
 * crop.  Rows of another rank are left as they are. */
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
