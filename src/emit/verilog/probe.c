/* probe.c: NAME_probe_tb, a bench that shows what wires hold for one sample, for finding the first that is wrong.
 *
 * Each line is "PROBE wire first count width signed shift offset digits": elements first .. first + count - 1 of the
 * program's wire, packed; a code is (number << shift) + offset.  +SAMPLE=n says which sample.  It is written where
 * verify asks for a bench, and left out where a design is too large to be shown.
 */
#include <inttypes.h>

#include "emit/verilog/flow.h"

enum { MOST_SHOWN = 20000 }; /* lines */

/* clang-format off */
static const char sample_text[] =
    "    integer sample;\n"
    "    initial if (!$value$plusargs(\"SAMPLE=%d\", sample)) sample = 0;\n";
/* clang-format on */

/* ---- unrolled: a sample held until it has reached every stage ------------------------------------------------------
 */
static void show(const bli_verilog *v, int wire, int64_t e, bli_text *t)
{
    bli_net_ref r = v->net->wires[wire][e];
    bli_verilog_text name;
    if (bli_net_is_constant(r) || v->net->signals[r.signal].kind == BLI_NET_CONST)
        return;
    const bli_net_signal *s = &v->net->signals[r.signal];
    bli_verilog_name(v, r.signal, v->pipe.stage[r.signal], name);
    bli_text_line(t, "$display(\"PROBE %d %" PRId64 " 1 %d %d %d %" PRId64 " %%h\", core.%s);", wire, e,
                  bli_net_bits(s), bli_net_signed(s), r.shift, r.offset, name);
}

static int64_t shown(const bli_verilog *v)
{
    int64_t count = 0;
    for (int w = 0; w < v->program->num_wires; w++)
        count += v->net->wires[w] ? v->program->wires[w].count : 0;
    return count;
}

bool bli_verilog_probe(const bli_verilog *v, int samples, bli_text *t)
{
    if (shown(v) > MOST_SHOWN)
        return false;
    bli_text_line(t, "// %s_probe_tb: what wires of %s_core hold for the sample +SAMPLE=n of x.hex.", v->name, v->name);
    bli_text_line(t, "`timescale 1ns / 1ps");
    bli_text_open(t, "module %s_probe_tb;", v->name);
    bli_text_line(t, "reg [%" PRId64 ":0] xs [0:%d];", v->x_bits - 1, samples - 1);
    bli_text_line(t, "wire [%" PRId64 ":0] y;", v->y_bits - 1);
    bli_text_line(t, "initial $readmemh(\"x.hex\", xs);");
    bli_text_put(t, "%s", sample_text);
    bli_text_line(t, "reg clk = 1'b0;");
    bli_text_line(t, "always #5 clk = !clk;");
    bli_text_line(t, "integer clocks = 0;");
    bli_text_line(t, "%s_core core (.clk(clk), .ce(1'b1), .x(xs[sample]), .y(y));", v->name);
    bli_text_open(t, "always @(posedge clk) begin");
    bli_text_line(t, "clocks <= clocks + 1;");
    bli_text_open(t, "if (clocks == %d) begin", v->latency + 2);
    for (int w = 0; w < v->program->num_wires; w++)
        for (int64_t e = 0; v->net->wires[w] && e < v->program->wires[w].count; e++)
            show(v, w, e, t);
    bli_text_line(t, "$finish;");
    bli_text_close(t, "end");
    bli_text_close(t, "end");
    bli_text_close(t, "endmodule");
    return true;
}

/* ---- processes: what passes along links while the bench runs -------------------------------------------------------
 */
static void show_link(const bli_flow *f, int wire, bli_text *t)
{
    const bli_flow_link *l = &f->links[wire];
    const char *n = l->name;
    bli_text_line(t, "integer n_%d = 0;", wire);
    bli_text_open(t, "always @(posedge bench.clk)");
    bli_text_open(t, "if (bench.core.%s__s_valid === 1'b1 && bench.core.%s__s_ready === 1'b1) begin", n, n);
    bli_text_open(t, "if (n_%d / %" PRId64 " == sample)", wire, l->beats);
    bli_text_line(t,
                  "$display(\"PROBE %d %%0d %" PRId64 " %d %d 0 0 %%h\", n_%d %% %" PRId64 " * %" PRId64
                  ", bench.core.%s__s);",
                  wire, l->beat, l->width, l->is_signed, wire, l->beats, l->beat, n);
    t->depth--;
    bli_text_line(t, "n_%d = n_%d + 1;", wire, wire);
    bli_text_close(t, "end");
    t->depth--;
}

bool bli_flow_probe(const bli_flow *f, bli_text *t)
{
    int64_t beats = 0;
    for (int w = 0; w < f->p->num_wires; w++)
        beats += f->groups.root[w] == w ? f->links[w].beats : 0;
    if (beats > MOST_SHOWN)
        return false;
    bli_text_line(t, "// %s_probe_tb: what passes along the links of %s_core for the sample +SAMPLE=n.", f->job->name,
                  f->job->name);
    bli_text_line(t, "`timescale 1ns / 1ps");
    bli_text_open(t, "module %s_probe_tb;", f->job->name);
    bli_text_put(t, "%s", sample_text);
    bli_text_line(t, "%s_tb bench ();", f->job->name);
    for (int w = 0; w < f->p->num_wires; w++)
        if (f->groups.root[w] == w && f->links[w].readers > 0 && !f->links[w].constant)
            show_link(f, w, t);
    bli_text_close(t, "endmodule");
    return true;
}
