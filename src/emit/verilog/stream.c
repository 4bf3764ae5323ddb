/* stream.c: the module NAME_stream, an AXI-Stream on both sides of the core.
 *
 * Words of WORD bits, the lowest first, are collected into a sample; the core's clock enable stops the whole pipe when
 * a result waits and cannot leave.  With WORD at least as wide as a sample one sample passes a clock.
 */
#include <inttypes.h>
#include <stdio.h>

#include "emit/verilog/stream.h"
#include "emit/verilog/verilog.h"

/* clang-format off */
static const char text[] =
    "// @NAME@_stream: @NAME@_core between two AXI-Streams (valid, ready, data, last).\n"
    "// A sample is X bits, in words of WORD bits, lowest first, the last one filled up; so is a result of Y bits.\n"
    BLI_STREAM_HEAD
    "    localparam LATENCY = @LATENCY@;\n"
    "    localparam XN = (X + WORD - 1) / WORD;\n"
    "    localparam YN = (Y + WORD - 1) / WORD;\n"
    "    localparam XC = bits(XN);\n"
    "    localparam YC = bits(YN);\n"
    "\n"
    BLI_STREAM_BITS
    "\n"
    "    // Words in: in_n of them are there.\n"
    "    /* verilator lint_off UNUSED */ // what fills up the last word\n"
    "    reg [XN*WORD-1:0] in_q;\n"
    "    /* verilator lint_on UNUSED */\n"
    "    reg [XC-1:0] in_n;\n"
    "    wire ce;\n"
    "    wire full = in_n == XN[XC-1:0];\n"
    "    wire accept = s_axis_tvalid && s_axis_tready;\n"
    "    assign s_axis_tready = !full || ce;\n"
    "    wire [XN*WORD-1:0] in_next;\n"
    "    generate\n"
    "        if (XN == 1) begin : one_word_in\n"
    "            assign in_next = s_axis_tdata;\n"
    "        end else begin : words_in\n"
    "            assign in_next = {s_axis_tdata, in_q[XN*WORD-1:WORD]};\n"
    "        end\n"
    "    endgenerate\n"
    "    always @(posedge clk) begin\n"
    "        if (accept)\n"
    "            in_q <= in_next;\n"
    "        if (rst)\n"
    "            in_n <= {XC{1'b0}};\n"
    "        else if (full && ce)\n"
    "            in_n <= {{XC-1{1'b0}}, accept};\n"
    "        else if (accept)\n"
    "            in_n <= in_n + 1'b1;\n"
    "    end\n"
    "\n"
    "    // The core, and which of its stages hold a sample.\n"
    "    wire [Y-1:0] y;\n"
    "    reg [LATENCY-1:0] valid;\n"
    "    @NAME@_core core (.clk(clk), .ce(ce), .x(in_q[X-1:0]), .y(y));\n"
    "    always @(posedge clk) begin\n"
    "        if (rst)\n"
    "            valid <= {LATENCY{1'b0}};\n"
    "        else if (ce)\n"
    "            valid <= {valid[LATENCY-2:0], full};\n"
    "    end\n"
    "\n"
    "    // Words out: out_n of them are still to go.\n"
    "    reg [YN*WORD-1:0] out_q;\n"
    "    reg [YC-1:0] out_n;\n"
    "    wire leave = m_axis_tvalid && m_axis_tready;\n"
    "    wire room = out_n == {YC{1'b0}} || (leave && m_axis_tlast);\n"
    "    assign ce = !valid[LATENCY-1] || room;\n"
    "    assign m_axis_tvalid = out_n != {YC{1'b0}};\n"
    "    assign m_axis_tlast = out_n == {{YC-1{1'b0}}, 1'b1};\n"
    "    assign m_axis_tdata = out_q[WORD-1:0];\n"
    "    wire [YN*WORD-1:0] out_load, out_next;\n"
    "    generate\n"
    "        if (YN * WORD == Y) begin : whole_words\n"
    "            assign out_load = y;\n"
    "        end else begin : filled_up\n"
    "            assign out_load = {{YN*WORD-Y{1'b0}}, y};\n"
    "        end\n"
    "        if (YN == 1) begin : one_word_out\n"
    "            assign out_next = out_q;\n"
    "        end else begin : words_out\n"
    "            assign out_next = {{WORD{1'b0}}, out_q[YN*WORD-1:WORD]};\n"
    "        end\n"
    "    endgenerate\n"
    "    always @(posedge clk) begin\n"
    "        if (valid[LATENCY-1] && room)\n"
    "            out_q <= out_load;\n"
    "        else if (leave)\n"
    "            out_q <= out_next;\n"
    "        if (rst)\n"
    "            out_n <= {YC{1'b0}};\n"
    "        else if (valid[LATENCY-1] && room)\n"
    "            out_n <= YN[YC-1:0];\n"
    "        else if (leave)\n"
    "            out_n <= out_n - 1'b1;\n"
    "    end\n"
    "endmodule\n";
/* clang-format on */

void bli_verilog_stream(const bli_verilog *v, bli_text *t)
{
    char x[24], y[24], latency[24];
    snprintf(x, sizeof x, "%" PRId64, v->x_bits);
    snprintf(y, sizeof y, "%" PRId64, v->y_bits);
    snprintf(latency, sizeof latency, "%d", v->latency);
    const bli_text_key keys[] = {{"NAME", v->name}, {"X", x}, {"Y", y}, {"LATENCY", latency}};
    bli_text_template(t, text, keys, BLI_COUNT(keys));
}
