/* prim.h: what each primitive answers: one const bli_prim_rule per kind, in the file of its family, listed in prim.c.
 * Building, verifying, interpreting, printing and parsing know primitives only through it.
 */
#ifndef BLI_PROGRAM_PRIM_H
#define BLI_PROGRAM_PRIM_H

#include "program/span.h"

/* X(NAME, word in the text form, member of bli_prim_op, type, how many) */
#define BLI_FIELD_LIST(X)                                                                                              \
    X(KERNEL, "kernel", window.kernel, INT, 2)                                                                         \
    X(STRIDE, "stride", window.stride, INT, 2)                                                                         \
    X(DILATION, "dilation", window.dilation, INT, 2)                                                                   \
    X(PAD, "pad", window.pad, INT, 4)                                                                                  \
    X(GROUPS, "groups", window.groups, INT, 1)                                                                         \
    X(SHIFT_A, "shift_a", shift_a, INT, 1)                                                                             \
    X(SHIFT_B, "shift_b", shift_b, INT, 1)                                                                             \
    X(ROUNDING, "rounding", rounding, ROUNDING, 1)                                                                     \
    X(OVERFLOW, "overflow", overflow, OVERFLOW, 1)                                                                     \
    X(SIGNED, "signed", is_signed, BOOL, 1)                                                                            \
    X(AXIS, "axis", axis, INT, 1)                                                                                      \
    X(NUM_AXES, "num_axes", num_axes, INT, 1)                                                                          \
    X(AXES, "axes", axes, INT, 8)                                                                                      \
    X(FILL, "fill", fill, INT64, 1)                                                                                    \
    X(FIRST, "first", first, INT64, 1)                                                                                 \
    X(CHANNELS, "channels", channels, INT64, 1)                                                                        \
    X(LENGTH, "length", length, INT64, 1)                                                                              \
    X(WEIGHT, "weight", weight, ARRAY, 1)                                                                              \
    X(BIAS, "bias", bias, ARRAY, 1)                                                                                    \
    X(LOW, "low", low, ARRAY, 1)                                                                                       \
    X(HIGH, "high", high, ARRAY, 1)                                                                                    \
    X(SHIFT, "shift", shift, ARRAY, 1)                                                                                 \
    X(BITS, "bits", bits, ARRAY, 1)                                                                                    \
    X(THRESHOLD, "threshold", threshold, ARRAY, 1)                                                                     \
    X(BASE, "base", base, ARRAY, 1)                                                                                    \
    X(STEP, "step", step, ARRAY, 1)                                                                                    \
    X(TABLE, "table", table, ARRAY, 1)                                                                                 \
    X(INDEX, "index", index, ARRAY, 1)
typedef enum bli_field {
#define BLI_FIELD_ENUM(name, word, member, type, count) BLI_FIELD_##name,
    BLI_FIELD_LIST(BLI_FIELD_ENUM)
#undef BLI_FIELD_ENUM
        BLI_FIELD_COUNT
} bli_field;
#define BLI_HAS(name)  (1u << BLI_FIELD_##name)
#define BLI_HAS_WINDOW (BLI_HAS(KERNEL) | BLI_HAS(STRIDE) | BLI_HAS(DILATION) | BLI_HAS(PAD) | BLI_HAS(GROUPS))

typedef enum bli_field_type {
    BLI_FIELD_IS_INT,
    BLI_FIELD_IS_INT64,
    BLI_FIELD_IS_BOOL,
    BLI_FIELD_IS_ROUNDING,
    BLI_FIELD_IS_OVERFLOW,
    BLI_FIELD_IS_ARRAY
} bli_field_type;
typedef struct bli_field_info {
    const char *word;
    size_t offset, size; /* in bli_prim_op */
    bli_field_type type;
    int count;
} bli_field_info;
extern const bli_field_info bli_fields[BLI_FIELD_COUNT];
static inline const int64_t **bli_field_array(bli_prim_op *op, bli_field f)
{
    return (const int64_t **)(void *)((char *)op + bli_fields[f].offset);
}

/* How many elements an array field has. */
typedef enum bli_extent {
    BLI_EXTENT_NONE,     /* the kind has no such array */
    BLI_EXTENT_CHANNELS, /* op.channels */
    BLI_EXTENT_OPTIONAL, /* op.channels, or the array is NULL */
    BLI_EXTENT_LENGTHS,  /* op.channels * op.length */
    BLI_EXTENT_COUNT,    /* elements of the result */
    BLI_EXTENT_DENSE,    /* the input's last dimension * op.channels */
    BLI_EXTENT_CONV      /* op.channels * kernel * the input's last dimension / groups */
} bli_extent;

/* One op as its rules see it. */
typedef struct bli_call {
    bl_context *ctx;
    bli_arena *scratch;
    const bli_prim_op *op;
    const bli_wire *in[BLI_PRIM_MAX_IN];
    const char *name;   /* of the result, for messages */
    const bli_span *is; /* INPUT: its span */
    bl_shape shape;     /* of the result: given, or the shape rule's */
    int64_t count;
    int64_t num_spans;
    bli_span *spans; /* num_spans: 1, last dimension or count; the span rule's */
} bli_call;

/* One op on one sample. */
typedef struct bli_work {
    const bli_prim_op *op;
    const bli_wire *in[BLI_PRIM_MAX_IN], *out;
    const int64_t *x[BLI_PRIM_MAX_IN];
    int64_t *y;
} bli_work;

typedef struct bli_prim_rule {
    uint32_t fields;                    /* the fields that are no arrays */
    bli_extent extent[BLI_FIELD_COUNT]; /* the arrays */
    bool shape_given;
    bl_status (*shape)(bli_call *c); /* checks the scalar fields and the inputs' shapes; sets c->shape unless given */
    bl_status (*check)(const bli_call *c); /* the arrays' values; may be NULL */
    bl_status (*span)(bli_call *c);        /* not called for a result without elements */
    void (*interpret)(const bli_work *w);
} bli_prim_rule;
extern const bli_prim_rule *const bli_prim_rules[BLI_PRIM_COUNT];

extern const bli_prim_rule bli_rule_input, bli_rule_const, bli_rule_dense, bli_rule_conv, bli_rule_add, bli_rule_sub,
    bli_rule_mul, bli_rule_dot, bli_rule_affine, bli_rule_round, bli_rule_overflow, bli_rule_clamp, bli_rule_min,
    bli_rule_max, bli_rule_abs, bli_rule_threshold, bli_rule_rescale, bli_rule_table, bli_rule_maxpool,
    bli_rule_sumpool, bli_rule_reduce_sum, bli_rule_reduce_max, bli_rule_gather, bli_rule_reshape, bli_rule_concat,
    bli_rule_argmax;

/* ---- prim.c: for rules -------------------------------------------------------------------------------------- */
/* "wire 'fc1' (dense): ..." */
bl_status bli_call_fail(const bli_call *c, bl_status s, const char *fmt, ...) BL_PRINTF(3, 4);
/* Everything about c->op: counts and fields, shape, arrays, spans (allocated in c->scratch, in their shortest form). */
BL_MUST_CHECK bl_status bli_call_infer(bli_call *c);
/* Elements of an array field, -1 when that overflows; c->in and, for BLI_EXTENT_COUNT, c->count are set. */
int64_t bli_call_extent(const bli_call *c, bli_field f);
/* Room for n spans of the result. */
BL_MUST_CHECK bl_status bli_call_spans(bli_call *c, int64_t n);
/* Span i of the result, or BL_LIMIT naming the wire. */
BL_MUST_CHECK bl_status bli_call_set(bli_call *c, int64_t i, bli_wide_span s);
/* The coarsest of 1, last dimension and count that tells elements apart as the inputs and per-channel arrays of an
 * elementwise op do; spans are made for so many. */
BL_MUST_CHECK bl_status bli_call_elementwise(bli_call *c);
/* Input k's span at element i of the result (broadcast). */
bli_wide_span bli_call_in(const bli_call *c, int k, int64_t i);
static inline bli_wide_span bli_call_at(const bli_call *c, int k, int64_t element)
{
    return bli_span_widen(bli_wire_span(c->in[k], element));
}
static inline int64_t bli_last(const bl_shape *s)
{
    return s->dim[s->rank - 1];
}
/* Whether a wire's spans depend on no more than the channel. */
static inline bool bli_by_channel(const bli_wire *w)
{
    return w->num_spans == 1 || w->num_spans == bli_last(&w->shape);
}
/* Which entry of a per-channel array element i uses. */
static inline int64_t bli_channel(const bli_prim_op *op, int64_t i)
{
    return op->channels == 1 ? 0 : i % op->channels;
}
/* The element of an input of shape `in` that element i of a result of shape `out` reads: NumPy's broadcasting. */
int64_t bli_broadcast_index(const bl_shape *out, const bl_shape *in, int64_t i);
bl_status bli_shape_same(bli_call *c);      /* the first input's */
bl_status bli_shape_broadcast(bli_call *c); /* of two inputs */

/* ---- window.c ----------------------------------------------------------------------------------------------- */
/* A window over rows (and columns) of channels, as loops want it: a 1-D layer has one column. */
typedef struct bli_field_of_view {
    int64_t in[2], out[2], channels;
} bli_field_of_view;
/* Checks c->op->window against the input, sets c->shape with `channels` channels. */
BL_MUST_CHECK bl_status bli_window_shape(bli_call *c, int64_t channels);
bli_field_of_view bli_window_view(const bli_window *w, const bl_shape *in);
/* Where tap k of output position o lies along axis a: may be outside of 0 .. in-1. */
static inline int64_t bli_window_at(const bli_window *w, int a, int64_t o, int64_t k)
{
    return o * w->stride[a] - w->pad[a] + k * w->dilation[a];
}
/* Taps from..to-1 of output position o along axis a are inside. */
typedef struct bli_taps {
    int64_t at; /* output position */
    int64_t from, to;
} bli_taps;
bli_taps bli_window_taps(const bli_window *w, const bli_field_of_view *v, int a, int64_t o);
/* Output positions along axis a, one for each set of taps inside. */
BL_MUST_CHECK bl_status bli_window_kinds(bli_call *c, const bli_field_of_view *v, int a, bli_taps **out, int *count);

#endif
