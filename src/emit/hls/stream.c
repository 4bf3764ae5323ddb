/* stream.c: io stream: every wire is a stream of beats (the last dimension of its shape), every group a process.
 *
 * Elementwise groups handle a beat at a time.  Convolutions and pools keep the last rows in a line buffer and slide a
 * window over the padded image.  All others read what they need into arrays first.
 */
#include <stdio.h>

#include "emit/hls/hls.h"

static const bli_node *node_of(const bli_hls *h, int wire)
{
    return &h->nodes[h->groups.root[wire]];
}

static const bli_node *out_node(const bli_hls *h, const bli_group *g)
{
    return &h->nodes[h->p->ops[g->out->producer].out];
}

static int64_t beats_of(const bli_hls *h, int wire)
{
    return bli_hls_root(h, wire)->count / node_of(h, wire)->beat;
}

/* Streams are called as the arrays would be, with _in and _out behind. */
static void put_signature(bli_hls *h, const bli_group *g)
{
    bli_text *t = &h->code;
    bli_text_put(t, "static void %s(", g->name);
    for (int k = 0; k < g->num_in; k++) {
        const bli_node *n = node_of(h, g->in[k]);
        char *name = h->body.in[k];
        if (bli_hls_is_const(h, g->in[k])) {
            snprintf(name, sizeof h->body.in[k], "%s", n->name);
            continue;
        }
        snprintf(name, sizeof h->body.in[k], g->num_in == 1 ? "x" : "x%d", k);
        bli_text_put(t, "hls::stream<%s> &%s_in, ", n->type, name);
    }
    bli_text_put(t, "hls::stream<%s> &y_out)\n", out_node(h, g)->type);
}

/* ---- by arrays --------------------------------------------------------------------------------------------------- */
static void put_read(bli_hls *h, const bli_group *g, int k)
{
    const bli_wire *w = bli_hls_root(h, g->in[k]);
    const bli_node *n = node_of(h, g->in[k]);
    const char *name = h->body.in[k];
    char type[BLI_TYPE_ROOM];
    bli_text_line(&h->code, "%s %s[%lld];", bli_type_exact(bli_reach_wire(w), type), name, (long long)w->count);
    if (bli_hls_is_mac(g))
        bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=%s complete", name);
    bli_body_loop(&h->body, "r", w->count / n->beat);
    bli_text_line(&h->code, "#pragma HLS PIPELINE II=1");
    bli_text_line(&h->code, "const %s beat = %s_in.read();", n->type, name);
    bli_body_loop(&h->body, "i", n->beat);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "%s[r * %lld + i] = beat.data[i];", name, (long long)n->beat);
    bli_body_end(&h->body, 2);
}

static void put_write(bli_hls *h, const bli_group *g)
{
    const bli_node *n = out_node(h, g);
    bli_body_loop(&h->body, "r", g->out->count / n->beat);
    bli_text_line(&h->code, "#pragma HLS PIPELINE II=1");
    bli_text_line(&h->code, "%s beat;", n->type);
    bli_body_loop(&h->body, "i", n->beat);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "beat.data[i] = y[r * %lld + i];", (long long)n->beat);
    bli_body_end(&h->body, 1);
    bli_text_line(&h->code, "y_out.write(beat);");
    bli_body_end(&h->body, 1);
}

static void put_by_arrays(bli_hls *h, const bli_group *g)
{
    char type[BLI_TYPE_ROOM];
    for (int k = 0; k < g->num_in; k++)
        if (!bli_hls_is_const(h, g->in[k]))
            put_read(h, g, k);
    bli_text_line(&h->code, "%s y[%lld];", bli_type_exact(bli_reach_wire(g->out), type), (long long)g->out->count);
    bli_text_open(&h->code, "{");
    bli_hls_array_body(h, g);
    bli_text_close(&h->code, "}");
    put_write(h, g);
}

/* ---- beat by beat -------------------------------------------------------------------------------------------------
 */
static bool goes_by_beats(const bli_hls *h, const bli_group *g)
{
    return bli_is_elementwise(g->ops[0]->kind) && !bli_hls_is_const(h, g->in[0]) &&
           node_of(h, g->in[0])->beat == out_node(h, g)->beat;
}

static void put_by_beats(bli_hls *h, const bli_group *g)
{
    bli_body_loop(&h->body, "beat", beats_of(h, g->in[0]));
    bli_text_line(&h->code, "#pragma HLS PIPELINE II=1");
    bli_text_line(&h->code, "const %s from = %s_in.read();", node_of(h, g->in[0])->type, h->body.in[0]);
    bli_text_line(&h->code, "%s to;", out_node(h, g)->type);
    snprintf(h->body.in[0], sizeof h->body.in[0], "from.data");
    h->body.group = g;
    h->body.stores = "to.data";
    h->body.rows = 1;
    h->body.work_pragma = "#pragma HLS UNROLL";
    bli_body_group(&h->body);
    h->body.rows = 0;
    bli_text_line(&h->code, "y_out.write(to);");
    bli_body_end(&h->body, 1);
}

/* ---- windows
 * --------------------------------------------------------------------------------------------------------- */
typedef struct extent {
    int64_t tall, wide;    /* of the window, dilation included */
    int64_t rows, columns; /* of the padded image */
} extent;

static extent extent_of(const bli_window *w, const bli_view *v)
{
    return (extent){(int64_t)(w->kernel[0] - 1) * w->dilation[0] + 1, (int64_t)(w->kernel[1] - 1) * w->dilation[1] + 1,
                    v->in[0] + w->pad[0] + w->pad[2], v->in[1] + w->pad[1] + w->pad[3]};
}

/* The pixel at h, w of the padded image; a stream of other beats is taken apart. */
static void put_pixel(bli_hls *h, const bli_group *g, const bli_view *v, const char *pad, const char *type)
{
    const bli_window *w = &g->ops[0]->window;
    const bli_node *n = node_of(h, g->in[0]);
    bli_text *t = &h->code;
    bli_text_line(t, "%s pixel[%lld];", type, (long long)v->channels);
    bli_text_line(t, "#pragma HLS ARRAY_PARTITION variable=pixel complete");
    bli_text_line(t, "const bool inside = h >= %d && h < %lld && w >= %d && w < %lld;", w->pad[0],
                  (long long)(w->pad[0] + v->in[0]), w->pad[1], (long long)(w->pad[1] + v->in[1]));
    if (n->beat == v->channels) {
        bli_text_open(t, "if (inside)");
        bli_text_line(t, "beat = %s_in.read();", h->body.in[0]);
        t->depth--;
    }
    bli_body_loop(&h->body, "k", v->channels);
    if (n->beat == v->channels) {
        bli_text_line(t, "#pragma HLS UNROLL");
        bli_text_line(t, "pixel[k] = inside ? beat.data[k] : (%s)%s;", type, pad);
    } else {
        bli_text_open(t, "if (inside && at == %lld) {", (long long)n->beat);
        bli_text_line(t, "beat = %s_in.read();", h->body.in[0]);
        bli_text_line(t, "at = 0;");
        bli_text_close(t, "}");
        bli_text_line(t, "pixel[k] = inside ? beat.data[at] : (%s)%s;", type, pad);
        bli_text_line(t, "at += inside ? 1 : 0;");
    }
    bli_body_end(&h->body, 1);
}

/* The window one column on, the line buffer one pixel on. */
static void put_shift(bli_hls *h, const extent *e, const bli_view *v)
{
    bli_text *t = &h->code;
    bli_body_loop(&h->body, "k", v->channels);
    bli_text_line(t, "#pragma HLS UNROLL");
    bli_body_loop(&h->body, "i", e->tall);
    bli_body_loop(&h->body, "j", e->wide - 1);
    bli_text_line(t, "window[i][j][k] = window[i][j + 1][k];");
    bli_body_end(&h->body, 2);
    if (e->tall > 1) {
        bli_body_loop(&h->body, "i", e->tall - 1);
        bli_text_line(t, "window[i][%lld][k] = line[i][w][k];", (long long)(e->wide - 1));
        bli_body_end(&h->body, 1);
        bli_body_loop(&h->body, "i", e->tall - 2);
        bli_text_line(t, "line[i][w][k] = line[i + 1][w][k];");
        bli_body_end(&h->body, 1);
        bli_text_line(t, "line[%lld][w][k] = pixel[k];", (long long)(e->tall - 2));
    }
    bli_text_line(t, "window[%lld][%lld][k] = pixel[k];", (long long)(e->tall - 1), (long long)(e->wide - 1));
    bli_body_end(&h->body, 1);
}

static void put_buffers(bli_hls *h, const bli_group *g, const extent *e, const bli_view *v, const char *type)
{
    const bli_node *n = node_of(h, g->in[0]);
    bli_text *t = &h->code;
    if (e->tall > 1) {
        bli_text_line(t, "%s line[%lld][%lld][%lld];", type, (long long)(e->tall - 1), (long long)e->columns,
                      (long long)v->channels);
        bli_text_line(t, "#pragma HLS ARRAY_PARTITION variable=line complete dim=1");
        bli_text_line(t, "#pragma HLS ARRAY_PARTITION variable=line complete dim=3");
    }
    bli_text_line(t, "%s window[%lld][%lld][%lld];", type, (long long)e->tall, (long long)e->wide,
                  (long long)v->channels);
    bli_text_line(t, "#pragma HLS ARRAY_PARTITION variable=window complete dim=0");
    bli_text_line(t, "%s beat;", n->type);
    if (n->beat != v->channels)
        bli_text_line(t, "int at = %lld;", (long long)n->beat);
}

/* Taps as one array, and the sums over them. */
static void put_conv_row(bli_hls *h, const bli_group *g, const bli_view *v, const char *type)
{
    const bli_window *w = &g->ops[0]->window;
    int64_t taps = (int64_t)w->kernel[0] * w->kernel[1] * v->channels;
    bli_text_line(&h->code, "%s taps[%lld];", type, (long long)taps);
    bli_text_line(&h->code, "#pragma HLS ARRAY_PARTITION variable=taps complete");
    bli_body_loop(&h->body, "kh", w->kernel[0]);
    bli_body_loop(&h->body, "kw", w->kernel[1]);
    bli_body_loop(&h->body, "k", v->channels);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "taps[(kh * %d + kw) * %lld + k] = window[kh * %d][kw * %d][k];", w->kernel[1],
                  (long long)v->channels, w->dilation[0], w->dilation[1]);
    bli_body_end(&h->body, 3);
    bli_hls_core(h, g, "taps", "");
}

static void put_pool_row(bli_hls *h, const bli_group *g, const bli_view *v, bli_reach x)
{
    const bli_prim_op *op = g->ops[0];
    const bli_window *w = &op->window;
    bool sum = op->kind == BLI_PRIM_SUMPOOL;
    bli_reach r = sum ? bli_reach_join(x, bli_reach_mul(x, (bli_reach){0, (bli_big)w->kernel[0] * w->kernel[1]})) : x;
    char type[BLI_TYPE_ROOM], number[BLI_TYPE_ROOM], at[96];
    bli_body_loop(&h->body, "c", v->channels);
    bli_text_line(&h->code, "#pragma HLS UNROLL");
    bli_text_line(&h->code, "%s sum = %s;", bli_type_exact(r, type),
                  sum ? "0" : bli_body_number(&h->body, (int64_t)x.low, number));
    bli_body_loop(&h->body, "kh", w->kernel[0]);
    bli_body_loop(&h->body, "kw", w->kernel[1]);
    snprintf(at, sizeof at, "window[kh * %d][kw * %d][c]", w->dilation[0], w->dilation[1]);
    if (!sum)
        bli_text_open(&h->code, "if (%s > sum)", at);
    bli_text_line(&h->code, sum ? "sum += %s;" : "sum = %s;", at);
    h->code.depth -= sum ? 0 : 1;
    bli_body_end(&h->body, 2);
    h->body.var = -1;
    bli_body_value(&h->body, r, bli_reach_wire(&h->p->wires[op->out]), "sum");
    bli_body_finish(&h->body, "c");
    bli_body_end(&h->body, 1);
}

static void put_by_windows(bli_hls *h, const bli_group *g)
{
    const bli_prim_op *op = g->ops[0];
    const bli_window *w = &op->window;
    const bli_view v = bli_view_of(h->p, op);
    const extent e = extent_of(w, &v);
    bli_reach x = bli_reach_wire(bli_hls_root(h, g->in[0]));
    char type[BLI_TYPE_ROOM], pad[BLI_TYPE_ROOM] = "0";
    bli_text *t = &h->code;
    bli_type_exact(x, type);
    if (op->kind == BLI_PRIM_MAXPOOL)
        bli_body_number(&h->body, (int64_t)x.low, pad); /* no greater than any element */
    h->body.group = g;
    h->body.stores = "to.data";
    put_buffers(h, g, &e, &v, type);
    bli_body_loop(&h->body, "h", e.rows);
    bli_body_loop(&h->body, "w", e.columns);
    if (h->strategy != BLI_RESOURCE || op->kind != BLI_PRIM_CONV)
        bli_text_line(t, "#pragma HLS PIPELINE II=1");
    put_pixel(h, g, &v, pad, type);
    put_shift(h, &e, &v);
    bli_text_open(t, "if (h >= %lld && w >= %lld && (h - %lld) %% %d == 0 && (w - %lld) %% %d == 0) {",
                  (long long)(e.tall - 1), (long long)(e.wide - 1), (long long)(e.tall - 1), w->stride[0],
                  (long long)(e.wide - 1), w->stride[1]);
    bli_text_line(t, "%s to;", out_node(h, g)->type);
    if (op->kind == BLI_PRIM_CONV)
        put_conv_row(h, g, &v, type);
    else
        put_pool_row(h, g, &v, x);
    bli_text_line(t, "y_out.write(to);");
    bli_body_end(&h->body, 3);
}

/* ---- groups and top
 * ---------------------------------------------------------------------------------------------------- */
void bli_hls_stream_group(bli_hls *h, const bli_group *g)
{
    bli_prim kind = g->ops[0]->kind;
    bool windows = kind == BLI_PRIM_CONV || kind == BLI_PRIM_MAXPOOL || kind == BLI_PRIM_SUMPOOL;
    char text[512];
    bli_hls_core_functions(h, g);
    bli_group_describe(h->p, g, text, sizeof text);
    bli_text_line(&h->code, "// %s", text);
    put_signature(h, g);
    bli_text_open(&h->code, "{");
    if (windows && !bli_hls_is_const(h, g->in[0]))
        put_by_windows(h, g);
    else if (goes_by_beats(h, g))
        put_by_beats(h, g);
    else
        put_by_arrays(h, g);
    bli_text_close(&h->code, "}");
    bli_text_blank(&h->code);
}

static void put_stream(bli_hls *h, const bli_node *n, const char *name, int64_t depth)
{
    bli_text_line(&h->code, "hls::stream<%s> %s(\"%s\");", n->type, name, name);
    bli_text_line(&h->code, "#pragma HLS STREAM variable=%s depth=%lld", name, (long long)depth);
}

static bool is_port(const bli_hls *h, const char *name)
{
    for (int i = 0; i < h->p->num_outputs; i++)
        if (h->y[i] == name)
            return true;
    for (int i = 0; i < h->p->num_inputs; i++)
        if (h->x[i] == name)
            return true;
    return false;
}

/* A stream as long as what flows through it never stalls a branch that waits for another. */
static void put_streams(bli_hls *h)
{
    for (int i = 0; i < h->p->num_wires; i++) {
        const bli_node *n = &h->nodes[i];
        if (h->groups.root[i] != i)
            continue;
        if (n->local)
            put_stream(h, n, n->name, beats_of(h, i));
        for (int k = 0; k < n->num_sinks; k++)
            if (n->sinks[k] != n->name && !is_port(h, n->sinks[k]))
                put_stream(h, n, n->sinks[k], beats_of(h, i));
    }
}

/* What is made is handed to its readers: copied where there are several, drained where there is none. */
static void put_sinks(bli_hls *h, int root)
{
    const bli_node *n = &h->nodes[root];
    bool table = bli_hls_is_const(h, root);
    bool direct = !table && n->num_sinks == 1 && n->sinks[0] == n->name;
    if (direct || (table && n->num_sinks == 0))
        return;
    bli_text_put(&h->code, "    %s(%s, %lld", table ? "table_stream" : "copy_stream", n->name,
                 (long long)beats_of(h, root));
    for (int k = 0; k < n->num_sinks; k++)
        bli_text_put(&h->code, ", %s", n->sinks[k]);
    bli_text_put(&h->code, ");\n");
}

void bli_hls_stream_top(bli_hls *h)
{
    bli_text *t = &h->code;
    bli_text_put(t, "#pragma HLS INTERFACE axis port=");
    for (int i = 0; i < h->p->num_inputs; i++)
        bli_text_put(t, "%s%s", i ? "," : "", h->x[i]);
    for (int i = 0; i < h->p->num_outputs; i++)
        bli_text_put(t, ",%s", h->y[i]);
    bli_text_put(t, "\n#pragma HLS DATAFLOW\n");
    put_streams(h);
    for (int i = 0; i < h->p->num_ops; i++)
        if (h->p->ops[i].kind == BLI_PRIM_INPUT || h->p->ops[i].kind == BLI_PRIM_CONST)
            put_sinks(h, h->p->ops[i].out);
    for (int i = 0; i < h->groups.count; i++) {
        const bli_group *g = &h->groups.at[i];
        bli_text_put(t, "    %s(", g->name);
        for (int k = 0; k < g->num_in; k++)
            if (!bli_hls_is_const(h, g->in[k])) {
                bli_node *n = &h->nodes[h->groups.root[g->in[k]]];
                bli_text_put(t, "%s, ", n->sinks[n->next_sink++]);
            }
        bli_text_put(t, "%s);\n", out_node(h, g)->name);
        put_sinks(h, h->p->ops[g->out->producer].out);
    }
}
