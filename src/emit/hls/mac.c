/* mac.c: sums of products: DENSE and CONV on one row of taps, by strategy.
 *
 * latency: every product at once.  resource: products in `reuse` turns of (inputs * outputs) / reuse multipliers each;
 * weight w is used in turn w % reuse by multiplier w / reuse, so that each multiplier reads its own block of the
 * weights.  da: no multipliers, the graph of da.c.  An accumulator has the width of the final sum: what it drops on the
 * way is a multiple of 2^width, which the final sum does not have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emit/hls/hls.h"

bool bli_hls_is_mac(const bli_group *g)
{
    return g->ops[0]->kind == BLI_PRIM_DENSE || g->ops[0]->kind == BLI_PRIM_CONV;
}

/* The tap that weight k of output c meets. */
static void tap_index(const bli_hls *h, const bli_prim_op *op, const char *c, const char *k, char buf[200])
{
    const bl_shape *s = &h->p->wires[op->in[0]].shape;
    if (op->kind == BLI_PRIM_DENSE || op->window.groups == 1) {
        snprintf(buf, 200, "%s", k);
        return;
    }
    int64_t channels = s->dim[s->rank - 1], per = channels / op->window.groups,
            outputs = op->channels / op->window.groups;
    snprintf(buf, 200, "%s / %lld * %lld + %s / %lld * %lld + %s %% %lld", k, (long long)per, (long long)channels, c,
             (long long)outputs, (long long)per, k, (long long)per);
}

static void put_latency(bli_hls *h, const bli_prim_op *op, const char *taps, const char *weight, int64_t m, int64_t k)
{
    char at[200];
    tap_index(h, op, "c", "k", at);
    bli_body_loop(&h->body, "c", m);
    bli_body_loop(&h->body, "k", k);
    bli_text_line(&h->code, "acc[c] += %s[%s] * %s[c * %lld + k];", taps, at, weight, (long long)k);
    bli_body_end(&h->body, 2);
}

static void put_resource(bli_hls *h, const bli_group *g, const char *taps, const char *weight, int64_t m, int64_t k)
{
    const bli_prim_op *op = g->ops[0];
    int64_t reuse = bli_reuse_of_layer(h->job->ctx, g->out->layer, k, m, h->job->options->reuse), block = m * k / reuse;
    char at[200];
    bli_text *t = &h->code;
    tap_index(h, op, "(n / k_count)", "(n % k_count)", at);
    bli_text_line(t, "const int k_count = %lld, reuse = %lld, multipliers = %lld;", (long long)k, (long long)reuse,
                  (long long)block);
    bli_text_line(t, "#pragma HLS ARRAY_RESHAPE variable=%s block factor=%lld", weight, (long long)block);
    if (reuse > 1)
        bli_text_line(t, "#pragma HLS RESOURCE variable=%s core=ROM_nP_BRAM", weight);
    bli_text_open(t, "for (int turn = 0; turn < reuse; turn++) {");
    bli_text_line(t, "#pragma HLS PIPELINE II=1 rewind");
    bli_text_open(t, "for (int i = 0; i < multipliers; i++) {");
    bli_text_line(t, "#pragma HLS UNROLL");
    bli_text_line(t, "const int n = turn + reuse * i;");
    bli_text_line(t, "acc[n / k_count] += %s[%s] * %s[n];", taps, at, weight);
    bli_body_end(&h->body, 2);
}

static const char *da_name(const bli_group *g, char buf[BLI_NAME_LONGEST + 8])
{
    snprintf(buf, BLI_NAME_LONGEST + 8, "%s_da", g->name);
    return buf;
}

void bli_hls_core_functions(bli_hls *h, const bli_group *g)
{
    char name[BLI_NAME_LONGEST + 8];
    if (h->strategy == BLI_DA && bli_hls_is_mac(g))
        bli_hls_da(h, g, da_name(g, name));
}

static void put_sums(bli_hls *h, const bli_group *g, const char *taps, int64_t m, int64_t k, const int64_t *rows)
{
    const bli_prim_op *op = g->ops[0];
    char bias[BLI_EXPR_ROOM] = "0", name[BLI_NAME_LONGEST + 8];
    if (h->strategy == BLI_DA && !h->no_da) {
        bli_text_line(&h->code, "%s(%s, acc);", da_name(g, name), taps);
        return;
    }
    const char *weight = bli_body_table(&h->body, op, "weight", rows, m * k);
    if (op->bias != NULL)
        bli_body_param(&h->body, op, "bias", op->bias, m, bias);
    bli_body_loop(&h->body, "c", m);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "acc[c] = %s;", bias);
    bli_body_end(&h->body, 1);
    if (h->strategy == BLI_RESOURCE)
        put_resource(h, g, taps, weight, m, k);
    else
        put_latency(h, op, taps, weight, m, k);
}

void bli_hls_core(bli_hls *h, const bli_group *g, const char *taps, const char *offset)
{
    const bli_prim_op *op = g->ops[0];
    bli_reach sum = bli_reach_wire(&h->p->wires[op->out]);
    char type[BLI_TYPE_ROOM];
    int64_t m, k;
    const int64_t *rows = bli_body_rows(&h->body, op, &m, &k);
    if (rows == NULL)
        return;
    bli_text_line(&h->code, "%s acc[%lld];", bli_type_exact(sum, type), (long long)m);
    bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=acc complete");
    put_sums(h, g, taps, m, k, rows);
    bli_body_loop(&h->body, "c", m);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    h->body.var = -1;
    bli_body_value(&h->body, sum, sum, "acc[c]");
    bli_body_finish(&h->body, "%sc", offset);
    bli_body_end(&h->body, 1);
}
