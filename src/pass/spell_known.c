/* spell_known.c: QKeras' quantizers as formats and as nodes, where they amount to one.
 *
 * These are proposals: spell_quant.c tries each against the quantizer before it is used, so an option that is not
 * looked at here (a slope, a bound, a draw) makes the proposal fail, not the file wrong.
 */
#include <math.h>
#include <string.h>

#include "pass/spell_quant.h"

static bl_format fixed(int bits, int integer, bool is_signed, bl_overflow overflow)
{
    return (bl_format){.kind = BL_FORMAT_FIXED,
                       .is_signed = is_signed,
                       .bits = bits,
                       .integer = integer,
                       .rounding = BL_RND_CONV,
                       .overflow = overflow};
}

static bool known_relu(const bl_node *n, bli_known *k)
{
    int bits = (int)bl_node_int(n, "bits", 8), integer = (int)bl_node_int(n, "integer", 0);
    k->format = fixed(bits, integer, false, BL_SAT);
    k->unit = ldexp(1, integer - bits);
    k->own_scale = true;
    return true;
}

/* alpha auto: codes -h..h on the scales; else the format of QKeras' integer bits, times alpha. */
static bool known_bits(const bl_node *n, bli_known *k)
{
    int bits = (int)bl_node_int(n, "bits", 8), integer = (int)bl_node_int(n, "integer", 0);
    bool negative = bl_node_int(n, "keep_negative", 1) != 0, symmetric = bl_node_int(n, "symmetric", 0) != 0;
    if (strncmp(bl_node_string(n, "alpha", "none"), "auto", 4) == 0) {
        k->format = fixed(bits, bits, true, BL_SAT_SYM);
        return true;
    }
    if (bits == 1 && negative) {
        k->format =
            (bl_format){.kind = BL_FORMAT_BINARY, .is_signed = true, .bits = 1, .rounding = BL_RND, .overflow = BL_SAT};
        k->alpha = true;
        return true;
    }
    k->format = fixed(bits, integer + negative, negative, symmetric && negative ? BL_SAT_SYM : BL_SAT);
    k->unit = ldexp(1, integer + negative - bits);
    k->alpha = true;
    return true;
}

static bool known_binary(const bl_node *n, bli_known *k)
{
    (void)n;
    k->format =
        (bl_format){.kind = BL_FORMAT_BINARY, .is_signed = true, .bits = 1, .rounding = BL_RND, .overflow = BL_SAT};
    return true;
}

static bool known_ternary(const bl_node *n, bli_known *k)
{
    (void)n;
    k->format = (bl_format){
        .kind = BL_FORMAT_TERNARY, .is_signed = true, .bits = 2, .rounding = BL_RND_CONV, .overflow = BL_SAT_SYM};
    return true;
}

static bool squash(const bl_node *n, bli_known *k, const char *real, bool tanh)
{
    const char *sigmoid = bl_node_string(n, "sigmoid", "hard");
    if (bl_node_int(n, real, 0) || strcmp(sigmoid, "real") == 0)
        return false; /* exp is not the same everywhere */
    int bits = (int)bl_node_int(n, "bits", 8);
    k->format = fixed(bits, tanh, tanh, bl_node_int(n, "symmetric", 0) && tanh ? BL_SAT_SYM : BL_SAT);
    k->slope = strcmp(sigmoid, "hard") == 0 ? 0.5 : 0.1875;
    k->low_code = bl_node_int(n, "symmetric", 0) != 0;
    k->own_scale = true;
    k->unit = ldexp(1, tanh - bits);
    return true;
}

static bool known_tanh(const bl_node *n, bli_known *k)
{
    return squash(n, k, "use_real_tanh", true);
}

static bool known_sigmoid(const bl_node *n, bli_known *k)
{
    return squash(n, k, "use_real_sigmoid", false);
}

static const struct {
    const char *name;
    bool (*propose)(const bl_node *n, bli_known *k);
} table[] = {
    {"quantized_relu", known_relu},        {"quantized_bits", known_bits}, {"binary", known_binary},
    {"stochastic_binary", known_binary},   {"xnor", known_binary},         {"ternary", known_ternary},
    {"stochastic_ternary", known_ternary}, {"quantized_tanh", known_tanh}, {"quantized_sigmoid", known_sigmoid},
};

bool bli_spell_known(const bl_node *n, const char *quantizer, bli_known *k)
{
    *k = (bli_known){.unit = 1};
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        if (strcmp(table[i].name, quantizer) == 0)
            return table[i].propose(n, k);
    return false;
}

/* s = clip(slope x + 1/2, 0, 1), y = round(p m) / m between its ends, with p = s or 2 s - 1. */
int bli_spell_squash(bli_chain *c, int x, const void *arg)
{
    const bli_known *k = &((const bli_squash *)arg)->known;
    double m = ldexp(1, k->format.bits - k->format.is_signed), low = k->format.is_signed ? -m : 0;
    int t = bli_chain_node(c, "slope", "Mul", x, bli_chain_number(c, "by", k->slope), -1);
    t = bli_chain_node(c, "shift", "Add", t, bli_chain_number(c, "half", 0.5), -1);
    int least = bli_chain_number(c, "zero", 0), most = bli_chain_number(c, "one", 1);
    t = bli_chain_node(c, "sigmoid", "Clip", t, least, most);
    if (k->format.is_signed) {
        t = bli_chain_node(c, "twice", "Add", t, t, -1);
        t = bli_chain_node(c, "tanh", "Sub", t, most, -1);
    }
    t = bli_chain_node(c, "scaled", "Mul", t, bli_chain_number(c, "levels", m), -1);
    t = bli_chain_node(c, "code", "Round", t, -1, -1);
    least = bli_chain_number(c, "least", low + k->low_code);
    most = bli_chain_number(c, "most", m - 1);
    t = bli_chain_node(c, "clipped", "Clip", t, least, most);
    return bli_chain_node(c, "quant", "Mul", t, bli_chain_number(c, "step", 1 / m), -1);
}
