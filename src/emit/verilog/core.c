/* core.c: the module NAME_core: the whole network unrolled, stage by stage.
 *
 * One result a clock while ce is high.  x is taken into registers, y comes out of registers; between them registers
 * stand at stage cuts only.  Nothing is reset: what a sample computes depends on no other sample.
 */
#include <inttypes.h>
#include <stdio.h>

#include "emit/verilog/verilog.h"

static void print_head(const bli_verilog *v, bli_text *t)
{
    char safe[256];
    bli_text_line(t, "// %s: the network %s, unrolled.", v->module, bli_text_safe(v->program->name, safe, sizeof safe));
    bli_text_line(t, "// %d stages cut for %.3f ns on %s by a model; y comes %d clocks after x; one sample a clock.",
                  v->pipe.stages, (double)v->pipe.period / 1000, v->model->family, v->latency);
    bli_text_line(t, "// Emitted by bitlathe %s.", bl_version());
    bli_text_line(t, "//");
    for (int i = 0; i < v->program->num_inputs; i++)
        bli_text_line(t, "// x[%" PRId64 " +: %d * e] is element e of %s, %s", v->x[i].first, v->x[i].width,
                      v->wires[v->x[i].wire], v->x[i].is_signed ? "two's complement" : "never negative");
    for (int i = 0; i < v->program->num_outputs; i++)
        bli_text_line(t, "// y[%" PRId64 " +: %d * e] is element e of %s, %s", v->y[i].first, v->y[i].width,
                      v->wires[v->y[i].wire], v->y[i].is_signed ? "two's complement" : "never negative");
    bli_text_put(t, "\n");
    bli_text_line(t, "/* verilator lint_off UNUSED */ // bits that rounding and wrapping cut off are read by no one");
    bli_text_open(t, "module %s (", v->module);
    bli_text_line(t, "input wire clk,");
    bli_text_line(t, "input wire ce,");
    bli_text_line(t, "input wire [%" PRId64 ":0] x,", v->x_bits - 1);
    bli_text_line(t, "output reg [%" PRId64 ":0] y", v->y_bits - 1);
    bli_text_close(t, ");");
    t->depth++;
    bli_text_line(t, "reg [%" PRId64 ":0] x_q;", v->x_bits - 1);
    bli_text_line(t, "always @(posedge clk) if (ce) x_q <= x;");
}

/* A comment where the layer or the wire changes. */
static void print_origin(const bli_verilog *v, int signal, int *wire, bli_text *t)
{
    const bli_program *p = v->program;
    int now = v->net->signals[signal].wire;
    char layer[256], name[256];
    if (now == *wire)
        return;
    bli_text_put(t, "\n");
    bli_text_line(t, "// layer %s: %s",
                  bli_text_safe(p->wires[now].layer ? p->wires[now].layer : "", layer, sizeof layer),
                  bli_text_safe(p->wires[now].name, name, sizeof name));
    *wire = now;
}

static void print_register(const bli_verilog *v, int signal, int stage, bli_text *t)
{
    bli_verilog_text now, before;
    char range[BLI_VERILOG_RANGE];
    bli_verilog_name(v, signal, stage, now);
    bli_verilog_name(v, signal, stage - 1, before);
    bli_verilog_range(v, signal, range);
    bli_text_line(t, "reg %s%s;", range, now);
    bli_text_line(t, "always @(posedge clk) if (ce) %s <= %s;", now, before);
}

static void print_stage(const bli_verilog *v, int stage, bli_text *t)
{
    const bli_net *n = v->net;
    int wire = -1;
    bli_text_put(t, "\n");
    bli_text_line(t, "// ---- stage %d", stage);
    for (int i = 0; i < n->count && stage > 0; i++)
        if (n->signals[i].kind != BLI_NET_CONST && v->pipe.stage[i] < stage && v->pipe.last[i] >= stage)
            print_register(v, i, stage, t);
    for (int i = 0; i < n->count; i++)
        if (v->pipe.stage[i] == stage && n->signals[i].kind != BLI_NET_CONST) {
            print_origin(v, i, &wire, t);
            bli_verilog_signal(v, i, t);
        }
}

/* One element of an output: its signal in the last stage at the field's width, or a constant. */
static void print_element(const bli_verilog *v, const bli_verilog_field *f, int64_t e, bli_text *t)
{
    const bli_net_ref r = v->net->wires[f->wire][e];
    char exact[32] = "", sign[32] = "";
    bli_verilog_text name;
    if (bli_net_is_constant(r)) {
        const uint64_t mask = f->width >= 64 ? UINT64_MAX : ((uint64_t)1 << f->width) - 1;
        bli_text_put(t, "%d'h%" PRIx64, f->width, (uint64_t)r.offset & mask);
        return;
    }
    const bli_net_signal *s = &v->net->signals[r.signal];
    const int bits = bli_net_bits(s);
    bli_verilog_name(v, r.signal, v->pipe.stages - 1, name);
    if (bits > 1) {
        snprintf(exact, sizeof exact, "[%d:0]", bits - 1);
        snprintf(sign, sizeof sign, "[%d]", bits - 1);
    }
    if (bits < f->width && bli_net_signed(s))
        bli_text_put(t, "{%d{%s%s}}, ", f->width - bits, name, sign);
    else if (bits < f->width)
        bli_text_put(t, "%d'd0, ", f->width - bits);
    bli_text_put(t, "%s%s", name, exact);
}

/* All at once, the last highest: a simulator then moves y once a clock, and not once an element. */
static void print_outputs(const bli_verilog *v, bli_text *t)
{
    const bli_program *p = v->program;
    bli_text_put(t, "\n");
    bli_text_line(t, "// ---- outputs");
    bli_text_open(t, "always @(posedge clk) if (ce) y <= {");
    for (int i = p->num_outputs - 1; i >= 0; i--)
        for (int64_t e = p->wires[v->y[i].wire].count - 1; e >= 0; e--) {
            bli_text_put(t, "        ");
            print_element(v, &v->y[i], e, t);
            bli_text_put(t, "%s // %s %" PRId64 "\n", v->y[i].first + e > 0 ? "," : "", v->wires[v->y[i].wire], e);
        }
    bli_text_close(t, "};");
}

void bli_verilog_core(const bli_verilog *v, bli_text *t)
{
    print_head(v, t);
    for (int stage = 0; stage < v->pipe.stages; stage++)
        print_stage(v, stage, t);
    print_outputs(v, t);
    bli_text_close(t, "endmodule");
}
