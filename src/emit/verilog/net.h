/* net.h: the scalar netlist, a program unrolled into single integer operations.
 *
 * A netlist is a list of signals in SSA order: signal i is computed from signals below i by one operation, and lies in
 * a proven range [low, high], so that its width and sign are exact.  What hardware gets for nothing is no operation: an
 * element of a wire is a *ref*, value = (signal << shift) + offset, or offset alone (signal BLI_NET_NONE: a constant,
 * which takes no wire at all).  Equal operations are one signal; constants are folded as refs are combined.
 *
 * All memory is the netlist's arena.  The netlist keeps a pointer to its program (names), which must outlive it.
 */
#ifndef BLI_NET_H
#define BLI_NET_H

#include "program/program.h"

enum { BLI_NET_NONE = -1 };

/* X(NAME, operands, what it computes); k, high are constants of the operation.  A bit is 0 or 1. */
#define BLI_NET_LIST(X)                                                                                                \
    X(INPUT, 0, "element k of the packed input")                                                                       \
    X(CONST, 0, "k")                                                                                                   \
    X(ADD, 2, "(a << shift[0]) + (b << shift[1]) + k")                                                                 \
    X(SUB, 2, "(a << shift[0]) - (b << shift[1]) + k")                                                                 \
    X(ADD3, 3, "the three, each shifted, b and c subtracted where minus says so")                                      \
    X(SHL, 1, "a << k")                                                                                                \
    X(SHR, 1, "floor(a / 2^k)")                                                                                        \
    X(LOW, 1, "a mod 2^k, 0 .. 2^k - 1")                                                                               \
    X(WRAP, 1, "a mod 2^k, -2^(k-1) .. 2^(k-1) - 1")                                                                   \
    X(NOT, 1, "-1 - a")                                                                                                \
    X(TIE, 1, "bit: rounding a / 2^k by the rule in high is floor(a / 2^k) + 1")                                       \
    X(AT_LEAST, 1, "bit: a >= k")                                                                                      \
    X(LESS, 2, "bit: a < b")                                                                                           \
    X(MUX, 3, "a ? b : c")                                                                                             \
    X(CLAMP, 1, "min(max(a, k), high)")                                                                                \
    X(TABLE, 1, "table[a - k]")                                                                                        \
    X(MUL, 2, "a b")

typedef enum bli_net_kind {
#define BLI_NET_ENUM(name, operands, text) BLI_NET_##name,
    BLI_NET_LIST(BLI_NET_ENUM)
#undef BLI_NET_ENUM
        BLI_NET_COUNT
} bli_net_kind;
int bli_net_operands(bli_net_kind kind);

typedef struct bli_net_signal {
    bli_net_kind kind;
    int in[3];
    int shift[3];
    bool minus[3]; /* ADD3; never all */
    int64_t k, high_k;
    const int64_t *table;
    int64_t length;    /* TABLE */
    int64_t low, high; /* proven */
    int wire;          /* of the program: what it was made for first */
    int64_t element;   /* of that wire that the signal carries (maybe before shift and offset); -1: a step towards it */
    int depth;         /* operations that take time from the inputs */
} bli_net_signal;

typedef struct bli_net_ref {
    int signal, shift;
    int64_t offset;
} bli_net_ref;

typedef struct bli_net {
    bl_context *ctx;
    bli_arena *arena;
    const bli_program *program;
    int count, room;
    bli_net_signal *signals;
    bli_net_ref **wires; /* [num_wires][count of the wire]; NULL where nothing is known (yet) */
    int *slots;          /* hash table of signals: index + 1 */
    size_t num_slots;
    int at; /* the wire that new signals are made for */
} bli_net;

typedef struct bli_net_options {
    bool adder_graphs;       /* DENSE and CONV through shared adder graphs; false: canonical signed digits */
    bool ternary;            /* adder graphs may have three-input adders */
    int extra_depth, effort; /* of the search for adder graphs: see program/cmvm.h */
} bli_net_options;

/* ---- unroll.c -----------------------------------------------------------------------------------------------------
 */
/* The whole program.  What has no scalar form, or is too large, is refused by the name of its wire. */
BL_MUST_CHECK bl_status bli_net_create(const bli_program *p, const bli_net_options *options, bli_net **out);
void bli_net_destroy(bli_net *n); /* NULL is fine */

/* ---- net.c: refs and operations on them; each folds what it can ----------------------------------------------------
 */
BL_MUST_CHECK bl_status bli_net_empty(const bli_program *p, bli_net **out);
bli_net_ref bli_net_constant(int64_t value);
bool bli_net_is_constant(bli_net_ref r);
/* The proven range of a ref; of a signal in bits: 0 never occurs, constants are no signals (but CONST). */
bli_span bli_net_range(const bli_net *n, bli_net_ref r);
int bli_net_bits(const bli_net_signal *s);
bool bli_net_signed(const bli_net_signal *s);
/* Narrows the signal's range to what is proven elsewhere; a range of one value becomes a constant. */
void bli_net_narrow(bli_net *n, bli_net_ref *r, bli_span known);
/* A signal of its own for the ref: offset 0, shift 0. */
BL_MUST_CHECK bl_status bli_net_plain(bli_net *n, bli_net_ref r, int *signal);
/* The same with the shift left as it is; r becomes {signal, shift, 0}. */
BL_MUST_CHECK bl_status bli_net_settle(bli_net *n, bli_net_ref *r);
/* spec's operation with its operands in place; folds nothing, shares equal ones. */
BL_MUST_CHECK bl_status bli_net_make(bli_net *n, const bli_net_signal *spec, bli_net_ref *out);
BL_MUST_CHECK bl_status bli_net_add(bli_net *n, bli_net_ref a, bli_net_ref b, bool subtract, bli_net_ref *out);
BL_MUST_CHECK bl_status bli_net_shift(bli_net *n, bli_net_ref a, int shift, bli_net_ref *out); /* a << shift */
BL_MUST_CHECK bl_status bli_net_at_least(bli_net *n, bli_net_ref a, int64_t k, bli_net_ref *bit);
BL_MUST_CHECK bl_status bli_net_flip(bli_net *n, bli_net_ref bit, bli_net_ref *out); /* 1 - bit */
BL_MUST_CHECK bl_status bli_net_mux(bli_net *n, bli_net_ref bit, bli_net_ref yes, bli_net_ref no, bli_net_ref *out);
/* a < b ? yes : no */
BL_MUST_CHECK bl_status bli_net_less_mux(bli_net *n, bli_net_ref a, bli_net_ref b, bli_net_ref yes, bli_net_ref no,
                                         bli_net_ref *out);
BL_MUST_CHECK bl_status bli_net_clamp(bli_net *n, bli_net_ref a, int64_t low, int64_t high, bli_net_ref *out);
BL_MUST_CHECK bl_status bli_net_multiply(bli_net *n, bli_net_ref a, bli_net_ref b, bli_net_ref *out);

/* ---- sum.c --------------------------------------------------------------------------------------------------------
 */
typedef struct bli_net_sum {
    struct bli_net_term {
        bli_net_ref r;
        bool minus;
    } * terms;
    int count, room;
    int64_t constant;
} bli_net_sum;
/* Gathers weight * r as canonical signed digits; then joins all terms, the shallowest first.  The sum comes back with
 * its constant added in but for the part that is to stay as offset. */
BL_MUST_CHECK bl_status bli_net_sum_add(bli_net *n, bli_net_sum *s, bli_net_ref r, int64_t weight);
BL_MUST_CHECK bl_status bli_net_sum_finish(bli_net *n, bli_net_sum *s, int64_t offset, bli_net_ref *out);
void bli_net_sum_free(bli_net *n, bli_net_sum *s);

/* ---- step.c: rounding, overflow, stairs
 * ------------------------------------------------------------------------------ */
/* The simplest rule that does the same on values that are never negative. */
bl_rounding bli_net_rounding(bl_rounding rule, bool negative);
BL_MUST_CHECK bl_status bli_net_round(bli_net *n, bli_net_ref a, bl_rounding rule, int64_t shift, bli_net_ref *out);
BL_MUST_CHECK bl_status bli_net_overflow(bli_net *n, bli_net_ref a, bl_overflow rule, int bits, bool is_signed,
                                         bli_net_ref *out);
/* base + sum of step[k] where a >= threshold[k]. */
BL_MUST_CHECK bl_status bli_net_stair(bli_net *n, bli_net_ref a, int64_t base, const int64_t *threshold,
                                      const int64_t *step, int64_t length, bli_net_ref *out);
/* values[a - first], for a within. */
BL_MUST_CHECK bl_status bli_net_table(bli_net *n, bli_net_ref a, int64_t first, const int64_t *values, int64_t length,
                                      bli_net_ref *out);

/* ---- eval.c: the meaning of the operations --------------------------------------------------------------------------
 */
/* x: the packed input's elements (all inputs of the program, one behind the other); values: one per signal. */
void bli_net_eval(const bli_net *n, const int64_t *x, int64_t *values);
int64_t bli_net_ref_value(bli_net_ref r, const int64_t *values);

#endif
