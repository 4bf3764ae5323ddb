/* dataset.c: a data set's life: filled in by its source, checked, read by many, closed.
 *
 * Invariant once opened: every label is a class below `classes` or a finite target; every feature is checked as it is
 * read, because that costs nothing there and a pass over a file larger than memory would.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "train/data/data.h"

enum { CHUNK = 1024 };

/* ---- life ---------------------------------------------------------------------------------------------------- */
bl_status bli_dataset_create(bl_context *ctx, const char *path, bl_dataset **out)
{
    *out = NULL;
    bli_arena *arena = NULL;
    BLI_TRY(bli_arena_create(ctx, &arena));
    bl_dataset *d = bli_arena_alloc(arena, sizeof *d);
    char *copy = d ? bli_arena_strdup(arena, path) : NULL;
    if (!copy) {
        bli_arena_destroy(arena);
        return BL_NO_MEMORY;
    }
    *d = (bl_dataset){.ctx = ctx, .arena = arena, .path = copy};
    *out = d;
    return BL_OK;
}

void bli_dataset_defer(bl_dataset *d, bli_release_fn release, void *what)
{
    d->deferred[d->num_deferred].release = release;
    d->deferred[d->num_deferred++].what = what;
}

void bli_dataset_defer_fd(bl_dataset *d, int fd)
{
    d->deferred[d->num_deferred].release = NULL;
    d->deferred[d->num_deferred++].fd = fd;
}

void bl_dataset_close(bl_dataset *d)
{
    if (!d)
        return;
    while (d->num_deferred > 0) {
        d->num_deferred--;
        if (d->deferred[d->num_deferred].release)
            d->deferred[d->num_deferred].release(d->ctx, d->deferred[d->num_deferred].what);
        else
            close(d->deferred[d->num_deferred].fd);
    }
    bli_arena_destroy(d->arena);
}

/* ---- features ------------------------------------------------------------------------------------------------ */
static bl_status read_block_features(const bl_dataset *d, const uint32_t *rows, size_t n, float *x)
{
    return bli_block_read(d->ctx, &d->features, rows, n, x);
}

static bl_status bad_shape_text(bl_context *ctx, const char *text)
{
    return bli_fail(ctx, BL_BAD_VALUE, "shape '%s': expected up to %d whole numbers with 'x' between, like 28x28x1",
                    text, BL_MAX_RANK);
}

/* "28x28x1" as a shape of `elements` elements. */
static bl_status parse_row_shape(bl_context *ctx, const char *text, size_t elements, bl_shape *out)
{
    bl_shape s = {0};
    const char *p = text;
    do {
        int64_t value = 0;
        const char *digits = p;
        while (*p >= '0' && *p <= '9' && value <= BLI_DATA_MAX_ELEMENTS)
            value = value * 10 + (*p++ - '0');
        if (p == digits || value < 1 || s.rank == BL_MAX_RANK)
            return bad_shape_text(ctx, text);
        s.dim[s.rank++] = value;
    } while (*p == 'x' && *p++);
    if (*p != '\0')
        return bad_shape_text(ctx, text);
    if (bl_shape_count(&s) != (int64_t)elements)
        return bli_fail(ctx, BL_BAD_VALUE, "shape %s has %lld elements, but a row has %zu", text,
                        (long long)bl_shape_count(&s), elements);
    *out = s;
    return BL_OK;
}

bl_status bli_dataset_set_features(bl_dataset *d, const bli_block *features, const bl_shape *row_shape,
                                   const char *shape)
{
    if (features->rows == 0)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: has no rows", features->path);
    if (features->rows > UINT32_MAX)
        return bli_fail(d->ctx, BL_LIMIT, "%s: has %llu rows; the limit is %u", features->path,
                        (unsigned long long)features->rows, UINT32_MAX);
    if (features->elements == 0 || features->elements > BLI_DATA_MAX_ELEMENTS)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: a row has %zu elements; expected 1 to %d", features->path,
                        features->elements, BLI_DATA_MAX_ELEMENTS);
    d->rows = (int64_t)features->rows;
    d->row_elements = features->elements;
    d->row_shape = *row_shape;
    d->features = *features;
    d->read_features = read_block_features;
    if (!shape)
        return BL_OK;
    return bli_within(d->ctx, parse_row_shape(d->ctx, shape, features->elements, &d->row_shape), "%s", features->path);
}

/* ---- labels -------------------------------------------------------------------------------------------------- */
static bl_status check_class(const bl_dataset *d, const bli_block *labels, uint64_t row, double v, int classes)
{
    if (v == floor(v) && v >= 0 && v < classes)
        return BL_OK;
    if (v == floor(v))
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: row %llu: label %.0f is out of range; expected 0 to %d", labels->path,
                        (unsigned long long)row, v, classes - 1);
    return bli_fail(d->ctx, BL_BAD_FILE, "%s: row %llu: label %g is not a class (for real targets say regression)",
                    labels->path, (unsigned long long)row, v);
}

static bl_status check_classes(bl_dataset *d, const bli_block *labels, int classes)
{
    double v[CHUNK], greatest = 0;
    int limit = classes > 0 ? classes : BLI_DATA_MAX_CLASSES;
    for (uint64_t row = 0; row < labels->rows; row += CHUNK) {
        size_t n = labels->rows - row < CHUNK ? (size_t)(labels->rows - row) : CHUNK;
        BLI_TRY(bli_block_doubles(d->ctx, labels, row, n, v));
        for (size_t i = 0; i < n; i++) {
            BLI_TRY(check_class(d, labels, row + i, v[i], limit));
            greatest = v[i] > greatest ? v[i] : greatest;
        }
    }
    d->classes = classes > 0 ? classes : (int)greatest + 1;
    return BL_OK;
}

static bl_status check_targets(bl_dataset *d, const bli_block *targets)
{
    double v[CHUNK];
    uint64_t count = targets->rows * targets->elements;
    for (uint64_t at = 0; at < count; at += CHUNK) {
        size_t n = count - at < CHUNK ? (size_t)(count - at) : CHUNK;
        BLI_TRY(bli_block_doubles(d->ctx, targets, at, n, v));
        for (size_t i = 0; i < n; i++)
            if (!isfinite((float)v[i]))
                return bli_fail(d->ctx, BL_BAD_FILE, "%s: row %llu: target %g is not a finite float32", targets->path,
                                (unsigned long long)((at + i) / targets->elements), v[i]);
    }
    return BL_OK;
}

static bl_status check_label_shape(const bl_dataset *d, const bli_block *labels, const bl_shape *row_shape,
                                   bool regression)
{
    char got[128];
    bl_shape_print(row_shape, got, sizeof got);
    if (labels->rows != (uint64_t)d->rows)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: has %llu labels, but %s has %lld rows", labels->path,
                        (unsigned long long)labels->rows, d->features.path ? d->features.path : d->path,
                        (long long)d->rows);
    if (!regression && labels->elements != 1)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: a label has shape %s; expected one class number a row", labels->path,
                        got);
    if (row_shape->rank > 1 || labels->elements < 1 || labels->elements > BLI_DATA_MAX_CLASSES)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: a target has shape %s; expected 1 to %d numbers a row", labels->path,
                        got, BLI_DATA_MAX_CLASSES);
    return BL_OK;
}

static bl_status number_classes(bl_dataset *d)
{
    char **names = bli_arena_array(d->arena, (size_t)d->classes, sizeof *names);
    char *text = names ? bli_arena_array(d->arena, (size_t)d->classes, 8) : NULL;
    if (!text)
        return BL_NO_MEMORY;
    for (int c = 0; c < d->classes; c++) {
        names[c] = text + 8 * (size_t)c;
        snprintf(names[c], 8, "%d", c & 0xfffff);
    }
    d->class_names = (const char *const *)names;
    return BL_OK;
}

static bl_status name_classes(bl_dataset *d, const char *const *names)
{
    if (!names)
        return number_classes(d);
    char **copy = bli_arena_array(d->arena, (size_t)d->classes, sizeof *copy);
    if (!copy)
        return BL_NO_MEMORY;
    for (int c = 0; c < d->classes; c++)
        if (!(copy[c] = bli_arena_strdup(d->arena, names[c])))
            return BL_NO_MEMORY;
    d->class_names = (const char *const *)copy;
    return BL_OK;
}

bl_status bli_dataset_set_labels(bl_dataset *d, const bli_block *labels, const bl_shape *row_shape,
                                 const bl_dataset_options *o)
{
    if (o->classes < 0 || o->classes > BLI_DATA_MAX_CLASSES)
        return bli_fail(d->ctx, BL_BAD_VALUE, "%s: %d classes; expected 0 to %d", d->path, o->classes,
                        BLI_DATA_MAX_CLASSES);
    BLI_TRY(check_label_shape(d, labels, row_shape, o->regression));
    d->labels = *labels;
    d->labelled = true;
    if (o->regression) {
        d->targets = (int)labels->elements;
        return check_targets(d, labels);
    }
    BLI_TRY(check_classes(d, labels, o->classes));
    return name_classes(d, o->classes > 0 ? o->class_names : NULL);
}

/* ---- what a user asks ---------------------------------------------------------------------------------------- */
int64_t bl_dataset_rows(const bl_dataset *d)
{
    return d->rows;
}
const bl_shape *bl_dataset_row_shape(const bl_dataset *d)
{
    return &d->row_shape;
}
int bl_dataset_classes(const bl_dataset *d)
{
    return d->classes;
}
int bl_dataset_targets(const bl_dataset *d)
{
    return d->targets;
}
const char *bl_dataset_class_name(const bl_dataset *d, int c)
{
    return c >= 0 && c < d->classes ? d->class_names[c] : NULL;
}
const char *bl_dataset_feature_name(const bl_dataset *d, int64_t i)
{
    return d->feature_names && i >= 0 && i < (int64_t)d->row_elements ? d->feature_names[i] : NULL;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */
static bl_status check_rows(const bl_dataset *d, const uint32_t *rows, size_t n)
{
    uint32_t greatest = 0;
    for (size_t i = 0; i < n; i++)
        greatest = rows[i] > greatest ? rows[i] : greatest;
    if (n > 0 && greatest >= d->rows)
        return bli_fail(d->ctx, BL_USAGE, "%s: row %u asked for; it has rows 0 to %lld", d->path, greatest,
                        (long long)d->rows - 1);
    return BL_OK;
}

/* The common kinds, bytes and 32-bit numbers in memory; false if it is another, or one of them is no class. */
static bool read_plain_labels(const bl_dataset *d, const uint32_t *rows, size_t n, int32_t *labels)
{
    const bli_block *b = &d->labels;
    if (!b->data || (b->type != BL_U8 && b->type != BL_I32))
        return false;
    uint32_t greatest = 0; /* negative ones are greater still */
    for (size_t i = 0; i < n; i++) {
        if (b->type == BL_U8)
            labels[i] = b->data[rows[i]];
        else
            memcpy(&labels[i], b->data + sizeof(int32_t) * rows[i], sizeof(int32_t));
        greatest = (uint32_t)labels[i] > greatest ? (uint32_t)labels[i] : greatest;
    }
    return n == 0 || greatest < (uint32_t)d->classes;
}

/* Checked again: what was borrowed, or is read in place, may have changed since it was opened. */
static bl_status read_labels(const bl_dataset *d, const uint32_t *rows, size_t n, int32_t *labels)
{
    if (read_plain_labels(d, rows, n, labels))
        return BL_OK;
    for (size_t i = 0; i < n; i++) {
        double v = 0;
        BLI_TRY(bli_block_doubles(d->ctx, &d->labels, rows[i], 1, &v));
        BLI_TRY(check_class(d, &d->labels, rows[i], v, d->classes));
        labels[i] = (int32_t)v;
    }
    return BL_OK;
}

static bl_status read_rest(const bl_dataset *d, const uint32_t *rows, size_t n, int32_t *labels, float *targets)
{
    if (labels)
        BLI_TRY(read_labels(d, rows, n, labels));
    return targets ? bli_block_read(d->ctx, &d->labels, rows, n, targets) : BL_OK;
}

static bl_status check_read(const bl_dataset *d, const uint32_t *rows, size_t n, bool labels, bool targets)
{
    BLI_TRY(check_rows(d, rows, n));
    if (labels && d->classes == 0)
        return bli_fail(d->ctx, BL_USAGE, "%s: has no classes to read", d->path);
    if (targets && d->targets == 0)
        return bli_fail(d->ctx, BL_USAGE, "%s: has no targets to read", d->path);
    return BL_OK;
}

bl_status bl_dataset_read(const bl_dataset *d, const uint32_t *rows, size_t n, float *x, int32_t *labels,
                          float *targets)
{
    BLI_TRY(check_read(d, rows, n, labels != NULL, targets != NULL));
    if (x)
        BLI_TRY(d->read_features(d, rows, n, x));
    return read_rest(d, rows, n, labels, targets);
}

bool bli_dataset_has_bytes(const bl_dataset *d)
{
    return d->read_features == read_block_features && d->features.data && d->features.type == BL_U8;
}

bl_status bli_dataset_read_mapped(const bl_dataset *d, const uint32_t *rows, size_t n, const bli_byte_map *map,
                                  float *x, int32_t *labels, float *targets)
{
    BLI_TRY(check_read(d, rows, n, labels != NULL, targets != NULL));
    d->features.gather(d->features.data, d->row_elements, rows, n, map, x);
    return read_rest(d, rows, n, labels, targets);
}

void bli_dataset_prefetch(const bl_dataset *d, const uint32_t *rows, size_t n)
{
    const bli_block *blocks[] = {&d->features, &d->labels};
    for (size_t b = 0; b < BLI_COUNT(blocks); b++) {
        const size_t bytes = blocks[b]->elements * bl_dtype_size(blocks[b]->type);
        for (size_t i = 0; blocks[b]->data && i < n; i++)
            for (size_t at = 0; rows[i] < d->rows && at < bytes; at += BLI_ALIGN)
                __builtin_prefetch(blocks[b]->data + rows[i] * bytes + at, 0, 2);
    }
}
