/* da.c: distributed arithmetic: a layer's constant matrix as an adder graph, written as straight-line C++. */
#include <stdio.h>

#include "emit/hls/hls.h"
#include "program/cmvm_op.h"

typedef struct job {
    bli_hls *h;
    const bli_group *g;
    bli_cmvm_problem problem;
} job;

static bl_status solve(job *j, bli_adder_graph **graph)
{
    bl_context *ctx = j->h->job->ctx;
    char name[96];
    BLI_TRY(bli_cmvm_op_problem(j->h->p, j->g->ops[0], j->h->arena, &j->problem));
    const bli_cmvm_options options = {.extra_depth = -1, .effort = 2};
    return bli_within(ctx, bli_cmvm_solve(ctx, &j->problem, &options, graph), "layer '%s': adder graph",
                      bli_text_safe(j->g->out->layer, name, sizeof name));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */
/* " + (ap_int<9>(n3) << 2)": computed modulo 2^bits of the sum's own type. */
static void append_term(char *buf, size_t size, size_t *used, const char *type, int32_t node, int shift, bool negative)
{
    const char *sign = *used == 0 ? (negative ? "-" : "") : negative ? " - " : " + ";
    int n = shift > 0 ? snprintf(buf + *used, size - *used, "%s(%s(n%d) << %d)", sign, type, (int)node, shift)
                      : snprintf(buf + *used, size - *used, "%s%s(n%d)", sign, type, (int)node);
    *used += (size_t)n;
}

static void put_node(bli_hls *h, const bli_adder_graph *g, int32_t i)
{
    const bli_adder_node *n = &g->nodes[i];
    char type[BLI_TYPE_ROOM], expr[512], number[BLI_TYPE_ROOM];
    size_t used = 0;
    bli_type_exact((bli_reach){n->lo, n->hi}, type);
    for (int k = 0; k < n->num_terms; k++)
        append_term(expr, sizeof expr, &used, type, n->term[k].node, n->term[k].shift, n->term[k].negative);
    if (n->constant != 0)
        snprintf(expr + used, sizeof expr - used, " + %s", bli_body_number(&h->body, n->constant, number));
    bli_text_line(&h->code, "const %s n%d = %s;", type, (int)i, expr);
}

static void put_input(bli_hls *h, const job *j, const bli_adder_graph *g, int32_t i)
{
    char type[BLI_TYPE_ROOM];
    bli_type_exact((bli_reach){g->nodes[i].lo, g->nodes[i].hi}, type);
    if (j->problem.input[i].zeros > 0)
        bli_text_line(&h->code, "const %s n%d = x[%d] >> %d;", type, (int)i, (int)i, j->problem.input[i].zeros);
    else
        bli_text_line(&h->code, "const %s n%d = x[%d];", type, (int)i, (int)i);
}

static void put_output(bli_hls *h, const bli_adder_graph *g, int32_t i, const char *type)
{
    const bli_adder_output *y = &g->outputs[i];
    char expr[256], number[BLI_TYPE_ROOM];
    size_t used = 0;
    if (y->node < 0)
        snprintf(expr, sizeof expr, "%s", bli_body_number(&h->body, y->constant, number));
    else
        append_term(expr, sizeof expr, &used, type, y->node, y->shift, y->negative);
    bli_text_line(&h->code, "y[%d] = %s;", (int)i, expr);
}

static void put_function(job *j, const bli_adder_graph *g, const char *name)
{
    bli_hls *h = j->h;
    char in[BLI_TYPE_ROOM], out[BLI_TYPE_ROOM];
    bli_adder_summary s = bli_adder_graph_summary(g);
    bli_type_exact(bli_reach_wire(bli_hls_root(h, j->g->ops[0]->in[0])), in);
    bli_type_exact(bli_reach_wire(&h->p->wires[j->g->ops[0]->out]), out);
    bli_text_line(&h->code, "// %lld x %lld constants as %d adders in %d levels, %lld cells of carry chain",
                  (long long)g->num_inputs, (long long)g->num_outputs, s.adders, s.depth, (long long)s.cost);
    bli_text_line(&h->code, "static void %s(const %s x[%lld], %s y[%lld])", name, in, (long long)g->num_inputs, out,
                  (long long)g->num_outputs);
    bli_text_open(&h->code, "{");
    bli_text_line(&h->code, "#pragma HLS INLINE");
    for (int32_t i = 0; i < g->num_nodes; i++)
        if (i < g->num_inputs)
            put_input(h, j, g, i);
        else
            put_node(h, g, i);
    for (int32_t i = 0; i < g->num_outputs; i++)
        put_output(h, g, i, out);
    bli_text_close(&h->code, "}");
    bli_text_blank(&h->code);
}

/* A layer past the graph's limit of 2^59 is done by products instead. */
void bli_hls_da(bli_hls *h, const bli_group *g, const char *name)
{
    job j = {.h = h, .g = g};
    bli_adder_graph *graph = NULL;
    bl_status s = h->failed == BL_OK ? solve(&j, &graph) : h->failed;
    h->no_da = s == BL_LIMIT;
    if (s == BL_OK)
        put_function(&j, graph, name);
    else if (s == BL_LIMIT)
        bli_log(h->job->ctx, BL_LOG_INFO, "%s; its products are computed instead", bl_context_message(h->job->ctx));
    else
        h->failed = s;
    bli_adder_graph_destroy(graph);
}
