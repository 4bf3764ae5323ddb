/* op_list.c: TensorList: lists of tensors as values.  An operator that changes one gives a new one, which shares the
 * tensors. */
#include <string.h>

#include "tf/flow.h"

/* ---- what is known before --------------------------------------------------------------------------------------- */
static bl_status infer_list(bli_tf_call *c)
{
    c->out[0].dtype = BLI_DT_VARIANT;
    c->out[0].shape = (bl_shape){0, {0}};
    return BL_OK;
}

static bl_status infer_element(bli_tf_call *c)
{
    return bli_tf_get_type(c->ctx, c->node, "element_dtype", &c->out[0].dtype);
}

static bl_status infer_pop(bli_tf_call *c)
{
    BLI_TRY(infer_list(c));
    return bli_tf_get_type(c->ctx, c->node, "element_dtype", &c->out[1].dtype);
}

static bl_status infer_length(bli_tf_call *c)
{
    c->out[0].dtype = BLI_DT_INT32;
    c->out[0].shape = (bl_shape){0, {0}};
    return BL_OK;
}

/* ---- shared ------------------------------------------------------------------------------------------------------ */
/* What input i says of the elements' shape: a vector with -1 where unknown, or -1 alone. */
static bl_status read_shape(bli_tf_session *s, const bli_tf_spot *p, int i, bl_shape *out)
{
    const bli_tf_array *a = bli_tf_spot_input(s, p, i);
    *out = BLI_TF_UNKNOWN_SHAPE;
    if ((a->dtype != BLI_DT_INT32 && a->dtype != BLI_DT_INT64) || a->shape.rank > 1)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input %d is not a shape", i);
    if (a->shape.rank == 0)
        return BL_OK;
    if (a->shape.dim[0] > BL_MAX_RANK)
        return bli_fail(s->ctx, BL_UNSUPPORTED, "a shape of %lld dimensions", (long long)a->shape.dim[0]);
    out->rank = (int)a->shape.dim[0];
    for (int d = 0; d < out->rank; d++) {
        const int64_t v = a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[d] : ((const int32_t *)a->data)[d];
        out->dim[d] = v < 0 ? -1 : v;
    }
    return BL_OK;
}

/* The more that is known of the two. */
static bl_shape merged(const bl_shape *a, const bl_shape *b)
{
    bl_shape s = a->rank < 0 ? *b : *a;
    for (int d = 0; d < s.rank && a->rank == b->rank; d++)
        s.dim[d] = a->dim[d] < 0 ? b->dim[d] : a->dim[d];
    return s;
}

/* A new list with the tensors of another, of `count` elements. */
static bl_status copy_list(bli_tf_session *s, const bli_tf_list *from, int64_t count, bli_tf_array *out,
                           bli_tf_list **list)
{
    BLI_TRY(bli_tf_list_make(s, BLI_DT_VARIANT, from->dtype, count, out, list));
    (*list)->shape = from->shape;
    for (int64_t i = 0; i < count && i < from->count; i++)
        (*list)->at[i] = bli_tf_array_share(&from->at[i]);
    return BL_OK;
}

/* Element `at`; zeros where it was never set. */
static bl_status take(bli_tf_session *s, const bli_tf_spot *p, const bli_tf_list *l, int64_t at, bli_tf_array *out)
{
    bl_shape shape;
    if (at < 0 || at >= l->count)
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)at, (long long)l->count);
    if (l->at[at].data) {
        *out = bli_tf_array_share(&l->at[at]);
        return BL_OK;
    }
    BLI_TRY(read_shape(s, p, p->num_in - 1, &shape));
    shape = merged(&l->shape, &shape);
    if (!bli_tf_known(&shape))
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld was never set, and its shape is not known", (long long)at);
    BLI_TRY(bli_tf_check_shape(s->ctx, &shape));
    BLI_TRY(bli_tf_array_make(s->pool, l->dtype, &shape, out));
    memset(out->data, 0, bli_tf_array_bytes(out));
    return BL_OK;
}

static bl_status check_item(bli_tf_session *s, const bli_tf_list *l, const bli_tf_array *x)
{
    if (x->dtype == l->dtype && bli_tf_dtype_size(x->dtype) > 0)
        return BL_OK;
    return bli_fail(s->ctx, BL_BAD_MODEL, "%s as an element of a list of %s", bli_tf_dtype_name(x->dtype),
                    bli_tf_dtype_name(l->dtype));
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
static bl_status make_list(bli_tf_session *s, bli_tf_spot *p, int64_t count)
{
    bli_tf_list *l;
    int dtype;
    BLI_TRY(bli_tf_get_type(s->ctx, p->node, "element_dtype", &dtype));
    BLI_TRY(bli_tf_list_make(s, BLI_DT_VARIANT, dtype, count, &p->out[0], &l));
    return read_shape(s, p, 0, &l->shape);
}

static bl_status act_empty(bli_tf_session *s, bli_tf_spot *p)
{
    return make_list(s, p, 0);
}

static bl_status act_reserve(bli_tf_session *s, bli_tf_spot *p)
{
    int64_t count;
    BLI_TRY(bli_tf_act_int(s, p, 1, &count));
    return make_list(s, p, count);
}

static bl_status act_from_tensor(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 0);
    bli_tf_list *l;
    if (x->shape.rank < 1)
        return bli_fail(s->ctx, BL_BAD_MODEL, "a scalar has no rows");
    BLI_TRY(bli_tf_list_make(s, BLI_DT_VARIANT, x->dtype, x->shape.dim[0], &p->out[0], &l));
    BLI_TRY(read_shape(s, p, 1, &l->shape));
    return bli_tf_list_unstack(s, x, l, NULL);
}

static bl_status act_stack(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    bl_shape shape;
    int64_t wanted;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(read_shape(s, p, 1, &shape));
    BLI_TRY(bli_tf_int_or(s->ctx, p->node, "num_elements", -1, &wanted));
    if (wanted >= 0 && wanted != l->count)
        return bli_fail(s->ctx, BL_BAD_VALUE, "a list of %lld, expected %lld", (long long)l->count, (long long)wanted);
    bli_tf_list seen = *l;
    seen.shape = merged(&l->shape, &shape);
    return bli_tf_list_stack(s, &seen, NULL, l->count, &p->out[0]);
}

static bl_status act_get(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    int64_t at;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_int(s, p, 1, &at));
    return take(s, p, l, at, &p->out[0]);
}

static bl_status act_set(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 2);
    bli_tf_list *l, *changed;
    int64_t at;
    bool grows;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_int(s, p, 1, &at));
    BLI_TRY(bli_tf_bool_or(s->ctx, p->node, "resize_if_index_out_of_bounds", false, &grows));
    BLI_TRY(check_item(s, l, x));
    if (at < 0 || at >= BLI_TF_MOST_ITEMS || (at >= l->count && !grows))
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)at, (long long)l->count);
    BLI_TRY(copy_list(s, l, at < l->count ? l->count : at + 1, &p->out[0], &changed));
    bli_tf_array_release(&changed->at[at]);
    changed->at[at] = bli_tf_array_share(x);
    return BL_OK;
}

static bl_status act_push(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 1);
    bli_tf_list *l, *changed;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(check_item(s, l, x));
    BLI_TRY(copy_list(s, l, l->count + 1, &p->out[0], &changed));
    changed->at[l->count] = bli_tf_array_share(x);
    return BL_OK;
}

static bl_status act_pop(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l, *changed;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(take(s, p, l, l->count - 1, &p->out[1]));
    return copy_list(s, l, l->count - 1, &p->out[0], &changed);
}

static bl_status act_resize(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l, *changed;
    int64_t count;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_int(s, p, 1, &count));
    return copy_list(s, l, count, &p->out[0], &changed);
}

static bl_status act_length(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_scalar(s, BLI_DT_INT32, &p->out[0]));
    *(int32_t *)p->out[0].data = (int32_t)l->count;
    return BL_OK;
}

const bli_tf_act_row bli_tf_acts_list[] = {
    {"EmptyTensorList", act_empty},
    {"TensorListReserve", act_reserve},
    {"TensorListFromTensor", act_from_tensor},
    {"TensorListStack", act_stack},
    {"TensorListGetItem", act_get},
    {"TensorListSetItem", act_set},
    {"TensorListPushBack", act_push},
    {"TensorListPopBack", act_pop},
    {"TensorListResize", act_resize},
    {"TensorListLength", act_length},
    {NULL, NULL},
};

static const bli_tf_op ops[] = {
    {"EmptyTensorList", 2, 2, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListReserve", 2, 2, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListFromTensor", 2, 2, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListStack", 2, 2, 1, NULL, infer_element, bli_tf_run_act, 0, true},
    {"TensorListGetItem", 3, 3, 1, NULL, infer_element, bli_tf_run_act, 0, true},
    {"TensorListSetItem", 3, 3, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListPushBack", 2, 2, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListPopBack", 2, 2, 2, NULL, infer_pop, bli_tf_run_act, 0, true},
    {"TensorListResize", 2, 2, 1, NULL, infer_list, bli_tf_run_act, 0, true},
    {"TensorListLength", 1, 1, 1, NULL, infer_length, bli_tf_run_act, 0, true},
};
const bli_tf_family bli_tf_family_list = {ops, BLI_COUNT(ops)};
