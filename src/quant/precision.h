/* precision.h: what a recipe says about one place's precision, made into a Quantize node's attributes.
 *
 * An entry is either one text
 *   "fixed<6,1,RND,SAT_SYM>"                   a number format: quantizer ste
 *   "quantized_bits(6,0,alpha=1)"  "lsq(4)"    a quantizer with its options, in QKeras' order and names; True and False
 *                                              count as 1 and 0, None as left out; without options: "binary()"
 *   "binary" "ternary"                         the formats of those names, with ste
 *   "float32"                                  no quantizer
 * or keys and values, all as text: quantizer, format, scale, granularity, axis, zero_point, start, and the quantizer's
 * own options (alpha, bits, integer, ...).  bits without a format means int<bits> (uint<bits> for activations and
 * inputs) for lsq and pact.  Everything is checked here; a message names the key, the value and the nearest known word.
 */
#ifndef BLI_PRECISION_H
#define BLI_PRECISION_H

#include "base/base.h"
#include "bitlathe/graph.h"

typedef struct bli_precision_entry {
    const char *key, *value;
} bli_precision_entry;

enum { BLI_PRECISION_ATTRS = 24 };

typedef struct bli_precision {
    bool none;                          /* "float32": put no Quantize node here */
    bl_attr attrs[BLI_PRECISION_ATTRS]; /* of the Quantize node, place included; arena memory */
    int num_attrs;
    bool needs_scale;       /* add a PARAMETER (place "scale") as input 1 */
    bool scale_per_channel; /* of dim[axis] elements; else a scalar (per element: x's shape) */
    bool scale_per_element;
    int axis;
    bool whole_tensor;       /* takes its scale from all of the data: for parameters only */
    bool is_mx;              /* axis: where blocks run; products want the axis that they sum over */
    const bl_tensor *widths; /* float32, or NULL; see bli_precision_set_widths */
} bli_precision;

/* text: the one-text form.  place: "input", "weight", "bias", "activation", ... */
BL_MUST_CHECK bl_status bli_precision_parse(bl_context *ctx, bli_arena *arena, const char *place, const char *text,
                                            bli_precision *out);
BL_MUST_CHECK bl_status bli_precision_resolve(bl_context *ctx, bli_arena *arena, const char *place,
                                              const bli_precision_entry *entries, size_t count, bli_precision *out);
/* Another axis (channel, or mx blocks) than the entry gave; for a layer that knows where its channels are.  Does
 * nothing when the entry named one. */
BL_MUST_CHECK bl_status bli_precision_set_axis(bl_context *ctx, bli_precision *p, int axis);

/* Widths of its own for each channel or element: whole numbers from 1 to 32 in any type, copied into arena.  Of rank 1
 * they are one per channel (along the axis), otherwise they broadcast to x as NumPy has it.  Refused unless p has
 * quantizer ste and a fixed, int or affine format. */
BL_MUST_CHECK bl_status bli_precision_set_widths(bl_context *ctx, bli_arena *arena, const bl_tensor *widths,
                                                 bli_precision *p);
/* The shape that p's widths have beside an x of this shape (dim[0] < 0: the batch); fails if they are not one per
 * channel. */
BL_MUST_CHECK bl_status bli_precision_widths_shape(bl_context *ctx, const bli_precision *p, const bl_shape *x,
                                                   bl_shape *out);

/* First values of a learned scale from data: for a parameter, its values; for activations there is none yet, and data
 * NULL gives what suits values of about one in magnitude (LSQ: 2 * sqrt(2/pi) / sqrt(qmax); pact: 6).  x is a float32
 * tensor without batch; scale has as many elements as the node's input 1.  node: with the attributes above. */
BL_MUST_CHECK bl_status bli_precision_init_scale(bl_context *ctx, const bl_node *node, const bl_tensor *x, float *scale,
                                                 size_t count);

#endif
