/* op_matmul.c: MatMul and BatchMatMul of floats and doubles, on the kernels of op/kernels: one element is one chain of
 * multiply-adds.  A constant second factor is packed once. */
#include <string.h>

#include "op/kernels/product.h"
#include "tf/broadcast.h"

typedef struct factors {
    bool turned_a, turned_b;
    int64_t rows, depth, columns;
} factors;

static bl_status read_turns(bli_tf_call *c, factors *f)
{
    const bool batched = c->node->op[0] == 'B';
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, batched ? "adj_x" : "transpose_a", false, &f->turned_a));
    return bli_tf_bool_or(c->ctx, c->node, batched ? "adj_y" : "transpose_b", false, &f->turned_b);
}

static int64_t dim(const bl_shape *s, int from_end)
{
    return s->dim[s->rank - from_end];
}

static bl_status read_factors(bli_tf_call *c, factors *f)
{
    const bl_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    const int t = c->in[0].dtype;
    BLI_TRY(read_turns(c, f));
    BLI_TRY(bli_tf_same_type(c, 0, 1));
    if (t && t != BLI_DT_FLOAT && t != BLI_DT_DOUBLE)
        return bli_fail(c->ctx, BL_UNSUPPORTED, "factors of type %s; float and double are known", bli_tf_dtype_name(t));
    f->rows = f->depth = f->columns = -1;
    for (int i = 0; i < 2; i++)
        if (c->in[i].shape.rank >= 0 && c->in[i].shape.rank < 2)
            return bli_tf_refuse(c, i, "a matrix");
    if (a->rank >= 0) {
        f->rows = dim(a, f->turned_a ? 1 : 2);
        f->depth = dim(a, f->turned_a ? 2 : 1);
    }
    if (b->rank >= 0) {
        const int64_t depth = dim(b, f->turned_b ? 1 : 2);
        f->columns = dim(b, f->turned_b ? 2 : 1);
        if (f->depth >= 0 && depth >= 0 && f->depth != depth)
            return bli_fail(c->ctx, BL_BAD_MODEL, "rows of %lld elements times columns of %lld", (long long)f->depth,
                            (long long)depth);
    }
    return BL_OK;
}

static bl_status infer_matmul(bli_tf_call *c)
{
    factors f;
    BLI_TRY(bli_tf_need_rank(c, 0, 2));
    BLI_TRY(bli_tf_need_rank(c, 1, 2));
    BLI_TRY(read_factors(c, &f));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = (bl_shape){2, {f.rows, f.columns}};
    return BL_OK;
}

static bl_status infer_batch(bli_tf_call *c)
{
    factors f;
    bli_tf_arg in[2] = {c->in[0], c->in[1]};
    bli_tf_call lead = *c;
    BLI_TRY(read_factors(c, &f));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = BLI_TF_UNKNOWN_SHAPE;
    if (in[0].shape.rank < 0 || in[1].shape.rank < 0)
        return BL_OK;
    in[0].shape.rank -= 2;
    in[1].shape.rank -= 2;
    lead.in = in;
    BLI_TRY(bli_tf_spread_shape(&lead, 0, 1, &c->out[0].shape));
    c->out[0].shape.dim[c->out[0].shape.rank++] = f.rows;
    c->out[0].shape.dim[c->out[0].shape.rank++] = f.columns;
    return BL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------- */
typedef struct product_call {
    const bli_kernels *kernels;
    bl_dtype type;
    factors f;
} product_call;

static size_t packed_bytes(const product_call *p)
{
    return (size_t)bli_panels_size(p->kernels, p->f.depth, p->f.columns) * bl_dtype_size(p->type);
}

static void pack(const product_call *p, const void *b, void *panels)
{
    const ptrdiff_t k = p->f.turned_b ? 1 : p->f.columns, n = p->f.turned_b ? p->f.depth : 1;
    bli_panels_pack(p->kernels, p->type, b, k, n, p->f.depth, p->f.columns, panels);
}

static void multiply(const product_call *p, const void *a, const void *panels, void *out)
{
    const bli_stretch all = {0, 0, p->f.depth};
    const bli_product product = {
        .a = a,
        .b = panels,
        .c = out,
        .rows = {p->f.rows, 1, 1},
        .a_step = {p->f.depth},
        .c_step = {p->f.columns},
        .spans = &all,
        .num_spans = 1,
        .panel = p->f.depth * p->kernels->lanes,
        .columns = p->f.columns,
    };
    p->kernels->product(&product);
}

/* a, turned if need be into scratch behind the panels. */
static const void *straight(const product_call *p, const void *a, void *scratch)
{
    if (!p->f.turned_a)
        return a;
    p->kernels->transpose(a, p->f.depth, p->f.rows, scratch);
    return scratch;
}

static bl_status room(bli_tf_call *c, const product_call *p, void **panels, void **turned)
{
    const size_t packed = (packed_bytes(p) + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
    const size_t a = p->f.turned_a ? (size_t)(p->f.rows * p->f.depth) * bl_dtype_size(p->type) : 0;
    void *scratch;
    BLI_TRY(bli_tf_scratch(c, packed + a + BLI_ALIGN, &scratch));
    *panels = scratch;
    *turned = (char *)scratch + packed;
    return BL_OK;
}

static bl_status start(bli_tf_call *c, product_call *p)
{
    p->type = bli_tf_store_type(c->in[0].dtype);
    p->kernels = bli_kernels_get(c->site->isa, p->type);
    return read_factors(c, &p->f);
}

static bl_status run_matmul(bli_tf_call *c)
{
    product_call p;
    void *panels, *turned;
    BLI_TRY(start(c, &p));
    if (bli_tf_count(&c->out[0]) == 0)
        return BL_OK;
    BLI_TRY(room(c, &p, &panels, &turned));
    if (c->in[1].constant && !c->site->kept) {
        c->site->kept = bli_arena_alloc(c->site->arena, packed_bytes(&p) + BLI_ALIGN);
        if (!c->site->kept)
            return BL_NO_MEMORY;
        pack(&p, c->in[1].data, c->site->kept);
    } else if (!c->in[1].constant) {
        pack(&p, c->in[1].data, panels);
    }
    multiply(&p, straight(&p, c->in[0].data, turned), c->in[1].constant ? c->site->kept : panels, c->out[0].data);
    return BL_OK;
}

static bl_status run_batch(bli_tf_call *c)
{
    product_call p;
    void *panels, *turned;
    BLI_TRY(start(c, &p));
    if (bli_tf_count(&c->out[0]) == 0)
        return BL_OK;
    BLI_TRY(room(c, &p, &panels, &turned));
    bl_shape a = c->in[0].shape, b = c->in[1].shape, o = c->out[0].shape;
    a.rank -= 2;
    b.rank -= 2;
    o.rank -= 2;
    const int64_t batches = bl_shape_count(&o);
    int64_t at[BL_MAX_RANK] = {0};
    for (int64_t i = 0; i < batches; i++) {
        int64_t ia = 0, ib = 0;
        for (int d = 0; d < o.rank; d++) {
            const int ka = d - (o.rank - a.rank), kb = d - (o.rank - b.rank);
            ia = ka >= 0 ? ia * a.dim[ka] + (a.dim[ka] == 1 ? 0 : at[d]) : 0;
            ib = kb >= 0 ? ib * b.dim[kb] + (b.dim[kb] == 1 ? 0 : at[d]) : 0;
        }
        pack(&p, bli_at(c->in[1].data, p.type, ib * p.f.depth * p.f.columns), panels);
        multiply(&p, straight(&p, bli_at(c->in[0].data, p.type, ia * p.f.rows * p.f.depth), turned), panels,
                 bli_at_mut(c->out[0].data, p.type, i * p.f.rows * p.f.columns));
        for (int d = o.rank - 1; d >= 0 && ++at[d] == o.dim[d]; d--)
            at[d] = 0;
    }
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"MatMul", 2, 2, 1, NULL, infer_matmul, run_matmul, 0, false},
    {"BatchMatMul", 2, 2, 1, NULL, infer_batch, run_batch, 0, false},
    {"BatchMatMulV2", 2, 2, 1, NULL, infer_batch, run_batch, 0, false},
};
const bli_tf_family bli_tf_family_matmul = {ops, BLI_COUNT(ops)};
