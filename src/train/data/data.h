/* data.h (internal): what every kind of data set is made of.
 *
 * A data set is a way to read features, a block of labels or targets, and the names that messages use.  Each source
 * (IDX, npy, CSV, images) fills this in once at opening; afterwards the set never changes, which is why any number of
 * threads may read it.  Memory that reading needs is on the reader's stack or was taken at opening: the context's
 * allocator belongs to one thread at a time.
 */
#ifndef BLI_TRAIN_DATA_H
#define BLI_TRAIN_DATA_H

#include "base/base.h"
#include "bitlathe/dataset.h"
#include "train/data/block.h"

enum {
    BLI_DATA_MAX_CLASSES = 65536,
    BLI_DATA_MAX_ELEMENTS = 1 << 26, /* of one row */
    BLI_DATA_DEFERRED = 8,
};

/* Features of rows that are known to be in range, into x; the state is the source's own. */
typedef bl_status (*bli_features_fn)(const bl_dataset *d, const uint32_t *rows, size_t n, float *x);
typedef void (*bli_release_fn)(bl_context *ctx, void *what);

struct bl_dataset {
    bl_context *ctx;
    bli_arena *arena;
    const char *path; /* what messages call it */
    int64_t rows;
    bl_shape row_shape;
    size_t row_elements;
    bli_features_fn read_features;
    bli_block features;
    void *state;
    bool labelled;
    bli_block labels; /* classes (one element a row) or targets */
    int classes, targets;
    const char *const *class_names;
    const char *const *feature_names;
    struct {
        bli_release_fn release; /* NULL: fd is closed */
        void *what;
        int fd;
    } deferred[BLI_DATA_DEFERRED];
    int num_deferred;
};

/* An empty set, closed with bl_dataset_close at any stage of filling it in. */
BL_MUST_CHECK bl_status bli_dataset_create(bl_context *ctx, const char *path, bl_dataset **out);
/* Calls release(ctx, what) at closing, last one first. */
void bli_dataset_defer(bl_dataset *d, bli_release_fn release, void *what);
void bli_dataset_defer_fd(bl_dataset *d, int fd);

/* Takes the block as features, viewed as options->shape where given. */
BL_MUST_CHECK bl_status bli_dataset_set_features(bl_dataset *d, const bli_block *features, const bl_shape *row_shape,
                                                 const char *shape);
/* Takes the block as labels or targets: checks the count, every value, and finds the number of classes. */
BL_MUST_CHECK bl_status bli_dataset_set_labels(bl_dataset *d, const bli_block *labels, const bl_shape *row_shape,
                                               const bl_dataset_options *o);

/* Bytes that rows may take in memory. */
size_t bli_data_budget(const bl_dataset_options *o);

/* Whether rows are bytes in memory, which can be read through a map: x gets what it makes of each byte.  The rest as
 * bl_dataset_read. */
bool bli_dataset_has_bytes(const bl_dataset *d);
BL_MUST_CHECK bl_status bli_dataset_read_mapped(const bl_dataset *d, const uint32_t *rows, size_t n,
                                                const bli_byte_map *map, float *x, int32_t *labels, float *targets);
/* Asks the processor to bring these rows nearer, for reading them soon.  Nothing where rows are not in memory. */
void bli_dataset_prefetch(const bl_dataset *d, const uint32_t *rows, size_t n);

#endif
