/* adder_verify.c: proof that a graph is the matrix.
 *
 * Output j's form is pulled back: the node it reads has weight ±2^shift, a node hands its weight down to its terms, and
 * what arrives at the inputs must be column j.  This uses nothing but terms and constants, so that it does not repeat
 * the mistakes of what built the graph.  Sums are modulo 2^64 on the way and exact in the end, as both sides are below
 * 2^63.
 */
#include <string.h>

#include "program/adder_graph.h"

static bool legal_two(const bli_adder_node *n)
{
    const int low = n->term[1].shift < n->term[0].shift || (n->term[1].shift == 0 && n->term[0].negative) ? 1 : 0;
    const bli_adder_term *a = &n->term[low], *b = &n->term[1 - low];
    const int64_t c = n->constant, end = (int64_t)1 << b->shift;
    if (a->shift != 0)
        return false;
    if (a->negative)
        return c >= -1 && c < end;
    if (b->negative)
        return c == 0 || (c >= -end && c < 0);
    return c >= 0 && c <= end;
}

bool bli_adder_is_legal(const bli_adder_graph *g, const bli_adder_node *n)
{
    bool plus = n->num_terms == 1, zero = n->num_terms == 1;
    if (n->num_terms < 1 || n->num_terms > BLI_ADDER_TERMS)
        return false;
    for (int t = 0; t < n->num_terms; t++) {
        const bli_adder_term *x = &n->term[t];
        if (x->shift < 0 || x->shift > 62)
            return false;
        plus = plus || !x->negative;
        zero = zero || x->shift == 0;
    }
    if (!plus || (!zero && n->constant == 0))
        return false;
    if (n->num_terms == 3)
        return g->ternary && n->constant == 0;
    return n->num_terms == 1 || g->ternary || legal_two(n);
}

static bool is_in_order(const bli_adder_node *n, int32_t v)
{
    for (int t = 0; t < n->num_terms; t++)
        if (n->term[t].node < 0 || n->term[t].node >= v)
            return false;
    return true;
}

static void pull_back(const bli_adder_graph *g, const bli_adder_output *y, uint64_t *weight, uint64_t *constant)
{
    memset(weight, 0, (size_t)g->num_nodes * sizeof *weight);
    if (y->node < 0) {
        *constant = (uint64_t)y->constant;
        return;
    }
    weight[y->node] = (uint64_t)(y->negative ? -1 : 1) << y->shift;
    *constant = 0;
    for (int32_t v = y->node; v >= g->num_inputs; v--) {
        if (weight[v] == 0)
            continue;
        *constant += weight[v] * (uint64_t)g->nodes[v].constant;
        for (int t = 0; t < g->nodes[v].num_terms; t++) {
            const bli_adder_term *x = &g->nodes[v].term[t];
            const uint64_t w = weight[v] << x->shift;
            weight[x->node] += x->negative ? 0 - w : w;
        }
    }
}

static bl_status check_output(const bli_adder_graph *g, int32_t j, const int64_t *matrix, int64_t constant,
                              uint64_t *weight)
{
    uint64_t found;
    pull_back(g, &g->outputs[j], weight, &found);
    for (int32_t i = 0; i < g->num_inputs; i++) {
        const int64_t expected = matrix[(size_t)i * (size_t)g->num_outputs + (size_t)j];
        if (weight[i] != (uint64_t)expected)
            return bli_fail(g->ctx, BL_MISMATCH, "adder graph: output %d: input %d has factor %lld, expected %lld", j,
                            i, (long long)weight[i], (long long)expected);
    }
    if (found != (uint64_t)constant)
        return bli_fail(g->ctx, BL_MISMATCH, "adder graph: output %d: constant %lld, expected %lld", j,
                        (long long)found, (long long)constant);
    return BL_OK;
}

bl_status bli_adder_graph_verify(const bli_adder_graph *g, const int64_t *matrix, const int64_t *constant)
{
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++)
        if (!is_in_order(&g->nodes[v], v) || !bli_adder_is_legal(g, &g->nodes[v]))
            return bli_fail(g->ctx, BL_MISMATCH, "adder graph: node %d is not legal", v);
    uint64_t *weight = bli_alloc_array(g->ctx, (size_t)g->num_nodes, sizeof *weight);
    if (weight == NULL)
        return BL_NO_MEMORY;
    bl_status s = BL_OK;
    for (int32_t j = 0; s == BL_OK && j < g->num_outputs; j++)
        s = check_output(g, j, matrix, constant == NULL ? 0 : constant[j], weight);
    bli_free(g->ctx, weight);
    return s;
}
