/* da.c: distributed arithmetic: a layer's constant matrix as an adder graph, written as straight-line C++. */
#include <stdio.h>

#include "emit/hls/hls.h"
#include "program/cmvm.h"

enum { LARGE = 16384 }; /* weights above which less is tried */

typedef struct job {
    bli_hls *h;
    const bli_group *g;
    int64_t taps, outputs;
    bli_cmvm_input *input;
    int64_t *matrix;
} job;

static int64_t channels_of(const job *j)
{
    const bl_shape *s = &j->h->p->wires[j->g->ops[0]->in[0]].shape;
    return s->dim[s->rank - 1];
}

/* All taps of a window over all channels; weights of other groups are zero. */
static void fill_matrix(job *j)
{
    const bli_prim_op *op = j->g->ops[0];
    int64_t m = op->channels, channels = channels_of(j);
    if (op->kind == BLI_PRIM_DENSE) {
        for (int64_t i = 0; i < channels * m; i++)
            j->matrix[i] = op->weight[i];
        return;
    }
    int64_t positions = (int64_t)op->window.kernel[0] * op->window.kernel[1];
    int64_t per = channels / op->window.groups, outputs = m / op->window.groups;
    for (int64_t c = 0; c < m; c++)
        for (int64_t t = 0; t < positions; t++)
            for (int64_t k = 0; k < per; k++)
                j->matrix[(t * channels + c / outputs * per + k) * m + c] = op->weight[(c * positions + t) * per + k];
}

/* Each input by itself where a row is the whole wire; else every tap may be any element, or padding. */
static void fill_inputs(job *j)
{
    const bli_prim_op *op = j->g->ops[0];
    const bli_wire *w = &j->h->p->wires[op->in[0]];
    bli_span hull = bli_wire_hull(w);
    bool alone = op->kind == BLI_PRIM_DENSE && w->count == j->taps;
    if (op->kind == BLI_PRIM_CONV) {
        hull.low = hull.low < 0 ? hull.low : 0;
        hull.high = hull.high > 0 ? hull.high : 0;
    }
    for (int64_t i = 0; i < j->taps; i++) {
        bli_span s = alone ? bli_wire_span(w, i) : hull;
        j->input[i] = (bli_cmvm_input){s.low, s.high, s.zeros > 62 ? 62 : s.zeros};
    }
}

static bl_status solve(job *j, bli_adder_graph **graph)
{
    const bli_prim_op *op = j->g->ops[0];
    bl_context *ctx = j->h->job->ctx;
    char name[96];
    j->outputs = op->channels;
    j->taps = channels_of(j);
    if (op->kind == BLI_PRIM_CONV)
        j->taps *= (int64_t)op->window.kernel[0] * op->window.kernel[1];
    j->input = bli_arena_array(j->h->arena, (size_t)j->taps + 1, sizeof *j->input);
    j->matrix = bli_arena_array(j->h->arena, (size_t)(j->taps * j->outputs) + 1, sizeof *j->matrix);
    if (j->input == NULL || j->matrix == NULL)
        return BL_NO_MEMORY;
    fill_inputs(j);
    fill_matrix(j);
    bli_cmvm_problem problem = {(int32_t)j->taps, (int32_t)j->outputs, j->matrix, j->input, op->bias};
    bli_cmvm_options options = {.extra_depth = -1, .effort = j->taps * j->outputs > LARGE ? 1 : 2};
    return bli_within(ctx, bli_cmvm_solve(ctx, &problem, &options, graph), "layer '%s': adder graph",
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
    if (j->input[i].zeros > 0)
        bli_text_line(&h->code, "const %s n%d = x[%d] >> %d;", type, (int)i, (int)i, j->input[i].zeros);
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
                  (long long)j->taps, (long long)j->outputs, s.adders, s.depth, (long long)s.cost);
    bli_text_line(&h->code, "static void %s(const %s x[%lld], %s y[%lld])", name, in, (long long)j->taps, out,
                  (long long)j->outputs);
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
