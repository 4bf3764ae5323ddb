/* operation.c: one signal of the netlist as Verilog-2001.
 *
 * Every wire is a plain vector of the exact width.  Operands are brought to a width by hand (sign bits repeated, high
 * bits cut), so that no rule of the language about mixed widths and signs ever applies.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emit/verilog/verilog.h"

typedef struct operand {
    const char *name;
    int bits;
    bool is_signed, is_constant;
    int64_t value;
    bli_verilog_text text;
} operand;

static void operand_of(const bli_verilog *v, int signal, int i, operand *o)
{
    const bli_net_signal *s = &v->net->signals[v->net->signals[signal].in[i]];
    bli_verilog_name(v, v->net->signals[signal].in[i], v->pipe.stage[signal], o->text);
    o->name = o->text;
    o->bits = bli_net_bits(s);
    o->is_signed = bli_net_signed(s);
    o->is_constant = s->kind == BLI_NET_CONST;
    o->value = s->k;
}

static void literal(int64_t value, int bits, char *out, size_t size)
{
    uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    snprintf(out, size, "%d'h%" PRIx64, bits, (uint64_t)value & mask);
}

/* Bits first .. first + width - 1 of the operand's endless two's complement, by number even where they are all: wires
 * may be declared wider. */
static void slice(const operand *o, int first, int width, bli_verilog_text out)
{
    if (o->is_constant) {
        literal(first >= 63 ? (o->value < 0 ? -1 : 0) : o->value >> first, width, out, BLI_VERILOG_TEXT);
        return;
    }
    char inside[256] = "", beyond[256] = "";
    int kept = o->bits - first < width ? o->bits - first : width, rest = width - (kept > 0 ? kept : 0);
    if (kept > 0 && o->bits == 1)
        snprintf(inside, sizeof inside, "%.150s", o->name);
    else if (kept == 1)
        snprintf(inside, sizeof inside, "%.150s[%d]", o->name, first);
    else if (kept > 0)
        snprintf(inside, sizeof inside, "%.150s[%d:%d]", o->name, first + kept - 1, first);
    if (rest > 0 && !o->is_signed)
        snprintf(beyond, sizeof beyond, "%d'd0", rest);
    else if (rest > 0 && o->bits == 1)
        snprintf(beyond, sizeof beyond, "{%d{%.150s}}", rest, o->name);
    else if (rest > 0)
        snprintf(beyond, sizeof beyond, "{%d{%.150s[%d]}}", rest, o->name, o->bits - 1);
    if (rest > 0 && kept > 0)
        snprintf(out, BLI_VERILOG_TEXT, "{%s, %s}", beyond, inside);
    else
        snprintf(out, BLI_VERILOG_TEXT, "%s", rest > 0 ? beyond : inside);
}

/* The operand shifted left, width bits of it from bit first on. */
static void shifted_slice(const operand *o, int shift, int first, int width, bli_verilog_text out)
{
    if (first >= shift || o->is_constant) {
        operand moved = *o;
        if (o->is_constant) {
            moved.value = (int64_t)((uint64_t)o->value << shift);
            moved.name = o->text;
            slice(&moved, first, width, out);
            return;
        }
        slice(o, first - shift, width, out);
        return;
    }
    int zeros = shift - first < width ? shift - first : width;
    bli_verilog_text high;
    if (zeros == width) {
        snprintf(out, BLI_VERILOG_TEXT, "%d'd0", width);
        return;
    }
    slice(o, 0, width - zeros, high);
    snprintf(out, BLI_VERILOG_TEXT, "{%.900s, %d'd0}", high, zeros);
}

static void bit_of(const operand *o, int i, bli_verilog_text out)
{
    if (i >= o->bits && !o->is_signed)
        snprintf(out, BLI_VERILOG_TEXT, "1'b0");
    else if (o->bits == 1)
        snprintf(out, BLI_VERILOG_TEXT, "%s", o->name);
    else
        snprintf(out, BLI_VERILOG_TEXT, "%.200s[%d]", o->name, i < o->bits ? i : o->bits - 1);
}

/* ---- comments -----------------------------------------------------------------------------------------------------
 */
static void describe(const bli_verilog *v, int signal, char *out, size_t size)
{
    static const char *const words[BLI_NET_COUNT] = {
        [BLI_NET_SHL] = "shifted left", [BLI_NET_SHR] = "cut",         [BLI_NET_LOW] = "low bits",
        [BLI_NET_WRAP] = "wrapped",     [BLI_NET_NOT] = "inverted",    [BLI_NET_TIE] = "round up?",
        [BLI_NET_AT_LEAST] = "reaches", [BLI_NET_LESS] = "less?",      [BLI_NET_MUX] = "choice",
        [BLI_NET_CLAMP] = "clamped",    [BLI_NET_TABLE] = "looked up", [BLI_NET_MUL] = "product",
        [BLI_NET_ADD] = "sum",          [BLI_NET_SUB] = "difference",  [BLI_NET_ADD3] = "sum of three",
        [BLI_NET_INPUT] = "input"};
    const bli_net_signal *s = &v->net->signals[signal];
    snprintf(out, size, "%s, %" PRId64 " .. %" PRId64, words[s->kind], s->low, s->high);
}

static void declare(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    char words[128], range[BLI_VERILOG_RANGE];
    describe(v, signal, words, sizeof words);
    bli_verilog_range(v, signal, range);
    bli_text_line(t, "wire %s%s; // %s", range, name, words);
}

/* The right side of a signal that is no cell's output. */
static void assign(const bli_verilog *v, int signal, const char *name, const char *value, bli_text *t)
{
    if (bli_net_signed(&v->net->signals[signal]))
        bli_text_line(t, "assign %s = $signed(%s);", name, value);
    else
        bli_text_line(t, "assign %s = %s;", name, value);
}

/* ---- sums ---------------------------------------------------------------------------------------------------------
 */
/* `.WA(8), .SA(1), .LA(2), `: what is not a parameter's default; and the operand itself. */
static void port_of(const operand *o, char letter, int shift, char parameters[64], bli_verilog_text ports)
{
    char is_signed[16] = "", moved[24] = "";
    if (o->is_signed)
        snprintf(is_signed, sizeof is_signed, ".S%c(1), ", letter);
    if (shift > 0)
        snprintf(moved, sizeof moved, ".L%c(%d), ", letter, shift);
    snprintf(parameters, 64, ".W%c(%d), %s%s", letter, o->bits, is_signed, moved);
    snprintf(ports, BLI_VERILOG_TEXT, ".%c(%.900s), ", letter - 'A' + 'a', o->name);
}

/* A constant operand, which has no wire. */
static void settle(operand *o)
{
    if (!o->is_constant)
        return;
    char value[40];
    o->bits = o->bits > 0 ? o->bits : 1;
    literal(o->value, o->bits, value, sizeof value);
    snprintf(o->text, BLI_VERILOG_TEXT, o->is_signed ? "$signed(%s)" : "%s", value);
}

/* a + (b << LB) + K, a - (b << LB) + K or (b << LB) - a + K. */
static void print_sum(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    int bits = bli_net_bits(s);
    operand a, b;
    bli_verilog_text low, pa, pb;
    char wa[64], wb[64], k[48] = "";
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    bool second = s->shift[1] > 0 || s->shift[0] == 0; /* is the one that is shifted */
    operand *plain = second ? &a : &b, *moved = second ? &b : &a;
    int shift = second ? s->shift[1] : s->shift[0];
    if (shift >= bits && s->k == 0 && (s->kind == BLI_NET_ADD || second)) {
        slice(plain, 0, bits, low);
        assign(v, signal, name, low, t);
        return;
    }
    settle(plain);
    settle(moved);
    port_of(plain, 'A', 0, wa, pa);
    port_of(moved, 'B', shift, wb, pb);
    if (s->k != 0)
        snprintf(k, sizeof k, ", .K(64'h%" PRIx64 ")", (uint64_t)s->k);
    const char *cell = s->kind == BLI_NET_ADD ? "add" : second ? "sub" : "from";
    bli_text_line(t, "%s_%s #(%s%s.W(%d)%s) %s__sum (%s%s.y(%s));", v->name, cell, wa, wb, bits, k, name, pa, pb, name);
}

/* Where only one operand has bits yet, and it is added, its bits are the sum's: PASS of them. */
static int passing(const bli_net_signal *s, int bits, int *lowest)
{
    int pass = bits;
    *lowest = 0;
    for (int i = 1; i < 3; i++)
        *lowest = s->shift[i] < s->shift[*lowest] ? i : *lowest;
    for (int i = 0; i < 3; i++)
        pass = i != *lowest && s->shift[i] < pass ? s->shift[i] : pass;
    return s->minus[*lowest] ? 0 : pass;
}

static void print_sum3(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    int lowest, bits = bli_net_bits(s), pass = passing(s, bits, &lowest);
    operand o[3];
    bli_verilog_text ports[3], only;
    char w[3][64];
    for (int i = 0; i < 3; i++)
        operand_of(v, signal, i, &o[i]);
    if (pass == bits) {
        shifted_slice(&o[lowest], s->shift[lowest], 0, bits, only);
        assign(v, signal, name, only, t);
        return;
    }
    for (int i = 0; i < 3; i++) {
        settle(&o[i]);
        port_of(&o[i], (char)('A' + i), s->shift[i], w[i], ports[i]);
    }
    const bool fixed = v->net->signals[s->in[2]].kind == BLI_NET_CONST;
    bli_text_line(t, "%s_add3 #(%s%s%s.W(%d), .PASS(%d), .MB(%d), .MC(%d)%s) %s__sum (%s%s%s.y(%s));", v->name, w[0],
                  w[1], w[2], bits, pass, s->minus[1], s->minus[2], fixed ? ", .KC(1)" : "", name, ports[0], ports[1],
                  ports[2], name);
}

/* ---- comparisons --------------------------------------------------------------------------------------------------
 */
/* a >= k; a power of two, and the sign, are looked at as bits. */
static void at_least(const operand *a, int64_t k, bli_verilog_text out)
{
    int top = a->bits - 1, exp = k > 0 ? __builtin_ctzll((uint64_t)k) : 0;
    bli_verilog_text sign, high;
    char c[40];
    literal(k, a->bits, c, sizeof c);
    bit_of(a, top, sign);
    if (k == 0) {
        snprintf(out, BLI_VERILOG_TEXT, "!%.200s", sign);
    } else if (k > 0 && (k & (k - 1)) == 0 && !a->is_signed) {
        slice(a, exp, a->bits - exp, high);
        snprintf(out, BLI_VERILOG_TEXT, "|%.300s", high);
    } else if (k > 0 && (k & (k - 1)) == 0) {
        slice(a, exp, top - exp, high);
        snprintf(out, BLI_VERILOG_TEXT, "!%.200s && |%.300s", sign, high);
    } else if (a->is_signed) {
        snprintf(out, BLI_VERILOG_TEXT, "$signed(%s) >= $signed(%s)", a->name, c);
    } else {
        snprintf(out, BLI_VERILOG_TEXT, "%s >= %s", a->name, c);
    }
}

/* In what has signs the operand with one stands left: Verilator 5.006 takes the left one's width, before it was
 * extended by zeros, for that of both.  Whether they are exchanged. */
static bool sign_first(operand *a, operand *b)
{
    const bool exchange = !a->is_signed && b->is_signed;
    if (exchange) {
        operand left = *b;
        *b = *a;
        *a = left;
        a->name = a->text;
        b->name = b->text;
    }
    return exchange;
}

static void print_less(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    operand a, b;
    bli_verilog_text ea, eb;
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    const char *relation = sign_first(&a, &b) ? ">" : "<";
    int wb = b.bits + (!b.is_signed && a.is_signed), width = a.bits > wb ? a.bits : wb;
    slice(&a, 0, width, ea);
    slice(&b, 0, width, eb);
    if (a.is_signed)
        bli_text_line(t, "assign %s = $signed(%s) %s $signed(%s);", name, ea, relation, eb);
    else
        bli_text_line(t, "assign %s = %s %s %s;", name, ea, relation, eb);
}

static void print_clamp(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal], *in = &v->net->signals[s->in[0]];
    int bits = bli_net_bits(s);
    operand a;
    bli_verilog_text value, below, above, choice;
    char low[40], high[40];
    operand_of(v, signal, 0, &a);
    slice(&a, 0, bits, value);
    literal(s->k, bits, low, sizeof low);
    literal(s->high_k, bits, high, sizeof high);
    at_least(&a, s->k, below);
    at_least(&a, s->high_k + 1, above);
    if (in->high <= s->high_k)
        snprintf(choice, sizeof choice, "(%.400s) ? %.200s : %s", below, value, low);
    else if (in->low >= s->k)
        snprintf(choice, sizeof choice, "(%.400s) ? %s : %.200s", above, high, value);
    else
        snprintf(choice, sizeof choice, "(%.300s) ? %s : (%.300s) ? %.200s : %s", above, high, below, value, low);
    assign(v, signal, name, choice, t);
}

/* ---- the rest -----------------------------------------------------------------------------------------------------
 */
static void print_mux(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    int bits = bli_net_bits(&v->net->signals[signal]);
    operand bit, yes, no;
    bli_verilog_text a, b, choice;
    operand_of(v, signal, 0, &bit);
    operand_of(v, signal, 1, &yes);
    operand_of(v, signal, 2, &no);
    slice(&yes, 0, bits, a);
    slice(&no, 0, bits, b);
    snprintf(choice, sizeof choice, "%.200s ? %.300s : %.300s", bit.name, a, b);
    assign(v, signal, name, choice, t);
}

static void print_tie(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    int k = (int)s->k;
    operand a;
    bli_verilog_text half, rest, whole, sign, odd;
    operand_of(v, signal, 0, &a);
    bit_of(&a, k - 1, half);
    bit_of(&a, k, odd);
    slice(&a, 0, k, whole);
    snprintf(sign, sizeof sign, "1'b0");
    if (a.is_signed)
        bit_of(&a, a.bits - 1, sign);
    snprintf(rest, sizeof rest, "1'b0");
    if (k > 1) {
        slice(&a, 0, k - 1, rest);
        memmove(rest + 1, rest, strlen(rest) + 1);
        rest[0] = '|';
    }
    switch ((bl_rounding)s->high_k) {
    case BL_TRN_ZERO:
        bli_text_line(t, "assign %s = %s && |%s;", name, sign, whole);
        break;
    case BL_RND_ZERO:
        bli_text_line(t, "assign %s = %s && ((%s) || %s);", name, half, rest, sign);
        break;
    case BL_RND_INF:
        bli_text_line(t, "assign %s = %s && ((%s) || !%s);", name, half, rest, sign);
        break;
    default: /* RND_CONV; the others are sums */
        bli_text_line(t, "assign %s = %s && ((%s) || %s);", name, half, rest, odd);
    }
}

/* Operands in the product's width; with signs where one has a sign, so that synthesis sees how far they go. */
static void print_product(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    int bits = bli_net_bits(&v->net->signals[signal]);
    operand a, b;
    bli_verilog_text ea, eb, product;
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    sign_first(&a, &b);
    slice(&a, 0, bits, ea);
    slice(&b, 0, bits, eb);
    snprintf(product, sizeof product, a.is_signed ? "{$signed(%.400s) * $signed(%.400s)}" : "{%.400s * %.400s}", ea,
             eb);
    assign(v, signal, name, product, t);
}

/* SHL, SHR, LOW, WRAP, NOT: wires. */
static void print_move(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    operand a;
    bli_verilog_text e, inverted;
    operand_of(v, signal, 0, &a);
    int shift = s->kind == BLI_NET_SHL ? (int)s->k : 0, first = s->kind == BLI_NET_SHR ? (int)s->k : 0;
    shifted_slice(&a, shift, first, bli_net_bits(s), e);
    snprintf(inverted, sizeof inverted, "{~%.900s}", e);
    assign(v, signal, name, s->kind == BLI_NET_NOT ? inverted : e, t);
}

static void print_input(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    const bli_program *p = v->program;
    int64_t element = s->k;
    int i = 0;
    for (; element >= p->wires[v->x[i].wire].count; i++)
        element -= p->wires[v->x[i].wire].count;
    int64_t first = v->x[i].first + element * v->x[i].width + s->shift[0];
    int bits = bli_net_bits(s);
    char from[64] = "x_q";
    if (v->x_bits > 1 && bits == 1)
        snprintf(from, sizeof from, "x_q[%" PRId64 "]", first);
    else if (v->x_bits > 1)
        snprintf(from, sizeof from, "x_q[%" PRId64 ":%" PRId64 "]", first + bits - 1, first);
    assign(v, signal, name, from, t);
}

static void print_simple(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    operand a;
    bli_verilog_text e;
    operand_of(v, signal, 0, &a);
    if (s->kind == BLI_NET_AT_LEAST) {
        at_least(&a, s->k, e);
        bli_text_line(t, "assign %s = %s;", name, e);
        return;
    }
    bli_verilog_text x, found;
    slice(&a, 0, a.bits, x);
    snprintf(found, sizeof found, "%.200s__t", name);
    bli_text_line(t, "wire [%d:0] %s;", bli_net_bits(s) - 1, found);
    bli_text_line(t, "%s_table_%d %s__u (.x(%s), .y(%s));", v->unit, v->table[signal], name, x, found);
    assign(v, signal, name, found, t);
}

typedef void print_fn(const bli_verilog *v, int signal, const char *name, bli_text *t);
static print_fn *const prints[BLI_NET_COUNT] = {
    [BLI_NET_INPUT] = print_input, [BLI_NET_ADD] = print_sum,     [BLI_NET_SUB] = print_sum,
    [BLI_NET_ADD3] = print_sum3,   [BLI_NET_SHL] = print_move,    [BLI_NET_SHR] = print_move,
    [BLI_NET_LOW] = print_move,    [BLI_NET_WRAP] = print_move,   [BLI_NET_NOT] = print_move,
    [BLI_NET_TIE] = print_tie,     [BLI_NET_LESS] = print_less,   [BLI_NET_AT_LEAST] = print_simple,
    [BLI_NET_MUX] = print_mux,     [BLI_NET_CLAMP] = print_clamp, [BLI_NET_TABLE] = print_simple,
    [BLI_NET_MUL] = print_product};

void bli_verilog_signal(const bli_verilog *v, int signal, bli_text *t)
{
    bli_verilog_text name;
    if (v->net->signals[signal].kind == BLI_NET_CONST)
        return; /* a literal where it is read */
    bli_verilog_name(v, signal, v->pipe.stage[signal], name);
    declare(v, signal, name, t);
    prints[v->net->signals[signal].kind](v, signal, name, t);
}
