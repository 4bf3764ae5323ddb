/* cells.c: the small modules that the core is made of.
 *
 * An adder is a module of its own, so that synthesis sees one adder and not a chain that it may rebuild out of LUTs
 * (run alumacc before flatten).  A sum of three is one LUT6_2 a bit on Xilinx, by hand, behind BITLATHE_LUT6_2; the
 * plain sum beside it means the same.
 */
#include <inttypes.h>

#include "emit/verilog/verilog.h"

/* clang-format off */
static const char adders[] =
    "// Cells of @NAME@_core.  Operands come extended to the width of the result.\n"
    "/* verilator lint_off DECLFILENAME */\n"
    "\n"
    "module @NAME@_add #(parameter W = 1) (\n"
    "    input wire [W-1:0] a,\n"
    "    input wire [W-1:0] b,\n"
    "    output wire [W-1:0] y\n"
    ");\n"
    "    assign y = a + b;\n"
    "endmodule\n"
    "\n"
    "module @NAME@_sub #(parameter W = 1) (\n"
    "    input wire [W-1:0] a,\n"
    "    input wire [W-1:0] b,\n"
    "    output wire [W-1:0] y\n"
    ");\n"
    "    assign y = a - b;\n"
    "endmodule\n";

static const char adder3[] =
    "\n"
    "// a + b + c; B, C: subtract instead (B before C).\n"
    "module @NAME@_add3 #(parameter W = 1, parameter B = 0, parameter C = 0) (\n"
    "    input wire [W-1:0] a,\n"
    "    input wire [W-1:0] b,\n"
    "    input wire [W-1:0] c,\n"
    "    output wire [W-1:0] y\n"
    ");\n"
    "`ifdef BITLATHE_LUT6_2\n"
    "    // One LUT6_2 a bit: O5 is the carry of the three bits, handed to the next bit as m;\n"
    "    // O6 is their sum with m, which the carry chain adds up.  Minus is the complement\n"
    "    // (in INIT) and one more: the chain's carry in, and the first m.\n"
    "    localparam P = 4 * ((W + 3) / 4);\n"
    "    localparam [63:0] INIT =\n"
    "        B != 0 && C != 0 ? 64'h699669962b2b2b2b :\n"
    "        B != 0           ? 64'h96699669b2b2b2b2 :\n"
    "        C != 0           ? 64'h966996698e8e8e8e : 64'h69966996e8e8e8e8;\n"
    "    wire [P:0] m, carry;\n"
    "    wire [P-1:0] s, sum;\n"
    "    assign m[0] = B != 0 && C != 0;\n"
    "    assign carry[0] = B != 0 || C != 0;\n"
    "    genvar i;\n"
    "    generate\n"
    "        for (i = 0; i < P; i = i + 1) begin : bits\n"
    "            if (i < W) begin : used\n"
    "                LUT6_2 #(.INIT(INIT)) lut (.I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(m[i]),\n"
    "                    .I4(1'b0), .I5(1'b1), .O5(m[i+1]), .O6(s[i]));\n"
    "            end else begin : unused\n"
    "                assign m[i+1] = 1'b0;\n"
    "                assign s[i] = 1'b0;\n"
    "            end\n"
    "        end\n"
    "        for (i = 0; i < P; i = i + 4) begin : chain\n"
    "            CARRY4 carry4 (.CI(i == 0 ? 1'b0 : carry[i]), .CYINIT(i == 0 ? carry[0] : 1'b0),\n"
    "                .DI(m[i+3:i]), .S(s[i+3:i]), .O(sum[i+3:i]), .CO(carry[i+4:i+1]));\n"
    "        end\n"
    "    endgenerate\n"
    "    assign y = sum[W-1:0];\n"
    "`else\n"
    "    generate\n"
    "        if (B != 0 && C != 0) begin : minus_both\n"
    "            assign y = a - b - c;\n"
    "        end else if (B != 0) begin : minus_b\n"
    "            assign y = a - b + c;\n"
    "        end else if (C != 0) begin : minus_c\n"
    "            assign y = a + b - c;\n"
    "        end else begin : plus\n"
    "            assign y = a + b + c;\n"
    "        end\n"
    "    endgenerate\n"
    "`endif\n"
    "endmodule\n";
/* clang-format on */

static void print_table(const bli_verilog *v, int table, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[v->table_signal[table]], *x = &v->net->signals[s->in[0]];
    int in = bli_net_bits(x), out = bli_net_bits(s);
    uint64_t in_mask = ((uint64_t)1 << in) - 1, out_mask = ((uint64_t)1 << out) - 1;
    bli_text_put(t, "\n");
    bli_text_line(t, "// y for x = %" PRId64 " .. %" PRId64, s->k, s->k + s->length - 1);
    bli_text_open(t, "module %s_table_%d (", v->unit, table);
    bli_text_line(t, "input wire [%d:0] x,", in - 1);
    bli_text_line(t, "output reg [%d:0] y", out - 1);
    bli_text_close(t, ");");
    t->depth++;
    bli_text_open(t, "always @(*)");
    bli_text_open(t, "case (x)");
    for (int64_t i = 1; i < s->length; i++)
        if (s->k + i >= x->low && s->k + i <= x->high)
            bli_text_line(t, "%d'h%" PRIx64 ": y = %d'h%" PRIx64 ";", in, (uint64_t)(s->k + i) & in_mask, out,
                          (uint64_t)s->table[i] & out_mask);
    bli_text_line(t, "default: y = %d'h%" PRIx64 ";", out, (uint64_t)s->table[0] & out_mask);
    bli_text_close(t, "endcase");
    t->depth--;
    bli_text_close(t, "endmodule");
}

bool bli_verilog_has_adder3(const bli_verilog *v)
{
    bool three = false;
    for (int i = 0; i < v->net->count; i++)
        three = three || v->net->signals[i].kind == BLI_NET_ADD3;
    return three;
}

void bli_verilog_adders(const char *name, bool three, bli_text *t)
{
    const bli_text_key keys[] = {{"NAME", name}};
    bli_text_template(t, adders, keys, BLI_COUNT(keys));
    if (three)
        bli_text_template(t, adder3, keys, BLI_COUNT(keys));
}

void bli_verilog_tables(const bli_verilog *v, bli_text *t)
{
    for (int i = 0; i < v->num_tables; i++)
        print_table(v, i, t);
}

void bli_verilog_cells(const bli_verilog *v, bli_text *t)
{
    bli_verilog_adders(v->name, bli_verilog_has_adder3(v), t);
    bli_verilog_tables(v, t);
}
