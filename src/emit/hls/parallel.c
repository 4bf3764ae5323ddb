/* parallel.c: io parallel: every wire is an array, every group a function from arrays to an array. */
#include <stdio.h>

#include "emit/hls/hls.h"

static void put_signature(bli_hls *h, const bli_group *g)
{
    bli_text *t = &h->code;
    bli_text_put(t, "static void %s(", g->name);
    for (int k = 0; k < g->num_in; k++) {
        const bli_wire *w = bli_hls_root(h, g->in[k]);
        const bli_node *n = &h->nodes[h->groups.root[g->in[k]]];
        char *name = h->body.in[k];
        if (bli_hls_is_const(h, g->in[k])) {
            snprintf(name, sizeof h->body.in[k], "%s", n->name);
            continue;
        }
        snprintf(name, sizeof h->body.in[k], g->num_in == 1 ? "x" : "x%d", k);
        bli_text_put(t, "const %s %s[%lld], ", n->type, name, (long long)w->count);
    }
    const bli_node *out = &h->nodes[h->p->ops[g->out->producer].out];
    bli_text_put(t, "%s y[%lld])\n", out->type, (long long)g->out->count);
}

/* Rows of a dense layer, one after the other. */
static void put_dense(bli_hls *h, const bli_group *g)
{
    const bli_prim_op *op = g->ops[0];
    const bl_shape *s = &h->p->wires[op->in[0]].shape;
    int64_t k = s->dim[s->rank - 1], m = op->channels, rows = h->p->wires[op->out].count / m;
    char offset[64], type[BLI_TYPE_ROOM];
    if (rows == 1) {
        bli_text_line(&h->code, h->strategy == BLI_RESOURCE ? "#pragma HLS INLINE off" : "#pragma HLS PIPELINE II=1");
        bli_hls_core(h, g, h->body.in[0], "");
        return;
    }
    bli_body_loop(&h->body, "r", rows);
    if (h->strategy != BLI_RESOURCE)
        bli_text_line(&h->code, "#pragma HLS PIPELINE II=1");
    bli_text_line(&h->code, "%s row[%lld];", bli_type_exact(bli_reach_wire(bli_hls_root(h, g->in[0])), type),
                  (long long)k);
    bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=row complete");
    bli_body_loop(&h->body, "k", k);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "row[k] = %s[r * %lld + k];", h->body.in[0], (long long)k);
    bli_body_end(&h->body, 1);
    snprintf(offset, sizeof offset, "r * %lld + ", (long long)m);
    bli_hls_core(h, g, "row", offset);
    bli_body_end(&h->body, 1);
}

/* A position's window as an array, zeros around, and the sums over it. */
static void put_conv(bli_hls *h, const bli_group *g)
{
    const bli_prim_op *op = g->ops[0];
    const bli_view v = bli_view_of(h->p, op);
    const bli_window *w = &op->window;
    int64_t taps = (int64_t)w->kernel[0] * w->kernel[1] * v.channels;
    char type[BLI_TYPE_ROOM], offset[96];
    bli_type_exact(bli_reach_wire(bli_hls_root(h, g->in[0])), type);
    bli_body_loop(&h->body, "oh", v.out[0]);
    bli_body_loop(&h->body, "ow", v.out[1]);
    if (h->strategy != BLI_RESOURCE)
        bli_text_line(&h->code, "#pragma HLS PIPELINE II=1");
    bli_text_line(&h->code, "%s taps[%lld];", type, (long long)taps);
    bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=taps complete");
    bli_body_loop(&h->body, "k", taps);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "taps[k] = 0;");
    bli_body_end(&h->body, 1);
    bli_body_taps(&h->body, w, &v);
    bli_body_loop(&h->body, "k", v.channels);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "taps[(kh * %d + kw) * %lld + k] = %s[(h * %lld + w) * %lld + k];", w->kernel[1],
                  (long long)v.channels, h->body.in[0], (long long)v.in[1], (long long)v.channels);
    bli_body_end(&h->body, 3);
    snprintf(offset, sizeof offset, "(oh * %lld + ow) * %lld + ", (long long)v.out[1], (long long)op->channels);
    bli_hls_core(h, g, "taps", offset);
    bli_body_end(&h->body, 2);
}

void bli_hls_array_body(bli_hls *h, const bli_group *g)
{
    h->body.group = g;
    h->body.stores = "y";
    h->body.work_pragma = h->strategy == BLI_RESOURCE ? "#pragma HLS PIPELINE II=1" : "#pragma HLS UNROLL";
    if (g->ops[0]->kind == BLI_PRIM_DENSE)
        put_dense(h, g);
    else if (g->ops[0]->kind == BLI_PRIM_CONV)
        put_conv(h, g);
    else
        bli_body_group(&h->body);
}

void bli_hls_parallel_group(bli_hls *h, const bli_group *g)
{
    char text[512];
    bli_hls_core_functions(h, g);
    bli_group_describe(h->p, g, text, sizeof text);
    bli_text_line(&h->code, "// %s", text);
    put_signature(h, g);
    bli_text_open(&h->code, "{");
    bli_hls_array_body(h, g);
    bli_text_close(&h->code, "}");
    bli_text_blank(&h->code);
}

/* Everything in one pipeline where it is small and fast; functions side by side where every array has one reader. */
static const char *top_pragma(const bli_hls *h)
{
    bool windows = false, shared = false;
    for (int i = 0; i < h->groups.count; i++) {
        bli_prim kind = h->groups.at[i].ops[0]->kind;
        windows = windows || kind == BLI_PRIM_CONV || kind == BLI_PRIM_MAXPOOL || kind == BLI_PRIM_SUMPOOL;
    }
    for (int i = 0; i < h->p->num_wires; i++)
        shared = shared || (h->groups.root[i] == i && h->nodes[i].num_sinks > 1);
    if (!windows && h->strategy != BLI_RESOURCE)
        return "#pragma HLS PIPELINE II=1";
    return shared ? "#pragma HLS INLINE recursive off" : "#pragma HLS DATAFLOW";
}

static void put_locals(bli_hls *h)
{
    for (int i = 0; i < h->groups.count; i++) {
        const bli_wire *w = h->groups.at[i].out;
        const bli_node *n = &h->nodes[h->p->ops[w->producer].out];
        if (!n->local)
            continue;
        bli_text_line(&h->code, "%s %s[%lld];", n->type, n->name, (long long)w->count);
        bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=%s complete dim=0", n->name);
    }
}

static void put_calls(bli_hls *h)
{
    for (int i = 0; i < h->groups.count; i++) {
        const bli_group *g = &h->groups.at[i];
        bli_text_put(&h->code, "    %s(", g->name);
        for (int k = 0; k < g->num_in; k++)
            if (!bli_hls_is_const(h, g->in[k]))
                bli_text_put(&h->code, "%s, ", h->nodes[h->groups.root[g->in[k]]].name);
        bli_text_put(&h->code, "%s);\n", h->nodes[h->p->ops[g->out->producer].out].name);
    }
    for (int i = 0; i < h->p->num_outputs; i++) {
        const bli_wire *w = bli_hls_root(h, h->p->outputs[i].wire);
        const bli_node *n = &h->nodes[h->groups.root[h->p->outputs[i].wire]];
        if (n->name == h->y[i])
            continue;
        bli_body_loop(&h->body, "i", w->count);
        bli_text_line(&h->code, "#pragma HLS UNROLL");
        bli_text_line(&h->code, "%s[i] = %s[i];", h->y[i], n->name);
        bli_body_end(&h->body, 1);
    }
}

void bli_hls_parallel_top(bli_hls *h)
{
    bli_text *t = &h->code;
    for (int i = 0; i < h->p->num_inputs; i++)
        bli_text_line(t, "#pragma HLS ARRAY_RESHAPE variable=%s complete dim=0", h->x[i]);
    for (int i = 0; i < h->p->num_outputs; i++)
        bli_text_line(t, "#pragma HLS ARRAY_PARTITION variable=%s complete dim=0", h->y[i]);
    bli_text_put(t, "#pragma HLS INTERFACE ap_vld port=");
    for (int i = 0; i < h->p->num_inputs; i++)
        bli_text_put(t, "%s%s", i ? "," : "", h->x[i]);
    for (int i = 0; i < h->p->num_outputs; i++)
        bli_text_put(t, ",%s", h->y[i]);
    bli_text_put(t, "\n%s\n", top_pragma(h));
    put_locals(h);
    put_calls(h);
}
