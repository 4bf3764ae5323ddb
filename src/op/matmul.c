/* matmul.c: MatMul and Gemm, the products of dense layers.
 *
 * The second input is a weight [K, N] that is packed once a step, or (MatMul only) a computed tensor with the same
 * leading dimensions as the first.  The weight's gradient is taken over the whole batch, in tiles of rows of dW that
 * each hold their whole sum: dense weights are large against a slice of the batch, so adding partial gradients would
 * cost more than the products.
 */
#include "op/products.h"

#include "op/kernels/reference.h"
#include "op/lower.h"
#include "op/matmul.h"

static bool is_gemm(const bl_node *n)
{
    return n->type[0] == 'G';
}

bli_dense bli_dense_of(const bli_call *c)
{
    const bl_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    const bool trans = is_gemm(c->node) && bl_node_int(c->node, "transB", 0);
    bli_dense s = {.batch = 1, .rows = 1, .trans = trans, .type = c->in[1].type};
    s.kernels = bli_kernels_get(c->isa, s.type);
    s.depth = b->dim[b->rank - 2 + trans];
    s.columns = b->dim[b->rank - 1 - trans];
    s.w_k = trans ? 1 : s.columns;
    s.w_n = trans ? s.depth : 1;
    for (int i = 0; i < a->rank - 1; i++)
        *(b->rank > 2 && i < a->rank - 2 ? &s.batch : &s.rows) *= a->dim[i];
    return s;
}

/* ---- inference ---------------------------------------------------------------------------------------------- */

static bl_status check_types(bli_infer *i)
{
    const bl_dtype t = i->in[0]->type;
    if (t != BL_F32 && t != BL_F64)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 is %s, expected F32 or F64", bl_dtype_name(t));
    for (int k = 1; k < 3; k++)
        if (i->in[k] && i->in[k]->type != t)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d is %s, but input 0 is %s", k, bl_dtype_name(i->in[k]->type),
                            bl_dtype_name(t));
    i->out_type[0] = t;
    return BL_OK;
}

static bl_status check_depth(bli_infer *i, int64_t a, int64_t b)
{
    if (a == b && a >= 0)
        return BL_OK;
    return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 has rows of %lld elements, input 1 has %lld rows", (long long)a,
                    (long long)b);
}

static bl_status infer_matmul(bli_infer *i)
{
    BLI_TRY(check_types(i));
    const bl_shape *a = &i->in[0]->shape, *b = &i->in[1]->shape;
    if (a->rank < 2 || b->rank < 2 || (b->rank > 2 && b->rank != a->rank))
        return bli_fail(i->ctx, BL_UNSUPPORTED,
                        "inputs of rank %d and %d; a product takes a matrix or the first input's rank as second input",
                        a->rank, b->rank);
    for (int d = 0; b->rank > 2 && d < a->rank - 2; d++)
        if (a->dim[d] != b->dim[d])
            return bli_fail(i->ctx, BL_UNSUPPORTED, "dimension %d is %lld in input 0 and %lld in input 1", d,
                            (long long)a->dim[d], (long long)b->dim[d]);
    if (b->dim[b->rank - 1] < 0 || (b->rank == 2 && b->dim[0] < 0))
        return bli_fail(i->ctx, BL_UNSUPPORTED, "input 1 is a matrix whose size is not known");
    BLI_TRY(check_depth(i, a->dim[a->rank - 1], b->dim[b->rank - 2]));
    i->out_shape[0] = *a;
    i->out_shape[0].dim[a->rank - 1] = b->dim[b->rank - 1];
    return BL_OK;
}

static bl_status infer_gemm(bli_infer *i)
{
    BLI_TRY(check_types(i));
    const bl_shape *a = &i->in[0]->shape, *b = &i->in[1]->shape;
    if (a->rank != 2 || b->rank != 2)
        return bli_fail(i->ctx, BL_BAD_MODEL, "inputs of rank %d and %d, expected two matrices", a->rank, b->rank);
    if (bl_node_int(i->node, "transA", 0))
        return bli_fail(i->ctx, BL_UNSUPPORTED, "attribute transA: 1 would put the batch into the sum, expected 0");
    const bool trans = bl_node_int(i->node, "transB", 0) != 0;
    const int64_t columns = b->dim[1 - trans];
    BLI_TRY(check_depth(i, a->dim[1], b->dim[trans]));
    if (columns < 0)
        return bli_fail(i->ctx, BL_UNSUPPORTED, "input 1 is a matrix whose size is not known");
    if (i->in[2]) {
        const bl_shape *c = &i->in[2]->shape;
        const int64_t count = bl_shape_count(c), last = c->rank > 0 ? c->dim[c->rank - 1] : 1;
        if (c->rank > 2 || count != last || (count != 1 && count != columns))
            return bli_fail(i->ctx, BL_UNSUPPORTED, "input 2 is not one row of %lld elements", (long long)columns);
    }
    i->out_shape[0] = (bl_shape){2, {a->dim[0], columns}};
    return BL_OK;
}

/* ---- packing ------------------------------------------------------------------------------------------------ */

static size_t panels_bytes(const bli_dense *s, int64_t rows, int64_t columns)
{
    return (size_t)bli_panels_size(s->kernels, rows, columns) * bl_dtype_size(s->type);
}

/* Room for W, and behind it for W transposed where the input's gradient is wanted. */
static size_t both_bytes(const bli_dense *s, bool transposed)
{
    return panels_bytes(s, s->depth, s->columns) + (transposed ? panels_bytes(s, s->columns, s->depth) : 0);
}

static void pack_weight(const bli_dense *s, const void *w, void *panels)
{
    bli_panels_pack(s->kernels, s->type, w, s->w_k, s->w_n, s->depth, s->columns, panels);
}

static void pack_transposed(const bli_dense *s, const void *w, void *panels)
{
    bli_panels_pack(s->kernels, s->type, w, s->w_n, s->w_k, s->columns, s->depth, panels);
}

size_t bli_dense_prep_size(const bli_call *c)
{
    if (c->in[1].shape.rank > 2)
        return 0;
    const bli_dense s = bli_dense_of(c);
    return both_bytes(&s, c->grad_in[0].data != NULL);
}

bl_status bli_dense_prepare(const bli_call *c, void *prep)
{
    if (c->in[1].shape.rank > 2)
        return BL_OK;
    const bli_dense s = bli_dense_of(c);
    pack_weight(&s, c->in[1].data, prep);
    if (c->grad_in[0].data)
        pack_transposed(&s, c->in[1].data, (char *)prep + panels_bytes(&s, s.depth, s.columns));
    return BL_OK;
}

static size_t scratch(const bli_call *c)
{
    if (c->in[1].shape.rank == 2)
        return 0;
    const bli_dense s = bli_dense_of(c);
    return both_bytes(&s, true);
}

/* ---- forward ------------------------------------------------------------------------------------------------ */

static void run_rows(const bli_dense *s, int64_t rows, const void *a, int64_t depth, const void *panels,
                     int64_t columns, const void *bias, const bli_finish *finish, void *c)
{
    const bli_stretch span = {0, 0, depth};
    const bli_product p = {
        .a = a,
        .b = panels,
        .bias = bias,
        .c = c,
        .rows = {rows, 1, 1},
        .a_step = {depth},
        .c_step = {columns},
        .spans = &span,
        .num_spans = 1,
        .panel = depth * s->kernels->lanes,
        .columns = columns,
        .finish = finish,
    };
    s->kernels->product(&p);
}

static void run_product(const bli_dense *s, const void *a, int64_t depth, const void *panels, int64_t columns,
                        const void *bias, void *c)
{
    run_rows(s, s->rows, a, depth, panels, columns, bias, NULL, c);
}

void bli_dense_forward(const bli_dense *d, const bli_call *c, int64_t first, int64_t rows, const bli_finish *finish,
                       void *y)
{
    run_rows(d, rows, bli_at(c->in[0].data, d->type, first * d->depth), d->depth, c->prep, d->columns,
             finish ? c->in[2].data : NULL, finish, y);
}

static void forward_wide(const bli_call *c, const bli_dense *s, int64_t batch)
{
    const bli_reference_dense d = {
        .type = s->type,
        .steps = c->wide_steps,
        .x = bli_at(c->in[0].data, s->type, batch * s->rows * s->depth),
        .w = bli_at(c->in[1].data, s->type, batch * s->depth * s->columns),
        .bias = bl_shape_count(&c->in[2].shape) == s->columns ? c->in[2].data : NULL,
        .y = bli_at_mut(c->out[0].data, s->type, batch * s->rows * s->columns),
        .rows = s->rows,
        .depth = s->depth,
        .columns = s->columns,
        .w_k = s->w_k,
        .w_n = s->w_n,
    };
    bli_reference_dense_run(&d);
}

static bl_status forward_matmul(const bli_call *c)
{
    const bli_dense s = bli_dense_of(c);
    for (int64_t i = 0; i < s.batch; i++) {
        const void *w = bli_at(c->in[1].data, s.type, i * s.depth * s.columns);
        if (c->wide_steps) {
            forward_wide(c, &s, i);
            continue;
        }
        if (c->in[1].shape.rank > 2)
            pack_weight(&s, w, c->scratch);
        run_product(&s, bli_at(c->in[0].data, s.type, i * s.rows * s.depth), s.depth,
                    c->in[1].shape.rank > 2 ? c->scratch : c->prep, s.columns, NULL,
                    bli_at_mut(c->out[0].data, s.type, i * s.rows * s.columns));
    }
    return BL_OK;
}

/* A bias row starts the sums; a scalar or scaled C, and alpha, come after them. */
static bl_status forward_gemm(const bli_call *c)
{
    const bli_dense s = bli_dense_of(c);
    const double alpha = bl_node_float(c->node, "alpha", 1), beta = bl_node_float(c->node, "beta", 1);
    const bool row = c->in[2].data && bl_shape_count(&c->in[2].shape) == s.columns;
    const bool plain = alpha == 1 && (!c->in[2].data || (beta == 1 && row));
    if (plain && c->wide_steps) {
        forward_wide(c, &s, 0);
        return BL_OK;
    }
    run_product(&s, c->in[0].data, s.depth, c->prep, s.columns, plain ? c->in[2].data : NULL, c->out[0].data);
    if (!plain)
        s.kernels->scale_add(c->out[0].data, s.rows, s.columns, alpha, c->in[2].data, row, beta);
    return BL_OK;
}

/* ---- backward ----------------------------------------------------------------------------------------------- */

/* Few enough positions at a time that their part of both factors stays in the first cache. */
enum { OUTER_ROWS = 128 };

/* Rows first .. end - 1 of dW = X^T dY, or of dW^T = dY^T X where the weight lies transposed. */
static void run_outer(const bli_dense *s, const void *x, const void *dy, void *dw, int64_t first, int64_t end)
{
    const bool trans = s->trans;
    const int64_t a_width = trans ? s->columns : s->depth, b_width = trans ? s->depth : s->columns;
    for (int64_t p = 0; p == 0 || p < s->rows; p += OUTER_ROWS) {
        const int64_t left = s->rows - p;
        const bli_outer o = {
            .a = bli_at(trans ? dy : x, s->type, p * a_width + first),
            .b = bli_at(trans ? x : dy, s->type, p * b_width),
            .c = bli_at_mut(dw, s->type, first * b_width),
            .positions = {left < OUTER_ROWS ? left : OUTER_ROWS, 1, 1},
            .a_step = {a_width},
            .b_step = {b_width},
            .rows = end - first,
            .columns = b_width,
            .c_step = b_width,
            .add = p > 0,
        };
        s->kernels->outer(&o);
    }
}

bl_status bli_dense_weight_grad(const bli_call *c, int part, int parts)
{
    const bli_dense s = bli_dense_of(c);
    const int64_t rows = s.trans ? s.columns : s.depth, blocks = (rows + 7) / 8;
    const int64_t first = blocks * part / parts * 8, end = blocks * (part + 1) / parts * 8;
    const double alpha = is_gemm(c->node) ? bl_node_float(c->node, "alpha", 1) : 1;
    const int64_t last = end < rows ? end : rows;
    if (first >= last)
        return BL_OK;
    run_outer(&s, c->in[0].data, c->grad_out[0].data, c->grad_in[1].data, first, last);
    if (alpha != 1)
        s.kernels->scale_add(bli_at_mut(c->grad_in[1].data, s.type, first * (s.depth * s.columns / rows)), last - first,
                             s.depth * s.columns / rows, alpha, NULL, 0, 0);
    return BL_OK;
}

void bli_dense_data_gradient(const bli_dense *d, const bli_call *c, int64_t rows, const void *dy,
                             const bli_finish *finish, void *dx)
{
    const void *panels = (const char *)c->prep + panels_bytes(d, d->depth, d->columns);
    run_rows(d, rows, dy, d->columns, panels, d->depth, NULL, finish, dx);
}

static void grad_data(const bli_call *c, const bli_dense *s, int64_t batch)
{
    const void *panels;
    if (c->in[1].shape.rank > 2) {
        pack_transposed(s, bli_at(c->in[1].data, s->type, batch * s->depth * s->columns), c->scratch);
        panels = c->scratch;
    } else {
        panels = (const char *)c->prep + panels_bytes(s, s->depth, s->columns);
    }
    run_product(s, bli_at(c->grad_out[0].data, s->type, batch * s->rows * s->columns), s->columns, panels, s->depth,
                NULL, bli_at_mut(c->grad_in[0].data, s->type, batch * s->rows * s->depth));
}

static bl_status backward_matmul(const bli_call *c)
{
    const bli_dense s = bli_dense_of(c);
    for (int64_t i = 0; i < s.batch; i++) {
        if (c->grad_in[0].data)
            grad_data(c, &s, i);
        if (c->grad_in[1].data)
            run_outer(&s, bli_at(c->in[0].data, s.type, i * s.rows * s.depth),
                      bli_at(c->grad_out[0].data, s.type, i * s.rows * s.columns),
                      bli_at_mut(c->grad_in[1].data, s.type, i * s.depth * s.columns), 0, s.depth);
    }
    return BL_OK;
}

static bl_status backward_gemm(const bli_call *c)
{
    const bli_dense s = bli_dense_of(c);
    const double alpha = bl_node_float(c->node, "alpha", 1), beta = bl_node_float(c->node, "beta", 1);
    if (c->grad_in[0].data) {
        grad_data(c, &s, 0);
        if (alpha != 1)
            s.kernels->scale_add(c->grad_in[0].data, s.rows, s.depth, alpha, NULL, 0, 0);
    }
    if (c->grad_in[1].data)
        BLI_TRY(bli_dense_weight_grad(c, 0, 1));
    if (!c->grad_in[2].data)
        return BL_OK;
    const bool row = bl_shape_count(&c->in[2].shape) == s.columns;
    s.kernels->column_sums(c->grad_out[0].data, row ? s.rows : s.rows * s.columns, row ? s.columns : 1,
                           c->grad_in[2].data);
    if (beta != 1)
        s.kernels->scale_add(c->grad_in[2].data, 1, row ? s.columns : 1, beta, NULL, 0, 0);
    return BL_OK;
}

/* ---- range -------------------------------------------------------------------------------------------------- */

static void range_matmul(bli_range_call *r)
{
    const bl_shape *b = &r->in[1]->shape;
    const int64_t terms = b->dim[b->rank - 2], columns = b->dim[b->rank - 1];
    const bli_sum_shape s = {
        .terms = terms, .outputs = columns, .group = columns, .inner = 1, .output_step = 1, .term_step = columns};
    bli_range_sum(r, &s);
}

static void range_gemm(bli_range_call *r)
{
    const bool trans = bl_node_int(r->node, "transB", 0) != 0;
    const bl_shape *b = &r->in[1]->shape;
    const int64_t terms = b->dim[trans], columns = b->dim[1 - trans];
    if (bl_node_float(r->node, "alpha", 1) != 1 || (r->in[2] && bl_node_float(r->node, "beta", 1) != 1))
        return;
    const bli_sum_shape s = {.terms = terms,
                             .outputs = columns,
                             .group = columns,
                             .inner = 1,
                             .output_step = trans ? terms : 1,
                             .term_step = trans ? 1 : columns};
    bli_range_sum(r, &s);
}

/* ---- lowering ----------------------------------------------------------------------------------------------- */

static bl_status lower_dot(bli_lower_call *c)
{
    const bli_prim_op op = {.kind = BLI_PRIM_DOT, .num_in = 2, .in = {c->x[0].wire, c->x[1].wire}};
    return bli_lower_add(c, &op, NULL, NULL, bli_lower_wire(c, 0)->exp + bli_lower_wire(c, 1)->exp, &c->y[0].wire);
}

/* The weight as [K, M]. */
static bl_status transposed(bli_lower_call *c, int64_t **weight, int64_t depth, int64_t units)
{
    int64_t *t = bli_lower_numbers(c, depth * units, 0);
    if (!t)
        return BL_NO_MEMORY;
    for (int64_t m = 0; m < units; m++)
        for (int64_t k = 0; k < depth; k++)
            t[k * units + m] = (*weight)[m * depth + k];
    *weight = t;
    return BL_OK;
}

static bl_status lower(bli_lower_call *c)
{
    const bool trans = is_gemm(c->node) && bl_node_int(c->node, "transB", 0);
    const bl_tensor *w = &c->known[1];
    if (!w->data)
        return c->x[0].wire < 0 ? bli_lower_refuse(c, "a constant times a value; exchange the two") : lower_dot(c);
    if (w->shape.rank != 2)
        return bli_lower_refuse(c, "the weight has rank %d, expected a matrix", w->shape.rank);
    if (is_gemm(c->node) && (bl_node_float(c->node, "alpha", 1) != 1 || bl_node_float(c->node, "beta", 1) != 1))
        return bli_lower_refuse(c, "alpha or beta is not 1; multiply the weights instead");
    const int64_t depth = w->shape.dim[trans], units = w->shape.dim[1 - trans];
    bli_lower_sum s;
    BLI_TRY(bli_lower_products(c, w, c->bias.data ? &c->bias : &c->known[2], units, &s));
    if (trans)
        BLI_TRY(transposed(c, &s.weight, depth, units));
    const bli_prim_op op = {.kind = BLI_PRIM_DENSE,
                            .num_in = 1,
                            .in = {c->x[0].wire},
                            .channels = units,
                            .weight = s.weight,
                            .bias = s.bias};
    return bli_lower_add(c, &op, NULL, NULL, s.exp, &c->y[0].wire);
}

const bli_op bli_op_matmul = {
    .schema = {"MatMul", BLI_DOMAIN_ONNX, 2, 2, 1, (const bli_attr_spec[]){{0}}, infer_matmul,
               "matrix product, the dense layer"},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward_matmul,
    .backward = backward_matmul,
    .range = range_matmul,
    .scratch = scratch,
    .prep_size = bli_dense_prep_size,
    .prepare = bli_dense_prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
    .lower = lower,
};

static const bli_attr_spec gemm_attrs[] = {
    {"alpha", BL_ATTR_FLOAT, false}, {"beta", BL_ATTR_FLOAT, false}, {"transA", BL_ATTR_INT, false},
    {"transB", BL_ATTR_INT, false},  {NULL, BL_ATTR_INT, false},
};
const bli_op bli_op_gemm = {
    .schema = {"Gemm", BLI_DOMAIN_ONNX, 2, 3, 1, gemm_attrs, infer_gemm,
               "alpha A B + beta C, the dense layer with bias"},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward_gemm,
    .backward = backward_gemm,
    .range = range_gemm,
    .prep_size = bli_dense_prep_size,
    .prepare = bli_dense_prepare,
    .weight_input = 1,
    .weight_grad = bli_dense_weight_grad,
    .lower = lower,
};
