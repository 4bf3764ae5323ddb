/* What sums of three cost on Xilinx: a bit's LUT is counted where two of what it reads vary, by going through all
 * values of the operands; the rest is wires.
 */
#include "support/test.h"

#include "base/random.h"
#include "program/adder_graph.h"

enum { OPERANDS = 3, CELLS_MOST = 64 };

static const bli_adder_range ranges[] = {{0, 1}, {0, 3}, {0, 5}, {-1, 0}, {-2, 1}, {-4, 3}, {0, 7}};

static bli_adder_node draw_node(const bli_stream *s, uint64_t at, bool constant)
{
    bli_adder_node n = {.num_terms = constant ? 2 : 3};
    const int32_t free = (int32_t)(bli_stream_u32(s, at) % OPERANDS);
    for (int t = 0; t < n.num_terms; t++) {
        const uint32_t r = bli_stream_u32(s, at + 1 + (uint64_t)t);
        n.term[t] =
            (bli_adder_term){t, (int16_t)(t == free % n.num_terms ? 0 : r % 5), t != free % n.num_terms && r >> 8 & 1};
    }
    n.constant = constant ? (int64_t)(bli_stream_u32(s, at + 5) % 40) - 20 : 0;
    return n;
}

/* The three operands of a cell as the chain sees them, minus as the complement. */
static void operands_of(const bli_adder_node *n, const int64_t *x, int64_t *out)
{
    out[2] = n->constant;
    for (int t = 0; t < n->num_terms; t++) {
        const int64_t moved = x[n->term[t].node] * ((int64_t)1 << n->term[t].shift);
        out[t] = n->term[t].negative ? ~moved : moved;
    }
}

typedef struct seen {
    unsigned ones, zeros; /* of the three operands and, in bit 3, of what the cell below hands up */
} seen;

static void look(const bli_adder_node *n, int start, int bits, const int64_t *x, seen *cells)
{
    int64_t v[OPERANDS];
    unsigned up = 0;
    operands_of(n, x, v);
    for (int i = start; i < bits; i++) {
        const unsigned p = v[0] >> i & 1, q = v[1] >> i & 1, r = v[2] >> i & 1;
        const unsigned all = p | q << 1 | r << 2 | up << 3;
        cells[i].ones |= all;
        cells[i].zeros |= ~all;
        up = p + q + r > 1;
    }
}

static int luts_by_trial(const bli_adder_graph *g, const bli_adder_node *n)
{
    const int bits = bli_adder_bits(n->lo, n->hi), start = bits - n->cost;
    const bli_adder_node *in = g->nodes;
    seen cells[CELLS_MOST] = {{0}};
    int luts = 0;
    int64_t x[OPERANDS];
    for (x[0] = in[0].lo; x[0] <= in[0].hi; x[0]++)
        for (x[1] = in[1].lo; x[1] <= in[1].hi; x[1]++)
            for (x[2] = in[2].lo; x[2] <= in[2].hi; x[2]++)
                look(n, start, bits, x, cells);
    for (int i = start; i < bits; i++)
        luts += __builtin_popcount(cells[i].ones & cells[i].zeros) > 1;
    return luts;
}

static void a_lut_joins_what_varies(void **unused)
{
    (void)unused;
    const bli_stream s = bli_stream_make(3, 0, "sums of three");
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    int wires = 0;
    for (uint64_t k = 0; k < 1500; k++) {
        bli_adder_range in[OPERANDS];
        bli_adder_graph *g;
        int32_t v;
        for (uint64_t i = 0; i < OPERANDS; i++)
            in[i] = ranges[bli_stream_u32(&s, 16 * k + i) % BLI_COUNT(ranges)];
        assert_ok(ctx, bli_adder_graph_create(ctx, in, OPERANDS, 0, true, &g));
        bli_adder_node n = draw_node(&s, 16 * k + OPERANDS, k % 3 == 0);
        if (n.num_terms == 3 || n.constant != 0) {
            assert_ok(ctx, bli_adder_graph_add(g, &n, &v));
            n = g->nodes[v];
            const int luts = bli_adder_luts(g, &n), expected = luts_by_trial(g, &n);
            if (luts != expected)
                print_error("sum %d: %d LUTs, expected %d\n", (int)k, luts, expected);
            assert_int_equal(luts, expected);
            wires += n.cost > luts;
        }
        bli_adder_graph_destroy(g);
    }
    assert_true(wires > 300);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lut_joins_what_varies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
