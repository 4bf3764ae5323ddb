/* tensors.c: a data set over tensors that the caller owns. */
#include "train/data/data.h"

static const char *const where = "data set of tensors";

static bl_status shape_of_rows(bl_context *ctx, const bl_tensor *t, const char *what, bl_shape *row, size_t *elements)
{
    char text[128];
    bl_shape_print(&t->shape, text, sizeof text);
    if (t->shape.rank < 1 || bl_shape_count(&t->shape) < 1)
        return bli_fail(ctx, BL_BAD_VALUE, "%s: %s have shape %s; expected [rows, ...], none of them 0", where, what,
                        text);
    *row = (bl_shape){.rank = t->shape.rank - 1};
    for (int i = 0; i < row->rank; i++)
        row->dim[i] = t->shape.dim[i + 1];
    *elements = (size_t)bl_shape_count(row);
    return BL_OK;
}

static bl_status take_features(bl_dataset *d, const bl_tensor *t)
{
    bl_shape row = {0};
    size_t elements = 0;
    BLI_TRY(shape_of_rows(d->ctx, t, "features", &row, &elements));
    bli_block b = bli_block_make(d->path, t->type, (uint64_t)t->shape.dim[0], elements, t->data);
    return bli_dataset_set_features(d, &b, &row, NULL);
}

static bl_status take_labels(bl_dataset *d, const bl_tensor *t)
{
    bl_shape row = {0};
    size_t elements = 0;
    if (t->type != BL_I32 && t->type != BL_F32)
        return bli_fail(d->ctx, BL_BAD_VALUE, "%s: labels are %s; expected I32 classes or F32 targets", where,
                        bl_dtype_name(t->type));
    BLI_TRY(shape_of_rows(d->ctx, t, "labels", &row, &elements));
    bli_block b = bli_block_make(d->path, t->type, (uint64_t)t->shape.dim[0], elements, t->data);
    return bli_dataset_set_labels(d, &b, &row, &(bl_dataset_options){.regression = t->type == BL_F32});
}

bl_status bl_dataset_from_tensors(bl_context *ctx, const bl_tensor *features, const bl_tensor *labels, bl_dataset **out)
{
    *out = NULL;
    bl_dataset *d = NULL;
    BLI_TRY(bli_dataset_create(ctx, where, &d));
    bl_status s = take_features(d, features);
    if (s == BL_OK && labels)
        s = take_labels(d, labels);
    if (s != BL_OK) {
        bl_dataset_close(d);
        return s;
    }
    *out = d;
    return BL_OK;
}
