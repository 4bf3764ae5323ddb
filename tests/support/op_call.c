/* op_call.c: tensors of random numbers and the engine's duties around one call. */
#include "support/op_call.h"

#include "support/test.h"

bl_tensor tensor_new(bl_context *ctx, bl_dtype type, const int64_t *dims)
{
    bl_shape shape = {0};
    bl_tensor t;
    for (; dims[shape.rank] >= 0; shape.rank++)
        shape.dim[shape.rank] = dims[shape.rank];
    assert_ok(ctx, bl_tensor_create(ctx, type, &shape, &t));
    return t;
}

/* splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014) */
static uint64_t next(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *seed, uint64_t n)
{
    return next(seed) % n;
}

void fill_codes(bl_tensor *t, uint64_t *seed, int64_t bound, double step)
{
    for (int64_t i = 0; i < bl_shape_count(&t->shape); i++)
        tensor_set(t, i, step * (double)((int64_t)random_below(seed, (uint64_t)(2 * bound + 1)) - bound));
}

void fill_reals(bl_tensor *t, uint64_t *seed)
{
    for (int64_t i = 0; i < bl_shape_count(&t->shape); i++)
        tensor_set(t, i, (double)(next(seed) >> 11) * 0x1p-52 - 1);
}

double tensor_get(const bl_tensor *t, int64_t i)
{
    return t->type == BL_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

void tensor_set(bl_tensor *t, int64_t i, double x)
{
    if (t->type == BL_F64)
        ((double *)t->data)[i] = x;
    else
        ((float *)t->data)[i] = (float)x;
}

void assert_tensor_equal(const bl_tensor *a, const bl_tensor *b, const char *what)
{
    assert_int_equal(a->type, b->type);
    assert_true(bl_shape_equal(&a->shape, &b->shape));
    const int64_t n = bl_shape_count(&a->shape);
    for (int64_t i = 0; i < n; i++)
        if (!(tensor_get(a, i) == tensor_get(b, i))) {
            print_error("%s: element %lld of %lld: %.17g and %.17g\n", what, (long long)i, (long long)n,
                        tensor_get(a, i), tensor_get(b, i));
            fail();
        }
}

bl_tensor tensor_rows(const bl_tensor *t, int64_t first, int64_t rows)
{
    bl_tensor part = *t;
    const int64_t all = t->shape.dim[0], size = all > 0 ? bl_shape_count(&t->shape) / all : 0;
    part.shape.dim[0] = rows;
    part.data = (char *)t->data + (size_t)(first * size) * bl_dtype_size(t->type);
    return part;
}

void call_prepare(const bli_op *op, bli_call *c)
{
    void *prep = bli_alloc(c->ctx, op->prep_size ? op->prep_size(c) : 0);
    assert_non_null(prep);
    c->prep = prep;
    if (op->prepare)
        assert_ok(c->ctx, op->prepare(c, prep));
    c->scratch = bli_alloc(c->ctx, op->scratch ? op->scratch(c) : 0);
    assert_non_null(c->scratch);
}

void call_done(bli_call *c)
{
    union {
        const void *in;
        void *out;
    } prep = {c->prep};
    bli_free(c->ctx, prep.out);
    bli_free(c->ctx, c->scratch);
    c->prep = c->scratch = NULL;
}
