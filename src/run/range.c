/* range.c: what is known of every value before running, and the carrier that follows from it.
 *
 * A value is on a grid when it is known to be a multiple of 2^step_exp within bounds; sums of products then have an
 * exact largest magnitude in steps.  Below 2^24 steps float32 holds them in any order, below 2^53 float64 does.
 * Floating-point parameters that no quantizer touches are on no grid, and nothing is proven about what follows them.
 */
#include <math.h>
#include <string.h>

#include "num/num.h"
#include "run/plan.h"

/* Constants on a grid: the lowest set bit of any element, provided the largest needs few bits above it. */
static bli_range constant_range(const bl_value *v)
{
    bli_range r = {0};
    const int64_t n = bl_shape_count(&v->shape);
    if ((v->type != BL_F32 && v->type != BL_F64) || !v->data || n < 0)
        return r;
    int low = 1024, high = -1100;
    for (int64_t i = 0; i < n; i++) {
        const double x = v->type == BL_F32 ? (double)((const float *)v->data)[i] : ((const double *)v->data)[i];
        if (!isfinite(x))
            return r;
        if (x == 0)
            continue;
        int e;
        const int64_t m = (int64_t)ldexp(frexp(x, &e), 53); /* x = m * 2^(e-53) */
        const int lowest = e - 53 + __builtin_ctzll((unsigned long long)(m < 0 ? -m : m));
        low = lowest < low ? lowest : low;
        high = e > high ? e : high;
        r.least = x < r.least ? x : r.least;
        r.greatest = x > r.greatest ? x : r.greatest;
    }
    if (low == 1024)
        low = high = 0;
    r.on_grid = high - low < 24 || v->type == BL_F64;
    r.step_exp = low;
    return r;
}

static double steps_of(const bli_range *r)
{
    const double most = fmax(fabs(r->least), fabs(r->greatest));
    return ldexp(most, -r->step_exp);
}

static bl_status node_ranges(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_range *ranges,
                             double *accumulator)
{
    const bli_op *op = bli_op_find(n->type, n->domain);
    bli_range_call r = {.ctx = ctx, .node = n};
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++) {
        if (n->inputs[i] < 0)
            continue;
        r.in[i] = bl_graph_value(g, n->inputs[i]);
        r.range_in[i] = ranges[n->inputs[i]];
    }
    for (int o = 0; o < n->num_outputs && o < BLI_MAX_OUT; o++)
        r.out[o] = bl_graph_value(g, n->outputs[o]);
    if (op && op->range)
        op->range(&r);
    else if (op && (op->flags & BLI_OP_VIEW))
        r.range_out[0] = r.range_in[0];
    for (int o = 0; o < n->num_outputs && o < BLI_MAX_OUT; o++)
        ranges[n->outputs[o]] = r.range_out[o];
    *accumulator = r.range_out[0].on_grid ? r.accumulator : 0;
    return r.status;
}

bl_status bli_infer_ranges(bl_context *ctx, const bl_graph *g, bli_range *ranges, double *accumulators)
{
    for (int v = 0; v < bl_graph_num_values(g); v++)
        ranges[v] = constant_range(bl_graph_value(g, v));
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        BLI_TRY(node_ranges(ctx, g, bl_graph_node(g, i), ranges, &accumulators[i]));
    return BL_OK;
}

bool bli_narrow_format(bl_context *ctx, const bl_node *n)
{
    enum { MOST_BITS = 24 };
    const char *text = bl_node_string(n, "format", "");
    bl_format f;
    if (!text[0] || bl_format_parse(ctx, text, &f) != BL_OK)
        return false;
    return f.kind == BL_FORMAT_FIXED || f.kind == BL_FORMAT_INT
               ? n->num_inputs < 3 && f.bits <= MOST_BITS
               : bli_format_facts(&f, bl_node_float(n, "scale", 1), 0).fits_f32;
}

/* Sums count only when asked for: in training the weights move and nothing lasting can be proven of them. */
static double most_steps(const bl_graph *g, bool sums, const bli_range *ranges, const double *accumulators)
{
    double most = 0;
    for (int i = 0; sums && i < bl_graph_num_nodes(g); i++)
        most = fmax(most, accumulators[i]);
    for (int v = 0; v < bl_graph_num_values(g); v++) {
        const int from = bl_graph_value(g, v)->producer;
        const bool format = from >= 0 && strcmp(bl_graph_node(g, from)->type, "Quantize") == 0 &&
                            !bli_narrow_format(bl_graph_context(g), bl_graph_node(g, from));
        if (ranges[v].on_grid && (sums || format))
            most = fmax(most, steps_of(&ranges[v]));
    }
    return most;
}

static bl_status choose(bl_context *ctx, const bl_graph *g, bool sums, bl_dtype *real)
{
    *real = BL_F32;
    bli_range *ranges = bli_alloc_array(ctx, (size_t)bl_graph_num_values(g) + 1, sizeof *ranges);
    double *accumulators = bli_alloc_array(ctx, (size_t)bl_graph_num_nodes(g) + 1, sizeof *accumulators);
    bl_status s = BL_NO_MEMORY;
    if (ranges && accumulators) {
        s = bli_infer_ranges(ctx, g, ranges, accumulators);
        if (s == BL_OK && most_steps(g, sums, ranges, accumulators) > 0x1p24)
            *real = BL_F64;
    }
    bli_free(ctx, ranges);
    bli_free(ctx, accumulators);
    return s;
}

bl_status bli_choose_carrier(bl_context *ctx, const bl_graph *g, bl_dtype *real)
{
    return choose(ctx, g, true, real);
}

bl_status bli_training_carrier(bl_context *ctx, const bl_graph *g, bl_dtype *real)
{
    return choose(ctx, g, false, real);
}

/* Steps whose sums may pass 2^53 learn the step exponents of their inputs. */
bl_status bli_plan_find_wide(bli_plan *p)
{
    const bl_graph *g = p->graph;
    if (p->opt.training || p->real != BL_F64)
        return BL_OK;
    bli_range *ranges = bli_arena_array(p->arena, (size_t)p->num_values + 1, sizeof *ranges);
    double *accumulators = bli_arena_array(p->arena, (size_t)bl_graph_num_nodes(g) + 1, sizeof *accumulators);
    if (!ranges || !accumulators)
        return BL_NO_MEMORY;
    BLI_TRY(bli_infer_ranges(p->ctx, g, ranges, accumulators));
    for (int i = 0; i < p->num_steps; i++) {
        const bl_node *n = p->steps[i].run;
        if (accumulators[p->steps[i].node] <= 0x1p53)
            continue;
        int *steps = bli_arena_array(p->arena, BLI_MAX_IN, sizeof *steps);
        if (!steps)
            return BL_NO_MEMORY;
        for (int k = 0; k < n->num_inputs; k++)
            steps[k] = n->inputs[k] < 0 ? 0 : ranges[n->inputs[k]].step_exp;
        p->steps[i].wide_steps = steps;
    }
    return BL_OK;
}
