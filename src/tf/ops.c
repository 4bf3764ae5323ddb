/* ops.c: the table of operators, and what their rules share. */
#include <stdio.h>
#include <string.h>

#include "tf/flow.h"

#define MOST_ELEMENTS ((int64_t)1 << 40)

static const bli_tf_family *const families[] = {
#define FAMILY_ROW(name) &bli_tf_family_##name,
    BLI_TF_FAMILY_LIST(FAMILY_ROW)
#undef FAMILY_ROW
};

const bli_tf_op *bli_tf_op_find(const char *name)
{
    for (size_t f = 0; f < BLI_COUNT(families); f++)
        for (size_t i = 0; i < families[f]->count; i++)
            if (strcmp(families[f]->ops[i].name, name) == 0)
                return &families[f]->ops[i];
    return NULL;
}

static bl_status count_outputs(bl_context *ctx, const bli_tf_op *op, const bli_tf_node *n, int64_t *count)
{
    const bli_tf_value *v = bli_tf_node_attr(n, op->counts);
    if (v && v->value_case == BLI_TF__ATTR_VALUE__VALUE_LIST) {
        const BliTf__AttrValue__ListValue *list = v->list;
        *count = (int64_t)list->n_type;
        return BL_OK;
    }
    return bli_tf_get_int(ctx, n, op->counts, count);
}

bl_status bli_tf_op_outputs(bl_context *ctx, const bli_tf_op *op, const bli_tf_node *n, int num_in, int *num_out)
{
    int64_t count = op->outputs;
    if (num_in < op->min_in || (op->max_in >= 0 && num_in > op->max_in))
        return bli_fail(ctx, BL_BAD_MODEL, "%d inputs, expected %s%d", num_in,
                        op->min_in == op->max_in ? ""
                        : num_in < op->min_in    ? "at least "
                                                 : "at most ",
                        num_in < op->min_in ? op->min_in : op->max_in);
    if (op->counts)
        BLI_TRY(count_outputs(ctx, op, n, &count));
    if (count < 0 || count > BLI_TF_MAX_PORTS)
        return bli_fail(ctx, BL_BAD_MODEL, "attribute '%s' asks for %lld outputs, expected 0 to %d", op->counts,
                        (long long)count, BLI_TF_MAX_PORTS);
    *num_out = (int)count;
    return BL_OK;
}

bl_status bli_tf_check_shape(bl_context *ctx, const bl_shape *s)
{
    int64_t all = 1;
    char text[BL_MAX_RANK * 24 + 3];
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] > 1 && (__builtin_mul_overflow(all, s->dim[i], &all) || all > MOST_ELEMENTS)) {
            bl_shape_print(s, text, sizeof text);
            return bli_fail(ctx, BL_LIMIT, "a tensor of shape %s is too large", text);
        }
    return BL_OK;
}

static bool takes_strings(const bli_tf_op *op)
{
    return !op->run || op->run == bli_tf_run_act || strncmp(op->name, "Decode", 6) == 0;
}

bl_status bli_tf_op_infer(const bli_tf_op *op, bli_tf_call *c)
{
    for (int i = 0; i < c->num_in; i++)
        if (c->in[i].dtype == BLI_DT_STRING && !takes_strings(op))
            return bli_fail(c->ctx, BL_UNSUPPORTED, "input %d has strings", i);
    BLI_TRY(op->infer(c));
    for (int k = 0; k < c->num_out; k++)
        BLI_TRY(bli_tf_check_shape(c->ctx, &c->out[k].shape));
    return BL_OK;
}

/* ---- types and shapes ---------------------------------------------------------------------------------------- */
bl_dtype bli_tf_store_type(int dtype)
{
    static const struct {
        int dtype;
        bl_dtype store;
    } rows[] = {
        {BLI_DT_FLOAT, BL_F32},   {BLI_DT_DOUBLE, BL_F64}, {BLI_DT_INT32, BL_I32},  {BLI_DT_UINT8, BL_U8},
        {BLI_DT_INT16, BL_I16},   {BLI_DT_INT8, BL_I8},    {BLI_DT_INT64, BL_I64},  {BLI_DT_BOOL, BL_BOOL},
        {BLI_DT_QINT8, BL_I8},    {BLI_DT_QUINT8, BL_U8},  {BLI_DT_QINT32, BL_I32}, {BLI_DT_QINT16, BL_I16},
        {BLI_DT_QUINT16, BL_U16}, {BLI_DT_UINT16, BL_U16}, {BLI_DT_UINT32, BL_U32}, {BLI_DT_UINT64, BL_U64},
    };
    for (size_t i = 0; i < BLI_COUNT(rows); i++)
        if (rows[i].dtype == dtype)
            return rows[i].store;
    return BL_DTYPE_COUNT;
}

bl_status bli_tf_refuse(const bli_tf_call *c, int input, const char *expected)
{
    char text[BL_MAX_RANK * 24 + 3] = "that is unknown";
    if (c->in[input].shape.rank >= 0)
        bl_shape_print(&c->in[input].shape, text, sizeof text);
    return bli_fail(c->ctx, BL_BAD_MODEL, "input %d is %s of shape %s; expected %s", input,
                    bli_tf_dtype_name(c->in[input].dtype), text, expected);
}

bl_status bli_tf_need_type(const bli_tf_call *c, int input, int dtype)
{
    if (c->in[input].dtype == dtype || c->in[input].dtype == BLI_DT_INVALID)
        return BL_OK;
    return bli_tf_refuse(c, input, bli_tf_dtype_name(dtype));
}

bl_status bli_tf_need_rank(const bli_tf_call *c, int input, int rank)
{
    char text[32];
    if (c->in[input].shape.rank == rank || c->in[input].shape.rank < 0)
        return BL_OK;
    snprintf(text, sizeof text, "%d dimensions", rank);
    return bli_tf_refuse(c, input, text);
}

bl_status bli_tf_same_type(const bli_tf_call *c, int a, int b)
{
    if (c->in[a].dtype == BLI_DT_INVALID)
        return BL_OK;
    return bli_tf_need_type(c, b, c->in[a].dtype);
}

static int64_t integer_at(const bli_tf_arg *a, int64_t i)
{
    return a->dtype == BLI_DT_INT64 ? ((const int64_t *)a->data)[i] : ((const int32_t *)a->data)[i];
}

static bl_status need_integers(const bli_tf_call *c, int input)
{
    const int t = c->in[input].dtype;
    if (t == BLI_DT_INT32 || t == BLI_DT_INT64 || t == BLI_DT_INVALID)
        return BL_OK;
    return bli_tf_refuse(c, input, "int32 or int64");
}

bl_status bli_tf_ints(const bli_tf_call *c, int input, int64_t v[BL_MAX_RANK], int *count, bool *known)
{
    const bli_tf_arg *a = &c->in[input];
    *known = false;
    *count = -1;
    BLI_TRY(need_integers(c, input));
    if (a->shape.rank > 1)
        return bli_tf_refuse(c, input, "a vector");
    if (!bli_tf_known(&a->shape))
        return BL_OK;
    if (bli_tf_count(a) > BL_MAX_RANK)
        return bli_tf_refuse(c, input, "at most 8 numbers");
    *count = (int)bli_tf_count(a);
    *known = a->data != NULL;
    for (int i = 0; *known && i < *count; i++)
        v[i] = integer_at(a, i);
    return BL_OK;
}

bl_status bli_tf_scalar_int(const bli_tf_call *c, int input, int64_t *v, bool *known)
{
    const bli_tf_arg *a = &c->in[input];
    *known = false;
    BLI_TRY(need_integers(c, input));
    if (bli_tf_known(&a->shape) && bli_tf_count(a) != 1)
        return bli_tf_refuse(c, input, "one number");
    *known = a->data != NULL;
    *v = *known ? integer_at(a, 0) : 0;
    return BL_OK;
}

bl_status bli_tf_scalar_float(const bli_tf_call *c, int input, float *v, bool *known)
{
    const bli_tf_arg *a = &c->in[input];
    *known = false;
    BLI_TRY(bli_tf_need_type(c, input, BLI_DT_FLOAT));
    if (bli_tf_known(&a->shape) && bli_tf_count(a) != 1)
        return bli_tf_refuse(c, input, "one number");
    *known = a->data != NULL;
    *v = *known ? *(const float *)a->data : 0;
    return BL_OK;
}

bl_status bli_tf_axis(const bli_tf_call *c, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return bli_fail(c->ctx, BL_BAD_MODEL, "axis %lld of a tensor of %d dimensions", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return BL_OK;
}

bl_status bli_tf_merge(const bli_tf_call *c, int input, const bl_shape *b, bl_shape *a)
{
    char text[BL_MAX_RANK * 24 + 3];
    if (b->rank < 0)
        return BL_OK;
    bl_shape_print(a, text, sizeof text);
    if (a->rank < 0)
        *a = *b;
    if (a->rank != b->rank)
        return bli_tf_refuse(c, input, text);
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] < 0)
            a->dim[i] = b->dim[i];
        if (b->dim[i] >= 0 && a->dim[i] != b->dim[i])
            return bli_tf_refuse(c, input, text);
    }
    return BL_OK;
}

bl_status bli_tf_shape_of(bl_context *ctx, const bli_tf_shape *proto, bl_shape *out)
{
    *out = BLI_TF_UNKNOWN_SHAPE;
    if (!proto || proto->unknown_rank)
        return BL_OK;
    if (proto->n_dim > BL_MAX_RANK)
        return bli_fail(ctx, BL_UNSUPPORTED, "a shape of %zu dimensions; at most %d are possible", proto->n_dim,
                        BL_MAX_RANK);
    out->rank = (int)proto->n_dim;
    for (size_t i = 0; i < proto->n_dim; i++)
        out->dim[i] = proto->dim[i]->size < 0 ? -1 : proto->dim[i]->size;
    return BL_OK;
}

bl_status bli_tf_infer_same(bli_tf_call *c)
{
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = c->in[0].shape;
    return BL_OK;
}

bl_status bli_tf_infer_nothing(bli_tf_call *c)
{
    (void)c;
    return BL_OK;
}

bl_status bli_tf_run_nothing(bli_tf_call *c)
{
    (void)c;
    return BL_OK;
}
