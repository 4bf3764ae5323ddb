/* stream.h: text that both modules NAME_stream have, around a pipe (stream.c) and around processes (flow_top.c). */
#ifndef BLI_EMIT_VERILOG_STREAM_H
#define BLI_EMIT_VERILOG_STREAM_H

/* clang-format off */
/* @X@ and @Y@: bits of a sample, or of a beat. */
#define BLI_STREAM_HEAD \
    "module @NAME@_stream #(parameter WORD = 8) (\n" \
    "    input wire clk,\n" \
    "    input wire rst,\n" \
    "    input wire [WORD-1:0] s_axis_tdata,\n" \
    "    input wire s_axis_tvalid,\n" \
    "    output wire s_axis_tready,\n" \
    "    output wire [WORD-1:0] m_axis_tdata,\n" \
    "    output wire m_axis_tvalid,\n" \
    "    output wire m_axis_tlast,\n" \
    "    input wire m_axis_tready\n" \
    ");\n" \
    "    localparam X = @X@;\n" \
    "    localparam Y = @Y@;\n"

#define BLI_STREAM_BITS \
    "    // Bits that hold 0 .. n.\n" \
    "    function integer bits(input integer n);\n" \
    "        begin\n" \
    "            bits = 1;\n" \
    "            while ((n >> bits) != 0)\n" \
    "                bits = bits + 1;\n" \
    "        end\n" \
    "    endfunction\n"
/* clang-format on */

#endif
