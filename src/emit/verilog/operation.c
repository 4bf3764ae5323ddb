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

/* Bits first .. first + width - 1 of the operand's endless two's complement. */
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
    else if (kept == o->bits)
        snprintf(inside, sizeof inside, "%.150s", o->name);
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
    char words[128], range[32] = "";
    int bits = bli_net_bits(&v->net->signals[signal]);
    describe(v, signal, words, sizeof words);
    if (bits > 1)
        snprintf(range, sizeof range, "[%d:0] ", bits - 1);
    bli_text_line(t, "wire %s%s; // %s", range, name, words);
}

/* ---- sums ---------------------------------------------------------------------------------------------------------
 */
/* One adder: y = a + b or a - b from bit pass on; the bits below are low's. */
typedef struct adder {
    bool minus;
    int pass;
    bli_verilog_text low, a, b;
} adder;

/* `~` of an expression, in place. */
static void invert(bli_verilog_text e)
{
    memmove(e + 1, e, strlen(e) + 1);
    e[0] = '~';
}

/* The operand shifted by s, with the bits low filled in below, width bits. */
static void fill_low(const operand *o, int s, int64_t low, int width, bool inverted, bli_verilog_text out)
{
    bli_verilog_text high;
    char bits[40];
    if (width <= s) {
        literal(low, width, out, BLI_VERILOG_TEXT);
        return;
    }
    slice(o, 0, width - s, high);
    literal(low, s, bits, sizeof bits);
    snprintf(out, BLI_VERILOG_TEXT, "{%s%.900s, %s}", inverted ? "~" : "", high, bits);
}

/* The bits below where the shifted operand begins are the other one's; the rest is one adder. */
static void plan_plain(const operand *plain, const operand *moved, int s, int bits, bool subtract, adder *out)
{
    out->pass = s < bits ? s : bits;
    if (out->pass > 0)
        slice(plain, 0, out->pass, out->low);
    if (out->pass == bits)
        return;
    slice(plain, s, bits - s, out->a);
    slice(moved, 0, bits - s, out->b);
    out->minus = subtract;
}

/* plain + (moved << s) + k, 0 < k <= 2^s */
static void plan_add(const operand *plain, const operand *moved, int s, int bits, int64_t k, adder *out)
{
    if (k == (int64_t)1 << s) {
        plan_plain(plain, moved, s, bits, true, out);
        invert(out->b);
        return;
    }
    slice(plain, 0, bits, out->a);
    fill_low(moved, s, k, bits, false, out->b);
}

/* plain - (moved << s) + k, -2^s <= k < 0 */
static void plan_subtract(const operand *plain, const operand *moved, int s, int bits, int64_t k, adder *out)
{
    int64_t low = k + ((int64_t)1 << s);
    if (low == 0) {
        plan_plain(plain, moved, s, bits, false, out);
        invert(out->b);
        return;
    }
    slice(plain, 0, bits, out->a);
    fill_low(moved, s, low, bits, true, out->b);
}

/* (moved << s) - plain + k, k = 0 .. 2^s - 1 or -1 */
static void plan_negative(const operand *plain, const operand *moved, int s, int bits, int64_t k, adder *out)
{
    if (k >= 0)
        fill_low(moved, s, k, bits, false, out->a);
    else
        shifted_slice(moved, s, 0, bits, out->a);
    slice(plain, 0, bits, out->b);
    out->minus = k >= 0;
    if (k < 0)
        invert(out->b);
}

static void plan_adder(const bli_verilog *v, int signal, adder *out)
{
    const bli_net_signal *s = &v->net->signals[signal];
    operand a, b;
    int bits = bli_net_bits(s);
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    bool second = s->shift[1] > 0 || s->shift[0] == 0; /* is the one that is shifted */
    const operand *plain = second ? &a : &b, *moved = second ? &b : &a;
    int shift = second ? s->shift[1] : s->shift[0];
    if (s->kind == BLI_NET_SUB && shift > 0 && !second)
        plan_negative(plain, moved, shift, bits, s->k, out);
    else if (s->k == 0)
        plan_plain(plain, moved, shift, bits, s->kind == BLI_NET_SUB, out);
    else if (s->kind == BLI_NET_ADD)
        plan_add(plain, moved, shift, bits, s->k, out);
    else
        plan_subtract(plain, moved, shift, bits, s->k, out);
}

static void print_sum(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    int bits = bli_net_bits(&v->net->signals[signal]);
    adder p = {.pass = 0};
    char high[32] = "";
    plan_adder(v, signal, &p);
    if (p.pass == bits) {
        bli_text_line(t, "assign %s = %s;", name, p.low);
        return;
    }
    if (p.pass > 0) {
        bli_text_line(t, "assign %s[%d:0] = %s;", name, p.pass - 1, p.low);
        snprintf(high, sizeof high, "[%d:%d]", bits - 1, p.pass);
    }
    bli_text_line(t, "%s_%s #(.W(%d)) %s__u (.a(%s), .b(%s), .y(%s%s));", v->name, p.minus ? "sub" : "add",
                  bits - p.pass, name, p.a, p.b, name, high);
}

/* Where only one operand has bits yet, and it is added, its bits are the sum's. */
static void print_sum3(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    int bits = bli_net_bits(s), lowest = 0, pass = bits;
    operand o;
    bli_verilog_text e[3];
    char high[32] = "";
    for (int i = 1; i < 3; i++)
        lowest = s->shift[i] < s->shift[lowest] ? i : lowest;
    for (int i = 0; i < 3; i++)
        pass = i != lowest && s->shift[i] < pass ? s->shift[i] : pass;
    pass = s->minus[lowest] ? 0 : pass;
    if (pass > 0) {
        operand_of(v, signal, lowest, &o);
        shifted_slice(&o, s->shift[lowest], 0, pass, e[0]);
        if (pass == bits) {
            bli_text_line(t, "assign %s = %s;", name, e[0]);
            return;
        }
        bli_text_line(t, "assign %s[%d:0] = %s;", name, pass - 1, e[0]);
        snprintf(high, sizeof high, "[%d:%d]", bits - 1, pass);
    }
    for (int i = 0; i < 3; i++) {
        operand_of(v, signal, i, &o);
        shifted_slice(&o, s->shift[i], pass, bits - pass, e[i]);
    }
    bli_text_line(t, "%s_add3 #(.W(%d), .B(%d), .C(%d)) %s__u (.a(%s), .b(%s), .c(%s), .y(%s%s));", v->name,
                  bits - pass, s->minus[1], s->minus[2], name, e[0], e[1], e[2], name, high);
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

static void print_less(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    operand a, b;
    bli_verilog_text ea, eb;
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    int wa = a.bits + (!a.is_signed && b.is_signed), wb = b.bits + (!b.is_signed && a.is_signed);
    int width = wa > wb ? wa : wb;
    slice(&a, 0, width, ea);
    slice(&b, 0, width, eb);
    if (a.is_signed || b.is_signed)
        bli_text_line(t, "assign %s = $signed(%s) < $signed(%s);", name, ea, eb);
    else
        bli_text_line(t, "assign %s = %s < %s;", name, ea, eb);
}

static void print_clamp(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal], *in = &v->net->signals[s->in[0]];
    int bits = bli_net_bits(s);
    operand a;
    bli_verilog_text value, below, above;
    char low[40], high[40];
    operand_of(v, signal, 0, &a);
    slice(&a, 0, bits, value);
    literal(s->k, bits, low, sizeof low);
    literal(s->high_k, bits, high, sizeof high);
    at_least(&a, s->k, below);
    if (in->high <= s->high_k) {
        bli_text_line(t, "assign %s = (%s) ? %s : %s;", name, below, value, low);
        return;
    }
    at_least(&a, s->high_k + 1, above);
    if (in->low >= s->k)
        bli_text_line(t, "assign %s = (%s) ? %s : %s;", name, above, high, value);
    else
        bli_text_line(t, "assign %s = (%s) ? %s : (%s) ? %s : %s;", name, above, high, below, value, low);
}

/* ---- the rest -----------------------------------------------------------------------------------------------------
 */
static void print_mux(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    int bits = bli_net_bits(&v->net->signals[signal]);
    operand bit, yes, no;
    bli_verilog_text a, b;
    operand_of(v, signal, 0, &bit);
    operand_of(v, signal, 1, &yes);
    operand_of(v, signal, 2, &no);
    slice(&yes, 0, bits, a);
    slice(&no, 0, bits, b);
    bli_text_line(t, "assign %s = %s ? %s : %s;", name, bit.name, a, b);
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

static void print_product(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    int bits = bli_net_bits(&v->net->signals[signal]);
    operand a, b;
    bli_verilog_text ea, eb;
    operand_of(v, signal, 0, &a);
    operand_of(v, signal, 1, &b);
    slice(&a, 0, bits, ea);
    slice(&b, 0, bits, eb);
    bli_text_line(t, "assign %s = $signed(%s) * $signed(%s);", name, ea, eb);
}

/* SHL, SHR, LOW, WRAP, NOT: wires. */
static void print_move(const bli_verilog *v, int signal, const char *name, bli_text *t)
{
    const bli_net_signal *s = &v->net->signals[signal];
    operand a;
    bli_verilog_text e;
    operand_of(v, signal, 0, &a);
    int shift = s->kind == BLI_NET_SHL ? (int)s->k : 0, first = s->kind == BLI_NET_SHR ? (int)s->k : 0;
    shifted_slice(&a, shift, first, bli_net_bits(s), e);
    bli_text_line(t, "assign %s = %s%s;", name, s->kind == BLI_NET_NOT ? "~" : "", e);
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
    if (v->x_bits == 1)
        bli_text_line(t, "assign %s = x_q;", name);
    else if (bits == 1)
        bli_text_line(t, "assign %s = x_q[%" PRId64 "];", name, first);
    else
        bli_text_line(t, "assign %s = x_q[%" PRId64 ":%" PRId64 "];", name, first + bits - 1, first);
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
    } else {
        bli_text_line(t, "%s_table_%d %s__u (.x(%s), .y(%s));", v->unit, v->table[signal], name, a.name, name);
    }
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
