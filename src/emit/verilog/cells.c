/* cells.c: the small modules that the core is made of.
 *
 * An adder is a module of its own, so that synthesis sees one adder and not a chain that it may rebuild out of LUTs
 * (run alumacc before flatten).  A sum of three is one LUT6_2 a bit on Xilinx where two of its operands have bits, by
 * hand, behind BITLATHE_LUT6_2; the plain sum beside it means the same.
 */
#include <inttypes.h>

#include "emit/verilog/verilog.h"

/* clang-format off */
static const char head[] =
    "// Cells of @NAME@_core.  An operand comes in its own width (WA bits, signed where SA is 1) and is moved LA bits left;\n"
    "// y is W bits of the sum.  No cell is larger than an adder of the bits where its operands meet: below the moved operand\n"
    "// the other one's bits pass, and a constant K lies there or is the carry in.  Simulators that are told so take the plain\n"
    "// sum instead.\n"
    "/* verilator lint_off DECLFILENAME */\n"
    "/* verilator lint_off UNUSED */ // bits of operands above the sum\n"
    "/* verilator lint_off WIDTH */  // operands are extended by what an assignment means\n";

static const char plain[] =
    "`ifdef VERILATOR\n"
    "`define @NAME@_plain\n"
    "`endif\n"
    "`ifdef BITLATHE_WIDE\n"
    "`define @NAME@_plain\n"
    "`endif\n";

/* Operand x in the width of the sum, signed where S is 1. */
#define EXTENDED(x, S)                                                                                                 \
    "        if (" S " != 0) begin : " x "_signed\n"                                                                   \
    "            assign " x "_x = $signed(" x ");\n"                                                                   \
    "        end else begin : " x "_plain\n"                                                                           \
    "            assign " x "_x = " x ";\n"                                                                            \
    "        end\n"

/* What every cell of two operands begins with, behind its name. */
#define TWO_OPERANDS                                                                                                   \
    "#(parameter WA = 1, parameter SA = 0, parameter LA = 0, parameter WB = 1, parameter SB = 0,\n" \
    "    parameter LB = 0, parameter W = 1, parameter [63:0] K = 0) (\n" \
    "    input wire `@NAME@_w(WA) a,\n" \
    "    input wire `@NAME@_w(WB) b,\n" \
    "    output wire `@NAME@_w(W) y\n" \
    ");\n" \
    "    wire `@NAME@_w(W) a_x, b_x;\n" \
    "    generate\n" \
    EXTENDED("a", "SA") \
    EXTENDED("b", "SB") \
    "    endgenerate\n"

static const char adders[] =
    "\n"
    "// a + (b << LB) + K, 0 <= K <= 2^LB; LA is 0.\n"
    "module @NAME@_add " TWO_OPERANDS
    "`ifdef @NAME@_plain\n"
    "    localparam `@NAME@_w(W) K_X = K;\n"
    "    assign y = a_x + (b_x << LB) + K_X;\n"
    "`else\n"
    "    generate\n"
    "        if (LB >= W) begin : constant\n"
    "            assign y = a_x + K[W-1:0];\n"
    "        end else if (LB == 0) begin : level\n"
    "            if (K == 0) begin : plain\n"
    "                assign y = a_x + b_x;\n"
    "            end else begin : carry\n"
    "                assign y = a_x - ~b_x;\n"
    "            end\n"
    "        end else if (K == 0) begin : pass\n"
    "            assign y = {a_x[W-1:LB] + b_x[W-LB-1:0], a_x[LB-1:0]};\n"
    "        end else if (K == 64'd1 << LB) begin : pass_carry\n"
    "            assign y = {a_x[W-1:LB] - ~b_x[W-LB-1:0], a_x[LB-1:0]};\n"
    "        end else begin : fill\n"
    "            assign y = a_x + {b_x[W-LB-1:0], K[LB-1:0]};\n"
    "        end\n"
    "    endgenerate\n"
    "`endif\n"
    "endmodule\n"
    "\n"
    "// a - (b << LB) + K, -2^LB <= K <= 0; LA is 0.\n"
    "module @NAME@_sub " TWO_OPERANDS
    "`ifdef @NAME@_plain\n"
    "    localparam `@NAME@_w(W) K_X = K;\n"
    "    assign y = a_x - (b_x << LB) + K_X;\n"
    "`else\n"
    "    generate\n"
    "        if (LB >= W) begin : constant\n"
    "            assign y = a_x + K[W-1:0];\n"
    "        end else if (LB == 0) begin : level\n"
    "            if (K == 0) begin : plain\n"
    "                assign y = a_x - b_x;\n"
    "            end else begin : borrow\n"
    "                assign y = a_x + ~b_x;\n"
    "            end\n"
    "        end else if (K == 0) begin : pass\n"
    "            assign y = {a_x[W-1:LB] - b_x[W-LB-1:0], a_x[LB-1:0]};\n"
    "        end else if (-K == 64'd1 << LB) begin : pass_borrow\n"
    "            assign y = {a_x[W-1:LB] + ~b_x[W-LB-1:0], a_x[LB-1:0]};\n"
    "        end else begin : fill\n"
    "            assign y = a_x + {~b_x[W-LB-1:0], K[LB-1:0]};\n"
    "        end\n"
    "    endgenerate\n"
    "`endif\n"
    "endmodule\n"
    "\n"
    "// (b << LB) - a + K, -1 <= K < 2^LB, LB > 0; LA is 0.\n"
    "module @NAME@_from " TWO_OPERANDS
    "`ifdef @NAME@_plain\n"
    "    localparam `@NAME@_w(W) K_X = K;\n"
    "    assign y = (b_x << LB) - a_x + K_X;\n"
    "`else\n"
    "    generate\n"
    "        if (LB >= W) begin : constant\n"
    "            assign y = K[W-1:0] - a_x;\n"
    "        end else if (K[63]) begin : borrow\n"
    "            assign y = {b_x[W-LB-1:0], {LB{1'b0}}} + ~a_x;\n"
    "        end else begin : fill\n"
    "            assign y = {b_x[W-LB-1:0], K[LB-1:0]} - a_x;\n"
    "        end\n"
    "    endgenerate\n"
    "`endif\n"
    "endmodule\n";

static const char adder3[] =
    "\n"
    "// (a << LA) + (b << LB) + (c << LC); MB, MC: subtracted instead (MB before MC).  The low PASS bits are one operand's;\n"
    "// KC: c is a constant.\n"
    "module @NAME@_add3 #(parameter WA = 1, parameter SA = 0, parameter LA = 0, parameter WB = 1, parameter SB = 0,\n"
    "    parameter LB = 0, parameter WC = 1, parameter SC = 0, parameter LC = 0,\n"
    "    parameter W = 1, parameter PASS = 0, parameter MB = 0, parameter MC = 0, parameter KC = 0) (\n"
    "    input wire `@NAME@_w(WA) a,\n"
    "    input wire `@NAME@_w(WB) b,\n"
    "    input wire `@NAME@_w(WC) c,\n"
    "    output wire `@NAME@_w(W) y\n"
    ");\n"
    "    wire `@NAME@_w(W) a_x, b_x, c_x;\n"
    "    generate\n"
    EXTENDED("a", "SA")
    EXTENDED("b", "SB")
    EXTENDED("c", "SC")
    "    endgenerate\n"
    "`ifdef @NAME@_plain\n"
    "    assign y = MB != 0 && MC != 0 ? (a_x << LA) - (b_x << LB) - (c_x << LC) :\n"
    "        MB != 0 ? (a_x << LA) - (b_x << LB) + (c_x << LC) :\n"
    "        MC != 0 ? (a_x << LA) + (b_x << LB) - (c_x << LC) : (a_x << LA) + (b_x << LB) + (c_x << LC);\n"
    "`else\n"
    "    localparam N = W - PASS;\n"
    "    wire [W-1:0] a_w, b_w, c_w;\n"
    "    wire [N-1:0] p, q, r, sum;\n"
    "    assign a_w = a_x << LA;\n"
    "    assign b_w = b_x << LB;\n"
    "    assign c_w = c_x << LC;\n"
    "    assign p = a_w[W-1:PASS];\n"
    "    assign q = b_w[W-1:PASS];\n"
    "    assign r = c_w[W-1:PASS];\n"
    "    generate\n"
    "        if (PASS == 0) begin : whole\n"
    "            assign y = sum;\n"
    "        end else begin : upper\n"
    "            assign y = {sum, a_w[PASS-1:0] | b_w[PASS-1:0] | c_w[PASS-1:0]};\n"
    "        end\n"
    "    endgenerate\n"
    "`ifdef BITLATHE_LUT6_2\n";

static const char adder3_by_bits[] =
    "    // One LUT6_2 a bit: O5 is the carry of the three bits, handed to the next bit as m;\n"
    "    // O6 is their sum with m, which the carry chain adds up.  Minus is the complement\n"
    "    // (in INIT) and one more: the chain's carry in, and the first m.  Where fewer than two\n"
    "    // operands have bits (from L_ on, below E_), that is a LUT of two inputs or a wire.\n"
    "    localparam EA = SA != 0 ? W : LA + WA;\n"
    "    localparam EB = SB != 0 ? W : LB + WB;\n"
    "    localparam EC = KC != 0 ? 0 : SC != 0 ? W : LC + WC;\n"
    "    localparam P = 4 * ((N + 3) / 4);\n"
    "    localparam [63:0] INIT =\n"
    "        MB != 0 && MC != 0 ? 64'h699669962b2b2b2b :\n"
    "        MB != 0            ? 64'h96699669b2b2b2b2 :\n"
    "        MC != 0            ? 64'h966996698e8e8e8e : 64'h69966996e8e8e8e8;\n"
    "    wire [P:0] m, carry;\n"
    "    wire [P-1:0] s, total;\n"
    "    assign m[0] = MB != 0 && MC != 0;\n"
    "    assign carry[0] = MB != 0 || MC != 0;\n"
    "    genvar i;\n"
    "    generate\n"
    "        for (i = 0; i < P; i = i + 1) begin : bits\n"
    "            if (i < N && (i + PASS >= LA && i + PASS < EA) + (i + PASS >= LB && i + PASS < EB) +\n"
    "                (i + PASS >= LC && i + PASS < EC) > 1) begin : used\n"
    "                LUT6_2 #(.INIT(INIT)) lut (.I0(p[i]), .I1(q[i]), .I2(r[i]), .I3(m[i]),\n"
    "                    .I4(1'b0), .I5(1'b1), .O5(m[i+1]), .O6(s[i]));\n"
    "            end else if (i < N) begin : lone\n"
    "                wire b_i = q[i] ^ (MB != 0), c_i = r[i] ^ (MC != 0);\n"
    "                assign m[i+1] = p[i] & b_i | p[i] & c_i | b_i & c_i;\n"
    "                assign s[i] = p[i] ^ b_i ^ c_i ^ m[i];\n"
    "            end else begin : unused\n"
    "                assign m[i+1] = 1'b0;\n"
    "                assign s[i] = 1'b0;\n"
    "            end\n"
    "        end\n"
    "        for (i = 0; i < P; i = i + 4) begin : chain\n"
    "            CARRY4 carry4 (.CI(i == 0 ? 1'b0 : carry[i]), .CYINIT(i == 0 ? carry[0] : 1'b0),\n"
    "                .DI(m[i+3:i]), .S(s[i+3:i]), .O(total[i+3:i]), .CO(carry[i+4:i+1]));\n"
    "        end\n"
    "    endgenerate\n"
    "    assign sum = total[N-1:0];\n"
    "`else\n"
    "    generate\n"
    "        if (MB != 0 && MC != 0) begin : minus_both\n"
    "            assign sum = p - q - r;\n"
    "        end else if (MB != 0) begin : minus_b\n"
    "            assign sum = p - q + r;\n"
    "        end else if (MC != 0) begin : minus_c\n"
    "            assign sum = p + q - r;\n"
    "        end else begin : plus\n"
    "            assign sum = p + q + r;\n"
    "        end\n"
    "    endgenerate\n"
    "`endif\n"
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

void bli_verilog_adders(const char *name, bool three, int widest, bli_text *t)
{
    const bli_text_key keys[] = {{"NAME", name}};
    bli_text_template(t, head, keys, BLI_COUNT(keys));
    bli_text_template(t, plain, keys, BLI_COUNT(keys));
    bli_verilog_widths(name, widest, t);
    bli_text_template(t, adders, keys, BLI_COUNT(keys));
    if (three) {
        bli_text_template(t, adder3, keys, BLI_COUNT(keys));
        bli_text_template(t, adder3_by_bits, keys, BLI_COUNT(keys));
    }
}

void bli_verilog_tables(const bli_verilog *v, bli_text *t)
{
    for (int i = 0; i < v->num_tables; i++)
        print_table(v, i, t);
}

void bli_verilog_cells(const bli_verilog *v, bli_text *t)
{
    bli_verilog_adders(v->name, bli_verilog_has_adder3(v), bli_verilog_widest(v->net), t);
    bli_verilog_tables(v, t);
}
