/* Dense products: exact on whole numbers for every instruction set and shape, the same bits however rows are sliced. */
#include "support/test.h"

#include "op/kernels/reference.h"
#include "op/products.h"
#include "support/op_call.h"

#include <math.h>

enum { X, W, BIAS, Y, DY, DX, DW, DBIAS, EXPECT, TENSORS };

typedef struct layer {
    bl_context *ctx;
    bl_dtype type;
    bli_isa isa;
    int64_t rows, depth, columns;
    bool trans, bias;
    bl_attr attrs[3];
    bl_node node;
    bl_tensor t[TENSORS];
} layer;

static void layer_open(layer *l, const char *op, bool trans, bool bias)
{
    const int64_t m = l->rows, k = l->depth, n = l->columns;
    l->trans = trans;
    l->bias = bias;
    l->attrs[0] = (bl_attr){.name = "transB", .kind = BL_ATTR_INT, .count = 1, .u.i = trans};
    l->attrs[1] = (bl_attr){.name = "alpha", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = 1};
    l->attrs[2] = (bl_attr){.name = "beta", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = 1};
    l->node = (bl_node){.name = "l", .type = op, .domain = "", .num_attrs = op[0] == 'G' ? 3 : 0, .attrs = l->attrs};
    l->t[X] = tensor_new(l->ctx, l->type, DIMS(m, k));
    l->t[DX] = tensor_new(l->ctx, l->type, DIMS(m, k));
    l->t[W] = trans ? tensor_new(l->ctx, l->type, DIMS(n, k)) : tensor_new(l->ctx, l->type, DIMS(k, n));
    l->t[DW] = trans ? tensor_new(l->ctx, l->type, DIMS(n, k)) : tensor_new(l->ctx, l->type, DIMS(k, n));
    l->t[BIAS] = tensor_new(l->ctx, l->type, DIMS(n));
    l->t[DBIAS] = tensor_new(l->ctx, l->type, DIMS(n));
    l->t[Y] = tensor_new(l->ctx, l->type, DIMS(m, n));
    l->t[DY] = tensor_new(l->ctx, l->type, DIMS(m, n));
    l->t[EXPECT] = tensor_new(l->ctx, l->type, DIMS(m, n));
}

static void layer_close(layer *l)
{
    for (int i = 0; i < TENSORS; i++)
        bl_tensor_free(l->ctx, &l->t[i]);
}

static bli_call call_of(const layer *l)
{
    bli_call c = {.ctx = l->ctx, .node = &l->node, .isa = l->isa};
    c.in[0] = l->t[X];
    c.in[1] = l->t[W];
    if (l->bias)
        c.in[2] = l->t[BIAS];
    c.out[0] = l->t[Y];
    c.grad_out[0] = l->t[DY];
    c.grad_in[0] = l->t[DX];
    c.grad_in[1] = l->t[DW];
    if (l->bias)
        c.grad_in[2] = l->t[DBIAS];
    return c;
}

static bli_reference_dense reference_of(const layer *l)
{
    return (bli_reference_dense){.type = l->type,
                                 .x = l->t[X].data,
                                 .w = l->t[W].data,
                                 .bias = l->bias ? l->t[BIAS].data : NULL,
                                 .y = l->t[EXPECT].data,
                                 .rows = l->rows,
                                 .depth = l->depth,
                                 .columns = l->columns,
                                 .w_k = l->trans ? 1 : l->columns,
                                 .w_n = l->trans ? l->depth : 1};
}

static void check_data_gradient(const layer *l)
{
    for (int64_t r = 0; r < l->rows; r++)
        for (int64_t k = 0; k < l->depth; k++) {
            double sum = 0;
            for (int64_t n = 0; n < l->columns; n++)
                sum += tensor_get(&l->t[DY], r * l->columns + n) *
                       tensor_get(&l->t[W], l->trans ? n * l->depth + k : k * l->columns + n);
            assert_true(tensor_get(&l->t[DX], r * l->depth + k) == sum);
        }
}

static void check_weight_gradient(const layer *l)
{
    for (int64_t k = 0; k < l->depth; k++)
        for (int64_t n = 0; n < l->columns; n++) {
            double sum = 0;
            for (int64_t r = 0; r < l->rows; r++)
                sum += tensor_get(&l->t[X], r * l->depth + k) * tensor_get(&l->t[DY], r * l->columns + n);
            assert_true(tensor_get(&l->t[DW], l->trans ? n * l->depth + k : k * l->columns + n) == sum);
        }
}

static void check_bias_gradient(const layer *l)
{
    for (int64_t n = 0; n < l->columns; n++) {
        double sum = 0;
        for (int64_t r = 0; r < l->rows; r++)
            sum += tensor_get(&l->t[DY], r * l->columns + n);
        assert_true(tensor_get(&l->t[DBIAS], n) == sum);
    }
}

static void check_layer(layer *l, uint64_t *seed, int parts)
{
    const bli_op *op = l->node.type[0] == 'G' ? &bli_op_gemm : &bli_op_matmul;
    const int64_t bound = l->type == BL_F64 ? 1 << 20 : 100;
    for (int i = X; i <= DBIAS; i++)
        fill_codes(&l->t[i], seed, bound, 1);
    bli_call c = call_of(l);
    call_prepare(op, &c);
    assert_ok(l->ctx, op->forward(&c));
    const bli_reference_dense d = reference_of(l);
    bli_reference_dense_run(&d);
    assert_tensor_equal(&l->t[Y], &l->t[EXPECT], "forward");
    assert_ok(l->ctx, op->backward(&c));
    check_data_gradient(l);
    check_weight_gradient(l);
    fill_codes(&l->t[DW], seed, bound, 1);
    for (int p = 0; p < parts; p++)
        assert_ok(l->ctx, op->weight_grad(&c, p, parts));
    check_weight_gradient(l);
    if (l->bias)
        check_bias_gradient(l);
    call_done(&c);
}

static void for_every_kernel(bl_context *ctx, void (*fn)(bl_context *, bli_isa, bl_dtype))
{
    for (bli_isa isa = BLI_ISA_GENERIC; isa <= bli_cpu_isa(); isa++) {
        fn(ctx, isa, BL_F32);
        fn(ctx, isa, BL_F64);
    }
}

static void shapes(bl_context *ctx, bli_isa isa, bl_dtype type)
{
    uint64_t seed = 1;
    for (int i = 0; i < 60; i++) {
        layer l = {.ctx = ctx, .type = type, .isa = isa};
        l.rows = (int64_t)random_below(&seed, i % 10 == 9 ? 300 : 40);
        l.depth = (int64_t)random_below(&seed, 70) + (i % 7 > 0);
        l.columns = (int64_t)random_below(&seed, 100) + 1;
        layer_open(&l, i % 3 ? "Gemm" : "MatMul", i % 3 && i % 2, i % 3 == 1);
        check_layer(&l, &seed, 1 + i % 4);
        layer_close(&l);
    }
}

static void products_of_whole_numbers_are_exact(void **state)
{
    for_every_kernel(*state, shapes);
}

static void slices(bl_context *ctx, bli_isa isa, bl_dtype type)
{
    uint64_t seed = 2;
    layer l = {.ctx = ctx, .type = type, .isa = isa, .rows = 37, .depth = 61, .columns = 75};
    layer_open(&l, "MatMul", false, false);
    for (int i = X; i <= DY; i++)
        fill_reals(&l.t[i], &seed);
    bli_call c = call_of(&l);
    call_prepare(&bli_op_matmul, &c);
    assert_ok(ctx, bli_op_matmul.forward(&c));
    memcpy(l.t[EXPECT].data, l.t[Y].data, (size_t)bl_shape_count(&l.t[Y].shape) * bl_dtype_size(type));
    for (int64_t step = 1; step < 20; step += 2) {
        fill_reals(&l.t[Y], &seed);
        for (int64_t r = 0; r < l.rows; r += step) {
            const int64_t rows = l.rows - r < step ? l.rows - r : step;
            c.in[0] = tensor_rows(&l.t[X], r, rows);
            c.out[0] = tensor_rows(&l.t[Y], r, rows);
            assert_ok(ctx, bli_op_matmul.forward(&c));
        }
        assert_tensor_equal(&l.t[Y], &l.t[EXPECT], "slices");
    }
    call_done(&c);
    layer_close(&l);
}

static void rows_have_the_same_bits_in_any_slices(void **state)
{
    for_every_kernel(*state, slices);
}

static void computed_factors(bl_context *ctx, bli_isa isa, bl_dtype type)
{
    uint64_t seed = 3;
    bl_tensor x = tensor_new(ctx, type, DIMS(3, 2, 5, 7)), w = tensor_new(ctx, type, DIMS(3, 2, 7, 19));
    bl_tensor y = tensor_new(ctx, type, DIMS(3, 2, 5, 19)), dw = tensor_new(ctx, type, DIMS(3, 2, 7, 19));
    fill_codes(&x, &seed, 9, 1);
    fill_codes(&w, &seed, 9, 1);
    const bl_node node = {.name = "l", .type = "MatMul", .domain = ""};
    bli_call c = {.ctx = ctx, .node = &node, .isa = isa, .in = {x, w}, .out = {y}, .grad_out = {y}};
    c.grad_in[1] = dw;
    call_prepare(&bli_op_matmul, &c);
    assert_ok(ctx, bli_op_matmul.forward(&c));
    for (int64_t b = 0; b < 6; b++)
        for (int64_t i = 0; i < 5 * 19; i++) {
            double sum = 0;
            for (int64_t k = 0; k < 7; k++)
                sum += tensor_get(&x, (b * 5 + i / 19) * 7 + k) * tensor_get(&w, (b * 7 + k) * 19 + i % 19);
            assert_true(tensor_get(&y, b * 5 * 19 + i) == sum);
        }
    assert_ok(ctx, bli_op_matmul.backward(&c));
    for (int64_t b = 0; b < 6; b++)
        for (int64_t i = 0; i < 7 * 19; i++) {
            double sum = 0;
            for (int64_t r = 0; r < 5; r++)
                sum += tensor_get(&x, (b * 5 + r) * 7 + i / 19) * tensor_get(&y, (b * 5 + r) * 19 + i % 19);
            assert_true(tensor_get(&dw, b * 7 * 19 + i) == sum);
        }
    call_done(&c);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &w);
    bl_tensor_free(ctx, &y);
    bl_tensor_free(ctx, &dw);
}

static void a_computed_second_factor_is_multiplied_batch_by_batch(void **state)
{
    for_every_kernel(*state, computed_factors);
}

static void alpha_and_beta_scale_product_and_bias(void **state)
{
    uint64_t seed = 4;
    layer l = {.ctx = *state, .type = BL_F32, .isa = bli_cpu_isa(), .rows = 5, .depth = 6, .columns = 21};
    layer_open(&l, "Gemm", true, true);
    l.attrs[1].u.f = 3;
    l.attrs[2].u.f = -2;
    for (int i = X; i <= DY; i++)
        fill_codes(&l.t[i], &seed, 50, 1);
    bli_call c = call_of(&l);
    call_prepare(&bli_op_gemm, &c);
    assert_ok(l.ctx, bli_op_gemm.forward(&c));
    bli_reference_dense d = reference_of(&l);
    d.bias = NULL;
    bli_reference_dense_run(&d);
    for (int64_t i = 0; i < 5 * 21; i++)
        assert_true(tensor_get(&l.t[Y], i) == 3 * tensor_get(&l.t[EXPECT], i) - 2 * tensor_get(&l.t[BIAS], i % 21));
    assert_ok(l.ctx, bli_op_gemm.backward(&c));
    for (int64_t n = 0; n < 21; n++) {
        double sum = 0, dw = 0;
        for (int64_t r = 0; r < 5; r++) {
            sum += tensor_get(&l.t[DY], r * 21 + n);
            dw += tensor_get(&l.t[DY], r * 21 + n) * tensor_get(&l.t[X], r * 6);
        }
        assert_true(tensor_get(&l.t[DBIAS], n) == -2 * sum);
        assert_true(tensor_get(&l.t[DW], n * 6) == 3 * dw);
    }
    call_done(&c);
    layer_close(&l);
}

/* 2^60 + 1 - 2^60: lost in double, kept by the wide path. */
static void sums_beyond_double_are_exact_on_the_wide_path(void **state)
{
    const int steps[BLI_MAX_IN] = {-4, -6};
    const bl_node node = {.name = "l", .type = "MatMul", .domain = ""};
    bl_tensor x = tensor_new(*state, BL_F64, DIMS(1, 3)), w = tensor_new(*state, BL_F64, DIMS(3, 1));
    bl_tensor y = tensor_new(*state, BL_F64, DIMS(1, 1));
    const double xs[3] = {0x1p30, 1, -0x1p30}, ws[3] = {0x1p30, 1, 0x1p30};
    for (int i = 0; i < 3; i++) {
        tensor_set(&x, i, ldexp(xs[i], steps[0]));
        tensor_set(&w, i, ldexp(ws[i], steps[1]));
    }
    bli_call c = {.ctx = *state, .node = &node, .isa = bli_cpu_isa(), .in = {x, w}, .out = {y}};
    call_prepare(&bli_op_matmul, &c);
    assert_ok(*state, bli_op_matmul.forward(&c));
    assert_true(tensor_get(&y, 0) == 0);
    c.wide_steps = steps;
    assert_ok(*state, bli_op_matmul.forward(&c));
    assert_true(tensor_get(&y, 0) == 0x1p-10);
    call_done(&c);
    bl_tensor_free(*state, &x);
    bl_tensor_free(*state, &w);
    bl_tensor_free(*state, &y);
}

static void range_comes_from_the_weights_when_they_are_constant(void **state)
{
    (void)state;
    float weights[6] = {1, -2, 0.5f, 0.5f, 3, 0};
    const bl_value x = {.type = BL_F32, .shape = {2, {-1, 3}}, .role = BL_ROLE_COMPUTED};
    bl_value w = {.type = BL_F32, .shape = {2, {3, 2}}, .role = BL_ROLE_CONSTANT, .data = weights};
    const bl_node node = {.name = "l", .type = "MatMul", .domain = ""};
    bli_range_call r = {.node = &node, .in = {&x, &w}};
    r.range_in[0] = (bli_range){true, -3, 0, 4};
    r.range_in[1] = (bli_range){true, -1, -4, 3.5};
    bli_op_matmul.range(&r);
    /* columns (1, 0.5, 3) and (-2, 0.5, 0), inputs 0 .. 4 */
    assert_true(r.range_out[0].on_grid && r.range_out[0].step_exp == -4);
    assert_true(r.range_out[0].least == -8 && r.range_out[0].greatest == 18);
    assert_true(r.accumulator == 18 * 16);
    w.role = BL_ROLE_PARAMETER;
    bli_op_matmul.range(&r);
    assert_true(r.range_out[0].least == -48 && r.range_out[0].greatest == 42 && r.accumulator == 48 * 16);
    r.range_in[1].on_grid = false;
    r.range_out[0].on_grid = false;
    bli_op_matmul.range(&r);
    assert_false(r.range_out[0].on_grid);
}

static bl_status infer(bl_context *ctx, const bl_node *node, bl_shape a, bl_shape b, bl_dtype bt, bl_shape *out)
{
    const bl_value x = {.type = BL_F32, .shape = a}, w = {.type = bt, .shape = b};
    bli_infer i = {.ctx = ctx, .node = node, .in = {&x, &w}};
    bl_status s = node->type[0] == 'G' ? bli_op_gemm.schema.infer(&i) : bli_op_matmul.schema.infer(&i);
    *out = i.out_shape[0];
    return s;
}

static void inference_checks_depth_rank_and_type(void **state)
{
    const bl_attr attrs[2] = {{"transB", BL_ATTR_INT, 1, {.i = 1}}, {"transA", BL_ATTR_INT, 1, {.i = 1}}};
    const bl_node m = {.type = "MatMul"}, g = {.type = "Gemm", .num_attrs = 1, .attrs = attrs};
    const bl_node t = {.type = "Gemm", .num_attrs = 2, .attrs = attrs};
    bl_context *ctx = *state;
    bl_shape out;
    assert_ok(ctx, infer(ctx, &m, (bl_shape){2, {-1, 3}}, (bl_shape){2, {3, 4}}, BL_F32, &out));
    assert_true(out.rank == 2 && out.dim[0] == -1 && out.dim[1] == 4);
    assert_ok(ctx, infer(ctx, &g, (bl_shape){2, {-1, 3}}, (bl_shape){2, {4, 3}}, BL_F32, &out));
    assert_true(out.rank == 2 && out.dim[0] == -1 && out.dim[1] == 4);
    assert_ok(ctx, infer(ctx, &m, (bl_shape){3, {-1, 2, 3}}, (bl_shape){3, {-1, 3, 5}}, BL_F32, &out));
    assert_true(out.rank == 3 && out.dim[1] == 2 && out.dim[2] == 5);
    assert_fails(ctx, BL_BAD_MODEL, "rows of 3 elements, input 1 has 4 rows",
                 infer(ctx, &m, (bl_shape){2, {-1, 3}}, (bl_shape){2, {4, 4}}, BL_F32, &out));
    assert_fails(ctx, BL_BAD_MODEL, "input 1 is F64",
                 infer(ctx, &m, (bl_shape){2, {-1, 3}}, (bl_shape){2, {3, 4}}, BL_F64, &out));
    assert_fails(ctx, BL_UNSUPPORTED, "rank 1 and 2",
                 infer(ctx, &m, (bl_shape){1, {3}}, (bl_shape){2, {3, 4}}, BL_F32, &out));
    assert_fails(ctx, BL_UNSUPPORTED, "transA",
                 infer(ctx, &t, (bl_shape){2, {3, 3}}, (bl_shape){2, {4, 3}}, BL_F32, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_whole_numbers_are_exact),
        cmocka_unit_test(rows_have_the_same_bits_in_any_slices),
        cmocka_unit_test(a_computed_second_factor_is_multiplied_batch_by_batch),
        cmocka_unit_test(alpha_and_beta_scale_product_and_bias),
        cmocka_unit_test(sums_beyond_double_are_exact_on_the_wide_path),
        cmocka_unit_test(range_comes_from_the_weights_when_they_are_constant),
        cmocka_unit_test(inference_checks_depth_rank_and_type),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
