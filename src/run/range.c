/* range.c: what is known of every value before running, and the carrier that follows from it.
 *
 * A value is on a grid when it is known to be a multiple of 2^step_exp within bounds; sums of products then have an
 * exact largest magnitude in steps.  Below 2^24 steps float32 holds them in any order, below 2^53 float64 does.
 * Floating-point parameters that no quantizer touches are on a grid only if all their bits lie within 24 places (a few
 * numbers of one size may by chance); else they are on none, and nothing is proven about what follows them.
 */
#include <math.h>
#include <string.h>

#include "num/num.h"
#include "run/plan.h"

enum { MOST_HOPS = 8 }; /* between the last sum and the output */

/* Constants on a grid: the lowest set bit of any element, provided the largest needs few bits above it. */
bli_range bli_constant_range(const bl_value *v)
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
        r.least = i == 0 || x < r.least ? x : r.least;
        r.greatest = i == 0 || x > r.greatest ? x : r.greatest;
        if (x == 0)
            continue;
        int e;
        const int64_t m = (int64_t)ldexp(frexp(x, &e), 53); /* x = m * 2^(e-53) */
        const int lowest = e - 53 + __builtin_ctzll((unsigned long long)(m < 0 ? -m : m));
        low = lowest < low ? lowest : low;
        high = e > high ? e : high;
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

bl_status bli_infer_node_ranges(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_range *ranges,
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
        ranges[v] = bli_constant_range(bl_graph_value(g, v));
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        BLI_TRY(bli_infer_node_ranges(ctx, g, bl_graph_node(g, i), ranges, &accumulators[i]));
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

/* ---- what need not be exact ----------------------------------------------------------------------------------- */
static bool is_type(const bl_node *n, const char *type)
{
    return strcmp(n->domain, BLI_DOMAIN_ONNX) == 0 && strcmp(n->type, type) == 0;
}

/* Nothing but moves of whole tensors and Relu between v and a float32 output of the graph. */
static bool only_leaves(const bl_graph *g, int v)
{
    for (int hops = 0; hops < MOST_HOPS; hops++) {
        if (bl_graph_value(g, v)->type != BL_F32)
            return false;
        if (bli_graph_num_uses(g, v) != 1)
            return false;
        if (bli_graph_is_output(g, v))
            return true;
        const bl_node *user = bl_graph_node(g, bli_graph_first_user(g, v));
        const bli_op *op = bli_op_find(user->type, user->domain);
        if (user->inputs[0] != v || !op || !((op->flags & BLI_OP_VIEW) || is_type(user, "Relu")))
            return false;
        v = user->outputs[0];
    }
    return false;
}

/* One correctly rounded sum or product of two values that float32 holds. */
static bool rounds_once(const bl_graph *g, const bli_range *ranges, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    if (!is_type(n, "Add") && !is_type(n, "Sub") && !is_type(n, "Mul"))
        return false;
    for (int i = 0; i < 2; i++)
        if (!ranges[n->inputs[i]].on_grid || steps_of(&ranges[n->inputs[i]]) > 0x1p24)
            return false;
    return true;
}

/* A float bias that no quantizer touched has steps of 2^-27 or so, and a sum with it more of them than float32 counts.
 * Before a quantizer that asks for float64: it must see the exact sum, as the integer program does, and not a rounded
 * one that may fall on the other side of a step.  Behind the last quantizer it does not: the float32 that leaves is the
 * exact sum rounded once, whether float32 adds or float64 does and is rounded on its way out (Relu rounds nothing and
 * keeps order). */
static bool leaves_rounded(const bl_graph *g, const bli_range *ranges, int v)
{
    for (int hops = 0; hops < MOST_HOPS && only_leaves(g, v); hops++) {
        const int from = bl_graph_value(g, v)->producer;
        if (from < 0)
            return false;
        if (rounds_once(g, ranges, from))
            return true;
        const bli_op *op = bli_op_find(bl_graph_node(g, from)->type, bl_graph_node(g, from)->domain);
        if (!op || !((op->flags & BLI_OP_VIEW) || is_type(bl_graph_node(g, from), "Relu")))
            return false;
        v = bl_graph_node(g, from)->inputs[0];
    }
    return false;
}

/* Sums count only when asked for: in training the weights move and nothing lasting can be proven of them. */
static double most_steps(const bl_graph *g, bool sums, const bli_range *ranges, const double *accumulators)
{
    double most = 0;
    for (int i = 0; sums && i < bl_graph_num_nodes(g); i++)
        if (accumulators[i] > most && !leaves_rounded(g, ranges, bl_graph_node(g, i)->outputs[0]))
            most = accumulators[i];
    for (int v = 0; v < bl_graph_num_values(g); v++) {
        const int from = bl_graph_value(g, v)->producer;
        const bool format = from >= 0 && strcmp(bl_graph_node(g, from)->type, "Quantize") == 0 &&
                            !bli_narrow_format(bl_graph_context(g), bl_graph_node(g, from));
        if (ranges[v].on_grid && (sums || format) && steps_of(&ranges[v]) > most && !leaves_rounded(g, ranges, v))
            most = steps_of(&ranges[v]);
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
