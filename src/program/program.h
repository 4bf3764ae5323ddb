/* program.h: the PROGRAM, a network as integers.
 *
 * A program is a list of primitives over wires.  A wire is a tensor of integers (codes) without the batch dimension:
 * one sample.  Every element lies in a proven range and is a multiple of a proven power of two, so that a backend knows
 * each element's exact width, sign and binary point: the real value is code * 2^exp (or code * scale, where a real
 * scale is left at an output).  Nothing ever overflows: every range fits in int64_t, the verifier proves it again from
 * the constants.  Backends render primitives and know no operator; operators lower to primitives and know no backend.
 *
 * Semantics are those of interpret.c: plain mathematics on integers; the definition of each primitive stands beside its
 * name below.  Images are channels-last: [H, W, C], [L, C]; a vector is [C].  A scalar per sample is [1].
 *
 * Wires are numbered densely in order of definition; op i makes wire ops[i].out; inputs come first.  All memory is the
 * program's arena.  Constants are owned by the program and never change after building.
 */
#ifndef BLI_PROGRAM_H
#define BLI_PROGRAM_H

#include "base/base.h"
#include "bitlathe/format.h"
#include "bitlathe/tensor.h"

/* X(NAME, word in the text form, inputs, what it computes)
 * c is the channel: the last coordinate of the element.  Arrays "per channel" have 1 or shape.dim[rank-1] elements. */
#define BLI_PRIM_LIST(X)                                                                                               \
    X(INPUT, "input", 0, "a sample's codes")                                                                           \
    X(CONST, "const", 0, "constant codes: weight")                                                                     \
    X(DENSE, "dense", 1, "y[.., m] = sum over k of x[.., k] weight[k, m] + bias[m]; leading dimensions kept")          \
    X(CONV, "conv", 1, "1-D or 2-D convolution, window; weight [M, kH, kW, C / groups]; zeros around; + bias[m]")      \
    X(ADD, "add", 2, "(a << shift_a) + (b << shift_b), shapes equal or broadcast as NumPy has it")                     \
    X(SUB, "sub", 2, "(a << shift_a) - (b << shift_b)")                                                                \
    X(MUL, "mul", 2, "a b, broadcast")                                                                                 \
    X(DOT, "dot", 2, "y[.., n, m] = sum over k of a[.., n, k] b[.., k, m]: product of two wires")                      \
    X(AFFINE, "affine", 1, "x weight[c] + bias[c]")                                                                    \
    X(ROUND, "round", 1, "x / 2^shift[c], rounded to an integer by rounding (never STOCHASTIC)")                       \
    X(OVERFLOW, "overflow", 1, "brought into bits[c] bits, is_signed, by overflow")                                    \
    X(CLAMP, "clamp", 1, "min(max(x, low[c]), high[c])")                                                               \
    X(MIN, "min", 2, "the smaller, broadcast")                                                                         \
    X(MAX, "max", 2, "the greater, broadcast")                                                                         \
    X(ABS, "abs", 1, "|x|")                                                                                            \
    X(THRESHOLD, "threshold", 1, "base[c] + sum over k of step[c, k] where x >= threshold[c, k]; rises or falls")      \
    X(RESCALE, "rescale", 1, "clamp(floor((x weight[c] + bias[c]) / 2^shift[c]), low[c], high[c])")                    \
    X(TABLE, "table", 1, "table[c, x - first]; x lies within")                                                         \
    X(MAXPOOL, "maxpool", 1, "greatest of each window; padding does not take part")                                    \
    X(SUMPOOL, "sumpool", 1, "sum of each window; padding counts 0")                                                   \
    X(REDUCE_SUM, "reduce_sum", 1, "sums over axes; dimensions of size 1 stay")                                        \
    X(REDUCE_MAX, "reduce_max", 1, "greatest over axes; dimensions of size 1 stay")                                    \
    X(GATHER, "gather", 1, "y[i] = x[index[i]], or fill where index[i] < 0: transpose, slice, pad, repeat")            \
    X(RESHAPE, "reshape", 1, "the same elements in the same order under another shape")                                \
    X(CONCAT, "concat", -1, "inputs joined along axis")                                                                \
    X(ARGMAX, "argmax", 1, "index of the first greatest along the last axis, whose size becomes 1")

typedef enum bli_prim {
#define BLI_PRIM_ENUM(name, word, inputs, text) BLI_PRIM_##name,
    BLI_PRIM_LIST(BLI_PRIM_ENUM)
#undef BLI_PRIM_ENUM
        BLI_PRIM_COUNT
} bli_prim;

/* What is known of every element of a group: low <= code <= high, and code is a multiple of 2^zeros. */
typedef struct bli_span {
    int64_t low, high;
    int zeros;
} bli_span;

typedef struct bli_wire {
    const char *name;  /* unique; the graph value that it carries, "/part" behind it for steps within an operator */
    const char *layer; /* the layer that made it, for reports and emitted names */
    bl_shape shape;    /* without the batch; every dimension known, >= 0 */
    int64_t count;     /* elements */
    int64_t num_spans; /* 1, or the last dimension (per channel), or count (per element) */
    const bli_span *spans;
    int exp;          /* value = code * 2^exp, unless scale is given */
    int producer;     /* op index */
    int uses;         /* inputs of ops and outputs of the program that read it */
    const char *note; /* for the reader: which function a table stands for, and how far it is off; NULL: nothing */
} bli_wire;

/* Window of CONV, MAXPOOL, SUMPOOL: [0] rows, [1] columns; a 1-D layer has rows only: kernel[1] = stride[1] = 1. */
typedef struct bli_window {
    int kernel[2], stride[2], dilation[2];
    int pad[4]; /* top, left, bottom, right; elements of zero (CONV, SUMPOOL) or absent (MAXPOOL) */
    int groups; /* CONV; 1 for pools */
} bli_window;

enum { BLI_PRIM_MAX_IN = 16, BLI_WIRE_ELEMENTS = 1 << 28 }; /* 2 GiB of int64_t a sample */

/* One primitive.  Fields that a kind does not use are zero. */
typedef struct bli_prim_op {
    bli_prim kind;
    int num_in, in[BLI_PRIM_MAX_IN]; /* wires */
    int out;
    bli_window window;
    int shift_a, shift_b;  /* ADD, SUB: 0..62 */
    bl_rounding rounding;  /* ROUND */
    bl_overflow overflow;  /* OVERFLOW: WRAP SAT SAT_ZERO SAT_SYM WRAP_SM */
    bool is_signed;        /* OVERFLOW */
    int axis;              /* CONCAT */
    int num_axes, axes[8]; /* REDUCE_*; ascending */
    int64_t fill;          /* GATHER */
    int64_t first;         /* TABLE: x of table[., 0] */
    int64_t channels;      /* entries of the per-channel arrays: 1 or the last dimension; DENSE, CONV: M, always */
    int64_t length;        /* TABLE: entries; THRESHOLD: thresholds, per channel */
    const int64_t *weight; /* DENSE [K, M]; CONV [M, kH, kW, C / groups]; AFFINE, RESCALE [channels]; CONST [count] */
    const int64_t *bias;   /* DENSE, CONV [M] or NULL; AFFINE, RESCALE [channels] */
    const int64_t *low, *high; /* CLAMP, RESCALE [channels] */
    const int64_t *shift;      /* ROUND, RESCALE [channels]: 0..62; ROUND also < 0: exact x * 2^-shift */
    const int64_t *bits;       /* OVERFLOW [channels]: 1..64 */
    const int64_t *threshold;  /* THRESHOLD [channels, length], ascending; unused ones at the end: INT64_MAX */
    const int64_t *base;       /* THRESHOLD [channels] */
    const int64_t *step;       /* THRESHOLD [channels, length]; all of one sign per channel, or any (a general stair) */
    const int64_t *table;      /* TABLE [channels, length] */
    const int64_t *index;      /* GATHER [count of out] */
} bli_prim_op;

/* One more operation of an output: value op number[c]. */
typedef struct bli_output_step {
    char op; /* one of + - * / */
    const double *number;
} bli_output_step;
enum { BLI_OUTPUT_STEPS = 8 };

/* How an output's codes become the real numbers that the model gave: value = code * scale[c] (+ offset[c]), then the
 * steps in order, each one correctly rounded float32 operation (float64 where wide); scale NULL: code * 2^exp, exact,
 * and nothing else.  Hardware gives the codes.
 */
typedef struct bli_output {
    int wire;
    const char *name; /* of the graph's output */
    int64_t channels; /* entries of scale and offset: 1 or the last dimension; 0 where scale is NULL */
    const double *scale, *offset;
    int num_steps;
    bli_output_step steps[BLI_OUTPUT_STEPS];
    bool wide;       /* float64 */
    const char *cut; /* what of the graph was left behind ("Softmax 'softmax'"), or NULL */
} bli_output;

/* How a real input becomes codes: the graph's own input quantizer, done by whoever feeds the program. */
typedef struct bli_input {
    int wire;
    const char *name;
    double scale, offset; /* first y = x * scale + offset, each rounded to float32 (normalisation; 1 and 0: nothing) */
    bool wide;            /* the graph's carrier is float64: both, and the quantizer, in float64 */
    bl_format format;     /* then into this format and grid */
    bl_grid grid;         /* the code is the wire's */
} bli_input;

typedef struct bli_program {
    bl_context *ctx;
    bli_arena *arena;
    const char *name;
    int num_wires, num_ops, num_inputs, num_outputs;
    bli_wire *wires;
    bli_prim_op *ops;
    bli_input *inputs;
    bli_output *outputs;
} bli_program;

/* ---- building (build.c) ---------------------------------------------------------------------------------------- */
/* A builder appends ops in order; each call computes shape, spans (by interval arithmetic from the actual constants)
 * and exp of the result, checks everything that the verifier checks, and returns the new wire in *out.  A range that
 * does not fit int64_t is BL_LIMIT and names the wire.  Arrays are copied. */
typedef struct bli_builder bli_builder;
BL_MUST_CHECK bl_status bli_builder_create(bl_context *ctx, const char *name, bli_builder **out);
void bli_builder_destroy(bli_builder *b); /* NULL is fine */
/* spec->out is ignored.  name and layer are copied; a name that is taken gets a number behind it.  exp: the result's
 * binary point.  shape is given for INPUT, CONST, GATHER and RESHAPE, NULL otherwise. */
BL_MUST_CHECK bl_status bli_builder_add(bli_builder *b, const bli_prim_op *spec, const char *name, const char *layer,
                                        const bl_shape *shape, int exp, int *out);
/* The wire's span is that of all codes of the format, its exp that of the grid (0 where the scale is no power of two).
 */
BL_MUST_CHECK bl_status bli_builder_input(bli_builder *b, const bli_input *input, const char *layer,
                                          const bl_shape *shape, int *out);
/* Copied; for the reader only. */
BL_MUST_CHECK bl_status bli_builder_note(bli_builder *b, int wire, const char *note);
BL_MUST_CHECK bl_status bli_builder_output(bli_builder *b, const bli_output *output);
const bli_wire *bli_builder_wire(const bli_builder *b, int wire);
/* Drops what no output needs (inputs stay), renumbers with the inputs first, verifies.  Whether it succeeds or not, all
 * that can be done with the builder then is to destroy it. */
BL_MUST_CHECK bl_status bli_builder_finish(bli_builder *b, bli_program **out);
void bli_program_destroy(bli_program *p); /* NULL is fine */

/* ---- facts ------------------------------------------------------------------------------------------------------ */
bli_span bli_wire_span(const bli_wire *w, int64_t element);
/* The hull over all elements. */
bli_span bli_wire_hull(const bli_wire *w);
/* Bits of two's complement (low < 0) or of a plain number (low >= 0) that hold a span; 0 for the constant 0.  Low zero
 * bits are not dropped. */
int bli_span_bits(const bli_span *s);
const char *bli_prim_word(bli_prim kind);

/* Spans, shapes and every other rule again from the inputs' spans and the constants; the first fault is BL_BAD_MODEL
 * and names op and wire. */
BL_MUST_CHECK bl_status bli_program_verify(const bli_program *p);

/* ---- text form (print.c, parse.c): one line an op, constants in full; parsing gives an equal program
 * ------------------ */
BL_MUST_CHECK bl_status bli_program_print(const bli_program *p, char **text);
BL_MUST_CHECK bl_status bli_program_parse(bl_context *ctx, const char *text, size_t size, bli_program **out);

/* ---- the reference (interpret.c) -------------------------------------------------------------------------------- */
/* One sample through every op in plain loops.  codes[i]: input i's codes; wires: num_wires pointers to room for
 * wire.count codes each, all filled.  In debug builds a code outside of its span is BL_MISMATCH. */
BL_MUST_CHECK bl_status bli_program_interpret(const bli_program *p, const int64_t *const *codes, int64_t **wires);
/* Real numbers to codes and back for one sample: what stands in bli_input and bli_output. */
BL_MUST_CHECK bl_status bli_program_encode(const bli_program *p, int input, const float *x, int64_t *codes);
void bli_program_decode(const bli_program *p, int output, const int64_t *codes, double *y);
void bli_program_decode_f32(const bli_program *p, int output, const int64_t *codes, float *y); /* cut to float32 */

#endif
