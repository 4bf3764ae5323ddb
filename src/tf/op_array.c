/* op_array.c: TensorArray: a list of tensors that operators write into and read from, in the order of their flows.
 *
 * The flow is a number without meaning.  A tensor that was read may be read again.
 */
#include <string.h>

#include "tf/flow.h"

/* ---- what is known before --------------------------------------------------------------------------------------- */
static void scalar(bli_tf_arg *a, int dtype)
{
    a->dtype = dtype;
    a->shape = (bl_shape){0, {0}};
}

static bl_status infer_array(bli_tf_call *c)
{
    scalar(&c->out[0], BLI_DT_RESOURCE);
    if (c->num_out > 1)
        scalar(&c->out[1], BLI_DT_FLOAT);
    return BL_OK;
}

static bl_status infer_flow(bli_tf_call *c)
{
    scalar(&c->out[0], BLI_DT_FLOAT);
    return BL_OK;
}

static bl_status infer_value(bli_tf_call *c)
{
    if (c->num_out > 1)
        c->out[1].dtype = BLI_DT_INT64;
    return bli_tf_get_type(c->ctx, c->node, "dtype", &c->out[0].dtype);
}

static bl_status infer_size(bli_tf_call *c)
{
    scalar(&c->out[0], BLI_DT_INT32);
    return BL_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
static bl_status make_flow(bli_tf_session *s, bli_tf_array *out)
{
    BLI_TRY(bli_tf_act_scalar(s, BLI_DT_FLOAT, out));
    *(float *)out->data = 0;
    return BL_OK;
}

static bl_status act_array(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    const bli_tf_shape *shape = NULL;
    int dtype;
    int64_t size;
    bool grows;
    BLI_TRY(bli_tf_get_type(s->ctx, p->node, "dtype", &dtype));
    BLI_TRY(bli_tf_bool_or(s->ctx, p->node, "dynamic_size", false, &grows));
    BLI_TRY(bli_tf_act_int(s, p, 0, &size));
    BLI_TRY(bli_tf_list_make(s, BLI_DT_RESOURCE, dtype, size, &p->out[0], &l));
    l->grows = grows;
    if (bli_tf_node_attr(p->node, "element_shape"))
        BLI_TRY(bli_tf_get_shape(s->ctx, p->node, "element_shape", &shape));
    BLI_TRY(bli_tf_shape_of(s->ctx, shape, &l->shape));
    return p->num_out > 1 ? make_flow(s, &p->out[1]) : BL_OK;
}

static bl_status make_room(bli_tf_session *s, bli_tf_list *l, int64_t count)
{
    if (count <= l->count)
        return BL_OK;
    if (!l->grows)
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)count - 1,
                        (long long)l->count);
    return bli_tf_list_resize(s, l, count);
}

static bl_status act_write(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 2);
    bli_tf_list *l;
    int64_t at;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_int(s, p, 1, &at));
    if (at < 0 || at >= BLI_TF_MOST_ITEMS || x->dtype != l->dtype || bli_tf_dtype_size(x->dtype) == 0)
        return bli_fail(s->ctx, BL_BAD_VALUE, "%s as element %lld of a list of %s", bli_tf_dtype_name(x->dtype),
                        (long long)at, bli_tf_dtype_name(l->dtype));
    BLI_TRY(make_room(s, l, at + 1));
    bli_tf_array_release(&l->at[at]);
    l->at[at] = bli_tf_array_share(x);
    return make_flow(s, &p->out[0]);
}

static bl_status act_read(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    int64_t at;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_int(s, p, 1, &at));
    if (at < 0 || at >= l->count)
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld of a list of %lld", (long long)at, (long long)l->count);
    if (!l->at[at].data)
        return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld has not been written", (long long)at);
    p->out[0] = bli_tf_array_share(&l->at[at]);
    return BL_OK;
}

/* The numbers of input i, a vector of int32 or int64, in scratch of the session. */
static bl_status indices(bli_tf_session *s, const bli_tf_spot *p, int i, int64_t **out, int64_t *count)
{
    const bli_tf_array *a = bli_tf_spot_input(s, p, i);
    const bli_tf_call c = {.ctx = s->ctx, .site = &s->site};
    if ((a->dtype != BLI_DT_INT32 && a->dtype != BLI_DT_INT64) || a->shape.rank != 1)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input %d is not a vector of int32 or int64", i);
    *count = a->shape.dim[0];
    BLI_TRY(bli_tf_scratch(&c, ((size_t)*count + 1) * sizeof **out, (void **)out));
    for (int64_t k = 0; k < *count; k++)
        (*out)[k] = a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[k] : ((const int32_t *)a->data)[k];
    return BL_OK;
}

static bl_status act_gather(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    int64_t *from = NULL, n = 0;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(indices(s, p, 1, &from, &n));
    return bli_tf_list_stack(s, l, from, n, &p->out[0]);
}

static bl_status act_scatter(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 2);
    bli_tf_list *l;
    int64_t *to = NULL, n = 0, most = 0;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(indices(s, p, 1, &to, &n));
    if (x->dtype != l->dtype || x->shape.rank < 1 || x->shape.dim[0] != n)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%lld indices and %lld rows of %s for a list of %s", (long long)n,
                        (long long)(x->shape.rank ? x->shape.dim[0] : 0), bli_tf_dtype_name(x->dtype),
                        bli_tf_dtype_name(l->dtype));
    for (int64_t i = 0; i < n; i++)
        most = to[i] >= most ? to[i] + 1 : most;
    BLI_TRY(make_room(s, l, most));
    BLI_TRY(bli_tf_list_unstack(s, x, l, to));
    return make_flow(s, &p->out[0]);
}

static bl_status act_size(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    BLI_TRY(bli_tf_act_scalar(s, BLI_DT_INT32, &p->out[0]));
    *(int32_t *)p->out[0].data = (int32_t)l->count;
    return BL_OK;
}

/* Elements behind one another along their first dimension, and how long each is there. */
static bl_status act_concat(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    bl_shape all = {0};
    int64_t rows = 0;
    BLI_TRY(bli_tf_list_input(s, p, 0, &l));
    for (int64_t i = 0; i < l->count; i++) {
        const bl_shape *e = &l->at[i].shape;
        if (!l->at[i].data || e->rank < 1 || (i > 0 && e->rank != all.rank))
            return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld is missing, or of another shape", (long long)i);
        for (int d = 1; d < e->rank; d++)
            if (i > 0 && e->dim[d] != all.dim[d])
                return bli_fail(s->ctx, BL_BAD_VALUE, "element %lld is of another shape", (long long)i);
        all = *e;
        rows += e->dim[0];
    }
    if (l->count == 0)
        return bli_fail(s->ctx, BL_BAD_VALUE, "no elements to join");
    all.dim[0] = rows;
    BLI_TRY(bli_tf_check_shape(s->ctx, &all));
    BLI_TRY(bli_tf_array_make(s->pool, l->dtype, &all, &p->out[0]));
    BLI_TRY(bli_tf_array_make(s->pool, BLI_DT_INT64, &(bl_shape){1, {l->count}}, &p->out[1]));
    char *to = p->out[0].data;
    for (int64_t i = 0; i < l->count; i++) {
        const size_t bytes = bli_tf_array_bytes(&l->at[i]);
        memcpy(to, l->at[i].data, bytes);
        to += bytes;
        ((int64_t *)p->out[1].data)[i] = l->at[i].shape.dim[0];
    }
    return BL_OK;
}

static bl_status act_close(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_list *l;
    return bli_tf_list_input(s, p, 0, &l);
}

/* Version 2 has no flow at its beginning; otherwise all versions are alike. */
#define ROWS(v)                                                                                                        \
    {"TensorArrayWrite" v, act_write}, {"TensorArrayRead" v, act_read}, {"TensorArrayGather" v, act_gather},           \
        {"TensorArrayScatter" v, act_scatter}, {"TensorArraySize" v, act_size}, {"TensorArrayConcat" v, act_concat},   \
    {                                                                                                                  \
        "TensorArrayClose" v, act_close                                                                                \
    }
const bli_tf_act_row bli_tf_acts_array[] = {
    {"TensorArrayV2", act_array}, {"TensorArrayV3", act_array}, ROWS("V2"), ROWS("V3"), {NULL, NULL},
};

#define OPS(v)                                                                                                         \
    {"TensorArrayWrite" v, 4, 4, 1, NULL, infer_flow, bli_tf_run_act, 0, true},                                        \
        {"TensorArrayRead" v, 3, 3, 1, NULL, infer_value, bli_tf_run_act, 0, true},                                    \
        {"TensorArrayGather" v, 3, 3, 1, NULL, infer_value, bli_tf_run_act, 0, true},                                  \
        {"TensorArrayScatter" v, 4, 4, 1, NULL, infer_flow, bli_tf_run_act, 0, true},                                  \
        {"TensorArraySize" v, 2, 2, 1, NULL, infer_size, bli_tf_run_act, 0, true},                                     \
        {"TensorArrayConcat" v, 2, 2, 2, NULL, infer_value, bli_tf_run_act, 0, true},                                  \
    {                                                                                                                  \
        "TensorArrayClose" v, 1, 1, 0, NULL, bli_tf_infer_nothing, bli_tf_run_act, 0, true                             \
    }
static const bli_tf_op ops[] = {
    {"TensorArrayV2", 1, 1, 1, NULL, infer_array, bli_tf_run_act, 0, true},
    {"TensorArrayV3", 1, 1, 2, NULL, infer_array, bli_tf_run_act, 0, true},
    OPS("V2"),
    OPS("V3"),
};
const bli_tf_family bli_tf_family_array = {ops, BLI_COUNT(ops)};
