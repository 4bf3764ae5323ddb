/* op_binary.c: operators of two tensors, element by element: arithmetic, comparisons, logic, bits; and Select.
 *
 * Whole numbers wrap, as TensorFlow's do; dividing them by zero is an error. */
#include <math.h>
#include <string.h>

#include "tf/broadcast.h"

#define PAIR(op, name, type, result, expression)                                                                       \
    static void op##_##name(const void *pa, int64_t sa, const void *pb, int64_t sb, int64_t n, void *out)              \
    {                                                                                                                  \
        const type *a = pa, *b = pb;                                                                                   \
        result *to = out;                                                                                              \
        if (sa == 1 && sb == 1)                                                                                        \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const type x = a[i], y = b[i];                                                                         \
                to[i] = (result)(expression);                                                                          \
            }                                                                                                          \
        else if (sa == 1 && sb == 0)                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const type x = a[i], y = b[0];                                                                         \
                to[i] = (result)(expression);                                                                          \
            }                                                                                                          \
        else                                                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const type x = a[i * sa], y = b[i * sb];                                                               \
                to[i] = (result)(expression);                                                                          \
            }                                                                                                          \
    }

static int64_t truncated_div(int64_t x, int64_t y)
{
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static int64_t floor_div(int64_t x, int64_t y)
{
    const int64_t q = y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
    return y != -1 && x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q;
}

static int64_t floor_mod(int64_t x, int64_t y)
{
    const int64_t r = y == -1 ? 0 : x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t power(int64_t x, int64_t y)
{
    uint64_t r = 1, f = (uint64_t)x;
    for (uint64_t k = y < 0 ? 0 : (uint64_t)y; k; k >>= 1, f *= f)
        r *= k & 1 ? f : 1;
    return (int64_t)r;
}

/* X(op, on reals, on whole numbers) */
#define U(v) ((uint64_t)(int64_t)(v))
#define ARITHMETIC(X)                                                                                                  \
    X(add, x + y, U(x) + U(y))                                                                                         \
    X(sub, x - y, U(x) - U(y))                                                                                         \
    X(mul, x *y, U(x) * U(y))                                                                                          \
    X(div, x / y, truncated_div(x, y))                                                                                 \
    X(floor_div, floor((double)x / (double)y), floor_div(x, y))                                                        \
    X(floor_mod, (double)x - floor((double)x / (double)y) * (double)y, floor_mod(x, y))                                \
    X(maximum, x < y ? y : x, x < y ? y : x)                                                                           \
    X(minimum, y < x ? y : x, y < x ? y : x)                                                                           \
    X(square_diff, (x - y) * (x - y), (U(x) - U(y)) * (U(x) - U(y)))                                                   \
    X(power, pow((double)x, (double)y), power(x, y))
#define COMPARISON(X)                                                                                                  \
    X(less, x < y, x < y)                                                                                              \
    X(less_equal, x <= y, x <= y)                                                                                      \
    X(greater, x > y, x > y)                                                                                           \
    X(greater_equal, x >= y, x >= y)                                                                                   \
    X(equal, x == y, x == y)                                                                                           \
    X(not_equal, x != y, x != y)
#define BITS(X)                                                                                                        \
    X(bit_and, 0, U(x) & U(y))                                                                                         \
    X(bit_or, 0, U(x) | U(y))                                                                                          \
    X(bit_xor, 0, U(x) ^ U(y))                                                                                         \
    X(shift_left, 0, U(x) << (U(y) & 63))                                                                              \
    X(shift_right, 0, (int64_t)x >> (U(y) & 63))

/* Laid out by hand: the formatter changes its mind about such lists at every run. */
/* clang-format off */
#define REALS(op, real, R32, R64)                                                                                      \
    PAIR(op, float, float, R32, real)                                                                                  \
    PAIR(op, double, double, R64, real)
#define WHOLES(op, whole, R32, R64, RU8, R8, R16, RU16)                                                                \
    PAIR(op, int32, int32_t, R32, whole)                                                                               \
    PAIR(op, int64, int64_t, R64, whole)                                                                               \
    PAIR(op, uint8, uint8_t, RU8, whole)                                                                               \
    PAIR(op, int8, int8_t, R8, whole)                                                                                  \
    PAIR(op, int16, int16_t, R16, whole)                                                                               \
    PAIR(op, uint16, uint16_t, RU16, whole)
#define DEFINE_ARITHMETIC(op, real, whole)                                                                             \
    REALS(op, real, float, double)                                                                                     \
    WHOLES(op, whole, int32_t, int64_t, uint8_t, int8_t, int16_t, uint16_t)
#define DEFINE_COMPARISON(op, real, whole)                                                                             \
    REALS(op, real, uint8_t, uint8_t)                                                                                  \
    WHOLES(op, whole, uint8_t, uint8_t, uint8_t, uint8_t, uint8_t, uint8_t)
#define DEFINE_BITS(op, real, whole)                                                                                   \
    WHOLES(op, whole, int32_t, int64_t, uint8_t, int8_t, int16_t, uint16_t)
/* clang-format on */
ARITHMETIC(DEFINE_ARITHMETIC)
COMPARISON(DEFINE_COMPARISON)
BITS(DEFINE_BITS)
REALS(div_no_nan, y == 0 ? 0 : x / y, float, double)
PAIR(logical_and, bool, uint8_t, uint8_t, x &&y)
PAIR(logical_or, bool, uint8_t, uint8_t, x || y)

enum { FLOAT, DOUBLE, INT32, INT64, UINT8, INT8, INT16, UINT16, BOOL, TYPES };
static const int dtype_of[TYPES] = {BLI_DT_FLOAT, BLI_DT_DOUBLE, BLI_DT_INT32,  BLI_DT_INT64, BLI_DT_UINT8,
                                    BLI_DT_INT8,  BLI_DT_INT16,  BLI_DT_UINT16, BLI_DT_BOOL};

typedef struct binary {
    const char *name;
    bli_tf_pair_fn fn[TYPES];
    bool to_bool, divides;
} binary;

#define WHOLE_ROW(op)                                                                                                  \
    [INT32] = op##_int32, [INT64] = op##_int64, [UINT8] = op##_uint8, [INT8] = op##_int8, [INT16] = op##_int16,        \
    [UINT16] = op##_uint16
#define ROW(op)                                                                                                        \
    {                                                                                                                  \
        [FLOAT] = op##_float, [DOUBLE] = op##_double, WHOLE_ROW(op)                                                    \
    }
static const binary binaries[] = {
    {"Add", ROW(add), false, false},
    {"AddV2", ROW(add), false, false},
    {"Sub", ROW(sub), false, false},
    {"Mul", ROW(mul), false, false},
    {"Div", ROW(div), false, true},
    {"RealDiv", {[FLOAT] = div_float, [DOUBLE] = div_double}, false, false},
    {"DivNoNan", {[FLOAT] = div_no_nan_float, [DOUBLE] = div_no_nan_double}, false, false},
    {"TruncateDiv", {WHOLE_ROW(div)}, false, true},
    {"FloorDiv", ROW(floor_div), false, true},
    {"FloorMod", ROW(floor_mod), false, true},
    {"Maximum", ROW(maximum), false, false},
    {"Minimum", ROW(minimum), false, false},
    {"SquaredDifference", ROW(square_diff), false, false},
    {"Pow", ROW(power), false, false},
    {"Less", ROW(less), true, false},
    {"LessEqual", ROW(less_equal), true, false},
    {"Greater", ROW(greater), true, false},
    {"GreaterEqual", ROW(greater_equal), true, false},
    {"Equal", ROW(equal), true, false},
    {"NotEqual", ROW(not_equal), true, false},
    {"BitwiseAnd", {WHOLE_ROW(bit_and)}, false, false},
    {"BitwiseOr", {WHOLE_ROW(bit_or)}, false, false},
    {"BitwiseXor", {WHOLE_ROW(bit_xor)}, false, false},
    {"LeftShift", {WHOLE_ROW(shift_left)}, false, false},
    {"RightShift", {WHOLE_ROW(shift_right)}, false, false},
    {"LogicalAnd", {[BOOL] = logical_and_bool}, true, false},
    {"LogicalOr", {[BOOL] = logical_or_bool}, true, false},
};

static const binary *find(const bli_tf_call *c)
{
    for (size_t i = 0; i < BLI_COUNT(binaries); i++)
        if (strcmp(binaries[i].name, c->node->op) == 0)
            return &binaries[i];
    return NULL;
}

static bli_tf_pair_fn function(const binary *b, int dtype)
{
    for (int i = 0; i < TYPES; i++)
        if (dtype_of[i] == dtype)
            return b->fn[i];
    return NULL;
}

static bl_status infer_binary(bli_tf_call *c)
{
    const binary *b = find(c);
    const int t = c->in[0].dtype;
    BLI_TRY(bli_tf_same_type(c, 0, 1));
    if (!b || (t && !function(b, t)))
        return bli_fail(c->ctx, BL_UNSUPPORTED, "inputs of type %s", bli_tf_dtype_name(t));
    c->out[0].dtype = b->to_bool ? BLI_DT_BOOL : t;
    return bli_tf_spread_shape(c, 0, 1, &c->out[0].shape);
}

static bl_status refuse_zeros(const bli_tf_call *c)
{
    const bli_tf_arg *y = &c->in[1];
    const size_t size = bli_tf_dtype_size(y->dtype);
    const int64_t n = bli_tf_count(y);
    static const char zero[8] = {0};
    if (y->dtype == BLI_DT_FLOAT || y->dtype == BLI_DT_DOUBLE)
        return BL_OK;
    for (int64_t i = 0; i < n; i++)
        if (memcmp((const char *)y->data + (size_t)i * size, zero, size) == 0)
            return bli_fail(c->ctx, BL_BAD_VALUE, "division of whole numbers by zero");
    return BL_OK;
}

static bl_status run_binary(bli_tf_call *c)
{
    const binary *b = find(c);
    const bli_tf_spread s = bli_tf_spread_make(&c->in[0].shape, &c->in[1].shape, &c->out[0].shape);
    if (b->divides)
        BLI_TRY(refuse_zeros(c));
    if (bli_tf_count(&c->out[0]) == 0)
        return BL_OK;
    bli_tf_spread_run(&s, function(b, c->in[0].dtype), c->in[0].data, bli_tf_dtype_size(c->in[0].dtype), c->in[1].data,
                      bli_tf_dtype_size(c->in[1].dtype), c->out[0].data, bli_tf_dtype_size(c->out[0].dtype));
    return BL_OK;
}

/* ---- Select -------------------------------------------------------------------------------------------------- */
/* Select: the condition is like the others, one value, or one for each row; SelectV2 stretches all three. */
static bl_status infer_select(bli_tf_call *c)
{
    bl_shape s = c->in[1].shape;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_BOOL));
    BLI_TRY(bli_tf_same_type(c, 1, 2));
    BLI_TRY(bli_tf_merge(c, 2, &c->in[2].shape, &s));
    c->out[0].dtype = c->in[1].dtype;
    c->out[0].shape = s;
    if (bli_tf_known(&s) && bli_tf_known(&c->in[0].shape)) {
        const int64_t n = bli_tf_count(&c->in[0]);
        if (n != 1 && !bl_shape_equal(&s, &c->in[0].shape) && (c->in[0].shape.rank != 1 || s.rank < 1 || s.dim[0] != n))
            return bli_tf_refuse(c, 0, "the shape of the values, or one condition a row");
    }
    return BL_OK;
}

static bl_status run_select(bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]), all = bli_tf_count(&c->out[0]);
    const size_t bytes = n > 0 ? (size_t)(all / n) * bli_tf_dtype_size(c->out[0].dtype) : 0;
    const uint8_t *condition = c->in[0].data;
    for (int64_t i = 0; bytes > 0 && i < n; i++)
        memcpy((char *)c->out[0].data + (size_t)i * bytes,
               (const char *)c->in[condition[i] ? 1 : 2].data + (size_t)i * bytes, bytes);
    return BL_OK;
}

static bl_status infer_select_v2(bli_tf_call *c)
{
    bli_tf_arg in[3] = {c->in[0], c->in[1], c->in[2]};
    bli_tf_call with = *c;
    bl_shape both;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_BOOL));
    BLI_TRY(bli_tf_same_type(c, 1, 2));
    with.in = in;
    BLI_TRY(bli_tf_spread_shape(c, 1, 2, &both));
    in[1].shape = both;
    c->out[0].dtype = c->in[1].dtype;
    return bli_tf_spread_shape(&with, 0, 1, &c->out[0].shape);
}

static int64_t step_to(const bl_shape *from, const bl_shape *out, const int64_t *at)
{
    int64_t index = 0;
    for (int i = 0; i < from->rank; i++)
        index = index * from->dim[i] + (from->dim[i] == 1 ? 0 : at[out->rank - from->rank + i]);
    return index;
}

static bl_status run_select_v2(bli_tf_call *c)
{
    const bl_shape *o = &c->out[0].shape;
    const int64_t n = bli_tf_count(&c->out[0]);
    const size_t size = bli_tf_dtype_size(c->out[0].dtype);
    int64_t at[BL_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++) {
        const bool first = ((const uint8_t *)c->in[0].data)[step_to(&c->in[0].shape, o, at)];
        const bli_tf_arg *from = &c->in[first ? 1 : 2];
        memcpy((char *)c->out[0].data + (size_t)i * size,
               (const char *)from->data + (size_t)step_to(&from->shape, o, at) * size, size);
        for (int d = o->rank - 1; d >= 0 && ++at[d] == o->dim[d]; d--)
            at[d] = 0;
    }
    return BL_OK;
}

#define OP(name)                                                                                                       \
    {                                                                                                                  \
        name, 2, 2, 1, NULL, infer_binary, run_binary, 0, false                                                        \
    }
static const bli_tf_op ops[] = {
    OP("Add"),
    OP("AddV2"),
    OP("Sub"),
    OP("Mul"),
    OP("Div"),
    OP("RealDiv"),
    OP("DivNoNan"),
    OP("TruncateDiv"),
    OP("FloorDiv"),
    OP("FloorMod"),
    OP("Maximum"),
    OP("Minimum"),
    OP("SquaredDifference"),
    OP("Pow"),
    OP("Less"),
    OP("LessEqual"),
    OP("Greater"),
    OP("GreaterEqual"),
    OP("Equal"),
    OP("NotEqual"),
    OP("BitwiseAnd"),
    OP("BitwiseOr"),
    OP("BitwiseXor"),
    OP("LeftShift"),
    OP("RightShift"),
    OP("LogicalAnd"),
    OP("LogicalOr"),
    {"Select", 3, 3, 1, NULL, infer_select, run_select, 0, false},
    {"SelectV2", 3, 3, 1, NULL, infer_select_v2, run_select_v2, 0, false},
};
const bli_tf_family bli_tf_family_binary = {ops, BLI_COUNT(ops)};
