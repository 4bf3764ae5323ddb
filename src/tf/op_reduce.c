/* op_reduce.c: Mean, Sum, Prod, Max, Min, All, Any over some dimensions, and ArgMax, ArgMin.
 *
 * Sums and products of floats are taken in double, of whole numbers in int64; elements come in the tensor's order. */
#include <math.h>
#include <string.h>

#include "op/box.h"
#include "tf/broadcast.h"
#include "tf/kernels/loops.h"

/* ---- which dimensions ---------------------------------------------------------------------------------------- */
static bl_status reduced_dims(bli_tf_call *c, bool gone[BL_MAX_RANK], bool *known)
{
    int64_t axes[BL_MAX_RANK];
    int count, at;
    const int rank = c->in[0].shape.rank;
    BLI_TRY(bli_tf_ints(c, 1, axes, &count, known));
    for (int i = 0; i < BL_MAX_RANK; i++)
        gone[i] = false;
    for (int i = 0; *known && rank >= 0 && i < count; i++) {
        BLI_TRY(bli_tf_axis(c, axes[i], rank, &at));
        gone[at] = true;
    }
    return BL_OK;
}

static bl_status infer_reduce(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    bool gone[BL_MAX_RANK], known, keep;
    BLI_TRY(reduced_dims(c, gone, &known));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "keep_dims", false, &keep));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (s->rank < 0 || (!known && !keep))
        return BL_OK;
    c->out[0].shape.rank = 0;
    for (int i = 0; i < s->rank; i++)
        if (!gone[i] || keep)
            c->out[0].shape.dim[c->out[0].shape.rank++] = !known ? -1 : gone[i] ? 1 : s->dim[i];
    return BL_OK;
}

/* Loops over the input: a steps through it, b through the results (0 along what is reduced). */
static bli_tf_spread loops(const bl_shape *s, const bool gone[BL_MAX_RANK])
{
    int64_t step[BL_MAX_RANK], to[BL_MAX_RANK], n = 1;
    bli_tf_spread r = {.rank = 0};
    bli_strides(s, step);
    for (int i = s->rank - 1; i >= 0; i--) {
        to[i] = gone[i] ? 0 : n;
        n *= gone[i] ? 1 : s->dim[i];
    }
    for (int i = 0; i < s->rank; i++) {
        const int last = r.rank - 1;
        if (s->dim[i] == 1)
            continue;
        if (last >= 0 && r.b[last] == to[i] * s->dim[i] && r.a[last] == step[i] * s->dim[i]) {
            r.dim[last] *= s->dim[i];
            r.a[last] = step[i];
            r.b[last] = to[i];
        } else {
            r.dim[r.rank] = s->dim[i];
            r.a[r.rank] = step[i];
            r.b[r.rank++] = to[i];
        }
    }
    if (r.rank == 0)
        r = (bli_tf_spread){.rank = 1, .dim = {1}, .a = {1}, .b = {0}};
    return r;
}

/* ---- accumulating -------------------------------------------------------------------------------------------- */
/* n elements into to[0], or into to[0 .. n - 1]. */
#define FOLD(op, name, type, sum, expression)                                                                          \
    static void op##_##name(const void *from, int64_t n, int64_t step, void *into)                                     \
    {                                                                                                                  \
        const type *x = from;                                                                                          \
        sum *to = into;                                                                                                \
        if (step == 0) {                                                                                               \
            sum r = to[0];                                                                                             \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const sum v = (sum)x[i];                                                                               \
                r = expression;                                                                                        \
            }                                                                                                          \
            to[0] = r;                                                                                                 \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const sum v = (sum)x[i], r = to[i];                                                                    \
                to[i] = expression;                                                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }
#define WRAP(a, op, b) ((int64_t)((uint64_t)(a)op(uint64_t)(b)))
#define FOLDS(name, type, total, add, times)                                                                           \
    FOLD(sum, name, type, total, add)                                                                                  \
    FOLD(prod, name, type, total, times)                                                                               \
    FOLD(max, name, type, type, v > r ? v : r) FOLD(min, name, type, type, v < r ? v : r)
FOLDS(float, float, double, r + v, r *v)
FOLDS(double, double, double, r + v, r *v)
FOLDS(int32, int32_t, int64_t, WRAP(r, +, v), WRAP(r, *, v))
FOLDS(int64, int64_t, int64_t, WRAP(r, +, v), WRAP(r, *, v))
FOLDS(uint8, uint8_t, int64_t, WRAP(r, +, v), WRAP(r, *, v))
FOLDS(int8, int8_t, int64_t, WRAP(r, +, v), WRAP(r, *, v))

typedef void (*fold_fn)(const void *from, int64_t n, int64_t step, void *into);
typedef struct fold_type {
    int dtype;
    fold_fn sum, prod, max, min;
    bool real;
} fold_type;
#define ROW(dtype, name, real)                                                                                         \
    {                                                                                                                  \
        dtype, sum_##name, prod_##name, max_##name, min_##name, real                                                   \
    }
static const fold_type fold_types[] = {
    ROW(BLI_DT_FLOAT, float, true),  ROW(BLI_DT_DOUBLE, double, true), ROW(BLI_DT_INT32, int32, false),
    ROW(BLI_DT_INT64, int64, false), ROW(BLI_DT_UINT8, uint8, false),  ROW(BLI_DT_INT8, int8, false),
};

typedef enum fold_kind { SUM, MEAN, PROD, MAX, MIN } fold_kind;
static const struct {
    const char *name;
    fold_kind kind;
} kinds[] = {{"Sum", SUM}, {"Mean", MEAN}, {"Prod", PROD}, {"Max", MAX}, {"Min", MIN}};

static void walk(const bli_tf_spread *s, fold_fn fn, const void *from, size_t size, void *into, size_t size_into)
{
    const int inner = s->rank - 1;
    int64_t at[BL_MAX_RANK] = {0}, rows = 1, to = 0;
    const char *x = from;
    for (int d = 0; d < inner; d++)
        rows *= s->dim[d];
    for (int64_t r = 0; r < rows; r++) {
        fn(x, s->dim[inner], s->b[inner], (char *)into + (size_t)to * size_into);
        x += (size_t)s->dim[inner] * size;
        for (int d = inner - 1; d >= 0; d--) {
            to += s->b[d];
            if (++at[d] < s->dim[d])
                break;
            to -= s->b[d] * s->dim[d];
            at[d] = 0;
        }
    }
}

/* What Max and Min of nothing are. */
static void extreme(int dtype, bool lowest, void *to, int64_t n)
{
    const float f = lowest ? -INFINITY : INFINITY;
    const double d = (double)f;
    const int64_t l = lowest ? INT64_MIN : INT64_MAX;
    const int32_t w = lowest ? INT32_MIN : INT32_MAX;
    const uint8_t u = lowest ? 0 : 255;
    const int8_t b = lowest ? INT8_MIN : INT8_MAX;
    const void *v = dtype == BLI_DT_FLOAT    ? (const void *)&f
                    : dtype == BLI_DT_DOUBLE ? (const void *)&d
                    : dtype == BLI_DT_INT64  ? (const void *)&l
                    : dtype == BLI_DT_INT32  ? (const void *)&w
                    : dtype == BLI_DT_UINT8  ? (const void *)&u
                                             : (const void *)&b;
    const size_t size = bli_tf_dtype_size(dtype);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)to + (size_t)i * size, v, size);
}

static void store_totals(int dtype, const void *totals, int64_t n, double divide, void *to)
{
    for (int64_t i = 0; i < n; i++) {
        const double d = dtype == BLI_DT_FLOAT || dtype == BLI_DT_DOUBLE ? ((const double *)totals)[i] / divide : 0;
        const int64_t v = ((const int64_t *)totals)[i], w = divide > 1 ? v / (int64_t)divide : v;
        if (dtype == BLI_DT_FLOAT)
            ((float *)to)[i] = (float)d;
        else if (dtype == BLI_DT_DOUBLE)
            ((double *)to)[i] = d;
        else
            memcpy((char *)to + (size_t)i * bli_tf_dtype_size(dtype), &w, bli_tf_dtype_size(dtype));
    }
}

static bl_status run_totals(bli_tf_call *c, const fold_type *t, fold_kind kind, const bli_tf_spread *s)
{
    const int64_t n = bli_tf_count(&c->out[0]), all = bli_tf_count(&c->in[0]);
    void *totals;
    BLI_TRY(bli_tf_scratch(c, (size_t)n * sizeof(int64_t), &totals));
    if (n > 0)
        memset(totals, 0, (size_t)n * sizeof(int64_t));
    for (int64_t i = 0; kind == PROD && i < n; i++)
        if (t->real)
            ((double *)totals)[i] = 1;
        else
            ((int64_t *)totals)[i] = 1;
    if (all > 0)
        walk(s, kind == PROD ? t->prod : t->sum, c->in[0].data, bli_tf_dtype_size(t->dtype), totals, sizeof(int64_t));
    store_totals(t->dtype, totals, n, kind == MEAN && n > 0 ? (double)all / (double)n : 1, c->out[0].data);
    return BL_OK;
}

static bl_status run_reduce(bli_tf_call *c)
{
    bool gone[BL_MAX_RANK], known;
    const fold_type *t = NULL;
    fold_kind kind = SUM;
    BLI_TRY(reduced_dims(c, gone, &known));
    for (size_t i = 0; i < BLI_COUNT(fold_types); i++)
        if (fold_types[i].dtype == c->in[0].dtype)
            t = &fold_types[i];
    for (size_t i = 0; i < BLI_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, c->node->op) == 0)
            kind = kinds[i].kind;
    if (!t)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "an input of type %s", bli_tf_dtype_name(c->in[0].dtype));
    const bli_tf_spread s = loops(&c->in[0].shape, gone);
    if (kind < MAX)
        return run_totals(c, t, kind, &s);
    extreme(t->dtype, kind == MAX, c->out[0].data, bli_tf_count(&c->out[0]));
    if (t->dtype == BLI_DT_FLOAT && bli_tf_count(&c->out[0]) == 1) {
        float least = INFINITY, most = -INFINITY;
        bli_tf_loops_get(c->site->isa)->range(c->in[0].data, bli_tf_count(&c->in[0]), &least, &most);
        *(float *)c->out[0].data = kind == MAX ? most : least;
        return BL_OK;
    }
    if (bli_tf_count(&c->in[0]) > 0)
        walk(&s, kind == MAX ? t->max : t->min, c->in[0].data, bli_tf_dtype_size(t->dtype), c->out[0].data,
             bli_tf_dtype_size(t->dtype));
    return BL_OK;
}

static bl_status infer_logical(bli_tf_call *c)
{
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_BOOL));
    return infer_reduce(c);
}

static bl_status run_logical(bli_tf_call *c)
{
    bool gone[BL_MAX_RANK], known;
    const bool all = strcmp(c->node->op, "All") == 0;
    BLI_TRY(reduced_dims(c, gone, &known));
    const bli_tf_spread s = loops(&c->in[0].shape, gone);
    memset(c->out[0].data, all, (size_t)bli_tf_count(&c->out[0]));
    if (bli_tf_count(&c->in[0]) > 0)
        walk(&s, all ? min_uint8 : max_uint8, c->in[0].data, 1, c->out[0].data, 1);
    return BL_OK;
}

/* ---- ArgMax, ArgMin ------------------------------------------------------------------------------------------ */
static bl_status arg_axis(bli_tf_call *c, int *axis, bool *known)
{
    int64_t v;
    BLI_TRY(bli_tf_scalar_int(c, 1, &v, known));
    *axis = 0;
    return *known && c->in[0].shape.rank >= 0 ? bli_tf_axis(c, v, c->in[0].shape.rank, axis) : BL_OK;
}

static bl_status infer_arg(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    int axis;
    bool known;
    BLI_TRY(bli_tf_type_or(c->ctx, c->node, "output_type", BLI_DT_INT64, &c->out[0].dtype));
    if (c->out[0].dtype != BLI_DT_INT64 && c->out[0].dtype != BLI_DT_INT32)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attribute 'output_type' is %s", bli_tf_dtype_name(c->out[0].dtype));
    BLI_TRY(arg_axis(c, &axis, &known));
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (s->rank < 0)
        return BL_OK;
    if (s->rank == 0)
        return bli_tf_refuse(c, 0, "at least one dimension");
    if (known && s->dim[axis] == 0)
        return bli_tf_refuse(c, 0, "elements along the axis");
    c->out[0].shape.rank = 0;
    for (int i = 0; i < s->rank; i++)
        if (i != axis)
            c->out[0].shape.dim[c->out[0].shape.rank++] = known ? s->dim[i] : -1;
    return BL_OK;
}

static double value_at(const bli_tf_arg *a, int64_t i)
{
    switch (a->dtype) {
    case BLI_DT_FLOAT:
        return (double)((const float *)a->data)[i];
    case BLI_DT_DOUBLE:
        return ((const double *)a->data)[i];
    case BLI_DT_INT32:
        return ((const int32_t *)a->data)[i];
    case BLI_DT_INT64:
        return (double)((const int64_t *)a->data)[i];
    case BLI_DT_INT8:
        return ((const int8_t *)a->data)[i];
    default:
        return ((const uint8_t *)a->data)[i];
    }
}

static bl_status run_arg(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    const double sign = strcmp(c->node->op, "ArgMax") == 0 ? 1 : -1;
    const int t = c->in[0].dtype;
    int64_t inner = 1, outer = 1;
    int axis;
    bool known;
    BLI_TRY(arg_axis(c, &axis, &known));
    if (bli_tf_store_type(t) == BL_DTYPE_COUNT || bli_tf_store_type(t) == BL_U16 || bli_tf_store_type(t) == BL_I16 ||
        bli_tf_store_type(t) == BL_U32 || bli_tf_store_type(t) == BL_U64)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "an input of type %s", bli_tf_dtype_name(t));
    for (int i = axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    for (int i = 0; i < axis; i++)
        outer *= s->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0;
            for (int64_t k = 1; k < s->dim[axis]; k++)
                if (sign * value_at(&c->in[0], (o * s->dim[axis] + k) * inner + i) >
                    sign * value_at(&c->in[0], (o * s->dim[axis] + best) * inner + i))
                    best = k;
            if (c->out[0].dtype == BLI_DT_INT64)
                ((int64_t *)c->out[0].data)[o * inner + i] = best;
            else
                ((int32_t *)c->out[0].data)[o * inner + i] = (int32_t)best;
        }
    return BL_OK;
}

#define OP(name)                                                                                                       \
    {                                                                                                                  \
        name, 2, 2, 1, NULL, infer_reduce, run_reduce, 0, false                                                        \
    }
static const bli_tf_op ops[] = {
    OP("Sum"),
    OP("Mean"),
    OP("Prod"),
    OP("Max"),
    OP("Min"),
    {"All", 2, 2, 1, NULL, infer_logical, run_logical, 0, false},
    {"Any", 2, 2, 1, NULL, infer_logical, run_logical, 0, false},
    {"ArgMax", 2, 2, 1, NULL, infer_arg, run_arg, 0, false},
    {"ArgMin", 2, 2, 1, NULL, infer_arg, run_arg, 0, false},
};
const bli_tf_family bli_tf_family_reduce = {ops, BLI_COUNT(ops)};
