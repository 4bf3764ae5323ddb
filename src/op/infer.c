/* infer.c: shared parts of shape inference and of ranges. */
#include "op/infer.h"

#include <math.h>

bl_status bli_infer_same(bli_infer *i)
{
    i->out_type[0] = i->in[0]->type;
    i->out_shape[0] = i->in[0]->shape;
    return BL_OK;
}

bl_status bli_infer_real(const bli_infer *i, int k)
{
    if (!i->in[k])
        return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is missing", k);
    const bl_dtype t = i->in[k]->type;
    if (t == BL_F32 || t == BL_F64)
        return BL_OK;
    return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is of type %s, expected float32 or float64", k, bl_dtype_name(t));
}

/* One dimension of both; the batch (below 0) only meets itself or 1. */
static bool join_dim(int64_t a, int64_t b, int64_t *out)
{
    if (a != b && a != 1 && b != 1)
        return false;
    *out = a == 1 ? b : a;
    return true;
}

bl_status bli_infer_broadcast(const bli_infer *i, const bl_shape *a, const bl_shape *b, bl_shape *out)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    bool ok = true;
    out->rank = rank;
    for (int d = 0; d < rank && ok; d++) {
        const int da = d - (rank - a->rank), db = d - (rank - b->rank);
        ok = join_dim(da < 0 ? 1 : a->dim[da], db < 0 ? 1 : b->dim[db], &out->dim[d]);
        ok = ok && (d == 0 || out->dim[d] >= 0);
    }
    if (ok)
        return BL_OK;
    char ta[128], tb[128];
    bl_shape_print(a, ta, sizeof ta);
    bl_shape_print(b, tb, sizeof tb);
    return bli_fail(i->ctx, BL_BAD_MODEL, "shapes %s and %s do not broadcast with the batch first", ta, tb);
}

bl_status bli_infer_axis(const bli_infer *i, const char *what, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return bli_fail(i->ctx, BL_BAD_MODEL, "%s: axis %lld is outside of -%d .. %d", what, (long long)axis, rank,
                        rank - 1);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return BL_OK;
}

bl_status bli_infer_not_batch(const bli_infer *i, const bl_shape *s, int axis, const char *what)
{
    if (s->dim[axis] >= 0)
        return BL_OK;
    return bli_fail(i->ctx, BL_UNSUPPORTED, "%s: axis %d is the batch, which must stay as it is", what, axis);
}

static bl_status ints_limit(const bli_infer *i, const char *what, int64_t count)
{
    if (count <= (int64_t)BLI_COUNT(((bli_ints *)NULL)->v))
        return BL_OK;
    return bli_fail(i->ctx, BL_LIMIT, "%s: %lld entries, at most %d are possible", what, (long long)count,
                    2 * BL_MAX_RANK);
}

static void ints_from_tensor(bl_dtype type, const void *data, int64_t count, bli_ints *out)
{
    out->given = true;
    out->count = (int)count;
    for (int e = 0; e < out->count; e++)
        out->v[e] = type == BL_I64 ? ((const int64_t *)data)[e] : (int64_t)bli_real_at(type, data, (size_t)e);
}

static void ints_from_attr(const bl_attr *a, bli_ints *out)
{
    out->given = true;
    out->count = a->kind == BL_ATTR_INT ? 1 : (int)a->count;
    for (int e = 0; e < out->count; e++)
        out->v[e] = a->kind == BL_ATTR_INT ? a->u.i : a->u.ints[e];
}

bl_status bli_infer_ints_input(const bli_infer *i, int k, const char *what, bli_ints *out)
{
    *out = (bli_ints){0};
    const bl_value *v = i->in[k];
    if (!v)
        return BL_OK;
    if (!v->data || (v->type != BL_I64 && v->type != BL_I32))
        return bli_fail(i->ctx, BL_BAD_MODEL, "%s (input %d) must be a constant of int64 or int32", what, k);
    const int64_t count = bl_shape_count(&v->shape);
    if (count < 0 || v->shape.rank > 1)
        return bli_fail(i->ctx, BL_BAD_MODEL, "%s (input %d) must be a list", what, k);
    BLI_TRY(ints_limit(i, what, count));
    ints_from_tensor(v->type, v->data, count, out);
    return BL_OK;
}

bl_status bli_infer_ints_attr(const bli_infer *i, const char *name, bli_ints *out)
{
    *out = (bli_ints){0};
    const bl_attr *a = bl_node_attr(i->node, name);
    if (!a)
        return BL_OK;
    BLI_TRY(ints_limit(i, name, (int64_t)a->count));
    ints_from_attr(a, out);
    return BL_OK;
}

bli_ints bli_call_ints(const bli_call *c, int k, const char *name)
{
    bli_ints out = {0};
    const bl_tensor *t = &c->in[k];
    const bl_attr *a = name ? bl_node_attr(c->node, name) : NULL;
    if (t->data)
        ints_from_tensor(t->type, t->data, bl_shape_count(&t->shape), &out);
    else if (a)
        ints_from_attr(a, &out);
    return out;
}

bli_ints bli_range_ints(const bli_range_call *r, int k, const char *name)
{
    bli_ints out = {0};
    const bl_value *v = r->in[k];
    const bl_attr *a = name ? bl_node_attr(r->node, name) : NULL;
    if (v && v->data)
        ints_from_tensor(v->type, v->data, bl_shape_count(&v->shape), &out);
    else if (a)
        ints_from_attr(a, &out);
    return out;
}

double bli_real_at(bl_dtype type, const void *data, size_t e)
{
    switch (type) {
#define REAL_CASE(name, ctype, npy, onnx)                                                                              \
    case BL_##name:                                                                                                    \
        return (double)((const ctype *)data)[e];
        BL_DTYPE_LIST(REAL_CASE)
#undef REAL_CASE
    case BL_DTYPE_COUNT:
        break;
    }
    return 0;
}

double bli_call_real(const bli_call *c, int k, size_t e, double fallback)
{
    return c->in[k].data ? bli_real_at(c->in[k].type, c->in[k].data, e) : fallback;
}

size_t bli_count(const bl_tensor *t)
{
    const int64_t n = bl_shape_count(&t->shape);
    return n < 0 ? 0 : (size_t)n;
}

size_t bli_shape_row(const bl_shape *s)
{
    size_t n = 1;
    for (int d = 1; d < s->rank; d++)
        n *= (size_t)s->dim[d];
    return n;
}

/* ---- ranges ------------------------------------------------------------------------------------------------- */
int bli_step_of(double v)
{
    int e;
    double m = frexp(v, &e);
    if (m == 0)
        return 0;
    while (m != floor(m)) {
        m *= 2;
        e--;
    }
    return e;
}

bli_range bli_range_of_value(double v)
{
    return isfinite(v) ? (bli_range){true, bli_step_of(v), v, v} : (bli_range){0};
}

bli_range bli_range_join(bli_range a, bli_range b)
{
    if (!a.on_grid || !b.on_grid)
        return (bli_range){0};
    /* zero lies on every grid: it does not make a coarse one finer */
    const bool a_zero = a.least == 0 && a.greatest == 0, b_zero = b.least == 0 && b.greatest == 0;
    const int finer = a.step_exp < b.step_exp ? a.step_exp : b.step_exp;
    return (bli_range){true,
                       a_zero   ? b.step_exp
                       : b_zero ? a.step_exp
                                : finer,
                       fmin(a.least, b.least), fmax(a.greatest, b.greatest)};
}

void bli_range_same(bli_range_call *r)
{
    r->range_out[0] = r->range_in[0];
}

double bli_range_steps(const bli_range *r)
{
    return ldexp(fmax(fabs(r->least), fabs(r->greatest)), -r->step_exp);
}
