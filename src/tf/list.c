/* list.c: lists of tensors, what TensorArray and TensorList operators hold; taking tensors apart and joining them. */
#include <string.h>

#include "tf/flow.h"

bl_status bli_tf_act_scalar(bli_tf_session *s, int dtype, bli_tf_array *out)
{
    return bli_tf_array_make(s->pool, dtype, &(bl_shape){0, {0}}, out);
}

bl_status bli_tf_act_int(bli_tf_session *s, const bli_tf_spot *p, int i, int64_t *out)
{
    const bli_tf_array *a = bli_tf_spot_input(s, p, i);
    if ((a->dtype != BLI_DT_INT32 && a->dtype != BLI_DT_INT64) || bl_shape_count(&a->shape) != 1)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input %d is %s of %lld elements, expected one int32 or int64", i,
                        bli_tf_dtype_name(a->dtype), (long long)bl_shape_count(&a->shape));
    *out = a->dtype == BLI_DT_INT64 ? *(const int64_t *)a->data : *(const int32_t *)a->data;
    return BL_OK;
}

bl_status bli_tf_list_input(bli_tf_session *s, const bli_tf_spot *p, int i, bli_tf_list **out)
{
    const bli_tf_array *a = bli_tf_spot_input(s, p, i);
    *out = bli_tf_array_list(a);
    return *out ? BL_OK
                : bli_fail(s->ctx, BL_BAD_MODEL, "input %d is %s, expected a list of tensors", i,
                           bli_tf_dtype_name(a->dtype));
}

bl_status bli_tf_list_resize(bli_tf_session *s, bli_tf_list *l, int64_t count)
{
    if (count < 0 || count > BLI_TF_MOST_ITEMS)
        return bli_fail(s->ctx, BL_LIMIT, "a list of %lld tensors; expected 0 to %d", (long long)count,
                        BLI_TF_MOST_ITEMS);
    bli_tf_array *at = bli_alloc_array(s->ctx, (size_t)count + 1, sizeof *at);
    if (!at)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < l->count; i++)
        if (i < count)
            at[i] = l->at[i];
        else
            bli_tf_array_release(&l->at[i]);
    bli_free(s->ctx, l->at);
    l->at = at;
    l->count = count;
    return BL_OK;
}

void bli_tf_list_free(bl_context *ctx, bli_tf_list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        bli_tf_array_release(&l->at[i]);
    bli_free(ctx, l->at);
    bli_free(ctx, l);
}

bl_status bli_tf_list_make(bli_tf_session *s, int kind, int dtype, int64_t count, bli_tf_array *out, bli_tf_list **list)
{
    bli_tf_list *l = bli_alloc(s->ctx, sizeof *l);
    *out = (bli_tf_array){.dtype = 0};
    if (!l)
        return BL_NO_MEMORY;
    *l = (bli_tf_list){.dtype = dtype, .shape = BLI_TF_UNKNOWN_SHAPE};
    bl_status status = bli_tf_list_resize(s, l, count);
    if (status == BL_OK)
        status = bli_tf_array_make_list(s->pool, kind, l, out);
    if (status != BL_OK) {
        bli_tf_list_free(s->ctx, l);
        return status;
    }
    *list = l;
    return BL_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */
bl_status bli_tf_list_unstack(bli_tf_session *s, const bli_tf_array *x, bli_tf_list *l, const int64_t *to)
{
    if (x->shape.rank < 1 || !x->data || bli_tf_dtype_size(x->dtype) == 0)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%s of %d dimensions cannot be taken apart", bli_tf_dtype_name(x->dtype),
                        x->shape.rank);
    bl_shape row = {.rank = x->shape.rank - 1};
    memcpy(row.dim, x->shape.dim + 1, (size_t)row.rank * sizeof *row.dim);
    const size_t bytes = (size_t)bl_shape_count(&row) * bli_tf_dtype_size(x->dtype);
    for (int64_t i = 0; i < x->shape.dim[0]; i++) {
        const int64_t at = to ? to[i] : i;
        if (at < 0 || at >= l->count)
            return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)at, (long long)l->count);
        bli_tf_array_release(&l->at[at]);
        BLI_TRY(bli_tf_array_make(s->pool, x->dtype, &row, &l->at[at]));
        memcpy(l->at[at].data, (const char *)x->data + (size_t)i * bytes, bytes);
    }
    return BL_OK;
}

static bool same_shape(const bl_shape *a, const bl_shape *b)
{
    for (int d = 0; d < a->rank && a->rank == b->rank; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return a->rank == b->rank;
}

static const bli_tf_array *element(const bli_tf_list *l, const int64_t *from, int64_t i)
{
    const int64_t at = from ? from[i] : i;
    return at >= 0 && at < l->count ? &l->at[at] : NULL;
}

/* The shape of the elements: of the first that is there, else what the list says. */
static bl_status row_shape(bli_tf_session *s, const bli_tf_list *l, const int64_t *from, int64_t n, bl_shape *row)
{
    bool known = false;
    *row = l->shape;
    for (int64_t i = 0; i < n; i++) {
        const bli_tf_array *a = element(l, from, i);
        if (!a)
            return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)(from ? from[i] : i),
                            (long long)l->count);
        if (!a->data)
            continue;
        if (known && !same_shape(row, &a->shape))
            return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld has another shape than those before", (long long)i);
        if (bli_tf_dtype_size(a->dtype) == 0 || a->dtype != l->dtype)
            return bli_fail(s->ctx, BL_BAD_MODEL, "element %lld is %s in a list of %s", (long long)i,
                            bli_tf_dtype_name(a->dtype), bli_tf_dtype_name(l->dtype));
        *row = a->shape;
        known = true;
    }
    if (!bli_tf_known(row) || row->rank == BL_MAX_RANK)
        return bli_fail(s->ctx, BL_BAD_VALUE, "a list whose elements have no known shape of at most %d dimensions",
                        BL_MAX_RANK - 1);
    return BL_OK;
}

bl_status bli_tf_list_stack(bli_tf_session *s, const bli_tf_list *l, const int64_t *from, int64_t n, bli_tf_array *out)
{
    bl_shape row, all;
    BLI_TRY(row_shape(s, l, from, n, &row));
    all = (bl_shape){.rank = row.rank + 1};
    all.dim[0] = n;
    memcpy(all.dim + 1, row.dim, (size_t)row.rank * sizeof *row.dim);
    BLI_TRY(bli_tf_check_shape(s->ctx, &all));
    BLI_TRY(bli_tf_array_make(s->pool, l->dtype, &all, out));
    const size_t bytes = (size_t)bl_shape_count(&row) * bli_tf_dtype_size(l->dtype);
    for (int64_t i = 0; i < n; i++) {
        const bli_tf_array *a = element(l, from, i);
        if (a->data)
            memcpy((char *)out->data + (size_t)i * bytes, a->data, bytes);
        else
            memset((char *)out->data + (size_t)i * bytes, 0, bytes);
    }
    return BL_OK;
}
