/* probe.c: a chain of operators run on chosen codes, by the kernels that evaluation runs.
 *
 * The chain becomes a graph of its own whose row is one element per group (or the whole row where every element has
 * its own function); constants are reshaped to it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/impl.h"
#include "run/layout.h"

enum { PROBE_ELEMENTS = 1 << 16 };

struct bli_probe {
    bl_context *ctx;
    bli_plan *plan;
    int64_t groups, rows;
    int exp;
};

/* The row of the chain's own graph. */
static bl_shape probe_row(const bli_chain *chain, const bl_shape *row)
{
    if (chain->groups == 1 || chain->groups == row->dim[row->rank - 1])
        return (bl_shape){1, {chain->groups}};
    return *row;
}

static bl_shape constant_shape(const bl_tensor *t, bool flat)
{
    const int64_t n = bl_shape_count(&t->shape);
    if (flat && t->shape.rank > 1)
        return (bl_shape){1, {n}};
    return t->shape;
}

static bl_status add_constant(bl_graph *g, const bl_tensor *t, bool flat, int *id)
{
    bl_tensor shaped = {t->type, constant_shape(t, flat), t->data};
    float *narrow = NULL;
    bl_context *ctx = bl_graph_context(g);
    if (t->type == BL_F64) { /* a count of ours: the graph's own constants are float32 */
        const size_t n = (size_t)bl_shape_count(&t->shape);
        narrow = bli_alloc_array(ctx, n + 1, sizeof *narrow);
        if (!narrow)
            return BL_NO_MEMORY;
        bli_convert(BL_F32, narrow, BL_F64, t->data, n);
        shaped.type = BL_F32;
        shaped.data = narrow;
    }
    const bl_status s = bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &shaped, id);
    bli_free(ctx, narrow);
    return s;
}

/* A quantizer's channels are the last axis of whatever it stands on. */
static bl_status copy_attrs(bli_arena *arena, const bl_node *n, bool flat, bl_node *copy)
{
    bl_attr *attrs = bli_arena_array(arena, (size_t)n->num_attrs + 1, sizeof *attrs);
    if (!attrs)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->num_attrs; i++) {
        attrs[i] = n->attrs[i];
        if (flat && strcmp(n->type, "Quantize") == 0 && strcmp(attrs[i].name, "axis") == 0)
            attrs[i].u.i = -1;
    }
    copy->attrs = attrs;
    return BL_OK;
}

static bl_status add_link(bli_arena *arena, bl_graph *g, const bli_link *link, bool flat, int *x)
{
    int in[BLI_MAX_IN];
    bl_node copy = *link->node;
    copy.name = NULL;
    for (int i = 0; i < copy.num_inputs; i++) {
        in[i] = i == link->slot ? *x : -1;
        if (i != link->slot && link->in[i].data)
            BLI_TRY(add_constant(g, &link->in[i], flat, &in[i]));
    }
    BLI_TRY(copy_attrs(arena, link->node, flat, &copy));
    copy.inputs = in;
    return bl_graph_add_node(g, &copy, NULL, x);
}

static bl_status build(bli_lowering *l, const bli_chain *chain, const bl_shape *row, bl_graph *g)
{
    bl_shape shape = {1, {-1}};
    const bl_shape own = probe_row(chain, row);
    int x;
    for (int d = 0; d < own.rank; d++)
        shape.dim[shape.rank++] = own.dim[d];
    BLI_TRY(bl_graph_add_input(g, "x", BL_F32, &shape, &x));
    const bool flat = own.rank == 1;
    for (int i = 0; i < chain->count; i++)
        BLI_TRY(bli_within(l->ctx, add_link(l->arena, g, &chain->links[i], flat, &x), "node '%s'",
                           chain->links[i].node->name));
    return bl_graph_set_outputs(g, &x, 1);
}

bl_status bli_probe_create(bli_lowering *l, const bli_chain *chain, int wire, const bl_shape *row, bli_probe **out)
{
    const bli_wire *w = bli_builder_wire(l->b, wire);
    bl_graph *g = NULL;
    *out = NULL;
    bli_probe *p = bli_alloc(l->ctx, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    *p = (bli_probe){.ctx = l->ctx, .groups = chain->groups, .exp = w->exp};
    p->rows = p->groups < PROBE_ELEMENTS ? PROBE_ELEMENTS / (p->groups < 1 ? 1 : p->groups) : 1;
    const bli_plan_options o = {.rows = p->rows, .slices = 1, .threads = 1};
    bl_status s = bl_graph_create(l->ctx, "chain", &g);
    if (s == BL_OK)
        s = build(l, chain, row, g);
    if (s == BL_OK)
        s = bli_plan_create(l->ctx, g, l->real, &o, &p->plan);
    if (s == BL_OK)
        s = bli_plan_layout(p->plan);
    const bli_place at = {.batch_rows = p->rows};
    if (s == BL_OK)
        s = bli_plan_forward_whole(p->plan, &at);
    for (int i = 0; s == BL_OK && i < p->plan->num_steps; i++)
        s = bli_plan_prepare(p->plan, i, &at);
    bl_graph_destroy(g);
    if (s != BL_OK) {
        bli_probe_destroy(p);
        return s;
    }
    *out = p;
    return BL_OK;
}

void bli_probe_destroy(bli_probe *p)
{
    if (!p)
        return;
    bli_plan_destroy(p->plan);
    bli_free(p->ctx, p);
}

static bl_status run_rows(bli_probe *p, const int64_t *codes, double *y, int64_t rows)
{
    const bli_plan *plan = p->plan;
    const bli_place at = {.rows = rows, .batch_rows = rows};
    const size_t n = (size_t)(rows * p->groups);
    bl_tensor x = bli_plan_tensor(plan, bl_graph_input(plan->graph, 0), &at);
    for (size_t i = 0; i < n; i++) {
        const double v = ldexp((double)codes[i], p->exp); /* past 2^53 rounded once, as the wide sums are */
        if (x.type == BL_F64)
            ((double *)x.data)[i] = v;
        else
            ((float *)x.data)[i] = (float)v;
    }
    for (int i = 0; i < plan->num_steps; i++)
        BLI_TRY(bli_plan_forward(plan, i, &at, NULL));
    const bl_tensor t = bli_plan_tensor(plan, bl_graph_output(plan->graph, 0), &at);
    bli_convert(BL_F64, y, t.type, t.data, n);
    return BL_OK;
}

bl_status bli_probe_run(bli_probe *p, const int64_t *codes, double *y, int64_t rows)
{
    for (int64_t r = 0; r < rows; r += p->rows)
        BLI_TRY(run_rows(p, codes + r * p->groups, y + r * p->groups, rows - r < p->rows ? rows - r : p->rows));
    return BL_OK;
}
