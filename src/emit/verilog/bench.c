/* bench.c: the self-checking bench NAME_tb and its vectors.
 *
 * The core gets a sample each clock; NAME_stream beside it gets the same samples with both sides of the stream stopping
 * at random.  Every difference is one line "DIFF ..."; the last line is PASS or FAIL.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emit/verilog/verilog.h"

/* clang-format off */
static const char core_text[] =
    "// @NAME@_tb: vectors through @NAME@_core and @NAME@_stream; the last line printed is PASS or FAIL.\n"
    "// Run where x.hex and y.hex are.  A line \"DIFF core sample expected found\" names a difference.\n"
    "`timescale 1ns / 1ps\n"
    "module @NAME@_tb;\n"
    "    parameter N = @N@;        // samples\n"
    "    parameter STREAMED = @M@; // the first of them also go through the stream\n"
    "    parameter WORD = @WORD@;\n"
    "    localparam X = @X@;\n"
    "    localparam Y = @Y@;\n"
    "    localparam LATENCY = @LATENCY@;\n"
    "    localparam XN = (X + WORD - 1) / WORD;\n"
    "    localparam YN = (Y + WORD - 1) / WORD;\n"
    "    localparam PATIENCE = N + LATENCY + 64 + 16 * STREAMED * (XN + YN + LATENCY);\n"
    "\n"
    "    reg [X-1:0] xs [0:N-1];\n"
    "    reg [Y-1:0] ys [0:N-1];\n"
    "    initial begin\n"
    "        $readmemh(\"x.hex\", xs);\n"
    "        $readmemh(\"y.hex\", ys);\n"
    "    end\n"
    "\n"
    "    reg clk = 1'b0;\n"
    "    always #5 clk = !clk;\n"
    "    integer clocks = 0;\n"
    "    integer wrong = 0;\n"
    "\n"
    "`ifndef BITLATHE_GATES\n"
    "    // The core: a sample each clock.\n"
    "    reg [X-1:0] x = {X{1'b0}};\n"
    "    wire [Y-1:0] y;\n"
    "    @NAME@_core core (.clk(clk), .ce(1'b1), .x(x), .y(y));\n"
    "    reg [Y-1:0] expected;\n"
    "    always @(posedge clk) begin\n"
    "        if (clocks < N)\n"
    "            x <= xs[clocks];\n"
    "        if (clocks > LATENCY && clocks <= LATENCY + N) begin\n"
    "            expected = ys[clocks - LATENCY - 1];\n"
    "            if (y !== expected) begin\n"
    "                $display(\"DIFF core %0d %h %h\", clocks - LATENCY - 1, expected, y);\n"
    "                wrong = wrong + 1;\n"
    "            end\n"
    "        end\n"
    "    end\n"
    "`endif\n"
    "\n";

static const char stream_text[] =
    "    // The stream: words come and go when chance lets them.\n"
    "    reg [31:0] chance = 32'h@SEED@;\n"
    "    reg rst = 1'b1;\n"
    "    reg [WORD-1:0] s_data = {WORD{1'b0}};\n"
    "    reg s_valid = 1'b0, m_ready = 1'b0;\n"
    "    wire s_ready, m_valid, m_last;\n"
    "    wire [WORD-1:0] m_data;\n"
    "`ifdef BITLATHE_GATES\n"
    "    // A netlist read back from a bitstream: WORD is 8, each bit a port of its own.\n"
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
    "    @NAME@_stream #(.WORD(WORD)) stream (.clk(clk), .rst(rst), .s_axis_tdata(s_data), .s_axis_tvalid(s_valid),\n"
    "        .s_axis_tready(s_ready), .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tlast(m_last),\n"
    "        .m_axis_tready(m_ready));\n"
    "`endif\n"
    "    integer sent = 0, sent_word = 0, got = 0, got_word = 0;\n"
    "    reg [XN*WORD-1:0] sample;\n"
    "    reg [YN*WORD-1:0] result;\n"
    "    reg [WORD-1:0] word;\n"
    "    always @(posedge clk) begin\n"
    "        chance <= {chance[30:0], chance[31] ^ chance[21] ^ chance[1] ^ chance[0]};\n"
    "        rst <= clocks < 2;\n"
    "        m_ready <= chance[3] | chance[7];\n"
    "        if (!rst && (!s_valid || s_ready)) begin\n"
    "            s_valid <= sent < STREAMED && (chance[5] | chance[11]);\n"
    "            if (sent < STREAMED && (chance[5] | chance[11])) begin\n"
    "                sample = 0;\n"
    "                sample[X-1:0] = xs[sent];\n"
    "                sample = sample >> (sent_word * WORD);\n"
    "                s_data <= sample[WORD-1:0];\n"
    "                sent = sent_word == XN - 1 ? sent + 1 : sent;\n"
    "                sent_word = sent_word == XN - 1 ? 0 : sent_word + 1;\n"
    "            end\n"
    "        end\n"
    "        if (!rst && m_valid && m_ready) begin\n"
    "            result = 0;\n"
    "            result[Y-1:0] = ys[got];\n"
    "            result = result >> (got_word * WORD);\n"
    "            word = result[WORD-1:0];\n"
    "            if (m_data !== word || m_last !== (got_word == YN - 1)) begin\n"
    "                $display(\"DIFF stream %0d word %0d %h %h\", got, got_word, word, m_data);\n"
    "                wrong = wrong + 1;\n"
    "            end\n"
    "            got = got_word == YN - 1 ? got + 1 : got;\n"
    "            got_word = got_word == YN - 1 ? 0 : got_word + 1;\n"
    "        end\n"
    "    end\n"
    "\n"
    "    always @(posedge clk) begin\n"
    "        clocks <= clocks + 1;\n"
    "        if (clocks > LATENCY + N && got == STREAMED) begin\n"
    "            if (wrong == 0)\n"
    "                $display(\"PASS %0d samples, %0d of them through the stream\", N, STREAMED);\n"
    "            else\n"
    "                $display(\"FAIL %0d differences\", wrong);\n"
    "            $finish;\n"
    "        end else if (clocks > PATIENCE) begin\n"
    "            $display(\"FAIL the stream stands still: %0d of %0d samples came out\", got, STREAMED);\n"
    "            $finish;\n"
    "        end\n"
    "    end\n"
    "endmodule\n";
/* clang-format on */

enum { MOST_STREAMED = 200, MOST_WORDS = 4096 };

void bli_verilog_bench(const bli_verilog *v, int samples, bli_text *t)
{
    char x[24], y[24], latency[24], n[24], m[24], word[24];
    int64_t width = 8;
    while (v->x_bits / width + v->y_bits / width > MOST_WORDS)
        width *= 2;
    snprintf(x, sizeof x, "%" PRId64, v->x_bits);
    snprintf(y, sizeof y, "%" PRId64, v->y_bits);
    snprintf(latency, sizeof latency, "%d", v->latency);
    snprintf(n, sizeof n, "%d", samples);
    snprintf(m, sizeof m, "%d", samples < MOST_STREAMED ? samples : MOST_STREAMED);
    snprintf(word, sizeof word, "%" PRId64, width);
    const bli_text_key keys[] = {{"NAME", v->name}, {"X", x}, {"Y", y},       {"LATENCY", latency},
                                 {"N", n},          {"M", m}, {"WORD", word}, {"SEED", "2545f491"}};
    bli_text_template(t, core_text, keys, BLI_COUNT(keys));
    bli_text_template(t, stream_text, keys, BLI_COUNT(keys));
}

/* ---- vectors ------------------------------------------------------------------------------------------------------
 */
static void put_code(uint8_t *bits, const bli_verilog_field *f, int64_t e, int64_t code)
{
    int64_t first = f->first + e * f->width;
    for (int i = 0; i < f->width; i++)
        if ((uint64_t)code >> i & 1)
            bits[(first + i) / 4] |= (uint8_t)(1 << (first + i) % 4);
}

/* One line of hexadecimal digits for each sample; codes[i]: samples x count of field i. */
static bl_status vector_lines(const bli_program *p, const bli_verilog_field *fields, int num_fields, int64_t bits,
                              int64_t *const *codes, int samples, bli_text *t)
{
    size_t digits = (size_t)((bits + 3) / 4);
    uint8_t *digit = bli_alloc(p->ctx, digits);
    char *line = bli_alloc(p->ctx, digits + 1);
    if (!digit || !line) {
        bli_free(p->ctx, digit);
        bli_free(p->ctx, line);
        return BL_NO_MEMORY;
    }
    for (int s = 0; s < samples; s++) {
        memset(digit, 0, digits);
        for (int i = 0; i < num_fields; i++) {
            int64_t count = p->wires[fields[i].wire].count;
            for (int64_t e = 0; e < count; e++)
                put_code(digit, &fields[i], e, codes[i][s * count + e]);
        }
        for (size_t d = 0; d < digits; d++)
            line[d] = "0123456789abcdef"[digit[digits - 1 - d]];
        bli_text_put(t, "%s\n", line);
    }
    bli_free(p->ctx, digit);
    bli_free(p->ctx, line);
    return bli_text_status(t);
}

static bl_status add_file(const bli_emit_job *job, const char *path, const bli_verilog_field *fields, bool inputs,
                          const bli_vectors *vectors)
{
    const bli_program *p = job->program;
    int count = inputs ? p->num_inputs : p->num_outputs;
    const bli_verilog_field *last = &fields[count - 1];
    bli_text t;
    bli_text_init(&t, job->ctx);
    bl_status s = vector_lines(p, fields, count, last->first + last->width * p->wires[last->wire].count,
                               inputs ? vectors->inputs : vectors->outputs, vectors->samples, &t);
    if (s == BL_OK)
        s = bli_project_text(job->project, path, &t);
    bli_text_free(&t);
    return s;
}

bl_status bli_verilog_vector_files(const bli_emit_job *job, const bli_vectors *vectors, const bli_verilog_field *x,
                                   const bli_verilog_field *y)
{
    BLI_TRY(add_file(job, "tb/x.hex", x, true, vectors));
    return add_file(job, "tb/y.hex", y, false, vectors);
}
