/* flow_top.c: NAME_core, the processes and what lies between them; NAME_stream, words of WORD bits on both sides.
 *
 * A link has a skid behind its producer.  Where it has several readers each has a memory as long as a sample: then a
 * branch that is ahead never keeps another from what it waits for, since no process needs a beat of the next sample to
 * finish one.
 */
#include <inttypes.h>
#include <stdio.h>

#include "emit/verilog/flow.h"
#include "emit/verilog/stream.h"

bli_flow_port bli_flow_port_of(const bli_flow *f, bool input, int i)
{
    int wire = f->groups.root[input ? f->p->inputs[i].wire : f->p->outputs[i].wire];
    const bli_flow_link *l = &f->links[wire];
    int64_t count = l->beat * l->beats;
    if (f->whole)
        return (bli_flow_port){wire, count, 1, count * l->width};
    return (bli_flow_port){wire, l->beat, l->beats, l->beat * l->width};
}

static void put_ports(const bli_flow *f, bli_text *t)
{
    bli_text_line(t, "input wire clk,");
    bli_text_line(t, "input wire rst,");
    for (int i = 0; i < f->p->num_inputs + f->p->num_outputs; i++) {
        bool in = i < f->p->num_inputs;
        int at = in ? i : i - f->p->num_inputs;
        const bli_flow_port port = bli_flow_port_of(f, in, at);
        char c = in ? 'x' : 'y';
        const char *end = i + 1 < f->p->num_inputs + f->p->num_outputs ? "," : "";
        bli_text_line(t, "// %s: %" PRId64 " of %" PRId64 " elements, %d bits each, %s", f->links[port.wire].name,
                      port.beats, port.beat, f->links[port.wire].width,
                      f->links[port.wire].is_signed ? "two's complement" : "never negative");
        bli_text_line(t, "%s wire [%" PRId64 ":0] %c%d,", in ? "input" : "output", port.bits - 1, c, at);
        bli_text_line(t, "%s wire %c%d_valid,", in ? "input" : "output", c, at);
        bli_text_line(t, "%s wire %c%d_ready%s", in ? "output" : "input", c, at, end);
    }
}

/* The hand of the link's next reader. */
static void reader_of(bli_flow *f, int root, char hand[BLI_FLOW_HAND])
{
    bli_flow_link *l = &f->links[root];
    if (l->readers == 1)
        snprintf(hand, BLI_FLOW_HAND, "%s__s", l->name);
    else
        snprintf(hand, BLI_FLOW_HAND, "%s__r%d", l->name, l->served++);
}

static void put_forked(const bli_flow *f, const bli_flow_link *l, bli_text *t)
{
    const char *n = l->name, *name = f->job->name;
    int64_t bits = l->beat * l->width, depth = l->beats > 2 ? l->beats : 2;
    bli_text_line(t, "wire [%d:0] %s__f_valid, %s__f_ready;", l->readers - 1, n, n);
    bli_text_line(t, "%s_fork #(.N(%d)) %s__f_fork (.clk(clk), .rst(rst), .x_valid(%s__s_valid),", name, l->readers, n,
                  n);
    bli_text_line(t, "    .x_ready(%s__s_ready), .y_valid(%s__f_valid), .y_ready(%s__f_ready));", n, n, n);
    for (int k = 0; k < l->readers; k++) {
        char hand[BLI_FLOW_HAND];
        snprintf(hand, sizeof hand, "%.70s__r%d", n, k);
        bli_flow_put_hand(t, hand, bits);
        bli_text_line(t, "%s_fifo #(.W(%" PRId64 "), .N(%" PRId64 "), .B(%d), .C(%d)) %s_fifo (.clk(clk), .rst(rst),",
                      name, bits, depth, bli_flow_bits(depth), bli_flow_bits(depth - 1), hand);
        bli_text_line(t, "    .x(%s__s), .x_valid(%s__f_valid[%d]), .x_ready(%s__f_ready[%d]),", n, n, k, n, k);
        bli_text_line(t, "    .y(%s), .y_valid(%s_valid), .y_ready(%s_ready));", hand, hand, hand);
    }
}

/* Behind the producer, whose hand is given. */
static void put_link(const bli_flow *f, const bli_flow_link *l, const char *from, bli_text *t)
{
    char parameters[48], hand[BLI_FLOW_HAND];
    if (l->readers == 0) {
        bli_text_line(t, "assign %s_ready = 1'b1; // nothing reads it", from);
        return;
    }
    snprintf(parameters, sizeof parameters, ".W(%" PRId64 ")", l->beat * l->width);
    snprintf(hand, sizeof hand, "%.70s__s", l->name);
    bli_flow_put_cell(f, t, "skid", parameters, from, hand, l->beat * l->width);
    if (l->readers > 1)
        put_forked(f, l, t);
}

static void put_input(const bli_flow *f, int i, bli_text *t)
{
    const bli_flow_port port = bli_flow_port_of(f, true, i);
    const bli_flow_link *l = &f->links[port.wire];
    char hand[BLI_FLOW_HAND];
    snprintf(hand, sizeof hand, "x%d", i);
    bli_text_put(t, "\n");
    if (l->readers > 0)
        bli_flow_put_rebeat(f, t, l->width, l->beat * l->beats, port.beat, l->beat, hand);
    put_link(f, l, hand, t);
}

static void put_instance(bli_flow *f, const bli_group *g, bli_text *t)
{
    const bli_flow_link *l = bli_flow_link_of(f, g->ops[g->num_ops - 1]->out);
    char from[BLI_FLOW_HAND], hand[BLI_FLOW_HAND];
    bli_flow_plan plan;
    bli_flow_plan_make(f, g, &plan);
    snprintf(hand, sizeof hand, "%.70s__p", l->name);
    bli_text_put(t, "\n");
    bli_flow_put_hand(t, hand, l->beat * l->width);
    bli_text_line(t, "%s__%s %s__u (.clk(clk), .rst(rst),", f->job->name, g->name, l->name);
    for (int i = 0; i < plan.num_in; i++) {
        reader_of(f, plan.in[i].root, from);
        bli_text_line(t, "    .x%d(%s), .x%d_valid(%s_valid), .x%d_ready(%s_ready),", i, from, i, from, i, from);
    }
    bli_text_line(t, "    .y(%s), .y_valid(%s_valid), .y_ready(%s_ready));", hand, hand, hand);
    put_link(f, l, hand, t);
}

/* What no input is behind comes out again and again. */
static void put_constant(const bli_flow *f, const bli_flow_link *l, const char *hand, bli_text *t)
{
    int64_t count = l->beat * l->beats;
    const char *digits = bli_flow_digits(f, l->constant, count, l->width);
    bli_flow_put_hand(t, hand, count * l->width);
    bli_text_line(t, "assign %s = %" PRId64 "'h%s;", hand, count * l->width, digits ? digits : "0");
    bli_text_line(t, "assign %s_valid = 1'b1;", hand);
}

static void put_output(bli_flow *f, int i, bli_text *t)
{
    const bli_flow_port port = bli_flow_port_of(f, false, i);
    const bli_flow_link *l = &f->links[port.wire];
    char hand[BLI_FLOW_HAND];
    bli_text_put(t, "\n");
    if (l->constant) {
        snprintf(hand, sizeof hand, "c%d", i);
        put_constant(f, l, hand, t);
        bli_flow_put_rebeat(f, t, l->width, l->beat * l->beats, l->beat * l->beats, port.beat, hand);
    } else {
        reader_of(f, port.wire, hand);
        bli_flow_put_rebeat(f, t, l->width, l->beat * l->beats, l->beat, port.beat, hand);
    }
    bli_text_line(t, "assign y%d = %s;", i, hand);
    bli_text_line(t, "assign y%d_valid = %s_valid;", i, hand);
    bli_text_line(t, "assign %s_ready = y%d_ready;", hand, i);
}

void bli_flow_put_top(bli_flow *f, bli_text *t)
{
    char safe[256];
    bli_text_line(t, "// %s_core: the network %s.  A beat passes where valid and ready are both high.", f->job->name,
                  bli_text_safe(f->p->name, safe, sizeof safe));
    bli_text_open(t, "module %s_core (", f->job->name);
    put_ports(f, t);
    bli_text_close(t, ");");
    t->depth++;
    for (int i = 0; i < f->p->num_inputs; i++)
        put_input(f, i, t);
    for (int i = 0; i < f->groups.count; i++)
        if (!bli_flow_link_of(f, f->groups.at[i].ops[f->groups.at[i].num_ops - 1]->out)->constant)
            put_instance(f, &f->groups.at[i], t);
    for (int i = 0; i < f->p->num_outputs; i++)
        put_output(f, i, t);
    bli_text_close(t, "endmodule");
}

/* ---- words --------------------------------------------------------------------------------------------------------
 */
/* clang-format off */
static const char stream[] =
    "// @NAME@_stream: @NAME@_core between two AXI-Streams (valid, ready, data, last).\n"
    "// A beat of X bits comes in words of WORD bits, lowest first, the last one filled up; so does one of Y bits leave.\n"
    "/* verilator lint_off UNUSED */ // what fills up the last word\n"
    BLI_STREAM_HEAD
    "    localparam XN = (X + WORD - 1) / WORD;\n"
    "    localparam YN = (Y + WORD - 1) / WORD;\n"
    "    localparam integer LAST = YN * @YBEATS@ - 1; // word of a sample\n"
    "    localparam B = bits(LAST);\n"
    "\n"
    BLI_STREAM_BITS
    "\n"
    "    wire [XN*WORD-1:0] x;\n"
    "    wire [Y-1:0] y;\n"
    "    wire [YN*WORD-1:0] y_filled;\n"
    "    wire x_valid, x_ready, y_valid, y_ready;\n"
    "    @NAME@_core core (.clk(clk), .rst(rst), .x0(x[X-1:0]), .x0_valid(x_valid), .x0_ready(x_ready),\n"
    "        .y0(y), .y0_valid(y_valid), .y0_ready(y_ready));\n"
    "    generate\n"
    "        if (XN == 1) begin : one_word_in\n"
    "            assign x = s_axis_tdata;\n"
    "            assign x_valid = s_axis_tvalid;\n"
    "            assign s_axis_tready = x_ready;\n"
    "        end else begin : words_in\n"
    "            @NAME@_join #(.W(WORD), .N(XN), .B(bits(XN))) join_words (.clk(clk), .rst(rst),\n"
    "                .x(s_axis_tdata), .x_valid(s_axis_tvalid), .x_ready(s_axis_tready),\n"
    "                .y(x), .y_valid(x_valid), .y_ready(x_ready));\n"
    "        end\n"
    "        if (YN * WORD == Y) begin : whole_words\n"
    "            assign y_filled = y;\n"
    "        end else begin : filled_up\n"
    "            assign y_filled = {{YN*WORD-Y{1'b0}}, y};\n"
    "        end\n"
    "        if (YN == 1) begin : one_word_out\n"
    "            assign m_axis_tdata = y_filled;\n"
    "            assign m_axis_tvalid = y_valid;\n"
    "            assign y_ready = m_axis_tready;\n"
    "        end else begin : words_out\n"
    "            @NAME@_split #(.W(WORD), .N(YN), .B(bits(YN))) split_words (.clk(clk), .rst(rst),\n"
    "                .x(y_filled), .x_valid(y_valid), .x_ready(y_ready),\n"
    "                .y(m_axis_tdata), .y_valid(m_axis_tvalid), .y_ready(m_axis_tready));\n"
    "        end\n"
    "    endgenerate\n"
    "    reg [B-1:0] n;\n"
    "    assign m_axis_tlast = n == LAST[B-1:0];\n"
    "    always @(posedge clk) begin\n"
    "        if (rst)\n"
    "            n <= {B{1'b0}};\n"
    "        else if (m_axis_tvalid && m_axis_tready)\n"
    "            n <= m_axis_tlast ? {B{1'b0}} : n + 1'b1;\n"
    "    end\n"
    "endmodule\n";
/* clang-format on */

void bli_flow_put_stream(const bli_flow *f, bli_text *t)
{
    char x[24], y[24], beats[24];
    const bli_flow_port in = bli_flow_port_of(f, true, 0), out = bli_flow_port_of(f, false, 0);
    if (f->p->num_inputs != 1 || f->p->num_outputs != 1) {
        bli_text_line(t, "// %s_core has several inputs or outputs: each is a stream of its own.", f->job->name);
        return;
    }
    snprintf(x, sizeof x, "%" PRId64, in.bits);
    snprintf(y, sizeof y, "%" PRId64, out.bits);
    snprintf(beats, sizeof beats, "%" PRId64, out.beats);
    const bli_text_key keys[] = {{"NAME", f->job->name}, {"X", x}, {"Y", y}, {"YBEATS", beats}};
    bli_text_template(t, stream, keys, BLI_COUNT(keys));
}
