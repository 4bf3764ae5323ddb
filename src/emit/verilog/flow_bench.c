/* flow_bench.c: NAME_tb for processes: every port of NAME_core is fed and checked beat by beat, each side stopping at
 * random; NAME_stream beside it gets words.  Every difference is a line "DIFF ..."; the last line is PASS or FAIL.
 */
#include <inttypes.h>
#include <stdio.h>

#include "emit/verilog/flow.h"

enum { MOST_STREAMED = 200 };

/* clang-format off */
static const char feed[] =
    "// @NAME@_tb: vectors through @NAME@_core and @NAME@_stream; the last line printed is PASS or FAIL.\n"
    "// Run where x.hex and y.hex are.  A line \"DIFF bits sample first expected found\" names a difference, by the place\n"
    "// in the sample's line of y.hex where the beat begins.\n"
    "`timescale 1ns / 1ps\n"
    "\n"
    "// Beats of BEAT bits, BEATS a sample, each in words of WORD bits, out of a line of S bits from bit FIRST on.\n"
    "module @NAME@_tb_feed #(parameter N = 1, parameter SENT = 1, parameter S = 1, parameter FIRST = 0, parameter BEAT = 1,\n"
    "    parameter BEATS = 1, parameter WORD = 1, parameter [31:0] SEED = 1) (\n"
    "    input wire clk,\n"
    "    input wire rst,\n"
    "    output reg [WORD-1:0] data,\n"
    "    output reg valid,\n"
    "    input wire ready\n"
    ");\n"
    "    localparam WORDS = (BEAT + WORD - 1) / WORD;\n"
    "    reg [S-1:0] lines [0:N-1];\n"
    "    initial $readmemh(\"x.hex\", lines);\n"
    "    reg [31:0] chance = SEED;\n"
    "    integer sample = 0, beat = 0, word = 0;\n"
    "    reg [S-1:0] line;\n"
    "    reg [WORDS*WORD-1:0] whole;\n"
    "    wire now = sample < SENT && (chance[5] | chance[11]);\n"
    "    initial valid = 1'b0;\n"
    "    always @(posedge clk) begin\n"
    "        chance <= {chance[30:0], chance[31] ^ chance[21] ^ chance[1] ^ chance[0]};\n"
    "        if (!rst && (!valid || ready)) begin\n"
    "            valid <= now;\n"
    "            if (now) begin\n"
    "                line = lines[sample] >> (FIRST + beat * BEAT);\n"
    "                whole = 0;\n"
    "                whole[BEAT-1:0] = line[BEAT-1:0];\n"
    "                whole = whole >> (word * WORD);\n"
    "                data <= whole[WORD-1:0];\n"
    "                word = word + 1;\n"
    "                if (word == WORDS) begin\n"
    "                    word = 0;\n"
    "                    beat = beat + 1;\n"
    "                end\n"
    "                if (beat == BEATS) begin\n"
    "                    beat = 0;\n"
    "                    sample = sample + 1;\n"
    "                end\n"
    "            end\n"
    "        end\n"
    "    end\n"
    "endmodule\n"
    "\n";

static const char check[] =
    "// The same on the other side; LAST: a word of the stream, whose last is marked.\n"
    "module @NAME@_tb_check #(parameter N = 1, parameter SENT = 1, parameter S = 1, parameter FIRST = 0, parameter BEAT = 1,\n"
    "    parameter BEATS = 1, parameter WORD = 1, parameter LAST = 0, parameter [31:0] SEED = 1) (\n"
    "    input wire clk,\n"
    "    input wire rst,\n"
    "    input wire [WORD-1:0] data,\n"
    "    input wire valid,\n"
    "    input wire last,\n"
    "    output reg ready,\n"
    "    output wire done,\n"
    "    output reg [31:0] wrong\n"
    ");\n"
    "    localparam WORDS = (BEAT + WORD - 1) / WORD;\n"
    "    reg [S-1:0] lines [0:N-1];\n"
    "    initial $readmemh(\"y.hex\", lines);\n"
    "    reg [31:0] chance = SEED;\n"
    "    integer sample = 0, beat = 0, word = 0;\n"
    "    reg [S-1:0] line;\n"
    "    reg [WORDS*WORD-1:0] whole;\n"
    "    reg ends;\n"
    "    assign done = sample == SENT;\n"
    "    initial begin\n"
    "        ready = 1'b0;\n"
    "        wrong = 0;\n"
    "    end\n"
    "    always @(posedge clk) begin\n"
    "        chance <= {chance[30:0], chance[31] ^ chance[21] ^ chance[1] ^ chance[0]};\n"
    "        ready <= chance[3] | chance[7];\n"
    "        if (!rst && valid === 1'b1 && ready && !done) begin\n"
    "            line = lines[sample] >> (FIRST + beat * BEAT);\n"
    "            whole = 0;\n"
    "            whole[BEAT-1:0] = line[BEAT-1:0];\n"
    "            whole = whole >> (word * WORD);\n"
    "            ends = word == WORDS - 1 && beat == BEATS - 1;\n"
    "            if (data !== whole[WORD-1:0] || (LAST == 1 && last !== ends)) begin\n"
    "                if (LAST == 1)\n"
    "                    $display(\"DIFF stream %0d word %0d %h %h\", sample, beat * WORDS + word, whole[WORD-1:0], data);\n"
    "                else\n"
    "                    $display(\"DIFF bits %0d %0d %h %h\", sample, FIRST + beat * BEAT, whole[WORD-1:0], data);\n"
    "                wrong <= wrong + 1;\n"
    "            end\n"
    "            word = word + 1;\n"
    "            if (word == WORDS) begin\n"
    "                word = 0;\n"
    "                beat = beat + 1;\n"
    "            end\n"
    "            if (beat == BEATS) begin\n"
    "                beat = 0;\n"
    "                sample = sample + 1;\n"
    "            end\n"
    "        end\n"
    "    end\n"
    "endmodule\n"
    "\n";

static const char words_text[] =
    "    // Words of eight bits through the stream.\n"
    "    wire [7:0] s_data, m_data;\n"
    "    wire s_valid, s_ready, m_valid, m_ready, m_last;\n"
    "    @NAME@_tb_feed #(.N(N), .SENT(STREAMED), .S(@XS@), .BEAT(@X@), .BEATS(@XBEATS@), .WORD(8), .SEED(32'h2545f491))\n"
    "        words_in (.clk(clk), .rst(rst), .data(s_data), .valid(s_valid), .ready(s_ready));\n"
    "    @NAME@_tb_check #(.N(N), .SENT(STREAMED), .S(@YS@), .BEAT(@Y@), .BEATS(@YBEATS@), .WORD(8), .LAST(1),\n"
    "        .SEED(32'h9e3779b9)) words_out (.clk(clk), .rst(rst), .data(m_data), .valid(m_valid), .last(m_last),\n"
    "        .ready(m_ready), .done(done[PORTS]), .wrong(wrong_words));\n"
    "`ifdef BITLATHE_GATES\n"
    "    // A netlist read back from a bitstream: each bit is a port of its own.\n"
    "    @NAME@_stream stream (.clk(clk), .rst(rst), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready),\n"
    "        .\\s_axis_tdata[0] (s_data[0]), .\\s_axis_tdata[1] (s_data[1]),\n"
    "        .\\s_axis_tdata[2] (s_data[2]), .\\s_axis_tdata[3] (s_data[3]),\n"
    "        .\\s_axis_tdata[4] (s_data[4]), .\\s_axis_tdata[5] (s_data[5]),\n"
    "        .\\s_axis_tdata[6] (s_data[6]), .\\s_axis_tdata[7] (s_data[7]),\n"
    "        .\\m_axis_tdata[0] (m_data[0]), .\\m_axis_tdata[1] (m_data[1]),\n"
    "        .\\m_axis_tdata[2] (m_data[2]), .\\m_axis_tdata[3] (m_data[3]),\n"
    "        .\\m_axis_tdata[4] (m_data[4]), .\\m_axis_tdata[5] (m_data[5]),\n"
    "        .\\m_axis_tdata[6] (m_data[6]), .\\m_axis_tdata[7] (m_data[7]),\n"
    "        .m_axis_tvalid(m_valid), .m_axis_tlast(m_last), .m_axis_tready(m_ready));\n"
    "`else\n"
    "    @NAME@_stream #(.WORD(8)) stream (.clk(clk), .rst(rst), .s_axis_tdata(s_data), .s_axis_tvalid(s_valid),\n"
    "        .s_axis_tready(s_ready), .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tlast(m_last),\n"
    "        .m_axis_tready(m_ready));\n"
    "`endif\n"
    "\n";

static const char verdict[] =
    "    // A port that has been still for too long means that all of it is.\n"
    "    integer still = 0;\n"
    "    wire moves = |alive;\n"
    "    always @(posedge clk) begin\n"
    "        rst <= clocks < 2;\n"
    "        clocks <= clocks + 1;\n"
    "        still <= moves ? 0 : still + 1;\n"
    "        if (&done) begin\n"
    "            if (wrong == 0)\n"
    "                $display(\"PASS %0d samples, %0d of them through the stream\", N, STREAMED);\n"
    "            else\n"
    "                $display(\"FAIL %0d differences\", wrong);\n"
    "            $finish;\n"
    "        end else if (still > PATIENCE) begin\n"
    "            $display(\"FAIL the streams stand still after %0d clocks\", clocks);\n"
    "            $finish;\n"
    "        end\n"
    "    end\n"
    "endmodule\n";
/* clang-format on */

static int64_t line_bits(const bli_flow *f, bool inputs)
{
    int64_t bits = 0;
    for (int i = 0; i < (inputs ? f->p->num_inputs : f->p->num_outputs); i++) {
        const bli_flow_port p = bli_flow_port_of(f, inputs, i);
        bits += p.bits * p.beats;
    }
    return bits;
}

/* Clocks within which something must come out: each beat of a sample, four times what it takes alone. */
static int64_t patience(const bli_flow *f)
{
    int64_t clocks = f->latency;
    for (int i = 0; i < f->p->num_wires; i++)
        clocks += f->groups.root[i] == i ? f->links[i].beats * (f->links[i].beat + f->turns) : 0;
    return 1000 + 4 * clocks < 2000000000 ? 1000 + 4 * clocks : 2000000000;
}

static void put_head(const bli_flow *f, int samples, bool single, bli_text *t)
{
    bli_text_line(t, "module %s_tb;", f->job->name);
    t->depth++;
    bli_text_line(t, "parameter N = %d; // samples", samples);
    bli_text_put(t, "`ifdef BITLATHE_GATES\n");
    bli_text_line(t, "parameter STREAMED = %d; // the first of them also go through the stream",
                  samples < MOST_STREAMED ? samples : MOST_STREAMED);
    bli_text_put(t, "`else\n");
    bli_text_line(t, "parameter STREAMED = %d;", !single ? 0 : samples < 2 ? samples : 2);
    bli_text_put(t, "`endif\n");
    bli_text_line(t, "localparam PORTS = %d;", f->p->num_outputs);
    bli_text_line(t, "localparam PATIENCE = %" PRId64 ";", patience(f));
    bli_text_line(t, "reg clk = 1'b0, rst = 1'b1;");
    bli_text_line(t, "always #5 clk = !clk;");
    bli_text_line(t, "integer clocks = 0;");
    bli_text_line(t, "wire [PORTS:0] done, alive;");
    bli_text_line(t, "wire [31:0] wrong_words;");
    bli_text_put(t, "\n");
}

static void put_end(const bli_flow *f, bool input, int i, int64_t first, int64_t line, bli_text *t)
{
    const bli_flow_port p = bli_flow_port_of(f, input, i);
    char c = input ? 'x' : 'y';
    bli_text_line(t, "wire [%" PRId64 ":0] %c%d;", p.bits - 1, c, i);
    bli_text_line(t, "wire %c%d_valid, %c%d_ready;", c, i, c, i);
    if (!input)
        bli_text_line(t, "wire [31:0] wrong%d;", i);
    bli_text_line(t,
                  "%s_tb_%s #(.N(N), .SENT(N), .S(%" PRId64 "), .FIRST(%" PRId64 "), .BEAT(%" PRId64
                  "), .BEATS(%" PRId64 "), .WORD(%" PRId64 "), .SEED(32'h%08x))",
                  f->job->name, input ? "feed" : "check", line, first, p.bits, p.beats, p.bits,
                  0x1234567u + 0x9e3779b9u * (unsigned)(2 * i + input));
    bli_text_line(t, "    %c%d_end (.clk(clk), .rst(rst), .data(%c%d), .valid(%c%d_valid), .ready(%c%d_ready)%s", c, i,
                  c, i, c, i, c, i, input ? ");" : ", .last(1'b0),");
    if (!input)
        bli_text_line(t, "    .done(done[%d]), .wrong(wrong%d));", i, i);
    if (!input)
        bli_text_line(t, "assign alive[%d] = y%d_valid && y%d_ready;", i, i, i);
}

static void put_core(const bli_flow *f, bli_text *t)
{
    int64_t at[2] = {0, 0};
    bli_text_put(t, "`ifndef BITLATHE_GATES\n");
    for (int i = 0; i < f->p->num_inputs + f->p->num_outputs; i++) {
        bool in = i < f->p->num_inputs;
        int k = in ? i : i - f->p->num_inputs;
        const bli_flow_port p = bli_flow_port_of(f, in, k);
        put_end(f, in, k, at[in], line_bits(f, in), t);
        at[in] += p.bits * p.beats;
    }
    bli_text_put(t, "    %s_core core (.clk(clk), .rst(rst)", f->job->name);
    for (int i = 0; i < f->p->num_inputs + f->p->num_outputs; i++) {
        bool in = i < f->p->num_inputs;
        int k = in ? i : i - f->p->num_inputs;
        char c = in ? 'x' : 'y';
        bli_text_put(t, ",\n        .%c%d(%c%d), .%c%d_valid(%c%d_valid), .%c%d_ready(%c%d_ready)", c, k, c, k, c, k, c,
                     k, c, k, c, k);
    }
    bli_text_put(t, ");\n");
    bli_text_put(t, "    wire [31:0] wrong = wrong_words");
    for (int i = 0; i < f->p->num_outputs; i++)
        bli_text_put(t, " + wrong%d", i);
    bli_text_put(t, ";\n`else\n");
    bli_text_line(t, "wire [31:0] wrong = wrong_words;");
    bli_text_line(t, "assign done[PORTS-1:0] = {PORTS{1'b1}};");
    bli_text_line(t, "assign alive[PORTS-1:0] = {PORTS{1'b0}};");
    bli_text_put(t, "`endif\n\n");
}

static void put_words(const bli_flow *f, bool single, bli_text *t)
{
    const bli_flow_port in = bli_flow_port_of(f, true, 0), out = bli_flow_port_of(f, false, 0);
    char xs[24], ys[24], x[24], y[24], x_beats[24], y_beats[24];
    if (!single) {
        bli_text_line(t, "assign done[PORTS] = 1'b1;");
        bli_text_line(t, "assign alive[PORTS] = 1'b0;");
        bli_text_line(t, "assign wrong_words = 0;");
        return;
    }
    snprintf(xs, sizeof xs, "%" PRId64, line_bits(f, true));
    snprintf(ys, sizeof ys, "%" PRId64, line_bits(f, false));
    snprintf(x, sizeof x, "%" PRId64, in.bits);
    snprintf(y, sizeof y, "%" PRId64, out.bits);
    snprintf(x_beats, sizeof x_beats, "%" PRId64, in.beats);
    snprintf(y_beats, sizeof y_beats, "%" PRId64, out.beats);
    const bli_text_key keys[] = {{"NAME", f->job->name}, {"XS", xs},         {"YS", ys}, {"X", x}, {"Y", y},
                                 {"XBEATS", x_beats},    {"YBEATS", y_beats}};
    bli_text_template(t, words_text, keys, BLI_COUNT(keys));
    bli_text_line(t, "assign alive[PORTS] = m_valid && m_ready;");
}

void bli_flow_put_bench(const bli_flow *f, int samples, bli_text *t)
{
    const bli_text_key keys[] = {{"NAME", f->job->name}};
    bool single = f->p->num_inputs == 1 && f->p->num_outputs == 1;
    bli_text_template(t, feed, keys, BLI_COUNT(keys));
    bli_text_template(t, check, keys, BLI_COUNT(keys));
    put_head(f, samples, single, t);
    put_core(f, t);
    put_words(f, single, t);
    bli_text_template(t, verdict, keys, BLI_COUNT(keys));
    t->depth--;
}
