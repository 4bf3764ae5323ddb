/* columns.c: a constant matrix times vectors through one plan of shared adders (program/cmvm.h), used at each place.
 *
 * The plan is made for the hull of what the places bring.  A place where some inputs are constant (the edge of an
 * image) uses the same plan, and the netlist folds what falls away.  Offsets of the inputs go into the plan's constants
 * as far as all places agree with the first one; the rest stays as an offset behind the sum.
 */
#include "emit/verilog/net_impl.h"
#include "emit/verilog/unroll.h"

typedef struct columns {
    bli_unroll *u;
    const bli_columns_job *job;
    int64_t *constant; /* of the plan, by output */
    bli_cmvm_input *input;
    bli_adder_graph *graph;
    bli_net_ref *node; /* by node, at the place at hand */
} columns;

/* ---- the plan -----------------------------------------------------------------------------------------------------
 */
static int64_t total(const bli_columns_job *job, int64_t place, int64_t m)
{
    const bli_net_ref *x = job->x + place * job->inputs;
    uint64_t sum = job->bias ? (uint64_t)job->bias[m] : 0;
    for (int64_t k = 0; k < job->inputs; k++)
        sum += (uint64_t)x[k].offset * (uint64_t)job->matrix[k * job->outputs + m];
    return (int64_t)sum;
}

static void hull_of_input(const columns *c, int64_t k, bli_cmvm_input *out)
{
    const bli_columns_job *job = c->job;
    *out = (bli_cmvm_input){0, 0, 62};
    for (int64_t place = 0; place < job->places; place++) {
        bli_net_ref r = job->x[place * job->inputs + k];
        r.offset = 0;
        bli_span s = bli_net_range(c->u->net, r);
        int zeros = bli_net_is_constant(r) ? 62 : r.shift;
        out->lo = place == 0 || s.low < out->lo ? s.low : out->lo;
        out->hi = place == 0 || s.high > out->hi ? s.high : out->hi;
        out->zeros = zeros < out->zeros ? zeros : out->zeros;
    }
    if (out->lo == out->hi)
        out->zeros = 0;
}

static bl_status make_plan(columns *c)
{
    const bli_columns_job *job = c->job;
    bl_context *ctx = c->u->net->ctx;
    c->constant = bli_alloc_array(ctx, (size_t)job->outputs + 1, sizeof *c->constant);
    c->input = bli_alloc_array(ctx, (size_t)job->inputs + 1, sizeof *c->input);
    if (!c->constant || !c->input)
        return BL_NO_MEMORY;
    for (int64_t m = 0; m < job->outputs; m++) {
        int64_t all = total(job, job->typical, m);
        c->constant[m] = all - job->wanted(c->u, job->op->out, job->first + m, all);
    }
    for (int64_t k = 0; k < job->inputs; k++)
        hull_of_input(c, k, &c->input[k]);
    bli_cmvm_problem problem = {(int32_t)job->inputs, (int32_t)job->outputs, job->matrix, c->input, c->constant};
    bli_cmvm_options options = {
        .extra_depth = c->u->options->extra_depth, .ternary = c->u->options->ternary, .effort = c->u->options->effort};
    BLI_TRY(bli_cmvm_solve(ctx, &problem, &options, &c->graph));
    c->node = bli_alloc_array(ctx, (size_t)c->graph->num_nodes + 1, sizeof *c->node);
    return c->node ? BL_OK : BL_NO_MEMORY;
}

/* ---- one place ----------------------------------------------------------------------------------------------------
 */
/* One adder, its constant in the carry chain (or, ternary, as third operand). */
static bl_status direct(columns *c, const bli_adder_node *a, const bli_net_ref *r, bli_net_ref *out)
{
    int first = a->term[0].negative, count = a->num_terms;
    if (count == 3 && a->term[0].negative && a->term[1].negative)
        first = 2;
    bli_net_signal spec = {.kind = BLI_NET_ADD, .k = a->constant};
    for (int i = 0; i < count; i++) {
        int from = (first + i) % count;
        spec.in[i] = r[from].signal;
        spec.shift[i] = r[from].shift;
        spec.minus[i] = a->term[from].negative;
    }
    if (c->graph->ternary && (count == 3 || a->constant != 0)) {
        spec.kind = BLI_NET_ADD3;
    } else if (spec.minus[1]) {
        spec.kind = BLI_NET_SUB;
        spec.minus[1] = false;
    }
    return bli_net_sum_of(c->u->net, &spec, out);
}

/* Operands that are constant or carry offsets: piece by piece, the constant behind. */
static bl_status folded(columns *c, const bli_adder_node *a, const bli_net_ref *r, bli_net_ref *out)
{
    *out = bli_net_constant(0);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < a->num_terms; i++)
            if (a->term[i].negative == (pass == 1))
                BLI_TRY(bli_net_add(c->u->net, *out, r[i], pass == 1, out));
    BLI_TRY(bli_net_add(c->u->net, *out, bli_net_constant(a->constant), false, out));
    return a->num_terms == 1 ? bli_net_settle(c->u->net, out) : BL_OK;
}

static bl_status do_node(columns *c, const bli_adder_node *a, bli_net_ref *out)
{
    bli_net_ref r[BLI_ADDER_TERMS];
    bool plain = a->num_terms > 1;
    for (int i = 0; i < a->num_terms; i++) {
        const bli_net_ref *x = &c->node[a->term[i].node];
        BLI_TRY(bli_net_shift(c->u->net, *x, a->term[i].shift, &r[i]));
        plain = plain && !bli_net_is_constant(*x) && x->offset == 0 && (a->constant == 0 || x->shift == 0);
    }
    BLI_TRY((plain ? direct : folded)(c, a, r, out));
    bli_net_narrow(c->u->net, out, (bli_span){a->lo, a->hi, 0});
    return BL_OK;
}

static bl_status do_place(columns *c, int64_t place, bli_net_ref *out)
{
    const bli_columns_job *job = c->job;
    bli_net *n = c->u->net;
    for (int64_t k = 0; k < job->inputs; k++) {
        bli_net_ref r = job->x[place * job->inputs + k];
        r.offset = 0;
        if (!bli_net_is_constant(r))
            r.shift -= c->input[k].zeros; /* the graph's input is x >> zeros */
        c->node[k] = r;
    }
    for (int i = (int)job->inputs; i < c->graph->num_nodes; i++)
        BLI_TRY(do_node(c, &c->graph->nodes[i], &c->node[i]));
    for (int64_t m = 0; m < job->outputs; m++) {
        const bli_adder_output *o = &c->graph->outputs[m];
        bli_net_ref r = bli_net_constant(o->constant);
        if (o->node >= 0) {
            BLI_TRY(bli_net_shift(n, c->node[o->node], o->shift, &r));
            if (o->negative)
                BLI_TRY(bli_net_add(n, bli_net_constant(0), r, true, &r));
        }
        int64_t rest = (int64_t)((uint64_t)total(job, place, m) - (uint64_t)c->constant[m]);
        BLI_TRY(bli_net_add(n, r, bli_net_constant(rest), false, &out[place * job->stride + m]));
    }
    return BL_OK;
}

bl_status bli_columns(bli_unroll *u, const bli_columns_job *job, bli_net_ref *out)
{
    columns c = {.u = u, .job = job};
    bl_context *ctx = u->net->ctx;
    bl_status s = make_plan(&c);
    for (int64_t place = 0; place < job->places && s == BL_OK; place++)
        s = do_place(&c, place, out);
    bli_adder_graph_destroy(c.graph);
    bli_free(ctx, c.node);
    bli_free(ctx, c.input);
    bli_free(ctx, c.constant);
    return s;
}
