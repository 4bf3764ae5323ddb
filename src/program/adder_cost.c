/* adder_cost.c: what a node costs in cells of a carry chain.
 *
 * Below the bit where a second operand begins, the first one's bits are wires; a negated operand needs its complement's
 * + 1 at its own lowest bit, so that the chain begins there at the latest.  From the start to the top of the result
 * each bit is one LUT beside one carry cell: with two operands any 7-series-like LUT, with three a LUT6_2.  Where an
 * operand ends its bits are constants, and a LUT that has but one bit left is none.
 */
#include "program/adder_graph.h"

static int64_t low_bits(int64_t x, int count)
{
    return x & (((int64_t)1 << count) - 1);
}

/* ±(a << shift) + constant: the constant's bits below the shift are wires. */
static int one_term(const bli_adder_node *n, int bits)
{
    const int shift = n->term[0].shift;
    const int64_t high = n->constant - low_bits(n->constant, shift);
    if (n->term[0].negative)
        return high == -((int64_t)1 << shift) ? 0 : bits - shift;
    return high == 0 ? 0 : bits - __builtin_ctzll((uint64_t)high);
}

/* Where the chain of two terms with a legal constant begins; the header lists the three shapes. */
static int two_terms_start(const bli_adder_node *n)
{
    const bool same = n->term[0].shift == n->term[1].shift;
    const int a = same ? n->term[0].negative : n->term[0].shift > n->term[1].shift;
    const int shift = n->term[1 - a].shift;
    if (n->term[a].negative)
        return 0;
    const int64_t low = low_bits(n->constant, shift);
    return low == 0 ? shift : __builtin_ctzll((uint64_t)low);
}

/* Three operands, the constant one of them: where the second lowest begins, or the lowest if it is negated. */
static int three_operands_start(const bli_adder_node *n)
{
    int first = 64, second = 64;
    bool first_negative = false;
    for (int t = 0; t < n->num_terms + (n->constant != 0); t++) {
        const bool fixed = t == n->num_terms;
        const int at = fixed ? __builtin_ctzll((uint64_t)n->constant) : n->term[t].shift;
        const bool negative = !fixed && n->term[t].negative;
        if (at < first || (at == first && negative)) {
            second = first;
            first = at;
            first_negative = negative;
        } else if (at < second) {
            second = at;
        }
    }
    return first_negative ? first : second;
}

/* a + (b << s) where a never reaches bit s: wires. */
static bool is_concatenation(const bli_adder_graph *g, const bli_adder_node *n)
{
    const int a = n->term[0].shift <= n->term[1].shift ? 0 : 1;
    const bli_adder_node *low = &g->nodes[n->term[a].node];
    return n->constant == 0 && !n->term[0].negative && !n->term[1].negative && low->lo >= 0 &&
           bli_adder_bit_length((uint64_t)low->hi) <= n->term[1 - a].shift;
}

int bli_adder_cost(const bli_adder_graph *g, const bli_adder_node *node)
{
    const int bits = bli_adder_bits(node->lo, node->hi);
    int cost;
    if (node->num_terms == 0)
        return 0;
    if (node->num_terms == 1)
        cost = one_term(node, bits);
    else if (node->num_terms == 2 && is_concatenation(g, node))
        return 0;
    else if (node->num_terms == 2 && (!g->ternary || node->constant == 0))
        cost = bits - two_terms_start(node);
    else
        cost = bits - three_operands_start(node);
    return cost > 0 ? cost : 0;
}

/* One past the highest bit that is not a constant. */
static int live_end(const bli_adder_graph *g, const bli_adder_term *t, int bits)
{
    const bli_adder_node *x = &g->nodes[t->node];
    const int top = bli_adder_bit_length((uint64_t)x->hi) + t->shift;
    return x->lo < 0 || top > bits ? bits : top;
}

static uint64_t below(int end)
{
    return end <= 0 ? 0 : end >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << end) - 1;
}

static int two_operand_luts(const bli_adder_graph *g, const bli_adder_node *node, int bits)
{
    const int a = live_end(g, &node->term[0], bits), b = live_end(g, &node->term[1], bits);
    const int high = node->term[0].shift > node->term[1].shift ? node->term[0].shift : node->term[1].shift;
    const int start = bits - node->cost > high ? bits - node->cost : high, end = a < b ? a : b;
    return end < start ? 0 : end - start;
}

/* A bit's LUT has the operands' bits and m, what the bit below hands up: their majority.  Where two of the operands
 * are constants, m of the next bit is a constant if they agree, and else the third's bit. */
static int three_operand_luts(const bli_adder_graph *g, const bli_adder_node *node, int bits)
{
    uint64_t once = 0, twice = 0, ones = (uint64_t)node->constant; /* ones: parity of the constants */
    for (int t = 0; t < node->num_terms; t++) {
        const bli_adder_term *x = &node->term[t];
        const uint64_t live = below(live_end(g, x, bits)) & ~below(x->shift);
        twice |= once & live;
        once |= live;
        ones ^= x->negative ? ~live : 0;
    }
    const uint64_t alone = once & ~twice, chain = below(bits) & ~below(bits - node->cost);
    const uint64_t handed = ((twice | (alone & ones)) & chain) << 1;
    return __builtin_popcountll((twice | (alone & handed)) & chain);
}

int bli_adder_luts(const bli_adder_graph *g, const bli_adder_node *node)
{
    const int bits = bli_adder_bits(node->lo, node->hi);
    if (node->num_terms < 2 || node->cost == 0)
        return 0;
    if (node->num_terms == 3 || (g->ternary && node->constant != 0))
        return three_operand_luts(g, node, bits);
    return two_operand_luts(g, node, bits);
}
